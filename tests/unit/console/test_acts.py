"""From forms to what the way in is asked: times and zones, keys, what is wrong, and what is covered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.console import acts
from services.console.acts import NOTHING, Board, Outcome, Wrong
from services.console.questions import Asking, WorkDone

NOW = datetime(2020, 4, 12, 12, tzinfo=UTC)
ANGELES = ZoneInfo("America/Los_Angeles")
ROW = "LACDHS-1 late:arrived silent"
OTHER = "LACDHS-2"


def asked(**given: Any) -> list[dict[str, Any]]:
    form = {name: value if isinstance(value, list) else [value] for name, value in given.items()}
    return acts.work_asked(form, "ana", NOW, ANGELES)


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


def done(consignment: str, key: str, undone_by: str = "") -> tuple[str, list[WorkDone]]:
    return consignment, [WorkDone("ab" * 16, "acknowledge", [key], NOW, "ana", "", None, "", undone_by, None)]


def test_a_message_is_taken_care_of_once_all_that_it_tells_of_is() -> None:
    message = Asking("s" * 16, "ab" * 16, [("LACDHS-1", "late:arrived"), ("LACDHS-2", "dwell")])
    said = asked(acknowledge=ROW)
    assert not acts.covered(message, said, {})
    assert acts.covered(message, said, dict([done("LACDHS-2", "dwell")]))
    assert not acts.covered(message, said, dict([done("LACDHS-2", "dwell", undone_by="ben")]))
    assert not acts.covered(Asking("s" * 16, "ab" * 16, []), said, {})


def test_an_outcome_is_its_viewers_alone_and_the_oldest_are_let_go() -> None:
    board = Board(most=2)
    first, second, third = (board.put(Outcome("ana", "work", str(n))) for n in range(3))
    assert board.get(first, "ana") is NOTHING
    assert board.get(second, "ben") is NOTHING
    assert board.get(third, "ana").sentence == "2"
    assert NOTHING.value("work", "text", "usual") == "usual"


def test_a_recorded_status_keeps_its_id_when_it_is_sent_twice() -> None:
    form = {"do": ["record"], "milestone": ["arrived"], "at": ["2020-04-12T04:00"], "once": ["1"], "place": ["H-HARBOR"]}
    first = acts.request(form, "LACDHS-1", "ana", NOW, ANGELES, {"H-HARBOR": None})
    later = acts.request(form, "LACDHS-1", "ana", NOW + timedelta(seconds=9), ANGELES, {"H-HARBOR": None})
    assert first.body[0]["id"] == later.body[0]["id"]
    assert first.body[0]["place"] == {"facility": "H-HARBOR"}
    assert first.body[0]["occurred_at"] == "2020-04-12T04:00:00-07:00"
    with pytest.raises(Wrong, match="UN/LOCODE"):
        acts.request(form, "LACDHS-1", "ana", NOW, ANGELES, {})


def test_a_status_without_a_time_is_of_now_and_its_repeat_is_the_same() -> None:
    form = {"do": ["record"], "milestone": ["arrived"], "once": ["1"]}
    first = acts.request(form, "LACDHS-1", "ana", NOW, ANGELES, {})
    later = acts.request(form, "LACDHS-1", "ana", NOW + timedelta(seconds=9), ANGELES, {})
    assert first.body[0]["id"] == later.body[0]["id"]
