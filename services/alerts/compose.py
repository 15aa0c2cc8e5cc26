"""Everything compose remembers of the partitions that it owns, and what a step of it writes, in which order. No Kafka.

A step decides (services/alerts/rules.py), the shell writes `Writes.stages` one after the other, each acknowledged before the
next, and then calls `keep`. A crash between two stages:

1. before the first: nothing happened; the candidate is read again, what is due is due again;
2. the subscriber's record has its outbox, the notifications are not all written: after restore the very same are written again
   (the same ids: the sender sends each once), and the watches are marked by them;
3. notifications written, watches not: as 2;
4. all written, the offset not committed: the candidate is read again and is no newer than what is known: nothing.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from schemas.alert_states_v1 import AlertState, Subscriber, Watch
from schemas.alerts_v1 import Acknowledgement, AlertCandidate, Notification, Subscription
from schemas.topics import ALERT_CANDIDATES
from services.alerts import rules
from services.alerts.rules import Outcome

MOST_AN_HOUR_IN_ALL = 20_000
"""Messages of the service: more than any day's real trouble, less than what ruins a sender's name with its providers."""
MOST_OF_A_PARTITION = MOST_AN_HOUR_IN_ALL // ALERT_CANDIDATES.partitions
"""Each partition has its share, and one owner at a time: so the whole holds over any number of workers, and none asks another.
Subscribers are spread evenly; a partition whose share is spent waits although another's is not."""

_HOUR = timedelta(hours=1)

Find = Callable[[str], Subscription | None]


@dataclass(frozen=True, slots=True)
class Put:
    """A record of alert.states: None removes the key."""

    subscription: str
    key: str
    record: AlertState | None


@dataclass(slots=True)
class Writes:
    """What a step writes: stages in order; inside one, in any."""

    outcome: Outcome
    stages: list[list[Put | Notification]] = field(default_factory=list)
    partition: int = 0
    spent: bool = False
    """The partition's share of this hour is spent: to be told to operators, once an hour."""


