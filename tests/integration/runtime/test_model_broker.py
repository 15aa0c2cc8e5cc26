"""The simulation's model of Kafka does what Kafka does: one scenario, told by both in the same words and offsets."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.cimpl import NewTopic

from services.runtime import kafka
from services.runtime.settings import Settings
from tests import topics
from tests.integration.runtime.bench import wait_until
from tests.simulation.broker import Broker, Faults, ModelClients
from tests.simulation.processes import Process


class Alone(Process):
    """A process with nobody beside it: nothing pauses it."""

    def pause(self, doing: str) -> None:
        self.doing = doing


@dataclass
class Log:
    """One partition, by either kind of clients."""

    clients: kafka.Clients
    settings: Settings
    topic: str

    def producer(self) -> Any:
        config = kafka.transactional_config(self.settings, "conformance", f"{self.topic}-owner")
        made = self.clients.producer(config)
        made.init_transactions(30.0)
        return made

    def write(self, producer: Any, *values: bytes) -> None:
        for value in values:
            producer.produce(self.topic, value, b"key", 0)
        producer.flush(30.0)

    def read(self) -> list[tuple[int, bytes]]:
        """All committed records with their offsets, up to the end of the partition; at last (offset of the end, b"end")."""
        config = kafka.consumer_config(self.settings, "conformance", f"{self.topic}-reader")
        consumer = self.clients.consumer(config | {"enable.partition.eof": True})
        try:
            consumer.assign([TopicPartition(self.topic, 0, 0)])
            found: list[tuple[int, bytes]] = []
            while True:
                for message in consumer.consume(100, 0.2):
                    offset = message.offset()
                    assert offset is not None
                    if (error := message.error()) is not None:
                        assert error.code() == KafkaError._PARTITION_EOF
                        return [*found, (offset, b"end")]
                    found.append((offset, bytes(message.value() or b"")))
        finally:
            consumer.close()

    def high(self) -> int:
        return kafka.end_offset(self.settings, self.topic, 0, clients=self.clients)

    def committed(self) -> int:
        """The offset that the group has; waits for what is pending."""
        consumer = self.clients.consumer(kafka.consumer_config(self.settings, "conformance", f"{self.topic}-group"))
        try:
            (found,) = consumer.committed([TopicPartition(self.topic, 0)], timeout=20.0)
            return int(found.offset)
        finally:
            consumer.close()

    def metadata(self) -> Any:
        consumer = self.clients.consumer(kafka.consumer_config(self.settings, "conformance", f"{self.topic}-group"))
        try:
            return consumer.consumer_group_metadata()
        finally:
            consumer.close()


def model() -> Log:
    broker = Broker({"log": 1}, lambda: 0)
    clients = ModelClients(broker, Alone("alone", lambda _: None), Faults(), lambda _: None)
    return Log(clients, Settings(kafka="model:0"), "log")


def real(kafka_settings: Settings) -> Log:
    topic = f"conformance.{uuid.uuid4().hex[:8]}"
    topics.create(kafka_settings.kafka, NewTopic(topic, 1, 1))
    return Log(kafka.LIBRDKAFKA, kafka_settings, topic)


@pytest.fixture(params=["model", "real"])
def log(request: pytest.FixtureRequest) -> Log:
    return model() if request.param == "model" else real(request.getfixturevalue("kafka_settings"))


def becomes(what: str, ask: Callable[[], object], expected: object) -> None:
    """The markers of a commit reach the partition a little later than its answer."""
    wait_until(f"{what} is {expected}", lambda: ask() == expected)


def test_open_committed_and_aborted_transactions_are_seen_alike(log: Log) -> None:
    producer = log.producer()
    producer.begin_transaction()
    log.write(producer, b"a", b"b")
    assert log.read() == [(0, b"end")], "nothing is stable yet"
    assert log.high() == 2, "but it is in the log"
    producer.send_offsets_to_transaction([TopicPartition(log.topic, 0, 7)], log.metadata(), 30.0)
    producer.commit_transaction(30.0)
    becomes("the log", log.read, [(0, b"a"), (1, b"b"), (3, b"end")])
    assert log.committed() == 7
    producer.begin_transaction()
    log.write(producer, b"c")
    producer.abort_transaction(30.0)
    becomes("the log", log.read, [(0, b"a"), (1, b"b"), (5, b"end")])
    producer.begin_transaction()
    log.write(producer, b"d")
    producer.commit_transaction(30.0)
    becomes("the log", log.read, [(0, b"a"), (1, b"b"), (5, b"d"), (7, b"end")])


def test_a_successor_settles_what_was_open_and_fences(log: Log) -> None:
    old = log.producer()
    old.begin_transaction()
    log.write(old, b"lost")
    old.send_offsets_to_transaction([TopicPartition(log.topic, 0, 9)], log.metadata(), 30.0)
    new = log.producer()
    becomes("the log", log.read, [(2, b"end")])
    assert log.committed() < 0, "its offsets do not count"
    with pytest.raises(KafkaException) as caught:
        old.commit_transaction(30.0)
    error = kafka.error_of(caught.value)
    assert error.fatal() and error.code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED)
    new.begin_transaction()
    log.write(new, b"kept")
    new.commit_transaction(30.0)
    becomes("the log", log.read, [(2, b"kept"), (4, b"end")])
