"""The questions: each an SQL file (queries/NAME.sql) with named parameters that the server binds, its answer a typed row.

Asked as the reader user. Times are aware, UTC. `now` and windows are arguments; the pipeline's own time is `as_of`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import TypeVar

from schemas.journey_v1 import Journey
from schemas.words import LINKING_KINDS
from services.runtime.clickhouse import ClickHouse

DELAY_KINDS = ("late", "overdue", "will_be_late")
"""What `delayed` means unless told otherwise: late, or will be."""

NO_LIMIT = 1_000_000
"""The reader's own bound on result rows."""


@dataclass(frozen=True, slots=True)
class Place:
    """A facility, as far as questions need it."""

    code: str
    name: str
    zone: str
    unlocode: str


@dataclass(frozen=True, slots=True)
class Delayed:
    """A consignment and the worst that is wrong with it; `also`: the kinds of the rest. `goods`: (category, quantity, unit)."""

    consignment: str
    facility: str
    hospital: str
    zone: str
    sentence: str
    exception: str
    severity: str
    since: datetime
    hours_late: float
    also: list[str]
    stage: str
    place: str
    terminal: str
    carrier: str
    vessel: str
    voyage: str
    expected_delivery: datetime | None
    expected_basis: str
    tier: int
    goods: list[tuple[str, int, str]]


@dataclass(frozen=True, slots=True)
class RawBytes:
    """An event's bytes and where they lie: raw.messages.v1 `partition`, `offset`; `payload` as sent (perhaps gzip)."""

    sender: str
    standard: str
    code: str
    position: str
    partition: int
    offset: int
    sha256: str
    content_type: str
    content_encoding: str
    payload: bytes | str


@dataclass(frozen=True, slots=True)
class Found:
    """A consignment that a reference leads to, and by which of its references."""

    consignment: str
    stage: str
    milestone: str
    facility: str
    expected_delivery: datetime | None
    wrong: list[str]
    by_kind: str
    by_value: str
    how: str


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event that names the reference. `owned`: some consignment has a reference by which the event links."""

    event_id: str
    sender: str
    standard: str
    code: str
    milestone: str
    classifier: str
    occurred_at: datetime
    received_at: datetime
    kind: str
    value: str
    retracted: bool
    owned: bool


@dataclass(frozen=True, slots=True)
class Inbound:
    """Goods expected on a local day, in `unit`s, by how sure the day is; `in_trouble`: of consignments with open exceptions."""

    day: date
    category: str
    unit: str
    quantity: int
    by_estimate: int
    by_slip: int
    by_plan: int
    by_wish: int
    in_trouble: int
    consignments: int


@dataclass(frozen=True, slots=True)
class Dwell:
    """How long units stand at a terminal: of those that left in the window, and those that still stand there."""

    terminal: str
    name: str
    left_count: int
    median_h: float | None
    p90_h: float | None
    standing: int
    oldest_h: float | None
    oldest_consignment: str
    oldest_unit: str


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """How a sender's feed does in the window."""

    sender: str
    name: str
    kind: str
    last_event_at: datetime | None
    events_per_h: float
    lateness_h: float | None
    events: int
    repeats: int
    unmapped: int
    claims: int
    dead_letters: int
    silent_since: datetime | None


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Events of one sender under one reference that no consignment has."""

    sender: str
    kind: str
    value: str
    events: int
    codes: list[str]
    first_at: datetime
    last_at: datetime
    example: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter."""

    letter_id: str
    sender: str
    stage: str
    reason: str
    place: str
    text: str
    standard: str
    raw_partition: int
    raw_offset: int
    received_at: datetime
    retryable: bool


@dataclass(frozen=True, slots=True)
class DelayedFilter:
    """Empty means any. `hospital`: a code or a part of its name; `vessel`: a part of vessel or flight; `tier` 0: any."""

    kinds: tuple[str, ...] = DELAY_KINDS
    hospital: str = ""
    carrier: str = ""
    terminal: str = ""
    vessel: str = ""
    item: str = ""
    tier: int = 0


R = TypeVar("R")


@cache
def sql(name: str) -> str:
    """The text of queries/NAME.sql."""
    return (files("services.console") / "queries" / f"{name}.sql").read_text(encoding="utf-8")


