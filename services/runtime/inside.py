"""How one of our services proves to another that it is one: a bearer derived from LOVLA_SECRET_KEY, which both have. Pure.

It opens what the address that asks for it says, and nothing else; it stands in no register, and whoever changes the secret key
changes it too. And what httpx needs to be told where we ask our own doors.
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
from functools import cache

_PURPOSE = b"lovla inside v1 "


def bearer(secret: bytes, service: str) -> str:
    """The value of `Authorization` with which `service` comes."""
    return f"Bearer inside_{service}_{hmac.new(secret, _PURPOSE + service.encode(), hashlib.sha256).hexdigest()}"


def is_service(secret: bytes, service: str, authorization: str | None) -> bool:
    """Whether it is `service` that comes; never without a secret key."""
    given = (authorization or "").encode("utf-8", "replace")
    return bool(secret) and hmac.compare_digest(bearer(secret, service).encode(), given)


@cache
def plain() -> ssl.SSLContext:
    """`verify` of a client that asks our own doors, which speak plain HTTP. It trusts nobody: TLS would fail. Without it
    each client reads the certificates of the world, which takes 75 ms of CPU."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
