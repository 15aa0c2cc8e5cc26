"""Cargo-IMP FSU and FSA: its shapes, years without a year, and codes to milestones (docs/standards/cargo_imp.md)."""

from __future__ import annotations

import pytest

from schemas.registers_v1 import Sender
from schemas.shipment_event_v1 import ShipmentEvent
from services.ingest.readers import Registers
from tests.unit.readers.helpers import FIXTURES, context_at, expected, read_text, refused, told

AT = "2020-04-01T12:00:00Z"
HEAD = "FSU/14\n020-12345675FRALAX/T20K240\n"


def events(lines: str, at: str = AT) -> tuple[ShipmentEvent, ...]:
    reading = read_text(HEAD + lines, context_at(at, "LH"))
    assert not reading.problems, reading.problems
    return reading.events


@pytest.mark.parametrize(
    ("line", "milestone"),
    [
        ("BKD/LH456/31MAR/FRALAX/T20", "booked"),
        ("RCS/31MAR0900/FRA/T20K240/ACME", "received"),
        ("DEP/LH456/31MAR/FRALAX/T20/A1000", "departed"),
        ("ARR/LH456/31MAR1230/LAX/T20", "arrived"),
        ("RCF/LH456/31MAR1400/LAX/T20", "discharged"),
        ("CCD/31MAR1500/LAX/T20", "customs_released"),
        ("NFD/31MAR1600/LAX/T20/ACME", "available"),
        ("DLV/31MAR1700/LAX/T20/J SMITH", "gate_out"),
        ("DDL/31MAR2000/LAX/T20", "delivered"),
        ("FOH/31MAR0800/FRA/T20", None),
        ("RCT/UA/31MAR0900/LAX/T20", None),
        ("PRE/LH456/31MAR/FRALAX/T20", None),
        ("MAN/LH456/31MAR/FRALAX/T20", None),
        ("AWR/LH456/31MAR1200/LAX/T20", None),
        ("AWD/31MAR1600/LAX/T20/ACME", None),
        ("CRC/31MAR1400/LAX/T20", None),
        ("TGC/31MAR1400/LAX/T20", None),
        ("TRM/UA/LAX/T20", None),
        ("TFD/UA/31MAR1400/LAX/T20", None),
        ("FIW/31MAR1400/LAX/T20", None),
        ("FOW/31MAR1400/LAX/T20", None),
        ("DIS/LH456/31MAR1015/FRA/MSCA/T20", None),
    ],
)
def test_codes(line: str, milestone: str | None) -> None:
    event = events(line)[0]

    assert (event.milestone, event.mapped, event.classifier) == (milestone, True, "actual")
    assert [(ref.kind, ref.value) for ref in event.references] == [("air_waybill", "020-12345675")]
    assert event.pieces is not None and (event.pieces.this, event.pieces.total) == (20, 20)


@pytest.mark.parametrize("name", ["fsu", "fsu_split"])
def test_a_message_gives_exactly_the_events_that_it_says(name: str) -> None:
    hoped = expected(name)
    reading = read_text((FIXTURES / f"{name}.txt").read_bytes(), context_at(hoped["received_at"], hoped["sender"]))

    for got, want in zip(told(reading), hoped["verdicts"], strict=True):
        assert got == want
    assert not reading.warnings
    assert len({event.event_id for event in reading.events}) == len(reading.events)


def test_customs_holds_and_releases() -> None:
    holds = [event.hold for event in events("TGC/31MAR1400/LAX/T20\nCCD/31MAR1500/LAX/T20")]

    assert [hold and (hold.kind, hold.state) for hold in holds] == [("customs", "placed"), ("customs", "released")]


