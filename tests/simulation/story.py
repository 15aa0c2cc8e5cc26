"""What happens in a small world of consignments, who says so when, and what is therefore true.

The truth is told beside the messages, by a model of its own that is so small that it can be seen to be right: each fact knows
for which consignments it counts. Nothing here asks the product.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from schemas.raw_message_v1 import RawKind
from schemas.registers_v1 import Facility, Sender
from schemas.topics import RAW_MESSAGES

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

SENDERS = (
    Sender(code="MAEU", kind="ocean_carrier", name="Maersk", scac="MAEU"),
    Sender(code="STRG", kind="ocean_carrier", name="A carrier whom nobody named", scac="STRG"),
    Sender(code="HBRT", kind="trucker", name="Harbor Road", scac="HBRT"),
    Sender(code="LA-APMT", kind="terminal", name="Pier 400", facilities=("LA-APMT",)),
    Sender(code="H-HARBOR", kind="consignee", name="Harbor-UCLA"),
    Sender(code="LACDHS", kind="buyer", name="LA County"),
)


def facilities(zone: str) -> tuple[Facility, ...]:
    """The terminal's zone is wrong in the register at first; then somebody mends it."""
    return (
        Facility(code="LA-APMT", kind="terminal", name="Pier 400", unlocode="USLAX", zone=zone),
        Facility(code="H-HARBOR", kind="hospital", name="Harbor-UCLA", unlocode="USLAX", zone="America/Los_Angeles"),
    )


WRONG_ZONE, RIGHT_ZONE = "UTC", "America/Los_Angeles"

BOXES = ("MRSU4371639", "MSCU6639870", "TCLU1234568", "CSQU3054383")
X, Y, Z, W = (("container", value) for value in BOXES)

Ref = tuple[str, str]

LONG_EVERY = 8
"""Of so many seeds one has a long story: all that is said of up to three consignments, with many ticks. A short one has a
stretch of each journey, as dense as in a long one, few ticks, and few partitions."""
STRETCHES = ((-1.0, 7.0), (5.0, 13.3), (11.5, 20.0))
"""Days of a journey: what is said in one of these, the others being silent, makes a short story."""


@dataclass(eq=False)
class Fact:
    """One thing that one sender says, in one or more versions. `counts`: the consignments it is about; empty: a claim, or
    somebody else's box. `local`: sent as a local time, so that its moment depends on the register."""

    sender: str
    milestone: str
    classifier: str
    occurred: datetime
    refs: tuple[Ref, ...]
    counts: frozenset[str]
    source_id: str | None
    claimed: frozenset[str] = frozenset()
    local: bool = False
    empty: bool = False
    hold: str | None = None
    versions: list[datetime] = field(default_factory=list)  # what each version says of `occurred`
    said_at: datetime = START
    keep: bool = False  # the truth leans on it: it is not dropped, changed or withdrawn

    # what the log has of it, noted as it is appended
    received: dict[int, list[datetime]] = field(default_factory=dict)  # version -> when its copies came
    withdrawn: bool = False

    @property
    def stands(self) -> bool:
        return bool(self.received) and not self.withdrawn

    @property
    def newest(self) -> int:
        return max(self.received)


@dataclass(frozen=True)
class Element:
    """One event inside a message: a version of a fact, or its withdrawal."""

    fact: Fact
    version: int
    withdraws: bool = False
    form: str = "retracts"  # or `retracted`: the fact's own newest version says so

    def json(self) -> dict[str, Any]:
        fact = self.fact
        created = fact.said_at
        if self.withdraws and self.form == "retracts":
            return {"retracts": fact.source_id, "references": [_ref(ref) for ref in fact.refs]}
        occurred = fact.versions[self.version]
        said: dict[str, Any] = {
            "milestone": fact.milestone,
            "classifier": fact.classifier,
            "occurred_at": occurred.strftime("%Y-%m-%dT%H:%M:%S") if fact.local else _text(occurred),
            "references": [_ref(ref) for ref in fact.refs],
            "created_at": _text(created),
        }
        if fact.hold is not None:
            del said["milestone"]
            said["hold"] = {"kind": "customs", "state": fact.hold}
        if fact.source_id is not None:
            said["id"] = fact.source_id
        if self.version:
            said["updated_at"] = _text(created + self.version * HOUR)
        if self.withdraws:
            said["retracted"] = True
            said["updated_at"] = _text(created + 40 * DAY)
        place = _PLACE.get(fact.milestone)
        if fact.sender == "LA-APMT":
            place = {"facility": "LA-APMT", "unlocode": "USLAX"}
        if place is not None:
            said["place"] = place
        if fact.empty:
            said["empty"] = True
        return said


