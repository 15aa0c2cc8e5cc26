"""The alerts' records: `subscriptions.v1` (the only place of addresses), `suppressions.v1`, `alert.candidates.v1`,
`alert.acknowledgements.v1`, `notifications.v1`, `deliveries.v1`, `consent.v1`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Code, Contract, ShortText, Text, UtcTime
from schemas.journey_change_v1 import ExceptionChanged, HandedOver, MilestoneReached
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


class Sight(Contract):
    """What a subscription made with a sender's key may tell of: consignments that the sender buys, carries or trucks, those
    that go to or through its `facilities`, and its own feed."""

    sender: Code
    facilities: tuple[Code, ...] = ()


class Subscription(Contract):
    """Who wants to be told what, where and when. The address never changes: another one is another subscription.

    `quiet`: local from, to (HH:MM) in `zone`. `owner`: the sender whose key made it; none: made on the public page.
    `asked_at`, `asks`: when its address was last asked to confirm, and how often; link and code are derived from it
    (services/alerts/links.py), so no secret stands here. `fallback`, `escalate_to`: other subscriptions, which were confirmed
    as any is. `stopped_by` "word": STOP by SMS, which START takes back. `sight`: none: an operator's, or made without a key.
    """

    subscription: str = Field(pattern=r"^[a-z0-9]{16}$")
    channel: Channel
    address: Text
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
    owner: Code | None = None
    label: ShortText | None = None
    asked_at: UtcTime | None = None
    asks: int = Field(0, ge=0)
    wrong_codes: int = Field(0, ge=0, description="wrong codes given since `asked_at`")
    confirmed_at: UtcTime | None = None
    stopped_by: Literal["word", "link", "owner"] | None = None
    most_an_hour: int | None = Field(None, ge=1, le=1_000, description="messages; over it a digest; none: the service's budget")
    fallback: str | None = Field(None, pattern=r"^[a-z0-9]{16}$", description="told when this one's channel fails")
    escalate_to: str | None = Field(None, pattern=r"^[a-z0-9]{16}$", description="told when nobody acknowledges a critical one")
    escalate_after_min: int = Field(15, ge=1, le=1_440)
    sight: Sight | None = Field(None, description="what it may tell of, as the rights of its owner's key were")


class Suppression(Contract):
    """An address that nothing may be sent to, by its keyed hash alone; the record's key is the hash. A tombstone lifts it."""

    address_hash: str = Field(pattern=r"^[0-9a-f]{64}$", description="keyed hash")
    channel: Channel
    reason: Literal["stopped", "forgotten", "bounced", "complained", "opted_out"]
    at: UtcTime
    source: ShortText | None = None


AlertableChange = Annotated[MilestoneReached | HandedOver | ExceptionChanged, Field(discriminator="change")]


class AlertCandidate(Contract):
    """A change that matched a subscription. `away`: it is older than news, and was still open when the worker caught up.

    `change`: the change itself, so that compose needs no other record.
    """

    subscription: str
    change_id: str
    consignment: str
    at: UtcTime | None = None
    away: bool = False
    change: AlertableChange | None = None


Step = Literal["opened", "worsened", "ended", "corrected", "reached", "revised"]


class Item(Contract):
    """One thing that a notification tells. `key`: of the exception, or `milestone:NAME:LEG`.

    `step` corrected: we were wrong (an exception withdrawn, a milestone that is no longer actual). `since`: when the exception
    started, or the milestone happened; `until`: when it ended. `evidence`: the change_id behind it.
    """

    consignment: str
    key: str
    step: Step
    kind: ExceptionKind | Literal["milestone"]
    evidence: str
    sentence: Text
    next: Text | None = None
    milestone: Milestone | None = None
    severity: Severity | None = None
    place: ShortText | None = None
    facility: Code | None = None
    carrier: Code | None = None
    terminal: Code | None = None
    tier: int | None = None
    since: UtcTime | None = None
    until: UtcTime | None = None
    hours_late: float | None = None


