"""Our own programs as real processes without the second of CPU in which each imports the same modules: they are forked from a
process that has imported them once. Hundreds are started in a run; each is killed, frozen and waited for as any other.

`popen` and `run` take what subprocess.Popen and subprocess.run take, for `python -m MODULE ...` and `python -c CODE ...` with
this interpreter; `start` stands in for deploy.local.process.start. What differs: the command line that `ps` shows, and PYTHON*
variables, which are read at the start of Python. `lovla up` starts its services itself, as users have it; so do the tests that
are about the start of a process.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import inspect
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from deploy.local import process
from deploy.local.process import Running
from tests.stack import ROOT

SERVICES = (
    "services.ingest.api",
    "services.ingest.readers_stage",
    "services.tracker.app",
    "services.sink.__main__",
    "services.alerts.worker",
    "services.alerts.sender",
    "services.alerts.api",
    "services.console.app",
    "tests.integration.runtime.worker",
)
AGAIN = "FORKS_AGAIN"
"""In a child's environment: its command, for when it begins again by itself (services/runtime/lives.py). It does so by what it
takes for its command line, which is that of the process that forks: so `ps`, and whoever knows it, find it the same."""
MESSAGE = 200_000  # bytes: a request is the command and its environment
FORKS = sys.platform == "linux"  # elsewhere nobody but its parent can wait for a process
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_PDEATHSIG = 1


class _Forked(subprocess.Popen[Any]):
    """Popen in all but how the process comes to be."""

    def _execute_child(self, *told: Any) -> None:
        its = inspect.signature(subprocess.Popen._execute_child).bind(self, *told).arguments  # type: ignore[attr-defined]  # its own
        assert its["args"][0] == sys.executable and its["args"][1] in ("-m", "-c"), f"no program of ours: {its['args']}"
        request = {
            "args": its["args"],
            "cwd": os.fspath(its["cwd"] or os.getcwd()),
            "env": dict(os.environ if its["env"] is None else its["env"]),
            "session": its["start_new_session"],
        }
        streams = [its["p2cread"], its["c2pwrite"], its["errwrite"]]
        self.pid = _nursery().fork(request, [number if fd == -1 else fd for number, fd in enumerate(streams)])
        self._child_created = True
        pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(its[pipe] for pipe in pipes))  # type: ignore[attr-defined]  # its own


class _Nursery:
    """The process with everything imported, and the way to ask it for a child."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.argv = (sys.executable, "-m", "tests.forks", str(theirs.fileno()))
            """The command line that its children show."""
            self._process = subprocess.Popen(
                self.argv,
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._turn = threading.Lock()
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        atexit.register(self.close)

    def fork(self, request: dict[str, Any], streams: list[int]) -> int:
        """The pid of the new process, which is a child of ours from then on. Raises OSError."""
        with self._turn:
            # Its parent ends at once; who takes it over is the nearest ancestor that asked for such orphans.
            self._adopt(True)
            try:
                socket.send_fds(self._socket, [json.dumps(request).encode()], streams)
                answer = self._socket.recv(100)
            finally:
                self._adopt(False)
        if not int(answer or 0):
            raise OSError(f"no child, and the process that forks has ended by {self._process.poll()} (None: it goes on)")
        return int(answer)

    def _adopt(self, orphans: bool) -> None:
        if self._prctl(_PR_SET_CHILD_SUBREAPER, int(orphans), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")

    def close(self) -> None:
        self._socket.close()
        self._process.wait(20)


_known: list[_Nursery] = []
_first = threading.Lock()


def _nursery() -> _Nursery:
    with _first:
        if not _known:
            _known.append(_Nursery())
        return _known[0]


def popen(args: list[str], **options: Any) -> subprocess.Popen[Any]:
    """As subprocess.Popen."""
    return (_Forked if FORKS else subprocess.Popen)(args, **options)


def run(args: list[str], *, timeout: float, input: str | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """As subprocess.run with its output captured as text. Raises subprocess.TimeoutExpired; the process is gone then."""
    stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
    with popen(args, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options) as process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(args, process.returncode, out, err)


def start(argv: Sequence[str], *, cwd: Path, log: Path, env: Mapping[str, str]) -> Running:
    """As deploy.local.process.start, which is asked for what is no module of ours. Raises OSError."""
    if not FORKS or argv[0] != sys.executable or "-m" not in argv[1:3]:
        return process.start(argv, cwd=cwd, log=log, env=env)
    words = [argv[0], *argv[argv.index("-m") :]]  # -P keeps the working folder from being imported; it never is here
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = popen(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    child.returncode = 0  # whoever looks whether it is alive reaps it
    return Running(pid=child.pid, started=psutil.Process(child.pid).create_time(), argv=_nursery().argv)


def _serve(asked: socket.socket) -> dict[str, Any] | None:
    """Forks at each request. Comes back in each child with what it shall be, in the parent when nobody can ask any more."""
    while True:
        told, streams, _, _ = socket.recv_fds(asked, MESSAGE, 3)
        if not told:
            return None
        request: dict[str, Any] = json.loads(told)
        born, bearing = os.pipe()
        if middle := os.fork():
            os.waitpid(middle, 0)  # only then has the child its new parent
            os.close(bearing)
            asked.send(os.read(born, 100) or b"0")
            for fd in (born, *streams):
                os.close(fd)
            continue
        between = os.getpid()
        if os.fork():
            os._exit(0)
        _end_with_parent(between)
        if request["session"]:
            os.setsid()  # before anybody knows of it, and may want to end its whole session
        os.write(bearing, str(os.getpid()).encode())
        for fd in (born, bearing, asked.detach()):
            os.close(fd)
        for standard, fd in enumerate(streams):
            os.dup2(fd, standard)
        for fd in {*streams} - {0, 1, 2}:
            os.close(fd)
        return request


def _end_with_parent(before: int) -> None:
    """By SIGKILL, in a later life too (services/runtime/lives.py): else a session that was killed would leave processes that
    begin again for ever. Once it has another parent than the one `before`, whose end would count."""
    while os.getppid() == before:
        time.sleep(0.001)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _become(request: dict[str, Any]) -> None:
    """What Python does between its start and our first line."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    os.environ[AGAIN] = json.dumps(request["args"])
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115  as long as the process lives
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    _, kind, what, *words = request["args"]
    sys.argv = [kind, *words]
    if kind == "-m":
        warnings.filterwarnings("ignore", ".*found in sys.modules", RuntimeWarning)  # as it is meant to be
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})


def _main() -> None:
    if again := os.environ.get(AGAIN):
        _become({"args": json.loads(again), "cwd": os.getcwd(), "env": dict(os.environ)})
        return
    from services.cli import OWNERS

    asked = socket.socket(fileno=int(sys.argv[1]))
    for module in (*SERVICES, *OWNERS):
        importlib.import_module(module)
    assert threading.active_count() == 1, "an import started a thread, which no child would have"
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest
    request = _serve(asked)
    if request is not None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _become(request)


if __name__ == "__main__":
    _main()
