"""`journey.changes.v1`: what happened to journeys, past tense, once each. `change_id` = hash(consignment, version, ordinal)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from schemas.base import Code, Contract, ShortText, Text, Time, UtcTime
from schemas.journey_v1 import EXAMPLES as JOURNEY_EXAMPLES
from schemas.journey_v1 import ExceptionState, Journey
from schemas.words import Cause, ItemCategory, Milestone


class _Change(Contract):
    """`consignment`: its id, or feed:CODE. `version`: of the journey that holds this change. `at`: T when decided."""

    change_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    consignment: str
    version: int
    ordinal: int = Field(ge=0)
    cause: Cause
    at: UtcTime | None = None
    buyer: Code | None = None
    facility: Code | None = Field(None, description="place of delivery")
    tier: int | None = None
    carrier: Code | None = None
    terminal: Code | None = None
    truckers: tuple[Code, ...] = Field((), max_length=10, description="declared or appointed: whose keys may be told of it")
    vessel: ShortText | None = Field(None, description="vessel, or flight")
    voyage: ShortText | None = None
    categories: tuple[ItemCategory, ...] = Field((), description="of its items, so that a subscriber can choose by them")
    references: tuple[ShortText, ...] = Field((), max_length=20, description="values of declared, then learned references")


class MilestoneReached(_Change):
    """A milestone became actual, or its actual time or teller changed, or (`occurred_at` null) is no longer actual."""

    change: Literal["milestone_reached"] = "milestone_reached"
    milestone: Milestone
    leg: str = ""
    occurred_at: Time | None = None
    previous: Time | None = None
    sender: Code | None = None
    place: ShortText | None = None


class HandedOver(_Change):
    """Change of custody: terminal to trucker (`gate_out`), trucker to the dock (`delivered`)."""

    change: Literal["handed_over"] = "handed_over"
    milestone: Literal["gate_out", "delivered"]
    unit: str = ""
    occurred_at: Time
    giver: Code | None = None
    taker: Code | None = None


class ExceptionChanged(_Change):
    """An exception opened, changed (severity, start, end or units), ended, or was withdrawn."""

    change: Literal["exception_opened", "exception_changed", "exception_ended", "exception_withdrawn"]
    exception: ExceptionState


class CommandJudged(_Change):
    """The outcome of a command: accepted, or refused and why. Found by `command_id`."""

    change: Literal["command_accepted", "command_refused"]
    command_id: str
    command: ShortText
    sender: Code
    declared_version: int | None = None
    reason: ShortText | None = None
    text: Text | None = None


class JourneyClosed(_Change):
    """Ended more than 400 days ago: the whole record, before its tombstone."""

    change: Literal["closed"] = "closed"
    journey: Journey


Change = Annotated[
    MilestoneReached | HandedOver | ExceptionChanged | CommandJudged | JourneyClosed, Field(discriminator="change")
]
CHANGE: TypeAdapter[Change] = TypeAdapter(Change)

_COMMON: dict[str, object] = {
    "consignment": "LACDHS-0001",
    "version": 1586599205000,
    "cause": "live",
    "at": "2020-04-11T18:00:05Z",
    "buyer": "LACDHS",
    "facility": "H-HARBOR",
    "tier": 1,
    "carrier": "MAEU",
    "terminal": "LA-APMT",
    "categories": ["n95_respirator"],
    "references": ["MAEU203990011", "MRSU4371639"],
}
_BODIES: tuple[dict[str, object], ...] = (
    {"change": "milestone_reached", "milestone": "arrived", "occurred_at": "2020-04-11T09:40:00-07:00", "sender": "MAEU"},
    {"change": "handed_over", "milestone": "gate_out", "occurred_at": "2020-04-12T09:40:00-07:00", "taker": "HBRT"},
    {
        "change": "exception_opened",
        "exception": {
            "key": "silent",
            "kind": "silent",
            "status": "open",
            "severity": "minor",
            "start": "2020-04-11T18:00:00Z",
            "sentence": "No word since 08 Apr 11:00 PDT, while under way; 72 h is the limit.",
        },
    },
    {
        "change": "command_refused",
        "command_id": "ab" * 16,
        "command": "amend",
        "sender": "LACDHS",
        "declared_version": 2,
        "reason": "version_mismatch",
        "text": "If-Match says 1, the consignment is at 2: read it again, then amend",
    },
    {"change": "closed", "journey": JOURNEY_EXAMPLES[0].model_dump()},
)
EXAMPLES: tuple[Change, ...] = tuple(
    CHANGE.validate_python({**_COMMON, "change_id": f"{n:032x}", "ordinal": n, **body}) for n, body in enumerate(_BODIES)
)
