"""The sender over a real broker, a real SMTP server with TLS and a login, and the SMS provider's API: delivered, and after each
crash. What a crash leaves is named in docs/alerts.md; here each is made."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from deploy.local.mailbox import Fault
from deploy.local.process import free_ports
from schemas.alerts_v1 import AlertsControl, Delivery, Notification, Subscription
from schemas.topics import NOTIFICATIONS
from services.alerts.addresses import Hasher
from services.alerts.bounces import Verp
from services.alerts.callbacks import Callbacks, KafkaTold
from services.alerts.control import tell
from services.alerts.delivery_settings import DeliverySettings
from services.alerts.journal import Fenced, Journal
from services.alerts.providers_sms import provider
from services.alerts.sender import keeping_aside, read_notification
from services.cli import assemble
from services.ingest.records import read_letters
from services.runtime.clock import SystemClock
from services.runtime.failpoints import EXIT_CODE
from services.runtime.settings import Settings
from services.runtime.sources import Record
from tests import forks
from tests.integration.alerts.delivering import Desk, a_notification, a_subscription, delivery_settings, holds, sending
from tests.integration.alerts.mail import Mailbox, a_mailbox, serving
from tests.integration.alerts.test_webhook import LOOPBACK, Receiver
from tests.integration.alerts.working import settings_of
from tests.stack import PORTS
from tests.waiting import eventually


@pytest.fixture(scope="module")
def settings(empty_kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Of the broker alone: the sender needs no ClickHouse."""
    return settings_of(empty_kafka, tmp_path_factory.mktemp("sender"))


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    with a_mailbox(tmp_path_factory.mktemp("mailbox")) as found:
        yield found


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """A webhook's."""
    found = Receiver()
    with serving(found.app()) as url:
        found.url = url
        yield found


@pytest.fixture(scope="module")
def told(settings: Settings, mailbox: Mailbox) -> DeliverySettings:
    return delivery_settings(settings, **mailbox.settings(), webhook_allow=LOOPBACK)


@pytest.fixture(scope="module")
def desk(settings: Settings) -> Desk:
    return Desk(settings)


def test_a_due_notification_is_a_mail_in_the_subscribers_box_and_a_delivery_in_kafka(
    told: DeliverySettings, desk: Desk, mailbox: Mailbox
) -> None:
    buyer = a_subscription("slice", "buyer@slice.example")
    late = a_notification(buyer, "SLICE-0001")
    desk.subscribe(buyer)
    with sending(told):
        desk.notify(late)
        desk.await_state("accepted", late)
    intent, accepted = desk.deliveries(late)
    [mail] = mailbox.mails("buyer@slice.example")
    assert mail.subject == "SLICE-0001 is late" and "not discharged 18 h" in mail.text and "SLICE-0001" in mail.html
    assert (intent.state, accepted.state, accepted.attempt) == ("intent", "accepted", 1)
    assert accepted.message_id == mail.ref and accepted.provider_ref is not None
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def dies_at(failpoint: str, told: DeliverySettings, mailbox: Mailbox, log: Path) -> None:
    """A sender in a process of its own, which is ended there as by kill -9."""
    env = {**os.environ, "LOVLA_KAFKA": told.kafka, "LOVLA_STATE_DIR": str(told.state_dir), "LOVLA_FAILPOINT": failpoint}
    for name, value in (mailbox.settings() | {"webhook_allow": LOOPBACK}).items():
        env[f"LOVLA_{name.upper()}"] = str(value)
    with log.open("ab") as out:
        process = forks.popen([sys.executable, "-m", "services.alerts.sender"], env=env, stdout=out, stderr=out)
    try:
        assert process.wait(150) == EXIT_CODE, log.read_text()[-2_000:]
    finally:
        process.kill()
        process.wait()


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("channel", "failpoint", "records", "copies"),
    [
        ("email", "decided", ["intent", "accepted"], 1),
        ("email", "intended", ["intent", "intent", "accepted"], 1),
        ("email", "sent", ["intent", "intent", "accepted"], 2),  # the one named point
        ("email", "recorded", ["intent", "accepted"], 1),
        ("sms", "intended", ["intent", "intent", "accepted"], 1),
        ("sms", "sent", ["intent", "accepted"], 1),  # it asked first
        ("webhook", "intended", ["intent", "intent", "accepted"], 1),
        ("webhook", "sent", ["intent", "intent", "accepted"], 2),  # the named point again
    ],
)
def test_a_crash_loses_nothing_and_doubles_only_at_the_one_named_point(
    told: DeliverySettings,
    desk: Desk,
    mailbox: Mailbox,
    receiver: Receiver,
    tmp_path: Path,
    channel: str,
    failpoint: str,
    records: list[str],
    copies: int,
) -> None:
    number = f"+1213555{1_000 + ['decided', 'intended', 'sent', 'recorded'].index(failpoint)}"
    address = {"sms": number, "webhook": f"{receiver.url}/hook"}.get(channel, f"{failpoint}@crash.example")
    buyer = a_subscription(f"crash-{channel}-{failpoint}", address, channel)
    late = a_notification(buyer, f"CRASH-{failpoint}")
    desk.subscribe(buyer)
    desk.notify(late)
    dies_at(failpoint, told, mailbox, tmp_path / "sender.log")
    with sending(told):
        desk.await_state("accepted", late)
        after = a_notification(buyer, f"AFTER-{failpoint}")  # whatever else it meant to send has gone by then
        desk.notify(after)
        desk.await_state("accepted", after)
    assert desk.states(late) == records
    if channel == "webhook":
        got = [(headers["webhook-id"], body) for headers, body in receiver.got if f"CRASH-{failpoint}".encode() in body]
        assert len(got) == copies and len(set(got)) == 1
    elif channel == "sms":
        assert len([text for text in mailbox.texts(address) if text.startswith(f"CRASH-{failpoint}")]) == copies
    else:
        mails = [mail for mail in mailbox.mails(address) if mail.subject.startswith(f"CRASH-{failpoint}")]
        assert len(mails) == copies and len({mail.ref for mail in mails}) == 1


