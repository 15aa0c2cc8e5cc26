"""X12 322, terminal operations and intermodal ramp activity: one status (Q5) of each unit (N7 loop) of a set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas.words import ReferenceKind
from services.ingest import identifiers
from services.ingest.places import zone_of
from services.ingest.readers import own_codes
from services.ingest.readers.draft import Bad, Draft, Identities, hold_of
from services.ingest.readers.model import Context, Verdict
from services.ingest.readers.x12_codes import REFERENCES, TERMINAL
from services.ingest.readers.x12_places import end_of, firsts_of, named_place, port_place, ports_of, role_of
from services.ingest.readers.x12_segments import Segment, Set, read_time, time_faults

STANDARD: Final = "x12.322"
READER_VERSION: Final = 2

_RAIL_CAR, _CHASSIS = "RR", "CH"  # N711, W204 (code list 40)
_EMPTY: Final = frozenset({"E", "W", "AA", "AB", "AI", "AJ", "AL"})  # W205 (code list 578)
_LOADS: Final = _EMPTY | {"L", "AC", "AG", "AH"}
_ESTIMATED, _ACTUAL = "139", "140"
_ONE: Final[frozenset[ReferenceKind]] = frozenset({"container", "rail_car"})


@dataclass(slots=True)
class _Unit:
    """An N7 and what follows it."""

    n7: Segment
    more: list[Segment] = field(default_factory=list)


def read_set(one: Set, context: Context, identities: Identities) -> Iterator[Verdict]:
    """One verdict a unit, two of CU (customs and carrier released); a bad one costs only itself. Raises Bad.

    An event's source tokens: the status, and its unit's own segments; not the other units.
    """
    status = one.first("Q5")
    if status is None:
        raise Bad("missing_segment", one.start.where, "a 322 without Q5 has no status")
    code = status.get(1).upper()
    one.warn_of_more(status, 1)
    units = _units(one)
    if not units:
        wrong = Bad("missing_segment", one.start.where, "a 322 without N7 names no unit")
        raise Bad.of([wrong, *_without_code(status), *time_faults(status, 2)])
    correction = one.first("ZC1")
    facets = ("", "freight") if code == "CU" and own_codes.meaning_of(context, STANDARD, code) is None else ("",)
    for unit in units:
        tokens = [segment.elements for segment in (status, unit.n7, *unit.more)]
        for facet in facets:
            try:
                draft = _draft(one, status, code, unit, context, correction)
                if facet:
                    draft.milestone, draft.hold = None, hold_of(("freight", "released"))
                event_id = identities.of(tokens, None if draft.classifier == "actual" else one.stamp, facet)
                yield Verdict(draft.position, event=draft.finish(event_id))
            except Bad as bad:
                payload = "\n".join(segment.raw for segment in (status, unit.n7, *unit.more))
                yield bad.verdict(unit.n7.where, payload.encode("utf-8", "replace"))
                break


def _units(one: Set) -> Sequence[_Unit]:
    units: list[_Unit] = []
    for segment in one.segments:
        if segment.name == "N7":
            units.append(_Unit(segment))
        elif units:
            units[-1].more.append(segment)
    return units


def _draft(one: Set, status: Segment, code: str, unit: _Unit, context: Context, correction: Segment | None) -> Draft:
    draft = Draft(context, STANDARD, READER_VERSION, unit.n7.where, code, warnings=list(one.warnings), single=_ONE)
    if correction is not None:
        text = "corrects an earlier message; what that one said stands until its sender withdraws it"
        draft.warn("correction", text, correction.where)
    for wrong in _without_code(status):
        draft.fault(wrong)
    _equipment(draft, unit.n7, unit.n7.get(18), unit.n7.get(11))
    for segment in unit.more:
        _note(draft, segment, status)
    if code:
        _map(draft, status)
    _where_and_when(draft, status, unit)
    return draft


def _without_code(status: Segment) -> Sequence[Bad]:
    return () if status.get(1) else [Bad("missing_code", status.where, "Q5 names no status (Q501)", 1)]


def _note(draft: Draft, segment: Segment, status: Segment) -> None:
    """What one segment behind N7 tells of the unit."""
    if segment.name == "W2":
        same = _equipment(draft, segment, segment.get(13), segment.get(4))
        load = segment.get(5).upper()
        if same and load in _LOADS:
            draft.empty = load in _EMPTY
    elif segment.name == "M7":
        for seal in segment.elements[1:5]:
            draft.refer("seal", seal, segment.where)
    elif segment.name == "N9":
        qualifier, value = segment.get(1).upper(), segment.get(2)
        if qualifier == "EQ":
            draft.equipment(value, segment.where)
        elif qualifier in REFERENCES:
            draft.refer(REFERENCES[qualifier], value, segment.where)
    elif segment.name == "V1":
        code = segment.get(1)
        is_imo = segment.get(8).upper() != "C" and code.isdigit()  # C: a call sign
        draft.vessel(code if is_imo else None, segment.get(2), segment.get(4), segment.where)
    elif segment.name == "DTM" and not _is_its_own(segment, status):
        text = f"DTM {segment.get(1)[:3]} ({segment.get(2)[:8]} {segment.get(3)[:8]}) is not read"
        draft.warn("time_not_used", text, segment.where)


def _equipment(draft: Draft, segment: Segment, digit: str, description: str) -> bool:
    """Add the unit of N7 or W2 (initial, number); False if it is another than the one named before.

    A rail car is no container even where its mark looks like an owner's code, a chassis none though ISO 6346 numbers it.
    """
    _, owner, number = segment.first(3)
    if description.upper() == _CHASSIS or identifiers.scac_names(owner.upper()) == "chassis owner":
        draft.transport["vehicle"] = draft.short(owner + number, segment.where)
        return True
    before = len(draft.warnings)
    if description.upper() == _RAIL_CAR:
        draft.refer("rail_car", owner + number, segment.where)
    elif not draft.split_equipment(owner, number, digit, segment.where):
        draft.equipment(owner + number + (digit if len(number) == 6 else ""), segment.where)
    return len(draft.warnings) == before or not any(one.code == "contradiction" for one in draft.warnings[before:])


def _map(draft: Draft, status: Segment) -> None:
    """What the code means, by the sender's own map, else by the list. There a gate moves a loaded unit's milestone, and the
    empty's return; who does not say which it is, moves nothing."""
    if own_codes.apply(draft, draft.code):
        return
    known = TERMINAL.get(draft.code)
    if known is None:
        draft.unmapped(status.where)
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


def _is_its_own(time: Segment, status: Segment) -> bool:
    """Whether a DTM only says once more when the status was, or that its time is an estimate."""
    return time.get(1) in (_ESTIMATED, _ACTUAL) and (time.get(2), time.get(3)) == (status.get(2), status.get(3))


def _where_and_when(draft: Draft, status: Segment, unit: _Unit) -> None:
    ports = firsts_of(ports_of(unit.more)[0])
    if "5" in ports:
        draft.place = port_place(draft, ports["5"].r4, role_of("5", ports))
        state = ports["5"].state
    else:
        draft.place = named_place(draft, status, name=status.get(6), country=status.get(8))
        state = status.get(7).upper()
    draft.origin, draft.destination = end_of(draft, ports, "LR"), end_of(draft, ports, "DE")
    own = [time for time in unit.more if time.name == "DTM" and _is_its_own(time, status)]
    if draft.classifier == "actual" and own and all(time.get(1) == _ESTIMATED for time in own):
        draft.classifier = "estimated"
    try:
        draft.occurred_at = read_time(draft, status, 2, zone_of(draft.place, draft.context.registers, state))
    except Bad as bad:
        draft.fault(bad)
