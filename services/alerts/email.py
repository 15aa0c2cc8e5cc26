"""A notification as an email: text and HTML from templates, and the headers by which mail programs know what it is. Pure.

The bytes are put together here: Python's email package parses every header that it is given by the whole grammar of RFC 5322,
which took three quarters of a message's time. It still writes the headers that hold what others wrote.

The bytes are a function of notification and subscription: sent again after a crash they are the same, with the same Message-ID,
so that whoever keeps mail shows it once (RFC 5322, 3.6.4). List-Unsubscribe-Post: RFC 8058, whose GET never unsubscribes;
Auto-Submitted: RFC 3834. (Signing by DKIM is the mail server's part: it must cover both List-Unsubscribe headers.)
"""

from __future__ import annotations

import hashlib
import re
from binascii import b2a_qp
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, tzinfo
from email.headerregistry import Address
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context, select_autoescape
from jinja2.runtime import Context
from markupsafe import Markup, escape

from schemas.alerts_v1 import Item, Notification, Subscription
from services.alerts.languages import Language, language
from services.alerts.links import Links

SUBJECT_MOST = 150
POLICY = SMTP.clone(max_line_length=998)
COLOURS = {"critical": "#b00020", "major": "#b25000", "minor": "#0b5cad"}
_BREAKS = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Mailer:
    """Who mail is from. `bounces`: the domain of the envelope's sender, which returns what could not be delivered."""

    name: str
    address: str
    bounces: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Mail:
    """As it is handed over: `content` are its bytes, lines ended by CRLF."""

    message_id: str
    content: bytes


def message_id(notification: str, address_hash: str, domain: str) -> str:
    """The same for the same notification to the same address, whenever it is sent."""
    digest = hashlib.sha256(f"{notification} {address_hash}".encode()).hexdigest()[:32]
    return f"<{digest}@{domain}>"


def thread_id(subscription: str, thread: str, domain: str) -> str:
    """The message that all of a thread answer; nobody ever sent it, and mail programs group by it nevertheless."""
    digest = hashlib.sha256(f"{subscription} {thread}".encode()).hexdigest()[:32]
    return f"<thread.{digest}@{domain}>"


def one_line(text: str, most: int = SUBJECT_MOST) -> str:
    """Text for a header: no line break of any kind, so that nothing in it can begin another header."""
    flat = " ".join(_BREAKS.sub(" ", text).split())
    return flat if len(flat) <= most else flat[: most - 1].rstrip() + "…"


def write(notification: Notification, subscription: Subscription, links: Links, mailer: Mailer) -> Mail:
    """The message. Raises ValueError if the address cannot stand in a header."""
    kind = "confirm" if notification.purpose == "confirm" else "alert"
    said = _said(notification, subscription, links)
    subject = one_line(_template(f"{kind}.subject.txt").render(said))
    said["subject"] = subject
    id = message_id(notification.notification, subscription.address_hash, mailer.domain)
    boundary = f"=_{notification.notification}"  # nothing that is quoted-printable holds it
    lines = [
        _sender(mailer),
        _line("To", str(Address(addr_spec=subscription.address))),
        _line("Subject", subject) if subject.isascii() else _encoded("Subject", subject),
        _line("Date", format_datetime(notification.due_at)),
        _line("Message-ID", id),
    ]
    if notification.thread is not None:
        root = thread_id(subscription.subscription, notification.thread, mailer.domain)
        lines += [_line("In-Reply-To", root), _line("References", root)]
    lines += [_line("Auto-Submitted", "auto-generated"), _line("X-Auto-Response-Suppress", "All")]
    if kind != "confirm":  # nobody is subscribed yet
        lines += [
            _line("List-ID", f"LoVLA alerts <alerts.{mailer.domain}>"),
            _line("List-Unsubscribe", f"<{said['unsubscribe']}>"),
            _line("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ]
    if notification.severity == "critical":
        lines.append(_line("Importance", "high"))
    lines += [_line("MIME-Version", "1.0"), _line("Content-Type", f'multipart/alternative; boundary="{boundary}"')]
    lines += _part(boundary, "plain", _template(f"{kind}.body.txt").render(said))
    lines += _part(boundary, "html", _template(f"{kind}.body.html").render(said))
    return Mail(id, b"".join([*lines, f"\r\n--{boundary}--\r\n".encode()]))


def _line(name: str, value: str) -> bytes:
    """A header. Raises ValueError for what must be encoded first, or would begin another one."""
    if _BREAKS.search(value):
        raise ValueError(f"a line break in {name}")
    return f"{name}: {value}\r\n".encode("ascii")


def _encoded(name: str, value: str | Address) -> bytes:
    """A header with its words encoded where they must be (RFC 2047)."""
    return POLICY.fold_binary(*POLICY.header_store_parse(name, value))


@cache
def _sender(mailer: Mailer) -> bytes:
    return _encoded("From", Address(mailer.name, addr_spec=mailer.address))


def _part(boundary: str, subtype: str, text: str) -> Iterator[bytes]:
    """One of the two bodies. Lines of at most 76 characters (RFC 2045, 6.7)."""
    yield f"\r\n--{boundary}\r\n".encode()
    yield _line("Content-Type", f'text/{subtype}; charset="utf-8"')
    yield _line("Content-Transfer-Encoding", "quoted-printable")
    yield b"\r\n" + b2a_qp(b"".join(line + b"\r\n" for line in text.encode().splitlines()))


def _said(notification: Notification, subscription: Subscription, links: Links) -> dict[str, object]:
    name, at = subscription.subscription, notification.due_at
    zone = _zone(subscription)
    speech = language(subscription.language)
    said: dict[str, object] = {
        "speech": speech,
        "language": speech.code,
        "subject": notification.subject,
        "text": notification.text.strip(),
        "paragraphs": [part.strip() for part in notification.text.split("\n\n") if part.strip()],
        "items": notification.items,
        "more": max(0, notification.count - len(notification.items)) if notification.items else 0,
        "colour": COLOURS.get(notification.severity or "", "#555555"),
        "zone": zone,
        "notification": notification.notification,
        "due": speech.day(at, zone),
    }
    if notification.purpose == "confirm":
        return said | {"confirm": links.confirm(subscription)}
    return said | {
        "manage": links.manage(name, at),  # by the due time, not by now: the same bytes whenever it is sent
        "unsubscribe": links.unsubscribe(name),
        "acknowledge": links.acknowledge(name, notification.notification, at) if notification.code else None,
    }


def _zone(subscription: Subscription) -> tzinfo:
    try:
        return ZoneInfo(subscription.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _facts(item: Item, zone: tzinfo, speech: Language) -> Iterator[tuple[str, str]]:
    """What of an item its sentence may have left out."""
    if item.place or item.facility:
        yield speech.say("mail.where"), " · ".join(filter(None, (item.place, item.facility)))
    if item.since is not None:
        yield speech.say("mail.since"), speech.day(item.since, zone)
    if item.until is not None:
        yield speech.say("mail.until"), speech.day(item.until, zone)
    if item.hours_late is not None:
        yield speech.say("mail.late_by"), speech.hours(item.hours_late)
    if item.next is not None:
        yield speech.say("mail.next"), item.next


@pass_context
def _lines(context: Context, text: str) -> Markup:
    return Markup("<br>\n").join(escape(line) for line in text.splitlines())


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("services.alerts"),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"colour": lambda severity: COLOURS.get(severity, "#555555"), "facts": _facts, "lines": _lines}
    return made


@cache
def _template(name: str):  # type: ignore[no-untyped-def]  # jinja2's own type is inferred
    return _environment().get_template(name)
