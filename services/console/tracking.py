"""What who has a link sees of one consignment: where it stands in words, when it is expected, and nothing else; or of one
hospital: which goods are on their way to it, by day. Pure.

A token is the base64url text of (format, expiry in seconds since 1970, id) and the first 16 bytes of an HMAC-SHA256 over them,
under a key derived from LOVLA_SECRET_KEY. The format says of what the id is, so that neither kind opens the other. Nothing is
stored; another secret ends all links.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from schemas.journey_v1 import Journey

GOOD_FOR: Final = timedelta(days=30)
GOOD_FOR_MOST: Final = timedelta(days=365)
TOKEN_MOST: Final = 400
_HEAD: Final = struct.Struct(">cI")
CONSIGNMENT: Final = b"1"
HOSPITAL: Final = b"2"
_SEAL_BYTES: Final = 16
_PURPOSE: Final = b"lovla tracking v1"

_STEPS: Final = (
    ("Getting ready", ("registered", "at_origin")),
    ("On its way", ("in_transit",)),
    ("At the port", ("at_port",)),
    ("On the road", ("on_the_road",)),
    ("Delivered", ("delivered",)),
)
_SENTENCES: Final = {
    "registered": "It is registered. Nobody has reported a move yet.",
    "at_origin": "It is being made ready where it starts.",
    "in_transit": "It is on its way, by {mode}.",
    "at_port": "It has come to the port, and is being handled there.",
    "on_the_road": "It has left the port, and is on the road.",
    "delivered": "It was delivered.",
    "cancelled": "It was cancelled.",
}
_NOTABLE: Final = timedelta(hours=12)
"""Nearer to the plan than this is on time for who only waits for it."""


class BadToken(ValueError):
    """Not a link of ours, or too old. The text is for whoever followed it."""


def _key(secret: bytes) -> bytes:
    return hmac.new(secret, _PURPOSE, hashlib.sha256).digest()


def token(secret: bytes, about: str, until: datetime, form: bytes = CONSIGNMENT) -> str:
    """A link's last part: opens the page of this consignment (or hospital) alone, until then."""
    packed = _HEAD.pack(form, int(until.timestamp())) + about.encode()
    return _text(packed + hmac.new(_key(secret), packed, hashlib.sha256).digest()[:_SEAL_BYTES])


def opened(secret: bytes, given: str, now: datetime, form: bytes = CONSIGNMENT) -> tuple[str, datetime]:
    """The consignment (or hospital) that a token is of, and until when. Raises BadToken."""
    try:
        raw = base64.b64decode(given.encode("ascii") + b"=" * (-len(given) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raw = b""
    packed, seal = raw[:-_SEAL_BYTES], raw[-_SEAL_BYTES:]
    whole = hmac.compare_digest(seal, hmac.new(_key(secret), packed, hashlib.sha256).digest()[:_SEAL_BYTES])
    if len(given) > TOKEN_MOST or len(packed) <= _HEAD.size or not whole or _text(raw) != given or packed[:1] != form:
        raise BadToken("This link is not whole. Take it from the message again, or ask whoever sent it for another.")
    until = datetime.fromtimestamp(_HEAD.unpack(packed[: _HEAD.size])[1], UTC)
    if now >= until:
        raise BadToken("This link is too old. Ask whoever sent it for another.")
    return packed[_HEAD.size :].decode(), until


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


@dataclass(frozen=True, slots=True)
class Tracked:
    """All that the page says. `steps`: (name, done, here); `heard`: when somebody last told anything."""

    consignment: str
    sentence: str
    expected: str
    steps: list[tuple[str, bool, bool]]
    heard: datetime | None
    is_over: bool


def tracked(journey: Journey, now: datetime, zone: ZoneInfo) -> Tracked:
    """Say it in words. `zone`: of where it is delivered, whose days these are."""
    stage = journey.stage
    at = next((index for index, (_, stages) in enumerate(_STEPS) if stage in stages), -1)
    is_over = stage in ("delivered", "cancelled")
    return Tracked(
        consignment=journey.consignment,
        sentence=_SENTENCES[stage].format(mode=journey.mode),
        expected=_expected(journey, now, zone),
        steps=[]
        if at < 0
        else [(name, index < at or stage == "delivered", index == at) for index, (name, _) in enumerate(_STEPS)],
        heard=journey.last_event_at,
        is_over=is_over,
    )


def _expected(journey: Journey, now: datetime, zone: ZoneInfo) -> str:
    if journey.stage == "cancelled":
        return ""
    expected = journey.expected_delivery
    if expected is None:
        return "Nobody can say yet when it will be delivered."
    day = f"{expected.astimezone(zone):%A, %d %B %Y}"
    if journey.stage == "delivered":
        return f"On {day}."
    if expected < now:
        return f"It was expected on {day}. Nobody has told yet when it will come."
    told = {
        "estimate": f"It is expected on {day}.",
        "plan_and_slip": f"It is expected on {day}, after the delay so far.",
        "plan": f"It is planned for {day}.",
    }.get(journey.expected_basis, f"It is wanted by {day}; nobody has planned it yet.")
    planned = next((state.planned for state in journey.milestones if state.milestone == "delivered" and not state.leg), None)
    if planned is None or expected - planned <= _NOTABLE:
        return told
    days = max(1, round((expected - planned) / timedelta(days=1)))
    return f"{told} That is {days} {'day' if days == 1 else 'days'} later than planned."
