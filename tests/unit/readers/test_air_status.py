"""What the three readers of air cargo share: a sender's own codes, flights, pieces."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from types import MappingProxyType

import pytest

from schemas.shipment_event_v1 import ShipmentEvent
from schemas.words import Standard
from services.ingest.codemaps.model import CodeMap, CodeMaps, Meaning
from services.ingest.readers import Registers
from services.ingest.readers.air_status import BEFORE_FLIGHT, MEANINGS, MILESTONES, flight_number
from tests.unit.readers import test_cargo_xml as xml
from tests.unit.readers.helpers import context_at, read_text
from tests.unit.readers.test_one_record import CODES
from tests.unit.readers.test_one_record import event as one_record_event

MESSAGES: dict[Standard, str] = {
    "cargo_imp.fsu": "FSU/14\n020-12345675FRALAX/T20\nCODE/31MAR1500/LAX/T20",
    "cargo_xml.xfsu": xml.message(xml.status("CODE", xml.movement(xml.at()))),
    "one_record": json.dumps(one_record_event(eventCode={"@id": CODES + "CODE"})),
}


def read_with(standard: Standard, code: str, codes: dict[str, Meaning]) -> ShipmentEvent:
    one = CodeMap("LH", standard, 3, "", datetime(2020, 1, 1, tzinfo=UTC), MappingProxyType(codes), "a test", "one.toml")
    registers = Registers.of([], [], CodeMaps.of([one]))
    text = re.sub(r"\bCODE|(?<=_)CODE", code, MESSAGES[standard])
    reading = read_text(text, context_at("2020-04-01T12:00:00Z", "LH", registers))
    assert not reading.problems, reading.problems
    return reading.events[0]


@pytest.mark.parametrize("standard", MESSAGES)
def test_a_senders_own_code_has_the_meaning_of_its_map(standard: Standard) -> None:
    own = read_with(standard, "SAC", {"SAC": Meaning("security accepted", "received")})
    other = read_with(standard, "QQQ", {"SAC": Meaning("security accepted", "received")})

    assert (own.code, own.milestone, own.mapped) == ("SAC", "received", True)
    assert "unmapped_code" not in [warning.code for warning in own.warnings]
    assert (other.code, other.milestone, other.mapped) == ("QQQ", None, False)


@pytest.mark.parametrize("standard", MESSAGES)
def test_a_senders_map_comes_before_the_standard(standard: Standard) -> None:
    assert read_with(standard, "DLV", {"DLV": Meaning("to the door", "delivered")}).milestone == "delivered"
    assert read_with(standard, "DLV", {"SAC": Meaning("other")}).milestone == "gate_out"


@pytest.mark.parametrize("standard", MESSAGES)
def test_every_code_has_the_same_milestone_in_all_three(standard: Standard) -> None:
    codes = [code for code in MEANINGS if code not in BEFORE_FLIGHT]
    told = {code: read_with(standard, code, {"SAC": Meaning("other")}).milestone for code in codes}

    assert told == {code: MILESTONES.get(code) for code in told}


@pytest.mark.parametrize(
    ("text", "carrier", "flight"),
    [
        ("LH0456", None, "LH456"),
        ("lh 456", None, "LH456"),
        ("5X123A", None, "5X123A"),
        ("C29", None, "C29"),
        ("0456", "LH", "LH456"),
        ("456", None, None),
        ("456", "Lufthansa", None),
        ("DLH456", None, None),
        ("", "LH", None),
        ("LH12345", None, None),
        ("²", "LH", None),
    ],
)
def test_flights(text: str, carrier: str | None, flight: str | None) -> None:
    assert flight_number(text, carrier) == flight
