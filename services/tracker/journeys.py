"""The fold: from the events that count to statements, milestones, units, holds and the expected delivery.

`fold` is a pure function of sets. Actual beats estimate beats plan; newer beats older; among actuals of one slot (milestone,
unit, leg) a precedence by sender kind decides. docs/milestones.md says how a candidate milestone is settled by place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec

from schemas.words import DOCUMENT_KINDS, LOGISTIC_KINDS, MILESTONES
from services.tracker.areas import same_area
from services.tracker.linking import Counted, Declared, Linked, by_time
from services.tracker.records import (
    Delivered,
    Event,
    HoldInterval,
    MilestoneState,
    Place,
    Ref,
    Registration,
    Route,
    UnitState,
    unit_key,
)
from services.tracker.registers import Registers

ORDER: Mapping[str, int] = {milestone: n for n, milestone in enumerate(MILESTONES)}
IMPLYING: frozenset[str] = frozenset(MILESTONES) - {"customs_released"}
"""A later milestone implies the earlier ones, but goods are cleared by customs at sea too."""

_BY_ROAD = frozenset({"gate_out", "arrived_consignee", "delivered"})
_INLAND = frozenset({"gate_out", "arrived_consignee", "delivered", "available", "customs_released"})

_GENERAL = (
    "operator",
    "terminal",
    "ocean_carrier",
    "airline",
    "railway",
    "trucker",
    "customs",
    "forwarder",
    "consignee",
    "buyer",
)
_PRECEDENCE: Mapping[str, tuple[str, ...]] = {
    "customs_released": ("operator", "customs", "terminal", "ocean_carrier", "airline"),
    "arrived_consignee": ("operator", "consignee", "trucker", "railway", "ocean_carrier", "airline"),
    "delivered": ("consignee", "operator", "trucker", "railway", "ocean_carrier", "airline"),
    "empty_returned": ("operator", "terminal", "ocean_carrier", "trucker"),
}
DOCK = "dock"
HOLD_EVENTS = 200  # the newest by time; more is a feed gone wild
LEGS = 32


@cache
def precedence(milestone: str, kind: str) -> int:
    """0 is the strongest word on this milestone."""
    if kind == DOCK:
        return -1
    order = _PRECEDENCE.get(milestone, _GENERAL)
    return order.index(kind) if kind in order else len(order) + (_GENERAL.index(kind) if kind in _GENERAL else 99)


class Told(msgspec.Struct, frozen=True, gc=False):
    """One statement, settled: who told what of which slot, and when we came to know it.

    `weight` orders tellers of the same slot (0 strongest); `asserted_at` is the sender's own time of saying it.
    """

    milestone: str
    unit: str
    leg: str
    classifier: str
    occurred_at: datetime
    received_at: datetime
    asserted_at: datetime
    sender: str
    sender_kind: str
    weight: int
    event_id: str
    code: str
    place: str | None
    locode: str | None
    pieces: int | None
    shared: bool
    event: Event | None


@dataclass(frozen=True, slots=True)
class OffRoute:
    """Arrived or discharged where the route does not lead."""

    event: Event
    place: str
    left_at: datetime | None = None


class Slot(msgspec.Struct, frozen=True, gc=False):
    """What stands for one (milestone, leg, unit)."""

    actual: Told | None = None
    estimate: Told | None = None
    planned: Told | None = None


_NOTHING = Slot()


class Derived(msgspec.Struct, frozen=True):
    """All that follows from the sets, before exceptions and history."""

    told: tuple[Told, ...]
    slots: Mapping[tuple[str, str, str], Slot]
    units: tuple[str, ...]
    milestones: Mapping[tuple[str, str], MilestoneState]
    unit_states: tuple[UnitState, ...]
    holds: tuple[HoldInterval, ...]
    off_route: tuple[OffRoute, ...]
    news: tuple[Event, ...]
    stage: str
    reached: str | None
    reached_at: datetime | None
    place: str | None
    expected_delivery: datetime | None
    expected_basis: str
    terminal: str | None
    vessel: str | None
    voyage: str | None
    carrier: str | None
    delivered: tuple[Delivered, ...]
    total_pieces: int | None = None

    def actual(self, milestone: str) -> datetime | None:
        """The consignment-level actual time: all units have it."""
        state = self.milestones.get((milestone, ""))
        return state.actual if state else None

    def unit_actual(self, milestone: str, unit: str) -> Told | None:
        """The deciding actual of one unit, its own or the whole consignment's."""
        own, whole = self.slots.get((milestone, "", unit)), self.slots.get((milestone, "", ""))
        return _over(own, whole).actual


