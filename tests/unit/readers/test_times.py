"""Local times of the hours in which clocks are changed: what they say twice or never is told, in every standard."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.readers.helpers import context_at, read_text

NEVER, TWICE, ONCE = "20200308T0230", "20191103T0130", "20200308T0330"
OFFSETS = {NEVER: "-08:00", TWICE: "-07:00", ONCE: "-07:00"}  # before the change, which is none for the last


def x12(day: str, time: str, zone: str) -> str:
    return (
        "ISA*00*          *00*          *02*HBRT           *02*LOVLA          *200412*0820*U*00401*000000001*0*P*>~"
        "GS*QM*HBRT*LOVLA*20200412*0820*1*X*004010~ST*214*0001~B10*PRO123*SHIP1*HBRT~LX*1~"
        f"AT7*X3*NS***{day}*{time}*{zone}~MS1*LOS ANGELES*CA*US~SE*6*0001~GE*1*1~IEA*1*000000001~"
    )


def edifact(day: str, time: str, zone: str) -> str:
    return (
        "UNB+UNOA:2+HBRT+LOVLA+200412:0820+1'UNH+1+IFTSTA:D:00B:UN'BGM+23+1+9'RFF+BM:B1'STS+1+21'"
        f"DTM+334:{day}{time}{zone}:{303 if zone else 203}'LOC+7+USLAX:139:6'UNT+7+1'UNZ+1+1'"
    )


def fsu(day: str, time: str, _: str) -> str:
    month = {"03": "MAR", "11": "NOV"}[day[4:6]]
    return f"FSU/14\n020-12345675FRALAX/T20\nDLV/{day[6:]}{month}{time}/LAX/T20"


@pytest.mark.parametrize("moment", [NEVER, TWICE, ONCE])
@pytest.mark.parametrize(
    ("write", "zone"),
    [(x12, "PT"), (x12, "LT"), (x12, ""), (edifact, ""), (edifact, "LT"), (fsu, "")],
    ids=["X12 PT", "X12 LT", "X12", "EDIFACT", "EDIFACT LT", "FSU"],
)
def test_a_time_that_clocks_never_showed_or_twice_is_told(
    write: Callable[[str, str, str], str], zone: str, moment: str
) -> None:
    day, _, time = moment.partition("T")
    (event,) = read_text(write(day, time, zone), context_at("2020-03-20T00:00:00Z", "HBRT", fence=False)).events

    assert event.occurred_at.isoformat() == f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:]}:00{OFFSETS[moment]}"
    assert ("ambiguous_time" in [warning.code for warning in event.warnings]) == (moment != ONCE)


@pytest.mark.parametrize(("zone", "offset"), [("PDT", "-07:00"), ("PST", "-08:00"), ("-0800", "-08:00")])
def test_an_offset_or_its_name_tells_which_of_the_two(zone: str, offset: str) -> None:
    (event,) = read_text(edifact(TWICE[:8], TWICE[9:], zone), context_at("2020-01-15T00:00:00Z", "HBRT")).events

    assert event.occurred_at.isoformat() == f"2019-11-03T01:30:00{offset}"
    assert not event.warnings


@pytest.mark.parametrize(("zone", "offset"), [("BST", "+01:00"), ("GMT", "+00:00")])
def test_the_name_that_a_place_gives_to_its_clocks_tells_too(zone: str, offset: str) -> None:
    text = edifact("20191027", "0130", zone).replace("USLAX", "GBFXT")
    (event,) = read_text(text, context_at("2020-01-15T00:00:00Z", "HBRT")).events

    assert event.occurred_at.isoformat() == f"2019-10-27T01:30:00{offset}"
    assert not event.warnings
