"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a request that is sent again under its key is answered again.

Kept in the memory of this process: what was answered, packed, for a day, of each sender so much and no more. After a restart
of the door, or once it was pushed out, a key is unknown, and the request is taken anew under a new receipt; yet it counts once.
The same statement has the same event id; a registration is there already; a dock receipt, which alone would count twice,
carries its key into the log (`once` of schemas/raw_message_v1.py), where the same key and words are the same command. Only what
was taken (2xx) is remembered: a refusal may be mended and sent under the same key.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.ingest.limits import KIB, MIB
from services.ingest.problems import Problem

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
KEPT_S = 24 * 3600.0
KEYS_MOST = 10_000  # of all senders
SENDER_BYTES = 4 * MIB  # packed answers of one sender
TOTAL_BYTES = 32 * MIB
ENTRY_BYTES = 1 * KIB  # what an entry costs beside its answer
_KEY = re.compile(r'"([\x20-\x21\x23-\x5b\x5d-\x7e]{1,255})"|([!#-\x2b\x2d-\x3a\x3c-\x7e]{1,255})')  # a string, or a bare word


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, as it went out."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class _Kept:
    """What is known of a key; `packed` None: the first request under it is under way."""

    fingerprint: bytes
    at_s: float
    packed: bytes | None = None
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return ENTRY_BYTES + len(self.packed or b"")


def key_in(header: str | None) -> str | None:
    """The key of a request: a string in quotes, as the draft says, or a bare word, as most send it. Raises Problem 400."""
    if header is None:
        return None
    match = _KEY.fullmatch(header.strip())
    if match is None:
        raise Problem("bad-header", f'{HEADER} holds one string of at most 255 characters, as in {HEADER}: "8e03978e-40d5".')
    return match[1] or match[2]


def fingerprint(*parts: str | bytes | None) -> bytes:
    """What makes two requests the same: a hash over what they say."""
    digest = hashlib.sha256()
    for part in parts:
        said = b"" if part is None else part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(len(said).to_bytes(8, "big") + said)
    return digest.digest()


class Idempotency:
    """The answers of this process, by sender and key; the longest unused goes first. Of one event loop."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._bytes: dict[str, int] = {}
        self._total = 0

    def begin(self, sender: str, key: str, said: bytes, now_s: float) -> Answer | None:
        """The answer that was given before, None for a request that is new: then `keep` or `forget` must follow.

        Raises Problem 409 while the first request under the key is under way, 422 if that one said something else.
        """
        kept = self._kept.get((sender, key))
        if kept is not None and kept.packed is not None and now_s - kept.at_s > KEPT_S:
            self._drop(sender, key)
            kept = None
        if kept is None:
            self._put(sender, key, _Kept(said, now_s))
            return None
        if kept.fingerprint != said:
            text = f"{HEADER} {key[:40]} was used for another request; nothing was taken. Use a new key for each request."
            raise Problem("idempotency-key-reused", text)
        if kept.packed is None:
            raise Problem(
                "idempotency-key-busy", "A request with this key is under way; ask again in a moment.", retry_after_s=1
            )
        self._kept.move_to_end((sender, key))
        return Answer(kept.status, kept.headers, zlib.decompress(kept.packed))

    def keep(self, sender: str, key: str, answer: Answer, now_s: float) -> None:
        """Remember what was answered to the request that `begin` was told of."""
        kept = self._kept.get((sender, key))
        if kept is None:
            return
        said = kept.fingerprint
        self._drop(sender, key)
        self._put(sender, key, _Kept(said, now_s, zlib.compress(answer.body, 1), answer.status, answer.headers))

    def forget(self, sender: str, key: str) -> None:
        """The request that `begin` was told of was not taken: it may come again."""
        kept = self._kept.get((sender, key))
        if kept is not None and kept.packed is None:
            self._drop(sender, key)

    def _put(self, sender: str, key: str, kept: _Kept) -> None:
        self._kept[sender, key] = kept
        self._bytes[sender] = self._bytes.get(sender, 0) + kept.size
        self._total += kept.size
        while self._bytes[sender] > SENDER_BYTES and self._push_out(sender):
            pass
        while (len(self._kept) > KEYS_MOST or self._total > TOTAL_BYTES) and self._push_out(None):
            pass

    def _push_out(self, sender: str | None) -> bool:
        """Forget the longest unused answer (of a sender); False if there is none but what is under way."""
        for owner, key in self._kept:
            if (sender is None or owner == sender) and self._kept[owner, key].packed is not None:
                self._drop(owner, key)
                return True
        return False

    def _drop(self, sender: str, key: str) -> None:
        kept = self._kept.pop((sender, key))
        left = self._bytes[sender] - kept.size
        self._total -= kept.size
        if left:
            self._bytes[sender] = left
        else:
            del self._bytes[sender]
