"""The product's own verbs (`lovla ...`), run as processes: for what they know and ClickHouse does not (docs/decisions/0049).

*Guarantee*: a process ends with whoever waits for it: at its bound, when its request is given up, and when the console stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

VERB: tuple[str, ...] = (sys.executable, "-P", "-c", "from services.cli import main; main()")
"""What `lovla` is; its settings are those that this process was started with."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a verb said, and with which code it ended. `complaint`: what it wrote to stderr, without its name."""

    code: int
    lines: list[str]
    complaint: str


async def run(words: Sequence[str], within_s: float, verb: Sequence[str] = VERB) -> Said:
    """Run `lovla WORDS --json`. Raises TimeoutError."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *verb, *words, "--json", stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(within_s):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                process.kill()
            await process.wait()
    lines = [line for line in out.decode("utf-8", "replace").splitlines() if line.strip()]
    return Said(process.returncode or 0, lines, err.decode("utf-8", "replace").strip().removeprefix("lovla: ")[:500])
