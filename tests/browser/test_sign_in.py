"""Signing in with a local account, in a real Chromium: the way there, a wrong password, the keyboard, the way out."""

from __future__ import annotations

from pathlib import Path

from argon2 import PasswordHasher
from playwright.sync_api import Browser, expect

from services.console.app import build
from services.console.door import ConsoleDoor
from services.console.entry import Entry
from services.console.people import People
from services.runtime.clickhouse import connect
from services.runtime.clock import SystemClock
from tests.browser.driving import Console, served

PASSWORD = "a password that is long"


def test_a_planner_signs_in_where_they_wanted_to_go_and_out_again(browser: Browser, console: Console, tmp_path: Path) -> None:
    """The same books, asked by a console that is no demo."""
    people, clock = People(tmp_path, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)), SystemClock()
    people.add("ana", "planner", PASSWORD, clock.now())
    settings = console.settings.model_copy(update={"console_demo": False})
    asking = connect(settings, "admin")
    door = ConsoleDoor(settings, asking, Entry(settings, people, clock), way_in=console.behind.way_in)
    with served(build(door)) as address:
        context = browser.new_context(locale="en-US", timezone_id="America/Los_Angeles")
        context.set_default_timeout(30_000)
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
        context.close()
    asking.close()
