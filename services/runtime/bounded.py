"""Calls that may never return, made by a thread that can be left behind.

Seen with librdkafka 2.16: after a broker's kill -9 `send_offsets_to_transaction` waited, without regard to its own time-out,
for a reply that had been lost with the connection; for ever. A blocked C call cannot be ended, only abandoned with its client.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Hung(Exception):
    """The call did not return in time; its thread and whatever it works on are lost."""


class BoundedCalls:
    """One thread that makes one call at a time. After `Hung` it must be thrown away, together with the client that hangs."""

    def __init__(self, name: str) -> None:
        self._asked: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[tuple[Any, BaseException | None]]] | None]
        self._asked = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def __call__(self, call: Callable[[], T], timeout_s: float) -> T:
        """The call's value or exception. Raises Hung after `timeout_s`."""
        answer: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._asked.put((call, answer))
        try:
            value, error = answer.get(timeout=timeout_s)
        except queue.Empty:
            raise Hung(f"no return within {timeout_s:g} s") from None
        if error is not None:
            raise error
        result: T = value
        return result

    def close(self) -> None:
        """Let the thread end, once it is free."""
        self._asked.put(None)

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            call, answer = asked
            try:
                answer.put((call(), None))
            except BaseException as error:  # handed to the one who asked
                answer.put((None, error))
