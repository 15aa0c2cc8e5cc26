"""What a source does when the client behaves in ways that a real broker shows only now and then."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition

from services.runtime.kafka import Librdkafka
from services.runtime.loop import AssignedSource, GroupSource, Limits, OwnershipLost
from services.runtime.settings import Settings

SETTINGS = Settings(kafka="127.0.0.1:1")
Step = Sequence[Message] | Callable[[], Sequence[Message]]


class ScriptedClient:
    """Stands for the Kafka client: `consume` plays the given steps, then is silent."""

    def __init__(self, steps: Sequence[Step], committed: dict[tuple[str, int], int] | None = None) -> None:
        self._steps = list(steps)
        self.offsets = committed or {}
        self.seeks: list[tuple[str, int, int]] = []
        self.assigned: list[tuple[str, int, int]] = []
        self.mine: list[tuple[str, int]] = [("t", 0), ("t", 1)]
        self.generation = 3
        self.unsettled = 0

    def consume(self, _count: int, _timeout: float) -> Sequence[Message]:
        step = self._steps.pop(0) if self._steps else []
        return step() if callable(step) else step

    def consumer_group_metadata(self) -> bytes:
        return b"CGMDv2:" + struct.pack("=i", self.generation) + b"g\x00\x00m\x00\x01"

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(*position) for position in self.mine]

    def committed(self, asked: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self.unsettled:
            self.unsettled -= 1
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return [TopicPartition(p.topic, p.partition, self.offsets.get((p.topic, p.partition), -1001)) for p in asked]

    def seek(self, to: TopicPartition) -> None:
        self.seeks.append((to.topic, to.partition, to.offset))

    def assign(self, parts: list[TopicPartition]) -> None:
        self.assigned = [(p.topic, p.partition, p.offset) for p in parts]

    def close(self) -> None:
        """Nothing: it stands in for all clients of its source."""


class Alone(Librdkafka):
    """Whoever asks for a client is given this one."""

    def __init__(self, client: ScriptedClient) -> None:
        self._client = client

    def consumer(self, _config: object) -> Any:
        return self._client


def message(partition: int, offset: int) -> Message:
    return Message(topic="t", partition=partition, offset=offset, key=b"k", value=b"v", timestamp=(1, 5))


def group(client: ScriptedClient) -> GroupSource:
    source = GroupSource(SETTINGS, ["t"], "g", Limits(chunk=10), clients=Alone(client))
    source._opened = client  # type: ignore[assignment]  # stands in for the client
    source._on_assign(client, client.assignment())  # type: ignore[arg-type]  # as above
    return source


def assigned(client: ScriptedClient) -> AssignedSource:
    source = AssignedSource(SETTINGS, ["t"], "g", Limits(chunk=10))
    source._opened = client  # type: ignore[assignment]  # stands in for the client
    source._all = [("t", 0), ("t", 1)]
    source._base = dict(client.offsets)
    return source


def taken(source: GroupSource | AssignedSource) -> list[tuple[int, int]]:
    return [(record.partition, record.offset) for record in source.collect()]


def test_a_rebalance_in_the_middle_of_a_batch_drops_it_and_what_is_still_ours_is_read_again() -> None:
    def revoked() -> list[Message]:
        client.mine = [("t", 1)]
        source._on_revoke(client, [TopicPartition("t", 0)])  # type: ignore[arg-type]  # stands in for the client
        return [message(1, 8)]

    client = ScriptedClient([[message(0, 4), message(1, 7)], revoked, [], [message(1, 7), message(1, 8)]], {("t", 1): 7})
    source = group(client)
    assert taken(source) == []
    assert taken(source) == [(1, 7), (1, 8)]
    assert client.seeks == [("t", 1, 7)]


def test_a_member_without_a_membership_is_given_nothing() -> None:
    client = ScriptedClient([[message(0, 4)], [], [message(0, 4)], []])
    client.generation = -1
    source = group(client)
    assert taken(source) == [] and source.metadata is None
    assert taken(source) == []
    assert client.seeks == [("t", 0, OFFSET_BEGINNING)]


def test_the_membership_sent_is_that_of_the_assignment_not_the_present_one() -> None:
    client = ScriptedClient([[message(0, 4)]])
    source = group(client)
    before = source.metadata
    client.generation = -1
    assert taken(source) == [(0, 4)]
    assert source.metadata == before


@pytest.mark.parametrize("make", [group, assigned])
def test_offsets_that_do_not_settle_are_asked_for_again(make: Callable[[ScriptedClient], GroupSource | AssignedSource]) -> None:
    client = ScriptedClient([[message(0, 4)], [], [message(0, 4)]], {("t", 0): 4})
    source = make(client)
    assert taken(source) == [(0, 4)]
    source.rewind({("t", 0): 4})
    client.unsettled = 2
    for _ in range(2):
        with pytest.raises(KafkaException):
            source.collect()
    assert taken(source) == [(0, 4)]
    assert ("t", 0, 4) in client.seeks + client.assigned


@pytest.mark.parametrize("make", [group, assigned])
def test_a_client_that_skips_after_going_back_or_repeats_what_is_committed_is_not_believed(
    make: Callable[[ScriptedClient], GroupSource | AssignedSource],
) -> None:
    skipping = make(ScriptedClient([[message(0, 4)], [], [message(0, 5)]], {("t", 0): 4}))
    assert taken(skipping) == [(0, 4)]
    skipping.rewind({("t", 0): 4})
    with pytest.raises(OwnershipLost, match="t-0: read offset 5, where 4"):
        skipping.collect()
    repeating = make(ScriptedClient([[message(0, 4)], [], [message(0, 4)]]))
    assert taken(repeating) == [(0, 4)]
    repeating.advanced({("t", 0): 5})
    with pytest.raises(OwnershipLost, match="committed is up to 5"):
        repeating.collect()


def test_an_owner_whose_committed_offsets_were_moved_by_another_gives_up() -> None:
    client = ScriptedClient([[message(0, 4)]], {("t", 0): 4})
    source = assigned(client)
    assert taken(source) == [(0, 4)]
    client.offsets = {("t", 0): 5}
    assert source.settle({("t", 0): 5})
    with pytest.raises(OwnershipLost, match="neither"):
        source.settle({("t", 0): 6})
    source.rewind({("t", 0): 4})
    with pytest.raises(OwnershipLost, match="another works here"):
        source.collect()


def test_what_other_members_have_done_meanwhile_is_not_expected_again() -> None:
    client = ScriptedClient([[message(0, 4)], [], [message(0, 9)]], {("t", 0): 9})
    source = group(client)
    assert taken(source) == [(0, 4)]
    source.rewind({("t", 0): 4})
    assert taken(source) == [(0, 9)]


def test_a_batch_is_bounded_by_records_and_by_bytes() -> None:
    many = [message(0, n) for n in range(10)]
    source = AssignedSource(SETTINGS, ["t"], "g", Limits(records=3, bytes=1_000, chunk=2))
    source._opened = ScriptedClient([many[:1], many[1:3], many[3:5]])  # type: ignore[assignment]  # stands in for the client
    assert len(source.collect()) == 3
    source = AssignedSource(SETTINGS, ["t"], "g", Limits(records=100, bytes=2, chunk=2))
    source._opened = ScriptedClient([many[:1], many[1:3], many[3:5]])  # type: ignore[assignment]  # stands in for the client
    assert len(source.collect()) == 3


def test_a_reading_error_is_passed_over_unless_it_is_fatal() -> None:
    def failed(fatal: bool) -> Message:
        return Message(topic="t", partition=0, error=KafkaError(KafkaError._TRANSPORT, "away", fatal=fatal))

    assert taken(assigned(ScriptedClient([[failed(False), message(0, 1)]]))) == [(0, 1)]
    with pytest.raises(KafkaException):
        assigned(ScriptedClient([[failed(True)]])).collect()
    unflagged = Message(topic="t", partition=0, error=KafkaError(KafkaError._FATAL, "The group id does not exist"))
    with pytest.raises(KafkaException):
        assigned(ScriptedClient([[unflagged]])).collect()
