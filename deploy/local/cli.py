"""`lovla up | down | status | doctor | topics`: the local stack at a person's fingertips."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from deploy.local import jars
from deploy.local.diagnosis import began_again, conditions, look
from deploy.local.errors import StackError
from deploy.local.stack import NAMES, PORT_SETTINGS, PartStatus, Stack
from services.runtime.runbooks import page
from services.runtime.settings import SettingsError
from services.runtime.terminal import console

StateDir = Annotated[
    Path, typer.Option("--state-dir", envvar="LOVLA_STATE_DIR", help="Folder of data, logs, ports and passwords.")
]
Only = Annotated[str, typer.Option("--only", help=f"Names with commas, of: {', '.join(NAMES)}.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")]
DEFAULT_STATE_DIR = Path(".lovla")
ALL = ",".join(NAMES)
COLOURS = {
    "running": "green",
    "not ready": "yellow",
    "died": "red",
    "stopped": "dim",
    "ok": "green",
    "warning": "yellow",
    "wrong": "red",
}


def register(app: typer.Typer) -> None:
    """Add the verbs of the local stack."""
    for verb in (up, down, status, doctor, topics, backup, restore):
        app.command()(verb)


def up(
    state_dir: StateDir = DEFAULT_STATE_DIR,
    only: Only = ALL,
    port: Annotated[list[str] | None, typer.Option("--port", help="NAME=PORT; kept for later starts. Repeatable.")] = None,
    as_json: AsJson = False,
) -> None:
    """Start what does not run: Kafka, ClickHouse, our services. Waits until all of it serves."""
    with _errors():
        stack = _stack(state_dir)
        names = _names(only)
        with _telling() as (note, jar_progress):
            started = stack.up(names, _ports(port or []), note, jar_progress)
        if as_json:
            _print_json([asdict(part) for part in stack.status() if part.name in names])
            return
        told = "started " + ", ".join(started) if started else "everything was running already"
        here = _said_where(state_dir)
        typer.echo(f"{told}; `lovla status{here}` shows it, `lovla down{here}` stops it.")
        api = next((part for part in stack.parts() if part.name == "api" and "api" in names), None)
        if api is not None:
            typer.echo(f"API: http://127.0.0.1:{api.ports['api']}  (its pages: /docs)")
        console_part = next((part for part in stack.parts() if part.name == "console" and "console" in names), None)
        if console_part is not None:
            address = f"http://127.0.0.1:{console_part.ports['console']}"
            typer.echo(f"Console: {address}  (who may sign in: `lovla users add NAME --role planner{here}`)")


def down(state_dir: StateDir = DEFAULT_STATE_DIR, only: Only = ALL) -> None:
    """Stop what `up` started here, and nothing else. Data stays."""
    with _errors():
        with _telling() as (note, _):
            stopped = _stack(state_dir).down(_names(only), note)
        typer.echo(f"stopped {', '.join(stopped)}." if stopped else "nothing was running.")


def status(state_dir: StateDir = DEFAULT_STATE_DIR, as_json: AsJson = False) -> None:
    """Who runs, since when, who died, on which ports, and how far behind. Exit code 1 unless all of it serves."""
    with _errors():
        stack = _stack(state_dir)
        parts = stack.status()
        lags = []
        kafka_runs = any(part.name == "kafka" and part.state == "running" for part in parts)
        if kafka_runs:
            from deploy.local.lag import ON_ITS_WAY_S
            from deploy.local.lag import lags as measure

            with contextlib.suppress(StackError):  # a broker just restarted: lag is a courtesy here
                lags = measure(stack.kafka(), on_its_way_s=ON_ITS_WAY_S)
        held = _messages_held(stack) if kafka_runs else None
        seen = look(stack, parts, lags)
        wrong, again = conditions(seen), began_again(seen)
        if as_json:
            _print_json(
                {
                    "state_dir": str(stack.state_dir),
                    "parts": [asdict(part) for part in parts],
                    "lags": [asdict(lag) for lag in lags],
                    "messages_held": held,
                    "began_again": again,
                    "conditions": [asdict(condition) | {"page": page(condition.runbook)} for condition in wrong],
                }
            )
        else:
            _print_status(parts)
            if all(part.state == "stopped" for part in parts):
                typer.echo(_nothing_runs(stack.state_dir))
            if lags:
                table = Table("group", "topic", "behind")
                for lag in lags:
                    table.add_row(lag.group, lag.topic, f"{lag.behind:,}")
                console().print(table)
            if held is not None:
                typer.echo(f"alerts: {held}")
            for part in parts:
                if times := again.get(part.name):
                    how_often = "once" if times == 1 else f"{times} times"
                    typer.echo(f"{part.name} began again by itself {how_often}; its log says when and why: {_short(part.log)}")
            for condition in wrong:
                typer.echo(f"{condition.what}: see {page(condition.runbook)}")
        if any(part.state != "running" for part in parts):
            raise typer.Exit(1)


def _messages_held(stack: Stack) -> str | None:
    """The kill switch in a sentence while it is on. None too where Kafka cannot be asked: it is a courtesy here."""
    from confluent_kafka import KafkaException

    from services.alerts.control import switch
    from services.runtime.kafka import TopicMissing
    from services.runtime.messages_held import held
    from services.runtime.settings import Settings

    with contextlib.suppress(KafkaException, TopicMissing, TimeoutError):
        return held(switch(Settings.load(stack.state_dir)))
    return None


def doctor(state_dir: StateDir = DEFAULT_STATE_DIR, as_json: AsJson = False) -> None:
    """Look for everything that could keep the stack from running. Exit code 1 if something is wrong."""
    from deploy.local.doctor import examine

    with _errors():
        findings = list(examine(_stack(state_dir)))
        if as_json:
            _print_json([asdict(finding) for finding in findings])
        else:
            table = Table("", "what", "found", "what to do")
            for finding in findings:
                colour = COLOURS[finding.verdict]
                table.add_row(f"[{colour}]{finding.verdict}[/]", finding.what, finding.found, finding.advice)
            console().print(table)
        if any(finding.verdict == "wrong" for finding in findings):
            raise typer.Exit(1)


def topics(state_dir: StateDir = DEFAULT_STATE_DIR, as_json: AsJson = False) -> None:
    """Declare the topic table on Kafka (harmless to repeat) and show it."""
    from deploy.local.topics import declare
    from services.runtime.settings import Settings

    with _errors():
        settings = Settings.load(state_dir)
        declared = declare(settings.kafka, settings.shards)
        if as_json:
            _print_json([asdict(topic) for topic in declared])
            return
        table = Table("topic", "partitions", "kept", "outcome")
        for topic in declared:
            kept = f"{topic.kept} days" if topic.kept.isdigit() else topic.kept
            table.add_row(topic.name, str(topic.partitions), kept, topic.outcome)
        console().print(table)


def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE|FOLDER", help="A new file, or a folder for one named by the time.")],
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Keep the state folder in one file, with checksums: topics, tables, settings, keys. The stack must be down."""
    from deploy.local.backup import backup as keep
    from services.runtime.clock import SystemClock

    with _errors(), _bytes("keeping") as progress:
        done = keep(_stack(state_dir), target, SystemClock().now(), progress)
    if as_json:
        _print_json({"file": str(done.path), "files": done.files, "bytes": done.size_bytes})
    else:
        typer.echo(f"{done.files:,} files, {done.size_bytes / 1024**2:,.0f} MB, are kept in {done.path}. It holds secrets.")


