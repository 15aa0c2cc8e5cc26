"""The benchmarks still run, and their own checks of the outcome hold: tiny sizes, no word about time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from benchmarks import console, servers
from benchmarks.bench import TINY, Bench
from benchmarks.measurements import MEASUREMENTS
from benchmarks.servers import Broker
from deploy.local import part
from deploy.local.clickhouse import ClickHouseServer
from tests import forks
from tests import stack as stacks
from tests.stack import LocalKafka, Stack


@pytest.fixture(scope="module")
def broker(stack: Stack) -> Iterator[Broker | None]:
    """The session's: six of their own cost 30 s of CPU, and their speed is not looked at here. None: each starts its own."""
    kafka = stack.kafka()
    if not isinstance(kafka, LocalKafka) or kafka.running is None:
        yield None
        return
    with stacks.emptied(stack, clickhouse=False):
        yield Broker(kafka.server, kafka.running)


@pytest.mark.stack
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["readers", "pipeline", "sink", "freshness", "journeys", "alerts", "console"])
def test_a_measurement_checks_its_outcome_and_gives_figures(
    name: str, broker: Broker | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "start", forks.start)
    for module in (console, servers):  # which compile nothing: what that would save, questions without repeats do not earn
        monkeypatch.setattr(module, "ClickHouseServer", partial(ClickHouseServer, short_lived=True))
    said: list[str] = []
    result = MEASUREMENTS[name].run(Bench(TINY, tmp_path / "work", tmp_path / "cache", said.append, broker))
    assert result.figures and result.checked
    assert all(figure.median >= 0 for figure in result.figures)


def test_matching_checks_its_outcome_and_gives_figures(tmp_path: Path) -> None:
    result = MEASUREMENTS["matching"].run(Bench(TINY, tmp_path / "work", tmp_path / "cache", lambda text: None))
    assert result.figures and result.checked
