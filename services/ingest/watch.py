"""`lovla watch`: files that SFTP, AS2 or a VAN drop into a carrier's folder, pushed to the door one by one.

    <folder>/NAME               dropped; taken once it has not changed for `settle_s` seconds
    <folder>/.lovla/1/          one under way: `file`, and `state.json`
    <folder>/done/, failed/     NAME, with NAME.receipt.json (what the door answered) and NAME.complaint.txt (what is wrong)

*The order* of a file's steps, and what a crash after each leaves:
1. its folder under `.lovla`, with its name in `state.json`: an empty folder, which the next run removes;
2. the file moved there, out of the reach of whoever sent it: the next run goes on here;
3. looked at again; if it changed while it was moved, it goes back and is waited for; if it ends before its form does
   (`_unended`), it fails;
4. `state.json` counts the attempt: from here on the door may have it;
5. pushed: the next run pushes it again, with the same Idempotency-Key; if it changed meanwhile, it goes back, as in 3;
6. `state.json` holds the answer and where the file goes: from here on it is never pushed again;
7. receipt and complaint written; 8. the file moved beside them; 9. its folder under `.lovla` removed: each is done again, or
   found done.

*Guarantees.* No file is lost or left out: it stands in the folder, under `.lovla`, or in done/ or failed/. What is pushed twice
(a crash after 4 or 5) is harmless: the door answers an Idempotency-Key that it knows as before, and else takes it as the same
events with the same ids; the receipt tells of it (`attempts`). While the door is away or the key is refused, files wait; one at
which the door fails again and again gives way to the others, and is asked again later. Nobody can tell a slow upload from an
ended one: a form with an end is waited for a minute and then refused, a table that ends within a line is waited for as long and
then taken; what changes after it was put away is taken back and pushed as a whole, as long as `_LATE_S` says and this runs.

Folders belong to whoever sends: all is done by descriptors of folders that are no symbolic links, and nothing is followed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from typing import Any, Final, Literal

from services.ingest.legible import shown
from services.ingest.limits import MIB
from services.ingest.message_files import content_type_of, parts_of
from services.runtime.client import Refused
from services.runtime.failpoints import Failpoints

FAILPOINTS: Final = (
    "watch.prepared",
    "watch.taken",
    "watch.looked",
    "watch.counted",
    "watch.pushed",
    "watch.answered",
    "watch.written",
    "watch.moved",
)
"""Where a test may end the process: after step 1 .. 8."""

FILE_BYTES: Final = 5 * MIB  # what the door takes in one request (services/ingest/limits.py)
_WORK, _DONE, _FAILED = b".lovla", b"done", b"failed"
_LOCK: Final = b".lovla-watch.lock"
_FILE, _STATE, _OUT = b"file", b"state.json", b"out"
_RECEIPT, _COMPLAINT = b".receipt.json", b".complaint.txt"
_UNFINISHED: Final = (
    b".tmp",
    b".temp",
    b".part",
    b".partial",
    b".filepart",
    b".crdownload",
    b".writing",
    b".swp",
    b".lock",
    b".lck",
    b"~",
)
_LOCKS: Final = (b".lock", b".lck")
_NAME_BYTES: Final = 230  # of the 255 that file systems take, with our endings
_NAMES_A_LOOK: Final = 10_000  # of one folder; the others come when these are gone
_FILES_A_TURN: Final = 50  # of one folder, then the next one's turn comes
_COMPLAINTS: Final = 200  # lines
_WAITS_S: Final = (1.0, 2.0, 5.0, 15.0, 60.0)
_GIVES_WAY_AFTER: Final = 5  # pushes of one file that the door failed at
_ASIDE_S: Final = (60.0, 300.0, 900.0, 3_600.0)  # until it is asked about such a file again
_ASIDE_MOST: Final = 100  # of one folder: then it is the door, and not the files
_UNENDED_S: Final = 60.0  # a file that stands still before its form or its last line ends may be a slow upload
_LATE_S: Final = 600.0  # after it was put away, a file's writer may still have it open
_LATE_MOST: Final = 2_000  # files of one folder
_ROOT = re.compile(rb"<([A-Za-z_][A-Za-z0-9_.:-]*)")
_BOM: Final = b"\xef\xbb\xbf"
_NOT_THE_FILES_FAULT: Final = frozenset({401, 403, 404, 405, 408, 409, 429})
_CODE = re.compile(rb"[A-Z0-9][A-Z0-9_.-]{0,34}")  # schemas/base.py, Code
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class NoFolder(Exception):
    """The folder cannot be watched; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What the door answered to one request. `again`: it knew the request, and answered as before."""

    body: Mapping[str, Any]
    again: bool = False


Push = Callable[[str, bytes, str, str], Taken]
"""Push (carrier, bytes, content type, idempotency key). Raises Refused."""


@dataclass(frozen=True, slots=True)
class Note:
    """What became of a file, or why files wait."""

    carrier: str
    name: str
    outcome: Literal["done", "failed", "waits", "left"]
    text: str


@dataclass(frozen=True, slots=True)
class _State:
    """`state.json`. `target`: the name that the file gets in `outcome`; both stand there once it was answered."""

    name: str
    size: int
    mtime_ns: int
    attempts: int = 0
    outcome: Literal["done", "failed"] | None = None
    target: str = ""
    answers: Sequence[Mapping[str, Any]] = ()
    again: bool = False
    sha256: str = ""
    complaints: Sequence[str] = ()


class Watch:
    """The folders under `root`, one a carrier, or `root` itself for one `carrier`. Use as a context manager."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        push: Push,
        *,
        carrier: str | None = None,
        settle_s: float = 5.0,
        most_bytes: int = FILE_BYTES,
        unended_s: float = _UNENDED_S,
        failpoints: Failpoints | None = None,
    ) -> None:
        self._root = os.fsencode(root)
        self._push = push
        self._carrier = carrier
        self._settle_s = settle_s
        self._most_bytes = most_bytes
        self._unended_s = unended_s
        self._reach = (failpoints or Failpoints()).reach
        self._fd = -1
        self._lock = -1
        self._folders: dict[bytes, _Folder] = {}
        self._told: set[tuple[str, str]] = set()

    def __enter__(self) -> Watch:
        try:
            self._fd = os.open(self._root, _FOLDER_FLAGS)
            self._lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self._fd)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise NoFolder(f"{os.fsdecode(self._root)} is watched by another `lovla watch`; end that one first.") from None
        except OSError as error:
            self.close()
            raise NoFolder(f"{os.fsdecode(self._root)} cannot be watched: {error.strerror}.") from None
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up the folders and the lock."""
        for folder in self._folders.values():
            folder.close()
        self._folders.clear()
        for fd in (self._lock, self._fd):
            if fd >= 0:
                os.close(fd)
        self._lock = self._fd = -1

    def turn(self, now_s: float) -> Iterator[Note]:
        """One look at every folder; pushes what is ready. `now_s`: of a monotonic clock."""
        for name, code in self._carriers():
            folder = self._folders.get(name)
            try:
                if folder is None:
                    folder = self._folders[name] = _Folder.opened(self._fd, name, code)
                yield from self._handle(folder, now_s)
            except OSError as error:  # a folder that went away, a disk that is full: told, and tried again
                if (gone := self._folders.pop(name, None)) is not None:
                    gone.close()
                yield from self._once(Note(code, shown(os.fsdecode(name)), "waits", f"{error.strerror or error}"))

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nothing was seen that is still to be taken."""
        return not any(folder.seen or folder.under_way() for folder in self._folders.values())

    def _carriers(self) -> Sequence[tuple[bytes, str]]:
        if self._carrier is not None:
            return [(b".", self._carrier)]
        found = []
        with os.scandir(self._fd) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                if entry.is_dir(follow_symlinks=False) and _CODE.fullmatch(name):
                    found.append((name, entry.name))
        return sorted(found)

    def _once(self, note: Note) -> Iterator[Note]:
        if len(self._told) > _NAMES_A_LOOK:
            self._told.clear()
        if (note.name, note.text) not in self._told:
            self._told.add((note.name, note.text))
            yield note

    def _handle(self, folder: _Folder, now_s: float) -> Iterator[Note]:
        for name in folder.take_back(now_s, self._most_bytes):
            text = "changed after it was put away: taken back, and pushed again as a whole"
            yield Note(folder.code, shown(os.fsdecode(name)), "left", text)
        ready = folder.look(now_s, self._settle_s)
        if now_s < folder.wait_until_s:
            return
        for work in folder.under_way():
            if work in folder.aside:
                continue
            yield from self._finish(folder, work, now_s)
            if now_s < folder.wait_until_s:
                return
        for name, seen in ready[:_FILES_A_TURN]:
            if now_s - seen.since_s < self._unended_s and folder.is_unended(name, self._most_bytes):
                continue
            work = folder.prepare(_State(os.fsdecode(name), seen.size, seen.mtime_ns))
            self._reach("watch.prepared")
            folder.take(name, work)
            self._reach("watch.taken")
            yield from self._finish(folder, work, now_s)
            if now_s < folder.wait_until_s:
                return
        for work in folder.due(now_s):
            yield from self._finish(folder, work, now_s)
            if now_s < folder.wait_until_s:
                return

    def _finish(self, folder: _Folder, work: int, now_s: float) -> Iterator[Note]:
        """Steps 3 to 9 of a file that stands under `.lovla`, from wherever it was left."""
        with folder.opened_work(work) as fd:
            state = _read_state(fd)
            has_file = _lstat(_FILE, fd) is not None
            if not has_file and (state is None or state.outcome is None):
                folder.clear(work)  # it was never taken
                return
            state = state or _State(f"unnamed-{work}", -1, -1)
            if state.outcome is None:
                judged = self._judge(folder, fd, state)
                if isinstance(judged, Refused):
                    attempts, text = state.attempts + 1, str(judged)
                    if (judged.status or 0) >= 500 and folder.gives_way(work, attempts, now_s):
                        text += f" Asked {_GIVES_WAY_AFTER} times: the files after it go first, and it is tried again later."
                    else:
                        folder.wait(now_s)
                    yield from self._once(Note(folder.code, shown(state.name), "waits", text))
                    return
                if judged is None:
                    folder.give_back(fd, os.fsencode(state.name))
                    folder.clear(work)
                    return
                state = folder.targeted(judged)
                _write(fd, _STATE, _dump(asdict(state)))
                self._reach("watch.answered")
            folder.wait_until_s, folder.refusals = 0.0, 0
            folder.write_beside(fd, state)
            self._reach("watch.written")
            if has_file:
                folder.put(fd, state, now_s)
            self._reach("watch.moved")
            folder.clear(work)
        assert state.outcome is not None
        yield Note(folder.code, shown(state.target), state.outcome, _summary(state))

    def _judge(self, folder: _Folder, work_fd: int, state: _State) -> _State | Refused | None:
        """Push the file: the state with its outcome; why it must wait; None if it is still being written."""
        found = _read_file(work_fd, self._most_bytes)
        if isinstance(found, str):
            return replace(state, outcome="failed", complaints=(found,))
        content, size, mtime_ns = found
        if state.size >= 0 and (size, mtime_ns) != (state.size, state.mtime_ns):
            return None
        if (text := _unended(content)) is not None:
            return replace(state, outcome="failed", complaints=(text,))
        self._reach("watch.looked")
        state = replace(state, attempts=state.attempts + 1, sha256=hashlib.sha256(content).hexdigest())
        _write(work_fd, _STATE, _dump(asdict(state)))
        self._reach("watch.counted")
        kind = content_type_of(state.name)
        answers, again = [], False
        try:
            for part in parts_of(content, kind) or [content]:
                key = hashlib.sha256(kind.encode() + b"\n" + part).hexdigest()
                taken = self._push(folder.code, part, kind, key)
                answers.append(taken.body)
                again = again or taken.again
        except Refused as refused:
            if refused.status is None or refused.status >= 500 or refused.status in _NOT_THE_FILES_FAULT:
                return refused
            if _has_changed(work_fd, size, mtime_ns):
                return None
            return replace(state, outcome="failed", answers=answers, complaints=str(refused).splitlines()[:_COMPLAINTS])
        self._reach("watch.pushed")
        if _has_changed(work_fd, size, mtime_ns):
            return None
        complaints = list(_complaints(answers))
        outcome: Literal["done", "failed"] = "done" if any(answer.get("accepted") for answer in answers) else "failed"
        return replace(state, outcome=outcome, answers=answers, again=again, complaints=complaints[:_COMPLAINTS])


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as it stood when it was looked at, and since when it stands so."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    since_s: float

    def is_as(self, other: os.stat_result) -> bool:
        return (self.inode, self.size, self.mtime_ns, self.ctime_ns) == (
            other.st_ino,
            other.st_size,
            other.st_mtime_ns,
            other.st_ctime_ns,
        )


