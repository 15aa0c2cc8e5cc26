"""What may be done with a subscription, and what is written for it. Pure: values in, records out, in the order to be written.

Order: what lets messages flow (confirmed, resumed, lifted) stands in the consent ledger before it counts; what ends them counts
before the ledger says so. A crash between two records leaves less sent than allowed, and the act done again mends it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from pydantic import BaseModel

from schemas.alerts_v1 import Channel, Consent, Filters, Notification, Sight, Subscription, Suppression
from schemas.base import rfc3339
from schemas.topics import CONSENT, NOTIFICATIONS, SUBSCRIPTIONS, SUPPRESSIONS, Topic
from services.alerts.links import CODE_FOR, CONFIRM_FOR, WRONG_CODES_MOST
from services.alerts.wanted import Changed, Wanted, agreement

ASK_AGAIN_AFTER: Final = timedelta(seconds=60)
ASKS_A_DAY: Final = 5  # of one address, whoever asks: a stranger's typing must not become a nuisance
UNCONFIRMED_FOR: Final = timedelta(days=7)  # then the address is forgotten
OWNERS_UNCONFIRMED_MOST: Final = 500  # at a time
OWNERS_MOST: Final = 20_000
ADDRESS_MOST: Final = 50  # subscriptions of one address
_DAY = timedelta(days=1)
SUBSCRIBER: Final = "subscriber"
NO_ONE: Final = "-"  # no subscription's id: a tombstone of it only makes Kafka close the segment that it writes

Why = Literal["invalid", "too_many", "not_found", "suppressed"]


class Refused(Exception):
    """The act cannot be done; the text says why, without the address. `where`: a JSON pointer into what was said."""

    def __init__(self, why: Why, text: str, where: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.why, self.where, self.retry_after_s = why, where, retry_after_s


@dataclass(frozen=True, slots=True)
class Said:
    """Who does it, and from where: both stand in the ledger. `by`: SUBSCRIBER, or the sender whose key it is."""

    by: str
    source: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """To be written; `model` None is a tombstone."""

    topic: Topic
    key: str
    model: BaseModel | None


@dataclass(frozen=True, slots=True)
class Done:
    """The subscription as it is afterwards, and the records in their order."""

    subscription: Subscription
    records: tuple[Record, ...]


def make(
    name: str,
    wanted: Wanted,
    address: str,
    address_hash: str,
    owner: str | None,
    others: Mapping[str, Subscription],
    said: Said,
    sight: Sight | None = None,
) -> Done:
    """A new subscription, unconfirmed, and the request to confirm it. `address`: as `normalise` writes it. `others`: all there
    are. `sight`: what the key that makes it may be told of. Raises Refused."""
    same = [other for other in others.values() if other.address_hash == address_hash]
    if len(same) >= ADDRESS_MOST:
        raise Refused("too_many", f"This address has {ADDRESS_MOST} subscriptions already; change or remove one.")
    if owner is not None:
        own = [other for other in others.values() if other.owner == owner]
        if len(own) >= OWNERS_MOST:
            raise Refused("too_many", f"{owner} has {OWNERS_MOST} subscriptions already.")
        if sum(other.state == "unconfirmed" for other in own) >= OWNERS_UNCONFIRMED_MOST:
            raise Refused("too_many", f"{OWNERS_UNCONFIRMED_MOST} subscriptions of {owner} wait to be confirmed.")
    _check_contacts(wanted, name, owner, others)
    new = Subscription(
        subscription=name,
        address=address,
        address_hash=address_hash,
        created_at=said.at,
        owner=owner,
        sight=sight,
        **wanted.model_dump(exclude={"address"}),
    )
    return ask(new, others, said)


def ask(subscription: Subscription, others: Mapping[str, Subscription], said: Said) -> Done:
    """Ask the address to confirm, again if need be; older codes no longer count. Raises Refused."""
    if subscription.state != "unconfirmed":
        raise Refused("invalid", f"The subscription is {subscription.state}; there is nothing to confirm.")
    if subscription.asked_at is not None and said.at < subscription.asked_at + ASK_AGAIN_AFTER:
        wait = (subscription.asked_at + ASK_AGAIN_AFTER - said.at).total_seconds()
        raise Refused("too_many", "It was asked a moment ago; wait a minute.", retry_after_s=wait)
    family = {subscription.subscription: subscription} | {
        name: other for name, other in others.items() if other.address_hash == subscription.address_hash
    }
    recent = [one for one in family.values() if one.asked_at is not None and said.at < one.asked_at + _DAY]
    if sum(one.asks for one in recent) >= ASKS_A_DAY:
        raise Refused("too_many", f"This address was asked {ASKS_A_DAY} times today; try again tomorrow.", retry_after_s=86_400)
    asked = subscription.model_copy(update={"asked_at": said.at, "asks": subscription.asks + 1, "wrong_codes": 0})
    request = request_to_confirm(asked)
    return Done(
        asked,
        (
            _consent(asked, "asked", said, agreement(asked)),
            _kept(asked),
            Record(NOTIFICATIONS, asked.subscription, request),
        ),
    )


def request_to_confirm(subscription: Subscription) -> Notification:
    """The request that the sender puts link or code to. The same for the same asking, so that a repeat is sent once."""
    assert subscription.asked_at is not None
    said = f"confirm {subscription.subscription} {rfc3339(subscription.asked_at)}"
    return Notification(
        notification=hashlib.sha256(said.encode()).hexdigest()[:32],
        subscription=subscription.subscription,
        changes=(),
        purpose="confirm",
        due_at=subscription.asked_at,
        stale_at=subscription.asked_at + (CODE_FOR if subscription.channel == "sms" else CONFIRM_FOR),
        subject="Please confirm: messages about medical supplies on their way",
        text=agreement(subscription),
    )


def confirm(subscription: Subscription, said: Said) -> Done:
    """The address has said yes. Done before: nothing more is written. Raises Refused."""
    if subscription.state in ("active", "paused"):
        return Done(subscription, ())
    if subscription.state == "stopped":
        raise Refused("invalid", "This subscription was stopped; its link to confirm no longer counts.")
    now_active = subscription.model_copy(update={"state": "active", "confirmed_at": said.at, "wrong_codes": 0})
    return Done(now_active, (_consent(now_active, "confirmed", said, agreement(now_active)), _kept(now_active)))


def wrong_code(subscription: Subscription) -> Done:
    """A code that was not the right one: counted, so that guessing ends. Raises Refused once there were too many."""
    if subscription.wrong_codes >= WRONG_CODES_MOST:
        raise Refused("too_many", "Too many wrong codes; ask for a new one.")
    counted = subscription.model_copy(update={"wrong_codes": subscription.wrong_codes + 1})
    return Done(counted, (_kept(counted),))


def change(subscription: Subscription, wanted: Changed, others: Mapping[str, Subscription], said: Said) -> Done:
    """Other filters, hours, ...; what is the same is not written. Raises Refused."""
    new = subscription.model_copy(update={name: getattr(wanted, name) for name in Changed.model_fields})
    if new == subscription:
        return Done(subscription, ())
    _check_contacts(wanted, subscription.subscription, subscription.owner, others)
    return Done(new, (_consent(new, "changed", said, agreement(new)), _kept(new)))


def pause(subscription: Subscription, said: Said) -> Done:
    """Nothing is sent until it is resumed. Raises Refused."""
    if subscription.state == "paused":
        return Done(subscription, ())
    if subscription.state != "active":
        raise Refused("invalid", f"The subscription is {subscription.state}; only an active one can be paused.")
    new = subscription.model_copy(update={"state": "paused"})
    return Done(new, (_kept(new), _consent(new, "paused", said)))


def resume(subscription: Subscription, said: Said) -> Done:
    """Messages again. What its subscriber stopped, only its subscriber resumes. Raises Refused."""
    if subscription.state == "active":
        return Done(subscription, ())
    if subscription.confirmed_at is None:
        raise Refused("invalid", "The address has not confirmed the subscription; that comes first.")
    if subscription.state == "stopped" and subscription.stopped_by != "owner" and said.by != SUBSCRIBER:
        raise Refused("invalid", "Its subscriber stopped it, and only its subscriber can take that back.")
    new = subscription.model_copy(update={"state": "active", "stopped_by": None})
    return Done(new, (_consent(new, "resumed", said, agreement(new)), _kept(new)))


def stop(subscription: Subscription, by: Literal["word", "link", "owner"], said: Said, shown: str | None = None) -> Done:
    """No more messages. Never refused. Done before, a subscriber's own word is noted once more (a crash may have kept the first
    from the ledger), and takes an owner's stop over: from then on the owner cannot resume it."""
    if subscription.state != "stopped":
        new = subscription.model_copy(update={"state": "stopped", "stopped_by": by})
    elif by == "owner":
        return Done(subscription, ())
    else:
        new = subscription.model_copy(update={"stopped_by": "link"}) if subscription.stopped_by == "owner" else subscription
    kept = (_kept(new),) if new != subscription else ()
    return Done(new, (*kept, _consent(new, "stopped", said, shown)))


