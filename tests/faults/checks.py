"""What must hold after faults, looked up by means of its own: ids that the load wrote, Kafka read committed, ClickHouse.

No counter of the product is believed. The one thing that is taken from it is its pure code, for the *undisturbed run*: the
same raw records through the readers, and the same events and commands through the tracker, in one pass without Kafka.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from schemas.topics import (
    CONSIGNMENT_COMMANDS,
    DEAD_LETTERS,
    JOURNEY_CHANGES,
    JOURNEYS,
    RAW_MESSAGES,
    SHIPMENT_EVENTS,
    Topic,
)
from services.ingest.readers_stage import Readers
from services.ingest.registers import Registers as IngestRegisters
from services.runtime.clickhouse import connect
from services.runtime.loop import Record
from services.runtime.settings import Settings
from services.runtime.sources import to_record
from services.tracker.app import RegisterWatch, decode
from services.tracker.core import Read, ReadControl, Tracker
from services.tracker.event_store import MemoryEventStore
from services.tracker.records import Change, Clock, Control, ExceptionState, Journey, decode_journey_record
from tests.faults.load import STEPS, UNITS, Ledger
from tests.faults.load import Journey as Drawn

TABLES: Mapping[str, Topic] = {
    "raw_messages": RAW_MESSAGES,
    "shipment_events": SHIPMENT_EVENTS,
    "consignment_commands": CONSIGNMENT_COMMANDS,
    "journey_changes": JOURNEY_CHANGES,
    "dead_letters": DEAD_LETTERS,
}
READ_S = 30.0
CHUNK = 20_000
_RECEIPT = struct.Struct(">BHQ")
GRACE = timedelta(hours=1)
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that must hold: whether it does, and what was found."""

    name: str
    good: bool
    found: str


def records(settings: Settings, topic: str) -> Iterator[Record]:
    """Every record that a reader of committed records sees, partition by partition, to the end of this moment."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka,
            "group.id": "faults-oracle",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "queued.max.messages.kbytes": 65_536,
        }
    )
    try:
        for partition in sorted(consumer.list_topics(topic, timeout=READ_S).topics[topic].partitions):
            consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
            ended, heard = False, time.monotonic()
            while not ended:
                messages = consumer.consume(5_000, 0.2)
                heard = time.monotonic() if messages else heard
                if time.monotonic() - heard > READ_S:
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"no record and no end of {topic}[{partition}]"))
                for message in messages:
                    error = message.error()
                    if error is None:
                        yield to_record(message)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        ended = True
                    else:
                        raise KafkaException(error)
    finally:
        consumer.close()


def none_of(bad: Iterable[object], name: str, found: str) -> Verdict:
    """Good if nothing is bad; else with how many are and some of them."""
    ones = sorted(map(str, bad))
    return Verdict(name, not ones, f"{found}: {len(ones)} wrong {', '.join(ones[:_EXAMPLES])}" if ones else found)


@dataclass
class Topics:
    """What Kafka holds, read once: positions and ids, not the records."""

    offsets: dict[str, list[set[int]]]
    raw_sha256: dict[tuple[int, int], str]
    tick_times: list[datetime]
    """LogAppendTime of every raw tick."""
    events: Counter[str]
    """The sender's own id -> how often it is in shipment.events."""
    twice_read: int
    """Statements of one raw record that are in shipment.events more than once."""
    letters: Counter[tuple[int, int]]
    """(raw partition, offset) -> dead letters."""
    changes: list[tuple[int, int, Change]]
    """(partition, offset, change)"""
    journeys: dict[str, Journey]
    clock: Clock | None
    by_key: dict[str, int]
    """Key of journeys -> newest version."""
    outputs: Counter[tuple[str, bytes]]
    """(topic, digest of key and value) of what the readers wrote."""


def digest(key: bytes | None, value: bytes | None) -> bytes:
    return hashlib.blake2b((key or b"~") + b"\0" + (value or b"~"), digest_size=12).digest()


