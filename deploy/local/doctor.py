"""`lovla doctor`: everything that could keep the stack from running, each with what to do."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import psutil

from deploy.local import environment, jars
from deploy.local.diagnosis import conditions, look
from deploy.local.errors import StackError
from deploy.local.kafka import java
from deploy.local.process import Running, listener, port_taken
from deploy.local.stack import LEAST_FREE_BYTES, Stack
from services.runtime.runbooks import page

ROOMY_BYTES = 5 * 1024**3
LEAST_MEMORY_BYTES = 3 * 1024**3
LEAST_JAVA = 17


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `advice` says what to do where it is not ok."""

    verdict: Literal["ok", "warning", "wrong"]
    what: str
    found: str
    advice: str = ""


def examine(stack: Stack) -> Iterator[Finding]:
    """Look at everything in the order in which `up` needs it."""
    yield _python()
    yield _java()
    yield _jars()
    yield from _disk_and_memory(stack)
    yield from _settings(stack)
    holder = stack.lock_holder()
    if holder is not None:
        yield Finding("warning", "lock", f"pid {holder} is at work on this stack", "wait for it")
    yield from _parts(stack)
    for condition in conditions(look(stack, stack.status())):
        yield Finding("wrong", "runbook", condition.what, f"see {page(condition.runbook)}")


def _python() -> Finding:
    return Finding("ok", "python", ".".join(map(str, sys.version_info[:3])))  # an older one cannot even install us


def _java() -> Finding:
    try:
        command = java()
        told = subprocess.run(  # noqa: S603  the command is ours
            [command, "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=True
        ).stderr
        version = told.split('"')[1]
    except (StackError, OSError, subprocess.SubprocessError, IndexError) as error:
        return Finding("wrong", "java", str(error), "run `make setup` again")
    if int(version.split(".")[0]) < LEAST_JAVA:
        return Finding("wrong", "java", f"{version} ({command})", "run `make setup` again: it brings a newer one")
    return Finding("ok", "java", version)


def _jars() -> Finding:
    wanting = jars.wanting()
    if wanting:
        names = ", ".join(jar.path.name for jar in wanting[:3]) + (" ..." if len(wanting) > 3 else "")
        return Finding("warning", "jars", f"{len(wanting)} are missing or not whole: {names}", "`lovla up` fetches them")
    return Finding("ok", "jars", f"{len(jars.locked())} whole in {jars.cache()}")


def _disk_and_memory(stack: Stack) -> Iterator[Finding]:
    folder = next(folder for folder in (stack.state_dir, *stack.state_dir.parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    found = f"{free / 1024**3:.1f} GB free at {folder}"
    advice = "make room, or use --state-dir on another disk"
    if not os.access(folder, os.W_OK):
        yield Finding("wrong", "state folder", f"{folder} cannot be written to", "use another with --state-dir")
    if free < LEAST_FREE_BYTES:
        yield Finding("wrong", "disk", found, advice)
    elif free < ROOMY_BYTES:
        yield Finding("warning", "disk", found, advice)
    else:
        yield Finding("ok", "disk", found)
    memory = psutil.virtual_memory().available
    found = f"{memory / 1024**3:.1f} GB available"
    if memory < LEAST_MEMORY_BYTES:
        yield Finding("warning", "memory", found, "the stack wants some 3 GB; end something else")
    else:
        yield Finding("ok", "memory", found)


def _settings(stack: Stack) -> Iterator[Finding]:
    file = stack.state_dir / environment.NAME
    if not file.exists():
        yield Finding("ok", "settings", f"no {file} yet", "`lovla up` writes it")
        return
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        yield Finding("wrong", "settings", f"{file} can be read by others ({mode:o})", f"chmod 600 {file}; it holds passwords")
    else:
        yield Finding("ok", "settings", str(file))


def _parts(stack: Stack) -> Iterator[Finding]:
    states = {status.name: status for status in stack.status()}
    for part in stack.parts():
        status = states[part.name]
        match status.state:
            case "running":
                yield Finding("ok", part.name, f"serves (pid {status.pid})")
            case "not ready":
                yield Finding(
                    "wrong", part.name, f"runs (pid {status.pid}) but does not serve: {status.reason}", f"see {part.log}"
                )
            case "died":
                yield Finding("wrong", part.name, f"died (was pid {status.pid})", f"see {part.log}; `lovla up` starts it again")
            case "stopped":
                taken = [(port, listener(port)) for port in part.ports.values() if port_taken(port)]
                if taken:
                    port, who = taken[0]
                    purpose = next(name for name, number in part.ports.items() if number == port)
                    yield Finding(
                        "wrong",
                        part.name,
                        f"is stopped, and its port {port} is taken by {who}",
                        f"stop that, or `lovla up --port {purpose}=PORT`",
                    )
                else:
                    yield Finding("ok", part.name, "is stopped", "`lovla up` starts it")
    for file in sorted((stack.state_dir / "run").glob("*.json")):
        if Running.load(file) is None:
            yield Finding("warning", "pid file", f"{file} cannot be read", f"rm {file}")
