"""From the bytes of a registration, amendment, cancellation, action or dock receipt to commands, row by row.

Pure: the door calls it to answer at once, the readers stage calls it again on the raw record, and both find the same. A
row that is wrong does not refuse the others; what the sender may do is judged here (its own consignments, or an operator),
what makes sense for the consignment is judged by the tracker.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, get_args

from pydantic import ValidationError

from schemas.consignment_command_v1 import (
    AmendConsignment,
    AppointParty,
    CancelConsignment,
    Command,
    ConsignmentDeclaration,
    LinkReference,
    ReceiveGoods,
    RegisterConsignment,
    UnlinkReference,
)
from schemas.raw_message_v1 import RawMessage
from schemas.shipment_event_v1 import RawPointer
from schemas.words import LINKING_KINDS, MILESTONES, PartyRole, ReferenceKind
from services.ingest.identifiers import niosh_doubt, normalise
from services.ingest.legible import legible
from services.ingest.places import countries
from services.ingest.problems import Place
from services.ingest.readers import Asked, Unreadable, decode_body
from services.ingest.readers.strict_json import parse_json, too_wide

ROWS_MAX = 1_000  # consignments or actions a request
_WIDEST = 1_000  # members of an object, items of an array: no contract of a command has more
LINKING_MAX = 32  # linking references a declaration: an event has at most 8, a consignment several units
_AHEAD = timedelta(days=2)  # the fence for actuals (docs/architecture.md, "Ingest")
_BACK = timedelta(days=400)

_ACTIONS: Mapping[str, type[LinkReference | UnlinkReference | AppointParty]] = MappingProxyType(
    {"link": LinkReference, "unlink": UnlinkReference, "appoint": AppointParty}
)
_OWN_FIELDS: Mapping[type[Any], frozenset[str]] = MappingProxyType(
    {
        CancelConsignment: frozenset({"reason"}),
        LinkReference: frozenset({"command", "reference"}),
        UnlinkReference: frozenset({"command", "reference"}),
        AppointParty: frozenset({"command", "role", "party"}),
        ReceiveGoods: frozenset({"occurred_at", "lines", "final", "replaces", "unit"}),
    }
)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one row: a command, or what is wrong with it."""

    where: str
    consignment: str | None
    command: Command | None
    problems: tuple[Place, ...] = ()
    warnings: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class _Raw:
    """One row before it is judged: its place and its fields, or why it has none."""

    where: str
    fields: Mapping[str, Any]
    problems: tuple[Place, ...] = ()


def command_id(partition: int, offset: int, row: int, meta: RawMessage | None = None) -> str:
    """The id of the command in row `row` (from 0) of the raw record at (partition, offset).

    What counts once (`meta.once`: a dock receipt under an Idempotency-Key) is the same command wherever it stands, of which the
    tracker takes the first.
    """
    place = f"{partition} {offset}" if meta is None or meta.once is None else f"{meta.sender} {meta.once}"
    return hashlib.sha256(f"command {place} {row}".encode()).hexdigest()[:32]


def read_commands(
    meta: RawMessage, content: bytes, received_at: datetime, partition: int = 0, offset: int = 0
) -> tuple[Row, ...]:
    """The rows of one raw record. A body that cannot be read at all is one row with the reason; never raises on bad input."""
    try:
        raws = _rows(meta, content)
    except Unreadable as error:
        return (Row(error.where, meta.consignment, None, (Place(where=error.where, code=error.code, text=error.text),)),)
    return tuple(_judge(meta, raw, received_at, partition, offset, index) for index, raw in enumerate(raws))