def read_topics(settings: Settings, step: Callable[[str], None]) -> Topics:
    """Everything, once."""
    offsets = {topic.name: [set[int]() for _ in range(topic.partitions)] for topic in TABLES.values()}
    found = Topics(offsets, {}, [], Counter(), 0, Counter(), [], {}, None, {}, Counter())
    step("raw.messages")
    for record in records(settings, RAW_MESSAGES.name):
        offsets[record.topic][record.partition].add(record.offset)
        found.raw_sha256[record.partition, record.offset] = hashlib.sha256(record.value or b"").hexdigest()
        if record.key == b"~tick":
            found.tick_times.append(datetime.fromtimestamp(record.timestamp_ms / 1000, UTC))
    step("shipment.events")
    read_from: set[tuple[int, int, str]] = set()
    for record in records(settings, SHIPMENT_EVENTS.name):
        offsets[record.topic][record.partition].add(record.offset)
        found.outputs[record.topic, digest(record.key, record.value)] += 1
        if record.key == b"~control":
            continue
        event = msgspec.json.decode(record.value or b"")
        found.events[event.get("source_id", "")] += 1
        raw = event["raw"]
        place = (raw["partition"], raw["offset"], f"{raw['position']} {event['event_id']}")
        found.twice_read += place in read_from
        read_from.add(place)
    step("consignment.commands, dead.letters")
    for topic in (CONSIGNMENT_COMMANDS.name, DEAD_LETTERS.name):
        for record in records(settings, topic):
            offsets[record.topic][record.partition].add(record.offset)
            found.outputs[record.topic, digest(record.key, record.value)] += 1
            if topic == DEAD_LETTERS.name:
                letter = msgspec.json.decode(record.value or b"")
                found.letters[letter["raw_partition"], letter["raw_offset"]] += 1
    step("journey.changes")
    changes = msgspec.json.Decoder(Change)
    for record in records(settings, JOURNEY_CHANGES.name):
        offsets[record.topic][record.partition].add(record.offset)
        found.changes.append((record.partition, record.offset, changes.decode(record.value or b"")))
    step("journeys")
    for record in records(settings, JOURNEYS.name):
        if record.value is None or record.key is None:
            continue
        journey = decode_journey_record(record.value)
        found.by_key[record.key.decode()] = journey.version
        if isinstance(journey, Journey):
            found.journeys[journey.consignment] = journey
        elif isinstance(journey, Clock):
            found.clock = journey
    return found


# --- nothing lost, nothing doubled


def accepted_is_kept(ledger: Ledger, topics: Topics) -> Iterator[Verdict]:
    """Every 202 is a raw record with the bytes that were sent; each statement is an event; each garbage a dead letter."""
    wrong = []
    places = set()
    for receipt, (_, sha256) in ledger.receipts.items():
        _, partition, offset = _RECEIPT.unpack(base64.urlsafe_b64decode(receipt + "=" * (-len(receipt) % 4))[: _RECEIPT.size])
        if topics.raw_sha256.get((partition, offset)) != sha256 or (partition, offset) in places:
            wrong.append(f"{receipt} = {partition}@{offset}")
        places.add((partition, offset))
    yield none_of(wrong, "each 202 is one raw record with the bytes sent", f"{len(ledger.receipts):,} receipts")
    stored = Counter(sha256 for sha256 in topics.raw_sha256.values() if sha256 in ledger.tries)
    strange = [sha for sha, times in stored.items() if times > ledger.tries[sha]]
    tries = sum(ledger.tries.values())
    yield none_of(strange, "no raw record that nobody sent", f"{stored.total():,} records of {tries:,} tries")
    differ = ledger.ids ^ topics.events.keys()
    yield none_of(differ, "ids pushed = ids in shipment.events", f"{len(ledger.ids):,} pushed, {len(topics.events):,} there")
    yield Verdict("each raw record was read exactly once", topics.twice_read == 0, f"{topics.twice_read} statements twice")
    unreadable = {sha256 for kind, sha256 in ledger.receipts.values() if kind == "unreadable"}
    garbage = {place for place, sha in topics.raw_sha256.items() if sha in unreadable}
    bad = [place for place in garbage | topics.letters.keys() if topics.letters[place] != (place in garbage)]
    yield none_of(bad, "dead letters = unreadable messages, each once", f"{len(garbage)} unreadable")
    yield none_of(ledger.refused, "the door refused nothing that is good", f"{ledger.unanswered:,} tries unanswered or put off")


