"""Dead letters: which are open, which are meant, how each is retried."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from schemas.dead_letter_v1 import DeadLetter
from schemas.letter_settled_v1 import LetterSettled
from services.ingest.dead_letters import Filter, NoSuchLetter, Standing, age, chosen, standing

AT = datetime(2020, 4, 12, tzinfo=UTC)


def letter(name: str, **more: object) -> DeadLetter:
    said = {
        "letter_id": name * 16,
        "stage": "readers",
        "sender": "MAEU",
        "reason": "not_json",
        "where": "line 1",
        "text": "a comma is missing",
        "topic": "raw.messages.v1",
        "partition": 0,
        "offset": 12,
        "received_at": AT,
    }
    return DeadLetter.model_validate(said | more)


LETTERS = [
    letter("a1"),
    letter("b2", sender="HBRT", reason="bad_time", standard="x12.214", received_at=AT + timedelta(days=1)),
    letter("c3", reason="fault", retryable=True),
    letter("d4", stage="tracker", sender="LACDHS-1", reason="too_late"),
]
DONE = {"a1" * 16: LetterSettled(letter_id="a1" * 16, act="discarded", at=AT, by="maria", why="a test")}
ALL = standing([*LETTERS, LETTERS[0]], DONE)


def meant(**wanted: object) -> str:
    return " ".join(one.letter.letter_id[:2] for one in chosen(ALL, Filter(**wanted)))  # type: ignore[arg-type]  # a test's words


def test_a_letter_stands_once_the_newest_first_with_what_was_done_about_it() -> None:
    assert [(one.letter.letter_id[:2], one.state) for one in ALL] == [
        ("b2", "open"),
        ("d4", "open"),
        ("c3", "open"),
        ("a1", "discarded"),
    ]


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({}, "b2 d4 c3"),
        ({"settled": True}, "b2 d4 c3 a1"),
        ({"carrier": "HBRT"}, "b2"),
        ({"reason": "fault"}, "c3"),
        ({"stage": "tracker"}, "d4"),
        ({"standard": "x12"}, "b2"),
        ({"before": AT + timedelta(hours=1)}, "d4 c3"),
        ({"since": AT + timedelta(hours=1)}, "b2"),
        ({"ids": ("a1a1a1",)}, "a1"),
        ({"ids": ("a1" * 16, "c3c3c3c3")}, "c3 a1"),
        ({"carrier": "NOBODY"}, ""),
    ],
)
def test_a_filter_means_open_letters_and_an_id_any(wanted: dict[str, object], ids: str) -> None:
    assert meant(**wanted) == ids


@pytest.mark.parametrize(("id_", "said"), [("a1a1", "too short"), ("ffffff", "there is no dead letter ffffff")])
def test_an_id_that_names_no_letter_is_said(id_: str, said: str) -> None:
    with pytest.raises(NoSuchLetter, match=said):
        chosen(ALL, Filter(ids=(id_,)))


def test_the_beginning_of_two_ids_names_none() -> None:
    twins = standing([letter("a1"), letter("a1", letter_id="a1" * 15 + "ff")], {})

    with pytest.raises(NoSuchLetter, match="2 dead letters begin with a1a1a1"):
        chosen(twins, Filter(ids=("a1a1a1",)))


@pytest.mark.parametrize(("index", "way"), [(0, "read again"), (2, "bring back"), (3, "none")])
def test_how_a_letter_is_retried_depends_on_who_wrote_it_and_why(index: int, way: str) -> None:
    assert Standing(LETTERS[index]).way == way


@pytest.mark.parametrize(("text", "hours"), [("90m", 1.5), ("12h", 12), ("3d", 72)])
def test_an_age_is_a_number_and_a_letter(text: str, hours: float) -> None:
    assert age(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "3", "d", "3w", "-1d", "1.5h"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no age; write 90m, 12h or 3d"):
        age(text)
