"""What every part of the local stack has: a name, a command, and a way to ask whether it is ready."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from deploy.local.errors import StackError
from deploy.local.process import Running, start, tail


class Part(Protocol):
    """One process of the stack."""

    @property
    def name(self) -> str: ...

    @property
    def ports(self) -> Mapping[str, int]:
        """What it listens on, by purpose."""
        ...

    @property
    def log(self) -> Path:
        """Where its standard output and errors go."""
        ...

    @property
    def server_log(self) -> Path:
        """Where it tells what goes wrong; often the same file."""
        ...

    @property
    def cwd(self) -> Path: ...

    def prepare(self) -> None:
        """Write what it needs before it starts; harmless to repeat."""
        ...

    def argv(self) -> list[str]: ...

    def env(self) -> dict[str, str]: ...

    def not_ready(self) -> str | None:
        """None when it serves; else why not. Returns within a few seconds."""
        ...


def launch(part: Part) -> Running:
    """Prepare and start a part; does not wait."""
    part.prepare()
    return start(part.argv(), cwd=part.cwd, log=part.log, env=part.env())


def await_ready(part: Part, running: Running, within_s: float) -> None:
    """Return when the part serves. A process that died fails at once, with the end of its log.

    Raises:
        StackError: it died, or is not ready in time.
    """
    deadline = time.monotonic() + within_s
    while True:
        if not running.alive():
            raise StackError(f"{part.name} ended while starting; its log ({part.log}) ends with:\n{_last_words(part)}")
        reason = part.not_ready()
        if reason is None:
            return
        if time.monotonic() > deadline:
            words = _last_words(part)
            raise StackError(
                f"{part.name} is not ready after {within_s:.0f} s ({reason}); its log ({part.log}) ends with:\n{words}"
            )
        time.sleep(0.1)


def _last_words(part: Part) -> str:
    words = tail(part.log)
    if part.server_log != part.log:
        words = f"{words}\n{tail(part.server_log)}".strip()
    return words or "(nothing)"
