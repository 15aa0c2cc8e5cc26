"""The tracker without Kafka: a batch of records in, journeys and changes out; state kept only after `committed()`.

`Tracker.process` works on an overlay (events, registrations, journeys, feeds, time, deadlines). The shell produces what it
returns in one transaction with the offsets, and then calls `committed`, or `aborted`. All that is decided here is a function of
the records; nothing asks a clock.
"""

from __future__ import annotations

import hashlib
import heapq
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

import msgspec

from schemas.words import DOCUMENT_KINDS, LOGISTIC_KINDS
from services.tracker.clock import Pair, PipelineTime
from services.tracker.event_store import EventStore, Overlay, linking_references
from services.tracker.exceptions import Timeline, find, spoken
from services.tracker.journeys import Derived, Words, fold
from services.tracker.linking import DOCUMENT_DAYS, LONGEST_DAYS, WINDOWED_KINDS, Declared, Linking
from services.tracker.publishing import ChangeList, bounded, compose, difference, registration_of, tell_milestones
from services.tracker.records import (
    BriefJourney,
    Change,
    Clock,
    Closed,
    Command,
    Control,
    Event,
    ExceptionState,
    Feed,
    Journey,
    Ref,
    Registration,
    decode_brief_record,
    decode_journey_record,
    encode,
)
from services.tracker.registers import Registers
from services.tracker.registrations import Judgement, judge

REST_AFTER = timedelta(days=14)  # an ended journey then rests compressed in memory
CLOSE_AFTER = timedelta(days=400)
TOO_LATE_FOR = timedelta(days=400)  # for as long again, what names a closed journey is told to be too late
EVENTS_KEPT = timedelta(days=DOCUMENT_DAYS + max(LONGEST_DAYS.values()))  # no window can open on older ones that nobody names
UNMATCHED_AT_MOST = 100_000
LOOKED_AT_ONCE = (
    20_000  # journeys that time or a register touches in one batch; the next goes on, so no transaction grows without bound
)
WORKED_AT_MOST = 20_000  # journeys whose linking and fold are kept ready, some 15 kB each
OVERTAKEN_AT_MOST = 10_000  # deadlines that were overtaken, beside as many as there are
FAULTS_STOP_RATIO = 0.01
FAULTS_STOP_LEAST = 20  # in a small batch 1 % is nobody
RECORD_BYTES_AT_MOST = 900_000  # Kafka refuses a little more; one consignment must not stop the shard
FEED_SILENT_H = {
    "ocean_carrier": 6.0,
    "airline": 3.0,
    "trucker": 1.0,
    "railway": 1.0,
    "terminal": 6.0,
    "customs": 6.0,
    "forwarder": 6.0,
}


_NOBODY: frozenset[str] = frozenset()
_HELD_BY_OTHERS = DOCUMENT_KINDS | LOGISTIC_KINDS  # what others know more of by what stands beside it


class TooManyFaults(RuntimeError):
    """Over 1 % of the consignments touched could not be computed: something is wrong with us, not with them."""


class WrongLayout(RuntimeError):
    """The journeys are laid out for another number of shards; the text says what to do."""


class NotEqual(AssertionError):
    """A journey worked out from what was kept of it is not the one computed from all of its events (`verify`)."""


@dataclass(frozen=True, slots=True)
class Worked:
    """What linking and fold gave for a consignment when it was last computed. Never changed; replaced after the commit."""

    registers: Registers
    linking: Linking
    words: Words
    derived: Derived


class ReadEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as read from shipment.events."""

    event: Event


class ReadCommand(msgspec.Struct, frozen=True, gc=False):
    command: Command


class ReadControl(msgspec.Struct, frozen=True, gc=False):
    """A control record, and where it was read."""

    control: Control
    topic: str
    partition: int


Read = ReadEvent | ReadCommand | ReadControl


@dataclass(frozen=True, slots=True)
class Fault:
    """A consignment that could not be computed: it keeps its old journey and is computed again on the next touch."""

    consignment: str
    text: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An event for the dead letters: `too_late` (it names a closed journey), or `unmatched_limit` (it is not kept)."""

    event: Event
    reason: str
    text: str


@dataclass
class Outcome:
    """What a batch gives. `closed`: keys of journeys that get a tombstone; `encoded`: the values of journeys, by key."""

    journeys: list[Journey | Feed | Clock | Closed] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    encoded: dict[str, bytes] = field(default_factory=dict)


def shard_of(consignment: str, shards: int) -> int:
    """The shard that owns a consignment; the same in every process and release."""
    return int.from_bytes(hashlib.blake2b(consignment.encode(), digest_size=8).digest(), "big") % shards


