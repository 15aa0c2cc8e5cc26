"""The addresses for people: HTML, server-rendered, readable without JavaScript. GET changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import Request, Response

from schemas.base import EARLIEST, LATEST
from services.console import frame, live, oidc, receiving, reports, today, worklist
from services.console.consignment import Message, Story, known_at, message_at, message_behind, moments, names_event, tell
from services.console.door import ConsoleDoor
from services.console.entry import TRIES, TRIES_S, back_to, host_of, one
from services.console.frame import Freshness, Viewer
from services.console.gate import KINDS, Problem
from services.console.people import Locked, PeopleError, WrongPassword
from services.console.present import environment
from services.console.questions import DELAY_KINDS, Questions, WorkDone
from services.console.render import known_zone
from services.console.reports import Report
from services.console.subscribers import Subscribers
from services.console.worklist import Wanted, Worklist
from services.runtime import logs, metrics

log = logs.get("console")

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

REPORTS: Final[Mapping[str, tuple[str, reports.Asking]]] = {
    "hospitals": ("Hospitals", reports.hospitals),
    "vessels": ("Vessels and flights", reports.vessels),
    "terminals": ("Terminals", reports.terminals),
    "carriers": ("Carriers", reports.carriers),
    "feeds": ("Feeds", reports.feeds),
    "unmatched": ("Unmatched and claims", reports.unmatched),
    "messages": ("Messages", reports.messages),
}
"""Pages that are tables: key, title, and what is asked."""

T = TypeVar("T")

YEAR_S: Final = 365 * 24 * 3_600

Route = tuple[str, str, Callable[..., Awaitable[Response]]]


def parameters(request: Request) -> Mapping[str, Sequence[str]]:
    """The address's parameters, each with all its values."""
    return {name: request.query_params.getlist(name) for name in request.query_params}


def moment_in(text: str, zone: ZoneInfo) -> datetime | None:
    """A time as forms (local) or people (with an offset) give it; None where there is none. Raises Problem 400."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Problem("bad-parameter", "at is a time, for example 2020-04-11T09:40.") from error
    moment = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
    if not EARLIEST <= moment < LATEST:
        raise Problem("bad-parameter", "at lies between 1970 and 2200.")
    return moment


def local_minute(moment: datetime) -> str:
    """As a form's field for a time has it."""
    return f"{moment:%Y-%m-%dT%H:%M}"


STOPS_MOST: Final = 200
"""Of the as-of slider, the newest."""


