"""However a test session ends, its servers and folders end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.local.process import Running, gone
from tests.stack import ROOT

SESSION = """
import time
from tests.stack import Stack
stack = Stack({})
server = stack.clickhouse()
print(stack.directory(), flush=True)
server.running.save(stack.directory() / "pid.json")
print("started", flush=True)
time.sleep(600)
"""


@pytest.mark.stack
def test_servers_do_not_outlive_a_session_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", SESSION], cwd=ROOT, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout is not None
        folder = Path(session.stdout.readline().strip())
        assert session.stdout.readline().strip() == "started"
        server = Running.load(folder / "pid.json")
        assert server is not None
        assert server.alive()
        os.kill(session.pid, signal.SIGKILL)
    assert gone(server, within_s=30)
    deadline = time.monotonic() + 30
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()
