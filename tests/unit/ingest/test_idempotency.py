"""A request that comes again under its Idempotency-Key is answered as before, and nothing is taken twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.ingest import idempotency
from services.ingest.commands import read_commands
from services.ingest.idempotency import KEPT_S, KEYS_MOST, SENDER_BYTES, TOTAL_BYTES, Answer, Idempotency, key_in
from services.ingest.problems import Problem
from services.ingest.raw_log import Appended
from services.runtime.wire import dump, raw_meta
from services.sink.ledger import Ledger, outcome
from tests.unit.ingest.fakes import NOW, House
from tests.unit.ingest.test_api import DECLARATION, OWN_EVENT, problem
from tests.unit.ingest.test_readers_stage import record

KEY = "Idempotency-Key"


async def test_the_same_key_and_body_get_the_same_receipt_and_verdicts(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push") | {KEY: '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
    first = await house.http.post("/v1/messages", json=OWN_EVENT, headers=key)
    again = await house.http.post("/v1/messages", json=OWN_EVENT, headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again.headers["lovla-receipt"] == first.headers["lovla-receipt"]
    assert again.headers["location"] == first.headers["location"]
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert len(house.log.records) == 1


@pytest.mark.parametrize("address", ["/v1/messages", "/v1/events"])
async def test_the_same_key_with_another_body_is_refused(house: House, address: str) -> None:
    key = house.add("MAEU", "ocean_carrier", "push") | {KEY: "k1"}
    await house.http.post("/v1/messages", json=OWN_EVENT, headers=key)
    problem(await house.http.post(address, json=OWN_EVENT | {"code": "other"}, headers=key), 422, "idempotency-key-reused")
    assert len(house.log.records) == 1


async def test_registrations_and_dock_receipts_are_taken_once_too(house: House) -> None:
    buyer = house.add("LACDHS", "buyer", "register")
    count = {"occurred_at": "2020-04-12T00:00:00Z", "lines": [{"line": 1, "good": 5}]}
    action = {"command": "link", "reference": {"kind": "booking", "value": "BK1"}}
    bodies: list[tuple[str, Any]] = [
        ("/v1/consignments", DECLARATION),
        ("/v1/consignments/LACDHS-0001/dock-receipt", count),
        ("/v1/consignments/LACDHS-0001/actions", action),
    ]
    for number, (address, body) in enumerate(bodies, start=1):
        headers = buyer | {KEY: f"key-{number}"}
        answers = [await house.http.post(address, json=body, headers=headers) for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        assert len(house.log.records) == number


async def test_a_dock_receipt_under_a_key_is_one_command_even_for_a_door_that_has_forgotten_the_key(house: House) -> None:
    buyer = house.add("LACDHS", "buyer", "register") | {KEY: "count-1"}
    count = {"occurred_at": "2020-04-12T00:00:00Z", "lines": [{"line": 1, "good": 5}]}

    async def command(consignment: str = "LACDHS-0001", key: str = "count-1", good: int = 5) -> Any:
        house.door.idempotency = Idempotency()  # as after a restart
        body = count | {"lines": [{"line": 1, "good": good}]}
        address = f"/v1/consignments/{consignment}/dock-receipt"
        answer = await house.http.post(address, json=body, headers=buyer | {KEY: key})
        (verdict,) = answer.json()["verdicts"]
        return verdict["command_id"]

    first = await command()
    assert await command() == first
    assert len({first, await command("LACDHS-0002"), await command(key="count-2"), await command(good=6)}) == 4
    records = [(raw_meta(headers), value) for _, _, value, headers in house.log.records[:2]]
    rows = [read_commands(meta, value, NOW, 3, offset)[0] for offset, (meta, value) in enumerate(records)]
    assert [row.command and row.command.command_id for row in rows] == [first, first]
    ledger = Ledger({3: 2})
    for offset, row in enumerate(rows):
        ledger.raw(3, offset, tick=False)
        said = outcome(record(dump(row.command))) if row.command is not None else None
        assert said is not None
        ledger.became(said)
    assert list(ledger.without_outcome(3)) == [] and not ledger.said_twice(), "the audit has nothing to complain about"


async def test_a_key_is_its_senders_own(house: House) -> None:
    for code in ("MAEU", "CMDU"):
        key = house.add(code, "ocean_carrier", "push") | {KEY: "k1"}
        assert (await house.http.post("/v1/events", json=OWN_EVENT, headers=key)).status_code == 202
    assert len(house.log.records) == 2


async def test_what_was_refused_may_come_again_under_its_key(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push") | {KEY: "k1"}
    house.log.down = True
    problem(await house.http.post("/v1/events", json=OWN_EVENT, headers=key), 503, "not-ready")
    house.log.down = False
    problem(await house.http.post("/v1/events", json={"code": "x"}, headers=key), 422, "invalid")
    assert (await house.http.post("/v1/events", json=OWN_EVENT, headers=key)).status_code == 202


async def test_while_the_first_is_under_way_the_second_waits(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push") | {KEY: "k1"}
    append, held, reached = house.log.append, asyncio.Event(), asyncio.Event()

    async def slowly(*what: Any) -> Appended:
        reached.set()
        await held.wait()
        return await append(*what)

    house.log.append = slowly  # type: ignore[method-assign, assignment]  # a log that takes its time
    first = asyncio.create_task(house.http.post("/v1/events", json=OWN_EVENT, headers=key))
    await asyncio.wait_for(reached.wait(), 5)
    busy = await house.http.post("/v1/events", json=OWN_EVENT, headers=key)
    problem(busy, 409, "idempotency-key-busy")
    assert busy.headers["retry-after"] == "1"
    held.set()
    assert (await first).status_code == 202
    assert (await house.http.post("/v1/events", json=OWN_EVENT, headers=key)).json() == (await first).json()


async def test_a_key_is_forgotten_after_a_day(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push") | {KEY: "k1"}
    await house.http.post("/v1/events", json=OWN_EVENT, headers=key)
    house.clock.advance(KEPT_S + 1)
    assert "idempotency-replayed" not in (await house.http.post("/v1/events", json=OWN_EVENT, headers=key)).headers


@pytest.mark.parametrize("value", ["", '""', '"a', "a b", "ä", "x" * 256, '"a"; p=1', "a,b"])
async def test_a_key_that_is_no_string_is_refused(house: House, value: str) -> None:
    key = house.add("MAEU", "ocean_carrier", "push") | {KEY: value}
    raw = [(name.encode(), text.encode("latin-1")) for name, text in key.items()]
    problem(await house.http.post("/v1/events", json=OWN_EVENT, headers=raw), 400, "bad-header")
    assert house.log.records == []


def test_a_key_may_stand_in_quotes_or_not() -> None:
    assert [key_in(text) for text in (None, '"a b"', "8e03978e-40d5", " k ")] == [None, "a b", "8e03978e-40d5", "k"]


def told(kept: Idempotency, sender: str, key: str, body: bytes = b"{}") -> None:
    assert kept.begin(sender, key, key.encode(), 0.0) is None
    kept.keep(sender, key, Answer(202, {}, body), 0.0)


def test_memory_is_bounded_by_count_the_longest_unused_first() -> None:
    kept = Idempotency()
    told(kept, "A", "first")
    for number in range(KEYS_MOST):
        told(kept, f"S{number}", "k")
    assert kept.begin("A", "first", b"first", 0.0) is None
    assert len(kept._kept) <= KEYS_MOST + 1


def test_one_sender_pushes_out_its_own_answers_and_nobody_elses() -> None:
    import random

    kept = Idempotency()
    told(kept, "QUIET", "k")
    noise = random.Random(7)
    size = SENDER_BYTES // 4
    for number in range(12):
        told(kept, "LOUD", f"k{number}", noise.randbytes(size))
    assert kept.begin("QUIET", "k", b"k", 0.0) is not None
    assert kept.begin("LOUD", "k11", b"k11", 0.0) is not None
    assert kept.begin("LOUD", "k0", b"k0", 0.0) is None
    assert kept._bytes["LOUD"] <= SENDER_BYTES + idempotency.ENTRY_BYTES
    assert kept._total == sum(kept._bytes.values()) <= TOTAL_BYTES


def test_what_is_forgotten_while_it_was_under_way_is_not_kept() -> None:
    kept = Idempotency()
    assert kept.begin("A", "k", b"1", 0.0) is None
    with pytest.raises(Problem, match="under way"):
        kept.begin("A", "k", b"1", 0.0)
    kept.forget("A", "k")
    kept.forget("A", "k")
    kept.keep("A", "k", Answer(202, {}, b"{}"), 0.0)
    assert (kept._kept, kept._bytes, kept._total) == ({}, {}, 0)
