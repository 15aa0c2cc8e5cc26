"""From raw messages to shipment events, commands and dead letters: `python -m services.ingest.readers_stage`.

A stage on the transactional loop: what a raw record becomes is a function of the record and the registers, so a batch that is
read again gives the same. Ticks are passed on in band, to every partition that the tracker reads.

*Faults* (exceptions of ours while reading one record) never stop the line: the record becomes a dead letter `fault`, its sender
is parked (what it sends becomes dead letters `parked`, unread), others go on. Both can be retried: `lovla retry` unparks the
sender and appends its records again. Parking and unparking go in band like ticks, so that no deadline fires over what lies
aside. The fuse stops the stage when it is plainly us: over half of the last 1,000 records that were read, or 100 in a row,
failed for several senders. What is put aside unread says nothing new and does not count, so that parked senders, whom a
restart does not unpark, never stop the others.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice

from schemas.dead_letter_v1 import DeadLetter
from schemas.raw_message_v1 import RawMessage, Tick
from schemas.shipment_event_v1 import CONTROL_KEY, ControlRecord, ShipmentEvent
from schemas.topics import CONSIGNMENT_COMMANDS, DEAD_LETTERS, PARKED, RAW_MESSAGES, SHIPMENT_EVENTS, Topic
from services.ingest.commands import Row, read_commands
from services.ingest.door import RegistersPort
from services.ingest.readers import Problem
from services.ingest.reading import read_message
from services.ingest.records import READERS_GROUP
from services.ingest.registers import Registers
from services.ingest.retrying import is_unparking
from services.ingest.settings import IngestSettings
from services.runtime import garbage, logs, metrics, process, wire
from services.runtime.loop import GroupSource, Limits, Output, Record, StageFailed, TransactionalLoop
from services.runtime.member import MemberId
from services.runtime.register import RegisterView
from services.runtime.settings import SettingsError

MAX_CLOCK_DIFFERENCE = timedelta(seconds=60)  # a tick of a clock further off than this is not passed on
PAYLOAD_BYTES = 64 * 1024
HEADROOM_BYTES = 2 * 1024  # of a topic's max.message.bytes: for a record's headers, key and framing
FUSE_WINDOW = 1_000
FUSE_RUN = 100
FUSE_SENDERS = 5  # so many, and more than half of those lately read: the trouble is ours, not theirs
_TRACES_A_RUN = 3  # the same fault a hundred times in a row needs no hundred tracebacks
_BATCH = Limits(records=2_000, bytes=4 * 1024 * 1024)  # some 20,000 events: well within a transaction's 10 s
_UNKNOWN_SENDER = "~unknown"

log = logs.get("readers")


class FuseBlown(Exception):
    """Too many faults of ours: stop rather than put everything aside."""


@dataclass
class Fuse:
    """Remembers the latest records that were read: who sent them, and whether reading them failed by a fault of ours."""

    latest: deque[tuple[str, bool]] = field(default_factory=lambda: deque(maxlen=FUSE_WINDOW))
    run: int = 0

    def copy(self) -> Fuse:
        """An overlay for one batch."""
        return Fuse(self.latest.copy(), self.run)

    def note(self, sender: str, fault: bool) -> None:
        """Count one record that was read; raises FuseBlown. Faults of one sender alone never blow it."""
        self.latest.append((sender, fault))
        self.run = self.run + 1 if fault else 0
        if self.run >= FUSE_RUN and any(who != sender for who, _ in islice(reversed(self.latest), self.run)):
            raise FuseBlown(f"{self.run} records in a row, of several senders, failed by faults of ours")
        if not fault:
            return
        failed = {who for who, bad in self.latest if bad}
        seen = {who for who, _ in self.latest}
        # a sender is parked at its first fault and no longer read: what tells is how many of them it happened to
        if len(failed) >= FUSE_SENDERS and 2 * len(failed) > len(seen):
            raise FuseBlown(f"{len(failed)} of the {len(seen)} senders lately read failed by faults of ours")


Kept = Callable[[], Mapping[str, ControlRecord]]
"""Which senders are parked, as the topic says."""


class Readers:
    """The stage. `kept`: the view of the parked senders; it may lag behind what this process did itself."""

    def __init__(self, registers: RegistersPort, kept: Kept = dict) -> None:
        self._registers = registers
        self._kept = kept
        self._fuse = Fuse()
        self._parked: dict[str, bool] = {}  # what this process changed and the view does not show yet
        self._new_fuse, self._new_parked = self._fuse, self._parked

    def process(self, batch: Sequence[Record]) -> Sequence[Output]:
        """What the batch becomes."""
        kept = self._kept()
        self._new_fuse = self._fuse.copy()
        self._new_parked = {sender: parked for sender, parked in self._parked.items() if parked != (sender in kept)}
        return [output for record in batch for output in self._outputs(record, kept)]

    def committed(self) -> None:
        self._fuse, self._parked = self._new_fuse, self._new_parked
        parked = {sender for sender in self._kept() if self._parked.get(sender, True)}
        parked |= {sender for sender, waits in self._parked.items() if waits}
        metrics.gauge("lovla_parked", stage="readers").set(len(parked))

    def aborted(self) -> None:
        self._new_fuse, self._new_parked = self._fuse, self._parked

    def _outputs(self, record: Record, kept: Mapping[str, ControlRecord]) -> Sequence[Output]:
        try:
            meta = wire.raw_meta(record.headers)
        except wire.WireError as error:  # somebody wrote to the topic past the door
            problem = Problem("bad_headers", "headers", str(error)[:500], record.value or b"")
            return list(_letters(record, None, [problem], _at(record), None))
        if is_unparking(meta):
            return list(self._unpark(record, meta))
        if self._new_parked.get(meta.sender, meta.sender in kept):
            return list(_aside(record, meta, "parked", "the sender waits aside after a fault of ours"))
        try:
            if meta.kind == "tick":
                return list(pass_on(record))
            outputs = list(read(record, meta, self._registers))
        except Exception as error:
            # the one place that catches everything: a fault of ours costs one sender, not the line
            trace = error if self._new_fuse.run < _TRACES_A_RUN else None
            log.error("readers.fault", sender=meta.sender, partition=record.partition, offset=record.offset, exc_info=trace)
            self._new_fuse.note(meta.sender, fault=True)
            return [*_aside(record, meta, "fault", f"a fault of ours: {type(error).__name__}"), *self._park(record, meta)]
        self._new_fuse.note(meta.sender, fault=False)
        return outputs

    def _park(self, record: Record, meta: RawMessage) -> Iterator[Output]:
        if meta.kind == "tick":
            return
        self._new_parked[meta.sender] = True
        control = ControlRecord(control="parked", raw_partition=record.partition, at=_at(record), sender=meta.sender)
        yield from _in_band(control, record)
        yield Output(PARKED.name, meta.sender.encode(), wire.dump(control), headers=_control_headers(control, record))

    def _unpark(self, record: Record, meta: RawMessage) -> Iterator[Output]:
        self._new_parked[meta.sender] = False
        control = ControlRecord(control="unparked", raw_partition=record.partition, at=_at(record), sender=meta.sender)
        yield from _in_band(control, record)
        yield Output(PARKED.name, meta.sender.encode(), None)


def _aside(record: Record, meta: RawMessage, reason: str, text: str) -> Iterator[Output]:
    """A record put aside whole, to be retried."""
    problem = Problem(reason, "", text, record.value or b"")
    return _letters(record, meta, [problem], _at(record, meta), meta.standard, retryable=True)


def _at(record: Record, meta: RawMessage | None = None) -> datetime:
    """When it was received: what a backfill says, else the broker's time."""
    if meta is not None and meta.received_at is not None:
        return meta.received_at
    return datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)


