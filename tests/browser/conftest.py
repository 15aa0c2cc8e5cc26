"""One Chromium and one console for all of these tests, over a database of its own in the session's ClickHouse.

Nothing but the console's own address is reachable from a page: another request fails the test that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, ViewportSize

from tests.browser.driving import Console, chromium, own_console
from tests.stack import ClickHouse

WIDE: ViewportSize = {"width": 1440, "height": 900}
NARROW: ViewportSize = {"width": 360, "height": 740}


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
    with own_console(clickhouse, tmp_path_factory.mktemp("people")) as running:
        yield running


Opening = Callable[..., Page]


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def open_page(browser: Browser, console: Console, watched: Watched) -> Iterator[Opening]:
    """Open a path in a context of its own: `open_page("/delayed", viewport=NARROW, color_scheme="dark")`.

    At the end the test fails if any page asked elsewhere, threw, or broke the content policy.
    """
    contexts: list[BrowserContext] = []

    def opening(path: str, **said: Any) -> Page:
        context = browser.new_context(**{"viewport": WIDE, "locale": "en-US", "timezone_id": "America/Los_Angeles"} | said)
        contexts.append(context)
        context.set_default_timeout(30_000)

        def only_ours(route: Route) -> None:
            if route.request.url.startswith((console.address, "data:")):
                route.continue_()
            else:
                watched.faults.append(f"asked {route.request.url}")
                route.abort()

        context.route("**/*", only_ours)
        page = context.new_page()
        page.on("pageerror", lambda error: watched.faults.append(f"threw {error}"))
        page.on("console", lambda said: watched.faults.append(said.text) if "Content Security Policy" in said.text else None)
        page.goto(console.address + path, wait_until="load")
        return page

    yield opening
    for context in contexts:
        context.close()
    assert not watched.faults
