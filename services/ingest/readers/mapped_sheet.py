"""The rows of a CSV as its sender's mapping describes it; a row that is none costs itself."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from services.ingest.mappings_model import MappingFile
from services.ingest.readers.model import Unreadable

_LINE_MOST: Final = 64 * 1024  # characters: a line of JSON is no row
_LINES_A_ROW: Final = 20  # a cell may hold line breaks; a quotation mark that never ends must not swallow the sheet


@dataclass(slots=True)
class Sheet:
    """The text of a CSV, and its header: where each column that the mapping reads stands."""

    mapping: MappingFile
    text: str
    width: int
    at: Mapping[str, int]
    missing: Sequence[str]
    twice: Sequence[str]
    header: Sequence[str]

    @classmethod
    def of(cls, content: bytes, mapping: MappingFile) -> Sheet | None:
        """None if the content is no text of the mapping's encoding, or ends before its header row."""
        form = mapping.stated.csv
        encoding = "utf-8-sig" if form.encoding == "utf-8" else form.encoding
        try:
            text = content.decode(encoding)
        except UnicodeError:
            return None
        if "\n" not in text[:10_000]:
            text = text.replace("\r", "\n")  # as spreadsheets of old Macs end their lines
        found = next(islice(rows_of(text, form.delimiter), form.header_row - 1, None), None)
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
class Row:
    """A row as a spreadsheet counts it; `cells` is a sentence where it is no CSV. `start`, `end`: of its text."""

    number: int
    cells: Sequence[str] | str
    start: int
    end: int


def _name(text: str) -> str:
    return " ".join(text.split()).casefold()


def rows_of(text: str, delimiter: str) -> Iterator[Row]:
    """The rows of a sheet. One that is no CSV costs itself: reading goes on with the next line."""
    at = number = 0
    while at < len(text):
        number += 1
        feed = _Lines(text, at)
        try:
            cells: Sequence[str] | str = next(csv.reader(feed, delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            cells = str(error)
        except _Endless as error:
            cells = str(error)
        end = feed.at if not isinstance(cells, str) else feed.first_end
        yield Row(number, cells, at, end)
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
            raise _Endless(f"a quotation mark is not closed within {_LINES_A_ROW} lines")
        if self.at >= len(self._text):
            raise StopIteration
        found = self._text.find("\n", self.at)
        end = len(self._text) if found < 0 else found + 1
        start = self.at
        self.at = end
        self._taken += 1
        self.first_end = self.first_end or end
        if end - start > _LINE_MOST:
            raise _Endless(f"a line of more than {_LINE_MOST} characters")
        return self._text[start:end]