_PLACE = {"departed": {"unlocode": "CNSHA"}, "arrived": {"unlocode": "USLAX"}}


def _ref(ref: Ref) -> dict[str, str]:
    return {"kind": ref[0], "value": ref[1]}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")[: -len("+00:00")] + "Z"


@dataclass
class Said:
    """One request at the door. `rows`: how many events or commands are in it; `damaged`: bytes that nobody can read."""

    at: datetime
    sender: str
    kind: RawKind
    content: bytes
    elements: tuple[Element, ...] = ()
    consignment: str | None = None
    rows: int = 1
    damaged: bool = False
    tick: str | None = None  # plain, load
    flips_zone: bool = False
    partition: int = -1


@dataclass
class Story:
    """All that will be said, by time."""

    said: list[Said]
    facts: list[Fact]
    consignments: list[str]
    outages: list[tuple[datetime, datetime]]
    end: datetime
    short: bool


class _Teller:
    """Makes one story of a seed."""

    def __init__(self, chance: Random, short: bool) -> None:
        self.chance = chance
        self.short = short
        self.day = 0.0
        self.stretch: tuple[float, float] | None = None
        self.facts: list[Fact] = []
        self.said: list[Said] = []
        self.consignments: list[str] = []
        self.deadlines: list[datetime] = []

    def tell(self) -> Story:
        chance = self.chance
        cast = chance.choice(["A", "AB", "AB", "AC", "AC", "AD", "D", "AC" if self.short else "ABC", "B"])
        if "A" in cast:
            self.journey("LACDHS-A", X, ("booking", "BK1"), 0, declares=(X, ("booking", "BK1")))
        if "B" in cast:
            self.journey("LACDHS-B", Y, ("booking", "BK1"), 1, declares=(Y, ("booking", "BK1")))
        if "C" in cast:
            self.journey("LACDHS-C", X, ("booking", "BK2"), 23, declares=(X, ("booking", "BK2")))
        if "D" in cast:
            self.journey("LACDHS-D", Z, ("booking", "BK3"), 2, declares=(("booking", "BK3"),))
            self.stray_box()
        self.claims(cast)
        if chance.random() < 0.3:
            at = START + chance.uniform(0, 20) * DAY
            self.said.append(Said(at, "MAEU", "message", b"ISA*nothing", rows=1, damaged=True))
        locals_ = [fact.said_at for fact in self.facts if fact.local]
        if locals_:
            at = chance.choice(locals_) + timedelta(hours=chance.uniform(-2, 30))
            self.said.append(Said(at, "", "message", b"", flips_zone=True))
        outages = self.time()
        for one in self.said:
            one.at = one.at.replace(microsecond=0)
        self.said.sort(key=lambda one: one.at)
        if chance.random() < 0.4:
            self.cut(outages)
        return Story(self.said, self.facts, self.consignments, outages, self.said[-1].at, self.short)

    # -- what happens ------------------------------------------------------------------------------------------------

    def journey(self, name: str, box: Ref, booking: Ref, day: float, declares: Iterable[Ref]) -> None:
        """By sea: departs on day 2 of its own, arrives on day 12, is delivered on day 15, returned on day 16."""
        chance = self.chance
        self.consignments.append(name)
        self.day, self.stretch = day, chance.choice(STRETCHES) if self.short else None

        def when(days: float) -> datetime:
            return START + (day + days) * DAY

        plan = {"departed": when(2), "arrived": when(12), "discharged": when(13), "gate_out": when(14), "delivered": when(15)}
        declaration = {
            "consignment": name,
            "items": [{"line": 1, "category": "n95_respirator", "quantity": 1000}],
            "parties": {"carrier": "MAEU", "trucker": "HBRT", "consignee": "H-HARBOR"},
            "route": {
                "mode": "sea",
                "origin": "CNSHA",
                "port_of_discharge": "USLAX",
                "terminal": "LA-APMT",
                "place_of_delivery": "H-HARBOR",
            },
            "plan": {milestone: _text(at) for milestone, at in plan.items()},
            "references": [_ref(ref) for ref in declares],
        }
        registered = when(chance.choice([-1, 0.2, 0.2, 3, 8]))
        content = json.dumps(declaration).encode()
        self.said.append(Said(max(registered, START), "LACDHS", "registration", content, consignment=name))
        self.deadlines += [plan["arrived"] + 12 * HOUR, plan["delivered"] + 2 * HOUR, plan["departed"] + 12 * HOUR]
        mine = frozenset({name})
        learns = box not in tuple(declares)

        def carrier(first: bool = False) -> tuple[Ref, ...]:
            return (box, booking) if first or chance.random() < 0.5 else (box,)

        late = chance.choice([0, 0, 0, 0.7, 1.2])
        tell = self.fact
        tell("MAEU", "booked", when(0.1), carrier(True), mine, name, keep=learns, delay=0.2)
        tell("MAEU", "received", when(1.5), carrier(), mine, name)
        tell("MAEU", "departed", when(2 + chance.choice([0, 0, 0.7])), carrier(), mine, name)
        for n in range(chance.choice([0, 1, 2, 2, 3])):
            over = chance.choice([1, 2, 20, 20, 70])
            said = 3 + 2.5 * n + chance.random()
            tell("MAEU", "arrived", when(12) + over * HOUR, carrier(), mine, name, classifier="estimated", said=when(said))
        tell("MAEU", "arrived", when(12 + late), carrier(), mine, name)
        tell("LA-APMT", "discharged", when(13 + late), (box,), mine, name, local=chance.random() < 0.6)
        if chance.random() < 0.3:
            tell("LA-APMT", "hold", when(13.1 + late), (box,), mine, name, hold="placed")
            tell("LA-APMT", "hold", when(13.6 + late), (box,), mine, name, hold="released")
        tell("LA-APMT", "gate_out", when(14 + late * 0.5), (box,), mine, name, keep=box == X)
        tell("HBRT", "delivered", when(15), (box,), mine, name, keep=box == X)
        if box == X or chance.random() < 0.5:
            tell("LA-APMT", "empty_returned", when(15.6), (box,), mine, name, empty=True, keep=True)

    def fact(
        self,
        sender: str,
        milestone: str,
        occurred: datetime,
        refs: tuple[Ref, ...],
        counts: frozenset[str],
        name: str,
        *,
        classifier: str = "actual",
        said: datetime | None = None,
        local: bool = False,
        empty: bool = False,
        hold: str | None = None,
        keep: bool = False,
        delay: float | None = None,
        claimed: frozenset[str] = frozenset(),
    ) -> None:
        chance = self.chance
        begins, ends = self.stretch or (-math.inf, math.inf)
        occurred = occurred.replace(microsecond=0)
        source_id = None if local else f"{name}-{milestone}-{classifier}-{len(self.facts)}"
        said_at = (said or occurred) + timedelta(minutes=chance.randint(5, 90))
        fact = Fact(
            sender, milestone, classifier, occurred, refs, counts, source_id, claimed, local, empty, hold, [occurred], said_at
        )
        fact.keep = keep
        if not keep and (chance.random() < 0.06 or not begins <= (said_at - START) / DAY - self.day <= ends):
            return  # dropped: nobody ever hears of it
        self.facts.append(fact)
        at = fact.said_at + timedelta(days=delay if delay is not None else chance.choice([0, 0, 0, 0, 0.1, 1.5]))
        self.send(at, Element(fact, 0))
        roll = chance.random()
        if roll < (0.4 if local else 0.14):  # the same again
            self.send(at + timedelta(hours=chance.uniform(0.1, 60)), Element(fact, 0))
        elif (
            roll < (0.8 if local else 0.26) and not claimed
        ):  # a newer version, of another time unless it is told by the register
            fact.versions.append(occurred if local or keep else occurred + timedelta(minutes=chance.choice([-90, 40, 300])))
            again = at + timedelta(hours=chance.uniform(-0.5, 70))
            self.send(max(again, START), Element(fact, 1))
            if chance.random() < 0.4:
                self.send(again + timedelta(hours=chance.uniform(0.1, 30)), Element(fact, chance.choice([0, 1])))
        elif roll < 0.36 and not keep and source_id is not None and not claimed:
            form = chance.choice(["retracts", "retracted"])
            self.send(at + timedelta(hours=chance.uniform(0.1, 70)), Element(fact, 0, True, form))

    def stray_box(self) -> None:
        """Somebody else's box: a claim says that it is ours, and those with standing speak of it."""
        nobody = frozenset[str]()
        d = frozenset({"LACDHS-D"})
        self.fact("STRG", "booked", START + 2.5 * DAY, (("booking", "BK3"), W), nobody, "stray", keep=True, claimed=d)
        self.fact("MAEU", "departed", START + 5 * DAY, (W,), nobody, "stray", keep=True)
        self.fact("LA-APMT", "discharged", START + 13 * DAY, (W,), nobody, "stray", keep=True)

    def claims(self, cast: str) -> None:
        """A stranger who knows the box's number says things again and again."""
        chance = self.chance
        nobody = frozenset[str]()
        if chance.random() < 0.5:
            return
        name, box, day = chance.choice(
            [(f"LACDHS-{who}", box, day) for who, box, day in (("A", X, 0), ("B", Y, 1), ("C", X, 23)) if who in cast]
            or [("LACDHS-D", ("booking", "BK3"), 2)]
        )
        for n in range(chance.randint(2, 6)):
            milestone = ("received", "departed", "arrived", "discharged", "gate_out", "delivered")[n]
            at = START + (day + 3 + 1.5 * n) * DAY
            self.fact("STRG", milestone, at, (box,), nobody, name, keep=True, claimed=frozenset({name}))

    def send(self, at: datetime, element: Element) -> None:
        at = max(at, START).replace(microsecond=0)
        self.said.append(Said(at, element.fact.sender, "message", b"", (element,)))

    # -- when it is said ---------------------------------------------------------------------------------------------

    def time(self) -> list[tuple[datetime, datetime]]:
        """Ticks, and outages of ours around deadlines. Far steps of time are made as a load makes them, so that only the
        outages that are meant are outages."""
        chance = self.chance
        last = max(one.at for one in self.said)
        outages: list[tuple[datetime, datetime]] = []
        meant = chance.choice([0, 0, 0, 1] if self.short else [0, 1, 1, 2])
        for deadline in chance.sample(sorted(set(self.deadlines)), min(len(self.deadlines), meant)):
            start = deadline - timedelta(minutes=chance.choice([5, 40, 200]))
            end = deadline + timedelta(minutes=chance.choice([-30, 20, 300]))
            if end - start > timedelta(minutes=2) and all(end + 3 * HOUR < s or start > e + 3 * HOUR for s, e in outages):
                outages.append((start, end))
        moments: list[tuple[datetime, str]] = []
        for start, end in outages:
            after = end + timedelta(seconds=30)
            moments += [(start, "load"), (end, "plain"), (after, "plain")]
            moments += [(end + timedelta(minutes=chance.choice([20, 50])), "load"), (end + timedelta(minutes=61), "load")]
        estimates = [one.at for one in self.said if any(e.fact.classifier == "estimated" for e in one.elements)]
        known = 1 if self.short else 2
        for at in chance.sample(estimates, min(len(estimates), known)):  # so that it is told before the next word
            moments.append((at + timedelta(hours=chance.uniform(0, 20)), "load"))
        rounds = 1 if self.short else chance.choice([3, 4, 8])
        for n in range(rounds):
            at = START + (last - START) * ((n + chance.random()) / rounds)
            moments.append((at, "load"))
        ends = [(START, "load"), (last + 1 * HOUR, "load")]
        moments += [*(chance.sample(ends, 1) if self.short else ends), (last + 2 * DAY, "load")]
        ours = [(start, end) for start, end in outages]

        def open_door(at: datetime) -> datetime:
            for start, end in ours:
                if start < at < end:
                    return end + timedelta(seconds=1)
            return at

        for one in self.said:
            one.at = open_door(one.at)
        for at, kind in sorted(moments):
            if any(start < at < end for start, end in ours):
                continue
            for partition in chance.sample(range(RAW_MESSAGES.partitions), RAW_MESSAGES.partitions):
                self.said.append(Said(at, "~tick", "tick", b"", tick=kind, partition=partition))
        return outages

    def cut(self, outages: list[tuple[datetime, datetime]]) -> None:
        """The story ends at a deadline that is met live, so that something is open when all is read."""
        late = sorted({at for at in self.deadlines if at > START + 10 * DAY})
        at = self.chance.choice(late)
        if any(start - HOUR < at < end + 2 * HOUR for start, end in outages):
            return
        self.said[:] = [one for one in self.said if one.at < at - timedelta(seconds=40)]
        for seconds, kind in ((-30, "load"), (20, "plain")):
            for partition in range(RAW_MESSAGES.partitions):
                self.said.append(Said(at + timedelta(seconds=seconds), "~tick", "tick", b"", tick=kind, partition=partition))


def is_short(seed: int) -> bool:
    """Whether a seed has a short story."""
    return seed % LONG_EVERY != 0


def tell(seed: int) -> Story:
    """The story of a seed."""
    return _Teller(Random(f"story {seed}"), is_short(seed)).tell()
