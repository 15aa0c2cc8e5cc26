"""All partitions of a consumer group at once: for work during which no member may do anything, as an exchange of tables."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType

from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from services.runtime import kafka
from services.runtime.settings import Settings


class Busy(Exception):
    """Another member is at work in the group."""


class GroupHold:
    """Joins `group` and waits until it has every partition of `topics`: then the others have left, and none can begin.

    `freeze`: from then on the broker's wish to rebalance goes unanswered, which it grants for minutes: nobody gets any.
    The broker counts a member that was killed out after 45 s: a shorter `within_s` takes it for one at work.
    """

    def __init__(self, settings: Settings, group: str, topics: Sequence[str], within_s: float) -> None:
        self.group = group
        self._within_s = within_s
        self._mine: set[tuple[str, int]] = set()
        self._frozen = threading.Event()
        self._consumer = Consumer(kafka.consumer_config(settings, "lovla-hold", group) | kafka.group_config(settings))
        self._all = {(topic, partition) for topic in topics for partition in kafka.partitions(self._consumer, topic)}
        self._consumer.subscribe(list(topics), on_assign=self._given, on_revoke=self._taken, on_lost=self._taken)
        self._keeper = threading.Thread(target=self._keep, name=f"hold-{group}", daemon=True)

    def __enter__(self) -> GroupHold:
        """Raises Busy."""
        until = time.monotonic() + self._within_s
        while not self.whole:
            if time.monotonic() > until:
                self._consumer.close()
                raise Busy(f"another member of {self.group} is at work")
            self._consumer.poll(0.2)
        self._keeper.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._frozen.set()
        self._keeper.join()
        self._consumer.close()

    @property
    def whole(self) -> bool:
        """Whether every partition is ours."""
        return self._mine == self._all

    def freeze(self) -> None:
        """Raises Busy if a partition was taken from us meanwhile."""
        self._frozen.set()
        self._keeper.join()
        if not self.whole:
            raise Busy(f"another member of {self.group} began in the middle")

    def _keep(self) -> None:
        while not self._frozen.is_set():
            self._consumer.poll(0.2)

    def _given(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        # Nothing is read. Without a place to begin at, the client would first ask for one, and might be refused (kafka.fatal)
        consumer.incremental_assign([TopicPartition(part.topic, part.partition, OFFSET_END) for part in parts])
        consumer.pause(parts)
        self._mine |= {(part.topic, part.partition) for part in parts}

    def _taken(self, _consumer: Consumer, parts: list[TopicPartition]) -> None:
        self._mine -= {(part.topic, part.partition) for part in parts}
