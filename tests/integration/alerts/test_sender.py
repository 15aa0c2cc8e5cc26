"""The sender over a real broker and a real SMTP server, with TLS and a login."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.mailbox import Faults, MailServer, Message, Store, certificate, read
from deploy.local.process import free_ports
from services.alerts.delivery_settings import DeliverySettings
from services.runtime.settings import Settings
from tests.integration.alerts.delivering import Desk, a_notification, a_subscription, delivery_settings, sending
from tests.stack import PORTS


@dataclass
class Mailbox:
    folder: Path
    faults: Faults
    port: int

    def mails(self, to: str) -> list[Message]:
        return [message for message in read(self.folder) if message.to == to]


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    folder, faults = tmp_path / "mailbox", Faults()
    port = free_ports(1, among=PORTS)[0]
    server = MailServer(Store(folder), faults, port, certificate=certificate(folder), credentials=("lovla", "let me in"))
    server.start()
    yield Mailbox(folder, faults, port)
    server.stop()


@pytest.fixture
def told(settings: Settings, mailbox: Mailbox) -> DeliverySettings:
    return delivery_settings(
        settings,
        smtp_port=mailbox.port,
        smtp_ca=mailbox.folder / "tls.pem",
        smtp_user="lovla",
        smtp_password="let me in",
        smtp_timeout_s=5,
    )


@pytest.fixture
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
    assert accepted.message_id == mail.ref and accepted.provider_ref == "M000001"
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
