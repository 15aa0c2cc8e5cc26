"""`lovla migrate status|plan|apply`: ClickHouse's tables from deploy/clickhouse/NNN_name.sql. `lovla audit`: is all there?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, TypeVar

import typer
from confluent_kafka import KafkaException
from rich.console import Console
from rich.table import Table

from schemas.base import rfc3339
from services.runtime.clickhouse import ClickHouseError
from services.runtime.kafka import TopicMissing
from services.runtime.settings import Settings, SettingsError
from services.sink import migrate

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")]
Answer = TypeVar("Answer")


def register(app: typer.Typer) -> None:
    """Add `migrate` and `audit` to the `lovla` command."""
    verbs = typer.Typer(no_args_is_help=True, help="ClickHouse's tables, from numbered SQL files.")
    verbs.command("status")(status)
    verbs.command("plan")(plan)
    verbs.command("apply")(apply)
    app.add_typer(verbs, name="migrate")
    app.command("audit")(audit)


def status(as_json: Json = False) -> None:
    """Every migration, and whether it is applied."""
    steps = _try(lambda: migrate.status(Settings.load()))
    if as_json:
        for step in steps:
            when = rfc3339(step.applied_at) if step.applied_at else None
            typer.echo(json.dumps({"number": step.number, "name": step.name, "state": step.state, "applied_at": when}))
    else:
        table = Table("migration", "state", "applied at (UTC)")
        for step in steps:
            when = f"{step.applied_at:%Y-%m-%d %H:%M:%S}" if step.applied_at else ""
            table.add_row(f"{step.number:03d}_{step.name}", step.state, when)
        Console().print(table)
    if any(step.state in ("changed", "unknown") for step in steps):
        raise typer.Exit(1)


def plan(as_json: Json = False) -> None:
    """What `apply` would run."""
    for migration in _try(lambda: migrate.plan(Settings.load())):
        if as_json:
            typer.echo(json.dumps({"number": migration.number, "name": migration.name, "script": migration.script}))
        else:
            typer.echo(f"-- {migration.number:03d}_{migration.name}.sql\n{migration.script}")


def apply(as_json: Json = False) -> None:
    """Run what is pending; repeated, it does nothing."""
    done = _try(lambda: migrate.apply(Settings.load()))
    if as_json:
        for migration in done:
            typer.echo(json.dumps({"number": migration.number, "name": migration.name}))
    else:
        names = ", ".join(f"{migration.number:03d}_{migration.name}" for migration in done)
        typer.echo(f"Applied {names}." if done else "Nothing to do: every migration is applied.")


def audit(
    within_s: Annotated[float, typer.Option("--within", min=0, help="Seconds to wait for rows on their way.")] = 30.0,
    as_json: Json = False,
) -> None:
    """Is every record of Kafka one row in ClickHouse? Exit code 1 if one is missing, double or strange."""
    from services.runtime.clickhouse import connect
    from services.runtime.clock import SystemClock
    from services.sink.audit import Finding
    from services.sink.audit import audit as compare

    def everything() -> list[Finding]:
        settings = Settings.load()
        client = connect(settings, "reader")
        try:
            return compare(settings, client, SystemClock(), patience_s=within_s)
        finally:
            client.close()

    findings = _try(everything)
    if as_json:
        for finding in findings:
            typer.echo(json.dumps({**asdict(finding), "clean": finding.clean}))
    else:
        table = Table("topic", "partition", "records", "rows", "missing", "double", "strange", box=None, pad_edge=False)
        for finding in findings:
            counts = (finding.records, finding.rows, finding.missing_count, finding.double_count, finding.strange_count)
            style = None if finding.clean else "red"
            table.add_row(finding.topic, str(finding.partition), *(f"{number:,}" for number in counts), style=style)
        Console().print(table)
        wrong = [finding for finding in findings if not finding.clean]
        typer.echo("Every record is one row." if not wrong else f"{len(wrong)} of {len(findings)} partitions differ.")
    if not all(finding.clean for finding in findings):
        raise typer.Exit(1)


def _try(act: Callable[[], Answer]) -> Answer:
    """One sentence on stderr and exit code 1 instead of a traceback."""
    try:
        return act()
    except SettingsError as error:
        typer.echo(str(error), err=True)
    except ClickHouseError as error:
        typer.echo(f"{error}; is the stack up? `lovla status` tells, `lovla up` starts it", err=True)
    except KafkaException as error:
        typer.echo(f"Kafka does not answer ({error.args[0].str()}); is the stack up? See `lovla status`", err=True)
    except (migrate.MigrationError, TopicMissing) as error:
        typer.echo(str(error), err=True)
    raise typer.Exit(1)
