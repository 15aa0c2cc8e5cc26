"""Messages that others wrote (samples/MANIFEST.md): the supported ones event by event, the others refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.ingest.readers import Registers, Unreadable
from tests.unit.readers.helpers import context_at, read_text, told

EMPTY = Registers.empty()


def verdicts(path: Path, received_at: str, **more: Any) -> list[dict[str, Any]]:
    """What a sample says at that time of receipt."""
    return told(read_text(path.read_bytes(), context_at(received_at, registers=EMPTY, **more)))


def placeholder(*places: str) -> list[dict[str, str]]:
    """The warning about the container of DCSA's own examples."""
    text = "container APZU4812090 is a known example value; not used"
    return [{"code": "placeholder", "where": where, "text": text} for where in places]


def test_dcsa_response(samples: Path) -> None:
    vessel = {"vessel": "King of the Seas", "imo": "9321483", "scac": "MAEU"}
    documents = [{"kind": "booking", "value": "ABC123123123"}, {"kind": "bill_of_lading", "value": "RESERVED-HHL123"}]
    common = {"standard": "dcsa.2.2", "mapped": True, "zone_assumed": False}

    def arrived(n: int, created: str, eq: str) -> dict[str, Any]:
        return common | {
            "position": f"/{n}",
            "source_id": f"3cecb101-7a1a-43a4-9d62-e88a131651e{n + 2}",
            "code": "TRANSPORT/ARRI",
            "milestone": "arrived",
            "classifier": "actual",
            "occurred_at": "2021-01-09T14:12:56+01:00",
            "created_at": created,
            "at": created,
            "references": [{"kind": "voyage", "value": "9321483/2103N"}, *documents],
            "place": {"unlocode": "FRPAR", "name": "Depot location or address", "role": "POTE"},
            "mode": "sea",
            "transport": vessel | {"voyage": "2103N"},
            "reason": "WEA Bad weather",
            "warnings": placeholder(f"/{n}/references/{eq}/referenceValue"),
        }

    def draft(n: int, created: str, kind: str, value: str) -> dict[str, Any]:
        return common | {
            "position": f"/{n}",
            "source_id": f"3cecb101-7a1a-43a4-9d62-e88a131651e{n + 2}",
            "code": "SHIPMENT/DRFT",
            "classifier": "actual",
            "occurred_at": "2019-11-12T07:41:00+08:30",
            "created_at": created,
            "at": created,
            "references": [{"kind": kind, "value": value}],
            "reason": "The following attributes are missing...",
            "warnings": placeholder(f"/{n}/references/1/referenceValue"),
        }

    def loaded(n: int, created: str) -> dict[str, Any]:
        return common | {
            "position": f"/{n}",
            "source_id": f"3cecb101-7a1a-43a4-9d62-e88a131651e{n + 2}",
            "code": "EQUIPMENT/LOAD",
            "classifier": "estimated",
            "occurred_at": "2019-11-12T07:41:00+08:30",
            "created_at": created,
            "at": created,
            "references": [{"kind": "voyage", "value": "9321483/2103S"}, *documents, {"kind": "seal", "value": "STRING"}],
            "place": {"unlocode": "FRPAR", "name": "Eiffel Tower", "role": "POTE"},
            "mode": "sea",
            "transport": vessel | {"voyage": "2103S"},
            "empty": True,
            "warnings": placeholder(f"/{n}/equipmentReference", f"/{n}/references/0/referenceValue"),
        }

    late, early, first = "2021-01-23T12:34:56Z", "2021-01-09T14:12:56Z", "2021-01-01T14:12:56Z"
    assert verdicts(samples / "dcsa" / "tnt-220-response.json", late, fence=False) == [
        arrived(0, late, "1"),
        draft(1, late, "bill_of_lading", "RESERVED-HHL123"),
        loaded(2, late),
        arrived(3, early, "0"),
        draft(4, early, "booking", "ABC123123123"),
        loaded(5, early),
        draft(6, first, "bill_of_lading", "RESERVED-HHL123"),
    ]


def test_dcsa_response_holds_events_that_are_too_old_to_be_stored(samples: Path) -> None:
    found = verdicts(samples / "dcsa" / "tnt-220-response.json", "2021-01-23T12:40:00Z")

    assert ["problem" in verdict for verdict in found] == [False, True, True, False, True, True, True]
    assert {verdict["problem"] for verdict in found if "problem" in verdict} == {"outside_time_fence"}


