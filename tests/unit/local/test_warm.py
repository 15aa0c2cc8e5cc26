"""The archive of Kafka's classes makes starts cheaper and can do no harm."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from confluent_kafka import KafkaError, KafkaException

from deploy.local import part, warm
from deploy.local.errors import StackError
from deploy.local.kafka import KafkaServer, java
from deploy.local.process import Running


def test_without_an_archive_java_is_told_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert warm.options(java()) == []
    warm.archive(java()).touch()
    assert warm.options(java()) == [f"-XX:AOTCache={tmp_path}/{warm.archive(java()).name}"]


def test_an_archive_is_of_one_java_and_one_list_of_jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "java"
    other.write_text("another Java")
    assert warm.archive(str(other)) != warm.archive(java())
    lock = tmp_path / "kafka.jars.lock"
    lock.write_text("another list")
    before = warm.archive(java())
    monkeypatch.setattr("deploy.local.jars.LOCK", lock)
    assert warm.archive(java()) != before


def test_a_data_folder_begins_with_what_the_tool_once_wrote_and_ids_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    warm.checkpoint(java()).write_bytes(b"levels")
    servers = [KafkaServer(tmp_path / name, 1, 2) for name in ("one", "other")]
    for server in servers:
        server.prepare()
        assert (server.data / "bootstrap.checkpoint").read_bytes() == b"levels"
    one, other = ((server.data / "meta.properties").read_text().splitlines() for server in servers)
    assert {line.partition("=")[0] for line in one} == {"version", "cluster.id", "node.id", "directory.id"}
    assert set(one) & set(other) == {"version=1", "node.id=1"}


@pytest.mark.parametrize("content", [b"", b"rubbish" * 1000])
def test_a_damaged_archive_keeps_nothing_from_starting(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    warm.archive(java()).write_bytes(content)
    done = subprocess.run([java(), *warm.options(java()), "-version"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "openjdk" in done.stderr.lower() + done.stdout.lower()


def test_whoever_waits_for_it_sees_that_something_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(warm, "TOLD_EVERY_S", 0.05)
    say, still = warm._say, threading.Semaphore(0)

    def said(text: str) -> None:
        say(text)
        if "still" in text:
            still.release()

    monkeypatch.setattr(warm, "_say", said)
    monkeypatch.setattr(warm, "make", lambda _: [still.acquire(timeout=30) for _ in range(2)])
    warm.main()
    first, *more = capsys.readouterr().out.splitlines()
    assert first == "setup: Kafka's classes are read ahead, once (some 10 s)"
    assert len(more) > 1 and all(line.startswith("setup: still reading Kafka's classes after ") for line in more)


def test_a_machine_that_is_too_slow_for_it_is_set_up_without_and_told_what_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    running = Running(os.getpid(), 0.0, ())
    monkeypatch.setattr(Running, "alive", lambda _: True)
    monkeypatch.setattr(part, "launch", lambda _: running)
    monkeypatch.setattr("deploy.local.process.stop", lambda *_, **__: True)
    monkeypatch.setattr(KafkaServer, "not_ready", lambda _: "nobody answers")
    monkeypatch.setattr(warm, "READY_S", -1)
    warm.main()
    said = capsys.readouterr().out
    assert "kafka is not ready" in said and "nothing is missing without it, and the next `make setup` tries it again" in said
    assert "lovla up" not in said and "lovla down" not in said

    def unanswered(_: str) -> None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    monkeypatch.setattr(warm, "make", unanswered)
    warm.main()  # what it was to read ahead is no reason to fail
    assert "setup: Kafka will start more slowly: KafkaError{code=_TIMED_OUT" in capsys.readouterr().out


def test_up_is_told_what_fits_it() -> None:
    class Slow(KafkaServer):
        def not_ready(self) -> str | None:
            return "nobody answers"

    slow = Slow(Path("nowhere"), 1, 2)
    me = psutil.Process()
    running = Running(me.pid, me.create_time(), tuple(me.cmdline()))
    with pytest.raises(StackError, match="`lovla up` waits on for it, `lovla down` ends what was started"):
        part.await_ready(slow, running, -1)
