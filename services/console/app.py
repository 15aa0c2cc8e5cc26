"""The console's door (FastAPI): `python -m services.console.app`. Thin: what pages hold stands in modules of their own.

Reads ClickHouse as the reader user. Whatever people do goes through ingest.api.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from schemas.alerts_v1 import AlertsControl
from schemas.registers_v1 import Account, Sender
from schemas.topics import ACCOUNTS, ALERTS_CONTROL, SENDERS
from services.console import asked, assets, frame, openapi
from services.console.acting import Acting
from services.console.door import ConsoleDoor
from services.console.entry import Entry, SignIn
from services.console.gate import MEDIA_TYPE, Problem, bounded
from services.console.health_page import HealthPage
from services.console.letters import Letters, Retry, by_verb
from services.console.lists_api import Lists
from services.console.live import POLL_S, Live
from services.console.packing import Packed
from services.console.pages import HEADERS, Pages, Route
from services.console.people import People
from services.console.query_api import Api, answer_json
from services.console.settings import ConsoleSettings
from services.console.tracking_page import TrackingPage
from services.console.verbs_page import Verb, VerbsPage, run_verb
from services.runtime import garbage, logs, metrics, process, web
from services.runtime.clickhouse import connect
from services.runtime.clock import SystemClock
from services.runtime.messages_held import SWITCH, held
from services.runtime.register import RegisterView, start_patiently
from services.runtime.settings import SettingsError

log = logs.get("console")

HEAD_S, ANSWER_S, CONNECTIONS = 10.0, 30.0, 1_024
NEW_CONTAINERS = 5_000
"""Some ten pages: each leaves cycles, of its template's. To find more of them at once stops all threads for longer."""


def build(
    door: ConsoleDoor,
    lifespan: Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]] | None = None,
    retry: Retry = by_verb,
    verb: Verb = run_verb,
    poll_s: float = POLL_S,
) -> FastAPI:
    """The application over a door. `poll_s`: how often it is looked for what is new, while a page listens."""
    app = FastAPI(title="LoVLA console", version="1", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    pages = Pages(door)

    async def healthz() -> Response:
        return Response("ok\n", media_type="text/plain")

    async def readyz() -> Response:
        await door.ask(lambda questions: questions.as_of())
        return Response("ok\n", media_type="text/plain")

    async def described(request: Request) -> Response:
        return answer_json(request, openapi.document())

    async def metrics_page() -> Response:
        body, media = metrics.page()
        return Response(body, media_type=media)

    own: tuple[Route, ...] = (
        ("GET", "/healthz", healthz),
        ("GET", "/readyz", readyz),
        ("GET", "/metrics", metrics_page),
        ("GET", "/api/v1/openapi.json", described),
        ("GET", "/static/{digest}/{name}", assets.respond),
    )
    programs = (Api(door), Lists(door))
    parts = (
        Letters(door, pages, retry),
        VerbsPage(door, pages, verb),
        HealthPage(door, pages, verb),
        TrackingPage(door),
        Live(door, poll_s),
        Acting(door, pages),
        pages,
    )
    strict = (asked.strictly(route, door.entry.reader) for part in programs for route in part.routes())
    for method, path, endpoint in (*own, *strict, *(route for part in parts for route in part.routes())):
        app.add_api_route(path, endpoint, methods=[method], response_model=None)

    @app.middleware("http")
    async def timed(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        began = door.clock.monotonic()
        answer = await call_next(request)
        route = getattr(request.scope.get("route"), "path", "none")
        metrics.histogram("lovla_console_request_seconds", route=route).observe(door.clock.monotonic() - began)
        return answer

    async def on_problem(request: Request, problem: Exception) -> Response:
        assert isinstance(problem, Problem)
        metrics.counter("lovla_console_refused_total", reason=problem.kind).inc()
        if request.url.path.startswith(("/api/", "/v2/")):
            return JSONResponse(problem.body(), problem.status, problem.response_headers(), media_type=MEDIA_TYPE)
        return pages.refusal(problem)

    async def on_sign_in(request: Request, _: Exception) -> Response:
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return Response(status_code=303, headers={**HEADERS, "Location": frame.query("/sign-in", {"next": here})})

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "invalid")
        told = "Nothing is at this address." if kind == "not-found" else str(error.detail)
        if kind == "not-found" and request.url.path.startswith("/api/"):
            told += " /api/v1/openapi.json describes all that there are."
        return await on_problem(request, Problem(kind, told, headers=dict(error.headers or {})))

    async def on_gone(_: Request, __: Exception) -> Response:
        return Response(status_code=400)  # hung up in the middle: nobody hears this

    async def on_fault(request: Request, error: Exception) -> Response:
        route = request.scope.get("route")
        log.error("console.fault", error=type(error).__name__, text=str(error)[:500], route=getattr(route, "path", None))
        return await on_problem(request, Problem("internal", "Nothing was done; the log says more."))

    app.add_middleware(Packed)
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(SignIn, on_sign_in)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(ClientDisconnect, on_gone)
    app.add_exception_handler(Exception, on_fault)
    return app


def assemble(settings: ConsoleSettings) -> FastAPI:
    """The application over the real ClickHouse. Answers at once; refuses with 503 while it is away."""
    limits = {
        "max_execution_time": round(settings.console_query_s),
        "max_memory_usage": settings.console_query_bytes,
        # to read what an answer cost took a quarter of a short one's time in Python; a server may not know the setting
        "send_profile_events": 0,
    }
    reader = connect(settings, "reader", settings.console_query_s + 2, limits)
    pool = ThreadPoolExecutor(settings.console_workers, "questions")
    clock = SystemClock()
    accounts = RegisterView(settings, ACCOUNTS.name, Account)
    senders = RegisterView(settings, SENDERS.name, Sender)
    control = RegisterView(settings, ALERTS_CONTROL.name, AlertsControl)
    registers: tuple[RegisterView[Any], ...] = (accounts, senders, control)
    entry = Entry(settings, People(settings.state_dir), clock, accounts.snapshot, senders.snapshot)
    aside = ThreadPoolExecutor(settings.console_workers, "aside")
    door = ConsoleDoor(settings, reader, entry, clock, pool, aside, held=lambda: held(control.get(SWITCH)))

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        stop = threading.Event()

        # pages need no Kafka; until it is there, no key is known
        threading.Thread(target=start_patiently, args=(registers, stop), name="registers", daemon=True).start()
        log.info("console.ready", port=settings.console_port)
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*(asyncio.to_thread(one.close) for one in registers))
            door.kept.close()
            pool.shutdown(wait=False, cancel_futures=True)
            aside.shutdown(wait=False, cancel_futures=True)
            reader.close()

    return build(door, lifespan)


def main() -> None:
    """Serve until SIGTERM or SIGINT; requests under way get 5 s to finish."""
    settings = process.begin("console", ConsoleSettings)
    try:
        app = assemble(settings)
    except (SettingsError, OSError) as error:
        log.error("console.stopped", error=str(error))
        sys.exit(1)
    garbage.relax(NEW_CONTAINERS)
    web.serve(app, settings.console_host, settings.console_port, bounded(CONNECTIONS, HEAD_S, ANSWER_S))


if __name__ == "__main__":
    main()
