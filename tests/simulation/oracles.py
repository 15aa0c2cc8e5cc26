"""What must hold, after each step and at the end. What the truth or the log alone can judge asks nothing of the product.

Oracles: `unique` no change is told twice; `applied` per consignment the changes, applied in order, give the open exceptions of
its record; `outage` no deadline after the last tick before an outage of ours fires in it or its grace; `time` T is a tick's
time; `withdrawal` nothing is withdrawn without a reason; `state` what a shard holds is what it published; `recomputed` each of
its journeys equals one computed from the log's sets alone; `accounted` every raw record has its events, commands or dead
letters once; `rows` each log table is its topic; `single pass` one tracker that reads the final log in one go ends with the
same journeys (so two shards equal one); `truth` statements, claims and learned references are what the story says; `process`,
`progress` nobody ends by an error that is no loss of ownership, and all comes to rest. Those of `match` are in
alert_oracles.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from schemas.shipment_event_v1 import CONTROL_KEY
from schemas.topics import (
    CONSIGNMENT_COMMANDS,
    DEAD_LETTERS,
    JOURNEY_CHANGES,
    JOURNEYS,
    RAW_MESSAGES,
    SHIPMENT_EVENTS,
)
from services.runtime.sources import Record
from services.sink.rows import LOG_TABLES
from services.tracker import app
from services.tracker.clock import PipelineTime
from services.tracker.core import Read, ReadCommand, ReadControl, ReadEvent, Tracker, shard_of
from services.tracker.event_store import MemoryEventStore
from services.tracker.exceptions import find
from services.tracker.journeys import ORDER, Derived, fold
from services.tracker.linking import Declared, Linked, link
from services.tracker.publishing import compose
from services.tracker.records import Change, Event, ExceptionState, Journey, Ref, Statement, decode_journey_record, encode
from services.tracker.registrations import judge
from tests.simulation.alert_oracles import AlertOracles
from tests.simulation.broker import DATA, Entry, Transaction
from tests.simulation.story import START, Element, Fact
from tests.simulation.world import SUNK, TRACKER_REGISTERS, Violated, World

GRACE = timedelta(hours=1)
DEADLINES = ("overdue", "dwell", "silent")
CLAIMS_SHOWN = 3

_change = msgspec.json.Decoder(Change).decode


class _RawOf(msgspec.Struct):
    partition: int
    offset: int
    position: str = ""


class _Traced(msgspec.Struct):
    raw: _RawOf


class _Letter(msgspec.Struct):
    stage: str
    text: str = ""
    raw_partition: int | None = None
    raw_offset: int | None = None


_traced = msgspec.json.Decoder(_Traced).decode
_letter = msgspec.json.Decoder(_Letter).decode


def _pairs() -> list[tuple[int, str, int]]:
    return [
        (raw, topic.name, partition)
        for raw in range(RAW_MESSAGES.partitions)
        for topic in (SHIPMENT_EVENTS, CONSIGNMENT_COMMANDS)
        for partition in range(topic.partitions)
    ]


WITNESS = (CONSIGNMENT_COMMANDS.name, 0)


@dataclass
class _Sets:
    """What the log says up to some offsets: the sets of which journeys are a function. Also linking's neighbourhood."""

    version: int = 0
    """Grows with every event and command: of one version, linking and fold have one outcome."""
    events_store: MemoryEventStore = field(default_factory=MemoryEventStore)
    declared: dict[str, Declared] = field(default_factory=dict)
    by_reference: dict[Ref, set[str]] = field(default_factory=dict)
    time: PipelineTime = field(default_factory=lambda: PipelineTime(_pairs(), WITNESS))
    positions: dict[tuple[str, int], int] = field(default_factory=dict)

    def take(self, read: Read | None) -> None:
        if isinstance(read, ReadControl):
            self.time.read(read.control, read.topic, read.partition)
            return
        self.version += 1
        if isinstance(read, ReadEvent):
            self.events_store.write([read.event], {})
        elif isinstance(read, ReadCommand):
            name = read.command.consignment
            known = self.declared.get(name)
            changed, _ = judge(read.command, known.registration if known else None)
            if changed is not None:
                self.declared[name] = Declared(changed)
                for ref in self.declared[name].references:
                    self.by_reference.setdefault(ref, set()).add(name)

    def declaring(self, ref: Ref) -> Sequence[Declared]:
        found = (self.declared[name] for name in sorted(self.by_reference.get(ref, ())))
        return [declared for declared in found if ref in declared.references]

    def events(self, ref: Ref) -> Iterable[Event]:
        return self.events_store.by_reference(ref)

    def retractors(self, event_id: str) -> Iterable[Event]:
        return self.events_store.retractors(event_id)


