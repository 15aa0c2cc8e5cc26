"""The door's answers: what is taken, what is refused and how, over fakes."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import hmac
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.journey_change_v1 import CommandJudged
from schemas.raw_message_v1 import RawMessage
from services.ingest.body import SHARE_BYTES, Budget
from services.ingest.keys import rotate_secret
from services.ingest.limits import Limits
from services.ingest.problems import Problem
from services.runtime.wire import raw_headers
from tests.unit.ingest.fakes import NOW, SECRET_KEY, House

DCSA_EVENT: dict[str, Any] = {
    "eventID": "84db923d-2a19-4eb0-beb5-446c1ec57d34",
    "eventType": "EQUIPMENT",
    "eventClassifierCode": "ACT",
    "eventCreatedDateTime": "2020-04-11T18:02:00Z",
    "eventDateTime": "2020-04-11T09:40:00-07:00",
    "equipmentEventTypeCode": "DISC",
    "equipmentReference": "MRSU4371639",
    "emptyIndicatorCode": "LADEN",
    "eventLocation": {"UNLocationCode": "USLAX"},
}
OWN_EVENT: dict[str, Any] = {
    "code": "arrived",
    "milestone": "arrived",
    "classifier": "actual",
    "occurred_at": "2020-04-11T09:40:00-07:00",
    "references": [{"kind": "container", "value": "MRSU4371639"}],
}
DECLARATION: dict[str, Any] = {"consignment": "LACDHS-0001", "items": [{"line": 1, "category": "gown", "quantity": 5}]}


def problem(response: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """The problem details, checked for form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"] == f"urn:lovla:problem:{kind}"
    assert body["status"] == status
    return body


def signed(body: bytes, secret: str) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Notification-Signature": f"sha256={digest}", "Content-Type": "application/json"}


