"""`lovla rebuild` on real servers: the same answers, whatever it is killed at, and nothing given up unasked."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition

from schemas import topics
from schemas.dead_letter_v1 import EXAMPLES as LETTERS
from schemas.journey_v1 import Clock
from schemas.raw_message_v1 import RawMessage
from services.runtime import kafka as clients
from services.runtime import wire
from services.runtime.clickhouse import ClickHouse, connect
from services.runtime.settings import Settings
from services.sink.rebuild import BESIDE, Options, Rebuild, RebuildError
from services.sink.rows import LOG_TABLES
from tests import forks
from tests.integration.sink.test_sink import environment, event, sink, until, write, wrong
from tests.unit.sink.examples import journey, milestone_reached

EVENTS = 300
STEPS = ("built", "held", "level", "carried", "verified", "exchanged:1", "exchanged:4", "switched")


@pytest.fixture
def admin(settings: Settings) -> Iterator[ClickHouse]:
    client = connect(settings, "admin")
    yield client
    client.close()


@pytest.fixture
def producer(settings: Settings) -> Producer:
    return clients.producer(settings, "test-rebuild")


def rebuild(settings: Settings, *arguments: str, failpoint: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from services.cli import main; main()", "rebuild", "--json", *arguments]
    told = environment(settings, LOVLA_FAILPOINT=failpoint)
    return forks.run(command, env=told, timeout=180)


def rebuilt(settings: Settings, *arguments: str) -> dict[str, Any]:
    done = rebuild(settings, *arguments)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def fill(producer: Producer, count: int = EVENTS) -> str:
    tag = uuid.uuid4().hex
    for number in range(count):
        write(producer, topics.SHIPMENT_EVENTS, f"S{number % 7}", wire.dump(event(tag)))
        name = f"LACDHS-{tag}-{number % 20}"
        write(producer, topics.JOURNEYS, name, wire.dump(journey(consignment=name, version=number + 1)))
        write(producer, topics.JOURNEY_CHANGES, name, wire.dump(milestone_reached(name, uuid.uuid4().hex)))
    write(producer, topics.JOURNEYS, "clock:0", wire.dump(Clock(consignment="clock:0", version=1)))
    assert producer.flush(30) == 0
    return tag


def answers(admin: ClickHouse, database: str) -> dict[str, Any]:
    """All that can be asked: every row of every table, in order."""
    tables = [table.table for table in LOG_TABLES.values()] + ["event_references FINAL", "journeys FINAL", "clocks FINAL"]
    tables += ["open_journeys FINAL", "journey_finds FINAL", "journey_marks FINAL", "journey_lines FINAL"]
    tables += ["event_marks FINAL"]
    return {
        table: admin.query(f"SELECT count() AS rows, groupBitXor(cityHash64(*)) AS content FROM {database}.{table}")[0]
        for table in tables
    }


def arrived(settings: Settings, admin: ClickHouse, tag: str) -> None:
    found = "SELECT count() AS n FROM shipment_events WHERE source_id = {tag:String}"
    until(lambda: bool(admin.query(found, {"tag": tag})[0]["n"] == EVENTS), "the sink's rows")
    reader = connect(settings, "reader")
    assert wrong(settings, reader) == []
    reader.close()


def test_the_new_tables_answer_as_the_old_ones_and_the_sink_goes_on(
    settings: Settings, admin: ClickHouse, producer: Producer
) -> None:
    tag = fill(producer)
    with sink(settings):
        arrived(settings, admin, tag)
    before = answers(admin, "lovla")
    assert before["open_journeys FINAL"]["rows"] >= 20
    assert before["journey_finds FINAL"]["rows"] >= 20
    assert before["journey_marks FINAL"]["rows"] >= 20
    assert before["journey_lines FINAL"]["rows"] >= 20
    assert before["event_marks FINAL"]["rows"] >= 20
    uuids = "SELECT uuid FROM system.tables WHERE database = 'lovla' AND name = 'shipment_events'"
    old = admin.query(uuids)
    done = rebuilt(settings)
    assert {one["verdict"] for one in done["tables"]} == {"equal"}
    assert admin.query(uuids) != old
    assert answers(admin, "lovla") == before
    assert not admin.query("SELECT 1 FROM system.databases WHERE name = {name:String}", {"name": BESIDE})
    tag = fill(producer)
    with sink(settings):
        arrived(settings, admin, tag)
    fed = (
        "SELECT count() AS n FROM event_references FINAL "
        "WHERE event_id IN (SELECT event_id FROM shipment_events WHERE source_id = {tag:String})"
    )
    assert admin.query(fed, {"tag": tag})[0]["n"] >= EVENTS, "the view no longer feeds its table"


def test_killed_at_any_step_it_is_run_again_and_no_reader_sees_half_of_it(
    settings: Settings, admin: ClickHouse, producer: Producer
) -> None:
    tag = fill(producer)
    with sink(settings):
        arrived(settings, admin, tag)
    for step in STEPS:
        before = answers(admin, "lovla")
        assert rebuild(settings, failpoint=step).returncode == 137, step
        assert answers(admin, "lovla") == before, f"a reader sees half of it at {step}"
        if step.startswith("exchanged"):  # the sink is started before anyone looks at the rebuild
            tag = fill(producer)
            with sink(settings):
                arrived(settings, admin, tag)
    before = answers(admin, "lovla")
    rebuilt(settings)
    assert answers(admin, "lovla") == before
    assert "lovla_rebuild" not in {row["name"] for row in admin.query("SELECT name FROM system.databases")}


def test_while_a_sink_is_at_work_nothing_is_exchanged(settings: Settings, admin: ClickHouse) -> None:
    uuids = "SELECT name, uuid FROM system.tables WHERE database = 'lovla' ORDER BY name"
    before = admin.query(uuids)
    with sink(settings), pytest.raises(RebuildError, match="Stop the sink"):
        Rebuild(settings, Options(hold_s=3)).run()
    assert admin.query(uuids) == before


def test_what_the_topic_no_longer_holds_is_kept_unless_told_otherwise(
    settings: Settings, admin: ClickHouse, producer: Producer
) -> None:
    for number in range(10):
        letter = LETTERS[0].model_copy(update={"letter_id": f"{number:032x}"})
        write(producer, topics.DEAD_LETTERS, "MAEU", wire.dump(letter))
    tag = fill(producer)
    with sink(settings):
        arrived(settings, admin, tag)
    count = "SELECT count() AS n FROM dead_letters"
    assert admin.query(count)[0]["n"] == 10
    expire(settings, topics.DEAD_LETTERS.name, 6)
    assert rebuild(settings, failpoint="carried").returncode == 137
    done = rebuilt(settings)
    (letters,) = [one for one in done["tables"] if one["table"] == "dead_letters"]
    assert (letters["rows_after"], letters["carried"], letters["verdict"]) == (10, 6, "6 kept that the topic no longer has")
    refused = rebuild(settings, "--drop-expired")
    assert refused.returncode == 1
    assert "6 rows of dead_letters" in refused.stderr
    rebuilt(settings, "--drop-expired", "--accept-loss")
    assert admin.query(count)[0]["n"] == 4


def test_what_was_damaged_is_mended_and_the_old_tables_can_be_kept(
    settings: Settings, admin: ClickHouse, producer: Producer
) -> None:
    tag = fill(producer)
    with sink(settings):
        arrived(settings, admin, tag)
    before = answers(admin, "lovla")
    admin.execute("DELETE FROM shipment_events WHERE k_offset % 3 = 0")
    admin.execute("DELETE FROM journeys WHERE version % 2 = 0")
    done = rebuilt(settings, "--keep-old")
    assert answers(admin, "lovla") == before
    assert admin.query(f"SELECT count() AS n FROM {done['old']}.shipment_events")[0]["n"] < before["shipment_events"]["rows"]


def expire(settings: Settings, topic: str, before: int) -> None:
    """As retention does."""
    with clients.admin(settings.kafka) as client:
        for future in client.delete_records([TopicPartition(topic, 0, before)]).values():
            future.result()


def test_messages_that_the_topic_lost_are_kept_with_what_is_made_of_them(
    settings: Settings, admin: ClickHouse, producer: Producer
) -> None:
    """The last of this file: what it takes from a topic that is kept for ever is missed by every audit of it."""
    meta = RawMessage(kind="message", sender="MAEU", sha256="ab" * 32, content_type="application/edifact")
    for number in range(3):
        interchange = f"UNB+UNOA:2+MAEU+LOVLA+200412:1200+{number}'".encode()
        write(producer, topics.RAW_MESSAGES, "MAEU", interchange, headers=wire.raw_headers(meta), partition=0)
    raw = "SELECT payload, interchange FROM raw_messages ORDER BY k_partition, k_offset"
    tag = fill(producer)
    with sink(settings):
        arrived(settings, admin, tag)
        until(lambda: len(admin.query(raw)) == 3, "the messages")
    before = admin.query(raw)
    assert [row["interchange"].split("\x01") for row in before] == [["edifact", "MAEU", str(n)] for n in range(3)]
    expire(settings, topics.RAW_MESSAGES.name, 2)
    (messages,) = [one for one in rebuilt(settings)["tables"] if one["table"] == "raw_messages"]
    assert (messages["rows_after"], messages["carried"]) == (3, 2)
    assert admin.query(raw) == before
