"""Pages packed for their way to the browser, where that gives nothing away.

A packed page is the shorter, the more its text repeats itself. Who can make somebody's browser ask for a page that repeats
words of theirs (`?q=...`), and sees how long the answers are, can guess piece by piece what else stands in it (BREACH, 2013;
HTTPS hides no length). So a page is packed only where the browser says that one of our own pages, or a person (a bookmark, a
typed address), asked for it: `Sec-Fetch-Site`, which no page of another site can set. Whatever else asks gets the page as it
is. What would be worst to lose, the token of forms, is besides another text on each page (entry.masked).
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Final

import cramjam
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEAST_BYTES: Final = 1_000
"""Smaller pages fit into one packet as they are."""
_HTML: Final = "text/html"
_OWN: Final = ("same-origin", "none")


def _brotli(page: bytes) -> bytes:
    return bytes(cramjam.brotli.compress(page, level=4))  # 150 kB in 2 ms; the next levels take twice as long for a tenth less


def _gzip(page: bytes) -> bytes:
    return gzip.compress(page, 5, mtime=0)


_PACKERS: Final[tuple[tuple[str, Callable[[bytes], bytes]], ...]] = (("br", _brotli), ("gzip", _gzip))


def packer(headers: Headers) -> tuple[str, Callable[[bytes], bytes]] | None:
    """How to pack a page for who asks with these headers; None: not at all."""
    if headers.get("sec-fetch-site") not in _OWN:
        return None
    taken = {word.partition(";")[0].strip() for word in headers.get("accept-encoding", "").split(",")}
    return next((one for one in _PACKERS if one[0] in taken), None)


class Packed:
    """Around an application: its whole pages (HTML that is not packed yet), and nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        way = packer(Headers(scope=scope)) if scope["type"] == "http" else None
        if way is None:
            await self._app(scope, receive, send)
            return
        coding, pack = way
        begun: Message | None = None
        body = bytearray()

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start" and _is_page(message):
                begun = message
                return
            if begun is None:
                await send(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body", False):
                return
            whole = bytes(body)
            if len(whole) >= LEAST_BYTES:
                whole = pack(whole)
                headers = MutableHeaders(raw=begun["headers"])
                headers["Content-Encoding"] = coding
                headers.add_vary_header("Accept-Encoding, Sec-Fetch-Site")
                headers["Content-Length"] = str(len(whole))
            await send(begun)
            await send({"type": "http.response.body", "body": whole, "more_body": False})

        await self._app(scope, receive, sending)


def _is_page(message: Message) -> bool:
    headers = Headers(raw=message["headers"])
    return headers.get("content-type", "").startswith(_HTML) and "content-encoding" not in headers
