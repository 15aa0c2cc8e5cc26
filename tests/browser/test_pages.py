"""Each page in a real Chromium: it opens, it can be read without scripts, on a phone and in the dark, and axe finds nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

import pytest
from playwright.sync_api import Page
from starlette.routing import Route

from deploy.setup import assets
from services.console.tracking import CONSIGNMENT, HOSPITAL, token
from tests.browser import world
from tests.browser.conftest import LAPTOP, NARROW, WIDE, Opening
from tests.browser.driving import Console

PAGES = (
    "/",
    "/delayed",
    "/consignments",
    f"/consignments/{world.STORY}",
    f"/consignments/{world.NASTY}",
    f"/consignments/{world.NASTY}/receive",
    f"/consignments/{world.NASTY}/events/{world.digest('nasty booked')}",
    "/hospitals",
    f"/hospitals/{world.HOSPITAL}",
    "/vessels?vessel=MAERSK+ESSEX",
    "/terminals",
    "/carriers",
    "/feeds",
    f"/letters/{world.digest('letter XSS')}",
    f"/messages/{world.NASTY_RAW[0]}/{world.NASTY_RAW[1]}",
    "/unmatched",
    "/messages",
    f"/messages/why?subscription=s1&consignment={world.STORY}",
    "/subscriptions",
    "/mailbox",
    "/health",
    "/sign-in",
    "/consignments?q=%3Cb%3E1%3C/b%3E",
    "/no/such/page",
)
LINKED = ("/t/{token}", "/h/{token}")
"""For who has a link: below."""
NO_PAGES = re.compile(r"/(api|v2|static|healthz|readyz|metrics|live|act|unmatched/link|sign-in/oidc)(/|$)|.*/(do|retry)$")
"""For programs, and where forms lead."""


ALL = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


def violations(page: Page, tags: Sequence[str] = ALL, rules: Sequence[str] = ()) -> list[str]:
    """What axe finds: by tags, or by `rules` alone. Its script is evaluated: the page's policy lets no other in."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate((assets.folder() / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": list(tags)}
    found = page.evaluate(
        "async (only) => (await axe.run(document, {runOnly: only, resultTypes: ['violations']})).violations"
        ".flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target} ${node.failureSummary}`))",
        only,
    )
    return [str(one) for one in found]


def cut_off(page: Page) -> list[str]:
    """Tables of which an edge is hidden until one moves them sideways; the figures of a chart are as many as it has lines."""
    tables = page.locator(".scroll:visible, .wide:visible").filter(has_not=page.locator(".figures"))
    return [str(one) for one in tables.evaluate_all(_CUT)]


_CUT = """all => all.filter((one) => one.scrollWidth > one.clientWidth)
    .map((one) => `${one.closest("section")?.id || one.firstElementChild.id}: ${one.scrollWidth} in ${one.clientWidth}`)"""


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_sound_in_light_and_dark_wide_and_on_a_phone(open_page: Opening, path: str) -> None:
    """Axe finds nothing, nothing juts out of a phone, what others wrote is text, and all of it is there without scripts."""
    page = open_page(path)
    text = text_of(page)
    page.set_viewport_size(LAPTOP)
    assert cut_off(page) == []
    page.set_viewport_size(WIDE)
    assert page.locator("h1").count() == 1
    assert page.evaluate("window.stolen") is None
    assert page.locator("main img, main script, main td b:text-is('1'), main td i").count() == 0
    found = violations(page)
    page.emulate_media(color_scheme="dark")
    found += violations(page, rules=["color-contrast", "link-in-text-block"])
    page.set_viewport_size(NARROW)
    found += violations(page, rules=["target-size", "scrollable-region-focusable"])
    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert text_of(open_page(path, java_script_enabled=False)) == text


def test_no_page_is_left_out(console: Console) -> None:
    """A page that is new is looked at by the test above."""
    asked = [route for route in console.app.routes if isinstance(route, Route) and "GET" in (route.methods or ())]
    pages = [route.path for route in asked if not NO_PAGES.match(route.path)]
    looked_at = {next(route.path for route in asked if route.path_regex.match(path.partition("?")[0])) for path in PAGES[:-1]}
    assert len(pages) > 20
    assert set(pages) - looked_at == set(LINKED)


def text_of(page: Page) -> str:
    """What stands there to be read: not the news, not what a chart's drawing adds to its table."""
    added = page.locator(".news, .chart").all_inner_texts()
    text = page.locator("main").inner_text()
    for one in added:
        text = text.replace(one, "", 1)
    # a minute may pass between two openings, and what is counted once for all is older at the second
    text = re.sub(r"\s*counted \d+ s ago", "", text)
    text = re.sub(r"(Counted \w+ \d+ \w+|empty:|they were at) \d\d:\d\d(:\d\d)?", r"\1 now", text)
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("path", ["/", "/delayed", f"/consignments/{world.NASTY}"])
def test_what_others_write_is_shown(open_page: Opening, path: str) -> None:
    assert "{{7191*7}}" in open_page(path).locator("main").inner_text()


def test_the_story_is_found_by_any_reference(open_page: Opening) -> None:
    page = open_page("/")
    page.keyboard.press("/")
    page.keyboard.type("MRSU4371001")
    page.keyboard.press("Enter")
    page.wait_for_url("**/consignments?**")
    assert page.get_by_role("link", name=world.STORY).is_visible()


@pytest.mark.parametrize(("way", "about", "form"), [("t", world.STORY, CONSIGNMENT), ("h", world.HOSPITAL, HOSPITAL)])
def test_the_page_of_who_has_a_link_is_sound_and_leads_to_the_alerts(
    open_page: Opening, console: Console, way: str, about: str, form: bytes
) -> None:
    made = token(console.settings.secret_key.get_secret_value().encode(), about, console.now + timedelta(days=1), form)
    page = open_page(f"/{way}/{made}")
    if form == CONSIGNMENT:
        assert world.STORY in page.locator("h1").inner_text()
        leads = page.get_by_role("link", name="Subscribe").get_attribute("href") or ""
        assert leads.endswith(f"/subscribe?consignments={world.STORY}")
    else:
        assert world.HOSTILE in page.locator("h1").inner_text() and page.locator("main img").count() == 0
    found = violations(page)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(NARROW)
    assert found + violations(page, rules=["color-contrast", "target-size"]) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert page.evaluate("document.scripts.length") == 0
