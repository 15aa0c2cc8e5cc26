"""Registers: small compacted topics (senders, facilities, keys) held whole in memory by whoever needs them."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from pydantic import BaseModel, ValidationError

from services.runtime import kafka, logs, metrics, wire
from services.runtime.settings import Settings

M = TypeVar("M", bound=BaseModel)

ACK_TIMEOUT_S = 30.0
_RETRY_S = 1.0
_LOOK_S = 0.01
_EAGER = {"fetch.wait.max.ms": 10}
"""How long the broker may keep an answer back until there is news. By such an answer it tells that nothing is left: who begins
wants it at once (the end of a transaction is no record), who follows asks seldom (kafka.PATIENT)."""
SETTLING = {"fetch.wait.max.ms": 500}
"""How long at most a view that follows hears nothing of the end of a transaction."""

log = logs.get("register")


class RegisterView(Generic[M]):
    """A register's present records by key, kept current by a thread.

    Guarantees: after start() everything that was acknowledged before is in the view. A snapshot never changes. A record that
    cannot be read counts as removed (a key that we cannot read must not go on opening doors) and is told in the log.
    `on_change(key, record or None)` is called by the view's thread after start, once the view has it; it must be quick, and
    may be told the same again if it raised.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        model: type[M],
        on_change: Callable[[str, M | None], None] | None = None,
        waits: Mapping[str, int] = kafka.PATIENT,
    ) -> None:
        """`waits`: of the client that follows. `SETTLING` of a register that is written in transactions and whose views are to
        catch up: that nothing stands behind a transaction's end is told by the next answer without records."""
        self._settings = settings
        self._topic = topic
        self._model = model
        self._on_change = on_change
        self._waits = waits
        self._records: Mapping[str, M] = MappingProxyType({})
        self._position = 0
        self._trouble: str | None = "not started"
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read up to the end of this moment, then go on in a thread. Raises TopicMissing, KafkaException, TimeoutError."""
        end = kafka.end_offset(self._settings, self._topic, 0)
        consumer = self._consumer(_EAGER)
        try:
            # asked before it is assigned: else the client waits for half a second until it asks where the topic begins
            if kafka.partitions(consumer, self._topic) != [0]:
                raise ValueError(f"{self._topic} has several partitions; a register has one")
            consumer.assign([TopicPartition(self._topic, 0, OFFSET_BEGINNING)])
            quiet_since = time.monotonic()
            while self._position < end:
                if self._take(consumer.consume(1_000, _LOOK_S)):
                    quiet_since = time.monotonic()
                elif time.monotonic() - quiet_since > ACK_TIMEOUT_S:
                    raise TimeoutError(f"{self._topic}: nothing read for {ACK_TIMEOUT_S:.0f} s before offset {end}")
        finally:
            consumer.close()
        self._trouble = None
        self._thread = threading.Thread(target=self._follow, name=f"register-{self._topic}", daemon=True)
        self._thread.start()

    def snapshot(self) -> Mapping[str, M]:
        """All records of this moment; read-only, and never changed afterwards."""
        return self._records

    def get(self, key: str) -> M | None:
        """The record of a key."""
        return self._records.get(key)

    @property
    def topic(self) -> str:
        """The register's name."""
        return self._topic

    @property
    def position(self) -> int:
        """The next offset to be read: what lies before it is in the view."""
        return self._position

    def catch_up(self, within_s: float = ACK_TIMEOUT_S) -> None:
        """Returns when all that was acknowledged before is in the view. Raises KafkaException, TimeoutError."""
        end, until = kafka.end_offset(self._settings, self._topic, 0), time.monotonic() + within_s
        while self._position < end:
            if time.monotonic() > until:
                raise TimeoutError(f"{self._topic} was not read to its end within {within_s:.0f} s")
            time.sleep(_LOOK_S)

    def healthy(self) -> str | None:
        """None, or what is wrong."""
        return None if self._trouble is None else f"register {self._topic}: {self._trouble}"

    def close(self) -> None:
        """Stop following; the last snapshot stays readable."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(10)

    def _follow(self) -> None:
        """Reads on until closed. What goes wrong is told, by healthy() too, and then tried again with a new client: a view that
        stopped for good would make its process useless until somebody starts it anew."""
        following: Consumer | None = None
        told = self._records
        while not self._closing.is_set():
            try:
                if following is None:
                    following = self._consumer(self._waits)
                    following.assign([TopicPartition(self._topic, 0, self._position)])
                self._take(following.consume(1_000, 0.2))
                if self._on_change is not None and self._records is not told:
                    self._tell(told, self._records, self._on_change)
                told = self._records
                self._trouble = None
            except Exception as error:
                self._trouble = f"stopped following: {type(error).__name__}: {error}"
                log.exception("register.stopped", topic=self._topic)
                if following is not None:
                    following.close()
                following = None
                self._closing.wait(_RETRY_S)
        if following is not None:
            following.close()

    def _consumer(self, waits: Mapping[str, int]) -> Consumer:
        config = kafka.consumer_config(self._settings, "lovla-register", "lovla-register")
        return Consumer(config | {"enable.partition.eof": True, **waits})

    def _tell(self, before: Mapping[str, M], after: Mapping[str, M], on_change: Callable[[str, M | None], None]) -> None:
        for key in before.keys() | after.keys():
            if before.get(key) != after.get(key):
                on_change(key, after.get(key))

    def _take(self, messages: list[Message]) -> bool:
        """Apply what was read to a copy, then show the copy. Whether anything came."""
        changes: dict[str, M | None] = {}
        position = self._position
        for message in messages:
            error, offset = message.error(), message.offset()
            if error is None and offset is not None:
                key = (message.key() or b"").decode("utf-8", "replace")
                changes[key] = self._read(key, message)
                position = offset + 1
            elif error is not None and error.code() == KafkaError._PARTITION_EOF and offset is not None:
                position = max(position, offset)  # past what compaction and control records left as gaps
            elif error is not None and kafka.fatal(error):
                raise KafkaException(error)
        if changes:
            records = dict(self._records)
            for key, record in changes.items():
                if record is None:
                    records.pop(key, None)
                else:
                    records[key] = record
            self._records = MappingProxyType(records)
            metrics.gauge("lovla_register_records", topic=self._topic).set(len(records))
        if position != self._position:
            self._position = position
            metrics.gauge("lovla_register_position", topic=self._topic).set(position)
        return bool(messages)

    def _read(self, key: str, message: Message) -> M | None:
        value = message.value()
        if value is None:
            return None
        try:
            return self._model.model_validate_json(value, extra="ignore")  # of a newer writer
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)][:5]
            log.error("register.unreadable", topic=self._topic, key=key, offset=message.offset(), wrong=wrong)
            return None


def start_patiently(views: Iterable[RegisterView[Any]], stop: threading.Event) -> bool:
    """Start each as soon as Kafka and its topic are there. True once all have caught up; False, earlier, if `stop` is set."""
    for view in views:
        while not stop.is_set():
            try:
                view.start()
                break
            except (KafkaException, kafka.TopicMissing, TimeoutError) as error:
                log.warning("register.not_reachable", topic=view.topic, error=str(error))
                stop.wait(_RETRY_S)
    return not stop.is_set()


class Writer:
    """Writes a topic's records one after the other; its producer is made at the first use, since most doors never see any."""

    def __init__(self, settings: Settings, client_id: str, topic: str) -> None:
        self._settings, self._client_id, self._topic = settings, client_id, topic
        self._producer: Producer | None = None
        self._turn = threading.Lock()

    async def write(self, records: Sequence[tuple[str, BaseModel]]) -> None:
        """They are in Kafka when this returns. Raises as write_all; then some may be there."""
        await asyncio.to_thread(self._write, records)

    def _write(self, records: Sequence[tuple[str, BaseModel]]) -> None:
        with self._turn:
            if self._producer is None:
                self._producer = kafka.producer(self._settings, self._client_id)
            write_all(self._producer, self._topic, records)


