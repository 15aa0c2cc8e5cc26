"""What goes wrong while partitions are taken over must not leave the client's callback: it would be the end of the sink."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from services.runtime import kafka
from services.runtime.clickhouse import ClickHouse
from services.runtime.clock import ManualClock
from services.runtime.settings import Settings
from services.sink.logs import LogSink

TOPIC = "shipment.events.v1"


class Slow:
    """A consumer whose broker gives no answer at first. What leaves its callback is lost, as with the client itself."""

    def __init__(self, stop: threading.Event, answers: list[KafkaException | None]) -> None:
        self.stop, self.answers, self.escaped = stop, answers, 0

    def subscribe(self, _topics: Sequence[str], on_assign: Callable[..., None], **_: object) -> None:
        self.assign = on_assign

    def committed(self, given: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if (error := self.answers.pop(0)) is not None:
            raise error
        return given

    def consume(self, _most: int, _seconds: float) -> list[Any]:
        try:
            self.assign(self, [TopicPartition(TOPIC, 0)])
        except Exception:
            self.escaped += 1
        if not self.answers:
            self.stop.set()
        return []

    def incremental_assign(self, _positions: object) -> None: ...
    def resume(self, _positions: object) -> None: ...
    def close(self) -> None: ...


def test_a_question_about_offsets_without_an_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    monkeypatch.setattr(stop, "wait", lambda _seconds: False)
    timed_out = KafkaException(KafkaError(KafkaError._TIMED_OUT))
    consumers: list[Slow] = []
    answers: list[KafkaException | None] = [timed_out, timed_out, None]

    class Clients:
        def consumer(self, _config: object) -> Slow:
            consumers.append(Slow(stop, answers))
            return consumers[-1]

        def topic_ids(self, _settings: object, topics: Sequence[str]) -> dict[str, str]:
            return dict.fromkeys(topics, "id")

    sink = LogSink(
        Settings(kafka="127.0.0.1:1"),
        cast(ClickHouse, None),
        ManualClock(datetime(2026, 11, 22, tzinfo=UTC)),
        [TOPIC],
        clients=cast(kafka.Clients, Clients()),
    )
    sink.run(stop)
    assert [one.escaped for one in consumers] == [0, 0, 0]
