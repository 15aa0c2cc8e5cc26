"""`python -m services.alerts.worker`: changes -> candidates -> notifications. The shell around matching.py and compose.py.

Order, and what a crash between each two does:

match, a record of journey.changes:
1. its candidates are written and acknowledged; 2. the waiting table; 3. the record is finished, so that its offset may be
committed. Before 3 the record is read again: the same candidates, which compose knows already.

compose, a candidate or an acknowledgement: the stages of `Writes` (compose.py), each acknowledged before the next, then
finished. compose, when something is due: the same stages; nothing is committed for it.

Partitions come: the subscriptions' view has reached the end that it had; the waiting table and the states are restored; what a
predecessor left in an outbox is written; then the first record is handled. Partitions go: what is handled ends, states are
dropped. A worker whose process stood still for longer than its session (a frozen machine) writes nothing more, for somebody
else may own its partitions: it begins again as at the first start (services/runtime/lives.py).
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar, get_args

from confluent_kafka import KafkaException
from pydantic import TypeAdapter, ValidationError

from schemas.alert_states_v1 import ALERT_STATE, AlertState, Waiting
from schemas.alerts_v1 import Acknowledgement, AlertCandidate, Notification, Subscription
from schemas.journey_change_v1 import CHANGE, ExceptionChanged
from schemas.topics import (
    ACKNOWLEDGEMENTS,
    ALERT_CANDIDATES,
    ALERT_STATES,
    ALERT_WAITING,
    DEAD_LETTERS,
    JOURNEY_CHANGES,
    NOTIFICATIONS,
)
from schemas.work_act_v1 import WorkAct
from services.alerts import subscriptions
from services.alerts.care import Work
from services.alerts.compose import Compose, Put, Writes
from services.alerts.letters import headers, letter
from services.alerts.matching import Book, Key, Match, Step, Told
from services.alerts.settings import AlertsSettings
from services.alerts.stream import AWAY_AT_MOST_S, Record, Stream, Write
from services.alerts.watchdog import STUCK_S, Watchdog
from services.alerts.work import WorkFollower
from services.runtime import kafka, lives, logs, metrics, restore, sources, wire
from services.runtime.clock import Clock, SystemClock
from services.runtime.failpoints import Failpoints
from services.runtime.lives import EXIT_PASSING, Interrupted
from services.runtime.process import begin, on_stop

GROUP = "alerts"
LOOK_S = 0.2
"""How often it looks what is due."""
AT_ONCE = 64
"""Subscribers whose messages are written side by side."""
SWEPT = 20
"""Watches that are looked at with each look: eight million a day."""
PULSE_S = 0.5
"""How often it looks whether its process stood still."""
WATCH_S = 10.0
UNREADABLE_IN_A_ROW = 100
"""So many records in a row that nobody can read are no damage but a contract that we do not know: stop, lose none."""
TAIL = 64
"""Records at a partition's end among which its last one is looked for first."""

log = logs.get("alerts.worker")

Partition = tuple[str, int]
T = TypeVar("T")
_CANDIDATE: TypeAdapter[AlertCandidate] = TypeAdapter(AlertCandidate)
_ACKNOWLEDGEMENT: TypeAdapter[Acknowledgement] = TypeAdapter(Acknowledgement)


class _Found(Exception):
    """The first is enough."""


