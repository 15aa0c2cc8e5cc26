"""X12 315, status details (ocean): one status of one container a set; estimates of its other ports are events of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import msgspec

from schemas.words import Milestone, ReferenceKind
from services.ingest.places import Zone
from services.ingest.readers import own_codes
from services.ingest.readers.draft import FAULTS_MAX, Bad, Draft, Identities, again, hold_of
from services.ingest.readers.model import Context, Verdict
from services.ingest.readers.x12_codes import OCEAN, Status
from services.ingest.readers.x12_places import NO_PORTS, ROLES, Port, end_of, firsts_of, named_spot, port_spot, role_of
from services.ingest.readers.x12_segments import (
    ELEMENTS,
    Segment,
    Set,
    Unheard,
    local_time,
    read_reference,
    read_time,
    time_faults,
)

STANDARD: Final = "x12.315"
READER_VERSION: Final = 4

_UNKNOWN: Final = Status("")
_PLACE_OF_MILESTONE: Final[Mapping[Milestone, str]] = MappingProxyType(
    {
        "received": "RL",
        "departed": "L",
        **dict.fromkeys(("transship_arrived", "transship_departed"), "T"),
        **dict.fromkeys(("arrived", "discharged", "customs_released", "available", "gate_out"), "D"),
        **dict.fromkeys(("arrived_consignee", "delivered", "empty_returned"), "ED"),
    }
)
_PLACE_OF_STATUS: Final[Mapping[str, str]] = {
    **{code: _PLACE_OF_MILESTONE[status.milestone] for code, status in OCEAN.items() if status.milestone is not None},
    "EE": "RL",
    **dict.fromkeys(("I", "AE"), "L"),
    **dict.fromkeys(("Z3", "Z4"), "T"),
    **dict.fromkeys(("CR", "NO", "X9", "AM", "AL", "RL"), "D"),
    **dict.fromkeys((code for code, status in OCEAN.items() if status.hold == ("customs", "placed")), "D"),
    **dict.fromkeys(("AR", "UR", "W1", "W2"), "ED"),
}
"""Where no R4*5 says so: the R4 roles to look for, in order; of a partner's own code by what its map says that it becomes."""
_TRANSSHIPMENT: Final = "T"
_ESTIMATED, _ACTUAL = "139", "140"
_TIME_OF: Final = (_ACTUAL, _ESTIMATED)
ESTIMATES: Final[Mapping[str, Milestone]] = MappingProxyType(
    {"L": "departed", "T": "transship_arrived", "D": "arrived", "E": "delivered"}
)
"""What is expected at a port whose loop has a DTM*139, while B4 tells of another one: `estimate/D`."""


class _B4(msgspec.Struct, frozen=True, eq=False):
    """The status. `day`, `clock`: B404, B405; `place`, `listed`: where it is (B411 qualified by B412, else B406, in words)."""

    segment: Segment
    code: str
    day: str
    clock: str
    place: str
    listed: str
    owner: str
    number: str
    digit: str
    load: str

    def is_repeated_by(self, time: Segment) -> bool:
        """Whether a DTM says its date and time."""
        return time.get(2) == self.day and time.get(3) == self.clock


def _b4(segment: Segment) -> _B4:
    """Its elements by their names."""
    _, _, _, code, day, clock, city, owner, number, load, _, port, listed, digit = segment.first(14)
    return _B4(segment, code.upper(), day, clock, port or city, listed, owner, number, digit, load.upper())


_UNHEARD: Final = Unheard()
_ZONES_APART: Final = timedelta(days=2)  # more than any two zones are
_LOADS: Final[Mapping[str, bool]] = {"E": True, "L": False}  # B409
_ONE: Final[frozenset[ReferenceKind]] = frozenset({"container", "rail_car"})
_ANY: Final[frozenset[ReferenceKind]] = frozenset()
_ESTIMATES_MOST: Final = 16  # a route has a handful of ports, and each estimate is an event that says all that the set says


