"""DCSA 3.0 in its three forms: whole messages, versions and retractions, codes to milestones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.shipment_event_v1 import ShipmentEvent
from services.ingest.readers import Problem, Registers
from services.ingest.readers.json_items import Item, unfolded
from tests.unit.readers.helpers import FIXTURES, context_at, expected, read_text, refused, told
from tests.unit.readers.test_epcis import damaged
from tests.unit.readers.test_hostile import CAREFUL, check

AT = "2020-04-01T00:00:00Z"
FORMS = ("dcsa_30_beta1", "dcsa_30_january", "dcsa_30_may")


@pytest.mark.parametrize("name", FORMS)
def test_a_message_of_each_form_gives_exactly_the_events_that_it_says(name: str) -> None:
    hoped = expected(name)
    reading = read_text((FIXTURES / f"{name}.json").read_bytes(), context_at(hoped["received_at"], hoped["sender"]))

    assert reading.standard == "dcsa.3.0"
    got = told(reading)
    for one, two in zip(got, hoped["verdicts"], strict=False):
        assert one == two
    assert len(got) == len(hoped["verdicts"])


PARTY = {"partyCode": "EXCO", "codeListProvider": "SMDG", "codeListName": "LCL"}
DISCHARGED = {
    "eventID": "e-1",
    "eventDateTime": "2020-03-29T10:00:00-07:00",
    "eventUpdatedDateTime": "2020-03-29T20:00:00Z",
    "eventLocation": {"UNLocationCode": "USLAX", "facilityTypeCode": "POTE"},
    "eventClassification": {"eventTypeCode": "EQUIPMENT", "eventClassifierCode": "ACT", "equipmentEventTypeCode": "DISC"},
    "equipmentDetails": {"equipmentReference": "MRSU4371639", "emptyIndicatorCode": "LADEN"},
}


def events(*stated: Any) -> tuple[ShipmentEvent, ...]:
    """The events of a pushed message, all of which can be read."""
    reading = read_text(json.dumps({"events": stated}), context_at(AT))
    assert not reading.problems, reading.problems
    return reading.events


def refusal(stated: dict[str, Any]) -> Problem:
    """Why one event cannot be read."""
    return read_text(json.dumps({"events": [stated]}), context_at(AT)).problems[0]


def equipment(code: str, indicator: str | None = "LADEN", role: str | None = None, phase: str | None = None) -> ShipmentEvent:
    """An equipment event in the form of January."""
    details = {"equipmentReference": "MRSU4371639", "emptyIndicatorCode": indicator, "movementType": phase}
    kind = {"eventTypeCode": "EQUIPMENT", "eventClassifierCode": "ACT", "equipmentEventTypeCode": code}
    location = {"UNLocationCode": "USLAX", "facilityTypeCode": role}
    return events(DISCHARGED | {"eventClassification": kind, "equipmentDetails": details, "eventLocation": location})[0]


def routed(*parties: dict[str, str]) -> dict[str, Any]:
    """The routing of an event that these parties originated, in the form of May."""
    return {"eventRouting": {"originatingParties": parties}}


def test_a_later_version_of_an_event_overrides_the_earlier_whichever_comes_first() -> None:
    later = DISCHARGED | {"eventDateTime": "2020-03-29T11:00:00-07:00", "eventUpdatedDateTime": "2020-03-29T21:00:00Z"}
    one, two = events(DISCHARGED, later)

    assert one.event_id == two.event_id
    assert two.revision.at is not None and one.revision.at is not None and two.revision.at > one.revision.at


def test_an_event_is_told_by_its_originating_parties_and_its_id() -> None:
    other = PARTY | {"partyCode": "OTHER"}
    ids = [
        event.event_id
        for event in events(
            DISCHARGED,
            DISCHARGED | {"eventRouting": {"originatingParty": PARTY}},
            DISCHARGED | routed(PARTY),  # the same party in the form of May
            DISCHARGED | routed(other),
            DISCHARGED | routed(PARTY, other),
            DISCHARGED | routed(other, PARTY),
            DISCHARGED | routed(PARTY) | {"eventID": "e-2"},
        )
    ]

    assert ids[1] == ids[2] and ids[4] == ids[5]
    assert len(set(ids)) == 5


def test_an_id_of_500_characters_is_kept_apart_from_another_of_the_same_beginning() -> None:
    one, two = events(DISCHARGED | {"eventID": "x" * 499 + "1"}, DISCHARGED | {"eventID": "x" * 499 + "2"})

    assert one.event_id != two.event_id
    assert [warning.code for warning in one.warnings] == ["cut"]


def test_events_without_an_id_are_told_by_what_they_say_not_by_when_it_was_recorded() -> None:
    plain = {key: value for key, value in DISCHARGED.items() if key != "eventID"}
    one, two = events(plain)[0], events(plain | {"eventUpdatedDateTime": "2020-03-30T20:00:00Z"})[0]
    first, second = events(plain, plain)

    assert one.event_id == two.event_id == first.event_id != second.event_id
    assert one.source_id is None


def test_a_retraction_is_the_newest_version_of_its_event_and_needs_nothing_but_the_id_and_its_time() -> None:
    said, withdrawn = events(
        DISCHARGED, {"eventID": "e-1", "isRetracted": True, "eventUpdatedDateTime": "2020-03-30T00:00:00Z"}
    )

    assert withdrawn.event_id == said.event_id
    assert (withdrawn.retracted, withdrawn.retracts, withdrawn.milestone) == (True, None, None)
    assert withdrawn.revision.at is not None and said.revision.at is not None
    assert withdrawn.revision.at > said.revision.at


def test_of_two_versions_of_the_same_moment_the_retraction_counts() -> None:
    said, withdrawn = events(DISCHARGED, DISCHARGED | {"isRetracted": "true"})

    assert (withdrawn.event_id, withdrawn.revision.at) == (said.event_id, said.revision.at)
    assert withdrawn.retracted and withdrawn.revision.content > said.revision.content


def test_a_retraction_without_a_time_withdraws_for_good_whenever_it_is_received() -> None:
    said, withdrawn = events(DISCHARGED, {"eventID": "e-1", "isRetracted": True})
    text = json.dumps([{"eventID": "e-1", "isRetracted": True}])
    again = read_text(text, context_at("2020-05-01T00:00:00Z")).events[0]

    assert (withdrawn.retracts, withdrawn.retracted) == (said.event_id, False)
    assert withdrawn.event_id != said.event_id
    assert (again.event_id, again.revision) == (withdrawn.event_id, withdrawn.revision)


def test_false_withdraws_nothing() -> None:
    assert events(DISCHARGED | {"isRetracted": False})[0].milestone == "discharged"


@pytest.mark.parametrize(
    ("code", "indicator", "role", "phase", "milestone", "hold"),
    [
        ("GTIN", "LADEN", "POTE", "EXPORT", "received", None),
        ("GTIN", "LADEN", "POTE", "IMPORT", None, None),  # on its way out, at an inland depot
        ("GTIN", "LADEN", "POTE", "TRANSSHIPMENT", None, None),
        ("GTIN", "LADEN", "CLOC", "IMPORT", "arrived_consignee", None),
        ("GTIN", "LADEN", "CLOC", "EXPORT", None, None),  # at its shipper's
        ("GTOT", "LADEN", "POTE", "IMPORT", "gate_out", None),
        ("GTOT", "LADEN", "CLOC", "EXPORT", None, None),
        ("GTIN", "EMPTY", "DEPO", "IMPORT", "empty_returned", None),
        ("DISC", "LADEN", "POTE", "IMPORT", "discharged", None),
        ("DISC", "LADEN", "POTE", "TRANSSHIPMENT", "transship_arrived", None),
        ("LOAD", "LADEN", "POTE", "TRANSSHIPMENT", None, None),
        ("STRP", "LADEN", "CLOC", None, "delivered", None),
        ("AVPU", "LADEN", "POTE", None, "available", None),
        ("AVPU", "LADEN", "POTE", "IMPORT", "available", None),
        ("AVPU", "LADEN", "CLOC", "EXPORT", None, None),
        ("AVPU", "EMPTY", "DEPO", None, None, None),  # for a shipper to fill
        ("AVDO", "LADEN", "POTE", None, None, None),
        ("CROS", "LADEN", "BORD", None, None, None),
        ("CUSS", "LADEN", "POTE", None, None, ("customs", "placed")),
        ("CUSI", "LADEN", "POTE", "IMPORT", None, ("customs", "placed")),
        ("CUSR", "LADEN", "POTE", "IMPORT", "customs_released", ("customs", "released")),
        ("CUSR", "LADEN", "POTE", "EXPORT", None, ("customs", "released")),
        *((code, "LADEN", "POTE", None, None, None) for code in ("LOAD", "STUF", "PICK", "DROP", "INSP", "RSEA", "RMVD")),
    ],
)
def test_equipment_codes(
    code: str, indicator: str, role: str, phase: str | None, milestone: str | None, hold: tuple[str, str] | None
) -> None:
    found = equipment(code, indicator, role, phase)

    assert (found.milestone, found.mapped, found.empty) == (milestone, True, indicator == "EMPTY")
    assert (found.hold and (found.hold.kind, found.hold.state)) == hold


@pytest.mark.parametrize(
    ("code", "mode", "role", "phase", "milestone"),
    [
        ("ARRIVED", "VESSEL", "PORT_TERMINAL", None, "arrived"),
        ("ARRIVED", "VESSEL", "PORT_TERMINAL", "TRANSSHIPMENT", "transship_arrived"),
        ("ARRIVED", "VESSEL", "PORT_TERMINAL", "EXPORT", None),  # the vessel comes to fetch it
        ("ARRIVED", "BARGE", "INLAND_TERMINAL", None, "arrived"),
        ("ARRIVED", "TRUCK", "CUSTOMER_LOCATION", None, "arrived_consignee"),
        ("ARRIVED", "TRUCK", "DEPOT", None, None),
        ("ARRIVED", "RAIL", "RAMP", None, None),
        ("ARRIVED", "MULTIMODAL", "RAMP", None, None),
        ("DEPARTED", "VESSEL", "PORT_TERMINAL", None, "departed"),
        ("DEPARTED", "VESSEL", "PORT_TERMINAL", "TRANSSHIPMENT", "transship_departed"),
        ("DEPARTED", "BARGE", "PORT_TERMINAL", "IMPORT", None),
        ("APPROACHING", "VESSEL", "PORT_TERMINAL", None, None),
    ],
)
def test_transport_words(code: str, mode: str, role: str, phase: str | None, milestone: str | None) -> None:
    found = events(
        DISCHARGED
        | {
            "eventClassification": {"eventType": "TRANSPORT", "eventClassifier": "ACTUAL", "transportEventType": code},
            "eventLocation": {"UNLocationCode": "USLAX", "facilityType": role},
            "equipmentDetails": {"equipmentReference": "MRSU4371639", "transportPhase": phase},
            "transportDetails": {"transportCall": {"modeOfTransport": mode}},
        }
    )[0]

    assert (found.milestone, found.mapped, found.warnings) == (milestone, True, ())


@pytest.mark.parametrize(
    ("word", "document", "milestone", "hold"),
    [
        ("CONFIRMED", "BOOKING", "booked", None),
        ("CONFIRMED", "CARRIER_BOOKING_REQUEST", "booked", None),
        ("CONFIRMED", "TRANSPORT_DOCUMENT", None, None),
        ("AMENDMENT_CONFIRMED", "BOOKING", None, None),
        ("CANCELLED", "BOOKING", None, None),
        ("ON_HOLD", "CUSTOMS_CLEARANCE", None, ("customs", "placed")),
        ("RELEASED", "CUSTOMS_CLEARANCE", "customs_released", ("customs", "released")),
        ("ON_HOLD", "DELIVERY_ORDER", None, ("other", "placed")),
        ("RELEASED", "DELIVERY_ORDER", None, ("other", "released")),
    ],
)
def test_shipment_words(word: str, document: str, milestone: str | None, hold: tuple[str, str] | None) -> None:
    found = events(
        DISCHARGED
        | {
            "eventClassification": {"eventType": "SHIPMENT", "eventClassifier": "ACTUAL", "shipmentEventType": word},
            "shipmentDetails": {"documentReference": {"type": document, "reference": "D1"}},
        }
    )[0]

    assert (found.milestone, found.mapped) == (milestone, True)
    assert (found.hold and (found.hold.kind, found.hold.state)) == hold


@pytest.mark.parametrize("kind", ["IOT", "REEFER"])
def test_what_sensors_say_is_kept_and_moves_nothing_not_even_the_window_of_an_empty_unit(kind: str) -> None:
    name = kind.lower()
    for code, mapped in (("DETC" if kind == "IOT" else "MEAS", True), ("NEWS", False)):
        classification = {"eventTypeCode": kind, "eventClassifierCode": "ACT", f"{name}EventTypeCode": code}
        details = {"equipmentReference": "MRSU4371639", "emptyIndicatorCode": "EMPTY", "movementType": "IMPORT"}
        found = events(DISCHARGED | {"eventClassification": classification, "equipmentDetails": details})[0]

        assert (found.code, found.mapped) == (f"{kind}/{code}", mapped)
        assert (found.milestone, found.hold, found.empty) == (None, None, None)


def test_what_a_device_says_beside_what_is_known_may_be_new() -> None:
    classification = {"eventTypeCode": "IOT", "eventClassifierCode": "ACT", "iotEventTypeCode": "DETC"}
    found = events(DISCHARGED | {"eventClassification": classification, "iotDetails": {"iotEventCode": "SHK"}})[0]

    assert (found.code, found.mapped) == ("IOT/DETC/SHK", False)


def test_words_and_codes_are_of_one_meaning() -> None:
    assert equipment("GATED_OUT", "LADEN", "PORT_TERMINAL", "IMPORT").milestone == "gate_out"
    assert equipment("gtot", "laden", "pote", "import").milestone == "gate_out"


def test_a_phase_that_nobody_knows_is_said_and_not_used() -> None:
    found = equipment("DISC", "LADEN", "POTE", "SIDEWAYS")

    assert found.milestone == "discharged"
    assert [(warning.code, warning.where) for warning in found.warnings] == [
        ("unknown_phase", "/events/0/equipmentDetails/movementType")
    ]


def test_the_new_container_of_a_replacement_is_named_the_old_one_goes_elsewhere() -> None:
    replaced = [
        {
            "oldReferences": [{"typeCode": "EQ", "reference": "TCLU1234568"}],
            "newReferences": [{"typeCode": "EQ", "reference": "MSCU6639871"}],
        }
    ]
    found = events(DISCHARGED | {"shipmentDetails": {"shipmentReferenceReplacements": replaced}})[0]

    assert [ref.value for ref in found.references] == ["MRSU4371639", "MSCU6639871"]


@pytest.mark.parametrize("member", ["references", "shipmentReferences", "relatedDocumentReferences"])
def test_another_container_beside_that_of_an_equipment_event_is_told_and_never_merged(member: str) -> None:
    other = [{"typeCode": "EQ", "reference": "MSCU6639871"}]
    found = events(DISCHARGED | {"shipmentDetails": {member: other}})[0]

    assert [ref.value for ref in found.references] == ["MRSU4371639"]
    (warning,) = found.warnings
    assert (warning.code, warning.where) == ("contradiction", f"/events/0/shipmentDetails/{member}/0/reference")
    assert "MRSU4371639" in warning.text
    assert "MSCU6639871" in warning.text


def test_the_same_container_said_twice_contradicts_nothing() -> None:
    same = [{"typeCode": "EQ", "reference": "MRSU 437163-9"}]
    found = events(DISCHARGED | {"shipmentDetails": {"references": same}})[0]

    assert ([ref.value for ref in found.references], found.warnings) == (["MRSU4371639"], ())


@pytest.mark.parametrize(
    "page",
    [
        [DISCHARGED],
        DISCHARGED,
        {"events": [DISCHARGED]},
        {"events": [DISCHARGED], "feedbackElements": []},
        {"events": [DISCHARGED], "nextPageCursor": "x"},
    ],
    ids=["array", "bare", "wrapper", "wrapper with feedback", "wrapper with more"],
)
def test_pages_and_single_events_are_read(page: Any) -> None:
    reading = read_text(json.dumps(page), context_at(AT))

    assert reading.standard == "dcsa.3.0"
    assert [event.milestone for event in reading.events] == ["discharged"]


def test_an_empty_page_says_so() -> None:
    assert refused(json.dumps({"events": [], "feedbackElements": []}), context_at(AT)).code == "empty"


def test_a_callback_that_changes_over_from_2_2_is_read_event_by_event() -> None:
    old = {
        "eventID": "e-1",
        "eventType": "EQUIPMENT",
        "eventClassifierCode": "ACT",
        "eventDateTime": "2020-03-29T10:00:00-07:00",
        "equipmentEventTypeCode": "GTOT",
        "emptyIndicatorCode": "LADEN",
        "equipmentReference": "MRSU4371639",
    }
    reading = read_text(json.dumps([old, DISCHARGED]), context_at(AT), "dcsa.2.2")

    assert [(event.standard, event.milestone) for event in reading.events] == [
        ("dcsa.2.2", "gate_out"),
        ("dcsa.3.0", "discharged"),
    ]
    assert len({event.event_id for event in reading.events}) == 2


@pytest.mark.parametrize(
    ("stated", "code", "where"),
    [
        (DISCHARGED | {"eventClassification": {}}, "missing_field", "/events/0/eventClassification/eventTypeCode"),
        (DISCHARGED | {"eventClassification": []}, "not_an_object", "/events/0/eventClassification"),
        (
            DISCHARGED | {"eventClassification": {"eventTypeCode": "EQUIPMENT", "eventClassifierCode": "ACT"}},
            "missing_field",
            "/events/0/eventClassification/equipmentEventTypeCode",
        ),
        (DISCHARGED | {"eventDateTime": None}, "missing_field", "/events/0/eventDateTime"),
        (DISCHARGED | {"eventDateTime": "yesterday"}, "bad_time", "/events/0/eventDateTime"),
        (DISCHARGED | {"eventUpdatedDateTime": "2020-13-01T00:00:00Z"}, "bad_time", "/events/0/eventUpdatedDateTime"),
        (DISCHARGED | {"equipmentDetails": {}}, "no_linking_reference", "/events/0"),
        (DISCHARGED | {"isRetracted": 1}, "bad_type", "/events/0/isRetracted"),
        ({"isRetracted": True}, "missing_field", "/events/0/eventID"),
        (DISCHARGED | {"eventRouting": {"originatingParties": {}}}, "bad_type", "/events/0/eventRouting/originatingParties"),
        (
            DISCHARGED | {"transportDetails": {"delayReasonCodes": "WEA"}},
            "bad_type",
            "/events/0/transportDetails/delayReasonCodes",
        ),
        (
            DISCHARGED | {"shipmentDetails": {"shipmentReferences": [3]}},
            "not_an_object",
            "/events/0/shipmentDetails/shipmentReferences/0",
        ),
    ],
)
def test_what_cannot_be_read_says_where(stated: dict[str, Any], code: str, where: str) -> None:
    found = refusal(stated)

    assert (found.code, found.where) == (code, where)


def test_ids_and_content_do_not_depend_on_the_time_of_receipt() -> None:
    for name in FORMS:
        content = (FIXTURES / f"{name}.json").read_bytes()
        one, two = (read_text(content, context_at(at, "MAEU")) for at in (AT, "2020-04-02T05:00:00Z"))

        assert [(e.event_id, e.revision) for e in one.events] == [(e.event_id, e.revision) for e in two.events]


@CAREFUL
@given(st.data(), st.sampled_from(FORMS))
def test_any_value_anywhere_gives_a_verdict(data: st.DataObject, name: str) -> None:
    message = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
    check(json.dumps(damaged(data, message)).encode())


def test_a_page_of_more_events_than_a_message_may_hold_is_refused_without_being_read() -> None:
    page = {"events": [DISCHARGED] * 1_001, "feedbackElements": []}

    assert refused(json.dumps(page), context_at(AT)).code == "too_many_events"
    assert len(unfolded([Item("", page), Item("", page)], "events")) == 1_001
    assert len(unfolded([Item("", {"events": [{}] * 9_000})], "events")) == 1_001


def test_sample_of_an_equipment_event(samples: Path) -> None:
    content = (samples / "dcsa" / "tnt-300-request-equipment.json").read_bytes()
    reading = read_text(content, context_at("2026-01-20T15:00:00Z", registers=Registers.empty()))

    # its only reference is the container of DCSA's examples, which stands in too many test messages to be anybody's
    assert [(problem.code, problem.where) for problem in reading.problems] == [("no_linking_reference", "/events/0")]
    assert reading.problems[0].text.endswith("; container APZU4812090 is a known example value; not used")
    assert not reading.events


def test_sample_of_a_transport_event(samples: Path) -> None:
    content = (samples / "dcsa" / "tnt-300-request-transport.json").read_bytes()

    assert told(read_text(content, context_at("2026-01-20T15:00:00Z", registers=Registers.empty()))) == [
        {
            "position": "/events/0",
            "standard": "dcsa.3.0",
            "source_id": "evt-trans-001-2026-01-20T12:30:00Z",
            "code": "TRANSPORT/ARRI",
            "milestone": "arrived",
            "mapped": True,
            "classifier": "actual",
            "occurred_at": "2026-01-20T12:30:00Z",
            "updated_at": "2025-01-25T01:23:45Z",
            "at": "2025-01-25T01:23:45Z",
            "zone_assumed": False,
            "references": [{"kind": "booking", "value": "ABC709951"}, {"kind": "bill_of_lading", "value": "HHL71800000"}],
            "place": {"unlocode": "DEHAM", "name": "Sample Port Terminal", "role": "POTE"},
            "mode": "sea",
            "transport": {"vessel": "Example Vessel Alpha", "voyage": "V001N"},
            "warnings": [
                {
                    "code": "placeholder",
                    "where": "/events/0/transportDetails/transportCall/vesselTransport/vesselIMONumber",
                    "text": "IMO number 1234567 is a known example value; not used",
                }
            ],
        }
    ]


def test_sample_of_a_subscription_is_refused_by_name(samples: Path) -> None:
    error = refused((samples / "dcsa" / "event-subscription-create.json").read_bytes(), context_at(AT))

    assert (error.code, error.where) == ("unsupported_standard", "")
    assert "a DCSA event subscription, which is no event" in error.text
