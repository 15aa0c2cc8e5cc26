"""Charts and first sentences of pages that are tables."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from services.console.reports import LINES_MOST, chart

AT = datetime(2020, 4, 11, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_chart_says_the_same_as_its_table() -> None:
    made = chart("dwell", "Median dwell", "h", [(AT, "A", 40.0), (AT, "B", 8.0), (AT + 2 * HOUR, "A", 44.5)])
    times = [round(AT.timestamp()), round((AT + 2 * HOUR).timestamp())]
    assert [json.loads(told) for _, told in made.each] == [
        {"x": times, "label": "A", "values": [40.0, 44.5], "high": 44.5, "unit": "h"},
        {"x": times, "label": "B", "values": [8.0, None], "high": 44.5, "unit": "h"},
    ]
    assert [[cell.value for cell in row] for row in made.table.rows] == [[AT, 40.0, 8.0], [AT + 2 * HOUR, 44.5, None]]


def test_an_hour_in_which_nothing_left_is_nought_where_that_is_what_it_means() -> None:
    made = chart("outs", "Gate-outs", "", [(AT, "A", 3.0), (AT + 2 * HOUR, "A", 1.0)], zero=HOUR)
    assert made.times == [AT, AT + HOUR, AT + 2 * HOUR]
    assert made.lines == [("A", [3.0, 0.0, 1.0])]


def test_the_lines_with_the_most_points_are_drawn() -> None:
    points = [(AT + n * HOUR, f"T{line}", 1.0) for line in range(LINES_MOST + 2) for n in range(line + 1)]
    assert [label for label, _ in chart("x", "x", "", points).lines] == [f"T{line}" for line in range(LINES_MOST + 1, 1, -1)]


def test_nothing_known_is_a_chart_of_no_times() -> None:
    assert chart("x", "x", "", [], zero=HOUR).times == []
