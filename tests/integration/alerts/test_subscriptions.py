"""The alerts' door over a real broker: from the request to the confirmed subscription in everybody's view."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from typer.testing import CliRunner

from deploy.local import environment
from deploy.local.process import free_ports
from schemas.alerts_v1 import Consent, Notification
from schemas.registers_v1 import Facility
from schemas.topics import CONSENT, NOTIFICATIONS, TOPICS, Topic
from services.alerts.api import assemble as assemble_api
from services.alerts.delivery_settings import DeliverySettings
from services.alerts.links import Links
from services.alerts.subscriptions import view
from services.cli import assemble
from services.ingest.registers import facility_entry, write
from services.runtime.clickhouse import ClickHouse, connect
from services.runtime.restore import restore
from services.runtime.settings import Settings
from services.runtime.sources import Record
from services.sink import inserts
from services.sink.rows import LOG_TABLES
from tests.integration.ingest.conftest import add_sender, eventually
from tests.stack import PORTS, Stack

EMAIL = "night.buyer@hospital.example"


class AlertsApi:
    """The alerts' door, served from a thread of this process over the real Kafka."""

    def __init__(self, settings: DeliverySettings) -> None:
        config = uvicorn.Config(assemble_api(settings), settings.alerts_host, settings.alerts_port, log_config=None, ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="alerts-api")
        self._thread.start()
        self.http = httpx.Client(base_url=settings.links_url, trust_env=False, timeout=60)

    def ready(self) -> bool:
        assert self._thread.is_alive()
        with contextlib.suppress(httpx.TransportError):
            return self.http.get("/readyz").status_code == 200
        return False

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self.http.close()


@pytest.fixture(scope="module")
def alerts(settings: Settings) -> DeliverySettings:
    """The settings of both servers, and a port for the alerts' door."""
    told = environment.read(settings.state_dir)
    environment.write(settings.state_dir, told | {"LOVLA_ALERTS_PORT": str(free_ports(1, among=PORTS)[0])})
    return DeliverySettings.load(settings.state_dir)


@pytest.fixture(scope="module")
def api(alerts: DeliverySettings) -> Iterator[AlertsApi]:
    door = AlertsApi(alerts)
    try:
        eventually(door.ready, 400)
        yield door
    finally:
        door.stop()


@pytest.fixture(scope="module")
def key(api: AlertsApi, alerts: DeliverySettings) -> dict[str, str]:
    headers, _ = add_sender(alerts, "LACDHS", "buyer", "alerts")
    eventually(lambda: api.http.get("/v1/subscriptions", headers=headers).status_code == 200)
    return headers


def records(settings: Settings, topic: Topic, key: str) -> list[bytes]:
    """Every value of a key, as committed now."""
    return [record.value or b"" for record in everything(settings, topic) if record.key == key.encode()]


def everything(settings: Settings, topic: Topic) -> list[Record]:
    found: list[Record] = []
    for partition in range(topic.partitions):
        restore(settings, topic.name, partition, found.append)
    return found


@pytest.mark.timeout(900)
def test_a_subscription_is_asked_for_and_counts_once_its_address_said_yes(
    api: AlertsApi, alerts: DeliverySettings, key: dict[str, str]
) -> None:
    body = {"channel": "email", "address": EMAIL, "filters": {"facilities": ["LAC-USC"]}}
    env = {"LOVLA_STATE_DIR": str(alerts.state_dir)}
    verb = ["subscriptions", "add", EMAIL, "--facility", "LAC-UCS", "--as", "LACDHS", "--key", key["Authorization"].split()[1]]
    unknown = CliRunner().invoke(assemble(), verb, env=env)
    assert unknown.exit_code == 1 and "/filters/facilities/0: unregistered: No hospital" in unknown.stderr, unknown.output
    hospital = Facility(code="LAC-USC", kind="hospital", name="LA General", zone="America/Los_Angeles")
    write(alerts, [facility_entry(hospital)])
    answer = api.http.post("/v1/subscriptions", json=body, headers=key)  # at once: registered is registered
    assert answer.status_code == 201, answer.text
    unknown = CliRunner().invoke(assemble(), verb, env=env)
    assert "Did you mean LAC-USC (LA General)?" in unknown.stderr and "lovla subscriptions add --unregistered" in unknown.stderr
    later = CliRunner().invoke(assemble(), [*verb, "--unregistered"], env=env)
    assert later.exit_code == 0 and "In no register yet, so that nothing comes of it: facilities: LAC-UCS" in later.output
    made = answer.json()
    assert made["state"] == "unconfirmed"

    (request,) = [Notification.model_validate_json(value) for value in records(alerts, NOTIFICATIONS, made["subscription"])]
    assert request.purpose == "confirm"
    assert EMAIL not in request.model_dump_json()

    everybody = view(alerts)
    everybody.start()
    try:
        kept = everybody.get(made["subscription"])
        assert kept is not None and kept.address == EMAIL
        link = Links(alerts.secret_key.get_secret_value().encode(), alerts.links_url).confirm(kept)
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
    ledger = [Consent.model_validate_json(value) for value in records(alerts, CONSENT, made["subscription"])]
    assert [one.act for one in ledger] == ["asked", "confirmed"]
    assert ledger[1].by == "subscriber" and "127.0.0.0/24" in (ledger[1].source or "") and "LAC-USC" in (ledger[1].shown or "")


