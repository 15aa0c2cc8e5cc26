"""Times and spans as people read them, the same wherever we say them. Pure."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Literal

Unit = Literal["d", "h", "min"]


def when(moment: datetime | None, zone: tzinfo) -> str:
    """`Sat 11 Apr 2020 09:40`, local; whoever tells it says in which zone. Empty for None."""
    return "" if moment is None else f"{moment.astimezone(zone):%a %d %b %Y %H:%M}"


def amount(hours: float) -> tuple[str, Unit]:
    """`3.2` d from two days on, `18` h from ten hours on, `5.5` h from one hour on, `40` min: what a span is told by, in any
    language."""
    if hours >= 48:
        return f"{hours / 24:.1f}", "d"
    if hours >= 1 or hours == 0:
        return (f"{hours:.0f}" if hours >= 10 else f"{hours:.1f}".removesuffix(".0")), "h"
    return f"{hours * 60:.0f}", "min"


def span(hours: float | None) -> str:
    """`3.2 d`, `18 h`, `5.5 h`, `40 min`; empty for None."""
    return "" if hours is None else " ".join(amount(hours))
