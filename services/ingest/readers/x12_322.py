"""X12 322, terminal operations and intermodal ramp activity: one status (Q5) of each unit (N7 loop) of a set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from schemas.words import ReferenceKind
from services.ingest import identifiers
from services.ingest.readers import own_codes
from services.ingest.readers.draft import Bad, Draft, Identities, again, hold_of
from services.ingest.readers.model import Context, Verdict
from services.ingest.readers.x12_codes import TERMINAL
from services.ingest.readers.x12_places import Port, end_of, named_spot, port_spot, role_of
from services.ingest.readers.x12_segments import ELEMENTS, Segment, Set, read_reference, read_time, time_faults

STANDARD: Final = "x12.322"
READER_VERSION: Final = 2

_RAIL_CAR, _CHASSIS = "RR", "CH"  # N711, W204 (code list 40)
_EMPTY: Final = frozenset({"E", "W", "AA", "AB", "AI", "AJ", "AL"})  # W205 (code list 578)
_LOADS: Final = _EMPTY | {"L", "AC", "AG", "AH"}
_ESTIMATED, _ACTUAL = "139", "140"
_ONE: Final[frozenset[ReferenceKind]] = frozenset({"container", "rail_car"})


class _Unit(msgspec.Struct, frozen=True, eq=False):
    """An N7 and what follows it."""

    n7: Segment
    more: list[Segment]


class _Parts(msgspec.Struct, frozen=True, eq=False):
    """A set's segments: Q5, ZC1 and the units."""

    statuses: list[Segment]
    corrections: list[Segment]
    units: list[_Unit]

    @classmethod
    def of(cls, segments: Iterable[Segment]) -> _Parts:
        """Sorted in one walk."""
        statuses: list[Segment] = []
        corrections: list[Segment] = []
        units: list[_Unit] = []
        more: list[Segment] | None = None
        for segment in segments:
            name = segment.name
            if name == "N7":
                more = []
                units.append(_Unit(segment, more))
                continue
            if name == "Q5":
                statuses.append(segment)
            elif name == "ZC1":
                corrections.append(segment)
            if more is not None:
                more.append(segment)
        return cls(statuses, corrections, units)


def read_set(one: Set, context: Context, identities: Identities) -> Iterator[Verdict]:
    """One verdict a unit, two of CU (customs and carrier released); a bad one costs only itself. Raises Bad.

    An event's source tokens: the status, and its unit's own segments; not the other units.
    """
    found = _Parts.of(one.segments)
    if not found.statuses:
        raise Bad("missing_segment", one.start.where, "a 322 without Q5 has no status")
    status, units = found.statuses[0], found.units
    code = status.get(1).upper()
    if len(found.statuses) > 1:
        one.warn_of_more(found.statuses, 1)
    if not units:
        wrong = Bad("missing_segment", one.start.where, "a 322 without N7 names no unit")
        raise Bad.of([wrong, *(() if code else (_without_code(status),)), *time_faults(status, 2)])
    correction = found.corrections[0] if found.corrections else None
    own = own_codes.map_of(context, STANDARD)
    frees = code == "CU" and (own is None or code not in own.codes)
    for unit in units:
        tokens = [status.elements, unit.n7.elements, *map(ELEMENTS, unit.more)]
        try:
            draft = _draft(one, status, code, unit, context, correction, own is not None)
            released = again(draft) if frees else None
            stamp = None if draft.classifier == "actual" else one.stamp
            yield Verdict(draft.position, draft.finish(identities.of(tokens, stamp)))
            if released is not None:
                released.milestone, released.hold = None, hold_of(("freight", "released"))
                yield Verdict(released.position, released.finish(identities.of(tokens, stamp, "freight")))
        except Bad as bad:
            payload = "\n".join([segment.raw for segment in (status, unit.n7, *unit.more)])
            yield bad.verdict(unit.n7.where, payload.encode("utf-8", "replace"))


