"""X12 214, carrier's shipment status (road): each AT7 of each LX loop is an event. Codes to milestones: docs/milestones.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from schemas.shipment_event_v1 import Pieces, Place
from schemas.words import LINKING_KINDS
from services.ingest import identifiers
from services.ingest.places import Zone, facility_by_code, zone_near, zone_of
from services.ingest.readers import own_codes
from services.ingest.readers.draft import Bad, Draft, Identities, digest, hold_of, place_of
from services.ingest.readers.model import Context, Verdict
from services.ingest.readers.x12_codes import REASONS, REFERENCES, ROAD, Status
from services.ingest.readers.x12_places import country_code
from services.ingest.readers.x12_segments import Segment, Set, read_time

STANDARD: Final = "x12.214"
READER_VERSION: Final = 4

_UNKNOWN: Final = Status("")
_AT_PICKUP: Final = frozenset({"X3", "X8", "L1", "CP", "AF", "OA", "I1", "AM", "AV"})
_AT_DELIVERY: Final = frozenset({"X1", "X5", "D1", "CD", "AG", "X2", "AH", "AP", "A7"})
_AT_THE_END: Final = frozenset({"arrived_consignee", "delivered"})  # what the last stop of a load alone reaches
_NORMAL: Final = frozenset({"NS", "NA", ""})
_EQUIPMENT: Final = frozenset({"EQ", "OC"})
_CUSTOMERS: Final = frozenset({"CR", "SI"})  # the customer's own number: may be our consignment's
_LONGITUDE = re.compile(r"([0-9]{3})([0-9]{2})([0-9]{2})")
_LATITUDE = re.compile(r"([0-9]{2,3})([0-9]{2})([0-9]{2})")  # two or three digits of degrees are seen
_PIECES_MOST: Final = 10_000_000  # schemas/shipment_event_v1.py
_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)
_AFTER_ALL: Final = datetime.max.replace(tzinfo=UTC)


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

    number: str = ""
    statuses: list[_Status] = field(default_factory=list)
    others: list[Segment] = field(default_factory=list)
    links: bool = False
    """Whether it names a shipment of its own."""
    latest: datetime = _BEFORE_ALL
    """The latest moment that one of its statuses tells of; after all others where one cannot be read."""

    @property
    def naming(self) -> Sequence[Segment]:
        """What names the shipment and its equipment."""
        return [segment for segment in self.others if segment.name in ("B10", "L11")]

    @property
    def stop(self) -> str:
        """The stop's number: L11 qualified by QN, else the loop's own (LX01)."""
        named = (s.get(1) for s in self.others if s.name == "L11" and s.get(2).upper() == "QN" and s.get(1))
        return next(named, self.number)[:20]

    @property
    def pieces(self) -> int | None:
        """AT804, the quantity of what the loop is about."""
        counts = [s.get(4) for s in self.others if s.name == "AT8"]
        known = [int(count) for count in counts if count.isascii() and count.isdigit() and len(count) < 9]
        return known[0] if len(counts) == len(known) == 1 and 0 < known[0] <= _PIECES_MOST else None


@dataclass(frozen=True, slots=True)
class _Party:
    """N1 and what follows it: role, name, code, city."""

    role: str
    name: str
    code: str
    city: str


@dataclass(frozen=True, slots=True)
class _Around:
    """What the header and a loop say of each of the loop's statuses: read once a loop, however many statuses it has."""

    named: Draft
    """Holds what they name: references, the carrier, warnings."""
    parties: Mapping[str, _Party]
    """By role, the first of it; the loop's own before the header's."""
    stop: str
    exception: str | None
    carrier: str
    """B1003."""


