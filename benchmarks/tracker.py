"""How many events a second the tracker's core carries with the real linking, fold, exceptions and publishing, without Kafka.

`python -m benchmarks.tracker [--consignments 10000] [--order live|load] [--profile]` prints one JSON object; `measure()`
returns the same as a dict. Measured is `TrackerStage` as the loop calls it: decoding, the event store on disk, linking, fold,
exceptions, publishing, encoding of all outputs, and taking over the overlay; not Kafka.

The stream: consignments with 2 containers and 12 events each (booking, estimates, vessel, terminal, customs, truck), 1 in 5
without declared containers (they are learned from the bill); besides, 3 % repeats, 2 % that come up to two days late, 1 %
corrections, 1 % claims of strangers. Order `live`: by time of receipt, the journeys' starts spread over 60 days, so that about
a third of all are open at once and a batch holds mostly different journeys; T moves with each batch, and deadlines fire. Order
`load`: each consignment's events follow one another, as in a first load.

`--deadlines` and `--memory N` measure the other figures of the issue: see `measure_deadlines` and `measure_memory`.

A speed counts only if the final state is that of one fresh computation from all events in one batch (`equal`).
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import hashlib
import json
import pstats
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psutil

from schemas.registers_v1 import Facility, Sender
from schemas.shipment_event_v1 import CONTROL_KEY, ControlRecord, ShipmentEvent
from schemas.topics import CONSIGNMENT_COMMANDS, JOURNEYS, SHIPMENT_EVENTS
from services.runtime import garbage, wire
from services.runtime.loop import Record
from services.tracker.app import TrackerStage
from services.tracker.core import Tracker
from services.tracker.event_store import DiskEventStore, MemoryEventStore
from services.tracker.records import (
    Command,
    Declaration,
    Item,
    Journey,
    Packing,
    RawPointer,
    Ref,
    Route,
    decode_command,
    encode,
)
from services.tracker.registers import Registers

START = datetime(2026, 3, 1, tzinfo=UTC)
SPREAD = timedelta(days=60)
EVENTS_EACH = 12
PARTITIONS = 4
PAIRS = [(0, SHIPMENT_EVENTS.name, 0), (0, CONSIGNMENT_COMMANDS.name, 0)]
WITNESS = (CONSIGNMENT_COMMANDS.name, 0)
CARRIERS = ("MAEU", "MSCU", "CMDU")
TERMINALS = ("LA-APMT", "LA-TRAPAC", "LA-WBCT")
TRUCKERS = ("HBRT", "SPDR", "DRAY", "LBTR")
ORIGINS = ("CNSHA", "CNNGB", "KRPUS", "VNSGN")
HOSPITALS = tuple(f"H-{n:02d}" for n in range(12))
REGISTERS = Registers(
    senders={
        sender.code: sender
        for sender in (
            *(Sender(code=code, kind="ocean_carrier", name=code, scac=code) for code in CARRIERS),
            *(Sender(code=code, kind="terminal", name=code, facilities=(code,)) for code in TERMINALS),
            *(Sender(code=code, kind="trucker", name=code, scac=code) for code in TRUCKERS),
            Sender(code="CBP", kind="customs", name="Customs", facilities=TERMINALS),
            Sender(code="LACDHS", kind="buyer", name="LA County"),
            Sender(code="STRANGER", kind="forwarder", name="Nobody's forwarder"),
        )
    },
    facilities={
        facility.code: facility
        for facility in (
            *(Facility(code=c, kind="terminal", name=c, unlocode="USLAX", zone="America/Los_Angeles") for c in TERMINALS),
            *(Facility(code=c, kind="hospital", name=c, unlocode="USLAX", zone="America/Los_Angeles") for c in HOSPITALS),
        )
    },
)


@dataclass
class Stream:
    """What is measured: registrations, and events as (received_at, record value) in the order of reading."""

    commands: list[tuple[datetime, bytes]] = field(default_factory=list)
    events: list[tuple[datetime, bytes]] = field(default_factory=list)


def _container(serial: int) -> str:
    """A container number of the owner MRSU with its check digit (ISO 6346)."""
    body = f"MRSU{serial:06d}"
    # letters count from A = 10 and leave out the multiples of 11
    letters = {letter: 10 + n + (n + 9) // 10 for n, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")}
    total = sum((int(sign) if sign.isdigit() else letters[sign]) * 2**n for n, sign in enumerate(body))
    return f"{body}{total % 11 % 10}"


class _Consignment:
    """One consignment: its registration and what the senders tell of it."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self.number, self.chance = number, chance
        self.name = f"LACDHS-{number:07d}"
        self.start = START + SPREAD * chance.random()
        self.boxes = [_container(2 * number), _container(2 * number + 1)]
        self.bill, self.booking = f"BILL{number:08d}", f"BK{number:08d}"
        self.carrier, self.terminal = chance.choice(CARRIERS), chance.choice(TERMINALS)
        self.trucker, self.hospital = chance.choice(TRUCKERS), chance.choice(HOSPITALS)
        self.origin = chance.choice(ORIGINS)
        self.voyage = f"{number % 400:03d}E"

    def at(self, days: float) -> datetime:
        moment = self.start + timedelta(days=days, hours=self.chance.uniform(0, 8))
        return moment.replace(microsecond=0)

    def declaration(self) -> Declaration:
        plan = {"departed": 2, "arrived": 16, "discharged": 17, "gate_out": 19, "delivered": 20}
        declares_boxes = self.number % 5 != 0
        boxes = [Ref("container", box) for box in self.boxes]
        return Declaration(
            consignment=self.name,
            items=(
                Item(line=1, category="n95_respirator", quantity=40_000, lot="A17"),
                Item(line=2, category="gown", quantity=12_000, lot="B3"),
            ),
            parties={"carrier": self.carrier, "trucker": self.trucker, "consignee": self.hospital},
            route=Route(
                mode="sea",
                origin=self.origin,
                port_of_discharge="USLAX",
                terminal=self.terminal,
                place_of_delivery=self.hospital,
            ),
            plan={milestone: self.start + timedelta(days=days) for milestone, days in plan.items()},
            tier=1 + self.number % 4,
            references=(
                *(boxes if declares_boxes else ()),
                Ref("bill_of_lading", self.bill),
                Ref("booking", self.booking),
                Ref("purchase_order", f"PO{self.number}"),
            ),
            packing=tuple(Packing(line=n + 1, unit=box, quantity=12_000) for n, box in enumerate(boxes))
            if declares_boxes
            else (),
        )

    def command(self) -> tuple[datetime, bytes]:
        received_at = self.start - timedelta(days=5)
        command = Command(
            command="register",
            command_id=_digest(f"register {self.name}"),
            consignment=self.name,
            sender="LACDHS",
            received_at=received_at,
            raw=RawPointer(sha256="0" * 64, position="/0"),
            declaration=self.declaration(),
        )
        return received_at, encode(command)

    def events(self) -> list[dict[str, Any]]:
        """The twelve, in the order of what happened."""
        box = [{"kind": "container", "value": value} for value in self.boxes]
        bill = {"kind": "bill_of_lading", "value": self.bill}
        booking = {"kind": "booking", "value": self.booking}
        port, terminal = {"unlocode": "USLAX"}, {"facility": self.terminal, "unlocode": "USLAX"}
        truck = {"kind": "pro_number", "value": f"P{self.number:08d}"}
        ship = {"vessel": f"MSC NO {self.number % 400}", "imo": f"{9_300_000 + self.number % 400}", "voyage": self.voyage}
        carried: dict[str, Any] = {"sender": self.carrier, "transport": ship, "mode": "sea"}
        at_terminal: dict[str, Any] = {"sender": self.terminal, "place": terminal, "mode": "sea"}
        road: dict[str, Any] = {"sender": self.trucker, "mode": "road"}
        planned = self.start + timedelta(days=16)
        first, second = (planned + timedelta(hours=h) for h in (self.chance.uniform(-6, 20), self.chance.gauss(4, 12)))
        return [
            self.event("booked", 0, [booking, bill], place={"unlocode": self.origin}, **carried),
            self.event("departed", 2, [*box, bill], place={"unlocode": self.origin}, **carried),
            self.event("arrived", 3, [bill], place=port, expected=first, **carried),
            self.event("arrived", 9, [*box, bill], place=port, expected=second, **carried),
            self.event("arrived", 16, [*box, bill], place=port, **carried),
            self.event("discharged", 16.5, [box[0]], **at_terminal),
            self.event("discharged", 16.7, [box[1]], **at_terminal),
            self.event("customs_released", 17, [bill], sender="CBP", place=terminal),
            self.event("gate_out", 18.5, [box[0], truck], place=terminal, **road),
            self.event("gate_out", 18.8, [box[1], truck], place=terminal, **road),
            self.event("delivered", 19.5, [box[0]], place={"facility": self.hospital}, **road),
            self.event("delivered", 19.9, [box[1]], place={"facility": self.hospital}, **road),
        ]

    def event(
        self, milestone: str, days: float, references: Sequence[dict[str, str]], expected: datetime | None = None, **fields: Any
    ) -> dict[str, Any]:
        said = self.at(days)
        received_at = said + timedelta(minutes=self.chance.uniform(1, 90))
        occurred_at = expected.replace(microsecond=0) if expected else said
        return {
            "event_id": _digest(f"{self.name} {milestone} {said} {references}"),
            "revision": {"at": said, "reader": 1, "content": _digest(f"{occurred_at}")[:16]},
            "reader_version": 1,
            "standard": "dcsa.2.2" if fields["sender"] in CARRIERS else "x12.315",
            "code": milestone.upper(),
            "milestone": milestone,
            "mapped": True,
            "classifier": "estimated" if expected else "actual",
            "occurred_at": occurred_at,
            "created_at": said,
            "received_at": received_at,
            "references": tuple(references),
            "raw": {
                "sha256": _digest(f"raw {self.name} {said}") * 2,
                "partition": self.number % 4,
                "offset": self.number * EVENTS_EACH,
                "position": f"/{milestone}",
            },
            **fields,
        }


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def generate(consignments: int, seed: int = 1, order: str = "live") -> Stream:
    """The stream of that many consignments; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311  a seeded generator is meant
    stream = Stream()
    for number in range(consignments):
        one = _Consignment(number, chance)
        stream.commands.append(one.command())
        for event in one.events():
            dice = chance.random()
            read_at = event["received_at"]
            if dice < 0.02:
                read_at = event["received_at"] = read_at + timedelta(days=2 * chance.random())
            value = wire.dump(ShipmentEvent.model_validate(event))
            stream.events.append((read_at, value))
            if 0.02 <= dice < 0.05:
                stream.events.append((read_at + timedelta(hours=1), value))
            elif 0.05 <= dice < 0.06:
                again = event["received_at"] + timedelta(hours=3)
                moved = event["occurred_at"] + timedelta(minutes=17)
                revision = {"at": again, "reader": 1, "content": _digest(f"{moved}")[:16]}
                corrected = {**event, "occurred_at": moved, "updated_at": again, "received_at": again, "revision": revision}
                stream.events.append((again, wire.dump(ShipmentEvent.model_validate(corrected))))
            elif 0.06 <= dice < 0.07:
                claim = {**event, "sender": "STRANGER", "event_id": _digest("claim " + event["event_id"])}
                stream.events.append((read_at, wire.dump(ShipmentEvent.model_validate(claim))))
    if order == "live":
        stream.commands.sort(key=lambda pair: pair[0])
        stream.events.sort(key=lambda pair: pair[0])
    return stream


def _batches(stream: Stream, order: str, batch: int) -> Iterator[list[Record]]:
    """Records as the loop hands them over. In order `live` each batch ends with ticks at its last receipt."""
    for n in range(0, len(stream.events), batch):
        part = stream.events[n : n + batch]
        records = _events(part, n)
        if order == "live":
            records += _ticks(part[-1][0], n + len(part))
        yield records


def state_hash(tracker: Tracker) -> str:
    """Over the derived parts of all journeys: not version, cause, T, nor exceptions that are over (those are history)."""
    digest = hashlib.sha256()
    for name in sorted(tracker.state.journeys):
        journey = tracker.state.journey(name)
        assert journey is not None
        digest.update(encode(derived(journey)))
    return digest.hexdigest()


def derived(journey: Journey) -> Journey:
    """The part of the record that is a function of sets."""
    open_ones = tuple(state for state in journey.exceptions if state.status == "open")
    return msgspec.structs.replace(journey, version=0, cause="", at=None, exceptions=open_ones)


def recomputed(stream: Stream, folder: Path) -> Tracker:
    """All of the stream in one batch of a fresh tracker, with T at the end: what any order must come to."""
    tracker, store, stage = _fresh(folder)
    _take(stage, [*_registrations(stream), *_events(stream.events, 0), *_ticks(_end(stream), len(stream.events))])
    store.close()
    return tracker


def _fresh(folder: Path) -> tuple[Tracker, DiskEventStore, TrackerStage]:
    store = DiskEventStore(folder)
    tracker = Tracker(store, REGISTERS, PAIRS, WITNESS)
    return tracker, store, TrackerStage(tracker, store, 0, lambda: None)


def _registrations(stream: Stream) -> list[Record]:
    topic = CONSIGNMENT_COMMANDS.name
    return [Record(topic, 0, n, 0, None, value, None) for n, (_, value) in enumerate(stream.commands)]


def _events(events: Sequence[tuple[datetime, bytes]], offset: int) -> list[Record]:
    return [Record(SHIPMENT_EVENTS.name, 0, offset + n, 0, None, value, None) for n, (_, value) in enumerate(events)]


def _ticks(at: datetime, offset: int) -> list[Record]:
    """One on each pair, marked as the end of a load, so that the leap of T is no outage."""
    value = wire.dump(ControlRecord(control="tick", raw_partition=0, at=at, load=True))
    return [Record(topic, partition, offset, 0, CONTROL_KEY, value, None) for _, topic, partition in PAIRS]


def _end(stream: Stream) -> datetime:
    return max(at for at, _ in stream.events) + timedelta(days=1)


def measure(
    consignments: int = 10_000, seed: int = 1, order: str = "live", batch: int = 5_000, profile: bool = False
) -> dict[str, Any]:
    """One run. Figures of the events' part only; registrations go before it and are reported apart."""
    stream = generate(consignments, seed, order)
    with tempfile.TemporaryDirectory() as folder:
        tracker, store, stage = _fresh(Path(folder) / "events")
        began = time.perf_counter()
        commands = _registrations(stream)
        for n in range(0, len(commands), batch):
            _take(stage, commands[n : n + batch])
        _take(stage, _ticks(START, len(commands)))
        garbage.relax()
        registering_s = time.perf_counter() - began
        profiler = cProfile.Profile() if profile else None
        journeys = changes = size = 0
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        if profiler:
            profiler.enable()
        for records in _batches(stream, order, batch):
            written, told, written_bytes = _take(stage, records)
            journeys, changes, size = journeys + written, changes + told, size + written_bytes
        if profiler:
            profiler.disable()
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        _take(stage, _ticks(_end(stream), len(stream.events)))
        equal = state_hash(tracker) == state_hash(recomputed(stream, Path(folder) / "again"))
        store.close()
    if profiler:
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(45)
    events = len(stream.events)
    return {
        "order": order,
        "consignments": consignments,
        "events": events,
        "batch": batch,
        "equal": equal,
        "wall_s": round(wall_s, 2),
        "cpu_s": round(cpu_s, 2),
        "events_s": round(events / wall_s),
        "events_s_cpu": round(events / cpu_s),
        "cpu_s_per_million": round(cpu_s / events * 1e6, 1),
        "journeys_an_event": round(journeys / events, 3),
        "changes_an_event": round(changes / events, 3),
        "output_bytes_an_event": round(size / events),
        "input_bytes_an_event": round(sum(len(value) for _, value in stream.events) / events),
        "registrations_s": round(consignments / registering_s),
    }


