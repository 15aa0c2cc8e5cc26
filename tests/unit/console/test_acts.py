"""From forms to what the way in is asked: times and zones, keys, what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.console import acts, entry
from services.console.acts import NOTHING, Board, Outcome, Wrong
from services.ingest import work_acts

NOW = datetime(2020, 4, 12, 12, tzinfo=UTC)
ANGELES = ZoneInfo("America/Los_Angeles")
SHOWN = NOW.isoformat()
ROW = "LACDHS-1 late:arrived silent"
OTHER = "LACDHS-2"


def asked(**given: Any) -> list[dict[str, Any]]:
    form = {name: value if isinstance(value, list) else [value] for name, value in given.items()}
    return acts.work_asked({"shown_at": [SHOWN]} | form, "ana", ANGELES)


def test_a_line_carries_what_was_wrong_on_the_page() -> None:
    assert asked(acknowledge=ROW, text="of the bar, not of this line", row=[OTHER]) == [
        {"act": "acknowledge", "consignment": "LACDHS-1", "exceptions": ["late:arrived", "silent"]}
    ]


def test_many_lines_are_one_act_each_and_a_note_goes_with_it() -> None:
    assert asked(act="take", row=[ROW, OTHER, OTHER], text=" on \n it ") == [
        {"act": "assign", "consignment": "LACDHS-1", "assignee": "ana"},
        {"act": "assign", "consignment": "LACDHS-2", "assignee": "ana"},
        {"act": "note", "consignment": "LACDHS-1", "text": "on it"},
        {"act": "note", "consignment": "LACDHS-2", "text": "on it"},
    ]


@pytest.mark.parametrize(
    ("given", "until"),
    [
        ({"wait": "4"}, "2020-04-12T16:00:00Z"),
        ({"wait": "morning"}, "2020-04-13T08:00:00-07:00"),
        ({"wait": "4", "until": "2020-04-12T09:30"}, "2020-04-12T09:30:00-07:00"),
        ({"until": "2020-04-12T14:00:00+02:00", "wait": ""}, None),  # noon, which is now
    ],
)
def test_until_when_it_may_wait(given: dict[str, str], until: str | None) -> None:
    if until is None:
        with pytest.raises(Wrong, match="past"):
            asked(act="snooze", row=ROW, **given)
    else:
        assert asked(act="snooze", row=ROW, **given)[0]["until"] == until


def test_the_same_form_with_the_same_words_is_one_request() -> None:
    assert acts.key_of("once", "a", "b") == acts.key_of("once", "a", "b")
    assert len({acts.key_of("once", "a", "b"), acts.key_of("once", "ab"), acts.key_of("twice", "a", "b")}) == 3


def test_an_outcome_is_its_viewers_alone_and_the_oldest_are_let_go() -> None:
    board = Board(most=2)
    first, second, third = (board.put(Outcome("ana", "work", str(n))) for n in range(3))
    assert board.take(first, "ana") is NOTHING
    assert board.take(second, "ben") is NOTHING
    assert board.take(third, "ana").sentence == "2"
    assert board.take(third, "ana") is NOTHING  # a page that is loaded again does not say it again
    assert NOTHING.value("work", "text", "usual") == "usual"


def test_a_recorded_status_says_when_and_where() -> None:
    form = {"do": ["record"], "milestone": ["arrived"], "at": ["2020-04-12T04:00"], "once": ["1"], "place": ["H-HARBOR"]}
    form["shown_at"] = [SHOWN]
    (event,) = acts.request(form, "LACDHS-1", "ana", ANGELES, {"H-HARBOR": None}).body
    assert event["place"] == {"facility": "H-HARBOR"}
    assert event["occurred_at"] == "2020-04-12T04:00:00-07:00"
    with pytest.raises(Wrong, match="UN/LOCODE"):
        acts.request(form, "LACDHS-1", "ana", ANGELES, {})


@pytest.mark.parametrize("form", [{"do": "record", "milestone": "arrived"}, {"do": "receive", "good_1": "5"}])
def test_a_form_without_a_time_means_when_it_was_made_so_that_its_repeat_is_the_same(form: dict[str, str]) -> None:
    said = {name: [value] for name, value in (form | {"once": "1"}).items()}
    body = acts.request(said | {"shown_at": [SHOWN]}, "LACDHS-1", "ana", ANGELES, {}).body
    told = body[0] if isinstance(body, list) else body
    assert told["occurred_at"] == "2020-04-12T12:00:00Z"
    assert told.get("created_at", told["occurred_at"]) == told["occurred_at"]
    for made in ([], ["soon"]):
        with pytest.raises(Wrong, match="load the page again"):
            acts.request(said | {"shown_at": made}, "LACDHS-1", "ana", ANGELES, {})


def test_a_correction_keeps_its_withdrawal_back_until_it_was_taken() -> None:
    form = {"do": ["record"], "milestone": ["arrived"], "shown_at": [SHOWN], "instead": ["ab" * 16], "once": ["1"]}
    asked = acts.request(form, "LACDHS-1", "ana", ANGELES, {})
    assert [one.get("milestone") for one in asked.body] == ["arrived"]
    assert [one["retracts"] for one in asked.then] == [{"event_id": "ab" * 16}]
    assert asked.withdraws == "ab" * 16


@pytest.mark.parametrize("act", ["acknowledge", "snooze"])
def test_what_is_well_cannot_be_taken_care_of_or_wait(act: str) -> None:
    with pytest.raises(Wrong, match="Nothing is wrong with LACDHS-2"):
        asked(act=act, row=[ROW, OTHER], wait="4")
    assert len(asked(act="take", row=[ROW, OTHER])) == 2


def test_a_page_of_lines_with_a_note_is_no_more_than_the_way_in_takes_at_once() -> None:
    rows = [f"LACDHS-{n} silent" for n in range(acts.ROWS_MOST)]
    everything = asked(act="acknowledge", row=rows, text="all of it")
    assert len(everything) == acts.ACTS_MOST == work_acts.ACTS_MOST
    undo = acts.undo_of([one | {"act_id": f"{n:032x}"} for n, one in enumerate(everything)])
    assert undo is not None
    assert len(undo.fields) < entry.FIELDS_MOST
    assert len(asked(act="undo", undo=[value for name, value in undo.fields if name == "undo"])) == len(everything)
