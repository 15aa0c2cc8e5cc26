"""The demo's scenario: consignments with a plan, the course that they really take, and what each sender tells of it, and when.

Pure and seeded: the same (seed, size, now) gives the same scenario. Every consignment has a *story*: clean, or one planted
trouble; noise that must find nothing is laid over both. A draw is kept only if its truth (demo/truth.py) shows exactly the
kind of trouble that its story plants, stays the same for an hour after `now`, and does not hang on a few minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate, pairwise
from random import Random
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace as retold

from demo import world
from demo.truth import HOUR, Case, Fact, Found, Receipt, View, evaluate, silence_limit
from demo.world import Origin, batch_after, batch_before, senders
from schemas.consignment_command_v1 import ConsignmentDeclaration
from schemas.words import Classifier, HoldKind, HoldState, ItemCategory, Milestone

MARGIN = timedelta(minutes=60)
"""The truth must not change between `now` and this much later: pushing and checking take their time."""
SLACK = timedelta(minutes=10)
LIVE_AHEAD = timedelta(hours=48)
"""How far past `now` the course is told, for the simulator that goes on live."""
PAST_D, AHEAD_D = 55, 14
FRESH = 0.45
"""This part of the troubles is still going on at `now`, as far as the story allows; the others are history by then."""
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)

What = Literal[
    "booked",
    "empty_out",
    "received",
    "loaded",
    "departed",
    "transship_arrived",
    "transship_departed",
    "arrived",
    "discharged",
    "customs_released",
    "hold_customs",
    "hold_freight",
    "hold_other",
    "freight_released",
    "available",
    "gate_out",
    "arrived_consignee",
    "delivered",
    "empty_returned",
    "news",
    "retraction",
]
MILESTONE_OF: dict[What, Milestone] = {
    "booked": "booked",
    "received": "received",
    "departed": "departed",
    "transship_arrived": "transship_arrived",
    "transship_departed": "transship_departed",
    "arrived": "arrived",
    "discharged": "discharged",
    "customs_released": "customs_released",
    "available": "available",
    "gate_out": "gate_out",
    "arrived_consignee": "arrived_consignee",
    "delivered": "delivered",
    "empty_returned": "empty_returned",
}
HOLD_OF: dict[What, tuple[HoldKind, HoldState]] = {
    "hold_customs": ("customs", "placed"),
    "hold_freight": ("freight", "placed"),
    "hold_other": ("other", "placed"),
    "freight_released": ("freight", "released"),
    "customs_released": ("customs", "released"),
}

SEA_STORIES = (
    "late_departure",
    "late_arrival",
    "unannounced",
    "eta_slip",
    "stuck_aboard",
    "late_delivery",
    "dwell",
    "silent_sea",
    "silent_terminal",
    "hold_customs",
    "hold_freight",
    "hold_other",
    "rolled",
    "short",
    "misrouted",
    "conflict",
)
AIR_STORIES = ("air_late", "air_dwell", "air_hold", "air_silent", "air_rolled", "air_short", "air_late_delivery")
WANTED: dict[str, tuple[str, ...]] = {
    "late_departure": ("late",),
    "late_arrival": ("late",),
    "unannounced": ("overdue",),
    "eta_slip": ("will_be_late",),
    "stuck_aboard": ("overdue",),
    "late_delivery": ("late", "overdue"),
    "dwell": ("dwell",),
    "silent_sea": ("silent",),
    "silent_terminal": ("silent",),
    "hold_customs": ("on_hold",),
    "hold_freight": ("on_hold",),
    "hold_other": ("on_hold",),
    "rolled": ("rolled",),
    "short": ("short",),
    "misrouted": ("misrouted",),
    "conflict": ("conflict",),
    "air_late": ("late",),
    "air_dwell": ("dwell",),
    "air_hold": ("on_hold",),
    "air_silent": ("silent",),
    "air_rolled": ("rolled",),
    "air_short": ("short",),
    "air_late_delivery": ("late", "overdue"),
}
"""Story -> the kinds of exception of which a draw must show one. Side effects come with it; truth.py knows them."""

CATEGORIES: tuple[tuple[ItemCategory, int], ...] = (
    ("n95_respirator", 120_000),
    ("kn95_respirator", 90_000),
    ("surgical_mask", 400_000),
    ("face_covering", 60_000),
    ("gown", 30_000),
    ("coverall", 12_000),
    ("face_shield", 40_000),
    ("goggles", 15_000),
    ("glove", 900_000),
    ("hand_sanitizer", 20_000),
    ("wipe", 80_000),
    ("ventilator", 60),
    ("iv_set", 25_000),
    ("infusion_pump", 150),
    ("partition", 800),
    ("test_kit", 50_000),
    ("other", 5_000),
)
OWNERS = {"MAEU": "MRS", "ONEY": "ONE", "HLCU": "HLX", "CMDU": "CMA", "COSU": "CBH", "EGLV": "EGH", "MSCU": "MED"}
VESSEL_WORDS = (
    ("AMBER", "BOREAL", "CORAL", "DAWN", "EASTERN", "FAIR", "GOLDEN", "HARBOR", "INDIGO", "JADE", "LUCKY", "NOBLE"),
    ("ALBATROSS", "BRIDGE", "CURLEW", "DOLPHIN", "EGRET", "FALCON", "GANNET", "HERON", "IBIS", "JAEGER", "KESTREL"),
)


@dataclass(frozen=True, slots=True)
class Voyage:
    """One sailing (or flight): as planned, and as it goes. `number` is the voyage or flight number."""

    carrier: str
    vessel: str
    imo: str
    number: str
    origin: Origin
    terminal: str
    departs_plan: datetime
    arrives_plan: datetime
    departs: datetime
    arrives: datetime
    slip_told_at: datetime | None = None
    via: str | None = None
    via_arrives: datetime | None = None
    via_departs: datetime | None = None

    @property
    def port(self) -> str:
        return world.facilities()[self.terminal].unlocode

    @property
    def carried_by(self) -> str:
        return f"{self.vessel} {self.number}".strip()

    def eta(self, said_at: datetime) -> datetime:
        """What the carrier says at `said_at` of the arrival."""
        if self.slip_told_at is not None:
            return self.arrives if said_at >= self.slip_told_at else self.arrives_plan
        return self.arrives if abs(self.arrives - self.arrives_plan) < 10 * HOUR else self.arrives_plan


class Told(msgspec.Struct, frozen=True, gc=False):
    """One statement as a sender makes it. `consignments` empty: it counts for none (a claim, a typing error, a stranger).

    `corrects`: what the same event (same id) said first, and when: (at, known_at). `container` empty: by document only.
    `void`: withdrawn later, or the withdrawal itself, of the statement `retracts`; neither counts in the end.
    """

    ident: str
    sender: str
    what: What
    at: datetime
    known_at: datetime
    consignments: tuple[str, ...]
    classifier: Classifier = "actual"
    container: str = ""
    bill: str = ""
    booking: str = ""
    waybill: str = ""
    pro: str = ""
    place: str | None = None
    facility: str | None = None
    leg: str = ""
    off_route: bool = False
    voyage: Voyage | None = None
    pieces: int = 0
    corrects: tuple[datetime, datetime] | None = None
    void: bool = False
    retracts: str = ""


@dataclass(frozen=True, slots=True)
class DockCount:
    """A dock receipt that the hospital posts."""

    sender: str
    consignment: str
    known_at: datetime
    at: datetime
    lines: tuple[tuple[int, int, int, int], ...]
    """(line, good, short, damaged)"""


@dataclass(frozen=True, slots=True)
class Consignment:
    """A declared consignment, its story and what is true of it."""

    declaration: ConsignmentDeclaration
    registered_at: datetime
    buyer: str
    story: str
    case: Case
    told: tuple[Told, ...]
    counts: tuple[DockCount, ...]
    expected: tuple[Found, ...]

    @property
    def name(self) -> str:
        return self.declaration.consignment


@dataclass(frozen=True, slots=True)
class Scenario:
    """All consignments, and statements that belong to none."""

    seed: int
    now: datetime
    consignments: tuple[Consignment, ...]
    noise: tuple[Told, ...]
    silent_feeds: dict[str, datetime] = field(default_factory=dict)
    """sender -> when its silence starts: its last batch + its limit"""


class NoDraw(Exception):
    """This draw does not tell its story; draw again."""


def settled(told: Told) -> Milestone | None:
    """The milestone as the route settles it: what happens on a leg's end is transshipment."""
    milestone = MILESTONE_OF.get(told.what)
    if told.leg and milestone in ("arrived", "discharged"):
        return "transship_arrived"
    return "transship_departed" if told.leg and milestone == "departed" else milestone


