"""The auditor on real servers, with real readers and a real sink: clean under traffic, every kind of damage named exactly.

Topics and tables of its own: the damage goes into them. Each test undoes what can be undone; what cannot (a topic only
grows) is known to those after it by `before`.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from typer.testing import CliRunner

from deploy.local.process import Running
from schemas import topics
from schemas.raw_message_v1 import RawMessage
from schemas.topics import Topic
from services.cli import assemble
from services.runtime import kafka as kafka_clients
from services.runtime import metrics, wire
from services.runtime.clickhouse import ClickHouse, connect
from services.runtime.clock import SystemClock
from services.runtime.receipts import Position, Sealer
from services.runtime.settings import Settings
from services.sink.audit import Finding, Given, audit
from services.sink.auditor import Auditor
from services.sink.rows import LOG_TABLES
from tests import forks
from tests.integration.sink.test_sink import environment, sink, until
from tests.stack import Stack
from tests.unit.sink.examples import journey
from tests.waiting import HANG_S

EVENT = {
    "id": "",
    "code": "DISC",
    "milestone": "discharged",
    "classifier": "actual",
    "occurred_at": "2026-11-20T10:00:00Z",
    "references": [{"kind": "container", "value": "MRSU4371639"}],
}


@pytest.fixture(scope="module")
def admin(settings: Settings) -> Iterator[ClickHouse]:
    client = connect(settings, "admin")
    yield client
    client.close()


@pytest.fixture(scope="module")
def producer(settings: Settings) -> Producer:
    return kafka_clients.producer(settings, "test-audit")


@pytest.fixture(scope="module")
def readers(stack: Stack, settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    process = forks.popen([sys.executable, "-m", "services.ingest.readers_stage"], env=environment(settings))
    watch(stack, process.pid)
    yield process
    process.terminate()
    process.wait(HANG_S)


@pytest.fixture(scope="module")
def world(
    stack: Stack, settings: Settings, admin: ClickHouse, producer: Producer, readers: subprocess.Popen[bytes]
) -> Iterator[list[Position]]:
    """Readers and sink at work, and where fifty messages stand: readable ones and rubbish."""
    with sink(settings) as process:
        watch(stack, process.pid)
        placed = send(producer, [body(number) for number in range(50)])
        assert wrong(settings, admin, within_s=HANG_S) == []
        yield placed


def watch(stack: Stack, pid: int) -> None:
    """See to it that the process ends with the session, however that ends."""
    process = psutil.Process(pid)
    stack.watch(Running(pid, process.create_time(), tuple(process.cmdline())))


def body(number: int) -> bytes:
    """Every fifth is rubbish: it becomes a dead letter."""
    return b"rubbish %d" % number if number % 5 == 0 else json.dumps(EVENT | {"id": uuid.uuid4().hex}).encode()


def send(producer: Producer, bodies: Sequence[bytes], kind: str = "message") -> list[Position]:
    """What the door would have written; where it stands."""
    placed: list[Position] = []
    for number, content in enumerate(bodies):
        sha256 = hashlib.sha256(content).hexdigest()
        meta = RawMessage.model_validate({"kind": kind, "sender": "MAEU", "scopes": ["push"], "sha256": sha256})
        producer.produce(
            topics.RAW_MESSAGES.name,
            key=f"S{number}".encode(),  # many keys: every partition
            value=content,
            headers=[*wire.raw_headers(meta)],
            on_delivery=lambda _, m: placed.append(Position(m.partition() or 0, m.offset() or 0)),
        )
    producer.flush()
    return placed


def wrong(settings: Settings, client: ClickHouse, receipts: Sequence[Given] = (), within_s: float = 30) -> list[Finding]:
    found = audit(settings, client, SystemClock(), patience_s=within_s, receipts=receipts)
    return [finding for finding in found if not finding.clean]


def examples(findings: Sequence[Finding]) -> list[tuple[str, str, int, int]]:
    return [(e.wrong, e.topic, e.partition, e.offset) for finding in findings for e in finding.examples]


def new(before: Sequence[tuple[str, str, int, int]], findings: Sequence[Finding]) -> list[tuple[str, str, int, int]]:
    return [found for found in examples(findings) if found not in before]


def place(client: ClickHouse, table: str, topic: Topic, where: str = "1") -> tuple[str, int, int]:
    """(topic, partition, offset) of one row."""
    row = client.query(f"SELECT k_partition, k_offset FROM {table} WHERE {where} ORDER BY k_offset DESC LIMIT 1")[0]
    return topic.name, row["k_partition"], row["k_offset"]


def copy(client: ClickHouse, table: str, row: tuple[str, int, int], replace: str = "", into: str | None = None) -> None:
    """Insert a copy of a row, some columns replaced."""
    columns = f"* REPLACE ({replace})" if replace else "*"
    client.execute(
        f"INSERT INTO {into or table} SELECT {columns} FROM "
        f"(SELECT * FROM {table} WHERE k_partition = {row[1]} AND k_offset = {row[2]})",
        settings={"async_insert": 0, "insert_deduplicate": 0, "deduplicate_insert_select": "disable"},
    )


def delete(client: ClickHouse, table: str, partition: int, offset: int) -> None:
    client.execute(f"DELETE FROM {table} WHERE k_partition = {partition} AND k_offset = {offset}")


def test_a_row_that_was_deleted_is_a_gap(settings: Settings, admin: ClickHouse, world: object) -> None:
    row = place(admin, "shipment_events", topics.SHIPMENT_EVENTS, "kind = 'event'")
    admin.execute("CREATE TABLE kept AS shipment_events")
    copy(admin, "shipment_events", row, into="kept")
    delete(admin, "shipment_events", *row[1:])
    assert examples(wrong(settings, admin, within_s=3)) == [("gap", *row)]
    copy(admin, "kept", row, into="shipment_events")
    assert wrong(settings, admin) == []


def test_a_row_that_is_there_twice_is_a_duplicate(settings: Settings, admin: ClickHouse, world: object) -> None:
    row = place(admin, "raw_messages", topics.RAW_MESSAGES, "kind = 'message'")
    admin.execute("CREATE TABLE kept_raw AS raw_messages")
    copy(admin, "raw_messages", row, into="kept_raw")
    copy(admin, "raw_messages", row)
    assert examples(wrong(settings, admin)) == [("duplicate", *row)]
    delete(admin, "raw_messages", *row[1:])
    copy(admin, "kept_raw", row, into="raw_messages")
    assert wrong(settings, admin) == []


def test_a_row_past_the_end_of_its_topic_is_unaccounted(settings: Settings, admin: ClickHouse, world: object) -> None:
    topic, partition, _ = row = place(admin, "dead_letters", topics.DEAD_LETTERS)
    copy(admin, "dead_letters", row, replace="1000000 AS k_offset")
    assert examples(wrong(settings, admin)) == [("unaccounted", topic, partition, 1_000_000)]
    delete(admin, "dead_letters", partition, 1_000_000)
    assert wrong(settings, admin) == []


def test_a_row_of_an_aborted_record_is_unaccounted(settings: Settings, admin: ClickHouse, world: object) -> None:
    producer = Producer(kafka_clients.transactional_config(settings, "test-aborts", "test-aborts"))
    placed: list[int] = []
    producer.init_transactions(HANG_S)
    producer.begin_transaction()
    producer.produce(topics.DEAD_LETTERS.name, value=b"{}", on_delivery=lambda _, m: placed.append(m.offset() or 0))
    producer.flush()
    producer.abort_transaction()
    topic, partition, _ = row = place(admin, "dead_letters", topics.DEAD_LETTERS)
    copy(admin, "dead_letters", row, replace=f"{placed[0]} AS k_offset")
    assert examples(wrong(settings, admin)) == [("unaccounted", topic, partition, placed[0])]
    delete(admin, "dead_letters", partition, placed[0])
    assert wrong(settings, admin) == []


def test_a_row_of_another_record_at_the_same_offset_is_unaccounted(
    settings: Settings, admin: ClickHouse, world: object
) -> None:
    row = place(admin, "dead_letters", topics.DEAD_LETTERS)
    admin.execute("CREATE TABLE kept_letters AS dead_letters")
    copy(admin, "dead_letters", row, into="kept_letters")
    delete(admin, "dead_letters", *row[1:])
    copy(admin, "kept_letters", row, into="dead_letters", replace="k_time + INTERVAL 1 SECOND AS k_time")
    assert examples(wrong(settings, admin)) == [("unaccounted", *row)]
    delete(admin, "dead_letters", *row[1:])
    copy(admin, "kept_letters", row, into="dead_letters")
    assert wrong(settings, admin) == []


def test_a_journey_whose_newest_version_is_missing_or_was_never_written_is_found(
    settings: Settings, admin: ClickHouse, producer: Producer, world: object
) -> None:
    placed: list[int] = []
    said = wire.dump(journey("LACDHS-77", version=7))
    producer.produce(
        topics.JOURNEYS.name, key=b"LACDHS-77", value=said, on_delivery=lambda _, m: placed.append(m.offset() or 0)
    )
    producer.flush()
    assert wrong(settings, admin) == []
    admin.execute("DELETE FROM journeys WHERE consignment = 'LACDHS-77'")
    assert examples(wrong(settings, admin, within_s=2)) == [("gap", topics.JOURNEYS.name, 0, placed[0])]
    for version, consignment, offset in ((9, "LACDHS-77", placed[0]), (1, "NOBODY-1", -1)):
        admin.execute(f"INSERT INTO journeys (consignment, version) VALUES ('{consignment}', {version})")
        assert examples(wrong(settings, admin)) == [("unaccounted", topics.JOURNEYS.name, 0, offset)]
        for table in ("journeys", "open_journeys", "journey_marks", "journey_lines"):
            admin.execute(f"DELETE FROM {table} WHERE consignment = '{consignment}'")
        admin.execute("INSERT INTO journeys (consignment, version) VALUES ('LACDHS-77', 7)")
    assert wrong(settings, admin) == []


def test_open_work_that_a_view_lost_or_left_behind_is_found(
    settings: Settings, admin: ClickHouse, producer: Producer, world: object
) -> None:
    placed: list[int] = []
    for said in (journey("LACDHS-78", version=7), journey("LACDHS-79", version=8)):
        producer.produce(
            topics.JOURNEYS.name,
            key=said.consignment.encode(),
            value=wire.dump(said),
            partition=0,
            on_delivery=lambda _, m: placed.append(m.offset() or 0),
        )
    producer.flush()
    until(lambda: wrong(settings, admin) == [], "the sink's rows")
    admin.execute("DELETE FROM open_journeys WHERE consignment IN ('LACDHS-78', 'LACDHS-79')")
    admin.execute("INSERT INTO open_journeys (consignment, version, leaves_at) VALUES ('LACDHS-79', 1, '2100-01-01')")
    assert examples(wrong(settings, admin)) == [("gap", topics.JOURNEYS.name, 0, offset) for offset in placed]
    admin.execute("DELETE FROM journey_marks WHERE consignment = 'LACDHS-79'")
    admin.execute("DELETE FROM journey_lines WHERE consignment = 'LACDHS-78'")
    found = examples(wrong(settings, admin))
    assert found == [("gap", topics.JOURNEYS.name, 0, offset) for offset in (*placed, placed[1], placed[0])]
    admin.execute("INSERT INTO journeys SELECT * FROM journeys FINAL WHERE consignment IN ('LACDHS-78', 'LACDHS-79')")
    assert wrong(settings, admin) == []


@pytest.mark.parametrize("table", ["event_marks", "event_references"])
def test_what_a_view_of_events_lost_or_made_up_is_found(
    settings: Settings, admin: ClickHouse, world: object, table: str
) -> None:
    row = place(admin, table, topics.SHIPMENT_EVENTS)
    admin.execute(f"CREATE TABLE kept_{table} AS {table}")
    copy(admin, table, row, into=f"kept_{table}")
    delete(admin, table, *row[1:])
    assert examples(wrong(settings, admin)) == [("gap", *row)]
    copy(admin, f"kept_{table}", row, into=table, replace="id + 1 AS id" if table == "event_marks" else "'X' AS value")
    assert sorted(examples(wrong(settings, admin))) == [("gap", *row), ("unaccounted", *row)]
    delete(admin, table, *row[1:])
    copy(admin, f"kept_{table}", row, into=table)
    assert wrong(settings, admin) == []


def test_receipts_are_held_against_the_log(settings: Settings, admin: ClickHouse, world: list[Position]) -> None:
    sealer = Sealer(settings.secret_key.get_secret_value().encode())
    rows = admin.query("SELECT k_partition AS p, k_offset AS o, sha256 FROM raw_messages WHERE kind = 'message'")
    honest = [Given(sealer.seal(Position(row["p"], row["o"])), row["sha256"]) for row in rows]
    assert wrong(settings, admin, honest) == []
    first = world[0]
    past = Position(0, 1_000_000)
    forged = Given(Sealer(b"another key").seal(first))
    others = [Given(sealer.seal(first), "ab" * 32), Given(sealer.seal(past)), forged]
    found = wrong(settings, admin, others)
    assert sorted(examples(found)) == sorted(
        ("unaccounted", topics.RAW_MESSAGES.name, *where)
        for where in ((first.partition, first.offset), (0, 1_000_000), (-1, -1))
    )
    found = wrong(settings, admin, [*honest, honest[0]])
    assert [(f.check, f.duplicate, f.unaccounted) for f in found] == [("receipts", 1, 0)]


def test_under_traffic_there_is_no_false_alarm_and_a_real_one_is_not_missed(
    settings: Settings, admin: ClickHouse, producer: Producer, world: object
) -> None:
    row = place(admin, "shipment_events", topics.SHIPMENT_EVENTS, "kind = 'event'")
    stop = threading.Event()
    sent = 0

    def traffic() -> None:
        nonlocal sent
        while not stop.is_set():
            sent += len(send(producer, [body(number) for number in range(1, 20)]))
            stop.wait(0.3)

    with ThreadPoolExecutor(1) as beside:
        flows = beside.submit(traffic)
        try:
            audits = 0
            while audits < 3 or sent <= 100:
                if flows.done():
                    flows.result()
                assert wrong(settings, admin, within_s=60) == []
                audits += 1
            copy(admin, "shipment_events", row)
            assert examples(wrong(settings, admin, within_s=60)) == [("duplicate", *row)]
        finally:
            stop.set()
    flows.result()
    admin.execute("CREATE TABLE kept_once AS shipment_events")
    admin.execute(
        f"INSERT INTO kept_once SELECT * FROM shipment_events WHERE k_partition = {row[1]} AND k_offset = {row[2]} LIMIT 1"
    )
    delete(admin, "shipment_events", *row[1:])
    copy(admin, "kept_once", row, into="shipment_events")
    assert wrong(settings, admin, within_s=60) == []


def told(topic: Topic) -> dict[str, float]:
    """What the metrics say of a topic."""
    names = ("unaccounted", "duplicate", "gap")
    page = metrics.page()[0].decode()
    found = {name: re.search(rf'^lovla_audit_{name}{{topic="{topic.name}"}} (.+)$', page, re.MULTILINE) for name in names}
    return {name: float(said[1]) for name, said in found.items() if said and float(said[1])}


def test_the_audit_that_never_ends_notices_what_goes_comes_and_is_mended(
    settings: Settings, admin: ClickHouse, producer: Producer, world: object
) -> None:
    auditor = Auditor(settings, admin, SystemClock())
    auditor.round()
    stop = threading.Event()

    def traffic() -> None:
        while not stop.is_set():
            send(producer, [body(number) for number in range(1, 20)])
            stop.wait(0.3)

    thread = threading.Thread(target=traffic)
    thread.start()
    try:
        for _ in range(4):  # under traffic, and none of it is a false alarm
            auditor.round()
            assert [told(topic) for topic in topics.TOPICS if topic.name in LOG_TABLES] == [{}] * len(LOG_TABLES)
    finally:
        stop.set()
        thread.join()
    assert wrong(settings, admin, within_s=60) == []

    def notices(topic: Topic, expected: dict[str, float]) -> bool:
        auditor.round()  # up to where the sink has committed: the newest rows' turn comes with its next commit
        return told(topic) == expected

    for table, topic in (("shipment_events", topics.SHIPMENT_EVENTS), ("dead_letters", topics.DEAD_LETTERS)):
        row = place(admin, table, topic, "kind != 'tick'")
        admin.execute(f"CREATE TABLE aside_{table} AS {table}")
        copy(admin, table, row, into=f"aside_{table}")
        copy(admin, table, row)
        until(lambda topic=topic: notices(topic, {"duplicate": 1}), "the duplicate")  # type: ignore[misc]
        delete(admin, table, *row[1:])
        until(lambda topic=topic: notices(topic, {"gap": 1}), "the gap")  # type: ignore[misc]
        copy(admin, f"aside_{table}", row, into=table)
        until(lambda topic=topic: notices(topic, {}), "that it is mended")  # type: ignore[misc]


# What follows cannot be undone: a topic only grows. Each test looks at what is new.


def test_an_event_that_was_said_twice_is_a_duplicate(
    settings: Settings, admin: ClickHouse, producer: Producer, world: object
) -> None:
    before = examples(wrong(settings, admin))
    _, partition, offset = place(admin, "shipment_events", topics.SHIPMENT_EVENTS, "kind = 'event'")
    again = admin.query(f"SELECT record FROM shipment_events WHERE k_partition = {partition} AND k_offset = {offset}")
    placed: list[tuple[str, str, int, int]] = []
    producer.produce(
        topics.SHIPMENT_EVENTS.name,
        partition=partition,
        value=again[0]["record"],
        on_delivery=lambda _, m: placed.append(("duplicate", m.topic() or "", m.partition() or 0, m.offset() or 0)),
    )
    producer.flush()
    assert new(before, wrong(settings, admin)) == placed


def test_an_event_from_nowhere_is_unaccounted(settings: Settings, admin: ClickHouse, producer: Producer, world: object) -> None:
    before = examples(wrong(settings, admin))
    (row,) = admin.query("SELECT record FROM shipment_events WHERE kind = 'event' LIMIT 1")
    event = json.loads(row["record"])
    producer.produce(
        topics.SHIPMENT_EVENTS.name, value=json.dumps(event | {"raw": event["raw"] | {"partition": 2, "offset": 999_999}})
    )
    producer.flush()
    assert new(before, wrong(settings, admin)) == [("unaccounted", topics.RAW_MESSAGES.name, 2, 999_999)]


def test_a_message_that_became_nothing_is_unaccounted_and_the_command_says_so(
    settings: Settings, admin: ClickHouse, producer: Producer, readers: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = examples(wrong(settings, admin))
    readers.terminate()
    readers.wait(HANG_S)
    (raw,) = send(producer, [body(1)])
    row = f"SELECT 1 FROM raw_messages WHERE k_partition = {raw.partition} AND k_offset = {raw.offset}"
    until(lambda: bool(admin.query(row)), "the sink has it")
    found = wrong(settings, admin, within_s=1)
    assert new(before, found) == [("waiting", topics.RAW_MESSAGES.name, raw.partition, raw.offset)]
    assert any("not read yet: the readers stand at" in example.text for finding in found for example in finding.examples)

    client = kafka_clients.consumer(settings, "test-commit", "ingest.readers")
    past = TopicPartition(topics.RAW_MESSAGES.name, raw.partition, raw.offset + 1)
    auditor = Auditor(settings, admin, SystemClock())
    for _ in range(2):
        auditor.round()
    known = told(topics.RAW_MESSAGES).get("unaccounted", 0)
    until(lambda: committed(client, past), "the group is free to be moved")
    client.close()
    assert wrong(settings, admin, within_s=20) != []  # and the sink has come to all of it
    for _ in range(2):
        auditor.round()
    assert told(topics.RAW_MESSAGES) == {"unaccounted": known + 1}
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    said = CliRunner().invoke(assemble(), ["audit", "--within", "20"])
    assert said.exit_code == 1
    assert f"unaccounted: (raw.messages.v1, {raw.partition}, {raw.offset}): became no event" in said.output
    assert "docs/operations/audit-unaccounted.md" in said.output


def committed(client: Consumer, past: TopicPartition) -> bool:
    try:
        client.commit(offsets=[past], asynchronous=False)
    except KafkaException:
        return False
    return True


def test_a_log_that_lost_its_beginning_is_a_gap(settings: Settings, admin: ClickHouse, world: object) -> None:
    before = examples(wrong(settings, admin, within_s=1))
    _, partition, _ = place(admin, "shipment_events", topics.SHIPMENT_EVENTS, "kind = 'event'")
    cut = TopicPartition(topics.SHIPMENT_EVENTS.name, partition, 2)
    with kafka_clients.admin(settings.kafka) as client:
        client.delete_records([cut])[cut].result()
    lost = [found for found in new(before, wrong(settings, admin, within_s=1)) if found[0] == "gap"]
    assert lost == [("gap", topics.SHIPMENT_EVENTS.name, partition, offset) for offset in (0, 1)]