class _Course:
    """The route to settle by, from the declaration or, where there is none, from the message."""

    def __init__(self, route: Route, registers: Registers) -> None:
        self.via = route.via or tuple(leg.destination for leg in route.legs[:-1])
        self._origin, self._discharge, self.registers = route.origin, route.port_of_discharge, registers

    def origin(self, event: Event) -> str | None:
        return self._origin or _locode(event.origin, self.registers)

    def discharge(self, event: Event) -> str | None:
        return self._discharge or _locode(event.destination, self.registers)


def _locode(place: Place | None, registers: Registers) -> str | None:
    """The place's LOCODE: its own, else its facility's."""
    if place is None:
        return None
    if place.unlocode:
        return place.unlocode
    facility = registers.facilities.get(place.facility or "")
    return facility.unlocode if facility else None


def _country(place: Place | None, locode: str | None) -> str | None:
    return (place.country if place else None) or (locode[:2] if locode else None)


def settle(event: Event, course: _Course) -> tuple[str | None, str, bool]:
    """(milestone or None, leg, off the route) of an event's candidate, by place (docs/milestones.md, "Settling by place")."""
    milestone = event.milestone
    if milestone is None or event.classifier not in ("actual", "estimated", "planned"):
        return None, "", False
    locode = _locode(event.place, course.registers)
    if milestone in ("transship_arrived", "transship_departed"):
        return milestone, locode or "", False
    if locode is None and event.place is not None and event.place.iata:
        return (*_settle_by_airports(milestone, event.place.iata, event), False)
    if milestone in ("arrived", "discharged") and locode:
        return _settle_arrival(milestone, locode, event, course)
    if milestone == "departed" and locode:
        origin = course.origin(event)
        if origin is None or same_area(locode, origin):
            return milestone, "", False
        if same_area(locode, course.discharge(event)):
            return None, "", False
        return "transship_departed", locode, False
    if milestone not in _INLAND and milestone != "received":
        return milestone, "", False
    country = _country(event.place, locode)
    here, there = (course.origin(event) or "")[:2], (course.discharge(event) or "")[:2]
    if country and here and there and here != there:
        if milestone in _INLAND and country == here:
            return None, "", False
        if milestone == "received" and country == there:
            return None, "", False
    return milestone, "", False


def _settle_arrival(milestone: str, locode: str, event: Event, course: _Course) -> tuple[str | None, str, bool]:
    discharge = course.discharge(event)
    if discharge is None or same_area(locode, discharge):
        return milestone, "", False
    if same_area(locode, course.origin(event)):
        return None, "", False
    declared = any(same_area(locode, via) for via in course.via) or (
        event.place is not None and event.place.role == "transship"
    )
    return "transship_arrived", locode, not declared and event.classifier == "actual"


def _settle_by_airports(milestone: str, here: str, event: Event) -> tuple[str | None, str]:
    """(milestone or None, leg) at an airport whose LOCODE is not known: by the message's own origin and destination."""
    origin = event.origin.iata if event.origin else None
    destination = event.destination.iata if event.destination else None
    at_origin, at_destination = here == origin != destination, here == destination != origin
    if milestone == "departed":
        if at_destination:
            return None, ""
        return (milestone, "") if at_origin or origin is None else ("transship_departed", here)
    if milestone in ("arrived", "discharged"):
        if at_origin:
            return None, ""
        return (milestone, "") if at_destination or destination is None else ("transship_arrived", here)
    if (at_origin and milestone in _INLAND) or (at_destination and milestone == "received"):
        return None, ""
    return milestone, ""


def identity(event: Event) -> str | None:
    """What carries it: `IMO/voyage` (or vessel name/voyage) at sea, the flight in the air; None where the message is silent."""
    transport = event.transport
    if transport is None:
        return None
    if transport.flight:
        return transport.flight.upper()
    if transport.voyage:
        return f"{transport.imo or (transport.vessel or '').upper()}/{transport.voyage.upper()}"
    return None


def same_carriage(one: str, other: str) -> bool:
    """Whether two identities name the same sailing; one of them may lack the vessel."""
    if one == other:
        return True
    vessel_one, _, voyage_one = one.partition("/")
    vessel_other, _, voyage_other = other.partition("/")
    return bool(voyage_one) and voyage_one == voyage_other and (not vessel_one or not vessel_other)


