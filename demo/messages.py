"""The scenario's statements as the messages that real senders send: DCSA 2.2, X12 315 and 214, Cargo-IMP FSU, our own JSON.

Pure: the same scenario gives the same bytes. Statements of one sender that become known together travel in one request.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec.structs import replace as retold

from demo import world
from demo.scenario import HOLD_OF, MILESTONE_OF, Consignment, DockCount, Scenario, Told, What
from demo.truth import HOUR
from demo.world import senders, stable_uuid
from schemas.base import rfc3339

Kind = Literal["message", "registration", "dock_receipt"]
MESSAGES, EVENTS, CONSIGNMENTS = "/v1/messages", "/v1/events", "/v1/consignments"
EVENTS_A_REQUEST = 400

DCSA_CODES: dict[What, tuple[str, str, str]] = {
    "booked": ("SHIPMENT", "CONF", "BKG"),
    "empty_out": ("EQUIPMENT", "GTOT", "EMPTY"),
    "received": ("EQUIPMENT", "GTIN", "LADEN"),
    "loaded": ("EQUIPMENT", "LOAD", "LADEN"),
    "departed": ("TRANSPORT", "DEPA", ""),
    "transship_arrived": ("TRANSPORT", "ARRI", ""),
    "transship_departed": ("TRANSPORT", "DEPA", ""),
    "arrived": ("TRANSPORT", "ARRI", ""),
    "discharged": ("EQUIPMENT", "DISC", "LADEN"),
    "customs_released": ("SHIPMENT", "RELS", "CUS"),
    "hold_customs": ("SHIPMENT", "HOLD", "CUS"),
    "hold_other": ("SHIPMENT", "HOLD", "SRM"),
    "empty_returned": ("EQUIPMENT", "GTIN", "EMPTY"),
    "news": ("EQUIPMENT", "INSP", "LADEN"),
}
"""What -> event type, its code, and the document type or the empty indicator."""
X12_315_CODES: dict[What, str] = {
    "empty_out": "EE",
    "received": "I",
    "loaded": "AE",
    "departed": "VD",
    "transship_arrived": "Z2",
    "transship_departed": "Z5",
    "arrived": "VA",
    "discharged": "UV",
    "customs_released": "CT",
    "hold_customs": "PA",
    "hold_other": "X9",
    "available": "Y1",
    "gate_out": "Z8",
    "empty_returned": "RD",
    "news": "W3",
}
X12_214_CODES: dict[What, str] = {"arrived_consignee": "X1", "delivered": "D1", "news": "X6"}
FSU_CODES: dict[What, str] = {
    "booked": "BKD",
    "received": "RCS",
    "departed": "DEP",
    "transship_arrived": "ARR",
    "transship_departed": "DEP",
    "arrived": "ARR",
    "discharged": "RCF",
    "customs_released": "CCD",
    "hold_customs": "TGC",
    "available": "NFD",
    "gate_out": "DLV",
    "news": "FIW",
}


@dataclass(frozen=True, slots=True)
class Message:
    """One request: who sends what, when it was received, where to, and which statements it is meant to say.

    `standard` is the hint of the address ("" = to be detected). `letters`: how many dead letters it must give.
    """

    sender: str
    received_at: datetime
    path: str
    content_type: str
    standard: str
    body: bytes
    kind: Kind = "message"
    says: tuple[Told, ...] = ()
    letters: int = 0


def history(scenario: Scenario) -> tuple[Message, ...]:
    """Everything known by `scenario.now`, in the order of receipt; some messages twice, a few unreadable."""
    told = [t for c in scenario.consignments for t in c.told] + list(scenario.noise)
    messages = [
        *registrations(scenario.consignments),
        *speak(told, scenario.now),
        *(dock_receipt(count) for c in scenario.consignments for count in c.counts if count.known_at <= scenario.now),
    ]
    return tuple(sorted([*messages, *_repeats(messages, scenario), *_unreadable(scenario)], key=_order))


def coming(scenario: Scenario) -> tuple[Message, ...]:
    """What is told after `scenario.now`, in order: for the simulator that goes on live."""
    told = [t for c in scenario.consignments for t in c.told if t.known_at > scenario.now]
    return tuple(sorted(speak(told, datetime.max.replace(tzinfo=UTC)), key=_order))


def _order(message: Message) -> tuple[datetime, str, bytes]:
    return message.received_at, message.sender, message.body


def speak(told: Iterable[Told], until: datetime) -> Iterator[Message]:
    """The messages of all statements known by `until`; a corrected statement is said twice, first wrong, then right."""
    batches: dict[tuple[str, datetime], dict[str, Told]] = defaultdict(dict)
    for one in told:
        if one.corrects is not None:
            at, known_at = one.corrects
            if known_at <= until:
                batches[one.sender, known_at][one.ident] = retold(one, at=at, known_at=known_at, corrects=None)
        if one.known_at <= until:
            batches[one.sender, one.known_at][one.ident] = one
    for (sender, known_at), said in batches.items():
        statements = list(said.values())
        for begin in range(0, len(statements), EVENTS_A_REQUEST):
            yield _SPEAKERS[speaker_of(sender)](sender, known_at, statements[begin : begin + EVENTS_A_REQUEST])


def speaker_of(sender: str) -> str:
    """The standard that a sender of the demo speaks."""
    kind = senders()[sender].kind
    if kind == "airline":
        return "cargo_imp.fsu"
    if kind == "trucker":
        return "x12.214"
    if sender in world.TERMINALS_LOVLA:
        return "lovla.1"
    return "dcsa.2.2" if sender in world.OCEAN_DCSA else "x12.315"


@cache
def _zone_of(unlocode: str | None) -> ZoneInfo:
    for origin in (*world.origins("sea"), *world.origins("air")):
        if origin.unlocode == unlocode:
            return ZoneInfo(origin.zone)
    return ZoneInfo(_OTHER_ZONES.get(unlocode or "", world.LOS_ANGELES))


_OTHER_ZONES = {"MXZLO": "America/Mexico_City"}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


# registrations and receipts


def registrations(consignments: Iterable[Consignment]) -> Iterator[Message]:
    """One request a buyer and day."""
    batches: dict[tuple[str, datetime], list[Consignment]] = defaultdict(list)
    for consignment in consignments:
        batches[consignment.buyer, consignment.registered_at].append(consignment)
    for (buyer, at), made in batches.items():
        body = _json([c.declaration.model_dump(mode="json", exclude_none=True, exclude_defaults=True) for c in made])
        yield Message(buyer, at, CONSIGNMENTS, "application/json", "", body, "registration")


def dock_receipt(count: DockCount) -> Message:
    """The dock's count."""
    body = _json(
        {
            "occurred_at": rfc3339(count.at),
            "lines": [{"line": n, "good": good, "short": short, "damaged": bad} for n, good, short, bad in count.lines],
        }
    )
    path = f"{CONSIGNMENTS}/{count.consignment}/dock-receipt"
    return Message(count.sender, count.known_at, path, "application/json", "", body, "dock_receipt")


