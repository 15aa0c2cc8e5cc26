"""A webhook's receiver asks for what it missed: who may, for what, and what comes."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.partitioner import murmur2 as theirs
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts_v1 import Subscription
from services.alerts.replay import BadCursor, Message, Page, murmur2, offset_of
from services.alerts.wanted import Wanted
from tests.unit.alerts.subscribers import NOW, House


@pytest.fixture
def house() -> House:
    return House()


def a_hook(house: House) -> Subscription:
    wanted = Wanted.model_validate({"channel": "webhook", "address": "https://hospital.example/hook"})
    return house.store.confirm(house.store.add(wanted, "LACDHS", house.said()).subscription, house.said())


def test_the_owner_of_a_webhook_is_told_again_what_it_missed_from_where_it_asks(house: House) -> None:
    asked: list[dict[str, Any]] = []

    def replay(subscription: Subscription, secret: str, now: Any, **told: Any) -> Page:
        asked.append({"name": subscription.subscription, "secret": secret, **told})
        return Page((Message({"webhook-id": "msg_1"}, "{}"),), "n1-7", True)

    house.door.replay = replay
    hook, key = a_hook(house), house.key("LACDHS", "alerts")
    path = f"/v1/subscriptions/{hook.subscription}/messages"
    answer = house.http("GET", f"{path}?since=2020-04-12T08:20:05Z&limit=2", headers=key)
    assert answer.json() == {"messages": [{"headers": {"webhook-id": "msg_1"}, "body": "{}"}], "next": "n1-7", "more": True}
    assert house.http("GET", f"{path}?after=n1-7", headers=key).status_code == 200
    secret = house.store.links.webhook_secret(hook.subscription)
    assert asked == [
        {"name": hook.subscription, "secret": secret, "after": None, "since": NOW, "limit": 2},
        {"name": hook.subscription, "secret": secret, "after": "n1-7", "since": None, "limit": 100},
    ]


def test_others_and_who_is_not_active_and_who_is_no_webhook_are_told_nothing(house: House) -> None:
    house.door.replay = lambda *_, **__: pytest.fail("nobody may be told")
    hook, mail = a_hook(house), house.subscribed()
    own, other = house.key("LACDHS", "alerts"), house.key("OTHER", "alerts")

    def status(name: str, key: dict[str, str], query: str = "") -> int:
        return house.http("GET", f"/v1/subscriptions/{name}/messages{query}", headers=key).status_code

    assert status(hook.subscription, other) == 404
    assert status(mail.subscription, own) == 422
    assert status(hook.subscription, own, "?since=yesterday") == 400
    assert status(hook.subscription, own, "?limit=501") == 400
    house.clock.advance(60)
    house.store.pause(hook.subscription, house.said())
    assert status(hook.subscription, own) == 422


@pytest.mark.parametrize("text", ["", "7", "n1-", "n1--1", "n1-7 ", "n2-7"])
def test_a_cursor_is_what_an_answer_gave(text: str) -> None:
    assert offset_of("n1-7") == 7
    with pytest.raises(BadCursor):
        offset_of(text)


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_a_key_lies_where_every_client_puts_it(key: bytes) -> None:
    assert murmur2(key) == theirs(key) & 0xFFFFFFFF
