"""Reading whole topics, as they are committed."""

from __future__ import annotations

from confluent_kafka import Consumer, TopicPartition

from services.runtime import kafka
from services.runtime.settings import Settings
from services.runtime.sources import Record, to_record


def read_all(settings: Settings, topic: str) -> list[Record]:
    """Every committed record of a topic, in the order of each partition."""
    consumer = Consumer(
        kafka.consumer_config(settings, "lovla-test", "lovla-test")
        | {"enable.partition.eof": True, "fetch.wait.max.ms": 10}  # the end is told by an empty fetch
    )
    try:
        partitions = kafka.partitions(consumer, topic)
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        ended: set[int] = set()
        found: list[Record] = []
        while len(ended) < len(partitions):
            for message in consumer.consume(1_000, timeout=1.0):
                if message.error() is not None:
                    ended.add(message.partition() or 0)
                else:
                    found.append(to_record(message))
        return found
    finally:
        consumer.close()
