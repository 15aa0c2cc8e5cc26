"""`lovla rebuild`: ClickHouse from the topics, in tables beside the old ones, then exchanged.

The new tables stand in a database of their own, made by the same migrations, filled by the same sink: its LogSink in a group of
its own, its rows of newest states. The running sink goes on meanwhile. The order:

1. `built`: the new tables have every record before the running sink's committed offsets. Repeated until little is missing.
2. `held`: the sinks have left (or were stopped), and we hold all partitions of their groups, so that none can begin.
3. `level`: the new tables have exactly the records before the committed offsets, which stand still now.
4. `carried`: rows that the topics no longer hold (retention) are copied from the old tables.
5. `verified`: no row of the old tables is missing in the new.
6. `exchanged`: each table with its new one, one atomic step each. The sink may begin again: its offsets fit both.
7. The old tables are dropped, or kept.

A crash before 6 leaves the old tables as they are: run again, it goes on where it stopped (the plan protocol of services/sink/
logs.py counts here too). In 6 some tables are new, some old; each is whole up to the same offsets, so a reader sees nothing of
it, and a sink that begins goes on in either. Run again, it levels what is left and exchanges that. In 7 run again, it drops.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import KafkaException

from services.runtime import clickhouse, kafka, logs
from services.runtime.clickhouse import ClickHouse
from services.runtime.clock import SystemClock
from services.runtime.failpoints import Failpoints
from services.runtime.hold import Busy, GroupHold
from services.runtime.progress import Progress, silent
from services.runtime.restore import read_range
from services.runtime.settings import Settings
from services.runtime.sources import Record
from services.sink import logs as log_sink
from services.sink import migrate, states
from services.sink.inserts import state_settings
from services.sink.logs import LogSink, insert_states
from services.sink.rows import LOG_TABLES, STATE_COLUMNS, STATE_TOPICS, StateRow, state_row

BESIDE = "lovla_rebuild"
"""The database of the new tables; after the exchange, of the old ones."""

NEARLY = 20_000  # records: so much is read in about a second while the sinks are held
ROUNDS = 20
STATES_AT_ONCE = 2_000
BOOKS = (
    "CREATE TABLE IF NOT EXISTS rebuild (id String) ENGINE = MergeTree ORDER BY id",
    "CREATE TABLE IF NOT EXISTS rebuild_carried (name String, k_partition UInt32, before UInt64)"
    " ENGINE = MergeTree ORDER BY name",
    "CREATE TABLE IF NOT EXISTS rebuild_new (name String, uuid String) ENGINE = MergeTree ORDER BY name",
)
FED_BY: Mapping[str, str] = {"event_references": "shipment_events", "event_marks": "shipment_events"}
"""Tables that a view fills -> the log table that it reads. Their rows name the record that they come from."""
FED_BY_STATES = ("open_journeys", "journey_finds", "journey_marks", "journey_lines")
"""Tables that views fill from tables of newest states."""
KEYS: Mapping[str, str] = {
    "open_journeys": "consignment",
    "journey_marks": "consignment",
    "journey_lines": "consignment",
    "journeys": "consignment",
    "feeds": "sender",
    "clocks": "clock",
    "senders": "code",
    "facilities": "code",
}
"""Tables of newest states and their keys. Those of NOT_COMPARED are not compared."""

NOT_COMPARED = ("undecodable_states", "journey_finds")
"""Rubbish by its offset; and what old versions left behind."""

log = logs.get("sink.rebuild")

Position = tuple[str, int]


class RebuildError(Exception):
    """It cannot go on; the text says why and what to do. The old tables are as they were."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One table before and after. `lost`: rows (keys of states) of the old that the new does not have; `carried`: rows that
    the topic no longer holds."""

    table: str
    rows_before: int
    rows_after: int
    lost: int
    carried: int = 0
    double_before: int = 0

    @property
    def verdict(self) -> str:
        if self.lost:
            return f"{self.lost:,} rows would be lost"
        parts = []
        if self.double_before:
            parts.append(f"{self.double_before:,} double rows gone")
        if self.rows_after > self.rows_before - self.double_before:
            parts.append(f"{self.rows_after - self.rows_before + self.double_before:,} missing rows found")
        if self.carried:
            parts.append(f"{self.carried:,} kept that the topic no longer has")
        return "; ".join(parts) or "equal"


@dataclass(frozen=True, slots=True)
class Options:
    """`drop_expired`: rows that the topics no longer hold are given up. `accept_loss`: go on though the new tables lack rows.
    `keep_old`: the old tables stay, in a database that is named at the end. `hold_s`: how long to wait for sinks to leave; the
    broker counts a killed one out after 45 s."""

    drop_expired: bool = False
    accept_loss: bool = False
    keep_old: bool = False
    hold_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of it; `old`: the database that keeps the old tables, if they were to be kept."""

    tables: tuple[Compared, ...]
    held_s: float
    old: str | None = None


