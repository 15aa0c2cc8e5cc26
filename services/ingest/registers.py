"""The registers as the way in sees them: senders, facilities, accounts, secrets; followed by views, written by the CLI."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaError, Message, Producer

from schemas.base import Contract
from schemas.registers_v1 import Account, Facility, Secret, Sender
from schemas.topics import ACCOUNTS, FACILITIES, SECRETS, SENDERS, Topic
from services.ingest import mappings, readers
from services.ingest.codemaps import files as codemaps
from services.ingest.codemaps.model import CodeMaps
from services.ingest.mappings_model import Mappings
from services.ingest.partner_files import FOLLOW_S, Followed
from services.ingest.problems import Problem
from services.runtime import kafka, register
from services.runtime.register import RegisterView
from services.runtime.settings import Settings
from services.runtime.wire import dump, headers


class Registers:
    """Live views of the registers, and of the files of code maps and mappings. Before they have caught up once, `check` refuses
    everything. Making one raises BadCodeMap, BadMapping, OSError."""

    def __init__(self, settings: Settings, follow_s: float = FOLLOW_S) -> None:
        self._senders = RegisterView(settings, SENDERS.name, Sender)
        self._facilities = RegisterView(settings, FACILITIES.name, Facility)
        self._accounts = RegisterView(settings, ACCOUNTS.name, Account)
        self._secrets = RegisterView(settings, SECRETS.name, Secret)
        state = settings.state_dir
        self._codemaps = Followed(lambda: codemaps.folder_of(settings.codemaps, state), codemaps.load, follow_s)
        self._mappings = Followed(lambda: mappings.folder_of(settings.mappings, state), mappings.load, follow_s)
        self._views = (self._senders, self._facilities, self._accounts, self._secrets)
        self._ready = False
        self._indexed: tuple[Mapping[str, Sender], Mapping[str, Facility], CodeMaps, Mappings] | None = None
        self._known = readers.Registers.empty()

    def start(self) -> None:
        """Return when every view has reached the end that its topic had. Raises TopicMissing, KafkaException, TimeoutError."""
        for view in self._views:
            view.start()
        self._ready = True

    def start_patiently(self, stop: threading.Event) -> None:
        """Start as soon as Kafka and its topics are there; returns earlier only if `stop` is set."""
        self._ready = register.start_patiently(self._views, stop)

    def stop(self) -> None:
        """End the views; what they hold stays readable."""
        for view in self._views:
            view.close()

    def healthy(self) -> str | None:
        """None, or what is wrong with a view."""
        return next((trouble for view in self._views if (trouble := view.healthy()) is not None), None)

    def check(self) -> None:
        """Raise Problem 503 unless the views have caught up and follow: an unknown key cannot be told from one not read
        yet, nor a revoked one from a live one."""
        if not self._ready or self.healthy() is not None:
            raise Problem("not-ready", "The registers are not read yet, or not any more.", retry_after_s=2)

    def known(self) -> readers.Registers:
        """Senders, facilities, code maps and mappings, indexed for the readers; again only after one of them changed."""
        now = (self._senders.snapshot(), self._facilities.snapshot(), self._codemaps.said(), self._mappings.said())
        indexed = self._indexed
        if indexed is None or any(one is not before for one, before in zip(now, indexed, strict=True)):
            senders, facilities, maps, made = now
            self._known = readers.Registers.of(senders.values(), facilities.values(), maps, made)
            self._indexed = now
        return self._known

    @property
    def senders(self) -> Mapping[str, Sender]:
        return self._senders.snapshot()

    @property
    def facilities(self) -> Mapping[str, Facility]:
        return self._facilities.snapshot()

    @property
    def accounts(self) -> Mapping[str, Account]:
        return self._accounts.snapshot()

    @property
    def secrets(self) -> Mapping[str, Secret]:
        return self._secrets.snapshot()


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
        said = headers(type(entry.model), id=f"{entry.key}", source="registers") if entry.model is not None else []
        producer.produce(entry.topic.name, value, entry.key.encode(), headers=[*said], on_delivery=delivered)
        producer.poll(0)
    left = producer.flush(timeout_s + 1)
    if left or failed:
        raise ConnectionError(f"Kafka at {settings.kafka} did not take the records: {failed[0] if failed else 'no answer'}")
