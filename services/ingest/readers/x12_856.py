"""X12 856, ship notice: what was shipped of a buyer's consignment, as a registration of it: items, lots, pallets, documents.

A notice registers its consignment or, where the buyer declared it, adds to that (BSN01 00), or replaces its lines (05). It is
no status: none of its dates is an event. Levels (HL) tell which items lie in which container and belong to which order.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from schemas.base import rfc3339
from schemas.shipment_event_v1 import Place, Warning_
from schemas.words import LINKING_KINDS, LOGISTIC_KINDS, ItemCategory, Mode, PartyRole, ReferenceKind, SenderKind
from services.ingest import identifiers
from services.ingest.legible import shown
from services.ingest.places import Zone, facility_by_code, zone_of
from services.ingest.readers.draft import WARNINGS_MAX, Bad, Where, by_assumed_clock, note, place_of
from services.ingest.readers.model import Asked, Context, Verdict
from services.ingest.readers.x12_codes import REFERENCES
from services.ingest.readers.x12_segments import Segment, Set, read_time

PURPOSES: Final[Mapping[str, Literal["add_lines", "replace_lines"]]] = MappingProxyType(
    {**dict.fromkeys(("00", "02", "04", "06", "14", "22"), "add_lines"), "05": "replace_lines"}
)
"""BSN01 (code list 353), as far as a notice with it is read."""

_DELETIONS: Final = frozenset({"01", "03"})
_UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "EA": "each",
        "BX": "box",
        "CT": "case",
        "CA": "case",
        "CS": "case",
        "PL": "pallet",
        "PF": "pallet",
        "PR": "pair",
        "LT": "litre",
    }
)
_GTINS: Final = frozenset({"UP", "UK", "EN", "UA"})
_MODES: Final[Mapping[str, Mode]] = MappingProxyType(
    {"S": "sea", "O": "sea", "A": "air", "AC": "air", "M": "road", "J": "road", "LT": "road", "R": "rail"}
)
_ROLES: Final[Mapping[SenderKind, PartyRole]] = MappingProxyType(
    {"ocean_carrier": "carrier", "airline": "carrier", "railway": "carrier", "trucker": "trucker", "forwarder": "forwarder"}
)
CATEGORIES: Final[tuple[tuple[str, ItemCategory], ...]] = (
    ("KN95", "kn95_respirator"),
    ("N95", "n95_respirator"),
    ("TC-84A-", "n95_respirator"),
    ("FACE SHIELD", "face_shield"),
    ("FACE COVER", "face_covering"),
    ("SURGICAL MASK", "surgical_mask"),
    ("PROCEDURE MASK", "surgical_mask"),
    ("COVERALL", "coverall"),
    ("GOWN", "gown"),
    ("GOGGLE", "goggles"),
    ("GLOVE", "glove"),
    ("SANITIZER", "hand_sanitizer"),
    ("WIPE", "wipe"),
    ("VENTILATOR", "ventilator"),
    ("IV SET", "iv_set"),
    ("INFUSION PUMP", "infusion_pump"),
    ("PARTITION", "partition"),
    ("TEST KIT", "test_kit"),
)
"""Words of a description and the category that they tell, the first that is found."""

_REFERENCES_MOST: Final = 64  # schemas/consignment_command_v1.py; linking ones: services/ingest/commands.py
_LINKING_MOST: Final = 32
_EXPIRY = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_QUANTITY = re.compile(r"([0-9]{1,11})(?:\.0*)?")


class Notes(msgspec.Struct, eq=False):
    """What was wrong or assumed, in order."""

    warnings: list[Warning_] = msgspec.field(default_factory=list)

    def warn(self, code: str, text: str, where: Where = None) -> None:
        note(self.warnings, code, where or "" if where is None or isinstance(where, str) else where.where, text)

    def at_local(self, local: datetime, zone: Zone, where: Where = None) -> datetime:
        """`local` in an assumed zone, as a Draft notes it."""
        return by_assumed_clock(self, local, zone, where)


class _Level(msgspec.Struct, frozen=True):
    """An HL, and what its items take from it and from those above: their container, lot and expiry."""

    code: str
    number: str
    parent: str
    container: str | None = None
    lot: str = ""
    expires_on: str = ""


class _Line(msgspec.Struct, eq=False):
    """An item (HL level I): its segments are gathered, also those of the packs below it, and read when it ends."""

    level: _Level
    lin: Segment | None = None
    sn1: Segment | None = None
    pid: Segment | None = None
    lot: str = ""
    expires_on: str = ""


def read_set(one: Set, context: Context) -> Iterator[Verdict]:
    """What the notice asks. Raises Bad."""
    begin = one.first("BSN")
    if begin is None:
        raise Bad("missing_segment", one.start.where, "an 856 without BSN announces nothing")
    purpose, number = begin.get(1), begin.get(2)
    if purpose in _DELETIONS:
        text = "a ship notice withdrawn cancels nothing by itself: cancel the consignment, or send the right notice (BSN01 05)"
        raise Bad("deletion", begin.where, text, 1)
    wrong: list[Bad] = []
    if purpose not in PURPOSES:
        wrong.append(Bad("unknown_purpose", begin.where, f"purpose {purpose[:10]} (BSN01) is not read", 1))
    if not number:
        wrong.append(Bad("missing_code", begin.where, "BSN has no number (BSN02)", 2))
    if wrong:
        raise Bad.of(wrong)
    notice = _Notice(one, context)
    fields = {"consignment": notice.consignment(number)} | notice.fields()
    asked = Asked(
        fields, one.start.number, one.payload, PURPOSES[purpose], (*one.warnings, *notice.notes.warnings)[:WARNINGS_MAX]
    )
    yield Verdict(begin.where, asked=asked)


class _Notice:
    """Reads the segments of one notice, once, in their order."""

    def __init__(self, one: Set, context: Context) -> None:
        self.notes = Notes()
        self._context = context
        self._levels: dict[str, _Level] = {}
        self._level = _Level("", "", "")
        self._line: _Line | None = None
        self._items: list[dict[str, Any]] = []
        self._lines: set[int] = set()
        self._last_line = 0
        self._packing: list[dict[str, Any]] = []
        self._references: dict[tuple[ReferenceKind, str], None] = {}
        self._parties: dict[str, str] = {}
        self._route: dict[str, Any] = {}
        self._place: Place | None = None
        self._state = ""
        self._city_is_of_place = False
        self._times: dict[str, Segment] = {}
        self._named: list[str] = []
        self._take_all(one)

    def consignment(self, number: str) -> str:
        """The consignment's id where the notice names it (BSN02, REF CR or SI), else the sender's code and the number."""
        for text in (number, *self._named):
            buyer, hyphen, _ = text.partition("-")
            if hyphen and (buyer == self._context.sender or buyer in self._context.registers.senders):
                return text
        return f"{self._context.sender}-{number}"

    def fields(self) -> dict[str, Any]:
        """The declaration, without what the notice does not say."""
        zone = zone_of(self._place, self._context.registers, self._state)
        plan = {"delivered": self._time("017", zone)}
        said = {
            "items": self._items,
            "parties": self._parties,
            "route": self._route,
            "plan": {milestone: at for milestone, at in plan.items() if at},
            "required_by": self._time("002", zone),
            "references": self._bounded(),
            "packing": self._packing,
        }
        return {name: value for name, value in said.items() if value}

    def _time(self, qualifier: str, zone: Zone) -> str | None:
        segment = self._times.get(qualifier)
        if segment is None:
            return None
        try:
            return rfc3339(read_time(self.notes, segment, 2, zone))
        except Bad as bad:
            self.notes.warn("time_not_used", bad.text, bad.where)
            return None

    def _bounded(self) -> list[dict[str, str]]:
        """The references that a declaration has room for: documents and units before pallets, then what does not link."""
        ranked = sorted(self._references, key=lambda ref: ref[0] in LOGISTIC_KINDS)
        linking = [ref for ref in ranked if ref[0] in LINKING_KINDS][:_LINKING_MOST]
        others = [ref for ref in ranked if ref[0] not in LINKING_KINDS][: _REFERENCES_MOST - len(linking)]
        kept = {*linking, *others}
        if len(kept) < len(self._references):
            text = f"{len(self._references)} references; {_REFERENCES_MOST} are kept, of those that link {_LINKING_MOST}"
            self.notes.warn("too_many_references", text)
        return [{"kind": kind, "value": value} for kind, value in self._references if (kind, value) in kept]

    # --- segments

    def _take_all(self, one: Set) -> None:
        levels = 0
        for segment in one.segments:
            if segment.name == "HL":
                levels += 1
                self._begin_level(segment)
            elif segment.name == "CTT":
                if segment.get(1) and segment.get(1).lstrip("0") != str(levels):
                    text = f"CTT01 says {segment.get(1)[:20]} levels, counted are {levels}"
                    self.notes.warn("bad_count", text, segment)
            else:
                self._take(segment)
        self._end_line()

    def _begin_level(self, segment: Segment) -> None:
        number, parent, code = segment.get(1), segment.get(2), segment.get(3).upper()
        inside = self._line is not None and code == "P" and parent == self._line.level.number
        if not inside:
            self._end_line()
        above = self._levels.get(parent)
        if above is None:
            if parent:
                text = f"its parent {parent[:20]} does not stand before it; read as part of the shipment"
                self.notes.warn("bad_hierarchy", text, segment)
            above = next(iter(self._levels.values()), _Level("", "", ""))
        self._level = replace(above, code=code, number=number, parent=parent)
        self._levels[number] = self._level
        if code == "I":
            self._line = _Line(self._level)

    def _take(self, segment: Segment) -> None:
        name, line = segment.name, self._line
        if name == "REF":
            self._take_reference(segment)
        elif name == "PRF":
            self._refer("purchase_order", segment.get(1), segment)
        elif name == "MAN" and segment.get(1).upper() in ("GM", "AA"):
            self._refer("sscc", segment.get(2), segment)
        elif name == "TD3":
            self._take_equipment(segment)
        elif name == "TD5":
            self._take_carrier(segment)
        elif name == "N1":
            self._take_party(segment)
        elif name == "N4" and self._city_is_of_place:
            self._state = segment.get(2).upper()
        elif name == "DTM":
            self._take_time(segment)
        elif line is not None and name == "LIN":
            line.lin = segment
        elif line is not None and name == "SN1":
            line.sn1 = segment
        elif line is not None and name == "PID" and line.pid is None:
            line.pid = segment

    def _take_reference(self, segment: Segment) -> None:
        qualifier, value = segment.get(1).upper(), segment.get(2)
        if qualifier in ("LT", "BT"):
            self._take_lot(value, segment)
        elif qualifier in ("CR", "SI"):
            self._named.append(value)
        elif qualifier in REFERENCES:
            self._refer(REFERENCES[qualifier], value, segment)

    def _take_lot(self, value: str, where: Where) -> None:
        line = self._line
        if line is None:
            self._level = self._levels[self._level.number] = replace(self._level, lot=value)
        elif line.lot and line.lot != value:
            text = f"lot {value[:20]} contradicts {line.lot[:20]}, named before; a line has one lot, {value[:20]} is not used"
            self.notes.warn("contradiction", text, where)
        else:
            line.lot = value

    def _take_time(self, segment: Segment) -> None:
        qualifier = segment.get(1)
        if qualifier == "036":
            expires_on = _expiry(segment.get(2))
            if expires_on is None:
                self.notes.warn("time_not_used", f"{segment.get(2)[:20]} is no date of expiry (CCYYMMDD)", segment)
            elif self._line is None:
                self._level = self._levels[self._level.number] = replace(self._level, expires_on=expires_on)
            else:
                self._line.expires_on = expires_on
        else:
            self._times.setdefault(qualifier, segment)

    def _take_equipment(self, segment: Segment) -> None:
        owner, number, where = segment.get(2), segment.get(3), segment
        joined = identifiers.join_container(owner, number, "")
        whole = identifiers.normalise("container", owner + number)
        if joined is not None:
            whole, computed = joined
            if computed:
                text = f"container {whole[:10]} came without its check digit; {whole[10]} computed"
                self.notes.warn("check_digit_computed", text, where)
        if identifiers.is_container(whole):
            self._refer("container", whole, where)
            several = self._level.container is not None and self._level.container != whole
            # of several containers at one level nobody says which of them holds what
            self._level = replace(self._level, container=None if several else whole)
            self._levels[self._level.number] = self._level
        elif number:
            self.notes.warn("equipment_not_used", f"{(owner + number)[:20]} is no container; not used", where)
        self._refer("seal", segment.get(9), where)

    def _take_carrier(self, segment: Segment) -> None:
        mode = _MODES.get(segment.get(4).upper())
        if mode is not None:
            self._route.setdefault("mode", mode)
        scac = segment.get(3).upper()
        if segment.get(2) != "2" or not scac:
            return
        sender = self._context.registers.by_scac.get(scac)
        role = _ROLES.get(sender.kind) if sender is not None else None
        if sender is None or role is None:
            self.notes.warn("unknown_carrier", f"carrier {scac[:10]} is not a registered sender; not used", segment)
        else:
            self._parties.setdefault(role, sender.code)

    def _take_party(self, segment: Segment) -> None:
        self._city_is_of_place = segment.get(1).upper() == "ST"
        if not self._city_is_of_place or not segment.get(4):
            return
        registers = self._context.registers
        facility = facility_by_code(segment.get(4), registers)
        if (wrong := identifiers.doubt("gln", segment.get(4))) is not None:
            self.notes.warn("bad_check_digit", wrong, segment)
        if facility is None:
            self.notes.warn("unknown_place", f"{segment.get(4)[:40]} is not a registered facility; not used", segment)
            return
        self._place = place_of(facility=facility.code)
        self._route.setdefault("place_of_delivery", facility.code)
        if facility.code in registers.senders:
            self._parties.setdefault("consignee", facility.code)

    # --- items

    def _end_line(self) -> None:
        line, self._line = self._line, None
        if line is None:
            return
        where: Where = line.lin if line.lin is not None else f"HL {shown(line.level.number)[:20]}"
        quantity = self._quantity(line, where)
        if quantity is None:
            return
        number = self._line_number(line, where)
        description = line.pid.get(5) if line.pid is not None else ""
        item: dict[str, Any] = {"line": number, "category": self._category(line, description, where)}
        if description:
            item["description"] = shown(description, 128)
        item |= {"quantity": quantity, "unit": self._unit(line)}
        ids = _pairs(line.lin) if line.lin is not None else {}
        lot = ids.get("LT") or line.lot or line.level.lot
        if lot and identifiers.is_lot(lot):
            item["lot"] = lot
        elif lot:
            self.notes.warn("bad_lot", f"lot {lot[:40]} is not 1 to 20 characters of GS1's set 82; not used", where)
        if expires_on := line.expires_on or line.level.expires_on:
            item["expires_on"] = expires_on
        gtin = next((value for name, value in ids.items() if name in _GTINS), "")
        if gtin and "lot" in item:
            self._refer("gtin_lot", identifiers.gtin_lot(gtin, lot), where)
        self._items.append(item)
        if line.level.container is not None:
            unit = {"kind": "container", "value": line.level.container}
            self._packing.append({"line": number, "unit": unit, "quantity": quantity})

    def _quantity(self, line: _Line, where: Where) -> int | None:
        if line.sn1 is None:
            self.notes.warn("bad_quantity", "the line has no quantity (SN1); left out", where)
            return None
        match = _QUANTITY.fullmatch(line.sn1.get(2))
        if match is None or int(match[1]) == 0:
            text = f"{line.sn1.get(2)[:20]} is not a whole number of units; the line is left out"
            self.notes.warn("bad_quantity", text, line.sn1)
            return None
        return int(match[1])

    def _unit(self, line: _Line) -> str:
        assert line.sn1 is not None
        code = line.sn1.get(3).upper()
        if code not in _UNITS:
            self.notes.warn("unknown_unit", f"unit {code[:10]} (SN103) is not known; each assumed", line.sn1)
        return _UNITS.get(code, "each")

    def _line_number(self, line: _Line, where: Where) -> int:
        named = line.lin.get(1) if line.lin is not None else ""
        number = int(named) if named.isascii() and named.isdigit() and len(named) <= 5 else 0
        if not 1 <= number <= 10_000 or number in self._lines:
            free = self._last_line + 1
            if number:
                self.notes.warn("line_repeated", f"line {number} cannot stand here again; {free} given", where)
            number = free
        self._lines.add(number)
        self._last_line = max(self._last_line, number)
        return number

    def _category(self, line: _Line, description: str, where: Where) -> ItemCategory:
        upper = description.upper()
        if line.pid is not None and (text := identifiers.niosh_doubt(upper)) is not None:
            self.notes.warn("niosh_approval", text, line.pid)
        found = next((category for words, category in CATEGORIES if words in upper), None)
        if found is None:
            self.notes.warn("category_assumed", "no description tells the category; other assumed", where)
            return "other"
        assert line.pid is not None
        self.notes.warn("category_assumed", f"category {found} taken from the description", line.pid)
        return found

    def _refer(self, kind: ReferenceKind, value: str | None, where: Where) -> None:
        if not value:
            return
        text = identifiers.normalise(kind, value)
        if (kind, text) in self._references:
            return
        if not identifiers.is_reference_value(text):
            self.notes.warn("bad_reference", f"{kind} {value[:40]} is not 1 to 64 printable characters; not used", where)
        elif identifiers.is_placeholder(kind, text):
            self.notes.warn("placeholder", f"{kind} {text} is a known example value; not used", where)
        else:
            if (wrong := identifiers.doubt(kind, text)) is not None:
                self.notes.warn("bad_check_digit", wrong, where)
            self._references[kind, text] = None


def _pairs(lin: Segment) -> Mapping[str, str]:
    """LIN02 and on: qualifier, value, qualifier, value; of a repeated one the first."""
    found: dict[str, str] = {}
    for index in range(2, min(len(lin.elements), 31), 2):
        if lin.get(index) and lin.get(index + 1):
            found.setdefault(lin.get(index).upper(), lin.get(index + 1))
    return found


def _expiry(text: str) -> str | None:
    """A date of expiry as the contract holds it; day 00 is the last of the month (GS1)."""
    match = _EXPIRY.fullmatch(text)
    if match is None:
        return None
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    if not 2000 <= year < 2200 or not 1 <= month <= 12:
        return None
    last = calendar.monthrange(year, month)[1]
    return f"{year}-{month:02d}-{day or last:02d}" if day <= last else None
