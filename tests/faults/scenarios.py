"""The faults, each a small function of the run: what it does to which process, and what must hold meanwhile.

What must hold afterwards is the same for all of them (checks.py), so none of them looks at results. Each leaves the stack as it
found it: everything wanted runs and serves.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from deploy.local.clickhouse import KEPT_FREE_BYTES
from services.runtime.clickhouse import ClickHouseError, connect
from tests.faults import alerts
from tests.faults.field import PROMISED_STOP_S, SECOND, Field, Violation, until
from tests.faults.load import ARRIVED, UNITS, Drawing, Journey, Load, Request

STAGES = ("api", "readers", "tracker", "sink")
SHARED = ("readers", "sink", "tracker")
"""Stages of which a second member takes over: partitions, or the lease."""
KILLED = ("api", "readers", "tracker", "tracker, standby", "sink", "kafka", "clickhouse")
TIMEOUTS_S = 10.0  # a session and a transaction of the local broker (deploy/local/kafka.py, services/runtime/kafka.py)
DAY_S = 86_400
LAG_GONE_S = 120.0
FRESH_S = 10.0  # the age of T in ClickHouse at which nothing lags: ticks are a second or two apart
OUTAGE_LEAST_S = 70.0  # a gap between ticks of over 60 s is an outage of ours
MARGIN_S = 20.0
WAITING = 20  # journeys whose deadline lies in an outage


class Skipped(Exception):
    """The scenario cannot be had here; the text says why."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long and how often. `rate`: events a second; `flood`: while an outage is on and its lag goes away. `tick_s`: between
    two ticks of the door."""

    events: int = 200_000
    kills: int = 50
    rate: float = 120.0
    flood: float = 1_000.0
    away_s: float = 300.0
    slow_s: float = 45.0
    zombie_s: float = 2 * TIMEOUTS_S
    full_s: float = 20.0
    skew_s: float = 75.0
    alerts: int = 5_000
    provider_s: float = 600.0
    worker_alerts: int = 2_000
    joins: int = 3
    tick_s: float = 1.0


@dataclass(slots=True)
class Run:
    """What a scenario works with. `note`: what is going on, for people."""

    stack: Field
    load: Load
    chance: Random
    pace: Pace
    note: Callable[[str], None]
    doing: str = ""
    lag_s: dict[str, float] = field(default_factory=dict)
    """How long the lag took to go away, by what had been away."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """`act` returns what was seen; raises Violation or Skipped."""

    name: str
    does: str
    must: str
    act: Callable[[Run], str]


class Lag:
    """How far ClickHouse is behind the door, by the age of T there and by the ids that it lacks."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._clickhouse = connect(run.stack.settings, "reader", timeout_s=10)

    def behind(self) -> tuple[float, int] | None:
        """(age of T in seconds, events accepted and not yet in ClickHouse); None if it does not answer, or has nothing."""
        accepted = self._run.load.accepted
        try:
            (row,) = self._clickhouse.query(
                "SELECT (SELECT toUnixTimestamp64Milli(min(t)) FROM clocks FINAL) AS t, "
                "(SELECT uniqExact(source_id) FROM shipment_events WHERE source_id != '') AS events"
            )
        except ClickHouseError:
            return None
        return (time.time() - row["t"] / 1000, accepted - row["events"]) if row["t"] else None

    def gone(self) -> bool:
        seen = self.behind()
        return seen is not None and seen[0] < FRESH_S and seen[1] <= max(100.0, 3 * self._run.load.rate)

    def await_gone(self, seconds: float = LAG_GONE_S) -> float:
        """How long that took."""
        return until(self.gone, f"the lag is gone: {self.behind()}", seconds)

    def close(self) -> None:
        self._clickhouse.close()


@contextlib.contextmanager
def flooded(run: Run) -> Iterator[None]:
    """At the high rate as long as this lasts."""
    before, run.load.rate = run.load.rate, run.pace.flood
    try:
        yield
    finally:
        run.load.rate = before


def lag_goes(run: Run, after: str) -> str:
    """At the high rate, from now on: the lag is gone in time."""
    lag = Lag(run)
    try:
        took_s = lag.await_gone()
    finally:
        lag.close()
    run.lag_s[after] = took_s
    return f"lag gone after {took_s:.0f} s at {run.load.rate:,.0f} events/s"


# --- the scenarios