# DCSA 2.2


def dcsa(sender: str, known_at: datetime, told: list[Told]) -> Message:
    """An array of events, as a publisher pushes it."""
    return Message(
        sender, known_at, MESSAGES, "application/json", "dcsa.2.2", _json([_dcsa_event(t) for t in told]), says=tuple(told)
    )


def _dcsa_event(told: Told) -> dict[str, object]:
    event_type, code, detail = DCSA_CODES[told.what]
    classifier = {"planned": "PLN", "estimated": "EST", "actual": "ACT"}[told.classifier]
    event: dict[str, object] = {
        "eventID": str(stable_uuid(told.ident)),
        "eventCreatedDateTime": rfc3339(told.known_at - timedelta(minutes=3)),
        "eventType": event_type,
        "eventClassifierCode": classifier,
        "eventDateTime": told.at.astimezone(_zone_of(told.place)).isoformat(),
    }
    documents = [
        {"documentReferenceType": kind, "documentReferenceValue": value}
        for kind, value in (("TRD", told.bill), ("BKG", told.booking))
        if value
    ]
    if event_type == "SHIPMENT":
        event |= {
            "shipmentEventTypeCode": code,
            "documentTypeCode": detail,
            "documentID": told.booking if detail == "BKG" else told.bill or told.container,
            "documentReferences": documents,
        }
        if told.container:
            event["references"] = [{"referenceType": "EQ", "referenceValue": told.container}]
        return event
    voyage = told.voyage
    empty = detail == "EMPTY"
    call: dict[str, object] = {
        "transportCallID": str(stable_uuid("call", voyage.imo if voyage else "", told.place)),
        "modeOfTransport": "TRUCK" if empty else "VESSEL",
        "UNLocationCode": told.place,
        "facilityTypeCode": "DEPO" if empty else "POTE",
    }
    if voyage and not empty and voyage.vessel:
        call |= {
            "exportVoyageNumber": voyage.number,
            "vessel": {"vesselIMONumber": voyage.imo, "vesselName": voyage.vessel, "vesselOperatorCarrierCode": told.sender},
        }
    event["transportCall"] = call
    if documents:
        event["documentReferences"] = documents
    if event_type == "TRANSPORT":
        event["transportEventTypeCode"] = code
        if told.container:
            event["references"] = [{"referenceType": "EQ", "referenceValue": told.container}]
        return event
    event |= {
        "equipmentEventTypeCode": code,
        "equipmentReference": told.container,
        "ISOEquipmentCode": "45G1",
        "emptyIndicatorCode": detail,
        "eventLocation": {"UNLocationCode": told.place},
    }
    return event


