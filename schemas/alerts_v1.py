"""The alerts' records: `subscriptions.v1` (the only place of addresses), `alert.candidates.v1`, `notifications.v1`,
`deliveries.v1`, `consent.v1`. The service itself is a later capability; its contracts stand so that others can rely on them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import Code, Contract, ShortText, Text, UtcTime
from schemas.words import ExceptionKind, ItemCategory, Milestone, Severity

Channel = Literal["email", "sms", "webhook"]


class Filters(Contract):
    """All that are set must match; inside a list any may. Empty: everything."""

    facilities: tuple[Code, ...] = ()
    consignments: tuple[ShortText, ...] = ()
    references: tuple[ShortText, ...] = ()
    carriers: tuple[Code, ...] = ()
    terminals: tuple[Code, ...] = ()
    categories: tuple[ItemCategory, ...] = ()
    tiers: tuple[int, ...] = ()
    milestones: tuple[Milestone, ...] = ()
    exceptions: tuple[ExceptionKind, ...] = ()
    minimum_severity: Severity = "minor"


class Subscription(Contract):
    """Who wants to be told what, where and when. `quiet`: local from, to (HH:MM) in `zone`."""

    subscription: str = Field(pattern=r"^[a-z0-9]{16}$")
    channel: Channel
    address: ShortText
    address_hash: str = Field(pattern=r"^[0-9a-f]{64}$", description="keyed hash")
    language: str = Field("en", pattern=r"^[a-z]{2}$")
    zone: ShortText = "America/Los_Angeles"
    filters: Filters = Filters()
    quiet: tuple[str, str] | None = None
    critical_breaks_quiet: bool = False
    digest: Literal["immediate", "hourly", "daily"] = "immediate"
    digest_at: str | None = Field(None, pattern=r"^\d{2}:\d{2}$")
    state: Literal["unconfirmed", "active", "paused", "stopped"] = "unconfirmed"
    expires_at: UtcTime | None = None
    created_at: UtcTime


class AlertCandidate(Contract):
    """A change that matched a subscription. `away`: it is older than news, and was still open when the worker caught up."""

    subscription: str
    change_id: str
    consignment: str
    at: UtcTime | None = None
    away: bool = False


class Notification(Contract):
    """One message due to one subscriber; its id is derived from what it says."""

    notification: str = Field(pattern=r"^[0-9a-f]{32}$")
    subscription: str
    changes: tuple[str, ...]
    due_at: UtcTime
    stale_at: UtcTime | None = None
    subject: Text
    text: str = Field(max_length=20_000)


class Delivery(Contract):
    """One attempt to hand a notification to a provider: intent before the call, result after."""

    notification: str
    subscription: str
    attempt: int = Field(ge=1)
    state: Literal["intent", "accepted", "failed", "unknown", "suppressed"]
    address_hash: str
    provider: ShortText | None = None
    provider_ref: ShortText | None = None
    at: UtcTime
    text: Text | None = None


class Consent(Contract):
    """Who agreed to what, when, from where: append-only, without the address itself."""

    subscription: str
    address_hash: str
    act: Literal["asked", "confirmed", "changed", "stopped", "resumed", "forgotten"]
    at: UtcTime
    shown: Text | None = None
    source: ShortText | None = None


EXAMPLES: tuple[Subscription | AlertCandidate | Notification | Delivery | Consent, ...] = (
    Subscription.model_validate(
        {
            "subscription": "s" * 16,
            "channel": "email",
            "address": "buyer@hospital.example",
            "address_hash": "ab" * 32,
            "created_at": "2020-03-20T16:00:00Z",
        }
    ),
    AlertCandidate.model_validate(
        {"subscription": "s" * 16, "change_id": "ab" * 16, "consignment": "LACDHS-0001", "at": "2020-04-12T08:20:05Z"}
    ),
    Notification.model_validate(
        {
            "notification": "ab" * 16,
            "subscription": "s" * 16,
            "changes": ["cd" * 16],
            "due_at": "2020-04-12T08:20:05Z",
            "subject": "LACDHS-0001 is late",
            "text": "Not discharged 18 h after the plan.",
        }
    ),
    Delivery.model_validate(
        {
            "notification": "ab" * 16,
            "subscription": "s" * 16,
            "attempt": 1,
            "state": "intent",
            "address_hash": "ab" * 32,
            "at": "2020-04-12T08:20:06Z",
        }
    ),
    Consent.model_validate(
        {"subscription": "s" * 16, "address_hash": "ab" * 32, "act": "confirmed", "at": "2020-04-12T08:20:06Z"}
    ),
)
