"""The auditor: re-reads what Kafka holds, read committed, and compares it with ClickHouse. It trusts no counter of the sink's.

Log tables: the offsets of each partition against the rows, as sets. journeys: the newest version of each key. What Kafka no
longer keeps (dead letters after 400 days) and what came after the reading began is not compared.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from schemas.topics import JOURNEYS
from services.runtime import kafka, metrics
from services.runtime.clickhouse import ClickHouse
from services.runtime.clock import Clock
from services.runtime.settings import Settings
from services.runtime.sources import Record, to_record
from services.sink.rows import LOG_TABLES, state_row

EXAMPLES = 10
BETWEEN_S = 0.5

AUDITED: tuple[str, ...] = (*LOG_TABLES, JOURNEYS.name)


@dataclass(frozen=True, slots=True)
class Finding:
    """One partition: what Kafka has (records; keys of journeys) and how many rows; of what differs, all counts, ten examples.

    missing: no row (journeys: not in its newest version). double: more than one row. strange: a row without a record.
    """

    topic: str
    partition: int
    table: str
    records: int
    rows: int
    missing: tuple[str, ...] = ()
    double: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    missing_count: int = 0
    double_count: int = 0
    strange_count: int = 0

    @property
    def clean(self) -> bool:
        return not (self.missing_count or self.double_count or self.strange_count)


def audit(
    settings: Settings, clickhouse: ClickHouse, clock: Clock, topics: Sequence[str] = AUDITED, patience_s: float = 0.0
) -> list[Finding]:
    """Compare everything. Rows still on their way are waited for, `patience_s` in all; nothing mends double ones."""
    findings = []
    until = clock.monotonic() + patience_s
    nobody = threading.Event()
    consumer = Consumer(kafka.consumer_config(settings, "lovla-audit", "lovla-audit") | {"enable.partition.eof": True})
    try:
        for topic in topics:
            for partition in kafka.partitions(consumer, topic):
                expected = _newest(consumer, topic, partition) if topic == JOURNEYS.name else None
                offsets = _offsets(consumer, topic, partition) if expected is None else set()
                while True:
                    finding = (
                        _compare_log(clickhouse, topic, partition, offsets)
                        if expected is None
                        else _compare_journeys(clickhouse, topic, partition, expected)
                    )
                    if finding.clean or finding.double_count or clock.monotonic() >= until:
                        break
                    nobody.wait(BETWEEN_S)
                findings.append(finding)
    finally:
        consumer.close()
    for table in {finding.table for finding in findings}:
        mine = [finding for finding in findings if finding.table == table]
        metrics.gauge("lovla_sink_audit_missing_rows", table=table).set(sum(finding.missing_count for finding in mine))
        metrics.gauge("lovla_sink_audit_double_rows", table=table).set(sum(finding.double_count for finding in mine))
    return findings


def _records(consumer: Consumer, topic: str, partition: int) -> Iterator[Record]:
    """Every record that a reader of committed records sees, up to the end it meets."""
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    while True:
        message = consumer.poll(kafka.REQUEST_TIMEOUT_S)
        if message is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"no record and no end of {topic}[{partition}]"))
        error = message.error()
        if error is None:
            yield to_record(message, with_headers=False)
        elif error.code() == KafkaError._PARTITION_EOF:
            return
        else:
            raise KafkaException(error)


def _offsets(consumer: Consumer, topic: str, partition: int) -> set[int]:
    return {record.offset for record in _records(consumer, topic, partition)}


def _newest(consumer: Consumer, topic: str, partition: int) -> dict[str, int]:
    """The newest version of each consignment that is not a tombstone's."""
    versions: dict[str, int] = {}
    for record in _records(consumer, topic, partition):
        state = state_row(record)
        if state is not None and state.table == "journeys":
            consignment, version = state.values[:2]
            assert isinstance(consignment, str) and isinstance(version, int)
            versions[consignment] = max(versions.get(consignment, 0), version)
    return versions


def _compare_log(clickhouse: ClickHouse, topic: str, partition: int, offsets: set[int]) -> Finding:
    table = LOG_TABLES[topic].table
    oldest, newest = min(offsets, default=1), max(offsets, default=0)
    found = clickhouse.query(
        f"SELECT groupArray(k_offset) AS offsets FROM {table} "  # noqa: S608 - our own table's name
        "WHERE k_topic = {topic:String} AND k_partition = {partition:UInt32} "
        "AND k_offset BETWEEN {oldest:UInt64} AND {newest:UInt64}",
        {"topic": topic, "partition": partition, "oldest": oldest, "newest": newest},
    )[0]["offsets"]
    counts = Counter(found)
    missing = sorted(offsets - counts.keys())
    double = sorted(offset for offset, times in counts.items() if times > 1)
    strange = sorted(counts.keys() - offsets)
    return Finding(
        topic,
        partition,
        table,
        len(offsets),
        len(found),
        tuple(map(str, missing[:EXAMPLES])),
        tuple(map(str, double[:EXAMPLES])),
        tuple(map(str, strange[:EXAMPLES])),
        len(missing),
        len(double),
        len(strange),
    )


def _compare_journeys(clickhouse: ClickHouse, topic: str, partition: int, versions: dict[str, int]) -> Finding:
    """ClickHouse may be ahead (the topic was read first), and knows closed journeys that the topic has forgotten."""
    found = {row["consignment"]: row["version"] for row in clickhouse.query("SELECT consignment, version FROM journeys FINAL")}
    behind = sorted(consignment for consignment, version in versions.items() if found.get(consignment, 0) < version)
    return Finding(topic, partition, "journeys", len(versions), len(found), tuple(behind[:EXAMPLES]), missing_count=len(behind))
