"""From EPCIS documents to a journey: pallets packed, received, and received in error."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from schemas.registers_v1 import Facility
from services.ingest.readers import Context, Registers, read
from services.tracker.core import Tracker
from services.tracker.records import Event, Ref, decode_event
from tests.unit.tracker.build import at, register, tell, tracker
from tests.unit.tracker.test_linking import heard, journey
from tests.unit.tracker.test_logistic_units import learned

HARBOR = Facility(
    code="H-HARBOR", kind="hospital", name="Harbor-UCLA", unlocode="USLAX", zone="America/Los_Angeles", gln="9521141000021"
)
FIRST, SECOND = Ref("sscc", "095211410000000014"), Ref("sscc", "095211410000000021")


def stated(sender: str, when: datetime, *events: dict[str, Any]) -> list[Event]:
    """What a sender's document says, as the tracker reads it from the topic."""
    common = {"action": "OBSERVE", "eventTime": when.isoformat(), "eventTimeZoneOffset": "-07:00"}
    document = {"type": "EPCISDocument", "epcisBody": {"eventList": [common | event for event in events]}}
    context = Context(sender=sender, received_at=when, registers=Registers.of([], [HARBOR]), raw_sha256="ab" * 32)
    reading = read(json.dumps(document).encode(), "application/ld+json", None, context)
    assert not reading.problems, reading.problems
    return [decode_event(event.model_dump_json()) for event in reading.events]


def packed() -> list[Event]:
    """A case in the first pallet, with its lot."""
    event = {
        "type": "AggregationEvent",
        "action": "ADD",
        "bizStep": "packing",
        "parentID": "urn:epc:id:sscc:9521141.0000000001",
        "childEPCs": ["urn:epc:id:sscc:9521141.1000000001"],
        "childQuantityList": [{"epcClass": "urn:epc:class:lgtin:9521141.012345.LOT7", "quantity": 200}],
    }
    return stated("HBRT", at(1), event)


def received(*serials: int, **more: Any) -> list[Event]:
    """Pallets at the hospital's dock."""
    event = {
        "type": "ObjectEvent",
        "bizStep": "urn:epcglobal:cbv:bizstep:receiving",
        "epcList": [f"https://id.gs1.org/00/{FIRST.value if serial == 1 else SECOND.value}" for serial in serials],
        "bizLocation": {"id": "urn:epc:id:sgln:9521141.00002.0"},
    }
    return stated("H-HARBOR", at(20), event | more)


def consignment_of_two_pallets() -> Tracker:
    subject = tracker()
    tell(subject, register(refs=(FIRST, SECOND)), *packed())
    return subject


def test_the_case_is_known_by_its_pallet_and_the_lot_stands_in_what_was_heard() -> None:
    subject = consignment_of_two_pallets()
    later = {"type": "ObjectEvent", "bizStep": "arriving", "epcList": ["urn:epc:id:sscc:9521141.1000000001"]}
    found = stated("H-HARBOR", at(20), later | {"readPoint": {"id": "urn:epc:id:sgln:9521141.00002.0"}})
    tell(subject, *found)

    assert learned(subject) == {"195211410000000011"}
    assert found[0].event_id in heard(subject)
    assert Ref("gtin_lot", "09521141123454.LOT7") in packed()[0].references


def test_both_pallets_in_one_event_deliver_the_consignment_one_does_not() -> None:
    one, both = consignment_of_two_pallets(), consignment_of_two_pallets()
    tell(one, *received(1))
    tell(both, *received(1, 2))

    assert journey(one).milestone != "delivered"
    assert journey(both).milestone == "delivered"


def test_a_receipt_declared_wrong_is_taken_back_though_neither_event_has_an_id() -> None:
    subject = consignment_of_two_pallets()
    tell(subject, *received(1, 2))
    tell(subject, *received(2, 1, errorDeclaration={"declarationTime": at(21).isoformat(), "reason": "did_not_occur"}))

    assert journey(subject).milestone is None


def test_a_declared_error_that_comes_first_counts_too() -> None:
    subject = consignment_of_two_pallets()
    tell(subject, *received(1, 2, errorDeclaration={"declarationTime": at(21).isoformat()}))
    tell(subject, *received(1, 2))

    assert journey(subject).milestone is None