class _Asked:
    """Passes linking's questions on to the sets, and keeps what was answered. Linking is a function of a registration, the
    registers and these answers: as long as all of them are the same, so is what it gives."""

    def __init__(self, sets: _Sets) -> None:
        self._sets = sets
        self._answers: dict[tuple[Callable[[Any], Iterable[object]], object], list[object]] = {}

    def _ask(self, question: Callable[[Any], Iterable[Any]], about: object) -> list[Any]:
        answer = self._answers[question, about] = list(question(about))
        return answer

    def declaring(self, ref: Ref) -> Sequence[Declared]:
        return self._ask(self._sets.declaring, ref)

    def events(self, ref: Ref) -> Iterable[Event]:
        return self._ask(self._sets.events, ref)

    def retractors(self, event_id: str) -> Iterable[Event]:
        return self._ask(self._sets.retractors, event_id)

    def hold(self) -> bool:
        """Whether all that was answered would be answered again: the very same values."""
        for (question, about), before in self._answers.items():
            now = list(question(about))
            if len(now) != len(before) or any(one is not other for one, other in zip(now, before, strict=True)):
                return False
        return True


@dataclass
class _Worked:
    """What linking, fold and `compose` make of a consignment. `version`: of the sets, when it was last known to hold."""

    version: int
    own: Declared
    asked: _Asked
    linked: Linked
    derived: Derived
    composed: Journey


@dataclass
class _Shard:
    """What the oracles know of one shard."""

    sets: _Sets = field(default_factory=_Sets)
    worked: dict[str, _Worked] = field(default_factory=dict)
    records: dict[str, bytes] = field(default_factory=dict)  # the newest committed record of each key
    unseen: bool = False  # it has committed something that was not looked at yet


