"""`lovla replay`: raw.messages through today's readers; what they read otherwise than what stands is written as revisions.

The order: 1. how far the readers stage has come (what it has not read is not ours); 2. what the topics hold of the chosen raw
records; 3. each chosen record through the very function of the readers stage, compared with what stands; differences are
written, a batch a transaction; 4. last, retractions of what is found in no raw record any more.

A crash after any step leaves whole batches written and the rest as it was. Run again, it compares again and writes what is
missing. It holds `transactional.id` readers-replay: a second replay ends the first. Nothing of it alerts anyone: what it writes
has cause refold. Parked senders stay parked (`lovla retry` ends that).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import msgspec
from confluent_kafka import TopicPartition

from schemas.raw_message_v1 import RawMessage
from schemas.shipment_event_v1 import CONTROL_KEY, ShipmentEvent
from schemas.topics import CONSIGNMENT_COMMANDS, DEAD_LETTERS, RAW_MESSAGES, SHIPMENT_EVENTS, Topic
from services.ingest import readers_stage
from services.ingest.door import RegistersPort
from services.ingest.records import READERS_GROUP, read_letters
from services.ingest.rereading import WRITTEN, Difference, Found, Kind, Outcome, Standing, compare, retraction, revision_key
from services.ingest.retrying import is_unparking, unread
from services.runtime import kafka, wire
from services.runtime.loop import Output, read_range
from services.runtime.progress import Progress, silent
from services.runtime.receipts import Position
from services.runtime.settings import Settings
from services.runtime.sources import Record
from services.runtime.verb_writer import CALL_TIMEOUT_S, TransactionalWriter

TRANSACTIONAL_ID = "readers-replay"
BATCH_OUTPUTS = 5_000  # some 5 MB: a transaction of well under a second
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Selection:
    """Which raw records to read again. Times are when we received them, by the broker's clock; None: no bound."""

    senders: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    positions: frozenset[Position] | None = None
    standard: str | None = None
    dead_only: bool = False

    def has(self, record: Record, meta: RawMessage) -> bool:
        """Whether the record is chosen, but for its standard: that is known once it is read."""
        if self.senders and meta.sender not in self.senders:
            return False
        if self.until is not None and record.timestamp_ms >= self.until.timestamp() * 1000:
            return False
        return self.positions is None or Position(record.partition, record.offset) in self.positions


@dataclass(slots=True)
class Report:
    """What differs: how often, by kind and field, with the first examples (place, id, what)."""

    records: int = 0
    same: int = 0
    written: int = 0
    counts: Counter[Kind] = field(default_factory=Counter)
    fields: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    examples: dict[tuple[Kind, str], list[str]] = field(default_factory=dict)
    undead: set[str] = field(default_factory=set)  # ids of the dead letters that can be read now

    @property
    def to_write(self) -> int:
        return sum(count for kind, count in self.counts.items() if kind in WRITTEN)

    def note(self, where: str, difference: Difference) -> None:
        kind = difference.kind
        self.counts[kind] += 1
        if kind == "undead":
            self.undead.add(difference.about)
        said = [(name, f"{before} -> {after}") for name, before, after in difference.fields] or [("", difference.text)]
        for name, text in said:
            self.fields[kind, name] += 1
            examples = self.examples.setdefault((kind, name), [])
            if len(examples) < EXAMPLES:
                examples.append(f"{where} {text}".strip())


class _Pointer(msgspec.Struct):
    partition: int | None = None
    offset: int | None = None


class _Event(msgspec.Struct):
    event_id: str
    raw: _Pointer
    retracted: bool = False


class _Command(msgspec.Struct):
    command_id: str
    raw: _Pointer


_EVENT = msgspec.json.Decoder(_Event)
_COMMAND = msgspec.json.Decoder(_Command)


class _Ranges:
    """The stretch of each raw partition in which the chosen records lie."""

    def __init__(self, ranges: Mapping[int, tuple[int, int]], selection: Selection) -> None:
        self.ranges = ranges
        self._positions = selection.positions

    def may_have(self, raw: _Pointer) -> bool:
        if raw.partition is None or raw.offset is None:
            return False
        start, end = self.ranges.get(raw.partition, (0, 0))
        at = Position(raw.partition, raw.offset)
        return start <= raw.offset < end and (self._positions is None or at in self._positions)

    @property
    def records(self) -> int:
        return sum(end - start for start, end in self.ranges.values())


