"""How far consumer groups are behind the ends of their topics."""

from __future__ import annotations

from dataclasses import dataclass

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs import names without exporting them
    AdminClient,
    OffsetSpec,
)

from deploy.local.errors import StackError

TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Lag:
    """`behind`: records of the topic's committed end that the group has not committed; control records count too."""

    group: str
    topic: str
    behind: int


def lags(bootstrap: str) -> list[Lag]:
    """One line a group and topic.

    Raises:
        StackError: the broker does not answer.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap, "socket.timeout.ms": TIMEOUT_S * 1000, "log_level": 0})
    try:
        groups = [group.group_id for group in admin.list_consumer_groups(request_timeout=TIMEOUT_S).result().valid]
        committed: dict[str, list[TopicPartition]] = {}
        for group in groups:
            asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=TIMEOUT_S)
            committed[group] = asked[group].result().topic_partitions or []
        wanted = {TopicPartition(place.topic, place.partition) for places in committed.values() for place in places}
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # untyped in the library
        found = admin.list_offsets(
            dict.fromkeys(wanted, latest),
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=TIMEOUT_S,
        )
        ends = {(place.topic, place.partition): future.result().offset for place, future in found.items()}
    except KafkaException as error:
        raise StackError(f"Kafka at {bootstrap} does not answer: {error.args[0].str()}; see `lovla status`") from error
    behind: dict[tuple[str, str], int] = {}
    for group, places in committed.items():
        for place in places:
            rest = max(0, ends[place.topic, place.partition] - max(0, place.offset))
            behind[group, place.topic] = behind.get((group, place.topic), 0) + rest
    return [Lag(group, topic, count) for (group, topic), count in sorted(behind.items())]
