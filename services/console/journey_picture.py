"""The journey as a picture: where each milestone's plan, estimate and actual lie on one axis of time. Pure; pages draw it.

Positions are in percent of the picture's width, so that the same SVG fits a phone and a wall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from services.console.consignment import Segment, Step

MARGIN_PCT: Final = 3.0
TICKS_MOST: Final = 6
_STEPS_D: Final = (1, 2, 5, 7, 14, 30, 60, 120)
_SAME: Final = timedelta(minutes=30)
"""Nearer than this, plan and what was told are one point."""


@dataclass(frozen=True, slots=True)
class Line:
    """A milestone's strip. `told`: of the actual, else the estimate; None: nobody has said."""

    step: Step
    planned: float | None
    told: float | None
    slips: bool

    @property
    def is_actual(self) -> bool:
        return self.step.actual is not None


@dataclass(frozen=True, slots=True)
class Picture:
    """`ticks`: (where, local day); `now`: where now lies, None if it lies outside."""

    stretches: list[tuple[Segment, list[Line]]]
    ticks: list[tuple[float, str]]
    now: float | None


def picture(segments: Sequence[Segment], now: datetime, zone: ZoneInfo) -> Picture:
    """Every step that has any time, on one axis from the first to the last of them."""
    steps = [step for segment in segments for step in segment.steps]
    moments = [at for step in steps for at in (step.planned, step.estimated, step.actual) if at is not None]
    begin, end = (min(moments), max(moments)) if moments else (now, now)
    width = max(end - begin, timedelta(hours=1))

    def place(at: datetime | None) -> float | None:
        return None if at is None else round(MARGIN_PCT + (100 - 2 * MARGIN_PCT) * ((at - begin) / width), 2)

    def line(step: Step) -> Line:
        told = step.actual or step.estimated
        slips = told is not None and step.planned is not None and abs(told - step.planned) > _SAME
        return Line(step, place(step.planned), place(told), slips)

    here = place(now)
    return Picture(
        [(segment, [line(step) for step in segment.steps]) for segment in segments],
        [(where, label) for at, label in _days(begin, end, zone) if (where := place(at)) is not None],
        here if here is not None and 0 <= here <= 100 else None,
    )


def _days(begin: datetime, end: datetime, zone: ZoneInfo) -> list[tuple[datetime, str]]:
    """Midnights of the viewer's zone, at most TICKS_MOST."""
    days = (end - begin) / timedelta(days=1)
    step = next((one for one in _STEPS_D if days / one <= TICKS_MOST), _STEPS_D[-1])
    at = begin.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    found: list[tuple[datetime, str]] = []
    while at <= end and len(found) < TICKS_MOST:
        found.append((at, f"{at:%d %b}"))
        at += timedelta(days=step)
    return found
