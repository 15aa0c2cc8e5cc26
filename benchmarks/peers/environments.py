"""Where peers live: a virtual environment each, made at the first run from pinned requirements, kept in a cache folder."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

from deploy.local.errors import StackError
from deploy.local.kafka import java

HERE: Final = Path(__file__).parent
INSTALL_S: Final = 600


class CannotInstall(Exception):
    """A peer's environment cannot be made here; the text says why."""


def python_of(name: str, cache: Path) -> Path:
    """The interpreter of a peer's environment. Raises CannotInstall."""
    wanted = HERE / name / "requirements.txt"
    mark = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache / f"{name}-{mark}"
    python = folder / "bin" / "python"
    if (folder / "whole").exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    try:
        venv.EnvBuilder(with_pip=True).create(folder)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotInstall(f"no environment can be made: {error}") from error
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(wanted)])
    (folder / "whole").touch()
    return python


def kafka_streams(cache: Path) -> tuple[str, str]:
    """(Java, class path) of the compiled peer. Raises CannotInstall."""
    from jgo import resolve

    source = HERE / "kafka_streams" / "FoldPeer.java"
    roots = [line for line in (HERE / "kafka_streams" / "jars.txt").read_text().splitlines() if line and line[0] != "#"]
    mark = hashlib.sha256(source.read_bytes() + repr(roots).encode()).hexdigest()[:12]
    folder = cache / f"kafka_streams-{mark}"
    try:
        paths = {root: [str(artifact.resolve()) for artifact in resolve(root)] for root in roots}
        machine = java()
    except (OSError, RuntimeError, StackError) as error:
        raise CannotInstall(f"its jars cannot be fetched: {error}") from error
    streams, compiler = (":".join(paths[root]) for root in roots)
    if not (folder / "whole").exists():
        folder.mkdir(parents=True, exist_ok=True)
        main = "org.eclipse.jdt.internal.compiler.batch.Main"
        options = ["-21", "-proc:none", "-nowarn", "-cp", streams, "-d", str(folder), str(source)]
        _run([machine, "-cp", compiler, main, *options])
        (folder / "whole").touch()
    return machine, f"{folder}:{streams}"


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)  # noqa: S603  ours
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotInstall(str(error)) from error
    if done.returncode != 0:
        raise CannotInstall((done.stderr or done.stdout).strip()[-500:])
