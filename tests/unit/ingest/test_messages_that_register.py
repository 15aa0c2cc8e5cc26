"""A message of another standard that asks of a consignment (X12 856): rights, receipts, order, dead letters."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from schemas.consignment_command_v1 import COMMAND, RegisterConsignment
from schemas.dead_letter_v1 import DeadLetter
from schemas.journey_change_v1 import CommandJudged
from schemas.raw_message_v1 import RawMessage
from schemas.registers_v1 import Sender
from services.ingest.commands import command_id
from services.ingest.reading import Read, read_message
from services.sink.ledger import Ledger, outcome
from tests.unit.ingest.fakes import NOW, FakeRegisters, House
from tests.unit.ingest.test_readers_stage import outputs, record
from tests.unit.readers.helpers import FIXTURES

NOTICES = (FIXTURES / "x12_856.edi").read_bytes()
"""Two notices of LACDHS (segments 4 and 34; they begin at 3 and 33), and three sets that cannot be read."""

FIRST, SECOND = 3, 33


def read(sender: str = "LACDHS", scopes: Sequence[str] = ("register",), content: bytes = NOTICES) -> Read:
    meta = RawMessage.model_validate({"kind": "message", "sender": sender, "scopes": scopes, "sha256": "ab" * 32})
    return read_message(meta, content, NOW, FakeRegisters().known(), 2, 7)


def test_a_notice_becomes_a_command_as_if_it_had_come_as_json() -> None:
    first, second = (row.command for row in read().commands)
    assert isinstance(first, RegisterConsignment) and isinstance(second, RegisterConsignment)
    assert (first.consignment, first.onto, first.sender, first.operator) == ("LACDHS-0042", "add_lines", "LACDHS", False)
    assert (first.raw.partition, first.raw.offset, first.raw.position) == (2, 7, "segment 4 (BSN)")
    assert first.declaration.items[0].lot == "A17"
    assert (second.consignment, second.onto) == ("LACDHS-829716", "replace_lines")


def test_its_id_comes_from_its_place_so_that_a_better_reading_of_other_sets_moves_it_not() -> None:
    assert [row.command.command_id for row in read().commands if row.command] == [
        command_id(2, 7, FIRST),
        command_id(2, 7, SECOND),
    ]


@pytest.mark.parametrize(
    ("sender", "scopes", "code"),
    [
        ("LACDHS", (), "no_scope"),
        ("LACDHS", ("push",), "no_scope"),
        ("MAEU", ("register",), None),
        ("MAEU", ("push",), "no_scope"),
    ],
)
def test_only_a_key_that_may_register_registers(sender: str, scopes: Sequence[str], code: str | None) -> None:
    found = read(sender, scopes)
    if code is None:  # its own: no registered buyer is named, so both are consignments of the sender
        assert [row.consignment for row in found.commands] == ["MAEU-LACDHS-0042", "MAEU-829716"]
        return
    assert not found.commands
    assert [problem.code for problem in found.problems][:2] == [code, code]


def test_another_buyers_consignment_is_refused_and_an_operators_key_may() -> None:
    registers = FakeRegisters()
    registers.senders["LACDHS"] = Sender(code="LACDHS", kind="buyer", name="LA County")

    def judged(*scopes: str) -> Read:
        meta = RawMessage.model_validate({"kind": "message", "sender": "MAEU", "scopes": scopes, "sha256": "ab" * 32})
        return read_message(meta, NOTICES, NOW, registers.known())

    assert judged("register").problems[0].code == "not_yours"
    assert judged("operator").commands[0].consignment == "LACDHS-0042"


def test_the_stage_writes_commands_and_dead_letters() -> None:
    found = outputs(record(NOTICES, sender="LACDHS", scopes=("push", "register")))
    assert [(out.topic, out.key) for out in found[:2]] == [
        ("consignment.commands.v1", b"LACDHS-0042"),
        ("consignment.commands.v1", b"LACDHS-829716"),
    ]
    assert COMMAND.validate_json(found[0].value or b"").command_id == command_id(2, 7, FIRST)
    letters = [DeadLetter.model_validate_json(out.value or b"") for out in found[2:]]
    assert [letter.reason for letter in letters] == ["deletion", "unknown_purpose", "missing_segment"]


def test_what_may_not_be_asked_is_a_dead_letter_with_its_own_bytes() -> None:
    found = outputs(record(NOTICES, sender="LACDHS", scopes=("push",)))
    letter = DeadLetter.model_validate_json(found[0].value or b"")
    assert (letter.reason, letter.where) == ("no_scope", "segment 4 (BSN)")
    assert base64.b64decode(letter.payload).startswith(b"ST*856*0001\nBSN*00*LACDHS-0042")


def test_the_audit_finds_what_became_of_the_message() -> None:
    ledger = Ledger({2: 8})
    ledger.raw(2, 7, tick=False)
    for out in outputs(record(NOTICES, sender="LACDHS", scopes=("register",))):
        said = outcome(record(out.value or b""))
        assert said is not None
        ledger.became(said)
    assert list(ledger.without_outcome(2)) == [] and ledger.nowhere == 0 and not ledger.said_twice()


async def pushed(house: House, headers: Mapping[str, str]) -> dict[str, Any]:
    answer = await house.http.post("/v1/messages", content=NOTICES, headers=dict(headers))
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_answer_and_the_receipt_name_the_command_and_its_outcome(house: House) -> None:
    key = house.add("LACDHS", "buyer", "push", "register")
    taken = await pushed(house, key)
    assert (taken["accepted"], taken["rejected"]) == (2, 3)
    first = taken["verdicts"][0]
    assert (first["where"], first["consignment"], first["outcome"]) == ("segment 4 (BSN)", "LACDHS-0042", "queued")
    assert {warning["code"] for warning in first["warnings"]} >= {"category_assumed"}
    house.outcomes.known[first["command_id"]] = CommandJudged.model_validate(
        {
            "change_id": "ab" * 16,
            "consignment": "LACDHS-0042",
            "version": 1,
            "ordinal": 0,
            "cause": "live",
            "at": NOW,
            "change": "command_accepted",
            "command_id": first["command_id"],
            "command": "register",
            "sender": "LACDHS",
            "declared_version": 2,
        }
    )
    receipt = (await house.http.get(f"/v1/receipts/{taken['receipt']}", headers=key)).json()
    assert [verdict["outcome"] for verdict in receipt["verdicts"]] == ["accepted", "queued", *["rejected"] * 3]
    assert receipt["verdicts"][0]["declared_version"] == 2
    assert first["command_id"] == receipt["verdicts"][0]["command_id"]


async def test_a_key_that_may_only_push_is_told_what_it_lacks(house: House) -> None:
    taken = await pushed(house, house.add("LACDHS", "buyer", "push"))
    assert taken["accepted"] == 0
    assert taken["verdicts"][0]["problems"][0]["code"] == "no_scope"
    assert "lovla" in taken["verdicts"][0]["problems"][0]["text"]


async def test_a_notice_stands_behind_whatever_was_asked_of_its_consignment_before(house: House) -> None:
    buyer = house.add("LACDHS", "buyer", "push", "register")
    operator = house.add("OPS", "operator", "operator", "push")
    declared = {"consignment": "LACDHS-0042", "items": [{"line": 1, "category": "gown", "quantity": 5}]}
    await house.http.post("/v1/consignments", content=json.dumps(declared), headers=buyer)
    await pushed(house, buyer)
    await pushed(house, operator)
    assert [key for _, key, _, _ in house.log.records] == [b"LACDHS"] * 3
