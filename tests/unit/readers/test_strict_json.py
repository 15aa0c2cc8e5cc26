"""Strict JSON: what lenient parsers let through is refused, with its place."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.ingest.readers import Unreadable, strict_json
from services.ingest.readers.strict_json import parse_json


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        (b'{"a": [1, NaN]}', "bad_number", "/a/1"),
        (b"[Infinity]", "bad_number", "/0"),
        (b"[-Infinity]", "bad_number", "/0"),
        (b"[1e999]", "bad_number", "/0"),
        (b"[9999999999999999999999]", "bad_number", "/0"),
        (b'{"a": {"b": 1, "b": 2}}', "duplicate_key", "/a"),
        (b'{"a/b": ["\\ud800"]}', "bad_character", "/a~1b/0"),
        (b'["a\\u0000b"]', "bad_character", "/0"),
        (b'["a\\nb"]', "bad_character", "/0"),
        (b'{"a\\u001f": 1}', "bad_character", ""),
        (b'["\x01"]', "not_json", "line 1 column 3"),
        (b"[" * 33 + b"]" * 33, "too_deep", "line 1 column 33"),
        (b"[" + b"{}," * 60_000 + b"0]", "too_many_values", ""),
        (b"[" + b"[[[]]]," * 30_000 + b"0]", "too_many_values", ""),
        (b"{" + b",".join(b'"%x":1' % n for n in range(60_000)) + b"}", "too_many_values", ""),
        (b"[" * 33 + b"{}," * 60_000, "too_deep", "line 1 column 33"),
        (b'{"a": 1}\n x', "not_json", "line 2 column 2"),
        (b'{"a" 1}', "not_json", "line 1 column 6"),
        (b"\xff", "not_utf8", "byte 0"),
        (b'["a\xc3"]', "not_utf8", "byte 3"),
        (b"", "empty", ""),
        (b" \n ", "empty", ""),
    ],
)
def test_what_is_no_sound_json_is_refused_with_its_place(text: bytes, code: str, where: str) -> None:
    with pytest.raises(Unreadable) as caught:
        parse_json(text)

    assert (caught.value.code, caught.value.where) == (code, where)


def test_a_byte_order_mark_is_no_part_of_the_message() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": [1.5, true, null]}') == {"a": [1.5, True, None]}


def test_surrogates_in_pairs_are_a_character() -> None:
    assert parse_json(b'["\\ud83d\\ude00"]') == ["\U0001f600"]


def test_brackets_in_strings_are_not_depth() -> None:
    assert parse_json(b'["' + b"[" * 100 + b'\\"[[["]') == ["[" * 100 + '"[[[']


def test_what_marks_of_json_stand_within_texts_weigh_nothing() -> None:
    (text,) = parse_json(b'["' + b"{}[],:" * 30_000 + b'"]')
    assert len(text) == 180_000


@given(st.text(alphabet='"\\ab:,[]{}\n ', max_size=40), st.integers(1, 9))
@example('{"a": "b", "c"  :["", "d"', 3)
@settings(max_examples=500, deadline=None)
def test_what_is_cut_at_quotes_is_what_stands_between_texts_and_weighs_no_less(text: str, piece: int) -> None:
    """Wherever a piece ends: within a text, at its quote, or in a text that never ends."""
    bare = strict_json._without_texts(text, piece)
    assert bare == strict_json._TEXTS.sub('"', text)
    assert strict_json._weight_of_marks(bare) >= strict_json._weight(text, bare)


def test_32_levels_are_allowed() -> None:
    parse_json(b"[" * 32 + b"]" * 32)


@pytest.mark.parametrize("bomb", [b'["' + b'\\"' * 2_000_000, b'"' * 2_000_000, b"[" * 2_000_000, b"[1," * 2_000_000])
def test_a_bomb_is_refused_soon(bomb: bytes) -> None:
    begin = time.process_time()
    with pytest.raises(Unreadable):
        parse_json(bomb)

    assert time.process_time() - begin < 5