def _draft(
    one: Set, status: Segment, code: str, unit: _Unit, context: Context, correction: Segment | None, has_own_codes: bool
) -> Draft:
    draft = Draft(context, STANDARD, READER_VERSION, unit.n7.where, code, warnings=list(one.warnings), single=_ONE)
    if correction is not None:
        text = "corrects an earlier message; what that one said stands until its sender withdraws it"
        draft.warn("correction", text, correction)
    if not code:
        draft.fault(_without_code(status))
    _, owner, number, _, _, _, _, _, _, _, _, described, _, _, _, _, _, _, digit = unit.n7.first(19)
    _equipment(draft, unit.n7, owner, number, digit, described)
    said_again = []  # by which DTM
    ports: dict[str, Port] = {}  # by role, the first
    for segment in unit.more:
        name = segment.name
        if name == "DTM":
            _, kind, day, clock = segment.first(4)
            if kind in (_ESTIMATED, _ACTUAL) and day == status.get(2) and clock == status.get(3):
                said_again.append(kind)
            else:
                draft.warn("time_not_used", f"DTM {kind[:3]} ({day[:8]} {clock[:8]}) is not read", segment)
        elif name == "R4":
            port = Port.of(segment)
            ports.setdefault(port.role, port)
        elif (read := _READ.get(name)) is not None:
            read(draft, segment)
    if code:
        _map(draft, status, has_own_codes)
    if draft.classifier == "actual" and said_again and _ACTUAL not in said_again:
        draft.classifier = "estimated"
    _where_and_when(draft, status, ports)
    return draft


def _without_code(status: Segment) -> Bad:
    return Bad("missing_code", status.where, "Q5 names no status (Q501)", 1)


def _chassis_or_box(draft: Draft, segment: Segment) -> None:
    """W2: the unit once more, or what it stands on; whether it is loaded."""
    _, owner, number, _, described, load, _, _, _, _, _, _, _, digit = segment.first(14)
    load = load.upper()
    if _equipment(draft, segment, owner, number, digit, described) and load in _LOADS:
        draft.empty = load in _EMPTY


def _seals(draft: Draft, segment: Segment) -> None:
    """M7."""
    for seal in segment.elements[1:5]:
        draft.refer("seal", seal, segment)


def _vessel(draft: Draft, segment: Segment) -> None:
    """V1."""
    _, code, name, _, voyage, _, _, _, listed = segment.first(9)
    is_imo = code.isdigit() and listed.upper() != "C"  # C: a call sign
    draft.vessel(code if is_imo else None, name, voyage, segment)


_READ: Final[Mapping[str, Callable[[Draft, Segment], object]]] = MappingProxyType(
    {"W2": _chassis_or_box, "M7": _seals, "N9": read_reference, "V1": _vessel}
)
"""The segments behind N7 that tell of the unit, but for DTM."""


def _equipment(draft: Draft, segment: Segment, owner: str, number: str, digit: str, description: str) -> bool:
    """Add the unit of N7 or W2 (initial, number); False if it is another than the one named before.

    A rail car is no container even where its mark looks like an owner's code, a chassis none though ISO 6346 numbers it.
    """
    description = description.upper()
    if description == _CHASSIS or identifiers.scac_names(owner.upper()) == "chassis owner":
        draft.transport["vehicle"] = draft.short(owner + number, segment)
        return True
    before = len(draft.warnings)
    if description == _RAIL_CAR:
        draft.refer("rail_car", owner + number, segment)
    elif not draft.split_equipment(owner, number, digit, segment):
        draft.equipment(owner + number + (digit if len(number) == 6 else ""), segment)
    return len(draft.warnings) == before or not any(one.code == "contradiction" for one in draft.warnings[before:])


def _map(draft: Draft, status: Segment, has_own_codes: bool) -> None:
    """What the code means, by the sender's own map, else by the list. There a gate moves a loaded unit's milestone, and the
    empty's return; who does not say which it is, moves nothing."""
    if has_own_codes and own_codes.apply(draft, draft.code):
        return
    known = TERMINAL.get(draft.code)
    if known is None:
        draft.unmapped(status)
        return
    draft.milestone, draft.mode = known.milestone, known.mode
    draft.hold = hold_of(known.hold)
    if known.is_empty and draft.empty is None:
        draft.empty = True
    if not known.by_load:
        return
    if draft.empty is None:
        draft.milestone = None
        text = f"does not say whether the unit is loaded or empty (W205): {draft.code} moves nothing"
        draft.warn("empty_unknown", text)
    elif draft.empty:
        draft.milestone = known.empty


def _where_and_when(draft: Draft, status: Segment, ports: Mapping[str, Port]) -> None:
    if "5" in ports:
        spot = port_spot(draft, ports["5"].r4, role_of("5", ports))
    else:
        _, _, _, _, _, _, name, state, country = status.first(9)
        spot = named_spot(draft, status, name=name, country=country, state=state.upper())
    draft.place = spot.place
    if ports:
        draft.origin, draft.destination = end_of(draft, ports, "LR"), end_of(draft, ports, "DE")
    try:
        draft.occurred_at = read_time(draft, status, 2, spot.zone)
    except Bad as bad:
        draft.fault(bad)
