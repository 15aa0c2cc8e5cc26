"""`lovla`: one command, each verb in the module that owns it; this file only assembles them."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

HELP = """Where every consignment of medical supplies is, and what is wrong with it: asked, fed and run from here.

Start: `lovla up`; what is there: `lovla status`. A message in: `lovla push FILE --carrier CODE`. Then ask: `lovla delayed`,
`lovla show CONSIGNMENT`, `lovla find REFERENCE`, `lovla unmatched`.

Several stacks on one machine: --state-dir of the verb, or LOVLA_STATE_DIR. With --json each line is one JSON object.
"""

OWNERS: Mapping[str, str] = {
    "deploy.local.cli": "up down status doctor topics backup restore",
    "services.ingest.cli": "read push register amend cancel record link unlink appoint receive retry replay codemaps carriers"
    " facilities load receipts",
    "services.ingest.dead_letters_cli": "dead-letters",
    "services.ingest.watch_cli": "watch",
    "services.sink.cli": "audit rebuild migrate",
    "services.console.cli": "delayed show find inbound dwell feeds score interchanges unmatched",
    "services.console.users_cli": "users",
    "services.console.tracking_cli": "track",
    "services.alerts.subscriptions_cli": "subscriptions",
    "services.alerts.delivery_cli": "alerts",
    "services.alerts.rules_cli": "explain rules",
    "deploy.local.mailbox_cli": "mailbox",
    "demo.cli": "demo",
    "services.tracker.cli": "refold",
}
"""Module -> the verbs that its `register` adds. Known here so that a verb loads its owner alone: all of them take a second."""


def assemble(verb: str | None = None) -> typer.Typer:
    """The command with all its verbs; with `verb`, if there is one of that name, with those of its owner."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=HELP)
    app.callback()(_lovla)
    chosen = [module for module, verbs in OWNERS.items() if verb in verbs.split()] or list(OWNERS)
    for module in chosen:
        register = importlib.import_module(module).register
        if module == "services.tracker.cli":  # the stack knows all services, the tracker knows none but itself
            from deploy.local.pause import pausing

            register(app, pausing)
        else:
            register(app)
    return app


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"lovla {importlib.metadata.version('lovla')}")
        raise typer.Exit


def _lovla(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="The release.")] = False,
) -> None:
    # a command with one verb alone would take the verb's name for an argument of it; this makes it a group
    pass


def main() -> None:
    """Entry point of the console script."""
    # what Kafka's client says while it tries would bury the one sentence in which the verb says what is wrong
    for name in ("librdkafka", "kafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    assemble(*sys.argv[1:2])()
