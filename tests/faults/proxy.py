"""A TCP proxy on loopback that can be told to misbehave: the network between us and ClickHouse."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Literal

Mood = Literal["open", "shut", "slow", "mute", "cut"]
"""open: passes all. shut: nobody gets through. slow: each piece waits. mute: requests pass, answers never come.
cut: requests pass, the connection breaks at the first answer."""

PIECE = 65_536


class Proxy:
    """Listens on a port of its own (`port`) and passes everything to 127.0.0.1:`target`, as its `mood` has it."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._mood: Mood = "open"
        self._slow_s = 0.0
        self._open: set[asyncio.StreamWriter] = set()
        self.swallowed = 0  # pieces of answers that did not get through
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the proxy did not start")

    def be(self, mood: Mood, slow_s: float = 1.0) -> None:
        """From now on. Connections of before are broken where they could not go on: bytes of theirs were lost."""
        before, self._mood, self._slow_s = self._mood, mood, slow_s
        if mood == "shut" or before in ("mute", "cut"):
            self._loop.call_soon_threadsafe(self._break_all)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._break_all()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    def _break_all(self) -> None:
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mood == "shut":
            writer.transport.abort()
            return
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, there_writer}
        self._open |= both
        try:
            await asyncio.gather(
                self._pass(reader, there_writer, answers=False), self._pass(there_reader, writer, answers=True)
            )
        except (OSError, asyncio.CancelledError):
            pass  # one side broke off, or the proxy ends: so does the other side
        finally:
            self._open -= both
            for one in both:
                with contextlib.suppress(OSError):
                    one.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        while piece := await source.read(PIECE):
            if self._mood == "slow":
                await asyncio.sleep(self._slow_s)
            if answers and self._mood in ("mute", "cut"):
                self.swallowed += 1
                if self._mood == "cut":
                    raise ConnectionResetError
                continue
            sink.write(piece)
            await sink.drain()
        raise ConnectionResetError  # half-closed connections are no use to either protocol
