"""Stopping a part of the local stack for a while: for work that needs it away, such as a rebuild or a refold."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from deploy.local.process import Running
from deploy.local.stack import Stack


@contextlib.contextmanager
def pausing(state_dir: Path, name: str) -> Iterator[Callable[[], None]]:
    """Gives a function that stops the part `name` of the stack in `state_dir`, if it runs there; at the end it is started
    again. A crash meanwhile leaves it stopped: `lovla status` says so, `lovla up` starts it.

    Raises:
        StackError: it does not stop or start.
    """
    given = {server: os.environ[server] for server in ("LOVLA_KAFKA", "LOVLA_CLICKHOUSE") if os.environ.get(server)}
    stopped: list[str] = []

    def pause() -> None:
        running = Running.load(state_dir / "run" / f"{name}.json")
        if running is not None and running.alive():
            stopped.extend(Stack(state_dir, given).down({name}))

    try:
        yield pause
    finally:
        if stopped:
            Stack(state_dir, given).up(set(stopped))
