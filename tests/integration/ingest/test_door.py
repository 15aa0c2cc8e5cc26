"""The door over the real broker: what 202 promises, what happens while Kafka is away, how fast a key is revoked."""

from __future__ import annotations

import json
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil

from schemas.topics import RAW_MESSAGES
from services.ingest.commands import read_commands
from services.ingest.keys import make_callback
from services.ingest.registers import account_entry, secret_entry, write
from services.runtime.settings import Settings
from services.runtime.wire import raw_meta
from tests.integration.ingest.conftest import Api, Process, add_sender
from tests.integration.ingest.records import read_all
from tests.stack import Kafka
from tests.unit.ingest import test_api
from tests.unit.ingest.test_api import DECLARATION, signed
from tests.waiting import eventually

YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).isoformat()  # the time fence is relative to the broker's clock
OWN_EVENT = test_api.OWN_EVENT | {"occurred_at": YESTERDAY}
DCSA_EVENT = test_api.DCSA_EVENT | {"eventDateTime": YESTERDAY, "eventCreatedDateTime": YESTERDAY}


def post(api: Api, path: str, headers: dict[str, str], **body: Any) -> httpx.Response:
    return httpx.post(api.url + path, headers=headers, trust_env=False, timeout=30, **body)


def test_what_is_answered_with_202_is_in_kafka_as_sent(api: Api, settings: Settings) -> None:
    key, _ = add_sender(settings, "DOORA", "ocean_carrier", "push")
    eventually(lambda: post(api, "/v1/events", key, json=OWN_EVENT).status_code == 202)
    body = json.dumps([DCSA_EVENT]).encode()
    response = post(api, "/v1/messages", key | {"Content-Type": "application/json"}, content=body)
    assert response.status_code == 202
    ours = [record for record in read_all(settings, RAW_MESSAGES.name) if record.key == b"DOORA"]
    assert ours[-1].value == body
    assert raw_meta(ours[-1].headers).content_type == "application/json"


def test_a_revoked_key_is_refused_within_seconds(api: Api, settings: Settings) -> None:
    key, account = add_sender(settings, "DOORB", "ocean_carrier", "push")
    eventually(lambda: post(api, "/v1/events", key, json=OWN_EVENT).status_code == 202)
    write(settings, [account_entry(account.model_copy(update={"revoked_at": datetime.now(UTC)}))])
    eventually(lambda: post(api, "/v1/events", key, json=OWN_EVENT).status_code == 401, within_s=5)


def test_a_dcsa_callback_works_as_soon_as_it_is_made(api: Api, settings: Settings) -> None:
    add_sender(settings, "DOORC", "ocean_carrier", "push")
    callback, kept = make_callback("DOORC", settings.secret_key.get_secret_value().encode(), datetime.now(UTC))
    write(settings, [secret_entry(kept)])
    body = json.dumps([DCSA_EVENT]).encode()
    headers = {"Subscription-ID": callback.subscription_id} | signed(body, callback.secret)
    eventually(lambda: post(api, callback.path, headers, content=body).status_code == 204)
    assert post(api, callback.path, headers, content=body + b" ").status_code == 401


def test_a_receipt_is_pending_until_the_readers_are_past_it(api: Api, settings: Settings, readers: Process) -> None:
    key, _ = add_sender(settings, "DOORD", "buyer", "register", "push")
    body = DECLARATION | {"consignment": "DOORD-1"}
    eventually(lambda: post(api, "/v1/consignments", key, json=body).status_code == 202)
    receipt = post(api, "/v1/consignments", key, json=body).json()["receipt"]

    def state() -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{api.url}/v1/receipts/{receipt}", headers=key, trust_env=False, timeout=30).json()
        return found

    assert state()["state"] in ("pending", "read")
    eventually(lambda: state()["state"] == "read")
    assert state()["verdicts"][0]["outcome"] == "queued"


def test_ticks_reach_every_partition(api: Api, settings: Settings) -> None:
    def partitions() -> set[int]:
        return {record.partition for record in read_all(settings, RAW_MESSAGES.name) if record.key == b"~tick"}

    eventually(lambda: partitions() == {0, 1, 2, 3})