def quiet(run: Run) -> str:
    """Nothing is done to it: what is checked afterwards holds without faults too."""
    before = run.load.accepted
    time.sleep(5)
    if run.load.accepted <= before:
        raise Violation("no event was accepted in 5 s without any fault")
    return f"{run.load.accepted - before:,} events in 5 s"


def kills(run: Run) -> str:
    """kill -9 at random moments; the next kill does not wait for calm."""
    done: dict[str, int] = {}
    for n in range(run.pace.kills):
        target = KILLED[n] if n < len(KILLED) else run.chance.choice(KILLED)
        name, _, standby = target.partition(", ")
        run.note(f"kill {n + 1} of {run.pace.kills}: {target}")
        if standby:
            second = run.stack.add(name)
            run.stack.await_ready(second)
            time.sleep(run.chance.uniform(0.5, 2))  # else it is not in the group yet
        run.stack.kill(name)
        done[target] = done.get(target, 0) + 1
        time.sleep(run.chance.uniform(0, 2))
        run.stack.start(name)
        if standby:
            run.stack.await_ready(name)
            time.sleep(run.chance.uniform(0, 2))
            run.stack.kill(second)  # by now it is the owner, and the other one its standby
            run.stack.drop(second)
        if run.chance.random() < 0.7:
            run.stack.await_all()
        time.sleep(run.chance.uniform(0, 1.5))
    run.stack.await_all()
    return ", ".join(f"{times} {name}" for name, times in done.items())


def zombies(run: Run) -> str:
    """Each stage frozen for longer than every time-out, alone; then with a second member that takes over."""
    for name in (*STAGES, *(one + SECOND for one in SHARED)):
        stage = name.removesuffix(SECOND)
        run.note(f"frozen: {stage}{', a second member takes over' if name != stage else ''}")
        if name != stage:
            run.stack.await_ready(run.stack.add(stage))
            time.sleep(1)
        run.stack.freeze(stage)
        time.sleep(run.pace.zombie_s)
        run.stack.thaw(stage)
        time.sleep(3)  # with both at work: the one that was taken for dead must not make anything count
        if name != stage:
            run.stack.drop(name)
        run.stack.await_all()
    return f"{run.pace.zombie_s:.0f} s each: {', '.join(STAGES)}; with a second member: {', '.join(SHARED)}"


def zombie(run: Run) -> str:
    """The short form: two readers at work, then the first of them frozen."""
    seen = _both_work(run)
    run.stack.freeze("readers")
    time.sleep(run.pace.zombie_s)
    run.stack.thaw("readers")
    time.sleep(2)
    run.stack.drop("readers" + SECOND)
    run.stack.await_all()
    return f"{seen}; then the first was frozen for {run.pace.zombie_s:.0f} s"


def members(run: Run) -> str:
    """Second members of every stage join and leave, by SIGTERM and by kill -9; the first ones leave too."""
    for n in range(run.pace.joins):
        run.note(f"second members join and leave: {n + 1} of {run.pace.joins}")
        seconds = [run.stack.add(stage) for stage in STAGES]
        for name in seconds:
            run.stack.await_ready(name)
        time.sleep(run.chance.uniform(1, 3))
        for stage in STAGES:  # an orderly change: the first goes, the second stays
            run.stack.end(stage)
        time.sleep(run.chance.uniform(1, 3))
        for stage in STAGES:
            run.stack.start(stage)
        run.stack.await_all()
        for name in seconds:
            if run.chance.random() < 0.5:
                run.stack.kill(name)
            run.stack.drop(name)
    run.stack.await_all()
    slow = {name: round(took, 1) for name, took in run.stack.stop_s.items() if took > PROMISED_STOP_S}
    if slow:
        raise Violation(f"these did not stop within {PROMISED_STOP_S:.0f} s of SIGTERM: {slow}")
    stops = ", ".join(f"{name} {took:.1f} s" for name, took in run.stack.stop_s.items())
    return f"{run.pace.joins} times each; longest stops: {stops}"


def shared(run: Run) -> str:
    """Two readers work at the same time: both have partitions and write."""
    seen = _both_work(run)
    run.stack.drop("readers" + SECOND)
    return seen


def _both_work(run: Run) -> str:
    """Adds a second readers process and waits until both have committed batches."""
    second = run.stack.add("readers")
    run.stack.await_ready(second)
    done: dict[str, float] = {}
    until(lambda: _at_work(run, ("readers", second), done), f"both readers commit batches: {done}", 30)
    return "both readers committed batches"


