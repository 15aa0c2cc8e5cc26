"""Which file each of several test processes is given next, how many processes there are, and how they begin.

Half of the tests wait for servers most of their time (tests/conftest.py, WAITING), the others compute. Were all that wait to go
first, the cores would stand idle for a third of it, and more processes share them afterwards. So two of five processes begin
with what computes, the others with what waits, each goes over to the other kind when its own is used up, and files of either
kind keep the order in which they were collected. Those that begin with what computes stand back for the others (`nice`) as far
as they can: what they do fills the time in which the others wait, and no server answers later for it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

MEMORY_BYTES = 3 * 1024**3
"""Of one process with the servers that its tests start; the most that was seen is 2 GiB."""
NICE = 19
OF = 5  # processes of two cores
COMPUTING = 2  # of so many, those that begin with what computes


def processes() -> int:
    """How many of them this machine can feed. That two of five stand back leaves its servers what they need: with five that did
    not, a test that kills its broker ran out of its time on two cores."""
    cores, memory = os.cpu_count() or 1, psutil.virtual_memory().total
    return max(1, min(OF * cores // 2, memory // MEMORY_BYTES))


def computes(name: str) -> bool:
    """Whether the process that xdist calls gw0, gw1 ... begins with what computes."""
    return int(name.removeprefix("gw")) % OF < COMPUTING


def stand_back(name: str) -> None:
    """Called by each process at its start."""
    if computes(name):
        os.nice(NICE)


class Lanes(LoadFileScheduling):  # type: ignore[misc]  # its package has no types
    """`waits`: of a file, by its path from the root of the tests' repository."""

    def __init__(self, config: pytest.Config, log: Producer | None, waits: Callable[[str], bool]) -> None:
        super().__init__(config, log)
        self._waits = waits

    def _assign_work_unit(self, node: WorkerController) -> None:
        for_waiting = not computes(node.gateway.id)
        for file in self.workqueue:
            if self._waits(file) == for_waiting:
                self.workqueue.move_to_end(file, last=False)
                break
        super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        """The next file when the last test of this one is all that is left: that test is not begun before it is known what
        follows. xdist's own way, at two, leaves a file of minutes waiting behind another of two long tests."""
        if self.workqueue and self._pending_of(self.assigned_work[node]) > 1:
            return
        super()._reschedule(node)


def import_in_turn(root: Path, folders: Iterable[Path], number: int, of: int) -> None:
    """Imports the test files of these folders, each of `of` processes beginning with a part of its own.

    What is imported is compiled, with its assertions rewritten, and kept for whoever imports it next. Where nothing is kept yet
    (a fresh clone) all processes at once, each from the first file on, would do that for the same file at the same time: 8 s of
    CPU each, of the 15 that collecting takes. A file that cannot be imported is pytest's to tell of.
    """
    files = sorted({file for folder in folders for file in folder.rglob("test_*.py")})
    begin = len(files) * number // of
    for file in (*files[begin:], *files[:begin]):
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(file.relative_to(root).with_suffix("").parts))
