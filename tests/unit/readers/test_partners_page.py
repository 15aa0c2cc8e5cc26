"""docs/partners.md: its whole example is run, and the words that it lists are those that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

from typer.testing import CliRunner

from services.cli import assemble
from services.ingest.mappings import _TOKENS
from services.ingest.mappings_model import _FUNCTIONS, EXPRESSION_MAX, EventRule, Fields, Stated
from services.ingest.readers.tables import becomes
from services.ingest.watch import _LOCKS, _UNFINISHED

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "partners.md").read_text(encoding="utf-8")


def example(name: str) -> str:
    found = re.search(rf"<!-- example {re.escape(name)} -->\n```[a-z]*\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None, name
    return found[1]


def test_the_whole_example_becomes_what_the_page_says(tmp_path: Path) -> None:
    for name in ("loads.csv", "HBRT.toml"):
        (tmp_path / name).write_text(example(name), encoding="utf-8")

    ran = CliRunner().invoke(assemble(), ["read", "--mapping", str(tmp_path / "HBRT.toml"), str(tmp_path / "loads.csv")])

    said = []
    for line in ran.stdout.splitlines():
        event = json.loads(line)
        hold = event.get("hold")
        what = becomes(event.get("milestone"), (hold["kind"], hold["state"]) if hold else None)
        said.append(f"{event['raw']['position']} {event['code']}: {what} {event['classifier']} {event['occurred_at']}")
    assert said == example("events").splitlines()
    assert "row 3: nothing_yet" in ran.stderr


def test_every_key_that_there_is_stands_on_the_page() -> None:
    names = {*Stated.model_fields, *Fields.model_fields, *EventRule.model_fields, "codes"} - {
        "json_",
        "events",
        "csv",
        "pieces",
    }

    assert [name for name in sorted(names) if f"`{name}`" not in PAGE and f"[{name}]" not in PAGE] == []


def test_the_lists_of_the_page_are_complete() -> None:
    assert [token for token in _TOKENS if token not in PAGE] == []
    assert [name for name in _FUNCTIONS if f"`{name}`" not in PAGE] == []
    assert f"{EXPRESSION_MAX} characters" in PAGE
    endings = [ending.decode() for ending in _UNFINISHED if ending not in _LOCKS]
    assert [ending for ending in endings if f"`{ending}`" not in PAGE] == []
