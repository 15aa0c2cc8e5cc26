"""The alerts' door on a real broker: two of it, a kill -9 of it, and what a webhook's receiver missed."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet

from deploy.local.process import free_ports
from schemas.alerts_v1 import Notification, Subscription
from schemas.topics import NOTIFICATIONS
from services.alerts.acts import SUBSCRIBER, Refused, Said
from services.alerts.delivery_settings import DeliverySettings
from services.alerts.links import Links
from services.alerts.replay import Message, missed, partition_of
from services.alerts.subscriptions import KafkaRegister, Store, TakenOver, redone, view
from services.alerts.wanted import Wanted
from services.alerts.webhook import body, signature
from services.runtime.restore import restore
from services.runtime.settings import Settings
from tests import forks
from tests.integration.alerts.delivering import Desk, a_notification, a_subscription
from tests.integration.alerts.working import settings_of
from tests.integration.ingest.conftest import add_sender
from tests.stack import PORTS, ROOT, Kafka
from tests.waiting import eventually

SECRET = Fernet.generate_key()
URL = "http://alerts.example"
MADE = 40


@pytest.fixture(scope="module")
def told(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> DeliverySettings:
    """A door's settings; no ClickHouse."""
    folder = tmp_path_factory.mktemp("door")
    port = free_ports(1, among=PORTS)[0]
    common = settings_of(kafka.bootstrap, folder).model_dump()
    return DeliverySettings.model_validate({**common, "secret_key": SECRET.decode(), "alerts_port": port})


def said() -> Said:
    return Said(SUBSCRIBER, "test", datetime.now(UTC))


def wanted(address: str) -> Wanted:
    return Wanted.model_validate({"channel": "email", "address": address, "filters": {"consignments": ["NOBODY-0000"]}})


@contextmanager
def a_door(settings: Settings) -> Iterator[Store]:
    register = KafkaRegister(settings)
    register.start_patiently(threading.Event())
    try:
        yield Store(register, SECRET, URL)
    finally:
        register.close()


def as_everybody_sees(settings: Settings, name: str) -> Subscription | None:
    """By a view of its own, which reads all that counts."""
    found = view(settings)
    found.start()
    found.close()
    return found.get(name)


@pytest.mark.timeout(300)
def test_a_door_that_does_not_know_of_another_undoes_nothing_and_decides_anew(told: DeliverySettings) -> None:
    with a_door(told) as first, a_door(told) as second:
        made = redone(lambda: first.add(wanted("two.doors@hospital.example"), None, said()))
        name = redone(lambda: first.confirm(made.subscription, said())).subscription
        eventually(lambda: name in second.all())  # who only reads is a moment behind
        redone(lambda: second.stop(name, "link", said()))
        with pytest.raises(TakenOver):  # the first one still believes that it is active, or knows and may not write
            first.resume(name, said())
            first.pause(name, said())
        kept = as_everybody_sees(told, name)
        assert kept is not None and kept.state == "stopped"
        with pytest.raises(Refused, match="only an active one can be paused"):
            redone(lambda: first.pause(name, said()))
        assert redone(lambda: first.resume(name, said())).state == "active"  # it is the writer now
        eventually(lambda: second.get(name).state == "active")
        assert redone(lambda: second.pause(name, said())).state == "paused"  # and now the other one again
        kept = as_everybody_sees(told, name)
        assert kept is not None and kept.state == "paused"


class Process:
    """The door as a process of its own."""

    def __init__(self, told: DeliverySettings) -> None:
        env = {**os.environ, "LOVLA_KAFKA": told.kafka, "LOVLA_STATE_DIR": str(told.state_dir)}
        env |= {"LOVLA_SECRET_KEY": SECRET.decode(), "LOVLA_ALERTS_PORT": str(told.alerts_port)}
        self.http = httpx.Client(base_url=told.links_url, trust_env=False, timeout=60)
        with (told.state_dir / "door.log").open("ab") as out:
            self._process = forks.popen(
                [sys.executable, "-m", "services.alerts.api"], cwd=ROOT, env=env, stdout=out, stderr=out
            )

    def ready(self) -> bool:
        assert self._process.poll() is None
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait(10)
        self.http.close()


