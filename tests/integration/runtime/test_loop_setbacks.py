"""What goes wrong without a crash: faults of the stage, refused outputs, aborts, fencing, a broker that dies."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.cimpl import NewTopic

from services.runtime import kafka
from services.runtime.loop import (
    AssignedSource,
    GroupSource,
    Limits,
    Output,
    OwnershipLost,
    Record,
    StageFailed,
    TransactionalLoop,
)
from services.runtime.settings import Settings
from services.runtime.sources import Source
from tests.integration.runtime.bench import Bench, new_bench, wait_until
from tests.integration.runtime.stages import Interrupted, Running, running
from tests.integration.runtime.worker import Numbering
from tests.stack import Kafka

SMALL = Limits(records=20, idle_s=0.1)


def nothing(_batch: Sequence[Record]) -> Sequence[Output]:
    return ()


def source_of(bench: Bench, kind: str) -> Source:
    make = AssignedSource if kind == "assigned" else GroupSource
    return make(bench.settings, bench.inputs, bench.job().group, SMALL)


@pytest.mark.parametrize("kind", ["assigned", "group"])
def test_faults_and_aborted_transactions_lose_and_double_nothing(bench: Bench, kind: str) -> None:
    """Every other batch or so fails: by an exception, or inside the transaction by an output that Kafka will not have."""
    chance = random.Random(7)
    too_large = Output(bench.out, b"large", b"x" * (kafka.MAX_MESSAGE_BYTES + 1))

    def trouble(_batch: Sequence[Record]) -> Sequence[Output]:
        kind = chance.choice(["none", "none", "raise", "refused"])
        if kind == "raise":
            raise RuntimeError("planted")
        return [too_large] if kind == "refused" else []

    stage = Interrupted(bench.job(), trouble)
    ids = bench.send(400)
    with running(bench.settings, bench.job(), source_of(bench, kind), stage, fuse=100) as run:
        bench.wait_for(ids)
        assert run.error is None
        assert run.loop.healthy() is None
    assert stage.aborts > 5
    bench.check(ids)


def test_a_stage_that_keeps_failing_stops_the_loop_and_names_the_place(bench: Bench) -> None:
    def fail(_batch: Sequence[Record]) -> Sequence[Output]:
        raise ValueError("cannot be")

    stage = Interrupted(bench.job(), fail)
    ids = bench.send(5)
    with running(bench.settings, bench.job(), source_of(bench, "assigned"), stage) as run:
        run.join()
        assert isinstance(run.error, StageFailed)
        assert "3 times" in str(run.error) and f"{bench.inputs[0]}-" in str(run.error) and "cannot be" in str(run.error)
        assert "fault 3" in (run.loop.healthy() or "")
    assert stage.aborts == 3
    with running(bench.settings, bench.job(), source_of(bench, "assigned"), Numbering(bench.job())):
        bench.wait_for(ids)
    bench.check(ids)


def test_an_output_that_the_broker_refuses_is_a_fault_of_the_stage(bench: Bench) -> None:
    """Larger than the topic allows (1 MiB), though not too large for the client."""
    large = Output(bench.out, b"k", random.Random(1).randbytes(2_000_000))
    bench.send(5)
    stage = Interrupted(bench.job(), lambda _: [large])
    with running(bench.settings, bench.job(), source_of(bench, "assigned"), stage, fuse=1) as run:
        run.join()
        assert isinstance(run.error, StageFailed)
        assert large.topic in str(run.error)
    assert bench.done() == []


def test_a_missing_topic_is_named_and_waited_for(bench: Bench) -> None:
    missing = f"{bench.name}.missing"
    stage = Interrupted(bench.job(), lambda _: [Output(missing, b"k", b"v")])
    ids = bench.send(20)
    with running(bench.settings, bench.job(), source_of(bench, "assigned"), stage) as run:
        wait_until("its health names the topic", lambda: missing in (run.loop.healthy() or ""))
        assert bench.done() == []
        with kafka.admin(bench.settings.kafka) as admin:
            admin.create_topics([NewTopic(missing, 1, 1)])[missing].result(30)
        bench.wait_for(ids)
        assert run.error is None
    bench.check(ids)


@pytest.mark.parametrize("outputs", [0, 3_000])
def test_an_owner_that_was_replaced_while_it_worked_is_fenced_and_its_work_does_not_count(bench: Bench, outputs: int) -> None:
    """The zombie wakes in the middle of a batch that its successor has done meanwhile. (With many records on their way the
    client tells of the fencing in another manner.)"""
    asleep, wake = threading.Event(), threading.Event()

    def sleep(_batch: Sequence[Record]) -> Sequence[Output]:
        asleep.set()
        assert wake.wait(60)
        return [Output(bench.out, b"k%d" % n, b"x" * 500) for n in range(outputs)]

    ids = bench.send(100)
    zombie = Interrupted(bench.job(), sleep)
    with running(bench.settings, bench.job(), source_of(bench, "assigned"), zombie) as old:
        assert asleep.wait(30)
        with running(bench.settings, bench.job(), source_of(bench, "assigned"), Numbering(bench.job())) as new:
            bench.wait_for(ids)
            wake.set()
            old.join()
            assert isinstance(old.error, OwnershipLost)
            ids += bench.send(20)
            bench.wait_for(ids)
            assert new.error is None
    assert zombie.commits == 0
    bench.check(ids)


def test_an_idle_loop_opens_no_transaction_and_is_healthy(bench: Bench) -> None:
    with running(bench.settings, bench.job(), source_of(bench, "assigned"), Numbering(bench.job())) as run:
        threading.Event().wait(1.0)
        assert run.loop.healthy() is None
    assert bench.read(bench.state) == []
    assert sum(1 for _ in bench.read(bench.out)) == 0


def test_committed_offsets_are_known_before_the_loop_runs(bench: Bench) -> None:
    ids = bench.send(30)
    with running(bench.settings, bench.job(), source_of(bench, "assigned"), Numbering(bench.job())) as run:
        assert run.loop.committed_offsets() == {} or run.loop.committed_offsets()
        bench.wait_for(ids)
    source = source_of(bench, "assigned")
    loop = TransactionalLoop(
        bench.settings, name="test", transactional_id=bench.job().transactional_id, source=source, stage=Numbering(bench.job())
    )
    loop.start()
    assert sum(loop.committed_offsets().values()) == len(ids)
    loop.close()


class AtWork:
    """A loop of its own topics, which takes some seconds for what it is given."""

    def __init__(self, settings: Settings, kind: str) -> None:
        self._kind = kind
        self.bench = new_bench(settings)
        self.ids = self.bench.send(400)
        self._job = replace(self.bench.job(), slow_s=0.3)
        self.begun = threading.Event()

    def running(self) -> AbstractContextManager[Running]:
        self.stage = Interrupted(self._job, self._tell)
        return running(self.bench.settings, self._job, source_of(self.bench, self._kind), self.stage)

    def _tell(self, _batch: Sequence[Record]) -> Sequence[Output]:
        self.begun.set()
        return ()


def test_a_broker_killed_and_started_again_loses_and_doubles_nothing(kafka_settings: Settings, broker: Kafka) -> None:
    """A loop of either kind goes on by itself, or says that it lost its ownership; a successor then goes on. Both at once: a
    broker that starts costs seconds of CPU."""
    both = [AtWork(kafka_settings, kind) for kind in ("assigned", "group")]
    with ExitStack() as loops:
        runs = [loops.enter_context(one.running()) for one in both]
        assert all(one.begun.wait(60) for one in both)
        broker.kill()
        assert all(one.stage.commits * SMALL.records < len(one.ids) for one in both), "it was killed in the middle"
        broker.start()
        for one, run in zip(both, runs, strict=True):
            one.ids += one.bench.send(50)
            one.bench.wait_for(one.ids, or_until=lambda run=run: run.ended)  # type: ignore[misc]  # a default of a lambda has no type
            assert run.error is None or isinstance(run.error, OwnershipLost)
    for one, run in zip(both, runs, strict=True):
        if run.error is not None:
            with one.running():
                one.bench.wait_for(one.ids)
        one.bench.check_ids(one.ids)


class BreaksAtCommit:
    """A producer that becomes unusable in its third commit, before or after Kafka has committed: nobody is told which."""

    def __init__(self, real: Producer, after_the_commit: bool) -> None:
        self._real = real
        self._after = after_the_commit
        self._commits = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def commit_transaction(self, timeout: float) -> None:
        self._commits += 1
        if self._commits != 3:
            self._real.commit_transaction(timeout)
            return
        if self._after:
            self._real.commit_transaction(timeout)
        raise KafkaException(KafkaError(KafkaError._FATAL, "planted", fatal=True))


@pytest.mark.parametrize("after_the_commit", [True, False])
@pytest.mark.parametrize("kind", ["assigned", "group"])
def test_the_outcome_of_a_commit_without_an_answer_is_found_out(bench: Bench, kind: str, after_the_commit: bool) -> None:
    ids = bench.send(200)
    stage = Interrupted(bench.job(), nothing)
    loop = TransactionalLoop(
        bench.settings,
        name="test",
        transactional_id=bench.job().transactional_id,
        source=source_of(bench, kind),
        stage=stage,
    )
    loop.start()
    assert loop._producer is not None
    loop._producer = BreaksAtCommit(loop._producer, after_the_commit)  # type: ignore[assignment]  # stands in for the client
    run = Running(loop)
    run.begin()
    bench.wait_for(ids)
    run.stop.set()
    run.join()
    loop.close()
    assert run.error is None
    assert stage.aborts == (0 if after_the_commit else 1)
    bench.check(ids)


class HangsAtCommit:
    """A producer whose second commit does not come back; much later, its forgotten thread does commit, or tries to."""

    def __init__(self, real: Producer, wake: threading.Event) -> None:
        self._real = real
        self._wake = wake
        self._commits = 0
        self.late: Exception | None = None
        self.over = threading.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def commit_transaction(self, timeout: float) -> None:
        self._commits += 1
        if self._commits == 2:
            self._wake.wait(120)
            try:
                self._real.commit_transaction(timeout)
            except KafkaException as error:
                self.late = error
            self.over.set()
            return
        self._real.commit_transaction(timeout)


def test_a_client_that_hangs_is_abandoned_and_fenced_and_cannot_commit_later(bench: Bench) -> None:
    wake = threading.Event()
    ids = bench.send(200)
    stage = Interrupted(bench.job(), nothing)
    loop = TransactionalLoop(
        bench.settings,
        name="test",
        transactional_id=bench.job().transactional_id,
        source=source_of(bench, "assigned"),
        stage=stage,
    )
    loop.start()
    assert loop._producer is not None
    hanging = HangsAtCommit(loop._producer, wake)
    loop._producer = hanging  # type: ignore[assignment]  # stands in for the client
    run = Running(loop)
    run.begin()
    bench.wait_for(ids)
    wake.set()
    assert hanging.over.wait(30)
    ids += bench.send(50)
    bench.wait_for(ids)
    run.stop.set()
    run.join()
    loop.close()
    assert run.error is None
    assert isinstance(hanging.late, KafkaException)
    bench.check(ids)