def read_set(one: Set, context: Context, identities: Identities) -> Iterator[Verdict]:
    """One verdict an AT7; a bad AT7 costs only itself. Raises Bad where there is none.

    Several LX loops with statuses are several stops of one load, see `_Stops`. An event's source tokens: the status, what names
    its shipment (B10, L11), and its loop's own segments; not the other statuses, nor LX, which only counts.
    """
    header, loops = _loops(one)
    shipment = [segment.elements for segment in header.naming]
    named_by = [segment for segment in header.naming if segment.name == "B10"][:1]
    if not any(loop.statuses for loop in loops):
        raise Bad("no_status", one.start.where, "a 214 without AT7 says nothing")
    stops = _Stops([loop for loop in loops if loop.statuses and loop is not header])
    read = _drafts(one, header, loops, context, stops.are_several)
    if stops.are_several:
        read = list(read)
        stops.settle([(loop, found) for loop, _, found in read])
    # Hashed once a loop: what names the shipment may be long, and each of its statuses has it in its identity.
    digests = {
        id(loop): digest([shipment, [segment.elements for segment in loop.others] if loop is not header else []])
        for loop in loops
        if loop.statuses
    }
    for loop, status, found in read:
        try:
            tokens = [digests[id(loop)], *(segment.elements for segment in (status.at7, *status.more))]
            event_id = identities.of(tokens, None if found.classifier == "actual" else one.stamp)
            yield Verdict(found.position, event=found.finish(event_id))
        except Bad as bad:
            yield bad.verdict(status.at7.where, _payload(named_by, status))


def _drafts(
    one: Set, header: _Loop, loops: Sequence[_Loop], context: Context, are_several: bool
) -> Iterable[tuple[_Loop, _Status, Draft]]:
    """What each status says, before its stop is weighed against the others; one at a time, where there is one stop."""
    for loop, around in _arounds(one, header, loops, context):
        for status in loop.statuses:
            yield loop, status, _draft(around, status, context, are_several)


class _Stops:
    """The stops of a load. What reaches the consignee at one of them alone must not deliver the whole:

    - a stop that names its own shipment (a bill of lading, say) speaks of that one, and of nothing that the header names;
    - where every other stop counts its pieces (AT8), each brings its part;
    - else the last stop alone delivers: what another stop has anything to tell after, is kept and moves nothing.
    """

    def __init__(self, loops: Sequence[_Loop]) -> None:
        self.are_several = len(loops) > 1
        for loop in loops:
            loop.links = self.are_several and _names_a_shipment(loop)
        self._shared = [loop for loop in loops if not loop.links] if self.are_several else []
        self._counts = {id(loop): count for loop in self._shared if (count := loop.pieces) is not None}
        total = sum(self._counts.values())
        all_count = len(self._shared) > 1 and len(self._counts) == len(self._shared)
        self._total = total if all_count and total <= _PIECES_MOST else None

    def settle(self, read: Sequence[tuple[_Loop, Draft]]) -> None:
        """Set the pieces of the parts, or take the milestone from what is not the last that a load's stops tell.

        By moments, whatever the code: a truck that reached one stop at ten and is seen, or expected, at another one at two has
        not delivered its load at ten.
        """
        for loop, found in read:
            moment = _AFTER_ALL if found.occurred_at is None else found.occurred_at
            loop.latest = max(loop.latest, moment)
        latest = sorted((loop.latest for loop in self._shared), reverse=True)[:2]
        shared = {id(loop) for loop in self._shared}
        for loop, found in read:
            if loop.links or not latest:
                continue
            if self._total is not None:
                if (count := self._counts.get(id(loop))) is not None:
                    found.pieces = Pieces(this=count, total=self._total, part="P")
                continue
            others = latest[1:] if id(loop) in shared and loop.latest == latest[0] else latest
            if found.milestone in _AT_THE_END and found.occurred_at is not None and others and found.occurred_at < others[0]:
                found.milestone = None
                found.warn("one_of_several_stops", f"not the last of the load's stops: {found.code} moves nothing")


def _known(code: str, context: Context) -> Status:
    """What a code means: by the sender's own map, else by the list."""
    meaning = own_codes.meaning_of(context, STANDARD, code)
    if meaning is None:
        return ROAD.get(code, _UNKNOWN)
    return Status(meaning.text, meaning.milestone, mode=meaning.mode, estimated=meaning.classifier == "estimated")


def _names_a_shipment(loop: _Loop) -> bool:
    kinds = (REFERENCES.get(s.get(2).upper()) for s in loop.others if s.name == "L11" and s.get(1))
    return any(kind in LINKING_KINDS for kind in kinds)


def _loops(one: Set) -> tuple[_Loop, Sequence[_Loop]]:
    header = _Loop()
    loops = [header]
    current = header
    for segment in one.segments:
        if segment.name == "LX":
            current = _Loop(segment.get(1))
            loops.append(current)
        elif segment.name == "AT7":
            current.statuses.append(_Status(segment))
        elif segment.name in ("MS1", "MS2") and current.statuses:
            current.statuses[-1].more.append(segment)
        else:
            current.others.append(segment)
    return header, loops


