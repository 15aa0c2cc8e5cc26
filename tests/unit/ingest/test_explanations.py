"""Every complaint that a reader can make has words, and no words are left over."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from services.ingest.codemaps import files
from services.ingest.explanations import EXPLANATIONS, explain

ROOT = Path(__file__).resolve().parents[3]
INGEST = ROOT / "services" / "ingest"
SAYS = {
    "Unreadable": 0,
    "Bad": 0,
    "Problem": 0,
    "Warning_": 0,
    "Place": 0,
    "warn": 0,
    "warning_of": 0,
    "_Judged": 2,
    "_Refused": 0,
    "_Wrong": 1,
    "_place": 2,
}
"""What makes a complaint, and which of its arguments is the code."""
ELSEWHERE = {
    "bad_header": "services/ingest/commands.py, through a variable of its own",
    "unknown_field": "services/ingest/readers/lovla.py, by the validator's code",
}


def sources() -> Iterator[Path]:
    yield from (file for file in sorted(INGEST.rglob("*.py")) if file.name != "explanations.py")


def codes_in(source: str) -> dict[str, int]:
    """The codes that a module says, each with a line where it does. A Problem of the door's is a refusal (problem+json), which
    names its kind and not a code."""
    found: dict[str, int] = {}
    tree = ast.parse(source)
    refusals = {
        word.asname or word.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "services.ingest.problems"
        for word in node.names
        if word.name == "Problem"
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in SAYS or name in refusals:
            continue
        said = [*node.args[SAYS[name] : SAYS[name] + 1], *(word.value for word in node.keywords if word.arg == "code")]
        for value in said:
            for code in literals(value):
                found.setdefault(code, node.lineno)
    return found


def literals(value: ast.expr) -> Iterator[str]:
    """The texts that an expression can be: `"a"`, `"a" if ... else "b"`, `{...}.get(..., "c")`."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.IfExp):
        yield from literals(value.body)
        yield from literals(value.orelse)


def all_codes() -> dict[str, str]:
    return {
        code: f"{file.relative_to(ROOT)}:{line}"
        for file in sources()
        for code, line in codes_in(file.read_text(encoding="utf-8")).items()
    }


def test_every_code_that_a_reader_can_say_is_explained() -> None:
    missing = [f"{code} ({place})" for code, place in sorted(all_codes().items()) if code not in EXPLANATIONS]
    assert missing == [], (
        "These codes have no words yet. Add a line for each to services/ingest/explanations.py:\n"
        '    ("code", "What was found, in one sentence.", "What the sender can do about it."),'
    )


def test_no_words_are_left_of_a_code_that_nobody_says() -> None:
    said = {*all_codes(), *ELSEWHERE}
    assert sorted(code for code in EXPLANATIONS if code not in said) == [], "take these out of explanations.py"


@pytest.mark.parametrize("code", sorted(EXPLANATIONS))
def test_words_are_sentences(code: str) -> None:
    words = EXPLANATIONS[code]
    for sentence in (words.means, words.do):
        assert sentence[0].isupper() or sentence.startswith("docs/")
        assert sentence.endswith(".")
        assert len(sentence) <= 200


def test_a_code_of_the_validator_is_explained_by_the_text_beside_it() -> None:
    assert "text beside" in explain("string_too_short").means


def test_codes_are_found_in_sources_however_they_are_said() -> None:
    source = """
raise Unreadable("a", "", "text")
draft.warn("b" if date else "c", "text")
Warning_(code="d", where="", text="")
_place(raw.where, (), "e", "text")
Draft(code="UV")
"""
    assert sorted(codes_in(source)) == ["a", "b", "c", "d", "e"]
    door = 'from services.ingest.problems import Problem\nraise Problem("not-ready", "text")\ndraft.warn("f", "text")'
    assert sorted(codes_in(door)) == ["f"]


def test_what_to_do_about_an_old_time_names_the_way_out() -> None:
    said = explain("outside_time_fence").do
    assert "Lovla-Received-At" in said
    assert "scope backfill" in said
    page = (ROOT / "docs" / "carriers.md").read_text()
    first = page[page.index("## Ten minutes") : page.index("## Functional")]
    for words in ("outside_time_fence", "Lovla-Received-At", "backfill", "lovla receipts show RECEIPT --as"):
        assert words in first, words
    assert "lovla receipts show RECEIPT --as" in (ROOT / "docs" / "registering.md").read_text()


def test_the_advice_on_an_unknown_code_names_code_maps_only_where_there_are_any() -> None:
    with_maps, without = explain("unmapped_code").do.split("goes into your code map")
    taken = get_args(files._File.model_fields["standard"].annotation)
    words = {"x12.315": "315", "x12.322": "322", "x12.214": "214", "edifact.iftsta": "IFTSTA", "one_record": "ONE Record"}
    for standard, word in words.items():
        assert word in (with_maps if standard in taken else without)
