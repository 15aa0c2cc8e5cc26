"""A model of ClickHouse for the sink: blocks that are inserted once a token, answers that get lost, blocks that come late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from services.runtime.clickhouse import OutcomeUnknown, Refused
from tests.simulation.processes import Process

Where = tuple[str, int, int]
"""k_topic, k_partition, k_offset: the first three columns of every log table."""


class Tables:
    """What is in the database. It outlives every process."""

    def __init__(self) -> None:
        self.rows: dict[str, Counter[Where]] = {}
        self.newest: dict[str, dict[object, int]] = {}
        self._tokens: set[tuple[str, object]] = set()
        self.late: list[tuple[str, list[Where], object]] = []  # blocks whose sender is gone, still under way

    def land(self, table: str, rows: list[Where], token: object) -> None:
        if (table, token) not in self._tokens:
            self._tokens.add((table, token))
            self.rows.setdefault(table, Counter()).update(rows)

    def land_late(self) -> None:
        """What was under way arrives."""
        for block in self.late:
            self.land(*block)
        self.late.clear()


class ModelClickHouse:
    """services.runtime.clickhouse.ClickHouse for one process; `fault`: done, refused, lost (not done), unanswered, late."""

    def __init__(self, tables: Tables, process: Process, fault: Callable[[], str]) -> None:
        self._tables = tables
        self._process = process
        self._fault = fault

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        data: Sequence[Sequence[object]],
        settings: Mapping[str, object] | None = None,
    ) -> int:
        self._process.pause("insert")
        fault = self._fault()
        if fault == "refused":
            raise Refused("planted")
        if fault == "lost":
            raise OutcomeUnknown("planted: it never came")
        if tuple(columns[:3]) == ("k_topic", "k_partition", "k_offset"):
            rows: list[Where] = list(zip(*data[:3], strict=True))
            token = (settings or {}).get("insert_deduplication_token")
            if fault == "late":
                self._tables.late.append((table, rows, token))
            else:
                self._tables.land(table, rows, token)
        else:
            newest = self._tables.newest.setdefault(table, {})
            for key, version in zip(data[0], data[1], strict=True):
                assert isinstance(version, int)
                newest[key] = max(version, newest.get(key, version))
        self._process.pause("inserted")
        if fault in ("unanswered", "late"):
            raise OutcomeUnknown("planted: no answer")
        return len(data[0])

    def query(
        self, sql: str, params: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> list[dict[str, Any]]:
        self._process.pause("query")
        if self._fault() in ("lost", "unanswered", "late"):
            raise OutcomeUnknown("planted: no answer")
        said = dict(params or {})
        if "first" not in said:
            return []  # the views of a table: there are none here
        table = sql.partition(" FROM ")[2].split()[0]
        first, last = said["first"], said["last"]
        assert isinstance(first, int) and isinstance(last, int)
        found = {
            where: times
            for where, times in self._tables.rows.get(table, Counter()).items()
            if where[:2] == (said["topic"], said["partition"]) and first <= where[2] <= last
        }
        return [{"rows": sum(found.values()), "offsets": len(found)}]

    def stream(
        self, sql: str, params: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> Iterator[dict[str, Any]]:
        return iter(self.query(sql, params, settings))

    def execute(
        self, sql: str, params: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> None:
        """Nothing the model keeps."""

    def close(self) -> None:
        """No connection."""
