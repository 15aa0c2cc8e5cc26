"""One seed's world: the product's own shells over models of Kafka and ClickHouse, one step at a time, faults between any two.

Run are the readers stage on its loop in its group, the tracker's shards (`services.tracker.app.work`, each with a standby to
come) and the sink's member, all unchanged; and `match` in a worker like the one that is to come (alerts.py).
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, Protocol
from unittest import mock

import structlog
from confluent_kafka import KafkaException

from schemas.raw_message_v1 import RawMessage, Tick
from schemas.registers_v1 import Account, Facility, Secret, Sender
from schemas.topics import (
    ALERT_CANDIDATES,
    CONSIGNMENT_COMMANDS,
    DEAD_LETTERS,
    JOURNEY_CHANGES,
    JOURNEYS,
    PARKED,
    RAW_MESSAGES,
    SHIPMENT_EVENTS,
)
from services.alerts.matching import Book
from services.ingest.readers import Registers as Known
from services.ingest.readers_stage import Readers
from services.ingest.records import READERS_GROUP
from services.runtime import metrics
from services.runtime.loop import GroupSource, Limits, OwnershipLost, TransactionalLoop
from services.runtime.settings import Settings
from services.runtime.wire import raw_headers
from services.sink.logs import LogSink
from services.tracker import app
from services.tracker.core import Tracker
from services.tracker.event_store import MemoryEventStore, WritableEventStore
from services.tracker.registers import Registers
from tests.simulation import alerts, story
from tests.simulation.broker import Broker, Faults, Holder, ModelClients, Transaction
from tests.simulation.processes import WAITING, Process
from tests.simulation.story import Element, Said
from tests.simulation.table import ModelClickHouse, Tables

TOPICS = (RAW_MESSAGES, SHIPMENT_EVENTS, CONSIGNMENT_COMMANDS, DEAD_LETTERS, JOURNEY_CHANGES, PARKED, ALERT_CANDIDATES)
SUNK = [t.name for t in (RAW_MESSAGES, SHIPMENT_EVENTS, CONSIGNMENT_COMMANDS, DEAD_LETTERS, JOURNEY_CHANGES)]
ZONES = (story.WRONG_ZONE, story.RIGHT_ZONE)
STEP_S = 0.1
FAULTS_AT_LEAST = 2
STEPS_AT_LEAST = 200
"""Under fire; those afterwards, when all comes to rest, are not counted."""
STEPS_AT_MOST = 20_000
AT_A_TIME = {"sink": 100, "match": 100}
"""Steps of one process, while all come to rest, before it is another's turn; of the others 1. Readers and trackers go by turns,
so that a journey grows by many small batches there too: a planted defect of what is superseded is found five times as often."""
STRIKES = ("crash", "crash", "crash", "zombie", "zombie", "pause", "compact", "compact", "hang", "markers", "late")


class Violated(AssertionError):
    """An oracle's verdict: which one, and what it saw."""

    def __init__(self, oracle: str, text: str) -> None:
        super().__init__(f"{oracle}: {text}")
        self.oracle = oracle


class Uncounted:
    """A metric: nobody reads it here, and to keep it takes a twentieth of a run."""

    def note(self, *_: object) -> None:
        """Nothing."""

    inc = set = set_function = observe = note

    def time(self) -> nullcontext[None]:
        return _NO_TIME


_NO_TIME = nullcontext()
_UNCOUNTED = Uncounted()


def uncounted(*_: object, **__: object) -> Uncounted:
    return _UNCOUNTED


def unsaid(*_: object, **__: object) -> None:
    """What goes wrong on purpose would be thousands of warnings."""


@cache
def settings(shards: int) -> Settings:
    return Settings(kafka="model:0", shards=shards, group_protocol="consumer", _env_file=None)


@cache
def known(zone: str) -> Known:
    return Known.of(story.SENDERS, story.facilities(zone))


TRACKER_REGISTERS = Registers(
    senders={sender.code: sender for sender in story.SENDERS},
    facilities={facility.code: facility for facility in story.facilities(story.RIGHT_ZONE)},
)


@dataclass
class DoorRegisters:
    """What the readers know; somebody mends the terminal's zone on the way."""

    zone: str = story.WRONG_ZONE
    senders: Mapping[str, Sender] = field(default_factory=dict)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    facilities: Mapping[str, Facility] = field(default_factory=dict)

    def known(self) -> Known:
        return known(self.zone)

    def healthy(self) -> str | None:
        return None

    def check(self) -> None:
        """Always ready."""