@pytest.mark.parametrize(
    ("received", "line", "moment"),
    [
        ("2020-01-01T09:00:00Z", "NFD/31DEC2300/LAX/T20", "2019-12-31T23:00:00-08:00"),
        ("2019-12-31T23:00:00Z", "NFD/01JAN0500/FRA/T20", "2020-01-01T05:00:00+01:00"),
        ("2020-03-02T00:00:00Z", "NFD/29FEB1000/LAX/T20", "2020-02-29T10:00:00-08:00"),
        ("2020-07-01T00:00:00Z", "NFD/30JUN1000/LAX/T20", "2020-06-30T10:00:00-07:00"),
        ("2020-07-01T00:00:00Z", "NFD/30JUN2400/HKG/T20", "2020-07-01T00:00:00+08:00"),
        # what happened lies behind its receipt, however long ago; what is expected is the nearest
        ("2020-10-20T12:00:00Z", "NFD/01MAR1000/LAX/T20", "2020-03-01T10:00:00-08:00"),
        ("2020-10-20T12:00:00Z", "NFD/22NOV1000/LAX/T20", "2019-11-22T10:00:00-08:00"),
        ("2020-10-20T12:00:00Z", "NFD/21OCT0500/HKG/T20", "2020-10-21T05:00:00+08:00"),
        ("2020-10-20T12:00:00Z", "DEP/LH456/01MAR/FRALAX/T20/E1000", "2021-03-01T10:00:00+01:00"),
    ],
)
def test_the_year_is_the_one_nearest_to_the_receipt(received: str, line: str, moment: str) -> None:
    assert events(line, received)[0].occurred_at.isoformat() == moment


def test_a_day_change_moves_the_time_not_the_flight() -> None:
    found = events("DEP/LH456/31MAR/FRALAX/T20/A2350/E0130-N")

    assert [(e.milestone, e.classifier, e.occurred_at.isoformat()) for e in found] == [
        ("departed", "actual", "2020-03-31T23:50:00+02:00"),
        ("arrived", "estimated", "2020-04-01T01:30:00-07:00"),
    ]


@pytest.mark.parametrize(
    ("line", "told_of"),
    [
        ("DEP/LH456/31MAR/FRALAX/T20/S1000", ["DEP departed planned 31T10:00"]),
        (
            "DEP/LH456/02APR/FRALAX/T20/E1012/E1430",
            ["DEP departed estimated 02T10:12", "DEP arrived estimated 02T14:30"],
        ),
        (
            "DEP/LH456/31MAR1055/FRALAX/T20/S1012",
            ["DEP departed actual 31T10:55", "DEP departed planned 31T10:12"],
        ),
        ("ARR/LH456/31MAR/LAX/T20/E1430", ["ARR arrived estimated 31T14:30"]),
        (
            "ARR/LH456/31MAR/LAX/T20/S1400/E1430",
            ["ARR arrived estimated 31T14:30", "ARR arrived planned 31T14:00"],
        ),
        (
            "ARR/LH456/31MAR1425/LAX/T20/S1400",
            ["ARR arrived actual 31T14:25", "ARR arrived planned 31T14:00"],
        ),
        (
            "RCF/LH456/31MAR/LAX/T20/E1430",
            ["RCF discharged estimated 31T14:30", "RCF arrived estimated 31T14:30"],
        ),
        (
            "RCF/LH456/31MAR1500/LAX/T20/A1430",
            ["RCF discharged actual 31T15:00", "RCF arrived actual 31T14:30"],
        ),
        ("DLV/31MAR/LAX/T20/E1430", ["DLV gate_out estimated 31T14:30"]),
    ],
)
def test_a_scheduled_or_estimated_time_is_no_fact_and_a_stated_one_is(line: str, told_of: list[str]) -> None:
    found = [f"{e.code} {e.milestone} {e.classifier} {e.occurred_at.isoformat()[8:16]}" for e in events(line)]

    assert found == told_of
    assert all(codes_of(event) == [] for event in events(line))


def test_the_time_beside_a_booked_flights_date_is_the_flights() -> None:
    (event,) = events("BKD/LH456/20APR1012/FRALAX/T20")

    assert (event.milestone, event.classifier, event.occurred_at.isoformat()) == (
        "booked",
        "actual",
        "2020-04-01T12:00:00+00:00",
    )
    assert codes_of(event) == ["time_not_used", "time_of_receipt"]


