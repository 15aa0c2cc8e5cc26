"""A model of Kafka as far as the pipeline leans on it: logs, transactions, fencing, groups, compaction; and clients of it.

What it keeps, as the broker does: a transaction's records are in the log at once, and readers of committed records see none of
what lies past the first open transaction (the last stable offset); the end of a transaction is decided at once and told to the
partitions later, if the simulation so wishes; a transactional id has one living epoch, and older ones are fenced; offsets sent
in a transaction count with it, and nobody is told committed offsets while some are pending; a member that was put out of its
group can commit nothing; compaction leaves holes. `tests/integration/runtime/test_model_broker.py` runs one scenario against
this and against the real broker.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

from services.runtime.bounded import Hung
from tests.simulation.processes import WAITING, Process

Place = tuple[str, int]

DATA, COMMIT, ABORT = 0, 1, 2
STABLE_TRIES = 4
"""How often a client asks for committed offsets that are pending before its time-out."""


class Entry:
    """One record of a log."""

    __slots__ = ("headers", "key", "kind", "offset", "timestamp_ms", "transaction", "value")

    def __init__(
        self,
        offset: int,
        timestamp_ms: int,
        key: bytes | None,
        value: bytes | None,
        headers: Any,
        transaction: Transaction | None,
    ) -> None:
        self.offset = offset
        self.timestamp_ms = timestamp_ms
        self.key = key
        self.value = value
        self.headers = headers
        self.transaction = transaction
        self.kind = DATA


@dataclass(eq=False)
class Transaction:
    """`outcome`: None while open; its markers may be written later (`unmarked`)."""

    owner: str
    began: float
    outcome: int | None = None
    unmarked: dict[Place, int] = field(default_factory=dict)  # -> its first offset there
    offsets: dict[str, dict[Place, tuple[int, str]]] = field(default_factory=dict)


class Partition:
    """One log. `open`: transactions whose end it has not been told."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.end = 0
        self.open: dict[Transaction, int] = {}

    def append(self, timestamp_ms: int, key: bytes | None, value: bytes | None, headers: Any, by: Transaction | None) -> int:
        offset = self.end
        self.entries.append(Entry(offset, timestamp_ms, key, value, headers, by))
        self.end += 1
        if by is not None:
            self.open.setdefault(by, offset)
        return offset

    def mark(self, by: Transaction, timestamp_ms: int) -> None:
        entry = Entry(self.end, timestamp_ms, None, None, None, by)
        assert by.outcome is not None
        entry.kind = by.outcome
        self.entries.append(entry)
        self.end += 1
        self.open.pop(by, None)

    @property
    def stable(self) -> int:
        return min(self.open.values()) if self.open else self.end

    def read(self, position: int, most: int, committed: bool) -> tuple[list[Entry], int]:
        """Up to `most` records from `position` on, and the position after all that was looked at."""
        limit = self.stable if committed else self.end
        found: list[Entry] = []
        entries = self.entries
        there = len(entries)
        # without holes an entry stands where its offset says
        at = min(position, there) if there == self.end else bisect_left(entries, position, key=_offset)
        room = most
        while at < there and room > 0:
            entry = entries[at]
            if entry.offset >= limit:
                break
            at += 1
            position = entry.offset + 1
            if entry.kind == DATA and (not committed or entry.transaction is None or entry.transaction.outcome == COMMIT):
                found.append(entry)
                room -= 1
        if at >= there or entries[at].offset >= limit:
            position = max(position, limit)
        return found, position

    def committed(self, start: int = 0) -> list[Entry]:
        """All that a reader of committed records can see from `start`."""
        return self.read(start, len(self.entries) + 1, True)[0]

    def compact(self) -> int:
        """Of what is stable, the newest of each key stays. Returns how many records went."""
        stable = self.stable
        newest: dict[bytes | None, int] = {}
        for entry in self.entries:
            if entry.kind == DATA and entry.offset < stable and _visible(entry):
                newest[entry.key] = entry.offset
        before = len(self.entries)
        self.entries = [
            entry
            for entry in self.entries
            if entry.offset >= stable or (entry.kind == DATA and _visible(entry) and newest[entry.key] == entry.offset)
        ]
        return before - len(self.entries)


