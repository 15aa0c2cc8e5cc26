"""The stack of one state folder: start what does not run, stop what was started, say how it stands.

Layout of the folder: `lovla.env` (ports, passwords, key), `run/NAME.json` (pid files), `log/`, `kafka/`, `clickhouse/`, and
what services keep. A pid file stays when its process dies: that is how `status` knows that it died and was not stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from deploy.local import environment, jars, topics
from deploy.local.clickhouse import ClickHouseServer, Passwords
from deploy.local.errors import StackError
from deploy.local.kafka import KafkaServer
from deploy.local.part import Part, await_all, launch
from deploy.local.process import Running, free_ports, gone, listener, port_taken, signal_to
from deploy.local.services import SERVICES, Service, ServicePart

SERVERS = ("clickhouse", "kafka")
NAMES = (*SERVERS, *(service.name for service in SERVICES))
PORT_SETTINGS: Mapping[str, str] = {
    "kafka": "LOVLA_STACK_KAFKA_PORT",
    "controller": "LOVLA_STACK_KAFKA_CONTROLLER_PORT",
    "clickhouse": "LOVLA_CLICKHOUSE_PORT",
    "clickhouse_http": "LOVLA_CLICKHOUSE_HTTP_PORT",
    **{service.name: service.port_setting for service in SERVICES},
    **{name: setting for service in SERVICES for name, setting in service.also},
}
"""The ports that can be chosen, and the line of lovla.env that keeps each."""

KAFKA_JVM = "LOVLA_STACK_KAFKA_JVM"
"""The line of lovla.env that holds more options for Kafka's Java; it may be missing."""

_OWNERS: Mapping[str, str] = {
    "controller": "kafka",
    "clickhouse_http": "clickhouse",
    **{name: service.name for service in SERVICES for name, _ in service.also},
}
"""Of a part's further ports, whose they are."""

LEAST_FREE_BYTES = 1024**3  # Kafka ends itself when its disk is full; better not to begin
SERVERS_READY_S = 120  # 4 s on a quiet machine
SERVICES_READY_S = 120  # the tracker restores its journeys first
SERVICE_GRACE_S = 15  # a service promises to stop within 10 s
SERVER_GRACE_S = 30  # Kafka closes its logs

State = Literal["running", "not ready", "died", "stopped"]
Note = Callable[[str, str], None]
"""(part, what happened to it)"""


@dataclass(frozen=True, slots=True)
class PartStatus:
    """How a part stands. `since`: of its process; `last_word`: when a dead one last wrote to its log."""

    name: str
    state: State
    pid: int | None
    since: datetime | None
    ports: Mapping[str, int]
    log: str
    reason: str | None = None
    last_word: datetime | None = None


