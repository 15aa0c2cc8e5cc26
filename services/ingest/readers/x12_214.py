"""X12 214, carrier's shipment status (road): each AT7 of each LX loop is an event. Codes to milestones: docs/milestones.md."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from schemas.shipment_event_v1 import Hold, Place
from schemas.words import Classifier, Milestone, ReferenceKind
from services.ingest import identifiers
from services.ingest.places import Zone, facility_by_code, zone_near, zone_of
from services.ingest.readers.draft import Bad, Draft, Identities, digest
from services.ingest.readers.model import Context, Verdict
from services.ingest.readers.x12_segments import Segment, Set, read_time

STANDARD: Final = "x12.214"
READER_VERSION: Final = 1

_MILESTONES: Mapping[str, Milestone] = MappingProxyType(
    {
        "AV": "available",
        "AF": "gate_out",
        "OA": "gate_out",
        "X1": "arrived_consignee",
        "X5": "arrived_consignee",
        "X2": "arrived_consignee",
        "D1": "delivered",
        "AG": "delivered",
    }
)
_ESTIMATED: Final = frozenset({"AG", "X2"})
_CUSTOMS_HOLD: Final = "PR"
_NEWS: Final = frozenset(
    {
        *("X3", "X8", "L1", "CP", "X6", "P1", "X4", "CD", "AH", "AP", "A3"),  # picked up, on its way, tried
        *("A7", "A9", "SD", "CA", "I1", "RL", "AR", "AM", "K1", "XB", "J1"),  # gone wrong, at others' gates, handed on
    }
)
_KNOWN: Final = frozenset(_MILESTONES) | _NEWS | {_CUSTOMS_HOLD}
_HANDS_OVER: Final = frozenset({"AM", "J1"})
_RAIL: Final = frozenset({"RL", "AR"})
_AT_PICKUP: Final = frozenset({"X3", "X8", "L1", "CP", "AF", "OA", "I1", "AM", "AV"})
_AT_DELIVERY: Final = frozenset({"X1", "X5", "D1", "CD", "AG", "X2", "AH", "AP", "A7"})
_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "A1": "missed delivery",
        "AF": "accident",
        "AG": "consignee related",
        "AI": "mechanical breakdown",
        "AM": "shipper related",
        "AO": "weather",
        "AS": "customs documents",
        "B1": "consignee closed",
        "BS": "refused by consignee",
    }
)
_NORMAL: Final = frozenset({"NS", "NA", ""})
_REFERENCES: Mapping[str, ReferenceKind] = MappingProxyType(
    {
        "BM": "bill_of_lading",
        "MB": "bill_of_lading",
        "BN": "booking",
        "BK": "booking",
        "CN": "pro_number",
        "PO": "purchase_order",
        "AW": "air_waybill",
        "SN": "seal",
    }
)
_EQUIPMENT: Final = frozenset({"EQ", "OC"})
_CUSTOMERS: Final = frozenset({"CR", "SI"})  # the customer's own number: may be our consignment's
_CONSIGNMENT = re.compile(r"[A-Z0-9][A-Z0-9_.-]{0,34}-[A-Za-z0-9][A-Za-z0-9_./-]{0,59}")
_COORDINATE = re.compile(r"([0-9]{3})([0-9]{2})([0-9]{2})")


@dataclass(slots=True)
class _Status:
    """One AT7 and the MS1, MS2 that follow it."""

    at7: Segment
    more: list[Segment] = field(default_factory=list)

    def first(self, name: str) -> Segment | None:
        return next((segment for segment in self.more if segment.name == name), None)


@dataclass(slots=True)
class _Loop:
    """One LX loop (or the header): its statuses, and what else it says."""

    statuses: list[_Status] = field(default_factory=list)
    others: list[Segment] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Party:
    """N1 and what follows it: role, name, code, city."""

    role: str
    name: str
    code: str
    city: str


def read_set(one: Set, context: Context, identities: Identities) -> Iterator[Verdict]:
    """One verdict an AT7; a bad AT7 costs only itself. Raises Bad where there is none.

    An event's source tokens: the status, what names its shipment (B10, L11), and its loop's own segments; not the other
    statuses, nor LX, which only counts.
    """
    header, loops = _loops(one)
    shipment = [list(segment.elements) for segment in header.others if segment.name in ("B10", "L11")]
    if not any(loop.statuses for loop in loops):
        raise Bad("no_status", one.start.where, "a 214 without AT7 says nothing")
    for loop in loops:
        # Hashed once a loop: what names the shipment may be long, and each of its statuses has it in its identity.
        around = digest([shipment, [list(segment.elements) for segment in loop.others] if loop is not header else []])
        for status in loop.statuses:
            try:
                draft = _draft(one, header, loop, status, context)
                tokens = [around, *(list(segment.elements) for segment in (status.at7, *status.more))]
                event_id = identities.of(tokens, None if draft.classifier == "actual" else one.stamp)
                yield Verdict(draft.position, event=draft.finish(event_id))
            except Bad as bad:
                yield bad.verdict(status.at7.where, _payload(header, status))


def _loops(one: Set) -> tuple[_Loop, Sequence[_Loop]]:
    header = _Loop()
    loops = [header]
    current = header
    for segment in one.segments:
        if segment.name == "LX":
            current = _Loop()
            loops.append(current)
        elif segment.name == "AT7":
            current.statuses.append(_Status(segment))
        elif segment.name in ("MS1", "MS2") and current.statuses:
            current.statuses[-1].more.append(segment)
        else:
            current.others.append(segment)
    return header, loops


def _payload(header: _Loop, status: _Status) -> bytes:
    shipment = [segment for segment in header.others if segment.name == "B10"]
    return "\n".join(segment.raw for segment in (*shipment, status.at7, *status.more)).encode("utf-8", "replace")


def _draft(one: Set, header: _Loop, loop: _Loop, status: _Status, context: Context) -> Draft:
    at7 = status.at7
    code, appointment = at7.get(1).upper(), at7.get(3).upper()
    if not code and not appointment:
        raise Bad("missing_code", at7.where, "AT7 names neither a status (AT701) nor an appointment (AT703)")
    name = code or f"appointment/{appointment}"
    draft = Draft(context, STANDARD, READER_VERSION, at7.where, name, mode="road", warnings=list(one.warnings))
    if code:
        _map(draft, code)
    else:
        draft.classifier = "planned"  # an appointment is when something shall happen; it never moves the milestone
    reason = (at7.get(2) if code else at7.get(4)).upper()
    if reason not in _NORMAL:
        draft.reason = f"{reason} ({_REASONS[reason]})" if reason in _REASONS else reason
    _references(draft, [*header.others, *(loop.others if loop is not header else ())])
    _equipment(draft, status, header, code)
    parties = _parties([*(loop.others if loop is not header else ()), *header.others])
    zone = _place(draft, status.first("MS1"), _party_at(code, parties))
    draft.occurred_at = read_time(draft, at7, 5, zone)
    return draft


def _map(draft: Draft, code: str) -> None:
    draft.milestone = _MILESTONES.get(code)
    classifier: Classifier = "estimated" if code in _ESTIMATED else "actual"
    draft.classifier = classifier
    if code == _CUSTOMS_HOLD:
        draft.hold = Hold(kind="customs", state="placed")
    if code in _RAIL:
        draft.mode = "rail"
    if code not in _KNOWN:
        draft.unmapped()


def _references(draft: Draft, segments: Sequence[Segment]) -> None:
    for segment in segments:
        if draft.has_enough_references:
            return
        if segment.name == "B10":
            draft.refer("pro_number", segment.get(1), segment.where)
            if _CONSIGNMENT.fullmatch(segment.get(2)):
                draft.refer("consignment", segment.get(2), segment.where)
            draft.carrier(segment.get(3))
        elif segment.name == "L11":
            value, qualifier = segment.get(1), segment.get(2).upper()
            if qualifier in _REFERENCES:
                draft.refer(_REFERENCES[qualifier], value, segment.where)
            elif qualifier in _EQUIPMENT:
                draft.equipment(value, segment.where)
            elif qualifier in _CUSTOMERS and _CONSIGNMENT.fullmatch(value):
                draft.refer("consignment", value, segment.where)


def _equipment(draft: Draft, status: _Status, header: _Loop, code: str) -> None:
    """MS2: carrier and vehicle, or a container's owner code, number and check digit; and who takes over."""
    segment = status.first("MS2")
    carrier = ""
    if segment is not None:
        carrier, number, digit = segment.get(1).upper(), segment.get(2).upper(), segment.get(4)
        if identifiers.is_owner_code(carrier) and number.isascii() and number.isdigit() and len(number) in (6, 7):
            if len(number) == 6:
                number += digit or identifiers.container_check_digit(carrier + number)
            draft.equipment(carrier + number, segment.where)
            carrier = ""
        elif identifiers.is_container(identifiers.normalise("container", number)):
            draft.equipment(number, segment.where)
        elif number:
            draft.transport["vehicle"] = draft.short(number, segment.where)
        if carrier and code not in _HANDS_OVER:
            draft.carrier(carrier)
    if code in _HANDS_OVER:
        b10 = next((segment for segment in header.others if segment.name == "B10"), None)
        own = {draft.context.sender, _scac_of(draft.context)}
        named = (carrier, b10.get(3).upper() if b10 else "")
        following = next((text for text in named if text and text not in own), None)
        if following:
            draft.transport["next_carrier"] = draft.short(following)


