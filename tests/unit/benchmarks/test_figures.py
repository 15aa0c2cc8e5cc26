"""What the tables say must follow from what was measured."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmarks import page
from benchmarks.harness import BEGIN, END, Figure, Result, interleaved, percentile
from benchmarks.timeline import rate


def test_a_goal_is_judged_by_the_median_not_by_the_best_run() -> None:
    assert Figure("speed", "1/s", (10.0, 20.0, 90.0), at_least=50).met is False
    assert Figure("speed", "1/s", (10.0, 60.0, 90.0), at_least=50).met is True
    assert Figure("lag", "s", (1.0, 2.0, 9.0), at_most=2).met is True
    assert Figure("lag", "s", (1.0,)).met is None


def test_runs_take_turns() -> None:
    order: list[str] = []
    variants: dict[str, Callable[[], None]] = {name: partial(order.append, name) for name in "ABC"}
    interleaved(2, variants, lambda text: None)
    assert order == list("ABCABC")


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_one_of_the_values(share: float, value: int) -> None:
    values = [float(n) for n in range(1, 101)]
    random.Random(1).shuffle(values)
    assert percentile(values, share) == value


def test_a_rate_leaves_out_the_start_and_counts_no_record_twice() -> None:
    slow_start = [n * 1.0 for n in range(20)]  # a record a second
    steady = [19 + 0.01 * n for n in range(1, 81)]  # then a hundred
    measured = rate(slow_start + steady, skip=0.2)
    assert measured.records == 80
    assert measured.per_s == pytest.approx(100)


def test_records_that_came_at_one_moment_make_no_infinite_rate() -> None:
    assert rate([5.0] * 100).records == 0


def test_the_page_keeps_its_words_and_gets_the_figures(tmp_path: Path) -> None:
    file = tmp_path / "benchmarks.md"
    file.write_text(f"# Words\n{BEGIN}\nold\n{END}\nMore words\n", encoding="utf-8")
    latest = tmp_path / "results" / "latest.json"
    result = Result("the sums are equal")
    result.add("speed", "1/s", [1.0, 3.0, 2.0], at_least=5)
    about = {
        "at": "2026-11-21 14:00Z",
        "took_s": 3,
        "command": "make bench",
        "machine": {"processor": "p", "cores": 2, "memory_gb": 8, "load_before": 0.1},
        "versions": {"python": "3.11"},
    }
    page.write({"readers": result.as_json() | about}, latest, file)
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# Words") and text.endswith("More words\n") and "old" not in text
    assert "| speed | 2 | 1 to 3 | 1/s | >= 5: NOT met |" in text
    assert page.read(latest)["readers"]["figures"][0]["met"] is False
