"""The servers that tests talk to. One place chooses the provider; no test knows which it is.

- `LOVLA_KAFKA=host:port`, `LOVLA_CLICKHOUSE=host:native_port:http_port` (with LOVLA_CLICKHOUSE_*_PASSWORD): servers that
  already run, each for itself;
- `LOVLA_PROVIDER=docker`: containers, by testcontainers;
- otherwise: real processes on free ports (deploy/local), ended with the session.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal, Protocol

import pytest
from pydantic import SecretStr

from deploy.local import environment, part, topics
from deploy.local.clickhouse import DATABASE, ClickHouseServer, Passwords
from deploy.local.kafka import KafkaServer
from deploy.local.process import Running, free_ports, signal_to, stop
from services.runtime.clickhouse import connect
from services.runtime.settings import Settings
from services.sink import migrate
from tests.topics import delete_all

KAFKA_START_S = 120  # 4 s on a quiet machine; tests of several people may share two cores
CLICKHOUSE_START_S = 60
PORTS = range(10_000, 20_000)  # not those of `lovla up`: a stack that is down must find its ports free again
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # 2.4 s of CPU until ready instead of 4; slower at its peak
QUICK_SESSION_MS = 5_000  # tests kill members by the dozen; each is waited out
ROOT = Path(__file__).resolve().parent.parent

Provider = Literal["local", "docker", "environment"]


def provider(server: Literal["KAFKA", "CLICKHOUSE"], environ: Mapping[str, str]) -> Provider:
    """Where a server comes from."""
    if environ.get(f"LOVLA_{server}"):
        return "environment"
    chosen = environ.get("LOVLA_PROVIDER", "local")
    if chosen == "docker":
        return "docker"
    if chosen == "local":
        return "local"
    raise pytest.UsageError(f"LOVLA_PROVIDER={chosen}: choose local or docker")


def required(what: str, environ: Mapping[str, str]) -> bool:
    """True if LOVLA_REQUIRE (a list with commas) says that `what` must not be skipped."""
    return what in [word.strip() for word in environ.get("LOVLA_REQUIRE", "").split(",")]


def missing(what: str, reason: str, environ: Mapping[str, str]) -> None:
    """Skip with a reason; fail where LOVLA_REQUIRE names it."""
    if required(what, environ):
        pytest.fail(f"{reason} (LOVLA_REQUIRE names {what}, so this is no skip)", pytrace=False)
    pytest.skip(reason)


class Kafka(Protocol):
    """A broker. Only the local provider can be killed; with the others such a test is skipped."""

    @property
    def bootstrap(self) -> str: ...
    @property
    def somebodys(self) -> bool: ...

    def kill(self) -> None:
        """kill -9."""
        ...

    def start(self) -> None:
        """Start it again on the same ports and data; returns when it serves."""
        ...


class ClickHouse(Protocol):
    """A ClickHouse server with the users writer, reader and admin."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def http_port(self) -> int: ...
    @property
    def passwords(self) -> Passwords: ...
    @property
    def somebodys(self) -> bool: ...
    def kill(self) -> None: ...
    def start(self) -> None: ...


class _NotOurs:
    """What cannot be killed because we did not start it. `somebodys`: it was there before, and may hold what is somebody's."""

    somebodys = True

    def kill(self) -> None:
        pytest.skip("this provider's servers cannot be killed by a test")

    def start(self) -> None:
        pytest.skip("this provider's servers cannot be started by a test")


class GivenKafka(_NotOurs):
    def __init__(self, bootstrap: str, somebodys: bool = True) -> None:
        self.bootstrap, self.somebodys = bootstrap, somebodys


class GivenClickHouse(_NotOurs):
    def __init__(self, host: str, port: int, http_port: int, passwords: Passwords, somebodys: bool = True) -> None:
        self.host, self.port, self.http_port, self.passwords, self.somebodys = host, port, http_port, passwords, somebodys


