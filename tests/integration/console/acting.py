"""A way in behind a console under test: the real addresses over fakes; what people do is sunk at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from pydantic import SecretStr

from schemas.work_act_v1 import WorkAct
from services.console.settings import ConsoleSettings
from services.console.way_in import WayIn
from services.ingest.api import build
from services.runtime.clock import Clock
from tests.integration.console.conftest import Books
from tests.unit.ingest.fakes import House


@dataclass
class SunkWorkActs:
    """Each act is a row at once. `away`: Kafka is."""

    books: Books
    done: list[WorkAct] = field(default_factory=list)
    away: bool = False

    async def write(self, acts: Sequence[WorkAct]) -> None:
        if self.away:
            raise TimeoutError("Kafka does not answer")
        self.done += acts
        await asyncio.to_thread(self.books.write, *acts)


class Behind:
    """The way in, and the settings with which a console finds it."""

    def __init__(self, folder: Path, books: Books, settings: ConsoleSettings, clock: Clock) -> None:
        self.house = House(folder, clock=clock)
        self.acts = SunkWorkActs(books)
        self.house.door.work_acts = self.acts
        key = self.house.add("OPS", "operator", "operator", "push", "register")["Authorization"].removeprefix("Bearer ")
        self.settings = settings.model_copy(update={"console_key": SecretStr(key), "console_wait_s": 0.1})
        self.way_in = WayIn(self.settings, httpx.ASGITransport(build(self.house.door), raise_app_exceptions=False))