def files_that_hold(folder: Path, text: str) -> list[str]:
    """Every file below the folder with these bytes in it."""
    found = []
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):  # servers rename and delete while we look
            if file.is_file() and text.encode() in file.read_bytes():
                found.append(str(file.relative_to(folder)))
    return found


def tables_that_hold(client: ClickHouse, text: str) -> list[str]:
    """Every ClickHouse table with this text in any of its columns."""
    tables = client.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    holds = "SELECT count() AS rows FROM `{}` WHERE position(toString(tuple(*)), {{text:String}}) > 0"
    return [one["name"] for one in tables if client.query(holds.format(one["name"]), {"text": text})[0]["rows"]]


@pytest.mark.timeout(900)
def test_a_forgotten_address_is_nowhere_and_nobody_writes_to_it_again(
    api: AlertsApi, alerts: DeliverySettings, key: dict[str, str], stack: Stack
) -> None:
    """Topics' files, ClickHouse's tables and files, logs: looked through before and after."""
    address = "to.be.forgotten@hospital.example"
    env = {"LOVLA_STATE_DIR": str(alerts.state_dir)}
    app = assemble()
    client = connect(alerts, "admin")
    try:
        made = [
            api.http.post("/v1/subscriptions", json={"channel": "email", "address": written}, headers=key).json()
            for written in (address, address.upper().replace("HOSPITAL.EXAMPLE", "hospital.example"))
        ]
        kept = {"channel": "email", "address": "staying@hospital.example"}
        staying = api.http.post("/v1/subscriptions", json=kept, headers=key).json()["subscription"]
        # Not the whole address: where records are compressed together, its host may stand there as a reference to another's.
        assert files_that_hold(stack.directory(), "to.be.forgotten"), "the search would find it"
        added = CliRunner().invoke(app, ["carriers", "add", "OPS", "--kind", "operator", "--json"], env=env)
        assert added.exit_code == 0, added.stderr

        eventually(lambda: CliRunner().invoke(app, ["subscriptions", "list", "--json"], env=env).exit_code == 0)
        forgotten = CliRunner().invoke(app, ["subscriptions", "forget", address, "--json"], env=env)
        assert forgotten.exit_code == 0, forgotten.output
        assert json.loads(forgotten.stdout) == {"forgotten": 2, "erased": True}

        sunk = [topic for topic in TOPICS if topic.name in LOG_TABLES]
        for topic in sunk:  # as the sink does, without a process of its own
            table = LOG_TABLES[topic.name]
            rows = [table.row(record) for record in everything(alerts, topic)]
            if rows:
                client.insert(table.table, table.names, inserts.columns_of(rows), inserts.log_settings(topic.name))
        acts = "SELECT act FROM consent WHERE subscription = {name:String}"
        assert {"act": "forgotten"} in client.query(acts, {"name": made[0]["subscription"]})
        for text in (address, address.upper(), "to.be.forgotten"):
            assert files_that_hold(stack.directory(), text) == []
            assert tables_that_hold(client, text) == []
            for topic in TOPICS:
                if not topic.sharded:
                    said = [
                        record
                        for record in everything(alerts, topic)
                        if text.encode() in (record.value or b"") + (record.key or b"")
                    ]
                    assert said == [], topic.name
        refused = api.http.post("/v1/subscriptions", json={"channel": "email", "address": address}, headers=key)
        assert refused.status_code == 422 and "Nothing may be sent" in refused.text
        listed = api.http.get("/v1/subscriptions", headers=key).json()["subscriptions"]
        assert staying in [one["subscription"] for one in listed], "another's is untouched"
        again = CliRunner().invoke(app, ["subscriptions", "forget", address, "--json"], env=env)
        assert json.loads(again.stdout) == {"forgotten": 0, "erased": True}, "done again it is as it was"
    finally:
        client.close()
