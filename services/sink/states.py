"""The compacted topics into tables that keep the newest of each key: read, insert, commit; a repeat is harmless.

Order: 1. a batch is read, 2. its rows are inserted, 3. its positions are committed. A crash before 3 reads the batch again and
inserts the same rows with the same versions: ReplacingMergeTree keeps one.
"""

from __future__ import annotations

import threading

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from services.runtime import kafka, logs, metrics
from services.runtime.clickhouse import ClickHouse, ClickHouseError
from services.runtime.clock import Clock
from services.runtime.settings import Settings
from services.runtime.sources import to_record
from services.sink.logs import insert_states
from services.sink.patience import Patience
from services.sink.rows import SOON_S, STATE_TOPICS, state_row

GROUP = "sink.state"

READ_AT_ONCE = 2_000
"""Journeys are up to 256 kB each: a batch must fit in memory several times."""

log = logs.get("sink.states")


class StateSink:
    """One member of the group. `run` returns when `stop` is set."""

    def __init__(
        self, settings: Settings, clickhouse: ClickHouse, clock: Clock, clients: kafka.Clients = kafka.LIBRDKAFKA
    ) -> None:
        self._clients = clients
        self._settings = settings
        self._clickhouse = clickhouse
        self._clock = clock
        self._stop = threading.Event()
        self._patience = Patience(GROUP, clock)
        self._arrived: list[Message] = []

    def healthy(self) -> str | None:
        """None, or what has been wrong for over a minute."""
        return self._patience.healthy()

    def run(self, stop: threading.Event) -> None:
        self._stop = stop
        while not stop.is_set():
            try:
                self._session()
            except KafkaException as error:
                pause_s = self._patience.failed(str(error))
                log.warning("sink.session_lost", text=str(error), attempt=self._patience.attempts)
                stop.wait(pause_s)

    def _session(self) -> None:
        consumer = self._clients.consumer(
            kafka.consumer_config(self._settings, "lovla-sink-state", GROUP) | kafka.group_config(self._settings)
        )
        consumer.subscribe(list(STATE_TOPICS), on_assign=self._assigned)
        self._arrived.clear()
        try:
            while not self._stop.is_set():
                messages = self._arrived + consumer.consume(READ_AT_ONCE, SOON_S)
                self._arrived = []
                if messages:
                    self._write(consumer, messages)
        finally:
            consumer.close()

    def _assigned(self, consumer: Consumer, given: list[TopicPartition]) -> None:
        consumer.incremental_assign(given)
        consumer.resume(given)  # one that was paused when it was taken away comes back paused
        self._patience.succeeded()

    def _write(self, consumer: Consumer, messages: list[Message]) -> None:
        positions: dict[tuple[str, int], int] = {}
        states = []
        newest_ms = 0
        for message in messages:
            error = message.error()
            if error is not None:
                if kafka.fatal(error):
                    raise KafkaException(error)
                if error.code() != KafkaError._PARTITION_EOF:
                    log.warning("sink.read_error", text=error.str())
                continue
            record = to_record(message, with_headers=False)
            positions[record.topic, record.partition] = record.offset + 1
            newest_ms = max(newest_ms, record.timestamp_ms)
            state = state_row(record)
            if state is not None:
                states.append(state)
        if not positions:
            return
        held_up = False
        while True:
            try:
                rows = insert_states(self._clickhouse, states)
                break
            except ClickHouseError as error:
                held_up = True
                pause_s = self._patience.failed(str(error))
                log.warning("sink.insert_failed", attempt=self._patience.attempts, text=str(error))
                if not self._wait(consumer, pause_s):
                    return  # stopping: not committed, so it is read again
        if held_up:
            consumer.resume(consumer.assignment())
        self._patience.succeeded()
        for table, count in rows.items():
            metrics.counter("lovla_sink_inserts_total", table=table, outcome="done").inc()
            metrics.counter("lovla_sink_rows_total", table=table).inc(count)
            age_s = self._clock.now().timestamp() - newest_ms / 1000
            metrics.histogram("lovla_sink_freshness_seconds", table=table).observe(max(age_s, 0.0))
        try:
            consumer.commit(
                offsets=[TopicPartition(topic, number, offset) for (topic, number), offset in positions.items()],
                asynchronous=False,
            )
        except KafkaException as error:
            log.warning("sink.commit_failed", text=str(error))  # whoever has the partition now inserts the same again

    def _wait(self, consumer: Consumer, seconds: float) -> bool:
        """Stay in the group without reading on; what was fetched before the pause waits its turn. False: asked to stop."""
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            if self._stop.is_set():
                return False
            consumer.pause(consumer.assignment())
            self._arrived += consumer.consume(READ_AT_ONCE, min(left, 0.2))
        return True
