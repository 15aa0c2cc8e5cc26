"""What every door (a FastAPI application) has alike: its pages for machines, its figures, and how it is served."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI, Response

from services.runtime import metrics


def watched(app: FastAPI, not_ready: Callable[[], str | None]) -> None:
    """Add /healthz (alive), /readyz (`not_ready`: None, or what is wrong; 503 with that sentence) and /metrics, and count and
    time every request. To be called last: what comes after it would not be counted as a route."""

    async def healthz() -> Response:
        return Response("ok\n", media_type="text/plain")

    async def readyz() -> Response:
        wrong = not_ready()
        return Response((wrong or "ok") + "\n", status_code=503 if wrong else 200, media_type="text/plain")

    async def figures() -> Response:
        body, media = metrics.page()
        return Response(body, media_type=media)

    for path, endpoint, summary in (
        ("/healthz", healthz, "Alive"),
        ("/readyz", readyz, "Ready to answer"),
        ("/metrics", figures, "Prometheus metrics"),
    ):
        app.add_api_route(path, endpoint, methods=["GET"], name=path[1:], response_model=None, summary=summary)
    app.add_middleware(Measured)


def refused(kind: str) -> None:
    """Count a refusal by its problem's kind."""
    metrics.counter("lovla_http_refused_total", reason=kind).inc()


class Measured:
    """Counts and times requests by route (never by path: paths hold ids and tokens)."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        began, status = loop.time(), "000"

        async def noting(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "name", "none")
            metrics.counter("lovla_http_requests_total", route=route, status=status).inc()
            metrics.histogram("lovla_http_request_seconds", route=route).observe(loop.time() - began)


def serve(app: FastAPI, host: str, port: int, protocol: type[asyncio.Protocol]) -> None:
    """Until SIGTERM or SIGINT; requests under way get 5 s to finish. `protocol`: uvicorn's own, bounded in number and time."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # its warnings are a line for whatever a stranger sends
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises the signal again once it has shut down
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        http=protocol,
        ws="none",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
    )
