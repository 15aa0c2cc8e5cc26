"""What a hospital's dock is to count: the consignments that may come next, each with the way to its form."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from services.console.questions import DelayedFilter, Order, Questions
from services.console.reports import Cell, Column, Table

ROWS: Final = 50

_COLUMNS: Final = (
    Column("consignment", "Consignment"),
    Column("stage", "Stage", "code"),
    Column("expected", "Expected", "time"),
    Column("goods", "Goods"),
    Column("receive", "Receipt"),
)


def table(questions: Questions, facility: str, now: datetime) -> Table:
    """Those that are expected first, first."""
    wanted, order = DelayedFilter(kinds=(), hospital=facility, state="open"), Order("expected")
    found = [one for one in questions.delayed_page(wanted, now, ROWS, order)[0] if one.facility == facility]
    rows = [
        (
            Cell(one.consignment, f"/consignments/{one.consignment}"),
            Cell(one.stage),
            Cell(one.expected_delivery, note="passed, no word since" if one.expected_passed else "", there=one.zone),
            Cell(", ".join(f"{quantity:,} {category.replace('_', ' ')}" for category, quantity, _ in one.goods[:2])),
            Cell(f"Confirm {one.consignment}", f"/consignments/{one.consignment}/receive"),
        )
        for one in found
    ]
    return Table("receipts", "Confirm a receipt", _COLUMNS, rows, "Nothing is on its way there.", len(found) == ROWS)
