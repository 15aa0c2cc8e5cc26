"""ClickHouse's tables from numbered SQL files (deploy/clickhouse/NNN_name.sql): `status`, `plan`, `apply`.

The file format and the bookkeeping table (`schema_versions`: version, md5, script, created_at) are those of
clickhouse-migrations 0.14, so that package can be used instead. Ours is small and adds nothing to install: files are
append-only, each is applied once, and a file that changed after it was applied is an error, not a surprise.

ClickHouse has no transactions over DDL: a file that fails half-way is applied again from its start, so every statement must
bear repetition (IF NOT EXISTS).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Literal

from services.runtime.clickhouse import ClickHouse, connect
from services.runtime.settings import Settings

BOOKKEEPING = """CREATE TABLE IF NOT EXISTS schema_versions
(version UInt32, md5 String, script String, created_at DateTime DEFAULT now())
ENGINE = MergeTree ORDER BY tuple(created_at)"""

HIDE_AGAIN = """
INSERT INTO journeys SELECT * FROM journeys FINAL WHERE consignment IN (
    SELECT consignment FROM journeys FINAL
    WHERE stage IN ('delivered', 'cancelled') AND empty(open_kinds)
        AND consignment IN (SELECT consignment FROM open_journeys WHERE leaves_at >= '2100-01-01')
        AND consignment NOT IN (
            SELECT consignment FROM open_journeys WHERE leaves_at > now() + INTERVAL 12 HOUR AND leaves_at < '2100-01-01'
        )
)"""
"""What has ended and might look open: an older row stands in open_journeys, and the one that hides it has left or soon will
(docs/decisions/0046). Its newest version is written once more, so that the view writes it too."""

DEDUPLICATION_WINDOW = 100_000
"""Blocks whose tokens a log table remembers. Without it ClickHouse ignores the token in silence."""

_NAME = re.compile(r"^(?P<number>\d{3})_(?P<name>[a-z0-9_]+)\.sql$")
_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)
      | (?P<quoted>'(?:\\.|''|[^'\\])*'|"(?:\\.|[^"\\])*"|`[^`]*`)
      | (?P<end>;)
      | (?P<code>[^-/'"`;]+|.)""",
    re.VERBOSE | re.DOTALL,
)


class MigrationError(Exception):
    """The files or the database are not as they must be; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file; its number is its place in the order."""

    number: int
    name: str
    md5: str
    script: str


@dataclass(frozen=True, slots=True)
class Step:
    """One migration against the database. changed: the file is no longer what was applied; unknown: applied, but no file."""

    number: int
    name: str
    state: Literal["applied", "pending", "changed", "unknown"]
    applied_at: datetime | None = None


def folder() -> Path:
    """Where the project's files are, in a checkout or installed."""
    return Path(str(files("deploy") / "clickhouse"))


def load(directory: Path) -> list[Migration]:
    """The files in order. Raises MigrationError on a bad name or a number used twice."""
    found: dict[int, Migration] = {}
    for path in sorted(directory.glob("*.sql")):
        match = _NAME.match(path.name)
        if match is None:
            raise MigrationError(f"{path.name} is not named NNN_name.sql")
        number = int(match["number"])
        if number in found:
            raise MigrationError(f"{path.name}: number {number:03d} is taken by {found[number].name}")
        body = path.read_bytes()
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        found[number] = Migration(number, match["name"], md5, body.decode("utf-8"))
    return [found[number] for number in sorted(found)]


def statements(script: str) -> list[str]:
    """The statements between semicolons; those inside comments and quotes do not count. Comments are left out."""
    parts: list[list[str]] = [[]]
    for token in _TOKEN.finditer(script):
        if token.lastgroup == "end":
            parts.append([])
        elif token.lastgroup == "comment":
            parts[-1].append(" ")
        else:
            parts[-1].append(token[0])
    return [text for part in parts if (text := "".join(part).strip())]


def compare(wanted: Sequence[Migration], applied: Mapping[int, tuple[str, datetime]]) -> list[Step]:
    """What is applied and what is not; `applied`: number -> (md5, when)."""
    steps = []
    by_number = {migration.number: migration for migration in wanted}
    for number in sorted(by_number.keys() | applied.keys()):
        migration, done = by_number.get(number), applied.get(number)
        if migration is None:
            assert done is not None
            steps.append(Step(number, "?", "unknown", done[1]))
        elif done is None:
            steps.append(Step(number, migration.name, "pending"))
        else:
            steps.append(Step(number, migration.name, "applied" if done[0] == migration.md5 else "changed", done[1]))
    return steps


