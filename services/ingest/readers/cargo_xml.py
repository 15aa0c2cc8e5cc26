"""Cargo-XML xFSU, the air cargo status message in XML (all versions). Codes to milestones: docs/standards/cargo_xml.md.

An AssociatedStatusConsignment of a ReportedStatus is one event (a part of the consignment in each, where it was split); the
times of the flight's ends that it carries are events of their own. Elements are known by their local names, because senders
bind the two namespaces to any prefix and to versions of their own, or to none.

The parser is expat, as the standard library has it: it streams, so that depth, size and number of elements are bounded while
it works, and a document type declaration, which no Cargo-XML needs, is refused at its first character: then there are no
entities that could be expanded and nothing outside of the message that could be fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import Final
from xml.parsers import expat

from schemas.shipment_event_v1 import Place
from schemas.words import Classifier, Milestone
from services.ingest import identifiers
from services.ingest.legible import shown
from services.ingest.places import zone_of
from services.ingest.readers.air_status import (
    BEFORE_FLIGHT,
    HANDS_OVER,
    airport,
    count_pieces,
    flight_number,
    happened_at_sending,
    name_status,
    refer_uld,
)
from services.ingest.readers.draft import Bad, Draft, Identities, digest
from services.ingest.readers.model import MIB, Context, Envelope, Limits, Told, Unreadable, Verdict
from services.ingest.readers.times import parse_rfc3339

STANDARD: Final = "cargo_xml.xfsu"
READER_VERSION: Final = 3

TIME_TYPES: Mapping[str, Classifier] = MappingProxyType({"": "actual", "A": "actual", "S": "planned", "E": "estimated"})
_ON_BOARD: Final = frozenset({"DEP", "ARR", "RCF", "AWR"})
"""Statuses of what was on board: an actual time of the flight's ends is one of these pieces."""

_MESSAGES: Final = frozenset({"statusmessage", "statusmessagetype"})
_KEPT: Final = frozenset(
    {
        "MessageHeaderDocument",
        "MasterConsignment",
        "TransportContractDocument",
        "OriginLocation",
        "FinalDestinationLocation",
        "ReportedStatus",
        "AssociatedStatusConsignment",
        "SpecifiedLogisticsTransportMovement",
        "UsedLogisticsTransportMeans",
        "CarrierParty",
        "SpecifiedLocation",
        "SpecifiedEvent",
        "DepartureEvent",
        "ArrivalEvent",
        "ScheduledArrivalEvent",
        "ScheduledDepartureEvent",
        "OccurrenceDepartureLocation",
        "OccurrenceArrivalLocation",
        "UtilizedUnitLoadTransportEquipment",
        "OperatingParty",
        "HandlingOSIInstructions",
    }
)
"""Elements with elements inside that say something to a journey; others are skipped with all that they hold."""

_BYTES_MAX: Final = 4 * MIB  # a thousand statuses, well wrapped
_ELEMENTS_MAX: Final = 50_000  # kept; a status has about ten
_PAYLOAD_MAX: Final = 100_000  # bytes of a problem; a dead letter keeps fewer
_TEXT_MAX: Final = 1_000  # characters of one element
_ULDS_MAX: Final = 100
_MOVEMENTS_MAX: Final = 16  # flights of a status; a journey has four at most
_TIMES_MAX: Final = 8  # times of one end of a flight; there are two kinds of element and three of time

_STATUS_ROOT = re.compile(rb"<(?:[A-Za-z0-9_.-]{1,40}:)?status_?message(?:type)?[\s/>]|iata:statusmessage:", re.IGNORECASE)
_CARGO_XML = re.compile(rb"[\"']iata:[a-z]{3,40}:[0-9]", re.IGNORECASE)
_AIR_WAYBILL = re.compile(r"([0-9]{3})[- ]?([0-9]{8})")
_QUANTITY = re.compile(r"([0-9]{1,8})(?:\.0{1,3})?")
_AIRPORT = re.compile(r"[A-Z]{3}")
_WITHDRAWS: Final = frozenset({"DELETION", "DELETE", "CANCELLATION", "CANCEL"})


