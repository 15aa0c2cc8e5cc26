"""What people see without a key: the page to subscribe, and what signed links open. HTML without any script.

*Guarantees*: GET changes nothing. The answer to a new subscription is the same whether the address is new, known or suppressed:
the page tells nobody who subscribes. Everything that was typed is escaped (Jinja2, autoescape).
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final, get_args
from urllib.parse import parse_qs

from fastapi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import ValidationError

from schemas.alerts_v1 import Acknowledgement, Filters, Subscription
from schemas.words import EXCEPTION_KINDS, MILESTONES, SEVERITIES, ItemCategory
from services.alerts.acts import SUBSCRIBER, Said, narrow, same_words
from services.alerts.addresses import BadAddress, masked, normalise
from services.alerts.door import AlertsDoor, invalid
from services.alerts.gate import KINDS, Place, Problem
from services.alerts.languages import LANGUAGES, Language, language
from services.alerts.links import BadLink, Opened, Purpose
from services.alerts.rates import coarse, network
from services.alerts.wanted import Wanted, agreement, changed

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # addresses of pages hold tokens
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}
FIELDS_MOST: Final = 400
FILLED_MOST: Final = 200  # characters that a link may fill in
_LISTS: Final = ("facilities", "consignments", "references", "carriers", "terminals")
_CHOICES: Final = ("categories", "exceptions", "milestones")
_UPPER: Final = ("facilities", "carriers", "terminals")
ZONES: Final = (
    "America/Los_Angeles",
    "America/Denver",
    "America/Phoenix",
    "America/Chicago",
    "America/New_York",
    "America/Anchorage",
    "Pacific/Honolulu",
    "UTC",
    "Europe/London",
    "Europe/Berlin",
    "Asia/Shanghai",
    "Asia/Hong_Kong",
    "Asia/Kolkata",
)

Form = Mapping[str, Sequence[str]]


@cache
def _pages() -> Environment:
    return Environment(
        loader=PackageLoader("services.alerts", "pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )


class PublicPage:
    """The addresses for people."""

    def __init__(self, door: AlertsDoor) -> None:
        self._door = door

    def routes(self) -> Sequence[tuple[str, str, Callable[..., Awaitable[Response]]]]:
        """Method, path, endpoint."""
        linked = (
            ("GET", "/confirm/{token}", self.confirm_shown),
            ("POST", "/confirm/{token}", self.confirm),
            ("GET", "/manage/{token}", self.manage_shown),
            ("POST", "/manage/{token}", self.manage),
            ("GET", "/u/{token}", self.unsubscribe_shown),
            ("POST", "/u/{token}", self.unsubscribe),
            ("GET", "/ack/{token}", self.acknowledge_shown),
            ("POST", "/ack/{token}", self.acknowledge),
            ("GET", "/subscribe.css", self.style),
        )
        if not self._door.page:
            return linked
        return (("GET", "/subscribe", self.form), ("POST", "/subscribe", self.subscribe), ("POST", "/code", self.code), *linked)

    # --- subscribing

    async def form(self, request: Request) -> Response:
        """`?consignments=`: what a link to this page fills in, as the console's tracking page does."""
        self._count(request)
        given = {
            "language": [_spoken(request).code],
            "consignments": [request.query_params.get("consignments", "")[:FILLED_MOST]],
        }
        return self._page(_spoken(request), "subscribe.html", "title", said=_said(given), **self._words())

    async def subscribe(self, request: Request) -> Response:
        """Whatever comes of it, an address that could be one gets the same answer."""
        self._count(request)
        given = await self._fields(request)
        try:
            wanted = _wanted(given)
            address = normalise(wanted.channel, wanted.address)
            await self._registered(wanted.filters, language(wanted.language))
        except ValidationError as error:
            return self._form_again(request, given, invalid(error))
        except BadAddress as bad:
            return self._form_again(request, given, Problem("invalid", str(bad)))
        except Problem as problem:
            if problem.kind == "not-ready":
                raise
            return self._form_again(request, given, problem)
        self._door.rates.of_new(network(_host(request)), self._door.clock.monotonic())
        said = self._subscriber(request, "page")
        speech = language(wanted.language)
        handle = secrets.token_hex(8)  # looks like a subscription, and is none: for those that get no message
        try:
            made = await self._door.do(lambda: self._subscribe(wanted, address, said))
        except Problem as problem:
            if problem.kind in ("not-ready", "internal"):
                raise
            made = None
        if wanted.channel == "sms":
            return self._message(speech, "type_code", ["code_sent"], code_for=made.subscription if made else handle)
        return self._message(speech, "look_into_mail", ["link_sent"])

    def _subscribe(self, wanted: Wanted, address: str, said: Said) -> Subscription:
        """The same form sent twice is one subscription, asked again."""
        store = self._door.store
        for one in store.of_address(store.hasher.of(wanted.channel, address)):
            if one.owner is None and one.state != "stopped" and same_words(one, wanted):
                return one if one.state != "unconfirmed" else store.ask(one.subscription, said)
        return store.add(wanted, None, said)

    async def _registered(self, filters: Filters, speech: Language, before: Filters | None = None) -> None:
        """Raise Problem 422 if it names what no register has: here nobody could mean it."""
        found = await self._door.unregistered(filters, before)
        if found:
            errors = [Place(where=one.where, code="unregistered", text=one.say(speech)) for one in found]
            raise Problem("invalid", "", errors=errors)

    def _form_again(self, request: Request, given: Form, problem: Problem) -> Response:
        return self._page(_spoken(request, given), "subscribe.html", "title", problem, said=_said(given), **self._words())

    async def code(self, request: Request) -> Response:
        self._count(request)
        given = await self._fields(request)
        name, code = _one(given, "subscription"), _one(given, "code")
        try:
            said = self._subscriber(request, "page, code of an SMS")
            one = await self._door.do(lambda: self._door.store.confirm_by_code(name, code, said))
        except Problem as problem:
            if problem.kind == "not-ready":
                raise
            text = (
                "This is not the code that was sent last, or its 15 minutes are over. After five wrong ones, ask for another."
            )
            wrong = Problem("invalid", text)
            return self._message(_spoken(request), "type_code", [], problem=wrong, code_for=name[:16])
        return self._confirmed(one)

    async def confirm_shown(self, request: Request, token: str) -> Response:
        one = await self._opened(request, "confirm", token)
        return self._message(_of(one), "confirm", ["to", "agreement"], one, button="yes")

    async def confirm(self, request: Request, token: str) -> Response:
        one = await self._opened(request, "confirm", token)
        said = self._subscriber(request, "link of an email")
        return self._confirmed(await self._door.do(lambda: self._door.store.confirm(one.subscription, said)))

    def _confirmed(self, one: Subscription) -> Response:
        manage = self._door.store.links.manage(one.subscription, self._door.clock.now())
        return self._message(_of(one), "confirmed", ["from_now_on", "agreement"], one, manage=_path(manage))

    # --- changing and stopping

    async def manage_shown(self, request: Request, token: str) -> Response:
        return self._managed(await self._opened(request, "manage", token))

    async def manage(self, request: Request, token: str) -> Response:
        one = await self._opened(request, "manage", token)
        given = await self._fields(request)
        act, store, name = _one(given, "act"), self._door.store, one.subscription
        said = self._subscriber(request, "signed link")
        if act == "remove":
            await self._door.do(lambda: store.remove(name, said))
            return self._message(_of(one), "removed", ["gone"])
        try:
            if act == "change":
                wanted = await self._door.do(lambda: changed(one, _changes(given)))
                await self._registered(wanted.filters, _of(one), one.filters)
                after = await self._door.do(lambda: store.change(name, wanted, said))
                notice = "changed"
            elif act == "pause":
                after, notice = (
                    await self._door.do(lambda: store.pause(name, said)),
                    "paused",
                )
            elif act == "resume":
                after, notice = await self._door.do(lambda: store.resume(name, said)), "resumed"
            elif act == "stop":
                after, notice = await self._door.do(lambda: store.stop(name, "link", said)), "stopped_now"
            else:
                raise Problem("invalid", "Choose one of the buttons.")
        except Problem as problem:
            if problem.kind in ("not-ready", "not-found"):
                raise
            return self._managed(one, problem=problem)
        return self._managed(after, notice)

    def _managed(self, one: Subscription, notice: str = "", problem: Problem | None = None) -> Response:
        speech = _of(one)
        return self._page(
            speech,
            "manage.html",
            "your_alerts",
            problem,
            address=masked(one),
            state=one.state,
            agreement=agreement(one),
            notice=speech.say(f"page.{notice}") if notice else "",
            said=_as_said(one),
            **self._words(),
        )

    async def unsubscribe_shown(self, request: Request, token: str) -> Response:
        one = await self._opened(request, "unsubscribe", token)
        if one.state == "stopped":
            return self._message(_of(one), "stopped", ["nothing_more"])
        return self._message(_of(one), "stop_these", ["to", "agreement"], one, button="stop_them")

    async def unsubscribe(self, request: Request, token: str) -> Response:
        """RFC 8058: whoever posts, whatever the body says, without cookie or question."""
        self._door.check()
        self._door.rates.of_all(self._door.clock.monotonic())
        one = self._behind("unsubscribe", token)
        said = self._subscriber(request, "unsubscribe link")
        await self._door.do(lambda: self._door.store.stop(one.subscription, "link", said))
        return self._message(_of(one), "stopped", ["nothing_more"])

    # --- acknowledging

    async def acknowledge_shown(self, request: Request, token: str) -> Response:
        one = await self._opened(request, "acknowledge", token)
        return self._message(_of(one), "take_care", ["say_so"], button="i_take_care")

    async def acknowledge(self, request: Request, token: str) -> Response:
        one = await self._opened(request, "acknowledge", token)
        opened = self._door.store.links.open("acknowledge", token, self._door.clock.now())
        told = Acknowledgement(
            subscription=one.subscription, notification=opened.notification, at=self._door.clock.now(), source="link"
        )
        await self._door.do(lambda: self._door.store.acknowledge(told))
        return self._message(_of(one), "noted", ["you_take_care"])

    # ---

    async def style(self, request: Request) -> Response:
        text = files("services.alerts").joinpath("pages/subscribe.css").read_text(encoding="utf-8")
        return Response(text, media_type="text/css", headers={"X-Content-Type-Options": "nosniff"})

    def refusal(self, problem: Problem) -> Response:
        """A page for what went wrong."""
        return self._message(language("en"), "did_not_work", [], problem=problem)

    def _count(self, request: Request) -> None:
        self._door.check()
        self._door.rates.of_stranger(network(_host(request)), self._door.clock.monotonic())

    async def _opened(self, request: Request, purpose: Purpose, token: str) -> Subscription:
        """The subscription that the link is for; raises Problem 404, 429, 503."""
        self._count(request)
        return self._behind(purpose, token)

    def _behind(self, purpose: Purpose, token: str) -> Subscription:
        try:
            opened: Opened = self._door.store.links.open(purpose, token, self._door.clock.now())
        except BadLink as bad:
            raise Problem("not-found", str(bad)) from bad
        found = self._door.store.all().get(opened.subscription)
        if found is None:
            raise Problem("not-found", "This subscription is gone, and your address with it. Nothing more is sent.")
        return found

    async def _fields(self, request: Request) -> Form:
        """The form's fields; raises Problem 4xx."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("application/x-www-form-urlencoded", ""):
            raise Problem("unsupported-media-type", "A form is expected.")
        body = await self._door.body(request, network(_host(request)))
        try:
            return parse_qs(body.decode("utf-8"), max_num_fields=FIELDS_MOST)
        except ValueError as error:
            raise Problem("invalid", "The form cannot be read.") from error

    def _subscriber(self, request: Request, how: str) -> Said:
        return Said(SUBSCRIBER, f"{how}, from {coarse(_host(request))}", self._door.clock.now())

    def _words(self) -> dict[str, Any]:
        """What can be chosen."""
        places = (one for one in self._door.facilities().values() if one.kind not in ("terminal", "airport"))
        facilities = sorted(places, key=lambda one: (one.kind != "hospital", one.name))
        return {
            "facilities": [(one.code, one.name) for one in facilities],
            "categories": get_args(ItemCategory),
            "exceptions": EXCEPTION_KINDS,
            "milestones": MILESTONES,
            "severities": SEVERITIES,
            "zones": ZONES,
            "languages": (("en", "English"), ("es", "Español")),
        }

    def _message(
        self,
        speech: Language,
        title: str,
        paragraphs: Sequence[str],
        one: Subscription | None = None,
        *,
        problem: Problem | None = None,
        **parts: str,
    ) -> Response:
        """`title`, `paragraphs`, `button`: keys of the catalogue's section `page`; `agreement` is what `one` agrees to."""
        address = masked(one) if one else ""
        said = [
            agreement(one) if one and key == "agreement" else speech.say(f"page.{key}", address=address) for key in paragraphs
        ]
        given = {"code_for": "", "button": "", "manage": ""} | parts
        given["button"] = speech.say(f"page.{given['button']}") if given["button"] else ""
        return self._page(speech, "message.html", title, problem, paragraphs=said, **given)

    def _page(self, speech: Language, name: str, title: str, problem: Problem | None = None, **values: object) -> Response:
        told = None
        if problem is not None:
            texts = [place["text"] for place in problem.errors] or [problem.detail]
            told = {"title": KINDS[problem.kind][1], "text": " ".join(texts)}
        text = _pages().get_template(name).render(title=speech.say(f"page.{title}"), speech=speech, problem=told, **values)
        headers = dict(HEADERS) | (problem.response_headers() if problem else {})
        return Response(text, problem.status if problem else 200, headers, media_type="text/html")


