"""Known defects of the pinned Faust, each shown on Faust itself and then on what stands in its place (alerts/stream.py).

A test of the first half that fails after an upgrade says that a defect is mended there: then look whether ours may go. Those
that need a broker are in tests/integration/alerts/test_faust_on_kafka.py.
"""

from __future__ import annotations

import asyncio
import time
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
from aiokafka import errors
from faust.streams import _current_event
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from schemas.alert_states_v1 import Subscriber
from schemas.topics import ALERT_CANDIDATES
from services.alerts import stream as streams
from services.alerts import worker as workers
from services.alerts.settings import AlertsSettings
from services.alerts.stream import EXIT_FAULT, LedgerConsumer, Record, Stream, Write
from services.alerts.worker import Worker
from services.runtime import restore, sources, wire
from services.runtime.clock import SystemClock
from services.runtime.lives import EXIT_PASSING, Interrupted

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


async def test_faust_is_set_so_that_it_keeps_no_tables_serves_nothing_declares_nothing_and_unpickles_nothing(
    tmp_path: Path,
) -> None:
    app = (await stream(tmp_path)).app
    set_ = app.conf
    assert (set_.web_enabled, set_.topic_allow_declare, set_.topic_disable_leader) == (False, False, True)
    assert (str(set_.processing_guarantee.value), set_.stream_wait_empty) == ("at_least_once", True)
    assert (set_.key_serializer, set_.value_serializer, dict(app.tables)) == ("raw", "raw", {})
    (agent,) = app.agents.values()
    assert agent.concurrency == 1 and agent.channel.value_serializer == "raw"


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


def kept_change(changelog: TP, offset: int, key: str) -> Any:
    """A change of a table, as it is read back at a restore."""
    read = SimpleNamespace(tp=changelog, topic=changelog.topic, partition=changelog.partition, offset=offset, value=b"{}")
    return SimpleNamespace(message=read, key=key, value={"of": changelog.topic})


async def test_faust_restores_what_is_of_another_table_into_the_one_read_before_it(tmp_path: Path) -> None:
    """A rebalance takes a partition away while its changes wait to be restored: they go on into whatever table was restored
    last (`_slurp_changelogs`, whose source says so itself). Tables of ours would hold others' states."""
    app = plain(tmp_path)
    mine, others = (app.Table(name, partitions=1, recovery_buffer_size=1) for name in ("mine", "others"))
    kept, taken_away = (TP(table.changelog_topic_name, 0) for table in (mine, others))
    recovery = app.tables.recovery
    recovery.add_active(mine, kept)
    recovery._last_active_event_processed_at = None  # as at the beginning of a restore
    app.flow_control.resume()
    for event in (kept_change(kept, 0, "a"), kept_change(taken_away, 7, "b"), kept_change(kept, 1, "c")):
        app.tables.changelog_queue.put_nowait(event)
    restoring = asyncio.create_task(type(recovery)._slurp_changelogs(recovery))
    async with asyncio.timeout(20):
        while "c" not in mine.data.data:
            await asyncio.sleep(0.01)
    restoring.cancel()
    assert mine.data.data["b"] == {"of": taken_away.topic} and others.data.data == {}


def a_worker(folder: Path, ended: list[int], **settings: Any) -> Worker:
    """That no broker knows."""
    told = AlertsSettings(kafka="127.0.0.1:1", state_dir=folder).model_copy(update=settings)
    return Worker(told, SystemClock(), ended.append)


