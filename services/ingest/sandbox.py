"""A sandbox key gets the same answers and moves nothing: what it sends is read and judged, and written nowhere.

Its receipts are this process's own: they can be asked for while it remembers them.
"""

from __future__ import annotations

import json
import secrets
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from services.ingest.limits import MIB
from services.runtime.receipts import Position

RECEIPTS_MOST: Final = 1_000
RECEIPTS_BYTES: Final = 8 * MIB
PREFIX: Final = "sandbox-"
_NOWHERE: Final = 65_535  # a partition that no topic of ours has: ids made from it are nobody's


class Sandbox:
    """Answers to sandbox keys; the oldest go first. Of one event loop."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        self._bytes = 0
        self._count = 0

    def position(self) -> Position:
        """A position that no record has."""
        self._count += 1
        return Position(_NOWHERE, self._count)

    def keep(self, sender: str, answer: Mapping[str, Any]) -> str:
        """Remember what `GET /v1/receipts/...` will say; returns the receipt."""
        receipt = PREFIX + secrets.token_urlsafe(18)
        packed = zlib.compress(json.dumps({"receipt": receipt} | dict(answer)).encode(), 1)
        self._kept[receipt] = (sender, packed)
        self._bytes += len(packed)
        while len(self._kept) > RECEIPTS_MOST or self._bytes > RECEIPTS_BYTES:
            _, (_, gone) = self._kept.popitem(last=False)
            self._bytes -= len(gone)
        return receipt

    def receipt(self, sender: str, text: str) -> dict[str, Any] | None:
        """What became of a request of this sender, None if there is no such receipt of its."""
        owner, packed = self._kept.get(text, ("", b""))
        if owner != sender:
            return None
        answer: dict[str, Any] = json.loads(zlib.decompress(packed))
        return answer
