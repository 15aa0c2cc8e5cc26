"""The console's pages and API over a real ClickHouse that holds the browser tests' small port, hostile words included."""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
import json
import re
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast, get_args
from zoneinfo import ZoneInfo

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from pydantic import SecretStr

from deploy.local.process import free_ports
from schemas.alerts_v1 import AlertsControl
from schemas.journey_v1 import Journey
from schemas.registers_v1 import Account, Sender
from schemas.words import EXCEPTION_KINDS
from services.console import lists_api, query_api, reports
from services.console.app import build
from services.console.arrow import MEDIA_TYPE, over_http
from services.console.door import ConsoleDoor
from services.console.entry import Entry
from services.console.health_page import FRESH_S, HealthPage
from services.console.letters import Outcome, Retry, by_verb
from services.console.pages import HEADERS, REPORTS, Pages
from services.console.people import People
from services.console.query_api import Api
from services.console.questions import GROUPS, SORTS, DelayedFilter, Narrowed, Order, Questions, facets_of, sql
from services.console.settings import ConsoleSettings
from services.console.subscribers import PAGE
from services.console.verbs_page import Verb
from services.console.way_in import WayIn
from services.ingest.keys import sha256_hex
from services.openapi_export import document
from services.runtime.clickhouse import ClickHouse, DriverClickHouse, connect
from services.runtime.clock import ManualClock
from services.runtime.messages_held import held
from services.runtime.settings import Settings
from services.runtime.spoken import span
from services.sink import migrate
from tests.browser import world
from tests.integration.console.conftest import Books
from tests.unit.sink.examples import exception, journey

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)
PASSWORD = "a password that is long"
PAGES = (
    "/",
    "/delayed",
    f"/letters/{world.digest('letter XSS')}",
    "/consignments",
    *(f"/{name}" for name in REPORTS),
    "/health",
    "/hospitals/H-HARBOR",
)
LISTS = ("/api/v1/delayed", "/api/v1/consignments")
BUYER, CARRIER = "LVLA", "COSU"


@pytest.fixture(scope="module")
def port(console_settings: Settings) -> Iterator[ClickHouse]:
    """A database with the port's data, asked as admin: the reader may read `lovla` only. By one thread: to plan for several
    costs a sixth more, and what threads do is looked at in test_lists.py and test_questions.py."""
    settings = console_settings.model_copy(update={"clickhouse_database": f"port_{uuid.uuid4().hex[:8]}"})
    migrate.apply(settings)
    client = connect(settings, "admin", limits={"max_threads": 1})
    Books(client).write(*world.records(NOW), at=NOW)
    yield client
    client.execute(f"DROP DATABASE {settings.clickhouse_database}")
    client.close()


