"""Which file each of several test processes is given next.

Half of the tests wait for servers most of their time (tests/conftest.py, WAITING), the others compute. Were all that wait to go
first, two cores would stand idle for a third of it, and three processes share them afterwards. So every third process begins
with what computes, the others with what waits, each goes over to the other kind when its own is used up, and files of either
kind keep the order in which they were collected.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController


class Lanes(LoadFileScheduling):  # type: ignore[misc]  # its package has no types
    """`waits`: of a file, by its path from the root of the tests' repository."""

    def __init__(self, config: pytest.Config, log: Producer | None, waits: Callable[[str], bool]) -> None:
        super().__init__(config, log)
        self._waits = waits

    def _assign_work_unit(self, node: WorkerController) -> None:
        for_waiting = self.nodes.index(node) % 3 != 0
        for file in self.workqueue:
            if self._waits(file) == for_waiting:
                self.workqueue.move_to_end(file, last=False)
                break
        super()._assign_work_unit(node)
