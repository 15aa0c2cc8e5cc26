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
from schemas.words import MILESTONES, Classifier, HoldKind, HoldState, Milestone
from services.ingest.readers import air_status, cargo_xml, dcsa_codes, edifact_codes, epcis, one_record, x12_codes
from services.ingest.readers.x12 import NAMES
from services.ingest.readers.x12_315 import ESTIMATES
from services.ingest.readers.x12_856 import CATEGORIES
from services.ingest.readers.x12_codes import Status
from services.ingest.readers.x12_places import ROLES
from services.ingest.readers.x12_segments import zone_rows

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


def _x12(codes: Mapping[str, Status]) -> Table:
    """Status codes of X12."""

    def becomes_of(status: Status) -> str:
        if status.by_load:
            return f"loaded: {becomes(status.milestone)}; empty: {becomes(status.empty)}"
        more = "as estimate" if status.estimated else "empty" if status.is_empty and not status.milestone else ""
        return becomes(status.milestone, status.hold, more)

    return ("code", "means", "becomes"), [(code, status.means, becomes_of(status)) for code, status in codes.items()]


def _x12_estimates() -> Table:
    """What a DTM*139 in an R4 loop of the 315 becomes, where B4 tells of another port."""
    rows = [(f"estimate/{role}", ROLES[role], becomes(milestone, more="as estimate")) for role, milestone in ESTIMATES.items()]
    return ("code", "R401", "becomes"), rows


def _x12_zones() -> Table:
    """Time codes of X12 (code list 623)."""
    return ("codes", "zone"), zone_rows()


def _air_codes() -> Table:
    held: dict[str, tuple[HoldKind, HoldState]] = {code: ("customs", state) for code, state in air_status.CUSTOMS.items()}
    rows = [
        (code, means, becomes(air_status.MILESTONES.get(code), held.get(code))) for code, means in air_status.MEANINGS.items()
    ]
    return ("code", "means", "becomes"), rows


def _time_types(types: Mapping[str, Classifier]) -> Table:
    return ("type of time", "the event is"), [(name or "(none)", classifier) for name, classifier in types.items()]


def _dcsa_equipment() -> Table:
    words = {code: word for word, code in dcsa_codes.WORDS.items()}
    rows = []
    for code in sorted(dcsa_codes.EQUIPMENT_30):
        known = [row for row in dcsa_codes.EQUIPMENT_MILESTONES_30 if row[0] == code]
        since = "2.2" if code in dcsa_codes.EQUIPMENT else "3.0"
        for _, empty, roles, milestone in known:
            where = ", ".join(role or "not named" for role in sorted(roles)) if roles else "any"
            load = "either" if empty is None else "empty" if empty else "laden"
            rows.append((code, words[code], since, load, where, becomes(milestone, dcsa_codes.EQUIPMENT_HOLDS_30.get(code))))
        if not known:
            rows.append((code, words[code], since, "either", "any", becomes(None, dcsa_codes.EQUIPMENT_HOLDS_30.get(code))))
    return ("code", "word", "since", "load", "facility type", "becomes"), rows


def _dcsa_transport() -> Table:
    rows = [
        (code, mode, "a customer's" if at_consignee else "any other", milestone)
        for (code, mode, at_consignee), milestone in sorted(dcsa_codes.TRANSPORT_MILESTONES.items())
    ]
    return ("code", "mode", "place", "becomes"), rows


def _dcsa_shipment() -> Table:
    said = [("CONF", "BKG", "BKG, CBR"), ("HOLD", "CUC", "CUS (2.2), CUC"), ("RELS", "CUC", "CUS (2.2), CUC")]
    said += [("HOLD", "", "any other"), ("RELS", "", "any other")]
    rows = [(code, shown, becomes(*dcsa_codes.shipment_outcome(code, document))) for code, document, shown in said]
    return ("code", "document", "becomes"), rows


def _dcsa_phases() -> Table:
    rows = [
        (milestone, *(dcsa_codes.PHASES[phase].get(milestone, "-") for phase in dcsa_codes.PHASES))
        for milestone in MILESTONES
        if any(milestone in phase for phase in dcsa_codes.PHASES.values())
    ]
    return ("without a phase", *dcsa_codes.PHASES), rows


def _epcis_steps() -> Table:
    steps = sorted({step for step, _ in epcis.MILESTONES})
    rows = [(step, *(becomes(epcis.MILESTONES.get((step, where))) for where in epcis.PLACES)) for step in steps]
    return ("step", "at the consignee's", "at a terminal or airport", "elsewhere"), rows


def _edifact_statuses() -> Table:
    """Codes of Recommendation 24 that move something."""

    def becomes_of(status: edifact_codes.Status) -> str:
        more = "as estimate" if status.classifier else "by sea or air" if status.voyage else ""
        return becomes(status.milestone, status.hold, more)

    rows = [(code, status.means, becomes_of(status)) for code, status in edifact_codes.STATUSES.items()]
    others = len(edifact_codes.LISTED) - len(rows)
    return ("code", "means", "becomes"), [*rows, (f"the list's other {others}", "", becomes(None))]


def _edifact_reports() -> Table:
    """What COARRI and CODECO report."""
    rows = [
        (message, code, report.means, becomes(report.full), becomes(report.transshipped), becomes(report.empty))
        for message, reports in (("COARRI", edifact_codes.COARRI), ("CODECO", edifact_codes.CODECO))
        for code, report in reports.items()
    ]
    return ("message", "BGM", "means", "full", "full, transshipped (8249: 6)", "empty"), rows


TABLES: Final[Mapping[str, Callable[[], Table]]] = MappingProxyType(
    {
        "air.codes": _air_codes,
        "air.discrepancies": lambda: (("code", "means"), list(air_status.DISCREPANCIES.items())),
        "dcsa.equipment": _dcsa_equipment,
        "dcsa.phases": _dcsa_phases,
        "dcsa.shipment": _dcsa_shipment,
        "dcsa.transport": _dcsa_transport,
        "edifact.iftsta": _edifact_statuses,
        "edifact.others": lambda: (("message", "is"), list(edifact_codes.OTHERS.items())),
        "edifact.reports": _edifact_reports,
        "epcis.steps": _epcis_steps,
        "cargo_xml.time_types": lambda: _time_types(cargo_xml.TIME_TYPES),
        "one_record.time_types": lambda: _time_types(one_record.TIME_TYPES),
        "x12.214": lambda: _x12(x12_codes.ROAD),
        "x12.214.reasons": lambda: (("code", "means"), list(x12_codes.REASONS.items())),
        "x12.315": lambda: _x12(x12_codes.OCEAN),
        "x12.315.estimates": _x12_estimates,
        "x12.322": lambda: _x12(x12_codes.TERMINAL),
        "x12.856.categories": lambda: (("words", "category"), CATEGORIES),
        "x12.references": lambda: (("qualifier", "reference"), list(x12_codes.REFERENCES.items())),
        "x12.sets": lambda: (("set", "is"), list(NAMES.items())),
        "x12.zones": _x12_zones,
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
