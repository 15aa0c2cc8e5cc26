"""ClickHouse behind five methods, so that the driver can be exchanged without touching who uses it.

Guarantees: an insert is one synchronous native block. Every failure is one of two things: `Refused` (the server said no;
nothing was written, the same again is refused again) or `OutcomeUnknown` (no connection, no answer in time, or an overload of
the server: it may or may not have been written; only the same block with the same deduplication token may be sent again).
After any failure the connection is dropped, so that a late answer is never taken for the next one's.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from clickhouse_driver import Client
from clickhouse_driver.errors import Error as DriverError
from clickhouse_driver.errors import ServerException

from services.runtime.settings import Settings

TIMEOUT_S = 20.0
"""How long the server may be silent; the driver's own default, 300 s, is too long to stand before an unknown outcome. A server
at work is not silent (it reports progress), so the writer also asks it to give up after this time."""

MAX_BLOCK_ROWS = 1_000_000
"""Under the driver's insert_block_size (1,048,576): more rows would be sent as two blocks."""

User = Literal["writer", "reader", "admin"]

_QUIET = logging.NullHandler()

_RETRYABLE = frozenset(
    {
        159,  # timeout exceeded
        202,  # too many queries at once
        203,  # no free connection
        209,  # socket timeout
        210,  # network error
        241,  # memory limit
        242,  # table is read only (for now)
        243,  # no space left
        252,  # too many parts
        319,  # unknown status of insert
        394,  # query was cancelled
        999,  # keeper
    }
)
_IDENTIFIER = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,127}(\.[A-Za-z_][A-Za-z0-9_]{0,127}){0,2}$")


def _utc_text(value: object) -> object:
    """A time as ClickHouse reads it for a `DateTime64(6, 'UTC')` parameter; the driver's own text drops the fraction."""
    if not isinstance(value, datetime):
        return value
    utc = value.astimezone(UTC)
    return utc.strftime("%Y-%m-%d %H:%M:%S.%f" if utc.microsecond else "%Y-%m-%d %H:%M:%S")