def read(record: Record, meta: RawMessage, registers: RegistersPort) -> Iterator[Output]:
    """The events, commands and dead letters of one raw record."""
    content, received_at = record.value or b"", _at(record, meta)
    trace = wire.traceparent_of(record.headers)
    if meta.kind == "message":
        found = read_message(meta, content, received_at, registers.known(), record.partition, record.offset)
        problems = list(found.problems)
        count = 0
        for kept, value in found.values:
            count += 1
            output = _event_output(kept.gist.event_id, meta.sender, received_at, value, trace)
            if _fits(output, SHIPMENT_EVENTS):
                yield output
            else:
                problems.append(_too_large(output, SHIPMENT_EVENTS, kept.position, content))
        for row in found.commands:
            yield from _command(row, content, trace, problems)
        yield from _letters(record, meta, problems, received_at, found.standard)
        metrics.counter("lovla_readers_events_total", standard=found.standard or "unknown").inc(count)
        return
    for row in read_commands(meta, content, received_at, record.partition, record.offset):
        problems = [Problem(p["code"], p["where"], p["text"], content) for p in row.problems[:1]]
        yield from _command(row, content, trace, problems)
        yield from _letters(record, meta, problems, received_at, None)


def _command(row: Row, content: bytes, trace: str | None, problems: list[Problem]) -> Iterator[Output]:
    """The command of a row, if it has one; if it is too large for its topic, a problem more."""
    command = row.command
    if command is None:
        return
    headers = wire.headers(
        type(command),
        id=command.command_id,
        source="readers",
        time=command.received_at,
        traceparent=wire.child_traceparent(trace, command.command_id),
    )
    output = Output(CONSIGNMENT_COMMANDS.name, command.consignment.encode(), wire.dump(command), headers=headers)
    if _fits(output, CONSIGNMENT_COMMANDS):
        yield output
    else:
        problems.append(_too_large(output, CONSIGNMENT_COMMANDS, row.where, content))


def _fits(output: Output, topic: Topic) -> bool:
    """Whether Kafka takes it: one record that it refuses would stop the stage, and again after every restart."""
    return len(output.value or b"") <= topic.max_message_bytes - HEADROOM_BYTES


def _too_large(output: Output, topic: Topic, where: str, content: bytes) -> Problem:
    most = topic.max_message_bytes - HEADROOM_BYTES
    return Problem("too_large", where, f"{len(output.value or b'')} bytes once read; {topic.name} takes {most}", content)


