"""`python -m tests.faults`: the campaign of faults; `python -m tests.faults soak`: the demo live, with random kills."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from deploy.local.errors import StackError
from services.runtime.terminal import console
from tests.faults import soak as soaks
from tests.faults.campaign import Note, Report, campaign
from tests.faults.field import Violation
from tests.faults.scenarios import SCENARIOS, Pace

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
ALONE = "LOVLA_FAULTS_ALONE"
DEFAULT = Pace()
NAMES = ", ".join(scenario.name for scenario in SCENARIOS)


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    seed: Annotated[int, typer.Option(help="The same seed draws the same load, kills and moments.")] = 1,
    events: Annotated[int, typer.Option(min=100, help="Pushed at least.")] = 200_000,
    kills: Annotated[int, typer.Option(min=0)] = 50,
    rate: Annotated[float, typer.Option(min=1, help="Events a second, mostly.")] = DEFAULT.rate,
    flood: Annotated[float, typer.Option(min=1, help="Events a second during an outage and after it.")] = DEFAULT.flood,
    away: Annotated[float, typer.Option(min=1, help="Seconds that Kafka and ClickHouse stay away.")] = DEFAULT.away_s,
    provider: Annotated[float, typer.Option(min=1, help="Seconds that mail server and SMS provider stay away.")] = (
        DEFAULT.provider_s
    ),
    only: Annotated[str, typer.Option(help=f"Scenarios with commas, of: {NAMES}.")] = "",
    keep: Annotated[Path | None, typer.Option(help="State folder that stays (not what lay on small disks).")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Faults with real processes, and what must hold afterwards. Exit code 1 if anything does not. About 55 minutes."""
    if context.invoked_subcommand is not None:
        return
    wanted = {name.strip() for name in only.split(",") if name.strip()}
    if unknown := wanted - {scenario.name for scenario in SCENARIOS}:
        typer.echo(f"--only {', '.join(sorted(unknown))}: there is no such scenario; there are {NAMES}", err=True)
        raise typer.Exit(1)
    scenarios = [scenario for scenario in SCENARIOS if not wanted or scenario.name in wanted]
    pace = replace(DEFAULT, events=events, kills=kills, rate=rate, flood=flood, away_s=away, provider_s=provider)
    folder = keep or Path(tempfile.mkdtemp(prefix="lovla-faults-"))
    try:
        with _telling() as note:
            report = campaign(folder, scenarios, pace, seed, note)
    except StackError as error:
        typer.echo(f"faults: {error}", err=True)
        raise typer.Exit(1) from None
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    _end(report, as_json)


@app.command()
def soak(
    minutes: Annotated[float, typer.Option(min=0.5)] = 60.0,
    calm: Annotated[float, typer.Option(min=5, help="Seconds between two kills, on average.")] = 45.0,
    size: Annotated[int, typer.Option(min=10, help="How many consignments the demo begins with.")] = 500,
    seed: Annotated[int, typer.Option()] = 1,
    keep: Annotated[Path | None, typer.Option(help="State folder that stays; otherwise one that is removed.")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """The demo, live for so long with random kills; then `lovla audit`, and the checks that need no truth."""
    made = Path(tempfile.mkdtemp(prefix="lovla-soak-"))
    failed = True
    try:
        with _telling() as note:
            report = soaks.soak(soaks.Soak(keep or made / "state", minutes, calm, size, seed), note)
        failed = not report.good
    except (Violation, RuntimeError) as error:
        typer.echo(f"soak: {error}", err=True)
        raise typer.Exit(1) from None
    finally:
        if failed and keep is None:
            typer.echo(f"soak: its state folder is kept: {made / 'state'}", err=True)
        elif not failed:
            shutil.rmtree(made, ignore_errors=True)
    _end(report, as_json)


@contextlib.contextmanager
def _telling() -> Iterator[Note]:
    """On a terminal what goes on now, above it what is done; into a pipe a line each."""
    console = Console(stderr=True, highlight=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("")
        began = time.monotonic()

        def note(what: str, text: str) -> None:
            progress.update(bar, description=f"{what}: {text}")
            if not console.is_terminal or " after " in text:
                console.print(f"{time.monotonic() - began:7.1f} s  {what:>16}  {text}", markup=False, soft_wrap=True)

        yield note


def _end(report: Report, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(report.as_json() + "\n")
    else:
        tell(report)
    if not report.good:
        raise typer.Exit(1)


def tell(report: Report) -> None:
    """Two tables: what was done to it, and what was found."""
    out = console()
    if report.outcomes:
        out.print(_did(report))
    found = Table("afterwards", "found", "", title=f"{report.events:,} events, {report.seconds:.0f} s")
    for verdict in report.verdicts:
        found.add_row(verdict.name, verdict.found, "[green]ok[/]" if verdict.good else "[red]wrong[/]")
    out.print(found)
    for words in report.ended:
        out.print(f"ended by itself and was started again: {words}", markup=False, soft_wrap=True)


def _did(report: Report) -> Table:
    did = Table("scenario", "what was done", "must hold", "s", "seen", "", title=f"Faults (seed {report.seed})")
    for one in report.outcomes:
        mark = "[yellow]skipped[/]" if one.skipped else "[green]ok[/]" if one.good else "[red]wrong[/]"
        did.add_row(one.name, one.does, one.must, f"{one.seconds:.0f}", one.seen, mark)
    return did


def alone() -> None:
    """Go on in a mount namespace of our own, where that may be: its small file systems end with its last process."""
    unshare = shutil.which("unshare")
    if unshare is None or os.environ.get(ALONE):
        return
    wish = [unshare, "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        wish += ["--user", "--map-root-user"]
    if subprocess.run([*wish, "true"], capture_output=True).returncode == 0:
        os.environ[ALONE] = "1"
        os.execv(unshare, [*wish, sys.executable, "-m", "tests.faults", *sys.argv[1:]])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # all that was started is ended on the way out
    alone()
    app()
