"""`lovla`: one command, each verb in the module that owns it; this file only assembles them."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


def assemble() -> typer.Typer:
    """Let every owner add its verbs. Imports stay inside, so that `lovla read` loads no server code it does not need."""
    from demo import cli as demo
    from deploy.local import cli as local
    from deploy.local.pause import pausing
    from services.console import cli as console
    from services.ingest import cli as ingest
    from services.sink import cli as sink
    from services.tracker import cli as tracker

    for owner in (local, ingest, sink, console, demo):
        owner.register(app)
    tracker.register(app, pausing)
    return app


def main() -> None:
    """Entry point of the console script."""
    assemble()()
