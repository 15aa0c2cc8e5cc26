"""Each page in a real Chromium: it opens, it can be read without scripts, on a phone and in the dark, and axe finds nothing."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page

from deploy.setup import assets
from tests.browser import world
from tests.browser.conftest import NARROW, Opening, Watched

PAGES = (
    "/",
    "/delayed",
    "/consignments",
    f"/consignments/{world.STORY}",
    f"/consignments/{world.NASTY}",
    "/hospitals",
    "/vessels",
    "/terminals",
    "/carriers",
    "/feeds",
    "/unmatched",
    "/messages",
    "/health",
)


def violations(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 AA. Its script is evaluated, since the page's policy lets no other in."""
    page.evaluate((assets.folder() / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate(
        "async (tags) => (await axe.run(document, {runOnly: tags})).violations"
        ".flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target} ${node.failureSummary}`))",
        tags,
    )
    return [str(one) for one in found]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_opens_and_axe_finds_nothing(open_page: Opening, path: str, theme: str) -> None:
    page = open_page(path, color_scheme=theme)
    assert page.locator("h1").count() == 1
    assert violations(page) == []


@pytest.mark.parametrize("path", PAGES)
def test_every_page_fits_a_phone(open_page: Opening, path: str) -> None:
    page = open_page(path, viewport=NARROW, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert violations(page) == []


@pytest.mark.parametrize("path", PAGES)
def test_every_page_can_be_read_without_scripts(open_page: Opening, path: str) -> None:
    with_scripts = text_of(open_page(path))
    without = text_of(open_page(path, java_script_enabled=False))
    assert without == with_scripts


def text_of(page: Page) -> str:
    return re.sub(r"\s+", " ", page.locator("main").inner_text())


@pytest.mark.parametrize("path", PAGES)
def test_what_others_write_is_shown_and_never_obeyed(open_page: Opening, watched: Watched, path: str) -> None:
    page = open_page(path)
    assert page.evaluate("window.stolen") is None
    assert page.locator("main script, main img[src='x'], main b:text-is('1'), main i:text-is('L')").count() == 0
    assert "{{7*7}}" in page.content()  # it is there, as text
    assert not watched.faults


def test_the_story_is_found_by_any_reference(open_page: Opening) -> None:
    page = open_page("/")
    page.keyboard.press("/")
    page.keyboard.type("MRSU4371001")
    page.keyboard.press("Enter")
    page.wait_for_url("**/consignments?**")
    assert page.get_by_role("link", name=world.STORY).is_visible()
