"""`lovla replay` over the real broker: what would change is shown first, then written, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.dead_letter_v1 import DeadLetter
from schemas.registers_v1 import Facility
from schemas.shipment_event_v1 import ShipmentEvent
from schemas.topics import DEAD_LETTERS, SHIPMENT_EVENTS
from services.cli import assemble
from services.ingest.registers import facility_entry, write
from services.runtime import kafka, wire
from services.runtime.settings import Settings
from tests.integration.ingest.conftest import Api, Process, add_sender
from tests.integration.ingest.test_door import DCSA_EVENT, post
from tests.integration.ingest.test_readers import events_of
from tests.waiting import eventually

SENDER = "REPLAY"
PORT = "USXQZ"  # nobody's, so that no other test minds the facility


@pytest.fixture
def lovla(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("LOVLA_STATE_DIR", str(settings.state_dir))
    runner, app = CliRunner(), assemble()

    def replay(*arguments: str, ok: bool = True) -> dict[str, Any]:
        result = runner.invoke(app, ["replay", "--carrier", SENDER, "--json", *arguments])
        assert (result.exit_code == 0) == ok, result.output
        said: list[dict[str, Any]] = [json.loads(line) for line in result.stdout.splitlines()]
        return said[-1] | {"rows": said[:-1]}

    yield replay


def latest(settings: Settings) -> dict[str, dict[str, Any]]:
    """Of each event id the copy of the greatest revision."""
    newest: dict[str, dict[str, Any]] = {}
    for event in events_of(settings, SENDER):
        key = (event["revision"]["reader"], event["revision"]["content"])
        kept = newest.get(event["event_id"])
        if kept is None or key > (kept["revision"]["reader"], kept["revision"]["content"]):
            newest[event["event_id"]] = event
    return newest


def test_what_is_read_otherwise_today_is_shown_then_written_once(
    api: Api, settings: Settings, readers: Process, lovla: Any, folder: Path
) -> None:
    key, _ = add_sender(settings, SENDER, "ocean_carrier", "push")
    event = DCSA_EVENT | {"eventLocation": {"UNLocationCode": PORT, "facilityCode": "XQT", "facilityCodeListProvider": "SMDG"}}
    batch = [event | {"eventID": f"{number:08}-0000-4000-8000-000000000000"} for number in range(20)]
    eventually(lambda: post(api, "/v1/messages", key, json=batch).status_code == 202)
    assert post(api, "/v1/messages", key, content=b"ISA*nothing").status_code == 202
    eventually(lambda: len(events_of(settings, SENDER)) == 20)

    assert lovla("--dry-run")["counts"] == {}

    # What an older reader left: an event that is no longer found, and a dead letter of what can be read today.
    good = ShipmentEvent.model_validate(events_of(settings, SENDER)[0])
    ghost = good.model_copy(update={"event_id": "0" * 32, "raw": good.raw.model_copy(update={"position": "/99"})})
    assert good.raw.partition is not None and good.raw.offset is not None
    letter = DeadLetter(
        letter_id="1" * 32,
        stage="readers",
        sender=SENDER,
        reason="bad_time",
        where="/3",
        text="not read then",
        topic="raw.messages.v1",
        partition=good.raw.partition,
        offset=good.raw.offset,
        raw_partition=good.raw.partition,
        raw_offset=good.raw.offset,
        received_at=good.received_at,
    )
    producer = kafka.producer(settings, "test")
    producer.produce(SHIPMENT_EVENTS.name, wire.dump(ghost), SENDER)
    producer.produce(DEAD_LETTERS.name, wire.dump(letter), SENDER)
    assert producer.flush(30) == 0
    # And what changed since: the place is a facility of ours.
    write(
        settings, [facility_entry(Facility(code="XQ-TERM", kind="terminal", name="X", zone="UTC", unlocode=PORT, smdg="XQT"))]
    )

    promised = lovla("--dry-run")
    assert promised["counts"] == {"changed": 20, "vanished": 1, "undead": 1}
    assert {row["field"] for row in promised["rows"] if row["what"] == "changed"} == {"place"}
    assert promised["written"] == 0
    assert len(events_of(settings, SENDER)) == 21
    assert lovla("--since", "2020-01-01", "--dry-run")["counts"] == promised["counts"], "of one carrier, since a day"

    assert lovla("--standard", "x12")["counts"] == {}
    assert lovla("--dead", "--dry-run")["counts"] == promised["counts"]
    done = lovla()
    assert done["written"] == 21
    now = latest(settings)
    assert now["0" * 32]["retracted"]
    assert all(event["place"]["facility"] == "XQ-TERM" for event_id, event in now.items() if event_id != "0" * 32)
    assert {event["cause"] for event in now.values()} == {"refold"}
    again = lovla()
    assert (again["written"], again["counts"]) == (0, {"undead": 1})  # a letter stays in its topic; nothing else differs


def test_an_unknown_receipt_is_a_sentence(settings: Settings, lovla: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(assemble(), ["replay", "--receipt", "nonsense"])
    assert result.exit_code == 1
    assert "nonsense is no receipt" in result.output
