"""The mailbox of the local stack: a real SMTP server and an SMS provider's API on loopback; nothing leaves the machine.

`python -m deploy.local.mailbox` serves both, keeps what came in `<state_dir>/mailbox`, and can be told to misbehave: see
`Faults`. What is in it stands for the outside world: the addresses in its files are the recipients' own.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message as Part
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Kind = Literal["email", "sms_out", "sms_in"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message that came, or that somebody sent back. `ref`: the Message-ID, or the provider's own id."""

    number: int
    kind: Kind
    at: str
    sender: str
    to: str
    subject: str
    text: str
    ref: str
    headers: dict[str, str] = field(default_factory=dict)
    html: str = ""


class Store:
    """All messages, one JSON object a line. Written by one process, read by anybody."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._next = 1 + max((message.number for message in read(folder)), default=0)

    def keep(self, kind: Kind, sender: str, to: str, text: str, **more: Any) -> Message:
        """Take a message in; it is on disk when this returns."""
        with self._lock:
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            message = Message(self._next, kind, now, sender, to, more.pop("subject", ""), text, more.pop("ref", ""), **more)
            self._next += 1
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (self.folder / "messages.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(message), ensure_ascii=False) + "\n")
            return message


def read(folder: Path) -> Iterator[Message]:
    """All messages, the oldest first; none if there is no mailbox."""
    try:
        lines = (folder / "messages.jsonl").read_text(encoding="utf-8").split("\n")  # a text may hold other ends of lines
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield Message(**json.loads(line))
        except (ValueError, TypeError):  # half a line of a killed process
            continue


@dataclass(frozen=True, slots=True)
class Fault:
    """How to misbehave, and how often. `where`: connect, mail, rcpt, data (SMTP), send, find, callback (SMS).

    `how`: a reply to give ("451 4.7.1 greylisted", "429", "500"), `hang`, `drop` (the line, without an answer), `lose` (take
    the message, then drop the line), `undelivered`, `twice`, `undelivered twice` (callbacks). `to`: only for this recipient.
    """

    where: str
    how: str
    times: int = 1
    to: str | None = None
    hang_s: float = 3600.0


class Faults:
    """What was asked for and is not used up. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, where: str, to: str | None = None) -> Fault | None:
        """The fault that is due here, used once."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.where == where and (fault.to is None or fault.to == to):
                    if fault.times > 1:
                        self._faults[index] = Fault(fault.where, fault.how, fault.times - 1, fault.to, fault.hang_s)
                    else:
                        del self._faults[index]
                    return fault
        return None


class _Smtp(SMTP):
    """aiosmtpd's server, which can drop its line."""

    def drop(self) -> None:
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()


class _Handler:
    """Keeps what comes; misbehaves where told."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store, self._faults = store, faults

    async def handle_EHLO(
        self, server: _Smtp, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return await self._answer("connect", server, None, responses[-1], responses)

    async def handle_MAIL(self, server: _Smtp, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return (await self._answer("mail", server, address, "250 2.1.0 Ok", []))[0]

    async def handle_RCPT(self, server: _Smtp, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        said = (await self._answer("rcpt", server, address, "250 2.1.5 Ok", []))[0]
        if said.startswith("2"):
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return said

    async def handle_DATA(self, server: _Smtp, session: Session, envelope: Envelope) -> str:
        to = ", ".join(envelope.rcpt_tos)
        fault = self._faults.take("data", to)
        if fault is not None and fault.how != "lose":
            return (await self._misbehave(fault, server))[0]
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        number = self._keep(raw, envelope.mail_from or "", to)
        if fault is not None:
            server.drop()
        return f"250 2.0.0 Ok: queued as M{number:06d}"

    async def _answer(self, where: str, server: _Smtp, to: str | None, good: str, responses: list[str]) -> list[str]:
        fault = self._faults.take(where, to)
        if fault is None:
            return responses or [good]
        return await self._misbehave(fault, server)

    async def _misbehave(self, fault: Fault, server: _Smtp) -> list[str]:
        if fault.how == "hang":
            await asyncio.sleep(fault.hang_s)
        if fault.how in ("hang", "drop"):
            server.drop()
            return ["421 4.3.2 gone"]
        return [fault.how]

    def _keep(self, raw: bytes, sender: str, to: str) -> int:
        mail = message_from_bytes(raw)  # with the newer policies each header would be parsed by the whole grammar
        bodies = {part.get_content_type(): part for part in reversed([*mail.walk()])}
        message = self._store.keep(
            "email",
            sender,
            to,
            _text(bodies.get("text/plain")),
            subject=_flat(mail["Subject"]),
            ref=_flat(mail["Message-ID"]),
            headers={name: _flat(value) for name, value in mail.items()},
            html=_text(bodies.get("text/html")),
        )
        (self._store.folder / f"{message.number:06d}.eml").write_bytes(raw)
        return message.number


def _flat(value: object) -> str:
    """A header as people read it: unfolded, its encoded words (RFC 2047) decoded."""
    text = "".join(str(value or "").splitlines())
    return str(make_header(decode_header(text))) if "=?" in text else text


def _text(part: Part | None) -> str:
    """What a text says; "" if there is none."""
    content = part.get_payload(decode=True) if part is not None else None
    if part is None or not isinstance(content, bytes):
        return ""
    return content.decode(part.get_content_charset("ascii"), "replace")


class _Controller(Controller):
    def factory(self) -> SMTP:
        return _Smtp(self.handler, **self.SMTP_kwargs)


class MailServer:
    """The SMTP server, in a thread. With `credentials` it wants STARTTLS and a login."""

    def __init__(
        self,
        store: Store,
        faults: Faults,
        port: int,
        *,
        certificate: Path | None = None,
        credentials: tuple[str, str] | None = None,
        implicit_tls: bool = False,
    ) -> None:
        told: dict[str, Any] = {"data_size_limit": 10 * 1024 * 1024, "timeout": 60}
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            if not implicit_tls:
                told |= {"tls_context": context, "require_starttls": True}
        if credentials is not None:
            told |= {"authenticator": _authenticator(credentials), "auth_required": True}
            told |= {"auth_require_tls": not implicit_tls and certificate is not None}
        if implicit_tls:
            told["ssl_context"] = context
        self._controller = _Controller(_Handler(store, faults), hostname="127.0.0.1", port=port, ready_timeout=10, **told)

    def start(self) -> None:
        """Raises OSError if the port is taken."""
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()


def _authenticator(credentials: tuple[str, str]) -> Any:
    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given == credentials, handled=given == credentials)

    return authenticate


def certificate(folder: Path, name: str = "127.0.0.1") -> Path:
    """A certificate of its own for this machine, made at the first call; clients trust it by naming this very file. It holds
    the key too, so only its owner may read it."""
    file = folder / "tls.pem"
    if file.exists():
        return file
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "LoVLA's local mailbox")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(name)), x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / "tls.tmp"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(made.public_bytes(serialization.Encoding.PEM))
        out.write(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
    draft.replace(file)
    return file
