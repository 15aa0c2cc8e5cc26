"""What a browser gets beside the pages: our own style and scripts, and the pinned files of others (deploy/setup/assets.py).

All is read, hashed and compressed once, at the first question, and held: some 300 kB. An address holds the content's hash, so
it may be kept for a year. Files of others that are not installed are left out of the pages, which can be read without them.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

import cramjam
from fastapi import Request, Response

from deploy.setup import assets as npm

OTHERS: Final[Mapping[str, str]] = {
    "htmx.js": "htmx.org/dist/htmx.min.js",
    "sse.js": "htmx-ext-sse/dist/sse.min.js",
    "uplot.js": "uplot/dist/uPlot.iife.min.js",
    "uplot.css": "uplot/dist/uPlot.min.css",
}
"""Our name of it -> package and file."""
BASE_MAP: Final = "world-atlas/land-110m.json"

_MEDIA: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
_YEAR: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served; `packed`: by content coding, the best first, where it is smaller."""

    name: str
    digest: str
    media: str
    plain: bytes
    packed: Mapping[str, bytes]

    @property
    def address(self) -> str:
        return f"/static/{self.digest}/{self.name}"


def made(name: str, content: bytes) -> Asset:
    """Hash and compress a file."""
    packed = {"br": bytes(cramjam.brotli.compress(content, level=11)), "gzip": gzip.compress(content, 9, mtime=0)}
    smaller = {coding: body for coding, body in packed.items() if len(body) < len(content)}
    return Asset(name, hashlib.sha256(content).hexdigest()[:12], _MEDIA[Path(name).suffix], content, smaller)


@cache
def catalogue() -> Mapping[str, Asset]:
    """All there is, by name."""
    found: dict[str, bytes] = {}
    for entry in files("services.console").joinpath("static").iterdir():
        if Path(entry.name).suffix in _MEDIA:
            found[entry.name] = entry.read_bytes()
    for name, place in OTHERS.items():
        path = npm.folder() / place
        if path.is_file():
            found[name] = path.read_bytes()
    return {name: made(name, content) for name, content in found.items()}


def asset(name: str) -> str:
    """The address of a file; empty where it is not installed."""
    found = catalogue().get(name)
    return found.address if found else ""


def base_map() -> bytes | None:
    """The land of the world (Natural Earth, TopoJSON); None where it is not installed."""
    path = npm.folder() / BASE_MAP
    return path.read_bytes() if path.is_file() else None


async def respond(request: Request, digest: str, name: str) -> Response:
    """The file. An address of another version gets today's, not to be kept: a page from before an update goes on working."""
    found = catalogue().get(name)
    if found is None:
        return Response("There is no such file.\n", 404, media_type="text/plain")
    headers = {
        "Cache-Control": _YEAR if digest == found.digest else "no-cache",
        "ETag": f'"{found.digest}"',
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
        "Content-Type": found.media,
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    taken = {word.partition(";")[0].strip() for word in request.headers.get("accept-encoding", "").split(",")}
    for coding, body in found.packed.items():
        if coding in taken:
            return Response(body, headers=headers | {"Content-Encoding": coding})
    return Response(found.plain, headers=headers)
