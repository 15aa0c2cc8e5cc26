"""Today: how it stands, and what to do first. Gathers values; decides nothing about pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from schemas.words import EXCEPTION_KINDS
from services.console.questions import Changed, Delayed, DelayedFilter, Inbound, Order, Questions, SilentFeed, Standing

WORST, CHANGED_MOST = 10, 12
INBOUND_DAYS = 7
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class InboundDay:
    """What is expected on a day, by category: (category, unit, quantity, of it in trouble)."""

    day: str
    lines: list[tuple[str, str, int, int]]


@dataclass(frozen=True, slots=True)
class Today:
    """The first page of a shift. `quiet`: feeds from which nothing came for too long."""

    standing: Standing
    worst: list[Delayed]
    changed: list[Changed]
    quiet: list[SilentFeed]
    inbound: list[InboundDay]


def gather(questions: Questions, now: datetime, zone: ZoneInfo) -> Today:
    """Ask what the page needs. `zone`: the viewer's, whose day it is."""
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    standing = questions.begin(lambda: questions.standing(midnight))
    changed = questions.begin(lambda: questions.changed(now - _HOUR, CHANGED_MOST))
    quiet = questions.begin(questions.silent_feeds)
    inbound = questions.begin(lambda: questions.inbound(now, now + timedelta(days=INBOUND_DAYS)))
    return Today(
        worst=questions.delayed_page(DelayedFilter(kinds=EXCEPTION_KINDS), now, WORST, Order())[0],
        standing=standing.result(),
        changed=changed.result(),
        quiet=quiet.result(),
        inbound=by_day(inbound.result()),
    )


def by_day(rows: list[Inbound]) -> list[InboundDay]:
    """The lines of each day together, in the order given."""
    days: dict[str, list[tuple[str, str, int, int]]] = {}
    for row in rows:
        days.setdefault(row.day.isoformat(), []).append((row.category, row.unit, row.quantity, row.in_trouble))
    return [InboundDay(day, lines) for day, lines in days.items()]
