"""`work.acts.v1`, followed by every worker, all of it, as all subscriptions are: a message may tell of any consignment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition
from pydantic import ValidationError

from schemas.topics import WORK_ACTS
from schemas.work_act_v1 import WorkAct
from services.runtime import kafka, logs
from services.runtime.restore import read_range
from services.runtime.settings import Settings
from services.runtime.sources import Record, to_record

READ_BACK: Final = timedelta(days=100)
"""A snooze lasts 90 days at most, and no escalation waits longer."""
_RETRY_S: Final = 1.0

log = logs.get("alerts.work")


class WorkFollower:
    """Gives every act to `put`: all that count at `start`, later ones from a thread of its own; a consignment's in their order.

    Guarantees: what was acknowledged before `start` was given when it returns. What cannot be read is told in the log. Kafka
    away is waited for.
    """

    def __init__(self, settings: Settings, put: Callable[[WorkAct], None]) -> None:
        self._settings, self._put = settings, put
        self._positions: dict[int, int] = {}
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._trouble: str | None = "not started"

    def start(self, now: datetime) -> None:
        """Raises TopicMissing, KafkaException, TimeoutError."""
        for partition, start in self._starts(now - READ_BACK).items():
            end = kafka.end_offset(self._settings, WORK_ACTS.name, partition)
            first = end if start is None else start
            self._positions[partition] = read_range(self._settings, WORK_ACTS.name, partition, first, end, self._take)
        self._trouble = None
        self._thread = threading.Thread(target=self._follow, name="work-acts", daemon=True)
        self._thread.start()

    def healthy(self) -> str | None:
        """None, or what is wrong."""
        return None if self._trouble is None else f"what people do: {self._trouble}"

    def close(self) -> None:
        self._closing.set()
        if self._thread is not None:
            self._thread.join(10)

    def _starts(self, since: datetime) -> dict[int, int | None]:
        """Partition -> the first offset of that time; None: nothing is so young."""
        reader = self._consumer()
        try:
            moment = int(since.timestamp() * 1000)
            asked = [TopicPartition(WORK_ACTS.name, one, moment) for one in kafka.partitions(reader, WORK_ACTS.name)]
            found = reader.offsets_for_times(asked, kafka.REQUEST_TIMEOUT_S)
        finally:
            reader.close()
        for one in found:
            if one.error is not None:  # not "nothing is so young": what people did would be left out
                raise KafkaException(one.error)
        return {one.partition: one.offset if one.offset >= 0 else None for one in found}

    def _follow(self) -> None:
        reader: Consumer | None = None
        while not self._closing.is_set():
            try:
                if reader is None:
                    reader = self._consumer()
                    reader.assign([TopicPartition(WORK_ACTS.name, *place) for place in self._positions.items()])
                for message in reader.consume(500, 0.2):
                    error = message.error()
                    if error is None:
                        record = to_record(message, with_headers=False)
                        self._take(record)
                        self._positions[record.partition] = record.offset + 1
                    elif kafka.fatal(error):
                        raise KafkaException(error)
                self._trouble = None
            except Exception as error:
                self._trouble = f"stopped following: {type(error).__name__}: {error}"
                log.exception("alerts.work_stopped")
                if reader is not None:
                    reader.close()
                reader = None
                self._closing.wait(_RETRY_S)
        if reader is not None:
            reader.close()

    def _consumer(self) -> Consumer:
        return Consumer(kafka.consumer_config(self._settings, "lovla-alerts-work", "lovla-alerts-work") | kafka.PATIENT)

    def _take(self, record: Record) -> None:
        try:
            act = WorkAct.model_validate_json(record.value or b"", extra="ignore")
        except ValidationError:
            log.error("alerts.work_unreadable", partition=record.partition, offset=record.offset)  # the sink keeps it aside
            return
        self._put(act)
