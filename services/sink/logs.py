"""The log topics into their tables, each record exactly one row, through any crash.

Order, for each partition:
1. Records are buffered as rows until a block is due (age, rows, bytes).
2. The *plan* (first and last offset of the block) is committed as metadata of the offset `first`; the same commit says that the
   block before it is done. A member that is no longer in the group fails here.
3. The block is inserted: one synchronous insert, one block, one month, with a deduplication token made of the plan.
4. Position `last + 1` is committed: with the next plan, or alone when nothing follows within a second.

A crash between
- 1 and 2: nothing happened; the records are read again and may be cut otherwise.
- 2 and 3, in 3, 3 and 4: whoever gets the partition reads the plan, reads exactly [first, last] again, builds the same rows
  (rows are a pure function of the record) and asks ClickHouse for these offsets: all there, go on; none, insert with the same
  token (it guards against a first attempt that is still under way); anything else, stop and say so (RUNBOOK).
- after 4: nothing is left to do.

An insert whose outcome is unknown is sent again, the same block with the same token, for as long as it takes: ClickHouse
being away pauses the partitions; it is never a dead letter and never a reason to leave the group. If a plan is older than 30 s
its owner commits it once more before it inserts: a member that was thrown out meanwhile learns it there. After a repeat the
views of the table are filled again for these offsets, because a repeat that ClickHouse recognises does not reach them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.topics import RAW_MESSAGES
from services.runtime import kafka, logs, metrics
from services.runtime.clickhouse import ClickHouse, ClickHouseError, Refused
from services.runtime.clock import Clock
from services.runtime.settings import Settings
from services.runtime.sources import to_record
from services.sink import inserts
from services.sink.patience import Patience
from services.sink.plan import MAX_BLOCK_BYTES, MAX_BLOCK_ROWS, BadPlan, Plan, block_length, judge, token
from services.sink.rows import LOG_TABLES, STATE_COLUMNS, LogTable, Row, StateRow, closed_journey

GROUP = "sink.logs"

RECHECK_S = 30.0
"""A plan older than this is committed again before its insert; a broker forgets a silent member after 45 s."""

IDLE_COMMIT_S = 1.0
"""How long a finished block waits for a next plan to be committed with."""

LAG_EVERY_S = 5.0
READ_AT_ONCE = 5_000
POLL_S = 0.05

RUNBOOK = """{topic}[{partition}]: of the planned block {first}..{last} Kafka has {expected} records, but table {table} has \
{rows} rows of {distinct} offsets. The sink never makes such a state, so it stops rather than guess.
1. Find out who else wrote to or deleted from {table}.
2. DELETE FROM {table} WHERE k_partition = {partition} AND k_offset BETWEEN {first} AND {last}
3. Make ClickHouse forget the block's token, or it takes the new insert for a repeat:
   ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 0, then the same with 100000.
4. Start the sink: it inserts the block."""

log = logs.get("sink.logs")

Answer = TypeVar("Answer")


class Fenced(Exception):
    """We are no longer (or not yet) a member that may commit; begin again from what is committed."""


class SinkStopped(Exception):
    """Going on would be a guess. The text is for whoever is on call."""


class Stopping(Exception):
    """Asked to stop while waiting for ClickHouse: the plan stands, the next start goes on from it."""


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """A record's row before it is inserted. `state`: what it adds to a table of newest states, if anything."""

    offset: int
    timestamp_ms: int
    size_bytes: int
    row: Row
    state: StateRow | None


