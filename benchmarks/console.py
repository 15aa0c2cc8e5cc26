"""The console at size: its pages and API over HTTP, on a million consignments and twelve million events in ClickHouse.

Rows are made in ClickHouse from some hundred templates (tests/browser/world.py, through the sink's own rows): a tenth of the
consignments is under way, four fifths of these in trouble, the others were delivered on one of the last 400 days, about in the
order of their numbers. Each has twelve events, of its own template and under its own reference, of which one in a hundred names
a box that nobody has and one in fifty repeats the one before; a raw message, one of fifty a dead letter, a fifth of those under
way somebody who takes care. It is asked once what was written lies as it does at rest: no merge of the filling is left.

Three measurements: one viewer after another asks for each page and API call; many listen to what is new, while things change
and each opens a page a minute; a real browser that was never there paints the first page. Not asked: the pages by verbs
(subscriptions, why, mailbox), which know nothing of ClickHouse, and forms, whose answer waits for the pipeline.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import accumulate, islice
from typing import Any, Final

import httpx
import psutil
from cryptography.fernet import Fernet
from playwright.sync_api import Page
from pydantic import BaseModel

from benchmarks.bench import Bench
from benchmarks.harness import Meter, NotEqual, Result, percentile, until
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
from services.console.tracking import token
from services.runtime.clickhouse import ClickHouse, connect
from services.runtime.sources import Record
from services.runtime.wire import dump
from services.sink import inserts, migrate
from services.sink.rows import LOG_TABLES, STATE_COLUMNS, state_row
from tests.browser import world
from tests.browser.driving import chromium, found
from tests.unit.sink.examples import exception

EVENTS_EACH: Final = 12
OPEN_TEMPLATES, DONE_TEMPLATES = 500, 400
BLOCK: Final = 100_000
DAYS: Final = 400
ASK_S, ASK_LEAST = 20.0, 10
"""A question is asked no longer than this, once it was asked so many times."""
PAGE_MS, CONSIGNMENT_MS, SEARCH_MS = 150.0, 100.0, 150.0
LIVE_P99_S: Final = 1.0
GROWN_MB: Final = 10.0
PAINT_BYTES: Final = 150_000
PAINTS: Final = 5
A_PAGE_EACH_S: Final = 60.0
LETTERS: Final = 50
"""One dead letter for so many consignments."""
REST_S: Final = 300.0
"""So long the merges of what was written may take before the first question is asked."""
_BOTH_CORES: Final = {"max_insert_threads": 2}


@dataclass(frozen=True, slots=True)
class Asked:
    """An address, and what it may take (ms, p95). `kept`: counted once a minute for all: who asks first is told apart.
    `pieces`: it comes as it is read: until its first lines are here is told apart."""

    what: str
    path: str
    goal: float | None = None
    kept: bool = False
    pieces: bool = False


def measure(bench: Bench) -> Result:
    """p95 of each page and API call; viewers who listen; bytes of the first paint."""
    size, requests, viewers = bench.sizes.console_consignments, bench.sizes.console_requests, bench.sizes.console_viewers
    result = Result(
        "Today and the lists show as many as a plain count over the table of all journeys; each reference leads to its one"
    )
    with _servers(bench) as (settings, database, pids):
        began = time.monotonic()
        fill(database, size, bench.tell)
        filled_s = time.monotonic() - began
        _come_to_rest(database)
        result.notes.append(
            f"{size:,} consignments ({size // 10:,} under way), {size * EVENTS_EACH:,} events, made in"
            f" {filled_s:.0f} s. p95 of {requests} requests of one viewer after another, over HTTP (of"
            f" {ASK_LEAST} or more where they take {ASK_S:.0f} s together)."
        )
        with httpx.Client(base_url=settings.links_url, timeout=600, trust_env=False) as client:
            check(database, client, size)
            given = _given(database, settings, requests)
            for asked in questions(size):
                took = _took_ms(client, asked.path, given, requests)
                if asked.kept:
                    result.add(f"{asked.what}, the first who asks", "ms", took.first)
                result.add(asked.what, "ms, p95", percentile(took.ms, 0.95), at_most=asked.goal)
                if asked.pieces:
                    result.add(f"{asked.what}, its first lines", "ms, p95", percentile(took.lines, 0.95))
                if took.refused:
                    result.notes.append(f"{asked.what}: {took.refused} of {len(took.ms) + 2} were refused (503).")
                bench.tell(
                    f"{asked.what}: {percentile(took.ms, 0.95):.0f} ms (median {percentile(took.ms, 0.5):.0f},"
                    f" first {took.first:.0f}, refused {took.refused})"
                )
        _painted(settings.links_url, min(PAINTS, requests), result)
        with Meter(pids) as meter:
            watched = _Watched(database, viewers, max(requests * 1.5, 6.0), psutil.Process(pids["console"]))
            asyncio.run(watched.run(settings.links_url, size))
        told = f"beside {viewers} who listen"
        result.add(f"a page, {told} and open one a minute each", "s, p99", percentile(watched.pages, 0.99), at_most=LIVE_P99_S)
        result.add(f"from a change to the pages of {viewers}", "s, p99", percentile(watched.news, 0.99), at_most=LIVE_P99_S)
        result.add("the console's memory then", "MB", meter.peak_rss("console") / 1e6)
        result.add("of it grown meanwhile, the first third apart", "MB", max(watched.grown / 1e6, 0), at_most=GROWN_MB)
        result.notes.append(
            f"{viewers} listened for {watched.seconds:.0f} s: {len(watched.inserted)} changes, {len(watched.pages)} pages."
        )
        database.close()
    return result


def questions(size: int) -> Sequence[Asked]:
    """What is asked: every page and every API call. What stands in braces differs from request to request (_given)."""
    api = "/api/v1"
    reports = ("hospitals", "vessels", "terminals", "carriers", "feeds", "unmatched", "messages", "health")
    counted = ("terminals", "carriers", "feeds", "unmatched")
    lists = (*reports, "arrivals", "inbound")
    shared = (*counted, "arrivals", "inbound")
    return (
        Asked("Today", "/", PAGE_MS, kept=True),
        Asked("Delayed", "/delayed", PAGE_MS),
        Asked("Delayed: anything wrong", "/delayed?exception=any", PAGE_MS),
        Asked("Delayed: of one hospital, by vessel", "/delayed?hospital=H-CEDARS&group=vessel", PAGE_MS),
        Asked("Delayed: of a carrier, a category, tier 1", "/delayed?carrier=MAEU&item=glove&tier=1", PAGE_MS),
        Asked("Delayed: by nobody yet, by what is expected", "/delayed?exception=any&work=to_do&sort=expected", PAGE_MS),
        Asked("Delayed: 20,000 rows down", f"/delayed?exception=any&offset={min(20_000, size // 20)}", PAGE_MS),
        Asked("Consignment", "/consignments/LVLA-{n}", CONSIGNMENT_MS),
        Asked("Consignment: as of two days ago", "/consignments/LVLA-{n}?at={then}", CONSIGNMENT_MS),
        Asked("Consignment: there is none of that name", "/consignments/XX-{n}"),
        Asked("Receipt of a consignment", "/consignments/LVLA-{n}/receive", CONSIGNMENT_MS),
        Asked("Message behind an event", "/consignments/LVLA-{n}/events/{event}"),
        Asked("Message by its place", "/messages/0/{message}"),
        Asked("Dead letter", "/letters/{letter}"),
        Asked("Public tracking", "/t/{token}"),
        Asked("Sign in", "/sign-in"),
        Asked("Search: a container", "/consignments?q=MRSU{padded}", SEARCH_MS),
        Asked("Search: words", "/consignments?q=maersk+ess", SEARCH_MS),
        Asked("Search: three digits", "/consignments?q=123", SEARCH_MS),
        Asked("Consignments under way", "/consignments?state=open"),
        Asked("Consignments: all", "/consignments"),
        Asked("Consignments: ended, by what was required", "/consignments?state=ended&sort=required"),
        Asked("Consignments: all to one hospital", "/consignments?hospital=H-CEDARS"),
        Asked("Delivered today", "/consignments?delivered=today"),
        *(Asked(name.capitalize(), f"/{name}", kept=name in counted) for name in reports),
        Asked("One hospital", "/hospitals/H-CEDARS", kept=True),
        Asked("API today", f"{api}/today", PAGE_MS),
        Asked("API delayed", f"{api}/delayed", PAGE_MS),
        Asked("API consignments: all", f"{api}/consignments"),
        Asked("API consignment", f"{api}/consignments/LVLA-{{n}}", CONSIGNMENT_MS),
        Asked("API search", f"{api}/consignments?q=MRSU{{padded}}", SEARCH_MS),
        *(Asked(f"API {name}", f"{api}/{name}", kept=name in shared) for name in lists),
        Asked("DCSA events of a consignment", "/v2/events?consignment=LVLA-{n}", CONSIGNMENT_MS),
        Asked("DCSA events of a container", "/v2/events?equipmentReference=MRSU{padded}"),
        Asked("CSV of all that is wrong", f"{api}/delayed?exception=any&format=csv", pieces=True),
        Asked("CSV of the messages of 60 days", f"{api}/messages?days=60&format=csv", pieces=True),
        Asked("Arrow of all that is wrong", f"{api}/delayed?exception=any&format=arrow"),
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
    events_of = [[one for one in told if isinstance(one, ShipmentEvent)] for told in records]
    events = [one for told in events_of for one in told]
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
    _templates(database, "dead_letters", [world.letter("MAEU", "expected a comma", moment) for moment in moments])
    of: dict[str, object] = {"open": OPEN_TEMPLATES, "done": DONE_TEMPLATES, "size": size}
    counts = [len(told) for told in events_of]
    own = of | {"counts": counts, "firsts": list(accumulate(counts, initial=0))[:-1]}
    for first in range(0, size, BLOCK):
        tell(f"{first:,} of {size:,} consignments")
        rows = {"first": first, "rows": min(BLOCK, size - first)}
        database.execute(_JOURNEYS, rows | of, _BOTH_CORES)
        database.execute(_EVENTS, own | {"first": first * EVENTS_EACH, "rows": rows["rows"] * EVENTS_EACH}, _BOTH_CORES)
        database.execute(_MESSAGES, {**rows, "templates": len(events)}, _BOTH_CORES)
        for sql in (_CHANGES, _NOTIFICATIONS, _DELIVERIES):
            database.execute(sql, {**rows, "templates": 2 * DAYS}, _BOTH_CORES)
    database.execute(_LETTERS, {"first": 0, "rows": size // LETTERS, "templates": 2 * DAYS})
    # the events that the pages of consignments name, as they are: the bytes behind them are asked for
    database.execute(
        "INSERT INTO shipment_events SELECT * EXCEPT template_no REPLACE (toUInt32(4) AS k_partition)"
        " FROM template_shipment_events"
    )
    # as it stands a day later, while journeys change: what ended long ago has left, and small parts lie upon the great ones
    database.execute("ALTER TABLE open_journeys DELETE WHERE gone SETTINGS mutations_sync = 1")
    for first in range(0, size, size // 20):
        database.execute(_JOURNEYS, {"first": first, "rows": 100} | of)
    database.execute(_ACTS)


def _come_to_rest(database: ClickHouse) -> None:
    """Until no merge of what was written is left; REST_S at most."""
    quiet, end = 0, time.monotonic() + REST_S
    while quiet < 3 and time.monotonic() < end:
        time.sleep(0.5)
        quiet = 0 if database.query("SELECT count() AS merges FROM system.merges")[0]["merges"] else quiet + 1


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
    FROM numbers_mt({rows:UInt64})
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
    FROM numbers_mt({{rows:UInt64}})
) AS made
INNER JOIN template_{table} AS t ON t.template_no = made.of
"""
_EVENTS: Final = """
INSERT INTO shipment_events
SELECT t.* EXCEPT template_no REPLACE (
    toUInt32(n % 4) AS k_partition,
    n AS k_offset,
    lower(hex(sipHash128(said))) AS event_id,
    arrayMap(
        r -> (
            r.kind,
            concat(substring(r.value, 1, 4), leftPad(toString(whose + if(said % 100 = 0, 5000000, 0)), 7, '0'))
        ),
        t.references
    ) AS references
)
FROM
(
    SELECT
        {first:UInt64} + number AS n,
        toUInt64(n - (n % 50 = 49)) AS said,
        intDiv(said, 12) AS whose,
        if(
            whose % 10 = 0,
            intDiv(whose, 10) % {open:UInt32},
            {open:UInt32} + intDiv(whose * {done:UInt32}, {size:UInt64})
        ) AS template,
        toUInt32({firsts:Array(UInt32)}[template + 1] + (said % 12) % {counts:Array(UInt32)}[template + 1]) AS of
    FROM numbers_mt({rows:UInt64})
) AS made
INNER JOIN template_shipment_events AS t ON t.template_no = made.of
"""
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
_LETTERS: Final = _LOG.format(table="dead_letters", more="lower(hex(sipHash128('letter', n))) AS letter_id")
_MESSAGES: Final = """
INSERT INTO raw_messages
    (k_topic, k_partition, k_offset, k_time, kind, sender, sha256, content_type, content_encoding, standard, received_at, cause,
    payload, payload_bytes)
SELECT 'raw.messages.v1', 0, n, t.received_at, 'message', t.sender, repeat(lower(hex(sipHash128(n))), 2), 'application/json',
    'identity', 'lovla.1', t.received_at, 'live', concat('[', t.record, ']') AS body, length(body)
FROM
(
    SELECT {first:UInt64} + number AS n, toUInt32(cityHash64(n) % {templates:UInt32}) AS of
    FROM numbers_mt({rows:UInt64})
) AS made
INNER JOIN template_shipment_events AS t ON t.template_no = made.of
"""
_ACTS: Final = """
INSERT INTO work_acts
    (k_topic, k_partition, k_offset, k_time, consignment, act, act_id, at, by, sender, exceptions, assignee, text)
SELECT 'work.acts.v1', 0, rowNumberInAllBlocks(), now64(3) - INTERVAL 2 HOUR AS moment, consignment,
    ['acknowledge', 'assign', 'note'][1 + cityHash64(consignment) % 3], lower(hex(sipHash128(consignment))), moment,
    'anna', 'OPS', exceptions.key, 'anna', 'Called the terminal.'
FROM open_journeys FINAL
WHERE cityHash64(consignment) % 5 = 1
"""
_CHANGE: Final = """
INSERT INTO journey_changes
SELECT t.* EXCEPT template_no REPLACE (
    toUInt32(5) AS k_partition,
    {n:UInt64} AS k_offset,
    now64(3) AS k_time,
    now64(3) AS at,
    concat('LVLA-', toString({n:UInt64} * 10)) AS consignment,
    lower(hex(sipHash128('change', {n:UInt64}))) AS change_id
)
FROM template_journey_changes AS t
WHERE t.template_no = 0
"""