def read_set(one: Set, context: Context, identities: Identities) -> Iterator[Verdict]:
    """The set's event, two of CU (customs and carrier released), and one for each other port's estimate. Raises Bad."""
    found = _sorted(one.segments)
    if not found.statuses:
        times = [fault for time in one.every("DTM") if time.get(1) in _TIME_OF for fault in time_faults(time, 2)]
        raise Bad("missing_segment", one.start.where, "a 315 without B4 has no status", more=times[:FAULTS_MAX])
    if len(found.statuses) > 1:
        one.warn_of_more(found.statuses, 3)
    status, ports = _b4(found.statuses[0]), found.ports
    code = status.code
    tokens = list(map(ELEMENTS, one.segments))
    own = own_codes.map_of(context, STANDARD)
    is_own = own is not None and code in own.codes
    said = _draft(one, status, found, context, own is not None)
    roles = _place_of(said.milestone) if is_own else _PLACE_OF_STATUS.get(code, "")
    spot = _chosen_port(status, roles, ports) if ports else _NOWHERE
    chosen = _time_segment(status, ports, spot, found.before) if ports or found.before else None
    expected = _expected(ports, spot, chosen) if ports else ()
    first = firsts_of(ports) if ports else NO_PORTS
    draft = again(said) if expected else said
    _where_and_when(draft, status, roles, spot, first, chosen)
    if expected:
        _note_expected(draft, expected)
    stamp = None if draft.classifier == "actual" else one.stamp
    released = again(draft) if code == "CU" and not is_own else None
    event_id = "" if draft.faults else identities.of(tokens, stamp)  # what cannot be told needs none
    yield Verdict(draft.position, draft.finish(event_id))
    if released is not None:
        released.milestone, released.hold = None, hold_of(("freight", "released"))
        yield Verdict(released.position, released.finish(identities.of(tokens, stamp, "freight")))
    for port, time in expected[:_ESTIMATES_MOST]:
        yield _estimate(again(said), one, port, first, time, tokens, identities)


def _note_expected(draft: Draft, expected: Sequence[tuple[Port, Segment]]) -> None:
    """Of an event that cannot be told, what is wrong with what is expected is told of as well; and that it is too much."""
    if draft.faults:
        draft.faults += tuple([fault for _, time in expected[:_ESTIMATES_MOST] for fault in time_faults(time, 2)])
    for _, time in expected[_ESTIMATES_MOST:]:
        draft.warn("time_not_used", f"an estimate of a port beyond {_ESTIMATES_MOST} others is not read", time.where)


class _Parts(msgspec.Struct, frozen=True, eq=False):
    """A set's segments: B4, N9, Q2; ports (R4) with the DTM of their loops, and the DTM `before` all of them."""

    statuses: list[Segment]
    named: list[Segment]
    vessels: list[Segment]
    ports: list[Port]
    before: list[Segment]


def _sorted(segments: Iterable[Segment]) -> _Parts:
    """Sorted in one walk."""
    statuses: list[Segment] = []
    named: list[Segment] = []
    vessels: list[Segment] = []
    ports: list[Port] = []
    before: list[Segment] = []
    times = before
    for segment in segments:
        name = segment.name
        if name == "N9":
            named.append(segment)
        elif name == "R4":
            port = Port.of(segment)
            ports.append(port)
            times = port.times
        elif name == "DTM":
            times.append(segment)
        elif name == "B4":
            statuses.append(segment)
        elif name == "Q2":
            vessels.append(segment)
    return _Parts(statuses, named, vessels, ports, before)


class _Chosen(msgspec.Struct, frozen=True, eq=False):
    """Where the status is: at a port, or (none) where B4 itself says. `told`: a warning of what is in doubt."""

    port: Port | None
    is_sure: bool = True
    told: tuple[str, str] | None = None


_NOWHERE: Final = _Chosen(None)


def _place_of(milestone: Milestone | None) -> str:
    return _PLACE_OF_MILESTONE.get(milestone, "") if milestone is not None else ""


