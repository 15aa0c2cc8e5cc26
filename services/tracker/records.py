"""The contracts as msgspec structs, for the hot path: decoding is five times faster than validating again.

Our own stages validated these records once, at the edge. `tests/contract/test_tracker_records.py` holds each struct equal to
its model in `schemas/` (names, and that every example survives the way there and back).
"""

from __future__ import annotations

from datetime import datetime

import msgspec


class Struct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Frozen, without a default written out."""


class Ref(msgspec.Struct, frozen=True, order=True, gc=False):
    """A reference; hashable, orders by (kind, value)."""

    kind: str
    value: str


class Place(Struct, frozen=True):
    unlocode: str | None = None
    iata: str | None = None
    name: str | None = None
    country: str | None = None
    facility: str | None = None
    role: str | None = None


class Transport(Struct, frozen=True):
    vessel: str | None = None
    imo: str | None = None
    voyage: str | None = None
    flight: str | None = None
    vehicle: str | None = None
    scac: str | None = None
    next_carrier: str | None = None


class Pieces(Struct, frozen=True):
    this: int | None = None
    total: int | None = None
    part: str | None = None


class Hold(Struct, frozen=True):
    kind: str
    state: str


class Revision(Struct, frozen=True):
    reader: int
    content: str
    at: datetime | None = None


class RawPointer(Struct, frozen=True):
    sha256: str
    position: str
    partition: int | None = None
    offset: int | None = None


class Event(Struct, frozen=True):
    """See `schemas.shipment_event_v1.ShipmentEvent`; `warnings` and `source_id` are not needed here and are left out.

    `first_received_at` is the event store's own: when the first revision came, where that is not this one.
    """

    event_id: str
    revision: Revision
    reader_version: int
    sender: str
    standard: str
    code: str
    mapped: bool
    classifier: str
    occurred_at: datetime
    received_at: datetime
    references: tuple[Ref, ...]
    raw: RawPointer
    parent: Ref | None = None
    milestone: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    zone_assumed: bool = False
    place: Place | None = None
    origin: Place | None = None
    destination: Place | None = None
    mode: str | None = None
    transport: Transport | None = None
    empty: bool | None = None
    pieces: Pieces | None = None
    hold: Hold | None = None
    retracts: str | None = None
    retracted: bool = False
    reason: str | None = None
    cause: str = "live"
    recorded_by: str | None = None
    first_received_at: datetime | None = None


class Control(Struct, frozen=True):
    control: str
    raw_partition: int
    at: datetime
    load: bool = False
    sender: str | None = None


class Item(Struct, frozen=True):
    line: int
    category: str
    quantity: int
    description: str | None = None
    unit: str = "each"
    lot: str | None = None
    expires_on: str | None = None


class Packing(Struct, frozen=True):
    line: int
    unit: Ref
    quantity: int


class Leg(Struct, frozen=True):
    mode: str
    origin: str
    destination: str


class Route(Struct, frozen=True):
    mode: str = "sea"
    origin: str | None = None
    port_of_discharge: str | None = None
    terminal: str | None = None
    place_of_delivery: str | None = None
    via: tuple[str, ...] = ()
    legs: tuple[Leg, ...] = ()


class Declaration(Struct, frozen=True):
    consignment: str
    items: tuple[Item, ...] = ()
    parties: dict[str, str] = {}
    route: Route = Route()
    plan: dict[str, datetime] = {}
    required_by: datetime | None = None
    tier: int = 3
    references: tuple[Ref, ...] = ()
    packing: tuple[Packing, ...] = ()
    note: str | None = None
    tolerance_h: dict[str, float] = {}
    silent_after_h: float | None = None
    free_time_h: float | None = None


class ReceiptLine(Struct, frozen=True):
    line: int
    good: int
    short: int = 0
    damaged: int = 0


class Command(Struct, frozen=True):
    """All commands in one: `command` tells which fields are set."""

    command: str
    command_id: str
    consignment: str
    sender: str
    received_at: datetime
    raw: RawPointer
    operator: bool = False
    recorded_by: str | None = None
    cause: str = "live"
    declaration: Declaration | None = None
    onto: str | None = None
    if_match: int | None = None
    reason: str | None = None
    reference: Ref | None = None
    role: str | None = None
    party: str | None = None
    occurred_at: datetime | None = None
    lines: tuple[ReceiptLine, ...] = ()
    final: bool = True
    replaces: bool = False
    unit: Ref | None = None


class JourneyReference(Struct, frozen=True):
    kind: str
    value: str
    how: str
    teacher: str | None = None
    shared: bool = False


class Statement(Struct, frozen=True):
    milestone: str
    classifier: str
    occurred_at: datetime
    received_at: datetime
    sender: str
    event_id: str
    code: str
    unit: str = ""
    leg: str = ""
    place: str | None = None
    pieces: int | None = None
    decides: bool = False
    shared: bool = False
    recorded_by: str | None = None
    raw: RawPointer | None = None


class MilestoneState(Struct, frozen=True):
    milestone: str
    leg: str = ""
    planned: datetime | None = None
    estimated: datetime | None = None
    actual: datetime | None = None
    sender: str | None = None
    units_done: int = 0
    units_total: int = 0


class UnitState(Struct, frozen=True):
    unit: str
    milestone: str | None = None
    at: datetime | None = None
    place: str | None = None
    quantities: dict[int, int] = {}


class HoldInterval(Struct, frozen=True):
    kind: str
    placed_at: datetime
    sender: str
    event_id: str
    unit: str = ""
    released_at: datetime | None = None


class ExceptionState(Struct, frozen=True):
    key: str
    kind: str
    status: str
    severity: str
    start: datetime
    sentence: str
    milestone: str | None = None
    end: datetime | None = None
    late_h: float | None = None
    evidence: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    party: str | None = None


class Claim(Struct, frozen=True):
    event_id: str
    sender: str
    code: str
    occurred_at: datetime
    received_at: datetime
    milestone: str | None = None
    reference: Ref | None = None


class DockReceipt(Struct, frozen=True):
    command_id: str
    sender: str
    occurred_at: datetime
    received_at: datetime
    lines: tuple[ReceiptLine, ...]
    final: bool
    unit: str = ""
    recorded_by: str | None = None
    replaced: bool = False


class Delivered(Struct, frozen=True):
    line: int
    good: int
    basis: str


class Registration(Struct, frozen=True):
    """What the commands made of one consignment, in their order; the first part of a journey's record."""

    consignment: str
    buyer: str
    declared_version: int
    registered_at: datetime
    declaration: Declaration
    amended_at: datetime | None = None
    cancelled_at: datetime | None = None
    linked: tuple[Ref, ...] = ()
    unlinked: tuple[Ref, ...] = ()
    appointed: tuple[tuple[str, str], ...] = ()
    receipts: tuple[DockReceipt, ...] = ()


