"""Bodies out of gzip, never more of them than allowed."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from services.ingest.readers import LIMITS, Limits, Unreadable, decode_body


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


EMPTY = gzip.compress(b"", mtime=0)


class Fed:
    """zlib's decompressor, which counts the bytes that it is given."""

    total = 0

    def __init__(self, wbits: int) -> None:
        self._real = _real_decompressor(wbits=wbits)

    def decompress(self, data: bytes, most: int) -> bytes:
        Fed.total += len(data)
        return self._real.decompress(data, most)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


_real_decompressor = zlib.decompressobj


def test_a_quarter_of_a_million_empty_members_are_refused_before_much_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zlib, "decompressobj", Fed)
    monkeypatch.setattr(Fed, "total", 0)

    with pytest.raises(Unreadable, match="more than 1000 gzip members") as caught:
        decode_body(EMPTY * 250_000, "gzip")

    assert caught.value.code == "too_large"
    assert Fed.total <= (LIMITS.gzip_members + 1) * 64 * 1024, "not the whole rest for each of them"


GROWN: dict[str, Callable[[int], bytes]] = {
    "noise": lambda size: gzip.compress(Random(size).randbytes(size), 1, mtime=0),
    "words": lambda size: gzip.compress(
        b"".join(b"EQD+CN+MRSU%07d:102:5++2+3+5'" % (n * 7919 % 9_999_991) for n in range(size // 33)), 1, mtime=0
    ),
    "members": lambda size: b"".join(gzip.compress(Random(n).randbytes(size // 100), 1, mtime=0) for n in range(100)),
}


@pytest.mark.parametrize("shape", GROWN)
def test_unpacking_grows_with_the_body(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given to the decompressor, what it left the time before included, beside the bytes of the body."""
    monkeypatch.setattr(zlib, "decompressobj", Fed)
    copied = []
    for size in (100_000, 1_000_000, 10_000_000):
        monkeypatch.setattr(Fed, "total", 0)
        body = GROWN[shape](size)
        assert len(decode_body(body, "gzip")) > size * 0.9
        copied.append(Fed.total / len(body))

    assert copied[2] < copied[1] * 1.3, f"times the body: {copied}"
    assert max(copied) < 32, f"times the body: {copied}"


@pytest.mark.parametrize("padding", [b"", b"\0" * 700])
def test_many_members_within_the_bound_are_one_body(padding: bytes) -> None:
    parts = [b"part %d;" % number for number in range(LIMITS.gzip_members)]
    body = padding.join(gzip.compress(part, mtime=0) for part in parts) + padding

    assert len(body) > 20_000
    assert decode_body(body, "gzip") == b"".join(parts)


def test_members_larger_than_a_slice_are_read_whole() -> None:
    noise = b"".join(bytes([number * number % 251, number % 256]) + str(number * 7919).encode() for number in range(80_000))
    one = gzip.compress(noise, mtime=0)

    assert len(one) > 200_000
    assert decode_body(one + b"\0" * 70_000 + one, "gzip") == noise + noise


def test_nothing_is_nothing() -> None:
    assert decode_body(b"", "gzip") == b""
