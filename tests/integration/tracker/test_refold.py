"""`lovla refold` with real trackers: journeys are what the topics say, in any number of shards, whatever it is killed at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import msgspec
import pytest

from deploy.local import environment
from schemas.topics import JOURNEY_CHANGES, JOURNEYS, TRACKER_SHARDS
from services.runtime import kafka as clients
from services.runtime.loop import Record, restore
from services.runtime.settings import Settings
from services.tracker.records import Clock, Feed, Journey, decode_journey_record, encode
from services.tracker.refold import shard_of_key
from tests import forks
from tests import stack as stacks
from tests.integration.tracker.trackers import (
    CONSIGNMENTS,
    Run,
    plain,
    prefix_of_four_letters,
    recomputed,
    send,
    story,
    until,
)
from tests.stack import ROOT, Stack


@pytest.fixture
def settings(stack: Stack) -> Iterator[Settings]:
    """Topics of its own for each test: a refold is of all journeys, and changes the layout of topics."""
    with stacks.emptied(stack, clickhouse=False) as found:
        yield found


def lovla(run: Run, *arguments: str, failpoint: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from services.cli import main; main()", "refold", "--json", *arguments]
    told = os.environ | {"LOVLA_STATE_DIR": str(run.folder), "LOVLA_FAILPOINT": failpoint}
    return forks.run(command, cwd=ROOT, env=told, timeout=180)


def refolded(run: Run, *arguments: str) -> dict[str, Any]:
    done = lovla(run, *arguments)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def partitions(settings: Settings, topic: str) -> int:
    client = clients.consumer(settings, "test", "test")
    try:
        return len(clients.partitions(client, topic))
    finally:
        client.close()


def standing(settings: Settings) -> list[tuple[int, Journey | Feed | Any]]:
    """What a restore finds: of each partition and key the last record, but for tombstones."""
    found = []
    for partition in range(partitions(settings, JOURNEYS.name)):
        newest: dict[bytes, bytes | None] = {}

        def take(record: Record, newest: dict[bytes, bytes | None] = newest) -> None:
            newest[record.key or b""] = record.value

        restore(settings, JOURNEYS.name, partition, take)
        found += [(partition, decode_journey_record(value)) for value in newest.values() if value is not None]
    return found


def journeys(settings: Settings) -> dict[str, Journey]:
    found = [record for _, record in standing(settings) if isinstance(record, Journey)]
    assert len({journey.consignment for journey in found}) == len(found), "a journey stands in two shards"
    return {journey.consignment: journey for journey in found}


def changes(settings: Settings) -> list[dict[str, Any]]:
    found: list[Record] = []
    for partition in range(JOURNEY_CHANGES.partitions):
        restore(settings, JOURNEY_CHANGES.name, partition, found.append)
    return [msgspec.json.decode(record.value or b"") for record in found]


def open_exceptions(told: list[dict[str, Any]]) -> dict[str, set[str]]:
    """The changes of each consignment, applied in order; what is told twice fails."""
    now: dict[str, set[str]] = {}
    for change in sorted(told, key=lambda one: (one["consignment"], one["version"], one["ordinal"])):
        keys = now.setdefault(change["consignment"], set())
        if change["change"] == "exception_opened":
            assert change["exception"]["key"] not in keys
            keys.add(change["exception"]["key"])
        elif change["change"] in ("exception_ended", "exception_withdrawn"):
            keys.remove(change["exception"]["key"])
    return now


def right(settings: Settings, prefix: str, shards: int = 1) -> None:
    """The journeys are what one undisturbed pass over the topics gives, where they belong, and were told so."""
    found = journeys(settings)
    assert {name: plain(journey) for name, journey in found.items()} == recomputed(settings, prefix)
    assert all(p == shard_of_key(r.consignment, shards) for p, r in standing(settings) if isinstance(r, Journey | Feed))
    told = open_exceptions(changes(settings))
    for name, journey in found.items():
        assert {e.key for e in journey.exceptions if e.status == "open"} == told.get(name, set())


def ticked(settings: Settings, at: datetime, shards: int = 1) -> Callable[[], bool]:
    def check() -> bool:
        clocks = {r.consignment: r for _, r in standing(settings) if isinstance(r, Clock)}
        ours = [clocks.get(f"clock:{shard}") for shard in range(shards)]
        return all(clock is not None and len(clock.ticks) == 20 and min(clock.ticks.values()) >= at for clock in ours)

    return check


def processed(settings: Settings, run: Run) -> str:
    """A story, followed by a tracker, which is then stopped."""
    prefix = prefix_of_four_letters()
    commands, events = story(prefix)
    process = run.tracker()
    at = send(run, [*commands, *events])
    until(ticked(settings, at), run)
    stop(process)
    return prefix


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def falsify(settings: Settings, count: int) -> list[str]:
    """What an older release made of them: a milestone forgotten, an exception never found."""
    producer = clients.producer(settings, "test")
    names = sorted(journeys(settings))[:count]
    for name in names:
        journey = journeys(settings)[name]
        wrong = msgspec.structs.replace(journey, version=journey.version + 1, milestones=(), vessel="WRONG")
        producer.produce(JOURNEYS.name, encode(wrong), name, 0)
    assert producer.flush(30) == 0
    return names


@pytest.mark.timeout(400)
def test_only_what_differs_is_written_and_told_with_a_cause_that_alerts_nobody(settings: Settings, run: Run) -> None:
    prefix = processed(settings, run)
    assert refolded(run)["differ"] == []
    before, told = journeys(settings), len(changes(settings))
    wrong = falsify(settings, 3)
    one = refolded(run, "--consignment", wrong[0])
    assert (one["differ"], one["journeys"]) == ([wrong[0]], 1)
    for step in ("fenced", "slice"):
        assert lovla(run, failpoint=step).returncode == 137, step
    refolded(run)
    right(settings, prefix)
    now = journeys(settings)
    assert all(now[name].version > before[name].version + 1 and now[name].cause == "refold" for name in wrong)
    assert {change["cause"] for change in changes(settings)[told:] if change["consignment"] in wrong} <= {
        "live",
        "backfill",
        "refold",
    }
    assert {
        c["cause"] for c in changes(settings) if (c["consignment"], c["version"]) in {(n, now[n].version) for n in wrong}
    } == {"refold"}
    assert refolded(run)["differ"] == []
    process = run.tracker()  # and the tracker goes on from it
    at = send(run, [])
    until(ticked(settings, at), run)
    done = lovla(run, "--within", "3")
    assert (done.returncode, "stop the tracker" in done.stderr) == (1, True), "one at work is not disturbed"
    at = send(run, [])
    until(ticked(settings, at), run)
    stop(process)
    right(settings, prefix)


@pytest.mark.timeout(400)  # some ten processes, one after the other
def test_the_number_of_shards_changes_whatever_it_is_killed_at(settings: Settings, run: Run) -> None:
    prefix = processed(settings, run)
    falsify(settings, 5)
    for step in ("marked", "slice", "relocated"):
        assert lovla(run, "--shards", "3", failpoint=step).returncode == 137, step
    refused = run.tracker()
    assert refused.wait(60) == 1  # it would find only half of its journeys
    assert "is under way" in run.log()
    assert lovla(run, "--shards", "3", failpoint="moved").returncode == 137
    assert refolded(run, "--shards", "3")["shards"] == 3
    right(settings, prefix, shards=3)
    assert environment.read(run.folder)["LOVLA_SHARDS"] == "3"
    assert (partitions(settings, JOURNEYS.name), partitions(settings, TRACKER_SHARDS.name)) == (3, 3)
    trackers = [run.tracker() for _ in range(3)]
    at = send(run, [*story(prefix + "B")[0]])
    until(ticked(settings, at, shards=3), run)
    for process in trackers:
        stop(process)
    assert len(journeys(settings)) == 2 * CONSIGNMENTS
    right(settings, prefix, shards=3)


@pytest.mark.timeout(400)
def test_shards_that_stand_at_different_offsets_become_one(settings: Settings, run: Run) -> None:
    assert refolded(run, "--shards", "2")["shards"] == 2
    only = run.tracker()  # of two shards one is at work
    prefix = prefix_of_four_letters()
    commands, events = story(prefix)
    send(run, [*commands, *events])
    until(lambda: len(journeys(settings)) > 0, run)
    stop(only)
    assert len(journeys(settings)) < CONSIGNMENTS
    assert refolded(run, "--shards", "1")["shards"] == 1
    right(settings, prefix)
    # what the other had not read yet was no refold's doing
    assert "refold" not in {change["cause"] for change in changes(settings)}
    gone = [record for _, record in standing(settings) if isinstance(record, Clock) and not record.ticks]
    assert {clock.consignment for clock in gone} == {"clock:1"}
    process = run.tracker()
    at = send(run, [])
    until(ticked(settings, at), run)
    stop(process)
    right(settings, prefix)