class Oracles:
    """Told of every commit and every request; looks at a shard whenever it rests between two batches."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._reads: dict[Entry, Read | None] = {}  # each record is the same to every shard, and at the end
        self.alerts = AlertOracles(world)
        self.shards = [_Shard() for _ in range(world.shards)]
        self.told_ids: set[str] = set()
        self.open: dict[str, dict[str, ExceptionState]] = {}
        self.opened_at: dict[tuple[str, str], datetime] = {}
        self.reasons: dict[str, list[tuple[datetime, datetime | None, str]]] = {}
        self.heard: dict[str, set[datetime]] = {}
        self.read_up_to = START  # the newest of what any shard had read when it committed
        world.broker.on_commit = self.on_commit

    # -- the world's own words ---------------------------------------------------------------------------------------

    def told(self, element: Element, now: datetime) -> None:
        """Notes what could be a reason to withdraw: news of a time before the exception, an override, a retraction."""
        fact = element.fact
        self.heard.setdefault(f"feed:{fact.sender}", set()).add(now)
        if not element.withdraws and len(fact.received[element.version]) > 1:
            return  # a repeat says nothing new
        first = not element.withdraws and len(fact.received) == 1
        if first and fact.classifier != "actual":
            return
        since = fact.occurred if first and not fact.empty else None
        for consignment in fact.counts if not fact.empty else frozenset(self.world.story.consignments):
            self.reasons.setdefault(consignment, []).append((now, since, fact.milestone))

    # -- each commit -------------------------------------------------------------------------------------------------

    def on_commit(self, owner: str, transaction: Transaction) -> None:
        if not owner.startswith("tracker-"):
            return
        shard = self.shards[int(owner.removeprefix("tracker-"))]
        shard.unseen = True
        for _, offsets in transaction.offsets.items():
            for place, (offset, _) in offsets.items():
                self._advance(shard, place, offset)
        for place, first in transaction.unmarked.items():
            if place[0] == JOURNEYS.name:
                for entry in self._of(transaction, place, first):
                    key = (entry.key or b"").decode()
                    if entry.value is None:
                        shard.records.pop(key, None)
                    else:
                        shard.records[key] = entry.value
            elif place[0] == JOURNEY_CHANGES.name:
                for entry in self._of(transaction, place, first):
                    self._changed(_change(entry.value or b""))

    def _of(self, transaction: Transaction, place: tuple[str, int], first: int) -> list[Entry]:
        entries = self.world.broker.partitions[place].entries
        found = []
        for entry in reversed(entries):
            if entry.offset < first:
                break
            if entry.transaction is transaction and entry.kind == DATA:
                found.append(entry)
        return found[::-1]

    def _advance(self, shard: _Shard, place: tuple[str, int], end: int) -> None:
        log = self.world.broker.partitions[place]
        start = shard.sets.positions.get(place, 0)
        for entry in log.committed(start):
            if entry.offset >= end:
                break
            read = self._read(place, entry)
            shard.sets.take(read)
            if isinstance(read, ReadEvent):
                self.read_up_to = max(self.read_up_to, read.event.received_at)
            elif isinstance(read, ReadCommand):
                self.read_up_to = max(self.read_up_to, read.command.received_at)
        shard.sets.positions[place] = end

    def _read(self, place: tuple[str, int], entry: Entry) -> Read | None:
        if entry not in self._reads:
            self._reads[entry] = app.decode(_record(place, entry))
        return self._reads[entry]

    def _changed(self, change: Change) -> None:
        world = self.world
        if change.change_id in self.told_ids:
            raise Violated("unique", f"{change.change} of {change.consignment}@{change.version} was told twice")
        self.told_ids.add(change.change_id)
        if change.at is not None and change.at not in world.times:
            raise Violated("time", f"{change.change} of {change.consignment} at {change.at}, which is no tick's time")
        state = change.exception
        if state is None:
            return
        open_ones = self.open.setdefault(change.consignment, {})
        key = change.consignment, state.key
        if change.change == "exception_opened":
            if state.key in open_ones:
                raise Violated("applied", f"{state.key} of {change.consignment} was opened twice")
            open_ones[state.key] = state
            assert change.at is not None, "an exception needs T"
            self.opened_at[key] = change.at
            if state.kind in DEADLINES:
                self._outside_outages(change, state)
        elif change.change == "exception_changed":
            if state.status == "open" and state.key not in open_ones:
                raise Violated("applied", f"{state.key} of {change.consignment} changed and was not open")
            if state.status == "open":
                open_ones[state.key] = state
        elif change.change == "exception_ended":
            if open_ones.pop(state.key, None) is None:
                raise Violated("applied", f"{state.key} of {change.consignment} ended and was not open")
        elif change.change == "exception_withdrawn":
            open_ones.pop(state.key, None)
            if key not in self.opened_at:
                raise Violated("applied", f"{state.key} of {change.consignment} was withdrawn and never told")
            self._has_reason(change, state)

    def _outside_outages(self, change: Change, state: ExceptionState) -> None:
        assert change.at is not None
        for start, end in self.world.story.outages:
            if start < state.start < end + GRACE and change.at < end + GRACE:
                raise Violated("outage", f"{state.key} of {change.consignment} fired at {change.at}: {state.start} is in {end}")

    def _has_reason(self, change: Change, state: ExceptionState) -> None:
        """Something came after it was told that is older than it, or that takes something back: of its milestone or a later.
        A feed's silence: the sender was heard at its very start, the time T that it was told at."""
        opened = self.opened_at[change.consignment, state.key]
        if change.consignment.startswith("feed:"):
            if not any(opened <= came <= state.start for came in self.heard.get(change.consignment, ())):
                raise Violated("withdrawal", f"{state.key} of {change.consignment} was withdrawn, and its sender was not heard")
            return
        registered = [
            one for one in self.world.raw.values() if one.kind == "registration" and opened <= one.at <= self.read_up_to
        ]
        least = ORDER[state.milestone] if state.kind in ("will_be_late", "overdue", "late") and state.milestone else -1
        fires = state.start  # a deadline in an outage fires after it: an actual before that is a reason too
        for start, end in self.world.story.outages:
            if start < fires < end + GRACE:
                fires = end + GRACE
        for came, occurred, milestone in self.reasons.get(change.consignment, ()):
            news = opened <= came <= self.read_up_to and (occurred is None or occurred <= (fires if least >= 0 else opened))
            if news and ORDER.get(milestone, 99) >= least:
                return
        if not registered:
            raise Violated("withdrawal", f"{state.key} of {change.consignment} was withdrawn, and nothing was taken back")

    # -- a shard at rest ---------------------------------------------------------------------------------------------

    def at_rest(self, number: int, tracker: Tracker, is_owner: bool) -> None:
        """Between two batches of a tracker: called by the world."""
        shard = self.shards[number]
        if not is_owner or not shard.unseen or tracker.time.ticks != shard.sets.time.ticks:
            return
        shard.unseen = False
        self._state(shard, tracker)
        for name, own in shard.sets.declared.items():
            if shard_of(name, self.world.shards) == number:
                self._recomputed(shard, name, own, tracker.state.journey(name))

    def _state(self, shard: _Shard, tracker: Tracker) -> None:
        held = tracker.state.journeys.keys()
        published = {key for key in shard.records if ":" not in key}
        if held != published:
            raise Violated("state", f"held are {sorted(held)}, published {sorted(published)}")
        for name in held:
            journey = tracker.state.journey(name)
            if encode(journey) != shard.records[name]:
                raise Violated("state", f"{name} is held otherwise than published: {_differences(journey, _read(shard, name))}")
            told = {key: (s.start, s.severity) for key, s in self.open.get(name, {}).items()}
            assert journey is not None
            recorded = {s.key: (s.start, s.severity) for s in journey.exceptions if s.status == "open"}
            if told != recorded:
                raise Violated("applied", f"{name}: told and not ended are {told}, recorded {recorded}")

    def _recomputed(self, shard: _Shard, name: str, own: Declared, journey: Journey | None) -> None:
        sets = shard.sets
        worked = shard.worked.get(name)
        if worked is None or worked.own is not own or (worked.version != sets.version and not worked.asked.hold()):
            asked = _Asked(sets)
            linked = link(own, asked, TRACKER_REGISTERS)
            derived = fold(own, linked, TRACKER_REGISTERS)
            composed = plain(compose(own, linked, derived, (), None))
            worked = shard.worked[name] = _Worked(sets.version, own, asked, linked, derived, composed)
        worked.version = sets.version  # from here on only time counts, which `find` alone looks at
        linked, derived, composed = worked.linked, worked.derived, worked.composed
        now = sets.time.now
        outages = sets.time.outages_for(linked.standing)
        found, _ = find(own, derived, linked.counted, TRACKER_REGISTERS, now, outages)
        if journey is None:
            raise Violated("recomputed", f"{name} has no journey")
        if composed != plain(journey):
            raise Violated("recomputed", f"{name}: {_differences(journey, composed)}")
        held = {state.key: state for state in journey.exceptions}
        expected = {one.key: one.state("open" if one.end is None else "ended") for one in found}
        stale = {key for key, state in held.items() if state.status == "open"} - expected.keys()
        if stale or any(_said(held.get(key)) != _said(state) for key, state in expected.items()):
            raise Violated("recomputed", f"{name} at {now}: exceptions are {held}, should be {expected}")

    # -- the end -----------------------------------------------------------------------------------------------------

    def at_end(self) -> None:
        """The log is read, everybody rests."""
        for number, shard in enumerate(self.shards):
            if shard.unseen:
                raise Violated("progress", f"nobody holds what shard {number} committed last")
        self._accounted()
        self._rows()
        self.alerts.at_end()
        journeys = self._single_pass()
        for name in sorted({one.consignment for one in self.world.raw.values() if one.consignment is not None}):
            self._true(name, journeys.get(name))

    def _accounted(self) -> None:
        broker = self.world.broker
        found: Counter[tuple[int, int]] = Counter()
        seen: set[tuple[int, int, str]] = set()
        for topic in (SHIPMENT_EVENTS.name, CONSIGNMENT_COMMANDS.name):
            for _, entry in broker.committed(topic):
                if entry.key == CONTROL_KEY:
                    continue
                raw = _traced(entry.value or b"").raw
                said_at = raw.partition, raw.offset, raw.position
                if said_at in seen:
                    raise Violated("accounted", f"raw record {said_at} was read twice")
                seen.add(said_at)
                found[raw.partition, raw.offset] += 1
        for _, entry in broker.committed(DEAD_LETTERS.name):
            letter = _letter(entry.value or b"")
            if letter.stage != "readers":
                raise Violated("accounted", f"the {letter.stage} failed: {letter.text}")
            found[letter.raw_partition or 0, letter.raw_offset or 0] += 1
        for where, said in self.world.raw.items():
            if said.tick is None and found[where] != said.rows:
                raise Violated("accounted", f"raw record {where} ({said.kind} of {said.sender}) has {found[where]} outcomes")

    def _rows(self) -> None:
        for topic in SUNK:
            table = LOG_TABLES[topic].table
            rows = self.world.tables.rows.get(table, Counter())
            double = [where for where, times in rows.items() if times > 1]
            expected = {(topic, partition, entry.offset) for partition, entry in self.world.broker.committed(topic)}
            if double or expected != rows.keys():
                missing, strange = sorted(expected - rows.keys()), sorted(rows.keys() - expected)
                raise Violated("rows", f"{table}: double {double[:5]}, missing {missing[:5]}, strange {strange[:5]}")

    def _single_pass(self) -> dict[str, Journey]:
        """One tracker, one batch, the final log."""
        broker = self.world.broker
        tracker = Tracker(MemoryEventStore(), TRACKER_REGISTERS, _pairs(), WITNESS)
        reads: list[Read] = []
        for topic in (CONSIGNMENT_COMMANDS.name, SHIPMENT_EVENTS.name):
            for partition, entry in broker.committed(topic):
                read = self._read((topic, partition), entry)
                if read is not None:
                    reads.append(read)
        outcome = tracker.process(reads)
        plainly = {one.consignment: one for one in outcome.journeys if isinstance(one, Journey)}
        held = {name: _read(shard, name) for shard in self.shards for name in shard.records if ":" not in name}
        if plainly.keys() != held.keys():
            raise Violated("single pass", f"journeys are of {sorted(held)}, should be of {sorted(plainly)}")
        for name, journey in held.items():
            assert isinstance(journey, Journey)
            other = plainly[name]
            if plain(journey) != plain(other) or _open(journey) != _open(other):
                raise Violated("single pass", f"{name}: {_differences(journey, other)}; {_open(journey)}, {_open(other)}")
        return {name: journey for name, journey in held.items() if isinstance(journey, Journey)}

    def _true(self, name: str, journey: Journey | None) -> None:
        if journey is None:
            raise Violated("truth", f"{name} has no journey")
        facts = [fact for fact in self.world.story.facts if fact.stands and fact.hold is None]
        mine = [fact for fact in facts if name in fact.counts]
        estimates: dict[tuple[str, str], Fact] = {}
        for fact in mine:
            if fact.classifier == "estimated":
                known = estimates.get((fact.sender, fact.milestone))
                if known is None or _asserted(fact) > _asserted(known):
                    estimates[fact.sender, fact.milestone] = fact
        expected = [fact for fact in mine if fact.classifier == "actual"] + list(estimates.values())
        left = list(journey.statements)
        for fact in expected:
            same = [one for one in left if _is(one, fact)]
            if len(same) != 1:
                raise Violated("truth", f"{name}: {len(same)} statements of {fact}; there are {journey.statements}")
            left.remove(same[0])
        if left:
            raise Violated("truth", f"{name}: nobody said {left}")
        claims = [fact for fact in facts if name in fact.claimed]
        newest = sorted((fact.occurred for fact in claims), reverse=True)[:CLAIMS_SHOWN]
        if sorted((claim.occurred_at for claim in journey.claims), reverse=True) != newest:
            raise Violated("truth", f"{name}: claims shown are {journey.claims}, should be of {newest}")
        learned = {ref.value for ref in journey.references if ref.how == "learned"}
        boxes = {ref[1] for fact in mine for ref in fact.refs if ref[0] == "container"}
        if not learned <= boxes:
            raise Violated("truth", f"{name} learned {learned}, its boxes are {boxes}")


