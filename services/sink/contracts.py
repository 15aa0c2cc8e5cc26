"""What the sink reads of each contract: msgspec structs of those fields that have a column, unknown fields passed over.

pydantic checked each record when it was made; here the types are checked once more, so that no record's value can make the
insert of its block fail. A test holds the names equal to schemas/. The names are those of schemas/, without their modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Small = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Tier = Annotated[int, msgspec.Meta(ge=0, le=255)]


class Reference(msgspec.Struct, frozen=True):
    kind: str
    value: str


class Place(msgspec.Struct, frozen=True):
    unlocode: str | None = None
    facility: str | None = None


class Transport(msgspec.Struct, frozen=True):
    vessel: str | None = None
    imo: str | None = None
    voyage: str | None = None
    flight: str | None = None


class Warning_(msgspec.Struct, frozen=True):
    code: str


class Revision(msgspec.Struct, frozen=True):
    reader: Count
    content: str
    at: Moment | None = None


class Raw(msgspec.Struct, frozen=True):
    sha256: str
    position: str
    partition: Whole | None = None
    offset: Whole | None = None


class Event(msgspec.Struct, frozen=True):
    event_id: str
    revision: Revision
    sender: str
    standard: str
    code: str
    mapped: bool
    classifier: str
    occurred_at: Moment
    received_at: Moment
    references: list[Reference]
    raw: Raw
    source_id: str | None = None
    milestone: str | None = None
    place: Place | None = None
    mode: str | None = None
    transport: Transport | None = None
    retracts: str | None = None
    retracted: bool = False
    warnings: list[Warning_] = []
    cause: str = "live"
    recorded_by: str | None = None


class Control(msgspec.Struct, frozen=True):
    control: str
    raw_partition: Count
    at: Moment
    sender: str | None = None


class Command(msgspec.Struct, frozen=True):
    command_id: str
    consignment: str
    sender: str
    received_at: Moment
    raw: Raw
    command: str
    operator: bool = False
    recorded_by: str | None = None
    cause: str = "live"


class Letter(msgspec.Struct, frozen=True):
    letter_id: str
    stage: str
    sender: str
    reason: str
    where: str
    text: str
    topic: str
    partition: Count
    offset: Count
    received_at: Moment
    standard: str | None = None
    raw_partition: Whole | None = None
    raw_offset: Whole | None = None
    retryable: bool = False


class ExceptionState(msgspec.Struct, frozen=True):
    key: str
    kind: str
    status: str
    severity: str
    start: Moment
    sentence: str
    milestone: str | None = None
    end: Moment | None = None
    late_h: float | None = None
    party: str | None = None


class Change(msgspec.Struct, frozen=True):
    change_id: str
    consignment: str
    version: Count
    ordinal: Count
    cause: str
    change: str
    at: Moment | None = None
    buyer: str | None = None
    facility: str | None = None
    tier: Tier | None = None
    milestone: str | None = None
    occurred_at: Moment | None = None
    sender: str | None = None
    exception: ExceptionState | None = None
    command_id: str | None = None
    command: str | None = None
    reason: str | None = None
    journey: msgspec.Raw = msgspec.Raw(b"null")  # Raw cannot stand in a union


class Notification(msgspec.Struct, frozen=True):
    notification: str
    subscription: str
    changes: list[str]
    due_at: Moment
    subject: str


class Delivery(msgspec.Struct, frozen=True):
    notification: str
    subscription: str
    attempt: Count
    state: str
    at: Moment
    provider: str | None = None
    provider_ref: str | None = None
    text: str | None = None


class Acknowledgement(msgspec.Struct, frozen=True):
    subscription: str
    at: Moment
    notification: str | None = None
    code: str | None = None
    source: str | None = None
    by: str | None = None


class Consent(msgspec.Struct, frozen=True):
    subscription: str
    act: str
    at: Moment
    source: str | None = None


class WorkAct(msgspec.Struct, frozen=True):
    act_id: str
    consignment: str
    act: str
    at: Moment
    by: str
    sender: str
    exceptions: list[str] = []
    assignee: str | None = None
    until: Moment | None = None
    text: str | None = None
    undoes: str | None = None


class Item(msgspec.Struct, frozen=True):
    line: Small
    category: str
    quantity: Count
    description: str | None = None
    unit: str = "each"
    lot: str | None = None


class Route(msgspec.Struct, frozen=True):
    origin: str | None = None
    port_of_discharge: str | None = None
    terminal: str | None = None
    place_of_delivery: str | None = None


class Claim(msgspec.Struct, frozen=True):
    sender: str
    event_id: str


class Declaration(msgspec.Struct, frozen=True):
    items: list[Item] = []
    references: list[Reference] = []
    parties: dict[str, str] = {}
    route: Route = Route()
    required_by: Moment | None = None
    tier: Tier = 3


class JourneyReference(msgspec.Struct, frozen=True):
    kind: str
    value: str
    how: str


class Statement(msgspec.Struct, frozen=True):
    milestone: str
    classifier: str
    occurred_at: Moment
    sender: str
    unit: str = ""
    leg: str = ""
    decides: bool = False


class Milestone(msgspec.Struct, frozen=True):
    milestone: str
    leg: str = ""
    planned: Moment | None = None
    estimated: Moment | None = None
    actual: Moment | None = None
    sender: str | None = None
    units_done: Small = 0
    units_total: Small = 0


class Unit(msgspec.Struct, frozen=True):
    unit: str
    milestone: str | None = None
    at: Moment | None = None
    place: str | None = None


class Delivered(msgspec.Struct, frozen=True):
    line: Small
    good: Count
    basis: str


class Journey(msgspec.Struct, frozen=True, tag_field="record", tag="journey"):
    consignment: str
    version: Count
    cause: str
    buyer: str
    registered_at: Moment
    declaration: Declaration
    stage: str
    mode: str
    at: Moment | None = None
    milestone: str | None = None
    milestone_at: Moment | None = None
    place: str | None = None
    expected_delivery: Moment | None = None
    expected_basis: str = "unknown"
    terminal: str | None = None
    vessel: str | None = None
    voyage: str | None = None
    carrier: str | None = None
    milestones: list[Milestone] = []
    units: list[Unit] = []
    references: list[JourneyReference] = []
    statements: list[Statement] = []
    claims: list[Claim] = []
    delivered: list[Delivered] = []
    exceptions: list[ExceptionState] = []
    events: Count = 0
    last_event_at: Moment | None = None


class Feed(msgspec.Struct, frozen=True, tag_field="record", tag="feed"):
    consignment: str
    sender: str
    sender_kind: str
    version: Count
    last_event_at: Moment
    silent_after_h: float
    at: Moment | None = None
    exceptions: list[ExceptionState] = []


class Clock(msgspec.Struct, frozen=True, tag_field="record", tag="clock"):
    consignment: str
    version: Count
    ticks: dict[str, Moment] = {}


class Closed(msgspec.Struct, frozen=True, tag_field="record", tag="closed"):
    consignment: str


class Sender(msgspec.Struct, frozen=True):
    code: str
    kind: str
    name: str
    scac: str | None = None
    active: bool = True
    silent_after_h: float | None = None


class Facility(msgspec.Struct, frozen=True):
    code: str
    kind: str
    name: str
    zone: str
    unlocode: str | None = None
    iata: str | None = None
    city: str | None = None
    free_time_h: float | None = None


READERS: Mapping[str, type[Any]] = {
    "ShipmentEvent": Event,
    "ControlRecord": Control,
    "RegisterConsignment": Command,
    "DeadLetter": Letter,
    "Journey": Journey,
    "Feed": Feed,
    "Clock": Clock,
    "Closed": Closed,
    "Sender": Sender,
    "Facility": Facility,
    "Notification": Notification,
    "Delivery": Delivery,
    "Acknowledgement": Acknowledgement,
    "Consent": Consent,
    "WorkAct": WorkAct,
}
"""Contract -> the struct that reads it: for the test that holds their names equal."""
