"""Trying out, as a person types it, against the real door: nothing of it reaches Kafka."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from schemas.topics import RAW_MESSAGES
from services.runtime.settings import Settings
from tests.integration.ingest.conftest import Api, Lovla, add_sender, said
from tests.integration.ingest.records import read_all
from tests.integration.ingest.test_door import DCSA_EVENT, post
from tests.unit.ingest.test_api import signed
from tests.waiting import eventually


def test_a_sandbox_key_beside_a_live_one(lovla: Lovla, settings: Settings, tmp_path: Path) -> None:
    message = tmp_path / "event.json"
    message.write_text(json.dumps([DCSA_EVENT, {"eventType": "NOTHING"}]))
    (made,) = said(lovla("carriers", "add", "TRYA", "--kind", "ocean_carrier", "--sandbox", "--json"))
    assert made["scopes"] == ["push", "sandbox"]
    live = said(lovla("carriers", "add", "TRYA", "--json"))[0]
    assert live["scopes"] == ["push"]
    assert {file.name for file in (settings.state_dir / "keys").glob("TRYA*")} == {"TRYA", "TRYA.sandbox"}

    eventually(lambda: lovla("push", message, "--carrier", "TRYA", "--sandbox").exit_code == 0)
    (tried,) = said(lovla("push", message, "--carrier", "TRYA", "--sandbox", "--json"))
    assert (tried["accepted"], tried["rejected"], tried["sandbox"]) == (1, 1, True)
    eventually(lambda: lovla("push", message, "--carrier", "TRYA", "--dry-run").exit_code == 0)
    (dry,) = said(lovla("push", message, "--carrier", "TRYA", "--dry-run", "--json"))
    assert dry["statements"][0]["event_id"] == tried["verdicts"][0]["event_id"]
    table = lovla("push", message, "--carrier", "TRYA", "--dry-run").stdout
    for words in ("discharged", "eventType", "Send one of its values.", "1 would be accepted, 1 rejected; nothing was taken"):
        assert words in table
    assert [record for record in read_all(settings, RAW_MESSAGES.name) if record.key == b"TRYA"] == []

    # a new live key is a live one, and the sandbox key keeps its own two places
    rotated = said(lovla("carriers", "rotate", "TRYA", "--json"))[0]
    assert rotated["scopes"] == ["push"]
    assert "2 live keys" in lovla("carriers", "add", "TRYA").stderr
    assert lovla("carriers", "add", "TRYA", "--scope", "sandbox").exit_code == 0


def test_a_key_of_another_is_told_and_nothing_is_filed(lovla: Lovla, settings: Settings, tmp_path: Path) -> None:
    message = tmp_path / "event.json"
    message.write_text(json.dumps([DCSA_EVENT]))
    for code in ("TRYB", "TRYC"):
        assert lovla("carriers", "add", code, "--kind", "ocean_carrier").exit_code == 0
    theirs = (settings.state_dir / "keys" / "TRYC").read_text().strip()
    eventually(lambda: lovla("push", message, "--carrier", "TRYB", "--dry-run").exit_code == 0)
    eventually(lambda: lovla("push", message, "--carrier", "TRYC", "--dry-run").exit_code == 0)
    refused = lovla("push", message, "--carrier", "TRYB", "--key", theirs)
    assert refused.exit_code == 1
    assert "The key is TRYC's, and the request is meant for TRYB; nothing was taken" in refused.stderr
    assert [record for record in read_all(settings, RAW_MESSAGES.name) if record.key in (b"TRYB", b"TRYC")] == []


def test_the_handshake_of_a_subscription(lovla: Lovla, api: Api, settings: Settings) -> None:
    add_sender(settings, "TRYD", "ocean_carrier", "push")
    eventually(lambda: lovla("carriers", "callback", "TRYD", "--json").exit_code == 0)
    (made,) = said(lovla("carriers", "callback", "TRYD", "--json"))
    eventually(lambda: httpx.head(api.url + made["path"], trust_env=False).status_code == 204)
    (named,) = said(lovla("carriers", "callback", "TRYD", "--subscribed", "5aa4bc6d-1de8-4a1c-9a3a-4a5c1d1b0001", "--json"))
    assert named == {"sender": "TRYD", "subscription_id": "5aa4bc6d-1de8-4a1c-9a3a-4a5c1d1b0001"}
    body = json.dumps([DCSA_EVENT]).encode()
    headers = signed(body, made["secret"]) | {"Subscription-ID": named["subscription_id"]}
    eventually(lambda: post(api, made["path"], headers, content=body).status_code == 204)


def test_the_page_is_served_and_reads(api: Api) -> None:
    eventually(lambda: httpx.get(api.url + "/readyz", trust_env=False).status_code == 200)
    fields = {"message": (None, json.dumps([DCSA_EVENT]).encode())}
    answer = httpx.post(api.url + "/conformance", files=fields, trust_env=False, timeout=30)
    assert (answer.status_code, "1 of 1 statements understood" in answer.text) == (200, True)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert httpx.get(api.url + "/conformance.css", trust_env=False).headers["content-type"].startswith("text/css")
