"""`lovla migrate status|plan|apply`: ClickHouse's tables from deploy/clickhouse/NNN_name.sql. `lovla audit`: is all there?"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from confluent_kafka import KafkaException
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from schemas.base import rfc3339
from services.runtime.clickhouse import ClickHouseError
from services.runtime.kafka import TopicMissing
from services.runtime.runbooks import Runbook, page
from services.runtime.settings import Settings, SettingsError
from services.runtime.terminal import console
from services.runtime.verbs import plainly
from services.sink import migrate, rebuild_cli
from services.sink.ledger import AuditFailed

if TYPE_CHECKING:
    from services.sink.audit import Finding, Given, Wrong

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
    rebuild_cli.register(app)


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
        console().print(table)
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
    within_s: Annotated[float, typer.Option("--within", min=0, help="Seconds to wait for what is on its way.")] = 30.0,
    receipts: Annotated[
        Path | None,
        typer.Option("--receipts", help="Receipts given, one a line: RECEIPT [SHA-256 of what was sent]; - is stdin."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Is every receipt one raw record, every raw record its events or dead letters, every record one row?

    Works on a live system. Exit code 1 if anything is unaccounted, a duplicate, a gap, or still waiting after --within; then
    the runbook is named.
    """
    from services.runtime.clickhouse import connect
    from services.runtime.clock import SystemClock
    from services.sink.audit import audit as compare

    given = _receipts(receipts)
    bar = Progress(*Progress.get_default_columns(), console=Console(stderr=True), transient=True)

    def everything() -> list[Finding]:
        settings = Settings.load()
        client = connect(settings, "reader")
        try:
            with bar:
                task = bar.add_task("reading Kafka", total=None)
                return compare(
                    settings,
                    client,
                    SystemClock(),
                    patience_s=within_s,
                    receipts=given,
                    progress=lambda read, total: bar.update(task, completed=read, total=total),
                )
        finally:
            client.close()

    bar.disable = not bar.console.is_terminal
    findings = _try(everything)
    if as_json:
        for finding in findings:
            runbooks = [page(RUNBOOK_OF[wrong]) for wrong in RUNBOOK_OF if getattr(finding, wrong)]
            typer.echo(json.dumps({**asdict(finding), "clean": finding.clean, "runbooks": runbooks}))
    else:
        _print_audit(findings)
    if not all(finding.clean for finding in findings):
        raise typer.Exit(1)


RUNBOOK_OF: dict[Wrong, Runbook] = {
    "unaccounted": "audit-unaccounted",
    "duplicate": "audit-duplicate",
    "gap": "audit-gap",
    "waiting": "consumer-lag",
}


def _receipts(file: Path | None) -> list[Given]:
    """Receipts as senders keep them. An unreadable file is a sentence, not a traceback."""
    from services.sink.audit import Given

    if file is None:
        return []
    try:
        lines = (sys.stdin if str(file) == "-" else file.open(encoding="utf-8")).read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        typer.echo(f"{file}: cannot be read as text ({plainly(error)}); one receipt a line is expected", err=True)
        raise typer.Exit(1) from None
    words = [line.split() for line in lines if line.strip()]
    return [Given(line[0], line[1].lower() if len(line) > 1 else None) for line in words]


def _print_audit(findings: list[Finding]) -> None:
    """A line a check and partition; what is wrong, exactly; the runbooks."""
    out = console()
    table = Table("check", "topic", "partition", "records", "accounted", *RUNBOOK_OF, box=None, pad_edge=False)
    for finding in findings:
        counts = (finding.records, finding.rows, *(getattr(finding, wrong) for wrong in RUNBOOK_OF))
        partition = "" if finding.partition < 0 else str(finding.partition)
        style = None if finding.clean else "red"
        table.add_row(finding.check, finding.topic, partition, *(f"{count:,}" for count in counts), style=style)
    out.print(table)
    for finding in findings:
        for example in finding.examples:
            typer.echo(f"{example.wrong}: ({example.topic}, {example.partition}, {example.offset}): {example.text}")
    wrong = {name: sum(getattr(finding, name) for finding in findings) for name in RUNBOOK_OF}
    if not any(wrong.values()):
        typer.echo("Clean: nothing unaccounted, no duplicate, no gap, nothing waiting.")
    for name, count in wrong.items():
        if count:
            typer.echo(f"{count:,} {name}: see {page(RUNBOOK_OF[name])}")


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
    except (migrate.MigrationError, TopicMissing, AuditFailed) as error:
        typer.echo(str(error), err=True)
    raise typer.Exit(1)
