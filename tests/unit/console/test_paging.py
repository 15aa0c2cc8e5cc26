"""Lists that are read page by page."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.gate import Problem
from services.console.paging import cursor_after, page_of, stand_in
from services.console.questions import Stand

NOW = datetime(2020, 4, 12, 12, tzinfo=UTC)
stands = st.tuples(
    st.integers(-5, 5).map(lambda minutes: NOW + timedelta(minutes=minutes)), st.text(max_size=3), st.text(max_size=2)
)


def packed(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def in_order(rows: set[Stand]) -> list[Stand]:
    return sorted(rows, key=lambda row: (NOW - row[0], row[1:]))


def itself(row: Stand) -> Stand:
    return row


@given(st.sets(stands), st.integers(1, 7))
def test_pages_joined_are_the_list(rows: set[Stand], most: int) -> None:
    whole, told, after = in_order(rows), list[Stand](), None
    while True:
        page, after = page_of(whole, itself, stand_in(cursor_after(after)) if after else None, most)
        told += page
        if after is None:
            break
        assert len(page) == most
    assert told == whole


@given(st.sets(stands, min_size=2), st.data())
def test_what_comes_or_goes_meanwhile_shifts_nothing(rows: set[Stand], data: st.DataObject) -> None:
    """Also where the row that ended the page before is no longer there."""
    whole = in_order(rows)
    most = data.draw(st.integers(1, len(whole) - 1))
    page, after = page_of(whole, itself, None, most)
    gone = data.draw(st.sets(st.sampled_from(list(page))))
    come = (NOW + timedelta(hours=1), "new")
    rest, _ = page_of(in_order((rows - gone) | {come}), itself, after, 100)
    assert rest == whole[most:]


@pytest.mark.parametrize(
    "told",
    [
        "%%%",
        packed("none"),
        packed(["2020-04-12T12:00:00", "a"]),
        packed(["2020-04-12T12:00:00+00:00"]),
        packed(["2020-04-12T12:00:00+00:00", 1]),
        packed(["9999-12-31T23:59:59+00:00", "a"]),
        packed({"a": 1}),
        packed(["2020-04-12T12:00:00+00:00", "\ud800"]),
        base64.urlsafe_b64encode(b"[" * 5_000).decode(),
    ],
)
def test_a_cursor_of_nobodys_is_refused(told: str) -> None:
    with pytest.raises(Problem) as refused:
        stand_in(told)
    assert [place["where"] for place in refused.value.errors] == ["cursor"]
