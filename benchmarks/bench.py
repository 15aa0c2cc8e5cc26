"""What a measurement is given: where to work, how much, and whom to tell how it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.servers import Broker


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much work. `full` is what the page shows; `quick` shows that all still runs; `tiny` is for tests of correctness.
    `seconds` and `rates` (events/s) are of the open loop that measures freshness; `alert_rate`: exceptions/s of the alerts."""

    runs: int
    reader_events: int
    pipeline_journeys: int
    tracker_consignments: int
    peer_events: int
    slow_peer_events: int
    sink_rows: int
    seconds: float
    rates: tuple[int, ...]
    journeys: tuple[int, ...]
    million: tuple[int, ...]
    subscriptions: tuple[int, ...]
    alert_changes: int
    alert_rate: float
    console_consignments: int
    console_requests: int
    console_viewers: int


FULL = Sizes(
    runs=3,
    reader_events=60_000,
    pipeline_journeys=8_000,
    tracker_consignments=6_000,
    peer_events=400_000,
    slow_peer_events=60_000,
    sink_rows=600_000,
    seconds=30,
    rates=(1_000, 5_000),
    journeys=(20_000, 100_000),
    million=(100_000, 1_000_000),
    subscriptions=(10_000, 100_000),
    alert_changes=5_000,
    alert_rate=50,
    console_consignments=1_000_000,
    console_requests=40,
    console_viewers=200,
)
QUICK = Sizes(
    runs=1,
    reader_events=20_000,
    pipeline_journeys=1_500,
    tracker_consignments=500,
    peer_events=60_000,
    slow_peer_events=10_000,
    sink_rows=60_000,
    seconds=5,
    rates=(1_000, 5_000),
    journeys=(5_000,),
    million=(5_000,),
    subscriptions=(10_000,),
    alert_changes=1_000,
    alert_rate=50,
    console_consignments=20_000,
    console_requests=10,
    console_viewers=50,
)
TINY = Sizes(
    runs=1,
    reader_events=600,
    pipeline_journeys=40,
    tracker_consignments=30,
    peer_events=3_000,
    slow_peer_events=3_000,
    sink_rows=2_000,
    seconds=1.5,
    rates=(200,),
    journeys=(300,),
    million=(300,),
    subscriptions=(1_000,),
    alert_changes=100,
    alert_rate=20,
    console_consignments=2_000,
    console_requests=1,
    console_viewers=5,
)


@dataclass(frozen=True, slots=True)
class Bench:
    """One call of the benchmarks. `folder` is ours alone; `cache` outlives the call (peers' environments). `broker`: as of
    `Servers`."""

    sizes: Sizes
    folder: Path
    cache: Path
    tell: Callable[[str], None]
    broker: Broker | None = None