@dataclass
class State:
    """What a shard knows. Registrations are those of all consignments, journeys only its own."""

    declared: dict[str, Declared] = field(default_factory=dict)
    by_reference: dict[Ref, set[str]] = field(default_factory=dict)
    journeys: dict[str, Journey | bytes] = field(default_factory=dict)
    """Packed to bytes, a tenth of the memory, unless computed lately."""
    dictionary: bytes = b""
    """The first record that was packed: the others are packed as what differs from it."""
    resting: set[str] = field(default_factory=set)
    """Ended long enough ago that nothing but an event or a command concerns them."""
    by_learned: dict[Ref, set[str]] = field(default_factory=dict)
    feeds: dict[str, Feed] = field(default_factory=dict)
    closed: dict[str, Closed] = field(default_factory=dict)
    by_closed: dict[Ref, set[str]] = field(default_factory=dict)
    due: dict[str, datetime] = field(default_factory=dict)
    """The deadline of each journey, feed and closed one, as it stands."""
    deadlines: list[tuple[datetime, str]] = field(default_factory=list)
    """A heap of them, among which are some that were overtaken: each word of a consignment moves its deadline."""

    def journey(self, consignment: str) -> Journey | None:
        kept = self.journeys.get(consignment)
        if isinstance(kept, bytes):
            unpacked = decode_journey_record(self._unpacked(kept))
            assert isinstance(unpacked, Journey)
            return unpacked
        return kept

    def declare(self, declared: Declared) -> None:
        old = self.declared.get(declared.consignment)
        if old is not None:
            for ref in old.references - declared.references:
                _drop(self.by_reference, ref, declared.consignment)
        for ref in declared.references:
            self.by_reference.setdefault(ref, set()).add(declared.consignment)
        self.declared[declared.consignment] = declared

    def forget(self, consignment: str) -> None:
        declared = self.declared.pop(consignment, None)
        for ref in declared.references if declared else ():
            _drop(self.by_reference, ref, consignment)
        self._unlearn(self.journey(consignment), consignment)
        self.journeys.pop(consignment, None)
        self.resting.discard(consignment)
        self.due.pop(consignment, None)

    def keep(self, journey: Journey, now: datetime | None) -> None:
        old = self.journey(journey.consignment)
        self._unlearn(old, journey.consignment)
        for ref in learned_references(journey):
            self.by_learned.setdefault(ref, set()).add(journey.consignment)
        ended = ended_at(journey)
        self.journeys[journey.consignment] = journey
        if ended is not None and now is not None and now >= ended + REST_AFTER:
            self.resting.add(journey.consignment)
            self.pack(journey.consignment)
        else:
            self.resting.discard(journey.consignment)
        self._await(journey.consignment, journey.next_deadline)

    def restore(self, brief: BriefJourney, value: bytes) -> None:
        """Takes a journey in as it is in the topic, without decoding most of it."""
        name = brief.consignment
        if name in self.journeys:  # an older version that is not compacted away yet
            self._unlearn(self.journey(name), name)
        self.declare(Declared(registration_of(brief)))
        for ref in learned_references(brief):
            self.by_learned.setdefault(ref, set()).add(name)
        self.journeys[name] = self._packed(value)
        self._await(name, brief.next_deadline)

    def pack(self, consignment: str) -> None:
        """Makes it small; `journey` unpacks it."""
        kept = self.journeys.get(consignment)
        if isinstance(kept, Journey):
            self.journeys[consignment] = self._packed(encode(kept))

    def _packed(self, value: bytes) -> bytes:
        if not self.dictionary:
            self.dictionary = value
        packing = zlib.compressobj(1, zdict=self.dictionary)
        return packing.compress(value) + packing.flush()

    def _unpacked(self, packed: bytes) -> bytes:
        return zlib.decompressobj(zdict=self.dictionary).decompress(packed)

    def keep_feed(self, feed: Feed) -> None:
        self.feeds[feed.consignment] = feed
        self._await(feed.consignment, feed.next_deadline)

    def keep_closed(self, closed: Closed) -> None:
        self.forget_closed(closed.consignment)
        self.closed[closed.consignment] = closed
        for ref in closed.references:
            self.by_closed.setdefault(ref, set()).add(closed.consignment)
        self._await(closed.consignment, closed.next_deadline)

    def forget_closed(self, key: str) -> None:
        old = self.closed.pop(key, None)
        self.due.pop(key, None)
        for ref in old.references if old else ():
            _drop(self.by_closed, ref, key)

    def follows(self, event: Event) -> bool:
        """Whether a consignment names it, or one of ours learned to."""
        return any(ref in self.by_reference or ref in self.by_learned for ref in linking_references(event))

    def _await(self, key: str, deadline: datetime | None) -> None:
        if deadline is None:
            self.due.pop(key, None)
        elif self.due.get(key) != deadline:
            self.due[key] = deadline
            heapq.heappush(self.deadlines, (deadline, key))
            if len(self.deadlines) > 2 * len(self.due) + OVERTAKEN_AT_MOST:
                self.deadlines = [(at, name) for name, at in self.due.items()]
                heapq.heapify(self.deadlines)

    def passed(self, entry: tuple[datetime, str]) -> None:
        """An entry that was taken off the heap, and looked at: it is awaited no more."""
        at, key = entry
        if self.due.get(key) == at:
            del self.due[key]

    def _unlearn(self, journey: Journey | None, consignment: str) -> None:
        for ref in learned_references(journey) if journey else ():
            _drop(self.by_learned, ref, consignment)


