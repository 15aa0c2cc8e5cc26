"""Writes what the doors say of themselves to docs/: `python -m services.openapi_export` (`--check` compares)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from fastapi import FastAPI

from services.alerts import api as alerts
from services.alerts.door import AlertsDoor
from services.ingest import api as ingest
from services.ingest.door import Door

DOCS = Path(__file__).resolve().parents[1] / "docs"
DOORS: Mapping[str, Callable[[], FastAPI]] = {
    "openapi.json": lambda: ingest.build(cast(Door, None)),  # a description asks nothing of the door behind it
    "alerts.openapi.json": lambda: alerts.build(cast(AlertsDoor, SimpleNamespace(page=True))),
}
"""File below docs/ -> the door that it describes."""


def document(name: str) -> str:
    """The description of all addresses of a door."""
    return json.dumps(DOORS[name]().openapi(), indent=2) + "\n"


def main() -> int:
    """Returns the exit code."""
    stale = [name for name in DOORS if not (DOCS / name).exists() or (DOCS / name).read_text("utf-8") != document(name)]
    for name in stale:
        if "--check" in sys.argv[1:]:
            sys.stderr.write(f"docs/{name} is not what the door says: run `make generate`\n")
        else:
            (DOCS / name).write_text(document(name), encoding="utf-8")
    return 1 if stale and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
