"""The sender when what it stands on fails: the mail server away and many waiting, the broker killed, a frozen sender back."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from deploy.local.mailbox import Fault, Message, read
from deploy.local.process import free_ports
from services.runtime.settings import Settings
from tests import forks
from tests.faults.alerts import crowd, leave, twice, wrong
from tests.integration.alerts.delivering import Desk, a_notification, a_subscription, delivery_settings, holds, sending
from tests.integration.alerts.mail import Mailbox, a_mail_server
from tests.integration.alerts.working import settings_of
from tests.stack import PORTS, Kafka
from tests.waiting import eventually

WAITING = 300
PEOPLE = 60


@pytest.fixture(scope="module")
def settings(empty_kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Of the broker alone: the sender needs no ClickHouse."""
    return settings_of(empty_kafka, tmp_path_factory.mktemp("sender"))


def mails(box: Mailbox, domain: str) -> list[Message]:
    return [mail for mail in read(box.folder) if mail.to.endswith(domain)]


@pytest.mark.timeout(600)
def test_many_wait_while_the_mail_server_is_away_and_the_broker_is_killed_and_all_arrive_once(
    settings: Settings, kafka: Kafka, tmp_path: Path
) -> None:
    """The short form of `make faults`' provider_away; some stop, or come to be suppressed, while theirs waits."""
    desk, port = Desk(settings), free_ports(1, among=PORTS)[0]
    people = crowd("away", PEOPLE, WAITING)
    desk.subscribe(*people.everybody)
    with a_mail_server(tmp_path, port) as box:
        told = delivery_settings(settings, **box.settings())
    with sending(told) as process:  # the server is gone
        desk.notify(*people.due)
        gone = {one.subscription for one in people.unwilling}
        eventually(lambda: holds(process, *(one for one in people.due if one.subscription not in gone)))
        leave(desk, people)
        kafka.kill()
        kafka.start()
        began = time.monotonic()
        with a_mail_server(tmp_path, port) as box:
            desk.await_settled(*people.due)
    taken_s = time.monotonic() - began
    came = list(read(box.folder))
    assert wrong(people, came, desk.deliveries(*people.due)) == []
    assert twice(people, came) == 0, f"{taken_s:.0f} s"  # no process died
    order = [mail.subject for mail in came if mail.to == people.wanting[0].address]
    assert order == [f"AWAY-{n} is late" for n in range(0, WAITING, PEOPLE)]


@pytest.mark.timeout(600)
def test_a_sender_that_was_frozen_hands_nothing_over_once_another_has_its_place(settings: Settings, tmp_path: Path) -> None:
    """But, at most, what it was handing over when it was frozen, behind its fence: with the same Message-ID."""
    desk = Desk(settings)
    buyer = a_subscription("frozen", "buyer@frozen.example")
    first, between, second = (a_notification(buyer, f"FROZEN-{n}") for n in (1, 2, 3))
    desk.subscribe(buyer)
    with a_mail_server(tmp_path) as box:
        told = delivery_settings(settings, **box.settings())
        env = {**os.environ, "LOVLA_KAFKA": settings.kafka, "LOVLA_STATE_DIR": str(settings.state_dir)}
        env |= {f"LOVLA_{name.upper()}": str(value) for name, value in box.settings().items()}
        with (tmp_path / "frozen.log").open("ab") as out:
            frozen = forks.popen([sys.executable, "-m", "services.alerts.sender"], env=env, stdout=out, stderr=out)
        try:
            desk.notify(first)
            desk.await_state("accepted", first)
            box.faults.add(Fault("rcpt", "hang", to=buyer.address, hang_s=5))
            desk.notify(between)
            desk.await_state("intent", between)
            frozen.send_signal(signal.SIGSTOP)
            with sending(told):
                desk.notify(second)
                desk.await_state("accepted", between, second)
                frozen.send_signal(signal.SIGCONT)
                third = a_notification(buyer, "FROZEN-4")
                desk.notify(third)
                desk.await_state("accepted", third)
                eventually(lambda: "alerts.sender.again" in (tmp_path / "frozen.log").read_text())
        finally:
            frozen.kill()
            frozen.wait()
        came = mails(box, "frozen.example")
        assert len({mail.ref for mail in came}) == 4 and Counter(mail.subject for mail in came)["FROZEN-2 is late"] <= 2
        assert [mail.subject for mail in came if mail.subject != "FROZEN-2 is late"] == [
            f"FROZEN-{n} is late" for n in (1, 3, 4)
        ]