def _take(stage: TrackerStage, records: list[Record]) -> tuple[int, int, int]:
    """One committed batch: (journeys written, other outputs, bytes)."""
    outputs = stage.process(records)
    stage.committed()
    written = sum(output.topic == JOURNEYS.name for output in outputs)
    return written, len(outputs) - written, sum(len(output.value or b"") for output in outputs)


def measure_deadlines(due: int = 10_000) -> dict[str, Any]:
    """So many deadlines due in one second, among as many journeys that are not due: what publishing them all costs."""
    topic, moment = CONSIGNMENT_COMMANDS.name, START + timedelta(days=30)
    with tempfile.TemporaryDirectory() as folder:
        _, store, stage = _fresh(Path(folder) / "events")
        records = []
        for number in range(2 * due):
            planned = moment - timedelta(hours=12) + timedelta(days=number % 2)  # the tolerance at sea; every other a day later
            one = _Consignment(number, random.Random(number))  # noqa: S311  a seeded generator is meant
            declared = msgspec.structs.replace(one.declaration(), plan={"departed": planned})
            value = encode(msgspec.structs.replace(decode_command(one.command()[1]), declaration=declared))
            records.append(Record(topic, 0, number, 0, None, value, None))
        for n in range(0, len(records), 5_000):
            _take(stage, records[n : n + 5_000])
        _take(stage, _ticks(moment - timedelta(seconds=1), len(records)))
        garbage.relax()
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        touched, told, _ = _take(stage, _ticks(moment, len(records) + 1))
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        store.close()
    clock = 1  # the record of T is no journey
    return {
        "due": due,
        "exceptions_told": told,
        "journeys_a_deadline": round((touched - clock) / due, 3),
        "wall_s": round(wall_s, 2),
        "cpu_s": round(cpu_s, 2),
    }


