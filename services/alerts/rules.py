"""What a subscriber is told, when, and what is held back and why. Pure: no Kafka, no clock, no addresses.

Of every exception and milestone a subscriber has two states: what holds, and what they were told last. Only a difference worth
telling is due (`step_between`): so what comes and goes within a wait is never told, and nothing is told twice. A difference
waits for a second (the other changes of the same moment), then for whatever of these is latest: an interval between messages on
one consignment, the window of its group, the next digest, the end of quiet hours, the budget. When its time comes it is
compared again: what is over by then is not told.

The rules are numbered in docs/alerts.md; `reason` says which one held something back, in words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas.alert_states_v1 import Escalation, Held, Known, Subscriber, Watch
from schemas.alerts_v1 import Acknowledgement, AlertCandidate, Item, Notification, Step, Subscription
from schemas.journey_change_v1 import ExceptionChanged, HandedOver
from schemas.words import SEVERITIES
from services.alerts import wording
from services.alerts.care import Care
from services.alerts.hours import next_digest, quiet_until
from services.alerts.matching import Alertable, why_not

SETTLES = timedelta(seconds=1)
"""One arrival ends an exception, opens another and reaches a milestone: they go in one message."""
AWAY_SETTLES = timedelta(seconds=10)
"""What was still open when the worker caught up comes from all partitions: one message a subscriber."""
BETWEEN = timedelta(minutes=15)
"""Least time between two messages on one consignment, but for what became critical."""
GROUPED = timedelta(minutes=5)
"""The first of a cause goes at once; what follows within this goes together."""
MOST_AN_HOUR = 12
"""Messages to one subscriber, unless they chose a number; beyond it one digest, and one notice that says so."""
TRIED_AGAIN = timedelta(minutes=10)
"""After this it is looked again whether the service may send."""
HOURS_WORSE = (6.0, 12.0, 24.0, 48.0, 72.0, 120.0, 168.0, 336.0)
"""Passing one of these hours late is worse than what was told before; what lies between is not worth a message."""
MOVED = timedelta(hours=1)
"""A milestone's time that moves by less is not told again."""
HELD_AT_MOST = timedelta(hours=48)
"""What could not be told by then is no news; it is dropped, with a reason."""
STALE = timedelta(hours=6)
STALE_CRITICAL = timedelta(hours=12)
STALE_DIGEST = timedelta(hours=24)
"""For how long the sender tries."""
KEPT = timedelta(days=14)
KEPT_TOLD = timedelta(days=120)
"""How long it is remembered after the last that was heard of it: what was never told, and what was, which may yet be corrected,
revised or end."""
ASLEEP_AT_MOST = timedelta(hours=48)
"""For so long it is remembered that somebody takes care: who takes it back later tells people themselves."""
ITEMS_SHOWN = 50

Caring = Callable[[str, str, datetime, datetime], Care | None]
"""(consignment, key, since, now): who takes care of it, or lets it wait (Work.care)."""

