"""What all acknowledgements share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.shipment_event_v1 import Warning_
from services.ingest.readers import Problem, Unreadable, Verdict


class Judged(Protocol):
    """What was made of a message: `readers.Reading` and `services.ingest.reading.Read` alike."""

    @property
    def standard(self) -> str | None: ...
    @property
    def verdicts(self) -> Sequence[Verdict]: ...
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
