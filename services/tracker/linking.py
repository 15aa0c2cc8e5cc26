"""Which events count for a consignment: references, windows, neighbours, learning, and whose word counts.

A pure function of sets: the consignment's registration, the registrations that declare the same references (its neighbours),
the events of its references, and the registers. The order in which any of them came does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Protocol

import msgspec
from stdnum import ean, iso6346

from schemas.fillers import is_filler
from schemas.words import DOCUMENT_KINDS, LINKING_KINDS, LOGISTIC_KINDS
from services.tracker.records import Event, Ref, Registration
from services.tracker.registers import Registers

WINDOWED_KINDS = frozenset({"container", "uld", "rail_car", "pro_number", "voyage", "sscc", "sgtin"})
PHYSICAL_KINDS = frozenset({"container", "uld", "rail_car", "sscc", "sgtin"})

DOCUMENT_DAYS = 400
LONGEST_DAYS = {"container": 120, "uld": 30, "rail_car": 60, "pro_number": 60, "voyage": 90, "sscc": 120, "sgtin": 120}
BEFORE_ANCHOR_DAYS = 14
BEFORE_LATE_ANCHOR_DAYS = 60  # no plan of booked, received or departed is declared: the anchor is a guess backwards
SHARE_DAYS = 7
LEARNED_AT_MOST = 50
CLAIMS_PER_SENDER = 3

_EARLY = ("booked", "received", "departed")
_MIDDLE = ("transship_arrived", "transship_departed", "arrived", "discharged", "customs_released", "available")
by_time = attrgetter("occurred_at", "event_id")
_DOCUMENT_SPAN = timedelta(days=DOCUMENT_DAYS)
_LEAST_TRANSIT_DAYS = {"sea": (10, 14), "air": (1, 2)}  # to arrived..available, to gate_out and later


@dataclass(frozen=True)
class Declared:
    """A registration as linking sees it."""

    registration: Registration

    @property
    def consignment(self) -> str:
        return self.registration.consignment

    @cached_property
    def references(self) -> frozenset[Ref]:
        """Declared, packed and linked by people, less what people unlinked; and the consignment's own id."""
        own = self.registration
        found = {ref for ref in own.declaration.references if ref.kind in LINKING_KINDS}
        found.update(packing.unit for packing in own.declaration.packing if packing.unit.kind in LINKING_KINDS)
        found.update(ref for ref in own.linked if ref.kind in LINKING_KINDS)
        found.difference_update(own.unlinked)
        found.add(Ref("consignment", own.consignment))
        return frozenset(found)

    @cached_property
    def documents(self) -> frozenset[Ref]:
        return frozenset(ref for ref in self.references if ref.kind in DOCUMENT_KINDS)

    @cached_property
    def parties(self) -> frozenset[str]:
        """Codes with standing of their own: named or appointed, and the buyer."""
        own = self.registration
        return frozenset({*own.declaration.parties.values(), *(party for _, party in own.appointed), own.buyer})

    @cached_property
    def anchor(self) -> tuple[datetime, timedelta, bool]:
        """(the moment around which unit windows open, how far before it they do, whether it is a bare guess)."""
        declaration = self.registration.declaration
        middle, late = _LEAST_TRANSIT_DAYS.get(declaration.route.mode, _LEAST_TRANSIT_DAYS["sea"])
        plans = {m: at for m, at in declaration.plan.items() if m != "empty_returned"}
        early = any(milestone in _EARLY for milestone in plans)
        back = timedelta(days=BEFORE_ANCHOR_DAYS if early else BEFORE_LATE_ANCHOR_DAYS)
        if plans:
            at, milestone = min((at, milestone) for milestone, at in plans.items())
            days = 0 if milestone in _EARLY else middle if milestone in _MIDDLE else late
            return at - timedelta(days=days), back, False
        if declaration.required_by is not None:
            return declaration.required_by - timedelta(days=late), back, False
        return self.registration.registered_at - timedelta(days=60), back, True


