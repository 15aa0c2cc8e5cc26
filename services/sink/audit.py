"""The auditor: re-reads what Kafka holds, read committed, and compares. It trusts no counter and no position of the sink's.

Four checks, each of every partition:
- *rows*: a log table holds exactly the records of its topic, as sets of offsets, each with its record's time; and what views
  fill from it holds what it says;
- *newest*: the state tables hold the newest version of each key of the compacted topics; and what views fill from them too;
- *outcomes*: every raw record became events, commands or dead letters, each said once, and nothing came from nowhere;
- *receipts* (where some are given): each opens to one raw record, of the bytes that were sent.

What is wrong has one of three names. **gap**: a record has no row (or the log itself lost records). **duplicate**: something is
there twice. **unaccounted**: a raw record became nothing, or something is there that nobody can have written.

It works on a live system. Positions are captured first, in the order in which the flow runs backwards from what is judged: the
end of raw.messages; then, once the readers are past it, the ends of all topics as everyone sees them (high watermarks: also of
transactions still open, which are waited for). What lies before those positions must arrive in ClickHouse within `patience_s`;
what comes after them is not judged. Rows that are ahead of what was read are held against the topic's end of that later moment.
"""

from __future__ import annotations

import hashlib
import heapq
import threading
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs import names without exporting them
    OffsetSpec,
)

from schemas.shipment_event_v1 import CONTROL_KEY
from schemas.topics import FACILITIES, JOURNEYS, RAW_MESSAGES, SENDERS, SHIPMENT_EVENTS, TOPICS
from services.runtime import kafka
from services.runtime.clickhouse import ClickHouse
from services.runtime.clock import Clock
from services.runtime.receipts import NotAReceipt, Position, Sealer
from services.runtime.settings import Settings
from services.runtime.sources import to_record
from services.sink.ledger import OUTCOMES, TICK_KEY, AuditFailed, Ledger, outcome
from services.sink.rows import LOG_TABLES, STATE_COLUMNS, STATE_TOPICS, state_row

EXAMPLES = 10
WINDOW = 100_000
"""Records of a partition that are compared at once: memory stays bounded whatever the topic holds."""

READ_AT_ONCE = 5_000
BETWEEN_S = 0.5
UNREADY_S = 20.0
STALLED_S = 60.0
"""Nothing at all for so long: the broker is away. (An orphaned transaction holds up committed readers for 10 s.)"""

READERS, SINK, SINK_STATE = "ingest.readers", "sink.logs", "sink.state"
"""Groups whose committed positions say what is dealt with: what lies before them must be there at once."""

AUDITED: tuple[str, ...] = (*LOG_TABLES, *STATE_TOPICS)

Wrong = Literal["unaccounted", "duplicate", "gap", "waiting"]
What = Literal["rows", "newest", "outcomes", "receipts"]
Place = tuple[str, int]
"""(topic, partition)"""

_Rows = tuple[list[int], int]
"""Offsets of rows, and the sum of their times (ms)."""

_NOT_YET = kafka.COORDINATOR_MOVES | {
    KafkaError._TIMED_OUT,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
}
"""What a broker says that has just come back: it does not know yet which of its own partitions it leads, or since when."""
_FED_BY_JOURNEYS: Mapping[str, str] = {
    "open_journeys": "NOT (stage IN ('delivered', 'cancelled') AND empty(open_kinds))",
    "journey_marks": "true",
    "journey_lines": "true",
}
"""What views fill from journeys -> of which consignments it must have a row. open_journeys: what is over need not be there."""
_DIFFERING = """
SELECT consignment, max(journeys_version) AS version, max(fed_version) AS shown
FROM
(
    SELECT consignment, version AS journeys_version, toUInt64(0) AS fed_version, {needed} AS is_needed
    FROM journeys FINAL
    UNION ALL
    SELECT consignment, 0, version, 0 FROM {table} FINAL
)
GROUP BY consignment
HAVING (max(is_needed) OR shown > 0) AND shown != version
"""
_FED_BY_EVENTS: Mapping[str, tuple[str, str]] = {
    "event_marks": ("event_id", "lower(hex(reinterpretAsFixedString(id)))"),
    "event_references": (
        "arrayJoin(arrayDistinct(arrayMap(r -> concat(r.kind, ' ', r.value), references)))",
        "concat(kind, ' ', value)",
    ),
}
"""What views fill from shipment_events -> what a row says, in the terms of the event and in its own."""
_FED_AT_ONCE = 1_000_000
"""Offsets of a partition that are held against each other row by row, where their sums differ."""
_EVER = frozenset(topic.name for topic in TOPICS if topic.kept == "ever")


