"""Which shard of the tracker this process is: whoever holds partition k of a small topic in a consumer group is shard k.

The lease only says who should work; that two can never both write is the work of transactional.id (services.runtime.loop).
"""

from __future__ import annotations

import threading

from confluent_kafka import OFFSET_END, Consumer, KafkaException, TopicPartition

from services.runtime import kafka, logs, metrics
from services.runtime.settings import Settings

LEASE_TOPIC = "tracker.shards.v1"
LEASE_GROUP = "tracker-lease"

log = logs.get("lease")


class ShardLease:
    """One attempt to own a shard. Processes beyond the number of shards wait as hot standbys.

    `lost` is set once the shard was taken away, or the group has counted us out: stop the loop, then make a new lease. A
    process given several partitions works on the lowest; the others wait for one of their own: N shards need N processes.
    """

    def __init__(self, settings: Settings, topic: str = LEASE_TOPIC, group: str = LEASE_GROUP) -> None:
        self.lost = threading.Event()
        self.shard: int | None = None
        self._topic = topic
        self._closing = threading.Event()
        self._keeper: threading.Thread | None = None
        self._given: set[int] = set()
        config = kafka.consumer_config(settings, group, group) | kafka.group_config(settings)
        self._consumer = Consumer(config | kafka.PATIENT)  # there is nothing to read
        kafka.partitions(self._consumer, topic)
        self._consumer.subscribe([topic], on_assign=self._on_assign, on_revoke=self._on_gone, on_lost=self._on_gone)

    def acquire(self, stop: threading.Event) -> int | None:
        """Wait for a shard and keep it from then on, by a thread; None if `stop` is set first."""
        while not self._given:
            if stop.is_set():
                return None
            self.poll(0.2)
        self.shard = min(self._given)
        if len(self._given) > 1:
            log.warning("lease.several", shard=self.shard, waiting=sorted(self._given - {self.shard}))
        log.info("lease.acquired", shard=self.shard)
        metrics.gauge("lovla_lease_shard", shard=str(self.shard)).set(1)
        self._keeper = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._keeper.start()
        return self.shard

    def poll(self, timeout_s: float) -> None:
        """Show the group that we live; learn what it gives and takes. acquire() and its thread call this.

        Raises KafkaException once the client is of no more use.
        """
        message = self._consumer.poll(timeout_s)
        if message is not None and (error := message.error()) is not None:
            if kafka.fatal(error):
                raise KafkaException(error)
            log.warning("lease.error", error=error.name(), text=error.str())

    def close(self) -> None:
        """Leave the group, so that a standby takes over at once."""
        self._closing.set()
        if self._keeper is not None:
            self._keeper.join(10)
        self._consumer.close()

    def _keep(self) -> None:
        try:
            while not self._closing.is_set():
                self.poll(0.2)
        except Exception:
            log.exception("lease.failed", shard=self.shard)
            self._let_go()

    def _on_assign(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        # It is empty. Without a place to begin at, the client would first ask for one, and might be refused (kafka.fatal)
        consumer.incremental_assign([TopicPartition(part.topic, part.partition, OFFSET_END) for part in parts])
        self._given |= {part.partition for part in parts}

    def _on_gone(self, _consumer: Consumer, parts: list[TopicPartition]) -> None:
        self._given -= {part.partition for part in parts}
        if self.shard is not None and self.shard not in self._given:
            self._let_go()

    def _let_go(self) -> None:
        if not self.lost.is_set():
            log.warning("lease.lost", shard=self.shard)
            metrics.gauge("lovla_lease_shard", shard=str(self.shard)).set(0)
        self.lost.set()
