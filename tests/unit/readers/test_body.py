"""Bodies out of gzip, never more of them than allowed."""

from __future__ import annotations

import gzip

import pytest

from services.ingest.readers import Limits, Unreadable, decode_body


def test_a_gzip_body_is_what_was_put_in() -> None:
    assert decode_body(gzip.compress(b"hello"), "gzip") == b"hello"


def test_several_members_are_one_body() -> None:
    assert decode_body(gzip.compress(b"one ") + gzip.compress(b"two"), "gzip") == b"one two"


def test_a_plain_body_is_left_as_it_is() -> None:
    assert decode_body(b"\x1f\x8b", "identity") == b"\x1f\x8b"


WHOLE = gzip.compress(b"hello", mtime=0)  # the time would be part of the tests' names, which all workers must share


@pytest.mark.parametrize("body", [b"hello", WHOLE[:-3], WHOLE + b"rest", b"\x1f\x8b"])
def test_what_is_no_whole_gzip_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        decode_body(body, "gzip")

    assert caught.value.code == "bad_gzip"


def test_a_bomb_stops_at_its_ratio() -> None:
    with pytest.raises(Unreadable) as caught:
        decode_body(gzip.compress(b"\0" * 10_000_000), "gzip")

    assert caught.value.code == "too_large"


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_body_over_the_limit_is_refused(encoding: str) -> None:
    body = bytes(range(256)) * 10
    with pytest.raises(Unreadable) as caught:
        decode_body(
            body if encoding == "identity" else gzip.compress(body),
            "identity" if encoding == "identity" else "gzip",
            Limits(decoded_bytes=2_000),
        )

    assert caught.value.code == "too_large"


def test_a_short_text_of_blanks_may_shrink_more_than_the_ratio() -> None:
    assert len(decode_body(gzip.compress(b" " * 50_000), "gzip")) == 50_000
