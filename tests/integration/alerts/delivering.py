"""What the tests of delivery share: subscriptions and notifications as the others write them, and what became of them."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from schemas.alerts_v1 import Delivery, Notification, Subscription, Suppression
from schemas.topics import DELIVERIES, NOTIFICATIONS, SUBSCRIPTIONS, SUPPRESSIONS, Topic
from services.alerts.attempts import SETTLED
from services.alerts.delivery_settings import DeliverySettings
from services.alerts.sender import SenderProcess
from services.runtime import kafka, wire
from services.runtime.clock import Clock
from services.runtime.register import write
from services.runtime.settings import Settings
from tests.waiting import HANG_S, Wait, eventually


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


class Log:
    """Topics read as they come, each time to their end of that moment. It may be the marker of a transaction, which is no
    record: so it is asked how far the reader has come, and not what it read last."""

    def __init__(self, settings: Settings, *topics: Topic) -> None:
        told = kafka.consumer_config(settings, "lovla-test", "lovla-test") | {"enable.partition.eof": True}
        self._consumer = Consumer(told)
        self._brokers = settings.kafka
        self._admin = AdminClient({"bootstrap.servers": self._brokers})
        self._places = [TopicPartition(topic.name, n, OFFSET_BEGINNING) for topic in topics for n in range(topic.partitions)]
        self._consumer.assign(self._places)
        self._reached = {(place.topic, place.partition): 0 for place in self._places}

    def read(self) -> list[Message]:
        """What came since."""
        wait, found = Wait("the topics are read"), list[Message]()
        ends = self._ends(wait)
        while any(self._reached[place] < end for place, end in ends.items()):
            wait.goes_on()
            for message in self._consumer.consume(1_000, 0.05):
                topic, partition, offset, error = message.topic(), message.partition(), message.offset(), message.error()
                if topic is None or partition is None or offset is None:
                    continue  # of the broker, which is just back
                if error is None:
                    found.append(message)
                    self._reached[topic, partition] = offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    self._reached[topic, partition] = offset
        return found

    def _ends(self, wait: Wait) -> dict[tuple[str, int], int]:
        """Asked in one request, again while the broker is away."""
        while True:
            try:
                latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # untyped in the library
                asked = self._admin.list_offsets(
                    dict.fromkeys(self._places, latest), isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=10
                )
                return {(place.topic, place.partition): future.result().offset for place, future in asked.items()}
            except KafkaException:
                time.sleep(wait.goes_on())
                # one that knew the broker before it stood still asks for ever of a leader epoch that is over (seen)
                self._admin.__exit__(None, None, None)
                self._admin = AdminClient({"bootstrap.servers": self._brokers})

    def close(self) -> None:
        self._consumer.close()


class Desk:
    """Writes subscriptions and notifications, reads deliveries, on a real broker."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._producer = kafka.producer(settings, "lovla-test")
        self._log = Log(settings, DELIVERIES)
        self._read: list[Delivery] = []

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

    def tell(self, record: Delivery) -> None:
        """What a provider told, as the alerts' API writes it."""
        write(self._producer, DELIVERIES.name, record.subscription, record)

    def deliveries(self, *notifications: Notification) -> list[Delivery]:
        """All records of these notifications, in the order of each."""
        self._read += [Delivery.model_validate_json(message.value() or b"") for message in self._log.read()]
        wanted = {one.notification for one in notifications}
        return [one for one in self._read if one.notification in wanted]

    def states(self, notification: Notification) -> list[str]:
        return self.states_of(notification)[0]

    def states_of(self, *notifications: Notification) -> list[list[str]]:
        """Of each, in this order; the topic is read once."""
        found: dict[str, list[str]] = {one.notification: [] for one in notifications}
        for delivery in self.deliveries(*notifications):
            found[delivery.notification].append(delivery.state)
        return [found[one.notification] for one in notifications]

    def await_state(self, state: str, *notifications: Notification) -> None:
        self._await(lambda states: state in states, state, notifications)

    def await_settled(self, *notifications: Notification) -> None:
        """Each was brought, or dropped with a reason: by their records, so it is all one what others on the same broker left
        due, and which life of a sender it was."""
        self._await(lambda states: not SETTLED.isdisjoint(states), "settled", notifications)

    def _await(self, so: Callable[[list[str]], bool], what: str, notifications: Sequence[Notification]) -> None:
        def missing() -> list[list[str]]:
            return [states for states in self.states_of(*notifications) if not so(states)]

        eventually(lambda: not missing(), lambda: f"all {len(notifications)} are {what}, but {missing()}")


def delivery_settings(settings: Settings, **told: Any) -> DeliverySettings:
    """The stack's settings and these."""
    return DeliverySettings.model_validate({**settings.model_dump(), **told})


@contextmanager
def sending(settings: DeliverySettings, clock: Clock | None = None) -> Iterator[SenderProcess]:
    """A sender in a thread, ended with the block."""
    process = SenderProcess(settings, clock)
    thread = threading.Thread(target=process.run, name="sender")
    thread.start()
    try:
        yield process
    finally:
        process.stop()
        thread.join(HANG_S)
        assert not thread.is_alive()


def holds(process: SenderProcess, *notifications: Notification) -> bool:
    """Whether it has taken all of these and settled none. (How many it holds in all says nothing: what others on the same
    broker left due is among them.)"""
    sender = process._sender
    return sender is not None and all(one.notification in sender._under_way for one in notifications)


def the_eml(folder: Path, number: int) -> bytes:
    return (folder / f"{number:06d}.eml").read_bytes()
