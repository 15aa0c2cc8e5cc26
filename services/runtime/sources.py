"""Where a loop's records come from: partitions shared within a consumer group, or all partitions under a lease.

Both keep one rule: after anything unexpected, go back to the offsets that Kafka has as committed and read again from there.
What they promise the loop is said at each class.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from services.runtime import kafka, logs, metrics
from services.runtime.settings import Settings

Position = tuple[str, int]
"""(topic, partition)"""

STABLE_TIMEOUT_S = 15.0
"""How long to wait for committed offsets to be settled: an orphaned transaction holds them for up to 10 s."""

log = logs.get("loop")


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record as read; headers are None where there are none or the source was told not to decode them."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] | None


@dataclass(slots=True, frozen=True)
class Limits:
    """How large a batch gets, and how long it waits. A batch may exceed `bytes` by what one chunk holds."""

    records: int = 5_000
    bytes: int = 8 * 1024 * 1024
    idle_s: float = 0.5  # how long to wait for a first record
    linger_s: float = 0.02  # then, how long for the next ones
    total_s: float = 0.25
    chunk: int = 1_000


class OwnershipLost(Exception):
    """Another process has taken over, or may have. The state in memory counts for nothing any more: exit or restore anew."""


class Source(Protocol):
    """What the loop needs. `exclusive`: one owner at a time, fenced by transactional.id."""

    name: str

    @property
    def exclusive(self) -> bool: ...
    @property
    def metadata(self) -> object: ...
    def open(self) -> None: ...
    def collect(self) -> list[Record]: ...
    def rewind(self, firsts: Mapping[Position, int]) -> None: ...
    def settle(self, reached: Mapping[Position, int]) -> bool: ...
    def advanced(self, reached: Mapping[Position, int]) -> None: ...
    def committed_offsets(self) -> dict[Position, int]: ...
    def close(self) -> None: ...


def to_record(message: Message, with_headers: bool = True) -> Record:
    """The client's message as a value of ours."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None and partition is not None and offset is not None
    # the client's own type says str or bytes; from the wire they are always bytes
    headers: list[tuple[str, bytes]] | None = message.headers() if with_headers else None  # type: ignore[assignment]
    return Record(topic, partition, offset, message.timestamp()[1], message.key(), message.value(), headers)


def reach(batch: Sequence[Record]) -> dict[Position, int]:
    """The offsets to commit for a batch: one past the last record of each partition."""
    return {(record.topic, record.partition): record.offset + 1 for record in batch}


def begin(batch: Sequence[Record]) -> dict[Position, int]:
    """Where a batch begins: the offset of its first record of each partition."""
    return {(record.topic, record.partition): record.offset for record in reversed(batch)}


def as_offsets(reached: Mapping[Position, int]) -> list[TopicPartition]:
    """The client's form of positions with offsets."""
    return [TopicPartition(topic, partition, offset) for (topic, partition), offset in reached.items()]


