"""What a list can be narrowed by, and what was meant by a word that narrows it to nothing.

Nobody who mistypes a hospital may be told that nothing is late. So where an answer is empty it is looked up whether each word
is known: in the registers, in the journeys, or in a closed list; verbs and Arrow streams look before they ask. What differs by
case, blanks or punctuation from one that is known is taken for that one.

A key of a buyer knows what its own consignments name and no more: what is refused tells as much as what is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Final, Literal, TypeVar, get_args

from schemas.words import EXCEPTION_KINDS, ItemCategory
from services.console.questions import Narrowed, Questions

Answer = TypeVar("Answer")

NEAREST: Final = 3
FEED: Final = "feed:"
"""What a sender's feed is called, where messages are about it as about a consignment."""
FEW: Final = 20
"""So many are all told."""
_COMPARED: Final = 1_000
"""The newest so many are looked through for what is like it: some ten milliseconds."""
_SHOWN: Final = 80
_WORD: Final = 4
"""Characters of a word of a name, or of a part of one, that is worth comparing."""

Narrowing = Literal["hospital", "facility", "carrier", "terminal", "vessel", "ship", "consignment"]
"""What a word narrows by: a hospital or a vessel by a part of its name too; a facility and a ship by all of it."""
Said = Mapping[Narrowing, str]
"""The words that narrow a list; an empty one narrows nothing."""


@dataclass(frozen=True, slots=True)
class _By:
    """`what`: as a sentence calls it; `parameter`: as addresses and verbs do; `source`: where those that are known stand;
    `part`: a part of the name narrows as well; `listed`: which verb lists them."""

    what: str
    parameter: str
    source: Narrowed
    part: bool = False
    listed: str = ""


_BY: Final[Mapping[Narrowing, _By]] = {
    "hospital": _By("hospital", "hospital", "hospital", True, "lovla facilities list"),
    "facility": _By("hospital", "hospital", "hospital", False, "lovla facilities list"),
    "carrier": _By("carrier or party", "carrier", "carrier", False, "lovla carriers list"),
    "terminal": _By("terminal or airport", "terminal", "terminal", False, "lovla facilities list"),
    "vessel": _By("vessel or flight", "vessel", "vessel", True),
    "ship": _By("vessel or flight", "vessel", "vessel"),
}


class Unknown(Exception):
    """Nobody knows what a word is about; the text is a sentence that names those that are like it. `parameter`: which word."""

    def __init__(self, parameter: str, text: str) -> None:
        super().__init__(text)
        self.parameter = parameter

    @property
    def sentence(self) -> str:
        """As it stands by itself, on a page or in an answer."""
        text = str(self)
        return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('?') else '.'}"


def asked(
    questions: Questions,
    said: Said,
    ask: Callable[[Said], Answer],
    nothing: Callable[[Answer], bool] = lambda answer: not answer,
    owner: str = "",
) -> Answer:
    """`ask(said)`; where that is nothing, or nobody sees whether it is, `ask` what was meant. `owner`: whose consignments alone
    are spoken of (the buyer that a key is of). Raises Unknown."""
    if not questions.sees_rows:
        return ask(meant(questions, said, owner))
    answer = ask(said)
    if not nothing(answer):
        return answer
    meaning = meant(questions, said, owner)
    return answer if meaning == said else ask(meaning)


def meant(questions: Questions, said: Said, owner: str = "") -> dict[Narrowing, str]:
    """The same, each word as it is known. Raises Unknown."""
    bare = {by: word.strip() for by, word in said.items()}
    return {by: _meant(questions, by, word, owner) if word else "" for by, word in bare.items()}


def exception(word: str) -> str:
    """The kind of exception that is meant. Raises Unknown."""
    return _one_of("exception", "kind of exception", word, EXCEPTION_KINDS)


