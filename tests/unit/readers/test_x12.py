"""X12: the sloppy forms that real files come in, zones, and codes to milestones (docs/milestones.md)."""

from __future__ import annotations

import pytest

from schemas.shipment_event_v1 import ShipmentEvent
from services.ingest.readers import Reading
from tests.unit.readers.helpers import context_at, read_text, refused

AT = "2020-04-01T00:00:00Z"
ISA = "ISA*00*          *00*          *ZZ*COSU           *ZZ*LOVLA          *200329*1205*U*00401*000000077*0*P*>"
UV = "B4***UV*20200328*2130**MRSU*437163*L*45G1*USLAX*UN*9"


def message(*segments: str, kind: str = "315", isa: str = ISA, end: str = "~\n") -> str:
    """An interchange of one set."""
    body = [f"ST*{kind}*1", *segments, f"SE*{len(segments) + 2}*1"]
    return end.join([isa, "GS*QO*COSU*LOVLA*20200329*1205*77*X*004010", *body, "GE*1*77", "IEA*1*000000077", ""])


def read_315(*segments: str) -> ShipmentEvent:
    reading = read_text(message(*segments), context_at(AT))
    assert not reading.problems, reading.problems
    return reading.events[0]


def read_214(*segments: str) -> ShipmentEvent:
    reading = read_text(message(*segments, kind="214"), context_at(AT))
    assert not reading.problems, reading.problems
    return reading.events[0]


CLEAN = message(UV)
SLOPPY = {
    "byte order mark": "\ufeff" + CLEAN,
    "blank lines before": "\r\n \n" + CLEAN,
    "all on one line": CLEAN.replace("\n", ""),
    "CRLF": CLEAN.replace("\n", "\r\n"),
    "collapsed blanks in ISA": CLEAN.replace(ISA, " ".join(ISA.split())),
    "no blanks in ISA": CLEAN.replace(ISA, ISA.replace(" ", "")),
    "line breaks inside ISA": CLEAN.replace("*ZZ*LOVLA", "\n*ZZ*LOVLA"),
    "line breaks every 80 characters": "\n".join(CLEAN.replace("\n", "")[n : n + 80] for n in range(0, 400, 80)),
    "dollar as terminator": CLEAN.replace("~", "$"),
    "ellipsis as terminator": CLEAN.replace("~", "\N{HORIZONTAL ELLIPSIS}"),
    "control character as terminator": CLEAN.replace("~\n", "\x1c"),
    "lines as segments": CLEAN.replace("~", ""),
    "lines as segments, collapsed ISA": CLEAN.replace("~", "").replace(ISA, " ".join(ISA.split())),
    "lines as segments with CRLF": CLEAN.replace("~", "").replace("\n", "\r\n"),
    "another separator": CLEAN.replace("*", "|"),
    "group separator of control characters": CLEAN.replace("*", "\x1d").replace("~\n", "\x1e"),
    "newline-only segments": CLEAN.replace("~\n", "~\n~\n"),
    "Latin-1": CLEAN.replace("*ZZ*COSU ", "*ZZ*COSÜ "),
}


@pytest.mark.parametrize("name", SLOPPY)
def test_a_sloppy_file_says_the_same_as_a_clean_one(name: str) -> None:
    content = SLOPPY[name].encode("latin-1" if name == "Latin-1" else "utf-8")
    clean = read_text(CLEAN, context_at(AT)).events[0]
    reading = read_text(content, context_at(AT))

    assert [event.event_id for event in reading.events] == [clean.event_id]
    assert reading.events[0].warnings == clean.warnings


def codes(reading: Reading) -> list[str]:
    return [warning.code for warning in reading.warnings]


@pytest.mark.parametrize(
    ("right", "wrong", "code"),
    [
        ("GE*1*77", "GE*2*77", "bad_count"),
        ("GE*1*77", "GE*1*78", "bad_control_number"),
        ("IEA*1*000000077", "IEA*4*000000077", "bad_count"),
        ("IEA*1*000000077", "IEA*1*000000078", "bad_control_number"),
        ("IEA*1*000000077~", "", "missing_iea"),
        ("*0*P*>", "*0*T*>", "test_message"),
        ("GS*QO", "FOO*1~GS*QO", "stray_segment"),
    ],
)
def test_wrong_envelopes_are_told_and_cost_nothing(right: str, wrong: str, code: str) -> None:
    reading = read_text(CLEAN.replace(right, wrong), context_at(AT))

    assert len(reading.events) == 1
    assert codes(reading) == [code]


