"""Processes that outlive their starter: start in a session of their own, recognise again, stop.

A process is recognised by pid, start time and command line together, so that a stale pid file, or a pid that the system
gave to somebody else meanwhile, is never taken for ours, and never killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

# psutil derives the start time from the boot time, which a clock correction may move a little between two readings.
START_TIME_TOLERANCE_S = 2.0
PORTS = range(20_000, 32_000)
LOG_ROLL_BYTES = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Running:
    """A process that we started: enough to recognise it. `started` is in seconds since the epoch."""

    pid: int
    started: float
    argv: tuple[str, ...]

    def alive(self) -> bool:
        """True while this very process runs (a zombie does not).

        Two moments look like an end and are none: just after the start the kernel has not filled in the command line yet;
        and of a killed server the first thread may be a zombie while the others still hold its ports and files.
        """
        with contextlib.suppress(ChildProcessError):  # not our child: nothing to reap
            os.waitpid(self.pid, os.WNOHANG)
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.started) >= START_TIME_TOLERANCE_S:
                return False
            if process.status() == psutil.STATUS_ZOMBIE:
                return process.num_threads() > 1
            return tuple(process.cmdline()) in ((), self.argv)
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return False  # somebody else's process: not ours

    def save(self, path: Path) -> None:
        """Write the pid file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(asdict(self)), encoding="utf-8")
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> Running | None:
        """Read a pid file; None if there is none, or if it is not one of ours."""
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            return cls(pid=int(fields["pid"]), started=float(fields["started"]), argv=tuple(fields["argv"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


def start(argv: Sequence[str], *, cwd: Path, log: Path, env: Mapping[str, str]) -> Running:
    """Start `argv` detached (own session, no stdin, output appended to `log`)."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_ROLL_BYTES:
        log.replace(log.with_name(log.name + ".1"))
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603  the command is ours
            argv, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    child.returncode = 0  # detached on purpose: keeps Popen from warning that the child still runs
    try:
        started = psutil.Process(child.pid).create_time()
    except psutil.NoSuchProcess:
        started = time.time()
    return Running(pid=child.pid, started=started, argv=tuple(argv))


def signal_to(running: Running, number: signal.Signals) -> None:
    """Send a signal to the process, if it is still the one we know. SIGKILL goes to its whole session."""
    if not running.alive():
        return
    with contextlib.suppress(ProcessLookupError):
        if number == signal.SIGKILL:
            os.killpg(running.pid, number)
        else:
            os.kill(running.pid, number)


def gone(running: Running, within_s: float) -> bool:
    """Wait until the process has ended; False if it still runs after `within_s`."""
    deadline = time.monotonic() + within_s
    while running.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def stop(running: Running, grace_s: float) -> bool:
    """SIGTERM, then after `grace_s` SIGKILL. True if it went by itself."""
    signal_to(running, signal.SIGTERM)
    if gone(running, grace_s):
        return True
    signal_to(running, signal.SIGKILL)
    gone(running, 10)
    return False


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log file ('' if there is none)."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 16_384))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def free_ports(count: int, avoid: Collection[int] = (), among: range = PORTS) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, all different, and none of `avoid`.

    They lie below the range from which systems take the ports of outgoing connections: a port that is kept must still be
    free at the next start, and a client that tries a dead server's port must not happen to connect to itself.
    """
    ports: list[int] = []
    for port in random.SystemRandom().sample(among, len(among)):
        if len(ports) == count:
            break
        if port not in avoid and not port_taken(port):
            ports.append(port)
    return ports


def port_taken(port: int) -> bool:
    """True if somebody listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free for a server
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def listener(port: int) -> str:
    """Who listens on a port, as far as we may know: 'pid 12 (java ...)' or 'another process'."""
    with contextlib.suppress(psutil.AccessDenied, psutil.NoSuchProcess):
        for connection in psutil.net_connections("tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr.port == port
                and connection.pid
            ):
                command = " ".join(psutil.Process(connection.pid).cmdline())
                return f"pid {connection.pid} ({command[:80]})"
    return "another process"
