"""A verb's process is not left behind: neither by its bound nor by who gives it up."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import pytest

from services.console.verbs import run

SLEEPS = (sys.executable, "-S", "-c", "import time; time.sleep(60)")


@pytest.fixture
def pids(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of the processes that were begun."""
    known, begin = list[int](), asyncio.create_subprocess_exec

    async def noted(*words: Any, **said: Any) -> asyncio.subprocess.Process:
        process = await begin(*words, **said)
        known.append(process.pid)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    return known


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_what_it_said_comes_by_lines_and_its_complaint_without_its_name() -> None:
    says = (sys.executable, "-S", "-c", "import sys; print(sys.argv[1:]); print(); sys.exit('lovla: no such letter')")
    said = await run(["show", "X"], 30, says)
    assert (said.code, said.lines, said.complaint) == (1, ["['show', 'X', '--json']"], "no such letter")


async def test_it_ends_at_its_bound(pids: list[int]) -> None:
    with pytest.raises(TimeoutError):
        await run([], 0.1, SLEEPS)
    assert [is_gone(pid) for pid in pids] == [True]


async def test_it_ends_with_who_asked(pids: list[int]) -> None:
    asked = asyncio.create_task(run([], 60, SLEEPS))
    while not pids:
        await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert [is_gone(pid) for pid in pids] == [True]
