"""A register's view: whole at start, current afterwards, closed to what it cannot read."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.cimpl import NewTopic

from schemas.registers_v1 import Sender
from services.runtime import kafka, register, wire
from services.runtime.kafka import TopicMissing
from services.runtime.register import SETTLING, RegisterView, write
from services.runtime.settings import Settings
from tests import topics
from tests.integration.runtime.bench import wait_until

MAERSK = Sender(code="MAEU", kind="ocean_carrier", name="Maersk", scac="MAEU")
LUFTHANSA = Sender(code="LH", kind="airline", name="Lufthansa Cargo")


@pytest.fixture
def topic(kafka_settings: Settings) -> str:
    name = f"r{uuid.uuid4().hex[:10]}"
    topics.create(kafka_settings.kafka, NewTopic(name, 1, 1, config={"cleanup.policy": "compact"}))
    return name


@pytest.fixture
def changes() -> list[tuple[str, Sender | None]]:
    return []


@pytest.fixture
def view(kafka_settings: Settings, topic: str, changes: list[tuple[str, Sender | None]]) -> Iterator[RegisterView[Sender]]:
    made = RegisterView(kafka_settings, topic, Sender, lambda key, record: changes.append((key, record)))
    yield made
    made.close()


def test_what_was_acknowledged_before_start_is_there_after_it(
    kafka_settings: Settings, topic: str, view: RegisterView[Sender], changes: list[tuple[str, Sender | None]]
) -> None:
    producer = kafka.producer(kafka_settings, "test")
    write(producer, topic, "MAEU", MAERSK)
    write(producer, topic, "LH", LUFTHANSA)
    write(producer, topic, "LH", None)
    assert view.healthy() == f"register {topic}: not started"
    view.start()
    assert view.snapshot() == {"MAEU": MAERSK}
    assert (view.position, view.healthy(), changes) == (3, None, [])


def test_later_changes_arrive_and_an_earlier_snapshot_stays_as_it_was(
    kafka_settings: Settings, topic: str, view: RegisterView[Sender], changes: list[tuple[str, Sender | None]]
) -> None:
    view.start()
    empty = view.snapshot()
    producer = kafka.producer(kafka_settings, "test")
    offset = write(producer, topic, "LH", LUFTHANSA)
    wait_until("the view has it", lambda: view.position > offset)
    assert (view.get("LH"), view.get("MAEU"), empty) == (LUFTHANSA, None, {})
    offset = write(producer, topic, "LH", None)
    wait_until("the view has lost it", lambda: view.position > offset)
    assert view.snapshot() == {}
    wait_until("both were told", lambda: len(changes) == 2)
    assert changes == [("LH", LUFTHANSA), ("LH", None)]


def test_a_view_of_what_is_written_in_transactions_is_soon_at_their_end(kafka_settings: Settings, topic: str) -> None:
    """Two doors that act in turn wait for it (services/alerts/subscriptions.py)."""
    view = RegisterView(kafka_settings, topic, Sender, waits=SETTLING)
    view.start()
    producer = Producer(kafka.transactional_config(kafka_settings, "test", uuid.uuid4().hex))
    producer.init_transactions(30)
    try:
        for _ in range(3):
            producer.begin_transaction()
            write(producer, topic, "LH", LUFTHANSA)
            producer.commit_transaction(30)
            view.catch_up(within_s=3)
            assert view.get("LH") == LUFTHANSA
    finally:
        view.close()


def test_a_view_that_stumbles_says_so_and_follows_again(
    kafka_settings: Settings, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "_RETRY_S", 0.3)
    told: list[str] = []

    def stumbling(key: str, record: Sender | None) -> None:
        told.append(key)
        if len(told) == 1:
            raise ValueError("what nobody thought of")

    view = RegisterView(kafka_settings, topic, Sender, stumbling)
    view.start()
    try:
        write(kafka.producer(kafka_settings, "test"), topic, "LH", LUFTHANSA)
        stopped = f"register {topic}: stopped following: ValueError: what nobody thought of"
        wait_until("it has said so", lambda: view.healthy() == stopped)
        wait_until("it is well again", lambda: view.healthy() is None)
        assert (view.get("LH"), told) == (LUFTHANSA, ["LH", "LH"])
        offset = write(kafka.producer(kafka_settings, "test"), topic, "MAEU", MAERSK)
        wait_until("it follows", lambda: view.position > offset)
    finally:
        view.close()


def test_a_record_that_cannot_be_read_counts_as_removed(
    kafka_settings: Settings, topic: str, view: RegisterView[Sender]
) -> None:
    producer = kafka.producer(kafka_settings, "test")
    write(producer, topic, "MAEU", MAERSK)
    producer.produce(topic, b'{"code": "MAEU", "kind": "pirate"}', b"MAEU")
    producer.flush(30)
    view.start()
    assert view.snapshot() == {}


def test_a_register_that_does_not_exist_is_named(kafka_settings: Settings) -> None:
    with pytest.raises(TopicMissing, match="no-such-register"):
        RegisterView(kafka_settings, "no-such-register", Sender).start()


def test_a_write_to_nowhere_is_an_error(kafka_settings: Settings) -> None:
    with pytest.raises(TopicMissing):
        write(kafka.producer(kafka_settings, "test"), "no-such-register", "MAEU", MAERSK)


def test_a_write_that_kafka_refuses_is_an_error(kafka_settings: Settings) -> None:
    topic = f"r{uuid.uuid4().hex[:10]}"
    topics.create(kafka_settings.kafka, NewTopic(topic, 1, 1, config={"max.message.bytes": "100"}))
    with pytest.raises(KafkaException):
        write(kafka.producer(kafka_settings, "test"), topic, "MAEU", MAERSK)


def test_a_record_written_says_what_it_is(kafka_settings: Settings, topic: str) -> None:
    write(kafka.producer(kafka_settings, "test"), topic, "MAEU", MAERSK)
    client = kafka.consumer(kafka_settings, "test", "test")
    client.assign([TopicPartition(topic, 0, 0)])
    message = None
    while message is None:
        message = client.poll(5)
    client.close()
    assert wire.header(message.headers(), "ce_type") == "lovla.sender.v1"  # type: ignore[arg-type]  # bytes, from the wire
