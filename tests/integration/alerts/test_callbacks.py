"""What the SMS provider tells us, by the simulator's own requests: receipts, answers, forgeries; and mail that came back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from confluent_kafka import KafkaError, KafkaException
from fastapi import FastAPI

from deploy.local.mailbox import Fault, Faults, Store
from deploy.local.process import free_ports
from deploy.local.sms_simulator import Account, Simulator
from schemas.alerts_v1 import Delivery, Suppression
from services.alerts.addresses import Hasher
from services.alerts.attempts import Ledger
from services.alerts.bounces import Verp, report
from services.alerts.callbacks import Callbacks
from services.alerts.delivery_settings import DeliverySettings
from services.alerts.providers_sms import provider
from services.runtime.clock import SystemClock
from tests.integration.alerts.delivering import a_subscription
from tests.integration.alerts.mail import serving
from tests.stack import PORTS
from tests.waiting import eventually

NUMBER, NOTIFICATION, SUBSCRIPTION = "+12135550100", "ab" * 16, "s" * 16
BUYER = a_subscription("buyer", "buyer@hospital.example")
VERP = Verp(b"secret", "bounces.lovla.example")


@dataclass
class Heard:
    """What was written and obeyed."""

    deliveries: list[Delivery] = field(default_factory=list)
    suppressions: list[Suppression] = field(default_factory=list)
    words: list[tuple[str, str]] = field(default_factory=list)
    failures: int = 0

    def take(self, number: str, text: str, ref: str = "") -> str | None:
        if self.failures:
            self.failures -= 1
            raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT))
        self.words.append((number, text))
        return "LoVLA: stopped & done."

    def delivery(self, record: Delivery) -> None:
        self.deliveries.append(record)

    def suppress(self, record: Suppression) -> None:
        self.suppressions.append(record)


@dataclass
class World:
    heard: Heard
    url: str
    sms_url: str
    faults: Faults
    callbacks: Callbacks


@pytest.fixture(scope="module", params=["twilio", "vonage"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    heard, faults, folder = Heard(), Faults(), tmp_path_factory.mktemp("box")
    port = free_ports(1, among=PORTS)[0]
    base = f"http://127.0.0.1:{port}"
    account = Account("AClocal", "token", "+15005550006", f"{base}/sms/inbound")
    with serving(Simulator(Store(folder), faults, account).app()) as sms_url:
        told = {"kafka": "nobody", "sms_url": sms_url, "sms_token": "token", "sms_provider": request.param}
        callbacks = Callbacks(
            provider(DeliverySettings.model_validate(told)),
            heard,
            heard,
            {BUYER.subscription: BUYER}.get,
            Hasher(b"secret"),
            VERP,
            SystemClock(),
            base,
        )
        app = FastAPI()
        app.include_router(callbacks.router())
        with serving(app, port) as url:
            yield World(heard, url, sms_url, faults, callbacks)


@pytest.fixture(autouse=True)
def fresh(world: World) -> None:
    world.heard.deliveries.clear()
    world.heard.words.clear()
    world.heard.suppressions.clear()
    world.faults.clear()


def send(world: World) -> None:
    """As the sender does; by plain HTTP, so that no loop is shared with the server's."""
    callback = f"{world.url}/sms/status?n={NOTIFICATION}&s={SUBSCRIPTION}"
    twilio = {"To": NUMBER, "Body": "late", "StatusCallback": callback}
    vonage = {
        "api_key": "AClocal",
        "api_secret": "token",
        "to": NUMBER[1:],
        "text": "late",
        "callback": callback,
        "client-ref": NOTIFICATION,
    }
    assert world.callbacks.provider is not None
    if world.callbacks.provider.name == "twilio":
        path = "/2010-04-01/Accounts/AClocal/Messages.json"
        httpx.post(f"{world.sms_url}{path}", data=twilio, auth=("AClocal", "token")).raise_for_status()
    else:
        httpx.post(f"{world.sms_url}/sms/json", data=vonage).raise_for_status()


