"""What `lovla up` says to type next finds the folder that it started."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.cli import _said_where


@pytest.mark.parametrize(
    ("told", "started", "said"),
    [
        (None, ".lovla", ""),
        (None, "other place", " --state-dir 'other place'"),
        ("other", "other", ""),
        ("other", ".lovla", " --state-dir .lovla"),
    ],
)
def test_a_folder_is_named_where_verbs_would_not_look_for_it(
    told: str | None, started: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOVLA_STATE_DIR", raising=False)
    if told is not None:
        monkeypatch.setenv("LOVLA_STATE_DIR", told)
    assert _said_where(Path(started)) == said
