"""The alerts' door as a real process over a real broker: from the request to the confirmed subscription in everybody's view."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition
from cryptography.fernet import Fernet

from deploy.local import environment, topics
from deploy.local.process import free_ports
from schemas.alerts_v1 import Consent, Notification
from schemas.topics import CONSENT, NOTIFICATIONS, Topic
from services.alerts.links import Links
from services.alerts.settings import AlertsSettings
from services.alerts.subscriptions import view
from services.runtime import kafka as clients
from tests.integration.ingest.conftest import Process, add_sender, eventually
from tests.stack import PORTS, Kafka

EMAIL = "night.buyer@hospital.example"


class AlertsApi(Process):
    """The alerts' door."""

    def __init__(self, settings: AlertsSettings, log: Path, **env: str) -> None:
        super().__init__("services.alerts.api", settings, log, **env)
        self.http = httpx.Client(base_url=settings.links_url, trust_env=False, timeout=20)

    def ready(self) -> bool:
        assert self.running, self.log.read_text()
        with contextlib.suppress(httpx.TransportError):
            return self.http.get("/readyz").status_code == 200
        return False


@pytest.fixture(scope="module")
def settings(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> AlertsSettings:
    state_dir = tmp_path_factory.mktemp("alerts-state")
    told = {
        "LOVLA_KAFKA": kafka.bootstrap,
        "LOVLA_SECRET_KEY": Fernet.generate_key().decode(),
        "LOVLA_ALERTS_PORT": str(free_ports(1, among=PORTS)[0]),
    }
    environment.write(state_dir, told)
    topics.declare(kafka.bootstrap, shards=1)
    return AlertsSettings.load(state_dir)


@pytest.fixture(scope="module")
def api(settings: AlertsSettings) -> Iterator[AlertsApi]:
    door = AlertsApi(settings, settings.state_dir / "alerts-api.log")
    try:
        eventually(door.ready)
        yield door
    finally:
        door.stop()


@pytest.fixture(scope="module")
def key(api: AlertsApi, settings: AlertsSettings) -> dict[str, str]:
    headers, _ = add_sender(settings, "LACDHS", "buyer", "alerts")
    eventually(lambda: api.http.get("/v1/subscriptions", headers=headers).status_code == 200)
    return headers


def records(settings: AlertsSettings, topic: Topic, key: str | None = None) -> list[bytes]:
    """Every value of the topic (of one key), as committed now."""
    consumer = Consumer(clients.consumer_config(settings, "test", "test"))
    found = []
    try:
        for partition in range(topic.partitions):
            end = clients.end_offset(settings, topic.name, partition)
            consumer.assign([TopicPartition(topic.name, partition, 0)])
            while end and consumer.position([TopicPartition(topic.name, partition)])[0].offset < end:
                message = consumer.poll(10)
                assert message is not None and message.error() is None, topic.name
                if key in (None, (message.key() or b"").decode()):
                    found.append(message.value() or b"")
    finally:
        consumer.close()
    return found


def test_a_subscription_is_asked_for_and_counts_once_its_address_said_yes(
    api: AlertsApi, settings: AlertsSettings, key: dict[str, str]
) -> None:
    body = {"channel": "email", "address": EMAIL, "filters": {"facilities": ["LAC-USC"]}}
    answer = api.http.post("/v1/subscriptions", json=body, headers=key)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["state"] == "unconfirmed"

    (request,) = [Notification.model_validate_json(value) for value in records(settings, NOTIFICATIONS, made["subscription"])]
    assert request.purpose == "confirm"
    assert EMAIL not in request.model_dump_json()

    everybody = view(settings)
    everybody.start()
    try:
        kept = everybody.get(made["subscription"])
        assert kept is not None and kept.address == EMAIL
        link = Links(settings.secret_key.get_secret_value().encode(), settings.links_url).confirm(kept)
        shown = api.http.get(link)
        assert shown.status_code == 200 and "Yes, send me these messages" in shown.text
        unchanged = everybody.get(made["subscription"])
        assert unchanged is not None and unchanged.state == "unconfirmed", "GET changed it"

        assert "Confirmed" in api.http.post(link).text

        def is_active() -> bool:
            now = everybody.get(made["subscription"])
            return now is not None and now.state == "active"

        eventually(is_active, 5)
    finally:
        everybody.close()
    ledger = [Consent.model_validate_json(value) for value in records(settings, CONSENT, made["subscription"])]
    assert [one.act for one in ledger] == ["asked", "confirmed"]
    assert ledger[1].by == "subscriber" and "127.0.0.0/24" in (ledger[1].source or "") and "LAC-USC" in (ledger[1].shown or "")