class Worker:
    """One life of the worker."""

    def __init__(self, settings: AlertsSettings, clock: Clock, end_process: Callable[[int], object] = os._exit) -> None:
        self._settings, self._clock, self._end = settings, clock, end_process
        self._failpoints = Failpoints(settings.failpoint)
        self._view = subscriptions.view(settings, self._subscription_changed)
        self._book = Book()
        self._work = Work()
        self._acts = WorkFollower(settings, self._person_acted)
        self._compose = Compose(self._view.get, caring=self._work.care)
        self._match = Match(self._book, {})
        self._owned: set[Partition] = set()
        self._waits_in: dict[Key, int] = {}  # the partition of each record of the waiting table
        self._turn = asyncio.Lock()  # compose's steps are one after the other
        self._unreadable = 0
        self._gone: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beat = time.monotonic()  # when compose was last seen to get on
        self._passed: Interrupted | None = None
        self._blind: str | None = None
        self.stream = Stream(
            GROUP,
            settings.kafka,
            Path(settings.state_dir) / "alerts",
            {
                JOURNEY_CHANGES.name: self._on_change,
                ALERT_CANDIDATES.name: self._on_candidate,
                ACKNOWLEDGEMENTS.name: self._on_acknowledgement,
            },
            self._assigned,
            self._revoked,
            end_process,
            session_s=settings.alerts_session_s,
        )

    # -- life -----------------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, or until the stream fails: Interrupted, or RuntimeError for what lasts."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._view.start)
        await asyncio.to_thread(self._acts.start, self._clock.now())
        for subscription in self._view.snapshot().values():
            self._book.put(subscription)
        watching = threading.Event()
        threading.Thread(target=self._watch, args=(watching,), name="alerts.watchdog", daemon=True).start()
        await self.stream.start()
        self._beat = time.monotonic()  # however long the subscriptions took to read: it owned nothing
        pulse = asyncio.create_task(self._pulse())
        log.info("alerts.worker_started", subscriptions=len(self._view.snapshot()))
        try:
            while not stop.is_set():
                if (trouble := self.stream.trouble) is not None:
                    raise trouble
                self._beat = time.monotonic()
                if self.stream.ready:
                    async with self._turn:
                        await self._tell_due()
                try:
                    await asyncio.wait_for(stop.wait(), LOOK_S)
                except TimeoutError:
                    continue
        except Exception as error:
            if lives.passing(error):  # without a stop in order, which would wait for whoever does not answer
                self._pass(Interrupted(str(error), getattr(error, "cause", type(error).__name__)))
            raise
        finally:
            watching.set()
            pulse.cancel()
            await self.stream.stop()
            self._view.close()
            self._acts.close()
            log.info("alerts.worker_stopped")

    def healthy(self) -> str | None:
        """None, or what is wrong."""
        return (
            (str(self._passed) if self._passed is not None else None)
            or self._blind
            or self._view.healthy()
            or self._acts.healthy()
            or (None if self.stream.ready else "no partitions yet")
        )

    def ended_by(self) -> Interrupted:
        """Why it ended its process."""
        return self._passed or self.stream.ended_by or Interrupted("")

    def _subscription_changed(self, name: str, subscription: Subscription | None) -> None:
        """Called by the view's thread; the book belongs to the loop's."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._enter, name, subscription)

    def _enter(self, name: str, subscription: Subscription | None) -> None:
        if subscription is not None:
            self._book.put(subscription)
        else:
            self._book.remove(name)
            self._gone.add(name)

    def _person_acted(self, act: WorkAct) -> None:
        """Called by other threads; what people do belongs to the loop's."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._look_again, act)

    def _look_again(self, act: WorkAct) -> None:
        self._work.put(act)
        self._compose.look_again(act.consignment, self._clock.now())

    # -- partitions come and go -----------------------------------------------------------------------------------------

    async def _assigned(self, partitions: set[Partition]) -> None:
        """Restores what the partitions need. No record of them is handled before it returns."""
        self._owned = partitions
        states, ends, committed, waiting = await asyncio.to_thread(self._restore, partitions)
        for partition, records in states.items():
            self._compose.restore(partition, records)
        self._compose.look_again(None, self._clock.now())  # somebody may have taken their word back meanwhile
        async with self._turn:
            for partition in states:
                for writes in self._compose.unfinished(partition):
                    await self._carry_out(writes)
        self._match = Match(self._book, ends, waiting)
        self._waits_in = {key: told.partition for key, told in waiting.items()}
        await self._write_match(self._match.reach(committed, self._clock.now()))
        log.info(
            "alerts.partitions_assigned",
            partitions=sorted(f"{topic}-{partition}" for topic, partition in partitions),
            known=len(self._compose),
            waiting=len(waiting),
            unread=sum(max(0, end - committed.get(partition, 0)) for partition, end in ends.items()),
        )

    async def _revoked(self) -> None:
        async with self._turn:
            for topic, partition in self._owned:
                if topic == ALERT_CANDIDATES.name:
                    self._compose.drop(partition)
            self._owned = set()
            self._match = Match(self._book, {})

    def _restore(
        self, partitions: Iterable[Partition]
    ) -> tuple[dict[int, list[AlertState]], dict[int, int], dict[int, int], dict[Key, Told]]:
        """States, effective ends and committed offsets of the changes' partitions, and the waiting table."""
        states: dict[int, list[AlertState]] = {}
        ends: dict[int, int] = {}
        waiting: dict[Key, Told] = {}
        changes = [partition for topic, partition in partitions if topic == JOURNEY_CHANGES.name]
        found = kafka.committed(self._settings.kafka, GROUP, [(JOURNEY_CHANGES.name, partition) for partition in changes])
        committed = {partition: found.get((JOURNEY_CHANGES.name, partition), 0) for partition in changes}
        written = kafka.end_offsets(self._settings, [(JOURNEY_CHANGES.name, partition) for partition in changes])
        for partition in changes:
            ends[partition] = self._last_record(partition, committed[partition], written[JOURNEY_CHANGES.name, partition])
            for value in self._table(ALERT_WAITING.name, partition).values():
                kept = Waiting.model_validate_json(value, extra="ignore")
                assert isinstance(kept.change, ExceptionChanged)
                key = (kept.change.consignment, kept.change.exception.key)
                waiting[key] = Told(kept.change, kept.partition, kept.offset, kept.appended_at)
        for topic, partition in partitions:
            if topic == ALERT_CANDIDATES.name:
                table = self._table(ALERT_STATES.name, partition).values()
                states[partition] = [ALERT_STATE.validate_json(value, extra="ignore") for value in table]
        return states, ends, committed, waiting

    def _table(self, topic: str, partition: int) -> dict[bytes, bytes]:
        """The present records of a compacted partition."""
        table: dict[bytes, bytes] = {}

        def enter(record: sources.Record) -> None:
            if record.value is None:
                table.pop(record.key or b"", None)
            else:
                table[record.key or b""] = record.value

        restore.restore(self._settings, topic, partition, enter)
        return table

    def _last_record(self, partition: int, committed: int, end: int) -> int:
        """After the last record before `end`. A log that transactions write ends with a marker, which is none."""
        last, width = committed, TAIL

        def enter(record: sources.Record) -> None:
            nonlocal last
            last = record.offset + 1

        start = end
        while last == committed and start > committed:
            start = max(committed, end - width)
            restore.read_range(self._settings, JOURNEY_CHANGES.name, partition, start, end, enter)
            width *= 10
        return last

    # -- match ----------------------------------------------------------------------------------------------------------

    async def _on_change(self, record: Record) -> None:
        change = await self._read(CHANGE, record)
        if change is not None:
            told = Told(change, record.partition, record.offset, record.at)
            await self._write_match(self._match.take(told, self._clock.now()))

    async def _write_match(self, step: Step) -> None:
        await self.stream.write(
            [
                Write(
                    ALERT_CANDIDATES.name,
                    one.subscription.encode(),
                    wire.dump(one),
                    wire.headers(AlertCandidate, id=f"{one.subscription}{one.change_id}", source="alerts.worker", time=one.at),
                )
                for one in step.candidates
            ]
        )
        if step.candidates:
            metrics.counter("lovla_alerts_candidates_total").inc(len(step.candidates))
            self._failpoints.reach("alerts.candidates_written")
        # what waited and was told in the same step was never written
        changed = {key: told for key, told in step.waiting.items() if told is not None or key in self._waits_in}
        await self.stream.write([self._waiting(key, told) for key, told in changed.items()])
        if changed:
            self._failpoints.reach("alerts.waiting_written")

    def _waiting(self, key: Key, told: Told | None) -> Write:
        name = f"{key[0]}\0{key[1]}".encode()
        if told is None:
            return Write(ALERT_WAITING.name, name, None, partition=self._waits_in.pop(key))
        assert isinstance(told.change, ExceptionChanged)
        self._waits_in[key] = told.partition
        kept = Waiting(change=told.change, partition=told.partition, offset=told.offset, appended_at=told.appended_at)
        about = wire.headers(Waiting, id=told.change.change_id, source="alerts.worker", time=told.change.at)
        return Write(ALERT_WAITING.name, name, wire.dump(kept), about, told.partition)

    # -- compose --------------------------------------------------------------------------------------------------------

    async def _on_candidate(self, record: Record) -> None:
        candidate = await self._read(_CANDIDATE, record)
        if candidate is not None:
            async with self._turn:
                await self._carry_out(self._compose.take(record.partition, candidate, record.at))

    async def _on_acknowledgement(self, record: Record) -> None:
        said = await self._read(_ACKNOWLEDGEMENT, record)
        if said is not None:
            async with self._turn:
                await self._carry_out(self._compose.acknowledge(record.partition, said))

    async def _tell_due(self) -> None:
        """What is due now, and what is remembered of subscriptions that are gone, or need not be any more."""
        now = self._clock.now()
        due = self._compose.next_due()
        metrics.gauge("lovla_alerts_late_seconds").set(max(0.0, (now - due).total_seconds()) if due is not None else 0.0)
        gone, self._gone = [name for name in self._gone if self._compose.holds(name)], set()
        names = [*gone, *self._compose.due(now)]
        for first in range(0, len(names), AT_ONCE):
            if not self.stream.ready:
                return  # the partitions were taken away; whoever owns them has restored what is due
            some = [self._compose.settle(name, now) for name in dict.fromkeys(names[first : first + AT_ONCE])]
            await asyncio.gather(*(self._carry_out(writes) for writes in some))
        if self.stream.ready:
            await asyncio.gather(*(self._carry_out(writes) for writes in self._compose.sweep(now, SWEPT)))
        metrics.gauge("lovla_alerts_known").set(len(self._compose))

    async def _carry_out(self, writes: Writes) -> None:
        for n, stage in enumerate(writes.stages):
            await self.stream.write([_write(one, writes.partition) for one in stage])
            self._failpoints.reach(f"alerts.stage_{n}_of_{len(writes.stages)}")
            self._beat = time.monotonic()
        if writes.spent:
            text = "messages of this hour are spent: the rest waits, and goes in digests; see docs/alerts.md, rule 8"
            log.error("alerts.budget_spent", partition=writes.partition, text=text)
        for made in writes.outcome.notifications:
            metrics.counter("lovla_alerts_notifications_total", purpose=made.purpose).inc()
            log.info("alerts.notification", notification=made.notification, subscription=made.subscription, count=made.count)
        self._compose.keep(writes)

    # -- the rest -------------------------------------------------------------------------------------------------------

    async def _read(self, contract: TypeAdapter[T], record: Record) -> T | None:
        """The record; None if nobody can read it: then it is a dead letter. Raises once too many in a row are."""
        try:
            found = contract.validate_json(record.value or b"", extra="ignore")
        except ValidationError as error:
            self._unreadable += 1
            if self._unreadable >= UNREADABLE_IN_A_ROW:
                raise RuntimeError(
                    f"{self._unreadable} records in a row cannot be read; an older program than its topics?"
                ) from None
            kept = letter(record.topic, record.partition, record.offset, record.at, record.key, record.value, error)
            aside = Write(DEAD_LETTERS.name, kept.sender.encode(), wire.dump(kept), headers(kept, "alerts.worker"))
            await self.stream.write([aside])
            return None
        self._unreadable = 0
        return found

    async def _pulse(self) -> None:
        """Ends a process that stood still, all of it, for longer than its session. A task of its own: it goes on while a write
        waits for a broker that is away, which is no standing still; and it is awake at once when the process is, before what
        it had begun to do goes on."""
        seen = time.monotonic()
        while True:
            await asyncio.sleep(PULSE_S)
            now = time.monotonic()
            if now - seen > self._settings.alerts_session_s:
                text = f"it stood still for {now - seen:.0f} s: another worker may own its partitions by now"
                self._stuck(text, "StoodStill")
            seen = now

    def _watch(self, ended: threading.Event) -> None:
        """In a thread of its own: it must run when the loop does not. Nothing but the worker's end ends it."""
        dog: Watchdog[Partition] = Watchdog(STUCK_S)
        while not ended.wait(WATCH_S):
            try:
                stuck = self._look(dog)
            except (KafkaException, kafka.TopicMissing, TimeoutError) as error:  # the broker is away: no fault of ours
                log.warning("alerts.watchdog_blind", error=str(error))
            except Exception as error:
                self._blind = f"the watchdog cannot look: {type(error).__name__}: {error}"
                log.exception("alerts.watchdog_failed")
            else:
                self._blind = None
                if stuck is not None:
                    self._stuck(stuck, "Stuck")

    def _look(self, dog: Watchdog[Partition]) -> str | None:
        """None, or what stands still: compose, or a partition's offset as the broker has it."""
        stood = time.monotonic() - self._beat
        if stood > STUCK_S + AWAY_AT_MOST_S:  # a write that waits for its broker is no standing still
            return f"compose stands still for {stood:.0f} s"
        states = Counter(one.state for one in self._view.snapshot().values())
        for state in get_args(Subscription.model_fields["state"].annotation):
            metrics.gauge("lovla_alerts_subscriptions", state=state).set(states[state])
        owned = set(self._owned) if self.stream.ready else set()  # what is being restored is not read yet
        committed = kafka.committed(self._settings.kafka, GROUP, owned)
        ends = kafka.end_offsets(self._settings, owned)
        stuck = dog.look(committed, ends, time.monotonic(), self._holds)
        return stuck if owned == self._owned and self.stream.ready else None

    def _holds(self, place: Partition, start: int, end: int) -> bool:
        """Whether any committed record lies in these offsets."""

        def found(_: sources.Record) -> None:
            raise _Found

        try:
            restore.read_range(self._settings, *place, start, end, found)
        except _Found:
            return True
        return False

    def _stuck(self, text: str, cause: str) -> None:
        log.error("alerts.stuck", text=text)
        self._pass(Interrupted(text, cause))

    def _pass(self, cause: Interrupted) -> None:
        self._passed = cause
        self._end(EXIT_PASSING)


