"""Waiting between attempts, and when trouble is told."""

from __future__ import annotations

from datetime import UTC, datetime

from services.runtime.clock import ManualClock
from services.sink.patience import LEAST_S, MOST_S, Patience


def test_waits_grow_and_are_bounded() -> None:
    patience = Patience("sink", ManualClock(datetime(2020, 4, 12, tzinfo=UTC)))
    waits = [patience.failed("away") for _ in range(50)]
    assert LEAST_S <= waits[0] <= 4 * LEAST_S
    assert all(wait <= MOST_S for wait in waits)
    assert min(waits[10:]) >= MOST_S / 2


def test_trouble_is_told_after_a_minute_and_forgotten_when_it_ends() -> None:
    clock = ManualClock(datetime(2020, 4, 12, tzinfo=UTC))
    patience = Patience("sink", clock)
    patience.failed("ClickHouse is away")
    assert patience.healthy() is None
    clock.advance(61)
    patience.failed("ClickHouse is still away")
    assert patience.healthy() == "sink: ClickHouse is still away"
    patience.succeeded()
    assert patience.healthy() is None
