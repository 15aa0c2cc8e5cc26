"""A sandbox key gets the same answers and moves nothing; a key that is another sender's is told, and nothing is taken."""

from __future__ import annotations

import httpx
import pytest

from services.ingest.cli import SANDBOX_LABEL, scopes_of
from services.ingest.sandbox import RECEIPTS_BYTES, RECEIPTS_MOST, Sandbox
from services.runtime.client import Client, Refused
from tests.unit.ingest.fakes import House
from tests.unit.ingest.test_api import DECLARATION, OWN_EVENT, problem
from tests.unit.ingest.test_dry_run import ADDRESS, X12, X12_TYPE


async def test_a_sandbox_key_is_answered_like_any_and_nothing_is_written(house: House) -> None:
    live, sandbox = house.add("COSU", "ocean_carrier", "push"), house.add("COSU", "ocean_carrier", "push", "sandbox")
    said = (await house.http.post("/v1/messages", content=X12, headers=live)).json()
    assert len(house.log.records) == 1
    response = await house.http.post("/v1/messages", content=X12, headers=sandbox)
    tried = response.json()
    assert response.status_code == 202
    assert (tried["verdicts"], tried["accepted"], tried["rejected"]) == (said["verdicts"], said["accepted"], said["rejected"])
    assert (tried["sandbox"], "sandbox" in said) == (True, False)
    found = (await house.http.get(response.headers["location"], headers=sandbox)).json()
    assert (found["state"], found["sender"], found["verdicts"]) == ("read", "COSU", said["verdicts"])
    assert len(house.log.records) == 1


async def test_everything_else_is_answered_and_not_written_too(house: House) -> None:
    key = house.add("TRYOUT", "buyer", "push", "register", "sandbox")
    address = "/v1/consignments/TRYOUT-0001"
    declaration = DECLARATION | {"consignment": "TRYOUT-0001"}
    count = {"occurred_at": "2020-04-12T00:00:00Z", "lines": [{"line": 1, "good": 5}]}
    action = {"command": "link", "reference": {"kind": "booking", "value": "BK1"}}
    answers = [
        await house.http.post("/v1/events", json=OWN_EVENT, headers=key),
        await house.http.post("/v1/consignments", json=declaration, headers=key),
        await house.http.put(address, json=declaration, headers=key | {"If-Match": "*"}),
        await house.http.delete(address, headers=key),
        await house.http.post(f"{address}/dock-receipt", json=count, headers=key),
        await house.http.post(f"{address}/actions", json=action, headers=key),
        await house.http.post("/v1/messages", content=X12, headers=key | {"Accept": X12_TYPE}),
    ]
    assert [answer.status_code for answer in answers] == [202] * len(answers)
    assert (await house.http.post(ADDRESS, content=X12, headers=key)).status_code == 200
    assert house.log.records == []
    page = (await house.http.get("/metrics")).text
    assert 'lovla_ingest_events_total{sender="TRYOUT"}' not in page


async def test_a_sandbox_key_of_an_operator_begins_no_load_and_retries_nothing(house: House) -> None:
    key = house.add("OPS", "operator", "operator", "sandbox")
    for address, body in (("/v1/load/begin", None), ("/v1/load/end", None), ("/v1/senders/OPS/retry", {"positions": []})):
        problem(await house.http.post(address, json=body, headers=key), 403, "no-scope")
    assert house.log.records == []


async def test_a_sandbox_key_sees_its_own_receipts_alone(house: House) -> None:
    live, sandbox = house.add("MAEU", "ocean_carrier", "push"), house.add("MAEU", "ocean_carrier", "push", "sandbox")
    other = house.add("CMDU", "ocean_carrier", "push", "sandbox")
    real = (await house.http.post("/v1/events", json=OWN_EVENT, headers=live)).headers["location"]
    mine = (await house.http.post("/v1/events", json=OWN_EVENT, headers=sandbox)).headers["location"]
    assert (await house.http.get(mine, headers=sandbox)).status_code == 200
    for address, key in ((real, sandbox), (mine, other), (mine, live)):
        problem(await house.http.get(address, headers=key), 404, "not-found")


