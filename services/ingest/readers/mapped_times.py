"""Times as spreadsheets and partners' own JSON write them, by the formats that a mapping names."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

from services.ingest.mappings_model import TimeFormat
from services.ingest.readers.draft import sensible_year
from services.ingest.readers.times import nearest_year, parse_rfc3339

_NUMBER = re.compile(r"[0-9]{1,16}(?:\.[0-9]{1,20})?", re.ASCII)
_EXCEL_DAY_0: Final = datetime(1899, 12, 30)  # noqa: DTZ001  a spreadsheet's days have no zone; this one makes its leap day of 1900 right
_EXCEL_LAST: Final = 110_000  # days: in 2201
_UNIX_LAST: Final = 7_258_118_400  # seconds: 2200
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class NoTime(ValueError):
    """The text is no time of these formats."""


@dataclass(frozen=True, slots=True)
class Found:
    """A time, naive where the text has no offset."""

    moment: datetime
    has_clock: bool = True


def moment_of(text: str, formats: Sequence[TimeFormat], near: datetime, happened: bool = False) -> Found:
    """`text` by the first format that it has. `near`, `happened`: as `nearest_year` has them, for the year where a format has
    none. Raises NoTime."""
    wrong = ""
    for format_ in formats:
        try:
            found = _by(format_, text, near, happened)
        except ValueError as error:
            wrong = wrong or f"{text[:40]}: {error}"
            continue
        if found is not None:
            return found
    raise NoTime(wrong or f"{text[:40]} is not written as {' or '.join(one.name for one in formats)}")


def _by(format_: TimeFormat, text: str, near: datetime, happened: bool) -> Found | None:
    """None if the text is not of this form; raises ValueError if it is, and no time."""
    if format_.name == "iso":
        if len(text) == 10:
            day = date.fromisoformat(text)
            _sensible(day.year)
            return Found(datetime(day.year, day.month, day.day), has_clock=False)  # noqa: DTZ001  made aware by the caller
        return Found(parse_rfc3339(text))
    if format_.name in ("excel", "unix", "unix_ms"):
        return _number(format_.name, text)
    match = format_.pattern.fullmatch(text)
    if match is None:
        return None
    return _parts(dict(zip(format_.tokens, match.groups(), strict=True)), near, happened)


def _number(name: str, text: str) -> Found | None:
    if _NUMBER.fullmatch(text) is None:
        return None
    number = float(text)
    if name == "excel":
        if not 1 <= number < _EXCEL_LAST:
            raise ValueError("lies outside of all sense")
        # a spreadsheet keeps a minute as a fraction of a day: to the second it is what was typed
        seconds = round(number * 86_400)
        moment = _EXCEL_DAY_0 + timedelta(seconds=seconds)
        _sensible(moment.year)
        return Found(moment, has_clock=not math.isclose(number, int(number), abs_tol=1e-9) or "." in text)
    seconds_since = number / (1000 if name == "unix_ms" else 1)
    if seconds_since > _UNIX_LAST:
        raise ValueError("lies outside of all sense")
    return Found(datetime.fromtimestamp(seconds_since, UTC))


def _parts(said: dict[str, str], near: datetime, happened: bool) -> Found:
    day = int(said.get("DD") or said["D"])
    month = _month(said)
    if (year := said.get("YYYY") or said.get("YY")) is not None:
        on = date(int(year) + (2000 if len(year) == 2 else 0), month, day)
    else:
        on = nearest_year(day, month, near, happened)
    _sensible(on.year)
    hour_text = next((said[name] for name in ("HH", "H", "hh", "h") if name in said), None)
    hour, minute, second = int(hour_text or 0), int(said.get("mm", 0)), int(said.get("ss", 0))
    if "AM" in said:
        if not 1 <= hour <= 12:
            raise ValueError(f"{hour} is no hour of twelve")
        hour = hour % 12 + (12 if said["AM"] in "Pp" else 0)
    midnight = (hour, minute, second) == (24, 0, 0)
    moment = datetime(on.year, on.month, on.day, 0 if midnight else hour, minute, second)  # noqa: DTZ001  zone follows
    moment += timedelta(days=midnight)
    if "ZZ" in said:
        moment = moment.replace(tzinfo=_offset(said["ZZ"]))
    return Found(moment, has_clock=hour_text is not None)


def _month(said: dict[str, str]) -> int:
    if "MON" not in said:
        return int(said.get("MM") or said["M"])
    name = said["MON"].lower()
    found = next((number for number, short in enumerate(_MONTHS, start=1) if name.startswith(short)), None)
    if found is None:
        raise ValueError(f"{name} is no English name of a month")
    return found


def _offset(text: str) -> timezone:
    if text in "Zz":
        return UTC
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if int(digits[2:]) > 59 or offset > timedelta(hours=15):
        raise ValueError("an offset that no place keeps")
    return timezone(-offset if text[0] == "-" else offset) if offset else UTC


def _sensible(year: int) -> None:
    if not sensible_year(year):
        raise ValueError("lies outside of all sense")
