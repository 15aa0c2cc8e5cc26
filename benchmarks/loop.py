"""How many events a second the bare loop carries, exactly once: one output an event, one state record a batch.

`LOVLA_KAFKA=host:port python benchmarks/loop.py [EVENTS]` against a broker of your own (a running stack's will do: the topics
have names of their own and are deleted at the end). Prints one JSON object. The stage does nothing: this is the ceiling of
the loop and the broker together.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Sequence

from confluent_kafka.cimpl import NewTopic

from services.runtime import kafka
from services.runtime.loop import AssignedSource, Limits, Output, Record, TransactionalLoop
from services.runtime.settings import Settings

EVENT_BYTES = 387
MOST_EVENTS = 2_000_000
PARTITIONS = 4
TIMEOUT_S = 300


class PassOn:
    """Writes each value on, and the count so far as its state."""

    def __init__(self, out: str, state: str, events: int, done: threading.Event) -> None:
        self._out, self._state, self._events, self._done = out, state, events, done
        self._count = self._ahead = self.batches = 0

    def process(self, batch: Sequence[Record]) -> Sequence[Output]:
        self._ahead = self._count + len(batch)
        outputs = [Output(self._out, record.key, record.value) for record in batch]
        outputs.append(Output(self._state, b"count", str(self._ahead).encode()))
        return outputs

    @property
    def finished(self) -> bool:
        return self._count >= self._events

    def committed(self) -> None:
        self._count = self._ahead
        self.batches += 1
        if self.finished:
            self._done.set()

    def aborted(self) -> None:
        self._ahead = self._count


def main() -> None:
    """Fill, run, report, delete."""
    events = min(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000, MOST_EVENTS)
    settings = Settings.load()
    name = f"bench.{uuid.uuid4().hex[:8]}"
    topics = {f"{name}.in": PARTITIONS, f"{name}.out": PARTITIONS, f"{name}.state": 1}
    with kafka.admin(settings.kafka) as admin:
        for future in admin.create_topics([NewTopic(topic, n, 1) for topic, n in topics.items()]).values():
            future.result(30)
    try:
        fill(settings, f"{name}.in", events)
        done = threading.Event()
        stage = PassOn(f"{name}.out", f"{name}.state", events, done)
        source = AssignedSource(settings, [f"{name}.in"], name, Limits(), with_headers=False)
        loop = TransactionalLoop(settings, name="bench", transactional_id=name, source=source, stage=stage)
        loop.start()
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        limit = threading.Timer(TIMEOUT_S, done.set)
        limit.start()
        loop.run(done)
        limit.cancel()
        if not stage.finished:
            raise SystemExit(f"not done within {TIMEOUT_S} s")
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        loop.close()
        figures = {"events": events, "batches": stage.batches, "seconds": round(wall_s, 2), "events_s": round(events / wall_s)}
        print(json.dumps({**figures, "cpu_s_per_million": round(cpu_s / events * 1e6, 1)}))  # noqa: T201  its output
    finally:
        with kafka.admin(settings.kafka) as admin:
            for future in admin.delete_topics(list(topics)).values():
                future.result(30)


def fill(settings: Settings, topic: str, events: int) -> None:
    """Events of the size of ours, over as many keys as a port has boxes in hand."""
    producer = kafka.producer(settings, "bench")
    value = b"x" * EVENT_BYTES
    for n in range(events):
        while True:
            try:
                producer.produce(topic, value, b"%d" % (n % 20_000))
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(60)


if __name__ == "__main__":
    main()
