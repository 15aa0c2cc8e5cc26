"""`lovla refold`: journeys computed again from the topics, by today's rules; and the change of the number of shards.

Nothing of it alerts anyone: what it tells has cause refold, and it tells only what really differs. The order:

1. `held`: the trackers have left (or were stopped), and we hold every partition of their lease, so that none can begin.
2. `fenced`: init_transactions of every tracker-k ends what a predecessor left open, and whoever still believes to be one.
3. `level`: shards that stand at different offsets are brought to the same, by the tracker's own stage and cause.
4. Everything before these offsets is read: registrations, events (into a store of its own), ticks. On it stand the journeys as
   they were published: what was told, and the versions to go above.
5. `refolded`: each journey is computed once more and written where it differs, two hundred a transaction.

A crash in or after any step leaves journeys that are each either the old or the new one, both true at these offsets: a tracker
that starts goes on from them, a refold that is run again writes what is missing.

A change of the number of shards writes between 3 and 4 into every clock that it is under way (`marked`): from then on no
tracker starts until it is finished. What 5 writes goes to the partition of the new shard; then all that stands elsewhere is
written there or was, and leaves the old partition in the same transaction (`relocated`). Last, in one transaction, the clocks
of the new shards and their offsets (`moved`); clocks of shards that are no more lose their ticks. Killed anywhere, it is run
again and finishes: of a journey the copy of the greatest version counts.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs import these names without exporting them
    AdminClient,
    NewPartitions,
    NewTopic,
)

from schemas.journey_v1 import Clock as ClockContract
from schemas.topics import CONSIGNMENT_COMMANDS, JOURNEYS, RAW_MESSAGES, SHIPMENT_EVENTS, TRACKER_SHARDS
from services.runtime import kafka, wire
from services.runtime.failpoints import Failpoints
from services.runtime.hold import GroupHold
from services.runtime.lease import LEASE_GROUP, LEASE_TOPIC
from services.runtime.loop import Output, Record, read_range, restore
from services.runtime.progress import Progress, silent
from services.runtime.settings import Settings
from services.runtime.verb_writer import CALL_TIMEOUT_S, TransactionalWriter
from services.tracker.app import (
    DiskFolder,
    RegisterWatch,
    TrackerStage,
    catch_up,
    decode_again,
    open_store,
    restore_tracker,
)
from services.tracker.clock import Pair
from services.tracker.core import Outcome, Read, ReadCommand, ReadControl, Tracker, shard_of
from services.tracker.event_store import DiskEventStore, WritableEventStore
from services.tracker.linking import Declared
from services.tracker.records import Clock, Closed, Event, Feed, Journey, decode_journey_record, encode
from services.tracker.registers import Registers
from services.tracker.registrations import judge

SLICE = 200  # consignments a transaction: a tenth of a second of computing; at their largest 50 MB, within its 10 s
BATCH_RECORDS = 5_000
EVENTS_AT_ONCE = 10_000
EXAMPLES = 20
TOPICS = (SHIPMENT_EVENTS, CONSIGNMENT_COMMANDS)
WITNESS = (CONSIGNMENT_COMMANDS.name, 0)
PAIRS: tuple[Pair, ...] = tuple(
    (raw, topic.name, partition)
    for raw in range(RAW_MESSAGES.partitions)
    for topic in TOPICS
    for partition in range(topic.partitions)
)

Position = tuple[str, int]


class RefoldError(Exception):
    """It cannot go on; the text says why and what to do."""


@dataclass(slots=True)
class Report:
    """`journeys`: computed again; `differ`: consignments written because something differs; `told`: changes by kind; `moved`:
    journeys that changed their partition; `faults`: consignments that could not be computed and stay as they are."""

    journeys: int = 0
    differ: list[str] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)
    moved: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    shards: int = 1


def refold(
    settings: Settings,
    consignment: str | None = None,
    shards: int | None = None,
    *,
    within_s: float = 60.0,
    progress: Progress = silent,
) -> Report:
    """Do it. `within_s`: how long to wait for trackers to leave. Raises Busy, RefoldError, KafkaException, TimeoutError,
    TooManyFaults."""
    with GroupHold(settings, LEASE_GROUP, [LEASE_TOPIC], within_s) as hold:
        run = _Refold(settings, hold, progress)
        try:
            return run.run(consignment, shards)
        finally:
            run.close()


class _Refold:
    """One run, while the lease is held."""

    def __init__(self, settings: Settings, hold: GroupHold, progress: Progress) -> None:
        self._settings = settings
        self._hold = hold
        self._progress = progress
        self._fail = Failpoints(settings.failpoint)
        self._members: dict[int, Consumer] = {}
        self._folder = DiskFolder(settings.state_dir / "tracker" / "refold")
        self._watch = RegisterWatch(settings)
        self._registers = self._watch.start()
        self._store: DiskEventStore | None = None

    def close(self) -> None:
        self._watch.close()
        for member in self._members.values():
            member.close()
        if self._store is not None:
            self._store.close()
        self._folder.destroy()

    def run(self, consignment: str | None, shards: int | None) -> Report:
        self._fail.reach("held")
        old = Published.read(self._settings)
        before = old.shards or self._settings.shards
        after = shards or old.moving_to or before
        if old.moving_to not in (None, after):
            raise RefoldError(
                f"a change to {old.moving_to} shards is under way: finish it first, with --shards {old.moving_to}"
            )
        if consignment is not None and after != before:
            raise RefoldError("the number of shards changes for all consignments at once: leave --consignment away")
        if consignment is not None and consignment not in old.journeys:
            raise RefoldError(f"there is no journey of {consignment}; see `lovla find {consignment}`")
        if not 1 <= after <= 64:
            raise RefoldError(f"{after} shards: choose 1 to 64")
        layout = _Layout(before, after, {shard: self._writer(shard) for shard in range(max(before, after))})
        self._fail.reach("fenced")
        if old.moving_to is None:
            self._level(before, layout.writers)
            old = Published.read(self._settings)
        self._fail.reach("level")
        if layout.changes:
            _widen(self._settings, JOURNEYS.name, after)
            self._mark(old, layout)
        cut = self._committed(0)
        report = Report(shards=after)
        scratch = self._scratch(old, cut)
        tracker, heard = scratch.tracker, scratch.heard
        wanted = [consignment] if consignment is not None else sorted(tracker.state.declared)
        closed = self._fold(tracker, wanted, {} if consignment is not None else heard, layout, report)
        self._fail.reach("refolded")
        for name in old.journeys.keys() - tracker.state.declared.keys() - closed if consignment is None else ():
            if f"closed:{name}" not in old.closed:
                report.faults[name] = "no topic holds its registration"
        if layout.changes:
            self._relocate(tracker, old, closed, layout, report)
        if layout.changes or (consignment is None and len(old.clocks) < before):  # the topic of journeys may have been lost
            self._move(tracker, old, cut, layout)
        self._fail.reach("moved")
        return report

    # -- the offsets ----------------------------------------------------------------------------------------------------

    def _member(self, shard: int) -> Consumer:
        if shard not in self._members:
            self._members[shard] = kafka.consumer(self._settings, "lovla-refold", f"tracker-{shard}")
        return self._members[shard]

    def _writer(self, shard: int) -> TransactionalWriter:
        """Writes as shard k: fenced by transactional.id, as the tracker is."""
        return TransactionalWriter(self._settings, "lovla-refold", f"tracker-{shard}")

    def _committed(self, shard: int) -> dict[Position, int]:
        """Where a shard stands, once no transaction is pending on it."""
        places = [(topic.name, partition) for topic in TOPICS for partition in range(topic.partitions)]
        return kafka.stands(self._member(shard), places)

    def _level(self, shards: int, writers: Mapping[int, TransactionalWriter]) -> None:
        """Bring every shard to where the foremost one of each partition stands."""
        stand = {shard: self._committed(shard) for shard in range(shards)}
        ends = {place: max(one[place] for one in stand.values()) for place in stand[0]}
        settings = self._settings.model_copy(update={"shards": shards})
        for shard, at in stand.items():
            if at != ends:
                self._advance(settings, shard, at, ends, writers[shard])

    def _advance(
        self, settings: Settings, shard: int, at: dict[Position, int], ends: Mapping[Position, int], writer: TransactionalWriter
    ) -> None:
        """What the tracker of this shard would have done with the records from `at` to `ends`."""
        store = open_store(DiskFolder(settings.state_dir / "tracker" / f"events-{shard}"), at)
        try:
            tracker = Tracker(store, self._registers, PAIRS, WITNESS, shard, settings.shards)
            restore_tracker(settings, tracker, shard, at)
            catch_up(settings, tracker, store, at)
            stage = TrackerStage(tracker, store, shard, lambda: None)
            waiting: list[Record] = []

            def flush() -> None:
                if waiting:
                    outputs = stage.process(waiting)
                    reached = {(one.topic, one.partition): one.offset + 1 for one in waiting}
                    self._write(writer, outputs, {self._member(shard): _places(reached)})
                    stage.committed()
                    waiting.clear()

            def take(record: Record) -> None:
                waiting.append(record)
                if len(waiting) >= BATCH_RECORDS:
                    flush()

            for (topic, partition), end in sorted(ends.items()):
                read_range(settings, topic, partition, at[topic, partition], end, take)
            flush()
            self._write(writer, [], {self._member(shard): _places(ends)})  # past records that are none of ours
        finally:
            store.close()

    def _write(
        self,
        writer: TransactionalWriter,
        outputs: Iterable[Output],
        offsets: Mapping[Consumer, Sequence[TopicPartition]] | None = None,
    ) -> None:
        if not self._hold.whole:
            raise RefoldError("a tracker began in the middle; what is written counts. Stop it and run this again")
        writer.write(outputs, offsets)

    # -- from the topics ------------------------------------------------------------------------------------------------

    def _scratch(self, old: Published, cut: Mapping[Position, int]) -> Scratch:
        """Everything before `cut`, read."""
        self._folder.destroy()  # of a refold that was killed
        self._store = DiskEventStore(Path(self._folder.folder))
        scratch = Scratch(self._store, self._registers)
        done = 0

        def read(record: Record) -> None:
            nonlocal done
            done += 1
            if done % 1_000 == 0:
                self._progress("reading the topics", done, sum(cut.values()))
            scratch.read(decode_again(record))

        for topic, partition in sorted(cut):  # commands come first: what is registered tells which events are named
            read_range(self._settings, topic, partition, 0, cut[topic, partition], read)
            if topic == CONSIGNMENT_COMMANDS.name:
                scratch.stand_on(old)
        scratch.finish()
        return scratch

    # -- the journeys ---------------------------------------------------------------------------------------------------

    def _fold(
        self, run: Tracker, wanted: Sequence[str], heard: Mapping[str, datetime], layout: _Layout, report: Report
    ) -> set[str]:
        """Write what differs. Returns the consignments that were closed by it."""
        assert self._store is not None
        stage = TrackerStage(run, self._store, 0, lambda: None)
        slices: list[tuple[Sequence[str], Mapping[str, datetime]]] = [
            (wanted[at : at + SLICE], {}) for at in range(0, len(wanted), SLICE)
        ]
        closed: set[str] = set()
        for names, senders in [*slices, ((), heard)]:
            outcome = run.refold(names, senders)
            by_shard: dict[int, list[Output]] = {}
            # a fault is told by the report; its journey stays as it is
            for output in stage.outputs(Outcome(outcome.journeys, outcome.changes, outcome.closed)):
                shard = shard_of_key((output.key or b"").decode(), layout.after)
                placed = msgspec.structs.replace(output, partition=shard) if output.topic == JOURNEYS.name else output
                by_shard.setdefault(layout.writer_of(shard), []).append(placed)
            for writer, outputs in by_shard.items():
                self._write(layout.writers[writer], outputs)
                self._fail.reach("slice")
            run.committed()
            closed.update(outcome.closed)
            _count(report, outcome, names)
            self._progress("refolding", report.journeys, len(wanted))
        return closed

    def _relocate(self, run: Tracker, old: Published, closed: set[str], layout: _Layout, report: Report) -> None:
        """Every record to the partition of its new shard, and away from where it was, in one transaction each slice."""
        assert self._store is not None
        stage = TrackerStage(run, self._store, 0, lambda: None)
        written = set(report.differ)
        keys = sorted(key for key in old.place if not key.startswith("clock:"))
        for at in range(0, len(keys), SLICE):
            outputs: list[Output] = []
            for key in keys[at : at + SLICE]:
                target = shard_of_key(key, layout.after)
                gone = key in closed or f"closed:{key}" in old.closed
                moves = old.place[key] != target and not gone
                if moves and key not in written:
                    same = stage.outputs(Outcome(journeys=[old.record(key)]))
                    outputs += [msgspec.structs.replace(output, partition=target) for output in same]
                outputs += [Output(JOURNEYS.name, key.encode(), None, p) for p in old.copies[key] if p != target or gone]
                report.moved += moves
            self._write(layout.writers[0], outputs)
            self._fail.reach("relocated")
            self._progress("moving to their shards", min(at + SLICE, len(keys)), len(keys))

    # -- the change of layout ---------------------------------------------------------------------------------------------

    def _mark(self, old: Published, layout: _Layout) -> None:
        for shard in range(layout.before):
            clock = old.clocks.get(shard, Clock(consignment=f"clock:{shard}", version=0))
            marked = msgspec.structs.replace(clock, version=clock.version + 1, shards=layout.before, moving_to=layout.after)
            old.clocks[shard] = marked
            self._write(layout.writers[shard], [_clock_output(shard, marked)])
        self._fail.reach("marked")

    def _move(self, run: Tracker, old: Published, cut: Mapping[Position, int], layout: _Layout) -> None:
        """The one transaction by which the new layout counts."""
        outputs = []
        for shard in range(max(layout.before, layout.after)):
            version = old.clocks[shard].version + 1 if shard in old.clocks else 1
            clock = (
                run.time.record(shard, version, layout.after, self._registers.digest)
                if shard < layout.after
                else Clock(consignment=f"clock:{shard}", version=version, shards=layout.after)
            )
            outputs.append(_clock_output(shard, clock))
        self._write(layout.writers[0], outputs, {self._member(shard): _places(cut) for shard in range(layout.after)})


class Scratch:
    """One tracker that owns all, made from the topics' records alone, standing on the journeys as they were published."""

    def __init__(
        self,
        store: WritableEventStore,
        registers: Registers,
        pairs: Iterable[Pair] = PAIRS,
        witness: tuple[str, int] = WITNESS,
    ) -> None:
        self.tracker = Tracker(store, registers, pairs, witness)
        self.heard: dict[str, datetime] = {}
        self._store = store
        self._waiting: list[Event] = []
        self._old = Published()

    def read(self, read: Read | None) -> None:
        """Take in a record. All commands come before `stand_on`, all events after it."""
        if isinstance(read, ReadControl):
            self.tracker.time.read(read.control, read.topic, read.partition)
        elif isinstance(read, ReadCommand):
            known = self.tracker.state.declared.get(read.command.consignment)
            changed, _ = judge(read.command, known.registration if known else None)
            if changed is not None:
                self.tracker.state.declare(Declared(changed))
        elif read is not None:
            self._waiting.append(read.event)
            sender, at = read.event.sender, read.event.received_at
            self.heard[sender] = max(at, self.heard.get(sender, at))
            if len(self._waiting) >= EVENTS_AT_ONCE:
                self._keep()

    def stand_on(self, old: Published) -> None:
        """What was published: the difference to it is told, and its versions are gone above."""
        self._old = old
        state = self.tracker.state
        for journey in old.journeys.values():
            state.keep(journey, None)
        for closed in old.closed.values():
            state.keep_closed(closed)
            state.forget(closed.consignment.removeprefix("closed:"))
        for feed in old.feeds.values():
            state.keep_feed(feed)

    def finish(self) -> None:
        """All was read. A consignment without a journey that would close at once was closed so long ago that even the note of
        it is gone: it is left closed."""
        self._keep()
        for name in sorted(self.tracker.state.declared.keys() - self._old.journeys.keys()):
            outcome = self.tracker.refold([name], {})
            self.tracker.aborted()
            if name in outcome.closed:
                self.tracker.state.forget(name)

    def _keep(self) -> None:
        kept, unmatched = self.tracker.admit(self._waiting)
        self._store.write(kept, {}, unmatched)
        self._waiting.clear()


