"""Interchanges whose control number their sender used before, as far as this door remembers: told in answers and receipts.

Kept in the memory of this process, the newest of all senders. A repeat is harmless (what is said twice has one event id), so
it is worth a sentence where its sender looks, and no more: after a restart, and at another door, it is not told here. All of
them are a question to ClickHouse (`lovla interchanges`, `GET /api/v1/interchanges`).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from schemas.base import rfc3339, to_utc
from schemas.shipment_event_v1 import Warning_
from services.ingest.legible import shown
from services.ingest.readers import Interchange
from services.ingest.readers.model import TEXT_MOST
from services.runtime.receipts import Position, Sealer

REMEMBERED: Final = 50_000  # interchanges; some 300 bytes each
TOLD_MOST: Final = 8  # of one message


class Repeats:
    """Where each interchange stood first. Used from the event loop, and read from one thread beside it."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._first: OrderedDict[bytes, tuple[Position, datetime]] = OrderedDict()

    def note(self, sender: str, interchanges: Sequence[Interchange], position: Position, at: datetime) -> None:
        """Remember that these came in the raw record at `position`, written at `at`."""
        for one in _numbered(interchanges):
            self._first.setdefault(_key(sender, one), (position, at))
        while len(self._first) > REMEMBERED:
            self._first.popitem(last=False)

    def told(
        self, sender: str, interchanges: Sequence[Interchange], standing: tuple[Position, datetime] | None = None
    ) -> Sequence[Warning_]:
        """A warning for each that came before. `standing`: where they stand themselves, and since when; None: nowhere yet."""
        return list(self._told(sender, interchanges, standing))[:TOLD_MOST]

    def _told(
        self, sender: str, interchanges: Sequence[Interchange], standing: tuple[Position, datetime] | None
    ) -> Iterator[Warning_]:
        for one in _numbered(interchanges):
            first = self._first.get(_key(sender, one))
            if first is None or (standing is not None and (first[0] == standing[0] or first[1] > standing[1])):
                continue
            before = f"{rfc3339(to_utc(first[1]))}, receipt {self._sealer.seal(first[0])}"
            text = f"interchange {one.number} of {one.named} came before ({before}); what it says again changes nothing"
            yield Warning_(code="interchange_seen_before", where=shown(one.where), text=shown(text, TEXT_MOST))


def _numbered(interchanges: Sequence[Interchange]) -> Iterable[Interchange]:
    return dict.fromkeys(one for one in interchanges if one.number)


def _key(sender: str, one: Interchange) -> bytes:
    return hashlib.blake2b("\0".join((sender, one.named, one.number)).encode("utf-8", "replace"), digest_size=16).digest()
