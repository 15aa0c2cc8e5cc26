"""Backup and restore of a state folder: one file with all of it (topics, tables, settings, keys), whole or refused.

Taken while the stack is down, so that it is one moment of everything. The file is a gzipped tar: first a mark that says what it
is, then the files, last the list of them with SHA-256 of each; without that list, or with a file that differs from it, nothing
is restored. It holds secrets (lovla.env, keys), so it is readable by its owner only, and so is what is restored.

Left out: pid files, locks, what is half written. Links are kept if they stay inside the folder (ClickHouse makes some).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from deploy.local import environment
from deploy.local.errors import StackError
from deploy.local.stack import Stack

MARK = "lovla-backup.json"
LIST = "lovla-files.json"
FORMAT = 1
LEFT_OUT = frozenset({"run", "up.lock", "members"})  # of the top folder: who runs now
CHUNK_BYTES = 1024 * 1024
LIST_MAX_BYTES = 512 * 1024 * 1024
LEVEL = 1  # Kafka's and ClickHouse's files are compressed already

Progress = Callable[[int, int], None]
"""(bytes done, bytes in all)"""


@dataclass(frozen=True, slots=True)
class Done:
    """What was written or restored."""

    path: Path
    files: int
    size_bytes: int


def backup(stack: Stack, target: Path, now: datetime, progress: Progress = lambda done, total: None) -> Done:
    """Write the state folder into `target`: a new file, or a folder that gets one named after the moment.

    Raises:
        StackError: something runs, there is nothing to keep, the file exists, or the disk is full.
    """
    with stack.at_rest("backup"):
        folder = stack.state_dir
        if not environment.read(folder):
            raise StackError(f"there is no stack in {folder}: nothing to back up; name another with --state-dir")
        file = target / f"lovla-{now:%Y%m%dT%H%M%SZ}.tar.gz" if target.is_dir() else target
        if file.exists():
            raise StackError(f"{file} is there already: a backup never replaces another; name a new file")
        if file.resolve().is_relative_to(folder):
            raise StackError(f"{file} lies in the state folder itself: name a place outside {folder}")
        draft = file.with_name(file.name + ".partial")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw:
                os.fchmod(raw.fileno(), 0o600)
                listed = _write(raw, folder, now, progress)
                raw.flush()
                os.fsync(raw.fileno())
            draft.rename(file)
        except OSError as error:
            raise StackError(f"cannot write {file}: {error.strerror or error}; nothing was kept") from error
        finally:
            draft.unlink(missing_ok=True)
        return Done(file, len(listed), sum(entry.get("size", 0) for entry in listed.values()))


def _write(raw: IO[bytes], folder: Path, now: datetime, progress: Progress) -> dict[str, dict[str, Any]]:
    paths = list(_walk(folder))
    total = sum(path.lstat().st_size for path in paths if not path.is_symlink() and path.is_file())
    done = 0
    listed: dict[str, dict[str, Any]] = {}
    with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=LEVEL, format=tarfile.PAX_FORMAT) as archive:
        _add_json(archive, MARK, {"what": "lovla state folder", "format": FORMAT, "made_at": now.isoformat()})
        for path in paths:
            name = path.relative_to(folder).as_posix()
            member = tarfile.TarInfo(f"state/{name}")
            member.mode = path.lstat().st_mode & 0o700
            if path.is_symlink():
                member.type, member.linkname = tarfile.SYMTYPE, _link(path, folder)
                listed[name] = {"link": member.linkname}
                archive.addfile(member)
            elif path.is_dir():
                member.type = tarfile.DIRTYPE
                listed[name] = {"folder": True}
                archive.addfile(member)
            elif path.is_file():
                member.size = path.stat().st_size
                with path.open("rb") as file:
                    hashing = _Hashing(file)
                    archive.addfile(member, hashing)
                listed[name] = {"size": member.size, "sha256": hashing.sha256.hexdigest()}
                done += member.size
                progress(done, total)
        _add_json(archive, LIST, listed)
    return listed


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        top = path.relative_to(folder).parts[0]
        if top not in LEFT_OUT and path.suffix != ".tmp":
            yield path


def _link(path: Path, folder: Path) -> str:
    """The link's target, relative; a link out of the folder would bring back something else than was kept."""
    target = Path(os.path.normpath(path.parent / path.readlink()))
    if not target.is_relative_to(folder):
        raise StackError(f"{path} leads out of the state folder, to {target}: replace the link by what it leads to")
    return os.path.relpath(target, path.parent)


