"""`lovla track`: a link to one consignment for somebody without an account."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from services.runtime.verbs import Stop, told


def register(app: typer.Typer) -> None:
    """Add `lovla track`."""
    app.command("track")(track)


@told
def track(
    consignment: Annotated[str, typer.Argument(help="Its id.")],
    days: Annotated[int, typer.Option(min=1, max=365, help="How long the link works.")] = 30,
    state_dir: Annotated[Path | None, typer.Option(help="The stack's folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The link as one JSON object.")] = False,
) -> None:
    """Make a link to the public page of one consignment: whoever has it sees where it stands, without a login.

    It shows its id, its stage in words and the expected day; no goods, no parties, no other consignment.
    """
    from services.console.questions import Questions
    from services.console.settings import ConsoleSettings
    from services.console.tracking import token
    from services.runtime.clickhouse import connect
    from services.runtime.clock import SystemClock

    settings = ConsoleSettings.load(state_dir)
    secret = settings.secret_key.get_secret_value().encode()
    if not secret:
        raise Stop("LOVLA_SECRET_KEY is not set; `lovla up` makes one")
    reader = connect(settings, "reader")
    try:
        if Questions(reader).show(consignment) is None:
            raise Stop(f"no consignment {consignment} is known; `lovla find` looks through all references")
    finally:
        reader.close()
    until = SystemClock().now() + timedelta(days=days)
    link = f"{settings.links_url}/t/{token(secret, consignment, until)}"
    typer.echo(json.dumps({"consignment": consignment, "link": link, "until": until.isoformat()}) if as_json else link)
