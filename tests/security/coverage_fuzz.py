"""Fuzzing guided by coverage (atheris, libFuzzer): for `make fuzz` alone.

atheris is a tool and no part of our lock: it gets an environment of its own at the first run, pinned by hash, that sees our
packages through a path file. Where it does not install (no wheel for this machine), the other ways remain; that is said, and is
a failure unless `--without-atheris` says that it is meant.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("atheris.txt")
CACHE = Path(__file__).resolve().parents[2] / "build" / "atheris"
_INSTALL_S = 300
_OVERDUE_S = 300  # beyond its time: it starts slowly, instrumented, and on a busy machine slower still


def missing() -> str | None:
    """Why atheris does not run here, None if it does; installs it at the first call."""
    python = _python()
    return python if isinstance(python, str) else None


def guided(reader: str, seconds: float) -> int:
    """Fuzz one reader for so long; 1 if something was found, which is printed with how to run it again. Needs atheris."""
    from tests.security import fuzz

    python = _python()
    assert isinstance(python, Path), python
    with tempfile.TemporaryDirectory() as folder:
        sound, found = Path(folder, "corpus"), CACHE / "found"
        sound.mkdir()
        found.mkdir(parents=True, exist_ok=True)
        for number, message in enumerate(fuzz.corpus(reader)):
            (sound / str(number)).write_bytes(message)
        words = [str(python), "-m", "tests.security.coverage_fuzz", reader, str(sound)]
        words += [f"-max_total_time={int(seconds)}", "-max_len=20000", "-timeout=20", "-rss_limit_mb=4096", "-verbosity=0"]
        words += ["-print_final_stats=1", f"-artifact_prefix={found}/{reader}-"]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=seconds + _OVERDUE_S, check=False)
        except subprocess.TimeoutExpired:
            print(f"{reader}: atheris did not end in time", flush=True)
            return 1
    tried = next((line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line), "?")
    print(f"{reader}: {tried} messages guided by coverage", flush=True)
    if done.returncode != 0:
        print(f"{(done.stdout + done.stderr)[-4_000:]}\n{reader}: found; the message lies in {found}", flush=True)
    return min(done.returncode, 1) if done.returncode >= 0 else 1


def _python() -> Path | str:
    """The interpreter that has atheris beside our packages; else why there is none."""
    mark = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = CACHE / mark
    python = folder / "bin" / "python"
    if (folder / "whole").exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    try:
        venv.EnvBuilder(with_pip=True).create(folder)
        words = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        words += ["--only-binary", ":all:", "-r", str(REQUIREMENTS)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if done.returncode != 0:
        return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "it was not installed"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "lib" / version / "site-packages" / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (folder / "whole").touch()
    return python


def main() -> None:
    """In the environment of atheris: `READER CORPUS [libFuzzer's options]`."""
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]  # in its own environment only

    reader, *rest = sys.argv[1:]
    with atheris.instrument_imports(include=["services.ingest"]):
        from services.ingest.readers_stage import Readers
        from tests.security import fuzz

    registers = fuzz.KnowsMappings()
    assert reader in fuzz.READERS

    def read(body: bytes) -> None:
        fuzz.check_as(reader, body, Readers(registers))

    atheris.Setup([sys.argv[0], *rest], read)
    atheris.Fuzz()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main()
