"""Cargo-XML xFSU: statuses of consignments and parts, times of flights, and XML that means harm."""

from __future__ import annotations

import re
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from schemas.shipment_event_v1 import ShipmentEvent
from services.ingest.readers import Registers, Unreadable, detect
from services.ingest.readers.draft import FAULTS_MAX
from tests.unit.readers.helpers import FIXTURES, context_at, expected, read_text, refused, told

AT = "2020-04-01T12:00:00Z"
LH = context_at(AT, "LH")


def test_a_message_gives_exactly_the_events_that_it_says() -> None:
    hoped = expected("xfsu")
    content = (FIXTURES / "xfsu.xml").read_bytes()
    reading = read_text(content, context_at(hoped["received_at"], hoped["sender"]))

    assert reading.standard == "cargo_xml.xfsu"
    for one, two in zip(told(reading), hoped["verdicts"], strict=True):
        assert one == two
    assert not reading.warnings
    assert len({event.event_id for event in reading.events}) == len(reading.events)
    assert read_text(content, context_at(hoped["received_at"], hoped["sender"])) == reading
    later = read_text(content, context_at("2020-04-02T05:00:00Z", "LH", raw_partition=3, raw_offset=9))
    assert [(e.event_id, e.revision) for e in later.events] == [(e.event_id, e.revision) for e in reading.events]


def test_the_sample_of_others(samples: Path) -> None:
    content = (samples / "air" / "xFSU-12-DEP.xml").read_bytes()

    assert told(read_text(content, context_at("2023-10-17T00:00:00Z", "LH", Registers.empty()))) == [
        {
            "position": "line 21 (ReportedStatus 1)",
            "standard": "cargo_xml.xfsu",
            "code": "DEP",
            "milestone": "departed",
            "mapped": True,
            "classifier": "actual",
            "occurred_at": "2023-10-16T16:15:00Z",
            "zone_assumed": False,
            "references": [{"kind": "air_waybill", "value": "020-12345675"}],
            "place": {"unlocode": "FRNCE", "iata": "NCE"},
            "origin": {"unlocode": "DEFRA", "iata": "FRA"},
            "destination": {"unlocode": "USJFK", "iata": "JFK"},
            "mode": "air",
            "pieces": {"this": 10, "total": 10, "part": "T"},
            "warnings": [],
        }
    ]


HEAD = """<StatusMessage><MessageHeaderDocument><IssueDateTime>2020-03-31T09:00:00Z</IssueDateTime></MessageHeaderDocument>
<MasterConsignment><PieceQuantity>20</PieceQuantity><TransportSplitDescription>T</TransportSplitDescription>
<TransportContractDocument><ID>020-12345675</ID></TransportContractDocument>
<OriginLocation><ID>FRA</ID></OriginLocation><FinalDestinationLocation><ID>LAX</ID></FinalDestinationLocation>
"""


def status(code: str, inside: str) -> str:
    """A ReportedStatus with what is in its consignment."""
    return (
        f"<ReportedStatus><ReasonCode>{code}</ReasonCode>"
        f"<AssociatedStatusConsignment>{inside}</AssociatedStatusConsignment></ReportedStatus>"
    )


def movement(inside: str, place: str = "LAX") -> str:
    """A movement at a place."""
    location = f"<SpecifiedLocation><ID>{place}</ID></SpecifiedLocation>" if place else ""
    return f"<SpecifiedLogisticsTransportMovement>{location}{inside}</SpecifiedLogisticsTransportMovement>"


def at(moment: str = "2020-03-31T14:00:00Z", kind: str = "A") -> str:
    """When a status happened."""
    return (
        f"<SpecifiedEvent><OccurrenceDateTime>{moment}</OccurrenceDateTime>"
        f"<DateTimeTypeCode>{kind}</DateTimeTypeCode></SpecifiedEvent>"
    )


def message(*statuses: str, head: str = HEAD) -> str:
    """A whole message."""
    return f"{head}{''.join(statuses)}</MasterConsignment></StatusMessage>"


def events(*statuses: str, head: str = HEAD) -> tuple[ShipmentEvent, ...]:
    reading = read_text(message(*statuses, head=head), LH)
    assert not reading.problems, reading.problems
    return reading.events


def codes(event: ShipmentEvent) -> list[str]:
    return [warning.code for warning in event.warnings]


