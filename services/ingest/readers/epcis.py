"""GS1 EPCIS 2.0 in JSON and JSON-LD: what was done with pallets, cases, items, lots and containers, and where.

Documents, query documents, bare events and arrays are read; words in every form (epcis_words.py), ids as EPC URN and Digital
Link (epcis_ids.py). An event without `eventID` has its event hash for an id (epcis_hash.py), so that it is the same event in
whatever form it comes. `errorDeclaration` withdraws an event for good: nothing un-declares an error. No context is fetched.

What a business step is to a journey depends on where it was (docs/standards/epcis.md): the same word stands for each leg of a
chain, so a place that no register knows moves nothing.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta, timezone
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from schemas.shipment_event_v1 import Place
from schemas.words import LINKING_KINDS, LOGISTIC_KINDS, Milestone, ReferenceKind
from services.ingest.places import facility_by_code, zone_of
from services.ingest.readers.draft import LINKING_MAX, REFERENCES_MAX, Bad, Draft, Identities
from services.ingest.readers.epcis_hash import event_hash
from services.ingest.readers.epcis_ids import gs1_id
from services.ingest.readers.epcis_words import BIZ_STEPS, DISPOSITIONS, Vocabulary, words
from services.ingest.readers.json_items import Item, Node
from services.ingest.readers.model import LIMITS, Context, Envelope, Problem, Told, Verdict

STANDARD: Final = "epcis.2.0"
READER_VERSION: Final = 4

_EVENTS: Final = ("ObjectEvent", "AggregationEvent", "TransactionEvent", "TransformationEvent", "AssociationEvent")
_DOCUMENTS: Final = ("EPCISDocument", "EPCISQueryDocument")
_ACTIONS: Final = ("ADD", "OBSERVE", "DELETE")
_TYPE: Final = ("type", "@type", "isA")
_OFFSET = re.compile(r"([+-])([0-9]{1,2}):([0-9]{2})")

Where = Literal["consignee", "port", ""]
PLACES: Final[Sequence[Where]] = get_args(Where)
MILESTONES: Final[Mapping[tuple[str, Where], Milestone]] = MappingProxyType(
    {
        ("arriving", "consignee"): "arrived_consignee",
        ("receiving", "consignee"): "delivered",
        ("accepting", "consignee"): "delivered",
        ("receiving", "port"): "received",
        ("accepting", "port"): "received",
        ("shipping", "port"): "departed",
        ("departing", "port"): "departed",
        ("arriving", "port"): "arrived",
        ("unloading", "port"): "discharged",
    }
)
_BAD_DISPOSITIONS: Final = words(
    """damaged destroyed disposed expired mismatch_class mismatch_instance mismatch_quantity needs_replacement
    no_pedigree_match non_conformant non_sellable_other recalled returned stolen unavailable"""
)
"""Why goods are not as they should be; the others say how things go."""
_TRANSACTIONS: Final[Mapping[str, ReferenceKind]] = MappingProxyType({"bol": "bill_of_lading", "po": "purchase_order"})
_OBJECTS: Final[Sequence[tuple[str, bool]]] = (
    # lists of objects; whether they are of classes with quantities
    ("epcList", False),
    ("inputEPCList", False),
    ("childEPCs", False),
    ("quantityList", True),
    ("childQuantityList", True),
    ("inputQuantityList", True),
    ("outputEPCList", False),
    ("outputQuantityList", True),
)
_BOUNDED: Final = LINKING_KINDS - LOGISTIC_KINDS
"""Of these an event names a few at most (draft.py); of pallets and items as many as it can hold."""
_PARTS_MOST: Final = 40  # events that one statement may become, for its references; some 1,200 of them
_OBJECTS_MOST: Final = _PARTS_MOST * REFERENCES_MAX


def looks_like(value: object) -> bool:
    """Whether this object is an EPCIS document or event."""
    if not isinstance(value, dict):
        return False
    if "epcisBody" in value:
        return True
    kind = _type_of(value, Vocabulary())
    return kind in _DOCUMENTS or kind in _EVENTS or ("eventTime" in value and "eventTimeZoneOffset" in value)


def read(items: Sequence[Item], context: Context) -> Told:
    """The verdicts of all events, in order; a bad event does not refuse the others. An event that names more objects than one
    of ours can hold gives several."""
    found: list[_Found] = []
    for item in items:
        found += _events_of(item)
        if len(found) > LIMITS.events:
            break  # refused as a whole
    reader = _Reader(context, spare=max(0, LIMITS.events - len(found)))
    for one in found:
        yield from reader.verdicts(one)
    return Envelope(STANDARD)


@dataclass(frozen=True, slots=True)
class _Found:
    """An event, and the prefixes of the document that it stands in."""

    item: Item
    vocabulary: Vocabulary


def _events_of(item: Item) -> Sequence[_Found]:
    value = item.value
    if item.problem is not None or not isinstance(value, dict):
        return [_Found(item, Vocabulary())]
    context = value.get("@context")
    if "epcisBody" not in value and "eventList" not in value and _type_of(value, Vocabulary(context)) not in _DOCUMENTS:
        return [_Found(item, Vocabulary(context))]
    try:
        events = _list_of_events(Node(value, item.position))
    except Bad as bad:
        return [_Found(Item(item.position, value, _problem(item, bad)), Vocabulary())]
    vocabulary = Vocabulary(context)
    return [
        _Found(one, Vocabulary(context, one.value["@context"]) if "@context" in _fields(one) else vocabulary) for one in events
    ]


def _fields(item: Item) -> Mapping[str, Any]:
    return item.value if isinstance(item.value, dict) else {}


def _list_of_events(document: Node) -> Sequence[Item]:
    """The events of a document. Raises Bad."""
    body = document if "eventList" in document.fields else document.node("epcisBody")
    if body is None:
        raise Bad("missing_field", document.at("epcisBody"), "a document without epcisBody")
    results = body.node("queryResults")
    if results is not None:
        body = results.node("resultsBody") or results
    for name in ("eventList", "event"):
        events = body.fields.get(name)
        if isinstance(events, list):
            return [Item(f"{body.at(name)}/{index}", event) for index, event in enumerate(events[: LIMITS.events + 1])]
        if isinstance(events, dict):
            return [Item(body.at(name), events)]
    raise Bad("missing_field", body.at("eventList"), "a list of events is expected here")


def _problem(item: Item, bad: Bad) -> Problem:
    problem = item.refused(bad).problem
    assert problem is not None
    return problem


def _type_of(value: Mapping[str, Any], vocabulary: Vocabulary) -> str:
    for key in _TYPE:
        said = value.get(key)
        for one in said if isinstance(said, list) else (said,):
            if isinstance(one, str) and one:
                return vocabulary.uri(one).removeprefix("https://ref.gs1.org/epcis/")
    return ""


@dataclass(slots=True)
class _Reader:
    """Reads the events of one message. `spare`: how many events more than statements it may give."""

    context: Context
    spare: int

    def verdicts(self, found: _Found) -> Sequence[Verdict]:
        item = found.item
        if item.problem is not None:
            return [Verdict(item.position, problem=item.problem)]
        try:
            return list(self._read(Node.of(item.value, item.position), found.vocabulary))
        except Bad as bad:
            return [item.refused(bad)]

    def _read(self, event: Node, words: Vocabulary) -> Iterator[Verdict]:
        statement = _Statement.of(event, words)
        own = event.text("eventID") or event_hash(event.fields, statement.kind, words, event.where)
        error = event.node("errorDeclaration")
        code = "error_declaration" if error else statement.step or statement.kind
        draft = Draft(self.context, STANDARD, READER_VERSION, event.where, code)
        draft.source_id = draft.short(own, event.at("eventID"))
        draft.created_at = draft.in_utc(event.time("recordTime"), "recordTime", event.at("recordTime"))
        where = _places(draft, statement)
        draft.gather(_time, draft, event)
        objects = _objects(draft, statement)
        _transactions(draft, statement)
        if error is None:
            _meaning(draft, statement, where, objects)
        else:
            _erroneous(draft, error, words)
        named = (kind for kind, _ in (*draft.references, *objects.references))
        nameless = error is None and not any(kind in LINKING_KINDS for kind in named)
        if nameless:
            draft.fault(Bad("no_linking_reference", event.where, _nothing_named(event)))
        if draft.faults:
            raise Bad.of(draft.faults, draft.warnings)
        identities = Identities(self.context.sender, STANDARD)
        # The event that was wrong may have had many parts; a declaration that repeats its list has as many.
        is_short = error is not None and not objects.listed and bool(event.text("eventID"))
        for number, part in enumerate(self._all_parts(draft, objects) if is_short else self._parts(draft, objects)):
            part_id = own if not number else f"{own}\x1f{number}"
            if error is not None:
                part.retracts = identities.own(part_id)
                part_id = f"error in {part_id}"
            yield Verdict(event.where, event=part.finish(identities.own(part_id)))

    def _all_parts(self, draft: Draft, objects: _Objects) -> Iterator[Draft]:
        """A declaration that lists nothing, once for each part that the event with its id can have had."""
        allowed = min(_PARTS_MOST, 1 + self.spare)
        if allowed < _PARTS_MOST:
            text = f"lists nothing; of {_PARTS_MOST} parts that the event may have had {allowed} are withdrawn; send it alone"
            draft.warn("too_many_references", text)
        (first,) = self._parts(draft, objects)
        self.spare -= allowed - 1
        yield first
        for _ in range(1, allowed):
            part = copy.copy(first)
            part.references, part.warnings = dict(first.references), list(first.warnings)
            yield part

    def _parts(self, draft: Draft, objects: _Objects) -> Iterator[Draft]:
        """The same statement about as many objects as an event can name, until all are named."""
        documents = sum(kind in LINKING_KINDS for kind, _ in draft.references)
        parents = 0 if objects.parent is None else 1
        most = max(1, REFERENCES_MAX - len(draft.references) - parents)
        bounded = max(1, LINKING_MAX - documents - parents)
        others = objects.others
        if len(others) > min(
            most, bounded
        ):  # the same parts in whatever order the objects are listed: the event's id is the same
            others = sorted(others, key=lambda one: one.reference)
        groups: list[list[_Object]] = [[]]
        named = 0
        for one in others:
            is_bounded = one.reference[0] in _BOUNDED
            if len(groups[-1]) == most or named + is_bounded > bounded:
                groups.append([])
                named = 0
            named += is_bounded
            groups[-1].append(one)
        allowed = min(_PARTS_MOST, 1 + self.spare)
        left_out = objects.left_out + sum(len(group) for group in groups[allowed:])
        if left_out:
            total = len(others) + objects.left_out
            text = f"{left_out} of {total} objects are left out: more than one message can name; send several"
            draft.warn("too_many_references", text)
        self.spare -= len(groups[:allowed]) - 1
        for group in groups[:allowed]:
            part = copy.copy(draft)
            part.references, part.warnings = dict(draft.references), list(draft.warnings)
            for one in (*([objects.parent] if objects.parent else []), *group):
                part.refer(*one.reference, one.where)
            yield part


@dataclass(frozen=True, slots=True)
class _Object:
    """Something that the event is about, by which a consignment can be found or told."""

    reference: tuple[ReferenceKind, str]
    where: str


@dataclass(slots=True)
class _Objects:
    """What an event is about: the parent, and the others, each once. `listed`: whether it lists anything, of whatever use;
    `left_out`: how many were not looked at, because no event could name them any more."""

    parent: _Object | None = None
    others: list[_Object] = field(default_factory=list)
    listed: bool = False
    left_out: int = 0

    @property
    def references(self) -> Iterator[tuple[ReferenceKind, str]]:
        if self.parent is not None:
            yield self.parent.reference
        yield from (one.reference for one in self.others)


@dataclass(frozen=True, slots=True)
class _Statement:
    """What an event says, its words made plain."""

    event: Node
    words: Vocabulary
    kind: str
    action: str
    step: str
    disposition: str

    @classmethod
    def of(cls, event: Node, words: Vocabulary) -> _Statement:
        kind = _type_of(event.fields, words)
        if kind not in _EVENTS:
            if not kind:
                raise Bad("missing_field", event.at("type"), "type is required")
            raise Bad("bad_value", event.at("type"), f"{kind[:80]} is none of {', '.join(_EVENTS)}")
        action = "" if kind == "TransformationEvent" or "errorDeclaration" in event.fields else event.required("action").upper()
        if action and action not in _ACTIONS:
            raise Bad("bad_value", event.at("action"), f"{action[:40]} is none of {', '.join(_ACTIONS)}")
        step, disposition = event.text("bizStep") or "", event.text("disposition") or ""
        return cls(event, words, kind, action, words.short("BizStep", step), words.short("Disp", disposition))

    def locations(self, name: str, inner: str) -> Sequence[str]:
        """The ids in `sourceList` or `destinationList`, locations before parties."""
        found = []
        for node in self.event.nodes(name):
            kind = self.words.short("SDT", node.text(*_TYPE) or "")
            if said := node.text(inner):
                found.append((kind != "location", said))
        return [said for _, said in sorted(found, key=lambda pair: pair[0])]


def _meaning(draft: Draft, statement: _Statement, where: Where, objects: _Objects) -> None:
    """What the event is to a journey."""
    if statement.step and statement.step not in BIZ_STEPS:
        draft.unmapped()
    if statement.disposition in _BAD_DISPOSITIONS:
        draft.reason = statement.disposition
    elif statement.disposition and statement.disposition not in DISPOSITIONS:
        text = f"{statement.disposition[:80]} is no disposition that is known; not used"
        draft.warn("unknown_disposition", text, statement.event.at("disposition"))
    if statement.kind in ("AggregationEvent", "AssociationEvent") and statement.action != "DELETE":
        draft.parent = objects.parent.reference if objects.parent else None
    if statement.kind == "TransformationEvent" or statement.action == "DELETE":
        return
    milestone = MILESTONES.get((statement.step, where))
    if milestone is None:
        return
    if objects.listed and not any(kind in ("sscc", "container") for kind, _ in objects.references):
        draft.warn("items_only", "names items but no logistic unit (SSCC, container); the event moves nothing")
        return
    draft.milestone = milestone


def _erroneous(draft: Draft, error: Node, words: Vocabulary) -> None:
    """An event that is declared wrong withdraws itself. The corrective events speak for themselves; their ids are shown."""
    draft.updated_at = draft.in_utc(error.time("declarationTime"), "declarationTime", error.at("declarationTime"))
    reason = words.short("ER", error.text("reason") or "")
    ids = error.fields.get("correctiveEventIDs") or error.fields.get("correctiveEventID") or []
    texts = [one for one in (ids if isinstance(ids, list) else [ids]) if isinstance(one, str)]
    draft.reason = "; see ".join(part for part in (reason, ", ".join(texts[:8])) if part)


def _time(draft: Draft, event: Node) -> None:
    moment = event.time("eventTime")
    if moment is None:
        raise Bad("missing_field", event.at("eventTime"), "eventTime is required")
    where = event.at("eventTimeZoneOffset")
    zone = _offset(draft, event.text("eventTimeZoneOffset"), where)
    if moment.tzinfo is not None:
        draft.occurred_at = moment.astimezone(zone) if zone else moment
    elif zone is not None:
        draft.warn("zone_assumed", "eventTime has no offset; that of eventTimeZoneOffset taken", event.at("eventTime"))
        draft.zone_assumed = True
        draft.occurred_at = moment.replace(tzinfo=zone)
    else:
        draft.occurred_at = draft.at_local(moment, zone_of(draft.place, draft.context.registers), event.at("eventTime"))


def _offset(draft: Draft, text: str | None, where: str) -> timezone | None:
    if text is None:
        draft.warn("missing_offset", "eventTimeZoneOffset is missing; the offset of eventTime stands", where)
        return None
    match = _OFFSET.fullmatch(text)
    offset = timedelta(hours=int(match[2]), minutes=int(match[3])) if match else timedelta.max
    if match is None or int(match[3]) > 59 or offset > timedelta(hours=14):
        draft.warn("bad_offset", f"{text[:20]} is no offset like -07:00; that of eventTime stands", where)
        return None
    return timezone(-offset if match[1] == "-" else offset) if offset else UTC


def _places(draft: Draft, statement: _Statement) -> Where:
    """Sets where it was, and from where to where the goods go; returns what the place is in a journey.

    The read point says where the event was, the business location where the objects are after it: the first of them that our
    register knows counts, else the first.
    """
    said = [text for name in ("readPoint", "bizLocation") if (text := _location(statement.event, name))]
    places = [_place(draft, text, statement.words) for text in said]
    known = [place for place in places if place is not None and place.facility]
    draft.place = next(iter([*known, *(place for place in places if place is not None)]), None)
    sources, destinations = statement.locations("sourceList", "source"), statement.locations("destinationList", "destination")
    draft.origin = _place(draft, sources[0], statement.words) if sources else None
    ends = [_place(draft, text, statement.words) for text in destinations]
    draft.destination = ends[0] if ends else None
    facility = draft.context.registers.facilities.get(draft.place.facility or "") if draft.place else None
    if facility is None:
        return ""
    if facility.kind == "hospital":
        return "consignee"
    if facility.kind == "warehouse":  # of many on the way: the consignee's where the goods are sent to it
        return "consignee" if any(end is not None and end.facility == facility.code for end in ends) else ""
    return "port"


def _location(event: Node, name: str) -> str | None:
    """The id of a location: of an object, or, as some write it, plain."""
    if isinstance(event.fields.get(name), str):
        return event.text(name)
    node = event.node(name)
    return node.text("id", "@id") if node else None


def _place(draft: Draft, text: str, words: Vocabulary) -> Place | None:
    uri = words.uri(text)
    if uri.startswith("urn:epc:id:imovn:"):
        draft.mode = "sea"
        draft.vessel(uri.rpartition(":")[2], None, None)
        return None
    found = gs1_id(uri)
    if found is None or found.key not in ("414", "417"):
        return Place(name=draft.short(uri) or None)
    facility = facility_by_code(found.value, draft.context.registers)
    if facility is not None:
        return Place(facility=facility.code, unlocode=facility.unlocode)
    return Place(name=draft.short(f"GLN {found.value}" + (f"/{found.qualified}" if found.qualified else "")))


def _objects(draft: Draft, statement: _Statement) -> _Objects:
    """What the event is about, in the order in which its type lists it."""
    event, found = statement.event, _Objects()
    known: set[tuple[ReferenceKind, str]] = set()
    parent = event.text("parentID")
    if parent is not None:
        found.listed = True
        reference = _reference(draft, parent, event.at("parentID"), statement.words)
        if reference is not None:
            found.parent = _Object(reference, event.at("parentID"))
            known.add(reference)
    for name, of_class in _OBJECTS:
        values = event.fields.get(name)
        if values is None:
            continue
        if not isinstance(values, list):
            raise Bad("bad_type", event.at(name), "an array is expected here")
        for index, value in enumerate(values):
            found.listed = True
            if len(found.others) == _OBJECTS_MOST:
                found.left_out += len(values) - index
                break
            where = f"{event.at(name)}/{index}"
            if of_class:
                value = Node.of(value, where).text("epcClass")
                if value is None:
                    raise Bad("missing_field", f"{where}/epcClass", "epcClass is required")
            if not isinstance(value, str):
                raise Bad("bad_type", where, "text is expected here")
            reference = _reference(draft, value, where, statement.words)
            if reference is not None and reference not in known:
                known.add(reference)
                found.others.append(_Object(reference, where))
    return found


def _reference(draft: Draft, text: str, where: str, words: Vocabulary) -> tuple[ReferenceKind, str] | None:
    uri = words.uri(text.strip())
    if uri.startswith("urn:epc:id:bic:"):
        return "container", uri.rpartition(":")[2].upper()
    found = gs1_id(uri)
    reference = found.reference() if found else None
    is_class = found is not None and found.key == "01" and not found.qualifier
    if reference is None and not is_class:
        draft.warn("unused_id", f"{text[:80]} is none of SSCC, SGTIN, LGTIN, container; not used", where)
    return reference


def _nothing_named(event: Node) -> str:
    """The sentence for an event that no consignment is found by."""
    lists = [event.fields.get(name) for name, of_class in _OBJECTS if not of_class]
    ids = [one for values in [[event.fields.get("parentID")], *lists] if isinstance(values, list) for one in values[:4]]
    said = ", ".join(str(one)[:60] for one in ids if one)[:200]
    found = f"names {said}, by which no consignment is found" if said else "names no object with a number of its own"
    return f"{found}; give an SSCC, an SGTIN with serial, a container (urn:epc:id:bic:) or a bill of lading"


def _transactions(draft: Draft, statement: _Statement) -> None:
    """Bills of lading and purchase orders; other papers say nothing of which consignment it is."""
    for node in statement.event.nodes("bizTransactionList"):
        kind = _TRANSACTIONS.get(statement.words.short("BTT", node.text(*_TYPE) or ""))
        text = node.text("bizTransaction", "id", "@id")
        if kind is not None and text is not None:
            draft.refer(kind, _number(statement.words.uri(text)), node.at("bizTransaction"))


def _number(uri: str) -> str:
    """The number in the id of a paper: of a CBV URN (`urn:epcglobal:cbv:bt:GLN:NUMBER`), a GS1 key, a web address, or plain."""
    if uri.startswith("urn:epcglobal:cbv:bt:"):
        return uri.split(":", 5)[-1]
    found = gs1_id(uri)
    if found is not None:
        reference = found.reference()
        return reference[1] if reference else found.value
    if uri.startswith(("http://", "https://")):
        return re.split("[?#]", uri.rstrip("/"), maxsplit=1)[0].rpartition("/")[2]
    return uri.rpartition(":")[2] if uri.startswith("urn:") else uri
