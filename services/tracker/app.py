"""The tracker's process: lease, restore, loop. Everything that is decided is decided in `core`.

The order at start: 1. own shard k (partition k of tracker.shards); 2. `init_transactions` with `tracker-k`, which fences the
predecessor and settles what it left open; 3. committed offsets of group `tracker-k`; 4. restore journeys partition k; 5. catch
the event store up from its position to the committed offsets, and no further; 6. the loop.
"""

from __future__ import annotations

import base64
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec
from pydantic import BaseModel

from schemas.dead_letter_v1 import DeadLetter
from schemas.journey_change_v1 import CommandJudged, ExceptionChanged, HandedOver, JourneyClosed, MilestoneReached
from schemas.journey_v1 import Clock as ClockContract
from schemas.journey_v1 import Closed as ClosedContract
from schemas.journey_v1 import Feed as FeedContract
from schemas.journey_v1 import Journey as JourneyContract
from schemas.registers_v1 import Facility, Sender
from schemas.shipment_event_v1 import CONTROL_KEY
from schemas.topics import (
    CONSIGNMENT_COMMANDS,
    DEAD_LETTERS,
    FACILITIES,
    JOURNEY_CHANGES,
    JOURNEYS,
    RAW_MESSAGES,
    SENDERS,
    SHIPMENT_EVENTS,
)
from services.runtime import garbage, logs, metrics, process, wire
from services.runtime.kafka import LIBRDKAFKA, Clients
from services.runtime.lease import ShardLease
from services.runtime.loop import (
    AssignedSource,
    Limits,
    Output,
    OwnershipLost,
    Record,
    StageFailed,
    TransactionalLoop,
    read_range,
    restore,
)
from services.runtime.member import Slot
from services.runtime.register import RegisterView
from services.runtime.settings import Settings
from services.tracker.core import (
    EVENTS_KEPT,
    Fault,
    Outcome,
    Read,
    ReadCommand,
    ReadControl,
    ReadEvent,
    Refused,
    Tracker,
    WrongLayout,
)
from services.tracker.event_store import DiskEventStore, Overlay, WritableEventStore
from services.tracker.publishing import change_id
from services.tracker.records import (
    Change,
    Clock,
    Closed,
    Event,
    Feed,
    Journey,
    decode_command,
    decode_control,
    decode_event,
    encode,
)
from services.tracker.registers import Registers

BATCH = Limits(records=5_000)
CATCH_UP_EVENTS = 10_000  # events written to the store at once while it catches up
STANDBY_AFTER_S = 20.0
"""Who begins again and has no shard by then is a standby, and well: the group gives a free one within a session, 10 s."""
SWEPT_EVENTS = 500  # looked at after a batch: about a millisecond, so a million an hour under load
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT: dict[type, type[BaseModel]] = {
    Journey: JourneyContract,
    Feed: FeedContract,
    Clock: ClockContract,
    Closed: ClosedContract,
}
_CONTRACTS: dict[str, type[BaseModel]] = {
    "milestone_reached": MilestoneReached,
    "handed_over": HandedOver,
    "command_accepted": CommandJudged,
    "command_refused": CommandJudged,
    "closed": JourneyClosed,
}
log = logs.get("tracker")


def decode(record: Record) -> Read | None:
    """A record of the two topics as the core reads it; None for what is not for us (a tombstone)."""
    if record.value is None:
        return None
    if record.key == CONTROL_KEY:
        return ReadControl(decode_control(record.value), record.topic, record.partition)
    if record.topic == SHIPMENT_EVENTS.name:
        return ReadEvent(decode_event(record.value))
    return ReadCommand(decode_command(record.value))


def decode_again(record: Record) -> Read | None:
    """As `decode`, of records that were decided on before: what was no record then became a dead letter then."""
    try:
        return decode(record)
    except msgspec.MsgspecError:
        return None