def origin_carriage(counted: Iterable[Counted], registration: Registration, registers: Registers) -> list[tuple[Event, str]]:
    """Statements of the departure from the origin that name a voyage or flight, in the order we came to know them."""
    route = registration.declaration.route
    found: list[tuple[Event, str]] = []
    for item in counted:
        event = item.event
        if event.milestone not in ("booked", "departed") or (named := identity(event)) is None:
            continue
        locode = _locode(event.place, registers)
        origin = route.origin or _locode(event.origin, registers)
        if locode and origin and not same_area(locode, origin):
            continue
        if not any(ref.kind != "voyage" for ref in event.references):
            continue  # a vessel's own call says nothing of what is on board
        found.append((event, named))
    return sorted(found, key=lambda pair: (pair[0].received_at, pair[0].event_id))


def _left_behind(counted: Sequence[Counted], registration: Registration, registers: Registers) -> frozenset[str]:
    """Carriages that a newer statement of departure replaced: what these vessels do is no longer ours."""
    statements = origin_carriage(counted, registration, registers)
    if not statements:
        return frozenset()
    newest = max(statements, key=lambda pair: (_asserted(pair[0]), pair[0].received_at, pair[0].event_id))[1]
    declared = {ref.value for ref in registration.declaration.references if ref.kind == "voyage"}
    elsewhere = {
        named
        for item in counted
        if item.event.milestone in ("transship_departed", "transship_arrived") and (named := identity(item.event))
    }
    older = {named for _, named in statements} | declared
    return frozenset(named for named in older if not same_carriage(named, newest) and named not in elsewhere)


def _asserted(event: Event) -> datetime:
    return event.revision.at or event.received_at


class Words:
    """What each event of a journey tells, as `fold` settled it; kept, it is not settled again while its `basis` holds."""

    def __init__(self) -> None:
        self._basis: object = None
        self._told: dict[str, tuple[Counted, tuple[Told, ...], OffRoute | None]] = {}

    def on(self, basis: object) -> dict[str, tuple[Counted, tuple[Told, ...], OffRoute | None]]:
        """By event id, as of last time; nothing where what they depend on differs."""
        if basis != self._basis:
            self._basis, self._told = basis, {}
        return self._told

    def copy(self) -> Words:
        other = Words()
        other._basis, other._told = self._basis, dict(self._told)
        return other


def fold(own: Declared, linked: Linked, registers: Registers, words: Words | None = None) -> Derived:
    """Everything that follows from a registration and the events that count for it. `words`: of the last time, if kept."""
    registration = own.registration
    declaration = registration.declaration
    total_pieces = _total_pieces(linked.counted)
    universe = _universe(own, linked, counted_in_pieces=total_pieces is not None)
    units = tuple(universe.values())
    pallets = _pallets(own, linked) if not units else {}
    left = _left_behind(linked.counted, registration, registers)
    course = _Course(declaration.route, registers)
    news: list[Event] = []
    told: list[Told] = []
    off_route: list[OffRoute] = []
    pros = _pro_units(linked.counted, universe) if len(units) > 1 else {}
    settled = (words or Words()).on((declaration, registers, units, pallets, total_pieces, pros))
    for item in linked.counted:
        event = item.event
        if left and identity(event) in left and all(r.kind == "voyage" for r in event.references):
            continue
        news.append(event)
        known = settled.get(event.event_id)
        if known is None or known[0].event is not event or known[0].shared != item.shared:
            milestone, leg, off = settle(event, course)
            of = _units_of(event, universe, pallets, pros, total_pieces) if milestone is not None else ()
            tells = tuple(_tell(event, item.shared, milestone, unit, leg, registers) for unit in of if milestone)
            known = settled[event.event_id] = (item, tells, OffRoute(event, leg) if off else None)
        told.extend(known[1])
        if known[2] is not None:
            off_route.append(known[2])
    told.extend(_dock_words(registration))
    slots = _decide(told)
    milestones = _milestones(declaration.plan, declaration.required_by, units, tuple(pallets.values()), slots, total_pieces)
    left_off = tuple(OffRoute(o.event, o.place, _left_off_route(o, told)) for o in off_route)
    reached = max((m for (m, _), s in milestones.items() if s.actual and m in IMPLYING), key=ORDER.__getitem__, default=None)
    expected, basis = _expected(declaration.plan, declaration.required_by, milestones)
    vessel, voyage, carrier = _carriage(news, left, registration, registers)
    reached_at = milestones[_key_of(milestones, reached)].actual if reached else None
    return Derived(
        told=tuple(told),
        slots=slots,
        units=units,
        milestones=milestones,
        unit_states=_unit_states(units, slots, registration),
        holds=_holds(linked.counted, total_pieces, milestones.get(("customs_released", ""))),
        off_route=left_off,
        news=tuple(news),
        stage=_stage(registration, reached),
        reached=reached,
        reached_at=reached_at,
        place=_last_place(told),
        expected_delivery=expected,
        expected_basis=basis,
        terminal=_terminal(told, declaration.route, registers),
        vessel=vessel,
        voyage=voyage,
        carrier=carrier,
        delivered=_delivered(registration, slots, milestones, units),
        total_pieces=total_pieces if not units else None,
    )


