"""`journeys.v1` (compacted): what is known of a consignment, newest version; feeds (`feed:CODE`) and clocks (`clock:k`) too."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from schemas.base import Code, ConsignmentId, Contract, ShortText, Text, Time, UtcTime
from schemas.consignment_command_v1 import ConsignmentDeclaration, ReceiptLine
from schemas.shipment_event_v1 import RawPointer, Reference
from schemas.words import Cause, Classifier, ExceptionKind, HoldKind, Milestone, Mode, PartyRole, SenderKind, Severity

Stage = Literal["registered", "at_origin", "in_transit", "at_port", "on_the_road", "delivered", "cancelled"]


class JourneyReference(Contract):
    """A reference that links, and why: declared by the buyer, linked by a person, or learned from `teacher` (event id)."""

    kind: str
    value: str
    how: Literal["declared", "linked", "learned"]
    teacher: str | None = None
    shared: bool = False


class Statement(Contract):
    """One sender's word on one milestone of one unit and leg.

    `unit` is `kind:value`, or empty for the whole consignment; `leg` is the port of a transshipment, or empty.
    `decides`: this is the statement that the journey follows in its slot.
    """

    milestone: Milestone
    unit: str = ""
    leg: str = ""
    classifier: Classifier
    occurred_at: Time
    received_at: UtcTime
    sender: Code
    event_id: str
    code: ShortText
    place: ShortText | None = None
    pieces: int | None = None
    decides: bool = False
    shared: bool = False
    recorded_by: ShortText | None = None
    raw: RawPointer | None = None


class MilestoneState(Contract):
    """The consignment's milestone: actual when all units have it (`units_done` of `units_total` until then)."""

    milestone: Milestone
    leg: str = ""
    planned: Time | None = None
    estimated: Time | None = None
    actual: Time | None = None
    sender: Code | None = Field(None, description="whose word the actual, else the estimate, is")
    units_done: int = 0
    units_total: int = 0


class UnitState(Contract):
    """What is physically moved, the last milestone it reached, and what it holds."""

    unit: str
    milestone: Milestone | None = None
    at: Time | None = None
    place: ShortText | None = None
    quantities: dict[int, int] = Field(default_factory=dict, description="item line -> quantity packed in it")


class HoldState_(Contract):
    kind: HoldKind
    unit: str = ""
    placed_at: Time
    released_at: Time | None = None
    sender: Code
    event_id: str


class ExceptionState(Contract):
    """What is wrong. `key` = kind, or kind:milestone; `start` and `end` by the rules of docs/exceptions.md.

    `status` withdrawn: we were wrong (its evidence was retracted or an actual before its start became known).
    """

    key: str
    kind: ExceptionKind
    milestone: Milestone | None = None
    status: Literal["open", "ended", "withdrawn"]
    severity: Severity
    start: UtcTime
    end: UtcTime | None = None
    late_h: float | None = Field(
        None,
        description="hours after the plan (late, will_be_late), the expected time (overdue) or the limit (dwell, silent), or"
        " since it was placed (on_hold); null where time still adds to it, and of other kinds",
    )
    evidence: tuple[str, ...] = Field((), max_length=20, description="event ids")
    units: tuple[str, ...] = Field((), max_length=50)
    party: Code | None = Field(None, description="the sender it concerns")
    sentence: Text


class Claim(Contract):
    """An event whose sender has no standing here: shown, moves nothing."""

    event_id: str
    sender: Code
    code: ShortText
    milestone: Milestone | None = None
    occurred_at: Time
    received_at: UtcTime
    reference: Reference | None = None


class DockReceipt(Contract):
    """The dock's count, as accepted. `replaced`: a later one said that it was wrong; it does not count."""

    command_id: str
    sender: Code
    occurred_at: Time
    received_at: UtcTime
    lines: tuple[ReceiptLine, ...]
    final: bool
    unit: str = ""
    recorded_by: ShortText | None = None
    replaced: bool = False


class Delivered(Contract):
    """Delivered quantity of an item line, and on whose word."""

    line: int
    good: int
    basis: Literal["receipt", "packing", "milestone"]


class Journey(Contract):
    """All that is known of one consignment; `version` = max(previous + 1, T in ms)."""

    record: Literal["journey"] = "journey"
    consignment: ConsignmentId
    version: int = Field(ge=1)
    cause: Cause
    at: UtcTime | None = Field(None, description="T, the pipeline's time, when this was decided")
    buyer: Code
    declared_version: int = Field(ge=1)
    registered_at: UtcTime
    amended_at: UtcTime | None = None
    cancelled_at: UtcTime | None = None
    declaration: ConsignmentDeclaration
    linked: tuple[Reference, ...] = ()
    unlinked: tuple[Reference, ...] = ()
    appointed: tuple[tuple[PartyRole, Code], ...] = ()
    receipts: tuple[DockReceipt, ...] = ()

    stage: Stage
    mode: Mode
    milestone: Milestone | None = Field(None, description="the furthest milestone that the whole consignment reached")
    milestone_at: Time | None = None
    place: ShortText | None = Field(None, description="where it was last seen")
    expected_delivery: Time | None = None
    expected_basis: Literal["actual", "estimate", "plan_and_slip", "plan", "required_by", "unknown"] = "unknown"
    terminal: Code | None = None
    vessel: ShortText | None = Field(None, description="vessel, or flight")
    voyage: ShortText | None = None
    carrier: Code | None = None
    milestones: tuple[MilestoneState, ...] = ()
    units: tuple[UnitState, ...] = ()
    references: tuple[JourneyReference, ...] = ()
    statements: tuple[Statement, ...] = Field((), max_length=600)
    holds: tuple[HoldState_, ...] = ()
    claims: tuple[Claim, ...] = ()
    delivered: tuple[Delivered, ...] = ()
    exceptions: tuple[ExceptionState, ...] = ()
    senders: tuple[Code, ...] = Field((), description="who has standing")
    events: int = Field(0, ge=0, description="how many events count")
    last_event_at: UtcTime | None = Field(None, description="newest received_at of an event that counts")
    next_deadline: UtcTime | None = None
    warnings: tuple[Text, ...] = ()