@dataclass(frozen=True, slots=True)
class _Late:
    """A file that was put away, as it was when it was read."""

    name: bytes
    target: bytes
    dir_fd: int
    size: int
    mtime_ns: int
    sha256: str
    until_s: float


@dataclass
class _Folder:
    """One carrier's folder, by descriptors; closed by `close`. `aside`: files under way at which the door failed again and
    again, and when each is due."""

    code: str
    fd: int
    work_fd: int
    done_fd: int
    failed_fd: int
    seen: dict[bytes, _Seen] = field(default_factory=dict)
    wait_until_s: float = 0.0
    refusals: int = 0
    aside: dict[int, float] = field(default_factory=dict)
    late: deque[_Late] = field(default_factory=lambda: deque(maxlen=_LATE_MOST))

    @classmethod
    def opened(cls, root_fd: int, name: bytes, code: str) -> _Folder:
        fd = os.open(name, _FOLDER_FLAGS, dir_fd=root_fd)
        inner: list[int] = []
        try:
            for inside in (_WORK, _DONE, _FAILED):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(inside, 0o770, dir_fd=fd)
                inner.append(os.open(inside, _FOLDER_FLAGS, dir_fd=fd))
        except OSError:
            for opened in (fd, *inner):
                os.close(opened)
            raise
        work_fd, done_fd, failed_fd = inner
        folder = cls(code, fd, work_fd, done_fd, failed_fd)
        for work in folder.under_way():
            if folder.attempts_at(work) >= _GIVES_WAY_AFTER:
                folder.aside[work] = float("-inf")  # due, but after the others
        return folder

    def close(self) -> None:
        for fd in (self.fd, self.work_fd, self.done_fd, self.failed_fd):
            os.close(fd)

    def look(self, now_s: float, settle_s: float) -> Sequence[tuple[bytes, _Seen]]:
        """What has not changed for `settle_s`, the oldest first."""
        standing: dict[bytes, _Seen] = {}
        names = self._names()
        for name in names:
            if _is_unfinished(name) or any(name + lock in names for lock in _LOCKS):
                continue
            found = _lstat(name, self.fd)
            if found is None or not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
                continue  # folders, pipes and sockets are nobody's message
            known = self.seen.get(name)
            since_s = known.since_s if known is not None and known.is_as(found) else now_s
            standing[name] = _Seen(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, since_s)
        self.seen = standing
        ready = [(name, seen) for name, seen in standing.items() if now_s - seen.since_s >= settle_s]
        return sorted(ready, key=lambda one: (one[1].mtime_ns, one[0]))

    def _names(self) -> set[bytes]:
        names: set[bytes] = set()
        with os.scandir(self.fd) as entries:
            for entry in entries:
                if len(names) == _NAMES_A_LOOK:
                    break
                names.add(os.fsencode(entry.name))
        return names

    def under_way(self) -> Sequence[int]:
        """The files under `.lovla`, in the order in which they were taken."""
        return sorted(int(name) for name in os.listdir(self.work_fd) if name.isascii() and name.isdigit())

    def attempts_at(self, work: int) -> int:
        """How often a file under way was pushed without being answered."""
        with contextlib.suppress(OSError), self.opened_work(work) as fd:
            state = _read_state(fd)
            return state.attempts if state is not None and state.outcome is None else 0
        return 0

    def gives_way(self, work: int, attempts: int, now_s: float) -> bool:
        """Whether the files after this one go first; then it is due again later."""
        if attempts < _GIVES_WAY_AFTER or (work not in self.aside and len(self.aside) >= _ASIDE_MOST):
            return False
        self.aside[work] = now_s + _ASIDE_S[min(attempts - _GIVES_WAY_AFTER, len(_ASIDE_S) - 1)]
        return True

    def due(self, now_s: float) -> Sequence[int]:
        """Of those that gave way the ones whose time has come."""
        return sorted(work for work, due_s in self.aside.items() if due_s <= now_s)

    def is_unended(self, name: bytes, most_bytes: int) -> bool:
        """Whether a dropped file ends before its form does, or within a line of a table, where that may be its end."""
        found = _read_file(self.fd, most_bytes, name)
        if isinstance(found, str):
            return False
        is_in_a_line = content_type_of(os.fsdecode(name)) == "text/csv" and not found[0].endswith((b"\n", b"\r"))
        return is_in_a_line or _unended(found[0]) is not None

    def take_back(self, now_s: float, most_bytes: int) -> Iterator[bytes]:
        """Those put away lately that their writers went on with, moved back to be taken again; the name each has now."""
        for one in list(self.late):
            found = _lstat(one.target, one.dir_fd)
            if found is None or now_s >= one.until_s:
                self.late.remove(one)
                continue
            if (found.st_size, found.st_mtime_ns) == (one.size, one.mtime_ns):
                continue
            self.late.remove(one)
            if found.st_size == one.size and _digest(one.target, one.dir_fd, most_bytes) == one.sha256:
                self.late.append(replace(one, mtime_ns=found.st_mtime_ns))  # a client that sets the time when it is done
                continue
            name = _free(one.name, self.fd)
            os.rename(one.target, name, src_dir_fd=one.dir_fd, dst_dir_fd=self.fd)
            yield name

    def prepare(self, state: _State) -> int:
        """Step 1."""
        last = max(self.under_way(), default=0)
        work = next(number for number in count(last + 1) if _made(str(number), self.work_fd))
        with self.opened_work(work) as fd:
            _write(fd, _STATE, _dump(asdict(state)))
        return work

    def take(self, name: bytes, work: int) -> None:
        """Step 2; whoever sent it may have taken it away meanwhile."""
        with self.opened_work(work) as fd, contextlib.suppress(FileNotFoundError):
            os.rename(name, _FILE, src_dir_fd=self.fd, dst_dir_fd=fd)
        self.seen.pop(name, None)

    @contextlib.contextmanager
    def opened_work(self, work: int) -> Iterator[int]:
        fd = os.open(str(work), _FOLDER_FLAGS, dir_fd=self.work_fd)
        try:
            yield fd
        finally:
            os.close(fd)

    def give_back(self, work_fd: int, name: bytes) -> None:
        """Put a file that is still written back where it was; under another name, if that is taken again."""
        os.rename(_FILE, _free(name, self.fd), src_dir_fd=work_fd, dst_dir_fd=self.fd)

    def wait(self, now_s: float) -> None:
        """The door said no: not again for a while."""
        self.wait_until_s = now_s + _WAITS_S[min(self.refusals, len(_WAITS_S) - 1)]
        self.refusals += 1

    def targeted(self, state: _State) -> _State:
        """The state with the name that the file gets; nobody's file is written over."""
        name = _cut(os.fsencode(state.name))
        return replace(state, target=os.fsdecode(_free(name, self._outcome_fd(state))))

    def _outcome_fd(self, state: _State) -> int:
        return self.done_fd if state.outcome == "done" else self.failed_fd

    def write_beside(self, work_fd: int, state: _State) -> None:
        """Step 7."""
        target = os.fsencode(state.target)
        if state.answers:
            receipt = {
                "file": shown(state.name, 255),
                "carrier": self.code,
                "bytes": state.size,
                "sha256": state.sha256,
                "outcome": state.outcome,
                "attempts": state.attempts,
                "answered_as_before": state.again,
                "answers": state.answers,
            }
            _write(work_fd, target + _RECEIPT, _dump(receipt), self._outcome_fd(state))
        if state.complaints:
            text = "".join(f"{shown(line, 600)}\n" for line in (f"{state.name}: {_summary(state)}", *state.complaints))
            _write(work_fd, target + _COMPLAINT, text.encode("utf-8", "replace"), self._outcome_fd(state))

    def put(self, work_fd: int, state: _State, now_s: float) -> None:
        """Step 8."""
        target, dir_fd = os.fsencode(state.target), self._outcome_fd(state)
        os.rename(_FILE, target, src_dir_fd=work_fd, dst_dir_fd=dir_fd)
        if state.size >= 0:
            name, until_s = os.fsencode(state.name), now_s + _LATE_S
            self.late.append(_Late(name, target, dir_fd, state.size, state.mtime_ns, state.sha256, until_s))

    def clear(self, work: int) -> None:
        """Step 9. What somebody else put there stays, and so does the folder."""
        with self.opened_work(work) as fd:
            for name in (_OUT, _STATE):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=fd)
        with contextlib.suppress(OSError):
            os.rmdir(str(work), dir_fd=self.work_fd)
        self.aside.pop(work, None)


