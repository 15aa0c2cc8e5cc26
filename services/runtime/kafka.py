"""The one place that configures Kafka clients: durable producers, read-committed consumers, errors into the log.

All settings that delivery rests on are explicit (librdkafka's own defaults are not ours: idempotence off, another
partitioner than Java's, automatic commits).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from services.runtime import logs, metrics
from services.runtime.bounded import BoundedCalls
from services.runtime.settings import Settings

MAX_MESSAGE_BYTES = 6 * 1024 * 1024 + 65_536
"""A raw message is at most 5 MiB as sent, with headers; the topic allows 6 MiB."""

TRANSACTION_TIMEOUT_MS = 10_000
"""How long an orphaned transaction may hold up readers of committed records."""

REQUEST_TIMEOUT_S = 10.0

PATIENT = {"fetch.wait.max.ms": 5_000}
"""Of a consumer that follows what it was once given, and hears something now and then: the broker answers at once when there is
news, and every question in between costs both. Not of one that seeks, or is given more: what is new waits for the answer."""

COORDINATOR_MOVES = frozenset(
    {KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS}
)
"""What a broker says of a group that it does not know, or not yet: to be asked again."""

log = logs.get("kafka")

T = TypeVar("T")


class Calls(Protocol):
    """Makes a call that may never return; see bounded.py."""

    def __call__(self, call: Callable[[], T], timeout_s: float) -> T: ...
    def close(self) -> None: ...


class Clients(Protocol):
    """Where the loop, restore and the sink get their Kafka clients from, and the clock of their time-outs: `LIBRDKAFKA`, or a
    model of the broker that runs the same code against crashes at will (tests/simulation)."""

    def producer(self, config: dict[str, Any]) -> Producer: ...
    def consumer(self, config: dict[str, Any]) -> Consumer: ...
    def calls(self, name: str) -> Calls: ...
    def topic_ids(self, settings: Settings, topics: Sequence[str]) -> dict[str, str]: ...
    def monotonic(self) -> float: ...


class Librdkafka:
    """The real clients."""

    def producer(self, config: dict[str, Any]) -> Producer:
        return Producer(config)

    def consumer(self, config: dict[str, Any]) -> Consumer:
        return Consumer(config)

    def calls(self, name: str) -> Calls:
        return BoundedCalls(name)

    def topic_ids(self, settings: Settings, topics: Sequence[str]) -> dict[str, str]:
        """A topic's own id: one made anew under the same name has another. Raises KafkaException."""
        with admin(settings.kafka) as client:
            futures = client.describe_topics(TopicCollection(list(topics)), request_timeout=REQUEST_TIMEOUT_S)
            return {topic: str(future.result().topic_id) for topic, future in futures.items()}

    def monotonic(self) -> float:
        return time.monotonic()


LIBRDKAFKA: Clients = Librdkafka()


class TopicMissing(Exception):
    """A topic is not declared on the broker."""


def _common(settings: Settings, client_id: str) -> dict[str, Any]:
    def error_cb(error: KafkaError) -> None:
        metrics.counter("lovla_kafka_errors_total", client=client_id, error=error.name()).inc()
        log.warning("kafka.error", client=client_id, error=error.name(), text=error.str(), fatal=error.fatal())

    return {
        "bootstrap.servers": settings.kafka,
        "client.id": client_id,
        "error_cb": error_cb,
        "logger": logging.getLogger("librdkafka"),
        "log.connection.close": False,
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 2_000,  # a broker that is back is found within seconds
        "topic.metadata.refresh.interval.ms": 60_000,
    }


def producer_config(settings: Settings, client_id: str) -> dict[str, Any]:
    """For records that must not be lost: acknowledged, in order, without repeats, and with a bounded queue."""
    return _common(settings, client_id) | {
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",  # as Java and aiokafka: one key, one partition, whoever writes
        "compression.type": "lz4",
        "linger.ms": 5,
        "delivery.timeout.ms": 120_000,
        "queue.buffering.max.kbytes": 65_536,  # then BufferError: the caller sheds load
        "queue.buffering.max.messages": 200_000,
        "message.max.bytes": MAX_MESSAGE_BYTES,
    }


