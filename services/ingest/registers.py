"""The registers as the way in sees them: senders, facilities, accounts, secrets; followed by views, written by the CLI."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaError, Message, Producer

from schemas.base import Contract
from schemas.registers_v1 import Account, Facility, Secret, Sender
from schemas.topics import ACCOUNTS, FACILITIES, SECRETS, SENDERS, Topic
from services.ingest import readers
from services.ingest.problems import Problem
from services.runtime import kafka
from services.runtime.register import RegisterView
from services.runtime.settings import Settings
from services.runtime.wire import dump


class Registers:
    """Live views of the registers. Before they have caught up once, `check` refuses everything."""

    def __init__(self, settings: Settings) -> None:
        self._senders = RegisterView[Sender](settings, SENDERS.name, Sender)
        self._facilities = RegisterView[Facility](settings, FACILITIES.name, Facility)
        self._accounts = RegisterView[Account](settings, ACCOUNTS.name, Account)
        self._secrets = RegisterView[Secret](settings, SECRETS.name, Secret)
        self._ready, self._changed = threading.Event(), threading.Event()
        self._known = readers.Registers.empty()

    def known(self) -> readers.Registers:
        """Senders and facilities, indexed for the readers; indexed again only after one of them changed."""
        if self._changed.is_set():
            self._changed.clear()  # first: a change that comes while indexing is seen next time
            self._known = readers.Registers.of(list(self.senders.values()), list(self.facilities.values()))
        return self._known

    def start(self) -> None:
        """Return when all views have reached the ends that their topics had; blocks while Kafka is away."""
        for view in (self._senders, self._facilities, self._accounts, self._secrets):
            view.start()
        self._ready.set()

    def stop(self) -> None:
        """End the views."""
        for view in (self._senders, self._facilities, self._accounts, self._secrets):
            view.stop()

    @property
    def ready(self) -> bool:
        return self._ready.is_set()

    def check(self) -> None:
        """Raise Problem 503 until the views have caught up: an unknown key cannot be told from one not read yet."""
        if not self.ready:
            raise Problem("not-ready", "The registers are not read yet.", retry_after_s=2)

    @property
    def senders(self) -> Mapping[str, Sender]:
        return self._senders.items

    @property
    def facilities(self) -> Mapping[str, Facility]:
        return self._facilities.items

    @property
    def accounts(self) -> Mapping[str, Account]:
        return self._accounts.items

    @property
    def secrets(self) -> Mapping[str, Secret]:
        return self._secrets.items


@dataclass(frozen=True)
class Entry:
    """One record for a register; `model` None removes it."""

    topic: Topic
    key: str
    model: Contract | None


def sender_entry(sender: Sender) -> Entry:
    return Entry(SENDERS, sender.code, sender)


def facility_entry(facility: Facility) -> Entry:
    return Entry(FACILITIES, facility.code, facility)


def account_entry(account: Account) -> Entry:
    return Entry(ACCOUNTS, account.key_id, account)


def secret_entry(secret: Secret) -> Entry:
    return Entry(SECRETS, secret.secret_id, secret)


def write(settings: Settings, entries: Iterable[Entry], timeout_s: float = 10.0) -> None:
    """Write register records; returns when Kafka has them all, raises ConnectionError otherwise."""
    config = kafka.producer_config(settings, "lovla-registers") | {"delivery.timeout.ms": int(timeout_s * 1000)}
    producer = Producer(config)
    failed: list[str] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error.str())

    for entry in entries:
        value = None if entry.model is None else dump(entry.model)
        producer.produce(entry.topic.name, value, entry.key.encode(), on_delivery=delivered)
        producer.poll(0)
    left = producer.flush(timeout_s + 1)
    if left or failed:
        raise ConnectionError(f"Kafka at {settings.kafka} did not take the records: {failed[0] if failed else 'no answer'}")