def _key_of(milestones: Mapping[tuple[str, str], MilestoneState], milestone: str) -> tuple[str, str]:
    """The leg of this milestone that became actual last."""
    keys = [key for key, state in milestones.items() if key[0] == milestone and state.actual]
    return max(keys, key=lambda key: (milestones[key].actual, key))


def _universe(own: Declared, linked: Linked, counted_in_pieces: bool) -> dict[Ref, str]:
    """The units that are moved, and their keys in order: those packed, else containers and ULDs declared or learned. A ULD
    learned of goods that are counted in pieces is none of them: which of the pieces it holds nobody declared."""
    packed = {packing.unit for packing in own.registration.declaration.packing}
    if not packed:
        learned = {ref for ref in linked.learned if not (counted_in_pieces and ref.kind == "uld")}
        packed = {ref for ref in own.references.union(learned) if ref.kind in ("container", "uld")}
    return {ref: unit_key(ref) for ref in sorted(packed, key=unit_key)}


def _pallets(own: Declared, linked: Linked) -> dict[Ref, str]:
    """The logistic units that together are the goods, and their keys in order: those declared, else those learned; what is
    packed in one of them moves with it. They tell a milestone where somebody speaks of them, as pieces do; what is said of the
    consignment, its truck or its flight stays said of all of it."""
    found = {ref for ref in own.references if ref.kind == "sscc"} or {ref for ref in linked.learned if ref.kind == "sscc"}
    if found:
        packing = [item.event for item in linked.counted if item.event.parent in found]
        found -= {ref for event in packing for ref in event.references if ref != event.parent}
    return {ref: unit_key(ref) for ref in sorted(found, key=unit_key)}


def _pro_units(counted: Iterable[Counted], units: Mapping[Ref, str]) -> dict[Ref, set[str]]:
    """Which units a PRO number stands for, where some event names both."""
    pros: dict[Ref, set[str]] = {}
    for item in counted:
        for ref in item.event.references:
            if ref.kind == "pro_number":
                pros.setdefault(ref, set()).update(units[unit] for unit in item.event.references if unit in units)
    return pros


def _total_pieces(counted: Iterable[Counted]) -> int | None:
    """The consignment's pieces: what a message calls total; else the most that one calls all of it."""
    totals = [item.event.pieces for item in counted if item.event.pieces]
    named = [pieces.total for pieces in totals if pieces.total]
    whole = [pieces.this for pieces in totals if pieces.part == "T" and pieces.this]
    return max(named or whole, default=None)


def _units_of(
    event: Event,
    units: Mapping[Ref, str],
    pallets: Mapping[Ref, str],
    pros: Mapping[Ref, set[str]],
    total_pieces: int | None,
) -> Sequence[str]:
    """The units that the event speaks of; [""] = the whole consignment."""
    goods = [ref for ref in event.references if ref.kind in LOGISTIC_KINDS]
    if goods and not any(ref.kind in ("container", "uld", "rail_car", "pro_number") for ref in event.references):
        mine = [(units or pallets)[ref] for ref in goods if ref in (units or pallets)]
        # EPCIS speaks of the objects that it lists, the documents beside them are context; others speak of the document.
        if mine or event.standard == "epcis.2.0" or not any(ref.kind in DOCUMENT_KINDS for ref in event.references):
            return mine or [unit_key(goods[0])]
    part = f"pieces:{event.event_id[:12]}" if _is_part(event, total_pieces) else ""
    if not units:
        ulds = [ref for ref in event.references if ref.kind == "uld"]
        if total_pieces is not None and ulds and not any(ref.kind in DOCUMENT_KINDS for ref in event.references):
            return [unit_key(ulds[0])]  # what a ULD does, not what the goods do: it holds some of the pieces
        return [part]
    if len(units) == 1 and not part:
        return tuple(units.values())
    named = [ref for ref in event.references if ref.kind in ("container", "uld", "rail_car")]
    mine = [units[ref] for ref in (*named, *goods) if ref in units]
    if mine:
        return mine
    if named:
        return [unit_key(named[0])]
    trucks = [ref for ref in event.references if ref.kind == "pro_number"]
    if trucks:
        carried = sorted(set().union(*(pros.get(ref, set()) for ref in trucks)))
        return carried or [unit_key(trucks[0])]  # a truck whose load nobody named: its own word, moves no unit
    return [part]


