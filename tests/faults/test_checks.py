"""The checks can fail: each finds the one thing that was spoiled for it, and nothing in what is whole."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.tracker.records import Change, Clock, ExceptionState, Journey, MilestoneState, Outage
from services.tracker.registrations import judge
from tests.faults.checks import Topics, Verdict, accepted_is_kept, deadlines, published_once, truth
from tests.faults.load import STEPS, UNITS, Drawing, Ledger
from tests.faults.load import Journey as Drawn
from tests.unit.tracker.build import register

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class World:
    """A ledger and the topics that a faultless pipeline would have made of it."""

    def __init__(self) -> None:
        self.drawing = Drawing(1, START)
        self.ledger = Ledger()
        self.topics = Topics({}, {}, [], Counter(), 0, Counter(), [], {}, None, {}, Counter())
        self._offset = 0
        self.plain = self.take(self.drawing.journey("plain"))
        self.stuck = self.take(self.drawing.journey("stuck"))
        garbage = self.push("unreadable", b"garbage", ())
        self.topics.letters[garbage] = 1
        self.publish(self.plain, None)
        assert self.stuck.overdue_from is not None
        self.publish(self.stuck, state("late:arrived", self.stuck.overdue_from))

    def push(self, kind: str, body: bytes, ids: tuple[str, ...]) -> tuple[int, int]:
        """One request, answered 202: into the ledger, and the raw record."""
        sha256 = hashlib.sha256(body).hexdigest()
        place = (0, self._offset)
        self._offset += 1
        receipt = base64.urlsafe_b64encode(struct.pack(">BHQ", 1, *place) + bytes(16)).rstrip(b"=").decode()
        self.ledger.receipts[receipt] = (kind, sha256)
        self.ledger.tries[sha256] = 1
        self.topics.raw_sha256[place] = sha256
        if kind == "events":
            self.ledger.ids.update(ids)
            self.topics.events.update(ids)
        return place

    def take(self, drawn: Drawn) -> Drawn:
        self.ledger.journeys[drawn.name] = drawn
        self.ledger.registered.add(drawn.name)
        self.push("registration", drawn.name.encode(), (drawn.name,))
        said = [(drawn, step, unit) for step in range(len(drawn.steps)) for unit in range(UNITS)]
        request = self.drawing.events(drawn.carrier, said)
        self.push("events", request.body, request.ids)
        return drawn

    def publish(self, drawn: Drawn, exception: ExceptionState | None) -> None:
        """Its journey's record and the changes that led there."""
        registration, _ = judge(register(drawn.name), None)
        assert registration is not None
        reached = [(name, drawn.at(step, UNITS - 1)) for step, (name, *_) in enumerate(STEPS) if step < len(drawn.steps)]
        self.topics.journeys[drawn.name] = Journey(
            **{name: getattr(registration, name) for name in registration.__struct_fields__},
            version=9,
            cause="live",
            stage="registered",
            mode="sea",
            milestones=tuple(MilestoneState(milestone=name, actual=at) for name, at in reached),
            exceptions=() if exception is None else (exception,),
            events=len(drawn.steps) * UNITS,
        )
        for version, (name, at) in enumerate(reached):
            self.tell(drawn, version, change="milestone_reached", milestone=name, leg="", occurred_at=at)
        if exception is not None:
            self.tell(drawn, len(reached), change="exception_opened", exception=exception)

    def tell(self, drawn: Drawn, version: int, **fields: object) -> None:
        told = Change(
            change_id=f"{drawn.name}/{version}",
            consignment=drawn.name,
            version=version,
            ordinal=0,
            cause="live",
            **fields,  # type: ignore[arg-type]  # fields of several types
        )
        self.topics.changes.append((0, len(self.topics.changes), told))

    def wrong(self) -> list[str]:
        """Names of the verdicts that are not good."""
        verdicts: list[Verdict] = [
            *accepted_is_kept(self.ledger, self.topics),
            *published_once(self.topics),
            *truth(self.ledger, self.topics),
            *deadlines(self.ledger, self.topics, lambda span: self.topics.journeys),
        ]
        return [verdict.name for verdict in verdicts if not verdict.good]


def state(key: str, start: datetime, status: str = "open") -> ExceptionState:
    kind, _, milestone = key.partition(":")
    return ExceptionState(
        key=key, kind=kind, milestone=milestone, status=status, severity="minor", start=start, sentence="It is late."
    )


def spoil_record(world: World) -> None:
    world.topics.raw_sha256[next(iter(world.topics.raw_sha256))] = "other bytes"


def lose_event(world: World) -> None:
    del world.topics.events[next(iter(world.ledger.ids))]


def invent_event(world: World) -> None:
    world.topics.events["nobody's"] = 1


def double_letter(world: World) -> None:
    world.topics.letters.update(list(world.topics.letters))


def lose_letter(world: World) -> None:
    world.topics.letters.clear()


def publish_twice(world: World) -> None:
    world.topics.changes.append(world.topics.changes[0])


def tell_twice(world: World) -> None:
    """The same news under a new id: as after a state that was lost."""
    _, _, told = world.topics.changes[0]
    world.topics.changes.append((0, 99, msgspec.structs.replace(told, version=99, change_id="new")))


def lose_change(world: World) -> None:
    world.topics.changes.pop()


def tell_falsely(world: World) -> None:
    world.tell(world.plain, 50, change="exception_opened", exception=state("silent", START))
    world.tell(world.plain, 51, change="exception_withdrawn", exception=state("silent", START, "withdrawn"))


def count_twice(world: World) -> None:
    name = world.plain.name
    world.topics.journeys[name] = msgspec.structs.replace(world.topics.journeys[name], events=99)


SPOILED: dict[Callable[[World], None], str] = {
    spoil_record: "each 202 is one raw record with the bytes sent",
    lose_event: "ids pushed = ids in shipment.events",
    invent_event: "ids pushed = ids in shipment.events",
    double_letter: "dead letters = unreadable messages, each once",
    lose_letter: "dead letters = unreadable messages, each once",
    publish_twice: "no change is published twice (ids)",
    tell_twice: "no change is published twice (what it says)",
    lose_change: "changes in order = open exceptions and milestones",
    tell_falsely: "no exception is told that is not so",
    count_twice: "journeys are as they were drawn",
}


def test_what_is_whole_passes() -> None:
    assert World().wrong() == []


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_what_is_spoiled_is_found(spoil: Callable[[World], None]) -> None:
    world = World()
    spoil(world)
    assert SPOILED[spoil] in world.wrong()


def with_deadline(world: World, *, settled: bool, told: bool) -> None:
    """A journey whose deadline lies in an outage."""
    deadline = START + timedelta(minutes=2)
    outage = Outage(start=START, end=START + timedelta(minutes=5))
    world.topics.clock = Clock(consignment="clock:0", version=1, ticks={}, outages=(outage,))
    drawn = world.take(world.drawing.journey("waiting", deadline, settled))
    world.publish(drawn, state("overdue:arrived", deadline) if told or not settled else None)
    if not told and not settled:  # the record is what the core finds once the grace is over
        world.topics.changes.pop()


@pytest.mark.parametrize("settled", [True, False])
def test_a_deadline_inside_an_outage_must_not_be_told(settled: bool) -> None:
    world = World()
    with_deadline(world, settled=settled, told=True)
    assert any("outage" in name for name in world.wrong())


def test_a_deadline_inside_an_outage_that_is_found_after_its_grace_is_well() -> None:
    world = World()
    with_deadline(world, settled=True, told=False)
    assert world.wrong() == []
