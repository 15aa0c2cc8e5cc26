"""Lists that grow and tell the newest first, page by page: a page begins behind the row that ended the one before, wherever
that stands by then, so that what came meanwhile shifts nothing. Pure.
"""

from __future__ import annotations

import base64
import bisect
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from schemas.base import EARLIEST, LATEST
from services.console.gate import Place, Problem
from services.console.questions import EPOCH, Interchange, Letter, Stand, Told, Unmatched, WorkDone

T = TypeVar("T")


def of_message(row: Told) -> Stand:
    """Where each kind of row stands, as its question puts them in order."""
    return row.due_at, row.notification


def of_unmatched(row: Unmatched) -> Stand:
    return row.last_at, row.sender, row.kind, row.value


def of_interchange(row: Interchange) -> Stand:
    return row.last_at, row.sender, row.control, row.standard, row.named


def of_letter(row: Letter) -> Stand:
    return row.received_at, row.letter_id


def of_act(row: WorkDone) -> Stand:
    return row.at, row.act_id


def page_of(rows: Sequence[T], stand: Callable[[T], Stand], after: Stand | None, most: int) -> tuple[Sequence[T], Stand | None]:
    """So many of the rows behind `after`; and after what the next page begins (None: there is none)."""
    begin = bisect.bisect_right(rows, _order(after), key=lambda row: _order(stand(row))) if after else 0
    page = rows[begin : begin + most]
    return page, stand(page[-1]) if len(rows) > begin + most else None


def _order(stand: Stand) -> tuple[timedelta, tuple[str, ...]]:
    at, *names = stand
    return EPOCH - at, tuple(names)


def cursor_after(stand: Stand) -> str:
    """Where the next page begins, as text for an address."""
    at, *names = stand
    return base64.urlsafe_b64encode(json.dumps([at.isoformat(), *names]).encode()).decode().rstrip("=")


def stand_in(text: str) -> Stand | None:
    """What cursor_after wrote; None where there is none. Raises Problem 400."""
    if not text:
        return None
    try:
        at, *names = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        moment = datetime.fromisoformat(at)
        "".join(names).encode()  # texts, and no lone surrogates: ClickHouse cannot be asked for such
    except (ValueError, TypeError, RecursionError) as error:
        raise bad_cursor() from error
    if moment.tzinfo is None or not EARLIEST <= moment < LATEST or not names:
        raise bad_cursor()
    return moment, names[0], *names[1:]


def bad_cursor(text: str = "cursor is what an answer gave as `next`.") -> Problem:
    """Of an address."""
    return Problem("bad-parameter", text, errors=[Place(where="cursor", code="bad_parameter", text=text)])