class Console:
    """A console with somebody in it, and two senders that hold keys."""

    def __init__(
        self, clickhouse: ClickHouse, state_dir: Path, demo: bool, retry: Retry = by_verb, verb: Verb = world.status
    ) -> None:
        settings = ConsoleSettings(kafka="127.0.0.1:1", state_dir=state_dir, secret_key=SecretStr("k" * 44), console_demo=demo)
        self.clock = ManualClock(NOW)
        self.people = People(state_dir, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        senders = {
            BUYER: Sender(code=BUYER, kind="buyer", name="City"),
            CARRIER: Sender(code=CARRIER, kind="ocean_carrier", name="COSCO"),
            "PORT": Sender(code="PORT", kind="operator", name="Port"),
        }
        accounts = {key_id(code): _account(code) for code in senders}
        entry = Entry(settings, self.people, self.clock, lambda: accounts, lambda: senders)
        self.door = ConsoleDoor(settings, clickhouse, entry, self.clock)
        self.app = build(self.door, retry=retry, verb=verb)

    def browser(self, **options: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://console.test", headers=options)

    def holder(self, code: str) -> httpx.AsyncClient:
        return self.browser(Authorization=f"Bearer lovla_{key_id(code)}_{'s' * 43}")


def key_id(code: str) -> str:
    return f"{code.lower():0<12}"[:12]


def _account(code: str) -> Account:
    return Account.model_validate(
        {
            "key_id": key_id(code),
            "sender": code,
            "secret_sha256": sha256_hex("s" * 43),
            "scopes": ["operator"] if code == "PORT" else ["push"],
            "created_at": NOW - timedelta(days=1),
        }
    )


@pytest.fixture
def console(port: ClickHouse, tmp_path: Path) -> Console:
    made = Console(port, tmp_path, demo=False)
    made.people.add("ana", "planner", PASSWORD, NOW)
    return made


@pytest.fixture
async def demo(port: ClickHouse, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with Console(port, tmp_path, demo=True).browser() as browser:
        yield browser


async def csrf_of(browser: httpx.AsyncClient) -> str:
    """What a form of the page brings back."""
    page = await browser.get("/")
    page = await browser.get("/")  # a demo's token comes with the first answer
    found = re.search(r'name="csrf" value="([0-9a-f]{128})"', page.text)
    assert found is not None
    return found[1]


async def signed_in(browser: httpx.AsyncClient) -> httpx.Response:
    return await browser.post("/sign-in", data={"name": "ana", "password": PASSWORD, "next": "/delayed"})


class Hostile(HTMLParser):
    """What a page would run that is not ours."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script" and not (given.get("src") or "").startswith("/static/"):
            self.found.append(f"script {given}")
        if tag in ("iframe", "object", "embed", "base") or (tag == "img" and given.get("src") == "x"):
            self.found.append(f"{tag} {given}")
        for name, value in attrs:
            if name.startswith("on") or (name in ("href", "src", "action") and (value or "").lower().startswith("javascript")):
                self.found.append(f"{tag} {name}={value}")
            if name == "style":
                self.found.append(f"{tag} style={value}")


@pytest.mark.parametrize(
    "path", [*PAGES, f"/consignments/{world.NASTY}", f"/consignments/{world.STORY}", "/consignments?q=<b>"]
)
async def test_a_page_is_read_without_script_and_nothing_that_a_carrier_wrote_runs(demo: httpx.AsyncClient, path: str) -> None:
    page = await demo.get(path)
    assert page.status_code == 200, page.text
    for name, value in HEADERS.items():
        assert page.headers[name] == value
    looked = Hostile()
    looked.feed(page.text)
    assert looked.found == []
    assert "<h1" in page.text
    assert "{{" not in page.text.replace("{{7191*7}}", "")
    assert "50337" not in page.text


_WORDS_TOUCH = re.compile(r"\w+</(?:h1|h2|th|label|legend|summary)>(?:<[^>]*>)*\w+")


@pytest.mark.parametrize("path", ["/delayed", "/consignments", "/feeds", f"/consignments/{world.STORY}"])
async def test_words_of_a_page_stand_apart_without_its_style(demo: httpx.AsyncClient, path: str) -> None:
    """For whoever reads it as text: by a screen reader, a browser of text, or a script."""
    assert _WORDS_TOUCH.findall((await demo.get(path)).text) == []


async def test_each_number_of_today_is_as_long_as_the_list_behind_it(demo: httpx.AsyncClient) -> None:
    page = (await demo.get("/")).text
    told = (await demo.get("/api/v1/today")).json()
    standing, counted = told["today"]["standing"], told["counted"]
    assert {"standing", "inbound"} <= counted.keys()
    lists: dict[str, str] = {
        "open": "/consignments?state=open",
        "in_trouble": "/delayed?exception=any",
        **{kind: f"/delayed?exception={kind}" for kind in EXCEPTION_KINDS},
        "delivered_today": "/consignments?delivered=today",
    }
    assert lists.keys() == standing.keys()
    assert standing["open"] > 10 and standing["short"]
    for name, address in lists.items():
        rows = (await demo.get(f"/api/v1{address}&rows=500")).json()["rows"]
        assert len(rows) == standing[name], name
        assert f'href="{address}"' in page, name
        if name == "short":
            assert "delivered" in {row["stage"] for row in rows}  # what came short is wrong still


async def test_each_number_of_hospitals_is_as_long_as_the_list_behind_it(demo: httpx.AsyncClient) -> None:
    page = unescape((await demo.get("/hospitals")).text)
    hospitals = (await demo.get("/api/v1/hospitals")).json()["rows"]
    (short,) = [
        row for row in (await demo.get("/api/v1/delayed?exception=short")).json()["rows"] if row["stage"] == "delivered"
    ]
    (there,) = [one for one in hospitals if one["facility"] == short["facility"]]
    assert there["critical"] > 0
    for one in [there, *hospitals[:5]]:  # a session may not ask for more at once
        at = f"hospital={one['facility']}"
        lists = {
            "critical": f"/delayed?exception=any&{at}&severity=critical",
            "delayed": f"/delayed?{at}",
            "in_trouble": f"/delayed?exception=any&{at}",
            "first_tier": f"/delayed?exception=any&{at}&tier=1",
            "open": f"/consignments?{at}&state=open",
        }
        for name, address in lists.items():
            rows = (await demo.get(f"/api/v1{address}&rows=500")).json()["rows"]
            assert len(rows) == one[name], (name, one)
            assert f'href="{address}"' in page or not rows, (name, one)


async def test_delayed_leads_to_what_is_wrong_but_not_late(demo: httpx.AsyncClient) -> None:
    found = re.search(r'href="/delayed\?exception=any">All that is wrong: (\d+)<', (await demo.get("/delayed")).text)
    assert found is not None
    rows = (await demo.get("/api/v1/delayed?exception=any&rows=500")).json()["rows"]
    assert len(rows) == int(found[1]) > len((await demo.get("/api/v1/delayed?rows=500")).json()["rows"])
    narrowed = unescape((await demo.get("/delayed?hospital=H-HARBOR")).text)
    assert 'href="/delayed?hospital=H-HARBOR&exception=any">All that is wrong<' in narrowed
    assert "All that is wrong" not in (await demo.get("/delayed?exception=late")).text


@pytest.mark.parametrize(
    ("address", "where", "code"),
    [
        ("/api/v1/today?exception=late", "exception", "unknown_parameter"),
        ("/api/v1/delayed?hopsital=H-HARBOR", "hopsital", "unknown_parameter"),
        ("/api/v1/consignments?cariier=COSU&format=arrow", "cariier", "unknown_parameter"),
        ("/api/v1/consignments?hospital=A&hospital=B", "hospital", "bad_parameter"),
        (f"/api/v1/consignments/{world.STORY}?as_of=2026-11-20T00:00:00Z", "as_of", "unknown_parameter"),
        ("/api/v1/feeds?sender=COSU", "sender", "unknown_parameter"),
        ("/api/v1/inbound?item=masks", "item", "bad_parameter"),
        ("/api/v1/messages?state=sent", "state", "bad_parameter"),
        ("/api/v1/terminals?limit=3", "limit", "unknown_parameter"),
        ("/api/v1/acts", "consignment", "missing_parameter"),
        ("/api/v1/acts?consignment=", "consignment", "missing_parameter"),
        ("/api/v1/etas?format=csv", "vessel", "missing_parameter"),
        ("/api/v1/health?format=xml", "format", "bad_parameter"),
        ("/api/v1/today?zone=Los_Angeles", "zone", "bad_parameter"),
        (f"/v2/events?consignment={world.STORY}&eventType=EQUIPMENTS", "eventType", "bad_parameter"),
        (f"/v2/events?consignment={world.STORY}&UNLocationCode=USLAX", "UNLocationCode", "unknown_parameter"),
    ],
)
async def test_an_address_for_programs_refuses_what_it_would_not_heed(
    demo: httpx.AsyncClient, address: str, where: str, code: str
) -> None:
    answer = await demo.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    (error,) = answer.json()["errors"]
    assert (error["where"], error["code"]) == (where, code)
    assert where in answer.json()["detail"]


UNKNOWN = (
    ("delayed", "hospital=H-HARBUR", "No hospital H-HARBUR is known; did you mean H-HARBOR (Harbor-UCLA Medical Center)?"),
    ("delayed", "exception=any&carrier=ZZZZ", "No carrier or party ZZZZ is known;"),
    (
        "delayed",
        "terminal=LA-FENYX",
        "No terminal or airport LA-FENYX is known; did you mean LA-FENIX (Fenix Marine Services)?",
    ),
    ("delayed", "vessel=EVER+GIFTS", "No vessel or flight EVER GIFTS is known; did you mean EVER GIFTED?"),
    ("consignments", "hospital=LA-FENIX", "No hospital LA-FENIX is known;"),
    ("carriers", "carrier=MEAU", "No carrier or party MEAU is known; did you mean MAEU (Maersk)?"),
    ("feeds", "carrier=ZZZZ", "No carrier or party ZZZZ is known;"),
    ("messages", "consignment=LACDHS-200x", "No consignment LACDHS-200x is known;"),
    ("messages", "hospital=H-HARBUR", "No hospital H-HARBUR is known; did you mean H-HARBOR (Harbor-UCLA Medical Center)?"),
    ("terminals", "terminal=H-HARBOR", "No terminal or airport H-HARBOR is known;"),
    ("unmatched", "carrier=ZZZZ", "No carrier or party ZZZZ is known;"),
    ("vessels", "vessel=EVER+GIFTS", "No vessel or flight EVER GIFTS is known; did you mean EVER GIFTED?"),
)


@pytest.mark.parametrize(("name", "asked", "said"), UNKNOWN)
async def test_what_nobody_knows_is_said_and_is_no_good_news(demo: httpx.AsyncClient, name: str, asked: str, said: str) -> None:
    page = await demo.get(f"/{name}?{asked}")
    assert page.status_code == 200
    text = unescape(re.sub(r"</?code>", "`", page.text))
    assert re.search(rf'role="alert">{re.escape(said)}', text), text
    assert 'class="empty"' not in text
    for form in ("json", "csv", "arrow"):
        refused = await demo.get(f"/api/v1/{name}?{asked}&format={form}")
        assert (refused.status_code, refused.headers["content-type"]) == (400, "application/problem+json"), form
        (error,) = refused.json()["errors"]
        assert error["code"] == "unknown_value" and error["where"] == re.split("[&=]", asked)[-2]
        assert error["text"].startswith(said) and refused.json()["detail"] == error["text"]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("inbound?hospital=H-HARBUR", "No hospital H-HARBUR is known; did you mean H-HARBOR (Harbor-UCLA Medical Center)?"),
        ("etas?vessel=EVER", "No vessel or flight EVER is known; did you mean EVER GIFTED?"),
        ("inbound?item=glvoe", "item is one of n95_respirator, kn95_respirator,"),
        ("gate-outs?terminal=NOPE", "No terminal or airport NOPE is known; known are LA-APMT,"),
        ("interchanges?carrier=ZZZZ", "No carrier or party ZZZZ is known;"),
        ("arrivals?carrier=ZZZZ", "No carrier or party ZZZZ is known;"),
        ("unmapped?carrier=ZZZZ", "No carrier or party ZZZZ is known;"),
        ("claims?carrier=ZZZZ", "No carrier or party ZZZZ is known;"),
        ("dead-letters?carrier=ZZZZ", "No carrier or party ZZZZ is known;"),
        ("acts?consignment=LACDHS-9999", "No consignment LACDHS-9999 is known;"),
    ],
)
async def test_a_list_for_programs_refuses_what_nobody_knows(demo: httpx.AsyncClient, address: str, said: str) -> None:
    refused = await demo.get(f"/api/v1/{address}")
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith(said)


async def test_case_and_blanks_are_forgiven_and_what_is_known_but_has_nothing_stays_nothing(demo: httpx.AsyncClient) -> None:
    for name, asked, meant in (
        ("consignments", "hospital=h%20harbor", "hospital=H-HARBOR"),
        ("delayed", "exception=any&carrier=maeu", "exception=any&carrier=MAEU"),
        ("feeds", "carrier=maersk", "carrier=MAEU"),
        ("terminals", "terminal=la%20fenix", "terminal=LA-FENIX"),
        ("etas", "vessel=ever%20gifted", "vessel=EVER%20GIFTED"),
    ):
        told, same = [(await demo.get(f"/api/v1/{name}?{words}")).json()["rows"] for words in (asked, meant)]
        assert told == same != [], name
    page = unescape((await demo.get("/consignments?hospital=h%20harbor")).text)
    assert re.search(r'<option value="H-HARBOR" selected>', page) and "data-consignment=" in page
    assert 'value="MAEU"' in (await demo.get("/feeds?carrier=maersk")).text
    for page in ("/delayed?carrier=OPS", "/delayed?hospital=adventist&tier=5"):
        text = (await demo.get(page)).text
        assert "Nothing is so." in text and 'role="alert"' not in text
    assert (await demo.get("/api/v1/delayed?carrier=OPS")).json()["rows"] == []
    assert "No unit has been discharged there." in (await demo.get("/terminals?terminal=LB-SSAA&days=1")).text


async def test_a_buyers_key_learns_of_nobody_whom_its_consignments_do_not_name(console: Console) -> None:
    async with console.holder(BUYER) as buyer, console.holder("PORT") as operator:
        mine = {row["vessel"] for row in (await buyer.get("/api/v1/consignments?rows=500")).json()["rows"]} - {""}
        every = {row["vessel"] for row in (await operator.get("/api/v1/consignments?rows=500")).json()["rows"]} - {""}
        others = every - mine
        assert mine and others
        refused = await buyer.get("/api/v1/consignments", params={"vessel": min(others)})
        assert refused.status_code == 400, "a vessel that only others have goods on"
        assert not any(vessel in refused.json()["detail"].partition("is known")[2] for vessel in others)
        assert (await operator.get("/api/v1/consignments", params={"vessel": min(others)})).json()["rows"]


@pytest.mark.parametrize(("word", "register"), [("carrier", "senders"), ("hospital", "facilities")])
async def test_a_buyers_key_learns_nothing_of_the_registers(console: Console, word: str, register: str) -> None:
    """Neither by what is refused nor by what is not: who is registered and what nobody is are told alike."""
    of_hospitals = " WHERE kind NOT IN ('terminal', 'airport')" if word == "hospital" else ""
    asked = f"SELECT code, name FROM {register} FINAL{of_hospitals} ORDER BY code"
    registered = {row["code"]: row["name"] for row in console.door.clickhouse.query(asked)}
    async with console.holder(BUYER) as buyer, console.holder("PORT") as operator:

        async def answer(reader: httpx.AsyncClient, said: str) -> httpx.Response:
            return await reader.get("/api/v1/consignments", params={word: said, "rows": 500})

        answers = {code: await answer(buyer, code) for code in registered}
        mine = {code for code, told in answers.items() if told.status_code == 200}
        others = registered.keys() - mine
        assert mine and others
        assert all(answers[code].json()["rows"] for code in mine), "what none of its own names is as unknown as what nobody is"
        assert (await answer(operator, min(others))).status_code == 200
        for refused in (*(answers[code] for code in others), await answer(buyer, "QQQQ")):
            assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "unknown_value")
            told = refused.json()["detail"].partition("is known")[2]
            assert not any(re.search(rf"\b{re.escape(other)}\b", told) for other in others), told
        if word == "hospital":
            own_names = " ".join(registered[code] for code in mine).casefold()
            parts = sorted({registered[code][:8] for code in others if registered[code][:8].casefold() not in own_names})
            assert parts and [(await answer(buyer, part)).status_code for part in parts[:5]] == [400] * len(parts[:5])


async def test_a_good_empty_answer_lists_no_journeys_and_a_mistyped_word_lists_them_once(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    query = console.door.clickhouse.query

    def counting(text: str, *given: Any, **named: Any) -> Any:
        asked.append(text)
        return query(text, *given, **named)

    monkeypatch.setattr(console.door.clickhouse, "query", counting)
    listing = "ORDER BY max(version) DESC, value"
    async with console.holder("PORT") as operator:
        told = (await operator.get("/api/v1/delayed?vessel=EVER+GIFTED&tier=5")).json()
        assert told["rows"] == [] and not any(listing in text for text in asked)
        for form in ("json", "csv", "arrow"):
            assert (await operator.get(f"/api/v1/delayed?carrier=MEAU&format={form}")).status_code == 400
    assert len([text for text in asked if listing in text]) == 1


@pytest.mark.parametrize("what", get_args(Narrowed))
def test_who_is_named_is_found_without_listing_all(port: ClickHouse, what: Narrowed) -> None:
    questions = Questions(port)
    every = questions.named(what)
    for owner in ("", BUYER):
        named = questions.named(what, owner)
        assert named and [one for one in every if questions.is_named(what, one, owner=owner)] == [
            one for one in every if one in named
        ]
    assert questions.is_named(what, "NOPE", [every[0]]) and not questions.is_named(what, "NOPE")
    middle = every[0][1:-1].lower()
    assert questions.is_named(what, middle, part=True) and not questions.is_named(what, middle)


async def test_who_asks_is_judged_before_what_is_asked(console: Console) -> None:
    async with console.browser() as stranger:
        for address in ("/api/v1/today?exception=late", "/api/v1/acts"):
            assert (await stranger.get(address)).status_code == 401


async def test_a_refusal_names_the_known_parameters_and_pages_for_people_stay_lenient(demo: httpx.AsyncClient) -> None:
    told = (await demo.get("/api/v1/etas?ship=EVER+GIFTED")).json()
    assert [one["code"] for one in told["errors"]] == ["unknown_parameter", "missing_parameter"]
    assert "known are vessel, format" in told["detail"]
    for page in ("/?x=1", "/delayed?hopsital=x", "/vessels?ship=x", "/health?x"):
        assert (await demo.get(page)).status_code == 200


async def test_who_errs_among_the_addresses_for_programs_is_told_what_there_is(demo: httpx.AsyncClient) -> None:
    for path in ("/api/v1/", "/api/v1/delays", "/api/v2"):
        answer = await demo.get(path)
        assert answer.status_code == 404
        assert answer.json()["detail"] == "Nothing is at this address. /api/v1/openapi.json describes all that there are."
    assert "openapi" not in (await demo.get("/nothing")).text.partition("<main")[2]


async def test_the_api_describes_itself_to_whoever_asks_and_pages_lead_there(console: Console) -> None:
    async with console.browser() as anybody:
        told = await anybody.get("/api/v1/openapi.json")
        assert told.json() == json.loads(document("console-openapi.json"))
        again = await anybody.get("/api/v1/openapi.json", headers={"If-None-Match": told.headers["etag"]})
        assert again.status_code == 304
        await signed_in(anybody)
        assert 'href="/api/v1/openapi.json"' in (await anybody.get("/")).text


async def test_the_links_of_a_page_to_the_api_hold(demo: httpx.AsyncClient) -> None:
    page = unescape((await demo.get("/delayed?columns=carrier,goods&rows=5&sort=carrier&reverse=1&exception=late")).text)
    links = re.findall(r'href="(/api/v1/[^"]+)"', page)
    assert len(links) == 3
    for link in links:
        assert (await demo.get(link)).status_code == 200, link


async def test_each_number_of_goods_on_their_way_is_the_sum_of_the_list_behind_it(demo: httpx.AsyncClient) -> None:
    """Of every day from today on, and of all days before it together."""
    page = unescape((await demo.get("/")).text)
    today = (await demo.get("/api/v1/today")).json()["today"]
    overdue = today["overdue"]
    assert overdue["lines"] and overdue["days"] and today["inbound"]
    parts = [({"expected_before": overdue["today"]}, overdue["lines"])]
    parts += [({"expected": day["day"]}, day["lines"]) for day in today["inbound"]]
    for when, lines in parts:
        (name, value) = next(iter(when.items()))
        assert f"{name}={value}" in page
        rows = (await demo.get("/api/v1/consignments", params=when | {"state": "open", "rows": "500"})).json()["rows"]
        sums: dict[tuple[str, str], list[int]] = {}
        for row in rows:
            for category, quantity, unit in row["goods"]:
                line = sums.setdefault((category, unit), [0, 0])
                line[0] += quantity
                line[1] += quantity if row["exception"] else 0
        assert sums == {(category, unit): numbers for category, unit, *numbers in lines}, when
    before = {"expected_before": overdue["today"], "state": "open", "rows": "500"}
    rows = (await demo.get("/api/v1/consignments", params=before)).json()["rows"]
    for day in overdue["days"]:
        assert f"expected={day}" in page
        there = {"expected": day, "state": "open", "rows": "500"}
        of_day = (await demo.get("/api/v1/consignments", params=there)).json()["rows"]
        assert 0 < len(of_day) <= len(rows)


async def test_a_day_is_the_hospitals_own_in_every_way_to_ask_for_it(port: ClickHouse) -> None:
    """A list, its counts, its lines one by one, and a page of it."""
    questions = Questions(port)
    day = next(one.day for one in questions.inbound(NOW, NOW + timedelta(days=30)) if one.day > NOW.date())
    for wanted in (
        DelayedFilter(kinds=(), state="open", expected_on=day),
        DelayedFilter(kinds=(), state="open", expected_before=day),
        DelayedFilter(kinds=(), text="MRSU", expected_before=day),
    ):
        rows = questions.delayed(wanted, NOW)
        assert rows
        for row in rows:
            assert row.expected_delivery is not None
            there = row.expected_delivery.astimezone(ZoneInfo(row.zone)).date()
            assert there == day if wanted.expected_on == day else there < day
        assert facets_of(rows, "") == questions.facets(wanted, NOW, Order())
        assert questions.delayed_page(wanted, NOW, 3, Order())[0] == rows[:3]
        assert list(questions.delayed_rows(wanted, NOW, 1_000, Order())) == rows
    every = questions.delayed(DelayedFilter(kinds=(), state="open"), NOW)
    own = [row for row in every if row.expected_delivery and row.expected_delivery.astimezone(ZoneInfo(row.zone)).date() == day]
    assert len(own) == len(questions.delayed(DelayedFilter(kinds=(), state="open", expected_on=day), NOW))


@pytest.mark.parametrize("path", ["/", "/delayed?exception=any", "/terminals?days=60", f"/consignments/{world.STORY}"])
async def test_a_page_is_packed_for_our_own_pages_and_holds_another_token_each_time(demo: httpx.AsyncClient, path: str) -> None:
    await demo.get(path)  # the demo's own cookie comes with the first answer
    plain = await demo.get(path, headers={"Sec-Fetch-Site": "cross-site"})
    packed = await demo.get(path, headers={"Sec-Fetch-Site": "same-origin"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] in ("br", "gzip")
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    tokens = [set(re.findall(r'name="csrf" value="([^"]+)"', page.text)) for page in (plain, packed)]
    assert [len(one) for one in tokens] == [1, 1] and tokens[0] != tokens[1]
    for name, value in HEADERS.items():
        assert packed.headers[name] == value


async def test_what_nobody_owns_may_be_of_a_consignment_and_a_viewer_cannot_link_it(console: Console) -> None:
    console.people.add("eve", "viewer", PASSWORD, NOW)
    for name, buttons in (("ana", 1), ("eve", 0)):
        async with console.browser() as browser:
            await browser.post("/sign-in", data={"name": name, "password": PASSWORD, "next": "/"})
            page = unescape((await browser.get("/unmatched?carrier=" + world.lost(NOW).sender)).text)
        assert f'href="/consignments/{world.STORY}"' in page
        assert "its container is MRSU4371001: two characters are swapped" in page
        assert page.count(f"Link {world.SLIP} to {world.STORY}") == buttons


async def test_pages_by_cursor_hold_every_row_once_and_in_order(console: Console) -> None:
    """Every sort and every group, in either direction."""
    ways = [(sort, "", reverse) for sort in SORTS for reverse in ("", "1")]
    ways += [("hours", group, "1" if number % 2 else "") for number, group in enumerate(GROUPS)]
    async with console.holder("PORT") as port:
        for sort, group, reverse in ways:
            asked = {"exception": "any", "sort": sort, "group": group, "reverse": reverse}
            whole = (await port.get("/api/v1/delayed", params=asked | {"rows": "500"})).json()
            assert "next" not in whole
            names, cursor = [], ""
            for _ in range(100):
                page = (await port.get("/api/v1/delayed", params=asked | {"rows": "19", "cursor": cursor})).json()
                names += [row["consignment"] for row in page["rows"]]
                cursor = page.get("next", "")
                if not cursor:
                    break
            assert names == [row["consignment"] for row in whole["rows"]], (sort, group, reverse)
            assert len(set(names)) == len(names) > 19, (sort, group)
            console.clock.advance(5)


async def test_a_list_that_is_read_on_hours_later_loses_no_row(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of what is wrong grows by the hour; who stood behind the last row would stand before it by then."""
    hours = itertools.count()
    monkeypatch.setattr(Api, "_now", lambda _self, _questions: NOW + next(hours) * timedelta(hours=1))
    asked = {"exception": "any", "sort": "hours"}
    async with console.holder("PORT") as port:
        whole = (await port.get("/api/v1/delayed", params=asked | {"rows": "500"})).json()
        names, cursor = list[str](), ""
        while cursor or not names:
            page = (await port.get("/api/v1/delayed", params=asked | {"rows": "7", "cursor": cursor})).json()
            names += [row["consignment"] for row in page["rows"]]
            cursor = page.get("next", "")
    assert sorted(names) == sorted(row["consignment"] for row in whole["rows"])


async def test_facets_count_what_choosing_them_would_show(demo: httpx.AsyncClient) -> None:
    page = (await demo.get("/delayed?exception=any&group=carrier")).text
    counted = dict(re.findall(r'<option value="([A-Z]{2,4})"[^>]*>[^<]*\((\d+)\)', page))
    assert len(counted) >= 2
    for carrier, number in itertools.islice(counted.items(), 4):
        rows = (await demo.get("/api/v1/delayed", params={"exception": "any", "carrier": carrier, "rows": "500"})).json()[
            "rows"
        ]
        assert sum(row["carrier"] == carrier for row in rows) == int(number)


async def test_reports_say_how_a_score_is_reckoned_since_when_all_was_read_and_how_long_past_free_time(
    demo: httpx.AsyncClient,
) -> None:
    assert "Score: events with a known code, a zone, valid references" in (await demo.get("/carriers")).text
    assert "Every code heard in 3 days is in a map." in (await demo.get("/feeds?days=3&carrier=OPS")).text
    assert "Everything could be read." in (await demo.get("/feeds?days=3&carrier=OPS")).text
    past = [one for one in (await demo.get("/api/v1/terminals")).json()["rows"] if one["past_free_h"]]
    page = unescape((await demo.get("/terminals")).text)
    assert past and ">dwelling<" not in page
    for one in past:
        assert f'<a href="/delayed?exception=dwell&terminal={one["terminal"]}">{span(one["past_free_h"])}</a>' in page


async def test_an_answer_that_is_known_is_not_sent_again_and_csv_holds_no_formula(demo: httpx.AsyncClient) -> None:
    first = await demo.get("/api/v1/consignments")
    again = await demo.get("/api/v1/consignments", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    sheet = await demo.get("/api/v1/consignments?format=csv")
    assert sheet.headers["content-type"].startswith("text/csv")
    assert not any(cell[:1] in "=+-@" for line in sheet.text.splitlines() for cell in line.split(",") if cell)


def as_cell(value: object) -> str:
    """A value of our JSON as our CSV has it."""
    if isinstance(value, list):
        return "; ".join(" ".join(map(str, one)) if isinstance(one, list) else str(one) for one in value)
    if isinstance(value, bool):
        return str(value).lower()
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text[:1] in tuple("=+-@") else text


@pytest.mark.parametrize(
    "asked",
    [
        "delayed?exception=any&sort=expected&offset=3",
        "delayed?exception=any",
        "delayed?group=hospital&reverse=1",
        "consignments?sort=hours",
        "consignments?",
    ],
)
async def test_a_long_csv_comes_in_pieces_and_says_the_same(port: ClickHouse, tmp_path: Path, asked: str) -> None:
    made = Console(port, tmp_path, demo=True)
    pieces = FastAPI()
    for method, path, endpoint in Api(made.door, csv_whole=7).routes():
        pieces.add_api_route(path, endpoint, methods=[method], response_model=None)
    address = f"/api/v1/{asked}&format=csv"
    async with made.browser() as browser:
        whole = await browser.get(address)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(pieces), base_url="http://console.test") as browser:
        streamed = await browser.get(address)
    assert streamed.content == whole.content
    async with made.browser() as browser:
        rows = (await browser.get(address.replace("format=csv", "rows=500"))).json()["rows"]
    lines = csv.DictReader(io.StringIO(whole.content.decode("utf-8-sig"), newline=""))
    assert list(lines) == [{name: as_cell(value) for name, value in row.items()} for row in rows]
    assert len(whole.text.splitlines()) > 2 * 7
    assert "etag" in whole.headers
    assert "etag" not in streamed.headers
    assert streamed.headers["content-disposition"] == whole.headers["content-disposition"]


@pytest.mark.parametrize("asked", ["delayed?", "delayed?sort=consignment&reverse=1"])
async def test_a_long_csv_tells_each_consignment_once_whatever_changes_while_it_is_written(
    books: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """Its first lines are there; before the others are asked for, what stood last becomes the worst (and the first by its
    name), and what was told already stands where it was not told yet."""

    def late(number: int, hours: float, version: int = 1) -> Journey:
        return journey(f"LVLA-{number}", version=version, exceptions=[exception(late_h=hours)])

    books.write(*(late(number, 100 - number) for number in range(10, 19)))
    stream = books.client.stream

    def after_changes(*question: Any) -> Any:
        books.write(late(18, 200, 2), late(11, 1, 2), late(17, 1, 2), late(19, 150))
        return stream(*question)

    monkeypatch.setattr(books.client, "stream", after_changes)
    pieces = FastAPI()
    for method, path, endpoint in Api(Console(books.client, tmp_path, demo=True).door, csv_whole=3).routes():
        pieces.add_api_route(path, endpoint, methods=[method], response_model=None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(pieces), base_url="http://console.test") as browser:
        sheet = await browser.get(f"/api/v1/{asked}&format=csv")
    told = [line["consignment"] for line in csv.DictReader(io.StringIO(sheet.content.decode("utf-8-sig"), newline=""))]
    assert sorted(told) == [f"LVLA-{number}" for number in range(10, 20)]


@pytest.mark.parametrize("group", ["", "hospital", "exception"])
@pytest.mark.parametrize(
    "wanted",
    [
        DelayedFilter(),
        DelayedFilter(kinds=EXCEPTION_KINDS),
        DelayedFilter(kinds=EXCEPTION_KINDS, work="to_do"),
        DelayedFilter(kinds=()),
        DelayedFilter(kinds=(), state="ended"),
        DelayedFilter(kinds=(), text="MRSU"),
        DelayedFilter(kinds=(), text="maersk"),
        DelayedFilter(kinds=(), hospital="medical", tier=1),
    ],
    ids=str,
)
def test_what_rows_can_be_chosen_by_is_the_same_whoever_counts_it(port: ClickHouse, wanted: DelayedFilter, group: str) -> None:
    """A list that stands on one page is counted here, a longer one by ClickHouse; and a page is the list's beginning."""
    questions = Questions(port)
    rows = questions.delayed(wanted, NOW, order=Order(group=group))
    assert rows
    assert facets_of(rows, group) == questions.facets(wanted, NOW, Order(group=group))
    page, _ = questions.delayed_page(wanted, NOW, 7, Order(group=group))
    assert page == rows[:7]
    assert list(questions.delayed_rows(wanted, NOW, 1_000, Order(group=group))) == rows


async def test_counts_beside_a_list_are_shared_for_seconds_and_say_their_age(port: ClickHouse, tmp_path: Path) -> None:
    made = Console(port, tmp_path, demo=True)
    async with made.browser() as browser:
        first = (await browser.get("/delayed")).text
        made.clock.advance(3)
        assert "counted 3 s ago" in (await browser.get("/delayed")).text
        assert "s ago" not in (await browser.get("/delayed?work=to_do")).text
        made.clock.advance(40)
        assert "s ago" not in (await browser.get("/delayed")).text
    assert "s ago" not in first


async def test_an_address_that_cannot_be_read_says_where(demo: httpx.AsyncClient) -> None:
    refused = await demo.get("/api/v1/delayed?sort=x")
    assert (refused.status_code, refused.json()["errors"][0]["where"]) == (400, "sort")
    assert (await demo.get("/delayed?sort=x")).status_code == 400
    assert (await demo.get("/consignments/NOBODY-1")).status_code == 404


async def test_who_has_no_session_signs_in_first_and_goes_on_where_they_wanted_to(console: Console) -> None:
    async with console.browser() as browser:
        sent = await browser.get("/delayed?severity=major")
        assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in?next=%2Fdelayed%3Fseverity%3Dmajor")
        assert (await browser.get("/api/v1/today")).status_code == 401
        assert (await signed_in(browser)).headers["location"] == "/delayed"
        assert (await browser.get("/delayed")).status_code == 200
        cookie = (await signed_in(browser)).headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie


@pytest.mark.parametrize("going_on", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)"])
async def test_signing_in_leads_to_our_own_pages_only(console: Console, going_on: str) -> None:
    async with console.browser() as browser:
        answer = await browser.post("/sign-in", data={"name": "ana", "password": PASSWORD, "next": going_on})
        assert answer.headers["location"] == "/"


async def test_a_session_that_was_brought_along_is_never_taken_on(console: Console) -> None:
    async with console.browser() as browser:
        browser.cookies.set("lovla_session", "chosen-by-somebody-else")
        answer = await signed_in(browser)
        assert "chosen-by-somebody-else" not in answer.headers["set-cookie"]
    async with console.browser() as other:
        other.cookies.set("lovla_session", "chosen-by-somebody-else")
        assert (await other.get("/")).status_code == 303


async def test_signing_out_ends_the_session_for_every_copy_of_its_cookie(console: Console) -> None:
    async with console.browser() as browser, console.browser() as copy:
        await signed_in(browser)
        copy.cookies.set("lovla_session", browser.cookies["lovla_session"])
        assert (await copy.get("/")).status_code == 200
        token = await csrf_of(browser)
        assert (await browser.post("/sign-out", data={"csrf": token})).status_code == 303
        assert (await copy.get("/")).status_code == 303


async def test_a_form_of_another_page_or_session_changes_nothing(console: Console) -> None:
    async with console.browser() as browser, console.browser() as other:
        await signed_in(browser)
        await signed_in(other)
        token, theirs = await csrf_of(browser), await csrf_of(other)
        assert token != theirs
        good = {"theme": "dark", "next": "/"}
        for data, headers in (
            (good, {}),
            (good | {"csrf": theirs}, {}),
            (good | {"csrf": token}, {"Origin": "https://evil.test"}),
            (good | {"csrf": token}, {"Origin": "null"}),
            (good | {"csrf": token}, {"Sec-Fetch-Site": "cross-site"}),
        ):
            refused = await browser.post("/look", data=data, headers=headers)
            assert refused.status_code == 403, (data, headers)
            assert "set-cookie" not in refused.headers
        taken = await browser.post("/look", data=good | {"csrf": token}, headers={"Origin": "http://console.test"})
        assert taken.status_code == 303
        assert 'data-theme="dark"' in (await browser.get("/")).text
        assert (await browser.get("/look")).status_code == 405


async def test_guessing_is_slowed_down(console: Console) -> None:
    async with console.browser() as browser:
        answers = [(await browser.post("/sign-in", data={"name": "ana", "password": "x" * 12})).status_code for _ in range(12)]
    assert answers[:5] == [401] * 5
    assert set(answers[5:]) == {429}


async def test_a_key_sees_its_own_and_learns_nothing_of_others(console: Console) -> None:
    async with console.holder("PORT") as port, console.holder(CARRIER) as carrier, console.holder(BUYER) as buyer:
        everything = (await port.get("/api/v1/consignments?rows=500")).json()["rows"]
        ours = {row["consignment"] for row in everything if row["carrier"] == CARRIER}
        journeys = [record for record in world.records(NOW) if isinstance(record, Journey)]
        bought = {journey.consignment for journey in journeys if journey.buyer == BUYER}
        assert ours
        assert bought
        listed = (await carrier.get("/api/v1/consignments?rows=500")).json()["rows"]
        assert {row["consignment"] for row in listed} >= ours
        assert len(listed) < len(everything)
        assert not any(row["goods"] or row["sentence"] or row["hospital"] for row in listed)
        assert {row["consignment"] for row in (await buyer.get("/api/v1/consignments?rows=500")).json()["rows"]} == bought
        mine = {row["consignment"] for row in listed}
        for row in everything:
            name = row["consignment"]
            told = await carrier.get(f"/api/v1/consignments/{name}")
            assert told.status_code == (200 if name in mine else 404), name
            if told.status_code == 200:
                assert {one["sender"] for one in told.json()["consignment"]["said"]} <= {CARRIER}
            dcsa = await carrier.get(f"/v2/events?consignment={name}")
            assert bool(dcsa.json()) <= (name in mine)
            console.clock.advance(1)
        for path in ("/api/v1/today", "/api/v1/inbound", "/api/v1/terminals"):
            assert (await carrier.get(path)).status_code == 403
        assert {row["sender"] for row in (await carrier.get("/api/v1/feeds")).json()["rows"]} <= {CARRIER}
        for path in ("/api/v1/carriers", "/api/v1/interchanges"):
            for asked in (path, f"{path}?carrier=PORT"):
                answer = await carrier.get(asked)
                assert answer.status_code == 200
                assert {row["sender"] for row in answer.json()["rows"]} <= {CARRIER}, "its own, whatever it asks for"
        assert (await carrier.get("/api/v1/carriers")).json()["rows"]
        assert (await carrier.get("/api/v1/arrivals")).status_code == 403
        assert (await carrier.get("/")).status_code == 303, "a key opens no page"


async def test_a_filter_does_not_answer_what_a_row_does_not_tell(console: Console) -> None:
    async with console.holder(CARRIER) as carrier:
        whole = (await carrier.get("/api/v1/consignments?rows=500")).json()["rows"]
        for asked in ("item=ventilator", "q=harbor", "severity=critical", "hospital=H-HARBOR", "sort=worst", "tier=1"):
            assert (await carrier.get(f"/api/v1/consignments?rows=500&{asked}")).json()["rows"] == whole, asked


async def test_too_many_requests_of_one_are_refused_and_others_go_on(console: Console) -> None:
    async with console.holder(CARRIER) as carrier, console.holder(BUYER) as buyer:
        answers = [(await carrier.get("/api/v1/consignments?rows=501")).status_code for _ in range(100)]
        assert answers[0] == 400
        assert answers[-1] == 429
        assert (await buyer.get("/api/v1/consignments?rows=1")).status_code == 200


async def test_what_the_pages_of_tables_hold_is_there_for_programs_too(demo: httpx.AsyncClient) -> None:
    for name, listed in lists_api.LISTS.items():
        needed = {"acts": f"&consignment={world.STORY}", "etas": "&vessel=MAERSK+ESSEX"}.get(name, "")
        answer = await demo.get(f"/api/v1/{name}?{needed}")
        assert answer.status_code == 200, answer.text
        rows = answer.json()["rows"]
        if rows:
            assert set(rows[0]) == {field.name for field in fields(listed.row)}  # type: ignore[arg-type]  # each is a dataclass
        assert (await demo.get(f"/api/v1/{name}?format=csv{needed}")).headers["content-type"].startswith("text/csv")
    told = (await demo.get(f"/api/v1/messages?consignment={world.STORY}")).json()["rows"]
    assert [(one["state"], one["consignments"]) for one in told] == [("delivered", [world.STORY])]
    (held,) = (await demo.get("/api/v1/messages?state=suppressed")).json()["rows"]
    assert held["reason"] == "opted_out"
    assert (await demo.get("/api/v1/messages?state=waits")).json()["rows"] == []


@pytest.mark.parametrize(
    ("name", "asked", "at"),
    [("messages", "days=60&", "last_at"), ("unmatched", "days=60&", "last_at"), ("dead-letters", "", "received_at")],
)
async def test_a_list_that_grows_is_read_page_by_page(demo: httpx.AsyncClient, name: str, asked: str, at: str) -> None:
    """By the answer's `next`, which is in its Link header too; a CSV holds all of it."""
    whole = (await demo.get(f"/api/v1/{name}?{asked}")).json()
    assert len(whole["rows"]) > 1 and "next" not in whole
    rows, address = list[Any](), f"/api/v1/{name}?{asked}rows=1"
    while address:
        answer = await demo.get(address)
        page = answer.json()
        assert len(page["rows"]) == 1
        rows += page["rows"]
        link = re.fullmatch(r'<(.+)>; rel="next"', answer.headers.get("link", ""))
        address = link[1] if link else ""
        assert bool(address) == ("next" in page)
    assert rows == whole["rows"]
    lines = csv.DictReader(io.StringIO((await demo.get(f"/api/v1/{name}?{asked}format=csv")).text.lstrip("\ufeff"), newline=""))
    assert [as_cell(row[at]) for row in rows] == [line[at] for line in lines]
    refused = await demo.get(f"/api/v1/{name}?cursor=bm9uZQ")
    assert (refused.status_code, refused.json()["errors"][0]["where"]) == (400, "cursor")


@pytest.mark.parametrize("name", ["messages", "unmatched"])
async def test_a_page_of_a_list_that_grows_leads_to_the_next(
    demo: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    key = {"messages": "notification", "unmatched": "value"}[name]
    rows = (await demo.get(f"/api/v1/{name}?days=60")).json()["rows"]
    monkeypatch.setattr(reports, "FEWER", 1)
    address, seen = f"/{name}?days=60", list[str]()
    while address:
        page = unescape((await demo.get(address)).text)
        table = page[page.index(f'id="{name}"') :].partition("</table>")[0]
        (there,) = [row[key] for row in rows if row[key][:12] in table]
        seen.append(there)
        following = re.search(rf'<a rel="next" href="(/{name}[^"]+)">', page)
        address = following[1] if following else ""
    assert seen == [row[key] for row in rows]


async def test_a_list_of_many_pages_comes_as_one_csv(
    port: ClickHouse, demo: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await demo.get("/api/v1/messages?format=csv&days=60")
    monkeypatch.setattr(query_api, "CSV_WHOLE", 1)
    streamed = await demo.get("/api/v1/messages?format=csv&days=60")
    assert streamed.content == whole.content
    assert ("etag" in whole.headers, "etag" in streamed.headers) == (True, False)


async def test_what_pages_share_is_shared_by_programs_and_says_when_it_was_counted(port: ClickHouse, tmp_path: Path) -> None:
    made = Console(port, tmp_path, demo=True)
    async with made.browser() as browser:
        for name in ("carriers", "feeds", "terminals", "unmatched", "arrivals", "inbound", "interchanges"):
            told = []
            for _ in range(2):
                answer = (await browser.get(f"/api/v1/{name}")).json()
                assert answer.pop("counted")
                told.append(answer["rows"])
                made.clock.advance(20)
            assert told[0] == told[1]
        first = (await browser.get("/api/v1/carriers")).json()["counted"]
        made.clock.advance(20)
        assert (await browser.get("/api/v1/carriers")).json()["counted"] == first
        sheet = await browser.get("/api/v1/carriers?format=csv")
        assert [sheet.headers["lovla-counted"]] == [*first.values()]
        assert "counted" not in (await browser.get("/api/v1/messages")).json()


async def test_a_hospitals_goods_are_counted_once_for_all_and_what_is_late_at_each_look(
    port: ClickHouse, tmp_path: Path
) -> None:
    made, asked = Console(port, tmp_path, demo=True), list[str]()
    query = port.query

    def counting(text: str, *given: Any) -> list[dict[str, Any]]:
        asked.append(text)
        return query(text, *given)

    made.door.clickhouse = cast(ClickHouse, SimpleNamespace(query=counting))
    async with made.browser() as browser:
        told = []
        for _ in range(2):
            told.append(re.findall(r"Counted <time[^>]+>", (await browser.get("/hospitals/H-HARBOR")).text))
            made.clock.advance(20)
    assert told[0] == told[1] != []
    goods = [text for text in asked if text.startswith("-- What is on its way to the hospitals")]
    lists = [text for text in asked if "group_key" in text]
    assert (len(goods), len(lists)) == (1, 2 * 3)


async def test_search_finds_what_has_ended_by_its_names_and_open_work_by_vessel_and_hospital(demo: httpx.AsyncClient) -> None:
    async def found(text: str) -> list[str]:
        answer = await demo.get("/api/v1/consignments", params={"q": text, "rows": 500})
        return [row["consignment"] for row in answer.json()["rows"]]

    ended = (await demo.get("/api/v1/consignments?state=ended")).json()["rows"][0]["consignment"]
    assert ended in await found(ended.lower())
    assert await found("mrsu 437-1001") == [world.STORY]
    assert world.STORY in await found("cedars")
    assert await found("%%%") == []
    said = "What has ended is found by its id or a reference alone"
    for state, told in (("", True), ("ended", True), ("open", False)):
        assert (said in (await demo.get("/consignments", params={"q": "cedars", "state": state})).text) == told


async def test_a_planner_has_a_dead_letter_read_again_and_is_told_what_came_of_it(port: ClickHouse, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []
    begun, go = asyncio.Event(), asyncio.Event()

    async def retry(letter: str, who: str) -> Outcome:
        asked.append((letter, who))
        begun.set()
        await go.wait()
        return Outcome(True, "read now")

    console = Console(port, tmp_path, demo=False, retry=retry)
    console.people.add("ana", "planner", PASSWORD, NOW)
    console.people.add("eve", "viewer", PASSWORD, NOW)
    letter = world.digest("letter MAEU")
    async with console.browser() as browser:
        assert (await browser.get(f"/letters/{letter}")).status_code == 303
        await signed_in(browser)
        assert f"/letters/{letter}" in (await browser.get("/feeds")).text
        assert "expected a comma" in (await browser.get(f"/letters/{letter}")).text
        assert (await browser.get("/letters/0000")).status_code == 404
        again = f"/letters/{letter}/retry"
        assert (await browser.post(again, data={"csrf": "0" * 64})).status_code == 403
        assert asked == []
        form = {"csrf": await csrf_of(browser), "once": "a" * 64}
        running = asyncio.create_task(browser.post(again, data=form))
        await asyncio.wait_for(begun.wait(), 10)
        busy = await browser.post(again, data=form | {"once": "b" * 64})
        assert (busy.status_code, "just now" in busy.text) == (503, True)
        twice = asyncio.create_task(browser.post(again, data=form))  # the same form, pressed once more
        go.set()
        for answer in (await running, await twice):
            assert answer.status_code == 303
            assert "read now" in (await browser.get(answer.headers["location"])).text
    async with console.browser() as browser:
        await browser.post("/sign-in", data={"name": "eve", "password": PASSWORD, "next": "/"})
        assert (await browser.post(again, data={"csrf": await csrf_of(browser)})).status_code == 403
    assert asked == [(letter, "ana")]


def test_an_earlier_view_tells_what_had_become_of_messages_by_then(port: ClickHouse) -> None:
    questions, since, second = Questions(port), NOW - timedelta(days=60), timedelta(seconds=1)
    (now,) = questions.told_about(world.STORY, since, NOW, 10)
    assert now.state == "delivered" and now.last_at is not None
    (then,) = questions.told_about(world.STORY, since, now.last_at - second, 10, earlier=True)
    assert then.state != "delivered" and then.last_at != now.last_at
    assert questions.told_about(world.STORY, since, now.due_at - second, 10, earlier=True) == []


async def test_the_bytes_behind_an_event_are_there_for_programs_that_see_everything(port: ClickHouse, console: Console) -> None:
    event = world.digest("nasty booked")
    sent, payload = world.nasty_message()
    partition, offset = world.NASTY_RAW
    Books(port).write_raw(sent, payload, offset, partition)
    async with console.holder("PORT") as reader, console.holder(CARRIER) as carrier:
        told = await reader.get(f"/api/v1/raw/{event}")
        assert (told.status_code, told.content) == (200, payload), told.text
        assert told.headers["content-type"] == "application/octet-stream"
        assert told.headers["content-disposition"].startswith("attachment")
        assert (told.headers["lovla-sender"], told.headers["lovla-sha256"]) == (sent.sender, sent.sha256)
        again = await reader.get(f"/api/v1/raw/{event}", headers={"If-None-Match": told.headers["etag"]})
        assert again.status_code == 304
        assert (await reader.get("/api/v1/raw/" + "0" * 32)).status_code == 404
        assert (await carrier.get(f"/api/v1/raw/{event}")).status_code == 403


# --- Arrow


async def test_lists_come_as_an_arrow_stream_with_the_same_rows(
    port: ClickHouse, console_settings: Settings, tmp_path: Path
) -> None:
    from pyarrow import ipc  # of the local stack's own packages

    made = Console(port, tmp_path, demo=True)
    database = port.query("SELECT currentDatabase() AS name")[0]["name"]
    there = made.door.settings.model_copy(
        update={
            "clickhouse_host": console_settings.clickhouse_host,
            "clickhouse_http_port": console_settings.clickhouse_http_port,
            "clickhouse_database": database,
        }
    )
    made.door.arrow = over_http(there, "admin", console_settings.clickhouse_admin_password)
    async with made.browser() as viewer, made.holder(BUYER) as buyer:
        told = f"/api/v1/messages?consignment={world.STORY}"
        for path in (
            "/api/v1/delayed?exception=any",
            "/api/v1/consignments?q=maer",
            "/api/v1/feeds",
            "/api/v1/hospitals",
            "/api/v1/dead-letters",
            told,
        ):
            rows = (await viewer.get(path + ("&rows=500" if "?" in path else ""))).json()["rows"]
            answer = await viewer.get(path, headers={"Accept": MEDIA_TYPE})
            assert answer.status_code == 200 and answer.headers["content-type"] == MEDIA_TYPE, answer.text
            table = ipc.open_stream(answer.content).read_all()
            assert table.num_rows == len(rows) > 0
            assert set(table.column_names) == set(rows[0])
            first = table.column_names[0]
            assert table.column(first).to_pylist() == [row[first] for row in rows]
        hostile = await viewer.get("/api/v1/delayed", params={"format": "arrow", "hospital": "a'\\\t') OR 1=1 --\\"})
        assert hostile.status_code == 400 or ipc.open_stream(hostile.content).read_all().num_rows == 0
        assert (await buyer.get("/api/v1/delayed?format=arrow")).status_code == 403


def test_the_products_own_reader_may_ask_for_arrow(console_settings: Settings, tmp_path: Path) -> None:
    from pyarrow import ipc  # of the local stack's own packages

    migrate.apply(console_settings)  # the reader's grants are for `lovla` alone
    settings = ConsoleSettings(**console_settings.model_dump() | {"state_dir": tmp_path})
    ask = over_http(settings, "reader", console_settings.clickhouse_reader_password)
    for name, params in (("vessels", {"limit": 10, "vessel": "a'\\\t"}), ("silent_feeds", {})):
        assert ipc.open_stream(ask(f"SELECT * FROM ({sql(name)})", params)).read_all().num_rows == 0


# --- what verbs tell


async def told_by_verb(words: Sequence[str]) -> list[dict[str, object]]:
    if words[0] == "mailbox":
        return [
            {
                "number": 1,
                "kind": "email",
                "at": "2026-11-20T09:00:00Z",
                "to": "a@b.example",
                "subject": world.HOSTILE,
                "text": "x",
            }
        ]
    assert list(words) == ["explain", world.STORY, "--for", "s1"]
    return [{"what": "held", "at": "2026-11-20T09:00:00+00:00", "text": "tier 3 is not asked for", "where": ""}]


async def test_who_asked_for_what_is_told_without_addresses(port: ClickHouse, tmp_path: Path) -> None:
    one: dict[str, object] = {
        "subscription": "s" * 16,
        "channel": "email",
        "address": "buyer@hospital.example",
        "state": "active",
        "label": world.HOSTILE,
    }
    one |= {"filters": {"tiers": [1, 2], "severity": "major"}, "quiet": ["22:00", "06:00"], "zone": "America/Los_Angeles"}

    def alerts(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer lovla_key" and request.url.path == "/v1/subscriptions"
        return httpx.Response(200, json={"subscriptions": [one]})

    made = Console(port, tmp_path, demo=True, verb=told_by_verb)
    settings = made.door.settings.model_copy(update={"console_key": SecretStr("lovla_key")})
    made.door.way_in = WayIn(settings, httpx.MockTransport(alerts))
    async with made.browser() as viewer:
        page = (await viewer.get("/subscriptions")).text
        assert "tiers 1, 2; severity major" in page and "quiet 22:00 to 06:00" in page
        assert "hospital.example" not in page and "<script>window" not in page
        why = (await viewer.get("/messages/why", params={"subscription": "s1", "consignment": world.STORY})).text
        assert "tier 3 is not asked for" in why
        assert (await viewer.get("/messages/why?subscription=--help&consignment=x")).status_code == 400
        mailbox = (await viewer.get("/mailbox")).text
        assert "a@b.example" in mailbox and "<script>window" not in mailbox


async def test_messages_name_who_they_went_to_without_addresses(port: ClickHouse, tmp_path: Path) -> None:
    told = port.query("SELECT DISTINCT subscription AS id FROM notifications ORDER BY id")
    one = {"subscription": told[0]["id"], "channel": "email", "address": "buyer@hospital.example", "state": "active"}
    one |= {"label": "Night desk <b>", "owner": BUYER}
    many = [one | {"subscription": f"0{number:015}"} for number in range(PAGE)]  # who stands behind the first page is named too
    asked: list[str] = []

    def alerts(request: httpx.Request) -> httpx.Response:
        asked.append(after := request.url.params.get("after", ""))
        return httpx.Response(200, json={"subscriptions": [one] if after else many})

    made = Console(port, tmp_path, demo=True)
    settings = made.door.settings.model_copy(update={"console_key": SecretStr("lovla_key")})
    made.door.way_in = WayIn(settings, httpx.MockTransport(alerts))
    async with made.browser() as viewer:
        for path in ("/messages?days=60", "/messages?days=60"):
            page = unescape((await viewer.get(path)).text)
            assert "Night desk <b>" in page and f"{one['subscription']}, {BUYER}, email" in page
            assert "hospital.example" not in page
        about = port.query(
            "SELECT any(consignments)[1] AS id FROM notifications WHERE subscription = {of:String}", {"of": told[0]["id"]}
        )
        of_one = unescape((await viewer.get(f"/consignments/{about[0]['id']}")).text)
        assert "Night desk <b>" in of_one and f"{one['subscription']}, {BUYER}, email" in of_one
        assert asked == ["", many[-1]["subscription"]]
    away = Console(port, tmp_path, demo=True)
    away.door.way_in = WayIn(settings, httpx.MockTransport(lambda request: httpx.Response(503)))
    async with away.browser() as viewer:
        assert str(one["subscription"]) in (await viewer.get("/messages?days=60")).text


async def test_while_messages_are_held_back_every_page_says_so_and_why(port: ClickHouse, tmp_path: Path) -> None:
    made = Console(port, tmp_path, demo=True)
    switch = AlertsControl(act="pause", at=NOW, by="maria", reason="<b>wrong plans")
    made.door.held = lambda: held(switch)
    said = f"No message goes to subscribers: PAUSED since {NOW:%Y-%m-%d %H:%M} UTC by maria: &lt;b&gt;wrong plans"
    async with made.browser() as browser:
        for page in ("/health", "/messages", "/"):
            assert said in (await browser.get(page)).text
        switch = AlertsControl(act="resume", at=NOW, by="maria")
        assert "No message goes" not in (await browser.get("/health")).text


async def test_a_hospitals_page_is_shared_by_a_link_that_tells_goods_and_nothing_of_who_brings_them(console: Console) -> None:
    async with console.browser() as ana, console.browser() as anybody:
        await signed_in(ana)
        assert (await anybody.post("/hospitals/H-HARBOR/share")).status_code in (303, 403)
        made = await ana.post("/hospitals/H-HARBOR/share", data={"csrf": await csrf_of(ana)})
        told = (await ana.get(made.headers["location"])).text
        token = re.search(r"/h/([\w-]+)", told)
        assert token is not None
        page = await anybody.get(f"/h/{token[1]}")
        assert page.status_code == 200 and "On its way to" in page.text and "surgical mask" in page.text
        assert not re.search(r"LACDHS|MASKLA|LVLA|MRSU|MAEU|COSU|<script", page.text)
        assert (await anybody.get(f"/t/{token[1]}")).status_code == 404
        assert (await anybody.get(f"/h/{token[1][:-2]}")).status_code == 404
        console.clock.advance(31 * 86_400)
        assert "too old" in (await anybody.get(f"/h/{token[1]}")).text


async def test_a_vessels_page_tells_who_says_when_it_arrives(demo: httpx.AsyncClient) -> None:
    page = (await demo.get("/vessels", params={"vessel": "MAERSK ESSEX"})).text
    told = page.partition("Arrival of MAERSK ESSEX, by source")[2]
    assert re.findall(r'href="/feeds\?carrier=([A-Z]+)"', told) and "estimated" in told
    assert "by source" not in (await demo.get("/vessels")).text.partition("<table")[0]


async def test_health_tells_what_serves_what_is_wrong_and_where_it_says_what_to_do(port: ClickHouse, tmp_path: Path) -> None:
    asked: list[Sequence[str]] = []

    async def verb(words: Sequence[str]) -> list[dict[str, Any]]:
        asked.append(words)
        (told,) = await world.status(words)
        told["conditions"][0]["what"] = world.HOSTILE
        return [told]

    made = Console(port, tmp_path, demo=True, verb=verb)
    async with made.browser() as viewer:
        page = (await viewer.get("/health")).text
        assert "not ready" in page and "tracker-0" in page and "1,234" in page and "<script>window" not in page
        assert "docs/operations/consumer-lag.md" in page and "Rules that fire" not in page
        await viewer.get("/health")
        assert asked == [["status", "--state-dir", str(tmp_path)]]  # the answer is told again, while it is fresh
        made.clock.advance(60)
        await viewer.get("/health")
        assert len(asked) == 2


async def test_health_shows_who_died_at_once_to_all_who_look_and_asks_once(port: ClickHouse, tmp_path: Path) -> None:
    asked: list[Sequence[str]] = []

    async def verb(words: Sequence[str]) -> list[dict[str, Any]]:
        asked.append(words)
        (told,) = await world.status(words)
        if len(asked) > 1:
            await asyncio.sleep(0.1)
            told["parts"][0] |= {"state": "died", "reason": "not running any more"}
        return [told]

    made = Console(port, tmp_path, demo=True, verb=verb)
    async with made.browser() as viewer:
        assert "died" not in (await viewer.get("/health")).text
        made.clock.advance(FRESH_S + 1)
        pages = await asyncio.gather(*(viewer.get("/health") for _ in range(20)))
        assert [page.text.count("not running any more") for page in pages] == [1] * 20
        assert len(asked) == 2


async def test_health_says_that_nobody_answers(port: ClickHouse, tmp_path: Path) -> None:
    is_stuck = False

    async def verb(words: Sequence[str]) -> list[dict[str, Any]]:
        if is_stuck:
            await asyncio.sleep(60)
        return await world.status(words)

    made = Console(port, tmp_path, demo=True)
    pages = Pages(made.door)
    page = HealthPage(made.door, pages, verb, wait_s=0.05)
    app = FastAPI()
    app.add_api_route("/health", page.shown, response_model=None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://console.test") as viewer:
        assert "gave no answer" not in (await viewer.get("/health")).text
        at, is_stuck = f"{NOW.astimezone(ZoneInfo('America/Los_Angeles')):%H:%M:%S}", True
        made.clock.advance(FRESH_S + 1)
        told = (await viewer.get("/health")).text
        assert f"Services as they were at {at}." in told and "gave no answer within" in told
    assert page._asking is not None
    page._asking.cancel()


async def test_health_is_there_while_clickhouse_is_not(console_settings: Settings, tmp_path: Path) -> None:
    (nobody,) = free_ports(1)
    away = connect(console_settings.model_copy(update={"clickhouse_port": nobody}), "admin")
    async with Console(away, tmp_path, demo=True).browser() as viewer:
        answer = await viewer.get("/health")
        assert answer.status_code == 200 and "tracker-0" in answer.text
        assert "ClickHouse gave no answer in time" in answer.text


async def test_health_tells_which_rules_fire_and_that_it_does_not_know(port: ClickHouse, tmp_path: Path) -> None:
    fires = {
        "labels": {"alertname": "SinkDown", "severity": "page", "runbook": "sink-down"},
        "annotations": {"summary": world.HOSTILE},
        "state": "firing",
        "activeAt": "2026-11-20T17:00:00.123456789Z",
        "value": "1e+00",
    }
    answers = [httpx.Response(200, json={"status": "success", "data": {"alerts": [fires]}}), httpx.Response(502)]
    made = Console(port, tmp_path, demo=True)
    made.door.settings = made.door.settings.model_copy(update={"console_prometheus": "http://prometheus.test"})
    page = HealthPage(made.door, Pages(made.door), world.status, httpx.MockTransport(lambda request: answers.pop(0)))
    (told,) = await page._firing()
    assert [cell.value for cell in told.rows[0]][::4] == ["SinkDown", "docs/operations/sink-down.md"]
    (told,) = await page._firing()
    assert not told.rows and "not known" in told.empty


async def test_the_mailbox_is_the_demos_alone(console: Console) -> None:
    async with console.browser() as ana:
        await ana.post("/sign-in", data={"name": "ana", "password": PASSWORD})
        assert (await ana.get("/mailbox")).status_code == 404
        assert 'href="/mailbox"' not in (await ana.get("/")).text


# --- what stands there when something is wrong


@pytest.mark.parametrize(
    ("minutes", "state", "says"),
    [
        (0, "live", "here within seconds"),
        (3, "behind", "this is what was known 3 min ago"),
        (90, "stale", "this is what was known 1.5 h ago. See Health."),
    ],
)
async def test_every_page_says_how_old_what_it_tells_is(
    port: ClickHouse, tmp_path: Path, minutes: int, state: str, says: str
) -> None:
    made = Console(port, tmp_path, demo=True)
    made.clock.advance(minutes * 60)
    async with made.browser() as browser:
        for path in ("/", "/delayed", f"/consignments/{world.STORY}", "/feeds"):
            page = (await browser.get(path)).text
            assert re.search(rf'id="freshness"[^>]*data-state="{state}"[^>]*>[^<]*{re.escape(says)}', page), path
            assert ("What stands here is old. Before you act on it, call" in page) == (state == "stale")


async def test_before_anything_was_read_pages_say_so_and_are_empty_in_words(books: Books, tmp_path: Path) -> None:
    made = Console(books.client, tmp_path, demo=True)
    async with made.browser() as browser:
        for path, says in (
            ("/", "Nothing is wrong with any consignment."),
            ("/delayed", "Nothing is late, and nothing will be."),
            ("/consignments", "No consignment is registered yet."),
            ("/hospitals", "No hospital expects anything."),
            ("/vessels", "No vessel or flight is known."),
            ("/terminals", "No unit has been discharged at any terminal."),
            ("/carriers", "Nobody has sent anything."),
            ("/feeds", "No sender is known yet."),
            ("/unmatched", "Every event belongs to a consignment."),
            ("/messages", "Nobody was told anything."),
        ):
            page = await browser.get(path)
            assert page.status_code == 200
            assert 'data-state="unknown"' in page.text and "nothing has been read" in page.text
            assert says in unescape(page.text), path


async def test_while_clickhouse_is_away_each_address_says_so_and_that_one_may_try_again(tmp_path: Path) -> None:
    away = DriverClickHouse("127.0.0.1", free_ports(1)[0], "lovla", "reader", "", 2)
    made = Console(away, tmp_path, demo=True)
    async with made.browser() as browser:
        for path in ("/", "/delayed", f"/consignments/{world.STORY}", "/hospitals/H-HARBOR", "/terminals"):
            page = await browser.get(path)
            assert page.status_code == 503
            assert "ClickHouse gave no answer in time; try again." in page.text
            assert "Try again</a>" in page.text and "Traceback" not in page.text
        for path in ("today", "delayed", "messages", "carriers", "consignments/X-1", "delayed?format=csv"):
            answer = await browser.get(f"/api/v1/{path}")
            assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
            assert int(answer.headers["retry-after"]) > 0
    away.close()
