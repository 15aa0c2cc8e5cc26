"""Moves the clock of the Python process that finds this file on its path: LOVLA_FAULTS_CLOCK_S seconds, forward or back.

Loaded by Python itself at start, so that no line of the product knows of it. Monotonic clocks stay right, as they do on a
machine whose wall clock is wrong. The Kafka client's own clock (C) is not moved.
"""

import ctypes
import datetime
import gc
import os
import time

SHIFT_S = float(os.environ.get("LOVLA_FAULTS_CLOCK_S", "0"))


def _move() -> None:
    true_time, true_time_ns, true_now = time.time, time.time_ns, datetime.datetime.now
    shift = datetime.timedelta(seconds=SHIFT_S)
    time.time = lambda: true_time() + SHIFT_S
    time.time_ns = lambda: true_time_ns() + int(SHIFT_S * 1e9)
    # datetime is a type of the C library: its methods can only be replaced in the dict behind its read-only view
    methods = next(d for d in gc.get_referents(datetime.datetime.__dict__) if isinstance(d, dict))
    methods["now"] = staticmethod(lambda tz=None: true_now(tz) + shift)
    methods["utcnow"] = staticmethod(lambda: true_now(datetime.UTC).replace(tzinfo=None) + shift)
    methods["today"] = staticmethod(lambda: true_now() + shift)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))


if SHIFT_S:
    _move()
