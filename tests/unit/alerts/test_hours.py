"""Local hours as moments, on ordinary nights and on those when the clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.alerts.hours import next_digest, quiet_until, zone_of
from tests.unit.alerts.build import subscription

LA = zone_of("America/Los_Angeles")


def local(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=LA, fold=fold).astimezone(UTC)


def test_quiet_hours_that_span_midnight_hold_on_both_sides_of_it() -> None:
    night = subscription(quiet=("21:00", "07:00"))
    assert quiet_until(night, local("2026-11-20T20:59")) is None
    assert quiet_until(night, local("2026-11-20T21:00")) == local("2026-11-21T07:00")
    assert quiet_until(night, local("2026-11-21T03:00")) == local("2026-11-21T07:00")
    assert quiet_until(night, local("2026-11-21T07:00")) is None


def test_quiet_hours_by_day_hold_on_that_day() -> None:
    siesta = subscription(quiet=("12:00", "14:00"))
    assert quiet_until(siesta, local("2026-11-20T13:00")) == local("2026-11-20T14:00")
    assert quiet_until(siesta, local("2026-11-20T11:59")) is None


def test_quiet_from_and_to_the_same_time_is_never_quiet() -> None:
    assert quiet_until(subscription(quiet=("08:00", "08:00")), local("2026-11-20T08:00")) is None


def test_quiet_hours_end_once_on_the_night_that_has_an_hour_twice() -> None:
    night = subscription(quiet=("22:00", "01:30"))
    first, again = local("2026-11-01T01:30", fold=0), local("2026-11-01T01:30", fold=1)
    assert again - first == timedelta(hours=1)
    assert quiet_until(night, first - timedelta(minutes=1)) == first
    assert [quiet_until(night, first + timedelta(minutes=n)) for n in range(120)] == [None] * 120


def test_quiet_hours_that_end_in_the_hour_that_is_skipped_end_with_it() -> None:
    night = subscription(quiet=("22:00", "02:30"))
    assert quiet_until(night, local("2026-03-08T01:00")) == datetime(2026, 3, 8, 10, tzinfo=UTC)  # 03:00 PDT


def test_a_digest_at_half_past_two_goes_on_the_night_without_that_hour_and_once() -> None:
    daily = subscription(digest="daily", digest_at="02:30")
    due = local("2026-03-07T12:00")
    found = []
    for _ in range(3):
        due = next_digest(daily, due) or due
        found.append(due.astimezone(LA).strftime("%d %H:%M"))
    assert found == ["08 03:00", "09 02:30", "10 02:30"]


def test_a_digest_in_the_hour_that_comes_twice_goes_once() -> None:
    daily = subscription(digest="daily", digest_at="01:30")
    first = next_digest(daily, local("2026-10-31T12:00"))
    assert first == local("2026-11-01T01:30", fold=0)
    assert next_digest(daily, first) == local("2026-11-02T01:30")


@pytest.mark.parametrize(("zone", "minute"), [("America/Los_Angeles", 0), ("Asia/Kolkata", 30)])
def test_an_hourly_digest_goes_at_the_full_hour_of_the_local_clock(zone: str, minute: int) -> None:
    due = next_digest(subscription(digest="hourly", zone=zone), datetime(2026, 3, 8, 9, 10, tzinfo=UTC))
    assert due is not None
    assert due.minute == minute
    assert timedelta() < due - datetime(2026, 3, 8, 9, 10, tzinfo=UTC) <= timedelta(hours=1)


def test_every_minute_of_a_year_is_before_its_next_digest_and_no_digest_is_left_out() -> None:
    daily = subscription(digest="daily", digest_at="02:30")
    at, days = datetime(2026, 1, 1, tzinfo=UTC), set()
    while at < datetime(2027, 1, 1, tzinfo=UTC):
        due = next_digest(daily, at)
        assert due is not None
        assert due > at
        days.add(due.astimezone(LA).date())
        at = due
    assert len(days) == 366


def test_a_zone_that_does_not_exist_is_utc() -> None:
    assert str(zone_of("Atlantis/Capital")) == "UTC"
