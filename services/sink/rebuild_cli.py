"""`lovla rebuild`: ClickHouse's tables made anew from the topics."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from confluent_kafka import KafkaException
from rich.table import Table

from services.runtime.clickhouse import ClickHouseError
from services.runtime.kafka import TopicMissing
from services.runtime.progress import bar
from services.runtime.settings import Settings, SettingsError
from services.runtime.terminal import console

if TYPE_CHECKING:
    from services.sink.rebuild import Rebuilt


def register(app: typer.Typer) -> None:
    """Add `rebuild`."""
    app.command("rebuild")(rebuild)


def rebuild(
    drop_expired: Annotated[
        bool, typer.Option("--drop-expired", help="Give up rows that the topics no longer hold, instead of keeping them.")
    ] = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Exchange even if the old tables have rows that no topic holds.")
    ] = False,
    keep_old: Annotated[bool, typer.Option("--keep-old", help="Keep the old tables, in a database that is named.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Give up what an earlier, unfinished rebuild made.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """Make ClickHouse's tables anew from the topics, beside the old ones, then exchange them. Run again, it goes on."""
    from deploy.local.errors import StackError
    from deploy.local.pause import pausing
    from services.sink.logs import SinkStopped
    from services.sink.migrate import MigrationError
    from services.sink.rebuild import Options, Rebuild, RebuildError

    try:
        settings = Settings.load()
        with _alone(settings.state_dir), bar() as progress, pausing(settings.state_dir, "sink") as pause:
            run = Rebuild(settings, Options(drop_expired, accept_loss, keep_old), progress)
            if restart:
                run.restart()
            done = run.run(pause)
    except SettingsError as error:
        _stop(str(error))
    except ClickHouseError as error:
        _stop(f"{error}; is the stack up? `lovla status` tells. Run this again: it goes on where it stopped")
    except KafkaException as error:
        _stop(f"Kafka does not answer ({error.args[0].str()}); run this again: it goes on where it stopped")
    except (RebuildError, MigrationError, TopicMissing, TimeoutError, SinkStopped, StackError, BlockingIOError) as error:
        _stop(str(error))
    _show(done, as_json)


def _stop(text: str) -> None:
    typer.echo(f"lovla: {text}", err=True)
    raise typer.Exit(1)


def _show(done: Rebuilt, as_json: bool) -> None:
    if as_json:
        rows = [asdict(one) | {"verdict": one.verdict} for one in done.tables]
        typer.echo(json.dumps({"tables": rows, "held_s": round(done.held_s, 2), "old": done.old}))
        return
    table = Table("table", "rows before", "rows after", "verdict", box=None, pad_edge=False)
    for one in done.tables:
        style = "red" if one.lost else None
        table.add_row(one.table, f"{one.rows_before:,}", f"{one.rows_after:,}", one.verdict, style=style)
    console().print(table)
    where = f" The old tables are in {done.old}: DROP DATABASE {done.old} when they are not needed." if done.old else ""
    typer.echo(f"Exchanged {len(done.tables)} tables; the sink stood still for {done.held_s:.1f} s.{where}")


@contextlib.contextmanager
def _alone(state_dir: Path) -> Iterator[None]:
    """One rebuild at a time: two would share what they read."""
    with (state_dir / "rebuild.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(f"another rebuild is at work on {state_dir}: wait for it, or end it") from None
        yield