def _chosen_port(status: _B4, roles: str, ports: Sequence[Port]) -> _Chosen:
    """The place that the status speaks of: R4*5; else the port that B4 names; else the port of the role that such a status has.

    Where B4 names another place than all ports that could be meant, its own word counts: a ship that left Busan did not leave
    Shanghai, though Shanghai is where the goods were loaded.
    """
    place = status.place.upper()
    qualifier = status.listed.upper() if status.segment.get(11) else ""
    if activities := [port for port in ports if port.role == "5"]:
        activity = activities[0]
        if len(activities) > 1:
            activity = next((port for port in activities if port.is_called(place, qualifier)), activity)
        return _Chosen(activity, told=_contradiction(activity, place) if activity.is_another_than(place, qualifier) else None)
    if named := [port for port in ports if place and port.role in ROLES and port.is_called(place, qualifier)]:
        if len(named) == 1:
            return _Chosen(named[0])
        return _Chosen(min(named, key=lambda port: roles.index(port.role) if port.role in roles else len(roles)))
    meant = [port for role in roles for port in ports if port.role == role]
    possible = [port for port in meant if not port.is_another_than(place, qualifier)]
    if not possible:
        return _Chosen(None, not meant, _contradiction(meant[0], place) if meant else None)
    same = [port for port in possible if port.role == possible[0].role]
    if len(same) == 1 or len({port.r4.elements for port in same}) == 1:
        return _Chosen(same[0])
    if dated := [port for port in same if any(status.is_repeated_by(time) for time in port.times)]:
        return _Chosen(dated[0])
    text = f"several ports are called {ROLES[same[0].role]} (R4*{same[0].role}) and B4 does not say which; the first was taken"
    return _Chosen(same[0], False, ("several_values", text))


def _contradiction(port: Port, place: str) -> tuple[str, str]:
    taken = "R4*5 counts" if port.role == "5" else "B4 counts"
    return "places_contradict", f"B4 says {place[:20]}, R4*{port.role} {port.r4.get(3)[:20]}; {taken}"


def _expected(ports: Sequence[Port], spot: _Chosen, chosen: Segment | None) -> Sequence[tuple[Port, Segment]]:
    """The estimates of other ports than the status's own, each once."""
    found: dict[tuple[str, ...], tuple[Port, Segment]] = {}
    for port in ports:
        if not port.times or port.role not in ESTIMATES:
            continue
        for time in port.times:
            if time.get(1) == _ESTIMATED:
                break
        else:
            continue
        if time is chosen:
            continue
        if spot.port is None or port.r4.elements[1:4] != spot.port.r4.elements[1:4]:
            found.setdefault((*port.r4.elements, *time.elements), (port, time))
    return list(found.values())


def _estimate(
    draft: Draft,
    one: Set,
    port: Port,
    first: Mapping[str, Port],
    time: Segment,
    tokens: object,
    identities: Identities,
) -> Verdict:
    role = port.role
    code = f"estimate/{role}"
    draft.position, draft.code, draft.classifier = time.where, code, "estimated"
    draft.milestone, draft.hold, draft.mapped = ESTIMATES[role], None, True
    draft.mode = None if role == "E" else "sea"
    draft.warnings = [warning for warning in draft.warnings if warning.code != "unmapped_code"]
    if role == "E":
        draft.transport = {}
        draft.references = {ref: None for ref in draft.references if ref[0] != "voyage"}
    spot = port_spot(draft, port.r4, ROLES[role])
    draft.place = spot.place
    draft.origin, draft.destination = end_of(draft, first, "LR"), end_of(draft, first, "DE")
    try:
        draft.occurred_at = read_time(draft, time, 2, spot.zone)
        return Verdict(draft.position, draft.finish(identities.of(tokens, one.stamp, code)))
    except Bad as bad:
        return bad.verdict(time.where, one.payload)


def _draft(one: Set, status: _B4, found: _Parts, context: Context, has_own_codes: bool) -> Draft:
    """What all events of the set say."""
    segment, code = status.segment, status.code
    owner, number, digit = status.owner, status.number, status.digit
    draft = Draft(
        context,
        STANDARD,
        READER_VERSION,
        segment.where,
        code,
        empty=_LOADS.get(status.load),
        warnings=one.warnings.copy(),
        single=_ONE if number else _ANY,  # B4 names the unit; where it names none, N9 may list all that the status is about
    )
    if not code:
        draft.fault(Bad("missing_code", segment.where, "B4 names no status (B403)", 3))
    known = _UNKNOWN if not code or (has_own_codes and own_codes.apply(draft, code)) else _map(draft)
    if number and not draft.split_equipment(owner, number, digit, segment):
        draft.equipment(owner + number + (digit if len(number) == 6 else ""), segment)
    carrier = ""
    for segment in found.named:
        qualifier, value = read_reference(draft, segment)
        if qualifier == "SCA":
            carrier = value.upper()
    if carrier and known.hands_over:
        draft.transport["next_carrier"] = draft.short(carrier)
    elif carrier:
        draft.carrier(carrier)
    if found.vessels:
        _vessel(draft, found.vessels[0])
    return draft


