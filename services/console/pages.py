"""The addresses for people: HTML, server-rendered, readable without JavaScript. GET changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from fastapi import Request, Response

from services.console import frame, today
from services.console.door import ConsoleDoor
from services.console.frame import Freshness, Viewer
from services.console.gate import KINDS, Problem
from services.console.present import environment
from services.console.questions import Questions

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
}

Route = tuple[str, str, Callable[..., Awaitable[Response]]]


class Pages:
    """The addresses for people."""

    def __init__(self, door: ConsoleDoor) -> None:
        self._door = door

    def routes(self) -> Sequence[Route]:
        """Method, path, endpoint."""
        return (("GET", "/", self.today),)

    @property
    def built(self) -> Sequence[str]:
        """Keys of the pages that there are."""
        paths = {path for method, path, _ in self.routes() if method == "GET"}
        return [key for key, _, href in frame.PAGES if href in paths]

    async def today(self, request: Request) -> Response:
        viewer = self.viewer(request)

        def asking(questions: Questions) -> tuple[today.Today, datetime | None]:
            as_of = questions.as_of()
            return today.gather(questions, as_of or self._door.clock.now(), viewer.zone), as_of

        found, as_of = await self._door.ask(asking)
        return self.page(request, "today", "Today", viewer, as_of, found=found)

    # --- what all pages share

    def viewer(self, request: Request) -> Viewer:
        theme = request.cookies.get("theme", "auto")
        return Viewer(
            name="demo",
            role="planner",
            csrf="",
            demo=True,
            zone_name=request.cookies.get("zone", self._door.settings.console_zone),
            theme=next((one for one in frame.THEMES if one == theme), "auto"),
        )

    def page(
        self, request: Request, name: str, title: str, viewer: Viewer, as_of: datetime | None, **values: object
    ) -> Response:
        """Render templates/NAME.html in its frame."""
        fresh = frame.freshness(as_of, self._door.clock.now())
        now = as_of or self._door.clock.now()
        return self._render(name, title, viewer, fresh, now=now, path=request.url.path, **values)

    def refusal(self, problem: Problem, viewer: Viewer | None = None) -> Response:
        """A page for what went wrong; it asks nothing."""
        viewer = viewer or Viewer("", "viewer", "")
        fresh = frame.freshness(None, self._door.clock.now())
        told = {"title": KINDS[problem.kind][1], "text": problem.detail, "status": problem.status}
        answer = self._render("problem", told["title"], viewer, fresh, problem=told, path="", now=self._door.clock.now())
        answer.status_code = problem.status
        answer.headers.update(problem.response_headers())
        return answer

    def _render(self, name: str, title: object, viewer: Viewer, fresh: Freshness, **values: object) -> Response:
        text = (
            environment()
            .get_template(f"{name}.html")
            .render(
                title=title,
                page=name,
                viewer=viewer,
                zone=viewer.zone,
                theme=viewer.theme,
                nav=frame.navigation(name, self.built),
                freshness=fresh,
                zones=ZONES,
                **values,
            )
        )
        return Response(text, 200, dict(HEADERS), media_type="text/html")


ZONES: Final = (
    "America/Los_Angeles",
    "America/Denver",
    "America/Chicago",
    "America/New_York",
    "UTC",
    "Europe/London",
    "Europe/Berlin",
    "Asia/Shanghai",
    "Asia/Hong_Kong",
    "Asia/Kolkata",
)
