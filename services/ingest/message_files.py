"""Files that are pushed: what a name says of the bytes, and how many lines go into a request. For `lovla push` and `watch`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Final

CONTENT_TYPES: Final[Mapping[str, str]] = {
    ".json": "application/json",
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
    ".csv": "text/csv",
    ".xml": "application/xml",
}
_LINES_A_REQUEST: Final = 1_000


def content_type_of(name: str, otherwise: str = "application/octet-stream") -> str:
    """By the end of a file's name."""
    return CONTENT_TYPES.get(PurePath(name).suffix.lower(), otherwise)


def parts_of(content: bytes, content_type: str) -> list[bytes]:
    """JSON lines in requests of 1,000; anything else whole."""
    if content_type != "application/x-ndjson":
        return [content]
    lines = content.splitlines(keepends=True)
    return [b"".join(lines[at : at + _LINES_A_REQUEST]) for at in range(0, len(lines), _LINES_A_REQUEST)]
