"""What IFTSTA, COARRI and CODECO say in the same words: places, vessels, references, equipment, what a message withdraws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import field

from schemas.shipment_event_v1 import Place
from schemas.words import Mode, ReferenceKind
from services.ingest import identifiers
from services.ingest.places import facility_by_name, locode_of_airport
from services.ingest.readers.draft import Bad, Draft, place_of
from services.ingest.readers.edifact_codes import CUSTOMERS, EMPTY, EQUIPMENT, MODES, REFERENCES, ROLES
from services.ingest.readers.edifact_segments import Message, Segment, in_zone, local_time

_LOCODES = frozenset({"", "139", "227"})  # code lists (1131) under which senders write UN/LOCODEs
_COUNTRY = "162"
_SCAC_AGENCIES = frozenset({"", "166", "182"})  # 3055: NMFTA
_GS1, _IATA, _UNECE = "9", "3", "6"
_STATEMENTS_MAX = 64  # of one level of a message: more than an event can hold
_WITHDRAWS = frozenset({"1", "3"})  # 1225: cancellation, deletion
_CHANGES = frozenset({"4", "5"})  # change, replace
_PREVIOUS = "ACW"  # 1153: the number of an earlier message


class Said(msgspec.Struct, eq=False):
    """What a level of a message (header, consignment, status, container) says, read once, whatever its length: each event below
    it takes it over, and must not read it again."""

    references: list[tuple[ReferenceKind | None, str, Segment]] = field(
        default_factory=list
    )  # kind (or equipment), value, where
    places: dict[str, Segment] = field(default_factory=dict)  # the first LOC of each qualifier
    times: dict[str, Segment] = field(default_factory=dict)  # the first DTM of each qualifier
    texts: list[str] = field(default_factory=list)
    seals: list[tuple[str, Segment]] = field(default_factory=list)
    carrier: str = ""
    pieces: int | None = None
    made: dict[tuple[object, ...], Place | None] = field(default_factory=dict)  # places already made, for `place`
    sent: datetime | None = None  # of a header: when its message was made, once `made_at` has asked

    @classmethod
    def of(cls, segments: Iterable[Segment]) -> Said:
        """Read the segments that mean the same on every level."""
        said = cls()
        for segment in segments:
            reading = _READ.get(segment.name)
            if reading is not None:
                reading(said, segment)
        return said

    def _place(self, segment: Segment) -> None:
        self.places.setdefault(segment.get(1), segment)

    def _time(self, segment: Segment) -> None:
        self.times.setdefault(segment.get(1), segment)

    def _seal(self, segment: Segment) -> None:
        if segment.get(1) and len(self.seals) < _STATEMENTS_MAX:
            self.seals.append((segment.get(1), segment))

    def _party(self, segment: Segment) -> None:
        if segment.get(1) in ("CA", "CF") and segment.get(2, 2) in _SCAC_AGENCIES:
            self.carrier = self.carrier or segment.get(2)

    def _text(self, segment: Segment) -> None:
        if len(self.texts) < 8:
            self.texts.append(" ".join(text for component in range(5) if (text := segment.get(4, component))))

    def _count(self, segment: Segment) -> None:
        if segment.get(1) in ("8", "11") and segment.get(1, 1).isdecimal():
            self.pieces = int(segment.get(1, 1)[:8])

    def _refer(self, segment: Segment) -> None:
        qualifier, value = segment.get(1).upper(), segment.get(1, 1)
        if not value or len(self.references) >= _STATEMENTS_MAX:
            return
        if qualifier in REFERENCES:
            self.references.append((REFERENCES[qualifier], value, segment))
        elif qualifier in EQUIPMENT:
            self.references.append((None, value, segment))
        elif qualifier in CUSTOMERS and identifiers.names_a_consignment(value):
            self.references.append(("consignment", value, segment))

    def _numbers(self, segment: Segment) -> None:
        """GIN+BJ and GIN+AW: SSCCs, two (a range) an element."""
        if segment.get(1).upper() not in ("BJ", "AW"):
            return
        for element in range(2, min(len(segment.elements), 8)):
            for component in (0, 1):
                if (value := segment.get(element, component)) and len(self.references) < _STATEMENTS_MAX:
                    self.references.append(("sscc", value, segment))


_READ: Final[Mapping[str, Callable[[Said, Segment], None]]] = MappingProxyType(
    {
        "CNT": Said._count,
        "DTM": Said._time,
        "FTX": Said._text,
        "GIN": Said._numbers,
        "LOC": Said._place,
        "NAD": Said._party,
        "RFF": Said._refer,
        "SEL": Said._seal,
    }
)
"""The segments that mean the same on every level. One line a segment."""


def refer(draft: Draft, levels: Sequence[Said], elsewhere: frozenset[str] = frozenset()) -> None:
    """Add the references of all levels. `elsewhere`: containers that have events of their own."""
    for said in levels:
        for kind, value, where in said.references:
            if draft.has_enough_references:
                return
            if kind is not None:
                draft.refer(kind, value, where)
            elif identifiers.normalise("container", value) not in elsewhere:
                draft.equipment(value, where)


def seal(draft: Draft, said: Said) -> None:
    """Add the seals."""
    for value, where in said.seals:
        draft.refer("seal", value, where)


def find(levels: Iterable[Said], *qualifiers: str) -> Segment | None:
    """The place of the first of these qualifiers; within one, of the first level that has it."""
    return _first([said.places for said in levels if said.places], qualifiers)


def _first(held: Sequence[Mapping[str, Segment]], qualifiers: Iterable[str]) -> Segment | None:
    for name in qualifiers:
        for places in held:
            if name in places:
                return places[name]
    return None


def place(draft: Draft, segment: Segment | None, known: Said, role: str | None = None) -> Place | None:
    """What a LOC names; `role`: in place of its qualifier's.

    `known` is the header's `Said`: it remembers the places of a message, which names the same few again and again.
    """
    if segment is None:
        return None
    key = (segment.elements, role)
    if key not in known.made:
        warnings = len(draft.warnings)
        made = _made(draft, segment, role)
        if len(draft.warnings) > warnings:
            return made  # told anew wherever it stands
        known.made[key] = made
    return known.made[key]


def _made(draft: Draft, segment: Segment, role: str | None) -> Place | None:
    """C517: code, list, agency, name; C519: a terminal, or the country of a code in parts."""
    code, listed, agency = segment.get(2).replace(" ", "").upper(), segment.get(2, 1).upper(), segment.get(2, 2)
    related, related_list = segment.get(3).replace(" ", "").upper(), segment.get(3, 1)
    country = related if len(related) == 2 and related.isascii() and related.isalpha() else None
    terminal = "" if country or related_list == _COUNTRY else related
    registers = draft.context.registers
    unlocode = iata = None
    if agency == _IATA and len(code) == 3 and code.isascii() and code.isalpha():
        iata, unlocode = code, locode_of_airport(code, registers)
    elif listed in _LOCODES or agency == _UNECE:
        unlocode = _locode(code, country)
        if unlocode is None and code and (listed == "139" or agency == _UNECE):
            draft.warn("bad_unlocode", f"{code[:20]} is not a UN/LOCODE; not used", segment)
    facility = None
    for text in (terminal, code if unlocode is None else ""):
        if text and facility is None:
            facility = facility_by_name(text, unlocode, registers)
    name = segment.get(2, 3) or (code if unlocode is None and iata is None and facility is None else "")
    if not name and facility is None:
        name = segment.get(3, 3) or terminal
    unlocode = unlocode or (facility.unlocode if facility is not None else None)
    if not (unlocode or iata or name or country or facility):
        return None
    return place_of(
        unlocode,
        iata,
        draft.short(name) if name else None,
        country,
        facility.code if facility is not None else None,
        role or ROLES.get(segment.get(1)),
    )


def _locode(code: str, country: str | None) -> str | None:
    if identifiers.is_locode(code):
        return code
    whole = f"{country}{code}" if country else ""
    return whole if identifiers.is_locode(whole) else None


def activity(draft: Draft, segment: Segment, levels: Sequence[Said], known: Said) -> Place | None:
    """The place of what happened: where the message names the same code in a role of its own, it takes that role."""
    if ROLES.get(segment.get(1), "activity") != "activity":
        return place(draft, segment, known)
    held = [said.places for said in levels if said.places]
    for qualifier in ("13", "11", "9", "7", "88"):
        other = _first(held, (qualifier,))
        if other is not None and _same(other, segment):
            return place(draft, segment, known, ROLES[qualifier])
    return place(draft, segment, known)


def _same(one: Segment, other: Segment) -> bool:
    country = other.get(3).upper()
    codes = {other.get(2).upper(), country + other.get(2).upper()}
    return bool(one.get(2)) and one.get(2).upper() in codes


def transport(draft: Draft, segment: Segment | None) -> None:
    """Vessel, voyage and their reference out of a sea leg's TDT; a flight out of one by air."""
    if segment is None:
        return
    mode = mode_of(segment)
    number, name = segment.get(2), segment.get(8, 3)
    if mode == "air":
        if number:
            draft.transport["flight"] = draft.short(number)
        return
    if mode not in ("sea", None):
        return
    identity, listed = segment.get(8), segment.get(8, 1)
    is_imo = listed == "146" or (not listed and len(identity) == 7 and identity.isdecimal())
    draft.vessel(identity if is_imo else None, name, number, segment)


