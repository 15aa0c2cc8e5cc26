"""The worker on a real broker: a change in, a notification out, once."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.local.process import signal_to
from schemas.alerts_v1 import Notification, Subscription
from schemas.dead_letter_v1 import DeadLetter
from schemas.journey_change_v1 import Change
from schemas.topics import ACKNOWLEDGEMENTS, ALERT_CANDIDATES, DEAD_LETTERS, JOURNEY_CHANGES
from services.alerts import worker as workers
from services.alerts.settings import AlertsSettings
from services.alerts.stream import LedgerThread
from services.alerts.stream import Record as Read
from services.alerts.worker import GROUP, Worker
from services.runtime import kafka as clients
from services.runtime.failpoints import EXIT_CODE
from services.runtime.lives import EXIT_PASSING
from services.runtime.restore import restore
from services.runtime.settings import Settings
from services.runtime.sources import Record
from tests import forks
from tests.integration.alerts.working import (
    SESSION_S,
    Written,
    knows,
    publish,
    settings_of,
    subscribe,
    until,
    working,
    working_beside,
)
from tests.stack import Kafka, LocalKafka
from tests.unit.alerts.build import change, subscription
from tests.waiting import HANG_S


@pytest.fixture(scope="module")
def settings(empty_kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AlertsSettings:
    return settings_of(empty_kafka, tmp_path_factory.mktemp("worker"))


@pytest.fixture(scope="module")
def written(settings: AlertsSettings) -> Iterator[Written]:
    found = Written(settings)
    yield found
    found.close()


def only(consignment: str, **fields: Any) -> Subscription:
    """A subscription of one consignment's own."""
    made = subscription(consignments=[consignment], **fields)
    return made.model_copy(update={"subscription": secrets.token_hex(8)})


def consignment() -> str:
    return f"LACDHS-{secrets.token_hex(4)}"


def now() -> datetime:
    return datetime.now(UTC)


def one(name: str, kind: str = "exception_opened", n: int = 1, **fields: Any) -> Change:
    return change(kind, n, name, at=now(), change_id=secrets.token_hex(16), **fields)


AtWork = tuple[Worker, asyncio.AbstractEventLoop]


class TestOneWorker:
    """What needs no life of its own is asked of one worker; it ends with the class, and leaves its partitions to the others."""

    @pytest.fixture(scope="class")
    def at_work(self, settings: AlertsSettings) -> Iterator[AtWork]:
        with working_beside(settings) as found:
            yield found

    async def test_a_change_becomes_a_notification(self, at_work: AtWork, settings: AlertsSettings, written: Written) -> None:
        name = consignment()
        subscriber = only(name)
        subscribe(settings, subscriber)
        await knows(at_work[0], subscriber)
        publish(settings, [one(name)])
        await until(lambda: written.notifications(subscriber))
        (made,) = written.notifications(subscriber)
        assert made.items[0].consignment == name
        assert made.items[0].step == "opened"

    async def test_a_change_of_an_aborted_transaction_is_told_to_nobody(
        self, at_work: AtWork, settings: AlertsSettings, written: Written
    ) -> None:
        name = consignment()
        subscriber = only(name)
        subscribe(settings, subscriber)
        await knows(at_work[0], subscriber)
        publish(settings, [one(name)], abort=True)
        publish(settings, [one(name, "milestone_reached", 2)])
        await until(lambda: written.candidates(subscriber))
        assert [found.change.change for found in written.candidates(subscriber) if found.change] == ["milestone_reached"]

    async def test_what_nobody_can_read_is_a_dead_letter_with_the_record_and_its_place(
        self, at_work: AtWork, settings: AlertsSettings, written: Written
    ) -> None:
        """Handed to the worker as Faust would: other tests' services read the topics themselves."""
        (worker, loop), key = at_work, secrets.token_hex(8)
        inputs = {
            JOURNEY_CHANGES.name: worker._on_change,
            ALERT_CANDIDATES.name: worker._on_candidate,
            ACKNOWLEDGEMENTS.name: worker._on_acknowledgement,
        }
        for _ in range(2):  # read again after a crash, it is the same letter
            for n, (topic, handler) in enumerate(inputs.items()):
                damaged = Read(topic, n, 1_000 + n, key.encode(), f"{key} {topic}".encode(), now())
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(handler(damaged), loop))
        found = {letter.letter_id: letter for letter in letters(settings, key)}
        assert {letter.topic: base64.b64decode(letter.payload).decode() for letter in found.values()} == {
            topic: f"{key} {topic}" for topic in inputs
        }
        assert len(found) == len(inputs)
        for letter in found.values():
            assert (letter.stage, letter.reason, letter.sender) == ("alerts", "undecodable", key) and "JSON" in letter.text
            assert letter.where == f"{letter.topic}/{letter.partition}/{letter.offset}"

    async def test_the_committed_offset_passes_every_record_and_marker(
        self, at_work: AtWork, settings: AlertsSettings, written: Written
    ) -> None:
        """Faust's own falls behind by a marker a transaction (DESIGN.md, "Seen by trying")."""
        name = consignment()
        subscriber = only(name)
        subscribe(settings, subscriber)
        await knows(at_work[0], subscriber)
        before = {place: clients.end_offset(settings, *place) for place in ((JOURNEY_CHANGES.name, n) for n in range(4))}
        for n in range(20):
            publish(settings, [one(name, "exception_changed", n)])
        await until(lambda: len(written.candidates(subscriber)) == 20)
        places = [place for place, end in before.items() if clients.end_offset(settings, *place) > end]  # others write too

        def reached() -> bool:
            committed = clients.committed(settings.kafka, GROUP, places)
            return all(clients.end_offset(settings, *place) - committed.get(place, 0) <= 1 for place in places)  # a marker

        await until(reached)


