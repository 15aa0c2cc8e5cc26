"""`/api/v1/hospitals` and the other LISTS: what the pages hold, for programs.

JSON or CSV as query_api.py has it. Most of it is about everybody's, so a key that sees its own only is refused; how well a
sender is understood, and which of its interchanges came again, are told to that sender's own key as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from fastapi import Request, Response

from services.console import known, paging
from services.console.door import ConsoleDoor
from services.console.known import Narrowing, Said
from services.console.pages import Route, parameters
from services.console.query_api import DAYS_MOST, ROWS_MOST, Part, answer_list
from services.console.questions import (
    Arrivals,
    Claimed,
    Eta,
    Hospital,
    Interchange,
    Letter,
    Newest,
    Outs,
    Questions,
    Score,
    Stand,
    Told,
    Unmapped,
    Vessel,
    WorkDone,
)
from services.console.reports import messages_about
from services.console.worklist import Given, number, text


@dataclass(frozen=True, slots=True)
class Listed:
    """A list: what it is, its rows' kind, its window in days unless told otherwise (0: none), what it can be narrowed by
    (parameter -> what it means), and how it is asked: now, since, the parameters, which part. `by`: which of these parameters
    name what may be unknown."""

    summary: str
    row: type[object]
    days: int
    words: Mapping[str, str]
    ask: Callable[[Questions, datetime, datetime, Given, Part], Sequence[object]]
    own: bool = False
    """Whether a sender's own key is told what is about that sender: `carrier` is then its own, whatever is asked."""
    needed: bool = False
    """Whether `words` must be said: without them there is nothing to tell."""
    by: Mapping[str, Narrowing] = field(default_factory=dict)
    stand: Callable[[Any], Stand] | None = None
    """Where a row stands, of a list that grows and tells the newest first: it is read by `rows` and `cursor`. None: it is as
    long as a register, and comes whole."""


_CARRIER: Final = {"carrier": "The sender's code."}
_BY: Final[Mapping[str, Narrowing]] = {"carrier": "carrier", "terminal": "terminal", "consignment": "consignment"}

LISTS: Final[Mapping[str, Listed]] = {
    "hospitals": Listed(
        "How each hospital stands, the worst off first; delivered within the window",
        Hospital,
        1,
        {},
        lambda questions, now, since, _, __: questions.hospitals(now, since, ROWS_MOST),
    ),
    "vessels": Listed(
        "Vessels and flights with open consignments",
        Vessel,
        0,
        {"vessel": "A part of the vessel's name, or of the flight."},
        lambda questions, _, __, given, ___: questions.vessels(ROWS_MOST, text(given, "vessel")),
        by={"vessel": "vessel"},
    ),
    "etas": Listed(
        "When a vessel or flight arrives, by who says so",
        Eta,
        0,
        {"vessel": "Its name, or the flight, all of it."},
        lambda questions, _, __, given, ___: questions.etas(text(given, "vessel")),
        needed=True,
        by={"vessel": "ship"},
    ),
    "gate-outs": Listed(
        "Units that left each terminal, hour by hour, and how long they had stood there",
        Outs,
        3,
        {"terminal": "The terminal's code."},
        lambda questions, now, since, given, _: questions.outs(now, since, timedelta(hours=1), text(given, "terminal")),
    ),
    "carriers": Listed(
        "How well each sender's messages can be used",
        Score,
        28,
        _CARRIER,
        lambda questions, _, since, given, __: questions.scores(since, 0, 24, text(given, "carrier"), ROWS_MOST),
        own=True,
    ),
    "interchanges": Listed(
        "X12 and EDIFACT interchanges whose control number was there before: harmless, and their sender may want to know",
        Interchange,
        28,
        _CARRIER,
        lambda questions, _, since, given, __: questions.interchanges(since, text(given, "carrier"), ROWS_MOST),
        own=True,
        stand=paging.of_interchange,
    ),
    "arrivals": Listed(
        "Arrivals by carrier and lane: on time, and how wrong the last estimate was",
        Arrivals,
        28,
        _CARRIER,
        lambda questions, _, since, given, __: questions.arrivals(since, timedelta(), True, text(given, "carrier"), ROWS_MOST),
    ),
    "unmapped": Listed(
        "Codes that stand in no map, the commonest first, each with the newest event that says it",
        Unmapped,
        7,
        _CARRIER,
        lambda questions, _, since, given, __: questions.unmapped(since, text(given, "carrier"), ROWS_MOST),
        own=True,
    ),
    "claims": Listed(
        "Words of senders without standing: they move nothing",
        Claimed,
        0,
        _CARRIER,
        lambda questions, _, __, given, ___: questions.claims(text(given, "carrier"), ROWS_MOST),
    ),
    "dead-letters": Listed(
        "What could not be read, linked in time or stored",
        Letter,
        0,
        _CARRIER | {"reason": "For this reason, as a code."},
        lambda questions, _, __, given, part: questions.dead_letters(
            text(given, "carrier"), text(given, "reason"), ROWS_MOST if part.as_csv else part.rows, after=part.after
        ),
        stand=paging.of_letter,
    ),
    "acts": Listed(
        "What people did about a consignment, and who undid it",
        WorkDone,
        0,
        {"consignment": "Its id."},
        lambda questions, _, __, given, ___: questions.work_done(text(given, "consignment")),
        needed=True,
        stand=paging.of_act,
    ),
    "messages": Listed(
        "What subscribers were told, and what became of it; no addresses",
        Told,
        7,
        {
            "hospital": "About what goes there: its code.",
            "consignment": "About this one.",
            "subscription": "To this subscription.",
            "state": "That came to this; waits: nobody has tried.",
        },
        lambda questions, _, since, given, part: questions.messages(since, messages_about(given), part.rows, part.after),
        by={"hospital": "facility"},
        stand=paging.of_message,
    ),
    "health": Listed(
        "The newest of each table of what flows through", Newest, 0, {}, lambda questions, *_: questions.freshness()
    ),
}
"""Name -> what `/api/v1/NAME` tells."""


class Lists:
    """Their addresses."""

    def __init__(self, door: ConsoleDoor) -> None:
        self._door = door

    def routes(self) -> Sequence[Route]:
        """Method, path, endpoint."""
        return [("GET", f"/api/v1/{name}", self._listed(name, listed)) for name, listed in LISTS.items()]

    def _listed(self, name: str, listed: Listed) -> Callable[[Request], Awaitable[Response]]:
        async def told(request: Request) -> Response:
            reader, given = self._door.entry.reader(request), parameters(request)
            if not listed.own:
                reader.need_everything()
            elif reader.owner:
                given = {**given, "carrier": [reader.owner]}
            days = number(given, "days", listed.days, 1, DAYS_MOST) if listed.days else 0

            by: Mapping[str, Narrowing] = {} if reader.owner else {**_BY, **listed.by}
            said = {by[name]: text(given, name) for name in listed.words if name in by}

            def asking(questions: Questions, now: datetime, part: Part) -> Sequence[object]:
                def ask(said: Said) -> Sequence[object]:
                    meant = {name: [said[by[name]]] for name in listed.words if name in by}
                    return listed.ask(questions, now, now - timedelta(days=days), {**given, **meant}, part)

                return known.asked(questions, said, ask)

            return await answer_list(request, self._door, reader, name, asking, listed.stand)

        return told


__all__ = ["LISTS", "Listed", "Lists"]
