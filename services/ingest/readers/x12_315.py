"""X12 315, status details (ocean): one status of one container a set; estimates of its other ports are events of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from schemas.shipment_event_v1 import Hold
from schemas.words import Milestone, ReferenceKind
from services.ingest.places import zone_of
from services.ingest.readers.draft import Bad, Draft, Identities
from services.ingest.readers.model import Context, Verdict
from services.ingest.readers.x12_codes import OCEAN, REFERENCES, Status
from services.ingest.readers.x12_places import ROLES, Port, end_of, named_place, port_place, ports_of, role_of
from services.ingest.readers.x12_segments import Segment, Set, read_time

STANDARD: Final = "x12.315"
READER_VERSION: Final = 2

_UNKNOWN: Final = Status("")
_PLACE_OF_STATUS: Mapping[str, str] = MappingProxyType(
    {  # where no R4*5 says so: the R4 roles to look for, in order
        **dict.fromkeys(("EE", "OA"), "RL"),
        **dict.fromkeys(("I", "AE", "VD"), "L"),
        **dict.fromkeys(("Z2", "Z3", "Z4", "Z5"), "T"),
        **dict.fromkeys(("VA", "UV", "Y1", "AV", "CT", "CU", "CR", "NO", "X9", "Z8", "AM", "AL", "RL"), "D"),
        **dict.fromkeys((code for code, status in OCEAN.items() if status.hold == ("customs", "placed")), "D"),
        **dict.fromkeys(("AR", "UR", "W1", "W2", "D", "RD"), "ED"),
    }
)
_TRANSSHIPMENT: Final = frozenset({"Z2", "Z3", "Z4", "Z5"})
_ESTIMATED, _ACTUAL = "139", "140"
_TIME_OF: Final = (_ACTUAL, _ESTIMATED)
ESTIMATES: Final[Mapping[str, Milestone]] = MappingProxyType(
    {"L": "departed", "T": "transship_arrived", "D": "arrived", "E": "delivered"}
)
"""What is expected at a port whose loop has a DTM*139, while B4 tells of another one: `estimate/D`."""

_LOADS: Final = MappingProxyType({"E": True, "L": False})  # B409
_ONE: Final[frozenset[ReferenceKind]] = frozenset({"container", "rail_car"})


def read_set(one: Set, context: Context, identities: Identities) -> Iterator[Verdict]:
    """The set's event, two of CU (customs and carrier released), and one for each other port's estimate. Raises Bad."""
    status = one.first("B4")
    if status is None:
        raise Bad("missing_segment", one.start.where, "a 315 without B4 has no status")
    code = status.get(3).upper()
    if not code:
        raise Bad("missing_code", status.where, "B4 names no status (B403)", 3)
    tokens = [segment.elements for segment in one.segments]
    ports, before = ports_of(one.segments)
    role = _role(code, ports)
    chosen = _time_segment(status, ports, role, [time for time in before if time.get(1) in _TIME_OF])
    for facet in ("", "freight") if code == "CU" else ("",):
        draft = _draft(one, status, code, context)
        _where_and_when(draft, status, code, ports, role, chosen)
        if facet:
            draft.milestone, draft.hold = None, Hold(kind="freight", state="released")
        event_id = identities.of(tokens, None if draft.classifier == "actual" else one.stamp, facet)
        yield Verdict(draft.position, event=draft.finish(event_id))
    for other, port in ports.items():
        time = next((time for time in port.times if time.get(1) == _ESTIMATED), None)
        if other in ESTIMATES and other != role and time is not None and time is not chosen:
            yield _estimate(_draft(one, status, code, context), one, other, ports, time, tokens, identities)


def _estimate(
    draft: Draft,
    one: Set,
    role: str,
    ports: Mapping[str, Port],
    time: Segment,
    tokens: object,
    identities: Identities,
) -> Verdict:
    code = f"estimate/{role}"
    draft.position, draft.code, draft.classifier = time.where, code, "estimated"
    draft.milestone, draft.hold, draft.mapped = ESTIMATES[role], None, True
    draft.mode = None if role == "E" else "sea"
    draft.warnings = [warning for warning in draft.warnings if warning.code != "unmapped_code"]
    if role == "E":
        draft.transport = {}
        draft.references = {ref: None for ref in draft.references if ref[0] != "voyage"}
    draft.place = port_place(draft, ports[role].r4, ROLES[role])
    draft.origin, draft.destination = end_of(draft, ports, "LR"), end_of(draft, ports, "DE")
    zone = zone_of(draft.place, draft.context.registers, ports[role].state)
    try:
        draft.occurred_at = read_time(draft, time, 2, zone)
        return Verdict(draft.position, event=draft.finish(identities.of(tokens, one.stamp, code)))
    except Bad as bad:
        return bad.verdict(time.where, one.payload)


def _draft(one: Set, status: Segment, code: str, context: Context) -> Draft:
    draft = Draft(context, STANDARD, READER_VERSION, status.where, code, warnings=list(one.warnings))
    known = OCEAN.get(code, _UNKNOWN)
    if known is _UNKNOWN:
        draft.unmapped()
    draft.milestone, draft.mode = known.milestone, known.mode
    if known.hold is not None:
        kind, state = known.hold
        draft.hold = Hold(kind=kind, state=state)
    _, _, _, _, _, _, _, owner, number, load, _, _, _, digit = status.first(14)
    draft.empty = _LOADS.get(load.upper(), True if known.is_empty else None)
    if number:
        draft.single = _ONE  # B4 names the unit; where it names none, N9 may list all that the status is about
    if number and not draft.split_equipment(owner, number, digit, status.where):
        draft.equipment(owner + number + (digit if len(number) == 6 else ""), status.where)
    carrier = ""
    for segment in one.every("N9"):
        _, qualifier, value = segment.first(3)
        qualifier = qualifier.upper()
        if qualifier == "EQ":
            draft.equipment(value, segment.where)
        elif qualifier in REFERENCES:
            draft.refer(REFERENCES[qualifier], value, segment.where)
        elif qualifier == "SCA":
            carrier = value.upper()
    if carrier and known.hands_over:
        draft.transport["next_carrier"] = draft.short(carrier)
    else:
        draft.carrier(carrier)
    _vessel(draft, one)
    return draft


def _vessel(draft: Draft, one: Set) -> None:
    segment = one.first("Q2")
    if segment is None:
        return
    code = segment.get(1)
    is_imo = segment.get(12).upper() != "C" and code.isdigit()  # C: a call sign; L, or nothing: Lloyd's, that is IMO
    draft.vessel(code if is_imo else None, segment.get(13), segment.get(9), segment.where)


def _role(code: str, ports: Mapping[str, Port]) -> str | None:
    """The role of the port that the status speaks of."""
    return next((role for role in ("5", *_PLACE_OF_STATUS.get(code, "")) if role in ports), None)


def _where_and_when(
    draft: Draft, status: Segment, code: str, ports: Mapping[str, Port], role: str | None, chosen: Segment | None
) -> None:
    if role is not None:
        named = "transship" if code in _TRANSSHIPMENT else role_of(role, ports)
        draft.place = port_place(draft, ports[role].r4, named)
    else:  # B411 qualified by B412, else B406 (a place in words)
        place = status.get(11) or status.get(6)
        draft.place = named_place(draft, status, qualifier=status.get(12), code=place)
    draft.origin, draft.destination = end_of(draft, ports, "LR"), end_of(draft, ports, "DE")
    zone = zone_of(draft.place, draft.context.registers, ports[role].state if role is not None else None)
    if chosen is None:
        draft.occurred_at = read_time(draft, status, 4, zone, has_zone=False)
        return
    draft.classifier = "actual" if chosen.get(1) == _ACTUAL else "estimated"
    draft.occurred_at = read_time(draft, chosen, 2, zone)


def _time_segment(status: Segment, ports: Mapping[str, Port], role: str | None, before: Sequence[Segment]) -> Segment | None:
    """The DTM of the event: in the loop of its place, or before the loops, or the one that repeats B4's own date and time.

    A DTM in another place's loop tells of that place (the estimated arrival, while B4 tells of the departure); it is taken
    only where B4 has no date at all.
    """
    own = [*(ports[role].times if role is not None else ()), *before]
    if (found := _best(own)) is not None:
        return found
    every = [*before, *(time for port in ports.values() for time in port.times)]
    if not every:
        return None
    date, clock = status.get(4), status.get(5)
    same = [time for time in every if (time.get(2), time.get(3)) == (date, clock)]
    return _best(same) or (_best(every) if not date else None)


def _best(times: Sequence[Segment]) -> Segment | None:
    """The first that is an actual time, else the first that is an estimate."""
    return next((time for kind in _TIME_OF for time in times if time.get(1) == kind), None)