_OPEN: tuple[Step, ...] = ("opened", "worsened")
_BUNDLED: tuple[Held | None, ...] = ("quiet", "digest", "budget")
_DELAYS = ("late", "will_be_late", "overdue")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a change is not told, or not yet: for `lovla explain` and the backtest."""

    evidence: str
    consignment: str
    key: str
    text: str
    until: datetime | None = None


@dataclass(slots=True)
class Outcome:
    """What a step gives: the states that changed, the messages that are due, and why others are not."""

    subscriber: Subscriber
    watches: dict[str, Watch] = field(default_factory=dict)
    notifications: tuple[Notification, ...] = ()
    reasons: list[Reason] = field(default_factory=list)


def nobody(_consignment: str, _key: str, _since: datetime, _now: datetime) -> None:
    """Nobody takes care of anything."""


# -- one change ----------------------------------------------------------------------------------------------------------


def take(subscriber: Subscriber, watch: Watch, subscription: Subscription, candidate: AlertCandidate, at: datetime) -> Outcome:
    """One candidate, given to the worker `at` (the broker's time of it). Taken again it changes nothing."""
    change = candidate.change
    outcome = Outcome(subscriber)
    if change is None:
        return outcome
    if isinstance(change, HandedOver):
        outcome.reasons.append(
            Reason(change.change_id, change.consignment, "", "the milestone itself is told, once for all units")
        )
        return outcome
    item = wording.item(change, subscription.zone, subscription.language)
    old = watch.known.get(item.key)
    if old is not None and (change.version, change.ordinal) <= (old.version, old.ordinal):
        return outcome
    told = old.told if old else None
    known = Known(
        item=item,
        cause=cause_of(change),
        version=change.version,
        ordinal=change.ordinal,
        at=at,
        told=told,
        told_at=old.told_at if old else None,
        away=candidate.away,
        worse_at=old.worse_at if old is not None and not _worse(old.item, item) else candidate.at or at,
    )
    unwanted = why_not(subscription, change, at) if told is None else None
    step, text = (None, unwanted) if unwanted else step_between(told, item)
    if step is None:
        known = known.model_copy(update={"reason": text})
        outcome.reasons.append(Reason(item.evidence, item.consignment, item.key, text or ""))
    else:
        known = _schedule(subscriber, watch, subscription, known, step, at)
        if old is not None and old.due_at is not None and known.due_at is not None and old.due_at <= known.due_at:
            known = known.model_copy(update={"due_at": old.due_at, "held": old.held})
        outcome.reasons.append(Reason(item.evidence, item.consignment, item.key, known.reason or "", known.due_at))
    outcome.watches[watch.consignment] = watch.model_copy(
        update={"known": remembered(watch.known, at) | {item.key: known}},
    )
    return outcome


def step_between(told: Item | None, item: Item) -> tuple[Step | None, str | None]:
    """What is worth telling between what was told and what holds; else why nothing is."""
    if item.kind == "milestone":
        return _milestone_step(told, item)
    if told is not None and told.step in _OPEN:
        if item.step not in _OPEN:
            return item.step, None
        if _worse(told, item):
            return "worsened", None
        return None, "no worse than what was told"
    if item.step in _OPEN:
        return "opened", None
    if told is not None and told.step == "ended" and item.step == "corrected":
        return "corrected", None
    return None, "it was over before it was told" if told is None else "that it is over was told"


def _milestone_step(told: Item | None, item: Item) -> tuple[Step | None, str | None]:
    if told is None or told.step == "corrected":
        return ("reached", None) if item.step == "reached" else (None, "it was never told that it was reached")
    if item.step == "corrected":
        return "corrected", None
    if told.since is None or item.since is None or abs(item.since - told.since) >= MOVED:
        return "revised", None
    return None, f"its time moved by less than {MOVED.total_seconds() / 3600:.0f} h"


def cause_of(change: Alertable) -> str:
    """What changes of many consignments have in common if one thing is behind them: the voyage, else who and where."""
    if isinstance(change, ExceptionChanged):
        wrong = change.exception
        if wrong.kind == "silent":
            return f"silent {wrong.party or change.carrier or change.consignment.removeprefix('feed:')}"
        moved_by = change.voyage or change.vessel
        if moved_by and (wrong.kind in _DELAYS or wrong.kind == "rolled"):
            return f"{'delay' if wrong.kind in _DELAYS else wrong.kind} {wrong.milestone or ''} {moved_by}"[:128]
        where = change.terminal or change.facility or ""
        who = wrong.party or change.carrier or ""
        kind = "delay" if wrong.kind in _DELAYS else wrong.kind
        if who or where:
            return " ".join(part for part in (kind, wrong.milestone, who, where) if part)[:128]
    return change.consignment[:128]


def _schedule(
    subscriber: Subscriber, watch: Watch, subscription: Subscription, known: Known, step: Step, at: datetime
) -> Known:
    """When it may be told, by the latest of the rules, and which one that is."""
    urgent = known.item.severity == "critical" and step in _OPEN
    due, held, text = at + (AWAY_SETTLES if known.away else SETTLES), "settling", "what else changed just now goes with it"
    last = max((one.told_at for one in watch.known.values() if one.told_at is not None), default=None)
    if last is not None and last + BETWEEN > due and not urgent:
        due, held, text = last + BETWEEN, "interval", f"the consignment's last message is under {_minutes(BETWEEN)} old"
    window = subscriber.groups.get(known.cause)
    if window is not None and window > due:
        due, held, text = window, "group", "more of the same cause is collected"
    digest = next_digest(subscription, due)
    if digest is not None:
        due, held, text = digest, "digest", f"it goes with the {subscription.digest} digest"
    quiet = _quiet(subscription, due, urgent)
    if quiet is not None:
        due, held, text = quiet, "quiet", "quiet hours"
    return known.model_copy(update={"due_at": due, "held": held, "reason": text})


def _quiet(subscription: Subscription, at: datetime, urgent: bool) -> datetime | None:
    return None if urgent and subscription.critical_breaks_quiet else quiet_until(subscription, at)


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:.0f} min"


