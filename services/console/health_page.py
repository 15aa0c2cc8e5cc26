"""`/health`: what serves, what is wrong and where it says what to do, how far behind, how fresh what is asked here is.

Services, lag, audit and conditions are what `lovla status` tells of the stack on this machine. One look serves whoever loads
the page within FRESH_S of its beginning; who comes later waits for a new one, all for the same, WAIT_S at most. Where none
came by then, the page tells the last one, of when it is, and that nothing answers. Where a Prometheus is named
(LOVLA_CONSOLE_PROMETHEUS), the rules that fire there are told as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx
from fastapi import Request, Response

from services.console import reports
from services.console.door import ConsoleDoor
from services.console.gate import Problem
from services.console.pages import Pages, Route
from services.console.questions import Questions
from services.console.reports import Cell, Column, Report, Table
from services.console.verbs_page import Verb
from services.runtime import logs

log = logs.get("console")

FRESH_S: Final = 5.0
"""A look is a process of a second's work: one in so long, however many load the page."""
WAIT_S: Final = 6.0
"""`lovla status` gives a service that hangs 3 s, and Kafka 5 s beside them."""
RULES_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Stands:
    """What `lovla status` said last: `parts`, `lags`, `conditions` and `messages_held` as it has them. `at`: when it was asked;
    `missing`: why it said nothing."""

    at: datetime
    told: Mapping[str, Any] = field(default_factory=dict)
    missing: str = ""


class HealthPage:
    """Its address."""

    def __init__(
        self,
        door: ConsoleDoor,
        pages: Pages,
        verb: Verb,
        transport: httpx.AsyncBaseTransport | None = None,
        wait_s: float = WAIT_S,
    ) -> None:
        self._door, self._pages, self._verb, self._transport, self._wait_s = door, pages, verb, transport, wait_s
        self._known: Stands | None = None
        self._asking: asyncio.Task[None] | None = None
        pages.beside |= {"health"}

    def routes(self) -> Sequence[Route]:
        """Method, path, endpoint."""
        return (("GET", "/health", self.shown),)

    async def shown(self, request: Request) -> Response:
        viewer = self._pages.viewer(request)

        def asking(questions: Questions) -> tuple[Report, datetime | None]:
            as_of = questions.as_of()
            return reports.health(questions, {}, as_of or self._door.clock.now()), as_of

        async def fresh_or_not() -> tuple[Report, datetime | None]:
            try:
                return await self._door.ask(asking)
            except Problem as problem:  # who does not answer is what this page is for
                return reports.no_freshness(problem.detail), None

        (known, is_new), rules, (fresh, as_of) = await asyncio.gather(self._stand(), self._firing(), fresh_or_not())
        intro = f"{fresh.intro} {_when(known, is_new, viewer.zone, self._wait_s)}"
        report = replace(fresh, intro=intro, tables=[*stands(known), *rules, *fresh.tables])
        return self._pages.page(request, "health", "Health", viewer, as_of, "report", report=report)

    async def _stand(self) -> tuple[Stands | None, bool]:
        """How it stands, and whether that is a look of FRESH_S at most."""
        if not self._is_fresh():
            if self._asking is None or self._asking.done():
                self._asking = asyncio.get_running_loop().create_task(self._look())
            looked, _ = await asyncio.wait({self._asking}, timeout=self._wait_s)
            return self._known, bool(looked)
        return self._known, True

    def _is_fresh(self) -> bool:
        return self._known is not None and (self._door.clock.now() - self._known.at).total_seconds() <= FRESH_S

    async def _look(self) -> None:
        at = self._door.clock.now()
        try:
            told = await self._verb(["status", "--state-dir", str(self._door.settings.state_dir)])
            self._known = Stands(at, told[-1] if told else {}, "" if told else "It said nothing.")
        except Problem as problem:
            self._known = Stands(at, missing=problem.detail)
        except Exception as error:  # a fault of ours: the table of before is not what it found
            log.exception("console.health")
            self._known = Stands(at, missing=f"It could not be asked: {type(error).__name__}.")

    async def _firing(self) -> Sequence[Table]:
        """The rules that fire, where there is a Prometheus to ask."""
        address = self._door.settings.console_prometheus
        if address is None:
            return ()
        try:
            async with httpx.AsyncClient(transport=self._transport, timeout=RULES_S, trust_env=False) as client:
                answer = (await client.get(f"{address}/api/v1/alerts")).raise_for_status().json()
            return (firing(answer["data"]["alerts"]),)
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("console.prometheus", error=type(error).__name__)
            return (replace(firing(()), empty="Prometheus gave no answer: which rules fire is not known."),)


