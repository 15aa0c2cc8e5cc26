"""Ticks go to every partition while the door is open, and to none while a load runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from schemas.raw_message_v1 import Tick
from services.ingest.ticker import Ticker
from services.runtime.clock import ManualClock
from services.runtime.wire import raw_meta
from tests.unit.ingest.fakes import NOW, FakeLog


async def _run_until(ticker: Ticker, log: FakeLog, records: int) -> None:
    running = asyncio.create_task(ticker.run())
    try:
        async with asyncio.timeout(5):
            while len(log.records) < records:
                await asyncio.sleep(0.001)
    finally:
        running.cancel()


async def test_each_partition_gets_its_tick(tmp_path: Path) -> None:
    log = FakeLog(ManualClock(NOW))
    await _run_until(Ticker(log, 4, 0.001, tmp_path / "load.json", log.clock), log, 8)
    assert [partition for partition, *_ in log.records[:4]] == [0, 1, 2, 3]
    _, key, value, headers = log.records[0]
    assert (key, raw_meta(headers).kind) == (b"~tick", "tick")
    assert Tick.model_validate_json(value) == Tick(at=NOW)


async def test_ticking_goes_on_after_kafka_was_away(tmp_path: Path) -> None:
    log = FakeLog(ManualClock(NOW), down=True)
    ticker = Ticker(log, 4, 0.001, tmp_path / "load.json", log.clock)
    running = asyncio.create_task(ticker.run())
    await asyncio.sleep(0.02)
    log.down = False
    async with asyncio.timeout(5):
        while len(log.records) < 4:
            await asyncio.sleep(0.001)
    running.cancel()


async def test_a_damaged_load_file_withholds_ticks(tmp_path: Path) -> None:
    (tmp_path / "load.json").write_text("{")
    log = FakeLog(ManualClock(NOW))
    ticker = Ticker(log, 4, 0.001, tmp_path / "load.json", log.clock)
    running = asyncio.create_task(ticker.run())
    await asyncio.sleep(0.05)
    running.cancel()
    assert log.records == []


async def test_a_door_that_refuses_everyone_does_not_tick(tmp_path: Path) -> None:
    log = FakeLog(ManualClock(NOW))
    is_open = False
    ticker = Ticker(log, 4, 0.001, tmp_path / "load.json", log.clock, lambda: is_open)
    running = asyncio.create_task(ticker.run())
    await asyncio.sleep(0.05)
    assert log.records == []
    is_open = True
    async with asyncio.timeout(5):
        while len(log.records) < 4:
            await asyncio.sleep(0.001)
    running.cancel()
