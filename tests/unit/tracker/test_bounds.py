"""What the tracker keeps is bounded: events nobody names, events no window can open on, journeys that ended long ago."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from services.runtime.settings import Settings
from services.tracker.app import SWEPT_EVENTS, catch_up
from services.tracker.core import (
    CLOSE_AFTER,
    EVENTS_KEPT,
    OVERTAKEN_AT_MOST,
    TOO_LATE_FOR,
    Outcome,
    ReadControl,
    Tracker,
)
from services.tracker.event_store import DiskEventStore, WritableEventStore
from services.tracker.exceptions import Found
from services.tracker.publishing import EXCEPTIONS_KEPT, difference
from services.tracker.records import Closed, Control, Event, Journey, Ref, encode
from services.tracker.registers import Registers
from tests.unit.tracker.build import (
    BILL,
    BOX,
    COMMANDS,
    DAY,
    EVENTS,
    HOUR,
    OTHER_BOX,
    REGISTERS,
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

LIMIT = 5


def limited(store: WritableEventStore) -> Tracker:
    return Tracker(store, REGISTERS, [(0, EVENTS, 0), (0, COMMANDS, 0)], (COMMANDS, 0), unmatched_at_most=LIMIT)


def process(subject: Tracker, store: WritableEventStore, *things: object) -> Outcome:
    outcome = subject.process(reads(*things))  # type: ignore[arg-type]  # events and commands alike
    added = subject.batch_events()
    subject.committed()
    added.write_to(store, {0: 1})
    return outcome


def strangers(count: int, sender: str = "MAEU", first: int = 0) -> list[Event]:
    """Events of containers that nobody registered."""
    return [event("departed", at(2), Ref("container", f"MRSU{n:07d}"), sender=sender) for n in range(first, first + count)]


def reasons(outcome: Outcome) -> list[str]:
    return [refused.reason for refused in outcome.refused]


@pytest.fixture
def store(tmp_path: Path) -> DiskEventStore:
    return DiskEventStore(tmp_path / "events")


def test_a_sender_has_only_so_many_events_that_nobody_names(store: DiskEventStore) -> None:
    subject = limited(store)
    outcome = process(subject, store, *strangers(LIMIT + 2), *strangers(1, "MSCU", 100))
    assert reasons(outcome) == ["unmatched_limit"] * 2
    assert store.unmatched_by("MAEU") == LIMIT
    assert store.unmatched_by("MSCU") == 1
    kept = strangers(LIMIT + 2)
    assert [store.get(one.event_id) is not None for one in kept] == [True] * LIMIT + [False] * 2
    assert reasons(process(subject, store, *kept[:LIMIT])) == []  # a repeat of what is kept is not one more


def test_an_event_that_a_consignment_names_is_always_kept(store: DiskEventStore) -> None:
    subject = limited(store)
    process(subject, store, register(), *strangers(LIMIT))
    outcome = process(subject, store, event("departed", at(2), BOX), *strangers(1, first=50))
    assert reasons(outcome) == ["unmatched_limit"]
    journey = subject.state.journey("LACDHS-1")
    assert journey is not None
    assert journey.milestone == "departed"


def test_a_registration_makes_room_for_others(store: DiskEventStore) -> None:
    subject = limited(store)
    process(subject, store, event("departed", at(2), BOX), *strangers(LIMIT - 1))
    assert store.unmatched_by("MAEU") == LIMIT
    outcome = process(subject, store, register(), *strangers(2, first=50))
    assert reasons(outcome) == ["unmatched_limit"]
    assert store.unmatched_by("MAEU") == LIMIT


def test_a_learned_reference_makes_room_too(store: DiskEventStore) -> None:
    subject = limited(store)
    process(subject, store, event("arrived", at(12), OTHER_BOX))
    assert store.unmatched_by("MAEU") == 1
    process(subject, store, register(refs=(BILL,)), event("departed", at(2), OTHER_BOX, BILL))
    assert store.unmatched_by("MAEU") == 0


def test_an_aborted_batch_counts_nothing(store: DiskEventStore) -> None:
    subject = limited(store)
    process(subject, store, *strangers(LIMIT - 1))
    subject.process(reads(*strangers(3, first=50)))
    subject.aborted()
    assert store.unmatched_by("MAEU") == LIMIT - 1
    assert reasons(process(subject, store, *strangers(1, first=50))) == []


def test_the_count_is_there_after_a_restart(store: DiskEventStore, tmp_path: Path) -> None:
    process(limited(store), store, *strangers(3))
    store.close()
    again = DiskEventStore(tmp_path / "events")
    assert again.unmatched_by("MAEU") == 3
    assert {one.event_id for one in again.unmatched()} == {one.event_id for one in strangers(3)}


def test_catching_up_decides_as_was_decided_then() -> None:
    subject = tracker()
    tell(subject, register())
    subject.unmatched_at_most = LIMIT
    mine = event("departed", at(2), BOX)
    kept, unmatched = subject.admit([*strangers(LIMIT + 2), mine])
    assert kept == [*strangers(LIMIT), mine]
    assert unmatched == strangers(LIMIT)


def delivered_long_ago() -> Tracker:
    """A journey that ended on day 20 and is closed; T stands one hour after."""
    subject = tracker()
    tell(subject, register(), event("departed", at(1), BOX, BILL), event("delivered", at(20), BOX, BILL, sender="H-HARBOR"))
    outcome = quietly(subject, at(20) + CLOSE_AFTER + HOUR)
    assert outcome.closed == ["LACDHS-1"]
    return subject


def test_an_event_that_names_a_closed_journey_is_too_late_and_is_told_once() -> None:
    subject = delivered_long_ago()
    late = event("gate_out", at(430), BILL)
    outcome = tell(subject, late)
    assert reasons(outcome) == ["too_late"]
    assert outcome.refused[0].event == late
    assert reasons(tell(subject, late)) == []


def test_a_unit_of_a_closed_journey_is_used_again_and_is_not_too_late() -> None:
    subject = delivered_long_ago()
    assert reasons(tell(subject, event("gate_out", at(430), BOX))) == []
    again = register("LACDHS-2", refs=(BOX,), plan={"departed": at(425)}, received_at=at(424))
    tell(subject, again)
    journey = subject.state.journey("LACDHS-2")
    assert journey is not None
    assert [s.milestone for s in journey.milestones if s.actual] == ["gate_out"]


def test_what_is_too_late_counts_where_a_new_consignment_names_it() -> None:
    subject = delivered_long_ago()
    tell(subject, event("departed", at(430), BILL))
    tell(subject, register("LACDHS-2", refs=(BILL,), plan={"departed": at(429)}, received_at=at(428)))
    journey = subject.state.journey("LACDHS-2")
    assert journey is not None
    assert journey.milestone == "departed"
    assert reasons(tell(subject, event("arrived", at(440), BILL))) == []


def test_a_closed_journey_is_known_after_a_restart_and_forgotten_in_its_time() -> None:
    subject = tracker()
    tell(subject, register(), event("delivered", at(20), BOX, BILL, sender="H-HARBOR"))
    outcome = quietly(subject, at(20) + CLOSE_AFTER + HOUR)
    record = next(one for one in outcome.journeys if isinstance(one, Closed))
    assert not any(isinstance(one, Journey) for one in outcome.journeys)
    restored = tracker()
    restored.restore(record.consignment, encode(record))
    restored.restored()
    assert reasons(tell(restored, event("gate_out", at(430), BILL))) == ["too_late"]
    outcome = quietly(restored, at(20) + CLOSE_AFTER + TOO_LATE_FOR + 2 * HOUR)
    assert outcome.closed == ["closed:LACDHS-1"]
    assert restored.state.by_closed == {}
    assert reasons(tell(restored, event("gate_out", at(831), BILL))) == []


def test_old_events_that_nobody_names_go_and_others_stay(store: DiskEventStore) -> None:
    subject = limited(store)
    mine = event("departed", at(2), BOX, BILL)
    withdrawn = event(None, at(2), OTHER_BOX, key="oops", retracts=mine.event_id)
    process(subject, store, register(), mine, withdrawn, *strangers(3))
    new = event("departed", at(2) + EVENTS_KEPT, Ref("container", "MRSU9999999"))
    process(subject, store, new)
    now = at(4) + EVENTS_KEPT
    assert store.sweep(now - EVENTS_KEPT, subject.needs, SWEPT_EVENTS) == 3
    assert [store.get(one.event_id) for one in strangers(3)] == [None] * 3
    assert list(store.by_reference(Ref("container", "MRSU0000001"))) == []
    assert [store.get(one.event_id) for one in (mine, withdrawn, new)] == [mine, withdrawn, new]
    assert store.unmatched_by("MAEU") == 1
    assert list(store.retractors(mine.event_id)) == [withdrawn]


def test_a_sweep_goes_round_in_small_steps(store: DiskEventStore) -> None:
    store.write(strangers(10), {0: 10}, strangers(10))
    gone = [store.sweep(at(3) + DAY, lambda _: False, 4) for _ in range(4)]
    assert gone == [4, 4, 2, 0]
    store.write(strangers(1), {0: 11})
    assert store.sweep(at(3) + DAY, lambda _: False, 4) == 1


def test_the_memory_of_a_closed_journey_is_small() -> None:
    subject = delivered_long_ago()
    (closed,) = subject.state.closed.values()
    assert {ref.kind for ref in closed.references} == {"bill_of_lading", "consignment"}
    assert len(encode(closed)) < 400
    assert feed(subject, []).journeys == []


def test_a_mark_that_a_crash_left_behind_is_mended_at_the_start(store: DiskEventStore) -> None:
    """The registration was committed, and the process died before it wrote its store."""
    told = event("departed", at(2), BOX)
    store.write([told, *strangers(2)], {0: 3}, [told, *strangers(2)])
    subject = limited(store)
    subject.process(reads(register()))
    subject.committed()
    assert catch_up(Settings(kafka="127.0.0.1:1"), subject, store, {}) == 0
    assert store.unmatched_by("MAEU") == 2


def test_what_time_and_registers_touch_is_looked_at_in_slices() -> None:
    subject = tracker()
    subject.looked_at_once = 3
    names = [f"LACDHS-{n}" for n in range(1, 9)]
    tell(subject, *(register(name, refs=(Ref("bill_of_lading", f"B{name}"),)) for name in names))
    quietly(subject, at(2))
    overdue = [
        sum(change.change == "exception_opened" for change in quietly(subject, at(3) + n * HOUR).changes) for n in range(4)
    ]
    assert overdue == [3, 3, 2, 0]
    subject.reconsider(Registers(REGISTERS.senders, {}))  # nobody's terminal is registered any more: each has new warnings
    told = [sum(isinstance(one, Journey) for one in feed(subject, []).journeys) for _ in range(4)]
    assert told == [3, 3, 2, 0]


def test_a_parked_sender_that_is_back_wakes_its_journeys_in_slices_also_after_a_restart() -> None:
    subject = tracker()
    names = [f"LACDHS-{n}" for n in range(1, 6)]
    refs = {name: Ref("bill_of_lading", f"B{name}") for name in names}
    story = [each for name in names for each in (register(name, refs=(refs[name],)), event("departed", at(2), refs[name]))]
    records = [*feed(subject, [*reads(*story), *ticks(at(2, 2), load=True)]).journeys]
    parked = Control(control="parked", raw_partition=0, at=at(3), sender="MAEU")
    back = Control(control="unparked", raw_partition=0, at=at(6, 1), sender="MAEU")
    records += feed(subject, [ReadControl(parked, EVENTS, 0)]).journeys
    for n in range(3):
        records += quietly(subject, at(6, n / 100)).journeys
    subject.looked_at_once = 2
    newest = feed(subject, [ReadControl(back, EVENTS, 0)]).journeys
    records += newest
    assert sum(isinstance(one, Journey) for one in newest) == 2
    restored = tracker()
    for record in records:
        restored.restore(record.consignment, encode(record))
    restored.restored()
    restored.store = subject.store
    for each in (subject, restored):
        silent = set[str]()
        for n in range(4):
            changes = quietly(each, at(6, 2 + n)).changes
            silent |= {one.consignment for one in changes if one.exception is not None and one.exception.kind == "silent"}
        assert silent >= {*names}


def test_an_aborted_slice_is_looked_at_again() -> None:
    subject = tracker()
    tell(subject, register())
    quietly(subject, at(2))
    subject.process(ticks(at(3), load=True))
    subject.aborted()
    assert [change.change for change in quietly(subject, at(3)).changes] == ["exception_opened"]
    subject.reconsider(Registers(REGISTERS.senders, {}))
    subject.process([])
    subject.aborted()
    assert len(feed(subject, []).journeys) == 1


def test_deadlines_that_were_overtaken_do_not_pile_up_and_those_that_stand_fire() -> None:
    """Each word of a consignment moves its deadline; those of the words before lie days ahead."""
    subject = tracker()
    tell(subject, register(), event("departed", at(2), BOX))
    quietly(subject, at(2, 2))
    kept = subject.state.journey("LACDHS-1")
    assert kept is not None and kept.next_deadline is not None
    for n in range(3 * OVERTAKEN_AT_MOST):
        subject.state.keep(msgspec.structs.replace(kept, next_deadline=kept.next_deadline + timedelta(seconds=n % 7)), at(2, 2))
    assert len(subject.state.deadlines) <= OVERTAKEN_AT_MOST + 3
    subject.state.keep(kept, at(2, 2))
    told = [change for change in quietly(subject, kept.next_deadline).changes if change.consignment == "LACDHS-1"]
    assert [(change.change, change.exception and change.exception.kind) for change in told] == [("exception_opened", "silent")]


def test_a_journey_that_has_more_wrong_than_is_kept_is_told_of_it_once() -> None:
    found = [Found(f"late:{n:02}", "late", at(n), at(n, 1), "minor", "Late.") for n in range(EXCEPTIONS_KEPT + 5)]
    first = difference((), found, None)
    assert len(first.told) == 2 * len(found)
    again = difference(first.states, found, None)
    assert again.told == []
    fewer = difference(first.states, found[:3], at(1))
    assert len(fewer.states) == EXCEPTIONS_KEPT and {one.key for one in found[:3]} <= {one.key for one in fewer.states}
