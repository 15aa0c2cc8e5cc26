"""IATA ONE Record LogisticsEvent (API and cargo ontology 2.x and 3.x), pushed singly, in lists or in notifications.

An event is found wherever it stands in the message: alone, in a graph, in a collection, in a notification, beneath the object
that it is of. What it is of leads to the air waybill if it is embedded, named by the identifier of the object, or a shipment
whose UUID a consignment declares as its booking. Codes to milestones: docs/standards/one_record.md.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final

import msgspec

from schemas.shipment_event_v1 import Place
from schemas.words import Classifier
from services.ingest import identifiers
from services.ingest.places import is_airport, zone_of
from services.ingest.readers.air_status import (
    DISCREPANCIES,
    airport,
    count_pieces,
    flight_number,
    is_uuid,
    name_status,
    refer_uld,
)
from services.ingest.readers.draft import Bad, Draft, Identities
from services.ingest.readers.json_items import Item
from services.ingest.readers.json_ld import Graph, LinkedNode, Names, expanded, last_part, named, names_of, plain
from services.ingest.readers.model import LIMITS, Context, Envelope, Told, Unreadable, Verdict
from services.ingest.readers.strict_json import pointer
from services.ingest.readers.times import parse_rfc3339

STANDARD: Final = "one_record"
READER_VERSION: Final = 2

TIME_TYPES: Mapping[str, Classifier] = MappingProxyType(
    {
        "ACTUAL": "actual",
        "PLANNED": "planned",
        "SCHEDULED": "planned",
        "REQUESTED": "planned",
        "ESTIMATED": "estimated",
        "EXPECTED": "estimated",
    }
)
_EVENT: Final = "LogisticsEvent"
_IATA: Final = "onerecord.iata.org"
_NO_OBJECTS: Final = frozenset({"Notification", "Collection", "LogisticsEvent", "Location", "CodeListElement"})
_SHIPMENTS: Final = frozenset({"Shipment", "Waybill", "Booking", "LogisticsObject"})
"""Objects whose own UUID stands for the shipment; an untyped one may be one."""

_STATUS_CODE = re.compile(r"(?:StatusCode[_#/:-])?(?:DIS[_-])?([A-Z]{3,4})", re.IGNORECASE)
_WAYBILL = re.compile(r"([0-9]{3})[- ]?([0-9]{8})")
_WAYBILL_IN_ID = re.compile(r"(?<![0-9A-Za-z])([0-9]{3})-?([0-9]{8})(?![0-9A-Za-z])")
_WAYBILLS_MAX: Final = 8


def looks_like(value: object) -> bool:
    """Whether this object is of the ONE Record vocabularies: by its context, its types or its keys."""
    if not isinstance(value, dict) or "eventTimeZoneOffset" in value:  # EPCIS, whatever its extensions
        return False
    types = value.get("@type", value.get("type"))
    told = [*value, *(types if isinstance(types, list) else [types])]
    if any(isinstance(one, str) and (_IATA in one or one.startswith("cargo:") or last_part(one) == _EVENT) for one in told):
        return True
    if "@context" in value and _names_iata(value["@context"]):
        return True
    graph = value.get("@graph")
    return isinstance(graph, list) and any(
        looks_like(one) for one in graph[:10] if isinstance(one, dict) and "@graph" not in one
    )


def _names_iata(context: object, depth: int = 0) -> bool:
    if isinstance(context, str):
        return _IATA in context
    if depth < 4 and isinstance(context, (list, dict)):
        return any(_names_iata(one, depth + 1) for one in (context if isinstance(context, list) else context.values()))
    return False


def read(items: Sequence[Item], context: Context) -> Told:
    """One verdict an event, in the order of the message. Raises Unreadable for more than a message may hold."""
    identities = Identities(context.sender, STANDARD)
    message = _Message()
    told: list[Verdict | _Statement] = []
    for item in items:
        if item.problem is not None:
            told.append(Verdict(item.position, problem=item.problem))
            continue
        message.visit(item.value, item.position, ChainMap(), None)
        told += message.taken()
    if not told:
        told = [item.refused(Bad("not_a_status_message", item.position, "holds no LogisticsEvent")) for item in items]
    for one in told:
        if isinstance(one, Verdict):
            yield one
        elif not one.is_told_elsewhere:
            yield one.verdict(context, identities)
    return Envelope(STANDARD)


@dataclass(slots=True)
class _Message:
    """The events of a message as they are found, and all its objects by their identifiers."""

    graph: Graph = field(default_factory=lambda: Graph(lambda iri: _IATA in iri))
    statements: list[_Statement] = field(default_factory=list)
    count: int = 0

    def taken(self) -> list[_Statement]:
        """What was found since the last time."""
        found, self.statements = self.statements, []
        return found

    def visit(self, value: object, where: str, names: Names, owner: LinkedNode | None) -> None:
        """Find the events in a value (no deeper than JSON may be). `owner`: the object that they stand beneath."""
        if isinstance(value, list):
            for index, one in enumerate(value):
                if isinstance(one, (dict, list)):
                    self.visit(one, f"{where}/{index}", names, owner)
            return
        if not isinstance(value, dict):
            return
        node = LinkedNode(value, where, names_of(value.get("@context"), names), self.graph)
        types = node.types
        if "@id" in value or node.id is not None:
            self.graph.add(node)
        if _EVENT in types or (node.key("eventCode") and (node.key("eventDate") or node.key("eventTimeType"))):
            self.found(_Statement(node, owner, node.where))
        elif "Notification" in types or node.key("hasLogisticsEvent"):
            self.notified(node)
            owner = node.first("hasLogisticsObject") or owner
        elif types and not _NO_OBJECTS.intersection(types):
            owner = node
        for key, member in value.items():
            if isinstance(member, (dict, list)) and key != "@context":
                self.visit(member, pointer(where, key), node.names, owner)

    def notified(self, node: LinkedNode) -> None:
        """A notification holds its event, or names it only, or tells of something else."""
        events = list(node.values("hasLogisticsEvent"))
        if not events:
            kind = node.text("hasEventType") or next(
                ((named(value) or "", "") for value, _ in node.values("hasEventType")), ("", "")
            )
            self.found(_Statement(node, None, node.where, f"a notification of {last_part(kind[0])[:40] or 'nothing'}"))
        for value, where in events:
            if (name := named(value)) is not None and not (isinstance(value, dict) and len(value) > 1):
                self.found(_Statement(LinkedNode({"@id": name}, where, node.names, self.graph), None, where))

    def found(self, statement: _Statement) -> None:
        self.count += 1
        if self.count > LIMITS.events:
            raise Unreadable("too_many_events", "", f"more than {LIMITS.events} events: send several messages")
        self.statements.append(statement)


@dataclass(slots=True)
class _Statement:
    """An event of the message, the object beneath which it stood, and where; `other`: what it is if it is no event."""

    node: LinkedNode
    owner: LinkedNode | None
    where: str
    other: str | None = None

    def verdict(self, context: Context, identities: Identities) -> Verdict:
        try:
            if self.other is not None:
                raise Bad("not_a_status_message", self.where, f"{self.other}, which is no LogisticsEvent")
            if not _is_told(self.node):
                text = f"the event {self.node.id or ''} is named, not told; send the LogisticsEvent itself"
                raise Bad("not_embedded", self.where, text)
            draft = _Reader(self.node, self.owner, self.where, context).draft()
            return Verdict(self.where, event=draft.finish(self.event_id(self.node, draft, identities)))
        except Bad as bad:
            return bad.verdict(self.where, msgspec.json.encode(self.node.value))

    @property
    def is_told_elsewhere(self) -> bool:
        """Whether it only names an event that stands in the message."""
        known = self.node.graph.find(self.node.id)
        return self.other is None and not _is_told(self.node) and known is not None and _is_told(known)

    def event_id(self, event: LinkedNode, draft: Draft, identities: Identities) -> str:
        if draft.source_id is not None and event.id is not None:
            return identities.own(event.id)
        left_out = {event.key(name) for name in ("@id", "creationDate")} | {"@context"}
        said = {key: value for key, value in event.value.items() if key not in left_out}
        stamp = draft.created_at.isoformat() if draft.created_at and draft.classifier != "actual" else None
        return identities.of([said, sorted(draft.references)], stamp)


def _is_house(waybill: LinkedNode) -> bool:
    kind = next((named(value) or plain(value) or "" for value, _ in waybill.values("waybillType")), "")
    return last_part(kind).upper() == "HOUSE"


def _is_told(event: LinkedNode) -> bool:
    return any(event.key(name) for name in ("eventCode", "eventName", "eventDate"))


@dataclass(slots=True)
class _Reader:
    """Reads one event."""

    event: LinkedNode
    owner: LinkedNode | None
    where: str
    context: Context

    def draft(self) -> Draft:
        draft = Draft(self.context, STANDARD, READER_VERSION, self.where, "?", mode="air")
        name = self.event.id
        if name is not None and ":" in name and not name.startswith("_:"):
            draft.source_id = draft.short(name, self.event.at("@id"))
        self.set_code(draft)
        self.set_objects(draft)
        self.set_place(draft)
        draft.gather(self.set_times, draft)
        if not draft.references:
            text = "leads to no air waybill: embed the waybill of the shipment in eventFor, or name the shipment by a UUID"
            raise Bad.of([*draft.faults, Bad("no_linking_reference", self.where, text)], draft.warnings)
        return draft

    def set_code(self, draft: Draft) -> None:
        """The status code: one of IATA's list in either spelling, or bare; of another list it is in no map."""
        values = list(self.event.values("eventCode"))
        if not values:
            text = self.event.text("eventName")
            draft.code = text[0] if text else "?"
            draft.unmapped(text[1] if text else self.event.at("eventCode"))
            return
        value, where = values[0]
        if len(values) > 1:
            draft.warn("several_values", "several event codes; the first counts", where)
        iri = self.listed_as(value, where)
        foreign = "://" in iri and _IATA not in iri
        match = None if foreign else _STATUS_CODE.fullmatch(_after_list(iri))
        if match is None:
            draft.code = iri
            draft.unmapped(where)
        elif match[1].upper() in DISCREPANCIES:
            name_status(draft, "DIS", match[1].upper())
        else:
            name_status(draft, match[1].upper())

    def listed_as(self, value: object, where: str) -> str:
        """The code as written: text, an IRI, or an element of a code list, whose own list may be foreign."""
        node = self.event.graph.node(value, where, self.event.names) if isinstance(value, dict) else None
        if node is not None and (code := node.text("code")) is not None:
            reference = next((named(one) or plain(one) or "" for one, _ in node.values("codeListReference")), "")
            return f"{reference}#{code[0]}" if "://" in reference and _IATA not in reference else code[0]
        found = plain(value) or named(value)
        if found is None:
            raise Bad("missing_field", where, "an event code without @id, code or text")
        return expanded(found, self.event.names)

    def set_objects(self, draft: Draft) -> None:
        """What the event is of: its own `eventFor`, else the object it stood beneath, else the one whose log it is in."""
        objects = list(self.event.nodes("eventFor", "linkedObject"))
        if not objects and self.owner is not None:
            objects = [self.owner]
        log, found, _ = (self.event.id or "").partition("/logistics-events/")
        if not objects and found:
            objects = [LinkedNode({"@id": log}, self.event.at("@id"), self.event.names, self.event.graph)]
            objects = [self.event.graph.find(log) or objects[0]]
        pieces: set[str] = set()
        seen: set[int] = set()
        for number, thing in enumerate(objects):
            types = thing.types
            if "Piece" in types:
                pieces.add(thing.id or f"{number}")
            if "ULD" in types:
                self.refer_uld(thing, draft)
            if (flight := thing.text("transportIdentifier")) is not None and (known := flight_number(flight[0])):
                draft.transport["flight"] = known
            for shipment in thing.nodes("ofShipment", "shipment", most=_WAYBILLS_MAX) if "Piece" in types else [thing]:
                if id(shipment.value) not in seen:  # pieces of one shipment lead to it again and again
                    seen.add(id(shipment.value))
                    self.refer_shipment(shipment, draft)
        partial = self.event.text("partialEventIndicator")
        if pieces or (partial is not None and partial[0].lower() in ("true", "1")):
            count_pieces(draft, len(pieces) or None, None, "P")

    def refer_shipment(self, shipment: LinkedNode, draft: Draft) -> None:
        """The waybills of a shipment, and its own identifier."""
        types = shipment.types
        is_waybill = "Waybill" in types or shipment.key("waybillNumber") is not None
        waybills = [shipment] if is_waybill else list(shipment.nodes("waybill", most=_WAYBILLS_MAX))
        before = len(draft.references)
        for waybill in waybills:
            self.refer_waybill(waybill, draft)
        if len(draft.references) == before and (name := shipment.id) is not None:
            match = _WAYBILL_IN_ID.search(name.rstrip("/").rpartition("/")[2])
            if match is not None and identifiers.air_waybill_check_holds(f"{match[1]}-{match[2]}"):
                value = f"{match[1]}-{match[2]}"
                draft.refer("air_waybill", value, shipment.where)
                text = f"air waybill {value} taken from the identifier of the object; send its waybill"
                draft.warn("reference_from_id", text, shipment.where)
        if not types or _SHIPMENTS.intersection(types):
            for thing in (shipment, *waybills):
                last = re.split(r"[/:#]", (thing.id or "").rstrip("/"))[-1]
                if is_uuid(last):
                    draft.refer("booking", last, thing.where)

    def refer_waybill(self, waybill: LinkedNode, draft: Draft) -> None:
        """An air waybill, or a house waybill and the air waybill above it."""
        number = waybill.text("waybillNumber")
        if _is_house(waybill):
            if number is not None:
                draft.refer("bill_of_lading", number[0], number[1])
            master = waybill.first("masterWaybill")
            if master is not None and not _is_house(master):
                self.refer_waybill(master, draft)
            return
        if number is None:
            return
        prefix = (waybill.text("waybillPrefix") or ("", ""))[0]
        whole = _WAYBILL.fullmatch(number[0])
        if whole is not None and prefix not in ("", whole[1]):
            draft.warn(
                "contradiction",
                f"waybillPrefix {prefix[:10]} contradicts waybillNumber {number[0]}; the latter counts",
                number[1],
            )
        match = whole or _WAYBILL.fullmatch(prefix + number[0])
        if match is None:
            draft.warn("bad_reference", f"{number[0][:40]} is no number of an air waybill; not used", number[1])
            return
        draft.refer("air_waybill", f"{match[1]}-{match[2]}", number[1])
        draft.origin = draft.origin or self.place(waybill.first("departureLocation"), draft)
        draft.destination = draft.destination or self.place(waybill.first("arrivalLocation"), draft)

    def refer_uld(self, unit: LinkedNode, draft: Draft) -> None:
        names = ("uldTypeCode", "serialNumber", "ownerCode")
        refer_uld(draft, "".join(self.code_in(unit, name) for name in names), unit.where)

    def code_in(self, node: LinkedNode, *names: str) -> str:
        """A code, as text or as an element of a code list."""
        return next((code for code, _ in self.codes_in(node, *names)), "")

    def codes_in(self, node: LinkedNode, *names: str) -> Iterator[tuple[str, str]]:
        for value, where in node.values(*names):
            text = plain(value)
            if text is None and isinstance(value, dict):
                inner = node.graph.node(value, where, node.names)
                found = inner.text("code") if inner is not None else None
                text = found[0] if found else None
            if text is not None:
                yield text, where

    def set_place(self, draft: Draft) -> None:
        found = [self.place(node, draft) for node in self.event.nodes("eventLocation", "recordedAtLocation", most=1)]
        draft.place = next((place for place in found if place is not None), None)

    def place(self, node: LinkedNode | None, draft: Draft) -> Place | None:
        """A location by its codes, else by its identifier where that is an airport's code, as good practice has it."""
        if node is None:
            return None
        name = node.text("locationName")
        place: Place | None = None
        for code, where in self.codes_in(node, "locationCodes", "locationCode", "code"):
            code = code.upper()
            if place is None and len(code) == 3 and code.isascii() and code.isalpha():
                place = airport(code, self.context)
            elif place is None and identifiers.is_locode(code):
                place = Place(unlocode=code)
            elif place is None:
                draft.warn("bad_place", f"{code[:20]} is no code of a place that is known; not used", where)
        last = (node.id or "").rstrip("/").rpartition("/")[2]
        if place is None and is_airport(last):
            place = airport(last, self.context)
            draft.warn(
                "place_from_id", f"airport {last} taken from the identifier of the location; send its locationCodes", node.where
            )
        if name is None:
            return place
        said = draft.short(name[0], name[1])
        return place.model_copy(update={"name": said}) if place is not None else Place(name=said)

    def set_times(self, draft: Draft) -> None:
        self.set_classifier(draft)
        draft.created_at = self.created(draft)
        found = self.event.text("eventDate")
        if found is None:
            if draft.created_at is None or draft.classifier != "actual":
                raise Bad("no_time", self.event.at("eventDate"), "the event does not say when (eventDate)")
            draft.occurred_at = draft.created_at
            draft.warn("time_of_creation", "no eventDate; creationDate stands for it", self.event.at("eventDate"))
            return
        text, where = found
        try:
            moment = parse_rfc3339(text)
        except ValueError as error:
            raise Bad("bad_time", where, str(error)) from error
        if moment.tzinfo is None:
            moment = draft.at_local(moment, zone_of(draft.place, self.context.registers), where)
        draft.occurred_at = moment

    def set_classifier(self, draft: Draft) -> None:
        found = next(((named(value) or plain(value) or "", where) for value, where in self.event.values("eventTimeType")), None)
        if found is None:
            draft.warn("time_type_assumed", "no eventTimeType; taken as ACTUAL", self.event.at("eventTimeType"))
            return
        kind = last_part(found[0]).upper()
        classifier = TIME_TYPES.get(kind)
        if classifier is None:
            raise Bad("bad_value", found[1], f"{kind[:40]} is none of {', '.join(TIME_TYPES)}")
        draft.classifier = classifier
        if kind == "REQUESTED":
            draft.milestone = None  # a wish is no plan
            draft.warn("requested_time", "a time that was asked for moves nothing", found[1])

    def created(self, draft: Draft) -> datetime | None:
        found = self.event.text("creationDate")
        if found is None:
            return None
        try:
            return draft.in_utc(parse_rfc3339(found[0]), "creationDate", found[1])
        except ValueError:
            draft.warn("bad_time", "creationDate cannot be read; not used", found[1])
            return None


def _after_list(iri: str) -> str:
    """What names the code in an IRI: behind its address, with the name of the list if that stands there too."""
    return iri.rpartition("/")[2].rpartition(":")[2] if "StatusCode#" in iri else last_part(iri)
