"""How a verb writes: batches of records, each in a transaction of its own. (What runs for ever, and recovers, is loop.py.)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from services.runtime import kafka
from services.runtime.loop import Output
from services.runtime.settings import Settings

CALL_TIMEOUT_S = 10.0


class TransactionalWriter:
    """Fences whoever wrote under the same transactional.id. A failure ends the verb: run again, it goes on."""

    def __init__(self, settings: Settings, client_id: str, transactional_id: str) -> None:
        """Raises KafkaException."""
        self._producer = Producer(kafka.transactional_config(settings, client_id, transactional_id))
        self._producer.init_transactions(CALL_TIMEOUT_S)

    def write(self, outputs: Iterable[Output], offsets: Mapping[Consumer, Sequence[TopicPartition]] | None = None) -> None:
        """All of it in one transaction. `offsets`: consumer of a group -> what it commits. Raises KafkaException: then nothing
        of it counts, but where the answer to the commit was lost; the broker ends the transaction after 10 s at the latest."""
        producer = self._producer
        producer.begin_transaction()
        try:
            for output in outputs:
                partition = -1 if output.partition is None else output.partition
                while True:
                    try:
                        producer.produce(output.topic, output.value, output.key, partition, headers=[*(output.headers or ())])
                        break
                    except BufferError:
                        producer.poll(0.1)
            for member, places in (offsets or {}).items():
                producer.send_offsets_to_transaction(list(places), member.consumer_group_metadata(), CALL_TIMEOUT_S)
            producer.commit_transaction(CALL_TIMEOUT_S)
        except KafkaException:
            producer.purge()
            raise
