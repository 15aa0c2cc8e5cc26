"""Backup and restore with real servers: the same answers afterwards; what is not whole, or not ours, is refused."""

from __future__ import annotations

import gzip
import io
import json
import stat
import tarfile
from pathlib import Path

import pytest

from deploy.local import environment
from deploy.local.stack import Stack
from services.runtime.clickhouse import connect
from services.runtime.settings import Settings
from tests.integration.local.test_up_and_down import SERVERS, Lovla, last, produce
from tests.stack import Stack as Session


@pytest.fixture(scope="module")
def kept(stack: Session, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A stack that holds a record and a row, is down, and its backup."""
    folder = tmp_path_factory.mktemp("backup") / "state"
    lovla = Lovla(folder)
    try:
        lovla.done("up", *SERVERS)
        for name in ("kafka", "clickhouse"):
            stack.watch(lovla.running(name))
        produce(Stack(folder).kafka(), b"kept")
        writer = connect(Settings.load(folder), "admin")
        writer.execute("INSERT INTO consent (k_topic, k_partition, k_offset, act) VALUES ('consent.v1', 0, 7, 'kept')")
        writer.close()
        running = lovla("backup", str(folder.parent))
        assert running.exit_code == 1
        assert "still run: `lovla down` first" in running.stderr
        assert list(folder.parent.glob("*.gz*")) == []
        lovla.done("down")
    finally:
        Stack(folder).down()
    said = json.loads(lovla.done("backup", str(folder.parent), "--json"))
    return folder, Path(said["file"])


def test_a_restored_stack_gives_the_same_answers(kept: tuple[Path, Path], stack: Session, tmp_path: Path) -> None:
    original, file = kept
    folder = tmp_path / "elsewhere" / "state"
    lovla = Lovla(folder)
    lovla.done("restore", str(file))
    assert environment.read(folder) == environment.read(original)
    try:
        lovla.done("up", *SERVERS)
        for name in ("kafka", "clickhouse"):
            stack.watch(lovla.running(name))
        assert last(Stack(folder).kafka()) == b"kept"
        reader = connect(Settings.load(folder), "reader")
        assert reader.query("SELECT k_offset, act FROM consent") == [{"k_offset": 7, "act": "kept"}]
        reader.close()
    finally:
        Stack(folder).down()


def test_nobody_else_may_read_the_backup_or_what_is_restored(kept: tuple[Path, Path], tmp_path: Path) -> None:
    _, file = kept
    folder = tmp_path / "state"
    Lovla(folder).done("restore", str(file))
    for path in (file, folder, *folder.rglob("*")):
        if not path.is_symlink():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def refused(file: Path, folder: Path) -> str:
    """What is said; and nothing is left behind."""
    said = Lovla(folder)("restore", str(file))
    assert said.exit_code == 1
    assert said.stderr.count("\n") == 1 and "Traceback" not in said.stderr
    assert not folder.exists()
    assert [path for path in folder.parent.iterdir() if "restoring" in path.name] == []
    return said.stderr


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_backup_that_was_cut_short_is_refused(kept: tuple[Path, Path], tmp_path: Path, share: float) -> None:
    whole = kept[1].read_bytes()
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(whole[: int(len(whole) * share)])
    assert "nothing was restored" in refused(cut, tmp_path / "state")


def rewritten(file: Path, to: Path, change: dict[str, bytes | None], named: dict[str, str] | None = None) -> Path:
    """The backup with some files changed, left out, or under another name."""
    with tarfile.open(file, "r:gz") as old, tarfile.open(to, "w:gz") as new:
        for member in old:
            content = old.extractfile(member)
            body = content.read() if content is not None else b""
            if member.name in change:
                if (other := change[member.name]) is None:
                    continue
                body, member.size = other, len(other)
            member.name = (named or {}).get(member.name, member.name)
            new.addfile(member, io.BytesIO(body))
    return to


def test_a_backup_with_a_changed_or_missing_file_is_refused(kept: tuple[Path, Path], tmp_path: Path) -> None:
    env = "state/lovla.env"
    for change in ({env: b"LOVLA_SECRET_KEY=stolen\n"}, {env: None}):
        damaged = rewritten(kept[1], tmp_path / "damaged.tar.gz", dict(change))
        assert "1 files are not what its list says (lovla.env)" in refused(damaged, tmp_path / "state")


def test_a_backup_that_would_write_outside_is_refused(kept: tuple[Path, Path], tmp_path: Path) -> None:
    evil = rewritten(kept[1], tmp_path / "evil.tar.gz", {}, {"state/lovla.env": "state/../../escaped"})
    assert "outside of any state folder" in refused(evil, tmp_path / "state")
    assert not (tmp_path / "escaped").exists() and not (tmp_path.parent / "escaped").exists()


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("not even gzip")
    foreign = tmp_path / "foreign.tar.gz"
    with tarfile.open(foreign, "w:gz") as archive:
        archive.add(text, "text")
    other = tmp_path / "other.gz"
    other.write_bytes(gzip.compress(b"gzip, and no tar"))
    for file in (text, foreign, other, tmp_path / "not-there"):
        assert "nothing was restored" in refused(file, tmp_path / "state")


def test_a_folder_that_holds_something_is_left_alone(kept: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    said = Lovla(tmp_path)("restore", str(kept[1]))
    assert said.exit_code == 1 and "is not empty" in said.stderr
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_backup_never_replaces_another_nor_lies_in_the_folder_that_it_keeps(kept: tuple[Path, Path]) -> None:
    folder, file = kept
    before = file.read_bytes()
    again = Lovla(folder)("backup", str(file))
    assert again.exit_code == 1 and "is there already" in again.stderr
    assert file.read_bytes() == before
    inside = Lovla(folder)("backup", str(folder / "b.tar.gz"))
    assert inside.exit_code == 1 and "lies in the state folder itself" in inside.stderr


def test_there_must_be_something_to_keep(tmp_path: Path) -> None:
    said = Lovla(tmp_path / "none")("backup", str(tmp_path))
    assert said.exit_code == 1 and "nothing to back up" in said.stderr
