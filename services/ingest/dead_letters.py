"""Dead letters as people work through them: which are open, which are meant, what may be done. Values only.

A letter is never changed and never deleted. What people did about it stands beside it (schemas/letter_settled_v1.py): it is
open until it is retried with success or discarded, with who, when and why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from schemas.dead_letter_v1 import DeadLetter
from schemas.letter_settled_v1 import LetterSettled

Way = Literal["bring back", "read again", "none"]
"""How a letter is retried: its record is appended again behind an unparking (it was put aside after a fault of ours); its
record is read again by today's readers; or not at all, because it is no reader's (the tracker, the sink)."""

_AGE = re.compile(r"([0-9]{1,6})([mhd])")
_UNITS: Final[Mapping[str, str]] = {"m": "minutes", "h": "hours", "d": "days"}
_ID_LEAST: Final = 6  # characters that an id may be cut to


class NoSuchLetter(ValueError):
    """An id that names no letter, or several."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A letter, and what was done last about it."""

    letter: DeadLetter
    settled: LetterSettled | None = None

    @property
    def state(self) -> Literal["open", "retried", "discarded"]:
        return "open" if self.settled is None else self.settled.act

    @property
    def way(self) -> Way:
        if self.letter.stage != "readers":
            return "none"
        return "bring back" if self.letter.retryable else "read again"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which letters are meant; what is None is not asked. `ids`: whole, or the beginning of one."""

    carrier: str | None = None
    reason: str | None = None
    stage: str | None = None
    standard: str | None = None
    before: datetime | None = None
    since: datetime | None = None
    ids: tuple[str, ...] = ()
    settled: bool = False

    @property
    def names_any(self) -> bool:
        """Whether it means less than all open letters."""
        return bool(self.ids) or any((self.carrier, self.reason, self.stage, self.standard, self.before, self.since))

    def has(self, one: Standing) -> bool:
        letter = one.letter
        if self.ids:
            return any(letter.letter_id.startswith(wanted) for wanted in self.ids)
        return (
            (self.settled or one.state == "open")
            and self.carrier in (None, letter.sender)
            and self.reason in (None, letter.reason)
            and self.stage in (None, letter.stage)
            and (self.standard is None or (letter.standard or "").startswith(self.standard))
            and (self.before is None or letter.received_at < self.before)
            and (self.since is None or letter.received_at >= self.since)
        )


def standing(letters: Iterable[DeadLetter], settled: Mapping[str, LetterSettled]) -> Sequence[Standing]:
    """Each letter once, the newest first: a replay may have written one again."""
    found = {letter.letter_id: Standing(letter, settled.get(letter.letter_id)) for letter in letters}
    return sorted(found.values(), key=lambda one: (one.letter.received_at, one.letter.letter_id), reverse=True)


def chosen(all_letters: Sequence[Standing], wanted: Filter) -> Sequence[Standing]:
    """Those that are meant. Raises NoSuchLetter for an id that names none, or several."""
    for text in wanted.ids:
        if len(text) < _ID_LEAST:
            raise NoSuchLetter(f"{text} is too short; give at least {_ID_LEAST} characters of a letter's id")
        count = sum(one.letter.letter_id.startswith(text) for one in all_letters)
        if count != 1:
            found = "there is no dead letter" if count == 0 else f"{count} dead letters begin with"
            raise NoSuchLetter(f"{found} {text}; `lovla dead-letters list --all` names them")
    return [one for one in all_letters if wanted.has(one)]


def age(text: str) -> timedelta:
    """`90m`, `12h`, `3d`. Raises ValueError."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text} is no age; write 90m, 12h or 3d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
