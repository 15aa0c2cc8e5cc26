"""The audit's questions to a broker that has just come back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from confluent_kafka import KafkaError, KafkaException

from services.runtime import kafka
from services.runtime.clock import ManualClock
from services.runtime.settings import Settings
from services.sink.audit import Positions

PLACE = ("shipment.events", 0)


def positions() -> Positions:
    return Positions(Settings(kafka="127.0.0.1:1"), ManualClock(datetime(2020, 4, 12, tzinfo=UTC)))


@pytest.mark.parametrize(
    "code", [KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.NOT_COORDINATOR]
)
def test_it_is_asked_again_until_it_knows_what_it_leads(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[object] = [KafkaException(KafkaError(code)), {PLACE: 7}]

    def committed(*_: object) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(kafka, "committed", committed)
    assert positions().committed("group", [PLACE]) == {PLACE: 7}


def test_what_no_waiting_mends_is_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def committed(*_: object) -> object:
        asked.append(_)
        raise KafkaException(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))

    monkeypatch.setattr(kafka, "committed", committed)
    with pytest.raises(KafkaException):
        positions().committed("group", [PLACE])
    assert len(asked) == 1
