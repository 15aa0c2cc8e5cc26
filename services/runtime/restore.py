"""Reading a stretch of one partition from its beginning: to rebuild state, or to catch a local store up."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from services.runtime import kafka
from services.runtime.settings import Settings
from services.runtime.sources import Record, to_record

STALL_TIMEOUT_S = 60.0
"""Nothing at all for so long: the broker is away. (An orphaned transaction holds up committed readers for 10 s.)"""


def restore(
    settings: Settings,
    topic: str,
    partition: int,
    on_record: Callable[[Record], None],
    clients: kafka.Clients = kafka.LIBRDKAFKA,
) -> int:
    """Read all committed records up to the high watermark of this moment; returns the offset after them.

    To be called after init_transactions, which settles what the predecessor left open, and after the committed offsets were
    read. Guarantees: every record of every transaction that was committed before the call is given to `on_record`, in order,
    once; also those of the last one (see kafka.end_offset). Raises KafkaException, TimeoutError.
    """
    end = kafka.end_offset(settings, topic, partition, clients=clients)
    return read_range(settings, topic, partition, 0, end, on_record, clients)


def read_range(
    settings: Settings,
    topic: str,
    partition: int,
    start: int,
    end: int,
    on_record: Callable[[Record], None],
    clients: kafka.Clients = kafka.LIBRDKAFKA,
) -> int:
    """Read the committed records with start <= offset < end, waiting for open transactions before `end` to settle.

    Offsets that hold no record for us (control records, aborted, compacted away) are passed over. Returns the greater of
    `start` and `end`. Raises KafkaException, TopicMissing, or TimeoutError after 60 s without any progress.
    """
    if start >= end:
        return start
    config = kafka.consumer_config(settings, "lovla-restore", "lovla-restore")
    # the end is told by an empty fetch
    reader = clients.consumer(config | {"enable.partition.eof": True, "fetch.wait.max.ms": 10})
    try:
        kafka.partitions(reader, topic)  # also wakes the connection: assign() alone takes half a second to
        reader.assign([TopicPartition(topic, partition, start or OFFSET_BEGINNING)])
        quiet_since = clients.monotonic()
        while True:
            messages = reader.consume(5_000, 0.1)
            for message in messages:
                offset = message.offset()
                assert offset is not None
                if (error := message.error()) is not None:
                    if error.code() != KafkaError._PARTITION_EOF:
                        raise KafkaException(error)
                elif offset < end:
                    on_record(to_record(message))
                # an end-of-partition tells the next offset to be read; a record at or past `end` says the same
                if offset >= end or (error is None and offset + 1 >= end):
                    return end
                quiet_since = clients.monotonic()
            if clients.monotonic() - quiet_since > STALL_TIMEOUT_S:
                raise TimeoutError(f"{topic}-{partition}: nothing read for {STALL_TIMEOUT_S:.0f} s before offset {end}")
    finally:
        reader.close()
