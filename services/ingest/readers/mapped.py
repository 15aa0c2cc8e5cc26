"""CSV and JSON of any shape, read by a sender's mapping file: services/ingest/mappings.py, docs/partners.md.

A row of a CSV, or an item of a JSON document, says one event for each rule of the mapping whose time is filled. A mapping that
fits for certain comes before the standards' own readers: a CSV whose header row has all its columns, JSON that its `match` says
is meant. A JSON mapping without `match` is asked last, where no standard's reader knows the message.

An event without an id of its own is known by what the sender wrote of it (its references, time, code and place), never by the
other cells of its row: tomorrow's sheet with one cell more says the same event again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Literal

from schemas.shipment_event_v1 import Warning_
from services.ingest.legible import shown
from services.ingest.mappings_model import BadDocument, EventRule, MappingFile
from services.ingest.readers.draft import Bad, Identities
from services.ingest.readers.json_items import items_of
from services.ingest.readers.mapped_events import READER_VERSION, STANDARDS, Making, Scope
from services.ingest.readers.mapped_sheet import Sheet, rows_of
from services.ingest.readers.mapped_views import Cells, Members, View
from services.ingest.readers.model import Context, Envelope, Limits, Told, Unreadable, Verdict
from services.ingest.readers.strict_json import Whole

__all__ = ["READER_VERSION", "STANDARD", "read", "read_fitting", "read_otherwise"]

STANDARD: Final = "mapped"


def read_fitting(whole: Whole, content_type: str | None, context: Context) -> Told | None:
    """What the sender's mappings make of a message that is theirs for certain; None if it is not. Raises Unreadable."""
    for mapping in context.registers.mappings.valid(context.sender, context.received_at):
        if mapping.stated.format == "csv":
            sheet = Sheet.of(whole.body, mapping)
            if sheet is not None and not sheet.missing:
                return _read_rows(sheet, mapping, context, whole.limits)
        elif (match := mapping.stated.json_.match) is not None:
            document = _document(whole, content_type)
            if document is not None and _truth(mapping, match, document):
                return _read_items(document, mapping, context, whole.limits)
    return None


def read_otherwise(whole: Whole, content_type: str | None, context: Context) -> Told | None:
    """What the sender's mappings make of a message that no standard's reader knows; None if there is none for it.

    Raises Unreadable: a CSV whose columns are not those of the mapping, say.
    """
    for mapping in context.registers.mappings.valid(context.sender, context.received_at):
        if mapping.stated.format == "csv":
            sheet = Sheet.of(whole.body, mapping)
            if sheet is not None:
                raise sheet.refusal()
        elif mapping.stated.json_.match is None:
            document = _document(whole, content_type)
            if document is not None:
                return _read_items(document, mapping, context, whole.limits)
    return None


def read(content: bytes, context: Context, limits: Limits) -> Told:
    """Read by the sender's newest mapping, whether it fits or not: for whoever says which one to take. Raises Unreadable."""
    mapping = next(iter(context.registers.mappings.valid(context.sender, context.received_at)), None)
    if mapping is None:
        raise Unreadable("no_mapping", "", f"there is no mapping file for {context.sender}")
    if mapping.stated.format == "json":
        return _read_items(parse_or_lines(Whole(content, limits), None), mapping, context, limits)
    sheet = Sheet.of(content, mapping)
    if sheet is None:
        raise Unreadable("not_csv", "", f"no text in {mapping.stated.csv.encoding} with a header row")
    if sheet.missing:
        raise sheet.refusal()
    return _read_rows(sheet, mapping, context, limits)


def parse_or_lines(whole: Whole, content_type: str | None) -> Any:
    """The whole document; JSON lines are an array of theirs. Raises Unreadable."""
    try:
        return whole.value
    except Unreadable as error:
        items = items_of(whole, content_type)
        if all(item.problem is not None for item in items):
            raise error from None
        return [item.value for item in items]  # a line that is not JSON is null: its item says so


def _document(whole: Whole, content_type: str | None) -> Any:
    """The document, None if the content is no JSON."""
    if whole.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b"["):
        return None
    try:
        return parse_or_lines(whole, content_type)
    except Unreadable:
        return None


def _truth(mapping: MappingFile, expression: str, document: Any) -> bool:
    try:
        return mapping.expressions[expression].of(document) is True
    except BadDocument:
        return False


