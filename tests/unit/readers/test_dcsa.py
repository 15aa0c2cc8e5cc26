"""DCSA 2.2: codes to milestones (docs/milestones.md), and what carriers leave out or get wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from schemas.shipment_event_v1 import ShipmentEvent
from services.ingest.readers import Problem
from tests.unit.readers.helpers import context_at, read_text

AT = "2020-04-01T00:00:00Z"
BASE = {"eventID": "e", "eventClassifierCode": "ACT", "eventDateTime": "2020-03-29T10:00:00-07:00"}


def event(**fields: Any) -> ShipmentEvent:
    """The one event of a message."""
    reading = read_text(json.dumps([BASE | fields]), context_at(AT))
    assert not reading.problems, reading.problems
    return reading.events[0]


def problem(**fields: Any) -> Problem:
    """The one problem of a message; a field of None is left out."""
    whole = {key: value for key, value in (BASE | {"eventType": "EQUIPMENT"} | fields).items() if value is not None}
    return read_text(json.dumps([whole]), context_at(AT), "dcsa.2.2").problems[0]


def equipment(code: str, indicator: str | None, role: str | None, **more: Any) -> ShipmentEvent:
    """An EQUIPMENT event at a facility type."""
    fields = {"eventType": "EQUIPMENT", "equipmentEventTypeCode": code, "equipmentReference": "MRSU4371639"}
    if indicator:
        fields["emptyIndicatorCode"] = indicator
    return event(**fields, **({"facilityTypeCode": role, "eventLocation": {"UNLocationCode": "USLAX"}} if role else {}), **more)


@pytest.mark.parametrize(
    ("code", "indicator", "role", "milestone"),
    [
        *(("GTIN", "LADEN", role, "received") for role in ("POTE", "COYA", "COFS", "DEPO", "INTE", "RAMP", None)),
        *(("GTIN", "EMPTY", role, "empty_returned") for role in ("DEPO", "POTE", "COYA", "OFFD", "COFS", "RAMP", None)),
        *(("DROP", "EMPTY", role, "empty_returned") for role in ("DEPO", "POTE", None)),
        ("GTIN", "LADEN", "CLOC", "arrived_consignee"),
        ("DROP", "LADEN", "CLOC", "arrived_consignee"),
        ("DROP", "LADEN", "POTE", None),
        ("GTIN", "LADEN", "BOCR", None),
        ("GTIN", "EMPTY", "CLOC", None),
        ("GTOT", "LADEN", "POTE", "gate_out"),
        ("GTOT", "EMPTY", "DEPO", None),
        ("DISC", "LADEN", "POTE", "discharged"),
        ("DISC", "EMPTY", "POTE", None),
        ("STRP", "LADEN", "CLOC", "delivered"),
        ("STRP", "EMPTY", "CLOC", "delivered"),
        *((code, "LADEN", "POTE", None) for code in ("LOAD", "STUF", "INSP", "RSEA", "RMVD", "PICK")),
    ],
)
def test_equipment_codes(code: str, indicator: str, role: str | None, milestone: str | None) -> None:
    found = equipment(code, indicator, role)

    assert (found.milestone, found.mapped, found.empty) == (milestone, True, indicator == "EMPTY")


@pytest.mark.parametrize(
    ("code", "mode", "role", "milestone"),
    [
        ("DEPA", "VESSEL", "POTE", "departed"),
        ("DEPA", "BARGE", "POTE", "departed"),
        ("ARRI", "VESSEL", "POTE", "arrived"),
        ("ARRI", "BARGE", "POTE", "arrived"),
        ("ARRI", "TRUCK", "CLOC", "arrived_consignee"),
        ("ARRI", "TRUCK", "POTE", None),
        ("DEPA", "TRUCK", "POTE", None),
        ("ARRI", "RAIL", "RAMP", None),
        ("DEPA", "RAIL", "RAMP", None),
    ],
)
def test_transport_codes(code: str, mode: str, role: str, milestone: str | None) -> None:
    call = {"transportCallID": "c", "modeOfTransport": mode, "facilityTypeCode": role}
    references = [{"referenceType": "EQ", "referenceValue": "MRSU4371639"}]
    found = event(eventType="TRANSPORT", transportEventTypeCode=code, transportCall=call, references=references)

    assert (found.milestone, found.mapped) == (milestone, True)


@pytest.mark.parametrize(
    ("code", "document", "milestone", "hold"),
    [
        ("CONF", "BKG", "booked", None),
        ("CONF", "CBR", "booked", None),
        ("CONF", "SHI", None, None),
        ("RELS", "CUS", "customs_released", ("customs", "released")),
        ("HOLD", "CUS", None, ("customs", "placed")),
        ("HOLD", "SRM", None, ("other", "placed")),
        ("RELS", "SRM", None, ("other", "released")),
        ("ISSU", "TRD", None, None),
    ],
)
def test_shipment_codes(code: str, document: str, milestone: str | None, hold: tuple[str, str] | None) -> None:
    references = [{"referenceType": "EQ", "referenceValue": "MRSU4371639"}]
    found = event(
        eventType="SHIPMENT", shipmentEventTypeCode=code, documentTypeCode=document, documentID="D1", references=references
    )

    assert found.milestone == milestone
    assert (found.hold and (found.hold.kind, found.hold.state)) == hold


def test_a_container_without_its_indicator_is_taken_as_laden_and_says_so() -> None:
    found = equipment("GTOT", None, "POTE")

    assert (found.milestone, found.empty) == ("gate_out", None)
    assert [warning.code for warning in found.warnings] == ["laden_assumed"]


@pytest.mark.parametrize(
    ("code", "voyage"),
    [("ARRI", "014W"), ("DEPA", "015E")],
    ids=["arrives on the import voyage", "leaves on the export voyage"],
)
def test_a_call_has_two_voyages(code: str, voyage: str) -> None:
    call = {
        "modeOfTransport": "VESSEL",
        "importVoyageNumber": "014W",
        "exportVoyageNumber": "015E",
        "vessel": {"vesselIMONumber": "9321483"},
    }
    found = event(eventType="TRANSPORT", transportEventTypeCode=code, transportCall=call)

    assert [(ref.kind, ref.value) for ref in found.references] == [("voyage", f"9321483/{voyage}")]


def test_more_than_eight_linking_references_are_cut_with_a_warning() -> None:
    references = [{"documentReferenceType": "BKG", "documentReferenceValue": f"B{n}"} for n in range(12)]
    found = equipment("DISC", "LADEN", None, documentReferences=references, seals=[{"sealNumber": "S1"}])

    assert len(found.references) == 9  # eight that link, and the seal
    assert {warning.code for warning in found.warnings} == {"too_many_references"}


def test_a_reference_that_is_too_long_is_left_out() -> None:
    found = equipment(
        "DISC", "LADEN", None, documentReferences=[{"documentReferenceType": "BKG", "documentReferenceValue": "B" * 65}]
    )

    assert [ref.kind for ref in found.references] == ["container"]
    assert [warning.code for warning in found.warnings] == ["bad_reference"]


def test_a_rail_car_is_no_container() -> None:
    found = event(
        eventType="EQUIPMENT", equipmentEventTypeCode="DISC", emptyIndicatorCode="LADEN", equipmentReference="TILX 290344"
    )

    assert [(ref.kind, ref.value) for ref in found.references] == [("rail_car", "TILX290344")]


@pytest.mark.parametrize(
    ("fields", "code", "where"),
    [
        ({"eventType": "IOT"}, "bad_value", "/0/eventType"),
        ({"eventType": 7.5}, "bad_type", "/0/eventType"),
        ({"eventClassifierCode": "MAYBE"}, "bad_value", "/0/eventClassifierCode"),
        ({"eventClassifierCode": None}, "missing_field", "/0/eventClassifierCode"),
        ({}, "missing_field", "/0/equipmentEventTypeCode"),
        ({"equipmentEventTypeCode": "DISC"}, "no_linking_reference", "/0"),
        ({"equipmentEventTypeCode": "DISC", "eventDateTime": "2020-03-29"}, "bad_time", "/0/eventDateTime"),
        ({"equipmentEventTypeCode": "DISC", "eventDateTime": "2020-13-29T10:00:00Z"}, "bad_time", "/0/eventDateTime"),
        ({"equipmentEventTypeCode": "DISC", "eventDateTime": "0001-01-01T00:00:00+14:00"}, "bad_time", "/0/eventDateTime"),
        ({"equipmentEventTypeCode": "DISC", "transportCall": []}, "not_an_object", "/0/transportCall"),
        ({"equipmentEventTypeCode": "DISC", "references": [{}, 3]}, "not_an_object", "/0/references/1"),
        ({"equipmentEventTypeCode": "DISC", "seals": "S1"}, "bad_type", "/0/seals"),
    ],
)
def test_what_cannot_be_read_says_where(fields: dict[str, Any], code: str, where: str) -> None:
    found = problem(**fields)

    assert (found.code, found.where) == (code, where)


@pytest.mark.parametrize(
    ("classifier", "moment", "is_inside"),
    [
        ("ACT", "2020-04-02T23:59:00Z", True),
        ("ACT", "2020-04-03T00:01:00Z", False),
        ("EST", "2021-05-05T00:00:00Z", True),
        ("EST", "2021-05-07T00:00:00Z", False),
        ("PLN", "2021-05-05T00:00:00Z", True),
        ("ACT", "2019-02-26T00:01:00Z", True),
        ("ACT", "2019-02-24T00:00:00Z", False),
    ],
)
def test_the_time_fence_is_relative_to_the_receipt(classifier: str, moment: str, is_inside: bool) -> None:
    fields = {"equipmentReference": "MRSU4371639", "equipmentEventTypeCode": "DISC", "emptyIndicatorCode": "LADEN"}
    whole = BASE | fields | {"eventType": "EQUIPMENT", "eventClassifierCode": classifier, "eventDateTime": moment}
    reading = read_text(json.dumps([whole]), context_at(AT))

    assert [p.code for p in reading.problems] == ([] if is_inside else ["outside_time_fence"])


def test_a_bad_event_does_not_refuse_the_others() -> None:
    good = BASE | {
        "eventType": "EQUIPMENT",
        "equipmentEventTypeCode": "DISC",
        "equipmentReference": "MRSU4371639",
        "emptyIndicatorCode": "LADEN",
    }
    reading = read_text(json.dumps([3, good, {"eventType": None}, good | {"eventID": "f"}]), context_at(AT))

    assert [verdict.event is not None for verdict in reading.verdicts] == [False, True, False, True]
    assert [p.where for p in reading.problems] == ["/0", "/2/eventType"]
    assert reading.problems[1].payload == b'{"eventType":null}'


def test_events_may_stand_in_an_events_member() -> None:
    good = BASE | {
        "eventType": "EQUIPMENT",
        "equipmentEventTypeCode": "DISC",
        "equipmentReference": "MRSU4371639",
        "emptyIndicatorCode": "LADEN",
    }

    assert read_text(json.dumps({"events": [good]}), context_at(AT)).verdicts[0].position == "/events/0"


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [one], lambda one: {"events": [one], "nextPage": "x"}])
def test_pages_of_events_and_single_events_are_read(wrap: Callable[[dict[str, Any]], Any]) -> None:
    one = BASE | {"eventType": "EQUIPMENT", "equipmentEventTypeCode": "DISC", "equipmentReference": "MRSU4371639"}
    reading = read_text(json.dumps(wrap(one)), context_at(AT))

    assert reading.standard == "dcsa.2.2"
    assert [found.milestone for found in reading.events] == ["discharged"]


def also_naming(container: str, kind: str = "EQUIPMENT") -> ShipmentEvent:
    """An event of MRSU4371639 that names another container among its references."""
    references = [{"referenceType": "EQ", "referenceValue": container}]
    if kind == "EQUIPMENT":
        return equipment("DISC", "LADEN", None, references=references)
    return event(eventType=kind, transportEventTypeCode="ARRI", equipmentReference="MRSU4371639", references=references)


def test_another_container_beside_that_of_an_equipment_event_is_told_and_never_merged() -> None:
    found = also_naming("MSCU6639871")

    assert [ref.value for ref in found.references] == ["MRSU4371639"]
    (warning,) = found.warnings
    assert (warning.code, warning.where) == ("contradiction", "/0/references/0/referenceValue")
    assert "MRSU4371639" in warning.text
    assert "MSCU6639871" in warning.text


def test_the_same_container_said_twice_contradicts_nothing() -> None:
    found = also_naming(" mrsu 437163-9 ")

    assert ([ref.value for ref in found.references], found.warnings) == (["MRSU4371639"], ())


def test_a_vessels_arrival_may_be_about_several_containers() -> None:
    found = also_naming("MSCU6639871", "TRANSPORT")

    assert [ref.value for ref in found.references] == ["MRSU4371639", "MSCU6639871"]
