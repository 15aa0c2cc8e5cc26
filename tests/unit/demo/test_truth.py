"""The demo's own reading of docs/exceptions.md, on timelines made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace as retold

from demo.truth import Case, Fact, Found, Receipt, evaluate
from schemas.words import Milestone

DAY0 = datetime(2020, 4, 1, tzinfo=UTC)


def h(hours: float) -> datetime:
    return DAY0 + timedelta(hours=hours)


def fact(milestone: Milestone | None, at: float, known: float | None = None, **more: Any) -> Fact:
    return Fact(known_at=h(at if known is None else known), at=h(at), milestone=milestone, sender="MAEU", **more)


def sea(*facts: Fact, plan: dict[Milestone, float] | None = None, **more: Any) -> Case:
    return Case(mode="sea", plan={m: h(t) for m, t in (plan or {}).items()}, facts=facts, **more)


def test_nothing_is_wrong_with_a_journey_on_time() -> None:
    case = sea(fact("arrived", 105), fact("discharged", 110), plan={"arrived": 100, "discharged": 110})
    assert evaluate(case, h(115)) == ()


def test_a_late_arrival_is_overdue_until_it_happens_and_late_until_the_next_milestone() -> None:
    case = sea(fact("arrived", 130), fact("discharged", 140), plan={"arrived": 100})
    assert evaluate(case, h(141)) == (Found("late:arrived", h(112), h(140)), Found("overdue:arrived", h(112), h(130)))


def test_what_happened_in_time_and_was_told_late_was_never_overdue() -> None:
    assert evaluate(sea(fact("arrived", 101, known=130), plan={"arrived": 100}), h(131)) == ()


def test_an_untold_milestone_is_reached_with_the_first_later_one() -> None:
    assert evaluate(sea(fact("available", 108), plan={"discharged": 100}), h(115)) == ()
    assert evaluate(sea(fact("available", 115), plan={"discharged": 100}), h(116)) == (
        Found("overdue:discharged", h(112), h(115)),
    )


def test_a_later_estimate_moves_the_deadline_and_says_that_it_will_be_late() -> None:
    case = sea(fact("arrived", 150, known=50, classifier="estimated"), plan={"arrived": 100})
    assert evaluate(case, h(161)) == (Found("will_be_late:arrived", h(50)),)
    assert evaluate(case, h(163)) == (Found("overdue:arrived", h(162)), Found("will_be_late:arrived", h(50)))


def test_an_estimate_that_moves_the_deadline_past_now_ends_the_overdue() -> None:
    case = sea(fact("arrived", 150, known=120, classifier="estimated"), plan={"arrived": 100})
    assert Found("overdue:arrived", h(112), h(120)) in evaluate(case, h(121))


def test_an_estimate_back_within_tolerance_ends_the_warning() -> None:
    case = sea(
        fact("arrived", 150, known=50, classifier="estimated"),
        fact("arrived", 105, known=60, classifier="estimated"),
        plan={"arrived": 100},
    )
    assert evaluate(case, h(61)) == (Found("will_be_late:arrived", h(50), h(60)),)


def test_all_units_must_have_reached_a_milestone() -> None:
    facts = (fact("discharged", 100, unit="A"), fact("discharged", 120, unit="B"))
    assert evaluate(sea(*facts, units=("A", "B"), plan={"discharged": 100}), h(121))[0] == Found("late:discharged", h(112))


def test_a_unit_dwells_from_the_earlier_of_discharged_and_available() -> None:
    facts = (fact("discharged", 0), fact("available", 5), fact("gate_out", 100))
    assert Found("dwell", h(96), h(100)) in evaluate(sea(*facts), h(101))
    assert "dwell" not in {f.kind for f in evaluate(sea(*facts, free_time_h=120), h(101))}


def test_silence_is_measured_by_phase_between_departure_and_delivery() -> None:
    case = sea(fact("departed", 0))
    assert evaluate(case, h(71)) == ()
    assert evaluate(case, h(73)) == (Found("silent", h(72)),)
    spoken = sea(fact("departed", 0), fact("arrived", 300, known=80, classifier="estimated"))
    assert evaluate(spoken, h(81)) == (Found("silent", h(72), h(80)),)
    assert evaluate(sea(fact("departed", 0), fact("arrived", 50)), h(75)) == (Found("silent", h(74)),)
    assert evaluate(sea(fact("received", 0)), h(300)) == ()


def test_a_hold_lasts_until_its_own_kind_is_released() -> None:
    placed, released = fact(None, 10, hold=("customs", "placed")), fact(None, 40, hold=("customs", "released"))
    assert evaluate(sea(placed), h(41)) == (Found("on_hold:customs", h(10)),)
    assert evaluate(sea(placed, released), h(41)) == (Found("on_hold:customs", h(10), h(40)),)


def test_another_vessel_than_the_first_named_is_a_rolling_until_departure_is_known() -> None:
    first = fact("departed", 50, known=0, classifier="planned", carried_by="A 1E")
    other = fact("departed", 60, known=10, classifier="estimated", carried_by="B 2E")
    assert evaluate(sea(first, other), h(11)) == (Found("rolled", h(10)),)
    gone = fact("departed", 60, known=64, carried_by="B 2E")
    assert evaluate(sea(first, other, gone), h(65)) == (Found("rolled", h(10), h(64)),)
    assert evaluate(sea(first, retold(other, carried_by="A 1E")), h(11)) == ()


def test_less_good_than_declared_in_the_final_count_is_short_and_outlives_delivery() -> None:
    case = sea(fact("delivered", 0), quantities={1: 100}, receipts=(Receipt(h(2), h(0), {1: 90}),))
    assert evaluate(case, h(3)) == (Found("short", h(2)),)
    more = replace(case, receipts=(*case.receipts, Receipt(h(9), h(8), {1: 10})))
    assert evaluate(more, h(10)) == (Found("short", h(2), h(9)),)


def test_put_ashore_off_the_route_is_misrouted_until_it_leaves_again() -> None:
    ashore = fact("transship_arrived", 10, leg="USOAK", place="USOAK", off_route=True)
    onward = fact("transship_departed", 30, leg="USOAK", place="USOAK")
    assert evaluate(sea(ashore), h(20)) == (Found("misrouted", h(10)),)
    assert evaluate(sea(ashore, onward), h(40)) == (Found("misrouted", h(10), h(30)),)


def test_two_senders_that_differ_by_more_than_half_a_day_are_in_conflict() -> None:
    terminal = fact("discharged", 10, known=12, unit="A")
    carrier = retold(fact("discharged", 30, known=31, unit="A"), sender="LA-APMT", sender_kind="terminal")
    case = sea(terminal, carrier, units=("A",))
    assert evaluate(case, h(32)) == (Found("conflict:discharged", h(31)),)
    assert evaluate(sea(terminal, retold(carrier, at=h(20)), units=("A",)), h(32)) == ()


def test_delivery_ends_everything_else() -> None:
    case = sea(fact(None, 10, hold=("other", "placed")), fact("delivered", 50))
    assert evaluate(case, h(60)) == (Found("on_hold:other", h(10), h(50)),)