def test_times_that_contradict_or_belong_to_nothing_are_told() -> None:
    (departed,) = events("DEP/LH456/31MAR1055/FRALAX/T20/A1012")
    (delivered,) = events("DLV/31MAR1500/LAX/T20/S1400")

    assert (departed.occurred_at.isoformat(), codes_of(departed)) == ("2020-03-31T10:12:00+02:00", ["times_contradict"])
    assert (delivered.occurred_at.isoformat(), codes_of(delivered)) == ("2020-03-31T15:00:00-07:00", ["time_not_used"])


def test_a_booking_far_ahead_is_booked_now_and_planned_then() -> None:
    found = events("BKD/LH456/20APR/FRALAX/T20/S1000")

    assert [(e.milestone, e.classifier, e.occurred_at.isoformat()) for e in found] == [
        ("booked", "actual", "2020-04-01T12:00:00+00:00"),
        ("departed", "planned", "2020-04-20T10:00:00+02:00"),
    ]
    assert [warning.code for warning in found[0].warnings] == ["time_of_receipt"]


def test_a_booking_that_says_when_it_was_made_was_made_then() -> None:
    assert events("BKD/31MAR0917/FRA/ACME")[0].occurred_at.isoformat() == "2020-03-31T09:17:00+02:00"


@pytest.mark.parametrize(
    ("line", "this", "total", "part"),
    [
        ("P8", 8, 20, "P"),
        ("P8T20", 8, 20, "P"),
        ("S5K60.5", 5, 20, "S"),
        ("D2T9", 2, 9, "D"),
        ("M3", 3, 20, "M"),
        ("T20K240", 20, 20, "T"),
        ("P8K96MC1.25DG7T20", 8, 20, "P"),
        ("P8L200CF12.5T20", 8, 20, "P"),
    ],
)
def test_pieces(line: str, this: int, total: int, part: str) -> None:
    pieces = events(f"RCF/LH456/31MAR1400/LAX/{line}")[0].pieces

    assert pieces is not None and (pieces.this, pieces.total, pieces.part) == (this, total, part)


def test_a_discrepancy_names_its_code_and_its_remark() -> None:
    event = events("DIS/LH456/31MAR1015/FRA/OFLD/P12\nOSI/NO SPACE LEFT")[0]

    assert (event.code, event.reason) == ("DIS/OFLD", "NO SPACE LEFT")


def test_units_belong_to_the_line_before_them() -> None:
    found = events("RCF/LH456/31MAR1400/LAX/P8\nULD/AKE12345LH/PMC54321LH\nNFD/31MAR1600/LAX/T20")

    assert [[ref.value for ref in e.references if ref.kind == "uld"] for e in found] == [["AKE12345LH", "PMC54321LH"], []]


def test_the_airline_that_takes_over_is_named() -> None:
    transport = events("TFD/UA/31MAR1400/LAX/T20")[0].transport

    assert transport is not None and transport.next_carrier == "UA"


LINES = "020-12345675FRALAX/T20K240\r\nDLV/31MAR1700/LAX/T20/J SMITH MD\r\n"
SLOPPY = {
    "CRLF": "FSU/14\r\n" + LINES,
    "LF": "FSU/14\r\n" + LINES.replace("\r", ""),
    "all on one line": "FSU/14 020-12345675FRALAX/T20K240 DLV/31MAR1700/LAX/T20/J SMITH MD",
    "answer": "FSA/15\r\n" + LINES,
    "start of text": "\x01\x02FSU/14\r\n" + LINES + "\x03",
    "continued": "FSU/14\r\n" + LINES.replace("/J SMITH", "\r\n/J SMITH"),
    "UNB around": "UNB+IATA:1+A+B+200331:1700+1\r\nFSU/14\r\n" + LINES + "UNZ+1+1\r\n",
    "no hyphen": "FSU/14\r\n" + LINES.replace("020-", "020"),
    "teletype": "\x01QD LAXLVXH SFOLVXH\r\nJFKLVXH\r\n.FRAFMLH 311800/REF77 LH\r\n\x02FSU/14\r\n" + LINES + "\x03\r\nNNNN\r\n",
    "customs lines": "FSU/14\r\n" + LINES + "OCI/US/IMP/M/X\r\n",
}


