"""The alerts' door over a real broker: from the request to the confirmed subscription in everybody's view."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from confluent_kafka import TopicPartition
from typer.testing import CliRunner, Result

from deploy.local import environment
from deploy.local.mailbox import Fault, Message, read
from deploy.local.process import free_ports, tail
from schemas.alerts_v1 import Consent, Delivery, Notification
from schemas.registers_v1 import Facility
from schemas.topics import (
    ALERT_CANDIDATES,
    CONSENT,
    DELIVERIES,
    JOURNEY_CHANGES,
    NOTIFICATIONS,
    SUBSCRIPTIONS,
    TOPICS,
    Topic,
)
from services.alerts.bounces import report
from services.alerts.delivery_settings import DeliverySettings
from services.alerts.links import Links
from services.alerts.subscriptions import view
from services.cli import assemble
from services.ingest.registers import facility_entry, write
from services.runtime import kafka
from services.runtime.clickhouse import ClickHouse, connect
from services.runtime.settings import Settings
from services.runtime.sources import Record, to_record
from services.sink import inserts
from services.sink.rows import LOG_TABLES
from tests.integration.alerts.delivering import Log
from tests.integration.alerts.mail import Mailbox, a_mail_server
from tests.integration.alerts.working import publish
from tests.integration.ingest.conftest import Process, add_sender
from tests.stack import PORTS, Stack, emptied
from tests.unit.alerts.build import change
from tests.waiting import eventually

EMAIL = "night.buyer@hospital.example"
ERASER = "OPS-ERASER"  # an operator of its own: the stack is shared, and OPS may have its two keys already
FORGOTTEN = "to.be.forgotten@hospital.example"


class AlertsApi(Process):
    """The alerts' door over the real Kafka."""

    def __init__(self, settings: DeliverySettings, log: Path) -> None:
        super().__init__("services.alerts.api", settings, log)
        self.http = httpx.Client(base_url=settings.links_url, trust_env=False, timeout=60)

    def ready(self) -> bool:
        assert self.running, self.log.read_text()
        with contextlib.suppress(httpx.TransportError):
            return self.http.get("/readyz").status_code == 200
        return False


@pytest.fixture(scope="module")
def logs(stack: Stack) -> Path:
    """Where services log: below the folder that is looked through for what must be forgotten."""
    folder = stack.directory() / "logs"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def alerts(stack: Stack) -> Iterator[DeliverySettings]:
    """The settings of both servers, in which no other test's records are (conftest.py), and a port for the alerts' door."""
    with emptied(stack) as settings:
        told = environment.read(settings.state_dir)
        environment.write(settings.state_dir, told | {"LOVLA_ALERTS_PORT": str(free_ports(1, among=PORTS)[0])})
        yield DeliverySettings.load(settings.state_dir)


@pytest.fixture(scope="module")
def api(alerts: DeliverySettings, logs: Path) -> Iterator[AlertsApi]:
    door = AlertsApi(alerts, logs / "alerts-api.log")
    try:
        eventually(door.ready, door.log.read_text)
        yield door
    finally:
        door.http.close()
        door.kill()


@pytest.fixture(scope="module")
def key(api: AlertsApi, alerts: DeliverySettings) -> dict[str, str]:
    headers, _ = add_sender(alerts, "LACDHS", "buyer", "alerts")
    eventually(lambda: api.http.get("/v1/subscriptions", headers=headers).status_code == 200)
    return headers


def lovla(settings: Settings, *verb: str) -> Result:
    """A verb of the command line."""
    return CliRunner().invoke(assemble(), [*verb], env={"LOVLA_STATE_DIR": str(settings.state_dir)})


def records(settings: Settings, topic: Topic, key: str) -> list[bytes]:
    """Every value of a key, as committed now."""
    return [record.value or b"" for record in everything(settings, topic)[topic] if record.key == key.encode()]