def _map(draft: Draft) -> Status:
    """Set what the list says of the code, and return that."""
    known = OCEAN.get(draft.code)
    if known is None:
        draft.unmapped()
        return _UNKNOWN
    draft.milestone, draft.mode = known.milestone, known.mode
    if known.hold is not None:
        draft.hold = hold_of(known.hold)
    if known.is_empty and draft.empty is None:
        draft.empty = True
    return known


def _vessel(draft: Draft, segment: Segment) -> None:
    _, code, _, _, _, _, _, _, _, voyage, _, _, listed, name = segment.first(14)
    is_imo = code.isdigit() and listed.upper() != "C"  # C: a call sign; L, or nothing: Lloyd's, that is IMO
    draft.vessel(code if is_imo else None, name, voyage, segment)


def _where_and_when(
    draft: Draft, status: _B4, roles: str, chosen_port: _Chosen, first: Mapping[str, Port], chosen: Segment | None
) -> None:
    if chosen_port.told is not None:
        draft.warn(*chosen_port.told)
    port = chosen_port.port
    if port is not None:
        same = {**first, "5": port} if port.role == "5" else first
        named = "transship" if roles == _TRANSSHIPMENT else role_of(port.role, same)
        spot = port_spot(draft, port.r4, named)
    else:
        role = "transship" if roles == _TRANSSHIPMENT and chosen_port.told is not None else None
        spot = named_spot(draft, status.segment, qualifier=status.listed, code=status.place, role=role)
    draft.place, zone = spot.place, spot.zone
    if first:
        draft.origin, draft.destination = end_of(draft, first, "LR"), end_of(draft, first, "DE")
    if chosen is not None and chosen.get(1) == _ESTIMATED and _has_happened(draft, status, chosen, zone):
        chosen = None
    try:
        if chosen is None:
            draft.occurred_at = read_time(draft, status.segment, 4, zone, has_zone=False)
            return
        if draft.classifier == "actual" and chosen.get(1) == _ESTIMATED:
            draft.classifier = "estimated"
        draft.occurred_at = read_time(draft, chosen, 2, zone)
    except Bad as bad:
        draft.fault(bad)


def _has_happened(draft: Draft, status: _B4, estimate: Segment, zone: Zone) -> bool:
    """Whether B4's own time makes an estimate of the same an old one; what lies ahead of B4's time is still expected."""
    if not status.day or status.is_repeated_by(estimate):
        return False
    try:
        told, due = local_time(status.segment, 4), local_time(estimate, 2)
        if abs(told - due) < _ZONES_APART:
            told = read_time(_UNHEARD, status.segment, 4, zone, has_zone=False)
            due = read_time(_UNHEARD, estimate, 2, zone)
        happened = due < told
    except Bad:
        return False
    said = f"{status.day[:8]} {status.clock[:8]}".strip()
    expected = f"{estimate.get(2)[:8]} {estimate.get(3)[:8]}".strip()
    counts = "B4 counts, the estimate is older" if happened else "the estimate counts, it lies ahead of B4"
    draft.warn("times_contradict", f"B4 says {said}, DTM 139 of the same {expected}; {counts}", estimate.where)
    return happened


def _time_segment(status: _B4, ports: Sequence[Port], spot: _Chosen, before: Sequence[Segment]) -> Segment | None:
    """The DTM of the event: in the loop of its place, or before the loops, or the one that repeats B4's own date and time.

    A DTM in another place's loop tells of that place (the estimated arrival, while B4 tells of the departure); it is taken
    only where B4 has no date at all, and no other place.
    """
    has_date = bool(status.day)
    own = spot.port.times if spot.port is not None and (spot.is_sure or not has_date) else ()
    if (found := _best([*own, *before] if before else own)) is not None:
        return found
    every = [*before, *[time for port in ports for time in port.times]]
    same = [time for time in every if status.is_repeated_by(time)]
    return _best(same) or (_best(every) if not has_date and spot.is_sure else None)


def _best(times: Sequence[Segment]) -> Segment | None:
    """The first that is an actual time, else the first that is an estimate."""
    estimate = None
    for time in times:
        kind = time.get(1)
        if kind == _ACTUAL:
            return time
        if kind == _ESTIMATED and estimate is None:
            estimate = time
    return estimate
