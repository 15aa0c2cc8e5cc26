"""Pallets, cases and items with numbers of their own (SSCC, SGTIN): what links them, who teaches them, what they move."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from stdnum import ean

from services.tracker.core import Tracker
from services.tracker.records import Event, Packing, Ref
from tests.unit.tracker.build import BILL, BOX, OTHER_BOX, Pieces, Transport, at, event, register, tell, tracker
from tests.unit.tracker.test_linking import heard, journey

PALLET, OTHER_PALLET = Ref("sscc", "095211410000000014"), Ref("sscc", "095211410000000021")
CASE, ITEM = Ref("sscc", "195211410000000011"), Ref("sgtin", "09521141123454.c1")
LOT = Ref("gtin_lot", "09521141123454.LOT7")


def packed(parent: Ref, *children: Ref, when: float = 1, sender: str = "HBRT") -> Event:
    """An aggregation: what is in the parent."""
    return event(None, at(when), parent, *children, parent=parent, sender=sender)


def delivered(*units: Ref, when: float = 20) -> Event:
    """The consignee's word for some units, as EPCIS gives it."""
    return event("delivered", at(when), *units, sender="H-HARBOR", place="USLAX")


def learned(subject: Tracker) -> set[str]:
    """The values of what the consignment learned."""
    return {ref.value for ref in journey(subject).references if ref.how == "learned"}


def test_a_pallet_that_was_declared_is_found_by_its_number() -> None:
    subject = tracker()
    tell(subject, register(refs=(PALLET,)), delivered(PALLET))

    assert journey(subject).milestone == "delivered"


def test_what_is_packed_in_a_declared_pallet_is_learned_and_then_found_by_itself() -> None:
    subject = tracker()
    teacher = packed(PALLET, CASE, ITEM, LOT)
    later = event("arrived_consignee", at(20), CASE, sender="H-HARBOR", place="USLAX")
    tell(subject, later, register(refs=(PALLET,)), teacher)

    found = {ref.value: ref.teacher for ref in journey(subject).references if ref.how == "learned"}
    assert found == {CASE.value: teacher.event_id, ITEM.value: teacher.event_id}  # a lot is in many consignments
    assert later.event_id in heard(subject)


def test_pallets_in_a_declared_container_are_learned_unless_the_container_is_shared() -> None:
    alone, shared = tracker(), tracker()
    tell(alone, register(refs=(BOX,)), packed(BOX, PALLET))
    tell(shared, register(refs=(BOX,)), register("LACDHS-2", refs=(BOX,)), packed(BOX, PALLET))

    assert learned(alone) == {PALLET.value}
    assert learned(shared) == set()


def test_what_was_learned_by_packing_is_forgotten_when_another_declares_the_same_parent() -> None:
    subject = tracker()
    tell(subject, register(refs=(BOX,)), packed(BOX, PALLET))
    assert learned(subject) == {PALLET.value}

    tell(subject, register("LACDHS-2", refs=(BOX,)))
    assert learned(subject) == set()


def test_packing_teaches_one_hop_only() -> None:
    subject = tracker()
    tell(subject, register(refs=(BOX,)), packed(BOX, PALLET), packed(PALLET, CASE, when=1.5))

    assert learned(subject) == {PALLET.value}


def test_units_beside_each_other_teach_nothing() -> None:
    subject = tracker()
    tell(subject, register(refs=(PALLET,)), event(None, at(1), PALLET, OTHER_PALLET, sender="HBRT"))

    assert learned(subject) == set()


def test_a_number_with_a_bad_check_digit_is_not_learned() -> None:
    subject = tracker()
    tell(subject, register(refs=(BOX,)), packed(BOX, Ref("sscc", "095211410000000015"), Ref("sscc", "X")))

    assert learned(subject) == set()


def test_a_strangers_packing_teaches_nothing() -> None:
    subject = tracker()
    tell(subject, register(refs=(PALLET,)), packed(PALLET, CASE, sender="SPDR"))

    assert learned(subject) == set()


def test_a_withdrawn_packing_is_forgotten() -> None:
    subject = tracker()
    teacher = packed(PALLET, CASE)
    tell(subject, register(refs=(PALLET,)), teacher)
    tell(subject, event(None, at(2), PALLET, key="oops", sender="HBRT", retracts=teacher.event_id))

    assert learned(subject) == set()


def test_a_consignment_of_two_pallets_is_delivered_when_both_are() -> None:
    subject = tracker()
    tell(subject, register(refs=(PALLET, OTHER_PALLET)), delivered(PALLET))
    assert journey(subject).milestone != "delivered"

    tell(subject, delivered(OTHER_PALLET, when=20.5))
    assert journey(subject).milestone == "delivered"


def test_what_is_packed_in_a_pallet_is_delivered_with_it() -> None:
    subject = tracker()
    tell(subject, register(refs=(PALLET, CASE)), packed(PALLET, CASE), delivered(PALLET))

    assert journey(subject).milestone == "delivered"


def test_one_case_of_a_pallet_does_not_deliver_it() -> None:
    subject = tracker()
    tell(subject, register(refs=(PALLET,)), packed(PALLET, CASE), delivered(CASE))

    assert journey(subject).milestone is None


