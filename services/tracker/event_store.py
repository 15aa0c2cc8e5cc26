"""The event store: an index of shipment.events by linking reference. Can be thrown away: it is rebuilt from the topic.

Of one event id the greatest revision counts, with the least `received_at` of that revision's copies. So what the store holds is
a function of the set of records it was given: any order, any repetition.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec
from rocksdict import DBCompressionType, Options, Rdict, WriteBatch

from schemas.words import LINKING_KINDS
from services.tracker.records import Event, Ref, decode_event, encode

Positions = Mapping[int, int]
"""Partition of shipment.events -> the offset that comes next."""

_NO_TIME = datetime.min.replace(tzinfo=UTC)


def revision_key(event: Event) -> tuple[datetime, int, str]:
    """Orders the copies of one event id; a missing time sorts first."""
    return (event.revision.at or _NO_TIME, event.revision.reader, event.revision.content)


def newer(old: Event | None, new: Event) -> Event | None:
    """The copy to keep when `new` arrives beside `old`; None where nothing changes.

    `first_received_at` remembers when the sender first spoke of it, in any revision: a correction does not make silence of it.
    """
    if old is None:
        return new
    winner = max(old, new, key=lambda e: (revision_key(e), _least_first(e)))
    first = min(heard_at(old), heard_at(new))
    if heard_at(winner) != first:
        winner = msgspec.structs.replace(winner, first_received_at=first)
    return None if winner == old else winner


def heard_at(event: Event) -> datetime:
    """When any revision of it first came."""
    return event.first_received_at or event.received_at


def _least_first(event: Event) -> tuple[float, int, int]:
    raw = event.raw
    return (-event.received_at.timestamp(), -(raw.partition or 0), -(raw.offset or 0))


def is_over(event: Event, before: datetime) -> bool:
    """Whether it happened, and came, before that moment."""
    return event.occurred_at < before and event.received_at < before


def linking_references(event: Event) -> list[Ref]:
    """The references by which an event can find a consignment.

    A voyage only where nothing else is named: what is said of another's container is not about all on board.
    """
    named = [ref for ref in event.references if ref.kind in LINKING_KINDS]
    return [ref for ref in named if ref.kind != "voyage"] or named


class EventStore(Protocol):
    """What the core reads. *Guarantees*: each event at its newest kept revision, once."""

    def get(self, event_id: str) -> Event | None: ...
    def by_reference(self, ref: Ref) -> Iterable[Event]: ...
    def retractors(self, event_id: str) -> Iterable[Event]: ...
    def is_unmatched(self, event: Event) -> bool: ...

    def unmatched_by(self, sender: str) -> int:
        """How many kept events of this sender no consignment ever named."""
        ...


class WritableEventStore(EventStore, Protocol):
    """What the shell writes: a whole batch with its positions and marks, or nothing."""

    def write(
        self, events: Iterable[Event], positions: Positions, unmatched: Iterable[Event] = (), matched: Iterable[Event] = ()
    ) -> None:
        """`unmatched`: events that nobody names; `matched`: events marked so before that somebody names now."""
        ...

    def unmatched(self) -> Iterable[Event]: ...

    def sweep(self, before: datetime, needed: Callable[[Event], bool], at_most: int) -> int:
        """Looks at the next `at_most` events, going round; what happened and came before `before` and is not needed goes.
        Returns how many went."""
        ...

    def positions(self) -> dict[int, int]: ...
    def close(self) -> None: ...


class MemoryEventStore:
    """In memory, for tests and small sets; passes the same conformance tests as the one on disk."""

    def __init__(self) -> None:
        self._events: dict[str, Event] = {}
        self._index: dict[Ref, dict[str, None]] = {}
        self._retractors: dict[str, dict[str, None]] = {}
        self._unmatched: dict[str, str] = {}
        self._unmatched_by: Counter[str] = Counter()
        self._swept: list[str] = []
        self._positions: dict[int, int] = {}

    def get(self, event_id: str) -> Event | None:
        return self._events.get(event_id)

    def by_reference(self, ref: Ref) -> list[Event]:
        found = (self._events[event_id] for event_id in self._index.get(ref, ()) if event_id in self._events)
        return [event for event in found if ref in event.references]

    def retractors(self, event_id: str) -> list[Event]:
        found = (self._events[other] for other in self._retractors.get(event_id, ()) if other in self._events)
        return [event for event in found if event.retracts == event_id]

    def is_unmatched(self, event: Event) -> bool:
        return event.event_id in self._unmatched

    def unmatched_by(self, sender: str) -> int:
        return self._unmatched_by[sender]

    def unmatched(self) -> list[Event]:
        return [self._events[event_id] for event_id in self._unmatched]

    def sweep(self, before: datetime, needed: Callable[[Event], bool], at_most: int) -> int:
        self._swept = self._swept or list(self._events)
        looked, self._swept = self._swept[:at_most], self._swept[at_most:]
        gone = [self._events[name] for name in looked if name in self._events and is_over(self._events[name], before)]
        gone = [event for event in gone if not needed(event)]
        for event in gone:
            del self._events[event.event_id]
            self._settle(event)
            for ref in linking_references(event):
                self._index[ref].pop(event.event_id, None)
            if event.retracts:
                self._retractors[event.retracts].pop(event.event_id, None)
        return len(gone)

    def write(
        self, events: Iterable[Event], positions: Positions, unmatched: Iterable[Event] = (), matched: Iterable[Event] = ()
    ) -> None:
        for event in events:
            kept = newer(self._events.get(event.event_id), event)
            if kept is None:
                continue
            self._events[event.event_id] = event = kept
            for ref in linking_references(event):
                self._index.setdefault(ref, {})[event.event_id] = None
            if event.retracts:
                self._retractors.setdefault(event.retracts, {})[event.event_id] = None
        for event in unmatched:
            if event.event_id not in self._unmatched:
                self._unmatched[event.event_id] = event.sender
                self._unmatched_by[event.sender] += 1
        for event in matched:
            self._settle(event)
        self._positions.update(positions)

    def _settle(self, event: Event) -> None:
        if self._unmatched.pop(event.event_id, None) is not None:
            self._unmatched_by[event.sender] -= 1

    def positions(self) -> dict[int, int]:
        return dict(self._positions)

    def close(self) -> None:
        """Nothing to release."""


class DiskEventStore:
    """On disk by RocksDB: `e<id>` -> event; `r<kind>\\0<value>\\0<id>` and `x<retracted>\\0<id>` -> empty;
    `u<sender>\\0<id>` -> empty, for an event that nobody names; `p` -> positions.

    An event that a newer revision moved to other references stays in the old index rows: reading filters them out.
    Decoded events are cached by reference, because a journey touches the same few references again and again.
    """

    def __init__(self, folder: Path, cached_references: int = 200_000) -> None:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_write_buffer_size(32 * 1024 * 1024)
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._db = Rdict(str(folder), options=options)
        self._limit = cached_references
        self._cache: dict[Ref, dict[str, Event]] = {}
        self._retracting = {key.split(b"\0")[0][1:].decode() for key in self._keys(b"x")}
        self._unmatched = Counter(key.split(b"\0")[0][1:].decode() for key in self._keys(b"u"))
        self._sweep_from = b"e"

    @staticmethod
    def destroy(folder: Path) -> None:
        """Removes a closed store from disk."""
        shutil.rmtree(folder, ignore_errors=True)

    def _keys(self, prefix: bytes) -> Iterable[bytes]:
        iterator = self._db.iter()
        iterator.seek(prefix)
        while iterator.valid():
            key = bytes(iterator.key())
            if not key.startswith(prefix):
                return
            yield key
            iterator.next()

    def get(self, event_id: str) -> Event | None:
        value = self._db.get(b"e" + event_id.encode())
        return None if value is None else decode_event(value)

    def by_reference(self, ref: Ref) -> list[Event]:
        cached = self._cache.get(ref)
        if cached is None:
            prefix = f"r{ref.kind}\0{ref.value}\0".encode()
            cached = {}
            for key in self._keys(prefix):
                event = self.get(key[len(prefix) :].decode())
                if event is not None and ref in event.references:
                    cached[event.event_id] = event
            if len(self._cache) >= self._limit:
                self._cache.pop(next(iter(self._cache)))  # the oldest entry; a miss only costs a read
            self._cache[ref] = cached
        return list(cached.values())

    def retractors(self, event_id: str) -> list[Event]:
        if event_id not in self._retracting:
            return []
        prefix = f"x{event_id}\0".encode()
        found = (self.get(key[len(prefix) :].decode()) for key in self._keys(prefix))
        return [event for event in found if event is not None and event.retracts == event_id]

    def is_unmatched(self, event: Event) -> bool:
        return self._unmatched[event.sender] > 0 and self._db.get(_unmatched_key(event)) is not None

    def unmatched_by(self, sender: str) -> int:
        return self._unmatched[sender]

    def unmatched(self) -> Iterable[Event]:
        for key in self._keys(b"u"):
            event = self.get(key.split(b"\0")[1].decode())
            if event is not None:
                yield event

    def sweep(self, before: datetime, needed: Callable[[Event], bool], at_most: int) -> int:
        batch, gone, looked = WriteBatch(raw_mode=True), 0, 0
        iterator = self._db.iter()
        iterator.seek(self._sweep_from)
        while looked < at_most and iterator.valid() and (key := bytes(iterator.key())).startswith(b"e"):
            event = decode_event(iterator.value())
            looked += 1
            self._sweep_from = key + b"\0"
            if is_over(event, before) and not needed(event):
                self._remove(batch, event)
                gone += 1
            iterator.next()
        if looked < at_most:
            self._sweep_from = b"e"
        if gone:
            self._db.write(batch)
        return gone

    def _remove(self, batch: WriteBatch, event: Event) -> None:
        batch.delete(b"e" + event.event_id.encode())
        for ref in linking_references(event):
            batch.delete(_reference_key(ref, event))
            self._cache.pop(ref, None)
        if event.retracts:
            batch.delete(f"x{event.retracts}\0{event.event_id}".encode())
        if self.is_unmatched(event):
            batch.delete(_unmatched_key(event))
            self._unmatched[event.sender] -= 1

    def write(
        self, events: Iterable[Event], positions: Positions, unmatched: Iterable[Event] = (), matched: Iterable[Event] = ()
    ) -> None:
        batch = WriteBatch(raw_mode=True)
        kept: dict[str, Event] = {}
        for event in events:
            old = kept.get(event.event_id) or self.get(event.event_id)
            winner = newer(old, event)
            if winner is None:
                continue
            kept[event.event_id] = event = winner
            batch.put(b"e" + event.event_id.encode(), encode(event))
            references = linking_references(event)
            for ref in references:
                batch.put(_reference_key(ref, event), b"")
                if (cached := self._cache.get(ref)) is not None:
                    cached[event.event_id] = event
            if old is not None:
                for ref in linking_references(old):
                    if ref not in references and (cached := self._cache.get(ref)) is not None:
                        cached.pop(event.event_id, None)
            if event.retracts:
                batch.put(f"x{event.retracts}\0{event.event_id}".encode(), b"")
                self._retracting.add(event.retracts)
        for event in unmatched:
            if not self.is_unmatched(event):
                batch.put(_unmatched_key(event), b"")
                self._unmatched[event.sender] += 1
        for event in matched:
            if self.is_unmatched(event):
                batch.delete(_unmatched_key(event))
                self._unmatched[event.sender] -= 1
        merged = self.positions() | dict(positions)
        batch.put(b"p", msgspec.json.encode({str(p): offset for p, offset in merged.items()}))
        self._db.write(batch)

    def positions(self) -> dict[int, int]:
        value = self._db.get(b"p")
        return {} if value is None else {int(p): offset for p, offset in msgspec.json.decode(value).items()}

    def close(self) -> None:
        self._db.close()


def _reference_key(ref: Ref, event: Event) -> bytes:
    return f"r{ref.kind}\0{ref.value}\0{event.event_id}".encode()


def _unmatched_key(event: Event) -> bytes:
    return f"u{event.sender}\0{event.event_id}".encode()


class Overlay:
    """A batch's own events on top of the store: merged after the commit, dropped on abort."""

    def __init__(self, below: EventStore) -> None:
        self._below = below
        self.events: dict[str, Event] = {}
        self._index: dict[Ref, set[str]] = {}
        self._retractors: dict[str, set[str]] = {}
        self.unmatched: dict[str, Event] = {}
        self.matched: dict[str, Event] = {}
        self._more: Counter[str] = Counter()

    def mark_unmatched(self, event: Event) -> None:
        """Nobody names it, as far as we know now."""
        self.unmatched[event.event_id] = event
        self._more[event.sender] += 1

    def mark_matched(self, event: Event) -> None:
        """Somebody names it now; it is not counted as unmatched again."""
        if self.unmatched.pop(event.event_id, None) is None:
            if event.event_id in self.matched or not self._below.is_unmatched(event):
                return
            self.matched[event.event_id] = event
        self._more[event.sender] -= 1

    def unmatched_by(self, sender: str) -> int:
        """How many there would be if this batch is committed."""
        return self._below.unmatched_by(sender) + self._more[sender]

    def write_to(self, store: WritableEventStore, positions: Positions) -> None:
        """Writes the batch, once it is committed."""
        store.write(self.events.values(), positions, self.unmatched.values(), self.matched.values())

    def put(self, event: Event) -> tuple[bool, Event | None]:
        """Takes the event in. Returns whether anything changed, and the copy that stood before."""
        old = self.get(event.event_id)
        kept = newer(old, event)
        if kept is None:
            return False, old
        event = self.events[event.event_id] = kept
        for ref in linking_references(event):
            self._index.setdefault(ref, set()).add(event.event_id)
        if event.retracts:
            self._retractors.setdefault(event.retracts, set()).add(event.event_id)
        return True, old

    def get(self, event_id: str) -> Event | None:
        return self.events.get(event_id) or self._below.get(event_id)

    def by_reference(self, ref: Ref) -> list[Event]:
        found = [event for event in self._below.by_reference(ref) if event.event_id not in self.events]
        for event_id in self._index.get(ref, ()):
            event = self.events[event_id]
            if ref in event.references:
                found.append(event)
        return found

    def retractors(self, event_id: str) -> list[Event]:
        found = [event for event in self._below.retractors(event_id) if event.event_id not in self.events]
        for other in self._retractors.get(event_id, ()):
            event = self.events[other]
            if event.retracts == event_id:
                found.append(event)
        return found
