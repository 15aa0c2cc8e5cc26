"""What becomes of a due notification: sent, asked about, put off, or dropped with a reason. Pure: no Kafka, no clock, no dice.

An attempt is recorded before it is made (*intent*) and after (its result). What a crash leaves between the two is an intent
without a result, and nobody knows whether the provider has the message: who can be asked is asked, by a reference that stays
the same; else it is sent again under the same id (docs/alerts.md, "Crash points").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from schemas.alerts_v1 import Delivery, Notification, Subscription, Suppression

FRESH_FOR = timedelta(hours=6)
"""After its due time, where the notification itself does not say when it is stale."""

FRESH_AT_MOST = timedelta(hours=24)
"""Nothing is sent later than this after it was due, whatever it says: the ledger need not remember longer (see MEMORY)."""

SEEN_WITHIN, LOOK_AGAIN = timedelta(seconds=60), timedelta(milliseconds=250)
"""A request for opt-in waits so long for the subscription that it is for; how often it looks."""

MEMORY = FRESH_AT_MOST * 2
"""So far back deliveries are read at start. An id that is older than that is stale, whoever brings it again."""

NO_ADDRESS = "0" * 64
"""In the place of an address's hash where there is none."""

MOST_ATTEMPTS = 12
"""That the address itself puts off, by one way. While the provider is away none counts: what waits grows stale, not dead."""

PUT_OFF = frozenset({"greylisted", "mailbox_busy"})
"""Reasons of a failed attempt that are the address's own; of a webhook all are, for it is its own provider."""

MOST_LOST = 8
"""Answers that were lost, after each of which the same message is handed over again, within some ten minutes: one more copy
each at worst. Then it is dead, and perhaps there."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 900.0
LONGEST_AWAY_S = 60.0
"""A provider that is back is found by its breaker's probe; who waits for it shall not sleep on."""
GREYLIST_PAUSE_S = 60.0
"""The least that who greylists asks for; most let through after one to five minutes."""

SETTLED = frozenset({"accepted", "suppressed", "stale", "dead", "delivered", "undelivered", "bounced"})

RECEIPTS = frozenset({"delivered", "undelivered", "bounced"})
"""What a provider tells after it has accepted. It does not say of which attempt."""

NOT_BROUGHT = frozenset({"undelivered", "bounced"})
"""Receipts after which another way is taken, where the subscriber named one."""

AnswerKind = Literal["accepted", "later", "away", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered.

    `later`: not now, because of this address (greylisting, a full mailbox); `away`: not now, because of the provider itself
    (no connection, overload), which says nothing of the address; `refused`: never; `unknown`: it was handed over, and the
    answer was lost. `suppress`: nothing more may go to this address. `text`: the provider's words, which may name the address.
    """

    kind: AnswerKind
    reason: str
    text: str = ""
    provider_ref: str | None = None
    pause_s: float | None = None
    suppress: Literal["bounced", "opted_out"] | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger knows of a notification."""

    state: str
    attempt: int
    at: datetime
    retry_at: datetime | None = None
    via: str | None = None
    position: str | None = None
    provider: str | None = None
    address_hash: str | None = None
    """Where the last attempt went."""
    subscription: str | None = None
    put_off: int = 0
    """Attempts by this way that the address put off."""
    lost: int = 0
    """Attempts by this way of which nobody knows how they ended."""

    @property
    def settled(self) -> bool:
        return self.state in SETTLED


class Ledger:
    """What was tried, by notification. Fed with every record of deliveries, in their order."""

    def __init__(self) -> None:
        self._known: dict[str, Standing] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, notification: str) -> Standing | None:
        """How a notification stands; None: nothing was tried."""
        return self._known.get(notification)

    def take(self, record: Delivery) -> None:
        """One record. What is settled stays settled, but by a later attempt (`lovla alerts retry`): a fenced sender's late
        intent, or a receipt that comes twice, opens nothing again."""
        old = self._known.get(record.notification)
        if old is not None and old.settled and record.state not in SETTLED and record.attempt <= old.attempt:
            return
        if old is not None and record.state in RECEIPTS and record.address_hash not in (old.address_hash, NO_ADDRESS):
            return  # of the way that was left for another one
        if old is not None and old.state in RECEIPTS and record.state == "accepted" and record.attempt <= old.attempt:
            return  # the receipt was quicker than our own record
        own = old if old is not None and (record.via or old.via) == old.via else None  # of this way
        put_off = record.state == "failed" and (record.channel == "webhook" or record.reason in PUT_OFF)
        lost = record.state == "unknown" or (record.state == "intent" and own is not None and own.state == "intent")
        self._known[record.notification] = Standing(
            record.state,
            max(record.attempt, old.attempt if old else 0),
            record.at,
            record.retry_at,
            record.via or (old.via if old else None),
            record.position or (old.position if old else None),
            record.provider or (old.provider if old else None),
            (old.address_hash if old and record.state in RECEIPTS else None) or record.address_hash,
            record.subscription,
            (own.put_off if own else 0) + put_off,
            (own.lost if own else 0) + lost,
        )

    def forget_before(self, moment: datetime) -> None:
        """Drop what is settled and older than anything that may still be sent."""
        self._known = {name: known for name, known in self._known.items() if not known.settled or known.at >= moment}

    def open(self) -> Iterator[tuple[str, Standing]]:
        """What was begun and is not settled."""
        return ((name, known) for name, known in self._known.items() if not known.settled)

    def not_brought(self) -> Iterator[tuple[str, Standing]]:
        """What a provider accepted and could not bring, and no other way was taken."""
        return ((name, known) for name, known in self._known.items() if known.state in NOT_BROUGHT and known.via is None)


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Drop:
    """It is not sent; `state` is recorded with the reason, in words too."""

    state: Literal["suppressed", "stale", "dead"]
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Ask:
    """An earlier attempt ended without a result: ask the provider by our reference. It has not got it: send as `attempt`."""

    asked_about: int
    since: datetime
    attempt: int