@pytest.mark.parametrize(
    ("right", "wrong", "code"),
    [("SE*3*1", "SE*9*1", "bad_count"), ("SE*3*1", "SE*3*2", "bad_control_number"), ("SE*3*1~", "", "missing_se")],
)
def test_a_wrong_set_is_told_and_costs_nothing(right: str, wrong: str, code: str) -> None:
    event = read_text(CLEAN.replace(right, wrong), context_at(AT)).events[0]

    assert [warning.code for warning in event.warnings] == [code, "zone_assumed"]


def test_one_bad_set_of_ten_costs_one() -> None:
    sets = "".join(f"ST*315*{n}~\n" + UV.replace("437163", f"43716{n}") + f"~\nSE*3*{n}~\n" for n in range(10))
    bad = sets.replace("ST*315*4~\nB4***UV*20200328*2130", "ST*315*4~\nB4***UV*2020*2130")
    text = ISA + "~\nGS*QO*A*B*20200329*1205*77*X*004010~\n" + bad + "GE*10*77~\nIEA*1*000000077~\n"
    reading = read_text(text, context_at(AT))

    assert len(reading.events) == 9
    assert [(p.code, p.where) for p in reading.problems] == [("bad_time", "segment 16 (B4)")]
    assert reading.problems[0].payload.startswith(b"ST*315*4\nB4***UV*2020*2130")


def test_several_interchanges_may_stand_in_a_file_each_with_its_own_delimiters() -> None:
    other = message(UV.replace("437163", "437164")).replace("~", "$").replace("*", "|")
    reading = read_text(CLEAN + other, context_at(AT))

    assert [event.references[0].value[:10] for event in reading.events] == ["MRSU437163", "MRSU437164"]


@pytest.mark.parametrize("text", ["ISA", "ISA*00*1~", ISA + "~", ISA + "~\nIEA*0*000000077~"])
def test_an_interchange_without_a_set_is_unreadable(text: str) -> None:
    assert refused(text, context_at(AT)).code in ("bad_delimiters", "no_sets", "unknown_format")


@pytest.mark.parametrize(
    ("zone", "moment", "assumed"),
    [
        ("LT", "2020-03-28T21:30:00-07:00", True),
        ("", "2020-03-28T21:30:00-07:00", True),
        ("QQ", "2020-03-28T21:30:00-07:00", True),
        ("UT", "2020-03-28T21:30:00Z", False),
        ("PT", "2020-03-28T21:30:00-07:00", False),
        ("PS", "2020-03-28T21:30:00-08:00", False),
        ("PD", "2020-03-28T21:30:00-07:00", False),
        ("ET", "2020-03-28T21:30:00-04:00", False),
        ("CT", "2020-03-28T21:30:00-05:00", False),
        ("08", "2020-03-28T21:30:00+08:00", False),
        ("20", "2020-03-28T21:30:00-05:00", False),
    ],
)
def test_zones(zone: str, moment: str, assumed: bool) -> None:
    event = read_315(UV, "R4*5*UN*USLAX", f"DTM*140*20200328*2130*{zone}")

    assert event.model_dump(mode="json")["occurred_at"] == moment
    assert event.zone_assumed == assumed


def test_the_generic_zone_follows_the_date() -> None:
    winter = read_315(UV, "R4*5*UN*USLAX", "DTM*140*20200228*2130*PT")

    assert winter.model_dump(mode="json")["occurred_at"] == "2020-02-28T21:30:00-08:00"


def test_midnight_may_be_written_as_24() -> None:
    assert read_315(UV.replace("2130", "2400")).model_dump(mode="json")["occurred_at"] == "2020-03-29T00:00:00-07:00"


