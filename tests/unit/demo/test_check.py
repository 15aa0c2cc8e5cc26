"""Found against expected: what counts as found, missed, spurious; and what a miss says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from demo.check import Row, Seen, compare
from demo.truth import Found

AT = datetime(2020, 4, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def row(rows: tuple[Row, ...], kind: str) -> tuple[int, int, int, int]:
    return next((r.expected, r.found, r.spurious, r.withdrawn) for r in rows if r.kind == kind)


def test_all_is_good_when_each_is_found_once_and_nothing_else() -> None:
    expected = {"A-1": (Found("late:arrived", AT, AT + MINUTE), Found("dwell", AT)), "A-2": ()}
    seen = {"A-1": [Seen("dwell", "open", AT + MINUTE / 2), Seen("late:arrived", "ended", AT)]}
    result = compare(expected, seen)
    assert result.good
    assert row(result.rows, "late") == (1, 1, 0, 0)
    assert row(result.rows, "dwell") == (1, 1, 0, 0)


def test_another_start_or_state_is_a_miss_and_says_how_to_look() -> None:
    expected = {"A-1": (Found("dwell", AT),)}
    for wrong in (Seen("dwell", "open", AT + 2 * MINUTE), Seen("dwell", "ended", AT)):
        result = compare(expected, {"A-1": [wrong]})
        assert row(result.rows, "dwell") == (1, 0, 0, 0)
        (miss,) = result.misses
        assert "expected dwell open from 2020-04-01 12:00Z" in miss.sentence()
        assert "lovla show A-1" in miss.sentence()


def test_what_was_not_planted_is_spurious_unless_withdrawn() -> None:
    seen = {"A-1": [Seen("silent", "open", AT), Seen("dwell", "withdrawn", AT)]}
    result = compare({"A-1": ()}, seen)
    assert row(result.rows, "silent") == (0, 0, 1, 0)
    assert row(result.rows, "dwell") == (0, 0, 0, 1)
    assert "spurious silent" in result.misses[0].sentence()


def test_a_silent_feed_nobody_planted_is_spurious_but_other_peoples_consignments_are_not_judged() -> None:
    seen = {"feed:MAEU": [Seen("silent", "open", AT)], "OWN-1": [Seen("late:arrived", "open", AT)]}
    result = compare({}, seen)
    assert [miss.name for miss in result.misses] == ["feed:MAEU"]
