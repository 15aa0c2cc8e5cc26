"""What one member of a group of equals has for itself on this machine: a slot, and with it the name of its producer.

A *slot* is the lowest number that no living process holds, of those that share a folder. The kernel frees it with the process,
however that ends; a frozen process keeps it, and the next one gets another.

`transactional.id`: two processes with one id fence each other for ever (nothing doubles, little moves); an id that is new at
every start leaves the transaction of a killed predecessor open for its 10 s, in which no reader of committed records gets past
it. So the id is a slot of this machine and state folder. Exactly once never rests on this: the offsets of every transaction
carry the group's membership, and the broker refuses those of a member that is no longer one. Two machines that call themselves
the same, with the same state folder, would only be slow.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import secrets
import socket
from pathlib import Path
from typing import IO

from services.runtime import logs

log = logs.get("member")


class Slot:
    """Holds a number of `name` in `folder` until `release`, or the end of the process. None: the folder is read-only."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file: IO[bytes] | None = None
        self.number: int | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._take(folder, name)
        except OSError as error:  # no reason not to work
            log.warning("member.no_slot", folder=str(folder), error=str(error))

    def release(self) -> None:
        """Let the next process have it. Only after what it stood for is gone."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take(self, folder: Path, name: str) -> None:
        for number in itertools.count():
            file = (folder / f"{name}.{number}.lock").open("ab")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            self._file, self.number = file, number
            return


class MemberId:
    """What a member calls its producer (`transactional_id`), until `release` or the end of the process."""

    def __init__(self, stage: str, state_dir: Path) -> None:
        self._slot = Slot(state_dir / "members", stage)
        where = hashlib.blake2b(f"{socket.gethostname()}\0{state_dir.resolve()}".encode(), digest_size=6).hexdigest()
        own = secrets.token_hex(6) if self._slot.number is None else self._slot.number
        self.transactional_id = f"{stage}-{where}-{own}"

    def release(self) -> None:
        """Let the next process have it. Only after the producer is gone."""
        self._slot.release()
