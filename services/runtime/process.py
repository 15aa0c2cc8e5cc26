"""How a process of ours begins: its settings, its log, and what ends it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import TypeVar

from services.runtime import logs
from services.runtime.settings import Settings, SettingsError

S = TypeVar("S", bound=Settings)

SET_UP_WRONGLY = 2
"""Exit code of a process that a start anew cannot help."""


def begin(service: str, kind: type[S]) -> S:
    """The settings, once the log speaks. Ends the process with 2 and one sentence where they are missing or wrong."""
    try:
        settings = kind.load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(SET_UP_WRONGLY)
    logs.setup(service, settings.log_level)
    return settings


def on_stop(stop: Callable[[], None]) -> None:
    """Call `stop` at SIGTERM and SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
