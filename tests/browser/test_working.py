"""Working with the console in a real Chromium: by keyboard alone, by every filter, live, and with nothing but the console."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import pytest
from playwright.sync_api import Page, Route, expect

from schemas.journey_v1 import Journey
from tests.browser import world
from tests.browser.conftest import Opening
from tests.browser.driving import Console
from tests.unit.sink.examples import exception

FILTERS = {
    "/delayed?exception=any": {
        "q": "MRSU43710",
        "exception": "overdue",
        "hospital": "H-CEDARS",
        "carrier": "COSU",
        "terminal": "LA-APMT",
        "vessel": "EVER GIFTED",
        "item": "glove",
        "tier": "2",
        "severity": "critical",
        "stage": "at_port",
        "work": "acknowledged",
        "expected": "2026-11-22",
        "group": "carrier",
    },
    "/consignments?expected_before=2099-01-01": {"state": "trouble", "expected_before": "1999-01-01"},
    "/vessels": {"vessel": "MAERSK ESSEX"},
    "/terminals?days=60": {"terminal": "LA-APMT", "days": "1"},
    "/carriers?days=60": {"carrier": "COSU", "days": "1"},
    "/feeds?days=60": {"carrier": "COSU", "days": "1"},
    "/unmatched": {"carrier": "MAEU", "days": "1"},
    "/messages": {
        "hospital": world.HOSPITAL,
        "consignment": world.STORY,
        "subscription": "5" * 16,
        "state": "delivered",
        "days": "1",
    },
    "/messages/why": {"subscription": "s1", "consignment": world.STORY},
}
"""Page -> field -> a value. That a list gets shorter by it stands below; that each means the same as in the API, in
tests/integration/console."""


def test_the_list_is_worked_through_by_keyboard_alone(open_page: Opening) -> None:
    page = open_page("/delayed?exception=any")
    rows = page.locator("tr[data-consignment]")
    names = rows.evaluate_all("rows => rows.map((row) => row.dataset.consignment)")
    focused = "document.activeElement.closest('tr').dataset.consignment"
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate(focused) == names[1]
    page.keyboard.press("k")
    assert page.evaluate(focused) == names[0]
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/consignments/**")
    assert page.locator("h1").inner_text() == names[1]
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find"
    page.keyboard.type("jjj")  # typed, not obeyed
    assert page.locator("#find").input_value() == "jjj"


@pytest.mark.parametrize("path", FILTERS)
def test_every_filter_stands_in_the_address_and_comes_back_with_it(open_page: Opening, path: str) -> None:
    """Those of a page are found on it: one that is new has to be named above."""
    page = open_page(path)
    address, fields = page.url, page.locator("form.filters :is(input, select):not([type=hidden])")
    same = FILTERS["/delayed?exception=any"].keys() - {"exception"} if path.startswith("/consignments") else set()
    assert set(fields.evaluate_all("all => all.map((one) => one.name)")) == FILTERS[path].keys() | same
    for name, value in FILTERS[path].items():
        page.goto(address)
        chosen(page, name, value)
        assert f"{name}={quote_plus(value)}" in page.url
        assert page.locator(f"form.filters [name={name}]").input_value() == value


def chosen(page: Page, name: str, value: str) -> None:
    """As somebody does who uses the mouse where there is something to choose, else types and presses Enter."""
    field = page.locator(f"form.filters [name={name}]")
    kind = field.evaluate("one => one.type")
    with page.expect_navigation():
        if kind == "select-one":
            field.select_option(value)
        else:
            field.fill(value)
            if kind != "date":
                field.press("Enter")


NARROWING = {
    name: value for name, value in FILTERS["/delayed?exception=any"].items() if name not in ("work", "expected", "group")
}


@pytest.mark.parametrize(("name", "value"), NARROWING.items())
def test_a_filter_narrows_the_list(open_page: Opening, name: str, value: str) -> None:
    page = open_page("/delayed?exception=any")
    everything = page.locator("tr[data-consignment]").count()
    chosen(page, name, value)
    assert 0 < page.locator("tr[data-consignment]").count() < everything
    page.reload()
    assert page.locator(f"form.filters [name={name}]").input_value() == value


def test_a_day_of_todays_inbound_goods_leads_to_what_is_expected_then(open_page: Opening) -> None:
    """Each number, also of what is overdue, without scripts as with them."""
    page = open_page("/", java_script_enabled=False)
    rows = page.locator("section[aria-labelledby=inbound] tbody")
    assert page.locator("#overdue").get_by_text("expected before today, and nobody says that it was delivered").is_visible()
    links = rows.locator("a").evaluate_all("all => all.map((one) => one.getAttribute('href'))")
    numbers = rows.locator("td.number").count()
    assert numbers > 4 and len(links) > numbers / 2
    for href in (links[0], links[1], links[-1]):
        listed = open_page(href, java_script_enabled=False)
        assert listed.locator("tr[data-consignment]").count() > 0, href
        assert "expected" in href and listed.locator("form.filters [name^=expected]").last.input_value() in href


def test_what_nobody_owns_is_linked_to_what_it_may_be_in_one_click(open_page: Opening, console: Console) -> None:
    page = open_page("/unmatched")
    line = page.locator("#unmatched tbody tr", has_text=world.SLIP)
    assert "its container is MRSU4371001: two characters are swapped" in line.inner_text()
    before = len(console.behind.house.log.records)
    page.evaluate("window.marked = true")
    line.get_by_role("button", name=f"Link {world.SLIP} to {world.STORY}").click()
    page.locator("#did").get_by_text(f"{world.SLIP} is linked.").wait_for()
    assert page.evaluate("window.marked") is True
    assert len(console.behind.house.log.records) == before + 1
    assert dict(console.behind.house.kept(before)[0])["consignment"] == world.STORY


def test_columns_are_chosen_and_stay_with_the_filters(open_page: Opening) -> None:
    page = open_page("/delayed?exception=any&severity=critical")
    page.locator("summary", has_text="Columns").click()
    page.get_by_label("Goods", exact=True).last.uncheck()
    page.get_by_label("Vessel or flight", exact=True).last.check()
    with page.expect_navigation():
        page.get_by_role("button", name="Show these").click()
    with page.expect_navigation():
        page.locator("form.filters [name=tier]").select_option("2")
    heads = page.locator("th[data-column]").evaluate_all("all => all.map((one) => one.dataset.column)")
    assert "vessel" in heads and "goods" not in heads
    assert "severity=critical" in page.url and "tier=2" in page.url


def test_a_change_waits_behind_a_bar_and_comes_without_a_reload(open_page: Opening, console: Console) -> None:
    page = open_page("/delayed?exception=any&q=LACDHS-9")
    page.evaluate("window.marked = true")
    assert page.locator("tr[data-consignment]").count() == 0
    at = datetime.now(UTC)
    number = f"LACDHS-9{int(at.timestamp()) % 10_000:04d}"
    wrong: dict[str, Any] = exception("dwell", severity="critical", start=console.now, sentence="It stands too long.")
    template = next(one for one in world.consignment(1, console.now, ["H-CEDARS"]) if isinstance(one, Journey))
    told = template.model_dump(mode="json") | {"consignment": number, "exceptions": [wrong]}
    told["declaration"]["consignment"] = number

    console.books.write(Journey.model_validate(told), world.opened(number, wrong, at, "H-CEDARS"), at=at)
    news = page.locator(".news a")
    news.wait_for()
    assert news.inner_text() == "1 new"
    assert page.locator("tr[data-consignment]").count() == 0  # nothing moves under the mouse
    page.keyboard.press("n")
    page.locator(f"tr[data-consignment='{number}']").wait_for()
    assert page.evaluate("window.marked") is True
    assert page.locator(".news a").count() == 0


def test_theme_and_zone_are_kept(open_page: Opening) -> None:
    page = open_page("/")
    page.locator(".who summary").click()
    page.locator("select[name=theme]").select_option("dark")
    page.locator("select[name=zone]").select_option("Asia/Shanghai")
    page.get_by_role("button", name="Keep").click()
    page.wait_for_load_state()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    page.locator(".who summary").click()
    assert page.locator("select[name=zone]").input_value() == "Asia/Shanghai"


@pytest.mark.parametrize(
    ("path", "where"),
    [
        (f"/consignments/{world.STORY}", ".journey .told time"),
        (f"/consignments/{world.STORY}", "table.events tr:not([data-claim]) td:nth-child(4) time"),
        (f"/consignments/{world.STORY}", "table.units time"),
        (f"/consignments/{world.STORY}", "table.holds time"),
        (f"/consignments/{world.STORY}", ".exceptions .since time"),
        ("/delayed", "td[data-column=expected] time"),
        ("/delayed?columns=consignment,required", "td[data-column=required] time"),
        ("/hospitals", "td[data-column=next] time"),
        ("/hospitals/H-CEDARS", "td[data-column=expected] time"),
        ("/vessels?vessel=MAERSK+ESSEX", "td[data-column=arrival] time"),
    ],
)
def test_a_time_that_belongs_to_a_place_says_utc_and_the_time_there_without_scripts(
    open_page: Opening, path: str, where: str
) -> None:
    page = open_page(path, java_script_enabled=False)
    page.context.add_cookies([{"name": "zone", "value": "Europe/Berlin", "url": page.url}])
    page.reload()
    titles = page.locator(where).evaluate_all("all => all.map((one) => one.title)")
    assert titles
    assert all(re.search(r"CES?T; .* UTC; there \w{3} \d\d \w{3} \d\d:\d\d \S+$", title) for title in titles), titles


def test_the_slider_goes_back_to_what_was_known_word_by_word(open_page: Opening) -> None:
    page = open_page(f"/consignments/{world.STORY}")
    said = page.locator("table.events tbody tr").count()
    slider = page.get_by_role("slider", name="What was known, word by word")
    stops = int(slider.get_attribute("max") or 0)
    slider.focus()
    with page.expect_navigation(url="**at=**"):
        page.keyboard.press("ArrowLeft")
    assert page.locator(".earlier").count() == 1
    assert page.get_by_role("slider").get_attribute("value") == str(stops - 1)
    assert 0 < page.locator("table.events tbody tr").count() < said


def test_a_trend_is_drawn_beside_its_figures(open_page: Opening) -> None:
    page = open_page("/terminals?days=60")
    drawn = page.locator(".chart canvas")
    assert drawn.count() == page.locator("[data-chart]").count() > 0
    page.locator(".chart-of summary").first.click()
    assert page.locator(".chart-of tbody tr").first.is_visible()


def test_while_an_answer_is_awaited_the_list_is_dim_and_what_failed_is_said(open_page: Opening) -> None:
    page, held = open_page("/delayed?exception=any"), list[Route]()
    page.route("**/act", lambda asked: held.append(asked))
    page.locator("button[name=acknowledge]").first.click()
    expect(page.locator("form.acting .scroll")).to_have_css("opacity", "0.6")
    held[0].abort()
    expect(page.locator("#freshness")).to_have_text("The console did not answer; try again.")
    expect(page.locator("form.acting .scroll")).to_have_css("opacity", "1")


def test_a_page_that_hears_nothing_any_more_says_so(open_page: Opening) -> None:
    page = open_page("/")
    page.route("**/live*", lambda asked: asked.abort())
    page.reload()
    expect(page.locator("#freshness")).to_contain_text("Not connected since")
