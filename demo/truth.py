"""The demo's own reading of docs/exceptions.md: what is wrong with a consignment, computed from the scenario's ground truth.

It shares no code with the tracker, so that the two can be held against each other. It knows nothing of messages, readers
or linking: a `Case` holds only what counts for one consignment, who said it, and when it became known.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations, pairwise
from typing import Literal

import msgspec

from schemas.words import MILESTONES, Classifier, HoldKind, HoldState, Milestone, SenderKind

HOUR = timedelta(hours=1)
ORDER: dict[Milestone, int] = {name: place for place, name in enumerate(MILESTONES)}
ROAD: frozenset[Milestone] = frozenset(("gate_out", "arrived_consignee", "delivered"))
TOLERANCE_H = {"sea": 12.0, "air": 4.0, "road": 2.0, "customs": 24.0}
DWELL_H = {"sea": 96.0, "air": 24.0}
SILENT_H = {("sea", "moving"): 72.0, ("sea", "standing"): 24.0, ("air", "moving"): 12.0, ("air", "standing"): 12.0}
SILENT_ON_ROAD_H = 4.0
CONFLICT = 12 * HOUR
OUTLIVES_DELIVERY = ("short", "conflict")


class Fact(msgspec.Struct, frozen=True, gc=False):
    """One statement that counts: what, when it happened (or shall), and when it became known.

    `milestone` is the settled one; `unit` empty: the whole consignment. `carried_by`: vessel and voyage, or the flight, of a
    departure from the origin. `off_route`: an actual arrival or discharge where the goods should not be.
    """

    known_at: datetime
    at: datetime
    milestone: Milestone | None
    sender: str
    sender_kind: SenderKind = "ocean_carrier"
    classifier: Classifier = "actual"
    unit: str = ""
    leg: str = ""
    place: str | None = None
    carried_by: str | None = None
    hold: tuple[HoldKind, HoldState] | None = None
    off_route: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """The dock's count: item line -> good quantity."""

    known_at: datetime
    at: datetime
    good: dict[int, int]
    final: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    """All that decides one consignment's exceptions. `free_time_h`: the consignment's or its facility's, if declared."""

    mode: Literal["sea", "air"]
    plan: dict[Milestone, datetime]
    facts: tuple[Fact, ...]
    units: tuple[str, ...] = ()
    required_by: datetime | None = None
    declared_voyage: str | None = None
    quantities: dict[int, int] = field(default_factory=dict)
    receipts: tuple[Receipt, ...] = ()
    free_time_h: float | None = None
    cancelled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An exception as it must stand: `end` null is open."""

    key: str
    start: datetime
    end: datetime | None = None

    @property
    def kind(self) -> str:
        return self.key.partition(":")[0]


def evaluate(case: Case, now: datetime, slack: timedelta = timedelta()) -> tuple[Found, ...]:
    """Every exception of `case`, open or ended, that is known at `now`, sorted.

    `slack` widens (or narrows) every limit: a scenario whose answer changes with a few minutes of slack sits too near a limit.
    """
    view = View(case, now, slack)
    found: list[Found] = []
    for one in (_overdue, _will_be_late, _late):
        for milestone in view.plan:
            found += one(view, milestone)
    found += _dwell(view)
    found += _silent(view)
    found += _on_hold(view)
    found += _rolled(view)
    found += _misrouted(view)
    closed = [clipped for each in found if (clipped := _clip(each, view.done)) is not None]
    return tuple(sorted([*closed, *_short(view), *_conflict(view)], key=lambda f: (f.key, f.start)))


class View:
    """The case as known at `now`, with the questions that the rules ask."""

    def __init__(self, case: Case, now: datetime, slack: timedelta) -> None:
        self.case, self.now, self.slack = case, now, slack
        self.facts = sorted((f for f in case.facts if f.known_at <= now), key=lambda f: (f.known_at, f.at))
        self.receipts = sorted((r for r in case.receipts if r.known_at <= now), key=lambda r: r.known_at)
        self.actuals = [f for f in self.facts if f.milestone and f.classifier == "actual"]
        self.plan = dict(case.plan)
        if "delivered" not in self.plan and case.required_by is not None:
            self.plan["delivered"] = case.required_by
        self.units = case.units or ("",)
        self.own: dict[Milestone, datetime] = {}
        told: dict[Milestone, list[Fact]] = {}
        for fact in self.actuals:
            if fact.milestone and not fact.leg and not fact.off_route:
                told.setdefault(fact.milestone, []).append(fact)
        self._times: dict[tuple[Milestone, str], datetime] = {}
        for milestone, word in told.items():
            for unit in self.units:
                said = [f for f in word if f.unit in (unit, "")]
                if said:
                    best = said[0] if len(said) == 1 else max(said, key=lambda f: (_strength(f), f.known_at))
                    self._times[milestone, unit] = best.at
            times = [self.unit_time(milestone, unit) for unit in self.units]
            if all(times):
                self.own[milestone] = max(t for t in times if t)
        if any(r.final for r in self.receipts):
            self.own["delivered"] = next(r.at for r in reversed(self.receipts) if r.final)
        self.done = min((t for t in (self.own.get("delivered"), case.cancelled_at) if t), default=None)
        self._estimates: dict[Milestone, list[Fact]] = {}
        for fact in self.facts:
            if fact.milestone and fact.classifier == "estimated" and not fact.leg:
                self._estimates.setdefault(fact.milestone, []).append(fact)
        self._limits: tuple[list[datetime], list[timedelta | None]] | None = None

    def unit_time(self, milestone: Milestone, unit: str) -> datetime | None:
        """The actual that decides for a unit: the stronger sender's, else the later known."""
        return self._times.get((milestone, unit))

    def reached(self, milestone: Milestone) -> datetime | None:
        """When the consignment reached it; untold: when it reached the first later one."""
        for later in MILESTONES[ORDER[milestone] :]:
            if later == "customs_released" and later != milestone:
                continue  # goods are cleared at sea too: it implies nothing
            if later in self.own and not later.startswith("transship"):
                return self.own[later]
        return None

    def tolerance(self, milestone: Milestone) -> timedelta:
        kind: str = self.case.mode
        if milestone in ROAD:
            kind = "road"
        elif milestone == "customs_released":
            kind = "customs"
        return TOLERANCE_H[kind] * HOUR + self.slack

    def estimates(self, milestone: Milestone) -> Sequence[Fact]:
        return self._estimates.get(milestone, ())

    def phase_limit(self, known: datetime) -> timedelta | None:
        """The limit of silence by what was told to have happened until `known`; none outside departed..delivered."""
        if self._limits is None:
            self._limits = _limits(self)
        moments, limits = self._limits
        place = bisect_right(moments, known)
        return limits[place - 1] if place else None


