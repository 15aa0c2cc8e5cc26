"""The pusher at a door made of functions: keys, times, signatures, patience."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from demo.messages import Message
from demo.push import Callback, Pusher, Refused

AT = datetime(2020, 4, 1, 12, tzinfo=UTC)
MESSAGE = Message("MAEU", AT, "/v1/messages", "application/json", "dcsa.2.2", b"[{}]")
TAKEN = {"receipt": "r", "accepted": 1, "rejected": 0, "verdicts": []}


def pusher(door: Callable[[httpx.Request], httpx.Response]) -> Pusher:
    callbacks = {"ONEY": Callback("/v2/dcsa/token/events", "sub", "s3cret")}
    return Pusher("http://door", {"MAEU": "k1", "ONEY": "k2", "OPS": "k3"}, callbacks, httpx.MockTransport(door))


async def test_history_goes_by_key_and_says_when_it_was_received() -> None:
    asked: list[httpx.Request] = []

    def door(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(202, json=TAKEN)

    await pusher(door).push_all([MESSAGE, MESSAGE], backfill=True)
    assert len(asked) == 2
    assert asked[0].headers["Authorization"] == "Bearer k1"
    assert asked[0].headers["Lovla-Received-At"] == "2020-04-01T12:00:00Z"
    assert asked[0].content == MESSAGE.body


async def test_a_publisher_with_a_callback_signs_the_exact_bytes_once_live() -> None:
    asked: list[httpx.Request] = []

    def door(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(204)

    live = Message("ONEY", AT, "/v1/messages", "application/json", "dcsa.2.2", b"[ ]")
    await pusher(door).push(live, backfill=False)
    assert asked[0].url.path == "/v2/dcsa/token/events"
    assert asked[0].headers["Notification-Signature"] == "sha256=" + hmac.new(b"s3cret", b"[ ]", hashlib.sha256).hexdigest()
    assert "Authorization" not in asked[0].headers


async def test_it_waits_where_the_door_asks_for_it() -> None:
    answers = [httpx.Response(503, headers={"Retry-After": "0"}), httpx.Response(429, headers={"Retry-After": "0"})]

    def door(request: httpx.Request) -> httpx.Response:
        return answers.pop() if answers else httpx.Response(202, json=TAKEN)

    await pusher(door).push(MESSAGE, backfill=True)
    assert not answers


async def test_a_refusal_says_whose_message_and_why() -> None:
    def door(request: httpx.Request) -> httpx.Response:
        return httpx.Response(422, json={"title": "not so"})

    with pytest.raises(Refused, match=r"MAEU .* 422 .*not so"):
        await pusher(door).push(MESSAGE, backfill=True)
