"""Working with the console in a real Chromium: by keyboard alone, by every filter, live, and with nothing but the console."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.journey_v1 import Journey
from tests.browser import world
from tests.browser.conftest import Opening
from tests.browser.driving import Console
from tests.unit.sink.examples import exception

FILTERS = (
    ("exception", "overdue"),
    ("hospital", "H-CEDARS"),
    ("carrier", "COSU"),
    ("terminal", "LA-APMT"),
    ("vessel", "EVER GIFTED"),
    ("item", "glove"),
    ("tier", "2"),
    ("severity", "critical"),
    ("stage", "at_port"),
)


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


@pytest.mark.parametrize(("name", "value"), FILTERS)
def test_every_filter_narrows_the_list_and_stands_in_the_address(open_page: Opening, name: str, value: str) -> None:
    page = open_page("/delayed?exception=any")
    everything = page.locator("tr[data-consignment]").count()
    with page.expect_navigation():
        page.locator(f"form.filters [name={name}]").select_option(value)
    assert f"{name}={value.replace(' ', '+')}" in page.url
    assert 0 < page.locator("tr[data-consignment]").count() < everything
    page.reload()
    assert page.locator(f"form.filters [name={name}]").input_value() == value


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
    news.wait_for(timeout=20_000)
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


def test_a_time_says_its_utc_too(open_page: Opening) -> None:
    times = open_page(f"/consignments/{world.STORY}").locator("main time")
    assert times.count() > 5
    assert all("UTC" in (times.nth(at).get_attribute("title") or "") for at in range(3))


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
