"""The stack under fire: every process of ours and of the servers, started, killed, frozen and started again.

It is the stack of `lovla up` (deploy/local) in a state folder of its own, so that every verb works on it, with three
differences: a *supervisor* starts again whatever ended by itself (as Kubernetes would), ClickHouse is reached through a proxy
that can misbehave, and further members of a stage can be had. All of it ends with the process that made it, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from deploy.local.errors import StackError
from deploy.local.part import Part, launch
from deploy.local.process import Running, free_ports, gone, signal_to, start, stop, tail
from deploy.local.services import SERVICES, ServicePart
from deploy.local.stack import Stack
from services.runtime.settings import Settings
from tests import forks
from tests import stack as stacks
from tests.faults.proxy import Proxy
from tests.stack import ROOT

READY_S = 120.0
PROMISED_STOP_S = 10.0  # what a service promises after SIGTERM
SUPERVISION_S = 0.3
BETWEEN_S = 0.25  # of two looks at what is waited for: most ask a server
SECOND = "-2"  # the name of a stage's further member ends so
SKEW = Path(__file__).with_name("skew")


Begin = Callable[..., Running]
"""As deploy.local.process.start."""


class Violation(Exception):
    """Something that must hold did not."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended by itself, and what it said last."""

    name: str
    words: str


@dataclass(slots=True)
class Member:
    """One process. `wanted`: the supervisor keeps it running. `extra`: of its environment."""

    part: Part
    running: Running | None = None
    wanted: bool = True
    extra: Mapping[str, str] = field(default_factory=dict)


