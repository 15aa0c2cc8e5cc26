"""The readers stage as it runs: raw.messages to shipment.events, exactly once, one process, a real broker beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice

from benchmarks import load
from benchmarks.bench import Bench
from benchmarks.harness import Meter, NotEqual, Result, interleaved, until
from benchmarks.load import EVENTS_A_BATCH, EVENTS_A_JOURNEY, FORMS, Form, Raw
from benchmarks.servers import Servers, now
from benchmarks.timeline import rate
from schemas.topics import CONSIGNMENT_COMMANDS, DEAD_LETTERS, RAW_MESSAGES, SHIPMENT_EVENTS
from services.ingest.records import READERS_GROUP

GOAL_EVENTS_S = 20_000
OUTPUTS = (SHIPMENT_EVENTS.name, CONSIGNMENT_COMMANDS.name, DEAD_LETTERS.name)


@dataclass(frozen=True, slots=True)
class Run:
    events_s: float
    cpu_s_per_million: Mapping[str, float]


def measure(bench: Bench) -> Result:
    """Each standard with one event a message, our own form with 100 events a message, and all four mixed."""
    events = bench.sizes.reader_events
    many = events * 3  # a batch of the loop holds some 10,000 events of this form: there must be several
    result = Result("every event of the load stands in shipment.events once, none is a dead letter, in every run")
    with Servers(bench.folder / "readers", broker=bench.broker) as servers:
        servers.register()
        variants: dict[str, Callable[[], Run]] = {form: partial(_run, servers, form, events) for form in FORMS}
        variants["batch"] = partial(_run, servers, "batch", many)
        variants["mixed"] = partial(_run, servers, "mixed", events)
        found = interleaved(bench.sizes.runs, variants, bench.tell)
    titles = {
        "dcsa": "DCSA 2.2, one event a message",
        "x12": "X12 315, one event a message",
        "lovla": "lovla.1, one event a message",
        "batch": f"lovla.1, {EVENTS_A_BATCH} events a message",
        "mixed": "all four, a quarter of the events each",
    }
    for name, runs in found.items():
        goal = GOAL_EVENTS_S if name == "mixed" else None
        result.add(f"readers: {titles[name]}", "events/s", [run.events_s for run in runs], at_least=goal)
    for name, runs in found.items():
        for who in ("readers", "kafka"):
            unit = "CPU s per million events"
            result.add(f"readers: {name}: {who}", unit, [run.cpu_s_per_million[who] for run in runs])
    result.notes.append("One readers process and the broker on the machine; events/s over the last 80 % of the outputs.")
    return result


def _run(servers: Servers, form: Form, events: int) -> Run:
    servers.renew([RAW_MESSAGES.name, *OUTPUTS], [READERS_GROUP])
    servers.timed(OUTPUTS)
    servers.fill((RAW_MESSAGES.name, record) for record in _raws(form, events))
    with servers.service("readers", ready=False), Meter(servers.pids) as meter:
        until(lambda: servers.caught_up(READERS_GROUP, RAW_MESSAGES.name), f"{events} events read", 120 + events / 500)
    seen = list(servers.read(SHIPMENT_EVENTS.name))
    ids = {json.loads(one.value)["event_id"] for one in seen}
    letters = sum(1 for _ in servers.read(DEAD_LETTERS.name))
    if (len(seen), len(ids), letters) != (events, events, 0):
        raise NotEqual(f"{form}: {events} events went in; {len(seen)} came out, {len(ids)} different; {letters} dead letters")
    measured = rate([one.at for one in seen])
    cpu = {name: measured.cpu_s_per_million(meter, name) for name in ("readers", "kafka")}
    return Run(measured.per_s, cpu)


def _raws(form: Form, events: int) -> Iterator[Raw]:
    journeys = -(-events // EVENTS_A_JOURNEY)
    return load.raws(form, islice(load.tellings(range(journeys), load.recent_base(now())), events))
