"""What the console's addresses stand on, handed in; and how a failed question becomes the door's refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from services.console.acts import Board
from services.console.arrow import ArrowQuestions, Ask, over_http
from services.console.entry import Entry
from services.console.facts import Facts
from services.console.gate import Place, Problem
from services.console.kept import Kept
from services.console.known import Unknown
from services.console.questions import Questions
from services.console.settings import ConsoleSettings
from services.console.way_in import WayIn
from services.runtime import logs
from services.runtime.clickhouse import ClickHouse, ClickHouseError, OutcomeUnknown
from services.runtime.clock import Clock, SystemClock

T = TypeVar("T")

_RETRY_S = 3.0

log = logs.get("console")


@dataclass
class ConsoleDoor:
    """What the addresses stand on. `clickhouse` is asked in `pool`, one connection a thread; what a page asks at once, in
    `aside`: threads that wait for no other."""

    settings: ConsoleSettings
    clickhouse: ClickHouse
    entry: Entry
    clock: Clock = field(default_factory=SystemClock)
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(6, "questions"))
    aside: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(6, "aside"))
    way_in: WayIn = None  # type: ignore[assignment]  # made of the settings below, unless it is handed in
    board: Board = field(default_factory=Board)
    kept: Kept = None  # type: ignore[assignment]  # made with the clock below, unless it is handed in
    facts: Facts = field(default_factory=Facts)

    held: Callable[[], str | None] = lambda: None
    """Why no message goes out to subscribers, if so (the kill switch)."""

    arrow: Ask = None  # type: ignore[assignment]  # as the reader, unless it is handed in

    def __post_init__(self) -> None:
        if self.arrow is None:
            self.arrow = over_http(self.settings, "reader", self.settings.clickhouse_reader_password)
        if self.way_in is None:
            self.way_in = WayIn(self.settings)
        if self.kept is None:
            self.kept = Kept(self.clock)

    async def beside(self, act: Callable[[], T]) -> T:
        """Do it beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, act)

    async def ask_arrow(self, asking: Callable[[ArrowQuestions], T]) -> T:
        """The same for an answer that is one Arrow stream."""
        return await self._answered(lambda: asking(ArrowQuestions(self.clickhouse, self.arrow, self.kept)))

    async def ask(self, asking: Callable[[Questions], T], kept: bool = False) -> T:
        """Ask beside the event loop; `kept`: what takes long may be told as it was a while ago. Raises Problem 400 where nobody
        knows what a word of it is about, 503 where ClickHouse has no answer."""
        shared = self.kept if kept else None
        return await self._answered(
            lambda: asking(Questions(self.clickhouse, shared, self.aside, self.clock, self.facts, words=self.kept))
        )

    async def _answered(self, act: Callable[[], T]) -> T:
        try:
            return await self.beside(act)
        except Unknown as error:
            wrong = Place(where=error.parameter, code="unknown_value", text=error.sentence)
            raise Problem("bad-parameter", error.sentence, errors=[wrong]) from error
        except OutcomeUnknown as error:
            log.warning("console.no_answer", error=str(error))
            raise Problem("not-ready", "ClickHouse gave no answer in time; try again.", retry_after_s=_RETRY_S) from error
        except ClickHouseError as error:
            log.error("console.refused", error=str(error), code=error.code)
            raise Problem("not-ready", "ClickHouse cannot answer this now; see Health.", retry_after_s=_RETRY_S) from error
