"""What is kept of a journey and taken further is what a computation from all of its events gives, at every step."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.tracker.core import NotEqual, Tracker
from services.tracker.records import Command, Event, Transport
from services.tracker.registers import Registers
from tests.unit.tracker.build import (
    BILL,
    BOX,
    OTHER_BOX,
    REGISTERS,
    Ref,
    at,
    command,
    declaration,
    event,
    feed,
    reads,
    receipt,
    register,
    tell,
    ticks,
    tracker,
)
from tests.unit.tracker.test_sets import BOOKING, CASE, END, PALLET, journeys, moments, stories

_names, _parties = st.sampled_from(["LACDHS-1", "LACDHS-2", "LACDHS-3"]), st.sampled_from(["SPDR", "MSCU"])
_references = st.sampled_from([BOX, OTHER_BOX, BILL, BOOKING, PALLET, CASE])
_kinds = st.sampled_from(["link", "unlink", "appoint", "amend", "cancel", "receive"])


@st.composite
def commands(draw: st.DrawFn) -> Command:
    name, ref, when, party = draw(_names), draw(_references), draw(moments), draw(_parties)
    match draw(_kinds):
        case "link" | "unlink" as kind:
            return command(kind, name, reference=ref, received_at=when)
        case "appoint":
            return command("appoint", name, role="trucker", party=party, received_at=when)
        case "amend":
            told = declaration(name, refs=(ref, BILL), plan={"arrived": when})
            return command("amend", name, declaration=told, received_at=when)
        case "cancel":
            return command("cancel", name, received_at=when)
        case _:
            return receipt(900, when)


@given(story=stories(), later=st.lists(commands(), max_size=4), seed=st.integers(0, 2**32))
@settings(max_examples=120, deadline=None)
def test_at_every_step_it_is_what_a_computation_from_all_events_gives(
    story: tuple[list[Event], list[Command]], later: list[Command], seed: int
) -> None:
    """`verify` compares at each step; steps are single events and commands in any order, ticks, new registers, and aborts."""
    told, registrations = story
    chance = random.Random(seed)
    steps: list[Event | Command] = [*told, *chance.sample(told, len(told) // 3), *later]
    chance.shuffle(steps)
    for registration in registrations:
        steps.insert(chance.randint(0, min(len(steps), 12)), registration)
    subject, plain = tracker(), tracker()
    for n, one in enumerate(steps):
        records = reads(one)
        if chance.random() < 0.2:
            records += ticks(at(hours=n * 24), load=True)
        if chance.random() < 0.2:
            subject.process(reads(chance.choice(steps)))
            subject.aborted()
        if chance.random() < 0.05:
            without = Registers({code: s for code, s in REGISTERS.senders.items() if code != "OPS"}, REGISTERS.facilities)
            for each in (subject, plain):
                each.reconsider(without)
        feed(subject, records)
        plain.worked.clear()  # it keeps nothing: everything is always computed
        feed(plain, records)
    for each in (subject, plain):
        feed(each, ticks(END, load=True))
    assert journeys(subject) == journeys(plain)


def voyage() -> list[Event]:
    return [
        event("departed", at(2), BOX, BILL, place="CNSHA"),
        event("arrived", at(16), BILL, place="USLAX", classifier="estimated", said=at(5)),
        event("arrived", at(16), BOX, BILL, place="USLAX"),
        event("discharged", at(17), BOX, sender="LA-APMT", place="USLAX"),
        event("gate_out", at(19), BOX, sender="HBRT", place="USLAX"),
    ]


def test_an_ordinary_voyage_is_settled_once() -> None:
    subject = tracker()
    tell(subject, register())
    before = subject.settlements
    for n, one in enumerate(voyage()):
        tell(subject, one, now=at(20 + n), load=True)
    assert subject.settlements == before, "each event was taken in, and each deadline looked at, without a settlement"


@pytest.mark.parametrize(
    "more",
    [
        event("empty_returned", at(1), BOX, sender="LA-APMT"),
        event("departed", at(2), BILL, place="CNSHA", transport=Transport(next_carrier="SPDR")),
        event("departed", at(3), BILL, OTHER_BOX, place="CNSHA"),
        event("gate_out", at(19), BOX, sender="HBRT", place="USLAX", key="told again", revision=2),
    ],
    ids=["an empty unit moves windows", "a next carrier gives standing", "a document teaches a unit", "a correction"],
)
def test_what_could_change_the_rest_is_settled_anew(more: Event) -> None:
    subject = tracker()
    tell(subject, register(), *voyage(), event("gate_out", at(18), BOX, sender="HBRT", place="USLAX", key="told again"))
    before = subject.settlements
    tell(subject, more)
    assert subject.settlements == before + 1


def test_nothing_is_kept_of_an_aborted_batch() -> None:
    subject = tracker()
    tell(subject, register(), *voyage()[:2])
    kept = dict(subject.worked)
    subject.process(reads(*voyage()[2:]))
    subject.aborted()
    assert subject.worked == kept
    tell(subject, voyage()[3])


def test_no_more_is_kept_than_allowed() -> None:
    subject = tracker(worked_at_most=2)
    for n in range(4):
        tell(subject, register(f"LACDHS-{n}", refs=(Ref("booking", f"BK{n}"),)))
    assert list(subject.worked) == ["LACDHS-2", "LACDHS-3"]


def test_a_journey_that_was_put_small_goes_on() -> None:
    small, large = tracker(worked_at_most=1), tracker()
    for subject in (small, large):
        for name, bill in (("LACDHS-1", BILL), ("LACDHS-2", BOOKING)):
            tell(subject, register(name, refs=(bill,)), event("departed", at(2), bill, place="CNSHA"))
    assert isinstance(small.state.journeys["LACDHS-1"], bytes)
    assert journeys(small) == journeys(large)
    for subject in (small, large):
        tell(subject, event("arrived", at(16), BILL, place="USLAX"), now=at(40), load=True)
    assert journeys(small) == journeys(large)


def test_a_difference_stops_the_batch() -> None:
    """The switch that the simulation uses can fail."""
    subject = tracker()
    tell(subject, register(), voyage()[0])
    kept = dict(subject.worked)
    tell(subject, voyage()[2])
    subject.worked = kept
    with pytest.raises(NotEqual, match="LACDHS-1"):
        subject.process(ticks(at(30), load=True))


def test_a_bill_that_becomes_anothers_takes_its_events_along_whenever_it_is_registered() -> None:
    theirs = register("LACDHS-3", refs=(BOOKING,))
    departed = event("departed", at(2), BOX, BOOKING, place="CNSHA")
    before, after = tracker(), tracker()
    records: list[tuple[Tracker, list[Any]]] = [
        (before, [register(), theirs, departed]),
        (after, [register(), departed, theirs]),
    ]
    for subject, things in records:
        for thing in things:
            tell(subject, thing)
        assert journeys(subject)["LACDHS-1"].events == 0
