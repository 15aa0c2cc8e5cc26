"""A mistyped option is a sentence with what would be right, and exit code 1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from deploy.local import cli
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
        (["up", "--port", "api=20001", "--port", "kafka=20001"], "two parts would have the same port"),
        (["topics"], "run `lovla up`"),
    ],
)
def test_it_says_what_would_be_right(lovla: typer.Typer, tmp_path: Path, arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(lovla, [*arguments, "--state-dir", str(tmp_path / "state")])
    assert result.exit_code == 1
    assert words in result.stderr
    assert "Traceback" not in result.stderr


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
