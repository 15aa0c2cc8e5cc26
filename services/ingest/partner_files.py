"""Files by which an operator describes a partner (code maps, mappings): TOML out of a folder, read when a process starts."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

from services.runtime.settings import SettingsError

SUFFIX: Final = "*.toml"
BYTES_MAX: Final = 1024 * 1024


def read_toml(file: Path, wrong: type[SettingsError]) -> dict[str, Any]:
    """What a file says. Raises `wrong` with a sentence; OSError if it cannot be read."""
    content = file.read_bytes()
    if len(content) > BYTES_MAX:
        raise wrong(f"{file}: larger than {BYTES_MAX} bytes")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise wrong(f"{file}: not TOML: {error}") from None


def folder_of(variable: str, named: Path | None, usual: Path, wrong: type[SettingsError]) -> Path | None:
    """Where such files lie: as named by the variable, else the usual folder, if it is there. Raises `wrong` where a named one
    is missing."""
    if named is not None:
        if not named.is_dir():
            raise wrong(f"{variable} names {named}, which is no folder; make it or unset it")
        return named
    return usual if usual.is_dir() else None