def mode_of(segment: Segment | None) -> Mode | None:
    """The mode of a TDT: as it says, or sea where it names a vessel."""
    if segment is None:
        return None
    said = MODES.get(segment.get(3))
    if said is None and segment.get(8, 1) in ("146", "103", "11"):
        return "sea"
    return said


def carrier_of(segment: Segment | None) -> str:
    """The SCAC in a TDT's C040, if its code is one."""
    return segment.get(5) if segment is not None and segment.get(5, 2) in _SCAC_AGENCIES else ""


def container(draft: Draft, segment: Segment) -> None:
    """What an EQD names, and whether it is full (8169, in the sixth element)."""
    draft.equipment(segment.get(2), segment)
    draft.empty = EMPTY.get(segment.get(6))


def function_of(draft: Draft, message: Message, header: Said, begin: Segment | None) -> None:
    """BGM's function (1225): a cancellation or deletion withdraws what the same words said, a change or replacement is newer.

    Without one of these an event has no time of its own: the same words sent again are no news.
    """
    function = begin.get(3) if begin is not None else ""
    if function not in _WITHDRAWS and function not in _CHANGES:
        return
    draft.retracted = function in _WITHDRAWS
    draft.updated_at = _sent_at(draft, message, header)


def made_at(draft: Draft, message: Message, header: Said) -> None:
    """Give a plan or estimate the time at which it was said, so that one that returns to an earlier value is the newest.

    Without a warning that UTC was assumed: it only puts in order what one sender says, whose clock is one.
    """
    if draft.classifier == "actual" or draft.updated_at is not None:
        return
    if header.sent is None:
        warnings = list(draft.warnings)
        header.sent = _sent_at(draft, message, header)
        draft.warnings = warnings
    draft.created_at = header.sent