def remove(subscription: Subscription, said: Said) -> Done:
    """Away with it, its address too; the ledger keeps what was agreed."""
    gone = Record(SUBSCRIPTIONS, subscription.subscription, None)
    return Done(subscription, (gone, _consent(subscription, "forgotten", said)))


def suppress(channel: Channel, address_hash: str, reason: Literal["stopped", "forgotten"], said: Said) -> Record:
    """Nothing is sent to the address, by whatever subscription."""
    return Record(
        SUPPRESSIONS,
        address_hash,
        Suppression(address_hash=address_hash, channel=channel, reason=reason, at=said.at, source=said.source),
    )


def lift(address_hash: str, said: Said) -> tuple[Record, ...]:
    """The address may be written to again: its owner asked for it."""
    ledger = Consent(subscription=NO_ONE, address_hash=address_hash, act="lifted", at=said.at, source=said.source, by=said.by)
    return (Record(CONSENT, address_hash, ledger), Record(SUPPRESSIONS, address_hash, None))


def close_segment() -> Record:
    """Kafka compacts closed segments alone, and closes none that nobody writes to: so that removed addresses go in time."""
    return Record(SUBSCRIPTIONS, NO_ONE, None)


def lapsed(subscriptions: Iterable[Subscription], now: datetime) -> list[Subscription]:
    """Those that nobody confirmed in time: their addresses are forgotten."""
    return [
        one for one in subscriptions if one.state == "unconfirmed" and now >= (one.asked_at or one.created_at) + UNCONFIRMED_FOR
    ]