@pytest.mark.parametrize(
    ("code", "milestone"),
    [
        ("RCS", "received"),
        ("DEP", "departed"),
        ("ARR", "arrived"),
        ("RCF", "discharged"),
        ("CCD", "customs_released"),
        ("NFD", "available"),
        ("DLV", "gate_out"),
        ("DDL", "delivered"),
        *((code, None) for code in ("FOH", "RCT", "PRE", "MAN", "AWR", "AWD", "CRC", "TGC", "TRM", "TFD", "FIW", "FOW")),
        *((code, None) for code in ("DIS",)),
        ("BKD", "booked"),
    ],
)
def test_codes(code: str, milestone: str | None) -> None:
    event = events(status(code, movement(at())))[0]

    assert (event.code, event.milestone, event.mapped, event.classifier) == (code, milestone, True, "actual")
    assert event.occurred_at.isoformat() == "2020-03-31T14:00:00+00:00"
    assert event.pieces is not None and (event.pieces.this, event.pieces.total, event.pieces.part) == (20, 20, "T")


@pytest.mark.parametrize("discrepancy", ["FDCA", "FDAW", "MSCA", "MSAW", "OFLD", "OVCD", "SSPD", "DFLD"])
def test_a_discrepancy_is_part_of_the_code(discrepancy: str) -> None:
    event = events(status("DIS", f"<DiscrepancyDescriptionCode>{discrepancy}</DiscrepancyDescriptionCode>" + movement(at())))[0]

    assert (event.code, event.milestone, event.mapped) == (f"DIS/{discrepancy}", None, True)


def test_a_discrepancy_in_no_map_is_kept_unmapped() -> None:
    event = events(status("DIS", "<DiscrepancyDescriptionCode>WXYZ</DiscrepancyDescriptionCode>" + movement(at())))[0]

    assert (event.code, event.mapped, codes(event)) == ("DIS/WXYZ", False, ["unmapped_code"])


@pytest.mark.parametrize(("kind", "classifier"), [("A", "actual"), ("", "actual"), ("E", "estimated"), ("S", "planned")])
def test_a_status_told_beforehand_is_no_fact(kind: str, classifier: str) -> None:
    event = events(status("RCF", movement(at(kind=kind))))[0]

    assert (event.milestone, event.classifier) == ("discharged", classifier)


def test_an_actual_time_counts_before_a_scheduled_one() -> None:
    found = events(status("RCF", movement(at("2020-03-31T12:00:00Z", "S") + at("2020-03-31T13:00:00Z", "A"))))

    assert [(e.classifier, e.occurred_at.hour) for e in found] == [("actual", 13)]


def test_a_booking_happened_when_it_was_sent_not_when_the_flight_is() -> None:
    found = events(status("BKD", movement(at("2020-04-20T08:00:00Z", "S"), "FRA")))

    assert [(e.milestone, e.classifier, e.occurred_at.isoformat()) for e in found] == [
        ("booked", "actual", "2020-03-31T09:00:00+00:00")
    ]


FLIGHT = (
    "<ID>LH456</ID><DepartureEvent><DepartureOccurrenceDateTime>2020-03-31T08:00:00Z</DepartureOccurrenceDateTime>"
    "<DepartureDateTimeTypeCode>{}</DepartureDateTimeTypeCode>"
    "<OccurrenceDepartureLocation><ID>FRA</ID></OccurrenceDepartureLocation></DepartureEvent>"
)


def test_a_flight_that_left_says_nothing_of_what_was_only_booked_on_it() -> None:
    found = events(
        status("MAN", movement(at() + FLIGHT.format("A"), "FRA")), status("RCF", movement(at() + FLIGHT.format("A")))
    )

    assert [(e.code, e.milestone) for e in found] == [("MAN", None), ("RCF", "discharged"), ("RCF", "departed")]


def test_a_departure_that_is_only_scheduled_is_planned_once() -> None:
    found = events(status("DEP", movement(FLIGHT.format("S"), "")))

    assert [(e.milestone, e.classifier, e.place and e.place.iata) for e in found] == [("departed", "planned", "FRA")]


def test_the_flights_end_counts_where_the_location_beside_it_is_another() -> None:
    event = events(status("DEP", movement(FLIGHT.format("A"), "LAX")))[0]

    assert event.place is not None and event.place.iata == "FRA"
    assert codes(event) == ["places_contradict"]


