"""`lovla watch` beside the real door: killed at its steps, it loses nothing and says nothing twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import RAW_MESSAGES
from services.runtime.failpoints import EXIT_CODE
from services.runtime.settings import Settings
from tests import forks
from tests.integration.ingest.conftest import Api, Lovla
from tests.integration.ingest.records import read_all
from tests.integration.ingest.test_door import DCSA_EVENT
from tests.waiting import eventually

pytestmark = pytest.mark.stack


def watch(settings: Settings, api: Api, folder: Path, failpoint: str = "") -> subprocess.CompletedProcess[str]:
    """The verb, as a process."""
    env = {"LOVLA_STATE_DIR": str(settings.state_dir), "LOVLA_API_PORT": str(api.port), "LOVLA_FAILPOINT": failpoint}
    words = [
        sys.executable,
        "-c",
        "from services.cli import main; main()",
        "watch",
        str(folder),
        "--once",
        "--settle",
        "0.1",
        "--json",
    ]
    return forks.run(words, env={**os.environ, **env}, timeout=90)


def receipt(box: Path, name: str) -> Any:
    return json.loads((box / "done" / f"{name}.receipt.json").read_text())


@pytest.fixture
def box(lovla: Lovla, tmp_path: Path) -> Path:
    code = f"W{os.getpid()}"
    folder = tmp_path / code
    folder.mkdir()
    if not lovla("carriers", "list", "--json").stdout.count(code):
        assert lovla("carriers", "add", code, "--kind", "ocean_carrier").exit_code == 0
    probe = tmp_path / "probe.json"
    probe.write_text(json.dumps([DCSA_EVENT]))
    eventually(lambda: lovla("push", probe, "--carrier", code).exit_code == 0)
    return folder


@pytest.mark.parametrize("failpoint", ["watch.counted", "watch.pushed", "watch.answered"])
def test_a_file_through_a_kill_comes_in_once_or_as_the_same_events(
    failpoint: str, box: Path, settings: Settings, api: Api
) -> None:
    event = DCSA_EVENT | {"eventID": f"watch-{failpoint}"}
    (box / "one.json").write_text(json.dumps([event]))

    assert watch(settings, api, box.parent, failpoint).returncode == EXIT_CODE
    ended = watch(settings, api, box.parent)

    assert ended.returncode == 0, ended.stderr
    said = receipt(box, "one.json")
    raw = [record for record in read_all(settings, RAW_MESSAGES.name) if f"watch-{failpoint}".encode() in (record.value or b"")]
    assert len(raw) == 1, "the door knew the Idempotency-Key"
    assert said["answered_as_before"] is (failpoint == "watch.pushed")
    assert said["answers"][0]["accepted"] == 1
    assert sorted(os.listdir(box / ".lovla")) == []


def test_what_the_door_cannot_read_stands_in_failed_and_its_bytes_are_kept(box: Path, settings: Settings, api: Api) -> None:
    (box / "note.txt").write_text("PLS CFM ETA ASAP watch")

    ended = watch(settings, api, box.parent)

    assert json.loads(ended.stdout)["outcome"] == "failed"
    assert "unknown_format" in (box / "failed" / "note.txt.complaint.txt").read_text()
    assert any(record.value == b"PLS CFM ETA ASAP watch" for record in read_all(settings, RAW_MESSAGES.name))


def test_a_carrier_without_a_key_waits_and_is_told_what_to_do(settings: Settings, api: Api, tmp_path: Path) -> None:
    (tmp_path / "NOKEY").mkdir()
    (tmp_path / "NOKEY" / "a.txt").write_text("x")

    ended = watch(settings, api, tmp_path)

    assert ended.returncode == 1
    assert "lovla carriers add NOKEY" in json.loads(ended.stdout)["text"]
    assert (tmp_path / "NOKEY" / ".lovla" / "1" / "file").read_text() == "x"


def test_a_folder_that_is_not_there_is_one_sentence(settings: Settings, api: Api, tmp_path: Path) -> None:
    ended = watch(settings, api, tmp_path / "none")

    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "cannot be watched" in ended.stderr
