"""A rate from the times at which the broker had each record: the same measure for every stage and every peer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.harness import Meter

SKIP = 0.2
"""The first fifth is start-up: connections, first batches, a virtual machine that still compiles."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many records between two moments (seconds since the epoch)."""

    records: int
    since: float
    until: float

    @property
    def per_s(self) -> float:
        return self.records / max(self.until - self.since, 1e-3)

    def cpu_s_per_million(self, meter: Meter, name: str, events: float | None = None) -> float:
        """CPU seconds of a process for a million records (or for as many events as these records stand for)."""
        return meter.cpu_s(name, self.since, self.until) / (events or self.records) * 1e6


def rate(times: Sequence[float], skip: float = SKIP) -> Rate:
    """Over all but the first `skip` of the records, from the time of the last one skipped."""
    ranked = sorted(times)
    first = int(len(ranked) * skip)
    since = ranked[max(first - 1, 0)]
    later = sum(1 for at in ranked[first:] if at > since)
    return Rate(later, since, ranked[-1])
