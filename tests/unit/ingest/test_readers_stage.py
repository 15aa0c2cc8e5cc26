"""What raw records become, without a broker."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from schemas.consignment_command_v1 import COMMAND
from schemas.dead_letter_v1 import DeadLetter
from schemas.raw_message_v1 import RawMessage, Tick
from schemas.registers_v1 import Sender
from schemas.shipment_event_v1 import CONTROL_KEY, ControlRecord, ShipmentEvent
from schemas.topics import CONSIGNMENT_COMMANDS, DEAD_LETTERS, PARKED, RAW_MESSAGES, SHIPMENT_EVENTS
from services.ingest import readers_stage
from services.ingest.readers_stage import FUSE_RUN, FUSE_SENDERS, FUSE_WINDOW, PAYLOAD_BYTES, Fuse, FuseBlown, Readers
from services.ingest.records import RawRecord
from services.ingest.retrying import UNPARK, again, is_unparking, unparking
from services.runtime.loop import Output, Record
from services.runtime.wire import header, raw_headers
from tests.unit.ingest.fakes import NOW, FakeRegisters
from tests.unit.ingest.test_api import DCSA_EVENT, DECLARATION


def registers() -> FakeRegisters:
    made = FakeRegisters()
    made.senders["MAEU"] = Sender(code="MAEU", kind="ocean_carrier", name="Maersk")
    return made


def record(value: bytes, offset: int = 7, at: datetime = NOW, **meta: Any) -> Record:
    said = {"kind": "message", "sender": "MAEU", "sha256": hashlib.sha256(value).hexdigest()} | meta
    headers = raw_headers(RawMessage.model_validate(said))
    return Record("raw.messages.v1", 2, offset, int(at.timestamp() * 1000), b"MAEU", value, headers)


def outputs(*records: Record) -> Sequence[Output]:
    return Readers(registers()).process(records)


def test_events_lead_back_to_their_bytes_and_are_received_when_the_broker_says() -> None:
    (output,) = outputs(record(json.dumps([DCSA_EVENT]).encode(), standard="dcsa.2.2", content_type="application/json"))
    event = ShipmentEvent.model_validate_json(output.value or b"")
    assert (output.topic, output.key) == ("shipment.events.v1", b"MAEU")
    assert (event.raw.partition, event.raw.offset, event.received_at, event.cause) == (2, 7, NOW, "live")
    assert header(output.headers, "ce_id") == event.event_id


def test_a_backfilled_event_is_received_when_its_key_says() -> None:
    earlier = NOW - timedelta(hours=5)
    value = json.dumps([DCSA_EVENT]).encode()
    (output,) = outputs(record(value, standard="dcsa.2.2", received_at=earlier, cause="backfill"))
    event = ShipmentEvent.model_validate_json(output.value or b"")
    assert (event.received_at, event.cause) == (earlier, "backfill")


def test_reading_the_same_record_again_says_the_same() -> None:
    again = record(json.dumps([DCSA_EVENT]).encode(), standard="dcsa.2.2")
    assert outputs(again) == outputs(again)


def test_one_bad_event_costs_one() -> None:
    value = json.dumps([DCSA_EVENT, {"eventType": "NOTHING"}]).encode()
    event, letter = outputs(record(value, standard="dcsa.2.2"))
    assert event.topic == "shipment.events.v1"
    kept = DeadLetter.model_validate_json(letter.value or b"")
    assert (letter.topic, letter.key, kept.sender, kept.where) == ("dead.letters.v1", b"MAEU", "MAEU", "/1/eventType")
    assert (kept.raw_partition, kept.raw_offset, kept.retryable) == (2, 7, False)


def test_what_cannot_be_read_is_a_dead_letter_with_its_bytes() -> None:
    (letter,) = outputs(record(b"ISA*nothing"))
    kept = DeadLetter.model_validate_json(letter.value or b"")
    assert base64.b64decode(kept.payload) == b"ISA*nothing"


def test_a_registration_becomes_a_command_under_its_consignments_key() -> None:
    value = json.dumps([DECLARATION, {"consignment": "LACDHS-2", "tier": 0}]).encode()
    command, letter = outputs(record(value, kind="registration", sender="LACDHS", scopes=("register",)))
    assert (command.topic, command.key) == ("consignment.commands.v1", b"LACDHS-0001")
    parsed = COMMAND.validate_json(command.value or b"")
    assert (parsed.command, parsed.operator, parsed.received_at) == ("register", False, NOW)
    assert DeadLetter.model_validate_json(letter.value or b"").where == "/1/tier"


def tick(said: datetime, load: bool = False) -> Record:
    return record(Tick(at=said, load=load).model_dump_json().encode(), kind="tick", sender="~tick")


def test_a_tick_is_passed_on_to_every_partition_of_events_and_commands_with_the_brokers_time() -> None:
    passed = outputs(tick(NOW - timedelta(seconds=59), load=True))
    assert [(output.topic, output.partition) for output in passed] == [
        *(("shipment.events.v1", partition) for partition in range(4)),
        ("consignment.commands.v1", 0),
    ]
    control = ControlRecord.model_validate_json(passed[0].value or b"")
    assert (control.control, control.raw_partition, control.at, control.load) == ("tick", 2, NOW, True)
    assert {output.key for output in passed} == {b"~control"}


@pytest.mark.parametrize("seconds", [-61, 61])
def test_a_tick_of_a_wrong_clock_is_not_passed_on(seconds: int) -> None:
    assert outputs(tick(NOW + timedelta(seconds=seconds))) == []


def test_ticks_stay_behind_the_events_that_came_before_them() -> None:
    value = json.dumps([DCSA_EVENT]).encode()
    order = [output.key for output in outputs(record(value, standard="dcsa.2.2"), tick(NOW))]
    assert order[0] == b"MAEU"


def test_a_record_that_did_not_come_through_the_door_is_a_dead_letter() -> None:
    (letter,) = outputs(Record("raw.messages.v1", 0, 1, int(NOW.timestamp() * 1000), None, b"hello", None))
    assert DeadLetter.model_validate_json(letter.value or b"").reason == "bad_headers"


class Broken(FakeRegisters):
    """Registers that make every reading fail by a fault of ours."""

    def known(self) -> Any:
        raise RuntimeError("ours")


def broken(offset: int = 7, sender: str = "MAEU") -> Record:
    return record(json.dumps([DCSA_EVENT]).encode(), offset, standard="dcsa.2.2", sender=sender)


def sound(sender: str = "LACDHS", offset: int = 8) -> Record:
    return record(json.dumps([DECLARATION]).encode(), offset, kind="registration", sender=sender, scopes=("operator",))


def letters(made: Sequence[Output]) -> list[DeadLetter]:
    return [DeadLetter.model_validate_json(output.value or b"") for output in made if output.topic == DEAD_LETTERS.name]


def controls(made: Sequence[Output]) -> list[ControlRecord]:
    return [ControlRecord.model_validate_json(output.value or b"") for output in made if output.key == CONTROL_KEY]


def test_a_fault_of_ours_parks_its_sender_and_no_other() -> None:
    made = Readers(Broken()).process([broken(), sound(), sound("MAEU", 9)])
    assert [(letter.reason, letter.retryable, letter.offset) for letter in letters(made)] == [
        ("fault", True, 7),
        ("parked", True, 9),
    ]
    assert {(control.control, control.sender) for control in controls(made)} == {("parked", "MAEU")}
    assert len(controls(made)) == 5
    commands = [output for output in made if output.topic == CONSIGNMENT_COMMANDS.name and output.key != CONTROL_KEY]
    assert [output.key for output in commands] == [b"LACDHS-0001"]


def test_what_was_parked_is_parked_after_a_restart_too() -> None:
    parked = ControlRecord(control="parked", raw_partition=2, at=NOW, sender="MAEU")
    (letter,) = letters(Readers(registers(), lambda: {"MAEU": parked}).process([sound("MAEU")]))
    assert letter.reason == "parked"


def test_a_parking_that_was_not_committed_did_not_happen() -> None:
    stage = Readers(Broken())
    stage.process([broken()])
    stage.aborted()
    assert letters(stage.process([sound("MAEU")])) == []


def test_unparking_goes_in_band_and_what_comes_after_it_is_read() -> None:
    meta = unparking("MAEU", "José")
    end = Record(RAW_MESSAGES.name, 2, 8, int(NOW.timestamp() * 1000), b"MAEU", UNPARK, raw_headers(meta))
    stage = Readers(Broken())
    stage.process([broken()])
    stage.committed()
    made = stage.process([end, sound("MAEU", 9)])
    assert {(control.control, control.sender) for control in controls(made)} == {("unparked", "MAEU")}
    assert letters(made) == []
    assert [output.value for output in made if output.topic == PARKED.name] == [None]


def test_nobody_unparks_a_sender_by_an_action_on_a_consignment() -> None:
    assert not is_unparking(unparking("MAEU", None).model_copy(update={"consignment": "MAEU-1"}))
    assert not is_unparking(unparking("MAEU", None).model_copy(update={"scopes": ("push", "register")}))


def test_a_record_is_brought_back_as_it_was_received_first() -> None:
    meta = RawMessage(kind="message", sender="MAEU", sha256="ab" * 32)
    back = again(RawRecord(meta, b"x", NOW))
    assert (back.received_at, back.cause) == (NOW, "live")
    assert again(RawRecord(back, b"x", NOW + timedelta(days=1))) == back


def test_the_fuse_blows_when_it_happens_to_most_senders() -> None:
    stage = Readers(Broken())
    with pytest.raises(FuseBlown):
        stage.process([broken(number, f"S{number}") for number in range(FUSE_SENDERS)])


def test_a_dropped_batch_does_not_count_for_the_fuse() -> None:
    stage = Readers(Broken())
    for _ in range(3):
        stage.process([broken(number, f"S{number}") for number in range(FUSE_SENDERS - 1)])
        stage.aborted()


def test_senders_that_wait_aside_do_not_stop_the_others_not_even_after_a_restart() -> None:
    parked = {who: ControlRecord(control="parked", raw_partition=2, at=NOW, sender=who) for who in ("A", "B")}
    waiting = [broken(number, "B" if number % 2 else "A") for number in range(2 * FUSE_WINDOW)]
    made = Readers(registers(), lambda: parked).process([*waiting, sound()])
    assert [letter.reason for letter in letters(made)] == ["parked"] * len(waiting)
    assert made[-1].topic == CONSIGNMENT_COMMANDS.name


def test_one_sender_in_trouble_and_a_single_record_of_another_do_not_blow_it() -> None:
    fuse = Fuse()
    for number in range(FUSE_WINDOW):
        fuse.note("LACDHS" if number < 400 else "B" if number == 400 else "A", fault=number >= 400 and number % 50 != 0)


def test_a_single_sender_that_waits_aside_does_not_blow_it() -> None:
    made = Readers(Broken()).process([broken(number) for number in range(2 * FUSE_WINDOW)])
    assert len(letters(made)) == 2 * FUSE_WINDOW


def test_one_senders_faults_alone_do_not_blow_the_ratio() -> None:
    fuse = Fuse()
    for number in range(2 * FUSE_WINDOW):
        fuse.note("MAEU", fault=number % 10 != 0)


def test_one_senders_faults_in_a_row_do_not_blow_it_and_a_second_senders_does() -> None:
    fuse = Fuse()
    for _ in range(FUSE_RUN):
        fuse.note("A", fault=True)
    with pytest.raises(FuseBlown):
        fuse.note("B", fault=True)


def test_a_few_of_many_senders_do_not_blow_it() -> None:
    fuse = Fuse()
    for number in range(2 * FUSE_WINDOW):
        fuse.note(f"S{number % 20}", fault=number % 20 < FUSE_SENDERS + 2 and number % 3 == 0)


def test_most_senders_do() -> None:
    fuse = Fuse()
    with pytest.raises(FuseBlown):
        for number in range(FUSE_WINDOW):
            fuse.note(f"S{number % 8}", fault=number % 8 < FUSE_SENDERS)


def test_a_command_that_its_topic_would_refuse_is_a_dead_letter_and_the_others_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers_stage, "HEADROOM_BYTES", CONSIGNMENT_COMMANDS.max_message_bytes - 50_000)
    items = [{"line": line, "category": "gown", "quantity": 5, "description": "x" * 128} for line in range(1, 501)]
    value = json.dumps([DECLARATION, {"consignment": "LACDHS-2", "items": items}]).encode()
    command, letter = outputs(record(value, kind="registration", sender="LACDHS", scopes=("register",)))
    assert (command.topic, command.key) == (CONSIGNMENT_COMMANDS.name, b"LACDHS-0001")
    kept = DeadLetter.model_validate_json(letter.value or b"")
    assert (kept.reason, kept.where, kept.retryable, kept.payload_cut) == ("too_large", "/1", False, True)
    assert base64.b64decode(kept.payload) == value[:PAYLOAD_BYTES]


def test_an_event_that_its_topic_would_refuse_is_a_dead_letter_too(monkeypatch: pytest.MonkeyPatch) -> None:
    value = json.dumps([DCSA_EVENT, DCSA_EVENT | {"eventID": "84db923d-2a19-4eb0-beb5-446c1ec57d35"}]).encode()
    sent = record(value, standard="dcsa.2.2")
    largest = max(len(output.value or b"") for output in outputs(sent))
    monkeypatch.setattr(readers_stage, "HEADROOM_BYTES", SHIPMENT_EVENTS.max_message_bytes - largest)
    assert letters(outputs(sent)) == []
    monkeypatch.setattr(readers_stage, "HEADROOM_BYTES", SHIPMENT_EVENTS.max_message_bytes - largest + 1)
    made = letters(outputs(sent))
    assert {letter.reason for letter in made} == {"too_large"}
    assert len({letter.letter_id for letter in made}) == len(made) == 2
