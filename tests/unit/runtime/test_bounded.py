"""A call that hangs is given up; values and exceptions come through."""

from __future__ import annotations

import threading

import pytest

from services.runtime.bounded import BoundedCalls, Hung


def test_values_and_exceptions_come_through() -> None:
    calls = BoundedCalls("test")
    assert calls(lambda: 7, 5) == 7
    with pytest.raises(ZeroDivisionError):
        calls(lambda: 1 // 0, 5)
    calls.close()


def test_a_call_that_does_not_return_is_given_up() -> None:
    calls, release = BoundedCalls("test"), threading.Event()
    with pytest.raises(Hung, match="no return within"):
        calls(lambda: release.wait(30), 0.05)
    release.set()
    calls.close()
