"""`lovla`: one command, each verb in the module that owns it; this file only assembles them."""

from __future__ import annotations

import typer

HELP = """Where every consignment of medical supplies is, and what is wrong with it: asked, fed and run from here.

Start: `lovla up`; what is there: `lovla status`. A message in: `lovla push FILE --carrier CODE`. Then ask: `lovla delayed`,
`lovla show CONSIGNMENT`, `lovla find REFERENCE`, `lovla unmatched`.

Several stacks on one machine: --state-dir of the verb, or LOVLA_STATE_DIR. With --json each line is one JSON object.
"""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=HELP)


def assemble() -> typer.Typer:
    """Let every owner add its verbs. Imports stay inside, so that `lovla read` loads no server code it does not need."""
    from demo import cli as demo
    from deploy.local import cli as local
    from deploy.local import mailbox_cli
    from deploy.local.pause import pausing
    from services.alerts import delivery_cli, rules_cli, subscriptions_cli
    from services.console import cli as console
    from services.console import tracking_cli
    from services.ingest import cli as ingest
    from services.ingest import dead_letters_cli, watch_cli
    from services.sink import cli as sink
    from services.tracker import cli as tracker

    for owner in (
        local,
        ingest,
        dead_letters_cli,
        watch_cli,
        sink,
        console,
        tracking_cli,
        subscriptions_cli,
        delivery_cli,
        rules_cli,
        mailbox_cli,
        demo,
    ):
        owner.register(app)
    tracker.register(app, pausing)
    return app


def main() -> None:
    """Entry point of the console script."""
    assemble()()
