"""The sender when what it stands on fails: the mail server away and many waiting, the broker killed, a frozen sender back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from deploy.local.mailbox import Message, read
from deploy.local.process import free_ports
from services.runtime.settings import Settings
from tests.integration.alerts.delivering import Desk, a_notification, a_subscription, delivery_settings, eventually, sending
from tests.integration.alerts.mail import Mailbox, a_mail_server
from tests.stack import PORTS, Kafka

WAITING = 300
PEOPLE = 60


def mails(box: Mailbox, domain: str) -> list[Message]:
    return [mail for mail in read(box.folder) if mail.to.endswith(domain)]


@pytest.mark.timeout(600)
def test_many_wait_while_the_mail_server_is_away_and_the_broker_is_killed_and_all_arrive_once(
    settings: Settings, kafka: Kafka, tmp_path: Path
) -> None:
    desk, port = Desk(settings), free_ports(1, among=PORTS)[0]
    people = [a_subscription(f"away-{n}", f"p{n}@away.example") for n in range(PEOPLE)]
    desk.subscribe(*people)
    due = [a_notification(people[n % PEOPLE], f"AWAY-{n}") for n in range(WAITING)]
    with a_mail_server(tmp_path, port) as box:
        told = delivery_settings(settings, **box.settings())
    with sending(told) as process:  # the server is gone
        desk.notify(*due)
        eventually(lambda: process.waiting == WAITING)
        kafka.kill()
        kafka.start()
        began = time.monotonic()
        with a_mail_server(tmp_path, port) as box:
            eventually(lambda: len(mails(box, "away.example")) >= WAITING, 240)
            desk.await_state("accepted", due[-1], within_s=60)
    taken_s = time.monotonic() - began
    copies = Counter(mail.ref for mail in mails(box, "away.example"))
    assert len(copies) == WAITING and set(copies.values()) == {1}, f"{taken_s:.0f} s"
    order = [mail.subject for mail in mails(box, "away.example") if mail.to == "p0@away.example"]
    assert order == [f"AWAY-{n} is late" for n in range(0, WAITING, PEOPLE)]


@pytest.mark.timeout(600)
def test_a_sender_that_was_frozen_hands_nothing_over_once_another_has_its_place(settings: Settings, tmp_path: Path) -> None:
    desk = Desk(settings)
    buyer = a_subscription("frozen", "buyer@frozen.example")
    first, second = a_notification(buyer, "FROZEN-1"), a_notification(buyer, "FROZEN-2")
    desk.subscribe(buyer)
    with a_mail_server(tmp_path) as box:
        told = delivery_settings(settings, **box.settings())
        env = {**os.environ, "LOVLA_STATE_DIR": str(settings.state_dir)}
        env |= {f"LOVLA_{name.upper()}": str(value) for name, value in box.settings().items()}
        with (tmp_path / "frozen.log").open("ab") as out:
            frozen = subprocess.Popen([sys.executable, "-m", "services.alerts.sender"], env=env, stdout=out, stderr=out)
        try:
            desk.notify(first)
            desk.await_state("accepted", first, within_s=150)
            frozen.send_signal(signal.SIGSTOP)
            with sending(told):
                desk.notify(second)
                desk.await_state("accepted", second, within_s=150)
                frozen.send_signal(signal.SIGCONT)
                third = a_notification(buyer, "FROZEN-3")
                desk.notify(third)
                desk.await_state("accepted", third, within_s=150)
                eventually(lambda: "alerts.sender.again" in (tmp_path / "frozen.log").read_text(), 90)
        finally:
            frozen.kill()
            frozen.wait()
        assert [mail.subject for mail in mails(box, "frozen.example")] == [f"FROZEN-{n} is late" for n in (1, 2, 3)]
