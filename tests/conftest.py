"""Fixtures that every test may use. Servers start when first asked for and end with the session."""

from __future__ import annotations

import faulthandler
import gc
import os
import sys
from collections import defaultdict
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key
from httpx import create_ssl_context
from httpx._transports import default as https

from deploy.local.kafka import SHORT_LIVED
from services.runtime import garbage
from services.runtime.settings import Settings
from tests import stack as stacks
from tests.stack import ROOT, ClickHouse, Kafka, Stack, missing

os.environ.pop("COLUMNS", None)  # xdist gives its processes the width of a terminal, which our verbs would heed
os.environ.setdefault("JAVA_TOOL_OPTIONS", " ".join(SHORT_LIVED))  # brokers of stacks that tests start by our verbs
# A call of httpx reads the world's certificates each time, 50 ms of CPU, and ours ask doors that speak plain HTTP.
vars(https)["create_ssl_context"] = cache(create_ssl_context)
# How long an example takes says how busy the machine is: those that compute stand back for the others (tests/lanes.py).
hypothesis.settings.register_profile("unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("unhurried")
gc.set_threshold(garbage.NEW_CONTAINERS, 20, 50)  # what is imported and collected stays
SERVERS = {"stack", "kafka", "clickhouse", "settings"}
TEARDOWN_S = 300.0
"""So long nothing takes that ends a test, servers of a session among it."""
WAITING = ("faults", "e2e", "browser", "integration")
"""Folders of tests that wait for servers, mostly."""
WAITING_TOO = tuple(f"security/test_{name}.py" for name in ("canaries", "floods", "sockets", "sql"))
"""Files of other folders that do, some by the clock: they must not stand back for others."""
ORDER = (*WAITING, "simulation", "security", "contract", "unit")
"""Of the folders: what is long comes first, so that no process is left alone with it at the end (tests/lanes.py: whose end)."""
LONG = (
    "integration/benchmarks/test_benchmarks.py",
    "integration/sink/test_audit.py",
    "integration/sink/test_rebuild.py",
    "integration/alerts/test_worker.py",
    "integration/tracker/test_refold.py",
    "e2e/test_pipeline.py",
    "unit/readers/test_linear_work.py",
    "integration/alerts/test_sender.py",
    "browser/test_pages.py",
    "integration/sink/test_sink.py",
    "integration/ingest/test_door.py",
    "security/test_sql.py",
    "e2e/test_demo.py",
    "integration/runtime/test_loop_setbacks.py",
    "integration/local/test_up_and_down.py",
    "integration/tracker/test_process.py",
    "integration/runtime/test_loop_groups.py",
    "faults/test_short.py",
)
"""Files of minutes: before all others of their kind, the longest first (at the end pytest says how long each took)."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for a server or the samples bears the marker, so that `-m 'not stack'` is what it says."""
    items.sort(key=_turn)
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        if asked & SERVERS:
            item.add_marker("stack")
        if "samples" in asked:
            item.add_marker("samples")


def _turn(item: pytest.Item) -> tuple[int, int]:
    """Where in the order its file is; files of one place stay as they were collected."""
    file = item.path.relative_to(ROOT / "tests").as_posix()
    return (0, LONG.index(file)) if file in LONG else (1, ORDER.index(file.partition("/")[0]))


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """In each of several processes."""
    if (told := getattr(session.config, "workerinput", None)) is not None:
        from tests.lanes import import_in_turn

        folders = [Path(arg).resolve() for arg in session.config.args if Path(arg).is_dir()]
        import_in_turn(ROOT, folders, int(told["workerid"].removeprefix("gw")), told["workercount"])


def pytest_collection_finish() -> None:
    """What was imported and collected is not walked over again: a fifth of the simulation's time went there."""
    garbage.relax()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """With -n auto."""
    from tests.lanes import processes

    return processes()


def pytest_configure(config: pytest.Config) -> None:
    """Called in each of several processes too."""
    if (told := getattr(config, "workerinput", None)) is not None:
        from tests.lanes import stand_back

        stand_back(told["workerid"])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """A test process that hangs while it ends a test says where, and ends. pytest's own watches (pyproject.toml) end as soon as
    a test fails; a stream that a failed test left running then kept `make test` waiting for an hour, with nothing to read."""
    faulthandler.dump_traceback_later(TEARDOWN_S, exit=True, file=item.config.stash[fault_handler_stderr_fd_key])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """With --dist loadfile: ours."""
    from tests.lanes import Lanes

    waiting = tuple(f"tests/{one}" for one in (*(f"{folder}/" for folder in WAITING), *WAITING_TOO))
    return Lanes(config, log, lambda file: file.startswith(waiting)) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object, error: object) -> None:
    """A test process that died says how: xdist alone would only say that it did (-11: a C library; -9: killed)."""
    if error is not None:
        popen = getattr(getattr(getattr(node, "gateway", None), "_io", None), "popen", None)
        print(f"\nexit status of the test process: {popen.wait(10) if popen else 'unknown'}", file=sys.stderr)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where the time went: seconds of all processes together, so that two at once give twice the clock's."""
    folders: defaultdict[str, float] = defaultdict(float)
    files: defaultdict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                file = report.nodeid.partition("::")[0]
                folders["/".join(file.split("/")[:2])] += report.duration
                files[file] += report.duration
    for what, spent, most in (("folder", folders, len(folders)), ("file, the longest", files, 20)):
        terminalreporter.write_sep("-", f"seconds by {what}")
        for name, seconds in sorted(spent.items(), key=lambda one: -one[1])[:most]:
            terminalreporter.write_line(f"{seconds:6.0f}  {name}")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The session's servers, none started yet."""
    servers = Stack(stacks.environ())
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def kafka(stack: Stack) -> Kafka:
    """A real broker: `.bootstrap`; `.kill()` and `.start()` for tests of failure."""
    return stack.kafka()


@pytest.fixture(scope="session")
def clickhouse(stack: Stack) -> ClickHouse:
    """A real ClickHouse: `.host`, `.port`, `.http_port`, `.passwords`; `.kill()` and `.start()`."""
    return stack.clickhouse()


@pytest.fixture(scope="session")
def settings(stack: Stack) -> Settings:
    """Settings wired to both servers; topics are declared, migrations applied."""
    return stacks.settings_for(stack)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of sample messages (LOVLA_SAMPLES, else ../shared/samples beside the repository)."""
    environ = stacks.environ()
    folder = Path(environ.get("LOVLA_SAMPLES", ROOT.parent / "shared" / "samples"))
    if not (folder / "MANIFEST.md").exists():
        missing("samples", f"no samples at {folder}; set LOVLA_SAMPLES", environ)
    return folder