@dataclass(frozen=True, slots=True)
class _Layout:
    """From how many shards to how many."""

    before: int
    after: int
    writers: Mapping[int, TransactionalWriter]

    @property
    def changes(self) -> bool:
        return self.before != self.after

    def writer_of(self, shard: int) -> int:
        """Each shard writes its own; while the layout changes no tracker can start, so that the first writes all."""
        return 0 if self.changes else shard


def _clock_output(shard: int, clock: Clock) -> Output:
    at = max(clock.ticks.values(), default=None)
    headers = wire.headers(ClockContract, id=f"{clock.consignment}@{clock.version}", source="tracker", time=at)
    return Output(JOURNEYS.name, clock.consignment.encode(), encode(clock), shard, headers)


@dataclass(slots=True)
class Published:
    """The journeys topic: of each key the copy of the greatest version, where it stands, and where older ones stand."""

    journeys: dict[str, Journey] = field(default_factory=dict)
    feeds: dict[str, Feed] = field(default_factory=dict)
    closed: dict[str, Closed] = field(default_factory=dict)
    clocks: dict[int, Clock] = field(default_factory=dict)
    place: dict[str, int] = field(default_factory=dict)
    copies: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def read(cls, settings: Settings) -> Published:
        found = cls()
        client = kafka.consumer(settings, "lovla-refold", "lovla-refold")
        try:
            partitions = kafka.partitions(client, JOURNEYS.name)
        finally:
            client.close()
        for partition in partitions:
            newest: dict[bytes, bytes] = {}

            def take(record: Record, newest: dict[bytes, bytes] = newest) -> None:
                if record.key is None:
                    return
                if record.value is None:
                    newest.pop(record.key, None)
                else:
                    newest[record.key] = record.value

            restore(settings, JOURNEYS.name, partition, take)
            for value in newest.values():
                found.add(partition, value)
        return found

    def add(self, partition: int, value: bytes) -> None:
        """Take in the last record of a key in a partition."""
        record = decode_journey_record(value)
        key = record.consignment
        self.copies.setdefault(key, []).append(partition)
        if key in self.place and self.record(key).version >= record.version:
            return
        self.place[key] = partition
        if isinstance(record, Journey):
            self.journeys[key] = record
        elif isinstance(record, Feed):
            self.feeds[key] = record
        elif isinstance(record, Closed):
            self.closed[key] = record
        else:
            self.clocks[int(key.removeprefix("clock:"))] = record

    def record(self, key: str) -> Journey | Feed | Closed | Clock:
        if key.startswith("clock:"):
            return self.clocks[int(key.removeprefix("clock:"))]
        return self.journeys.get(key) or self.feeds.get(key) or self.closed[key]

    @property
    def shards(self) -> int | None:
        """What the journeys are laid out for; None: written before clocks said so."""
        return next((clock.shards for clock in self.clocks.values() if clock.ticks and clock.shards), None)

    @property
    def moving_to(self) -> int | None:
        return next((clock.moving_to for clock in self.clocks.values() if clock.moving_to), None)


