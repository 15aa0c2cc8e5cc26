"""The load that all measurements share: journeys of 12 events on 2 containers, told by carriers in three standards.

Pure and without chance: number n of a load is the same bytes on every machine. A journey is open at its end (gate_out, not
yet delivered). `Telling` is one statement; `as_dcsa`, `as_x12`, `as_lovla` write it as a sender would.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from schemas.base import rfc3339
from schemas.raw_message_v1 import RawKind, RawMessage, Tick
from schemas.registers_v1 import Facility, Sender
from services.ingest.identifiers import container_check_digit
from services.runtime.wire import Headers, raw_headers

CARRIERS: Final = ("MAEU", "MSCU", "CMDU", "COSU", "HLCU", "ONEY", "EGLV", "YMLU")
BUYER: Final = "LACDHS"
TRUCKER: Final = "HBRT"
PORT, TERMINAL, HOSPITAL = "USLAX", "LA-APMT", "H-HARBOR"
UNITS: Final = 2
STEPS: Final = (
    # milestone, hours after the journey's first day, place, DCSA type and code, X12 315 code
    ("received", 0, "CNSHA", "EQUIPMENT", "GTIN", "I"),
    ("departed", 48, "CNSHA", "TRANSPORT", "DEPA", "VD"),
    ("arrived", 384, PORT, "TRANSPORT", "ARRI", "VA"),
    ("discharged", 396, PORT, "EQUIPMENT", "DISC", "UV"),
    ("available", 404, PORT, "EQUIPMENT", "INSP", "Y1"),
    ("gate_out", 432, PORT, "EQUIPMENT", "GTOT", "Z8"),
)
EVENTS_A_JOURNEY: Final = UNITS * len(STEPS)
EVENTS_A_BATCH: Final = 100
SPAN: Final = timedelta(hours=STEPS[-1][1])

Single = Literal["dcsa", "x12", "lovla"]
Form = Single | Literal["batch", "mixed"]
FORMS: tuple[Single, ...] = ("dcsa", "x12", "lovla")

SENDERS: tuple[Sender, ...] = (
    *(Sender(code=code, kind="ocean_carrier", name=code, scac=code) for code in CARRIERS),
    Sender(code=TRUCKER, kind="trucker", name="Harbor Road", scac=TRUCKER),
    Sender(code=TERMINAL, kind="terminal", name="Pier 400", facilities=(TERMINAL,)),
    Sender(code=BUYER, kind="buyer", name="Buyer of the benchmark"),
    Sender(code="OPS", kind="operator", name="Operator of the benchmark"),
)
FACILITIES: tuple[Facility, ...] = (
    Facility(code=TERMINAL, kind="terminal", name="Pier 400", unlocode=PORT, zone="America/Los_Angeles"),
    Facility(code=HOSPITAL, kind="hospital", name="Harbor-UCLA", unlocode=PORT, zone="America/Los_Angeles"),
)


@dataclass(frozen=True, slots=True)
class Telling:
    """One statement about one container: step `step` (of STEPS) of journey `number`, unit `unit`, at `at`."""

    number: int
    unit: int
    step: int
    at: datetime

    @property
    def milestone(self) -> str:
        return STEPS[self.step][0]

    @property
    def sender(self) -> str:
        return carrier_of(self.number)


@dataclass(frozen=True, slots=True)
class Raw:
    """One record of raw.messages. `events`: how many statements (or commands) it holds."""

    key: bytes
    value: bytes
    headers: Headers
    events: int
    partition: int | None = None


def consignment_of(number: int) -> str:
    return f"{BUYER}-B{number:07d}"


def carrier_of(number: int) -> str:
    return CARRIERS[number % len(CARRIERS)]


def bill_of(number: int) -> str:
    return f"{carrier_of(number)}{number:09d}"


def container_of(number: int, unit: int) -> str:
    """Unlike for every (number, unit) below 5,000,000 journeys; its check digit holds."""
    serial = number * UNITS + unit
    owner = ("MRSU", "MSKU", "TCLU", "CMAU", "HLXU", "TGHU", "OOLU", "EGHU", "YMMU", "CSNU")[serial // 1_000_000]
    return (body := f"{owner}{serial % 1_000_000:06d}") + container_check_digit(body)


def tellings(journeys: Iterable[int], base: datetime) -> Iterator[Telling]:
    """All statements, step by step as the world goes on: every journey's first before any journey's second."""
    numbers = list(journeys)
    for step, (_, hours, *_) in enumerate(STEPS):
        for number in numbers:
            for unit in range(UNITS):
                yield Telling(number, unit, step, base + timedelta(hours=hours, minutes=number % 600))


def declaration(number: int, base: datetime, delivered: datetime | None = None) -> dict[str, object]:
    """The registration of a journey, as a buyer sends it. `delivered`: its plan (default: six days after the last event)."""
    at = {name: base + timedelta(hours=hours) for name, hours, *_ in STEPS}
    at["delivered"] = delivered or base + SPAN + timedelta(days=6)
    units = [{"kind": "container", "value": container_of(number, unit)} for unit in range(UNITS)]
    return {
        "consignment": consignment_of(number),
        "items": [{"line": 1, "category": "n95_respirator", "quantity": 20_000}],
        "parties": {"carrier": carrier_of(number), "trucker": TRUCKER, "consignee": HOSPITAL},
        "route": {
            "mode": "sea",
            "origin": "CNSHA",
            "port_of_discharge": PORT,
            "terminal": TERMINAL,
            "place_of_delivery": HOSPITAL,
        },
        "plan": {name: rfc3339(when) for name, when in at.items() if name != "available"},
        "references": [{"kind": "bill_of_lading", "value": bill_of(number)}, *units],
        "packing": [{"line": 1, "unit": unit, "quantity": 10_000} for unit in units],
    }


def as_dcsa(told: Telling) -> bytes:
    """One DCSA 2.2 event."""
    _, _, place, kind, code, _ = STEPS[told.step]
    event = {
        "eventID": _uuid(told),
        "eventType": kind,
        "eventCreatedDateTime": rfc3339(told.at + timedelta(minutes=20)),
        "eventClassifierCode": "ACT",
        "eventDateTime": rfc3339(told.at),
        f"{kind.lower()}EventTypeCode": code,
        "transportCall": {
            "UNLocationCode": place,
            "facilityTypeCode": "POTE",
            "modeOfTransport": "VESSEL",
            "carrierVoyageNumber": f"{told.number % 500:03d}E",
            "vessel": {"vesselIMONumber": "9321483", "vesselName": "MAERSK EXAMPLE"},
        },
        "documentReferences": [{"documentReferenceType": "BL", "documentReferenceValue": bill_of(told.number)}],
    }
    if kind == "EQUIPMENT":
        event |= {"equipmentReference": container_of(told.number, told.unit), "emptyIndicatorCode": "LADEN"}
    else:
        event["references"] = [{"referenceType": "EQ", "referenceValue": container_of(told.number, told.unit)}]
    return json.dumps(event, separators=(",", ":")).encode()


def as_x12(told: Telling) -> bytes:
    """One interchange with one 315."""
    _, _, place, _, _, code = STEPS[told.step]
    day, clock = told.at.strftime("%Y%m%d"), told.at.strftime("%H%M")
    box, role = container_of(told.number, told.unit), "L" if place == "CNSHA" else "D"
    control = f"{told.number * EVENTS_A_JOURNEY + told.step * UNITS + told.unit:09d}"
    return (
        f"ISA*00*          *00*          *ZZ*{told.sender:<15}*ZZ*LOVLA          *{day[2:]}*{clock}*U*00401*{control}*0*P*>~"
        f"GS*QO*{told.sender}*LOVLA*{day}*{clock}*1*X*004010~ST*315*0001~"
        f"B4***{code}*{day}*{clock}**{box[:4]}*{box[4:10]}*L**{place}*UN*{box[10]}~"
        f"N9*BM*{bill_of(told.number)}~Q2*9321483********{told.number % 500:03d}E***L*EXAMPLE~"
        f"R4*{role}*UN*{place}*PORT*{place[:2]}~DTM*140*{day}*{clock}*UT~SE*7*0001~GE*1*1~IEA*1*{control}~"
    ).encode()


def as_lovla(told: Telling) -> dict[str, object]:
    """One event in our own form."""
    return {
        "id": _uuid(told),
        "milestone": told.milestone,
        "occurred_at": rfc3339(told.at),
        "created_at": rfc3339(told.at + timedelta(minutes=20)),
        "references": [
            {"kind": "container", "value": container_of(told.number, told.unit)},
            {"kind": "bill_of_lading", "value": bill_of(told.number)},
        ],
        "place": {"unlocode": STEPS[told.step][2]},
        "mode": "sea",
        "transport": {"vessel": "MAERSK EXAMPLE", "imo": "9321483", "voyage": f"{told.number % 500:03d}E"},
    }


def body(form: Single, told: Telling) -> tuple[bytes, str]:
    """One statement as a request: its bytes and content type."""
    if form == "x12":
        return as_x12(told), "application/edi-x12"
    return (as_dcsa(told) if form == "dcsa" else json.dumps(as_lovla(told)).encode()), "application/json"


def raw_message(form: Single, told: Telling) -> Raw:
    """One statement as a raw record of its own."""
    content, content_type = body(form, told)
    return raw("message", told.sender, content, content_type, 1)


def raw_batch(told: Iterable[Telling]) -> Raw:
    """Statements of one sender in our own form, in one raw record."""
    several = list(told)
    content = json.dumps([as_lovla(one) for one in several], separators=(",", ":")).encode()
    return raw("message", several[0].sender, content, "application/json", len(several), "lovla.1")


def raws(form: Form, told: Iterable[Telling]) -> Iterator[Raw]:
    """Statements as raw records of one form, or a quarter of the journeys in each of the four (`mixed`)."""
    waiting: dict[str, list[Telling]] = {}
    for one in told:
        wanted: str = form if form != "mixed" else (*FORMS, "batch")[one.number // len(CARRIERS) % 4]
        single = next((known for known in FORMS if known == wanted), None)
        if single is not None:
            yield raw_message(single, one)
            continue
        several = waiting.setdefault(one.sender, [])
        several.append(one)
        if len(several) == EVENTS_A_BATCH:
            yield raw_batch(several)
            several.clear()
    yield from (raw_batch(several) for several in waiting.values() if several)


def raw_registrations(numbers: Iterable[int], base: datetime) -> Raw:
    """Registrations (at most 1,000) in one raw record."""
    rows = [declaration(number, base) for number in numbers]
    content = json.dumps(rows, separators=(",", ":")).encode()
    return raw("registration", BUYER, content, "application/json", len(rows))


def raw_tick(partition: int, at: datetime, load: bool = False) -> Raw:
    """The door's tick on one raw partition."""
    value = Tick(at=at, load=load).model_dump_json().encode()
    meta = RawMessage(kind="tick", sender="~tick", sha256=hashlib.sha256(value).hexdigest(), content_type="application/json")
    return Raw(b"~tick", value, raw_headers(meta), 0, partition)


def raw(kind: RawKind, sender: str, content: bytes, content_type: str, events: int, standard: str | None = None) -> Raw:
    """A raw record as the door writes it."""
    meta = RawMessage(
        kind=kind,
        sender=sender,
        scopes=("push", "register"),
        sha256=hashlib.sha256(content).hexdigest(),
        content_type=content_type,
        standard=standard,
    )
    return Raw(sender.encode(), content, raw_headers(meta), events)


def recent_base(now: datetime) -> datetime:
    """A first day such that the last event lies an hour back."""
    return (now.astimezone(UTC) - SPAN - timedelta(hours=12)).replace(microsecond=0, second=0)


def _uuid(told: Telling) -> str:
    name = hashlib.md5(f"{told.number}/{told.unit}/{told.step}".encode(), usedforsecurity=False).hexdigest()
    return f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}"


def moment(seconds: float) -> datetime:
    """A moment from seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)
