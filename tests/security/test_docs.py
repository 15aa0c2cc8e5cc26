"""docs/security.md names tests that exist, every row of the catalogue, and every test of this folder's attacks."""

from __future__ import annotations

import re

from tests.stack import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`((?:tests/[a-z_/]+/)?test_[a-z_]+\.py)::(test_[a-z0-9_]+)`", TEXT))


def attacks_of(file: str) -> set[str]:
    path = ROOT / (file if file.startswith("tests/") else f"tests/security/{file}")
    return set(re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(encoding="utf-8"), re.M))


def test_every_test_that_the_page_names_exists() -> None:
    assert len(NAMED) > 50
    for file, name in NAMED:
        assert name in attacks_of(file), f"{file}::{name}"


def test_every_row_of_the_catalogue_is_there() -> None:
    rows = {int(number) for cell in re.findall(r"^\| ([0-9, ]+) \|", TEXT, re.M) for number in cell.split(",")}
    assert rows == set(range(25, 43))


def test_no_attack_is_missing_from_the_page() -> None:
    """Tests that show that another could fail need not be named."""
    for file in ("test_sockets.py", "test_canaries.py", "test_fuzz.py"):
        assert attacks_of(file) <= {name for named, name in NAMED if named == file}, file