class Notification(Contract):
    """One message due to one subscriber; its id is derived from what it says.

    `purpose` confirm: an opt-in's request (the sender derives link or code); notice: about the subscription itself.
    `thread`: the consignment, or the group's cause: messages of one thread belong together. `items`: the worst first, at most
    50; `count` is of all. `code`: set where an acknowledgement is asked for ("ACK 4711"). `escalates`: the notification that
    nobody acknowledged. `sms`: the short form. `text`: plain words, without greeting or footer.
    """

    notification: str = Field(pattern=r"^[0-9a-f]{32}$")
    subscription: str
    changes: tuple[str, ...]
    due_at: UtcTime
    stale_at: UtcTime | None = None
    subject: Text
    text: str = Field(max_length=20_000)
    purpose: Literal["alert", "digest", "confirm", "notice"] = "alert"
    severity: Severity | None = None
    thread: ShortText | None = None
    items: tuple[Item, ...] = Field((), max_length=50)
    count: int = Field(0, ge=0)
    sms: str | None = Field(None, max_length=640)
    code: str | None = Field(None, pattern=r"^[0-9]{4}$")
    escalates: str | None = None


class Acknowledgement(Contract):
    """Somebody has seen it: of that notification, or of the newest of the subscription with that code, or (neither) of all
    that wait. Escalation stops."""

    subscription: str
    at: UtcTime
    notification: str | None = Field(None, pattern=r"^[0-9a-f]{32}$")
    code: str | None = Field(None, pattern=r"^[0-9]{4}$")
    source: ShortText | None = Field(None, description="link, sms, api, console")
    by: ShortText | None = Field(None, description="`subscriber`; else the operator, and the person who acted for it")


DeliveryState = Literal[
    "intent",  # about to be handed to the provider; without a result nobody knows whether it was
    "accepted",  # the provider has it
    "failed",  # this attempt did not get through; another follows at `retry_at`
    "unknown",  # the answer was lost: what became of it is asked, or it is sent again with the same id
    "suppressed",  # not sent, and why
    "stale",  # its time was over before anybody took it
    "dead",  # given up: `lovla alerts retry`
    "delivered",  # the provider says that it arrived
    "undelivered",  # the provider took it and could not bring it
    "bounced",  # the address sent it back
]


class Delivery(Contract):
    """One attempt to hand a notification to a provider: intent before the call, result after, the provider's receipt later.
    `text`: what was answered, without the address. `position`: of the notification in its topic, partition:offset."""

    notification: str
    subscription: str
    attempt: int = Field(ge=1)
    state: DeliveryState
    address_hash: str
    provider: ShortText | None = None
    provider_ref: ShortText | None = None
    at: UtcTime
    text: Text | None = None
    channel: Channel | None = None
    reason: str | None = Field(None, pattern=r"^[a-z0-9_]{1,64}$")
    due_at: UtcTime | None = None
    retry_at: UtcTime | None = None
    via: str | None = Field(None, description="the subscription whose channel took over from a failed one")
    message_id: str | None = Field(None, max_length=200)
    segments: int | None = Field(None, ge=0)
    position: str | None = Field(None, pattern=r"^\d+:\d+$")


class AlertsControl(Contract):
    """What an operator told the sender: the kill switch (key `switch`), or to try a dead one again (key `retry:ID`)."""

    act: Literal["pause", "resume", "retry"]
    at: UtcTime
    by: ShortText
    reason: Text | None = None
    notification: str | None = None


class Consent(Contract):
    """Who agreed to what, when, from where: append-only, without the address itself. `shown`: the text that they agreed to, or
    what they sent. `by`: `subscriber`, or the sender whose key did it."""

    subscription: str
    address_hash: str
    act: Literal["asked", "confirmed", "changed", "paused", "stopped", "resumed", "forgotten", "lifted"]
    at: UtcTime
    shown: Text | None = None
    source: ShortText | None = None
    by: ShortText | None = None


EXAMPLES: tuple[
    Subscription | Suppression | AlertCandidate | Notification | Acknowledgement | Delivery | AlertsControl | Consent, ...
] = (
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
    Acknowledgement.model_validate({"subscription": "s" * 16, "code": "4711", "at": "2020-04-12T08:31:00Z", "source": "sms"}),
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
    Suppression.model_validate(
        {"address_hash": "ab" * 32, "channel": "sms", "reason": "stopped", "at": "2020-04-12T08:20:06Z", "source": "sms"}
    ),
    AlertsControl.model_validate(
        {"act": "pause", "at": "2020-04-12T08:20:06Z", "by": "operator", "reason": "wrong plans were loaded"}
    ),
    Consent.model_validate(
        {"subscription": "s" * 16, "address_hash": "ab" * 32, "act": "confirmed", "at": "2020-04-12T08:20:06Z"}
    ),
)