@pytest.mark.parametrize(
    ("code", "milestone", "hold"),
    [
        ("OA", "received", None),
        ("I", "received", None),
        ("VD", "departed", None),
        ("Z2", "transship_arrived", None),
        ("Z5", "transship_departed", None),
        ("VA", "arrived", None),
        ("UV", "discharged", None),
        ("CT", "customs_released", ("customs", "released")),
        ("Y1", "available", None),
        ("Z8", "gate_out", None),
        ("D", "delivered", None),
        ("RD", "empty_returned", None),
        ("PA", None, ("customs", "placed")),
        ("X9", None, ("other", "placed")),
        ("CR", None, ("freight", "released")),
        ("NO", None, ("freight", "released")),
        *((code, None, None) for code in ("EE", "AE", "Z3", "Z4", "AM", "AL", "RL", "AR", "UR", "W1", "W2", "W3")),
    ],
)
def test_codes_of_the_315(code: str, milestone: str | None, hold: tuple[str, str] | None) -> None:
    event = read_315(UV.replace("UV", code))

    assert (event.milestone, event.mapped, event.code) == (milestone, True, code)
    assert (event.hold and (event.hold.kind, event.hold.state)) == hold


@pytest.mark.parametrize(
    ("code", "place"), [("VD", "CNSHA"), ("Z2", "KRPUS"), ("UV", "USLAX"), ("D", "USDAL"), ("RD", "USDAL")]
)
def test_the_place_of_a_status_is_the_port_it_speaks_of(code: str, place: str) -> None:
    ports = ("R4*L*UN*CNSHA", "R4*T*UN*KRPUS", "R4*D*UN*USLAX", "R4*E*UN*USDAL")
    event = read_315(f"B4***{code}*20200328*2130**MRSU*437163*L*45G1***9", *ports)

    assert event.place is not None and event.place.unlocode == place
    assert event.origin is not None and event.origin.unlocode == "CNSHA"
    assert event.destination is not None and event.destination.unlocode == "USLAX"


def test_a_transshipment_says_so_wherever_it_happens() -> None:
    event = read_315(UV.replace("UV", "Z4"), "R4*5*UN*MXZLO")

    assert event.place is not None and (event.place.unlocode, event.place.role) == ("MXZLO", "transship")


def test_the_estimate_of_another_port_is_not_the_time_of_this_status() -> None:
    status = UV.replace("UV", "VD").replace("USLAX", "CNSHA")
    event = read_315(status, "R4*L*UN*CNSHA", "R4*D*UN*USLAX", "DTM*139*20200420*0600*LT")

    assert (event.classifier, event.occurred_at.isoformat()) == ("actual", "2020-03-28T21:30:00+08:00")


def test_an_estimated_arrival_is_an_estimate() -> None:
    event = read_315(UV.replace("UV", "VA"), "R4*L*UN*CNSHA", "R4*D*UN*USLAX", "DTM*139*20200420*0600*LT")

    assert (event.milestone, event.classifier) == ("arrived", "estimated")
    assert event.occurred_at.isoformat() == "2020-04-20T06:00:00-07:00"


def test_the_carrier_that_takes_over_is_named() -> None:
    event = read_315(UV.replace("UV", "AM"), "N9*SCA*HBRT")

    assert event.transport is not None and event.transport.next_carrier == "HBRT"


@pytest.mark.parametrize(
    ("q2", "imo", "warning"),
    [
        ("Q2*9321483********015E***L*EMMA", "9321483", None),
        ("Q2*9321483********015E***C*EMMA", None, None),
        ("Q2*VRAB5********015E***C*EMMA", None, None),
        ("Q2*9321484********015E***L*EMMA", None, "bad_imo"),
        ("Q2*1234567********015E***L*EMMA", None, "placeholder"),
    ],
)
def test_a_vessel_is_known_by_a_sound_imo_number_only(q2: str, imo: str | None, warning: str | None) -> None:
    event = read_315(UV, q2)

    assert event.transport is not None and (event.transport.vessel, event.transport.imo) == ("EMMA", imo)
    assert any(ref.kind == "voyage" for ref in event.references) == (imo is not None)
    assert [w.code for w in event.warnings if w.code != "zone_assumed"] == ([warning] if warning else [])


