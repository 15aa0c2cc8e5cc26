"""A consignment as people read it: the journey step by step, what is wrong and who says so, everything that was said. Pure.

`known_at` tells what was known at an earlier time: what had not been received by then is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from schemas.journey_v1 import ExceptionState, Journey, JourneyReference, MilestoneState, Statement
from schemas.words import MILESTONES
from services.console.gate import Problem
from services.console.local import Zones
from services.console.questions import Place, Questions, RawPointer
from services.console.rawview import SHOWN_MOST, Part, bytes_of, parts, text_of
from services.console.render import judged

CONFLICT: Final = timedelta(hours=12)
"""Actuals of the same step that differ by more contradict each other (docs/exceptions.md)."""

StepState = Literal["done", "late", "part", "expected", "overdue", "unknown"]

_SEGMENTS: Final[Sequence[tuple[str, Sequence[str]]]] = (
    ("origin", ("booked", "received")),
    ("main", ("departed", "transship_arrived", "transship_departed", "arrived")),
    ("port", ("discharged", "customs_released", "available", "gate_out")),
    ("road", ("arrived_consignee", "delivered")),
    ("return", ("empty_returned",)),
)
_AT_ORIGIN: Final = ("booked", "received", "departed")
_ON_THE_WAY: Final = ("transship_arrived", "transship_departed")
_AT_HOSPITAL: Final = ("arrived_consignee", "delivered")
"""All other steps are at the port of discharge."""


@dataclass(frozen=True, slots=True)
class Step:
    """A milestone of a leg. `late_h`: hours of the actual, else the estimate, after the plan; `handoff`: who gives the goods to
    whom by it (empty: nobody is named), None where nobody does; `zone`: that of where it is, as everywhere here an IANA name,
    or empty where nobody knows it."""

    milestone: str
    leg: str
    state: StepState
    planned: datetime | None
    estimated: datetime | None
    actual: datetime | None
    late_h: float | None
    sender: str
    done: int
    total: int
    events: list[str]
    handoff: tuple[str, str] | None
    zone: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the way: origin, main (by `mode`), port, road, return. `mark`: where the goods are now."""

    name: str
    mode: str
    steps: list[Step]
    here: bool


@dataclass(frozen=True, slots=True)
class UnitLine:
    """A container, ULD or load: what each milestone's own word is. `goods`: (item line, quantity)."""

    unit: str
    milestone: str
    at: datetime | None
    place: str
    times: dict[str, datetime]
    goods: list[tuple[int, int]]
    zone: str


@dataclass(frozen=True, slots=True)
class Said:
    """One sender's word. `reported_h`: hours from what happened to our hearing of it; `against`: whom it contradicts."""

    event_id: str
    milestone: str
    leg: str
    unit: str
    classifier: str
    occurred_at: datetime
    received_at: datetime
    reported_h: float | None
    sender: str
    code: str
    place: str
    decides: bool
    claim: bool
    shared: bool
    recorded_by: str
    against: list[str]
    zone: str


@dataclass(frozen=True, slots=True)
class Goods:
    """An item line; `delivered` None: nobody has said."""

    line: int
    category: str
    description: str
    quantity: int
    unit: str
    lot: str
    expires_on: str
    delivered: int | None
    basis: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """An exception with the words that prove it."""

    key: str
    kind: str
    milestone: str
    status: str
    severity: str
    start: datetime
    end: datetime | None
    hours: float | None
    sentence: str
    party: str
    units: list[str]
    evidence: list[Said]
    zone: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What others know it by. `teacher`: the event that a learned one was learned from."""

    kind: str
    value: str
    how: str
    teacher: str
    shared: bool


@dataclass(frozen=True, slots=True)
class Story:
    """A consignment at a time. `hospital`, `terminal`: names where they are known. `earlier`: not all of it, as it was known
    then."""

    consignment: str
    version: int
    stage: str
    mode: str
    tier: int
    buyer: str
    note: str
    hospital: str
    facility: str
    terminal: str
    terminal_name: str
    carrier: str
    vessel: str
    voyage: str
    place: str
    milestone: str
    milestone_at: datetime | None
    expected: datetime | None
    expected_basis: str
    expected_passed: bool
    required_by: datetime | None
    registered_at: datetime
    declared_version: int
    ends: list[str]
    parties: list[tuple[str, str, bool]]
    segments: list[Segment]
    units: list[UnitLine]
    wrong: list[Wrong]
    past: list[Wrong]
    goods: list[Goods]
    references: list[Reference]
    said: list[Said]
    holds: list[tuple[str, str, datetime, datetime | None, str, str]]
    warnings: list[str]
    earlier: bool
    hospital_zone: str
    port_zone: str


@dataclass(frozen=True, slots=True)
class Message:
    """The message behind an event, in parts. `found`: the event's place is marked; `cut`: only its beginning is here."""

    sender: str
    standard: str
    code: str
    position: str
    partition: int
    offset: int
    sha256: str
    size: int
    shown: int
    cut: bool
    found: bool
    parts: list[Part]


