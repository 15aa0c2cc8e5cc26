"""`make setup`: a virtual environment with exactly what the lock says, Kafka's jars, its classes read ahead. Stdlib only.

Done once: `.venv/.installed` holds a hash of all that decides the result (lock, pyproject, this file, Python, place), so
that a touched file or a fresh checkout of the same content installs nothing again, and a half-finished run is mended.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Iterator  # noqa: UP035  this file must be readable by Pythons too old for us, to tell them so

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".installed"
LOCK = ROOT / "requirements.lock"
LEAST_FREE_BYTES = 3 * 1024**3  # ClickHouse alone is some 700 MB, once in the download cache and once installed
REGISTRY_HINT = "check the network, the proxy and pip's index setting, then run `make setup` again: it goes on where it was"


class SetupError(Exception):
    """What is wrong and what to do."""


def main() -> None:
    """Install what is not installed. Exit code 1 with a sentence where that cannot be."""
    if sys.version_info < (3, 11):  # noqa: UP036  the interpreter at hand may be older than the one we need
        sys.exit(f"setup: this is Python {sys.version.split()[0]}; LoVLA needs 3.11 or newer: make setup PYTHON=python3.12")
    try:
        with _alone():
            wanted = fingerprint()
            if not _installed(wanted):
                began = time.monotonic()
                _environment()
                _packages()
                STAMP.write_text(wanted, encoding="utf-8")
                _say(f"packages are installed ({time.monotonic() - began:.0f} s)")
            _run([str(PYTHON), "-P", "-m", "deploy.local.jars"], quiet=False, hint="see above")
            _run([str(PYTHON), "-P", "-m", "deploy.local.warm"], quiet=False, hint="see above")
            with contextlib.suppress(SetupError):  # it has said why; all but the console's scripts works without these files
                _run([str(PYTHON), "-P", "-m", "deploy.setup.assets"], quiet=False, hint="see above")
    except SetupError as error:
        sys.exit(f"setup: {error}")
    except KeyboardInterrupt:
        sys.exit("setup: interrupted; run it again to go on")


def fingerprint() -> str:
    """Changes whenever the environment has to be made anew: contents, not times."""
    digest = hashlib.sha256()
    for part in (LOCK.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), Path(__file__).read_bytes()):
        digest.update(hashlib.sha256(part).digest())
    digest.update(f"{sys.version_info[:2]} {ROOT}".encode())  # scripts of an environment hold its place
    return digest.hexdigest()


def uv_requirement(lock: str) -> str:
    """The lines of the lock that pin uv itself, with their hashes."""
    found = re.search(r"^uv==.*(?:\n    --hash=.*)+", lock, flags=re.MULTILINE)
    if found is None:
        raise SetupError(f"{LOCK.name} does not pin uv; make it again as its first lines say")
    return found.group() + "\n"


def _installed(wanted: str) -> bool:
    try:
        return STAMP.read_text(encoding="utf-8") == wanted and PYTHON.exists()
    except FileNotFoundError:
        return False


def _environment() -> None:
    free = shutil.disk_usage(ROOT).free
    if free < LEAST_FREE_BYTES:
        raise SetupError(
            f"{free // 1024**2} MB are free on the disk of {ROOT}, {LEAST_FREE_BYTES // 1024**2} MB are needed; make room"
        )
    same = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    if PYTHON.exists() and subprocess.run([str(PYTHON), "-c", f"import pip; {same}"], capture_output=True).returncode == 0:  # noqa: S603
        return
    _say(f"making .venv with Python {sys.version.split()[0]}")
    _run(
        [sys.executable, "-m", "venv", "--clear", str(VENV)],
        hint="on Debian and Ubuntu: apt-get install python3-venv",
    )


def _packages() -> None:
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    with tempfile.TemporaryDirectory() as folder:
        requirement = Path(folder) / "uv.txt"
        requirement.write_text(uv_requirement(LOCK.read_text(encoding="utf-8")), encoding="utf-8")
        _say("fetching uv, which installs the rest")
        _run([*pip, "install", "--quiet", "--require-hashes", "-r", str(requirement)], hint=REGISTRY_HINT)
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "--python", str(PYTHON)]
    _say(f"installing {_count()} packages (some 1.4 GB on disk)")
    try:
        _run([*uv, "--require-hashes", "-r", str(LOCK)], quiet=False, env=_uv_environment(pip), hint="")
    except SetupError:
        _say("uv did not manage; trying with pip, which is slower")
        _run([*pip, "install", "--require-hashes", "-r", str(LOCK)], quiet=False, hint=REGISTRY_HINT)
    _say("installing LoVLA itself, editable")
    _run([*pip, "install", "--quiet", "--no-build-isolation", "--no-deps", "--editable", str(ROOT)], hint="see above")


def _uv_environment(pip: list[str]) -> dict[str, str]:
    """uv does not read pip's configuration; whoever has set an index or a certificate there means it here too."""
    env = dict(os.environ)
    for setting, variable in (("index-url", "UV_DEFAULT_INDEX"), ("cert", "SSL_CERT_FILE")):
        for section in ("global", ":env:"):
            told = subprocess.run([*pip, "config", "get", f"{section}.{setting}"], capture_output=True, text=True)  # noqa: S603
            if told.returncode == 0 and told.stdout.strip():
                env.setdefault(variable, told.stdout.strip())
    return env


def _count() -> int:
    return sum(1 for line in LOCK.read_text(encoding="utf-8").splitlines() if re.match(r"[a-z0-9].*==", line))


def _run(command: list[str], *, hint: str, quiet: bool = True, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=quiet, text=True)  # noqa: S603
    if done.returncode != 0:
        words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:]) + "\n" if quiet else ""
        shown = " ".join(Path(word).name if word.startswith("/") else word for word in command[:6])
        raise SetupError(f"{words}`{shown} ...` failed (exit code {done.returncode}); {hint}")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One setup at a time: a second one waits, then finds all done."""
    handle = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another setup is at work here; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _say(text: str) -> None:
    sys.stdout.write(f"setup: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
