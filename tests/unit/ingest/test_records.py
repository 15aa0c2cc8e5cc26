"""Reading back one raw record, by a consumer that may still hold answers to an earlier question."""

from __future__ import annotations

from typing import Any, cast

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from schemas.raw_message_v1 import RawMessage
from schemas.topics import RAW_MESSAGES
from services.ingest import records
from services.ingest.raw_log import Away
from services.runtime.receipts import Position
from services.runtime.wire import raw_headers
from tests.unit.ingest.fakes import NOW

META = RawMessage(kind="message", sender="MAEU", sha256="ab" * 32)


class Answers:
    """A consumer that gives these offsets of partition 0, one a poll, then nothing; its log is 0 to 9."""

    def __init__(self, *offsets: int) -> None:
        self._offsets = list(offsets)
        self.assigned: list[TopicPartition] = []

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        return 0, 10

    def assign(self, places: list[TopicPartition]) -> None:
        self.assigned = places

    def unassign(self) -> None:
        self.assigned = []

    def poll(self, timeout: float) -> Message | None:
        if not self._offsets:
            return None
        made: Any = Message  # its stub has no constructor
        headers, at = raw_headers(META), int(NOW.timestamp() * 1000)
        message = made(
            topic=RAW_MESSAGES.name, partition=0, offset=self._offsets.pop(0), value=b"{}", headers=headers, timestamp=(1, at)
        )
        return cast(Message, message)


def read(consumer: Answers, offset: int) -> records.RawRecord | None:
    found = records._read_one(cast(Consumer, consumer), Position(0, offset))
    assert consumer.assigned == []
    return found


def test_an_answer_to_an_earlier_question_is_passed_over() -> None:
    found = read(Answers(7, 3), 3)
    assert found is not None and (found.meta.sender, found.content, found.at) == ("MAEU", b"{}", NOW)


def test_what_lies_outside_of_the_log_is_not_there() -> None:
    assert read(Answers(), 10) is None


def test_a_record_that_does_not_come_is_no_record_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_PATIENCE_S", 0.01)
    with pytest.raises(Away, match="in time"):
        read(Answers(7), 3)
