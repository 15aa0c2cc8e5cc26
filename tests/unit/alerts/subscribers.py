"""The alerts' door over a register in memory, and people who use it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

import httpx
from confluent_kafka import KafkaError, KafkaException
from cryptography.fernet import Fernet
from fastapi import FastAPI
from pydantic import BaseModel

from schemas.alerts_v1 import Acknowledgement, Consent, Notification, Subscription, Suppression
from schemas.registers_v1 import Account, Facility, Sender
from schemas.topics import ACKNOWLEDGEMENTS, CONSENT, NOTIFICATIONS, SUBSCRIPTIONS, SUPPRESSIONS
from schemas.words import Scope
from services.alerts.acts import SUBSCRIBER, Record, Said
from services.alerts.api import build
from services.alerts.door import AlertsDoor
from services.alerts.subscriptions import Store
from services.alerts.wanted import Wanted
from services.ingest.keys import make_key
from services.runtime.clock import ManualClock

M = TypeVar("M", bound=BaseModel)
NOW = datetime(2020, 4, 12, 8, 20, 5, tzinfo=UTC)
SECRET = Fernet.generate_key()
URL = "http://alerts.example"
EMAIL, PHONE = "night.buyer@hospital.example", "+12135550123"


PLACES = tuple(
    Facility(code=code, kind=kind, name=name, zone="America/Los_Angeles")
    for code, kind, name in (
        ("LAC-USC", "hospital", "LA General"),
        ("H-HARBOR", "hospital", "Harbor-UCLA Medical Center"),
        ("H-CEDARS", "hospital", "Cedars-Sinai"),
        ("LA-APMT", "terminal", "APM Terminals Pier 400"),
    )
)
SENDERS = tuple(
    Sender(code=code, kind=kind, name=name, scac=scac)
    for code, kind, name, scac in (
        ("MAEU", "ocean_carrier", "Maersk", "MAEU"),
        ("ONEY", "ocean_carrier", "Ocean Network Express", "ONEY"),
        ("SPEEDY", "trucker", "Speedy Drayage", "SPDR"),
        ("MAEX", "buyer", "Who buys is nobody's business", None),
    )
)


@dataclass
class MemoryRegister:
    """Keeps what is written; what KafkaRegister shows of it, it shows. `refuses_after`: so many records, then Kafka is away."""

    written: list[Record] = field(default_factory=list)
    refuses_after: int | None = None

    def put(self, records: Sequence[Record]) -> None:
        for record in records:
            if self.refuses_after is not None and len(self.written) >= self.refuses_after:
                raise KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN))
            self.written.append(record)

    def subscriptions(self) -> Mapping[str, Subscription]:
        return self._latest(SUBSCRIPTIONS.name, Subscription)

    def suppressions(self) -> Mapping[str, Suppression]:
        return self._latest(SUPPRESSIONS.name, Suppression)

    def consents(self, subscription: str | None = None) -> list[Consent]:
        ledger = [one.model for one in self.written if one.topic is CONSENT and isinstance(one.model, Consent)]
        return [one for one in ledger if subscription in (None, one.subscription)]

    def notifications(self) -> list[Notification]:
        return [one.model for one in self.written if one.topic is NOTIFICATIONS and isinstance(one.model, Notification)]

    def _latest(self, topic: str, model: type[M]) -> dict[str, M]:
        latest: dict[str, M] = {}
        for record in self.written:
            if record.topic.name != topic:
                continue
            latest.pop(record.key, None)
            if isinstance(record.model, model):
                latest[record.key] = record.model
        return latest


class House:
    """Everything that the door stands on, and its clients."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.register = MemoryRegister()
        self.store = Store(self.register, SECRET, URL, self._way_in)
        self.accounts: dict[str, Account] = {}
        self.senders: dict[str, Sender] = {one.code: one for one in SENDERS}
        self.facilities: dict[str, Facility] = {one.code: one for one in PLACES}
        self.written_a_moment_ago: list[Facility] = []  # which the door's view has not read yet
        self.trouble: str | None = None
        self.door = AlertsDoor(
            store=self.store,
            accounts=lambda: self.accounts,
            senders=lambda: self.senders,
            facilities=lambda: self.facilities,
            not_ready=lambda: self.trouble,
            clock=self.clock,
            catch_up=self._catch_up,
        )

    @cached_property
    def _app(self) -> FastAPI:
        """Made when first asked: it costs more than most of what is tried without it."""
        return build(self.door)

    def _catch_up(self) -> None:
        self.facilities |= {one.code: one for one in self.written_a_moment_ago}

    def _way_in(self, said: Acknowledgement) -> None:
        """As ingest.api: it writes what it is told."""
        self.register.put([Record(ACKNOWLEDGEMENTS, said.subscription, said)])

    def http(self, method: str, path: str, host: str = "203.0.113.7", **said: Any) -> httpx.Response:
        """One request, from `host`."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False, client=(host, 40_000))
            async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
                return await client.request(method, path, **said)

        return asyncio.run(ask())

    def key(self, code: str, *scopes: Scope) -> dict[str, str]:
        """The headers of a new key."""
        key, account = make_key(code, scopes, NOW)
        self.accounts[account.key_id] = account
        self.senders[code] = Sender.model_validate({"code": code, "kind": "buyer", "name": code})
        return {"Authorization": f"Bearer {key}"}

    def said(self, by: str = SUBSCRIBER) -> Said:
        return Said(by, "test", self.clock.now())

    def subscribed(self, address: str = EMAIL, owner: str | None = "LACDHS", **words: object) -> Subscription:
        """A confirmed subscription."""
        asked = self.asked(address, owner, **words)
        return self.store.confirm(asked.subscription, self.said())

    def asked(self, address: str = EMAIL, owner: str | None = "LACDHS", **words: object) -> Subscription:
        """One that is asked to confirm."""
        channel = "email" if "@" in address else "sms"
        return self.store.add(Wanted.model_validate({"channel": channel, "address": address} | words), owner, self.said())

    def state(self, subscription: Subscription) -> str:
        return self.store.get(subscription.subscription).state
