"""The addresses for people: HTML, server-rendered, readable without JavaScript. GET changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from fastapi import Request, Response

from services.console import frame, today, worklist
from services.console.door import ConsoleDoor
from services.console.frame import Freshness, Viewer
from services.console.gate import KINDS, Problem
from services.console.present import environment
from services.console.questions import DELAY_KINDS, Questions
from services.console.worklist import Wanted, Worklist

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


def parameters(request: Request) -> Mapping[str, Sequence[str]]:
    """The address's parameters, each with all its values."""
    return {name: request.query_params.getlist(name) for name in request.query_params}


class Pages:
    """The addresses for people."""

    def __init__(self, door: ConsoleDoor) -> None:
        self._door = door

    def routes(self) -> Sequence[Route]:
        """Method, path, endpoint."""
        return (
            ("GET", "/", self.today),
            ("GET", "/delayed", self.delayed),
            ("GET", "/consignments", self.consignments),
        )

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

    async def delayed(self, request: Request) -> Response:
        return await self._worklist(request, "delayed", "Delayed", DELAY_KINDS)

    async def consignments(self, request: Request) -> Response:
        return await self._worklist(request, "consignments", "Consignments", ())

    async def _worklist(self, request: Request, name: str, title: str, kinds: tuple[str, ...]) -> Response:
        viewer = self.viewer(request)

        def asking(questions: Questions) -> tuple[Wanted, Worklist, datetime | None]:
            as_of = questions.as_of()
            now = as_of or self._door.clock.now()
            view = worklist.read(parameters(request), now, viewer.zone, kinds)
            return view, worklist.gather(questions, view, now), as_of

        view, found, as_of = await self._door.ask(asking)
        return self.page(request, name, title, viewer, as_of, "worklist", view=view, found=found, **worklist.WORDS)

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
        self,
        request: Request,
        name: str,
        title: str,
        viewer: Viewer,
        as_of: datetime | None,
        template: str | None = None,
        **values: object,
    ) -> Response:
        """Render templates/TEMPLATE.html (NAME.html) in its frame; `name`: which page of the navigation it is."""
        fresh = frame.freshness(as_of, self._door.clock.now())
        now = as_of or self._door.clock.now()
        return self._render(name, template or name, title, viewer, fresh, now=now, path=request.url.path, **values)

    def refusal(self, problem: Problem, viewer: Viewer | None = None) -> Response:
        """A page for what went wrong; it asks nothing."""
        viewer = viewer or Viewer("", "viewer", "")
        fresh = frame.freshness(None, self._door.clock.now())
        told = {"title": KINDS[problem.kind][1], "text": problem.detail, "status": problem.status}
        answer = self._render("", "problem", told["title"], viewer, fresh, problem=told, path="", now=self._door.clock.now())
        answer.status_code = problem.status
        answer.headers.update(problem.response_headers())
        return answer

    def _render(self, name: str, template: str, title: object, viewer: Viewer, fresh: Freshness, **values: object) -> Response:
        text = (
            environment()
            .get_template(f"{template}.html")
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