def event_output(event: ShipmentEvent, trace: str | None) -> Output:
    return _event_output(event.event_id, event.sender, event.received_at, wire.dump(event), trace)


def _event_output(event_id: str, sender: str, received_at: datetime, value: bytes, trace: str | None) -> Output:
    """The record of an event of this value."""
    child = wire.child_traceparent(trace, event_id)
    headers = wire.headers(ShipmentEvent, id=event_id, source="readers", time=received_at, traceparent=child)
    return Output(SHIPMENT_EVENTS.name, sender.encode(), value, headers=headers)


def pass_on(record: Record) -> Iterator[Output]:
    """A tick, for every partition of events and commands; nothing if its writer's clock is not the broker's."""
    at = _at(record)
    tick = Tick.model_validate_json(record.value or b"", extra="ignore")
    if abs(tick.at - at) > MAX_CLOCK_DIFFERENCE:
        log.warning("readers.tick_off", said=tick.at.isoformat(), broker=at.isoformat(), partition=record.partition)
        return
    yield from _in_band(ControlRecord(control="tick", raw_partition=record.partition, at=at, load=tick.load), record)


def _in_band(control: ControlRecord, record: Record) -> Iterator[Output]:
    """A control record for every partition of events and commands, behind all that was read before it."""
    headers, value = _control_headers(control, record), wire.dump(control)
    for topic in (SHIPMENT_EVENTS, CONSIGNMENT_COMMANDS):
        for partition in range(topic.partitions):
            yield Output(topic.name, CONTROL_KEY, value, partition, headers)


def _control_headers(control: ControlRecord, record: Record) -> wire.Headers:
    said = f"{control.control}:{record.partition}:{record.offset}"
    return wire.headers(ControlRecord, id=said, source="readers", time=control.at)


def _letters(
    record: Record,
    meta: RawMessage | None,
    problems: Sequence[Problem],
    received_at: datetime,
    standard: str | None,
    retryable: bool = False,
) -> Iterator[Output]:
    """One dead letter for each problem, with its own bytes; the whole message is in raw.messages."""
    sender = meta.sender if meta is not None else _UNKNOWN_SENDER
    for number, problem in enumerate(problems):
        payload = problem.payload[:PAYLOAD_BYTES]
        about = f"{record.topic} {record.partition} {record.offset} {number} {problem.where} {problem.code}"
        letter = DeadLetter(
            letter_id=hashlib.sha256(about.encode()).hexdigest()[:32],
            stage="readers",
            sender=sender,
            reason=problem.code,
            where=problem.where[:128],
            text=_all_of(problem),
            standard=standard,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            raw_partition=record.partition,
            raw_offset=record.offset,
            received_at=received_at,
            retryable=retryable,
            payload=base64.b64encode(payload).decode(),
            payload_cut=len(payload) < len(problem.payload),
        )
        headers = wire.headers(DeadLetter, id=letter.letter_id, source="readers", time=received_at)
        metrics.counter("lovla_dead_letters_total", stage="readers", reason=letter.reason).inc()
        yield Output(DEAD_LETTERS.name, sender.encode(), wire.dump(letter), headers=headers)


def _all_of(problem: Problem) -> str:
    """All that is wrong with a statement, as far as a letter holds it; a receipt tells it place by place."""
    return "; ".join([problem.text, *(f"{one.where}: {one.text}" for one in problem.more)])[:500]


def main() -> int:
    """0 after SIGTERM or SIGINT, 1 after a lasting cause (the stage stopped itself, a code map is none), or where Kafka is away
    while it stops."""
    settings = process.begin("readers", IngestSettings)
    return process.live("readers", lambda stop: run(settings, stop), (StageFailed, SettingsError))


def run(settings: IngestSettings, stop: threading.Event) -> None:
    """Until `stop`. Raises StageFailed, OwnershipLost, KafkaException, TopicMissing, TimeoutError; SettingsError for a code map
    that is none: nothing is read rather than read wrongly."""
    try:
        registers = Registers(settings)
    except OSError as error:
        raise SettingsError(f"a code map or a mapping cannot be read: {error}") from error
    parked = RegisterView(settings, PARKED.name, ControlRecord)
    stage = Readers(registers, parked.snapshot)
    source = GroupSource(settings, [RAW_MESSAGES.name], READERS_GROUP, _BATCH)
    member = MemberId("readers", settings.state_dir)
    loop = TransactionalLoop(settings, name="readers", transactional_id=member.transactional_id, source=source, stage=stage)
    page = metrics.serve(settings.metrics_port, loop.healthy)
    try:
        registers.start_patiently(stop)
        if stop.is_set():
            return
        parked.start()
        loop.start(stop)
        log.info("readers.started", senders=len(registers.senders), facilities=len(registers.facilities))
        garbage.relax()
        loop.run(stop)
    finally:
        loop.close()
        member.release()
        registers.stop()
        parked.close()
        if page is not None:
            page.close()


if __name__ == "__main__":
    sys.exit(main())