# --- is it right


_NOBODYS: Final = """
WITH sample AS
(
    SELECT references[1].2 AS value FROM shipment_events
    WHERE kind = 'event' AND k_partition < 4 AND k_offset % {every:UInt64} = 0
)
SELECT avg(value NOT IN
(
    SELECT arrayJoin(references.value) AS known FROM journeys WHERE known IN (SELECT value FROM sample)
)) AS share
FROM sample
"""
"""Which part of the events (each of them, or one in so many) names a box that no consignment has."""


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
    share = database.query(_NOBODYS, {"every": 97 if size > 50_000 else 1})[0]["share"]
    if not 0.003 < share < 0.05:
        raise NotEqual(f"{share:.1%} of the events belong to nobody: no port is like that")
    for n in (0, size // 2, size - 1):
        rows = client.get(f"/api/v1/consignments?q=MRSU{n:07d}").raise_for_status().json()["rows"]
        if [row["consignment"].partition("-")[2] for row in rows] not in ([str(n)], []):
            raise NotEqual(f"MRSU{n:07d} leads to {[row['consignment'] for row in rows]}")


# --- asking


@dataclass
class _Took:
    """`ms`: all but the first two, which open connections and fill caches; `lines`: of these, until anything was here;
    `refused`: with 503."""

    first: float = 0.0
    ms: list[float] = field(default_factory=list)
    lines: list[float] = field(default_factory=list)
    refused: int = 0


def _given(database: ClickHouse, settings: ConsoleSettings, requests: int) -> Sequence[Mapping[str, object]]:
    """What stands in the addresses' braces, by the number of the request."""
    numbers = [turn * 1_690 for turn in range(requests + 2)]  # every buyer's, so that one is asked for that is there
    told = database.query(
        "SELECT consignment, JSONExtractString(record, 'statements', 1, 'event_id') AS event FROM journeys FINAL"
        " PREWHERE consignment IN {ids:Array(String)}",
        {"ids": [f"LVLA-{n}" for n in numbers]},
    )
    events = {line["consignment"]: line["event"] for line in told}
    letters = [line["id"] for line in database.query("SELECT letter_id AS id FROM dead_letters ORDER BY id LIMIT 100")]
    secret, at = settings.secret_key.get_secret_value().encode(), now()
    return [
        {
            "n": n,
            "padded": f"{n:07d}",
            "event": events.get(f"LVLA-{n}", "0" * 32),
            "message": n,
            "letter": letters[place % len(letters)],
            "token": token(secret, f"LVLA-{n}", at + timedelta(days=1)),
            "then": f"{at - timedelta(days=2):%Y-%m-%dT%H:%M}",
        }
        for place, n in enumerate(numbers)
    ]


def _took_ms(client: httpx.Client, path: str, given: Sequence[Mapping[str, object]], requests: int) -> _Took:
    """How long each answer took, all of it."""
    took, until = _Took(), time.monotonic() + ASK_S
    for turn in range(requests + 2):
        if turn > ASK_LEAST + 1 and time.monotonic() > until:
            break
        address = path.format(**given[turn])
        while True:
            began = time.perf_counter()
            with client.stream("GET", address) as answer:
                pieces = answer.iter_raw()
                head = next(pieces, b"")
                lines_ms = (time.perf_counter() - began) * 1000
                text = b"".join((head, *pieces))
            if answer.status_code != 429:
                break
            time.sleep(0.5)
        if answer.status_code not in (200, 404, 503):
            raise NotEqual(f"{address}: {answer.status_code} {text[:200]!r}")
        took.refused += answer.status_code == 503
        ms = (time.perf_counter() - began) * 1000
        if turn == 0:
            took.first = ms
        if turn > 1:
            took.ms.append(ms)
            took.lines.append(lines_ms)
    return took


def _sent(sizes: list[float], one: Mapping[str, float]) -> None:
    sizes.append(one["encodedDataLength"])


_PAINTED: Final = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def _has_painted(page: Page) -> bool:
    return page.evaluate(_PAINTED) is not None


def _painted(address: str, runs: int, result: Result) -> None:
    """What a browser that was never there is sent, and when it paints, as Chromium itself tells it."""
    if found() is None:
        result.notes.append("First paint and bytes: not measured, there is no chromium on PATH.")
        return
    with chromium() as browser:
        for what, path in (
            ("Today", "/"),
            ("Delayed", "/delayed"),
            ("Consignment", "/consignments/LVLA-0"),
            ("Terminals", "/terminals"),
        ):
            painted, sent = [], []
            for _ in range(runs):
                context = browser.new_context()
                page = context.new_page()
                told = context.new_cdp_session(page)
                told.send("Network.enable")
                sizes: list[float] = []
                told.on("Network.loadingFinished", partial(_sent, sizes))
                page.goto(address + path, wait_until="load")
                until(partial(_has_painted, page), f"the first paint of {what}", 30)
                painted.append(float(page.evaluate(_PAINTED)))
                sent.append(sum(sizes))
                context.close()
            result.add(f"{what} in Chromium, first paint", "ms", painted)
            result.add(f"{what} in Chromium, all files", "bytes sent", sent, at_most=PAINT_BYTES)


# --- watching


@dataclass
class _Watched:
    """Many who listen, while things change. `pages`: seconds of each page that they opened; `news`: seconds from a change's row
    to each who listens; `grown`: the console's bytes after the first third, until the end."""

    database: ClickHouse
    viewers: int
    seconds: float
    console: psutil.Process
    pages: list[float] = field(default_factory=list)
    news: list[float] = field(default_factory=list)
    inserted: list[float] = field(default_factory=list)
    grown: float = 0.0

    async def run(self, address: str, size: int) -> None:
        """Raises NotEqual where a stream ends or is told another number than there are changes."""
        limits = httpx.Limits(max_connections=2 * self.viewers + 50, max_keepalive_connections=self.viewers + 50)
        since = round(time.time() * 1000) + 1
        async with httpx.AsyncClient(base_url=address, timeout=600, limits=limits, trust_env=False) as client:
            heard: list[int] = [0] * self.viewers
            listening = [asyncio.create_task(self._listen(client, since, heard, n)) for n in range(self.viewers)]
            await asyncio.sleep(self.viewers / REQUESTS_S + 2)  # so many new requests of one viewer are let in
            stop = threading.Event()
            changing = asyncio.create_task(asyncio.to_thread(self._change, stop))
            try:
                third = await self._come(client, size)
            finally:
                stop.set()
                await changing
            await asyncio.sleep(4)
            self.grown = self.console.memory_info().rss - third
            ended = [task for task in listening if task.done()]
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
        if ended:
            raise NotEqual(f"{len(ended)} of {self.viewers} streams ended")
        if set(heard) != {len(self.inserted)}:
            raise NotEqual(f"{len(self.inserted)} changes, but who listens was told of {sorted(set(heard))}")

    async def _come(self, client: httpx.AsyncClient, size: int) -> int:
        """Open pages, one each in a minute, whatever the answers take; the console's bytes after a third of the time."""
        addresses = ("/", "/delayed", "/consignments/LVLA-{n}", "/delayed?exception=any", "/consignments?q=MRSU{n:07d}")
        began, third, opened = time.monotonic(), 0, []
        every_s = A_PAGE_EACH_S / max(self.viewers, A_PAGE_EACH_S)
        for turn in range(round(self.seconds / every_s)):
            path = addresses[turn % len(addresses)].format(n=turn * 1_690 % size)
            opened.append(asyncio.create_task(self._open(client, path)))
            await asyncio.sleep(every_s)
            if not third and time.monotonic() - began > self.seconds / 3:
                third = self.console.memory_info().rss
        await asyncio.gather(*opened)
        return third

    def _change(self, stop: threading.Event) -> None:
        """A change a second, each of another consignment; so few that their number is told to the end."""
        while not stop.is_set() and len(self.inserted) < NEWS_MOST:
            self.inserted.append(float("inf"))
            self.database.execute(_CHANGE, {"n": len(self.inserted)})
            self.inserted[-1] = time.time()
            stop.wait(1.0)

    async def _open(self, client: httpx.AsyncClient, path: str) -> None:
        began = time.perf_counter()
        (await client.get(path)).raise_for_status()
        self.pages.append(time.perf_counter() - began)

    async def _listen(self, client: httpx.AsyncClient, since: int, heard: list[int], place: int) -> None:
        while True:
            async with client.stream("GET", f"/live?since={since}") as answer:
                if answer.status_code == 429:
                    await asyncio.sleep(1)
                    continue
                async for line in answer.aiter_lines():
                    told = _NEW.search(line)
                    if told is None:
                        continue
                    for number in range(heard[place], int(told[1])):
                        self.news.append(max(time.time() - self.inserted[number], 0.0))
                    heard[place] = max(heard[place], int(told[1]))
                return


NEWS_MOST: Final = 90
_NEW: Final = re.compile(r"(\d+) new")


__all__ = ["fill", "measure"]