def _strength(fact: Fact) -> int:
    if fact.milestone in ("discharged", "gate_out"):
        return int(fact.sender_kind == "terminal")
    if fact.milestone in ROAD:
        return {"consignee": 2, "trucker": 1}.get(fact.sender_kind, 0)
    return 0


def _clip(found: Found, done: datetime | None) -> Found | None:
    if done is None:
        return found
    if found.start >= done:
        return None
    return Found(found.key, found.start, done if found.end is None else min(found.end, done))


def _overdue(view: View, milestone: Milestone) -> Iterable[Found]:
    reached = view.reached(milestone)
    horizon = min((t for t in (reached, view.now) if t), default=view.now)
    steps: list[tuple[datetime | None, datetime]] = [(None, view.plan[milestone])]
    steps += [(f.known_at, max(view.plan[milestone], f.at)) for f in view.estimates(milestone) if f.known_at < horizon]
    tolerance = view.tolerance(milestone)
    opened: datetime | None = None
    for (known, expected), following in zip(steps, [*(s[0] for s in steps[1:]), None], strict=True):
        deadline = expected + tolerance
        begins = max(deadline, known) if known else deadline
        if opened and known and deadline > known:
            yield Found(f"overdue:{milestone}", opened, known)
            opened = None
        if opened is None and begins < (following or horizon) and begins < horizon:
            opened = begins
    if opened:
        yield Found(f"overdue:{milestone}", opened, reached)