def _arounds(one: Set, header: _Loop, loops: Sequence[_Loop], context: Context) -> Iterator[tuple[_Loop, _Around]]:
    """What is said around each loop's statuses. The header is read once for all loops."""
    whole = Draft(context, STANDARD, READER_VERSION, one.start.where, "", warnings=list(one.warnings))
    _references(whole, header.naming)
    without = Draft(context, STANDARD, READER_VERSION, one.start.where, "", warnings=list(one.warnings))
    _references(without, _without_links(header.naming))
    parties = _parties(header.others)
    carrier = next((segment.get(3).upper() for segment in header.naming if segment.name == "B10"), "")
    for loop in loops:
        if not loop.statuses:
            continue
        named = _copy(without if loop.links else whole, one.start.where, "")
        own = loop if loop is not header else _Loop()
        _references(named, own.naming)
        yield loop, _Around(named, {**parties, **_parties(own.others)}, loop.stop, _exception(loop), carrier)


def _copy(named: Draft, position: str, code: str) -> Draft:
    """A draft that says what `named` does."""
    draft = Draft(named.context, STANDARD, READER_VERSION, position, code, mode="road")
    draft.references, draft.warnings, draft.transport = dict(named.references), list(named.warnings), dict(named.transport)
    return draft


def _payload(shipment: Sequence[Segment], status: _Status) -> bytes:
    return "\n".join(segment.raw for segment in (*shipment, status.at7, *status.more)).encode("utf-8", "replace")


def _draft(around: _Around, status: _Status, context: Context, one_of_several: bool) -> Draft:
    at7 = status.at7
    code, appointment = at7.get(1).upper(), at7.get(3).upper()
    draft = _copy(around.named, at7.where, code or f"appointment/{appointment}")
    if not code and not appointment:
        draft.fault(Bad("missing_code", at7.where, "AT7 names neither a status (AT701) nor an appointment (AT703)", 1))
    known = _known(code, context)
    if code:
        _map(draft, known)
    else:
        draft.classifier = "planned"  # an appointment is when something shall happen; it never moves the milestone
    if code and appointment:
        draft.milestone = None
        text = (
            f"names both a status ({code}) and an appointment ({appointment}): whose time this is cannot be told; moves nothing"
        )
        draft.warn("status_and_appointment", text)
    draft.reason = _reason((at7.get(2) if code else at7.get(4)).upper()) or around.exception
    _equipment(draft, status, around.carrier, known)
    zone = _place(draft, status.first("MS1"), _party_at(code, around.parties))
    if one_of_several and draft.place is not None and around.stop:
        draft.place = draft.place.model_copy(update={"role": f"stop {around.stop}"})
    try:
        draft.occurred_at = read_time(draft, at7, 5, zone)
    except Bad as bad:
        draft.fault(bad)
    return draft


def _map(draft: Draft, known: Status) -> None:
    draft.mode = known.mode or "road"
    if own_codes.apply(draft, draft.code):
        return
    draft.milestone = known.milestone
    draft.classifier = "estimated" if known.estimated else "actual"
    draft.hold = hold_of(known.hold)
    if known is _UNKNOWN:
        draft.unmapped()


def _reason(code: str) -> str | None:
    """AT702 or AT704, in words where they are known."""
    if code in _NORMAL:
        return None
    return f"{code} ({REASONS[code]})" if code in REASONS else code


def _exception(loop: _Loop) -> str | None:
    """The lading exception of the loop (Q7): the reason of what does not say its own."""
    found = next((segment for segment in loop.others if segment.name == "Q7" and segment.get(1)), None)
    if found is None:
        return None
    count = f"{found.get(3)} {found.get(2)}".strip()
    return f"lading exception {found.get(1)}" + (f" ({count})" if count else "")


def _without_links(segments: Sequence[Segment]) -> Iterator[Segment]:
    """What a header says but for the shipment that it names: of B10 the carrier."""
    for segment in segments:
        if segment.name == "B10":
            yield Segment(segment.number, "B10", ("B10", "", "", segment.get(3)), segment.raw)
        elif segment.name != "L11" or segment.get(2).upper() in ("PO", "SN"):
            yield segment