def _rank(item: Item) -> int:
    return SEVERITIES.index(item.severity) if item.severity else -1


def _hours_step(item: Item) -> int:
    return sum(item.hours_late >= hours for hours in HOURS_WORSE) if item.hours_late is not None else -1


def _worse(before: Item, item: Item) -> bool:
    """Opened again is worse too."""
    return before.step not in _OPEN or _rank(item) > _rank(before) or _hours_step(item) > _hours_step(before)


def remembered(known: Mapping[str, Known], now: datetime) -> dict[str, Known]:
    """Without what nothing was heard of for long."""

    def old(one: Known) -> bool:
        return one.due_at is None and now - one.at > (KEPT if one.told is None else KEPT_TOLD)

    return {key: one for key, one in known.items() if not old(one)}


# -- what is due ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Due:
    watch: str
    key: str
    known: Known
    step: Step

    @property
    def item(self) -> Item:
        return self.known.item.model_copy(update={"step": self.step})

    @property
    def urgent(self) -> bool:
        return self.known.item.severity == "critical" and self.step in _OPEN


def next_due(subscriber: Subscriber, watches: Iterable[Watch]) -> datetime | None:
    """When `due` has something to do; None: not before another candidate comes."""
    times = [one.due_at for watch in watches for one in watch.known.values() if one.due_at is not None]
    times += [escalation.due_at for escalation in subscriber.escalations]
    return min(times, default=None)


def due(
    subscriber: Subscriber,
    watches: Mapping[str, Watch],
    subscription: Subscription,
    find: Callable[[str], Subscription | None],
    now: datetime,
    room: int | None = None,
    caring: Caring = nobody,
) -> Outcome:
    """What is told now. `find`: a subscription by its id (of a second contact). `room`: how many messages the service may
    still send in this hour, None: as many as there are. `caring`: what people do about it."""
    sent = tuple(moment for moment in subscriber.sent if moment > now - timedelta(hours=1))
    groups = {cause: until for cause, until in subscriber.groups.items() if until > now}
    outcome = Outcome(subscriber.model_copy(update={"sent": sent, "groups": groups}))
    changed = {name: dict(watch.known) for name, watch in watches.items()}
    ready = _ready(outcome, changed, subscription, now)
    messages = _messages(ready)
    limit = subscription.most_an_hour or MOST_AN_HOUR
    left = max(0, limit - len(sent)) if room is None else max(0, min(limit - len(sent), room))
    notifications = [_notification(subscription, message, now) for message in messages[:left]]
    for message in messages[:left]:
        for one in message.parts:
            changed[one.watch][one.key] = _told(one.known, one.step, now)
    spent = (*sent, *(now for _ in messages[:left]))
    if messages[left:]:
        notifications += _over_budget(outcome, changed, subscription, messages[left:], limit, spent, now)
    escalations = [
        _asked(subscription, message, made, now) for message, made in zip(messages[:left], notifications, strict=False)
    ]
    kept, second = _escalate(outcome, changed, find, caring, now)
    outcome.subscriber = outcome.subscriber.model_copy(
        update={
            "sent": spent,
            "groups": groups | {cause: now + GROUPED for message in messages[:left] for cause in message.causes},
            "escalations": (*kept, *(one for one in escalations if one is not None)),
        }
    )
    outcome.notifications = (*notifications, *second)
    for name, known in changed.items():
        if known != watches[name].known:
            outcome.watches[name] = watches[name].model_copy(update={"known": known})
    return outcome


