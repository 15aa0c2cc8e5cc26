"""A worker in this process, and what it is given: changes by transactions, as the tracker writes them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from confluent_kafka import Producer

from deploy.local import topics
from schemas.alerts_v1 import AlertCandidate, Notification, Subscription
from schemas.journey_change_v1 import Change
from schemas.topics import ALERT_CANDIDATES, JOURNEY_CHANGES, NOTIFICATIONS, SUBSCRIPTIONS
from services.alerts.worker import Worker
from services.runtime import kafka, register, restore, sources, wire
from services.runtime.clock import Clock, SystemClock
from services.runtime.settings import Settings

WITHIN_S = 90.0


def settings_of(bootstrap: str, folder: Path) -> Settings:
    """Of a worker; all topics declared."""
    topics.declare(bootstrap, 1)
    return Settings(kafka=bootstrap, state_dir=folder)


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
async def working(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Worker]:
    """A worker that has its partitions; stopped, with its last commit, at the end."""
    ended: list[int] = []
    worker = Worker(settings, clock or SystemClock(), ended.append)
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    try:
        await until(lambda: worker.stream.ready or task.done())
        if task.done():
            task.result()
        yield worker
    finally:
        stop.set()
        await asyncio.wait_for(task, WITHIN_S)
    assert ended == []


async def until(condition: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """Waits for it, with a bound."""
    for _ in range(int(within_s / 0.1)):
        if await asyncio.to_thread(condition):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"not within {within_s:.0f} s")


def _values(settings: Settings, topic: str) -> list[bytes]:
    found: list[bytes] = []

    def enter(record: sources.Record) -> None:
        if record.value is not None:
            found.append(record.value)

    for partition in range(4):
        restore.restore(settings, topic, partition, enter)
    return found


def notifications(settings: Settings, subscription: str) -> list[Notification]:
    """What is due to a subscriber, by the topic, in its order."""
    found = [Notification.model_validate_json(value) for value in _values(settings, NOTIFICATIONS.name)]
    return [one for one in found if one.subscription == subscription]


def candidates(settings: Settings, subscription: str) -> list[AlertCandidate]:
    """What match found for a subscriber."""
    found = [AlertCandidate.model_validate_json(value) for value in _values(settings, ALERT_CANDIDATES.name)]
    return [one for one in found if one.subscription == subscription]
