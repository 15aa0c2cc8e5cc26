"""`lovla replay`: what its words choose; what comes of it: tests/integration/ingest/test_replay.py."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli import assemble
from services.ingest import registers, replay
from services.runtime.settings import Settings


class NoRegisters:
    """Registers that need no broker."""

    def __init__(self, settings: Settings) -> None:
        del settings

    def start(self) -> None: ...

    def stop(self) -> None: ...


@pytest.mark.parametrize("word", ["--carrier", "--sender"])
def test_a_carrier_since_a_day_is_what_is_read_again_and_nothing_is_written(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[replay.Selection, bool]] = []

    def run(settings: Settings, known: object, selection: replay.Selection, *, dry_run: bool, progress: Any) -> replay.Report:
        asked.append((selection, dry_run))
        return replay.Report(records=3, same=2, counts=Counter({"changed": 1}))

    monkeypatch.setenv("LOVLA_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("LOVLA_SECRET_KEY", "0" * 64)
    monkeypatch.setattr(registers, "Registers", NoRegisters)
    monkeypatch.setattr(replay, "replay", run)

    done = CliRunner().invoke(assemble(), ["replay", word, "HBRT", "--since", "2020-04-11", "--dry-run"])

    assert done.exit_code == 0, done.output
    selection = replay.Selection(frozenset({"HBRT"}), since=datetime(2020, 4, 11, tzinfo=UTC))
    assert asked == [(selection, True)]
    assert "3 raw records read again, 2 statements as they stand. 1 would be written; nothing was." in done.stdout
