"""Signed links and codes: who holds one may do that one thing, without a password. Pure; nothing is stored.

A token is the base64url text of (what for, subscription, a time, the notification if it acknowledges one) and the first 16
bytes of an HMAC-SHA256 over them, under a key derived from LOVLA_SECRET_KEY. The sender derives link and code when it sends, so
none of them stands in a topic. GET of any link only shows a page: mail scanners follow links.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from schemas.alerts_v1 import Subscription

Purpose = Literal["confirm", "manage", "unsubscribe", "acknowledge"]

CONFIRM_FOR: Final = timedelta(hours=48)
CODE_FOR: Final = timedelta(minutes=15)
MANAGE_FOR: Final = timedelta(days=60)  # a forwarded message must not be a key for ever; every newer one holds a fresh link
WRONG_CODES_MOST: Final = 5  # of a million codes, within 15 minutes
_LETTERS: Final[dict[Purpose, bytes]] = {"confirm": b"c", "manage": b"m", "unsubscribe": b"u", "acknowledge": b"a"}
_PATHS: Final[dict[Purpose, str]] = {"confirm": "confirm", "manage": "manage", "unsubscribe": "u", "acknowledge": "ack"}
_HEAD = struct.Struct(">c16sI")  # what for, subscription, seconds since 1970
_SEAL_BYTES = 16
_LINKS, _CODES, _WEBHOOKS = b"lovla links v1", b"lovla codes v1", b"lovla webhooks v1"


class BadLink(ValueError):
    """The token is not one of ours, or for something else. The text is for whoever followed it."""


class OldLink(BadLink):
    """It was ours, and its time is over."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What a good token says."""

    subscription: str
    at: datetime
    notification: str | None = None


class Links:
    """Makes and opens links under one secret. `base_url`: what subscribers reach us by, without a slash at its end."""

    def __init__(self, secret: bytes, base_url: str) -> None:
        self._base_url = base_url
        self._links, self._codes, self._webhooks = (
            hmac.new(secret, purpose, hashlib.sha256).digest() for purpose in (_LINKS, _CODES, _WEBHOOKS)
        )

    # --- making

    def confirm(self, subscription: Subscription) -> str:
        """The link of a request for opt-in; good for CONFIRM_FOR after it was asked."""
        return self._link("confirm", subscription.subscription, _asked_at(subscription))

    def code(self, subscription: Subscription) -> str:
        """The six digits of a request for opt-in by SMS; good for CODE_FOR after it was asked."""
        said = f"{subscription.subscription} {subscription.address_hash} {_seconds(_asked_at(subscription))}"
        digest = hmac.new(self._codes, said.encode(), hashlib.sha256).digest()
        return f"{int.from_bytes(digest[:8], 'big') % 1_000_000:06d}"

    def manage(self, subscription: str, now: datetime) -> str:
        """The link to change or stop; good for MANAGE_FOR."""
        return self._link("manage", subscription, now)

    def unsubscribe(self, subscription: str) -> str:
        """The link of List-Unsubscribe (RFC 8058: POST stops, GET shows a page); it never grows old."""
        return self._link("unsubscribe", subscription, datetime.fromtimestamp(0, UTC))

    def acknowledge(self, subscription: str, notification: str, now: datetime) -> str:
        """The link by which somebody says that they take care of it; good for MANAGE_FOR."""
        return self._link("acknowledge", subscription, now, notification)

    def webhook_secret(self, subscription: str) -> str:
        """The secret that a webhook's messages are signed with, as Standard Webhooks writes one."""
        digest = hmac.new(self._webhooks, subscription.encode(), hashlib.sha256).digest()
        return f"whsec_{base64.b64encode(digest).decode('ascii')}"

    def _link(self, purpose: Purpose, subscription: str, at: datetime, notification: str | None = None) -> str:
        packed = _HEAD.pack(_LETTERS[purpose], subscription.encode("ascii"), _seconds(at)) + bytes.fromhex(notification or "")
        return f"{self._base_url}/{_PATHS[purpose]}/{_text(packed + self._seal(packed))}"

    def _seal(self, packed: bytes) -> bytes:
        return hmac.new(self._links, packed, hashlib.sha256).digest()[:_SEAL_BYTES]

    # --- opening

    def open(self, purpose: Purpose, token: str, now: datetime) -> Opened:
        """What a token says; raises BadLink, OldLink."""
        try:
            raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raw = b""
        packed, seal = raw[:-_SEAL_BYTES], raw[-_SEAL_BYTES:]
        if (
            len(packed) not in (_HEAD.size, _HEAD.size + 16)
            or _text(raw) != token
            or not hmac.compare_digest(seal, self._seal(packed))
        ):
            raise BadLink("This link is not whole; take it from the message again.")
        letter, subscription, seconds = _HEAD.unpack(packed[: _HEAD.size])
        if letter != _LETTERS[purpose]:
            raise BadLink("This link is for something else.")
        at = datetime.fromtimestamp(seconds, UTC)
        good_for = {"confirm": CONFIRM_FOR, "manage": MANAGE_FOR, "acknowledge": MANAGE_FOR}.get(purpose)
        if good_for is not None and now >= at + good_for:
            raise OldLink("This link is too old; every newer message holds a fresh one.")
        return Opened(subscription.decode("ascii"), at, packed[_HEAD.size :].hex() or None)

    def is_code(self, subscription: Subscription, given: str, now: datetime) -> bool:
        """Whether these are the digits that were sent last, in time. Who calls counts the wrong ones: WRONG_CODES_MOST."""
        if subscription.asked_at is None or now >= subscription.asked_at + CODE_FOR:
            return False
        digits = "".join(given.split()).replace("-", "")
        return hmac.compare_digest(self.code(subscription).encode(), digits.encode("utf-8", "replace"))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _asked_at(subscription: Subscription) -> datetime:
    if subscription.asked_at is None:
        raise ValueError(f"{subscription.subscription} was never asked to confirm")
    return subscription.asked_at


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
