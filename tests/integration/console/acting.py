"""A way in behind a console under test: the real addresses over fakes; what people do is sunk at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
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


class Doors(httpx.AsyncBaseTransport):
    """The way in, and beside it what other doors answer: path -> body."""

    def __init__(self, way_in: httpx.AsyncBaseTransport, others: Mapping[str, object]) -> None:
        self._way_in, self._others = way_in, others

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path in self._others:
            return httpx.Response(200, json=self._others[request.url.path])
        return await self._way_in.handle_async_request(request)


class Behind:
    """The way in, and the settings with which a console finds it. `others`: what other doors answer."""

    def __init__(
        self, folder: Path, books: Books, settings: ConsoleSettings, clock: Clock, others: Mapping[str, object] | None = None
    ) -> None:
        self.house = House(folder, clock=clock)
        self.acts = SunkWorkActs(books)
        self.house.door.work_acts = self.acts
        key = self.house.add("OPS", "operator", "operator", "push", "register")["Authorization"].removeprefix("Bearer ")
        self.settings = settings.model_copy(update={"console_key": SecretStr(key), "console_wait_s": 0.1})
        way_in = httpx.ASGITransport(build(self.house.door), raise_app_exceptions=False)
        self.way_in = WayIn(self.settings, Doors(way_in, others or {}))
