"""The only module that imports Faust: its app, set so that nothing is lost (docs/decisions/0033; tests/*/alerts/test_faust_*).

What Faust does here: the consumer group, fetching, one stream a topic, the producer. What it does not: decide what is
committed (ledger.py), keep tables (they are ours, in compacted topics: a Faust table cannot be written by a timer, and its
changelog is not acknowledged before what comes after it), windows, a web server, topics, pickle.

A handler is called with one record at a time (concurrency 1). It returns when all it gave is acknowledged, and only then is
the record finished. What it raises ends the process (exit 70) before anything is committed: the next start reads the record
again. Where it is Kafka that does not answer, the process begins again by itself (75; services/runtime/lives.py). A record that
nobody can read is the handler's own business.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import faust
from aiokafka import TopicPartition
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedVersionError,
)
from faust.exceptions import ProducerSendError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP
from yarl import URL

from services.alerts.ledger import Ledger
from services.runtime import lives, logs, metrics
from services.runtime.lives import EXIT_PASSING, Interrupted

EXIT_FAULT = 70
"""A handler raised: going on would be to lose its record."""

AWAY_AT_MOST_S = 600.0
"""How long a write waits for a broker that is away; then the process begins again, and its next life waits."""
AGAIN_S = 1.0
GATHER_S = 0.1
"""So long what comes is left to be fetched together. A fetch names all partitions, and costs broker and worker more than the
record that it brings."""
_REFUSED = (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedVersionError,
)
"""What aiokafka is told of how we are set up: it would be told again."""
log = logs.get("alerts.stream")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was read. `at`: the topic's time of it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Write:
    """A record to be written. `partition` None: by the key."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None


Handler = Callable[[Record], Awaitable[None]]


class LedgerThread(AIOKafkaConsumerThread):
    """Faust's consumer thread; its consumer reads committed records alone."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        if not hasattr(consumer, "_isolation_level"):
            raise RuntimeError("aiokafka has no _isolation_level any more: it might read aborted transactions")
        consumer._isolation_level = "read_committed"  # Faust sets it with exactly_once only
        return consumer

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Faust's own crashes the app at any error, a broker's restart too. Here it is said, and the ledger tries again."""
        ours = {tp: offset for tp, offset in offsets.items() if tp in self.assignment()}
        try:
            await self._ensure_consumer().commit({TopicPartition(tp.topic, tp.partition): at for tp, at in ours.items()})
        except KafkaError as error:
            log.warning("stream.commit_refused", error=repr(error))
            return False
        return len(ours) == len(offsets)