def measure_memory(journeys: int = 50_000) -> dict[str, Any]:
    """Journeys with all of their events restored into a fresh tracker, copies of 300 under other names and references: RSS a
    journey as the slope from the first half to the second, and the speed of restoring. And the event store's bytes an event."""
    stream = generate(300, 1, "load")
    with tempfile.TemporaryDirectory() as folder:
        tracker, store, stage = _fresh(Path(folder) / "events")
        _take(
            stage,
            [*_registrations(stream), *_events(stream.events, 0), *_ticks(START + timedelta(days=18), len(stream.events))],
        )
        store.close()
        on_disk = sum(file.stat().st_size for file in (Path(folder) / "events").rglob("*") if file.is_file())
    patterns = []
    for number in range(300):
        one = _Consignment(number, random.Random(number))  # noqa: S311  a seeded generator is meant
        journey = tracker.state.journey(one.name)
        assert journey is not None
        own = [one.name, one.bill, one.booking, *one.boxes, f"P{number:08d}", f"PO{number}"]
        patterns.append((encode(journey), [name.encode() for name in own]))
    other = Tracker(MemoryEventStore(), REGISTERS, PAIRS, WITNESS)
    garbage.relax()
    process = psutil.Process()
    rss = [process.memory_info().rss]
    restoring_s = 0.0
    for half in range(2):
        for n in range(half * journeys // 2, (half + 1) * journeys // 2):
            value, texts = patterns[n % len(patterns)]
            for place, name in enumerate(texts):  # no other journey has it
                new = name[:3] + b"%d%07d" % (place, n)
                value = value.replace(b'"' + name + b'"', b'"' + new + b'"').replace(b":" + name + b'"', b":" + new + b'"')
            began = time.process_time()
            other.restore(f"journey-{n}", value)
            restoring_s += time.process_time() - began
        gc.collect()
        rss.append(process.memory_info().rss)
    return {
        "journeys": journeys,
        "record_bytes": round(sum(len(value) for value, _ in patterns) / len(patterns)),
        "rss_bytes_a_journey": round((rss[2] - rss[1]) / (journeys / 2)),
        "restored_s_cpu": round(journeys / restoring_s),
        "store_bytes_an_event": round(on_disk / len(stream.events)),
    }


def main() -> None:
    """Runs as asked; exit code 1 where the final state is another."""
    parser = argparse.ArgumentParser(description="The tracker's core without Kafka.")
    parser.add_argument("--consignments", type=int, default=10_000)
    parser.add_argument("--order", choices=("live", "load"), default="live")
    parser.add_argument("--batch", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--deadlines", action="store_true")
    parser.add_argument("--memory", type=int, metavar="JOURNEYS")
    asked = parser.parse_args()
    if asked.deadlines or asked.memory:
        print(json.dumps(measure_deadlines() if asked.deadlines else measure_memory(asked.memory), indent=2))  # noqa: T201
        return
    figures = measure(asked.consignments, asked.seed, asked.order, asked.batch, asked.profile)
    print(json.dumps(figures, indent=2))  # noqa: T201  its output
    sys.exit(0 if figures["equal"] else 1)


if __name__ == "__main__":
    main()
