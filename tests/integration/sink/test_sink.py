"""Topics to tables on real servers: every record one row, the newest of each key, and nothing lost or doubled by a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from schemas import registers_v1, topics
from schemas.dead_letter_v1 import EXAMPLES as LETTERS
from schemas.journey_v1 import Clock
from schemas.raw_message_v1 import RawMessage
from schemas.shipment_event_v1 import EXAMPLES as EVENTS
from schemas.shipment_event_v1 import ControlRecord, ShipmentEvent
from schemas.topics import Topic
from services.runtime import kafka as kafka_clients
from services.runtime import wire
from services.runtime.clickhouse import ClickHouse, connect
from services.runtime.clock import SystemClock
from services.runtime.settings import Settings
from services.runtime.sources import Record
from services.sink import inserts
from services.sink.audit import AUDITED, Finding, audit
from services.sink.logs import GROUP
from services.sink.plan import Plan
from services.sink.rows import LOG_TABLES
from tests import forks
from tests.stack import ClickHouse as ClickHouseServer
from tests.stack import Kafka as KafkaServer
from tests.unit.sink.examples import journey, milestone_reached
from tests.waiting import HANG_S, eventually

TABLES = [name for name in AUDITED if name != topics.DEAD_LETTERS.name]
"""Without one of the topics that messages become, only tables are compared: these tests write events out of nowhere."""


@pytest.fixture
def reader(settings: Settings) -> Iterator[ClickHouse]:
    client = connect(settings, "reader")
    yield client
    client.close()


@pytest.fixture
def producer(settings: Settings) -> Producer:
    return kafka_clients.producer(settings, "test-sink")


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """What a service started by hand is told."""
    told = {
        f"LOVLA_{name.upper()}": str(getattr(value, "get_secret_value", lambda v=value: v)())
        for name, value in settings
        if value is not None
    }
    told.pop("LOVLA_METRICS_PORT", None)
    return os.environ | told | more


def start(settings: Settings, stderr: int | None = None, **more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "services.sink"]
    return forks.popen(command, env=environment(settings, **more), text=True, stderr=stderr)


def commit(settings: Settings, topic: Topic, offset: int, metadata: str, partition: int = 0) -> None:
    """What a member of the sink's group would have committed before it died. While that member is not yet counted out (one that
    died with its broker), the broker refuses who is none."""
    client = kafka_clients.consumer(settings, "test-commit", GROUP)

    def taken() -> bool:
        try:
            client.commit(offsets=[TopicPartition(topic.name, partition, offset, metadata)], asynchronous=False)
        except KafkaException as exception:
            if kafka_clients.error_of(exception).code() != KafkaError.UNKNOWN_MEMBER_ID:
                raise
            return False
        return True

    eventually(taken, "the group has no members")
    client.close()


@contextmanager
def sink(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """A sink of its own process, ended by SIGTERM; it must end well, and within ten seconds."""
    process = start(settings)
    try:
        yield process
        process.terminate()
        # -SIGTERM: it was told to stop while Python was still importing; nothing had begun
        assert process.wait(10) in (0, -signal.SIGTERM)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def until(found: Callable[[], bool], what: str) -> None:
    eventually(found, what)  # many look by a whole audit


def event(tag: str) -> ShipmentEvent:
    example = EVENTS[0]
    assert isinstance(example, ShipmentEvent)
    return example.model_copy(update={"event_id": uuid.uuid4().hex, "source_id": tag})


def write(producer: Producer, topic: Topic, key: str, value: bytes | None, **options: object) -> None:
    producer.produce(topic.name, key=key.encode(), value=value, **options)  # type: ignore[arg-type]  # options vary


def findings(settings: Settings, reader: ClickHouse, topic: Topic) -> list[Finding]:
    return audit(settings, reader, SystemClock(), [topic.name])


def wrong(settings: Settings, reader: ClickHouse) -> list[Finding]:
    """What the audit of all tables finds once everything had time to arrive."""
    return [found for found in audit(settings, reader, SystemClock(), TABLES, patience_s=HANG_S) if not found.clean]


def settled(settings: Settings, reader: ClickHouse, topic: Topic) -> bool:
    """Each record is a row; a row too many fails at once, since no waiting mends it."""
    found = findings(settings, reader, topic)
    assert not any(finding.duplicate or finding.unaccounted for finding in found), found
    return all(finding.clean for finding in found)


def test_each_record_of_a_log_topic_becomes_a_row_even_ticks_and_rubbish(
    settings: Settings, reader: ClickHouse, producer: Producer
) -> None:
    tag = uuid.uuid4().hex
    for _ in range(20):
        write(producer, topics.SHIPMENT_EVENTS, "MAEU", wire.dump(event(tag)))
    tick = ControlRecord(control="tick", raw_partition=0, at=datetime(2020, 4, 12, tzinfo=UTC))
    for partition in range(4):
        write(producer, topics.SHIPMENT_EVENTS, "~control", wire.dump(tick), partition=partition)
    write(producer, topics.SHIPMENT_EVENTS, "MAEU", b"\xff not json " + tag.encode())
    write(producer, topics.SHIPMENT_EVENTS, "MAEU", None)
    payload = b"\x00\xffISA*00*" + tag.encode()
    meta = RawMessage(kind="message", sender="MAEU", sha256="ab" * 32, content_type="application/edi-x12")
    write(producer, topics.RAW_MESSAGES, "MAEU", payload, headers=wire.raw_headers(meta))
    producer.flush()
    with sink(settings):
        for topic in (topics.SHIPMENT_EVENTS, topics.RAW_MESSAGES):
            until(lambda topic=topic: settled(settings, reader, topic), topic.name)  # type: ignore[misc]
    counted = reader.query(
        "SELECT kind, count() AS n FROM shipment_events WHERE source_id = {tag:String} OR kind != 'event' GROUP BY kind",
        {"tag": tag},
    )
    assert {row["kind"]: row["n"] for row in counted} == {"event": 20, "tick": 4, "undecodable": 2}
    assert reader.query("SELECT count() AS n FROM event_references WHERE value = 'MRSU4371639'")[0]["n"] >= 20
    raw = reader.query("SELECT payload, kind, sender FROM raw_messages WHERE position(payload, {tag:String}) > 0", {"tag": tag})
    assert raw == [{"payload": payload, "kind": "message", "sender": "MAEU"}]


def test_the_newest_of_each_key_stands_in_the_state_tables(settings: Settings, reader: ClickHouse, producer: Producer) -> None:
    number = uuid.uuid4().hex[:8]
    for version in (5, 7, 6):
        write(producer, topics.JOURNEYS, f"LACDHS-{number}", wire.dump(journey(f"LACDHS-{number}", version=version)))
    write(producer, topics.JOURNEYS, "LACDHS-OLD", None)
    write(producer, topics.JOURNEYS, "clock:0", wire.dump(Clock(consignment="clock:0", version=1)))
    write(producer, topics.JOURNEYS, "rubbish", b"{")
    for record in registers_v1.EXAMPLES:
        if isinstance(record, registers_v1.Sender):
            write(producer, topics.SENDERS, record.code, wire.dump(record))
        if isinstance(record, registers_v1.Facility):
            write(producer, topics.FACILITIES, record.code, wire.dump(record))
    gone = registers_v1.Sender(code="GONE", kind="trucker", name="Gone")
    write(producer, topics.SENDERS, "GONE", wire.dump(gone))
    write(producer, topics.SENDERS, "GONE", None)
    producer.flush()

    def newest() -> bool:
        rows = reader.query("SELECT version FROM journeys FINAL WHERE consignment = {c:String}", {"c": f"LACDHS-{number}"})
        senders = {row["code"] for row in reader.query("SELECT code FROM senders FINAL")}
        return [row["version"] for row in rows] == [7] and "MAEU" in senders and "GONE" not in senders

    with sink(settings):
        until(newest, "the newest version")
        until(lambda: bool(reader.query("SELECT 1 FROM facilities FINAL WHERE code = 'LA-APMT'")), "facility")
        until(lambda: bool(reader.query("SELECT 1 FROM undecodable_states WHERE key = 'rubbish'")), "the undecodable state")


def test_a_closed_journey_stays_to_be_asked_for(settings: Settings, reader: ClickHouse, producer: Producer) -> None:
    number = uuid.uuid4().hex[:8]
    closed = {
        "change_id": uuid.uuid4().hex,
        "consignment": f"LACDHS-{number}",
        "version": 9,
        "ordinal": 0,
        "cause": "live",
        "at": "2020-04-12T00:00:00Z",
        "change": "closed",
    }
    from schemas.journey_change_v1 import JourneyClosed

    record = JourneyClosed.model_validate({**closed, "journey": journey(f"LACDHS-{number}", version=9)})
    write(producer, topics.JOURNEY_CHANGES, f"LACDHS-{number}", wire.dump(record))
    producer.flush()
    with sink(settings):
        until(
            lambda: bool(reader.query("SELECT 1 FROM journeys WHERE consignment = {c:String}", {"c": f"LACDHS-{number}"})),
            "the closed journey",
        )


def test_a_sink_killed_anywhere_neither_loses_nor_doubles_a_row(
    settings: Settings, reader: ClickHouse, producer: Producer
) -> None:
    consignment = f"LACDHS-{uuid.uuid4().hex[:8]}"
    sent = set()

    def send(count: int) -> None:
        for _ in range(count):
            change = milestone_reached(consignment, uuid.uuid4().hex)
            sent.add(change.change_id)
            write(producer, topics.JOURNEY_CHANGES, change.change_id, wire.dump(change))  # many keys: every partition
        producer.flush()

    # the classic protocol forgets a dead member after 10 s, the newer one only after the broker's 45 s
    classic = settings.model_copy(update={"group_protocol": "classic"})
    for where in ("before_plan:1", "after_plan:1", "after_insert:2", "after_commit:1"):
        send(300)
        victim = start(classic, LOVLA_FAILPOINT=where)
        try:
            until(lambda victim=victim: victim.poll() is not None, where)  # type: ignore[misc]
            assert victim.returncode == 137
        finally:
            if victim.poll() is None:
                victim.kill()
                victim.wait()
    send(50)
    with sink(classic):
        until(lambda: settled(settings, reader, topics.JOURNEY_CHANGES), "every record a row")
    rows = reader.query(
        "SELECT groupArray(change_id) AS ids FROM journey_changes WHERE consignment = {c:String}", {"c": consignment}
    )[0]["ids"]
    assert len(rows) == len(set(rows))
    assert set(rows) == sent


def test_while_clickhouse_is_away_the_sink_waits_and_then_goes_on(
    settings: Settings, clickhouse: ClickHouseServer, reader: ClickHouse, producer: Producer
) -> None:
    with sink(settings) as process:
        until(lambda: settled(settings, reader, topics.SHIPMENT_EVENTS), "everything so far")
        clickhouse.kill()
        for _ in range(50):
            write(producer, topics.SHIPMENT_EVENTS, "MAEU", wire.dump(event("while-away")))
        producer.flush()
        time.sleep(3)  # not for luck: an outage has to last longer than one flush
        assert process.poll() is None
        clickhouse.start()
        until(lambda: settled(settings, reader, topics.SHIPMENT_EVENTS), "every record a row after the outage")
    assert audit(settings, reader, SystemClock(), [topics.DEAD_LETTERS.name])[0].records == 0


def test_two_sinks_share_the_work_and_one_may_leave_or_die(settings: Settings, reader: ClickHouse, producer: Producer) -> None:
    def send(count: int) -> None:
        for _ in range(count):
            change = milestone_reached("LACDHS-TWO", uuid.uuid4().hex)
            write(producer, topics.JOURNEY_CHANGES, change.change_id, wire.dump(change))
        producer.flush()

    classic = settings.model_copy(update={"group_protocol": "classic"})
    with sink(classic):
        send(200)
        with sink(classic):
            send(200)
            until(lambda: settled(settings, reader, topics.JOURNEY_CHANGES), "every record a row while two share")
            send(200)
        dies = start(classic, LOVLA_FAILPOINT="after_insert:2")
        try:
            for _ in range(20):
                send(20)
                time.sleep(0.2)  # a load that goes on while the newcomer takes its share and dies
        finally:
            dies.kill()
            dies.wait()
        until(lambda: settled(settings, reader, topics.JOURNEY_CHANGES), "every record a row in the end")


def test_the_audit_finds_what_is_missing_double_or_old(settings: Settings, reader: ClickHouse, producer: Producer) -> None:
    with sink(settings):
        assert wrong(settings, reader) == []
    write(producer, topics.CONSENT, "s", b"never sunk")
    consignment = f"LACDHS-{uuid.uuid4().hex[:8]}"
    write(producer, topics.JOURNEYS, consignment, wire.dump(journey(consignment, version=2)))
    producer.flush()
    found = audit(settings, reader, SystemClock(), [topics.CONSENT.name, topics.JOURNEYS.name])
    assert sum(f.waiting for f in found if f.topic == topics.CONSENT.name) == 1
    assert [e.text for f in found for e in f.examples if e.topic == topics.JOURNEYS.name] == [
        f"{consignment}: its newest version is not in journeys"
    ]
    with sink(settings):
        assert wrong(settings, reader) == []


def test_a_broker_that_was_killed_is_found_again(
    settings: Settings, kafka: KafkaServer, reader: ClickHouse, producer: Producer
) -> None:
    with sink(settings):
        until(lambda: settled(settings, reader, topics.SHIPMENT_EVENTS), "everything so far")
        kafka.kill()
        kafka.start()
        for _ in range(50):
            write(producer, topics.SHIPMENT_EVENTS, "MAEU", wire.dump(event("after-the-kill")))
        producer.flush()
        until(lambda: settled(settings, reader, topics.SHIPMENT_EVENTS), "every record a row after the kill")


def test_a_block_that_is_there_in_part_stops_the_sink_and_its_advice_mends_it(
    settings: Settings, reader: ClickHouse, producer: Producer
) -> None:
    with sink(settings):
        until(lambda: settled(settings, reader, topics.DEAD_LETTERS), "everything so far")
    offsets: list[int] = []
    letter = wire.dump(LETTERS[0])
    for _ in range(5):
        producer.produce(
            topics.DEAD_LETTERS.name, key=b"MAEU", value=letter, on_delivery=lambda _, m: offsets.append(m.offset() or 0)
        )
    producer.flush()
    plan = Plan(offsets[0], offsets[-1])
    commit(settings, topics.DEAD_LETTERS, plan.first, plan.encode())
    admin = connect(settings, "admin")
    try:
        table = LOG_TABLES[topics.DEAD_LETTERS.name]
        row = table.row(Record(topics.DEAD_LETTERS.name, 0, plan.first, 0, b"MAEU", letter, None))
        admin.insert(table.table, table.names, inserts.columns_of([row]), {"async_insert": 0})

        stopped = start(settings, stderr=subprocess.PIPE)
        said = stopped.communicate(timeout=HANG_S)[1]
        assert stopped.returncode == 1
        assert f"DELETE FROM dead_letters WHERE k_partition = 0 AND k_offset BETWEEN {plan.first} AND {plan.last}" in said
        with pytest.raises(AssertionError):
            assert settled(settings, reader, topics.DEAD_LETTERS)

        admin.execute(f"DELETE FROM dead_letters WHERE k_partition = 0 AND k_offset BETWEEN {plan.first} AND {plan.last}")
        for window in (0, 100_000):
            admin.execute(f"ALTER TABLE dead_letters MODIFY SETTING non_replicated_deduplication_window = {window}")
    finally:
        admin.close()
    with sink(settings):
        until(lambda: settled(settings, reader, topics.DEAD_LETTERS), "every record a row after the repair")


def test_commit_metadata_that_is_no_plan_stops_the_sink(settings: Settings) -> None:
    commit(settings, topics.CONSENT, 0, "v9|who|knows")
    stopped = start(settings, stderr=subprocess.PIPE)
    said = stopped.communicate(timeout=HANG_S)[1]
    commit(settings, topics.CONSENT, 0, "")
    assert stopped.returncode == 1
    assert "is no plan of this version" in said


def test_a_plan_whose_block_is_there_is_not_inserted_again_but_its_views_are_filled(
    settings: Settings, reader: ClickHouse, producer: Producer
) -> None:
    with sink(settings):
        until(lambda: settled(settings, reader, topics.SHIPMENT_EVENTS), "everything so far")
    said = event("there")
    placed: list[tuple[int, int, int]] = []
    producer.produce(
        topics.SHIPMENT_EVENTS.name,
        key=b"MAEU",
        value=wire.dump(said),
        on_delivery=lambda _, m: placed.append((m.partition() or 0, m.offset() or 0, m.timestamp()[1])),
    )
    producer.flush()
    ((partition, offset, timestamp_ms),) = placed
    admin = connect(settings, "admin")
    try:
        table = LOG_TABLES[topics.SHIPMENT_EVENTS.name]
        row = table.row(Record(topics.SHIPMENT_EVENTS.name, partition, offset, timestamp_ms, b"MAEU", wire.dump(said), None))
        # as after a server's crash between a table's part and its view's
        admin.execute("DETACH TABLE event_references__from__shipment_events")
        admin.insert(table.table, table.names, inserts.columns_of([row]), {"async_insert": 0})
        admin.execute("ATTACH TABLE event_references__from__shipment_events")
    finally:
        admin.close()
    commit(settings, topics.SHIPMENT_EVENTS, offset, Plan(offset, offset).encode(), partition)

    def in_view() -> bool:
        return bool(reader.query("SELECT 1 FROM event_references WHERE event_id = {id:String}", {"id": said.event_id}))

    assert not in_view()
    with sink(settings):
        until(in_view, "the view's rows")
        until(lambda: settled(settings, reader, topics.SHIPMENT_EVENTS), "every record a row, once")


def test_every_topic_that_is_sunk_has_a_table() -> None:
    sunk = {topic.name for topic in topics.TOPICS if topic.sunk and topic.kept != "compacted"}
    assert sunk == set(LOG_TABLES)
