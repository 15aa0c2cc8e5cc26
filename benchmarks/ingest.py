"""The door: single events at a set rate, batches, and each standard as fast as it answers. The client is a process apart."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec

from benchmarks import load
from benchmarks.bench import Bench
from benchmarks.client import Answered, Order
from benchmarks.harness import ROOT, Meter, NotEqual, Result, interleaved, percentile, until
from benchmarks.servers import Servers, now
from schemas.topics import RAW_MESSAGES
from services.ingest.keys import make_key

SINGLES_S = 1_500
BATCH = 500
BATCH_EVENTS_S = 20_000
CONNECTIONS = 16
OPEN_RATES = {"LOVLA_REQUESTS_S": "1000000", "LOVLA_EVENTS_S": "10000000"}
"""A sender's own limits are lifted: the load comes from eight senders, and what the door can carry is asked."""


@dataclass(frozen=True, slots=True)
class Run:
    events_s: float
    p50_ms: float
    p99_ms: float
    door_cpu: float
    client_cpu: float


def measure(bench: Bench) -> Result:
    """Open loop where a goal names a rate, closed loop for the rest."""
    seconds = bench.sizes.seconds / 2
    result = Result("every request was answered 202, and raw.messages holds one record for each, in every run")
    with Servers(bench.folder / "ingest") as servers:
        keys = credentials(servers)
        with servers.service("api", OPEN_RATES):
            variants: dict[str, Callable[[], Run]] = {
                f"single events at {SINGLES_S:,}/s": partial(_run, servers, keys, "dcsa", 1, seconds, SINGLES_S),
                f"batches of {BATCH} at {BATCH_EVENTS_S:,} events/s": partial(
                    _run, servers, keys, "batch", BATCH, seconds, BATCH_EVENTS_S / BATCH
                ),
                "X12 315, as fast as answered": partial(_run, servers, keys, "x12", 1, seconds, 0),
                "DCSA 2.2, as fast as answered": partial(_run, servers, keys, "dcsa", 1, seconds, 0),
                f"batches of {BATCH}, as fast as answered": partial(_run, servers, keys, "batch", BATCH, seconds, 0),
            }
            found = interleaved(bench.sizes.runs, variants, bench.tell)
    for name, runs in found.items():
        paced = " at " in name
        rate = {
            f"single events at {SINGLES_S:,}/s": SINGLES_S * 0.99,
            f"batches of {BATCH}, as fast as answered": BATCH_EVENTS_S,
        }
        result.add(name, "events/s", [run.events_s for run in runs], at_least=rate.get(name))
        result.add(f"{name}: p50", "ms", [run.p50_ms for run in runs])
        goal = 50.0 if paced and name.startswith("single") else None
        result.add(f"{name}: p99", "ms", [run.p99_ms for run in runs], at_most=goal)
        result.add(f"{name}: door", "CPU s per million events", [run.door_cpu for run in runs])
        result.add(f"{name}: client", "CPU s per million events", [run.client_cpu for run in runs])
    result.notes.append("Latency from the moment a request was due (open loop) or sent (as fast as answered) to its 202.")
    return result


def credentials(servers: Servers) -> list[str]:
    """Registers the load's senders with a key each; the carriers' keys in the order of load.CARRIERS."""
    made = {code: make_key(code, ("push",), now()) for code in load.CARRIERS}
    servers.register(more=[account for _, account in made.values()])
    return [made[code][0] for code in load.CARRIERS]


def push(servers: Servers, order: Order) -> Answered:
    """Runs the client to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.client"],
        input=msgspec.json.encode(order),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        timeout=600,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Answered)


def _run(servers: Servers, keys: list[str], form: str, events: int, seconds: float, rate_s: float) -> Run:
    guess_s = {1: 1_500, BATCH: 30}[events]
    requests = max(CONNECTIONS, int(seconds * (rate_s or guess_s)))
    before = sum(servers.ends(RAW_MESSAGES.name).values())
    port = servers.settings.api_port
    order = Order(port, keys, form, events, requests, rate_s, CONNECTIONS, load.recent_base(now()).timestamp())
    with Meter({"api": servers.pids["api"]}) as meter:
        answered = push(servers, order)
    count = requests * events
    if answered.refused or len(answered.latencies_ms) != requests:
        raise NotEqual(f"{form} x {events}: of {requests} requests {len(answered.latencies_ms)} got a 202; {answered.refused}")
    until(lambda: sum(servers.ends(RAW_MESSAGES.name).values()) >= before + requests, "all records in raw.messages", 10)
    return Run(
        count / answered.wall_s,
        percentile(answered.latencies_ms, 0.5),
        percentile(answered.latencies_ms, 0.99),
        meter.cpu_s("api", answered.since, answered.since + answered.wall_s) / count * 1e6,
        answered.cpu_s / count * 1e6,
    )