def clickhouse_equals_kafka(settings: Settings, topics: Topics) -> Iterator[Verdict]:
    """Each log table: the set of (partition, offset) is the topic's, each once; the newest of each journey."""
    clickhouse = connect(settings, "admin", timeout_s=120)
    try:
        for table, topic in TABLES.items():
            missing = double = strange = rows = 0
            for partition, offsets in enumerate(topics.offsets[topic.name]):
                (row,) = clickhouse.query(
                    f"SELECT groupArray(k_offset) AS offsets FROM {table} WHERE k_partition = {{partition:UInt32}}",
                    {"partition": partition},
                )
                counted = Counter(row["offsets"])
                rows += counted.total()
                missing += len(offsets - counted.keys())
                strange += len(counted.keys() - offsets)
                double += counted.total() - len(counted)
            total = sum(map(len, topics.offsets[topic.name]))
            yield Verdict(
                f"{table} = {topic.name}",
                missing == double == strange == 0,
                f"{total:,} records, {rows:,} rows: {missing} missing, {double} double, {strange} strange",
            )
        versions = {r["consignment"]: r["version"] for r in clickhouse.query("SELECT consignment, version FROM journeys FINAL")}
        newest = {name: journey.version for name, journey in topics.journeys.items()}
        behind = [name for name in newest.keys() | versions.keys() if newest.get(name) != versions.get(name)]
        yield none_of(behind, "journeys in ClickHouse = newest in Kafka", f"{len(newest):,}")
        (row,) = clickhouse.query("SELECT count() AS n, uniqExact(change_id) AS u FROM journey_changes")
        yield Verdict("no change is in ClickHouse twice", row["n"] == row["u"], f"{row['n']:,} rows, {row['u']:,} ids")
    finally:
        clickhouse.close()


def ids_in_clickhouse(settings: Settings, ledger: Ledger) -> Verdict:
    """What the senders' own ids say, without a look at Kafka."""
    clickhouse = connect(settings, "admin", timeout_s=120)
    try:
        rows = clickhouse.query("SELECT DISTINCT source_id FROM shipment_events WHERE source_id != ''")
    finally:
        clickhouse.close()
    found = {row["source_id"] for row in rows}
    return none_of(ledger.ids ^ found, "ids pushed = ids in ClickHouse", f"{len(ledger.ids):,} pushed, {len(found):,} there")


# --- what was published


def _plain(state: ExceptionState) -> tuple[object, ...]:
    return state.severity, state.start, state.units


def published_once(topics: Topics) -> Iterator[Verdict]:
    """The changes of each consignment, in the order of the topic: a story without gaps or repeats, that ends as its record."""
    ids = Counter(change.change_id for _, _, change in topics.changes)
    twice = [ident for ident, times in ids.items() if times > 1]
    yield none_of(twice, "no change is published twice (ids)", f"{len(ids):,} changes")
    told: dict[str, list[Change]] = defaultdict(list)
    for _, _, change in topics.changes:
        told[change.consignment].append(change)
    wrong: list[str] = []
    differ: list[str] = []
    for name, changes in told.items():
        wrong += _story(name, changes)
        if (journey := topics.journeys.get(name)) is None:
            continue
        last = {c.exception.key: c.exception for c in changes if c.exception is not None}
        by_changes = {key: _plain(state) for key, state in last.items() if state.status == "open"}
        if by_changes != {state.key: _plain(state) for state in journey.exceptions if state.status == "open"}:
            differ.append(f"{name} (exceptions)")
        reached = {(c.milestone, c.leg): c.occurred_at for c in changes if c.change == "milestone_reached"}
        if {k: v for k, v in reached.items() if v} != {(m.milestone, m.leg): m.actual for m in journey.milestones if m.actual}:
            differ.append(f"{name} (milestones)")
    yield none_of(wrong, "no change is published twice (what it says)", f"{len(told):,} stories")
    yield none_of(differ, "changes in order = open exceptions and milestones", f"{len(topics.journeys):,} journeys")


