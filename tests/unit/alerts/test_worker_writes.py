"""What the worker writes of a step, with a stream in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.topics import ALERT_CANDIDATES, ALERT_WAITING
from services.alerts.matching import Match, Told
from services.alerts.settings import AlertsSettings
from services.alerts.stream import Write
from services.alerts.worker import Worker
from services.runtime.clock import ManualClock
from tests.unit.alerts.build import NOW, change, subscription

LONG_AGO = NOW - timedelta(hours=8)


@pytest.fixture
def written() -> list[Write]:
    return []


@pytest.fixture
def worker(tmp_path: Path, written: list[Write], monkeypatch: pytest.MonkeyPatch) -> Worker:
    """That no broker knows; it has caught up once it has read offset 1 of partition 0."""
    made = Worker(AlertsSettings(kafka="127.0.0.1:1", state_dir=tmp_path), ManualClock(NOW), lambda _: None)

    async def write(writes: Sequence[Write]) -> None:
        written.extend(writes)

    monkeypatch.setattr(made.stream, "write", write)
    made._book.put(subscription())
    made._match = Match(made._book, {0: 2})
    return made


async def test_what_waited_is_taken_out_of_its_table_when_it_is_told_and_what_never_stood_there_is_not(
    worker: Worker, written: list[Write]
) -> None:
    """The second is the last there is: it is told in the step in which it is read, as one that a worker finds that comes back
    after six hours."""
    first, last = (change(n=n, consignment=f"LACDHS-{n}") for n in (0, 1))
    await worker._write_match(worker._match.take(Told(first, 0, 0, LONG_AGO), NOW))
    assert [(one.topic, one.value is None) for one in written] == [(ALERT_WAITING.name, False)]
    written.clear()
    await worker._write_match(worker._match.take(Told(last, 0, 1, LONG_AGO), NOW))
    assert [(one.topic, one.key, one.value is None) for one in written] == [
        (ALERT_CANDIDATES.name, b"a" * 16, False),
        (ALERT_CANDIDATES.name, b"a" * 16, False),
        (ALERT_WAITING.name, b"LACDHS-0\0late:arrived", True),
    ]
