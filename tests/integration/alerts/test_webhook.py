"""Webhooks over a real HTTP server: only where they may go, no further, and never twice as two different messages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from fastapi import FastAPI, Request, Response

from services.alerts.channels import WebhookChannel
from services.alerts.links import Links
from services.alerts.providers_webhook import WebhookClient
from services.alerts.webhook import signature
from services.runtime.clock import SystemClock
from tests.integration.alerts.delivering import a_notification, a_subscription
from tests.integration.alerts.mail import serving

LINKS = Links(b"secret", "https://alerts.example")
LOOPBACK = "127.0.0.0/8"


@dataclass
class Receiver:
    """A subscriber's server, and what it was sent."""

    url: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        async def hook(request: Request) -> Response:
            self.got.append((dict(request.headers), await request.body()))
            return Response("thanks")

        async def away(request: Request) -> Response:
            return Response(status_code=307, headers={"location": f"{self.url}/hook"})

        async def slow(request: Request) -> Response:
            await asyncio.sleep(3)
            return Response("late")

        for path, endpoint in (("/hook", hook), ("/away", away), ("/slow", slow)):
            app.add_api_route(path, endpoint, methods=["POST"], response_model=None)
        return app


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    with serving(found.app()) as url:
        found.url = url
        yield found


async def test_a_webhook_is_signed_so_that_its_receiver_can_prove_it(receiver: Receiver) -> None:
    receiver.got.clear()
    hook = a_subscription("hook", f"{receiver.url}/hook", "webhook")
    late = a_notification(hook, "A-1")
    channel = WebhookChannel(WebhookClient(5, LOOPBACK), LINKS, SystemClock())
    for _ in range(2):
        assert (await channel.send(channel.pack(late, hook), late)).kind == "accepted"
    await channel.close()
    (first, content), (second, again) = receiver.got
    assert content == again and first["webhook-id"] == second["webhook-id"]
    secret = LINKS.webhook_secret(hook.subscription)
    expected = signature(secret, first["webhook-id"], int(first["webhook-timestamp"]), content)
    assert first["webhook-signature"] == expected


async def test_nothing_inside_is_reached_by_number_or_by_name(receiver: Receiver) -> None:
    receiver.got.clear()
    client = WebhookClient(5)
    port = receiver.url.rpartition(":")[2]
    for url in (f"https://127.0.0.1:{port}/hook", f"https://localhost:{port}/hook", f"https://[::1]:{port}/hook"):
        answer = await client.post(url, {}, b"{}")
        assert (answer.kind, answer.reason) == ("refused", "not_public"), url
    plain = await client.post(f"{receiver.url}/hook", {}, b"{}")
    assert (plain.kind, plain.reason) == ("refused", "not_https")
    await client.close()
    assert receiver.got == []


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.got.clear()
    client = WebhookClient(5, LOOPBACK)
    answer = await client.post(f"{receiver.url}/away", {}, b"{}")
    await client.close()
    assert (answer.kind, answer.reason) == ("later", "redirects") and receiver.got == []


async def test_a_receiver_that_hangs_or_is_away(receiver: Receiver) -> None:
    client = WebhookClient(0.5, LOOPBACK)
    hanging = await client.post(f"{receiver.url}/slow", {}, b"{}")
    nobody = await client.post("http://127.0.0.1:9/hook", {}, b"{}")
    await client.close()
    assert (hanging.kind, hanging.reason) == ("unknown", "timeout")
    assert (nobody.kind, nobody.reason) == ("later", "not_reached")
