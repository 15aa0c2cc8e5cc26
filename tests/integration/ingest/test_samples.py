"""Messages that nobody in this project wrote, pushed through the door: each is an event or a dead letter, none is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas.topics import DEAD_LETTERS, SHIPMENT_EVENTS
from services.ingest.readers import Context, Registers, Unreadable, read
from services.runtime.settings import Settings
from tests.integration.ingest.conftest import Api, Process, add_sender
from tests.integration.ingest.records import read_all
from tests.integration.ingest.test_door import OWN_EVENT, post
from tests.waiting import eventually

SENDER = "SAMPLES"


def files(samples: Path) -> list[Path]:
    return sorted(path for path in samples.rglob("*") if path.is_file() and path.name != "MANIFEST.md")


def newest(content: bytes) -> datetime:
    """The newest time in a message: when it may have been received."""
    context = Context(SENDER, datetime.now(UTC), Registers.empty(), "0" * 64, fence=False)
    try:
        return max(
            event.occurred_at for event in read(content, None, None, context).events if event.occurred_at < context.received_at
        )
    except (Unreadable, ValueError):
        return context.received_at


def of_samples(settings: Settings, topic: str) -> Iterator[dict[str, Any]]:
    return (json.loads(record.value or b"") for record in read_all(settings, topic) if record.key == SENDER.encode())


def test_every_sample_is_taken_and_accounted_for(api: Api, settings: Settings, readers: Process, samples: Path) -> None:
    key, _ = add_sender(settings, SENDER, "forwarder", "push", "backfill")
    eventually(lambda: post(api, "/v1/events", key, json=OWN_EVENT).status_code == 202)
    pushed: dict[str, dict[str, Any]] = {}
    for file in files(samples):
        content = file.read_bytes()
        answer = post(api, "/v1/messages", key | {"Lovla-Received-At": newest(content).isoformat()}, content=content)
        assert answer.status_code == 202, (file.name, answer.text)
        pushed[file.name] = answer.json()
    expected = sum(taken["accepted"] for taken in pushed.values()) + 1
    refused = sum(taken["rejected"] for taken in pushed.values())
    assert len(pushed) == len(files(samples)) >= 25
    eventually(lambda: len(list(of_samples(settings, SHIPMENT_EVENTS.name))) == expected)
    eventually(lambda: len(list(of_samples(settings, DEAD_LETTERS.name))) == refused)
    assert all(taken["accepted"] + taken["rejected"] > 0 for taken in pushed.values())
    for readable in ("tnt-220-response.json", "fsu14_bkd_foh_rcs.txt", "214_MGCTLYST.edi", "315_004010_rail.edi"):
        assert pushed[readable]["accepted"] > 0, pushed[readable]
