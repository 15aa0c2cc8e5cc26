"""A worker in this process, and what it is given: changes by transactions, as the tracker writes them."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path

from confluent_kafka import Producer

from deploy.local import topics
from schemas.alerts_v1 import AlertCandidate, Notification, Subscription
from schemas.journey_change_v1 import Change
from schemas.topics import ALERT_CANDIDATES, JOURNEY_CHANGES, NOTIFICATIONS, SUBSCRIPTIONS
from services.alerts.settings import AlertsSettings
from services.alerts.worker import Worker
from services.runtime import kafka, register, wire
from services.runtime.clock import Clock, SystemClock
from services.runtime.settings import Settings
from tests.integration.alerts.delivering import Log
from tests.waiting import HANG_S, eventually_beside

until = eventually_beside

SESSION_S = 6.0
"""Of workers that are to be killed: each holds its partitions for so long, which is waited out by the dozen. Others have the
default, since a busy machine may stand still for seconds."""


def settings_of(bootstrap: str, folder: Path) -> AlertsSettings:
    """Of a worker; all topics declared."""
    topics.declare(bootstrap, 1)
    return AlertsSettings(kafka=bootstrap, state_dir=folder)


def subscribe(settings: Settings, *subscriptions: Subscription) -> None:
    producer = kafka.producer(settings, "test-subscriptions")
    for one in subscriptions:
        register.write(producer, SUBSCRIPTIONS.name, one.subscription, one)


def publish(settings: Settings, changes: Iterable[Change], abort: bool = False, at: datetime | None = None) -> None:
    """In one transaction; `at`: when the broker is to have taken them."""
    producer = Producer(kafka.transactional_config(settings, "test-changes", f"test-changes-{uuid.uuid4().hex}"))
    producer.init_transactions(30)
    producer.begin_transaction()
    for one in changes:
        stamp = int(at.timestamp() * 1000) if at else 0
        producer.produce(JOURNEY_CHANGES.name, wire.dump(one), one.consignment.encode(), timestamp=stamp)
    producer.flush(30)
    if abort:
        producer.abort_transaction(30)
    else:
        producer.commit_transaction(30)


@asynccontextmanager
async def working(
    settings: AlertsSettings, clock: Clock | None = None, ended: list[int] | None = None
) -> AsyncIterator[Worker]:
    """A worker that has its partitions; stopped, with its last commit, at the end. `ended`: told each time that it would have
    ended its process; without it, it may not."""
    ends: list[int] = [] if ended is None else ended
    worker = Worker(settings, clock or SystemClock(), ends.append)
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    try:
        await until(lambda: worker.stream.ready or task.done())
        if task.done():
            task.result()
        yield worker
    finally:
        stop.set()
        await asyncio.wait_for(task, HANG_S)
    assert ended is not None or ends == []


@contextmanager
def working_beside(settings: AlertsSettings) -> Iterator[tuple[Worker, asyncio.AbstractEventLoop]]:
    """A worker in a thread, with a loop of its own, for several tests."""
    begun, ended, failed = threading.Event(), threading.Event(), list[BaseException]()
    at_work: list[tuple[Worker, asyncio.AbstractEventLoop]] = []

    async def live() -> None:
        async with working(settings) as worker:
            at_work.append((worker, asyncio.get_running_loop()))
            begun.set()
            while not ended.is_set():
                await asyncio.sleep(0.1)

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:
            failed.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=run, name="worker")
    thread.start()
    try:
        assert begun.wait(HANG_S) and not failed, failed
        yield at_work[0]
    finally:
        ended.set()
        thread.join(HANG_S)
    assert not thread.is_alive() and not failed, failed


async def knows(worker: Worker, subscription: Subscription) -> None:
    """What comes before it knows of the subscription is no news to it."""
    await until(lambda: subscription.subscription in worker._book._kept)


class Written:
    """What the worker has written, read as it comes."""

    def __init__(self, settings: Settings) -> None:
        self._log = Log(settings, NOTIFICATIONS, ALERT_CANDIDATES)
        self._notifications: list[Notification] = []
        self._candidates: list[AlertCandidate] = []

    def notifications(self, subscription: Subscription) -> list[Notification]:
        """What is due to a subscriber, by the topic, in its order; repeats too."""
        self._read()
        return [one for one in self._notifications if one.subscription == subscription.subscription]

    def each(self, subscriptions: Sequence[Subscription]) -> list[list[Notification]]:
        """What is due to each of these, read once: a broker is asked for dozens of subscribers as fast as for one."""
        self._read()
        return [[made for made in self._notifications if made.subscription == one.subscription] for one in subscriptions]

    def candidates(self, subscription: Subscription) -> list[AlertCandidate]:
        """What match found for a subscriber; repeats too."""
        self._read()
        return [one for one in self._candidates if one.subscription == subscription.subscription]

    def close(self) -> None:
        self._log.close()

    def _read(self) -> None:
        for message in self._log.read():
            if message.topic() == NOTIFICATIONS.name:
                self._notifications.append(Notification.model_validate_json(message.value() or b""))
            else:
                self._candidates.append(AlertCandidate.model_validate_json(message.value() or b""))