_MAY_FOLLOW = {
    "opened": (None, "ended", "withdrawn"),
    "changed": ("open", "ended"),
    "ended": ("open",),
    "withdrawn": ("open", "ended"),
}
"""What a change of an exception says -> how the exception may have stood before."""


def _story(name: str, changes: Sequence[Change]) -> Iterator[str]:
    """What is wrong with one consignment's changes: each must follow from the one before."""
    order = [(change.version, change.ordinal) for change in changes]
    if order != sorted(order) or len(set(order)) != len(order):
        yield f"{name}: versions out of order"
    states: dict[str, str] = {}
    reached: dict[tuple[object, object], datetime | None] = {}
    judged: set[str] = set()
    for change in changes:
        if (exception := change.exception) is not None:
            before = states.get(exception.key)
            if before not in _MAY_FOLLOW[change.change.removeprefix("exception_")]:
                yield f"{name}: {change.change} of {exception.key} that is {before}"
            states[exception.key] = exception.status
        elif change.change == "milestone_reached":
            slot = (change.milestone, change.leg)
            if change.previous != reached.get(slot) or change.occurred_at == reached.get(slot):
                yield f"{name}: {change.milestone} told as {change.occurred_at} after {reached.get(slot)}"
            reached[slot] = change.occurred_at
        elif change.command_id is not None:
            if change.command_id in judged:
                yield f"{name}: command {change.command_id} judged twice"
            judged.add(change.command_id)


# --- the truth of the load


def truth(ledger: Ledger, topics: Topics) -> Iterator[Verdict]:
    """Milestones and exceptions of every consignment as they were drawn; nothing told that is not so."""
    missing = ledger.registered - topics.journeys.keys()
    yield none_of(missing, "each consignment registered has a journey", f"{len(ledger.registered):,}")
    opened: dict[str, set[str]] = defaultdict(set)
    for _, _, change in topics.changes:
        if change.exception is not None:
            opened[change.consignment].add(change.exception.key)
    wrong: list[str] = []
    false: list[str] = []
    stories: Counter[str] = Counter()
    for drawn in ledger.journeys.values():
        journey = topics.journeys.get(drawn.name)
        if journey is None or drawn.story == "waiting":
            continue
        stories[drawn.story] += 1
        wrong += _steps_wrong(drawn, journey)
        if drawn.story == "plain":
            false += [f"{drawn.name}: {key}" for key in opened[drawn.name]]
            continue
        state = next((s for s in journey.exceptions if s.key == "late:arrived"), None)
        expected = "open" if drawn.story == "stuck" else "ended"
        if state is None or state.status != expected or state.start != drawn.overdue_from:
            wrong.append(f"{drawn.name}: late:arrived is {state}, not {expected} from {drawn.overdue_from}")
        false += [f"{drawn.name}: {key}" for key in opened[drawn.name] - {"late:arrived", "overdue:arrived"}]
    told = ", ".join(f"{count:,} {story}" for story, count in stories.items())
    yield none_of(wrong, "journeys are as they were drawn", told)
    yield none_of(false, "no exception is told that is not so", told)