def lovla(settings: Settings, *verb: str) -> Result:
    """A verb of the command line, over this broker."""
    return CliRunner().invoke(
        assemble(), [*verb], env={"LOVLA_KAFKA": settings.kafka, "LOVLA_STATE_DIR": str(settings.state_dir)}
    )


@pytest.mark.timeout(400)
def test_the_kill_switch_and_a_dead_one_tried_again_by_their_verbs(
    told: DeliverySettings, settings: Settings, desk: Desk, mailbox: Mailbox
) -> None:
    buyer = a_subscription("switch", "buyer@switch.example")
    late = a_notification(buyer, "SWITCH-1")
    desk.subscribe(buyer)
    no_mail = delivery_settings(settings, **mailbox.settings() | {"smtp_port": 0})
    with sending(no_mail):
        desk.notify(late)
        desk.await_state("dead", late)
    dead = {
        one["notification"]: one for one in map(json.loads, lovla(settings, "alerts", "dead", "--json").stdout.splitlines())
    }
    assert dead[late.notification]["reason"] == "no_provider" and buyer.address not in json.dumps(dead)
    assert lovla(settings, "alerts", "retry").exit_code == 1
    strange = lovla(settings, "alerts", "retry", "ab" * 16)
    assert strange.exit_code == 1 and "is not dead" in strange.stderr
    asked = lovla(settings, "alerts", "retry", late.notification, "--by", "maria", "--json")
    assert json.loads(asked.stdout) == {"notification": late.notification, "asked": True}
    second = a_notification(buyer, "SWITCH-2")
    paused = lovla(settings, "alerts", "pause", "wrong plans", "--by", "maria")
    assert paused.exit_code == 0, paused.output
    try:
        assert "PAUSED since" in lovla(settings, "alerts", "status").stdout
        with sending(told) as process:
            desk.notify(second)
            eventually(lambda: holds(process, late, second))
            assert mailbox.mails(buyer.address) == []
            assert "messages go out" in lovla(settings, "alerts", "resume").stdout
            desk.await_state("accepted", late, second)
    finally:
        tell(settings, AlertsControl(act="resume", at=datetime.now(UTC), by="test"))  # or every later sender here stands still
    assert {mail.subject for mail in mailbox.mails(buyer.address)} == {"SWITCH-1 is late", "SWITCH-2 is late"}
    assert late.notification not in lovla(settings, "alerts", "dead", "--json").stdout