@dataclass(frozen=True, slots=True)
class Send:
    """Try. `again`: the same message may have arrived already."""

    attempt: int
    again: bool = False


Decision = Done | Drop | Wait | Ask | Send


def stale_at(notification: Notification) -> datetime:
    """From when on nobody wants to read it any more."""
    said = notification.stale_at or notification.due_at + FRESH_FOR
    return min(said, notification.due_at + FRESH_AT_MOST)


def decide(
    notification: Notification,
    subscription: Subscription | None,
    suppression: Suppression | None,
    known: Standing | None,
    now: datetime,
    retried: bool = False,
    rerouted: bool = False,
) -> Decision:
    """What to do with a notification now. `subscription`, `suppression`: of the address that would get it, as they stand now.
    `retried`: an operator asked for another attempt at a dead one. `rerouted`: another way is taken, by which nothing was
    tried yet."""
    if known is not None and known.settled:
        open_again = (retried and known.state == "dead") or (rerouted and known.state in NOT_BROUGHT)
        if not open_again:
            return Done()
    if _is_ahead(notification, subscription) and now < notification.due_at + SEEN_WITHIN:
        return Wait(now + LOOK_AGAIN)
    held = _why_not(notification, subscription, suppression, now)
    if held is not None:
        return Drop("suppressed", *held)
    if now >= stale_at(notification) and not retried:
        return Drop("stale", "stale", f"its time was over at {stale_at(notification):%Y-%m-%d %H:%M} UTC")
    if now < notification.due_at:
        return Wait(notification.due_at)
    if known is None:
        return Send(1)
    if known.state in ("intent", "unknown"):
        if known.retry_at is not None and now < known.retry_at:
            return Wait(known.retry_at)
        assert subscription is not None
        if subscription.channel == "sms":
            return Ask(known.attempt, known.at, known.attempt + 1)
        if known.lost + (known.state == "intent") >= MOST_LOST and not retried:
            return Drop(
                "dead", "perhaps_delivered", f"it was handed over {MOST_LOST} times, and no answer came: it may be there"
            )
        return Send(known.attempt + 1, again=True)
    if known.put_off >= MOST_ATTEMPTS and not retried:
        return Drop("dead", "attempts_used_up", f"{known.put_off} attempts did not get through")
    if known.retry_at is not None and now < known.retry_at:
        return Wait(known.retry_at)
    return Send(known.attempt + 1)


def _is_ahead(notification: Notification, subscription: Subscription | None) -> bool:
    """Whether a request for opt-in came before the subscription that it is for, or before the asking that it is of: they are
    written one after the other, and read by two readers."""
    if notification.purpose != "confirm":
        return False
    return subscription is None or (subscription.asked_at is not None and subscription.asked_at < notification.due_at)


def _why_not(
    notification: Notification, subscription: Subscription | None, suppression: Suppression | None, now: datetime
) -> tuple[str, str] | None:
    if subscription is None:
        return "no_subscription", "the subscription is gone"
    if suppression is not None:
        return f"address_{suppression.reason}", f"nothing may be sent to this address: {suppression.reason}"
    if notification.purpose == "confirm":
        if subscription.state != "unconfirmed":
            return f"subscription_{subscription.state}", f"nothing to confirm: the subscription is {subscription.state}"
        if subscription.asked_at is not None and subscription.asked_at > notification.due_at:
            return "asked_anew", "the address was asked anew since, and only the newest code counts"
    elif subscription.state != "active":
        return f"subscription_{subscription.state}", f"the subscription is {subscription.state}"
    if subscription.expires_at is not None and now >= subscription.expires_at:
        return "subscription_expired", f"the subscription expired at {subscription.expires_at:%Y-%m-%d %H:%M} UTC"
    return None


def pause_s(attempt: int, answer: Answer, dice: float) -> float:
    """How long to wait after a failed attempt: doubling, with jitter (`dice` in [0, 1)), never less than it was asked for."""
    longest = LONGEST_AWAY_S if answer.kind == "away" else LONGEST_PAUSE_S
    ceiling = min(longest, FIRST_PAUSE_S * float(2 ** min(attempt - 1, 16)))
    least = answer.pause_s or (GREYLIST_PAUSE_S if answer.reason == "greylisted" else 0.0)
    return max(ceiling * (0.5 + dice / 2), least * (1 + dice / 10))