def _at_work(run: Run, names: Sequence[str], done: dict[str, float]) -> bool:
    """Whether each has committed batches since the first call."""
    now = {name: run.stack.metric(name, 'lovla_loop_batches_total{loop="readers",outcome="committed"}') for name in names}
    for name, count in now.items():
        done.setdefault(name, count)
    return all(now[name] > done[name] for name in names)


def clickhouse_away(run: Run) -> str:
    """ClickHouse is killed and stays away; deadlines in that time are told in time, for our own door is open."""
    run.note(f"ClickHouse away for {run.pace.away_s:.0f} s")
    first = datetime.now(UTC) + timedelta(seconds=15)
    journeys = waiting(run.load.drawing, first, timedelta(seconds=max(20.0, run.pace.away_s - 30)), settled=False)
    push_waiting(run, journeys)
    with flooded(run):
        run.stack.kill("clickhouse")
        time.sleep(run.pace.away_s)
        run.stack.start("clickhouse")
        run.stack.await_ready("clickhouse")
        return f"{run.pace.away_s:.0f} s; {lag_goes(run, 'ClickHouse')}"


def clickhouse_slow(run: Run) -> str:
    """Each piece between us and ClickHouse takes a second."""
    run.note("ClickHouse slow")
    run.stack.proxy.be("slow", 1.0)
    time.sleep(run.pace.slow_s)
    run.stack.proxy.be("open")
    run.stack.await_all()
    return f"a second a piece, for {run.pace.slow_s:.0f} s"


def answers_lost(run: Run) -> str:
    """ClickHouse does what it is asked and its answers get lost: by a connection that breaks, then by silence."""
    swallowed = run.stack.proxy.swallowed
    run.note("ClickHouse's answers break off")
    run.stack.proxy.be("cut")
    time.sleep(run.pace.slow_s / 3)
    run.stack.proxy.be("open")
    time.sleep(3)
    run.note("ClickHouse's answers never come")
    run.stack.proxy.be("mute")
    time.sleep(run.pace.slow_s)  # longer than the 20 s after which we take an outcome for unknown
    run.stack.proxy.be("open")
    run.stack.await_all()
    return f"{run.stack.proxy.swallowed - swallowed} answers lost"


def kafka_away(run: Run) -> str:
    """Kafka is killed and stays away; deadlines lie in that time and in its grace, and none may be told falsely."""
    run.note(f"Kafka away for {run.pace.away_s:.0f} s")
    away = timedelta(seconds=run.pace.away_s)
    first = datetime.now(UTC) + timedelta(seconds=MARGIN_S)  # by then it is away
    settled = waiting(run.load.drawing, first, away, settled=True)
    unsettled = waiting(run.load.drawing, first, away, settled=False)
    push_waiting(run, [*settled, *unsettled])
    run.stack.kill("kafka")
    time.sleep(run.pace.away_s)
    run.stack.start("kafka")
    run.stack.await_ready("kafka")
    # what the carriers could not tell while our door was shut; only half an hour too late by the wall clock
    run.load.push([], [arrival(run.load.drawing, journey) for journey in settled])
    run.stack.await_all()
    with flooded(run):
        return f"{run.pace.away_s:.0f} s; {lag_goes(run, 'Kafka')}"


def waiting(drawing: Drawing, first: datetime, span: timedelta, *, settled: bool) -> list[Journey]:
    """Journeys whose deadline lies between `first` and `first + span`."""
    times = [first + span * n / WAITING for n in range(WAITING)]
    return [drawing.journey("waiting", at.replace(microsecond=0), settled) for at in times]


def push_waiting(run: Run, journeys: Sequence[Journey]) -> None:
    """Register them and tell of their departure; returns when the door has it all."""
    drawing = run.load.drawing
    requests = [drawing.registration(journeys)]
    requests += [
        drawing.events(journey.carrier, [(journey, step, unit) for step in range(len(journey.steps)) for unit in range(UNITS)])
        for journey in journeys
    ]
    run.load.push(journeys, requests)
    until(run.load.pushed, "the door has the journeys that wait", 60)


def arrival(drawing: Drawing, journey: Journey) -> Request:
    """The word that settles it: it had arrived before its deadline."""
    return drawing.events(journey.carrier, [(journey, ARRIVED, unit) for unit in range(UNITS)])


