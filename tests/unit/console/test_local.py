"""Times are told in the viewer's zone, and on hover in UTC and as a clock says where it is."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from services.console.consignment import tell
from services.console.local import Zones
from services.console.present import when
from services.console.questions import Place
from tests.unit.sink.examples import exception, journey, statement

NOW = datetime(2020, 4, 12, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
PACIFIC = "America/Los_Angeles"
REGISTER = {
    "H-HARBOR": Place("H-HARBOR", "Harbor-UCLA", PACIFIC, ""),
    "GUM-1": Place("GUM-1", "Guam Cargo", "Pacific/Guam", "GUAPR"),
    "ODD": Place("ODD", "Odd", "No/Zone", ""),
}


def test_a_time_says_its_utc_and_the_clock_of_where_it_is() -> None:
    told = when(datetime(2020, 4, 11, 0, 40, tzinfo=UTC), BERLIN, PACIFIC)
    assert 'title="Sat 11 Apr 2020 02:40:00 CEST; 11 Apr 00:40 UTC; there Fri 10 Apr 17:40 PDT"' in told
    assert ">Sat 11 Apr 02:40</time>" in told


@pytest.mark.parametrize("there", ["", "No/Zone", "UTC", "../../etc/passwd", '"><b>'])
def test_where_nobody_knows_the_zone_there_nothing_is_said_of_it(there: str) -> None:
    told = when(NOW, BERLIN, there)
    assert "there" not in told and told.count("<") == 2


@pytest.mark.parametrize(
    ("place", "zone"),
    [
        ("H-HARBOR", PACIFIC),  # the register, by its own code
        ("GUAPR", "Pacific/Guam"),  # by UN/LOCODE
        ("USLAX", PACIFIC),  # an airport of that code
        ("SIN", "Asia/Singapore"),
        ("CNYTN", "Asia/Shanghai"),  # a port of a country of one zone: said by a route, so it is a UN/LOCODE
        ("CNYTM", ""),  # the same, which no route names
        ("TOKYO", ""),  # a town's name: TO is Tonga
        ("Port of Los Angeles", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_a_place_keeps_the_zone_of_the_register_else_of_its_port(place: str | None, zone: str) -> None:
    assert Zones(REGISTER, {"CNYTN"}).of(place) == zone


def test_each_step_of_a_journey_is_told_where_it_is() -> None:
    steps = ("departed", "transship_arrived", "arrived", "delivered")
    said = [
        statement("departed", "2020-03-20T01:00:00Z", place="CNSHA"),
        statement("arrived", "2020-04-10T16:40:00Z", place=None),
        statement("gate_out", "2020-04-11T16:40:00Z", place="GUM-1"),
    ]
    milestones = [{"milestone": step, "leg": "SGSIN" if step.startswith("trans") else "", "planned": NOW} for step in steps]
    milestones.append({"milestone": "gate_out", "actual": "2020-04-11T16:40:00Z"})
    wrong = [
        exception(),
        exception("silent", key="silent", milestone=None),
        exception("on_hold", key="on_hold", milestone=None),
    ]
    story = tell(journey(milestones=milestones, statements=said, exceptions=wrong), REGISTER, NOW)
    zones = {step.milestone: step.zone for segment in story.segments for step in segment.steps}
    assert zones == {
        "departed": "Asia/Shanghai",
        "transship_arrived": "Asia/Singapore",
        "arrived": PACIFIC,
        "gate_out": "Pacific/Guam",  # where who is followed says that it was
        "delivered": PACIFIC,
    }
    assert {one.milestone: one.zone for one in story.said}["arrived"] == PACIFIC
    assert {one.kind: one.zone for one in story.wrong} == {"late": PACIFIC, "silent": "", "on_hold": PACIFIC}
    assert (story.units[0].zone, story.hospital_zone, story.port_zone) == (PACIFIC, PACIFIC, PACIFIC)