class _Hashing:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.sha256.update(content)
        return content


def _add_json(archive: tarfile.TarFile, name: str, value: object) -> None:
    content = json.dumps(value, indent=1, sort_keys=True).encode()
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


def restore(stack: Stack, file: Path, progress: Progress = lambda done, total: None) -> Done:
    """Bring a backup back into the stack's state folder, which must be empty or not there.

    It is unpacked beside the folder and put in place only when all of it is found whole.

    Raises:
        StackError: the folder is not empty, the file is no backup, or not whole.
    """
    folder = stack.state_dir
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StackError(f"{folder} is not empty: a backup is restored into a new folder only; name one with --state-dir")
    draft = folder.with_name(f".{folder.name}.restoring-{os.getpid()}")
    try:
        draft.mkdir(mode=0o700, parents=True)
        listed = _unpack(file, draft, progress)
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)
    except (tarfile.TarError, EOFError, zlib.error, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StackError(f"{file} is cut short, or no backup of `lovla backup` ({error}); nothing was restored") from error
    except OSError as error:  # gzip's own complaint about a foreign file is one
        raise StackError(f"cannot restore {file}: {error.strerror or error}; nothing was restored") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Done(folder, len(listed), sum(entry.get("size", 0) for entry in listed.values()))


def _unpack(file: Path, draft: Path, progress: Progress) -> dict[str, dict[str, Any]]:
    total = file.stat().st_size
    found: dict[str, dict[str, Any]] = {}
    with (
        file.open("rb") as raw,
        gzip.GzipFile(fileobj=raw) as plain,
        tarfile.open(fileobj=plain, mode="r|") as archive,
    ):
        _check_mark(file, archive)
        while (member := archive.next()) is not None:  # iterating would begin at the mark again
            if member.name == LIST:
                listed: dict[str, dict[str, Any]] = json.loads(_content(archive, member, LIST_MAX_BYTES))
                _compare(file, listed, found)
                while plain.read(CHUNK_BYTES):
                    pass  # to its end, where gzip's own checksum of the whole stands
                return listed
            name = member.name.removeprefix("state/")
            found[name] = _unpack_one(archive, member, draft / _safe(file, name))
            progress(raw.tell(), total)
    raise StackError(f"{file} is cut short: its list of files is missing; nothing was restored")


def _check_mark(file: Path, archive: tarfile.TarFile) -> None:
    first = archive.next()
    if first is None or first.name != MARK:
        raise StackError(f"{file} is no backup of `lovla backup`; nothing was restored")
    mark = json.loads(_content(archive, first, CHUNK_BYTES))
    if mark.get("format") != FORMAT:
        raise StackError(f"{file} is a backup of another version (format {mark.get('format')}); this one reads {FORMAT}")


def _unpack_one(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> dict[str, Any]:
    if member.isdir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return {"folder": True}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if member.issym():
        path.symlink_to(member.linkname)
        return {"link": member.linkname}
    content = archive.extractfile(member)
    if content is None:
        raise StackError(f"{member.name} is of a kind that no backup of ours holds; nothing was restored")
    hashing = _Hashing(content)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, member.mode & 0o700), "wb") as out:
        shutil.copyfileobj(hashing, out, CHUNK_BYTES)
    return {"size": member.size, "sha256": hashing.sha256.hexdigest()}


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, most: int) -> bytes:
    file = archive.extractfile(member)
    if file is None or member.size > most:
        raise tarfile.ReadError(f"{member.name} is not what it should be")
    return file.read()


def _safe(file: Path, name: str) -> PurePosixPath:
    """A name inside the folder, and nowhere else."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise StackError(f"{file} names {name!r}, outside of any state folder: no backup of ours; nothing was restored")
    return path


def _compare(file: Path, listed: dict[str, dict[str, Any]], found: dict[str, dict[str, Any]]) -> None:
    wrong = sorted(name for name in listed.keys() | found.keys() if listed.get(name) != found.get(name))
    for name, entry in found.items():
        target = os.path.normpath(os.path.join(os.path.dirname(name), entry.get("link", "")))
        if target.startswith("..") or os.path.isabs(entry.get("link", "")):
            wrong.append(name)
    if wrong:
        raise StackError(f"{file} is damaged: {len(wrong)} files are not what its list says ({wrong[0]}); nothing was restored")
