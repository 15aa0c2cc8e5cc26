"""The tracker as it runs, and readers and tracker together: exactly once, over a real broker on the same cores.

The records are written while the stages wait for them, as fast as they are taken; the clock runs from the first one written to
the last journey.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from benchmarks import load, tracker
from benchmarks.bench import Bench
from benchmarks.harness import Meter, NotEqual, Result, interleaved
from benchmarks.load import Raw
from benchmarks.servers import Servers, now
from benchmarks.timeline import Rate
from schemas.shipment_event_v1 import CONTROL_KEY, ControlRecord
from schemas.topics import CONSIGNMENT_COMMANDS, JOURNEYS, RAW_MESSAGES, SHIPMENT_EVENTS, TRACKER_SHARDS
from services.ingest.records import READERS_GROUP
from services.runtime.wire import dump
from services.tracker.core import Tracker, shard_of
from services.tracker.records import Journey, decode_journey_record, encode

GOAL_TRACKER = 40_000
GOAL_PIPELINE = 12_000
TICK_EVERY = 5_000
CPU = "CPU s per million events"
SHARDS = 4
WITHIN_S = 300


@dataclass(frozen=True, slots=True)
class Run:
    events_s: float
    cpu: Mapping[str, float]
    peak_rss_mb: float


# -- the tracker alone ---------------------------------------------------------------------------------------------------


def measure_tracker(bench: Bench) -> Result:
    """Its core without Kafka, then as a process over Kafka: alone, and as one of four shards."""
    result = Result("the journeys are those of one fresh computation from all events in one batch, in every run")
    stream = tracker.generate(bench.sizes.tracker_consignments)
    wanted = tracker.recomputed(stream, bench.folder / "recomputed")
    cores = interleaved(
        bench.sizes.runs,
        {order: partial(tracker.measure, bench.sizes.tracker_consignments, order=order) for order in ("live", "load")},
        lambda text: bench.tell(f"core, {text}"),
    )
    for order, found in cores.items():
        if not all(one["equal"] for one in found):
            raise NotEqual(f"core, order {order}: the journeys differ from those of one fresh computation")
        goal = GOAL_TRACKER if order == "live" else None
        result.add(f"core without Kafka, order {order}", "events/s", [one["events_s"] for one in found], at_least=goal)
        result.add(f"core without Kafka, order {order}", CPU, [one["cpu_s_per_million"] for one in found])
    for shards, title in ((1, "one shard"), (SHARDS, f"reads all, owns 1 of {SHARDS}")):
        with Servers(bench.folder / f"tracker{shards}", shards, bench.broker) as servers:
            servers.register(tracker.REGISTERS.senders.values(), tracker.REGISTERS.facilities.values())
            over = partial(_track, servers, stream, wanted, shards)
            runs = interleaved(bench.sizes.runs, {f"over Kafka, {title}": over}, bench.tell)[f"over Kafka, {title}"]
        goal = GOAL_TRACKER if shards == 1 else None
        result.add(f"over Kafka, exactly once, {title}", "events/s", [run.events_s for run in runs], at_least=goal)
        for who in ("tracker", "kafka"):
            result.add(f"over Kafka, {title}: {who}", CPU, [run.cpu[who] for run in runs])
        result.add(f"over Kafka, {title}: peak memory", "MB", [run.peak_rss_mb for run in runs])
    repeats = len(stream.events) - tracker.EVENTS_EACH * len(stream.commands)
    result.notes.append(
        f"{len(stream.commands):,} consignments with 2 containers and 12 events each, and {repeats:,} repeats, corrections and "
        "claims among them; linking, fold, exceptions, publishing and the event store on disk are the real ones."
    )
    return result


def _track(servers: Servers, stream: tracker.Stream, wanted: Tracker, shards: int) -> Run:
    topics = (SHIPMENT_EVENTS.name, CONSIGNMENT_COMMANDS.name, JOURNEYS.name, TRACKER_SHARDS.name)
    servers.renew(topics, [f"tracker-{k}" for k in range(shards)])
    servers.forget("tracker")
    servers.timed([JOURNEYS.name])
    events = list(_events(stream))
    commands = [(CONSIGNMENT_COMMANDS.name, Raw(b"", value, [], 1)) for _, value in stream.commands]
    with servers.service("tracker"), Meter(servers.pids) as meter:
        servers.fill([*commands, *control_records(tracker.START)])
        servers.quiet([JOURNEYS.name], for_s=1.5, within_s=WITHIN_S)
        began = time.time()
        servers.fill(events)
        ended = _settled(servers, partial(_differ, wanted, shards))
    span = Rate(len(stream.events), began, ended)
    return _run(span, meter, ("tracker", "kafka"), "tracker")


def _events(stream: tracker.Stream) -> Iterator[tuple[str, Raw]]:
    for n, (at, value) in enumerate(stream.events, start=1):
        yield SHIPMENT_EVENTS.name, Raw(json.loads(value)["sender"].encode(), value, [], 1)
        if n % TICK_EVERY == 0:
            yield from control_records(at)
    yield from control_records(max(at for at, _ in stream.events) + timedelta(days=1))  # as `recomputed` has it


def control_records(at: datetime) -> Iterator[tuple[str, Raw]]:
    """What moves T to `at`: a tick for each pair, marked as the end of a load, so that the leap is no outage."""
    for raw in range(RAW_MESSAGES.partitions):
        value = dump(ControlRecord.model_validate({"control": "tick", "raw_partition": raw, "at": at, "load": True}))
        for topic in (SHIPMENT_EVENTS, CONSIGNMENT_COMMANDS):
            for partition in range(topic.partitions):
                yield topic.name, Raw(CONTROL_KEY, value, [], 0, partition)


def _hash(journeys: Sequence[Journey | None]) -> str:
    digest = hashlib.sha256()
    for journey in journeys:
        digest.update(encode(tracker.derived(journey)) if journey is not None else b"missing")
    return digest.hexdigest()


# -- end to end ----------------------------------------------------------------------------------------------------------


def measure_pipeline(bench: Bench) -> Result:
    """raw.messages to journeys: both stages and the broker on the machine's cores."""
    result = Result("every journey has both containers where the load left them, in every run")
    with Servers(bench.folder / "pipeline", broker=bench.broker) as servers:
        servers.register()
        variant = {"raw.messages to journeys": partial(_pipe, servers, bench.sizes.pipeline_journeys)}
        runs = interleaved(bench.sizes.runs, variant, bench.tell)["raw.messages to journeys"]
    result.add("raw.messages to journeys", "events/s", [run.events_s for run in runs], at_least=GOAL_PIPELINE)
    for who in ("readers", "tracker", "kafka"):
        result.add(f"{who}", CPU, [run.cpu[who] for run in runs])
    result.add("all together", CPU, [sum(run.cpu.values()) for run in runs])
    result.notes.append(
        "A quarter of the journeys each in DCSA 2.2, X12 315 and lovla.1 with one event a message, and lovla.1 with "
        f"{load.EVENTS_A_BATCH} events a message."
    )
    return result


