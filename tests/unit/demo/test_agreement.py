"""Scenario -> messages -> the real readers -> the tracker's core, without servers: it finds what the demo's own truth says.

Two readings of docs/exceptions.md that share no code must agree, whatever the order in which messages come.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from demo.build import Demo, build
from demo.messages import Message
from schemas.raw_message_v1 import RawMessage
from services.ingest.commands import read_commands
from services.ingest.readers import Context, Registers, Unreadable, read
from services.runtime import wire
from services.tracker.core import Read, ReadCommand, ReadControl, ReadEvent, Tracker
from services.tracker.event_store import MemoryEventStore
from services.tracker.records import Control, decode_command, decode_event
from services.tracker.registers import Registers as TrackerRegisters

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
EVENTS, COMMANDS = "shipment.events.v1", "consignment.commands.v1"
Expected = set[tuple[str, str, datetime, datetime | None]]


def said(message: Message, registers: Registers) -> list[Read]:
    """What the readers stage would make of one request."""
    digest = hashlib.sha256(message.body).hexdigest()
    if message.kind == "message":
        context = Context(message.sender, message.received_at, registers, digest, 0, 0, cause="backfill")
        try:
            reading = read(message.body, message.content_type, message.standard or None, context)
        except Unreadable:
            return []
        return [ReadEvent(decode_event(wire.dump(event))) for event in reading.events]
    meta = RawMessage(
        kind=message.kind,
        sender=message.sender,
        scopes=("register",),
        sha256=digest,
        content_type=message.content_type,
        cause="backfill",
        consignment=message.path.split("/")[-2] if message.kind == "dock_receipt" else None,
    )
    offset = int(digest[:8], 16)
    rows = read_commands(meta, message.body, message.received_at, 0, offset)
    return [ReadCommand(decode_command(wire.dump(row.command))) for row in rows if row.command is not None]


def readings(demo: Demo) -> list[tuple[str, list[Read]]]:
    """The kind of each request, and what is made of it."""
    registers = Registers.of(demo.senders, demo.facilities)
    return [(message.kind, said(message, registers)) for message in demo.messages]


def track(demo: Demo, messages: Sequence[tuple[str, Sequence[Read]]], batch: int) -> Tracker:
    known = TrackerRegisters({s.code: s for s in demo.senders}, {f.code: f for f in demo.facilities})
    tracker = Tracker(MemoryEventStore(), known, [(0, EVENTS, 0), (0, COMMANDS, 0)], (COMMANDS, 0))
    store = tracker.store
    assert isinstance(store, MemoryEventStore)
    reads = [one for _, message in messages for one in message]
    tick = Control(control="tick", raw_partition=0, at=NOW, load=True)
    rounds: list[list[Read]] = [reads[n : n + batch] for n in range(0, len(reads), batch)]
    rounds.append([ReadControl(tick, EVENTS, 0), ReadControl(tick, COMMANDS, 0)])
    for records in rounds:
        outcome = tracker.process(records)
        assert outcome.faults == []
        events = tracker.batch_events()
        tracker.committed()
        events.write_to(store, {})
    return tracker


def found(tracker: Tracker) -> Expected:
    journeys = [journey for name in tracker.state.journeys if (journey := tracker.state.journey(name)) is not None]
    of_journeys = {(j.consignment, s.key, s.start, s.end) for j in journeys for s in j.exceptions if s.status != "withdrawn"}
    feeds = tracker.state.feeds.values()
    return of_journeys | {(f.consignment, s.key, s.start, None) for f in feeds for s in f.exceptions if s.status == "open"}


@pytest.mark.parametrize("seed", [1, 2])
def test_the_tracker_finds_what_was_planted_and_nothing_else_in_any_order(seed: int) -> None:
    demo = build(seed, 120, NOW)
    expected: Expected = {(name, one.key, one.start, one.end) for name, all_ in demo.expected.items() for one in all_}
    assert len(expected) > 60
    messages = readings(demo)
    assert found(track(demo, messages, batch=2_000)) == expected
    shuffled = [message for message in messages if message[0] == "message"]
    random.Random(seed).shuffle(shuffled)
    # a dock's receipt is refused for a consignment that is not registered yet: commands keep their order
    commands = [message for message in messages if message[0] != "message"]
    middle = len(shuffled) // 2
    assert found(track(demo, [*shuffled[:middle], *commands, *shuffled[middle:]], batch=700)) == expected
