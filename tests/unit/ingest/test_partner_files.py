"""Code maps and mappings are followed: a changed file counts without a restart, one that is none changes nothing."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.ingest.codemaps.files import BadCodeMap
from services.ingest.registers import Registers
from services.ingest.settings import IngestSettings

MAP = 'partner = "MAEU"\nstandard = "x12.315"\nversion = {version}\nsource = "a test"\n[codes.ZQ]\nmeans = "x"\n'
MAPPING = (Path(__file__).resolve().parents[3] / "docs" / "examples" / "mappings").glob("*.toml")


def settings(folder: Path) -> IngestSettings:
    return IngestSettings(kafka="127.0.0.1:1", state_dir=folder)


def write(folder: Path, text: str) -> None:
    """As an editor does: aside, then in place; a size that is the same is not taken for no change."""
    folder.mkdir(exist_ok=True)
    (folder / "aside").write_text(text, encoding="utf-8")
    os.replace(folder / "aside", folder / "one.toml")


def version(registers: Registers) -> int | None:
    found = registers.known().codemaps.valid(["MAEU"], "x12.315", "", datetime.now(UTC))
    return found.version if found is not None else None


def test_a_map_counts_from_when_it_is_there_and_a_newer_one_from_when_that_is(tmp_path: Path) -> None:
    registers, folder = Registers(settings(tmp_path), follow_s=0), tmp_path / "codemaps"

    assert version(registers) is None
    write(folder, MAP.format(version=1))
    assert version(registers) == 1
    write(folder, MAP.format(version=2))
    assert version(registers) == 2
    (folder / "one.toml").unlink()
    assert version(registers) is None


def test_what_is_no_map_is_told_and_the_one_before_goes_on_to_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(folder := tmp_path / "codemaps", MAP.format(version=1))
    registers = Registers(settings(tmp_path), follow_s=0)
    write(folder, MAP.format(version='"two"'))

    assert [version(registers), version(registers)] == [1, 1]
    assert [str(line).count("version: Input should be a valid integer") for line in caplog.messages] == [1]
    with pytest.raises(BadCodeMap):
        Registers(settings(tmp_path))


def test_a_mapping_counts_from_when_it_is_there(tmp_path: Path) -> None:
    registers = Registers(settings(tmp_path), follow_s=0)
    before = registers.known()
    write(tmp_path / "mappings", next(MAPPING).read_text(encoding="utf-8"))

    assert registers.known().mappings != before.mappings


def test_nothing_is_read_again_while_nothing_changes_or_within_seconds(tmp_path: Path) -> None:
    write(tmp_path / "codemaps", MAP.format(version=1))
    eager, usual = Registers(settings(tmp_path), follow_s=0), Registers(settings(tmp_path))
    first = eager.known()

    assert eager.known() is first
    write(tmp_path / "codemaps", MAP.format(version=2))
    assert (version(usual), version(eager)) == (1, 2)
