"""`lovla demo`: a running stack with 60 days of shipments whose truth is known, and whether all of it was found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StateDir = Annotated[
    Path, typer.Option("--state-dir", help="The demo's own folder. WIPED at the start, if a demo made it; else refused.")
]
DEFAULT_STATE_DIR = Path(".lovla/demo")

demo = typer.Typer(
    invoke_without_command=True,
    help="Start a stack of its own, push 60 days of shipments through the HTTP API, check every exception against the truth.",
)


def register(app: typer.Typer) -> None:
    """Add `lovla demo` and `lovla demo live`. What they need is imported when they run."""
    app.add_typer(demo, name="demo")


@demo.callback()
def everything(
    context: typer.Context,
    size: Annotated[int, typer.Option(min=1, max=20_000, help="How many consignments.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed and moment, the same messages.")] = 1,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    live: Annotated[bool, typer.Option("--live/--no-live", help="Leave simulated carriers going on after the check.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object.")] = False,
) -> None:
    """Start a stack, push 60 days of shipments through the HTTP API, check every exception against the truth.

    The demo has a stack and a folder of its own (.lovla/demo), emptied at the start: what ran there is stopped first. Your
    own stack in .lovla is not touched. Exit code 1 if an exception that was planted is not found, or one is found that was
    not planted.
    """
    if context.invoked_subcommand is not None:
        return
    from demo.run import Stop, run

    try:
        good = run(state_dir, size, seed, live, as_json)
    except Stop as error:
        typer.echo(f"lovla demo: {error}", err=True)
        raise typer.Exit(1) from None
    if not good:
        raise typer.Exit(1)


@demo.command("live")
def go_live(
    state_dir: StateDir = DEFAULT_STATE_DIR,
    every_s: Annotated[float, typer.Option(min=0.05, help="Seconds between events.")] = 1.5,
    hours: Annotated[float, typer.Option(min=0.01, max=48, help="Ends by itself after this.")] = 8.0,
) -> None:
    """Simulated carriers going on at real pace after `lovla demo`. Ends by itself, or when the stack is down."""
    from demo.run import Stop
    from demo.run import go_live as go

    try:
        go(state_dir, every_s, hours)
    except Stop as error:
        typer.echo(f"lovla demo: {error}", err=True)
        raise typer.Exit(1) from None


@demo.command("down")
def stop(state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """Stop the simulated carriers and the demo's stack. Data stays until the next demo."""
    from demo.run import Stop
    from demo.run import stop as stop_all

    try:
        stop_all(state_dir)
    except Stop as error:
        typer.echo(f"lovla demo: {error}", err=True)
        raise typer.Exit(1) from None
