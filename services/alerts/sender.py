"""The sender's process: `python -m services.alerts.sender`. One is at work, others wait for its place.

Order of a start: the lease says who should send; init_transactions fences whoever did; then the committed offsets of
notifications, then deliveries of the last days to their end (the ledger), then the subscriptions to their end; only then
the first notification is read. Whatever breaks (the lease, the fence, Kafka for long), all of it begins again.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from pydantic import ValidationError

from schemas.alerts_v1 import AlertsControl, Channel, Delivery, Notification, Subscription, Suppression
from schemas.topics import ALERTS_CONTROL, DELIVERIES, NOTIFICATIONS, SUPPRESSIONS
from services.alerts import email, letters, subscriptions
from services.alerts.attempts import MEMORY, NOT_BROUGHT, Ledger
from services.alerts.bounces import Verp
from services.alerts.channels import EmailChannel, SmsChannel, WebhookChannel
from services.alerts.control import read_deliveries, retry_key
from services.alerts.delivery_settings import DeliverySettings
from services.alerts.journal import Fenced, Journal, JournalLost
from services.alerts.links import Links
from services.alerts.providers_sms import provider
from services.alerts.providers_smtp import Smtp
from services.alerts.providers_webhook import WebhookClient
from services.alerts.sending import ChannelPort, Sender
from services.runtime import kafka, logs, metrics
from services.runtime.clock import Clock, SystemClock
from services.runtime.failpoints import Failpoints
from services.runtime.lease import ShardLease
from services.runtime.messages_held import SWITCH
from services.runtime.process import begin, on_stop
from services.runtime.register import RegisterView, write
from services.runtime.restore import read_range
from services.runtime.settings import Settings
from services.runtime.sources import Record, to_record

LEASE_GROUP = "alerts.sender-lease"
TAKEN_MOST = 20_000
"""Notifications in memory; the rest waits in Kafka."""

EMAILS_UNDER_WAY = 32
"""More than connections: while some wait for Kafka, others are handed over, and intents that wait together share one fence."""

_AGAIN_S = 2.0

log = logs.get("alerts.sender")


class KafkaDirectory:
    """Subscriptions and suppressed addresses, followed."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self.subscriptions = subscriptions.view(settings)
        self.suppressions = subscriptions.suppressions(settings)
        self._producer: Producer = kafka.producer(settings, "lovla-alerts-suppressions")

    def start(self) -> None:
        """Raises KafkaException, TopicMissing, TimeoutError."""
        self.subscriptions.start()
        self.suppressions.start()

    def subscription(self, name: str) -> Subscription | None:
        return self.subscriptions.get(name)

    def suppression(self, address_hash: str) -> Suppression | None:
        return self.suppressions.get(address_hash)

    def catch_up(self) -> None:
        self.subscriptions.catch_up()
        self.suppressions.catch_up()

    def suppress(self, subscription: Subscription, reason: Literal["bounced", "opted_out"]) -> None:
        record = Suppression(
            address_hash=subscription.address_hash,
            channel=subscription.channel,
            reason=reason,
            at=self._clock.now(),
            source="alerts.sender",
        )
        write(self._producer, SUPPRESSIONS.name, subscription.address_hash, record)

    def healthy(self) -> str | None:
        return self.subscriptions.healthy() or self.suppressions.healthy()

    def close(self) -> None:
        self.subscriptions.close()
        self.suppressions.close()


def channels_of(settings: DeliverySettings, links: Links, clock: Clock) -> dict[Channel, ChannelPort]:
    """The ways out that the settings name."""
    client = WebhookClient(settings.webhook_timeout_s, settings.webhook_allow)
    found: dict[Channel, ChannelPort] = {"webhook": WebhookChannel(client, links, clock)}
    if settings.smtp_port:
        mailer = email.Mailer(settings.mail_name, settings.mail_from, settings.mail_bounces)
        verp = Verp(settings.secret_key.get_secret_value().encode(), settings.mail_bounces)
        found["email"] = EmailChannel(Smtp(settings), links, mailer, verp)
    if settings.sms_url is not None:
        found["sms"] = SmsChannel(provider(settings), links, settings.sms_a_second, settings.links_url)
    return found


