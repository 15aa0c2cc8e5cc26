"""Acting in the console: from the form through the way in's own addresses to the page that shows it, over a real ClickHouse."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr

from schemas.journey_v1 import Journey
from services.console.app import build
from services.console.door import ConsoleDoor
from services.console.entry import Entry
from services.console.people import People
from services.console.settings import ConsoleSettings
from services.console.way_in import Refused
from services.runtime.clickhouse import connect
from services.runtime.clock import ManualClock
from services.runtime.settings import Settings
from services.sink import migrate
from tests.browser import world
from tests.integration.console.acting import Behind
from tests.integration.console.conftest import Books
from tests.unit.sink.examples import journey

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)
PASSWORD = "a password that is long"
HOSTILE = "<script>window.stolen=1</script><b>called</b>"


@pytest.fixture(scope="module")
def port(console_settings: Settings) -> Iterator[Books]:
    settings = console_settings.model_copy(update={"clickhouse_database": f"acting_{uuid.uuid4().hex[:8]}"})
    migrate.apply(settings)
    client = connect(settings, "admin")
    books = Books(client)
    books.write(*world.records(NOW), at=NOW)
    yield books
    client.execute(f"DROP DATABASE {settings.clickhouse_database}")
    client.close()


class Acting:
    """A console with a planner and a viewer, and the way in behind it."""

    def __init__(self, books: Books, folder: Path) -> None:
        settings = ConsoleSettings(kafka="127.0.0.1:1", state_dir=folder, secret_key=SecretStr("k" * 44))
        self.clock = ManualClock(NOW)
        self.books = books
        self.behind = Behind(folder, books, settings, self.clock)
        people = People(folder, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        people.add("ana", "planner", PASSWORD, NOW)
        people.add("ben", "admin", PASSWORD, NOW)
        people.add("viv", "viewer", PASSWORD, NOW)
        entry = Entry(self.behind.settings, people, self.clock)
        self.door = ConsoleDoor(self.behind.settings, books.client, entry, self.clock, way_in=self.behind.way_in)
        self.app = build(self.door)

    async def signed_in(self, name: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app)
        browser = httpx.AsyncClient(transport=transport, base_url="http://console.test", follow_redirects=True)
        await browser.post("/sign-in", data={"name": name, "password": PASSWORD, "next": "/vessels"})
        return browser

    @property
    def sent(self) -> list[tuple[dict[str, Any], Any]]:
        """What stands in the raw log: (meta, body)."""
        records = self.behind.house.log.records
        return [(dict(self.behind.house.kept(n)[0]), json.loads(self.behind.house.kept(n)[1])) for n in range(len(records))]


@pytest.fixture
def acting(port: Books, tmp_path: Path) -> Acting:
    return Acting(port, tmp_path)


@pytest.fixture
async def ana(acting: Acting) -> AsyncIterator[httpx.AsyncClient]:
    browser = await acting.signed_in("ana")
    yield browser
    await browser.aclose()


async def sent(browser: httpx.AsyncClient, page: str, to: str, **fields: Any) -> httpx.Response:
    """Send a form of a page that was just loaded: with the session's token and a `once` of its own."""
    if "csrf" not in browser.headers:  # kept there for the next form
        browser.headers["csrf"] = re.search(r'name="csrf" value="([^"]+)"', (await browser.get("/vessels")).text)[1]  # type: ignore[index]  # it has one
    own = {"csrf": browser.headers["csrf"], "once": uuid.uuid4().hex, "shown_at": NOW.isoformat()}
    return await browser.post(to, data=own | {"next": page} | fields)


def notice(answer: httpx.Response) -> str:
    found = re.search(r'id="did"><span>(.*?)</span>', answer.text)
    return unescape(found[1]) if found else ""


async def rows(browser: httpx.AsyncClient, **given: str) -> dict[str, dict[str, Any]]:
    answer = await browser.get("/api/v1/delayed", params={"exception": "any", "rows": "500"} | given)
    return {row["consignment"]: row for row in answer.json()["rows"]}


