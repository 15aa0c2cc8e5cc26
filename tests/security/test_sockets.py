"""Slow, endless, swollen and crowding senders against the real door: it ends them, serves the others, and stays small."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from services.runtime.settings import Settings
from tests.integration.ingest.conftest import Api
from tests.security.conftest import Line, head, lines
from tests.waiting import eventually

MIB = 1024 * 1024
HEAD_S, BODY_S, CONNECTIONS = 1.0, 1.5, 40
SLACK_S = 15.0  # a busy machine; a door that does not end them at all keeps them for ever


@pytest.fixture(scope="module")
def api(settings: Settings, folder: Path) -> Iterator[Api]:
    """A door with short patience, so that a test can outlast it."""
    told = {"LOVLA_HEAD_S": str(HEAD_S), "LOVLA_BODY_S": str(BODY_S), "LOVLA_CONNECTIONS": str(CONNECTIONS)}
    door = Api(settings, folder, **told)
    try:
        eventually(door.ready)
        yield door
    finally:
        door.stop()


def rss(api: Api) -> int:
    return psutil.Process(api._popen.pid).memory_info().rss


def problem(answer: tuple[int, dict[str, str], bytes], status: int, kind: str) -> None:
    """The answer is our own refusal, in form."""
    found, headers, body = answer
    assert found == status, answer
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["type"] == f"urn:lovla:problem:{kind}"


def served(api: Api, pushes: dict[str, str]) -> bool:
    line = Line.to(api)
    try:
        return line.ask("POST", "/v1/messages", pushes, b"hello")[0] == 202
    finally:
        line.close()


def test_heads_that_trickle_in_are_ended_and_others_are_served(api: Api, pushes: dict[str, str]) -> None:
    before = rss(api)
    with lines(api, CONNECTIONS - 10) as slow:
        began = time.monotonic()
        for line in slow:
            line.send(b"POST /v1/events HTTP/1.1\r\nHost: door\r\nX-Slow: ")
        while time.monotonic() - began < HEAD_S / 2:
            for line in slow:
                line.send(b"a")
            assert served(api, pushes)
        for line in slow:
            problem(line.answer(SLACK_S), 408, "too-slow")
            assert line.ended(SLACK_S)
    assert time.monotonic() - began < HEAD_S + SLACK_S
    assert rss(api) - before < 20 * MIB


def test_a_slow_second_request_on_one_connection_is_ended_too(api: Api, pushes: dict[str, str]) -> None:
    line = Line.to(api)
    assert line.ask("POST", "/v1/messages", pushes, b"hello")[0] == 202
    line.send(b"POST /v1/mess")
    problem(line.answer(SLACK_S), 408, "too-slow")
    assert line.ended(SLACK_S)


def test_a_connection_that_says_nothing_is_closed(api: Api) -> None:
    assert Line.to(api).ended(SLACK_S)


def test_a_patient_connection_between_two_requests_is_left_open(api: Api, pushes: dict[str, str]) -> None:
    line = Line.to(api)
    for _ in range(2):
        assert line.ask("POST", "/v1/messages", pushes, b"hello")[0] == 202
        time.sleep(HEAD_S * 1.5)  # longer than a head may take: nothing has been begun that could be slow
    assert line.ask("POST", "/v1/messages", pushes, b"hello")[0] == 202
    line.close()


def test_a_head_without_end_is_refused(api: Api) -> None:
    line = Line.to(api)
    line.send(b"GET /healthz HTTP/1.1\r\n")
    for number in range(1_000):
        if not line.send(f"X-{number}: {'a' * 1_000}\r\n".encode()):
            break
    assert line.answer()[0] in (0, 400)
    assert line.ended()


def test_what_is_no_http_is_refused_in_form(api: Api) -> None:
    for garbage in (b"\x16\x03\x01\x02\x00 hello\r\n\r\n", b"GET / HTTP/1.1\r\nHost door\r\n\r\n", b"EHLO me\r\n\r\n"):
        line = Line.to(api)
        line.send(garbage)
        problem(line.answer(), 400, "bad-header")
        assert line.ended()


def test_a_request_with_two_lengths_is_not_guessed_at(api: Api, pushes: dict[str, str]) -> None:
    asked = head("POST", "/v1/messages", pushes)[:-2]
    for lengths in (
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: gzip, chunked\r\n",
        b"Content-Length: -5\r\n",
        b"Transfer-Encoding: identity\r\n",
    ):
        line = Line.to(api)
        line.send(asked + lengths + b"\r\nhello")
        assert line.answer()[0] in (400, 501), lengths
        assert line.ended()


def test_bodies_that_trickle_in_are_ended_and_others_are_served(api: Api, pushes: dict[str, str]) -> None:
    before = rss(api)
    with lines(api, CONNECTIONS - 10) as slow:
        for line in slow:
            line.send(head("POST", "/v1/messages", pushes | {"Content-Length": str(MIB)}) + b"x" * 1_000)
        assert served(api, pushes)
        for line in slow:
            line.send(b"x")
            problem(line.answer(SLACK_S), 408, "too-slow")
            assert line.ended(SLACK_S)
    assert rss(api) - before < 20 * MIB
    assert served(api, pushes)


def test_a_giant_body_is_refused_before_it_is_sent(api: Api, pushes: dict[str, str]) -> None:
    line = Line.to(api)
    line.send(head("POST", "/v1/messages", pushes | {"Content-Length": str(10 * 1024 * MIB), "Expect": "100-continue"}))
    problem(line.answer(), 413, "too-large")


def test_chunks_without_end_are_refused_and_ended(api: Api, pushes: dict[str, str]) -> None:
    before, line, sent = rss(api), Line.to(api), 0
    line.send(head("POST", "/v1/messages", pushes | {"Transfer-Encoding": "chunked"}))
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    until = time.monotonic() + SLACK_S
    while line.send(chunk):
        sent += len(chunk)
        assert time.monotonic() < until, f"it still takes more after {sent // MIB} MiB"
    assert rss(api) - before < 40 * MIB
    assert served(api, pushes)


def test_the_refusal_of_an_endless_body_can_be_read(api: Api, pushes: dict[str, str]) -> None:
    line = Line.to(api)
    line.send(head("POST", "/v1/messages", pushes | {"Transfer-Encoding": "chunked"}))
    for _ in range(6 * 16):
        line.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
    problem(line.answer(), 413, "too-large")


def test_chunks_that_are_none_are_refused(api: Api, pushes: dict[str, str]) -> None:
    for garbage in (b"zz\r\nhello\r\n", b"5\r\nhelloworld\r\n", b"-5\r\nhello\r\n"):
        line = Line.to(api)
        line.send(head("POST", "/v1/messages", pushes | {"Transfer-Encoding": "chunked"}) + garbage)
        problem(line.answer(), 400, "bad-header")
        assert line.ended()


def test_a_sender_that_never_fetches_its_answers_is_ended(api: Api, pushes: dict[str, str]) -> None:
    before, line = rss(api), Line.to(api)
    ask = head("GET", "/openapi.json", {}) * 50
    until = time.monotonic() + SLACK_S + BODY_S
    line.socket.settimeout(0.5)
    while True:
        try:
            line.socket.sendall(ask)
        except TimeoutError:  # the door reads no further while its answers wait
            pass
        except OSError:
            break
        assert time.monotonic() < until, "it waits for ever"
    assert rss(api) - before < 20 * MIB
    assert served(api, pushes)


def test_five_gigabytes_in_five_megabytes_are_refused_early(api: Api, pushes: dict[str, str]) -> None:
    member = gzip.compress(b"\0" * 64 * MIB)
    bomb = member * (5 * MIB // len(member))
    before, began = rss(api), time.monotonic()
    for _ in range(3):
        answer = Line.to(api).ask("POST", "/v1/messages", pushes | {"Content-Encoding": "gzip"}, bomb)
        problem(answer, 413, "too-large")
    assert rss(api) - before < 60 * MIB
    assert time.monotonic() - began < SLACK_S


def test_a_connection_past_the_limit_is_told_so_and_the_others_go_on(api: Api, pushes: dict[str, str]) -> None:
    first = Line.to(api)
    with lines(api, CONNECTIONS + 5):
        late = Line.to(api)
        answer = late.ask("POST", "/v1/messages", pushes, b"hello")
        problem(answer, 503, "not-ready")
        assert int(answer[1]["retry-after"]) >= 1
        assert late.ended()
        assert first.ask("POST", "/v1/messages", pushes, b"hello")[0] == 202
    eventually(lambda: served(api, pushes))


def test_a_flood_of_connections_is_cut_off_and_leaves_no_trace(api: Api, pushes: dict[str, str]) -> None:
    process, before = psutil.Process(api._popen.pid), rss(api)
    with lines(api, CONNECTIONS + 256 + 100):
        eventually(lambda: process.num_fds() < CONNECTIONS + 256 + 80)
        assert rss(api) - before < 40 * MIB
    eventually(lambda: served(api, pushes))
    eventually(lambda: process.num_fds() < CONNECTIONS + 40)


def test_a_sender_that_hangs_up_in_the_middle_is_no_fault_of_ours(api: Api, pushes: dict[str, str]) -> None:
    def gone() -> float:
        page = httpx.get(f"{api.url}/metrics", trust_env=False).text
        found = re.search(r'lovla_http_requests_total\{route="messages",status="400"\} (\S+)', page)
        return float(found[1]) if found else 0.0

    before = gone()
    for _ in range(5):
        line = Line.to(api)
        line.send(head("POST", "/v1/messages", pushes | {"Content-Length": "100"}) + b"x")
        line.close()
    eventually(lambda: gone() == before + 5)
    assert "fault" not in api.log.read_text()