def names_event(journey: Journey, event_id: str) -> bool:
    """Whether the consignment's page leads to the event."""
    said = {one.event_id for one in journey.statements} | {one.event_id for one in journey.claims}
    said |= {hold.event_id for hold in journey.holds}
    said |= {reference.teacher or "" for reference in journey.references}
    return event_id in said | {event for state in journey.exceptions for event in state.evidence}


def message_behind(questions: Questions, event_id: str) -> Message:
    """Raises Problem 404 where the bytes are not here (yet)."""
    pointer = questions.raw_pointer(event_id)
    if pointer is None or pointer.offset < 0:
        raise Problem("not-found", "There is no message behind this event.")
    return _message(questions, pointer)


def message_at(questions: Questions, partition: int, offset: int) -> Message:
    """The whole message at a place of raw.messages. Raises Problem 404."""
    return _message(questions, RawPointer("", "", "", "", partition, offset))


def _message(questions: Questions, pointer: RawPointer) -> Message:
    found = questions.raw_bytes(pointer.partition, pointer.offset)
    if found is None:
        raise Problem("not-found", "The message is not here; if it is new, try again in some seconds.")
    try:
        payload = bytes_of(found)
    except ValueError as error:
        raise Problem("not-found", f"The message cannot be shown: {error}.") from error
    text = text_of(payload)
    shown = text[:SHOWN_MOST]
    pieces = parts(shown, pointer.position)
    return Message(
        sender=found.sender,
        standard=pointer.standard,
        code=pointer.code,
        position=pointer.position,
        partition=pointer.partition,
        offset=pointer.offset,
        sha256=found.sha256,
        size=len(payload),
        shown=len(shown),
        cut=len(shown) < len(text),
        found=any(piece.hit for piece in pieces) or not pointer.position,
        parts=pieces,
    )


def known_at(journey: Journey, moment: datetime) -> Journey:
    """The journey without what was received after `moment`. A milestone is actual if all words that decide it were heard by
    then; plans are as declared now; an exception is open from its start to its end."""
    statements = tuple(said for said in journey.statements if said.received_at <= moment)
    milestones = tuple(_milestone_at(state, journey, moment) for state in journey.milestones)
    reached = [state for state in milestones if state.actual is not None and not state.leg]
    last = max(reached, key=lambda state: MILESTONES.index(state.milestone), default=None)
    exceptions = tuple(
        state.model_copy(update={"status": "open", "end": None})
        if state.end is not None and state.start <= moment < state.end
        else state
        for state in journey.exceptions
        if state.start <= moment
    )
    return journey.model_copy(
        update={
            "statements": statements,
            "claims": tuple(claim for claim in journey.claims if claim.received_at <= moment),
            "milestones": milestones,
            "milestone": last.milestone if last else None,
            "milestone_at": last.actual if last else None,
            "exceptions": exceptions,
            "receipts": tuple(receipt for receipt in journey.receipts if receipt.received_at <= moment),
            "expected_delivery": next((state.estimated for state in milestones if state.milestone == "delivered"), None),
            "expected_basis": "estimate",
            "holds": tuple(
                hold.model_copy(update={"released_at": None}) if hold.released_at and hold.released_at > moment else hold
                for hold in journey.holds
                if hold.placed_at <= moment
            ),
        }
    )


def moments(journey: Journey) -> list[datetime]:
    """When something of it became known, the oldest first: where an as-of slider can stand."""
    heard = {said.received_at for said in journey.statements} | {claim.received_at for claim in journey.claims}
    return sorted(heard | {receipt.received_at for receipt in journey.receipts})


def _milestone_at(state: MilestoneState, journey: Journey, moment: datetime) -> MilestoneState:
    own = [said for said in journey.statements if said.milestone == state.milestone and said.leg == state.leg]
    deciding = [said for said in own if said.decides and said.classifier == "actual"]
    heard = [said for said in deciding if said.received_at <= moment]
    estimates = [said for said in own if said.classifier == "estimated" and said.received_at <= moment]
    newest = max(estimates, key=lambda said: (said.received_at, said.event_id), default=None)
    whole = bool(deciding) and len(heard) == len(deciding)
    return state.model_copy(
        update={
            "actual": state.actual if whole else None,
            "estimated": newest.occurred_at if newest else None,
            "units_done": state.units_done if whole else len({said.unit for said in heard}),
            "sender": state.sender if whole else (newest.sender if newest else None),
        }
    )