class TrackerStage:
    """The core under the loop: decodes, encodes, and writes the event store once Kafka has the batch."""

    def __init__(
        self, tracker: Tracker, store: WritableEventStore, shard: int, registers: Callable[[], Registers | None]
    ) -> None:
        """`registers` gives new registers once after they changed, else None."""
        self._tracker = tracker
        self._store = store
        self._shard = shard
        self._registers = registers
        self._positions: dict[int, int] = {}
        self._events: Overlay | None = None

    def process(self, batch: Sequence[Record]) -> Sequence[Output]:
        if (changed := self._registers()) is not None:
            self._tracker.reconsider(changed)
        reads: list[Read] = []
        outputs: list[Output] = []
        for record in batch:
            try:
                read = decode(record)
            except msgspec.MsgspecError as error:
                outputs.append(_poison(record, str(error)))
                continue
            if read is not None:
                reads.append(read)
        outcome = self._tracker.process(reads)
        self._events = self._tracker.batch_events()
        self._positions = {r.partition: r.offset + 1 for r in batch if r.topic == SHIPMENT_EVENTS.name}
        return outputs + self.outputs(outcome)

    def committed(self) -> None:
        self._tracker.committed()
        if (added := self._events) is not None:
            added.write_to(self._store, self._positions)
            metrics.counter("lovla_tracker_events_total", fate="stored").inc(len(added.events))
        self._events = None
        if (now := self._tracker.time.now) is not None:
            gone = self._store.sweep(now - EVENTS_KEPT, self._tracker.needs, SWEPT_EVENTS)
            metrics.counter("lovla_tracker_events_total", fate="expired").inc(gone)
        self._measure()

    def aborted(self) -> None:
        self._tracker.aborted()
        self._events = None

    def outputs(self, outcome: Outcome) -> list[Output]:
        """What is written of an outcome."""
        outputs = [self._journey(journey, outcome.encoded.get(journey.consignment)) for journey in outcome.journeys]
        outputs += [Output(JOURNEYS.name, key.encode(), None, self._shard) for key in outcome.closed]
        outputs += [_change(change) for change in outcome.changes]
        outputs += [_dead_letter(fault, self._shard) for fault in outcome.faults]
        outputs += [_refusal(refused, self._shard) for refused in outcome.refused]
        for kind, many in Counter(change.change for change in outcome.changes).items():
            metrics.counter("lovla_tracker_changes_total", kind=kind).inc(many)
        for refused in outcome.refused:
            metrics.counter("lovla_dead_letters_total", stage="tracker", reason=refused.reason).inc()
        return outputs

    def _journey(self, record: Journey | Feed | Clock | Closed, encoded: bytes | None) -> Output:
        if isinstance(record, Clock):
            at = max(record.ticks.values(), default=None)
        else:
            at = self._tracker.time.now if isinstance(record, Closed) else record.at
        headers = wire.headers(
            _KEPT[type(record)], id=f"{record.consignment}@{record.version}", source="tracker", time=at or _EPOCH
        )
        return Output(JOURNEYS.name, record.consignment.encode(), encoded or encode(record), self._shard, headers)

    def _measure(self) -> None:
        state, now = self._tracker.state, self._tracker.time.now
        metrics.gauge("lovla_tracker_journeys", state="held").set(len(state.journeys))
        metrics.gauge("lovla_parked", stage="tracker").set(self._tracker.parked)
        if now is not None:
            # a figure for people, so the machine's own clock serves; told when asked, for it grows when nothing comes any more
            stands = now.timestamp()
            metrics.gauge("lovla_tracker_time_age_seconds", shard=str(self._shard)).set_function(lambda: time.time() - stands)


def _change(change: Change) -> Output:
    contract = _CONTRACTS.get(change.change, ExceptionChanged)
    headers = wire.headers(contract, id=change.change_id, source="tracker", time=change.at or _EPOCH)
    return Output(JOURNEY_CHANGES.name, change.consignment.encode(), encode(change), None, headers)


def _dead_letter(fault: Fault, shard: int) -> Output:
    letter = DeadLetter(
        letter_id=change_id(fault.consignment, 0, 0),
        stage="tracker",
        sender=fault.consignment[:128],
        reason="fault",
        where=fault.consignment[:128],
        text=f"the journey could not be computed: {fault.text}"[:500],
        topic=JOURNEYS.name,
        partition=shard,
        offset=0,
        received_at=_EPOCH,
        retryable=True,
    )
    log.error("tracker.fault", consignment=fault.consignment, text=fault.text)
    headers = wire.headers(DeadLetter, id=letter.letter_id, source="tracker", time=_EPOCH)
    return Output(DEAD_LETTERS.name, fault.consignment.encode(), wire.dump(letter), None, headers)


def _refusal(refused: Refused, shard: int) -> Output:
    event = refused.event
    letter = DeadLetter(
        letter_id=change_id(f"{refused.reason}/{event.event_id}", shard, 0),
        stage="tracker",
        sender=event.sender,
        reason=refused.reason,
        where=event.raw.position[:128],
        text=refused.text[:500],
        standard=event.standard,
        topic=RAW_MESSAGES.name,
        partition=event.raw.partition or 0,
        offset=event.raw.offset or 0,
        raw_partition=event.raw.partition,
        raw_offset=event.raw.offset,
        received_at=event.received_at,
        retryable=True,
    )
    headers = wire.headers(DeadLetter, id=letter.letter_id, source="tracker", time=event.received_at)
    return Output(DEAD_LETTERS.name, event.sender.encode(), wire.dump(letter), None, headers)