def _ready(outcome: Outcome, changed: dict[str, dict[str, Known]], subscription: Subscription, now: datetime) -> list[_Due]:
    """What is due and still worth telling; the rest is put off or dropped, with its reason."""
    ready = []
    waiting = [one for watch in changed.values() for one in watch.values() if one.due_at is not None]
    away = any(one.away and one.due_at is not None and one.due_at <= now for one in waiting)  # all of them go with the first
    for name, watch in changed.items():
        for key, known in watch.items():
            if known.due_at is None or (known.due_at > now and not (away and known.away)):
                continue
            step, text = step_between(known.told, known.item)
            text = _dead(subscription, known, now) or text
            if step is None or text is not None:
                watch[key] = known.model_copy(update={"due_at": None, "held": None, "reason": text})
                outcome.reasons.append(Reason(known.item.evidence, name, key, text or ""))
                continue
            one = _Due(name, key, known, step)
            quiet = _quiet(subscription, now, one.urgent)
            if quiet is not None:
                watch[key] = known.model_copy(update={"due_at": quiet, "held": "quiet", "reason": "quiet hours"})
                outcome.reasons.append(Reason(known.item.evidence, name, key, "quiet hours", quiet))
                continue
            ready.append(one)
    return ready


def _dead(subscription: Subscription, known: Known, now: datetime) -> str | None:
    if subscription.state != "active":
        return f"the subscription is {subscription.state}"
    if subscription.expires_at is not None and now >= subscription.expires_at:
        return f"the subscription expired at {subscription.expires_at:%Y-%m-%d %H:%M} UTC"
    if now - known.at > HELD_AT_MOST:
        return f"it waited for more than {HELD_AT_MOST.total_seconds() / 3600:.0f} h"
    return None


@dataclass(slots=True)
class _Message:
    """One message to be: its parts, the worst first."""

    thread: str
    parts: list[_Due]
    bundled: bool = False
    away: bool = False

    def __post_init__(self) -> None:
        self.parts.sort(key=lambda one: _worst_first(one.item))

    @property
    def causes(self) -> set[str]:
        return {one.known.cause for one in self.parts if one.step in _OPEN}


def _worst_first(item: Item) -> tuple[int, float, int, str, str]:
    over = item.step not in _OPEN
    return (-_rank(item) + 10 * over, -(item.hours_late or 0.0), item.tier or 9, item.consignment, item.key)


def _messages(ready: list[_Due]) -> list[_Message]:
    """One for what was held together or while we were away, one for each cause, one for each consignment; the worst first."""
    together = [one for one in ready if one.known.away or one.known.held in _BUNDLED]
    messages = []
    if together:
        away = any(one.known.away for one in together)
        threads = {one.known.cause for one in together} | {one.watch for one in together}
        alone = together[0].watch if len({one.watch for one in together}) == 1 else "digest"
        messages.append(_Message(alone, together, bundled=len(threads) > 2 or away, away=away))
    by_cause: dict[str, list[_Due]] = {}
    for one in ready:
        if one not in together:
            by_cause.setdefault(one.known.cause, []).append(one)
    threads_of: dict[str, list[_Due]] = {}
    for cause, parts in by_cause.items():
        consignments = {one.watch for one in parts}
        threads_of.setdefault(cause if len(consignments) > 1 else consignments.pop(), []).extend(parts)
    messages += [_Message(thread, parts) for thread, parts in threads_of.items()]
    return sorted(messages, key=lambda message: (_worst_first(message.parts[0].item), message.thread))


def _notification(subscription: Subscription, message: _Message, now: datetime) -> Notification:
    items = [one.item for one in message.parts]
    critical = any(one.urgent for one in message.parts)
    name = notification_id(subscription.subscription, items)
    code = code_of(name) if critical and subscription.escalate_to else None
    words = wording.words(items, subscription, digest=message.bundled, away=message.away, code=code, now=now)
    stale = STALE_DIGEST if message.bundled else STALE_CRITICAL if critical else STALE
    return Notification(
        notification=name,
        subscription=subscription.subscription,
        changes=tuple(dict.fromkeys(item.evidence for item in items)),
        due_at=now,
        stale_at=now + stale,
        subject=words.subject,
        text=words.text,
        purpose="digest" if message.bundled else "alert",
        severity=max((item.severity for item in items if item.severity), key=SEVERITIES.index, default=None),
        thread=message.thread,
        items=tuple(items[:ITEMS_SHOWN]),
        count=len(items),
        sms=words.sms,
        code=code,
    )


