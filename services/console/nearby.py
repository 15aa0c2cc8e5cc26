"""Of which consignment a reference that nobody owns may be: what it may have been meant to say, and what was due there then.

A guess for a planner to judge: it is said why, and nothing is linked by itself. `near` is pure; `suggested` asks two questions
at most, whatever stands on the page. Only open consignments on which the sender has standing are named, since another's word
moves nothing there, linked or not. Where more than a few fit equally well none is named: numbers given out one after the other
all look alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.console.questions import Near, Questions, Unmatched, letters_and_digits

LOOKED_AT: Final = 25
"""Of the references of a page, the newest."""
NAMED_MOST: Final = 3
SHORTEST, LONGEST = 6, 40
"""Shorter numbers have too many neighbours, longer ones too many ways to differ."""
_ALIKE: Final = dict(zip("OISBZG015826", "015826OISBZG", strict=True))
_DIGITS: Final = "0123456789"
_WITH_CARRIER: Final = ("bill_of_lading", "booking")
"""Kinds that some write with the carrier's code in front, and some without."""

Key = tuple[str, str, str]
"""Of a reference that nobody owns: sender, kind, value."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A consignment, and in words why it may be this one."""

    consignment: str
    why: str


def near(kind: str, value: str, sender: str) -> dict[str, str]:
    """What may have been meant, as letters and digits alone -> how that differs; the likelier first. Some 220 for a number of
    11 characters; none for one that is too short to tell anything."""
    bare = letters_and_digits(value)
    if not SHORTEST <= len(bare) <= LONGEST:
        return {}
    found: dict[str, str] = {}
    for word, how in _meant(kind, bare, letters_and_digits(sender)):
        if word != bare:
            found.setdefault(word, how)
    return found


def _meant(kind: str, bare: str, carrier: str) -> Iterator[tuple[str, str]]:
    if kind in _WITH_CARRIER and carrier:
        if bare.startswith(carrier):
            yield bare.removeprefix(carrier), "the same without the carrier's code"
        else:
            yield carrier + bare, "the same with the carrier's code"
    for at in range(len(bare) - 1):
        yield bare[:at] + bare[at + 1] + bare[at] + bare[at + 2 :], "two characters are swapped"
    for at, one in enumerate(bare):
        for other in (_DIGITS if one.isdigit() else "") + _ALIKE.get(one, ""):
            yield bare[:at] + other + bare[at + 1 :], "one character differs"
    for at in range(len(bare)):
        yield bare[:at] + bare[at + 1 :], "it has one character less"
    for at in range(len(bare) + 1):
        for other in _DIGITS:
            yield bare[:at] + other + bare[at:], "it has one character more"


def suggested(questions: Questions, rows: Sequence[Unmatched]) -> Mapping[Key, Sequence[Suggestion]]:
    """What the first LOOKED_AT of these references may be, where there is something to say."""
    looked_at = {_key(row): row for row in rows[:LOOKED_AT]}
    meant = {key: near(row.kind, row.value, row.sender) for key, row in looked_at.items()}
    by_word: dict[str, list[Near]] = {}
    words = sorted({word for ways in meant.values() for word in ways})
    for one in questions.near(words) if words else ():
        by_word.setdefault(one.word, []).append(one)
    found = {key: likely for key, ways in meant.items() if (likely := _likely(key, ways, by_word))}
    rest = {row.example: key for key, row in looked_at.items() if key not in found}
    due: dict[Key, list[Suggestion]] = {}
    for told in questions.due_there(sorted(rest), sorted({key[0] for key in rest.values()})) if rest else ():
        step = told.milestone.replace("_", " ")
        why = f"no unit of it is known yet, and it is due there: {step} at {told.place}, {told.apart_h:.0f} h apart"
        due.setdefault(rest[told.event], []).append(Suggestion(told.consignment, why))
    return found | {key: those for key, those in due.items() if len(those) <= NAMED_MOST}


def _key(row: Unmatched) -> Key:
    return row.sender, row.kind, row.value


def _likely(key: Key, ways: Mapping[str, str], by_word: Mapping[str, Sequence[Near]]) -> Sequence[Suggestion]:
    """Those of the likeliest difference that any has, if they are few."""
    sender, kind, _ = key
    found: list[Suggestion] = []
    best = ""
    for word, how in ways.items():
        if best and how != best:
            break
        for one in by_word.get(word, ()):
            if one.kind == kind and sender in one.parties:
                best = how
                found.append(Suggestion(one.consignment, f"its {kind.replace('_', ' ')} is {one.value}: {how}"))
    return found if len(found) <= NAMED_MOST else ()