def _drop(index: dict[Ref, set[str]], ref: Ref, consignment: str) -> None:
    names = index.get(ref, set())
    names.discard(consignment)
    if not names:
        index.pop(ref, None)


def learned_references(journey: Journey | BriefJourney) -> list[Ref]:
    return [Ref(ref.kind, ref.value) for ref in journey.references if ref.how == "learned"]


def ended_at(journey: Journey | BriefJourney) -> datetime | None:
    """Delivered or cancelled, whichever came first."""
    delivered = next((s.actual for s in journey.milestones if s.milestone == "delivered" and s.actual), None)
    return min((at for at in (delivered, journey.cancelled_at) if at is not None), default=None)


class _Batch:
    """The overlay of one batch; also the neighbourhood that linking looks at."""

    def __init__(self, state: State, store: EventStore, time: PipelineTime) -> None:
        self.state = state
        self.events = Overlay(store)
        self.time = time
        self.declared: dict[str, Declared] = {}
        self.added: dict[Ref, set[str]] = {}
        self.journeys: dict[str, Journey] = {}
        self.feeds: dict[str, Feed] = {}
        self.closed: list[Closed] = []
        self.forgotten: list[str] = []
        self.popped: list[tuple[datetime, str]] = []
        self.time_changed = False
        self.faulty: set[str] = set()
        self.again: set[str] = set()
        self.fresh: dict[str, list[Event]] = {}
        """Consignment -> events that are new to it: nothing of them was known before."""
        self.stale: set[str] = set()
        """Consignments of which more changed than that: registrations, revisions, retractions."""
        self.worked: dict[str, Worked | None] = {}

    def registration(self, consignment: str) -> Declared | None:
        return self.declared.get(consignment) or self.state.declared.get(consignment)

    def declare(self, declared: Declared) -> None:
        self.declared[declared.consignment] = declared
        for ref in declared.references:
            self.added.setdefault(ref, set()).add(declared.consignment)

    def declarers(self, ref: Ref) -> Set[str]:
        known: Set[str] = self.state.by_reference.get(ref, _NOBODY)
        if not self.declared:
            return known
        names = known | self.added.get(ref, _NOBODY)
        return {name for name in names if (own := self.registration(name)) is not None and ref in own.references}

    def declaring(self, ref: Ref) -> list[Declared]:
        names = self.declarers(ref)
        found = (self.registration(name) for name in (sorted(names) if len(names) > 1 else names))
        return [declared for declared in found if declared is not None]

    def retractors(self, event_id: str) -> list[Event]:
        return self.events.retractors(event_id)

    def journey(self, consignment: str) -> Journey | None:
        return self.journeys.get(consignment) or self.state.journey(consignment)


class _World:
    """Adapts a batch to what linking asks for."""

    def __init__(self, batch: _Batch) -> None:
        self._batch = batch

    def declaring(self, ref: Ref) -> Sequence[Declared]:
        return self._batch.declaring(ref)

    def events(self, ref: Ref) -> Iterable[Event]:
        return self._batch.events.by_reference(ref)

    def retractors(self, event_id: str) -> Iterable[Event]:
        return self._batch.retractors(event_id)


