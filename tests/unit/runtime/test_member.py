"""The transactional.id of a member: nobody else's while it lives, its successor's after that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from services.runtime.member import MemberId
from tests.stack import ROOT

HOLD = "import sys, pathlib; from services.runtime.member import MemberId; m = MemberId('readers', pathlib.Path(sys.argv[1]));"
HOLD += "print(m.transactional_id, flush=True); sys.stdin.read()"


def other_process(folder: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_two_members_never_have_one_id(tmp_path: Path) -> None:
    first, second = MemberId("readers", tmp_path), MemberId("readers", tmp_path)
    assert first.transactional_id != second.transactional_id
    assert MemberId("other", tmp_path).transactional_id not in (first.transactional_id, second.transactional_id)


def test_the_successor_of_a_killed_process_has_its_id(tmp_path: Path) -> None:
    process, said = other_process(tmp_path)
    with process:
        assert MemberId("readers", tmp_path).transactional_id != said
        process.kill()
        process.wait(10)
    assert MemberId("readers", tmp_path).transactional_id == said


def test_a_released_id_is_the_next_ones(tmp_path: Path) -> None:
    first = MemberId("readers", tmp_path)
    first.release()
    assert MemberId("readers", tmp_path).transactional_id == first.transactional_id


def test_state_folders_do_not_share_ids(tmp_path: Path) -> None:
    assert MemberId("readers", tmp_path / "a").transactional_id != MemberId("readers", tmp_path / "b").transactional_id


def test_a_folder_that_cannot_be_written_to_costs_only_the_slot(tmp_path: Path) -> None:
    (tmp_path / "members").write_text("in the way")
    ids = {MemberId("readers", tmp_path).transactional_id for _ in range(3)}
    assert len(ids) == 3