class _Local:
    """A part of the local stack that a test session owns."""

    somebodys = False

    def __init__(self, server: part.Part, within_s: float, note: Callable[[Running], None]) -> None:
        self.server = server
        self._within_s = within_s
        self._note = note
        self.running: Running | None = None
        self._ready = False

    def launch(self) -> None:
        if self.running is None:
            self.running = part.launch(self.server)
            self._note(self.running)

    def start(self) -> None:
        self.launch()
        assert self.running is not None
        if not self._ready:
            part.await_ready(self.server, self.running, self._within_s)
            self._ready = True

    def kill(self) -> None:
        if self.running is not None:
            signal_to(self.running, signal.SIGKILL)
            stop(self.running, grace_s=10)
        self.running, self._ready = None, False

    def stop(self) -> None:
        if self.running is not None:
            stop(self.running, grace_s=15)


class LocalKafka(_Local):
    server: KafkaServer

    @property
    def bootstrap(self) -> str:
        return self.server.bootstrap


class LocalClickHouse(_Local):
    server: ClickHouseServer
    host = "127.0.0.1"

    @property
    def port(self) -> int:
        return self.server.tcp_port

    @property
    def http_port(self) -> int:
        return self.server.http_port

    @property
    def passwords(self) -> Passwords:
        return self.server.passwords


