"""What people do about consignments: through the way in, with an operator's key, with who and when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from schemas.base import rfc3339
from schemas.work_act_v1 import ACTS, WorkAct
from tests.unit.ingest.fakes import NOW, House
from tests.unit.ingest.test_api import problem

WHERE = "/v1/work-acts"
LATER = rfc3339(NOW + timedelta(hours=6))
BODY: list[dict[str, Any]] = [
    {"act": "acknowledge", "consignment": "LACDHS-0001", "exceptions": ["late:arrived"]},
    {"act": "assign", "consignment": "LACDHS-0001", "assignee": "ben"},
    {"act": "snooze", "consignment": "LACDHS-0002", "exceptions": ["silent"], "until": LATER},
    {"act": "note", "consignment": "LACDHS-0002", "text": "<script>1</script> called"},
    {"act": "undo", "consignment": "LACDHS-0002", "undoes": "ab" * 16},
]


def operator(house: House, **more: str) -> dict[str, str]:
    return house.add("OPS", "operator", "operator") | {"Lovla-Recorded-By": "ana"} | more


async def test_each_act_is_a_record_that_says_who_and_when(house: House) -> None:
    answer = await house.http.post(WHERE, json=BODY, headers=operator(house))
    assert answer.status_code == 202
    assert [act.act for act in house.work_acts.done] == list(ACTS)
    assert {(act.by, act.sender, act.at) for act in house.work_acts.done} == {("ana", "OPS", NOW)}
    assert len({act.act_id for act in house.work_acts.done}) == len(BODY)
    assert [WorkAct.model_validate(one) for one in answer.json()["acts"]] == house.work_acts.done


async def test_the_same_request_again_is_the_same_acts_also_after_a_restart_of_the_door(house: House) -> None:
    key = operator(house, **{"Idempotency-Key": "form-1"})
    first = await house.http.post(WHERE, json=BODY, headers=key)
    assert (await house.http.post(WHERE, json=BODY, headers=key)).json() == first.json()
    assert len(house.work_acts.done) == len(BODY)
    house.door.idempotency = type(house.door.idempotency)()  # what a restart forgets
    assert (await house.http.post(WHERE, json=BODY, headers=key)).json() == first.json()
    assert len({act.act_id for act in house.work_acts.done}) == len(BODY)
    other = await house.http.post(WHERE, json=BODY, headers=key | {"Idempotency-Key": "form-2"})
    assert other.json() != first.json()


@pytest.mark.parametrize(
    "body",
    [
        [{"act": "archive", "consignment": "LACDHS-0001"}] * 2_000,
        [{"consignment": "A-1", "exceptions": [0] * 5_000}],
        [{f"member {n}": n for n in range(1_001)}],
    ],
)
async def test_a_body_of_very_many_wrong_things_is_one_complaint(house: House, body: Any) -> None:
    answer = await house.http.post(WHERE, json=body, headers=operator(house))
    told = problem(answer, 422, "invalid")
    assert [one["code"] for one in told["errors"]] == ["too_long"]
    assert house.work_acts.done == []


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"act": "archive"}, "/0/act"),
        ({"consignment": "nobody's"}, "/0/consignment"),
        ({"act": "snooze", "until": rfc3339(NOW)}, "/0/until"),
        ({"act": "snooze", "until": rfc3339(NOW + timedelta(days=91))}, "/0/until"),
        ({"act": "note", "text": ""}, "/0/text"),
        ({"act": "note", "text": "x" * 501}, "/0/text"),
        ({"by": "somebody else"}, "/0/by"),
        ({"at": rfc3339(NOW)}, "/0/at"),
        ({"act": "assign"}, ""),
        ({"exceptions": []}, "/0"),
        ({"act": "snooze", "exceptions": [], "until": LATER}, "/0"),
        ({"text": "not of an acknowledgement"}, ""),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_done(house: House, wrong: dict[str, str], where: str) -> None:
    answer = await house.http.post(WHERE, json=[BODY[0] | wrong], headers=operator(house))
    assert problem(answer, 422, "invalid")["errors"][0]["where"] == where
    assert house.work_acts.done == []


async def test_only_an_operator_may_and_says_for_whom(house: House) -> None:
    buyer = house.add("LACDHS", "buyer", "register") | {"Lovla-Recorded-By": "ana"}
    problem(await house.http.post(WHERE, json=BODY, headers=buyer), 403, "no-scope")
    nobody = house.add("OPS", "operator", "operator")
    problem(await house.http.post(WHERE, json=BODY, headers=nobody), 400, "bad-header")
    problem(await house.http.post(WHERE, json=[], headers=operator(house)), 422, "invalid")
    sandbox = house.add("TRY", "operator", "operator", "sandbox") | {"Lovla-Recorded-By": "ana"}
    problem(await house.http.post(WHERE, json=BODY, headers=sandbox), 403, "no-scope")
    assert house.work_acts.done == []


async def test_what_kafka_did_not_take_is_to_be_said_again(house: House) -> None:
    house.work_acts.away = True
    key = operator(house, **{"Idempotency-Key": "form-1"})
    problem(await house.http.post(WHERE, json=BODY, headers=key), 503, "not-ready")
    house.work_acts.away = False
    assert (await house.http.post(WHERE, json=BODY, headers=key)).status_code == 202
