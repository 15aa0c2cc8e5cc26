"""The `transactional.id` of one member of a group of equals: its own while it lives, and its successor's after that.

Two processes with one id fence each other for ever (nothing doubles, little moves); an id that is new at every start leaves the
transaction of a killed predecessor open for its 10 s, in which no reader of committed records gets past it. So the id is a
*slot* of this machine and state folder: the lowest number that no living process holds. The kernel frees it with the process,
however that ends; a frozen one keeps it, and a second member gets the next.

Exactly once never rests on this: the offsets of every transaction carry the group's membership, and the broker refuses those of
a member that is no longer one (docs/architecture.md). Two machines that call themselves the same, with the same state folder,
would only be slow.
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


class MemberId:
    """Holds a slot of `stage` until `release`, or the end of the process. `transactional_id`: what to call the producer."""

    def __init__(self, stage: str, state_dir: Path) -> None:
        self._file: IO[bytes] | None = None
        where = hashlib.blake2b(f"{socket.gethostname()}\0{state_dir.resolve()}".encode(), digest_size=6).hexdigest()
        self.transactional_id = f"{stage}-{where}-{self._slot(state_dir / 'members', stage)}"

    def release(self) -> None:
        """Let the next process have it. Only after the producer is gone."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _slot(self, folder: Path, stage: str) -> str:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for number in itertools.count():
                file = (folder / f"{stage}-{number}.lock").open("ab")
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    file.close()
                    continue
                self._file = file
                return str(number)
        except OSError as error:  # a folder that cannot be written to is no reason not to work
            log.warning("member.no_slot", folder=str(folder), error=str(error))
        return secrets.token_hex(6)
