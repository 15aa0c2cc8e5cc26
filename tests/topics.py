"""Topics of a test's own."""

from __future__ import annotations

import time

from confluent_kafka.admin._metadata import TopicMetadata
from confluent_kafka.cimpl import NewTopic

from services.runtime import kafka

PATIENCE_S = 30


def create(bootstrap: str, *topics: NewTopic) -> None:
    """Returns when the broker tells of them all: its word that it has made one comes before it knows of it itself, and on a
    busy machine so much sooner that the next question is answered with "no such topic"."""
    with kafka.admin(bootstrap) as admin:
        for future in admin.create_topics([*topics]).values():
            future.result(PATIENCE_S)
        until = time.monotonic() + PATIENCE_S
        missing = {topic.topic for topic in topics}
        while missing := {name for name in missing if not _is_led(admin.list_topics(name, PATIENCE_S).topics.get(name))}:
            assert time.monotonic() < until, f"the broker does not tell of {missing}"
            time.sleep(0.05)


def delete_all(bootstrap: str) -> None:
    """All but Kafka's own; returns when the broker knows of none. What groups have committed there goes with them."""
    with kafka.admin(bootstrap, PATIENCE_S) as admin:
        names = [name for name in admin.list_topics(timeout=PATIENCE_S).topics if not name.startswith("__")]
        for future in admin.delete_topics(names, operation_timeout=PATIENCE_S).values() if names else ():
            future.result(PATIENCE_S)
        until = time.monotonic() + PATIENCE_S
        while left := set(names) & admin.list_topics(timeout=PATIENCE_S).topics.keys():
            assert time.monotonic() < until, f"the broker still tells of {left}"
            time.sleep(0.05)


def _is_led(told: TopicMetadata | None) -> bool:
    """Whether each of its partitions has a leader."""
    return told is not None and told.error is None and all(part.leader >= 0 for part in told.partitions.values())
