"""The archive of Kafka's classes makes starts cheaper and can do no harm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import warm
from deploy.local.kafka import KafkaServer, java


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
