"""The pusher at a door made of functions: keys, times, signatures, patience; and its lines to a real one."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from demo.messages import Message
from demo.push import Answer, Callback, Lines, Pusher, Refused

AT = datetime(2020, 4, 1, 12, tzinfo=UTC)
MESSAGE = Message("MAEU", AT, "/v1/messages", "application/json", "dcsa.2.2", b"[{}]")
TAKEN = Answer(202, {}, json.dumps({"receipt": "r", "accepted": 1, "rejected": 0, "verdicts": []}).encode())


@dataclass(frozen=True)
class Request:
    path: str
    body: bytes
    headers: Mapping[str, str]


class Door:
    def __init__(self, judge: Callable[[Request], Answer]) -> None:
        self.judge = judge

    async def ask(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        return self.judge(Request(path, body, headers))

    async def close(self) -> None:
        pass


def pusher(door: Callable[[Request], Answer]) -> Pusher:
    callbacks = {"ONEY": Callback("/v2/dcsa/token/events", "sub", "s3cret")}
    return Pusher("http://door", {"MAEU": "k1", "ONEY": "k2", "OPS": "k3"}, callbacks, Door(door))


async def test_history_goes_by_key_and_says_when_it_was_received() -> None:
    asked: list[Request] = []

    def door(request: Request) -> Answer:
        asked.append(request)
        return TAKEN

    await pusher(door).push_all([MESSAGE, MESSAGE], backfill=True)
    assert len(asked) == 2
    assert asked[0].headers["Authorization"] == "Bearer k1"
    assert asked[0].headers["Lovla-Received-At"] == "2020-04-01T12:00:00Z"
    assert asked[0].body == MESSAGE.body


async def test_a_publisher_with_a_callback_signs_the_exact_bytes_once_live() -> None:
    asked: list[Request] = []

    def door(request: Request) -> Answer:
        asked.append(request)
        return Answer(204)

    live = Message("ONEY", AT, "/v1/messages", "application/json", "dcsa.2.2", b"[ ]")
    await pusher(door).push(live, backfill=False)
    assert asked[0].path == "/v2/dcsa/token/events"
    assert asked[0].headers["Notification-Signature"] == "sha256=" + hmac.new(b"s3cret", b"[ ]", hashlib.sha256).hexdigest()
    assert "Authorization" not in asked[0].headers


async def test_it_waits_where_the_door_asks_for_it() -> None:
    answers = [Answer(503, {"retry-after": "0"}), Answer(429, {"retry-after": "0"})]

    def door(request: Request) -> Answer:
        return answers.pop() if answers else TAKEN

    await pusher(door).push(MESSAGE, backfill=True)
    assert not answers


async def test_a_refusal_says_whose_message_and_why() -> None:
    def door(request: Request) -> Answer:
        return Answer(422, {}, b'{"title": "not so"}')

    with pytest.raises(Refused, match=r"MAEU .* 422 .*not so"):
        await pusher(door).push(MESSAGE, backfill=True)


async def test_what_the_door_could_not_read_is_a_refusal_too() -> None:
    said = {"rejected": 1, "verdicts": [{"outcome": "accepted"}, {"outcome": "rejected", "problems": ["no such code"]}]}
    message = Message("MAEU", AT, "/v1/messages", "application/json", "dcsa.2.2", b"[{}]", says=(None,))  # type: ignore[arg-type]  # of any kind

    with pytest.raises(Refused, match="no such code"):
        await pusher(lambda request: Answer(202, {}, json.dumps(said).encode())).push(message, backfill=True)


async def test_a_line_is_kept_until_the_door_ends_it() -> None:
    lines: list[list[bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads: list[bytes] = []
        lines.append(heads)
        for last in (False, True):
            head = await reader.readuntil(b"\r\n\r\n")
            heads.append(head + await reader.readexactly(4))
            ends = b"Connection: close\r\n" if last else b""
            writer.write(b"HTTP/1.1 202 Accepted\r\n" + ends + b"Content-Length: 2\r\nRetry-After: 7\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    door = Lines(f"http://127.0.0.1:{port}")
    answers = [await door.ask("/v1/messages", b"[{}]", {"Authorization": "Bearer k"}) for _ in range(3)]
    assert {(answer.status, answer.text, answer.headers["retry-after"]) for answer in answers} == {(202, "ok", "7")}
    assert [len(heads) for heads in lines] == [2, 1]
    assert lines[0][0].startswith(b"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:")
    assert lines[0][0].endswith(b"\r\nContent-Length: 4\r\nAuthorization: Bearer k\r\n\r\n[{}]")
    await door.close()
    server.close()


async def test_a_line_that_the_door_cut_meanwhile_is_not_used_and_one_cut_in_the_middle_is_no_answer() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n" if len(asked) < 3 else b"HTTP/1.1 202 Acc")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    door = Lines(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    for _ in range(2):
        assert (await door.ask("/", b"", {})).status == 204
        await asyncio.sleep(0.1)  # its end is seen
    with pytest.raises(EOFError):
        await door.ask("/", b"", {})
    assert len(asked) == 3
    await door.close()
    server.close()
