"""Answers that are kept: shared, never too old, counted anew beside those who look."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from services.console.kept import FRESH_S, LATE_S, OLD_S, Kept
from services.runtime.clock import ManualClock
from tests.waiting import eventually

NOW = datetime(2020, 4, 11, 9, 40, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


class Counting:
    """A question that takes its time; each answer is its number."""

    def __init__(self) -> None:
        self.asked = 0
        self.done = threading.Semaphore(0)

    def __call__(self) -> int:
        self.asked += 1
        self.done.release()
        return self.asked


def test_what_was_counted_within_a_minute_is_told_again(clock: ManualClock) -> None:
    kept, ask = Kept(clock), Counting()
    assert kept.rows("score", (NOW - DAY,), ask) == (1, NOW)
    clock.advance(FRESH_S)
    assert kept.rows("score", (NOW - DAY,), ask) == (1, NOW)
    assert ask.asked == 1


def test_what_is_older_is_told_and_counted_anew_for_the_next(clock: ManualClock) -> None:
    kept, ask = Kept(clock), Counting()
    kept.rows("score", (), ask)
    clock.advance(FRESH_S + 1)
    assert kept.rows("score", (), ask) == (1, NOW)
    assert ask.done.acquire() and ask.done.acquire(timeout=5)
    kept.close()
    kept._beside.shutdown(wait=True)
    assert kept.rows("score", (), ask) == (2, clock.now())


def test_what_is_counted_while_something_is_on_its_way_is_waited_for_and_not_counted_twice(clock: ManualClock) -> None:
    kept, counting, go_on, asked = Kept(clock), threading.Event(), threading.Event(), list[int]()

    def ask() -> int:
        asked.append(1)
        counting.set()
        assert go_on.wait(10)
        return len(asked)

    kept.forget("score", late=True)
    with ThreadPoolExecutor(2) as lookers:
        first = lookers.submit(kept.rows, ("score",), (), ask)
        assert counting.wait(10)
        clock.advance(4)
        second = lookers.submit(kept.rows, ("score",), (), ask)
        eventually(lambda: second.running() or second.done())
        assert not second.done()
        go_on.set()
        assert first.result(10)[0] == second.result(10)[0] == 1 and len(asked) == 1
    clock.advance(2)
    assert kept.rows(("score",), (), ask)[0] == 2
    kept.close()


def test_nobody_is_told_what_is_too_old(clock: ManualClock) -> None:
    kept, ask = Kept(clock), Counting()
    kept.rows("score", (), ask)
    clock.advance(OLD_S + 1)
    assert kept.rows("score", (), ask) == (2, clock.now())


def test_a_question_may_have_bounds_of_its_own(clock: ManualClock) -> None:
    kept, ask = Kept(clock), Counting()
    assert kept.rows("facets", (), ask, 5.0, 30.0) == (1, NOW)
    clock.advance(31)
    assert kept.rows("facets", (), ask, 5.0, 30.0) == (2, clock.now())
    counted = clock.now()
    clock.advance(6)
    assert kept.rows("facets", (), ask) == (2, counted), "by the usual bounds it is fresh"
    assert kept.rows("facets", (), ask, 5.0, 30.0) == (2, counted)
    for _ in range(3):
        assert ask.done.acquire(timeout=5), "and by its own it is counted anew beside"


def test_another_window_or_another_word_is_another_question(clock: ManualClock) -> None:
    kept, ask = Kept(clock), Counting()
    assert kept.rows("score", (NOW - DAY,), ask)[0] == 1
    assert kept.rows("score", (NOW - 7 * DAY,), ask)[0] == 2
    assert kept.rows("unmatched", (NOW - DAY,), ask)[0] == 3
    assert kept.rows("score", (NOW - DAY,), ask)[0] == 1


def test_all_who_ask_at_once_wait_for_one_answer(clock: ManualClock) -> None:
    kept, ask, begun, go = Kept(clock), Counting(), threading.Event(), threading.Event()

    def slowly() -> int:
        begun.set()
        assert go.wait(10)
        return ask()

    with ThreadPoolExecutor(3) as viewers:
        first = viewers.submit(kept.rows, "score", (), slowly)
        assert begun.wait(10)
        others = [viewers.submit(kept.rows, "score", (), slowly) for _ in range(2)]
        go.set()
        assert {one.result(10) for one in (first, *others)} == {(1, NOW)}


def test_what_failed_is_not_kept(clock: ManualClock) -> None:
    kept = Kept(clock)

    def failing() -> int:
        raise ValueError("no answer in time")

    with pytest.raises(ValueError, match="no answer"):
        kept.rows("score", (), failing)
    assert kept.rows("score", (), lambda: 7)[0] == 7


def test_what_was_counted_before_somebody_acted_is_not_told_after_it(clock: ManualClock) -> None:
    """Not even where it was being counted anew beside when they did."""
    kept, counting, acted = Kept(clock), threading.Event(), threading.Event()
    stands = ["before"]

    def ask() -> str:
        told = stands[-1]
        if len(stands) == 1 and counting.is_set():
            acted.wait(5)
        counting.set()
        return told

    assert kept.rows(("facets", "all"), (), ask)[0] == "before"
    clock.advance(FRESH_S + 1)
    assert kept.rows(("facets", "all"), (), ask)[0] == "before"  # and counts anew, beside
    kept.forget("standing", "facets")
    stands.append("after")
    acted.set()
    kept._beside.shutdown(wait=True)
    assert kept.rows(("facets", "all"), (), ask)[0] == "after"


def test_what_was_done_shows_as_soon_as_it_is_there_even_where_the_pipeline_takes_its_time(clock: ManualClock) -> None:
    """Somebody looks before it is there, and what they are told is not kept for who looks after it."""
    kept, stands = Kept(clock), ["before"]
    assert kept.rows(("inbound",), (), lambda: stands[-1])[0] == "before"
    kept.forget("inbound", late=True)
    clock.advance(2)
    assert kept.rows(("inbound",), (), lambda: stands[-1])[0] == "before"
    stands.append("after")
    clock.advance(2)
    assert kept.rows(("inbound",), (), lambda: stands[-1])[0] == "after"
    clock.advance(LATE_S)
    assert kept.rows(("inbound",), (), lambda: "much later")[0] == "much later"
    clock.advance(FRESH_S)
    assert kept.rows(("inbound",), (), lambda: "not asked")[0] == "much later"


def test_what_is_too_old_for_anybody_is_not_held(clock: ManualClock) -> None:
    kept = Kept(clock)
    for days in range(3):
        kept.rows("unmatched", (NOW - days * DAY,), lambda: ["many rows"])
    clock.advance(OLD_S + 1)
    kept.rows("score", (), lambda: 1)
    assert len(kept._answers) == 1
