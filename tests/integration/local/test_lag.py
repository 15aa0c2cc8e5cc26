"""Lag counts records: what only marks the end of a transaction, or was aborted, is nothing to be behind of."""

from __future__ import annotations

import uuid

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.cimpl import NewTopic

from deploy.local.lag import COUNTED, lags
from services.runtime import kafka as clients
from services.runtime.settings import Settings
from tests import topics
from tests.integration.sink.test_sink import until


@pytest.fixture
def topic(settings: Settings) -> str:
    """One of its own: what stands in it is nothing that a service could read."""
    name = f"lag{uuid.uuid4().hex[:10]}"
    topics.create(settings.kafka, NewTopic(name, 1, 1))
    return name


def transaction(settings: Settings, topic: str, records: int, commit: bool = True) -> int:
    """Write so many records in one transaction; returns the first one's offset."""
    placed: list[int] = []
    producer = Producer(clients.transactional_config(settings, "test-lag", f"lag-{uuid.uuid4().hex}"))
    producer.init_transactions(60)
    producer.begin_transaction()
    for number in range(records):
        producer.produce(topic, value=b"%d" % number, partition=0, on_delivery=lambda _, m: placed.append(m.offset() or 0))
    producer.flush()
    (producer.commit_transaction if commit else producer.abort_transaction)()
    return placed[0]


def behind(settings: Settings, group: str, on_its_way_s: float = 0.0) -> int:
    (found,) = [lag.behind for lag in lags(settings.kafka, (group,), on_its_way_s)]
    return found


def test_a_group_that_has_read_every_record_is_behind_by_nothing(settings: Settings, topic: str) -> None:
    group = f"lag-{uuid.uuid4().hex[:8]}"
    begin = transaction(settings, topic, 3)
    reader = clients.consumer(settings, "test-lag", group)

    def stands_at(offset: int) -> int:
        reader.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
        return behind(settings, group)

    until(lambda: stands_at(begin) == 3, "the mark of the transaction, without which nobody sees its records")
    assert stands_at(begin + 2) == 1
    assert stands_at(begin + 3) == 0
    transaction(settings, topic, 2, commit=False)
    assert behind(settings, group) == 0
    transaction(settings, topic, 1)
    until(lambda: behind(settings, group) == 1, "one more")
    assert behind(settings, group, on_its_way_s=3_600) == 0  # it came just now
    until(lambda: behind(settings, group, on_its_way_s=0.5) == 1, "by now it has waited for so long")
    transaction(settings, topic, COUNTED)
    until(lambda: behind(settings, group) > COUNTED, "far behind; there the marks are in the figure")
    reader.close()
