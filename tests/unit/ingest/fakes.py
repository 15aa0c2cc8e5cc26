"""Hand-written stand-ins for what the door stands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from cryptography.fernet import Fernet

from schemas.alerts_v1 import Acknowledgement
from schemas.journey_change_v1 import CommandJudged
from schemas.registers_v1 import Account, Facility, Secret, Sender
from schemas.topics import RAW_MESSAGES
from schemas.words import Scope
from schemas.work_act_v1 import WorkAct
from services.ingest.api import build
from services.ingest.auth import Callbacks
from services.ingest.door import Door
from services.ingest.keys import make_callback, make_key
from services.ingest.limits import Limits
from services.ingest.problems import Problem
from services.ingest.raw_log import Appended, Away
from services.ingest.readers import Registers as KnownRegisters
from services.ingest.records import RawRecord
from services.ingest.ticker import Ticker
from services.runtime.clock import Clock, ManualClock
from services.runtime.receipts import Position, Sealer
from services.runtime.wire import raw_meta

NOW = datetime(2020, 4, 12, 8, 20, tzinfo=UTC)
SECRET_KEY = Fernet.generate_key()


@dataclass
class FakeLog:
    """Keeps what is appended; `down` makes it refuse."""

    clock: Clock
    down: bool = False
    records: list[tuple[int, bytes, bytes, list[tuple[str, bytes]]]] = field(default_factory=list)

    @property
    def away(self) -> bool:
        return self.down

    async def append(
        self, key: bytes, value: bytes, headers: list[tuple[str, bytes]], partition: int | None = None
    ) -> Appended:
        if self.down:
            raise Away("Kafka does not answer")
        self.records.append((partition or 0, key, value, headers))
        return Appended(Position(partition or 0, len(self.records) - 1), self.clock.now())


@dataclass
class FakeRecords:
    """Reads back what FakeLog keeps."""

    log: FakeLog
    read_up_to: int = 0

    def read(self, position: Position) -> RawRecord | None:
        if position.offset >= len(self.log.records):
            return None
        _, _, value, headers = self.log.records[position.offset]
        return RawRecord(raw_meta(headers), value, self.log.clock.now())

    def readers_position(self, partition: int) -> int:
        return self.read_up_to


@dataclass
class FakeOutcomes:
    known: dict[str, CommandJudged] = field(default_factory=dict)
    complete_since: datetime | None = datetime(1970, 1, 1, tzinfo=UTC)

    def get(self, command_id: str) -> CommandJudged | None:
        return self.known.get(command_id)


@dataclass
class FakeRegisters:
    """Registers in dictionaries."""

    senders: dict[str, Sender] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    facilities: dict[str, Facility] = field(default_factory=dict)
    ready: bool = True

    def check(self) -> None:
        if not self.ready:
            raise Problem("not-ready", "The registers are not read yet.", retry_after_s=2)

    def healthy(self) -> str | None:
        return None if self.ready else "the registers are not read yet"

    def known(self) -> KnownRegisters:
        return KnownRegisters.of(self.senders.values(), self.facilities.values())


@dataclass
class FakeAcknowledgements:
    """Keeps what was acknowledged; `away`: Kafka is."""

    said: list[Acknowledgement] = field(default_factory=list)
    away: bool = False

    async def write(self, said: Acknowledgement) -> None:
        if self.away:
            raise TimeoutError("Kafka does not answer")
        self.said.append(said)


@dataclass
class FakeWorkActs:
    """Keeps what was done; `away`: Kafka is."""

    done: list[WorkAct] = field(default_factory=list)
    away: bool = False

    async def write(self, acts: Sequence[WorkAct]) -> None:
        if self.away:
            raise TimeoutError("Kafka does not answer")
        self.done += acts


class House:
    """A door over fakes, and an HTTP client in front of it."""

    def __init__(self, folder: Path, limits: Limits | None = None, clock: Clock | None = None) -> None:
        self.clock = ManualClock(NOW)
        used = clock or self.clock
        self.log = FakeLog(used)
        self.records = FakeRecords(self.log)
        self.outcomes = FakeOutcomes()
        self.registers = FakeRegisters()
        self.acknowledgements = FakeAcknowledgements()
        self.work_acts = FakeWorkActs()
        self.ticker = Ticker(self.log, RAW_MESSAGES.partitions, 5.0, folder / "load.json", used)
        self.door = Door(
            registers=self.registers,
            log=self.log,
            records=self.records,
            outcomes=self.outcomes,
            sealer=Sealer(SECRET_KEY),
            callbacks=Callbacks(SECRET_KEY),
            ticker=self.ticker,
            clock=used,
            acknowledgements=self.acknowledgements,
            work_acts=self.work_acts,
            secret_key=SECRET_KEY,
            limits=limits or Limits(),
        )
        transport = httpx.ASGITransport(build(self.door), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://door")

    def add(self, code: str, kind: str, *scopes: Scope) -> dict[str, str]:
        """Register a sender with a key; returns the headers that carry the key."""
        self.registers.senders[code] = Sender.model_validate({"code": code, "kind": kind, "name": code, "scac": None})
        key, account = make_key(code, scopes, self.door.clock.now())
        self.registers.accounts[account.key_id] = account
        return {"Authorization": f"Bearer {key}"}

    def add_callback(self, code: str, secret: str) -> tuple[str, dict[str, str]]:
        """A DCSA callback; returns its path and the headers that name it."""
        callback, kept = make_callback(code, SECRET_KEY, self.clock.now(), secret=secret)
        self.registers.secrets[kept.secret_id] = kept
        return callback.path, {"Subscription-ID": callback.subscription_id}

    def kept(self, index: int = -1) -> tuple[Mapping[str, object], bytes]:
        """What the log holds: the record's meta and bytes."""
        _, _, value, headers = self.log.records[index]
        return raw_meta(headers).model_dump(), value
