"""The sink as it runs: a full topic into its log table by planned inserts, without and with the table's views."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import islice

from benchmarks import load
from benchmarks.bench import Bench
from benchmarks.harness import Meter, NotEqual, Result, interleaved
from benchmarks.load import EVENTS_A_JOURNEY, Raw
from benchmarks.servers import Servers, now
from benchmarks.timeline import SKIP, Rate
from schemas.topics import SHIPMENT_EVENTS
from services.ingest.readers import Context, Registers
from services.ingest.readers.json_items import json_items
from services.ingest.readers.lovla import read
from services.ingest.readers.model import LIMITS
from services.runtime.clickhouse import ClickHouse
from services.runtime.wire import dump
from services.sink.logs import GROUP

GOAL_ROWS_S = 150_000
TABLE = "shipment_events"
VIEW = "event_references__from__shipment_events"
TEMPLATES = 1_200
CPU = "CPU s per million rows"
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Run:
    rows_s: float
    cpu: dict[str, float]
    parts_s: float
    rows_a_part: float


def measure(bench: Bench) -> Result:
    """rows/s into shipment_events, the widest log table, with 37 columns and the event's own JSON."""
    rows = bench.sizes.sink_rows
    result = Result("the table has each offset of the topic once (count = uniqExact), in every run")
    with Servers(bench.folder / "sink", broker=bench.broker) as servers:
        database = servers.with_clickhouse()
        create_view = database.query(f"SHOW CREATE TABLE {VIEW}")[0]["statement"]
        servers.fill(_events(rows))
        found = interleaved(
            bench.sizes.runs,
            {
                "without views": partial(_run, servers, database, rows, None),
                "with views": partial(_run, servers, database, rows, create_view),
            },
            bench.tell,
        )
        database.close()
    for name, runs in found.items():
        result.add(f"shipment_events, {name}", "rows/s", [run.rows_s for run in runs], at_least=GOAL_ROWS_S)
        for who in ("sink", "clickhouse", "kafka"):
            result.add(f"{name}: {who}", CPU, [run.cpu[who] for run in runs])
        result.add(f"{name}: parts made", "1/s", [run.parts_s for run in runs])
        result.add(f"{name}: rows a part", "rows", [run.rows_a_part for run in runs])
    result.notes.append(
        "A backlog, so blocks are full: one part of 50,000 rows an insert. In live running a part a flush: 250 ms or 2 s."
    )
    return result


def _run(servers: Servers, database: ClickHouse, rows: int, view: str | None) -> Run:
    database.execute(f"DROP VIEW IF EXISTS {VIEW} SYNC")
    if view is not None:
        database.execute(view)
    for table in (TABLE, "event_references"):
        database.execute(f"TRUNCATE TABLE {table} SYNC")
    # the deduplication window outlives a truncation: a repeat of the same offsets would be taken for one
    database.execute(f"ALTER TABLE {TABLE} MODIFY SETTING non_replicated_deduplication_window = 0")
    database.execute(f"ALTER TABLE {TABLE} MODIFY SETTING non_replicated_deduplication_window = 100000")
    servers.renew((), [GROUP, "sink.state"])
    before = _parts(database)
    with servers.service("sink", ready=False), Meter(servers.pids) as meter:
        seen = _watch(database, rows)
    made = _parts(database) - before
    check = database.query(
        f"SELECT count() AS rows, uniqExact(k_topic, k_partition, k_offset) AS places FROM {TABLE} WHERE kind = 'event'"  # noqa: S608  our own names
    )[0]
    if (check["rows"], check["places"]) != (rows, rows):
        raise NotEqual(f"{rows} records, but {check['rows']} rows of {check['places']} places")
    since, first = next((at, count) for at, count in seen if count >= rows * SKIP)
    until, last = next((at, count) for at, count in seen if count >= rows)
    span = Rate(max(last - first, 1), since, until)
    cpu = {name: span.cpu_s_per_million(meter, name) for name in ("sink", "clickhouse", "kafka")}
    return Run(span.per_s, cpu, Rate(made, seen[0][0], seen[-1][0]).per_s, rows / max(made, 1))


def _watch(database: ClickHouse, rows: int) -> Sequence[tuple[float, int]]:
    """How many rows there are, again and again, until all are."""
    seen: list[tuple[float, int]] = []
    pause = threading.Event()
    deadline = time.monotonic() + 120 + rows / 5_000
    while time.monotonic() < deadline:
        count = database.query(f"SELECT count() AS rows FROM {TABLE}")[0]["rows"]  # noqa: S608  our own name
        if count:
            seen.append((time.time(), count))
        if count >= rows:
            return seen
        pause.wait(POLL_S)
    raise TimeoutError(f"{seen[-1][1] if seen else 0} of {rows} rows after {120 + rows / 5_000:.0f} s")


def _parts(database: ClickHouse) -> int:
    """How many parts inserts have made since the server started."""
    found = database.query(
        "SELECT sum(value) AS parts FROM system.events WHERE event IN ('InsertedWideParts', 'InsertedCompactParts')"
    )
    return int(found[0]["parts"])


def _events(rows: int) -> Iterator[tuple[str, Raw]]:
    """Records of shipment.events as the readers write them: templates of real ones, each with an id of its own."""
    base = load.recent_base(now())
    context = Context("MAEU", now() + timedelta(minutes=1), Registers.of(load.SENDERS, load.FACILITIES), "ab" * 32, 0, 0)
    templates: list[tuple[bytes, bytes, bytes]] = []
    for told in islice(load.tellings(range(TEMPLATES // EVENTS_A_JOURNEY), base), TEMPLATES):
        items = json_items(load.body("lovla", told)[0], "application/json", LIMITS)
        event = next(read(items, context)).event
        assert event is not None
        value = dump(event)
        templates.append((told.sender.encode(), value, event.event_id.encode()))
    for n in range(rows):
        sender, value, event_id = templates[n % len(templates)]
        yield SHIPMENT_EVENTS.name, Raw(sender, value.replace(event_id, b"%032x" % n, 1), [], 1)
