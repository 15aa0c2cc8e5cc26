"""The driver behind our port, on a real server: values arrive as they were, and every failure is told apart."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.runtime.clickhouse import ClickHouse, OutcomeUnknown, Refused, connect
from services.runtime.settings import Settings

TABLE = "runtime_test"


@pytest.fixture
def admin(settings: Settings) -> Iterator[ClickHouse]:
    client = connect(settings, "admin")
    client.execute(f"DROP TABLE IF EXISTS {TABLE}")
    client.execute(
        f"CREATE TABLE {TABLE} (id UInt64, at DateTime64(6, 'UTC'), text String, tags Array(String), note Nullable(String)) "
        "ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100"
    )
    yield client
    client.execute(f"DROP TABLE IF EXISTS {TABLE}")
    client.close()


AT = datetime(2020, 4, 11, 9, 40, 0, 123456, tzinfo=timezone(timedelta(hours=-7)))
HOSTILE = 'it\'s \\ "quoted"\n\t\0 ; DROP TABLE runtime_test -- {x:String} %(y)s 日本'


def rows(client: ClickHouse) -> list[dict[str, object]]:
    return client.query(f"SELECT * FROM {TABLE} ORDER BY id")


def test_values_arrive_as_they_were_sent(admin: ClickHouse) -> None:
    columns = ["id", "at", "text", "tags", "note"]
    assert admin.insert(TABLE, columns, [[1, 2], [AT, AT], [HOSTILE, ""], [["a", HOSTILE], []], [None, "n"]]) == 2
    assert rows(admin) == [
        {"id": 1, "at": AT.astimezone(UTC), "text": HOSTILE, "tags": ["a", HOSTILE], "note": None},
        {"id": 2, "at": AT.astimezone(UTC), "text": "", "tags": [], "note": "n"},
    ]


@pytest.mark.parametrize(
    ("type", "value"),
    [("String", HOSTILE), ("UInt64", 7), ("DateTime64(6, 'UTC')", AT), ("Array(String)", ["a", "it's"]), ("Float64", 1.5)],
)
def test_parameters_are_substituted_by_the_server_and_mean_themselves(admin: ClickHouse, type: str, value: object) -> None:
    [row] = admin.query(f"SELECT {{value:{type}}} AS value", {"value": value})
    assert row["value"] == value


def test_the_same_block_with_the_same_token_is_inserted_once(admin: ClickHouse) -> None:
    for _ in range(2):
        admin.insert(
            TABLE, ["id"], [[1, 2, 3]], {"async_insert": 0, "insert_deduplicate": 1, "insert_deduplication_token": "t"}
        )
    assert len(rows(admin)) == 3


def test_a_refusal_says_so_and_the_next_statement_works(admin: ClickHouse) -> None:
    with pytest.raises(Refused, match="no_such_table") as refused:
        admin.query("SELECT * FROM no_such_table")
    assert refused.value.code == 60
    assert admin.query("SELECT 1 AS one") == [{"one": 1}]


def test_rows_may_be_read_one_by_one_while_others_are_asked_for(admin: ClickHouse) -> None:
    told = admin.stream(
        "SELECT number AS n, {at:DateTime64(6, 'UTC')} AS at FROM numbers(100000)", {"at": AT}, {"max_block_size": 1_000}
    )
    assert next(told) == {"n": 0, "at": AT.astimezone(UTC)}
    assert admin.query("SELECT 1 AS one") == [{"one": 1}]
    assert [row["n"] for row in told] == list(range(1, 100_000))
    assert list(admin.stream("SELECT 1 AS one WHERE 0")) == []


def test_an_error_amid_rows_is_told_as_any_other(admin: ClickHouse) -> None:
    told = admin.stream(
        "SELECT throwIf(number = 50000, 'amid them') AS n FROM numbers(100000)",
        settings={"max_block_size": 1_000, "max_threads": 1},
    )
    with pytest.raises(Refused, match="amid them"):
        list(told)
    assert admin.query("SELECT 1 AS one") == [{"one": 1}]
    with pytest.raises(Refused, match="no_such_table"):
        next(admin.stream("SELECT * FROM no_such_table"))


def test_a_server_that_does_not_answer_is_an_unknown_outcome(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        client = connect(settings.model_copy(update={"clickhouse_port": deaf.getsockname()[1]}), "writer", timeout_s=0.5)
        with pytest.raises(OutcomeUnknown, match="gave no answer"):
            client.query("SELECT 1")


def test_the_server_is_told_how_long_the_writer_waits_and_an_overrun_is_an_unknown_outcome(settings: Settings) -> None:
    client = connect(settings, "writer", timeout_s=2.0)
    assert client.query("SELECT toUInt32(getSetting('max_execution_time')) AS s") == [{"s": 2}]
    with pytest.raises(OutcomeUnknown) as unknown:
        client.query("SELECT throwIf(1, 'too slow', toInt16(159)) SETTINGS allow_custom_error_code_in_throwif = 1")
    assert unknown.value.code == 159
    client.close()


def test_a_server_that_is_away_is_an_unknown_outcome(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        client = connect(settings.model_copy(update={"clickhouse_port": taken.getsockname()[1]}), "writer")
        with pytest.raises(OutcomeUnknown, match="gave no answer"):
            client.query("SELECT 1")


def test_a_wrong_password_is_refused_and_not_shown(settings: Settings) -> None:
    wrong = connect(settings.model_copy(update={"clickhouse_reader_password": settings.secret_key}), "reader")
    with pytest.raises(Refused) as refused:
        wrong.query("SELECT 1")
    assert refused.value.code == 516
    secret = settings.secret_key.get_secret_value()
    assert not secret or secret not in str(refused.value)


def test_the_reader_cannot_write(admin: ClickHouse, settings: Settings) -> None:
    reader = connect(settings, "reader")
    assert reader.query("SELECT {x:String} AS x", {"x": HOSTILE}) == [{"x": HOSTILE}]
    with pytest.raises(Refused):
        reader.insert(TABLE, ["id"], [[1]])
    reader.close()


def test_threads_have_connections_of_their_own(admin: ClickHouse) -> None:
    found: list[int] = []

    def ask(n: int) -> None:
        for _ in range(5):
            found.append(admin.query("SELECT {n:UInt8} AS n, sleep(0.01)", {"n": n})[0]["n"])

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == [n for n in range(4) for _ in range(5)]


@pytest.mark.parametrize(
    ("table", "columns", "data"),
    [
        ("t; DROP TABLE t", ["id"], [[1]]),
        (TABLE, ["id`"], [[1]]),
        (TABLE, ["id", "text"], [[1]]),
        (TABLE, ["id", "text"], [[1], []]),
    ],
)
def test_a_block_that_is_none_is_not_sent(settings: Settings, table: str, columns: list[str], data: list[list[object]]) -> None:
    with pytest.raises(ValueError, match=r"name|columns"):
        connect(settings, "writer").insert(table, columns, data)
