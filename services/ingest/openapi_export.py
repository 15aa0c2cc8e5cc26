"""Writes what the API says of itself to docs/openapi.json: `python -m services.ingest.openapi_export` (`--check` compares)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import cast

from services.ingest.api import build
from services.ingest.door import Door

FILE = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


def document() -> str:
    """The description of all addresses. It asks nothing of the door behind them, so there is none."""
    return json.dumps(build(cast(Door, None)).openapi(), indent=2) + "\n"


def main() -> int:
    """Returns the exit code."""
    if "--check" not in sys.argv[1:]:
        FILE.write_text(document(), encoding="utf-8")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != document():
        sys.stderr.write("docs/openapi.json is not what the API says: run `make generate`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