@dataclass(slots=True)
class Partition:
    """What we hold of one partition. `done`: inserted, and this position not committed yet."""

    table: LogTable
    topic_id: str
    number: int
    recovering: Plan | None = None
    waiting: list[Waiting] = field(default_factory=list)
    bytes_waiting: int = 0
    since: float = 0.0
    end_seen: bool = False
    next_offset: int = 0
    done: int | None = None
    done_since: float = 0.0

    def add(self, row: Waiting, now: float) -> None:
        if not self.waiting:
            self.since = now
        self.waiting.append(row)
        self.bytes_waiting += row.size_bytes

    def drop(self, rows: int) -> None:
        """The first `rows` are in ClickHouse."""
        self.bytes_waiting -= sum(row.size_bytes for row in self.waiting[:rows])
        del self.waiting[:rows]

    def due(self, now: float) -> bool:
        return bool(self.waiting) and (
            now - self.since >= self.table.flush_s
            or len(self.waiting) >= MAX_BLOCK_ROWS
            or self.bytes_waiting >= MAX_BLOCK_BYTES
        )

    def read_again(self) -> bool:
        """All of the plan that Kafka still has was re-read: past `last`, or the end of the partition."""
        assert self.recovering is not None
        return self.end_seen or bool(self.waiting and self.waiting[-1].offset >= self.recovering.last)


Failpoint = Callable[[str], None]


def no_failpoint(_name: str) -> None:
    """Outside tests nothing fails on purpose."""


