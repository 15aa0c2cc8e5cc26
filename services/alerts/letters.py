"""A record on one of the alerts' inputs that nobody can read: kept aside as a dead letter, so that the next one flows.

Addresses stand in `subscriptions.v1` alone, and an unreadable record of it is not copied (services/runtime/register.py tells it
in the log); nothing that becomes a letter here holds one.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from pydantic import ValidationError

from schemas.dead_letter_v1 import DeadLetter
from schemas.topics import DEAD_LETTERS
from services.runtime import logs, metrics, wire

PAYLOAD_MOST_BYTES = 64 * 1024
_WRITTEN_WITHIN_S = 30.0

log = logs.get("alerts.letters")


def letter(
    topic: str, partition: int, offset: int, at: datetime, key: bytes | None, value: bytes | None, error: ValidationError
) -> DeadLetter:
    """What is kept of it: the same letter, by its id, whenever the record is read again. Pure, but for log and metric."""
    where = f"{topic}/{partition}/{offset}"
    wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)][:5]
    log.error("alerts.unreadable", where=where, wrong=wrong)
    metrics.counter("lovla_alerts_unreadable_total", topic=topic).inc()
    metrics.counter("lovla_dead_letters_total", stage="alerts", reason="undecodable").inc()
    content = value or b""
    return DeadLetter(
        letter_id=hashlib.sha256(f"alerts/{where}".encode()).hexdigest()[:32],
        stage="alerts",
        sender=(key or b"").decode(errors="replace")[:128].strip() or "-",
        reason="undecodable",
        where=where,
        text="; ".join(wrong)[:500] or "it is no record of this topic",
        topic=topic,
        partition=partition,
        offset=offset,
        received_at=at.astimezone(UTC),
        payload=base64.b64encode(content[:PAYLOAD_MOST_BYTES]).decode("ascii"),
        payload_cut=len(content) > PAYLOAD_MOST_BYTES,
    )


def headers(kept: DeadLetter, source: str) -> list[tuple[str, bytes]]:
    """What goes with it."""
    return [*wire.headers(DeadLetter, id=kept.letter_id, source=source, time=kept.received_at)]


def write(producer: Producer, kept: DeadLetter, source: str) -> None:
    """Returns when Kafka has it. Raises KafkaException, TimeoutError."""
    wrong: list[KafkaError] = []

    def told(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            wrong.append(error)

    producer.produce(
        DEAD_LETTERS.name, wire.dump(kept), kept.sender.encode(), on_delivery=told, headers=[*headers(kept, source)]
    )
    if producer.flush(_WRITTEN_WITHIN_S):
        raise TimeoutError(f"Kafka did not take a dead letter within {_WRITTEN_WITHIN_S:.0f} s")
    if wrong:
        raise KafkaException(wrong[0])