class TrackerRegisters:
    """services.tracker.app.RegisterSource that never changes."""

    def start(self) -> Registers:
        return TRACKER_REGISTERS

    def changed(self) -> Registers | None:
        return None


class Stop(threading.Event):
    """What a process is told to stop by; waiting for it is a pause."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process

    def wait(self, timeout: float | None = None) -> bool:
        self._process.pause("wait")
        return self.is_set()


class DiskModel(MemoryEventStore):
    """An event store that outlives its process, and whose process may die before or after it is written."""

    process: Process

    def write(self, *args: Any, **kwargs: Any) -> None:
        self.process.pause("store write")
        super().write(*args, **kwargs)
        self.process.pause("store written")


@dataclass
class Folder:
    """services.tracker.app.StoreFolder: one host's disk."""

    disks: dict[str, DiskModel]
    name: str
    process: Process

    def open(self) -> WritableEventStore:
        store = self.disks.setdefault(self.name, DiskModel())
        store.process = self.process
        return store

    def destroy(self) -> None:
        del self.disks[self.name]


@dataclass
class MachineClock:
    """services.runtime.clock.Clock of the model's machines."""

    broker: Broker
    world: World

    def now(self) -> datetime:
        return self.world.now

    def monotonic(self) -> float:
        return self.broker.machine


class Watch(Protocol):
    """What the world tells as it happens (tests/simulation/oracles.py)."""

    def told(self, element: Element, now: datetime) -> None: ...
    def at_rest(self, number: int, tracker: Tracker, is_owner: bool) -> None: ...

    @property
    def alerts(self) -> alerts.Watch: ...


@dataclass
class Role:
    """A part of the pipeline that is always to run somewhere. `process`: the one that should; `zombies`: others of its kind
    that do not know that they are replaced."""

    name: str
    start: Callable[[World, Role, Process], None]
    process: Process | None = None
    zombies: list[Process] = field(default_factory=list)
    hosts: int = 0
    restart_at: int = 0
    shard: int = 0
    alone: bool = False
    """Never two at a time. It may be away for long, so that what it finds then is no news."""


