"""The alerts' door (FastAPI): `python -m services.alerts.api`. Thin: what may be done stands in acts.py, who writes in
subscriptions.py, what people see in public_page.py.

By key (scope `alerts`, or an operator's): `/v1/subscriptions`. Without one: the public page, and what signed links open. GET
never changes anything, since mail scanners follow links.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from confluent_kafka import KafkaException
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from schemas.alerts_v1 import Channel, Filters, Sight, Subscription
from schemas.base import Text, UtcTime
from schemas.registers_v1 import Account, Facility, Sender
from schemas.topics import ACCOUNTS, FACILITIES, SENDERS
from services.alerts import callbacks, openapi
from services.alerts.acts import SUBSCRIBER, Said
from services.alerts.delivery_settings import DeliverySettings
from services.alerts.door import BODY_S, AlertsDoor
from services.alerts.gate import (
    MEDIA_TYPE,
    Caller,
    Place,
    Problem,
    Unreadable,
    bounded,
    by_key,
    key_in,
    media_type,
    parse_narrow,
)
from services.alerts.languages import language
from services.alerts.public_page import PublicPage
from services.alerts.registered import silent
from services.alerts.replay import missed
from services.alerts.subscriptions import KafkaRegister, Store, redone
from services.alerts.wanted import Wanted, changed
from services.alerts.way_in import WayIn
from services.runtime import logs, process, web
from services.runtime.clock import Clock, SystemClock
from services.runtime.register import RegisterView, start_patiently
from services.runtime.settings import SettingsError

T = TypeVar("T")

LIST_MOST = 500
_TIME: TypeAdapter[datetime] = TypeAdapter(UtcTime)
_JSON = frozenset({"application/json"})
_VALUES_MOST = 1_000  # of an object or list in a body: a subscription has a handful, and each wrong one is a complaint
_TIDY_S = 3_600.0

log = logs.get("alerts_api")


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CodeBody(_Body):
    """The digits of the SMS."""

    code: Text


class AddressBody(_Body):
    """An address, and what kind it is."""

    channel: Channel
    address: Text


class Routes:
    """The addresses for keys."""

    def __init__(self, door: AlertsDoor) -> None:
        self._door = door

    def _caller(self, request: Request) -> Caller:
        door = self._door
        door.check()
        caller = by_key(request.headers.get("authorization"), door.accounts(), door.senders(), door.clock.now())
        door.rates.of_key(caller.meter, door.clock.monotonic())
        caller.need("alerts")
        if request.method != "GET":
            caller.need_for_good()
        return caller

    def _operator(self, request: Request) -> Caller:
        caller = self._caller(request)
        caller.need("operator")
        return caller

    def _said(self, caller: Caller) -> Said:
        return Said(caller.sender.code, "api", self._door.clock.now())

    def _own(self, caller: Caller, name: str) -> Subscription:
        """The subscription, if it is the caller's; an operator may have any. Raises Problem 404."""
        found = self._door.store.all().get(name)
        if found is None or not (caller.operator or found.owner == caller.sender.code):
            raise Problem("not-found", "There is no such subscription, or it is not yours.")
        return found

    async def _json(self, request: Request, caller: Caller) -> Any:
        media_type(request.headers.get("content-type"), _JSON, "application/json")
        body = await self._door.body(request, caller.meter)
        try:
            return parse_narrow(body, _VALUES_MOST)
        except Unreadable as error:
            errors = [Place(where=error.where, code=error.code, text=error.text)]
            raise Problem("invalid", "This is no JSON that can be taken.", errors=errors) from error

    def _shown(self, one: Subscription) -> dict[str, Any]:
        """As its owner sees it: with its address, without what only we use, and why nothing is sent where that is so."""
        shown = one.model_dump(mode="json", exclude_none=True, exclude={"address_hash", "wrong_codes"})
        suppressed = self._door.store.suppressed(one.address_hash)
        if suppressed is not None:
            shown["suppressed"] = suppressed.reason
        unknown = silent(one.filters, self._door.facilities(), self._door.senders())
        if unknown:
            shown["unregistered"] = unknown
        return shown

    async def _registered(self, request: Request, filters: Filters, before: Filters | None = None) -> None:
        """Raise Problem 422 if it names what no register has, unless the request says that it may (a register may be filled
        later)."""
        allow = request.query_params.get("unregistered")
        if allow not in (None, "allow"):
            raise Problem("bad-parameter", "unregistered is `allow`, or left out.")
        found = () if allow else await self._door.unregistered(filters, before)
        if found:
            text = (
                "It names what no register has, so that nothing would ever come of it. To subscribe all the same, because it"
                " will be registered: `?unregistered=allow`, `lovla subscriptions add --unregistered`."
            )
            errors = [Place(where=one.where, code="unregistered", text=one.say(language("en"))) for one in found]
            raise Problem("invalid", text, errors=errors)

    async def create(self, request: Request) -> Response:
        caller = self._caller(request)
        wanted = await self._door.do(_valid(Wanted, await self._json(request, caller)))
        repeat_key, store = key_in(request.headers.get("idempotency-key")), self._door.store
        if store.made_before(caller.sender.code, repeat_key) is None:  # a repeat is judged as it was, not by today's registers
            await self._registered(request, wanted.filters)
        made = await self._door.do(
            lambda: store.add(wanted, caller.sender.code, self._said(caller), repeat_key, sight_of(caller))
        )
        shown = self._shown(made)
        if made.channel == "webhook":
            shown["secret"] = store.links.webhook_secret(made.subscription)
        return JSONResponse(shown, 201, {"Location": f"/v1/subscriptions/{made.subscription}"})

    async def listed(self, request: Request) -> Response:
        """`?state=`, `?limit=`, `?after=` (the last id of the page before)."""
        caller = self._caller(request)
        state, after = request.query_params.get("state"), request.query_params.get("after", "")
        limit = _limit(request)
        own = [
            one
            for name, one in self._door.store.all().items()
            if name > after and (caller.operator or one.owner == caller.sender.code) and (state is None or one.state == state)
        ]
        page = sorted(own, key=lambda one: one.subscription)[:limit]
        more = {"next": page[-1].subscription} if len(own) > len(page) else {}
        return JSONResponse({"subscriptions": [self._shown(one) for one in page], **more})

    async def read(self, request: Request, name: str) -> Response:
        return JSONResponse(self._shown(self._own(self._caller(request), name)))

    async def amend(self, request: Request, name: str) -> Response:
        caller = self._caller(request)
        own = self._own(caller, name)
        given = await self._json(request, caller)
        if not isinstance(given, dict):
            raise Problem("invalid", "A JSON object is expected.")
        wanted = await self._door.do(lambda: changed(own, given))
        await self._registered(request, wanted.filters, own.filters)
        store = self._door.store
        return JSONResponse(self._shown(await self._door.do(lambda: store.amend(name, given, self._said(caller)))))

    async def remove(self, request: Request, name: str) -> Response:
        caller = self._caller(request)
        self._own(caller, name)
        await self._door.do(lambda: self._door.store.remove(name, self._said(caller)))
        return Response(status_code=204)

    async def pause(self, request: Request, name: str) -> Response:
        return await self._act(request, name, self._door.store.pause)

    async def resume(self, request: Request, name: str) -> Response:
        return await self._act(request, name, self._door.store.resume)

    async def stop(self, request: Request, name: str) -> Response:
        return await self._act(request, name, lambda which, said: self._door.store.stop(which, "owner", said))

    async def ask(self, request: Request, name: str) -> Response:
        return await self._act(request, name, self._door.store.ask)

    async def _act(self, request: Request, name: str, act: Callable[[str, Said], Subscription]) -> Response:
        caller = self._caller(request)
        self._own(caller, name)
        return JSONResponse(self._shown(await self._door.do(lambda: act(name, self._said(caller)))))

    async def confirm(self, request: Request, name: str) -> Response:
        """By the code of the SMS. Who holds a key has no other way to say yes for a subscriber."""
        caller = self._caller(request)
        self._own(caller, name)
        body = await self._door.do(_valid(CodeBody, await self._json(request, caller)))
        said = Said(SUBSCRIBER, f"code through {caller.sender.code}", self._door.clock.now())
        return JSONResponse(self._shown(await self._door.do(lambda: self._door.store.confirm_by_code(name, body.code, said))))

    async def forget(self, request: Request) -> Response:
        caller = self._operator(request)
        body = await self._door.do(_valid(AddressBody, await self._json(request, caller)))
        store = self._door.store
        gone = await self._door.do(lambda: store.forget(body.channel, body.address, self._said(caller)))
        return JSONResponse({"forgotten": gone})

    async def allow(self, request: Request) -> Response:
        caller = self._operator(request)
        body = await self._door.do(_valid(AddressBody, await self._json(request, caller)))
        store = self._door.store
        was = await self._door.do(lambda: store.allow(body.channel, body.address, self._said(caller)))
        return JSONResponse({"was_suppressed": was})

    async def messages(self, request: Request, name: str) -> Response:
        """`?after=` (`next` of the answer before), `?since=` (RFC 3339), `?limit=`: what a webhook's receiver missed."""
        caller = self._caller(request)
        own, door, asked = self._own(caller, name), self._door, request.query_params
        if own.channel != "webhook" or own.state != "active":
            raise Problem("invalid", "Only an active webhook is told again what it missed.")
        limit, after = _limit(request), asked.get("after")
        try:
            since = _TIME.validate_python(asked["since"]) if "since" in asked else None
        except ValidationError as error:
            raise Problem("bad-parameter", "since is a time as RFC 3339 writes it, with its zone.") from error
        replay, secret = door.replay, door.store.links.webhook_secret(name)
        assert replay is not None
        page = await door.do(lambda: replay(own, secret, door.clock.now(), after=after, since=since, limit=limit))
        messages = [{"headers": one.headers, "body": one.body} for one in page.messages]
        return JSONResponse({"messages": messages, "next": page.next, "more": page.more})


