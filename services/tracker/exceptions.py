"""What is wrong with a consignment, and from when: `find(own, derived, T, outages)` is a pure function of values.

The rules stand in docs/exceptions.md, in the same order. Each finder gives at most one episode a key: the last. Deadlines fire
up to T, the pipeline's own time; one that falls into an outage of ours, or into the hour after it, fires an hour after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property, lru_cache
from operator import attrgetter
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from services.runtime import spoken as said
from services.tracker.clock import NEVER
from services.tracker.journeys import (
    DOCK,
    IMPLYING,
    ORDER,
    Derived,
    PieceCount,
    Told,
    origin_carriage,
    precedence,
    same_carriage,
)
from services.tracker.linking import Counted, Declared, by_time
from services.tracker.records import ExceptionState, Outage
from services.tracker.registers import Registers

HOUR = timedelta(hours=1)
GRACE = HOUR  # after an outage of ours: time to catch up with what lies unread

TOLERANCE_H: Mapping[str, float] = {"sea": 12, "air": 4, "road": 2, "customs": 24}
DWELL_H: Mapping[str, float] = {"sea": 96, "air": 24}
ON_HOLD_H = 24.0
SILENT_H: Mapping[tuple[str, str], float] = {
    ("sea", "under_way"): 72,
    ("sea", "at_port"): 24,
    ("air", "under_way"): 12,
    ("air", "at_port"): 12,
    ("sea", "on_the_road"): 4,
    ("air", "on_the_road"): 4,
}
CONFLICT = timedelta(hours=12)
_SILENT = {phase: timedelta(hours=h) for phase, h in SILENT_H.items()}
_TOLERANCE = {group: timedelta(hours=h) for group, h in TOLERANCE_H.items()}
MAJOR, CRITICAL = 4.0, 12.0  # times the tolerance
_STEPS = ("minor", "major", "critical")
_OUTLIVES_DELIVERY = frozenset({"short", "conflict"})
_ROAD = frozenset({"gate_out", "arrived_consignee", "delivered"})


class Found(msgspec.Struct, frozen=True, gc=False):
    """An exception as the function of sets gives it; `end` None: it is open."""

    key: str
    kind: str
    start: datetime
    end: datetime | None
    severity: str
    sentence: str
    milestone: str | None = None
    late_h: float | None = None
    evidence: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    party: str | None = None

    def state(self, status: str) -> ExceptionState:
        """As it is recorded and published."""
        return ExceptionState(
            key=self.key,
            kind=self.kind,
            milestone=self.milestone,
            status=status,
            severity=self.severity,
            start=self.start,
            end=self.end,
            late_h=self.late_h,
            evidence=self.evidence,
            units=self.units,
            party=self.party,
            sentence=self.sentence,
        )


@dataclass
class Timeline:
    """T and our outages; collects the next moment at which the answer can change without new input."""

    now: datetime | None
    outages: Sequence[Outage] = ()
    upcoming: list[datetime] = field(default_factory=list)

    def fires_at(self, deadline: datetime) -> datetime:
        """When a deadline fires: itself, or an hour after the outage that it (or its grace) fell into. One at the very start
        of an outage is not in it: T stood there before anybody could know of the outage, so it may have fired by then."""
        for outage in self.outages:  # by start: a deadline moved by one may fall into the next
            if outage.start < deadline < outage.end + GRACE:
                deadline = outage.end + GRACE
        return deadline

    def fired(self, deadline: datetime) -> bool:
        """Whether T has reached it; otherwise it is noted as upcoming."""
        fires = self.fires_at(deadline)
        if self.now is not None and fires <= self.now:
            return True
        if fires < NEVER:
            self.upcoming.append(fires)
        return False

    def known(self, received_at: datetime) -> bool:
        """Whether T has reached a statement, so that what lies unread beside it was read first."""
        if self.now is not None and received_at <= self.now:
            return True
        self.upcoming.append(received_at)
        return False

    def next_deadline(self) -> datetime | None:
        return min(self.upcoming, default=None)


_LATER: Mapping[str, tuple[str, ...]] = {
    milestone: tuple(other for other in ORDER if other in IMPLYING and ORDER[other] > ORDER[milestone]) for milestone in ORDER
}
"""Milestone -> those that imply it."""


class Case:
    """What every finder looks at. What several of them need is worked out once."""

    def __init__(
        self, own: Declared, derived: Derived, counted: Sequence[Counted], registers: Registers, time: Timeline
    ) -> None:
        self.own, self.derived, self.counted, self.registers, self.time = own, derived, counted, registers, time
        self.actuals = {m: state.actual for (m, leg), state in derived.milestones.items() if state.actual and not leg}
        cancelled = own.registration.cancelled_at
        self.ends = min((at for at in (self.actuals.get("delivered"), cancelled) if at), default=None)
        """Delivery or cancellation: nothing but `short` and `conflict` outlives it."""
        self.mode = "air" if own.registration.declaration.route.mode == "air" else "sea"
        self._expectations: dict[str, list[_Expectation]] = {}

    def tolerance(self, milestone: str) -> timedelta:
        group = "road" if milestone in _ROAD else "customs" if milestone == "customs_released" else self.mode
        hours = self.own.registration.declaration.tolerance_h.get(group)
        return _TOLERANCE[group] if hours is None else timedelta(hours=hours)

    @cached_property
    def planned(self) -> list[tuple[str, datetime]]:
        """Watched milestones and their declared plans, in the order of a journey."""
        declaration = self.own.registration.declaration
        plan = dict(declaration.plan)
        if declaration.required_by is not None:
            plan.setdefault("delivered", declaration.required_by)
        return sorted(((m, at) for m, at in plan.items() if m != "empty_returned"), key=lambda pair: ORDER[pair[0]])

    def reached(self, milestone: str) -> datetime | None:
        """When the milestone was reached: its actual; where nobody told, the first later one's."""
        return self.actuals.get(milestone) or self.passed(milestone)

    def passed(self, milestone: str) -> datetime | None:
        """When the first later milestone was reached."""
        actuals = self.actuals
        return min([actuals[other] for other in _LATER[milestone] if other in actuals], default=None)

    def expectations(self, milestone: str) -> list[_Expectation]:
        found = self._expectations.get(milestone)
        if found is None:
            found = self._expectations[milestone] = estimates_over_time(self._estimates.get(milestone, ()))
        return found

    @cached_property
    def _estimates(self) -> dict[str, list[Told]]:
        words: dict[str, list[Told]] = {}
        for word in self.derived.told:
            if word.classifier == "estimated" and not word.leg:
                words.setdefault(word.milestone, []).append(word)
        return words

    def severity(self, reference: datetime, unit: timedelta, until: datetime | None) -> str:
        """By the time since `reference` in units of the tolerance: grows as T passes the steps."""
        level = 0
        for factor in (MAJOR, CRITICAL):
            step = reference + unit * factor
            if until is not None:
                if self.time.fires_at(step) >= until or not self.time.fired(step):
                    break
            elif not self.time.fired(step):
                break
            level += 1
        return self.by_tier(level)

    def severity_of(self, ratio: float) -> str:
        """By a figure that does not grow with time."""
        return self.by_tier(2 if ratio >= CRITICAL else 1 if ratio >= MAJOR else 0)

    def by_tier(self, level: int) -> str:
        tier = self.own.registration.declaration.tier
        shift = 1 if tier == 1 else -1 if tier > 3 else 0
        return _STEPS[max(0, min(2, level + shift))]

    def when(self, moment: datetime) -> str:
        """A time as the hospital's clock shows it."""
        return _shown(moment, self._zone)

    @cached_property
    def _zone(self) -> tzinfo:
        try:
            return ZoneInfo(self.registers.zone(self.own.registration.declaration.route.place_of_delivery))
        except (ZoneInfoNotFoundError, ValueError):
            return UTC


