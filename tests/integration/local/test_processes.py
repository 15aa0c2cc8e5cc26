"""A process is recognised by pid, start time and command, and ended by what we know of it, never by its pid alone."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from pathlib import Path

from deploy.local.process import Running, gone, signal_to, start, stop, tail

SLEEP = [sys.executable, "-c", "import time; print('awake', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
]


def begin(argv: list[str], folder: Path, word: str) -> Running:
    running = start(argv, cwd=folder, log=folder / "log" / "it.log", env=os.environ)
    while word not in tail(folder / "log" / "it.log"):
        assert running.alive(), tail(folder / "log" / "it.log")
    return running


def test_a_process_is_recognised_from_its_pid_file_and_stops_when_asked(tmp_path: Path) -> None:
    running = begin(SLEEP, tmp_path, "awake")
    running.save(tmp_path / "run" / "it.json")
    again = Running.load(tmp_path / "run" / "it.json")
    assert again == running
    assert again.alive()
    assert stop(again, grace_s=20)
    assert not running.alive()


def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    running = begin(STUBBORN, tmp_path, "deaf")
    assert not stop(running, grace_s=0.3)
    assert not running.alive()


def test_a_pid_that_went_to_somebody_else_is_left_alone(tmp_path: Path) -> None:
    running = begin(SLEEP, tmp_path, "awake")
    try:
        for stranger in (
            dataclasses.replace(running, started=running.started - 3600),
            dataclasses.replace(running, argv=("java", "kafka.Kafka")),
        ):
            assert not stranger.alive()
            signal_to(stranger, signal.SIGKILL)
            assert running.alive()
    finally:
        stop(running, grace_s=20)


def test_a_killed_process_is_gone(tmp_path: Path) -> None:
    running = begin(SLEEP, tmp_path, "awake")
    os.kill(running.pid, signal.SIGKILL)
    assert gone(running, within_s=20)


def test_a_pid_file_that_is_no_pid_file_is_nobody(tmp_path: Path) -> None:
    for text in ("", "1234", "{}", '{"pid": "x"}', '{"pid": 1, "started": 2}'):
        (tmp_path / "it.json").write_text(text)
        assert Running.load(tmp_path / "it.json") is None
    assert Running.load(tmp_path / "none.json") is None