@pytest.mark.parametrize("name", SLOPPY)
def test_a_sloppy_message_says_the_same_as_a_clean_one(name: str) -> None:
    reading = read_text(SLOPPY[name], context_at(AT, "LH"))

    assert not reading.problems and not reading.warnings
    event = reading.events[0]
    assert (event.milestone, event.occurred_at.isoformat()) == ("gate_out", "2020-03-31T17:00:00-07:00")
    assert [ref.value for ref in event.references] == ["020-12345675"]


def test_the_envelopes_time_is_utc_and_belongs_to_the_message_after_it() -> None:
    text = (
        f"QD LAXLVXH\r\n.FRAFMLH 312330\r\nFSU/14\r\n{LINES}QD LAXLVXH\r\n.FRAFMLH 010015\r\nFSU/14\r\n{LINES}FSU/14\r\n{LINES}"
    )
    created = [e.created_at and e.created_at.isoformat() for e in read_text(text, context_at(AT, "LH")).events]

    assert created == ["2020-03-31T23:30:00+00:00", "2020-04-01T00:15:00+00:00", None]


def test_junk_before_the_message_is_told() -> None:
    reading = read_text("Dear all, see below\r\nFSU/14\r\n" + LINES, context_at(AT, "LH"))

    assert [(w.code, w.where) for w in reading.warnings] == [("junk_before", "line 2")]
    assert len(reading.events) == 1


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("FSU/14\nDLV/31MAR1700/LAX/T20", "no_air_waybill", "line 2"),
        (HEAD + "DLV/31XXX1700/LAX", "bad_time", "line 3"),
        (HEAD + "DLV/31MAR2570/LAX", "bad_time", "line 3"),
        (HEAD + "DLV/30FEB1000/LAX", "bad_time", "line 3"),
        (HEAD + "DEP/LH456/31MAR/FRALAX/T20/A1000-X", "bad_time", "line 3"),
        (HEAD + "DLV/LAX/T20", "no_time", "line 3"),
        (HEAD + "WHAT IS THIS", "unknown_line", "line 3"),
        (HEAD + "X" * 1001, "line_too_long", "line 3"),
        (HEAD, "no_status", "line 2"),
        (HEAD + "DLV/15APR1000/LAX", "outside_time_fence", "line 3"),
    ],
)
def test_what_cannot_be_read_says_where(text: str, code: str, where: str) -> None:
    found = read_text(text, context_at(AT, "LH")).problems[0]

    assert (found.code, found.where) == (code, where)


def test_a_bad_line_costs_only_itself() -> None:
    reading = read_text(HEAD + "NFD/31MAR1600/LAX\nRUBBISH\nDLV/31MAR1700/LAX", context_at(AT, "LH"))

    assert [v.event.code if v.event else v.problem.code if v.problem else "" for v in reading.verdicts] == [
        "NFD",
        "unknown_line",
        "DLV",
    ]


def test_an_air_waybill_with_a_wrong_check_digit_is_kept() -> None:
    event = read_text("FSU/14\n020-12345676FRALAX/T1\nDLV/31MAR1700/LAX", context_at(AT, "LH")).events[0]

    assert event.references[0].value == "020-12345676"
    assert "bad_check_digit" in [warning.code for warning in event.warnings]


def test_a_text_without_fsu_is_no_cargo_imp() -> None:
    assert refused("HELLO", context_at(AT), "cargo_imp.fsu").code == "unknown_format"


def codes_of(event: ShipmentEvent) -> list[str]:
    return [warning.code for warning in event.warnings if warning.code != "zone_assumed"]


@pytest.mark.parametrize(
    ("field", "warning"), [("T8", "pieces_contradict"), ("P8WHAT", "bad_quantity"), ("T8K9-1", "pieces_contradict")]
)
def test_a_quantity_that_contradicts_or_is_damaged_counts_for_no_more_than_it_says(field: str, warning: str) -> None:
    event = events(f"RCF/LH456/31MAR1400/LAX/{field}")[0]

    assert event.pieces is not None and (event.pieces.this, event.pieces.total, event.pieces.part) == (8, 20, "P")
    assert warning in codes_of(event)