class _Reader:
    """What both sources share: reading chunks until a batch is full, and asking for committed offsets."""

    def __init__(
        self,
        settings: Settings,
        topics: Sequence[str],
        group: str,
        limits: Limits | None,
        with_headers: bool,
        clients: kafka.Clients,
    ) -> None:
        self.name = group
        self._settings = settings
        self._clients = clients
        self._topics = list(topics)
        self._group = group
        self._limits = limits or Limits()
        self._with_headers = with_headers
        self._opened: Consumer | None = None
        self._next: dict[Position, int] = {}  # what may not be read again: one past the last committed by us
        self._back: dict[Position, int] | None = None  # the beginning of a batch that is to be read again
        self._again: dict[Position, int] = {}  # having gone back: what must come again, before anything past it

    @property
    def _consumer(self) -> Consumer:
        if self._opened is None:
            raise RuntimeError("open() comes first")
        return self._opened

    def close(self) -> None:
        """Leave. What was read and not committed is read again by whoever comes next."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def rewind(self, firsts: Mapping[Position, int]) -> None:
        """Drop what was read past the committed offsets; the dropped batch began at `firsts`. Done by the next collect()."""
        self._back = dict(firsts)

    def _read(self) -> list[Record]:
        limits, batch, size = self._limits, list[Record](), 0
        messages = self._consumer.consume(1, limits.idle_s)
        until = self._clients.monotonic() + limits.total_s
        while messages:
            for message in messages:
                error = message.error()
                if error is not None:
                    self._complain(error)
                    continue
                record = to_record(message, self._with_headers)
                size += len(record.value or b"")
                batch.append(record)
            room = min(limits.chunk, limits.records - len(batch))
            if room <= 0 or size >= limits.bytes or self._clients.monotonic() >= until:
                break
            messages = self._consumer.consume(room, limits.linger_s)
        return batch

    def _complain(self, error: KafkaError) -> None:
        if kafka.fatal(error):
            raise KafkaException(error)
        metrics.counter("lovla_kafka_errors_total", client=self.name, error=error.name()).inc()
        log.warning("loop.read_error", loop=self.name, error=error.name(), text=error.str())

    def _check(self, batch: Sequence[Record]) -> None:
        """What the client promises anyway, checked because all rests on it: no record twice, none left out after going back."""
        seen: dict[Position, int] = {}
        for record in batch:
            position = (record.topic, record.partition)
            if position not in seen:
                must = self._again.pop(position, None)
                if record.offset < self._next.get(position, 0) or (must is not None and record.offset > must):
                    raise OwnershipLost(
                        f"{record.topic}-{record.partition}: read offset {record.offset}, where {must} was to come again; "
                        f"committed is up to {self._next.get(position)}"
                    )
            elif record.offset <= seen[position]:
                raise OwnershipLost(f"{record.topic}-{record.partition}: offset {record.offset} came after {seen[position]}")
            seen[position] = record.offset

    def _committed(self, positions: Collection[Position]) -> dict[Position, int]:
        """Committed offsets, once no transaction is pending on them; partitions without any are left out.

        Raises KafkaException, a timeout among them if they do not settle.
        """
        asked = [TopicPartition(topic, partition) for topic, partition in positions]
        return kafka.offsets_of(self._ask_committed(asked)) if asked else {}

    def _ask_committed(self, asked: list[TopicPartition]) -> list[TopicPartition]:
        return self._consumer.committed(asked, timeout=STABLE_TIMEOUT_S)


class AssignedSource(_Reader):
    """All partitions of `topics`; for the one owner under a lease, fenced by the producer's transactional.id.

    Guarantees: it reads on only from the offsets that were committed when it opened, or by its own loop since. If Kafka's
    committed offsets are ever others, somebody else has worked here, and it raises OwnershipLost.
    """

    exclusive = True

    def __init__(
        self,
        settings: Settings,
        topics: Sequence[str],
        group: str,
        limits: Limits | None = None,
        with_headers: bool = True,
        clients: kafka.Clients = kafka.LIBRDKAFKA,
    ) -> None:
        super().__init__(settings, topics, group, limits, with_headers, clients)
        self._all: list[Position] = []
        self._base: dict[Position, int] = {}

    def open(self) -> None:
        """Only after the producer's init_transactions: then nobody else commits. Raises TopicMissing, KafkaException."""
        self.close()
        self._opened = self._clients.consumer(kafka.consumer_config(self._settings, self.name, self._group))
        self._all = [(topic, p) for topic in self._topics for p in kafka.partitions(self._opened, topic)]
        self._base = self._committed(self._all)
        self._assign()

    @property
    def metadata(self) -> object:
        """Of a group without members: the offsets are fenced by transactional.id alone."""
        return self._consumer.consumer_group_metadata()

    def collect(self) -> list[Record]:
        if self._back is not None:
            if (now := self._committed(self._all)) != self._base:
                raise OwnershipLost(f"committed offsets of {self._group} are {now}, not {self._base}: another works here")
            self._assign()
            self._again, self._back = self._again | self._back, None
        batch = self._read()
        self._check(batch)
        return batch

    def settle(self, reached: Mapping[Position, int]) -> bool:
        """Whether a transaction of unknown outcome committed `reached`. Raises OwnershipLost if it was something else."""
        now = self._committed(self._all)
        if now == self._base | dict(reached):
            return True
        if now == self._base:
            return False
        raise OwnershipLost(f"committed offsets of {self._group} are {now}: neither {self._base} nor with {dict(reached)}")

    def advanced(self, reached: Mapping[Position, int]) -> None:
        self._base.update(reached)
        self._next.update(reached)

    def committed_offsets(self) -> dict[Position, int]:
        """As Kafka has them; partitions of which nothing was ever committed are left out."""
        return dict(self._base)

    def _assign(self) -> None:
        # a new assignment, not a seek: it drops whatever the client has prefetched
        self._consumer.assign(
            [TopicPartition(topic, p, self._base.get((topic, p), OFFSET_BEGINNING)) for topic, p in self._all]
        )


