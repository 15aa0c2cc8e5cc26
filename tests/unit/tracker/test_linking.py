"""Which events count: windows, neighbours, learning, and whose word counts."""

from __future__ import annotations

from services.tracker.core import Tracker
from services.tracker.records import Event, Journey
from tests.unit.tracker.build import (
    BILL,
    BOX,
    OTHER_BOX,
    Place,
    Ref,
    Transport,
    at,
    command,
    event,
    quietly,
    register,
    tell,
    tracker,
)

AT_TERMINAL = Place(facility="LA-APMT", unlocode="USLAX")


def journey(subject: Tracker, consignment: str = "LACDHS-1") -> Journey:
    found = subject.state.journey(consignment)
    assert found is not None
    return found


def heard(subject: Tracker, consignment: str = "LACDHS-1") -> set[str]:
    return {statement.event_id for statement in journey(subject, consignment).statements}


def empty_return(day: float, *, sender: str = "LA-APMT", box: Ref = BOX) -> Event:
    return event("empty_returned", at(day), box, sender=sender, empty=True, place=AT_TERMINAL)


def test_a_container_used_again_within_the_window_belongs_to_each_consignment_in_its_time() -> None:
    subject = tracker()
    first = event("discharged", at(17), BOX, place="USLAX")
    second = event("departed", at(35), BOX, place="CNSHA")
    later = {"departed": at(35), "arrived": at(49)}
    tell(subject, register("LACDHS-1", refs=(BOX,)), register("LACDHS-2", refs=(BOX,), plan=later))
    tell(subject, first, empty_return(25), second)
    assert heard(subject, "LACDHS-1") >= {first.event_id}
    assert second.event_id not in heard(subject, "LACDHS-1")
    assert heard(subject, "LACDHS-2") == {second.event_id}


def test_without_an_empty_event_the_later_opening_cuts_the_earlier_window() -> None:
    subject = tracker()
    tell(
        subject,
        register("LACDHS-1", refs=(BOX,)),
        register("LACDHS-2", refs=(BOX,), plan={"departed": at(40), "arrived": at(54)}),
    )
    between, after = event("gate_out", at(25), BOX, sender="HBRT"), event("received", at(27), BOX, place="CNSHA")
    tell(subject, between, after)
    assert between.event_id in heard(subject, "LACDHS-1")
    assert after.event_id not in heard(subject, "LACDHS-1"), "14 d before the later anchor the earlier window ends"
    assert after.event_id in heard(subject, "LACDHS-2")


def test_a_stranger_cannot_close_a_window_by_an_empty_event() -> None:
    subject = tracker()
    tell(subject, register(refs=(BOX,)), empty_return(10, sender="MSCU"), event("arrived", at(16), BOX, place="USLAX"))
    assert journey(subject).milestone == "arrived"


def test_neighbours_within_seven_days_share_the_container_and_the_event_counts_for_each() -> None:
    subject = tracker()
    tell(subject, register("LACDHS-1", refs=(BOX,)), register("LACDHS-2", refs=(BOX,), plan={"departed": at(3)}))
    tell(subject, event("departed", at(3), BOX, place="CNSHA"))
    for name in ("LACDHS-1", "LACDHS-2"):
        assert journey(subject, name).milestone == "departed"
        assert journey(subject, name).statements[0].shared


def test_two_consignments_on_one_booking_each_follow_their_own_container() -> None:
    subject = tracker()
    booking = Ref("booking", "BK1")
    tell(subject, register("LACDHS-1", refs=(BOX, booking)), register("LACDHS-2", refs=(OTHER_BOX, booking)))
    tell(subject, event("discharged", at(17), BOX, booking, place="USLAX"))
    assert journey(subject, "LACDHS-1").milestone == "discharged"
    assert journey(subject, "LACDHS-2").milestone is None


def test_a_container_is_learned_from_an_event_with_a_declared_document_and_then_tracked_by_itself() -> None:
    subject = tracker()
    tell(subject, register(refs=(BILL,)))
    teacher = event("received", at(1), BILL, BOX, place="CNSHA")
    tell(subject, teacher, event("departed", at(2), BOX, place="CNSHA"))
    assert journey(subject).milestone == "departed"
    learned = next(ref for ref in journey(subject).references if ref.how == "learned")
    assert (learned.value, learned.teacher) == (BOX.value, teacher.event_id)