def _asserted(fact: Fact) -> datetime:
    return fact.said_at + fact.newest * timedelta(hours=1)


def _is(statement: Statement, fact: Fact) -> bool:
    """Whether it is this fact in its newest version, received when its first copy came."""
    received = fact.received[fact.newest]
    if (statement.sender, statement.milestone, statement.classifier) != (fact.sender, fact.milestone, fact.classifier):
        return False
    if fact.local:  # which of two zones was in the register when it was read cannot be told from outside
        return statement.received_at in {at for copies in fact.received.values() for at in copies}
    return statement.received_at == min(received) and statement.occurred_at == fact.versions[fact.newest]


def plain(journey: Journey) -> Journey:
    """The part that is a function of sets, without exceptions."""
    return msgspec.structs.replace(journey, version=0, cause="", at=None, exceptions=(), next_deadline=None)


def _open(journey: Journey) -> dict[str, ExceptionState]:
    return {state.key: state for state in journey.exceptions if state.status == "open"}


def _said(state: ExceptionState | None) -> object:
    return state and (state.status, state.start, state.end, state.severity, state.late_h, state.units)


def _read(shard: _Shard, name: str) -> Any:
    return decode_journey_record(shard.records[name])


def _differences(one: Any, other: Any) -> str:
    if one is None or other is None:
        return f"{one} against {other}"
    names = [name for name in one.__struct_fields__ if getattr(one, name) != getattr(other, name)]
    shown = [f"{name}: {getattr(one, name)} against {getattr(other, name)}" for name in names]
    return "; ".join(line for line in shown if not line.startswith(("version", "cause", "at:")))[:1500]


def _record(place: tuple[str, int], entry: Entry) -> Record:
    return Record(*place, entry.offset, entry.timestamp_ms, entry.key, entry.value, entry.headers)
