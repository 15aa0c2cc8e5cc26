"""History run through the very rules of the worker: what would have been sent, when, and what was held back and why. Pure.

Time is that of the records: a change is given to match when the broker took it, what is due is looked at when it is due.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from schemas.alerts_v1 import AlertCandidate, Notification, Subscription
from schemas.journey_change_v1 import ExceptionChanged, HandedOver, MilestoneReached
from services.alerts.compose import Compose, Writes
from services.alerts.matching import Told, why_not
from services.alerts.rules import GROUPED, Outcome, Reason

TAIL = timedelta(hours=49)
"""How long after the last change what waits is still followed: longer than anything is held."""

BUDGET_OF = timedelta(hours=1)
"""How far back messages count against a subscriber's budget."""

WEIGHED_AFTER = timedelta(minutes=1)
"""So long after the broker took a change the worker may weigh it: what it had told others by then counts."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one change, for one subscriber. `notification`: the message that told it."""

    at: datetime
    told: Told
    text: str
    until: datetime | None = None
    notification: str | None = None


@dataclass(frozen=True, slots=True)
class Spoken:
    """A message that went to a subscriber about other consignments: when, and of which causes (rules.cause_of) it opened a
    window."""

    at: datetime
    causes: frozenset[str]


@dataclass(slots=True)
class Run:
    """What would have been sent, and what became of each change, both in the order of time."""

    sent: list[Notification] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def noise(self) -> Mapping[str, float]:
        """Figures of how much a subscriber would have been bothered."""
        days = (self.sent[-1].due_at - self.sent[0].due_at) / timedelta(days=1) if len(self.sent) > 1 else 0.0
        by_hour: dict[datetime, int] = {}
        for one in self.sent:
            hour = one.due_at.replace(minute=0, second=0, microsecond=0)
            by_hour[hour] = by_hour.get(hour, 0) + 1
        told = {change for one in self.sent for change in one.changes}
        return {
            "changes": len(self.verdicts),
            "told": len(told),
            "messages": len(self.sent),
            "messages_a_day": round(len(self.sent) / days, 1) if days >= 1 else len(self.sent),
            "most_in_an_hour": max(by_hour.values(), default=0),
        }


def live(told: Told) -> Told:
    """As if it had been news when it happened: to try rules on a history that was loaded."""
    change = told.change
    return replace(told, change=change.model_copy(update={"cause": "live"}), appended_at=change.at or told.appended_at)


def run(
    history: Iterable[Told],
    subscription: Subscription,
    others: Mapping[str, Subscription],
    until: datetime | None = None,
    spoken: Iterable[Spoken] = (),
) -> Run:
    """One subscriber's history. `others`: subscriptions by id, for escalations. `history` in the order of its times. `until`:
    what is not due by then waits; else all that waits is followed to its end. `spoken`: what they were told of consignments
    that `history` leaves out, in the order of time."""
    known = {**others, subscription.subscription: subscription}
    compose, found, last = Compose(known.get), Run(), None
    pending: dict[str, list[int]] = {}
    left = deque(spoken)
    for told in history:
        while left and left[0].at <= told.appended_at + WEIGHED_AFTER:
            _pass_time(compose, found, pending, min(left[0].at, told.appended_at))
            _open(compose, subscription, left.popleft())
        _pass_time(compose, found, pending, told.appended_at)
        last = told.appended_at
        change = told.change
        if not isinstance(change, MilestoneReached | HandedOver | ExceptionChanged):
            continue
        text = f"not news: its cause is {change.cause}" if change.cause != "live" else why_not(subscription, change, last)
        follows = isinstance(change, ExceptionChanged) and change.change != "exception_opened"
        if text is not None and not (change.cause == "live" and follows and text.startswith("minimum_severity")):
            found.verdicts.append(Verdict(last, told, text))
            continue
        candidate = AlertCandidate(
            subscription=subscription.subscription,
            change_id=change.change_id,
            consignment=change.consignment,
            at=change.at,
            change=change,
        )
        writes = compose.take(0, candidate, last)
        compose.keep(writes)
        unknown = Reason(change.change_id, change.consignment, "", "no newer than what is known")
        reason = next(iter(writes.outcome.reasons), unknown)
        pending.setdefault(change.change_id, []).append(len(found.verdicts))
        found.verdicts.append(Verdict(last, told, reason.text, reason.until))
    if last is not None:
        end = until or last + TAIL
        for one in left:
            _pass_time(compose, found, pending, min(one.at, end))
            _open(compose, subscription, one)
        _pass_time(compose, found, pending, end)
    return found


def _open(compose: Compose, subscription: Subscription, one: Spoken) -> None:
    """What rules.due would have kept of that message."""
    before = compose.subscriber(subscription.subscription)
    groups = {**before.groups, **dict.fromkeys(one.causes, one.at + GROUPED)}
    compose.keep(Writes(Outcome(before.model_copy(update={"groups": groups, "sent": (*before.sent, one.at)}))))


def _pass_time(compose: Compose, found: Run, pending: Mapping[str, list[int]], until: datetime) -> None:
    """All that is due before `until`, each at its own time."""
    while (due := compose.next_due()) is not None and due <= until:
        for name in compose.due(due):
            writes = compose.settle(name, due)
            compose.keep(writes)
            _note(writes, found, pending)


def _note(writes: Writes, found: Run, pending: Mapping[str, list[int]]) -> None:
    for reason in writes.outcome.reasons:
        for n in pending.get(reason.evidence, ()):
            found.verdicts[n] = replace(found.verdicts[n], text=reason.text, until=reason.until)
    for made in writes.outcome.notifications:
        found.sent.append(made)
        for change in made.changes if made.escalates is None else ():
            for n in pending.get(change, ()):
                found.verdicts[n] = replace(found.verdicts[n], text="told", until=None, notification=made.notification)
