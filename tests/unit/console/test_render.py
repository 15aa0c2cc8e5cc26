"""How answers look."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console
from rich.table import Table

from services.console import render
from services.console.questions import Unmatched, letters_and_digits, spellings, sql
from tests.unit.sink.examples import exception, journey

LA = ZoneInfo("America/Los_Angeles")
AT = datetime(2020, 4, 12, 3, tzinfo=UTC)


def text(table: Table) -> str:
    console = Console(file=io.StringIO(), width=400)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("hours", "said"),
    [(0.5, "30 min"), (1, "1 h"), (5.25, "5.2 h"), (47.96, "48 h"), (48, "2 d"), (76.4, "3 d 4 h"), (None, "")],
)
def test_spans_are_said_as_people_say_them(hours: float | None, said: str) -> None:
    assert render.span(hours) == said


def test_times_are_local_and_json_is_utc() -> None:
    assert render.when(AT, LA) == "Sat 11 Apr 2020 20:00"
    row = Unmatched("MAEU", "container", "X", 1, ["A"], AT.astimezone(LA), AT, "e")
    assert json.loads(render.as_json(row))["first_at"] == "2020-04-12T03:00:00Z"


def test_a_senders_text_is_neither_markup_nor_a_terminals_command() -> None:
    said = journey(exceptions=[exception(sentence="[bold]x[/bold]")])
    tables = "".join(text(table) for table in render.journey_tables(said, LA))
    assert "[bold]x[/bold]" in tables
    assert render.visible("a\x1b[2Jb\u202e") == "a?[2Jb?"


def test_parts_without_anything_are_left_out() -> None:
    titles = [str(table.title) for table in render.journey_tables(journey(), LA)]
    assert "Journey" in titles
    assert "Holds" not in titles


def test_an_unknown_zone_is_said_to_be_none() -> None:
    with pytest.raises(ValueError, match="no IANA time zone"):
        render.zone_of("../etc/passwd")
    assert render.known_zone("nowhere").key == "UTC"


def test_a_reference_is_found_however_it_is_typed() -> None:
    assert letters_and_digits(" 020-1234 5675 ") == "02012345675"
    assert "020-12345675" in spellings("02012345675")
    assert spellings("mrsu 437163-9") == ["MRSU 437163-9", "MRSU4371639", "mrsu 437163-9"]


def test_questions_have_only_parameters_that_the_server_binds() -> None:
    for name in ("delayed", "find", "find_events", "inbound", "dwell", "feeds", "unmatched", "dead_letters"):
        assert "{limit:UInt32}" in sql(name)