@pytest.mark.parametrize("beside", [(), (BILL,)], ids=["by its own number", "with the bill of lading"])
def test_one_pallet_does_not_deliver_the_container_that_it_came_in(beside: tuple[Ref, ...]) -> None:
    subject = tracker()
    packing = (Packing(line=1, unit=BOX, quantity=1000),)
    arrival = replace(event("delivered", at(20), *beside, PALLET, sender="H-HARBOR", place="USLAX"), standard="epcis.2.0")
    tell(subject, register(refs=(BOX, BILL, PALLET), packing=packing), arrival)

    assert journey(subject).milestone is None


def test_a_message_about_a_document_speaks_of_all_of_it_whatever_pallets_it_lists() -> None:
    subject = tracker()
    tell(subject, register(refs=(BOX, OTHER_BOX, BILL)), event("departed", at(2), BILL, PALLET, place="CNSHA"))

    assert journey(subject).milestone == "departed"


def test_a_pallet_of_a_neighbour_on_the_same_bill_is_not_ours() -> None:
    subject = tracker()
    tell(subject, register(refs=(BILL, PALLET)), register("LACDHS-2", refs=(BILL, OTHER_PALLET)))
    tell(subject, event("delivered", at(20), BILL, OTHER_PALLET, sender="H-HARBOR", place="USLAX"))

    assert journey(subject).milestone is None
    assert journey(subject, "LACDHS-2").milestone == "delivered"


def test_a_withdrawal_that_names_nothing_but_the_event_withdraws_it() -> None:
    subject = tracker()
    said = event("delivered", at(20), PALLET, sender="H-HARBOR", place="USLAX", key="e", said=at(20))
    tell(subject, register(refs=(PALLET,)), said)
    assert journey(subject).milestone == "delivered"

    nothing = event(None, at(21), PALLET, sender="H-HARBOR", key="e", said=at(21), retracted=True)
    tell(subject, replace(nothing, references=()))
    assert journey(subject).milestone is None


@pytest.mark.parametrize(
    "other", [Ref("pro_number", "PRO1"), Ref("rail_car", "TTX123456"), BILL], ids=lambda ref: str(ref.kind)
)
def test_what_is_said_of_the_truck_the_wagon_or_the_bill_is_said_of_all_pallets(other: Ref) -> None:
    subject = tracker()
    tell(subject, register(refs=(PALLET, OTHER_PALLET, other)), delivered(other))

    assert journey(subject).milestone == "delivered"


def test_pallets_that_were_learned_from_a_bill_are_delivered_when_all_are() -> None:
    subject = tracker()
    tell(subject, register(refs=(BILL,)), event(None, at(1), BILL, PALLET, OTHER_PALLET, sender="HBRT"), delivered(PALLET))
    assert journey(subject).milestone is None

    tell(subject, delivered(OTHER_PALLET, when=20.5))
    assert journey(subject).milestone == "delivered"


def test_a_truckers_word_on_its_load_is_one_on_all_of_it_whatever_pallet_it_lists() -> None:
    pro = Ref("pro_number", "PRO1")
    subject = tracker()
    tell(subject, register(refs=(PALLET, OTHER_PALLET, pro)), event("delivered", at(20), pro, PALLET, sender="HBRT"))

    assert journey(subject).milestone == "delivered"


def test_pallets_beside_a_word_on_all_of_them_are_no_doubt() -> None:
    subject = tracker()
    tell(subject, register(refs=(PALLET, OTHER_PALLET, BILL)), delivered(BILL), delivered(PALLET, when=20.2))
    state = next(state for state in journey(subject).milestones if state.milestone == "delivered")

    assert (state.units_done, state.units_total) == (2, 2)


def test_goods_with_pallet_numbers_are_still_counted_in_pieces() -> None:
    waybill = Ref("air_waybill", "020-12345675")
    subject = tracker()
    halves = [
        replace(event("departed", at(2), waybill, place="CNSHA", key=f"half {n}"), pieces=Pieces(this=10, total=20, part="P"))
        for n in range(2)
    ]
    flights = [replace(half, transport=Transport(flight=f"LH{n}")) for n, half in enumerate(halves)]
    tell(subject, register(refs=(PALLET, OTHER_PALLET, waybill)), flights[0])
    state = next(state for state in journey(subject).milestones if state.milestone == "departed")
    assert (state.actual, state.units_done, state.units_total) == (None, 10, 20)

    tell(subject, flights[1])
    assert journey(subject).milestone == "departed"


def test_a_list_of_many_pallets_leaves_room_for_the_container_that_comes_after_it() -> None:
    def pallet(number: int) -> Ref:
        digits = f"09521141{number:09}"
        return Ref("sscc", digits + ean.calc_check_digit(digits))

    lists = [event(None, at(1, hours=n), BILL, *(pallet(10 * n + m) for m in range(10)), sender="HBRT") for n in range(8)]
    subject = tracker()
    tell(subject, register(refs=(BILL,)), *lists, event("received", at(2), BILL, BOX, place="CNSHA"))

    assert BOX.value in learned(subject)
    assert len(learned(subject)) == 51
