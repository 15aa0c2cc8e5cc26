"""JSON of strangers: what the format leaves open, or lenient parsers let through, is refused with its place.

Refused: bytes that are not UTF-8, NaN and infinities (`1e999` too), integers past 64 bits, a key twice in one object, NUL and
other control characters (but in `messageRaw`, a message within the message, whose lines and separators they may be) and lone
surrogates in strings, depth past the limit, anything after the value, more values than a message of events can hold, and what
would take more than fifteen times its size once parsed (`[{},{},...]`; docs/standards/speed.md, "Memory"), weighed before it is
made.
"""

from __future__ import annotations

import json
import math
import re
import sys
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from services.ingest.legible import shown
from services.ingest.readers.model import LIMITS, Limits, Unreadable

# The closing quote is optional so that each match consumes what it scanned: linear even on unbalanced quotes.
_TEXT = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_TEXTS = re.compile(_TEXT, re.DOTALL)
_NAMES = re.compile(rf"({_TEXT})\s*+:|{_TEXT}", re.DOTALL)
_BRACKETS = re.compile(rf"{_TEXT}|[\[{{\]}}]", re.DOTALL)
_NAMED = re.compile(r'"\s++:')  # where each text is a mark: a name with blanks behind it
_PIECE: Final = 2**14
"""Letters that are cut at their quotes at a time: cut into the smallest texts they take twenty times as much."""
_OF_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_FORBIDDEN = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_AT = re.compile(" (?:starting )?at$")  # of a sentence of the json module, whose place is told apart
_MESSAGE = "messageRaw"  # wrapped.py
_INTEGER_DIGITS = 19  # 2**63 has 19: longer ones need not be parsed to be refused
_INTEGERS = range(-(2**63), 2**63)