def everything(settings: Settings, *topics: Topic) -> dict[Topic, list[Record]]:
    """Every record of these, read by one client: of two clients a partition half of this test's time was made."""
    log = Log(settings, *topics)
    found: dict[str, list[Record]] = {topic.name: [] for topic in topics}
    try:
        for message in log.read():
            record = to_record(message)
            found[record.topic].append(record)
    finally:
        log.close()
    return {topic: found[topic.name] for topic in topics}


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
    assert "Did you mean LAC-USC (LA General)" in unknown.stderr and "lovla subscriptions add --unregistered" in unknown.stderr
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

        eventually(is_active)
    finally:
        everybody.close()
    ledger = [Consent.model_validate_json(value) for value in records(alerts, CONSENT, made["subscription"])]
    assert [one.act for one in ledger] == ["asked", "confirmed"]
    assert ledger[1].by == "subscriber" and "127.0.0.0/24" in (ledger[1].source or "") and "LAC-USC" in (ledger[1].shown or "")
    its_owner_shows_pauses_resumes_and_removes_it(alerts, key, made["subscription"])
    acts = [Consent.model_validate_json(value).act for value in records(alerts, CONSENT, made["subscription"])]
    assert acts == ["asked", "confirmed", "paused", "resumed", "forgotten"]


def its_owner_shows_pauses_resumes_and_removes_it(alerts: Settings, key: dict[str, str], name: str) -> None:
    """By the verbs of the command line."""
    own = ["--as", "LACDHS", "--key", key["Authorization"].split()[1]]
    shown = lovla(alerts, "subscriptions", "show", name, *own)
    assert shown.exit_code == 0 and EMAIL in shown.output and "LAC-USC; minor or worse" in shown.output, shown.output
    for verb, state in (("show", "active"), ("pause", "paused"), ("resume", "active")):
        done = lovla(alerts, "subscriptions", verb, name[:8], *own, "--json")  # the beginning is enough
        assert done.exit_code == 0 and json.loads(done.stdout)["state"] == state, done.output
    for few in ("", name[:2], "zzz"):
        assert lovla(alerts, "subscriptions", "remove", few, *own).exit_code == 1
    removed = lovla(alerts, "subscriptions", "remove", name, *own)
    assert (removed.exit_code, removed.stdout.strip()) == (0, f"{name} is removed.")
    for verb in ("show", "pause", "resume", "remove"):
        gone = lovla(alerts, "subscriptions", verb, name, *own)
        assert gone.exit_code == 1 and "There is no such subscription, or it is not yours." in gone.stderr, (verb, gone.output)


def files_that_hold(folder: Path, text: str) -> list[str]:
    """Every file below the folder with these bytes in it."""
    found = []
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):  # servers rename and delete while we look
            if file.is_file() and any(text.encode() in data for data in data_of(file)):
                found.append(str(file.relative_to(folder)))
    return found