def _scac_of(context: Context) -> str | None:
    sender = context.registers.senders.get(context.sender)
    return sender.scac if sender else None


def _parties(segments: Sequence[Segment]) -> Sequence[_Party]:
    found: list[_Party] = []
    for segment in segments:
        if segment.name == "N1":
            found.append(_Party(segment.get(1).upper(), segment.get(2), segment.get(4), ""))
        elif segment.name == "N4" and found and not found[-1].city:
            last = found[-1]
            found[-1] = _Party(last.role, last.name, last.code, segment.get(1))
    return found


def _party_at(code: str, parties: Sequence[_Party]) -> _Party | None:
    roles = ("SF", "SH") if code in _AT_PICKUP else ("ST", "CN") if code in _AT_DELIVERY else ()
    return next((party for role in roles for party in parties if party.role == role), None)


def _place(draft: Draft, ms1: Segment | None, party: _Party | None) -> Zone:
    """Set the place; returns its zone. MS1 says where the truck is; the party, whose gate that is, if the city agrees."""
    registers = draft.context.registers
    facility = facility_by_code(party.code, registers) if party is not None and party.code else None
    city = ms1.get(1) if ms1 is not None else ""
    if ms1 is not None and not city and ms1.get(4):
        return _point(draft, ms1)
    if city and facility is not None and party is not None:
        cities = {(facility.city or "").upper(), party.city.upper()} - {""}
        if cities and city.upper() not in cities:
            facility = None
    country = ms1.get(3).upper().replace("USA", "US") if ms1 is not None else ""
    name = city or (party.name if party is not None else "")
    place = Place(
        name=draft.short(name) if name else None,
        country=country if len(country) == 2 and country.isascii() and country.isalpha() else None,
        facility=facility.code if facility else None,
    )
    draft.place = place if place != Place() else None
    if place.name is None or city:
        return zone_of(draft.place, registers, ms1.get(2).upper() if ms1 is not None else None)
    of_city = Place(name=draft.short(party.city), facility=place.facility) if party is not None and party.city else place
    return zone_of(of_city, registers)


def _point(draft: Draft, ms1: Segment) -> Zone:
    """MS104 longitude, MS105 latitude (DDDMMSS), MS106, MS107 their directions."""
    longitude, latitude = _COORDINATE.fullmatch(ms1.get(4)), _COORDINATE.fullmatch(ms1.get(5))
    if longitude is None or latitude is None:
        draft.warn("bad_position", "longitude and latitude must be DDDMMSS; not used", ms1.where)
        return zone_of(None, draft.context.registers)
    east = _degrees(longitude) * (-1 if ms1.get(6).upper() == "W" else 1)
    north = _degrees(latitude) * (-1 if ms1.get(7).upper() == "S" else 1)
    draft.place = Place(name=f"{north:.4f} {east:.4f}")
    return zone_near(north, east)


def _degrees(match: re.Match[str]) -> float:
    return int(match[1]) + int(match[2]) / 60 + int(match[3]) / 3600
