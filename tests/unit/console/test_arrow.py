"""A list that is too long for one field of a form is asked for in parts, and nothing else is touched."""

from __future__ import annotations

from services.console.arrow import in_fields


def test_what_fits_stays_as_it_is() -> None:
    question = "SELECT 1 WHERE x IN ({ids:Array(String)}) AND y = {text:String}"
    assert in_fields(question, {"ids": ["A", "B"], "text": "A" * 50}, most=20) == (
        question,
        {"ids": "['A','B']", "text": "A" * 50},
    )


def test_a_long_list_comes_in_parts_that_together_are_it() -> None:
    ids = [f"LVLA-{10 ** (n // 10)}" for n in range(150)]
    question, texts = in_fields("SELECT {ids:Array(String)}, {ids:Array(String)}", {"ids": ids}, most=300)
    parts = list(texts)
    places = "arrayConcat(" + ", ".join(f"{{{name}:Array(String)}}" for name in parts) + ")"
    assert question == f"SELECT {places}, {places}" and len(parts) > 3
    assert max(map(len, texts.values())) <= 300
    assert [one for text in texts.values() for one in text.strip("[]").replace("'", "").split(",")] == ids
