"""Reading the registers' CSV files (`senders.csv`, `facilities.csv`) into records. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from schemas.registers_v1 import Facility, Sender

M = TypeVar("M", bound=BaseModel)
_SENDER_FIELDS = ("code", "kind", "name", "scac", "iata", "awb_prefix", "facilities", "edi_ids", "silent_after_h", "source")
FACILITY_COLUMNS = tuple(Facility.model_fields)


class BadTable(ValueError):
    """The file cannot be taken; the text names the row and column."""


def read_senders(text: str) -> list[Sender]:
    """Senders of a CSV; `facilities` are set apart by `;` or spaces, `edi_ids` by `;`, `note` is not kept. Raises BadTable."""
    return _read(text, (*_SENDER_FIELDS, "note"), ("code", "kind", "name"), _sender)


def read_facilities(text: str) -> list[Facility]:
    """Facilities of a CSV. Raises BadTable."""
    return _read(text, FACILITY_COLUMNS, ("code", "kind", "name", "zone"), Facility.model_validate)


def _sender(cells: Mapping[str, str]) -> Sender:
    fields: dict[str, object] = {name: value for name, value in cells.items() if name != "note"}
    if "facilities" in cells:
        fields["facilities"] = cells["facilities"].replace(";", " ").split()
    if "edi_ids" in cells:
        fields["edi_ids"] = [text for part in cells["edi_ids"].split(";") if (text := part.strip().upper())]
    return Sender.model_validate(fields)


def _read(text: str, known: Sequence[str], needed: Sequence[str], make: Callable[[Mapping[str, str]], M]) -> list[M]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    made: dict[str, M] = {}
    try:
        header = reader.fieldnames or []
        missing = [name for name in needed if name not in header]
        surplus = [name for name in header if name not in known]
        if missing or surplus:
            raise BadTable(
                f"row 1: {'missing' if missing else 'unknown'} column {(missing or surplus)[0]}; known: {', '.join(known)}"
            )
        for record in reader:
            if None in record:
                raise BadTable(f"row {reader.line_num}: more cells than columns")
            cells = {name: value.strip() for name, value in record.items() if value and value.strip()}
            if cells.get("code") in made:
                raise BadTable(f"row {reader.line_num}: {cells['code']} stands twice")
            try:
                made[cells.get("code", "")] = make(cells)
            except ValidationError as error:
                first = error.errors()[0]
                raise BadTable(f"row {reader.line_num}, column {first['loc'][0]}: {first['msg']}") from error
    except csv.Error as error:
        raise BadTable(f"row {reader.line_num}: {error}") from error
    return list(made.values())
