"""Lag counts records: what only marks the end of a transaction, or was aborted, is nothing to be behind of."""

from __future__ import annotations

import uuid

from confluent_kafka import Producer, TopicPartition

from deploy.local.lag import COUNTED, lags
from schemas.topics import CONSIGNMENT_COMMANDS as TOPIC
from services.runtime import kafka as clients
from services.runtime.settings import Settings
from tests.integration.sink.test_sink import until


def transaction(settings: Settings, records: int, commit: bool = True) -> int:
    """Write so many records in one transaction; returns the first one's offset."""
    placed: list[int] = []
    producer = Producer(clients.transactional_config(settings, "test-lag", f"lag-{uuid.uuid4().hex}"))
    producer.init_transactions(60)
    producer.begin_transaction()
    for number in range(records):
        producer.produce(TOPIC.name, value=b"%d" % number, partition=0, on_delivery=lambda _, m: placed.append(m.offset() or 0))
    producer.flush()
    (producer.commit_transaction if commit else producer.abort_transaction)()
    return placed[0]


def behind(settings: Settings, group: str) -> int:
    (found,) = [lag.behind for lag in lags(settings.kafka) if lag.group == group]
    return found


def test_a_group_that_has_read_every_record_is_behind_by_nothing(settings: Settings) -> None:
    group = f"lag-{uuid.uuid4().hex[:8]}"
    begin = transaction(settings, 3)
    reader = clients.consumer(settings, "test-lag", group)

    def stands_at(offset: int) -> int:
        reader.commit(offsets=[TopicPartition(TOPIC.name, 0, offset)], asynchronous=False)
        return behind(settings, group)

    until(lambda: stands_at(begin) == 3, "the mark of the transaction, without which nobody sees its records")
    assert stands_at(begin + 2) == 1
    assert stands_at(begin + 3) == 0
    transaction(settings, 2, commit=False)
    assert behind(settings, group) == 0
    transaction(settings, 1)
    until(lambda: behind(settings, group) == 1, "one more")
    transaction(settings, COUNTED)
    until(lambda: behind(settings, group) > COUNTED, "far behind; there the marks are in the figure")
    reader.close()
