"""Jars are fetched once, checked always, and mended by running again."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import jars
from deploy.local.errors import StackError
from deploy.local.process import free_ports
from tests.stack import ROOT


@pytest.fixture
def registry() -> Iterator[dict[str, str]]:
    """A registry on this machine that has all jars."""
    jars.ensure()
    handler = functools.partial(Quiet, directory=str(jars.cache()))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"here": f"http://127.0.0.1:{server.server_address[1]}"}
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def other_cache(tmp_path: Path, registry: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A cache with all jars in a folder of its own; the paths in it."""
    for jar in jars.locked():
        target = tmp_path / jar.path.relative_to(jars.cache())
        target.parent.mkdir(parents=True)
        shutil.copyfile(jar.path, target)
    monkeypatch.setenv("M2_REPO", str(tmp_path))
    return [jar.path for jar in jars.locked()]


def test_missing_cut_and_altered_jars_are_fetched_and_no_others(other_cache: list[Path], registry: dict[str, str]) -> None:
    absent, cut, altered, whole = other_cache[:4]
    absent.unlink()
    cut.write_bytes(cut.read_bytes()[:1000])
    altered.write_bytes(altered.read_bytes()[:-1] + b"!")
    written = whole.stat().st_mtime_ns
    assert {jar.path for jar in jars.wanting()} == {absent, cut, altered}
    told: list[int] = []
    jars.ensure(lambda done, total, name: told.append(done), registry)
    assert told == [1, 2, 3]
    assert jars.wanting() == []
    assert whole.stat().st_mtime_ns == written


def test_a_jar_with_other_contents_than_the_lock_says_is_refused(other_cache: list[Path], tmp_path: Path) -> None:
    jar = jars.locked()[0]
    forged = tmp_path / "forged" / jar.path.relative_to(jars.cache())
    forged.parent.mkdir(parents=True)
    forged.write_bytes(b"\0" * jar.size)
    jar.path.unlink()
    handler = functools.partial(Quiet, directory=str(tmp_path / "forged"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(StackError, match="another content"):
            jars.ensure(registries={"forged": f"http://127.0.0.1:{server.server_address[1]}"})
        server.shutdown()
    assert not jar.path.exists()


def test_a_registry_that_does_not_answer_is_a_sentence(other_cache: list[Path]) -> None:
    other_cache[0].unlink()
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "deploy.local.jars"],
        cwd=ROOT,
        env={**os.environ, "HTTPS_PROXY": nowhere, "https_proxy": nowhere, "NO_PROXY": "", "no_proxy": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "the jar registry did not deliver kafka_2.13-4.3.1.jar" in done.stderr
    assert "run this again" in done.stderr
    assert "Traceback" not in done.stderr