def _of(one: Subscription) -> Language:
    return language(one.language)


def _spoken(request: Request, given: Form | None = None) -> Language:
    """What the form says, else the address (`?language=es`), else the first that the browser asks for."""
    asked = (given and _one(given, "language")) or request.query_params.get("language")
    return language(asked or request.headers.get("accept-language", "")[:2].lower())


def _host(request: Request) -> str | None:
    return request.client.host if request.client else None


def _path(url: str) -> str:
    """The link within our own pages: a page may be read by another name than messages give."""
    return "/" + url.split("/", 3)[3]


def _one(given: Form, name: str) -> str:
    return (given.get(name) or [""])[0].strip()


def _wanted(given: Form) -> Wanted:
    """What the form says; raises ValidationError, Problem."""
    if _one(given, "agreed") != "yes":
        raise Problem("invalid", "Say that you want these messages.")
    if _one(given, "channel") not in ("email", "sms"):
        raise Problem("invalid", "Choose email or SMS.")
    wanted = Wanted.model_validate(_changes(given) | {"channel": _one(given, "channel"), "address": _one(given, "address")})
    if not narrow(wanted.filters):
        raise Problem("invalid", "Name at least one hospital, consignment, reference, carrier or terminal.")
    return wanted


def _changes(given: Form) -> dict[str, Any]:
    """The fields of the form as the model wants them."""
    filters: dict[str, Any] = {name: _listed(given, name) for name in _LISTS} | {
        name: tuple(given.get(name, ())) for name in _CHOICES
    }
    filters |= {name: tuple(value.upper() for value in filters[name]) for name in _UPPER}
    quiet = (_one(given, "quiet_from"), _one(given, "quiet_to"))
    digest = _one(given, "digest") or "immediate"
    return {
        "filters": filters | {"minimum_severity": _one(given, "minimum_severity") or "minor"},
        "zone": _one(given, "zone") or ZONES[0],
        "digest": digest,
        "digest_at": (_one(given, "digest_at") or None) if digest == "daily" else None,
        "quiet": quiet if any(quiet) else None,
        "critical_breaks_quiet": _one(given, "critical_breaks_quiet") == "yes",
    } | ({"language": spoken} if (spoken := _one(given, "language")) in LANGUAGES else {})


