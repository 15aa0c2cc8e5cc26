"""What became of commands lately: a bounded view of `journey.changes`, for receipts.

It begins a little before the end that the topic had at start; an older outcome is in ClickHouse, not here, and its receipt
goes on saying `queued`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from pydantic import ValidationError

from schemas.journey_change_v1 import CommandJudged
from schemas.topics import JOURNEY_CHANGES
from services.runtime import kafka, logs
from services.runtime.settings import Settings

REMEMBERED = 100_000  # outcomes; some 500 bytes each
_BACK_AT_START = 20_000  # records of each partition
_log = logs.get(__name__)


class Outcomes:
    """command_id -> CommandJudged, kept current by a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: OrderedDict[str, CommandJudged] = OrderedDict()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outcomes", daemon=True)

    def start(self) -> None:
        """Start following the topic."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(10)

    def get(self, command_id: str) -> CommandJudged | None:
        """The outcome of a command, None if it is not known here."""
        return self._known.get(command_id)

    def take(self, value: bytes | None) -> None:
        """Remember the outcome in this record, if it is one."""
        if value is None or b'"command_id"' not in value:  # most changes are no outcomes: not worth parsing
            return
        try:
            outcome = CommandJudged.model_validate_json(value)
        except ValidationError:
            return
        self._known[outcome.command_id] = outcome
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _run(self) -> None:
        consumer = kafka.consumer(self._settings, "lovla-outcomes", "ingest.outcomes")
        try:
            self._assign(consumer)
            while not self._stop.is_set():
                for message in consumer.consume(500, timeout=0.5):
                    self._take_message(message)
        finally:
            consumer.close()

    def _assign(self, consumer: Consumer) -> None:
        while not self._stop.is_set():
            try:
                places = []
                for partition in range(JOURNEY_CHANGES.partitions):
                    place = TopicPartition(JOURNEY_CHANGES.name, partition)
                    low, high = consumer.get_watermark_offsets(place, timeout=5)
                    places.append(TopicPartition(JOURNEY_CHANGES.name, partition, max(low, high - _BACK_AT_START)))
                consumer.assign(places)
                return
            except KafkaException as error:
                _log.warning("outcomes.not_reachable", error=str(error))
                self._stop.wait(1)

    def _take_message(self, message: Message) -> None:
        if message.error() is None:
            value = message.value()
            self.take(value if isinstance(value, bytes) else None)
