"""The public page of one consignment: whole tokens only, words only, and nothing of anything else."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

from schemas.journey_v1 import Journey
from services.console.door import ConsoleDoor
from services.console.entry import Entry
from services.console.people import People
from services.console.questions import sql
from services.console.settings import ConsoleSettings
from services.console.tracking import CONSIGNMENT, HOSPITAL, BadToken, opened, token, tracked
from services.console.tracking_page import BURST, TrackingPage
from services.runtime.clickhouse import OutcomeUnknown
from services.runtime.clock import ManualClock
from tests.unit.sink.examples import exception, journey

NOW = datetime(2020, 4, 12, 12, tzinfo=UTC)
SECRET = b"a secret"
LOS_ANGELES = ZoneInfo("America/Los_Angeles")


class Books:
    """Stands for ClickHouse: one journey, one hospital, one clock."""

    def __init__(self, held: Journey | None, as_of: datetime | None = NOW) -> None:
        self.held, self.as_of, self.is_away = held, as_of, False

    def query(self, asked: str, params: Any = None, settings: Any = None) -> list[dict[str, object]]:
        if self.is_away:
            raise OutcomeUnknown("away", 0)
        if asked == sql("show"):
            found = self.held is not None and self.held.consignment == params["consignment"]
            return [{"record": self.held.model_dump_json()}] if found and self.held else []
        return [{"as_of": self.as_of}] if asked == sql("as_of") else []


def browser(folder: Path, books: Books) -> TestClient:
    settings = ConsoleSettings(kafka="127.0.0.1:1", secret_key=SecretStr(SECRET.decode()), alerts_port=8090)
    clock = ManualClock(NOW)
    door = ConsoleDoor(settings, books, Entry(settings, People(folder), clock), clock)  # type: ignore[arg-type]  # of ClickHouse it asks only
    app = FastAPI()
    for method, path, endpoint in TrackingPage(door).routes():
        app.add_api_route(path, endpoint, methods=[method], response_model=None)
    return TestClient(app)


def test_a_hospitals_link_opens_no_consignment_and_a_consignments_no_hospital() -> None:
    for made, other in ((CONSIGNMENT, HOSPITAL), (HOSPITAL, CONSIGNMENT)):
        given = token(SECRET, "H-CEDARS", NOW + timedelta(days=1), made)
        assert opened(SECRET, given, NOW, made)[0] == "H-CEDARS"
        with pytest.raises(BadToken):
            opened(SECRET, given, NOW, other)


def link(consignment: str = "LACDHS-0001", days: float = 1) -> str:
    return f"/t/{token(SECRET, consignment, NOW + timedelta(days=days))}"


def test_a_token_opens_its_consignment_until_its_time_is_over() -> None:
    until = NOW + timedelta(days=3)
    made = token(SECRET, "LACDHS/0001 ü", until)
    assert opened(SECRET, made, NOW) == ("LACDHS/0001 ü", until)
    with pytest.raises(BadToken, match="too old"):
        opened(SECRET, made, until)


def test_no_other_token_opens_anything() -> None:
    made = token(SECRET, "LACDHS-0001", NOW + timedelta(days=1))
    changed = [made[:at] + ("A" if made[at] != "A" else "B") + made[at + 1 :] for at in range(len(made))]
    for bad in (
        "",
        "x",
        "é",
        made[:-1],
        made + "A",
        made + "=",
        "A" * 500,
        *changed,
        token(b"other", "LACDHS-0001", NOW + timedelta(days=1)),
    ):
        with pytest.raises(BadToken, match="not whole"):
            opened(SECRET, bad, NOW)


@pytest.mark.parametrize(
    ("said", "sentence", "expected"),
    [
        ({}, "come to the port", "It is expected on Thursday, 16 April 2020, after the delay so far."),
        ({"stage": "in_transit", "expected_basis": "plan"}, "on its way, by sea", "It is planned for Thursday, 16 April 2020."),
        ({"expected_delivery": "2020-04-11T17:00:00Z"}, "port", "Nobody has told yet when it will come."),
        ({"expected_delivery": None, "expected_basis": "unknown"}, "port", "Nobody can say yet"),
        ({"stage": "delivered", "expected_basis": "actual"}, "It was delivered.", "On Thursday, 16 April 2020."),
        ({"stage": "cancelled"}, "It was cancelled.", ""),
        (
            {"milestones": [{"milestone": "delivered", "planned": "2020-04-14T17:00:00Z", "units_total": 1}]},
            "port",
            "That is 2 days later than planned.",
        ),
    ],
)
def test_it_is_told_in_words(said: dict[str, Any], sentence: str, expected: str) -> None:
    told = tracked(journey(**said), NOW, LOS_ANGELES)
    assert sentence in told.sentence
    assert expected in told.expected


def test_nothing_but_the_stage_and_the_day_is_on_the_page(tmp_path: Path) -> None:
    """Every other word of the journey is a canary."""
    held = journey(exceptions=[exception(sentence="CANARY sentence")], vessel="CANARY vessel", place="CANARY place")
    answer = browser(tmp_path, Books(held)).get(link())
    assert answer.status_code == 200
    assert "LACDHS-0001" in answer.text and "come to the port" in answer.text
    words = set(re.findall(r"[A-Za-z0-9-]{4,}", json.dumps(_words(held.model_dump(mode="json")))))
    page = set(re.findall(r"[A-Za-z0-9-]{4,}", re.sub(r"<[^>]*>", " ", answer.text)))
    shown = {word for word in words & page if any(sign.isupper() or sign.isdigit() for sign in word)}
    assert shown <= {"LACDHS-0001"}, shown
    assert "CANARY" not in answer.text


def _words(value: object) -> list[str]:
    if isinstance(value, dict):
        return [word for one in value.values() for word in _words(one)]
    if isinstance(value, list):
        return [word for one in value for word in _words(one)]
    return [value] if isinstance(value, str) and not re.match(r"\d{4}-\d\d-\d\dT", value) else []


def test_the_page_keeps_to_itself(tmp_path: Path) -> None:
    answer = browser(tmp_path, Books(journey())).get(link())
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-robots-tag"] == "noindex"
    assert "set-cookie" not in answer.headers
    assert "<script" not in answer.text
    links = re.findall(r'href="([^"]*)"', answer.text)
    assert [one for one in links if not one.startswith("/static/")] == [
        "http://127.0.0.1:8090/subscribe?consignments=LACDHS-0001"
    ]


def test_whoever_has_no_good_link_learns_nothing(tmp_path: Path) -> None:
    there = browser(tmp_path, Books(journey()))
    forged, old, gone = there.get("/t/AAAA"), there.get(link(days=-1)), there.get(link("LACDHS-0002"))
    assert [answer.status_code for answer in (forged, old, gone)] == [404, 404, 404]
    assert not any("LACDHS" in answer.text for answer in (forged, old, gone))


def test_old_data_says_how_old_it_is(tmp_path: Path) -> None:
    answer = browser(tmp_path, Books(journey(), NOW - timedelta(hours=3))).get(link())
    assert "This is what was known at" in answer.text
    assert "This is what was known at" not in browser(tmp_path, Books(journey())).get(link()).text


def test_clickhouse_away_is_a_sentence(tmp_path: Path) -> None:
    books = Books(journey())
    books.is_away = True
    answer = browser(tmp_path, books).get(link())
    assert answer.status_code == 503
    assert "Try again in a minute" in answer.text


def test_guessing_is_slowed_down(tmp_path: Path) -> None:
    there = browser(tmp_path, Books(journey()))
    statuses = [there.get("/t/AAAA").status_code for _ in range(int(BURST) + 2)]
    assert statuses[0] == 404 and statuses[-1] == 429