@pytest.mark.timeout(400)
def test_a_text_that_could_not_be_brought_goes_by_mail_whether_the_sender_runs_just_then_or_not(
    told: DeliverySettings, desk: Desk, mailbox: Mailbox, tmp_path: Path
) -> None:
    """Or dies after it heard of it."""
    mailed = a_subscription("other-way", "buyer@other-way.example")
    texted = a_subscription("not-brought", "+12135552001", "sms", fallback=mailed.subscription)
    first, second, third = (a_notification(texted, f"BROUGHT-{n}") for n in (1, 2, 3))
    desk.subscribe(mailed, texted)

    def could_not(one: Notification) -> None:
        common = {"notification": one.notification, "subscription": one.subscription, "attempt": 1, "state": "undelivered"}
        desk.tell(Delivery.model_validate(common | {"address_hash": texted.address_hash, "at": datetime.now(UTC)}))

    with sending(told):
        desk.notify(first, second, third)
        desk.await_state("accepted", first, second, third)
        could_not(first)
        eventually(lambda: len(mailbox.mails(mailed.address)) == 1)
    could_not(second)
    with sending(told):
        eventually(lambda: len(mailbox.mails(mailed.address)) == 2)
        eventually(lambda: desk.states(second)[3:] == ["intent", "accepted"])
    could_not(third)
    dies_at("decided", told, mailbox, tmp_path / "sender.log")
    with sending(told):
        eventually(lambda: desk.states(third)[3:] == ["intent", "accepted"])
    assert [mail.subject for mail in mailbox.mails(mailed.address)] == [f"BROUGHT-{n} is late" for n in (1, 2, 3)]
    assert len(mailbox.texts(texted.address)) == 3
    for one in (first, second, third):
        assert desk.states(one) == ["intent", "accepted", "undelivered", "intent", "accepted"]


@pytest.mark.timeout(400)
def test_a_receipt_that_the_provider_tells_twice_sends_one_mail(told: DeliverySettings, desk: Desk, mailbox: Mailbox) -> None:
    """The provider's own requests, signed, to the callbacks' addresses, over Kafka, to a sender that runs."""
    mailed = a_subscription("told-twice-mail", "buyer@told-twice.example")
    number = "+12135552101"
    hasher = Hasher(told.secret_key.get_secret_value().encode())
    texted = a_subscription("told-twice", number, "sms", fallback=mailed.subscription, address_hash=hasher.of("sms", number))
    late, after = a_notification(texted, "TWICE-1"), a_notification(mailed, "TWICE-2")
    all_of_it = ["accepted", "accepted", "intent", "intent", "undelivered", "undelivered"]
    desk.subscribe(mailed, texted)
    port = free_ports(1, among=PORTS)[0]
    here = delivery_settings(told, public_url=f"http://127.0.0.1:{port}")
    app = FastAPI()
    verp = Verp(b"secret", "bounces.lovla.example")
    heard = Callbacks(
        provider(here), Nobody(), KafkaTold(here), dict[str, Subscription]().get, hasher, verp, SystemClock(), here.links_url
    )
    app.include_router(heard.router())
    with serving(app, port), sending(here):
        mailbox.faults.add(Fault("callback", "undelivered twice", to=number))
        desk.notify(late)
        eventually(lambda: sorted(desk.states(late)) == all_of_it)
        desk.notify(after)  # in the same lane, behind whatever else was begun
        desk.await_state("accepted", after)
    assert sorted(desk.states(late)) == all_of_it
    assert [mail.subject for mail in mailbox.mails(mailed.address)] == ["TWICE-1 is late", "TWICE-2 is late"]
    assert len(mailbox.texts(number)) == 1


class Nobody:
    """Nobody answers."""

    def take(self, number: str, text: str, ref: str = "") -> str | None:
        raise AssertionError


def test_a_journal_that_was_fenced_refuses_intents_and_still_writes_results(settings: Settings, desk: Desk) -> None:
    buyer = a_subscription("fenced", "buyer@fenced.example")
    late = a_notification(buyer, "FENCED-1")
    common = {"notification": late.notification, "subscription": late.subscription, "address_hash": buyer.address_hash}
    intent, accepted = (
        Delivery.model_validate(common | {"attempt": 1, "at": datetime.now(UTC), "state": state})
        for state in ("intent", "accepted")
    )

    async def write(journal: Journal) -> None:
        with pytest.raises(Fenced):
            await journal.write(intent, fence=True)
        await journal.write(accepted)

    old, new = Journal(settings), Journal(settings)
    try:
        old.open()
        new.open()
        asyncio.run(write(old))
    finally:
        old.close()
        new.close()
    assert desk.states(late)[-1] == "accepted" and isinstance(old.failure, Fenced)


def test_a_notification_that_nobody_can_read_is_a_dead_letter(settings: Settings) -> None:
    record = Record(NOTIFICATIONS.name, 3, 7, 1_767_225_600_000, b"unreadable-to-sender", b"{", None)
    assert read_notification(record, keeping_aside(settings)) is None
    found = [letter for letter in read_letters(settings) if letter.sender == "unreadable-to-sender"]
    assert [(one.stage, one.where, one.payload) for one in found] == [("alerts", f"{NOTIFICATIONS.name}/3/7", "ew==")]
