"""The load must be what it says: a speed over messages that nobody can read means nothing."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks import load
from benchmarks.client import Order, bodies
from benchmarks.journeys import _Records
from benchmarks.peers import fold
from schemas.raw_message_v1 import RawMessage
from schemas.shipment_event_v1 import ShipmentEvent
from services.ingest.commands import read_commands
from services.ingest.readers import Registers
from services.ingest.reading import read_message
from services.runtime.wire import raw_meta
from services.tracker.records import decode_command, decode_event

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BASE = load.recent_base(NOW)
REGISTERS = Registers.of(load.SENDERS, load.FACILITIES)


@pytest.mark.parametrize("form", [*load.FORMS, "batch", "mixed"])
def test_every_statement_is_read_as_one_event_about_its_container(form: load.Form) -> None:
    told = list(load.tellings(range(64), BASE))
    found: list[ShipmentEvent] = []
    for raw in load.raws(form, told):
        read = read_message(raw_meta(raw.headers), raw.value, NOW, REGISTERS)
        assert not read.problems
        assert len(read.events) == raw.events
        found += read.events
    assert len({event.event_id for event in found}) == len(told) == 64 * load.EVENTS_A_JOURNEY
    boxes = {ref.value for event in found for ref in event.references if ref.kind == "container"}
    assert boxes == {load.container_of(number, unit) for number in range(64) for unit in range(load.UNITS)}
    assert not any(event.warnings for event in found)


def test_registrations_are_accepted() -> None:
    raw = load.raw_registrations(range(20), BASE)
    rows = read_commands(raw_meta(raw.headers), raw.value, NOW)
    assert [row.problems for row in rows] == [()] * 20


def test_the_client_sends_each_statement_once() -> None:
    order = Order(0, [""] * 8, "batch", 10, 40, 100.0, 4, BASE.timestamp())
    ids = []
    for content, content_type, carrier in bodies(order):
        meta = RawMessage(kind="message", sender=load.CARRIERS[carrier], sha256="0" * 64, content_type=content_type)
        ids += [event.event_id for event in read_message(meta, content, NOW, REGISTERS).events]
    assert len(set(ids)) == len(ids) == 400


def test_journeys_made_from_templates_are_records_of_the_contract_and_all_different() -> None:
    records = _Records(BASE)
    events = [decode_event(raw.value) for _, raw in records.events(range(50))]
    assert len({event.event_id for event in events}) == 50 * load.EVENTS_A_JOURNEY
    due = BASE + load.SPAN + timedelta(days=6)
    commands = [decode_command(raw.value) for _, raw in records.commands(range(50), {3}, due)]
    assert len({command.command_id for command in commands}) == 50
    planned = [command.declaration.plan["delivered"] for command in commands if command.declaration]
    assert [n for n, at in enumerate(planned) if at == due] == [3]
    declared = {ref for command in commands if command.declaration for ref in command.declaration.references}
    assert {ref for event in events for ref in event.references if ref.kind == "container"} <= declared


def test_the_peers_fold_comes_to_the_same_in_any_order_and_with_repeats() -> None:
    records = list(fold.events(3_000, 250))
    assert len(set(records)) < len(records), "the load must hold repeats"
    outputs, wanted = fold.expected(records)
    assert outputs == len(set(records))
    shuffled = records + records[:500]
    random.Random(2).shuffle(shuffled)
    assert fold.expected(shuffled)[1] == wanted
    assert fold.expected(records[:-1])[1] != wanted or records[-1] in records[:-1]