def notification_id(subscription: str, items: Iterable[Item], *also: str) -> str:
    """Derived from whom it is for and what it says: the same after any crash."""
    said = sorted(f"{item.consignment}\0{item.key}\0{item.step}\0{item.evidence}" for item in items)
    return hashlib.blake2b("\0".join([subscription, *also, *said]).encode(), digest_size=16).hexdigest()


def code_of(notification: str) -> str:
    """Four digits to acknowledge it by: "ACK 4711"."""
    return f"{int(notification[:8], 16) % 10_000:04}"


def _over_budget(
    outcome: Outcome,
    changed: dict[str, dict[str, Known]],
    subscription: Subscription,
    messages: list[_Message],
    limit: int,
    spent: tuple[datetime, ...],
    now: datetime,
) -> list[Notification]:
    """Puts off what is over it, and says so once an hour. Where it is the service's budget that is spent, nobody is told so:
    a notice to everybody would be as many messages."""
    own = len(spent) >= limit
    free = spent[0] + timedelta(hours=1) if own else now + TRIED_AGAIN
    text = f"the budget of {limit} messages an hour is spent" if own else "the service's budget of this hour is spent"
    for message in messages:
        for one in message.parts:
            changed[one.watch][one.key] = one.known.model_copy(update={"due_at": free, "held": "budget", "reason": text})
            outcome.reasons.append(Reason(one.item.evidence, one.watch, one.key, text, free))
    noticed = outcome.subscriber.noticed_at
    if not own or (noticed is not None and now - noticed < timedelta(hours=1)):
        return []
    outcome.subscriber = outcome.subscriber.model_copy(update={"noticed_at": now})
    waiting = [one.item for message in messages for one in message.parts]
    words = wording.notice(len(waiting), limit, free, subscription)
    return [
        Notification(
            notification=notification_id(subscription.subscription, waiting, "notice"),
            subscription=subscription.subscription,
            changes=(),
            due_at=now,
            stale_at=free,
            subject=words.subject,
            text=words.text,
            purpose="notice",
            sms=words.sms,
        )
    ]


# -- escalation ----------------------------------------------------------------------------------------------------------


def _asked(subscription: Subscription, message: _Message, made: Notification, now: datetime) -> Escalation | None:
    if made.code is None:
        return None
    urgent = [one for one in message.parts if one.urgent][:ITEMS_SHOWN]
    return Escalation(
        notification=made.notification,
        due_at=now + timedelta(minutes=subscription.escalate_after_min),
        items=tuple(one.item for one in urgent),
        code=made.code,
        thread=message.thread,
        worse_at=tuple(one.known.worse_at or one.known.at for one in urgent),
    )


def _escalate(
    outcome: Outcome,
    changed: Mapping[str, Mapping[str, Known]],
    find: Callable[[str], Subscription | None],
    caring: Caring,
    now: datetime,
) -> tuple[list[Escalation], list[Notification]]:
    """What nobody acknowledged goes to the second contact; what is over by now, or somebody takes care of, goes to nobody."""
    kept, made = [], []
    for one in outcome.subscriber.escalations:
        if one.due_at > now and not one.asleep:
            kept.append(one)
            continue
        first = find(outcome.subscriber.subscription)
        second = find(first.escalate_to) if first is not None and first.escalate_to else None
        cares = {(item.consignment, item.key): care for item, care in cares_of(one, caring, now)}
        open_items = [item for item in one.items if _still_open(changed, item)]
        still = [item for item in open_items if (item.consignment, item.key) not in cares]
        left = [item for item in open_items if item not in still]
        asleep = _asleep(one, left, [cares[item.consignment, item.key] for item in left], now) if left else None
        if left and not still:
            kept += [asleep] if asleep is not None else []
            outcome.reasons += [_left_asleep(item, cares[item.consignment, item.key]) for item in left]
            continue
        text = _no_escalation(second, still, now)
        if text is None and second is not None:
            quiet = _quiet(second, now, urgent=True)
            if quiet is None:
                made.append(_second_notice(one, still, second, now))
                kept += [asleep] if asleep is not None else []
                continue
            kept.append(one.model_copy(update={"due_at": quiet, "asleep": False}))
            text = "quiet hours of the second contact"
        outcome.reasons += [Reason(item.evidence, item.consignment, item.key, text or "") for item in one.items]
    return kept, made