def _is_part(event: Event, total_pieces: int | None) -> bool:
    """Whether it speaks of fewer pieces than there are, or of a part that it does not count."""
    pieces = event.pieces
    return pieces is not None and pieces.part in ("P", "S", "D", "M") and (not pieces.this or pieces.this != total_pieces)


_OWN_EVENTS = frozenset({"one_record"})
"""Standards whose events are never told in other words: each has its own id, a correction is another event."""


class PieceCount:
    """The pieces that reached a milestone, by the one teller who counted most of them.

    What is told again is counted once: of one flight, minute and set of ULDs the newest message counts. Two tellers are not
    added up, for they may tell of the same pieces. So what is uncertain counts for less, never for more.
    """

    def __init__(self) -> None:
        self._parts: dict[object, tuple[tuple[datetime, datetime], dict[int, Told]]] = {}
        self._of: dict[tuple[str, str], set[object]] = {}
        self._sums: dict[tuple[str, str], int] = {}

    def add(self, word: Told) -> None:
        """Count the pieces of a part."""
        event, pieces = word.event, word.pieces
        if event is None or not pieces:
            return
        teller = (word.sender, event.standard)
        ulds = frozenset(ref.value for ref in event.references if ref.kind == "uld")
        minute = word.occurred_at.replace(second=0, microsecond=0)
        part = (teller, event.event_id if event.standard in _OWN_EVENTS else (identity(event), minute, ulds))
        said = (word.asserted_at, word.received_at)
        known = self._parts.get(part)
        if known is not None and (said < known[0] or (said == known[0] and pieces in known[1])):
            return
        counts = known[1] if known is not None and said == known[0] else {}
        replaced = sum(known[1]) if known is not None and counts is not known[1] else 0
        counts[pieces] = word
        self._parts[part] = (said, counts)
        self._of.setdefault(teller, set()).add(part)
        self._sums[teller] = self._sums.get(teller, 0) + pieces - replaced

    @property
    def done(self) -> int:
        """How many pieces."""
        return max(self._sums.values(), default=0)

    @property
    def words(self) -> list[Told]:
        """Those of the teller who counts."""
        teller = max(self._sums, key=lambda one: (self._sums[one], one), default=None)
        return [word for part in self._of.get(teller, ()) for word in self._parts[part][1].values()] if teller else []


_NO_PIECES = PieceCount()
"""Of most milestones; nothing is added to it."""


def _tell(event: Event, shared: bool, milestone: str, unit: str, leg: str, registers: Registers) -> Told:
    place = event.place
    locode = _locode(place, registers)
    kind = registers.kind(event.sender)
    return Told(
        milestone=milestone,
        unit=unit,
        leg=leg,
        classifier=event.classifier,
        occurred_at=event.occurred_at,
        received_at=event.received_at,
        asserted_at=_asserted(event),
        sender=event.sender,
        sender_kind=kind,
        weight=precedence(milestone, kind),
        event_id=event.event_id,
        code=event.code,
        place=(place.facility or locode or place.iata or place.name) if place else None,
        locode=locode,
        pieces=event.pieces.this if event.pieces else None,
        shared=shared,
        event=event,
    )


def _dock_words(registration: Registration) -> list[Told]:
    """A final receipt is the strongest word that the goods were delivered."""
    return [
        Told(
            milestone="delivered",
            unit=receipt.unit,
            leg="",
            classifier="actual",
            occurred_at=receipt.occurred_at,
            received_at=receipt.received_at,
            asserted_at=receipt.received_at,
            sender=receipt.sender,
            sender_kind=DOCK,
            weight=precedence("delivered", DOCK),
            event_id=receipt.command_id,
            code="dock_receipt",
            place=registration.declaration.route.place_of_delivery,
            locode=None,
            pieces=None,
            shared=False,
            event=None,
        )
        for receipt in registration.receipts
        if receipt.final and not receipt.replaced
    ]


