"""Secrets and people's data, sent through every path with everything that breaks: where they must not be, they are not."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from schemas.topics import RAW_MESSAGES, TOPICS
from services.ingest.keys import make_callback
from services.ingest.registers import secret_entry, write
from services.runtime.clickhouse import ClickHouse, connect
from services.runtime.settings import ENV_FILE, Settings
from tests.integration.ingest.conftest import Api, Process, add_sender
from tests.integration.ingest.records import read_all
from tests.unit.ingest.test_api import DCSA_EVENT, DECLARATION, OWN_EVENT, signed
from tests.waiting import eventually

ESCAPES = '\x1b[2J\x1b]0;owned\x07\r\n\n{"event": "forged"}\u202e\u2028\x85'
PERSON = "Canary Q. Person"
PHONE = "+1-555-0100-4242"
EMAIL = "canary.person@example.org"
PERSONAL = (PERSON, PHONE, EMAIL, "Canary", "555-0100", "example.org")


@dataclass
class House:
    """The running pipeline, and the secrets that were used with it."""

    settings: Settings
    api: Api
    logs: list[Path]
    secret: dict[str, str] = field(default_factory=dict)

    def text_of_logs(self) -> str:
        return "".join(log.read_text(errors="replace") for log in self.logs)


@pytest.fixture(scope="module")
def house(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Every stage at its most talkative, everything pushed, and ClickHouse having what Kafka has."""
    folder = tmp_path_factory.mktemp("canaries")
    with contextlib.ExitStack() as end:
        api = Api(settings, folder, LOVLA_LOG_LEVEL="DEBUG")
        end.callback(api.kill)
        logs = [api.log]
        for module in ("services.ingest.readers_stage", "services.tracker", "services.sink"):
            process = Process(module, settings, folder / f"{module}.log", LOVLA_LOG_LEVEL="DEBUG")
            end.callback(process.kill)
            logs.append(process.log)
        eventually(api.ready)
        made = House(settings, api, logs)
        push_everything(made)
        clickhouse = connect(settings, "admin")
        end.callback(clickhouse.close)
        eventually(lambda: seen(clickhouse, made))
        yield made


def seen(clickhouse: ClickHouse, made: House) -> bool:
    """Whether the last raw record is a row, and the journey with it."""
    (row,) = clickhouse.query("SELECT count() AS n FROM raw_messages WHERE request_id = 'the-last'")
    (journey,) = clickhouse.query("SELECT count() AS n FROM journeys WHERE consignment = 'CANARYB-1'")
    (letter,) = clickhouse.query("SELECT count() AS n FROM dead_letters WHERE sender = 'CANARYC'")
    return bool(row["n"] and journey["n"] and letter["n"])


def push_everything(made: House) -> None:
    settings, url = made.settings, made.api.url
    carrier, _ = add_sender(settings, "CANARYC", "ocean_carrier", "push")
    buyer, _ = add_sender(settings, "CANARYB", "buyer", "register")
    operator, _ = add_sender(settings, "CANARYO", "operator", "operator", "push", "register")
    callback, kept = make_callback("CANARYC", settings.secret_key.get_secret_value().encode(), datetime.now(UTC))
    write(settings, [secret_entry(kept)])
    bad = f"lovla_{'c' * 12}_{secrets.token_urlsafe(32)}"
    made.secret = {
        "the carrier's key": carrier["Authorization"][-43:],
        "the buyer's key": buyer["Authorization"][-43:],
        "the operator's key": operator["Authorization"][-43:],
        "a wrong key": bad[-43:],
        "the callback's token": callback.token,
        "the callback's secret": callback.secret,
        "the secret key": settings.secret_key.get_secret_value(),
        "the writer's password": settings.clickhouse_writer_password.get_secret_value(),
        "the reader's password": settings.clickhouse_reader_password.get_secret_value(),
        "the admin's password": settings.clickhouse_admin_password.get_secret_value(),
    }
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    event = OWN_EVENT | {"occurred_at": yesterday, "reason": f"call {PERSON} {PHONE}", "place": {"name": EMAIL}}
    dcsa = json.dumps([DCSA_EVENT | {"eventDateTime": yesterday, "eventCreatedDateTime": yesterday, "remark": PERSON}]).encode()
    declared = DECLARATION | {"consignment": "CANARYB-1", "note": f"{PERSON} {PHONE} {EMAIL}"}
    hostile = f"{PERSON} {EMAIL} {ESCAPES}"
    by = {"Lovla-Recorded-By": PERSON, "X-Request-ID": "canary", "User-Agent": f"{PERSON} {EMAIL}", "Referer": EMAIL}
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
        eventually(lambda: http.post("/v1/events", json=event, headers=operator | by).status_code == 202)
        eventually(lambda: http.post("/v1/consignments", json=declared, headers=buyer | by).status_code == 202)
        eventually(lambda: http.post("/v1/events", json=event, headers=carrier | by).status_code == 202)
        signed_so = {"Subscription-ID": callback.subscription_id} | signed(dcsa, callback.secret)
        eventually(lambda: http.post(callback.path, content=dcsa, headers=signed_so).status_code == 204)
        at = "/v1/consignments/CANARYB-1"
        for method, path, headers, body in (
            ("POST", "/v1/messages", carrier, hostile.encode()),  # unreadable: a dead letter
            ("POST", "/v1/messages", carrier, json.dumps([event | {hostile: hostile}]).encode()),
            ("POST", "/v1/messages", carrier, f"ISA*00*{hostile}~GS*QO*{hostile}".encode()),
            ("POST", "/v1/messages", carrier, f"FSU/14\n020-12345675FRAJFK/T1K100\n{PERSON}\n".encode()),
            ("POST", "/v1/messages", carrier | {"Content-Encoding": "gzip"}, gzip.compress(hostile.encode())),
            ("POST", "/v1/messages", carrier | {"Content-Encoding": "gzip"}, hostile.encode()),
            ("POST", "/v1/messages", carrier | {"Content-Type": f"text/{PERSON}"}, b"x"),
            ("POST", "/v1/events", carrier, json.dumps(event | {"milestone": hostile}).encode()),
            ("POST", "/v1/events", carrier | {"Lovla-Received-At": PERSON}, b"{}"),
            ("POST", "/v1/events", {"Authorization": f"Bearer {bad}"}, json.dumps(event).encode()),
            ("POST", f"/v1/events?key={bad}&by={PERSON}", {}, b"{}"),
            ("POST", "/v1/consignments", buyer, json.dumps(declared | {"consignment": hostile}).encode()),
            ("POST", "/v1/consignments", buyer | {"Content-Type": "text/csv"}, f"consignment,{EMAIL}\n{PERSON},1\n".encode()),
            ("POST", f"{at}/actions", operator | by, json.dumps({"command": PERSON}).encode()),
            (
                "POST",
                f"{at}/actions",
                operator | by,
                json.dumps({"command": "appoint", "role": "carrier", "party": "X"}).encode(),
            ),
            ("PUT", at, buyer | {"If-Match": PERSON}, json.dumps(declared).encode()),
            ("PUT", at, buyer | {"If-Match": "99"} | by, json.dumps(declared | {"tier": 2}).encode()),
            ("DELETE", "/v1/consignments/CANARYB-9", buyer, json.dumps({"reason": hostile[:100]}).encode()),
            ("POST", callback.path, signed_so, dcsa + b" "),
            ("POST", callback.path[:-8] + "x/events", signed_so, dcsa),
            ("GET", f"/v1/receipts/{EMAIL}", carrier, b""),
            ("GET", f"/{PERSON}/%1b%5b31m/%0d%0a{EMAIL}", carrier, b""),
            ("POST", f"/v1/senders/{EMAIL}/retry", operator, json.dumps({"positions": [], PERSON: 1}).encode()),
            ("POST", "/v1/messages", carrier | {"X-Request-ID": "the-last"}, b"the last"),
        ):
            answer = http.request(method, path, content=body, headers={"Content-Type": "application/json"} | headers)
            assert answer.status_code < 500, (method, path, answer.text)
            for name, text in made.secret.items():
                assert text not in answer.text and text not in str(answer.headers), name


