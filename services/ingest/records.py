"""Reading back what the door wrote: one raw record by its position, and how far the readers stage has come."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition

from schemas.dead_letter_v1 import DeadLetter
from schemas.letter_settled_v1 import LetterSettled
from schemas.raw_message_v1 import RawMessage
from schemas.topics import DEAD_LETTERS, LETTERS_SETTLED, RAW_MESSAGES
from services.ingest.raw_log import Away
from services.runtime import kafka
from services.runtime.receipts import Position
from services.runtime.restore import restore
from services.runtime.settings import Settings
from services.runtime.sources import Record, to_record
from services.runtime.wire import raw_meta

READERS_GROUP = "ingest.readers"
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A raw record as it stands in the log; `at` is the broker's time of it."""

    meta: RawMessage
    content: bytes
    at: datetime


class RawRecords:
    """Reads raw.messages for receipts. One reading at a time; blocking: call it in a thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._reader: Consumer | None = None
        self._group: Consumer | None = None

    def _consumer(self, group: str) -> Consumer:
        config = kafka.consumer_config(self._settings, "lovla-receipts", group)
        return Consumer(
            config | {"auto.offset.reset": "error", "queued.max.messages.kbytes": 8 * 1024, "fetch.wait.max.ms": 50}
        )

    def close(self) -> None:
        """Close the consumers."""
        with self._lock:
            for consumer in (self._reader, self._group):
                if consumer is not None:
                    consumer.close()
            self._reader = self._group = None

    def read(self, position: Position) -> RawRecord | None:
        """The record at `position`, None if there is none; raises Away if Kafka does not answer in time."""
        if not self._lock.acquire(timeout=_PATIENCE_S):
            raise Away("too many receipts are asked for at once")
        try:
            if self._reader is None:
                self._reader = self._consumer("ingest.receipts")
            return _read_one(self._reader, position)
        except KafkaException as error:
            raise Away(str(error)) from error
        finally:
            self._lock.release()

    def readers_position(self, partition: int) -> int:
        """The first offset of this raw partition that the readers stage has not finished; raises Away."""
        if not self._lock.acquire(timeout=_PATIENCE_S):
            raise Away("too many receipts are asked for at once")
        try:
            if self._group is None:
                self._group = self._consumer(READERS_GROUP)
            (committed,) = self._group.committed([TopicPartition(RAW_MESSAGES.name, partition)], timeout=_PATIENCE_S)
            if committed.error is not None:
                raise Away(str(committed.error))
            return 0 if committed.offset == OFFSET_INVALID else committed.offset
        except KafkaException as error:
            raise Away(str(error)) from error
        finally:
            self._lock.release()


def _read_one(consumer: Consumer, position: Position) -> RawRecord | None:
    place = TopicPartition(RAW_MESSAGES.name, position.partition, position.offset)
    low, high = consumer.get_watermark_offsets(place, timeout=_PATIENCE_S)
    if not low <= position.offset < high:
        return None
    consumer.assign([place])
    try:
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            message = consumer.poll(0.5)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                raise KafkaException(error)
            if message.partition() != position.partition or message.offset() != position.offset:
                continue  # left over from an earlier question: what lies between the ends of this log is there
            record = to_record(message)
            return RawRecord(
                raw_meta(record.headers), record.value or b"", datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
            )
    finally:
        consumer.unassign()
    raise Away("Kafka did not give the record in time")


def read_letters(settings: Settings) -> list[DeadLetter]:
    """All dead letters of this moment. Raises TopicMissing, KafkaException."""
    letters: list[DeadLetter] = []

    def keep(record: Record) -> None:
        if record.value is not None:
            letters.append(DeadLetter.model_validate_json(record.value, extra="ignore"))

    restore(settings, DEAD_LETTERS.name, 0, keep)
    return letters


def read_settled(settings: Settings) -> dict[str, LetterSettled]:
    """What was done last about each dead letter. Raises TopicMissing, KafkaException."""
    settled: dict[str, LetterSettled] = {}

    def keep(record: Record) -> None:
        if record.value is not None:
            said = LetterSettled.model_validate_json(record.value, extra="ignore")
            settled[said.letter_id] = said

    restore(settings, LETTERS_SETTLED.name, 0, keep)
    return settled


def readers_stand_still(settings: Settings, before: datetime) -> bool:
    """Whether a record of raw.messages that was appended before this moment is not read yet. Raises KafkaException."""
    client = kafka.consumer(settings, "lovla-unread", READERS_GROUP)
    try:
        partitions = kafka.partitions(client, RAW_MESSAGES.name)
        asked = [TopicPartition(RAW_MESSAGES.name, number, int(before.timestamp() * 1000)) for number in partitions]
        later = client.offsets_for_times(asked, timeout=kafka.REQUEST_TIMEOUT_S)
        stands = client.committed(
            [TopicPartition(RAW_MESSAGES.name, number) for number in partitions], timeout=kafka.REQUEST_TIMEOUT_S
        )
        for read, bound in zip(stands, later, strict=True):
            begin, end = client.get_watermark_offsets(read, timeout=kafka.REQUEST_TIMEOUT_S)
            if max(read.offset, begin) < (bound.offset if bound.offset >= 0 else end):
                return True
        return False
    finally:
        client.close()