class Pages:
    """The addresses for people."""

    def __init__(self, door: ConsoleDoor) -> None:
        self._door = door
        self._subscribers = Subscribers(lambda most, after: door.way_in.subscriptions(most, after), door.clock)
        self.beside: set[str] = set()
        """Keys of the pages that others serve."""
        self._provider = oidc.Provider(door.settings) if door.settings.oidc_issuer else None

    def routes(self) -> Sequence[Route]:
        """Method, path, endpoint."""
        return (
            ("GET", "/", self.today),
            ("GET", "/delayed", self.delayed),
            ("GET", "/consignments", self.consignments),
            ("GET", "/hospitals/{facility:path}", self.hospital),
            ("GET", "/messages/{partition:int}/{offset:int}", self.raw),
            *((("GET", f"/{name}", self._report(name, title, asking))) for name, (title, asking) in REPORTS.items()),
            ("GET", "/sign-in", self.sign_in_shown),
            ("POST", "/sign-in", self.sign_in),
            ("POST", "/sign-out", self.sign_out),
            *(
                [("GET", "/sign-in/oidc", self.go_to_provider), ("GET", oidc.CALLBACK, self.back_from_provider)]
                if self._provider
                else []
            ),
            ("POST", "/look", self.look),
            # ids hold slashes: the longer address stands first
            ("GET", "/consignments/{name:path}/events/{event}", self.message),
            ("GET", "/consignments/{name:path}", self.consignment),
        )

    @property
    def built(self) -> Sequence[str]:
        """Keys of the pages that there are."""
        paths = {path for method, path, _ in self.routes() if method == "GET"}
        return [key for key, _, href in frame.PAGES if href in paths or key in self.beside]

    async def today(self, request: Request) -> Response:
        viewer = self.viewer(request)

        def asking(questions: Questions) -> tuple[today.Today, Mapping[str, datetime], datetime | None]:
            as_of = questions.as_of()
            found = today.gather(questions, as_of or self._door.clock.now(), viewer.zone)
            return found, questions.counted, as_of

        found, counted, as_of = await self._door.ask(asking, kept=True)
        return self.page(request, "today", "Today", viewer, as_of, found=found, counted=counted)

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
            return *worklist.looked_up(questions, view, now, viewer.zone), as_of

        view, found, as_of = await self._door.ask(asking, kept=True)
        return self.page(request, name, title, viewer, as_of, "worklist", view=view, found=found, **worklist.WORDS)

    async def consignment(self, request: Request, name: str) -> Response:
        """`?at=`: what was known then, a local time of the viewer's."""
        viewer = self.viewer(request)
        at = worklist.first(parameters(request), "at")
        moment, done = moment_in(at, viewer.zone), list[WorkDone]()

        def asking(questions: Questions) -> tuple[Story, reports.Table, list[datetime], datetime | None]:
            shown = questions.begin(lambda: questions.show(name))
            work = questions.begin(lambda: questions.work_done(name))
            places = questions.begin(questions.facilities)
            as_of = questions.as_of()
            now = as_of or self._door.clock.now()
            earlier = moment is not None and moment < now
            said = questions.begin(lambda: reports.told_about(questions, name, min(moment or now, now), earlier))
            journey = shown.result()
            if journey is None:
                near = questions.similar(name)
                hint = f" Did you mean {', '.join(near)}?" if near else ""
                raise Problem("not-found", f"No consignment {name[:80]} is known.{hint}")
            if moment is not None and moment < now:
                done.extend(done_by(work.result(), moment))
                story = tell(known_at(journey, moment), places.result(), moment, earlier=True)
                return story, said.result(), moments(journey), as_of
            done.extend(work.result())
            return tell(journey, places.result(), now), said.result(), moments(journey), as_of

        story, told, heard, as_of = await self._door.ask(asking, kept=True)
        told = await self._subscribers.named_in(told)
        local = (moment or as_of or self._door.clock.now()).astimezone(viewer.zone)
        shown: dict[str, object] = {"story": story, "work": done, "told": told, "at_local": local_minute(local)}
        # a minute later: a form's time has no seconds, and what was heard within the minute counts
        stops = [local_minute((one + timedelta(minutes=1)).astimezone(viewer.zone)) for one in heard if one <= (as_of or one)]
        shown["stops"] = list(dict.fromkeys(stops))[-STOPS_MOST:]
        shown["live"] = "" if story.earlier else live.address(self._door.clock.now(), name)
        if story.earlier and moment is not None:
            shown["now"] = moment
        return self.page(request, "consignments", name, viewer, as_of, "consignment", **shown)

    async def message(self, request: Request, name: str, event: str) -> Response:
        """The very bytes behind an event, with the part marked that it was read from."""
        viewer = self.viewer(request)

        def asking(questions: Questions) -> tuple[Message, datetime | None]:
            journey = questions.show(name)
            if journey is None or not names_event(journey, event):
                raise Problem("not-found", "There is no such event of this consignment.")
            return message_behind(questions, event), questions.as_of()

        found, as_of = await self._door.ask(asking)
        title = f"Message of {found.sender}"
        return self.page(request, "consignments", title, viewer, as_of, "message", consignment=name, message=found)

    def _report(self, name: str, title: str, asking: reports.Asking) -> Callable[[Request], Awaitable[Response]]:
        async def report(request: Request) -> Response:
            viewer, given = self.viewer(request), parameters(request)

            def ask(questions: Questions) -> tuple[Report, datetime | None]:
                as_of = questions.as_of()
                now = (as_of or self._door.clock.now()).astimezone(viewer.zone)
                found = reports.looked_up(asking, questions, given, now)
                return replace(found, counted_at=questions.counted_at), as_of

            found, as_of = await self._door.ask(ask, kept=True)
            if name == "messages":
                found = await self._subscribers.named(found)
            return self.page(request, name, title, viewer, as_of, "report", report=found)

        return report

    async def _asked(self, asking: Callable[[Questions, datetime], T], kept: bool = False) -> tuple[T, datetime | None]:
        """The answer, asked at the pipeline's time, and that time; `kept` as in ConsoleDoor.ask."""

        def ask(questions: Questions) -> tuple[T, datetime | None]:
            as_of = questions.as_of()
            return asking(questions, as_of or self._door.clock.now()), as_of

        return await self._door.ask(ask, kept)

    async def hospital(self, request: Request, facility: str) -> Response:
        viewer = self.viewer(request)

        def asking(questions: Questions, now: datetime) -> tuple[Report, str]:
            place = questions.facilities().get(facility)
            if place is None:
                raise Problem("not-found", "There is no such hospital.")
            planner = viewer.may("planner")
            receipts = questions.begin(lambda: receiving.table(questions, facility, now)) if planner else None
            told = reports.hospital(questions, facility, known_zone(place.zone), now)
            if receipts is not None:
                tables = [receipts.result(), *told.tables]
                told = replace(told, tables=tables, share=f"/hospitals/{quote(facility)}/share")
            return replace(told, counted_at=questions.counted_at), place.name

        (report, name), as_of = await self._asked(asking, kept=True)
        report = await self._subscribers.named(report)
        return self.page(request, "hospitals", name, viewer, as_of, "report", report=report)

    async def raw(self, request: Request, partition: int, offset: int) -> Response:
        """A message by its place in raw.messages."""
        viewer = self.viewer(request)
        found, as_of = await self._asked(lambda questions, _: message_at(questions, partition, offset))
        title = f"Message of {found.sender}"
        return self.page(request, "feeds", title, viewer, as_of, "message", consignment="", message=found)

    # --- who looks, and how

    async def sign_in_shown(self, request: Request) -> Response:
        return self._sign_in_page(back_to(worklist.first(parameters(request), "next")))

    async def sign_in(self, request: Request) -> Response:
        """A new session, whatever the browser had before. Its form needs no token: it is judged by where it comes from."""
        entry = self._door.entry
        entry.count("sign-in", host_of(request), TRIES_S, TRIES)
        given = await entry.form(request)
        going_on = back_to(one(given, "next"))
        lasts = timedelta(hours=self._door.settings.console_session_h)
        name, password = one(given, "name").lower(), next(iter(given.get("password", ())), "")
        host, now = host_of(request), self._door.clock.now()
        try:
            token = await self._door.beside(lambda: entry.people.sign_in(name, password, host, now, lasts))
        except Locked as locked:
            metrics.counter("lovla_console_sign_ins_total", outcome="locked").inc()
            return self._sign_in_page(going_on, str(locked), 429)
        except WrongPassword as wrong:
            metrics.counter("lovla_console_sign_ins_total", outcome="wrong").inc()
            return self._sign_in_page(going_on, str(wrong), 401)
        metrics.counter("lovla_console_sign_ins_total", outcome="in").inc()
        answer = Response(status_code=303, headers={**HEADERS, "Location": going_on})
        entry.set_cookie(answer, entry.cookie, token, round(lasts.total_seconds()))
        return answer

    def _sign_in_page(self, going_on: str, wrong: str = "", status: int = 200) -> Response:
        nobody = Viewer("", "viewer", "", zone_name=self._door.settings.console_zone)
        fresh = frame.freshness(None, self._door.clock.now())
        answer = self._render(
            "",
            "sign_in",
            "Sign in",
            nobody,
            fresh,
            next=going_on,
            wrong=wrong,
            path="/sign-in",
            now=None,
            oidc=self._door.settings.oidc_label if self._provider else "",
        )
        answer.status_code = status
        return answer

    async def go_to_provider(self, request: Request) -> Response:
        """To the provider; a sealed cookie waits for who comes back."""
        entry, provider = self._door.entry, self._the_provider()
        entry.count("sign-in", host_of(request), TRIES_S, TRIES)
        going_on, now = back_to(worklist.first(parameters(request), "next")), self._door.clock.now()
        try:
            address, kept = await self._door.beside(lambda: provider.begin(going_on, now))
        except oidc.NotSignedIn as error:
            return self._not_signed_in(error, going_on)
        answer = Response(status_code=303, headers={**HEADERS, "Location": address})
        entry.set_cookie(answer, entry.cookie + "_oidc", kept, oidc.LASTS_S)
        return answer

    async def back_from_provider(self, request: Request) -> Response:
        """A new session for whom the provider vouches."""
        entry, provider = self._door.entry, self._the_provider()
        entry.count("sign-in", host_of(request), TRIES_S, TRIES)
        given = {
            name: worklist.first(parameters(request), name)
            for name in ("state", "code", "iss", "error")
            if name in request.query_params
        }
        cookie, now = request.cookies.get(entry.cookie + "_oidc", ""), self._door.clock.now()
        lasts = timedelta(hours=self._door.settings.console_session_h)

        def act() -> tuple[str, str]:
            try:
                known = provider.finish(given, cookie, now)
            except oidc.NotSignedIn as error:
                if error.outcast is not None:
                    entry.people.sign_out_everywhere(error.outcast)
                raise
            return entry.people.sign_in_known(known.name, known.role, known.identity, now, lasts), known.going_on

        try:
            token, going_on = await self._door.beside(act)
        except (oidc.NotSignedIn, PeopleError) as error:
            return self._not_signed_in(error, "/")
        metrics.counter("lovla_console_sign_ins_total", outcome="in").inc()
        answer = Response(status_code=303, headers={**HEADERS, "Location": back_to(going_on)})
        entry.set_cookie(answer, entry.cookie, token, round(lasts.total_seconds()))
        entry.set_cookie(answer, entry.cookie + "_oidc", "", 0)
        return answer

    def _the_provider(self) -> oidc.Provider:
        assert self._provider is not None  # its addresses are there only then
        return self._provider

    def _not_signed_in(self, error: Exception, going_on: str) -> Response:
        metrics.counter("lovla_console_sign_ins_total", outcome="wrong").inc()
        log.warning("console.not_signed_in", text=str(error), inside=getattr(error, "inside", ""))
        return self._sign_in_page(going_on, str(error), 401)

    async def sign_out(self, request: Request) -> Response:
        entry = self._door.entry
        await entry.acting(request, "viewer")
        entry.people.sign_out(request.cookies.get(entry.cookie, ""))
        answer = Response(status_code=303, headers={**HEADERS, "Location": "/sign-in"})
        answer.delete_cookie(entry.cookie, path="/", secure=self._door.settings.console_secure, httponly=True, samesite="lax")
        return answer

    async def look(self, request: Request) -> Response:
        """Theme and time zone, kept in the browser."""
        entry = self._door.entry
        viewer, given = await entry.acting(request, "viewer")
        answer = Response(status_code=303, headers={**HEADERS, "Location": back_to(one(given, "next"))})
        theme, zone = one(given, "theme") or viewer.theme, one(given, "zone") or viewer.zone_name
        if theme in frame.THEMES:
            entry.set_cookie(answer, "theme", theme, YEAR_S)
        if zone == known_zone(zone).key:
            entry.set_cookie(answer, "zone", zone, YEAR_S)
        return answer

    # --- what all pages share

    def viewer(self, request: Request) -> Viewer:
        """Whoever looks. Raises SignIn, Problem 429."""
        return self._door.entry.viewer(request)

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
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        values = {
            "now": now,
            "path": request.url.path,
            "here": here,
            "did": self._door.board.take(request.query_params.get("did", ""), viewer.name),
            "shown_at": self._door.clock.now(),
            "people": self._door.entry.people.planners() if viewer.may("planner") else [],
            "live": live.address(self._door.clock.now()),
        } | values
        answer = self._render(name, template or name, title, viewer, fresh, **values)
        self._door.entry.greet(request, answer)
        return answer

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
                nav=frame.navigation(name, self.built) if viewer.name else [],
                freshness=fresh,
                held=self._door.held() if viewer.name else None,
                zones=ZONES,
                **values,
            )
        )
        return Response(text, 200, dict(HEADERS), media_type="text/html")


def done_by(done: Sequence[WorkDone], moment: datetime) -> list[WorkDone]:
    """What people had done by then: what was undone later still counted."""
    mine = (one for one in done if one.at <= moment)
    return [replace(one, undone_by="", undone_at=None) if one.undone_at and one.undone_at > moment else one for one in mine]


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