def occurrences(text: str, words: Mapping[str, str]) -> list[str]:
    return [name for name, word in words.items() if word in text]


def test_no_secret_is_in_a_log_and_every_line_is_json(house: House) -> None:
    text = house.text_of_logs()
    assert occurrences(text, house.secret) == []
    assert len(text.splitlines()) > 4, "they do log"
    for line in text.split("\n"):
        if line:
            said = json.loads(line)
            assert said["service"], line
            assert said["event"] != "forged"
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u202e]", text), "nothing in it steers a terminal"


def test_no_persons_name_number_or_address_is_in_a_log(house: House) -> None:
    assert [word for word in PERSONAL if word in house.text_of_logs()] == []


def test_the_metrics_name_neither_secrets_nor_people(house: House) -> None:
    page = httpx.get(f"{house.api.url}/metrics", trust_env=False).text
    assert occurrences(page, house.secret) == []
    assert [word for word in (*PERSONAL, "CANARYB-1", "the-last") if word in page] == []


def test_no_secret_is_in_a_topic(house: House) -> None:
    found = False
    for topic in TOPICS:
        for record in read_all(house.settings, topic.name):
            headers = "".join(f"{name}={(value or b'').decode(errors='replace')}\n" for name, value in record.headers or ())
            text = f"{record.key!r} {(record.value or b'').decode(errors='replace')} {headers}"
            assert occurrences(text, house.secret) == [], topic.name
            found = found or (topic is RAW_MESSAGES and PERSON in text)
    assert found, "what was sent is in raw.messages: the search finds what is there"


def test_no_secret_is_in_a_table(house: House) -> None:
    admin = connect(house.settings, "admin")
    try:
        tables = [row["name"] for row in admin.query("SELECT name FROM system.tables WHERE database = currentDatabase()")]
        assert "raw_messages" in tables
        where = " OR ".join(f"position(line, {{s{n}:String}}) > 0" for n, _ in enumerate(house.secret))
        words = {f"s{n}": word for n, word in enumerate(house.secret.values())}
        for table in tables:
            line = f"SELECT toString(tuple(*)) AS line FROM {table}"
            (row,) = admin.query(
                f"SELECT countIf({where}) AS secret, countIf(position(line, {{p:String}}) > 0) AS person FROM ({line})",
                words | {"p": PERSON},
            )
            assert row["secret"] == 0, table
            assert (row["person"] > 0) or table not in ("raw_messages", "consignment_commands"), (
                "the search finds what is there"
            )
    finally:
        admin.close()


def test_the_state_folder_holds_secrets_in_one_file_only(house: House) -> None:
    """`lovla.env`, readable by its owner alone; keys that `lovla carriers add` keeps are in `keys/`, alike."""
    folder = house.settings.state_dir
    env = folder / ENV_FILE
    assert env.stat().st_mode & 0o077 == 0
    for file in folder.rglob("*"):
        if file.is_file() and file != env:
            assert occurrences(file.read_text(errors="replace"), house.secret) == [], file
    assert occurrences(env.read_text(), house.secret), "the search finds what is there"


def test_settings_print_no_secret(house: House) -> None:
    for text in (repr(house.settings), str(house.settings), house.settings.model_dump_json()):
        assert occurrences(text, house.secret) == []
