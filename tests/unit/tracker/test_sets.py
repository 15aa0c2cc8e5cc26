"""A journey is a function of sets: any order, any repetition, any cut into batches, registrations before or after events."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.tracker.core import REST_AFTER, Read, Tracker, shard_of
from services.tracker.records import Clock, Closed, Command, Event, Feed, Journey, decode_journey_record, encode
from services.tracker.registers import Registers
from tests.unit.tracker.build import (
    BILL,
    BOX,
    HOUR,
    OTHER_BOX,
    REGISTERS,
    START,
    Hold,
    Place,
    Ref,
    Transport,
    at,
    event,
    feed,
    quietly,
    reads,
    register,
    tell,
    ticks,
    tracker,
)

BOOKING = Ref("booking", "BK777")
PALLET, OTHER_PALLET = Ref("sscc", "095211410000000014"), Ref("sscc", "095211410000000021")
CASE, ITEM = Ref("sscc", "195211410000000011"), Ref("sgtin", "09521141123454.c1")
VOYAGES = [Ref("voyage", "9321483/015E"), Ref("voyage", "9074729/016E")]
TRANSPORTS = [Transport(vessel="A", imo="9321483", voyage="015E"), Transport(vessel="B", imo="9074729", voyage="016E")]
PLACES = ["CNSHA", "KRPUS", "USLAX", None]
MILESTONES = [
    None,
    "booked",
    "received",
    "departed",
    "transship_arrived",
    "arrived",
    "discharged",
    "customs_released",
    "available",
    "gate_out",
    "arrived_consignee",
    "delivered",
    "empty_returned",
]
END = at(60)

moments = st.integers(0, 59 * 24).map(lambda h: at(hours=h))


# made once: each draw would make, and look through, another
_to_5, _to_9, _to_2, _to_600 = (st.integers(0, most) for most in (5, 9, 2, 600))
_milestones, _places = st.sampled_from(MILESTONES), st.sampled_from(PLACES)
_references = st.lists(st.sampled_from([BOX, OTHER_BOX, BILL, BOOKING, *VOYAGES]), min_size=1, max_size=3, unique=True)
_senders = st.sampled_from(["MAEU", "HBRT", "SPDR", "LA-APMT", "OPS", "MSCU", "STRANGER"])
_classifiers = st.sampled_from(["actual", "actual", "estimated", "planned"])
_holds = st.sampled_from(["placed", "released"])
_transports = st.sampled_from([*TRANSPORTS, Transport(next_carrier="SPDR")])
_to_4, _to_40, _to_12 = (st.integers(0, most) for most in (4, 40, 12))
_boxes, _pallets = st.sampled_from([BOX, BOX, OTHER_BOX]), st.sampled_from([PALLET, PALLET, OTHER_PALLET])
_ends, _packers = st.sampled_from(["arrived_consignee", "received"]), st.sampled_from(["MAEU", "HBRT", "HBRT", "SPDR"])


@st.composite
def events(draw: st.DrawFn) -> Event:
    milestone = draw(_milestones)
    refs = draw(_references)
    sender = draw(_senders)
    fields: dict[str, Any] = {}
    if draw(_to_5) == 0:
        fields["hold"] = Hold(kind="customs", state=draw(_holds))
    if draw(_to_5) == 0:
        fields["empty"] = True
    if draw(_to_4) == 0:
        fields["transport"] = draw(_transports)
    if draw(_to_9) == 0:
        fields["retracted"] = True
    place = draw(_places)
    said = draw(moments)
    return event(
        milestone,
        draw(moments),
        *refs,
        sender=sender,
        classifier=draw(_classifiers),
        said=said,
        received=said + timedelta(minutes=draw(_to_600)),
        place=Place(unlocode=place) if place else None,
        key=str(draw(_to_40)),  # few ids: revisions of one event compete
        **fields,
    )


@st.composite
def packings(draw: st.DrawFn) -> Event:
    """What is in a container, a pallet or a case; or what somebody says of one of them alone."""
    chain = (draw(_boxes), draw(_pallets), CASE, ITEM)
    level, is_alone = draw(_to_2), draw(_to_2) == 0
    refs = (chain[level + 1],) if is_alone else (chain[level], chain[level + 1])
    return event(
        draw(_ends) if is_alone else None,
        draw(moments),
        *refs,
        sender=draw(_packers),
        place=Place(unlocode="USLAX"),
        parent=None if is_alone else chain[level],
        transport=Transport(next_carrier="SPDR") if draw(_to_9) == 0 else None,
        retracted=draw(_to_9) == 0,
        key=f"packed {draw(_to_12)}",
    )


_events, _packings, _retractions = st.lists(events(), max_size=30), st.lists(packings(), max_size=12), st.integers(0, 2)


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Event], list[Command]]:
    told = draw(_events) + draw(_packings)
    for n in range(draw(_retractions) if told else 0):
        target = draw(st.sampled_from(told))
        when = draw(moments)
        told.append(event(None, when, BOX, sender=target.sender, key=f"retract {n}", retracts=target.event_id, said=when))
    commands = [
        register("LACDHS-1", refs=(BOX, BILL)),
        register("LACDHS-2", refs=(BOX, OTHER_BOX, BOOKING, VOYAGES[0]), plan={"arrived": draw(moments)}),
        register("LACDHS-3", refs=(BOOKING,), plan={}, required_by=draw(moments)),
    ]
    return told, commands


def derived(journey: Journey) -> Any:
    """The part of the record that is a function of sets: not its history."""
    open_ones = tuple(state for state in journey.exceptions if state.status == "open")
    return msgspec.structs.replace(journey, version=0, cause="", at=None, exceptions=open_ones)


def play(records: list[Read], cuts: list[int], subject: Tracker | None = None) -> Tracker:
    subject = subject or tracker()
    position = 0
    for cut in [*cuts, len(records)]:
        if cut > position:
            feed(subject, records[position:cut])
            position = cut
    feed(subject, ticks(END, load=True))
    return subject


def journeys(subject: Tracker) -> dict[str, Any]:
    found = {name: subject.state.journey(name) for name in subject.state.journeys}
    return {name: derived(journey) for name, journey in found.items() if journey is not None}


@given(story=stories(), seed=st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_any_order_repetition_and_batching_give_the_same_journeys(story: tuple[list[Event], list[Command]], seed: int) -> None:
    told, commands = story
    plain = play([*reads(*commands), *reads(*told)], [])
    shuffle = random.Random(seed)
    again = [*told, *shuffle.sample(told, len(told) // 2)]
    shuffle.shuffle(again)
    mixed = reads(*again)
    for command in commands:  # commands keep their order; events may come before, between and after
        mixed.insert(shuffle.randint(0, len(mixed)), reads(command)[0])
    cuts = sorted(shuffle.randint(0, len(mixed)) for _ in range(4))
    assert journeys(play(mixed, cuts)) == journeys(plain)


@given(story=stories())
@settings(max_examples=50, deadline=None)
def test_two_shards_equal_one(story: tuple[list[Event], list[Command]]) -> None:
    told, commands = story
    records = [*reads(*commands), *reads(*told)]
    whole = journeys(play(records, [10, 20]))
    parts: dict[str, Any] = {}
    for shard in (0, 1):
        part = journeys(play(records, [5, 25], tracker(shard=shard, shards=2)))
        assert all(shard_of(name, 2) == shard for name in part)
        parts |= part
    assert parts == whole


@given(story=stories(), hours=st.lists(st.integers(0, 60 * 24), max_size=12))
@settings(max_examples=100, deadline=None)
def test_changes_applied_in_order_give_the_open_exceptions(story: tuple[list[Event], list[Command]], hours: list[int]) -> None:
    told, commands = story
    subject = tracker()
    seen: dict[str, dict[str, str]] = {}
    ids: set[str] = set()
    by_receipt = sorted(told, key=lambda e: e.received_at)
    moments_of_t: list[datetime] = [at(hours=h) for h in sorted(hours)] + [END]
    feed(subject, reads(*commands))
    for moment in moments_of_t:
        due = [e for e in by_receipt if e.received_at <= moment]
        by_receipt = [e for e in by_receipt if e.received_at > moment]
        outcome = feed(subject, [*reads(*due), *ticks(moment, load=True)])
        for change in outcome.changes:
            assert change.change_id not in ids, "none is told twice"
            ids.add(change.change_id)
            if change.exception is not None:
                was = seen.setdefault(change.consignment, {}).get(change.exception.key)
                if change.change in ("exception_ended", "exception_withdrawn", "exception_changed"):
                    assert was is not None
                seen[change.consignment][change.exception.key] = change.exception.status
    for name in subject.state.journeys:
        journey = subject.state.journey(name)
        assert journey is not None
        still_open = {state.key for state in journey.exceptions if state.status == "open"}
        assert {key for key, status in seen.get(name, {}).items() if status == "open"} == still_open


def test_an_aborted_batch_leaves_no_trace() -> None:
    subject, other = tracker(), tracker()
    for each in (subject, other):
        feed(each, [*reads(register()), *ticks(at(1))])
    subject.process([*reads(event("departed", at(2), BOX, place="CNSHA")), *ticks(at(30), load=True)])
    subject.aborted()
    for each in (subject, other):
        feed(each, [*reads(event("booked", at(1), BOX)), *ticks(at(31), load=True)])
    assert journeys(subject) == journeys(other)


def test_a_restored_tracker_goes_on_as_if_nothing_had_been() -> None:
    story = [event("departed", at(2), BOX, place="CNSHA"), event(None, at(4), BOX)]
    subject = tracker()
    first = feed(subject, [*reads(register(), *story), *ticks(at(4.5), load=True)])
    restored = tracker()
    for record in first.journeys:
        restored.restore(record.consignment, encode(record))
    restored.restored()
    restored.store = subject.store
    for each in (subject, restored):
        feed(each, [*reads(event("arrived", at(16), BOX, place="USLAX")), *ticks(at(40), load=True)])
    assert journeys(subject) == journeys(restored)


def test_a_topic_that_is_not_compacted_yet_restores_the_newest_of_each_journey() -> None:
    subject = tracker()
    records = [*feed(subject, reads(register(), register("LACDHS-2", refs=(OTHER_BOX,)))).journeys]
    records += feed(subject, [*reads(event("departed", at(2), BOX, BILL)), *ticks(at(4), load=True)]).journeys
    restored = tracker()
    for record in records:
        restored.restore(record.consignment, encode(record))
    restored.restore("LACDHS-2", None)
    restored.restored()
    assert restored.state.journey("LACDHS-1") == subject.state.journey("LACDHS-1")
    assert restored.state.journeys.keys() == restored.state.declared.keys() == {"LACDHS-1"}
    assert OTHER_BOX not in restored.state.by_reference
    assert restored.time.now == at(4)


def test_what_ended_long_ago_rests_after_a_restart_wherever_its_record_stood() -> None:
    subject = tracker()
    records = [*feed(subject, reads(register(), event("delivered", at(20), BOX, BILL, sender="H-HARBOR"))).journeys]
    records += feed(subject, ticks(at(20) + REST_AFTER + HOUR, load=True)).journeys
    restored = tracker()
    for record in records:  # T comes last
        restored.restore(record.consignment, encode(record))
    restored.restored()
    assert restored.state.resting == subject.state.resting == {"LACDHS-1"}


def test_registers_that_changed_while_no_tracker_ran_count_for_every_journey_and_feed_once_one_does() -> None:
    """Also where the tracker that heard of them died before all journeys were computed again."""
    nobodys = Registers(REGISTERS.senders, {})

    def warned(tracker_: Tracker, registers: Registers, journeys: Sequence[Journey | Feed | Clock | Closed]) -> int:
        """How many journeys say that their terminal is not registered, after a restart with these registers and two batches."""
        restored = tracker(registers)
        for record in journeys:
            restored.restore(record.consignment, encode(record))
        restored.restored()
        restored.store = tracker_.store
        for _ in range(2):
            feed(restored, ticks(restored.time.now or START))
        kept = [restored.state.journey(name) for name in ("LACDHS-1", "LACDHS-2")]
        return sum(any("not a registered facility" in text for text in one.warnings) for one in kept if one)

    subject = tracker()
    records = [*feed(subject, [*reads(register(), register("LACDHS-2", refs=(OTHER_BOX,))), *ticks(at(1), load=True)]).journeys]
    assert (warned(subject, REGISTERS, records), warned(subject, nobodys, records)) == (0, 2)
    subject.looked_at_once = 1
    subject.reconsider(nobodys)
    records += feed(subject, ticks(at(1, 1))).journeys
    assert warned(subject, nobodys, records) == 2, "it died after the first of two slices"
    records += feed(subject, ticks(at(1, 2))).journeys
    clock = decode_journey_record(encode(records[-1]))
    assert isinstance(clock, Clock) and clock.registers == nobodys.digest != REGISTERS.digest


def test_a_feeds_limit_that_is_changed_counts_at_once() -> None:
    """A sender that is known to report once a day was taken for silent after six hours."""
    subject = tracker()
    tell(subject, event("departed", at(2), BOX))
    opened = quietly(subject, at(2, 9)).changes
    assert [(change.consignment, change.change) for change in opened] == [("feed:MAEU", "exception_opened")]
    daily = REGISTERS.senders["MAEU"].model_copy(update={"silent_after_h": 24.0})
    subject.reconsider(Registers({**REGISTERS.senders, "MAEU": daily}, REGISTERS.facilities))
    told = feed(subject, ticks(at(2, 9.01))).changes
    assert [(change.consignment, change.change) for change in told] == [("feed:MAEU", "exception_withdrawn")]
    subject.reconsider(REGISTERS)
    told = feed(subject, ticks(at(2, 9.02))).changes
    assert [(change.consignment, change.change) for change in told] == [("feed:MAEU", "exception_opened")]