def _poison(record: Record, text: str) -> Output:
    """A record that is not what its topic promises: kept aside in the same transaction; the next one flows."""
    key = f"{record.topic}/{record.partition}/{record.offset}"
    at = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    payload = base64.b64encode((record.value or b"")[:65_536]).decode()
    letter = DeadLetter(
        letter_id=change_id(key, 0, 0),
        stage="tracker",
        sender=(record.key or b"").decode(errors="replace")[:128],
        reason="undecodable",
        where=key,
        text=text[:500],
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        received_at=at,
        payload=payload,
        payload_cut=len(record.value or b"") > 65_536,
    )
    log.error("tracker.undecodable", where=key, text=text)
    return Output(
        DEAD_LETTERS.name,
        record.key,
        wire.dump(letter),
        None,
        wire.headers(DeadLetter, id=letter.letter_id, source="tracker", time=at),
    )


class RegisterWatch:
    """Views of senders and facilities; `changed()` gives a snapshot once after each change."""

    def __init__(self, settings: Settings) -> None:
        self._dirty = threading.Event()
        self._senders = RegisterView(settings, SENDERS.name, Sender, on_change=lambda *_: self._dirty.set())
        self._facilities = RegisterView(settings, FACILITIES.name, Facility, on_change=lambda *_: self._dirty.set())

    def start(self) -> Registers:
        self._senders.start()
        self._facilities.start()
        self._dirty.clear()
        return self.snapshot()

    def snapshot(self) -> Registers:
        return Registers(self._senders.snapshot(), self._facilities.snapshot())

    def changed(self) -> Registers | None:
        if not self._dirty.is_set():
            return None
        self._dirty.clear()
        return self.snapshot()

    def close(self) -> None:
        self._senders.close()
        self._facilities.close()


def restore_tracker(
    settings: Settings, tracker: Tracker, shard: int, committed: dict[tuple[str, int], int], clients: Clients = LIBRDKAFKA
) -> int:
    """Journeys of this shard; with several shards also the others' registrations. Returns how many journeys it holds."""

    def take(record: Record) -> None:
        if record.key is not None:
            tracker.restore(record.key.decode(), record.value)

    restore(settings, JOURNEYS.name, shard, take, clients)
    tracker.restored()
    if settings.shards > 1:
        end = committed.get((CONSIGNMENT_COMMANDS.name, 0), 0)

        def foreign(record: Record) -> None:
            read = decode_again(record)
            if isinstance(read, ReadCommand):
                tracker.restore_registration(read.command)

        read_range(settings, CONSIGNMENT_COMMANDS.name, 0, 0, end, foreign, clients)
    return len(tracker.state.journeys)


def catch_up(
    settings: Settings,
    tracker: Tracker,
    store: WritableEventStore,
    committed: dict[tuple[str, int], int],
    clients: Clients = LIBRDKAFKA,
) -> int:
    """Reads what the store lacks, up to the committed offsets and no further. Returns how many events.

    At its end every mark of an event that nobody names is true of the state, whatever a crash left.
    """
    pending: list[Event] = []
    total = 0
    known = store.positions()

    def keep(partition: int, position: int) -> None:
        nonlocal total
        total += len(pending)
        kept, unmatched = tracker.admit(pending)
        store.write(kept, {partition: position}, unmatched)
        pending.clear()

    for (topic, partition), end in sorted(committed.items()):
        if topic != SHIPMENT_EVENTS.name or known.get(partition, 0) >= end:
            continue

        def take(record: Record) -> None:
            read = decode_again(record)
            if isinstance(read, ReadEvent):
                pending.append(read.event)
            if len(pending) >= CATCH_UP_EVENTS:
                keep(record.partition, record.offset + 1)

        read_range(settings, topic, partition, known.get(partition, 0), end, take, clients)
        keep(partition, end)
    store.write([], {}, matched=[event for event in store.unmatched() if tracker.state.follows(event)])
    return total


class StoreFolder(Protocol):
    """Where a process keeps its event store."""

    def open(self) -> WritableEventStore: ...
    def destroy(self) -> None:
        """Of a store that is closed."""
        ...


@dataclass(frozen=True)
class DiskFolder:
    """A folder for RocksDB."""

    folder: Path

    def open(self) -> WritableEventStore:
        return DiskEventStore(self.folder)

    def destroy(self) -> None:
        DiskEventStore.destroy(self.folder)


def open_store(where: StoreFolder, committed: dict[tuple[str, int], int]) -> WritableEventStore:
    """The local index; one that is ahead of the committed offsets belongs to another log, and is begun anew."""
    store = where.open()
    ahead = {p: at for p, at in store.positions().items() if at > committed.get((SHIPMENT_EVENTS.name, p), 0)}
    if not ahead:
        return store
    store.close()
    where.destroy()
    log.warning("tracker.store_thrown_away", ahead=ahead)
    return where.open()


