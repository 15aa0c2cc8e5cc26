"""What the demo leaves on the screen can be typed as it stands."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from demo.run import at_hand


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A place of Python's with a `lovla` in it."""
    made = tmp_path / "of mine" / ".venv"
    (made / "bin").mkdir(parents=True)
    (made / "bin" / "lovla").write_text('#!/bin/sh\necho "$LOVLA_STATE_DIR"\n')
    (made / "bin" / "lovla").chmod(0o755)
    (made / "bin" / "activate").write_text(f"export PATH='{made / 'bin'}':$PATH\n")
    return made


def test_the_first_lines_lead_any_shell_to_this_stack(prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    (tmp_path / "elsewhere").mkdir()

    lines = at_hand(Path(".lovla") / "the demo", str(prefix))
    script = "\n".join([*lines, "lovla"])
    said = subprocess.run(["/bin/sh", "-ec", script], cwd=tmp_path / "elsewhere", capture_output=True, text=True, check=True)
    assert said.stdout == f"{tmp_path / '.lovla' / 'the demo'}\n"


def test_a_shell_that_finds_lovla_is_not_told_how_to(prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{prefix / 'bin'}{os.pathsep}/usr/bin")
    (line,) = at_hand(tmp_path, str(prefix))
    assert line.startswith("export LOVLA_STATE_DIR=")
