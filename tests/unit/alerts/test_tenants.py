"""What a sender's key may be told of: its own consignments and facilities, whatever its filters name."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.alerts_v1 import AlertCandidate, Filters, Sight
from schemas.journey_change_v1 import CHANGE, ExceptionChanged, HandedOver, MilestoneReached
from services.alerts.matching import Book, Match, Told, why_not
from services.tracker.records import encode
from tests.unit.alerts.build import NOW, alertable, subscription
from tests.unit.alerts.subscribers import EMAIL, House
from tests.unit.tracker.build import BOX, at, command, event, register, tell, tracker

BUYERS, CARRIERS = ("LACDHS", "LVLA"), ("MAEU", "ONEY")
PLACES = ("H-HARBOR", "H-CEDARS", "LA-APMT", "LB-TTI")
TRUCKERS = ("HBRT", "SPDR")
SENDERS = (*BUYERS, *CARRIERS, *PLACES, *TRUCKERS)


@st.composite
def changes(draw: st.DrawFn) -> MilestoneReached | HandedOver | ExceptionChanged:
    """Anybody's consignment, anywhere, or a feed; whatever became of it."""
    buyer = draw(st.sampled_from(BUYERS))
    said: dict[str, Any] = {
        "kind": draw(st.sampled_from(["exception_opened", "exception_changed", "exception_ended", "milestone_reached"])),
        "n": draw(st.integers(1, 9)),
        "buyer": buyer,
        "consignment": f"{buyer}-{draw(st.integers(1, 3))}",
        "facility": draw(st.sampled_from([*PLACES, None])),
        "terminal": draw(st.sampled_from([*PLACES, None])),
        "carrier": draw(st.sampled_from([*CARRIERS, None])),
        "truckers": draw(st.lists(st.sampled_from(TRUCKERS), unique=True)),
    }
    if draw(st.booleans()) and said["kind"].startswith("exception"):
        said |= {"consignment": f"feed:{draw(st.sampled_from(CARRIERS))}", "buyer": None, "facility": None, "terminal": None}
        said |= {"carrier": None, "truckers": []}
    return alertable(**said)


@st.composite
def filters(draw: st.DrawFn) -> dict[str, Any]:
    """Whatever a key's owner can think of to name."""
    names = st.lists(st.sampled_from(PLACES), max_size=3)
    found: dict[str, Any] = {"facilities": draw(names), "terminals": draw(names)}
    found["carriers"] = draw(st.lists(st.sampled_from(CARRIERS), max_size=2))
    found["consignments"] = draw(st.lists(st.sampled_from(["LACDHS-1", "LVLA-1", "feed:MAEU"]), max_size=2))
    return found


def has_a_part(sender: str, said: MilestoneReached | HandedOver | ExceptionChanged) -> bool:
    """Read from the change itself, not by the code that is tested."""
    parts = [*said.truckers, said.buyer, said.carrier, said.facility, said.terminal, said.consignment.removeprefix("feed:")]
    return sender in parts


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of the machine, not of the code
@given(said=st.lists(changes(), min_size=1, max_size=6), wanted=filters(), sender=st.sampled_from(SENDERS))
def test_nothing_of_anothers_goods_becomes_a_message_whatever_a_key_asks_for(
    said: list[MilestoneReached | HandedOver | ExceptionChanged], wanted: dict[str, Any], sender: str
) -> None:
    own = (sender,) if sender in PLACES else ()
    one = subscription(owner=sender, sight=Sight(sender=sender, facilities=own), **wanted)
    match = Match(Book([one]), {})
    candidates: list[AlertCandidate] = []
    for offset, each in enumerate(said):
        candidates += match.take(Told(CHANGE.validate_python(each.model_dump()), 0, offset, NOW), NOW).candidates
    for candidate in candidates:
        assert candidate.change is not None and has_a_part(sender, candidate.change)
    for each in said:
        if not has_a_part(sender, each):
            assert why_not(one, each, NOW) is not None
    free = one.model_copy(update={"sight": None})
    for each in said:
        if has_a_part(sender, each):
            assert why_not(one, each, NOW) == why_not(free, each, NOW), "its own goods are told as to anybody"


def test_what_is_out_of_sight_names_the_key_and_not_whose_goods_they_are() -> None:
    one = subscription(owner="LVLA", sight=Sight(sender="LVLA"), facilities=["H-HARBOR"])
    reason = why_not(one, alertable(buyer="LACDHS"), NOW)
    assert reason == "it was made with a key of LVLA, which has no part in this"


def test_a_trucker_is_told_of_what_it_was_declared_or_appointed_for_from_then_on() -> None:
    subject = tracker()
    reached = tell(subject, register(), event("discharged", at(17), BOX, place="USLAX")).changes
    tell(subject, command("appoint", role="trucker", party="SPDR", received_at=at(18)))
    later = tell(subject, event("gate_out", at(19), BOX, sender="SPDR")).changes
    told = {
        trucker: [
            change.milestone
            for one in (*reached, *later)
            if isinstance(change := CHANGE.validate_json(encode(one)), MilestoneReached)
            and why_not(subscription(sight=Sight(sender=trucker)), change, NOW) is None
        ]
        for trucker in ("HBRT", "SPDR", "LONE")
    }
    assert told == {"HBRT": ["discharged", "gate_out"], "SPDR": ["gate_out"], "LONE": []}


def test_of_more_truckers_than_a_change_can_name_the_declared_one_and_the_newest_are_told() -> None:
    subject = tracker()
    tell(subject, register())
    for n, code in enumerate(["ZEDD", *(f"TR{n:02}" for n in range(11)), "ZEDD", "AAAA"]):  # ZEDD is appointed anew
        tell(subject, command("appoint", role="trucker", party=code, received_at=at(18, n)))
    (reached, *_) = tell(subject, event("discharged", at(19), BOX, place="USLAX")).changes
    assert reached.truckers == ("HBRT", *(f"TR{n:02}" for n in range(4, 11)), "ZEDD", "AAAA")


def test_an_operators_subscription_and_one_without_a_key_are_not_narrowed() -> None:
    assert why_not(subscription(owner="OPS"), alertable(buyer="LACDHS"), NOW) is None


def test_a_door_notes_what_a_key_may_see_and_the_body_cannot_say_otherwise() -> None:
    house = House()
    body = {"channel": "email", "address": EMAIL, "filters": {"facilities": ["H-CEDARS"]}}
    for key in (house.key("LACDHS", "alerts"), house.key("OPS", "operator")):
        assert house.http("POST", "/v1/subscriptions", json=body, headers=key).status_code == 201
    assert [one.sight for one in house.store.all().values()] == [Sight(sender="LACDHS"), None]
    own, wide = house.key("LACDHS", "alerts"), {"sight": {"sender": "LVLA"}}
    assert house.http("POST", "/v1/subscriptions", json=body | wide, headers=own).status_code == 422
    name = next(one.subscription for one in house.store.all().values() if one.owner == "LACDHS")
    assert house.http("PATCH", f"/v1/subscriptions/{name}", json=wide, headers=own).status_code == 422
    assert house.http("PATCH", f"/v1/subscriptions/{name}", json={"filters": {}}, headers=own).status_code == 200
    changed = house.store.all()[name]
    assert changed.sight == Sight(sender="LACDHS") and changed.filters == Filters()
