"""The demo going on live: simulated carriers tell what happens next, and repeat what they expect, about one event a second.

What the scenario's course holds next is sent when it is due. In between carriers and terminals repeat their newest
estimate, as real feeds do, so that no feed falls silent but the planted one. A consignment whose own silence is planted is
left alone, and so is what the demo's alerts spoke of (demo/news.py). Ends after its time, when the door has been gone for a
while, or when its keys are no longer good.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from random import Random

from msgspec.structs import replace as retold

from demo import world
from demo.messages import coming, speak
from demo.news import found
from demo.push import Pusher
from demo.scenario import Consignment, Scenario, Told, stray
from demo.truth import evaluate

HEARTBEAT_S = 1800.0
"""Each sender is heard at least this often: far below any limit of silence that the demo's senders have."""
TRIED_AT_ONCE = 40


async def go_on(
    scenario: Scenario, pusher: Pusher, clock: Callable[[], datetime], every_s: float, for_s: float, told: Callable[[str], None]
) -> None:
    """Sends until `for_s` have passed. Raises demo.push.Refused when the door is gone or the keys are dead."""
    random = Random(f"{scenario.seed}:live")
    scene = found(scenario)
    spoken_of = scene.names if scene is not None else frozenset()
    others = replace(scenario, consignments=tuple(one for one in scenario.consignments if one.name not in spoken_of))
    due = iter(coming(scenario))
    following = next(due, None)
    numbers = count()
    began = time.monotonic()
    heard = began - HEARTBEAT_S
    while (since := time.monotonic()) - began < for_s:
        if since - heard >= HEARTBEAT_S:
            heard = since
            for one in _heartbeats(clock(), next(numbers)):
                await _say(pusher, one, clock())
        if following is not None and following.received_at <= clock():
            await pusher.push(following, backfill=False)
            told(f"{following.sender}: {len(following.says)} events, as the course has it")
            following = next(due, None)
        elif (estimate := _repeated(others, random, clock(), next(numbers))) is not None:
            await _say(pusher, estimate, clock())
            told(f"{estimate.sender}: {estimate.what} expected {estimate.at:%m-%d %H:%M}Z for {estimate.consignments[0]}")
        await asyncio.sleep(every_s)


async def _say(pusher: Pusher, told: Told, now: datetime) -> None:
    for message in speak([told], now):
        await pusher.push(message, backfill=False)


def _heartbeats(now: datetime, number: int) -> Iterator[Told]:
    for code in (*world.OCEAN, world.STRANGER, *world.TERMINALS, *world.AIRLINES, *world.TRUCKERS):
        yield stray(code, now, f"live:{number}")


def _repeated(scenario: Scenario, random: Random, now: datetime, number: int) -> Told | None:
    """The newest estimate of some consignment under way, said once more; None if none of those tried has one."""
    for consignment in random.sample(scenario.consignments, min(TRIED_AT_ONCE, len(scenario.consignments))):
        if (said := _estimate(consignment, now)) is not None:
            return retold(said, ident=f"{said.ident}:live:{number}", known_at=_minute(now) - timedelta(minutes=1))
    return None


def _minute(now: datetime) -> datetime:
    return now.replace(second=0, microsecond=0)


def _estimate(consignment: Consignment, now: datetime) -> Told | None:
    """The newest estimate of what has not happened yet; None where there is none, or where it would end a silence."""
    known = [t for t in consignment.told if t.known_at <= now and not t.void]
    said = max((t for t in known if t.classifier == "estimated"), key=lambda t: t.known_at, default=None)
    if said is None or any(t.what == "delivered" or (t.what == said.what and t.classifier == "actual") for t in known):
        return None
    silent = any(f.kind == "silent" and f.end is None for f in evaluate(consignment.case, now))
    return None if silent else said
