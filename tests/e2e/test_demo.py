"""`lovla demo`, small: planted trouble goes in through the HTTP API and comes out of ClickHouse, all of it and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import ROOT


@pytest.mark.stack
@pytest.mark.timeout(420)
def test_the_demo_finds_every_planted_exception_and_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    environment = os.environ | {"NO_COLOR": "1"}
    lovla = [sys.executable, "-c", "from services.cli import main; main()", "demo"]
    try:
        words = ["--size", "60", "--no-live", "--json", "--state-dir", str(folder)]
        done = subprocess.run([*lovla, *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        result = json.loads(done.stdout[done.stdout.index("{") :])
        assert result["good"] and result["misses"] == []
        assert sum(kind["found"] for kind in result["kinds"]) > 40
        assert result["dead_letters"]["found"] == result["dead_letters"]["expected"] > 0
    finally:
        subprocess.run([*lovla, "down", "--state-dir", str(folder)], cwd=ROOT, env=environment, check=False, timeout=120)
