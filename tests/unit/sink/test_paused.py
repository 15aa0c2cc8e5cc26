"""While ClickHouse is away the sink pauses its partitions; one that is taken away meanwhile, and comes back, is read again.

Found by the simulation: librdkafka keeps a partition paused over the time in which another member had it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from schemas.topics import JOURNEY_CHANGES, JOURNEYS, SENDERS
from services.runtime import kafka
from services.runtime.clickhouse import ClickHouse
from services.runtime.clock import ManualClock
from services.runtime.settings import Settings
from services.sink.logs import LogSink
from services.sink.rows import STATE_TOPICS
from services.sink.states import StateSink
from tests.simulation.broker import Broker, Faults, Member, ModelClients
from tests.simulation.processes import Process
from tests.simulation.table import ModelClickHouse, Tables


class Alone(Process):
    """A process with nobody beside it: its time goes on where it would be paused, and after a while it is told to stop."""

    def __init__(self, broker: Broker, clock: ManualClock, stop: threading.Event) -> None:
        super().__init__("sink", lambda _: None)
        self._broker, self._clock, self._stop, self._steps = broker, clock, stop, 0

    def pause(self, doing: str) -> None:
        self._broker.machine += 0.5
        self._clock.advance(0.5)
        self._steps += 1
        if self._steps > 300:
            self._stop.set()


Sink = Callable[[Settings, ClickHouse, ManualClock, kafka.Clients], LogSink | StateSink]


def log_sink(settings: Settings, clickhouse: ClickHouse, clock: ManualClock, clients: kafka.Clients) -> LogSink:
    return LogSink(settings, clickhouse, clock, [JOURNEY_CHANGES.name], clients=clients)


def state_sink(settings: Settings, clickhouse: ClickHouse, clock: ManualClock, clients: kafka.Clients) -> StateSink:
    return StateSink(settings, clickhouse, clock, clients)


@pytest.mark.parametrize(
    ("make", "group", "topics", "mine", "lent"),
    [
        (log_sink, "sink.logs", {JOURNEY_CHANGES.name: 4}, (JOURNEY_CHANGES.name, 0), (JOURNEY_CHANGES.name, 1)),
        (state_sink, "sink.state", dict.fromkeys(STATE_TOPICS, 1), (SENDERS.name, 0), (JOURNEYS.name, 0)),
    ],
)
def test_a_partition_that_was_lent_while_paused_is_read_when_it_comes_back(
    make: Sink, group: str, topics: dict[str, int], mine: tuple[str, int], lent: tuple[str, int]
) -> None:
    broker, clock, stop = Broker(topics, lambda: 0), ManualClock(datetime(2026, 3, 1, tzinfo=UTC)), threading.Event()
    process, tables = Alone(broker, clock, stop), Tables()
    other: list[Member] = []

    def clickhouse_is_away_and_another_member_comes_and_goes() -> str:
        if not other:
            other.append(broker.join(group, list(topics), Process("another", lambda _: None)))
            return "lost"
        if other[0].name in broker.groups[group].members:
            broker.leave(broker.groups[group], other[0])
            broker.append(lent[0], b"B", None, None, lent[1])
        return "done"

    clickhouse = ModelClickHouse(tables, process, clickhouse_is_away_and_another_member_comes_and_goes)
    broker.append(mine[0], b"A", None, None, mine[1])
    sink = make(Settings(kafka="model:0"), clickhouse, clock, ModelClients(broker, process, Faults(), lambda _: None))
    sink.run(stop)
    assert broker.groups[group].offsets[mine][0] == 1
    assert broker.groups[group].offsets.get(lent, (0, ""))[0] == 1
