"""What is told of a journey: the record, and the difference against what was told before.

Derived is a function of sets; what was published is history. Per consignment the changes, applied in order, give its open
exceptions, and none is told twice: a change's id is derived from (consignment, version, ordinal).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import msgspec

from services.tracker.exceptions import Found
from services.tracker.journeys import ORDER, Derived, Told, newest_first
from services.tracker.linking import Declared, Linked
from services.tracker.records import (
    BriefJourney,
    Change,
    Claim,
    Delivered,
    ExceptionState,
    Journey,
    JourneyReference,
    Registration,
    Statement,
    encode,
)

ACTUALS_KEPT = 200
RECORD_BYTES = 256_000
EXCEPTIONS_KEPT = 50


def registration_of(journey: Journey | BriefJourney) -> Registration:
    """The registration part of a journey's record."""
    return Registration(**{name: getattr(journey, name) for name in Registration.__struct_fields__})


def _statements(told: Iterable[Told], derived: Derived) -> tuple[Statement, ...]:
    """All actuals up to a bound, of plans and estimates the newest per sender; chosen by (time, id), never by arrival."""
    deciding = {slot.actual.event_id for slot in derived.slots.values() if slot.actual}
    deciding |= {slot.estimate.event_id for slot in derived.slots.values() if slot.estimate}
    actuals = [word for word in told if word.classifier == "actual"]
    if len(actuals) > ACTUALS_KEPT:
        actuals.sort(key=lambda w: (w.occurred_at, w.event_id, w.unit))
    newest: dict[tuple[str, str, str, str, str], Told] = {}
    for word in told:
        if word.classifier == "actual":
            continue
        key = (word.classifier, word.milestone, word.leg, word.unit, word.sender)
        if key not in newest or newest_first(word) > newest_first(newest[key]):
            newest[key] = word
    kept = actuals[-ACTUALS_KEPT:] + list(newest.values())
    kept.sort(key=lambda w: (ORDER[w.milestone], w.leg, w.unit, w.classifier, w.occurred_at, w.event_id))
    return tuple(
        Statement(
            milestone=word.milestone,
            unit=word.unit,
            leg=word.leg,
            classifier=word.classifier,
            occurred_at=word.occurred_at,
            received_at=word.received_at,
            sender=word.sender,
            event_id=word.event_id,
            code=word.code,
            place=word.place,
            pieces=word.pieces,
            decides=word.event_id in deciding,
            shared=word.shared,
            recorded_by=word.event.recorded_by if word.event else None,
            raw=word.event.raw if word.event else None,
        )
        for word in kept
    )


def _references(own: Declared, linked: Linked) -> tuple[JourneyReference, ...]:
    by_people = set(own.registration.linked)
    found = [
        JourneyReference(
            kind=ref.kind, value=ref.value, how="linked" if ref in by_people else "declared", shared=ref in linked.shared
        )
        for ref in own.references
        if ref.kind != "consignment"
    ]
    found += [  # those that link nothing: found by, and shown
        JourneyReference(kind=ref.kind, value=ref.value, how="linked" if ref in by_people else "declared")
        for ref in {*own.registration.declaration.references, *own.registration.linked}
        if ref not in own.references and ref not in own.registration.unlinked
    ]
    found += [
        JourneyReference(kind=ref.kind, value=ref.value, how="learned", teacher=teacher, shared=ref in linked.shared)
        for ref, teacher in linked.learned.items()
    ]
    return tuple(sorted(found, key=lambda r: (r.how, r.kind, r.value)))


def compose(
    own: Declared,
    linked: Linked,
    derived: Derived,
    exceptions: Sequence[ExceptionState],
    next_deadline: datetime | None,
) -> Journey:
    """The record of a journey, without its version, cause and T (those are set when it is published)."""
    return Journey(
        **{name: getattr(own.registration, name) for name in Registration.__struct_fields__},
        version=0,
        cause="live",
        at=None,
        stage=derived.stage,
        mode=own.registration.declaration.route.mode,
        milestone=derived.reached,
        milestone_at=derived.reached_at,
        place=derived.place,
        expected_delivery=derived.expected_delivery,
        expected_basis=derived.expected_basis,
        terminal=derived.terminal,
        vessel=derived.vessel,
        voyage=derived.voyage,
        carrier=derived.carrier,
        milestones=tuple(derived.milestones.values()),
        units=derived.unit_states,
        references=_references(own, linked),
        statements=_statements(derived.told, derived),
        holds=derived.holds,
        claims=tuple(
            Claim(
                event_id=event.event_id,
                sender=event.sender,
                code=event.code,
                milestone=event.milestone,
                occurred_at=event.occurred_at,
                received_at=event.received_at,
                reference=ref,
            )
            for event, ref in linked.claims
        ),
        delivered=derived.delivered,
        exceptions=tuple(exceptions),
        senders=tuple(sorted(linked.standing)),
        events=len(linked.counted),
        last_event_at=max((event.received_at for event in derived.news), default=None),
        next_deadline=next_deadline,
        warnings=(*linked.warnings, *_overcounted(own.registration, derived.delivered)),
    )