def tell(journey: Journey, places: dict[str, Place], now: datetime, earlier: bool = False) -> Story:
    """All that a page says of it. `earlier`: the journey is what was known at `now`, which is past."""
    journey = judged(journey, now)
    declared, route = journey.declaration, journey.declaration.route
    local = _Local(journey, places)
    said = sorted(_said(journey, local), key=lambda one: (one.received_at, one.event_id), reverse=True)
    by_id: dict[str, list[Said]] = {}
    for one in said:
        by_id.setdefault(one.event_id, []).append(one)
    wrong = [_wrong(state, by_id, local) for state in journey.exceptions]
    order = {"critical": 0, "major": 1, "minor": 2}
    appointed = {(role, code) for role, code in journey.appointed}
    expected = journey.expected_delivery
    return Story(
        consignment=journey.consignment,
        version=journey.version,
        stage=journey.stage,
        mode=journey.mode,
        tier=declared.tier,
        buyer=journey.buyer,
        note=declared.note or "",
        hospital=_name(route.place_of_delivery, places),
        facility=route.place_of_delivery or "",
        terminal=journey.terminal or "",
        terminal_name=_name(journey.terminal, places),
        carrier=journey.carrier or "",
        vessel=journey.vessel or "",
        voyage=journey.voyage or "",
        place=journey.place or "",
        milestone=journey.milestone or "",
        milestone_at=journey.milestone_at,
        expected=expected,
        expected_basis=journey.expected_basis,
        expected_passed=expected is not None and expected < now and journey.expected_basis != "actual",
        required_by=declared.required_by,
        registered_at=journey.registered_at,
        declared_version=journey.declared_version,
        ends=[end for end in (route.origin, *route.via, route.port_of_discharge, route.place_of_delivery) if end],
        parties=sorted(
            {(role, code, False) for role, code in declared.parties.items()}
            | {(role, code, True) for role, code in appointed if declared.parties.get(role) != code}
        ),
        segments=_segments(journey, now, local),
        units=[_unit(journey, index, local) for index in range(len(journey.units))],
        wrong=sorted((one for one in wrong if one.status == "open"), key=lambda one: (order[one.severity], one.start)),
        past=sorted((one for one in wrong if one.status != "open"), key=lambda one: one.start, reverse=True),
        goods=_goods(journey),
        references=[_reference(reference) for reference in journey.references],
        said=said,
        holds=[
            (hold.kind, hold.unit.partition(":")[2], hold.placed_at, hold.released_at, hold.sender, hold.event_id)
            for hold in journey.holds
        ],
        warnings=list(journey.warnings),
        earlier=earlier,
        hospital_zone=local.of(route.place_of_delivery),
        port_zone=local.port,
    )


class _Local:
    """Which zone each place and each step of a journey is in; empty where nobody knows."""

    def __init__(self, journey: Journey, places: dict[str, Place]) -> None:
        self._route = route = journey.declaration.route
        legs = {state.leg for state in journey.milestones}
        named = {route.origin, route.port_of_discharge, *route.via, *legs}
        self.of = Zones(places, {code for code in named if code}).of
        self.port = self.of(journey.terminal or route.terminal) or self.of(route.port_of_discharge)

    def at(self, milestone: str | None, leg: str = "") -> str:
        """Of a step, by the declared route."""
        if leg or milestone in _ON_THE_WAY or not milestone:
            return self.of(leg)
        if milestone in _AT_ORIGIN:
            return self.of(self._route.origin)
        return self.of(self._route.place_of_delivery) if milestone in _AT_HOSPITAL else self.port


def _name(code: str | None, places: dict[str, Place]) -> str:
    return places[code].name if code in places else code or ""


def _segments(journey: Journey, now: datetime, local: _Local) -> list[Segment]:
    steps = [_step(state, journey, now, local) for state in journey.milestones]
    made: list[Segment] = []
    for name, members in _SEGMENTS:
        own = [step for step in steps if step.milestone in members]
        if name == "road":
            mode = "road"
        else:
            mode = journey.mode if name == "main" else ""
        if own:
            made.append(Segment(name, mode, own, journey.milestone in members))
    return made


def _step(state: MilestoneState, journey: Journey, now: datetime, local: _Local) -> Step:
    deciding = [
        said
        for said in journey.statements
        if said.milestone == state.milestone and said.leg == state.leg and said.decides and said.classifier == "actual"
    ]
    told = state.actual or state.estimated
    late = None if told is None or state.planned is None else round((told - state.planned).total_seconds() / 3600, 1)
    return Step(
        milestone=state.milestone,
        leg=state.leg,
        state=_state(state, now),
        planned=state.planned,
        estimated=state.estimated,
        actual=state.actual,
        late_h=late,
        sender=state.sender or "",
        done=state.units_done,
        total=state.units_total,
        events=list(dict.fromkeys(said.event_id for said in deciding)),
        handoff=_handoff(state.milestone, journey),
        zone=next((zone for said in deciding if (zone := local.of(said.place))), "") or local.at(state.milestone, state.leg),
    )


