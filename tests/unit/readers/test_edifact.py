"""EDIFACT: grammar, envelopes and messages, against what the standard says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.ingest.readers import Registers
from tests.unit.readers.helpers import FIXTURES, context_at, expected, read_text, told

MESSAGES = ("edifact_iftsta", "edifact_coarri", "edifact_codeco")


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_gives_exactly_the_events_that_it_says(name: str) -> None:
    hoped = expected(name)
    reading = read_text((FIXTURES / f"{name}.edi").read_bytes(), context_at(hoped["received_at"], hoped["sender"]))

    assert reading.standard == hoped["standard"]
    got = told(reading)
    for one, two in zip(got, hoped["verdicts"], strict=False):
        assert one == two
    assert len(got) == len(hoped["verdicts"])
    assert [warning.model_dump() for warning in reading.warnings] == hoped.get("warnings", [])


def test_an_iftsta_of_a_railway(samples: Path) -> None:
    """Two containers contradict each other; the status is the carrier's own; the legs' times are by rail and move nothing."""
    ends = {
        "origin": {"unlocode": "COCTG", "name": "SOCIEDAD PORTUARIA DE CARTAGEN, , CO", "role": "load"},
        "destination": {"unlocode": "USNYC", "name": "APM TERMINALS ELIZABETH, , US", "role": "discharge"},
    }
    each = {
        "standard": "edifact.iftsta",
        "zone_assumed": True,
        "references": [
            {"kind": "container", "value": "TRHU4561222"},
            {"kind": "booking", "value": "24O4023815"},
            {"kind": "bill_of_lading", "value": "ABCD224O4023815X"},
            {"kind": "purchase_order", "value": "2023521591"},
        ],
        "mode": "rail",
        "transport": {"scac": "ABCD"},
        **ends,
    }
    two_boxes = [
        {
            "code": "bad_check_digit",
            "where": "segment 31 (EQD)",
            "text": "container TRHU4561222 should end in 5; kept as sent",
        },
        {
            "code": "contradiction",
            "where": "segment 10 (RFF)",
            "text": "container TRHU4307252 contradicts TRHU4561222, named before; TRHU4307252 is not used",
        },
    ]
    unmapped = {
        "code": "unmapped_code",
        "where": "segment 14 (STS)",
        "text": "the code HS/P (Rail Departed from In-Transit Locat) is in no map; the event is kept and moves nothing",
    }

    def assumed(number: int, zone: str) -> dict[str, str]:
        return {"code": "zone_assumed", "where": f"segment {number} (DTM)", "text": f"local time of {zone} assumed"}

    def leg(number: int, code: str, at: str, classifier: str, place: dict[str, str], zone: str) -> dict[str, Any]:
        said = {"position": f"segment {number} (DTM)", "code": code, "mapped": True, "classifier": classifier}
        return each | said | {"occurred_at": at, "place": place, "warnings": [*two_boxes, assumed(number, zone)]}

    chicago = {"unlocode": "USCHI", "name": "CSX 59TH STREET RAMP, , US"}
    content = (samples / "edifact" / "iftsta_d00b_rail_departed.edi").read_bytes()
    reading = read_text(content, context_at("2022-11-19T20:00:00Z", "ABCD", registers=Registers.empty()))

    assert [(warning.code, warning.where) for warning in reading.warnings] == [("bad_control_number", "segment 33 (UNZ)")]
    assert told(reading) == [
        each
        | {
            "position": "segment 14 (STS)",
            "code": "HS/P",
            "mapped": False,
            "classifier": "actual",
            "occurred_at": "2022-11-19T07:10:00-05:00",
            "place": {"unlocode": "USSYR", "name": "SYRACUSE", "country": "US", "role": "activity"},
            "empty": False,
            "warnings": [*two_boxes, unmapped, assumed(18, "USSYR (America/New_York)")],
        },
        leg(22, "DTM/186", "2022-11-09T14:15:00-05:00", "actual", ends["origin"], "COCTG (America/Bogota)"),
        leg(24, "DTM/178", "2022-11-17T05:05:00-05:00", "actual", ends["destination"], "USNYC (America/New_York)"),
        leg(25, "DTM/133", "2022-11-18T16:30:00-05:00", "estimated", ends["destination"], "USNYC (America/New_York)"),
        leg(27, "DTM/132", "2022-11-21T06:00:00-06:00", "estimated", chicago, "USCHI (America/Chicago)"),
        leg(28, "DTM/133", "2022-11-21T06:00:00-06:00", "estimated", chicago, "USCHI (America/Chicago)"),
        leg(
            30,
            "DTM/132",
            "2022-11-21T07:00:00Z",
            "estimated",
            {"unlocode": "USWOQ", "name": "WOODRIDGE, IL, US", "role": "delivery"},
            "an unknown place (UTC)",
        ),
    ]


def test_a_codeco_wrapped_in_json(samples: Path) -> None:
    content = (samples / "edifact" / "codeco_d95b_gate_in.smartdatamodels.json").read_bytes()
    reading = read_text(content, context_at("2023-08-12T00:00:00Z", "ESHUV", registers=Registers.empty()))

    assert reading.standard == "edifact"
    assert reading.warnings == ()
    assert told(reading) == [
        {
            "position": "/messageRaw segment 8 (EQD)",
            "standard": "edifact.codeco",
            "code": "34",
            "milestone": "received",
            "mapped": True,
            "classifier": "actual",
            "occurred_at": "2023-08-11T14:47:00Z",
            "zone_assumed": True,
            "references": [
                {"kind": "booking", "value": "FUE110823"},
                {"kind": "purchase_order", "value": "110823110823CCHRIB"},
                {"kind": "seal", "value": "88200"},
            ],
            "place": {"unlocode": "ESHUV", "name": "CONCHUV", "role": "load"},
            "origin": {"unlocode": "ESHUV", "role": "load"},
            "destination": {"unlocode": "ESFUE", "role": "discharge"},
            "mode": "road",
            "transport": {"vessel": "CHRISTIAN", "voyage": "110823110823CCHRIB", "vehicle": "993NGR"},
            "empty": False,
            "warnings": [
                {
                    "code": "bad_reference",
                    "where": "/messageRaw segment 8 (EQD)",
                    "text": "equipment TESI1120274 is neither a container nor a rail car; not used",
                },
                {
                    "code": "placeholder",
                    "where": "/messageRaw segment 4 (TDT)",
                    "text": "IMO number 1111111 is a known example value; not used",
                },
                {
                    "code": "zone_assumed",
                    "where": "/messageRaw segment 11 (DTM)",
                    "text": "local time of an unknown place (UTC) assumed",
                },
            ],
        }
    ]


def test_a_coprar_is_named_and_read_by_nobody(samples: Path) -> None:
    reading = read_text((samples / "edifact" / "coprar_d95b.edi").read_bytes(), context_at("2012-11-24T00:00:00Z"))

    assert told(reading) == [{"problem": "not_a_status_message", "where": "segment 1 (UNH)"}]
    assert "COPRAR is an order to load or discharge" in reading.problems[0].text
    assert [warning.code for warning in reading.warnings] == ["missing_unb"]