class GroupSource(_Reader):
    """The partitions of `topics` that the group gives us.

    Guarantees: a batch holds only partitions that were ours from its first record to its last, under the membership (member,
    generation) that `metadata` names; the broker refuses the offsets of any other. Rebalances happen inside `collect` only,
    when no transaction is open: the batch collected so far is dropped and the committed offsets are read again.
    """

    exclusive = False

    def __init__(
        self,
        settings: Settings,
        topics: Sequence[str],
        group: str,
        limits: Limits | None = None,
        with_headers: bool = True,
        clients: kafka.Clients = kafka.LIBRDKAFKA,
    ) -> None:
        super().__init__(settings, topics, group, limits, with_headers, clients)
        self._metadata: bytes | None = None
        self._changed = False

    def open(self) -> None:
        """Join the group, anew if need be. Raises TopicMissing, KafkaException."""
        self.close()
        self._metadata = None
        config = kafka.consumer_config(self._settings, self.name, self._group) | kafka.group_config(self._settings)
        self._opened = self._clients.consumer(config)
        for topic in self._topics:
            kafka.partitions(self._opened, topic)
        self._opened.subscribe(self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    @property
    def metadata(self) -> object:
        """The membership of the last assignment. Never the client's present one: after a lost session that can be "no member",
        which the broker takes without question (as it must for AssignedSource), and a zombie's offsets would count."""
        return self._metadata

    def collect(self) -> list[Record]:
        if self._back is not None:
            self._seek_back(self._back)
            self._back = None
        self._changed = False
        batch = self._read()
        if batch and (self._changed or self._metadata is None):
            self.rewind(begin(batch))
            return []
        self._check(batch)
        return batch

    def _seek_back(self, firsts: Mapping[Position, int]) -> None:
        self._remember_membership()
        mine = {(part.topic, part.partition) for part in self._consumer.assignment()}
        back = {position: first for position, first in firsts.items() if position in mine}
        committed = self._committed(back)
        for (topic, partition), first in back.items():
            offset = committed.get((topic, partition), OFFSET_BEGINNING)
            try:
                self._consumer.seek(TopicPartition(topic, partition, offset))
            except KafkaException as error:
                # revoked in this moment: the next read tells so, and the next assignment begins at the committed offset
                log.info("loop.seek_refused", loop=self.name, topic=topic, partition=partition, error=str(error))
                continue
            if offset <= first:  # else another member has worked on
                self._again[topic, partition] = first

    def _ask_committed(self, asked: list[TopicPartition]) -> list[TopicPartition]:
        """Asked by somebody who is no member. A member that the broker has counted out is told nothing until it has joined
        again, and it joins in `collect` alone: a question that waits for its answer would wait for ever (seen)."""
        config = kafka.consumer_config(self._settings, f"{self.name}-asking", self._group)
        asking = self._clients.consumer(config)
        try:
            return asking.committed(asked, timeout=STABLE_TIMEOUT_S)
        finally:
            asking.close()

    def settle(self, reached: Mapping[Position, int]) -> bool:
        """Whether a transaction of unknown outcome committed `reached`. (If other members have worked on since, that cannot be
        told: then False, and what the stage holds of the batch is dropped. Nothing of it is read again by us.)"""
        return self._committed(reached) == dict(reached)

    def advanced(self, reached: Mapping[Position, int]) -> None:
        self._next.update(reached)

    def committed_offsets(self) -> dict[Position, int]:
        """Of all partitions of the topics, ours or not."""
        return self._committed([(topic, p) for topic in self._topics for p in kafka.partitions(self._consumer, topic)])

    def _remember_membership(self) -> None:
        metadata = self._consumer.consumer_group_metadata()
        self._metadata = metadata if generation(metadata) > 0 else None

    def _on_assign(self, _consumer: Consumer, parts: list[TopicPartition]) -> None:
        self._remember_membership()
        self._rebalanced("assigned", parts)

    def _on_revoke(self, _consumer: Consumer, parts: list[TopicPartition]) -> None:
        self._rebalanced("revoked", parts)

    def _on_lost(self, _consumer: Consumer, parts: list[TopicPartition]) -> None:
        self._metadata = None
        self._rebalanced("lost", parts)

    def _rebalanced(self, kind: str, parts: list[TopicPartition]) -> None:
        self._changed = True
        for part in parts:
            self._next.pop((part.topic, part.partition), None)
            self._again.pop((part.topic, part.partition), None)
        metrics.counter("lovla_loop_rebalances_total", loop=self.name, kind=kind).inc()
        log.info("loop.rebalanced", loop=self.name, kind=kind, partitions=[f"{p.topic}-{p.partition}" for p in parts])


def generation(metadata: bytes) -> int:
    """The member's generation (epoch) inside the client's serialised group metadata; negative or 0: no member.

    The client offers no other way to it. A test pins the form.
    """
    magic = b"CGMDv2:"
    if not metadata.startswith(magic) or len(metadata) < len(magic) + 4:
        raise ValueError("the Kafka client serialises group metadata in a form unknown to us")
    found: int = struct.unpack_from("=i", metadata, len(magic))[0]
    return found
