"""Connections to the door, bounded in number and in time: uvicorn's own protocol waits for ever for a slow head or reader.

What a connection may take (`LOVLA_HEAD_S`, `LOVLA_BODY_S`, `LOVLA_CONNECTIONS`; the body's own time is kept by body.py):

- its request line and headers within `head_s`, else 408; they hold at most 16 KiB (h11's own bound), else 400;
- what is left of a body after the answer is thrown away for `_LINGER_S`, so that a sender that is still writing reads the
  refusal instead of a reset; then the connection is closed;
- an answer that is not fetched within the time of a body ends the connection;
- past `connections` at once, a request is answered 503 and its connection closed; past `_SPARE` more, a connection is cut
  off unanswered.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import h11
from starlette.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from services.ingest.problems import MEDIA_TYPE, Problem
from services.runtime import web

_LINGER_S = 5.0
_SPARE = 256  # connections beyond the limit that still get an answer; with them a thousand files are not used up

_CROWDED = Problem("not-ready", "Too many connections at once.", retry_after_s=2, headers={"Connection": "close"})
_SLOW = Problem("too-slow", "The request's head came too slowly.", headers={"Connection": "close"})
_GARBLED = Problem("bad-header", "This is no HTTP request that can be read.", headers={"Connection": "close"})


async def _crowded(scope: Any, receive: Any, send: Any) -> None:
    """The application that a connection past the limit gets to see."""
    answer = JSONResponse(_CROWDED.body(), _CROWDED.status, _CROWDED.response_headers(), media_type=MEDIA_TYPE)
    await answer(scope, receive, send)


def bounded(connections: int, head_s: float, answer_s: float) -> type[H11Protocol]:
    """uvicorn's protocol with these bounds."""
    return type("Bounded", (_Connection,), {"connections_most": connections, "head_s": head_s, "answer_s": answer_s})


class _Timer:
    """Runs once unless stopped; starting one that runs changes nothing."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float, then: Callable[[], None]) -> None:
        if self._handle is None:
            self._handle = self._loop.call_later(seconds, then)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class _Connection(H11Protocol):
    connections_most = 512
    head_s = 10.0
    answer_s = 30.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head, self._linger, self._unread = _Timer(self.loop), _Timer(self.loop), _Timer(self.loop)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        super().connection_made(transport)
        if len(self.connections) > self.connections_most + _SPARE:
            web.refused(_CROWDED.kind)
            transport.abort()
            return
        if len(self.connections) > self.connections_most:
            web.refused(_CROWDED.kind)
            self.app = _crowded
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head, self._linger, self._unread):
            timer.stop()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and self._head_begun:
            self._await_head()
        else:
            self._head.stop()
        if self.conn.their_state is not h11.SEND_BODY:
            self._linger.stop()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._await_reader()
        elif self.conn.their_state is h11.SEND_BODY:
            self._linger.start(_LINGER_S, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._unread.stop()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._await_reader()

    def send_400_response(self, msg: str) -> None:
        """In place of uvicorn's plain text; what was wrong is the library's word and stays out of the answer."""
        self._refuse(_GARBLED)

    @property
    def _head_begun(self) -> bool:
        return bool(self.conn.trailing_data[0])

    def _await_head(self) -> None:
        if not self.transport.is_closing():
            self._head.start(self.head_s, lambda: self._refuse(_SLOW))

    def _await_reader(self) -> None:
        self._unread.start(self.answer_s, self.transport.abort)

    def _refuse(self, problem: Problem) -> None:
        """Answer without an application and close; just close where an answer is under way, or nothing was ever asked."""
        if self.transport.is_closing():
            return
        web.refused(problem.kind)
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and (problem is not _SLOW or self._head_begun):
            body = json.dumps(problem.body()).encode()
            said = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body))} | problem.response_headers()
            headers = [(name.encode(), value.encode()) for name, value in said.items()]
            head = h11.Response(status_code=problem.status, headers=headers, reason=STATUS_PHRASES[problem.status])
            for event in (head, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self._await_reader()