def _handoff(milestone: str, journey: Journey) -> tuple[str, str] | None:
    """Change of custody, by the rule of the change `handed_over`: terminal to trucker, trucker to the dock."""
    parties, route = journey.declaration.parties, journey.declaration.route
    appointed = [code for role, code in journey.appointed if role == "trucker"]
    trucker = parties.get("trucker") or (appointed[-1] if appointed else "")
    if milestone == "gate_out":
        return journey.terminal or "", trucker
    return (trucker, parties.get("consignee") or route.place_of_delivery or "") if milestone == "delivered" else None


def _state(state: MilestoneState, now: datetime) -> StepState:
    if state.actual is not None:
        return "late" if state.planned is not None and state.actual > state.planned else "done"
    if 0 < state.units_done < state.units_total:
        return "part"
    due = state.estimated or state.planned
    if due is None:
        return "unknown"
    return "overdue" if due < now else "expected"


def _unit(journey: Journey, index: int, local: _Local) -> UnitLine:
    unit = journey.units[index]
    times: dict[str, datetime] = {
        said.milestone: said.occurred_at
        for said in journey.statements
        if said.unit == unit.unit and said.decides and said.classifier == "actual"
    }
    return UnitLine(
        unit=unit.unit,
        milestone=unit.milestone or "",
        at=unit.at,
        place=unit.place or "",
        times=times,
        goods=sorted(unit.quantities.items()),
        zone=local.of(unit.place) or local.at(unit.milestone),
    )


def _goods(journey: Journey) -> list[Goods]:
    delivered = {line.line: line for line in journey.delivered}
    return [
        Goods(
            line=item.line,
            category=item.category,
            description=item.description or "",
            quantity=item.quantity,
            unit=item.unit,
            lot=item.lot or "",
            expires_on=item.expires_on or "",
            delivered=delivered[item.line].good if item.line in delivered else None,
            basis=delivered[item.line].basis if item.line in delivered else "",
        )
        for item in journey.declaration.items
    ]


def _reference(reference: JourneyReference) -> Reference:
    return Reference(reference.kind, reference.value, reference.how, reference.teacher or "", reference.shared)


def _wrong(state: ExceptionState, by_id: dict[str, list[Said]], local: _Local) -> Wrong:
    evidence = [one for event_id in state.evidence for one in by_id.get(event_id, ())[:1]]
    return Wrong(
        key=state.key,
        kind=state.kind,
        milestone=state.milestone or "",
        status=state.status,
        severity=state.severity,
        start=state.start,
        end=state.end,
        hours=state.late_h,
        sentence=state.sentence,
        party=state.party or "",
        units=list(state.units),
        evidence=evidence,
        zone=local.at(state.milestone) if state.milestone else local.port if state.kind == "on_hold" else "",
    )


def _said(journey: Journey, local: _Local) -> Iterator[Said]:
    slots: dict[tuple[str, str, str], list[Statement]] = {}
    for statement in journey.statements:
        if statement.classifier == "actual":
            slots.setdefault((statement.milestone, statement.unit, statement.leg), []).append(statement)
    for one in journey.statements:
        actual = one.classifier == "actual"
        others = slots.get((one.milestone, one.unit, one.leg), []) if actual else []
        against = sorted(
            {o.sender for o in others if o.sender != one.sender and abs(o.occurred_at - one.occurred_at) > CONFLICT}
        )
        yield Said(
            event_id=one.event_id,
            milestone=one.milestone,
            leg=one.leg,
            unit=one.unit,
            classifier=one.classifier,
            occurred_at=one.occurred_at,
            received_at=one.received_at,
            reported_h=_hours(one.occurred_at, one.received_at) if actual else None,
            sender=one.sender,
            code=one.code,
            place=one.place or "",
            decides=one.decides,
            claim=False,
            shared=one.shared,
            recorded_by=one.recorded_by or "",
            against=against,
            zone=local.of(one.place) or local.at(one.milestone, one.leg),
        )
    for claim in journey.claims:
        yield Said(
            event_id=claim.event_id,
            milestone=claim.milestone or "",
            leg="",
            unit=f"{claim.reference.kind}:{claim.reference.value}" if claim.reference else "",
            classifier="actual",
            occurred_at=claim.occurred_at,
            received_at=claim.received_at,
            reported_h=_hours(claim.occurred_at, claim.received_at),
            sender=claim.sender,
            code=claim.code,
            place="",
            decides=False,
            claim=True,
            shared=False,
            recorded_by="",
            against=[],
            zone="",
        )


def _hours(begin: datetime, end: datetime) -> float:
    return round((end - begin).total_seconds() / 3600, 1)
