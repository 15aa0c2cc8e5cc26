"""CSV and JSON of any shape, read by a sender's mapping file: services/ingest/mappings.py, docs/partners.md.

A row of a CSV, or an item of a JSON document, says one event for each rule of the mapping whose time is filled. A mapping that
fits for certain comes before the standards' own readers: a CSV whose header row has all its columns, JSON that its `match` says
is meant. A JSON mapping without `match` is asked last, where no standard's reader knows the message.

An event without an id of its own is known by what the sender wrote of it (its references, time, code and place), never by the
other cells of its row: tomorrow's sheet with one cell more says the same event again.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final, Literal

from schemas.shipment_event_v1 import Pieces, Place, Warning_
from schemas.words import Classifier, Mode
from services.ingest import identifiers
from services.ingest.codemaps.model import Meaning
from services.ingest.legible import shown
from services.ingest.mappings_model import (
    BadDocument,
    EventRule,
    Fields,
    MappingFile,
    PlaceSource,
    ReferenceSource,
    Source,
    TimeSource,
)
from services.ingest.places import facility_by_code, facility_by_smdg, zone_of
from services.ingest.readers.draft import REFERENCES_MAX, Bad, Draft, Identities, fixed_offset
from services.ingest.readers.json_items import json_items
from services.ingest.readers.mapped_times import NoTime, moment_of
from services.ingest.readers.model import Context, Limits, Reading, Unreadable, Verdict
from services.ingest.readers.own_codes import VERSIONS
from services.ingest.readers.strict_json import decode_utf8, parse_json

STANDARD: Final = "mapped"
READER_VERSION: Final = 1

_CELL_MOST: Final = 2_000  # characters of one value: more than any field of an event takes
_LINES_A_ROW: Final = 20  # a cell may hold line breaks; a quotation mark that never ends must not swallow the sheet
_BLANK: Final = ("\n", "\r\n", "\r", "")
_CLASSIFIERS: Final[Mapping[str, Classifier]] = {"planned": "planned", "estimated": "estimated", "actual": "actual"}
_MODES: Final[Mapping[str, Mode]] = {"sea": "sea", "air": "air", "road": "road", "rail": "rail"}
_TRUTHS: Final = {"true": True, "false": False}
_COUNT_MAX: Final = 10_000_000  # schemas/shipment_event_v1.py, Pieces


def read_fitting(content: bytes, content_type: str | None, context: Context, limits: Limits) -> Reading | None:
    """What the sender's mappings make of a message that is theirs for certain; None if it is not. Raises Unreadable."""
    for mapping in context.registers.mappings.valid(context.sender, context.received_at):
        if mapping.stated.format == "csv":
            sheet = _Sheet.of(content, mapping)
            if sheet is not None and not sheet.missing:
                return _read_rows(sheet, mapping, context, limits)
        elif (match := mapping.stated.json_.match) is not None:
            document = _document(content, content_type, limits)
            if document is not None and _truth(mapping, match, document):
                return _read_items(document, mapping, context, limits)
    return None


def read_otherwise(content: bytes, content_type: str | None, context: Context, limits: Limits) -> Reading | None:
    """What the sender's mappings make of a message that no standard's reader knows; None if there is none for it.

    Raises Unreadable: a CSV whose columns are not those of the mapping, say.
    """
    for mapping in context.registers.mappings.valid(context.sender, context.received_at):
        if mapping.stated.format == "csv":
            sheet = _Sheet.of(content, mapping)
            if sheet is not None:
                raise sheet.refusal()
        elif mapping.stated.json_.match is None:
            document = _document(content, content_type, limits)
            if document is not None:
                return _read_items(document, mapping, context, limits)
    return None