@dataclass(frozen=True, slots=True)
class Example:
    """One thing that is wrong. `offset` -1: it has none."""

    wrong: Wrong
    topic: str
    partition: int
    offset: int
    text: str


@dataclass(slots=True)
class Finding:
    """What one check of one partition found: `records` looked at, `rows` held against them, all counts, a few examples."""

    check: What
    topic: str
    partition: int
    records: int = 0
    rows: int = 0
    unaccounted: int = 0
    duplicate: int = 0
    gap: int = 0
    waiting: int = 0
    examples: list[Example] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Nothing is wrong, and nothing was still on its way when patience ended."""
        return not (self.unaccounted or self.duplicate or self.gap or self.waiting)

    def tell(self, wrong: Wrong, offsets: Collection[int], text: str) -> None:
        """Count, and keep the first as examples."""
        match wrong:
            case "unaccounted":
                self.unaccounted += len(offsets)
            case "duplicate":
                self.duplicate += len(offsets)
            case "gap":
                self.gap += len(offsets)
            case "waiting":
                self.waiting += len(offsets)
        room = EXAMPLES - sum(1 for example in self.examples if example.wrong == wrong)
        self.examples += [Example(wrong, self.topic, self.partition, offset, text) for offset in heapq.nsmallest(room, offsets)]


@dataclass(frozen=True, slots=True)
class Given:
    """A receipt as a sender holds it, and the SHA-256 of what was sent, if the sender kept it."""

    receipt: str
    sha256: str | None = None


Progress = Callable[[int, int], None]
"""(records read, records in all)"""


def audit(
    settings: Settings,
    clickhouse: ClickHouse,
    clock: Clock,
    topics: Sequence[str] = AUDITED,
    patience_s: float = 0.0,
    receipts: Sequence[Given] = (),
    progress: Progress = lambda read, total: None,
) -> list[Finding]:
    """Compare everything of `topics` (outcomes: if raw.messages and all that it becomes are among them).

    Raises AuditFailed, KafkaException, TopicMissing, ClickHouseError.
    """
    return _Audit(settings, clickhouse, clock, topics, patience_s, receipts, progress).run()


class _Audit:
    """One run."""

    def __init__(
        self,
        settings: Settings,
        clickhouse: ClickHouse,
        clock: Clock,
        topics: Sequence[str],
        patience_s: float,
        receipts: Sequence[Given],
        progress: Progress,
    ) -> None:
        self._settings = settings
        self._clickhouse = clickhouse
        self._clock = clock
        self._topics = topics
        self._patience_s = patience_s
        self._until = clock.monotonic() + patience_s
        self._receipts = receipts
        self._progress = progress
        self._read, self._total = 0, 0
        self._positions = Positions(settings, clock)
        self._sealer = Sealer(settings.secret_key.get_secret_value().encode())
        self._consumer = new_consumer(settings)
        self._ledger: Ledger | None = None
        self._ends: Mapping[Place, int] = {}
        self._lows: Mapping[Place, int] = {}

    def run(self) -> list[Finding]:
        try:
            partitions = {topic: kafka.partitions(self._consumer, topic) for topic in self._topics}
            places = [(topic, number) for topic, numbers in partitions.items() for number in numbers]
            traced = {RAW_MESSAGES.name, *OUTCOMES} <= set(self._topics)
            readers = self._await_readers([place for place in places if place[0] == RAW_MESSAGES.name]) if traced else {}
            self._ends = self._positions.ends(places) | {place: end for place, (_, end) in readers.items()}
            self._lows = self._positions.lows(places)
            self._until = self._clock.monotonic() + self._patience_s
            self._total = sum(self._ends[place] - self._lows[place] for place in places)
            if traced:
                self._ledger = Ledger({number: end for (_, number), (_, end) in readers.items()})
            wanted, receipts = self._opened()
            findings = {place: self._begin(place) for place in places}
            windows = {place: Window(self._lows[place]) for place in places if place[0] in LOG_TABLES}
            states = {topic: States() for topic in self._topics if topic not in LOG_TABLES}
            for read in self._records(self._lows, self._ends):
                place = read.place
                if place not in windows:
                    states[place[0]].read(read)
                    continue
                self._note(read, wanted)
                windows[place].add(read.offset, read.timestamp_ms)
                if len(windows[place].offsets) >= WINDOW:
                    self._compare(findings[place], windows[place], read.offset + 1)
                    windows[place] = Window(read.offset + 1)
            self._compare_ends(findings, windows)
            self._fed_by_events({place: findings[place] for place in places if place[0] == SHIPMENT_EVENTS.name})
            for topic, state in states.items():
                self._newest(topic, state, {place: findings[place] for place in places if place[0] == topic})
            outcomes = []
            if self._ledger is not None:
                outcomes = self._outcomes(self._ledger, readers)
                _answer(receipts, self._ledger, wanted)
            return [*receipts, *outcomes, *findings.values()]
        finally:
            self._consumer.close()

    def _begin(self, place: Place) -> Finding:
        finding = Finding("rows" if place[0] in LOG_TABLES else "newest", *place)
        if place[0] in _EVER and (low := self._lows[place]) > 0:
            finding.tell("gap", range(low), "the log no longer holds this record, and is kept for ever")
        return finding

    # -- positions ------------------------------------------------------------------------------------------------------

    def _await_readers(self, places: Sequence[Place]) -> dict[Place, tuple[int, int]]:
        """Of each raw partition where the readers stand, and the end that it had at first."""
        ends = self._positions.ends(places)
        while True:
            stand = self._positions.committed(READERS, places)
            if all(stand[place] >= ends[place] for place in places) or self._clock.monotonic() >= self._until:
                return {place: (stand[place], ends[place]) for place in places}
            _pause()

    # -- reading --------------------------------------------------------------------------------------------------------

    def _records(self, starts: Mapping[Place, int], ends: Mapping[Place, int]) -> Iterator[_Read]:
        for read in committed_records(self._consumer, self._clock, starts, ends):
            self._read += 1
            if self._read % READ_AT_ONCE == 0:
                self._progress(min(self._read, self._total), self._total)
            yield read

    # -- rows -----------------------------------------------------------------------------------------------------------

    def _note(self, read: _Read, wanted: dict[Position, _Wanted]) -> None:
        """What the record says for the books."""
        topic, partition = read.place
        if self._ledger is None:
            return
        if topic == RAW_MESSAGES.name:
            self._ledger.raw(partition, read.offset, read.key == TICK_KEY)
            asked = wanted.get(Position(partition, read.offset))
            if asked is not None and asked.sha256 is not None:
                asked.same = hashlib.sha256(read.value or b"").hexdigest() == asked.sha256
        elif topic in OUTCOMES:
            said = outcome(to_record(read.message, with_headers=read.key == CONTROL_KEY))
            if said is not None:
                self._ledger.became(said)

    def _compare_ends(self, findings: Mapping[Place, Finding], windows: Mapping[Place, Window]) -> None:
        """The last window of each partition, all of a topic with one question; then what lies past them."""
        stands = self._positions.committed(SINK, list(windows))
        for topic in dict.fromkeys(topic for topic, _ in windows):
            places = [place for place in windows if place[0] == topic]
            found = self._found(topic, {place[1]: (windows[place].start, self._ends[place]) for place in places})
            for place in places:
                self._compare(findings[place], windows[place], self._ends[place], (stands[place], found[place[1]]))
            self._beyond(topic, {place: findings[place] for place in places})

    def _compare(self, finding: Finding, window: Window, end: int, first: tuple[int, _Rows] | None = None) -> None:
        """`first`: where the sink stood, and the rows that were found after that; asked for here if not given, or too early."""
        finding.records += len(window.offsets)
        expected = set(window.offsets)
        if finding.topic == RAW_MESSAGES.name and len(expected) != end - window.start:
            holes = set(range(window.start, end)) - expected
            finding.tell("gap", holes, "the log itself has no record here, and nothing but records is ever written to it")
        place = (finding.topic, finding.partition)
        while True:
            if first is None:  # the position before the rows
                stands = self._positions.committed(SINK, [place])[place]
                first = stands, self._found(place[0], {place[1]: (window.start, end)})[place[1]]
            stands, (found, times) = first
            counts = Counter(found)
            missing = expected - counts.keys()
            if all(offset < stands for offset in missing) or self._clock.monotonic() >= self._until:
                break
            _pause()
            first = None
        table = LOG_TABLES[finding.topic].table
        finding.rows += len(found)
        finding.tell("gap", [o for o in missing if o < stands], f"a record that has no row in {table}")
        finding.tell("waiting", [o for o in missing if o >= stands], f"no row in {table} yet: the sink stands at {stands}")
        finding.tell("duplicate", [o for o, times in counts.items() if times > 1], f"a record that has several rows in {table}")
        finding.tell("unaccounted", counts.keys() - expected, f"a row of {table} at an offset that holds no record")
        if len(found) == len(expected) and not missing and times != sum(window.times_ms):
            self._compare_times(finding, window, end)

    def _found(self, topic: str, ranges: Mapping[int, tuple[int, int]]) -> dict[int, _Rows]:
        """The rows of each partition from an offset to before another."""
        rows = self._clickhouse.query(
            "SELECT k_partition, groupArray(k_offset) AS offsets, sum(toUnixTimestamp64Milli(k_time)) AS times "  # noqa: S608
            f"FROM {LOG_TABLES[topic].table} WHERE k_topic = {{topic:String}} AND ("
            + " OR ".join(
                f"k_partition = {number} AND k_offset >= {start} AND k_offset < {end}"
                for number, (start, end) in ranges.items()
            )
            + ") GROUP BY k_partition",
            {"topic": topic},
        )
        return {number: ([], 0) for number in ranges} | {row["k_partition"]: (row["offsets"], row["times"]) for row in rows}

    def _compare_times(self, finding: Finding, window: Window, end: int) -> None:
        """The offsets are the same, the times are not: rows of other records, as when a log lost its end and grew anew."""
        table = LOG_TABLES[finding.topic].table
        rows = self._clickhouse.query(
            f"SELECT k_offset, toUnixTimestamp64Milli(k_time) AS ms FROM {table} WHERE k_topic = {{topic:String}} "  # noqa: S608
            "AND k_partition = {partition:UInt32} AND k_offset >= {start:UInt64} AND k_offset < {end:UInt64}",
            {"topic": finding.topic, "partition": finding.partition, "start": window.start, "end": end},
        )
        times = dict(zip(window.offsets, window.times_ms, strict=True))
        others = [row["k_offset"] for row in rows if times.get(row["k_offset"]) != row["ms"]]
        finding.tell("unaccounted", others, f"a row of {table} whose time is not the time of the record at its offset")

    def _beyond(self, topic: str, findings: Mapping[Place, Finding]) -> None:
        """Rows past what was read must lie before the topic's end of this later moment: a row is written after its record."""
        table = LOG_TABLES[topic].table
        rows = self._clickhouse.query(
            f"SELECT k_partition, groupUniqArray(k_offset) AS offsets FROM {table} WHERE k_topic = {{topic:String}} AND ("  # noqa: S608
            + " OR ".join(f"k_partition = {place[1]} AND k_offset >= {self._ends[place]}" for place in findings)
            + ") GROUP BY k_partition",
            {"topic": topic},
        )
        now = self._positions.ends([(topic, row["k_partition"]) for row in rows])
        for row in rows:
            place = (topic, row["k_partition"])
            beyond = [offset for offset in row["offsets"] if offset >= now[place]]
            findings[place].tell("unaccounted", beyond, f"a row of {table} past the end of the topic")

    # -- what views fill from events ------------------------------------------------------------------------------------

    def _fed_by_events(self, findings: Mapping[Place, Finding]) -> None:
        """Tables that views fill from shipment_events, against it, but for partitions of which something is told already.

        A view's rows are written after the table's, and both before the sink commits: what lies before that is judged."""
        sound = {place: finding for place, finding in findings.items() if finding.clean}
        stands = self._positions.committed(SINK, list(sound)) if sound else {}
        ends = {place: min(self._ends[place], stands[place]) for place in sound}
        for table in _FED_BY_EVENTS if sound else ():
            differing = self._fed_differing(table, ends)
            for (topic, number), finding in sound.items():
                lacking = [offset for partition, offset, is_said in differing if partition == number and is_said]
                finding.tell("gap", lacking, f"an event that {table} lacks")
                beside = [offset for partition, offset, is_said in differing if partition == number and not is_said]
                finding.tell("unaccounted", beside, f"a row of {table} that no row of {topic} says")

    def _fed_differing(self, table: str, ends: Mapping[Place, int]) -> set[tuple[int, int, bool]]:
        """(partition, offset, whether the event says it, else the table does) of what only one of the two says."""
        of_event, own = _FED_BY_EVENTS[table]
        where = " OR ".join(f"k_partition = {place[1]} AND k_offset < {end}" for place, end in ends.items())
        events = f"SELECT k_partition, k_offset, {of_event} AS said FROM shipment_events WHERE kind = 'event' AND ({where})"  # noqa: S608
        fed = f"SELECT k_partition, k_offset, {own} AS said FROM {table} FINAL WHERE ({where})"  # noqa: S608  our own tables
        sums = f"SELECT k_partition, intDiv(k_offset, {_FED_AT_ONCE}) AS part, sum(cityHash64(k_offset, said)) AS sum FROM"
        known = [self._clickhouse.query(f"{sums} ({rows}) GROUP BY k_partition, part") for rows in (events, fed)]
        ours, theirs = ({(row["k_partition"], row["part"]): row["sum"] for row in rows} for rows in known)
        found: set[tuple[int, int, bool]] = set()
        for partition, part in sorted(at for at in ours.keys() | theirs.keys() if ours.get(at) != theirs.get(at)):
            begin = part * _FED_AT_ONCE
            within = f"k_partition = {partition} AND k_offset >= {begin} AND k_offset < {begin + _FED_AT_ONCE}"
            rows = self._clickhouse.query(
                "SELECT k_offset, max(of_event) AS is_said, max(of_table) AS is_there FROM ("  # noqa: S608  our own tables
                f"SELECT k_offset, said, 1 AS of_event, 0 AS of_table FROM ({events} AND {within})"
                f" UNION ALL SELECT k_offset, said, 0, 1 FROM ({fed} AND {within}))"
                " GROUP BY k_offset, said HAVING is_said != is_there"
            )
            found |= {(partition, row["k_offset"], bool(row["is_said"])) for row in rows}
        return found

    # -- newest ---------------------------------------------------------------------------------------------------------

    def _newest(self, topic: str, state: States, findings: Mapping[Place, Finding]) -> None:
        while True:
            stands = self._positions.committed(SINK_STATE, list(findings))  # before the rows are asked for
            rows = self._states(topic)
            behind = [(key, newest) for key, newest in state.newest.items() if newest.missing(rows.get(key))]
            if all(n.offset < stands[n.place] for _, n in behind) or self._clock.monotonic() >= self._until:
                break
            _pause()
        for newest in state.newest.values():
            findings[newest.place].records += 1
        for (table, key), newest in sorted(behind):
            wrong: Wrong = "gap" if newest.offset < stands[newest.place] else "waiting"
            findings[newest.place].tell(wrong, [newest.offset], f"{key}: its newest version is not in {table}")
        if self._ahead(state, rows):
            for read in self._records({place: self._ends[place] for place in findings}, self._positions.ends(list(findings))):
                state.read(read)
        for ahead in self._ahead(state, rows):
            known = state.newest.get(ahead)
            text = f"{ahead[1]}: {ahead[0]} has a version that was never written"
            findings[known.place if known else min(findings)].tell("unaccounted", [known.offset if known else -1], text)
        for finding in findings.values():
            finding.rows = finding.records - finding.gap - finding.waiting
        if topic == JOURNEYS.name:
            told = {key for _, key in (*(key for key, _ in behind), *self._ahead(state, rows))}
            for table in _FED_BY_JOURNEYS:
                self._fed_by_journeys(table, state, findings, told)

    def _fed_by_journeys(self, table: str, state: States, findings: Mapping[Place, Finding], told: Collection[str]) -> None:
        """A table that a view fills against journeys, but for what is `told` already.

        The two are not read at one instant, and the sink may be at work: wrong is what is so twice, with the same versions.
        """
        differing = set(self._differing(table))
        if differing:
            _pause()
            differing &= set(self._differing(table))
        for consignment, version, shown in sorted(differing):
            if consignment in told:
                continue
            known = state.newest.get(("journeys", consignment))
            place, offset = (known.place, known.offset) if known else (min(findings), -1)
            if not shown:
                findings[place].tell("gap", [offset], f"{consignment}: it should be in {table}, and is not")
            elif shown < version:
                findings[place].tell("gap", [offset], f"{consignment}: {table} has version {shown} of it, not {version}")
            else:
                findings[place].tell("unaccounted", [offset], f"{consignment}: {table} has a version that journeys lacks")

    def _differing(self, table: str) -> list[tuple[str, int, int]]:
        """(consignment, its version, its version in the table or 0) where these differ."""
        rows = self._clickhouse.query(_DIFFERING.format(table=table, needed=_FED_BY_JOURNEYS[table]))
        return [(row["consignment"], row["version"], row["shown"]) for row in rows]

    def _ahead(self, state: States, rows: Mapping[tuple[str, str], int]) -> list[tuple[str, str]]:
        """Rows with a version newer than any that was read: either written since, or never. A journey that is gone from the
        topic has its last version in journey.changes."""
        ahead = []
        for key, version in rows.items():
            known = state.newest.get(key)
            if key[1] in state.gone or (known is None and key[0] != "journeys"):
                continue  # deleted, and the record that said so is compacted away
            if known is None or version > known.version:
                ahead.append(key)
        if any(key not in state.newest for key in ahead):
            closed = self._clickhouse.query("SELECT DISTINCT consignment FROM journey_changes WHERE kind = 'closed'")
            state.gone.update(row["consignment"] for row in closed)
        return sorted(key for key in ahead if key[1] not in state.gone)

    def _states(self, topic: str) -> dict[tuple[str, str], int]:
        found = {}
        for table in STATE_TABLES[topic]:
            key = STATE_KEYS[table]
            for row in self._clickhouse.query(f"SELECT {key} AS key, version FROM {table} FINAL"):  # noqa: S608 - our table
                found[table, row["key"]] = row["version"]
        return found

    # -- outcomes and receipts ------------------------------------------------------------------------------------------

    def _outcomes(self, ledger: Ledger, readers: Mapping[Place, tuple[int, int]]) -> list[Finding]:
        findings = {}
        for place, (stand, _) in readers.items():
            finding = Finding("outcomes", *place, records=ledger.messages(place[1]))
            lost = list(ledger.without_outcome(place[1]))
            finding.rows = finding.records - len(lost)  # what became something
            finding.tell("unaccounted", [o for o in lost if o < stand], "became no event, command or dead letter")
            unread = [o for o in lost if o >= stand]
            finding.tell("waiting", unread, f"not read yet: the readers stand at {stand}")
            nothing = [offset for offset in ledger.without_record(place[1]) if offset >= self._lows[place]]
            finding.tell("unaccounted", nothing, "something says it came from here, and there is no message")
            findings[place[1]] = finding
        now = self._positions.ends(list(readers))
        for number, offset in ledger.beyond.items():
            if offset >= now[RAW_MESSAGES.name, number]:
                findings[number].tell("unaccounted", [offset], "something says it came from here, past the end of the log")
        return [*findings.values(), *self._doubles(ledger)]

    def _doubles(self, ledger: Ledger) -> list[Finding]:
        """What was said twice, with its places; read again only if there is any."""
        findings = {topic: Finding("outcomes", topic, 0) for topic in OUTCOMES}
        if ledger.nowhere:
            findings[OUTCOMES[0]].unaccounted += ledger.nowhere
            text = f"{ledger.nowhere} events, commands or dead letters that name no raw record"
            findings[OUTCOMES[0]].examples.append(Example("unaccounted", OUTCOMES[0], 0, -1, text))
        twice = ledger.said_twice()
        seen: set[int] = set()
        places = [place for place in self._ends if twice and place[0] in OUTCOMES]
        starts, ends = ({place: known[place] for place in places} for known in (self._lows, self._ends))
        for read in self._records(starts, ends):
            said = outcome(to_record(read.message, with_headers=read.key == CONTROL_KEY))
            if said is None or said.identity not in twice:
                continue
            if said.identity in seen:
                finding = findings[read.place[0]]
                finding.duplicate += 1
                if len(finding.examples) < EXAMPLES:
                    text = f"the same as another, of the raw record {said.partition}:{said.offset}"
                    finding.examples.append(Example("duplicate", *read.place, read.offset, text))
            seen.add(said.identity)
        return [finding for finding in findings.values() if not finding.clean]

    def _opened(self) -> tuple[dict[Position, _Wanted], list[Finding]]:
        """The places that the receipts name; and what is wrong with those that name none, or one that another names too."""
        wanted: dict[Position, _Wanted] = {}
        if not self._receipts:
            return wanted, []
        finding = Finding("receipts", RAW_MESSAGES.name, -1, records=len(self._receipts))
        for given in self._receipts:
            try:
                position = self._sealer.open(given.receipt)
            except NotAReceipt:
                finding.tell("unaccounted", [-1], f"{given.receipt[:60]} is no receipt under this LOVLA_SECRET_KEY")
                continue
            if position in wanted:
                finding.duplicate += 1
                if len(finding.examples) < EXAMPLES:
                    text = "two answers gave the receipt of this one record"
                    finding.examples.append(Example("duplicate", RAW_MESSAGES.name, *_pair(position), text))
            wanted[position] = _Wanted(given.sha256)
        return wanted, [finding]