def transactional_config(settings: Settings, client_id: str, transactional_id: str) -> dict[str, Any]:
    """For the loop. A record cannot outlive its transaction, so both have the same time."""
    return producer_config(settings, client_id) | {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
        "delivery.timeout.ms": TRANSACTION_TIMEOUT_MS,
        "topic.metadata.propagation.max.ms": 4_000,  # a missing topic is told before the transaction's time is over
    }


def consumer_config(settings: Settings, client_id: str, group: str) -> dict[str, Any]:
    """Committed records only, from the earliest, committed by hand. For assign() or for subscribe(); the latter adds
    `group_config`. `group` is always needed by the client, and means nothing to one that assigns and never commits."""
    return _common(settings, client_id) | {
        "group.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",  # latest would skip in silence after lost offsets
        "allow.auto.create.topics": False,
        "queued.max.messages.kbytes": 32_768,  # prefetched, per consumer
        # The broker answers at once when something is committed, and holds the question as long as nothing is: with 100 ms here
        # the questions of an idle stack kept a tenth of a core busy. A partition that is added or sought waits as long at most.
        "fetch.wait.max.ms": 500,
    }


def group_config(settings: Settings) -> dict[str, Any]:
    """How a subscribing consumer shares partitions with others. In the `consumer` protocol the broker sets the times."""
    if settings.group_protocol == "consumer":
        return {"group.protocol": "consumer", "max.poll.interval.ms": 300_000}
    return {
        "group.protocol": "classic",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 2_000,
        "max.poll.interval.ms": 300_000,
    }


def producer(settings: Settings, client_id: str) -> Producer:
    """An idempotent producer; `produce(..., on_delivery=)` tells when Kafka has the record."""
    return Producer(producer_config(settings, client_id))


def consumer(settings: Settings, client_id: str, group: str) -> Consumer:
    """A consumer for assign(): no group membership."""
    return Consumer(consumer_config(settings, client_id, group))


@contextmanager
def admin(bootstrap: str, timeout_s: float = REQUEST_TIMEOUT_S) -> Iterator[AdminClient]:
    """For declaring topics and asking about groups: one client an act, ended with the block; nothing is asked of it later.

    It must be ended here, by us. Left to the garbage collector it may end in its own thread, which an answer has reached just
    then, and librdkafka aborts the process (confluent-kafka-python 2129; seen). One that is kept for long remembers brokers and
    layouts of before a restart. And one with callbacks, its broker gone, waits for ever to end: so it has none.
    """
    with AdminClient(
        {
            "bootstrap.servers": bootstrap,
            "client.id": "lovla-admin",
            "log_level": 0,
            "socket.timeout.ms": int(timeout_s * 1000),
            "reconnect.backoff.max.ms": 1_000,
        }
    ) as client:
        yield client


def committed(
    bootstrap: str, group: str, places: Collection[tuple[str, int]], timeout_s: float = REQUEST_TIMEOUT_S
) -> dict[tuple[str, int], int]:
    """Where a group stands: of these (topic, partition) the offsets that it has committed; without those where it has not.
    Offsets of a transaction that is still open do not count yet. Raises KafkaException.

    Asked as a member would that never joins. The admin client's own way (list_consumer_group_offsets) ends the whole process by
    a segmentation fault when a broker answers that it is not, or not yet, the group's coordinator (librdkafka 5040; seen).

    A broker that has just come back, or was starved for some seconds, refuses as long as it does not know the group; the client
    gives up at once. It is asked again until the time is over: a worker that begins just then would end of it (seen).
    """
    if not places:
        return {}
    client = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "client.id": "lovla-committed",
            "group.id": group,
            "isolation.level": "read_uncommitted",  # else it waits for open transactions to end
            "enable.auto.commit": False,
            "log_level": 0,
            "reconnect.backoff.max.ms": 1_000,
        }
    )
    until = time.monotonic() + timeout_s
    try:
        while True:
            try:
                left_s = max(0.1, until - time.monotonic())
                return offsets_of(client.committed([TopicPartition(*place) for place in places], timeout=left_s))
            except KafkaException as exception:
                if error_of(exception).code() not in COORDINATOR_MOVES or time.monotonic() > until:
                    raise
                time.sleep(0.1)
    finally:
        client.close()


