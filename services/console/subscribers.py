"""Who a subscription is, in the words of the page of subscriptions: its label, who made it and by which channel; no address.

ClickHouse knows ids alone (addresses stay with the alerts), so names are asked of the alerts' own door, kept for FRESH_S and
shared by all who look. A page waits WAIT_S for them the first time, and tells ids where nobody answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from services.console.gate import Problem
from services.console.reports import Cell, Report, Table
from services.runtime import logs
from services.runtime.clock import Clock

log = logs.get("console")

FRESH_S: Final = 60.0
WAIT_S: Final = 1.0
PAGE: Final = 500
PAGES_MOST: Final = 20

Ask = Callable[[int, str], Awaitable[list[dict[str, Any]]]]
"""How many, behind which id -> subscriptions in the order of their ids. Raises Problem."""


class Subscribers:
    """What is known of them. Of one event loop."""

    def __init__(self, ask: Ask, clock: Clock, wait_s: float = WAIT_S) -> None:
        self._ask, self._clock, self._wait_s = ask, clock, wait_s
        self._known: Mapping[str, tuple[str, str]] = {}
        self._asked_s: float | None = None
        self._asking: asyncio.Task[None] | None = None

    async def named(self, report: Report) -> Report:
        """The same, with who it is beside each subscription's id."""
        return replace(report, tables=[await self.named_in(table) for table in report.tables])

    async def named_in(self, table: Table) -> Table:
        """The same of one table; where it tells of none, nobody is asked."""
        return _named(table, await self._names()) if table.rows and _place(table) is not None else table

    async def _names(self) -> Mapping[str, tuple[str, str]]:
        now_s = self._clock.monotonic()
        if self._asked_s is None or now_s - self._asked_s > FRESH_S:
            self._asked_s = now_s
            self._asking = asyncio.get_running_loop().create_task(self._look())
        if self._asking is not None and not self._known:
            await asyncio.wait({self._asking}, timeout=self._wait_s)
        return self._known

    async def _look(self) -> None:
        found: dict[str, tuple[str, str]] = {}
        after = ""
        try:
            for _ in range(PAGES_MOST):
                page = await self._ask(PAGE, after)
                for one in page:
                    made = f"{one.get('owner') or 'public page'}, {one['channel']}"
                    found[one["subscription"]] = str(one.get("label") or ""), made
                if len(page) < PAGE:
                    break
                after = page[-1]["subscription"]
        except Problem as problem:
            log.warning("console.subscribers", text=problem.detail)
            return
        self._known = found


def _named(table: Table, known: Mapping[str, tuple[str, str]]) -> Table:
    """A table's column `subscription`, as it stands in told_table, by name; without a name the id stays."""
    place = _place(table)
    if place is None:
        return table

    def cell(told: Cell) -> Cell:
        label, made = known.get(str(told.value), ("", ""))
        if not made:
            return told
        return replace(told, value=label, note=f"{told.value}, {made}") if label else replace(told, note=made)

    return replace(table, rows=[(*row[:place], cell(row[place]), *row[place + 1 :]) for row in table.rows])


def _place(table: Table) -> int | None:
    """Of the column `subscription`."""
    return next((place for place, column in enumerate(table.columns) if column.name == "subscription"), None)
