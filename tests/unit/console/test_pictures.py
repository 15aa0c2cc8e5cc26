"""The journey on its axis of time, and the map: places where they belong, from our own disk alone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.console import map_picture
from services.console.consignment import tell
from services.console.journey_picture import picture
from tests.unit.sink.examples import journey

NOW = datetime(2020, 4, 12, 12, tzinfo=UTC)
LOS_ANGELES = ZoneInfo("America/Los_Angeles")


def test_every_point_lies_on_one_axis_and_a_slip_joins_plan_and_actual() -> None:
    shown = picture(tell(journey(), {}, NOW).segments, NOW, LOS_ANGELES)
    lines = {line.step.milestone: line for _, of in shown.stretches for line in of}
    discharged, gate_out = lines["discharged"], lines["gate_out"]
    assert discharged.slips and discharged.is_actual
    assert discharged.planned is not None and discharged.told is not None and gate_out.planned is not None
    assert 0 < discharged.planned < discharged.told < gate_out.planned < 100
    assert gate_out.told is None
    assert shown.now is not None and discharged.told < shown.now < gate_out.planned


def test_ticks_are_midnights_of_the_viewers_zone() -> None:
    shown = picture(tell(journey(), {}, NOW).segments, NOW, LOS_ANGELES)
    assert [label for _, label in shown.ticks] == ["11 Apr", "12 Apr"]


def test_a_journey_without_any_time_is_drawn_too() -> None:
    bare = journey(milestones=[{"milestone": "booked"}], statements=[], exceptions=[])
    assert picture(tell(bare, {}, NOW).segments, NOW, LOS_ANGELES).ticks == []


@pytest.mark.parametrize("days", [0.1, 3, 40, 4_000])
def test_there_are_never_too_many_ticks(days: float) -> None:
    planned = [{"milestone": "booked", "planned": NOW}, {"milestone": "delivered", "planned": NOW + timedelta(days=days)}]
    shown = picture(tell(journey(milestones=planned), {}, NOW).segments, NOW, LOS_ANGELES)
    assert len(shown.ticks) <= 6


def test_a_way_over_the_date_line_is_drawn_the_short_way() -> None:
    drawn = map_picture.drawn(["CNSHA"], ["USLAX"])
    assert drawn is not None
    (begin, end) = drawn.stops
    assert begin.x < end.x  # eastwards, not round by Europe
    xs = [int(x) for x in re.findall(r"[ML](\d+) ", drawn.ahead)]
    assert xs == sorted(xs) and xs[0] == begin.x and xs[-1] == end.x
    assert (begin.been, begin.last, end.been) == (True, True, False)
    assert drawn.sentence == "Was at CNSHA; goes on to USLAX."


def test_a_place_without_a_position_is_named_beside_the_map() -> None:
    drawn = map_picture.drawn(["CNSHA", "ZZZZZ"], ["USLAX"])
    assert drawn is not None and drawn.unknown == ["ZZZZZ"]
    assert map_picture.drawn(["ZZZZZ"], ["USLAX"]) is None


def test_the_coast_stays_within_the_picture() -> None:
    path = map_picture.land((100.0, 0.0, 260.0, 67.2))
    if not path:
        pytest.skip("the base map is not installed: make setup")
    numbers = [int(one) for one in re.findall(r"-?\d+", path)]
    assert min(numbers) >= 0 and max(numbers[::2]) <= map_picture.WIDTH and max(numbers[1::2]) <= map_picture.HEIGHT
    assert len(path) < 60_000


def test_a_port_of_another_country_is_not_taken_for_an_airport() -> None:
    assert map_picture.position("USLAX") == pytest.approx((-118.4, 33.9), abs=0.1)
    assert map_picture.position("DELAX") is None