def test_what_was_learned_ends_when_its_teacher_is_retracted() -> None:
    subject = tracker()
    teacher = event("received", at(1), BILL, BOX, place="CNSHA")
    tell(subject, register(refs=(BILL,)), teacher, event("departed", at(2), BOX, place="CNSHA"))
    tell(subject, event(None, at(3), BILL, key="oops", retracts=teacher.event_id))
    assert journey(subject).milestone is None
    assert all(ref.how != "learned" for ref in journey(subject).references)


def test_a_container_with_a_bad_check_digit_is_not_learned() -> None:
    subject = tracker()
    tell(subject, register(refs=(BILL,)), event("received", at(1), BILL, Ref("container", "MRSU4371638"), place="CNSHA"))
    assert all(ref.how != "learned" for ref in journey(subject).references)


def test_a_filler_is_not_learned_and_a_strangers_delivery_under_it_moves_nothing() -> None:
    filler = Ref("pro_number", "N/A")
    subject = tracker()
    tell(subject, register(refs=(BILL,)), event("gate_out", at(20), BILL, filler, sender="HBRT"))
    tell(subject, event("delivered", at(21), Ref("bill_of_lading", "SOMEBODYELSES"), filler, sender="HBRT"))
    assert journey(subject).milestone == "gate_out"
    assert all(ref.how != "learned" for ref in journey(subject).references)


def test_a_bad_check_digit_links_where_that_very_string_is_declared() -> None:
    slip = Ref("container", "MRSU4371638")  # BOX is the right number
    subject = tracker()
    tell(
        subject,
        register(refs=(slip,)),
        event("departed", at(2), slip, place="CNSHA"),
        event("arrived", at(15), BOX, place="USLAX"),
    )
    assert journey(subject).milestone == "departed"
    right = tracker()
    tell(right, register(refs=(BOX,)), event("departed", at(2), slip, place="CNSHA"))
    assert journey(right).milestone is None


def test_learning_is_one_hop() -> None:
    subject = tracker()
    tell(
        subject,
        register(refs=(BILL,)),
        event("received", at(1), BILL, BOX, place="CNSHA"),
        event(None, at(1.5), BOX, OTHER_BOX),
        event("departed", at(2), OTHER_BOX, place="CNSHA"),
    )
    assert {ref.value for ref in journey(subject).references if ref.how == "learned"} == {BOX.value}


def test_a_stranger_is_a_claim_that_moves_nothing_until_the_buyer_appoints_it() -> None:
    subject = tracker()
    claim = event("gate_out", at(19), BOX, sender="SPDR")
    tell(subject, register(), event("discharged", at(17), BOX, place="USLAX"), claim)
    assert journey(subject).milestone == "discharged"
    assert [c.event_id for c in journey(subject).claims] == [claim.event_id]
    tell(subject, command("appoint", role="trucker", party="SPDR", received_at=at(20)))
    assert journey(subject).milestone == "gate_out"
    assert journey(subject).claims == ()


def test_many_claims_give_no_standing_and_the_newest_three_are_shown() -> None:
    subject = tracker()
    claims = [event("gate_out", at(19, hour), BOX, sender="SPDR") for hour in range(8)]
    tell(subject, register(), *claims)
    assert journey(subject).milestone is None
    assert {c.event_id for c in journey(subject).claims} == {c.event_id for c in claims[-3:]}


def test_a_claim_teaches_nothing() -> None:
    subject = tracker()
    tell(subject, register(refs=(BILL,)), event("received", at(1), BILL, BOX, sender="MSCU", place="CNSHA"))
    tell(subject, event("departed", at(2), BOX, place="CNSHA"))
    assert journey(subject).milestone is None


def test_the_carrier_that_a_named_party_hands_over_to_has_standing() -> None:
    subject = tracker()
    tell(
        subject,
        register(parties={"carrier": "MAEU"}),
        event("discharged", at(17), BOX, place="USLAX"),
        event(None, at(18), BOX, transport=Transport(next_carrier="SPDR")),
        event("gate_out", at(19), BOX, sender="SPDR"),
    )
    assert journey(subject).milestone == "gate_out"


