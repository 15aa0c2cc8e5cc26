"""The client of a door says what it waits for."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from services.runtime.client import Client, Refused
from services.runtime.clock import ManualClock

BEGAN = datetime(2026, 11, 20, 18, tzinfo=UTC)
AWAY = {"title": "Not ready", "detail": "Kafka does not answer."}


class Door:
    """Answers what it is told to, each time after `took_s`; who waits for it makes the time pass."""

    def __init__(self, *answers: httpx.Response, took_s: float = 4.0) -> None:
        self.clock, self.said, self.answers, self.took_s = ManualClock(BEGAN), list[str](), list(answers), took_s

    def client(self) -> Client:
        def respond(_: httpx.Request) -> httpx.Response:
            self.clock.advance(self.took_s)
            return self.answers.pop(0)

        return Client(
            "http://door.test",
            None,
            transport=httpx.MockTransport(respond),
            sleep=self.clock.advance,
            note=self.said.append,
            clock=self.clock,
        )


def away(wait_s: str = "5") -> httpx.Response:
    return httpx.Response(503, json=AWAY, headers={"Retry-After": wait_s})


def test_it_says_what_it_waits_for_and_until_when() -> None:
    door = Door(*(away() for _ in range(6)))
    with door.client() as client, pytest.raises(Refused, match="Kafka does not answer"):
        client.send("POST", "/v1/messages", b"x")
    ends = f"{door.clock.now().astimezone():%H:%M:%S}"
    assert door.said[0] == f"Not ready: Kafka does not answer. Asking again in 5 s, up to 5 times more, until {ends} or so."
    assert [text.partition(", ")[2] for text in door.said[1:]] == [
        *(f"up to {left} times more, until {ends} or so." for left in (4, 3, 2)),
        f"once more, until {ends} or so.",
    ]


def test_it_goes_on_when_the_door_is_back_and_a_moments_wait_is_no_news() -> None:
    door = Door(
        httpx.Response(429, json=AWAY, headers={"Retry-After": "1"}), away("2"), httpx.Response(202, json={"receipt": "r"})
    )
    with door.client() as client:
        assert client.send("POST", "/v1/messages", b"x") == {"receipt": "r"}
    assert len(door.said) == 1 and "Asking again in 2 s" in door.said[0]