class World:
    """Runs one seed."""

    latest: World
    """For a planted defect that looks at the clock of the machine (mutants.py)."""

    def __init__(self, seed: int) -> None:
        World.latest = self
        self.seed = seed
        self.chance = chance = random.Random(f"world {seed}")
        self.story = story.tell(seed)
        self.shards = chance.choice([1, 2])
        self.now = story.START
        self.registers = DoorRegisters()
        topics = {topic.name: topic.partitions for topic in TOPICS} | {JOURNEYS.name: self.shards, alerts.WAITING_TABLE: 1}
        self.broker = Broker(topics, lambda: _milliseconds(self.now))
        self.broker.spread = chance.randrange(8)
        self.broker.alive = lambda process: not process.ended and process.asleep_until <= self.step
        self.broker.late_markers = lambda: self.strikes(0.15, "late markers")
        self.tables = Tables()
        self.disks: dict[str, DiskModel] = {}
        self.trackers: dict[Process, Tracker] = {}
        self._notes: list[tuple[int, datetime, str]] = []
        self.step = 0
        self.faults = 0
        self.calm = False
        self.rate = chance.choice([0.4, 1.0, 1.0, 2.0])
        self.verifies = chance.random() < 0.2  # the tracker's own comparison; the oracles compare in every seed
        self.pushes = chance.uniform(0.15, 0.5)
        self.roles = [
            Role("readers", run_readers),
            *(Role(f"tracker-{k}", run_tracker, shard=k) for k in range(self.shards)),
            Role("sink", run_sink),
            Role("match", run_match, alone=True),
        ]
        self.subscribers = chance.sample(sorted(alerts.SUBSCRIPTIONS), 3)
        self.book = Book(alerts.SUBSCRIPTIONS[name][0] for name in self.subscribers)
        self.workers: list[alerts.Worker] = []
        self.roles[-1].restart_at = chance.choice([0, chance.randint(100, 500), STEPS_AT_MOST])
        self._waiting = list(reversed(self.story.said))
        self.raw: dict[tuple[int, int], Said] = {}
        self.times: set[datetime] = set()
        self.watch: Watch | None = None

    # -- faults ------------------------------------------------------------------------------------------------------

    def strikes(self, probability: float, what: str) -> bool:
        """Whether a fault strikes now."""
        if self.calm or self.chance.random() >= probability * self.rate:
            return False
        self.fault(what)
        return True

    def fault(self, what: str) -> None:
        self.faults += 1
        self.note(f"FAULT {what}")

    def note(self, text: str) -> None:
        self._notes.append((self.step, self.now, text))

    @property
    def trace(self) -> list[str]:
        """What happened, a line a step; the world's time is that of the log."""
        return [f"{step:5d} {now:%m-%d %H:%M:%S} {text}" for step, now, text in self._notes]

    def faults_of(self, process: Process) -> Faults:
        kinds = ("refused", "unknown_done", "unknown_not_done", "broken_done", "broken_not_done", "hung")

        def commit() -> str:
            tracker = self.trackers.get(process)  # a batch in a dozen fires deadlines: those shall often be refused
            due = tracker is not None and tracker._batch is not None and tracker._batch.popped
            if due and self.strikes(0.2, f"commit of {process.name}, which takes deadlines"):
                return "refused"
            if not self.strikes(0.1, f"commit of {process.name}"):
                return "done"
            kind = self.chance.choice(kinds)
            self.note(f"      {kind}")
            return kind

        def fetch(most: int) -> int:
            return most if self.calm else min(most, self.chance.choice([0, 1, 3, 8, 50]))

        return Faults(commit, fetch)

    def insert_fault(self) -> str:
        if not self.strikes(0.12, "ClickHouse"):
            return "done"
        kind = self.chance.choice(["refused", "lost", "unanswered", "late"])
        self.note(f"      {kind}")
        return kind

    def clients(self, process: Process) -> ModelClients:
        return ModelClients(self.broker, process, self.faults_of(process), self._idle)

    def _idle(self, process: Process) -> None:
        process.idle_since = self.broker.version

    # -- one step ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """The whole story, then calm until nothing moves any more. Raises Violated."""
        before = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            with (
                mock.patch.multiple(metrics, counter=uncounted, gauge=uncounted, histogram=uncounted),
                mock.patch.object(structlog.stdlib.BoundLogger, "_proxy_to_logger", unsaid),
            ):
                while self._waiting or self.faults < FAULTS_AT_LEAST or self.step < STEPS_AT_LEAST:
                    self._once()
                self._settle()
        finally:
            logging.disable(before)
            for role in self.roles:
                for process in [role.process, *role.zombies]:
                    if process is not None:
                        process.kill()

    def _once(self) -> None:
        self._next_step()
        chance = self.chance
        roll = chance.random()
        if roll < 0.03 * self.rate:
            self._strike()
        elif roll < 0.03 * self.rate + self.pushes * (1 - 0.03 * self.rate) and self._waiting:
            self._push(self._waiting.pop())
        else:
            self._move()

    def _next_step(self) -> None:
        self.step += 1
        if self.step > STEPS_AT_MOST:
            raise Violated("progress", f"not at rest after {STEPS_AT_MOST} steps")
        self.broker.machine += STEP_S
        if self.step % 10 == 0:
            self.broker.tick()
        for role in self.roles:
            if role.process is None and self.step >= role.restart_at:
                self._start(role)

    def _start(self, role: Role) -> None:
        process = Process(role.name, lambda process: role.start(self, role, process))
        process.host = role.hosts  # as it stands now: the role may move before this one does anything
        role.process = process
        self.note(f"start {role.name}")

    def _move(self) -> None:
        """Somebody goes on to its next pause."""
        version = self.broker.version
        awake: list[tuple[Role, Process]] = []
        for role in self.roles:
            for process in (role.process, *role.zombies):
                if process is None or process.asleep_until > self.step:
                    continue
                if process.idle_since != version or self.chance.random() < 0.1:
                    awake.append((role, process))
        if awake:
            self._go(*self.chance.choice(awake))

    def _go(self, role: Role, process: Process) -> None:
        process.step()
        self.note(f"{process.name}: {process.doing}" if not process.ended else f"{process.name} ended: {process.error!r}")
        if process.ended:
            self._ended(role, process)
        elif self.watch is not None and process.doing == WAITING and process in self.trackers:
            self.watch.at_rest(role.shard, self.trackers[process], process is role.process)

    def _ended(self, role: Role, process: Process) -> None:
        error = process.error
        self.trackers.pop(process, None)
        if isinstance(error, Violated):
            raise error
        if error is not None and not isinstance(error, (OwnershipLost, KafkaException, TimeoutError)):
            raise Violated("process", f"{process.name} ended by {type(error).__name__}: {error}") from error
        if process is role.process:
            role.process = None
            role.restart_at = self.step + (0 if self.calm else self.chance.randint(0, 20))
        else:
            role.zombies.remove(process)

    def _kill(self, role: Role, process: Process) -> None:
        process.kill()
        self.trackers.pop(process, None)
        if process is role.process:
            role.process = None
            away = self.chance.choice([0, 40, 200]) if role.alone else 40
            role.restart_at = self.step + self.chance.randint(0, away)
        else:
            role.zombies.remove(process)

    def _strike(self) -> None:
        """One of the things that happen to a cluster."""
        chance = self.chance
        role = chance.choice(self.roles)
        process = role.process
        what = chance.choice(
            ["crash", "crash", "crash", "zombie", "zombie", "pause", "compact", "compact", "hang", "markers", "late"]
        )
        if what == "crash" and process is not None:
            self.fault(f"kill -9 {role.name} at {process.doing!r}")
            self._kill(role, process)
        elif what == "zombie" and process is not None and len(role.zombies) < 2 and not role.alone:
            self.fault(f"{role.name} is frozen at {process.doing!r} and replaced")
            process.asleep_until = self.step + chance.choice([5, 60, 200])
            role.zombies.append(process)
            role.process = None
            role.hosts += 1
            role.restart_at = self.step + chance.randint(0, 10)
        elif what == "pause" and process is not None:
            self.fault(f"{role.name} is frozen for a while at {process.doing!r}")
            process.asleep_until = self.step + chance.choice([20, 130])
        elif what == "compact":
            gone = sum(self.broker.partitions[JOURNEYS.name, shard].compact() for shard in range(self.shards))
            gone += self.broker.partitions[alerts.WAITING_TABLE, 0].compact()
            if gone:
                self.fault(f"compaction: {gone} records of journeys and of match's table are gone")
        elif what == "hang":
            self._hang()
        elif what == "markers":
            for holder in self.broker.holders.values():
                self.broker.write_markers(holder)
        elif what == "late":
            self.tables.land_late()

    def _hang(self) -> None:
        """Somebody's tool writes to journeys and leaves its transaction open: readers of committed records wait before it."""
        broker = self.broker
        holder = broker.holders.setdefault("a tool", Holder())
        if holder.current is not None:
            broker.init("a tool")
            self.note("the tool's transaction is aborted")
            return
        self.fault("a transaction of somebody's tool hangs in journeys")
        epoch = broker.init("a tool")
        shard = self.chance.randrange(self.shards)
        broker.produce("a tool", epoch, JOURNEYS.name, b"nobody", b"{}", None, shard)

    # -- the world outside -------------------------------------------------------------------------------------------

    def _push(self, said: Said) -> None:
        """The door takes a request: Kafka has it."""
        self.now = max(self.now, said.at)
        if said.flips_zone:
            self.registers.zone = story.RIGHT_ZONE
            self.note("the terminal's zone is mended in the register")
            return
        if said.tick is not None:
            value = _tick(self.now, said.tick == "load")
            self.times.add(self.now)
            headers = _headers("tick", "~tick", None)
            place, offset = self.broker.append(RAW_MESSAGES.name, b"~tick", value, headers, said.partition)
            self.note(f"tick {said.tick} on {said.partition}")
        else:
            value = said.content or _body(said.elements)
            headers = _headers(said.kind, said.sender, said.consignment)
            place, offset = self.broker.append(RAW_MESSAGES.name, said.sender.encode(), value, headers)
            for element in said.elements:
                self._note_truth(element)
            self.note(f"{said.sender} says {value[:100].decode(errors='replace')}")
        self.raw[place[1], offset] = said

    def _note_truth(self, element: Element) -> None:
        fact = element.fact
        if element.withdraws:
            fact.withdrawn = True
        else:
            fact.received.setdefault(element.version, []).append(self.now)
        if self.watch is not None:
            self.watch.told(element, self.now)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """No more faults; everybody works until nothing is left to do."""
        self.calm = True
        self.note("calm")
        self.broker.init("a tool")
        self.tables.land_late()
        for role in self.roles:
            for process in (role.process, *role.zombies):
                if process is not None:
                    process.asleep_until = 0
        if self.chance.random() < (0.35 if self.story.short else 0.6):
            self._while_match_was_away()
        for role in self.roles:
            role.restart_at = 0
        self._rest(self.roles)
        self.note("at rest")

    def _while_match_was_away(self) -> None:
        """The others finish without it, and time passes: much is no news when it comes to it. There it dies some more."""
        (match,) = (role for role in self.roles if role.alone)
        if match.process is not None:
            self._kill(match, match.process)
        match.restart_at = STEPS_AT_MOST
        self._rest([role for role in self.roles if role is not match])
        self.now += self.chance.choice([1, 5, 7, 7, 24]) * story.HOUR
        self.fault("match was away")
        match.restart_at = 0
        for _ in range(40):
            self._next_step()
            assert match.process is not None
            self._go(match, match.process)
            if match.process is not None and self.chance.random() < (0.03 if match.process.doing == WAITING else 0.3):
                self.fault(f"kill -9 match at {match.process.doing!r}")
                self._kill(match, match.process)
                match.restart_at = 0

    def _rest(self, roles: Sequence[Role]) -> None:
        """Everybody of these works until nothing is left to do, not even by the time that passes."""
        still = 0
        while still < 3:
            before = self.broker.version
            for holder in self.broker.holders.values():
                self.broker.write_markers(holder)
            busy = False
            for role in roles:
                if role.process is None:
                    busy = True
                    self._next_step()
                for process in [role.process, *role.zombies]:
                    if process is not None and (still or process.idle_since != self.broker.version):
                        self._drain(role, process)
                        busy = busy or process.ended or process.idle_since != self.broker.version
            self.tables.land_late()
            still = 0 if busy or self.broker.version != before else still + 1
            if still:
                self.broker.machine += 8.0  # by the last look long enough for a dead member to be missed
                self.broker.tick()

    def _drain(self, role: Role, process: Process) -> None:
        for _ in range(AT_A_TIME.get(role.name, 1)):
            self._next_step()
            self._go(role, process)
            if process.ended or process.idle_since == self.broker.version:
                return