async def test_one_or_many_are_taken_care_of_with_a_note_and_it_is_undone(acting: Acting, ana: httpx.AsyncClient) -> None:
    before = await rows(ana, work="to_do")
    two = list(before)[:2]
    chosen = [" ".join([name, *before[name]["keys"]]) for name in two]
    answer = await sent(ana, "/delayed?exception=any", "/act", act="acknowledge", row=chosen, text=HOSTILE)
    assert answer.url.path == "/delayed"
    assert notice(answer) == "You take care of 2 consignments."
    assert HOSTILE not in answer.text
    after = await rows(ana)
    assert [(after[name]["acknowledged_by"], after[name]["note"]) for name in two] == [("ana", HOSTILE)] * 2
    assert two[0] not in await rows(ana, work="to_do")
    assert {(act.by, act.sender) for act in acting.behind.acts.done} == {("ana", "OPS")}
    assert "ana takes care of it" in (await ana.get(f"/consignments/{two[0]}")).text
    undo = [unescape(one) for one in re.findall(r'name="undo" value="([^"]+)"', answer.text)]
    assert len(undo) == 4
    acting.clock.advance(1)
    undone = await sent(ana, "/delayed?exception=any", "/act", act="undo", undo=undo)
    assert notice(undone) == "Undone on 2 consignments."
    after = await rows(ana)
    assert [(after[name]["acknowledged_by"], after[name]["note"]) for name in two] == [("", "")] * 2
    trail = (await ana.get(f"/consignments/{two[0]}")).text
    assert "ana takes care of it" not in trail
    assert trail.count("undone by ana") == 2


async def test_a_form_that_is_sent_twice_is_done_once(acting: Acting, ana: httpx.AsyncClient) -> None:
    shown = (await ana.get("/delayed")).text
    names = ("csrf", "once", "shown_at")
    own = {name: unescape(re.search(rf'name="{name}" value="([^"]+)"', shown)[1]) for name in names}  # type: ignore[index]  # they are there
    form = own | {"act": "snooze", "row": f"{world.STORY} late:arrived", "wait": "4", "next": "/delayed"}
    answers = await asyncio.gather(*(ana.post("/act", data=form) for _ in range(3)))
    acting.clock.advance(90)  # four hours from then would be another time
    answers.append(await ana.post("/act", data=form))
    assert len({notice(answer) for answer in answers}) == 1
    assert "may wait until" in notice(answers[0])
    assert len(acting.behind.acts.done) == 1
    restarted = httpx.ASGITransport(build(acting.door))
    again = httpx.AsyncClient(transport=restarted, base_url="http://console.test", cookies=ana.cookies, follow_redirects=True)
    async with again:
        assert notice(await again.post("/act", data=form)) == notice(answers[0])
        assert len(acting.behind.acts.done) == 1
        count = own | {"do": "receive", "good_1": "5", "next": PAGE}
        await asyncio.gather(*(ana.post(f"{PAGE}/do", data=count) for _ in range(3)))
        assert len(acting.sent) == 1
        acting.clock.advance(90)
        house = acting.behind.house
        house.door.idempotency = type(house.door.idempotency)()  # what a restart of the way in forgets
        await again.post(f"{PAGE}/do", data=count)
    (first, body), (second, same) = acting.sent
    assert body == same
    assert first["once"] == second["once"]  # by which the tracker counts it once


async def test_somebody_is_to_do_it_and_it_may_wait(acting: Acting, ana: httpx.AsyncClient) -> None:
    row = next(iter((await rows(ana, hospital="H-CEDARS")).values()))
    chosen, page = " ".join([row["consignment"], *row["keys"]]), "/delayed?exception=any"
    refused = await sent(ana, page, "/act", act="assign", row=chosen, assignee="Ben Ōkubo")
    assert "Ben Ōkubo is no planner's name here; there are ana, ben." in unescape(refused.text)
    assert "viv" not in (await ana.get(page)).text.partition('<datalist id="people">')[2].partition("</datalist>")[0]
    await sent(ana, page, "/act", act="assign", row=chosen, assignee="ben")
    await sent(ana, page, "/act", act="snooze", row=chosen, wait="morning")
    found = (await rows(ana, assigned="ben"))[row["consignment"]]
    assert found["snoozed_until"] == "2026-11-21T16:00:00Z"  # 08:00 in Los Angeles
    assert row["consignment"] in await rows(ana, work="snoozed")
    await sent(ana, page, "/act", act="take", row=chosen)
    acting.clock.advance(1)


WRONG_ACTS: list[tuple[dict[str, str], str]] = [
    ({"act": "acknowledge"}, "Choose at least one line first."),
    ({"act": "assign", "row": "LVLA-1"}, "Who is to take care of it?"),
    ({"act": "acknowledge", "row": "LVLA-1"}, "Nothing is wrong with LVLA-1"),
    ({"act": "snooze", "row": "LVLA-1 silent", "wait": "forever"}, "Until when may it wait?"),
    ({"act": "snooze", "row": "LVLA-1 silent", "until": "2020-01-01T00:00"}, "This time is past."),
    ({"act": "note", "row": "LVLA-1"}, "What is to be noted?"),
    ({"act": "note", "row": "LVLA-1", "text": "x" * 501}, "At most 500 characters."),
    ({"act": "archive", "row": "LVLA-1"}, "Choose what to do."),
    ({"act": "note", "row": "<b>nobody</b>", "text": "x"}, "String should match pattern"),
]


