"""The way into raw.messages goes on after whatever the Kafka client does to itself."""

from __future__ import annotations

import asyncio
import ctypes
import time
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, Producer

from schemas.topics import RAW_MESSAGES
from services.ingest.raw_log import Appended, Away, RawLog
from services.runtime.settings import Settings


def give_a_fatal_error(producer: Producer) -> None:
    """By the C library's own means for tests; Python has no way to it. The client's handle follows the object's head."""
    (library,) = (Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs").glob("librdkafka*")
    break_it = ctypes.CDLL(str(library)).rd_kafka_test_fatal_error
    break_it.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
    handle = ctypes.c_void_p.from_address(id(producer) + object.__basicsize__)
    assert break_it(handle, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, b"planted") == 0


async def appended(log: RawLog, within_s: float = 30) -> Appended:
    """As a client that tries again."""
    until = time.monotonic() + within_s
    while True:
        try:
            return await asyncio.wait_for(log.append(b"MAEU", b"a message", []), 10)
        except Away:
            assert time.monotonic() < until, "it stays away"
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("waiting", [0, 50])
async def test_a_client_that_lost_its_place_is_replaced_and_nobody_waits_for_ever(settings: Settings, waiting: int) -> None:
    log = RawLog(settings, RAW_MESSAGES.name)
    log.start()
    try:
        before = await appended(log)
        under_way = [asyncio.create_task(log.append(b"MAEU", b"%d" % n, [])) for n in range(waiting)]
        await asyncio.sleep(0)  # they are handed to the client, and none is acknowledged
        give_a_fatal_error(log._producer)
        told = await asyncio.wait_for(asyncio.gather(*under_way, return_exceptions=True), 20)
        assert all(isinstance(one, Appended | Away) for one in told)
        after = await appended(log)
        assert after.position != before.position
        assert log.pending_bytes == 0
        assert not log.away
    finally:
        await asyncio.to_thread(log.stop)
