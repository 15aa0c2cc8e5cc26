"""How far consumer groups are behind the ends of their topics."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # its stubs import names without exporting them

from deploy.local.errors import StackError
from services.runtime import kafka

TIMEOUT_S = 5

COUNTED = 200
"""Up to so many offsets are read to see what they hold; of more, a few markers make no difference."""

ON_ITS_WAY_S = 5.0
"""The sink gathers a block for 2 s, inserts it and commits within a second more: what came so lately is on its way."""

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Lag:
    """`behind`: committed records that the group has not dealt with.

    Offsets that only mark the end of a transaction are no records, and a group never commits past the last of them: of short
    distances the records are counted, so that 0 is 0. Of long ones (over 200 a partition) the markers are in the figure.
    """

    group: str
    topic: str
    behind: int


def lags(bootstrap: str, of: tuple[str, ...] = ("",), on_its_way_s: float = 0.0) -> list[Lag]:
    """One line a group and topic. `of`: only groups whose names begin so. `on_its_way_s`: of short distances, records that came
    so lately are not behind (of long ones they are in the figure).

    Raises:
        StackError: the broker does not answer.
    """
    try:
        with kafka.admin(bootstrap, TIMEOUT_S) as admin:
            known = [group.group_id for group in admin.list_consumer_groups(request_timeout=TIMEOUT_S).result().valid]
            groups = [group for group in known if group.startswith(of)]
            topics = admin.list_topics(timeout=TIMEOUT_S).topics
            places = [(name, number) for name, topic in topics.items() for number in topic.partitions]
            committed = {group: kafka.committed(bootstrap, group, places, TIMEOUT_S) for group in groups}
            latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # untyped in the library
            found = admin.list_offsets(
                {TopicPartition(*place): latest for stands in committed.values() for place in stands},
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=TIMEOUT_S,
            )
            ends = {(place.topic, place.partition): future.result().offset for place, future in found.items()}
    except KafkaException as error:
        raise StackError(f"Kafka at {bootstrap} does not answer: {error.args[0].str()}; see `lovla status`") from error
    stands = {(group, place): offset for group, offsets in committed.items() for place, offset in offsets.items()}
    near: dict[Place, int] = {}
    for (_, place), begin in stands.items():
        if 0 < ends[place] - begin <= COUNTED:
            near[place] = min(begin, near.get(place, begin))
    records = _records(bootstrap, near, ends, on_its_way_s)
    behind: Counter[tuple[str, str]] = Counter()
    for (group, place), begin in stands.items():
        distance = max(0, ends[place] - begin)
        if 0 < distance <= COUNTED and place in records:
            distance = sum(1 for offset in records[place] if offset >= begin)
        behind[group, place[0]] += distance
    return [Lag(group, topic, count) for (group, topic), count in sorted(behind.items())]


def _records(
    bootstrap: str, begins: Mapping[Place, int], ends: Mapping[Place, int], on_its_way_s: float
) -> dict[Place, list[int]]:
    """The offsets that hold committed records, from `begins` to `ends`, but those that came so lately (by the topic's time);
    without the places that did not answer in time."""
    found: dict[Place, list[int]] = {place: [] for place in begins}
    waiting = set(begins)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "lovla-lag",  # the client wants one; nothing is ever committed under it
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.message.max.bytes": 65_536,
            "fetch.wait.max.ms": 10,
            "log_level": 0,
        }
    )
    until = time.monotonic() + TIMEOUT_S
    try:
        consumer.assign([TopicPartition(topic, number, begin) for (topic, number), begin in begins.items()])
        while waiting and time.monotonic() < until:
            for message in consumer.consume(COUNTED, 0.1):
                topic, number, offset = message.topic(), message.partition(), message.offset()
                assert topic is not None and number is not None and offset is not None
                error = message.error()
                if error is None:
                    age_s = time.time() - message.timestamp()[1] / 1000
                    if offset < ends[topic, number] and abs(age_s) >= on_its_way_s:  # of another clock's future: behind
                        found[topic, number].append(offset)
                    offset += 1
                elif error.code() != KafkaError._PARTITION_EOF:
                    continue  # a leader that is just moving: what does not answer keeps its distance
                if offset >= ends[topic, number]:
                    waiting.discard((topic, number))
    finally:
        consumer.close()
    return {place: offsets for place, offsets in found.items() if place not in waiting}