def test_a_part_of_a_waybill_that_names_only_a_part_is_that_part() -> None:
    reading = read_text("FSU/14\n020-12345675FRALAX/P8K96T20\nRCF/LH456/31MAR1400/LAX", context_at(AT, "LH"))
    pieces = reading.events[0].pieces

    assert pieces is not None and (pieces.this, pieces.total, pieces.part) == (8, 20, "P")


@pytest.mark.parametrize("code", ["FDCA", "FDAW", "MSCA", "MSAW", "OFLD", "OVCD", "SSPD", "DFLD"])
def test_every_discrepancy_of_the_standard_is_known(code: str) -> None:
    event = events(f"DIS/LH456/31MAR1015/FRA/{code}/T20")[0]

    assert (event.code, event.milestone, event.mapped) == (f"DIS/{code}", None, True)


@pytest.mark.parametrize(
    ("letter", "moment"),
    [("", "31T01:30"), ("-P", "30T01:30"), ("-N", "01T01:30"), ("-S", "02T01:30"), ("-T", "03T01:30")],
)
def test_every_change_of_day(letter: str, moment: str) -> None:
    arrival = events(f"DEP/LH456/31MAR/FRALAX/T20/A2350/E0130{letter}")[1]
    received = events(f"ARR/LH456/31MAR0130{letter}/LAX/T20", "2020-04-02T12:00:00Z")[0]

    assert (arrival.milestone, arrival.classifier, arrival.occurred_at.isoformat()[8:16]) == ("arrived", "estimated", moment)
    assert (received.milestone, received.classifier, received.occurred_at.isoformat()[8:16]) == ("arrived", "actual", moment)


@pytest.mark.parametrize(("mark", "classifier"), [("S", "planned"), ("E", "estimated"), ("A", "actual")])
def test_every_time_mark_of_an_arrival(mark: str, classifier: str) -> None:
    (arrived,) = events(f"ARR/LH456/31MAR/LAX/T20/{mark}1230")
    departed, expected_there = events(f"DEP/LH456/31MAR/FRALAX/T20/A1000/{mark}1230")

    for event in (arrived, expected_there):
        assert (event.milestone, event.classifier, event.occurred_at.isoformat()) == (
            "arrived",
            classifier,
            "2020-03-31T12:30:00-07:00",
        )
    assert (departed.milestone, departed.classifier) == ("departed", "actual")


@pytest.mark.parametrize(("mark", "hoped"), [("S", "planned"), ("E", "estimated"), ("A", None)])
def test_what_was_only_manifested_did_not_arrive(mark: str, hoped: str | None) -> None:
    found = events(f"MAN/LH456/31MAR/FRALAX/T20/S1000/{mark}1230")

    assert [(e.milestone, e.classifier) for e in found] == [
        (None, "actual"),
        ("departed", "planned"),
        *([("arrived", hoped)] if hoped else []),
    ]


@pytest.mark.parametrize(
    ("text", "hoped"),
    [
        (
            "020-12345675FRALAX/T20K240 RCS/31MAR0900/FRA/T20\nDEP/LH456/31MAR/FRALAX/T20/A1012",
            ["2 RCS 31T09:00", "3 DEP 31T10:12"],
        ),
        (
            "020-12345675FRALAX/T20\nRCS/31MAR0900/FRA/T20K240 DEP/LH456/31MAR/FRALAX/T20/A1012 RCF/LH456/31MAR1400/LAX/T20",
            ["3 RCS 31T09:00", "3 DEP 31T10:12", "3 RCF 31T14:00"],
        ),
        ("020-12345675FRALAX/T20\nRCS/31MAR0900/FRA FOH/31MAR0800/FRA", ["3 RCS 31T09:00", "3 FOH 31T08:00"]),
        ("020-12345675FRALAX/T20 RCS/31MAR0900\n/FRA/T20 FOH/31MAR0800/FRA", ["2 RCS 31T09:00", "3 FOH 31T08:00"]),
        (
            "020-12345675FRALAX/T20\nRCF/LH456/31MAR1400/LAX/T20 ULD/AKE12345LH NFD/31MAR1500/LAX",
            ["3 RCF 31T14:00 AKE12345LH", "3 NFD 31T15:00"],
        ),
        ("020-12345675FRALAX/T20\nDLV/31MAR1700/LAX/T20 OSI/SEE T20 NFD/31MAR1500/LAX", ["3 DLV 31T17:00"]),
    ],
)
def test_a_status_that_lost_the_end_of_its_line_is_read(text: str, hoped: list[str]) -> None:
    reading = read_text(f"FSU/14\n{text}\n", context_at(AT, "LH"))

    assert not reading.problems
    assert hoped == [
        " ".join(
            [
                event.raw.position.removeprefix("line "),
                event.code,
                event.occurred_at.isoformat()[8:16],
                *(reference.value for reference in event.references if reference.kind == "uld"),
            ]
        )
        for event in reading.events
    ]
    assert all(codes_of(event) == [] for event in reading.events)


