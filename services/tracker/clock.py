"""T, the pipeline's time, and our outages, from the ticks that travel in band. No process's own clock counts.

T = the least, over all pairs (raw partition, partition read), of the LogAppendTime of the last tick read there; it never goes
back, and is unknown until each pair has spoken. So whatever was received before T has been read.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache

from services.tracker.records import Clock, Control, Outage

OUTAGE_AFTER = timedelta(seconds=60)
OUTAGES_KEPT = 1_000
NEVER = datetime(9000, 1, 1, tzinfo=UTC)

Pair = tuple[int, str, int]
"""(raw partition, topic, partition read)."""


@cache  # asked for with every tick, and there are few
def pair_key(pair: Pair) -> str:
    return f"{pair[0]}/{pair[1]}/{pair[2]}"


class PipelineTime:
    """Holds the ticks of one shard. Mutable, copied for a batch (`copy`) and kept only after the commit."""

    def __init__(self, pairs: Iterable[Pair], witness: tuple[str, int]) -> None:
        """`pairs`: all that must speak; `witness`: the (topic, partition) on which gaps between ticks are measured."""
        self._pairs = tuple(sorted(pair_key(pair) for pair in pairs))
        self._witness = witness
        self.ticks: dict[str, datetime] = {}
        self._now: datetime | None = None
        self.outages: tuple[Outage, ...] = ()
        self.parked: dict[str, datetime] = {}
        self.unparked: dict[str, Outage] = {}
        self.load_end: datetime | None = None

    def copy(self) -> PipelineTime:
        other = PipelineTime((), self._witness)
        other._pairs = self._pairs
        other.ticks = dict(self.ticks)
        other.outages = self.outages
        other.parked = dict(self.parked)
        other.unparked = dict(self.unparked)
        other.load_end = self.load_end
        return other

    @property
    def now(self) -> datetime | None:
        """T, or None until every pair has spoken."""
        if self._now is None:  # asked for at every journey, moved once a batch
            self._now = self._least()
        return self._now

    def _least(self) -> datetime | None:
        if any(key not in self.ticks for key in self._pairs):
            return None
        return min(self.ticks[key] for key in self._pairs)

    def read(self, control: Control, topic: str, partition: int) -> None:
        """Takes in a control record read from `topic`/`partition`."""
        if control.control == "parked" and control.sender:
            self.parked.setdefault(control.sender, control.at)
            return
        if control.control == "unparked" and control.sender:
            since = self.parked.pop(control.sender, None)
            if since is not None:
                self.unparked[control.sender] = Outage(start=since, end=max(since, control.at))
            return
        key = pair_key((control.raw_partition, topic, partition))
        before = self.ticks.get(key)
        if before is not None and control.at <= before:
            return
        self.ticks[key] = control.at
        self._now = None
        if control.load:
            self.load_end = max(control.at, self.load_end or control.at)
        elif before is not None and (topic, partition) == self._witness and control.at - before > OUTAGE_AFTER:
            self._note(Outage(start=before, end=control.at))

    def _note(self, outage: Outage) -> None:
        """Adds an outage, merged with those that it touches."""
        merged: list[Outage] = []
        for known in self.outages:
            if known.end < outage.start or outage.end < known.start:
                merged.append(known)
            else:
                outage = Outage(start=min(known.start, outage.start), end=max(known.end, outage.end))
        merged.append(outage)
        self.outages = tuple(sorted(merged, key=lambda one: one.start))[-OUTAGES_KEPT:]

    def outages_for(self, senders: Iterable[str]) -> tuple[Outage, ...]:
        """Our outages, and the times in which these senders' records waited aside with us."""
        waiting = []
        for sender in senders:
            if sender in self.parked:
                waiting.append(Outage(start=self.parked[sender], end=NEVER))
            elif sender in self.unparked:
                waiting.append(self.unparked[sender])
        return self.outages if not waiting else tuple(sorted((*self.outages, *waiting), key=lambda one: one.start))

    def record(self, shard: int, version: int, shards: int | None = None, registers: str | None = None) -> Clock:
        return Clock(
            consignment=f"clock:{shard}",
            version=version,
            ticks=self.ticks,
            outages=self.outages,
            parked=self.parked,
            unparked=self.unparked,
            load_end=self.load_end,
            shards=shards,
            registers=registers,
        )

    def restore(self, clock: Clock) -> None:
        self.ticks = dict(clock.ticks)
        self._now = None
        self.outages = clock.outages
        self.parked = dict(clock.parked)
        self.unparked = dict(clock.unparked)
        self.load_end = clock.load_end
