"""What ends a process of ours, and whether it begins again by itself.

A *passing* cause (Kafka did not answer in time, the machine stood still, the place went to another) ends a life: what was held
in memory counts for nothing any more. The process then becomes a new image of the same program (`execv`), with the same pid, so
that `lovla status` and `lovla down` know it. No thread, connection or lock of the old life is left, whatever hangs there, and
nothing that it had begun goes on. The new life waits for a moment, not ready, and begins as a first start does: it fences who
was before it, and restores what was written.

A *lasting* cause (a fault of ours, settings that are refused, a block that is there in part) ends the process: to begin again
would be the same once more, or a guess. Somebody has to look, and the last line of the log says at what.

What one life tells the next stands in its environment (LOVLA_LIFE); nobody else sets or reads it. Why: docs/decisions/0053.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from typing import NoReturn

import msgspec
from confluent_kafka import KafkaError, KafkaException

from services.runtime import logs, metrics
from services.runtime.bounded import Hung
from services.runtime.kafka import TopicMissing, error_of
from services.runtime.settings import Settings
from services.runtime.sources import OwnershipLost

PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Before the next life, by how many in a row ended soon: at most so long after Kafka is there again does nobody know of it."""

WELL_S = 60.0
"""A life that lasted so long is no part of a row."""

EXIT_PASSING = 75
"""EX_TEMPFAIL of sysexits: who ends so was asked to stop meanwhile, or could not become the next image."""

VARIABLE = "LOVLA_LIFE"

_REFUSED = frozenset(
    {
        KafkaError._INVALID_ARG,
        KafkaError._NOT_IMPLEMENTED,
        KafkaError._UNSUPPORTED_FEATURE,
        KafkaError._UNKNOWN_PROTOCOL,
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.ILLEGAL_SASL_STATE,
        KafkaError.SECURITY_DISABLED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.UNSUPPORTED_VERSION,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError.INVALID_SESSION_TIMEOUT,
        KafkaError.INVALID_TRANSACTION_TIMEOUT,
    }
)
"""What a broker or its client says of how we are set up: it would say it again."""

log = logs.get("lives")


class Interrupted(Exception):
    """Raised by who knows that what ended this life is none of our faults, and passes. `cause`: by what it is counted."""

    def __init__(self, text: str, cause: str = "Interrupted") -> None:
        super().__init__(text)
        self.cause = cause


class Life(msgspec.Struct, frozen=True):
    """What a life knows of those before it. `ended`: cause -> how many it ended. `in_a_row`: those that ended soon, one after
    the other. `why`: what ended the last."""

    ended: dict[str, int] = {}
    in_a_row: int = 0
    why: str = ""

    def next(self, cause: str, why: str, lasted_s: float) -> Life:
        """The life after this one, which lasted so long."""
        row = 1 if lasted_s >= WELL_S else self.in_a_row + 1
        return Life({**self.ended, cause: self.ended.get(cause, 0) + 1}, row, why[:500])

    @property
    def pause_s(self) -> float:
        """How long it waits before it begins; nothing before the first."""
        return PAUSES_S[min(self.in_a_row, len(PAUSES_S)) - 1] if self.ended else 0.0

    @property
    def number(self) -> int:
        """1 for the first."""
        return sum(self.ended.values()) + 1


_FIRST = Life()
_life, _began = _FIRST, time.monotonic()


def passing(error: BaseException) -> bool:
    """Whether what ended a life passes by itself, or by what others mend (a topic that is declared): then it begins again."""
    if isinstance(error, KafkaException):
        return error_of(error).code() not in _REFUSED
    return isinstance(error, Interrupted | TopicMissing | OwnershipLost | Hung | TimeoutError)


def begun(settings: Settings) -> None:
    """Called as a process begins, its log set up. In a life that is not the first: waits its pause, not ready; SIGTERM then
    ends the process at once, with exit code 0. Raises OSError if the port of its figures is taken."""
    global _life, _began
    _life = _decoded(settings.life)
    for cause, lives in _life.ended.items():
        metrics.counter("lovla_restarts_total", cause=cause).inc(lives)
    if _life.pause_s:
        _wait(settings, _life)
    _began = time.monotonic()


def again(error: BaseException) -> NoReturn:
    """Become the next life, at once: from here on nothing of this one does anything more, and where that cannot be, the process
    ends. May be called from any thread."""
    try:
        unhandled()
        life = _life.next(*_told(error), time.monotonic() - _began)
        log.warning("lives.again", why=life.why, life=life.number, pause_s=life.pause_s, pid=os.getpid())
        os.environ[VARIABLE] = msgspec.json.encode(life).decode()
        _keep_no_descriptor()
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606  the very command that began us
    except Exception:
        log.exception("lives.no_other", pid=os.getpid())
    finally:
        os._exit(EXIT_PASSING)


def unhandled() -> None:
    """From here on SIGTERM ends the process as it does before Python handles it: between two images nobody would hear of it."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)


def _told(error: BaseException) -> tuple[str, str]:
    """What counts it, and why in words, without what must not be told."""
    if isinstance(error, Interrupted):
        return error.cause, str(logs.redact(str(error)))
    kind = type(error).__name__
    return kind, str(logs.redact(f"{kind}: {error}" if str(error) else kind))


def _keep_no_descriptor() -> None:
    """Python's own are closed by exec; Kafka's client has pipes that are not, six for each that nobody closed."""
    for name in os.listdir("/dev/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):  # the one by which this folder is read
                os.set_inheritable(int(name), False)


def _wait(settings: Settings, life: Life) -> None:
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    until = time.monotonic() + life.pause_s

    def not_ready() -> str:
        return f"begins again in {max(0.0, until - time.monotonic()):.0f} s (life {life.number}): {life.why}"

    page = metrics.serve(settings.metrics_port, not_ready)
    asked.wait(life.pause_s)
    if page is not None:
        page.close()
    unhandled()  # what comes now ends it; what came before stands in `asked`
    if asked.is_set():
        sys.exit(0)


def _decoded(told: str) -> Life:
    return msgspec.json.decode(told, type=Life) if told else _FIRST
