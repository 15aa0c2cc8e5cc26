"""How events stand in a JSON message: one object, an array, an `events` member, or one object a line; and typed access."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from services.ingest.readers.draft import Bad
from services.ingest.readers.model import LIMITS, Limits, Problem, Unreadable, Verdict
from services.ingest.readers.strict_json import Whole, check_shape, parse_json, pointer
from services.ingest.readers.times import parse_rfc3339

_LINE = re.compile(r"\S[^\r\n]*")


@dataclass(frozen=True, slots=True)
class Item:
    """One event of a JSON message before it is judged. `problem`: its line is not JSON."""

    position: str
    value: Any
    problem: Problem | None = None

    @property
    def payload(self) -> bytes:
        return msgspec.json.encode(self.value)

    def refused(self, bad: Bad) -> Verdict:
        return bad.verdict(self.position, self.payload)


def json_items(content: bytes, content_type: str | None, limits: Limits) -> Sequence[Item]:
    """The events of `content`; raises Unreadable. A line of NDJSON that is not JSON costs only itself."""
    return items_of(Whole(content, limits), content_type)


def items_of(whole: Whole, content_type: str | None) -> Sequence[Item]:
    """As `json_items`."""
    text, limits = whole.text, whole.limits
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type in ("application/x-ndjson", "application/ndjson", "application/jsonl"):
        return _lines(text, limits)
    try:
        value = whole.value
    except Unreadable:
        lines = [match[0].rstrip() for match in islice(_LINE.finditer(text), 2)]
        if len(lines) > 1 and all(line[0] == "{" and line[-1] == "}" for line in lines):
            return _lines(text, limits)
        raise
    if isinstance(value, list):
        return _listed("", value, limits)
    if isinstance(value, dict) and set(value) == {"events"} and isinstance(value["events"], list):
        return _listed("/events", value["events"], limits)
    return [Item("", value)]


def _listed(where: str, values: list[Any], limits: Limits) -> Sequence[Item]:
    """These as items, unless they are too many: an item and its pointer take more than a number."""
    if len(values) > limits.events:
        raise too_many(len(values), limits)
    return [Item(f"{where}/{index}", value) for index, value in enumerate(values)]


def too_many(count: int, limits: Limits) -> Unreadable:
    """The refusal of a message that holds so many events."""
    return Unreadable("too_many_events", "", f"{count} events; at most {limits.events} a message: send several")


def unfolded(items: Sequence[Item], *path: str, most: int = LIMITS.events + 1) -> Sequence[Item]:
    """Each object that holds an array at this path gives way to what stands in it (pages of events). No more than `most`: one
    more than a message may hold, so that it is refused without being read."""
    found: list[Item] = []
    for item in items:
        inner: Any = item.value
        for key in path:
            inner = inner.get(key) if isinstance(inner, dict) else None
        if isinstance(inner, list):
            where = "".join(f"/{key}" for key in path)
            found += [Item(f"{item.position}{where}/{index}", value) for index, value in enumerate(inner[:most])]
        else:
            found.append(item)
        if len(found) >= most:
            return found[:most]
    return found


def _lines(text: str, limits: Limits) -> Sequence[Item]:
    if len(text) > limits.decoded_bytes or text.count("\n") > limits.events * 2:
        raise Unreadable("too_many_events", "", f"more than {limits.events} events; send several messages")
    check_shape(text, len(text), len(text))  # all lines; each by itself may be as dense as it likes
    items = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            items.append(Item(where, parse_json(line, limits)))
        except Unreadable as error:
            place = f"{where} {error.where.removeprefix('line 1 ')}".strip()
            items.append(Item(where, None, Problem(error.code, place, error.text, line.encode("utf-8", "replace"))))
    return items


@dataclass(frozen=True, slots=True)
class Node:
    """An object of a JSON message and its pointer: what is not of the expected type is refused by name."""

    fields: dict[str, Any]
    where: str

    @classmethod
    def of(cls, value: object, where: str) -> Node:
        """`value` as a node; raises Bad."""
        if not isinstance(value, dict):
            raise Bad("not_an_object", where, "a JSON object is expected here")
        return cls(value, where)

    def at(self, key: str) -> str:
        """The pointer of a member."""
        return pointer(self.where, key)

    def text(self, *keys: str) -> str | None:
        """The first of these members that is there, without blanks around it; a whole number counts as text."""
        for key in keys:
            value = self.fields.get(key)
            if value is None:
                continue
            if isinstance(value, str):
                if text := value.strip():
                    return text
                continue
            if not isinstance(value, int) or isinstance(value, bool):
                raise Bad("bad_type", self.at(key), "text is expected here")
            return str(value)
        return None

    def required(self, *keys: str) -> str:
        """As `text`; raises Bad where none is there."""
        value = self.text(*keys)
        if value is None:
            raise Bad("missing_field", self.at(keys[0]), f"{keys[0]} is required")
        return value

    def time(self, key: str) -> datetime | None:
        """The time in member `key`; naive where it has no offset. Raises Bad."""
        text = self.text(key)
        if text is None:
            return None
        try:
            return parse_rfc3339(text)
        except ValueError as error:
            raise Bad("bad_time", self.at(key), str(error)) from error

    def node(self, key: str) -> Node | None:
        """The object in member `key`."""
        value = self.fields.get(key)
        return None if value is None else Node.of(value, self.at(key))

    def nodes(self, key: str) -> Sequence[Node]:
        """The objects in the array in member `key`."""
        value = self.fields.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise Bad("bad_type", self.at(key), "an array is expected here")
        return [Node.of(item, f"{self.at(key)}/{index}") for index, item in enumerate(value)]
