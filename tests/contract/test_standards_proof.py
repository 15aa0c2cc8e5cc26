"""docs/standards/proof/*.csv: each line of what was asked of the readers, and the test that shows it."""

from __future__ import annotations

import ast
import csv
import runpy
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROOF = ROOT / "docs" / "standards" / "proof"
COLUMNS = ["line", "test"]
ASKED = Path(__file__).parent / "asked_of_readers.csv"
"""Each thing that was asked of the readers, from the order itself, and the line of a table that answers to it. What is a figure
(speed) stands in the benchmarks instead."""


def complaints(table: str, root: Path = ROOT) -> list[str]:
    """What is wrong with a table: a line without a test, a test or a parameter that its file does not hold."""
    reader = csv.DictReader(table.splitlines())
    if reader.fieldnames != COLUMNS:
        return [f"the columns are {reader.fieldnames}, not {COLUMNS}"]
    wrong = []
    for row in reader:
        line, test = (row["line"] or "").strip(), (row["test"] or "").strip()
        if not line or None in row:
            wrong.append(f"row {reader.line_num}: not a line and a test")
        elif not test:
            wrong.append(f"{line}: has no test")
        else:
            file, _, name = test.partition("::")
            function, _, parameter = name.partition("[")
            if function not in names_in(root / file):
                wrong.append(f"{line}: there is no {test}")
            elif parameter and parameter.removesuffix("]") not in parameters_of(root / file, function):
                wrong.append(f"{line}: {function} has no such parameter: {test}")
    return wrong


@cache  # each file stands in many rows
def names_in(file: Path) -> set[str]:
    """The names of a file's tests, those of a class as `Class::test`."""
    if not file.is_file():
        return set()
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {
            prefix + one.name
            for one in inner
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name.startswith("test_")
        }
    return found


@cache  # as above
def run(file: Path) -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(file)))


def parameters_of(file: Path, function: str) -> set[str]:
    """The texts that a test is parametrized by, which are their own ids."""
    found: Any = run(file)
    for name in function.split("::"):
        found = getattr(found, name)
    marks = [mark for mark in getattr(found, "pytestmark", ()) if mark.name == "parametrize"]
    return {value for mark in marks for value in mark.args[1] if isinstance(value, str)}


@pytest.mark.parametrize("file", sorted(PROOF.glob("*.csv")), ids=lambda file: str(file.name))
def test_every_line_that_was_asked_for_has_a_test_that_exists(file: Path) -> None:
    assert complaints(file.read_text(encoding="utf-8")) == []


def unanswered(asked: str, tables: dict[str, set[str]]) -> list[str]:
    """What was asked for and stands in no table."""
    rows = csv.DictReader(asked.splitlines())
    return [row["asked"] for row in rows if row["line"] not in tables.get(row["table"], set())]


def test_whatever_was_asked_for_stands_in_a_table() -> None:
    tables = {file.stem: {row["line"] for row in csv.DictReader(file.open(encoding="utf-8"))} for file in PROOF.glob("*.csv")}

    assert unanswered(ASKED.read_text(encoding="utf-8"), tables) == []


def test_what_was_asked_for_and_stands_in_no_table_is_told() -> None:
    asked = "asked,table,line\nX12 322,x12,322: codes\nlots,identity,lot\nAWB,air,AWB mod 7\n"

    assert unanswered(asked, {"x12": {"322: codes"}, "identity": {"SCAC"}}) == ["lots", "AWB"]


def test_there_are_tables_and_none_is_empty() -> None:
    files = list(PROOF.glob("*.csv"))
    assert files
    assert [file.name for file in files if len(file.read_text(encoding="utf-8").splitlines()) < 2] == []


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("line,test\n315 UV,\n", "315 UV: has no test"),
        ("line,test\n315 UV\n", "315 UV: has no test"),
        ("line,test\n315 UV,tests/none.py::test_a\n", "315 UV: there is no tests/none.py::test_a"),
        ("line,test\n315 UV,tests/a.py::test_b\n", "315 UV: there is no tests/a.py::test_b"),
        ("line,test\n315 UV,tests/a.py\n", "315 UV: there is no tests/a.py"),
        ("line,test\n315 UV,tests/a.py::test_a[x]\n", "315 UV: test_a has no such parameter: tests/a.py::test_a[x]"),
        (
            "line,test\n315 UV,tests/a.py::TestC::test_c[y]\n",
            "315 UV: TestC::test_c has no such parameter: tests/a.py::TestC::test_c[y]",
        ),
        ("line,test\n,tests/a.py::test_a\n", "row 2: not a line and a test"),
        ("what,test\n", "the columns are ['what', 'test'], not ['line', 'test']"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(table: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "a.py").write_text(
        "import pytest\n"
        "def test_a() -> None: ...\n"
        "class TestC:\n"
        "    @pytest.mark.parametrize('form', ['x'])\n"
        "    def test_c(self, form: str) -> None: ...\n"
    )

    assert complaints(table, tmp_path) == [complaint]
    assert complaints("line,test\nright,tests/a.py::test_a\nright,tests/a.py::TestC::test_c[x]\n", tmp_path) == []
