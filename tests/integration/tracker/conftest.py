"""Each test has trackers of its own, which know the registers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.topics import FACILITIES, SENDERS
from services.runtime import kafka as clients
from services.runtime.register import write
from services.runtime.settings import Settings
from tests.integration.tracker.trackers import Run
from tests.unit.tracker.build import REGISTERS


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Iterator[Run]:
    producer = clients.producer(settings, "test-registers")
    for code, sender in REGISTERS.senders.items():
        write(producer, SENDERS.name, code, sender)
    for code, facility in REGISTERS.facilities.items():
        write(producer, FACILITIES.name, code, facility)
    made = Run(settings, tmp_path / "state")
    yield made
    made.end()