def test_214_of_a_paper_mill(samples: Path) -> None:
    content = (samples / "x12" / "214_MGCTLYST.edi").read_bytes()
    reading = read_text(content, context_at("2016-07-26T20:00:00Z", registers=EMPTY))

    assert [warning.code for warning in reading.warnings] == ["test_message"]
    assert told(reading) == [
        {
            "position": "segment 15 (AT7)",
            "standard": "x12.214",
            "code": "D1",
            "milestone": "delivered",
            "mapped": True,
            "classifier": "actual",
            "occurred_at": "2016-07-26T12:30:00-04:00",
            "zone_assumed": True,
            "references": [{"kind": "pro_number", "value": "1751807"}],
            "place": {"name": "BRATTLEBORO"},
            "mode": "road",
            "transport": {"vehicle": "30402", "scac": "SCAC"},
            "warnings": [
                {"code": "zone_assumed", "where": "segment 15 (AT7)", "text": "local time of VT (America/New_York) assumed"}
            ],
        }
    ]


def test_214_of_several_stops(samples: Path) -> None:
    stops = [
        (6, [("08:30", 17), ("09:30", 17), ("09:30", 17), ("07:45", 22), ("07:45", 22), ("07:45", 22)]),
        (14, [("08:30", 17), ("09:30", 17), ("09:30", 17), ("11:00", 18), ("11:00", 18), ("11:00", 19)]),
        (22, [("08:30", 17), ("09:30", 17), ("09:30", 17), ("03:30", 18), ("04:30", 19), ("04:30", 19)]),
    ]
    codes = ["appointment/AA", "X3", "CP", "appointment/AB", "X1", "D1"]
    milestones: dict[str, dict[str, Any]] = {
        "X1": {"milestone": "arrived_consignee", "reason": "AD"},
        "D1": {"milestone": "delivered"},
    }

    def passed(code: str, where: str) -> list[dict[str, str]]:
        text = f"not the last of the load's stops: {code} moves nothing"
        return [{"code": "one_of_several_stops", "where": where, "text": text}]

    def not_the_last(where: str) -> dict[str, dict[str, Any]]:
        return {"X1": {"reason": "AD", "warnings": passed("X1", where)}, "D1": {"warnings": passed("D1", where)}}

    hoped = [
        {
            "position": f"segment {first + offset} (AT7)",
            "standard": "x12.214",
            "code": code,
            "mapped": True,
            "classifier": "planned" if code.startswith("appointment") else "actual",
            "occurred_at": f"2011-12-{day}T{time}:00-08:00",
            "zone_assumed": False,
            "references": [{"kind": "pro_number", "value": "995551"}],
            "mode": "road",
            "transport": {"scac": "XXXX"},
            "warnings": [],
        }
        | (milestones if first == 6 else not_the_last(f"segment {first + offset} (AT7)")).get(code, {})
        for first, times in stops
        for offset, (code, (time, day)) in enumerate(zip(codes, times, strict=True))
    ]
    content = (samples / "x12" / "214_multi_stop.edi").read_bytes()
    reading = read_text(content, context_at("2011-12-22T20:00:00Z", registers=EMPTY))

    assert told(reading) == hoped
    assert len({event.event_id for event in reading.events}) == 18
    assert [warning.code for warning in reading.warnings] == ["bad_control_number"]


def test_315_at_a_rail_ramp(samples: Path) -> None:
    assert verdicts(samples / "x12" / "315_004010_rail.edi", "2022-09-01T12:00:00Z") == [
        {
            "position": "segment 4 (B4)",
            "standard": "x12.315",
            "code": "VA",
            "mapped": True,
            "classifier": "actual",
            "occurred_at": "2022-09-01T08:07:00Z",
            "zone_assumed": True,
            "references": [
                {"kind": "container", "value": "GMCU6094137"},
                {"kind": "bill_of_lading", "value": "21001ASK5V9U"},
                {"kind": "booking", "value": "1NAN910141"},
            ],
            "place": {"name": "LOCKBOURNE"},
            "origin": {"unlocode": "USMEM", "name": "BNSF MEMPHIS RAMP", "country": "US", "role": "load"},
            "destination": {"unlocode": "USDAL", "name": "BNSF ALLIANCE RAMP", "country": "US", "role": "delivery"},
            "mode": "sea",
            "transport": {"vessel": "MARIM", "voyage": "202N"},
            "empty": True,
            "warnings": [
                {
                    "code": "bad_check_digit",
                    "where": "segment 4 (B4)",
                    "text": "container GMCU6094137 should end in 5; kept as sent",
                },
                {
                    "code": "bad_imo",
                    "where": "segment 8 (Q2)",
                    "text": "9330141 is not an IMO number (seven digits, the last a check digit); not used",
                },
                {
                    "code": "zone_unknown",
                    "where": "segment 4 (B4)",
                    "text": "local time of an unknown place (UTC) assumed",
                },
                {
                    "code": "empty_container",
                    "where": "segment 4 (B4)",
                    "text": "an empty container carries nobody's goods: VA moves nothing",
                },
            ],
        }
    ]


