"""One Chromium and one console for all of these tests, over a database of its own in the session's ClickHouse.

The Chromium is the machine's (`chromium` on PATH), never a downloaded one. Nothing but the console's own address is reachable
from a page: another request fails the test that made it.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import uvicorn
from cryptography.fernet import Fernet
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright
from pydantic import SecretStr

from deploy.local.process import free_ports
from services.console.app import build
from services.console.door import ConsoleDoor
from services.console.entry import Entry
from services.console.people import People
from services.console.settings import ConsoleSettings
from services.runtime.clickhouse import connect
from services.runtime.clock import SystemClock
from services.sink import migrate
from tests import stack as stacks
from tests.browser import world
from tests.integration.console.conftest import Books
from tests.stack import PORTS, ClickHouse, missing

READY_S = 90.0
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 360, "height": 740}


@dataclass
class Console:
    """A console that runs, and the books that it reads."""

    address: str
    books: Books
    now: datetime


@dataclass
class Watched:
    """What a page did that it should not: asked elsewhere, threw, broke the content policy."""

    faults: list[str] = field(default_factory=list)


@pytest.fixture(scope="package")
def console(clickhouse: ClickHouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """The console behind a real socket, in demo mode; its data is tests/browser/world.py."""
    now = datetime.now(UTC).replace(microsecond=0)
    database = f"browser_{uuid.uuid4().hex[:8]}"
    settings = ConsoleSettings(
        kafka="127.0.0.1:1",
        clickhouse_host=clickhouse.host,
        clickhouse_port=clickhouse.port,
        clickhouse_http_port=clickhouse.http_port,
        clickhouse_admin_password=clickhouse.passwords.admin,
        clickhouse_reader_password=clickhouse.passwords.reader,
        clickhouse_writer_password=clickhouse.passwords.writer,
        clickhouse_database=database,
        secret_key=SecretStr(Fernet.generate_key().decode()),
        console_demo=True,
    )
    migrate.apply(settings)
    client = connect(settings, "admin")
    books = Books(client)
    books.write(*world.records(now), at=now)
    asking = connect(settings, "admin")  # the reader may read `lovla` only
    entry = Entry(settings, People(tmp_path_factory.mktemp("people")), SystemClock())
    with served(build(ConsoleDoor(settings, asking, entry))) as address:
        yield Console(address, books, now)
    asking.close()
    client.execute(f"DROP DATABASE {database}")
    client.close()


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The application behind a real socket, in a thread of ours, until it is left; its address."""
    port = free_ports(1, among=PORTS)[0]
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, ws="none", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, name="console", daemon=True)
    thread.start()
    until = time.monotonic() + READY_S
    while not server.started:
        assert thread.is_alive() and time.monotonic() < until, "the console does not serve"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(15)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The machine's Chromium. Of the package, not the session: while it is open its event loop counts as running."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        missing("browser", "there is no chromium on PATH; on Debian and Ubuntu: apt-get install chromium", stacks.environ())
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"],
        )
        yield started
        started.close()


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
