"""JSON-LD as far as ONE Record servers write it: one value in many spellings, told apart without any remote context.

A property may be written `eventCode`, `cargo:eventCode` or by its whole IRI; its value as text, `{"@value": ...}`,
`{"@id": ...}` or an array of one; an object in place, or elsewhere in the message under the `@id` that is named here. Contexts
that stand in the message are used; those named by an address are not fetched: a name whose prefix is not declared is taken by
its last part.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from services.ingest.readers.strict_json import pointer

Names = ChainMap[str, str]
"""Terms and prefixes of the contexts that hold here, and what they stand for."""

_MANY: Final = 1_000  # objects of one property that are looked at
_SEPARATORS = re.compile(r"[#/:]")


@lru_cache(10_000)
def last_part(iri: str) -> str:
    """What stands behind the last separator: `https://onerecord.iata.org/ns/cargo#eventCode` -> `eventCode`."""
    return _SEPARATORS.split(iri)[-1]


def names_of(context: object, names: Names) -> Names:
    """`names` with what an `@context` declares; contexts named by an address add nothing."""
    if not isinstance(context, (dict, list)):
        return names
    own: dict[str, str] = {}
    for part in context if isinstance(context, list) else [context]:
        for term, meaning in part.items() if isinstance(part, dict) else ():
            iri = meaning.get("@id") if isinstance(meaning, dict) else meaning
            if isinstance(iri, str) and not term.startswith("@"):
                own[term] = iri
    return names.new_child(own) if own else names


def expanded(name: str, names: Names) -> str:
    """`name` with its prefix written out, where the message declares it."""
    name = names.get(name, name)
    prefix, colon, rest = name.partition(":")
    return names[prefix] + rest if colon and prefix in names else name


@dataclass(slots=True)
class LinkedNode:
    """An object of the message; its members by the last part of their names. `ours`: whether an IRI is of the vocabulary."""

    value: dict[str, Any]
    where: str
    names: Names
    graph: Graph
    _keys: dict[str, str] | None = field(default=None)

    def key(self, name: str) -> str | None:
        """The key that stands for the property in this object."""
        if self._keys is None:
            self._keys = {}
            for key in self.value:
                iri = key if key.startswith("@") else expanded(key, self.names)
                if "://" in iri and not self.graph.ours(iri):
                    continue  # a property of another vocabulary, whatever its last part
                local = iri if iri.startswith("@") else last_part(iri)
                self._keys.setdefault(local[:1].lower() + local[1:], key)
        return self._keys.get(name)

    def at(self, name: str) -> str:
        """The pointer of a property."""
        return pointer(self.where, self.key(name) or name)

    @property
    def id(self) -> str | None:
        key = self.key("@id")
        found = self.value[key] if key is not None else None
        return found.strip() if isinstance(found, str) and found.strip() else None

    @property
    def types(self) -> Sequence[str]:
        """The last parts of its types."""
        key = self.key("@type")
        found = self.value[key] if key is not None else []
        return [
            last_part(expanded(one, self.names))
            for one in (found if isinstance(found, list) else [found])
            if isinstance(one, str)
        ]

    def values(self, *properties: str) -> Iterator[tuple[object, str]]:
        """The values of the first of these properties that is there, each with its pointer."""
        for name in properties:
            key = self.key(name)
            value = self.value[key] if key is not None else None
            if value is None or value == []:
                continue
            where = pointer(self.where, str(key))
            if isinstance(value, list):
                yield from ((one, f"{where}/{index}") for index, one in enumerate(islice(value, _MANY)))
            else:
                yield value, where
            return

    def text(self, *properties: str) -> tuple[str, str] | None:
        """The first plain value of the first of these properties that is there, and its pointer."""
        for name in properties:
            for value, where in self.values(name):
                if (text := plain(value)) is not None:
                    return text, where
        return None

    def nodes(self, *properties: str, most: int = _MANY) -> Iterator[LinkedNode]:
        """The objects of the first of these properties that is there, as told most fully in the message."""
        for value, where in islice(self.values(*properties), most):
            node = self.graph.node(value, where, self.names)
            if node is not None:
                yield node

    def first(self, *properties: str) -> LinkedNode | None:
        """The first of `nodes`."""
        return next(self.nodes(*properties), None)


@dataclass(slots=True)
class Graph:
    """The objects of a message by their `@id`. `ours`: whether an IRI belongs to the vocabulary that is read."""

    ours: Callable[[str], bool]
    _told: dict[str, tuple[dict[str, Any], str, Names]] = field(default_factory=dict)
    _made: dict[str, LinkedNode] = field(default_factory=dict)

    def add(self, node: LinkedNode) -> None:
        """Remember an object that says more than its name; of several that share one, the fullest."""
        name = node.id
        if name is not None and len(node.value) > 1:
            known = self._told.get(name)
            if known is None or len(known[0]) < len(node.value):
                self._told[name] = (node.value, node.where, node.names)
                self._made.pop(name, None)

    def find(self, name: str | None) -> LinkedNode | None:
        """The object of that name, as told most fully in the message."""
        told = self._told.get(name) if name is not None else None
        if name is None or told is None:
            return None
        node = self._made.get(name)
        if node is None:
            if len(self._made) >= _MANY:  # a message names few of its objects again and again
                self._made.clear()
            node = self._made[name] = LinkedNode(*told, self)
        return node

    def node(self, value: object, where: str, names: Names) -> LinkedNode | None:
        """The object that a value is or names; None for what is no object."""
        if isinstance(value, str):
            return self.find(value) or LinkedNode({"@id": value}, where, names, self)
        if not isinstance(value, dict):
            return None
        node = LinkedNode(value, where, names_of(value.get("@context"), names), self)
        known = self.find(node.id)
        return known if known is not None and len(known.value) > len(value) else node


def plain(value: object) -> str | None:
    """A literal as text, however it is wrapped; None for an object."""
    if isinstance(value, dict):
        value = value.get("@value")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return value.strip() or None if isinstance(value, str) else None


def named(value: object) -> str | None:
    """The IRI that a value is or names."""
    if isinstance(value, dict):
        value = value.get("@id")
    return value.strip() or None if isinstance(value, str) else None
