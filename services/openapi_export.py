"""Writes what the doors say of themselves to docs/: `python -m services.openapi_export` (`--check` compares)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from fastapi import FastAPI

from services.alerts import api as alerts
from services.alerts.door import AlertsDoor
from services.console import openapi as console
from services.ingest import api as ingest
from services.ingest.door import Door

DOCS = Path(__file__).resolve().parents[1] / "docs"
DOORS: Mapping[str, Callable[[], FastAPI]] = {
    "openapi.json": lambda: ingest.build(cast(Door, None)),  # a description asks nothing of the door behind it
    "alerts.openapi.json": lambda: alerts.build(cast(AlertsDoor, SimpleNamespace(page=True))),
}
"""File below docs/ -> the door that describes itself."""


def _described(door: Callable[[], FastAPI]) -> Callable[[], dict[str, Any]]:
    return lambda: door().openapi()


DESCRIPTIONS: Mapping[str, Callable[[], dict[str, Any]]] = {
    **{name: _described(door) for name, door in DOORS.items()},
    "console-openapi.json": console.document,
}


def document(name: str) -> str:
    """The description of all addresses of a door."""
    return json.dumps(DESCRIPTIONS[name](), indent=2) + "\n"


def main() -> int:
    """Returns the exit code."""
    stale = [one for one in DESCRIPTIONS if not (DOCS / one).exists() or (DOCS / one).read_text("utf-8") != document(one)]
    for name in stale:
        if "--check" in sys.argv[1:]:
            sys.stderr.write(f"docs/{name} is not what the door says: run `make generate`\n")
        else:
            (DOCS / name).write_text(document(name), encoding="utf-8")
    return 1 if stale and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