class Feed(Contract):
    """A sender's feed: its only exception is `silent`."""

    record: Literal["feed"] = "feed"
    consignment: str = Field(pattern=r"^feed:", description="the key, feed:CODE")
    sender: Code
    sender_kind: SenderKind
    version: int = Field(ge=1)
    cause: Cause
    at: UtcTime | None = None
    last_event_at: UtcTime
    silent_after_h: float
    exceptions: tuple[ExceptionState, ...] = ()
    next_deadline: UtcTime | None = None


class Outage(Contract):
    """Time in which our own door was shut: [start, end)."""

    start: UtcTime
    end: UtcTime


class Clock(Contract):
    """What shard k knows of time: the last tick of each (raw partition, topic, partition) pair, and our outages.

    Without any tick: the shard is no more, since there are fewer.
    """

    record: Literal["clock"] = "clock"
    consignment: str = Field(pattern=r"^clock:\d+$")
    version: int = Field(ge=1)
    ticks: dict[str, UtcTime] = Field(default_factory=dict)
    outages: tuple[Outage, ...] = ()
    parked: dict[str, UtcTime] = Field(default_factory=dict)
    unparked: dict[str, Outage] = Field(default_factory=dict, description="newest time each sender waited aside")
    load_end: UtcTime | None = Field(None, description="newest tick that ended a load")
    shards: int | None = Field(None, ge=1, description="number of shards that the journeys are laid out for")
    moving_to: int | None = Field(None, ge=1, description="that a change of shards under way makes of it: no tracker starts")
    registers: str | None = Field(
        None, description="digest of the senders and facilities that all journeys know; empty while some are yet to be computed"
    )


class Closed(Contract):
    """What stays of a journey that was closed, for as long again: an event that names it then is told to be too late."""

    record: Literal["closed"] = "closed"
    consignment: str = Field(pattern=r"^closed:", description="the key, closed:CONSIGNMENT")
    version: int = Field(ge=1)
    references: tuple[Reference, ...] = Field(description="its own id and documents; units are used again and say nothing")
    next_deadline: UtcTime = Field(description="when this record goes too")


JourneyRecord = Annotated[Journey | Feed | Clock | Closed, Field(discriminator="record")]
JOURNEY_RECORD: TypeAdapter[JourneyRecord] = TypeAdapter(JourneyRecord)

EXAMPLES: tuple[JourneyRecord, ...] = (
    Journey.model_validate(
        {
            "consignment": "LACDHS-0001",
            "version": 1586599205000,
            "cause": "live",
            "at": "2020-04-11T18:00:05Z",
            "buyer": "LACDHS",
            "declared_version": 1,
            "registered_at": "2020-03-20T16:00:00Z",
            "declaration": {"consignment": "LACDHS-0001", "plan": {"arrived": "2020-04-10T06:00:00-07:00"}},
            "stage": "at_port",
            "mode": "sea",
            "milestone": "arrived",
            "milestone_at": "2020-04-11T09:40:00-07:00",
            "milestones": [
                {
                    "milestone": "arrived",
                    "planned": "2020-04-10T06:00:00-07:00",
                    "actual": "2020-04-11T09:40:00-07:00",
                    "sender": "MAEU",
                    "units_done": 1,
                    "units_total": 1,
                }
            ],
            "exceptions": [
                {
                    "key": "late:arrived",
                    "kind": "late",
                    "milestone": "arrived",
                    "status": "open",
                    "severity": "minor",
                    "start": "2020-04-11T01:00:00Z",
                    "late_h": 27.7,
                    "evidence": ["3f0c8e0f4b7a4d0d9a6f2c1b5e7d8a90"],
                    "party": "MAEU",
                    "sentence": "Arrived 28 h late: 11 Apr 09:40 PDT says MAEU, planned was 10 Apr 06:00 PDT.",
                }
            ],
            "events": 1,
            "last_event_at": "2020-04-11T16:50:00Z",
        }
    ),
    Feed.model_validate(
        {
            "consignment": "feed:MAEU",
            "sender": "MAEU",
            "sender_kind": "ocean_carrier",
            "version": 1586599205000,
            "cause": "live",
            "at": "2020-04-11T18:00:05Z",
            "last_event_at": "2020-04-11T16:50:00Z",
            "silent_after_h": 6,
        }
    ),
    Clock.model_validate(
        {
            "consignment": "clock:0",
            "version": 42,
            "ticks": {"0/shipment.events.v1/0": "2020-04-11T18:00:05Z"},
            "outages": [{"start": "2020-04-11T10:00:00Z", "end": "2020-04-11T10:12:00Z"}],
        }
    ),
    Closed.model_validate(
        {
            "consignment": "closed:LACDHS-0001",
            "version": 1621332000000,
            "references": [
                {"kind": "bill_of_lading", "value": "MAEU203990011"},
                {"kind": "consignment", "value": "LACDHS-0001"},
            ],
            "next_deadline": "2022-06-22T18:00:00Z",
        }
    ),
)
