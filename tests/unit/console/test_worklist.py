"""What an address asks of the work list, and where a page begins."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.words import EXCEPTION_KINDS
from services.console import worklist
from services.console.gate import Problem
from services.console.query_api import cursor_in, cursor_of
from services.console.questions import DELAY_KINDS, EPOCH, Keys

NOW = datetime(2020, 4, 12, 5, tzinfo=UTC)
LA = ZoneInfo("America/Los_Angeles")


def test_an_empty_address_asks_for_what_is_late_or_will_be_the_worst_first() -> None:
    view = worklist.read({}, NOW, LA)
    assert (view.wanted.kinds, view.order.sort, view.columns, view.given) == (DELAY_KINDS, "worst", worklist.USUAL, {})


def test_columns_come_ticked_one_by_one_and_the_usual_ones_need_not_be_said() -> None:
    ticked = worklist.read({"columns": ["severity", "tier"]}, NOW, LA)
    assert (ticked.columns, ticked.given) == (("severity", "tier"), {"columns": "severity,tier"})
    usual = worklist.read({"columns": sorted(worklist.USUAL)}, NOW, LA)
    assert (usual.columns, usual.given) == (worklist.USUAL, {})


def test_every_word_of_an_address_is_kept_in_the_view_so_that_links_can_be_made_of_it() -> None:
    said = {"exception": ["dwell", "late"], "hospital": ["H-HARBOR"], "tier": ["2"], "sort": ["expected"], "reverse": ["1"]}
    view = worklist.read(said | {"q": [" MRSU "], "columns": ["goods,tier"], "offset": ["50"]}, NOW, LA)
    assert view.wanted.kinds == ("dwell", "late")
    assert (view.wanted.tier, view.wanted.text, view.order.offset, view.columns) == (2, "MRSU", 50, ("goods", "tier"))
    assert view.given == {
        "exception": ["dwell", "late"],
        "hospital": "H-HARBOR",
        "tier": 2,
        "q": "MRSU",
        "sort": "expected",
        "reverse": "1",
        "columns": "goods,tier",
    }
    assert ("exception", "late") in view.narrowed
    assert "sort" not in dict(view.narrowed)


def test_a_day_is_kept_as_it_was_said() -> None:
    view = worklist.read({"expected": ["2020-04-11"], "expected_before": ["2020-04-12"]}, NOW, LA)
    assert (view.wanted.expected_on, view.wanted.expected_before) == (date(2020, 4, 11), date(2020, 4, 12))
    assert view.given == {"expected": "2020-04-11", "expected_before": "2020-04-12"}


def test_any_exception_means_every_kind_and_today_begins_at_the_viewers_midnight() -> None:
    view = worklist.read({"exception": ["any"], "delivered": ["today"]}, NOW, LA)
    assert view.wanted.kinds == EXCEPTION_KINDS
    assert view.wanted.delivered_since == datetime(2020, 4, 11, 7, tzinfo=UTC)
    assert worklist.read({}, NOW, LA).wanted.delivered_since == EPOCH


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exception", "slow"),
        ("severity", "dire"),
        ("tier", "6"),
        ("sort", "consignment; DROP TABLE"),
        ("group", "buyer"),
        ("state", "x"),
        ("columns", "goods,password"),
        ("rows", "501"),
        ("rows", "-1"),
        ("offset", "1e9"),
        ("offset", "٣"),
        ("q", "a" * 101),
        ("q", "a\x00b"),
        ("delivered", "yesterday"),
        ("expected", "20200411"),
        ("expected", "2020-02-30"),
        ("expected", "9999-01-01"),
        ("expected_before", "1969-12-31"),
        ("expected_before", "today"),
    ],
)
def test_what_an_address_may_not_say_is_refused_with_its_place(name: str, value: str) -> None:
    with pytest.raises(Problem) as refused:
        worklist.read({name: [value]}, NOW, LA)
    assert (refused.value.kind, refused.value.errors[0]["where"]) == ("bad-parameter", name)


@given(st.builds(Keys, st.text(), st.floats(allow_nan=False), st.text(), st.text(min_size=1)))
def test_a_cursor_comes_back_as_it_was_with_the_time_of_its_list(keys: Keys) -> None:
    for later in (timedelta(0), timedelta(hours=3)):
        after = cursor_in(cursor_of(keys, NOW), NOW + later)
        assert after is not None
        assert (after.keys, after.now) == (keys, NOW)


def test_a_cursor_of_a_list_of_long_ago_says_so() -> None:
    with pytest.raises(Problem) as refused:
        cursor_in(cursor_of(Keys("", 1.0, "", "LVLA-1"), NOW), NOW + timedelta(days=2))
    assert "first page" in refused.value.errors[0]["text"]


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "e30",
        "W10",
        "!!!!",
        "WyIiLCAiTmFOIiwgIiIsICJhIiwgMF0",
        "WyIiLCAxLCAiIiwgImEiLCAiTmFOIl0",
        "W251bGwsIG51bGwsIG51bGwsIG51bGwsIG51bGxd",
        base64.urlsafe_b64encode(b'["", 1, "", "\\ud800", 1586683200]').decode(),
        base64.urlsafe_b64encode(b"[" * 5_000).decode(),
    ],
)
def test_a_cursor_of_nobodys_is_refused(text: str) -> None:
    with pytest.raises(Problem):
        cursor_in(text, NOW)
