"""One Chromium and one console for all of these tests, over a database of its own in the session's ClickHouse.

Nothing but the console's own address is reachable from a page: another request fails the test that made it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request, ViewportSize

from tests.browser.driving import PATIENCE_MS, Console, chromium, own_console
from tests.stack import ClickHouse

WIDE: ViewportSize = {"width": 1440, "height": 900}
LAPTOP: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 360, "height": 740}
SIZE = 24
"""Consignments: each kind of row is there, and axe looks at every row of every list, in three views."""


@dataclass
class Watched:
    """What a page did that it should not: asked elsewhere, threw, broke the content policy."""

    faults: list[str] = field(default_factory=list)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Of the package, not the session: while it is open its event loop counts as running."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="package")
def console(browser: Browser, clickhouse: ClickHouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """The console behind a real socket, in demo mode; its data is tests/browser/world.py."""
    with own_console(clickhouse, tmp_path_factory.mktemp("people"), size=SIZE) as running:
        yield running


Opening = Callable[..., Page]


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture(scope="package")
def contexts(browser: Browser) -> Callable[..., BrowserContext]:
    """A context for each set of options: the tests that want the same share it, since each costs processes of its own."""
    made: dict[str, BrowserContext] = {}

    def context(**said: Any) -> BrowserContext:
        known = repr(sorted(said.items()))
        if known not in made:
            made[known] = browser.new_context(**said)
            made[known].set_default_timeout(PATIENCE_MS)
        return made[known]

    return context


@pytest.fixture(scope="package")
def idle() -> Mapping[BrowserContext, list[Page]]:
    """Pages that no test looks at just now. They stay where they were until one does: a new page would start a process, which
    compiles the console's script anew, and to rest elsewhere would be one more page to load."""
    return defaultdict(list)


@pytest.fixture
def open_page(
    contexts: Callable[..., BrowserContext], idle: Mapping[BrowserContext, list[Page]], console: Console, watched: Watched
) -> Iterator[Opening]:
    """Open a path, as somebody who was never there: `open_page("/delayed", viewport=NARROW)`.

    At the end the test fails if any page asked elsewhere, threw, or broke the content policy.
    """
    used: list[BrowserContext] = []
    opened: list[tuple[BrowserContext, Page, ViewportSize]] = []

    def asked(request: Request) -> None:
        if not request.url.startswith((console.address, "data:")):
            watched.faults.append(f"asked {request.url}")

    def threw(error: Error) -> None:
        watched.faults.append(f"threw {error}")

    def noted(said: ConsoleMessage) -> None:
        if "Content Security Policy" in said.text:
            watched.faults.append(said.text)

    def opening(path: str, **said: Any) -> Page:
        options = {"viewport": WIDE, "locale": "en-US", "timezone_id": "America/Los_Angeles"} | said
        context = contexts(**options)
        if context not in used:
            used.append(context)
            context.on("request", asked)
        page = idle[context].pop() if idle[context] else context.new_page()
        opened.append((context, page, options["viewport"]))
        page.on("pageerror", threw)
        page.on("console", noted)
        page.goto(console.address + path, wait_until="load")
        return page

    yield opening
    for context, page, viewport in opened:
        page.remove_listener("pageerror", threw)
        page.remove_listener("console", noted)
        page.unroute_all()
        if page.viewport_size != viewport:
            page.set_viewport_size(viewport)
        page.emulate_media(color_scheme="light")
        page.mouse.move(0, 0)
        idle[context].append(page)
    for context in used:
        for page in context.pages:
            if page not in idle[context]:
                page.close()
        context.remove_listener("request", asked)
        context.clear_cookies()  # the console keeps nothing else in a browser
    assert not watched.faults