class Stack:
    """The servers of one test session, each started when first asked for, all ended by `close`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._end = contextlib.ExitStack()
        self._watchdog: subprocess.Popen[str] | None = None
        self._directory: Path | None = None
        self._kafka: LocalKafka | GivenKafka | None = None
        self._clickhouse: LocalClickHouse | GivenClickHouse | None = None

    def launch(self) -> None:
        """Start both local servers at once, without waiting: quicker than one after the other."""
        for server in (self._choose_clickhouse(), self._choose_kafka()):
            if isinstance(server, _Local):
                server.launch()

    def kafka(self) -> Kafka:
        chosen = self._choose_kafka()
        if isinstance(chosen, _Local):
            chosen.start()
        return chosen

    def clickhouse(self) -> ClickHouse:
        chosen = self._choose_clickhouse()
        if isinstance(chosen, _Local):
            chosen.start()
        return chosen

    def directory(self) -> Path:
        """A folder for state, removed at the end."""
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="lovla-tests-"))
            self._end.callback(shutil.rmtree, self._directory, ignore_errors=True)
            self._watch({"folder": str(self._directory)})
        return self._directory

    def close(self) -> None:
        self._end.close()
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
            self._watchdog.wait(20)

    def watch(self, running: Running) -> None:
        """See to it that this process does not outlive the session, even if the session is killed."""
        self._watch(asdict(running))

    def _watch(self, note: dict[str, object]) -> None:
        if self._watchdog is None:
            self._watchdog = subprocess.Popen(
                [sys.executable, "-m", "tests.watchdog"], cwd=ROOT, stdin=subprocess.PIPE, text=True, start_new_session=True
            )
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.write(json.dumps(note) + "\n")
        self._watchdog.stdin.flush()

    def _choose_kafka(self) -> LocalKafka | GivenKafka:
        if self._kafka is None:
            match provider("KAFKA", self._environ):
                case "environment":
                    self._kafka = GivenKafka(self._environ["LOVLA_KAFKA"])
                case "docker":
                    from tests.containers import kafka

                    self._kafka = GivenKafka(kafka(self._end, self._environ), somebodys=False)
                case "local":
                    port, controller_port = free_ports(2, among=PORTS)
                    server = KafkaServer(
                        self.directory() / "kafka", port, controller_port, jvm=QUICK_START, session_ms=QUICK_SESSION_MS
                    )
                    local = LocalKafka(server, KAFKA_START_S, self.watch)
                    self._end.callback(local.stop)
                    self._kafka = local
        return self._kafka

    def _choose_clickhouse(self) -> LocalClickHouse | GivenClickHouse:
        if self._clickhouse is None:
            match provider("CLICKHOUSE", self._environ):
                case "environment":
                    host, native, http = self._environ["LOVLA_CLICKHOUSE"].split(":")
                    passwords = Passwords(
                        *(self._environ.get(f"LOVLA_CLICKHOUSE_{user}_PASSWORD", "") for user in ("WRITER", "READER", "ADMIN"))
                    )
                    self._clickhouse = GivenClickHouse(host, int(native), int(http), passwords)
                case "docker":
                    from tests.containers import clickhouse

                    passwords = Passwords(*(secrets.token_urlsafe(16) for _ in range(3)))
                    port, http_port = clickhouse(self._end, self._environ, passwords, self.directory())
                    self._clickhouse = GivenClickHouse("127.0.0.1", port, http_port, passwords, somebodys=False)
                case "local":
                    port, http_port = free_ports(2, among=PORTS)
                    passwords = Passwords(*(secrets.token_urlsafe(16) for _ in range(3)))
                    server = ClickHouseServer(self.directory() / "clickhouse", port, http_port, passwords, short_lived=True)
                    local = LocalClickHouse(server, CLICKHOUSE_START_S, self.watch)
                    self._end.callback(local.stop)
                    self._clickhouse = local
        return self._clickhouse


def settings_for(stack: Stack, folder: str = "state") -> Settings:
    """Settings wired to both servers, topics declared, migrations applied; also written to `<state_dir>/lovla.env`, in `folder`
    of the stack's directory.

    A service that a test starts as a process finds them with LOVLA_STATE_DIR.
    """
    stack.launch()
    clickhouse = stack.clickhouse()
    settings = settings_without_clickhouse(
        stack,
        {
            "LOVLA_CLICKHOUSE_HOST": clickhouse.host,
            "LOVLA_CLICKHOUSE_PORT": str(clickhouse.port),
            "LOVLA_CLICKHOUSE_HTTP_PORT": str(clickhouse.http_port),
            "LOVLA_CLICKHOUSE_WRITER_PASSWORD": clickhouse.passwords.writer,
            "LOVLA_CLICKHOUSE_READER_PASSWORD": clickhouse.passwords.reader,
            "LOVLA_CLICKHOUSE_ADMIN_PASSWORD": clickhouse.passwords.admin,
        },
        folder,
    )
    migrate.apply(settings)
    return settings


def settings_without_clickhouse(stack: Stack, more: Mapping[str, str] | None = None, folder: str = "state") -> Settings:
    """As settings_for, for tests of what asks Kafka only: no other server is started for them."""
    from cryptography.fernet import Fernet

    kafka = stack.kafka()
    state_dir = stack.directory() / folder
    told = {
        "LOVLA_KAFKA": kafka.bootstrap,
        **(more or {}),
        "LOVLA_API_PORT": str(free_ports(1, among=PORTS)[0]),
        "LOVLA_SECRET_KEY": Fernet.generate_key().decode(),
        "LOVLA_SHARDS": "1",
        "LOVLA_TICK_S": "0.5",
    }
    environment.write(state_dir, told)
    settings = Settings.load(state_dir)
    topics.declare(kafka.bootstrap, settings.shards)
    return settings


@contextlib.contextmanager
def emptied(stack: Stack, clickhouse: bool = True) -> Iterator[Settings]:
    """Settings as of settings_for (or settings_without_clickhouse), with every topic and table made anew, as at a first start;
    and anew once more when the block ends.

    For tests that compare whole topics with whole tables, damage them, or change their layout. Servers of their own would cost
    them 5 s of CPU, and a second each minute that they live. Servers that somebody else has given are used as they are.
    """
    folder = f"state-{uuid.uuid4().hex[:8]}"

    def anew() -> Settings:
        if clickhouse:
            stack.launch()
        kafka = stack.kafka()
        if not kafka.somebodys:
            delete_all(kafka.bootstrap)
        if not clickhouse:
            return settings_without_clickhouse(stack, folder=folder)
        if not stack.clickhouse().somebodys:
            drop_databases(stack.clickhouse())
        return settings_for(stack, folder)

    try:
        yield anew()
    finally:
        anew()


def drop_databases(clickhouse: ClickHouse) -> None:
    """Ours, and those that a rebuild makes beside it; not those of tests that have one of their own."""
    passwords = clickhouse.passwords
    known = Settings(
        kafka="127.0.0.1:1",
        clickhouse_host=clickhouse.host,
        clickhouse_port=clickhouse.port,
        clickhouse_admin_password=SecretStr(passwords.admin),
        clickhouse_database="default",
    )
    admin = connect(known, "admin")
    try:
        for row in admin.query(f"SELECT name FROM system.databases WHERE match(name, '^{DATABASE}(_|$)')"):
            admin.execute(f"DROP DATABASE {row['name']} SYNC")
    finally:
        admin.close()


def environ() -> Mapping[str, str]:
    """The session's environment."""
    return os.environ
