"""The transactional loop: read a batch, decide, write the outcome and the offsets in one Kafka transaction.

What exactly once means here: a reader of committed records sees the outputs of every input record once, whatever crashes.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from services.runtime import kafka, logs, metrics
from services.runtime.bounded import Hung
from services.runtime.failpoints import Failpoints
from services.runtime.restore import read_range, restore
from services.runtime.settings import Settings
from services.runtime.sources import (
    AssignedSource,
    GroupSource,
    Limits,
    OwnershipLost,
    Position,
    Record,
    Source,
    as_offsets,
    begin,
    reach,
)

__all__ = [
    "AssignedSource",
    "GroupSource",
    "Limits",
    "Output",
    "OwnershipLost",
    "Position",
    "Record",
    "Stage",
    "StageFailed",
    "TransactionalLoop",
    "read_range",
    "restore",
]

CALL_TIMEOUT_S = 5.0
"""One call to the transaction coordinator; short, so that a stop is heeded between two."""

PATIENCE_S = 15.0
"""So long one client asks for the end of a transaction. After a broker's kill -9 a client can go on failing to reach the
transaction coordinator (seen: minutes after the broker was back); a new one settles it at once."""

HUNG_AFTER_S = 4.0
"""A call that has not come back so long after its own time-out never will."""

REJOIN_S = 0.5
"""A member whose client was of no more use waits so long before it joins again: what spoilt it may last some seconds."""

PURGE_TIMEOUT_S = 2.0

STUCK_S = 60.0
"""A loop that has not come round for so long is not healthy."""

BACKOFF_S = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)

_FENCED = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})

_REFUSING = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError._INVALID_ARG,
    }
)
"""Kafka will not have this record, however often it is offered. (An unknown topic is not among them: brokers that have just
started say so of topics that they have, and one that is really missing can still be declared.)"""

_PURGED = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})
"""What an abort does to records still under way."""

T = TypeVar("T")

log = logs.get("loop")


class Output(msgspec.Struct, frozen=True, gc=False):
    """One record to write. `partition` None: by key (murmur2)."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: list[tuple[str, bytes]] | None = None


class Stage(Protocol):
    """What decides. It works on an overlay of its state, because a batch counts only once Kafka says so."""

    def process(self, batch: Sequence[Record]) -> Sequence[Output]:
        """The outputs: a function of the records and of the committed state alone. May be called again with the same records
        in other cuts, after aborted(). An exception is a fault of ours."""
        ...

    def committed(self) -> None:
        """Merge the overlay. Called only after Kafka has confirmed the transaction."""
        ...

    def aborted(self) -> None:
        """Drop the overlay."""
        ...


class OutputRefused(Exception):
    """Kafka will not have an output of the stage: a fault of the stage, not of Kafka."""


class StageFailed(Exception):
    """The stage's own code failed again and again on the same records; someone has to look."""


def _not_fatal(error: KafkaError) -> bool:
    return not kafka.fatal(error)


def _served(call: Callable[[], object]) -> None:
    """A call that runs our callbacks. Raises KafkaException for a client's fatal error.

    The client (2.16) sets that error as an exception and goes on calling back; what is called then fails with SystemError, of
    which the error is only the cause. Seen with a fenced producer that still had records on their way: every tracker that was
    frozen and replaced.
    """
    try:
        call()
    except SystemError as error:
        if isinstance(error.__cause__, KafkaException):
            raise error.__cause__ from None
        raise


def _about(topic: str, key: bytes | None, error: KafkaError) -> str:
    return f"an output for {topic} with key {key!r:.100} did not get through: {error.name()}: {error.str()}"


