"""Restoring reads everything that was committed, the last batch too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer, TopicPartition

from services.runtime import kafka
from services.runtime.kafka import TopicMissing
from services.runtime.loop import Record, read_range, restore
from services.runtime.settings import Settings
from tests.integration.runtime.bench import Bench


@contextmanager
def transaction(settings: Settings, id: str) -> Iterator[Producer]:
    """An open transaction; its end is the test's business."""
    producer = Producer(kafka.transactional_config(settings, "test", id))
    producer.init_transactions(30)
    producer.begin_transaction()
    yield producer


def write(bench: Bench, *values: str, then: str) -> None:
    with transaction(bench.settings, f"{bench.name}-w") as producer:
        for value in values:
            producer.produce(bench.state, value.encode(), b"k", 0)
        producer.flush(30)
        (producer.commit_transaction if then == "commit" else producer.abort_transaction)(30)


def restored(bench: Bench) -> tuple[list[str], int]:
    values: list[str] = []

    def take(record: Record) -> None:
        values.append((record.value or b"").decode())

    end = restore(bench.settings, bench.state, 0, take)
    return values, end


def test_an_empty_changelog_restores_nothing(bench: Bench) -> None:
    assert restored(bench) == ([], 0)


def test_aborted_records_are_not_restored_even_as_the_last_ones(bench: Bench) -> None:
    write(bench, "1", "2", then="commit")
    write(bench, "bad", then="abort")
    assert restored(bench) == (["1", "2"], 5)  # two records, their marker, one aborted, its marker


def test_the_last_batch_is_restored_although_its_transaction_is_still_open_when_restoring_begins(bench: Bench) -> None:
    """The last stable offset lies before it, and a client that reads committed takes that for the end (KAFKA-10167)."""
    write(bench, "1", then="commit")
    with transaction(bench.settings, f"{bench.name}-late") as producer:
        producer.produce(bench.state, b"2", b"k", 0)
        producer.flush(30)
        client = kafka.consumer(bench.settings, "test", "test")
        stable = client.get_watermark_offsets(TopicPartition(bench.state, 0), timeout=10)[1]
        client.close()
        assert (stable, kafka.end_offset(bench.settings, bench.state, 0)) == (2, 3)
        later = threading.Timer(1.0, lambda: producer.commit_transaction(30))
        later.start()
        assert restored(bench)[0] == ["1", "2"]
        later.join()


def test_a_range_ends_before_its_end(bench: Bench) -> None:
    write(bench, "1", "2", "3", then="commit")
    values: list[bytes | None] = []
    assert read_range(bench.settings, bench.state, 0, 1, 2, lambda r: values.append(r.value)) == 2
    assert values == [b"2"]
    assert read_range(bench.settings, bench.state, 0, 2, 2, lambda r: values.append(r.value)) == 2
    assert values == [b"2"]


def test_a_missing_topic_is_named(bench: Bench) -> None:
    with pytest.raises(TopicMissing, match="no-such-topic"):
        read_range(bench.settings, "no-such-topic", 0, 0, 1, lambda _: None)


def test_restoring_goes_on_when_what_it_waits_for_is_aborted(bench: Bench) -> None:
    write(bench, "1", then="commit")
    with transaction(bench.settings, f"{bench.name}-late") as producer:
        producer.produce(bench.state, b"bad", b"k", 0)
        producer.flush(30)
        later = threading.Timer(1.0, lambda: producer.abort_transaction(30))
        later.start()
        assert restored(bench) == (["1"], 3)
        later.join()
