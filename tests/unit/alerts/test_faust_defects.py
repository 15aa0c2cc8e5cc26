"""Known defects of the pinned Faust, each shown on Faust itself and then on what stands in its place (alerts/stream.py).

A test of the first half that fails after an upgrade says that a defect is mended there: then look whether ours may go. Those
that need a broker are in tests/integration/alerts/test_faust_on_kafka.py.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import faust
import pytest
from faust.streams import _current_event
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from services.alerts.stream import EXIT_FAULT, LedgerConsumer, Record, Stream, Write

PARTITION = TP("journey.changes.v1", 0)


async def nothing(*_: Any) -> None:
    pass


async def stream(folder: Path, handler: Any = nothing, ended: list[int] | None = None) -> Stream:
    made = Stream("test", "127.0.0.1:1", folder, {PARTITION.topic: handler}, nothing, nothing, (ended or []).append)
    made.app.loop = asyncio.get_running_loop()
    made.app.finalize()
    return made


def plain(folder: Path) -> Any:
    app = faust.App("plain", broker="kafka://127.0.0.1:1", datadir=str(folder), store="memory://", autodiscover=False)
    app.loop = asyncio.get_running_loop()
    app.finalize()
    return app


def message(offset: int) -> Any:
    return SimpleNamespace(
        topic=PARTITION.topic,
        partition=0,
        offset=offset,
        timestamp=1,
        timestamp_type=0,
        headers=[],
        key=b"k",
        value=b"v",
        checksum=None,
        serialized_key_size=1,
        serialized_value_size=1,
    )


def test_the_release_is_the_pinned_one() -> None:
    assert (version("faust-streaming"), version("aiokafka")) == ("0.15.3", "0.14.0")


# -- a commit past a record in flight (faust-streaming/faust#606) --------------------------------------------------------


async def test_faust_commits_past_a_record_in_flight(tmp_path: Path) -> None:
    consumer = plain(tmp_path)._new_consumer()
    consumer._committed_offset[PARTITION] = 2585
    consumer._acked[PARTITION] = [2586, 2587, 2588, 2589]  # and 2585 is still being handled
    assert consumer._new_offset(PARTITION) == 2590


async def test_ours_commits_up_to_the_record_in_flight(tmp_path: Path) -> None:
    consumer = (await stream(tmp_path)).app._new_consumer()
    assert isinstance(consumer, LedgerConsumer)
    for offset in range(2585, 2590):
        consumer._to_message(PARTITION, message(offset))
    for offset in range(2586, 2590):
        consumer.ledger.finished(PARTITION, offset)
    assert consumer._filter_committable_offsets([PARTITION]) == {PARTITION: 2585}
    consumer.ledger.finished(PARTITION, 2585)
    assert consumer._filter_committable_offsets(consumer._filter_tps_with_pending_acks()) == {PARTITION: 2590}


async def test_faust_holds_records_in_flight_weakly_and_ours_does_not(tmp_path: Path) -> None:
    consumer = (await stream(tmp_path)).app._new_consumer()
    assert isinstance(consumer._unacked_messages, WeakSet)
    consumer._to_message(PARTITION, message(1))  # nobody holds what it returns
    assert consumer.ledger.in_flight(PARTITION) == 1


# -- a commit that failed is taken for one that succeeded (#316) ---------------------------------------------------------


class Refusing(Consumer):
    """A broker that refuses every commit."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return False

    def assignment(self) -> set[TP]:
        return {PARTITION}


class Thread:
    def __init__(self) -> None:
        self.accepts = False

    async def commit(self, offsets: Mapping[TP, int]) -> bool:
        return self.accepts

    def assignment(self) -> set[TP]:
        return {PARTITION}


class Flushed:
    async def flush(self) -> None:
        pass


async def test_faust_takes_a_refused_commit_for_done(tmp_path: Path) -> None:
    app = plain(tmp_path)
    app.producer = Flushed()
    consumer = Refusing(app.transport, nothing, nothing, nothing)
    assert await consumer._commit_offsets({PARTITION: 10}) is False
    assert consumer._committed_offset[PARTITION] == 10
    assert not consumer._should_commit(PARTITION, 10)  # it never tries again


