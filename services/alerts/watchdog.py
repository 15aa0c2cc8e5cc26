"""Whether the worker still works, judged by what the broker says and not by what Faust believes. Pure.

Faust's consumer has been seen to stop fetching, and to stop committing, without an error (its issues 175, 316, 596). A process
that ends is started again and goes on where the broker says; one that stands still is found by nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

P = TypeVar("P", bound=Hashable)

STUCK_S = 120.0
"""Longer than a rebalance and a broker's restart together; shorter than what a subscriber would forgive."""


@dataclass(slots=True)
class _Seen:
    committed: int
    nothing_before: int
    """Between the committed offset and this one no record lies, only markers."""
    since_s: float


class Watchdog(Generic[P]):
    """Of each partition: how long its committed offset has not moved although a record lies behind it."""

    def __init__(self, stuck_s: float = STUCK_S) -> None:
        self._stuck_s = stuck_s
        self._seen: dict[P, _Seen] = {}

    def look(
        self, committed: Mapping[P, int], ends: Mapping[P, int], now_s: float, holds: Callable[[P, int, int], bool]
    ) -> str | None:
        """None, or which partition stands still. `ends`: of the partitions whose records the worker handles, their high
        watermarks. `holds`: whether a committed record lies in these offsets of a partition; asked only of one that seems to
        stand still, since a log that transactions write ends with markers, which are never committed past.
        """
        self._seen = {partition: seen for partition, seen in self._seen.items() if partition in ends}
        for partition, end in ends.items():
            offset, seen = committed.get(partition, 0), self._seen.get(partition)
            if seen is None or offset != seen.committed:
                self._seen[partition] = _Seen(offset, offset, now_s)
            elif end <= seen.nothing_before:
                seen.since_s = now_s  # nothing has come
            elif now_s - seen.since_s > self._stuck_s:
                if holds(partition, seen.nothing_before, end):
                    return f"{partition} stands at {offset} for {now_s - seen.since_s:.0f} s, and its end is {end}"
                seen.nothing_before, seen.since_s = end, now_s
        return None