def offsets_of(found: Iterable[TopicPartition]) -> dict[tuple[str, int], int]:
    """A client's answer to `committed`, without the partitions of which nothing was. Raises KafkaException where one failed."""
    offsets = {}
    for part in found:
        if part.error is not None:
            raise KafkaException(part.error)
        if part.offset >= 0:
            offsets[part.topic, part.partition] = part.offset
    return offsets


def stands(
    client: Consumer, places: Sequence[tuple[str, int]], timeout_s: float = REQUEST_TIMEOUT_S
) -> dict[tuple[str, int], int]:
    """Where a client's group stands at each of these (topic, partition), once no transaction is pending there; 0 where it has
    committed nothing. A partition of which nothing could be learned is no 0: raises KafkaException."""
    if not places:
        return {}
    found = client.committed([TopicPartition(*place) for place in places], timeout=timeout_s)
    return dict.fromkeys(places, 0) | offsets_of(found)


def partitions(client: Consumer | Producer, topic: str, timeout_s: float = REQUEST_TIMEOUT_S) -> list[int]:
    """The topic's partitions. Raises TopicMissing, or KafkaException if no broker answers in time."""
    found = client.list_topics(topic, timeout=timeout_s).topics[topic]
    if found.error is not None or not found.partitions:
        raise TopicMissing(f"topic {topic} does not exist on the broker; run `lovla topics`")
    return sorted(found.partitions)


def end_offset(
    settings: Settings, topic: str, partition: int, timeout_s: float = REQUEST_TIMEOUT_S, clients: Clients = LIBRDKAFKA
) -> int:
    """The high watermark: the end of everything written, committed or not. See `end_offsets`."""
    return end_offsets(settings, [(topic, partition)], timeout_s, clients)[topic, partition]


def end_offsets(
    settings: Settings,
    places: Collection[tuple[str, int]],
    timeout_s: float = REQUEST_TIMEOUT_S,
    clients: Clients = LIBRDKAFKA,
) -> dict[tuple[str, int], int]:
    """The high watermark of each (topic, partition); by one client for all, which costs more than what it asks.

    A client that reads committed is told the last *stable* offset instead, which lies before the records of a transaction that
    is not yet settled: who stops there loses the last batch (KAFKA-10167). So this asks with a client that reads all.
    Raises TopicMissing, KafkaException.
    """
    if not places:
        return {}
    config = consumer_config(settings, "lovla-watermark", "lovla-watermark")
    client = clients.consumer(config | {"isolation.level": "read_uncommitted"})
    until = clients.monotonic() + timeout_s
    ends: dict[tuple[str, int], int] = {}
    try:
        for topic in sorted({topic for topic, _ in places}):
            partitions(client, topic, timeout_s)
        for place in places:
            while place not in ends:
                try:
                    ends[place] = client.get_watermark_offsets(TopicPartition(*place), timeout=timeout_s)[1]
                except KafkaException:  # a topic just made, a broker just back: no leader yet
                    if clients.monotonic() > until:
                        raise
                    time.sleep(0.1)
    finally:
        client.close()
    return ends


_NOT_BEGUN = "Failed to fetch committed offset"


def fatal(error: KafkaError) -> bool:
    """Whether the client that says so is of no more use: from then on it gives nothing, or not all that it should.

    A consumer's word of it in a message bears the code, but not the flag (seen with librdkafka 2.16: a group that its restarted
    coordinator had forgotten). And a member that is refused the committed offsets of what it was given never asks again: it
    reads nothing of it, is taken for alive, and cannot give it up either (librdkafka 5586; seen, docs/faults.md). It says so
    once, in words alone.
    """
    return error.fatal() or error.code() == KafkaError._FATAL or error.str().startswith(_NOT_BEGUN)


def error_of(exception: KafkaException) -> KafkaError:
    """The client's own error inside its exception."""
    error = exception.args[0]
    assert isinstance(error, KafkaError)
    return error
