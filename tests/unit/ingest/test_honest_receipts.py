"""What a receipt says: warnings about the envelope too, and that an outcome is out of view rather than `queued` for ever."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from schemas.journey_change_v1 import CommandJudged
from schemas.raw_message_v1 import RawMessage
from schemas.topics import JOURNEY_CHANGES
from services.ingest import outcomes as module
from services.ingest import repeats as repeats_module
from services.ingest.outcomes import EVER, Outcomes
from services.ingest.readers import Interchange
from services.ingest.reading import read_message
from services.ingest.repeats import Repeats
from services.runtime.receipts import Position, Sealer
from services.runtime.settings import Settings
from tests.unit.ingest.fakes import NOW, FakeRegisters, House
from tests.unit.ingest.test_api import DECLARATION
from tests.unit.readers.helpers import FIXTURES

MISCOUNTED = (FIXTURES / "x12_315.edi").read_bytes().replace(b"IEA*1*", b"IEA*7*")


def judged(name: str) -> bytes:
    return (
        CommandJudged(
            change_id="ab" * 16,
            consignment="LACDHS-0001",
            version=1,
            ordinal=0,
            cause="live",
            at=NOW,
            change="command_accepted",
            command_id=name,
            command="register",
            sender="LACDHS",
        )
        .model_dump_json()
        .encode()
    )


def view() -> Outcomes:
    return Outcomes(Settings(kafka="127.0.0.1:1"))


def whole(partitions: range, made: Outcomes, at: datetime) -> Outcomes:
    for partition in partitions:
        made.begins(partition, at)
    return made


def test_a_view_knows_from_when_on_it_is_complete() -> None:
    made = view()
    assert made.complete_since is None, "nothing is read yet"
    for partition in range(JOURNEY_CHANGES.partitions):
        made.begins(partition, NOW + timedelta(hours=partition))
        made.begins(partition, NOW + timedelta(days=9))
    assert made.complete_since == NOW + timedelta(hours=3), "the latest beginning of all partitions"


def test_what_is_forgotten_moves_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    made = whole(range(JOURNEY_CHANGES.partitions), view(), EVER)
    for number in range(3):
        made.take(judged(f"{number}"), NOW + timedelta(minutes=number))
    assert (made.get("0"), made.complete_since) == (None, NOW)
    assert made.get("2") is not None


async def asked(house: House) -> dict[str, Any]:
    key = house.add("LACDHS", "buyer", "register")
    receipt = (await house.http.post("/v1/consignments", json=DECLARATION, headers=key)).json()["receipt"]
    found: dict[str, Any] = (await house.http.get(f"/v1/receipts/{receipt}", headers=key)).json()["verdicts"][0]
    return found


async def test_an_outcome_that_cannot_be_known_here_is_not_called_queued(house: House) -> None:
    house.records.read_up_to = 1
    house.outcomes.complete_since = NOW + timedelta(seconds=1)
    verdict = await asked(house)
    assert verdict["outcome"] == "out_of_view"
    assert "lovla show" in verdict["text"]


@pytest.mark.parametrize(("since", "read_up_to"), [(NOW, 1), (NOW + timedelta(days=1), 0)])
async def test_a_command_that_is_not_judged_yet_is_queued(house: House, since: datetime, read_up_to: int) -> None:
    house.records.read_up_to = read_up_to
    house.outcomes.complete_since = since
    assert (await asked(house))["outcome"] == "queued"


async def test_warnings_about_the_envelope_are_in_the_answer_and_in_the_receipt(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push", "backfill") | {"Lovla-Received-At": "2020-04-01T00:00:00Z"}
    taken = (await house.http.post("/v1/messages", content=MISCOUNTED, headers=key)).json()
    found = (await house.http.get(f"/v1/receipts/{taken['receipt']}", headers=key)).json()
    assert taken["warnings"] and taken["warnings"] == found["warnings"]
    assert all(warning["where"] for warning in taken["warnings"]), "with the place"


def test_they_are_stored_with_the_first_event_which_stays_what_it_is() -> None:
    meta = RawMessage(kind="message", sender="MAEU", sha256="ab" * 32)
    received = datetime.fromisoformat("2020-04-01T00:00:00Z")
    plain = read_message(meta, MISCOUNTED.replace(b"IEA*7*", b"IEA*1*"), received, FakeRegisters().known())
    warned = read_message(meta, MISCOUNTED, received, FakeRegisters().known())
    assert [event.event_id for event in plain.events] == [event.event_id for event in warned.events]
    assert [event.revision for event in plain.events] == [event.revision for event in warned.events]
    first, *others = warned.events
    assert {warning.code for warning in warned.warnings} <= {warning.code for warning in first.warnings}
    assert [event.warnings for event in others] == [event.warnings for event in plain.events[1:]]


SAID_AGAIN = [
    (FIXTURES / "x12_315.edi").read_bytes(),
    (FIXTURES / "edifact_coarri.edi").read_bytes(),
]


def repeats(answer: dict[str, Any], name: str = "warnings") -> list[dict[str, str]]:
    return [one for one in answer.get(name, ()) if one["code"] == "interchange_seen_before"]


@pytest.mark.parametrize("message", SAID_AGAIN, ids=["x12", "edifact"])
async def test_an_interchange_that_came_before_is_told_as_such(house: House, message: bytes) -> None:
    key = house.add("MAEU", "ocean_carrier", "push", "backfill") | {"Lovla-Received-At": "2020-04-01T00:00:00Z"}

    async def asked(receipt: str) -> dict[str, Any]:
        return dict((await house.http.get(f"/v1/receipts/{receipt}", headers=key)).json())

    async def tried() -> list[dict[str, str]]:
        answer = await house.http.post("/v1/messages?dry_run=1", content=message, headers=key)
        return repeats(answer.json(), "findings")

    assert await tried() == []
    first = (await house.http.post("/v1/messages", content=message, headers=key)).json()
    (found,) = await tried()
    assert first["receipt"] in found["text"], "a dry run says so, and is no repeat itself"
    again = (await house.http.post("/v1/messages", content=message, headers=key)).json()
    other = (await house.http.post("/v1/messages", content=message, headers=house.add("COSU", "ocean_carrier", "push"))).json()

    (told,) = repeats(again)
    assert first["receipt"] in told["text"] and told["where"].startswith("segment 1 (")
    assert "13" in told["field"] or "0020" in told["field"]
    assert "counts once" in again["explained"][told["code"]]["means"]
    assert [one["event_id"] for one in again["verdicts"] if "event_id" in one] == [
        one["event_id"] for one in first["verdicts"] if "event_id" in one
    ], "harmless"
    assert repeats(first) == repeats(other) == [], "a number is its sender's own"
    assert repeats(await asked(again["receipt"])) == [told]
    assert repeats(await asked(first["receipt"])) == [], "what came first came first"


async def test_what_a_sandbox_key_sends_is_no_interchange_that_came(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push", "sandbox")
    for _ in range(2):
        assert repeats((await house.http.post("/v1/messages", content=SAID_AGAIN[0], headers=key)).json()) == []


def test_no_more_interchanges_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats_module, "REMEMBERED", 2)
    known = Repeats(Sealer(b"secret"))
    ones = [Interchange("segment 1 (ISA)", "MAEU", f"{number}") for number in range(3)]
    for offset, one in enumerate(ones):
        known.note("MAEU", [one], Position(0, offset), NOW)
    later = (Position(0, 9), NOW)

    assert [len(known.told("MAEU", [one], later)) for one in ones] == [0, 1, 1]
    assert known.told("MAEU", [Interchange("segment 1 (UNB)", "MAEU", "")], later) == []
    assert len(known.told("MAEU", ones * 9, later)) == 2, "once each"
