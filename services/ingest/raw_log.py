"""The way into raw.messages: append, and know that Kafka has it before anyone is told so.

librdkafka's producer lives in a thread of its own (`poll` there runs the delivery reports); a report wakes the coroutine
that waits for it. confluent-kafka's own asyncio producer cannot carry headers.

*Guarantees*: `append` returns only after the broker acknowledged the record with all in-sync replicas. When it raises
`Away`, the record is not promised: usually it is not there; a record that was in flight when the broker went may still be,
and its repetition is harmless (equal event ids). Memory is bounded by `PENDING_BYTES` whatever happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from services.ingest.limits import MIB
from services.runtime import kafka, logs
from services.runtime.receipts import Position
from services.runtime.settings import Settings

PENDING_BYTES = 64 * MIB
DELIVERY_TIMEOUT_S = 8.0  # longer than a broker's restart takes to elect; shorter than clients wait
_POLL_S = 0.1
_PAUSE_S = 2.0
_log = logs.get(__name__)
_ANY_PARTITION = -1  # librdkafka's PARTITION_UA: by the key


class Away(Exception):
    """Kafka did not take the record; try again later."""


@dataclass(frozen=True, slots=True)
class Appended:
    """Where the record stands, and the broker's time of it (LogAppendTime)."""

    position: Position
    at: datetime


class RawLog:
    """Appends to one topic from one event loop."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._pending = 0
        self._pending_bytes = 0
        self._away = False
        self._try_again_s = 0.0
        self._producer = self._new_producer()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="raw-log", daemon=True)

    def _new_producer(self) -> Producer:
        return Producer(
            kafka.producer_config(self._settings, "lovla-door")
            | {
                "delivery.timeout.ms": int(DELIVERY_TIMEOUT_S * 1000),
                "queue.buffering.max.kbytes": 2 * PENDING_BYTES // 1024,
            }
        )

    def start(self) -> None:
        """Start the thread that serves delivery reports."""
        self._thread.start()

    def stop(self) -> None:
        """Hand over what is pending, for a few seconds at most, and end the thread."""
        self._stop.set()
        self._thread.join()
        self._producer.flush(5.0)

    @property
    def away(self) -> bool:
        """Whether the last record that was tried was not taken."""
        return self._away

    @property
    def pending_bytes(self) -> int:
        """Bytes handed in and not yet acknowledged or refused."""
        return self._pending_bytes

    def _poll(self) -> None:
        while not self._stop.is_set():
            try:
                self._producer.poll(_POLL_S)
            except (KafkaException, SystemError) as error:
                self._begin_anew(error)

    def _begin_anew(self, error: Exception) -> None:
        """A fatal error of the client (an idempotent producer that lost its place) comes as an exception out of its poll; from
        then on it takes nothing more. What waits in it is told to be undelivered, and a new one goes on."""
        _log.error("raw_log.begun_anew", error=str(error))
        lost, self._producer = self._producer, self._new_producer()
        lost.purge()
        until = time.monotonic() + _PAUSE_S
        while len(lost) and time.monotonic() < until:
            with contextlib.suppress(KafkaException, SystemError):
                lost.poll(_POLL_S)

    async def append(
        self, key: bytes, value: bytes, headers: list[tuple[str, bytes]], partition: int | None = None
    ) -> Appended:
        """Append one record; returns when it is acknowledged, raises Away if it is not in time.

        While Kafka is away one record at a time is tried, with a pause after each; the others are refused at once.
        """
        size = len(value)
        if self._pending_bytes + size > PENDING_BYTES:
            raise Away("too much waits for Kafka already")
        loop = asyncio.get_running_loop()
        if self._away and (self._pending > 0 or loop.time() < self._try_again_s):
            raise Away("Kafka does not answer")
        done: asyncio.Future[Appended] = loop.create_future()

        def settle(error: KafkaError | None, message: Message) -> None:
            self._pending -= 1
            self._pending_bytes -= size
            self._away = error is not None
            self._try_again_s = loop.time() + _PAUSE_S
            if done.done():  # the request was given up meanwhile
                return
            if error is not None:
                done.set_exception(Away(error.str()))
                return
            at = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
            done.set_result(Appended(Position(message.partition() or 0, message.offset() or 0), at))

        def delivered(error: KafkaError | None, message: Message) -> None:
            loop.call_soon_threadsafe(settle, error, message)

        self._produce(key, value, headers, _ANY_PARTITION if partition is None else partition, delivered)
        self._pending += 1
        self._pending_bytes += size
        return await done

    def _produce(
        self,
        key: bytes,
        value: bytes,
        headers: list[tuple[str, bytes]],
        partition: int,
        delivered: Callable[[KafkaError | None, Message], None],
    ) -> None:
        try:
            self._producer.produce(self._topic, value, key, partition, headers=[*headers], on_delivery=delivered)
        except BufferError as error:
            raise Away("the producer's queue is full") from error
        except KafkaException as error:
            raise Away(str(error)) from error