def run(settings: Settings, stop: threading.Event) -> None:
    """Until `stop`. Raises OwnershipLost, StageFailed, and what `work` raises."""
    health: list[Callable[[], str | None]] = [lambda: "has not reached Kafka yet"]
    page = metrics.serve(settings.metrics_port, lambda: health[0]())
    lease = ShardLease(settings)
    until = time.monotonic() + (STANDBY_AFTER_S if settings.life else 0.0)
    health[0] = lambda: "waits for its shard" if time.monotonic() < until else None
    watch = RegisterWatch(settings)
    try:
        shard = lease.acquire(stop)
        if shard is None:
            return
        _own(settings, shard, lease, watch, health, stop)
    finally:
        watch.close()
        lease.close()
        if page is not None:
            page.close()


def _own(
    settings: Settings,
    shard: int,
    lease: ShardLease,
    watch: RegisterWatch,
    health: list[Callable[[], str | None]],
    stop: threading.Event,
) -> None:
    def started(loop: TransactionalLoop, _tracker: Tracker) -> None:
        garbage.relax()
        health[0] = lambda: "the lease was lost" if lease.lost.is_set() else loop.healthy()
        threading.Thread(target=_stop_when_lost, args=(lease, stop), name="lease", daemon=True).start()

    health[0] = lambda: "reads its journeys"
    # a predecessor that hangs still holds its store; it can be thrown away, so the successor begins one beside it
    slot = Slot(settings.state_dir / "tracker", f"events-{shard}")
    beside = f".{slot.number}" if slot.number else ""
    try:
        work(settings, shard, watch, DiskFolder(settings.state_dir / "tracker" / f"events-{shard}{beside}"), stop, started)
    finally:
        slot.release()
    if lease.lost.is_set():
        raise OwnershipLost(f"tracker-{shard}: the lease was lost: it stood still, or another process has it")


class RegisterSource(Protocol):
    """Senders and facilities: how they stand at start, and once after each change."""

    def start(self) -> Registers: ...
    def changed(self) -> Registers | None: ...


def work(
    settings: Settings,
    shard: int,
    registers: RegisterSource,
    folder: StoreFolder,
    stop: threading.Event,
    started: Callable[[TransactionalLoop, Tracker], None],
    clients: Clients = LIBRDKAFKA,
) -> None:
    """Steps 2 to 6 (see above) of the owner of `shard`, until `stop`. `started` is called between 5 and 6.

    Raises OwnershipLost, StageFailed, TopicMissing, KafkaException, TimeoutError.
    """
    topics = [SHIPMENT_EVENTS.name, CONSIGNMENT_COMMANDS.name]
    pairs = [
        (raw, topic.name, partition)
        for raw in range(RAW_MESSAGES.partitions)
        for topic in (SHIPMENT_EVENTS, CONSIGNMENT_COMMANDS)
        for partition in range(topic.partitions)
    ]
    stage = _LateStage()
    source = AssignedSource(settings, topics, f"tracker-{shard}", limits=BATCH, with_headers=False, clients=clients)
    loop = TransactionalLoop(
        settings, name="tracker", transactional_id=f"tracker-{shard}", source=source, stage=stage, clients=clients
    )
    began = time.monotonic()
    loop.start(stop)
    committed = loop.committed_offsets()
    store = open_store(folder, committed)
    try:
        tracker = Tracker(store, registers.start(), pairs, (CONSIGNMENT_COMMANDS.name, 0), shard, settings.shards)
        journeys = restore_tracker(settings, tracker, shard, committed, clients)
        events = catch_up(settings, tracker, store, committed, clients)
        log.info("tracker.restored", shard=shard, journeys=journeys, events=events, seconds=round(time.monotonic() - began, 2))
        stage.inner = TrackerStage(tracker, store, shard, registers.changed)
        started(loop, tracker)
        loop.run(stop)
    finally:
        loop.close()
        store.close()


def _stop_when_lost(lease: ShardLease, stop: threading.Event) -> None:
    while not stop.is_set():
        if lease.lost.wait(0.5):
            stop.set()


class _LateStage:
    """The loop must exist before the state can be restored; the stage that works on it comes after."""

    inner: TrackerStage

    def process(self, batch: Sequence[Record]) -> Sequence[Output]:
        return self.inner.process(batch)

    def committed(self) -> None:
        self.inner.committed()

    def aborted(self) -> None:
        self.inner.aborted()


def main() -> int:
    """0 after SIGTERM, 1 after a lasting cause (the stage failed, the layout is another, the local store cannot be used), or
    where Kafka is away while it stops. What passes begins anew at the lease, where it waits as a standby if the shard is
    another's by now."""
    settings = process.begin("tracker", Settings)
    return process.live("tracker", lambda stop: run(settings, stop), (StageFailed, WrongLayout))