class Neighbourhood(Protocol):
    """What linking asks of the rest of the world."""

    def declaring(self, ref: Ref) -> Sequence[Declared]:
        """All registrations that declare this reference."""
        ...

    def events(self, ref: Ref) -> Iterable[Event]:
        """All events that name this reference, newest revision of each."""
        ...

    def retractors(self, event_id: str) -> Iterable[Event]:
        """Events that say they withdraw this one."""
        ...


class Counted(msgspec.Struct, frozen=True, gc=False):
    """An event that counts, and whether its unit or document is shared with another consignment."""

    event: Event
    shared: bool = False


@dataclass(frozen=True)
class Linked:
    """The outcome of linking. `learned`: reference -> the event that taught it."""

    counted: tuple[Counted, ...] = ()
    claims: tuple[tuple[Event, Ref], ...] = ()
    learned: dict[Ref, str] = field(default_factory=dict)
    standing: frozenset[str] = frozenset()
    shared: frozenset[Ref] = frozenset()
    warnings: tuple[str, ...] = ()


def is_retracted(event: Event, world: Neighbourhood, registers: Registers) -> bool:
    """Withdrawn by its own newest revision, or by a standing event of the same sender or of an operator."""
    if event.retracted:
        return True
    return any(
        not other.retracted and (other.sender == event.sender or registers.kind(other.sender) == "operator")
        for other in world.retractors(event.event_id)
    )


def is_empty(event: Event) -> bool:
    """An event of the empty unit: it opens or closes a window."""
    return event.classifier == "actual" and (event.empty is True or event.milestone == "empty_returned")


def has_direct_standing(event: Event, declared: Declared, registers: Registers) -> bool:
    """Named, appointed or buyer; an operator; a terminal or customs speaking of its own registered place."""
    if event.sender in declared.parties:
        return True
    kind = registers.kind(event.sender)
    if kind == "operator":
        return True
    if kind not in ("terminal", "customs"):
        return False
    place = event.place
    facilities = registers.senders[event.sender].facilities
    if place is None:  # it speaks of where it is: that must be on the route
        route = declared.registration.declaration.route
        ends = {route.origin, route.port_of_discharge, *route.via} - {None}
        return route.terminal in facilities or any(f.unlocode in ends for f in registers.own_facilities(event.sender))
    if place.facility is not None:
        return place.facility in facilities
    return any(
        (place.unlocode is not None and place.unlocode == facility.unlocode)
        or (place.iata is not None and place.iata == facility.iata)
        for facility in registers.own_facilities(event.sender)
    )


@dataclass(frozen=True)
class Window:
    """From when to when a reused unit belongs to the consignment. `cut`: a neighbour's opening, exclusive."""

    opens: datetime
    closes: datetime
    cut: datetime | None = None

    def holds(self, event: Event) -> bool:
        at = event.occurred_at
        if at < self.opens or at > self.closes:
            return False
        # the empty return that parts two journeys stands at the very opening of the later one, and is the earlier one's
        if event.milestone == "empty_returned":
            return at != self.opens and (self.cut is None or at <= self.cut)
        return self.cut is None or at < self.cut


def doubts(own: Declared, registers: Registers) -> Iterator[str]:
    """What looks like a slip in a registration. It is accepted all the same: registers may follow."""
    if own.anchor[2]:
        yield "no plan and no required_by: windows are guessed from the registration"
    declaration = own.registration.declaration
    for role in ("carrier", "trucker", "terminal"):
        party = declaration.parties.get(role)
        if party is not None and party not in registers.senders:
            yield f"{role} {party} is not a registered sender: it cannot send anything (lovla carriers list)"
    for what, code in (("terminal", declaration.route.terminal), ("place of delivery", declaration.route.place_of_delivery)):
        if code is not None and code not in registers.facilities:
            yield f"{what} {code} is not a registered facility (lovla facilities list)"
    for ref in sorted(own.references):
        if ref.kind == "container" and not _container_holds(ref.value):
            yield f"container {ref.value} has a wrong check digit: only a message that has the same slip is found by it"


