"""Members of a group come, go and die; a member that was counted out cannot make its work count."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from deploy.local.process import signal_to
from services.runtime import kafka
from services.runtime.loop import GroupSource, Limits, Output, Record
from services.runtime.settings import Settings
from services.runtime.sources import as_offsets, generation
from tests.integration.runtime.bench import Bench, ready, wait_until, worker
from tests.integration.runtime.stages import Interrupted, running
from tests.integration.runtime.worker import Numbering
from tests.stack import QUICK_SESSION_MS, Kafka, LocalKafka

SMALL = Limits(records=20, idle_s=0.1)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_members_that_join_and_leave_at_work_lose_and_double_nothing(
    bench: Bench, protocol: Literal["classic", "consumer"]
) -> None:
    settings = bench.settings.model_copy(update={"group_protocol": protocol})
    ids: list[str] = []
    feeding = threading.Event()

    def feed() -> None:
        while not feeding.wait(0.05):
            ids.extend(bench.send(20))

    feeder = threading.Thread(target=feed)
    feeder.start()
    jobs = [bench.job("group", transactional_id=f"{bench.name}-{n}", slow_s=0.02) for n in range(3)]
    stages = [Numbering(job) for job in jobs]

    def source() -> GroupSource:
        return GroupSource(settings, bench.inputs, jobs[0].group, SMALL)

    try:
        with running(settings, jobs[0], source(), stages[0]) as steady:
            for _ in range(2):
                for n in (1, 2):
                    before = stages[n].count
                    with running(settings, jobs[n], source(), stages[n]) as guest:
                        wait_until("the guest has worked", lambda n=n, before=before: stages[n].count > before + 50)  # type: ignore[misc]  # a lambda with defaults
                        assert guest.error is None
            feeding.set()
            feeder.join()
            bench.wait_for(ids)
            assert steady.error is None
    finally:
        feeding.set()
        feeder.join()
    bench.check_ids(ids)


def test_a_frozen_member_that_was_counted_out_wakes_and_its_work_does_not_count(bench: Bench) -> None:
    """SIGSTOP inside a batch, longer than its session (10 s); the other member does the batch; then SIGCONT."""
    ids = bench.send(100)
    slow = bench.job("group", slow_s=2.0, batch=1_000)
    with worker(bench.settings, slow) as zombie:
        ready(zombie)
        wait_until("it holds the partitions", lambda: members(bench.settings, slow.group) == 1)
        threading.Event().wait(1.0)  # inside the two seconds of its first batch, if it is not over already
        zombie.send_signal(signal.SIGSTOP)
        with worker(bench.settings, replace(slow, slow_s=0.0, transactional_id=f"{bench.name}-1")) as other:
            bench.wait_for(ids)
            zombie.send_signal(signal.SIGCONT)
            ids += bench.send(100)
            bench.wait_for(ids)
            wait_until("the zombie is a member again", lambda: members(bench.settings, slow.group) == 2)
            ids += bench.send(100)
            bench.wait_for(ids)
            for process in (zombie, other):
                process.terminate()
                assert process.wait(30) == 0
    bench.check_ids(ids)


def members(settings: Settings, group: str, patient: bool = False) -> int:
    """How many hold partitions; -1 if the broker is not ready to say."""
    with kafka.admin(settings.kafka) as admin:
        try:
            described = admin.describe_consumer_groups([group])[group].result(10)
        except KafkaException:
            if not patient:
                raise
            return -1
    return sum(1 for member in described.members if member.assignment.topic_partitions)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_the_broker_refuses_offsets_under_a_membership_that_is_over(
    bench: Bench, protocol: Literal["classic", "consumer"]
) -> None:
    """What GroupSource rests on; and why it must never send the client's present metadata: "no member" is not refused."""
    settings = bench.settings.model_copy(update={"group_protocol": protocol})
    client = Consumer(kafka.consumer_config(settings, "test", f"{bench.name}.g") | kafka.group_config(settings))
    assert generation(client.consumer_group_metadata()) == -1
    client.subscribe(bench.inputs)
    wait_until("it has joined", lambda: client.poll(0.1) is None and bool(client.assignment()))
    membership = client.consumer_group_metadata()
    assert generation(membership) >= 1
    client.close()

    def send(metadata: object) -> None:
        producer = Producer(kafka.transactional_config(settings, "test", f"{bench.name}-tx"))
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(bench.out, b"1", b"k")
        producer.send_offsets_to_transaction(as_offsets({(bench.inputs[0], 0): 1}), metadata, 30)
        producer.commit_transaction(30)

    with pytest.raises(KafkaException) as refused:
        send(membership)
    assert kafka.error_of(refused.value).txn_requires_abort()
    assert bench.done() == []
    nobody = kafka.consumer(settings, "test", f"{bench.name}.g")
    send(nobody.consumer_group_metadata())
    nobody.close()
    assert len(bench.done()) == 1


def test_a_stage_without_a_membership_is_given_nothing(bench: Bench) -> None:
    """A member whose session was lost reads its leftovers without a membership: they are dropped, not processed."""
    source = GroupSource(bench.settings, bench.inputs, bench.job().group, SMALL)
    stage = Interrupted(bench.job(), no_more)
    ids = bench.send(40)
    with running(bench.settings, bench.job("group"), source, stage):
        bench.wait_for(ids)
        source._metadata = None  # as on_lost does
        ids += bench.send(40)
        bench.wait_for(ids)
    bench.check(ids)


def test_a_member_that_was_counted_out_is_still_told_what_was_committed(bench: Bench, broker: Kafka) -> None:
    """The broker stands still for longer than a session; it answers one that it has forgotten only once that joins again."""
    if not isinstance(broker, LocalKafka):
        pytest.skip("this provider's broker cannot be frozen by a test")
    settings = bench.settings.model_copy(update={"group_protocol": "consumer"})
    source = GroupSource(settings, bench.inputs, f"{bench.name}.g", SMALL)
    source.open()
    bench.send(40)
    wait_until("it has read", lambda: bool(source.collect()))
    assert broker.running is not None
    signal_to(broker.running, signal.SIGSTOP)
    threading.Event().wait(QUICK_SESSION_MS / 1000 + 2)  # not for luck: the session has to be over
    signal_to(broker.running, signal.SIGCONT)
    wait_until("the broker has forgotten it", lambda: members(settings, f"{bench.name}.g", patient=True) == 0)

    def told() -> bool:
        try:
            return source.settle({(bench.inputs[0], 0): 1}) is False
        except KafkaException:
            return False

    wait_until("it is told", told)
    source.close()


class ToldTheWorst(GroupSource):
    """Its client says once that it is of no more use, as librdkafka does: by the code of a message's error."""

    told = False

    def collect(self) -> list[Record]:
        if not self.told and (batch := super().collect()):
            self.told = True
            self.rewind({(record.topic, record.partition): record.offset for record in reversed(batch)})
            raise KafkaException(KafkaError(KafkaError._FATAL, "The group id does not exist"))
        return super().collect()


def test_a_client_that_is_of_no_more_use_is_replaced_and_nothing_is_lost_or_doubled(bench: Bench) -> None:
    source = ToldTheWorst(bench.settings, bench.inputs, bench.job().group, SMALL)
    ids = bench.send(60)
    with running(bench.settings, bench.job("group"), source, Numbering(bench.job("group"))) as run:
        bench.wait_for(ids)
        assert source.told
        ids += bench.send(60)
        bench.wait_for(ids)
        assert run.error is None
    bench.check_ids(ids)


def no_more(_batch: Sequence[Record]) -> Sequence[Output]:
    return ()