def _decide(told: Iterable[Told]) -> dict[tuple[str, str, str], Slot]:
    """Per slot: the actual of the strongest teller, then newest; the newest estimate; the newest plan."""
    by_slot: dict[tuple[str, str, str], dict[str, list[Told]]] = {}
    for word in told:
        by_slot.setdefault((word.milestone, word.leg, word.unit), {}).setdefault(word.classifier, []).append(word)
    return {
        key: Slot(
            _greatest(words.get("actual"), _actual_rank),
            _greatest(words.get("estimated"), newest_first),
            _greatest(words.get("planned"), newest_first),
        )
        for key, words in by_slot.items()
    }


def _greatest(words: Sequence[Told] | None, rank: Callable[[Told], Any]) -> Told | None:
    if words is None or len(words) == 1:
        return words[0] if words else None
    return max(words, key=rank)


newest_first = attrgetter("asserted_at", "received_at", "event_id")
"""Orders statements by when their sender said them."""


def _actual_rank(word: Told) -> tuple[int, datetime, datetime, str]:
    return (-word.weight, word.asserted_at, word.received_at, word.event_id)


def _milestones(
    plan: Mapping[str, datetime],
    required_by: datetime | None,
    units: Sequence[str],
    pallets: Sequence[str],
    slots: Mapping[tuple[str, str, str], Slot],
    total_pieces: int | None,
) -> dict[tuple[str, str], MilestoneState]:
    """Consignment-level milestones: actual when all units (or all pieces, or all pallets) have it."""
    planned = dict(plan)
    if required_by is not None:
        planned.setdefault("delivered", required_by)
    legs = sorted({leg for _, leg, _ in slots if leg})[:LEGS]
    grouped: dict[tuple[str, str], dict[str, Slot]] = {(milestone, ""): {} for milestone in planned}
    for (milestone, leg, unit), slot in slots.items():
        if not leg or leg in legs:
            grouped.setdefault((milestone, leg), {})[unit] = slot
    states: dict[tuple[str, str], MilestoneState] = {}
    for key in sorted(grouped, key=_place_in_order):
        (milestone, leg), mine = key, grouped[key]
        if not mine:
            states[key] = MilestoneState(milestone=milestone, planned=planned[milestone], units_total=len(units) or 1)
            continue
        count = _NO_PIECES
        for unit, slot in mine.items():
            if slot.actual and unit.startswith("pieces:"):
                count = PieceCount() if count is _NO_PIECES else count
                count.add(slot.actual)
        all_pieces = total_pieces is not None and count.done >= total_pieces > 0
        whole = mine.get("")
        if all_pieces and (whole is None or whole.actual is None):
            last = max(count.words, key=lambda word: (word.occurred_at, word.event_id))
            whole = msgspec.structs.replace(whole or _NOTHING, actual=last)
        elif whole is None or whole.actual is None:
            whole = _awaited(whole, mine)
        moved = units or (pallets if any(pallet in mine for pallet in pallets) else ())
        each = [_over(mine.get(unit), whole) for unit in moved] if moved else [whole or _NOTHING]
        actuals = [slot.actual for slot in each if slot.actual]
        done, total = len(actuals), len(each)
        if not moved and count.done and (all_pieces or not actuals):
            done, total = (min(count.done, total_pieces), total_pieces) if total_pieces else (count.done, 0)
        complete = bool(actuals) and done >= total > 0
        teller = max(actuals, key=by_time) if complete else None
        words = [word.occurred_at for slot in each if (word := (None if complete else slot.actual) or slot.estimate)]
        estimated = max(words) if any(slot.estimate for slot in each) else None
        told_plan = max((slot.planned.occurred_at for slot in each if slot.planned), default=None)
        states[key] = MilestoneState(
            milestone=milestone,
            leg=leg,
            planned=(planned.get(milestone) if not leg else None) or told_plan,
            estimated=estimated,
            actual=teller.occurred_at if teller else None,
            sender=teller.sender if teller else next((s.estimate.sender for s in each if s.estimate), None),
            units_done=done,
            units_total=total,
        )
    return states


