"""Processes that run one at a time and may die or fall asleep before and after every call to the outside.

The product's shells block; so each runs in a greenlet of its own (docs/decisions/0006), and only the scheduler says which moves
next. A run is therefore a function of its seed.
"""

from __future__ import annotations

from collections.abc import Callable

from greenlet import getcurrent, greenlet

WAITING = "consume"
"""What a process does that may have nothing to do."""


class Crash(BaseException):
    """kill -9: nothing catches it, and whatever a `finally` still tries ends the same way."""


class Process:
    """One life of a process. `work` is the product's code; it calls `pause` (through its clients) before and after whatever
    has an effect."""

    def __init__(self, name: str, work: Callable[[Process], None]) -> None:
        self.name = name
        self.ended = False
        self.error: BaseException | None = None
        self.asleep_until = 0  # a step: SIGSTOP until then
        self.idle_since: int | None = None  # the broker's version at which it had nothing to do
        self.doing = "start"
        self.slot = -1  # which of its kind on one machine, where that matters
        self.host = 0  # whose disk it has
        self._killed = False
        self._work = work
        self._body = greenlet(self._run)

    def _run(self) -> None:
        try:
            if not self._killed:
                self._work(self)
        except Crash:
            pass
        except Exception as error:
            self.error = error
        self.ended = True

    def step(self) -> None:
        """Let it run up to its next pause, or its end."""
        self._body.parent = getcurrent()
        self._body.switch()

    def kill(self) -> None:
        """It dies where it stands."""
        self._killed = True
        if not self.ended:
            self.step()
        assert self.ended

    def pause(self, doing: str) -> None:
        """Called by the process itself: others move now."""
        if self._killed:
            raise Crash
        self.doing = doing
        if doing != WAITING:
            self.idle_since = None
        parent = self._body.parent
        assert parent is not None
        parent.switch()
        if self._killed:
            raise Crash
