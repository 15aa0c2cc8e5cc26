"""What became of commands lately: a bounded view of `journey.changes`, for receipts.

It begins a little before the end that the topic had at start, and forgets the oldest; what it has not seen is in ClickHouse.
`complete_since` says from when on nothing is missing here, so that a receipt need not call `queued` what was judged long ago.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import UTC, datetime

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from pydantic import ValidationError

from schemas.journey_change_v1 import CommandJudged
from schemas.topics import JOURNEY_CHANGES
from services.runtime import kafka, logs
from services.runtime.settings import Settings

REMEMBERED = 100_000  # outcomes; some 500 bytes each
_BACK_AT_START = 20_000  # records of each partition
EVER = datetime(1970, 1, 1, tzinfo=UTC)
_log = logs.get(__name__)


class Outcomes:
    """command_id -> CommandJudged, kept current by a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: OrderedDict[str, tuple[CommandJudged, datetime]] = OrderedDict()
        self._complete_since = EVER
        # partitions of which it is not known yet where their view begins
        self._awaited = set(range(JOURNEY_CHANGES.partitions))
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
        known = self._known.get(command_id)
        return known[0] if known else None

    @property
    def complete_since(self) -> datetime | None:
        """Outcomes of commands that were received at or after this are all here, once they are judged; None: not known yet."""
        return None if self._awaited else self._complete_since

    def begins(self, partition: int, at: datetime) -> None:
        """A record of the partition was seen, written at `at`; the first one in view is where what is known begins."""
        if partition in self._awaited:
            self._awaited.discard(partition)
            self._forgot(at)

    def take(self, value: bytes | None, at: datetime) -> None:
        """Remember the outcome in this record, written at `at`, if it is one."""
        if value is None or b'"command_id"' not in value:  # most changes are no outcomes: not worth parsing
            return
        try:
            outcome = CommandJudged.model_validate_json(value, extra="ignore")
        except ValidationError:
            return
        self._known[outcome.command_id] = outcome, at
        while len(self._known) > REMEMBERED:
            _, (_, forgotten_at) = self._known.popitem(last=False)
            self._forgot(forgotten_at)

    def _forgot(self, at: datetime) -> None:
        self._complete_since = max(self._complete_since, at)

    def _run(self) -> None:
        config = kafka.consumer_config(self._settings, "lovla-outcomes", "ingest.outcomes")
        consumer = Consumer(config | kafka.PATIENT)
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
                    if high - _BACK_AT_START <= low:
                        self._awaited.discard(partition)  # all of it is in view
                    places.append(TopicPartition(JOURNEY_CHANGES.name, partition, max(low, high - _BACK_AT_START)))
                consumer.assign(places)
                return
            except KafkaException as error:
                _log.warning("outcomes.not_reachable", error=str(error))
                self._stop.wait(1)

    def _take_message(self, message: Message) -> None:
        if message.error() is None:
            at = datetime.fromtimestamp(max(message.timestamp()[1], 0) / 1000, UTC)
            self.begins(message.partition() or 0, at)
            value = message.value()
            self.take(value if isinstance(value, bytes) else None, at)
