"""The table of measurements: a line each. A new one is a module with `measure(bench) -> Result` and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks import alerts, console, freshness, ingest, journeys, pipeline, readers, sink, standards
from benchmarks.bench import Bench
from benchmarks.harness import Result
from benchmarks.peers import compare


@dataclass(frozen=True, slots=True)
class Measurement:
    """`minutes`: about how long it takes in full on two quiet cores. Not `usual`: only when asked for."""

    title: str
    minutes: float
    run: Callable[[Bench], Result]
    usual: bool = True


MEASUREMENTS: Mapping[str, Measurement] = {
    "tracker": Measurement("Tracker: events to journeys, exactly once", 3.5, pipeline.measure_tracker),
    "readers": Measurement("Readers: raw.messages to shipment.events, exactly once", 3.5, readers.measure),
    "standards": Measurement("Every standard: bytes to events on one core", 2.5, standards.measure),
    "pipeline": Measurement("End to end: raw.messages to journeys", 1.5, pipeline.measure_pipeline),
    "peers": Measurement("Our loop and its peers on one fold", 4, compare.measure),
    "ingest": Measurement("The door: HTTP to raw.messages", 3, ingest.measure),
    "freshness": Measurement("Push to queryable: the whole pipeline, open loop", 1.5, freshness.measure),
    "sink": Measurement("Sink: topics to ClickHouse", 2, sink.measure),
    "journeys": Measurement("Many open journeys: memory, restart, deadlines", 4, journeys.measure),
    "matching": Measurement("Alerts: whom a change concerns, of many subscriptions", 1.5, alerts.measure_matching),
    "alerts": Measurement("Alerts: from due to accepted by a mail server, open loop", 1.5, alerts.measure_delivery),
    "console": Measurement("Console: pages and API over a million consignments", 6, console.measure),
    "million": Measurement("A million open journeys: memory, restart, deadlines", 20, journeys.measure_million, usual=False),
}
