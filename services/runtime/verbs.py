"""What verbs have alike: errors that a user can mend become one sentence, rows a table or JSON; where keys are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer

from services.runtime.terminal import console

P = ParamSpec("P")
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
    if isinstance(error, Stop | SettingsError | TopicMissing | OSError | UnicodeDecodeError):
        return str(error)
    return None


def show(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    """A table for people, or one JSON object a line."""
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False, default=str))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")  # an id that is cut short is of no use
    for row in rows:
        table.add_row(*(Text("" if row.get(name) is None else _cell(row[name])) for name in columns))
    console().print(table)


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


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        return ("; " if any(isinstance(item, dict) for item in value) else " ").join(map(_cell, value))
    if isinstance(value, dict):
        return ": ".join(str(part) for part in value.values() if part)
    return str(value)
