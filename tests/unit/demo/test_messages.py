"""Every message of the demo reads, by the real readers, into exactly what it is meant to say; or into nothing, where meant."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from demo import world
from demo.build import Demo, build
from demo.messages import Message, coming, speaker_of
from demo.scenario import HOLD_OF, MILESTONE_OF, Told
from schemas.consignment_command_v1 import ConsignmentDeclaration
from schemas.shipment_event_v1 import ShipmentEvent
from services.ingest.readers import Context, Registers, Unreadable, read

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def demo() -> Demo:
    return build(1, 160, NOW)


@pytest.fixture(scope="module")
def registers(demo: Demo) -> Registers:
    return Registers.of(demo.senders, demo.facilities)


def events_of(message: Message, registers: Registers) -> list[ShipmentEvent]:
    context = Context(message.sender, message.received_at, registers, hashlib.sha256(message.body).hexdigest())
    reading = read(message.body, message.content_type, "lovla.1" if message.standard == "lovla.1" else None, context)
    assert not reading.problems, (message.sender, reading.problems[:2], message.body[:600])
    return list(reading.events)


def meant(told: Told) -> tuple[object, ...]:
    """What must be read: candidate milestone, classifier, time, unit. A booking by FSU names the flight's time, not its own;
    a withdrawal has only the time at which it was made."""
    if told.retracts:
        return None, "actual", told.known_at - timedelta(minutes=3), ""
    candidate = MILESTONE_OF.get(told.what)
    standard = speaker_of(told.sender)
    if standard in ("dcsa.2.2", "cargo_imp.fsu") and candidate and candidate.startswith("transship"):
        candidate = "arrived" if candidate == "transship_arrived" else "departed"
    fsu_booking = standard == "cargo_imp.fsu" and told.what == "booked"
    return candidate, told.classifier, None if fsu_booking else told.at, told.container


def said(event: ShipmentEvent, standard: str) -> tuple[object, ...]:
    container = next((r.value for r in event.references if r.kind == "container"), "")
    booking = standard == "cargo_imp.fsu" and event.code.startswith("BKD") and event.milestone == "booked"
    classifier = "actual" if booking else event.classifier
    return event.milestone, classifier, None if booking else event.occurred_at.astimezone(UTC), container


def paired(message: Message, registers: Registers) -> list[tuple[Told, ShipmentEvent]]:
    """Each statement of the message with the first event not yet taken that says it."""
    left = events_of(message, registers)
    pairs = []
    for told in message.says:
        event = next(e for e in left if said(e, speaker_of(message.sender)) == meant(told))
        left.remove(event)
        pairs.append((told, event))
    return pairs


def test_every_statement_is_read_as_meant(demo: Demo, registers: Registers) -> None:
    for message in demo.messages:
        if message.kind != "message" or message.letters:
            continue
        standard = speaker_of(message.sender)
        events = events_of(message, registers)
        # a flight's scheduled or estimated times are statements of their own, beside what was meant
        wanted = Counter(meant(t) for t in message.says)
        got = Counter(said(e, standard) for e in events)
        missing = wanted - got
        assert not missing, (message.sender, missing, got - wanted, message.body[:900])
        surplus = [e for e in (got - wanted).elements() if e[1] == "actual"]
        assert not surplus, (message.sender, surplus, message.body[:900])


def test_holds_vessels_references_and_withdrawals_are_read_too(demo: Demo, registers: Registers) -> None:
    ids: set[str | None] = set()
    withdrawn: set[str | None] = set()
    for message in demo.messages:
        if message.kind != "message" or message.letters:
            continue
        for told, event in paired(message, registers):
            assert event.mapped
            if told.what in HOLD_OF:
                assert event.hold is not None
                assert (event.hold.kind, event.hold.state) == HOLD_OF[told.what]
            if told.retracts:
                withdrawn.add(event.retracts)
                continue
            ids.add(event.event_id)
            values = {r.value for r in event.references}
            assert {v for v in (told.bill, told.waybill, told.pro) if v} <= values | {told.container}
            if told.what == "departed" and told.voyage and told.voyage.vessel:
                assert event.transport is not None
                assert (event.transport.vessel, event.transport.voyage) == (told.voyage.vessel, told.voyage.number)
            if event.place and event.place.unlocode:
                assert event.place.unlocode == told.place
    assert withdrawn
    assert withdrawn <= ids


def test_events_have_ids_of_their_own_unless_the_bytes_are_repeated(demo: Demo, registers: Registers) -> None:
    seen: dict[str, Told] = {}
    read_already: set[bytes] = set()
    for message in demo.messages:
        if message.kind != "message" or message.letters or message.body in read_already:
            continue
        read_already.add(message.body)
        for told, event in paired(message, registers):
            other = seen.setdefault(event.event_id, told)
            assert other.ident == told.ident


def test_what_is_meant_to_be_unreadable_is(demo: Demo, registers: Registers) -> None:
    for message in (m for m in demo.messages if m.letters):
        context = Context(message.sender, message.received_at, registers, "0" * 64)
        with pytest.raises(Unreadable):
            read(message.body, message.content_type, None, context)


def test_registrations_are_declarations_of_their_own_buyer(demo: Demo) -> None:
    named = []
    for message in (m for m in demo.messages if m.kind == "registration"):
        for value in json.loads(message.body):
            declaration = ConsignmentDeclaration.model_validate(value)
            assert declaration.consignment.partition("-")[0] == message.sender
            named.append(declaration)
    assert sorted(named, key=lambda d: d.consignment) == sorted(demo.consignments, key=lambda d: d.consignment)


def test_all_four_standards_and_our_own_json_are_spoken(demo: Demo) -> None:
    assert {m.standard for m in demo.messages if m.says} == {"dcsa.2.2", "x12.315", "x12.214", "cargo_imp.fsu", "lovla.1"}
    assert {speaker_of(code) for code in world.OCEAN} == {"dcsa.2.2", "x12.315"}


def test_what_is_still_to_come_is_told_after_now_in_order(demo: Demo) -> None:
    times = [m.received_at for m in coming(demo.scenario)]
    assert times == sorted(times)
    assert all(t > NOW for t in times)