def test_a_set_without_status_is_a_problem_of_its_own() -> None:
    assert read_text(message("N9*BM*X"), context_at(AT)).problems[0].code == "missing_segment"
    assert read_text(message("B4****20200328*2130**MRSU*437163"), context_at(AT)).problems[0].code == "missing_code"
    assert read_text(message("B10*1**A", kind="214"), context_at(AT)).problems[0].code == "no_status"
    assert (
        read_text(message("B10*1**A", "AT7*****20200328*1000", kind="214"), context_at(AT)).problems[0].code == "missing_code"
    )


AT7_MILESTONES = {
    "AV": "available",
    "AF": "gate_out",
    "OA": "gate_out",
    "X1": "arrived_consignee",
    "X5": "arrived_consignee",
    "X2": "arrived_consignee",
    "D1": "delivered",
    "AG": "delivered",
}
AT7_NEWS = ["X3", "X8", "L1", "CP", "X6", "P1", "X4", "CD", "AH", "AP", "A3", "A7", "A9", "SD", "CA", "I1", "RL", "AR", "AM"]


@pytest.mark.parametrize("code", [*AT7_MILESTONES, *AT7_NEWS, "K1", "XB", "J1", "PR"])
def test_codes_of_the_214(code: str) -> None:
    event = read_214("B10*P1**HBRT", "LX*1", f"AT7*{code}*NS***20200328*1000*PT")

    assert (event.milestone, event.mapped) == (AT7_MILESTONES.get(code), True)
    assert event.classifier == ("estimated" if code in ("X2", "AG") else "actual")
    assert (event.hold is not None) == (code == "PR")


def test_an_unknown_code_of_a_214_is_kept() -> None:
    event = read_214("B10*P1**HBRT", "LX*1", "AT7*QQ*NS***20200328*1000*PT")

    assert (event.code, event.milestone, event.mapped) == ("QQ", None, False)


def test_a_status_without_lx_is_read() -> None:
    assert read_214("B10*P1**HBRT", "AT7*D1*NS***20200328*1000*PT").milestone == "delivered"


@pytest.mark.parametrize(
    ("ms2", "container"),
    [
        ("MS2*MRSU*437163*CN*9", "MRSU4371639"),
        ("MS2*MRSU*4371639", "MRSU4371639"),
        ("MS2*MRSU*437163", "MRSU4371639"),
        ("MS2*HBRT*MRSU4371639", "MRSU4371639"),
        ("MS2*HBRT*53011", None),
    ],
)
def test_a_container_is_found_among_the_equipment(ms2: str, container: str | None) -> None:
    event = read_214("B10*P1**HBRT", "LX*1", "AT7*D1*NS***20200328*1000*PT", ms2)

    assert [ref.value for ref in event.references if ref.kind == "container"] == ([container] if container else [])


def test_the_stops_of_a_load_are_told_apart_by_their_loops() -> None:
    stops = [s for n in (1, 2) for s in (f"LX*{n}", "AT7*X3*NS***20200328*1000*PT", f"L11*9999{n}*DO")]
    reading = read_text(message("B10*P1**HBRT", *stops, kind="214"), context_at(AT))
    turned = read_text(message("B10*P1**HBRT", *stops[3:], *stops[:3], kind="214"), context_at(AT))

    assert len({event.event_id for event in reading.events}) == 2
    assert {event.event_id for event in reading.events} == {event.event_id for event in turned.events}


def test_a_gate_of_another_city_is_not_where_the_truck_is() -> None:
    party = ("N1*SF*APM*ZZ*LA-APMT", "N4*SAN PEDRO*CA")
    event = read_214("B10*P1**HBRT", *party, "LX*1", "AT7*AF*NS***20200328*1000*LT", "MS1*OAKLAND*CA*US")

    assert event.place is not None and (event.place.name, event.place.facility) == ("OAKLAND", None)
    assert event.occurred_at.isoformat() == "2020-03-28T10:00:00-07:00"
