"""A console of our own behind a real socket, and the machine's Chromium: for tests and for pictures."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from cryptography.fernet import Fernet
from fastapi import FastAPI
from playwright.sync_api import Browser, expect, sync_playwright
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
from tests.integration.console.acting import Behind
from tests.integration.console.conftest import Books
from tests.stack import PORTS, ClickHouse, missing
from tests.waiting import HANG_S

PATIENCE_MS = HANG_S * 500
"""So long a page is waited for: half of what any wait may take, since a test of pages has several."""
expect.set_options(timeout=PATIENCE_MS)  # 5 s by default
POLL_S = 2.0
"""So often the console looks for what is new, for all pages that listen, those at rest too. Each look is some questions and an
answer to each page: at the 0.5 s of the product, tests that take long on a busy machine look more than they test."""
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser")
"""The first of them that is there: the same engine, of which the first has no windows, tabs and extensions to keep up, and
costs half."""


@dataclass
class Console:
    """A console that runs, the books that it reads, and the way in behind it."""

    address: str
    books: Books
    now: datetime
    settings: ConsoleSettings
    behind: Behind
    app: FastAPI


@contextlib.contextmanager
def own_console(clickhouse: ClickHouse, folder: Path, hostile: bool = True, size: int = world.SIZE) -> Iterator[Console]:
    """In demo mode, over a database of its own that holds tests/browser/world.py, `size` consignments of it."""
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
    books.write(*world.records(now, size, hostile), at=now)
    partition, offset = world.NASTY_RAW
    books.write_raw(*world.nasty_message(), offset, partition, round(now.timestamp() * 1_000))
    # the reader may read `lovla` only; one thread is enough for so few rows: to plan for several costs a sixth more
    asking = connect(settings, "admin", limits={"max_threads": 1})
    behind = Behind(folder, books, settings, SystemClock(), {"/v1/subscriptions": world.SUBSCRIPTIONS})
    settings = behind.settings
    door = ConsoleDoor(settings, asking, Entry(settings, People(folder), SystemClock()), way_in=behind.way_in)
    app = build(door, verb=world.verb, poll_s=POLL_S)
    with served(app) as address:
        yield Console(address, books, now, settings, behind, app)
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
    until = time.monotonic() + HANG_S
    while not server.started:
        assert thread.is_alive() and time.monotonic() < until, "the console does not serve"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(15)


def found() -> str | None:
    """Where the machine's Chromium is."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's, never a downloaded one."""
    path = found()
    if path is None:
        missing("browser", "there is no chromium on PATH; on Debian and Ubuntu: apt-get install chromium", stacks.environ())
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            ],
        )
        yield started
        started.close()