@dataclass(slots=True)
class _Wanted:
    """What a receipt promises. `same`: the record there has these bytes."""

    sha256: str | None
    same: bool = True


def _pair(position: Position) -> tuple[int, int]:
    return position.partition, position.offset


def _answer(findings: Sequence[Finding], ledger: Ledger, wanted: Mapping[Position, _Wanted]) -> None:
    """Whether each receipt's record is there."""
    for finding in findings:
        if finding.check != "receipts":
            continue
        for position, asked in wanted.items():
            there = ledger.has(*_pair(position))
            finding.rows += there
            if there and asked.same:
                continue
            finding.unaccounted += 1
            if len(finding.examples) < EXAMPLES:
                text = "the record of this receipt has other bytes than were sent" if there else "a receipt without its record"
                finding.examples.append(Example("unaccounted", RAW_MESSAGES.name, *_pair(position), text))


STATE_TABLES: Mapping[str, tuple[str, ...]] = {
    JOURNEYS.name: ("journeys", "feeds", "clocks"),
    SENDERS.name: ("senders",),
    FACILITIES.name: ("facilities",),
}
"""The tables of newest states that a compacted topic fills."""

STATE_KEYS: Mapping[str, str] = {table: columns[0] for table, columns in STATE_COLUMNS.items() if columns[1] == "version"}
"""The key column of each of them."""


