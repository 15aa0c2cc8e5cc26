"""`lovla` loads for a verb what the verb needs, and has all of them."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from services import cli
from services.console import users_cli
from services.console.people import PASSWORD_LEAST

VERBS = {verb for verbs in cli.OWNERS.values() for verb in verbs.split()}


def names(app: typer.Typer) -> set[str]:
    command = get_command(app)
    return set(command.commands)  # type: ignore[attr-defined]  # a group: it has a callback


def test_all_verbs_are_there() -> None:
    assert names(cli.assemble()) == VERBS
    assert len(VERBS) == sum(len(verbs.split()) for verbs in cli.OWNERS.values()), "no verb has two owners"


@pytest.mark.parametrize("module", cli.OWNERS)
def test_an_owner_adds_the_verbs_that_it_is_said_to(module: str) -> None:
    for verb in cli.OWNERS[module].split():
        assert names(cli.assemble(verb)) == set(cli.OWNERS[module].split())
    assert importlib.import_module(module)


@pytest.mark.parametrize("words", [["--help"], ["no-such-verb"], []])
def test_who_names_no_verb_sees_them_all(words: list[str]) -> None:
    app = cli.assemble(words[0] if words else None)
    said = CliRunner().invoke(app, ["--help"])
    assert said.exit_code == 0
    assert all(f" {verb} " in said.output for verb in VERBS)
    assert cli.HELP.splitlines()[0][:40] in said.output


def test_a_verb_loads_no_other_owner() -> None:
    code = "import sys; from services.cli import assemble; assemble('track'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "services.console.tracking_cli" in loaded
    assert not {"confluent_kafka", "clickhouse_driver", "pydantic", "services.ingest.cli", "deploy.local.cli"} & set(loaded)


def test_it_says_its_version() -> None:
    said = CliRunner().invoke(cli.assemble(), ["--version"])
    assert (said.exit_code, said.output.strip()) == (0, f"lovla {version('lovla')}")


def test_a_file_that_is_not_there_is_named_plainly() -> None:
    said = CliRunner().invoke(cli.assemble("push"), ["push", "/nope", "--carrier", "MAEU"])
    assert (said.exit_code, said.stderr) == (1, "lovla: /nope: No such file or directory\n")


def test_who_is_asked_for_a_password_is_told_how_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return "a password that is long"

    monkeypatch.setattr(users_cli, "_is_terminal", lambda: True)
    monkeypatch.setattr("getpass.getpass", answer)
    words = ["users", "add", "ana", "--state-dir", str(tmp_path)]
    said = CliRunner().invoke(cli.assemble("users"), words, env={"LOVLA_KAFKA": "127.0.0.1:1"})
    assert said.exit_code == 0, said.output
    assert asked == [f"Password (at least {PASSWORD_LEAST} characters): ", "Again: "]
    for verb in ("add", "password"):
        told = CliRunner().invoke(cli.assemble("users"), ["users", verb, "--help"]).output
        assert f"{PASSWORD_LEAST} characters" in " ".join(told.split())
