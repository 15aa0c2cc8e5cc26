"""`lovla dead-letters`, as a person types it, over the real topics."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.shipment_event_v1 import ControlRecord
from schemas.topics import DEAD_LETTERS, LETTERS_SETTLED, PARKED, SHIPMENT_EVENTS
from services.ingest import dead_letters_cli
from services.runtime import kafka
from services.runtime.register import write
from services.runtime.settings import Settings
from tests.integration.ingest.conftest import Lovla, Process, said
from tests.integration.ingest.records import read_all
from tests.waiting import eventually

pytestmark = pytest.mark.stack

MAPPING = """
sender = "DLSA"
format = "csv"
version = 1
source = "a test"
[time]
zone = "America/Los_Angeles"
[item]
references = [{ kind = "equipment", from = "Box" }]
[[events]]
name = "out"
milestone = "gate_out"
occurred_at = "Out"
"""


def values(settings: Settings, topic: str, sender: str) -> list[dict[str, Any]]:
    return [json.loads(record.value or b"") for record in read_all(settings, topic) if record.key == sender.encode()]


def listed(lovla: Lovla, sender: str, *words: str) -> list[dict[str, Any]]:
    return said(lovla("dead-letters", "list", "--carrier", sender, "--json", *words))


def test_a_letter_is_read_once_its_senders_mapping_is_there(
    lovla: Lovla, settings: Settings, readers: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lovla("carriers", "add", "DLSA", "--kind", "trucker")
    sheet = tmp_path / "week.csv"
    sheet.write_text(f"Box,Out\nMRSU4371639,{datetime.now(UTC):%Y-%m-%d}T00:05\n")
    eventually(lambda: "receipt" in lovla("push", sheet, "--carrier", "DLSA").stdout)
    eventually(lambda: len(listed(lovla, "DLSA")) >= 1)
    letters = listed(lovla, "DLSA")
    assert {(row["state"], row["reason"], row["retry"]) for row in letters} == {("open", "unknown_format", "read again")}
    shown = lovla("dead-letters", "show", letters[0]["letter"][:8])
    assert "MRSU4371639" in shown.stdout
    mistyped = lovla("dead-letters", "list", "--carrier", "DLSA", "--reason", "unknown_fromat").stdout
    assert mistyped.startswith("None of ") and "DLSA" in mistyped and "unknown_format" in mistyped

    in_vain = lovla("dead-letters", "retry", "--carrier", "DLSA", "--json")
    assert in_vain.exit_code == 1
    assert json.loads(in_vain.stdout.splitlines()[0])["outcome"] == "still cannot be read"
    folder = settings.state_dir / "mappings"
    folder.mkdir(exist_ok=True)
    (folder / "DLSA.toml").write_text(MAPPING)
    tried = said(lovla("dead-letters", "retry", "--carrier", "DLSA", "--dry-run", "--json"))
    assert {row["outcome"] for row in tried} == {"would be read now"}
    assert values(settings, SHIPMENT_EVENTS.name, "DLSA") == []

    done = said(lovla("dead-letters", "retry", "--carrier", "DLSA", "--by", "maria", "--json"))

    assert {row["outcome"] for row in done} == {"read now"}
    assert {event["milestone"] for event in values(settings, SHIPMENT_EVENTS.name, "DLSA")} == {"gate_out"}
    assert listed(lovla, "DLSA") == []
    assert {(row["state"], row["settled_by"]) for row in listed(lovla, "DLSA", "--all")} == {("retried", "maria")}
    nothing_left = lovla("dead-letters", "--carrier", "DLSA")
    assert ("No dead letters" in nothing_left.stdout, nothing_left.stderr) == (True, "")

    def is_followed() -> bool:
        """Whether the stage that runs since before there was a mapping reads the next sheet by it."""
        lovla("push", later, "--carrier", "DLSA")
        return any("TGHU1234567" in json.dumps(event) for event in values(settings, SHIPMENT_EVENTS.name, "DLSA"))

    later = tmp_path / "next-week.csv"
    later.write_text(f"Box,Out\nTGHU1234567,{datetime.now(UTC):%Y-%m-%d}T00:10\n")
    eventually(is_followed)
    assert readers.running
    readers.stop()
    lovla("push", sheet, "--carrier", "DLSA")
    monkeypatch.setattr(dead_letters_cli, "_READ_WITHIN", timedelta(0))
    assert "what came in lately is not read yet" in lovla("dead-letters", "--carrier", "DLSA").stderr


def test_a_letter_that_is_discarded_is_kept_with_who_when_and_why(
    lovla: Lovla, settings: Settings, readers: Process, tmp_path: Path
) -> None:
    lovla("carriers", "add", "DLSB", "--kind", "trucker")
    note = tmp_path / "note.txt"
    note.write_text("PLS CFM ETA ASAP")
    eventually(lambda: "receipt" in lovla("push", note, "--carrier", "DLSB").stdout)
    eventually(lambda: len(listed(lovla, "DLSB")) == 1)
    (letter,) = listed(lovla, "DLSB")
    before = values(settings, DEAD_LETTERS.name, "DLSB")
    assert lovla("dead-letters", "discard", letter["letter"]).exit_code == 2, "--why is needed"
    assert lovla("dead-letters", "discard", letter["letter"], "--why", " ").exit_code == 1
    assert "Say which" in lovla("dead-letters", "discard", "--why", "all of it").stderr
    said(lovla("dead-letters", "discard", letter["letter"], "--why", "a note", "--dry-run", "--json"))
    assert len(listed(lovla, "DLSB")) == 1

    said(lovla("dead-letters", "discard", letter["letter"][:10], "--why", "a note of the driver's", "--by", "José", "--json"))

    assert listed(lovla, "DLSB") == []
    (kept,) = listed(lovla, "DLSB", "--all")
    assert (kept["state"], kept["settled_by"], kept["settled_why"]) == ("discarded", "José", "a note of the driver's")
    assert datetime.fromisoformat(kept["settled_at"]).tzinfo is not None
    assert values(settings, DEAD_LETTERS.name, "DLSB") == before
    assert len(values(settings, LETTERS_SETTLED.name, letter["letter"])) == 1
    assert lovla("dead-letters", "discard", "--carrier", "DLSB", "--why", "again").exit_code == 1


def test_what_was_put_aside_is_brought_back(lovla: Lovla, settings: Settings, folder: Path, tmp_path: Path) -> None:
    from tests.integration.ingest.test_door import DCSA_EVENT

    lovla("carriers", "add", "DLSC", "--kind", "ocean_carrier")
    lovla("carriers", "add", "OPS", "--kind", "operator")
    parked = ControlRecord(control="parked", raw_partition=0, at=datetime.now(UTC), sender="DLSC")
    write(kafka.producer(settings, "lovla-test"), PARKED.name, "DLSC", parked)
    stage = Process("services.ingest.readers_stage", settings, folder / "letters.log")
    message = tmp_path / "event.json"
    message.write_text(json.dumps([DCSA_EVENT]))
    try:
        eventually(lambda: lovla("push", message, "--carrier", "DLSC").exit_code == 0)
        eventually(lambda: [row["retry"] for row in listed(lovla, "DLSC", "--reason", "parked")] == ["bring back"])

        done = said(lovla("dead-letters", "retry", "--carrier", "DLSC", "--json"))

        assert [row["outcome"] for row in done] == ["brought back"]
        eventually(lambda: len(values(settings, SHIPMENT_EVENTS.name, "DLSC")) == 1)
        assert listed(lovla, "DLSC") == []
    finally:
        assert stage.stop() == 0


def test_what_is_wrong_is_one_sentence(lovla: Lovla) -> None:
    for words in (
        ("list", "--older-than", "soon"),
        ("show", "ffffffffffff"),
        ("show", "a"),
        ("retry",),
        ("discard", "--why", "x"),
    ):
        result = lovla("dead-letters", *words)
        assert result.exit_code == 1, words
        assert result.stderr.startswith("lovla: "), words
        assert len(result.stderr.splitlines()) == 1
