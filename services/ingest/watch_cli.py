"""`lovla watch`: a way in without HTTP and without code; services/ingest/watch.py says how."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from services.runtime import process
from services.runtime.verbs import Stop, aside, key_file, told

_EVERY_S = 1.0


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("watch")(watch)


@told
def watch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Holds one folder a carrier, DIR/<CODE>/; or see --carrier.")],
    carrier: Annotated[str | None, typer.Option("--carrier", help="DIR itself is this carrier's folder.")] = None,
    settle: Annotated[float, typer.Option(min=0, help="Seconds that a file must not have changed before it is taken.")] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="End when nothing is left to take; 1 if something waits.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a file, for machines.")] = False,
) -> None:
    """Push files dropped by SFTP, AS2 or a VAN with the carrier's kept key; each goes to done/ or failed/ with its receipt or
    complaint beside it. Ends on SIGTERM or Ctrl-C, between two files."""
    from services.ingest.settings import IngestSettings
    from services.ingest.watch import NoFolder, Note, Taken, Watch
    from services.runtime.client import Client, Refused
    from services.runtime.failpoints import Failpoints

    settings = IngestSettings.load()
    stop = threading.Event()
    process.on_stop(stop.set)

    def pause(seconds: float) -> None:
        stop.wait(seconds)

    def push(code: str, content: bytes, content_type: str, key: str) -> Taken:
        file = key_file(settings.state_dir, code)
        if not file.exists():
            raise Refused(f"No key is kept for {code}; make one with `lovla carriers add {code}`.")
        kept = file.read_text().strip()
        with Client(f"http://{settings.api_host}:{settings.api_port}", kept, sleep=pause, note=aside) as client:
            headers = {"Content-Type": content_type, "Idempotency-Key": f'"{key}"'}
            answer = client.ask("POST", "/v1/messages", content, headers)
        return Taken(answer.json(), answer.headers.get("Idempotency-Replayed") == "true")

    def say(note: Note) -> None:
        typer.echo(json.dumps(asdict(note)) if as_json else f"{note.outcome:7} {note.carrier} {note.name}: {note.text}")

    try:
        with Watch(folder, push, carrier=carrier, settle_s=settle, failpoints=Failpoints(settings.failpoint)) as watching:
            while not stop.is_set():
                waits = False
                for note in watching.turn(time.monotonic()):
                    say(note)
                    waits = waits or note.outcome == "waits"
                    if stop.is_set():
                        return
                if once and (waits or watching.idle):
                    if waits:
                        raise typer.Exit(1)
                    return
                stop.wait(min(_EVERY_S, max(settle, 0.05)) if once else _EVERY_S)
    except NoFolder as error:
        raise Stop(str(error)) from None