def _offset(entry: Entry) -> int:
    return entry.offset


def _visible(entry: Entry) -> bool:
    return entry.transaction is None or entry.transaction.outcome == COMMIT


@dataclass
class Holder:
    """What the coordinator knows of a transactional id."""

    epoch: int = 0
    current: Transaction | None = None
    marking: Transaction | None = None


@dataclass(eq=False)
class Member:
    """One member of a group. `given`: what the group means it to have; `owned`: what it has taken over."""

    name: str
    topics: list[str]
    process: Process
    seen: float
    given: set[Place] = field(default_factory=set)
    owned: set[Place] = field(default_factory=set)
    generation: int = 0


@dataclass
class Group:
    generation: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    offsets: dict[Place, tuple[int, str]] = field(default_factory=dict)


class Broker:
    """The one broker of a world. `now_ms`: the time that it writes on records; `machine`: seconds, for time-outs."""

    session_s = 12.0
    transaction_s = 10.0

    def __init__(self, topics: dict[str, int], now_ms: Callable[[], int]) -> None:
        self.partitions: dict[Place, Partition] = {(t, p): Partition() for t, n in topics.items() for p in range(n)}
        self.topics = topics
        self.now_ms = now_ms
        self.machine = 0.0
        self.version = 0  # grows with whatever a waiting client could notice
        self.holders: dict[str, Holder] = {}
        self.groups: dict[str, Group] = {}
        self.alive: Callable[[Process], bool] = lambda process: not process.ended
        self.late_markers: Callable[[], bool] = lambda: False
        self.on_commit: Callable[[str, Transaction], None] = lambda _owner, _transaction: None
        self.spread = 0
        """Which keys share a partition; the same for all topics of as many."""
        self._members = 0

    # -- logs --------------------------------------------------------------------------------------------------------

    def place_of(self, topic: str, key: bytes | None, partition: int) -> Place:
        if partition < 0:
            partition = (zlib.crc32(key or b"") >> self.spread) % self.topics[topic]
        return topic, partition

    def append(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Any, partition: int = -1
    ) -> tuple[Place, int]:
        """A record outside any transaction."""
        place = self.place_of(topic, key, partition)
        self.version += 1
        return place, self.partitions[place].append(self.now_ms(), key, value, headers, None)

    def committed(self, topic: str) -> Iterable[tuple[int, Entry]]:
        for partition in range(self.topics[topic]):
            for entry in self.partitions[topic, partition].committed():
                yield partition, entry

    # -- transactions ------------------------------------------------------------------------------------------------

    def init(self, owner: str) -> int:
        """A new epoch: what the old one left is settled first."""
        holder = self.holders.setdefault(owner, Holder())
        if holder.current is not None:
            self._end(holder, ABORT)
        self.write_markers(holder)
        holder.epoch += 1
        return holder.epoch

    def check(self, owner: str, epoch: int) -> Holder:
        holder = self.holders[owner]
        if holder.epoch != epoch:
            raise KafkaException(KafkaError(KafkaError._FENCED, "a newer producer has this transactional id", fatal=True))
        return holder

    def transaction(self, owner: str, epoch: int) -> Transaction:
        holder = self.check(owner, epoch)
        self.write_markers(holder)
        if holder.current is None:
            holder.current = Transaction(owner, self.machine)
        return holder.current

    def produce(
        self, owner: str, epoch: int, topic: str, key: bytes | None, value: bytes | None, headers: Any, part: int
    ) -> None:
        transaction = self.transaction(owner, epoch)
        place = self.place_of(topic, key, part)
        offset = self.partitions[place].append(self.now_ms(), key, value, headers, transaction)
        transaction.unmarked.setdefault(place, offset)

    def send_offsets(
        self, owner: str, epoch: int, offsets: Sequence[TopicPartition], member: str, generation: int, group: str
    ) -> None:
        transaction = self.transaction(owner, epoch)
        if generation > 0:
            self._member(group, member, generation)
        kept = transaction.offsets.setdefault(group, {})
        for part in offsets:
            kept[part.topic, part.partition] = (part.offset, part.metadata or "")

    def end(self, owner: str, epoch: int, outcome: int) -> None:
        holder = self.check(owner, epoch)
        if holder.current is None:
            return
        self._end(holder, outcome)
        if not self.late_markers():
            self.write_markers(holder)

    def _end(self, holder: Holder, outcome: int) -> None:
        transaction, holder.current = holder.current, None
        assert transaction is not None
        self.write_markers(holder)
        transaction.outcome = outcome
        holder.marking = transaction
        if outcome == COMMIT:
            self.on_commit(transaction.owner, transaction)

    def write_markers(self, holder: Holder) -> None:
        """The end of a decided transaction reaches its partitions and groups."""
        transaction, holder.marking = holder.marking, None
        if transaction is None:
            return
        self.version += 1
        for place in transaction.unmarked:
            self.partitions[place].mark(transaction, self.now_ms())
        if transaction.outcome == COMMIT:
            for group, offsets in transaction.offsets.items():
                self.groups.setdefault(group, Group()).offsets.update(offsets)
        transaction.unmarked.clear()

    def tick(self) -> None:
        """Time-outs: orphaned transactions are aborted and their producers fenced; silent members are out."""
        for holder in self.holders.values():
            current = holder.current
            if current is not None and self.machine - current.began > self.transaction_s:
                self._end(holder, ABORT)
                self.write_markers(holder)
                holder.epoch += 1
        for group in self.groups.values():
            for member in list(group.members.values()):
                if self.alive(member.process):
                    member.seen = self.machine  # its client beats in a thread of its own
                elif self.machine - member.seen > self.session_s:
                    self.leave(group, member)

    # -- groups ------------------------------------------------------------------------------------------------------

    def pending(self, group: str, places: Iterable[Place]) -> bool:
        wanted = set(places)
        for holder in self.holders.values():
            for transaction in (holder.current, holder.marking):
                if transaction is not None and wanted & transaction.offsets.get(group, {}).keys():
                    return True
        return False

    def join(self, group_name: str, topics: list[str], process: Process) -> Member:
        group = self.groups.setdefault(group_name, Group())
        self._members += 1
        member = Member(f"member-{self._members}", topics, process, self.machine)
        group.members[member.name] = member
        self._rebalance(group)
        return member

    def leave(self, group: Group, member: Member) -> None:
        if group.members.pop(member.name, None) is not None:
            self._rebalance(group)

    def _rebalance(self, group: Group) -> None:
        self.version += 1
        group.generation += 1
        members = sorted(group.members.values(), key=lambda m: m.name)
        for member in members:
            member.given = set()
        if members:
            topics = sorted({topic for member in members for topic in member.topics})
            places = [(topic, p) for topic in topics for p in range(self.topics[topic])]
            for n, place in enumerate(places):
                members[n % len(members)].given.add(place)

    def _member(self, group_name: str, name: str, generation: int) -> Member:
        group = self.groups.get(group_name)
        member = group.members.get(name) if group else None
        if group is None or member is None:
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_MEMBER_ID, "no member", txn_requires_abort=True))
        if (
            generation != member.generation
        ):  # a member that lags behind a rebalance may still commit; one that was put out may not
            raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION, "another generation", txn_requires_abort=True))
        return member

    def commit(self, group: str, member: str, generation: int, offsets: Sequence[TopicPartition]) -> None:
        self._member(group, member, generation)
        self._keep(group, offsets)

    def commit_alone(self, group: str, offsets: Sequence[TopicPartition]) -> None:
        """Of a consumer that assigned its partitions itself: taken while nobody is in the group."""
        if self.groups.setdefault(group, Group()).members:
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_MEMBER_ID, "others are members"))
        self._keep(group, offsets)

    def _keep(self, group: str, offsets: Sequence[TopicPartition]) -> None:
        kept = self.groups[group].offsets
        for part in offsets:
            kept[part.topic, part.partition] = (part.offset, part.metadata or "")


