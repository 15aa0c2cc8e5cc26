"""Pushing messages through the HTTP API: many at once, patient where the door asks for it, loud where it refuses."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from demo.messages import Message
from schemas.base import rfc3339

AT_ONCE = 12
"""Requests under way: enough to keep one door busy on two cores that it shares with Kafka and ClickHouse."""
TRIES = 8
MOST_PATIENCE_S = 10.0
ANSWER_S = 60.0


class Refused(Exception):
    """The door said no to a message that must go in; the text is its answer."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A DCSA publisher's subscription at our door."""

    path: str
    subscription_id: str
    secret: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the door said. `headers`: their names in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class Door(Protocol):
    """What is pushed at: `Lines`, or functions in tests."""

    async def ask(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST. Raises OSError, EOFError if there is no answer."""
        ...

    async def close(self) -> None: ...


class Lines:
    """HTTP/1.1 over lines that are kept open, to a door of ours: it says how long each answer is.

    httpx, which does it for all the world, takes fifteen times the CPU: thousands of requests are ten seconds.
    """

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        assert parts.scheme == "http" and parts.hostname is not None
        self._host, self._port = parts.hostname, parts.port or 80
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def close(self) -> None:
        for _, writer in self._free:
            writer.close()
        self._free.clear()

    async def ask(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await self._line()
            try:
                told = {"Host": f"{self._host}:{self._port}", "Content-Length": str(len(body))} | dict(headers)
                lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
                writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
                await writer.drain()
                answer = await _read(reader)
            except BaseException:
                writer.close()
                raise
        if answer.headers.get("connection") == "close":
            writer.close()
        else:
            self._free.append((reader, writer))
        return answer

    async def _line(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """One that the door has not ended meanwhile, else a new one."""
        while self._free:
            reader, writer = self._free.pop()
            if not reader.at_eof() and reader.exception() is None:
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)


async def _read(reader: asyncio.StreamReader) -> Answer:
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Answer(int(status.split()[1]), headers, await reader.readexactly(int(headers.get("content-length", "0"))))


class Pusher:
    """Sends messages under their senders' keys. `backfill`: each goes with the time at which it was received."""

    def __init__(
        self,
        base_url: str,
        keys: Mapping[str, str],
        callbacks: Mapping[str, Callback] | None = None,
        door: Door | None = None,
    ) -> None:
        self._keys, self._callbacks = keys, callbacks or {}
        self._base_url, self._door = base_url, door or Lines(base_url)

    async def close(self) -> None:
        await self._door.close()

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
        answer = await self._send(path, message.body, headers)
        if answer.status not in (202, 204):
            raise Refused(
                f"{message.sender} {message.path} of {message.received_at:%Y-%m-%d %H:%M}Z: {answer.status} {answer.text[:800]}"
            )
        if message.says and answer.status == 202 and (rejected := _rejected(json.loads(answer.body))):
            raise Refused(f"{message.sender} {message.path} of {message.received_at:%Y-%m-%d %H:%M}Z: {rejected}")

    async def operate(self, path: str, operator: str) -> None:
        """An operator's POST without a body (load begin, load end). Raises Refused."""
        answer = await self._send(path, b"", {"Authorization": f"Bearer {self._keys[operator]}"})
        if not 200 <= answer.status < 300:
            raise Refused(f"{path}: {answer.status} {answer.text[:800]}")

    async def _send(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        for left in reversed(range(TRIES)):
            try:
                answer = await self._door.ask(path, body, headers)
            except (OSError, EOFError) as error:
                if left == 0:
                    raise Refused(f"no answer from {self._base_url} ({error!r}); see `lovla status`") from error
                await asyncio.sleep(1.0)
                continue
            if answer.status not in (429, 503) or left == 0:
                return answer
            await asyncio.sleep(min(MOST_PATIENCE_S, float(answer.headers.get("retry-after", "1"))))
        raise AssertionError("the last try returns or raises")


def _rejected(answer: Mapping[str, Any]) -> str:
    """What the door's verdicts say of the first statement that it could not read; empty if all were read."""
    if not answer.get("rejected"):
        return ""
    return str(next(verdict for verdict in answer["verdicts"] if verdict.get("outcome") == "rejected"))[:600]
