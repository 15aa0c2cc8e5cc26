"""What happens at the door, in order, whatever the address: who, how much, what, into Kafka, then the answer.

*Guarantees*: an `Accepted` is returned only after Kafka acknowledged the raw record. One request is one raw record.

What is kept of bad input: bytes of any standard (/v1/messages, a DCSA callback) are kept even if nothing in them can be
read, because the sender had a good credential and only the bytes can show what went wrong; the answer says so and the
readers stage writes the dead letter. Our own JSON and CSV (/v1/events, /v1/consignments and below) is refused with 422 if
it cannot be read or holds nothing valid: there is someone on the other side who can mend it at once.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar

from pydantic import ValidationError

from schemas.base import rfc3339
from schemas.journey_change_v1 import CommandJudged
from schemas.raw_message_v1 import RawKind, RawMessage
from schemas.registers_v1 import Account, Secret, Sender
from schemas.shipment_event_v1 import Warning_
from schemas.topics import RAW_MESSAGES
from services.ingest.acknowledgements import Form
from services.ingest.alert_acknowledgements import Acknowledgements
from services.ingest.auth import UNKNOWN, Callbacks, Caller
from services.ingest.body import Budget
from services.ingest.commands import command_id, order_key, read_commands
from services.ingest.conformance import Acknowledgement, Report, answer, report
from services.ingest.idempotency import Idempotency
from services.ingest.limits import KIB, Limits, Rates
from services.ingest.problems import Place, Problem
from services.ingest.raw_log import Appended, Away
from services.ingest.readers import Registers as KnownRegisters
from services.ingest.reading import Read, explained, read_message, row_verdict, said_warnings
from services.ingest.records import RawRecord
from services.ingest.repeats import Repeats
from services.ingest.retrying import UNPARK, again, unparking
from services.ingest.sandbox import Sandbox
from services.ingest.ticker import Log, Ticker
from services.ingest.work_acts import WorkActs
from services.runtime.clock import Clock
from services.runtime.receipts import NotAReceipt, Position, Sealer
from services.runtime.wire import raw_headers

_IN_LOOP_BYTES = 16 * KIB  # a body up to this is judged in the event loop: a thread would cost more than it
_CLOCK_SLACK = timedelta(minutes=1)
_RETRY_S = 5.0
_BREAKS_LIMITS = {"too_many_events": "too-many-events", "too_many_rows": "too-many-events", "too_large": "too-large"}
T = TypeVar("T")


class RegistersPort(Protocol):
    """The registers' views: `Registers`, or plain dictionaries in tests."""

    @property
    def senders(self) -> Mapping[str, Sender]: ...
    def known(self) -> KnownRegisters:
        """Senders and facilities, indexed for the readers."""
        ...

    @property
    def accounts(self) -> Mapping[str, Account]: ...
    @property
    def secrets(self) -> Mapping[str, Secret]: ...
    def healthy(self) -> str | None: ...
    def check(self) -> None: ...


class RecordsPort(Protocol):
    """Raw records read back, and how far the readers have come (blocking)."""

    def read(self, position: Position) -> RawRecord | None: ...
    def readers_position(self, partition: int) -> int: ...


class OutcomesPort(Protocol):
    """What became of commands."""

    def get(self, command_id: str) -> CommandJudged | None: ...
    @property
    def complete_since(self) -> datetime | None:
        """From when on no outcome is missing; None while that is not known."""
        ...


@dataclass(frozen=True, slots=True)
class Said:
    """What a request says about its content, beside the bytes: URL and headers, already checked for form."""

    kind: RawKind
    content: bytes
    content_type: str
    content_encoding: Literal["identity", "gzip"]
    standard: str | None = None
    consignment: str | None = None
    if_match: int | None = None
    received_at: datetime | None = None
    recorded_by: str | None = None
    request_id: str | None = None
    traceparent: str | None = None
    once: str | None = None  # as in schemas/raw_message_v1.py
    answer_form: Form | None = None  # of the acknowledgement that is asked for; None: the usual one