class Compose:
    """The states by subscription. `find`: the subscriptions' present view. `most_an_hour`: messages of each partition.
    `caring`: who takes care of what, as it is now."""

    def __init__(self, find: Find, most_an_hour: int = MOST_OF_A_PARTITION, caring: rules.Caring = rules.nobody) -> None:
        self._find, self._caring = find, caring
        self._most = most_an_hour
        self._subscribers: dict[str, Subscriber] = {}
        self._watches: dict[str, dict[str, Watch]] = {}
        self._partition: dict[str, int] = {}
        self._wake: list[tuple[datetime, str]] = []
        self._sent: dict[int, deque[datetime]] = {}
        self._spent_at: dict[int, datetime] = {}
        self._round = self._rounds()

    # -- partitions come and go -----------------------------------------------------------------------------------------

    def restore(self, partition: int, records: Iterable[AlertState]) -> None:
        """Take over a partition, as its last owner left it."""
        for record in records:
            self._partition[record.subscription] = partition
            if isinstance(record, Watch):
                self._watches.setdefault(record.subscription, {})[record.consignment] = record
            else:
                self._subscribers[record.subscription] = record
        names = [name for name, owner in self._partition.items() if owner == partition]
        for name in names:
            self._set_alarm(name)
        self._sent[partition] = deque(sorted(moment for name in names for moment in self.subscriber(name).sent))

    def unfinished(self, partition: int) -> list[Writes]:
        """What the last owner had decided and perhaps not written: to be written first."""
        return [
            self._finish(name, Outcome(subscriber, rules.mark(self.watches(name), subscriber.outbox), subscriber.outbox))
            for name, subscriber in sorted(self._subscribers.items())
            if self._partition[name] == partition and subscriber.outbox
        ]

    def drop(self, partition: int) -> None:
        """Forget a partition that somebody else owns now."""
        self._sent.pop(partition, None)
        self._spent_at.pop(partition, None)
        for name in [name for name, owner in self._partition.items() if owner == partition]:
            del self._partition[name]
            self._subscribers.pop(name, None)
            self._watches.pop(name, None)

    # -- steps ----------------------------------------------------------------------------------------------------------

    def take(self, partition: int, candidate: AlertCandidate, at: datetime) -> Writes:
        """One candidate. `at`: the broker's time of it."""
        name = candidate.subscription
        subscriber = self.subscriber(name)
        subscription = self._find(name)
        if subscription is None:
            reason = rules.Reason(candidate.change_id, candidate.consignment, "", "there is no such subscription any more")
            return Writes(Outcome(subscriber, reasons=[reason]), partition=partition)
        watch = self.watches(name).get(candidate.consignment) or Watch(subscription=name, consignment=candidate.consignment)
        outcome = rules.take(subscriber, watch, subscription, candidate, at)
        return Writes(outcome, [_watches(outcome)] if outcome.watches else [], partition)

    def acknowledge(self, partition: int, said: Acknowledgement) -> Writes:
        """Somebody takes care."""
        subscriber = self.subscriber(said.subscription)
        after = rules.acknowledge(subscriber, said)
        return Writes(Outcome(after), [[_subscriber(after)]] if after != subscriber else [], partition)

    def look_again(self, consignment: str | None, now: datetime) -> None:
        """People did something about a consignment (None: perhaps, about any): who sleeps because of what they did before is
        looked at again, and who is just being put to sleep too."""
        for name, subscriber in self._subscribers.items():
            if any(consignment in (None, item.consignment) for one in subscriber.escalations for item in one.items):
                heapq.heappush(self._wake, (now, name))

    def due(self, now: datetime) -> list[str]:
        """Of whom something may be due."""
        found: dict[str, None] = {}
        while self._wake and self._wake[0][0] <= now:
            _, name = heapq.heappop(self._wake)
            if name in self._partition:
                found[name] = None
        return list(found)

    def next_due(self) -> datetime | None:
        """When somebody's turn is next; None: not before a candidate comes."""
        return self._wake[0][0] if self._wake else None

    def settle(self, name: str, now: datetime) -> Writes:
        """What is told to one subscriber now."""
        subscription = self._find(name)
        if subscription is None:
            return self._forget(name)
        partition = self._partition[name]
        sent = self._sent.setdefault(partition, deque())
        while sent and sent[0] <= now - timedelta(hours=1):
            sent.popleft()
        room = self._most - len(sent)
        outcome = rules.due(self.subscriber(name), self.watches(name), subscription, self._find, now, room, self._caring)
        made = [one for one in outcome.notifications if one.purpose != "notice" and one.escalates is None]
        sent.extend(one.due_at for one in made)  # at once: others are settled while these are written
        writes = self._finish(name, outcome)
        if len(sent) >= self._most and now - self._spent_at.get(partition, now - _HOUR) >= _HOUR:
            self._spent_at[partition] = now
            writes.spent = True
        return writes

    def sweep(self, now: datetime, at_most: int) -> list[Writes]:
        """Looks at the next so many watches, going round: what need not be remembered any more goes, also of consignments of
        which nothing is heard again."""
        found = []
        for watch in islice(self._round, at_most):
            if watch is None:
                break
            kept = rules.remembered(watch.known, now)
            if len(kept) < len(watch.known):
                outcome = Outcome(self.subscriber(watch.subscription))
                outcome.watches[watch.consignment] = watch.model_copy(update={"known": kept})
                found.append(Writes(outcome, [_watches(outcome)], self._partition[watch.subscription]))
        return found

    def _rounds(self) -> Iterator[Watch | None]:
        """Every watch that is here when its turn comes; None after each round."""
        while True:
            for name in list(self._watches):
                for consignment in list(self.watches(name)):
                    if (watch := self.watches(name).get(consignment)) is not None:
                        yield watch
            yield None

    def keep(self, writes: Writes) -> None:
        """All of it is written: now it is so."""
        after = writes.outcome.subscriber
        name = after.subscription
        self._partition.setdefault(name, writes.partition)
        self._subscribers[name] = after.model_copy(update={"outbox": ()})
        watches = self._watches.setdefault(name, {})
        for consignment, watch in writes.outcome.watches.items():
            if watch.known:
                watches[consignment] = watch
            else:
                watches.pop(consignment, None)
        self._set_alarm(name)

    # -- looking --------------------------------------------------------------------------------------------------------

    def subscriber(self, name: str) -> Subscriber:
        """As it is; one who was never told anything has nothing."""
        return self._subscribers.get(name) or Subscriber(subscription=name)

    def watches(self, name: str) -> Mapping[str, Watch]:
        """What this subscriber knows, by consignment."""
        return self._watches.get(name, {})

    def holds(self, name: str) -> bool:
        """Whether anything is remembered of this subscriber here."""
        return name in self._partition

    def __len__(self) -> int:
        return sum(len(watches) for watches in self._watches.values())

    def _set_alarm(self, name: str) -> None:
        at = rules.next_due(self.subscriber(name), self.watches(name).values())
        if at is not None:
            heapq.heappush(self._wake, (at, name))

    def _finish(self, name: str, outcome: Outcome) -> Writes:
        writes = Writes(outcome, partition=self._partition[name])
        before = self.subscriber(name)
        after = outcome.subscriber.model_copy(update={"outbox": ()})
        if outcome.notifications:
            writes.stages.append([_subscriber(after.model_copy(update={"outbox": outcome.notifications}))])
            writes.stages.append(list(outcome.notifications))
        if outcome.watches:
            writes.stages.append(_watches(outcome))
        if outcome.notifications or after != before:
            writes.stages.append([_subscriber(after)])
        return writes

    def _forget(self, name: str) -> Writes:
        """The subscription is gone for good: so is what was known of it."""
        empty = {consignment: watch.model_copy(update={"known": {}}) for consignment, watch in self.watches(name).items()}
        outcome = Outcome(Subscriber(subscription=name), empty)
        return Writes(outcome, [[*_watches(outcome), Put(name, name, None)]], self._partition[name])


def _subscriber(record: Subscriber) -> Put:
    return Put(record.subscription, record.subscription, record)


def _watches(outcome: Outcome) -> list[Put | Notification]:
    return [
        Put(watch.subscription, f"{watch.subscription}/{consignment}", watch if watch.known else None)
        for consignment, watch in outcome.watches.items()
    ]
