"""The campaign's short form: every process killed once, one frozen, second members, ClickHouse's answers lost. `make faults` is
the whole of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import forks, stack
from tests.faults.campaign import Report, campaign
from tests.faults.scenarios import KILLED, SHORT, STAGES, Pace

SHORTLY = Pace(events=3_000, kills=len(KILLED), rate=40, zombie_s=11, slow_s=22, tick_s=2)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(480)]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    """One short campaign; its progress is shown should a test fail. It looks at nothing behind the sink: whether alerts and
    console go on, tests/e2e and tests/integration/alerts ask."""
    if {stack.provider("KAFKA", stack.environ()), stack.provider("CLICKHOUSE", stack.environ())} != {"local"}:
        pytest.skip("this provider's servers cannot be killed by a test")

    def note(what: str, text: str) -> None:
        print(f"{what}: {text}")

    yield campaign(
        tmp_path_factory.mktemp("faults") / "state", SHORT, SHORTLY, seed=1, note=note, begin=forks.start, only=STAGES
    )


def test_the_stack_goes_on_through_every_fault(report: Report) -> None:
    assert [f"{one.name}: {one.seen}" for one in report.outcomes if not one.good] == []
    assert [one.name for one in report.outcomes] == [scenario.name for scenario in SHORT]


def test_afterwards_all_of_it_is_there_once_and_true(report: Report) -> None:
    assert [f"{one.name}: {one.found}" for one in report.verdicts if not one.good] == []
    assert report.events >= SHORTLY.events
    assert len(report.verdicts) >= 24