@pytest.mark.parametrize(
    ("inside", "pieces"),
    [
        ("<PieceQuantity>8</PieceQuantity><TransportSplitDescription>P</TransportSplitDescription>", (8, 20, "P")),
        ("<PieceQuantity>8</PieceQuantity><TransportSplitDescription>S</TransportSplitDescription>", (8, 20, "S")),
        ("<PieceQuantity>8</PieceQuantity><TransportSplitDescription>D</TransportSplitDescription>", (8, 20, "D")),
        ("<PieceQuantity>8</PieceQuantity>", (8, 20, "P")),
        ("<PieceQuantity>20</PieceQuantity>", (20, 20, "T")),
        ("<TransportSplitDescription>P</TransportSplitDescription>", (None, 20, "P")),
        ("", (20, 20, "T")),
    ],
)
def test_pieces(inside: str, pieces: tuple[int | None, int | None, str]) -> None:
    found = events(status("RCF", inside + movement(at())))[0].pieces

    assert found is not None and (found.this, found.total, found.part) == pieces


def test_all_of_fewer_than_there_are_is_a_part() -> None:
    inside = "<PieceQuantity>8</PieceQuantity><TransportSplitDescription>T</TransportSplitDescription>"
    event = events(status("RCF", inside + movement(at())))[0]

    assert event.pieces is not None and (event.pieces.this, event.pieces.part) == (8, "P")
    assert codes(event) == ["pieces_contradict"]


@pytest.mark.parametrize("text", ["many", "-1", "8.5", "999999999999"])
def test_a_quantity_that_is_none_is_not_used(text: str) -> None:
    event = events(status("RCF", f"<PieceQuantity>{text}</PieceQuantity>" + movement(at())))[0]

    assert "bad_quantity" in codes(event)


NAMESPACES = {
    "none": HEAD,
    "of the schema": HEAD.replace("<StatusMessage>", '<StatusMessage xmlns="iata:statusmessage:1">'),
    "of another version": HEAD.replace("<StatusMessage>", '<StatusMessage xmlns="iata:statusmessage:2">'),
    "in SOAP": '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>' + HEAD,
}


@pytest.mark.parametrize("name", NAMESPACES)
def test_a_message_is_known_by_its_element_whatever_the_namespace(name: str) -> None:
    text = message(status("RCF", movement(at())), head=NAMESPACES[name]) + ("</s:Body></s:Envelope>" if "SOAP" in name else "")

    assert detect(text.encode(), None, None) == "cargo_xml.xfsu"
    assert [e.milestone for e in read_text(text, LH).events] == ["discharged"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_the_encoding_is_the_one_that_the_xml_declares(encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    osi = "<HandlingOSIInstructions><Description>KÜHLKETTE</Description></HandlingOSIInstructions>"
    text = f'\n<?xml version="1.0" encoding="{declared}"?>\n'.lstrip() + message(status("RCF", movement(at()) + osi))

    assert [e.reason for e in read_text(text.encode(encoding), LH).events] == ["KÜHLKETTE"]


def test_the_same_status_in_another_message_is_the_same_event() -> None:
    one = events(status("RCF", movement(at())))
    again = events(status("NFD", movement(at())), status("RCF", movement(at())), head=HEAD.replace("T09:00", "T09:30"))

    assert again[1].event_id == one[0].event_id


def test_a_message_of_deletion_withdraws_what_it_repeats() -> None:
    deletion = HEAD.replace("</IssueDateTime>", "</IssueDateTime><PurposeCode>Deletion</PurposeCode>")
    told_once = events(status("DEP", movement(FLIGHT.format("A"), "FRA")))
    withdrawn = events(status("DEP", movement(FLIGHT.format("A"), "FRA")), head=deletion)

    assert [(e.event_id, e.retracted) for e in withdrawn] == [(told_once[0].event_id, True)]


def test_a_message_of_deletion_withdraws_the_estimates_of_the_message_whose_number_it_has() -> None:
    def estimate(number: str, hour: str, purpose: str) -> ShipmentEvent:
        head = HEAD.replace("<IssueDateTime>", f"<ID>{number}</ID><IssueDateTime>").replace("T09:00", f"T{hour}:00")
        head = head.replace("</IssueDateTime>", f"</IssueDateTime><PurposeCode>{purpose}</PurposeCode>")
        (found,) = events(status("RCF", movement(at(kind="E"))), head=head)
        return found

    said, again = estimate("M7", "09", "Creation"), estimate("M8", "10", "Creation")
    withdrawn = estimate("M7", "11", "Deletion")

    assert said.classifier == "estimated"
    assert (withdrawn.event_id, withdrawn.retracted) == (said.event_id, True)
    assert again.event_id != said.event_id
    assert said.revision.at is not None and withdrawn.revision.at is not None and said.revision.at < withdrawn.revision.at


@pytest.mark.parametrize("issued", ["yesterday", "2020-03-31T09:00:00"])
def test_a_deletion_is_one_whatever_its_time_of_issue(issued: str) -> None:
    head = re.sub("(<IssueDateTime>).*?(</IssueDateTime>)", rf"\g<1>{issued}\g<2><PurposeCode>Deletion</PurposeCode>", HEAD)
    (event,) = events(status("RCF", movement(at())), head=head)

    assert event.retracted
    assert codes(event) == ["zone_assumed" if issued[0] == "2" else "bad_time"]


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        (message(status("RCF", movement(at(kind="Z")))), "bad_value", "line 5 (SpecifiedEvent)"),
        (message(status("RCF", movement(at("2020-02-30T10:00:00Z")))), "bad_time", "line 5 (SpecifiedEvent)"),
        (message(status("RCF", movement(""))), "no_time", "line 5 (ReportedStatus 1)"),
        (message(status("", movement(at()))), "missing_field", "line 5 (ReportedStatus 1)"),
        (message(), "no_status", "line 2"),
        ("\n\n" + message(), "no_status", "line 4"),
        ("<StatusMessage/>", "no_status", "line 1"),
        (
            message(status("RCF", movement(at())), head=HEAD.replace("020-12345675", "")),
            "no_air_waybill",
            "line 5 (ReportedStatus 1)",
        ),
        (message(status("RCF", movement(at("2020-07-01T10:00:00Z")))), "outside_time_fence", "line 5 (ReportedStatus 1)"),
    ],
)
def test_what_cannot_be_read_says_where(text: str, code: str, where: str) -> None:
    assert [(found.code, found.where) for found in read_text(text, LH).problems] == [(code, where)]