def _overcounted(registration: Registration, delivered: Iterable[Delivered]) -> Iterator[str]:
    declared = {item.line: item.quantity for item in registration.declaration.items}
    for line in delivered:
        if line.good > declared[line.line]:
            yield (
                f"line {line.line}: the dock's counts add up to {line.good:,} of {declared[line.line]:,} declared:"
                " if one corrected another, send it again with `--replaces`"
            )


def bounded(journey: Journey) -> tuple[Journey, bytes]:
    """The journey and its record's value. Over the bound it drops the statements that are not actuals, with a warning."""
    encoded = encode(journey)
    if len(encoded) <= RECORD_BYTES:
        return journey, encoded
    actuals = tuple(statement for statement in journey.statements if statement.classifier == "actual")
    warning = "the record was too large: plans and estimates are not shown"
    smaller = msgspec.structs.replace(journey, statements=actuals, warnings=(*journey.warnings, warning))
    return smaller, encode(smaller)


@dataclass
class Difference:
    """The exceptions to record, and what to tell."""

    states: tuple[ExceptionState, ...] = ()
    told: list[tuple[str, ExceptionState]] = field(default_factory=list)


def difference(before: Sequence[ExceptionState], found: Sequence[Found], amended_at: datetime | None) -> Difference:
    """Compares what was published with what is found now.

    What is no longer found ended where the buyer amended the plan (`amended_at`: set when that happened just now); otherwise
    we were wrong, and it is withdrawn: its evidence is gone, or an actual before its start became known.
    """
    outcome = Difference()
    states = {state.key: state for state in before}
    keys = {one.key for one in found}
    for one in found:
        old = states.get(one.key)
        new = one.state("open" if one.end is None else "ended")
        states[one.key] = new
        if old is None or old.status == "withdrawn":
            _opened(outcome, new)
        elif old.status == "open":
            if new.status == "ended":
                outcome.told.append(("exception_ended", new))
            elif _differs(old, new):
                outcome.told.append(("exception_changed", new))
        elif new.status == "open" or new.start != old.start:
            _opened(outcome, new)
        elif new.end != old.end:
            outcome.told.append(("exception_changed", new))
    for key, old in list(states.items()):
        if key in keys or old.status == "withdrawn":
            continue
        if amended_at is not None:
            if old.status == "open":
                states[key] = msgspec.structs.replace(old, status="ended", end=max(amended_at, old.start))
                outcome.told.append(("exception_ended", states[key]))
            continue
        states[key] = msgspec.structs.replace(old, status="withdrawn")
        outcome.told.append(("exception_withdrawn", states[key]))
    open_ones = [state for state in states.values() if state.status == "open"]
    closed = sorted((s for s in states.values() if s.status != "open"), key=lambda s: (s.key in keys, s.start, s.key))
    # what is found still stays, however much it is: forgotten, it would be told again at each touch
    room = max(sum(s.key in keys for s in closed), EXCEPTIONS_KEPT - len(open_ones))
    kept = open_ones + closed[max(0, len(closed) - room) :]
    outcome.states = tuple(sorted(kept, key=lambda state: state.key))
    return outcome


def _opened(outcome: Difference, new: ExceptionState) -> None:
    """An exception that was over before we could tell of it is told as opened and ended: history is complete."""
    if new.status == "ended":
        outcome.told.append(("exception_opened", msgspec.structs.replace(new, status="open", end=None)))
        outcome.told.append(("exception_ended", new))
    else:
        outcome.told.append(("exception_opened", new))


def _differs(old: ExceptionState, new: ExceptionState) -> bool:
    return (old.severity, old.start, old.late_h, old.units) != (new.severity, new.start, new.late_h, new.units)


