"""A message as it was sent, cut into parts for reading, with the part marked that an event was read from. Pure.

The parts joined give the text again: nothing is left out, added or put in order.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.console.questions import RawBytes

UNPACKED_MOST_BYTES: Final = 20 * 1024 * 1024
"""What ingest allows after decompression."""

SHOWN_MOST: Final = 200_000
"""Characters of a message that a page shows; the whole of it can be downloaded."""

_NUMBERED = re.compile(r"(segment|line|row) (\d{1,7})\b")
_BLANK = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a message. `hit`: the event was read from it."""

    text: str
    hit: bool = False


def unpacked(payload: bytes) -> bytes:
    """gzip, bounded. Raises ValueError with a sentence."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(payload, UNPACKED_MOST_BYTES)
    except zlib.error as error:
        raise ValueError(f"the message says it is gzip, and is not: {error}") from None
    if unpacker.unconsumed_tail:
        raise ValueError(f"the message is larger than {UNPACKED_MOST_BYTES} bytes when unpacked")
    return plain


def bytes_of(found: RawBytes) -> bytes:
    """The record's bytes, unpacked where they came as gzip. Raises ValueError."""
    payload = found.payload.encode() if isinstance(found.payload, str) else found.payload
    return unpacked(payload) if found.content_encoding == "gzip" else payload


def text_of(payload: bytes | str) -> str:
    """As text; what is no UTF-8 is marked."""
    return payload if isinstance(payload, str) else payload.decode("utf-8", "replace")


def parts(text: str, position: str) -> list[Part]:
    """The message in parts; none is marked where the position cannot be found in it."""
    numbered = _NUMBERED.match(position)
    if numbered is not None:
        kind, number = numbered[1], int(numbered[2])
        pieces = list(_segments(text) if kind == "segment" else _lines(text))
        found = [index for index, counted in _counted(pieces, kind) if counted == number]
        return [Part(piece, index in found) for index, piece in enumerate(pieces)]
    span = _json_span(text, position) if position.startswith("/") or text.lstrip()[:1] in ("{", "[") else None
    if span is None or span == (0, len(text)):
        return [Part(text)]
    begin, end = span
    return [part for part in (Part(text[:begin]), Part(text[begin:end], True), Part(text[end:])) if part.text]


def _counted(pieces: list[str], kind: str) -> Iterator[tuple[int, int]]:
    """(index, number as readers count it): segments that are empty or EDIFACT's UNA are not counted."""
    number = 0
    for index, piece in enumerate(pieces):
        bare = piece.strip(" \t\r\n")
        if kind == "segment" and (not bare.strip(_terminator(bare)) or bare.startswith("UNA")):
            continue
        number += 1
        yield index, number


def _terminator(piece: str) -> str:
    return piece[-1:]


def _lines(text: str) -> Iterator[str]:
    yield from text.splitlines(keepends=True)


def _segments(text: str) -> Iterator[str]:
    """Each with its terminator, and the blanks before it."""
    isa, una = text.find("ISA"), text.find("UNA")
    escape = ""
    if 0 <= isa < 200 and len(text) > isa + 106:
        terminator = text[isa + 105]
        terminator = "\n" if terminator in "\r\n" or terminator.isalnum() else terminator
        begin = 0
    elif 0 <= una < 200 and len(text) > una + 9:
        terminator, escape, begin = text[una + 8], text[una + 6].strip(), una + 9
        yield text[:begin]
    else:
        terminator, escape, begin = "'", "?", 0
    at = begin
    while at < len(text):
        stop = text.find(terminator, at)
        while stop > 0 and escape and _released(text, stop, escape):
            stop = text.find(terminator, stop + 1)
        end = stop + 1 if stop >= 0 else len(text)
        yield text[at:end]
        at = end


def _released(text: str, at: int, escape: str) -> bool:
    count = 0
    while at - count - 1 >= 0 and text[at - count - 1] == escape:
        count += 1
    return count % 2 == 1


def _json_span(text: str, pointer: str) -> tuple[int, int] | None:
    """Where the value that a JSON pointer names stands; None where there is none, or the text is no JSON."""
    at = _BLANK.match(text.removeprefix("\ufeff"))
    begin = (at.end() if at else 0) + (1 if text.startswith("\ufeff") else 0)
    decoder = json.JSONDecoder()
    try:
        for step in [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]:
            found = _member(text, begin, step, decoder)
            if found is None:
                return None
            begin = found
        _, end = decoder.raw_decode(text, begin)
    except (ValueError, IndexError, RecursionError):
        return None
    return begin, end


def _member(text: str, begin: int, step: str, decoder: json.JSONDecoder) -> int | None:
    """Where the member or item `step` of the object or list at `begin` starts."""
    opened, at, index = text[begin], begin + 1, 0
    if opened not in "{[":
        return None
    while True:
        at = _skip(text, at)
        if text[at] in "}]":
            return None
        name = str(index)
        if opened == "{":
            name, at = decoder.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)  # past the colon
        if name == step:
            return at
        _, at = decoder.raw_decode(text, at)
        at = _skip(text, at)
        if text[at] == ",":
            at += 1
        index += 1


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at