class Window:
    """Records of one partition from `start` on that are not compared yet."""

    __slots__ = ("offsets", "start", "times_ms")

    def __init__(self, start: int) -> None:
        self.start = start
        self.offsets = array("Q")
        self.times_ms = array("q")

    def add(self, offset: int, timestamp_ms: int) -> None:
        self.offsets.append(offset)
        self.times_ms.append(max(timestamp_ms, 0))


class Newest(NamedTuple):
    """The newest version of a key, and the record that says it."""

    version: int
    deleted: bool
    place: Place
    offset: int

    def missing(self, row: int | None) -> bool:
        """Whether the table's version is older. A deleted key has no row."""
        return not self.deleted if row is None else row < self.version


class States:
    """Of each (table, key) the newest version that a topic holds; and the keys that it says are gone."""

    def __init__(self) -> None:
        self.newest: dict[tuple[str, str], Newest] = {}
        self.gone: set[str] = set()

    def read(self, read: _Read) -> None:
        """A record: a row that must be there, unless a newer one is, or the end of a key."""
        record = to_record(read.message, with_headers=False)
        row = state_row(record)
        if row is None:
            self.gone.add((record.key or b"").decode("utf-8", "replace"))
        if row is None or row.table not in STATE_KEYS:
            return
        key, version = row.values[:2]
        deleted = "deleted" in STATE_COLUMNS[row.table] and bool(row.values[STATE_COLUMNS[row.table].index("deleted")])
        assert isinstance(version, int)
        named = (row.table, key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key))
        known = self.newest.get(named)
        if known is None or version >= known.version:
            self.newest[named] = Newest(version, deleted, read.place, read.offset)


