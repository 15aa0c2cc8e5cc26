"""The local Kafka and ClickHouse are what the rest of the project takes them for."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException
from confluent_kafka import Producer

from deploy.local import topics
from schemas.topics import RAW_MESSAGES, TOPICS
from services.runtime import kafka
from services.runtime.settings import Settings
from tests.stack import ClickHouse, Kafka


def client(clickhouse: ClickHouse, user: str, password: str) -> Client:
    return Client(clickhouse.host, port=clickhouse.port, user=user, password=password)


def ask(clickhouse: ClickHouse, user: str, sql: str, settings: Mapping[str, object] | None = None) -> object:
    with client(clickhouse, user, getattr(clickhouse.passwords, user)) as connection:
        return connection.execute(sql, settings=settings)


def test_settings_carry_both_servers_and_all_topics_are_declared(settings: Settings) -> None:
    with kafka.admin(settings.kafka) as client:
        found = client.list_topics(timeout=10).topics
    assert {topic.name: topics.partitions(topic, settings.shards) for topic in TOPICS} == {
        topic.name: len(found[topic.name].partitions) for topic in TOPICS
    }


def test_declaring_again_changes_nothing(settings: Settings) -> None:
    assert {done.outcome for done in topics.declare(settings.kafka, settings.shards)} == {"unchanged"}


def test_a_record_of_six_megabytes_less_its_headers_is_taken(settings: Settings) -> None:
    failures: list[object] = []
    producer = Producer({"bootstrap.servers": settings.kafka, "message.max.bytes": RAW_MESSAGES.max_message_bytes})
    producer.produce(
        RAW_MESSAGES.name, value=b"\0" * (5 * 1024 * 1024 + 500_000), key=b"~test", on_delivery=lambda e, _: failures.append(e)
    )
    assert producer.flush(20) == 0
    assert failures == [None]


def test_only_admin_makes_tables_and_the_reader_only_reads(clickhouse: ClickHouse) -> None:
    ask(clickhouse, "admin", "CREATE DATABASE IF NOT EXISTS lovla")
    ask(clickhouse, "admin", "CREATE OR REPLACE TABLE lovla.rights (n UInt8) ENGINE = MergeTree ORDER BY n")
    ask(clickhouse, "writer", "INSERT INTO lovla.rights SELECT 7")
    assert ask(clickhouse, "reader", "SELECT n FROM lovla.rights") == [(7,)]
    for user, sql in (
        ("reader", "INSERT INTO lovla.rights SELECT 8"),
        ("reader", "SELECT * FROM file('/etc/hostname', 'LineAsString')"),
        ("writer", "DROP TABLE lovla.rights"),
        ("writer", "CREATE TABLE lovla.other (n UInt8) ENGINE = Memory"),
    ):
        with pytest.raises(ServerException, match=r"Not enough privileges|readonly"):
            ask(clickhouse, user, sql)
    ask(clickhouse, "admin", "DROP TABLE lovla.rights")


def test_the_reader_cannot_lift_its_own_limits(clickhouse: ClickHouse) -> None:
    assert ask(clickhouse, "reader", "SELECT 1", {"max_execution_time": 10}) == [(1,)]
    for limit in ({"max_execution_time": 0}, {"max_execution_time": 3600}, {"max_memory_usage": 0}, {"max_result_rows": 0}):
        with pytest.raises(ServerException, match="shouldn't be"):
            ask(clickhouse, "reader", "SELECT 1", limit)


@pytest.mark.parametrize(("user", "password"), [("default", ""), ("reader", ""), ("admin", "admin"), ("nobody", "")])
def test_nobody_comes_in_without_a_password(clickhouse: ClickHouse, user: str, password: str) -> None:
    with pytest.raises(ServerException), client(clickhouse, user, password) as connection:
        connection.execute("SELECT 1")


def test_data_outlives_kill_9(clickhouse: ClickHouse, kafka: Kafka, settings: Settings) -> None:
    ask(clickhouse, "admin", "CREATE DATABASE IF NOT EXISTS lovla")
    ask(clickhouse, "admin", "CREATE OR REPLACE TABLE lovla.killed (n UInt8) ENGINE = MergeTree ORDER BY n")
    ask(clickhouse, "admin", "INSERT INTO lovla.killed SELECT number FROM numbers(9)")
    clickhouse.kill()
    kafka.kill()
    clickhouse.start()
    kafka.start()
    assert ask(clickhouse, "admin", "SELECT count() FROM lovla.killed") == [(9,)]
    assert {done.outcome for done in topics.declare(settings.kafka, settings.shards)} == {"unchanged"}
    ask(clickhouse, "admin", "DROP TABLE lovla.killed")
