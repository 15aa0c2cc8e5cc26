"""Pushing messages through the HTTP API: many at once, patient where the door asks for it, loud where it refuses."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from demo.messages import Message
from schemas.base import rfc3339

AT_ONCE = 12
"""Requests under way: enough to keep one door busy on two cores that it shares with Kafka and ClickHouse."""
TRIES = 8
MOST_PATIENCE_S = 10.0


class Refused(Exception):
    """The door said no to a message that must go in; the text is its answer."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A DCSA publisher's subscription at our door."""

    path: str
    subscription_id: str
    secret: str


class Pusher:
    """Sends messages under their senders' keys. `backfill`: each goes with the time at which it was received."""

    def __init__(
        self,
        base_url: str,
        keys: Mapping[str, str],
        callbacks: Mapping[str, Callback] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._keys, self._callbacks = keys, callbacks or {}
        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        self._http = httpx.AsyncClient(base_url=base_url, timeout=60.0, limits=limits, trust_env=False, transport=transport)

    async def close(self) -> None:
        await self._http.aclose()

    async def push_all(
        self, messages: Iterable[Message], *, backfill: bool, done: Callable[[Message], None] = lambda message: None
    ) -> None:
        """Sends all, at most AT_ONCE under way, begun in the order given. Raises Refused at the first that is not taken."""
        waiting = iter(messages)

        async def worker() -> None:
            for message in waiting:
                await self.push(message, backfill=backfill)
                done(message)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(worker())

    async def push(self, message: Message, *, backfill: bool) -> None:
        """Sends one; waits and tries again on 429, 503 and broken connections. Raises Refused."""
        callback = None if backfill else self._callbacks.get(message.sender)
        headers = {"Content-Type": message.content_type}
        path = message.path
        if callback is not None and message.standard == "dcsa.2.2":
            path = callback.path
            signature = hmac.new(callback.secret.encode(), message.body, hashlib.sha256).hexdigest()
            headers |= {"Subscription-ID": callback.subscription_id, "Notification-Signature": f"sha256={signature}"}
        else:
            headers["Authorization"] = f"Bearer {self._keys[message.sender]}"
        if backfill:
            headers["Lovla-Received-At"] = rfc3339(message.received_at)
        answer = await self._send("POST", path, message.body, headers)
        if answer.status_code not in (202, 204):
            raise Refused(
                f"{message.sender} {message.path} of {message.received_at:%Y-%m-%d %H:%M}Z:"
                f" {answer.status_code} {answer.text[:800]}"
            )
        if message.says and answer.status_code == 202 and (rejected := _rejected(answer.json())):
            raise Refused(f"{message.sender} {message.path} of {message.received_at:%Y-%m-%d %H:%M}Z: {rejected}")

    async def operate(self, path: str, operator: str) -> None:
        """An operator's POST without a body (load begin, load end). Raises Refused."""
        answer = await self._send("POST", path, b"", {"Authorization": f"Bearer {self._keys[operator]}"})
        if not answer.is_success:
            raise Refused(f"{path}: {answer.status_code} {answer.text[:800]}")

    async def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        for left in reversed(range(TRIES)):
            try:
                answer = await self._http.request(method, path, content=body, headers=dict(headers))
            except httpx.TransportError as error:
                if left == 0:
                    raise Refused(f"no answer from {self._http.base_url} ({error!r}); see `lovla status`") from error
                await asyncio.sleep(1.0)
                continue
            if answer.status_code not in (429, 503) or left == 0:
                return answer
            await asyncio.sleep(min(MOST_PATIENCE_S, float(answer.headers.get("Retry-After", "1"))))
        raise AssertionError("the last try returns or raises")


def _rejected(answer: Mapping[str, Any]) -> str:
    """What the door's verdicts say of the first statement that it could not read; empty if all were read."""
    if not answer.get("rejected"):
        return ""
    return str(next(verdict for verdict in answer["verdicts"] if verdict.get("outcome") == "rejected"))[:600]