class LedgerConsumer(Consumer):
    """Faust's consumer, committing by our ledger."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.ledger: Ledger[TP] = Ledger()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> LedgerThread:
        return LedgerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Meanwhile aiokafka holds what it has fetched, and so asks for no more."""
        await asyncio.sleep(GATHER_S)
        async for one in super().getmany(timeout):
            yield one

    def _to_message(self, tp: TP, record: Any) -> Any:
        """The one place where every record passes before it is delivered."""
        self.ledger.added(tp, record.offset)
        return super()._to_message(tp, record)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Any:
        return (tp for tp in self.ledger.partitions() if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        self._acked.pop(tp, None)  # Faust's own lists, which nobody else would empty
        self._acked_index.pop(tp, None)
        return self.ledger.committable(tp)

    def _should_commit(self, tp: TP, offset: int) -> bool:
        return True  # the ledger has judged; Faust's own note says "committed" of a commit that failed

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """The ledger needs no gaps."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        done: bool = await super()._commit(offsets)
        if done:
            self.ledger.committed(offsets)
        else:
            log.warning("stream.commit_failed", partitions=[f"{tp.topic}-{tp.partition}" for tp in offsets])
        return done

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await super().on_partitions_revoked(revoked)  # waits for what is being handled, and commits
        self.ledger.clear()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self.ledger.clear()
        await super().on_partitions_assigned(assigned, generation_id)


class LedgerTransport(Transport):
    """Faust's transport with our consumer."""

    Consumer = LedgerConsumer


class Stream:
    """A Faust app around handlers. `assigned`, `revoked`: partitions come and go, before any record of them is handled; all are
    taken away before any are given. `session_s`: a member that says nothing for so long loses its partitions."""

    def __init__(
        self,
        name: str,
        brokers: str,
        data_dir: Path,
        handlers: Mapping[str, Handler],
        assigned: Callable[[set[tuple[str, int]]], Awaitable[None]],
        revoked: Callable[[], Awaitable[None]],
        end_process: Callable[[int], Any] = os._exit,
        commit_s: float = 1.0,
        session_s: float = 15.0,
    ) -> None:
        self._assigned, self._revoked, self._end = assigned, revoked, end_process
        self.ended_by: Interrupted | None = None
        self._data_dir = data_dir
        self._ready = asyncio.Event()
        brokers_list = [URL(f"kafka://{one.strip()}") for one in brokers.split(",")]
        self.app: Any = _new_app(name, brokers_list, data_dir, commit_s, session_s)
        self.app.on_partitions_assigned.connect(self._on_assigned, weak=False)
        self.app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        for topic, handler in handlers.items():
            self._read(topic, handler)

    # -- life -----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Returns when it runs; partitions come later. Raises Interrupted where Kafka does not answer."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self.app.loop = asyncio.get_running_loop()
        self.app.finalize()
        try:
            await self.app.start()
        except Exception as error:
            raise _ended_by("the stream does not start", error) from error

    async def stop(self) -> None:
        """Waits for what is being handled, commits, leaves the group."""
        await self.app.stop()

    @property
    def trouble(self) -> Exception | None:
        """None, or why it does not run: Interrupted, or RuntimeError for what lasts."""
        if self.app.crashed:
            return _ended_by("the stream crashed", self.app.crash_reason)
        return Interrupted("the stream has stopped") if self.app.should_stop else None

    @property
    def ready(self) -> bool:
        """Whether it has its partitions and handles their records."""
        return self._ready.is_set()

    @property
    def ledger(self) -> Ledger[TP]:
        found: Ledger[TP] = self.app.consumer.ledger
        return found

    def partitions(self) -> set[tuple[str, int]]:
        """What it owns now."""
        return {(tp.topic, tp.partition) for tp in self.app.consumer.assignment()}

    # -- writing --------------------------------------------------------------------------------------------------------

    async def write(self, writes: Sequence[Write]) -> None:
        """Returns when the broker has all of them. While it is away they are tried again, all of them: what is written twice
        says the same under the same id. Raises Interrupted after ten minutes."""
        if not writes:  # of most records
            return
        until = time.monotonic() + AWAY_AT_MOST_S
        while True:
            try:
                await self._write_once(writes)
                return
            except (KafkaError, ProducerSendError) as error:
                if time.monotonic() > until:
                    raise Interrupted(f"nothing could be written for {AWAY_AT_MOST_S:.0f} s: {error!r}") from error
                log.warning("stream.write_refused", error=repr(error), records=len(writes))
                await asyncio.sleep(AGAIN_S)

    async def _write_once(self, writes: Sequence[Write]) -> None:
        producer = self.app.producer
        acknowledged = [
            await producer.send(one.topic, one.key, one.value, one.partition, None, list(one.headers)) for one in writes
        ]
        outcomes = await asyncio.gather(*acknowledged, return_exceptions=True)  # all, so that none is left unheard
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    # -- reading --------------------------------------------------------------------------------------------------------

    def _read(self, name: str, handler: Handler) -> None:
        topic = self.app.topic(name, value_type=bytes, key_type=bytes, value_serializer="raw", key_serializer="raw")

        async def agent(stream: Any) -> None:
            async for event in stream.events():
                message = event.message
                record = Record(
                    message.topic,
                    message.partition,
                    message.offset,
                    message.key,
                    message.value,
                    _EPOCH + timedelta(seconds=message.timestamp or 0),
                )
                await self._guarded(handler, record)
                self.app.consumer.ledger.finished(message.tp, message.offset)

        agent.__name__ = name.replace(".", "_")
        self.app.agent(topic, name=agent.__name__, concurrency=1)(agent)

    async def _guarded(self, handler: Handler, record: Record) -> None:
        """Faust acknowledges a message whose handler raised and goes on with the next: so no handler may raise."""
        await self._ready.wait()
        try:
            await handler(record)
        except Exception as error:
            log.exception("stream.fault", topic=record.topic, partition=record.partition, offset=record.offset)
            if not lives.passing(error):
                metrics.counter("lovla_alerts_faults_total").inc()
            self._end_by(error)
            raise

    async def _on_assigned(self, _app: Any, assigned: set[TP], **_: Any) -> None:
        try:
            await self._assigned({(tp.topic, tp.partition) for tp in assigned})
        except Exception as error:
            log.exception("stream.restore_failed")
            self._end_by(error)
            raise
        self._ready.set()

    def _end_by(self, error: Exception) -> None:
        self.ended_by = Interrupted(f"{type(error).__name__}: {error}", type(error).__name__)
        self._end(EXIT_PASSING if lives.passing(error) else EXIT_FAULT)

    async def _on_revoked(self, _app: Any, revoked: set[TP], **_: Any) -> None:
        self._ready.clear()
        await self._revoked()


def _ended_by(what: str, reason: BaseException | None) -> Exception:
    """What Faust could not go on after: connections and coordinators come again, whatever else it is does not."""
    passes = isinstance(reason, KafkaError | ProducerSendError | ConnectionError | TimeoutError | socket.gaierror)
    passes = passes and not isinstance(reason, _REFUSED)
    return (Interrupted if passes else RuntimeError)(f"{what}: {reason!r}")


def _new_app(name: str, brokers: list[URL], data_dir: Path, commit_s: float, session_s: float) -> Any:
    app: Any = faust.App(
        name,
        broker=brokers,
        datadir=str(data_dir),
        store="memory://",
        processing_guarantee="at_least_once",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_linger=0.0,
        stream_wait_empty=True,
        stream_buffer_maxsize=256,
        broker_max_poll_records=500,
        broker_commit_interval=commit_s,
        broker_session_timeout=session_s,
        broker_heartbeat_interval=session_s / 5,
        broker_request_timeout=session_s * 2,
        value_serializer="raw",
        key_serializer="raw",
        autodiscover=False,
    )
    app._new_transport = lambda: LedgerTransport(brokers, app)
    return app
