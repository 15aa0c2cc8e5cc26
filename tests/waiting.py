"""Waiting for what another process or thread is to do: one way, and one bound for all tests.

How long something takes says nothing about whether it is right: two cores that four test processes and their servers share give
each a tenth of its speed at times. So a bound is there for one purpose, to end what hangs, and is far above what a slow machine
takes. A test that is about time measures time, and asks for its own bound here (`within_s`).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

HANG_S = 240.0
"""So long nothing takes that goes on. Below the time-out of a whole test (pyproject.toml), so that what was awaited is told."""

BROKEN_AFTER, BROKEN_S = 3, 30.0
"""Once so many waits of a session were in vain, something is broken and not slow: those that follow end sooner."""

LONGEST_PAUSE_S = 0.3

_in_vain = 0


def _bound_s() -> float:
    return HANG_S if _in_vain < BROKEN_AFTER else BROKEN_S


class Wait:
    """One wait. `of`: in words, or a function that tells it at the end (what a log says, how far it came)."""

    def __init__(
        self, of: str | Callable[[], str], within_s: float | None = None, longest_pause_s: float = LONGEST_PAUSE_S
    ) -> None:
        self._of, self._longest_pause_s = of, longest_pause_s
        self._within_s = _bound_s() if within_s is None else within_s
        self._until, self._pause_s = time.monotonic() + self._within_s, 0.05

    def goes_on(self) -> float:
        """Seconds until the next look, more and more: most looks ask servers or read topics. Fails once the wait is over."""
        global _in_vain
        if time.monotonic() > self._until:
            _in_vain += 1
            of = self._of if isinstance(self._of, str) else self._of()
            load = f"load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores"
            raise AssertionError(f"it did not happen within {self._within_s:.0f} s ({load}): {of}")
        pause_s, self._pause_s = self._pause_s, min(self._longest_pause_s, self._pause_s * 1.5)
        return pause_s


def eventually(
    what: Callable[[], object],
    of: str | Callable[[], str] = "what the test waits for",
    within_s: float | None = None,
    longest_pause_s: float = LONGEST_PAUSE_S,
) -> None:
    """Return once `what` is true; fail if it does not become so."""
    wait = Wait(of, within_s, longest_pause_s)
    while not what():
        time.sleep(wait.goes_on())


async def eventually_beside(
    what: Callable[[], object], of: str | Callable[[], str] = "what the test waits for", within_s: float | None = None
) -> None:
    """As `eventually`, beside the event loop: `what` is asked in a thread."""
    wait = Wait(of, within_s)
    while not await asyncio.to_thread(what):
        await asyncio.sleep(wait.goes_on())
