"""A mistyped option is a sentence with what would be right, and exit code 1."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from deploy.local import cli, environment
from deploy.local.stack import NAMES


@pytest.fixture
def lovla() -> typer.Typer:
    app = typer.Typer()
    cli.register(app)
    return app


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["up", "--only", "kafka,zookeeper"], "--only zookeeper: there is no such part; there are clickhouse, kafka, readers"),
        (["up", "--port", "api"], "--port api: write NAME=PORT"),
        (["up", "--port", "api=99999"], "--port api=99999: write NAME=PORT"),
        (["up", "--port", "api=20001", "--port", "kafka=20001"], "kafka and api would have the same port 20001"),
        (["topics"], "run `lovla up`"),
    ],
)
def test_it_says_what_would_be_right(lovla: typer.Typer, tmp_path: Path, arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(lovla, [*arguments, "--state-dir", str(tmp_path / "state")])
    assert result.exit_code == 1
    assert words in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("part", ["api", "smtp"])
def test_a_port_that_is_taken_is_not_kept_even_for_a_part_that_is_not_to_be_started(
    lovla: typer.Typer, tmp_path: Path, part: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        told = ["up", "--only", "clickhouse", "--port", f"{part}={taken}", "--state-dir", str(tmp_path / "state")]
        result = CliRunner().invoke(lovla, told)
    assert result.exit_code == 1
    owner = {"smtp": "mailbox"}.get(part, part)
    assert f"port {taken}, which {owner} wants, is taken by pid {os.getpid()}" in result.stderr
    assert f"lovla up --port {part}=PORT" in result.stderr
    assert not (tmp_path / "state" / environment.NAME).exists(), "the next start would fail of it too"


def test_status_of_nothing_is_all_stopped_and_writes_nothing(lovla: typer.Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(lovla, ["status", "--state-dir", str(tmp_path / "state")])
    assert result.exit_code == 1
    assert result.stdout.count("stopped") == len(NAMES)
    assert not (tmp_path / "state").exists()


def test_json_is_one_object_a_line(lovla: typer.Typer, tmp_path: Path) -> None:
    folder = ["--json", "--state-dir", str(tmp_path / "state")]
    (status,) = CliRunner().invoke(lovla, ["status", *folder]).stdout.splitlines()
    assert len(json.loads(status)["parts"]) == len(NAMES)
    findings = [json.loads(line) for line in CliRunner().invoke(lovla, ["doctor", *folder]).stdout.splitlines()]
    assert len(findings) > 1
    assert all(isinstance(finding, dict) for finding in findings)
