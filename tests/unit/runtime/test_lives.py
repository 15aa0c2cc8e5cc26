"""What passes begins again by itself, in the same process; what lasts ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import psutil
import pytest
from confluent_kafka import KafkaError, KafkaException

from deploy.local.process import Running, free_ports
from services.runtime import lives, process
from services.runtime.bounded import Hung
from services.runtime.clickhouse import Refused
from services.runtime.kafka import TopicMissing
from services.runtime.lives import EXIT_PASSING, PAUSES_S, WELL_S, Interrupted, Life, passing
from services.runtime.loop import OutputRefused, OwnershipLost, StageFailed
from services.runtime.settings import SettingsError
from tests.stack import PORTS, ROOT
from tests.waiting import HANG_S, eventually


def kafka(code: int) -> KafkaException:
    return KafkaException(KafkaError(code))


@pytest.mark.parametrize(
    "error",
    [
        kafka(KafkaError._TIMED_OUT),
        kafka(KafkaError._ALL_BROKERS_DOWN),
        kafka(KafkaError._TRANSPORT),
        kafka(KafkaError._FATAL),
        kafka(KafkaError._FENCED),
        kafka(KafkaError.INVALID_PRODUCER_EPOCH),
        kafka(KafkaError.NOT_COORDINATOR),
        kafka(KafkaError.INVALID_TXN_STATE),
        kafka(KafkaError.UNKNOWN_TOPIC_OR_PART),
        OwnershipLost("the lease was lost"),
        TopicMissing("not declared yet"),
        TimeoutError("nothing read"),
        Hung("no return"),
        Interrupted("it stood still"),
    ],
    ids=str,
)
def test_what_others_or_time_mend_passes(error: Exception) -> None:
    assert passing(error)


@pytest.mark.parametrize(
    "error",
    [
        kafka(KafkaError._INVALID_ARG),
        kafka(KafkaError.SASL_AUTHENTICATION_FAILED),
        kafka(KafkaError.TOPIC_AUTHORIZATION_FAILED),
        kafka(KafkaError.UNSUPPORTED_VERSION),
        StageFailed("three times in a row"),
        OutputRefused("too large"),
        Refused("no such table"),
        SettingsError("missing"),
        OSError("the port is taken"),
        ValueError("a fault of ours"),
        RuntimeError("records that nobody can read"),
    ],
    ids=str,
)
def test_faults_of_ours_and_what_is_refused_last(error: Exception) -> None:
    assert not passing(error)


def test_the_pause_grows_with_lives_that_end_soon_and_a_long_one_ends_the_row() -> None:
    life, pauses = Life(), []
    assert (life.pause_s, life.number) == (0.0, 1)
    for _ in range(len(PAUSES_S) + 2):
        life = life.next("KafkaException", "timed out", 1.0)
        pauses.append(life.pause_s)
    assert pauses == [*PAUSES_S, PAUSES_S[-1], PAUSES_S[-1]]
    life = life.next("OwnershipLost", "stood still", WELL_S)
    assert (life.pause_s, life.why) == (PAUSES_S[0], "stood still")
    assert life.ended == {"KafkaException": len(PAUSES_S) + 2, "OwnershipLost": 1}
    assert life.number == len(PAUSES_S) + 4


class Again(BaseException):
    """Instead of the next image: pytest is none of our services."""


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """What would have begun the next life."""
    begun: list[BaseException] = []

    def again(error: BaseException) -> NoReturn:
        begun.append(error)
        raise Again

    monkeypatch.setattr(lives, "again", again)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield begun
    for number, handler in handlers.items():
        signal.signal(number, handler)


def raising(error: Exception) -> Callable[[threading.Event], None]:
    def life(_: threading.Event) -> None:
        raise error

    return life


def test_a_passing_cause_is_the_next_life_and_a_lasting_one_the_exit_code(
    here: list[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    assert process.live("stage", lambda _: None) == 0
    error = TimeoutError("nothing read")
    with pytest.raises(Again):
        process.live("stage", raising(error))
    assert here == [error]
    assert process.live("stage", raising(StageFailed("on the same batch")), (StageFailed,)) == 1
    assert "stage.stopped" in caplog.text and "on the same batch" in caplog.text and "Traceback" not in caplog.text
    assert process.live("stage", raising(ValueError("a fault of ours")), (StageFailed,)) == 1
    assert "stage.failed" in caplog.text and "Traceback" in caplog.text
    assert here == [error]


def test_who_was_asked_to_stop_does_not_begin_again(here: list[BaseException]) -> None:
    def asked(stop: threading.Event) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(HANG_S)
        raise OwnershipLost("stopped before the outcome was known")

    def by_itself(stop: threading.Event) -> None:
        stop.set()  # as the tracker does when its lease is lost
        raise OwnershipLost("the lease was lost")

    assert process.live("stage", asked) == 1
    with pytest.raises(Again):
        process.live("stage", by_itself)


PROGRAM = textwrap.dedent(
    """
    import os, sys, threading
    from services.runtime import lives, logs, metrics, process
    from services.runtime.settings import Settings

    lives.PAUSES_S = (0.0, 0.0, {pause_s})
    settings = process.begin("stage", Settings)
    page = metrics.serve(settings.metrics_port, lambda: None)

    def life(stop):
        held = open("held.lock", "ab")  # of the life before it, nothing is left
        import fcntl
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        descriptors = len(os.listdir("/dev/fd"))
        for one in os.pipe():  # as Kafka's client makes its own
            os.set_inheritable(one, True)
        threading.Thread(target=threading.Event().wait, name="hangs").start()
        logs.get("stage").warning("stage.begun", pid=os.getpid(), descriptors=descriptors)
        if lives._life.number < {lives_}:
            raise TimeoutError("Kafka is away")
        stop.wait()

    code = process.live("stage", life)
    os._exit(code)
    """
)


@pytest.fixture
def port() -> int:
    return free_ports(1, among=PORTS)[0]


def program(folder: Path, port: int, lives_: int, pause_s: float) -> subprocess.Popen[bytes]:
    told = {
        "LOVLA_KAFKA": "127.0.0.1:1",
        "LOVLA_STATE_DIR": str(folder),
        "LOVLA_METRICS_PORT": str(port),
        "PYTHONPATH": str(ROOT),
    }
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-c", PROGRAM.format(lives_=lives_, pause_s=pause_s)]
        return subprocess.Popen(command, cwd=folder, env=os.environ | told, stderr=log)


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "log").read_text().splitlines()]


def asked(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except OSError:
        return 0, ""


def test_the_same_process_lives_again_with_nothing_of_the_life_before(tmp_path: Path, port: int) -> None:
    running = program(tmp_path, port, 3, 0.0)
    assert isinstance(running.args, list)
    known = Running(running.pid, psutil.Process(running.pid).create_time(), tuple(running.args))
    try:
        eventually(lambda: sum(line["event"] == "stage.begun" for line in lines(tmp_path)) == 3)
        told = lines(tmp_path)
        assert [(line["event"], line["pid"]) for line in told] == [
            (event, running.pid) for event in ["stage.begun", "lives.again"] * 2 + ["stage.begun"]
        ]
        assert len({line["descriptors"] for line in told if line["event"] == "stage.begun"}) == 1
        again = [line for line in told if line["event"] == "lives.again"]
        assert [line["life"] for line in again] == [2, 3]
        assert {line["why"] for line in again} == {"TimeoutError: Kafka is away"}
        assert 'lovla_restarts_total{cause="TimeoutError"} 2.0' in asked(port, "/metrics")[1]
        assert asked(port, "/healthz") == (200, "ok\n")
        assert known.alive()  # whoever kept its pid file knows it
        running.terminate()
        assert running.wait(HANG_S) == 0
    finally:
        running.kill()
        running.wait(10)


def test_before_it_begins_again_it_is_not_ready_says_why_and_ends_at_once_when_asked(tmp_path: Path, port: int) -> None:
    running = program(tmp_path, port, 4, 10_000.0)
    try:
        eventually(lambda: "begins again in" in asked(port, "/readyz")[1])
        status, said = asked(port, "/healthz")
        assert status == 503 and said.endswith(" s (life 4): TimeoutError: Kafka is away\n")
        running.terminate()
        assert running.wait(HANG_S) == 0
    finally:
        running.kill()
        running.wait(10)


def test_where_no_other_image_can_begin_the_process_ends(tmp_path: Path) -> None:
    """What is left of it may write nothing more: a worker's partitions are another's by then."""
    said = textwrap.dedent(
        """
        import sys, threading
        from services.runtime import lives
        sys.executable = "/nowhere/python"
        threading.Thread(target=threading.Event().wait).start()
        lives.again(TimeoutError("password=secret"))
        """
    )
    done = subprocess.run([sys.executable, "-c", said], cwd=ROOT, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == EXIT_PASSING
    assert "lives.no_other" in done.stderr and "FileNotFoundError" in done.stderr
    assert "secret" not in done.stderr
