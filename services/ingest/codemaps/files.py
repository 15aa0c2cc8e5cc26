"""Code maps out of TOML files: those of this package, and an operator's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.base import Code, ShortText
from schemas.shipment_event_v1 import Hold
from schemas.words import Classifier, HoldKind, HoldState, Milestone, Mode
from services.ingest import partner_files
from services.ingest.codemaps.model import CodeMap, CodeMaps, Meaning
from services.ingest.legible import shown
from services.ingest.readers.own_codes import VERSIONS
from services.runtime.settings import SettingsError

OURS: Final = Path(__file__).parent / "maps"
_CODES_MAX: Final = 10_000
_WORDS: Final = f"{'|'.join(get_args(HoldKind))} {'|'.join(get_args(HoldState))}"


class BadCodeMap(SettingsError):
    """A file that is no code map; the text says which file, where, and what is wrong."""


class Entry(BaseModel):
    """What a file says of one code; mapping files say it alike."""

    model_config = ConfigDict(extra="forbid", strict=True)

    means: ShortText
    milestone: Milestone | None = None
    classifier: Classifier | None = None
    hold: str | None = None
    mode: Mode | None = None
    empty: bool | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    partner: Code
    standard: Literal[
        "edifact.iftsta",
        "edifact.coarri",
        "edifact.codeco",
        "x12.214",
        "x12.315",
        "x12.322",
        "cargo_imp.fsu",
        "cargo_xml.xfsu",
        "one_record",
    ]
    version: int = Field(ge=1, lt=VERSIONS)
    agency: str = Field("", pattern=r"^[A-Z0-9]{0,17}$")
    valid_from: date | None = None
    source: ShortText
    codes: dict[str, Entry] = Field(min_length=1, max_length=_CODES_MAX)


def read_map(file: Path) -> CodeMap:
    """One file. Raises BadCodeMap with a sentence; OSError if it cannot be read."""
    stated = partner_files.read_toml(file, BadCodeMap)
    try:
        made = _File.model_validate(stated)
    except ValidationError as error:
        raise BadCodeMap(f"{file}: {sentence(error)}") from None
    codes: dict[str, Meaning] = {}
    for code, entry in made.codes.items():
        key = code.upper()
        if key in codes:
            raise BadCodeMap(f"{file}: codes.{shown(code)}: the code stands there twice; upper and lower case are one")
        codes[key] = meaning_of(file, code, entry)
    return CodeMap(
        partner=made.partner,
        standard=made.standard,
        version=made.version,
        agency=made.agency,
        valid_from=datetime.combine(made.valid_from, time(), UTC) if made.valid_from else None,
        codes=MappingProxyType(codes),
        source=made.source,
        file=str(file),
    )


def load(folder: Path | None) -> CodeMaps:
    """The maps of this package, and those of an operator's folder (*.toml), which come before ours where both have a partner's.

    Raises BadCodeMap, OSError: a map that cannot be understood must not be left out in silence, or codes move nothing for days.
    """
    own = read_folder(folder) if folder is not None else []
    theirs = {one.key for one in own}
    return CodeMaps.of([*own, *(one for one in _of_this_package() if one.key not in theirs)])


def folder_of(named: Path | None, state_dir: Path) -> Path | None:
    """Where an operator's own maps lie: as named (LOVLA_CODEMAPS), else `codemaps` in the state dir, if it is there.

    Raises BadCodeMap where a named one is missing.
    """
    return partner_files.folder_of("LOVLA_CODEMAPS", named, state_dir / "codemaps", BadCodeMap)


def read_folder(folder: Path) -> Sequence[CodeMap]:
    """All maps of a folder, in the order of their names. Raises BadCodeMap, OSError."""
    maps = [read_map(file) for file in sorted(folder.glob(partner_files.SUFFIX))]
    _refuse_twins(maps)
    return maps


def _refuse_twins(maps: Iterable[CodeMap]) -> None:
    seen: dict[tuple[Any, ...], CodeMap] = {}
    for one in maps:
        other = seen.setdefault((*one.key, one.version), one)
        if other is not one:
            said = f"version {one.version} for {one.partner}, {one.standard}, agency {one.agency or '(none)'}"
            raise BadCodeMap(f"{one.file}: {other.file} is {said} too; give one of them another version")


@cache
def _of_this_package() -> Sequence[CodeMap]:
    return tuple(read_folder(OURS))


def meaning_of(file: Path, code: str, entry: Entry) -> Meaning:
    """An entry, checked; raises BadCodeMap."""
    if not code.strip() or len(code) > 35 or not code.isprintable():
        raise BadCodeMap(f"{file}: codes.{shown(code)}: a code has 1 to 35 printable characters")
    hold = None
    if entry.hold is not None:
        kind, _, state = entry.hold.partition(" ")
        if kind not in get_args(HoldKind) or state not in get_args(HoldState):
            raise BadCodeMap(f"{file}: codes.{shown(code)}.hold: {shown(entry.hold)} is not of the form {_WORDS}")
        hold = Hold.model_validate({"kind": kind, "state": state})
    return Meaning(entry.means, entry.milestone, entry.classifier, hold, entry.mode, entry.empty)


def sentence(error: ValidationError) -> str:
    """The first thing that is wrong, and how many more there are."""
    wrongs = error.errors(include_url=False, include_input=False)
    where = ".".join(shown(str(part)) for part in wrongs[0]["loc"])
    message = {"extra_forbidden": "there is no such key", "missing": "is missing"}.get(wrongs[0]["type"], wrongs[0]["msg"])
    others = f" (and {len(wrongs) - 1} more)" if len(wrongs) > 1 else ""
    return f"{where}: {message}{others}"
