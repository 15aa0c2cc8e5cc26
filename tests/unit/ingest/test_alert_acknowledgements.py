"""Taking care of an alert: through the way in, by an operator, or by the alerts' door for its subscribers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from schemas.alerts_v1 import Acknowledgement
from services.alerts.way_in import WayIn, WayInAway
from services.runtime import inside
from services.runtime.settings import Settings
from tests.unit.ingest.fakes import NOW, SECRET_KEY, House
from tests.unit.ingest.test_api import problem

WHERE = "/v1/acknowledgements"
BODY = {"subscription": "s" * 16, "notification": "ab" * 16, "source": "console"}
ALERTS = {"Authorization": inside.bearer(SECRET_KEY, "alerts")}


async def test_an_operator_takes_care_and_the_record_says_who_and_when(house: House) -> None:
    key = house.add("OPS", "operator", "operator") | {"Lovla-Recorded-By": "Ana at the night desk"}
    answer = await house.http.post(WHERE, json=BODY, headers=key)
    assert answer.status_code == 202
    (said,) = house.acknowledgements.said
    assert said == Acknowledgement.model_validate(BODY | {"at": NOW, "by": "OPS Ana at the night desk"})
    assert answer.json()["by"] == said.by


async def test_the_alerts_door_speaks_for_subscribers_and_proves_that_it_is_the_alerts_door(house: House) -> None:
    body = {"subscription": "s" * 16, "code": "4711", "source": "sms"}
    assert (await house.http.post(WHERE, json=body, headers=ALERTS)).status_code == 202
    (said,) = house.acknowledgements.said
    assert (said.by, said.code, said.source) == ("subscriber", "4711", "sms")
    for service, secret in (("console", SECRET_KEY), ("alerts", b"another"), ("alerts", b"")):
        wrong = {"Authorization": inside.bearer(secret, service)}
        problem(await house.http.post(WHERE, json=body, headers=wrong), 401, "no-credential")
    problem(await house.http.post("/v1/events", json=[], headers=ALERTS), 401, "no-credential")
    assert len(house.acknowledgements.said) == 1


def test_without_a_secret_key_nobody_is_a_service() -> None:
    assert not inside.is_service(b"", "alerts", inside.bearer(b"", "alerts"))


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"subscription": "../x"}, "/subscription"),
        ({"code": "47 11"}, "/code"),
        ({"notification": "x"}, "/notification"),
        ({"by": "somebody else"}, "/by"),
        ({"at": "2020-01-01T00:00:00Z"}, "/at"),
    ],
)
async def test_who_and_when_are_not_for_the_body_to_say_and_what_is_wrong_is_named(
    house: House, wrong: dict[str, str], where: str
) -> None:
    key = house.add("OPS", "operator", "operator")
    answer = await house.http.post(WHERE, json=BODY | wrong, headers=key)
    assert problem(answer, 422, "invalid")["errors"][0]["where"] == where
    assert house.acknowledgements.said == []


async def test_what_kafka_did_not_take_is_to_be_said_again(house: House) -> None:
    house.acknowledgements.away = True
    answer = await house.http.post(WHERE, json=BODY, headers=ALERTS)
    problem(answer, 503, "not-ready")
    assert answer.headers["retry-after"]


def way_in(answer: Callable[[httpx.Request], httpx.Response]) -> WayIn:
    return WayIn(Settings.model_validate({"kafka": "-", "secret_key": SECRET_KEY.decode()}), httpx.MockTransport(answer))


def test_the_alerts_door_tells_the_way_in_what_was_said_and_nothing_of_who_or_when() -> None:
    heard: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return httpx.Response(202)

    said = Acknowledgement.model_validate({"subscription": "s" * 16, "code": "4711", "source": "sms", "at": NOW})
    way_in(answer).acknowledge(said)
    (request,) = heard
    assert request.url.path == WHERE
    assert request.headers["authorization"] == ALERTS["Authorization"]
    assert httpx.Response(200, content=request.content).json() == {
        "subscription": "s" * 16,
        "code": "4711",
        "source": "sms",
    }


@pytest.mark.parametrize("status", [503, 401, 500])
def test_a_way_in_that_does_not_take_it_is_an_error_so_that_it_is_said_again(status: int) -> None:
    said = Acknowledgement.model_validate({"subscription": "s" * 16, "at": NOW})
    with pytest.raises(WayInAway):
        way_in(lambda _: httpx.Response(status)).acknowledge(said)

    def broken(_: httpx.Request) -> Any:
        raise httpx.ConnectError("nobody is there")

    with pytest.raises(WayInAway):
        way_in(broken).acknowledge(said)