async def test_an_event_is_taken_with_a_receipt_and_a_verdict(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push")
    response = await house.http.post("/v1/events", json=OWN_EVENT, headers=key)
    assert response.status_code == 202, response.text
    body = response.json()
    assert response.headers["location"] == f"/v1/receipts/{body['receipt']}"
    assert [verdict["outcome"] for verdict in body["verdicts"]] == ["accepted"]
    meta, content = house.kept()
    assert (meta["kind"], meta["sender"], meta["standard"]) == ("message", "MAEU", "lovla.1")
    assert json.loads(content) == OWN_EVENT


async def test_a_bad_event_does_not_refuse_the_others(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push")
    body = (await house.http.post("/v1/events", json=[OWN_EVENT, {"code": "x"}], headers=key)).json()
    assert (body["accepted"], body["rejected"]) == (1, 1)
    assert body["verdicts"][1]["problems"][0]["where"].startswith("/1")


async def test_lines_of_json_are_taken(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push") | {"Content-Type": "application/x-ndjson"}
    lines = b"\n".join(json.dumps(OWN_EVENT | {"code": code}).encode() for code in ("arrived", "discharged"))
    assert (await house.http.post("/v1/events", content=lines, headers=key)).json()["accepted"] == 2


async def test_gzip_is_kept_as_sent_and_read(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push")
    body = gzip.compress(json.dumps([DCSA_EVENT]).encode())
    headers = key | {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    response = await house.http.post("/v1/messages", content=body, headers=headers)
    assert response.json()["verdicts"][0]["milestone"] == "discharged"
    assert house.kept()[1] == body


@pytest.mark.parametrize("body", [b"{", b'{"a": NaN}', b'{"a": 1, "a": 1}', b'{"a": "\\u0000"}', b"[]", b"\xff", b""])
async def test_our_own_json_must_hold_something_or_nothing_is_kept(house: House, body: bytes) -> None:
    key = house.add("MAEU", "ocean_carrier", "push") | {"Content-Type": "application/json"}
    said = problem(await house.http.post("/v1/events", content=body, headers=key), 422, "invalid")
    assert said.get("errors") or body == b"[]"
    assert house.log.records == []


async def test_an_unreadable_message_is_kept_and_its_verdict_says_why(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push")
    response = await house.http.post("/v1/messages", content=b"ISA*no", headers=key)
    assert response.status_code == 202
    assert response.json()["verdicts"][0]["outcome"] == "rejected"
    assert house.kept()[1] == b"ISA*no"


@pytest.mark.parametrize("authorization", [None, "Bearer x", "Basic abc", f"Bearer lovla_abcdefghij12_{'x' * 43}"])
async def test_without_a_good_key_nobody_gets_in(house: House, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = await house.http.post("/v1/events", json=OWN_EVENT, headers=headers)
    problem(response, 401, "no-credential")
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_revoked_key_an_expired_key_and_a_sender_out_of_use_are_refused(house: House) -> None:
    for change in ({"revoked_at": NOW}, {"expires_at": NOW}):
        key = house.add("MAEU", "ocean_carrier", "push")
        key_id, account = list(house.registers.accounts.items())[-1]
        house.registers.accounts[key_id] = account.model_copy(update=change)
        problem(await house.http.post("/v1/events", json=OWN_EVENT, headers=key), 401, "no-credential")
    key = house.add("MAEU", "ocean_carrier", "push")
    house.registers.senders["MAEU"] = house.registers.senders["MAEU"].model_copy(update={"active": False})
    problem(await house.http.post("/v1/events", json=OWN_EVENT, headers=key), 401, "no-credential")


async def test_a_key_does_only_what_its_scopes_say(house: House) -> None:
    carrier, buyer = house.add("MAEU", "ocean_carrier", "push"), house.add("LACDHS", "buyer", "register")
    problem(await house.http.post("/v1/consignments", json=DECLARATION, headers=carrier), 403, "no-scope")
    problem(await house.http.post("/v1/events", json=OWN_EVENT, headers=buyer), 403, "no-scope")
    problem(await house.http.post("/v1/load/begin", headers=buyer), 403, "no-scope")
    past = carrier | {"Lovla-Received-At": "2020-03-01T00:00:00Z"}
    problem(await house.http.post("/v1/events", json=OWN_EVENT, headers=past), 403, "no-scope")
    problem(await house.http.post("/v1/consignments", json={"consignment": "OTHER-1"}, headers=buyer), 403, "no-scope")


async def test_backfill_sets_when_it_was_received(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push", "backfill") | {"Lovla-Received-At": "2020-04-12T00:00:00Z"}
    response = await house.http.post("/v1/events", json=OWN_EVENT, headers=key)
    assert response.json()["received_at"] == "2020-04-12T00:00:00Z"
    assert house.kept()[0]["cause"] == "backfill"
    later = key | {"Lovla-Received-At": "2020-05-12T00:00:00Z"}
    problem(await house.http.post("/v1/events", json=OWN_EVENT, headers=later), 400, "bad-header")


async def test_an_action_bears_the_name_of_who_did_it(house: House) -> None:
    key = house.add("OPS", "operator", "operator")
    headers = key | {"Content-Type": "application/json"}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()] + [(b"Lovla-Recorded-By", "José".encode())]
    body = json.dumps({"command": "link", "reference": {"kind": "booking", "value": "BK1"}}).encode()
    response = await house.http.post("/v1/consignments/LACDHS-0001/actions", content=body, headers=raw)
    assert response.status_code == 202, response.text
    assert house.kept()[0]["recorded_by"] == "José"


async def test_a_dcsa_callback_is_opened_by_its_signature(house: House) -> None:
    house.add("MAEU", "ocean_carrier", "push")
    path, headers = house.add_callback("MAEU", "s3cret")
    body = json.dumps([DCSA_EVENT, {"eventType": "NOTHING"}], indent=1).encode()
    response = await house.http.post(path, content=body, headers=headers | signed(body, "s3cret"))
    assert response.status_code == 204, response.text
    assert response.content == b""
    assert house.kept()[0]["sender"] == "MAEU"
    assert len(response.headers["lovla-receipt"]) > 20


async def test_a_dcsa_callback_refuses_what_was_not_signed_so(house: House) -> None:
    house.add("MAEU", "ocean_carrier", "push")
    path, headers = house.add_callback("MAEU", "s3cret")
    body = json.dumps([DCSA_EVENT]).encode()
    good = headers | signed(body, "s3cret")
    wrong: list[tuple[str, bytes, dict[str, str]]] = [
        (path, body + b" ", good),
        (path, body, headers | signed(body, "other")),
        (path, body, headers | {"Content-Type": "application/json"}),
        (path, body, good | {"Notification-Signature": "sha256=zz"}),
        (path, body, good | {"Subscription-ID": "0e0c8e0f-4b7a-4d0d-9a6f-2c1b5e7d8a90"}),
        ("/v2/dcsa/guessed/events", body, good),
    ]
    answers = [await house.http.post(address, content=content, headers=said) for address, content, said in wrong]
    assert {problem(answer, 401, "no-credential")["detail"] for answer in answers} == {answers[0].json()["detail"]}
    assert "guessed" not in answers[-1].text
    assert house.log.records == []


async def test_two_secrets_are_live_while_a_publisher_rotates(house: House) -> None:
    house.add("MAEU", "ocean_carrier", "push")
    path, headers = house.add_callback("MAEU", "first")
    body = json.dumps([DCSA_EVENT]).encode()

    async def answer(secret: str) -> int:
        return (await house.http.post(path, content=body, headers=headers | signed(body, secret))).status_code

    (kept,) = house.registers.secrets.values()
    _, second = rotate_secret(kept, SECRET_KEY, "second")
    house.registers.secrets[kept.secret_id] = second
    assert [await answer("first"), await answer("second")] == [204, 204]
    _, third = rotate_secret(second, SECRET_KEY, "third")
    house.registers.secrets[kept.secret_id] = third
    assert [await answer("first"), await answer("second"), await answer("third")] == [401, 204, 204]


async def test_registering_is_queued_and_its_outcome_is_found_by_the_receipt(house: House) -> None:
    key = house.add("LACDHS", "buyer", "register")
    taken = (await house.http.post("/v1/consignments", json=[DECLARATION, {"consignment": 5}], headers=key)).json()
    assert [verdict["outcome"] for verdict in taken["verdicts"]] == ["queued", "rejected"]
    address = f"/v1/receipts/{taken['receipt']}"
    assert (await house.http.get(address, headers=key)).json()["state"] == "pending"
    house.records.read_up_to = 1
    found = (await house.http.get(address, headers=key)).json()
    assert (found["state"], found["verdicts"][0]["outcome"]) == ("read", "queued")
    command_id = taken["verdicts"][0]["command_id"]
    house.outcomes.known[command_id] = CommandJudged(
        change_id="ab" * 16,
        consignment="LACDHS-0001",
        version=1,
        ordinal=0,
        cause="live",
        at=NOW,
        change="command_accepted",
        command_id=command_id,
        command="register",
        sender="LACDHS",
        declared_version=1,
    )
    verdict = (await house.http.get(address, headers=key)).json()["verdicts"][0]
    assert (verdict["outcome"], verdict["declared_version"]) == ("accepted", 1)


async def test_nobody_reads_the_receipt_of_another_but_an_operator(house: House) -> None:
    mine = house.add("MAEU", "ocean_carrier", "push")
    receipt = (await house.http.post("/v1/events", json=OWN_EVENT, headers=mine)).json()["receipt"]
    other, operator = house.add("CMDU", "ocean_carrier", "push"), house.add("OPS", "operator", "operator")
    refused = await house.http.get(f"/v1/receipts/{receipt}", headers=other)
    made_up = await house.http.get("/v1/receipts/AAAA", headers=other)
    assert problem(refused, 404, "not-found")["detail"] == problem(made_up, 404, "not-found")["detail"]
    assert (await house.http.get(f"/v1/receipts/{receipt}", headers=operator)).status_code == 200


async def test_amending_says_which_version_it_saw(house: House) -> None:
    key = house.add("LACDHS", "buyer", "register")
    address = "/v1/consignments/LACDHS-0001"
    problem(await house.http.put(address, json=DECLARATION, headers=key), 428, "if-match-required")
    problem(await house.http.put(address, json=DECLARATION, headers=key | {"If-Match": "x"}), 400, "bad-header")
    assert (await house.http.put(address, json=DECLARATION, headers=key | {"If-Match": '"3"'})).status_code == 202
    assert house.kept()[0]["if_match"] == 3
    assert (await house.http.put(address, json=DECLARATION, headers=key | {"If-Match": "*"})).status_code == 202
    assert house.kept()[0]["if_match"] is None
    assert (await house.http.delete(address, headers=key)).status_code == 202
    assert house.kept()[0]["kind"] == "cancellation"


async def test_a_consignments_own_number_may_hold_a_slash(house: House) -> None:
    key = house.add("LACDHS", "buyer", "register") | {"If-Match": "*"}
    body = DECLARATION | {"consignment": "LACDHS-2020/17"}
    assert (await house.http.put("/v1/consignments/LACDHS-2020/17", json=body, headers=key)).status_code == 202


async def test_a_dock_may_count_with_a_push_key(house: House) -> None:
    key = house.add("H-HARBOR", "consignee", "push")
    body = {"occurred_at": "2020-04-12T00:00:00Z", "lines": [{"line": 1, "good": 5}]}
    response = await house.http.post("/v1/consignments/LACDHS-0001/dock-receipt", json=body, headers=key)
    assert response.status_code == 202, response.text
    assert house.kept()[0]["kind"] == "dock_receipt"


async def test_nothing_is_accepted_while_kafka_is_away(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push")
    house.log.down = True
    response = await house.http.post("/v1/events", json=OWN_EVENT, headers=key)
    problem(response, 503, "not-ready")
    assert int(response.headers["retry-after"]) >= 1
    assert (await house.http.get("/readyz")).status_code == 503
    assert (await house.http.get("/healthz")).status_code == 200


async def test_nothing_is_accepted_before_the_registers_are_read(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push")
    house.registers.ready = False
    problem(await house.http.post("/v1/events", json=OWN_EVENT, headers=key), 503, "not-ready")
    assert (await house.http.get("/readyz")).text == "the registers are not read yet\n"


async def test_a_body_past_its_limit_is_refused_while_it_streams_in(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push") | {"Content-Type": "application/octet-stream"}
    sent = 0

    async def chunks() -> Any:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b"x" * 1024 * 1024

    problem(await house.http.post("/v1/messages", content=chunks(), headers=key), 413, "too-large")
    big = b"x" * (5 * 1024 * 1024 + 1)
    problem(await house.http.post("/v1/messages", content=big, headers=key), 413, "too-large")
    bomb = gzip.compress(b" " * 30_000_000)
    problem(await house.http.post("/v1/messages", content=bomb, headers=key | {"Content-Encoding": "gzip"}), 413, "too-large")
    assert house.log.records == []
    assert house.door.budget._left == type(house.door.budget)()._left


async def test_unknown_types_and_encodings_are_refused(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push")
    for path, headers in (
        ("/v1/events", {"Content-Type": "text/csv"}),
        ("/v1/messages", {"Content-Type": "image/png"}),
        ("/v1/messages", {"Content-Encoding": "br"}),
    ):
        problem(await house.http.post(path, content=b"x", headers=key | headers), 415, "unsupported-media-type")


async def test_what_curl_says_of_any_body_says_nothing(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push") | {"Content-Type": "application/x-www-form-urlencoded"}
    for path, content in (("/v1/messages", b"ISA*no"), ("/v1/events", json.dumps(OWN_EVENT).encode())):
        assert (await house.http.post(path, content=content, headers=key)).status_code == 202


async def test_too_many_events_are_refused_as_a_whole(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push")
    many = [OWN_EVENT | {"occurred_at": f"2020-04-11T09:{n // 60 % 60:02}:{n % 60:02}Z"} for n in range(1001)]
    problem(await house.http.post("/v1/events", json=many, headers=key), 422, "too-many-events")
    assert house.log.records == []


async def test_a_sender_that_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    house = House(tmp_path, Limits(requests_s=1, burst_s=2))
    key = house.add("MAEU", "ocean_carrier", "push")
    answers = [await house.http.post("/v1/events", json=OWN_EVENT, headers=key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[-1].headers["retry-after"] == "1"
    house.clock.advance(2)
    assert (await house.http.post("/v1/events", json=OWN_EVENT, headers=key)).status_code == 202
    await house.http.aclose()


async def test_ticks_are_withheld_while_a_load_runs_and_the_last_one_is_marked(house: House) -> None:
    key = house.add("OPS", "operator", "operator")
    problem(await house.http.post("/v1/load/end", headers=key), 409, "load-state")
    begun = (await house.http.post("/v1/load/begin", headers=key)).json()["loading_since"]
    house.clock.advance(60)
    assert (await house.http.post("/v1/load/begin", headers=key)).json()["loading_since"] == begun
    assert house.log.records == []
    assert (await house.http.post("/v1/load/end", headers=key)).json() == {"loading_since": None}
    assert [partition for partition, *_ in house.log.records] == [0, 1, 2, 3]
    assert all(json.loads(value)["load"] for _, _, value, _ in house.log.records)


async def test_a_load_outlives_a_restart_of_the_door(house: House, tmp_path: Path) -> None:
    await house.ticker.begin_load()
    assert House(tmp_path).ticker.loading_since is not None


async def test_kafka_away_leaves_the_load_begun(house: House) -> None:
    key = house.add("OPS", "operator", "operator")
    await house.http.post("/v1/load/begin", headers=key)
    house.log.down = True
    problem(await house.http.post("/v1/load/end", headers=key), 503, "not-ready")
    assert house.ticker.loading_since is not None


async def test_addresses_and_methods_that_are_not_there_are_problems_too(house: House) -> None:
    problem(await house.http.get("/nowhere"), 404, "not-found")
    problem(await house.http.get("/v1/events"), 405, "method-not-allowed")


async def test_the_openapi_description_names_every_address(house: House) -> None:
    paths = (await house.http.get("/openapi.json")).json()["paths"]
    assert {"/v1/events", "/v1/messages", "/v2/dcsa/{token}/events", "/v1/consignments", "/v1/receipts/{receipt}"} <= set(paths)
    assert paths["/v1/events"]["post"]["responses"].keys() >= {"202", "401", "422", "503"}


async def test_the_page_of_the_addresses_needs_no_script(house: House) -> None:
    page = (await house.http.get("/docs")).text
    assert "POST /v1/events" in page
    assert "<script" not in page


async def test_the_metrics_name_routes_never_tokens(house: House) -> None:
    await house.http.post("/v2/dcsa/sometoken/events", content=b"[]")
    page = (await house.http.get("/metrics")).text
    assert 'route="dcsa",status="401"' in page
    assert "sometoken" not in page


async def test_a_key_expires(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push")
    key_id, account = list(house.registers.accounts.items())[-1]
    house.registers.accounts[key_id] = account.model_copy(update={"expires_at": NOW + timedelta(seconds=10)})
    assert (await house.http.post("/v1/events", json=OWN_EVENT, headers=key)).status_code == 202
    house.clock.advance(10)
    problem(await house.http.post("/v1/events", json=OWN_EVENT, headers=key), 401, "no-credential")


async def test_an_operator_brings_back_what_was_put_aside(house: House) -> None:
    key, operator = house.add("MAEU", "ocean_carrier", "push"), house.add("OPS", "operator", "operator")
    for _ in range(2):
        await house.http.post("/v1/events", json=OWN_EVENT, headers=key)
    address = "/v1/senders/MAEU/retry"
    problem(await house.http.post(address, json={"positions": [[0, 0]]}, headers=key), 403, "no-scope")
    problem(await house.http.post(address, json={"positions": [[0, 99]]}, headers=operator), 422, "invalid")
    problem(await house.http.post(address, json={"positions": [[0, -1]]}, headers=operator), 422, "invalid")
    problem(await house.http.post("/v1/senders/x/retry", json={"positions": []}, headers=operator), 404, "not-found")
    house.clock.advance(60)
    answer = await house.http.post(address, json={"positions": [[0, 0], [0, 1]]}, headers=operator)
    assert answer.json() == {"sender": "MAEU", "retried": 1}
    assert house.kept(-2)[0]["kind"] == "action"
    meta, content = house.kept()
    assert (json.loads(content), meta["kind"]) == (OWN_EVENT, "message")


async def test_records_with_equal_bytes_are_all_brought_back_but_no_copy_of_one(house: House) -> None:
    house.add("LACDHS", "buyer")
    operator = house.add("OPS", "operator", "operator")
    at = NOW.replace(microsecond=0)

    def cancelled(**more: Any) -> RawMessage:
        said = {"kind": "cancellation", "sender": "LACDHS", "sha256": hashlib.sha256(b"").hexdigest(), "received_at": at}
        return RawMessage.model_validate(said | more)

    distinct = [
        cancelled(consignment="LACDHS-1"),
        cancelled(consignment="LACDHS-2"),
        cancelled(consignment="LACDHS-2", if_match=3),
        cancelled(consignment="LACDHS-2", kind="amendment"),
        cancelled(kind="message", standard="dcsa.2.2"),
        cancelled(kind="message", standard="lovla.1"),
        cancelled(consignment="LACDHS-1", received_at=at - timedelta(seconds=1)),
    ]
    first = distinct[0].model_copy(update={"received_at": None})  # as it came; the one above is its copy of an earlier retry
    for meta in (first, *distinct):
        await house.log.append(b"LACDHS", b"", raw_headers(meta))
    positions = [[0, offset] for offset in range(len(distinct) + 1)]
    answer = await house.http.post("/v1/senders/LACDHS/retry", json={"positions": positions}, headers=operator)
    assert answer.json() == {"sender": "LACDHS", "retried": len(distinct)}
    assert [house.kept(index)[0] for index in range(-len(distinct), 0)] == [meta.model_dump() for meta in distinct]


async def test_a_body_that_comes_too_slowly_gives_its_room_back(tmp_path: Path) -> None:
    house = House(tmp_path, Limits(body_s=0.05))
    path, names = house.add_callback("MAEU", "s" * 32)
    key = house.add("MAEU", "ocean_carrier", "push")

    async def chunks() -> Any:
        yield b"x" * 1024
        await asyncio.Event().wait()

    for address, headers in (("/v1/events", key | {"Content-Type": "application/json"}), (path, names)):
        response = await house.http.post(address, content=chunks(), headers=headers)
        problem(response, 408, "too-slow")
        assert response.headers["connection"] == "close"
    assert house.log.records == []
    house.door.budget.take("MAEU", SHARE_BYTES)
    await house.http.aclose()


async def test_one_senders_bodies_leave_room_for_the_others(house: House) -> None:
    slow, other = house.add("MAEU", "ocean_carrier", "push"), house.add("CMDU", "ocean_carrier", "push")
    house.door.budget.take("MAEU", SHARE_BYTES)
    response = await house.http.post("/v1/events", json=OWN_EVENT, headers=slow)
    problem(response, 429, "too-many-requests")
    assert response.headers["retry-after"] == "1"
    assert (await house.http.post("/v1/events", json=OWN_EVENT, headers=other)).status_code == 202
    house.door.budget.give_back("MAEU", SHARE_BYTES)
    assert (await house.http.post("/v1/events", json=OWN_EVENT, headers=slow)).status_code == 202


def test_all_bodies_together_have_a_limit_too() -> None:
    budget = Budget(total_bytes=3, share_bytes=2)
    budget.take("A", 2)
    with pytest.raises(Problem) as refused:
        budget.take("B", 2)
    assert refused.value.status == 503