def _references(draft: Draft, segments: Iterable[Segment]) -> None:
    for segment in segments:
        if draft.has_enough_references:
            return
        if segment.name == "B10":
            draft.refer("pro_number", segment.get(1), segment)
            if identifiers.names_a_consignment(segment.get(2)):
                draft.refer("consignment", segment.get(2), segment)
            draft.carrier(segment.get(3))
        elif segment.name == "L11":
            value, qualifier = segment.get(1), segment.get(2).upper()
            if qualifier in REFERENCES:
                draft.refer(REFERENCES[qualifier], value, segment)
            elif qualifier in _EQUIPMENT:
                draft.equipment(value, segment)
            elif qualifier in _CUSTOMERS and identifiers.names_a_consignment(value):
                draft.refer("consignment", value, segment)


def _equipment(draft: Draft, status: _Status, carrier_of_all: str, known: Status) -> None:
    """MS2: carrier and vehicle, or a container's owner code, number and check digit; and who takes over."""
    segment = status.first("MS2")
    carrier = ""
    if draft.names_a("container"):
        draft.single = frozenset({"container"})  # L11 lists what is carried: the equipment of a status is one of these
    if segment is not None:
        carrier, number = segment.get(1).upper(), segment.get(2).upper()
        if draft.split_equipment(carrier, number, segment.get(4), segment.where):
            carrier = ""
        elif identifiers.is_container(identifiers.normalise("container", number)):
            draft.equipment(number, segment)
        elif number.isdigit() and identifiers.scac_names(carrier) == "rail car owner":
            draft.equipment(carrier + number, segment)
            carrier = ""
        elif number:
            draft.transport["vehicle"] = draft.short(number, segment)
        if carrier and not known.hands_over:
            draft.carrier(carrier)
    if known.hands_over:
        own = {draft.context.sender, _scac_of(draft.context)}
        named = (carrier, carrier_of_all)
        following = next((text for text in named if text and text not in own), None)
        if following:
            draft.transport["next_carrier"] = draft.short(following)


def _scac_of(context: Context) -> str | None:
    sender = context.registers.senders.get(context.sender)
    return sender.scac if sender else None


def _parties(segments: Sequence[Segment]) -> Mapping[str, _Party]:
    """By role, the first of it."""
    found: dict[str, _Party] = {}
    last: _Party | None = None
    for segment in segments:
        if segment.name == "N1":
            last = _Party(segment.get(1).upper(), segment.get(2), segment.get(4), "")
            if last.role in found:
                last = None
            else:
                found[last.role] = last
        elif segment.name == "N4" and last is not None and not last.city:
            last = found[last.role] = _Party(last.role, last.name, last.code, segment.get(1))
    return found


def _party_at(code: str, parties: Mapping[str, _Party]) -> _Party | None:
    roles = ("SF", "SH") if code in _AT_PICKUP else ("ST", "CN") if code in _AT_DELIVERY else ()
    return next((parties[role] for role in roles if role in parties), None)


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
    name = city or (party.name if party is not None else "")
    name_of = draft.short(name) if name else None
    country = country_code(ms1.get(3)) if ms1 is not None else None
    code = facility.code if facility else None
    is_named = name_of is not None or country is not None or code is not None
    draft.place = place_of(None, None, name_of, country, code) if is_named else None
    if name_of is None or city:
        return zone_of(draft.place, registers, ms1.get(2).upper() if ms1 is not None else None)
    if party is None or not party.city:
        return zone_of(draft.place, registers)
    return zone_of(place_of(None, None, draft.short(party.city), None, code), registers)


def _point(draft: Draft, ms1: Segment) -> Zone:
    """MS104 longitude, MS105 latitude (DDDMMSS), MS106, MS107 their directions."""
    longitude, latitude = _LONGITUDE.fullmatch(ms1.get(4)), _LATITUDE.fullmatch(ms1.get(5))
    if longitude is None or latitude is None or _degrees(longitude) > 180 or _degrees(latitude) > 90:
        draft.warn("bad_position", "longitude and latitude must be DDDMMSS; not used", ms1)
        return zone_of(None, draft.context.registers)
    east = _degrees(longitude) * (-1 if ms1.get(6).upper() == "W" else 1)
    north = _degrees(latitude) * (-1 if ms1.get(7).upper() == "S" else 1)
    draft.place = Place(name=f"{north:.4f} {east:.4f}")
    return zone_near(north, east)


def _degrees(match: re.Match[str]) -> float:
    return int(match[1]) + int(match[2]) / 60 + int(match[3]) / 3600
