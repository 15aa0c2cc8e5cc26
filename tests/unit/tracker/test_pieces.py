"""Consignments that fly in parts: a milestone is reached when the pieces are, however often and by whom they are told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from msgspec import structs

from services.tracker.areas import same_area
from services.tracker.core import Tracker
from services.tracker.records import Event, Hold, Journey, Packing, Pieces, Place, Ref, Route, Transport
from tests.unit.tracker.build import at, event, register, tell, tracker

WAYBILL = Ref("air_waybill", "020-12345675")
ULD, OTHER_ULD = Ref("uld", "AKE12345LH"), Ref("uld", "PMC54321LH")
ROUTE = Route(mode="air", origin="DEFRA", port_of_discharge="USLAX", place_of_delivery="H-HARBOR")
FRA, LAX = Place(iata="FRA", unlocode="DEFRA"), Place(iata="LAX", unlocode="USLAX")
LH456, LH458 = Transport(flight="LH456"), Transport(flight="LH458")


def consigned(*refs: Ref, **more: Any) -> Tracker:
    subject = tracker()
    parties = {"carrier": "LH", "forwarder": "MAEU"}
    tell(subject, register(refs=refs or (WAYBILL,), route=ROUTE, parties=parties, plan={"departed": at(2)}, **more))
    return subject


def received(this: int | None, when: datetime, *refs: Ref, letter: str = "P", **more: Any) -> Event:
    """So many pieces of twenty were received from their flight."""
    pieces = Pieces(this=this, total=20, part=letter)
    fields: dict[str, Any] = {"sender": "LH", "place": LAX, "pieces": pieces} | more
    return event("discharged", when, *(refs or (WAYBILL,)), **fields)


def journey(subject: Tracker) -> Journey:
    found = subject.state.journey("LACDHS-1")
    assert found is not None
    return found


def reached(subject: Tracker) -> str | None:
    return journey(subject).milestone


def estimated(subject: Tracker) -> datetime | None:
    return next(state.estimated for state in journey(subject).milestones if state.milestone == "discharged")


def test_parts_on_two_flights_add_up() -> None:
    subject = consigned()
    tell(subject, received(8, at(3), transport=LH456))
    assert reached(subject) is None
    tell(subject, received(12, at(4), transport=LH458, letter="D"))
    assert (reached(subject), journey(subject).milestone_at) == ("discharged", at(4))


def test_a_part_in_a_unit_that_its_message_names_is_still_a_part() -> None:
    subject = consigned()
    tell(subject, received(8, at(3), WAYBILL, ULD))
    assert reached(subject) is None
    tell(subject, received(12, at(4), WAYBILL, OTHER_ULD))
    assert reached(subject) == "discharged"


def test_the_word_on_a_unit_that_holds_a_part_is_no_word_on_the_whole() -> None:
    subject = consigned()
    tell(subject, received(8, at(3), WAYBILL, ULD), event("available", at(4), ULD, sender="LH", place=LAX))
    assert reached(subject) is None


def test_a_part_of_unknown_count_moves_nothing() -> None:
    subject = consigned()
    tell(subject, received(None, at(3)))
    assert reached(subject) is None
    tell(subject, received(20, at(4), letter="T"))
    assert reached(subject) == "discharged"


def test_what_two_tell_of_the_same_part_is_not_added() -> None:
    subject = consigned()
    tell(subject, received(12, at(3)), received(12, at(3, hours=1), sender="MAEU"))
    assert reached(subject) is None


def test_a_part_told_again_in_other_words_is_not_added() -> None:
    subject = consigned()
    tell(
        subject,
        received(12, at(3), transport=LH456, said=at(3.1)),
        received(12, at(3), transport=LH456, said=at(3.2), key="again"),
    )
    assert reached(subject) is None


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_corrected_count_replaces_the_one_before(newest_first: bool) -> None:
    subject = consigned()
    words = [received(12, at(3), transport=LH456, said=at(3.1)), received(8, at(3), transport=LH456, said=at(3.2))]
    tell(subject, *(reversed(words) if newest_first else words))
    assert reached(subject) is None
    tell(subject, received(12, at(4), transport=LH458))
    assert reached(subject) == "discharged"


def test_parts_of_one_message_in_one_flight_add_up() -> None:
    subject = consigned()
    tell(subject, *(received(n, at(3), transport=LH456, said=at(3.1), letter="S") for n in (8, 12)))
    assert reached(subject) == "discharged"


def test_parts_in_two_units_of_one_flight_add_up() -> None:
    subject = consigned()
    tell(subject, received(10, at(3), WAYBILL, ULD, transport=LH456, said=at(3.1)))
    tell(subject, received(10, at(3), WAYBILL, OTHER_ULD, transport=LH456, said=at(3.2)))
    assert reached(subject) == "discharged"


def test_pieces_that_are_told_one_by_one_are_counted_one_by_one() -> None:
    subject = consigned()
    tell(subject, event("departed", at(2), WAYBILL, sender="LH", place=FRA, pieces=Pieces(this=3, total=3, part="T")))
    for n in range(3):
        assert reached(subject) == "departed"
        each = event("discharged", at(3), WAYBILL, sender="LH", place=LAX, pieces=Pieces(this=1, part="P"), key=f"piece {n}")
        tell(subject, structs.replace(each, standard="one_record"))
    assert reached(subject) == "discharged"


def test_a_part_says_nothing_of_a_declared_unit_that_it_does_not_name() -> None:
    packing = [Packing(line=1, unit=ULD, quantity=1)]
    subject = consigned(WAYBILL, ULD, packing=packing)
    tell(subject, received(8, at(3)))
    assert reached(subject) is None
    tell(subject, received(8, at(3), WAYBILL, ULD, key="named"))
    assert reached(subject) == "discharged"


@pytest.mark.parametrize(
    ("milestone", "iata", "counts"),
    [
        ("departed", "XXA", ["departed"]),
        ("departed", "XXB", ["transship_departed"]),
        ("departed", "XXC", []),
        ("arrived", "XXA", []),
        ("arrived", "XXB", ["transship_arrived"]),
        ("discharged", "XXB", ["transship_arrived"]),
        ("discharged", "XXC", ["discharged"]),
        ("customs_released", "XXA", []),
        ("customs_released", "XXC", ["customs_released"]),
        ("received", "XXC", []),
        ("available", "XXC", ["available"]),
    ],
)
def test_an_airport_without_a_locode_is_told_from_the_messages_own_origin_and_destination(
    milestone: str, iata: str, counts: list[str]
) -> None:
    subject = consigned()
    ends: dict[str, Any] = {"origin": Place(iata="XXA"), "destination": Place(iata="XXC")}
    tell(subject, event(milestone, at(3), WAYBILL, sender="LH", place=Place(iata=iata), **ends))
    assert [word.milestone for word in journey(subject).statements] == counts


@pytest.mark.parametrize(
    ("milestone", "locode", "counts"),
    [
        ("departed", "JPNRT", ["departed"]),
        ("departed", "JPHND", ["departed"]),
        ("departed", "JPKIX", ["transship_departed"]),
        ("departed", "USJFK", []),
        ("arrived", "USEWR", ["arrived"]),
        ("discharged", "USJFK", ["discharged"]),
        ("arrived", "JPNRT", []),
        ("arrived", "USORD", ["transship_arrived"]),
    ],
)
def test_an_airport_of_the_declared_city_is_the_city(milestone: str, locode: str, counts: list[str]) -> None:
    subject = tracker()
    route = Route(mode="air", origin="JPTYO", port_of_discharge="USNYC", via=("USCHI",), place_of_delivery="H-HARBOR")
    tell(subject, register(refs=(WAYBILL,), route=route, parties={"carrier": "LH"}, plan={"departed": at(2)}))
    tell(subject, event(milestone, at(3), WAYBILL, sender="LH", place=Place(iata=locode[2:], unlocode=locode)))
    assert [word.milestone for word in journey(subject).statements] == counts
    assert not [found for found in journey(subject).exceptions if found.kind == "misrouted"]


def test_two_airports_of_a_city_are_two_places() -> None:
    assert not same_area("USJFK", "USEWR")
    assert not same_area(None, None)


def test_the_last_part_to_come_says_when_all_of_it_is_expected() -> None:
    subject = consigned()
    first = received(8, at(5), transport=LH456, classifier="estimated", said=at(2))
    tell(subject, first, received(12, at(7), transport=LH458, classifier="estimated", said=at(2)))
    assert estimated(subject) == at(7)
    tell(subject, received(12, at(6), transport=LH458, classifier="estimated", said=at(3)))
    assert estimated(subject) == at(6)  # the newer word on that flight
    tell(subject, received(12, at(4), transport=LH458, said=at(4.1)))
    assert estimated(subject) == at(5)  # that part is there; the other is awaited
    tell(subject, received(8, at(4.5), transport=LH456, said=at(4.6)))
    assert (reached(subject), journey(subject).milestone_at) == ("discharged", at(4.5))


def test_a_part_that_will_come_later_than_was_said_of_all_of_it_is_awaited() -> None:
    subject = consigned()
    tell(subject, received(20, at(6), letter="T", classifier="estimated", said=at(1)))
    tell(subject, received(8, at(5), transport=LH456, classifier="estimated", said=at(2)))
    assert estimated(subject) == at(6)
    tell(subject, received(12, at(8), transport=LH458, classifier="estimated", said=at(2)))
    assert estimated(subject) == at(8)
    tell(subject, received(20, at(7), letter="T", classifier="estimated", said=at(3)))
    assert estimated(subject) == at(7)


def test_the_clearance_of_a_part_leaves_the_hold_until_all_of_it_is_cleared() -> None:
    subject = consigned()

    def customs(state: str, when: datetime, this: int, *refs: Ref) -> Event:
        fields: dict[str, Any] = {
            "hold": Hold("customs", state),
            "pieces": Pieces(this=this, total=20, part="T" if this == 20 else "P"),
        }
        return event(
            "customs_released" if state == "released" else None, when, WAYBILL, *refs, sender="LH", place=LAX, **fields
        )

    tell(subject, customs("placed", at(3), 20), customs("released", at(4), 8, ULD))
    assert [found.released_at for found in journey(subject).holds] == [None]
    tell(subject, customs("released", at(5), 12, OTHER_ULD))
    assert [found.released_at for found in journey(subject).holds] == [at(5)]