def data_of(file: Path) -> Iterator[bytes]:
    """What was written, hole by hole: each of Kafka's hundreds of indexes is 10 MB in which nearly nothing was."""
    with file.open("rb") as opened:
        end = 0
        while True:
            try:
                start = os.lseek(opened.fileno(), end, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return  # nothing more
                raise
            end = os.lseek(opened.fileno(), start, os.SEEK_HOLE)
            yield os.pread(opened.fileno(), end - start, start)


def tables_that_hold(client: ClickHouse, text: str) -> list[str]:
    """Every ClickHouse table with this text in any of its columns."""
    tables = client.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    holds = "SELECT count() AS rows FROM `{}` WHERE position(toString(tuple(*)), {{text:String}}) > 0"
    return [one["name"] for one in tables if client.query(holds.format(one["name"]), {"text": text})[0]["rows"]]


@dataclass(frozen=True, slots=True)
class AtWork:
    """A worker and a sender."""

    worker: Process
    sender: Process

    def await_that(self, what: Callable[[], bool], of: str | Callable[[], str]) -> None:
        """Fails once one of them has ended, and says what both said."""

        def said() -> str:
            return "\n".join((of if isinstance(of, str) else of(), *(tail(one.log) for one in (self.worker, self.sender))))

        def so() -> bool:
            assert self.worker.running and self.sender.running, said()
            return what()

        eventually(so, said)


@contextlib.contextmanager
def at_work(alerts: DeliverySettings, logs: Path, box: Mailbox) -> Iterator[AtWork]:
    """A worker and a sender as processes, with logs of their own. Nobody starts them again: one that ended says so at once."""
    mail = {f"LOVLA_{name.upper()}": str(value) for name, value in box.settings().items()}
    worker = Process("services.alerts.worker", alerts, logs / "alerts-worker.log")
    sender = Process("services.alerts.sender", alerts, logs / "alerts-sender.log", **mail)
    try:
        both = AtWork(worker, sender)
        both.await_that(lambda: "alerts.partitions_assigned" in worker.log.read_text(), "the worker begins")
        both.await_that(lambda: "alerts.sender.serves" in sender.log.read_text(), "the sender begins")
        yield both
        both.await_that(lambda: True, "both went on to the end")
    finally:
        sender.kill()
        worker.kill()


def how_far(settings: Settings, name: str) -> str:
    """What the worker and the sender made of a subscription: its records, and where they stand with what they read."""
    found = everything(settings, SUBSCRIPTIONS, ALERT_CANDIDATES, NOTIFICATIONS, DELIVERIES)
    lines = [
        f"{topic.name}-{record.partition}@{record.offset}: {(record.value or b'')[:300]!r}"
        for topic, kept in found.items()
        for record in kept
        if record.key == name.encode()
    ]
    places = [(topic.name, n) for topic in (JOURNEY_CHANGES, ALERT_CANDIDATES, NOTIFICATIONS) for n in range(topic.partitions)]
    ends, stable = kafka.end_offsets(settings, places), last_stable(settings, places)
    worker, sender = (kafka.committed(settings.kafka, group, places) for group in ("alerts", "alerts.sender"))
    return "\n".join(
        [
            *lines,
            *(f"{at}: worker {worker.get(at)}, sender {sender.get(at)}, stable {stable[at]}, end {ends[at]}" for at in places),
        ]
    )


def last_stable(settings: Settings, places: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Up to where who reads what is committed can read."""
    client = kafka.consumer(settings, "lovla-test", "lovla-test")
    try:
        return {place: client.get_watermark_offsets(TopicPartition(*place), timeout=10)[1] for place in places}
    finally:
        client.close()


def everybody_handles(
    alerts: DeliverySettings, api: AlertsApi, both: AtWork, box: Mailbox, asked: dict[str, str], address: str
) -> None:
    """Mail to the address fails, is brought, and comes back: each server names the address in its answer."""

    def mails() -> list[Message]:
        return [one for one in read(box.folder) if one.to == address]

    both.await_that(lambda: bool(mails()), "the request to confirm is in its mailbox")
    links = Links(alerts.secret_key.get_secret_value().encode(), alerts.links_url)
    everybody = view(alerts)
    everybody.start()
    everybody.close()
    subscription = everybody.get(asked["subscription"])
    assert subscription is not None and "Confirmed" in api.http.post(links.confirm(subscription)).text
    news = secrets.token_hex(4)

    def is_told() -> bool:
        """Said again until the worker knows of the subscription; told once."""
        published = change(
            consignment="FORGET-0001",
            buyer="LACDHS",
            at=datetime.now(UTC),
            change_id=secrets.token_hex(16),
            exception={"key": news},
        )
        publish(alerts, [published])
        return len(mails()) > 1

    both.await_that(is_told, lambda: f"it is told\n{how_far(alerts, asked['subscription'])}")
    came = report(mails()[-1].sender, b"Subject: x\r\n\r\n", address, "5.1.1", f"550 5.1.1 <{address}> is unknown")
    assert api.http.post("/mail/bounce", content=came.as_bytes()).status_code == 204
    told = [Delivery.model_validate_json(value) for value in records(alerts, DELIVERIES, asked["subscription"])]
    assert {"intent", "failed", "accepted", "bounced"} <= {one.state for one in told}
    assert any("<address>" in (one.text or "") for one in told if one.state == "failed"), "the server named it"


@pytest.mark.timeout(900)
def test_a_forgotten_address_is_nowhere_and_nobody_writes_to_it_again(
    api: AlertsApi, alerts: DeliverySettings, key: dict[str, str], stack: Stack, logs: Path, tmp_path: Path
) -> None:
    """Topics' files, ClickHouse's tables and files, logs of services that handled it: looked through before and after."""
    with a_mail_server(tmp_path) as box:
        box.faults.add(Fault("rcpt", f"452 4.2.2 <{FORGOTTEN}> is over its quota", to=FORGOTTEN))
        with at_work(alerts, logs, box) as both:
            forgotten_is_nowhere(api, alerts, key, stack, both, box)


def forgotten_is_nowhere(
    api: AlertsApi, alerts: DeliverySettings, key: dict[str, str], stack: Stack, both: AtWork, box: Mailbox
) -> None:
    address = FORGOTTEN
    env = {"LOVLA_STATE_DIR": str(alerts.state_dir)}
    app = assemble()
    client = connect(alerts, "admin")
    wanted = {"channel": "email", "filters": {"consignments": ["FORGET-0001"]}}
    try:
        made = [
            api.http.post("/v1/subscriptions", json=wanted | {"address": written}, headers=key).json()
            for written in (address, address.upper().replace("HOSPITAL.EXAMPLE", "hospital.example"))
        ]
        other = {"channel": "email", "address": "staying@hospital.example"}
        staying = api.http.post("/v1/subscriptions", json=other, headers=key).json()["subscription"]
        everybody_handles(alerts, api, both, box, made[0], address)
        # Not the whole address: where records are compressed together, its host may stand there as a reference to another's.
        assert files_that_hold(stack.directory(), "to.be.forgotten"), "the search would find it"
        added = CliRunner().invoke(app, ["carriers", "add", ERASER, "--kind", "operator", "--json"], env=env)
        assert added.exit_code == 0, added.stderr

        listing = ["subscriptions", "list", "--json", "--as", ERASER]
        eventually(
            lambda: CliRunner().invoke(app, listing, env=env).exit_code == 0,
            lambda: CliRunner().invoke(app, listing, env=env).output + api.log.read_text(),
        )
        forgotten = CliRunner().invoke(app, ["subscriptions", "forget", address, "--json", "--as", ERASER], env=env)
        assert forgotten.exit_code == 0, forgotten.output
        assert json.loads(forgotten.stdout) == {"forgotten": 2, "erased": True}

        kept = everything(alerts, *(topic for topic in TOPICS if not topic.sharded))
        for topic in kept:  # as the sink does, without a process of its own
            if (table := LOG_TABLES.get(topic.name)) is not None and kept[topic]:
                rows = [table.row(record) for record in kept[topic]]
                client.insert(table.table, table.names, inserts.columns_of(rows), inserts.log_settings(topic.name))
        acts = "SELECT act FROM consent WHERE subscription = {name:String}"
        assert {"act": "forgotten"} in client.query(acts, {"name": made[0]["subscription"]})
        for text in (address, address.upper(), "to.be.forgotten"):
            assert files_that_hold(stack.directory(), text) == []
            assert tables_that_hold(client, text) == []
            for topic, found in kept.items():
                said = [record for record in found if text.encode() in (record.value or b"") + (record.key or b"")]
                assert said == [], topic.name
        refused = api.http.post("/v1/subscriptions", json={"channel": "email", "address": address}, headers=key)
        assert refused.status_code == 422 and "Nothing may be sent" in refused.text
        listed = api.http.get("/v1/subscriptions", headers=key).json()["subscriptions"]
        assert staying in [one["subscription"] for one in listed], "another's is untouched"
        again = CliRunner().invoke(app, ["subscriptions", "forget", address, "--json", "--as", ERASER], env=env)
        assert json.loads(again.stdout) == {"forgotten": 0, "erased": True}, "done again it is as it was"
    finally:
        client.close()