def change_id(consignment: str, version: int, ordinal: int) -> str:
    """128 bits, derived from what the change is, so that a reader survives a repeat."""
    return hashlib.blake2b(f"{consignment}\0{version}\0{ordinal}".encode(), digest_size=16).hexdigest()


REFERENCES_TOLD = 20  # with each change: enough to find it by, small enough to repeat
TRUCKERS_TOLD = 10


class ChangeList:
    """Numbers the changes of one version of one journey. `known_by`: what their ids are derived from, unless by its name."""

    def __init__(
        self, journey: Journey | None, consignment: str, version: int, cause: str, at: datetime | None, known_by: str = ""
    ) -> None:
        self._consignment, self._version, self._cause, self._at = consignment, version, cause, at
        self._known_by = known_by or consignment
        self._journey = journey
        self.changes: list[Change] = []

    @cached_property
    def _about(self) -> dict[str, object]:
        """What subscribers choose by; most recomputations tell nothing, so it is looked up late."""
        journey = self._journey
        if journey is None:
            return {}
        named = sorted(journey.references, key=lambda ref: ref.how == "learned")
        return {
            "buyer": journey.buyer,
            "facility": journey.declaration.route.place_of_delivery,
            "tier": journey.declaration.tier,
            "carrier": journey.carrier,
            "terminal": journey.terminal,
            "vessel": journey.vessel,
            "voyage": journey.voyage,
            "categories": tuple(sorted({item.category for item in journey.declaration.items})),
            "references": tuple(dict.fromkeys(ref.value for ref in named))[:REFERENCES_TOLD],
            "truckers": _truckers(journey),
        }

    def add(self, change: str, **fields: object) -> None:
        ordinal = len(self.changes)
        self.changes.append(
            Change(
                change=change,
                change_id=change_id(self._known_by, self._version, ordinal),
                consignment=self._consignment,
                version=self._version,
                ordinal=ordinal,
                cause=self._cause,
                at=self._at,
                **self._about,  # type: ignore[arg-type]  # the struct checks nothing; the contract test does
                **fields,  # type: ignore[arg-type]  # as above
            )
        )


def tell_milestones(changes: ChangeList, before: Journey | None, after: Journey, derived: Derived) -> None:
    """Milestones that became actual, moved, or are no longer actual; and changes of custody."""
    old = {(s.milestone, s.leg): s for s in before.milestones} if before else {}
    new = {(s.milestone, s.leg): s for s in after.milestones}
    moved = []
    for key in old.keys() | new.keys():
        before_it, state = old.get(key), new.get(key)
        was, now = before_it.actual if before_it else None, state.actual if state else None
        if now != was:
            moved.append((key, was, now, state.sender if state and now else None))
    for (milestone, leg), was, now, sender in sorted(moved, key=lambda one: (ORDER[one[0][0]], one[0][1])):
        changes.add("milestone_reached", milestone=milestone, leg=leg, occurred_at=now, previous=was, sender=sender)
    handed_before = _handoffs(before.statements) if before else {}
    handed_after = _handoffs(after.statements)
    for (milestone, unit), occurred_at in sorted(handed_after.items()):
        if (milestone, unit) in handed_before:
            continue
        parties = after.declaration.parties
        giver, taker = (
            (after.terminal, parties.get("trucker"))
            if milestone == "gate_out"
            else (parties.get("trucker"), parties.get("consignee") or after.declaration.route.place_of_delivery)
        )
        changes.add("handed_over", milestone=milestone, unit=unit, occurred_at=occurred_at, giver=giver, taker=taker)


def _truckers(journey: Journey) -> tuple[str, ...]:
    """Declared, then appointed; where there are too many, of those the newest: they have the goods now."""
    declared = tuple(code for role, code in journey.declaration.parties.items() if role == "trucker")
    appointed = [code for role, code in journey.appointed if role == "trucker" and code not in declared]
    return (*declared, *appointed[max(0, len(appointed) + len(declared) - TRUCKERS_TOLD) :])


def _handoffs(statements: Iterable[Statement]) -> dict[tuple[str, str], datetime]:
    return {
        (s.milestone, s.unit): s.occurred_at.astimezone(UTC)
        for s in statements
        if s.milestone in ("gate_out", "delivered") and s.decides and s.classifier == "actual"
    }
