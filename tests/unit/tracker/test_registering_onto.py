"""A registration onto what is registered already: a ship notice tells more of what its buyer declared."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from services.tracker.records import Command, Declaration, Item, Packing, Ref, Registration, Route
from services.tracker.registrations import Judgement, judge
from tests.unit.tracker.build import BILL, BOX, START, at, declaration, register

LOT = Item(line=1, category="other", quantity=900, lot="A17", expires_on="2028-05-31", description="respirators, N95")
PALLET = Ref("sscc", "395200000000000012")


def told(onto: str | None = "add_lines", **fields: Any) -> Command:
    said = Declaration(consignment="LACDHS-1", **fields)
    return msgspec.structs.replace(register(), declaration=said, onto=onto, received_at=START + timedelta(days=1))


def registered(**fields: Any) -> Registration:
    first = msgspec.structs.replace(register(), declaration=msgspec.structs.replace(declaration(), **fields))
    registration, _ = judge(first, None)
    assert registration is not None
    return registration


def after(command: Command, current: Registration) -> tuple[Declaration, Judgement]:
    changed, judgement = judge(command, current)
    assert changed is not None
    return changed.declaration, judgement


GLOVES = Item(line=2, category="glove", quantity=50)
MASKS = Item(line=1, category="n95_respirator", quantity=1_000)


def test_it_registers_what_is_not_registered() -> None:
    changed, judgement = judge(told(items=(LOT,)), None)
    assert changed is not None and changed.declaration.items == (LOT,)
    assert (judgement.accepted, judgement.declared_version) == (True, 1)


def test_lines_are_set_by_their_number_keep_their_category_and_none_is_lost() -> None:
    declared, judgement = after(told(items=(LOT,)), registered(items=(MASKS, GLOVES)))
    assert declared.items == (msgspec.structs.replace(LOT, category="n95_respirator"), GLOVES)
    assert (judgement.accepted, judgement.declared_version) == (True, 2)


def test_a_replacement_takes_the_place_of_all_lines() -> None:
    packing = (Packing(line=2, unit=BOX, quantity=50),)
    declared, _ = after(told("replace_lines", items=(LOT,)), registered(items=(MASKS, GLOVES), packing=packing))
    assert ([item.line for item in declared.items], declared.packing) == ([1], ())


def test_a_replacement_without_lines_takes_none_away() -> None:
    declared, _ = after(told("replace_lines", references=(PALLET,)), registered(items=(MASKS, GLOVES)))
    assert [item.line for item in declared.items] == [1, 2]


def test_what_the_buyer_declared_stays_and_what_it_did_not_is_filled_in() -> None:
    current = registered(
        parties={"carrier": "MAEU"}, plan={"delivered": at(20)}, required_by=at(22), tier=1, route=Route(origin="CNSHA")
    )
    declared, _ = after(
        told(
            parties={"carrier": "MSCU", "trucker": "HBRT"},
            plan={"delivered": at(30), "arrived": at(15)},
            required_by=at(40),
            route=Route(mode="road", origin="HKHKG", place_of_delivery="H-HARBOR"),
            references=(BILL, PALLET),
        ),
        current,
    )
    assert declared.parties == {"carrier": "MAEU", "trucker": "HBRT"}
    assert declared.plan == {"delivered": at(20), "arrived": at(15)}
    assert (declared.required_by, declared.tier) == (at(22), 1)
    assert declared.route == Route(origin="CNSHA", place_of_delivery="H-HARBOR")
    assert declared.references == (*current.declaration.references, PALLET)


def test_the_same_notice_again_changes_nothing() -> None:
    once, _ = judge(told(items=(LOT,), references=(PALLET,)), registered())
    twice, judgement = judge(told(items=(LOT,), references=(PALLET,)), once)
    assert twice == once
    assert (judgement.accepted, judgement.reason, judgement.declared_version) == (True, "unchanged", 2)


def test_without_onto_a_second_registration_is_refused_as_before() -> None:
    _, judgement = judge(told(None, items=(LOT,)), registered())
    assert (judgement.accepted, judgement.reason) == (False, "exists")


def test_another_buyers_consignment_a_cancelled_one_and_too_many_lines_are_refused() -> None:
    stranger = msgspec.structs.replace(told(items=(LOT,)), sender="LACDHS", operator=False)
    assert judge(stranger, msgspec.structs.replace(registered(), buyer="OPS"))[1].reason == "unknown_or_not_yours"
    assert judge(told(items=(LOT,)), msgspec.structs.replace(registered(), cancelled_at=START))[1].reason == "cancelled"
    many = tuple(Item(line=n, category="gown", quantity=1) for n in range(2, 502))
    _, judgement = judge(told(items=many), registered(items=(MASKS,)))
    assert (judgement.accepted, judgement.reason) == (False, "too_many")
