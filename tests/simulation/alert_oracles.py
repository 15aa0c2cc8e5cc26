"""What must hold of `match`, by the log and the worker's reads alone; who wants what is said again in alerts.SUBSCRIPTIONS.

Oracles: `alert` a candidate is of a live change that its subscriber wants, always of the same content; as news only within six
hours of the append, as `away` only later, once the worker has read all that was there at its start, and only while what it
read last of that exception says that it is open. `untold` whatever was read (for the last time) within six hours has its
candidates; whatever is open when a worker has caught up, and at the end, has them for its newest live word. `replay` a worker
that begins anew over an old log tells what is still open, once, and nothing else; of a refold it tells nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from schemas.alerts_v1 import AlertCandidate
from schemas.topics import JOURNEY_CHANGES
from services.alerts.matching import Match, Told
from services.tracker.records import Change
from tests.simulation.alerts import SUBSCRIPTIONS, Worker, moment, told
from tests.simulation.world import Violated, World

NEWS_FOR = timedelta(hours=6)
_change = msgspec.json.Decoder(Change).decode
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """A change as the log has it."""

    partition: int
    offset: int
    appended: datetime
    change: Change

    @property
    def key(self) -> Key | None:
        return None if self.change.exception is None else (self.change.consignment, self.change.exception.key)

    @property
    def is_open(self) -> bool:
        state = self.change.exception
        return state is not None and state.status == "open"

    @property
    def live(self) -> bool:
        return self.change.cause == "live"


class AlertOracles:
    """Told of each candidate as it is written, and of each worker that has caught up."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lines: dict[str, Line] = {}
        self._of: dict[Key, list[Line]] = {}
        self._indexed: dict[int, int] = {}
        self._sent: dict[tuple[str, str], AlertCandidate] = {}
        self._as_news: set[tuple[str, str]] = set()

    def _index(self) -> None:
        for partition in range(JOURNEY_CHANGES.partitions):
            log = self._world.broker.partitions[JOURNEY_CHANGES.name, partition]
            for entry in log.committed(self._indexed.get(partition, 0)):
                line = Line(partition, entry.offset, moment(entry.timestamp_ms), _change(entry.value or b""))
                self._lines[line.change.change_id] = line
                if line.key is not None:
                    self._of.setdefault(line.key, []).append(line)
                self._indexed[partition] = entry.offset + 1

    def _wanting(self, line: Line) -> Iterator[str]:
        if line.change.change not in ("command_accepted", "command_refused", "closed"):
            for name in self._world.subscribers:
                if SUBSCRIPTIONS[name][1](line.change):
                    yield name

    # -- each candidate ----------------------------------------------------------------------------------------------

    def sent(self, worker: Worker, candidate: AlertCandidate, now: datetime) -> None:
        if candidate.change_id not in self._lines:
            self._index()
        line = self._lines.get(candidate.change_id)
        if line is None:
            raise Violated("alert", f"{candidate} is of no change")
        change = line.change
        about = f"{change.change} of {change.consignment}@{change.version} ({change.cause})"
        if not line.live or candidate.subscription not in set(self._wanting(line)):
            raise Violated("alert", f"{candidate.subscription} was told of {about}")
        once = self._sent.setdefault((candidate.subscription, candidate.change_id), candidate)
        differs = once is not candidate and once.model_copy(update={"away": candidate.away}) != candidate
        if differs or (candidate.consignment, candidate.at) != (change.consignment, change.at):
            raise Violated("alert", f"{candidate} was told before as {once}")
        if candidate.away:
            self._away(worker, line, about, now)
            return
        self._as_news.add((candidate.subscription, candidate.change_id))
        taken = worker.taken.get((line.partition, line.offset))
        if taken is None or taken - line.appended > NEWS_FOR:
            raise Violated("alert", f"{about}, of {line.appended}, was told as news at {taken}")

    def _away(self, worker: Worker, line: Line, about: str, now: datetime) -> None:
        if not worker.caught_up:
            raise Violated("alert", f"{about} was told as away at {worker.positions}, before the end {worker.ends}")
        if now - line.appended <= NEWS_FOR:
            raise Violated("alert", f"{about} is news, and was told as away")
        self._index()
        if self._newest(line.key, worker.positions[line.partition]) is not line:
            raise Violated("alert", f"{about} was told as away, and was not open any more")

    def _newest(self, key: Key | None, position: int) -> Line | None:
        """The newest live word on an exception that is open, up to a position."""
        newest: Line | None = None
        for line in self._of[key] if key is not None else ():
            if line.offset < position and (line.live or not line.is_open):
                newest = line if line.is_open else None
        return newest

    # -- what is told by when ----------------------------------------------------------------------------------------

    def caught_up(self, worker: Worker) -> None:
        """All that was there at its start is read, and what that gave is written."""
        self._index()
        for key, lines in self._of.items():
            newest = self._newest(key, worker.positions[lines[0].partition])
            if newest is None:
                continue
            for name in self._wanting(newest):
                if (name, newest.change.change_id) not in self._sent:
                    raise Violated("untold", f"{key} is open at {worker.positions}, and {name} was not told: {newest}")

    def at_end(self) -> None:
        self._index()
        last: dict[tuple[int, int], datetime] = {}
        for worker in self._world.workers:
            last |= worker.taken
        for line in self._lines.values():
            taken = last.get((line.partition, line.offset))
            if taken is None:
                raise Violated("untold", f"match never read {line}")
            if line.live and taken - line.appended <= NEWS_FOR:
                for name in self._wanting(line):
                    if (name, line.change.change_id) not in self._as_news:
                        raise Violated("untold", f"{name} was not told of {line}, which was read at {taken}")
        self.caught_up(self._world.workers[-1])
        self._replay()

    def _replay(self) -> None:
        """A worker that begins anew."""
        logs = {
            partition: self._world.broker.partitions[JOURNEY_CHANGES.name, partition]
            for partition in range(JOURNEY_CHANGES.partitions)
        }
        ends = {partition: log.end for partition, log in logs.items()}
        records = [told(n, e.offset, e.timestamp_ms, e.value) for n, log in logs.items() for e in log.committed()]
        now = self._world.now
        found = self._through(ends, records, now + NEWS_FOR + timedelta(minutes=1))
        still = [line for key in self._of if (line := self._newest(key, max(ends.values()))) is not None]
        expected = Counter((name, line.change.change_id, True) for line in still for name in self._wanting(line))
        if Counter((one.subscription, one.change_id, one.away) for one in found) != expected:
            raise Violated("replay", f"told are {found}, still open are {still}")
        refolded = [replace(one, change=one.change.model_copy(update={"cause": "refold"})) for one in records]
        if found := self._through(ends, refolded, now):
            raise Violated("replay", f"a refold told {found}")

    def _through(self, ends: dict[int, int], records: list[Told], now: datetime) -> list[AlertCandidate]:
        match = Match(self._world.book, ends)
        steps = [match.reach(dict.fromkeys(ends, 0), now)]
        steps += [match.take(one, now) for one in records]
        steps.append(match.reach(ends, now))
        return [candidate for step in steps for candidate in step.candidates]