class Stack:
    """The stack of `state_dir`. `given`: settings that name servers of somebody else (LOVLA_KAFKA, LOVLA_CLICKHOUSE)."""

    def __init__(self, state_dir: Path, given: Mapping[str, str] | None = None, services: Sequence[Service] = SERVICES) -> None:
        self.state_dir = state_dir.resolve()
        self._given = dict(given or {})
        self._services = tuple(services)
        self.names = (*SERVERS, *(service.name for service in services))

    # --- up

    def up(
        self,
        only: Collection[str] | None = None,
        ports: Mapping[str, int] | None = None,
        note: Note = lambda part, text: None,
        jar_progress: jars.Progress = lambda done, total, name: None,
    ) -> list[str]:
        """Start what does not run of `only`, wait until all of it serves. Returns the names of what was started.

        Order: servers, then topics and tables, then services. What runs is left alone; what died is started again.

        Raises:
            StackError: with what is wrong and what to do.
        """
        with self._locked("up"):
            self._check_disk()
            told = self._told(ports or {})
            parts = [part for part in self._parts(told) if only is None or part.name in only]
            if any(part.name == "kafka" for part in parts):
                jars.ensure(jar_progress)
            servers = [part for part in parts if part.name in SERVERS]
            services = [part for part in parts if part.name not in SERVERS]
            started = self._start(servers, SERVERS_READY_S, note)
            if services:
                self._declare(told, note)
                started += self._start(services, SERVICES_READY_S, note)
            elif len(servers) == len(SERVERS):
                self._declare(told, note)
            return started

    def _start(self, parts: Sequence[Part], within_s: float, note: Note) -> list[str]:
        began = time.monotonic()
        running: dict[Part, Running] = {}
        to_start: list[Part] = []
        for part in parts:
            known = Running.load(self._pidfile(part.name))
            if known is not None and known.alive():
                running[part] = known
                continue
            if known is not None:
                note(part.name, f"had died (pid {known.pid}); starting it again, its log is {part.log}")
            for purpose, port in part.ports.items():
                _check_port(part.name, purpose, port)
            to_start.append(part)
        for part in to_start:
            note(part.name, "starting")
            running[part] = self._launch(part)
        await_all(
            running,
            within_s,
            lambda part: note(
                part.name, f"ready after {time.monotonic() - began:.1f} s" if part in to_start else "already running"
            ),
        )
        return [part.name for part in to_start]

    def _launch(self, part: Part) -> Running:
        try:
            running = launch(part)
        except OSError as error:
            raise StackError(f"cannot start {part.name}: {error}; check the state folder {self.state_dir}") from error
        running.save(self._pidfile(part.name))
        return running

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self.state_dir).free
        if free < LEAST_FREE_BYTES:
            raise StackError(
                f"the disk of {self.state_dir} is full: {free // 1024**2} MB are free, "
                f"{LEAST_FREE_BYTES // 1024**2} MB are needed; make room, or choose another folder with --state-dir"
            )

    def _declare(self, told: Mapping[str, str], note: Note) -> None:
        """Topics and tables: what services need before they start."""
        from services.runtime.clickhouse import ClickHouseError
        from services.runtime.settings import Settings
        from services.sink import migrate

        settings = Settings.load(self.state_dir)
        made = [topic for topic in topics.declare(told["LOVLA_KAFKA"], settings.shards) if topic.outcome != "unchanged"]
        if made:
            note("kafka", f"{len(made)} topics declared")
        try:
            applied = migrate.apply(settings)
        except (ClickHouseError, migrate.MigrationError) as error:
            raise StackError(f"the tables are not in order: {error}; see `lovla migrate status`") from error
        if applied:
            note("clickhouse", f"{len(applied)} migrations applied")

    # --- down

    def down(self, only: Collection[str] | None = None, note: Note = lambda part, text: None) -> list[str]:
        """Stop what `up` started: services first, then the servers. Returns the names of what was stopped.

        Needs no settings: a pid file says all. A pid that is not our process any more is left alone.
        """
        names = [name for name in reversed(self.names) if only is None or name in only]
        with self._locked("down"):
            stopped = self._stop([name for name in names if name not in SERVERS], SERVICE_GRACE_S, note)
            return stopped + self._stop([name for name in names if name in SERVERS], SERVER_GRACE_S, note)

    def discard(self) -> None:
        """End at once what `up` started, and remove the folder: for data that nobody wants any more. Raises StackError."""
        with self._locked("down"):
            self._stop([*reversed(self.names)], 0.0, lambda part, text: None)
            shutil.rmtree(self.state_dir)

    def _stop(self, names: Sequence[str], grace_s: float, note: Note) -> list[str]:
        stopped = []
        asked: dict[str, Running] = {}
        for name in names:
            known = Running.load(self._pidfile(name))
            if known is not None and known.alive():
                signal_to(known, signal.SIGTERM)
                asked[name] = known
            else:
                if known is not None:
                    note(name, f"was not running any more (pid {known.pid})")
                self._pidfile(name).unlink(missing_ok=True)
        deadline = time.monotonic() + grace_s
        for name, known in asked.items():
            if not gone(known, max(0.0, deadline - time.monotonic())):
                signal_to(known, signal.SIGKILL)
                if not gone(known, 10):
                    raise StackError(f"{name} (pid {known.pid}) does not even end by SIGKILL; look at it with ps")
                note(name, f"killed: it had not stopped within {grace_s:.0f} s")
            else:
                note(name, "stopped")
            self._pidfile(name).unlink(missing_ok=True)
            stopped.append(name)
        return stopped

    # --- at rest

    @contextlib.contextmanager
    def at_rest(self, doing: str) -> Iterator[None]:
        """While nothing of the stack runs, and nobody can start it.

        Raises:
            StackError: a part runs, the servers are somebody else's, or `up` or `down` is at work.
        """
        if self._given:
            raise StackError(
                f"{', '.join(self._given)} name servers that are not this stack's: `lovla {doing}` cannot speak for them; "
                "unset them, or use their own means"
            )
        with self._locked(doing):
            running = [name for name in self.names if self._alive(name)]
            if running:
                raise StackError(
                    f"{', '.join(running)} of {self.state_dir} still run: `lovla down` first, then `lovla {doing}`"
                )
            yield

    # --- status

    def status(self) -> list[PartStatus]:
        """How each part stands; asks the running ones for their health, at once."""
        told = environment.read(self.state_dir)
        if not told:
            return [PartStatus(name, "stopped", None, None, {}, "") for name in self.names]
        parts = self._parts(self._completed(told))
        with ThreadPoolExecutor(max_workers=len(self.names)) as pool:
            return list(pool.map(self._status_of, parts))

    def _status_of(self, part: Part) -> PartStatus:
        known = Running.load(self._pidfile(part.name))
        log = str(_telling_log(part))
        if known is None:
            return PartStatus(part.name, "stopped", None, None, part.ports, log)
        since = datetime.fromtimestamp(known.started, UTC)
        if not known.alive():
            return PartStatus(part.name, "died", known.pid, since, part.ports, log, "not running any more", _last_write(part))
        reason = part.not_ready()
        return PartStatus(part.name, "running" if reason is None else "not ready", known.pid, since, part.ports, log, reason)

    # --- what both know

    def parts(self) -> list[Part]:
        """The parts as they stand in lovla.env; [] before the first `up`."""
        told = environment.read(self.state_dir)
        return self._parts(self._completed(told)) if told else []

    def kafka(self) -> str:
        """The bootstrap address.

        Raises:
            StackError: there is no stack here.
        """
        told = environment.read(self.state_dir)
        if not told:
            raise StackError(f"there is no stack in {self.state_dir}: run `lovla up` first")
        return self._completed(told)["LOVLA_KAFKA"]

    def lock_holder(self) -> int | None:
        """The pid of an `up` or `down` that runs now."""
        try:
            with (self.state_dir / "up.lock").open("r+") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(lock.read().split()[1])
        except (FileNotFoundError, ValueError, IndexError):
            pass
        return None

    def _parts(self, told: Mapping[str, str]) -> list[Part]:
        parts: list[Part] = []
        if "LOVLA_CLICKHOUSE" not in self._given:
            passwords = Passwords(*(told[f"LOVLA_CLICKHOUSE_{user}_PASSWORD"] for user in ("WRITER", "READER", "ADMIN")))
            parts.append(
                ClickHouseServer(
                    self.state_dir / "clickhouse",
                    int(told["LOVLA_CLICKHOUSE_PORT"]),
                    int(told["LOVLA_CLICKHOUSE_HTTP_PORT"]),
                    passwords,
                )
            )
        if "LOVLA_KAFKA" not in self._given:
            parts.append(
                KafkaServer(
                    self.state_dir / "kafka",
                    int(told["LOVLA_STACK_KAFKA_PORT"]),
                    int(told["LOVLA_STACK_KAFKA_CONTROLLER_PORT"]),
                    jvm=tuple(told.get(KAFKA_JVM, "").split()),
                )
            )
        parts += [ServicePart(service, self.state_dir, int(told[service.port_setting]), told) for service in self._services]
        return parts

    def _told(self, ports: Mapping[str, int]) -> dict[str, str]:
        """The settings of this stack: what stands in lovla.env, `ports`, and for the rest new ports, passwords, a key."""
        kept = environment.read(self.state_dir)
        if not kept:
            running = [name for name in self.names if self._alive(name)]
            if running:
                raise StackError(
                    f"{self.state_dir / environment.NAME} is gone while {', '.join(running)} still run: "
                    "run `lovla down`, then `lovla up`"
                )
        chosen = {PORT_SETTINGS[purpose]: str(port) for purpose, port in ports.items()}
        for purpose, port in ports.items():
            owner = _OWNERS.get(purpose, purpose)
            if kept.get(PORT_SETTINGS[purpose]) != str(port) and self._alive(owner):
                raise StackError(f"{owner} already runs on another port: run `lovla down --only {owner}` first")
        told = self._completed({**kept, **chosen})
        wanted = defaultdict[str, list[str]](list)
        for purpose, setting in PORT_SETTINGS.items():
            wanted[told[setting]].append(purpose)
        for number, same in wanted.items():
            if len(same) > 1:
                raise StackError(f"{' and '.join(same)} would have the same port {number}; choose others with --port NAME=PORT")
        for purpose, port in ports.items():  # also of a part that is not to be started now: what is kept here must be free
            owner = _OWNERS.get(purpose, purpose)
            if not self._alive(owner):
                _check_port(owner, purpose, port)
        if told != kept:
            try:
                environment.write(self.state_dir, told)
            except OSError as error:
                raise StackError(f"cannot write {self.state_dir / environment.NAME}: {error.strerror}") from error
        return told

    def _completed(self, told: Mapping[str, str]) -> dict[str, str]:
        from cryptography.fernet import Fernet

        complete = dict(told)
        wanting = [setting for setting in PORT_SETTINGS.values() if setting not in complete]
        taken = [int(complete[setting]) for setting in PORT_SETTINGS.values() if setting in complete]
        for setting, port in zip(wanting, free_ports(len(wanting), taken), strict=True):
            complete[setting] = str(port)
        for user in ("WRITER", "READER", "ADMIN"):
            complete.setdefault(f"LOVLA_CLICKHOUSE_{user}_PASSWORD", secrets.token_urlsafe(24))
        complete.setdefault("LOVLA_SECRET_KEY", Fernet.generate_key().decode())
        complete.setdefault("LOVLA_SHARDS", "1")
        for name, value in (("SMTP_USER", "lovla"), ("SMTP_PASSWORD", None), ("SMS_ACCOUNT", "AClocal"), ("SMS_TOKEN", None)):
            complete.setdefault(f"LOVLA_{name}", value or secrets.token_urlsafe(24))
        # the local mailbox; who sends by real servers says so in the environment, which wins over this file
        complete["LOVLA_SMTP_CA"] = str(self.state_dir / "mailbox" / "tls.pem")
        complete["LOVLA_SMS_URL"] = f"http://127.0.0.1:{complete['LOVLA_STACK_MAILBOX_PORT']}"
        complete["LOVLA_KAFKA"] = self._given.get("LOVLA_KAFKA", f"127.0.0.1:{complete['LOVLA_STACK_KAFKA_PORT']}")
        complete["LOVLA_CLICKHOUSE_HOST"] = "127.0.0.1"
        if "LOVLA_CLICKHOUSE" in self._given:
            host, native, http = self._given["LOVLA_CLICKHOUSE"].split(":")
            complete |= {
                "LOVLA_CLICKHOUSE_HOST": host,
                "LOVLA_CLICKHOUSE_PORT": native,
                "LOVLA_CLICKHOUSE_HTTP_PORT": http,
            }
        return complete

    def _alive(self, name: str) -> bool:
        known = Running.load(self._pidfile(name))
        return known is not None and known.alive()

    def _pidfile(self, name: str) -> Path:
        return self.state_dir / "run" / f"{name}.json"

    @contextlib.contextmanager
    def _locked(self, doing: str) -> Iterator[None]:
        """One `up` or `down` at a time; the lock goes with its process, so that none is left over."""
        try:
            self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds passwords and what senders sent
            lock = (self.state_dir / "up.lock").open("a+")
        except OSError as error:
            raise StackError(
                f"cannot write to the state folder {self.state_dir}: {error.strerror}; choose another with --state-dir"
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                holder = lock.read().split()
                who = f"`lovla {holder[0]}` (pid {holder[1]})" if len(holder) == 2 else "another `lovla up` or `lovla down`"
                raise StackError(f"{who} is at work on {self.state_dir}: wait for it to end, then run this again") from None
            lock.seek(0)
            lock.truncate()
            lock.write(f"{doing} {os.getpid()}")
            lock.flush()
            yield


def _check_port(part: str, purpose: str, port: int) -> None:
    """Raises StackError: somebody listens there."""
    if port_taken(port):
        raise StackError(
            f"port {port}, which {part} wants, is taken by {listener(port)}: "
            f"stop that, or choose another port: lovla up --port {purpose}=PORT"
        )


def _telling_log(part: Part) -> Path:
    """The file to look into: the server's own log, unless it wrote none."""
    with contextlib.suppress(FileNotFoundError):
        if part.server_log.stat().st_size > 0:
            return part.server_log
    return part.log


def _last_write(part: Part) -> datetime | None:
    with contextlib.suppress(FileNotFoundError):
        return datetime.fromtimestamp(_telling_log(part).stat().st_mtime, UTC)
    return None