def read_asked(
    meta: RawMessage, asked: Asked, position: str, received_at: datetime, partition: int = 0, offset: int = 0
) -> Row:
    """What a message of another standard asks of a consignment, judged as if it had come as JSON: by the scopes of its key, and
    whose consignment it is."""
    named = asked.fields.get("consignment")
    consignment = named if isinstance(named, str) else None
    if not {"register", "operator"} & set(meta.scopes):
        text = (
            f"the key of {meta.sender} may not register: lovla carriers add {meta.sender} --scope register makes one that may"
        )
        return Row(position, consignment, None, (Place(where=position, code="no_scope", text=text),))
    as_json = meta.model_copy(update={"kind": "registration", "consignment": None, "if_match": None})
    row = replace(_judge(as_json, _Raw(position, asked.fields), received_at, partition, offset, asked.row), warnings=())
    if isinstance(row.command, RegisterConsignment) and asked.onto is not None:
        return replace(row, command=row.command.model_copy(update={"onto": asked.onto}))
    return row


def _too_many(rows: int) -> Unreadable:
    return Unreadable("too_many_rows", "", f"{rows} rows; at most {ROWS_MAX} a request")


def _rows(meta: RawMessage, content: bytes) -> Sequence[_Raw]:
    body = decode_body(content, meta.content_encoding)
    if meta.kind == "registration" and meta.content_type.split(";")[0].strip().lower() == "text/csv":
        return _csv_rows(body)
    if meta.kind == "cancellation" and not body.strip():
        return [_Raw("", {})]
    value = parse_json(body)
    values = value if isinstance(value, list) and meta.kind in ("registration", "action") else [value]
    if len(values) > ROWS_MAX:
        raise _too_many(len(values))
    whole = values is not value
    raws = []
    for index, item in enumerate(values):
        where = "" if whole else f"/{index}"
        if isinstance(item, dict):
            raws.append(_Raw(where, item))
        else:
            raws.append(_Raw(where, {}, (Place(where=where, code="not_an_object", text="a JSON object is expected here"),)))
    return raws


def _judge(meta: RawMessage, raw: _Raw, received_at: datetime, partition: int, offset: int, index: int) -> Row:
    named = raw.fields.get("consignment", meta.consignment)
    consignment = named if isinstance(named, str) else None
    if raw.problems:
        return Row(raw.where, consignment, None, raw.problems)
    if (wide := too_wide(raw.fields, _WIDEST)) is not None:
        return Row(
            raw.where, consignment, None, (_place(raw.where, wide[0], "too_long", f"{wide[1]} values; at most {_WIDEST}"),)
        )
    refused = _refusal(meta, consignment, raw.where)
    if refused is not None:
        return Row(raw.where, consignment, None, (refused,))
    common = {
        "command_id": command_id(partition, offset, index, meta),
        "consignment": consignment,
        "sender": meta.sender,
        "operator": "operator" in meta.scopes,
        "recorded_by": meta.recorded_by,
        "received_at": received_at,
        "cause": meta.cause,
        "raw": RawPointer(sha256=meta.sha256, partition=partition, offset=offset, position=raw.where),
    }
    try:
        command = _build(meta, _legible(raw.fields), common)
    except _Wrong as error:
        return Row(raw.where, consignment, None, (_place(raw.where, (error.field,), error.code, str(error)),))
    except ValidationError as error:
        inside = raw.where
        return Row(
            raw.where, consignment, None, tuple(_place(inside, e["loc"], e["type"], e["msg"]) for e in error.errors()[:20])
        )
    declared = command.declaration if isinstance(command, RegisterConsignment | AmendConsignment) else None
    return Row(raw.where, consignment, command, warnings=tuple(_doubts(raw.where, declared)) if declared is not None else ())


def _doubts(where: str, declared: ConsignmentDeclaration) -> Iterator[Place]:
    """What a declaration says that may be a typing error: taken as it is, and told."""
    for index, item in enumerate(declared.items):
        if item.description is not None and (text := niosh_doubt(item.description)) is not None:
            yield _place(where, ("items", index, "description"), "niosh_approval", text)
    route = declared.route
    ends = (("origin", route.origin), ("port_of_discharge", route.port_of_discharge))
    for name, code in (*ends, *(("via", one) for one in route.via)):
        if code is not None and code[:2] not in countries():
            text = f"{code} is of no country that there is ({code[:2]}, ISO 3166); kept as sent"
            yield _place(where, ("route", name), "unknown_country", text)