def _read_rows(sheet: Sheet, mapping: MappingFile, context: Context, limits: Limits) -> Told:
    if sheet.twice:
        raise sheet.refusal()
    run = _Run(mapping, context, "rows")
    form = mapping.stated.csv
    for row in islice(rows_of(sheet.text, form.delimiter), form.header_row, None):
        if not isinstance(row.cells, str) and not any(cell.strip() for cell in row.cells):
            continue
        _bound(run, limits)
        where = f"row {row.number}"
        payload = sheet.text[row.start : row.end].encode("utf-8", "replace")
        if isinstance(row.cells, str):
            yield run.refused(Bad("bad_row", where, f"no CSV: {row.cells}"), where, payload)
        elif len(row.cells) > sheet.width:
            text = (
                f"{len(row.cells)} cells, but the header has {sheet.width}: is a {form.delimiter!r} inside a cell not quoted?"
            )
            yield run.refused(Bad("bad_row", where, text), where, payload)
        else:
            yield from run.item(Cells(where, sheet.at, row.cells), payload)
    return run.envelope()


def _bound(run: _Run, limits: Limits) -> None:
    if run.items == limits.events or run.told > limits.events:
        raise Unreadable(
            "too_many_events", "", f"more than {limits.events} {run.what} or events; at most that a message: send several"
        )


# --- items


def _read_items(document: Any, mapping: MappingFile, context: Context, limits: Limits) -> Told:
    form = mapping.stated.json_
    try:
        found = mapping.expressions[form.items].of(document)
    except BadDocument as error:
        raise Unreadable("bad_items", "", f"items, {form.items}: {error}") from None
    items = found if isinstance(found, list) else [] if found is None else [found]
    if not items:
        raise Unreadable("empty", "", f"items, {form.items}: finds nothing in this message")
    run = _Run(mapping, context, "items", Members("message", mapping, document))
    for number, item in enumerate(items, start=1):
        _bound(run, limits)
        where = f"item {number}"
        yield from run.item(Members(where, mapping, item), None, limits.events)
    return run.envelope()


@dataclass
class _Run:
    """One message under way. `told`: its verdicts so far; `items`: those that hold anything; `quiet`: those that said no
    event."""

    mapping: MappingFile
    context: Context
    what: Literal["rows", "items"]
    message: View | None = None
    told: int = 0
    items: int = 0
    quiet: int = 0
    first_quiet: str = ""
    left_out: dict[str, tuple[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._identities = Identities(self.context.sender, STANDARDS[self.mapping.stated.format])

    def refused(self, bad: Bad, where: str, payload: bytes) -> Verdict:
        """A row that is none."""
        self.items += 1
        self.told += 1
        return bad.verdict(where, payload)

    def item(self, view: View, payload: bytes | None, most: int = 0) -> Iterator[Verdict]:
        """All events of a row or item."""
        self.items += 1
        before, left_out = self.told, sum(count for _, count in self.left_out.values())
        for rule in self.mapping.stated.events:
            if rule.each is None:
                yield from self._event(rule, view, view, payload)
                continue
            try:
                for part in view.parts(rule.each, self.mapping, most):
                    yield from self._event(rule, part, view, payload)
            except Bad as bad:
                self.told += 1
                yield bad.verdict(view.where, payload or view.payload())
            if self.told > most:
                raise Unreadable("too_many_events", view.where, f"more than {most} events a message: send several")
        if self.told == before and left_out == sum(count for _, count in self.left_out.values()):
            self.quiet += 1
            self.first_quiet = self.first_quiet or view.where

    def envelope(self) -> Envelope:
        """What is told of the message itself. Raises Unreadable where it says no event."""
        warnings = [
            Warning_(code="left_out", where=shown(where), text=f"{count} left out by `when` of the event {shown(name)}")
            for name, (where, count) in self.left_out.items()
        ]
        if self.quiet:
            text = f"{self.quiet} of {self.items} {self.what} hold none of the times that the mapping reads"
            warnings.append(Warning_(code="nothing_yet", where=shown(self.first_quiet), text=text))
        if not self.told and warnings:
            raise Unreadable("empty", warnings[0].where, f"the message says no event: {warnings[0].text}")
        return Envelope(STANDARDS[self.mapping.stated.format], tuple(warnings))

    def _event(self, rule: EventRule, view: View, item: View, payload: bytes | None) -> Iterator[Verdict]:
        try:
            if not self._meant(rule, view):
                first, count = self.left_out.get(rule.name, (view.where, 0))
                self.left_out[rule.name] = (first, count + 1)
                return
            made = Making(rule, self._scopes(rule, view, item), self.mapping, self.context)
            if not made.happened():
                return
            verdict = Verdict(view.where, event=made.draft.finish(made.identity(self._identities)))
        except Bad as bad:
            verdict = bad.verdict(view.where, payload or view.payload())
        self.told += 1
        yield verdict

    def _scopes(self, rule: EventRule, view: View, item: View) -> Sequence[Scope]:
        stated = self.mapping.stated
        scopes = [Scope(rule, view), Scope(stated.item, item)]
        return scopes if self.message is None else [*scopes, Scope(stated.message, self.message)]

    def _meant(self, rule: EventRule, view: View) -> bool:
        if rule.when is None:
            return True
        texts = view.texts(rule.when)
        return bool(texts) and texts[0].casefold() in {text.casefold() for text in rule.when.values_are}