async def test_ours_commits_again_what_was_refused(tmp_path: Path) -> None:
    app = (await stream(tmp_path)).app
    app.producer = Flushed()
    consumer = app._new_consumer()
    consumer._thread = thread = Thread()
    consumer._to_message(PARTITION, message(9))
    consumer.ledger.finished(PARTITION, 9)
    for _ in range(2):
        assert consumer._filter_committable_offsets([PARTITION]) == {PARTITION: 10}
        assert await consumer._commit_offsets({PARTITION: 10}) is False
    thread.accepts = True
    assert await consumer._commit_offsets({PARTITION: 10}) is True
    assert consumer._filter_committable_offsets([PARTITION]) == {}


# -- records of aborted transactions are read ------------------------------------------------------------------------------


async def test_faust_reads_uncommitted_records_and_ours_committed_ones(tmp_path: Path) -> None:
    levels = []
    for app in (plain(tmp_path), (await stream(tmp_path)).app):
        consumer = app._new_consumer()
        levels.append(consumer._thread._create_worker_consumer(app.transport)._isolation_level)
    assert levels == ["read_uncommitted", "read_committed"]


# -- a handler that raises acknowledges its record (#189, #315, #527) --------------------------------------------------------


async def test_a_handler_that_raises_ends_the_process_and_finishes_nothing(tmp_path: Path) -> None:
    ended: list[int] = []

    async def failing(_: Record) -> None:
        raise ValueError("a fault of ours")

    subject = await stream(tmp_path, failing)
    subject._end = ended.append
    subject._ready.set()
    record = Record(PARTITION.topic, 0, 1, b"k", b"v", datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="a fault of ours"):
        await subject._guarded(failing, record)
    assert ended == [EXIT_FAULT]


async def test_no_record_is_handled_before_its_partition_is_restored(tmp_path: Path) -> None:
    handled: list[Record] = []

    async def handler(record: Record) -> None:
        handled.append(record)

    subject = await stream(tmp_path, handler)
    record = Record(PARTITION.topic, 0, 1, b"k", b"v", datetime(2026, 1, 1, tzinfo=UTC))
    waiting = asyncio.create_task(subject._guarded(handler, record))
    await asyncio.sleep(0)
    assert handled == []
    await subject._on_assigned(None, {PARTITION})
    await waiting
    assert handled == [record]


# -- tables ------------------------------------------------------------------------------------------------------------------


async def test_a_table_of_faust_cannot_be_written_when_a_time_has_come(tmp_path: Path) -> None:
    """Digests, groups and escalations are due at a time, not at a record: so the tables are ours."""
    table = plain(tmp_path).Table("states", partitions=4)
    with pytest.raises(TypeError, match="outside of stream iteration"):
        table["subscriber"] = {"sent": 1}


class NeverAcknowledged:
    """A producer whose broker has not answered yet."""

    def __init__(self) -> None:
        self.pending: list[asyncio.Future[None]] = []

    def send_soon(self, message: Any) -> None:
        self.pending.append(message)

    async def send(self, *_: Any) -> asyncio.Future[None]:
        self.pending.append(asyncio.get_running_loop().create_future())
        return self.pending[-1]


class Event:
    """What a stream is at, when a handler writes a table."""

    message = SimpleNamespace(topic=PARTITION.topic, partition=0, offset=1)


async def test_faust_counts_a_tables_write_that_no_broker_has(tmp_path: Path) -> None:
    """What is restored after a crash may then lack what was sent meanwhile (#47, #432, #596 are of the restoring itself)."""
    app = plain(tmp_path)
    app.producer = producer = NeverAcknowledged()
    table, event = app.Table("states", partitions=4), Event()
    at: Any = weakref.ref(event)
    token = _current_event.set(at)
    try:
        table["subscriber"] = {"sent": 1}
    finally:
        _current_event.reset(token)
    assert table["subscriber"] == {"sent": 1}  # the handler goes on, and its record will be acknowledged
    assert len(producer.pending) == 1 and not producer.pending[0].done()


async def test_ours_goes_on_only_with_what_the_broker_has(tmp_path: Path) -> None:
    subject = await stream(tmp_path)
    subject.app.producer = producer = NeverAcknowledged()
    writing = asyncio.create_task(subject.write([Write("alert.states.v1", b"subscriber", b"{}")]))
    await asyncio.sleep(0.01)
    assert not writing.done()
    producer.pending[0].set_result(None)
    await asyncio.wait_for(writing, 5)