def _write(one: Put | Notification, partition: int) -> Write:
    if isinstance(one, Notification):
        about = wire.headers(Notification, id=one.notification, source="alerts.worker", time=one.due_at)
        return Write(NOTIFICATIONS.name, one.subscription.encode(), wire.dump(one), about)
    value = None if one.record is None else wire.dump(one.record)
    about = [] if one.record is None else wire.headers(type(one.record), id=one.key, source="alerts.worker")
    return Write(ALERT_STATES.name, one.key.encode(), value, about, partition)


def main() -> int:
    """0 after a clean stop, 1 if the stream failed, 2 if it is set up wrongly, 70 after a fault at a record; what passes is the
    beginning of the next life."""
    return asyncio.run(_serve(begin("alerts.worker", AlertsSettings)))


async def _serve(settings: AlertsSettings) -> int:
    stop, asked, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()

    def asked_to_stop() -> None:
        asked.set()  # at once: the loop hears of it after what was due while the process stood still
        loop.call_soon_threadsafe(stop.set)

    on_stop(asked_to_stop)

    def end(code: int) -> None:
        if code == EXIT_PASSING and not asked.is_set():
            lives.again(worker.ended_by())
        os._exit(code)

    worker = Worker(settings, SystemClock(), end)
    page = metrics.serve(settings.metrics_port, worker.healthy)
    try:
        await worker.run(stop)
    except (RuntimeError, KafkaException, kafka.TopicMissing, TimeoutError, Interrupted) as error:
        if lives.passing(error) and not asked.is_set():
            lives.again(error)
        log.error("alerts.worker_failed", text=str(error))
        return 1
    finally:
        if page is not None:
            page.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