def test_all_that_is_wrong_with_a_status_is_told_at_once() -> None:
    flight = FLIGHT.format("Q").replace("T08:00:00Z", "") + "\n" + FLIGHT.format("S").replace("-03-31", "-13-31")
    head = HEAD.replace("020-12345675", "none")
    reading = read_text(message(status("", movement("\n" + at("2020-02-30T10:00:00Z", "Z") + "\n" + flight)), head=head), LH)

    (found,) = reading.problems
    assert [(one.code, one.where) for one in found.every] == [
        ("no_air_waybill", "line 5 (ReportedStatus 1)"),
        ("missing_field", "line 5 (ReportedStatus 1)"),
        ("bad_value", "line 6 (SpecifiedEvent)"),
        ("bad_time", "line 6 (SpecifiedEvent)"),
        ("bad_value", "line 7 (DepartureEvent)"),
        ("bad_time", "line 7 (DepartureEvent)"),
        ("bad_time", "line 8 (DepartureEvent)"),
    ]


def test_more_mistakes_than_anyone_reads_are_cut() -> None:
    times = "".join(at(f"2020-02-{day}T10:00:00Z", "Q") + FLIGHT.format(day) + "\n" for day in range(30, 90))
    (found,) = read_text(message(status("", movement(times) * 3)), LH).problems

    assert len(found.every) == FAULTS_MAX


def test_a_bad_status_costs_only_itself() -> None:
    reading = read_text(message(status("RCF", movement("")), status("NFD", movement(at()))), LH)

    assert [verdict.event.code if verdict.event else "-" for verdict in reading.verdicts] == ["-", "NFD"]


def test_a_problem_holds_its_own_bytes() -> None:
    first = status("RCF", movement(at(kind="Z")) + "<Ü/>")
    reading = read_text(message(first, status("NFD", movement(at()))), LH)

    assert [found.payload.decode() for found in reading.problems] == [
        first.partition("</ReasonCode>")[2].rpartition("</AssociatedStatusConsignment>")[0]
    ]


def test_bad_times_of_the_flight_cost_only_themselves() -> None:
    bad, worse = FLIGHT.format("A").replace("T08:00:00Z", ""), FLIGHT.format("Q")
    found = read_text(message(status("RCF", movement(at() + bad + worse + FLIGHT.format("S")))), LH)

    assert [(event.code, event.milestone, event.classifier) for event in found.events] == [
        ("RCF", "discharged", "actual"),
        ("RCF", "departed", "planned"),
    ]
    (problem,) = found.problems
    assert found.verdicts[-1].problem == problem
    assert [one.code for one in problem.every] == ["bad_time", "bad_value"]


BOMB = (
    '<!DOCTYPE s [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]>"
)