class LogSink:
    """One member of the group. `run` returns when `stop` is set; raises SinkStopped."""

    def __init__(
        self,
        settings: Settings,
        clickhouse: ClickHouse,
        clock: Clock,
        topics: Sequence[str] = tuple(LOG_TABLES),
        failpoint: Failpoint = no_failpoint,
        clients: kafka.Clients = kafka.LIBRDKAFKA,
        group: str = GROUP,
        until: Mapping[tuple[str, int], int] | None = None,
    ) -> None:
        """`until`: go no further than these offsets of these (topic, partition), all of `topics`, then return (a rebuild)."""
        self._clients = clients
        self._group = group
        self._until = until
        self.reached: dict[tuple[str, int], int] = {}
        self._settings = settings
        self._clickhouse = clickhouse
        self._clock = clock
        self._topics = list(topics)
        self._fail = failpoint
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._stop = threading.Event()
        self._patience = Patience(group, clock)

    def healthy(self) -> str | None:
        """None, or what has been wrong for over a minute."""
        return self._patience.healthy()

    def run(self, stop: threading.Event) -> None:
        self._stop = stop
        while not stop.is_set():
            try:
                self._session()
                return  # asked to stop, or all of `until` is done
            except Stopping:
                return
            except (Fenced, KafkaException) as error:
                pause_s = self._patience.failed(str(error))
                log.warning("sink.session_lost", text=str(error), attempt=self._patience.attempts)
                stop.wait(pause_s)

    # -- a session: from joining the group to leaving it --------------------------------------------------------------

    def _session(self) -> None:
        self._partitions.clear()
        topic_ids = self._clients.topic_ids(self._settings, self._topics)
        consumer = self._clients.consumer(
            kafka.consumer_config(self._settings, "lovla-sink-logs", self._group)
            | kafka.group_config(self._settings)
            | {"enable.partition.eof": True}
        )

        wrong: list[Exception] = []

        def assigned(member: Consumer, given: list[TopicPartition]) -> None:
            # an exception that leaves a callback of the client (2.16) can come out as a KafkaError, which is no exception:
            # nothing catches it, and the thread is gone
            try:
                begun(member, given)
            except Exception as error:
                wrong.append(error)

        def begun(member: Consumer, given: list[TopicPartition]) -> None:
            for known in member.committed(given, timeout=kafka.REQUEST_TIMEOUT_S) if given else []:
                if known.error is not None:
                    raise KafkaException(known.error)
                try:
                    plan = Plan.decode(known.metadata)
                except BadPlan as error:
                    raise SinkStopped(
                        f"{known.topic}[{known.partition}]: {error}; was another version of the sink here?"
                    ) from None
                table = LOG_TABLES[known.topic]
                self._partitions[known.topic, known.partition] = Partition(
                    table, topic_ids[known.topic], known.partition, recovering=plan
                )
                start = known.offset if known.offset >= 0 else OFFSET_BEGINNING
                position = TopicPartition(known.topic, known.partition, start)
                member.incremental_assign([position])
                # one that was paused when it was taken away comes back paused; whoever waits pauses it again
                member.resume([position])
            self._patience.succeeded()
            log.info("sink.assigned", partitions=[f"{p.topic}[{p.partition}]" for p in given])

        def revoked(member: Consumer, taken: list[TopicPartition]) -> None:
            ours = {(p.topic, p.partition): self._partitions.get((p.topic, p.partition)) for p in taken}
            try:
                self._commit_done(member, [held for held in ours.values() if held is not None])
            except (Fenced, KafkaException):
                log.info("sink.left_uncommitted", partitions=len(taken))  # the next owner finds the plan done
            lost(member, taken)

        def lost(_member: Consumer, taken: list[TopicPartition]) -> None:
            for p in taken:
                self._partitions.pop((p.topic, p.partition), None)
            log.info("sink.unassigned", partitions=[f"{p.topic}[{p.partition}]" for p in taken])

        consumer.subscribe(self._topics, on_assign=assigned, on_revoke=revoked, on_lost=lost)
        measured = 0.0
        try:
            while not self._stop.is_set() and not self._complete():
                messages = consumer.consume(READ_AT_ONCE, POLL_S)
                if wrong:
                    raise wrong[0]
                self._take(messages)
                self._recover(consumer)
                now = self._clock.monotonic()
                due = [p for p in self._partitions.values() if p.recovering is None and p.due(now)]
                if due:
                    self._flush(consumer, due)
                idle = [p for p in self._partitions.values() if p.done is not None and now - p.done_since >= IDLE_COMMIT_S]
                if idle:
                    self._commit_done(consumer, idle)
                if now - measured >= LAG_EVERY_S:
                    self._measure_lag(consumer)
                    measured = now
            self._flush(consumer, [p for p in self._partitions.values() if p.recovering is None and p.waiting])
            self._commit_done(consumer, list(self._partitions.values()))
        finally:
            consumer.close()
            self._partitions.clear()

    def _take(self, messages: list[Message]) -> None:
        """Step 1."""
        now = self._clock.monotonic()
        for message in messages:
            error = message.error()
            topic, number = message.topic(), message.partition()
            held = None if topic is None or number is None else self._partitions.get((topic, number))
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    if held is not None:
                        held.end_seen = True
                elif kafka.fatal(error):
                    raise KafkaException(error)
                else:
                    log.warning("sink.read_error", text=error.str())
                continue
            if held is None:
                continue  # revoked while it was on its way
            record = to_record(message, with_headers=topic == RAW_MESSAGES.name)
            if self._until is not None and record.offset >= self._until[record.topic, record.partition]:
                held.end_seen = True
                continue
            state = closed_journey(record) if held.table.table == "journey_changes" else None
            held.end_seen, held.next_offset = False, record.offset + 1
            held.add(Waiting(record.offset, record.timestamp_ms, len(record.value or b""), held.table.row(record), state), now)

    def _complete(self) -> bool:
        """All that `until` names is in ClickHouse and committed."""
        if self._until is None:
            return False
        ours = [(self._partitions.get(position), until) for position, until in self._until.items() if until]
        return all(
            held is not None
            and held.recovering is None
            and not held.waiting
            and held.done is None
            and (held.end_seen or held.next_offset >= until)
            for held, until in ours
        )

    # -- blocks -------------------------------------------------------------------------------------------------------

    def _flush(self, consumer: Consumer, due: Sequence[Partition]) -> None:
        """Steps 2 and 3 for the first block of each."""
        blocks = []
        for held in due:
            rows = block_length((row.timestamp_ms, row.size_bytes) for row in held.waiting)
            if rows:
                blocks.append((held, rows, Plan(held.waiting[0].offset, held.waiting[rows - 1].offset)))
        if not blocks:
            return
        self._fail("before_plan")
        self._commit(consumer, [_position(held, plan.first, plan.encode()) for held, _, plan in blocks])
        for held, _, _ in blocks:
            held.done = None
        planned_at = self._clock.monotonic()
        self._fail("after_plan")
        for held, rows, plan in blocks:
            self._insert(consumer, held, rows, plan, planned_at, again=False)
            self._fail("after_insert")
            self._finish(held, rows, plan)

    def _recover(self, consumer: Consumer) -> None:
        """Settle the plans that were found at assignment, each as soon as all of it was read again."""
        for held in list(self._partitions.values()):
            plan = held.recovering
            if plan is None or not held.read_again():
                continue
            rows = sum(1 for row in held.waiting if row.offset <= plan.last)
            found = self._until_answered(consumer, held, lambda held=held, plan=plan: self._probe(held, plan))  # type: ignore[misc]  # mypy cannot type defaults of a lambda
            verdict = judge(rows, *found)
            log.info("sink.recovered", table=held.table.table, partition=held.number, plan=plan.encode(), verdict=verdict)
            if verdict == "torn":
                raise SinkStopped(
                    RUNBOOK.format(
                        topic=held.table.topic,
                        partition=held.number,
                        table=held.table.table,
                        first=plan.first,
                        last=plan.last,
                        expected=rows,
                        rows=found[0],
                        distinct=found[1],
                    )
                )
            if rows:
                # "there": only the views are filled again. "none": with the token, for the first attempt may be under way.
                self._insert(consumer, held, rows, plan, planned_at=None, again=True, there=verdict == "there")
            held.recovering = None
            self._finish(held, rows, plan)

    def _probe(self, held: Partition, plan: Plan) -> tuple[int, int]:
        found = self._clickhouse.query(
            f"SELECT count() AS rows, uniqExact(k_offset) AS offsets FROM {held.table.table} "  # noqa: S608 - our own table's name
            "WHERE k_partition = {partition:UInt32} AND k_offset BETWEEN {first:UInt64} AND {last:UInt64} "
            "AND k_topic = {topic:String}",
            {"partition": held.number, "first": plan.first, "last": plan.last, "topic": held.table.topic},
        )[0]
        return found["rows"], found["offsets"]

    def _insert(
        self,
        consumer: Consumer,
        held: Partition,
        rows: int,
        plan: Plan,
        planned_at: float | None,
        again: bool,
        there: bool = False,
    ) -> None:
        """Step 3. `again`: an earlier attempt may have reached the table. `planned_at` None: check membership first."""
        block = held.waiting[:rows]
        table = held.table
        data = inserts.columns_of([row.row for row in block])
        states = [row.state for row in block if row.state is not None]
        attempts = 1 if again else 0

        def once() -> None:
            nonlocal attempts, planned_at
            if planned_at is None or self._clock.monotonic() - planned_at > RECHECK_S:
                self._commit(consumer, [_position(held, plan.first, plan.encode())])
                planned_at = self._clock.monotonic()
            attempts += 1
            insert_states(self._clickhouse, states)
            if not there:
                settings = inserts.log_settings(token(held.topic_id, held.number, plan))
                with metrics.histogram("lovla_sink_insert_seconds", table=table.table).time():
                    self._clickhouse.insert(table.table, table.names, data, settings)
            if attempts > 1:
                inserts.fill_views(
                    self._clickhouse, self._settings.clickhouse_database, table.table, held.number, plan.first, plan.last
                )

        self._until_answered(consumer, held, once)
        if there:
            return
        metrics.counter("lovla_sink_inserts_total", table=table.table, outcome="done").inc()
        metrics.counter("lovla_sink_rows_total", table=table.table).inc(rows)
        age_s = self._clock.now().timestamp() - block[-1].timestamp_ms / 1000
        metrics.histogram("lovla_sink_freshness_seconds", table=table.table).observe(max(age_s, 0.0))

    def _finish(self, held: Partition, rows: int, plan: Plan) -> None:
        held.drop(rows)
        self.reached[held.table.topic, held.number] = plan.last + 1
        held.done, held.done_since = plan.last + 1, self._clock.monotonic()

    # -- commits and waiting --------------------------------------------------------------------------------------------

    def _commit_done(self, consumer: Consumer, partitions: Sequence[Partition]) -> None:
        """Step 4."""
        done = [held for held in partitions if held.done is not None]
        if done:
            self._commit(consumer, [_position(held, held.done, "") for held in done if held.done is not None])
            for held in done:
                held.done = None
            self._fail("after_commit")

    def _commit(self, consumer: Consumer, positions: list[TopicPartition]) -> None:
        """Commit and know it. Any failure ends the session: what is committed says where to begin again."""
        try:
            answers = consumer.commit(offsets=positions, asynchronous=False)
        except KafkaException as error:
            raise Fenced(f"commit failed: {kafka.error_of(error).str()}") from error
        for answer in answers or []:
            if answer.error is not None:
                raise Fenced(f"commit of {answer.topic}[{answer.partition}] failed: {answer.error.str()}")

    def _until_answered(self, consumer: Consumer, held: Partition, act: Callable[[], Answer]) -> Answer:
        """`act` until ClickHouse answers. Meanwhile the partitions are paused and the group is kept informed."""
        held_up = False
        while True:
            if self._partitions.get((held.table.topic, held.number)) is not held:
                raise Fenced(f"{held.table.topic}[{held.number}] was taken away while it was being written")
            try:
                answer = act()
            except ClickHouseError as error:
                held_up = True
                pause_s = self._patience.failed(str(error))
                outcome = "refused" if isinstance(error, Refused) else "retried"
                metrics.counter("lovla_sink_inserts_total", table=held.table.table, outcome=outcome).inc()
                log.warning("sink.insert_failed", table=held.table.table, attempt=self._patience.attempts, text=str(error))
                self._wait(consumer, pause_s)
            else:
                if held_up:
                    consumer.resume(consumer.assignment())
                self._patience.succeeded()
                return answer

    def _wait(self, consumer: Consumer, seconds: float) -> None:
        """Stay in the group without reading on. Raises Stopping."""
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            if self._stop.is_set():
                raise Stopping
            consumer.pause(consumer.assignment())  # again each time: a rebalance may have brought more
            self._take(consumer.consume(READ_AT_ONCE, min(left, 0.2)))

    def _measure_lag(self, consumer: Consumer) -> None:
        """Records not read yet, by topic."""
        lag: dict[str, int] = dict.fromkeys(self._topics, 0)
        for held in self._partitions.values():
            ends = consumer.get_watermark_offsets(TopicPartition(held.table.topic, held.number), cached=True)
            if ends is not None and not held.end_seen:
                lag[held.table.topic] += max(0, ends[1] - held.next_offset)
            lag[held.table.topic] += len(held.waiting)
        for topic, records in lag.items():
            metrics.gauge("lovla_sink_lag_records", topic=topic).set(records)


def _position(held: Partition, offset: int, metadata: str) -> TopicPartition:
    return TopicPartition(held.table.topic, held.number, offset, metadata)


def insert_states(clickhouse: ClickHouse, states: Sequence[StateRow]) -> dict[str, int]:
    """Insert rows of newest-state tables; repeats are harmless. Rows by table. Raises ClickHouseError."""
    by_table: dict[str, list[Row]] = {}
    for state in states:
        by_table.setdefault(state.table, []).append(state.values)
    for table, rows in by_table.items():
        clickhouse.insert(table, STATE_COLUMNS[table], inserts.columns_of(rows), inserts.state_settings())
    return {table: len(rows) for table, rows in by_table.items()}
