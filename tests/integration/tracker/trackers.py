"""Tracker processes of one test, what they are sent and what they must have published."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from schemas.topics import (
    CONSIGNMENT_COMMANDS,
    JOURNEYS,
    RAW_MESSAGES,
    SHIPMENT_EVENTS,
)
from services.runtime import kafka as clients
from services.runtime.restore import restore
from services.runtime.settings import Settings
from services.runtime.sources import Record
from services.tracker.app import decode
from services.tracker.core import Read, Tracker
from services.tracker.event_store import MemoryEventStore
from services.tracker.records import Command, Control, Event, Journey, decode_journey_record, encode
from tests import forks
from tests.stack import ROOT
from tests.unit.tracker.build import REGISTERS, Ref, event, register
from tests.unit.tracker.test_sets import derived
from tests.waiting import eventually

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
        process = forks.popen([sys.executable, "-m", "services.tracker"], cwd=ROOT, env=environment, stdout=log, stderr=log)
        log.close()
        self._processes.append(process)
        return process

    def log(self) -> str:
        return (self.folder / "tracker.log").read_text()[-4000:]

    def ended(self, process: subprocess.Popen[bytes]) -> list[str]:
        """What ended its lives, after which it began again by itself (services/runtime/lives.py)."""
        lines = (self.folder / "tracker.log").read_text().splitlines()
        told = [json.loads(line) for line in lines if '"event": "lives.again"' in line]
        return [line["why"] for line in told if line["pid"] == process.pid]

    def end(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait(10)


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
    return newest(read_all(settings, JOURNEYS.name, 1), prefix)


def newest(records: list[Record], prefix: str) -> dict[str, Journey]:
    found: dict[str, Journey] = {}
    for record in records:
        if record.value is not None:
            journey = decode_journey_record(record.value)
            if isinstance(journey, Journey) and prefix in journey.consignment:
                found[journey.consignment] = journey
    return found


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


def until(condition: Callable[[], bool], run: Run) -> None:
    eventually(condition, run.log, longest_pause_s=0.5)  # each look reads a topic


def caught_up(settings: Settings, prefix: str, at: datetime, count: int) -> Callable[[], bool]:
    """All journeys are there, decided at or after the tick (each changes when T moves past its deadlines)."""

    def check() -> bool:
        records = read_all(settings, JOURNEYS.name, 1)
        clocks = [record for record in records if record.key == b"clock:0" and record.value]
        ticked = bool(clocks) and clocks[-1].timestamp_ms / 1000 >= at.timestamp()
        return ticked and len(newest(records, prefix)) >= count

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