def read(content: bytes, context: Context, limits: Limits) -> Reading:
    """Read by the sender's newest mapping, whether it fits or not: for whoever says which one to take. Raises Unreadable."""
    mapping = next(iter(context.registers.mappings.valid(context.sender, context.received_at)), None)
    if mapping is None:
        raise Unreadable("no_mapping", "", f"there is no mapping file for {context.sender}")
    if mapping.stated.format == "json":
        return _read_items(parse_or_lines(content, None, limits), mapping, context, limits)
    sheet = _Sheet.of(content, mapping)
    if sheet is None:
        raise Unreadable("not_csv", "", f"no text in {mapping.stated.csv.encoding} with a header row")
    if sheet.missing:
        raise sheet.refusal()
    return _read_rows(sheet, mapping, context, limits)


def parse_or_lines(content: bytes, content_type: str | None, limits: Limits) -> Any:
    """The whole document; JSON lines are an array of theirs. Raises Unreadable."""
    try:
        return parse_json(decode_utf8(content), limits)
    except Unreadable as error:
        items = json_items(content, content_type, limits)
        if all(item.problem is not None for item in items):
            raise error from None
        return [item.value for item in items]  # a line that is not JSON is null: its item says so


def _document(content: bytes, content_type: str | None, limits: Limits) -> Any:
    """The document, None if the content is no JSON."""
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b"["):
        return None
    try:
        return parse_or_lines(content, content_type, limits)
    except Unreadable:
        return None


def _truth(mapping: MappingFile, expression: str, document: Any) -> bool:
    try:
        return mapping.expressions[expression].of(document) is True
    except BadDocument:
        return False


# --- rows


@dataclass(slots=True)
class _Sheet:
    """The text of a CSV, and its header: where each column that the mapping reads stands."""

    mapping: MappingFile
    text: str
    width: int
    at: Mapping[str, int]
    missing: Sequence[str]
    twice: Sequence[str]
    header: Sequence[str]

    @classmethod
    def of(cls, content: bytes, mapping: MappingFile) -> _Sheet | None:
        """None if the content is no text of the mapping's encoding, or ends before its header row."""
        form = mapping.stated.csv
        encoding = "utf-8-sig" if form.encoding == "utf-8" else form.encoding
        try:
            text = content.decode(encoding)
        except UnicodeError:
            return None
        if "\n" not in text[:10_000]:
            text = text.replace("\r", "\n")  # as spreadsheets of old Macs end their lines
        found = next(islice(_rows(text, form.delimiter), form.header_row - 1, None), None)
        if found is None or isinstance(found.cells, str):
            return None
        names = [_name(cell) for cell in found.cells]
        places: dict[str, list[int]] = {}
        for index, name in enumerate(names):
            places.setdefault(name, []).append(index)
        wanted = {column: places.get(_name(column), []) for column in mapping.columns}
        return cls(
            mapping,
            text,
            len(names),
            {column: indexes[0] for column, indexes in wanted.items() if indexes},
            [column for column, indexes in wanted.items() if not indexes],
            [column for column, indexes in wanted.items() if len(indexes) > 1],
            found.cells,
        )

    def refusal(self) -> Unreadable:
        column = (self.missing or self.twice)[0]
        what = "is missing" if self.missing else "stands there twice"
        key, form = self.mapping.columns[column], self.mapping.stated.csv
        said = ", ".join(cell.strip() for cell in self.header)[:200]
        text = f"the column {column} of the mapping ({key}) {what}; with delimiter {form.delimiter!r} the header reads: {said}"
        return Unreadable("missing_column", f"row {form.header_row}", text)


@dataclass(slots=True)
class _Row:
    """A row as a spreadsheet counts it; `cells` is a sentence where it is no CSV. `start`, `end`: of its text."""

    number: int
    cells: Sequence[str] | str
    start: int
    end: int


def _name(text: str) -> str:
    return " ".join(text.split()).casefold()


