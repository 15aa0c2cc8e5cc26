"""The benchmarks still run, and their own checks of the outcome hold: tiny sizes, no word about time."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bench import TINY, Bench
from benchmarks.measurements import MEASUREMENTS
from deploy.local import part
from tests import forks


@pytest.mark.stack
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["readers", "pipeline", "sink", "freshness", "journeys", "alerts", "console"])
def test_a_measurement_checks_its_outcome_and_gives_figures(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "start", forks.start)
    said: list[str] = []
    result = MEASUREMENTS[name].run(Bench(TINY, tmp_path / "work", tmp_path / "cache", said.append))
    assert result.figures and result.checked
    assert all(figure.median >= 0 for figure in result.figures)


def test_matching_checks_its_outcome_and_gives_figures(tmp_path: Path) -> None:
    result = MEASUREMENTS["matching"].run(Bench(TINY, tmp_path / "work", tmp_path / "cache", lambda text: None))
    assert result.figures and result.checked