@dataclass(slots=True, eq=False)
class _Element:
    """A kept element: the first text of each of its leaves, and its kept elements."""

    name: str
    line: int
    begin: int = 0  # of its bytes in the message
    end: int = 0
    texts: dict[str, str] = field(default_factory=dict)
    elements: list[_Element] = field(default_factory=list)

    @property
    def where(self) -> str:
        return f"line {self.line} ({self.name})"

    def all(self, *names: str) -> Iterator[_Element]:
        return (element for element in self.elements if element.name in names)

    def first(self, name: str) -> _Element | None:
        return next(self.all(name), None)

    def text(self, *path: str) -> str | None:
        """The text at the end of `path`."""
        here: _Element | None = self
        for name in path[:-1]:
            here = here.first(name) if here is not None else None
        return here.texts.get(path[-1]) if here is not None else None

    def bytes_of(self, content: bytes) -> bytes:
        """As it stands in the message, without its end tag."""
        return content[self.begin : min(self.end, self.begin + _PAYLOAD_MAX)]

    def said(self) -> object:
        """All that stands in it, for its identity."""
        return [self.name, self.texts, [element.said() for element in self.elements]]


def looks_like(content: bytes) -> bool:
    """Whether it begins as XML that names Cargo-XML."""
    head = content[:4096]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", "ignore").encode("utf-8", "ignore")
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return head.startswith(b"<") and (_STATUS_ROOT.search(head) is not None or _CARGO_XML.search(head) is not None)


def read(content: bytes, context: Context, limits: Limits) -> Told:
    """One verdict a status of a consignment (and a time of its flight), in order. Raises Unreadable."""
    if len(content) > _BYTES_MAX:
        raise Unreadable("too_large", "", f"more than {_BYTES_MAX} bytes of XML; send several messages")
    text = content.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")  # blanks before the XML declaration are not XML
    messages, root = _parse(text, content[: len(content) - len(text)].count(b"\n"), limits)
    if not messages:
        said = f"the element {shown(root, 40)} is no StatusMessage (xFSU); only statuses are read"
        raise Unreadable("not_a_status_message", "line 1", said)
    identities = Identities(context.sender, STANDARD)
    told = 0
    for message in messages:
        for verdict in _verdicts(message, text, context, identities):
            if (told := told + 1) > limits.events:
                raise Unreadable("too_many_events", "", f"more than {limits.events} events: send several messages")
            yield verdict
    return Envelope(STANDARD)


class _Builder:
    """Expat's handlers: keeps the elements of status messages, and refuses what no status message needs."""

    def __init__(self, limits: Limits, lines_before: int) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.ordered_attributes = True  # a list costs less than a dict, and they are not read
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.messages: list[_Element] = []
        self.root = ""
        self._limits = limits
        self._lines_before = lines_before
        self._open: list[_Element] = []
        self._text: list[str] = []
        self._length = 0
        self._kept = 0

    @property
    def _line(self) -> int:
        return int(self.parser.CurrentLineNumber) + self._lines_before

    def _start(self, name: str, _: object) -> None:
        local = name.rpartition(":")[2]
        self.root = self.root or local
        if len(self._open) == self._limits.depth:
            text = f"more than {self._limits.depth} levels of elements"
            raise Unreadable("too_deep", f"line {self._line}", text)
        self._text, self._length = [], 0
        self._open.append(_Element(local, self._line, self.parser.CurrentByteIndex))

    def _end(self, _: str) -> None:
        element = self._open.pop()
        parent = self._open[-1] if self._open else None
        is_message = element.name.lower() in _MESSAGES
        if is_message or element.name in _KEPT:
            element.end = self.parser.CurrentByteIndex
            self._kept += 1
            if self._kept > _ELEMENTS_MAX:
                raise Unreadable("too_many_values", f"line {element.line}", f"more than {_ELEMENTS_MAX} elements; send less")
            if is_message:
                self.messages.append(element)
            elif parent is not None:
                parent.elements.append(element)
        elif parent is not None and self._text and not element.elements and not element.texts:
            text = "".join(self._text).strip()
            if text:
                parent.texts.setdefault(element.name, text[:_TEXT_MAX])
        self._text, self._length = [], 0

    def _characters(self, data: str) -> None:
        if self._length <= _TEXT_MAX:
            self._text.append(data)
            self._length += len(data)

    def _doctype(self, *_: object) -> None:
        where = f"line {self._line}"
        raise Unreadable("forbidden_xml", where, "a document type declaration (DOCTYPE) is refused; Cargo-XML has none")


