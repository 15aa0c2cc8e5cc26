"""What was meant by a word that narrows a list to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from services.console import known
from services.console.known import Narrowing, Unknown
from services.console.questions import Narrowed, Questions

HOSPITALS = {"H-HARBOR": "Harbor-UCLA Medical Center", "H-KECK": "Keck Hospital of USC", "H-SMUCLA": "UCLA Santa Monica"}
SENDERS = {"MAEU": "Maersk", "HLCU": "Hapag-Lloyd"}
VESSELS = ("MAERSK ESSEX", "EVER GIFTED", "COSCO PRIDE")


class Books:
    """What is registered and named; `asked` counts the questions."""

    sees_rows = True

    def __init__(self) -> None:
        self.asked: list[str] = []

    def registered(self, what: Narrowed) -> dict[str, str]:
        self.asked.append(f"registered {what}")
        return {"hospital": HOSPITALS, "carrier": SENDERS, "terminal": {"LA-APMT": "Pier 400"}}.get(what, {})

    def named(self, what: Narrowed, owner: str = "") -> list[str]:
        self.asked.append(f"named {what}")
        return self._named(what, owner)

    def is_named(self, what: Narrowed, word: str, codes: Sequence[str] = (), owner: str = "", part: bool = False) -> bool:
        self.asked.append(f"is_named {what}")
        named = self._named(what, owner)
        return any(word.casefold() in one.casefold() for one in named) if part else not {word, *codes}.isdisjoint(named)

    def _named(self, what: Narrowed, owner: str) -> list[str]:
        if owner:
            return {"carrier": ["HBRT"], "vessel": ["EVER GIFTED"], "hospital": ["H-KECK"]}.get(what, [])
        return {"carrier": ["MAEU", "HBRT"], "vessel": [*VESSELS], "hospital": ["H-TENT"]}.get(what, [])

    def version(self, consignment: str) -> int:
        return int(consignment == "LACDHS-0001")

    def similar(self, text: str) -> list[str]:
        return [one for one in ("LACDHS-0001", "LACDHS-00012") if text.upper() in one]


def meant(by: Narrowing, word: str, owner: str = "") -> str:
    return known.meant(cast(Questions, Books()), {by: word}, owner)[by]


@pytest.mark.parametrize(
    ("by", "word", "as_known"),
    [
        ("hospital", "H-HARBOR", "H-HARBOR"),
        ("hospital", "h harbor ", "H-HARBOR"),
        ("hospital", "harbor-ucla", "harbor-ucla"),  # a part of a name narrows as it is
        ("hospital", "keck hospital of usc", "keck hospital of usc"),
        ("hospital", "H-TENT", "H-TENT"),  # registered nowhere, and goods went there
        ("facility", "Keck Hospital of USC", "H-KECK"),
        ("carrier", "maeu", "MAEU"),
        ("carrier", "hapag lloyd", "HLCU"),
        ("carrier", "HBRT", "HBRT"),
        ("carrier", "feed", ""),
        ("terminal", "laapmt", "LA-APMT"),
        ("vessel", "gifted", "gifted"),
        ("vessel", "EverGifted", "EVER GIFTED"),
        ("ship", "ever gifted", "EVER GIFTED"),
        ("consignment", "lacdhs 0001", ""),
        ("consignment", "lacdhs-0001", "LACDHS-0001"),
        ("consignment", "feed:maeu", "feed:MAEU"),
        ("vessel", "", ""),
    ],
)
def test_what_differs_by_case_blanks_and_punctuation_alone_is_meant(by: Narrowing, word: str, as_known: str) -> None:
    if as_known or not word:
        assert meant(by, word) == as_known
    else:
        with pytest.raises(Unknown):
            meant(by, word)


@pytest.mark.parametrize(
    ("by", "word", "parameter", "told"),
    [
        (
            "hospital",
            "H-HARBUR",
            "hospital",
            "no hospital H-HARBUR is known; did you mean H-HARBOR (Harbor-UCLA Medical Center)?"
            " Known are H-HARBOR, H-KECK, H-SMUCLA, H-TENT",
        ),
        ("facility", "ucla", "hospital", "did you mean H-SMUCLA (UCLA Santa Monica) or H-HARBOR (Harbor-UCLA Medical Center)?"),
        ("hospital", "X", "hospital", "no hospital X is known; known are H-HARBOR, H-KECK, H-SMUCLA, H-TENT"),
        ("carrier", "Maersk Line", "carrier", "no carrier or party Maersk Line is known; did you mean MAEU (Maersk)?"),
        ("terminal", "---", "terminal", "no terminal or airport --- is known; known are LA-APMT"),
        ("vessel", "EVER GIVEN", "vessel", "no vessel or flight EVER GIVEN is known; did you mean EVER GIFTED?"),
        ("ship", "gifted", "vessel", "no vessel or flight gifted is known; did you mean EVER GIFTED?"),
        ("consignment", "S-0001", "consignment", "no consignment S-0001 is known; did you mean LACDHS-0001 or LACDHS-00012?"),
        ("consignment", "NOPE-1", "consignment", "no consignment NOPE-1 is known; `lovla find` tells what is"),
        ("consignment", "feed:MAEX", "carrier", "no carrier or party MAEX is known; did you mean MAEU (Maersk)?"),
        ("hospital", "\x1b[2J" + "x" * 200, "hospital", "no hospital ?[2J" + "x" * 76 + " is known;"),
    ],
)
def test_what_nobody_knows_is_said_with_what_is_like_it(by: Narrowing, word: str, parameter: str, told: str) -> None:
    with pytest.raises(Unknown) as refused:
        meant(by, word)
    assert told in str(refused.value)
    assert refused.value.parameter == parameter


@pytest.mark.parametrize(
    ("by", "word", "own"),
    [
        ("carrier", "MAEX", "HBRT"),
        ("carrier", "MAEU", "HBRT"),  # registered, and named by others
        ("carrier", "hapag lloyd", "HBRT"),
        ("vessel", "EVER GIVEN", "EVER GIFTED"),
        ("vessel", "cosco", "EVER GIFTED"),
        ("hospital", "H-X", "H-KECK"),
        ("hospital", "H-HARBOR", "; known are H-KECK"),
        ("hospital", "H-TENT", "H-KECK"),
        ("hospital", "UCLA", "H-KECK"),
        ("hospital", "H-KEK", "H-KECK (Keck Hospital of USC)"),
        ("terminal", "LA-APMT", ""),
    ],
)
def test_a_buyers_key_is_told_of_its_own_consignments_alone(by: Narrowing, word: str, own: str) -> None:
    """Nor by what is not refused: who grows a word by a letter at a time would read the registers."""
    with pytest.raises(Unknown) as refused:
        meant(by, word, "LVLA")
    told = str(refused.value).partition("is known")[2]
    assert own in told
    others = (*SENDERS, *SENDERS.values(), "COSCO PRIDE", "H-HARBOR", "UCLA", "H-TENT", "LA-APMT", "Pier", "lovla")
    assert not any(other in told for other in others)


@pytest.mark.parametrize(
    ("by", "word", "as_known"),
    [
        ("carrier", "HBRT", "HBRT"),
        ("carrier", "hbrt", "HBRT"),
        ("vessel", "gifted", "gifted"),
        ("hospital", "H-KECK", "H-KECK"),
        ("hospital", "hospital of", "hospital of"),  # a part of the name of its own
        ("facility", "Keck Hospital of USC", "H-KECK"),
    ],
)
def test_a_buyers_key_knows_what_its_own_consignments_name(by: Narrowing, word: str, as_known: str) -> None:
    assert meant(by, word, "LVLA") == as_known


def test_journeys_are_listed_only_where_nobody_knows_a_word() -> None:
    for by, word, owner in (
        ("vessel", "gifted", ""),
        ("ship", "COSCO PRIDE", ""),
        ("hospital", "H-TENT", ""),
        ("vessel", "ever", "LVLA"),
    ):
        books = Books()
        known.meant(cast(Questions, books), {cast(Narrowing, by): word}, owner)
        assert not any(one.startswith("named") for one in books.asked), (by, word, books.asked)
    books = Books()
    assert known.meant(cast(Questions, books), {"ship": "everGifted"}) == {"ship": "EVER GIFTED"}
    assert books.asked == ["is_named vessel", "named vessel"]


def test_nothing_is_looked_up_for_an_answer_that_holds_something_and_no_journeys_for_what_is_registered() -> None:
    books = Books()
    questions = cast(Questions, books)
    asked: list[str] = []

    def ask(said: known.Said) -> Sequence[str]:
        asked.append(said["hospital"])
        return ["a row"] if said["hospital"] == "H-HARBOR" else []

    assert known.asked(questions, {"hospital": "H-HARBOR"}, ask) == ["a row"]
    assert (books.asked, asked) == ([], ["H-HARBOR"])
    assert known.asked(questions, {"hospital": "H-KECK"}, ask) == []
    assert (books.asked, asked[1:]) == (["registered hospital"], ["H-KECK"])
    assert known.asked(questions, {"hospital": "h-harbor"}, ask) == ["a row"]
    assert asked[2:] == ["h-harbor", "H-HARBOR"]
    with pytest.raises(Unknown):
        known.asked(questions, {"hospital": "H-XX"}, ask)
    books.sees_rows = False
    assert known.asked(questions, {"hospital": "h-keck"}, ask) == []
    assert asked[-2:] == ["H-XX", "H-KECK"], "whose answer nobody sees is looked up before"


def test_words_of_closed_lists_are_forgiven_as_well() -> None:
    assert (known.item("N95 respirator"), known.item(""), known.exception("On-Hold")) == ("n95_respirator", "", "on_hold")
    with pytest.raises(Unknown, match="did you mean surgical_mask"):
        known.item("surgical masks")
    with pytest.raises(Unknown, match="no kind of exception tardy is known; known are late, will_be_late"):
        known.exception("tardy")


def test_an_answer_is_a_sentence() -> None:
    with pytest.raises(Unknown) as refused:
        known.item("zzz")
    assert refused.value.sentence.startswith("No item category zzz is known; known are n95_respirator,")
    assert refused.value.sentence.endswith("test_kit, other.")