class Tracker:
    """One shard. Call `process`, then exactly one of `committed` and `aborted`."""

    def __init__(
        self,
        store: EventStore,
        registers: Registers,
        pairs: Iterable[Pair],
        witness: tuple[str, int],
        shard: int = 0,
        shards: int = 1,
        unmatched_at_most: int = UNMATCHED_AT_MOST,
        worked_at_most: int = WORKED_AT_MOST,
        verify: bool = False,
    ) -> None:
        """`worked_at_most`: journeys whose linking and fold are kept ready. `verify`: whatever is worked out from what was
        kept is also computed from all events, and compared (tests)."""
        self.worked_at_most, self.verify = worked_at_most, verify
        self.worked: dict[str, Worked] = {}
        self.settlements = 0
        """How many times a journey was linked from all of its events, rather than from what was kept of it."""
        self.store = store
        self.unmatched_at_most = unmatched_at_most
        self.looked_at_once = LOOKED_AT_ONCE
        self.registers = registers
        self.shard, self.shards = shard, shards
        self.state = State()
        self.time = PipelineTime(pairs, witness)
        self._batch: _Batch | None = None
        self._again: set[str] = set()
        self._anew: set[str] = set()
        """Of those, the ones that a tracker that starts would have to look at: the clock says that there are some."""
        self._ended: dict[str, datetime] = {}
        self._faulty: set[str] = set()
        self._clock: Clock | None = None  # the last one read, while restoring
        self._clock_version = 0

    @property
    def parked(self) -> int:
        """How many consignments wait after a fault of ours."""
        return len(self._faulty)

    # -- restore ---------------------------------------------------------------------------------------------------

    def restore(self, key: str, value: bytes | None) -> None:
        """Takes in one record of this shard's partition of journeys, in their order, with what older ones of its key are not
        compacted away yet; then `restored`."""
        if value is None:
            self.state.forget(key)
            self.state.forget_closed(key)
            self._ended.pop(key, None)
            return
        record = decode_brief_record(value)
        if isinstance(record, Clock):
            self._clock = record
        elif isinstance(record, Feed):
            self.state.keep_feed(record)
        elif isinstance(record, Closed):
            self.state.keep_closed(record)
        else:
            self.state.restore(record, value)
            ended = ended_at(record)
            if ended is None:
                self._ended.pop(key, None)
            else:
                self._ended[key] = ended

    def restored(self) -> None:
        """The end of the topic is reached: the last clock counts, and what ended long before T rests. Raises WrongLayout."""
        clock, self._clock = self._clock, None
        if clock is not None:
            _check_layout(clock, self.shards)
            self.time.restore(clock)
            self._clock_version = clock.version
        now = self.time.now
        self.state.resting = {name for name, at in self._ended.items() if now is not None and now >= at + REST_AFTER}
        self._ended.clear()
        if clock is not None and clock.registers not in (None, self.registers.digest):
            self.reconsider(self.registers)  # they changed while nobody was here, or not all of the journeys had heard of it

    def restore_registration(self, command: Command) -> None:
        """For shards that do not own the consignment: its registration, from the commands' topic."""
        if shard_of(command.consignment, self.shards) == self.shard:
            return
        current = self.state.declared.get(command.consignment)
        changed, _ = judge(command, current.registration if current else None)
        if changed is not None:
            self.state.declare(Declared(changed))

    def admit(self, events: Iterable[Event]) -> tuple[list[Event], list[Event]]:
        """Of events that the store lacks (they were decided on before): those to keep, and which of them nobody names."""
        kept, unmatched, more = [], [], Counter[str]()
        for event in events:
            if not self.state.follows(event) and self.store.get(event.event_id) is None:
                if self.store.unmatched_by(event.sender) + more[event.sender] >= self.unmatched_at_most:
                    continue  # as it was decided then: its dead letter is written
                more[event.sender] += 1
                unmatched.append(event)
            kept.append(event)
        return kept, unmatched

    def needs(self, event: Event) -> bool:
        """Whether an old event must stay: a consignment names it, or it withdraws one that stays."""
        return self.state.follows(event) or (event.retracts is not None and self.store.get(event.retracts) is not None)

    def reconsider(self, registers: Registers) -> None:
        """New registers: every journey that is not at rest, and every feed, is computed again with the next batches."""
        self.registers = registers
        self._anew.update(name for name in self.state.journeys if name not in self.state.resting)
        self._anew.update(self.state.feeds)
        self._again |= self._anew

    # -- a batch ---------------------------------------------------------------------------------------------------

    def process(self, records: Iterable[Read]) -> Outcome:
        """Decides everything that follows from these records. Raises TooManyFaults."""
        assert self._batch is None, "the batch before was neither committed nor aborted"
        batch = self._batch = _Batch(self.state, self.store, self.time.copy())
        outcome = Outcome()
        touched: dict[str, set[str]] = {name: set() for name in islice(self._again, self.looked_at_once)}
        batch.again = set(touched)
        heard: dict[str, datetime] = {}
        judged: dict[str, list[tuple[Command, Judgement]]] = {}
        for record in records:
            if isinstance(record, ReadEvent):
                self._take_event(batch, record.event, touched, heard, outcome)
            elif isinstance(record, ReadCommand):
                self._take_command(batch, record.command, touched, judged)
            else:
                batch.time.read(record.control, record.topic, record.partition)
                batch.time_changed = True
                if record.control.control == "unparked":
                    self._wake(record.control.sender, touched)
        now = batch.time.now
        for key in self._due(batch, now):
            if key.startswith("closed:"):
                batch.forgotten.append(key)
                outcome.closed.append(key)
            else:
                touched.setdefault(key, set())
        self._compute(batch, touched, judged, outcome)
        self._feeds(batch, heard, touched, outcome)
        if batch.time_changed:
            self._clock_version += 1
            known = "" if self._anew - batch.again else self.registers.digest
            outcome.journeys.append(batch.time.record(self.shard, self._clock_version, self.shards, known))
        return outcome

    def committed(self) -> None:
        """The transaction is committed: the overlay becomes the state. The shell writes the event store itself."""
        batch, self._batch = self._batch, None
        assert batch is not None
        self.time = batch.time
        for entry in batch.popped:
            self.state.passed(entry)
        for declared in batch.declared.values():
            self.state.declare(declared)
        for journey in batch.journeys.values():
            self.state.keep(journey, batch.time.now)
        for feed in batch.feeds.values():
            self.state.keep_feed(feed)
        for closed in batch.closed:
            self.state.forget(closed.consignment.removeprefix("closed:"))
            self.state.keep_closed(closed)
        for key in batch.forgotten:
            self.state.forget_closed(key)
        for consignment, worked in batch.worked.items():
            self.worked.pop(consignment, None)
            if worked is not None:
                self.worked[consignment] = worked
        while len(self.worked) > self.worked_at_most:
            oldest = next(iter(self.worked))  # the one computed longest ago
            del self.worked[oldest]
            self.state.pack(oldest)
        self._again -= batch.again
        self._anew -= batch.again
        self._again |= batch.faulty
        self._faulty = batch.faulty

    def refold(self, names: Iterable[str], heard: Mapping[str, datetime]) -> Outcome:
        """Computes these journeys, and the feeds of those `heard`, once more from what the state holds, with cause refold: what
        comes out as it was says nothing. Then `committed` or `aborted`, as after `process`. Raises TooManyFaults."""
        assert self._batch is None, "the batch before was neither committed nor aborted"
        batch = self._batch = _Batch(self.state, self.store, self.time.copy())
        outcome = Outcome()
        touched = {name: {"refold"} for name in names}
        batch.stale.update(touched)
        self._compute(batch, touched, {}, outcome)
        self._feeds(batch, dict(heard), {f"feed:{sender}": {"refold"} for sender in heard}, outcome)
        return outcome

    def batch_events(self) -> Overlay:
        """What this batch changes in the store: events, and which of them nobody names."""
        assert self._batch is not None
        return self._batch.events

    def aborted(self) -> None:
        """Nothing of it happened."""
        batch, self._batch = self._batch, None
        for entry in batch.popped if batch else ():
            heapq.heappush(self.state.deadlines, entry)

    # -- parts of a batch ------------------------------------------------------------------------------------------

    def _take_event(
        self, batch: _Batch, event: Event, touched: dict[str, set[str]], heard: dict[str, datetime], outcome: Outcome
    ) -> None:
        heard[event.sender] = max(event.received_at, heard.get(event.sender, event.received_at))
        named = linking_references(event)
        followers = self._followers(batch, named)
        if not followers and not self._admits(batch, event, outcome):
            return
        changed, old = batch.events.put(event)
        if not changed:
            return
        if old is not None:
            followers |= self._followers(batch, linking_references(old))
        for target_id in (event.retracts, old.retracts if old else None):
            if target_id and (target := batch.events.get(target_id)) is not None:
                followers |= self._followers(batch, linking_references(target))
        is_plain = old is None and not event.retracts and not batch.retractors(event.event_id)
        for consignment in followers:
            if self._owns(consignment):
                touched.setdefault(consignment, set()).add(event.cause)
                if is_plain:
                    batch.fresh.setdefault(consignment, []).append(event)
                else:
                    batch.stale.add(consignment)

    def _followers(self, batch: _Batch, refs: Iterable[Ref]) -> set[str]:
        """Who declares one of these references, or learned it."""
        learned = self.state.by_learned
        return {name for ref in refs for names in (batch.declarers(ref), learned.get(ref, _NOBODY)) for name in names}

    def _admits(self, batch: _Batch, event: Event, outcome: Outcome) -> bool:
        """Whether an event that nobody names is kept: it may come before its registration, but not without bound."""
        if batch.events.get(event.event_id) is not None:
            return True
        closed = {name for ref in linking_references(event) for name in self.state.by_closed.get(ref, ())}
        if closed:
            text = f"it names {', '.join(sorted(closed))}, which ended over {CLOSE_AFTER.days} days before"
            outcome.refused.append(Refused(event, "too_late", text))
        if event.retracts and batch.events.get(event.retracts) is not None:
            return True
        if batch.events.unmatched_by(event.sender) >= self.unmatched_at_most:
            text = f"{event.sender} has {self.unmatched_at_most} events that no consignment names: register, then retry"
            outcome.refused.append(Refused(event, "unmatched_limit", text))
            return False
        batch.events.mark_unmatched(event)
        return True

    def _match(self, batch: _Batch, refs: Iterable[Ref]) -> None:
        """These references are named from now on."""
        for ref in refs:
            for event in batch.events.by_reference(ref):
                batch.events.mark_matched(event)

    def _wake(self, sender: str | None, touched: dict[str, set[str]]) -> None:
        """Deadlines that waited for a parked sender have no time of their own: its journeys are looked at again, in slices."""
        waiting = [
            name
            for name in self.state.journeys.keys() - self.state.resting
            if (kept := self.state.journey(name)) is not None and sender in kept.senders
        ]
        room = max(0, self.looked_at_once - len(touched))  # one allowance, however many come back at once
        touched.update((name, touched.get(name, set())) for name in waiting[:room])
        self._anew.update(waiting[room:])
        self._again |= self._anew
        if f"feed:{sender}" in self.state.feeds:
            touched.setdefault(f"feed:{sender}", set())

    def _take_command(
        self,
        batch: _Batch,
        command: Command,
        touched: dict[str, set[str]],
        judged: dict[str, list[tuple[Command, Judgement]]],
    ) -> None:
        before = batch.registration(command.consignment)
        registration, judgement = judge(command, before.registration if before else None)
        if self._owns(command.consignment):
            judged.setdefault(command.consignment, []).append((command, judgement))
        if registration is None or (before is not None and registration is before.registration):
            return
        after = Declared(registration)
        batch.declare(after)
        self._match(batch, after.references - (before.references if before else frozenset()))
        moved = after.references if before is None else after.references | before.references
        # whoever an event of a moved document or case concerns: it may be another's from now on
        beside = (e for ref in moved if ref.kind in _HELD_BY_OTHERS for e in batch.events.by_reference(ref))
        concerned = {ref for event in beside for ref in linking_references(event)}.union(moved)
        for name in self._followers(batch, concerned) | {command.consignment}:
            if self._owns(name):
                touched.setdefault(name, set()).add(command.cause)
                batch.stale.add(name)

    def _owns(self, consignment: str) -> bool:
        return self.shards == 1 or shard_of(consignment, self.shards) == self.shard

    def _due(self, batch: _Batch, now: datetime | None) -> list[str]:
        """Keys whose deadline T has reached; entries that were overtaken are dropped."""
        due: list[str] = []
        heap = self.state.deadlines
        while heap and now is not None and heap[0][0] <= now and len(due) < self.looked_at_once:
            entry = heapq.heappop(heap)
            batch.popped.append(entry)
            at, key = entry
            if self.state.due.get(key) == at:
                due.append(key)
        return due

    def _cause(self, causes: set[str], now: datetime | None, load_end: datetime | None) -> str:
        """live, unless all that touched it was backfill; deadlines found up to a load's end are backfill too."""
        if "live" in causes:
            return "live"
        if causes:
            return "refold" if causes == {"refold"} else "backfill"
        return "backfill" if now is None or (load_end is not None and now <= load_end) else "live"

    def _compute(
        self,
        batch: _Batch,
        touched: dict[str, set[str]],
        judged: dict[str, list[tuple[Command, Judgement]]],
        outcome: Outcome,
    ) -> None:
        world = _World(batch)
        names = [name for name in touched if not name.startswith("feed:")]
        for consignment in sorted({*names, *judged}):
            causes = touched.get(consignment, set()) or {command.cause for command, _ in judged.get(consignment, ())}
            cause = self._cause(causes, batch.time.now, batch.time.load_end)
            try:
                self._recompute(batch, world, consignment, cause, judged.get(consignment, []), outcome)
            except NotEqual:
                raise
            except Exception as error:  # a defect of ours in one consignment must not stop the others
                batch.faulty.add(consignment)
                batch.worked[consignment] = None
                if consignment not in self._faulty:
                    outcome.faults.append(Fault(consignment, f"{type(error).__name__}: {error}"))
                self._bare(batch, consignment, cause, judged.get(consignment, []), outcome)
        if len(outcome.faults) > max(FAULTS_STOP_LEAST, FAULTS_STOP_RATIO * len(names)):
            raise TooManyFaults(
                f"{len(outcome.faults)} of {len(names)} consignments could not be computed,"
                f" first: {outcome.faults[0].consignment}: {outcome.faults[0].text}"
            )

    def _recompute(
        self,
        batch: _Batch,
        world: _World,
        consignment: str,
        cause: str,
        judged: Sequence[tuple[Command, Judgement]],
        outcome: Outcome,
    ) -> None:
        own = batch.registration(consignment)
        before = batch.journey(consignment)
        now = batch.time.now
        version = max((before.version if before else 0) + 1, _milliseconds(now))
        if own is None:
            # no journey keeps the version: the next such command, in the same T, would have the ids of this one
            known_by = f"{consignment}\0{judged[0][0].command_id}" if judged else consignment
            changes = ChangeList(None, consignment, version, cause, now, known_by)
            _tell_judgements(changes, judged)
            outcome.changes.extend(changes.changes)
            return
        worked = self._work_out(batch, world, own)
        linked, derived = worked.linking.linked, worked.derived
        if linked.learned:
            self._match(batch, linked.learned.keys() - set(learned_references(before) if before else ()))
        outages = batch.time.outages_for(linked.standing)
        found, next_deadline = find(own, derived, linked.counted, self.registers, now, outages)
        amended = (
            own.registration.amended_at
            if before and own.registration.amended_at != before.amended_at
            else own.registration.cancelled_at
            if before and own.registration.cancelled_at != before.cancelled_at
            else None
        )
        differs = difference(before.exceptions if before else (), found, amended)
        composed = compose(own, linked, derived, differs.states, next_deadline)
        composed = self._with_life(composed, next_deadline, now)
        after = msgspec.structs.replace(composed, version=version, cause=cause, at=now)
        after, encoded = bounded(after)
        if len(encoded) > RECORD_BYTES_AT_MOST:
            raise ValueError(f"the record has {len(encoded)} bytes")
        changes = ChangeList(after, consignment, version, cause, now)
        _tell_judgements(changes, judged)
        tell_milestones(changes, before, after, derived)
        for kind, state in differs.told:
            changes.add(kind, exception=state)
        ended = ended_at(after)
        if ended is not None and now is not None and now >= ended + CLOSE_AFTER:
            changes.add("closed", journey=after)
            lasting = sorted(ref for ref in own.references if ref.kind not in WINDOWED_KINDS)
            closed = Closed(f"closed:{consignment}", version, tuple(lasting), now + TOO_LATE_FOR)
            batch.closed.append(closed)
            outcome.journeys.append(closed)
            outcome.closed.append(consignment)
            outcome.changes.extend(changes.changes)
            return
        same = before is not None and not changes.changes and _same(before, after)
        if not same:
            batch.journeys[consignment] = after
            outcome.journeys.append(after)
            outcome.encoded[consignment] = encoded
        outcome.changes.extend(changes.changes)

    def _work_out(self, batch: _Batch, world: _World, own: Declared) -> Worked:
        """Linking and fold of a consignment: what was kept where nothing of it moved, with new events where they change
        nothing else, and otherwise from all of its events. Raises NotEqual."""
        name = own.consignment
        kept, new = self.worked.get(name), batch.fresh.get(name)
        if kept is not None and (name in batch.stale or kept.linking.own is not own or kept.registers is not self.registers):
            kept = None
        if kept is not None and not new:
            worked = kept
        else:
            linking = kept.linking.with_more(new or (), world) if kept else None
            if linking is None:
                linking = Linking(own, world, self.registers)
                self.settlements += 1
            words = kept.words.copy() if kept else Words()
            worked = Worked(self.registers, linking, words, fold(own, linking.linked, self.registers, words))
            batch.worked[name] = worked
        if self.verify:
            linked = Linking(own, world, self.registers).linked
            if (linked, fold(own, linked, self.registers)) != (worked.linking.linked, worked.derived):
                raise NotEqual(name)
        return worked

    def _bare(
        self,
        batch: _Batch,
        consignment: str,
        cause: str,
        judged: Sequence[tuple[Command, Judgement]],
        outcome: Outcome,
    ) -> None:
        """What is kept of a consignment that cannot be computed: its registration and the outcomes of its commands. It is
        computed again with every batch until it can be."""
        own, before = batch.registration(consignment), batch.journey(consignment)
        if own is None or not judged:
            return
        version = max((before.version if before else 0) + 1, _milliseconds(batch.time.now))
        registered = {name: getattr(own.registration, name) for name in Registration.__struct_fields__}
        warning = "it could not be computed: see its dead letter"
        if before is not None:
            after = msgspec.structs.replace(before, **registered, version=version, cause=cause, warnings=(warning,))
        else:
            mode = own.registration.declaration.route.mode
            after = Journey(**registered, version=version, cause=cause, stage="registered", mode=mode, warnings=(warning,))
        changes = ChangeList(after, consignment, version, cause, batch.time.now)
        _tell_judgements(changes, judged)
        batch.journeys[consignment] = after
        outcome.journeys.append(after)
        outcome.changes.extend(changes.changes)

    def _with_life(self, journey: Journey, next_deadline: datetime | None, now: datetime | None) -> Journey:
        """An ended journey has two deadlines more: to rest, and to close."""
        ended = ended_at(journey)
        if ended is None:
            return journey
        later = [at for at in (ended + REST_AFTER, ended + CLOSE_AFTER) if now is None or at > now]
        candidates = [at for at in (next_deadline, *later[:1]) if at is not None]
        return msgspec.structs.replace(journey, next_deadline=min(candidates, default=None))

    # -- feeds -----------------------------------------------------------------------------------------------------

    def _feeds(self, batch: _Batch, heard: dict[str, datetime], touched: dict[str, set[str]], outcome: Outcome) -> None:
        if self.shard != 0:
            return
        keys = {f"feed:{sender}" for sender in heard} | {key for key in touched if key.startswith("feed:")}
        for key in sorted(keys):
            code = key.removeprefix("feed:")
            before = self.state.feeds.get(key)
            last = max(at for at in (heard.get(code), before.last_event_at if before else None) if at is not None)
            cause = self._cause(touched.get(key, set()), batch.time.now, batch.time.load_end)
            self._feed(batch, key, code, last, before, cause, outcome)

    def _feed(
        self, batch: _Batch, key: str, code: str, last: datetime, before: Feed | None, cause: str, outcome: Outcome
    ) -> None:
        kind = self.registers.kind(code)
        sender = self.registers.senders.get(code)
        limit_h = (sender.silent_after_h if sender else None) or FEED_SILENT_H.get(kind)
        if limit_h is None:
            return
        now = batch.time.now
        timeline = Timeline(now, batch.time.outages_for((code,)))
        limit = timedelta(hours=limit_h)
        old = before.exceptions[0] if before and before.exceptions else None
        state: ExceptionState | None = old
        told: list[tuple[str, ExceptionState]] = []
        if timeline.fired(last + limit):
            level = sum(timeline.fired(last + limit * factor) for factor in (4, 12))
            state = ExceptionState(
                key="silent",
                kind="silent",
                status="open",
                severity=("minor", "major", "critical")[level],
                start=last + limit,
                party=code,
                sentence=f"{code} has sent nothing since {last:%d %b %H:%M} UTC; {spoken(limit)} is its limit.",
            )
            if old is not None and old.status == "open" and old.start != state.start:
                told.append(_over(old, last))  # heard between two silences, and nobody looked in between
                old = None
            if old is None or old.status != "open":
                told.append(("exception_opened", state))
            elif old.severity != state.severity:
                told.append(("exception_changed", state))
        elif old is not None and old.status == "open":
            told.append(_over(old, last))
            state = told[0][1]
        version = max((before.version if before else 0) + 1, _milliseconds(now))
        feed = Feed(
            consignment=key,
            sender=code,
            sender_kind=kind,
            version=version,
            cause=cause,
            at=now,
            last_event_at=last,
            silent_after_h=limit_h,
            exceptions=(state,) if state else (),
            next_deadline=timeline.next_deadline(),
        )
        if before is not None and not told and _feed_same(before, feed):
            return
        changes = ChangeList(None, key, version, cause, now)
        for change, exception in told:
            changes.add(change, exception=exception)
        batch.feeds[key] = feed
        outcome.journeys.append(feed)
        outcome.changes.extend(changes.changes)


