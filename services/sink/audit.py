"""The auditor: re-reads every partition of the log topics, read committed, and compares its offsets with the rows, as sets.

It trusts no counter of the sink's. What Kafka no longer keeps (dead letters after 400 days) is not compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from services.runtime import kafka, metrics
from services.runtime.clickhouse import ClickHouse
from services.runtime.settings import Settings
from services.sink.rows import LOG_TABLES

POLL_S = 0.2
"""How long a read waits for its batch to fill; the end of the partition arrives as an event in it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One partition: how many records Kafka has and rows ClickHouse has; examples of offsets that differ, at most ten each."""

    topic: str
    partition: int
    records: int
    rows: int
    missing: tuple[int, ...]
    double: tuple[int, ...]
    strange: tuple[int, ...]
    missing_count: int
    double_count: int

    @property
    def clean(self) -> bool:
        return not (self.missing or self.double or self.strange)


def audit(settings: Settings, clickhouse: ClickHouse, topics: Sequence[str] = tuple(LOG_TABLES)) -> list[Finding]:
    """Compare everything. Rows that are still on their way show as missing: let the sink catch up first."""
    findings = []
    consumer = Consumer(kafka.consumer_config(settings, "lovla-audit", "lovla-audit") | {"enable.partition.eof": True})
    try:
        for topic in topics:
            for partition in kafka.partitions(consumer, topic):
                offsets = _offsets(consumer, topic, partition)
                findings.append(_compare(clickhouse, topic, partition, offsets))
    finally:
        consumer.close()
    for topic in topics:
        mine = [finding for finding in findings if finding.topic == topic]
        table = LOG_TABLES[topic].table
        metrics.gauge("lovla_sink_audit_missing_rows", table=table).set(sum(finding.missing_count for finding in mine))
        metrics.gauge("lovla_sink_audit_double_rows", table=table).set(sum(finding.double_count for finding in mine))
    return findings


def _offsets(consumer: Consumer, topic: str, partition: int) -> set[int]:
    """Every offset that a reader of committed records sees, up to the end it meets."""
    offsets: set[int] = set()
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    while True:
        for message in consumer.consume(5_000, POLL_S):
            error = message.error()
            if error is None:
                offset = message.offset()
                assert offset is not None
                offsets.add(offset)
            elif error.code() == KafkaError._PARTITION_EOF:
                return offsets
            else:
                raise KafkaException(error)


def _compare(clickhouse: ClickHouse, topic: str, partition: int, offsets: set[int]) -> Finding:
    table = LOG_TABLES[topic].table
    found = clickhouse.query(
        f"SELECT groupArray(k_offset) AS offsets FROM {table} "  # noqa: S608 - our own table's name
        "WHERE k_topic = {topic:String} AND k_partition = {partition:UInt32}",
        {"topic": topic, "partition": partition},
    )[0]["offsets"]
    counts = Counter(found)
    missing = sorted(offsets - counts.keys())
    double = sorted(offset for offset, times in counts.items() if times > 1)
    oldest = min(offsets, default=0)
    newest = max(offsets, default=-1)
    strange = sorted(offset for offset in counts.keys() - offsets if oldest <= offset <= newest)
    return Finding(
        topic,
        partition,
        len(offsets),
        len(found),
        tuple(missing[:10]),
        tuple(double[:10]),
        tuple(strange[:10]),
        len(missing),
        len(double),
    )
