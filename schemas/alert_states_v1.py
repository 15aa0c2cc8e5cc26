"""What the alerts' worker remembers (`alert.states.v1`, `alert.waiting.v1`, compacted): of each subscriber what they were told,
what waits to be told and until when, and the live exceptions that wait for the worker to catch up. No addresses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from schemas.alerts_v1 import AlertableChange, Item, Notification
from schemas.base import Contract, ShortText, UtcTime

Held = Literal["settling", "interval", "group", "quiet", "digest", "budget"]
"""Why something due is not told yet (docs/alerts.md)."""


class Known(Contract):
    """One exception or milestone of a consignment, as one subscriber knows it.

    `item`: what holds now, by the newest change, `version` and `ordinal`. `told`: what was told last; None: nothing.
    `due_at`: when to look whether the two differ in a way worth telling; None: they do not. `reason`: why not, in words.
    `worse_at`: when the tracker found it as bad as it is: who spoke of it earlier has seen something milder.
    """

    item: Item
    cause: ShortText
    version: int
    ordinal: int
    at: UtcTime = Field(description="when the worker was given the newest change")
    told: Item | None = None
    told_at: UtcTime | None = None
    due_at: UtcTime | None = None
    held: Held | None = None
    away: bool = False
    reason: str | None = None
    worse_at: UtcTime | None = None


class Watch(Contract):
    """What one subscriber knows of one consignment. `known`: by the item's key."""

    record: Literal["watch"] = "watch"
    subscription: str
    consignment: str
    known: dict[str, Known] = Field(default_factory=dict)


class Escalation(Contract):
    """A critical alert that asks for an acknowledgement; at `due_at` the second contact is told.

    `worse_at`: of each of `items` (Known). `asleep`: its time is up, and people take care of all of it or let it wait: at
    `due_at`, or when one of them takes that back, it is looked at again.
    """

    notification: str
    due_at: UtcTime
    items: tuple[Item, ...]
    code: str
    thread: ShortText
    worse_at: tuple[UtcTime, ...] = ()
    asleep: bool = False


class Subscriber(Contract):
    """What is true of a subscriber as a whole.

    `sent`: when messages went, of the last hour. `groups`: cause -> until when more of it is collected. `outbox`: decided, and
    perhaps not yet in `notifications`: written again after a crash, the very same.
    """

    record: Literal["subscriber"] = "subscriber"
    subscription: str
    sent: tuple[UtcTime, ...] = ()
    groups: dict[str, UtcTime] = Field(default_factory=dict)
    noticed_at: UtcTime | None = None
    escalations: tuple[Escalation, ...] = ()
    outbox: tuple[Notification, ...] = ()
    outbox_at: UtcTime | None = None


AlertState = Annotated[Watch | Subscriber, Field(discriminator="record")]
ALERT_STATE: TypeAdapter[AlertState] = TypeAdapter(AlertState)


class Waiting(Contract):
    """A live exception that is older than news: told, if it is still open, once the worker has read what was there."""

    change: AlertableChange
    partition: int
    offset: int
    appended_at: UtcTime


_ITEM = {
    "consignment": "LACDHS-0001",
    "key": "late:discharged",
    "step": "opened",
    "kind": "late",
    "evidence": "cd" * 16,
    "sentence": "Discharged 18 h late.",
    "severity": "major",
}
EXAMPLES: tuple[Watch | Subscriber | Waiting, ...] = (
    Watch.model_validate(
        {
            "subscription": "s" * 16,
            "consignment": "LACDHS-0001",
            "known": {
                "late:discharged": {
                    "item": _ITEM,
                    "cause": "late:discharged:MAEU:1",
                    "version": 1586599205000,
                    "ordinal": 0,
                    "at": "2020-04-12T08:20:05Z",
                    "due_at": "2020-04-12T08:20:06Z",
                    "held": "settling",
                }
            },
        }
    ),
    Subscriber.model_validate(
        {
            "subscription": "s" * 16,
            "sent": ["2020-04-12T08:20:06Z"],
            "groups": {"late:discharged:MAEU:1": "2020-04-12T08:25:06Z"},
            "escalations": [
                {
                    "notification": "ab" * 16,
                    "due_at": "2020-04-12T08:35:06Z",
                    "items": [_ITEM],
                    "code": "4711",
                    "thread": "LACDHS-0001",
                }
            ],
        }
    ),
    Waiting.model_validate(
        {
            "change": {
                "change": "exception_opened",
                "change_id": "ab" * 16,
                "consignment": "LACDHS-0001",
                "version": 1586599205000,
                "ordinal": 0,
                "cause": "live",
                "exception": {
                    "key": "silent",
                    "kind": "silent",
                    "status": "open",
                    "severity": "minor",
                    "start": "2020-04-11T18:00:00Z",
                    "sentence": "No word for 72 h.",
                },
            },
            "partition": 0,
            "offset": 17,
            "appended_at": "2020-04-11T18:00:05Z",
        }
    ),
)
