"""The plan of a block: what will be inserted, written down before it is; and the judgement after a crash. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

MAX_BLOCK_ROWS = 50_000
"""Far under the server's and the driver's insert block size (about a million): a block must never be split in two."""

MAX_BLOCK_BYTES = 32 * 1024 * 1024
"""Of record values; a raw message is up to 5 MiB, and two blocks' worth must fit in memory for each partition."""

_VERSION = "v1"


class BadPlan(Exception):
    """Commit metadata that is no plan of ours."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The first and last offset of a block of one partition. Offsets between need not be dense (transactions leave gaps)."""

    first: int
    last: int

    def encode(self) -> str:
        """As offset-commit metadata."""
        return f"{_VERSION}|{self.first}|{self.last}"

    @classmethod
    def decode(cls, metadata: str | None) -> Plan | None:
        """None if there is no plan. Raises BadPlan for anything that `encode` does not write."""
        if not metadata:
            return None
        parts = metadata.split("|")
        if len(parts) != 3 or parts[0] != _VERSION or not all(part.isascii() and part.isdigit() for part in parts[1:]):
            raise BadPlan(f"commit metadata {metadata[:100]!r} is no plan of this version")
        plan = cls(int(parts[1]), int(parts[2]))
        if plan.first > plan.last:
            raise BadPlan(f"commit metadata {metadata!r} ends before it begins")
        return plan


def token(topic_id: str, partition: int, plan: Plan) -> str:
    """The block's deduplication token. The topic's id, not its name: a topic made anew begins at offset 0 again."""
    return f"{topic_id}:{partition}:{plan.first}-{plan.last}"


def month(timestamp_ms: int) -> tuple[int, int]:
    """Year and month, UTC: the ClickHouse partition."""
    moment = datetime.fromtimestamp(max(timestamp_ms, 0) / 1000, UTC)
    return moment.year, moment.month


def block_length(
    waiting: Sequence[tuple[int, int]] | Iterator[tuple[int, int]],
    max_rows: int = MAX_BLOCK_ROWS,
    max_bytes: int = MAX_BLOCK_BYTES,
) -> int:
    """How many of the waiting (timestamp_ms, bytes) make one block: within a month, bounded, at least one.

    One month, because an insert into two partitions of a table is not atomic.
    """
    rows = total_bytes = 0
    first_month = None
    last_ms = -1  # rows of one moment, and most have their neighbour's, are of one month
    for timestamp_ms, size in waiting:
        this_month = first_month if timestamp_ms == last_ms else month(timestamp_ms)
        last_ms = timestamp_ms
        if rows and (this_month != first_month or rows >= max_rows or total_bytes + size > max_bytes):
            break
        first_month = this_month
        rows += 1
        total_bytes += size
    return rows


def judge(expected: int, rows: int, distinct: int) -> Literal["there", "none", "torn"]:
    """What a probe of a planned block means: `expected` records re-read, `rows` found, `distinct` offsets among them.

    there: the insert had succeeded. none: it had not (or is still under way: the token guards). torn: neither can have
    come from this protocol, so nobody may go on by guess.
    """
    if rows == distinct == expected:
        return "there"
    if rows == 0:
        return "none"
    return "torn"