class Message:
    """What the client hands out."""

    __slots__ = ("_entry", "_error", "_offset", "_place")

    def __init__(self, place: Place, offset: int, entry: Entry | None, error: KafkaError | None = None) -> None:
        self._place = place
        self._offset = offset
        self._entry = entry
        self._error = error

    def error(self) -> KafkaError | None:
        return self._error

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        assert self._entry is not None
        return self._entry.key

    def value(self) -> bytes | None:
        assert self._entry is not None
        return self._entry.value

    def headers(self) -> Any:
        assert self._entry is not None
        return self._entry.headers

    def timestamp(self) -> tuple[int, int]:
        assert self._entry is not None
        return 1, self._entry.timestamp_ms


_EOF = KafkaError(KafkaError._PARTITION_EOF)


@dataclass
class Faults:
    """What the world does to the clients: each is asked when it could strike."""

    commit: Callable[[], str] = lambda: "done"  # done, refused, unknown_done, unknown_not_done, broken_done, broken_not_done
    fetch: Callable[[int], int] = lambda most: most  # how many records a fetch brings


class Consumer:
    """As confluent_kafka.Consumer, as far as the product uses it."""

    def __init__(self, clients: ModelClients, config: dict[str, Any]) -> None:
        self._clients = clients
        self._broker = clients.broker
        self._group = str(config["group.id"])
        self._committed = config.get("isolation.level") != "read_uncommitted"
        self._eof = bool(config.get("enable.partition.eof"))
        self._positions: dict[Place, int] = {}
        self._told_eof: dict[Place, int] = {}
        self._asking: set[Place] = set()
        self._paused: set[Place] = set()  # outlives a time in which another has the partition, as in librdkafka
        self._member: Member | None = None
        self._topics: list[str] | None = None
        self._callbacks: dict[str, Callable[..., None]] = {}
        self._turn = 0
        self._nothing_at = -1  # the broker's version at which all was looked at, and there was nothing

    # assignment

    def assign(self, parts: Sequence[TopicPartition]) -> None:
        self._positions.clear()
        self._told_eof.clear()
        self.incremental_assign(parts)

    def incremental_assign(self, parts: Sequence[TopicPartition]) -> None:
        for part in parts:
            self._place(part.topic, part.partition, part.offset)

    def _place(self, topic: str, partition: int, offset: int) -> None:
        """Where to read from: an offset, the beginning, or (by default) what is committed."""
        place = topic, partition
        self._nothing_at = -1
        self._asking.discard(place)
        if offset == OFFSET_BEGINNING:
            offset = 0
        elif offset < 0:
            self._asking.add(place)  # what is committed is asked for until no transaction is pending on it
            offset = 0
        self._positions[place] = offset
        self._told_eof.pop(place, None)

    def _asked(self, place: Place) -> bool:
        """Whether its committed offset, which is asked for, is known by now."""
        if self._broker.pending(self._group, [place]):
            return False
        self._asking.discard(place)
        group = self._broker.groups.get(self._group)
        self._positions[place] = group.offsets.get(place, (0, ""))[0] if group else 0
        return True

    def seek(self, part: TopicPartition) -> None:
        if (part.topic, part.partition) not in self._positions:
            raise KafkaException(KafkaError(KafkaError._STATE, "not assigned"))
        self._place(part.topic, part.partition, part.offset)

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(topic, p) for topic, p in self._positions]

    def pause(self, parts: Sequence[TopicPartition]) -> None:
        self._nothing_at = -1
        self._paused |= {(part.topic, part.partition) for part in parts}

    def resume(self, parts: Sequence[TopicPartition]) -> None:
        self._nothing_at = -1
        self._paused -= {(part.topic, part.partition) for part in parts}

    def subscribe(
        self,
        topics: list[str],
        on_assign: Callable[..., None],
        on_revoke: Callable[..., None] | None = None,
        on_lost: Callable[..., None] | None = None,
    ) -> None:
        self._topics = topics
        self._callbacks = {"assign": on_assign}
        if on_revoke is not None:
            self._callbacks["revoke"] = on_revoke
        if on_lost is not None:
            self._callbacks["lost"] = on_lost

    def consumer_group_metadata(self) -> bytes:
        member = self._member
        generation = member.generation if member is not None else -1
        return b"CGMDv2:" + struct.pack("=i", generation) + f"{self._group}\0{member.name if member else ''}".encode()

    def _call(self, name: str, places: Iterable[Place]) -> None:
        callback = self._callbacks.get(name) or (self._callbacks.get("revoke") if name == "lost" else None)
        parts = [TopicPartition(topic, p) for topic, p in sorted(places)]
        if callback is not None:
            callback(self, parts)
        for part in parts:
            place = part.topic, part.partition
            if name == "assign":
                if place not in self._positions:  # a callback may have assigned them itself
                    self._place(part.topic, part.partition, OFFSET_INVALID)
            else:
                self._positions.pop(place, None)

    def _keep_membership(self) -> None:
        if self._topics is None:
            return
        broker = self._broker
        member = self._member
        if member is None:
            member = self._member = broker.join(self._group, self._topics, self._clients.process)
        group = broker.groups[self._group]
        if member.name not in group.members:
            self._member = None
            lost, member.owned = member.owned, set()
            self._call("lost", lost)
            self._keep_membership()
            return
        member.seen = broker.machine
        if member.generation != group.generation:
            gone = member.owned - member.given
            if gone:
                self._call("revoke", gone)  # under the old generation still: what is done can be committed no more
                member.owned -= gone
                broker.version += 1
            member.generation = group.generation
        if member.given == member.owned:
            return
        held = {place for other in group.members.values() if other is not member for place in other.owned}
        new = member.given - member.owned - held
        if new:
            member.owned |= new
            self._call("assign", new)

    # reading

    def poll(self, timeout: float) -> Message | None:
        found = self.consume(1, timeout)
        return found[0] if found else None

    def consume(self, most: int, timeout: float) -> list[Message]:
        clients = self._clients
        clients.pause(WAITING)
        self._keep_membership()
        found: list[Message] = []
        version = self._broker.version
        if version == self._nothing_at:
            clients.idle()
            return found
        most = clients.faults.fetch(most)
        self._turn += 1
        places = list(self._positions)
        first = self._turn % len(places) if places else 0
        broker_partitions, positions, paused, asking = self._broker.partitions, self._positions, self._paused, self._asking
        for place in places[first:] + places[:first]:
            if place in paused or (place in asking and not self._asked(place)):
                continue
            log, position = broker_partitions[place], positions[place]
            if position < log.end:
                entries, position = log.read(position, most - len(found), self._committed)
                positions[place] = position
                found.extend([Message(place, entry.offset, entry) for entry in entries])
            if self._eof and self._told_eof.get(place) != position and position >= (log.stable if self._committed else log.end):
                self._told_eof[place] = position
                found.append(Message(place, position, None, _EOF))
            if len(found) >= most:
                break
        else:
            if not found and not asking and self._committed:
                self._nothing_at = version
        if found:
            clients.process.idle_since = None
        else:
            clients.idle()
        return found

    # offsets

    def committed(self, parts: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        clients, broker = self._clients, self._broker
        clients.pause("committed")
        places = [(part.topic, part.partition) for part in parts]
        tries = 0
        while broker.pending(self._group, places):
            tries += 1
            if tries > STABLE_TRIES:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "unstable offsets", retriable=True))
            clients.pause("unstable offsets")
        offsets = broker.groups[self._group].offsets if self._group in broker.groups else {}
        found = []
        for place in places:
            offset, metadata = offsets.get(place, (OFFSET_INVALID, ""))
            found.append(TopicPartition(*place, offset, metadata) if metadata else TopicPartition(*place, offset))
        return found

    def commit(self, offsets: Sequence[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        clients = self._clients
        clients.pause("commit offsets")
        member = self._member
        if self._topics is None:
            self._broker.commit_alone(self._group, offsets)
        elif member is None:
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_MEMBER_ID, "no member"))
        else:
            self._broker.commit(self._group, member.name, member.generation, offsets)
        clients.pause("offsets committed")
        return list(offsets)

    def get_watermark_offsets(self, part: TopicPartition, timeout: float = 0.0, cached: bool = False) -> tuple[int, int]:
        log = self._broker.partitions[part.topic, part.partition]
        return 0, log.stable if self._committed else log.end

    def list_topics(self, topic: str, timeout: float) -> Any:
        return _Metadata(topic, self._broker.topics[topic])

    def close(self) -> None:
        if self._member is not None and (group := self._broker.groups.get(self._group)) is not None:
            if self._member.name in group.members:
                if self._member.owned and "revoke" in self._callbacks:
                    self._call("revoke", self._member.owned)
                self._broker.leave(group, self._member)
            self._member = None
        self._positions.clear()


