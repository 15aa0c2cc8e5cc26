"""`/subscriptions`, `/mailbox`, `/messages/why`: what the alerts know and ClickHouse does not (docs/decisions/0049).

Who asked for what is read from the alerts' own door, under the operator's key; addresses are left out before anything is made
of the answer. Why something never became a message, and what the demo's mailbox holds, are told by the verbs that know it
(`lovla explain`, `lovla mailbox`), run as processes, one at a time, as letters.py does it. The mailbox holds addresses and
whole messages: it is the local stack's, and is there in demo mode alone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from fastapi import Request, Response

from services.console import verbs, worklist
from services.console.door import ConsoleDoor
from services.console.frame import query
from services.console.gate import Problem
from services.console.pages import Pages, Route, parameters
from services.console.reports import Cell, Column, Report, Table, words_of

VERB_S: Final = 30.0
BUSY_S: Final = 5.0
MOST: Final = 500

Verb = Callable[[Sequence[str]], Awaitable[list[dict[str, Any]]]]
"""The words after `lovla` -> the lines that it said. Raises Problem with its own sentence."""


async def run_verb(words: Sequence[str]) -> list[dict[str, Any]]:
    """Run it."""
    try:
        said = await verbs.run(words, VERB_S)
    except TimeoutError:
        raise Problem("not-ready", f"`lovla {words[0]}` gave no answer within {VERB_S:.0f} s.", retry_after_s=BUSY_S) from None
    if said.code and not said.lines:  # `lovla status` says what does not serve, and ends with 1
        raise Problem("not-found", said.complaint or f"`lovla {words[0]}` could not tell.")
    return [json.loads(line) for line in said.lines]


class VerbsPage:
    """Their addresses."""

    def __init__(self, door: ConsoleDoor, pages: Pages, verb: Verb = run_verb) -> None:
        self._door, self._pages, self._verb = door, pages, verb
        self._running = asyncio.Lock()
        self._demo = door.settings.console_demo
        pages.beside |= {"subscriptions", *(["mailbox"] if self._demo else [])}

    def routes(self) -> Sequence[Route]:
        """Method, path, endpoint."""
        return (
            ("GET", "/subscriptions", self.subscriptions),
            ("GET", "/messages/why", self.why),
            *([("GET", "/mailbox", self.mailbox)] if self._demo else []),
        )

    async def subscriptions(self, request: Request) -> Response:
        viewer = self._pages.viewer(request)
        as_of = await self._door.ask(lambda questions: questions.as_of())
        told = await self._door.way_in.subscriptions(MOST)
        return self._pages.page(request, "subscriptions", "Subscriptions", viewer, as_of, "report", report=asked_for(told))

    async def mailbox(self, request: Request) -> Response:
        viewer = self._pages.viewer(request)
        as_of = await self._door.ask(lambda questions: questions.as_of())
        folder = str(self._door.settings.state_dir)
        told = await self._alone(["mailbox", "--last", "200", "--state-dir", folder])
        return self._pages.page(request, "mailbox", "Mailbox of the demo", viewer, as_of, "report", report=came(told))

    async def why(self, request: Request) -> Response:
        """`?subscription=&consignment=`: each change of it, and the rule that held it back or the message that it became."""
        viewer, given = self._pages.viewer(request), parameters(request)
        whom, about = worklist.text(given, "subscription"), worklist.text(given, "consignment")
        for name, value in (("subscription", whom), ("consignment", about)):
            if value.startswith("-"):
                raise Problem("bad-parameter", f"{name} is an id.")
        as_of = await self._door.ask(lambda questions: questions.as_of())
        told = await self._alone(["explain", about, "--for", whom]) if whom and about else []
        report = why_not(told, whom, about)
        return self._pages.page(request, "messages", "Why, or why not", viewer, as_of, "report", report=report)

    async def _alone(self, words: Sequence[str]) -> list[dict[str, Any]]:
        if self._running.locked():
            raise Problem("not-ready", "Somebody else asks this just now; ask again in a moment.", retry_after_s=BUSY_S)
        async with self._running:
            return await self._verb(words)


def asked_for(told: Sequence[Mapping[str, Any]]) -> Report:
    """Who asked to be told what: no addresses."""
    rows = [
        (
            Cell(
                one["subscription"], query("/messages", {"subscription": one["subscription"]}), note=str(one.get("label") or "")
            ),
            Cell(one.get("owner") or "public page"),
            Cell(one["channel"]),
            Cell(_filters(one.get("filters") or {})),
            Cell(one.get("digest", "immediate"), note=_quiet(one)),
            Cell(one["state"], bad=bool(one.get("suppressed")), note=_unless(one["state"], one.get("suppressed"))),
            Cell(_time(one.get("confirmed_at"))),
            Cell("why, or why not", query("/messages/why", {"subscription": one["subscription"]})),
        )
        for one in told
    ]
    columns = (
        Column("subscription", "Subscription", hint="what it was told"),
        Column("owner", "Made by"),
        Column("channel", "By", "code"),
        Column("wants", "Wants to know"),
        Column("digest", "How often", "code"),
        Column("state", "State", "code"),
        Column("confirmed", "Agreed", "time"),
        Column("why", "What it was not told"),
    )
    intro = "Who asked to be told what. Addresses stay with the alerts: `lovla subscriptions list`."
    table = Table("subscriptions", "Subscriptions", columns, rows, "Nobody asked to be told anything.", len(rows) >= MOST)
    return Report(intro, [table], {})


def _filters(given: Mapping[str, Any]) -> str:
    """`{"tiers": [1, 2], "severity": "major"}` -> `tiers 1, 2; severity major`."""
    said = []
    for name, value in given.items():
        if value not in (None, "", [], {}, False):
            told = ", ".join(map(str, value)) if isinstance(value, list) else "" if value is True else str(value)
            said.append(f"{words_of(name)} {words_of(told)}".strip())
    return "; ".join(said) or "everything that it may see"


def _unless(said: str, more: object) -> str:
    """What there is to add to what is said already."""
    return "" if more in (None, said) else words_of(str(more))


def _quiet(one: Mapping[str, Any]) -> str:
    quiet = one.get("quiet")
    return f"quiet {quiet[0]} to {quiet[1]}, {one.get('zone', '')}" if quiet else ""


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(str(text)) if text else None


def came(told: Sequence[Mapping[str, Any]]) -> Report:
    """What the local stack's mail and SMS servers took, the newest first."""
    rows = [
        (
            Cell(_time(one.get("at")), note=f"no {one.get('number')}"),
            Cell(one.get("kind"), note=""),
            Cell(one.get("sender") if one.get("kind") == "sms_in" else one.get("to")),
            Cell(one.get("subject") or one.get("text")),
            Cell(one.get("text") if one.get("subject") else ""),
        )
        for one in reversed(told)
    ]
    columns = (
        Column("at", "Came", "time"),
        Column("kind", "What", "code"),
        Column("whom", "To, or from"),
        Column("says", "Says"),
        Column("text", "In full"),
    )
    intro = (
        "What the demo's own mail and SMS servers took: nothing left this machine. `lovla mailbox show NO` prints one whole."
    )
    return Report(intro, [Table("mailbox", "Mailbox", columns, rows, "Nothing has been sent yet.")], {})


def why_not(told: Sequence[Mapping[str, Any]], subscription: str, consignment: str) -> Report:
    """Each change, and what became of it for one subscription."""
    rows = [
        (
            Cell(_time(one.get("at"))),
            Cell(one.get("what"), bad=one.get("what") in ("held", "untold")),
            Cell(one.get("text")),
            Cell(one.get("where")),
        )
        for one in told
    ]
    columns = (Column("at", "When", "time"), Column("what", "What", "code"), Column("text", "Why"), Column("where", "Where"))
    intro = "Each change of a consignment, and the rule that held it back from a subscription, as the subscription is now."
    empty = (
        "Nothing of it was due to this subscription."
        if subscription and consignment
        else "Say which subscription, and which consignment."
    )
    table = Table("why", "What became of each change", columns, rows, empty)
    return Report(intro, [table], {"subscription": subscription, "consignment": consignment})