async def test_what_is_wrong_is_said_and_nothing_is_done(acting: Acting, ana: httpx.AsyncClient) -> None:
    for form, words in WRONG_ACTS:
        answer = await sent(ana, "/delayed?q=nothing-is-so", "/act", **form)
        assert words in notice(answer), form
        assert "<b>nobody</b>" not in answer.text
    assert acting.behind.acts.done == []


async def test_a_viewer_sees_no_forms_and_is_refused(acting: Acting) -> None:
    viewer = await acting.signed_in("viv")
    for page in ("/delayed?exception=any", f"/consignments/{world.STORY}", f"/consignments/{world.STORY}/receive"):
        text = (await viewer.get(page)).text
        assert 'action="/act"' not in text
        assert "/do" not in text
    for to in ("/act", f"/consignments/{world.STORY}/do"):
        assert (await sent(viewer, "/vessels", to, act="note", do="record", row=world.STORY, text="x")).status_code == 403
    assert acting.behind.acts.done == []
    assert acting.sent == []


async def test_a_form_of_another_session_or_site_is_refused(acting: Acting, ana: httpx.AsyncClient) -> None:
    form = {"act": "note", "row": world.STORY, "text": "x", "next": "/delayed"}
    assert (await ana.post("/act", data=form | {"csrf": "0" * 64})).status_code == 403
    shown = (await ana.get("/delayed")).text
    csrf = re.search(r'name="csrf" value="([^"]+)"', shown)[1]  # type: ignore[index]  # it is there
    elsewhere = {"Origin": "https://evil.example"}
    assert (await ana.post("/act", data=form | {"csrf": csrf}, headers=elsewhere)).status_code == 403
    assert acting.behind.acts.done == []
    answer = await ana.post("/act", data=form | {"csrf": csrf, "next": "//evil.example/"})
    assert answer.url.host == "console.test"


async def test_to_undo_what_left_somebody_asleep_says_that_they_are_told_and_to_undo_a_note_does_not(
    acting: Acting, ana: httpx.AsyncClient
) -> None:
    row = list((await rows(ana)).values())[-1]
    whole, name = " ".join([row["consignment"], *row["keys"]]), row["consignment"]
    for form, more in (
        ({"acknowledge": whole}, " A second contact who was left asleep because of it is told now."),
        ({"act": "snooze", "row": whole, "wait": "4"}, " A second contact who was left asleep because of it is told now."),
        ({"act": "note", "row": name, "text": "x"}, ""),
    ):
        acting.clock.advance(1)
        answer = await sent(ana, "/delayed", "/act", **form)
        undo = re.search(r'name="undo" value="([^"]+)"', answer.text)[1]  # type: ignore[index]  # the way back
        wakes = {"wakes": "yes"} if 'name="wakes" value="yes"' in answer.text else {}
        assert notice(await sent(ana, "/delayed", "/act", act="undo", undo=undo, **wakes)) == f"Undone on {name}.{more}"


async def test_without_kafka_or_a_key_a_person_is_told_and_nothing_is_lost_in_silence(
    acting: Acting, ana: httpx.AsyncClient
) -> None:
    acting.behind.acts.away = True
    answer = await sent(ana, "/delayed", "/act", act="note", row=world.STORY, text="x")
    assert answer.status_code == 503
    acting.behind.way_in._settings = acting.behind.settings.model_copy(update={"console_key": None})
    answer = await sent(ana, "/delayed", "/act", act="note", row=world.STORY, text="y")
    assert answer.status_code == 503
    assert "lovla carriers add OPS" in unescape(answer.text)


PAGE = f"/consignments/{world.STORY}"
COMMANDS: list[tuple[dict[str, str], str, dict[str, Any]]] = [
    (
        {"do": "link", "kind": "booking", "value": "BK 77"},
        "action",
        {"command": "link", "reference": {"kind": "booking", "value": "BK 77"}},
    ),
    ({"do": "unlink", "kind": "booking", "value": "BK77"}, "action", {"command": "unlink"}),
    (
        {"do": "appoint", "role": "trucker", "party": "spdr"},
        "action",
        {"command": "appoint", "role": "trucker", "party": "SPDR"},
    ),
    (
        {"do": "receive", "at": "2026-11-20T09:00", "good_1": "1,200", "short_1": "0", "damaged_1": "3"},
        "dock_receipt",
        {
            "occurred_at": "2026-11-20T09:00:00-08:00",
            "lines": [{"line": 1, "good": 1200, "short": 0, "damaged": 3}],
            "final": True,
        },
    ),
]


