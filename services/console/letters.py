"""`/letters/{id}`: a dead letter, the way to its bytes, and a planner's way to have it read again.

Retrying is the way in's own verb, `lovla dead-letters retry`, run as a process: it knows which letters are read again and which
are brought back through the door, and writes who did it. A process is an interpreter and an admin's reading of two topics, so
one runs at a time: who asks meanwhile is told to ask again. As with the other forms (acting.py), a POST leads back to where it
came from, and a form that is sent twice is done once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import Request, Response

from services.console import acts, verbs
from services.console.acting import to
from services.console.door import ConsoleDoor
from services.console.entry import one
from services.console.gate import Problem
from services.console.once import Once
from services.console.pages import Pages, Route
from services.console.questions import Letter, Questions
from services.runtime import logs

log = logs.get("console")

RETRY_S: Final = 60.0
"""The verb reads the letters' topic and the message, and waits until Kafka has what it wrote."""

BUSY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a retry: `text` as the verb says it. Not `well`: nothing was done."""

    well: bool
    text: str


Retry = Callable[[str, str], Awaitable[Outcome]]
"""(letter, who) -> what came of it."""


async def by_verb(letter: str, by: str) -> Outcome:
    """Run the verb."""
    try:
        said = await verbs.run(["dead-letters", "retry", letter, "--by", f"{by} (console)"], RETRY_S)
    except TimeoutError:
        return Outcome(True, f"No answer within {RETRY_S:.0f} s: whether it was done, its state says in a moment.")
    log.info("console.letter_retried", letter=letter, by=by, code=said.code)
    try:
        told = "; ".join(str(json.loads(line)["outcome"]) for line in said.lines)
    except (ValueError, KeyError, TypeError):
        told = ""
    return Outcome(said.code == 0, told or said.complaint or "The verb said nothing.")


class Letters:
    """The addresses of dead letters."""

    def __init__(self, door: ConsoleDoor, pages: Pages, retry: Retry = by_verb) -> None:
        self._door, self._pages, self._retry = door, pages, retry
        self._running = asyncio.Lock()
        self._forms = Once()

    def routes(self) -> Sequence[Route]:
        """Method, path, endpoint."""
        return (
            ("GET", "/letters/{letter}", self.shown),
            ("GET", "/letters/{letter}/retry", self.shown),
            ("POST", "/letters/{letter}/retry", self.retried),
        )

    async def shown(self, request: Request, letter: str) -> Response:
        viewer = self._pages.viewer(request)
        found, as_of = await self._door.ask(lambda questions: (_known(questions, letter), questions.as_of()))
        title = f"Dead letter of {found.sender}"
        return self._pages.page(request, "feeds", title, viewer, as_of, "letter", letter=found, may=viewer.may("planner"))

    async def retried(self, request: Request, letter: str) -> Response:
        """Have it read again; back at its page is said what came of it."""
        viewer, given = await self._door.entry.acting(request, "planner")
        found = await self._door.ask(lambda questions: _known(questions, letter))
        if found.stage != "readers":
            raise Problem("invalid", f"It is no reader's: what the {found.stage} could not take is not read again.")
        key = acts.key_of(one(given, "once"), found.letter_id, viewer.name, viewer.session)
        if key not in self._forms and self._running.locked():
            text = "Another letter is being read again just now, and nothing was done about this one; ask again in a moment."
            raise Problem("not-ready", text, retry_after_s=BUSY_S)
        outcome = await self._forms.answer(key, lambda: self._read_again(found.letter_id, viewer.name))
        return to(f"/letters/{found.letter_id}?did={self._door.board.put(outcome)}")

    async def _read_again(self, letter: str, by: str) -> acts.Outcome:
        async with self._running:
            came = await self._retry(letter, by)
        if came.well:
            return acts.Outcome(by, "letter", came.text)
        return acts.Outcome(by, "letter", "", wrong={"letter": came.text})


def _known(questions: Questions, letter: str) -> Letter:
    """Raises Problem 404."""
    found = questions.dead_letters(letter=letter, limit=1) if letter else []
    if not found:
        raise Problem("not-found", "There is no such dead letter.")
    return found[0]