def letters(settings: Settings, key: str) -> list[DeadLetter]:
    """The dead letters of records with this key."""
    found: list[DeadLetter] = []

    def take(record: Record) -> None:
        if record.key == key.encode():
            found.append(DeadLetter.model_validate_json(record.value or b""))

    restore(settings, DEAD_LETTERS.name, 0, take)
    return found


async def test_a_worker_that_starts_again_tells_nothing_twice_and_goes_on_with_what_waits(
    settings: AlertsSettings, written: Written
) -> None:
    name, other = consignment(), consignment()
    at_once, hourly = only(name), only(other, digest="hourly")
    subscribe(settings, at_once, hourly)
    async with working(settings):
        publish(settings, [one(name), one(other)])
        await until(lambda: written.notifications(at_once))
        await until(lambda: written.candidates(hourly))
    async with working(settings) as second:
        await until(lambda: second._compose.holds(hourly.subscription))
        publish(settings, [one(name, "exception_ended", 2)])
        await until(lambda: len(written.candidates(at_once)) == 2)
    assert len(written.notifications(at_once)) == 1  # the second waits for its interval
    assert written.notifications(hourly) == []


def process(settings: Settings, folder: Path, failpoint: str = "", session_s: float = SESSION_S) -> subprocess.Popen[bytes]:
    """A worker as a process of its own."""
    folder.mkdir(exist_ok=True)
    told = {"LOVLA_KAFKA": settings.kafka, "LOVLA_STATE_DIR": str(folder), "LOVLA_FAILPOINT": failpoint}
    told["LOVLA_ALERTS_SESSION_S"] = str(session_s)
    with (folder / "worker.log").open("ab") as out:
        return forks.popen([sys.executable, "-m", "services.alerts.worker"], env={**os.environ, **told}, stdout=out, stderr=out)


def lives(folder: Path) -> list[str]:
    """What ended lives of the worker of `folder`, after which it began again by itself (services/runtime/lives.py)."""
    lines = (folder / "worker.log").read_text().splitlines()
    return [json.loads(line)["why"] for line in lines if '"event": "lives.again"' in line]


def end(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)


POINTS = ("candidates_written", "waiting_written", "stage_0_of_1", *(f"stage_{n}_of_4" for n in range(4)))


def told(found: Iterable[Notification]) -> list[str]:
    """Which exceptions a subscriber's notifications tell, each notification once however often it was written."""
    return sorted(item.key for made in {one.notification: one for one in found}.values() for item in made.items)


@pytest.mark.timeout(600)
async def test_a_worker_killed_at_each_step_tells_everything_once(
    settings: AlertsSettings, written: Written, tmp_path: Path
) -> None:
    """kill -9 at each point of docs/alerts.md's table: the next one writes the same notifications, by id and text."""
    names = [consignment() for _ in POINTS]
    subscribers = [only(name) for name in names]
    subscribe(settings, *subscribers)
    due = [["late:arrived"] for _ in POINTS]
    for n, (point, name) in enumerate(zip(POINTS, names, strict=True)):
        if point == "waiting_written":  # two, so that the first waits until the second is read; there before the worker is
            due[n] = ["dwell", "late"]  # and critical, so that neither waits for the other's sake
            two = [
                one(name, n=m, severity="critical", exception={"key": kind, "kind": kind}) for m, kind in enumerate(due[n], 1)
            ]
            publish(settings, two, at=now() - timedelta(hours=8))
        worker = process(settings, tmp_path / "worker", f"alerts.{point}")
        if point != "waiting_written":
            publish(settings, [one(name)])
        assert await asyncio.to_thread(worker.wait, 90) == EXIT_CODE
    last = process(settings, tmp_path / "worker")
    try:
        await until(lambda: [told(found) for found in written.each(subscribers)] == due)
    finally:
        end(last)
    assert last.returncode == 0
    for found in written.each(subscribers):  # written again, perhaps; the sender sends it once
        assert len({(made.notification, made.text) for made in found}) == len({made.notification for made in found})