@pytest.mark.parametrize(
    ("text", "code", "name"),
    [
        (BOMB + message(status("RCF", "&j;")), "forbidden_xml", "DOCTYPE"),
        ('<!DOCTYPE s SYSTEM "file:///etc/hostname"><StatusMessage/>', "forbidden_xml", "DOCTYPE"),
        (
            '<!DOCTYPE s [<!ENTITY x SYSTEM "http://127.0.0.1:1/x">]><StatusMessage>&x;</StatusMessage>',
            "forbidden_xml",
            "DOCTYPE",
        ),
        ("<StatusMessage>&x;</StatusMessage>", "not_xml", "entity"),
        ("<StatusMessage>" + "<a>" * 100, "too_deep", "32"),
        ("<StatusMessage><a></StatusMessage>", "not_xml", "mismatched"),
        ('<?xml version="1.0" encoding="shift_jis"?><StatusMessage/>', "bad_encoding", "UTF-8"),
        ('<?xml version="1.0" encoding="nonsense"?><StatusMessage/>', "bad_encoding", "UTF-8"),
        ('<Waybill xmlns="iata:waybill:1"/>', "not_a_status_message", "Waybill"),
        ("<StatusMessage>" + "<MasterConsignment/>" * 60_000 + "</StatusMessage>", "too_many_values", "50000"),
        ("<StatusMessage>" + " " * 5_000_000 + "</StatusMessage>", "too_large", "bytes"),
        (message(*[status("RCF", movement(at()))] * 1_001), "too_many_events", "1000"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_xml_that_means_harm_or_nothing_is_refused(text: str, code: str, name: str) -> None:
    error = refused(text, LH)

    assert error.code == code
    assert name in error.text


@pytest.mark.parametrize(
    "piece", ["<a/>", "x", "&#65;", "<ReportedStatus><ReasonCode>RCF</ReasonCode></ReportedStatus>", "<b c='d'/>", "<!-- x -->"]
)
def test_memory_stays_in_proportion_to_the_message(piece: str) -> None:
    content = (
        f"<StatusMessage><MasterConsignment>{piece * (300_000 // len(piece))}</MasterConsignment></StatusMessage>".encode()
    )
    tracemalloc.start()
    try:
        read_text(content, LH)
    except Unreadable:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 20 * len(content)


def steps(work: Callable[[], object]) -> int:
    """How many instructions of ours a piece of work takes: loops count, seconds do not."""
    count = 0

    def counted(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return counted

    sys.settrace(counted)
    try:
        work()
    except Unreadable:
        pass
    finally:
        sys.settrace(None)
    return count


TIMES = "<DepartureEvent><ScheduledOccurrenceDateTime>2020-03-31T08:00:00Z</ScheduledOccurrenceDateTime></DepartureEvent>"
BULKS: dict[str, Callable[[int], str]] = {
    "empty elements": lambda n: message("<a/>" * n),
    "text": lambda n: message(status("RCF", movement(at()) + "<b>" + "x&#65;" * n + "</b>")),
    "times": lambda n: message(status("DEP", movement(at() + TIMES * n))),
    "movements": lambda n: message(status("DEP", movement(TIMES) * n)),
    "units": lambda n: message(status("DEP", movement(at() + TIMES) + "<UtilizedUnitLoadTransportEquipment/>" * n)),
    "statuses beside much else": lambda n: message(
        "<SpecifiedLocation/>" * n + status("RCF", movement(at())) * (n // 20),
        head=HEAD.replace("OriginLocation", "NoLocation").replace("FinalDestinationLocation", "NoLocation"),
    ),
    "parts that are bad": lambda n: message(
        f"<ReportedStatus><ReasonCode>X</ReasonCode>{'<AssociatedStatusConsignment/>' * (n // 10)}</ReportedStatus>"
    ),
}


@pytest.mark.parametrize("name", BULKS)
def test_work_grows_with_the_message(name: str) -> None:
    def work(n: int) -> int:
        content = BULKS[name](n).encode()
        return steps(lambda: read_text(content, LH))

    work(100)  # tables are loaded
    assert work(800) < 1.2 * 8 * work(100)


def test_what_was_offloaded_is_not_on_its_flight() -> None:
    found = events(
        status("DIS", "<DiscrepancyDescriptionCode>OFLD</DiscrepancyDescriptionCode>" + movement(at() + FLIGHT.format("E")))
    )

    assert [(e.code, e.milestone) for e in found] == [("DIS/OFLD", None)]


def test_pieces_of_a_part_of_the_waybill_are_no_total() -> None:
    part = HEAD.replace(">20<", ">8<").replace(">T<", ">P<")
    inside = "<PieceQuantity>4</PieceQuantity><TransportSplitDescription>P</TransportSplitDescription>"
    pieces = events(status("RCF", inside + movement(at())), head=part)[0].pieces

    assert pieces is not None and (pieces.this, pieces.total, pieces.part) == (4, None, "P")