def _listed(given: Form, name: str) -> tuple[str, ...]:
    words = (word.strip() for text in given.get(name, ()) for word in text.replace("\n", ",").replace(";", ",").split(","))
    return tuple(dict.fromkeys(word for word in words if word))


def _said(given: Form) -> dict[str, Any]:
    """What stands in the form, to be given back."""
    plain = {name: _one(given, name) for name in ("channel", "address", "digest", "digest_at", "quiet_from", "quiet_to")}
    lists = {name: ", ".join(_listed(given, name)) for name in _LISTS if name != "facilities"}
    return (
        plain
        | lists
        | {name: tuple(given.get(name, ())) for name in ("facilities", *_CHOICES)}
        | {
            "minimum_severity": _one(given, "minimum_severity") or "minor",
            "language": _one(given, "language") or LANGUAGES[0],
            "zone": _one(given, "zone") or ZONES[0],
            "critical_breaks_quiet": _one(given, "critical_breaks_quiet") == "yes",
        }
    )


def _as_said(one: Subscription) -> dict[str, Any]:
    """A subscription as the form would have said it."""
    filters = one.filters
    return (
        {name: ", ".join(getattr(filters, name)) for name in _LISTS if name != "facilities"}
        | {name: getattr(filters, name) for name in ("facilities", *_CHOICES)}
        | {
            "minimum_severity": filters.minimum_severity,
            "language": one.language,
            "zone": one.zone,
            "digest": one.digest,
            "digest_at": one.digest_at or "",
            "quiet_from": one.quiet[0] if one.quiet else "",
            "quiet_to": one.quiet[1] if one.quiet else "",
            "critical_breaks_quiet": one.critical_breaks_quiet,
        }
    )