class Linking:
    """One consignment's linking: what was looked up more than once, and `linked`, the outcome.

    Standing and learning build on each other, so they are settled in a fixed number of passes: first those with standing of
    their own (over declared, then learned references) name the next carriers; then all with standing teach references; then
    all events over all references are judged.
    """

    def __init__(self, own: Declared, world: Neighbourhood, registers: Registers) -> None:
        self.own = own
        self.world = world
        self.registers = registers
        self._events: dict[Ref, tuple[Event, ...]] = {}
        self._windows: dict[Ref, Window] = {}
        self._neighbours: dict[Ref, tuple[Declared, ...]] = {}
        self._withdrawn: dict[str, bool] = {}
        self._settle()
        self._let_go()

    def _settle(self) -> None:
        declared = self.own.references
        first = self.candidates(declared)
        matched = self.matched(first.values(), declared)
        speaking = [event for event, _ in matched if self.is_direct(event)]
        learned = self.learn(speaking)
        if learned:
            wider = self.matched((first | self.candidates(learned)).values(), declared.union(learned))
            speaking = [event for event, _ in wider if self.is_direct(event)]
        named = (event.transport.next_carrier for event in speaking if event.transport and event.sender in self.own.parties)
        self._next_carriers = frozenset(code for name in named if name and (code := self.registers.carrier(name)))
        self._learned = self.learn(event for event, _ in matched if self.stands(event))
        self._known = declared.union(self._learned)
        if self._learned:
            matched = self.matched((first | self.candidates(self._learned)).values(), self._known)
        self._shared = frozenset(ref for ref in self._known if self.is_shared(ref))
        self._matched = matched
        self._doubts = tuple(doubts(self.own, self.registers))
        self.linked = self._outcome()

    def with_more(self, events: Iterable[Event], world: Neighbourhood) -> Linking | None:
        """This linking with new events of its references, where that cannot change what was decided of the others; else None.

        An empty unit moves windows, a next carrier gives standing, a document beside a new unit teaches: then all is to be
        settled again. To be used only while registrations, registers, and revisions and retractions of its events are as
        they were.
        """
        more: list[tuple[Event, Ref]] = []
        after = copy(self)
        after.world, after._events, after._withdrawn = world, {}, {}
        after._windows, after._neighbours = dict(self._windows), dict(self._neighbours)
        for event in events:
            if event.retracted:
                continue
            if is_empty(event) or (event.transport and event.transport.next_carrier) or self.might_teach(event):
                return None
            if (ref := after.matches(event, self._known)) is not None:
                more.append((event, ref))
        if more:
            after._matched = [*self._matched, *more]
            after.linked = after._outcome()
        after._let_go()
        return after

    def _let_go(self) -> None:
        """Of the batch that it looked at nothing is kept."""
        del self.world
        self._events, self._withdrawn = {}, {}

    def _outcome(self) -> Linked:
        counting: list[tuple[Event, Ref]] = []
        claiming: list[tuple[Event, Ref]] = []
        for pair in self._matched:
            (counting if self.stands(pair[0]) else claiming).append(pair)
        events = [event for event, _ in _without_afterlife(counting)]
        shared = self._shared
        return Linked(
            counted=tuple(
                Counted(event, bool(shared) and any(ref in shared for ref in event.references))
                for event in sorted(events, key=by_time)
            ),
            claims=_newest_claims(claiming),
            learned=self._learned,
            standing=self.own.parties.union(self._next_carriers, (event.sender for event in events)),
            shared=shared,
            warnings=self._doubts,
        )

    def is_direct(self, event: Event) -> bool:
        return has_direct_standing(event, self.own, self.registers)

    def stands(self, event: Event) -> bool:
        return event.sender in self._next_carriers or has_direct_standing(event, self.own, self.registers)

    def is_withdrawn(self, event: Event) -> bool:
        known = self._withdrawn.get(event.event_id)
        if known is None:
            known = self._withdrawn[event.event_id] = is_retracted(event, self.world, self.registers)
        return known

    def events(self, ref: Ref) -> tuple[Event, ...]:
        """The events of a reference that nobody withdrew."""
        found = self._events.get(ref)
        if found is None:
            found = tuple(
                e
                for e in self.world.events(ref)
                if not (e.retracts and e.milestone is None and e.hold is None)  # says only "that one was wrong"
                and not self.is_withdrawn(e)
            )
            self._events[ref] = found
        return found

    def neighbours(self, ref: Ref) -> tuple[Declared, ...]:
        found = self._neighbours.get(ref)
        if found is None:
            found = tuple(other for other in self.world.declaring(ref) if other.consignment != self.own.consignment)
            self._neighbours[ref] = found
        return found

    def empties(self, ref: Ref) -> list[Event]:
        """Empty events of the unit by senders with declared standing here or at a neighbour, by time."""
        declarers = (self.own, *self.neighbours(ref))
        found = [
            event
            for event in self.events(ref)
            if is_empty(event) and any(has_direct_standing(event, declared, self.registers) for declared in declarers)
        ]
        return sorted(found, key=by_time)

    def opening(self, declared: Declared, empties: Sequence[Event]) -> datetime:
        anchor, back, _ = declared.anchor
        before = [event.occurred_at for event in empties if event.occurred_at <= anchor]
        return max(anchor - back, before[-1]) if before else anchor - back

    def window(self, ref: Ref) -> Window:
        known = self._windows.get(ref)
        if known is not None:
            return known
        anchor, back, _ = self.own.anchor
        last = anchor + timedelta(days=LONGEST_DAYS[ref.kind])
        if ref.kind == "voyage":
            window = Window(anchor - back, last)
        else:
            empties = self.empties(ref)
            closing = [e.occurred_at for e in empties if e.milestone == "empty_returned" and e.occurred_at > anchor]
            # a guessed opening can lie before our own anchor: no neighbour takes more than half the way between the two
            cuts = [
                max(self.opening(other, empties), anchor + (other.anchor[0] - anchor) / 2)
                for other in self.neighbours(ref)
                if (other.anchor[0], other.consignment) > (anchor, self.own.consignment) and not self.shares(other, empties)
            ]
            window = Window(self.opening(self.own, empties), min([last, *closing[:1]]), min(cuts) if cuts else None)
        self._windows[ref] = window
        return window

    def shares(self, other: Declared, empties: Sequence[Event]) -> bool:
        """Whether both travel in the unit at once (less than a container load)."""
        first, second = sorted((self.own.anchor[0], other.anchor[0]))
        if any(first < event.occurred_at <= second for event in empties):
            return False
        common = self.own.references & other.references
        if any(ref.kind in DOCUMENT_KINDS or ref.kind == "voyage" for ref in common):
            return True
        return second - first <= timedelta(days=SHARE_DAYS)

    def is_shared(self, ref: Ref) -> bool:
        if ref.kind == "voyage" or not self.neighbours(ref):
            return False
        if ref.kind in DOCUMENT_KINDS:
            return True
        if ref.kind not in WINDOWED_KINDS:
            return False
        empties = self.empties(ref)
        return any(self.shares(other, empties) for other in self.neighbours(ref))

    def matches(self, event: Event, known: frozenset[Ref]) -> Ref | None:
        """The strongest reference by which the event is this consignment's, given the references known so far."""
        named = event.references
        mine = [ref for ref in named if ref in known]
        if not mine:
            return None
        for ref in mine:
            if ref.kind == "consignment":
                return ref
        for ref in mine:
            if ref.kind not in DOCUMENT_KINDS or abs(event.occurred_at - self.own.anchor[0]) > _DOCUMENT_SPAN:
                continue
            units = [other for other in named if other.kind in PHYSICAL_KINDS]
            if units and not any(unit in known for unit in units) and self.is_anothers(ref, units):
                continue
            return ref
        documents = [ref for ref in named if ref.kind in DOCUMENT_KINDS]
        if documents and not any(ref in known for ref in documents) and any(self.neighbours(ref) for ref in documents):
            return None  # it names a document that we know to be another consignment's
        for ref in mine:
            if ref.kind in WINDOWED_KINDS and ref.kind != "voyage" and self.window(ref).holds(event):
                return ref
        if all(ref.kind == "voyage" for ref in named if ref.kind in LINKING_KINDS):
            for ref in mine:
                if self.window(ref).holds(event):
                    return ref
        return None

    def matched(self, events: Iterable[Event], known: frozenset[Ref]) -> list[tuple[Event, Ref]]:
        """Those events that are this consignment's, and by which reference."""
        return [(event, ref) for event in events if (ref := self.matches(event, known)) is not None]

    def is_anothers(self, document: Ref, units: Iterable[Ref]) -> bool:
        """Whether one of these units is declared by a neighbour on the same document: then what is said of it is not ours."""
        return any(unit in other.references for other in self.neighbours(document) for unit in units)

    def candidates(self, references: Iterable[Ref]) -> dict[str, Event]:
        return {event.event_id: event for ref in references for event in self.events(ref)}

    def might_teach(self, event: Event) -> bool:
        """Whether it names a unit or voyage that is not declared, beside a declared document or what that unit is packed in."""
        own = self.own
        return any(ref.kind in WINDOWED_KINDS and ref not in own.references for ref in event.references) and (
            any(ref in own.documents for ref in event.references) or event.parent in own.references
        )

    def learn(self, events: Iterable[Event]) -> dict[Ref, str]:
        """One hop: units and voyages in counting events that carry a declared document; units packed in a declared one that is
        nobody else's too. References and their teachers."""
        own = self.own
        unlinked = frozenset(own.registration.unlinked)
        learned: dict[Ref, str] = {}
        # counted apart: a list of pallets leaves room for the container that comes after it
        room = {True: LEARNED_AT_MOST, False: LEARNED_AT_MOST}
        for event in sorted(filter(self.might_teach, events), key=by_time):
            if not any(ref in own.documents for ref in event.references) and (
                event.parent is None or self.is_shared(event.parent)
            ):
                continue  # of what is packed in a shared container nobody says whose it is
            for ref in event.references:
                if ref.kind not in WINDOWED_KINDS or ref in own.references or ref in learned or ref in unlinked:
                    continue
                if not _is_sound(ref):
                    continue  # a slip of the pen: a bad number links only where the buyer declared that very string
                if not room[ref.kind in LOGISTIC_KINDS]:
                    continue
                room[ref.kind in LOGISTIC_KINDS] -= 1
                learned[ref] = event.event_id
        return learned


