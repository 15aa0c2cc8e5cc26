"""`dead.letters.v1`: what could not be read, linked in time, or stored; with the reason and a way to retry."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import Contract, ShortText, Text, UtcTime


class DeadLetter(Contract):
    """`letter_id` is derived from the record it is about and the place in it. `payload` is base64, cut at 64 KiB
    (`payload_cut`); the whole is in raw.messages at (`raw_partition`, `raw_offset`)."""

    letter_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    stage: Literal["readers", "tracker", "sink", "alerts"]
    sender: ShortText
    reason: str = Field(pattern=r"^[a-z0-9_]{1,64}$")
    where: ShortText
    text: Text
    standard: ShortText | None = None
    topic: ShortText
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)
    raw_partition: int | None = None
    raw_offset: int | None = None
    received_at: UtcTime
    retryable: bool = False
    payload: str = ""
    payload_cut: bool = False


EXAMPLES: tuple[DeadLetter, ...] = (
    DeadLetter.model_validate(
        {
            "letter_id": "aa" * 16,
            "stage": "readers",
            "sender": "MAEU",
            "reason": "not_json",
            "where": "line 1 column 8",
            "text": "expected a comma",
            "topic": "raw.messages.v1",
            "partition": 0,
            "offset": 12,
            "raw_partition": 0,
            "raw_offset": 12,
            "received_at": "2020-04-12T08:20:05Z",
            "payload": "eyJhIjo=",
        }
    ),
)