# X12


def _interchange(sender: str, known_at: datetime, function: str, number: int, sets: list[list[str]], kind: str) -> bytes:
    """ISA/GS/ST ... with `~` and a line break after each segment, as most senders write it."""
    day, minute = known_at.strftime("%Y%m%d"), known_at.strftime("%H%M")
    control = f"{number % 1_000_000_000:09d}"
    lines = [
        f"ISA*00*{'':10}*00*{'':10}*ZZ*{sender:15}*ZZ*{'LOVLA':15}*{day[2:]}*{minute}*U*00401*{control}*0*P*>",
        f"GS*{function}*{sender}*LOVLA*{day}*{minute}*{number % 1_000_000_000}*X*004010",
    ]
    for place, body in enumerate(sets, 1):
        lines += [f"ST*{kind}*{place:04d}", *body, f"SE*{len(body) + 2}*{place:04d}"]
    lines += [f"GE*{len(sets)}*{number % 1_000_000_000}", f"IEA*1*{control}"]
    return ("~\n".join(lines) + "~\n").encode("ascii")


def _control_number(sender: str, known_at: datetime) -> int:
    """Minutes since the epoch and the sender: unique for each batch of a sender."""
    return int((known_at - world.EPOCH) / timedelta(minutes=1)) * 10 + len(sender)


def _x12_time(told: Told) -> tuple[str, str, str]:
    """Date, time, zone: local time where that is clear, else UTC."""
    zone = _zone_of(told.place)
    clear = (told.at - 3 * HOUR).astimezone(zone).utcoffset() == (told.at + 3 * HOUR).astimezone(zone).utcoffset()
    local = told.at.astimezone(zone) if clear else told.at
    return local.strftime("%Y%m%d"), local.strftime("%H%M"), "LT" if clear else "UT"


