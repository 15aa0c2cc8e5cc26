"""A worker around `services.alerts.matching.Match`, as the one on Faust is to be: at least once, without transactions.

What it does, in this order, and dies between any two: committed offsets, the ends of its partitions, its table out of the
changelog; then, a record at a time, the candidates that it gives, acknowledged, and after them the table's changes; now and
then, when all of that is acknowledged, the offsets. A table written first would forget a waiting exception whose candidate was
never written. It runs alone: its changelog has no fence (docs/simulation.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol

from confluent_kafka import TopicPartition
from pydantic import TypeAdapter

from schemas.alerts_v1 import AlertCandidate, Subscription
from schemas.journey_change_v1 import CHANGE, Change
from schemas.topics import ALERT_CANDIDATES, JOURNEY_CHANGES
from services.alerts.matching import Book, Key, Match, Step, Told
from tests.simulation.broker import Broker, Message, ModelClients

GROUP = "alerts"
WAITING_TABLE = "alerts-waiting-changelog"
_TOLD = TypeAdapter(Told)


def subscription(letter: str, state: str = "active", **filters: Any) -> Subscription:
    return Subscription.model_validate(
        {
            "subscription": letter * 16,
            "channel": "email",
            "address": f"{letter}@hospital.example",
            "address_hash": "ab" * 32,
            "state": state,
            "filters": filters,
            "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
    )


Wants = Callable[[Any], bool]
"""Whether a change (schemas.journey_change_v1, or the tracker's own record of it) is for a subscriber, in other words."""

DELAYS = ("late", "will_be_late", "overdue")


def _kind(change: Any) -> str | None:
    return change.exception.kind if change.change.startswith("exception_") else None


def _delayed(change: Any) -> bool:
    return _kind(change) in DELAYS and (change.carrier == "MAEU" or change.consignment == "feed:MAEU")


def _major(change: Any) -> bool:
    return _kind(change) is None or change.exception.severity != "minor" or change.change != "exception_opened"


SUBSCRIPTIONS: Mapping[str, tuple[Subscription, Wants]] = {
    one.subscription: (one, wants)
    for one, wants in (
        (subscription("a"), lambda change: True),
        (subscription("b", carriers=["MAEU"], exceptions=DELAYS), _delayed),
        (subscription("c", consignments=["LACDHS-A"]), lambda change: change.consignment == "LACDHS-A"),
        (subscription("d", minimum_severity="major"), _major),
        (subscription("e", milestones=["arrived"]), lambda change: getattr(change, "milestone", None) == "arrived"),
        (subscription("f", state="paused"), lambda change: False),
    )
}


class Watch(Protocol):
    """What a worker tells as it happens (alert_oracles.py)."""

    def sent(self, worker: Worker, candidate: AlertCandidate, now: datetime) -> None: ...
    def caught_up(self, worker: Worker) -> None: ...


class Worker:
    """One life."""

    def __init__(self, broker: Broker, clients: ModelClients, book: Book, now: Callable[[], datetime], watch: Watch) -> None:
        self._broker, self._clients, self._book, self._now, self._watch = broker, clients, book, now, watch
        self._told_caught_up = False
        self.ends: dict[int, int] = {}
        self.positions: dict[int, int] = {}
        self.taken: dict[tuple[int, int], datetime] = {}
        """(partition, offset) of a record -> the time when it was taken."""

    @property
    def caught_up(self) -> bool:
        """Whether it has read all that was there at its start."""
        return all(self.positions[partition] >= end for partition, end in self.ends.items())

    def run(self, most: Callable[[], int], commits: Callable[[], bool]) -> None:
        """`most`: how many records to ask for; `commits`: whether to commit now, or after more."""
        consumer = self._clients.consumer({"group.id": GROUP, "enable.partition.eof": True})
        partitions = [TopicPartition(JOURNEY_CHANGES.name, n) for n in range(JOURNEY_CHANGES.partitions)]
        parts = [TopicPartition(part.topic, part.partition, max(part.offset, 0)) for part in consumer.committed(partitions, 1)]
        self.positions = {part.partition: part.offset for part in parts}
        self.ends = {part.partition: consumer.get_watermark_offsets(part)[1] for part in parts}
        self._clients.pause("restore the table")
        self.match = Match(self._book, self.ends, restored(self._broker))
        consumer.assign(parts)
        self._write(self.match.reach(self.positions, self._now()))
        uncommitted: dict[int, int] = {}
        while True:
            messages: list[Message] = consumer.consume(most(), 1.0)
            for message in messages:
                self._write(self._take(message))
                if message.error() is None:
                    uncommitted[message.partition()] = message.offset() + 1
            if uncommitted and (not messages or commits()):
                consumer.commit([TopicPartition(JOURNEY_CHANGES.name, *at) for at in uncommitted.items()], asynchronous=False)
                uncommitted = {}

    def _take(self, message: Message) -> Step:
        partition, offset, now = message.partition(), message.offset(), self._now()
        if message.error() is not None:  # the end: what is before it and is no record (a transaction's marker) is passed
            self.positions[partition] = offset
            return self.match.reach({partition: offset}, now)
        self.positions[partition] = offset + 1
        self.taken[partition, offset] = now
        return self.match.take(told(partition, offset, message.timestamp()[1], message.value()), now)

    def _write(self, step: Step) -> None:
        for candidate in step.candidates:
            self._clients.pause("candidate")
            self._broker.append(ALERT_CANDIDATES.name, candidate.subscription.encode(), b"", None)  # the oracles are handed it
            self._watch.sent(self, candidate, self._now())
        for waiting, kept in step.waiting.items():
            self._clients.pause("table")
            self._broker.append(WAITING_TABLE, _packed(waiting), None if kept is None else _TOLD.dump_json(kept), None)
        if step.candidates or step.waiting:
            self._clients.pause("acknowledged")
        if self.caught_up and not self._told_caught_up:
            self._told_caught_up = True
            self._watch.caught_up(self)


def told(partition: int, offset: int, timestamp_ms: int, value: bytes | None) -> Told:
    return Told(_change(value or b""), partition, offset, moment(timestamp_ms))


@lru_cache(1_000)  # each is read by several lives of the worker, and once more at the end
def _change(value: bytes) -> Change:
    return CHANGE.validate_json(value)


def moment(timestamp_ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=timestamp_ms)


def restored(broker: Broker) -> dict[Key, Told]:
    """The table as the changelog has it."""
    newest = {entry.key: entry.value for _, entry in broker.committed(WAITING_TABLE)}
    return {_unpacked(key): _TOLD.validate_json(value) for key, value in newest.items() if key and value is not None}


def _packed(key: Key) -> bytes:
    return "\0".join(key).encode()


def _unpacked(key: bytes) -> Key:
    consignment, _, exception = key.decode().partition("\0")
    return consignment, exception
