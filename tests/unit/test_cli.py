"""`lovla` loads for a verb what the verb needs, and has all of them."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from services import cli

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