class ClickHouseError(Exception):
    """`code` is the server's, 0 where it gave none."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class OutcomeUnknown(ClickHouseError):
    """It may or may not have happened; ask again, or send the very same again."""


class Refused(ClickHouseError):
    """The server said no, and would say it again."""


class ClickHouse(Protocol):
    """What services need of ClickHouse. One object may be used from several threads."""

    def execute(
        self, sql: str, params: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> None:
        """A statement without rows in its answer."""
        ...

    def query(
        self, sql: str, params: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> list[dict[str, Any]]:
        """Rows as dicts by column name. Parameters stand in the SQL as `{name:Type}` and are substituted by the server."""
        ...

    def stream(
        self, sql: str, params: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> Iterator[dict[str, Any]]:
        """The same row by row, as the server sends them, over a connection of its own that ends with them: for more rows than
        are to be held. An error may come after the first rows."""
        ...

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        data: Sequence[Sequence[object]],
        settings: Mapping[str, object] | None = None,
    ) -> int:
        """`data` holds one sequence a column. Returns the number of rows."""
        ...

    def close(self) -> None: ...


class DriverClickHouse:
    """The native protocol by clickhouse-driver; one connection a thread, opened at first use."""

    def __init__(
        self,
        host: str,
        port: int,
        database: str,
        user: str,
        password: str,
        timeout_s: float = TIMEOUT_S,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self._options: dict[str, Any] = {
            "host": host,
            "port": port,
            "database": database,
            "user": user,
            "password": password,
            "client_name": "lovla",
            "connect_timeout": min(5.0, timeout_s),
            "send_receive_timeout": timeout_s,
            "sync_request_timeout": min(5.0, timeout_s),
            # the server substitutes parameters: no text of ours is ever spliced into SQL
            "settings": {"server_side_params": True, **(settings or {})},
        }
        self._where = f"ClickHouse at {host}:{port}"
        self._local = threading.local()
        self._lock = threading.Lock()
        self._clients: list[Client] = []

    def execute(
        self, sql: str, params: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> None:
        self._run(sql, dict(params or {}), settings)

    def query(
        self, sql: str, params: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> list[dict[str, Any]]:
        rows, columns = self._run(sql, dict(params or {}), settings, with_column_types=True)
        names = [name for name, _ in columns]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def stream(
        self, sql: str, params: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> Iterator[dict[str, Any]]:
        client = Client(**self._options)
        with self._told(client):
            try:
                given = {name: _utc_text(value) for name, value in (params or {}).items()}
                rows = client.execute_iter(sql, given or None, settings=dict(settings or {}), with_column_types=True)
                names = [name for name, _ in next(rows)]
                for row in rows:
                    yield dict(zip(names, row, strict=True))
            finally:
                client.disconnect()

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        data: Sequence[Sequence[object]],
        settings: Mapping[str, object] | None = None,
    ) -> int:
        for name in (table, *columns):
            if not _IDENTIFIER.match(name):
                raise ValueError(f"{name!r} is no table or column name")
        if len(columns) != len(data):
            raise ValueError(f"{len(columns)} columns, but data for {len(data)}")
        rows = len(data[0]) if data else 0
        if any(len(column) != rows for column in data):
            raise ValueError(f"the columns of a block for {table} differ in length")
        if rows == 0:
            return 0
        if rows > MAX_BLOCK_ROWS:
            raise ValueError(f"{rows} rows for {table}; a block holds at most {MAX_BLOCK_ROWS}")
        names = ", ".join(f"`{name}`" for name in columns)
        self._run(f"INSERT INTO {table} ({names}) VALUES", [list(column) for column in data], settings, columnar=True)
        return rows

    def close(self) -> None:
        with self._lock:
            for client in self._clients:
                client.disconnect()
            self._clients.clear()
        self._local = threading.local()

    def _client(self) -> Client:
        client = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = Client(**self._options)
            with self._lock:
                self._clients.append(client)
        return client

    def _run(
        self,
        sql: str,
        params: dict[str, object] | list[list[object]],
        settings: Mapping[str, object] | None,
        **options: bool,
    ) -> Any:
        client = self._client()
        if isinstance(params, dict):
            params = {name: _utc_text(value) for name, value in params.items()}
        with self._told(client):
            return client.execute(sql, params or None, settings=dict(settings or {}), **options)

    @contextmanager
    def _told(self, client: Client) -> Iterator[None]:
        """Every failure as one of our two."""
        try:
            yield
        except ServerException as error:
            client.disconnect()
            kind = OutcomeUnknown if error.code in _RETRYABLE else Refused
            text = (error.message or "").partition("Stack trace:")[0].strip()[:2000]
            raise kind(f"{self._where}: {text}", error.code) from error
        except (OSError, EOFError, DriverError) as error:
            client.disconnect()
            raise OutcomeUnknown(f"{self._where} gave no answer: {type(error).__name__}: {error}"[:2000]) from error
        except BaseException:
            client.disconnect()  # half a conversation is no connection
            raise


def connect(
    settings: Settings, user: User, timeout_s: float = TIMEOUT_S, limits: Mapping[str, object] | None = None
) -> ClickHouse:
    """ClickHouse as one of its three users. Connects at first use, so that a process starts while the server is away.

    `limits`: settings of every query, below what the user's profile allows.
    """
    # every failure is raised with its text: where a process has set up no logging, the driver's own telling is not for people
    logging.getLogger("clickhouse_driver").addHandler(_QUIET)
    password = {
        "writer": settings.clickhouse_writer_password,
        "reader": settings.clickhouse_reader_password,
        "admin": settings.clickhouse_admin_password,
    }[user]
    return DriverClickHouse(
        settings.clickhouse_host,
        settings.clickhouse_port,
        settings.clickhouse_database,
        user,
        password.get_secret_value(),
        timeout_s,
        # the reader's own limits stand in its profile, which it may not change; a migration takes the time it takes
        limits or ({"max_execution_time": int(timeout_s)} if user == "writer" else {}),
    )
