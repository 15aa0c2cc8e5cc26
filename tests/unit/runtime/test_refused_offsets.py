"""A member that is refused the committed offsets of what it was given reads nothing of it and says so once: the real client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from services.runtime import kafka
from services.runtime.hold import GroupHold
from services.runtime.lease import ShardLease
from services.runtime.loop import GroupSource, Limits, Output, Record, TransactionalLoop
from services.runtime.settings import Settings
from tests.mock_kafka import OFFSET_FETCH, MockKafka, mock_kafka

TOPIC = "t"
PARTITIONS = 2
RECORDS = 10


@pytest.fixture
def broker() -> Iterator[MockKafka]:
    with mock_kafka() as cluster:
        cluster.create(TOPIC, PARTITIONS)
        cluster.create("out", 1)
        yield cluster


@pytest.fixture
def settings(broker: MockKafka) -> Settings:
    settings = Settings(kafka=broker.bootstrap, group_protocol="classic")
    producer = kafka.producer(settings, "test")
    for number in range(RECORDS):
        producer.produce(TOPIC, str(number).encode(), partition=number % PARTITIONS)
    assert producer.flush(20) == 0
    return settings


def until(what: str, true: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"


def test_the_client_says_so_in_words_that_we_know_and_never_asks_again(broker: MockKafka, settings: Settings) -> None:
    """What kafka.fatal rests on. Should a release ask again by itself, this fails, and what we do is no longer needed."""
    broker.refuse(OFFSET_FETCH, KafkaError.NOT_COORDINATOR)
    client = Consumer(kafka.consumer_config(settings, "test", "g") | kafka.group_config(settings))
    client.subscribe([TOPIC])
    told: list[KafkaError] = []
    read = 0

    def listen() -> bool:
        """Whether it was told anything."""
        nonlocal read
        for message in client.consume(100, 0.1):
            error = message.error()
            if error is None:
                read += 1
            else:
                told.append(error)
        return bool(told)

    try:
        until("it was refused", listen, 20)
        assert all(kafka.fatal(error) and not error.fatal() for error in told), told
        assert len(client.assignment()) == PARTITIONS
        end = time.monotonic() + 3
        while time.monotonic() < end:
            listen()
        assert read == 0
    finally:
        client.close()


class Noted:
    """A stage that notes what was committed."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self._ahead: list[bytes] = []

    def process(self, batch: Sequence[Record]) -> Sequence[Output]:
        self._ahead = [record.value or b"" for record in batch]
        return [Output("out", None, value) for value in self._ahead]

    def committed(self) -> None:
        self.values += self._ahead

    def aborted(self) -> None:
        self._ahead = []


def test_a_loop_whose_member_was_refused_joins_again_and_reads_all_of_it_once(broker: MockKafka, settings: Settings) -> None:
    stage = Noted()
    source = GroupSource(settings, [TOPIC], "g", Limits(idle_s=0.1))
    loop = TransactionalLoop(settings, name="test", transactional_id="test", source=source, stage=stage)
    stop = threading.Event()
    at_work = threading.Thread(target=loop.run, args=(stop,), daemon=True)
    broker.refuse(OFFSET_FETCH, KafkaError.NOT_COORDINATOR, KafkaError.NOT_COORDINATOR)
    loop.start(stop)
    at_work.start()
    try:
        until("all was read", lambda: stop.wait(0.05) or len(stage.values) >= RECORDS, 30)
    finally:
        stop.set()
        at_work.join(20)
        loop.close()
    assert sorted(stage.values) == sorted(str(number).encode() for number in range(RECORDS))


def test_who_reads_nothing_does_not_ask_where_to_begin(broker: MockKafka, settings: Settings) -> None:
    """A lease, and the hold of a whole group: refused, they could not give up what they have."""
    broker.refuse(OFFSET_FETCH, KafkaError.NOT_COORDINATOR)
    stop = threading.Event()
    threading.Timer(20, stop.set).start()
    lease = ShardLease(settings, TOPIC, "g")
    try:
        assert lease.acquire(stop) == 0
    finally:
        lease.close()
    with GroupHold(settings, "h", [TOPIC], within_s=20) as hold:
        hold.freeze()
    reader = kafka.consumer(settings, "test", "g")
    try:
        with pytest.raises(Exception, match="NOT_COORDINATOR"):  # it is still there to be given, so nobody has asked before us
            kafka.offsets_of(reader.committed([TopicPartition(TOPIC, 0)], timeout=10))
    finally:
        reader.close()


def test_who_only_asks_where_a_group_stands_asks_again_while_its_coordinator_moves(
    broker: MockKafka, settings: Settings
) -> None:
    member = kafka.consumer(settings, "test", "g")
    try:
        member.commit(offsets=[TopicPartition(TOPIC, 0, 3)], asynchronous=False)
    finally:
        member.close()
    broker.refuse(OFFSET_FETCH, *[KafkaError.NOT_COORDINATOR] * 3, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
    assert kafka.committed(settings.kafka, "g", [(TOPIC, 0), (TOPIC, 1)], 20) == {(TOPIC, 0): 3}
    broker.refuse(OFFSET_FETCH, *[KafkaError.NOT_COORDINATOR] * 1_000)
    with pytest.raises(KafkaException, match=r"NOT_COORDINATOR|_TIMED_OUT"):
        kafka.committed(settings.kafka, "g", [(TOPIC, 0)], 1)
