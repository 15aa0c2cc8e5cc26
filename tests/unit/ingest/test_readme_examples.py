"""The README's first hour holds whenever somebody reads it: its examples are of November 2026."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.raw_message_v1 import RawMessage
from schemas.topics import RAW_MESSAGES
from services.ingest.readers_stage import Readers
from services.ingest.tables import read_facilities, read_senders
from services.runtime.loop import Record
from services.runtime.wire import raw_headers
from services.tracker.registers import Registers
from tests.stack import ROOT
from tests.unit.ingest.fakes import NOW, FakeRegisters, House
from tests.unit.tracker.build import decoded, feed, ticks, tracker

README = (ROOT / "README.md").read_text(encoding="utf-8")
_SAID = re.compile(r"^lovla (register|push) (\S+) --(?:as|carrier) (\w+) --received-at (\S+)", re.MULTILINE)
_SCOPES = re.compile(r"^lovla carriers add (\w+) --kind (\w+) .*?--scope ([\w,]+)", re.MULTILINE)


@pytest.mark.parametrize("year", [2027, 2036])
async def test_the_examples_are_taken_in_any_year(house: House, year: int) -> None:
    house.clock.advance((datetime(year, 1, 15, tzinfo=UTC) - NOW).total_seconds())
    keys = {code: house.add(code, kind, *scopes.split(",")) for code, kind, scopes in _SCOPES.findall(README)}
    said = _SAID.findall(README)
    assert [verb for verb, *_ in said] == ["register", "push"]
    for verb, file, code, received_at in said:
        path = {"register": "/v1/consignments", "push": "/v1/messages"}[verb]
        body = (ROOT / file).read_bytes()
        kind = {"Content-Type": "application/json" if verb == "register" else "application/edi-x12"}
        answer = await house.http.post(path, content=body, headers=keys[code] | kind | {"Lovla-Received-At": received_at})
        told: dict[str, Any] = answer.json()
        assert (answer.status_code, told.get("accepted")) == (202, 1), told
    (pushed,) = re.findall(r'-H "Lovla-Received-At: ([^"]+)" --data-binary @docs/examples/arrival.315', README)
    assert pushed == said[1][3]


def test_the_reasons_that_it_promises_are_those_that_are_found() -> None:
    """By the real readers and the real tracker, a week after the message came."""
    folder, made = ROOT / "demo" / "data", FakeRegisters()
    made.facilities |= {one.code: one for one in read_facilities((folder / "facilities.csv").read_text(encoding="utf-8"))}
    made.senders |= {one.code: one for one in read_senders((folder / "senders.csv").read_text(encoding="utf-8"))}
    subject, stage = tracker(Registers(made.senders, made.facilities)), Readers(made)
    for offset, (verb, file, code, received_at) in enumerate(_SAID.findall(README)):
        body = (ROOT / file).read_bytes()
        meta = RawMessage.model_validate(
            {"kind": "registration" if verb == "register" else "message", "sender": code, "scopes": ["register", "push"]}
            | {"sha256": hashlib.sha256(body).hexdigest()}
            | {"content_type": "application/json" if verb == "register" else "application/edi-x12"}
        )
        came_ms = int(datetime.fromisoformat(received_at).timestamp() * 1000)
        feed(subject, decoded(stage.process([Record(RAW_MESSAGES.name, 0, offset, came_ms, b"", body, raw_headers(meta))])))
    feed(subject, ticks(datetime(2026, 11, 24, tzinfo=UTC), load=True))
    journey = subject.state.journey("LACDHS-0001")
    assert journey is not None
    open_ = {one.kind: one for one in journey.exceptions if one.status == "open"}
    ((promised, who),) = re.findall(r"^lovla delayed --exception late +# .*: (Arrived \S+ d late), says (\w+)$", README, re.M)
    assert open_["late"].sentence.startswith(f"{promised}: ") and f" says {who}," in open_["late"].sentence
    assert re.search(r"^lovla delayed +# .* overdue too, for nobody says that it was delivered$", README, re.M)
    assert open_["overdue"].milestone == "delivered" and "nobody says" in open_["overdue"].sentence