def cares_of(one: Escalation, caring: Caring, now: datetime) -> list[tuple[Item, Care]]:
    """Its items that people take care of, or let wait, and who: what was said since each was as bad as the message says."""
    since = one.worse_at or tuple(item.since or one.due_at for item in one.items)  # none: an older program wrote it
    found = [(item, caring(item.consignment, item.key, at, now)) for item, at in zip(one.items, since, strict=True)]
    return [(item, care) for item, care in found if care is not None]


def _asleep(one: Escalation, left: list[Item], cares: list[Care], now: datetime) -> Escalation | None:
    """Of the items that people take care of, or let wait: to be looked at again when the first may wait no longer. None:
    somebody has taken care for long enough."""
    waits = [care.until for care in cares if care.until is not None]
    due = min(waits) if waits else max(care.at for care in cares) + ASLEEP_AT_MOST
    if due <= now:
        return None
    worse_at = tuple(at for item, at in zip(one.items, one.worse_at, strict=False) if item in left)
    return one.model_copy(update={"due_at": due, "asleep": True, "items": tuple(left), "worse_at": worse_at})


def _left_asleep(item: Item, care: Care) -> Reason:
    return Reason(item.evidence, item.consignment, item.key, asleep_by(care), care.until)


def asleep_by(care: Care) -> str:
    """Why a second contact is not told, in words."""
    return f"not escalated: {care.by} {'takes care of it' if care.until is None else 'lets it wait'}"


def _still_open(changed: Mapping[str, Mapping[str, Known]], item: Item) -> bool:
    known = changed.get(item.consignment, {}).get(item.key)
    return known is not None and known.item.step in _OPEN


def _no_escalation(second: Subscription | None, still: list[Item], now: datetime) -> str | None:
    if not still:
        return "not escalated: it is over"
    if second is None or second.state != "active" or (second.expires_at is not None and now >= second.expires_at):
        return "not escalated: the second contact is not active"
    return None


def _second_notice(one: Escalation, still: list[Item], second: Subscription, now: datetime) -> Notification:
    words = wording.words(still, second, digest=False, away=False, code=one.code, now=now, escalated=True)
    return Notification(
        notification=notification_id(second.subscription, still, "escalation", one.notification),
        subscription=second.subscription,
        changes=tuple(dict.fromkeys(item.evidence for item in still)),
        due_at=now,
        stale_at=now + STALE_CRITICAL,
        subject=words.subject,
        text=words.text,
        severity="critical",
        thread=one.thread,
        items=tuple(still),
        count=len(still),
        sms=words.sms,
        code=one.code,
        escalates=one.notification,
    )


def acknowledge(subscriber: Subscriber, said: Acknowledgement) -> Subscriber:
    """Nobody else need be woken for it."""

    def meant(one: Escalation) -> bool:
        if said.notification is not None:
            return one.notification == said.notification
        return said.code is None or one.code == said.code

    return subscriber.model_copy(update={"escalations": tuple(one for one in subscriber.escalations if not meant(one))})


def mark(watches: Mapping[str, Watch], outbox: Iterable[Notification]) -> dict[str, Watch]:
    """After a crash between the two: what the outbox tells is told, though the watches do not say so yet."""
    told_at = {evidence: made.due_at for made in outbox if made.escalates is None for evidence in made.changes}
    found = dict(watches)
    for name, watch in watches.items():
        known = dict(watch.known)
        for key, one in watch.known.items():
            step, _ = step_between(one.told, one.item)
            if one.item.evidence in told_at and one.due_at is not None and step is not None:
                known[key] = _told(one, step, told_at[one.item.evidence])
        if known != watch.known:
            found[name] = watch.model_copy(update={"known": known})
    return found


def _told(known: Known, step: Step, at: datetime) -> Known:
    """It is told now, and nothing of it is due."""
    item = known.item.model_copy(update={"step": step})
    return known.model_copy(update={"told": item, "told_at": at, "due_at": None, "held": None, "reason": None, "away": False})
