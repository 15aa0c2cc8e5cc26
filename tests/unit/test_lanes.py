"""One process of three computes while the others wait, and no file is left out or given twice."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace

import pytest

from tests.lanes import Lanes

WAITING = [f"tests/e2e/test_{n}.py::test" for n in range(6)]
COMPUTING = [f"tests/unit/test_{n}.py::test" for n in range(12)]
ALL = [f"{file}_{n}" for file in (*WAITING, *COMPUTING) for n in range(3)]


class Process:
    """A test process that notes what it is given."""

    shutting_down = False

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.given: list[int] = []

    def send_runtest_some(self, indices: list[int]) -> None:
        self.given += indices

    def shutdown(self) -> None:
        self.shutting_down = True


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_every_third_begins_with_what_computes_and_all_goes_to_somebody_once(
    count: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request.config.option, "loadscopereorder", False)
    monkeypatch.setattr(request.config.option, "tx", ["popen"] * count)
    lanes = Lanes(request.config, None, lambda file: "/e2e/" in file)
    processes = [Process(f"gw{number}") for number in range(count)]
    for process in processes:
        lanes.add_node(process)
        lanes.add_node_collection(process, ALL)
    lanes.schedule()
    done: defaultdict[Process, int] = defaultdict(int)
    while any(done[process] < len(process.given) for process in processes):
        for process in processes:
            if done[process] < len(process.given):
                lanes.mark_test_complete(process, process.given[done[process]])
                done[process] += 1
    assert sorted(index for process in processes for index in process.given) == list(range(len(ALL)))
    for number, process in enumerate(processes):
        computes_first = number % 3 == 0
        assert ("/e2e/" in ALL[process.given[0]]) != computes_first
        in_lane = sorted(process.given, key=lambda index: ("/e2e/" in ALL[index]) == computes_first)
        assert process.given == in_lane, "one kind after the other, each in its order"
