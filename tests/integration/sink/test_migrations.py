"""Migrations on a real server: applied once, changed files refused, log tables checked."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from services.runtime.clickhouse import connect
from services.runtime.settings import Settings
from services.sink import cli, migrate
from services.sink.migrate import MigrationError
from tests.stack import ClickHouse as ClickHouseServer


@pytest.fixture
def empty(clickhouse: ClickHouseServer) -> Iterator[Settings]:
    """A server on which our database does not exist yet."""
    given = Settings(
        kafka="127.0.0.1:1",
        clickhouse_host=clickhouse.host,
        clickhouse_port=clickhouse.port,
        clickhouse_admin_password=clickhouse.passwords.admin,
        clickhouse_database=f"migrations_{uuid.uuid4().hex[:8]}",
    )
    yield given
    client = connect(given.model_copy(update={"clickhouse_database": "default"}), "admin")
    client.execute(f"DROP DATABASE IF EXISTS {given.clickhouse_database}")
    client.close()


def test_migrations_are_applied_once(empty: Settings) -> None:
    every = [migration.number for migration in migrate.load(migrate.folder())]
    assert {step.state for step in migrate.status(empty)} == {"pending"}
    assert [migration.number for migration in migrate.plan(empty)] == every
    assert [migration.number for migration in migrate.apply(empty)] == every
    assert migrate.apply(empty) == []
    assert {step.state for step in migrate.status(empty)} == {"applied"}


def test_a_file_that_was_changed_after_it_was_applied_is_refused(empty: Settings, tmp_path: Path) -> None:
    files = tmp_path / "files"
    shutil.copytree(migrate.folder(), files)
    migrate.apply(empty, files)
    first = next(files.glob("001_*.sql"))
    first.write_text(first.read_text() + "\n-- a thought\n")
    with pytest.raises(MigrationError, match="was changed after it was applied"):
        migrate.apply(empty, files)
    first.unlink()
    with pytest.raises(MigrationError, match="its file is gone"):
        migrate.plan(empty, files)


def test_a_new_file_comes_after_all_that_are_applied(empty: Settings, tmp_path: Path) -> None:
    files = tmp_path / "files"
    shutil.copytree(migrate.folder(), files)
    late = files / "002_shipment_events.sql"
    text = late.read_text()
    for file in files.glob("*.sql"):  # it, and what builds on it
        if "shipment_events" in file.read_text():
            file.unlink()
    with pytest.raises(MigrationError, match="table shipment_events does not exist"):
        migrate.apply(empty, files)
    late.write_text(text)
    with pytest.raises(MigrationError, match="give it a higher number"):
        migrate.plan(empty, files)


def test_a_log_table_without_its_deduplication_window_is_refused(empty: Settings) -> None:
    migrate.apply(empty)
    client = connect(empty, "admin")
    client.execute("ALTER TABLE journey_changes MODIFY SETTING non_replicated_deduplication_window = 5")
    with pytest.raises(MigrationError, match="journey_changes must have non_replicated_deduplication_window"):
        migrate.check(client)
    client.close()


def test_the_verbs_say_what_they_do(empty: Settings) -> None:
    app = typer.Typer()
    cli.register(app)
    told = {
        "LOVLA_KAFKA": "127.0.0.1:1",
        "LOVLA_CLICKHOUSE_PORT": str(empty.clickhouse_port),
        "LOVLA_CLICKHOUSE_HOST": empty.clickhouse_host,
        "LOVLA_CLICKHOUSE_DATABASE": empty.clickhouse_database,
        "LOVLA_CLICKHOUSE_ADMIN_PASSWORD": empty.clickhouse_admin_password.get_secret_value(),
    }

    def lovla(*words: str) -> str:
        answer = CliRunner().invoke(app, ["migrate", *words], env=told)
        assert answer.exit_code == 0, answer.output
        return answer.output

    assert "CREATE TABLE IF NOT EXISTS raw_messages" in lovla("plan")
    assert "pending" in lovla("status")
    assert "Applied 001_raw_messages" in lovla("apply")
    assert "Nothing to do" in lovla("apply")
    assert '"state": "applied"' in lovla("status", "--json")
    away = CliRunner().invoke(app, ["migrate", "status"], env=told | {"LOVLA_CLICKHOUSE_PORT": "1"})
    assert away.exit_code == 1
    assert "lovla up" in away.output