def fact_of(told: Told) -> Fact:
    """The ground truth of a statement."""
    departure = told.what in ("booked", "departed") and not told.leg and told.voyage is not None
    return Fact(
        known_at=told.known_at,
        at=told.at,
        milestone=settled(told),
        sender=told.sender,
        sender_kind=senders()[told.sender].kind,
        classifier=told.classifier,
        unit=told.container,
        leg=told.leg,
        place=told.place,
        carried_by=told.voyage.carried_by if departure and told.voyage else None,
        hold=HOLD_OF.get(told.what),
        off_route=told.off_route,
    )


def tell_scenario(seed: int, size: int, now: datetime) -> Scenario:
    """Draws `size` consignments (a few more where two share a container) as seen at `now` (aware; whole minutes)."""
    return _Teller(seed, size, now.astimezone(UTC).replace(second=0, microsecond=0)).scenario()


class _Teller:
    """Draws voyages, then consignments. Its state: which containers are free for a second journey, and running numbers."""

    def __init__(self, seed: int, size: int, now: datetime) -> None:
        self.seed, self.size, self.now = seed, size, now
        self.serial = seed * 7919 % 500_000
        self.returned: dict[str, list[tuple[datetime, str]]] = {}
        self.fresh = False
        self.voyages = self._fleet()

    def scenario(self) -> Scenario:
        made: list[Consignment] = []
        noise: list[Told] = []
        for index, story in zip(range(self.size), _stories(), strict=False):
            for drawn in self._draw(index, story):
                made.append(drawn)
                noise += self._noise_about(drawn)
        noise += self._heartbeats(made)
        last = batch_before(world.SILENT_AIRLINE, self.now - 52 * HOUR)
        noise.append(stray(world.SILENT_AIRLINE, last, "last"))
        return Scenario(
            self.seed, self.now, tuple(made), tuple(noise), {world.SILENT_AIRLINE: last + world.FEED_LIMIT_H * HOUR}
        )

    def next_serial(self) -> int:
        self.serial += 1
        return self.serial

    # voyages

    def _fleet(self) -> dict[str, list[Voyage]]:
        each = max(3, self.size // 60)
        counts = {"on_time": max(30, self.size // 14), "late_departure": each, "late_arrival": 2 * each, "unannounced": each}
        counts["eta_slip"] = max(3, self.size // 150)
        return {
            kind: [sail(Random(f"{self.seed}:{kind}:{n}"), kind, self.now, self.next_serial()) for n in range(count)]
            for kind, count in counts.items()
        }

    # consignments

    def _draw(self, index: int, story: str) -> list[Consignment]:
        fresh = story in WANTED and Random(f"{self.seed}:{index}").random() < FRESH
        for attempt in range(800):
            random = Random(f"{self.seed}:{index}:{attempt}")
            self.fresh = fresh and attempt < 400
            try:
                drawn = self._air(random, index, story) if story.startswith("air") else self._sea(random, index, story)
            except NoDraw:
                continue
            return drawn
        raise RuntimeError(f"no draw tells the story {story} for consignment {index}; try another seed")

    def _sea(self, random: Random, index: int, story: str) -> list[Consignment]:
        shared = index % 31 == 5 and story == "clean"
        course = SeaCourse(self, random, index, story, lone_container=shared)
        first = course.finish()
        self.returned.setdefault(course.voyage.carrier, []).extend(course.returned())
        return course.with_twin(first) if shared else [first]

    def _air(self, random: Random, index: int, story: str) -> list[Consignment]:
        return [AirCourse(self, random, index, story).finish()]

    # noise that belongs to nobody

    def _noise_about(self, made: Consignment) -> Iterator[Told]:
        random = Random(f"{self.seed}:noise:{made.name}")
        landed = [t for t in made.told if t.what == "discharged" and t.container and t.classifier == "actual"]
        if not landed:
            return
        seen = random.choice(landed)
        if random.random() < 0.05:
            yield retold(
                seen,
                ident=f"{seen.ident}:claim",
                sender=world.STRANGER,
                consignments=(),
                at=seen.at + random.randint(20, 60) * HOUR,
                known_at=batch_after(world.STRANGER, seen.known_at + 60 * HOUR),
                bill="",
                corrects=None,
            )
        if random.random() < 0.03:
            yield retold(
                seen,
                ident=f"{seen.ident}:typo",
                consignments=(),
                container=world.with_wrong_digit(seen.container),
                bill="",
                corrects=None,
            )

    def _heartbeats(self, made: list[Consignment]) -> Iterator[Told]:
        """Each pushing sender says something shortly before `now`, so that no feed but the planted one is silent."""
        for code in (*world.OCEAN, world.STRANGER, *world.TERMINALS, *world.AIRLINES, *world.TRUCKERS):
            yield stray(code, self.now - timedelta(minutes=9), "now")


def _home(code: str) -> str | None:
    return code if senders()[code].kind == "terminal" else None


def stray(code: str, known_at: datetime, label: str) -> Told:
    """A statement about goods that nobody registered."""
    number = sum(map(ord, code))
    told = Told(
        f"stray:{code}:{label}", code, "news", _minutes(known_at - HOUR), known_at, (), place="USLAX", facility=_home(code)
    )
    kind = senders()[code].kind
    if kind == "airline":
        return retold(told, waybill=world.air_waybill(senders()[code].awb_prefix, 9_000_000 + number), pieces=3)
    if kind == "trucker":
        return retold(told, pro=f"{code}9{number}")
    if kind == "terminal":
        told = retold(told, what="available")
    return retold(told, container=world.container_number("TGBU", 990_000 + number))


def _stories() -> Iterator[str]:
    """A cycle of 80: every trouble once, 57 clean, of them 17 by air."""
    cycle = [*SEA_STORIES, *AIR_STORIES, *["clean"] * 40, *["air_clean"] * 17]
    Random(7).shuffle(cycle)
    while True:
        yield from cycle


def _minutes(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _hours(random: Random, low: float, high: float) -> timedelta:
    """A random span in whole minutes."""
    return timedelta(minutes=round(random.uniform(low, high) * 60))


def _working(moment: datetime, random: Random, opens: int = 7, closes: int = 16) -> datetime:
    """The first time in a dock's working hours (Los Angeles) at or after `moment`."""
    local = moment.astimezone(ZoneInfo(world.LOS_ANGELES))
    if local.hour < opens:
        local = local.replace(hour=opens, minute=random.randint(0, 59))
    elif local.hour >= closes:
        local = (local + timedelta(days=1)).replace(hour=opens, minute=random.randint(0, 59))
    return _minutes(local.astimezone(UTC))


def _doubtful(moment: datetime, zone: str) -> bool:
    """Near a change of the clocks the local time does not say which moment is meant."""
    tz = ZoneInfo(zone)
    return (moment - 3 * HOUR).astimezone(tz).utcoffset() != (moment + 3 * HOUR).astimezone(tz).utcoffset()


def _arrival_day(random: Random, now: datetime) -> datetime:
    """A planned arrival between 55 days ago and 14 days ahead, days weighted by the port's TEU of that month."""
    days, weights = _arrival_days(now)
    return _minutes(random.choices(days, cum_weights=weights)[0]) + timedelta(minutes=random.randrange(0, 1440, 10))


@cache
def _arrival_days(now: datetime) -> tuple[list[datetime], list[float]]:
    """The days, and the sum of their weights so far."""
    days = [now + timedelta(days=d) for d in range(-PAST_D, AHEAD_D)]
    return days, list(accumulate(world.teu_by_month()[day.month] for day in days))


def sail(random: Random, kind: str, now: datetime, serial: int) -> Voyage:
    """A sailing of a kind: on_time, late_departure, late_arrival (announced), unannounced, eta_slip (announced, at sea now)."""
    origin = random.choice(world.origins("sea"))
    arrives_plan = _arrival_day(random, now)
    if kind == "eta_slip":
        arrives_plan = now + _hours(random, 30, 140)
    elif kind == "fresh":
        arrives_plan = now + _hours(random, -120, 240)
    elif kind != "on_time":
        arrives_plan = now - _hours(random, 12, 200 if random.random() < FRESH else PAST_D * 24)
    transit = timedelta(hours=origin.transit_h * random.uniform(0.95, 1.05))
    via = random.choice([p for p in ("KRPUS", "TWKHH") if p != origin.unlocode]) if random.random() < 0.2 else None
    departs_plan = _minutes(arrives_plan - transit - (60 * HOUR if via else timedelta()))
    departs, arrives = departs_plan + _hours(random, -3, 7), arrives_plan + _hours(random, -7, 7)
    told: datetime | None = None
    if kind == "late_departure":
        delay = _hours(random, 20, 72)
        departs, arrives, told = departs_plan + delay, arrives_plan + delay * random.uniform(0.4, 1.0), departs_plan + delay
    elif kind == "late_arrival":
        arrives, told = arrives_plan + _hours(random, 24, 110), departs + (arrives_plan - departs) * random.uniform(0.3, 0.7)
    elif kind == "unannounced":
        arrives = arrives_plan + _hours(random, 18, 60)
    elif kind == "eta_slip":
        arrives, told = arrives_plan + _hours(random, 30, 100), now - _hours(random, 14, 70)
    first, second = (words[serial * step % len(words)] for words, step in zip(VESSEL_WORDS, (5, 7), strict=True))
    voyage = Voyage(
        carrier=random.choice(world.OCEAN),
        vessel=f"{first} {second}",
        imo=world.imo_number(900_000 + serial % 99_000),
        number=f"{serial % 900 + 100:03d}E",
        origin=origin,
        terminal=random.choice(world.TERMINALS),
        departs_plan=departs_plan,
        arrives_plan=arrives_plan,
        departs=departs,
        arrives=_minutes(arrives),
        slip_told_at=told,
    )
    if via:
        ashore = departs + _hours(random, 40, 70)
        voyage = replace(voyage, via=via, via_arrives=ashore, via_departs=ashore + _hours(random, 20, 50))
    return voyage


class _Course:
    """What a consignment goes through, told step by step; `finish` judges whether the draw tells its story."""

    mode: Literal["sea", "air"]
    voyage: Voyage

    def __init__(self, teller: _Teller, random: Random, index: int, story: str) -> None:
        self.teller, self.random, self.story, self.now = teller, random, story, teller.now
        self.fresh = teller.fresh
        self.buyer = world.BUYERS[index % len(world.BUYERS)]
        self.name = f"{self.buyer}-{index:05d}"
        self.hospital = random.choice(world.hospitals())
        self.trucker = random.choice(world.TRUCKERS)
        self.told: list[Told] = []
        self._facts: list[Fact | None] = []
        self.counts: list[DockCount] = []
        self.plan: dict[Milestone, datetime] = {}
        self.containers: tuple[str, ...] = ()
        self.bill = self.booking = self.waybill = self.pro = ""
        self.mute: tuple[datetime, datetime] | None = None
        self.talkative = random.random() < 0.6
        self.free_time_h: float | None = None
        self.declared_voyage: Voyage | None = None
        self.required_by: datetime | None = None
        self.items = self._items()
        self.registered_at = self.now

    def _items(self) -> dict[int, tuple[ItemCategory, int]]:
        chosen = self.random.sample(CATEGORIES, self.random.choice((1, 1, 1, 2, 2, 3)))
        return {
            line: (category, max(1, int(typical * self.random.uniform(0.3, 1.5))))
            for line, (category, typical) in enumerate(chosen, 1)
        }

    def tell(
        self,
        sender: str,
        what: What,
        at: datetime,
        *,
        said_at: datetime | None = None,
        delay: timedelta = timedelta(minutes=20),
        classifier: Classifier = "actual",
        container: str = "",
        place: str | None = None,
        facility: str | None = None,
        leg: str = "",
        off_route: bool = False,
        voyage: Voyage | None = None,
    ) -> None:
        """The sender's word, known with its next batch. Truckers know containers and their own numbers, no documents."""
        trucker = sender == self.trucker
        self.told.append(
            Told(
                ident=f"{self.name}:{len(self.told)}",
                sender=sender,
                what=what,
                at=_minutes(at),
                known_at=batch_after(sender, (said_at or at) + delay),
                consignments=(self.name,),
                classifier=classifier,
                container=container,
                bill="" if trucker else self.bill,
                booking="" if trucker else self.booking,
                waybill="" if trucker else self.waybill,
                pro=self.pro if trucker else "",
                place=place,
                facility=facility,
                leg=leg,
                off_route=off_route,
                voyage=voyage or self.voyage,
                pieces=100 if self.waybill else 0,
            )
        )

    def case(self) -> Case:
        return Case(
            mode=self.mode,
            plan=self.plan,
            facts=tuple(self._facts_told()),
            units=self.containers,
            required_by=self.required_by,
            declared_voyage=self.declared_voyage.carried_by if self.declared_voyage else None,
            quantities={line: quantity for line, (_, quantity) in self.items.items()},
            receipts=tuple(Receipt(c.known_at, c.at, {line: good for line, good, _, _ in c.lines}) for c in self.counts),
            free_time_h=self.free_time_h,
        )

    def _facts_told(self) -> list[Fact]:
        """What counts of what is told. Asked twice: before and after it is talked on, when only more is told."""
        self._facts += [None if t.void else fact_of(t) for t in self.told[len(self._facts) :]]
        return [fact for fact in self._facts if fact is not None]

    def silence(self) -> None:
        """Nothing becomes known in the mute span; what happened in it is told after it."""
        if self.mute is None:
            return
        begin, end = self.mute
        kept = []
        for told in self.told:
            if begin < told.known_at < end:
                if end == FOREVER:
                    continue
                told = retold(told, known_at=batch_after(told.sender, end))
            kept.append(told)
        self.told = kept

    def keep_talking(self) -> None:
        """Fills what would be a silence with the news that feeds bring: ETA updates at sea, estimates at the terminal."""
        view = View(self.case(), FOREVER, timedelta())
        end = self.now + LIVE_AHEAD
        moments = sorted({f.known_at for f in view.facts if f.known_at <= end})
        for known, following in pairwise([*moments, end]):
            limit = silence_limit(view, known)
            if limit is None:
                continue
            while following - known > 0.8 * limit:
                sender, speak = self.talker(known, limit)
                known = batch_before(sender, known + 0.75 * limit)
                if self.mute is None or not self.mute[0] < known < self.mute[1]:
                    speak(known)

    def talker(self, known: datetime, limit: timedelta) -> tuple[str, Callable[[datetime], None]]:
        """Who speaks while nothing happens, and how."""
        raise NotImplementedError

    def known_actual(self, *what: What, at: datetime) -> bool:
        known = (t for t in self.told if t.classifier == "actual" and t.known_at <= at)
        return any(t.what in what and not t.off_route and not t.void for t in known)

    def count_at_dock(self, at: datetime, *, lacking: bool) -> None:
        """The hospital's dock counts: everything, or less than declared of the first line."""
        lines = []
        for line, (_, quantity) in self.items.items():
            missing = max(1, int(quantity * self.random.uniform(0.03, 0.6))) if lacking and line == 1 else 0
            lines.append((line, quantity - missing, missing, 0))
        self.counts.append(
            DockCount(self.hospital, self.name, batch_after(self.hospital, at + timedelta(minutes=30)), at, tuple(lines))
        )

    def finish(self) -> Consignment:
        """The consignment, if its truth is what its story says, now and an hour on, with room to spare."""
        case = self.case()
        expected = evaluate(case, self.now)
        told = [f for f in expected if f.kind in WANTED.get(self.story, ())]
        if self.fresh:
            told = [f for f in told if f.end is None]
        if bool(told) != (self.story in WANTED) or (expected and not told):
            raise NoDraw
        shape = [(f.key, f.end is None) for f in expected]
        if len({f.key for f in expected}) != len(expected):
            raise NoDraw
        for later, slack in ((MARGIN, timedelta()), (timedelta(), SLACK), (timedelta(), -SLACK), (MARGIN, -SLACK)):
            if [(f.key, f.end is None) for f in evaluate(case, self.now + later, slack)] != shape:
                raise NoDraw
        return self._consignment(case, expected)

    def _consignment(self, case: Case, expected: tuple[Found, ...]) -> Consignment:
        return Consignment(
            declaration=ConsignmentDeclaration.model_validate(self.declared()),
            registered_at=min(self.registered_at, batch_before(self.buyer, self.now)),
            buyer=self.buyer,
            story=self.story,
            case=case,
            told=tuple(self.told),
            counts=tuple(self.counts),
            expected=expected,
        )

    def declared(self) -> dict[str, object]:
        """The registration, as the buyer sends it."""
        return {
            "consignment": self.name,
            "items": [
                {"line": line, "category": category, "quantity": quantity} for line, (category, quantity) in self.items.items()
            ],
            "parties": {"carrier": self.voyage.carrier, "trucker": self.trucker, "consignee": self.hospital},
            "plan": {m: t.isoformat() for m, t in self.plan.items()},
            "required_by": self.required_by.isoformat() if self.required_by else None,
            "tier": self.random.choices((1, 2, 3, 4, 5), (3, 3, 3, 1, 1))[0],
            "free_time_h": self.free_time_h,
        }


class SeaCourse(_Course):
    """By sea to a San Pedro Bay terminal, by truck to the hospital."""

    mode = "sea"

    def __init__(self, teller: _Teller, random: Random, index: int, story: str, lone_container: bool = False) -> None:
        super().__init__(teller, random, index, story)
        self.lone = lone_container or random.random() < 0.08
        self.learned = not self.lone and random.random() < 0.15
        self.voyage = self._voyage()
        self.terminal = self.voyage.terminal
        if not self.lone and story in ("clean", "rolled") and random.random() < 0.25:
            self.declared_voyage = self.voyage
        if story == "hold_freight" and self.terminal not in world.TERMINALS_LOVLA:
            raise NoDraw  # X12 has no code that places a freight hold
        self._plan()
        self._identify(teller)
        self._origin()
        self._crossing()
        self._ashore()
        self.silence()
        self._mishear()
        self.keep_talking()

    def _voyage(self) -> Voyage:
        random = self.random
        if self.story in ("rolled", "misrouted", "silent_sea"):
            return sail(random, "fresh" if self.fresh else "on_time", self.now, self.teller.next_serial())
        fleet = self.teller.voyages[self.story if self.story in self.teller.voyages else "on_time"]
        if self.fresh:
            fleet = [v for v in fleet if timedelta(days=-2) < self.now - v.arrives < timedelta(days=9)] or fleet
        return random.choice(fleet)

    def _plan(self) -> None:
        v, random = self.voyage, self.random
        self.gate_plan = _working(v.arrives_plan + _hours(random, 54, 70), random)
        plan: dict[Milestone, datetime] = {
            "received": v.departs_plan - 36 * HOUR,
            "departed": v.departs_plan,
            "arrived": v.arrives_plan,
            "discharged": v.arrives_plan + 18 * HOUR,
            "customs_released": v.arrives_plan + 26 * HOUR,
            "available": v.arrives_plan + 30 * HOUR,
            "gate_out": self.gate_plan,
            "delivered": self.gate_plan + 4 * HOUR,
        }
        for optional, chance in (("received", 0.5), ("customs_released", 0.6), ("delivered", 0.1)):
            if random.random() < chance:
                self.required_by = plan["delivered"] if optional == "delivered" else self.required_by
                del plan[optional]  # type: ignore[arg-type]  # literals
        self.plan = plan
        self.required_by = self.required_by or plan["delivered"] + 36 * HOUR
        if random.random() < 0.05:
            self.free_time_h = 120.0
        booked = v.departs_plan - _hours(random, 90, 220)
        self.booked_at = booked
        self.registered_at = batch_after(self.buyer, booked - _hours(random, 1, 30))
        if random.random() < 0.04:
            self.registered_at = batch_after(self.buyer, v.departs_plan + _hours(random, 10, 90))

    def _identify(self, teller: _Teller) -> None:
        carrier, random = self.voyage.carrier, self.random
        count = 1 if self.lone or self.story in ("misrouted", "conflict") else random.choice((1, 1, 1, 2, 3))
        used = self._second_journey(teller) if count == 1 else None
        fresh = tuple(world.container_number(OWNERS[carrier] + "U", 200_000 + teller.next_serial()) for _ in range(count))
        if random.random() < 0.02 and not self.learned:
            fresh = tuple(world.with_wrong_digit(container) for container in fresh)  # painted so, and told so by all
        self.containers = (used,) if used else fresh
        number = teller.next_serial()
        if not self.lone:
            self.bill, self.booking = f"{carrier}{600_000_000 + number}", f"BK{carrier[:2]}{number:07d}"

    def _second_journey(self, teller: _Teller) -> str | None:
        """A container that came back empty long enough ago."""
        if self.random.random() > 0.35:
            return None
        pool = teller.returned.get(self.voyage.carrier, [])
        for place, (returned, container) in enumerate(pool):
            if returned + timedelta(days=12) < self.voyage.departs_plan - 36 * HOUR:
                del pool[place]
                return container
        return None

    def by_carrier(self, what: What, at: datetime, place: str, **more: object) -> None:
        """Whole-consignment word of the carrier; by container where no document is declared."""
        container = self.containers[0] if self.lone else ""
        self.tell(self.voyage.carrier, what, at, place=place, container=container, **more)  # type: ignore[arg-type]  # passed on

    def _origin(self) -> None:
        v, random = self.voyage, self.random
        port, carrier = v.origin.unlocode, v.carrier
        dcsa = carrier in world.OCEAN_DCSA
        if dcsa and not self.lone:
            self.tell(carrier, "booked", self.booked_at, voyage=replace(v, vessel="", number=""))
        self.by_carrier("departed", v.departs_plan, port, said_at=self.booked_at, classifier="planned" if dcsa else "estimated")
        if self.story == "rolled":
            self._roll()
            v = self.voyage
        for container in self.containers:
            received = v.departs_plan - 36 * HOUR + _hours(random, -9, 6)
            late = timedelta(hours=random.uniform(40, 90)) if random.random() < 0.06 else timedelta(minutes=20)
            if random.random() < 0.7:
                self.tell(carrier, "empty_out", received - _hours(random, 20, 50), container=container, place=port)
            if "received" in self.plan or random.random() < 0.7:
                self.tell(carrier, "received", received, container=container, place=port, delay=late)
            self.tell(carrier, "loaded", v.departs - _hours(random, 3, 9), container=container, place=port)
        self.by_carrier("departed", v.departs, port)

    def _roll(self) -> None:
        """Left behind: the carrier names the next sailing, some days later."""
        later = _hours(self.random, 80, 170)
        old = self.voyage
        serial = self.teller.next_serial()
        self.voyage = replace(
            old,
            vessel=f"{VESSEL_WORDS[0][serial % 12]} {VESSEL_WORDS[1][serial % 11]} II",
            imo=world.imo_number(900_000 + serial % 99_000),
            number=f"{serial % 900 + 100:03d}W",
            departs=old.departs + later,
            arrives=old.arrives + later,
            slip_told_at=old.departs_plan - 30 * HOUR,
            via_arrives=old.via_arrives + later if old.via_arrives else None,
            via_departs=old.via_departs + later if old.via_departs else None,
        )
        self.by_carrier(
            "departed",
            old.departs_plan + later,
            old.origin.unlocode,
            said_at=old.departs_plan - _hours(self.random, 4, 40),
            classifier="estimated",
        )

    def _crossing(self) -> None:
        v, random = self.voyage, self.random
        if v.via and v.via_arrives and v.via_departs:
            self.by_carrier("transship_arrived", v.via_arrives, v.via, leg=v.via)
            self.by_carrier("transship_departed", v.via_departs, v.via, leg=v.via)
        if self.story == "silent_sea":
            begin = v.departs + _hours(random, 20, 120)
            self.mute = (begin, FOREVER if begin + 80 * HOUR > self.now else begin + _hours(random, 90, 190))
        if self.story == "misrouted":
            self._stray_ashore()
        self._told_of_arrival()

    def _told_of_arrival(self) -> None:
        """By document; or once for all on board, where the voyage is declared and the carrier speaks of vessels."""
        v = self.voyage
        if self.declared_voyage != v or v.carrier not in world.OCEAN_DCSA:
            self.by_carrier("arrived", v.arrives, v.port)
            return
        self.tell(v.carrier, "arrived", v.arrives, place=v.port)
        self.told[-1] = retold(self.told[-1], ident=f"{v.imo}/{v.number}:arrived", bill="", booking="")

    def _stray_ashore(self) -> None:
        """Put ashore at a wrong port, then brought on."""
        v, random = self.voyage, self.random
        wrong = random.choice(world.ASTRAY)
        ashore = v.arrives_plan - _hours(random, 10, 30)
        onward = ashore + _hours(random, 60, 140)
        self.voyage = replace(v, arrives=onward + _hours(random, 30, 60), slip_told_at=ashore + 6 * HOUR)
        container = self.containers[0]
        self.tell(v.carrier, "discharged", ashore, container=container, place=wrong, leg=wrong, off_route=True)
        self.tell(v.carrier, "departed", onward, container=container, place=wrong, leg=wrong)

    def _ashore(self) -> None:
        v, random, port = self.voyage, self.random, self.voyage.port
        terminal, carrier = self.terminal, self.voyage.carrier
        stuck = _hours(random, 40, 90) if self.story == "stuck_aboard" else timedelta()
        landed = {c: v.arrives + stuck + _hours(random, 8, 18) for c in self.containers}
        cleared = max(landed.values()) + _hours(random, 1, 3)
        if self.story.startswith("hold_"):
            cleared = self._held(cleared)
        ready = {c: cleared + _hours(random, 1, 4) for c in self.containers}
        self.ready = max(ready.values())
        if self.story == "silent_terminal":
            begin = max(landed.values()) + _hours(random, 1, 20)
            self.mute = (begin, FOREVER if begin + 34 * HOUR > self.now else begin + _hours(random, 40, 60))
        self.gate = self._gate_time()
        carrier_tells, missing = random.random() < 0.5, random.random() < 0.08 and self.story == "clean"
        for c in self.containers:
            where = {"container": c, "place": port, "facility": terminal}
            wrong = _hours(random, 16, 40) if self.story == "conflict" else timedelta()
            if not missing:
                self.tell(terminal, "discharged", landed[c], **where)  # type: ignore[arg-type]  # passed on
            if carrier_tells or wrong:
                self.tell(carrier, "discharged", landed[c] + wrong, container=c, place=port)
            self.tell(terminal, "available", ready[c], **where)  # type: ignore[arg-type]  # passed on
        self._tell_cleared(cleared, carrier, terminal, port)
        self._road(ready)

    def _held(self, cleared: datetime) -> datetime:
        """A hold is placed at the terminal; customs and freight release it, the carrier's own ends with the delivery."""
        random, port = self.random, self.voyage.port
        placed, released = cleared - _hours(random, 0.2, 0.8), cleared + _hours(random, 30, 150)
        teller = self.terminal
        if self.story == "hold_other":
            self.by_carrier("hold_other", placed, port)
            return cleared
        what: What = "hold_customs" if self.story == "hold_customs" else "hold_freight"
        for c in self.containers[:1]:
            self.tell(teller, what, placed, container=c, place=port, facility=teller)
            if what == "hold_freight":
                self.tell(teller, "freight_released", released, container=c, place=port, facility=teller)
        return released

    def _tell_cleared(self, cleared: datetime, carrier: str, terminal: str, port: str) -> None:
        if carrier in world.OCEAN_DCSA and not self.lone and self.random.random() < 0.5:
            self.tell(carrier, "customs_released", cleared)
            return
        for c in self.containers:
            self.tell(terminal, "customs_released", cleared, container=c, place=port, facility=terminal)

    def _gate_time(self) -> datetime:
        """When the last container leaves: at its appointment, or at the next one after it is ready."""
        random = self.random
        if self.story == "dwell":
            return _working(self.ready + _hours(random, 100, 220), random)
        on_plan = self.gate_plan + _hours(random, -1.2, 1.2)
        if self.ready + HOUR < on_plan:
            return on_plan
        return _working(self.ready + _hours(random, 4, 30), random)

    def _road(self, ready: dict[str, datetime]) -> None:
        random, port = self.random, self.voyage.port
        docked: list[datetime] = []
        for number, c in enumerate(self.containers):
            last = number == len(self.containers) - 1
            out = self.gate if last else max(ready[c] + 30 * timedelta(minutes=1), self.gate - _hours(random, 0.5, 20))
            self.pro = f"{self.trucker}{self.teller.next_serial():07d}"
            self.tell(self.terminal, "gate_out", out, container=c, place=port, facility=self.terminal)
            ride = _hours(random, 0.8, 1.8)
            if self.story == "late_delivery" and last:
                ride += _hours(random, 6, 20)
            if random.random() < 0.85:
                self.tell(self.trucker, "arrived_consignee", out + ride, container=c)
            docked.append(out + ride + _hours(random, 0.5, 1.0))
            self.tell(self.trucker, "delivered", docked[-1], container=c)
            self.tell(self.voyage.carrier, "empty_returned", docked[-1] + _hours(random, 24, 110), container=c, place=port)
        if self.story == "short" or (self.story == "clean" and random.random() < 0.12):
            self.count_at_dock(max(docked), lacking=self.story == "short")

    def _mishear(self) -> None:
        """Feed noise: a wrong time that a later version of the event, or a later event, corrects; a gate that never opened."""
        if self.story != "clean":
            return
        for place, told in enumerate(list(self.told)):
            fixed = batch_after(told.sender, told.known_at + 6 * HOUR)
            if fixed > self.now or told.what not in ("discharged", "available") or self.random.random() > 0.06:
                continue
            if told.sender in (*world.OCEAN_DCSA, *world.TERMINALS_LOVLA):
                wrong = told.at - _hours(self.random, 14, 30)
                self.told[place] = retold(told, corrects=(wrong, told.known_at), known_at=fixed)
            elif told.what == "available":
                wrong = told.at - _hours(self.random, 1, 3)
                self.told[place] = retold(told, known_at=fixed)
                self.told.append(retold(told, ident=f"{told.ident}:wrong", at=wrong))
            if told.what == "available" and told.sender in world.TERMINALS_LOVLA:
                self._false_gate(told)

    def _false_gate(self, ready: Told) -> None:
        """The terminal says that the container left, and takes it back."""
        false = retold(ready, ident=f"{ready.ident}:gate", what="gate_out", at=ready.at + 2 * HOUR, void=True)
        said = batch_after(ready.sender, false.at)
        back = batch_after(ready.sender, said + HOUR)
        if back > self.now:
            return
        self.told.append(retold(false, known_at=said))
        self.told.append(retold(false, ident=f"{ready.ident}:back", what="retraction", known_at=back, retracts=false.ident))

    def talker(self, known: datetime, limit: timedelta) -> tuple[str, Callable[[datetime], None]]:
        v = self.voyage
        container = self.containers[0] if self.lone else ""
        if limit == 4 * HOUR:
            pending = [t for t in self.told if t.what == "delivered" and t.known_at > known]
            latest = max(pending, key=lambda t: t.known_at)
            self.pro = latest.pro

            def on_road(at: datetime) -> None:
                self.tell(self.trucker, "news", at - HOUR, said_at=at, delay=timedelta(), container=latest.container)

            return self.trucker, on_road
        if not self.known_actual("arrived", "discharged", "available", "customs_released", at=known):

            def at_sea(at: datetime) -> None:
                self.by_carrier("arrived", v.eta(at), v.port, said_at=at, delay=timedelta(), classifier="estimated")

            return v.carrier, at_sea

        def at_terminal(at: datetime) -> None:
            what: What = "gate_out" if self.known_actual("available", at=at) else "available"
            believed = self._believed(what, at)
            talkative = self.talkative or self.terminal in world.TERMINALS_LOVLA  # ours has no code for mere news
            spoken: What = what if talkative else "news"
            self.tell(
                self.terminal,
                spoken,
                believed if talkative else at - HOUR,
                said_at=at,
                delay=timedelta(),
                classifier="estimated" if talkative else "actual",
                container=container,
                place=v.port,
                facility=self.terminal,
            )

        return self.terminal, at_terminal

    def _believed(self, what: What, at: datetime) -> datetime:
        """What the terminal thinks at `at`: the true time within a day of it, else the plan, else some hours on."""
        true, planned, ahead = (
            (self.ready, self.plan["available"], 8) if what == "available" else (self.gate, self.gate_plan, 24)
        )
        if at < true <= at + 20 * HOUR:
            return true
        return planned if at < planned - 2 * HOUR else at + ahead * HOUR

    def returned(self) -> Iterator[tuple[datetime, str]]:
        """Containers whose empty return is known long enough ago to be used again (none with a wrong digit: a reader of a
        mere document could not learn it)."""
        for told in self.told:
            right = told.container == world.container_number(told.container[:4], int(told.container[4:10] or 0))
            if told.what == "empty_returned" and right and self.now - told.known_at > timedelta(days=16):
                yield told.at, told.container

    def with_twin(self, first: Consignment) -> list[Consignment]:
        """A second consignment in the same container (LCL), for the same dock: what is told of it counts for both."""
        if first.counts:
            raise NoDraw
        self.name, self.items = f"{first.name}B", self._items()
        second = self._consignment(self.case(), first.expected)
        both = tuple(retold(t, consignments=(first.name, self.name)) for t in first.told)
        return [replace(first, told=both), replace(second, told=())]

    def declared(self) -> dict[str, object]:
        v = self.voyage
        references = [{"kind": "bill_of_lading", "value": self.bill}] if self.bill else []
        if self.booking:
            references.append({"kind": "booking", "value": self.booking})
        declared = super().declared()
        assert isinstance(declared["parties"], dict)
        declared["parties"]["terminal"] = self.terminal
        declared["route"] = {
            "mode": "sea",
            "origin": v.origin.unlocode,
            "port_of_discharge": v.port,
            "terminal": self.terminal,
            "place_of_delivery": self.hospital,
            "via": [v.via] if v.via else [],
        }
        if self.declared_voyage:
            references.append({"kind": "voyage", "value": f"{self.declared_voyage.imo}/{self.declared_voyage.number}"})
        if not self.learned:
            references += [{"kind": "container", "value": c} for c in self.containers]
            declared["packing"] = self._packing()
        declared["references"] = references
        return declared

    def _packing(self) -> list[dict[str, object]]:
        """Each line is spread evenly over the containers."""
        count = len(self.containers)
        return [
            {
                "line": line,
                "unit": {"kind": "container", "value": c},
                "quantity": quantity // count + (quantity % count if n == 0 else 0),
            }
            for line, (_, quantity) in self.items.items()
            for n, c in enumerate(self.containers)
        ]


class AirCourse(_Course):
    """By air to LAX, by truck to the hospital."""

    mode = "air"

    def __init__(self, teller: _Teller, random: Random, index: int, story: str) -> None:
        super().__init__(teller, random, index, story)
        self.airline = random.choice(world.AIRLINES)
        last_told = self.now
        if story == "air_clean" and random.random() < 0.08:
            self.airline, last_told = world.SILENT_AIRLINE, self.now - 80 * HOUR
        self._fly(last_told)
        number = teller.next_serial()
        self.waybill = world.air_waybill(senders()[self.airline].awb_prefix, number)
        pro = f"{self.trucker}{number:07d}"
        self.pro_number = pro
        self._plan()
        self._told_by_airline()
        self._told_by_trucker(pro)
        self.silence()
        self.keep_talking()
        if any(t.waybill and _doubtful(t.at, self._zone(t.place)) for t in self.told if t.sender == self.airline):
            raise NoDraw
        if self.airline == world.SILENT_AIRLINE and any(t.known_at > last_told for t in self.told):
            raise NoDraw

    def _zone(self, unlocode: str | None) -> str:
        known = {o.unlocode: o.zone for o in world.origins("air")}
        return known.get(unlocode or "", world.LOS_ANGELES)

    def _fly(self, latest: datetime) -> None:
        random = self.random
        origin = random.choice(world.origins("air"))
        hub = world.HUBS[self.airline]
        via = hub if hub != origin.unlocode else None
        arrives_plan = _arrival_day(random, self.now)
        if self.fresh:
            arrives_plan = self.now - _hours(random, -6, 100)
        elif self.story not in ("air_clean", "air_late", "air_rolled"):
            arrives_plan = self.now - _hours(random, 30, 50 * 24)
        if arrives_plan > self.now + timedelta(days=6):
            arrives_plan -= timedelta(days=20)
        stop = _hours(random, 6, 20) if via else timedelta()
        hop = _hours(random, 2, 5) if via else timedelta()
        over = timedelta(hours=11)
        departs_plan = _minutes(arrives_plan - over - stop - hop)
        late = _hours(random, 7, 24) if self.story == "air_late" else timedelta()
        departs = departs_plan + _hours(random, -0.3, 1.2) + late
        arrives = _minutes(arrives_plan + late + _hours(random, -0.6, 1.5))
        self.voyage = Voyage(
            carrier=self.airline,
            vessel="",
            imo="",
            number=f"{self.airline}{random.randint(10, 899):03d}",
            origin=origin,
            terminal="LAX-CARGO",
            departs_plan=departs_plan,
            arrives_plan=arrives_plan,
            departs=departs,
            arrives=arrives,
            via=via,
            via_arrives=departs + hop if via else None,
            via_departs=departs + hop + stop if via else None,
        )

    def _plan(self) -> None:
        v, random = self.voyage, self.random
        self.gate_plan = _working(v.arrives_plan + _hours(random, 12, 15), random, 6, 21)
        self.plan = {
            "departed": v.departs_plan,
            "arrived": v.arrives_plan,
            "discharged": v.arrives_plan + 6 * HOUR,
            "available": v.arrives_plan + 10 * HOUR,
            "gate_out": self.gate_plan,
            "delivered": self.gate_plan + 4 * HOUR,
        }
        if random.random() < 0.4:
            del self.plan["discharged"]
        self.required_by = self.plan["delivered"] + 24 * HOUR
        self.booked_at = v.departs_plan - _hours(random, 40, 100)
        self.registered_at = batch_after(self.buyer, self.booked_at - _hours(random, 1, 20))

    def say(self, what: What, at: datetime, place: str, **more: object) -> None:
        self.tell(self.airline, what, at, place=place, **more)  # type: ignore[arg-type]  # passed on

    def _told_by_airline(self) -> None:
        v, random = self.voyage, self.random
        origin = v.origin.unlocode
        self.say("booked", self.booked_at, origin)
        if self.story == "air_rolled":
            self._roll()
            v = self.voyage
        self.say("received", v.departs - _hours(random, 7, 18), origin)
        self.say("departed", v.departs, origin)
        if v.via and v.via_arrives and v.via_departs:
            onward = replace(v, number=f"{self.airline}{random.randint(10, 899):03d}")
            self.say("transship_arrived", v.via_arrives, v.via, leg=v.via)
            self.say("transship_departed", v.via_departs, v.via, leg=v.via, voyage=onward)
            v = onward
        self.say("arrived", v.arrives, "USLAX", voyage=v)
        landed = v.arrives + _hours(random, 1.5, 3.5)
        if not (self.story == "air_clean" and random.random() < 0.08):
            self.say("discharged", landed, "USLAX", voyage=v)
        cleared = landed + _hours(random, 0.6, 2)
        if self.story == "air_hold":
            self.say("hold_customs", cleared - timedelta(minutes=20), "USLAX")
            cleared += _hours(random, 14, 60)
        self.say("customs_released", cleared, "USLAX")
        self.ready = cleared + _hours(random, 0.4, 1.5)
        self.say("available", self.ready, "USLAX")
        if self.story == "air_silent":
            begin = landed + _hours(random, 0.5, 2) if random.random() < 0.5 else v.departs + _hours(random, 0.2, 1)
            self.mute = (begin, FOREVER if begin + 16 * HOUR > self.now else begin + _hours(random, 19, 26))
        on_plan = self.gate_plan + _hours(random, -1, 1.2)
        self.gate = on_plan if self.ready + HOUR < on_plan else _working(self.ready + _hours(random, 2, 9), random, 6, 21)
        if self.story == "air_dwell":
            self.gate = _working(self.ready + _hours(random, 30, 110), random)
        self.say("gate_out", self.gate, "USLAX")

    def _roll(self) -> None:
        """Offloaded: booked on another flight."""
        later = _hours(self.random, 9, 30)
        v = self.voyage
        self.voyage = replace(
            v,
            number=f"{self.airline}{self.random.randint(900, 990)}",
            departs=v.departs + later,
            arrives=v.arrives + later,
            via_arrives=v.via_arrives + later if v.via_arrives else None,
            via_departs=v.via_departs + later if v.via_departs else None,
        )
        self.say("booked", v.departs_plan - _hours(self.random, 9, 20), v.origin.unlocode)

    def _told_by_trucker(self, pro: str) -> None:
        random = self.random
        ride = _hours(random, 0.8, 1.8) + (_hours(random, 5, 15) if self.story == "air_late_delivery" else timedelta())
        self.pro = pro
        if random.random() < 0.85:
            self.tell(self.trucker, "arrived_consignee", self.gate + ride)
        docked = self.gate + ride + _hours(random, 0.4, 1.0)
        self.tell(self.trucker, "delivered", docked)
        if self.story == "air_short" or (self.story == "air_clean" and random.random() < 0.12):
            self.count_at_dock(docked, lacking=self.story == "air_short")

    def talker(self, known: datetime, limit: timedelta) -> tuple[str, Callable[[datetime], None]]:
        if limit == 4 * HOUR:

            def on_road(at: datetime) -> None:
                self.tell(self.trucker, "news", at - HOUR, said_at=at, delay=timedelta())

            return self.trucker, on_road

        def at_station(at: datetime) -> None:
            landed = [t for t in self.told if t.known_at <= at and t.what == "transship_arrived"]
            ashore = self.known_actual("arrived", "discharged", "transship_departed", at=at) or not landed
            place = "USLAX" if ashore else self.voyage.via or "USLAX"
            self.say("news", at - timedelta(minutes=30), place, said_at=at, delay=timedelta())

        return self.airline, at_station

    def declared(self) -> dict[str, object]:
        v = self.voyage
        return super().declared() | {
            "route": {
                "mode": "air",
                "origin": v.origin.unlocode,
                "port_of_discharge": "USLAX",
                "terminal": "LAX-CARGO",
                "place_of_delivery": self.hospital,
                "via": [v.via] if v.via else [],
            },
            "references": [
                {"kind": "air_waybill", "value": self.waybill},
                {"kind": "pro_number", "value": self.pro_number},
            ],
        }
