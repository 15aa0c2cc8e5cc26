"""One sender's flood against another's requests, and strangers' words against the size of /metrics."""

from __future__ import annotations

import hashlib
import json
import select
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.raw_message_v1 import RawMessage
from schemas.topics import RAW_MESSAGES
from services.ingest.body import SHARE_BYTES
from services.ingest.readers_stage import Readers
from services.runtime import metrics
from services.runtime.loop import Record
from services.runtime.settings import Settings
from services.runtime.wire import raw_headers
from tests.integration.ingest.conftest import Api, add_sender
from tests.security.conftest import Line, head
from tests.unit.ingest.fakes import NOW, FakeRegisters, House
from tests.unit.ingest.test_api import OWN_EVENT
from tests.waiting import eventually

MIB = 1024 * 1024
Sent = Counter[int]


@pytest.fixture(scope="module")
def senders(settings: Settings, api: Api) -> tuple[dict[str, str], dict[str, str]]:
    """Keys of a flooding sender and of a quiet one, both known to the door."""
    return known(settings, api, "FLOODA"), known(settings, api, "FLOODB")


def known(settings: Settings, api: Api, code: str) -> dict[str, str]:
    """The key of a new sender, once the door knows it."""
    key, _ = add_sender(settings, code, "ocean_carrier", "push")
    eventually(lambda: post(api, key) == 202)
    return key


def post(api: Api, key: dict[str, str]) -> int:
    return httpx.post(f"{api.url}/v1/messages", content=b"hello", headers=key, trust_env=False, timeout=30).status_code


class Flood(threading.Thread):
    """Sends as fast as it can until told to stop; counts the answers."""

    def __init__(self, api: Api, key: dict[str, str], body: bytes) -> None:
        super().__init__(daemon=True)
        self._url, self._key, self._body = f"{api.url}/v1/messages", key, body
        self.answers: Sent = Counter()
        self.enough = threading.Event()

    def run(self) -> None:
        with httpx.Client(trust_env=False, timeout=30) as http:
            while not self.enough.is_set():
                self.answers[http.post(self._url, content=self._body, headers=self._key).status_code] += 1


@pytest.fixture
def flood(api: Api, senders: tuple[dict[str, str], dict[str, str]]) -> Iterator[list[Flood]]:
    floods = [Flood(api, senders[0], b"x" * 100_000) for _ in range(4)]
    yield floods
    for one in floods:
        one.enough.set()
    for one in floods:
        one.join(30)


def latencies(api: Api, key: dict[str, str], count: int) -> tuple[list[float], Sent]:
    times: list[float] = []
    answers: Sent = Counter()
    with httpx.Client(trust_env=False, timeout=30) as http:
        for _ in range(count):
            began = time.monotonic()
            answers[http.post(f"{api.url}/v1/messages", content=b"hello", headers=key).status_code] += 1
            times.append(time.monotonic() - began)
            time.sleep(0.03)  # within its own rate
    return times, answers


def test_a_senders_flood_is_refused_and_anothers_requests_are_answered(
    api: Api, senders: tuple[dict[str, str], dict[str, str]], flood: list[Flood]
) -> None:
    quiet, _ = latencies(api, senders[1], 40)
    began = time.monotonic()
    for one in flood:
        one.start()
    eventually(lambda: sum(one.answers[429] for one in flood) > 50)
    busy, answers = latencies(api, senders[1], 60)
    assert answers == {202: 60}, "not one of the quiet sender's requests is refused"
    # generous, since sender, flood and door share the same cores here: what it must not be is a queue behind the flood
    assert statistics.median(busy) < 20 * statistics.median(quiet) + 0.5
    taken = sum(one.answers[202] for one in flood)
    assert taken <= 50 * (time.monotonic() - began) + 100 + len(flood), "what is taken of the flood is its rate and one burst"


def test_a_senders_slow_bodies_take_its_own_share_and_no_more(settings: Settings, api: Api) -> None:
    greedy, other = known(settings, api, "FLOODC"), known(settings, api, "FLOODD")
    big = head("POST", "/v1/messages", greedy | {"Content-Length": str(5 * MIB)}) + b"x" * (5 * MIB - 1)
    slow = [Line.to(api) for _ in range(SHARE_BYTES // (5 * MIB) + 1)]
    try:
        for line in slow:
            line.send(big)
        # they are read side by side: whichever comes to the end of the share first is refused
        told, _, _ = select.select([line.socket for line in slow], [], [], 20)
        answers = [line.answer() for line in slow if line.socket in told]
        assert [(status, int(headers["retry-after"]) >= 1) for status, headers, _ in answers] == [(429, True)]
        assert post(api, other) == 202
    finally:
        for line in slow:
            line.close()


def series() -> set[str]:
    """What /metrics holds, without the values."""
    lines = metrics.page()[0].decode().splitlines()
    return {line.rpartition(" ")[0] for line in lines if line and not line.startswith("#")}


def record(value: bytes, number: int, **meta: Any) -> Record:
    about = RawMessage.model_validate({"kind": "message", "sender": "MAEU", "sha256": hashlib.sha256(value).hexdigest()} | meta)
    return Record(RAW_MESSAGES.name, 0, number, int(NOW.timestamp() * 1000), b"MAEU", value, raw_headers(about))


async def test_ten_thousand_ids_and_words_of_strangers_add_nothing_to_the_metrics(tmp_path: Path) -> None:
    house = House(tmp_path)
    key = house.add("MAEU", "ocean_carrier", "push", "register") | {"If-Match": "*"}
    stage = Readers(FakeRegisters(senders=dict(house.registers.senders)))

    async def strange(number: int, events: int) -> None:
        house.clock.advance(10)
        name = f"word-{number}-{'x' * (number % 7)}"
        event = OWN_EVENT | {"references": [{"kind": "container", "value": f"MRSU{number:07}"}], "code": name, "id": name}
        for method, path, headers, body in (
            ("POST", "/v1/messages", key, event),
            ("POST", "/v1/events", key | {"X-Request-ID": name, "Content-Type": "application/json"}, event | {name: name}),
            ("POST", "/v1/messages", key | {"Content-Type": f"text/{name}"}, event),
            ("POST", "/v1/messages", key | {"Content-Encoding": name}, event),
            ("PUT", f"/v1/consignments/{name}", key, {"consignment": name}),
            ("GET", f"/v1/receipts/{name}", key, {}),
            ("GET", f"/{name}", key, {}),
            (f"X{name.upper()}", "/v1/events", key, {}),
            ("POST", f"/v2/dcsa/{name}/events", {"Subscription-ID": name}, []),
            ("POST", "/v1/events", {"Authorization": f"Bearer {name}"}, {}),
        ):
            await house.http.request(method, path, json=body, headers=headers)
        many = [event | {"id": f"{name}-{n}", "code": f"{name}-{n}", "milestone": None} for n in range(events)]
        stage.process([record(json.dumps(many).encode(), number, standard="lovla.1")])
        stage.process([record(f"ISA*{name}*{name}~".encode(), number), record(json.dumps({name: 1}).encode(), number)])
        stage.process([record(json.dumps([{"consignment": f"MAEU-{name}", name: 1}]).encode(), number, kind="registration")])

    await strange(0, 1)
    before, size = series(), len(metrics.page()[0])
    for number in range(1, 21):
        await strange(number, 500)
    assert series() == before
    assert len(metrics.page()[0]) < size + 5_000, "values may grow by digits"
    assert "word-" not in metrics.page()[0].decode()
    await house.http.aclose()