async def test_a_command_goes_through_the_way_in_under_the_name_of_who_is_signed_in(
    acting: Acting, ana: httpx.AsyncClient
) -> None:
    for number, (form, kind, body) in enumerate(COMMANDS):
        answer = await sent(ana, PAGE, f"{PAGE}/do", **form)
        assert answer.url.path == PAGE
        meta, said = acting.sent[number]
        assert (meta["kind"], meta["sender"], meta["recorded_by"], meta["consignment"]) == (kind, "OPS", "ana", world.STORY)
        assert said.items() >= body.items()
        assert "has not judged it yet" in notice(answer)


async def test_what_nobody_owns_is_linked_from_its_line_and_only_to_what_is_known(
    acting: Acting, ana: httpx.AsyncClient
) -> None:
    said = {"kind": "container", "value": "MRSU4371639"}
    answer = await sent(ana, "/unmatched", "/unmatched/link", **said, consignment="NO-1")
    assert (answer.url.path, acting.sent) == ("/unmatched", [])
    assert "Nothing was done: No consignment NO-1 is known." in unescape(answer.text)
    answer = await sent(ana, "/unmatched", "/unmatched/link", **said, consignment=world.STORY)
    assert answer.url.path == "/unmatched" and "MRSU4371639 is linked." in notice(answer)
    ((meta, body),) = acting.sent
    assert (meta["recorded_by"], meta["consignment"], body["command"]) == ("ana", world.STORY, "link")
    viewer = await acting.signed_in("viv")
    assert (await sent(viewer, "/unmatched", "/unmatched/link", **said, consignment=world.STORY)).status_code == 403
    await viewer.aclose()


async def test_a_phoned_in_status_is_recorded_corrected_and_withdrawn(acting: Acting, ana: httpx.AsyncClient) -> None:
    said = {"do": "record", "milestone": "gate_out", "at": "2026-11-20T08:30", "place": "uslax", "told_by": "José at the gate"}
    answer = await sent(ana, PAGE, f"{PAGE}/do", **said)
    meta, (event,) = acting.sent[0]
    assert meta["recorded_by"] == "ana, told by José at the gate"
    assert event["milestone"] == "gate_out"
    assert event["occurred_at"] == "2026-11-20T08:30:00-08:00"
    assert event["place"] == {"unlocode": "USLAX"}
    assert notice(answer).startswith("Recorded: gate out.")
    recorded = re.search(r'name="event" value="([0-9a-f]{32})"', answer.text)[1]  # type: ignore[index]  # the way back
    await sent(ana, PAGE, f"{PAGE}/do", **said | {"at": "2026-11-20T08:45", "instead": recorded})
    assert acting.sent[1][1][0]["occurred_at"] == "2026-11-20T08:45:00-08:00"
    assert acting.sent[2][1][0]["retracts"] == {"event_id": recorded}
    await sent(ana, PAGE, f"{PAGE}/do", do="withdraw", event=recorded)
    assert acting.sent[3][1][0]["retracts"] == {"event_id": recorded}


async def test_what_was_recorded_stays_when_its_correction_is_refused(acting: Acting, ana: httpx.AsyncClient) -> None:
    answer = await sent(ana, PAGE, f"{PAGE}/do", do="record", milestone="gate_out", at="2026-11-20T08:30")
    recorded = re.search(r'name="event" value="([0-9a-f]{32})"', answer.text)[1]  # type: ignore[index]  # the way back
    correction = {"do": "record", "milestone": "gate_out", "instead": recorded}
    answer = await sent(ana, PAGE, f"{PAGE}/do", **correction, at="2026-12-20T08:30")
    assert notice(answer).startswith("Nothing was done: ")
    assert not [body for _, body in acting.sent if any("retracts" in one for one in body)]
    way_in: Any = acting.door.way_in
    event = way_in.event

    async def once(*said: Any) -> Any:
        """Takes the correction, and is gone when the withdrawal comes."""
        way_in.event = gone
        return await event(*said)

    async def gone(*_: Any) -> None:
        raise Refused("not now")

    way_in.event = once
    answer = await sent(ana, PAGE, f"{PAGE}/do", **correction, at="2026-11-20T08:45")
    assert notice(answer).startswith("Recorded: gate out. What it corrects could not be withdrawn and still counts")


