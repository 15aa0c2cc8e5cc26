"""What the alerts say, by language: one catalogue a language (`<code>.toml`), the same keys and the same fields in each.

Pure but for reading its own files, once. A language that is not here is English.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache
from importlib.resources import files

from services.runtime.spoken import amount

LANGUAGES = ("en", "es")


@dataclass(frozen=True, slots=True)
class Language:
    """One language. `texts`: by `section.key`."""

    code: str
    texts: Mapping[str, str]

    def say(self, key: str, **fields: object) -> str:
        """The text with its fields put in. KeyError for a key or field that there is not: a fault of ours."""
        return self.texts[key].format(**fields)

    def when(self, moment: datetime, zone: tzinfo) -> str:
        """`12 Apr 01:20 PDT`."""
        local = moment.astimezone(zone)
        return f"{local.day} {self._month(local)} {local:%H:%M %Z}"

    def day(self, moment: datetime, zone: tzinfo) -> str:
        """`Sun 12 Apr 01:20 PDT`."""
        local = moment.astimezone(zone)
        return f"{self.texts['time.weekdays'].split()[local.weekday()]} {local:%d} {self._month(local)} {local:%H:%M %Z}"

    def _month(self, local: datetime) -> str:
        return self.texts["time.months"].split()[local.month - 1]

    def hours(self, value: float) -> str:
        """`18 h`, `3.2 days`, `40 min`. (Spanish of the United States writes the decimal point too.)"""
        number, unit = amount(value)
        return self.say({"d": "time.days", "h": "time.hours", "min": "time.minutes"}[unit], value=number)


@cache
def language(code: str) -> Language:
    """The language of this code, English if it is none of ours."""
    known = code if code in LANGUAGES else LANGUAGES[0]
    told = tomllib.loads(files(__name__).joinpath(f"{known}.toml").read_text(encoding="utf-8"))
    return Language(known, {f"{section}.{key}": text for section, texts in told.items() for key, text in texts.items()})