def _will_be_late(view: View, milestone: Milestone) -> Iterable[Found]:
    reached = view.reached(milestone)
    limit = view.plan[milestone] + view.tolerance(milestone)
    run: datetime | None = None
    ended: Found | None = None
    for estimate in view.estimates(milestone):
        if reached and estimate.known_at >= reached:
            break
        if estimate.at > limit:
            run = run or estimate.known_at
        elif run:
            ended, run = Found(f"will_be_late:{milestone}", run, estimate.known_at), None
    if run:
        yield Found(f"will_be_late:{milestone}", run, reached)
    elif ended:
        yield ended


def _late(view: View, milestone: Milestone) -> Iterable[Found]:
    own = view.own.get(milestone)
    limit = view.plan[milestone] + view.tolerance(milestone)
    if own is None or own <= limit:
        return
    later = [view.own[m] for m in MILESTONES[ORDER[milestone] + 1 :] if m in view.own and m != "customs_released"]
    end = own if milestone == "delivered" else min(later, default=None)
    yield Found(f"late:{milestone}", limit, end)


def _dwell(view: View) -> Iterable[Found]:
    hours = view.case.free_time_h if view.case.free_time_h is not None else DWELL_H[view.case.mode]
    limit = hours * HOUR + view.slack
    starts: list[datetime] = []
    ends: list[datetime | None] = []
    for unit in view.units:
        bases = [t for t in (view.unit_time("discharged", unit), view.unit_time("available", unit)) if t]
        outs = [t for m in MILESTONES[ORDER["gate_out"] :] if (t := view.unit_time(m, unit))]
        if view.own.get("delivered"):
            outs.append(view.own["delivered"])
        out = min(outs, default=None)
        if bases and (out or view.now) > min(bases) + limit:
            starts.append(min(bases) + limit)
            ends.append(out)
    if starts:
        yield Found("dwell", min(starts), None if None in ends else max(e for e in ends if e))


def _silent(view: View) -> Iterable[Found]:
    shortest = min(SILENT_ON_ROAD_H, *SILENT_H.values()) * HOUR + view.slack
    moments = sorted({f.known_at for f in view.facts} | {r.known_at for r in view.receipts})
    for known, following in pairwise([*moments, None]):
        assert known is not None
        if (following or view.now) <= known + shortest:
            continue
        limit = silence_limit(view, known)
        if limit is not None and (following or view.now) > known + limit:
            yield Found("silent", known + limit, following)


def silence_limit(view: View, known: datetime) -> timedelta | None:
    """The limit of the phase that the least advanced unit was in, by what was known then; none outside departed..delivered."""
    if view.receipts and view.receipts[0].known_at <= known:
        return None
    return view.phase_limit(known)


def _limits(view: View) -> tuple[list[datetime], list[timedelta | None]]:
    """Each moment at which something that happened became known, in order, and the limit from then on."""
    moments: list[datetime] = []
    limits: list[timedelta | None] = []
    furthest = dict.fromkeys((*view.units, ""), -1)
    most = -1
    moved: Fact | None = None  # the last known movement of those with several legs
    for fact in view.actuals:
        assert fact.milestone is not None
        place = ORDER[fact.milestone]
        most = max(most, place)
        if fact.unit in furthest:
            furthest[fact.unit] = max(furthest[fact.unit], place)
        if fact.milestone.startswith("transship") and (moved is None or fact.at > moved.at):
            moved = fact
        if moments and moments[-1] == fact.known_at:  # known together
            moments.pop()
            limits.pop()
        moments.append(fact.known_at)
        least = min(max(furthest[unit], furthest[""]) for unit in view.units)
        hours = None if most < ORDER["departed"] else _hours_of(view.case.mode, least, moved)
        limits.append(None if hours is None else hours * HOUR + view.slack)
    return moments, limits


