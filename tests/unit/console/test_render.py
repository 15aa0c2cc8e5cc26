"""How answers look."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from schemas.words import EXCEPTION_KINDS
from services.alerts.languages import language
from services.console import render
from services.console.questions import Unmatched, letters_and_digits, spellings, sql
from services.runtime import spoken
from services.runtime.verbs import Stop, zone_of
from services.tracker import exceptions
from tests.unit.sink.examples import exception, journey, statement

LA = ZoneInfo("America/Los_Angeles")
AT = datetime(2020, 4, 12, 3, tzinfo=UTC)


def text(table: render.Sheet, width: int = 400) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (0.5, "30 min"),
        (0, "0 h"),
        (1, "1 h"),
        (1.5, "1.5 h"),
        (5.25, "5.2 h"),
        (9.97, "10 h"),
        (17.6, "18 h"),
        (47.96, "48 h"),
        (48, "2.0 d"),
        (95.4, "4.0 d"),
        (None, ""),
    ],
)
def test_spans_are_said_as_people_say_them(hours: float | None, said: str) -> None:
    assert spoken.span(hours) == said
    if hours is not None:
        assert exceptions.spoken(timedelta(hours=hours)) == said, "a sentence beside it says the same"
        assert language("en").hours(hours).replace("days", "d") == said, "and a message"


def test_times_are_local_and_json_is_utc() -> None:
    assert spoken.when(AT, LA) == "Sat 11 Apr 2020 20:00"
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
    with pytest.raises(Stop, match="no IANA time zone"):
        zone_of("../etc/passwd")
    assert render.known_zone("nowhere").key == "UTC"


def test_a_reference_is_found_however_it_is_typed() -> None:
    assert letters_and_digits(" 020-1234 5675 ") == "02012345675"
    assert "020-12345675" in spellings("02012345675")
    assert spellings("mrsu 437163-9") == ["MRSU 437163-9", "MRSU4371639", "mrsu 437163-9"]


def test_questions_have_only_parameters_that_the_server_binds() -> None:
    for name in ("delayed", "find", "find_events", "inbound", "dwell", "feeds", "unmapped", "unmatched", "dead_letters"):
        assert "{limit:UInt32}" in sql(name)


EVENT = "3f0c8e0f4b7a4d0d9a6f2c1b5e7d8a90"


def sheet() -> render.Sheet:
    made = render.table("Consignments", "", "consignment", ">late by", "unused", "~what is wrong")
    render.add(made, ">", "LACDHS-0001", "3 d", "", "Arrived 3.4 d late: 18 Nov 15:42 PST says COSU, planned was 15 Nov.")
    return made


def test_a_table_that_fits_folds_only_long_texts_between_words() -> None:
    lines = text(sheet(), 60).splitlines()
    assert lines[1].split() == ["consignment", "late", "by", "what", "is", "wrong"], "a column without anything is left out"
    assert lines[2].startswith(">  LACDHS-0001      3 d  Arrived 3.4 d late:")
    assert max(map(len, lines)) <= 60
    assert len(text(sheet(), 400).splitlines()) == 3


def test_a_table_that_does_not_fit_is_told_as_cards() -> None:
    said = text(sheet(), 40)
    assert said.splitlines()[:3] == ["Consignments", "> LACDHS-0001", "  late by: 3 d"]
    assert "what is wrong: Arrived 3.4 d late:" in said
    assert max(map(len, said.splitlines())) <= 40


def test_a_time_that_is_past_is_no_expectation() -> None:
    later = AT + timedelta(hours=1)
    assert render.expected(AT, "plan", AT, LA) == "Sat 11 Apr 2020 20:00 (planned)"
    assert render.expected(AT, "plan", later, LA) == "was Sat 11 Apr 2020 20:00 (planned), no word since"
    assert render.expected(AT, "actual", later, LA) == "Sat 11 Apr 2020 20:00 (happened)"
    assert render.expected(None, "unknown", later, LA) == "unknown"


def test_a_consignment_that_nobody_has_seen_was_not_seen_anywhere() -> None:
    unseen = journey(stage="registered", statements=[], place="CNSHA")
    assert "last seen" not in render.journey_heading(unseen, {}, LA, AT)[0]
    seen = journey(statements=[statement("discharged", "2020-04-11T16:40:00Z", place="USLAX")])
    assert "last seen at USLAX" in render.journey_heading(seen, {}, LA, AT)[0]


def test_an_appointed_party_is_shown_beside_the_declared_ones() -> None:
    said = journey(appointed=[("trucker", "SPDR")])
    heading = "\n".join(render.journey_heading(said, {}, LA, AT))
    assert "trucker HBRT, trucker SPDR (appointed)" in heading
    assert "version" not in heading


def test_ids_are_shown_by_their_beginning_and_a_place_only_where_there_is_one() -> None:
    without = {"sha256": "ab" * 32, "partition": 2, "offset": 106, "position": ""}
    said = journey(
        statements=[
            statement("discharged", "2020-04-11T16:40:00Z", event_id=EVENT),
            statement("gate_out", "2020-04-11T17:40:00Z", raw=without),
        ]
    )
    tables = "".join(text(table) for table in render.journey_tables(said, LA))
    assert EVENT[:12] in tables
    assert EVENT not in tables
    assert "1/17 @/0" in tables
    assert "2/106\n" in tables
    assert render.brief("COMMAND-1") == "COMMAND-1"


def test_each_kind_of_exception_has_a_meaning() -> None:
    assert set(render.MEANING) == set(EXCEPTION_KINDS)
    assert render.legend(["silent", "silent"]) == ["silent: nobody has told anything for too long"]
    assert render.legend([]) == []
