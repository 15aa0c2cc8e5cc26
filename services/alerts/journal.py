"""Deliveries written down: acknowledged by Kafka, and for an intent only while we are the one sender.

*Fence*: deliveries are no transactions (the topic's contract says so). After intents are acknowledged, a transaction that
holds nothing but the offsets of notifications is committed under the sender's one transactional.id. Its success says that until
then no successor had begun; a successor, who begins with init_transactions and then reads deliveries to their end, has
therefore read these intents. So of two senders, one frozen and come back, never both send without one knowing of the other's.

A fence costs the broker more than ten records do. So intents wait a moment for others, all of them are written and proved
together, and what is settled is committed by the next such fence. A result waits for nothing: until it is written the message
would be sent again.
"""

from __future__ import annotations

import asyncio
import functools
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from schemas.alerts_v1 import Delivery
from schemas.topics import DELIVERIES, NOTIFICATIONS
from services.runtime import kafka, logs, wire
from services.runtime.bounded import BoundedCalls, Hung
from services.runtime.loop import HUNG_AFTER_S
from services.runtime.settings import Settings

GROUP = "alerts.sender"
TRANSACTIONAL_ID = "alerts-sender"
CALL_S = 5.0
PATIENCE_S = 30.0
"""So long a fence is asked for again. Then everything begins anew, at the lease."""

GATHER_S = 0.05
"""So long an intent waits for others that go with it."""
COMMIT_S = 1.0
"""What is settled is committed this long after the last fence, if no other comes."""

_AT_ONCE = 500
TOLD_AFTER_S = 20.0
"""Kafka may take so long for a record until it is said: the sender waits as long as it must, but not in silence."""

T = TypeVar("T")

log = logs.get("alerts.journal")


class Fenced(Exception):
    """Another sender has begun: this one must not send."""


class JournalLost(Exception):
    """Kafka cannot be asked who the sender is: nothing may be sent; begin again at the lease."""


@dataclass(slots=True)
class _Entry:
    record: Delivery
    fence: bool
    done: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop


class Journal:
    """One thread writes; the event loop awaits. `bound_s`: a call of the fence that takes longer never returns."""

    def __init__(self, settings: Settings, bound_s: float = CALL_S + HUNG_AFTER_S) -> None:
        self._bound_s = bound_s
        self._settings = settings
        # a record waits for Kafka as long as it must: a result that is dropped would be a message that is sent twice
        config = kafka.producer_config(settings, "lovla-alerts-deliveries") | {"delivery.timeout.ms": 0, "linger.ms": 1}
        self._producer = Producer(config)
        self._fencer = Producer(kafka.transactional_config(settings, "lovla-alerts-fence", TRANSACTIONAL_ID))
        self._group = Consumer(kafka.consumer_config(settings, "lovla-alerts-group", GROUP))
        self._calls = BoundedCalls("alerts-fence")  # after a broker's kill -9 a call may never return: seen here too
        self._entries: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._intents: list[_Entry] = []  # they wait for others until _together_s
        self._together_s = self._fenced_s = time.monotonic()
        self._reached: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None
        """Why nothing more may be handed over."""
        self._over: Exception | None = None
        self._appending_s: float | None = None  # since when Kafka is waited for

    def open(self) -> dict[int, int]:
        """Become the one sender; returns partition -> where notifications are to be read from. Raises KafkaException,
        JournalLost."""
        try:
            self._calls(lambda: self._fencer.init_transactions(CALL_S * 4), CALL_S * 4 + HUNG_AFTER_S)
        except Hung as hung:
            raise JournalLost(f"init_transactions: {hung}") from None
        places = [(NOTIFICATIONS.name, p) for p in kafka.partitions(self._group, NOTIFICATIONS.name)]
        found = kafka.committed(self._settings.kafka, GROUP, places)
        self._committed = {partition: found.get((topic, partition), 0) for topic, partition in places}
        self._reached = dict(self._committed)
        self._thread = threading.Thread(target=self._run, name="alerts-journal", daemon=True)
        self._thread.start()
        return dict(self._committed)

    def settled(self, reached: Mapping[int, int]) -> None:
        """All notifications before these offsets are settled; committed with the next fence, or soon."""
        with self._lock:
            self._reached.update(reached)

    def waits(self) -> str | None:
        """None, or that Kafka lets us wait for long, in words."""
        since = self._appending_s
        if since is None or (waited := time.monotonic() - since) < TOLD_AFTER_S:
            return None
        return f"Kafka has not taken what was written to {DELIVERIES.name} for {waited:.0f} s"

    async def write(self, record: Delivery, *, fence: bool = False) -> None:
        """Returns when Kafka has it; with `fence`, when we are sure to be the one sender too. Raises Fenced, JournalLost.

        Without the fence it is written by a sender that has lost its place too: the result of what it has handed over, which
        would else be sent again."""
        loop = asyncio.get_running_loop()
        entry = _Entry(record, fence, loop.create_future(), loop)
        with self._lock:
            failure = self._over or (self.failure if fence else None)
            if failure is not None:
                raise failure
            self._entries.put(entry)
        await entry.done

    def close(self) -> None:
        """Write what waits, commit what is settled, stop."""
        self._entries.put(None)
        if self._thread is not None:
            self._thread.join(CALL_S * 3)
        self._calls.close()
        self._group.close()

    # --- the thread

    def _run(self) -> None:
        failure: Exception = JournalLost("the journal is closed")
        try:
            while self._turn():
                pass
        except Exception as error:
            failure = self._failed(error)
        with self._lock:
            self._over = failure
            left: list[_Entry | None] = [*self._intents]
            while not self._entries.empty():
                left.append(self._entries.get())
        for entry in left:
            if entry is not None:
                _settle(entry, failure)

    def _turn(self) -> bool:
        """Write what waits; False: it was the last."""
        entries, last = self._collect()
        try:
            self._append([entry.record for entry in entries])
        except Exception as error:
            for entry in entries:
                _settle(entry, self._failed(error))
            raise
        intents = [entry for entry in entries if entry.fence]
        for entry in entries:
            if not entry.fence:
                _settle(entry, None)
        if self.failure is None and (intents or self._is_to_commit(last)):
            try:
                self._fence()
            except Exception as error:
                self._failed(error)
        for entry in intents:
            _settle(entry, self.failure)
        return not last

    def _failed(self, error: Exception) -> Exception:
        if self.failure is None:
            known = isinstance(error, Fenced | JournalLost)
            self.failure = error if known else JournalLost(f"{type(error).__name__}: {error}")
            log.error("alerts.journal.lost", error=str(self.failure))
        return self.failure

    def _collect(self) -> tuple[list[_Entry], bool]:
        """The results that wait now, or the first entry to come within a second; and the intents, once their moment is over.
        Whether it was the last."""
        results: list[_Entry] = []
        last = False
        with suppress(queue.Empty):
            entry = self._entries.get(timeout=max(0.0, self._together_s - time.monotonic()) if self._intents else COMMIT_S)
            while True:
                if entry is None:
                    last = True
                    break
                if entry.fence and not self._intents:
                    self._together_s = time.monotonic() + GATHER_S
                (self._intents if entry.fence else results).append(entry)
                if len(results) >= _AT_ONCE:
                    break
                entry = self._entries.get_nowait()
        if not self._intents or not (last or time.monotonic() >= self._together_s):
            return results, last
        intents, self._intents = self._intents, []
        return [*intents, *results], last

    def _append(self, records: Sequence[Delivery]) -> None:
        left = len(records)
        wrong: list[KafkaError] = []

        def acknowledged(error: KafkaError | None, _message: Message) -> None:
            nonlocal left
            left -= 1
            if error is not None:
                wrong.append(error)

        for record in records:
            id = f"{record.notification}.{record.attempt}.{record.state}"
            headers = wire.headers(Delivery, id=id, source="alerts.sender", time=record.at)
            self._producer.produce(
                DELIVERIES.name, wire.dump(record), record.subscription.encode(), on_delivery=acknowledged, headers=[*headers]
            )
        self._appending_s = time.monotonic()
        told = False
        while left:
            self._producer.poll(0.1)
            if not told and (text := self.waits()) is not None:
                log.warning("alerts.journal.waits", text=text, records=left)
                told = True
        self._appending_s = None
        if wrong:
            raise JournalLost(f"a delivery was not written: {wrong[0].str()}")

    def _is_to_commit(self, last: bool) -> bool:
        """Whether offsets have waited long enough for a fence that takes them along."""
        with self._lock:
            settled = any(offset > self._committed[p] for p, offset in self._reached.items())
        return settled and (last or time.monotonic() - self._fenced_s >= COMMIT_S)

    def _fence(self) -> None:
        """Commit the settled offsets in a transaction of their own. Raises Fenced, JournalLost."""
        until = time.monotonic() + PATIENCE_S
        while True:
            with self._lock:
                reached = dict(self._reached)
            offsets = [TopicPartition(NOTIFICATIONS.name, p, offset) for p, offset in reached.items()]
            try:
                self._fencer.begin_transaction()
                group = self._group.consumer_group_metadata()
                self._bounded(functools.partial(self._fencer.send_offsets_to_transaction, offsets, group, CALL_S))
                self._again(self._fencer.commit_transaction, until)
            except KafkaException as exception:
                error = kafka.error_of(exception)
                if error.fatal():
                    raise Fenced(error.str()) from None
                if time.monotonic() > until:
                    raise JournalLost(error.str()) from None
                log.warning("alerts.journal.fence_again", error=error.name())
                self._abort(until)
                time.sleep(0.2)
                continue
            self._committed, self._fenced_s = reached, time.monotonic()
            return

    def _bounded(self, call: Callable[[], T]) -> T:
        """Raises Hung: the journal is lost then, and this client with it."""
        return self._calls(call, self._bound_s)

    def _again(self, call, until: float) -> None:  # type: ignore[no-untyped-def]  # the client's own method
        while True:
            try:
                self._bounded(lambda: call(CALL_S))
                return
            except KafkaException as exception:
                error = kafka.error_of(exception)
                if error.fatal() or error.txn_requires_abort() or not error.retriable() or time.monotonic() > until:
                    raise

    def _abort(self, until: float) -> None:
        try:
            self._again(self._fencer.abort_transaction, until)
        except KafkaException as exception:
            error = kafka.error_of(exception)
            raise (Fenced if error.fatal() else JournalLost)(error.str()) from None


def _settle(entry: _Entry, failure: Exception | None) -> None:
    def now() -> None:
        if not entry.done.done():
            entry.done.set_result(None) if failure is None else entry.done.set_exception(failure)

    entry.loop.call_soon_threadsafe(now)