MEMORY_TIMES: Final = 15
"""Times its size that a document may take once parsed; the rest of twenty is what is made of it."""
_FREE_BYTES = 2**19  # whatever its size: small documents may be as dense as they like
_TEXT_BYTES: Final = 42
_WEIGHTS: Final = MappingProxyType({"{": 200, "[": 90, ",": 42, '"': _TEXT_BYTES // 2})
"""Bytes of an object, an array, a value's place with a number in it, and what a text takes beside its letters."""
_NAME_BYTES, _NEW_NAME_BYTES = 45, 280  # of a member; equal names are one text, and thousands of new ones grow tables
_NAMES_KNOWN = 1_024  # more different names than any standard has


class _Refused:
    """Stands in the parsed value where something must be refused; the walk finds it and knows its pointer."""

    __slots__ = ("code", "text")

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text


class _Repeated(dict[str, Any]):
    """An object with a key that stands in it more than once."""

    __slots__ = ("key",)
    key: str


def parse_json(body: bytes | str, limits: Limits = LIMITS) -> Any:
    """The value of `body` (a byte order mark is ignored). Raises Unreadable with line and column, or a JSON pointer."""
    text = decode_utf8(body) if isinstance(body, bytes) else body
    if not text or text.isspace():
        raise Unreadable("empty", "", "there is nothing to read")
    if max(text.count(",") + text.count("[") + text.count("{"), text.count('"') // 4) > limits.values:
        raise Unreadable("too_many_values", "", f"more than {limits.values} values; send several messages")
    check_shape(text, len(body), limits.depth)
    hooks = _Hooks()
    try:
        value = hooks.decoder.decode(text)
    except json.JSONDecodeError as error:
        raise Unreadable(
            "not_json", f"line {error.lineno} column {error.colno}", f"not JSON: {_AT.sub('', error.msg)}"
        ) from error
    # plain ASCII without escapes and DEL cannot hold a forbidden character: raw ones the decoder itself refuses
    if hooks.refused or not text.isascii() or "\\" in text or "\x7f" in text:
        _check_values(value)
    return value


class Whole:
    """A body, and its value once somebody asks for it: what a mapping is tried on is what a standard's reader reads next."""

    def __init__(self, body: bytes, limits: Limits = LIMITS) -> None:
        self.body, self.limits = body, limits

    @cached_property
    def text(self) -> str:
        """Raises Unreadable, each time."""
        return decode_utf8(self.body)

    @cached_property
    def value(self) -> Any:
        """Raises Unreadable, each time. Not to be changed."""
        return parse_json(self.text, self.limits)


def parse_narrow(body: bytes | str, most: int, limits: Limits = LIMITS) -> Any:
    """As `parse_json`, for a body that a contract judges: raises Unreadable (`too_long`) also where something holds more than
    `most` values, since the contract would complain of each of them."""
    value = parse_json(body, limits)
    if isinstance(value, (dict, list)) and (wide := too_wide(value, most)) is not None:
        raise Unreadable("too_long", _pointer(wide[0]), f"{wide[1]} values; at most {most}")
    return value


def check_shape(text: str, size: int, depth: int) -> None:
    """Raise Unreadable where JSON of `size` bytes nests deeper than `depth`, or would take too much memory."""
    brackets = text.count("[") + text.count("{")
    weight = sum(each * text.count(mark) for mark, each in _WEIGHTS.items()) + _NEW_NAME_BYTES * text.count(":")
    most = MEMORY_TIMES * size + _FREE_BYTES - sys.getsizeof(text) - size  # the text, and its letters in the values
    if brackets <= depth and weight <= most:
        return  # fewer brackets cannot nest deeper, and names cannot be more than new ones
    bare = _without_texts(text)  # what stands in texts nests nothing and weighs nothing
    if brackets > depth:
        _check_depth(text, bare, depth)
    if weight > most and _weight_of_marks(bare) > most and _weight(text, bare) > most:
        said = f"{size} bytes of next to empty values, which take more than {MEMORY_TIMES} times that; send them without"
        raise Unreadable("too_many_values", "", said)


def too_wide(value: Any, most: int, path: tuple[str | int, ...] = ()) -> tuple[tuple[str | int, ...], int] | None:
    """The path of the first object or array that holds more than `most` values, and how many: a contract would complain of each
    of them, and a complaint takes a kilobyte."""
    if not _is_wide(value, most):
        return None
    if len(value) > most:
        return path, len(value)
    members = value.items() if isinstance(value, dict) else enumerate(value)
    inner = (too_wide(member, most, (*path, key)) for key, member in members if isinstance(member, (dict, list)))
    return next((found for found in inner if found is not None), None)


def _is_wide(value: Any, most: int) -> bool:
    """Whether it or anything in it holds more than `most` values."""
    if len(value) > most:
        return True
    for member in value.values() if isinstance(value, dict) else value:
        if isinstance(member, (dict, list)) and _is_wide(member, most):
            return True
    return False


def _check_depth(text: str, bare: str, most: int) -> None:
    brackets = bare.encode("ascii", "ignore").translate(_OF_ONE_KIND, _NO_BRACKETS)
    for _ in range(most):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")  # the innermost level
    depth = 0
    for match in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth > most:
            line = text.count("\n", 0, match.start()) + 1
            column = match.start() - text.rfind("\n", 0, match.start())
            raise Unreadable("too_deep", f"line {line} column {column}", f"more than {most} levels of nesting")


def _without_texts(text: str, piece: int = _PIECE) -> str:
    """A quote for each text, and what stands between them."""
    if "\\" in text:
        return _TEXTS.sub('"', text)
    found: list[str] = []
    inside = False  # a text that began in a piece before
    for begin in range(0, len(text), piece):
        parts = text[begin : begin + piece].split('"')
        quotes = len(parts) - 1
        found.append('"'.join(parts[inside::2]))
        begun = quotes > inside  # another text than that
        inside = inside ^ (quotes % 2 == 1)
        if inside and begun:
            found.append('"')
    return "".join(found)


def _weight_of_marks(bare: str) -> int:
    """As `_weight`, of which it is never less: each name is taken for a new one."""
    names = bare.count('":') + sum(1 for _ in _NAMED.finditer(bare))
    weight = sum(each * bare.count(mark) for mark, each in _WEIGHTS.items() if mark != '"')
    return weight + _TEXT_BYTES * (bare.count('"') - names) + _NEW_NAME_BYTES * names


def _weight(text: str, bare: str) -> int:
    """Bytes that the values take in CPython, with what it holds while it makes them, without the letters of texts.
    `bare`: the text with a quote for each of its texts."""
    names = [name for name in _NAMES.findall(text) if name]
    weight = sum(each * bare.count(mark) for mark, each in _WEIGHTS.items() if mark != '"')
    weight += _TEXT_BYTES * (bare.count('"') - len(names))
    different = len(set(names))
    if different <= _NAMES_KNOWN:
        return weight + _NAME_BYTES * (len(names) - different)
    known: set[str] = set()
    for name in names:
        if name in known:
            weight += _NAME_BYTES
        elif len(known) < _NAMES_KNOWN:
            known.add(name)
        else:
            weight += _NEW_NAME_BYTES
    return weight


def decode_utf8(body: bytes) -> str:
    """`body` as text without its byte order mark; raises Unreadable."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable("not_utf8", f"byte {error.start}", "JSON must be UTF-8") from error


def pointer(parent: str, key: str | int) -> str:
    """The JSON pointer (RFC 6901) of a member."""
    return f"{parent}/{key}" if isinstance(key, int) else f"{parent}/{key.replace('~', '~0').replace('/', '~1')}"


class _Hooks:
    """What one parse does at objects and numbers, and whether it met anything to refuse: most bodies need no walk."""

    def __init__(self) -> None:
        self.refused = False
        self.decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_float=self._float, parse_int=self._integer, parse_constant=self._constant
        )

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) == len(pairs):
            return value
        self.refused = True
        seen: set[str] = set()
        repeated = _Repeated(value)
        for key, _ in pairs:
            if key in seen:
                repeated.key = key
            seen.add(key)
        return repeated

    def _float(self, text: str) -> float | _Refused:
        number = float(text)
        return number if math.isfinite(number) else self._refuse(f"{text[:40]} is beyond what a number can hold")

    def _integer(self, text: str) -> int | _Refused:
        if len(text.lstrip("-")) > _INTEGER_DIGITS or int(text) not in _INTEGERS:
            return self._refuse(f"{text[:40]} is beyond 64 bits")
        return int(text)

    def _constant(self, text: str) -> _Refused:
        return self._refuse(f"{text} is no JSON number")

    def _refuse(self, text: str) -> _Refused:
        self.refused = True
        return _Refused("bad_number", text)


def _check_values(value: Any, path: tuple[str | int, ...] = ()) -> None:
    """Walk in document order (no deeper than the depth that was checked); raise at the first thing that must be refused."""
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, dict):
        if isinstance(value, _Repeated):
            text = f"the key {shown(value.key)} stands more than once in this object"
            raise Unreadable("duplicate_key", _pointer(path), text)
        for key, member in value.items():
            _check_text(key, path)
            if key == _MESSAGE and isinstance(member, str):
                _check_text(member, (*path, key), _SURROGATE)
            elif isinstance(member, (str, dict, list, _Refused)):
                _check_values(member, (*path, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            if isinstance(member, (str, dict, list, _Refused)):
                _check_values(member, (*path, index))
    elif isinstance(value, _Refused):
        raise Unreadable(value.code, _pointer(path), value.text)


def _pointer(path: tuple[str | int, ...]) -> str:
    where = ""
    for key in path:
        where = pointer(where, key)
    return shown(where)


def _check_text(text: str, path: tuple[str | int, ...], forbidden: re.Pattern[str] = _FORBIDDEN) -> None:
    found = forbidden.search(text)
    if found:
        what = "a lone surrogate" if found.group() >= "\ud800" else f"the control character U+{ord(found.group()):04X}"
        raise Unreadable("bad_character", _pointer(path), f"{what} is not allowed in a string")
