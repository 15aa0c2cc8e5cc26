"""Topics of a test's own."""

from __future__ import annotations

import time

from confluent_kafka.cimpl import NewTopic

from deploy.local.topics import await_led
from services.runtime import kafka

PATIENCE_S = 30


def create(bootstrap: str, *topics: NewTopic) -> None:
    """Returns when the broker tells of them all."""
    with kafka.admin(bootstrap) as admin:
        for future in admin.create_topics([*topics]).values():
            future.result(PATIENCE_S)
        await_led({topic.topic: topic.num_partitions for topic in topics}, admin)


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
