"""Mapping files (TOML): how a sender's own CSV or JSON is read, so that a new partner needs a file and no code.

Read once, when a process starts; docs/partners.md says what may stand in one. A file that is none stops the process with a
sentence: a partner whose file is left out in silence is found days later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, TypeAdapter, ValidationError

from services.ingest import partner_files
from services.ingest.codemaps.files import BadCodeMap, Entry, meaning_of, sentence
from services.ingest.codemaps.model import Meaning
from services.ingest.legible import shown
from services.ingest.mappings_model import (
    BadExpression,
    EventRule,
    Expression,
    Fields,
    MappingFile,
    Mappings,
    Source,
    Stated,
    TimeFormat,
    TimeSource,
)
from services.ingest.readers.own_codes import VERSIONS
from services.runtime.settings import SettingsError

_CODES_MAX: Final = 10_000
_NAMED_FORMATS: Final = ("iso", "excel", "unix", "unix_ms")
_TOKENS: Final = {
    "YYYY": r"(\d{4})",
    "YY": r"(\d{2})",
    "MON": r"([A-Za-z]{3,9})",
    "MM": r"(\d{2})",
    "M": r"(\d{1,2})",
    "DD": r"(\d{2})",
    "D": r"(\d{1,2})",
    "HH": r"(\d{2})",
    "H": r"(\d{1,2})",
    "hh": r"(\d{2})",
    "h": r"(\d{1,2})",
    "mm": r"(\d{2})",
    "ss": r"(\d{2})(?:\.\d{1,9})?",
    "AM": r"([AaPp])\.?[Mm]\.?",
    "ZZ": r"([Zz]|[+-]\d{2}:?\d{2})",
}
_OF_ANY_WIDTH: Final = r"(\d{1,2})"  # two of them side by side could be read in two ways
_TOKEN = re.compile("|".join(sorted(_TOKENS, key=len, reverse=True)) + r"|[ /.,:'-]|T")
_CODES: Final[TypeAdapter[dict[str, Entry]]] = TypeAdapter(dict[str, Entry])


class BadMapping(SettingsError):
    """A file that is no mapping; the text says which file, where, what is wrong, and what to do."""


def read_mapping(file: Path) -> MappingFile:
    """One file. Raises BadMapping with a sentence; OSError if it cannot be read."""
    said = partner_files.read_toml(file, BadMapping)
    codes = said.pop("codes", {})
    try:
        stated = Stated.model_validate({key: tuple(value) if key == "events" else value for key, value in said.items()})
        entries = _CODES.validate_python(codes)
    except ValidationError as error:
        raise BadMapping(f"{file}: {sentence(error)}; docs/partners.md lists every key") from None
    except TypeError:
        raise BadMapping(f"{file}: events: write each event as a table [[events]]") from None
    return _Compiler(file, stated).made(entries)


def load(folder: Path | None) -> Mappings:
    """The mappings of a folder; none without one. Raises BadMapping, OSError."""
    if folder is None:
        return Mappings()
    made = [read_mapping(file) for file in sorted(folder.glob(partner_files.SUFFIX))]
    seen: dict[tuple[object, ...], MappingFile] = {}
    for one in made:
        other = seen.setdefault((*one.key, one.stated.version), one)
        if other is not one:
            said = f"version {one.stated.version} of the same {one.stated.format} of {one.stated.sender}"
            raise BadMapping(f"{one.file}: {other.file} is {said} too; give one of them another version")
    return Mappings.of(made)


def folder_of(named: Path | None, state_dir: Path) -> Path | None:
    """Where mappings lie: as named (LOVLA_MAPPINGS), else `mappings` in the state dir, if it is there. Raises BadMapping."""
    return partner_files.folder_of("LOVLA_MAPPINGS", named, state_dir / "mappings", BadMapping)


class _Compiler:
    """What is checked across keys, and compiled."""

    def __init__(self, file: Path, stated: Stated) -> None:
        self._file = file
        self._stated = stated
        self._expressions: dict[str, Expression] = {}
        self._formats: dict[str, TimeFormat] = {}
        self._zones: dict[str, ZoneInfo] = {}
        self._columns: dict[str, str] = {}

    def made(self, entries: Mapping[str, Entry]) -> MappingFile:
        stated = self._stated
        if stated.version >= VERSIONS:
            raise self._bad("version", f"versions end at {VERSIONS - 1}")
        if stated.format == "csv":
            if "json_" in stated.model_fields_set or "message" in stated.model_fields_set:
                raise self._bad("json" if "json_" in stated.model_fields_set else "message", 'belongs to format = "json"')
        else:
            if "csv" in stated.model_fields_set:
                raise self._bad("csv", 'belongs to format = "csv"')
            self._expression(stated.json_.items, "json.items")
            if stated.json_.match is not None:
                self._expression(stated.json_.match, "json.match")
        for name in stated.time.format:
            self._format(name, "time.format")
        self._zone(stated.time.zone, "time.zone")
        self._sources(stated.message, "message")
        self._sources(stated.item, "item")
        fixed: dict[str, Meaning] = {}
        for index, rule in enumerate(stated.events, start=1):
            self._event(rule, f"events {index} ({shown(rule.name)})", fixed)
        if any(rule.code is not None for rule in stated.events) != bool(entries):
            what = (
                "no event has a `code`, so they mean nothing" if entries else "an event has a `code`: say what each one means"
            )
            raise self._bad("codes", what)
        if len(entries) > _CODES_MAX:
            raise self._bad("codes", f"more than {_CODES_MAX}")
        return MappingFile(
            stated=stated,
            meanings=MappingProxyType(self._meanings(entries)),
            fixed=MappingProxyType(fixed),
            expressions=MappingProxyType(self._expressions),
            formats=MappingProxyType(self._formats),
            zones=MappingProxyType(self._zones),
            columns=MappingProxyType(self._columns),
            valid_from=datetime.combine(stated.valid_from, time(), UTC) if stated.valid_from else None,
            file=str(self._file),
        )

    def _bad(self, key: str, text: str) -> BadMapping:
        return BadMapping(f"{self._file}: {key}: {text}")

    def _meanings(self, entries: Mapping[str, Entry]) -> dict[str, Meaning]:
        meanings: dict[str, Meaning] = {}
        for code, entry in entries.items():
            key = code.strip().upper()
            if key in meanings:
                raise self._bad(f"codes.{shown(code)}", "the code stands there twice; upper and lower case are one")
            meanings[key] = self._meaning(code, entry)
        return meanings

    def _meaning(self, code: str, entry: Entry) -> Meaning:
        try:
            return meaning_of(self._file, code, entry)
        except BadCodeMap as error:
            raise BadMapping(str(error)) from None

    def _event(self, rule: EventRule, where: str, fixed: dict[str, Meaning]) -> None:
        if any(rule.name == other for other in fixed):
            raise self._bad(f"{where}.name", "another event has this name; it tells them apart")
        if rule.code is None:
            fixed[rule.name] = self._meaning(rule.name, Entry(means=rule.name, milestone=rule.milestone, hold=rule.hold))
        if rule.each is not None:
            if self._stated.format == "csv":
                raise self._bad(f"{where}.each", 'belongs to format = "json"; a row has no parts')
            self._expression(rule.each, f"{where}.each")
        self._sources(rule, where)
        scopes = (rule, self._stated.item, self._stated.message)
        has_id = any(scope.id is not None for scope in scopes)
        if has_id and not any(scope.updated_at or scope.created_at for scope in scopes):
            text = (
                "an event with an id of its own may come again, changed: say which one counts by `updated_at` or `created_at`"
                " (`updated_at = { received = true }`: the one that came last)"
            )
            raise self._bad(f"{where}.id", text)
        if not any(scope.references for scope in scopes):
            raise self._bad(f"{where}.references", "name at least one reference, or no consignment is ever found")

    def _sources(self, fields: Fields, where: str) -> None:
        for key, source in _sources(fields, where):
            for name in source.names:
                if self._stated.format == "json":
                    self._expression(name, key)
                else:
                    self._columns.setdefault(name, key)
            if isinstance(source, TimeSource):
                for format_ in source.format or ():
                    self._format(format_, f"{key}.format")
                if source.zone is not None:
                    self._zone(source.zone, f"{key}.zone")
                if source.values is not None:
                    raise self._bad(f"{key}.values", "a time has a `format`, no `values`")
                if source.received and (source.names or source.constant is not None or key.endswith(".occurred_at")):
                    raise self._bad(f"{key}.received", "stands alone, and only in `updated_at` or `created_at`")

    def _expression(self, text: str, key: str) -> None:
        try:
            self._expressions[text] = Expression(text)
        except BadExpression as error:
            raise self._bad(key, f"{shown(text)}: {error}") from None

    def _format(self, text: str, key: str) -> None:
        if text in self._formats:
            return
        if text in _NAMED_FORMATS:
            self._formats[text] = TimeFormat(text)
            return
        tokens: list[str] = []
        parts: list[str] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                known = f"{', '.join(_NAMED_FORMATS)}, or a pattern of {', '.join(_TOKENS)}"
                raise self._bad(key, f"{shown(text)}: what is {shown(text[at:])}? Write {known}")
            found = match.group()
            if found in _TOKENS:
                if parts and parts[-1] == _OF_ANY_WIDTH:
                    raise self._bad(key, f"{shown(text)}: behind {tokens[-1]} something must stand that is no digit")
                tokens.append(found)
            parts.append(_TOKENS.get(found, re.escape(found)))
            at = match.end()
        if not {"DD", "D"} & set(tokens) or not {"MM", "M", "MON"} & set(tokens):
            raise self._bad(key, f"{shown(text)}: a time needs a month (M, MM, MON) and a day (D, DD)")
        if {"h", "hh"} & set(tokens) and "AM" not in tokens:
            raise self._bad(key, f"{shown(text)}: h is an hour of twelve: write AM behind it, or H")
        kinds = [_kind(token) for token in tokens]
        if len(set(kinds)) < len(kinds):
            raise self._bad(key, f"{shown(text)}: something stands in it twice")
        self._formats[text] = TimeFormat(text, re.compile("".join(parts), re.ASCII), tuple(tokens))

    def _zone(self, text: str, key: str) -> None:
        if text == "place" or text in self._zones:
            return
        try:
            self._zones[text] = ZoneInfo(text)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            text = f"{shown(text)} is no time zone; write one like America/Los_Angeles, or place for that of the event's place"
            raise self._bad(key, text) from None


def _kind(token: str) -> str:
    return {"MON": "month", "MM": "month", "M": "month"}.get(token, token.lower()[0] if token not in ("mm",) else "minute")


def _sources(model: BaseModel, where: str) -> Iterator[tuple[str, Source]]:
    """Each source of a table, with its key."""
    for name, value in model:
        key = f"{where}.{name}"
        values: Sequence[Any] = value if isinstance(value, tuple) else (value,)
        for one in values:
            if isinstance(one, Source):
                yield key, one
            elif isinstance(one, BaseModel):
                yield from _sources(one, key)