@lru_cache(100_000)  # each is asked about again and again, at every touch of its journeys
def _container_holds(value: str) -> bool:
    return bool(iso6346.is_valid(value))


def _is_sound(ref: Ref) -> bool:
    """Whether it is a number and no filler, and the check digit of a container or a logistic unit holds."""
    if is_filler(ref.kind, ref.value):
        return False
    if ref.kind == "container":
        return _container_holds(ref.value)
    if ref.kind == "sscc":
        return ref.value.isdigit() and bool(ean.calc_check_digit(ref.value[:-1]) == ref.value[-1])
    return True


def link(own: Declared, world: Neighbourhood, registers: Registers) -> Linked:
    """Decides which events count for `own`."""
    return Linking(own, world, registers).linked


def _without_afterlife(counting: list[tuple[Event, Ref]]) -> list[tuple[Event, Ref]]:
    """After a unit's delivery only empty, hold and receipt events of it count: it is on its way to the next journey."""
    delivered: dict[Ref, datetime] = {}
    for event, _ in counting:
        if event.milestone == "delivered" and event.classifier == "actual":
            for ref in event.references:
                if ref.kind in WINDOWED_KINDS and ref.kind != "voyage":
                    delivered[ref] = min(event.occurred_at, delivered.get(ref, event.occurred_at))
    if not delivered:
        return counting
    return [
        (event, ref)
        for event, ref in counting
        if ref not in delivered
        or (event.occurred_at if event.classifier == "actual" else event.revision.at or event.received_at) <= delivered[ref]
        or is_empty(event)
        or event.hold is not None
        or event.milestone == "delivered"
    ]


def _newest_claims(claims: list[tuple[Event, Ref]]) -> tuple[tuple[Event, Ref], ...]:
    by_sender: dict[str, list[tuple[Event, Ref]]] = {}
    for event, ref in sorted(claims, key=lambda pair: (pair[0].occurred_at, pair[0].event_id), reverse=True):
        kept = by_sender.setdefault(event.sender, [])
        if len(kept) < CLAIMS_PER_SENDER:
            kept.append((event, ref))
    return tuple(pair for sender in sorted(by_sender) for pair in by_sender[sender])
