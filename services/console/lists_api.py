"""`/api/v1/{hospitals,vessels,carriers,interchanges,arrivals,messages,health}`: what the pages hold, for programs.

JSON or CSV as query_api.py has it. Most of it is about everybody's, so a key that sees its own only is refused; how well a
sender is understood, and which of its interchanges came again, are told to that sender's own key as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fastapi import Request, Response

from services.console.door import ConsoleDoor
from services.console.pages import Route, parameters
from services.console.query_api import DAYS_MOST, ROWS_MOST, answer_arrow, answer_csv, answer_json, wants_arrow, wants_csv
from services.console.questions import About, Arrivals, Hospital, Interchange, Newest, Questions, Score, Told, Vessel
from services.console.worklist import Given, number, text


@dataclass(frozen=True, slots=True)
class Listed:
    """A list: what it is, its rows' kind, its window in days unless told otherwise (0: none), what it can be narrowed by
    (parameter -> what it means), and how it is asked: now, since, the parameters."""

    summary: str
    row: type[object]
    days: int
    words: Mapping[str, str]
    ask: Callable[[Questions, datetime, datetime, Given], Sequence[object]]
    own: bool = False
    """Whether a sender's own key is told what is about that sender: `carrier` is then its own, whatever is asked."""


_CARRIER: Final = {"carrier": "The sender's code."}

LISTS: Final[Mapping[str, Listed]] = {
    "hospitals": Listed(
        "How each hospital stands, the worst off first; delivered within the window",
        Hospital,
        1,
        {},
        lambda questions, now, since, _: questions.hospitals(now, since, ROWS_MOST),
    ),
    "vessels": Listed(
        "Vessels and flights with open consignments", Vessel, 0, {}, lambda questions, _, __, ___: questions.vessels(ROWS_MOST)
    ),
    "carriers": Listed(
        "How well each sender's messages can be used",
        Score,
        28,
        _CARRIER,
        lambda questions, _, since, given: questions.scores(since, 0, 24, text(given, "carrier"), ROWS_MOST),
        own=True,
    ),
    "interchanges": Listed(
        "X12 and EDIFACT interchanges whose control number was there before: harmless, and their sender may want to know",
        Interchange,
        28,
        _CARRIER,
        lambda questions, _, since, given: questions.interchanges(since, text(given, "carrier"), ROWS_MOST),
        own=True,
    ),
    "arrivals": Listed(
        "Arrivals by carrier and lane: on time, and how wrong the last estimate was",
        Arrivals,
        28,
        _CARRIER,
        lambda questions, _, since, given: questions.arrivals(since, timedelta(), True, text(given, "carrier"), ROWS_MOST),
    ),
    "messages": Listed(
        "What subscribers were told, and what became of it; no addresses",
        Told,
        7,
        {
            "hospital": "About what goes there: its code.",
            "consignment": "About this one.",
            "subscription": "To this subscription.",
            "state": "That came to this: delivered, suppressed, dead, ..., or waits.",
        },
        lambda questions, _, since, given: questions.messages(since, about(given), ROWS_MOST),
    ),
    "health": Listed(
        "The newest of each table of what flows through", Newest, 0, {}, lambda questions, _, __, ___: questions.freshness()
    ),
}
"""Name -> what `/api/v1/NAME` tells."""


def about(given: Given) -> About:
    """Which messages an address asks for. Raises Problem 400."""
    return About(text(given, "hospital"), text(given, "consignment"), text(given, "subscription"), text(given, "state"))


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
            if wants_arrow(request):

                def rows(questions: Questions, now: datetime) -> Sequence[object]:
                    return listed.ask(questions, now, now - timedelta(days=days), given)

                return await answer_arrow(request, self._door, reader, rows)
            as_csv = wants_csv(request)

            def asking(questions: Questions) -> Response:
                now = questions.as_of() or self._door.clock.now()
                rows = listed.ask(questions, now, now - timedelta(days=days), given)
                return answer_csv(request, rows, name) if as_csv else answer_json(request, {"as_of": now, "rows": rows})

            return await self._door.ask(asking)

        return told


__all__ = ["LISTS", "Listed", "Lists", "about"]