def test_three_fsu_in_a_file(samples: Path) -> None:
    hoped = [
        {
            "position": f"line {line}",
            "standard": "cargo_imp.fsu",
            "code": code,
            "mapped": True,
            "classifier": "actual",
            "occurred_at": "2020-10-16T13:17:00+02:00",
            "zone_assumed": True,
            "references": [{"kind": "air_waybill", "value": "020-12345675"}],
            "place": {"unlocode": "DEFRA", "iata": "FRA"},
            "origin": {"unlocode": "DEFRA", "iata": "FRA"},
            "destination": {"unlocode": "USJFK", "iata": "JFK"},
            "mode": "air",
            "pieces": {"this": 1, "total": 1, "part": "T"},
            "warnings": [
                {"code": "zone_assumed", "where": f"line {line}", "text": "local time of FRA (Europe/Berlin) assumed"}
            ],
        }
        | ({"milestone": milestone} if milestone else {})
        for line, (code, milestone) in enumerate([("BKD", "booked"), ("FOH", None), ("RCS", "received")], start=1)
    ]

    assert verdicts(samples / "air" / "fsu14_bkd_foh_rcs.txt", "2020-10-17T00:00:00Z") == hoped


def test_322_at_a_rail_ramp(samples: Path) -> None:
    times = [(6, "371 (20160528 091200)"), (7, "017 (20160529 080000)"), (8, "830 (20160528 160000)")]
    assert verdicts(samples / "x12" / "322_rail_gate.edi", "2016-05-27T12:00:00Z") == [
        {
            "position": "segment 5 (N7)",
            "standard": "x12.322",
            "code": "A",
            "mapped": True,
            "classifier": "actual",
            "occurred_at": "2016-05-26T21:45:20-05:00",
            "zone_assumed": True,
            "references": [
                {"kind": "container", "value": "HASU4316170"},
                {"kind": "seal", "value": "SN1234567"},
                {"kind": "seal", "value": "SN1234568"},
                {"kind": "booking", "value": "6PHLSA1234"},
                {"kind": "bill_of_lading", "value": "A5GEMEN1976X"},
            ],
            "place": {"unlocode": "USSTP", "name": "SAINT PAUL", "country": "US", "role": "activity"},
            "empty": False,
            "warnings": [
                *(
                    {"code": "time_not_used", "where": f"segment {n} (DTM)", "text": f"DTM {time} is not read"}
                    for n, time in times
                ),
                {
                    "code": "zone_assumed",
                    "where": "segment 4 (Q5)",
                    "text": "local time of USSTP (America/Chicago) assumed",
                },
            ],
        }
    ]


def test_856_of_two_widgets(samples: Path) -> None:
    content = (samples / "x12" / "856_004060.edi").read_bytes()
    reading = read_text(content, context_at("2011-12-07T00:00:00Z", sender="XYZ", registers=EMPTY))

    assert told(reading) == [
        {
            "position": "segment 4 (BSN)",
            "asked": "add_lines",
            "row": 3,
            "fields": {
                "consignment": "XYZ-829716",
                "items": [
                    {"line": 1, "category": "other", "description": "BLUE WIDGET", "quantity": 24, "unit": "each"},
                    {"line": 2, "category": "other", "description": "RED WIDGET", "quantity": 6, "unit": "each"},
                ],
                "references": [
                    {"kind": "bill_of_lading", "value": "999999-001"},
                    {"kind": "pro_number", "value": "5787970539"},
                    {"kind": "purchase_order", "value": "99999817"},
                ],
            },
            "warnings": [
                {
                    "code": "unknown_carrier",
                    "where": "segment 7 (TD5)",
                    "text": "carrier XXXX is not a registered sender; not used",
                },
                *(
                    {
                        "code": "category_assumed",
                        "where": f"segment {n} (LIN)",
                        "text": "no description tells the category; other assumed",
                    }
                    for n in (23, 28)
                ),
            ],
        }
    ]
    assert reading.warnings == ()


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("dcsa/event-sub*", "subscription"),
    ],
)
def test_other_standards_are_refused_by_name(samples: Path, pattern: str, name: str) -> None:
    files = sorted(samples.glob(pattern))
    assert files
    for file in files:
        with pytest.raises(Unreadable) as caught:
            read_text(file.read_bytes(), context_at("2022-09-01T12:00:00Z"))
        assert caught.value.code == "unsupported_standard"
        assert name in caught.value.text
