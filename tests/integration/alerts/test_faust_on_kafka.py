"""Known defects of the pinned Faust that need a broker: plain Faust beside ours, on the same log.

The log holds an aborted transaction, one transaction a record, and a record whose handler fails.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import faust
import pytest
from confluent_kafka import Producer
from confluent_kafka.cimpl import NewTopic

from services.alerts.stream import EXIT_FAULT, Record, Stream
from services.runtime import kafka as clients
from services.runtime.settings import Settings
from tests import topics
from tests.integration.alerts.working import until
from tests.stack import Kafka

RECORDS = 12
FAILING = b"4"


@pytest.fixture
def settings(kafka: Kafka, tmp_path: Path) -> Settings:
    return Settings(kafka=kafka.bootstrap, state_dir=tmp_path)


@pytest.fixture
def topic(settings: Settings) -> str:
    """A log of one partition, written by transactions."""
    name = f"transactional-{secrets.token_hex(4)}"
    topics.create(settings.kafka, NewTopic(name, 1, 1))
    producer = Producer(clients.transactional_config(settings, "test", f"test-{name}"))
    producer.init_transactions(30)
    for value in ("aborted", *range(RECORDS)):
        producer.begin_transaction()
        producer.produce(name, str(value).encode(), b"k")
        producer.flush(30)
        if value == "aborted":
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
    return name


@pytest.fixture
async def ending() -> AsyncIterator[AsyncExitStack]:
    """Stops what a test started, whatever becomes of it. Faust's own tasks do not end by being cancelled, as pytest's end of a
    loop does with what is left: the whole process then waits for ever (seen, of a test that had failed)."""
    async with AsyncExitStack() as stack:
        yield stack


async def plain(
    settings: Settings,
    topic: str,
    name: str,
    read: list[bytes],
    ending: AsyncExitStack,
    failing: bytes | None = None,
    commit_s: float = 0.3,
) -> Any:
    """Faust as it comes."""
    app = faust.App(
        name,
        broker=f"kafka://{settings.kafka}",
        datadir=str(settings.state_dir / "plain"),
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        autodiscover=False,
        broker_commit_interval=commit_s,
        value_serializer="raw",
    )

    async def agent(stream: Any) -> None:
        async for value in stream:
            read.append(value)
            if value == failing:
                raise ValueError("a fault of ours")

    agent.__name__ = "agent"
    app.agent(app.topic(topic, value_type=bytes, value_serializer="raw"), name="agent", concurrency=1)(agent)
    app.loop = asyncio.get_running_loop()
    app.finalize()
    ending.push_async_callback(app.stop)
    await app.start()
    return app


async def ours(
    settings: Settings,
    topic: str,
    name: str,
    read: list[bytes],
    ended: list[int],
    ending: AsyncExitStack,
    commit_s: float = 0.3,
) -> Stream:
    async def handler(record: Record) -> None:
        read.append(record.value or b"")
        if record.value == FAILING and ended is not None and not ended and name.startswith("failing"):
            raise ValueError("a fault of ours")

    async def nothing(*_: Any) -> None:
        pass

    stream = Stream(
        name, settings.kafka, settings.state_dir / "ours", {topic: handler}, nothing, nothing, ended.append, commit_s
    )
    ending.push_async_callback(stream.stop)
    await stream.start()
    return stream


def committed(settings: Settings, group: str, topic: str) -> int:
    return clients.committed(settings.kafka, group, [(topic, 0)]).get((topic, 0), -1)


@pytest.mark.timeout(400)
async def test_faust_reads_what_was_aborted_and_its_offset_falls_behind_and_ours_does_neither(
    settings: Settings, topic: str, ending: AsyncExitStack
) -> None:
    last = [str(n).encode() for n in range(RECORDS)]
    theirs: list[bytes] = []
    group = f"plain-{topic}"
    app = await plain(settings, topic, group, theirs, ending)
    await until(lambda: last[-1] in theirs)
    await app.stop()
    assert theirs[0] == b"aborted"
    end = clients.end_offset(settings, topic, 0)
    assert committed(settings, group, topic) < end - 2  # a restart would read most of it again

    read: list[bytes] = []
    group = f"ours-{topic}"
    stream = await ours(settings, topic, group, read, [], ending)
    await until(lambda: last[-1] in read)
    await stream.stop()
    assert read == last
    assert committed(settings, group, topic) == end - 1  # after the last record; a marker follows it


@pytest.mark.timeout(400)
async def test_faust_commits_past_a_record_whose_handler_failed_and_ours_ends_before_it(
    settings: Settings, topic: str, ending: AsyncExitStack
) -> None:
    theirs: list[bytes] = []
    group = f"failing-plain-{topic}"
    app = await plain(settings, topic, group, theirs, ending, FAILING)
    await until(lambda: str(RECORDS - 1).encode() in theirs)  # it goes on with the next one
    await app.stop()
    assert theirs.count(FAILING) == 1  # nobody will ever handle it

    read: list[bytes] = []
    ended: list[int] = []
    group = f"failing-{topic}"
    stream = await ours(settings, topic, group, read, ended, ending)
    await until(lambda: ended)
    assert ended[0] == EXIT_FAULT
    await stream.stop()
    again: list[bytes] = []
    stream = await ours(settings, topic, group, again, [0], ending)  # the next process
    await until(lambda: str(RECORDS - 1).encode() in again)
    await stream.stop()
    assert FAILING in again


SELDOM_S = 300.0
"""Between two commits by the clock: what is committed at a rebalance is then seen."""


def write(settings: Settings, topic: str, *values: str) -> None:
    """Each to both partitions of a topic, without transactions."""
    producer = clients.producer(settings, "lovla-test")
    for value in values:
        for partition in (0, 1):
            producer.produce(topic, f"{value}/{partition}".encode(), b"k", partition)
    assert producer.flush(30) == 0


def crashes(apps: list[Any]) -> list[object]:
    """Faust as it comes crashes, for one, at any error of a commit."""
    return [app.crash_reason for app in apps]


@pytest.mark.timeout(400)
async def test_faust_gives_again_at_a_rebalance_what_it_had_handled_and_ours_commits_it_first(
    settings: Settings, ending: AsyncExitStack
) -> None:
    """A second worker joins (its issue 502): plain Faust empties its list of what is handled before it commits."""
    topic = f"shared-{secrets.token_hex(4)}"
    topics.create(settings.kafka, NewTopic(topic, 2, 1))
    write(settings, topic, *map(str, range(RECORDS)))

    theirs: list[bytes] = []
    group = f"plain-{topic}"
    apps = [await plain(settings, topic, group, theirs, ending, commit_s=SELDOM_S)]
    await until(lambda: len(theirs) >= 2 * RECORDS, lambda: f"plain Faust alone: {theirs}, {crashes(apps)}")
    apps.append(await plain(settings, topic, group, theirs, ending, commit_s=SELDOM_S))
    # of one partition at least: who keeps the other may go on where it was, or begin anew (seen, either)
    await until(lambda: len(theirs) >= 3 * RECORDS, lambda: f"two of plain Faust: {theirs}, {crashes(apps)}")
    for app in apps:
        await app.stop()
    assert len(set(theirs)) == 2 * RECORDS  # nothing new came: what came since was handled before

    read: list[bytes] = []
    streams = [await ours(settings, topic, f"ours-{topic}", read, [], ending, SELDOM_S)]
    await until(lambda: len(read) >= 2 * RECORDS, lambda: f"ours alone: {read}")
    streams.append(await ours(settings, topic, f"ours-{topic}", read, [], ending, SELDOM_S))
    await until(
        lambda: all(stream.ready and len(stream.partitions()) == 1 for stream in streams),
        lambda: f"each of ours has one: {[(stream.ready, stream.partitions(), stream.trouble) for stream in streams]}",
    )
    write(settings, topic, "after")
    await until(lambda: {b"after/0", b"after/1"} <= set(read), lambda: f"two of ours: {read}")
    for stream in streams:
        await stream.stop()
    assert len(read) == len(set(read)) == 2 * RECORDS + 2
