"""The tracker as a process on a real broker: killed at every step, replaced by a standby, robbed of its local store."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.topics import (
    CONSIGNMENT_COMMANDS,
    FACILITIES,
    JOURNEY_CHANGES,
    JOURNEYS,
    RAW_MESSAGES,
    SENDERS,
    SHIPMENT_EVENTS,
)
from services.runtime import kafka as clients
from services.runtime.register import write
from services.runtime.restore import restore
from services.runtime.settings import Settings
from services.runtime.sources import Record
from services.tracker.app import decode
from services.tracker.core import Read, Tracker
from services.tracker.event_store import MemoryEventStore
from services.tracker.records import Command, Control, Event, Journey, decode_journey_record, encode
from tests.stack import ROOT, Stack
from tests.unit.tracker.build import REGISTERS, Ref, event, register
from tests.unit.tracker.test_sets import derived

KILLED_AT = ["processed:2", "produced:2", "offsets_sent:1", "committed:1", "merged:1"]
CONSIGNMENTS = 60


class Run:
    """Tracker processes of one test, on a state folder of their own."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        shutil.copytree(settings.state_dir, folder, dirs_exist_ok=True)
        shutil.rmtree(folder / "tracker", ignore_errors=True)
        self.producer = clients.producer(settings, "test")
        self._processes: list[subprocess.Popen[bytes]] = []

    def tracker(self, failpoint: str = "") -> subprocess.Popen[bytes]:
        environment = os.environ | {"LOVLA_STATE_DIR": str(self.folder), "LOVLA_FAILPOINT": failpoint}
        log = (self.folder / "tracker.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", "services.tracker"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        log.close()
        self._processes.append(process)
        return process

    def log(self) -> str:
        return (self.folder / "tracker.log").read_text()[-4000:]

    def end(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait(10)


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Iterator[Run]:
    producer = clients.producer(settings, "test-registers")
    for code, sender in REGISTERS.senders.items():
        write(producer, SENDERS.name, code, sender)
    for code, facility in REGISTERS.facilities.items():
        write(producer, FACILITIES.name, code, facility)
    made = Run(settings, tmp_path / "state")
    yield made
    made.end()


def story(prefix: str) -> tuple[list[Command], list[Event]]:
    """Consignments of their own containers, their events shuffled and partly repeated."""
    shuffle = random.Random(prefix)
    now = datetime.now(UTC).replace(microsecond=0)
    commands, events = [], []
    for n in range(CONSIGNMENTS):
        box, bill = Ref("container", f"{prefix}{n:04d}"), Ref("bill_of_lading", f"BL{prefix}{n:04d}")
        plan = {"departed": now - timedelta(days=20), "arrived": now - timedelta(days=6), "delivered": now - timedelta(days=1)}
        commands.append(register(f"LACDHS-{prefix}{n}", refs=(box, bill), plan=plan, received_at=now - timedelta(days=30)))
        for milestone, days, place in (("departed", 20, "CNSHA"), ("arrived", 6 - n % 3, "USLAX"), ("discharged", 3, "USLAX")):
            events.append(event(milestone, now - timedelta(days=days), box, bill, place=place))
        events.append(event("gate_out", now - timedelta(days=1, hours=5), box, sender="HBRT"))
        if n % 2:
            events.append(event("delivered", now - timedelta(hours=20), box, sender="HBRT"))
    events += shuffle.sample(events, len(events) // 4)
    shuffle.shuffle(events)
    return commands, events


def send(run: Run, things: list[Command | Event]) -> datetime:
    """Writes records as the readers would, then a tick to every partition. Returns the tick's time."""
    producer = run.producer
    for thing in things:
        if isinstance(thing, Event):
            producer.produce(SHIPMENT_EVENTS.name, encode(thing), thing.sender)
        else:
            producer.produce(CONSIGNMENT_COMMANDS.name, encode(thing), thing.consignment)
    at = datetime.now(UTC)
    for raw in range(RAW_MESSAGES.partitions):
        value = encode(Control(control="tick", raw_partition=raw, at=at, load=True))
        for topic in (SHIPMENT_EVENTS, CONSIGNMENT_COMMANDS):
            for partition in range(topic.partitions):
                producer.produce(topic.name, value, "~control", partition)
    assert producer.flush(30) == 0
    return at


def read_all(settings: Settings, topic: str, partitions: int) -> list[Record]:
    found: list[Record] = []
    for partition in range(partitions):
        restore(settings, topic, partition, found.append)
    return found


def published(settings: Settings, prefix: str) -> dict[str, Journey]:
    newest: dict[str, Journey] = {}
    for record in read_all(settings, JOURNEYS.name, 1):
        if record.value is not None:
            journey = decode_journey_record(record.value)
            if isinstance(journey, Journey) and prefix in journey.consignment:
                newest[journey.consignment] = journey
    return newest


def recomputed(settings: Settings, prefix: str) -> dict[str, Any]:
    """What one undisturbed pass of the core over the same records gives."""
    pairs = [
        (raw, topic.name, partition)
        for raw in range(RAW_MESSAGES.partitions)
        for topic in (SHIPMENT_EVENTS, CONSIGNMENT_COMMANDS)
        for partition in range(topic.partitions)
    ]
    core = Tracker(MemoryEventStore(), REGISTERS, pairs, (CONSIGNMENT_COMMANDS.name, 0))
    records = [
        *read_all(settings, CONSIGNMENT_COMMANDS.name, CONSIGNMENT_COMMANDS.partitions),
        *read_all(settings, SHIPMENT_EVENTS.name, SHIPMENT_EVENTS.partitions),
    ]
    reads: list[Read] = [read for record in records if (read := decode(record)) is not None]
    core.process(reads)
    core.committed()
    found = {name: core.state.journey(name) for name in core.state.journeys if prefix in name}
    return {name: plain(journey) for name, journey in found.items() if journey is not None}


def plain(journey: Journey) -> Any:
    return msgspec.structs.replace(derived(journey), next_deadline=None)


def until(condition: Callable[[], bool], run: Run, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, run.log()
        time.sleep(0.3)


def caught_up(settings: Settings, prefix: str, at: datetime, count: int) -> Callable[[], bool]:
    """All journeys are there, decided at or after the tick (each changes when T moves past its deadlines)."""

    def check() -> bool:
        journeys = published(settings, prefix)
        clocks = [r for r in read_all(settings, JOURNEYS.name, 1) if r.key == b"clock:0" and r.value]
        ticked = bool(clocks) and clocks[-1].timestamp_ms / 1000 >= at.timestamp()
        return len(journeys) >= count and ticked

    return check


def died(process: subprocess.Popen[bytes], run: Run) -> Callable[[], bool]:
    """Whether it is gone; until then ticks keep coming, as they do from the door, so that there is a next batch."""

    def check() -> bool:
        if process.poll() is None:
            send(run, [])
        return process.poll() is not None

    return check


def prefix_of_four_letters() -> str:
    return "".join(random.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(4)) + uuid.uuid4().hex[:3].upper()


def test_killed_at_every_step_it_publishes_what_an_undisturbed_run_would_and_nothing_twice(
    settings: Settings, stack: Stack, run: Run
) -> None:
    prefix = prefix_of_four_letters()
    commands, events = story(prefix)
    things: list[Command | Event] = [*commands[: CONSIGNMENTS // 2], *events, *commands[CONSIGNMENTS // 2 :]]
    step = len(things) // len(KILLED_AT) + 1
    for n, failpoint in enumerate(KILLED_AT):
        process = run.tracker(failpoint)
        # two rounds of records, so that there is a second batch to be killed in
        send(run, things[n * step : n * step + step // 2])
        send(run, things[n * step + step // 2 : (n + 1) * step])
        until(died(process, run), run)
        assert process.returncode not in (0, None), run.log()
    process = run.tracker()
    at = send(run, [])
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run)
    expected = recomputed(settings, prefix)
    assert {name: plain(journey) for name, journey in published(settings, prefix).items()} == expected
    changes = [msgspec.json.decode(r.value) for r in read_all(settings, JOURNEY_CHANGES.name, 4) if r.value]
    mine = [change for change in changes if prefix in change["consignment"]]
    assert len({change["change_id"] for change in mine}) == len(mine)
    accepted = [change["consignment"] for change in mine if change["change"] == "command_accepted"]
    assert sorted(accepted) == sorted(command.consignment for command in commands)

    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    shutil.rmtree(run.folder / "tracker")  # the local store can be thrown away
    late = event("delivered", datetime.now(UTC) - timedelta(hours=1), Ref("container", f"{prefix}0000"), sender="HBRT")
    run.tracker()
    at = send(run, [late])
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run)
    assert published(settings, prefix)[f"LACDHS-{prefix}0"].stage == "delivered"
    assert plain(published(settings, prefix)[f"LACDHS-{prefix}0"]) == recomputed(settings, prefix)[f"LACDHS-{prefix}0"]


def test_a_standby_takes_over_from_a_killed_owner(settings: Settings, run: Run) -> None:
    prefix = prefix_of_four_letters()
    commands, events = story(prefix)
    first = run.tracker()
    at = send(run, list(commands))
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run)
    run.tracker()
    first.kill()
    first.wait(10)
    shutil.rmtree(run.folder / "tracker", ignore_errors=True)  # another machine has another store
    at = send(run, list(events))
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run, seconds=90)
    assert {name: plain(journey) for name, journey in published(settings, prefix).items()} == recomputed(settings, prefix)


def test_a_standby_takes_over_from_an_owner_that_hangs_and_still_holds_the_local_store(settings: Settings, run: Run) -> None:
    prefix = prefix_of_four_letters()
    commands, events = story(prefix)
    first = run.tracker()
    at = send(run, list(commands))
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run)
    run.tracker()
    first.send_signal(signal.SIGSTOP)  # for longer than the session and the transaction live, 10 s each
    at = send(run, list(events))
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run, seconds=90)
    first.send_signal(signal.SIGCONT)
    assert first.wait(30) != 0, "it was counted out, and says so"
    assert {name: plain(journey) for name, journey in published(settings, prefix).items()} == recomputed(settings, prefix)


def test_a_local_store_that_cannot_be_written_ends_it_with_a_line_in_the_log(run: Run) -> None:
    (run.folder / "tracker").write_text("in the way")  # as a full disk would be
    process = run.tracker()
    assert process.wait(60) == 1
    last = run.log().splitlines()[-1]
    assert '"event": "tracker.failed"' in last and "Traceback" in last, "the stack is in the line, not instead of it"
