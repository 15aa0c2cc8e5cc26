"""Files by which an operator describes a partner (code maps, mappings): TOML out of a folder, followed as they change."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from services.runtime import logs
from services.runtime.settings import SettingsError

SUFFIX: Final = "*.toml"
BYTES_MAX: Final = 1024 * 1024
FOLLOW_S: Final = 5.0
log = logs.get("partner_files")

Files = TypeVar("Files")


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


class Followed(Generic[Files]):
    """What the files of a folder say, read again some seconds after one of them changed, came or went.

    Making one raises what `load` and `find` raise: a service does not start on a file that it cannot understand. Later such a
    file is told in the log, and what was read before goes on to count, so that an operator's slip stops nobody's messages.
    """

    def __init__(
        self,
        find: Callable[[], Path | None],
        load: Callable[[Path | None], Files],
        every_s: float = FOLLOW_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find, self._load, self._every_s, self._monotonic = find, load, every_s, monotonic
        self._seen = self._look()  # before they are read: what changes meanwhile is read again
        self._said = load(find())
        self._at = monotonic()

    def said(self) -> Files:
        """What they say: the same object until they change."""
        now = self._monotonic()
        if now - self._at >= self._every_s:
            self._at = now
            self._follow()
        return self._said

    def _follow(self) -> None:
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._said = self._load(self._find())
        except (SettingsError, OSError) as error:
            log.error("partner_files.refused", error=str(error), counts="what was read before")
        else:
            log.info("partner_files.read", files=[name for name, *_ in seen])

    def _look(self) -> list[tuple[str, int, int]]:
        """Each file with what changes when it is written; none where there is no folder."""
        try:
            folder = self._find()
            found = [(str(file), file.stat()) for file in sorted(folder.glob(SUFFIX))] if folder is not None else []
        except (SettingsError, OSError):
            return [("?", 0, 0)]
        return [(name, at.st_mtime_ns, at.st_size) for name, at in found]
