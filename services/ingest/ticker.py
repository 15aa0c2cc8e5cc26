"""Ticks: the door's word, in the log, that it was open; the pipeline's time is made of them (docs/decisions/0004).

While a first load runs (`lovla load begin`) they are withheld, so that no deadline fires on half the history. That state
is a file in the state folder: it must outlive a restart of the door, and it belongs to this installation.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from schemas.base import rfc3339
from schemas.raw_message_v1 import RawMessage, Tick
from services.ingest.problems import Problem
from services.ingest.raw_log import Appended, Away
from services.runtime import logs
from services.runtime.clock import Clock
from services.runtime.wire import raw_headers

TICK_KEY = b"~tick"
_log = logs.get(__name__)


class Log(Protocol):
    """Where raw records go: RawLog, or a fake in tests."""

    @property
    def away(self) -> bool: ...

    async def append(
        self, key: bytes, value: bytes, headers: list[tuple[str, bytes]], partition: int | None = None
    ) -> Appended: ...


class Ticker:
    """Appends a tick to each partition every `tick_s` seconds while the door is open, unless a load has begun."""

    def __init__(
        self,
        log: Log,
        partitions: int,
        tick_s: float,
        load_file: Path,
        clock: Clock,
        is_open: Callable[[], bool] = lambda: True,
    ) -> None:
        self._log = log
        self._partitions = partitions
        self._tick_s = tick_s
        self._load_file = load_file
        self._clock = clock
        self._is_open = is_open
        self._one_at_a_time = asyncio.Lock()  # `begin` answers only when no tick is under way any more
        self.last_ticked: datetime | None = None

    @property
    def loading_since(self) -> str | None:
        """When the load began (RFC 3339), None if there is none."""
        try:
            return str(json.loads(self._load_file.read_text())["since"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return "unknown"  # a damaged file still means that a load began: the safe side is to withhold

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            async with self._one_at_a_time:
                if self._is_open() and self.loading_since is None:
                    try:
                        await self._tick(load=False)
                    except Away as error:
                        _log.warning("tick.not_taken", error=str(error))
            await asyncio.sleep(self._tick_s)

    async def begin_load(self) -> str:
        """Withhold ticks from now on; returns since when. Twice is once."""
        async with self._one_at_a_time:
            if self.loading_since is None:
                self._load_file.parent.mkdir(parents=True, exist_ok=True)
                new = self._load_file.with_suffix(".new")
                with new.open("w") as file:
                    json.dump({"since": rfc3339(self._clock.now())}, file)
                    file.flush()
                    os.fsync(file.fileno())
                new.replace(self._load_file)
            return self.loading_since or ""

    async def end_load(self) -> None:
        """Append the tick that ends the load to each partition, then tick as usual; raises Away, Problem if none began.

        The file goes last: a crash before that leaves the load begun, and a second ending tick does no harm.
        """
        async with self._one_at_a_time:
            if self.loading_since is None:
                raise Problem("load-state", "No load has begun; `lovla load begin` starts one.")
            await self._tick(load=True)
            self._load_file.unlink(missing_ok=True)

    async def _tick(self, load: bool) -> None:
        now = self._clock.now()
        value = Tick(at=now, load=load).model_dump_json().encode()
        meta = RawMessage(
            kind="tick", sender="~tick", sha256=hashlib.sha256(value).hexdigest(), content_type="application/json"
        )
        headers = raw_headers(meta)
        await asyncio.gather(*(self._log.append(TICK_KEY, value, headers, partition) for partition in range(self._partitions)))
        self.last_ticked = now