@pytest.mark.timeout(600)
async def test_a_worker_that_was_frozen_begins_again_as_soon_as_it_wakes_and_a_successor_has_gone_on(
    settings: AlertsSettings, written: Written, tmp_path: Path
) -> None:
    """SIGSTOP for longer than its session: its partitions are another's by then."""
    names = [consignment() for _ in range(3)]
    before, meanwhile, after = subscribers = [only(name) for name in names]
    subscribe(settings, *subscribers)
    frozen, second = process(settings, tmp_path / "frozen"), None
    try:
        publish(settings, [one(names[0])])
        await until(lambda: written.notifications(before))
        frozen.send_signal(signal.SIGSTOP)
        publish(settings, [one(names[1])])
        second = process(settings, tmp_path / "second")
        await until(lambda: written.notifications(meanwhile))
        frozen.send_signal(signal.SIGCONT)
        await until(lambda: lives(tmp_path / "frozen"))
        end(second)  # from here on the one that was frozen is alone
        publish(settings, [one(names[2])])
        await until(lambda: written.notifications(after))
        assert frozen.poll() is None
    finally:
        frozen.kill()
        frozen.wait(10)
        if second is not None:
            end(second)
    assert second is not None and second.returncode == 0
    assert any("it stood still for" in why for why in lives(tmp_path / "frozen"))
    assert [len({made.notification for made in found}) for found in written.each(subscribers)] == [1, 1, 1]


async def test_a_worker_that_is_asked_to_stop_while_it_stands_still_does_not_begin_again(
    settings: AlertsSettings, tmp_path: Path
) -> None:
    asked = process(settings, tmp_path / "asked")
    try:
        await until(lambda: "alerts.partitions_assigned" in (tmp_path / "asked" / "worker.log").read_text())
        asked.send_signal(signal.SIGSTOP)
        asked.send_signal(signal.SIGTERM)
        await asyncio.sleep(SESSION_S + 1.5)
        asked.send_signal(signal.SIGCONT)
        assert await asyncio.to_thread(asked.wait, HANG_S) in (0, EXIT_PASSING), (tmp_path / "asked" / "worker.log").read_text()
    finally:
        asked.kill()
        asked.wait(10)
    assert lives(tmp_path / "asked") == []


@pytest.mark.timeout(600)
async def test_a_broker_that_answers_nothing_ends_no_worker_and_whoever_began_meanwhile_serves_when_it_answers(
    kafka: Kafka, settings: AlertsSettings, written: Written, tmp_path: Path
) -> None:
    """SIGSTOP of the broker for longer than sessions and questions live; nobody starts anything anew."""
    if not isinstance(kafka, LocalKafka) or kafka.running is None:
        pytest.skip("this provider's broker cannot be frozen by a test")
    names = [consignment() for _ in range(3)]
    before, both, after = subscribers = [only(name) for name in names]
    subscribe(settings, *subscribers)
    first, second = process(settings, tmp_path / "first"), None
    try:
        publish(settings, [one(names[0])])
        await until(lambda: written.notifications(before))
        signal_to(kafka.running, signal.SIGSTOP)
        try:
            second = process(settings, tmp_path / "second")
            await until(lambda: len(lives(tmp_path / "second")) >= 2)
        finally:
            signal_to(kafka.running, signal.SIGCONT)
        publish(settings, [one(names[1])])
        await until(lambda: written.notifications(both))
        first.kill()
        publish(settings, [one(names[2])])
        await until(lambda: written.notifications(after))
        assert second.poll() is None
    finally:
        first.kill()
        first.wait(10)
        if second is not None:
            end(second)
    assert second.returncode == 0
    assert [len({made.notification for made in found}) for found in written.each(subscribers)] == [1, 1, 1]