def _hours_of(mode: Literal["sea", "air"], least: int, moved: Fact | None) -> float | None:
    """How long the least advanced unit, which has come as far as `least`, may be silent."""
    if least >= ORDER["delivered"]:
        return None
    if least >= ORDER["gate_out"]:
        return SILENT_ON_ROAD_H
    if moved is not None and least in (ORDER["transship_arrived"], ORDER["transship_departed"]):
        # several legs: the last known movement says whether it stands or sails
        return SILENT_H[(mode, "moving" if moved.milestone == "transship_departed" else "standing")]
    return SILENT_H[(mode, "standing" if least >= ORDER["arrived"] else "moving")]


def _on_hold(view: View) -> Iterable[Found]:
    kinds = sorted({f.hold[0] for f in view.facts if f.hold and f.hold[1] == "placed"})
    for kind in kinds:
        placed = min(f.at for f in view.facts if f.hold == (kind, "placed"))
        released = min((f.at for f in view.facts if f.hold == (kind, "released") and f.at >= placed), default=None)
        yield Found(f"on_hold:{kind}", placed, released)


def _rolled(view: View) -> Iterable[Found]:
    said = [f for f in view.facts if f.milestone in ("booked", "departed") and f.carried_by and not f.leg]
    if not said:
        return
    reference = view.case.declared_voyage or said[0].carried_by
    run: datetime | None = None
    for fact in said:
        run = (run or fact.known_at) if fact.carried_by != reference else None
    if run:
        gone = min((f.known_at for f in said if f.milestone == "departed" and f.classifier == "actual"), default=None)
        yield Found("rolled", run, max(gone, run) if gone else None)


def _misrouted(view: View) -> Iterable[Found]:
    astray = [f for f in view.facts if f.off_route and f.classifier == "actual"]
    if not astray:
        return
    places = {f.place for f in astray}
    ends = [f.at for f in view.facts if f.milestone == "transship_departed" and f.place in places and f.classifier == "actual"]
    ends += [view.own[m] for m in ("arrived", "discharged") if m in view.own]
    yield Found("misrouted", min(f.at for f in astray), min(ends, default=None))


def _short(view: View) -> Iterable[Found]:
    good: dict[int, int] = {}
    opened: datetime | None = None
    for receipt in view.receipts:
        for line, count in receipt.good.items():
            good[line] = good.get(line, 0) + count
        lacking = any(good.get(line, 0) < declared for line, declared in view.case.quantities.items())
        if receipt.final and lacking:
            opened = opened or receipt.known_at
        elif opened and not lacking:
            yield Found("short", opened, receipt.known_at)
            opened = None
    if opened:
        yield Found("short", opened)


def _conflict(view: View) -> Iterable[Found]:
    starts: dict[Milestone, datetime] = {}
    slots: dict[tuple[Milestone, str, str], list[Fact]] = {}
    for fact in view.facts:
        if fact.milestone and fact.classifier == "actual" and not fact.off_route:
            slots.setdefault((fact.milestone, fact.unit, fact.leg), []).append(fact)
    for (milestone, _, _), said in slots.items():
        for a, b in combinations(said, 2):
            elsewhere = a.place is not None and b.place is not None and a.place != b.place
            if a.sender != b.sender and (abs(a.at - b.at) > CONFLICT + view.slack or elsewhere):
                start = max(a.known_at, b.known_at)
                starts[milestone] = min(start, starts.get(milestone, start))
    settled = min((r.known_at for r in view.receipts), default=None)
    for milestone, start in starts.items():
        if settled is None or settled > start:
            yield Found(f"conflict:{milestone}", start, settled)