def _steps_wrong(drawn: Drawn, journey: Journey) -> Iterator[str]:
    actual = {state.milestone: state.actual for state in journey.milestones if state.actual is not None}
    for step, (milestone, *_) in enumerate(STEPS):
        expected = drawn.at(step, UNITS - 1) if step < len(drawn.steps) else None
        if actual.get(milestone) != expected:
            yield f"{drawn.name}: {milestone} is {actual.get(milestone)}, not {expected}"
    if journey.events != len(drawn.steps) * UNITS:
        yield f"{drawn.name}: {journey.events} events count"


def deadlines(ledger: Ledger, topics: Topics, later: Callable[[timedelta], Mapping[str, Journey]]) -> Iterator[Verdict]:
    """The load whose deadlines lie inside an outage or its grace: none told that is not so, and those that are so are told
    once the grace is over (by the pure core, whose time is carried on). Deadlines outside are told in time."""
    waiting = [(drawn, drawn.deadline) for drawn in ledger.journeys.values() if drawn.deadline is not None]
    if not waiting:
        return
    outages = [(one.start, one.end) for one in (topics.clock.outages if topics.clock else ())]
    told: dict[str, datetime | None] = {}
    for _, _, change in topics.changes:
        if change.exception is not None and change.exception.key == "overdue:arrived":
            told.setdefault(change.consignment, change.at)
    settled = [drawn.name for drawn, _ in waiting if drawn.settled]
    yield none_of(
        [name for name in settled if name in told], "deadline in the outage, settled after it: never overdue", f"{len(settled)}"
    )
    inside = [drawn.name for drawn, deadline in waiting if not drawn.settled and _inside(deadline, outages)]
    yield none_of(
        [name for name in inside if name in told], "truly overdue, in the outage or its grace: not told yet", f"{len(inside)}"
    )
    outside = {drawn.name: deadline for drawn, deadline in waiting if not drawn.settled and drawn.name not in inside}
    late_s = [(at - outside[name]).total_seconds() for name, at in told.items() if name in outside and at is not None]
    worst = f", {max(late_s):.1f} s of T later at most" if late_s else ""
    yield none_of([name for name in outside if name not in told], "overdue outside of outages: told", f"{len(outside)}{worst}")
    if inside:
        found = later(GRACE + timedelta(minutes=10))
        wrong = [name for name in inside if not _overdue(found[name])] + [name for name in settled if _overdue(found[name])]
        yield none_of(wrong, "the core, carried past the grace, finds exactly them", f"{len(inside)} truly overdue")


def _inside(moment: datetime, outages: Sequence[tuple[datetime, datetime]]) -> bool:
    return any(start < moment < end + GRACE for start, end in outages)


def _overdue(journey: Journey) -> bool:
    return any(state.key == "overdue:arrived" and state.status == "open" for state in journey.exceptions)


# --- the undisturbed run


def readers_undisturbed(settings: Settings, topics: Topics, step: Callable[[str], None]) -> Verdict:
    """The raw records through the readers, in one pass: what they write is what is in the topics, record for record."""
    step("the readers, undisturbed")
    registers = IngestRegisters(settings)
    registers.start()
    expected: Counter[tuple[str, bytes]] = Counter()
    count = 0
    try:
        stage = Readers(registers)
        batch: list[Record] = []

        def work() -> None:
            for output in stage.process(batch):
                expected[output.topic, digest(output.key, output.value)] += 1
            stage.committed()
            batch.clear()

        for record in records(settings, RAW_MESSAGES.name):
            count += 1
            batch.append(record)
            if len(batch) >= 2_000:
                work()
        work()
    finally:
        registers.stop()
    lacking, surplus = expected - topics.outputs, topics.outputs - expected
    return Verdict(
        "readers: topics = an undisturbed pass",
        not lacking and not surplus,
        f"{count:,} raw records, {expected.total():,} outputs: {lacking.total()} lacking, {surplus.total()} surplus",
    )


