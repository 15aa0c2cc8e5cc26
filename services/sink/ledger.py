"""The books of the auditor, pure: which raw records there are, and what became of each.

Every raw record that is no tick must have become something: shipment events, commands, or dead letters; for an unparking, a
control record. Each outcome names its raw record, so one pass over the topics in any order settles it. Memory: one byte a raw
record and eight an outcome.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from schemas.shipment_event_v1 import CONTROL_KEY
from schemas.topics import CONSIGNMENT_COMMANDS, DEAD_LETTERS, SHIPMENT_EVENTS
from services.runtime import wire
from services.runtime.sources import Record

OUTCOMES: tuple[str, ...] = (SHIPMENT_EVENTS.name, CONSIGNMENT_COMMANDS.name, DEAD_LETTERS.name)
"""The topics that hold what raw records became."""

TICK_KEY = b"~tick"

_PRESENT, _TICK, _OUTCOME = 1, 2, 4
_BUCKETS = 16  # identities are sorted a bucket at a time: less memory at once


class _Pointer(msgspec.Struct):
    partition: int | None = None
    offset: int | None = None
    position: str = ""


class _Said(msgspec.Struct):
    """What an event, a command or a dead letter says of where it came from, and what makes it that one and no other."""

    raw: _Pointer | None = None
    event_id: str = ""
    revision: msgspec.Raw = msgspec.Raw(b"")
    retracted: bool = False
    command_id: str = ""
    letter_id: str = ""
    stage: str = ""
    raw_partition: int | None = None
    raw_offset: int | None = None


_SAID = msgspec.json.Decoder(_Said)


class AuditFailed(Exception):
    """Kafka did not give what was to be audited; the text says what."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one record says it came from. `identity`: two outcomes with one are the same thing said twice; None: not judged."""

    partition: int | None
    offset: int | None
    identity: int | None


def outcome(record: Record) -> Outcome | None:
    """None for what tells of no raw record: ticks, the tracker's letters, what cannot be decoded (the sink's row says so)."""
    if record.key == CONTROL_KEY:
        return _control(record)
    try:
        said = _SAID.decode(record.value or b"")
    except msgspec.MsgspecError:
        return None
    if said.letter_id:
        if said.stage != "readers":
            return None  # about an event or command that has its own outcome here
        return Outcome(said.raw_partition, said.raw_offset, hash(("letter", said.letter_id)))
    raw = said.raw or _Pointer()
    if said.command_id:
        # with its raw record: a dock receipt that comes again under its Idempotency-Key is the same command by intent
        return Outcome(raw.partition, raw.offset, hash(("command", raw.partition, raw.offset, said.command_id)))
    named = (raw.partition, raw.offset, raw.position, said.event_id, bytes(said.revision), said.retracted)
    return Outcome(raw.partition, raw.offset, hash(named))


def _control(record: Record) -> Outcome | None:
    """An unparking is what a raw record became: its id names it (`unparked:partition:offset`); it goes to every partition."""
    what, _, where = (wire.header(record.headers, "ce_id") or "").partition(":")
    partition, _, offset = where.partition(":")
    if what != "unparked" or not (partition.isdigit() and offset.isdigit()):
        return None
    return Outcome(int(partition), int(offset), None)


class Ledger:
    """`raw` and `became` may be called in any order. `ends`: of each raw partition the first offset that is not audited."""

    def __init__(self, ends: dict[int, int]) -> None:
        self._marks = {partition: bytearray(end) for partition, end in ends.items()}
        self._identities = [array("q") for _ in range(_BUCKETS)]
        self.beyond: dict[int, int] = {}
        """Of each raw partition the greatest offset past its end that an outcome names."""
        self.nowhere = 0
        """Outcomes that name no raw record at all."""

    def raw(self, partition: int, offset: int, tick: bool) -> None:
        """A raw record was read."""
        self._marks[partition][offset] |= _PRESENT | (_TICK if tick else 0)

    def became(self, said: Outcome) -> None:
        """Something says that it came from a raw record."""
        if said.identity is not None:
            self._identities[said.identity % _BUCKETS].append(said.identity)
        if said.partition is None or said.offset is None or said.partition not in self._marks or said.offset < 0:
            self.nowhere += 1
            return
        marks = self._marks[said.partition]
        if said.offset < len(marks):
            marks[said.offset] |= _OUTCOME
        else:
            self.beyond[said.partition] = max(self.beyond.get(said.partition, 0), said.offset)

    def messages(self, partition: int) -> int:
        """How many raw records there are that must have become something."""
        return sum(1 for mark in self._marks[partition] if mark & _PRESENT and not mark & _TICK)

    def has(self, partition: int, offset: int) -> bool:
        """Whether this raw record was read, and is no tick."""
        marks = self._marks.get(partition, b"")
        return offset < len(marks) and marks[offset] & (_PRESENT | _TICK) == _PRESENT

    def without_outcome(self, partition: int) -> Iterator[int]:
        """Raw records that became nothing."""
        return (offset for offset, mark in enumerate(self._marks[partition]) if mark == _PRESENT)

    def without_record(self, partition: int) -> Iterator[int]:
        """Offsets that outcomes name and that hold no raw record (below the end)."""
        return (offset for offset, mark in enumerate(self._marks[partition]) if mark == _OUTCOME)

    def said_twice(self) -> frozenset[int]:
        """Identities of outcomes that are there more than once."""
        twice: set[int] = set()
        for bucket in self._identities:
            ordered = sorted(bucket)
            twice.update(one for one, other in pairwise(ordered) if one == other)
        return frozenset(twice)
