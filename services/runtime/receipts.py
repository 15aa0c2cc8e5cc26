"""Receipts: the place of a raw record, sealed, so that it can be handed to anyone and nobody can make one up.

A receipt is the base64url text of (version, partition, offset) and the first 16 bytes of an HMAC-SHA256 over them, under
a key derived from LOVLA_SECRET_KEY. Nothing is stored: the record itself says who sent it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass

_FORMAT = struct.Struct(">BHQ")  # version, partition, offset
_VERSION = 1
_SEAL_BYTES = 16  # 128 bits: not to be guessed, and the receipt stays 36 characters long
_PURPOSE = b"lovla receipts v1"


class NotAReceipt(ValueError):
    """The text is no receipt of ours."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a raw record stands in raw.messages."""

    partition: int
    offset: int


class Sealer:
    """Seals and opens receipts under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.new(secret, _PURPOSE, hashlib.sha256).digest()

    def _seal(self, packed: bytes) -> bytes:
        return hmac.new(self._key, packed, hashlib.sha256).digest()[:_SEAL_BYTES]

    def seal(self, position: Position) -> str:
        """The receipt of the record at `position`."""
        packed = _FORMAT.pack(_VERSION, position.partition, position.offset)
        return base64.urlsafe_b64encode(packed + self._seal(packed)).rstrip(b"=").decode("ascii")

    def open(self, receipt: str) -> Position:
        """The position in a receipt; raises NotAReceipt if it is not one of ours."""
        try:
            raw = base64.b64decode(receipt.encode("ascii") + b"=" * (-len(receipt) % 4), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error) as error:
            raise NotAReceipt(receipt) from error
        packed, seal = raw[: _FORMAT.size], raw[_FORMAT.size :]
        if len(packed) != _FORMAT.size or not hmac.compare_digest(seal, self._seal(packed)):
            raise NotAReceipt(receipt)
        version, partition, offset = _FORMAT.unpack(packed)
        if version != _VERSION:
            raise NotAReceipt(receipt)
        return Position(partition, offset)
