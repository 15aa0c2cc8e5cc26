"""`shipment.events.v1`: one statement of one sender, and the control records that travel in band with them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import Code, Contract, ReferenceValue, ShortText, Text, Time, UtcTime
from schemas.words import Cause, Classifier, HoldKind, HoldState, Milestone, Mode, ReferenceKind, Standard


class Reference(Contract):
    """A (kind, value) pair that others know a consignment by; `value` is normalised (`MRSU4371639`, `020-12345675`)."""

    kind: ReferenceKind
    value: ReferenceValue


class Place(Contract):
    """Where; what the message does not say is null. `role`: the message's own word for the place (`POTE`, `transship`)."""

    unlocode: str | None = Field(None, pattern=r"^[A-Z]{2}[A-Z2-9]{3}$")
    iata: str | None = Field(None, pattern=r"^[A-Z]{3}$")
    name: ShortText | None = None
    country: str | None = Field(None, pattern=r"^[A-Z]{2}$", description="ISO 3166 alpha-2")
    facility: Code | None = Field(None, description="code in our register of facilities")
    role: ShortText | None = None


class Transport(Contract):
    """What carried it."""

    vessel: ShortText | None = None
    imo: str | None = Field(None, pattern=r"^\d{7}$")
    voyage: ShortText | None = None
    flight: ShortText | None = None
    vehicle: ShortText | None = None
    scac: str | None = Field(None, pattern=r"^[A-Z]{2,4}$")
    next_carrier: ShortText | None = Field(
        None, description="SCAC or code of the carrier that takes over, where the message names one"
    )


class Pieces(Contract):
    """`this` pieces of `total` are meant; `part` is the message's own letter (T total, P part, S split, D divided)."""

    this: int | None = Field(None, ge=0, le=10_000_000)
    total: int | None = Field(None, ge=0, le=10_000_000)
    part: Literal["T", "P", "S", "D", "M"] | None = None


class Hold(Contract):
    """A hold was placed or released."""

    kind: HoldKind
    state: HoldState


class Warning_(Contract):
    """What was wrong or assumed, and at which segment or JSON pointer."""

    code: str = Field(pattern=r"^[a-z0-9_]{1,64}$")
    where: ShortText
    text: Text


class Revision(Contract):
    """Orders the copies of one `event_id`: the greatest (`at`, `reader`, `content`) counts; a missing `at` sorts first."""

    at: UtcTime | None = Field(None, description="updated_at, else created_at")
    reader: int = Field(ge=0, description="reader_version")
    content: str = Field(pattern=r"^[0-9a-f]{16}$", description="first 16 hex digits of the SHA-256 of the event's content")