def shard_of_key(key: str, shards: int) -> int:
    """Which shard keeps a record of the journeys topic: feeds are shard 0's, a note of a closed one its consignment's."""
    return 0 if key.startswith("feed:") else shard_of(key.removeprefix("closed:"), shards)


def _count(report: Report, outcome: Outcome, names: Sequence[str]) -> None:
    report.journeys += len(names)
    report.differ += [record.consignment for record in outcome.journeys]
    for change in outcome.changes:
        report.told[change.change] = report.told.get(change.change, 0) + 1
    report.faults |= {fault.consignment: fault.text for fault in outcome.faults}


def _places(offsets: Mapping[Position, int]) -> list[TopicPartition]:
    return [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]


def _widen(settings: Settings, topic: str, partitions: int) -> None:
    """At least so many partitions; none is ever taken away. Raises KafkaException."""
    client = kafka.consumer(settings, "lovla-refold", "lovla-refold")
    try:
        now = len(kafka.partitions(client, topic))
    finally:
        client.close()
    if now < partitions:
        with kafka.admin(settings.kafka) as admin:
            for future in admin.create_partitions([NewPartitions(topic, partitions)]).values():
                future.result(CALL_TIMEOUT_S)


def resize_lease(settings: Settings, shards: int) -> None:
    """One partition of the lease a shard. There is nothing in that topic; nobody may hold it now. Raises KafkaException."""
    with kafka.admin(settings.kafka) as admin:
        _resize(admin, shards)