def _limit(request: Request) -> int:
    limit = request.query_params.get("limit", "100")
    if not limit.isdecimal() or not 1 <= int(limit) <= LIST_MOST:
        raise Problem("bad-parameter", f"limit lies between 1 and {LIST_MOST}.")
    return int(limit)


def sight_of(caller: Caller) -> Sight | None:
    """What a key's subscriptions may tell of: a sender's, of its own consignments and facilities; an operator's, of all."""
    return None if caller.operator else Sight(sender=caller.sender.code, facilities=caller.sender.facilities)


B = TypeVar("B", bound=BaseModel)


def _valid(model: type[B], value: object) -> Callable[[], B]:
    return lambda: model.model_validate(value)


def build(
    door: AlertsDoor,
    routers: Sequence[APIRouter] = (),
    lifespan: Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    """The application over a door; `routers`: the SMS provider's addresses. `lifespan` starts what the door stands on."""
    app = FastAPI(title="LoVLA alerts", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    at, page = Routes(door), PublicPage(door)
    one = "/v1/subscriptions/{name}"
    routes: Sequence[tuple[str, str, Callable[..., Awaitable[Response]]]] = (
        ("POST", "/v1/subscriptions", at.create),
        ("GET", "/v1/subscriptions", at.listed),
        ("POST", "/v1/subscriptions/forget", at.forget),
        ("POST", "/v1/subscriptions/allow", at.allow),
        ("GET", one, at.read),
        ("PATCH", one, at.amend),
        ("DELETE", one, at.remove),
        ("POST", f"{one}/pause", at.pause),
        ("POST", f"{one}/resume", at.resume),
        ("POST", f"{one}/stop", at.stop),
        ("POST", f"{one}/ask", at.ask),
        ("POST", f"{one}/confirm", at.confirm),
        ("GET", f"{one}/messages", at.messages),
        *page.routes(),
    )
    for method, path, endpoint in routes:
        said = openapi.describe(endpoint.__name__) if path.startswith("/v1/") else openapi.OF_A_PAGE
        app.add_api_route(path, endpoint, methods=[method], response_model=None, **said)
    for router in routers:
        app.include_router(router, include_in_schema=False)
    openapi.completed(app)

    async def on_problem(request: Request, problem: Exception) -> Response:
        assert isinstance(problem, Problem)
        web.refused(problem.kind)
        if not request.url.path.startswith("/v1/"):
            return page.refusal(problem)
        return JSONResponse(problem.body(), problem.status, problem.response_headers(), media_type=MEDIA_TYPE)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "invalid")
        return await on_problem(request, Problem(kind, str(error.detail), headers=dict(error.headers or {})))

    async def on_gone(_: Request, __: Exception) -> Response:
        return Response(status_code=400)  # hung up in the middle of its body: nobody hears this

    async def on_fault(request: Request, error: Exception) -> Response:
        route = request.scope.get("route")
        # never the error's own text, which may quote an address, nor the path, which holds tokens
        log.error("alerts_api.fault", error=type(error).__name__, route=route and route.path)
        return await on_problem(request, Problem("internal", "Nothing was done; the log says more."))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(ClientDisconnect, on_gone)
    app.add_exception_handler(Exception, on_fault)
    web.watched(app, lambda: door.not_ready())  # the description of the addresses is written without a door
    return app


def assemble(settings: DeliverySettings) -> FastAPI:
    """The application over the real Kafka. Answers at once; refuses with 503 until everything is read."""
    clock, register = SystemClock(), KafkaRegister(settings)
    way_in = WayIn(settings)
    store = Store(register, settings.secret_key.get_secret_value().encode(), settings.links_url, way_in.acknowledge)
    accounts = RegisterView(settings, ACCOUNTS.name, Account)
    senders = RegisterView(settings, SENDERS.name, Sender)
    facilities = RegisterView(settings, FACILITIES.name, Facility)
    registers: tuple[RegisterView[Any], ...] = (accounts, senders, facilities)

    def not_ready() -> str | None:
        return register.not_ready() or next((wrong for one in registers if (wrong := one.healthy()) is not None), None)

    def catch_up() -> None:
        for one in (senders, facilities):
            one.catch_up()

    door = AlertsDoor(
        store=store,
        accounts=accounts.snapshot,
        senders=senders.snapshot,
        facilities=facilities.snapshot,
        not_ready=not_ready,
        clock=clock,
        page=settings.public_page,
        catch_up=catch_up,
        replay=functools.partial(missed, settings),
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        stop = threading.Event()

        def read_all() -> None:
            start_patiently(registers, stop)
            register.start_patiently(stop)
            log.info("alerts_api.ready", subscriptions=len(store.all()))
            while not stop.wait(_TIDY_S):
                _tidy(store, clock)

        # a thread that nobody waits for: while Kafka is away it may hang longer than a stop may take
        threading.Thread(target=read_all, name="registers", daemon=True).start()
        try:
            yield
        finally:
            stop.set()
            closing = (*(one.close for one in registers), register.close)
            await asyncio.gather(*(asyncio.to_thread(close) for close in closing))

    return build(door, (callbacks.of(settings, store, clock).router(),), lifespan)


def _tidy(store: Store, clock: Clock) -> None:
    try:
        gone = redone(lambda: store.forget_lapsed(Said("lovla", "not confirmed in time", clock.now())))
    except (KafkaException, TimeoutError, BufferError) as error:
        log.warning("alerts_api.not_tidied", error=str(error))
    else:
        if gone:
            log.info("alerts_api.lapsed", count=gone)


def main() -> None:
    """Serve until SIGTERM or SIGINT; requests under way get 5 s to finish."""
    settings = process.begin("alerts-api", DeliverySettings)
    try:
        app = assemble(settings)
    except (SettingsError, OSError) as error:
        log.error("alerts_api.stopped", error=str(error))
        sys.exit(1)
    web.serve(app, settings.alerts_host, settings.alerts_port, bounded(256, BODY_S, 30.0))


if __name__ == "__main__":
    main()
