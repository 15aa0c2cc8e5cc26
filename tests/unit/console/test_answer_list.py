"""A list that tells the newest first, as one long CSV."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from services.console import query_api
from services.console.door import ConsoleDoor
from services.console.query_api import Part, answer_list
from services.console.questions import Questions, Stand
from services.runtime.clock import ManualClock

NOW = datetime(2020, 4, 12, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    at: datetime
    name: str


ROWS = [Row(NOW - timedelta(minutes=n // 2), f"row {n:02d}") for n in range(11)]


def stand(row: Row) -> Stand:
    return row.at, row.name


async def csv_of(asking: Callable[[Questions, datetime, Part], Sequence[Row]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names in the lines of the list, in pages of three."""
    monkeypatch.setattr(query_api, "CSV_WHOLE", 3)
    clickhouse: Any = SimpleNamespace(query=lambda *_: [{"as_of": NOW}])
    nothing: Any = SimpleNamespace()
    door = ConsoleDoor(nothing, clickhouse, nothing, ManualClock(NOW), way_in=nothing, arrow=nothing)
    request = Request({"type": "http", "method": "GET", "path": "/", "query_string": b"format=csv", "headers": []})
    answer = await answer_list(request, door, nothing, "rows", asking, stand)
    text = (await body_of(answer)).decode("utf-8-sig")
    head, *lines = text.splitlines()
    assert head == "at,name"
    return [line.partition(",")[2] for line in lines]


async def body_of(answer: Response) -> bytes:
    if isinstance(answer, StreamingResponse):
        return b"".join([cast(bytes, piece) async for piece in answer.body_iterator])
    return bytes(answer.body)


async def test_each_page_is_asked_for_by_the_doors_threads_which_keep_their_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by = list[str]()

    def asking(_: Questions, __: datetime, part: Part) -> Sequence[Row]:
        by.append(threading.current_thread().name.partition("_")[0])
        begin = 0 if part.after is None else [stand(row) for row in ROWS].index(part.after) + 1
        return ROWS[begin : begin + part.rows]

    assert await csv_of(asking, monkeypatch) == [row.name for row in ROWS]
    assert by == ["questions"] * 4


async def test_what_was_given_whole_is_told_whole_whatever_comes_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last row is heard of again after the list was asked for, and would stand before the second page."""
    lists = iter([ROWS, [Row(NOW + timedelta(minutes=1), ROWS[-1].name), *ROWS[:-1]]])
    assert await csv_of(lambda *_: next(lists), monkeypatch) == [row.name for row in ROWS]