class Rebuild:
    """One rebuild: begun, or gone on with, by `run`."""

    def __init__(self, settings: Settings, options: Options, progress: Progress = silent) -> None:
        self._settings = settings
        self._beside = settings.model_copy(update={"clickhouse_database": BESIDE})
        self._options = options
        self._progress = progress
        self._fail = Failpoints(settings.failpoint)
        self._old = clickhouse.connect(settings, "admin", timeout_s=600)  # a comparison takes as long as the tables are large
        self._new: ClickHouse = clickhouse.connect(self._beside, "admin", timeout_s=600)
        self._id = ""
        self._done: dict[Position, int] = {}

    @property
    def _group(self) -> str:
        return f"{log_sink.GROUP}.rebuild.{self._id}"

    def run(self, pause_sinks: Callable[[], None] = lambda: None) -> Rebuilt:
        """All of it. `pause_sinks` is called when the sinks must leave; they may begin again when this has returned or raised.

        Raises RebuildError, ClickHouseError, KafkaException, MigrationError, TimeoutError, SinkStopped.
        """
        try:
            self._prepare()
            pending = self._pending()
            if pending:
                self._build(pending)
                self._fail.reach("built")
                pause_sinks()
                began = time.monotonic()
                compared = self._switch(pending)
                held_s = time.monotonic() - began
            else:
                compared, held_s = [], 0.0  # the crash came after the last exchange: only the old tables are left to drop
            self._fail.reach("switched")
            return Rebuilt(tuple(compared), held_s, self._leave())
        finally:
            self._old.close()
            self._new.close()

    # -- before -------------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """The tables beside, and the id under which this rebuild reads: a dropped database is never taken for read."""
        migrate.apply(self._settings)  # the database may be lost altogether
        existing = self._tables(BESIDE)
        if existing and "rebuild" not in existing:  # a crash between the first statements: nothing of worth
            self._drop()
        migrate.apply(self._beside)
        for statement in BOOKS:
            self._new.execute(statement)
        known = self._new.query("SELECT id FROM rebuild")
        if not known:
            self._insert("rebuild", {"id": uuid.uuid4().hex[:12]})
            known = self._new.query("SELECT id FROM rebuild")
        self._id = known[0]["id"]

    def _pending(self) -> list[str]:
        """The tables not yet exchanged."""
        exchanged = {row["name"]: row["uuid"] for row in self._new.query("SELECT name, uuid FROM rebuild_new")}
        now = self._tables(self._settings.clickhouse_database)
        # what a view fills goes first: exchanged alone, it is fed by the old log table and misses nothing
        tables = [*FED_BY, *FED_BY_STATES, *(table.table for table in LOG_TABLES.values()), *STATE_COLUMNS]
        return [name for name in tables if exchanged.get(name, "") != now.get(name, "-")]

    # -- filling ------------------------------------------------------------------------------------------------------

    def _build(self, pending: Sequence[str]) -> None:
        self._done = self._committed(pending, self._group)
        for _ in range(ROUNDS):
            until = self._committed(pending)
            self._level(pending, until)
            if sum(self._committed(pending).values()) - sum(until.values()) < NEARLY:
                return

    def _level(self, pending: Sequence[str], until: Mapping[Position, int]) -> None:
        """Read the log topics up to `until`, the others to their end."""
        topics = sorted({topic for topic, _ in until})
        if any(until.values()):
            sink = LogSink(self._beside, self._new, SystemClock(), topics, group=self._group, until=until)
            with self._watched(sink, until):
                sink.run(threading.Event())
            self._done.update(sink.reached)
        if set(pending) & set(STATE_COLUMNS):
            for topic in STATE_TOPICS:
                self._states(topic)

    @contextmanager
    def _watched(self, sink: LogSink, until: Mapping[Position, int]) -> Iterator[None]:
        """Tell the progress of a sink that runs in this thread, from another."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.5):
                now = self._done | dict(sink.reached)
                self._progress("log tables", sum(min(now.get(at, 0), end) for at, end in until.items()), sum(until.values()))

        watcher = threading.Thread(target=watch, name="progress", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _states(self, topic: str) -> None:
        """Newest states, from where we are to the end: a repeat is harmless, so no plan is needed."""
        client = kafka.consumer(self._settings, "lovla-rebuild", "lovla-rebuild")
        try:
            partitions = kafka.partitions(client, topic)
        finally:
            client.close()
        for partition in partitions:
            waiting: list[StateRow] = []
            end = kafka.end_offset(self._settings, topic, partition)

            def take(record: Record, waiting: list[StateRow] = waiting, end: int = end) -> None:
                if (row := state_row(record)) is not None:
                    waiting.append(row)
                if len(waiting) >= STATES_AT_ONCE:
                    insert_states(self._new, waiting)
                    waiting.clear()
                    self._progress(topic, record.offset, end)

            start = self._done.get((topic, partition), 0)
            self._done[topic, partition] = read_range(self._settings, topic, partition, start, end, take)
            insert_states(self._new, waiting)

    def _committed(self, pending: Sequence[str], group: str = log_sink.GROUP) -> dict[Position, int]:
        """What a sink has committed of the topics whose tables are pending: before it, every record is in its tables."""
        wanted = [topic for topic, table in LOG_TABLES.items() if table.table in pending]
        client = kafka.consumer(self._settings, "lovla-rebuild", group)
        try:
            return kafka.stands(client, [(topic, number) for topic in wanted for number in kafka.partitions(client, topic)])
        finally:
            client.close()

    # -- the switch ---------------------------------------------------------------------------------------------------

    def _switch(self, pending: Sequence[str]) -> list[Compared]:
        try:
            with (
                GroupHold(self._settings, log_sink.GROUP, list(LOG_TABLES), self._options.hold_s) as tables,
                GroupHold(self._settings, states.GROUP, list(STATE_TOPICS), self._options.hold_s) as newest,
            ):
                return self._switch_held(pending, (tables, newest))
        except Busy as error:
            raise RebuildError(
                f"{error}: nothing was exchanged. Stop the sink (`lovla down --only sink`) and run this again: it goes on "
                "where it stopped"
            ) from None

    def _switch_held(self, pending: Sequence[str], holds: Sequence[GroupHold]) -> list[Compared]:
        self._fail.reach("held")
        until = self._committed(pending)
        self._level(pending, until)
        self._fail.reach("level")
        carried = {} if self._options.drop_expired else self._carry(pending)
        self._fail.reach("carried")
        compared = [self._compare(name, until, carried.get(name, 0)) for name in pending if name not in NOT_COMPARED]
        self._refuse_loss(compared)
        self._fail.reach("verified")
        for hold in holds:
            hold.freeze()  # from here on nobody can take partitions from us, so no sink can write
        self._exchange(pending)
        return compared

    def _carry(self, pending: Sequence[str]) -> dict[str, int]:
        """Copy the rows before the first record that each topic still holds. Returns rows by table."""
        carried: dict[str, int] = {}
        for name in pending:
            if _topic_of(name) is None:
                continue
            for row in self._old.query(f"SELECT k_partition, min(k_offset) AS first FROM {name} GROUP BY k_partition"):  # noqa: S608 - our own table's name
                before = self._first_rebuilt(name, row["k_partition"])
                if row["first"] < before:
                    rows = self._carry_partition(name, row["k_partition"], before)
                    carried[name] = carried.get(name, 0) + rows
        return carried

    def _first_rebuilt(self, name: str, partition: int) -> int:
        """The first offset that came from the topic; noted before the first copy, which would hide it."""
        at = {"name": name, "partition": partition}
        noted = self._new.query(
            "SELECT before FROM rebuild_carried WHERE name = {name:String} AND k_partition = {partition:UInt32}", at
        )
        if noted:
            return int(noted[0]["before"])
        found = self._new.query(
            f"SELECT count() AS rows, min(k_offset) AS first FROM {name} WHERE k_partition = {{partition:UInt32}}",  # noqa: S608
            at,
        )[0]
        before = int(found["first"]) if found["rows"] else self._committed([name]).get((_topic_of(name) or "", partition), 0)
        self._insert("rebuild_carried", {"name": name, "k_partition": partition, "before": before})
        return before

    def _carry_partition(self, name: str, partition: int, before: int) -> int:
        where = f"k_partition = {int(partition)} AND k_offset < {int(before)}"
        wanted, there = (
            int(client.query(f"SELECT uniqExact(k_offset) AS rows FROM {name} WHERE {where}")[0]["rows"])  # noqa: S608
            for client in (self._old, self._new)
        )
        if wanted != there:
            if there:  # a crash in the middle of the copy
                self._new.execute(f"DELETE FROM {name} WHERE {where}")  # noqa: S608
            columns = ", ".join(f"`{column}`" for column in self._columns(name))
            self._new.execute(
                f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {self._settings.clickhouse_database}.{name} "  # noqa: S608
                f"WHERE {where} LIMIT 1 BY k_offset SETTINGS insert_deduplicate = 0, deduplicate_insert_select = 'disable'"
            )
        return wanted

    def _columns(self, name: str) -> list[str]:
        """Columns of both that are written: what is made of others makes itself."""
        shared = [
            {
                row["name"]
                for row in client.query(
                    "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {name:String}"
                    " AND default_kind NOT IN ('MATERIALIZED', 'ALIAS')",
                    {"name": name},
                )
            }
            for client in (self._old, self._new)
        ]
        return sorted(shared[0] & shared[1])

    def _compare(self, name: str, until: Mapping[Position, int], carried: int) -> Compared:
        old, new = f"{self._settings.clickhouse_database}.{name}", f"{BESIDE}.{name}"
        if key := KEYS.get(name):
            return self._compare_states(name, old, new, key)
        topic = _topic_of(FED_BY.get(name, name))
        # a block that the sink inserted and could not commit any more stands behind these; it settles that itself
        before = " OR ".join(
            f"(k_partition = {partition} AND k_offset < {end})" for (of, partition), end in until.items() if of == topic
        )
        offsets = "k_partition, k_offset" if name not in FED_BY else "k_partition, k_offset, kind, value"
        counts = f"count() AS rows, uniqExact({offsets}) AS distinct, groupBitXor(cityHash64({offsets})) AS which"
        was, now = (
            self._old.query(f"SELECT {counts} FROM {table} WHERE {before}")[0]  # noqa: S608 - our own names and numbers
            for table in (old, new)
        )
        lost = 0
        if was != now:
            lost = self._one(
                f"SELECT uniqExact({offsets}) AS n FROM {old} "  # noqa: S608
                f"WHERE ({before}) AND ({offsets}) NOT IN (SELECT {offsets} FROM {new} WHERE {before})"
            )
        double = 0 if name in FED_BY else was["rows"] - was["distinct"]
        return Compared(name, was["rows"], now["rows"], lost, carried, double)

    def _compare_states(self, name: str, old: str, new: str, key: str) -> Compared:
        """The new tables may be ahead: they were read to the end. What was deleted leaves its topic sooner or later."""
        alive = "HAVING argMax(deleted, version) = 0" if name in ("senders", "facilities") else ""
        newest = f"SELECT `{key}` AS id, max(version) AS newest FROM"
        rows = [self._one(f"SELECT count() AS n FROM {table} FINAL") for table in (old, new)]  # noqa: S608 - our own names
        lost = self._one(
            f"SELECT count() AS n FROM ({newest} {old} GROUP BY id {alive}) AS was "  # noqa: S608
            f"LEFT JOIN ({newest} {new} GROUP BY id) AS now USING id WHERE now.newest < was.newest"
        )
        return Compared(name, rows[0], rows[1], lost)

    def _one(self, sql: str) -> int:
        return int(self._old.query(sql)[0]["n"])

    def _refuse_loss(self, compared: Sequence[Compared]) -> None:
        lost = [one for one in compared if one.lost]
        if lost and not self._options.accept_loss:
            raise RebuildError(
                "no topic holds what stands in "
                + ", ".join(f"{one.lost:,} rows of {one.table}" for one in lost)
                + "; nothing was exchanged. Look at them with `lovla audit`; to go on without them: lovla rebuild --accept-loss"
            )

    def _exchange(self, pending: Sequence[str]) -> None:
        uuids = self._tables(BESIDE)
        noted = {row["name"] for row in self._new.query("SELECT name FROM rebuild_new")}
        for name in pending:
            if name not in noted:
                self._insert("rebuild_new", {"name": name, "uuid": uuids[name]})
        for name in pending:
            self._old.execute(f"EXCHANGE TABLES {self._settings.clickhouse_database}.{name} AND {BESIDE}.{name}")
            self._fail.reach("exchanged")

    # -- after --------------------------------------------------------------------------------------------------------

    def _leave(self) -> str | None:
        """The old tables go, or are kept under a name of their own; so do the groups that we read with."""
        kept = None
        if self._options.keep_old:
            kept = f"lovla_before_{self._id}"
            for name in self._tables(BESIDE):
                if "__from__" in name:
                    self._new.execute(f"DROP VIEW {name}")
            self._old.execute(f"RENAME DATABASE {BESIDE} TO {kept}")
        else:
            self._drop()
        with kafka.admin(self._settings.kafka) as admin:
            for future in admin.delete_consumer_groups([self._group], request_timeout=kafka.REQUEST_TIMEOUT_S).values():
                try:
                    future.result()
                except KafkaException as error:  # it may never have committed; an idle group costs nothing
                    log.info("rebuild.group_stays", group=self._group, text=str(error))
        return kept

    def restart(self) -> None:
        """Give up what an earlier attempt built. Raises RebuildError if some tables are exchanged already."""
        if self._tables(BESIDE).get("rebuild_new") and self._new.query("SELECT name FROM rebuild_new LIMIT 1"):
            raise RebuildError("an exchange is under way: run `lovla rebuild` to finish it")
        self._drop()

    def _drop(self) -> None:
        self._old.execute(f"DROP DATABASE IF EXISTS {BESIDE} SYNC")

    def _tables(self, database: str) -> dict[str, str]:
        """Name -> uuid."""
        rows = self._old.query(
            "SELECT name, toString(uuid) AS uuid FROM system.tables WHERE database = {database:String}", {"database": database}
        )
        return {row["name"]: row["uuid"] for row in rows}

    def _insert(self, table: str, row: Mapping[str, object]) -> None:
        self._new.insert(table, tuple(row), [[value] for value in row.values()], state_settings())


def _topic_of(table: str) -> str | None:
    return next((topic for topic, log_table in LOG_TABLES.items() if log_table.table == table), None)