def _pipe(servers: Servers, journeys: int) -> Run:
    outputs = (SHIPMENT_EVENTS.name, CONSIGNMENT_COMMANDS.name, JOURNEYS.name, TRACKER_SHARDS.name)
    servers.renew([RAW_MESSAGES.name, *outputs], [READERS_GROUP, "tracker-0"])
    servers.forget("tracker")
    servers.timed([JOURNEYS.name])
    base = load.recent_base(now())
    numbers = range(journeys)
    registrations = [_raw(load.raw_registrations(numbers[n : n + 1_000], base)) for n in range(0, journeys, 1_000)]
    records = [_raw(record) for record in load.raws("mixed", load.tellings(numbers, base))]
    ticks = [_raw(load.raw_tick(partition, now(), load=True)) for partition in range(RAW_MESSAGES.partitions)]
    with servers.service("readers"), servers.service("tracker"), Meter(servers.pids) as meter:
        servers.fill([*registrations, *ticks])
        servers.quiet([JOURNEYS.name], for_s=2.0, within_s=WITHIN_S)
        began = time.time()
        servers.fill(records)
        ended = _settled(servers, partial(_unfinished, numbers))
    span = Rate(journeys * load.EVENTS_A_JOURNEY, began, ended)
    return _run(span, meter, ("readers", "tracker", "kafka"), "tracker")


def _settled(servers: Servers, wrong: Callable[[Mapping[str, Journey]], str | None]) -> float:
    """Waits until the journeys are right; a batch of the tracker may take longer than a short quiet. Returns when the last one
    was written. Raises NotEqual."""
    stop = time.monotonic() + WITHIN_S
    while True:
        servers.quiet([SHIPMENT_EVENTS.name, JOURNEYS.name], for_s=3.0, within_s=WITHIN_S)
        ended = 0.0
        found: dict[str, Journey] = {}
        for seen in servers.read(JOURNEYS.name):
            record = decode_journey_record(seen.value) if seen.value else None
            if isinstance(record, Journey):
                found[record.consignment] = record
                ended = max(ended, seen.at)
        said = wrong(found)
        if said is None:
            return ended
        if time.monotonic() > stop:
            raise NotEqual(said)


def _differ(wanted: Tracker, shards: int, found: Mapping[str, Journey]) -> str | None:
    """Unless these are the journeys of one shard, as wanted: that, in words."""
    owned = {shard_of(name, shards) for name in found}
    names = sorted(name for name in wanted.state.journeys if shard_of(name, shards) in owned)
    if len(owned) == 1 and _hash([wanted.state.journey(name) for name in names]) == _hash([found.get(n) for n in names]):
        return None
    return f"tracker over Kafka, {shards} shards: the journeys differ from those of one fresh computation"


def _unfinished(numbers: Iterable[int], found: Mapping[str, Journey]) -> str | None:
    """The first journey that is not where the load left it, in words."""
    for number in numbers:
        journey = found.get(load.consignment_of(number))
        units = {(unit.unit, unit.milestone) for unit in journey.units} if journey else set()
        if units != {(f"container:{load.container_of(number, unit)}", "gate_out") for unit in range(load.UNITS)}:
            return f"{load.consignment_of(number)}: both containers left the port, but the journey says {units}"
    return None


def _raw(record: Raw) -> tuple[str, Raw]:
    return RAW_MESSAGES.name, record


def _run(span: Rate, meter: Meter, names: Sequence[str], largest: str) -> Run:
    cpu = {name: span.cpu_s_per_million(meter, name) for name in names}
    return Run(span.per_s, cpu, meter.peak_rss(largest) / 1e6)
