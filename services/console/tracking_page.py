"""`/t/{token}`: one consignment for who has a link to it; `/h/{token}`: what is on its way to one hospital, for the same.

No login, no script, little data; GET changes nothing. A planner makes a hospital's link on its page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from fastapi import Request, Response

from schemas.journey_v1 import Journey
from services.console.acting import to
from services.console.acts import Outcome
from services.console.door import ConsoleDoor
from services.console.entry import host_of
from services.console.gate import Problem
from services.console.present import environment
from services.console.questions import Place, Questions
from services.console.render import known_zone
from services.console.today import InboundDay, by_day
from services.console.tracking import GOOD_FOR, HOSPITAL, BadToken, opened, token, tracked
from services.runtime import logs

log = logs.get("console")

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address is the credential
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}
REQUESTS_S, BURST = 1.0, 30.0
"""Of one address; a page is one request, and reloads itself never."""
OLD: Final = timedelta(minutes=15)
AHEAD: Final = timedelta(days=30)


class TrackingPage:
    """The address for who has a link."""

    def __init__(self, door: ConsoleDoor) -> None:
        self._door = door

    def routes(self) -> Sequence[tuple[str, str, Callable[..., Awaitable[Response]]]]:
        """Method, path, endpoint."""
        return (
            ("GET", "/t/{token}", self.shown),
            ("GET", "/h/{token}", self.hospital),
            ("POST", "/hospitals/{facility:path}/share", self.share),
        )

    async def shown(self, request: Request, token: str) -> Response:
        """The consignment of the token, and nothing about any other."""
        door, settings = self._door, self._door.settings
        try:
            door.entry.count("link", host_of(request), REQUESTS_S, BURST)
            consignment, until = opened(settings.secret_key.get_secret_value().encode(), token, door.clock.now())
        except Problem as problem:
            return self._page({"refusal": problem.detail}, problem.status, problem.response_headers())
        except BadToken as bad:
            return self._page({"refusal": str(bad)}, 404)

        def asking(questions: Questions) -> tuple[Journey | None, datetime | None, str]:
            journey = questions.show(consignment)
            facility = journey.declaration.route.place_of_delivery if journey else None
            place = questions.facilities().get(facility) if facility else None
            return journey, questions.as_of(), place.zone if place else settings.console_zone

        try:
            journey, as_of, zone = await door.ask(asking)
        except Problem as problem:
            text = "This cannot be told just now. Try again in a minute."
            return self._page({"refusal": text}, problem.status, problem.response_headers())
        if journey is None:
            return self._page({"refusal": "Nothing is known of this consignment any more."}, 404)
        now = as_of or door.clock.now()
        return self._page(
            {
                "found": tracked(journey, now, known_zone(zone)),
                "zone": known_zone(zone),
                "until": until,
                "as_of": as_of if as_of is None or door.clock.now() - as_of > OLD else None,
                "is_old": as_of is None or door.clock.now() - as_of > OLD,
                "subscribe": f"{settings.subscribe_url}?consignments={quote(consignment, safe='')}"
                if settings.public_page
                else "",
            }
        )

    async def hospital(self, request: Request, token: str) -> Response:
        """What is on its way to the hospital of the token: goods by day, and nothing of who brings them."""
        door, settings = self._door, self._door.settings
        try:
            door.entry.count("link", host_of(request), REQUESTS_S, BURST)
            facility, until = opened(settings.secret_key.get_secret_value().encode(), token, door.clock.now(), HOSPITAL)
        except Problem as problem:
            return self._page({"refusal": problem.detail}, problem.status, problem.response_headers(), "shared")
        except BadToken as bad:
            return self._page({"refusal": str(bad)}, 404, template="shared")

        def asking(questions: Questions) -> tuple[datetime | None, Place | None, list[InboundDay]]:
            as_of = questions.as_of()
            now = as_of or door.clock.now()
            return as_of, questions.facilities().get(facility), by_day(questions.inbound(now, now + AHEAD, facility))

        try:
            as_of, place, days = await door.ask(asking)
        except Problem as problem:
            text = "This cannot be told just now. Try again in a minute."
            return self._page({"refusal": text}, problem.status, problem.response_headers(), "shared")
        if place is None:
            return self._page({"refusal": "Nothing is known of this hospital any more."}, 404, template="shared")
        is_old = as_of is None or door.clock.now() - as_of > OLD
        told = {"place": place, "days": days, "zone": known_zone(place.zone), "until": until, "as_of": as_of, "is_old": is_old}
        return self._page(told, template="shared")

    async def share(self, request: Request, facility: str) -> Response:
        """Make the link: it is told once, on the page that it was asked for on."""
        entry, settings = self._door.entry, self._door.settings
        viewer, _ = await entry.acting(request, "planner")
        if await self._door.ask(lambda questions: questions.facilities().get(facility)) is None:
            raise Problem("not-found", "There is no such hospital.")
        until = self._door.clock.now() + GOOD_FOR
        made = token(settings.secret_key.get_secret_value().encode(), facility, until, HOSPITAL)
        sentence = (
            f"Whoever has this link sees what is on its way there, for {GOOD_FOR.days} days: {settings.links_url}/h/{made}"
        )
        log.info("console.shared", facility=facility, by=viewer.name)
        return to(f"/hospitals/{quote(facility)}?did={self._door.board.put(Outcome(viewer.name, 'share', sentence))}")

    def _page(
        self,
        values: Mapping[str, object],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        template: str = "tracking",
    ) -> Response:
        text = environment().get_template(f"{template}.html").render(**{"refusal": ""} | dict(values))
        return Response(text, status, dict(HEADERS) | dict(headers or {}), media_type="text/html")
