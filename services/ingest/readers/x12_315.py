"""X12 315, status details (ocean): one status of one container a set. Codes to milestones: docs/milestones.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from schemas.shipment_event_v1 import Hold, Place
from schemas.words import HoldKind, HoldState, Milestone, Mode, ReferenceKind
from services.ingest import identifiers
from services.ingest.places import facility_by_code, facility_by_smdg, zone_of
from services.ingest.readers.draft import Bad, Draft, Identities
from services.ingest.readers.model import Context, Verdict
from services.ingest.readers.x12_segments import Segment, Set, read_time

STANDARD: Final = "x12.315"
READER_VERSION: Final = 1

_MILESTONES: Mapping[str, Milestone] = MappingProxyType(
    {
        "OA": "received",
        "I": "received",
        "VD": "departed",
        "Z2": "transship_arrived",
        "Z5": "transship_departed",
        "VA": "arrived",
        "UV": "discharged",
        "CT": "customs_released",
        "CU": "customs_released",
        "Y1": "available",
        "Z8": "gate_out",
        "D": "delivered",
        "RD": "empty_returned",
    }
)
_HOLDS: Mapping[str, tuple[HoldKind, HoldState]] = MappingProxyType(
    {
        "PA": ("customs", "placed"),
        "CT": ("customs", "released"),
        "CU": ("customs", "released"),
        "X9": ("other", "placed"),
        "CR": ("freight", "released"),
        "NO": ("freight", "released"),
    }
)
_NEWS: Final = frozenset({"EE", "AE", "Z3", "Z4", "AM", "AL", "RL", "AR", "UR", "W1", "W2", "W3"})
_KNOWN: Final = frozenset(_MILESTONES) | frozenset(_HOLDS) | _NEWS
_EMPTY: Final = frozenset({"EE", "RD"})
_RAIL: Final = frozenset({"AL", "RL", "AR", "UR"})
_SEA: Final = frozenset({"AE", "VD", "Z2", "Z3", "Z4", "Z5", "VA", "UV"})

_ROLES: Mapping[str, str] = MappingProxyType(
    {"R": "receipt", "L": "load", "T": "transship", "D": "discharge", "E": "delivery", "5": "activity"}
)
_PLACE_OF_STATUS: Mapping[str, str] = MappingProxyType(
    {  # where no R4*5 says so: the R4 roles to look for, in order
        **dict.fromkeys(("EE", "OA"), "RL"),
        **dict.fromkeys(("I", "AE", "VD"), "L"),
        **dict.fromkeys(("Z2", "Z3", "Z4", "Z5"), "T"),
        **dict.fromkeys(("VA", "UV", "Y1", "CT", "CU", "CR", "PA", "NO", "X9", "Z8", "AM", "AL", "RL"), "D"),
        **dict.fromkeys(("AR", "UR", "W1", "W2", "D", "RD"), "ED"),
    }
)
_REFERENCES: Mapping[str, ReferenceKind] = MappingProxyType(
    {
        "BM": "bill_of_lading",
        "MB": "bill_of_lading",
        "BN": "booking",
        "BK": "booking",
        "PO": "purchase_order",
        "SN": "seal",
        "CN": "pro_number",
    }
)
_TIME_OF: Final = ("140", "139")  # actual, estimated


def read_set(one: Set, context: Context, identities: Identities) -> Iterator[Verdict]:
    """The set's event; CU (customs and carrier released) gives two. Raises Bad."""
    status = one.first("B4")
    if status is None:
        raise Bad("missing_segment", one.start.where, "a 315 without B4 has no status")
    code = status.get(3).upper()
    if not code:
        raise Bad("missing_code", status.where, "B4 names no status (B403)")
    tokens = [list(segment.elements) for segment in one.segments]
    for facet in ("", "freight") if code == "CU" else ("",):
        draft = _draft(one, status, code, context)
        if facet:
            draft.milestone, draft.hold = None, Hold(kind="freight", state="released")
        event_id = identities.of(tokens, None if draft.classifier == "actual" else one.stamp, facet)
        yield Verdict(draft.position, event=draft.finish(event_id))


def _draft(one: Set, status: Segment, code: str, context: Context) -> Draft:
    draft = Draft(context, STANDARD, READER_VERSION, status.where, code, warnings=list(one.warnings))
    draft.milestone = _MILESTONES.get(code)
    if code in _HOLDS:
        kind, state = _HOLDS[code]
        draft.hold = Hold(kind=kind, state=state)
    if code not in _KNOWN:
        draft.unmapped()
    draft.mode = _mode(code)
    draft.empty = {"E": True, "L": False}.get(status.get(9).upper(), True if code in _EMPTY else None)
    _container(draft, status)
    carrier = ""
    for segment in one.every("N9"):
        qualifier, value = segment.get(1).upper(), segment.get(2)
        if qualifier == "EQ":
            draft.equipment(value, segment.where)
        elif qualifier in _REFERENCES:
            draft.refer(_REFERENCES[qualifier], value, segment.where)
        elif qualifier == "SCA":
            carrier = value.upper()
    if carrier and code == "AM":
        draft.transport["next_carrier"] = draft.short(carrier)
    else:
        draft.carrier(carrier)
    _vessel(draft, one)
    _where_and_when(draft, one, status, code)
    return draft


def _mode(code: str) -> Mode | None:
    return "rail" if code in _RAIL else "sea" if code in _SEA else None