@lru_cache(maxsize=50_000)  # the same plans and times are shown at every touch of a journey
def _shown(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime("%d %b %H:%M %Z")


_DONE = {
    "booked": "booked",
    "received": "received for carriage",
    "departed": "departed",
    "transship_arrived": "arrived at the transshipment port",
    "transship_departed": "departed from the transshipment port",
    "arrived": "arrived",
    "discharged": "discharged",
    "customs_released": "released by customs",
    "available": "available for pickup",
    "gate_out": "picked up from the terminal",
    "arrived_consignee": "arrived at the hospital",
    "delivered": "delivered",
}
_DOES_BY_ITSELF = frozenset({"departed", "transship_arrived", "transship_departed", "arrived", "arrived_consignee"})


def _have_done(milestone: str) -> str:
    """What follows "should have": `arrived`, `been discharged`."""
    done = _DONE.get(milestone, milestone)
    return done if milestone in _DOES_BY_ITSELF else f"been {done}"


def hours(span: timedelta) -> float:
    return round(span.total_seconds() / 3600, 1)


def spoken(span: timedelta) -> str:
    """As lists and messages say it, which tell the same: `18 h`, or `3.5 d` from two days on."""
    return said.span(span.total_seconds() / 3600)


def find(
    own: Declared,
    derived: Derived,
    counted: Sequence[Counted],
    registers: Registers,
    now: datetime | None,
    outages: Sequence[Outage],
) -> tuple[tuple[Found, ...], datetime | None]:
    """All exceptions of a consignment at T = `now`, and the next moment at which T alone can change the answer."""
    case = Case(own, derived, counted, registers, Timeline(now, outages))
    found: list[Found] = []
    for finder in FINDERS:
        for one in finder(case):
            bounded = _within_life(one, case.ends)
            if bounded is not None:
                found.append(_in_utc(bounded))
    return tuple(sorted(found, key=attrgetter("key"))), case.time.next_deadline()


def _in_utc(found: Found) -> Found:
    start, end = found.start, found.end
    if start.tzinfo is UTC and (end is None or end.tzinfo is UTC):
        return found
    return msgspec.structs.replace(found, start=start.astimezone(UTC), end=end.astimezone(UTC) if end else None)


def _within_life(found: Found, ends: datetime | None) -> Found | None:
    if ends is None or found.kind in _OUTLIVES_DELIVERY:
        return found
    if found.start >= ends:
        return None
    if found.end is not None and found.end <= ends:
        return found
    return msgspec.structs.replace(found, end=ends)


class _Expectation(msgspec.Struct, frozen=True, gc=False):
    """What was expected of a milestone from `since` on (None: from the beginning), by whose estimate."""

    since: datetime | None
    value: datetime
    word: Told | None


def estimates_over_time(words: Iterable[Told]) -> list[_Expectation]:
    """The consignment-level estimate of a milestone as it was known over time, from the words of its estimates.

    In order of receipt; of one unit the newest said counts; of several units the latest. A word about the whole consignment
    replaces the older ones about its units.
    """
    in_effect: dict[str, Told] = {}
    found: list[_Expectation] = []
    for word in sorted(words, key=attrgetter("received_at", "asserted_at", "event_id")):
        older = in_effect.get(word.unit)
        if older is not None and (older.asserted_at, older.event_id) > (word.asserted_at, word.event_id):
            continue
        if not word.unit:
            in_effect = {unit: kept for unit, kept in in_effect.items() if kept.asserted_at > word.asserted_at}
        in_effect[word.unit] = word
        latest = word if len(in_effect) == 1 else max(in_effect.values(), key=by_time)
        found.append(_Expectation(word.received_at, latest.occurred_at, latest))
    return found


def overdue(case: Case) -> Iterator[Found]:
    """Planned, expected by now, and nobody says that it happened."""
    for milestone, plan in case.planned:
        tolerance = case.tolerance(milestone)
        reached = case.reached(milestone)
        if reached is not None and reached <= plan + tolerance:
            continue  # nothing that was expected is before the plan
        course = [_Expectation(None, plan, None)]
        course += [
            _Expectation(e.since, max(plan, e.value), e.word)
            for e in case.expectations(milestone)
            if reached is None or (e.since is not None and e.since < reached)
        ]
        episode: tuple[datetime, datetime | None, _Expectation] | None = None
        for n, expectation in enumerate(course):
            until = course[n + 1].since if n + 1 < len(course) else None
            deadline = expectation.value + tolerance
            start = deadline if expectation.since is None else max(deadline, expectation.since)
            bounds = [at for at in (until, reached) if at is not None]
            end = min(bounds) if bounds else None
            if end is not None and case.time.fires_at(start) >= end:
                continue
            if not case.time.fired(start):
                continue
            if episode is not None and episode[1] == start:
                episode = (episode[0], end, expectation)  # the newer expectation was already past: one episode
            else:
                episode = (start, end, expectation)
        if episode is None:
            continue
        start, end, expectation = episode
        by = case.when(expectation.value) + (f" (so said {expectation.word.sender})" if expectation.word else "")
        outcome = _still_missing(case, milestone) if end is None else f"settled {case.when(end)}"
        yield Found(
            key=f"overdue:{milestone}",
            kind="overdue",
            milestone=milestone,
            start=start,
            end=end,
            severity=case.severity(expectation.value, tolerance, end),
            late_h=hours(end - expectation.value) if end else None,
            evidence=(expectation.word.event_id,) if expectation.word else (),
            party=expectation.word.sender if expectation.word else None,
            sentence=f"Should have {_have_done(milestone)} by {by}; {outcome}.",
        )


def _still_missing(case: Case, milestone: str) -> str:
    """Of several units, how many are awaited."""
    state = case.derived.milestones.get((milestone, ""))
    if state is None or not 0 < state.units_done < state.units_total:
        return "nobody says that it has"
    pieces = "" if case.derived.units else " pieces"
    return f"{state.units_total - state.units_done} of {state.units_total}{pieces} still not"


def will_be_late(case: Case) -> Iterator[Found]:
    """The newest estimate is past the plan by more than the tolerance."""
    for milestone, plan in case.planned:
        expectations = case.expectations(milestone)
        if not expectations:
            continue
        tolerance = case.tolerance(milestone)
        reached = case.reached(milestone)
        run: list[_Expectation] = []
        end: datetime | None = None
        for expectation in expectations:
            assert expectation.since is not None
            if reached is not None and expectation.since >= reached:
                break
            if not case.time.known(expectation.since):
                break  # its time will come; until then it neither ends nor replaces what was told
            if expectation.value > plan + tolerance:
                if end is not None:
                    run, end = [], None
                run.append(expectation)
            elif run and end is None:
                end = expectation.since
        if not run:
            continue
        first, last = run[0], run[-1]
        assert first.since is not None and last.word is not None
        end = end or reached
        over = last.value - plan
        yield Found(
            key=f"will_be_late:{milestone}",
            kind="will_be_late",
            milestone=milestone,
            start=first.since,
            end=end,
            severity=case.severity_of(over / tolerance),
            late_h=hours(over),
            evidence=tuple(e.word.event_id for e in run[-5:] if e.word),
            units=(last.word.unit,) if last.word.unit else (),
            party=last.word.sender,
            sentence=f"{last.word.sender} expects it to have {_have_done(milestone)} by {case.when(last.value)},"
            f" {spoken(over)} after the plan ({case.when(plan)}).",
        )


def late(case: Case) -> Iterator[Found]:
    """Reached, but past the plan by more than the tolerance; over once the next milestone is reached."""
    for milestone, plan in case.planned:
        actual = case.actuals.get(milestone)
        if actual is None:
            continue
        tolerance = case.tolerance(milestone)
        if actual <= plan + tolerance:
            continue
        words = _deciding(case, milestone)
        if not case.time.known(max(word.received_at for word in words)):
            continue
        end = actual if milestone == "delivered" else case.passed(milestone)
        start = plan + tolerance
        if end is not None and end <= start:
            continue
        last = max(words, key=by_time)
        yield Found(
            key=f"late:{milestone}",
            kind="late",
            milestone=milestone,
            start=start,
            end=end,
            severity=case.severity_of((actual - plan) / tolerance),
            late_h=hours(actual - plan),
            evidence=tuple(sorted({word.event_id for word in words})[:20]),
            units=tuple(sorted({word.unit for word in words if word.unit})[:50]),
            party=last.sender,
            sentence=f"{_DONE[milestone].capitalize()} {spoken(actual - plan)} late: {case.when(actual)} says {last.sender},"
            f" planned was {case.when(plan)}.",
        )


def _deciding(case: Case, milestone: str) -> list[Told]:
    """The statements that make the consignment-level actual."""
    derived = case.derived
    if derived.units:
        return [word for unit in derived.units if (word := derived.unit_actual(milestone, unit)) is not None]
    whole = derived.unit_actual(milestone, "")
    if whole is not None:
        return [whole]
    return [slot.actual for (m, leg, _), slot in derived.slots.items() if m == milestone and not leg and slot.actual]


def dwell(case: Case) -> Iterator[Found]:
    """A unit stands at the destination longer than its free time."""
    derived, declaration = case.derived, case.own.registration.declaration
    facility = case.registers.facilities.get(derived.terminal or "")
    limit_h = declaration.free_time_h or (facility.free_time_h if facility else None) or DWELL_H[case.mode]
    limit = timedelta(hours=limit_h)
    dwelling: list[tuple[datetime, datetime | None, str, Told]] = []
    for unit in derived.units or ("",):
        bases = [word for m in ("discharged", "available") if (word := derived.unit_actual(m, unit)) is not None]
        if not bases:
            continue
        base = min(bases, key=by_time)
        outs = [word.occurred_at for m in _ROAD if (word := derived.unit_actual(m, unit)) is not None]
        if not derived.units:
            outs += [at for m in _ROAD if (at := derived.actual(m)) is not None]
        ends = min([*outs, *([case.ends] if case.ends else [])], default=None)
        start = base.occurred_at + limit
        if ends is not None and case.time.fires_at(start) >= ends:
            continue
        if case.time.fired(start):
            dwelling.append((start, ends, unit, base))
    if not dwelling:
        return
    start, _, _, base = min(dwelling, key=lambda d: (d[0], d[2]))
    standing = [d for d in dwelling if d[1] is None]
    end = None if standing else max(d[1] for d in dwelling if d[1] is not None)
    units = tuple(sorted(d[2] for d in (standing or dwelling) if d[2])[:50])
    many = f"{len(units)} of {len(derived.units)} units have" if len(derived.units) > 1 else "It has"
    place = derived.terminal or base.place or "the terminal"
    yield Found(
        key="dwell",
        kind="dwell",
        start=start,
        end=end,
        severity=case.severity(base.occurred_at, limit, end),
        late_h=hours(end - start) if end else None,
        evidence=tuple(sorted({d[3].event_id for d in dwelling})[:20]),
        units=units,
        party=base.sender,
        sentence=f"{many} been standing at {place} since {case.when(base.occurred_at)}; {limit_h:g} h are free."
        if end is None
        else f"Stood at {place} {spoken(end - base.occurred_at)}; {limit_h:g} h are free.",
    )


_PHASES = ("before", "under_way", "at_port", "on_the_road", "over")
_NEVER_SILENT = frozenset({"before", "over"})
_PHASE_OF = {
    **dict.fromkeys(("departed", "transship_arrived", "transship_departed"), 1),
    **dict.fromkeys(("arrived", "discharged", "available"), 2),
    **dict.fromkeys(("gate_out", "arrived_consignee"), 3),
    **dict.fromkeys(("delivered", "empty_returned"), 4),
}


def silent(case: Case) -> Iterator[Found]:
    """Between departure and delivery nobody tells anything for too long."""
    derived = case.derived
    stated_h = case.own.registration.declaration.silent_after_h
    stated = timedelta(hours=stated_h) if stated_h else None
    phases: dict[str, int] = dict.fromkeys(derived.units or ("",), 0)
    heard = [(event.received_at, event.event_id) for event in derived.news]
    heard += [(event.first_received_at, "") for event in derived.news if event.first_received_at]
    heard += [(receipt.received_at, receipt.command_id) for receipt in case.own.registration.receipts]
    heard.sort()
    moves: dict[str, list[Told]] = {}
    for word in derived.told:
        if word.classifier == "actual" and word.milestone in _PHASE_OF:
            moves.setdefault(word.event_id, []).append(word)
    complete_parts = _parts_complete(case) if derived.total_pieces else {}
    found: tuple[datetime, datetime | None, datetime, str, str] | None = None
    last_leg: Told | None = None
    for n, (at, event_id) in enumerate(heard):
        for word in moves.get(event_id, ()):
            phase = _PHASE_OF[word.milestone]
            if word.leg and (last_leg is None or word.occurred_at > last_leg.occurred_at):
                last_leg = word
            if word.unit.startswith("pieces:"):
                # a part moves the whole only once the pieces are complete
                if complete_parts.get((word.milestone, word.leg)) == event_id:
                    phases[""] = max(phases.get("", 0), phase)
                continue
            for unit in phases if not word.unit else (word.unit,):
                if unit in phases:
                    phases[unit] = max(phases[unit], phase)
        phase_name = _PHASES[min(phases.values())]
        if phase_name in _NEVER_SILENT:
            continue
        if phase_name == "under_way" and last_leg is not None and last_leg.milestone == "transship_arrived":
            phase_name = "at_port"  # it stands at the transshipment port
        until = heard[n + 1][0] if n + 1 < len(heard) else None
        if until == at:
            continue
        start = at + (stated or _SILENT[case.mode, phase_name])
        end = until if case.ends is None or (until is not None and until < case.ends) else case.ends
        if end is not None and (start >= end or case.time.fires_at(start) >= end):
            continue
        if case.time.fired(start):
            found = (start, end, at, phase_name, event_id)
    if found is None:
        return
    start, end, last, phase_name, event_id = found
    where = {"under_way": "under way", "at_port": "at the port", "on_the_road": "on the road"}[phase_name]
    limit = start - last
    yield Found(
        key="silent",
        kind="silent",
        start=start,
        end=end,
        severity=case.severity(last, limit, end),
        late_h=hours(end - start) if end else None,
        evidence=(event_id,),
        party=derived.carrier if phase_name != "on_the_road" else case.own.registration.declaration.parties.get("trucker"),
        sentence=f"No word since {case.when(last)}, while {where}; {spoken(limit)} is the limit."
        if end is None
        else f"No word from {case.when(last)} to {case.when(end)}, while {where}.",
    )


def _parts_complete(case: Case) -> dict[tuple[str, str], str]:
    """(milestone, leg) -> the event whose receipt completed the pieces."""
    total = case.derived.total_pieces
    found: dict[tuple[str, str], str] = {}
    if not total:
        return found
    counts: dict[tuple[str, str], PieceCount] = {}
    parts = [w for w in case.derived.told if w.unit.startswith("pieces:") and w.classifier == "actual"]
    for word in sorted(parts, key=lambda w: (w.received_at, w.event_id)):
        key = (word.milestone, word.leg)
        count = counts.setdefault(key, PieceCount())
        count.add(word)
        if count.done >= total and key not in found:
            found[key] = word.event_id
    return found


def on_hold(case: Case) -> Iterator[Found]:
    """A hold is placed and not released."""
    if not case.derived.holds:
        return
    by_kind: dict[str, list[tuple[datetime, datetime | None, str, str, str]]] = {}
    known_at = {event.event_id: event.received_at for event in case.derived.news}
    for hold in case.derived.holds:
        received = known_at.get(hold.event_id)
        if received is None or not case.time.known(received):
            continue
        by_kind.setdefault(hold.kind, []).append((hold.placed_at, hold.released_at, hold.event_id, hold.unit, hold.sender))
    for kind, intervals in sorted(by_kind.items()):
        standing = [interval for interval in intervals if interval[1] is None]
        chosen = standing or [max(intervals, key=lambda interval: (interval[1], interval[2]))]
        start = min(interval[0] for interval in chosen)
        end = None if standing else chosen[0][1]
        sender = chosen[0][4]
        yield Found(
            key=f"on_hold:{kind}",
            kind="on_hold",
            start=start,
            end=end,
            severity=case.severity(start, timedelta(hours=ON_HOLD_H), end or case.ends),
            late_h=hours(end - start) if end else None,
            evidence=tuple(interval[2] for interval in chosen[:20]),
            units=tuple(sorted({interval[3] for interval in chosen if interval[3]})[:50]),
            party=sender,
            sentence=f"On {kind} hold since {case.when(start)}, says {sender}."
            if end is None
            else f"Was on {kind} hold from {case.when(start)} to {case.when(end)}.",
        )


def rolled(case: Case) -> Iterator[Found]:
    """Booked on one sailing or flight, and the newest word names another."""
    registration = case.own.registration
    left = _deciding(case, "departed") if "departed" in case.actuals else []
    left_known = max((word.received_at for word in left), default=None)
    statements = [
        (event, named)
        for event, named in origin_carriage(case.counted, registration, case.registers)
        if left_known is None or event.received_at <= left_known
    ]
    first = next((ref.value for ref in sorted(registration.declaration.references) if ref.kind == "voyage"), None)
    run_start: datetime | None = None
    ended: datetime | None = None
    newest: tuple[datetime, str] | None = None
    evidence: tuple[str, str, str] | None = None
    for event, named in statements:
        if not case.time.known(event.received_at):
            break  # as in will_be_late
        first = first or named
        said = (event.revision.at or event.received_at, event.event_id)
        if newest is not None and said < newest:
            continue  # an older word that came late
        newest = said
        if same_carriage(named, first):
            if run_start is not None and ended is None:
                ended = event.received_at
        else:
            if run_start is None or ended is not None:
                run_start, ended = event.received_at, None
            evidence = (event.event_id, named, event.sender)
    if run_start is None or evidence is None or first is None:
        return
    end = ended or (max(run_start, left_known) if left_known else None)
    event_id, named, sender = evidence
    yield Found(
        key="rolled",
        kind="rolled",
        milestone="departed",
        start=run_start,
        end=end,
        severity=case.by_tier(0),
        evidence=(event_id,),
        party=sender,
        sentence=f"Rolled from {first} to {named}, says {sender}.",
    )


def short(case: Case) -> Iterator[Found]:
    """The dock counted less than was declared, and expects no more."""
    registration = case.own.registration
    counting = [receipt for receipt in registration.receipts if not receipt.replaced]
    finals = [receipt for receipt in counting if receipt.final]
    if not finals:
        return
    items = {item.line: item for item in registration.declaration.items}
    receipts = sorted(counting, key=lambda receipt: (receipt.received_at, receipt.command_id))
    good = dict.fromkeys(items, 0)
    start: datetime | None = None
    end: datetime | None = None
    missing: dict[int, int] = {}
    final_seen = False
    for receipt in receipts:
        for line in receipt.lines:
            good[line.line] = good.get(line.line, 0) + line.good
        final_seen = final_seen or receipt.final
        now_missing = {n: item.quantity - good[n] for n, item in items.items() if good[n] < item.quantity}
        if not final_seen:
            continue
        if now_missing:
            start, end, missing = start or receipt.received_at, None, now_missing
        elif start is not None and end is None:
            end = receipt.received_at
    if start is None or not case.time.known(start):
        return
    worst = max(missing, key=lambda n: (missing[n] / items[n].quantity, n))
    share = missing[worst] / items[worst].quantity
    level = 2 if share >= 0.5 else 1 if share >= 0.1 else 0
    yield Found(
        key="short",
        kind="short",
        start=start,
        end=end,
        severity=case.by_tier(level),
        evidence=tuple(receipt.command_id for receipt in receipts[-20:]),
        party=finals[0].sender,
        sentence=f"Short by {missing[worst]:,} of {items[worst].quantity:,} {items[worst].category} (line {worst}),"
        f" counted by {finals[0].sender}.",
    )


def misrouted(case: Case) -> Iterator[Found]:
    """Arrived where the route does not lead."""
    words = [off for off in case.derived.off_route if case.time.known(off.event.received_at)]
    if not words:
        return
    last = max(words, key=lambda off: (off.event.occurred_at, off.event.event_id))
    same = [off for off in words if off.place == last.place]
    first = min(same, key=lambda off: (off.event.occurred_at, off.event.event_id))
    yield Found(
        key="misrouted",
        kind="misrouted",
        start=first.event.occurred_at,
        end=last.left_at,
        severity=case.by_tier(1),
        evidence=tuple(sorted(off.event.event_id for off in same)[:20]),
        party=first.event.sender,
        sentence=f"At {last.place} since {case.when(first.event.occurred_at)}, which is not on its route"
        f" ({case.own.registration.declaration.route.origin} to"
        f" {case.own.registration.declaration.route.port_of_discharge}), says {first.event.sender}.",
    )


def conflict(case: Case) -> Iterator[Found]:
    """Two senders contradict each other on when or where."""
    by_slot: dict[tuple[str, str, str], dict[str, Told]] = {}
    settled: dict[tuple[str, str], list[tuple[str, datetime]]] = {}
    for word in case.derived.told:
        if word.classifier != "actual" or word.unit.startswith("pieces:"):
            continue
        slot = (word.milestone, word.leg, word.unit)
        if word.sender_kind in ("operator", DOCK):
            settled.setdefault(slot[:2], []).append((word.unit, word.received_at))
            continue
        said = by_slot.setdefault(slot, {})
        older = said.get(word.sender)
        if older is None or (word.asserted_at, word.event_id) > (older.asserted_at, older.event_id):
            said[word.sender] = word
    disputes: dict[str, list[tuple[datetime, datetime | None, Told, Told]]] = {}
    for slot, said in by_slot.items():
        if len(said) < 2:
            continue
        words = sorted(said.values(), key=lambda word: word.sender)
        pairs = [
            (max(one.received_at, other.received_at), one, other)
            for n, one in enumerate(words)
            for other in words[n + 1 :]
            if abs(one.occurred_at - other.occurred_at) > CONFLICT
            or (one.locode and other.locode and one.locode != other.locode)
        ]
        if not pairs:
            continue
        start, one, other = min(pairs, key=lambda pair: (pair[0], pair[1].sender))
        if not case.time.known(start):
            continue
        words_on_it = settled.get(slot[:2], ())
        end = min((max(at, start) for unit, at in words_on_it if unit in ("", slot[2])), default=None)
        disputes.setdefault(slot[0], []).append((start, end, one, other))
    for milestone, found in sorted(disputes.items()):
        standing = [dispute for dispute in found if dispute[1] is None]
        start, _, one, other = min(standing or found, key=lambda dispute: (dispute[0], dispute[2].unit))
        end = None if standing else max(dispute[1] for dispute in found if dispute[1] is not None)
        stronger, weaker = sorted((one, other), key=lambda word: (precedence(milestone, word.sender_kind), word.sender))
        yield Found(
            key=f"conflict:{milestone}",
            kind="conflict",
            milestone=milestone,
            start=start,
            end=end,
            severity=case.by_tier(0),
            evidence=(one.event_id, other.event_id),
            units=tuple(sorted({d[2].unit for d in (standing or found) if d[2].unit})[:50]),
            party=weaker.sender,
            sentence=f"{_DONE.get(milestone, milestone).capitalize()}: {stronger.sender} says"
            f" {case.when(stronger.occurred_at)}{_at(stronger)}, {weaker.sender} says"
            f" {case.when(weaker.occurred_at)}{_at(weaker)}.",
        )


def _at(word: Told) -> str:
    return f" at {word.place}" if word.place else ""


FINDERS: tuple[Callable[[Case], Iterable[Found]], ...] = (
    overdue,
    will_be_late,
    late,
    dwell,
    silent,
    on_hold,
    rolled,
    short,
    misrouted,
    conflict,
)
