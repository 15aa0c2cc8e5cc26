"""Reading a request's body within its limits, while it streams in, so that nobody can fill the memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Literal

from services.ingest.limits import MIB
from services.ingest.problems import Problem

BUDGET_BYTES = 96 * MIB  # of all bodies being read or judged at once
SHARE_BYTES = 16 * MIB  # of that, one sender's


class Budget:
    """How many bytes of bodies are held at once, over all requests and of each sender."""

    def __init__(self, total_bytes: int = BUDGET_BYTES, share_bytes: int = SHARE_BYTES) -> None:
        self._left = total_bytes
        self._share = share_bytes
        self._taken: Counter[str] = Counter()

    def take(self, sender: str, size: int) -> None:
        """Reserve `size` bytes; raises Problem 429 if the sender's share does not hold them, 503 if they are not left."""
        if self._taken[sender] + size > self._share:
            raise Problem("too-many-requests", f"Too many large requests of {sender} at once.", retry_after_s=1)
        if size > self._left:
            raise Problem("not-ready", "Too many large requests at once.", retry_after_s=1)
        self._left -= size
        self._taken[sender] += size

    def give_back(self, sender: str, size: int) -> None:
        """Return what was taken."""
        self._left += size
        self._taken[sender] -= size


class Held:
    """The bytes that one request of `sender` holds of the budget; use as a context manager."""

    def __init__(self, budget: Budget, sender: str) -> None:
        self._budget = budget
        self._sender = sender
        self._size = 0

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.give_back(self._sender, self._size)

    async def read(self, chunks: AsyncIterator[bytes], declared: str | None, most_bytes: int, within_s: float) -> bytes:
        """The whole body. `declared` is the Content-Length header; raises Problem 413 at the first byte too many, 408 if it
        is not here within `within_s` seconds, so that a slow one does not hold the budget."""
        try:
            async with asyncio.timeout(within_s):
                return await self._read(chunks, declared, most_bytes)
        except TimeoutError as error:
            text = f"The body was not here within {within_s:g} s; send it again, in smaller requests."
            # what is still under way is not waited for
            raise Problem("too-slow", text, headers={"Connection": "close"}) from error

    async def _read(self, chunks: AsyncIterator[bytes], declared: str | None, most_bytes: int) -> bytes:
        if declared is not None and declared.isascii() and declared.isdigit() and int(declared) > most_bytes:
            raise _too_large(most_bytes)
        parts: list[bytes] = []
        async for chunk in chunks:
            if self._size + len(chunk) > most_bytes:
                raise _too_large(most_bytes)
            self._budget.take(self._sender, len(chunk))
            self._size += len(chunk)
            parts.append(chunk)
        return b"".join(parts)


def _too_large(most_bytes: int) -> Problem:
    return Problem("too-large", f"A body may hold at most {most_bytes} bytes; send several requests.")


def content_encoding(header: str | None) -> Literal["identity", "gzip"]:
    """`identity` or `gzip`; raises Problem 415 for anything else."""
    encoding = (header or "identity").strip().lower()
    if encoding in ("", "identity"):
        return "identity"
    if encoding in ("gzip", "x-gzip"):
        return "gzip"
    raise Problem(
        "unsupported-media-type",
        f"Content-Encoding {encoding[:40]} is not known; send plain bytes or gzip.",
        headers={"Accept-Encoding": "gzip"},
    )


def media_type(header: str | None, allowed: frozenset[str], default: str) -> str:
    """The whole content type as sent if its media type is allowed; raises Problem 415 otherwise.

    A form's type is what curl says of any body when nobody told it: it says nothing, and no address takes a form.
    """
    given = (header or default).strip()
    if given.lower() == "application/x-www-form-urlencoded":
        given = default
    if given.partition(";")[0].strip().lower() not in allowed:
        raise Problem(
            "unsupported-media-type", f"Content-Type {given[:60]} is not known here; known are {', '.join(sorted(allowed))}."
        )
    return given
