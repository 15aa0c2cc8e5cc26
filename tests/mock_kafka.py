"""A broker inside the process that refuses what it is told to refuse: the one that the Kafka client brings for its own tests.

For answers that a real broker gives in some milliseconds after a crash and never when a test asks for them. It knows the
classic groups' protocol, offsets, transactions; nothing of ours is proved by it that a real broker can be asked.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import confluent_kafka
import pytest

OFFSET_FETCH = 9
"""The number of the request by which a member asks where its group stands."""


class MockKafka:
    """`bootstrap`, and what can be done to it."""

    def __init__(self, library: ctypes.CDLL, cluster: ctypes.c_void_p) -> None:
        self._library = library
        self._cluster = cluster
        self.bootstrap: str = library.rd_kafka_mock_cluster_bootstraps(cluster).decode()

    def create(self, topic: str, partitions: int) -> None:
        assert self._library.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1) == 0

    def refuse(self, request: int, *errors: int) -> None:
        """The next requests of this kind are answered by these errors (KafkaError's codes), one each."""
        codes = (ctypes.c_int * len(errors))(*errors)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, ctypes.c_int16(request), len(errors), codes)


@contextmanager
def mock_kafka() -> Iterator[MockKafka]:
    """One with one broker; skips where the client's library is not found beside its package."""
    package = Path(confluent_kafka.__file__).parent
    found = [*(package.parent / "confluent_kafka.libs").glob("librdkafka*"), *(package / ".dylibs").glob("librdkafka*")]
    if not found:
        pytest.skip("the Kafka client's library is not beside its package")
    library = ctypes.CDLL(str(found[0]))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    said = ctypes.create_string_buffer(512)
    client = ctypes.c_void_p(library.rd_kafka_new(0, ctypes.c_void_p(library.rd_kafka_conf_new()), said, ctypes.sizeof(said)))
    assert client, said.value.decode()
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(client, 1))
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0)
    try:
        yield MockKafka(library, cluster)
    finally:
        library.rd_kafka_mock_cluster_destroy(cluster)
        library.rd_kafka_destroy(client)