def _is_unfinished(name: bytes) -> bool:
    lower = name.lower()
    return lower.startswith((b".", b"~$")) or lower.endswith(_UNFINISHED)


def _made(name: str, dir_fd: int) -> bool:
    try:
        os.mkdir(name, 0o700, dir_fd=dir_fd)
    except FileExistsError:
        return False
    return True


def _lstat(name: bytes, dir_fd: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _free(name: bytes, dir_fd: int) -> bytes:
    """`name`, or with a number, so that neither it nor what stands beside it is there yet."""
    for number in count(1):
        free = name if number == 1 else name + b"~%d" % number
        if all(_lstat(free + ending, dir_fd) is None for ending in (b"", _RECEIPT, _COMPLAINT)):
            return free
    raise AssertionError("there is always a greater number")


def _cut(name: bytes) -> bytes:
    """Short enough for our endings."""
    if len(name) <= _NAME_BYTES:
        return name
    return name[: _NAME_BYTES - 9] + b"~" + hashlib.sha256(name).hexdigest()[:8].encode()


def _has_changed(work_fd: int, size: int, mtime_ns: int) -> bool:
    """Whether a file under way is no longer as it was read: its writer still has it open."""
    now = _lstat(_FILE, work_fd)
    return now is not None and (now.st_size, now.st_mtime_ns) != (size, mtime_ns)


def _unended(content: bytes) -> str | None:
    """What is missing at the end of an interchange, a JSON or an XML document, as a complaint; None if nothing is, or where
    nobody can tell (CSV, Cargo-IMP)."""
    text = content.removeprefix(_BOM).strip()
    missing = ""
    if text.startswith(b"ISA") and text.rfind(b"IEA" + text[3:4]) < text.rfind(b"ISA" + text[3:4]):
        missing = "IEA, which ends an X12 interchange"
    elif text.startswith((b"UNA", b"UNB")):
        separator = text[4:5] if text.startswith(b"UNA") else text[3:4]
        if text.rfind(b"UNZ" + separator) < text.rfind(b"UNB" + separator):
            missing = "UNZ, which ends an EDIFACT interchange"
    elif text.startswith((b"{", b"[")):
        end = b"}" if text.startswith(b"{") else b"]"
        missing = "" if text.endswith(end) else f"the closing {end.decode()} of its JSON"
    elif text.startswith(b"<") and (root := _ROOT.search(text)) is not None:
        is_whole = text.endswith(b">") and (b"</" + root[1] in text or b"<" not in text[root.end() :])
        missing = "" if is_whole else f"</{root[1].decode()[:60]}>"
    return f"it ends without {missing}: half of a file? Nothing of it was pushed; drop it again, whole" if missing else None


def _digest(name: bytes, dir_fd: int, most_bytes: int) -> str:
    """The SHA-256 of a file's bytes; "" if it cannot be read."""
    found = _read_file(dir_fd, most_bytes, name)
    return "" if isinstance(found, str) else hashlib.sha256(found[0]).hexdigest()


def _read_file(dir_fd: int, most_bytes: int, name: bytes = _FILE) -> tuple[bytes, int, int] | str:
    """The bytes with size and time of change, or a complaint."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "it is a symbolic link, which is not followed; put the file itself here"
        return f"it cannot be read: {error.strerror}"
    with open(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            return "it is no plain file"
        if found.st_size > most_bytes:
            return f"it has {found.st_size} bytes; at most {most_bytes} are taken: send it in parts"
        content = file.read(most_bytes + 1)
        after = os.fstat(fd)
    if not content and after.st_size == 0:
        return "it is empty"
    return content, len(content), after.st_mtime_ns


def _read_state(work_fd: int) -> _State | None:
    """What is known of a file under way; None where nothing is, or nothing that we wrote."""
    try:
        fd = os.open(_STATE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=work_fd)
    except OSError:
        return None
    with open(fd, "rb") as file:
        try:
            return _stated(json.loads(file.read(64 * MIB)))
        except (ValueError, TypeError, RecursionError):
            return None


def _stated(said: Any) -> _State | None:
    """A state, if it can be one of ours: the folder belongs to whoever sends, and a name must not lead out of it."""
    state = _State(**said)
    names, numbers, lists = (
        (state.name, state.target),
        (state.size, state.mtime_ns, state.attempts),
        (state.answers, state.complaints),
    )
    sound = (
        all(isinstance(name, str) and "/" not in name and "\0" not in name and name not in (".", "..") for name in names)
        and all(isinstance(number, int) for number in numbers)
        and all(isinstance(found, list) for found in lists)
        and all(isinstance(answer, dict) for answer in state.answers)
        and all(isinstance(line, str) for line in state.complaints)
        and state.name != ""
        and (state.outcome is None or (state.outcome in ("done", "failed") and state.target != ""))
    )
    return state if sound else None


def _dump(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode("ascii") + b"\n"


def _write(work_fd: int, name: bytes, content: bytes, dir_fd: int | None = None) -> None:
    """Write a file whole or not at all: under another name first, on disk, then renamed."""
    fd = os.open(_OUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640, dir_fd=work_fd)
    with open(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(fd)
    to_fd = work_fd if dir_fd is None else dir_fd
    os.rename(_OUT, name, src_dir_fd=work_fd, dst_dir_fd=to_fd)
    os.fsync(to_fd)


def _complaints(answers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What the door would not take, a line each."""
    for answer in answers:
        for verdict in answer.get("verdicts", ()):
            for problem in verdict.get("problems", ()):
                yield f"{problem.get('where') or 'whole file'}: {problem.get('code')}: {problem.get('text')}"


def _summary(state: _State) -> str:
    accepted = sum(answer.get("accepted", 0) for answer in state.answers)
    rejected = sum(answer.get("rejected", 0) for answer in state.answers)
    receipts = " ".join(str(answer.get("receipt", "")) for answer in state.answers[:3])
    if not state.answers:
        return f"not taken: {state.complaints[0]}" if state.complaints else "not taken"
    tried = f"; pushed {state.attempts} times, the same events" if state.attempts > 1 else ""
    before = "; the door knew it, and answered as before" if state.again else ""
    return f"{accepted} accepted, {rejected} rejected, receipt {receipts}{tried}{before}"
