"""Push to queryable: from the moment at which a request was due to the moment at which ClickHouse shows what it said.

The whole pipeline on the machine's cores. Requests of 10 events come in an open loop; each speaks of a journey that nothing was
said of before, and a poller asks ClickHouse which of those that it has not seen show events. What a poll finds became visible
at most one poll earlier: latencies are too long by half a poll on average, never too short.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks import load
from benchmarks.bench import Bench
from benchmarks.client import Order
from benchmarks.harness import Meter, NotEqual, Result, percentile, until
from benchmarks.ingest import OPEN_RATES, credentials, push
from benchmarks.servers import Servers, now
from schemas.topics import RAW_MESSAGES
from services.runtime.clickhouse import ClickHouse

GOAL_P99_S = {1_000: 1.5}
EVENTS = 10
POLL_S = 0.05
ASKED_FOR = 500  # journeys at once, the oldest first: what is asked must not itself be a load
WARM = 1 / 3  # of the requests: before, Java compiles and connections are made; the figures are of those after
PARTS = ("api", "readers", "tracker", "sink", "kafka", "clickhouse")


@dataclass
class Poller:
    """Notes when each journey of `wanted`, in the order in which they are due, first shows at least one event."""

    database: ClickHouse
    wanted: Sequence[str]
    seen: dict[str, float] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        waiting = list(self.wanted)
        while waiting and not self.stop.wait(POLL_S):
            rows = self.database.query(
                "SELECT DISTINCT consignment FROM journeys WHERE events > 0 AND consignment IN {waiting:Array(String)}",
                {"waiting": waiting[:ASKED_FOR]},
            )
            at = time.time()
            self.seen |= {row["consignment"]: at for row in rows}
            waiting = [name for name in waiting if name not in self.seen]


def measure(bench: Bench) -> Result:
    """p50 and p99 at each rate, one run each: a run is long, and what varies is inside it."""
    result = Result("every probe was seen, and every request was answered 202")
    for rate in bench.sizes.rates:
        with Servers(bench.folder / "freshness", broker=bench.broker) as servers:
            bench.tell(f"{rate:,} events/s")
            try:
                _one(servers, result, rate, bench.sizes.seconds)
            except TimeoutError as error:
                # above what the machine carries, lag grows without end: no percentile of it means anything
                result.notes.append(f"At {rate:,} events/s the pipeline fell behind and had not caught up in time ({error}).")
    result.notes.append(
        f"Requests of {EVENTS} events; each speaks of a journey that nothing was said of before, and its latency ends when "
        f"ClickHouse shows that (asked every {POLL_S * 1000:.0f} ms). The first third is a warm-up."
    )
    return result


def _one(servers: Servers, result: Result, rate: int, seconds: float) -> None:
    database = servers.with_clickhouse()
    keys = credentials(servers)
    base = load.recent_base(now())
    requests = int(seconds * rate / EVENTS)
    journeys = range((requests // len(load.CARRIERS) + 1) * len(load.CARRIERS))
    registrations = [load.raw_registrations(journeys[n : n + 1_000], base) for n in range(0, len(journeys), 1_000)]
    with (
        servers.service("readers"),
        servers.service("tracker"),
        servers.service("sink"),
        servers.service("api", OPEN_RATES),
    ):
        servers.fill((RAW_MESSAGES.name, record) for record in registrations)
        _await(database, len(journeys))
        wanted = [_journey_of(n) for n in range(requests)]
        poller = Poller(database, wanted)
        thread = threading.Thread(target=poller.run, name="poller", daemon=True)
        order = Order(servers.settings.api_port, keys, "batch", EVENTS, requests, rate / EVENTS, 32, base.timestamp())
        with Meter({name: servers.pids[name] for name in PARTS}) as meter:
            thread.start()
            answered = push(servers, order)
            try:
                until(lambda: poller.seen.keys() >= set(wanted), "all requests visible", 60 + 4 * seconds)
            finally:
                poller.stop.set()
                thread.join()
    database.close()
    if answered.refused:
        raise NotEqual(f"at {rate} events/s requests were refused: {answered.refused}")
    warm = int(requests * WARM)
    lags = [poller.seen[name] - (answered.since + n / order.rate_s) for n, name in enumerate(wanted)]
    _add(result, rate, lags[warm:], answered.latencies_ms[warm:])
    since_s, until_s = answered.since + warm / order.rate_s, answered.since + answered.wall_s
    for name in PARTS:
        cores = meter.cpu_s(name, since_s, until_s) / (until_s - since_s)
        result.add(f"at {rate:,} events/s: {name}", "cores", cores)
    result.add(f"at {rate:,} events/s: client", "cores", answered.cpu_s / answered.wall_s)


def _journey_of(request: int) -> str:
    """The journey that a request of the client speaks of (benchmarks/client.py, `bodies`: one carrier's, in turn)."""
    return load.consignment_of(request // len(load.CARRIERS) * len(load.CARRIERS) + request % len(load.CARRIERS))


def _add(result: Result, rate: int, lags: Sequence[float], pushed_ms: Sequence[float]) -> None:
    name = f"at {rate:,} events/s"
    result.add(f"{name}: due to visible in journeys, p50", "s", percentile(lags, 0.5))
    result.add(f"{name}: due to visible in journeys, p99", "s", percentile(lags, 0.99), at_most=GOAL_P99_S.get(rate))
    result.add(f"{name}: due to visible in journeys, most", "s", max(lags))
    result.add(f"{name}: due to 202, p99", "ms", percentile(pushed_ms, 0.99))


def _await(database: ClickHouse, journeys: int) -> None:
    def there() -> bool:
        return bool(database.query("SELECT uniqExact(consignment) AS n FROM journeys")[0]["n"] >= journeys)

    until(there, "registrations in ClickHouse", 300, every_s=0.5)
