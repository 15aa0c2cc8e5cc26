"""From the door to events and commands, exactly once, whatever dies between."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.shipment_event_v1 import CONTROL_KEY
from schemas.topics import CONSIGNMENT_COMMANDS, DEAD_LETTERS, SHIPMENT_EVENTS
from services.runtime.settings import Settings
from tests.integration.ingest.conftest import Api, Process, add_sender
from tests.integration.ingest.records import read_all
from tests.integration.ingest.test_door import DCSA_EVENT, OWN_EVENT, post
from tests.unit.ingest.test_api import DECLARATION
from tests.waiting import eventually


def events_of(settings: Settings, sender: str) -> list[dict[str, Any]]:
    records = read_all(settings, SHIPMENT_EVENTS.name)
    return [json.loads(record.value or b"") for record in records if record.key == sender.encode()]


def push(api: Api, key: dict[str, str], count: int, requests: int) -> None:
    for request in range(requests):
        batch = [DCSA_EVENT | {"eventID": f"{request:08}-0000-4000-8000-{number:012}"} for number in range(count)]
        body = json.dumps(batch).encode()
        answer = post(api, "/v1/messages", key | {"Content-Type": "application/json"}, content=body)
        assert answer.status_code == 202, answer.text


def test_messages_registrations_and_bad_input_each_go_their_way(api: Api, settings: Settings, readers: Process) -> None:
    key, _ = add_sender(settings, "READA", "buyer", "push", "register")
    eventually(lambda: post(api, "/v1/events", key, json=OWN_EVENT).status_code == 202)
    assert post(api, "/v1/messages", key, content=b"ISA*nothing").status_code == 202
    body = [DECLARATION | {"consignment": "READA-1"}, {"consignment": "READA-2", "tier": 9}]
    assert post(api, "/v1/consignments", key, json=body).status_code == 202

    def letters() -> list[dict[str, Any]]:
        return [json.loads(r.value or b"") for r in read_all(settings, DEAD_LETTERS.name) if r.key == b"READA"]

    eventually(lambda: len(letters()) == 2)
    assert {letter["where"] for letter in letters()} >= {"/1/tier"}
    assert len(events_of(settings, "READA")) == 1
    commands = [record for record in read_all(settings, CONSIGNMENT_COMMANDS.name) if record.key == b"READA-1"]
    assert len(commands) == 1


def test_ticks_go_in_band_to_every_partition_that_the_tracker_reads(api: Api, settings: Settings, readers: Process) -> None:
    def pairs(topic: str) -> set[tuple[int, int]]:
        ticks = [record for record in read_all(settings, topic) if record.key == CONTROL_KEY]
        return {(json.loads(record.value or b"")["raw_partition"], record.partition) for record in ticks}

    eventually(lambda: len(pairs(SHIPMENT_EVENTS.name)) == 16)
    eventually(lambda: len(pairs(CONSIGNMENT_COMMANDS.name)) == 4)


@pytest.mark.parametrize("step", ["produced", "committed"])  # the other steps: tests/integration/runtime
def test_every_event_comes_once_though_the_readers_die_at(step: str, api: Api, settings: Settings, folder: Path) -> None:
    sender = f"DIES{step[:4].upper()}"
    key, _ = add_sender(settings, sender, "ocean_carrier", "push")
    eventually(lambda: post(api, "/v1/events", key, json=OWN_EVENT).status_code == 202)
    push(api, key, count=50, requests=6)
    dying = Process("services.ingest.readers_stage", settings, folder / f"dying-{step}.log", LOVLA_FAILPOINT=step)
    eventually(lambda: not dying.running)
    living = Process("services.ingest.readers_stage", settings, folder / f"living-{step}.log")
    try:
        eventually(lambda: len(events_of(settings, sender)) >= 301)
        eventually(lambda: "readers.started" in living.log.read_text())
    finally:
        assert living.stop() == 0
    seen = Counter(event["event_id"] for event in events_of(settings, sender))
    assert len(seen) == 301
    assert set(seen.values()) == {1}


def test_the_readers_survive_a_restart_of_the_door(api: Api, settings: Settings, readers: Process, tmp_path: Path) -> None:
    second = Api(settings, tmp_path)
    key, _ = add_sender(settings, "READB", "ocean_carrier", "push")
    try:
        eventually(second.ready)
        eventually(lambda: post(second, "/v1/events", key, json=OWN_EVENT).status_code == 202)
        second.kill()
        eventually(lambda: len(events_of(settings, "READB")) == 1)
    finally:
        if second.running:
            second.kill()
    assert httpx.get(api.url + "/healthz", trust_env=False).status_code == 200