class Questions:
    """All questions over one connection. Raises ClickHouseError when there is no answer."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def as_of(self) -> datetime | None:
        """The pipeline's time T; None until it has one."""
        moment: datetime | None = self._clickhouse.query(sql("as_of"))[0]["as_of"]
        return moment

    def facilities(self) -> dict[str, Place]:
        """By code."""
        return {place.code: place for place in self._ask("facilities", Place)}

    def delayed(self, wanted: DelayedFilter, now: datetime, limit: int = NO_LIMIT) -> list[Delayed]:
        """The worst first."""
        chosen = {
            "kinds": list(wanted.kinds),
            "hospital": wanted.hospital,
            "carrier": wanted.carrier,
            "terminal": wanted.terminal,
            "vessel": wanted.vessel,
            "item": wanted.item,
            "tier": wanted.tier,
        }
        return self._ask("delayed", Delayed, **chosen, now=now, limit=limit)

    def show(self, consignment: str) -> Journey | None:
        """All that is known of it."""
        rows = self._clickhouse.query(sql("show"), {"consignment": consignment})
        return Journey.model_validate_json(rows[0]["record"]) if rows else None

    def similar(self, text: str) -> list[str]:
        """Ids of consignments that hold the text."""
        return [row["consignment"] for row in self._clickhouse.query(sql("similar"), {"text": text})]

    def raw_of_event(self, event_id: str) -> RawBytes | None:
        """The bytes behind an event; an empty sha256 if the raw record is not there (yet)."""
        rows = self._ask("raw_of_event", RawBytes, event_id=event_id)
        return rows[0] if rows else None

    def find(self, text: str, limit: int = NO_LIMIT) -> list[Found]:
        """Consignments by id or reference; only letters and digits count."""
        return self._ask("find", Found, text=letters_and_digits(text), limit=limit)

    def find_events(self, text: str, limit: int = NO_LIMIT) -> list[FoundEvent]:
        """Events that name the reference, owned or not."""
        return self._ask("find_events", FoundEvent, linking=sorted(LINKING_KINDS), values=spellings(text), limit=limit)

    def inbound(self, until: datetime, hospital: str = "", item: str = "", limit: int = NO_LIMIT) -> list[Inbound]:
        """What is expected before `until`, by day; days gone by are those whose goods have not come."""
        return self._ask("inbound", Inbound, until=until, hospital=hospital, item=item, limit=limit)

    def dwell(self, now: datetime, since: datetime, terminal: str = "", limit: int = NO_LIMIT) -> list[Dwell]:
        """The terminal with the oldest unit first."""
        return self._ask("dwell", Dwell, now=now, since=since, terminal=terminal, limit=limit)

    def feeds(self, now: datetime, since: datetime, sender: str = "", limit: int = NO_LIMIT) -> list[FeedHealth]:
        """Silent feeds first."""
        return self._ask("feeds", FeedHealth, now=now, since=since, sender=sender, limit=limit)

    def unmatched(self, since: datetime, sender: str = "", limit: int = NO_LIMIT) -> list[Unmatched]:
        """The newest first."""
        return self._ask("unmatched", Unmatched, linking=sorted(LINKING_KINDS), since=since, sender=sender, limit=limit)

    def dead_letters(self, sender: str = "", reason: str = "", limit: int = NO_LIMIT) -> list[Letter]:
        """The newest first."""
        return self._ask("dead_letters", Letter, sender=sender, reason=reason, limit=limit)

    def _ask(self, name: str, row: type[R], **params: object) -> list[R]:
        """The rows of queries/NAME.sql; its columns must be the row's fields."""
        found = self._clickhouse.query(sql(name), params)
        names = [field.name for field in fields(row)]  # type: ignore[arg-type]  # R is one of the dataclasses above
        return [row(**{name: line[name] for name in names}) for line in found]


def letters_and_digits(text: str) -> str:
    """`020-1234 5675` -> `02012345675`: how people type a reference must not matter."""
    return "".join(character for character in text.upper() if character.isascii() and character.isalnum())


def spellings(text: str) -> list[str]:
    """The ways a reference may stand in events: as typed, in capitals, bare, and as an air waybill."""
    bare = letters_and_digits(text)
    ways = {text.strip(), text.strip().upper(), bare}
    if len(bare) == 11 and bare.isdigit():
        ways.add(f"{bare[:3]}-{bare[3:]}")
    return sorted(way for way in ways if way)
