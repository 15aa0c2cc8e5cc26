"""Which records are in a worker's hands, by partition: what may be committed. Pure.

Faust's own bookkeeping is not used for it: it forgets messages that it holds weakly, calls one done whose handler raised or
was cancelled, commits past one in flight, and takes a failed commit for one that succeeded (tests: alerts/test_faust_*).
A record is added before it is delivered and ends by `finished` alone, which only our own handler calls, at its very end.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

P = TypeVar("P", bound=Hashable)


class Ledger(Generic[P]):
    """Of each partition: the offsets in flight, where it goes on once none is, and what the broker has acknowledged."""

    def __init__(self) -> None:
        self._in_flight: dict[P, set[int]] = {}
        self._next: dict[P, int] = {}
        self._finished: dict[P, int] = {}
        self._committed: dict[P, int] = {}

    def added(self, partition: P, offset: int) -> None:
        """It is about to be delivered. One that was added before is not added again: it is in flight, or done."""
        if offset >= self._next.get(partition, 0):
            self._next[partition] = offset + 1
            self._in_flight.setdefault(partition, set()).add(offset)

    def finished(self, partition: P, offset: int) -> None:
        """All that it gave is written and acknowledged."""
        flying = self._in_flight.get(partition)
        if flying is not None and offset in flying:
            flying.remove(offset)
            self._finished[partition] = max(self._finished.get(partition, -1), offset)

    def committable(self, partition: P) -> int | None:
        """The offset to commit: the lowest in flight, else after the last finished; None: nothing new.

        The offsets between two records that hold none (markers of transactions, aborted, compacted away) are passed by that.
        """
        flying, last = self._in_flight.get(partition), self._finished.get(partition)
        if last is None:
            return None
        offset = min(flying) if flying else last + 1
        return offset if offset > self._committed.get(partition, -1) else None

    def committed(self, offsets: Mapping[P, int]) -> None:
        """The broker has acknowledged it."""
        self._committed.update(offsets)

    def in_flight(self, partition: P) -> int:
        """How many records are neither finished nor forgotten."""
        return len(self._in_flight.get(partition, ()))

    def partitions(self) -> list[P]:
        """Those of which anything was delivered."""
        return list(self._next)

    def clear(self) -> None:
        """The partitions were taken away or given anew: reading starts at what the broker has."""
        for kept in (self._in_flight, self._next, self._finished, self._committed):
            kept.clear()
