"""The worker on a real broker: a change in, a notification out, once."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.alerts_v1 import Subscription
from schemas.journey_change_v1 import Change
from services.alerts.worker import GROUP
from services.runtime import kafka as clients
from services.runtime.settings import Settings
from tests.integration.alerts.working import candidates, notifications, publish, settings_of, subscribe, until, working
from tests.stack import Kafka
from tests.unit.alerts.build import change, subscription


@pytest.fixture
def settings(kafka: Kafka, tmp_path: Path) -> Settings:
    return settings_of(kafka.bootstrap, tmp_path)


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


async def test_a_change_becomes_a_notification(settings: Settings) -> None:
    name = consignment()
    subscriber = only(name)
    subscribe(settings, subscriber)
    async with working(settings):
        publish(settings, [one(name)])
        await until(lambda: notifications(settings, subscriber.subscription))
    (made,) = notifications(settings, subscriber.subscription)
    assert made.items[0].consignment == name
    assert made.items[0].step == "opened"


async def test_a_change_of_an_aborted_transaction_is_told_to_nobody(settings: Settings) -> None:
    name = consignment()
    subscriber = only(name)
    subscribe(settings, subscriber)
    async with working(settings):
        publish(settings, [one(name)], abort=True)
        publish(settings, [one(name, "milestone_reached", 2)])
        await until(lambda: notifications(settings, subscriber.subscription))
    assert [found.change.change for found in candidates(settings, subscriber.subscription) if found.change] == [
        "milestone_reached"
    ]


async def test_a_worker_that_starts_again_tells_nothing_twice_and_goes_on_with_what_waits(settings: Settings) -> None:
    name, other = consignment(), consignment()
    at_once, hourly = only(name), only(other, digest="hourly")
    subscribe(settings, at_once, hourly)
    async with working(settings):
        publish(settings, [one(name), one(other)])
        await until(lambda: notifications(settings, at_once.subscription))
        await until(lambda: candidates(settings, hourly.subscription))
    async with working(settings) as second:
        await until(lambda: second._compose.holds(hourly.subscription))
        publish(settings, [one(name, "exception_ended", 2)])
        await until(lambda: len(candidates(settings, at_once.subscription)) == 2)
    assert len(notifications(settings, at_once.subscription)) == 1  # the second waits for its interval
    assert second._compose.watches(hourly.subscription) or not second.stream.ready
    assert notifications(settings, hourly.subscription) == []


async def test_the_committed_offset_passes_every_record_and_marker(settings: Settings) -> None:
    """Faust's own falls behind by a marker a transaction (DESIGN.md, "Seen by trying")."""
    name = consignment()
    subscriber = only(name)
    subscribe(settings, subscriber)
    async with working(settings):
        for n in range(20):
            publish(settings, [one(name, "exception_changed", n)])
        await until(lambda: len(candidates(settings, subscriber.subscription)) == 20)
    places = [("journey.changes.v1", partition) for partition in range(4)]
    committed = clients.committed(settings.kafka, GROUP, places)
    for place, offset in committed.items():
        assert clients.end_offset(settings, *place) - offset <= 1  # the last marker


async def test_what_was_open_while_the_worker_was_away_is_told_once_and_a_replay_tells_nothing(settings: Settings) -> None:
    name, over = consignment(), consignment()
    subscriber = only(name).model_copy(update={"filters": only(name).filters.model_copy(update={"consignments": (name, over)})})
    subscribe(settings, subscriber)
    long_ago = now() - timedelta(hours=8)
    publish(settings, [one(name), one(over), one(over, "exception_ended", 2)], at=long_ago)
    publish(settings, [one(name, cause="refold", n=3)])
    async with working(settings):
        await until(lambda: notifications(settings, subscriber.subscription))
    assert [(found.consignment, found.away) for found in candidates(settings, subscriber.subscription)] == [(name, True)]
    (made,) = notifications(settings, subscriber.subscription)
    assert made.count == 1
