"""A process around the loop, for tests that kill it: numbers the records it reads, keeps the count in a changelog.

`python -m tests.integration.runtime.worker '{"source": "assigned", ...}'`; settings come from the environment.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from services.runtime import logs
from services.runtime.loop import AssignedSource, GroupSource, Limits, Output, Record, TransactionalLoop, restore
from services.runtime.settings import Settings


@dataclass(frozen=True)
class Job:
    """What a worker is told. Topics exist already; `state` has one partition."""

    source: str
    inputs: list[str]
    outputs: str
    state: str
    group: str
    transactional_id: str
    batch: int = 40
    slow_s: float = 0.0


class Numbering:
    """Gives each record the next number. The count is its state: restored wrongly, numbers repeat or are left out."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.count = 0
        self._ahead = 0

    def load(self, record: Record) -> None:
        assert record.value is not None
        self.count = int(record.value)

    def process(self, batch: Sequence[Record]) -> Sequence[Output]:
        for _ in range(10):  # in slices: what is left of them passes after a SIGSTOP too
            time.sleep(self._job.slow_s / 10)
        outputs = []
        self._ahead = self.count
        for record in batch:
            self._ahead += 1
            outputs.append(Output(self._job.outputs, record.value, str(self._ahead).encode()))
        outputs.append(Output(self._job.state, b"count", str(self._ahead).encode()))
        return outputs

    def committed(self) -> None:
        self.count = self._ahead

    def aborted(self) -> None:
        self._ahead = self.count


def main() -> None:
    logs.setup("worker")
    job = Job(**json.loads(sys.argv[1]))
    settings = Settings.load()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    make = AssignedSource if job.source == "assigned" else GroupSource
    source = make(settings, job.inputs, job.group, Limits(records=job.batch, idle_s=0.1))
    stage = Numbering(job)
    loop = TransactionalLoop(settings, name="worker", transactional_id=job.transactional_id, source=source, stage=stage)
    loop.start(stop)
    if job.source == "assigned":
        restore(settings, job.state, 0, stage.load)
    print("ready", flush=True)
    loop.run(stop)
    loop.close()


if __name__ == "__main__":
    main()