class Journey(Registration, frozen=True, kw_only=True, tag_field="record", tag="journey"):
    """See `schemas.journey_v1.Journey`."""

    version: int
    cause: str
    stage: str
    mode: str
    at: datetime | None = None
    milestone: str | None = None
    milestone_at: datetime | None = None
    place: str | None = None
    expected_delivery: datetime | None = None
    expected_basis: str = "unknown"
    terminal: str | None = None
    vessel: str | None = None
    voyage: str | None = None
    carrier: str | None = None
    milestones: tuple[MilestoneState, ...] = ()
    units: tuple[UnitState, ...] = ()
    references: tuple[JourneyReference, ...] = ()
    statements: tuple[Statement, ...] = ()
    holds: tuple[HoldInterval, ...] = ()
    claims: tuple[Claim, ...] = ()
    delivered: tuple[Delivered, ...] = ()
    exceptions: tuple[ExceptionState, ...] = ()
    senders: tuple[str, ...] = ()
    events: int = 0
    last_event_at: datetime | None = None
    next_deadline: datetime | None = None
    warnings: tuple[str, ...] = ()


class Feed(Struct, frozen=True, tag_field="record", tag="feed"):
    consignment: str
    sender: str
    sender_kind: str
    version: int
    cause: str
    last_event_at: datetime
    silent_after_h: float
    at: datetime | None = None
    exceptions: tuple[ExceptionState, ...] = ()
    next_deadline: datetime | None = None


class Outage(Struct, frozen=True):
    start: datetime
    end: datetime


class Clock(Struct, frozen=True, tag_field="record", tag="clock"):
    consignment: str
    version: int
    ticks: dict[str, datetime] = {}
    outages: tuple[Outage, ...] = ()
    parked: dict[str, datetime] = {}
    unparked: dict[str, Outage] = {}
    load_end: datetime | None = None
    shards: int | None = None
    moving_to: int | None = None
    registers: str | None = None


class Closed(Struct, frozen=True, tag_field="record", tag="closed"):
    consignment: str
    version: int
    references: tuple[Ref, ...]
    next_deadline: datetime


class Change(Struct, frozen=True):
    """All changes in one (`schemas.journey_change_v1`): `change` tells which fields are set."""

    change: str
    change_id: str
    consignment: str
    version: int
    ordinal: int
    cause: str
    at: datetime | None = None
    buyer: str | None = None
    facility: str | None = None
    tier: int | None = None
    carrier: str | None = None
    terminal: str | None = None
    vessel: str | None = None
    voyage: str | None = None
    categories: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    truckers: tuple[str, ...] = ()
    milestone: str | None = None
    leg: str | None = None
    unit: str | None = None
    occurred_at: datetime | None = None
    previous: datetime | None = None
    sender: str | None = None
    place: str | None = None
    giver: str | None = None
    taker: str | None = None
    exception: ExceptionState | None = None
    command_id: str | None = None
    command: str | None = None
    declared_version: int | None = None
    reason: str | None = None
    text: str | None = None
    journey: Journey | None = None


JourneyRecord = Journey | Feed | Clock | Closed


class BriefMilestone(Struct, frozen=True):
    milestone: str
    actual: datetime | None = None


class BriefJourney(Registration, frozen=True, kw_only=True, tag_field="record", tag="journey"):
    """Of a journey's record only what is needed to hold it packed."""

    milestones: tuple[BriefMilestone, ...] = ()
    references: tuple[JourneyReference, ...] = ()
    next_deadline: datetime | None = None


decode_event = msgspec.json.Decoder(Event).decode
decode_control = msgspec.json.Decoder(Control).decode
decode_command = msgspec.json.Decoder(Command).decode
decode_journey_record = msgspec.json.Decoder(JourneyRecord).decode
decode_brief_record = msgspec.json.Decoder(BriefJourney | Feed | Clock | Closed).decode
encode = msgspec.json.Encoder().encode


def unit_key(ref: Ref) -> str:
    """`kind:value`, as statements name a unit."""
    return f"{ref.kind}:{ref.value}"
