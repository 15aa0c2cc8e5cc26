"""Whether what a subscription names is in the registers: a typo must be told, else it is a silence. Pure.

Consignments and references are not judged: nobody is told whether one is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

from schemas.alerts_v1 import Filters
from schemas.registers_v1 import Facility, Sender
from schemas.words import FacilityKind, SenderKind
from services.alerts.languages import Language

JUDGED: Final = ("facilities", "carriers", "terminals")
NEAR_MOST: Final = 3
NEAR_FOR: Final = 10  # values; who has more of them wrong has another trouble
_LIKE: Final = 0.6  # difflib's own idea of a close match
_LOADING: Final[tuple[FacilityKind, ...]] = ("terminal", "airport")
_NO_CARRIERS: Final[tuple[SenderKind, ...]] = ("buyer", "consignee", "operator")

Registered = Mapping[str, tuple[str, ...]]
"""Code -> what else it is called by: its name first."""


@dataclass(frozen=True, slots=True)
class Unregistered:
    """A value of a filter that nothing can match. `where`: a JSON pointer into the subscription. `misplaced`: it is known, but
    belongs into another filter; `near`: what may have been meant, as `CODE (name)`."""

    where: str
    filter: str
    value: str
    misplaced: Literal["is_terminal", "is_no_terminal"] | None = None
    near: tuple[str, ...] = ()

    def say(self, speech: Language) -> str:
        """In words, for whoever named it."""
        if self.misplaced is not None:
            return speech.say(f"unregistered.{self.misplaced}", value=self.value)
        near = speech.say("unregistered.near", near=speech.say("unregistered.or").join(self.near)) if self.near else ""
        return speech.say(f"unregistered.{self.filter}", value=self.value) + near


def unregistered(
    filters: Filters, facilities: Mapping[str, Facility], senders: Mapping[str, Sender], before: Filters | None = None
) -> tuple[Unregistered, ...]:
    """What no change can ever match, as the registers are. `before`: what the subscription named already is not judged anew."""
    found = list(_missing(filters, facilities, senders, before or Filters()))
    named: dict[str, Registered] = {
        "facilities": {code: _words(one) for code, one in facilities.items() if one.kind not in _LOADING},
        "terminals": {code: _words(one) for code, one in facilities.items() if one.kind != "hospital"},
        "carriers": {code: (one.name, one.scac or "", one.iata or "") for code, one in _carriers(senders).items()},
    }
    return tuple(
        one if one.misplaced or n >= NEAR_FOR else Unregistered(one.where, one.filter, one.value, None, _near(one, named))
        for n, one in enumerate(found)
    )


def silent(filters: Filters, facilities: Mapping[str, Facility], senders: Mapping[str, Sender]) -> list[str]:
    """The same in short, for lists: `facilities: H-GONE`."""
    return [f"{one.filter}: {one.value}" for one in _missing(filters, facilities, senders, Filters())]


def _missing(
    filters: Filters, facilities: Mapping[str, Facility], senders: Mapping[str, Sender], before: Filters
) -> Iterator[Unregistered]:
    carriers = _carriers(senders) if filters.carriers else {}
    for name in JUDGED:
        for n, value in enumerate(getattr(filters, name)):
            where, place = f"/filters/{name}/{n}", facilities.get(value)
            if value in getattr(before, name):
                continue
            if name == "carriers":
                if value not in carriers:
                    yield Unregistered(where, name, value)
            elif place is None:
                yield Unregistered(where, name, value)
            elif name == "facilities" and place.kind in _LOADING:  # goods go through it, and to a place of delivery
                yield Unregistered(where, name, value, "is_terminal")
            elif name == "terminals" and place.kind == "hospital":
                yield Unregistered(where, name, value, "is_no_terminal")


def _carriers(senders: Mapping[str, Sender]) -> Mapping[str, Sender]:
    """Who can be one; who buys here is nobody's business."""
    return {code: one for code, one in senders.items() if one.kind not in _NO_CARRIERS}


def _words(one: Facility) -> tuple[str, ...]:
    return (one.name, one.unlocode or "", one.iata or "", one.smdg or "")


def _near(one: Unregistered, named: Mapping[str, Registered]) -> tuple[str, ...]:
    """The likest of the register, by code or by what else it is called."""
    asked = _plain(one.value)
    likes = [(_like(asked, code, words), code, words[0]) for code, words in named[one.filter].items()]
    best = sorted((like for like in likes if like[0] >= _LIKE), key=lambda like: (-like[0], like[1]))
    return tuple(f"{code} ({name})" for _, code, name in best[:NEAR_MOST])


def _like(asked: str, code: str, words: tuple[str, ...]) -> float:
    known = [_plain(word) for word in (code, *words) if word]
    if asked and asked in known:
        return 1.0
    if len(asked) >= 4 and asked in _plain(words[0]):  # a part of the name
        return 0.9
    matcher = SequenceMatcher(None, b=asked, autojunk=False)
    best = 0.0
    for word in known:
        matcher.set_seq1(word)
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best:
            best = max(best, matcher.ratio())
    return best


def _plain(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