def stamp_of(message: Message, header: Iterable[Segment], begin: Segment | None) -> str:
    """What tells a plan or estimate from the same words in another message: the message's own number (BGM, 1004), else that of
    its interchange. What withdraws or changes a message is of that one's number: which RFF+ACW names, else BGM repeats."""
    function, number = (begin.get(3), begin.get(2)) if begin is not None else ("", "")
    if function in _WITHDRAWS or function in _CHANGES:
        named = (one.get(1, 1) for one in header if names_a_message(one))
        number = next(named, number)
    return number or message.stamp


def names_a_message(segment: Segment) -> bool:
    """Whether it is an RFF that names an earlier message, not a shipment."""
    return segment.name == "RFF" and segment.get(1) == _PREVIOUS and bool(segment.get(1, 1))


def _sent_at(draft: Draft, message: Message, header: Said) -> datetime:
    """When the message was made: DTM+137, else UNB's date and time, else its receipt; UTC unless it names a zone."""
    stated = header.times.get("137")
    if stated is None and message.header is not None:
        number, sent = message.header.number, (message.header.get(4), message.header.get(4, 1))
        digits = "".join(sent)
        form = "203" if len(digits) == 12 else "201"
        stated = Segment(number, "UNB", ("UNB", ("137", digits, form)))
    if stated is None:
        return draft.context.received_at
    try:
        local, zone_name = local_time(draft, stated)
        aware = in_zone(local, zone_name, stated)
    except Bad:
        return draft.context.received_at
    if aware is not None:
        return aware
    draft.warn("zone_assumed", "UTC assumed for the time of the message", stated)
    return local.replace(tzinfo=UTC)


def tokens(segments: Iterable[Segment]) -> list[tuple[object, ...]]:
    """Segments as an event's identity has them."""
    return [segment.elements for segment in segments]
