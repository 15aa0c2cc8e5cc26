"""A carrier's score over time, on a real ClickHouse."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.dead_letter_v1 import EXAMPLES as LETTERS
from schemas.shipment_event_v1 import ShipmentEvent
from schemas.words import LINKING_KINDS
from services.console.questions import DOUBTS, Questions, Score
from services.ingest.explanations import EXPLANATIONS
from services.sink.migrate import folder, load
from tests.integration.console.conftest import Books
from tests.integration.console.test_cli import lovla, shared, told  # noqa: F401  # fixtures
from tests.integration.console.test_questions import event

pytestmark = pytest.mark.stack

SINCE = datetime(2020, 4, 1, tzinfo=UTC)


def heard(day: int, after_h: float = 1, **said: Any) -> ShipmentEvent:
    """An actual of MAEU, heard of on a day of April, so many hours after it happened."""
    at = datetime(2020, 4, day, 12, tzinfo=UTC)
    return event(received_at=at, occurred_at=at - timedelta(hours=after_h), warnings=(), **{"sender": "MAEU"} | said)


def warned(*codes: str) -> dict[str, Any]:
    return {"warnings": [{"code": code, "where": "/0", "text": "said"} for code in codes]}


def with_warnings(one: ShipmentEvent, *codes: str) -> ShipmentEvent:
    return ShipmentEvent.model_validate(one.model_dump() | warned(*codes))


def scores(books: Books, step: int = 0, sender: str = "", on_time_h: float = 24) -> list[Score]:
    return Questions(books.client).scores(SINCE, step, on_time_h, sender)


def test_the_four_shares_and_what_has_all_of_them(books: Books) -> None:
    books.write(
        heard(2),
        heard(2, after_h=25),
        heard(2, mapped=False, milestone=None),
        with_warnings(heard(2), "zone_assumed", "bad_count"),
        with_warnings(heard(2), "bad_check_digit"),
        heard(2, after_h=100, classifier="estimated"),
    )
    (row,) = scores(books)
    assert (row.sender, row.begins, row.events, row.unread) == ("MAEU", SINCE, 6, 0)
    assert (row.mapped, row.zone_said, row.references_valid) == (5, 5, 5)
    assert (row.actuals, row.on_time, row.faultless) == (5, 4, 2)
    assert scores(books, on_time_h=26)[0].on_time == 5


def test_what_could_not_be_read_counts_once_and_lowers_the_score(books: Books) -> None:
    letter = LETTERS[0].model_copy(update={"letter_id": uuid.uuid4().hex, "received_at": SINCE + timedelta(days=1)})
    late = letter.model_copy(update={"letter_id": uuid.uuid4().hex, "stage": "tracker"})
    before = letter.model_copy(update={"letter_id": uuid.uuid4().hex, "received_at": SINCE - timedelta(days=1)})
    books.write(heard(2), letter, letter, late, before)
    (row,) = scores(books)
    assert (row.events, row.unread, row.mapped, row.faultless) == (1, 1, 1, 1)


def test_the_newest_revision_counts_in_the_period_in_which_it_was_first_heard(books: Books) -> None:
    first = heard(2, mapped=False, milestone=None)
    newer = {"at": "2020-04-20T00:00:00Z", "reader": 2, "content": "11aa11bb22cc33dd"}
    again = ShipmentEvent.model_validate(
        first.model_dump()
        | {"mapped": True, "milestone": "discharged", "received_at": datetime(2020, 4, 20, tzinfo=UTC), "revision": newer}
    )
    gone = ShipmentEvent.model_validate(heard(3).model_dump() | {"retracted": True})
    books.write(first, again, first, gone)
    rows = scores(books, step=7)
    assert [(row.begins, row.events, row.mapped) for row in rows] == [(SINCE, 1, 1)]


def test_periods_follow_each_other_and_senders_are_apart(books: Books) -> None:
    books.write(*(heard(day) for day in (1, 7, 8, 15)), heard(15, sender="CMDU"))
    rows = scores(books, step=7, sender="MAEU")
    assert [(row.begins.day, row.events) for row in rows] == [(1, 2), (8, 1), (15, 1)]
    assert [(row.sender, row.events) for row in scores(books)] == [("CMDU", 1), ("MAEU", 4)]
    assert scores(books, sender="NOBODY") == []


def test_the_warnings_about_references_are_ones_that_readers_say() -> None:
    assert set(EXPLANATIONS) >= DOUBTS


def test_the_tables_that_scores_and_unmatched_are_asked_of_know_the_same_words() -> None:
    script = next(one.script for one in load(folder()) if one.name == "narrow_tables")
    for words in (DOUBTS, LINKING_KINDS):
        lists = [set(re.findall(r"'(\w+)'", found)) for found in re.findall(r"[\[(]((?:\s*'\w+',?)+)\s*[\])]", script)]
        assert lists.count(set(words)) == 2  # in the view, and for what was there before


def test_the_verb_has_a_table_and_json(shared: Books, told: dict[str, str]) -> None:  # noqa: F811
    sender = f"SC{uuid.uuid4().hex[:8].upper()}"
    now = datetime.now(UTC)
    for days in (1, 3, 20):
        at = now - timedelta(days=days)
        shared.write(event(sender=sender, received_at=at, occurred_at=at, warnings=()))
    table = lovla(told, "score", sender, "--days", "14")
    assert table.exit_code == 0, table.output
    assert table.stdout.count(sender) == 3  # two days, and the whole
    assert f"{sender} in 14 days: score 100.0 % of 2 events and 0 unread" in table.stdout
    rows = [json.loads(line) for line in lovla(told, "score", sender, "--json").stdout.splitlines()]
    assert sum(row["events"] for row in rows) == 3
    everyone = lovla(told, "score", "--limit", "100000")
    assert everyone.stdout.count(sender) == 1
    assert "no carrier or party NOBODY is known" in lovla(told, "score", "NOBODY").stderr