class RawPointer(Contract):
    """Leads back to the bytes that someone sent."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    partition: int | None = Field(None, ge=0, description="of raw.messages; null before Kafka has it")
    offset: int | None = Field(None, ge=0)
    position: ShortText = Field(description="segment number, line or JSON pointer inside the message")


class ShipmentEvent(Contract):
    """Something happened, is planned, or is expected, to one or more references.

    `milestone` is a candidate: the tracker settles it by place against the route. `mapped` false: the code is in no
    map; the event is kept and moves nothing. `received_at` is our time of receipt (LogAppendTime, or as set by a key of
    scope backfill). `retracts`: the event id that this one withdraws; `retracted`: this event itself is withdrawn.
    `recorded_by`: the person, where one phoned it in.
    """

    event_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    source_id: ShortText | None = None
    revision: Revision
    reader_version: int = Field(ge=0)
    sender: Code
    standard: Standard
    code: ShortText
    milestone: Milestone | None = None
    mapped: bool
    classifier: Classifier
    occurred_at: Time
    created_at: Time | None = None
    updated_at: Time | None = None
    received_at: UtcTime
    zone_assumed: bool = False
    references: tuple[Reference, ...] = Field(max_length=32)
    parent: Reference | None = Field(
        None, description="the unit that the other units of `references` are packed in or fixed to, where the message says so"
    )
    place: Place | None = None
    origin: Place | None = Field(None, description="the message's own origin, if it names one")
    destination: Place | None = None
    mode: Mode | None = None
    transport: Transport | None = None
    empty: bool | None = None
    pieces: Pieces | None = None
    hold: Hold | None = None
    retracts: str | None = Field(None, pattern=r"^[0-9a-f]{32}$")
    retracted: bool = False
    reason: Text | None = Field(None, description="the sender's reason for a delay or refusal, in its own words or code")
    warnings: tuple[Warning_, ...] = Field((), max_length=64)
    raw: RawPointer
    cause: Cause = "live"
    recorded_by: ShortText | None = None


class ControlRecord(Contract):
    """What travels in band with events and commands, key `~control`, to every partition of both topics.

    `tick`: the door of raw partition `raw_partition` was open at `at` (its LogAppendTime); `load` marks the tick that ends
    a load, whose gap is no outage. `parked` / `unparked`: records of `sender` wait aside since / no longer.
    """

    control: Literal["tick", "parked", "unparked"]
    raw_partition: int = Field(ge=0)
    at: UtcTime
    load: bool = False
    sender: Code | None = None


CONTROL_KEY = b"~control"

EXAMPLES: tuple[ShipmentEvent | ControlRecord, ...] = (
    ShipmentEvent.model_validate(
        {
            "event_id": "3f0c8e0f4b7a4d0d9a6f2c1b5e7d8a90",
            "source_id": "84db923d-2a19-4eb0-beb5-446c1ec57d34",
            "revision": {"at": "2020-04-11T18:02:00Z", "reader": 1, "content": "00aa11bb22cc33dd"},
            "reader_version": 1,
            "sender": "MAEU",
            "standard": "dcsa.2.2",
            "code": "EQUIPMENT/DISC",
            "milestone": "discharged",
            "mapped": True,
            "classifier": "actual",
            "occurred_at": "2020-04-11T09:40:00-07:00",
            "created_at": "2020-04-11T18:02:00Z",
            "received_at": "2020-04-11T18:02:05Z",
            "references": [
                {"kind": "container", "value": "MRSU4371639"},
                {"kind": "bill_of_lading", "value": "MAEU203990011"},
            ],
            "place": {"unlocode": "USLAX", "facility": "LA-APMT", "role": "POTE"},
            "mode": "sea",
            "transport": {"vessel": "MAERSK EXAMPLE", "imo": "9321483", "voyage": "015E"},
            "empty": False,
            "raw": {"sha256": "ab" * 32, "partition": 1, "offset": 17, "position": "/0"},
        }
    ),
    ShipmentEvent.model_validate(
        {
            "event_id": "7d8a903f0c8e0f4b7a4d0d9a6f2c1b5e",
            "revision": {"at": None, "reader": 1, "content": "44aa11bb22cc33dd"},
            "reader_version": 1,
            "sender": "LH",
            "standard": "cargo_imp.fsu",
            "code": "DIS/OFLD",
            "milestone": None,
            "mapped": True,
            "classifier": "actual",
            "occurred_at": "2020-04-12T10:15:00+02:00",
            "received_at": "2020-04-12T08:20:00Z",
            "zone_assumed": True,
            "references": [{"kind": "air_waybill", "value": "020-12345675"}],
            "place": {"unlocode": "DEFRA", "iata": "FRA"},
            "mode": "air",
            "transport": {"flight": "LH456"},
            "pieces": {"this": 8, "total": 20, "part": "P"},
            "warnings": [{"code": "zone_assumed", "where": "line 3", "text": "local time of FRA (Europe/Berlin) assumed"}],
            "raw": {"sha256": "cd" * 32, "position": "line 3"},
        }
    ),
    ControlRecord.model_validate({"control": "tick", "raw_partition": 2, "at": "2020-04-12T08:20:05Z"}),
)