def test_a_receipt_becomes_a_delivery(world: World) -> None:
    send(world)
    eventually(lambda: bool(world.heard.deliveries))
    record = world.heard.deliveries[0]
    assert (record.state, record.notification, record.subscription) == ("delivered", NOTIFICATION, SUBSCRIPTION)
    assert record.address_hash == Hasher(b"secret").of("sms", NUMBER) and NUMBER[1:] not in record.model_dump_json()


def test_a_text_that_could_not_be_brought_says_so(world: World) -> None:
    world.faults.add(Fault("callback", "undelivered"))
    send(world)
    eventually(lambda: [record.state for record in world.heard.deliveries] == ["undelivered"])


@pytest.mark.parametrize(("how", "state"), [("twice", "delivered"), ("undelivered twice", "undelivered")])
def test_a_receipt_that_comes_twice_says_twice_the_same(world: World, how: str, state: str) -> None:
    world.faults.add(Fault("callback", how))
    send(world)
    eventually(lambda: len(world.heard.deliveries) == 2)
    first, second = world.heard.deliveries
    assert second == first.model_copy(update={"at": second.at}) and first.state == state
    once, twice = Ledger(), Ledger()
    for ledger, told in ((once, [first]), (twice, [first, second])):
        for record in told:
            ledger.take(record.model_copy(update={"at": first.at}))
    assert twice.get(NOTIFICATION) == once.get(NOTIFICATION)


def test_an_answer_is_obeyed_and_answered(world: World) -> None:
    shape = world.callbacks.provider.name if world.callbacks.provider else ""
    said = httpx.post(
        f"{world.sms_url}/local/reply", json={"from": NUMBER, "text": "Please stop", "shape": shape}, timeout=30
    ).json()
    assert world.heard.words == [(NUMBER, "Please stop")] and said["told"]
    if shape == "twilio":
        assert said["reply"] == "LoVLA: stopped & done."


def test_an_answer_that_could_not_be_written_is_brought_again(world: World) -> None:
    world.heard.failures = 1
    shape = world.callbacks.provider.name if world.callbacks.provider else ""
    httpx.post(f"{world.sms_url}/local/reply", json={"from": NUMBER, "text": "STOP", "shape": shape}, timeout=30)
    assert world.heard.words == [(NUMBER, "STOP")]


@pytest.mark.parametrize("path", ["/sms/inbound", "/sms/status?n=" + NOTIFICATION + "&s=" + SUBSCRIPTION])
def test_what_nobody_signed_is_refused(world: World, path: str) -> None:
    forged = {"From": NUMBER, "Body": "STOP", "msisdn": NUMBER[1:], "text": "STOP", "MessageStatus": "delivered", "To": NUMBER}
    for headers in ({}, {"X-Twilio-Signature": "AAAA"}):
        answer = httpx.post(world.url + path, data={**forged, "sig": "AA", "timestamp": "1"}, headers=headers)
        assert answer.status_code == 403
    assert world.heard.words == [] and world.heard.deliveries == []


def test_a_bounce_suppresses_the_address_that_it_is_about_and_a_forged_one_nothing(world: World) -> None:
    good = report(
        VERP.sender(BUYER.subscription, NOTIFICATION),
        b"Subject: x\r\n\r\n",
        BUYER.address,
        "5.1.1",
        f"550 {BUYER.address} unknown",
    )
    assert httpx.post(f"{world.url}/mail/bounce", content=good.as_bytes()).status_code == 204
    [record], [suppression] = world.heard.deliveries, world.heard.suppressions
    assert (record.state, suppression.reason, suppression.address_hash) == ("bounced", "bounced", BUYER.address_hash)
    assert BUYER.address not in record.model_dump_json()
    forged = report(
        Verp(b"other", "bounces.lovla.example").sender(BUYER.subscription, NOTIFICATION), b"", "x@y.example", "5.1.1", "no"
    )
    assert httpx.post(f"{world.url}/mail/bounce", content=forged.as_bytes()).status_code == 422
    assert len(world.heard.suppressions) == 1
