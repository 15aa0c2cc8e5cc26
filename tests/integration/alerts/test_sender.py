"""The sender over a real broker, a real SMTP server with TLS and a login, and the SMS provider's API: delivered, and after each
crash. What a crash leaves is named in docs/alerts.md; here each is made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.alerts_v1 import AlertsControl
from services.alerts.control import tell
from services.alerts.delivery_settings import DeliverySettings
from services.runtime.failpoints import EXIT_CODE
from services.runtime.settings import Settings
from tests.integration.alerts.delivering import Desk, a_notification, a_subscription, delivery_settings, eventually, sending
from tests.integration.alerts.mail import Mailbox, a_mailbox


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    with a_mailbox(tmp_path_factory.mktemp("mailbox")) as found:
        yield found


@pytest.fixture(scope="module")
def told(settings: Settings, mailbox: Mailbox) -> DeliverySettings:
    return delivery_settings(settings, **mailbox.settings())


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
    env = {**os.environ, "LOVLA_STATE_DIR": str(told.state_dir), "LOVLA_FAILPOINT": failpoint}
    for name, value in mailbox.settings().items():
        env[f"LOVLA_{name.upper()}"] = str(value)
    with log.open("ab") as out:
        process = subprocess.Popen([sys.executable, "-m", "services.alerts.sender"], env=env, stdout=out, stderr=out)
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
    ],
)
def test_a_crash_loses_nothing_and_doubles_only_at_the_one_named_point(
    told: DeliverySettings,
    desk: Desk,
    mailbox: Mailbox,
    tmp_path: Path,
    channel: str,
    failpoint: str,
    records: list[str],
    copies: int,
) -> None:
    number = f"+1213555{1_000 + ['decided', 'intended', 'sent', 'recorded'].index(failpoint)}"
    address = number if channel == "sms" else f"{failpoint}@crash.example"
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
    if channel == "sms":
        assert len([text for text in mailbox.texts(address) if text.startswith(f"CRASH-{failpoint}")]) == copies
    else:
        mails = [mail for mail in mailbox.mails(address) if mail.subject.startswith(f"CRASH-{failpoint}")]
        assert len(mails) == copies and len({mail.ref for mail in mails}) == 1


@pytest.mark.timeout(400)
def test_the_kill_switch_and_a_dead_one_tried_again_over_kafka(
    told: DeliverySettings, settings: Settings, desk: Desk, mailbox: Mailbox
) -> None:
    buyer = a_subscription("switch", "buyer@switch.example")
    late = a_notification(buyer, "SWITCH-1")
    desk.subscribe(buyer)
    no_mail = delivery_settings(settings, **mailbox.settings() | {"smtp_port": 0})
    with sending(no_mail):
        desk.notify(late)
        desk.await_state("dead", late)
    tell(settings, AlertsControl(act="pause", at=datetime.now(UTC), by="test", reason="wrong plans"))
    tell(
        settings,
        AlertsControl(act="retry", at=datetime.now(UTC) + timedelta(seconds=1), by="test", notification=late.notification),
    )
    second = a_notification(buyer, "SWITCH-2")
    with sending(told) as process:
        desk.notify(second)
        eventually(lambda: process.waiting == 2)
        assert mailbox.mails(buyer.address) == []
        tell(settings, AlertsControl(act="resume", at=datetime.now(UTC), by="test"))
        desk.await_state("accepted", late, second)
    assert {mail.subject for mail in mailbox.mails(buyer.address)} == {"SWITCH-1 is late", "SWITCH-2 is late"}