# -- Kafka ----------------------------------------------------------------------------------------------------------------


class Positions:
    """Where topics begin and end, and where groups stand; one request each."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    def ends(self, places: Sequence[Place]) -> dict[Place, int]:
        """High watermarks: the end of everything written, committed or not."""
        return self._offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]  # untyped in the library

    def lows(self, places: Sequence[Place]) -> dict[Place, int]:
        """The oldest offsets that are still there."""
        return self._offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]  # untyped in the library

    def _offsets(self, places: Sequence[Place], which: OffsetSpec) -> dict[Place, int]:
        if not places:
            return {}

        def ask() -> dict[Place, int]:
            with kafka.admin(self._settings.kafka) as admin:
                found = admin.list_offsets(
                    {TopicPartition(*place): which for place in places},
                    isolation_level=IsolationLevel.READ_UNCOMMITTED,
                    request_timeout=kafka.REQUEST_TIMEOUT_S,
                )
                return {(part.topic, part.partition): future.result().offset for part, future in found.items()}

        return self._patiently(ask)

    def committed(self, group: str, places: Sequence[Place]) -> dict[Place, int]:
        """What the group has committed; 0 where it has not. (A transaction's offsets count once it is committed.)"""

        def ask() -> dict[Place, int]:
            return dict.fromkeys(places, 0) | kafka.committed(self._settings.kafka, group, places)

        return self._patiently(ask)

    def _patiently(self, ask: Callable[[], dict[Place, int]]) -> dict[Place, int]:
        """A broker that was just started answers at once that it is not ready."""
        until = self._clock.monotonic() + UNREADY_S
        while True:
            try:
                return ask()
            except KafkaException as error:
                if self._clock.monotonic() >= until or kafka.error_of(error).code() not in _NOT_YET:
                    raise
                _pause()


class _Read:
    """One record; its parts are asked for only where needed, since most are only counted."""

    __slots__ = ("message", "offset", "place")

    def __init__(self, message: Message, place: Place, offset: int) -> None:
        self.message, self.place, self.offset = message, place, offset

    @property
    def timestamp_ms(self) -> int:
        return self.message.timestamp()[1]

    @property
    def key(self) -> bytes | None:
        return self.message.key()

    @property
    def value(self) -> bytes | None:
        return self.message.value()


def committed_records(
    consumer: Consumer, clock: Clock, starts: Mapping[Place, int], ends: Mapping[Place, int]
) -> Iterator[_Read]:
    """Every committed record from `starts` to before `ends`, all partitions side by side, each in order.

    Transactions that are open before an end are waited for. Raises KafkaException, AuditFailed.
    """
    left = {place for place, end in ends.items() if starts[place] < end}
    if not left:
        return
    consumer.assign([TopicPartition(*place, starts[place] or OFFSET_BEGINNING) for place in sorted(left)])
    quiet_since = clock.monotonic()
    while left:
        messages = consumer.consume(READ_AT_ONCE, 0.1)
        for message in messages:
            topic, number, offset = message.topic(), message.partition(), message.offset()
            assert topic is not None and number is not None and offset is not None
            place = (topic, number)
            error = message.error()
            if error is None:
                if offset < ends[place]:
                    yield _Read(message, place, offset)
                offset += 1
            elif error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            # an end-of-partition tells the next offset to be read, past markers and aborted records
            if offset >= ends[place] and place in left:
                left.discard(place)
                consumer.incremental_unassign([TopicPartition(*place)])
        now = clock.monotonic()
        if messages:
            quiet_since = now
        elif now - quiet_since > STALLED_S:
            waiting = ", ".join(f"{topic}[{number}]" for topic, number in sorted(left)[:3])
            raise AuditFailed(f"Kafka gave nothing for {STALLED_S:.0f} s before the ends that it named ({waiting}); is it up?")


def new_consumer(settings: Settings) -> Consumer:
    """For `committed_records`."""
    config = kafka.consumer_config(settings, "lovla-audit", "lovla-audit")
    return Consumer(config | {"enable.partition.eof": True, "fetch.wait.max.ms": 10})


def _pause() -> None:
    threading.Event().wait(BETWEEN_S)
