"""`dead.letters.settled.v1`: what people did about dead letters. The letters themselves stay as they are."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import Contract, ShortText, Text, UtcTime


class LetterSettled(Contract):
    """A dead letter was retried (brought back, or read by today's readers) or discarded, by whom and why. The latest counts."""

    letter_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    act: Literal["retried", "discarded"]
    at: UtcTime
    by: ShortText
    why: Text


EXAMPLES: tuple[LetterSettled, ...] = (
    LetterSettled.model_validate(
        {
            "letter_id": "aa" * 16,
            "act": "discarded",
            "at": "2020-04-12T09:00:00Z",
            "by": "maria",
            "why": "a test message of the carrier, says Ms. Chen",
        }
    ),
)