class Undisturbed:
    """The committed events and commands through the tracker's pure core, in one pass."""

    def __init__(self, settings: Settings, step: Callable[[str], None]) -> None:
        step("the tracker, undisturbed")
        watch = RegisterWatch(settings)
        self._store = MemoryEventStore()
        pairs = [
            (raw, topic.name, partition)
            for raw in range(RAW_MESSAGES.partitions)
            for topic in (SHIPMENT_EVENTS, CONSIGNMENT_COMMANDS)
            for partition in range(topic.partitions)
        ]
        try:
            witness = (CONSIGNMENT_COMMANDS.name, 0)
            self.core = Tracker(self._store, watch.start(), pairs, witness, unmatched_at_most=10**9)
        finally:
            watch.close()
        self._pairs = pairs
        for topic in (SHIPMENT_EVENTS, CONSIGNMENT_COMMANDS):
            chunk: list[Read] = []
            for record in records(settings, topic.name):
                if (read := decode(record)) is not None:
                    chunk.append(read)
                if len(chunk) >= CHUNK:
                    self._take(chunk)
            self._take(chunk)

    def _take(self, chunk: list[Read]) -> None:
        self.core.process(chunk)
        events = self.core.batch_events()
        self.core.committed()
        events.write_to(self._store, {})
        chunk.clear()

    def journeys(self) -> dict[str, Journey]:
        found = {name: self.core.state.journey(name) for name in self.core.state.journeys}
        return {name: journey for name, journey in found.items() if journey is not None}

    def later(self, span: timedelta) -> dict[str, Journey]:
        """The journeys once T has moved on by `span`, without a gap between ticks."""
        now = self.core.time.now
        assert now is not None
        until = now + span
        while now < until:
            now = min(until, now + timedelta(seconds=50))
            self._take(
                [
                    ReadControl(Control(control="tick", raw_partition=raw, at=now), topic, partition)
                    for raw, topic, partition in self._pairs
                ]
            )
        return self.journeys()


def derived(journey: Journey) -> Any:
    """The part of a record that is a function of sets: not its history, nor when it is to be looked at again."""
    open_ones = tuple(state for state in journey.exceptions if state.status == "open")
    return msgspec.structs.replace(journey, version=0, cause="", at=None, next_deadline=None, exceptions=open_ones)


def tracker_undisturbed(topics: Topics, undisturbed: Undisturbed) -> Iterator[Verdict]:
    """The derived part of every journey is that of an undisturbed run, and so is the pipeline's time."""
    expected = {name: derived(journey) for name, journey in undisturbed.journeys().items()}
    found = {name: derived(journey) for name, journey in topics.journeys.items()}
    differ = [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
    fields = Counter(
        field
        for name in differ
        if name in expected and name in found
        for field in Journey.__struct_fields__
        if getattr(expected[name], field) != getattr(found[name], field)
    )
    said = f"{len(expected):,}" + (f", by field {dict(fields)}" if fields else "")
    yield none_of(differ, "journeys = those of an undisturbed run", said)
    clock = topics.clock
    core = undisturbed.core.time
    same = clock is not None and clock.ticks == core.ticks and clock.outages == core.outages
    outages = len(clock.outages) if clock else 0
    yield Verdict("the pipeline's time = that of an undisturbed run", same, f"{outages} outages of over 60 s")


# --- all


def check(settings: Settings, ledger: Ledger | None, step: Callable[[str], None]) -> list[Verdict]:
    """Every check, once nothing moves any more. Without a ledger: those that need no truth."""
    topics = read_topics(settings, step)
    step("ClickHouse")
    verdicts = list(clickhouse_equals_kafka(settings, topics))
    step("what was published")
    verdicts += published_once(topics)
    verdicts.append(readers_undisturbed(settings, topics, step))
    undisturbed = Undisturbed(settings, step)
    verdicts += tracker_undisturbed(topics, undisturbed)
    if ledger is not None:
        step("the truth")
        verdicts += accepted_is_kept(ledger, topics)
        verdicts.append(ids_in_clickhouse(settings, ledger))
        verdicts += truth(ledger, topics)
        verdicts += deadlines(ledger, topics, undisturbed.later)
    return verdicts
