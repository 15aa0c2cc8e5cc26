"""How a process of ours begins: its settings, its log, and what ends it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

from services.runtime import lives, logs
from services.runtime.settings import Settings, SettingsError

S = TypeVar("S", bound=Settings)
log = logs.get("process")

SET_UP_WRONGLY = 2
"""Exit code of a process that a start anew cannot help."""

FAILED = 1
"""Exit code after a lasting cause: somebody has to look."""


def begin(service: str, kind: type[S]) -> S:
    """The settings, once the log speaks; in a later life of the process (lives.py) after its pause. Ends the process with 2 and
    one sentence where they are missing or wrong."""
    try:
        settings = kind.load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(SET_UP_WRONGLY)
    logs.setup(service, settings.log_level)
    lives.begun(settings)
    return settings


def on_stop(stop: Callable[[], None]) -> None:
    """Call `stop` at SIGTERM and SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())


def live(service: str, life: Callable[[threading.Event], None], known: tuple[type[Exception], ...] = ()) -> int:
    """Run `life` until it returns; the event that it is given is set at SIGTERM and SIGINT, and it may set it itself. The exit
    code: 0, or 1 after a lasting cause, which is told in the log (one that is `known` without a traceback). After a passing one
    it does not return: the process is its next life (lives.py); who was asked to stop has 1 then too."""
    asked, stop = threading.Event(), threading.Event()

    def end() -> None:
        asked.set()
        stop.set()

    on_stop(end)
    try:
        life(stop)
    except Exception as error:
        if passes := lives.passing(error):
            lives.unhandled()  # a SIGTERM that comes now ends it; one that came before stands in `asked`
            if not asked.is_set():
                lives.again(error)
        told = {"error": type(error).__name__, "reason": str(error), "pid": os.getpid()}
        if passes or isinstance(error, known):
            log.error(f"{service}.stopped", **told)
        else:
            log.exception(f"{service}.failed", **told)
        return FAILED
    return 0
