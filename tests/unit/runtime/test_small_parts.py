"""Failpoints, the clock by hand, positions of a batch, the membership inside the client's metadata, Kafka settings."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta, timezone

import pytest

from services.runtime import kafka
from services.runtime.clock import ManualClock, SystemClock
from services.runtime.failpoints import Failpoints
from services.runtime.settings import Settings
from services.runtime.sources import Record, begin, generation, reach

SETTINGS = Settings(kafka="127.0.0.1:1")


def record(topic: str, partition: int, offset: int) -> Record:
    return Record(topic, partition, offset, 0, None, None, None)


def test_a_failpoint_is_armed_at_its_passage_only() -> None:
    fail = Failpoints("committed:3")
    armed = []
    for _ in range(2):
        armed.append(fail.armed("committed"))
        fail.reach("committed")
        fail.reach("produced")
    assert (armed, fail.armed("committed"), fail.armed("produced")) == ([False, False], True, False)
    assert not Failpoints("").armed("")


def test_a_clock_by_hand_moves_only_when_moved() -> None:
    start = datetime(2020, 4, 1, tzinfo=timezone(timedelta(hours=-7)))
    clock = ManualClock(start)
    clock.advance(90.5)
    assert (clock.now() - start, clock.monotonic(), clock.now().utcoffset()) == (timedelta(seconds=90.5), 90.5, timedelta(0))
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_a_batch_begins_at_its_first_and_reaches_past_its_last_records() -> None:
    batch = [record("a", 0, 5), record("b", 0, 1), record("a", 0, 9), record("a", 1, 0)]
    assert begin(batch) == {("a", 0): 5, ("b", 0): 1, ("a", 1): 0}
    assert reach(batch) == {("a", 0): 10, ("b", 0): 2, ("a", 1): 1}


@pytest.mark.parametrize("number", [-1, 0, 7])
def test_the_generation_is_read_out_of_the_clients_metadata(number: int) -> None:
    assert generation(b"CGMDv2:" + struct.pack("=i", number) + b"group\x00\x00member\x00\x01") == number


@pytest.mark.parametrize("unknown", [b"", b"CGMDv3:\x01\x00\x00\x00", b"CGMDv2:\x01"])
def test_metadata_in_another_form_is_an_error_and_no_guess(unknown: bytes) -> None:
    with pytest.raises(ValueError, match="unknown"):
        generation(unknown)


def test_what_delivery_rests_on_is_set_explicitly() -> None:
    producer = kafka.transactional_config(SETTINGS, "test", "t-0")
    assert {k: producer[k] for k in ("enable.idempotence", "acks", "partitioner", "transaction.timeout.ms")} == {
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",
        "transaction.timeout.ms": 10_000,
    }
    consumer = kafka.consumer_config(SETTINGS, "test", "g")
    assert {
        k: consumer[k] for k in ("isolation.level", "enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset")
    } == {
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
    }