async def test_ours_restores_each_partition_from_its_own_records_and_ends_where_one_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = {0: [("a", b"old"), ("b", wire.dump(Subscriber(subscription="b" * 16))), ("a", None)]}
    log[1] = [("c", wire.dump(Subscriber(subscription="c" * 16)))]

    def read(_: Any, topic: str, partition: int, take: Any) -> int:
        for offset, (key, value) in enumerate(log[partition]):
            take(sources.Record(topic, partition, offset, 0, key.encode(), value, None))
        return len(log[partition])

    monkeypatch.setattr(restore, "restore", read)
    ended: list[int] = []
    subject = a_worker(tmp_path, ended)
    states, *_ = subject._restore({(ALERT_CANDIDATES.name, 0), (ALERT_CANDIDATES.name, 1)})
    assert {n: [one.subscription[0] for one in found] for n, found in states.items()} == {0: ["b"], 1: ["c"]}

    log[1].append(("d", b"{"))
    with pytest.raises(ValueError, match="JSON"):
        await subject.stream._on_assigned(None, {TP(ALERT_CANDIDATES.name, 1)})
    assert ended == [EXIT_FAULT] and not subject.stream.ready  # no record is handled on half a state


async def test_a_restore_that_kafka_does_not_answer_is_no_fault_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unanswered(*_: Any) -> int:
        raise TimeoutError("nothing read for 60 s")

    monkeypatch.setattr(restore, "restore", unanswered)
    ended: list[int] = []
    subject = a_worker(tmp_path, ended)
    with pytest.raises(TimeoutError):
        await subject.stream._on_assigned(None, {TP(ALERT_CANDIDATES.name, 1)})
    assert ended == [EXIT_PASSING] and str(subject.ended_by()) == "TimeoutError: nothing read for 60 s"
    assert subject.ended_by().cause == "TimeoutError"


# -- a broker that is away ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (errors.KafkaConnectionError("no broker"), Interrupted),
        (errors.GroupCoordinatorNotAvailableError("not yet"), Interrupted),
        (ConnectionResetError("gone"), Interrupted),
        (TimeoutError("no answer"), Interrupted),
        (errors.GroupAuthorizationFailedError("alerts"), RuntimeError),
        (errors.UnsupportedVersionError("too old"), RuntimeError),
        (RuntimeError("aiokafka has no _isolation_level any more"), RuntimeError),
        (None, RuntimeError),
    ],
    ids=repr,
)
async def test_a_crash_over_a_broker_that_is_away_passes_and_any_other_lasts(
    tmp_path: Path, reason: BaseException | None, kind: type[Exception]
) -> None:
    subject = await stream(tmp_path)
    assert subject.trouble is None
    subject.app.crash_reason = reason
    subject.app._crashed.set()
    assert isinstance(subject.trouble, kind)


async def test_a_write_that_no_broker_takes_for_too_long_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: Any) -> None:
        raise errors.KafkaConnectionError("no broker")

    monkeypatch.setattr(streams, "AWAY_AT_MOST_S", 0.05)
    monkeypatch.setattr(streams, "AGAIN_S", 0.02)
    ended: list[int] = []
    subject = await stream(tmp_path)
    subject._end = ended.append
    subject._ready.set()
    monkeypatch.setattr(subject, "_write_once", refused)

    async def writing(_: Record) -> None:
        await subject.write([Write("alert.states.v1", b"subscriber", b"{}")])

    with pytest.raises(Interrupted, match="nothing could be written"):
        await subject._guarded(writing, Record(PARTITION.topic, 0, 1, b"k", b"v", datetime(2026, 1, 1, tzinfo=UTC)))
    assert ended == [EXIT_PASSING]


# -- a process that stood still -----------------------------------------------------------------------------------------------


async def test_a_process_that_stood_still_for_its_session_ends_although_what_it_was_writing_got_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker may own its partitions: what it had decided must not be written over that one's."""
    monkeypatch.setattr(workers, "PULSE_S", 0.05)
    ended: list[int] = []
    subject = a_worker(tmp_path, ended, alerts_session_s=2.0)
    pulse = asyncio.create_task(subject._pulse())
    await asyncio.sleep(0.3)
    assert ended == []
    time.sleep(2.2)  # the machine was frozen, or the process was
    subject._beat = time.monotonic()  # as the write that was under way says
    await asyncio.sleep(0.3)
    pulse.cancel()
    assert ended == [EXIT_PASSING] and "stood still" in str(subject.healthy())