async def test_a_sandbox_key_does_not_use_up_the_live_keys_rate(house: House) -> None:
    live, sandbox = house.add("MAEU", "ocean_carrier", "push"), house.add("MAEU", "ocean_carrier", "push", "sandbox")
    statuses = {(await house.http.post("/v1/events", json=OWN_EVENT, headers=sandbox)).status_code for _ in range(102)}
    assert statuses == {202, 429}
    assert (await house.http.post("/v1/events", json=OWN_EVENT, headers=live)).status_code == 202


async def test_the_same_idempotency_key_means_another_request_in_the_sandbox(house: House) -> None:
    live, sandbox = house.add("MAEU", "ocean_carrier", "push"), house.add("MAEU", "ocean_carrier", "push", "sandbox")
    tried = await house.http.post("/v1/events", json=OWN_EVENT, headers=sandbox | {"Idempotency-Key": "k"})
    sent = await house.http.post("/v1/events", json=OWN_EVENT, headers=live | {"Idempotency-Key": "k"})
    assert (tried.json()["receipt"] != sent.json()["receipt"], len(house.log.records)) == (True, 1)


def test_what_is_remembered_of_the_sandbox_is_bounded() -> None:
    import random

    sandbox, noise = Sandbox(), random.Random(7)
    receipts = [sandbox.keep("A", {"n": number}) for number in range(RECEIPTS_MOST + 1)]
    assert (sandbox.receipt("A", receipts[0]), sandbox.receipt("A", receipts[-1]) is not None) == (None, True)
    for _ in range(12):
        sandbox.keep("A", {"text": noise.randbytes(1024 * 1024).hex()})
    assert sandbox._bytes <= RECEIPTS_BYTES


# --- whose key it is


async def test_a_key_that_is_anothers_is_told_and_nothing_is_taken(house: House) -> None:
    key = house.add("CMDU", "ocean_carrier", "push")
    refused = await house.http.post("/v1/messages", content=X12, headers=key | {"Lovla-Sender": "MAEU"})
    said = problem(refused, 403, "wrong-sender")
    assert said["detail"].startswith("The key is CMDU's, and the request is meant for MAEU; nothing was taken.")
    assert house.log.records == []
    assert (await house.http.post("/v1/messages", content=X12, headers=key | {"Lovla-Sender": "CMDU"})).status_code == 202


async def test_even_an_operators_key_files_in_its_own_name_alone(house: House) -> None:
    key = house.add("OPS", "operator", "operator", "push")
    problem(await house.http.post("/v1/events", json=OWN_EVENT, headers=key | {"Lovla-Sender": "MAEU"}), 403, "wrong-sender")


def test_the_client_tells_it_in_one_sentence() -> None:
    def door(request: httpx.Request) -> httpx.Response:
        assert request.headers["lovla-sender"] == "MAEU"
        body = {"title": "The key is another sender's", "detail": "The key is CMDU's.", "status": 403}
        return httpx.Response(403, json=body)

    with Client("http://door", "key", httpx.MockTransport(door)) as client, pytest.raises(Refused, match="The key is CMDU's"):
        client.send("POST", "/v1/messages", b"x", {"Lovla-Sender": "MAEU"})


def test_a_sandbox_key_has_what_its_sender_needs_besides() -> None:
    assert scopes_of(None, "ocean_carrier", sandbox=True) == ("push", "sandbox")
    assert scopes_of("sandbox", "buyer", sandbox=False) == ("register", "sandbox")
    assert scopes_of("push,backfill", "airline", sandbox=True) == ("push", "backfill", "sandbox")
    assert scopes_of(None, "airline", sandbox=False) == ("push",)
    assert SANDBOX_LABEL == "sandbox"
