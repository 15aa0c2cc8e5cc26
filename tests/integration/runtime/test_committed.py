"""Where a group stands is told. (By a broker without coordinators: tests/integration/local/test_up_and_down.py.)"""

from __future__ import annotations

import uuid

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.cimpl import NewTopic

from services.runtime import kafka
from services.runtime.settings import Settings
from tests import topics
from tests.integration.runtime.bench import wait_until


def test_offsets_are_told_by_partition_and_those_never_committed_are_left_out(kafka_settings: Settings) -> None:
    topic, group = f"c{uuid.uuid4().hex[:10]}", uuid.uuid4().hex
    topics.create(kafka_settings.kafka, NewTopic(topic, 3, 1))
    member = kafka.consumer(kafka_settings, "test-committed", group)

    def commits() -> bool:
        try:
            return member.commit(offsets=[TopicPartition(topic, 1, 7)], asynchronous=False) is not None
        except KafkaException as error:  # the coordinator of a broker just started is not ready yet
            assert error.args[0].name() in ("NOT_COORDINATOR", "COORDINATOR_LOAD_IN_PROGRESS", "_WAIT_COORD"), error
            return False

    wait_until("the offset is committed", commits)
    member.close()
    places = [(topic, number) for number in range(3)]
    assert kafka.committed(kafka_settings.kafka, group, places) == {(topic, 1): 7}
    assert kafka.committed(kafka_settings.kafka, uuid.uuid4().hex, places) == {}
    assert kafka.committed(kafka_settings.kafka, group, []) == {}
