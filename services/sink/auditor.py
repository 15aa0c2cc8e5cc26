"""The audit that never ends: once a minute, beside the sink, cheap; its counts are metrics, 0 when healthy.

A round: 1. the readers' positions, then the ends of the log topics, are captured; 2. what was written since the last round is
read, offsets only, read committed; 3. what lies before the sink's own committed positions must be rows, exactly; 4. what was
found right before is held against sums over each table, so that a row that goes or comes later is noticed without reading the
topic again; where a sum differs, that topic is audited from its beginning (services/sink/audit.py); 5. raw records before the
readers' positions of the last round must have become something, once the tables hold all that was written by then.

So nothing on its way is ever taken for lost, and what readers or sink have not come to is lag, which has metrics of its own. A
round looks back no further than the process: the first takes what the tables hold as it is if there is much of it
(`lovla audit` reads everything).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaException

from schemas.topics import RAW_MESSAGES
from services.runtime import kafka, logs, metrics
from services.runtime.clickhouse import ClickHouse, ClickHouseError
from services.runtime.clock import Clock
from services.runtime.settings import Settings
from services.sink.audit import READERS, SINK, Place, Positions, audit, committed_records, new_consumer
from services.sink.ledger import OUTCOMES, AuditFailed
from services.sink.rows import LOG_TABLES

EVERY_S = 60.0
FIRST_MAX = 1_000_000
"""So many records are audited from their beginning at the first round; more would keep a small machine busy for minutes."""

log = logs.get("sink.auditor")

Sums = tuple[int, int, int]
"""Of offsets of rows: how many, their sum, the sum of their squares (mod 2^64): no one row can go, come or change unseen."""

_NONE: Sums = (0, 0, 0)
_MOD = 1 << 64


@dataclass(slots=True)
class Held:
    """One partition. `read`: up to where Kafka was read. `pending`: records that the sink had not come to. `right`: up to where
    rows are compared, and `sums` of those rows."""

    read: int
    right: int
    pending: list[int] = field(default_factory=list)
    sums: Sums = _NONE


@dataclass(slots=True)
class Counts:
    """What is wrong with one topic."""

    unaccounted: int = 0
    duplicate: int = 0
    gap: int = 0


class Auditor:
    """`run` until `stop`; `round` is one look."""

    def __init__(self, settings: Settings, clickhouse: ClickHouse, clock: Clock, every_s: float = EVERY_S) -> None:
        self._settings = settings
        self._clickhouse = clickhouse
        self._clock = clock
        self._every_s = every_s
        self._stop = threading.Event()
        self._positions = Positions(settings, clock)
        self._held: dict[Place, Held] = {}
        self._readers: dict[Place, int] = {}
        self._judged: dict[Place, int] = {}
        self._ends: Mapping[Place, int] = {}
        self._lost: dict[Place, set[int]] = {}
        self.counts: dict[str, Counts] = {topic: Counts() for topic in LOG_TABLES}

    def run(self, stop: threading.Event) -> None:
        """Kafka or ClickHouse away: the next round tries again. An auditor never stops the sink."""
        self._stop = stop
        while not stop.wait(self._every_s):
            try:
                self.round()
            except (KafkaException, ClickHouseError, AuditFailed, kafka.TopicMissing) as error:
                log.warning("auditor.round_lost", text=str(error))

    def round(self) -> None:
        """One look at everything that is new, and at the sums of what is old. Raises what Kafka and ClickHouse raise."""
        consumer = new_consumer(self._settings)
        try:
            places = [(topic, number) for topic in LOG_TABLES for number in kafka.partitions(consumer, topic)]
            readers = self._positions.committed(READERS, [place for place in places if place[0] == RAW_MESSAGES.name])
            ends = self._positions.ends(places)
            if not self._held:
                self._begin(places, readers)
            starts = {place: min(self._held[place].read, ends[place]) for place in places}
            for read in committed_records(consumer, self._clock, starts, ends):
                self._held[read.place].pending.append(read.offset)
                if self._stop.is_set():
                    return
        finally:
            consumer.close()
        for place in places:
            self._held[place].read = ends[place]
        sink = self._positions.committed(SINK, places)
        changed = {place[0] for place in places if self._differs(place)}
        for place in places:
            if place[0] not in changed:
                self._compare(place, min(sink[place], ends[place]))
        for topic in changed:
            self._again(topic)
        self._judge(readers, ends)
        self._tell()

    def _begin(self, places: list[Place], readers: Mapping[Place, int]) -> None:
        sink, lows = self._positions.committed(SINK, places), self._positions.lows(places)
        self._held = {place: Held(sink[place], sink[place]) for place in places}
        self._judged = dict(readers)
        for held_place, held in self._held.items():
            held.sums = self._sums(held_place, held.right)
        if sum(sink[place] - lows[place] for place in places) <= FIRST_MAX:
            for topic in LOG_TABLES:
                self._again(topic)
            self._judged = {place: lows[place] for place in readers}

    def _sums(self, place: Place, end: int) -> Sums:
        topic, number = place
        row = self._clickhouse.query(
            "SELECT count() AS n, sum(k_offset) AS s, sum(k_offset * k_offset) AS q "  # noqa: S608 - our own table's name
            f"FROM {LOG_TABLES[topic].table} WHERE k_topic = {{topic:String}} AND k_partition = {{number:UInt32}} "
            "AND k_offset < {end:UInt64}",
            {"topic": topic, "number": number, "end": end},
        )[0]
        return row["n"], row["s"] % _MOD, row["q"] % _MOD

    def _differs(self, place: Place) -> bool:
        held = self._held[place]
        return self._sums(place, held.right) != held.sums

    def _compare(self, place: Place, end: int) -> None:
        """The rows from `right` to `end`, which the sink says are there, against what Kafka holds there."""
        held, counts = self._held[place], self.counts[place[0]]
        if end <= held.right:
            return
        expected = {offset for offset in held.pending if offset < end}
        found = self._clickhouse.query(
            f"SELECT groupArray(k_offset) AS offsets FROM {LOG_TABLES[place[0]].table} "  # noqa: S608 - our own table's name
            "WHERE k_topic = {topic:String} AND k_partition = {number:UInt32} "
            "AND k_offset >= {start:UInt64} AND k_offset < {end:UInt64}",
            {"topic": place[0], "number": place[1], "start": held.right, "end": end},
        )[0]["offsets"]
        times = Counter(found)
        counts.gap += len(expected - times.keys())
        counts.unaccounted += len(times.keys() - expected)
        counts.duplicate += sum(1 for count in times.values() if count > 1)
        before, rows = held.sums, (len(found), sum(found), sum(offset * offset for offset in found))
        held.sums = (before[0] + rows[0], (before[1] + rows[1]) % _MOD, (before[2] + rows[2]) % _MOD)
        held.pending = [offset for offset in held.pending if offset >= end]
        held.right = end

    def _again(self, topic: str) -> None:
        """The topic from its beginning: exact counts, whatever was known before."""
        log.warning("auditor.from_the_beginning", topic=topic)
        for place, held in self._held.items():
            if place[0] == topic:
                held.sums = self._sums(place, held.right)  # before the reading: what changes meanwhile is seen next time
        found = audit(self._settings, self._clickhouse, self._clock, [topic])
        self.counts[topic] = Counts(
            sum(finding.unaccounted for finding in found),
            sum(finding.duplicate for finding in found),
            sum(finding.gap for finding in found),
        )

    def _judge(self, readers: Mapping[Place, int], ends: Mapping[Place, int]) -> None:
        """Raw records before the readers' positions of an earlier round, once the tables hold all that was written by then."""
        traced = (RAW_MESSAGES.name, *OUTCOMES)
        if self._readers:
            waiting = (
                place
                for place, end in self._ends.items()
                if place[0] in traced and any(offset < end for offset in self._held[place].pending)
            )
            if any(waiting):
                return
            for place, end in self._readers.items():
                start = min(self._judged.get(place, 0), min(self._lost.get(place, {end}), default=end))
                self._lost[place] = set(self._without_outcome(place[1], start, end)) if start < end else set()
                self._judged[place] = end
        self._readers, self._ends = dict(readers), ends

    def _without_outcome(self, number: int, start: int, end: int) -> list[int]:
        window = "raw_partition = {number:Int64} AND raw_offset >= {start:Int64} AND raw_offset < {end:Int64}"
        outcomes = " UNION ALL ".join(
            f"SELECT toUInt64(raw_offset) FROM {LOG_TABLES[topic].table} WHERE {window}"  # noqa: S608 - our own tables
            for topic in OUTCOMES
        )
        # an unparking becomes a control record, which names no raw record: the only action without a consignment
        found: list[int] = self._clickhouse.query(
            "SELECT groupArray(k_offset) AS offsets FROM raw_messages WHERE k_partition = {number:Int64} "  # noqa: S608
            "AND k_offset >= {start:Int64} AND k_offset < {end:Int64} AND kind != 'tick' "
            f"AND NOT (kind = 'action' AND consignment = '') AND k_offset NOT IN ({outcomes})",
            {"number": number, "start": start, "end": end},
        )[0]["offsets"]
        return found

    def _tell(self) -> None:
        lost = sum(len(offsets) for offsets in self._lost.values())
        for topic, counts in self.counts.items():
            unaccounted = counts.unaccounted + (lost if topic == RAW_MESSAGES.name else 0)
            metrics.gauge("lovla_audit_unaccounted", topic=topic).set(unaccounted)
            metrics.gauge("lovla_audit_duplicate", topic=topic).set(counts.duplicate)
            metrics.gauge("lovla_audit_gap", topic=topic).set(counts.gap)
            if unaccounted or counts.duplicate or counts.gap:
                log.error("auditor.wrong", topic=topic, unaccounted=unaccounted, duplicate=counts.duplicate, gap=counts.gap)
        metrics.gauge("lovla_audit_last_seconds").set(self._clock.now().timestamp())
