"""`lovla refold`: journeys computed again from the topics; and how many shards there are."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from confluent_kafka import KafkaException
from rich.table import Table

from services.runtime.progress import bar
from services.runtime.settings import Settings, SettingsError
from services.runtime.terminal import console

if TYPE_CHECKING:
    from services.tracker.refold import Report


Pausing = Callable[[Path, str], AbstractContextManager[Callable[[], None]]]
"""Gives, for a state folder and a part of the local stack, what stops that part; afterwards it is started again."""


def register(app: typer.Typer, pausing: Pausing) -> None:
    """Add this service's verbs. `pausing` is handed in: the stack knows all services, this one knows none but itself."""

    @app.command()
    def refold(
        consignment: Annotated[str | None, typer.Option(help="Only this one.")] = None,
        shards: Annotated[int | None, typer.Option(min=1, max=64, help="Change the number of the tracker's shards.")] = None,
        within_s: Annotated[float, typer.Option("--within", min=1, help="Seconds to wait for trackers to leave.")] = 60.0,
        as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
    ) -> None:
        """Compute journeys again from the topics, by today's rules. It tells what differs and alerts nobody."""
        _show(_refold(pausing, consignment, shards, within_s), as_json)


def _refold(pausing: Pausing, consignment: str | None, shards: int | None, within_s: float) -> Report:
    from deploy.local.errors import StackError
    from services.runtime.hold import Busy
    from services.runtime.kafka import TopicMissing
    from services.tracker.core import TooManyFaults
    from services.tracker.refold import RefoldError, drop_groups, resize_lease
    from services.tracker.refold import refold as run

    try:
        settings = Settings.load()
        with pausing(settings.state_dir, "tracker") as pause, bar() as progress:
            pause()
            done = run(settings, consignment, shards, within_s=within_s, progress=progress)
            if done.shards != settings.shards or shards is not None:
                resize_lease(settings, done.shards)
                drop_groups(settings, done.shards)
                _tell_settings(settings.state_dir, done.shards)
    except Busy as error:
        _stop(f"{error}: stop the tracker (`lovla down --only tracker`) and run this again")
    except KafkaException as error:
        _stop(f"Kafka did not do it ({error.args[0].str()}); run this again: it goes on. See `lovla status`")
    except (SettingsError, RefoldError, TooManyFaults, TopicMissing, TimeoutError, StackError) as error:
        _stop(str(error))
    return done


def _stop(text: str) -> NoReturn:
    typer.echo(f"lovla: {text}", err=True)
    raise typer.Exit(1)


def _tell_settings(state_dir: Path, shards: int) -> None:
    """The number stands in lovla.env; a deployment that sets LOVLA_SHARDS elsewhere must set it there."""
    from deploy.local import environment

    told = environment.read(state_dir)
    if told and told.get("LOVLA_SHARDS") != str(shards):
        environment.write(state_dir, told | {"LOVLA_SHARDS": str(shards)})


def _show(done: Report, as_json: bool) -> None:
    if as_json:
        said = {"journeys": done.journeys, "differ": done.differ, "told": done.told, "moved": done.moved}
        typer.echo(json.dumps(said | {"faults": done.faults, "shards": done.shards}))
    else:
        if done.told:
            table = Table("told", "count", box=None, pad_edge=False)
            for kind, count in sorted(done.told.items()):
                table.add_row(kind, f"{count:,}")
            console().print(table)
        examples = ", ".join(done.differ[:10]) + (", ..." if len(done.differ) > 10 else "")
        typer.echo(
            f"{done.journeys:,} journeys computed again, {len(done.differ):,} differ{f' ({examples})' if examples else ''}."
            + (f" {done.moved:,} records moved; there are {done.shards} shards now." if done.moved else "")
        )
        for consignment, text in done.faults.items():
            typer.echo(f"{consignment} could not be computed and stays as it is: {text}", err=True)
    if done.faults:
        raise typer.Exit(1)
