"""Refuses a breaking change of a released contract: `python -m schemas.compatibility` (`--release` keeps today's as released).

What is released stands in `schemas/released`: the JSON Schemas and the topic table as they were. Records are kept for ever, and
during an upgrade old and new processes run side by side, so both directions are protected:

- *old records, new readers* (a topic is read again from its beginning): no new required field, none that becomes required, no
  field gone or renamed (contracts forbid what they do not know), no type, word, limit or pattern narrowed, no default changed
  (what an old record left out would mean something else);
- *new records, old readers* (a rolling upgrade): no required field gone or made optional, no type widened, no record of a new
  kind in a topic (a reader of a union does not know it), no key or partition count changed.

Allowed: a new optional field; a new word in an enum, wider limits (readers on the hot path keep words as text and check no
limits; upgrade readers before writers); a new topic. A null more where a field is optional is nothing: nulls are never sent.
Anything else is a new version: a new module `_v2.py`, a new topic `.v2`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from schemas.export import TABLE, contracts

FOLDER = Path(__file__).parent / "released"

Schema = Mapping[str, Any]
Protects = Literal["new readers of old records", "old readers of new records"]
OLD_RECORDS: Protects = "new readers of old records"
NEW_RECORDS: Protects = "old readers of new records"

_UPPER = ("maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum")
_LOWER = ("minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum")
_FIXED = ("pattern", "format", "const", "multipleOf", "uniqueItems")


@dataclass(frozen=True, slots=True)
class Break:
    """One breaking difference: where, what, and whom it would hurt."""

    contract: str
    where: str
    text: str
    protects: Protects

    def __str__(self) -> str:
        return f"{self.contract} {self.where or '/'}: {self.text} (breaks {self.protects})"


def breaks(contract: str, old: Schema, new: Schema) -> list[Break]:
    """What in `new` breaks with `old`, two JSON Schemas as pydantic writes them."""
    return list(_Comparison(contract, old, new).of("", old, new))


class _Comparison:
    """Walks two schemas side by side; a pair of definitions is compared once, at the place where it is first met."""

    def __init__(self, contract: str, old: Schema, new: Schema) -> None:
        self._contract = contract
        self._old, self._new = old.get("$defs", {}), new.get("$defs", {})
        self._seen: set[tuple[str, str]] = set()

    def of(self, where: str, old: Schema, new: Schema) -> Iterator[Break]:
        pair = (str(old.get("$ref", "")), str(new.get("$ref", "")))
        if all(pair):
            if pair in self._seen:
                return
            self._seen.add(pair)
        before, after = _choices(old, self._old), _choices(new, self._new)
        for kind, choice in before.items():
            if kind not in after:
                yield self._break(where, f"no longer takes {kind}", OLD_RECORDS)
            else:
                yield from self._same_kind(where, choice, after[kind])
        for kind in after.keys() - before.keys() - {"null"}:
            yield self._break(where, f"may now be {kind}", NEW_RECORDS)
        if "null" in after.keys() - before.keys() and not ("default" in old and "default" in new):
            yield self._break(where, "may now be null", NEW_RECORDS)
        if "default" in old and old.get("default") != new.get("default"):
            yield self._break(where, f"default {old['default']!r} became {new.get('default')!r}", OLD_RECORDS)

    def _same_kind(self, where: str, old: Schema, new: Schema) -> Iterator[Break]:
        if "enum" in old and "enum" in new and (gone := [word for word in old["enum"] if word not in new["enum"]]):
            yield self._break(where, f"no longer takes the words {gone}", OLD_RECORDS)
        if "enum" in new and "enum" not in old:
            yield self._break(where, "takes only certain words now", OLD_RECORDS)
        for limit in _UPPER:
            if limit in new and (limit not in old or new[limit] < old[limit]):
                yield self._break(where, f"{limit} {old.get(limit, 'none')} became {new[limit]}", OLD_RECORDS)
        for limit in _LOWER:
            if limit in new and (limit not in old or new[limit] > old[limit]):
                yield self._break(where, f"{limit} {old.get(limit, 'none')} became {new[limit]}", OLD_RECORDS)
        for rule in _FIXED:
            if rule in new and old.get(rule) != new[rule]:
                yield self._break(where, f"{rule} {old.get(rule, 'none')!r} became {new[rule]!r}", OLD_RECORDS)
        yield from self._fields(where, old, new)
        for inner in ("items", "additionalProperties"):
            if isinstance(old.get(inner), Mapping) and isinstance(new.get(inner), Mapping):
                yield from self.of(f"{where}/*", old[inner], new[inner])
        for place, (was, now) in enumerate(zip(old.get("prefixItems", ()), new.get("prefixItems", ()), strict=False)):
            yield from self.of(f"{where}/{place}", was, now)

    def _fields(self, where: str, old: Schema, new: Schema) -> Iterator[Break]:
        before, after = old.get("properties", {}), new.get("properties", {})
        must, must_now = set(old.get("required", ())), set(new.get("required", ()))
        for name, field in before.items():
            here = f"{where}/{name}"
            if name not in after:
                protects = NEW_RECORDS if name in must else OLD_RECORDS
                yield self._break(here, "the field is gone, or has another name", protects)
                continue
            if name in must - must_now:
                yield self._break(here, "may now be left out", NEW_RECORDS)
            if name in must_now - must:
                yield self._break(here, "must now be there", OLD_RECORDS)
            yield from self.of(here, field, after[name])
        for name in sorted(must_now - before.keys()):
            yield self._break(f"{where}/{name}", "a new field that must be there", OLD_RECORDS)

    def _break(self, where: str, text: str, protects: Protects) -> Break:
        return Break(self._contract, where, text, protects)


def _choices(schema: Schema, definitions: Mapping[str, Schema]) -> dict[str, Schema]:
    """What a value may be, by kind: a JSON type, or for an object among several its definition's name."""
    options = schema.get("anyOf") or schema.get("oneOf") or [schema]
    found: dict[str, Schema] = {}
    for option in options:
        name = str(option.get("$ref", "")).removeprefix("#/$defs/")
        whole = definitions[name] if name else option
        if "anyOf" in whole or "oneOf" in whole:
            found |= _choices(whole, definitions)
            continue
        types = whole.get("type", _type_of(whole))
        for kind in types if isinstance(types, list) else [types]:
            found[f"{kind} {name}" if len(options) > 2 and name else kind] = whole
    return found