@dataclass(frozen=True, slots=True)
class Accepted:
    """Kafka has it: the receipt, and a verdict for every event or row. `acknowledge`: writes the 997 or CONTRL of the message.
    `sandbox`: nobody has it, and the answer is the same."""

    receipt: str
    at: datetime
    verdicts: Sequence[Mapping[str, Any]]
    warnings: Sequence[Mapping[str, str]] = ()
    sandbox: bool = False
    acknowledge: Callable[[], Awaitable[Acknowledgement]] | None = None

    def body(self) -> dict[str, Any]:
        """The JSON answer."""
        rejected = sum(verdict["outcome"] == "rejected" for verdict in self.verdicts)
        return {
            "receipt": self.receipt,
            "received_at": rfc3339(self.at),
            "accepted": len(self.verdicts) - rejected,
            "rejected": rejected,
            "verdicts": list(self.verdicts),
        } | self.about_all()

    def about_all(self) -> dict[str, Any]:
        """What is said of the whole request, where there is something to say."""
        said: dict[str, Any] = {"warnings": list(self.warnings)} if self.warnings else {}
        words = explained(self.verdicts, self.warnings)
        return said | ({"explained": words} if words else {}) | ({"sandbox": True} if self.sandbox else {})


@dataclass
class Door:
    """Everything that the addresses share."""

    registers: RegistersPort
    log: Log
    records: RecordsPort
    outcomes: OutcomesPort
    sealer: Sealer
    callbacks: Callbacks
    ticker: Ticker
    clock: Clock
    acknowledgements: Acknowledgements
    work_acts: WorkActs
    secret_key: bytes = field(repr=False)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.rates = Rates(self.limits)
        self.budget = Budget()
        self.idempotency = Idempotency()
        self.repeats = Repeats(self.sealer)
        self._sandbox = Sandbox()
        self._trying = asyncio.Semaphore(1)
        self._judging, self._reading_back = asyncio.Semaphore(2), asyncio.Semaphore(1)

    def count_request(self, caller: Caller) -> None:
        """Raise Problem 429 if the sender asks too often."""
        if caller.sender.code == UNKNOWN and caller.sandbox:
            self.rates.stranger(caller.meter, self.clock.monotonic())
        else:
            self.rates.request(caller.meter, "backfill" in caller.scopes, self.clock.monotonic())

    def not_ready(self) -> str | None:
        """None, or why requests are refused just now."""
        return "Kafka does not answer" if self.log.away else self.registers.healthy()

    async def take_message(self, caller: Caller, said: Said, *, keep_unreadable: bool) -> Accepted:
        """Take shipment events of any standard."""
        meta = self._meta(caller, said)
        received_at = meta.received_at or self.clock.now()
        known = self.registers.known()
        read = await self._aside(said.content, lambda: read_message(meta, said.content, received_at, known))
        _check_limits(read.places())
        if len(read.kept) > self.limits.events:
            raise Problem("too-many-events", f"{len(read.kept)} events; at most {self.limits.events} a request.")
        if not keep_unreadable and not any(read.values) and not read.commands:
            raise Problem("invalid", "Nothing in this body can be taken.", errors=read.places())
        self._count_events(caller, len(read.kept))
        appended = await self._append(caller, meta, said, order_key(read.commands, meta.sender))
        at = meta.received_at or appended.at
        repeated = self._repeated(caller, read, appended)
        verdicts = read.said(appended.position)
        warnings = said_warnings([*read.warnings, *repeated], read.standard)

        async def acknowledged() -> Acknowledgement:
            control = _control_number(appended.position)
            return await self._aside(said.content, lambda: answer(meta, said.content, read, at, control, said.answer_form))

        receipt = self._receipt(caller, meta, appended, verdicts, warnings)
        return Accepted(receipt, at, verdicts, warnings, caller.sandbox, acknowledged)

    async def try_message(self, caller: Caller, said: Said) -> Report:
        """What a message would become; nothing is written. Raises Problem where it would be refused."""
        meta = self._meta(caller, said, for_good=False)
        received_at = meta.received_at or self.clock.now()
        # whom and what we know is told to those whom we know
        known = KnownRegisters.empty() if caller.sender.code == UNKNOWN else self.registers.known()

        def judged() -> tuple[Read, Report]:
            read = read_message(meta, said.content, received_at, known)
            repeated = self.repeats.told(meta.sender, read.interchanges)
            read = replace(read, warnings=(*read.warnings, *repeated))
            return read, report(meta, said.content, read, received_at, said.answer_form)

        async with self._trying:  # one at a time, beside the loop: what is sent for good goes first
            read, told = await asyncio.to_thread(judged)
        _check_limits(read.places())
        self._count_events(caller, len(read.kept))
        return told

    async def take_commands(self, caller: Caller, said: Said) -> Accepted:
        """Take a registration, amendment, cancellation, action or dock receipt; what the tracker says of it comes later."""
        meta = self._meta(caller, said)
        received_at = meta.received_at or self.clock.now()
        rows = await self._aside(said.content, lambda: read_commands(meta, said.content, received_at))
        if not any(row.command for row in rows):
            problems = [problem for row in rows for problem in row.problems][:100]
            _check_limits(problems)
            if problems and all(problem["code"] == "not_yours" for problem in problems):
                raise Problem("no-scope", problems[0]["text"], errors=problems)
            raise Problem("invalid", "Nothing in this body can be taken.", errors=problems)
        self._count_events(caller, len(rows))
        appended = await self._append(caller, meta, said, order_key(rows, meta.sender))
        position = appended.position
        verdicts = [
            row_verdict(row, command_id(position.partition, position.offset, index, meta)) for index, row in enumerate(rows)
        ]
        receipt = self._receipt(caller, meta, appended, verdicts)
        return Accepted(receipt, meta.received_at or appended.at, verdicts, sandbox=caller.sandbox)

    def _repeated(self, caller: Caller, read: Read, appended: Appended) -> Sequence[Warning_]:
        """What is to be told of interchanges that came before; those of a message that was taken are remembered."""
        if caller.sandbox:
            return ()
        standing = (appended.position, appended.at)
        self.repeats.note(caller.sender.code, read.interchanges, *standing)
        return self.repeats.told(caller.sender.code, read.interchanges, standing)

    def _receipt(
        self,
        caller: Caller,
        meta: RawMessage,
        appended: Appended,
        verdicts: Sequence[Mapping[str, Any]],
        warnings: Sequence[Mapping[str, str]] = (),
    ) -> str:
        """The receipt of a request that was taken; what a sandbox key sent is remembered here and nowhere else."""
        if not caller.sandbox:
            return self.sealer.seal(appended.position)
        said = _receipt_head(meta, meta.received_at or appended.at, "read") | _told(verdicts, warnings) | {"sandbox": True}
        return self._sandbox.keep(caller.sender.code, said)

    async def receipt(self, caller: Caller, text: str) -> dict[str, Any]:
        """What became of a request. Raises Problem 404 for what is not there or not the caller's, alike."""
        unknown = Problem("not-found", "There is no such receipt of yours.")
        if caller.sandbox:  # whoever tries out sees what was tried out
            known_here = self._sandbox.receipt(caller.sender.code, text)
            if known_here is None:
                raise unknown
            return known_here
        try:
            position = self.sealer.open(text)
            record = await self._read_back(position)
            if record is None or record.meta.kind == "tick":
                raise unknown
            if record.meta.sender != caller.sender.code and not caller.operator:
                raise unknown
            read = await asyncio.to_thread(self.records.readers_position, position.partition) > position.offset
        except NotAReceipt:
            raise unknown from None
        except Away as error:
            raise self.away(error) from error
        meta, at = record.meta, record.meta.received_at or record.at
        found: dict[str, Any] = {"receipt": text} | _receipt_head(meta, at, "read" if read else "pending")
        since = self.outcomes.complete_since
        in_view = not read or (since is not None and record.at >= since)
        if meta.kind == "message":
            known = self.registers.known()
            judged = await self._aside(record.content, lambda: read_message(meta, record.content, at, known))
            repeated = self.repeats.told(meta.sender, judged.interchanges, (position, record.at))
            return found | _told(
                judged.said(position, self.outcomes.get, in_view),
                said_warnings([*judged.warnings, *repeated], judged.standard),
            )
        rows = await self._aside(record.content, lambda: read_commands(meta, record.content, at))
        ids = [command_id(position.partition, position.offset, index, meta) for index in range(len(rows))]
        verdicts = [row_verdict(row, of, self.outcomes.get(of), in_view) for row, of in zip(rows, ids, strict=True)]
        return found | _told(verdicts)

    async def retry(self, sender: str, positions: Sequence[Position], recorded_by: str | None) -> int:
        """Unpark a sender, then bring back these records of it, each once; returns how many. Raises Problem."""
        if sender not in self.registers.senders:
            raise Problem("not-found", f"{sender[:40]} is not registered.")
        try:
            records = [await self._read_back(position) for position in positions]
            ours = [record for record in records if record is not None and record.meta.sender == sender]
            if len(ours) < len(records):
                raise Problem("invalid", f"Not all of these are records of {sender}; nothing was brought back.")
            # a record and its copies of earlier retries have the same meta once it says when they were first received; equal
            # bytes alone prove nothing: every cancellation's body is empty
            found = {again(record): (position, record.content) for position, record in zip(positions, ours, strict=True)}
            end = raw_headers(unparking(sender, recorded_by))
            unparked = {(await self.log.append(sender.encode(), UNPARK, end)).position.partition}
            for partition in sorted({position.partition for position, _ in found.values()} - unparked):
                await self.log.append(sender.encode(), UNPARK, end, partition)
            # each into the partition where it stood: behind an unparking, and in order with what is asked of its consignment
            for meta, (position, content) in found.items():
                await self.log.append(sender.encode(), content, raw_headers(meta), position.partition)
            return len(found)
        except Away as error:
            raise self.away(error) from error

    def away(self, error: Away) -> Problem:
        """The refusal for Kafka being away."""
        return Problem("not-ready", f"The message was not taken ({error}); send it again later.", retry_after_s=_RETRY_S)

    def _meta(self, caller: Caller, said: Said, *, for_good: bool = True) -> RawMessage:
        """What is kept beside the bytes; raises Problem. History is tried by anyone, and kept from those who may bring it."""
        if said.received_at is not None:
            if for_good:
                caller.need("backfill")
            if said.received_at > self.clock.now() + _CLOCK_SLACK:
                raise Problem("bad-header", "Lovla-Received-At lies in the future.")
        try:
            return RawMessage.model_validate(
                {
                    "kind": said.kind,
                    "sender": caller.sender.code,
                    "scopes": sorted(caller.scopes),
                    "sha256": hashlib.sha256(said.content).hexdigest(),
                    "content_type": said.content_type,
                    "content_encoding": said.content_encoding,
                    "standard": said.standard,
                    "received_at": said.received_at,
                    "cause": "live" if said.received_at is None else "backfill",
                    "consignment": said.consignment,
                    "if_match": said.if_match,
                    "recorded_by": said.recorded_by,
                    "request_id": said.request_id,
                    "once": said.once,
                }
            )
        except ValidationError as error:
            errors = [Place(where=str(e["loc"][0]), code=e["type"], text=e["msg"]) for e in error.errors()]
            raise Problem("bad-header", "A header or the address cannot be kept with the record.", errors=errors) from error

    def _count_events(self, caller: Caller, count: int) -> None:
        self.rates.events(caller.meter, max(1, count), "backfill" in caller.scopes, self.clock.monotonic())

    async def _append(self, caller: Caller, meta: RawMessage, said: Said, key: str) -> Appended:
        """Where the record stands; of a sandbox key's there is none."""
        if caller.sandbox:
            return Appended(self._sandbox.position(), self.clock.now())
        headers = raw_headers(meta)
        if said.traceparent is not None:
            headers.append(("traceparent", said.traceparent.encode("ascii", "ignore")))
        try:
            return await self.log.append(key.encode(), said.content, headers)
        except Away as error:
            raise self.away(error) from error

    async def _read_back(self, position: Position) -> RawRecord | None:
        """A raw record; one at a time, so that a slow Kafka does not take all the threads."""
        async with self._reading_back:
            return await asyncio.to_thread(self.records.read, position)

    async def _aside(self, content: bytes, judge: Callable[[], T]) -> T:
        """Run a judgement beside the event loop if it may take long, so that others are answered meanwhile; two at most at
        once, since a parsed body takes many times its bytes."""
        if len(content) <= _IN_LOOP_BYTES:
            return judge()
        async with self._judging:
            return await asyncio.to_thread(judge)


def _receipt_head(meta: RawMessage, at: datetime, state: str) -> dict[str, Any]:
    """What a receipt says of its request, before the verdicts."""
    said = {"kind": meta.kind, "sender": meta.sender, "received_at": rfc3339(at), "sha256": meta.sha256, "state": state}
    return dict(said)


def _told(verdicts: Sequence[Mapping[str, Any]], warnings: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """What a receipt says of the content of its request."""
    said: dict[str, Any] = {"verdicts": list(verdicts)} | ({"warnings": list(warnings)} if warnings else {})
    words = explained(verdicts, warnings)
    return said | ({"explained": words} if words else {})


def _control_number(position: Position) -> int:
    """The number of our acknowledgement's interchange: the same for the same record, another one for the next of its sender,
    with room for a number for each of several interchanges in one record."""
    return (position.offset * RAW_MESSAGES.partitions + position.partition) % 1_000_000_000 + 1


def _check_limits(problems: Sequence[Place]) -> None:
    """Raise Problem 413 or 422 if the body breaks a limit: that is refused, not kept."""
    for problem in problems:
        if problem["code"] in _BREAKS_LIMITS:
            raise Problem(_BREAKS_LIMITS[problem["code"]], problem["text"], errors=[problem])
