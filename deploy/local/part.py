"""What every part of the local stack has: a name, a command, and a way to ask whether it is ready."""

from __future__ import annotations

import http.client
import os
import socket
import time
from collections.abc import Callable, Mapping
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


WAIT_ON = "`lovla up` waits on for it, `lovla down` ends what was started"


def await_ready(part: Part, running: Running, within_s: float, advice: str = WAIT_ON) -> None:
    """Return when the part serves; see `await_all`."""
    await_all({part: running}, within_s, advice=advice)


def await_all(
    parts: Mapping[Part, Running],
    within_s: float,
    on_ready: Callable[[Part], None] = lambda part: None,
    advice: str = WAIT_ON,
) -> None:
    """Return when all serve. A process that died fails at once, with the end of its log. `advice`: what to do about one that is
    only slow.

    Raises:
        StackError: one died, or is not ready in time.
    """
    deadline = time.monotonic() + within_s
    waiting = dict(parts)
    while True:
        for part, running in list(waiting.items()):
            if not running.alive():
                raise StackError(f"{part.name} ended while starting; its log ({part.log}) ends with:\n{_last_words(part)}")
            answer = part.not_ready()
            if answer is None:
                del waiting[part]
                on_ready(part)
            elif time.monotonic() > deadline:
                raise StackError(
                    f"{part.name} is not ready after {within_s:.0f} s ({answer}). It still runs, and may only be slow"
                    f" (load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores): {advice};"
                    f" its log ({part.log}) ends with:\n{_last_words(part)}"
                )
        if not waiting:
            return
        time.sleep(0.1)


def refused(port: int) -> str | None:
    """Why nobody answers on a port of 127.0.0.1; None if somebody does. Spares a client library its retries."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError as error:
        return f"port {port}: {error.strerror or error}"
    return None


def page(port: int, path: str, timeout_s: float = 3.0) -> tuple[int, str]:
    """Status and text of a page on a port of 127.0.0.1, asked without httpx: to load it and to make a client takes longer than
    many questions. Raises OSError, http.client.HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


def _last_words(part: Part) -> str:
    words = tail(part.log)
    if part.server_log != part.log:
        words = f"{words}\n{tail(part.server_log)}".strip()
    return words or "(nothing)"
