"""Signing in with a local account, in a real Chromium: the way there, a wrong password, the keyboard, the way out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from playwright.sync_api import Browser, BrowserContext, Page, expect

from services.console.app import build
from services.console.door import ConsoleDoor
from services.console.entry import Entry
from services.console.people import People
from services.runtime.clickhouse import connect
from services.runtime.clock import SystemClock
from tests.browser.driving import PATIENCE_MS, POLL_S, Console, served

PASSWORD = "a password that is long"
EVIL = "http://evil.test"


@pytest.fixture(scope="module")
def address(console: Console, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same books, asked by a console that is no demo; ana is a planner of it."""
    folder, clock = tmp_path_factory.mktemp("people"), SystemClock()
    people = People(folder, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    people.add("ana", "planner", PASSWORD, clock.now())
    settings = console.settings.model_copy(update={"console_demo": False})
    asking = connect(settings, "admin")
    door = ConsoleDoor(settings, asking, Entry(settings, people, clock), way_in=console.behind.way_in)
    with served(build(door, poll_s=POLL_S)) as running:
        yield running
    asking.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Somebody's browser."""
    made = browser.new_context(locale="en-US", timezone_id="America/Los_Angeles")
    made.set_default_timeout(PATIENCE_MS)
    yield made
    made.close()


def signed_in(page: Page, address: str) -> None:
    page.goto(f"{address}/sign-in?next=/vessels")
    page.get_by_label("Name").fill("ana")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/vessels")


def test_a_planner_signs_in_where_they_wanted_to_go_and_out_again(context: BrowserContext, address: str) -> None:
    page = context.new_page()
    page.goto(f"{address}/delayed?exception=any")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("ana")
    page.keyboard.press("Tab")
    page.keyboard.type("not her password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    page.get_by_label("Name").fill("Ana")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/delayed?exception=any")
    assert page.evaluate("document.cookie") == ""
    expect(page.locator("datalist#people option")).to_have_attribute("value", "ana")
    before = context.cookies()
    page.locator("details.who summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    context.add_cookies([{k: v for k, v in one.items() if k in ("name", "value", "domain", "path")} for one in before])  # type: ignore[misc]  # what cookies() gave
    page.goto(f"{address}/delayed")
    page.wait_for_url("**/sign-in?next=**")  # the session is over, not only forgotten


def test_a_session_that_somebody_else_chose_is_never_ones_own(browser: Browser, context: BrowserContext, address: str) -> None:
    planted = {"name": "lovla_session", "value": "chosen-by-somebody-else", "url": address}
    context.add_cookies([planted])  # type: ignore[list-item]  # its shape
    signed_in(context.new_page(), address)
    (session,) = [one for one in context.cookies() if one["name"] == "lovla_session"]
    assert session["value"] != planted["value"] and len(session["value"]) > 30
    other = browser.new_context()
    other.add_cookies([planted])  # type: ignore[list-item]  # its shape
    page = other.new_page()
    page.goto(f"{address}/delayed")
    page.wait_for_url("**/sign-in?next=**")
    other.close()


def test_a_page_of_another_site_can_neither_act_nor_look_in(context: BrowserContext, address: str, console: Console) -> None:
    """Its form is sent by itself, token and all, by a browser in which ana is signed in; it frames, and asks to read."""
    page = context.new_page()
    signed_in(page, address)
    page.goto(f"{address}/delayed?exception=any")
    (token, *_) = page.locator("[name=csrf]").evaluate_all("all => all.map((one) => one.value)")
    row = page.locator("tr[data-consignment] [name=acknowledge]").first.get_attribute("value") or ""
    form = (
        f"<form method=post action={address}/act><input name=acknowledge value='{row}'><input name=csrf value={token}></form>"
    )
    evil = f"{form}<script>document.forms[0].submit()</script>"
    context.route(f"{EVIL}/**", lambda route: route.fulfill(body=evil, content_type="text/html"))
    before = list(console.behind.acts.done)
    with page.expect_response(f"{address}/act") as answered:
        page.goto(f"{EVIL}/", wait_until="commit")
    assert answered.value.status in (303, 403)
    assert console.behind.acts.done == before
    if answered.value.status == 303:  # the cookie stayed at home: nobody was signed in
        assert "/sign-in" in answered.value.headers["location"]
    context.unroute(f"{EVIL}/**")
    framed = f"<iframe src={address}/delayed></iframe>"
    context.route(f"{EVIL}/**", lambda route: route.fulfill(body=framed, content_type="text/html"))
    page.goto(f"{EVIL}/", wait_until="commit")
    assert page.frame_locator("iframe").locator("main").count() == 0
    read = f"fetch('{address}/api/v1/today', {{credentials: 'include'}}).then((one) => one.text()).catch(() => 'no')"
    assert page.evaluate(read) == "no"
