"""Mail over a real SMTP server that refuses, delays, hangs and drops: what each answer is taken for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.mailbox import Fault
from deploy.local.process import free_ports
from services.alerts import email
from services.alerts.attempts import Answer
from services.alerts.delivery_settings import DeliverySettings
from services.alerts.links import Links
from services.alerts.providers_smtp import Smtp
from tests.integration.alerts.delivering import a_notification, a_subscription
from tests.integration.alerts.mail import Mailbox, a_mail_server
from tests.stack import PORTS

BUYER = a_subscription("buyer", "buyer@hospital.example")
LINKS = Links(b"secret", "https://alerts.example")
MAILER = email.Mailer("LoVLA alerts", "alerts@lovla.example", "bounces.lovla.example")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Mailbox]:
    with a_mail_server(tmp_path) as found:
        yield found


def told(box: Mailbox, **more: Any) -> DeliverySettings:
    return DeliverySettings.model_validate({"kafka": "nobody", **box.settings(), **more})


async def hand_over(smtp: Smtp, what: str = "A-1") -> Answer:
    mail = email.write(a_notification(BUYER, what), BUYER, LINKS, MAILER)
    return await smtp.send(mail.content, BUYER.address, "b+x@bounces.lovla.example")


async def send(box: Mailbox, what: str = "A-1", **more: Any) -> Answer:
    smtp = Smtp(told(box, **more))
    try:
        return await hand_over(smtp, what)
    finally:
        await smtp.close()


async def test_a_mail_is_taken_over_tls_after_a_login(box: Mailbox) -> None:
    answer = await send(box)
    assert (answer.kind, answer.provider_ref) == ("accepted", "M000001")
    [mail] = box.mails(BUYER.address)
    assert mail.sender == "b+x@bounces.lovla.example" and mail.subject == "A-1 is late"


async def test_several_mails_go_over_one_connection(box: Mailbox) -> None:
    smtp = Smtp(told(box, smtp_connections=1))
    answers = [await hand_over(smtp, f"A-{n}") for n in range(5)]
    connections = {id(client) for client, _, _ in smtp._idle}
    await smtp.close()
    assert {answer.kind for answer in answers} == {"accepted"} and len(connections) == 1
    assert len(box.mails(BUYER.address)) == 5


@pytest.mark.parametrize(
    ("where", "how", "kind", "reason", "suppress"),
    [
        ("rcpt", "451 4.7.1 Greylisted, please try again later", "later", "greylisted", None),
        ("rcpt", "450 4.2.1 mailbox busy", "later", "mailbox_busy", None),
        ("rcpt", "452 4.2.2 mailbox full", "later", "mailbox_busy", None),
        ("rcpt", "550 5.1.1 <buyer@hospital.example>: no such user", "refused", "no_such_mailbox", "bounced"),
        ("rcpt", "550 no such user here", "refused", "no_such_mailbox", "bounced"),
        ("rcpt", "550 5.7.1 not with this sender", "refused", "mail_refused", None),
        ("rcpt", "552 5.2.2 mailbox full", "refused", "mail_refused", None),
        ("data", "554 5.6.0 looks like spam", "refused", "mail_refused", None),
        ("data", "451 4.3.0 try later", "later", "mailbox_busy", None),
        ("mail", "451 4.3.2 system not accepting", "away", "provider_busy", None),
        ("mail", "421 4.3.2 shutting down", "away", "provider_busy", None),
        ("rcpt", "421 4.3.2 shutting down", "away", "provider_busy", None),
        ("mail", "530 5.7.0 who are you", "away", "provider_refuses_us", None),
        ("rcpt", "hang", "away", "timeout", None),
        ("rcpt", "drop", "away", "disconnected", None),
        ("data", "hang", "unknown", "timeout", None),
        ("data", "drop", "unknown", "disconnected", None),
    ],
)
async def test_what_an_answer_means(box: Mailbox, where: str, how: str, kind: str, reason: str, suppress: str | None) -> None:
    box.faults.add(Fault(where, how, hang_s=30))
    answer = await send(box, smtp_timeout_s=1)
    assert (answer.kind, answer.reason, answer.suppress) == (kind, reason, suppress)
    assert box.mails(BUYER.address) == []
    assert (await send(box)).kind == "accepted", "and then all is well again"


async def test_a_refused_recipient_leaves_the_connection_usable(box: Mailbox) -> None:
    box.faults.add(Fault("rcpt", "550 5.1.1 no such user"))
    smtp = Smtp(told(box, smtp_connections=1))
    assert [(await hand_over(smtp, f"A-{n}")).kind for n in range(2)] == ["refused", "accepted"]
    await smtp.close()


@pytest.mark.parametrize("how", ["drop", "421 4.4.2 idle for too long"])
async def test_a_connection_that_its_server_has_ended_costs_no_attempt(box: Mailbox, how: str) -> None:
    smtp = Smtp(told(box, smtp_connections=1))
    assert (await hand_over(smtp, "A-1")).kind == "accepted"
    box.faults.add(Fault("mail", how))
    assert (await hand_over(smtp, "A-2")).kind == "accepted"
    await smtp.close()
    assert [mail.subject for mail in box.mails(BUYER.address)] == ["A-1 is late", "A-2 is late"]


async def test_a_mail_whose_answer_is_lost_has_the_same_bytes_and_message_id_the_second_time(box: Mailbox) -> None:
    box.faults.add(Fault("data", "lose"))
    late = a_notification(BUYER, "A-1")
    smtp = Smtp(told(box))
    answers = []
    for _ in range(2):
        answers.append(
            await smtp.send(email.write(late, BUYER, LINKS, MAILER).content, BUYER.address, "b+x@bounces.lovla.example")
        )
    await smtp.close()
    assert [answer.kind for answer in answers] == ["unknown", "accepted"]
    first, second = box.mails(BUYER.address)
    assert first.ref == second.ref
    assert (box.folder / "000001.eml").read_bytes() == (box.folder / "000002.eml").read_bytes()


async def test_a_wrong_password_is_the_providers_trouble_and_not_the_addresss(box: Mailbox) -> None:
    answer = await send(box, smtp_password="wrong")
    assert (answer.kind, answer.reason) == ("away", "not_authenticated")


async def test_a_certificate_that_nobody_vouches_for_is_refused(box: Mailbox) -> None:
    answer = await send(box, smtp_ca=None)
    assert (answer.kind, answer.reason) == ("away", "not_reached")
    assert box.mails(BUYER.address) == []


async def test_a_server_that_is_not_there_is_away(box: Mailbox) -> None:
    answer = await send(box, smtp_port=free_ports(1, among=PORTS)[0])
    assert (answer.kind, answer.reason) == ("away", "not_reached")


async def test_implicit_tls(tmp_path: Path) -> None:
    with a_mail_server(tmp_path, implicit_tls=True) as box:
        assert (await send(box, smtp_tls="implicit")).kind == "accepted"
        assert len(box.mails(BUYER.address)) == 1