def _parse(content: bytes, lines_before: int, limits: Limits) -> tuple[Sequence[_Element], str]:
    """The status messages wherever they stand (real ones come in SOAP envelopes and batches too), and the root's name."""
    builder = _Builder(limits, lines_before)
    try:
        builder.parser.Parse(content, True)
    except expat.ExpatError as error:
        message = expat.errors.messages.get(error.code, "not well-formed")
        raise Unreadable(
            "not_xml", f"line {error.lineno + lines_before} column {error.offset + 1}", f"not XML: {message}"
        ) from error
    except (ValueError, LookupError) as error:  # of an encoding that is no encoding, or one of several bytes a character
        raise Unreadable("bad_encoding", "line 1", "the encoding of the XML cannot be read; send UTF-8") from error
    return builder.messages, builder.root


def _verdicts(message: _Element, content: bytes, context: Context, identities: Identities) -> Iterator[Verdict]:
    header = message.first("MessageHeaderDocument")
    consignments = list(message.all("MasterConsignment"))
    if not consignments:
        where = f"line {message.line}"
        yield Bad("no_status", where, "a status message without MasterConsignment").verdict(where, message.bytes_of(content))
    count = 0
    for master in consignments:
        consignment = _Consignment.of(master)
        statuses = list(master.all("ReportedStatus"))
        if not statuses:
            where = f"line {master.line}"
            yield Bad("no_status", where, "a consignment without ReportedStatus").verdict(where, master.bytes_of(content))
        for status in statuses:
            count += 1
            parts: Sequence[_Element] = list(status.all("AssociatedStatusConsignment")) or [
                _Element("AssociatedStatusConsignment", status.line)
            ]
            for number, part in enumerate(parts, start=1):
                position = f"line {part.line} (ReportedStatus {count}{f', part {number}' if len(parts) > 1 else ''})"
                yield from _Status(header, consignment, status, part, position, context, content).verdicts(identities)


@dataclass(frozen=True, slots=True)
class _Consignment:
    """What a MasterConsignment says of all its statuses, looked up once."""

    texts: Mapping[str, str]
    waybill: str | None
    origin: _Element | None
    destination: _Element | None

    @classmethod
    def of(cls, master: _Element) -> _Consignment:
        origin, destination = master.first("OriginLocation"), master.first("FinalDestinationLocation")
        return cls(master.texts, master.text("TransportContractDocument", "ID"), origin, destination)


