"""The tables of codes in docs/standards/*.md, written from the readers' own maps, so that no page tells what no reader does.

`python -m services.ingest.readers.tables` writes them, `--check` compares (make generate, make generated). A page holds, where
a table shall stand,

    <!-- table x12.315 -->
    <!-- end of table -->

and what lies between is replaced. A standard adds a function that returns a header and rows, and its line in `TABLES`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from schemas.shipment_event_v1 import Hold
from schemas.words import HoldKind, HoldState, Milestone
from services.ingest.readers import x12_214, x12_315

FOLDER: Final = Path(__file__).resolve().parents[3] / "docs" / "standards"

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""A header, and rows of as many cells."""

_PLACE = re.compile(r"(<!-- table ([a-z0-9_.]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def becomes(milestone: Milestone | None, hold: Hold | tuple[HoldKind, HoldState] | None = None, more: str = "") -> str:
    """What an event of a code is to a journey, in a cell: `departed`, `customs hold released`, or a dash for news that move
    nothing; `more`: a word behind it (`as estimate`)."""
    if isinstance(hold, Hold):
        hold = (hold.kind, hold.state)
    parts = [milestone or "", f"{hold[0]} hold {hold[1]}" if hold else ""]
    return (" + ".join(part for part in parts if part) or "-") + (f", {more}" if more else "")


def x12_315_codes() -> Table:
    """Status codes of B403."""
    return ("code", "becomes"), [
        (code, becomes(x12_315._MILESTONES.get(code), x12_315._HOLDS.get(code))) for code in sorted(x12_315._KNOWN)
    ]


def x12_214_codes() -> Table:
    """Status codes of AT701."""
    return ("code", "becomes"), [(code, becomes(x12_214._MILESTONES.get(code))) for code in sorted(x12_214._KNOWN)]


TABLES: Final[Mapping[str, Callable[[], Table]]] = MappingProxyType(
    {
        "x12.214": x12_214_codes,
        "x12.315": x12_315_codes,
    }
)
"""Each table by the name in its mark. One line a table."""


def written(page: str) -> str:
    """The text of a page with its tables as they are today. Raises KeyError where a mark names no table."""
    return _PLACE.sub(lambda found: found[1] + _markdown(*TABLES[found[2]]()) + found[3], page)


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def complaints(pages: Mapping[str, str]) -> Sequence[str]:
    """What is wrong with the pages (name -> text): tables that are old, marks without a table, tables without a page."""
    wrong = []
    marked = [(name, found[2]) for name, text in pages.items() for found in _PLACE.finditer(text)]
    wrong += [f"{name}: there is no table {table}" for name, table in marked if table not in TABLES]
    wrong += [f"no page holds the table {table}" for table in TABLES if table not in {table for _, table in marked}]
    if not wrong:
        wrong += [
            f"{name}: not what the readers do: run `make generate`" for name, text in pages.items() if written(text) != text
        ]
    return wrong


def main() -> int:
    """Returns the exit code."""
    files = {str(file.relative_to(FOLDER.parent)): file for file in sorted(FOLDER.glob("*.md"))}
    if "--check" not in sys.argv[1:]:
        for file in files.values():
            file.write_text(written(file.read_text(encoding="utf-8")), encoding="utf-8")
    wrong = complaints({name: file.read_text(encoding="utf-8") for name, file in files.items()})
    for line in wrong:
        sys.stderr.write(f"{line}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