def replay(
    settings: Settings, registers: RegistersPort, selection: Selection, *, dry_run: bool, progress: Progress = silent
) -> Report:
    """Read the chosen raw records again and write what differs, unless `dry_run`. Raises KafkaException, TimeoutError.

    Memory: about 1.5 kB an event of the selection; choose by time where that is too much.
    """
    if selection.dead_only:
        dead = frozenset(unread(read_letters(settings)))
        chosen = dead if selection.positions is None else dead & selection.positions
        selection = replace(selection, positions=chosen)
    ranges = _Ranges(_ranges(settings, selection), selection)
    standing = _standing(settings, ranges, progress)
    log = None if dry_run else TransactionalWriter(settings, "lovla-replay", TRANSACTIONAL_ID)
    run = _Run(registers, selection, standing, log)
    done = 0

    def take(record: Record) -> None:
        nonlocal done
        done += 1
        if done % 1_000 == 0:
            progress("reading again", done, ranges.records)
        run.take(record)

    for partition, (start, end) in sorted(ranges.ranges.items()):
        read_range(settings, RAW_MESSAGES.name, partition, start, end, take)
    progress("reading again", ranges.records, ranges.records)
    run.retract(_still_said(settings, run.vanished, progress))
    run.finish()
    return run.report


def _ranges(settings: Settings, selection: Selection) -> dict[int, tuple[int, int]]:
    """From the first chosen record to where the readers stage has come: what it reads itself, it reads by today's readers."""
    client = kafka.consumer(settings, "lovla-replay", READERS_GROUP)
    try:
        partitions = kafka.partitions(client, RAW_MESSAGES.name)
        asked = [TopicPartition(RAW_MESSAGES.name, partition) for partition in partitions]
        ends = {at.partition: max(at.offset, 0) for at in client.committed(asked, timeout=CALL_TIMEOUT_S)}
        starts = dict.fromkeys(partitions, 0)
        if selection.since is not None:
            moment = int(selection.since.timestamp() * 1000)
            times = [TopicPartition(RAW_MESSAGES.name, partition, moment) for partition in partitions]
            for at in client.offsets_for_times(times, timeout=CALL_TIMEOUT_S):
                starts[at.partition] = at.offset if at.offset >= 0 else ends[at.partition]
    finally:
        client.close()
    if selection.positions is not None:
        for partition in partitions:
            offsets = [at.offset for at in selection.positions if at.partition == partition]
            starts[partition] = max(starts[partition], min(offsets, default=ends[partition]))
            ends[partition] = min(ends[partition], max(offsets, default=-1) + 1)
    return {p: (starts[p], ends[p]) for p in partitions if starts[p] < ends[p]}


def _standing(settings: Settings, ranges: _Ranges, progress: Progress) -> dict[Position, Standing]:
    """What the topics hold of the records in these ranges."""
    found: dict[Position, Standing] = {}

    def of(raw: _Pointer) -> Standing:
        assert raw.partition is not None and raw.offset is not None
        return found.setdefault(Position(raw.partition, raw.offset), Standing())

    def event(value: bytes) -> None:
        said = _EVENT.decode(value)
        if ranges.may_have(said.raw):
            of(said.raw).add_event(said.event_id, value)

    def command(value: bytes) -> None:
        said = _COMMAND.decode(value)
        if ranges.may_have(said.raw):
            of(said.raw).commands[said.command_id] = value

    _each(settings, SHIPMENT_EVENTS, "what stands: events", progress, event)
    _each(settings, CONSIGNMENT_COMMANDS, "what stands: commands", progress, command)
    for letter in read_letters(settings):
        raw = _Pointer(letter.raw_partition, letter.raw_offset)
        if letter.stage == "readers" and ranges.may_have(raw):
            of(raw).letters[letter.letter_id] = f"{letter.where} {letter.reason}: {letter.text}".strip()
    return found


def _each(settings: Settings, topic: Topic, doing: str, progress: Progress, take: Callable[[bytes], None]) -> None:
    """Hand over the value of every record of a topic but control records."""
    ends = [kafka.end_offset(settings, topic.name, partition) for partition in range(topic.partitions)]
    done = 0

    def keep(record: Record) -> None:
        nonlocal done
        done += 1
        if done % 1_000 == 0:
            progress(doing, done, sum(ends))
        if record.value is not None and record.key != CONTROL_KEY:
            take(record.value)

    for partition, end in enumerate(ends):
        read_range(settings, topic.name, partition, 0, end, keep)
    progress(doing, sum(ends), sum(ends))


def _still_said(settings: Settings, vanished: Mapping[str, dict[Position, bytes]], progress: Progress) -> set[str]:
    """Of these events those that another raw record still holds: a repeat of the message, say."""
    if not vanished:
        return set()
    other: dict[tuple[str, Position], bytes] = {}

    def look(value: bytes) -> None:
        event = _EVENT.decode(value)
        at = Position(event.raw.partition or 0, event.raw.offset or 0)
        if event.event_id in vanished and at not in vanished[event.event_id]:
            kept = other.get((event.event_id, at))
            if kept is None or revision_key(json.loads(value)) >= revision_key(json.loads(kept)):
                other[event.event_id, at] = value

    _each(settings, SHIPMENT_EVENTS, "who else says so", progress, look)
    return {event_id for (event_id, _), value in other.items() if not _EVENT.decode(value).retracted}


