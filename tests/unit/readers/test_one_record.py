"""ONE Record LogisticsEvent: the spellings of JSON-LD, code lists, time types, and what an event is of."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.shipment_event_v1 import ShipmentEvent
from services.ingest.readers import Registers, detect, one_record
from services.ingest.readers.json_items import Item
from tests.unit.readers.helpers import FIXTURES, context_at, expected, read_text, refused, told
from tests.unit.readers.test_cargo_xml import steps

AT = "2020-04-01T12:00:00Z"
LH = context_at(AT, "LH")
CARGO = "https://onerecord.iata.org/ns/cargo#"
CODES = "https://onerecord.iata.org/ns/coreCodeLists#StatusCode_"
WAYBILL = {"@type": "Waybill", "waybillPrefix": "020", "waybillNumber": "12345675"}
UUID = "1a8ded38-1804-467c-a369-81a411416b3c"


def event(**more: Any) -> dict[str, Any]:
    """An event as a server sends it; a member that is None is left out."""
    whole = {
        "@context": {"@vocab": CARGO},
        "@id": "https://1r.example/logistics-objects/S/logistics-events/E",
        "@type": "LogisticsEvent",
        "eventCode": {"@id": CODES + "RCF"},
        "eventTimeType": {"@id": CARGO + "ACTUAL"},
        "eventDate": "2020-04-01T01:00:00Z",
        "eventFor": {"@type": "Shipment", "waybill": WAYBILL},
    } | {key.replace("AT_", "@"): value for key, value in more.items()}
    return {key: value for key, value in whole.items() if value is not None}


def events(*values: Any) -> tuple[ShipmentEvent, ...]:
    reading = read_text(json.dumps(list(values)), LH)
    assert not reading.problems, reading.problems
    return reading.events


def one(**more: Any) -> ShipmentEvent:
    (found,) = events(event(**more))
    return found


def problem(value: Any) -> tuple[str, str]:
    (found,) = read_text(json.dumps(value), LH).problems
    return found.code, found.where


def references(found: ShipmentEvent) -> list[tuple[str, str]]:
    return [(ref.kind, ref.value) for ref in found.references]


def codes(found: ShipmentEvent) -> list[str]:
    return [warning.code for warning in found.warnings]


def test_a_message_gives_exactly_the_events_that_it_says() -> None:
    hoped = expected("one_record")
    content = (FIXTURES / "one_record.json").read_bytes()
    reading = read_text(content, context_at(hoped["received_at"], hoped["sender"]))

    assert reading.standard == "one_record"
    for got, want in zip(told(reading), hoped["verdicts"], strict=True):
        assert got == want
    assert len({event.event_id for event in reading.events}) == len(reading.events)
    later = read_text(content, context_at("2020-04-02T05:00:00Z", "LH", raw_partition=3, raw_offset=9))
    assert [(e.event_id, e.revision) for e in later.events] == [(e.event_id, e.revision) for e in reading.events]


@pytest.mark.parametrize("file", ["logistics-event-BKD.json", "logistics-event-DEP.json"])
def test_samples_that_name_no_waybill_are_told_what_is_missing(samples: Path, file: str) -> None:
    reading = read_text((samples / "air" / file).read_bytes(), context_at("2023-04-02T00:00:00Z", "LH", Registers.empty()))

    assert told(reading) == [{"problem": "no_linking_reference", "where": ""}]
    assert "embed the waybill" in reading.problems[0].text


def test_the_sample_of_a_shipment(samples: Path) -> None:
    content = (samples / "air" / "onerecord-LogisticsEvent.json").read_bytes()

    assert told(read_text(content, context_at("2023-04-02T00:00:00Z", "LH", Registers.empty()))) == [
        {
            "position": "",
            "standard": "one_record",
            "code": "DEP",
            "milestone": "departed",
            "mapped": True,
            "classifier": "actual",
            "occurred_at": "2023-04-01T10:38:01Z",
            "created_at": "2023-04-01T10:38:01Z",
            "at": "2023-04-01T10:38:01Z",
            "zone_assumed": False,
            "references": [{"kind": "booking", "value": UUID.upper()}],
            "mode": "air",
            "warnings": [],
        }
    ]


@pytest.mark.parametrize(
    ("code", "milestone"),
    [
        ("BKD", "booked"),
        ("RCS", "received"),
        ("DEP", "departed"),
        ("ARR", "arrived"),
        ("RCF", "discharged"),
        ("CCD", "customs_released"),
        ("NFD", "available"),
        ("DLV", "gate_out"),
        ("DDL", "delivered"),
        *((code, None) for code in ("FOH", "RCT", "PRE", "MAN", "AWR", "AWD", "CRC", "TGC", "TRM", "TFD", "FIW", "FOW", "DIS")),
    ],
)
def test_codes(code: str, milestone: str | None) -> None:
    found = one(eventCode={"@id": CODES + code})

    assert (found.code, found.milestone, found.mapped, found.classifier) == (code, milestone, True, "actual")


SPELLINGS: list[Any] = [
    {"@id": CODES + "DEP"},
    {"@id": "https://onerecord.iata.org/ns/code-lists/StatusCode#DEP"},
    {"@id": "https://onerecord.iata.org/ns/code-lists/StatusCode/DEP"},
    [{"@id": CODES + "DEP", "@type": "StatusCode"}],
    {"@id": "codes:StatusCode_DEP"},
    {"@type": "CodeListElement", "code": "DEP", "codeListName": "FSU status codes"},
    {"@type": "cargo:CodeListElement", "cargo:Code": "DEP"},
    {"@type": "CodeListElement", "code": {"@value": "DEP"}},
    "DEP",
    "dep",
    {"@value": "DEP"},
]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=json.dumps)
def test_both_code_lists_and_what_servers_make_of_them(spelling: Any) -> None:
    found = one(eventCode=spelling)

    assert (found.code, found.milestone, found.mapped) == ("DEP", "departed", True)


@pytest.mark.parametrize(
    "spelling",
    [
        {"@id": "https://handler.example/codes#DEP"},
        {"code": "DEP", "codeListReference": "https://handler.example/codes"},
        "DEPARTED",
        {"@id": CODES + "XYZ"},
    ],
    ids=json.dumps,
)
def test_a_code_of_another_list_moves_nothing(spelling: Any) -> None:
    found = one(eventCode=spelling)

    assert (found.milestone, found.mapped, codes(found)) == (None, False, ["unmapped_code"])


@pytest.mark.parametrize("code", ["FDCA", "FDAW", "MSCA", "MSAW", "OFLD", "OVCD", "SSPD", "DFLD"])
def test_the_core_code_list_holds_the_discrepancies_too(code: str) -> None:
    assert one(eventCode={"@id": CODES + code}).code == f"DIS/{code}"


def test_an_event_with_a_name_only_is_kept_and_moves_nothing() -> None:
    found = one(eventCode=None, eventName="Security clearance")

    assert (found.code, found.milestone, found.mapped) == ("Security clearance", None, False)


@pytest.mark.parametrize(
    ("kind", "classifier"),
    [
        ({"@id": CARGO + "ACTUAL"}, "actual"),
        ({"@id": "cargo:PLANNED", "@type": "cargo:EventTimeType"}, "planned"),
        ({"@id": "cargo:ESTIMATED"}, "estimated"),
        ("EXPECTED", "estimated"),
        ("SCHEDULED", "planned"),
        ([{"@value": "Actual"}], "actual"),
    ],
    ids=json.dumps,
)
def test_time_types(kind: Any, classifier: str) -> None:
    found = one(eventTimeType=kind, eventDate="2020-04-01T23:00:00Z")

    assert (found.milestone, found.classifier) == ("discharged", classifier)


def test_a_time_that_was_asked_for_is_no_plan() -> None:
    found = one(eventTimeType={"@id": "cargo:REQUESTED"})

    assert (found.milestone, found.classifier, codes(found)) == (None, "planned", ["requested_time"])


def test_an_event_without_a_time_type_is_taken_as_a_fact_and_says_so() -> None:
    found = one(eventTimeType=None)

    assert (found.classifier, codes(found)) == ("actual", ["time_type_assumed"])


def test_a_fact_without_a_date_has_that_of_its_creation_but_a_plan_has_none() -> None:
    found = one(eventDate=None, creationDate="2020-04-01T02:00:00Z")

    assert (found.occurred_at.isoformat(), codes(found)) == ("2020-04-01T02:00:00+00:00", ["time_of_creation"])
    assert problem(event(eventDate=None, creationDate="2020-04-01T02:00:00Z", eventTimeType="PLANNED"))[0] == "no_time"


def spelled(shape: str) -> Any:
    """The same event in the shapes that servers send."""
    whole = event()
    if shape == "@vocab":
        return whole
    members = {key: value for key, value in whole.items() if not key.startswith("@")}
    waybill = {"{}waybillPrefix": "020", "{}waybillNumber": "12345675"}
    members["eventFor"] = {"@type": "{}Shipment", "{}waybill": {"@type": "{}Waybill"} | waybill}

    def prefixed(value: Any, prefix: str) -> Any:
        if isinstance(value, dict):
            return {key.replace("{}", prefix): prefixed(member, prefix) for key, member in value.items()}
        return value.replace("{}", prefix) if isinstance(value, str) else value

    prefix = {"prefix": "cargo:", "another prefix": "c:", "no context": "cargo:", "expanded": CARGO, "terms": ""}[shape]
    found = {prefix + key: prefixed(value, prefix) for key, value in members.items()}
    found |= {"@id": whole["@id"], "@type": prefix + "LogisticsEvent"}
    if shape == "expanded":
        found = {key: value if key.startswith("@") else [value] for key, value in found.items()} | {
            "@type": [CARGO + "LogisticsEvent"]
        }
        return [{key: [{"@value": value[0]}] if key.endswith("eventDate") else value for key, value in found.items()}]
    contexts: dict[str, Any] = {
        "prefix": {"cargo": CARGO},
        "another prefix": ["https://context.example/remote.jsonld", {"c": CARGO}],
        "terms": {
            term: {"@id": CARGO + term} for term in ("eventCode", "eventDate", "eventFor", "eventTimeType", "LogisticsEvent")
        },
    }
    return found | ({"@context": contexts[shape]} if shape in contexts else {})


@pytest.mark.parametrize("shape", ["@vocab", "prefix", "another prefix", "no context", "expanded", "terms"])
def test_the_same_event_in_every_shape(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)  # whoever would fetch a context fails
    content = json.dumps(spelled(shape)).encode()
    (found,) = read_text(content, LH).events

    assert detect(content, "application/ld+json", None) == "one_record"
    assert (found.code, found.milestone, found.occurred_at.hour, references(found)) == (
        "RCF",
        "discharged",
        1,
        [("air_waybill", "020-12345675")],
    )
    assert found.event_id == one().event_id


def test_a_property_of_another_vocabulary_is_not_ours_whatever_its_last_part() -> None:
    context = {"@vocab": CARGO, "x": "https://else.example/ns#"}
    (found,) = events({"x:eventDate": "1990-01-01T00:00:00Z", "x:eventCode": "DLV"} | event(AT_context=context))

    assert (found.code, found.occurred_at.year) == ("RCF", 2020)


OBJECTS: list[tuple[Any, list[tuple[str, str]]]] = [
    ({"@type": "Waybill", "waybillPrefix": "020", "waybillNumber": "12345675"}, [("air_waybill", "020-12345675")]),
    ({"@type": "Shipment", "waybill": {"waybillNumber": "020-12345675"}}, [("air_waybill", "020-12345675")]),
    ({"@id": "https://1r.example/logistics-objects/awb-020-12345675"}, [("air_waybill", "020-12345675")]),
    ({"@id": f"https://1r.example/logistics-objects/{UUID}", "@type": "Shipment"}, [("booking", UUID.upper())]),
    ({"@id": f"urn:uuid:{UUID}"}, [("booking", UUID.upper())]),
    (
        {"@type": "Piece", "ofShipment": {"@type": "Shipment", "@id": f"urn:uuid:{UUID}", "waybill": WAYBILL}},
        [("air_waybill", "020-12345675"), ("booking", UUID.upper())],
    ),
    ({"@type": "ULD", "uldTypeCode": "AKE", "serialNumber": "12345", "ownerCode": {"code": "LH"}}, [("uld", "AKE12345LH")]),
    (
        {"@type": "Waybill", "waybillType": {"@id": CARGO + "HOUSE"}, "waybillNumber": "HBL77", "masterWaybill": WAYBILL},
        [("bill_of_lading", "HBL77"), ("air_waybill", "020-12345675")],
    ),
    (
        [{"@type": "TransportMovement", "transportIdentifier": "LH 0456"}, {"@type": "Shipment", "waybill": WAYBILL}],
        [("air_waybill", "020-12345675")],
    ),
]


@pytest.mark.parametrize(("thing", "hoped"), OBJECTS, ids=lambda value: json.dumps(value)[:60])
def test_what_an_event_is_of(thing: Any, hoped: list[tuple[str, str]]) -> None:
    assert references(one(eventFor=thing)) == hoped
    assert references(one(eventFor=None, linkedObject=thing)) == hoped  # the name of ontology 2


def test_a_number_in_an_identifier_that_fails_its_check_is_no_waybill() -> None:
    thing = {"@id": "https://1r.example/logistics-objects/020-12345676"}

    assert problem(event(eventFor=thing)) == ("no_linking_reference", "")


def test_the_event_of_a_flight_alone_leads_to_no_consignment() -> None:
    assert problem(event(eventFor={"@type": "TransportMovement", "transportIdentifier": "LH456"}))[0] == "no_linking_reference"


@pytest.mark.parametrize("indicator", [True, "true", {"@type": "xsd:boolean", "@value": "true"}, [{"@value": True}]])
def test_a_partial_event_is_of_a_part(indicator: Any) -> None:
    pieces = one(partialEventIndicator=indicator).pieces

    assert pieces is not None and (pieces.part, pieces.this) == ("P", None)


@pytest.mark.parametrize("indicator", [False, "false", None])
def test_another_event_of_a_shipment_is_of_all_of_it(indicator: Any) -> None:
    assert one(partialEventIndicator=indicator).pieces is None


def test_pieces_are_counted() -> None:
    shipment = {"@type": "Shipment", "waybill": WAYBILL}
    things = [{"@type": "Piece", "@id": f"urn:p{n}", "ofShipment": shipment} for n in (1, 2, 3, 3)]
    pieces = one(eventFor=things).pieces

    assert pieces is not None and (pieces.this, pieces.part) == (3, "P")


@pytest.mark.parametrize(
    ("location", "place", "warned"),
    [
        ({"locationCodes": [{"code": "LAX", "codeListName": "IATA"}]}, ("USLAX", "LAX"), []),
        ({"locationCode": "LAX"}, ("USLAX", "LAX"), []),
        ({"locationCodes": {"code": "USLAX"}}, ("USLAX", None), []),
        ({"@id": "https://1r.example/logistics-objects/LAX"}, ("USLAX", "LAX"), ["place_from_id"]),
        ({"@id": "https://1r.example/logistics-objects/4711"}, None, []),
        ({"locationCodes": {"code": "Hall 4"}}, None, ["bad_place"]),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_places(location: Any, place: tuple[str | None, str | None] | None, warned: list[str]) -> None:
    for name in ("eventLocation", "recordedAtLocation"):
        found = one(**{name: location})
        assert (found.place and (found.place.unlocode, found.place.iata)) == place
        assert codes(found) == warned


def test_a_notification_of_something_else_is_named() -> None:
    notification = {
        "@context": {"api": "https://onerecord.iata.org/ns/api#"},
        "@type": "api:Notification",
        "api:hasEventType": {"@id": "api:LOGISTICS_OBJECT_UPDATED"},
        "api:hasLogisticsObject": {"@id": "urn:s"},
    }
    reading = read_text(json.dumps(notification), LH)

    assert [found.code for found in reading.problems] == ["not_a_status_message"]
    assert "LOGISTICS_OBJECT_UPDATED" in reading.problems[0].text


def test_a_notification_whose_event_stands_elsewhere_in_the_message_tells_it_once() -> None:
    notification = {
        "@type": "cargo:Notification",
        "hasLogisticsEvent": {"@id": event()["@id"]},
        "hasLogisticsObject": {"@id": "urn:s"},
    }

    assert [found.code for found in events(notification, event())] == ["RCF"]


def test_an_object_without_events_says_that_it_is_none() -> None:
    shipment = {"@context": {"cargo": CARGO}, "@type": "cargo:Shipment", "@id": "urn:s", "cargo:waybill": {"@id": "urn:w"}}

    assert problem(shipment) == ("not_a_status_message", "")


def test_the_log_of_an_object_holds_its_events() -> None:
    inner = [event(eventFor=None, AT_id=f"urn:e{n}") for n in (1, 2)]
    shipment = {"@context": {"@vocab": CARGO}, "@type": "Shipment", "waybill": WAYBILL, "events": inner}

    assert [(found.raw.position, references(found)) for found in read_text(json.dumps(shipment), LH).events] == [
        ("/events/0", [("air_waybill", "020-12345675")]),
        ("/events/1", [("air_waybill", "020-12345675")]),
    ]


def test_an_event_in_two_messages_is_one_by_its_own_id_else_by_what_it_says() -> None:
    assert one(creationDate="2020-04-01T02:00:00Z").event_id == one(creationDate="2020-04-01T03:00:00Z").event_id
    assert one(AT_id="_:b1").event_id == one(AT_id="_:b2", creationDate="2020-04-01T03:00:00Z").event_id
    assert one(AT_id="_:b1").event_id != one(AT_id="_:b1", eventDate="2020-04-01T02:00:00Z").event_id


@pytest.mark.parametrize(
    ("more", "code", "where"),
    [
        ({"eventTimeType": "MAYBE"}, "bad_value", "/eventTimeType"),
        ({"eventDate": "2020-04-01"}, "bad_time", "/eventDate"),
        ({"eventDate": {"@value": "noon"}}, "bad_time", "/eventDate"),
        ({"eventCode": {"label": "x"}}, "missing_field", "/eventCode"),
        ({"eventDate": "2020-07-01T00:00:00Z"}, "outside_time_fence", ""),
    ],
)
def test_what_cannot_be_read_says_where(more: dict[str, Any], code: str, where: str) -> None:
    assert problem(event(**more)) == (code, where)


def test_circles_of_objects_end() -> None:
    graph = [
        event(eventFor={"@id": "urn:s"}),
        {"@id": "urn:s", "@type": "Shipment", "waybill": {"@id": "urn:w"}, "pieces": [{"@id": "urn:p"}]},
        {"@id": "urn:w", "@type": "Waybill", "waybillType": "HOUSE", "waybillNumber": "H1", "masterWaybill": {"@id": "urn:w"}},
        {"@id": "urn:p", "@type": "Piece", "ofShipment": {"@id": "urn:s"}},
    ]

    assert references(events({"@context": {"@vocab": CARGO}, "@graph": graph})[0]) == [("bill_of_lading", "H1")]


def test_more_events_than_a_message_may_hold_are_refused() -> None:
    assert refused(json.dumps({"@graph": [event()] * 1_001}), LH).code == "too_many_events"


SHIPMENT = {"@id": "urn:s", "@type": "Shipment", "waybill": [WAYBILL] * 500}
BULKS: dict[str, Callable[[int], list[Any]]] = {
    "objects": lambda n: [event(), *[{"@id": f"urn:{i}", "x": {}} for i in range(n)]],
    "pieces": lambda n: [
        SHIPMENT,
        event(eventFor=[{"@id": f"urn:{i}", "@type": "Piece", "ofShipment": {"@id": "urn:s"}} for i in range(n)]),
    ],
    "events of one shipment": lambda n: [
        SHIPMENT,
        *[event(AT_id=f"urn:e{i}", eventFor={"@id": "urn:s"}) for i in range(n // 10)],
    ],
    "stubs": lambda n: [SHIPMENT, *[event(AT_id=f"urn:e{i}", eventFor=[{"@id": "urn:s"}] * 100) for i in range(n // 100)]],
    "contexts": lambda n: [event(), *[{"@context": {"a": CARGO}, "a:b": 1} for _ in range(n)]],
    "a large context": lambda n: [event(AT_context={f"t{i}": CARGO for i in range(n)} | {"@vocab": CARGO})],
}


@pytest.mark.parametrize("name", BULKS)
def test_work_grows_with_the_message(name: str) -> None:
    def work(n: int) -> int:
        items = [Item(f"/{index}", value) for index, value in enumerate(BULKS[name](n))]
        return steps(lambda: one_record.read(items, LH))

    work(100)  # tables are loaded
    assert work(800) < 1.2 * 8 * work(100)


def test_an_airline_that_writes_code_with_a_capital_and_the_prefix_into_the_number() -> None:
    location = {"@type": "cargo:Location", "cargo:locationCodes": {"@type": "cargo:CodeListElement", "cargo:Code": "LAX"}}
    waybill = {
        "@type": "cargo:Waybill",
        "cargo:arrivalLocation": location,
        "cargo:waybillNumber": "020-12345675",
        "cargo:waybillPrefix": "020",
    }
    found = {
        "@type": "cargo:LogisticsEvent",
        "cargo:creationDate": "2020-04-01T11:32:34.003708+08:00",
        "cargo:eventCode": {"@type": "cargo:CodeListElement", "cargo:Code": "RCF", "cargo:codeDescription": "FSU Status Codes"},
        "cargo:eventDate": "2020-04-01T11:00:00+08:00",
        "cargo:eventFor": {
            "@id": f"https://1r.example/logistics-objects/{UUID}",
            "@type": "cargo:LogisticsObject",
            "cargo:waybill": waybill,
        },
        "cargo:eventLocation": {"@type": "cargo:Location"},
        "cargo:eventTimeType": "ACTUAL",
        "cargo:externalReferences": {"@type": "cargo:ExternalReference"},
        "cargo:recordingActor": {"@type": "cargo:Actor"},
        "@context": {"cargo": CARGO},
    }
    (told_once,) = events(found)

    assert (told_once.code, told_once.milestone, told_once.place, codes(told_once)) == ("RCF", "discharged", None, [])
    assert references(told_once) == [("air_waybill", "020-12345675"), ("booking", UUID.upper())]
    assert told_once.destination is not None and told_once.destination.iata == "LAX"
    booked = found | {"cargo:eventCode": "BKD", "cargo:eventTimeType": "SCHEDULED", "cargo:eventDate": None}
    assert problem(booked) == ("no_time", "/cargo:eventDate")


def test_a_server_that_writes_whole_names_and_plain_codes() -> None:
    found = {
        "@type": CARGO + "LogisticsEvent",
        CARGO + "eventCode": "FOH",
        CARGO + "eventDate": {"@type": "http://www.w3.org/2001/XMLSchema#dateTime", "@value": "2020-04-01T08:03:00Z"},
        CARGO + "eventName": "Freight On Hand",
        CARGO + "eventTimeType": "Actual",
        CARGO + "linkedObject": {"@id": "https://1r.example/logistics-objects/ship-020-12345675"},
        CARGO + "recordedAtLocation": {"@id": "https://1r.example/logistics-objects/qsh"},
        CARGO + "recordedBy": {"@id": "https://1r.example/logistics-objects/carrier"},
    }
    (told_once,) = events(found)

    assert (told_once.code, told_once.mapped, told_once.classifier, told_once.place) == ("FOH", True, "actual", None)
    assert references(told_once) == [("air_waybill", "020-12345675")]


def test_a_prefix_that_contradicts_the_number_is_told_and_not_merged() -> None:
    found = one(eventFor={"@type": "Waybill", "waybillPrefix": "160", "waybillNumber": "020-12345675"})

    assert (references(found), codes(found)) == ([("air_waybill", "020-12345675")], ["contradiction"])


def test_the_uuid_of_what_is_no_shipment_stands_for_none() -> None:
    uld = {"@type": "ULD", "@id": f"urn:uuid:{UUID}", "uldTypeCode": "AKE", "serialNumber": "12345", "ownerCode": "LH"}

    assert references(one(eventFor=uld)) == [("uld", "AKE12345LH")]
    assert problem(event(eventFor={"@type": "TransportMovement", "@id": f"urn:uuid:{UUID}"}))[0] == "no_linking_reference"


@pytest.mark.parametrize("turned", [False, True])
def test_an_object_that_stands_twice_counts_as_told_most_fully(turned: bool) -> None:
    less: dict[str, Any] = {"@context": {"@vocab": CARGO}, "@id": "urn:s", "@type": "Shipment"}
    full = less | {"waybill": WAYBILL}
    objects = [less, full] if turned else [full, less]

    assert references(events(event(eventFor={"@id": "urn:s"}), *objects)[0]) == [("air_waybill", "020-12345675")]
