"""Where a group stands: nothing committed is 0, and what could not be learned is an error, never a 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from services.runtime import kafka


@dataclass(frozen=True)
class Told:
    """One partition of a client's answer; the client's own class lets nobody set `error`."""

    topic: str
    partition: int
    offset: int
    error: KafkaError | None = None


class Client:
    """A consumer that answers this."""

    def __init__(self, *told: Told) -> None:
        self._told = told

    def committed(self, asked: Sequence[TopicPartition], timeout: float) -> list[Told]:
        return list(self._told)


def stands(*told: Told) -> dict[tuple[str, int], int]:
    return kafka.stands(cast(Consumer, Client(*told)), [(one.topic, one.partition) for one in told])


def test_a_partition_without_offsets_stands_at_its_beginning() -> None:
    assert stands(Told("t", 0, 7), Told("t", 1, -1001)) == {("t", 0): 7, ("t", 1): 0}
    assert stands() == {}


def test_a_partition_that_failed_is_an_error_and_no_beginning() -> None:
    """A rebuild or refold that took it for 0 would read the whole topic again, or compare with nothing."""
    failed = Told("t", 1, -1001, KafkaError(KafkaError.NOT_COORDINATOR))
    with pytest.raises(KafkaException, match="NOT_COORDINATOR"):
        stands(Told("t", 0, 7), failed)
