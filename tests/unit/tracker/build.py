"""Hand-made values for the tracker's tests: short to write, plain to read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.registers_v1 import Facility, Sender
from schemas.topics import CONSIGNMENT_COMMANDS, SHIPMENT_EVENTS
from services.runtime.loop import Output
from services.tracker.core import Outcome, Read, ReadCommand, ReadControl, ReadEvent, Tracker
from services.tracker.event_store import MemoryEventStore
from services.tracker.records import (
    Command,
    Control,
    Declaration,
    Event,
    Hold,
    Item,
    Packing,
    Pieces,
    Place,
    RawPointer,
    ReceiptLine,
    Ref,
    Revision,
    Route,
    Transport,
    decode_command,
    decode_event,
)
from services.tracker.registers import Registers

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
START = datetime(2026, 3, 1, tzinfo=UTC)
BOX, OTHER_BOX = Ref("container", "MRSU4371639"), Ref("container", "MSCU6639870")
BILL = Ref("bill_of_lading", "MAEU203990011")
EVENTS, COMMANDS = "shipment.events.v1", "consignment.commands.v1"


def at(days: float = 0, hours: float = 0) -> datetime:
    """A moment of the story, counted from its first day."""
    return START + timedelta(days=days, hours=hours)


def digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


REGISTERS = Registers(
    senders={
        sender.code: sender
        for sender in (
            Sender(code="MAEU", kind="ocean_carrier", name="Maersk", scac="MAEU"),
            Sender(code="MSCU", kind="ocean_carrier", name="MSC", scac="MSCU"),
            Sender(code="LH", kind="airline", name="Lufthansa Cargo", iata="LH"),
            Sender(code="HBRT", kind="trucker", name="Harbor Road", scac="HBRT"),
            Sender(code="SPDR", kind="trucker", name="San Pedro Drayage", scac="SPDR"),
            Sender(code="LA-APMT", kind="terminal", name="Pier 400", facilities=("LA-APMT",)),
            Sender(code="OPS", kind="operator", name="Port operations"),
            Sender(code="H-HARBOR", kind="consignee", name="Harbor-UCLA"),
            Sender(code="LACDHS", kind="buyer", name="LA County"),
        )
    },
    facilities={
        facility.code: facility
        for facility in (
            Facility(code="LA-APMT", kind="terminal", name="Pier 400", unlocode="USLAX", zone="America/Los_Angeles"),
            Facility(code="H-HARBOR", kind="hospital", name="Harbor-UCLA", unlocode="USLAX", zone="America/Los_Angeles"),
        )
    },
)


def event(
    milestone: str | None,
    when: datetime,
    *refs: Ref,
    sender: str = "MAEU",
    classifier: str = "actual",
    said: datetime | None = None,
    received: datetime | None = None,
    key: str = "",
    revision: int = 1,
    place: Place | str | None = None,
    cause: str = "live",
    **fields: Any,
) -> Event:
    """An event whose id follows from what tells it apart; received an hour after it happened unless said otherwise."""
    received_at = received or (said or when) + HOUR
    name = key or f"{sender}|{milestone}|{when}|{classifier}|{said}|{[(r.kind, r.value) for r in refs]}|{fields}"
    if isinstance(place, str):
        place = Place(unlocode=place)
    content = digest(f"{milestone}|{when}|{refs}|{classifier}|{sender}|{said}|{place}|{fields}")[:16]
    return Event(
        event_id=digest(name),
        revision=Revision(at=said, reader=revision, content=content),
        reader_version=revision,
        sender=sender,
        standard="lovla.1",
        code=milestone or "note",
        mapped=True,
        milestone=milestone,
        classifier=classifier,
        occurred_at=when,
        received_at=received_at,
        references=refs or (BOX,),
        place=place,
        raw=RawPointer(sha256="0" * 64, position="/0", partition=0, offset=0),
        cause=cause,
        **fields,
    )


def declaration(
    consignment: str = "LACDHS-1",
    *,
    refs: Iterable[Ref] = (BOX, BILL),
    plan: Mapping[str, datetime] | None = None,
    packing: Iterable[Packing] = (),
    parties: Mapping[str, str] | None = None,
    route: Route | None = None,
    **fields: Any,
) -> Declaration:
    """By sea from Shanghai to Los Angeles, planned to depart on day 2 and to be delivered on day 22."""
    full = {"departed": at(2), "arrived": at(16), "discharged": at(17), "gate_out": at(19), "delivered": at(20)}
    return Declaration(
        consignment=consignment,
        items=(Item(line=1, category="n95_respirator", quantity=1000),),
        parties=dict(parties or {"carrier": "MAEU", "trucker": "HBRT", "consignee": "H-HARBOR"}),
        route=route
        or Route(mode="sea", origin="CNSHA", port_of_discharge="USLAX", terminal="LA-APMT", place_of_delivery="H-HARBOR"),
        plan=dict(full if plan is None else plan),
        references=tuple(refs),
        packing=tuple(packing),
        **fields,
    )


def command(kind: str, consignment: str = "LACDHS-1", sender: str = "LACDHS", **fields: Any) -> Command:
    received_at = fields.pop("received_at", at(0))
    name = f"{kind}|{consignment}|{sender}|{received_at}|{fields}"
    return Command(
        command=kind,
        command_id=digest(name),
        consignment=consignment,
        sender=sender,
        received_at=received_at,
        raw=RawPointer(sha256="0" * 64, position="/0"),
        **fields,
    )


def register(consignment: str = "LACDHS-1", received_at: datetime | None = None, **fields: Any) -> Command:
    return command("register", consignment, declaration=declaration(consignment, **fields), received_at=received_at or at(0))


def receipt(good: int, when: datetime, short: int = 0, **fields: Any) -> Command:
    return command(
        "receive",
        sender="H-HARBOR",
        occurred_at=when,
        lines=(ReceiptLine(line=1, good=good, short=short),),
        received_at=when + HOUR,
        **fields,
    )


def ticks(when: datetime, load: bool = False) -> list[Read]:
    """One tick on each pair of the small pipeline of these tests."""
    control = Control(control="tick", raw_partition=0, at=when, load=load)
    return [ReadControl(control, EVENTS, 0), ReadControl(control, COMMANDS, 0)]


def tracker(registers: Registers = REGISTERS, shard: int = 0, shards: int = 1, **options: Any) -> Tracker:
    """A tracker on one raw partition and one partition of each topic; it checks each step against a full computation."""
    pairs = [(0, EVENTS, 0), (0, COMMANDS, 0)]
    options = {"verify": True, **options}
    return Tracker(MemoryEventStore(), registers, pairs, (COMMANDS, 0), shard=shard, shards=shards, **options)


def reads(*things: Event | Command) -> list[Read]:
    return [ReadEvent(thing) if isinstance(thing, Event) else ReadCommand(thing) for thing in things]


def decoded(outputs: Sequence[Output]) -> list[Read]:
    """What the readers stage wrote, as the tracker reads it."""
    found: list[Read] = []
    for output in outputs:
        if output.topic == SHIPMENT_EVENTS.name:
            found.append(ReadEvent(decode_event(output.value or b"")))
        elif output.topic == CONSIGNMENT_COMMANDS.name:
            found.append(ReadCommand(decode_command(output.value or b"")))
    return found


def feed(subject: Tracker, records: Iterable[Read]) -> Outcome:
    """One batch, committed."""
    outcome = subject.process(list(records))
    events = subject.batch_events()
    subject.committed()
    assert isinstance(subject.store, MemoryEventStore)
    events.write_to(subject.store, {})
    assert not outcome.faults, outcome.faults
    return outcome


def tell(subject: Tracker, *things: Event | Command, now: datetime | None = None, load: bool = False) -> Outcome:
    """Events and commands, then, if `now` is given, ticks: steady ones every minute so that no gap looks like an outage."""
    return feed(subject, [*reads(*things), *(ticks(now, load) if now else [])])


def quietly(subject: Tracker, now: datetime) -> Outcome:
    """T moves to `now` without an outage, as the end of a load does."""
    return feed(subject, ticks(now, load=True))


__all__ = [
    "BILL",
    "BOX",
    "DAY",
    "HOUR",
    "OTHER_BOX",
    "REGISTERS",
    "Hold",
    "Packing",
    "Pieces",
    "Place",
    "Ref",
    "Route",
    "Transport",
    "at",
    "command",
    "declaration",
    "event",
    "feed",
    "quietly",
    "reads",
    "receipt",
    "register",
    "tell",
    "ticks",
    "tracker",
]
