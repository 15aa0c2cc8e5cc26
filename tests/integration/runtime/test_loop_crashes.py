"""A crash between any two steps of the loop loses nothing and doubles nothing.

The points of a test run side by side, each with topics of its own: most of the time is waiting.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from services.runtime.failpoints import EXIT_CODE
from services.runtime.settings import Settings
from tests.integration.runtime.bench import Bench, new_bench, ready, worker

POINTS = ["collected", "processed", "begun", "produced", "offsets_sent", "committed", "merged"]


def at_each(points: Sequence[str], crash: Callable[[str], None]) -> None:
    """Run `crash` for every point and say which of them failed."""
    with ThreadPoolExecutor(4) as pool:
        running = {point: pool.submit(crash, point) for point in points}
    failed = {point: done.exception() for point, done in running.items() if done.exception() is not None}
    assert not failed, failed


def test_a_crash_of_the_owner_after_any_step_loses_and_doubles_nothing(kafka_settings: Settings) -> None:
    def crash(point: str) -> None:
        bench = new_bench(kafka_settings)
        ids = bench.send(200)
        with worker(bench.settings, bench.job(), f"{point}:2") as first:
            assert first.wait(60) == EXIT_CODE
        ids += bench.send(50)
        with worker(bench.settings, bench.job()) as second:
            bench.wait_for(ids)
            second.terminate()
            assert second.wait(30) == 0
        bench.check(ids)

    at_each(POINTS, crash)


def test_a_crash_of_a_member_after_any_step_loses_and_doubles_nothing(kafka_settings: Settings) -> None:
    """The other member takes over once the session of the dead one is over, and waits for its transaction to be settled."""

    def crash(point: str) -> None:
        bench = new_bench(kafka_settings)
        ids = bench.send(200)
        with worker(bench.settings, bench.job("group"), f"{point}:2") as first:
            assert first.wait(60) == EXIT_CODE
        ids += bench.send(50)
        with worker(bench.settings, bench.job("group", transactional_id=f"{bench.name}-1")) as second:
            bench.wait_for(ids)
            second.terminate()
            assert second.wait(30) == 0
        bench.check_ids(ids)

    at_each(["processed", "produced", "offsets_sent", "committed"], crash)


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
