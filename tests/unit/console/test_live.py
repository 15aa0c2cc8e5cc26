"""What waits behind the bar: each consignment once, whatever the order in which topics' partitions come to be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.console.live import COUNTED_MOST, KEPT, Board

NOW = datetime(2020, 4, 12, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def row(change: str, consignment: str, after_s: float) -> dict[str, object]:
    return {"change_id": change, "consignment": consignment, "appended_ms": NOW_MS + round(after_s * 1000)}


def test_a_consignment_that_changed_twice_is_one() -> None:
    board = Board()
    board.take([row("a", "ONE", 1), row("b", "ONE", 2), row("c", "TWO", 2)], NOW, NOW + timedelta(seconds=3))
    assert board.news(NOW_MS, 0) == 2
    assert board.news(NOW_MS, 0, "ONE") == 1
    assert board.news(NOW_MS + 2_000, 0) == 0


def test_what_is_seen_late_counts_although_it_was_appended_before_the_page_was_made() -> None:
    board = Board()
    board.take([row("a", "OLD", -5)], NOW, NOW)
    page_made_at_poll = board.polls
    assert board.news(NOW_MS, page_made_at_poll) == 0
    board.take([row("a", "OLD", -5), row("b", "LATE", -1)], NOW, NOW + timedelta(seconds=2))
    assert board.news(NOW_MS, page_made_at_poll) == 1


def test_a_poll_asks_again_for_what_may_have_come_late_and_never_for_more_than_is_kept() -> None:
    board = Board()
    assert board.asked_since(NOW) == NOW - KEPT
    board.take([row("a", "ONE", 0)], NOW, NOW)
    assert board.asked_since(NOW) == NOW - timedelta(seconds=60)
    assert board.asked_since(NOW + 2 * KEPT) == NOW + KEPT


def test_what_is_older_than_is_kept_is_let_go() -> None:
    board = Board()
    board.take([row("a", "ONE", 0)], NOW, NOW)
    board.take([], NOW, NOW + KEPT + timedelta(seconds=1))
    assert board.changes == {}


def test_what_one_did_oneself_is_no_news_and_what_a_colleague_does_later_is() -> None:
    board = Board()
    board.take([], NOW, NOW)
    page_made_at_poll = board.polls
    board.take([row("a", "MINE", -1) | {"act": True}, row("b", "HERS", 1) | {"act": True}], NOW, NOW + timedelta(seconds=2))
    assert board.news(NOW_MS, page_made_at_poll) == 1
    assert board.news(NOW_MS, page_made_at_poll, "HERS") == 1


def test_counting_ends_at_what_was_seen_before_the_page_was_made_and_at_what_is_told() -> None:
    board = Board()
    board.take([row(f"old {n}", f"OLD-{n}", -600 + n) for n in range(300)], NOW, NOW - timedelta(seconds=300))
    page_made_at_poll = board.polls
    board.take([row("a", "ONE", 1), row("late", "LATE", -400)], NOW, NOW + timedelta(seconds=2))
    assert board.news(NOW_MS, page_made_at_poll) == 2
    assert board.news(NOW_MS, 0) == 1
    assert board.news(NOW_MS - 700_000, 0) == COUNTED_MOST + 1
    assert board.news(NOW_MS - 302_000, 0) == 2