class _Run:
    """One replay under way."""

    def __init__(
        self,
        registers: RegistersPort,
        selection: Selection,
        standing: dict[Position, Standing],
        log: TransactionalWriter | None,
    ) -> None:
        self.report = Report()
        self.vanished: dict[str, dict[Position, bytes]] = {}
        self._registers = registers
        self._selection = selection
        self._standing = standing
        self._log = log
        self._outputs: list[Output] = []

    def take(self, record: Record) -> None:
        """Read one raw record again."""
        try:
            meta = wire.raw_meta(record.headers)
        except wire.WireError:
            return  # written past the door; a dead letter then, and what headers are does not change with readers
        if meta.kind == "tick" or is_unparking(meta) or not self._selection.has(record, meta):
            return
        at = Position(record.partition, record.offset)
        standing = self._standing.pop(at, None) or Standing()
        where = f"{meta.sender} {at.partition}/{at.offset}"
        try:
            read = list(readers_stage.read(record, meta.model_copy(update={"cause": "refold"}), self._registers))
        except Exception as error:  # a fault of ours costs one record, as in the stage; it is told, and nothing is written
            self.report.note(where, Difference("fault", where, f"{type(error).__name__}: {error}"))
            return
        found = _found(read)
        if not self._chosen(found, standing):
            return
        outcome = compare(standing, found)
        self.report.records += 1
        self.report.same += outcome.same
        for difference in outcome.differences:
            self.report.note(where, difference)
        for value in outcome.vanished:
            self.vanished.setdefault(_EVENT.decode(value).event_id, {})[at] = value
        self._write(_outputs(read, outcome, wire.traceparent_of(record.headers)))

    def _chosen(self, found: Found, standing: Standing) -> bool:
        wanted = self._selection.standard
        if wanted is None:
            return True
        said = [event.standard for event in found.events] + [
            json.loads(value)["standard"] for value in standing.events.values()
        ]
        return any(standard == wanted or standard.startswith(f"{wanted}.") for standard in said)

    def retract(self, still_said: set[str]) -> None:
        """Withdraw what no raw record holds any more; of several copies the one that counted."""
        for event_id, copies in self.vanished.items():
            at, value = max(copies.items(), key=lambda copy: revision_key(json.loads(copy[1])))
            stands = json.loads(value)
            where = f"{stands['sender']} {at.partition}/{at.offset}"
            withdrawn = None if event_id in still_said else retraction(value)
            if withdrawn is None:
                why = "another message still says so" if event_id in still_said else "nothing can outrank it"
                self.report.note(where, Difference("outranked", event_id, why))
                continue
            self.report.note(where, Difference("vanished", event_id, f"{stands['code']} {stands['occurred_at']}"))
            self._write([readers_stage.event_output(withdrawn, None)])

    def _write(self, outputs: Sequence[Output]) -> None:
        self._outputs += outputs
        if len(self._outputs) >= BATCH_OUTPUTS:
            self.finish()

    def finish(self) -> None:
        """Write what waits."""
        if self._log is not None and self._outputs:
            self._log.write(self._outputs)
            self.report.written += len(self._outputs)
        self._outputs = []


def _found(outputs: Sequence[Output]) -> Found:
    """What the stage's outputs say."""
    events = [ShipmentEvent.model_validate_json(out.value or b"") for out in outputs if out.topic == SHIPMENT_EVENTS.name]
    commands = {
        _COMMAND.decode(out.value or b"").command_id: out.value or b""
        for out in outputs
        if out.topic == CONSIGNMENT_COMMANDS.name
    }
    letters = {}
    for out in outputs:
        if out.topic == DEAD_LETTERS.name:
            letter = json.loads(out.value or b"")
            letters[letter["letter_id"]] = f"{letter['where']} {letter['reason']}: {letter['text']}".strip()
    return Found(events, commands, letters)


def _outputs(read: Sequence[Output], outcome: Outcome, trace: str | None) -> list[Output]:
    """Of the stage's outputs those that differ from what stands, in the stage's own form."""
    chosen = [readers_stage.event_output(event, trace) for event in outcome.events]
    for output in read:
        if output.topic == CONSIGNMENT_COMMANDS.name:
            if _COMMAND.decode(output.value or b"").command_id in outcome.commands:
                chosen.append(output)
        elif output.topic == DEAD_LETTERS.name and json.loads(output.value or b"")["letter_id"] in outcome.letters:
            chosen.append(output)
    return chosen


def moment(text: str) -> datetime:
    """An RFC 3339 time; a date alone is its midnight, UTC. Raises ValueError."""
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None and len(text) == 10 else found
