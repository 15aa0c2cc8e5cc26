"""`lovla.env`: what the services of one state folder are told. KEY=value lines, readable by its owner only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

NAME = "lovla.env"


def read(state_dir: Path) -> dict[str, str]:
    """The file's settings, {} if there is none."""
    try:
        lines = (state_dir / NAME).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def write(state_dir: Path, settings: Mapping[str, str]) -> None:
    """Replace the file, whole or not at all; never readable by others, not even while it is written."""
    state_dir.mkdir(parents=True, exist_ok=True)
    draft = state_dir / f"{NAME}.tmp"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write("# Written by `lovla up`. Ports may be changed while the stack is down; the rest belongs to the data.\n")
        file.writelines(f"{name}={value}\n" for name, value in settings.items())
    draft.replace(state_dir / NAME)
