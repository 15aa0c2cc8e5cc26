"""Today: how it stands, and what to do first. Gathers values; decides nothing about pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from schemas.words import EXCEPTION_KINDS
from services.console.questions import Changed, Delayed, DelayedFilter, Inbound, Order, Questions, SilentFeed, Standing
from services.console.worklist import midnight

WORST, CHANGED_MOST = 10, 12
INBOUND_DAYS = 7
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class InboundDay:
    """What is expected on a day of the hospitals' own, by category: (category, unit, quantity, of it in trouble)."""

    day: str
    lines: list[tuple[str, str, int, int]]


@dataclass(frozen=True, slots=True)
class Overdue:
    """What was expected on `days` before `today` and has not come, by category as InboundDay has it."""

    today: str
    days: list[str]
    lines: list[tuple[str, str, int, int]]


@dataclass(frozen=True, slots=True)
class Today:
    """The first page of a shift. `quiet`: feeds from which nothing came for too long; `inbound`: from today on."""

    standing: Standing
    worst: list[Delayed]
    changed: list[Changed]
    quiet: list[SilentFeed]
    overdue: Overdue
    inbound: list[InboundDay]


def gather(questions: Questions, now: datetime, zone: ZoneInfo) -> Today:
    """Ask what the page needs. `zone`: the viewer's, whose day it is."""
    began = midnight(now, zone)
    standing = questions.begin(lambda: questions.standing(began))
    changed = questions.begin(lambda: questions.changed(now - _HOUR, CHANGED_MOST))
    quiet = questions.begin(questions.silent_feeds)
    inbound = questions.begin(lambda: questions.inbound(now, now + timedelta(days=INBOUND_DAYS)))
    worst = questions.delayed_page(DelayedFilter(kinds=EXCEPTION_KINDS), now, WORST, Order())[0]
    today = began.date()
    rows = inbound.result()
    return Today(
        worst=worst,
        standing=standing.result(),
        changed=changed.result(),
        quiet=quiet.result(),
        overdue=_overdue([row for row in rows if row.day < today], today.isoformat()),
        inbound=by_day([row for row in rows if row.day >= today]),
    )


def by_day(rows: list[Inbound]) -> list[InboundDay]:
    """The lines of each day together, in the order given."""
    days: dict[str, list[tuple[str, str, int, int]]] = {}
    for row in rows:
        days.setdefault(row.day.isoformat(), []).append((row.category, row.unit, row.quantity, row.in_trouble))
    return [InboundDay(day, lines) for day, lines in days.items()]


def _overdue(rows: list[Inbound], today: str) -> Overdue:
    """The lines of all days before today as one."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for row in rows:
        quantity, trouble = sums.get((row.category, row.unit), (0, 0))
        sums[row.category, row.unit] = quantity + row.quantity, trouble + row.in_trouble
    days = sorted({row.day.isoformat() for row in rows})
    return Overdue(today, days, [(*key, *sums[key]) for key in sorted(sums)])
