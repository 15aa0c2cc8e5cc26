"""What operators tell the sender, over `alerts.control.v1`: the kill switch, and another attempt at what is dead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from confluent_kafka import TopicPartition
from pydantic import ValidationError

from schemas.alerts_v1 import AlertsControl, Delivery
from schemas.topics import ALERTS_CONTROL, DELIVERIES, NOTIFICATIONS
from services.alerts.attempts import Ledger
from services.alerts.journal import GROUP
from services.runtime import kafka
from services.runtime.messages_held import SWITCH
from services.runtime.register import RegisterView, write
from services.runtime.restore import read_range
from services.runtime.settings import Settings
from services.runtime.sources import Record


def retry_key(notification: str) -> str:
    """Where the word about one notification stands."""
    return f"retry:{notification}"


def tell(settings: Settings, record: AlertsControl) -> None:
    """Write a word; it is in Kafka when this returns. Raises KafkaException, TopicMissing, TimeoutError."""
    key = retry_key(record.notification) if record.act == "retry" and record.notification else SWITCH
    producer = kafka.producer(settings, "lovla-alerts-control")
    write(producer, ALERTS_CONTROL.name, key, record)


def switch(settings: Settings) -> AlertsControl | None:
    """Who last moved the kill switch, and how. Raises KafkaException, TopicMissing, TimeoutError."""
    view = RegisterView(settings, ALERTS_CONTROL.name, AlertsControl)
    view.start()
    view.close()
    return view.get(SWITCH)


@dataclass(frozen=True)
class Standings:
    """How the notifications of the last days stand: the last record of each, by notification, and what nobody took yet."""

    last: dict[str, Delivery]
    unread: int

    def by_state(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for record in self.last.values():
            counts[record.state] = counts.get(record.state, 0) + 1
        return dict(sorted(counts.items()))


def standings(settings: Settings, since: datetime) -> Standings:
    """Raises KafkaException, TopicMissing, TimeoutError."""
    ledger, last = Ledger(), dict[str, Delivery]()

    def take(record: Record) -> None:
        try:
            said = Delivery.model_validate_json(record.value or b"", extra="ignore")
        except ValidationError:
            return  # the sender's log tells of it
        ledger.take(said)
        known = ledger.get(said.notification)
        if known is not None and known.state == said.state:
            last[said.notification] = said

    read_deliveries(settings, since, take)
    asker = kafka.consumer(settings, "lovla-alerts-status", "lovla-alerts-status")
    try:
        places = [(NOTIFICATIONS.name, p) for p in kafka.partitions(asker, NOTIFICATIONS.name)]
    finally:
        asker.close()
    stands = kafka.committed(settings.kafka, GROUP, places)
    unread = sum(kafka.end_offset(settings, *place) - stands.get(place, 0) for place in places)
    return Standings(last, unread)


def read_deliveries(settings: Settings, since: datetime, take: Callable[[Record], None]) -> dict[int, int]:
    """All records of deliveries from a time on, each partition's in its order, to the end of this moment: partition -> that
    end."""
    asker = kafka.consumer(settings, "lovla-alerts-ledger", "lovla-alerts-ledger")
    since_ms = int(since.timestamp() * 1000)
    try:
        partitions = kafka.partitions(asker, DELIVERIES.name)
        found = asker.offsets_for_times([TopicPartition(DELIVERIES.name, p, since_ms) for p in partitions], timeout=10)
    finally:
        asker.close()
    ends = {}
    for part in found:
        end = ends[part.partition] = kafka.end_offset(settings, DELIVERIES.name, part.partition)
        if part.offset >= 0:  # else nothing is that young
            read_range(settings, DELIVERIES.name, part.partition, part.offset, end, take)
    return ends
