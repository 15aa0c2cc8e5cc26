"""Pages are packed only for who our own pages or a person sent, and hold no token twice (BREACH)."""

from __future__ import annotations

import gzip
from pathlib import Path

import cramjam
import pytest
from fastapi import FastAPI, Response
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.responses import StreamingResponse

from services.console.entry import Entry, masked, unmasked
from services.console.packing import LEAST_BYTES, Packed
from services.console.people import People
from services.console.settings import ConsoleSettings
from services.runtime.clock import SystemClock

PAGE = "<p>" + "what stands here repeats itself; " * 200
OURS = {"Sec-Fetch-Site": "same-origin", "Accept-Encoding": "gzip"}


def browser() -> TestClient:
    app = FastAPI()
    app.add_middleware(Packed)
    kinds = {"page": "text/html", "small": "text/html", "data": "application/json", "packed": "text/html"}

    async def answer(name: str) -> Response:
        if name == "stream":
            return StreamingResponse(iter([PAGE.encode()[:100], PAGE.encode()[100:]]), media_type="text/html")
        body = PAGE[: LEAST_BYTES - 1] if name == "small" else PAGE
        headers = {"Content-Encoding": "identity"} if name == "packed" else {}
        return Response(body, media_type=kinds[name], headers={"X-Own": "kept"} | headers)

    app.add_api_route("/{name}", answer, response_model=None)
    return TestClient(app)


@pytest.mark.parametrize("site", ["same-origin", "none"])
@pytest.mark.parametrize("name", ["page", "stream"])
def test_a_page_that_our_own_page_or_a_person_asked_for_is_packed(site: str, name: str) -> None:
    for coding in ("br", "gzip"):
        with browser().stream("GET", f"/{name}", headers={"Sec-Fetch-Site": site, "Accept-Encoding": coding}) as answer:
            raw = b"".join(answer.iter_raw())
        unpacked = gzip.decompress(raw) if coding == "gzip" else bytes(cramjam.brotli.decompress(raw))
        assert unpacked.decode() == PAGE
        assert answer.headers["content-encoding"] == coding
        assert int(answer.headers["content-length"]) == len(raw) < len(PAGE) / 10
    assert answer.headers["vary"] == "Accept-Encoding, Sec-Fetch-Site"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", None])
def test_what_another_page_could_have_asked_for_is_sent_as_it_is(site: str | None) -> None:
    headers = {"Accept-Encoding": "gzip, br"} | ({} if site is None else {"Sec-Fetch-Site": site})
    answer = browser().get("/page", headers=headers)
    assert "content-encoding" not in answer.headers
    assert len(answer.content) == len(PAGE)


@pytest.mark.parametrize("name", ["small", "data", "packed"])
def test_only_pages_are_packed_that_gain_by_it(name: str) -> None:
    answer = browser().get(f"/{name}", headers=OURS)
    assert answer.headers.get("content-encoding", "") in ("", "identity")
    assert answer.headers["x-own"] == "kept"


def test_who_cannot_unpack_gets_it_as_it_is() -> None:
    answer = browser().get("/page", headers=OURS | {"Accept-Encoding": "identity"})
    assert "content-encoding" not in answer.headers


@given(st.binary(max_size=64))
def test_a_mask_is_another_each_time_and_taken_off_again(seal: bytes) -> None:
    assert unmasked(masked(seal)) == seal
    assert len(seal) < 8 or masked(seal) != masked(seal)


@pytest.mark.parametrize("told", ["", "zz", "abc", "ab", "ä" * 128])
def test_what_is_no_mask_of_ours_is_no_seal(told: str) -> None:
    assert unmasked(told) == b""


def test_a_session_has_one_seal_and_another_session_another(tmp_path: Path) -> None:
    settings = ConsoleSettings(kafka="127.0.0.1:1", secret_key=SecretStr("k" * 44))
    entry = Entry(settings, People(tmp_path), SystemClock())
    assert entry.seal("a") == entry.seal("a") != entry.seal("b")
    assert entry.seal("") == b""
