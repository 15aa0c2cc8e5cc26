"""The sender's journal where the client hangs, as librdkafka does after a broker's kill -9 (services/runtime/bounded.py)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

import pytest
from confluent_kafka import Producer

from schemas.alerts_v1 import Delivery
from services.alerts import journal as journal_module
from services.alerts.journal import Journal, JournalLost
from services.runtime.settings import Settings
from tests.waiting import eventually_beside

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


class Counting(Hanging):
    """Its fences return, and are counted."""

    fences = 0

    def send_offsets_to_transaction(self, *_: object) -> None: ...

    def commit_transaction(self, _: float) -> None:
        self.fences += 1


async def test_intents_of_a_moment_share_one_fence_and_a_result_waits_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "GATHER_S", 2.0)
    journal, client = Journal(Settings(kafka="127.0.0.1:1")), Counting()
    journal._fencer = journal._producer = cast(Producer, client)
    journal._thread = threading.Thread(target=journal._run, daemon=True)
    journal._thread.start()
    intents = [asyncio.create_task(journal.write(INTENT, fence=True)) for _ in range(3)]
    await asyncio.sleep(0.01)
    intents += [asyncio.create_task(journal.write(INTENT, fence=True)) for _ in range(3)]
    await asyncio.wait_for(journal.write(INTENT.model_copy(update={"state": "accepted"})), 1.5)
    assert not any(task.done() for task in intents) and client.fences == 0
    assert ['"accepted"' in value.decode() for value in client.appended] == [True]
    await asyncio.wait_for(asyncio.gather(*intents), 10)
    assert client.fences == 1 and len(client.appended) == 7
    last = asyncio.create_task(journal.write(INTENT, fence=True))
    await asyncio.sleep(0)
    await asyncio.to_thread(journal.close)
    await asyncio.wait_for(last, 1)
    assert client.fences == 2, "one that waits when the journal is closed is written and proved"


class Silent(Hanging):
    """Kafka takes nothing, until it does."""

    def __init__(self) -> None:
        super().__init__()
        self.takes = threading.Event()
        self._waiting: list[Callable[[None, None], None]] = []

    def produce(self, topic: str, value: bytes, key: bytes, on_delivery: object, headers: object) -> None:
        self._waiting.append(cast("Callable[[None, None], None]", on_delivery))

    def poll(self, _: float) -> None:
        if self.takes.wait(0.01):
            while self._waiting:
                self._waiting.pop()(None, None)


async def test_a_record_that_kafka_does_not_take_is_waited_for_but_not_in_silence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal_module, "TOLD_AFTER_S", 0.05)
    journal, client = Journal(Settings(kafka="127.0.0.1:1")), Silent()
    journal._fencer = journal._producer = cast(Producer, client)
    journal._thread = threading.Thread(target=journal._run, daemon=True)
    journal._thread.start()
    assert journal.waits() is None
    writing = asyncio.create_task(journal.write(INTENT.model_copy(update={"state": "accepted"})))
    await eventually_beside(lambda: "alerts.journal.waits" in caplog.text)
    assert "has not taken what was written to deliveries.v1" in str(journal.waits()) and not writing.done()
    client.takes.set()
    await asyncio.wait_for(writing, 10)
    assert journal.waits() is None
    await asyncio.to_thread(journal.close)
