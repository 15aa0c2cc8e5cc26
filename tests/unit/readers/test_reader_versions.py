"""Whoever changes what a reader makes of a message raises its READER_VERSION, or what is read again stays as it was.

Beside this file stands what each fixture was last read as, and by which versions. Rules that readers share change many of them
at once. After raising the versions that the test names: `python -m tests.unit.readers.test_reader_versions`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from services.ingest.readers import Reading
from tests.security import fuzz
from tests.unit.readers.helpers import FIXTURES, context_at, expected, read_text, sha, told

FILE = Path(__file__).with_name("reader_versions.json")
FILES = {file.name.partition(".")[0]: file for file in sorted(FIXTURES.iterdir()) if ".expected." not in file.name}
Record = Mapping[str, Any]


def read(name: str) -> Reading:
    received_at = expected(name)["received_at"]
    return read_text(FILES[name].read_bytes(), context_at(received_at, fuzz.SENDER, fuzz.KnowsMappings().known()))


def record_of(name: str, reading: Reading) -> Record:
    """What a fixture is read as, less what is merely said about it in words, and the versions that did so."""
    verdicts = told(reading)
    for verdict in verdicts:
        for warning in verdict.get("warnings", ()):
            del warning["text"]
    said = json.dumps([verdicts, [event.event_id for event in reading.events]], sort_keys=True, default=str)
    versions = {event.standard: event.reader_version for event in reading.events}
    return {"message": sha(FILES[name].read_bytes())[:16], "read_as": sha(said.encode())[:16], "versions": versions}


def forgotten(before: Record | None, now: Record) -> bool:
    """Whether the same message is read as something else by the same versions."""
    if before is None or before["message"] != now["message"] or before["read_as"] == now["read_as"]:
        return False
    return bool(now["versions"]) and before["versions"] == now["versions"]


@pytest.mark.parametrize("name", FILES)
def test_what_is_read_otherwise_is_read_by_another_version(name: str) -> None:
    before = json.loads(FILE.read_text(encoding="utf-8")).get(name)
    now = record_of(name, read(name))

    assert not forgotten(before, now), f"{name} is read as something else: raise READER_VERSION of {', '.join(now['versions'])}"
    assert before == now, "write it down: python -m tests.unit.readers.test_reader_versions"


def test_a_forgotten_version_is_seen() -> None:
    before = {"message": "m", "read_as": "a", "versions": {"x12.315": 4}}

    assert forgotten(before, before | {"read_as": "b"})
    assert not forgotten(before, before | {"read_as": "b", "versions": {"x12.315": 5}})
    assert not forgotten(before, before | {"read_as": "b", "message": "another"})
    assert not forgotten(None, before)


def main() -> int:
    """Write the file anew; refuse where a version was forgotten."""
    known = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    now = {name: record_of(name, read(name)) for name in FILES}
    if names := [name for name in FILES if forgotten(known.get(name), now[name])]:
        print(f"raise READER_VERSION first, of the standards of {', '.join(names)}", file=sys.stderr)
        return 1
    FILE.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
