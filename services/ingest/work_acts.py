"""What people do about consignments in the console, beside moving them: written to `work.acts.v1` (docs/decisions/0045).

Not a command: the tracker has nothing to fold from it. Written when the request is answered, as acknowledgements of alerts are:
who acts sees it within a second.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from schemas.base import ConsignmentId, ShortText, Text, UtcTime
from schemas.topics import WORK_ACTS
from schemas.work_act_v1 import EXCEPTIONS_MOST, Act, WorkAct
from services.runtime.register import Writer
from services.runtime.settings import Settings

ACTS_MOST: Final = 1_000
"""Of one request: a page of the work list (500 lines), each with a note."""
SNOOZE_MOST: Final = timedelta(days=90)


class Asked(BaseModel):
    """One act, as a request says it; who and when are not for the body to say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    act: Act
    consignment: ConsignmentId
    exceptions: tuple[ShortText, ...] = Field((), max_length=EXCEPTIONS_MOST)
    assignee: ShortText | None = None
    until: UtcTime | None = None
    text: Text | None = Field(None, min_length=1)
    undoes: str | None = Field(None, pattern=r"^[0-9a-f]{32}$")

    @model_validator(mode="after")
    def _about_something(self) -> Self:
        if self.act in ("acknowledge", "snooze") and not self.exceptions:
            raise ValueError("exceptions says what is taken care of or may wait; it is empty")
        return self


ASKED: Final[TypeAdapter[tuple[Asked, ...]]] = TypeAdapter(tuple[Asked, ...])


def acts_of(asked: Sequence[Asked], by: str, sender: str, key: str | None, now: datetime) -> tuple[WorkAct, ...]:
    """The records; under the same Idempotency-Key the same ids, however often it comes. Raises pydantic.ValidationError."""
    begin = f"work {sender} {key}" if key is not None else f"work {secrets.token_hex(16)}"
    return tuple(
        WorkAct(**one.model_dump(), act_id=_id(f"{begin} {row} {one.consignment}"), at=now, by=by, sender=sender)
        for row, one in enumerate(asked)
    )


def _id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def beyond(asked: Sequence[Asked], now: datetime) -> int | None:
    """The first whose snooze ends before it begins, or later than anybody should wait; None: there is none."""
    for row, one in enumerate(asked):
        if one.until is not None and not now < one.until <= now + SNOOZE_MOST:
            return row
    return None


class WorkActs(Protocol):
    """Where they go."""

    async def write(self, acts: Sequence[WorkAct]) -> None:
        """They are in Kafka when this returns. Raises KafkaException, BufferError, TopicMissing, TimeoutError: then some may be
        there; the same again is the same acts."""
        ...


class KafkaWorkActs:
    """The real one."""

    def __init__(self, settings: Settings) -> None:
        self._writer = Writer(settings, "lovla-work-acts", WORK_ACTS.name)

    async def write(self, acts: Sequence[WorkAct]) -> None:
        await self._writer.write([(act.consignment, act) for act in acts])
