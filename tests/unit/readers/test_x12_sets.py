"""X12 set by set: codes, appointments, positions, stops, gates, estimates, ship notices; whose an interchange is; zones."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.registers_v1 import Facility, Sender
from schemas.shipment_event_v1 import ShipmentEvent
from services.ingest.identifiers import sscc_of_epc
from services.ingest.readers import Asked, Problem, Reading, Registers
from services.ingest.readers.x12 import NAMES
from services.ingest.readers.x12_codes import APPOINTMENTS, OCEAN, ROAD, TERMINAL
from tests.unit.readers.helpers import REGISTERS, context_at, read_text
from tests.unit.readers.test_x12 import AT, UV, message

B10 = "B10*P1**HBRT"
VD = UV.replace("UV", "VD").replace("USLAX", "CNSHA")
N7 = "N7*MRSU*437163*********CN*******9"
LADEN, EMPTY = "W2*MRSU*437163**CN*L********9", "W2*MRSU*437163**CN*E********9"


def read_set(kind: str, *segments: str, sender: str = "MAEU", registers: Registers = REGISTERS) -> Reading:
    return read_text(message(*segments, kind=kind), context_at(AT, sender=sender, registers=registers))


def event(kind: str, *segments: str) -> ShipmentEvent:
    reading = read_set(kind, *segments)
    assert not reading.problems, reading.problems
    return reading.events[0]


def problem(kind: str, *segments: str) -> Problem:
    (found,) = read_set(kind, *segments).problems
    return found


def codes(one: ShipmentEvent) -> list[str]:
    return [warning.code for warning in one.warnings if warning.code not in ("zone_assumed", "zone_unknown")]


# --- codes


@pytest.mark.parametrize("code", TERMINAL)
@pytest.mark.parametrize("load", [LADEN, EMPTY, None])
def test_codes_of_the_322(code: str, load: str | None) -> None:
    known = TERMINAL[code]
    found = event("322", f"Q5*{code}*20200328*1000*PT", N7, *([load] if load else []))
    hoped = known.milestone
    if known.by_load:
        hoped = {LADEN: known.milestone, EMPTY: known.empty, None: None}[load]
    elif load == EMPTY and hoped != "empty_returned":
        hoped = None
    assert (found.code, found.milestone, found.mapped) == (code, hoped, True)
    assert (found.hold and (found.hold.kind, found.hold.state)) == known.hold
    assert ("empty_unknown" in codes(found)) == (known.by_load and load is None)


def test_the_tables_hold_every_code_that_was_asked_for() -> None:
    ocean = "EE OA I AE VD Z2 Z4 Z3 Z5 VA UV Y1 PA CT CR CU NO AM Z8 W1 W2 AL RL AR UR D RD X9 W3"
    road = "X3 X8 L1 CP AF X6 P1 X4 X1 X5 D1 CD AG X2 AH AP A3 A7 A9 SD CA OA I1 RL AR AV AM K1 PR XB J1"
    assert set(ocean.split()) <= OCEAN.keys() and set(road.split()) <= ROAD.keys()
    assert set(APPOINTMENTS) == {"AA", "AB"}


@pytest.mark.parametrize("kind", [*NAMES, "123"])
def test_a_set_that_is_no_status_is_named_and_never_misread(kind: str) -> None:
    found = problem(kind, UV, "B10*P1**HBRT", "AT7*D1*NS***20200328*1000*PT")
    assert found.code == "not_a_status_message"
    assert f"set {kind} is" in found.text and NAMES.get(kind, "not known here") in found.text
    assert found.payload.startswith(f"ST*{kind}*1".encode())


# --- 214


@pytest.mark.parametrize("code", ["AA", "AB", "ZZ"])
def test_an_appointment_is_a_plan_and_never_a_milestone(code: str) -> None:
    found = event("214", B10, "LX*1", f"AT7***{code}*NA*20200328*1000*PT")
    assert (found.code, found.milestone, found.classifier) == (f"appointment/{code}", None, "planned")


@pytest.mark.parametrize(
    ("ms1", "place", "hour"),
    [
        ("MS1*SAN PEDRO*CA*US", "SAN PEDRO", "10:00:00-07:00"),
        ("MS1*EL PASO*TX*USA", "EL PASO", "10:00:00-06:00"),
        ("MS1****1181500*0335500*W*N", "33.9167 -118.2500", "10:00:00-07:00"),
        ("MS1****1181500*335500*W*N", "33.9167 -118.2500", "10:00:00-07:00"),
        ("MS1****0085400*0390000*W*N", "39.0000 -8.9000", "10:00:00Z"),
        ("MS1****1510000*0340000*E*S", "-34.0000 151.0000", "10:00:00+11:00"),
        ("MS1****999*999*W*N", None, "10:00:00Z"),
        ("MS1****1811500*0335500*W*N", None, "10:00:00Z"),
    ],
)
def test_ms1_says_where_by_city_or_by_position(ms1: str, place: str | None, hour: str) -> None:
    found = event("214", B10, "LX*1", "AT7*X6*NS***20200328*1000*LT", ms1)
    assert (found.place.name if found.place else None) == place
    assert found.model_dump(mode="json")["occurred_at"] == f"2020-03-28T{hour}"
    assert ("bad_position" in codes(found)) == (place is None)


@pytest.mark.parametrize(
    ("ms2", "reference", "vehicle"),
    [
        ("MS2*MRSU*437163*CN*9", ("container", "MRSU4371639"), None),
        ("MS2*MRSU*4371639*CN", ("container", "MRSU4371639"), None),
        ("MS2*HBRT*MRSU 437163-9", ("container", "MRSU4371639"), None),
        ("MS2*UTLX*290344*RR", ("rail_car", "UTLX290344"), None),
        ("MS2*HBRT*TRK-12*TL", None, "TRK-12"),
    ],
)
def test_ms2_names_equipment_in_split_fields(ms2: str, reference: tuple[str, str] | None, vehicle: str | None) -> None:
    found = event("214", B10, "LX*1", "AT7*X6*NS***20200328*1000*PT", ms2)
    units = [(ref.kind, ref.value) for ref in found.references if ref.kind in ("container", "rail_car")]
    assert units == ([reference] if reference else [])
    assert (found.transport.vehicle if found.transport else None) == vehicle


def test_equipment_that_the_shipment_does_not_list_is_a_contradiction_that_names_both() -> None:
    listed = ("L11*MRSU4371639*EQ", "L11*TCLU1234568*EQ", "LX*1", "AT7*X6*NS***20200328*1000*PT")
    one_of_them = event("214", B10, *listed, "MS2*TCLU*123456*CN*8")
    another = event("214", B10, *listed, "MS2*MSCU*663987*CN*0")
    assert codes(one_of_them) == []
    assert [w.text for w in another.warnings] == [
        "container MSCU6639870 contradicts MRSU4371639, named before; MSCU6639870 is not used"
    ]


def test_a_stop_that_names_its_own_shipment_speaks_of_that_one_only() -> None:
    stops = ["LX*1", "L11*BILL1*BM", "AT7*D1*NS***20200328*1000*PT", "LX*2", "L11*BILL2*BM", "AT7*D1*NS***20200328*1500*PT"]
    reading = read_set("214", B10, *stops)
    assert [[ref.value for ref in one.references] for one in reading.events] == [["BILL1"], ["BILL2"]]
    assert [one.milestone for one in reading.events] == ["delivered", "delivered"]


def test_only_the_last_stop_of_a_load_delivers_it_whatever_its_place_in_the_message() -> None:
    stops = ["LX*1", "AT7*D1*NS***20200328*1500*PT", "LX*2", "AT7*D1*NS***20200328*1000*PT"]
    reading = read_set("214", B10, *stops)
    assert [one.milestone for one in reading.events] == ["delivered", None]
    assert codes(reading.events[1]) == ["one_of_several_stops"]


@pytest.mark.parametrize(
    ("first", "second", "hoped"),
    [
        ("D1*NS***20200328*1000*PT", "X1*NS***20200328*1400*PT", [None, "arrived_consignee"]),
        ("D1*NS***20200328*1000*PT", "AG*NS***20200329*1400*PT", [None, "delivered"]),
        ("D1*NS***20200328*1000*PT", "X6*NS***20200328*1400*PT", [None, None]),
        ("D1*NS***20200328*1000*PT", "**AB*NA*20200329*1400*PT", [None, None]),
        ("D1*NS***20200328*1000*ET", "D1*NS***20200328*0900*PT", [None, "delivered"]),  # 07:00 and 09:00 Pacific
        ("D1*NS***20200328*1000*PT", "D1*NS***200329*0900*PT", [None, "delivered"]),
        ("AF*NS***20200328*0800*PT", "D1*NS***20200328*1400*PT", ["gate_out", "delivered"]),
        ("D1*NS***20200328*1500*PT", "X6*NS***20200328*1400*PT", ["delivered", None]),
    ],
)
def test_the_last_stop_is_the_last_by_moments_of_whatever_is_told_of_any(
    first: str, second: str, hoped: list[str | None]
) -> None:
    reading = read_set("214", B10, "LX*1", f"AT7*{first}", "LX*2", f"AT7*{second}")
    assert [one.milestone for one in reading.events] == hoped
    told = [one.code for one in reading.events if "one_of_several_stops" in codes(one)]
    assert told == (["D1"] if hoped[0] is None else [])


def test_a_stop_whose_time_cannot_be_read_may_be_the_last() -> None:
    reading = read_set("214", B10, "LX*1", "AT7*D1*NS***20200328*1000*PT", "LX*2", "AT7*D1*NS***2020032*1400*PT")
    assert [one.milestone for one in reading.events] == [None]
    assert [one.code for one in reading.problems] == ["bad_time"]


def test_statuses_of_the_same_stop_do_not_stop_one_another() -> None:
    stops = ["LX*1", "AT7*CP*NS***20200328*0800*PT", "LX*2", "AT7*D1*NS***20200328*1000*PT", "AT7*CD*NS***20200328*1100*PT"]
    assert [one.milestone for one in read_set("214", B10, *stops).events] == [None, "delivered", None]


def test_a_single_stop_delivers() -> None:
    assert event("214", B10, "LX*1", "AT7*D1*NS***20200328*1000*PT", "AT8*G*L*10*4").pieces is None


# --- 315


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ("N9*EQ*MRSU4371639", []),
        ("N9*EQ*TCLU1234568", ["contradiction"]),
        ("N9*EQ*MRSU4371638", ["contradiction"]),
        ("N9*EQ*TTX604321", []),
    ],
)
def test_a_second_container_in_a_status_of_one_is_a_warning_that_names_both(second: str, told: list[str]) -> None:
    found = event("315", UV, second)
    assert [ref.value for ref in found.references if ref.kind == "container"] == ["MRSU4371639"]
    assert codes(found) == told
    assert all("MRSU4371639" in w.text and second[6:] in w.text for w in found.warnings if w.code == "contradiction")


def test_a_status_of_a_whole_booking_lists_its_containers() -> None:
    found = event("315", "B4***VD*20200328*2130", "N9*BN*BK1", "N9*EQ*MRSU4371639", "N9*EQ*TCLU1234568")
    assert [ref.value for ref in found.references] == ["BK1", "MRSU4371639", "TCLU1234568"]
    assert codes(found) == []


def test_a_number_beside_iso_6346_is_kept_and_flagged() -> None:
    found = event("315", "B4***UV*20200328*2130**TESI*112027*L*45G1*USLAX*UN*4", "N9*BN*BK1")
    assert [(ref.kind, ref.value) for ref in found.references] == [("container", "TESI1120274"), ("booking", "BK1")]
    assert codes(found) == ["not_iso_6346"]


def test_a_container_without_its_check_digit_is_no_rail_car() -> None:
    found = event("315", "B4***VD*20200328*2130", "N9*EQ*MRSU437163", "N9*EQ*UTLX290344")
    assert [(ref.kind, ref.value) for ref in found.references] == [("container", "MRSU4371639"), ("rail_car", "UTLX290344")]
    assert codes(found) == ["check_digit_computed"]


def test_estimates_of_other_ports_stay_estimates_and_take_no_hold() -> None:
    ports = ("R4*L*UN*CNSHA", "DTM*140*20200310*2200*UT", "R4*D*UN*USLAX", "DTM*139*20200328*0600*UT")
    reading = read_set("315", VD, *ports)
    told = [(one.code, one.milestone, one.classifier, one.hold) for one in reading.events]
    assert told == [("VD", "departed", "actual", None), ("estimate/D", "arrived", "estimated", None)]


def test_an_estimate_that_returns_to_an_earlier_value_is_news() -> None:
    text = message(VD, "R4*L*UN*CNSHA", "R4*D*UN*USLAX", "DTM*139*20200328*0600*UT")
    first = read_text(text, context_at(AT))
    later = read_text(text.replace("000000077", "000000078"), context_at(AT))
    assert first.events[0].event_id == later.events[0].event_id
    assert first.events[1].event_id != later.events[1].event_id


def test_a_bad_estimate_costs_itself_alone() -> None:
    reading = read_set("315", UV, "R4*L*UN*CNSHA", "DTM*139*20201399*0600*UT")
    assert [one.code for one in reading.events] == ["UV"]
    assert [(one.code, one.where, one.element) for one in reading.problems] == [("bad_time", "segment 6 (DTM)", 2)]


def test_an_unknown_code_with_an_estimate_is_unmapped_and_the_estimate_is_not() -> None:
    reading = read_set("315", UV.replace("UV", "QQ"), "R4*D*UN*USLAX", "R4*E*UN*USDAL", "DTM*139*20200402*0600*CT")
    assert [(one.code, one.mapped) for one in reading.events] == [("QQ", False), ("estimate/E", True)]
    assert codes(reading.events[1]) == []


@pytest.mark.parametrize("code", OCEAN)
def test_an_empty_container_moves_no_goods_but_for_its_own_return(code: str) -> None:
    found = read_set("315", UV.replace("UV", code).replace("*L*", "*E*"), "R4*L*UN*CNSHA", "R4*D*UN*USLAX").events[0]
    assert (found.empty, found.milestone) == (True, "empty_returned" if code == "RD" else None)
    assert ("empty_container" in codes(found)) == (OCEAN[code].milestone is not None and code != "RD")


def test_the_estimates_of_an_empty_container_move_no_goods_either() -> None:
    empty = VD.replace("VD", "AE").replace("*L*", "*E*")
    found = read_set("315", empty, "R4*L*UN*CNSHA", "R4*D*UN*USLAX", "DTM*139*20200428*0600*UT").events[1]
    assert (found.code, found.empty, found.milestone) == ("estimate/D", True, None)


def at(code: str, b411: str, *ports: str) -> Reading:
    """A status of 28 March that names its place itself."""
    return read_set("315", f"B4***{code}*20200328*0800**MRSU*437163*L*45G1*{b411}*9", *ports)


def where_and_when(one: ShipmentEvent) -> tuple[str | None, str, str]:
    place = one.place
    return place.unlocode or place.name if place else None, one.occurred_at.isoformat()[5:16], one.classifier


def test_the_port_of_a_transshipment_is_the_one_that_b4_names() -> None:
    first = ("R4*T*UN*SGSIN", "DTM*140*20200315*0800")
    second = ("R4*T*UN*KRPUS", "DTM*140*20200328*0900")
    for ports in ((*first, *second), (*second, *first)):
        (found,) = at("Z2", "KRPUS*UN", "R4*L*UN*VNSGN", *ports, "R4*D*UN*USLAX").events
        assert where_and_when(found) == ("KRPUS", "03-28T09:00", "actual")
        assert (found.milestone, found.place and found.place.role, codes(found)) == ("transship_arrived", "transship", [])


@pytest.mark.parametrize(("b411", "zone"), [("KRPUS*UN", "+09:00"), ("USOAK*UN", "-07:00")])
@pytest.mark.parametrize("code", ["VD", "VA"])
def test_a_port_that_b4_alone_names_is_where_it_was_and_that_the_ports_contradict_is_told(
    code: str, b411: str, zone: str
) -> None:
    (found,) = at(code, b411, "R4*L*UN*CNSHA", "DTM*140*20200310*2200", "R4*D*UN*USLAX").events
    assert where_and_when(found) == (b411[:5], "03-28T08:00", "actual")
    assert found.occurred_at.isoformat().endswith(zone)
    assert codes(found) == ["places_contradict"]
    assert b411[:5] in found.warnings[0].text and ("CNSHA" if code == "VD" else "USLAX") in found.warnings[0].text


@pytest.mark.parametrize(
    ("b411", "place"),
    [
        ("*", "USLAX"),  # B4 names none
        ("2704*D", "USLAX"),  # a code of another list proves nothing
        ("LA*UN", "USLAX"),  # no UN/LOCODE
        ("LONG BEACH*CI", "USLGB"),  # a city is found by the name of a port
        ("USLGB*", "USLGB"),
    ],
)
def test_what_b4_says_of_its_place_is_held_against_all_ports(b411: str, place: str) -> None:
    (found,) = at("VA", b411, "R4*D*UN*USLAX*LOS ANGELES", "R4*D*UN*USLGB*LONG BEACH", "R4*E*UN*USDAL").events
    assert found.place is not None and found.place.unlocode == place
    assert ("several_values" in codes(found)) == (place == "USLAX")


def test_the_activity_of_the_message_counts_more_than_b4_and_that_they_contradict_is_told() -> None:
    (found,) = at("UV", "KRPUS*UN", "R4*5*UN*USLAX", "R4*D*UN*USLAX").events
    assert found.place is not None and (found.place.unlocode, found.place.role) == ("USLAX", "discharge")
    assert codes(found) == ["places_contradict"]


def test_of_two_ports_of_a_role_that_b4_does_not_tell_apart_the_one_of_its_time_is_meant_else_its_own_time_counts() -> None:
    first = ("R4*T*UN*SGSIN", "DTM*140*20200315*0800")
    (found,) = at("Z2", "*", *first, "R4*T*UN*KRPUS", "DTM*140*20200328*0800").events
    assert (where_and_when(found), codes(found)) == (("KRPUS", "03-28T08:00", "actual"), [])
    (found,) = at("Z2", "*", *first, "R4*T*UN*KRPUS", "DTM*140*20200327*0800").events
    assert (where_and_when(found), codes(found)) == (("SGSIN", "03-28T08:00", "actual"), ["several_values"])


def test_each_port_of_transshipment_has_its_estimate_and_none_is_told_twice() -> None:
    first = ("R4*T*UN*SGSIN", "DTM*139*20200320*0800")
    second = ("R4*T*UN*KRPUS", "DTM*139*20200325*0900")
    reading = at("AE", "CNSHA*UN", "R4*L*UN*CNSHA", *first, *second, *first)
    assert [where_and_when(one) for one in reading.events[1:]] == [
        ("SGSIN", "03-20T08:00", "estimated"),
        ("KRPUS", "03-25T09:00", "estimated"),
    ]
    alone = at("AE", "CNSHA*UN", "R4*L*UN*CNSHA", *first, *second)
    assert len({one.event_id for one in alone.events}) == 3


@pytest.mark.parametrize(("code", "role"), [("VD", "L"), ("VA", "D")])
@pytest.mark.parametrize(
    ("expected", "hoped"),
    [
        ("20200326*0800", ("03-28T08:00", "actual", True)),  # it was expected two days before it was
        ("20200330*0800", ("03-30T08:00", "estimated", True)),  # still ahead of what B4 says
        ("20200328*0800", ("03-28T08:00", "estimated", False)),  # B4's own time is called an estimate
    ],
)
def test_an_older_estimate_does_not_take_the_place_of_when_it_was(
    code: str, role: str, expected: str, hoped: tuple[str, str, bool]
) -> None:
    (found,) = at(code, "USLAX*UN", f"R4*{role}*UN*USLAX", f"DTM*139*{expected}").events
    assert (*where_and_when(found)[1:], "times_contradict" in codes(found)) == hoped


def test_the_seventeenth_port_is_told_and_not_read() -> None:
    ports = [part for day in range(1, 19) for part in (f"R4*T*UN*SGSI{chr(64 + day)}", f"DTM*139*202004{day:02d}*0800")]
    reading = at("AE", "CNSHA*UN", "R4*L*UN*CNSHA", *ports)
    assert len(reading.events) == 17
    assert codes(reading.events[0]).count("time_not_used") == 2


# --- 322


def test_each_unit_of_a_322_is_an_event_and_a_bad_one_costs_itself() -> None:
    reading = read_set("322", "Q5*OA*20200328*1000*PT", N7, LADEN, "N7*FREE*TEXT", N7.replace("437163", "437164"), LADEN)
    assert [one.code for one in reading.problems] == ["no_linking_reference"]
    assert [one.milestone for one in reading.events] == ["gate_out", None]
    assert len({one.event_id for one in reading.events}) == 2


def test_the_units_of_a_322_keep_their_ids_in_any_company() -> None:
    both = read_set("322", "Q5*OA*20200328*1000*PT", N7, LADEN, "N7*TCLU*123456*********CN*******8").events
    alone = read_set("322", "Q5*OA*20200328*1000*PT", N7, LADEN).events
    assert alone[0].event_id == both[0].event_id


def test_an_estimated_gate_is_an_estimate() -> None:
    assert event("322", "Q5*OA*20200328*1000*PT", N7, "DTM*139*20200328*1000*PT", LADEN).classifier == "estimated"
    assert event("322", "Q5*OA*20200328*1000*PT", N7, "DTM*140*20200328*1000*PT", LADEN).classifier == "actual"


@pytest.mark.parametrize("n7", ["N7*UTLX*290344*********RR", "N7*UTLX*290344", "N7*MRSU*437163*********RR"])
def test_a_rail_car_is_no_container(n7: str) -> None:
    (ref,) = event("322", "Q5*AR*20200328*1000*CT", n7).references
    assert ref.kind == "rail_car"


def test_a_second_status_in_a_set_of_one_is_told_of_each_event() -> None:
    found = event("315", VD, VD.replace("VD", "VA"), "R4*L*UN*CNSHA")
    assert (found.code, codes(found)) == ("VD", ["several_values"])
    assert (found.warnings[0].where, "VA" in found.warnings[0].text) == ("segment 5 (B4)", True)

    events = read_set("322", "Q5*OA*20200328*1000*PT", "Q5*I*20200329*1000*PT", N7, LADEN, N7, LADEN).events
    assert [(one.code, codes(one)) for one in events] == [("OA", ["several_values"])] * 2
    assert events[0].warnings[0].where == "segment 5 (Q5)"


# --- 856


def asked(*segments: str, sender: str = "LACDHS", registers: Registers = REGISTERS) -> Asked:
    (verdict,) = read_set("856", *segments, sender=sender, registers=registers).verdicts
    assert verdict.asked is not None, verdict
    return verdict.asked


BSN = "BSN*00*829716*20200320*0900*0001"
ITEM = ("LIN*1*LT*A17", "SN1**5*EA", "PID*F****GOWNS")


def test_a_notice_of_a_registered_buyers_consignment_names_it_whole() -> None:
    buyers = Registers.of([Sender(code="LACDHS", kind="buyer", name="LA County")], [])
    assert asked("BSN*00*LACDHS-1*20200320", sender="FWD", registers=buyers).fields["consignment"] == "LACDHS-1"
    assert asked(BSN, "HL*1**S", "REF*CR*LACDHS-7", sender="FWD", registers=buyers).fields["consignment"] == "LACDHS-7"
    assert asked("BSN*00*OTHER-1*20200320").fields["consignment"] == "LACDHS-OTHER-1"


@pytest.mark.parametrize(
    ("levels", "packed"),
    [
        (["HL*1**S", "TD3*CN*MRSU*437163", "HL*2*1*I", *ITEM], "MRSU4371639"),
        (["HL*1**S", "HL*2*1*E", "TD3*CN*MRSU*437163", "HL*3*2*I", *ITEM], "MRSU4371639"),
        (["HL*1**S", "TD3*CN*MRSU*437163", "TD3*CN*TCLU*123456", "HL*2*1*I", *ITEM], None),
        (["HL*1**S", "HL*2*1*E", "TD3*CN*MRSU*437163", "HL*3*1*I", *ITEM], None),
        (["HL*1**S", "TD3*TL*HBRT*53011", "HL*2*1*I", *ITEM], None),
    ],
)
def test_a_line_is_packed_where_the_levels_above_it_say(levels: list[str], packed: str | None) -> None:
    packing = asked(BSN, *levels).fields.get("packing", [])
    assert [one["unit"]["value"] for one in packing] == ([packed] if packed else [])


def test_lot_and_expiry_of_a_pack_hold_for_the_items_in_it_and_those_of_packs_below_an_item_for_the_item() -> None:
    above = asked(BSN, "HL*1**S", "HL*2*1*P", "REF*LT*B2", "DTM*036*20280200", "HL*3*2*I", "LIN*1*UP*036000291452", "SN1**5*BX")
    (item,) = above.fields["items"]
    assert (item["lot"], item["expires_on"], item["unit"]) == ("B2", "2028-02-29", "box")
    assert {"kind": "gtin_lot", "value": "00036000291452.B2"} in above.fields["references"]
    below = asked(BSN, "HL*1**S", "HL*2*1*I", "LIN*1", "SN1**5*EA", "HL*3*2*P", "REF*LT*C3", "HL*4*2*P", "REF*LT*D4")
    assert below.fields["items"][0]["lot"] == "C3"
    assert ("contradiction", "lot D4 contradicts C3, named before; a line has one lot, D4 is not used") in [
        (warning.code, warning.text) for warning in below.warnings
    ]


@pytest.mark.parametrize(
    ("words", "category"),
    [
        ("KN95 MASK", "kn95_respirator"),
        ("3M 1860 N95", "n95_respirator"),
        ("Respirator TC-84A-0006", "n95_respirator"),
        ("Isolation gowns, level 2", "gown"),
        ("BLUE WIDGET", "other"),
        ("", "other"),
    ],
)
def test_the_category_is_assumed_from_the_description_and_that_is_told(words: str, category: str) -> None:
    notice = asked(BSN, "HL*1**S", "HL*2*1*I", "LIN*1", "SN1**5*EA", f"PID*F****{words}")
    assert notice.fields["items"][0]["category"] == category
    assert [warning.code for warning in notice.warnings] == ["category_assumed"]


@pytest.mark.parametrize(
    ("segments", "code"),
    [
        (["LIN*1*LT*a b", "SN1**5*EA"], "bad_lot"),
        (["LIN*1", "SN1**5*ZZ"], "unknown_unit"),
        (["LIN*1", "SN1**5*EA", "DTM*036*20281301"], "time_not_used"),
        (["LIN*1", "SN1**5*EA", "PID*F****RESPIRATOR TC-84A-12"], "niosh_approval"),
        (["LIN*1", "SN1**5*EA", "CTT*9"], "bad_count"),
        (["LIN*1", "SN1**5*EA", "MAN*GM*(00)395213210000000034"], "bad_check_digit"),
        (["LIN*1", "SN1**5*EA", "MAN*GM*000000000000000000"], "placeholder"),
        (["LIN*1", "SN1**5*EA", "N1*ST*X*UL*9521321000010"], "bad_check_digit"),
        (["LIN*1", "SN1**5*EA", "N1*ST*X*ZZ*NOWHERE"], "unknown_place"),
    ],
)
def test_what_is_odd_in_a_notice_is_told(segments: list[str], code: str) -> None:
    notice = asked(BSN, "HL*1**S", "HL*2*1*I", *segments)
    assert code in [warning.code for warning in notice.warnings]
    assert len(notice.fields["items"]) == 1


def test_a_carrier_that_is_registered_becomes_a_party_and_the_dock_the_consignee() -> None:
    registers = Registers.of(
        [
            Sender(code="MAEU", kind="ocean_carrier", name="Maersk", scac="MAEU"),
            Sender(code="H-HARBOR", kind="consignee", name="Harbor-UCLA"),
        ],
        [Facility(code="H-HARBOR", kind="hospital", name="Harbor-UCLA", gln="9521321000018", zone="America/Los_Angeles")],
    )
    levels = ("HL*1**S", "TD5*O*2*MAEU*S", "N1*ST*HARBOR*UL*9521321000018", "DTM*002*20200420*1200*LT")
    fields = asked(BSN, *levels, registers=registers).fields
    assert fields["parties"] == {"carrier": "MAEU", "consignee": "H-HARBOR"}
    assert fields["route"] == {"mode": "sea", "place_of_delivery": "H-HARBOR"}
    assert fields["required_by"] == "2020-04-20T12:00:00-07:00"


def test_of_too_many_references_documents_are_kept_before_pallets_and_both_before_others() -> None:
    pallets = [f"MAN*GM*{sscc_of_epc('9521321', f'{n:010d}')}" for n in range(1, 101)]
    orders = [f"PRF*PO{n}" for n in range(1, 101)]
    notice = asked(BSN, "HL*1**S", "HL*2*1*P", *pallets, *orders, "HL*3*1*O", "REF*BM*BILL9")
    kept = [reference["kind"] for reference in notice.fields["references"]]
    assert (kept.count("sscc"), kept.count("purchase_order"), kept.count("bill_of_lading")) == (31, 32, 1)
    assert [(w.code, w.text) for w in notice.warnings][-1] == (
        "too_many_references",
        "201 references; 64 are kept, of those that link 32",
    )


# --- whose an interchange is

FLEET = Registers.of(
    [
        Sender(code="COSU", kind="ocean_carrier", name="COSCO", scac="COSU"),
        Sender(code="MAERSK", kind="ocean_carrier", name="Maersk", scac="MAEU"),
        Sender(code="FWD", kind="forwarder", name="A forwarder"),
        Sender(code="OPS", kind="operator", name="Operations"),
        Sender(code="HARBOR", kind="trucker", name="Harbor Line", edi_ids=("ZZ:HLINE", "5551")),
        Sender(code="OTHER", kind="trucker", name="Other", edi_ids=("02:HLINE",)),
    ],
    [],
)


def of(isa06: str, gs02: str, sender: str, **more: Any) -> Reading:
    text = message(UV).replace("*ZZ*COSU ", f"*ZZ*{isa06:5}").replace("GS*QO*COSU", f"GS*QO*{gs02}")
    return read_text(text, context_at(AT, sender=sender, registers=FLEET, **more))


@pytest.mark.parametrize(
    ("isa06", "gs02", "sender"),
    [
        ("COSU", "COSU", "COSU"),
        ("MAEU", "MAEU", "MAERSK"),
        ("55512", "COSU", "COSU"),
        ("cosu", "X", "COSU"),
        ("A", "B", "GUEST"),
        ("HLINE", "X", "HARBOR"),
        ("hline", "", "HARBOR"),
        ("5551", "X", "HARBOR"),
        ("X", "HLINE", "HARBOR"),
    ],
)
def test_an_interchange_of_the_pushing_sender_needs_no_word(isa06: str, gs02: str, sender: str) -> None:
    reading = of(isa06, gs02, sender)
    assert len(reading.events) == 1 and reading.warnings == ()


def test_one_of_another_registered_sender_is_refused() -> None:
    reading = of("COSU", "COSU", "MAERSK")
    (wrong,) = reading.problems
    assert (wrong.code, wrong.where) == ("foreign_interchange", "segment 1 (ISA)")
    assert "COSU" in wrong.text and "MAERSK" in wrong.text
    assert not reading.events


@pytest.mark.parametrize(("isa06", "gs02", "sender"), [("HLINE", "X", "COSU"), ("X", "5551", "OTHER"), ("HLINE", "X", "OTHER")])
def test_one_of_another_senders_mailbox_is_refused(isa06: str, gs02: str, sender: str) -> None:
    reading = of(isa06, gs02, sender)
    (wrong,) = reading.problems
    assert wrong.code == "foreign_interchange" and "HARBOR" in wrong.text
    assert not reading.events


@pytest.mark.parametrize(("isa06", "gs02"), [("COSU", "MAEU"), ("MAEU", "COSU"), ("55512", "COSU"), ("COSU", "55512")])
def test_one_that_names_another_registered_sender_anywhere_is_refused(isa06: str, gs02: str) -> None:
    reading = of(isa06, gs02, "MAERSK")
    assert [wrong.code for wrong in reading.problems] == ["foreign_interchange"]
    assert not reading.events


@pytest.mark.parametrize(("sender", "more"), [("FWD", {}), ("OPS", {"operator": True})])
def test_forwarders_and_operators_may_pass_on_what_others_wrote(sender: str, more: dict[str, Any]) -> None:
    reading = of("COSU", "COSU", sender, **more)
    assert [one.sender for one in reading.events] == [sender]
    assert [warning.code for warning in reading.warnings] == ["passed_on"]


def test_a_name_that_no_register_knows_is_a_warning_once_an_interchange() -> None:
    reading = of("55512", "55512", "COSU")
    assert len(reading.events) == 1
    assert [(warning.code, warning.where) for warning in reading.warnings] == [
        ("unknown_interchange_sender", "segment 1 (ISA)")
    ]


def test_an_interchange_that_comes_again_says_the_same() -> None:
    first, again = (read_set("315", UV, "R4*D*UN*USLAX", "R4*E*UN*USDAL", "DTM*139*20200402*0600*CT") for _ in range(2))
    assert [(e.event_id, e.revision) for e in first.events] == [(e.event_id, e.revision) for e in again.events]


# --- zones: code list 623

FIXED = {
    "AD": "-08:00", "AS": "-09:00", "CD": "-05:00", "CS": "-06:00", "ED": "-04:00", "ES": "-05:00", "GM": "Z", "HD": "-09:00",
    "HS": "-10:00", "MD": "-06:00", "MS": "-07:00", "ND": "-02:30", "NS": "-03:30", "PD": "-07:00", "PS": "-08:00",
    "TD": "-03:00", "TS": "-04:00", "UT": "Z", "01": "+01:00", "12": "+12:00", "13": "-12:00", "24": "-01:00",
}  # fmt: skip
BY_DATE = {  # winter, summer
    "AT": ("-09:00", "-08:00"), "CT": ("-06:00", "-05:00"), "ET": ("-05:00", "-04:00"), "HT": ("-10:00", "-10:00"),
    "MT": ("-07:00", "-06:00"), "NT": ("-03:30", "-02:30"), "PT": ("-08:00", "-07:00"), "TT": ("-04:00", "-03:00"),
}  # fmt: skip


@pytest.mark.parametrize("code", FIXED)
def test_a_code_of_standard_or_daylight_time_is_its_offset_whatever_the_date(code: str) -> None:
    for day in ("20200128", "20200328"):
        found = event("315", UV, "R4*5*UN*USLAX", f"DTM*140*{day}*1000*{code}")
        assert found.model_dump(mode="json")["occurred_at"].endswith(f"T10:00:00{FIXED[code]}")
        assert not found.zone_assumed


@pytest.mark.parametrize("code", BY_DATE)
def test_a_code_of_a_zone_follows_the_date(code: str) -> None:
    for day, offset in zip(("20200128", "20200328"), BY_DATE[code], strict=True):
        found = event("315", UV, "R4*5*UN*USLAX", f"DTM*140*{day}*1000*{code}")
        assert found.model_dump(mode="json")["occurred_at"].endswith(f"T10:00:00{offset}")


def test_a_local_time_is_that_of_its_place_and_marked() -> None:
    for code in ("LT", ""):
        found = event("322", f"Q5*OA*20200328*1000*{code}**CHICAGO*IL*US", N7, LADEN)
        assert found.model_dump(mode="json")["occurred_at"] == "2020-03-28T10:00:00-05:00"
        assert found.zone_assumed
