"""What all acknowledgements share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.shipment_event_v1 import Warning_
from services.ingest.readers import Problem, Unreadable, Verdict


class Judged(Protocol):
    """What was made of a message: `readers.Reading` and `services.ingest.reading.Read` alike."""

    @property
    def standard(self) -> str | None: ...
    @property
    def verdicts(self) -> Iterable[Verdict]: ...
    @property
    def warnings(self) -> Sequence[Warning_]: ...


class NotAcknowledged(Exception):
    """There is nothing to answer. `code` is stable, `text` a sentence."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class _Unread:
    standard: str | None
    verdicts: Sequence[Verdict]
    warnings: Sequence[Warning_] = ()


def unread(standard: str | None, error: Unreadable) -> Judged:
    """A message of which nothing could be read, as a reading."""
    whole = Problem(error.code, error.where, error.text, b"")
    return _Unread(standard, (Verdict(error.where, problem=whole),))


class Said:
    """What was said of a message, by the number of the segment that it is about; `begun`: where events begin; `whole`: problems
    of all of it.

    `within`: of the message that stands there in a wrapper alone (`/0/messageRaw`), and of the whole.
    """

    def __init__(self, reading: Judged, within: str = "") -> None:
        self._within = within
        self.warnings: dict[int, list[Warning_]] = {}
        self.problems: dict[int, list[Problem]] = {}
        self.begun: list[int] = []
        self.whole: list[Problem] = []
        for verdict in reading.verdicts:
            if not self._is_inside(verdict.position):
                continue
            position = self._number_of(verdict.position)
            if verdict.problem is not None:
                for problem in verdict.problem.every:
                    number = self._number_of(problem.where) or position
                    if number is None:
                        self.whole.append(problem)
                    else:
                        self.problems.setdefault(number, []).append(problem)
            elif position is not None:
                self.begun.append(position)
            self._note(verdict.warnings)
        self._note(reading.warnings)

    def _note(self, warnings: Iterable[Warning_]) -> None:
        for warning in warnings:
            number = self._number_of(warning.where) if self._is_inside(warning.where) else None
            if number is not None and warning not in (known := self.warnings.setdefault(number, [])):
                known.append(warning)

    def _is_inside(self, where: str) -> bool:
        return not self._within or not where or where == self._within or where.startswith(f"{self._within} ")

    def _number_of(self, where: str) -> int | None:
        return number_of(where.removeprefix(self._within).lstrip())


def number_of(where: str) -> int | None:
    """The number of `segment 16 (B4)`."""
    name, _, rest = where.partition(" ")
    digits = rest.partition(" ")[0]
    return int(digits) if name == "segment" and digits.isascii() and digits.isdigit() else None
