"""Local hours as moments: when a subscriber's quiet ends, when the next digest is due. Pure; time is an argument.

A local time that the night of a clock change skips is the moment when the skipped hour ends (02:30 becomes 03:00); one that
comes twice is its first coming. So a digest goes once a day, and quiet hours begin and end once, on every night.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.alerts_v1 import Subscription

DIGEST_AT = "07:00"
"""Of a daily digest that names no time: before the day's work at the dock."""


@lru_cache(maxsize=512)
def zone_of(name: str) -> ZoneInfo:
    """The zone; UTC where there is none of that name (a subscriber must not be lost to a typing error)."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The UTC moment of a local time of a day."""
    local = datetime.combine(day, at, zone)
    found = local.astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return found
    return _end_of_gap(found, zone)


def _end_of_gap(after: datetime, zone: ZoneInfo) -> datetime:
    """The change of the clock before `after`, which lies at most a gap behind it. To the minute, as all changes are."""
    offset = after.astimezone(zone).utcoffset()
    found = after
    while (found - timedelta(minutes=1)).astimezone(zone).utcoffset() == offset:
        found -= timedelta(minutes=1)
    return found


def quiet_until(subscription: Subscription, now: datetime) -> datetime | None:
    """When the quiet hours that `now` lies in end; None: they do not hold now."""
    if subscription.quiet is None:
        return None
    zone = zone_of(subscription.zone)
    begin, end = (time.fromisoformat(text) for text in subscription.quiet)
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        ends = moment(day if begin < end else day + timedelta(days=1), end, zone)
        if begin != end and moment(day, begin, zone) <= now < ends:
            return ends
    return None


def next_digest(subscription: Subscription, now: datetime) -> datetime | None:
    """The first digest after `now`; None: this subscriber is told at once."""
    if subscription.digest == "immediate":
        return None
    zone = zone_of(subscription.zone)
    local = now.astimezone(zone)
    if subscription.digest == "hourly":  # by the local clock, whose hour may begin at half past in UTC
        past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return (local.astimezone(UTC) - past) + timedelta(hours=1)
    at = time.fromisoformat(subscription.digest_at or DIGEST_AT)
    days = (local.date() + timedelta(days=n) for n in range(3))
    return next(due for day in days if (due := moment(day, at, zone)) > now)
