"""Acting in a real Chromium: by keyboard, with many lines at once, without scripts, with a phone; sound in both themes."""

from __future__ import annotations

import re

from playwright.sync_api import Page

from tests.browser import world
from tests.browser.conftest import NARROW, Opening
from tests.browser.driving import Console
from tests.browser.test_pages import violations

HOSTILE = "<img src=x onerror=window.stolen=1>{{7*7}}"
LIST = "/delayed?exception=any"
STORY = f"/consignments/{world.STORY}"


def row(page: Page, at: int) -> str:
    return str(page.locator("tr[data-consignment]").nth(at).get_attribute("data-consignment"))


def said(page: Page) -> str:
    page.locator("#did").wait_for()
    return page.locator("#did span").first.inner_text()


def sound(page: Page) -> list[str]:
    """What axe finds in both themes, with everything unfolded."""
    page.evaluate("document.querySelectorAll('main details').forEach((one) => (one.open = true))")
    found = violations(page)
    page.emulate_media(color_scheme="dark")
    found += violations(page, rules=["color-contrast", "link-in-text-block"])
    page.emulate_media(color_scheme="light")
    return found


def test_a_line_is_taken_care_of_and_undone_by_keyboard_alone_without_a_reload(open_page: Opening) -> None:
    page = open_page(LIST)
    page.evaluate("window.marked = true")
    first = row(page, 0)
    taken = page.locator(f"tr[data-consignment='{first}'][data-acknowledged]")
    page.keyboard.press("j")
    page.keyboard.press("a")
    taken.wait_for()
    assert said(page) == f"You take care of {first}."
    assert page.evaluate("document.activeElement.closest('tr')?.dataset.consignment") == first  # one is where one was
    assert sound(page) == []
    page.keyboard.press("u")
    taken.wait_for(state="detached")
    assert said(page).startswith(f"Undone on {first}. A second contact")
    assert page.evaluate("window.marked") is True


def test_many_lines_get_a_note_and_what_it_says_is_text(open_page: Opening, console: Console) -> None:
    page = open_page(LIST)
    names = [row(page, 1), row(page, 2)]
    page.get_by_text("With the chosen lines").click()
    page.get_by_role("button", name="Do it").click()
    assert said(page) == "Nothing was done: Choose at least one line first."
    for name in names:
        page.get_by_role("checkbox", name=f"Choose {name}", exact=True).check()
    page.locator("#acts [name=act]").select_option("note")
    page.locator("#acts [name=text]").fill(HOSTILE)
    page.keyboard.press("Enter")
    page.get_by_text("Noted on 2 consignments.").wait_for()
    assert page.locator(f"tr[data-consignment='{names[0]}'] .note").inner_text() == f"demo: {HOSTILE}"
    assert {act.by for act in console.behind.acts.done} == {"demo"}
    page.goto(f"{console.address}/consignments/{names[1]}")
    assert HOSTILE in page.locator(".trail").first.inner_text()
    assert page.evaluate("window.stolen") is None
    assert page.locator("main img").count() == 0


def test_all_of_it_goes_without_scripts(open_page: Opening) -> None:
    page = open_page(LIST, java_script_enabled=False)
    name = row(page, 3)
    page.get_by_role("checkbox", name=f"Choose {name}", exact=True).check()
    page.get_by_text("With the chosen lines").click()
    page.locator("#acts [name=act]").select_option("snooze")
    page.get_by_role("button", name="Do it").click()
    assert f"{name} may wait until" in said(page)
    assert page.locator(f"tr[data-consignment='{name}']").get_by_text("waits until").is_visible()
    page.get_by_role("button", name="Undo").click()
    assert said(page).startswith(f"Undone on {name}. A second contact")
    assert "/delayed?exception=any&did=" in page.url


def test_a_form_says_what_is_wrong_beside_the_field_and_keeps_what_was_typed(open_page: Opening, console: Console) -> None:
    page = open_page(STORY)
    before = len(console.behind.house.log.records)
    page.get_by_text("Record a phoned-in status").click()
    form = page.locator("form", has=page.locator("[value=record]"))
    form.locator("[name=milestone]").select_option("gate_out")
    form.get_by_label("Where").fill("Los Angeles")
    form.get_by_label("Who told you").fill("José")
    form.get_by_role("button", name="Record").click()
    page.locator("#record-place-wrong").wait_for()
    assert form.get_by_label("Who told you").input_value() == "José"
    assert form.get_by_label("Where").get_attribute("aria-invalid") == "true"
    assert sound(page) == []
    form.get_by_label("Where").fill("uslax")
    form.get_by_role("button", name="Record").click()
    page.get_by_text("Recorded: gate out.").wait_for()
    assert len(console.behind.house.log.records) == before + 1
    page.keyboard.press("u")
    page.get_by_text("Withdrawn").wait_for()


def test_a_hospital_confirms_a_receipt_on_a_phone(open_page: Opening, console: Console) -> None:
    page = open_page("/hospitals/H-CEDARS", viewport=NARROW, has_touch=True)
    page.get_by_role("link", name=re.compile("^Confirm ")).first.tap()
    page.wait_for_url("**/receive")
    page.get_by_label("Good").first.fill("1200")
    page.get_by_label("Damaged").first.fill("3")
    assert sound(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    page.get_by_role("button", name="Confirm the receipt").tap()
    page.get_by_text("The count is recorded.").wait_for()
    assert b'"good": 1200' in console.behind.house.log.records[-1][2]
