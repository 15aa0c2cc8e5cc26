"""Pallets, cases and items with numbers of their own (SSCC, SGTIN): what links them, who teaches them, what they move."""

from __future__ import annotations

import itertools

import pytest
from msgspec.structs import replace
from stdnum import ean

from services.tracker.core import Tracker
from services.tracker.records import Command, Event, Packing, Ref
from tests.unit.tracker.build import BILL, BOX, OTHER_BOX, Pieces, Transport, at, command, event, register, tell, tracker
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


def learned(subject: Tracker, consignment: str = "LACDHS-1") -> set[str]:
    """The values of what the consignment learned."""
    return {ref.value for ref in journey(subject, consignment).references if ref.how == "learned"}


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


CASE_ARRIVES = event("arrived_consignee", at(20), CASE, sender="H-HARBOR", place="USLAX")
DEEP = (packed(BOX, PALLET), packed(PALLET, CASE, LOT, when=1.5), packed(CASE, ITEM, when=1.2))
"""A pallet in the declared container, a case with its lot in the pallet, an item in the case."""


def test_packing_teaches_from_the_container_to_the_item_in_any_order() -> None:
    in_container, in_pallet, in_case = (event.event_id for event in DEEP)
    things: tuple[Command | Event, ...] = (register(refs=(BOX,)), *DEEP, CASE_ARRIVES)
    for told in itertools.permutations(things):
        subject = tracker()
        for one in told:
            tell(subject, one)

        found = {ref.value: ref.teacher for ref in journey(subject).references if ref.how == "learned"}
        assert found == {PALLET.value: in_container, CASE.value: in_pallet, ITEM.value: in_case}
        assert heard(subject) == {CASE_ARRIVES.event_id}


def chain(*more: Command | Event, among: tuple[Event, ...] = DEEP) -> Tracker:
    """The declared container, its pallet, the case in it, the item in that; and more. The case arrives by itself on day 20."""
    subject = tracker()
    tell(subject, register(refs=(BOX,)), *among, CASE_ARRIVES, *more)
    return subject


def test_a_case_of_a_learned_pallet_is_found_by_its_own_number_and_moves_no_milestone() -> None:
    subject = chain()

    assert CASE_ARRIVES.event_id in heard(subject)
    assert journey(subject).milestone is None


def test_no_further_than_the_item_in_a_case() -> None:
    inner = Ref("sgtin", "09521141123454.c2")
    subject = chain(packed(ITEM, inner, when=1.6))

    assert inner.value not in learned(subject)


def test_what_was_learned_by_a_withdrawn_packing_goes_with_all_that_it_held() -> None:
    subject = chain(event(None, at(3), BOX, key="oops", sender="HBRT", retracts=DEEP[0].event_id))

    assert learned(subject) == set()
    assert CASE_ARRIVES.event_id not in heard(subject)


def test_a_strangers_packing_in_a_learned_pallet_teaches_nothing() -> None:
    subject = chain(among=(DEEP[0], packed(PALLET, CASE, sender="SPDR")))

    assert learned(subject) == {PALLET.value}


def test_a_container_or_a_document_beside_a_case_is_not_learned_from_its_packing() -> None:
    pro, voyage = Ref("pro_number", "PRO1"), Ref("voyage", "9321483/015E")
    subject = chain(among=(DEEP[0], packed(PALLET, CASE, OTHER_BOX, pro, voyage)))

    assert learned(subject) == {PALLET.value, CASE.value}


@pytest.mark.parametrize("ref", [PALLET, CASE], ids=["the pallet", "the case"])
def test_a_case_is_not_learned_while_another_consignment_declares_it_or_its_pallet(ref: Ref) -> None:
    subject = chain(register("LACDHS-2", refs=(ref,)))
    assert learned(subject) == {PALLET.value}

    tell(subject, command("unlink", "LACDHS-2", reference=ref))
    assert learned(subject) == {PALLET.value, CASE.value, ITEM.value}


def test_pallets_learned_by_a_bill_that_two_consignments_share_lead_no_further() -> None:
    subject = tracker()
    listed = event(None, at(1), BILL, PALLET, sender="HBRT")
    tell(subject, register(refs=(BILL,)), listed, packed(PALLET, CASE, when=1.5))
    assert learned(subject) == {PALLET.value, CASE.value}

    tell(subject, register("LACDHS-2", refs=(BILL,)))
    assert learned(subject) == learned(subject, "LACDHS-2") == {PALLET.value}


def test_a_case_that_goes_on_in_a_strangers_pallet_is_no_longer_ours_but_what_was_said_before_counts() -> None:
    later = event("arrived_consignee", at(22), CASE, sender="H-HARBOR", place="USLAX")

    subject = chain(later)
    assert later.event_id in heard(subject)

    tell(subject, packed(OTHER_PALLET, CASE, when=21))
    assert heard(subject) == heard(chain())


def test_a_case_that_came_out_of_a_strangers_pallet_is_ours_from_its_packing_and_else_from_the_start() -> None:
    early = event("received", at(1, hours=1), CASE, place="CNSHA")

    assert early.event_id in heard(chain(early))
    assert early.event_id not in heard(chain(early, packed(OTHER_PALLET, CASE, when=0.9)))


def test_taken_out_of_the_pallet_a_case_is_still_the_consignments() -> None:
    """It is received at the dock after the pallet was taken apart: that is what its buyer waits for."""
    apart = event(None, at(19), PALLET, CASE, sender="H-HARBOR", key="unpacking")  # DELETE: without a parent
    subject = chain(apart)

    assert CASE_ARRIVES.event_id in heard(subject)


def test_one_lot_in_two_consignments_ties_nothing_together() -> None:
    subject = chain(register("LACDHS-2", refs=(OTHER_PALLET,)), packed(OTHER_PALLET, LOT))

    assert learned(subject, "LACDHS-2") == set()
    assert learned(subject) == {PALLET.value, CASE.value, ITEM.value}
    assert not set(heard(subject)) & set(heard(subject, "LACDHS-2"))


def test_cases_of_learned_pallets_are_no_more_than_fifty_with_the_pallets() -> None:
    def case(number: int) -> Ref:
        digits = f"19521141{number:09}"
        return Ref("sscc", digits + ean.calc_check_digit(digits))

    lists = [packed(PALLET, *(case(10 * n + m) for m in range(10)), when=1 + n / 100) for n in range(8)]
    subject = chain(among=(DEEP[0], *lists))

    assert len(learned(subject)) == 50


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