@dataclass(frozen=True)
class _Status:
    """A status of a consignment or of a part of it, and all that it stands in."""

    header: _Element | None
    consignment: _Consignment
    status: _Element
    part: _Element
    position: str
    context: Context
    content: bytes

    def verdicts(self, identities: Identities) -> Iterator[Verdict]:
        status = self.event()
        drafts = [("", status)]
        wrong: list[Bad] = []
        for facet, one in self.times_of_flight(status):
            if one.faults:
                wrong += one.faults
            else:
                drafts.append((facet, one))
        if status.faults:  # then all that is wrong is told in one
            status.faults += tuple(wrong)
            drafts, wrong = drafts[:1], []
        # Neither the header nor what else the message tells: a repeat in another message is the same statement.
        whole = self.consignment.texts
        total = [whole.get(name) for name in ("PieceQuantity", "TotalPieceQuantity", "TransportSplitDescription")]
        tokens = digest([self.consignment.waybill, total, self.status.texts, self.part.said()])
        for facet, draft in drafts:
            stamp = None if draft.classifier == "actual" else self.stamp(draft)
            try:
                yield Verdict(draft.position, event=draft.finish(identities.of(tokens, stamp, facet)))
            except Bad as bad:
                yield bad.verdict(self.position, self.payload)
        if wrong:  # with a flight's times: the status itself is told all the same
            yield Bad.of(wrong).verdict(self.position, self.payload)

    def stamp(self, draft: Draft) -> str | None:
        """What tells a plan or estimate from the same words in another message: the message's own number, which the one that
        withdraws it repeats; else when it was made."""
        number = self.header.texts.get("ID") if self.header is not None else None
        return number or (draft.created_at.isoformat() if draft.created_at else None)

    @property
    def payload(self) -> bytes:
        return (self.part if self.part.end else self.status).bytes_of(self.content)

    @cached_property
    def movements(self) -> Sequence[_Element]:
        return list(islice(self.part.all("SpecifiedLogisticsTransportMovement"), _MOVEMENTS_MAX))

    @cached_property
    def units(self) -> Sequence[str]:
        """The unit load devices, as type, serial number and owner together."""
        found = []
        for unit in islice(self.part.all("UtilizedUnitLoadTransportEquipment"), _ULDS_MAX):
            serial = unit.texts.get("ID", "")
            names = (unit.texts.get("CharacteristicCode"), serial, unit.text("OperatingParty", "PrimaryID"))
            found.append(serial if identifiers.is_uld(serial.upper()) else "".join(name or "" for name in names))
        return found

    @property
    def code(self) -> str:
        return self.status.texts.get("ReasonCode", "").upper()

    def event(self) -> Draft:
        """What the status itself says; what is wrong with it is noted in it."""
        movement = self.movements[0] if self.movements else _Element("", self.part.line)
        draft = self.draft(movement)
        discrepancy = self.part.texts.get("DiscrepancyDescriptionCode", "").upper()
        if self.code:
            name_status(draft, self.code, discrepancy if self.code == "DIS" and discrepancy else None)
        else:
            draft.fault(Bad("missing_field", self.position, "a ReportedStatus without ReasonCode"))
        draft.place = self.place_of(movement, draft)
        remarks = [found for element in self.part.all("HandlingOSIInstructions") if (found := element.text("Description"))]
        if self.code == "DIS" and (described := self.part.texts.get("StatusDescription")):
            remarks.insert(0, described)
        draft.reason = " ".join(remarks)[:1_000] or None
        self.set_time(draft, movement)
        return draft

    def set_time(self, draft: Draft, movement: _Element) -> None:
        """When the status happened: the event that says so, the flight's end for DEP and ARR; a booking, when it was sent.

        A time that is marked as scheduled or estimated makes the status planned or estimated: it is told beforehand.
        """
        told = [
            (text, kind, element)
            for element in islice(movement.all("SpecifiedEvent"), _TIMES_MAX)
            if (text := element.texts.get("OccurrenceDateTime")) is not None
            and ((kind := element.texts.get("DateTimeTypeCode", "").upper()) != "" or self.code not in BEFORE_FLIGHT)
        ]
        told += [one for end in _ENDS if end.code == self.code for one in islice(end.times(movement), _TIMES_MAX)]
        if self.code in BEFORE_FLIGHT:
            told = [one for one in told if one[1] == "A"]  # any other is the flight's
        told.sort(key=lambda one: one[1] not in ("", "A"))
        if not told:
            if self.code not in BEFORE_FLIGHT and self.code not in HANDS_OVER:
                said = f"{self.code or 'a status'} without OccurrenceDateTime"
                draft.fault(Bad("no_time", self.position, said))
            else:
                happened_at_sending(draft, self.code)
            return
        text, kind, element = told[0]
        self.classify(draft, kind, element)
        self.set_moment(draft, text, element)

    def times_of_flight(self, status: Draft) -> Iterator[tuple[str, Draft]]:
        """The times of flights' ends: scheduled, estimated, and actual ones of what was on board; what is wrong is noted."""
        if status.retracted or self.code == "DIS":  # what was offloaded is not on that flight
            return
        for number, movement in enumerate(self.movements):
            for end in _ENDS:
                for text, kind, element in islice(end.times(movement), _TIMES_MAX):
                    draft = self.draft(movement)
                    if self.classify(draft, kind, element):
                        if draft.classifier == "actual" and self.code not in _ON_BOARD:
                            continue
                        if end.code == self.code and draft.classifier == status.classifier:
                            continue  # the status itself
                        draft.milestone = end.milestone
                        draft.place = end.place(self, movement, draft)
                        if draft.place is None:
                            draft.warn("place_missing", f"{end.element} of an unknown place; not used")
                            status.warnings.extend(draft.warnings[-1:])
                            continue
                    self.set_moment(draft, text, element)
                    yield f"{number} {end.milestone} {kind} {element.name}", draft

    def draft(self, movement: _Element) -> Draft:
        draft = Draft(self.context, STANDARD, READER_VERSION, self.position, self.code, mode="air")
        self.set_created(draft)
        waybill = self.consignment.waybill or ""
        match = _AIR_WAYBILL.fullmatch(waybill.strip())
        if match is None:
            draft.fault(Bad("no_air_waybill", self.position, f"TransportContractDocument/ID is {waybill[:40] or 'missing'}"))
        else:
            draft.refer("air_waybill", f"{match[1]}-{match[2]}")
        for unit in self.units:
            refer_uld(draft, unit)
        draft.origin = self.location(self.consignment.origin, draft)
        draft.destination = self.location(self.consignment.destination, draft)
        number = movement.texts.get("ID", "")
        carrier = movement.text("CarrierParty", "PrimaryID") or movement.text("UsedLogisticsTransportMeans", "Name")
        if flight := flight_number(number, carrier):
            draft.transport["flight"] = flight
        elif number:
            draft.warn("bad_flight", f"{number[:40]} is no flight number; not used")
        self.count(draft)
        return draft

    def set_created(self, draft: Draft) -> None:
        said = self.header.texts if self.header is not None else {}
        draft.retracted = said.get("PurposeCode", "").upper() in _WITHDRAWS
        if (issued := said.get("IssueDateTime")) is None:
            return
        try:
            draft.created_at = draft.in_utc(parse_rfc3339(issued), "IssueDateTime")
        except ValueError:
            draft.warn("bad_time", f"IssueDateTime {issued[:40]} cannot be read; not used")

    def count(self, draft: Draft) -> None:
        """The pieces of this status, of those of the waybill; where it counts none, all of them."""
        whole = self.quantity(self.consignment.texts.get("PieceQuantity"), draft)
        letter_of_all = self.consignment.texts.get("TransportSplitDescription", "").upper()
        total = self.quantity(self.consignment.texts.get("TotalPieceQuantity"), draft)
        if total is None and letter_of_all in ("", "T"):
            total = whole
        this = self.quantity(self.part.texts.get("PieceQuantity"), draft)
        letter = self.part.texts.get("TransportSplitDescription", "").upper()
        if this is None and not letter:
            this, letter = whole, letter_of_all
        count_pieces(draft, this, total, letter)

    def quantity(self, text: str | None, draft: Draft) -> int | None:
        if text is None:
            return None
        match = _QUANTITY.fullmatch(text)
        if match is None:
            draft.warn("bad_quantity", f"{text[:20]} is no number of pieces; not used")
            return None
        return int(match[1])

    def place_of(self, movement: _Element, draft: Draft) -> Place | None:
        """Where the status happened: the end of the flight that it speaks of, else the location beside it."""
        beside = self.location(movement.first("SpecifiedLocation"), draft)
        end = _DEPARTURE if self.code == "DEP" or self.code in BEFORE_FLIGHT else _ARRIVAL if self.code in _ON_BOARD else None
        there = end.own_place(self, movement, draft) if end is not None else None
        if beside is not None and there is not None and beside != there:
            names = f"{beside.iata or beside.unlocode} and {there.iata or there.unlocode}"
            draft.warn("places_contradict", f"SpecifiedLocation and the flight's end name {names}; the latter counts")
        return there or beside

    def location(self, element: _Element | None, draft: Draft) -> Place | None:
        code = element.texts.get("ID", "").upper() if element is not None else ""
        if not code:
            return None
        if _AIRPORT.fullmatch(code):
            return airport(code, self.context)
        if identifiers.is_locode(code):
            return Place(unlocode=code)
        draft.warn("bad_place", f"{code[:20]} is no airport's code; not used")
        return None

    def set_moment(self, draft: Draft, text: str, element: _Element) -> None:
        """Set when it happened or shall happen."""
        try:
            moment = parse_rfc3339(text)
        except ValueError as error:
            draft.fault(Bad("bad_time", element.where, str(error)))
        else:
            zoned = moment.tzinfo is not None
            draft.occurred_at = moment if zoned else draft.at_local(moment, zone_of(draft.place, self.context.registers))

    def classify(self, draft: Draft, kind: str, element: _Element) -> bool:
        """Set whether it happened, is planned or is expected; False if that is unknown."""
        classifier = TIME_TYPES.get(kind)
        if classifier is None:
            draft.fault(Bad("bad_value", element.where, f"the type of time {kind[:20]} is none of A, E, S"))
            return False
        draft.classifier = classifier
        return True


