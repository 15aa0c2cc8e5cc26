"""Which subscribers a change concerns, and whether it is still news. Pure: no Kafka, no clock.

Match alone judges age (docs/decisions/0010): a change is news if the tracker found it live and it was appended within six
hours. An older live exception waits until all that was there at the worker's start is read; what is open then is told as
"while we were away". So a replay, a refold or a rebuild sends nothing, and an outage of ours hides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas.alerts_v1 import AlertCandidate, Sight, Subscription
from schemas.journey_change_v1 import Change, ExceptionChanged, HandedOver, MilestoneReached
from schemas.words import SEVERITIES, Severity

NEWS_FOR = timedelta(hours=6)
_OPENING = ("exception_opened", "exception_changed")
_SELECTIVE = ("consignments", "references", "facilities", "terminals", "carriers", "categories")
"""Filters by which the book is indexed, the most selective first."""

_RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}

Alertable = MilestoneReached | HandedOver | ExceptionChanged
Wanted = tuple[tuple[str, tuple[str, ...]], ...]
"""Filter and values."""


@dataclass(frozen=True, slots=True)
class Told:
    """A record of journey.changes: what it says, where it stands, and when the broker took it."""

    change: Change
    partition: int
    offset: int
    appended_at: datetime


def why_not(subscription: Subscription, change: Alertable, now: datetime) -> str | None:
    """Why this subscriber is not concerned, in words; None if it is."""
    return _elsewhere(subscription, _wanted(subscription), change, now, _offered(change)) or _too_mild(subscription, change)


def _too_mild(subscription: Subscription, change: Alertable) -> str | None:
    least = subscription.filters.minimum_severity
    if least != "minor" and isinstance(change, ExceptionChanged) and _RANK[change.exception.severity] < _RANK[least]:
        return f"minimum_severity: it wants {least} or worse"
    return None


def _elsewhere(
    subscription: Subscription, wanted: Wanted, change: Alertable, now: datetime, offered: Mapping[str, frozenset[str]]
) -> str | None:
    if subscription.state != "active":
        return f"the subscription is {subscription.state}"
    if subscription.expires_at is not None and now >= subscription.expires_at:
        return f"the subscription expired at {subscription.expires_at:%Y-%m-%d %H:%M} UTC"
    if subscription.sight is not None and not in_sight(subscription.sight, change):
        return f"it was made with a key of {subscription.sight.sender}, which has no part in this"
    filters = subscription.filters
    for name, values in wanted:
        if offered[name].isdisjoint(values):
            return f"{name}: it wants {', '.join(values)}"
    if filters.tiers and change.tier not in filters.tiers:
        return f"tiers: it wants {', '.join(map(str, filters.tiers))}"
    if isinstance(change, ExceptionChanged):
        if (filters.exceptions or filters.milestones) and change.exception.kind not in filters.exceptions:
            return f"exceptions: it does not want {change.exception.kind}"
    elif (filters.exceptions or filters.milestones) and change.milestone not in filters.milestones:
        return f"milestones: it does not want {change.milestone}"
    return None


def in_sight(sight: Sight, change: Alertable) -> bool:
    """Whether the sender has a part in what changed: it buys, carries or trucks it (declared or appointed), or it goes to or
    through one of its facilities."""
    own_feed = change.consignment == f"feed:{sight.sender}"
    return (
        own_feed
        or sight.sender in (change.buyer, change.carrier, *change.truckers)
        or bool({change.facility, change.terminal} & {*sight.facilities})
    )


def _wanted(subscription: Subscription) -> Wanted:
    """The selective filters that are set; made once a subscription, since each change asks for them."""
    filters = ((name, getattr(subscription.filters, name)) for name in _SELECTIVE)
    return tuple((name, values) for name, values in filters if values)


def _offered(change: Alertable) -> Mapping[str, frozenset[str]]:
    """What a change offers to each filter. A feed's change offers its sender as the carrier."""
    sender = change.consignment.removeprefix("feed:") if change.consignment.startswith("feed:") else None
    return {
        "consignments": frozenset((change.consignment,)),
        "references": frozenset(change.references),
        "facilities": _said(change.facility),
        "terminals": _said(change.terminal),
        "carriers": _said(change.carrier, sender),
        "categories": frozenset(change.categories),
    }


def _said(*values: str | None) -> frozenset[str]:
    return frozenset(value for value in values if value)