@pytest.mark.timeout(400)
async def test_a_worker_whose_stream_fetches_or_commits_no_more_ends_by_what_the_broker_says(
    settings: AlertsSettings, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust says nothing of either, and its own notes say that all is well. What the watchdog cannot look at, it says, and
    looks again."""
    monkeypatch.setattr(workers, "WATCH_S", 0.3)
    monkeypatch.setattr(workers, "STUCK_S", 6.0)
    names = [consignment() for _ in range(3)]
    subscribers = [only(name) for name in names]
    subscribe(settings, *subscribers)
    ended: list[int] = []

    def broken(*_: object) -> dict[tuple[str, int], int]:
        raise ValueError("a fault of ours")

    async def unmade(*_: object) -> bool:
        return True

    async with working(settings, ended=ended) as worker:
        for subscriber in subscribers:
            await knows(worker, subscriber)
        with monkeypatch.context() as broke:
            broke.setattr(clients, "committed", broken)
            await until(lambda: "the watchdog cannot look: ValueError: a fault of ours" in str(worker.healthy()))
        publish(settings, [one(names[0])])
        await until(lambda: written.notifications(subscribers[0]))
        await until(lambda: worker.healthy() is None)
        assert ended == []  # it works

        worker.stream.app.consumer.stop_flow()
        publish(settings, [one(names[1])])
        await until(lambda: ended)
        assert set(ended) == {EXIT_PASSING} and f"{JOURNEY_CHANGES.name}'" in str(worker.healthy())
        assert written.candidates(subscribers[1]) == []

    ended.clear()
    async with working(settings, ended=ended) as successor:  # Faust drops what it has fetched while its flow is stopped
        await until(lambda: written.notifications(subscribers[1]))  # nothing was lost
        await until(lambda: successor.healthy() is None)
        with monkeypatch.context() as lied:
            lied.setattr(LedgerThread, "_commit", unmade)
            publish(settings, [one(names[2])])
            await until(lambda: written.notifications(subscribers[2]))
            await until(lambda: ended)
        assert set(ended) == {EXIT_PASSING}


@pytest.mark.timeout(600)
async def test_two_workers_share_the_work_and_one_that_dies_is_taken_over_from(
    settings: AlertsSettings, written: Written, tmp_path: Path
) -> None:
    names = [consignment() for _ in range(60)]
    subscribers = [only(name) for name in names]
    subscribe(settings, *subscribers)
    first, second = process(settings, tmp_path / "first"), None
    try:
        publish(settings, [one(name) for name in names[:20]])
        second = process(settings, tmp_path / "second")
        publish(settings, [one(name) for name in names[20:40]])
        await until(lambda: b"alerts.partitions_assigned" in (tmp_path / "second" / "worker.log").read_bytes())
        first.kill()
        first.wait(10)
        publish(settings, [one(name) for name in names[40:]])
        await until(lambda: all(written.each(subscribers)))
    finally:
        end(first)
        if second is not None:
            end(second)
    for found in written.each(subscribers):
        assert len({made.notification for made in found}) == 1


async def test_what_was_open_while_the_worker_was_away_is_told_once_and_a_replay_tells_nothing(
    settings: AlertsSettings, written: Written
) -> None:
    name, over = consignment(), consignment()
    subscriber = only(name).model_copy(update={"filters": only(name).filters.model_copy(update={"consignments": (name, over)})})
    subscribe(settings, subscriber)
    long_ago = now() - timedelta(hours=8)
    publish(settings, [one(name), one(over), one(over, "exception_ended", 2)], at=long_ago)
    publish(settings, [one(name, cause="refold", n=3)])
    async with working(settings):
        await until(lambda: written.notifications(subscriber))
    assert [(found.consignment, found.away) for found in written.candidates(subscriber)] == [(name, True)]
    (made,) = written.notifications(subscriber)
    assert made.count == 1


@pytest.mark.timeout(600)
async def test_a_broker_that_is_killed_and_comes_back_loses_nothing_and_the_worker_goes_on(
    kafka: Kafka, settings: AlertsSettings, tmp_path: Path
) -> None:
    names = [consignment() for _ in range(20)]
    subscribers = [only(name) for name in names]
    subscribe(settings, *subscribers)
    worker = process(settings, tmp_path / "worker", session_s=15)  # the broker is killed, not the worker: nobody is waited out
    try:
        publish(settings, [one(name) for name in names])
        await until(lambda: b"alerts.notification" in (tmp_path / "worker" / "worker.log").read_bytes())
        await asyncio.to_thread(kafka.kill)
        await asyncio.sleep(3)  # the outage itself
        await asyncio.to_thread(kafka.start)
        written = Written(settings)
        await until(lambda: all(written.each(subscribers)))
        publish(settings, [one(names[0], "milestone_reached", 9)])
        await until(lambda: len(written.candidates(subscribers[0])) == 2)
        assert worker.poll() is None  # it was never ended
        for found in written.each(subscribers):
            assert len({made.notification for made in found}) == 1
        written.close()
    finally:
        end(worker)
