"""Whether the worker still works, judged by what the broker says and not by what Faust believes. Pure.

Faust's consumer has been seen to stop fetching, and to stop committing, without an error (its issues 175, 316, 596). A process
that ends is started again and goes on where the broker says; one that stands still is found by nobody.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

P = TypeVar("P", bound=Hashable)

STUCK_S = 120.0
"""Longer than a rebalance, a restore and a broker's restart together; shorter than what a subscriber would forgive."""


@dataclass(slots=True)
class _Seen:
    committed: int
    end: int
    since_s: float


class Watchdog(Generic[P]):
    """Of each partition: when its committed offset last moved, and whether there was anything new since."""

    def __init__(self, stuck_s: float = STUCK_S) -> None:
        self._stuck_s = stuck_s
        self._seen: dict[P, _Seen] = {}

    def look(self, committed: Mapping[P, int], ends: Mapping[P, int], now_s: float) -> str | None:
        """None, or which partition stands still. `ends`: of the partitions that the worker owns, their high watermarks.

        A log that transactions write ends with a marker that is never committed past: only what came after the offset moved
        last counts as waiting.
        """
        self._seen = {partition: seen for partition, seen in self._seen.items() if partition in ends}
        for partition, end in ends.items():
            offset, seen = committed.get(partition, 0), self._seen.get(partition)
            if seen is None or offset != seen.committed:
                self._seen[partition] = _Seen(offset, end, now_s)
            elif end <= max(seen.end, offset):
                seen.since_s = now_s  # nothing has come
            elif now_s - seen.since_s > self._stuck_s:
                return f"{partition} stands at {offset} for {now_s - seen.since_s:.0f} s, and its end has moved to {end}"
        return None
