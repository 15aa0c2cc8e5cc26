"""What the rows of a page tell at a time; and what was read is kept by version, within a bound."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.console.facts import Facts, told

NOW = datetime(2020, 4, 11, 9, 40, 0, 999_500, tzinfo=UTC)
HOUR = timedelta(hours=1)


def line(*wrong: tuple[int, str, float | None, datetime | None], **said: Any) -> dict[str, Any]:
    """As queries/facts.sql gives it; `wrong`: rank, kind, hours, since when they grow."""
    ranks, kinds, hours, bases = zip(*wrong, strict=True) if wrong else ((), (), (), ())
    words = ("consignment", "facility", "stage", "place", "terminal", "carrier", "vessel", "voyage", "mode", "milestone")
    return {
        **dict.fromkeys((*words, "expected_basis"), ""),
        **dict.fromkeys(("expected_delivery", "required_by", "last_event_at")),
        "version": 1,
        "tier": 1,
        "categories": [],
        "quantities": [],
        "item_units": [],
        "ranks": ranks,
        "kinds": kinds,
        "hours": hours,
        "bases": bases,
        "keys": [f"{kind}:x" for kind in kinds],
        "starts": [NOW - HOUR for _ in kinds],
        "sentences": [f"It is {kind}." for kind in kinds],
        **said,
    }


@pytest.mark.parametrize(
    ("kind", "hours", "base", "says"),
    [
        ("late", 18.04, None, 18.0),
        ("dwell", None, NOW - 5 * HOUR, 5.0),
        ("dwell", None, NOW + HOUR, 0.0),
        ("overdue", None, NOW + HOUR, -1.0),
        ("silent", None, NOW - timedelta(minutes=21), 0.4),  # 0.35 rounded as ClickHouse does
        ("conflict", None, None, None),
    ],
)
def test_hours_are_told_as_of_a_time(kind: str, hours: float | None, base: datetime | None, says: float | None) -> None:
    row = told(line((2, kind, hours, base)), (), "", "", (), NOW)
    assert (row["exception"], row["severity"], row["hours_late"]) == (kind, "major", says)
    assert row["sentence"] == f"It is {kind}."


def test_the_worst_is_told_of_the_kinds_that_are_asked_for() -> None:
    one = line((1, "late", 90.0, None), (3, "dwell", None, NOW), (1, "silent", None, NOW - 2 * HOUR))
    everything, late = told(one, (), "", "", (), NOW), told(one, (), "Harbor", "UTC", ("late", "silent"), NOW)
    assert (everything["exception"], everything["also"]) == ("dwell", ["late", "silent"])
    assert (late["exception"], late["also"], late["keys"]) == ("late", ["silent"], ["late:x", "silent:x"])
    nothing = told(line(), (), "", "", (), NOW)
    assert (nothing["exception"], nothing["severity"], nothing["since"], nothing["hours_late"]) == ("", "", None, None)


def test_what_was_read_is_known_by_its_version_and_the_longest_unused_goes_first() -> None:
    facts = Facts(most=2)
    facts.put([line(consignment="A"), line(consignment="B")])
    assert facts.known([("A", 2)]) == {}
    assert set(facts.known([("A", 1)])) == {"A"}
    facts.put([line(consignment="C")])
    assert set(facts.known([("A", 1), ("B", 1), ("C", 1)])) == {"A", "C"}


def test_a_line_of_many_items_counts_as_many_lines() -> None:
    """However much a few say, what is kept is bounded."""
    facts = Facts(most=60)
    facts.put(line(consignment=f"LACDHS-{n}") for n in range(9))
    heavy = line(consignment="LACDHS-99", categories=["n95_respirator"] * 500)
    for _ in range(2):  # read again, it counts once
        facts.put([heavy])
        kept = facts.known([(f"LACDHS-{n}", 1) for n in (*range(9), 99)])
        assert kept.keys() == {*(f"LACDHS-{n}" for n in range(9)), "LACDHS-99"}
    facts.put([line(consignment="LACDHS-100")])
    assert "LACDHS-0" not in facts.known([("LACDHS-0", 1)])
