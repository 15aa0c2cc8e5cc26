"""`/live`: what changed since a page was made, and how old what is known is, as server-sent events.

One question every POLL_S for all viewers together, however many, and its answer is put into words once; none while nobody
listens. A viewer is told a number, never a row: what is under their mouse stays, and changes wait until they ask for them. The
page's own time travels in the address (`since`), so that a line that was cut and is taken up again goes on counting where it
was.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from services.console import frame
from services.console.door import ConsoleDoor
from services.console.gate import Problem
from services.console.present import environment
from services.runtime import logs

log = logs.get("console")

POLL_S: Final = 0.5
BEAT_S: Final = 15.0
"""Something is sent at least so often: who is gone is found out, and nobody between us cuts the line."""
KEPT: Final = timedelta(hours=1)
"""How far back is counted; a page that is older is told that there is more."""
OVERLAP: Final = timedelta(seconds=60)
"""Topics' partitions are sunk one by one: what was appended earlier may come to be seen later."""
_OVERLAP_MS: Final = round(OVERLAP.total_seconds() * 1000)
CHANGES_MOST: Final = 20_000
STREAMS_MOST: Final = 600
COUNTED_MOST: Final = 99


@dataclass(frozen=True, slots=True)
class Change:
    """`appended_ms`: in Kafka; `seen`, `seen_ms`: the number of the poll that found it, and when; `act`: somebody did it in the
    console."""

    consignment: str
    appended_ms: int
    seen: int
    seen_ms: int
    act: bool = False


@dataclass
class Board:
    """What the last polls found. Pure but for being changed."""

    changes: dict[str, Change] = field(default_factory=dict)
    polls: int = 0
    as_of: datetime | None = None

    def take(self, rows: Sequence[Mapping[str, object]], as_of: datetime | None, now: datetime) -> None:
        """A poll's answer."""
        self.polls += 1
        self.as_of = as_of
        for row in rows:
            appended = int(str(row["appended_ms"]))
            self.changes.setdefault(
                str(row["change_id"]), Change(str(row["consignment"]), appended, self.polls, _ms(now), bool(row.get("act")))
            )
        oldest = _ms(now - KEPT)
        self.changes = {name: one for name, one in self.changes.items() if one.appended_ms >= oldest}

    def asked_since(self, now: datetime) -> datetime:
        """From when the next poll asks."""
        newest = max((one.appended_ms for one in self.changes.values()), default=0)
        if not self.polls or not newest:
            return now - KEPT
        return max(datetime.fromtimestamp(newest / 1000, UTC) - OVERLAP, now - KEPT)

    def news(self, since_ms: int, polls: int, consignment: str = "") -> int:
        """How many consignments changed since a page was made at `since_ms`, when there had been `polls` polls: what was
        appended after it, and what we came to see only after it. What was done here before is on it. No more are counted than
        are told."""
        before = since_ms - _OVERLAP_MS
        found: set[str] = set()
        for one in reversed(self.changes.values()):  # what was seen last, first
            if one.seen_ms < before and (not polls or one.seen <= polls):
                break  # this and all others were seen, and so appended, before the page was made
            if (one.appended_ms > since_ms or (one.seen > polls > 0 and not one.act)) and consignment in ("", one.consignment):
                found.add(one.consignment)
                if len(found) > COUNTED_MOST:
                    break
        return len(found)


class Live:
    """The address of the stream."""

    def __init__(self, door: ConsoleDoor, poll_s: float = POLL_S) -> None:
        self._door = door
        self._poll_s = poll_s
        self._board = Board()
        self._streams = 0
        self._polled = asyncio.Condition()
        self._polling: asyncio.Task[None] | None = None
        self._texts: dict[str, str] = {}
        """What the last poll's answer is told as, by what is shown."""

    def routes(self) -> Sequence[tuple[str, str, Callable[..., Awaitable[Response]]]]:
        """Method, path, endpoint."""
        return (("GET", "/live", self.stream),)

    async def stream(self, request: Request) -> Response:
        """`?since=` milliseconds since 1970, when the page was made; `?consignment=` only of this one."""
        self._door.entry.viewer(request)
        if self._streams >= STREAMS_MOST:
            raise Problem("too-many-requests", "Too many pages listen; this one can be loaded anew by hand.", retry_after_s=30)
        told = request.query_params.get("since", "")
        since_ms = int(told) if told.isascii() and told.isdigit() and len(told) < 15 else _ms(self._door.clock.now())
        consignment = request.query_params.get("consignment", "")[:100]
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
        return StreamingResponse(self._told(since_ms, consignment), media_type="text/event-stream", headers=headers)

    async def _told(self, since_ms: int, consignment: str) -> AsyncIterator[str]:
        self._streams += 1
        try:
            self._listen()
            # a line that is taken up again cannot know what was seen when; the time of the page tells enough
            polls = self._board.polls if _ms(self._door.clock.now()) - since_ms < 5_000 else 0
            last, said_at = "", self._door.clock.monotonic()
            yield "retry: 3000\n\n"
            while True:
                text = self._page(since_ms, polls, consignment)
                if text != last or self._door.clock.monotonic() - said_at >= BEAT_S:
                    said_at = self._door.clock.monotonic()
                    yield f"event: news\ndata: {text}\n\n" if text != last else ": still here\n\n"
                last = text
                await self._change()
        finally:
            self._streams -= 1

    async def _change(self) -> None:
        async with self._polled:
            try:
                await asyncio.wait_for(self._polled.wait(), BEAT_S)
            except TimeoutError:
                self._listen()

    def _listen(self) -> None:
        """See to it that somebody asks."""
        if self._polling is None or self._polling.done():
            self._polling = asyncio.get_running_loop().create_task(self._poll())

    async def _poll(self) -> None:
        while self._streams:
            now = self._door.clock.now()
            since = self._board.asked_since(now)
            try:
                rows = await self._door.ask(lambda questions, since=since: questions.live(since, CHANGES_MOST))  # type: ignore[misc]  # a bound default
                self._board.take(rows, await self._door.ask(lambda questions: questions.as_of()), now)
            except Problem as problem:  # ClickHouse is away: what is known grows old, and the pages say so
                log.warning("console.live", text=problem.detail)
            self._texts.clear()
            async with self._polled:
                self._polled.notify_all()
            await asyncio.sleep(self._poll_s)

    def _page(self, since_ms: int, polls: int, consignment: str) -> str:
        """The number and the freshness, as HTML on one line; nothing before the first poll."""
        if not self._board.polls:
            return ""
        count = self._board.news(since_ms, polls, consignment)
        shown = f"{COUNTED_MOST}+" if count > COUNTED_MOST else str(count) if count else ""
        if shown not in self._texts:
            fresh = frame.freshness(self._board.as_of, self._door.clock.now())
            text = environment().get_template("live.html").render(shown=shown, freshness=fresh)
            self._texts[shown] = " ".join(text.split())
        return self._texts[shown]


def address(now: datetime, consignment: str = "") -> str:
    """Where a page that is made now listens."""
    return frame.query("/live", {"since": _ms(now), "consignment": consignment})


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