def until(condition: Callable[[], Any], what: str, seconds: float) -> float:
    """Wait for it; how long that took. Raises Violation."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise Violation(f"not within {seconds:.0f} s: {what}")
        time.sleep(BETWEEN_S)
    return time.monotonic() - began


class Field:
    """Use as a context. `small_disks`: Kafka, ClickHouse, the tracker each get a file system of their own, if we may mount.
    `begin`: how our services are started. `tick_s`: between two ticks of the door. `only`: these of our services; else all."""

    def __init__(
        self,
        state_dir: Path,
        *,
        small_disks: bool = False,
        begin: Begin = start,
        tick_s: float = 1.0,
        only: Collection[str] | None = None,
    ) -> None:
        self.state_dir = state_dir.resolve()
        self.ended: list[Ended] = []
        self.stop_s: dict[str, float] = {}
        """Longest time that a stage took to stop after SIGTERM."""
        self.no_disks: str | None = None
        self._small_disks = small_disks
        self._begin = begin
        self._tick_s = tick_s
        self.services = tuple(service.name for service in SERVICES if only is None or service.name in only)
        self._stack = Stack(self.state_dir, services=[service for service in SERVICES if service.name in self.services])
        self._keeper = stacks.Stack({})
        self._members: dict[str, Member] = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Field:
        try:
            self._open()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def _open(self) -> None:
        self._exit.callback(self._keeper.close)
        if self._small_disks:
            self._mount()
        self._exit.callback(self._end_all)
        self._stack.up(("clickhouse", "kafka"))
        self.settings = Settings.load(self.state_dir)
        self.proxy = Proxy(self.settings.clickhouse_port)
        self._exit.callback(self.proxy.close)
        for part in self._stack.parts():
            running = Running.load(self._pidfile(part.name))
            self._members[part.name] = Member(part, running, extra=self._extra(part.name))
            if running is not None:
                self._keeper.watch(running)
        self._supervisor.start()
        for name in self.services:
            self.start(name)
        for name in self.services:
            self.await_ready(name)

    # --- processes

    def names(self) -> tuple[str, ...]:
        return tuple(self._members)

    def start(self, name: str, **extra: str) -> None:
        """Start it; does not wait. `extra`: for its environment, until it is started again."""
        with self._lock:
            member = self._members[name]
            member.wanted = True
            member.extra = self._extra(name) | extra
            self._launch(name, member)

    def _launch(self, name: str, member: Member) -> None:
        part = member.part
        if isinstance(part, ServicePart):
            member.running = self._begin(part.argv(), cwd=part.cwd, log=part.log, env=part.env() | dict(member.extra))
        else:
            member.running = launch(part)
        self._keeper.watch(member.running)
        member.running.save(self._pidfile(name))

    def add(self, name: str) -> str:
        """A second member of a stage, on the same state folder, as a second start on this machine would be."""
        with self._lock:
            first = self._members[name].part
            assert isinstance(first, ServicePart)
            (port,) = free_ports(1, avoid=[p for m in self._members.values() for p in m.part.ports.values()])
            second = _Second(first.service, first.state_dir, port, first.told)
            self._members[name + SECOND] = Member(second)
        self.start(name + SECOND)
        return name + SECOND

    def drop(self, name: str) -> None:
        """End a second member for good."""
        self.end(name)
        with self._lock:
            self._pidfile(name).unlink(missing_ok=True)
            del self._members[name]

    def kill(self, name: str) -> None:
        """kill -9; it stays away until `start`."""
        self._signal(name, signal.SIGKILL)
        running = self._members[name].running
        if running is not None and not gone(running, 20):
            raise Violation(f"{name} does not end by SIGKILL")

    def end(self, name: str) -> None:
        """SIGTERM; it promises to be gone within 10 s. Servers get their own time."""
        with self._lock:
            member = self._members[name]
            member.wanted = False
        if member.running is None:
            return
        began = time.monotonic()
        by_itself = stop(member.running, 30)
        took_s = time.monotonic() - began
        stage = name.removesuffix(SECOND)
        if stage in self.services:
            self.stop_s[stage] = max(self.stop_s.get(stage, 0.0), took_s)
            if not by_itself:
                raise Violation(f"{name} did not stop within 30 s of SIGTERM")

    def freeze(self, name: str) -> None:
        """SIGSTOP."""
        running = self._members[name].running
        if running is not None:
            signal_to(running, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        running = self._members[name].running
        if running is not None:
            signal_to(running, signal.SIGCONT)

    def alive(self, name: str) -> bool:
        running = self._members[name].running
        return running is not None and running.alive()

    def not_ready(self, name: str) -> str | None:
        return self._members[name].part.not_ready()

    def await_ready(self, name: str, seconds: float = READY_S) -> float:
        """Until it serves; how long that took."""
        return until(lambda: self.not_ready(name) is None, f"{name} serves: {self.not_ready(name)}", seconds)

    def await_all(self, seconds: float = READY_S) -> float:
        """Until everything that is wanted serves."""
        began = time.monotonic()
        for name in [name for name, member in self._members.items() if member.wanted]:
            self.await_ready(name, seconds)
        return time.monotonic() - began

    def _signal(self, name: str, number: signal.Signals) -> None:
        with self._lock:
            member = self._members[name]
            member.wanted = False
            if member.running is not None:
                signal_to(member.running, number)

    def _supervise(self) -> None:
        while not self._closing.wait(SUPERVISION_S):
            with self._lock:
                for name, member in self._members.items():
                    if not member.wanted or member.running is None or member.running.alive():
                        continue
                    self.ended.append(Ended(name, tail(member.part.log, 3)[-600:]))
                    with contextlib.suppress(OSError, StackError):  # a full disk: tried again
                        self._launch(name, member)

    def _end_all(self) -> None:
        self._closing.set()
        if self._supervisor.is_alive():
            self._supervisor.join(10)
        with self._lock:
            for member in self._members.values():
                member.wanted = False
                if member.running is not None:
                    signal_to(member.running, signal.SIGCONT)
            for name in reversed(self._members):
                running = self._members[name].running
                if running is not None and name not in ("kafka", "clickhouse"):
                    signal_to(running, signal.SIGTERM)
            for name in reversed(self._members):
                running = self._members[name].running
                if running is not None:
                    stop(running, 15)
        self._stack.down()

    def _extra(self, name: str) -> dict[str, str]:
        # the folder SKEW only moves clocks that are told to move
        path = os.pathsep.join([str(SKEW), *filter(None, [os.environ.get("PYTHONPATH")])])
        common = {"LOVLA_TICK_S": str(self._tick_s), "PYTHONPATH": path}
        return common | ({"LOVLA_CLICKHOUSE_PORT": str(self.proxy.port)} if name.removesuffix(SECOND) in self.services else {})

    def _pidfile(self, name: str) -> Path:
        return self.state_dir / "run" / f"{name}.json"

    def mend(self) -> None:
        """After a scenario that broke off: the first members run, further ones are gone, the proxy is open."""
        self.proxy.be("open")
        for name in self.names():
            self.thaw(name)
            if name.endswith(SECOND):
                with contextlib.suppress(Violation):
                    self.drop(name)
            elif not self.alive(name):
                self.start(name)
        self.await_all()

    def metric(self, name: str, sample: str) -> float:
        """One figure of a stage's metrics page; 0 if it has none yet."""
        port = self._members[name].part.ports[name]
        try:
            page = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5, trust_env=False).text
        except httpx.HTTPError:
            return 0.0
        line = next((line for line in page.splitlines() if line.startswith(sample)), "0")
        return float(line.rpartition(" ")[2])

    # --- what a user does

    def lovla(self, *words: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """A verb, as a user has it: straight to the servers, past the proxy."""
        environment = os.environ | {"LOVLA_STATE_DIR": str(self.state_dir), "NO_COLOR": "1"}
        command = [sys.executable, "-c", "from services.cli import main; main()", *words]
        return forks.run(command, cwd=ROOT, env=environment, timeout=timeout_s)

    def must(self, *words: str) -> str:
        """As `lovla`, and it must work."""
        done = self.lovla(*words)
        if done.returncode != 0:
            raise Violation(f"lovla {' '.join(words)}: {done.stderr.strip()[-500:] or done.stdout.strip()[-500:]}")
        return done.stdout

    def doors(self) -> list[str]:
        """Where to push: each api that there is, serving or not."""
        with self._lock:
            apis = [member.part for name, member in self._members.items() if name.removesuffix(SECOND) == "api"]
        return [f"http://127.0.0.1:{next(iter(part.ports.values()))}" for part in apis]

    # --- small disks

    DISKS = ("kafka", "clickhouse", "tracker")

    def _mount(self) -> None:
        for disk in self.DISKS:
            folder = self.state_dir / disk
            folder.mkdir(parents=True, exist_ok=True)
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={ROOMY},mode=700", "lovla-faults", str(folder)],
                capture_output=True,
                text=True,
            )
            if done.returncode != 0:
                self.no_disks = f"a small file system cannot be mounted here: {done.stderr.strip()}"
                return
            self._exit.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=False, capture_output=True)

    @contextlib.contextmanager
    def full(self, disk: str, left_bytes: int = 0) -> Iterator[None]:
        """The file system of `disk` has no more than that left, as long as this lasts."""
        folder = self.state_dir / disk
        try:
            for spare in (0, 1, 4, 16, 64, 256):  # what is written between the two looks must fit
                used = os.statvfs(folder)
                if self._resize(folder, str((used.f_blocks - used.f_bfree + spare) * used.f_frsize + left_bytes)):
                    break
            else:
                raise Violation(f"the disk of {disk} cannot be made small: it is written to all the time")
            yield
        finally:
            if not self._resize(folder, ROOMY):
                raise Violation(f"the disk of {disk} cannot be made large again")

    def _resize(self, folder: Path, size: str) -> bool:
        done = subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], capture_output=True, text=True)
        return done.returncode == 0


ROOMY = "6g"  # tmpfs takes only what is used


@dataclass(frozen=True, slots=True)
class _Second(ServicePart):
    """A second member of a stage: another port, another log."""

    @property
    def name(self) -> str:
        return self.service.name + SECOND

    @property
    def ports(self) -> dict[str, int]:
        return {self.name: self.port}

    @property
    def log(self) -> Path:
        return self.state_dir / "log" / f"{self.name}.log"

    def env(self) -> dict[str, str]:
        # a dataclass with slots is made anew: super() without arguments would look into the class of before
        inherited = ServicePart.env(self)
        return inherited | ({self.service.port_setting: str(self.port)} if self.service.own_door else {})
