"""Where a webhook may lead once its name is resolved: the resolver is told what to answer, the network what was asked of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpcore
import pytest

from services.alerts.attempts import Answer
from services.alerts.providers_webhook import WebhookClient

PUBLIC, ALSO_PUBLIC = "93.184.216.34", "2606:4700:4700::1111"


@dataclass
class Network:
    """Answers each question for a name with the next of `answers`, then with the last; connects to nobody."""

    answers: list[tuple[str, ...]]
    asked: int = 0
    connected: list[str] = field(default_factory=list)

    async def resolve(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in answer]

    async def connect(self, host: str, *_: object) -> httpcore.AsyncNetworkStream:
        self.connected.append(host)
        raise httpcore.ConnectError("nobody is there")


async def posted(network: Network, monkeypatch: pytest.MonkeyPatch, times: int = 1) -> list[Answer]:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", network.resolve)
    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", network.connect)
    client = WebhookClient(5)
    try:
        return [await client.post("https://hook.example/in", {}, b"{}") for _ in range(times)]
    finally:
        await client.close()


def said(answers: Iterable[Answer]) -> list[tuple[str, str]]:
    return [(one.kind, one.reason) for one in answers]


@pytest.mark.parametrize(
    "inside",
    [
        *("127.0.0.1", "10.0.0.7", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
        *("::1", "fd00::1", "fe80::1%eth0", "::ffff:10.0.0.7", "64:ff9b::a00:7", "2002:a00:7::1"),
    ],
)
async def test_a_name_with_one_address_inside_is_refused_whatever_else_it_has(
    inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for answer in ((PUBLIC, inside), (inside, ALSO_PUBLIC), (inside,)):
        network = Network([answer])
        assert said(await posted(network, monkeypatch)) == [("refused", "not_public")]
        assert network.connected == []


async def test_the_connection_goes_to_the_very_address_that_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network([(PUBLIC, ALSO_PUBLIC), ("127.0.0.1",)])
    assert said(await posted(network, monkeypatch)) == [("later", "not_reached")]
    assert network.connected == [PUBLIC, ALSO_PUBLIC], "by number: nobody asks for the name again"
    assert network.asked == 1


async def test_a_name_that_leads_inside_the_second_time_is_never_connected_to_there(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network([(PUBLIC,), ("127.0.0.1",)])
    assert said(await posted(network, monkeypatch, times=2)) == [("later", "not_reached"), ("refused", "not_public")]
    assert network.connected == [PUBLIC]