def _resize(admin: AdminClient, shards: int) -> None:
    now = admin.list_topics(timeout=CALL_TIMEOUT_S).topics.get(LEASE_TOPIC)
    have = len(now.partitions) if now is not None else 0
    if have and have < shards:
        for future in admin.create_partitions([NewPartitions(LEASE_TOPIC, shards)]).values():
            future.result(CALL_TIMEOUT_S)
        return
    if have > shards:
        for future in admin.delete_topics([LEASE_TOPIC]).values():
            future.result(CALL_TIMEOUT_S)
    until = time.monotonic() + CALL_TIMEOUT_S
    while have != shards:
        try:
            for future in admin.create_topics([NewTopic(LEASE_TOPIC, shards, 1, config=TRACKER_SHARDS.config())]).values():
                future.result(CALL_TIMEOUT_S)
            return
        except KafkaException as error:  # it is still being deleted
            if kafka.error_of(error).code() != KafkaError.TOPIC_ALREADY_EXISTS or time.monotonic() > until:
                raise
            time.sleep(0.2)


def drop_groups(settings: Settings, shards: int) -> None:
    """The offsets of shards that are no more: they would look like lag for ever."""
    gone = [f"tracker-{shard}" for shard in range(shards, 64)]
    with kafka.admin(settings.kafka) as admin:
        known = {group.group_id for group in admin.list_consumer_groups(request_timeout=CALL_TIMEOUT_S).result().valid}
        for future in admin.delete_consumer_groups([group for group in gone if group in known] or ["-"]).values():
            with contextlib.suppress(KafkaException):  # it costs nothing but a line in `lovla status`
                future.result(CALL_TIMEOUT_S)