def test_what_may_be_a_status_or_a_text_is_told_and_not_read() -> None:
    (event,) = events("NFD/31MAR1600/LAX/T20/ACME SEE DLV/31MAR1500/LAX/T20")

    assert (event.code, codes_of(event)) == ("NFD", ["text_not_used"])
    assert "DLV/31MAR1500" in event.warnings[0].text


def test_a_time_mark_that_is_damaged_is_told() -> None:
    (event,) = events("DEP/LH456/31MAR/FRALAX/T20/A1012A1430")

    assert codes_of(event) == ["time_not_used", "time_missing"]


def test_a_text_that_names_a_status_is_a_text() -> None:
    found = events("RCF/LH456/31MAR1400/LAX/T20\nOSI/PLS SEE DLV/31MAR1500/LAX/T20\nNFD/31MAR1500/LAX/T20/ACME LTD/ROOM 5")

    assert [(e.code, e.reason) for e in found] == [("RCF", "PLS SEE DLV/31MAR1500/LAX/T20"), ("NFD", None)]


def test_a_text_before_the_first_status_is_of_all_that_have_none_of_their_own() -> None:
    found = events("OSI/KEEP COOL\nRCF/LH456/31MAR1400/LAX\nNFD/31MAR1500/LAX\nOSI/CALL FIRST")

    assert [(e.code, e.reason) for e in found] == [("RCF", "KEEP COOL"), ("NFD", "CALL FIRST")]


def test_customs_lines_of_any_length_move_nothing_and_hide_nothing() -> None:
    customs = "OCI" + "".join(f"/US/IMP/M/{number:020}\n" for number in range(100))
    found = events(f"RCF/LH456/31MAR1400/LAX\n{customs}NFD/31MAR1500/LAX")

    assert [e.code for e in found] == ["RCF", "NFD"]


@pytest.mark.parametrize(
    ("unit", "hoped"),
    [("AKE12345LH", ["AKE12345LH"]), ("AKE12345LH-MC", ["AKE12345LH"]), ("AKE 12345 LH", ["AKE12345LH"]), ("NOT A ULD", [])],
)
def test_units(unit: str, hoped: list[str]) -> None:
    event = events(f"RCF/LH456/31MAR1400/LAX\nULD/{unit}")[0]

    assert [ref.value for ref in event.references if ref.kind == "uld"] == hoped
    assert codes_of(event) == ([] if hoped else ["bad_reference"])


def test_a_number_that_is_too_long_is_not_cut_to_a_waybill() -> None:
    reading = read_text("FSU/14\n020-123456755FRALAX/T20\nDLV/31MAR1700/LAX", context_at(AT, "LH"))

    assert not reading.events
    assert {problem.code for problem in reading.problems} == {"no_air_waybill"}


@pytest.mark.parametrize("name", ["FWB/16", "FHL/4", "FFM/8", "FNA/1", "FSR/2"])
def test_another_message_of_cargo_imp_is_named(name: str) -> None:
    error = refused(f"QD LAXLVXH\r\n.FRAFMLH 312330\r\n{name}\r\n020-12345675FRALAX/T20K240\r\n", context_at(AT))

    assert (error.code, error.where) == ("not_a_status_message", "line 3")
    assert name[:3] in error.text