def disks_full(run: Run) -> str:
    """No byte is left for Kafka and for the tracker's store, a quarter of its reserve for ClickHouse; one after the other."""
    if run.stack.no_disks is not None:
        raise Skipped(run.stack.no_disks)
    seen = []
    for disk in Field.DISKS:
        run.note(f"disk full: {disk}")
        before = len(run.stack.ended)
        with run.stack.full(disk, KEPT_FREE_BYTES // 4 if disk == "clickhouse" else 0):
            time.sleep(run.pace.full_s)
        run.stack.await_all(180)
        ends = len(run.stack.ended) - before
        lag = Lag(run)
        try:
            took_s = lag.await_gone()
        finally:
            lag.close()
        seen.append(f"{disk} (processes ended {ends} times, lag gone {took_s:.0f} s after)")
    return f"{run.pace.full_s:.0f} s each: {', '.join(seen)}"


def clocks_off(run: Run) -> str:
    """The wall clock of one of our processes is a day wrong, one after the other: behind at the door, ahead at the others."""
    seen = []
    lag = Lag(run)
    try:
        for stage in STAGES:
            shift_s = -DAY_S if stage == "api" else DAY_S
            run.note(f"clock a day off: {stage}")
            run.stack.end(stage)
            run.stack.start(stage, LOVLA_FAULTS_CLOCK_S=str(shift_s))
            run.stack.await_ready(stage)
            time.sleep(run.pace.skew_s if stage == "api" else run.pace.skew_s / 4)
            if stage == "api":
                age = lag.behind()
                if age is None or age[0] < run.pace.skew_s / 2:
                    raise Violation(f"the door's clock is a day off and T goes on all the same: {age}")
                seen.append(f"T stood still for {age[0]:.0f} s while the door's clock was off")
            run.stack.end(stage)
            run.stack.start(stage)
            run.stack.await_ready(stage)
        lag.await_gone()
    finally:
        lag.close()
    return f"{', '.join(STAGES)}; {'; '.join(seen)}"


def provider_away(run: Run) -> str:
    """The mail server and the SMS provider stay away, alerts wait; the sender is killed meanwhile and while it sends."""
    run.note(f"{run.pace.alerts:,} alerts wait, the provider is away for {run.pace.provider_s:.0f} s")
    people = alerts.crowd("away", alerts.PEOPLE, run.pace.alerts, alerts.TEXTED)
    return alerts.drive(run.stack, people, run.pace.provider_s)


def workers(run: Run) -> str:
    """Two of the alerts' workers share the load; one of them goes, by SIGTERM and by kill -9, and comes back."""
    return alerts.rebalanced(run.stack, run.pace.worker_alerts, run.pace.joins)


SCENARIOS: Sequence[Scenario] = (
    Scenario("quiet", "nothing", "all checks hold without faults", quiet),
    Scenario("shared", "a second readers process", "both have partitions and commit", shared),
    Scenario("kills", "kill -9 at random moments", "everything serves again", kills),
    Scenario("zombies", "SIGSTOP longer than sessions and transactions", "who was counted out makes nothing count", zombies),
    Scenario("members", "second members join and leave", "each stops within 10 s of SIGTERM", members),
    Scenario(
        "clickhouse_away", "ClickHouse killed and kept away", "lag gone in 2 min; deadlines told in time", clickhouse_away
    ),
    Scenario("clickhouse_slow", "a second of delay a piece", "goes on", clickhouse_slow),
    Scenario("answers_lost", "only ClickHouse's answers get lost", "no row twice", answers_lost),
    Scenario("kafka_away", "Kafka killed and kept away", "lag gone in 2 min; no false deadline", kafka_away),
    Scenario(
        "provider_away",
        "mail server and SMS provider away, alerts wait, the sender killed three times",
        "each comes; twice only where docs/alerts.md says; nothing to who wants nothing",
        provider_away,
    ),
    Scenario("workers", "a second alerts' worker joins, the first leaves or dies", "each change is told once", workers),
    Scenario("disks_full", "disk full: Kafka, ClickHouse, tracker", "goes on once there is room", disks_full),
    Scenario("clocks_off", "wall clock of a process a day off", "T stands rather than lies", clocks_off),
)
SHORT: Sequence[Scenario] = (
    Scenario("kills", "kill -9 at random moments", "everything serves again", kills),
    Scenario("zombie", "two readers at work, SIGSTOP of one", "who was counted out makes nothing count", zombie),
    Scenario("answers_lost", "only ClickHouse's answers get lost", "no row twice", answers_lost),
)
