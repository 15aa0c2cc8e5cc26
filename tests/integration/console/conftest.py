"""A ClickHouse database of its own for the tests of the console, empty for each, filled by the sink's rows, without Kafka."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime

import pytest
from pydantic import BaseModel

from schemas.raw_message_v1 import RawMessage
from schemas.topics import RAW_MESSAGES, TOPICS, Topic
from services.runtime import wire
from services.runtime.clickhouse import ClickHouse, connect
from services.runtime.settings import Settings
from services.runtime.sources import Record
from services.sink import inserts, migrate
from services.sink.logs import insert_states
from services.sink.rows import LOG_TABLES, state_row
from tests.stack import ClickHouse as ClickHouseServer


class Books:
    """The tables, and a way to write records into them as the sink would."""

    def __init__(self, client: ClickHouse) -> None:
        self.client = client
        self._offsets = itertools.count()

    def write(self, *records: BaseModel, at: datetime | None = None) -> None:
        """Each record as a row of its topic's table, one insert a topic; `at`: the records' timestamp in Kafka."""
        timestamp_ms = int(at.timestamp() * 1000) if at else 0
        rows: dict[Topic, list[Record]] = {}
        for record in records:
            topic = next(topic for topic in TOPICS if type(record) in topic.records)
            rows.setdefault(topic, []).append(
                Record(topic.name, 0, next(self._offsets), timestamp_ms, b"", wire.dump(record), None)
            )
        for topic, of_topic in rows.items():
            self._insert(topic, of_topic)

    def write_raw(self, meta: RawMessage, payload: bytes, offset: int, partition: int = 1, at_ms: int = 0) -> None:
        headers = wire.raw_headers(meta)
        self._insert(RAW_MESSAGES, [Record(RAW_MESSAGES.name, partition, offset, at_ms, b"x", payload, headers)])

    def _insert(self, topic: Topic, records: Sequence[Record]) -> None:
        if topic.name in LOG_TABLES:
            table = LOG_TABLES[topic.name]
            rows = [table.row(record) for record in records]
            assert not any(row[-1] for row in rows), "undecodable"
            settings = inserts.log_settings(uuid.uuid4().hex)
            self.client.insert(table.table, table.names, inserts.columns_of(rows), settings)
        else:
            states = [state for record in records if (state := state_row(record)) is not None]
            assert all(state.table != "undecodable_states" for state in states)
            insert_states(self.client, states)


@pytest.fixture(scope="session")
def console_settings(clickhouse: ClickHouseServer) -> Settings:
    """Only ClickHouse: the console asks nothing else."""
    return Settings(
        kafka="127.0.0.1:1",
        clickhouse_host=clickhouse.host,
        clickhouse_port=clickhouse.port,
        clickhouse_http_port=clickhouse.http_port,
        clickhouse_admin_password=clickhouse.passwords.admin,
        clickhouse_reader_password=clickhouse.passwords.reader,
        clickhouse_writer_password=clickhouse.passwords.writer,
    )


@pytest.fixture(scope="session")
def tables(console_settings: Settings) -> Iterator[ClickHouse]:
    """Asked as admin: the reader may read `lovla` only. Made once: twenty tables cost ClickHouse half a second of CPU."""
    settings = console_settings.model_copy(update={"clickhouse_database": f"console_{uuid.uuid4().hex[:8]}"})
    migrate.apply(settings)
    client = connect(settings, "admin")
    yield client
    client.execute(f"DROP DATABASE {settings.clickhouse_database}")
    client.close()


@pytest.fixture
def books(tables: ClickHouse) -> Iterator[Books]:
    """Every table is empty."""
    yield Books(tables)
    written = "SELECT DISTINCT table FROM system.parts WHERE database = currentDatabase() AND active"
    for row in tables.query(f"{written} AND table != 'schema_versions'"):
        tables.execute(f"TRUNCATE TABLE {row['table']}")