class SenderProcess:
    """What main() runs, and tests run in a thread. `run` returns when `stop` is set."""

    def __init__(self, settings: DeliverySettings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._trouble: str | None = "not started"
        self._stop = threading.Event()
        self._sender: Sender | None = None
        self._aside = keeping_aside(settings)

    def healthy(self) -> str | None:
        """None, or what is wrong. One that waits for its place is well."""
        return self._trouble

    @property
    def waiting(self) -> int:
        """Notifications taken and not settled."""
        return self._sender.waiting if self._sender is not None else 0

    def stop(self) -> None:
        """Return from `run` soon."""
        self._stop.set()

    def run(self) -> None:
        """Begin, and begin again whenever the place or Kafka is lost."""
        while not self._stop.is_set():
            try:
                self._trouble = None
                with _lease(self._settings, self._stop) as lease:
                    if lease is not None:
                        asyncio.run(self._serve(lease))
            except (Fenced, JournalLost, KafkaException, kafka.TopicMissing, TimeoutError, Lost) as error:
                self._trouble = f"the sender begins again: {type(error).__name__}: {error}"
                log.warning("alerts.sender.again", error=str(error), kind=type(error).__name__)
                metrics.counter("lovla_restarts_total", cause=type(error).__name__).inc()
                self._stop.wait(_AGAIN_S)

    async def _serve(self, lease: ShardLease) -> None:
        settings = self._settings
        journal = Journal(settings)
        directory = KafkaDirectory(settings, self._clock)
        control: RegisterView[AlertsControl] | None = None
        channels: dict[Channel, ChannelPort] = {}
        inbox: _Inbox | None = None
        sender: Sender | None = None
        working: asyncio.Task[None] | None = None
        try:
            starts = await asyncio.to_thread(journal.open)
            ledger, receipts = await asyncio.to_thread(read_ledger, settings, self._clock.now(), self._aside)
            await asyncio.to_thread(directory.start)
            links = Links(settings.secret_key.get_secret_value().encode(), settings.links_url)
            channels = channels_of(settings, links, self._clock)
            sender = self._sender = Sender(
                journal,
                ledger,
                directory,
                channels,
                self._clock,
                email_workers=EMAILS_UNDER_WAY,
                failpoints=Failpoints(settings.failpoint),
            )
            loop = asyncio.get_running_loop()

            def told(key: str, record: AlertsControl | None) -> None:
                loop.call_soon_threadsafe(self._obey, sender, ledger, key, record)

            control = RegisterView(settings, ALERTS_CONTROL.name, AlertsControl, told)
            await asyncio.to_thread(control.start)
            self._take_up(sender, ledger, directory, starts, control.snapshot())
            inbox = _Inbox(settings, sender, ledger, loop, self._aside, starts, receipts)
            inbox.start()
            log.info("alerts.sender.serves", notifications=starts, ledger=len(ledger), paused=sender.paused)
            working = loop.create_task(sender.run())
            while not self._stop.is_set():
                await asyncio.wait([working], timeout=0.2)
                if working.done():
                    working.result()
                if journal.failure is not None:
                    raise journal.failure
                self._trouble = journal.waits()
                trouble = directory.healthy() or control.healthy() or inbox.trouble
                if trouble is not None:
                    raise Lost(trouble)
                if lease.lost.is_set():
                    raise Lost("the lease was lost: it stood still, or another process has the sender's place")
        finally:
            if inbox is not None:
                await asyncio.to_thread(inbox.close)
            if sender is not None and working is not None:
                sender.stop()  # whatever it is that ends us: what is being handed over is recorded
                await asyncio.wait([working])
            for port in channels.values():
                await port.close()
            await asyncio.to_thread(journal.close)
            directory.close()
            if control is not None:
                control.close()

    def _take_up(
        self,
        sender: Sender,
        ledger: Ledger,
        directory: KafkaDirectory,
        starts: Mapping[int, int],
        told: Mapping[str, AlertsControl],
    ) -> None:
        """What lies behind the committed offsets and is not done: left unsettled, accepted and not brought, or asked for again
        by an operator."""
        for name, known in ledger.open():
            if known.position is not None and _behind(known.position, starts):
                self._load(sender, known.position, retried=retry_key(name) in told)
        for _, known in [*ledger.not_brought()]:
            own = directory.subscription(known.subscription or "")
            if known.position is not None and own is not None and own.fallback is not None:
                found = load(self._settings, known.position, self._aside)
                if found is not None:
                    sender.could_not_bring(found, known.position)
        for key, record in told.items():
            self._obey(sender, ledger, key, record)

    def _obey(self, sender: Sender, ledger: Ledger, key: str, record: AlertsControl | None) -> None:
        """A word of an operator."""
        if key == SWITCH:
            sender.paused = record is not None and record.act == "pause"
            log.warning("alerts.sender.switch", paused=sender.paused)
        elif record is not None and record.notification is not None:
            known = ledger.get(record.notification)
            if known is not None and known.state == "dead" and known.at < record.at and known.position is not None:
                self._load(sender, known.position, retried=True)

    def _load(self, sender: Sender, position: str, *, retried: bool) -> None:
        found = load(self._settings, position, self._aside)
        if found is not None:
            sender.take_again(found, position, retried=retried)


class Lost(Exception):
    """Something that all rests on is gone."""


@contextmanager
def _lease(settings: Settings, stop: threading.Event) -> Iterator[ShardLease | None]:
    lease = ShardLease(settings, ALERTS_CONTROL.name, LEASE_GROUP)
    try:
        yield lease if lease.acquire(stop) is not None else None
    finally:
        lease.close()


def _behind(position: str, starts: Mapping[int, int]) -> bool:
    partition, _, offset = position.partition(":")
    return int(offset) < starts.get(int(partition), 0)


Aside = Callable[[Record, ValidationError], None]
"""Keeps a record aside that nobody can read. Raises KafkaException, TimeoutError."""


def keeping_aside(settings: Settings) -> Aside:
    """As dead letters."""
    producer = kafka.producer(settings, "lovla-alerts-letters")

    def keep(record: Record, error: ValidationError) -> None:
        at = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
        kept = letters.letter(record.topic, record.partition, record.offset, at, record.key, record.value, error)
        letters.write(producer, kept, "alerts.sender")

    return keep


def read_notification(record: Record, aside: Aside) -> Notification | None:
    """None: it is no notification; it is kept aside."""
    try:
        return Notification.model_validate_json(record.value or b"", extra="ignore")  # of a newer writer
    except ValidationError as error:
        aside(record, error)
        return None


def read_delivery(record: Record, aside: Aside) -> Delivery | None:
    """None: it is no delivery; it is kept aside."""
    try:
        return Delivery.model_validate_json(record.value or b"", extra="ignore")
    except ValidationError as error:
        aside(record, error)
        return None


def read_ledger(settings: Settings, now: datetime, aside: Aside) -> tuple[Ledger, dict[int, int]]:
    """What was tried within MEMORY, all of it, to the end of this moment; and that end, by partition. Raises KafkaException,
    TimeoutError."""
    ledger = Ledger()

    def take(record: Record) -> None:
        found = read_delivery(record, aside)
        if found is not None:
            ledger.take(found)

    return ledger, read_deliveries(settings, now - MEMORY, take)


class _Reader:
    """Reads a topic in a thread. `take` gets what came, in the topic's order, and may block; `full`: whether it must wait.
    `together`: what comes within half a second is fetched at once."""

    def __init__(
        self,
        settings: Settings,
        topic: str,
        starts: Mapping[int, int],
        take: Callable[[Sequence[Record]], None],
        full: Callable[[], bool] = lambda: False,
        together: bool = False,
    ) -> None:
        self.trouble: str | None = None
        self.closing = threading.Event()
        self._topic, self._take, self._full = topic, take, full
        config = kafka.consumer_config(settings, "lovla-alerts-sender", "lovla-alerts-sender")
        self._consumer = Consumer(config | ({"fetch.min.bytes": 1_000_000} if together else {}))
        self._consumer.assign([TopicPartition(topic, p, offset) for p, offset in starts.items()])
        self._thread = threading.Thread(target=self._run, name=f"reader-{topic}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self.closing.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        try:
            while not self.closing.is_set():
                if self._full():
                    time.sleep(0.1)
                    continue
                records: list[Record] = []
                for message in self._consumer.consume(500, 0.1):
                    error = message.error()
                    if error is None:
                        records.append(to_record(message))
                    elif error.fatal():
                        raise KafkaException(error)
                    else:
                        log.warning("alerts.reader.error", topic=self._topic, error=error.name())
                if records:
                    self._take(records)
        except Exception as error:
            self.trouble = f"{self._topic} is not read: {type(error).__name__}: {error}"
        finally:
            self._consumer.close()


class _Inbox:
    """Hands what is read to the loop: due notifications, and receipts of what could not be brought."""

    def __init__(
        self,
        settings: Settings,
        sender: Sender,
        ledger: Ledger,
        loop: asyncio.AbstractEventLoop,
        aside: Aside,
        starts: Mapping[int, int],
        receipts: Mapping[int, int],
    ) -> None:
        self._settings, self._sender, self._ledger, self._loop, self._aside = settings, sender, ledger, loop, aside
        self._readers = (
            _Reader(settings, NOTIFICATIONS.name, starts, self._due, lambda: sender.waiting > TAKEN_MOST),
            _Reader(settings, DELIVERIES.name, receipts, self._receipts, together=True),  # nearly all are our own
        )

    def start(self) -> None:
        for one in self._readers:
            one.start()

    @property
    def trouble(self) -> str | None:
        return self._readers[0].trouble or self._readers[1].trouble

    def close(self) -> None:
        for one in self._readers:
            one.close()

    def _due(self, records: Sequence[Record]) -> None:
        """Returns when the loop has them, so that no more wait than `waiting` says."""
        found = [(record, read_notification(record, self._aside)) for record in records]
        taken = threading.Event()

        def take() -> None:
            for record, notification in found:
                if notification is None:
                    self._sender.pass_over(record.partition, record.offset)
                else:
                    self._sender.take(notification, record.partition, record.offset)
            taken.set()

        self._loop.call_soon_threadsafe(take)
        while not taken.wait(0.1):
            if self._readers[0].closing.is_set():
                return

    def _receipts(self, records: Sequence[Record]) -> None:
        for record in records:
            told = read_delivery(record, self._aside)
            if told is None or told.state not in NOT_BROUGHT:
                continue
            known = self._ledger.get(told.notification)
            position = known.position if known is not None else None
            found = load(self._settings, position, self._aside) if position is not None else None
            self._loop.call_soon_threadsafe(self._not_brought, told, found, position)

    def _not_brought(self, told: Delivery, found: Notification | None, position: str | None) -> None:
        self._ledger.take(told)
        if found is not None and position is not None:
            self._sender.could_not_bring(found, position)


def load(settings: Settings, position: str, aside: Aside) -> Notification | None:
    """The notification at a place of its topic."""
    partition, _, offset = position.partition(":")
    records: list[Record] = []
    read_range(settings, NOTIFICATIONS.name, int(partition), int(offset), int(offset) + 1, records.append)
    return read_notification(records[0], aside) if records else None


def main() -> int:
    """Entry point of the process."""
    settings = begin("sender", DeliverySettings)
    process = SenderProcess(settings)
    on_stop(process.stop)
    page = metrics.serve(settings.metrics_port, process.healthy)
    process.run()
    if page is not None:
        page.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