def test_a_terminal_speaks_only_of_its_own_place() -> None:
    subject = tracker()
    elsewhere = event("discharged", at(10), BOX, sender="LA-APMT", place="KRPUS")
    tell(subject, register(), elsewhere, event("discharged", at(17), BOX, sender="LA-APMT", place=AT_TERMINAL))
    assert [c.event_id for c in journey(subject).claims] == [elsewhere.event_id]
    assert journey(subject).milestone == "discharged"


def test_a_vessels_call_counts_for_all_on_the_voyage_but_not_what_it_says_of_anothers_container() -> None:
    subject = tracker()
    voyage = Ref("voyage", "9321483/015E")
    tell(subject, register(refs=(BOX, voyage)))
    tell(subject, event("departed", at(2), voyage, place="CNSHA"), event("discharged", at(9), voyage, OTHER_BOX, place="USLAX"))
    assert journey(subject).milestone == "departed"


def test_after_delivery_the_containers_next_loading_is_not_ours() -> None:
    subject = tracker()
    tell(subject, register(refs=(BOX,)), event("delivered", at(20), BOX, sender="HBRT"))
    tell(subject, empty_return(23), event("received", at(24), BOX, place="CNSHA"))
    assert journey(subject).stage == "delivered"
    assert "received" not in {statement.milestone for statement in journey(subject).statements}


def test_unlinking_a_reference_takes_its_events_away_and_linking_brings_them_back() -> None:
    subject = tracker()
    tell(subject, register(refs=(BOX,)), event("departed", at(2), BOX, place="CNSHA"))
    tell(subject, command("unlink", reference=BOX, received_at=at(3)))
    assert journey(subject).milestone is None
    tell(subject, command("link", reference=BOX, received_at=at(4)))
    assert journey(subject).milestone == "departed"


def test_a_person_may_link_a_reference_that_leads_to_no_event_and_it_is_shown() -> None:
    subject = tracker()
    order = Ref("purchase_order", "PO-4711")
    tell(subject, register(refs=(BOX,)), command("link", reference=order, received_at=at(3)))
    assert ("purchase_order", "PO-4711", "linked") in {(r.kind, r.value, r.how) for r in journey(subject).references}
    tell(subject, command("unlink", reference=order, received_at=at(4)))
    assert "PO-4711" not in {r.value for r in journey(subject).references}


def test_only_the_buyer_or_an_operator_amends_and_only_the_version_it_saw() -> None:
    subject = tracker()
    tell(subject, register())
    stranger = tell(subject, command("cancel", sender="MAEU"))
    assert [(c.change, c.reason) for c in stranger.changes] == [("command_refused", "unknown_or_not_yours")]
    stale = tell(subject, command("cancel", if_match=7))
    assert [(c.change, c.reason) for c in stale.changes] == [("command_refused", "version_mismatch")]
    done = tell(subject, command("cancel", if_match=1))
    assert [c.change for c in done.changes if c.command_id] == ["command_accepted"]


def test_a_piecewise_air_consignment_is_discharged_when_the_pieces_are_all_there() -> None:
    from services.tracker.records import Pieces, Route

    subject = tracker()
    waybill = Ref("air_waybill", "020-12345675")
    route = Route(mode="air", origin="DEFRA", port_of_discharge="USLAX", place_of_delivery="H-HARBOR")
    tell(subject, register(refs=(waybill,), route=route, parties={"carrier": "LH"}, plan={"departed": at(2)}))
    whole = event("departed", at(2), waybill, sender="LH", place="DEFRA", pieces=Pieces(this=20, total=20, part="T"))
    part = event("discharged", at(2.5), waybill, sender="LH", place="USLAX", pieces=Pieces(this=8, total=20, part="P"))
    tell(subject, whole, part)
    quietly(subject, at(2.6))
    assert journey(subject).milestone == "departed"
    rest = event("discharged", at(3), waybill, sender="LH", place="USLAX", pieces=Pieces(this=12, total=20, part="P"))
    tell(subject, rest)
    assert (journey(subject).milestone, journey(subject).milestone_at) == ("discharged", at(3))
