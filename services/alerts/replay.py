"""What a webhook's receiver missed, asked for from a cursor: its messages as they were due, in the topic's order.

The topic of notifications is the memory: it is kept for ever, and all of one subscription lie in one partition. Each message
comes as it was or would have been posted: the same id, the same bytes, and a signature of now, so that the receiver's own check
takes it. Requests to confirm are never among them: their link is for whoever runs the webhook, not for whoever holds the key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from confluent_kafka import Consumer, TopicPartition
from pydantic import ValidationError

from schemas.alerts_v1 import Notification, Subscription
from schemas.topics import NOTIFICATIONS
from services.alerts import webhook
from services.runtime import kafka
from services.runtime.restore import read_range
from services.runtime.settings import Settings
from services.runtime.sources import Record

SCANNED_MOST = 20_000
"""Records looked through for one answer, whoever they are for; `next` goes on behind them."""
_M, _WORD = 0x5BD1E995, 0xFFFFFFFF
_CURSOR = re.compile(r"n1-(\d{1,18})")


class BadCursor(ValueError):
    """It is none of ours; the text says what one is."""


@dataclass(frozen=True, slots=True)
class Message:
    """As it is posted: `body` is the very text that is signed."""

    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class Page:
    """What was found, and where to go on. `more`: whether there is more to look through now."""

    messages: tuple[Message, ...]
    next: str
    more: bool


def missed(
    settings: Settings,
    subscription: Subscription,
    secret: str,
    now: datetime,
    *,
    after: str | None = None,
    since: datetime | None = None,
    limit: int = 100,
) -> Page:
    """The messages of a webhook behind a cursor (`next` of the page before), or due since a time; neither: from the beginning.
    Blocks. Raises BadCursor, KafkaException, TopicMissing, TimeoutError."""
    partition = partition_of(subscription.subscription)
    end = kafka.end_offset(settings, NOTIFICATIONS.name, partition)
    if after is not None:
        start = min(offset_of(after), end)
    else:
        start = _since(settings, partition, since or subscription.created_at, end)
    until = min(end, start + SCANNED_MOST)
    found: list[tuple[int, Notification]] = []

    def take(record: Record) -> None:
        if record.key == subscription.subscription.encode() and len(found) <= limit:
            one = _readable(record)
            if one is not None and one.purpose != "confirm" and (since is None or one.due_at >= since):
                found.append((record.offset, one))

    read_range(settings, NOTIFICATIONS.name, partition, start, until, take)
    over = len(found) > limit
    reached = found[limit][0] if over else until
    messages = []
    for _, one in found[:limit]:
        content = webhook.body(one)
        messages.append(Message(webhook.headers(secret, one, content, now), content.decode()))
    return Page(tuple(messages), f"n1-{reached}", over or until < end)


def partition_of(subscription: str) -> int:
    """Where all that is due to a subscription lies: as every producer of ours, and Java's, chooses by a key."""
    return (murmur2(subscription.encode()) & 0x7FFFFFFF) % NOTIFICATIONS.partitions


def murmur2(key: bytes) -> int:
    """MurmurHash2 (32 bits) with the seed that Kafka's clients share."""

    def mixed(word: int) -> int:
        word = word * _M & _WORD
        return (word ^ word >> 24) * _M & _WORD

    found = 0x9747B28C ^ len(key)
    whole = len(key) & ~3
    for begin in range(0, whole, 4):
        found = found * _M & _WORD ^ mixed(int.from_bytes(key[begin : begin + 4], "little"))
    if whole < len(key):
        found = (found ^ int.from_bytes(key[whole:], "little")) * _M & _WORD
    found = (found ^ found >> 13) * _M & _WORD
    return found ^ found >> 15


def offset_of(cursor: str) -> int:
    """Raises BadCursor."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise BadCursor("A cursor is what an earlier answer gave as `next`.")
    return int(found[1])


def _since(settings: Settings, partition: int, since: datetime, end: int) -> int:
    asker: Consumer = kafka.consumer(settings, "lovla-alerts-replay", "lovla-alerts-replay")
    try:
        kafka.partitions(asker, NOTIFICATIONS.name)
        place = TopicPartition(NOTIFICATIONS.name, partition, int(since.timestamp() * 1000))
        (found,) = asker.offsets_for_times([place], timeout=10)
    finally:
        asker.close()
    return found.offset if found.offset >= 0 else end


def _readable(record: Record) -> Notification | None:
    try:
        return Notification.model_validate_json(record.value or b"", extra="ignore")
    except ValidationError:
        return None  # the sender has put it aside as a dead letter