def _awaited(whole: Slot | None, mine: Mapping[str, Slot]) -> Slot | None:
    """The whole, expected when its last part is: by the newest word on each flight whose part is not there yet, and the word on
    all of it; of parts those only that are told after it."""
    parts = [slot for unit, slot in mine.items() if unit.startswith("pieces:")]
    if not parts:
        return whole
    there = {identity(slot.actual.event) for slot in parts if slot.actual and slot.actual.event}
    newest: dict[str | None, Told] = {}
    for slot in parts:
        word = slot.estimate
        if word is None or word.event is None or (flight := identity(word.event)) in there:
            continue
        newest[flight] = max(newest.get(flight, word), word, key=newest_first)
    of_all = whole.estimate if whole is not None else None
    words = [word for word in newest.values() if of_all is None or newest_first(word) > newest_first(of_all)]
    if not words:
        return whole
    last = max((*words, of_all or words[0]), key=lambda word: (word.occurred_at, word.event_id))
    return msgspec.structs.replace(whole or _NOTHING, estimate=last)


def _place_in_order(key: tuple[str, str]) -> tuple[int, str]:
    return (ORDER[key[0]], key[1])


def _over(own: Slot | None, whole: Slot | None) -> Slot:
    """What stands for a unit: the stronger teller's actual (of equals its own), the newer estimate."""
    if own is None or whole is None:
        return own or whole or _NOTHING
    actuals = [word for word in (own.actual, whole.actual) if word]
    estimates = [word for word in (own.estimate, whole.estimate) if word]
    return Slot(
        actual=min(actuals, key=lambda word: (word.weight, word is not own.actual), default=None),
        estimate=max(estimates, key=newest_first, default=None),
        planned=own.planned or whole.planned,
    )


def _left_off_route(off: OffRoute, told: Iterable[Told]) -> datetime | None:
    """When the goods left the wrong place: departed from it, or came to the port of discharge."""
    after = [
        word.occurred_at
        for word in told
        if word.classifier == "actual"
        and word.occurred_at >= off.event.occurred_at
        and (
            (word.milestone == "transship_departed" and word.leg == off.place)
            or word.milestone in ("arrived", "discharged", *_INLAND - {"customs_released"})
        )
    ]
    return min(after, default=None)


def _unit_states(
    units: Sequence[str], slots: Mapping[tuple[str, str, str], Slot], registration: Registration
) -> tuple[UnitState, ...]:
    best: dict[str, Told] = {}
    for (milestone, _, unit), slot in slots.items():
        word = slot.actual
        if word is not None and milestone in IMPLYING and (unit not in best or _progress(word) > _progress(best[unit])):
            best[unit] = word
    packed: dict[str, dict[int, int]] = {}
    for packing in registration.declaration.packing:
        lines = packed.setdefault(unit_key(packing.unit), {})
        lines[packing.line] = lines.get(packing.line, 0) + packing.quantity
    states = []
    for unit in units:
        words = [best[of] for of in (unit, "") if of in best]
        last = max(words, key=_progress, default=None)
        states.append(
            UnitState(
                unit=unit,
                milestone=last.milestone if last else None,
                at=last.occurred_at if last else None,
                place=last.place if last else None,
                quantities=packed.get(unit, {}),
            )
        )
    return tuple(states)


def _progress(word: Told) -> tuple[int, datetime, str]:
    return (ORDER[word.milestone], word.occurred_at, word.event_id)


def _holds(counted: Iterable[Counted], total_pieces: int | None, cleared: MilestoneState | None) -> tuple[HoldInterval, ...]:
    """Intervals per kind and unit: placed opens, released of the same unit or of the whole consignment closes.

    The release of a part closes nothing before all pieces are `cleared`.
    """
    events = sorted(
        (item.event for item in counted if item.event.hold and item.event.classifier == "actual"),
        key=lambda event: (event.occurred_at, event.event_id),
    )[-HOLD_EVENTS:]
    intervals: list[HoldInterval] = []
    for event in events:
        hold = event.hold
        assert hold is not None  # filtered above
        unit = next((unit_key(ref) for ref in event.references if ref.kind in ("container", "uld")), "")
        at = event.occurred_at
        if hold.state == "released" and _is_part(event, total_pieces):
            if cleared is None or cleared.actual is None:
                continue
            unit, at = "", max(at, cleared.actual)
        for n, open_one in enumerate(intervals):
            same = open_one.kind == hold.kind and (not unit or not open_one.unit or open_one.unit == unit)
            if same and open_one.released_at is None and hold.state == "released":
                intervals[n] = HoldInterval(
                    kind=open_one.kind,
                    unit=open_one.unit,
                    placed_at=open_one.placed_at,
                    released_at=at,
                    sender=open_one.sender,
                    event_id=open_one.event_id,
                )
        is_open = any(i.kind == hold.kind and i.unit == unit and i.released_at is None for i in intervals)
        if hold.state == "placed" and not is_open:
            intervals.append(
                HoldInterval(
                    kind=hold.kind, unit=unit, placed_at=event.occurred_at, sender=event.sender, event_id=event.event_id
                )
            )
    return tuple(intervals)