def write(producer: Producer, topic: str, key: str, record: BaseModel | None, timeout_s: float = ACK_TIMEOUT_S) -> int:
    """Set a key (None: remove it) and wait until Kafka has it; returns the record's offset. Raises as write_all."""
    return write_all(producer, topic, [(key, record)], timeout_s)[0]


def write_all(
    producer: Producer, topic: str, records: Sequence[tuple[str, BaseModel | None]], timeout_s: float = ACK_TIMEOUT_S
) -> list[int]:
    """Set keys and wait once, until Kafka has all of them; returns their offsets.

    Raises TopicMissing, KafkaException if Kafka refuses it, BufferError if too much is waiting already, TimeoutError if it does
    not answer (then it may or may not have them; writing the same again does no harm).
    """
    kafka.partitions(producer, topic)  # the producer itself would wait half a minute for a topic that does not exist
    outcomes: dict[int, tuple[KafkaError | None, int | None]] = {}

    def noting(at: int) -> Callable[[KafkaError | None, Message], None]:
        return lambda error, message: outcomes.update({at: (error, message.offset())})

    for at, (key, record) in enumerate(records):
        value = None if record is None else wire.dump(record)
        headers = (
            []
            if record is None
            else wire.headers(type(record), id=hashlib.sha256(value or b"").hexdigest()[:32], source="registers")
        )
        producer.produce(topic, value, key.encode(), on_delivery=noting(at), headers=[*headers])
    until = time.monotonic() + timeout_s
    while len(outcomes) < len(records):
        if time.monotonic() > until:
            raise TimeoutError(f"Kafka did not acknowledge what was written to {topic} within {timeout_s:.0f} s")
        producer.poll(0.1)
    offsets = []
    for at in range(len(records)):
        error, offset = outcomes[at]
        if error is not None:
            raise KafkaException(error)
        assert offset is not None
        offsets.append(offset)
    return offsets