async def test_only_what_people_recorded_for_this_consignment_can_be_withdrawn(acting: Acting, ana: httpx.AsyncClient) -> None:
    shown = (await ana.get(f"/api/v1/consignments/{world.STORY}")).json()["consignment"]
    carriers = next(one["event_id"] for one in shown["said"] if not one["recorded_by"])
    for form in ({"do": "withdraw", "event": carriers}, {"do": "record", "milestone": "gate_out", "instead": carriers}):
        answer = await sent(ana, PAGE, f"{PAGE}/do", **form)
        assert "Only what somebody recorded for this consignment can be withdrawn." in notice(answer)
    assert acting.sent == []


WRONG_FORMS: list[tuple[dict[str, str], str, str]] = [
    ({"do": "record"}, "record-milestone", "Choose what happened."),
    ({"do": "record", "milestone": "arrived", "place": "Los Angeles"}, "record-place", "A UN/LOCODE"),
    ({"do": "record", "milestone": "arrived", "at": "soon"}, "record-at", "Write it as"),
    ({"do": "record", "milestone": "arrived", "at": "2026-12-20T08:00"}, "record-at", ""),
    ({"do": "link", "kind": "container", "value": ""}, "link-value", "Which number?"),
    ({"do": "link", "kind": "container", "value": "<script>é"}, "link-value", ""),
    ({"do": "appoint", "role": "trucker", "party": "no such code!"}, "appoint-party", ""),
    ({"do": "receive", "good_1": "many"}, "receive-good_1", "A whole number"),
    ({"do": "receive", "short_1": "3"}, "receive-good_1", "How many arrived in good order?"),
    ({"do": "receive"}, "receive-all", "Count at least one line."),
    ({"do": "receive", "good_1": "1", "at": "2024-01-01T00:00"}, "receive-at", "more than 400 days"),
]


async def test_what_is_wrong_with_a_form_stands_beside_the_field(acting: Acting, ana: httpx.AsyncClient) -> None:
    for form, field, words in WRONG_FORMS:
        answer = await sent(ana, PAGE, f"{PAGE}/do", **form)
        beside = re.escape(words) if field.endswith("-all") else rf'id="{field}-wrong">{re.escape(words)}'
        assert re.search(beside, answer.text), form
        assert "<script>" not in answer.text.replace("<script src", "")
    assert acting.sent == []


async def test_what_the_tracker_took_is_shown(acting: Acting, ana: httpx.AsyncClient) -> None:
    """The answer waits until the journey that holds it is here."""
    story = next(one for one in world.consignment(1, NOW, ["H-CEDARS"]) if isinstance(one, Journey))
    house = acting.behind.house

    class Tracker:
        """Takes what is asked at once."""

        def append_seen(self, version: int) -> None:
            acting.books.write(story.model_copy(update={"consignment": world.STORY, "version": version}))

    taken = house.log.append

    async def append(key: bytes, value: bytes, headers: list[tuple[str, bytes]], partition: int | None = None) -> Any:
        appended = await taken(key, value, headers, partition)
        Tracker().append_seen(int((NOW + timedelta(hours=1)).timestamp() * 1000))
        return appended

    house.log.append = append  # type: ignore[method-assign]  # a stand-in of the log's, which tells the tracker
    answer = await sent(ana, PAGE, f"{PAGE}/do", do="record", milestone="gate_out")
    assert notice(answer) == "Recorded: gate out."


async def test_a_docks_count_that_the_tracker_judges_late_shows_on_the_hospitals_page_once_it_has(
    acting: Acting, ana: httpx.AsyncClient
) -> None:
    """The page was looked at before the count and between; what was kept of it then is told to nobody."""
    soon = NOW + timedelta(days=1)
    story = journey("LVLA-DOCK", at=NOW, expected_delivery=soon)
    line = story.declaration.items[0]
    acting.books.write(story)

    async def expected() -> int:
        acting.clock.advance(2)
        given = {"hospital": "H-HARBOR", "item": line.category, "days": "60"}
        rows = (await ana.get("/api/v1/inbound", params=given)).json()["rows"]
        return sum(row["quantity"] for row in rows)

    before = await expected()
    page = "/consignments/LVLA-DOCK"
    counted = {"do": "receive", "good_1": str(line.quantity), "short_1": "0", "damaged_1": "0"}
    answer = await sent(ana, page, f"{page}/do", **counted)
    assert "has not judged it yet" in notice(answer)
    assert await expected() == before
    acting.books.write(journey("LVLA-DOCK", version=2, at=NOW, expected_delivery=soon, stage="delivered"))
    assert await expected() == before - line.quantity
