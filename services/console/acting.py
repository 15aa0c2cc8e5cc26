"""The addresses by which people act: acknowledge, assign, let wait, note, undo; record, link, appoint, receive.

A form is a POST and then a redirect to where it came from, with what became of it shown there once; scripts only spare the page
its reload. *Guarantees*: only planners and admins act, from our own pages, with the token of their session; a form that is sent
twice is done once; everything goes through the way in under the name of who is signed in.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from fastapi import Request, Response

from schemas.journey_v1 import Journey
from services.console import acts
from services.console.acts import Outcome, Wrong
from services.console.consignment import tell
from services.console.door import ConsoleDoor
from services.console.entry import Form, back_to, one
from services.console.frame import Viewer
from services.console.gate import Problem
from services.console.once import Once
from services.console.pages import HEADERS, Pages, Route
from services.console.questions import Questions
from services.console.way_in import Refused, place_of
from services.runtime import logs, metrics

log = logs.get("console")

_LOOK_EVERY_S: Final = 0.2
REMEMBERED_MOST: Final = 1_000
"""Events that were recorded."""
COUNTS: Final = ("facets", "standing", "inbound")
"""What is kept (kept.py) of what people change."""


class Acting:
    """What people do."""

    def __init__(self, door: ConsoleDoor, pages: Pages) -> None:
        self._door, self._pages = door, pages
        self._forms = Once()
        self._said: OrderedDict[tuple[str, str], None] = OrderedDict()  # (consignment, event) that were recorded

    def routes(self) -> Sequence[Route]:
        """Method, path, endpoint. They stand before the pages', whose ids may hold slashes."""
        return (
            ("POST", "/act", self.act),
            ("GET", "/act", self.nothing),
            ("POST", "/unmatched/link", self.link),
            ("GET", "/unmatched/link", self.unmatched_again),
            ("GET", "/consignments/{name:path}/receive", self.receive),
            ("GET", "/consignments/{name:path}/do", self.consignment_again),
            ("POST", "/consignments/{name:path}/do", self.do),
        )

    # --- acts of people

    async def act(self, request: Request) -> Response:
        """One act on one or many; `next`: where to go on."""
        viewer, given = await self._door.entry.acting(request, "planner")
        return await self._once("act", viewer, given, self._work)

    async def _work(self, viewer: Viewer, given: Form, once: str) -> Outcome:
        kind = "acknowledge" if one(given, "acknowledge") else one(given, "act")
        try:
            asked = acts.work_asked(given, viewer.name, viewer.zone)
            unknown = self._nobody(asked, viewer)
            done = await self._door.way_in.work(asked, viewer.name, once)
        except Wrong as wrong:
            return Outcome(viewer.name, "work", "", wrong.fields, given)
        except Refused as refused:
            return Outcome(viewer.name, "work", "", acts.beside(refused.text, refused.places), given)
        metrics.counter("lovla_console_acts_total", act=kind).inc(len(done))
        sentence = acts.work_sentence(kind, asked, _local(asked[0].get("until"), viewer), wakes=bool(one(given, "wakes")))
        sentence += unknown
        await self._there([(str(one["consignment"]), str(one["act_id"])) for one in done])
        return Outcome(viewer.name, "work", sentence, undo=acts.undo_of(done))

    def _nobody(self, asked: Sequence[Mapping[str, Any]], viewer: Viewer) -> str:
        """Raises Wrong where something is to be the care of a name that nobody here has; in the demo, which has no accounts,
        what to say of it."""
        whom = {str(one["assignee"]) for one in asked if one["act"] == "assign"} - {viewer.name}
        people = self._door.entry.people.planners() if whom else []
        if whom <= set(people):
            return ""
        name = ", ".join(sorted(whom - set(people)))
        if viewer.demo:
            return f" Nobody has an account of the name {name}: here, in the demo, it is only written down."
        there = f"there are {', '.join(people[:20])}" if people else "there are none yet"
        raise Wrong({"assignee": f"{name} is no planner's name here; {there}. `lovla users add` adds one."})

    async def nothing(self, request: Request) -> Response:
        """Where somebody comes who had to sign in first: the form is gone."""
        self._pages.viewer(request)
        return to("/delayed")

    async def consignment_again(self, request: Request, name: str) -> Response:
        """The same for a consignment's forms."""
        self._pages.viewer(request)
        return to(f"/consignments/{quote(name)}")

    async def _there(self, done: Sequence[tuple[str, str]]) -> None:
        """Until ClickHouse has them, so that who acts sees it; not for long."""
        await self._until(lambda questions: questions.acts_there(done) >= len(done))

    async def _until(self, condition: Callable[[Questions], bool], counts: Sequence[str] = COUNTS) -> bool:
        end, there = asyncio.get_running_loop().time() + self._door.settings.console_wait_s, False
        try:
            while not (there := await self._door.ask(condition)) and asyncio.get_running_loop().time() < end:
                await asyncio.sleep(_LOOK_EVERY_S)
        except Problem:  # ClickHouse is away: what was done is done, the page will say the rest
            return False
        finally:
            self._door.kept.forget(*counts, late=not there)  # what was done shows in the counts
        return there

    # --- one consignment

    async def do(self, request: Request, name: str) -> Response:
        """A statement or a command, and what the tracker made of it."""
        viewer, given = await self._door.entry.acting(request, "planner")
        return await self._once(name, viewer, given, lambda *said: self._asked(name, *said))

    async def link(self, request: Request) -> Response:
        """The same from a line of Unmatched: its reference is that of the consignment that the form names."""
        viewer, given = await self._door.entry.acting(request, "planner")
        return await self._once("link", viewer, given, lambda *said: self._linked(one(given, "consignment"), *said))

    async def _linked(self, name: str, viewer: Viewer, given: Form, once: str) -> Outcome:
        try:
            outcome = await self._asked(name, viewer, {**given, "do": ["link"]}, once)
        except Problem as problem:
            if problem.kind != "not-found":
                raise
            return Outcome(viewer.name, "link", "", {"consignment": problem.detail if name else "To which consignment?"}, given)
        return outcome

    async def unmatched_again(self, request: Request) -> Response:
        """Where somebody comes who had to sign in first: the form is gone."""
        self._pages.viewer(request)
        return to("/unmatched")

    async def _asked(self, name: str, viewer: Viewer, given: Form, once: str) -> Outcome:
        doing = one(given, "do")
        version = await self._door.ask(lambda questions: questions.version(name))
        if not version:
            raise Problem("not-found", f"No consignment {name[:80]} is known.")
        facilities = await self._door.ask(lambda questions: questions.facilities())
        try:
            asked = acts.request(given, name, viewer.name, viewer.zone, facilities)
            if asked.withdraws and not await self._recorded(name, asked.withdraws):
                text = "Only what somebody recorded for this consignment can be withdrawn."
                raise Wrong({"instead" if asked.then else "": text})
            if asked.what == "events":
                taken = await self._door.way_in.event(asked.body, asked.by, once)
            else:
                taken = await self._door.way_in.command(name, asked.what, asked.body, asked.by, once)
        except Wrong as wrong:
            return Outcome(viewer.name, doing, "", wrong.fields, given)
        except Refused as refused:
            lines = [line["line"] for line in asked.body.get("lines", ())] if isinstance(asked.body, dict) else []
            fields = acts.beside(refused.text, refused.places, lines)
            return Outcome(viewer.name, doing, "", fields, given)
        metrics.counter("lovla_console_acts_total", act=doing).inc()
        return await self._judged(viewer, doing, given, name, version, asked, taken, once)

    async def _recorded(self, name: str, event: str) -> bool:
        """Whether it is somebody's word about this consignment; what was recorded a moment ago may not have arrived yet."""
        if (name, event) in self._said:
            return True
        journey = await self._door.ask(lambda questions: questions.show(name))
        return journey is not None and any(one.event_id == event and one.recorded_by for one in journey.statements)

    async def _judged(
        self,
        viewer: Viewer,
        doing: str,
        given: Form,
        name: str,
        version: int,
        asked: acts.Request,
        taken: Mapping[str, Any],
        once: str,
    ) -> Outcome:
        """What the tracker said, waited for; not for long."""
        verdicts, receipt = list(taken["verdicts"]), str(taken["receipt"])
        end = asyncio.get_running_loop().time() + self._door.settings.console_wait_s
        while any(one["outcome"] == "queued" for one in verdicts) and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                verdicts = await self._door.way_in.receipt(receipt)
            except (Problem, Refused):
                break
        if (bad := _bad(verdicts)) is not None:
            problems = [place_of(one) for one in bad.get("problems", ())]
            text = str(bad.get("text") or bad.get("reason") or "It was refused.")
            return Outcome(viewer.name, doing, "", acts.beside(text, problems), given)
        sentence, undo = asked.sentence, asked.undo
        if doing == "record" and verdicts and (event := str(verdicts[0].get("event_id") or "")):
            undo = acts.Undo(f"/consignments/{name}/do", (("do", "withdraw"), ("event", event)))
            _remember(self._said, (name, event))
        if asked.then:
            sentence += await self._corrected(asked, once)
        counts = (*COUNTS, "unmatched") if doing == "link" else COUNTS
        if any(one["outcome"] == "queued" for one in verdicts):
            sentence += " The tracker has not judged it yet."
            self._door.kept.forget(*counts, late=True)
        elif not await self._until(lambda questions: questions.version(name) > version, counts):
            sentence += " Nothing changed by it so far."
        return Outcome(viewer.name, doing, sentence, undo=undo, receipt=receipt)

    async def _corrected(self, asked: acts.Request, once: str) -> str:
        """Withdraw what was corrected, now that its correction was taken; what to say of it, if that went wrong."""
        try:
            taken = await self._door.way_in.event(asked.then, asked.by, acts.key_of(once, "withdraw"))
            if _bad(taken["verdicts"]) is None:
                return ""
        except (Problem, Refused) as error:
            log.warning("console.not_withdrawn", text=str(error)[:300])
        return " What it corrects could not be withdrawn and still counts: withdraw it by itself."

    async def receive(self, request: Request, name: str) -> Response:
        """The dock's count by itself: what somebody with a phone at the dock needs."""
        viewer = self._pages.viewer(request)

        def asking(questions: Questions) -> tuple[Journey | None, dict[str, Any], datetime | None]:
            return questions.show(name), dict(questions.facilities()), questions.as_of()

        journey, places, as_of = await self._door.ask(asking, kept=True)
        if journey is None:
            raise Problem("not-found", f"No consignment {name[:80]} is known.")
        story = tell(journey, places, as_of or self._door.clock.now())
        return self._pages.page(request, "hospitals", f"Receive {name}", viewer, as_of, "receive", story=story)

    # ---

    async def _once(
        self, about: str, viewer: Viewer, given: Form, act: Callable[[Viewer, Form, str], Awaitable[Outcome]]
    ) -> Response:
        """Do what a form says, once (once.py). The way in is told the key, and knows it longer."""
        key = acts.key_of(one(given, "once"), about, viewer.name, viewer.session, _sorted(given))
        outcome = await self._forms.answer(key, lambda: act(viewer, given, key))
        return self._back(given, self._door.board.put(outcome))

    def _back(self, given: Form, token: str) -> Response:
        """To where the form came from, with what became of it."""
        parts = urlsplit(back_to(one(given, "next"), "/delayed"))
        pairs = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "did"]
        return to(f"{parts.path}?{urlencode([*pairs, ('did', token)])}")


def to(path: str) -> Response:
    """Where a form leads."""
    return Response(status_code=303, headers={**HEADERS, "Location": path})


def _remember(kept: OrderedDict[tuple[str, str], None], one: tuple[str, str]) -> None:
    kept[one] = None
    while len(kept) > REMEMBERED_MOST:
        kept.popitem(last=False)


def _bad(verdicts: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first that was not taken."""
    return next((one for one in verdicts if one["outcome"] in ("rejected", "refused")), None)


def _sorted(given: Form) -> list[tuple[str, tuple[str, ...]]]:
    """What a form says, without what every form has."""
    return sorted((name, tuple(values)) for name, values in given.items() if name not in ("csrf", "once", "next"))


def _local(until: object, viewer: Viewer) -> str:
    return f"{datetime.fromisoformat(until).astimezone(viewer.zone):%a %d %b %H:%M}" if isinstance(until, str) else ""
