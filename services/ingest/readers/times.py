"""Times as messages write them; what they leave out is for the caller to assume, and to say so."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

from services.ingest.readers.draft import sensible_year

_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?"
    r"\s?(?:([Zz])|([+-])([0-9]{2}):?([0-9]{2}))?"
)
_AHEAD: Final = timedelta(days=2)  # of the receipt: clocks of other zones, and such as are wrong; as the time fence has it
_WRONG_DAY: Final = timedelta(days=31)
_OFFSET_MAX: Final = timedelta(hours=15)  # the widest in use is +14:00


def parse_rfc3339(text: str) -> datetime:
    """A date and time as ISO 8601 and RFC 3339 write it; naive where the text has no offset. Raises ValueError."""
    match = _RFC3339.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]} is not a date and time like 2020-04-12T08:20:05-07:00")
    year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
    if not sensible_year(year):
        raise ValueError(f"{text[:40]} lies outside of all sense")
    microsecond = int((match[7] or "0").ljust(6, "0")[:6])
    moment = datetime(year, month, day, hour, minute, int(match[6] or 0), microsecond)  # noqa: DTZ001  made aware by the caller
    if match[8]:
        return moment.replace(tzinfo=UTC)
    if match[9] is None:
        return moment
    offset = timedelta(hours=int(match[10]), minutes=int(match[11]))
    if int(match[11]) > 59 or offset > _OFFSET_MAX:
        raise ValueError(f"{text[:40]} has an offset that no place keeps")
    signed = -offset if match[9] == "-" else offset
    return moment.replace(tzinfo=timezone(signed) if signed else UTC)


def nearest_year(day: int, month: int, near: datetime, happened: bool = False) -> date:
    """The date of `day` and `month` in the year that brings it nearest to `near`. Raises ValueError if there is none.

    `happened`: what lies more than a month ahead of `near` was a year before, for it is over by then. What lies ahead by less
    is sooner a wrong day than eleven months old: the time fence refuses it.
    """
    found: list[date] = []
    for year in range(near.year - 4, near.year + 5):  # 29 February may be four years away, eight around 2100
        try:
            found.append(date(year, month, day))
        except ValueError:
            continue
    if not found:
        raise ValueError(f"day {day} of month {month} is in no calendar")
    if happened:
        found = [candidate for candidate in found if candidate <= (near + _WRONG_DAY).date()] or found
    return min(found, key=lambda candidate: abs(candidate - near.date()))


def newest_day(day: int, near: datetime) -> date:
    """The newest date of day of month `day` that is no more than two days ahead of `near`, when what was received then was
    sent. Raises ValueError if there is none."""
    found = [(near + _AHEAD).date() - timedelta(days=days) for days in range(62)]
    try:
        return next(candidate for candidate in found if candidate.day == day)
    except StopIteration:
        raise ValueError(f"{day} is no day of a month") from None
