"""Where a group stands is told, whatever the broker is going through; the question never ends the process that asks."""

from __future__ import annotations

import sys
import uuid

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.cimpl import NewTopic

from services.runtime import kafka
from services.runtime.settings import Settings
from tests import forks, topics
from tests import stack as stacks
from tests.integration.runtime.bench import ROOT, wait_until
from tests.stack import Stack

ASKS = """
import sys, uuid
from confluent_kafka import KafkaException
from services.runtime import kafka
told = 0
while told < 20:
    try:
        told += kafka.committed(sys.argv[1], uuid.uuid4().hex, [("__consumer_offsets", 0)], 2) == {}
    except KafkaException as error:
        assert error.args[0].retriable() or error.args[0].name() in ("NOT_COORDINATOR", "_TIMED_OUT"), error
"""


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


def test_a_broker_that_has_no_coordinators_yet_ends_nobody_who_asks() -> None:
    fresh = Stack(stacks.environ())
    try:
        bootstrap = fresh.kafka().bootstrap
        asking = [forks.popen([sys.executable, "-c", ASKS, bootstrap], cwd=ROOT) for _ in range(4)]
        assert [process.wait(60) for process in asking] == [0, 0, 0, 0]
    finally:
        fresh.close()
