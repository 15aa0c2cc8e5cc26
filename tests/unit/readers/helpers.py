"""What the tests of readers share: a context, and events as the hand-written expectations hold them."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from schemas.registers_v1 import Facility, Sender
from services.ingest.readers import Context, Reading, Registers, Unreadable, read

FIXTURES = Path(__file__).parent / "fixtures"
REGISTERS = Registers.of(
    [Sender(code="HBRT", kind="trucker", name="Harbor Road Transport", scac="HBRT")],
    [
        Facility(
            code="LA-APMT",
            kind="terminal",
            name="APM Terminals Pier 400",
            unlocode="USLAX",
            zone="America/Los_Angeles",
            smdg="PIER4",
            city="San Pedro",
        ),
        Facility(
            code="LAC-USC", kind="hospital", name="LAC+USC Medical Center", zone="America/Los_Angeles", city="Los Angeles"
        ),
    ],
)


def context_at(received_at: str, sender: str = "MAEU", registers: Registers = REGISTERS, **more: Any) -> Context:
    """A context of `sender` at that time."""
    moment = datetime.fromisoformat(received_at)
    return Context(sender=sender, received_at=moment, registers=registers, raw_sha256="ab" * 32, **more)


def read_text(text: str | bytes, context: Context, hint: str | None = None) -> Reading:
    """Read a message written in a test."""
    return read(text.encode() if isinstance(text, str) else text, None, hint, context)


def refused(text: str | bytes, context: Context, hint: str | None = None) -> Unreadable:
    """The reason why a message is unreadable."""
    try:
        reading = read_text(text, context, hint)
    except Unreadable as error:
        return error
    raise AssertionError(f"was read: {reading}")


def told(reading: Reading) -> list[dict[str, Any]]:
    """The verdicts as the expectations write them: without what depends on hashes and on the raw record."""
    ids = {event.event_id: event.raw.position for event in reading.events}
    out: list[dict[str, Any]] = []
    for verdict in reading.verdicts:
        if verdict.problem is not None:
            out.append({"problem": verdict.problem.code, "where": verdict.problem.where})
            continue
        if verdict.asked is not None:
            asked = verdict.asked
            warnings = [warning.model_dump() for warning in asked.warnings]
            said = {"asked": asked.onto, "row": asked.row, "fields": asked.fields, "warnings": warnings}
            out.append({"position": verdict.position, **said})
            continue
        assert verdict.event is not None
        event = json.loads(verdict.event.model_dump_json(exclude_none=True))
        revision = event.pop("revision")
        if "at" in revision:
            event["at"] = revision["at"]
        if "retracts" in event:
            event["retracts_position"] = ids.get(event.pop("retracts"), "another message")
        assert event.pop("raw")["position"] == verdict.position
        for name in ("event_id", "reader_version", "sender", "received_at", "cause", "retracted"):
            del event[name]
        out.append({"position": verdict.position, **event})
    return out


def expected(name: str) -> dict[str, Any]:
    """The hand-written expectation of a fixture; `each` stands in all its events."""
    found: dict[str, Any] = json.loads((FIXTURES / f"{name}.expected.json").read_text(encoding="utf-8"))
    each = {"standard": found["standard"], **found.get("each", {})}
    found["verdicts"] = [v if "problem" in v or "asked" in v else each | v for v in found["verdicts"]]
    return found


def sha(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()
