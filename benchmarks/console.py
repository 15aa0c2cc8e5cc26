"""The console at size: its pages and API over HTTP, on a million consignments and twelve million events in ClickHouse.

Rows are made in ClickHouse from some hundred templates (tests/browser/world.py, through the sink's own rows): a tenth of the
consignments is under way, four fifths of these in trouble, the others were delivered on one of the last 400 days, about in the
order of their numbers.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

import httpx
from cryptography.fernet import Fernet
from pydantic import BaseModel

from benchmarks.bench import Bench
from benchmarks.harness import Meter, NotEqual, Result, percentile
from benchmarks.servers import READY_S, now
from demo import world as port
from deploy.local import environment, part, process
from deploy.local.clickhouse import ClickHouseServer, Passwords
from deploy.local.services import SERVICES, ServicePart
from schemas.alerts_v1 import Delivery, Notification
from schemas.journey_v1 import Journey
from schemas.shipment_event_v1 import ShipmentEvent
from schemas.topics import TOPICS
from services.console.entry import REQUESTS_S
from services.console.settings import ConsoleSettings
from services.runtime.clickhouse import ClickHouse, connect
from services.runtime.sources import Record
from services.runtime.wire import dump
from services.sink import inserts, migrate
from services.sink.rows import LOG_TABLES, STATE_COLUMNS, state_row
from tests.browser import world
from tests.unit.sink.examples import exception

EVENTS_EACH: Final = 12
OPEN_TEMPLATES, DONE_TEMPLATES = 500, 400
BLOCK: Final = 100_000
DAYS: Final = 400
PAGE_MS, CONSIGNMENT_MS, SEARCH_MS = 150.0, 100.0, 150.0
LIVE_P99_S: Final = 1.0
PAINT_BYTES: Final = 150_000


@dataclass(frozen=True, slots=True)
class Asked:
    """An address, and what it may take (ms, p95)."""

    what: str
    path: str
    goal: float | None = None


def measure(bench: Bench) -> Result:
    """p95 of each page and API call; viewers who listen; bytes of the first paint."""
    size, requests, viewers = bench.sizes.console_consignments, bench.sizes.console_requests, bench.sizes.console_viewers
    result = Result(
        "Today and the lists show as many as a plain count over the table of all journeys; each reference leads to its one"
    )
    with _servers(bench) as (settings, database, pids):
        began = time.monotonic()
        fill(database, size, bench.tell)
        result.notes.append(
            f"{size:,} consignments ({size // 10:,} under way), {size * EVENTS_EACH:,} events, made in"
            f" {time.monotonic() - began:.0f} s. p95 of {requests} requests of one viewer after another, over HTTP."
        )
        with httpx.Client(base_url=settings.links_url, timeout=60, trust_env=False) as client:
            check(database, client, size)
            for asked in questions(size):
                took = _took_ms(client, asked.path, requests)
                result.add(asked.what, "ms, p95", percentile(took, 0.95), at_most=asked.goal)
                bench.tell(f"{asked.what}: {percentile(took, 0.95):.0f} ms (median {percentile(took, 0.5):.0f})")
            result.add("first paint of Today, all files", "bytes packed", float(painted(client)), at_most=PAINT_BYTES)
        with Meter(pids) as meter:
            took = asyncio.run(_watched(settings.links_url, viewers, requests))
        result.add(f"Today beside {viewers} who listen", "s, p99", percentile(took, 0.99), at_most=LIVE_P99_S)
        result.add("the console's memory then", "MB", meter.peak_rss("console") / 1e6)
        database.close()
    return result


def questions(size: int) -> Sequence[Asked]:
    """What is asked. Consignments and references differ from request to request (`{n}`)."""
    api = "/api/v1"
    return (
        Asked("Today", "/", PAGE_MS),
        Asked("Delayed", "/delayed", PAGE_MS),
        Asked("Delayed: anything wrong", "/delayed?exception=any", PAGE_MS),
        Asked("Delayed: of one hospital, by vessel", "/delayed?hospital=H-CEDARS&group=vessel", PAGE_MS),
        Asked("Delayed: 20,000 rows down", f"/delayed?exception=any&offset={min(20_000, size // 20)}", PAGE_MS),
        Asked("Consignment", "/consignments/LVLA-{n}", CONSIGNMENT_MS),
        Asked("Search: a container", "/consignments?q=MRSU{n}", SEARCH_MS),
        Asked("Search: words", "/consignments?q=maersk+ess", SEARCH_MS),
        Asked("Consignments under way", "/consignments?state=open"),
        Asked("Consignments: all", "/consignments"),
        Asked("Delivered today", "/consignments?delivered=today"),
        *(Asked(name.capitalize(), f"/{name}") for name in ("hospitals", "vessels", "terminals", "carriers", "feeds")),
        *(Asked(name.capitalize(), f"/{name}") for name in ("unmatched", "messages", "health")),
        Asked("One hospital", "/hospitals/H-CEDARS"),
        Asked("API today", f"{api}/today", PAGE_MS),
        Asked("API delayed", f"{api}/delayed", PAGE_MS),
        Asked("API consignment", f"{api}/consignments/LVLA-{{n}}", CONSIGNMENT_MS),
        Asked("API search", f"{api}/consignments?q=MRSU{{n}}", SEARCH_MS),
        Asked("API inbound", f"{api}/inbound"),
        Asked("API terminals", f"{api}/terminals"),
        Asked("API feeds", f"{api}/feeds"),
        Asked("DCSA events of a container", "/v2/events?equipmentReference=MRSU{n}"),
        Asked("CSV of all that is wrong", f"{api}/delayed?exception=any&format=csv"),
    )


# --- servers


@contextmanager
def _servers(bench: Bench) -> Iterator[tuple[ConsoleSettings, ClickHouse, dict[str, int]]]:
    """ClickHouse and the console in demo mode; no Kafka, which pages do not need."""
    folder = bench.folder / "console"
    folder.mkdir(parents=True)
    state_dir = folder / "state"
    tcp, http, own = process.free_ports(3)
    passwords = Passwords(*(secrets.token_urlsafe(16) for _ in range(3)))
    environment.write(
        state_dir,
        {
            "LOVLA_KAFKA": "127.0.0.1:1",
            "LOVLA_CLICKHOUSE_PORT": str(tcp),
            "LOVLA_CLICKHOUSE_HTTP_PORT": str(http),
            "LOVLA_CLICKHOUSE_WRITER_PASSWORD": passwords.writer,
            "LOVLA_CLICKHOUSE_READER_PASSWORD": passwords.reader,
            "LOVLA_CLICKHOUSE_ADMIN_PASSWORD": passwords.admin,
            "LOVLA_SECRET_KEY": Fernet.generate_key().decode(),
            "LOVLA_CONSOLE_PORT": str(own),
            "LOVLA_CONSOLE_DEMO": "true",
        },
    )
    settings = ConsoleSettings.load(state_dir)
    service = next(one for one in SERVICES if one.name == "console")
    console = ServicePart(service, state_dir, own, environment.read(state_dir))
    with ExitStack() as ends:
        ends.callback(shutil.rmtree, folder, ignore_errors=True)
        pids = {}
        for server in (ClickHouseServer(folder / "clickhouse", tcp, http, passwords), console):
            running = part.launch(server)
            ends.callback(process.stop, running, grace_s=30)
            part.await_ready(server, running, READY_S)
            if server is not console:
                migrate.apply(settings)
            pids[server.name] = running.pid
        yield settings, connect(settings, "admin", timeout_s=600), pids


# --- rows


def fill(database: ClickHouse, size: int, tell: Any) -> None:
    """All rows, by INSERT SELECT from the templates."""
    at = now().replace(microsecond=0)
    hospitals = port.hospitals()
    templates = [
        *((number, at) for number in islice((n for n in range(10**6) if n % 11 != 10), OPEN_TEMPLATES)),
        *((11 * n + 10, at - timedelta(days=n * DAYS // DONE_TEMPLATES)) for n in range(DONE_TEMPLATES)),
    ]
    records = [list(world.consignment(number, moment, hospitals)) for number, moment in templates]
    journeys = [next(one for one in told if isinstance(one, Journey)) for told in records]
    events = [one for told in records for one in told if isinstance(one, ShipmentEvent)]
    moments = [at - timedelta(days=n % DAYS, minutes=n % 1_440) for n in range(2 * DAYS)]
    changes = [world.opened(f"X-{n}", exception("late"), moment, hospitals[n % 5]) for n, moment in enumerate(moments)]
    messages = [
        one
        for n, moment in enumerate(moments)
        for one in world.message(f"X-{n}", hospitals[n % 5], moment, "Late", "delivered")
    ]
    _registers(database, at)
    _templates(database, "journeys", journeys)
    _templates(database, "shipment_events", events)
    _templates(database, "journey_changes", changes)
    _templates(database, "notifications", [one for one in messages if isinstance(one, Notification)])
    _templates(database, "deliveries", [one for one in messages if isinstance(one, Delivery)])
    of = {"open": OPEN_TEMPLATES, "done": DONE_TEMPLATES, "size": size}
    for first in range(0, size, BLOCK):
        tell(f"{first:,} of {size:,} consignments")
        rows = {"first": first, "rows": min(BLOCK, size - first)}
        database.execute(_JOURNEYS, rows | of)
        database.execute(_EVENTS, {"first": first * EVENTS_EACH, "rows": rows["rows"] * EVENTS_EACH, "templates": len(events)})
        for sql in (_CHANGES, _NOTIFICATIONS, _DELIVERIES):
            database.execute(sql, {**rows, "templates": 2 * DAYS})
    # as it stands a day later, while journeys change: what ended long ago has left, and small parts lie upon the great ones
    database.execute("ALTER TABLE open_journeys DELETE WHERE gone SETTINGS mutations_sync = 1")
    for first in range(0, size, size // 20):
        database.execute(_JOURNEYS, {"first": first, "rows": 100} | of)


def _registers(database: ClickHouse, at: datetime) -> None:
    """Registers, feeds and the clock: as the world has them."""
    rows: dict[str, list[Any]] = {}
    for one in world.records(at, size=0, hostile=False):
        if (made := _state(one)) is not None:
            rows.setdefault(made.table, []).append(made.values)
    for table, values in rows.items():
        database.insert(table, STATE_COLUMNS[table], inserts.columns_of(values))


def _state(record: BaseModel) -> Any:
    topic = next(topic for topic in TOPICS if type(record) in topic.records)
    return None if topic.name in LOG_TABLES else state_row(Record(topic.name, 0, 0, 0, b"", dump(record), None))


def _templates(database: ClickHouse, table: str, records: Sequence[BaseModel]) -> None:
    """template_TABLE: the rows as the sink would write them, each with its number, `template_no`."""
    database.execute(f"CREATE TABLE template_{table} AS {table} ENGINE = Memory")
    database.execute(f"ALTER TABLE template_{table} ADD COLUMN template_no UInt32")
    topic = next(topic for topic in TOPICS if type(records[0]) in topic.records)
    if table in STATE_COLUMNS:
        names = (*STATE_COLUMNS[table], "template_no")
        values = [(*_state(one).values, place) for place, one in enumerate(records)]
    else:
        log = LOG_TABLES[topic.name]
        names = (*log.names, "template_no")
        values = [
            (*log.row(Record(topic.name, 0, place, _moment_ms(one), b"", dump(one), None)), place)
            for place, one in enumerate(records)
        ]
    database.insert(f"template_{table}", names, inserts.columns_of(values))


def _moment_ms(record: Any) -> int:
    moment = getattr(record, "received_at", None) or getattr(record, "due_at", None) or record.at
    return int(moment.timestamp() * 1000)


_JOURNEYS: Final = """
INSERT INTO journeys
SELECT t.* EXCEPT template_no REPLACE (
    concat('LVLA-', toString(n)) AS consignment,
    t.version + 1 AS version,
    arrayMap(
        r -> (r.kind, if(r.kind = 'voyage', r.value, concat(substring(r.value, 1, 4), leftPad(toString(n), 7, '0'))), r.how),
        t.references
    ) AS references,
    replaceAll(t.record, t.consignment, concat('LVLA-', toString(n))) AS record
)
FROM
(
    SELECT
        {first:UInt64} + number AS n,
        toUInt32(if(n % 10 = 0, intDiv(n, 10) % {open:UInt32}, {open:UInt32} + intDiv(n * {done:UInt32}, {size:UInt64}))) AS of
    FROM numbers({rows:UInt64})
) AS made
INNER JOIN template_journeys AS t ON t.template_no = made.of
"""
_LOG: Final = """
INSERT INTO {table}
SELECT t.* EXCEPT template_no REPLACE (
    toUInt32(n % 4) AS k_partition,
    n AS k_offset,
    {more}
)
FROM
(
    SELECT {{first:UInt64}} + number AS n, toUInt32(cityHash64(n) % {{templates:UInt32}}) AS of
    FROM numbers({{rows:UInt64}})
) AS made
INNER JOIN template_{table} AS t ON t.template_no = made.of
"""
_EVENTS: Final = _LOG.format(
    table="shipment_events",
    more="""lower(hex(sipHash128(n))) AS event_id,
    arrayMap(
        r -> (r.kind, concat(substring(r.value, 1, 4), leftPad(toString(intDiv(n, 12)), 7, '0'))), t.references
    ) AS references""",
)
_CHANGES: Final = _LOG.format(
    table="journey_changes",
    more="concat('LVLA-', toString(n)) AS consignment, lower(hex(sipHash128(n))) AS change_id",
)
_NOTIFICATIONS: Final = _LOG.format(
    table="notifications",
    more="""lower(hex(sipHash128(n))) AS notification,
    replaceAll(t.record, concat('X-', toString(t.k_offset)), concat('LVLA-', toString(n))) AS record""",
)
_DELIVERIES: Final = _LOG.format(table="deliveries", more="lower(hex(sipHash128(n))) AS notification")


# --- is it right


def check(database: ClickHouse, client: httpx.Client, size: int) -> None:
    """Raises NotEqual where a page says other than a plain count."""
    plain = database.query(
        """
        SELECT countIf(stage NOT IN ('delivered', 'cancelled')) AS open,
            countIf(hasAny(open_kinds, ['late', 'overdue', 'will_be_late'])) AS delayed
        FROM journeys FINAL
        """
    )[0]
    today = client.get("/api/v1/today").raise_for_status().json()["today"]["standing"]
    if today["open"] != plain["open"]:
        raise NotEqual(f"Today says {today['open']} open, but {plain['open']} are")
    page = client.get("/delayed").raise_for_status().text
    told = re.search(r'class="summary"[^>]*><b class="number">([\d,]+)<', page)
    if told is None or int(told[1].replace(",", "")) != plain["delayed"]:
        raise NotEqual(f"Delayed says {told and told[1]}, but {plain['delayed']} are")
    for n in (0, size // 2, size - 1):
        rows = client.get(f"/api/v1/consignments?q=MRSU{n:07d}").raise_for_status().json()["rows"]
        if [row["consignment"].partition("-")[2] for row in rows] not in ([str(n)], []):
            raise NotEqual(f"MRSU{n:07d} leads to {[row['consignment'] for row in rows]}")


# --- asking


def _took_ms(client: httpx.Client, path: str, requests: int) -> list[float]:
    """How long each answer took, all of it; two first, to open connections and fill caches."""
    took = []
    for turn in range(requests + 2):
        n = turn * 1_690  # every buyer's, so that one is asked for that is there
        address = path.format(n=f"{n:07d}" if "MRSU" in path else n)
        while True:
            began = time.perf_counter()
            answer = client.get(address)
            if answer.status_code != 429:
                break
            time.sleep(0.5)
        if answer.status_code not in (200, 404):
            raise NotEqual(f"{address}: {answer.status_code} {answer.text[:200]}")
        took.append((time.perf_counter() - began) * 1000)
    return took[2:]


def painted(client: httpx.Client) -> int:
    """Bytes that a browser which comes for the first time is sent for Today and all its files."""
    page = client.get("/", headers={"Accept-Encoding": "br, gzip"})
    total = _sent(page)
    for address in sorted(set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text))):
        total += _sent(client.get(address, headers={"Accept-Encoding": "br, gzip"}))
    return total


def _sent(answer: httpx.Response) -> int:
    return int(answer.headers.get("content-length") or answer.num_bytes_downloaded)


async def _watched(address: str, viewers: int, requests: int) -> list[float]:
    """Seconds of Today, asked again and again while so many listen to what is new."""
    limits = httpx.Limits(max_connections=viewers + 20, max_keepalive_connections=viewers + 20)
    async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits, trust_env=False) as client:
        listening = [asyncio.create_task(_listen(client)) for _ in range(viewers)]
        await asyncio.sleep(viewers / REQUESTS_S + 2)  # so many new requests of one viewer are let in
        took = []
        for _ in range(requests):
            began = time.perf_counter()
            (await client.get("/")).raise_for_status()
            took.append(time.perf_counter() - began)
            await asyncio.sleep(0.25)
        failed = [task for task in listening if task.done()]
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        if failed:
            raise NotEqual(f"{len(failed)} of {viewers} streams ended")
    return took


async def _listen(client: httpx.AsyncClient) -> None:
    while True:
        async with client.stream("GET", "/live") as answer:
            if answer.status_code == 429:
                await asyncio.sleep(1)
                continue
            async for _ in answer.aiter_raw():
                pass
            return


__all__ = ["fill", "measure"]
