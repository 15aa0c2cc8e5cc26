"""Mail that comes back: an envelope's sender that says of which message it is (VERP), and what a bounce says (RFC 3464). Pure.

The envelope's sender is `b+SUBSCRIPTION.NOTIFICATION.SEAL@bounces...`; the seal is an HMAC, so nobody can make up a bounce that
suppresses somebody else's address. Only a permanent failure of the mailbox suppresses; a delay says nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default

_PURPOSE = b"lovla bounces v1"
_SEAL_DIGITS = 10
_LOCAL = re.compile(r"^b\+([a-z0-9]{16})\.([0-9a-f]{32})\.([0-9a-f]{10})$")
_STATUS = re.compile(r"^([245])\.(\d{1,3})\.(\d{1,3})")
MOST_BYTES = 1024 * 1024


class NotABounce(ValueError):
    """The message is no report of ours; says why."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """Which message came back, and why. `for_good`: the mailbox is no good, now and later."""

    subscription: str
    notification: str
    action: str
    status: str
    text: str
    for_good: bool


class Verp:
    """Makes and reads the envelope's senders."""

    def __init__(self, secret: bytes, domain: str) -> None:
        self._key = hmac.new(secret, _PURPOSE, hashlib.sha256).digest()
        self._domain = domain

    def sender(self, subscription: str, notification: str) -> str:
        """What a message's envelope is from."""
        return f"b+{subscription}.{notification}.{self._seal(subscription, notification)}@{self._domain}"

    def opened(self, address: str) -> tuple[str, str]:
        """(subscription, notification) of such an address. Raises NotABounce."""
        local = address.strip().strip("<>").rpartition("@")[0].lower()
        match = _LOCAL.fullmatch(local)
        if match is None or not hmac.compare_digest(self._seal(match[1], match[2]), match[3]):
            raise NotABounce("it is not addressed to a sender of ours")
        return match[1], match[2]

    def _seal(self, subscription: str, notification: str) -> str:
        return hmac.new(self._key, f"{subscription} {notification}".encode(), hashlib.sha256).hexdigest()[:_SEAL_DIGITS]


def read(raw: bytes, verp: Verp, envelope_to: Iterable[str] = ()) -> Bounce:
    """What a returned message says. `envelope_to`: whom it was delivered to, where that is known; else its headers say.

    Raises NotABounce: not ours, not sealed, not a report of a failure or delay.
    """
    if len(raw) > MOST_BYTES:
        raise NotABounce("it is larger than a report is")
    mail = message_from_bytes(raw, policy=default)
    subscription, notification = _whose(mail, verp, envelope_to)
    report = next((part for part in mail.walk() if part.get_content_type() == "message/delivery-status"), None)
    if report is None:
        raise NotABounce("it holds no delivery report (RFC 3464)")
    for fields in _per_recipient(report):
        action = str(fields.get("Action", "")).strip().lower()
        status = str(fields.get("Status", "")).strip()
        match = _STATUS.match(status)
        if action not in ("failed", "delayed") or match is None:
            continue
        text = str(fields.get("Diagnostic-Code", ""))
        for_good = action == "failed" and match[1] == "5" and match[2] in ("1", "2") and status not in ("5.2.2", "5.2.3")
        return Bounce(subscription, notification, action, match[0], text, for_good)
    raise NotABounce("its report says neither that it failed nor that it is delayed")


def _whose(mail: Message, verp: Verp, envelope_to: Iterable[str]) -> tuple[str, str]:
    named = [*envelope_to, *(str(mail[name]) for name in ("Delivered-To", "X-Original-To", "To") if mail[name])]
    for address in named:
        try:
            return verp.opened(address)
        except NotABounce:
            continue
    raise NotABounce("it is not addressed to a sender of ours")


def _per_recipient(report: Message) -> list[Message]:
    """The groups of fields after the first, which is about the message."""
    payload = report.get_payload()
    return list(payload[1:]) if isinstance(payload, list) else []  # type: ignore[arg-type]  # of this type they are messages


def report(
    to: str, original: bytes, recipient: str, status: str, diagnostic: str, reporting: str = "mailbox.example"
) -> EmailMessage:
    """A report as a mail server writes one (RFC 3464), for the local mailbox and tests."""
    mail = EmailMessage()
    mail["From"] = f"MAILER-DAEMON@{reporting}"
    mail["To"] = to
    mail["Subject"] = "Undelivered mail returned to sender"
    mail["Auto-Submitted"] = "auto-replied"
    mail.make_mixed()
    mail.replace_header("Content-Type", 'multipart/report; report-type="delivery-status"')
    words = EmailMessage()
    words.set_content(f"Your message could not be delivered.\n\n{diagnostic}\n")
    machine = EmailMessage()
    machine["Content-Type"] = "message/delivery-status"
    about, one = Message(), Message()
    about["Reporting-MTA"] = f"dns; {reporting}"
    one["Final-Recipient"] = f"rfc822; {recipient}"
    one["Action"] = "failed" if status.startswith("5") else "delayed"
    one["Status"] = status
    one["Diagnostic-Code"] = f"smtp; {diagnostic}"
    machine.set_payload([about, one])
    headers = EmailMessage()
    headers.set_content(original.partition(b"\r\n\r\n")[0].decode("ascii", "replace"), subtype="rfc822-headers")
    for part in (words, machine, headers):
        mail.attach(part)
    return mail
