"""A crash between any two steps of the loop loses nothing and doubles nothing."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest

from services.runtime.failpoints import EXIT_CODE
from tests.integration.runtime.bench import Bench, ready, worker

POINTS = ["collected", "processed", "begun", "produced", "offsets_sent", "committed", "merged"]


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_of_the_owner_loses_and_doubles_nothing(bench: Bench, point: str) -> None:
    ids = bench.send(200)
    with worker(bench.settings, bench.job(), f"{point}:2") as first:
        assert first.wait(60) == EXIT_CODE
    ids += bench.send(50)
    with worker(bench.settings, bench.job()) as second:
        bench.wait_for(ids)
        second.terminate()
        assert second.wait(30) == 0
    bench.check(ids)


@pytest.mark.parametrize("point", ["produced", "offsets_sent", "committed"])
def test_a_crash_of_a_member_loses_and_doubles_nothing(bench: Bench, point: str) -> None:
    """The other member takes over once the session of the dead one is over, and waits for its transaction to be settled."""
    ids = bench.send(200)
    with worker(bench.settings, bench.job("group"), f"{point}:2") as first:
        assert first.wait(60) == EXIT_CODE
    ids += bench.send(50)
    with worker(bench.settings, bench.job("group", transactional_id=f"{bench.name}-1")) as second:
        bench.wait_for(ids)
        second.terminate()
        assert second.wait(30) == 0
    bench.check_ids(ids)


def test_a_burst_of_kills_at_any_moment_loses_and_doubles_nothing(bench: Bench) -> None:
    """No failpoint chooses the moment here; the seed chooses the waits."""
    chance = random.Random(11)
    job = bench.job(batch=10, slow_s=0.03)
    ids = bench.send(600)
    for _ in range(8):
        with worker(bench.settings, job) as victim:
            ready(victim)
            time.sleep(chance.uniform(0.05, 0.4))  # the moment is meant to be any
            victim.kill()
    ids += bench.send(50)
    with worker(bench.settings, replace(job, batch=200)):
        bench.wait_for(ids)
    bench.check(ids)