def _type_of(schema: Schema) -> str:
    """The type of a schema that names values only."""
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return "string" if values and all(isinstance(value, str) for value in values) else "anything"


def table_breaks(old: Sequence[Schema], new: Sequence[Schema]) -> list[Break]:
    """What in the topic table breaks: topics and records come and stay; keys and partitions are chosen once."""
    now = {topic["topic"]: topic for topic in new}
    found = []
    for topic in old:
        name = topic["topic"]
        if name not in now:
            found.append(Break(TABLE, name, "the topic is gone", NEW_RECORDS))
            continue
        for rule in ("key", "partitions", "transactional"):
            if topic[rule] != now[name][rule]:
                found.append(Break(TABLE, name, f"{rule} {topic[rule]!r} became {now[name][rule]!r}", NEW_RECORDS))
        if topic["config"].get("cleanup.policy") != now[name]["config"].get("cleanup.policy"):
            found.append(Break(TABLE, name, "its records are kept in another way", OLD_RECORDS))
        for record in topic["records"]:
            if record not in now[name]["records"]:
                found.append(Break(TABLE, name, f"{record} is no longer read here", OLD_RECORDS))
        for record in now[name]["records"]:
            if record not in topic["records"]:
                found.append(Break(TABLE, name, f"{record} is new here, and readers do not know it", NEW_RECORDS))
    return found


def check(released: Mapping[str, str], current: Mapping[str, str]) -> list[Break]:
    """All breaking differences between two sets of documents (file name -> text)."""
    found = []
    for name, text in sorted(released.items()):
        if name not in current:
            found.append(Break(name, "", "the contract is gone", OLD_RECORDS))
        elif name == TABLE:
            found += table_breaks(json.loads(text), json.loads(current[name]))
        else:
            found += breaks(name.removesuffix(".schema.json"), json.loads(text), json.loads(current[name]))
    return found


def main() -> int:
    """Returns the exit code."""
    current = contracts()
    released = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    found = check(released, current)
    for problem in found:
        sys.stderr.write(f"{problem}\n")
    if found:
        sys.stderr.write(
            "A released contract may only grow by optional fields; make a new version (schemas/compatibility.py).\n"
        )
        return 1
    if "--release" in sys.argv[1:]:
        FOLDER.mkdir(exist_ok=True)
        for name, text in current.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{len(current)} documents are released.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
