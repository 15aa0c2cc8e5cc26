"""What the sources of a mapping find in a row of a CSV, or in an item of JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from services.ingest.mappings_model import BadDocument, MappingFile, ReferenceSource, Source
from services.ingest.readers.draft import REFERENCES_MAX, Bad
from services.ingest.readers.model import Unreadable

_TEXT_MOST: Final = 2_000  # characters of one value: more than any field of an event takes


class View:
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

    def parts(self, expression: str, mapping: MappingFile, most: int) -> Iterator[View]:
        """The views of its parts."""
        raise NotImplementedError


class Cells(View):
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


class Members(View):
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
        return msgspec.json.encode(self._value)

    def parts(self, expression: str, mapping: MappingFile, most: int) -> Iterator[View]:
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
            yield Members(f"{self.where}, part {number}", self._mapping, value)


def _plain(text: str) -> str:
    return " ".join(text[:_TEXT_MOST].split())