def _stage(registration: Registration, reached: str | None) -> str:
    if registration.cancelled_at is not None:
        return "cancelled"
    if reached is None:
        return "registered"
    if reached in ("delivered", "empty_returned"):
        return "delivered"
    if reached in ("gate_out", "arrived_consignee"):
        return "on_the_road"
    if reached in ("arrived", "discharged", "customs_released", "available"):
        return "at_port"
    if reached in ("departed", "transship_arrived", "transship_departed"):
        return "in_transit"
    return "at_origin"


def _expected(
    plan: Mapping[str, datetime], required_by: datetime | None, milestones: Mapping[tuple[str, str], MilestoneState]
) -> tuple[datetime | None, str]:
    """When it will be at the hospital, and how we know."""
    last = milestones.get(("delivered", ""), MilestoneState(milestone="delivered"))
    if last.actual:
        return last.actual, "actual"
    if last.estimated:
        return last.estimated, "estimate"
    planned = plan.get("delivered")
    base = planned or required_by
    if base is None:
        return None, "unknown"
    slip = timedelta(0)
    for (milestone, leg), state in milestones.items():
        if milestone not in IMPLYING or leg or state.planned is None or milestone == "delivered":
            continue
        best = state.actual or state.estimated
        if best is not None:
            slip = best - state.planned
    if slip > timedelta(0):
        return base + slip, "plan_and_slip"
    return base, "plan" if planned else "required_by"


def _last_place(told: Iterable[Told]) -> str | None:
    words = [word for word in told if word.classifier == "actual" and word.place]
    last = max(words, key=by_time, default=None)
    return last.place if last else None


def _terminal(told: Iterable[Told], route: Route, registers: Registers) -> str | None:
    """Where it was discharged, by the strongest word; else as declared."""
    words = [
        word
        for word in told
        if word.milestone in ("arrived", "discharged", "available", "gate_out")
        and word.classifier == "actual"
        and word.place is not None
        and (known := registers.facilities.get(word.place)) is not None
        and known.kind in ("terminal", "airport")
    ]
    return max(words, key=_actual_rank).place if words else route.terminal


def _carriage(
    news: Iterable[Event], left: frozenset[str], registration: Registration, registers: Registers
) -> tuple[str | None, str | None, str | None]:
    """(vessel or flight, voyage, carrier) by the newest word that names one."""
    named = [e for e in news if e.transport and (of := identity(e)) and of not in left]
    last = max(named, key=lambda e: (_asserted(e), e.received_at, e.event_id), default=None)
    carrier = registration.declaration.parties.get("carrier")
    if last is None or last.transport is None:
        return None, None, carrier
    transport = last.transport
    if carrier is None and registers.kind(last.sender) in ("ocean_carrier", "airline"):
        carrier = last.sender
    return transport.flight or transport.vessel or transport.imo, transport.voyage, carrier


def _delivered(
    registration: Registration,
    slots: Mapping[tuple[str, str, str], Slot],
    milestones: Mapping[tuple[str, str], MilestoneState],
    units: Sequence[str],
) -> tuple[Delivered, ...]:
    """Per item line: the dock's count, else what was packed in the delivered units, else all of it once delivered.

    A line that the dock's final receipts do not name did not come.
    """
    receipts = [receipt for receipt in registration.receipts if not receipt.replaced]
    final = any(receipt.final for receipt in receipts)
    counted = dict.fromkeys((item.line for item in registration.declaration.items), 0) if final else {}
    for receipt in receipts:
        for line in receipt.lines:
            counted[line.line] = counted.get(line.line, 0) + line.good
    state = milestones.get(("delivered", ""))
    all_delivered = bool(state and state.actual)
    packed: dict[int, int] = {}
    for packing in registration.declaration.packing:
        slot = slots.get(("delivered", "", unit_key(packing.unit))) or slots.get(("delivered", "", ""))
        if slot and slot.actual:
            packed[packing.line] = packed.get(packing.line, 0) + packing.quantity
    found = []
    for item in registration.declaration.items:
        if item.line in counted:
            found.append(Delivered(line=item.line, good=counted[item.line], basis="receipt"))
        elif packed.get(item.line):
            found.append(Delivered(line=item.line, good=packed[item.line], basis="packing"))
        elif all_delivered:
            found.append(Delivered(line=item.line, good=item.quantity, basis="milestone"))
    return tuple(found)
