"""The sender's journal where the client hangs, as librdkafka does after a broker's kill -9 (services/runtime/bounded.py)."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import cast

import pytest
from confluent_kafka import Producer

from schemas.alerts_v1 import Delivery
from services.alerts.journal import Journal, JournalLost
from services.runtime.settings import Settings

INTENT = Delivery(
    notification="ab" * 16,
    subscription="s" * 16,
    attempt=1,
    state="intent",
    address_hash="ab" * 32,
    at=datetime(2020, 4, 12, tzinfo=UTC),
)


class Hanging:
    """A producer whose fence never returns; what is appended is acknowledged."""

    def __init__(self) -> None:
        self.appended: list[bytes] = []

    def begin_transaction(self) -> None: ...

    def send_offsets_to_transaction(self, *_: object) -> None:
        threading.Event().wait()

    def produce(self, topic: str, value: bytes, key: bytes, on_delivery: object, headers: object) -> None:
        self.appended.append(value)
        on_delivery(None, None)  # type: ignore[operator]  # the client's own signature

    def poll(self, _: float) -> None: ...


async def test_a_fence_that_hangs_is_given_up_and_results_are_still_written() -> None:
    journal, client = Journal(Settings(kafka="127.0.0.1:1"), bound_s=0.2), Hanging()
    journal._fencer = journal._producer = cast(Producer, client)
    thread = journal._thread = threading.Thread(target=journal._run, daemon=True)
    thread.start()
    with pytest.raises(JournalLost, match=r"no return within 0.2 s"):
        await asyncio.wait_for(journal.write(INTENT, fence=True), 10)
    with pytest.raises(JournalLost):
        await journal.write(INTENT, fence=True)
    await asyncio.wait_for(journal.write(INTENT.model_copy(update={"state": "accepted"})), 10)
    assert len(client.appended) == 2
    await asyncio.to_thread(journal.close)
    assert not thread.is_alive()
    with pytest.raises(JournalLost):
        await journal.write(INTENT)