def status(settings: Settings, directory: Path | None = None) -> list[Step]:
    """Every migration and its state. A database that does not exist yet has none applied."""
    wanted = load(directory or folder())
    return compare(wanted, _applied(settings))


def plan(settings: Settings, directory: Path | None = None) -> list[Migration]:
    """What `apply` would run. Raises MigrationError if what was applied is not what the files say."""
    wanted = load(directory or folder())
    steps = compare(wanted, _applied(settings))
    for step in steps:
        if step.state == "changed":
            raise MigrationError(
                f"{step.number:03d}_{step.name}.sql was changed after it was applied on {step.applied_at}; "
                "restore it, and put the change into a new file"
            )
        if step.state == "unknown":
            raise MigrationError(f"migration {step.number:03d} was applied, but its file is gone; is this an older checkout?")
    pending = {step.number for step in steps if step.state == "pending"}
    highest = max((step.number for step in steps if step.state == "applied"), default=0)
    for number in sorted(pending):
        if number < highest:
            raise MigrationError(
                f"migration {number:03d} is new, but {highest:03d} was applied already; give it a higher number"
            )
    return [migration for migration in wanted if migration.number in pending]


def apply(settings: Settings, directory: Path | None = None) -> list[Migration]:
    """Create the database if needed, run what is pending, check the log tables, see to what HIDE_AGAIN tells. Returns what was
    run; again: nothing."""
    _create_database(settings)
    todo = plan(settings, directory)
    clickhouse = connect(settings, "admin")
    try:
        clickhouse.execute(BOOKKEEPING)
        for migration in todo:
            for statement in statements(migration.script):
                clickhouse.execute(statement)
            clickhouse.insert(
                "schema_versions",
                ("version", "md5", "script"),
                ([migration.number], [migration.md5], [migration.script]),
                {"async_insert": 0},
            )
        check(clickhouse)
        if clickhouse.query("EXISTS TABLE open_journeys")[0]["result"]:
            clickhouse.execute(HIDE_AGAIN)
    finally:
        clickhouse.close()
    return todo


def check(clickhouse: ClickHouse) -> None:
    """Raise MigrationError unless every log table remembers the tokens of its blocks (see DEDUPLICATION_WINDOW)."""
    from services.sink.rows import LOG_TABLES

    found = {
        row["name"]: row["create_table_query"]
        for row in clickhouse.query("SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()")
    }
    for table in LOG_TABLES.values():
        if table.table not in found:
            raise MigrationError(f"table {table.table} does not exist; run `lovla migrate apply`")
        window = re.search(r"non_replicated_deduplication_window = (\d+)", found[table.table])
        if window is None or int(window[1]) < DEDUPLICATION_WINDOW:
            raise MigrationError(
                f"table {table.table} must have non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}: without it an "
                "insert that is sent again doubles its rows"
            )


def _at_server(settings: Settings) -> Settings:
    """The same server, without naming a database that may not exist yet."""
    return settings.model_copy(update={"clickhouse_database": "default"})


def _create_database(settings: Settings) -> None:
    clickhouse = connect(_at_server(settings), "admin")
    try:
        clickhouse.execute(f"CREATE DATABASE IF NOT EXISTS `{settings.clickhouse_database}`")
    finally:
        clickhouse.close()


def _applied(settings: Settings) -> dict[int, tuple[str, datetime]]:
    clickhouse = connect(_at_server(settings), "admin")
    try:
        exists = clickhouse.query(
            "SELECT 1 FROM system.tables WHERE database = {database:String} AND name = 'schema_versions'",
            {"database": settings.clickhouse_database},
        )
        if not exists:
            return {}
        rows = clickhouse.query(
            "SELECT version, argMax(md5, created_at) AS md5, toDateTime(max(created_at), 'UTC') AS applied_at "  # noqa: S608 - shape checked
            f"FROM `{settings.clickhouse_database}`.schema_versions GROUP BY version"
        )
        return {row["version"]: (row["md5"], row["applied_at"]) for row in rows}
    finally:
        clickhouse.close()