def x12_315(sender: str, known_at: datetime, told: list[Told]) -> Message:
    """One interchange, one set a status."""
    body = _interchange(sender, known_at, "QO", _control_number(sender, known_at), [_set_315(t) for t in told], "315")
    return Message(sender, known_at, MESSAGES, "application/edi-x12", "x12.315", body, says=tuple(told))


def _set_315(told: Told) -> list[str]:
    day, time, zone = _x12_time(told)
    container = told.container
    voyage = told.voyage
    empty = "E" if told.what in ("empty_out", "empty_returned") else "L"
    check = container[10:] if container else ""
    b4 = f"B4***{X12_315_CODES[told.what]}*{day}*{time}**{container[:4]}*{container[4:10]}*{empty}*45G1*{told.place}*UN*{check}"
    lines = [b4]
    lines += [f"N9*{kind}*{value}" for kind, value in (("BM", told.bill), ("BN", told.booking), ("EQ", container)) if value]
    if voyage and voyage.vessel:
        lines.append(f"Q2*{voyage.imo}********{voyage.number}***L*{voyage.vessel}")
    if voyage and told.consignments:
        lines.append(f"R4*L*UN*{voyage.origin.unlocode}*{voyage.origin.name.upper()}*{voyage.origin.country}")
        lines.append(f"R4*D*UN*{voyage.port}")
    lines.append(f"R4*5*UN*{told.place}" + (f"*{told.facility}" if told.facility else ""))
    lines.append(f"DTM*{'140' if told.classifier == 'actual' else '139'}*{day}*{time}*{zone}")
    return lines


def x12_214(sender: str, known_at: datetime, told: list[Told]) -> Message:
    """One interchange, one set a shipment status."""
    body = _interchange(sender, known_at, "QM", _control_number(sender, known_at), [_set_214(t) for t in told], "214")
    return Message(sender, known_at, MESSAGES, "application/edi-x12", "x12.214", body, says=tuple(told))


def _set_214(told: Told) -> list[str]:
    day, time, zone = _x12_time(told)
    lines = [f"B10*{told.pro}**{told.sender}"]
    if told.container:
        lines.append(f"L11*{told.container}*EQ")
    lines += ["LX*1", f"AT7*{X12_214_CODES[told.what]}*NS***{day}*{time}*{zone}", "MS1*LOS ANGELES*CA*US"]
    if told.container:
        lines.append(f"MS2*{told.container[:4]}*{told.container[4:10]}*CN*{told.container[10:]}")
    return lines


# Cargo-IMP


def fsu(sender: str, known_at: datetime, told: list[Told]) -> Message:
    """One FSU an air waybill, several in one transmission; some behind a Type-B envelope."""
    texts = ["\r\n".join(_fsu_lines(t)) for t in told]
    body = "\r\n".join(texts) + "\r\n"
    if _control_number(sender, known_at) % 3 == 0:
        body = f"QD LAXLVXH\r\n.{_station(told[0].place)}FM{sender} {known_at:%d%H%M}\r\n{body}"
    return Message(sender, known_at, MESSAGES, "text/plain", "cargo_imp.fsu", body.encode("ascii"), says=tuple(told))


@cache
def _station(unlocode: str | None) -> str:
    return {o.unlocode: o.iata for o in world.origins("air")}.get(unlocode or "", "LAX")


