"""`make bench`, or `python -m benchmarks`: measures, then writes benchmarks/results/latest.json and docs/benchmarks.md."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import page
from benchmarks.bench import FULL, QUICK, Bench
from benchmarks.harness import LATEST, ROOT, NotEqual, Result, machine, rounded, versions
from benchmarks.measurements import MEASUREMENTS
from benchmarks.servers import now
from deploy.local.errors import StackError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(help=__doc__)
def run(
    only: Annotated[list[str] | None, typer.Option("--only", help="these parts alone; see --list")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="small sizes, one run: shows that it runs; writes no page")] = False,
    list_parts: Annotated[bool, typer.Option("--list", help="the parts and how long each takes")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the figures as JSON on standard output")] = False,
    write: Annotated[bool, typer.Option("--write", help="write JSON and page from what is known, measure nothing")] = False,
) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    out, err = Console(), Console(stderr=True)
    if list_parts:
        out.print(_parts())
        return
    if write:
        page.write(page.read())
        return
    unknown = sorted(set(only or ()) - MEASUREMENTS.keys())
    if unknown:
        err.print(f"bench: there is no part {', '.join(unknown)}; the parts are {', '.join(MEASUREMENTS)}")
        raise typer.Exit(2)
    chosen = [name for name, one in MEASUREMENTS.items() if (name in only if only else one.usual)]
    command = shlex.join(["make", "bench", *([f"ARGS={shlex.join(sys.argv[1:])}"] if sys.argv[1:] else [])])
    folder = ROOT / ".lovla" / "bench"
    failed: list[str] = []
    found: dict[str, Any] = {}
    err.print(f"bench: {', '.join(chosen)}; each part can be run apart with --only; --list tells of all")
    for name in chosen:
        began = time.monotonic()
        tell = partial(_tell, err, name)
        bench = Bench(QUICK if quick else FULL, folder / f"work-{os.getpid()}", folder / "peers", tell)
        before = machine()
        try:
            result = MEASUREMENTS[name].run(bench)
        except Exception as error:
            # one part that fails must not cost the figures of the others; a defect of ours shows its place
            if not isinstance(error, (NotEqual, StackError, TimeoutError)):
                err.print_exception()
            err.print(f"bench: {name} failed: {type(error).__name__}: {error}")
            failed.append(name)
            continue
        finally:
            shutil.rmtree(bench.folder, ignore_errors=True)
        took_s = time.monotonic() - began
        found[name] = {
            **result.as_json(),
            "at": now().strftime("%Y-%m-%d %H:%MZ"),
            "took_s": round(took_s),
            "command": command,
            "machine": before,
            "versions": versions(),
        }
        err.print(_table(f"{MEASUREMENTS[name].title} ({took_s:.0f} s)", result))
        for note in result.notes:
            err.print(f"  {note}", highlight=False)
        if not quick:  # after each part: a run that is ended early keeps what it found
            known = page.read() | found
            page.write({name: known[name] for name in MEASUREMENTS if name in known})
    if as_json:
        out.print_json(data=found)
    if found and not quick:
        err.print(f"bench: written: {_short(LATEST)}, {_short(page.PAGE)}")
    if failed:
        err.print(f"bench: failed: {', '.join(failed)}")
        raise typer.Exit(1)


def _tell(err: Console, name: str, text: str) -> None:
    err.print(f"  {name}: {text}")


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _parts() -> Table:
    table = Table("part", "what", "minutes in full")
    for name, one in MEASUREMENTS.items():
        table.add_row(name, one.title + ("" if one.usual else " (only when asked for)"), f"{one.minutes:g}")
    table.add_row("", "without --only", f"{sum(one.minutes for one in MEASUREMENTS.values() if one.usual):g}")
    return table


def _table(title: str, result: Result) -> Table:
    table = Table("what", "median", "range", "unit", "goal", title=title, caption=f"checked: {result.checked}")
    for one in result.figures:
        spread = f"{rounded(min(one.runs)):,g} to {rounded(max(one.runs)):,g}" if len(one.runs) > 1 else ""
        table.add_row(one.what, f"{rounded(one.median):,g}", spread, one.unit, page.goal(one.as_json()))
    return table


if __name__ == "__main__":
    app()
