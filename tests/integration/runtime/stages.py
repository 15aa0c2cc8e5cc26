"""Stages and threads for tests that run the loop inside the test's own process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from services.runtime.loop import Output, Record, TransactionalLoop
from services.runtime.settings import Settings
from services.runtime.sources import Source
from tests.integration.runtime.worker import Job, Numbering


class Interrupted(Numbering):
    """Numbering, with something done to each batch first; `before` may raise, wait, or add outputs."""

    def __init__(self, job: Job, before: Callable[[Sequence[Record]], Sequence[Output]]) -> None:
        super().__init__(job)
        self._before = before
        self.commits = 0
        self.aborts = 0

    def process(self, batch: Sequence[Record]) -> Sequence[Output]:
        outputs = super().process(batch)
        return [*outputs, *self._before(batch)]

    def committed(self) -> None:
        super().committed()
        self.commits += 1

    def aborted(self) -> None:
        super().aborted()
        self.aborts += 1


class Running:
    """A loop in a thread; `error` is what ended it."""

    def __init__(self, loop: TransactionalLoop) -> None:
        self.loop = loop
        self.error: BaseException | None = None
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            self.loop.run(self.stop)
        except BaseException as error:
            self.error = error

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def join(self) -> None:
        self._thread.join(60)
        assert self.ended, "the loop did not end within 60 s"


@contextmanager
def running(settings: Settings, job: Job, source: Source, stage: Numbering, fuse: int = 3) -> Iterator[Running]:
    """A started loop at work; stopped and closed with the block."""
    loop = TransactionalLoop(
        settings, name="test", transactional_id=job.transactional_id, source=source, stage=stage, fuse=fuse
    )
    loop.start()
    run = Running(loop)
    run.begin()
    try:
        yield run
    finally:
        run.stop.set()
        run.join()
        loop.close()