@dataclass(frozen=True, slots=True)
class _End:
    """An end of a flight, and the elements that tell of it. `code`: the status that says that it was reached."""

    code: str
    milestone: Milestone
    element: str
    scheduled: str
    time: str
    kind: str
    location: str

    def times(self, movement: _Element) -> Iterator[tuple[str, str, _Element]]:
        """(time, its type, the element) of all that is told of this end."""
        for element in movement.all(self.element, self.scheduled):
            if (text := element.texts.get("ScheduledOccurrenceDateTime")) is not None:
                yield text, "S", element
            if (text := element.texts.get(self.time)) is not None:
                yield text, element.texts.get(self.kind, "").upper(), element

    def own_place(self, status: _Status, movement: _Element, draft: Draft) -> Place | None:
        ends = islice(movement.all(self.element), _TIMES_MAX)
        found = (status.location(element.first(self.location), draft) for element in ends)
        return next((place for place in found if place is not None), None)

    def place(self, status: _Status, movement: _Element, draft: Draft) -> Place | None:
        """Its own, else the location beside it, where the status is of this end."""
        own = self.own_place(status, movement, draft)
        is_here = self is _ARRIVAL if status.code in _ON_BOARD - {"DEP"} else self is _DEPARTURE
        return own or (status.location(movement.first("SpecifiedLocation"), draft) if is_here else None)


_DEPARTURE: Final = _End(
    "DEP",
    "departed",
    "DepartureEvent",
    "ScheduledDepartureEvent",
    "DepartureOccurrenceDateTime",
    "DepartureDateTimeTypeCode",
    "OccurrenceDepartureLocation",
)
_ARRIVAL: Final = _End(
    "ARR",
    "arrived",
    "ArrivalEvent",
    "ScheduledArrivalEvent",
    "ArrivalOccurrenceDateTime",
    "ArrivalDateTimeTypeCode",
    "OccurrenceArrivalLocation",
)
_ENDS: Final = (_DEPARTURE, _ARRIVAL)