def _check_layout(clock: Clock, shards: int) -> None:
    if clock.moving_to is not None:
        raise WrongLayout(
            f"a change to {clock.moving_to} shards is under way: finish it with `lovla refold --shards {clock.moving_to}`"
        )
    if clock.shards is not None and clock.shards != shards:
        raise WrongLayout(
            f"the journeys are laid out for {clock.shards} shards, LOVLA_SHARDS says {shards}: set it back, or change the "
            f"layout with `lovla refold --shards {shards}`"
        )


def _milliseconds(now: datetime | None) -> int:
    return int(now.timestamp() * 1000) if now else 1


def _tell_judgements(changes: ChangeList, judged: Sequence[tuple[Command, Judgement]]) -> None:
    for command, judgement in judged:
        changes.add(
            "command_accepted" if judgement.accepted else "command_refused",
            command_id=command.command_id,
            command=command.command,
            sender=command.sender,
            declared_version=judgement.declared_version,
            reason=judgement.reason,
            text=judgement.text,
        )


def _over(silence: ExceptionState, heard: datetime) -> tuple[str, ExceptionState]:
    """How a feed's silence is over: it was heard again, or (an older event came late) it never was silent."""
    if heard > silence.start:
        return "exception_ended", msgspec.structs.replace(silence, status="ended", end=heard)
    return "exception_withdrawn", msgspec.structs.replace(silence, status="withdrawn")


def _feed_same(before: Feed, after: Feed) -> bool:
    return (before.last_event_at, before.next_deadline) == (after.last_event_at, after.next_deadline)


def _same(before: Journey, after: Journey) -> bool:
    """Whether nothing but version, cause and T differ."""
    return msgspec.structs.replace(after, version=before.version, cause=before.cause, at=before.at) == before
