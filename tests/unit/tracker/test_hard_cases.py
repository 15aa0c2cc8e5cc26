"""Cases that a stranger's review found, and others that break such systems."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from schemas.consignment_command_v1 import ConsignmentDeclaration
from services.tracker.clock import NEVER
from services.tracker.core import ReadControl, Tracker
from services.tracker.event_store import MemoryEventStore
from services.tracker.exceptions import Timeline
from services.tracker.records import Control, Journey, Outage, Place
from tests.unit.tracker.build import (
    BILL,
    BOX,
    EVENTS,
    OTHER_BOX,
    at,
    command,
    event,
    feed,
    quietly,
    reads,
    receipt,
    register,
    tell,
    tracker,
)
from tests.unit.tracker.test_exceptions import on_time


def journey(subject: Tracker, consignment: str = "LACDHS-1") -> Journey:
    found = subject.state.journey(consignment)
    assert found is not None
    return found


def test_the_docks_receipt_is_stronger_than_the_truckers_word_on_the_unit() -> None:
    subject = tracker()
    tell(subject, register(), *on_time(), receipt(1000, at(24)))
    quietly(subject, at(25))
    delivered = next(s for s in journey(subject).milestones if s.milestone == "delivered")
    assert (delivered.actual, delivered.sender) == (at(24), "H-HARBOR")
    assert "late:delivered" in {state.key for state in journey(subject).exceptions}


def test_the_docks_receipt_settles_who_was_right_about_the_delivery() -> None:
    subject = tracker()
    other = event("delivered", at(18, 5), BOX, sender="MAEU", received=at(20))
    tell(subject, register(), *on_time(), other)
    quietly(subject, at(20, 1))
    assert {s.key: s.status for s in journey(subject).exceptions}["conflict:delivered"] == "open"
    tell(subject, receipt(1000, at(19, 5)))
    quietly(subject, at(21))
    assert {s.key: s.status for s in journey(subject).exceptions}["conflict:delivered"] == "ended"


def test_a_reused_box_whose_next_plan_is_a_guess_leaves_the_first_journey_its_history() -> None:
    subject = tracker()
    tell(subject, register(refs=(BOX,)), *on_time())
    tell(subject, register("LACDHS-2", refs=(BOX,), plan={"arrived": at(60)}))
    assert journey(subject).stage == "delivered"


def test_a_stranger_who_declares_our_bill_does_not_blind_us() -> None:
    subject = tracker()
    tell(subject, register(refs=(BILL,)), event("departed", at(2), BILL, BOX, place="CNSHA"))
    stranger = register("EVIL-1", refs=(BILL,), parties={})
    tell(subject, command("register", "EVIL-1", sender="EVIL", declaration=stranger.declaration))
    assert journey(subject).milestone == "departed"


def test_what_a_neighbour_on_the_same_bill_declared_is_not_ours() -> None:
    subject = tracker()
    tell(subject, register("LACDHS-1", refs=(BILL,)), register("LACDHS-2", refs=(BILL, OTHER_BOX)))
    tell(subject, event("discharged", at(17), BILL, OTHER_BOX, place="USLAX"))
    assert journey(subject, "LACDHS-1").milestone is None
    assert journey(subject, "LACDHS-2").milestone == "discharged"


def test_deadlines_that_waited_for_a_parked_sender_fire_after_it_is_back() -> None:
    subject = tracker()
    tell(subject, register(plan={"departed": at(2)}), *on_time(until="departed"), now=at(2, 2), load=True)
    parked = Control(control="parked", raw_partition=0, at=at(3), sender="MAEU")
    feed(subject, [ReadControl(parked, EVENTS, 0)])
    quietly(subject, at(6))
    assert [s.key for s in journey(subject).exceptions if s.status == "open"] == []
    back = Control(control="unparked", raw_partition=0, at=at(6, 1), sender="MAEU")
    feed(subject, [ReadControl(back, EVENTS, 0)])
    quietly(subject, at(6, 1.5))
    assert "silent" not in {s.key for s in journey(subject).exceptions}, "an hour to catch up"
    quietly(subject, at(6, 2))
    assert {s.key: s.status for s in journey(subject).exceptions}["silent"] == "open"


def test_outages_one_after_the_other_give_their_grace_one_after_the_other() -> None:
    def outage(start: float, end: float) -> Outage:
        return Outage(start=at(hours=start), end=at(hours=end))

    time = Timeline(at(1), (outage(10, 11), outage(11.5, 14)))
    assert time.fires_at(at(hours=10.5)) == at(hours=15)
    assert time.fires_at(at(hours=9)) == at(hours=9)
    waiting = Timeline(at(1), (Outage(start=at(0), end=NEVER),))
    assert not waiting.fired(at(0.5))
    assert waiting.next_deadline() is None


def test_a_consignment_that_cannot_be_computed_keeps_its_registration_and_stops_nobody_else() -> None:
    subject = tracker()
    broken = register("LACDHS-9", tolerance_h={"sea": 0.0})  # the contract refuses it; a defect of ours might not
    outcome = subject.process(reads(broken, register("LACDHS-2"), event("departed", at(3), BOX, place="CNSHA")))
    added = subject.batch_events()
    subject.committed()
    assert isinstance(subject.store, MemoryEventStore)
    added.write_to(subject.store, {})
    assert [fault.consignment for fault in outcome.faults] in ([], ["LACDHS-9"])
    late = subject.process(reads(event("arrived", at(19), BOX, place="USLAX")))
    subject.committed()
    assert "LACDHS-2" in {j.consignment for j in late.journeys}
    accepted = {c.consignment for c in outcome.changes if c.change == "command_accepted"}
    assert accepted == {"LACDHS-9", "LACDHS-2"}
    assert {j.consignment for j in outcome.journeys} >= {"LACDHS-9", "LACDHS-2"}
    assert [fault.consignment for fault in late.faults] in ([], ["LACDHS-9"]), "told once"


def test_a_terminal_that_names_no_place_speaks_of_its_own_and_only_if_that_is_on_the_route() -> None:
    subject = tracker()
    here = event("discharged", at(17), BOX, sender="LA-APMT")
    tell(subject, register(), here)
    assert journey(subject).milestone == "discharged"
    from services.tracker.records import Route

    away = Route(mode="sea", origin="CNSHA", port_of_discharge="NLRTM", place_of_delivery="H-HARBOR")
    other = tracker()
    tell(other, register(route=away), here, event("gate_out", at(18), BOX, sender="LA-APMT", place=Place(name="Shanghai")))
    assert journey(other).milestone is None
    assert len(journey(other).claims) == 2


def test_dock_receipts_without_end_are_refused() -> None:
    subject = tracker()
    tell(subject, register())
    for n in range(201):
        outcome = tell(subject, receipt(1, at(20) + timedelta(minutes=n), final=False))
    assert [c.reason for c in outcome.changes] == ["too_many"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"tolerance_h": {"sea": 0}},
        {"tolerance_h": {"sea": 1e12}},
        {"silent_after_h": 1e12},
        {"free_time_h": -1},
        {"plan": {"arrived": "9999-12-31T23:59:59-12:00"}},
        {"required_by": "0001-01-01T00:00:00+12:00"},
        {"route": {"via": ["x" * 600_000]}},
    ],
)
def test_a_declaration_that_would_break_arithmetic_is_refused_at_the_door(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ConsignmentDeclaration.model_validate({"consignment": "LACDHS-1", **wrong})


def test_a_cancelled_consignment_that_is_registered_again_is_not_said_to_be_registered() -> None:
    subject = tracker()
    tell(subject, register(), command("cancel"))
    (again,) = tell(subject, register(received_at=at(1))).changes
    assert (again.change, again.reason) == ("command_refused", "cancelled")
    (anothers,) = tell(subject, command("register", sender="OTHER", declaration=register().declaration)).changes
    assert anothers.reason == "not_your_prefix", "and nobody else is told that it is cancelled"


def test_each_refused_command_about_what_is_not_registered_has_an_id_of_its_own() -> None:
    """No journey keeps a version there, and T stands still between two ticks."""
    subject = tracker()
    quietly(subject, at(1))
    told = [tell(subject, command("cancel", received_at=at(1, hours))).changes for hours in (1, 2)]
    assert [change.reason for changes in told for change in changes] == ["unknown_or_not_yours"] * 2
    assert len({change.change_id for changes in told for change in changes}) == 2