def _legible(value: Any) -> Any:
    """The same value with its texts as they are kept."""
    if isinstance(value, str):
        return legible(value)
    if isinstance(value, Mapping):
        return {name: _legible(member) for name, member in value.items()}
    return [_legible(member) for member in value] if isinstance(value, list) else value


class _Wrong(ValueError):
    """A field is wrong in a way that the contract does not express."""

    def __init__(self, field: str, code: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.code = code


def _place(where: str, loc: Iterable[object], code: str, text: str) -> Place:
    """A JSON pointer for JSON rows, `row 3, column tier` for CSV rows."""
    parts = [str(part) for part in loc]
    if where.startswith("row "):
        return Place(where=f"{where}, column {_column(parts)}" if parts else where, code=code, text=text)
    return Place(
        where=where + "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts), code=code, text=text
    )


def _refusal(meta: RawMessage, consignment: str | None, where: str) -> Place | None:
    """Whether this sender may speak of this consignment at all. A dock's receipt is judged by the tracker."""
    if consignment is None:
        return _place(where, ("consignment",), "missing", "the consignment's id is missing")
    if meta.consignment is not None and consignment != meta.consignment:
        return _place(where, ("consignment",), "other_consignment", "names another consignment than the address")
    if meta.kind == "dock_receipt" or "operator" in meta.scopes or owns(meta.sender, consignment):
        return None
    text = f"{meta.sender} may register and change only its own consignments; their ids begin with {meta.sender}-"
    return _place(where, ("consignment",), "not_yours", text)


def buyer_of(consignment: str) -> str:
    """Whose consignment it is: the buyer's code and a hyphen begin the id (a buyer's code has no hyphen of its own)."""
    return consignment.partition("-")[0]


def owns(sender: str, consignment: str) -> bool:
    """Whether the id is one of this buyer's."""
    return buyer_of(consignment) == sender


def order_key(rows: Sequence[Row], sender: str) -> str:
    """The key of a raw record that holds commands: the buyer whose consignments it names, so that whatever is asked of a
    consignment, by whomever, stands in one partition and is read in the order in which it was accepted.

    Of several buyers' consignments in one request (only an operator can) the first decides; for the others' the order
    against requests of other senders holds only once this one's receipt says that it was read.
    """
    return next((buyer_of(row.command.consignment) for row in rows if row.command is not None), sender)


def _build(meta: RawMessage, fields: Mapping[str, Any], common: Mapping[str, Any]) -> Command:
    if meta.kind in ("registration", "amendment"):
        declaration = _declaration({"consignment": common["consignment"], **fields})
        if meta.kind == "registration":
            return RegisterConsignment(**common, declaration=declaration)
        return AmendConsignment(**common, declaration=declaration, if_match=meta.if_match)
    if meta.kind == "cancellation":
        return CancelConsignment(**common, **_own(CancelConsignment, fields), if_match=meta.if_match)
    if meta.kind == "dock_receipt":
        receipt = ReceiveGoods(**common, **_own(ReceiveGoods, fields))
        if not common["received_at"] - _BACK <= receipt.occurred_at <= common["received_at"] + _AHEAD:
            raise _Wrong("occurred_at", "outside_time", "more than 400 days back or 2 days ahead of its receipt")
        return receipt
    action = _ACTIONS.get(str(fields.get("command")))
    if action is None:
        raise _Wrong("command", "unknown_command", f"one of {', '.join(_ACTIONS)} is expected")
    own = _own(action, fields)
    if isinstance(own.get("reference"), dict):
        own["reference"] = _reference(own["reference"])
    return action(**{**common, **own})


def _own(command: type[Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a sender may give; what the door itself sets is refused like any unknown field."""
    unknown = sorted(set(fields) - _OWN_FIELDS[command] - {"consignment"})
    if unknown:
        raise _Wrong(unknown[0], "extra_forbidden", "this field is not known here")
    return {name: value for name, value in fields.items() if name != "consignment"}


def _declaration(fields: Mapping[str, Any]) -> ConsignmentDeclaration:
    given = dict(fields)
    if isinstance(given.get("references"), list):
        given["references"] = [_reference(item) for item in given["references"]]
    if isinstance(given.get("packing"), list):
        given["packing"] = [
            {**item, "unit": _reference(item["unit"])} if isinstance(item, dict) and "unit" in item else item
            for item in given["packing"]
        ]
    declaration = ConsignmentDeclaration.model_validate(given)
    lines = [item.line for item in declaration.items]
    if len(set(lines)) != len(lines):
        raise _Wrong("items", "repeated_line", "each line number may stand once")
    for packing in declaration.packing:
        if packing.line not in lines:
            raise _Wrong("packing", "unknown_line", f"line {packing.line} is not among the items")
    if sum(reference.kind in LINKING_KINDS for reference in declaration.references) > LINKING_MAX:
        raise _Wrong("references", "too_many", f"at most {LINKING_MAX} linking references")
    return declaration


def _reference(item: object) -> object:
    """The same reference with its value as readers write it, so that declared and reported values meet."""
    if isinstance(item, dict) and isinstance(item.get("kind"), str) and isinstance(item.get("value"), str):
        return {**item, "value": normalise(item["kind"], item["value"])}
    return item


# --- CSV: one row an item line; the rows of one consignment stand for one declaration

_ITEM_COLUMNS = ("line", "category", "description", "quantity", "unit", "lot", "expires_on")
_ROUTE_COLUMNS = ("mode", "origin", "port_of_discharge", "terminal", "place_of_delivery", "via")
_PLAIN_COLUMNS = ("consignment", "required_by", "tier", "note", "silent_after_h", "free_time_h")
_PARTY_COLUMNS = tuple(f"party_{role}" for role in get_args(PartyRole))
_PLAN_COLUMNS = tuple(f"plan_{milestone}" for milestone in MILESTONES)
_REFERENCE_COLUMNS = tuple(f"ref_{kind}" for kind in get_args(ReferenceKind))
COLUMNS: tuple[str, ...] = (
    *_PLAIN_COLUMNS,
    *_ROUTE_COLUMNS,
    *_ITEM_COLUMNS,
    "packed_in",
    *_PARTY_COLUMNS,
    *_PLAN_COLUMNS,
    *_REFERENCE_COLUMNS,
)
"""What a CSV may hold. Several values (`via`, `ref_...`, `packed_in`) are set apart by `;`; `packed_in` holds containers or
ULDs that hold this line's goods, each with its quantity: `MRSU4371639=1200;TCLU1234568=800` (one alone may leave it out);
`rail_car:TTX123456` where the kind must be said. docs/registering.md explains them."""

_CONTAINER = re.compile(r"[A-Z]{3}[UJZ]\d{7}")


def _csv_rows(body: bytes) -> Sequence[_Raw]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable("not_utf8", f"byte {error.start}", "CSV must be UTF-8") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in reader.fieldnames or ()]
        unknown = [name for name in header if name not in COLUMNS]
        if unknown or "consignment" not in header:
            what = _strange_column(unknown[0]) if unknown else "the column consignment is missing"
            raise Unreadable("bad_header", "row 1", f"{what}; docs/registering.md lists the columns")
        reader.fieldnames = header
        groups: dict[str, list[tuple[int, dict[str, str]]]] = {}
        for record in reader:
            number = reader.line_num
            cells = {name: (value or "").strip() for name, value in record.items() if isinstance(name, str)}
            if None in record:
                cells["~surplus"] = "yes"
            groups.setdefault(cells["consignment"], []).append((number, cells))
            if len(groups) > ROWS_MAX:
                raise Unreadable("too_many_rows", f"row {number}", f"at most {ROWS_MAX} consignments a request")
    except csv.Error as error:
        raise Unreadable("not_csv", f"row {reader.line_num}", str(error)) from error
    return [_declare(rows) for rows in groups.values()]


def _strange_column(name: str) -> str:
    near = difflib.get_close_matches(name, COLUMNS, 1, 0.6) or [one for one in COLUMNS if one.endswith(f"_{name}")][:1]
    return f"unknown column {name[:60]!r}" + (f", perhaps {near[0]}" if near else "")


def _declare(rows: Sequence[tuple[int, Mapping[str, str]]]) -> _Raw:
    """One consignment of several rows. A row that contradicts an earlier one of the same consignment is an error."""
    where = f"row {rows[0][0]}"
    merged: dict[str, str] = {}
    items: list[dict[str, Any]] = []
    packing: list[dict[str, Any]] = []
    problems: list[Place] = []
    for number, cells in rows:
        if "~surplus" in cells:
            problems.append(Place(where=f"row {number}", code="surplus_cells", text="more cells than columns"))
        for name, value in cells.items():
            if not value or name in _ITEM_COLUMNS or name in ("packed_in", "~surplus"):
                continue
            if name in _REFERENCE_COLUMNS:  # each row may name the documents and units of its own goods
                merged[name] = ";".join(dict.fromkeys([*_several(merged.get(name, "")), *_several(value)]))
            elif merged.setdefault(name, value) != value:
                text = "differs from an earlier row of the same consignment"
                problems.append(Place(where=f"row {number}, column {name}", code="contradiction", text=text))
        item = {name: cells[name] for name in _ITEM_COLUMNS if cells.get(name)}
        if item:
            items.append({"line": str(len(items) + 1), **item})
            packing.extend(_packing(items[-1], cells.get("packed_in", ""), cells))
    fields: dict[str, Any] = {name: merged[name] for name in _PLAIN_COLUMNS if name in merged}
    route: dict[str, Any] = {name: merged[name] for name in _ROUTE_COLUMNS if name in merged}
    if "via" in route:
        route["via"] = _several(route["via"])
    fields["route"] = route
    fields["items"] = items
    fields["packing"] = packing
    fields["parties"] = {name.removeprefix("party_"): merged[name] for name in _PARTY_COLUMNS if name in merged}
    fields["plan"] = {name.removeprefix("plan_"): merged[name] for name in _PLAN_COLUMNS if name in merged}
    fields["references"] = [
        {"kind": name.removeprefix("ref_"), "value": value}
        for name in _REFERENCE_COLUMNS
        for value in _several(merged.get(name, ""))
    ]
    return _Raw(where, fields, tuple(problems[:20]))


def _several(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(";") if part.strip()]


def _packing(item: Mapping[str, str], cell: str, cells: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    for part in _several(cell):
        unit, _, quantity = part.partition("=")
        named, colon, value = unit.partition(":")
        if not colon:
            value = unit
            named = "container" if _CONTAINER.fullmatch(normalise("container", unit)) else "uld"
        count = quantity.strip() or cells.get("quantity", "")
        if not quantity.strip() and not count.isdecimal():
            continue  # the line's own quantity is wrong, and is told as such
        yield {"line": item["line"], "unit": {"kind": named.strip().lower(), "value": value.strip()}, "quantity": count}


def _column(parts: Sequence[str]) -> str:
    """The CSV column that a place in the declaration came from."""
    if parts[0] == "parties":
        return f"party_{parts[1]}" if len(parts) > 1 else "party_"
    if parts[0] == "plan":
        return f"plan_{parts[1]}" if len(parts) > 1 else "plan_"
    if parts[0] == "references":
        return "ref_"
    if parts[0] == "packing":
        return "packed_in"
    return parts[-1] if parts[0] in ("route", "items") else parts[0]
