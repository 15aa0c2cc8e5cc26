"""The tables of docs/standards: written between marks from the readers' maps, and compared."""

from __future__ import annotations

from services.ingest.readers.tables import FOLDER, TABLES, complaints, written

MARK = "<!-- table {} -->\n{}<!-- end of table -->\n"


def pages(**more: str) -> dict[str, str]:
    """Pages that hold every table, as they should be."""
    whole = "\n".join(MARK.format(name, "") for name in TABLES)
    return {"all.md": written(whole)} | more


def test_what_is_committed_is_what_the_readers_do() -> None:
    assert complaints({file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.md")}) == []


def test_a_table_is_written_between_its_marks_and_again_gives_the_same() -> None:
    page = written("before\n" + MARK.format("x12.315", "stale\n") + "after\n")

    assert page.startswith("before\n<!-- table x12.315 -->\n| code |")
    assert page.endswith("<!-- end of table -->\nafter\n")
    assert "stale" not in page
    assert "| discharged |" in page
    assert written(page) == page


def test_old_tables_marks_without_table_and_tables_without_page_are_told() -> None:
    assert complaints(pages()) == []
    assert complaints(pages(b="<!-- table morse -->\n<!-- end of table -->")) == ["b: there is no table morse"]
    assert complaints(pages(b=MARK.format("x12.315", "stale\n"))) == ["b: not what the readers do: run `make generate`"]
    assert complaints({}) == [f"no page holds the table {name}" for name in TABLES]