@lru_cache(10)  # one goes to each partition
def _tick(at: datetime, load: bool) -> bytes:
    return Tick(at=at, load=load).model_dump_json().encode()


@lru_cache(10)
def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _body(elements: tuple[Element, ...]) -> bytes:
    return json.dumps([element.json() for element in elements]).encode()


@cache
def _headers(kind: Any, sender: str, consignment: str | None) -> list[tuple[str, bytes]]:
    """As the door writes them; the hash is of the empty body, which nothing here compares."""
    standard = "lovla.1" if kind == "message" else None
    scopes = ("register",) if kind == "registration" else ()
    digest = hashlib.sha256(b"").hexdigest()
    meta = RawMessage(
        kind=kind,
        sender=sender,
        scopes=scopes,
        sha256=digest,
        content_type="application/json",
        standard=standard,
        consignment=consignment,
    )
    return raw_headers(meta)


# -- the product's processes ---------------------------------------------------------------------------------------------


def run_readers(world: World, role: Role, process: Process) -> None:
    clients, stop = world.clients(process), Stop(process)
    limits = Limits(records=world.chance.choice([3, 10, 40]))
    source = GroupSource(settings(1), [RAW_MESSAGES.name], READERS_GROUP, limits, clients=clients)
    loop = TransactionalLoop(
        settings(1),
        name="readers",
        transactional_id=_slot(role, process),
        source=source,
        stage=Readers(world.registers),
        clients=clients,
    )
    try:
        loop.start(stop)
        loop.run(stop)
    finally:
        loop.close()


