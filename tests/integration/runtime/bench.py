"""What the tests of the loop share: topics with names of their own, records with unique ids, processes, and the oracle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, KafkaException, TopicPartition
from confluent_kafka.cimpl import NewTopic

from services.runtime import kafka
from services.runtime.loop import Record, read_range
from services.runtime.settings import Settings
from tests import forks, topics
from tests.integration.runtime.worker import Job
from tests.waiting import HANG_S, Wait, eventually

ROOT = Path(__file__).parents[3]
OUTPUTS = 4  # partitions


def wait_until(what: str, true: Callable[[], bool]) -> None:
    """Wait for a condition, and say which one never came."""
    eventually(true, what, longest_pause_s=0.15)  # some things are so for a third of a second only


def patiently(ask: Callable[[], tuple[int, int]]) -> tuple[int, int]:
    """Ask again while a broker that has just started has no leader for a partition yet."""
    wait = Wait("the partition has a leader")
    while True:
        try:
            return ask()
        except KafkaException:
            time.sleep(wait.goes_on())


@dataclass
class Bench:
    """One test's own topics: `inputs` (4 partitions and 2), `out` (4), `state` (1)."""

    settings: Settings
    name: str

    @property
    def inputs(self) -> list[str]:
        return [f"{self.name}.in.a", f"{self.name}.in.b"]

    @property
    def out(self) -> str:
        return f"{self.name}.out"

    @property
    def state(self) -> str:
        return f"{self.name}.state"

    def create(self) -> None:
        counts = {self.inputs[0]: 4, self.inputs[1]: 2, self.out: OUTPUTS, self.state: 1}
        config = {"max.message.bytes": "1048588"}  # Kafka's default; brokers may be set otherwise
        topics.create(self.settings.kafka, *(NewTopic(name, n, 1, config=config) for name, n in counts.items()))

    def job(self, source: str = "assigned", **changes: object) -> Job:
        job = Job(source, self.inputs, self.out, self.state, f"{self.name}.group", f"{self.name}-0")
        return Job(**{**asdict(job), **changes})

    def send(self, count: int) -> list[str]:
        """Append records with unique ids to both inputs; returns the ids once Kafka has them."""
        producer = kafka.producer(self.settings, "test")
        ids = [uuid.uuid4().hex for _ in range(count)]
        for n, id in enumerate(ids):
            producer.produce(self.inputs[n % 2], id.encode(), id.encode())
        assert producer.flush(30) == 0
        return ids

    def read(self, topic: str) -> list[Record]:
        """All committed records, partition by partition."""
        found: list[Record] = []
        client = kafka.consumer(self.settings, "test", "test")
        try:
            for partition in kafka.partitions(client, topic):
                # the stable end, so that an open transaction does not hold us up
                end = patiently(partial(client.get_watermark_offsets, TopicPartition(topic, partition), timeout=10))[1]
                read_range(self.settings, topic, partition, 0, end, found.append)
        finally:
            client.close()
        return found

    def done(self) -> list[tuple[str, int]]:
        """(id, number) of every committed output."""
        return [((r.key or b"").decode(), int(r.value or b"0")) for r in self.read(self.out)]

    def wait_for(self, ids: Sequence[str], or_until: Callable[[], bool] = lambda: False) -> None:
        """By a reader that goes on where it is: a topic read anew at each look costs the broker more than the loop does."""
        seen = 0

        def committed() -> bool:
            nonlocal seen
            seen += sum(message.error() is None for message in client.consume(1_000, 0.1))
            return seen >= len(ids) or or_until()

        client = kafka.consumer(self.settings, "test", "test")
        try:
            client.assign([TopicPartition(self.out, number, OFFSET_BEGINNING) for number in range(OUTPUTS)])
            wait_until(f"{len(ids)} outputs are committed", committed)
        finally:
            client.close()

    def check(self, ids: Sequence[str]) -> None:
        """The oracle: every id once, every number once, none left out."""
        done = self.done()
        assert sorted(id for id, _ in done) == sorted(ids)
        assert sorted(number for _, number in done) == list(range(1, len(ids) + 1))

    def check_ids(self, ids: Sequence[str]) -> None:
        """As check(), where the numbers are not kept (members of a group each count for themselves)."""
        assert sorted(id for id, _ in self.done()) == sorted(ids)


def new_bench(settings: Settings) -> Bench:
    """A bench of its own on the broker that the settings name."""
    bench = Bench(settings, f"t{uuid.uuid4().hex[:10]}")
    bench.create()
    return bench


@contextmanager
def worker(settings: Settings, job: Job, failpoint: str = "") -> Iterator[subprocess.Popen[str]]:
    """A worker process; ended with the block, however it ends."""
    environ = os.environ | {
        "LOVLA_KAFKA": settings.kafka,
        "LOVLA_GROUP_PROTOCOL": settings.group_protocol,
        "LOVLA_FAILPOINT": failpoint,
    }
    process = forks.popen(
        [sys.executable, "-m", "tests.integration.runtime.worker", json.dumps(asdict(job))],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(HANG_S)
        assert process.stdout is not None
        process.stdout.close()


def ready(process: subprocess.Popen[str]) -> None:
    """Wait for the worker's first line."""
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