def _container(draft: Draft, status: Segment) -> None:
    """B407 + B408 + B413: owner code, number, check digit; the last is often missing, or already in the number."""
    prefix, number, digit = status.get(7).upper(), status.get(8), status.get(13)
    if not number:
        return
    value = prefix + number
    if identifiers.is_owner_code(prefix) and len(number) == 6 and number.isascii() and number.isdigit():
        if not digit:
            digit = identifiers.container_check_digit(value)
            draft.warn("check_digit_computed", f"container {value} came without its check digit; {digit} computed")
        value += digit
    draft.equipment(value, status.where)


def _vessel(draft: Draft, one: Set) -> None:
    segment = one.first("Q2")
    if segment is None:
        return
    code = segment.get(1)
    is_imo = segment.get(12).upper() != "C" and code.isdigit()  # C: a call sign; L, or nothing: Lloyd's, that is IMO
    draft.vessel(code if is_imo else None, segment.get(13), segment.get(9), segment.where)


def _where_and_when(draft: Draft, one: Set, status: Segment, code: str) -> None:
    loops: dict[str, tuple[Segment, list[Segment]]] = {}
    times: list[Segment] = []  # of the loop that a DTM stands in; before the first R4, of the set
    loose = times
    for segment in one.segments:
        if segment.name == "R4":
            times = []
            loops.setdefault(segment.get(1).upper(), (segment, times))
        elif segment.name == "DTM" and segment.get(1) in _TIME_OF:
            times.append(segment)
    roles = ["5", *_PLACE_OF_STATUS.get(code, "")]
    role = next((role for role in roles if role in loops), None)
    states: dict[str, str] = {known: segment.get(8).upper() for known, (segment, _) in loops.items()}
    if role is not None:
        draft.place = _place(draft, loops[role][0], _role(role, code, loops))
    else:
        draft.place = _place_of_status(draft, status)
    draft.origin = _end(draft, loops, "LR")
    draft.destination = _end(draft, loops, "DE")
    zone = zone_of(draft.place, draft.context.registers, states.get(role or ""))
    chosen = _time_segment(status, loops, role, loose)
    if chosen is None:
        draft.occurred_at = read_time(draft, status, 4, zone, has_zone=False)
        return
    draft.classifier = "actual" if chosen.get(1) == "140" else "estimated"
    draft.occurred_at = read_time(draft, chosen, 2, zone)


def _time_segment(
    status: Segment, loops: Mapping[str, tuple[Segment, list[Segment]]], role: str | None, loose: list[Segment]
) -> Segment | None:
    """The DTM of the event: in the loop of its place, or before the loops, or the one that repeats B4's own date and time.

    A DTM in another place's loop tells of that place (the estimated arrival, while B4 tells of the departure).
    """
    own = [*(loops[role][1] if role is not None else ()), *loose]
    every = [*loose, *(segment for _, times in loops.values() for segment in times)]
    same = [segment for segment in every if (segment.get(2), segment.get(3)) == (status.get(4), status.get(5))]
    for found in (own, same, every if role is None else []):
        if found:
            return min(found, key=lambda segment: _TIME_OF.index(segment.get(1)))
    return None


def _role(role: str, code: str, loops: Mapping[str, tuple[Segment, list[Segment]]]) -> str:
    """What the event's place is to the message: an activity (5) at a place that has a role of its own takes that role."""
    if code in ("Z2", "Z3", "Z4", "Z5"):
        return "transship"
    if role == "5":
        where = loops["5"][0].get(3)
        same = [other for other in "TLDRE" if other in loops and where and loops[other][0].get(3) == where]
        return _ROLES[same[0]] if same else _ROLES["5"]
    return _ROLES[role]


def _end(draft: Draft, loops: Mapping[str, tuple[Segment, list[Segment]]], roles: str) -> Place | None:
    found = next((role for role in roles if role in loops), None)
    return _place(draft, loops[found][0], _ROLES[found]) if found else None


def _place(draft: Draft, segment: Segment, role: str | None) -> Place | None:
    return _make(
        draft,
        segment,
        qualifier=segment.get(2),
        code=segment.get(3),
        name=segment.get(4),
        country=segment.get(5),
        others=(segment.get(6), segment.get(7)),
        role=role,
    )


def _place_of_status(draft: Draft, status: Segment) -> Place | None:
    """B411 qualified by B412, else B406 (a place in words)."""
    code = status.get(11) or status.get(6)
    return _make(draft, status, qualifier=status.get(12), code=code, name="", country="", others=(), role=None)


def _make(
    draft: Draft,
    segment: Segment,
    *,
    qualifier: str,
    code: str,
    name: str,
    country: str,
    others: tuple[str, ...],
    role: str | None,
) -> Place | None:
    unlocode = code.upper() if qualifier.upper() == "UN" and identifiers.is_locode(code.upper()) else None
    if qualifier.upper() == "UN" and code and unlocode is None:
        draft.warn("bad_unlocode", f"{code[:20]} is not a UN/LOCODE; not used", segment.where)
    name = name or ("" if unlocode else code)
    facility = None
    for text in (name, *others):
        if text and facility is None:
            registers = draft.context.registers
            facility = facility_by_code(text, registers) or facility_by_smdg(text, unlocode, registers)
    country = country.upper()
    place = Place(
        unlocode=unlocode,
        name=draft.short(name) if name else None,
        country=country if len(country) == 2 and country.isascii() and country.isalpha() else None,
        facility=facility.code if facility else None,
    )
    return place.model_copy(update={"role": role}) if place != Place() else None