def test_while_kafka_is_away_nothing_is_accepted_memory_stays_flat_and_a_door_can_begin_and_be_closed(
    api: Api, settings: Settings, kafka: Kafka, tmp_path: Path
) -> None:
    """One outage for a door that was open before, and for two that begin in it: each start of a broker costs seconds of CPU."""
    key, _ = add_sender(settings, "DOORE", "ocean_carrier", "push", "backfill")
    headers = key | {"Content-Type": "application/octet-stream"}
    eventually(lambda: post(api, "/v1/events", key, json=OWN_EVENT).status_code == 202)
    kafka.kill()
    doors: list[Api] = []
    try:
        assert post(api, "/v1/events", key, json=OWN_EVENT).status_code == 503
        process = psutil.Process(api._popen.pid)
        before = process.memory_info().rss
        answers = [post(api, "/v1/messages", headers, content=b"x" * 1024 * 1024) for _ in range(100)]
        assert {answer.status_code for answer in answers} == {503}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
        assert process.memory_info().rss - before < 80 * 1024 * 1024

        for _ in range(2):
            doors.append(Api(settings, tmp_path))
        for door in doors:
            eventually(partial(_answers, door))
        door, closed_early = doors
        assert httpx.get(door.url + "/readyz", trust_env=False).status_code == 503
        assert httpx.post(door.url + "/v1/events", trust_env=False).status_code == 503
        assert closed_early.stop() == 0
        kafka.start()
        eventually(door.ready)
        assert door.stop() == 0
    finally:
        kafka.start()
        for one in doors:
            if one.running:
                one.kill()
    eventually(lambda: post(api, "/v1/events", key, json=OWN_EVENT).status_code == 202)
    eventually(api.ready)


def _answers(door: Api) -> bool:
    assert door.running, door.log.read_text()
    try:
        return httpx.get(door.url + "/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_what_was_answered_with_202_survives_a_kill_of_the_door_and_counts_once_behind_it(
    settings: Settings, tmp_path: Any
) -> None:
    door = after = Api(settings, tmp_path)
    key, _ = add_sender(settings, "DOORF", "ocean_carrier", "push", "backfill")
    buyer, _ = add_sender(settings, "DOORG", "buyer", "register")
    dock = "/v1/consignments/DOORG-1/dock-receipt"
    count = {"occurred_at": YESTERDAY, "lines": [{"line": 1, "good": 5}]}
    answered: list[str] = []

    def push(worker: int) -> None:
        for number in range(10_000):
            try:
                body = json.dumps(OWN_EVENT | {"id": f"{worker}-{number}"}).encode()
                answer = post(door, "/v1/events", key | {"Content-Type": "application/json"}, content=body)
            except httpx.TransportError:
                return
            if answer.status_code == 202:
                answered.append(f"{worker}-{number}")

    try:
        eventually(door.ready)
        eventually(lambda: post(door, "/v1/events", key, json=OWN_EVENT).status_code == 202)
        workers = [threading.Thread(target=push, args=(worker,)) for worker in range(4)]
        for thread in workers:
            thread.start()
        eventually(lambda: len(answered) > 40)
        first = [post(door, dock, buyer | {"Idempotency-Key": "dock-1"}, json=count) for _ in range(2)]
        door.kill()
        for thread in workers:
            thread.join(30)
        after = Api(settings, tmp_path)  # which remembers no answer
        eventually(after.ready)
        again = post(after, dock, buyer | {"Idempotency-Key": "dock-1"}, json=count)
    finally:
        for one in {door, after}:
            if one.running:
                one.kill()
    ours = [record.value or b"" for record in read_all(settings, RAW_MESSAGES.name) if record.key == b"DOORF"]
    kept = Counter(str(json.loads(value).get("id")) for value in ours)
    assert all(kept[name] == 1 for name in answered)
    assert first[1].json() == first[0].json() != again.json(), "answered again; then taken anew, under another receipt"
    ids = {answer.json()["verdicts"][0]["command_id"] for answer in (*first, again)}
    counts = [record for record in read_all(settings, RAW_MESSAGES.name) if record.key == b"DOORG"]
    rows = [read_commands(raw_meta(r.headers), r.value or b"", datetime.now(UTC), r.partition, r.offset) for r in counts]
    assert len(counts) == 2
    assert {row.command.command_id for (row,) in rows if row.command is not None} == ids, (
        "one command, of which the first counts"
    )
    assert len(ids) == 1
