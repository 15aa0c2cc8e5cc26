"""Two processes of five compute while the others wait, and no file is left out or given twice."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tests.conftest import LONG, WAITING_TOO
from tests.lanes import NICE, Lanes, import_in_turn, processes, stand_back
from tests.stack import ROOT

WAITING = [f"tests/e2e/test_{n}.py::test" for n in range(6)]
COMPUTING = [f"tests/unit/test_{n}.py::test" for n in range(12)]
ALL = [f"{file}_{n}" for file in (*WAITING, *COMPUTING) for n in range(3)]
Begin = Callable[..., tuple[Lanes, list["Process"]]]


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


@pytest.fixture
def begin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Lanes for processes of these names, which have been given what they begin with."""

    def begun(names: list[str], tests: list[str]) -> tuple[Lanes, list[Process]]:
        monkeypatch.setattr(request.config.option, "loadscopereorder", False)
        monkeypatch.setattr(request.config.option, "tx", ["popen"] * len(names))
        lanes = Lanes(request.config, None, lambda file: "/e2e/" in file)
        made = [Process(name) for name in names]
        for process in made:
            lanes.add_node(process)
            lanes.add_node_collection(process, tests)
        lanes.schedule()
        return lanes, made

    return begun


@pytest.mark.parametrize("names", [["gw0"], ["gw1", "gw0"], ["gw0", "gw1", "gw2"], ["gw3", "gw2", "gw1", "gw5", "gw0", "gw4"]])
def test_two_of_five_begin_with_what_computes_and_all_goes_to_somebody_once(names: list[str], begin: Begin) -> None:
    """In whatever order they are ready."""
    lanes, made = begin(names, ALL)
    done: defaultdict[Process, int] = defaultdict(int)
    while any(done[process] < len(process.given) for process in made):
        for process in made:
            if done[process] < len(process.given):
                lanes.mark_test_complete(process, process.given[done[process]])
                done[process] += 1
    assert sorted(index for process in made for index in process.given) == list(range(len(ALL)))
    for process in made:
        computes_first = process.gateway.id in ("gw0", "gw1", "gw5")
        assert ("/e2e/" in ALL[process.given[0]]) != computes_first
        in_lane = sorted(process.given, key=lambda index: ("/e2e/" in ALL[index]) == computes_first)
        assert process.given == in_lane, "one kind after the other, each in its order"


def test_the_next_file_is_given_when_one_test_is_left_and_no_sooner(begin: Begin) -> None:
    """A process does not begin its last test before it knows what follows; a file given sooner waits behind two long tests."""
    lanes, (process, _) = begin(["gw2", "gw3"], [f"tests/e2e/test_{file}.py::test_{n}" for file in range(8) for n in range(2)])
    assert process.given == [0, 1]
    lanes.mark_test_complete(process, 0)
    assert process.given == [0, 1, 4, 5]
    lanes.mark_test_complete(process, 1)
    assert process.given == [0, 1, 4, 5]


def test_as_many_processes_as_cores_and_memory_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, gigabytes, count in ((2, 24, 5), (2, 8, 2), (1, 2, 1), (8, 64, 20)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        monkeypatch.setattr(psutil, "virtual_memory", lambda gigabytes=gigabytes: SimpleNamespace(total=gigabytes * 1024**3))
        assert processes() == count


def test_who_computes_stands_back_for_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(os, "nice", told.append)
    for name in ("gw2", "gw3", "gw4"):
        stand_back(name)
    assert told == []
    for name in ("gw0", "gw1", "gw5"):
        stand_back(name)
    assert told == [NICE] * 3


def test_what_is_named_as_long_is_there() -> None:
    assert [file for file in (*LONG, *WAITING_TOO) if not (ROOT / "tests" / file).exists()] == []


def test_each_process_begins_with_files_of_its_own_and_a_broken_one_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"test_lanes_part_{n}" for n in range(5)]
    for name in names:
        (tmp_path / f"{name}.py").write_text("import os.nothing\n" if name == names[3] else "")
    monkeypatch.syspath_prepend(tmp_path)
    for number, first in ((0, 0), (1, 2)):
        import_in_turn(tmp_path, [tmp_path], number, 2)
        imported = [name for name in sys.modules if name in names]
        assert imported == [name for name in (*names[first:], *names[:first]) if name != names[3]]
        for name in imported:
            del sys.modules[name]
