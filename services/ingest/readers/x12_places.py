"""Places of X12 messages: ports and terminals of R4 (315, 322), their roles, and the times that stand in their loops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from schemas.shipment_event_v1 import Place
from services.ingest import identifiers
from services.ingest.places import Zone, facility_by_name, zone_of
from services.ingest.readers.draft import Draft, is_plain, place_of
from services.ingest.readers.x12_segments import Segment

ROLES: Final[Mapping[str, str]] = {
    "R": "receipt",
    "L": "load",
    "T": "transship",
    "D": "discharge",
    "E": "delivery",
    "5": "activity",
}
"""R401 (code list 115), as far as it is read."""

_UN, _CITY = "UN", "CI"
_REMEMBERED: Final = 4_096  # places; 128 characters each at most, some 3 MB
_CODE_LISTS: Final = frozenset({_UN, "K", "D"})
"""R402 and B412 (code list 309): UN/LOCODE, and Schedules K and D of the census bureau."""


class Port(msgspec.Struct, eq=False):
    """An R4 and the DTM segments of its loop. `role`: R401; `qualifier`, `code`: R402, R403; all in capitals."""

    r4: Segment
    role: str
    qualifier: str
    code: str
    times: list[Segment] = msgspec.field(default_factory=list)

    @classmethod
    def of(cls, segment: Segment) -> Port:
        """Of an R4."""
        _, role, qualifier, code = segment.first(4)
        return cls(segment, role.upper(), qualifier.upper(), code.upper())

    def is_called(self, place: str, qualifier: str) -> bool:
        """Whether it is the place of that code, or name; qualifiers that are missing contradict nothing."""
        code, own = self.code, self.qualifier
        if code and code == place and (not own or not qualifier or own == qualifier):
            return True
        return qualifier in ("", _CITY) and bool(place) and self.r4.get(4).upper() == place

    def is_another_than(self, place: str, qualifier: str) -> bool:
        """Whether it is surely not the place of that code: both have codes of one list, and these differ."""
        code = self.code
        if not code or not place or self.qualifier != qualifier or qualifier not in _CODE_LISTS:
            return False
        return code != place and (qualifier != _UN or (identifiers.is_locode(code) and identifiers.is_locode(place)))


class Spot(msgspec.Struct, frozen=True, eq=False):
    """A place that a message names, and the zone of its clocks."""

    place: Place | None
    zone: Zone


NO_PORTS: Final[Mapping[str, Port]] = MappingProxyType({})


def firsts_of(ports: Iterable[Port]) -> Mapping[str, Port]:
    """By role, the first port of it."""
    found: dict[str, Port] = {}
    for port in ports:
        if port.role not in found:
            found[port.role] = port
    return found


def role_of(role: str, ports: Mapping[str, Port]) -> str:
    """What a port is to the message: an activity (5) at a place that has a role of its own takes that role."""
    if role != "5":
        return ROLES[role]
    where = ports["5"].r4.get(3)
    same = [other for other in "TLDRE" if other in ports and where and ports[other].r4.get(3) == where]
    return ROLES[same[0]] if same else ROLES["5"]


def end_of(draft: Draft, ports: Mapping[str, Port], roles: str) -> Place | None:
    """The message's own origin (`LR`) or destination (`DE`)."""
    for role in roles:
        if role in ports:
            return port_spot(draft, ports[role].r4, ROLES[role]).place
    return None


def port_spot(draft: Draft, segment: Segment, role: str | None) -> Spot:
    """Where an R4 is; remembered for the same words, of which a feed has few, unless there is something to say of them."""
    known, key = draft.context.registers.remembered, (segment.raw, role)
    hit: Spot | None = known.get(key)  # looked up once: threads share it, and it may be emptied meanwhile
    if hit is not None:
        return hit
    _, _, qualifier, code, name, country, sixth, seventh, state = segment.first(9)
    spot = _spot(draft, segment, qualifier, code, (name, sixth, seventh), country, state.upper(), role)
    return _remember(known, key, spot, segment.raw, qualifier, code)


def named_spot(
    draft: Draft,
    segment: Segment,
    *,
    qualifier: str = "",
    code: str = "",
    name: str = "",
    country: str = "",
    state: str | None = None,
    role: str | None = None,
) -> Spot:
    """Where a segment says by a code (a UN/LOCODE where `qualifier` is UN), a name, a country and a state of it; remembered as
    `port_spot`."""
    known, key = draft.context.registers.remembered, (qualifier, code, name, country, state, role)
    hit: Spot | None = known.get(key)
    if hit is not None:
        return hit
    spot = _spot(draft, segment, qualifier, code, (name,), country, state, role)
    return _remember(known, key, spot, f"{qualifier}{code}{name}{country}{state}", qualifier, code)


def _remember(known: dict[object, Any], key: object, spot: Spot, said: str, qualifier: str, code: str) -> Spot:
    """Keep it where nothing is to be warned of. `said`: all the words that it was made of."""
    if is_plain(said) and (qualifier.upper() != _UN or not code or identifiers.is_locode(code.upper())):
        if len(known) >= _REMEMBERED:
            known.clear()
        known[key] = spot
    return spot


def _spot(
    draft: Draft,
    segment: Segment,
    qualifier: str,
    code: str,
    names: tuple[str, ...],
    country: str,
    state: str | None,
    role: str | None,
) -> Spot:
    """`names`: the place's own, and others of its terminal."""
    place = _place(draft, segment, qualifier, code, names, country, role)
    return Spot(place, zone_of(place, draft.context.registers, state))


def _place(
    draft: Draft, segment: Segment, qualifier: str, code: str, names: tuple[str, ...], country: str, role: str | None
) -> Place | None:
    is_coded = qualifier.upper() == _UN and code
    unlocode = coded if is_coded and identifiers.is_locode(coded := code.upper()) else None
    if is_coded and unlocode is None:
        draft.warn("bad_unlocode", f"{code[:20]} is not a UN/LOCODE; not used", segment)
    name, *others = names
    name = name or ("" if unlocode else code)
    facility = None
    for text in (name, *others):
        if text and facility is None:
            facility = facility_by_name(text, unlocode, draft.context.registers)
    country_of = country_code(country)
    if not (unlocode or name or country_of or facility):
        return None
    return place_of(unlocode, None, draft.short(name) if name else None, country_of, facility.code if facility else None, role)


def country_code(text: str) -> str | None:
    """A country's two letters, None for anything else; USA is taken for US."""
    if not text:
        return None
    code = text.upper()
    code = "US" if code == "USA" else code
    return code if len(code) == 2 and code.isascii() and code.isalpha() else None