def item(word: str) -> str:
    """The item category that is meant; empty for none. Raises Unknown."""
    return _one_of("item", "item category", word, get_args(ItemCategory)) if word.strip() else ""


def _one_of(parameter: str, what: str, word: str, words: Sequence[str]) -> str:
    closed = dict.fromkeys(words, "")
    one = word if word in closed else _same(word, closed)
    if one is None:
        raise Unknown(parameter, _sentence(what, word, closed, FEW))
    return one


def _meant(questions: Questions, by: Narrowing, word: str, owner: str) -> str:
    if by == "consignment":
        return _consignment(questions, word, owner)
    narrows = _BY[by]
    registered = {} if narrows.source == "vessel" else questions.registered(narrows.source)
    codes = _found(narrows, word, registered)
    if codes and not owner:
        return word
    if questions.is_named(narrows.source, word, codes, owner, part=narrows.part and narrows.source == "vessel"):
        return word
    # all of them are listed only here, where nobody knows it
    named = {one: one if narrows.source == "vessel" else "" for one in questions.named(narrows.source, owner)}
    if owner:  # who else is registered is not a buyer's business
        registered = {code: name for code, name in registered.items() if code in named}
    every = {**registered, **named, **registered}  # those of registers first, and by name
    if (one := _same(word, every)) is not None:
        return one
    raise Unknown(narrows.parameter, _sentence(narrows.what, word, every, FEW, "" if owner else narrows.listed))


def _consignment(questions: Questions, word: str, owner: str) -> str:
    if word.startswith(FEED):
        return FEED + _meant(questions, "carrier", word.removeprefix(FEED), owner)
    if questions.version(word):
        return word
    near = dict.fromkeys(questions.similar(word), "")
    if (one := _same(word, near)) is not None:
        return one
    raise Unknown("consignment", _sentence("consignment", word, near, 0, "lovla find"))


def _found(narrows: _By, word: str, known: Mapping[str, str]) -> list[str]:
    """What SQL finds that is narrowed by it: by all of a code, or where that is enough by a part of a name."""
    part = word.casefold()
    return [code for code, name in known.items() if code == word or (narrows.part and part in name.casefold())]


def _same(word: str, known: Mapping[str, str]) -> str | None:
    """The only one that differs by case, blanks and punctuation alone."""
    bare = _bare(word)
    same = [code for code, name in known.items() if bare and bare in (_bare(code), _bare(name))]
    return same[0] if len(same) == 1 else None


def _bare(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _sentence(what: str, word: str, known: Mapping[str, str], few: int, listed: str = "") -> str:
    """`known`: code -> name; those of registers first, then the newest."""
    shown = "".join(one if one.isprintable() else "?" for one in word[:_SHOWN])
    near = _nearest(word, known)
    told = f"no {what} {shown} is known"
    if near:
        names = [f"{code} ({known[code]})" if known[code] not in ("", code) else code for code in near]
        told += f"; did you mean {' or '.join(filter(None, (', '.join(names[:-1]), names[-1])))}?"
    rest = ""
    if len(near) < len(known) <= few:
        rest = f"known are {', '.join(known)}"
    elif listed:
        rest = f"`{listed}` tells what is"
    return f"{told} {rest[:1].upper()}{rest[1:]}" if near and rest else "; ".join(filter(None, (told, rest)))


def _nearest(word: str, known: Mapping[str, str]) -> list[str]:
    """Codes that are written like it, or whose names are, or a word of these."""
    bare, by_text = _bare(word), dict[str, list[str]]()
    for code, name in islice(known.items(), _COMPARED):
        for text in (code, name, *(part for part in name.split() if len(part) >= _WORD)):
            by_text.setdefault(_bare(text), []).append(code)
    holding = [text for text in by_text if len(bare) >= _WORD and bare in text]
    like = get_close_matches(bare, by_text, NEAREST)
    return list(dict.fromkeys(code for text in (*like, *holding) for code in by_text[text]))[:NEAREST]