class Book:
    """All subscriptions, each found by the most selective of its filters and by the mildest that it wants to hear of, so that a
    change looks at few of them."""

    def __init__(self, subscriptions: Iterable[Subscription] = ()) -> None:
        self._kept: dict[str, _Kept] = {}
        self._index: dict[tuple[str, str, Severity], set[str]] = {}
        for subscription in subscriptions:
            self.put(subscription)

    def put(self, subscription: Subscription) -> None:
        """Takes a new or changed subscription in."""
        self.remove(subscription.subscription)
        kept = self._kept[subscription.subscription] = _keep(subscription)
        for key in kept.index:
            self._index.setdefault(key, set()).add(subscription.subscription)

    def remove(self, name: str) -> None:
        old = self._kept.pop(name, None)
        for key in old.index if old else ():
            names = self._index[key]
            names.discard(name)
            if not names:
                del self._index[key]

    def concerned(self, change: Alertable, now: datetime) -> Iterator[Subscription]:
        """Who is concerned, by the subscription's id. Of what became of an exception also who wants only worse ones: they may
        have been told when it was worse, which compose knows (services/alerts/rules.py)."""
        floors: Sequence[Severity] = SEVERITIES
        if isinstance(change, ExceptionChanged) and change.change == "exception_opened":
            floors = SEVERITIES[: _RANK[change.exception.severity] + 1]
        offered = _offered(change)
        places = [("", ""), *((name, value) for name in _SELECTIVE for value in offered[name])]
        keys = ((*place, floor) for place in places for floor in floors)
        for name in sorted({name for key in keys for name in self._index.get(key, ())}):
            kept = self._kept[name]
            if kept.found_is_concerned or _elsewhere(kept.subscription, kept.others, change, now, offered) is None:
                yield kept.subscription


@dataclass(frozen=True, slots=True)
class _Kept:
    """A subscription of the book. `others`: its selective filters but the one by which it is found, which holds then;
    `found_is_concerned`: nothing else is to be asked."""

    subscription: Subscription
    index: tuple[tuple[str, str, Severity], ...]
    others: Wanted
    found_is_concerned: bool


def _keep(subscription: Subscription) -> _Kept:
    filters, wanted = subscription.filters, _wanted(subscription)
    floor = filters.minimum_severity
    index = tuple((name, value, floor) for name, values in wanted[:1] for value in values) or (("", "", floor),)
    asked = (
        wanted[1:] or filters.tiers or filters.exceptions or filters.milestones or subscription.expires_at or subscription.sight
    )
    return _Kept(subscription, index if subscription.state == "active" else (), wanted[1:], not asked)


Key = tuple[str, str]
"""(consignment, key of the exception)."""


@dataclass
class Step:
    """What a record gives. The shell writes the candidates, and once they are acknowledged the table, and then commits the
    record's offset (a table written first would forget what nobody was told); done again, it gives the same."""

    candidates: list[AlertCandidate] = field(default_factory=list)
    waiting: dict[Key, Told | None] = field(default_factory=dict)
    """Changes of the table of waiting exceptions: None removes."""


class Match:
    """One worker's match. `waiting` is its table, restored by the shell before the first record."""

    def __init__(self, book: Book, ends: Mapping[int, int], waiting: Mapping[Key, Told] | None = None) -> None:
        """`ends`: partition -> the offset that came next when the worker started, of all partitions it owns."""
        self._book = book
        self._unread = {partition: end for partition, end in ends.items() if end > 0}
        self.waiting: dict[Key, Told] = dict(waiting or {})

    @property
    def caught_up(self) -> bool:
        """Whether all that was there at the start is read."""
        return not self._unread

    def reach(self, positions: Mapping[int, int], now: datetime) -> Step:
        """Partition -> what is read next. Called where reading starts, and at each end of a partition: a log that
        transactions write ends with a marker, which is before the end that the worker saw, and is no record."""
        for partition, position in positions.items():
            self._read_up_to(partition, position)
        step = Step()
        self._tell_waiting(step, now)
        return self._keep(step)

    def take(self, told: Told, now: datetime) -> Step:
        """One record. `now`: the worker's time, which only says how old the record is."""
        step = Step()
        change = told.change
        if isinstance(change, MilestoneReached | HandedOver | ExceptionChanged):
            self._judge(step, told, change, now)
        self._read_up_to(told.partition, told.offset + 1)
        self._tell_waiting(step, now)
        return self._keep(step)

    def _judge(self, step: Step, told: Told, change: Alertable, now: datetime) -> None:
        news = change.cause == "live" and now - told.appended_at <= NEWS_FOR
        if isinstance(change, ExceptionChanged):
            key = (change.consignment, change.exception.key)
            opening = change.change in _OPENING and change.exception.status == "open"  # an ended one may change too
            if opening and change.cause == "live" and not news:
                step.waiting[key] = told
                return
            if key in self.waiting and (news or not opening):
                step.waiting[key] = None  # told now, or over
        if news:
            step.candidates += self._candidates(change, now)

    def _tell_waiting(self, step: Step, now: datetime) -> None:
        if not self.caught_up:
            return
        table = {**self.waiting, **step.waiting}
        for key, told in sorted(table.items()):
            if told is not None:
                assert isinstance(told.change, ExceptionChanged)
                step.candidates += self._candidates(told.change, now, away=True)
                step.waiting[key] = None

    def _candidates(self, change: Alertable, now: datetime, away: bool = False) -> list[AlertCandidate]:
        return [
            AlertCandidate(
                subscription=subscription.subscription,
                change_id=change.change_id,
                consignment=change.consignment,
                at=change.at,
                away=away,
                change=change,
            )
            for subscription in self._book.concerned(change, now)
        ]

    def _read_up_to(self, partition: int, position: int) -> None:
        if position >= self._unread.get(partition, position + 1):
            del self._unread[partition]

    def _keep(self, step: Step) -> Step:
        for key, told in step.waiting.items():
            if told is None:
                self.waiting.pop(key, None)
            else:
                self.waiting[key] = told
        return step
