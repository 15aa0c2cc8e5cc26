"""Addresses: one way to write each, and the keyed hash by which everything but `subscriptions.v1` knows it. Pure.

The hash is an HMAC under a key derived from LOVLA_SECRET_KEY: whoever reads the logs cannot try all phone numbers against it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from urllib.parse import urlsplit

from schemas.alerts_v1 import Channel, Subscription

_PURPOSE = b"lovla address hash v1"
_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_PHONE = re.compile(r"\+[1-9]\d{6,14}")  # E.164
_PHONE_PUNCTUATION = str.maketrans("", "", " -.()/\u00a0\u2009\u202f\u2010\u2011")


class BadAddress(ValueError):
    """The text is no address of that channel; says what is expected. Never quotes it."""


def normalise(channel: Channel, text: str) -> str:
    """The one way in which an address is written: what is sent to. Raises BadAddress.

    Email (RFC 5321, without quoted local parts and address literals): the domain in lower case, as ASCII. SMS: E.164.
    """
    if channel == "email":
        return _email(text.strip())
    if channel == "sms":
        number = text.strip().translate(_PHONE_PUNCTUATION)
        if not _PHONE.fullmatch(number):
            raise BadAddress("a phone number with its country is expected, like +1 213 555 0123")
        return number
    return _url(text.strip())


def _email(text: str) -> str:
    local, at, domain = text.rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        ascii_domain = ""
    labels = ascii_domain.split(".")
    good = at and _LOCAL.fullmatch(local) and not (local.startswith(".") or local.endswith(".") or ".." in local)
    if not good or len(labels) < 2 or labels[-1].isdigit() or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadAddress("an email address is expected, like name@hospital.example")
    address = f"{local}@{ascii_domain}"
    if len(address) > 254:  # RFC 5321, 4.5.3.1.3, less the angle brackets
        raise BadAddress("an email address has at most 254 characters")
    return address


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  # raises where it is no number
    except ValueError:
        raise BadAddress("an address like https://example.org/hook is expected") from None
    plain = text.isascii() and text.isprintable() and " " not in text
    if not plain or parts.scheme not in ("https", "http") or not parts.hostname or len(text) > 500:
        raise BadAddress("an address like https://example.org/hook is expected, at most 500 characters")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise BadAddress("a webhook's address holds neither a user, nor a password, nor a fragment")
    return text


class Hasher:
    """Makes the keyed hash of an address."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.new(secret, _PURPOSE, hashlib.sha256).digest()

    def of(self, channel: Channel, address: str) -> str:
        """64 hex digits. `address` as `normalise` writes it; the case of an email's local part does not count."""
        same = address.lower() if channel == "email" else address
        return hmac.new(self._key, f"{channel}:{same}".encode(), hashlib.sha256).hexdigest()


def masked(subscription: Subscription) -> str:
    """Enough of the address for its owner to know it again, too little for anybody else to write to it."""
    if subscription.channel == "sms":
        return f"…{subscription.address[-3:]}"
    if subscription.channel == "email":
        local, _, domain = subscription.address.rpartition("@")
        return f"{local[:1]}…@{domain}"
    return f"{urlsplit(subscription.address).hostname}"