def same_words(one: Subscription, wanted: Wanted) -> bool:
    """Whether a subscription already says what is wanted, so that sending a form twice makes one."""
    return all(getattr(one, name) == getattr(wanted, name) for name in Changed.model_fields)


def narrow(filters: Filters) -> bool:
    """Whether it asks for something in particular: what the page takes from somebody without a key."""
    return any((filters.facilities, filters.consignments, filters.references, filters.carriers, filters.terminals))


def _check_contacts(wanted: Changed, name: str, owner: str | None, others: Mapping[str, Subscription]) -> None:
    for field in ("fallback", "escalate_to"):
        contact: str | None = getattr(wanted, field)
        if contact is None:
            continue
        other = others.get(contact)
        if contact == name or other is None or other.owner != owner:
            raise Refused("invalid", "This is no other subscription of yours.", f"/{field}")


def _kept(subscription: Subscription) -> Record:
    return Record(SUBSCRIPTIONS, subscription.subscription, subscription)


def _consent(subscription: Subscription, act: str, said: Said, shown: str | None = None) -> Record:
    ledger: dict[str, Any] = {
        "subscription": subscription.subscription,
        "address_hash": subscription.address_hash,
        "act": act,
        "at": said.at,
        "shown": shown[:500] if shown else None,
        "source": said.source,
        "by": said.by,
    }
    return Record(CONSENT, subscription.subscription, Consent.model_validate(ledger))
