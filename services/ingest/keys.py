"""Making credentials: API keys (only the hash of the secret is kept) and DCSA callbacks (secrets are kept encrypted)."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import string
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.fernet import Fernet

from schemas.registers_v1 import Account, Secret
from schemas.words import Scope

_ID_ALPHABET = string.ascii_lowercase + string.digits
_ID_LENGTH = 12
_KEY = re.compile(r"lovla_(?P<key_id>[a-z0-9]{12})_(?P<secret>[A-Za-z0-9_-]{43})")
SECRET_BYTES = 48
SECRET_LEAST_BYTES = 16  # what decodes to less is text that happens to look like Base64
LIVE_KEYS = 2  # one in use and its successor, so that a sender can rotate without a gap


def _new_id() -> str:
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))


def sha256_hex(text: str) -> str:
    """SHA-256 of a secret. A plain hash is enough: the secrets are 256 random bits, there is nothing to guess."""
    return hashlib.sha256(text.encode()).hexdigest()


def parse_key(text: str) -> tuple[str, str] | None:
    """(key_id, secret) of `lovla_<key_id>_<secret>`, None if the text is no such key."""
    match = _KEY.fullmatch(text.strip())
    return (match["key_id"], match["secret"]) if match else None


def make_key(
    sender: str, scopes: Sequence[Scope], now: datetime, label: str | None = None, expires_at: datetime | None = None
) -> tuple[str, Account]:
    """A new key as the sender gets it, once, and the account that is kept."""
    key_id, secret = _new_id(), secrets.token_urlsafe(32)
    account = Account(
        key_id=key_id,
        sender=sender,
        secret_sha256=sha256_hex(secret),
        scopes=tuple(scopes),
        created_at=now,
        expires_at=expires_at,
        label=label,
    )
    return f"lovla_{key_id}_{secret}", account


def is_live(account: Account, now: datetime) -> bool:
    """Neither revoked nor expired at `now`."""
    return account.revoked_at is None and (account.expires_at is None or now < account.expires_at)


@dataclass(frozen=True, slots=True)
class Callback:
    """What a DCSA publisher is told once: the path to push to, its subscription id, and the secret to sign with."""

    path: str
    token: str
    subscription_id: str
    secret: str


def signing_keys(secret: str) -> Sequence[bytes]:
    """The bytes that a publisher may sign with. DCSA's `secret` is Base64 (`format: byte`) and the bytes in it are the key, as
    its own implementation takes them; publishers that sign with the text itself are understood too."""
    text = secret.encode()
    try:
        inner = base64.b64decode(text, validate=True)
    except ValueError:
        return (text,)
    return (inner, text) if len(inner) >= SECRET_LEAST_BYTES else (text,)


def make_secret() -> str:
    """A new secret as DCSA asks for it: Base64 of 32 to 64 bytes."""
    return base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def make_callback(
    sender: str, secret_key: bytes, now: datetime, subscription_id: str | None = None, secret: str | None = None
) -> tuple[Callback, Secret]:
    """A new callback of a DCSA publisher, and the record that is kept (its secret encrypted under LOVLA_SECRET_KEY).

    `subscription_id` and `secret` are given where the publisher chose them.
    """
    token = secrets.token_urlsafe(32)
    secret = secret or make_secret()
    subscription_id = subscription_id or str(uuid.uuid4())
    kept = Secret(
        secret_id=_new_id(),
        sender=sender,
        token_sha256=sha256_hex(token),
        subscription_id=subscription_id,
        encrypted=(Fernet(secret_key).encrypt(secret.encode()).decode(),),
        created_at=now,
    )
    return Callback(f"/v2/dcsa/{token}/events", token, subscription_id, secret), kept


def rotate_secret(kept: Secret, secret_key: bytes, secret: str | None = None) -> tuple[str, Secret]:
    """A further secret for the same callback: it and the newest before it are live, an older one is not."""
    secret = secret or make_secret()
    encrypted = Fernet(secret_key).encrypt(secret.encode()).decode()
    return secret, kept.model_copy(update={"encrypted": (encrypted, *kept.encrypted)[:LIVE_KEYS]})