def _slot(role: Role, process: Process) -> str:
    """As services.runtime.member gives it: the lowest that no living process holds, frozen ones included."""
    held = {other.slot for other in (role.process, *role.zombies) if other is not None and other is not process}
    process.slot = next(n for n in range(len(held) + 1) if n not in held)
    return f"readers-{process.slot}"


def run_tracker(world: World, role: Role, process: Process) -> None:
    folder = Folder(world.disks, f"{role.name} on host {process.host}", process)

    def started(_loop: TransactionalLoop, tracker: Tracker) -> None:
        world.trackers[process] = tracker
        tracker.verify = world.verifies

    app.work(settings(world.shards), role.shard, TrackerRegisters(), folder, Stop(process), started, world.clients(process))


def run_sink(world: World, role: Role, process: Process) -> None:
    clickhouse = ModelClickHouse(world.tables, process, world.insert_fault)
    sink = LogSink(settings(1), clickhouse, MachineClock(world.broker, world), SUNK, clients=world.clients(process))
    sink._patience._jitter.seed(world.seed)  # else two runs of a seed would wait for different times
    sink.run(Stop(process))


def run_match(world: World, role: Role, process: Process) -> None:
    assert world.watch is not None, "match needs its oracles"
    worker = alerts.Worker(world.broker, world.clients(process), world.book, lambda: world.now, world.watch.alerts)
    world.workers.append(worker)
    worker.run(lambda: world.chance.choice([1, 1, 3, 40]), lambda: world.chance.random() < 0.5)


__all__ = ["UTC", "Transaction", "Violated", "World"]
