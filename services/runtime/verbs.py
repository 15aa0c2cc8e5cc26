"""What verbs have alike: errors that a user can mend become one sentence, rows a table or JSON; where keys are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec
from zoneinfo import ZoneInfo

import typer

from services.runtime.spoken import when
from services.runtime.terminal import printed

P = ParamSpec("P")
Zone = Annotated[str | None, typer.Option("--zone", help="IANA time zone of the times shown.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")]
_NO_TABLE, _NO_DATABASE, _NO_ACCESS = 60, 81, 497  # ClickHouse's own codes
OPERATOR = "OPS"  # the sender whose key people act with on this machine, unless --as names another


class Stop(Exception):
    """The verb cannot go on; the text is one sentence that says what to do."""


def told(verb: Callable[P, None]) -> Callable[P, None]:
    """Errors that a user can mend become one sentence on stderr and exit code 1."""

    @wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            verb(*args, **kwargs)
        except Exception as error:
            sentence = in_words(error)
            if sentence is None:  # a fault of ours, or typer's own way to end
                raise
            typer.echo(f"lovla: {sentence}", err=True)
            raise typer.Exit(1) from None

    return run


def aside(text: str) -> None:
    """What is to be known while a verb works, on stderr: its answer stands alone on stdout."""
    typer.echo(f"lovla: {text}", err=True)


def in_words(error: Exception) -> str | None:
    """What is wrong and what to do; None: nobody can mend it but us. Loads what knows the error only once there is one."""
    from confluent_kafka import KafkaException
    from pydantic import ValidationError

    from services.runtime.clickhouse import ClickHouseError, OutcomeUnknown
    from services.runtime.kafka import TopicMissing
    from services.runtime.settings import SettingsError

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if isinstance(error, KafkaException):
        return f"Kafka does not answer ({error.args[0].str()}); is the stack up? See `lovla status`."
    if isinstance(error, OutcomeUnknown):
        return "ClickHouse does not answer; is the stack up? See `lovla status`, or start it: `lovla up`."
    if isinstance(error, ClickHouseError):
        missing = error.code in (_NO_TABLE, _NO_DATABASE, _NO_ACCESS)
        return "ClickHouse has not all of our tables; run `lovla migrate apply`." if missing else str(error)
    known = isinstance(error, Stop | SettingsError | TopicMissing | OSError | UnicodeDecodeError)
    return plainly(error) if known else None


def plainly(error: Exception) -> str:
    """What an error says; of a file which and why, without the number that the system has for it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error)


def show(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], as_json: bool, zone: ZoneInfo | None = None) -> None:
    """A table for people, its times in `zone` (UTC unless said), which stands below them; or one JSON object a line."""
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False, default=str))
        return
    from rich.table import Table
    from rich.text import Text

    local, rows = zone or ZoneInfo("UTC"), list(rows)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")  # an id that is cut short is of no use
    for row in rows:
        table.add_row(*(Text("" if row.get(name) is None else _cell(row[name], local)) for name in columns))
    timed = any(isinstance(row.get(name), datetime) for row in rows for name in columns)
    printed(table, *([f"times in {local.key}"] if timed else []))


def only_one(begin: str, names: Iterable[str], things: str, verb: str) -> str:
    """The name that begins so. Raises Stop where there is not exactly one: `things` are what is named, `verb` lists them."""
    found = [name for name in names if name.startswith(begin)]
    if begin in found:
        return begin
    if len(found) == 1:
        return found[0]
    said = f"several {things} begin so" if found else f"none of the {things} that you see begins so"
    raise Stop(f"{begin}: {said}; see `{verb}`")


def key_file(state_dir: Path, code: str) -> Path:
    """Where the key of a sender is kept on this machine, readable by its owner alone."""
    return state_dir / "keys" / code


def zone_of(name: str | None) -> ZoneInfo | None:
    """Raises Stop for a name that is no IANA zone."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Stop(f"{name} is no IANA time zone; one is, for example, America/Los_Angeles") from None


def _cell(value: object, zone: ZoneInfo) -> str:
    if isinstance(value, datetime):
        return when(value, zone)
    if isinstance(value, list | tuple):
        return ("; " if any(isinstance(item, dict) for item in value) else " ").join(_cell(item, zone) for item in value)
    if isinstance(value, dict):
        return ": ".join(str(part) for part in value.values() if part)
    return str(value)