def test_two_messages_each_in_an_envelope_of_blocks() -> None:
    block = "=HEADER\nRCV,2020/03/31 23:31\n=PRIORITY\nQD\n=DESTINATION TYPE B\nSTX,LAXLVXH\n=ORIGIN\nFRAFMLH\n"
    block += "=MSGID\n{}\n=SMI\nFSU\n=TEXT\n"
    text = f"{block.format('312330')}FSU/14\n{LINES}{block.format('010015')}FSU/14\n{LINES}"
    reading = read_text(text, context_at(AT, "LH"))

    assert not reading.problems and not reading.warnings
    assert [e.created_at and e.created_at.isoformat() for e in reading.events] == [
        "2020-03-31T23:30:00+00:00",
        "2020-04-01T00:15:00+00:00",
    ]


def test_a_waybills_line_that_names_a_part_is_no_total() -> None:
    reading = read_text("FSU/14\n020-12345675FRALAX/P8K96\nRCF/LH456/31MAR1400/LAX/P4", context_at(AT, "LH"))
    pieces = reading.events[0].pieces

    assert pieces is not None and (pieces.this, pieces.total, pieces.part) == (4, None, "P")


AIRLINES = Registers.of(
    [
        Sender(code="LH", kind="airline", name="Lufthansa", iata="LH"),
        Sender(code="UA", kind="airline", name="United", iata="UA"),
    ],
    [],
)


def in_edifact(sender: str) -> str:
    fsu = f"{HEAD}RCS/31MAR0900/FRA/T20K240\n"
    return f"UNB+UNOA:2+{sender}+LOVLA+200401:0820+1'UNH+1+CIMFSU:14:1:IA'\n{fsu}UNT+3+1'UNZ+1+1'\n"


def test_an_interchange_of_another_registered_sender_is_refused_as_of_any_standard() -> None:
    reading = read_text(in_edifact("LH") + in_edifact("UA:ZZ") + in_edifact("LH"), context_at(AT, "LH", registers=AIRLINES))

    assert [event.milestone for event in reading.events] == ["received", "received"]
    assert [(wrong.code, wrong.where) for wrong in reading.problems] == [("foreign_interchange", "line 6")]
    assert "UA" in reading.problems[0].text and not reading.warnings


def test_an_interchange_of_nobody_known_is_a_warning_and_no_envelope_says_nothing() -> None:
    reading = read_text(in_edifact("SITAX"), context_at(AT, "LH", registers=AIRLINES))
    assert len(reading.events) == 1
    assert [(warning.code, warning.where) for warning in reading.warnings] == [("unknown_interchange_sender", "line 1")]

    bare = read_text(f"{HEAD}RCS/31MAR0900/FRA/T20K240\n", context_at(AT, "LH", registers=AIRLINES))
    assert len(bare.events) == 1 and not bare.warnings


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        (
            "DEP/LH456/30FEB2570-X/FRALAX/T20/S2400/E9999-Q",
            [
                "2570 is not a time of day",
                "-X is no change of day",
                "9999 is not a time of day",
                "-Q is no change of day",
                "day 30 of month 2 is in no calendar",
            ],
        ),
        ("RCF/LH456/31XXX2570/LAX/T20", ["31XXX2570: XXX is no month", "2570 is not a time of day"]),
        ("BKD/LH456/30FEB/FRALAX/T20/S9999", ["9999 is not a time of day", "day 30 of month 2 is in no calendar"]),
        ("DLV/LAX/T20", ["DLV without a date"]),
    ],
)
def test_all_that_is_wrong_with_a_status_is_told_at_once(line: str, wrong: list[str]) -> None:
    reading = read_text(HEAD + line + "\nNFD/31MAR1600/LAX", context_at(AT, "LH"))

    assert [event.code for event in reading.events] == ["NFD"]
    (found,) = reading.problems
    assert [one.text.partition(" (")[0] for one in found.every] == wrong
    assert {one.where for one in found.every} == {"line 3"}


def test_a_bad_time_is_told_beside_an_air_waybill_that_is_none() -> None:
    reading = read_text("FSU/14\n000-00000000FRALAX/T20\nDLV/31MAR2570/LAX", context_at(AT, "LH"))

    assert [one.code for one in reading.problems[0].every] == ["bad_time", "no_linking_reference"]
    assert reading.problems[0].warnings[0].code == "placeholder"