class TransactionalLoop:
    """Runs a stage over a source, exactly once.

    The order of one batch, and what a crash after each step does:

    1. `collected`: records are read; nothing is written. They are read again.
    2. `processed`: the stage has decided, in memory, on its overlay. Nothing is written. They are read again.
    3. `begun`: a transaction is open. It is empty; the successor's init_transactions or the broker (10 s) ends it.
    4. `produced`: outputs are in the log, uncommitted: no reader of committed records ever sees them. Aborted as in 3.
    5. `offsets_sent`: the offsets are in the transaction. Aborted as in 3, so they do not count.
    6. commit_transaction: the coordinator either has the request, then outputs and offsets all count, or has not, then none.
       The successor reads the committed offsets, which wait for a pending outcome, and knows.
    7. `committed`: all counts; the state in memory is lost with the process, and restored from what was written.
    8. `merged`: stage.committed() has merged the overlay; as 7.

    Without a crash: *aborted* (the broker refused, the generation is over): flush, abort, stage.aborted(), back to the
    committed offsets, again after a pause. *Outcome unknown* (no answer to the commit): asked again until known; if the
    producer hangs or is beyond use, a new one of its id settles what was pending, and the committed offsets tell what became
    of it. *Fenced*: under a lease, OwnershipLost is raised, for another process is the owner now; in a group, as above, since
    the generation fences. *process() raises, or Kafka will not have an output* (too large): stage.aborted(), back, again;
    after `fuse` times in a row StageFailed.

    Guarantees: `stage.committed()` is called if and only if Kafka has committed the batch, before the next `process`.
    No transaction without input. At most one batch in flight. Not thread-safe, but for `healthy`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        name: str,
        transactional_id: str,
        source: Source,
        stage: Stage,
        fuse: int = 3,
        clients: kafka.Clients = kafka.LIBRDKAFKA,
    ) -> None:
        """`clients`: the same that `source` was given."""
        self._clients = clients
        self._settings = settings
        self._name = name
        self._transactional_id = transactional_id
        self._source = source
        self._stage = stage
        self._fuse = fuse
        self._fail = Failpoints(settings.failpoint)
        self._producer: Producer | None = None
        self._calls = clients.calls(name)
        self._stop = threading.Event()
        self._setbacks = 0  # batches in a row that did not commit
        self._faults = 0  # of them, those by the stage's own exceptions
        self._unsent: str | None = None  # the first output of this batch that did not get through, and why
        self._refused: str | None = None  # the first one that never will
        self._trouble: str | None = "not started"
        self._round_at = time.monotonic()

    def start(self, stop: threading.Event | None = None) -> None:
        """Fence the predecessor (init_transactions, which waits for what it left open), then read the committed offsets.

        Waits for a broker that is away, until `stop`. Raises OwnershipLost, TopicMissing, KafkaException.
        """
        self._stop = stop or self._stop
        self._producer = self._new_producer()
        self._persist(self._source.open, again=_not_fatal)
        self._trouble = None

    def committed_offsets(self) -> dict[Position, int]:
        """(topic, partition) -> next offset; partitions of which nothing was ever committed are left out."""
        return self._source.committed_offsets()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; the batch in hand is finished first. Raises OwnershipLost, StageFailed, KafkaException."""
        self._stop = stop
        while not stop.is_set():
            self._round_at = time.monotonic()
            try:
                batch = self._source.collect()
            except KafkaException as exception:
                self._wait_out(exception)
                continue
            if batch:
                self._handle(batch)

    def close(self) -> None:
        """Leave the group, let the producer go."""
        self._source.close()
        if self._producer is not None:
            with contextlib.suppress(Hung):
                self._calls(self._producer.purge, PURGE_TIMEOUT_S)
            self._producer = None
        self._calls.close()

    def healthy(self) -> str | None:
        """None, or what is wrong, for /healthz."""
        still_s = time.monotonic() - self._round_at
        if still_s > STUCK_S:
            return f"{self._name}: no round for {still_s:.0f} s; {self._trouble or 'the stage is at work'}"
        return None if self._trouble is None else f"{self._name}: {self._trouble}"

    # one batch

    def _handle(self, batch: list[Record]) -> None:
        reached = reach(batch)
        self._fail.reach("collected")
        try:
            with metrics.histogram("lovla_loop_process_seconds", loop=self._name).time():
                outputs = self._stage.process(batch)
        except Exception as error:
            self._fault(error, batch)
            return
        self._fail.reach("processed")
        try:
            with metrics.histogram("lovla_loop_commit_seconds", loop=self._name).time():
                committed = self._transact(outputs, reached)
        except OutputRefused as error:
            self._fault(error, batch)
            return
        if not committed:
            self._go_back("aborted", batch)
            return
        self._fail.reach("committed")
        self._stage.committed()
        self._fail.reach("merged")
        self._source.advanced(reached)
        self._setbacks = self._faults = 0
        self._trouble = None
        self._count(batch, len(outputs))

    def _fault(self, error: Exception, batch: list[Record]) -> None:
        self._faults += 1
        places = ", ".join(f"{topic}-{partition}@{offset}" for (topic, partition), offset in begin(batch).items())
        self._trouble = f"fault {self._faults} in a row: {type(error).__name__}"
        log.error("loop.fault", loop=self._name, in_a_row=self._faults, begins=places, records=len(batch), exc_info=error)
        if self._faults >= self._fuse:
            self._stage.aborted()
            raise StageFailed(
                f"{self._name} failed {self._faults} times in a row on the batch that begins at {places}: "
                f"{type(error).__name__}: {error}. Nothing of it was committed; mend the cause and start again"
            ) from error
        self._go_back("failed", batch)

    def _go_back(self, outcome: str, batch: list[Record]) -> None:
        self._stage.aborted()
        metrics.counter("lovla_loop_batches_total", loop=self._name, outcome=outcome).inc()
        self._stop.wait(BACKOFF_S[min(self._setbacks, len(BACKOFF_S) - 1)])
        self._setbacks += 1
        self._source.rewind(begin(batch))

    def _count(self, batch: Sequence[Record], outputs: int) -> None:
        metrics.counter("lovla_loop_batches_total", loop=self._name, outcome="committed").inc()
        metrics.counter("lovla_loop_records_total", loop=self._name).inc(len(batch))
        metrics.counter("lovla_loop_outputs_total", loop=self._name).inc(outputs)
        # a figure for people, so the machine's own clock serves
        metrics.gauge("lovla_loop_lag_seconds", loop=self._name).set(time.time() - batch[-1].timestamp_ms / 1000)

    # the transaction

    def _transact(self, outputs: Sequence[Output], reached: dict[Position, int]) -> bool:
        """True: committed. False: certainly not. Raises OwnershipLost if that cannot be known, or the owner is another."""
        try:
            self._producing.begin_transaction()
            self._fail.reach("begun")
            self._produce(outputs)
            if self._fail.armed("produced"):
                _served(self._producing.flush)  # so that the crash finds them in the log
            self._fail.reach("produced")
            offsets, member = as_offsets(reached), self._source.metadata
            self._persist(
                self._bounded(lambda: self._producing.send_offsets_to_transaction(offsets, member, CALL_TIMEOUT_S)),
                patience_s=PATIENCE_S,
            )
            self._fail.reach("offsets_sent")
            self._persist(self._bounded(lambda: self._producing.commit_transaction(CALL_TIMEOUT_S)), patience_s=PATIENCE_S)
            return True
        except Hung as hung:
            self._trouble = f"the Kafka client hangs: {hung}"
            log.error("loop.client_hung", loop=self._name, text=str(hung))
            return self._rebuild(reached)
        except OutputRefused:
            self._abort() or self._rebuild(reached)
            raise
        except KafkaException as exception:
            error = kafka.error_of(exception)
            why = self._unsent or f"{error.name()}: {error.str()}"
            self._trouble = f"transaction not committed ({self._setbacks + 1} in a row): {why}"
            log.warning("loop.not_committed", loop=self._name, error=error.name(), text=why, fatal=error.fatal())
            self._yield_if_fenced(error)
            if error.retriable() and self._stop.is_set():
                raise OwnershipLost(f"{self._name} was stopped before the outcome of a transaction was known") from exception
            # still retriable: this client gets nowhere, a new one will
            aborted = not error.fatal() and not error.retriable() and self._abort()
            committed = False if aborted else self._rebuild(reached)
            if self._refused is not None and not committed:
                raise OutputRefused(self._refused) from exception
            return committed

    def _produce(self, outputs: Sequence[Output]) -> None:
        producer = self._producing
        self._refused = self._unsent = None
        for n, output in enumerate(outputs):
            partition = -1 if output.partition is None else output.partition
            while True:
                try:
                    producer.produce(output.topic, output.value, output.key, partition, headers=[*(output.headers or ())])
                    break
                except KafkaException as exception:
                    error = kafka.error_of(exception)
                    if error.code() in _REFUSING:
                        raise OutputRefused(_about(output.topic, output.key, error)) from exception
                    if error.code() == KafkaError._UNKNOWN_TOPIC:
                        self._unsent = _about(output.topic, output.key, error)
                        with contextlib.suppress(KafkaException):  # ask now; by itself the client does so once a minute
                            producer.list_topics(output.topic, CALL_TIMEOUT_S)
                    raise
                except BufferError:
                    _served(lambda: producer.poll(0.1))  # room comes as records are acknowledged, or time out after 10 s
            if n % 1_000 == 999:
                _served(lambda: producer.poll(0))

    def _bounded(self, call: Callable[[], T]) -> Callable[[], T]:
        """The call, given up with Hung if it does not come back (see bounded.py)."""
        return lambda: self._calls(call, CALL_TIMEOUT_S + HUNG_AFTER_S)

    def _undelivered(self, error: KafkaError | None, message: Message) -> None:
        """Called for failed records only. Most are purged ones of an aborted transaction; some are to blame themselves."""
        if error is None or error.code() in _PURGED:
            return
        about = _about(message.topic() or "?", message.key(), error)
        self._unsent = self._unsent or about
        if error.code() in _REFUSING:
            self._refused = self._refused or about

    def _wait_out(self, exception: KafkaException) -> None:
        error = kafka.error_of(exception)
        if kafka.fatal(error):
            if self._source.exclusive:
                raise exception
            log.error("loop.reader_lost", loop=self._name, text=error.str())  # as a member that died; it comes back as another
            self._trouble = f"joining the group again: {error.str()}"
            self._stop.wait(REJOIN_S)
            self._persist(self._source.open, again=_not_fatal)
            return
        self._trouble = f"cannot read: {error.name()}: {error.str()}"
        log.warning("loop.cannot_read", loop=self._name, error=error.name(), text=error.str())
        self._stop.wait(1.0)

    def _persist(
        self,
        call: Callable[[], T],
        again: Callable[[KafkaError], bool] = KafkaError.retriable,
        patience_s: float = math.inf,
    ) -> T:
        """Ask until there is an answer. Gives up with the error once stopping, or after `patience_s`."""
        until = self._clients.monotonic() + patience_s
        while True:
            try:
                return call()
            except KafkaException as exception:
                error = kafka.error_of(exception)
                if not again(error) or self._stop.is_set() or self._clients.monotonic() > until:
                    raise
                self._trouble = f"asking Kafka again: {error.name()}: {error.str()}"
                self._stop.wait(0.1)

    def _abort(self) -> bool:
        """Whether the transaction is aborted. Flushed first: an abort right behind a produce can end in a fatal state error."""
        try:
            _served(lambda: self._producing.flush(2 * CALL_TIMEOUT_S))
            self._persist(self._bounded(lambda: self._producing.abort_transaction(CALL_TIMEOUT_S)), patience_s=PATIENCE_S)
            return True
        except Hung:
            return False
        except KafkaException as exception:
            error = kafka.error_of(exception)
            log.warning("loop.not_aborted", loop=self._name, error=error.name(), text=error.str(), fatal=error.fatal())
            self._yield_if_fenced(error)
            return False

    def _rebuild(self, reached: dict[Position, int]) -> bool:
        """A new producer of the same id: it settles whatever the old one left; the committed offsets tell how."""
        metrics.counter("lovla_loop_batches_total", loop=self._name, outcome="rebuilt").inc()
        with contextlib.suppress(Hung):  # a client that hangs is abandoned: the new one fences it
            self._calls(self._producing.purge, PURGE_TIMEOUT_S)
        self._calls.close()
        self._calls = self._clients.calls(self._name)
        self._producer = None
        self._producer = self._new_producer()
        committed = self._persist(lambda: self._source.settle(reached), again=_not_fatal)
        log.warning("loop.rebuilt", loop=self._name, batch_had_committed=committed)
        return committed

    def _new_producer(self) -> Producer:
        config = kafka.transactional_config(self._settings, self._name, self._transactional_id)
        producer = self._clients.producer(config | {"delivery.report.only.error": True, "on_delivery": self._undelivered})
        try:
            self._persist(lambda: producer.init_transactions(CALL_TIMEOUT_S))
        except KafkaException as exception:
            self._yield_if_fenced(kafka.error_of(exception))
            raise
        return producer

    def _yield_if_fenced(self, error: KafkaError) -> None:
        if self._source.exclusive and error.code() in _FENCED:
            raise OwnershipLost(f"{self._name}: another process has taken over {self._transactional_id} ({error.name()})")

    @property
    def _producing(self) -> Producer:
        if self._producer is None:
            raise RuntimeError("start() comes first")
        return self._producer