def _when(known: Stands | None, is_new: bool, zone: ZoneInfo, waited_s: float) -> str:
    """Of when what stands there about services is."""
    unanswered = "" if is_new else f" `lovla status` was asked anew and gave no answer within {waited_s:.0f} s."
    at = f"Services as they were at {known.at.astimezone(zone):%H:%M:%S}." if known else ""
    return f"{at}{unanswered}".strip()


def stands(known: Stands | None) -> Sequence[Table]:
    """What is wrong, who serves, and how far behind they are."""
    told = known.told if known else {}
    wrong = [(Cell(one["what"], bad=True), Cell(one["page"])) for one in told.get("conditions", ())]
    if held := told.get("messages_held"):
        wrong.insert(0, (Cell(held, bad=True), Cell("docs/operations/alerts-paused.md")))
    parts = [
        (
            Cell(one["name"]),
            Cell(one["state"], bad=one["state"] != "running", note=str(one.get("reason") or "")),
            Cell(_time(one.get("since"))),
            Cell(", ".join(f"{port}" for port in one.get("ports", {}).values())),
        )
        for one in told.get("parts", ())
    ]
    lags = [(Cell(one["group"]), Cell(one["topic"]), Cell(one["behind"])) for one in told.get("lags", ())]
    nothing = (
        "Nothing is wrong that this machine can see, the audit's findings among it."
        if told
        else f"It is not known here: {known.missing}"
        if known
        else "It is not known yet; load this page again in a moment."
    )
    unknown = "Not known here: `lovla status` on the machine that runs them."
    return (
        Table("wrong", "What is wrong", (Column("what", "What"), Column("page", "What to do")), wrong, nothing),
        Table(
            "services",
            "Services",
            (Column("name", "Service"), Column("state", "State"), Column("since", "Since", "time"), Column("ports", "Ports")),
            parts,
            unknown,
        ),
        Table(
            "behind",
            "Behind",
            (Column("group", "Who"), Column("topic", "Of what"), Column("behind", "Records behind", "number")),
            lags,
            unknown,
        ),
    )


def firing(alerts: Sequence[Mapping[str, Any]]) -> Table:
    """Rules that fire, as Prometheus tells them (HTTP API, "Alerts"); those that wait for their time are told as pending."""
    rows = [
        (
            Cell(one["labels"].get("alertname"), bad=one["labels"].get("severity") == "page"),
            Cell(one.get("state"), note=one["labels"].get("severity", "")),
            Cell(_time(one.get("activeAt"))),
            Cell(one.get("annotations", {}).get("summary", "")),
            Cell(f"docs/operations/{one['labels']['runbook']}.md" if "runbook" in one["labels"] else ""),
        )
        for one in sorted(alerts, key=lambda one: (one.get("state") != "firing", one["labels"].get("alertname", "")))
    ]
    columns = (
        Column("rule", "Rule"),
        Column("state", "State"),
        Column("since", "Since", "time"),
        Column("summary", "What it means"),
        Column("page", "What to do"),
    )
    return Table("rules", "Rules that fire", columns, rows, "No rule fires.")


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(str(text)) if text else None
