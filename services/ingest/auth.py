"""Who is at the door: an API key, or a DCSA publisher's token and signature. Decides on values; the views are handed in."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.fernet import Fernet, InvalidToken

from schemas.registers_v1 import Account, Secret, Sender
from schemas.words import Scope
from services.ingest.keys import is_live, parse_key, sha256_hex, signing_keys
from services.ingest.problems import Problem

_SIGNATURE = re.compile(r"\s*sha256=([0-9a-fA-F]{64})\s*")
TRYING = "~trying"  # behind a sender's code, which has no tilde: what it tries out
UNKNOWN = "UNKNOWN"
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="lovla"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is: the sender that the credential belongs to, never what the payload says."""

    sender: Sender
    scopes: frozenset[Scope]

    @property
    def operator(self) -> bool:
        return "operator" in self.scopes

    @property
    def sandbox(self) -> bool:
        """Whether nothing that the key sends may move anything."""
        return "sandbox" in self.scopes

    @property
    def meter(self) -> str:
        """Whose rates and room a request counts against: trying out never slows down the sender's live feed."""
        return f"{self.sender.code}{TRYING}" if self.sandbox else self.sender.code

    def trying(self) -> Caller:
        """The same, in the sandbox."""
        return Caller(self.sender, self.scopes | {"sandbox"})

    def need_for_good(self) -> None:
        """Raise Problem 403 for a sandbox key: what it asks for has no harmless form."""
        if self.sandbox:
            raise Problem("no-scope", f"This is a sandbox key of {self.sender.code}: it moves nothing, and this would.")

    def is_named(self, name: str | None) -> None:
        """Raise Problem 403 unless the key is the one of the sender that the client means (Lovla-Sender), if it names one."""
        if name is not None and name != self.sender.code:
            raise Problem(
                "wrong-sender",
                f"The key is {self.sender.code}'s, and the request is meant for {name[:40]}; nothing was taken. What a key "
                "sends counts as its owner's word.",
            )

    def need(self, *any_of: Scope) -> None:
        """Raise Problem 403 unless the key has one of the scopes; an operator's key may do everything but backfill."""
        if self.scopes.isdisjoint(any_of) and not (self.operator and any_of != ("backfill",)):
            raise Problem(
                "no-scope",
                f"The key of {self.sender.code} has scope {', '.join(sorted(self.scopes)) or 'none'}; "
                f"this needs {' or '.join(any_of)}.",
            )


def stranger() -> Caller:
    """Whoever tries a message out without a key."""
    return Caller(Sender(code=UNKNOWN, kind="forwarder", name=UNKNOWN), frozenset({"push", "sandbox"}))


def _refuse(detail: str) -> Problem:
    return Problem("no-credential", detail, headers=_CHALLENGE)


def by_key(authorization: str | None, accounts: Mapping[str, Account], senders: Mapping[str, Sender], now: datetime) -> Caller:
    """The caller of an `Authorization: Bearer lovla_<id>_<secret>` header; raises Problem 401.

    Guarantees: an unknown key, a wrong secret, a revoked or expired key and a sender that was put out of use answer the same.
    """
    if authorization is None:
        raise _refuse("Send the key that `lovla carriers add` printed as `Authorization: Bearer lovla_...`.")
    scheme, _, credential = authorization.partition(" ")
    parsed = parse_key(credential) if scheme.lower() == "bearer" else None
    if parsed is not None:
        key_id, secret = parsed
        account = accounts.get(key_id)
        # the hash is compared for unknown keys too, so that the time taken does not tell which ids exist
        same = hmac.compare_digest(sha256_hex(secret), account.secret_sha256 if account else "0" * 64)
        if account is not None and same and is_live(account, now):
            sender = senders.get(account.sender)
            if sender is not None and sender.active:
                return Caller(sender, frozenset(account.scopes))
    raise _refuse("The key is unknown, revoked or expired.")


class Callbacks:
    """The DCSA publishers' live secrets, decrypted once for each record of the register."""

    def __init__(self, secret_key: bytes) -> None:
        self._fernet = Fernet(secret_key)
        self._decrypted: dict[str, Sequence[bytes]] = {}

    def _secrets(self, kept: Secret) -> list[bytes]:
        if len(self._decrypted) > 10_000:
            self._decrypted.clear()
        found: list[bytes] = []
        for text in kept.encrypted:
            if text not in self._decrypted:
                try:
                    self._decrypted[text] = signing_keys(self._fernet.decrypt(text.encode()).decode())
                except InvalidToken:  # written under another LOVLA_SECRET_KEY: it opens nothing here
                    continue
            found.extend(self._decrypted[text])
        return found

    def addressed(self, token: str, subscription_id: str | None, kept: Iterable[Secret]) -> Secret:
        """The live callback that token and Subscription-ID name, known before the body is read; raises Problem 401."""
        wanted, subscription = sha256_hex(token), (subscription_id or "").strip().lower()
        for secret in kept:
            same = hmac.compare_digest(secret.token_sha256, wanted) and secret.subscription_id.lower() == subscription
            if same and secret.revoked_at is None:
                return secret
        raise _no_publisher()

    def is_callback(self, token: str, kept: Iterable[Secret]) -> bool:
        """Whether the token is that of a live callback: what a publisher asks (HEAD) before it takes a subscription."""
        wanted = sha256_hex(token)
        live = [hmac.compare_digest(secret.token_sha256, wanted) for secret in kept if secret.revoked_at is None]
        return any(live)

    def caller(self, secret: Secret, signature: str | None, body: bytes, senders: Mapping[str, Sender]) -> Caller:
        """The publisher, if one of its live secrets signed exactly these bytes; raises Problem 401, the same as `addressed`."""
        match = _SIGNATURE.fullmatch(signature or "")
        given = bytes.fromhex(match[1]) if match else b""
        sender = senders.get(secret.sender)
        signed = [hmac.compare_digest(hmac.new(key, body, hashlib.sha256).digest(), given) for key in self._secrets(secret)]
        if sender is None or not sender.active or not any(signed):
            raise _no_publisher()
        return Caller(sender, frozenset({"push"}))


def _no_publisher() -> Problem:
    return Problem(
        "no-credential", "Token, Subscription-ID and Notification-Signature do not belong together, or one is missing."
    )