def restore(
    file: Annotated[Path, typer.Argument(help="What `lovla backup` wrote.")],
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Bring a backup back into a new or empty state folder; then `lovla up`. Nothing is restored unless all is whole."""
    from deploy.local.backup import restore as bring_back

    with _errors(), _bytes("restoring") as progress:
        done = bring_back(_stack(state_dir), file, progress)
    if as_json:
        _print_json({"state_dir": str(done.path), "files": done.files, "bytes": done.size_bytes})
    else:
        typer.echo(f"{done.files:,} files, {done.size_bytes / 1024**2:,.0f} MB, are back in {done.path}; `lovla up` starts it.")


@contextlib.contextmanager
def _bytes(doing: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of bytes on stderr, on a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn(doing), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _stack(state_dir: Path) -> Stack:
    given = {name: os.environ[name] for name in ("LOVLA_KAFKA", "LOVLA_CLICKHOUSE") if os.environ.get(name)}
    return Stack(state_dir, given)


def _said_where(state_dir: Path) -> str:
    """What a verb needs to be told to find this folder; nothing where it looks there anyway."""
    usual = Path(os.environ.get("LOVLA_STATE_DIR", DEFAULT_STATE_DIR))
    return "" if state_dir.resolve() == usual.resolve() else f" --state-dir {shlex.quote(str(state_dir))}"


def _names(only: str) -> list[str]:
    names = [name.strip() for name in only.split(",") if name.strip()]
    for name in names:
        if name not in NAMES:
            raise StackError(f"--only {name}: there is no such part; there are {', '.join(NAMES)}")
    return names


def _ports(chosen: list[str]) -> dict[str, int]:
    ports = {}
    for choice in chosen:
        name, _, number = choice.partition("=")
        if name not in PORT_SETTINGS or not number.isdigit() or not 0 < int(number) < 65536:
            raise StackError(f"--port {choice}: write NAME=PORT, with a name of {', '.join(PORT_SETTINGS)}")
        ports[name] = int(number)
    return ports


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """An error that a person can mend is a sentence on stderr and exit code 1."""
    try:
        yield
    except (StackError, SettingsError) as error:
        typer.echo(f"lovla: {error}", err=True)
        raise typer.Exit(1) from None


@contextlib.contextmanager
def _telling() -> Iterator[tuple[Callable[[str, str], None], jars.Progress]]:
    """Progress on stderr: a line for what happened, and on a terminal a bar for downloads."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("fetching jars", visible=False, total=None)

        def on_jar(done: int, total: int, name: str) -> None:
            progress.update(bar, visible=True, completed=done, total=total, description=f"fetching jars: {name}")
            if not console.is_terminal and (done == total or done % 10 == 0):
                console.print(f"fetching jars: {done} of {total}")

        yield lambda part, text: console.print(f"{part:>10}  {text}", markup=False, soft_wrap=True), on_jar


def _print_status(parts: list[PartStatus]) -> None:
    table = Table("part", "state", "pid", "since", "ports", "log")
    for part in parts:
        colour = COLOURS[part.state]
        since = f"{part.since:%Y-%m-%d %H:%M:%S}Z" if part.since and part.state != "died" else ""
        if part.state == "died":
            since = f"last wrote {part.last_word:%Y-%m-%d %H:%M:%S}Z" if part.last_word else ""
        ports = " ".join(f"{name}={port}" if name != part.name else str(port) for name, port in part.ports.items())
        state = f"[{colour}]{part.state}[/]"
        table.add_row(part.name, state, str(part.pid or ""), since, ports, _short(part.log))
    console().print(table)
    for part in parts:
        if part.state == "died":
            typer.echo(f"{part.name} died: see {part.log}; `lovla up` starts it again.")
        elif part.state == "not ready":
            typer.echo(f"{part.name} does not serve: {part.reason}")


def _nothing_runs(state_dir: Path) -> str:
    """What to do then; a demo has a stack of its own."""
    demo = state_dir / "demo"
    there = f" The demo's own stack: export LOVLA_STATE_DIR={_short(str(demo))}" if (demo / "demo.json").exists() else ""
    return f"Nothing runs of {_short(str(state_dir))}: `lovla up` starts it.{there}"


def _short(path: str) -> str:
    here = f"{Path.cwd()}{os.sep}"
    return path.removeprefix(here)


def _print_json(value: object) -> None:
    """One object a line: of a list, each of it."""

    def plain(thing: object) -> str:
        if isinstance(thing, datetime):
            return thing.astimezone(UTC).isoformat()
        raise TypeError(type(thing).__name__)

    for line in value if isinstance(value, list) else [value]:
        sys.stdout.write(json.dumps(line, default=plain) + "\n")
