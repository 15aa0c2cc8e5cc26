"""Migration files: their names, their statements, and what is made of them against a database."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.sink.migrate import Migration, MigrationError, compare, folder, load, statements

AT = datetime(2020, 4, 12, tzinfo=UTC)


def test_the_projects_files_are_numbered_from_one_without_a_gap() -> None:
    assert [migration.number for migration in load(folder())] == list(range(1, len(load(folder())) + 1))


def test_every_statement_bears_repetition() -> None:
    for migration in load(folder()):
        replacing = set(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)[^;]*?\bENGINE = ReplacingMergeTree", migration.script))
        for statement in statements(migration.script):
            filled = re.match(r"INSERT INTO (\w+)", statement)  # the same rows again replace themselves
            again = filled is not None and filled[1] in replacing
            assert "IF NOT EXISTS" in statement or statement.startswith("ALTER") or again, migration.name


def test_a_number_used_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "001_a.sql").write_text("SELECT 1")
    (tmp_path / "001_b.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match="number 001 is taken by a"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["1_a.sql", "001.sql", "001-a.sql", "001_A.sql", "0001_a.sql"])
def test_a_file_of_another_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(MigrationError, match="NNN_name"):
        load(tmp_path)


def test_semicolons_in_comments_and_quotes_end_nothing() -> None:
    script = "-- a; b\nSELECT ';', \"x;y\", `z;`; /* c; */ SELECT 'it''s; \\'; fine' ;\n-- the end;\n"
    assert statements(script) == ["SELECT ';', \"x;y\", `z;`", "SELECT 'it''s; \\'; fine'"]


def test_what_is_applied_is_compared_with_the_files() -> None:
    wanted = [Migration(1, "a", "m1", ""), Migration(2, "b", "m2", ""), Migration(3, "c", "m3", "")]
    steps = compare(wanted, {1: ("m1", AT), 2: ("other", AT), 9: ("m9", AT)})
    assert [(step.number, step.state) for step in steps] == [(1, "applied"), (2, "changed"), (3, "pending"), (9, "unknown")]