@pytest.mark.timeout(400)
def test_what_was_answered_before_a_kill_is_kept_and_what_was_not_is_done_by_asking_again(told: DeliverySettings) -> None:
    headers, _ = add_sender(told, "LACDHS", "buyer", "alerts")
    answered: dict[int, str] = {}
    stopped: set[str] = set()
    door = Process(told)

    def make(n: int) -> None:
        try:
            answer = door.http.post(
                "/v1/subscriptions",
                json=wanted(f"p{n}@killed.example").model_dump(mode="json", exclude_none=True),
                headers=headers | {"Idempotency-Key": f"killed-{n}"},
            )
            if answer.status_code == 201:
                answered[n] = answer.json()["subscription"]
                stop = f"/v1/subscriptions/{answered[n]}/stop"
                if n % 2 and door.http.post(stop, headers=headers).status_code == 200:
                    stopped.add(answered[n])
        except (httpx.TransportError, RuntimeError):
            return  # it was killed; whoever asked asks again

    try:
        eventually(door.ready)
        eventually(lambda: door.http.get("/v1/subscriptions", headers=headers).status_code == 200)
        with ThreadPoolExecutor(8) as many:
            under_way = [many.submit(make, n) for n in range(MADE)]
            eventually(lambda: len(stopped) >= MADE // 8)
            door.kill()
            for one in under_way:
                one.result(60)
        assert 0 < len(answered) < MADE, "the kill was in the middle"
        before, ended = dict(answered), set(stopped)
        door = Process(told)
        eventually(door.ready)
        eventually(lambda: door.http.get("/v1/subscriptions", headers=headers).status_code == 200)
        for n in range(MADE):
            make(n)
        assert {n: answered[n] for n in before} == before and len(set(answered.values())) == MADE
    finally:
        door.kill()
    kept = view(told)
    kept.start()
    kept.close()
    assert {kept.snapshot()[name].state for name in ended} == {"stopped"}
    asked = [one.subscription for one in notifications(told) if one.purpose == "confirm"]
    assert set(before.values()) <= set(asked)


def notifications(settings: Settings) -> list[Notification]:
    found: list[Notification] = []
    for partition in range(NOTIFICATIONS.partitions):
        restore(
            settings,
            NOTIFICATIONS.name,
            partition,
            lambda record: found.append(Notification.model_validate_json(record.value or b"")),
        )
    return found


def test_a_webhooks_receiver_is_told_what_it_missed_page_by_page(told: DeliverySettings, tmp_path: Path) -> None:
    desk = Desk(told)
    hook = a_subscription("missed", "https://hospital.example/hook", "webhook")
    others = [a_subscription(f"beside-{n}", f"https://{n}.example/hook", "webhook") for n in range(99)]
    other = next(one for one in others if partition_of(one.subscription) == partition_of(hook.subscription))
    due = [a_notification(hook, f"MISSED-{n}") for n in range(5)]
    desk.notify(a_notification(hook, "confirm", purpose="confirm"))
    for message in due:
        desk.notify(message, a_notification(other, message.subject))
    now, secret = datetime.now(UTC), Links(SECRET, URL).webhook_secret(hook.subscription)
    first = missed(told, hook, secret, now, since=now - timedelta(hours=1), limit=2)
    second = missed(told, hook, secret, now, after=first.next)
    assert [len(first.messages), first.more, len(second.messages), second.more] == [2, True, 3, False]
    assert [one.body.encode() for one in (*first.messages, *second.messages)] == [body(one) for one in due]
    for told_again in first.messages:
        assert told_again.headers["webhook-signature"] == signed(secret, told_again)
    assert missed(told, hook, secret, now, after=second.next).messages == ()
    late = a_notification(hook, "MISSED-later")
    desk.notify(late)
    (later,) = missed(told, hook, secret, now, after=second.next).messages  # the cursor waits for what comes
    assert later.headers["webhook-id"] == f"msg_{late.notification}"


def signed(secret: str, message: Message) -> str:
    said = message.headers
    return signature(secret, said["webhook-id"], int(said["webhook-timestamp"]), message.body.encode())