class _Metadata:
    def __init__(self, topic: str, partitions: int) -> None:
        self.topics = {topic: _TopicMetadata(partitions)}


class _TopicMetadata:
    error = None

    def __init__(self, partitions: int) -> None:
        self.partitions = dict.fromkeys(range(partitions))


class Producer:
    """A transactional producer. Records go to the log when they are produced; a refusal is told with the commit, as there."""

    def __init__(self, clients: ModelClients, config: dict[str, Any]) -> None:
        self._clients = clients
        self._broker = clients.broker
        self._owner = str(config["transactional.id"])
        self._epoch = 0
        self._broken: KafkaException | None = None

    def init_transactions(self, timeout: float) -> None:
        self._clients.pause("init")
        self._epoch = self._broker.init(self._owner)
        self._clients.pause("initialised")

    def begin_transaction(self) -> None:
        self._usable()
        self._clients.pause("begin")

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int = -1,
        headers: Any = None,
        on_delivery: Any = None,
    ) -> None:
        self._usable()
        try:
            self._broker.produce(self._owner, self._epoch, topic, key, value, headers, partition)
        except KafkaException as error:
            self._broken = error

    def send_offsets_to_transaction(self, offsets: Sequence[TopicPartition], metadata: bytes, timeout: float) -> None:
        self._clients.pause("send offsets")
        self._usable()
        (generation,) = struct.unpack_from("=i", metadata, len(b"CGMDv2:"))
        group, _, member = metadata[len(b"CGMDv2:") + 4 :].decode().partition("\0")
        self._broker.send_offsets(self._owner, self._epoch, offsets, member, generation, group)

    def commit_transaction(self, timeout: float) -> None:
        self._clients.pause("commit")
        self._usable()
        if self._broker.check(self._owner, self._epoch).current is None:
            return  # asked again: it was committed
        outcome = self._clients.faults.commit()
        if outcome == "refused":
            raise KafkaException(KafkaError(KafkaError.COORDINATOR_NOT_AVAILABLE, "planted", txn_requires_abort=True))
        if outcome == "hung":
            raise Hung("planted")
        if not outcome.endswith("not_done"):
            self._broker.end(self._owner, self._epoch, COMMIT)
            self._clients.pause("committed")
        if outcome.startswith("unknown"):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "planted", retriable=True))
        if outcome.startswith("broken"):
            self._broken = KafkaException(KafkaError(KafkaError._FATAL, "planted", fatal=True))
            raise self._broken

    def abort_transaction(self, timeout: float) -> None:
        self._clients.pause("abort")
        self._usable()
        self._broker.end(self._owner, self._epoch, ABORT)

    def flush(self, timeout: float = 0.0) -> int:
        return 0

    def poll(self, timeout: float) -> int:
        return 0

    def purge(self) -> None:
        """Whatever was queued; here nothing is."""

    def list_topics(self, topic: str, timeout: float) -> Any:
        return _Metadata(topic, self._broker.topics[topic])

    def _usable(self) -> None:
        if self._broken is not None:
            raise self._broken


class _Direct:
    """Calls that always come back, or say at once that they never will."""

    def __call__(self, call: Callable[[], Any], timeout_s: float) -> Any:
        return call()

    def close(self) -> None:
        """No thread to end."""


class ModelClients:
    """services.runtime.kafka.Clients over the model, for one process."""

    def __init__(self, broker: Broker, process: Process, faults: Faults, idle: Callable[[Process], None]) -> None:
        self.broker = broker
        self.process = process
        self.faults = faults
        self._idle = idle

    def pause(self, doing: str) -> None:
        self.process.pause(doing)

    def idle(self) -> None:
        self._idle(self.process)

    def producer(self, config: dict[str, Any]) -> Any:
        return Producer(self, config)

    def consumer(self, config: dict[str, Any]) -> Any:
        return Consumer(self, config)

    def calls(self, name: str) -> Any:
        return _Direct()

    def topic_ids(self, settings: object, topics: Sequence[str]) -> dict[str, str]:
        self.pause("describe topics")
        return {topic: f"id of {topic}" for topic in topics}

    def monotonic(self) -> float:
        return self.broker.machine