def _rows(text: str, delimiter: str) -> Iterator[_Row]:
    """The rows of a sheet. One that is no CSV costs itself: reading goes on with the next line."""
    at = number = 0
    while at < len(text):
        number += 1
        feed = _Lines(text, at)
        try:
            cells: Sequence[str] | str = next(csv.reader(feed, delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            cells = str(error)
        except _Endless:
            cells = f"a quotation mark is not closed within {_LINES_A_ROW} lines"
        end = feed.at if not isinstance(cells, str) else feed.first_end
        yield _Row(number, cells, at, end)
        at = end


class _Endless(Exception):
    pass


class _Lines:
    """The lines of a text from a place on, one at a time, so that the rest is not copied."""

    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self.at = at
        self._taken = 0
        self.first_end = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._taken == _LINES_A_ROW:
            raise _Endless
        if self.at >= len(self._text):
            raise StopIteration
        found = self._text.find("\n", self.at)
        end = len(self._text) if found < 0 else found + 1
        line = self._text[self.at : end]
        self.at = end
        self._taken += 1
        self.first_end = self.first_end or end
        return line


def _read_rows(sheet: _Sheet, mapping: MappingFile, context: Context, limits: Limits) -> Reading:
    if sheet.twice:
        raise sheet.refusal()
    run = _Run(mapping, context, "rows")
    form = mapping.stated.csv
    for row in islice(_rows(sheet.text, form.delimiter), form.header_row, None):
        if not isinstance(row.cells, str) and not any(cell.strip() for cell in row.cells):
            continue
        _bound(run, limits)
        where = f"row {row.number}"
        payload = sheet.text[row.start : row.end].encode("utf-8", "replace")
        if isinstance(row.cells, str):
            run.refuse(Bad("bad_row", where, f"no CSV: {row.cells}"), where, payload)
        elif len(row.cells) > sheet.width:
            text = (
                f"{len(row.cells)} cells, but the header has {sheet.width}: is a {form.delimiter!r} inside a cell not quoted?"
            )
            run.refuse(Bad("bad_row", where, text), where, payload)
        else:
            run.item(_Cells(where, sheet.at, row.cells), payload)
    return run.reading("mapped.csv")


def _bound(run: _Run, limits: Limits) -> None:
    if run.items == limits.events or len(run.verdicts) > limits.events:
        raise Unreadable(
            "too_many_events", "", f"more than {limits.events} {run.what} or events; at most that a message: send several"
        )


# --- items


def _read_items(document: Any, mapping: MappingFile, context: Context, limits: Limits) -> Reading:
    form = mapping.stated.json_
    try:
        found = mapping.expressions[form.items].of(document)
    except BadDocument as error:
        raise Unreadable("bad_items", "", f"items, {form.items}: {error}") from None
    items = found if isinstance(found, list) else [] if found is None else [found]
    if not items:
        raise Unreadable("empty", "", f"items, {form.items}: finds nothing in this message")
    run = _Run(mapping, context, "items", _Members("message", mapping, document))
    for number, item in enumerate(items, start=1):
        _bound(run, limits)
        where = f"item {number}"
        run.item(_Members(where, mapping, item), None, limits.events)
    return run.reading("mapped.json")


# --- what a source finds


class _View:
    """What the sources find in one row, item or part; each is asked once, however many events ask."""

    def __init__(self, where: str) -> None:
        self.where = where
        self._found: dict[int, Sequence[str]] = {}

    def at(self, source: Source) -> str:
        """The place of a source, for sentences."""
        raise NotImplementedError

    def texts(self, source: Source) -> Sequence[str]:
        """The texts that a source finds, none of them blank. Raises Bad."""
        known = self._found.get(id(source))
        if known is None:
            known = self._found[id(source)] = self._look(source)
        return known

    def _look(self, source: Source) -> Sequence[str]:
        raise NotImplementedError

    def payload(self) -> bytes:
        raise NotImplementedError

    def parts(self, expression: str, mapping: MappingFile, most: int) -> Iterator[_View]:
        """The views of its parts."""
        raise NotImplementedError


class _Cells(_View):
    def __init__(self, where: str, at: Mapping[str, int], cells: Sequence[str]) -> None:
        super().__init__(where)
        self._at = at
        self._cells = cells

    def at(self, source: Source) -> str:
        return f"{self.where}, column {source.names[0]}" if source.names else self.where

    def _look(self, source: Source) -> Sequence[str]:
        indexes = [self._at[name] for name in source.names]
        found = [_plain(self._cells[index]) for index in indexes if index < len(self._cells)]
        text = source.join.join(text for text in found if text)
        return (text,) if text else ()


class _Members(_View):
    def __init__(self, where: str, mapping: MappingFile, value: Any) -> None:
        super().__init__(where)
        self._mapping = mapping
        self._value = value

    def at(self, source: Source) -> str:
        return f"{self.where}: {source.names[0]}" if source.names else self.where

    def _look(self, source: Source) -> Sequence[str]:
        found: list[list[str]] = []
        for name in source.names:
            try:
                value = self._mapping.expressions[name].of(self._value)
            except BadDocument as error:
                raise Bad("bad_type", f"{self.where}: {name}", str(error)) from None
            found.append(list(self._texts(value, name, isinstance(source, ReferenceSource))))
        if len(found) == 1:
            return found[0]
        text = source.join.join(text for texts in found for text in texts[:1])
        return (text,) if text else ()

    def _texts(self, value: Any, name: str, several: bool) -> Iterator[str]:
        if value is None:
            return
        if isinstance(value, list) and several:
            for one in value[: 2 * REFERENCES_MAX]:
                yield from self._texts(one, name, False)
        elif isinstance(value, bool):
            yield "true" if value else "false"
        elif isinstance(value, (str, int, float)):
            if text := _plain(str(value)):
                yield text
        else:
            raise Bad("bad_type", f"{self.where}: {name}", "one text or number is expected here")

    def payload(self) -> bytes:
        return json.dumps(self._value, ensure_ascii=False).encode("utf-8", "replace")

    def parts(self, expression: str, mapping: MappingFile, most: int) -> Iterator[_View]:
        try:
            found = mapping.expressions[expression].of(self._value)
        except BadDocument as error:
            raise Bad("bad_type", f"{self.where}: {expression}", str(error)) from None
        values = found if isinstance(found, list) else [] if found is None else [found]
        if len(values) > most:
            raise Unreadable(
                "too_many_events", self.where, f"{len(values)} parts; at most {most} events a message: send several"
            )
        for number, value in enumerate(values, start=1):
            yield _Members(f"{self.where}, part {number}", self._mapping, value)


def _plain(text: str) -> str:
    return " ".join(text[:_CELL_MOST].split())


# --- events


@dataclass(frozen=True, slots=True)
class _Scope:
    """A table of the mapping, and where its sources look."""

    fields: Fields
    view: _View


@dataclass
class _Run:
    """One message under way. `items`: those that hold anything; `quiet`: those that said no event."""

    mapping: MappingFile
    context: Context
    what: Literal["rows", "items"]
    message: _View | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    items: int = 0
    quiet: int = 0
    first_quiet: str = ""
    left_out: dict[str, tuple[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._identities = Identities(self.context.sender, "mapped.csv" if self.what == "rows" else "mapped.json")

    def refuse(self, bad: Bad, where: str, payload: bytes) -> None:
        self.items += 1
        self.verdicts.append(bad.verdict(where, payload))

    def item(self, view: _View, payload: bytes | None, most: int = 0) -> None:
        """All events of a row or item."""
        self.items += 1
        before, left_out = len(self.verdicts), sum(count for _, count in self.left_out.values())
        for rule in self.mapping.stated.events:
            if rule.each is None:
                self._event(rule, view, view, payload)
                continue
            try:
                for part in view.parts(rule.each, self.mapping, most):
                    self._event(rule, part, view, payload)
            except Bad as bad:
                self.verdicts.append(bad.verdict(view.where, payload or view.payload()))
            if len(self.verdicts) > most:
                raise Unreadable("too_many_events", view.where, f"more than {most} events a message: send several")
        if len(self.verdicts) == before and left_out == sum(count for _, count in self.left_out.values()):
            self.quiet += 1
            self.first_quiet = self.first_quiet or view.where

    def reading(self, standard: str) -> Reading:
        warnings = [
            Warning_(code="left_out", where=shown(where), text=f"{count} left out by `when` of the event {shown(name)}")
            for name, (where, count) in self.left_out.items()
        ]
        if self.quiet:
            text = f"{self.quiet} of {self.items} {self.what} hold none of the times that the mapping reads"
            warnings.append(Warning_(code="nothing_yet", where=shown(self.first_quiet), text=text))
        if not self.verdicts and warnings:
            raise Unreadable("empty", warnings[0].where, f"the message says no event: {warnings[0].text}")
        return Reading(standard, tuple(self.verdicts), tuple(warnings))

    def _event(self, rule: EventRule, view: _View, item: _View, payload: bytes | None) -> None:
        try:
            if not self._meant(rule, view):
                first, count = self.left_out.get(rule.name, (view.where, 0))
                self.left_out[rule.name] = (first, count + 1)
                return
            made = _Making(rule, view, item, self)
            if made.happened():
                self.verdicts.append(Verdict(view.where, event=made.draft.finish(made.identity(self._identities))))
        except Bad as bad:
            self.verdicts.append(bad.verdict(view.where, payload or view.payload()))

    def _meant(self, rule: EventRule, view: _View) -> bool:
        if rule.when is None:
            return True
        texts = view.texts(rule.when)
        return bool(texts) and texts[0].casefold() in {text.casefold() for text in rule.when.values_are}


class _Making:
    """One event in the making."""

    def __init__(self, rule: EventRule, view: _View, item: _View, run: _Run) -> None:
        stated = run.mapping.stated
        self._rule = rule
        self._mapping = run.mapping
        self._view = view
        self._scopes = [_Scope(rule, view), _Scope(stated.item, item)]
        if run.message is not None:
            self._scopes.append(_Scope(stated.message, run.message))
        standard: Literal["mapped.csv", "mapped.json"] = "mapped.csv" if run.what == "rows" else "mapped.json"
        version = READER_VERSION * VERSIONS + stated.version
        self.draft = Draft(run.context, standard, version, view.where, rule.name)
        self._tokens: dict[str, Any] = {"event": rule.name}

    def happened(self) -> bool:
        """Fill the draft; False if there is nothing to say yet. Raises Bad."""
        rule, draft = self._rule, self.draft
        when = self._text(rule.occurred_at, self._view)
        code = self._text(rule.code, self._view) if rule.code is not None else None
        if when is None:
            if code is None or (rule.code is not None and not rule.code.names):
                return False
            raise Bad("no_time", self._view.at(rule.occurred_at), f"the code {code[:40]} is given, but not when")
        self._tokens |= {"occurred_at": when, "code": code}
        meaning = self._meaning(code)
        for scope in self._scopes:
            for source in scope.fields.references:
                self._refer(source, scope.view)
        self._places()
        self._other_fields()
        if meaning is not None:
            draft.milestone, draft.hold = meaning.milestone, meaning.hold
            draft.classifier = meaning.classifier or "actual"
            draft.mode = meaning.mode or draft.mode
            draft.empty = draft.empty if meaning.empty is None else meaning.empty
        self._classify()
        draft.occurred_at = self._moment(rule.occurred_at, self._view, when)
        self._own_times()
        return True

    def identity(self, identities: Identities) -> str:
        own = self._first("id")
        if own is not None and (text := self._text(own[0], own[1])) is not None:
            self.draft.source_id = text
            return identities.own(f"{self._rule.name}\n{text}")
        stamp = None
        if self.draft.classifier != "actual" and (made := self._first("created_at")) is not None:
            stamp = self._text(made[0], made[1])
        return identities.of(self._tokens, stamp)

    def _first(self, name: str) -> tuple[Any, _View] | None:
        """The innermost table that says something of `name`."""
        for scope in self._scopes:
            if (value := getattr(scope.fields, name)) is not None:
                return value, scope.view
        return None

    def _text(self, source: Source | None, view: _View) -> str | None:
        """The text that a source gives, by its `values` where it has some; None where there is none. Raises Bad."""
        if source is None:
            return None
        if source.constant is not None:
            return str(source.constant).lower() if isinstance(source.constant, bool) else str(source.constant)
        texts = view.texts(source)
        return self._stands_for(source, texts[0], view) if texts else None

    def _stands_for(self, source: Source, text: str, view: _View) -> str | None:
        if source.values is None:
            return text
        known = {key.strip().upper(): value for key, value in source.values.items()}.get(text.upper())
        if known is None:
            text = f"{text[:60]} is none of the values that the mapping knows; not used"
            self.draft.warn("unmapped_value", text, view.at(source))
            return None
        return str(known).lower() if isinstance(known, bool) else known

    def _meaning(self, code: str | None) -> Meaning | None:
        rule, draft = self._rule, self.draft
        if rule.code is None:
            return self._mapping.fixed[rule.name]
        if code is None:
            raise Bad("no_code", self._view.at(rule.code), "says when, but not what")
        draft.code = code
        meaning = self._mapping.meanings.get(code.upper())
        if meaning is None:
            draft.unmapped(self._view.at(rule.code))
        return meaning

    def _refer(self, source: ReferenceSource, view: _View) -> None:
        texts: Sequence[str] = (str(source.constant),) if source.constant is not None else view.texts(source)
        where = view.at(source)
        said = self._tokens.setdefault("references", [])
        if source.split:
            texts = [part for text in texts for part in text.split(source.split, 2 * REFERENCES_MAX)]
        for text in texts:
            said.append([source.kind, text.strip()])
            value = self._stands_for(source, text.strip(), view)
            if source.kind == "equipment":
                self.draft.equipment(value, where)
            else:
                self.draft.refer(source.kind, value, where)

    def _places(self) -> None:
        for name in ("place", "origin", "destination"):
            found = self._first(name)
            if found is not None:
                place = self._place(*found)
                setattr(self.draft, name, place)
                if name == "place" and place is not None:
                    self._tokens["place"] = place.model_dump(exclude_none=True)

    def _place(self, source: PlaceSource, view: _View) -> Place | None:
        said: dict[str, str] = {}
        for name in ("unlocode", "iata", "country", "name", "role", "facility"):
            text = self._text(getattr(source, name), view)
            if text is None:
                continue
            where = view.at(getattr(source, name))
            if name in ("name", "role"):
                said[name] = self.draft.short(text, where)
            elif name == "facility":
                known = facility_by_code(text, self.draft.context.registers) or facility_by_smdg(
                    text, said.get("unlocode"), self.draft.context.registers
                )
                if known is None:
                    self.draft.warn("unknown_facility", f"{text[:60]} is in no register of facilities; not used", where)
                else:
                    said[name] = known.code
            elif _is_code(name, text.upper()):
                said[name] = text.upper()
            else:
                what = {"unlocode": "UN/LOCODE", "iata": "IATA airport code", "country": "country code of two letters"}[name]
                self.draft.warn("bad_place", f"{text[:60]} is no {what}; not used", where)
        return Place.model_validate(said) if said else None

    def _other_fields(self) -> None:
        draft = self.draft
        if (found := self._first("mode")) is not None and (text := self._text(*found)) is not None:
            if text in _MODES:
                draft.mode = _MODES[text]
            else:
                draft.warn("bad_value", f"{text[:60]} is none of sea, air, road, rail; not used", found[1].at(found[0]))
        draft.empty = self._flag("empty")
        if (found := self._first("reason")) is not None:
            draft.reason = self._text(*found)
        draft.retracted = self._flag("retracted") or False
        self._pieces()
        self._transport()

    def _flag(self, name: str) -> bool | None:
        found = self._first(name)
        text = self._text(*found) if found is not None else None
        if found is None or text is None:
            return None
        known = _TRUTHS.get(text.lower())
        if known is not None:
            return known
        where, what = found[1].at(found[0]), f"{text[:60]} is neither true nor false; give `values` for it"
        if name == "retracted":  # not to know whether an event stands is not to know the event
            raise Bad("bad_value", where, what)
        self.draft.warn("bad_value", f"{what}; not used", where)
        return None

    def _pieces(self) -> None:
        found = self._first("pieces")
        if found is None:
            return
        counts: dict[str, int] = {}
        for name in ("this", "total"):
            source = getattr(found[0], name)
            text = self._text(source, found[1])
            if text is None:
                continue
            if text.isascii() and text.isdigit() and len(text) <= 8 and int(text) <= _COUNT_MAX:
                counts[name] = int(text)
            else:
                self.draft.warn("bad_value", f"{text[:40]} is no count of pieces; not used", found[1].at(source))
        self.draft.pieces = Pieces.model_validate(counts) if counts else None

    def _transport(self) -> None:
        for scope in reversed(self._scopes):  # the innermost last, so that it counts
            source = scope.fields.transport
            if source is None:
                continue
            said = {name: self._text(one, scope.view) for name, one in source if one is not None}
            self.draft.vessel(said.get("imo"), said.get("vessel"), said.get("voyage"), scope.view.where)
            self.draft.carrier(said.get("scac"))
            for name in ("flight", "vehicle", "next_carrier"):
                if (text := said.get(name)) is not None:
                    self.draft.transport[name] = self.draft.short(text, scope.view.where)

    def _classify(self) -> None:
        stated = self._rule.classifier
        if stated is None:
            return
        if isinstance(stated, str):
            self.draft.classifier = stated
            return
        texts = view_texts(stated, self._view)
        text = self._text(stated, self._view)
        if text is not None and text in _CLASSIFIERS:
            self.draft.classifier = _CLASSIFIERS[text]
        elif texts or text is not None:  # a plan that is taken for a fact would be a wrong milestone
            what = f"{(texts or (text,))[0]} is not known as actual, estimated or planned; give `values` for it"
            raise Bad("bad_value", self._view.at(stated), what)

    def _own_times(self) -> None:
        for name in ("created_at", "updated_at"):
            found = self._first(name)
            if found is None:
                continue
            source, view = found
            if source.received:
                setattr(self.draft, name, self.draft.context.received_at)
            elif (text := self._text(source, view)) is not None:
                setattr(self.draft, name, self._moment(source, view, text))

    def _moment(self, source: TimeSource, view: _View, text: str) -> datetime:
        where = view.at(source)
        names = source.format or self._mapping.stated.time.format
        try:
            found = moment_of(text, [self._mapping.formats[name] for name in names], self.draft.context.received_at)
        except NoTime as error:
            raise Bad("bad_time", where, str(error)) from None
        if not found.has_clock:
            self.draft.warn("time_missing", "no time of day is given; 00:00 assumed", where)
        if found.moment.tzinfo is not None:
            return found.moment
        zone_name = source.zone or self._mapping.stated.time.zone
        zone = self._mapping.zones.get(zone_name)
        if zone is None:
            return self.draft.at_local(found.moment, zone_of(self.draft.place, self.draft.context.registers), where)
        local = found.moment.replace(tzinfo=zone)
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            text = f"{zone_name} had this time twice or never; the offset before the change is taken"
            self.draft.warn("ambiguous_time", text, where)
        return fixed_offset(local)


def view_texts(source: Source, view: _View) -> Sequence[str]:
    """As the sender wrote it, before `values`."""
    return view.texts(source) if source.names else ()


def _is_code(name: str, text: str) -> bool:
    if name == "unlocode":
        return identifiers.is_locode(text)
    return len(text) == (3 if name == "iata" else 2) and text.isascii() and text.isalpha()