def _fsu_lines(told: Told) -> list[str]:
    code, voyage = FSU_CODES[told.what], told.voyage
    local = told.at.astimezone(_zone_of(told.place))
    day, stamp, station = local.strftime("%d%b").upper(), local.strftime("%d%b%H%M").upper(), _station(told.place)
    pieces = f"T{told.pieces or 1}K{(told.pieces or 1) * 12}"
    origin = voyage.origin.iata if voyage else "HKG"
    lines = ["FSU/14", f"{told.waybill}{origin}LAX/{pieces}"]
    flight = voyage.number if voyage else f"{told.sender}001"
    if told.what == "booked" and voyage:
        leaves = voyage.departs_plan.astimezone(_zone_of(told.place))
        end = _station(voyage.via) if voyage.via else "LAX"
        return [*lines, f"BKD/{flight}/{leaves:%d%b}/{station}{end}/{pieces}/S{leaves:%H%M}".upper()]
    if told.what in ("departed", "transship_departed") and voyage:
        end = _station(voyage.via) if voyage.via and told.what == "departed" else "LAX"
        return [*lines, f"DEP/{flight}/{day}/{station}{end}/{pieces}/A{local:%H%M}"]
    if code in ("ARR", "RCF"):
        return [*lines, f"{code}/{flight}/{stamp}/{station}/{pieces}"]
    return [*lines, f"{code}/{stamp}/{station}/{pieces}"]


# our own JSON


def lovla(sender: str, known_at: datetime, told: list[Told]) -> Message:
    """An array of our own events, for terminals that speak no standard."""
    return Message(
        sender, known_at, EVENTS, "application/json", "lovla.1", _json([_lovla_event(t) for t in told]), says=tuple(told)
    )


def _lovla_event(told: Told) -> dict[str, object]:
    if told.retracts:
        return {
            "source_id": str(stable_uuid(told.ident)),
            "code": "retraction",
            "retracts": str(stable_uuid(told.retracts)),
            "created_at": rfc3339(told.known_at - timedelta(minutes=3)),
        }
    hold = HOLD_OF.get(told.what)
    references = [
        {"kind": kind, "value": value}
        for kind, value in (("container", told.container), ("bill_of_lading", told.bill), ("booking", told.booking))
        if value
    ]
    event: dict[str, object] = {
        "source_id": str(stable_uuid(told.ident)),
        "code": told.what,
        "milestone": MILESTONE_OF.get(told.what),
        "classifier": told.classifier,
        "occurred_at": told.at.astimezone(_zone_of(told.place)).isoformat(),
        "created_at": rfc3339(told.known_at - timedelta(minutes=3)),
        "references": references,
        "place": {"unlocode": told.place, "facility": told.facility},
    }
    if hold:
        event["hold"] = {"kind": hold[0], "state": hold[1]}
    return {name: value for name, value in event.items() if value is not None}


_SPEAKERS: dict[str, Callable[[str, datetime, list[Told]], Message]] = {
    "dcsa.2.2": dcsa,
    "x12.315": x12_315,
    "x12.214": x12_214,
    "cargo_imp.fsu": fsu,
    "lovla.1": lovla,
}


# noise that is not a statement


def _repeats(messages: list[Message], scenario: Scenario) -> Iterator[Message]:
    """The very bytes again, hours later: a sender that did not trust our 202."""
    random = Random(f"{scenario.seed}:repeats")
    for message in messages:
        later = message.received_at + timedelta(minutes=random.randint(45, 2000))
        if message.kind != "message" or message.sender == world.SILENT_AIRLINE or later > scenario.now - HOUR:
            continue
        if random.random() < 0.03:
            yield replace(message, received_at=later)


def _unreadable(scenario: Scenario) -> Iterator[Message]:
    """What nobody can read, about one in five hundred consignments: each gives one dead letter."""
    random = Random(f"{scenario.seed}:unreadable")
    for number in range(max(3, len(scenario.consignments) // 100)):
        sender, body = random.choice(_GARBAGE)
        at = scenario.now - timedelta(minutes=random.randint(60, 50 * 1440))
        text = body.format(number=number)
        yield Message(sender, at, MESSAGES, "application/octet-stream", "", text.encode(), letters=1)


_GARBAGE = (
    ("KE", "RE: RE: FW: AWB STATUS {number}\r\nPLS CFM ETA ASAP BRGDS\r\n"),
    ("HBRT", "B10 {number} delivered ok, see attached pdf\n"),
    ("MSCU", "<html><body>502 Bad Gateway {number}</body></html>\n"),
)
