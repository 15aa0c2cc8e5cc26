"""Reading a request's body within its limits, while it streams in, so that nobody can fill the memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.ingest.limits import MIB
from services.ingest.problems import Problem

BUDGET_BYTES = 96 * MIB  # of all bodies being read or judged at once


class Budget:
    """How many bytes of bodies are held at once, over all requests."""

    def __init__(self, total_bytes: int = BUDGET_BYTES) -> None:
        self._left = total_bytes

    def take(self, size: int) -> None:
        """Reserve `size` bytes; raises Problem 503 if they are not left."""
        if size > self._left:
            raise Problem("not-ready", "Too many large requests at once.", retry_after_s=1)
        self._left -= size

    def give_back(self, size: int) -> None:
        """Return what was taken."""
        self._left += size


class Held:
    """The bytes that one request holds of the budget; use as a context manager."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._size = 0

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.give_back(self._size)

    async def read(self, chunks: AsyncIterator[bytes], declared: str | None, most_bytes: int) -> bytes:
        """The whole body. `declared` is the Content-Length header; raises Problem 413 at the first byte too many."""
        if declared is not None and declared.isascii() and declared.isdigit() and int(declared) > most_bytes:
            raise _too_large(most_bytes)
        parts: list[bytes] = []
        async for chunk in chunks:
            if self._size + len(chunk) > most_bytes:
                raise _too_large(most_bytes)
            self._budget.take(len(chunk))
            self._size += len(chunk)
            parts.append(chunk)
        return b"".join(parts)


def _too_large(most_bytes: int) -> Problem:
    return Problem("too-large", f"A body may hold at most {most_bytes} bytes; send several requests.")


def content_encoding(header: str | None) -> str:
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
    """The whole content type as sent if its media type is allowed; raises Problem 415 otherwise."""
    given = (header or default).strip()
    if given.partition(";")[0].strip().lower() not in allowed:
        raise Problem(
            "unsupported-media-type", f"Content-Type {given[:60]} is not known here; known are {', '.join(sorted(allowed))}."
        )
    return given
