"""Mail handed to an SMTP server: a pool of connections, and what its answers mean.

The commands are sent one by one, because it matters in which an answer was lost: before the message was handed over (the dot
after DATA) nothing was sent; after it nobody knows, and the same Message-ID goes again.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from aiosmtplib import SMTP, SMTPException, SMTPResponseException
from aiosmtplib.errors import SMTPAuthenticationError, SMTPServerDisconnected, SMTPTimeoutError
from aiosmtplib.typing import SMTPStatus

from services.alerts.attempts import Answer
from services.alerts.delivery_settings import DeliverySettings

MOST_A_CONNECTION = 100
IDLE_S = 20.0  # servers close an idle connection after some minutes; by then ours is gone
_ENHANCED = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_BAD_MAILBOX = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
"""The address itself is no good (RFC 3463, 3.2 and 3.3; RFC 7505), now and later."""
_GREYLISTED = re.compile(r"gr[ae]y\s*-?\s*list|try again|4\.7\.1", re.IGNORECASE)


class Smtp:
    """The port to a mail server."""

    name = "smtp"

    def __init__(self, settings: DeliverySettings, local_hostname: str | None = None) -> None:
        self._settings = settings
        self._local_hostname = local_hostname or settings.mail_from.rpartition("@")[2]
        self._tls: ssl.SSLContext | None = None
        self._idle: list[tuple[SMTP, int, float]] = []
        self._room = asyncio.Semaphore(settings.smtp_connections)

    async def send(self, content: bytes, to: str, envelope_from: str) -> Answer:
        """Hand one message over. Never raises: what went wrong is an answer."""
        stage = "connect"

        async def begin(client: SMTP) -> None:
            nonlocal stage
            stage = "mail"
            await client.mail(envelope_from, options=[f"SIZE={len(content)}"] if client.supports_extension("size") else [])

        try:
            async with self._connection(begin) as client:
                stage = "rcpt"
                await client.rcpt(to)
                stage = "data"
                said = await client.data(content)
        except SMTPAuthenticationError as error:
            return Answer("away", "not_authenticated", f"{error.code} {error.message}")
        except SMTPResponseException as error:
            return answer_of(error.code, error.message, stage)
        except (SMTPTimeoutError, TimeoutError):
            return _lost(stage, "timeout", f"no answer to {stage.upper()} within {self._settings.smtp_timeout_s:.0f} s")
        except SMTPServerDisconnected as error:
            return _lost(stage, "disconnected", f"the line was dropped at {stage.upper()}: {error}")
        except (SMTPException, OSError, ssl.SSLError) as error:
            return _lost(stage, "not_reached", f"{type(error).__name__} at {stage.upper()}: {error}")
        return Answer("accepted", "accepted", f"{said.code} {said.message}", provider_ref=_queue_id(said.message))

    async def close(self) -> None:
        """End the idle connections."""
        while self._idle:
            client, _, _ = self._idle.pop()
            await _end(client)

    @asynccontextmanager
    async def _connection(self, begin: Callable[[SMTP], Awaitable[None]]) -> AsyncIterator[SMTP]:
        """One on which a message has begun."""
        async with self._room:
            client, used = await self._begun(begin)
            try:
                yield client
            except SMTPResponseException as error:
                await self._refused(client, used, error)
                raise
            except BaseException:
                client.close()
                raise
            self._give_back(client, used)

    async def _begun(self, begin: Callable[[SMTP], Awaitable[None]]) -> tuple[SMTP, int]:
        """Whether the server has ended an idle connection is seen by the first word on it: then another is taken."""
        while True:
            client, used = await self._take()
            try:
                await begin(client)
                return client, used
            except SMTPResponseException as error:
                await self._refused(client, used, error)
                if used == 1 or error.code != SMTPStatus.domain_unavailable:
                    raise
            except (SMTPException, OSError):
                client.close()
                if used == 1:
                    raise
            except BaseException:
                client.close()
                raise

    async def _take(self) -> tuple[SMTP, int]:
        """An idle connection, else a new one; and the number of this message on it."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            client, used, since = self._idle.pop()
            if client.is_connected and now - since < IDLE_S and used < MOST_A_CONNECTION:
                return client, used + 1
            await _end(client)
        told = self._settings
        if told.smtp_tls != "none" and self._tls is None:  # at the first connection: the certificates may come after us
            self._tls = ssl.create_default_context(cafile=str(told.smtp_ca) if told.smtp_ca else None)
        client = SMTP(
            hostname=told.smtp_host,
            port=told.smtp_port,
            timeout=told.smtp_timeout_s,
            use_tls=told.smtp_tls == "implicit",
            start_tls=told.smtp_tls == "starttls",
            tls_context=self._tls,
            local_hostname=self._local_hostname,
        )
        try:
            await client.connect()
            if told.smtp_user is not None and told.smtp_password is not None:
                await client.login(told.smtp_user, told.smtp_password.get_secret_value())
        except BaseException:
            client.close()
            raise
        return client, 1

    async def _refused(self, client: SMTP, used: int, error: SMTPResponseException) -> None:
        if error.code == SMTPStatus.domain_unavailable:  # it closes the line itself
            client.close()
            return
        try:
            await client.rset()  # else the next message would begin within this one
        except (SMTPException, OSError):
            client.close()
        else:
            self._give_back(client, used)

    def _give_back(self, client: SMTP, used: int) -> None:
        if client.is_connected:
            self._idle.append((client, used, asyncio.get_running_loop().time()))


async def _end(client: SMTP) -> None:
    with suppress(SMTPException, OSError):
        await client.quit()
    client.close()


def answer_of(code: int, text: str, stage: str) -> Answer:
    """What a refusal means (RFC 5321, 4.2.1 and 4.3.2; RFC 3463). Pure."""
    said = f"{code} {text}"
    enhanced = match[1] if (match := _ENHANCED.search(text)) else ""
    if code == SMTPStatus.domain_unavailable or stage in ("connect", "mail"):
        # of the connection or of our own sender: it says nothing of the address. (A 5xx here is our own configuration.)
        return Answer("away", "provider_busy" if 400 <= code < 500 else "provider_refuses_us", said)
    if 400 <= code < 500:
        greylisted = code in (450, 451) and _GREYLISTED.search(text) is not None
        return Answer("later", "greylisted" if greylisted else "mailbox_busy", said)
    bad_mailbox = enhanced in _BAD_MAILBOX or (not enhanced and code in (550, 551, 553) and stage == "rcpt")
    if bad_mailbox and stage == "rcpt":
        return Answer("refused", "no_such_mailbox", said, suppress="bounced")
    return Answer("refused", "mail_refused", said)


def _lost(stage: str, reason: str, text: str) -> Answer:
    return Answer("unknown" if stage == "data" else "away", reason, text)


def _queue_id(text: str) -> str | None:
    """The server's own id of the message, where it says one: "2.0.0 Ok: queued as 4F2A..."."""
    match = re.search(r"(?:queued as|id[=:])\s*<?([\w.@-]{4,100})", text, re.IGNORECASE)
    return match[1] if match else None
