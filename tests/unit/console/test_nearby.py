"""What a reference that nobody owns may have been meant to say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from services.console.nearby import LOOKED_AT, NAMED_MOST, near, suggested
from services.console.questions import DueThere, Near, Questions, Unmatched

NOW = datetime(2020, 4, 12, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "said", "meant", "how"),
    [
        ("container", "MRSU4371693", "MRSU4371639", "two characters are swapped"),
        ("container", "MRSU4371630", "MRSU4371639", "one character differs"),  # the check digit
        ("container", "MRSU 437163-O", "MRSU4371630", "one character differs"),
        ("container", "MRSU43716399", "MRSU4371639", "it has one character less"),
        ("container", "MRSU437163", "MRSU4371639", "it has one character more"),
        ("bill_of_lading", "203990011", "MAEU203990011", "the same with the carrier's code"),
        ("booking", "MAEU203990011", "203990011", "the same without the carrier's code"),
        ("air_waybill", "020-12345657", "02012345675", "two characters are swapped"),
    ],
)
def test_a_slip_of_the_pen_is_undone(kind: str, said: str, meant: str, how: str) -> None:
    assert near(kind, said, "MAEU")[meant] == how


@pytest.mark.parametrize("said", ["", "12345", "---", "7" * 41])
def test_what_is_too_short_or_too_long_means_nothing_else(said: str) -> None:
    assert near("booking", said, "MAEU") == {}


def test_what_was_said_is_not_among_what_was_meant_and_all_of_it_is_bounded() -> None:
    for length in (6, 11, 40):
        ways = near("container", "A1" * 20, "MAEU") if length == 40 else near("container", "1" * length, "MAEU")
        assert len(ways) < 25 * length + 30
    assert "MRSU4371639" not in near("container", "MRSU4371639", "MAEU")


class Books:
    """Answers what nearby.py asks."""

    def __init__(self, known: Sequence[Near] = (), due: Sequence[DueThere] = ()) -> None:
        self.known, self.due = known, due
        self.asked: list[Any] = []

    def near(self, words: Sequence[str]) -> list[Near]:
        self.asked.append(words)
        return [one for one in self.known if one.word in words]

    def due_there(self, events: Sequence[str], senders: Sequence[str]) -> list[DueThere]:
        self.asked.append((events, senders))
        return [one for one in self.due if one.event in events]


def lost(value: str, kind: str = "container", sender: str = "MAEU", example: str = "e1") -> Unmatched:
    return Unmatched(sender, kind, value, 1, ["X"], NOW, NOW, example)


def named(books: Books, *rows: Unmatched) -> dict[str, list[str]]:
    return {key[2]: [one.consignment for one in those] for key, those in suggested(cast(Questions, books), rows).items()}


def known(consignment: str, value: str, kind: str = "container", parties: Sequence[str] = ("MAEU",)) -> Near:
    return Near(value, consignment, kind, value, [*parties])


def test_only_a_consignment_on_which_the_sender_has_standing_is_named_and_by_the_same_kind() -> None:
    books = Books(
        [known("A", "MRSU4371639"), known("B", "MRSU4371639", parties=["COSU"]), known("C", "MRSU4371639", kind="booking")]
    )
    assert named(books, lost("MRSU4371693")) == {"MRSU4371693": ["A"]}
    ((why,),) = ([one.why for one in those] for those in suggested(cast(Questions, books), [lost("MRSU4371693")]).values())
    assert why == "its container is MRSU4371639: two characters are swapped"


def test_the_likeliest_difference_alone_is_named_and_none_where_many_fit() -> None:
    swapped, other = known("SWAPPED", "MRSU4371639"), known("OTHER", "MRSU4371692")
    assert named(Books([other, swapped]), lost("MRSU4371693")) == {"MRSU4371693": ["SWAPPED"]}
    row = [known(f"N{digit}", f"50000{digit}", kind="booking") for digit in range(1, 9)]
    assert named(Books(row), lost("500000", "booking")) == {}
    assert len(named(Books(row[:NAMED_MOST]), lost("500000", "booking"))["500000"]) == NAMED_MOST


def test_without_a_near_number_place_and_time_name_a_few() -> None:
    due = [
        DueThere("e1", "A", "gate_out", "USLAX", 3.2),
        *(DueThere("e2", f"N{n}", "gate_out", "USLAX", 1.0) for n in range(4)),
    ]
    books = Books([known("B", "MRSU4371639")], due)
    rows = [lost("TGHU9999997"), lost("TGHU8888883", example="e2"), lost("MRSU4371693", example="e3")]
    found = named(books, *rows)
    assert found == {"TGHU9999997": ["A"], "MRSU4371693": ["B"]}
    assert books.asked[1] == (["e1", "e2"], ["MAEU"])  # what has a near number is not asked about


def test_a_page_asks_two_questions_whatever_stands_on_it_and_none_about_nothing() -> None:
    books = Books()
    suggested(cast(Questions, books), [lost(f"TGHU99999{n:02d}", example=f"e{n}") for n in range(100)])
    assert len(books.asked) == 2
    assert len(books.asked[1][0]) == LOOKED_AT
    nothing = Books()
    suggested(cast(Questions, nothing), [])
    assert nothing.asked == []
