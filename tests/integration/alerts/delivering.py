"""What the tests of delivery share: subscriptions and notifications as the others write them, and what became of them."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.alerts_v1 import Delivery, Notification, Subscription, Suppression
from schemas.topics import DELIVERIES, NOTIFICATIONS, SUBSCRIPTIONS, SUPPRESSIONS
from services.alerts.delivery_settings import DeliverySettings
from services.alerts.sender import SenderProcess
from services.runtime import kafka, wire
from services.runtime.register import write
from services.runtime.restore import read_range
from services.runtime.settings import Settings
from services.runtime.sources import Record

PATIENCE_S = 60


def eventually(what: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    """Wait until `what` is true; fail if it does not become so."""
    until = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def id_of(*words: object, digits: int = 32) -> str:
    return hashlib.sha256(repr(words).encode()).hexdigest()[:digits]


def a_subscription(name: str, address: str, channel: str = "email", **more: Any) -> Subscription:
    fields: dict[str, Any] = {
        "subscription": id_of(name, digits=16),
        "channel": channel,
        "address": address,
        "address_hash": id_of(channel, address, digits=64),
        "state": "active",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Subscription.model_validate(fields | more)


def a_notification(to: Subscription, what: str, **more: Any) -> Notification:
    fields: dict[str, Any] = {
        "notification": id_of(to.subscription, what),
        "subscription": to.subscription,
        "changes": (id_of("change", what),),
        "due_at": datetime.now(UTC) - timedelta(milliseconds=1),
        "subject": f"{what} is late",
        "text": f"{what}: not discharged 18 h after the plan.",
        "sms": f"{what} late 18 h at Los Angeles.",
    }
    return Notification.model_validate(fields | more)


class Desk:
    """Writes subscriptions and notifications, reads deliveries, on a real broker."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._producer = kafka.producer(settings, "lovla-test")

    def subscribe(self, *subscriptions: Subscription) -> None:
        for one in subscriptions:
            write(self._producer, SUBSCRIPTIONS.name, one.subscription, one)

    def suppress(self, *suppressions: Suppression) -> None:
        for one in suppressions:
            write(self._producer, SUPPRESSIONS.name, one.address_hash, one)

    def notify(self, *notifications: Notification) -> None:
        for one in notifications:
            headers = wire.headers(Notification, id=one.notification, source="test")
            self._producer.produce(NOTIFICATIONS.name, wire.dump(one), one.subscription.encode(), headers=[*headers])
        assert self._producer.flush(30) == 0

    def deliveries(self, *notifications: Notification) -> list[Delivery]:
        """All records of these notifications, in the order of each."""
        wanted, found = {one.notification for one in notifications}, list[Delivery]()

        def take(record: Record) -> None:
            delivery = Delivery.model_validate_json(record.value or b"")
            if delivery.notification in wanted:
                found.append(delivery)

        for partition in range(DELIVERIES.partitions):
            end = kafka.end_offset(self.settings, DELIVERIES.name, partition)
            read_range(self.settings, DELIVERIES.name, partition, 0, end, take)
        return found

    def states(self, notification: Notification) -> list[str]:
        return [delivery.state for delivery in self.deliveries(notification)]

    def await_state(self, state: str, *notifications: Notification, within_s: float = PATIENCE_S) -> None:
        eventually(lambda: all(state in self.states(one) for one in notifications), within_s)


def delivery_settings(settings: Settings, **told: Any) -> DeliverySettings:
    """The stack's settings and these."""
    return DeliverySettings.model_validate({**settings.model_dump(), **told})


@contextmanager
def sending(settings: DeliverySettings) -> Iterator[SenderProcess]:
    """A sender in a thread, ended with the block."""
    process = SenderProcess(settings)
    thread = threading.Thread(target=process.run, name="sender")
    thread.start()
    try:
        yield process
    finally:
        process.stop()
        thread.join(60)
        assert not thread.is_alive()


def the_eml(folder: Path, number: int) -> bytes:
    return (folder / f"{number:06d}.eml").read_bytes()
