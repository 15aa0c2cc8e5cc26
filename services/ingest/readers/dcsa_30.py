"""DCSA Track & Trace 3.0, in the three forms that were published under that number and do not fit each other.

| form | an event |
| --- | --- |
| 3.0.0-Beta-1 (March 2023) | `metadata` (id, type, `retractedEventID`) and `payload` (the rest, flat) |
| 3.0.0 of January 2026 | `eventClassification` with codes of four letters, and `...Details` |
| 3.0.0-20260525-beta (May 2026) | the same, with full words, and members without `Code` in their names |

One function reads all: a member is looked for where, and by the names by which, any form has it. What the codes become:
services/ingest/readers/dcsa_codes.py.

An event is told by its originating parties and its id; of several versions the one with the latest `eventUpdatedDateTime`
counts (the revision, as for any event). `isRetracted` withdraws all versions: by a revision of its own where it has such a
time, else for good, as Beta-1's `retractedEventID` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.shipment_event_v1 import Place, ShipmentEvent
from schemas.words import Classifier
from services.ingest.places import zone_of
from services.ingest.readers import dcsa_codes as codes
from services.ingest.readers.dcsa_parts import country, facility, in_utc, locode
from services.ingest.readers.draft import Bad, Draft, Identities
from services.ingest.readers.json_items import Item, Node
from services.ingest.readers.model import Context, Verdict

STANDARD: Final = "dcsa.3.0"
READER_VERSION: Final = 3

_TYPES: Final = {
    # type of event: the members that may name what happened, one of each tuple
    "EQUIPMENT": (("equipmentEventTypeCode", "equipmentEventType"),),
    "TRANSPORT": (("transportEventTypeCode", "transportEventType"),),
    "SHIPMENT": (("shipmentEventTypeCode", "shipmentEventType"),),
    "REEFER": (("reeferEventTypeCode", "reeferEventType"),),
    "IOT": (("iotEventTypeCode", "iotEventType"), ("iotEventCode",)),
}
_KNOWN: Final = {
    "EQUIPMENT": codes.EQUIPMENT_30,
    "TRANSPORT": codes.TRANSPORT_30,
    "SHIPMENT": codes.SHIPMENT_30,
    "REEFER": codes.REEFER_30,
    "IOT": codes.IOT_30,
}
_EMPTY_MATTERS: Final = codes.equipment_matters(codes.EQUIPMENT_MILESTONES_30)
_MARKS: Final = ("eventClassification", "eventRouting", "isRetracted")
_LOOKED_AT: Final = 8  # events of a page, to tell what it holds


def is_event(value: object) -> bool:
    """Whether this object is a DCSA 3.0 event of any form."""
    if not isinstance(value, dict):
        return False
    head = value.get("metadata")
    if isinstance(head, dict):
        return "payload" in value or "retractedEventID" in head or ("eventID" in head and "eventType" in head)
    return any(mark in value for mark in _MARKS)


def looks_like(value: object) -> bool:
    """Whether this object is a DCSA 3.0 event, or a page of them."""
    return any(is_event(one) for one in page_or_event(value)) or (isinstance(value, dict) and "feedbackElements" in value)


def page_or_event(value: object) -> Sequence[object]:
    """The first events of a page (`events`, and members about the page), else the value itself."""
    events = value.get("events") if isinstance(value, dict) else None
    return events[:_LOOKED_AT] if isinstance(events, list) else [value]


def verdict(item: Item, context: Context, identities: Identities) -> Verdict:
    """What became of one event."""
    if item.problem is not None:
        return Verdict(item.position, problem=item.problem)
    try:
        said = _Said.of(Node.of(item.value, item.position))
        event = _retraction(said, context, identities) or _event(said, context, identities)
        return Verdict(item.position, event=event)
    except Bad as bad:
        return item.refused(bad)


@dataclass(frozen=True, slots=True)
class _Said:
    """The parts of an event, wherever its form has them."""

    whole: Node
    head: Node  # ids and times of the record
    body: Node  # when, where, why
    type: Node
    kind: Node
    equipment: Node
    transport: Node
    shipment: Node
    iot: Node

    @classmethod
    def of(cls, whole: Node) -> _Said:
        head = whole.node("metadata")
        if head is not None:
            body = whole.node("payload") or Node({}, whole.at("payload"))
            return cls(whole, head, body, head, body, body, body, body, body)
        kind, *details = (
            whole.node(part) or Node({}, whole.at(part))
            for part in ("eventClassification", "equipmentDetails", "transportDetails", "shipmentDetails", "iotDetails")
        )
        return cls(whole, whole, whole, kind, kind, *details)

    def key(self, own_id: str) -> str:
        """What tells an event of this producer: the originating parties that it names, and the id."""
        routing = self.whole.node("eventRouting")
        if routing is None:
            return own_id
        one = routing.node("originatingParty")
        parties = [*([one] if one else []), *routing.nodes("originatingParties")]
        names = ("partyCode", "codeListProvider", "codeListName")
        said = sorted("\x1f".join(party.text(name) or "" for name in names) for party in parties)
        return "\x1e".join([*said, own_id])

    @property
    def phase(self) -> str:
        """The phase of the transport, where the sender names one."""
        if self.equipment.fields.get("isTransshipmentMove") is True:
            return "TRANSSHIPMENT"
        return (self.equipment.text("movementType", "transportPhase") or "").upper()


def _retraction(said: _Said, context: Context, identities: Identities) -> ShipmentEvent | None:
    """The event that withdraws another, or itself; None where nothing is withdrawn. What else such an event says is void."""
    target = said.head.text("retractedEventID")
    own = said.head.text("eventID")
    if target is None and not _is_retracted(said):
        return None
    draft = _start(said, context, "retraction")
    draft.occurred_at = draft.updated_at or draft.created_at or context.received_at
    draft.at_receipt = draft.updated_at is None and draft.created_at is None
    if target is not None:
        draft.retracts = identities.own(said.key(target))
        return draft.finish(identities.own(said.key(own or f"retraction of {target}")))
    if own is None:
        raise Bad("missing_field", said.head.at("eventID"), "eventID is required: which event is withdrawn?")
    if draft.updated_at is not None:
        draft.retracted = True
        return draft.finish(identities.own(said.key(own)))
    # Without a time it cannot be ordered among the versions: it is a word of its own, and final.
    draft.retracts = identities.own(said.key(own))
    return draft.finish(identities.own(said.key(f"retraction of {own}")))


def _is_retracted(said: _Said) -> bool:
    flag = said.whole.fields.get("isRetracted")
    if flag is None or isinstance(flag, bool):
        return bool(flag)
    if isinstance(flag, str) and flag.lower() in ("true", "false"):
        return flag.lower() == "true"
    raise Bad("bad_type", said.whole.at("isRetracted"), "true or false is expected here")


def _start(said: _Said, context: Context, code: str, classifier: Classifier = "actual") -> Draft:
    draft = Draft(context, STANDARD, READER_VERSION, said.whole.where, code, classifier=classifier)
    own = said.head.text("eventID")
    draft.source_id = draft.short(own, said.head.at("eventID")) if own else None
    draft.created_at = in_utc(draft, said.head, "eventCreatedDateTime")
    draft.updated_at = in_utc(draft, said.head, "eventUpdatedDateTime")
    return draft


def _event(said: _Said, context: Context, identities: Identities) -> ShipmentEvent:
    if "metadata" in said.whole.fields and "payload" not in said.whole.fields:
        raise Bad("missing_field", said.whole.at("payload"), "payload is required where nothing is retracted")
    kind = said.type.required("eventTypeCode", "eventType").upper()
    classifier = codes.CLASSIFIERS.get(said.kind.required("eventClassifierCode", "eventClassifier").upper())
    if classifier is None:
        where = said.kind.at(_name(said.kind, "eventClassifierCode", "eventClassifier"))
        raise Bad("bad_value", where, "the classifier is none of PLN, EST, ACT, PLANNED, ESTIMATED, ACTUAL")
    words = _words(said, kind)
    draft = _start(said, context, "/".join([kind, *words]), classifier)
    call = said.transport.node("transportCall")
    role = _place(draft, said, call)
    draft.gather(_time, draft, said)
    if call is not None:
        _transport(draft, codes.code_of(words[0]) if words else "", call)
    _references(draft, said, kind)
    _reason(draft, said)
    if kind not in _TYPES or not all(codes.code_of(word) in _KNOWN[kind] for word in words):
        draft.unmapped()
    if kind == "EQUIPMENT":
        _equipment(draft, codes.code_of(words[0]), role, said)
    elif kind == "TRANSPORT":
        _moved(draft, codes.code_of(words[0]), role, call, said)
    elif kind == "SHIPMENT":
        _shipment(draft, codes.code_of(words[0]), said)
    _in_phase(draft, said)
    return draft.finish(_event_id(said, draft, identities))


def _words(said: _Said, kind: str) -> Sequence[str]:
    """What happened, in the sender's words; of an unknown type of event nothing is known to look for."""
    members = _TYPES.get(kind, ())
    first = [said.kind.required(*names).upper() for names in members[:1]]
    more = [word.upper() for names in members[1:] if (word := said.iot.text(*names))]
    return [*first, *more]


def _event_id(said: _Said, draft: Draft, identities: Identities) -> str:
    own = said.head.text("eventID")
    if own is not None:
        return identities.own(said.key(own))
    stamps = ("eventCreatedDateTime", "eventUpdatedDateTime")
    tokens = {key: value for key, value in said.whole.fields.items() if key not in stamps}
    if said.head is not said.whole:
        tokens["metadata"] = {key: value for key, value in said.head.fields.items() if key not in stamps}
    return identities.of(tokens, None if draft.classifier == "actual" else said.head.text(*reversed(stamps)))


def _equipment(draft: Draft, code: str, role: str, said: _Said) -> None:
    member = _name(said.equipment, "emptyIndicatorCode", "emptyIndicator") if said.equipment.fields else ""
    indicator = (said.equipment.text("emptyIndicatorCode", "emptyIndicator") or "").upper()
    draft.empty = {"EMPTY": True, "LADEN": False}.get(indicator)
    draft.emptied = code == codes.STRIPPED
    if draft.empty is None and code in _EMPTY_MATTERS:
        where = said.equipment.at(member or "emptyIndicatorCode")
        draft.warn("laden_assumed", f"{member} is {indicator[:20] or 'missing'}; taken as laden", where)
    draft.milestone = codes.equipment_milestone(codes.EQUIPMENT_MILESTONES_30, code, bool(draft.empty), role)
    draft.hold = codes.EQUIPMENT_HOLDS_30.get(code)


def _moved(draft: Draft, code: str, role: str, call: Node | None, said: _Said) -> None:
    if code not in codes.TRANSPORT_30:
        return
    mode = (call.text("modeOfTransport") or "" if call else "").upper()
    if mode not in codes.MODES and mode != "MULTIMODAL":
        text = f"modeOfTransport is {mode[:20] or 'missing'}; the event moves nothing"
        draft.warn("unknown_mode", text, said.transport.at("transportCall"))
    at_consignee = mode == "TRUCK" and role in codes.CONSIGNEE
    draft.milestone = codes.TRANSPORT_MILESTONES.get((code, mode, at_consignee))


def _shipment(draft: Draft, code: str, said: _Said) -> None:
    document = _document(said)
    kind = document[0] if document else ""
    draft.milestone, draft.hold = codes.shipment_outcome(code, kind)


def _in_phase(draft: Draft, said: _Said) -> None:
    """A milestone belongs to its phase; what the sender says of another phase is news that moves nothing."""
    phase = said.phase
    if not phase:
        return
    if phase not in codes.PHASES:
        member = _name(said.equipment, "movementType", "transportPhase")
        draft.warn("unknown_phase", f"{phase[:40]} is no phase of a transport; not used", said.equipment.at(member))
    elif draft.milestone is not None:
        draft.milestone = codes.PHASES[phase].get(draft.milestone)


def _time(draft: Draft, said: _Said) -> None:
    moment = said.body.time("eventDateTime")
    if moment is None:
        raise Bad("missing_field", said.body.at("eventDateTime"), "eventDateTime is required")
    if moment.tzinfo is None:
        moment = draft.at_local(moment, zone_of(draft.place, draft.context.registers), said.body.at("eventDateTime"))
    draft.occurred_at = moment


def _place(draft: Draft, said: _Said, call: Node | None) -> str:
    """Sets the place: the event's own location, else that of the transport call. Returns the code of the facility's type."""
    own = said.body.node("eventLocation") or said.body.node("location")
    called = call.node("location") if call else None
    nodes = [node for node in (own, called, call) if node is not None]
    types = ("facilityTypeCode", "facilityType")
    role = next((text.upper() for node in (said.body, *nodes) if (text := node.text(*types))), None)
    facilities = [found for node in nodes for found in (node.node("facility"), node) if found is not None]
    unlocode = locode(draft, nodes)
    names = (*(node.text("locationName") for node in nodes), *(node.text("facilityName") for node in facilities))
    name = next((name for name in names if name), None)
    place = Place(
        unlocode=unlocode,
        name=draft.short(name) if name else None,
        country=country(nodes),
        facility=facility(draft, facilities, unlocode),
        role=draft.short(role) if role else None,
    )
    draft.place = place if place != Place() else None
    return codes.code_of(role or codes.NO_TYPE)


def _transport(draft: Draft, code: str, call: Node) -> None:
    mode = (call.text("modeOfTransport") or "").upper()
    draft.mode = codes.MODES.get(mode)
    out = _voyage(call, "exportVoyageNumberOrReference", "carrierExportVoyageNumber", "universalExportVoyageReference")
    inward = _voyage(call, "importVoyageNumberOrReference", "carrierImportVoyageNumber", "universalImportVoyageReference")
    # A call has two voyages: goods come on the import voyage and leave on the export voyage.
    voyage = (inward or out) if code in ("ARRI", "APPROACHING", "DISC", "GTOT") else (out or inward)
    vessel = next((found for key in ("vesselTransport", "vessel", "barge") if (found := call.node(key))), None)
    if vessel is not None and draft.mode in ("sea", None):
        where = vessel.at("vesselIMONumber")
        draft.vessel(vessel.text("vesselIMONumber"), vessel.text("vesselName", "name"), voyage, where)
        if (vessel.text("operatorCarrierCodeListProvider") or "NMFTA").upper() == "NMFTA":
            draft.carrier(vessel.text("operatorCarrierCode"))
    elif voyage:
        draft.vessel(None, None, voyage)
    rail = call.node("railTransport") or call
    draft.equipment(rail.text("railCarReference", "railCar"), rail.at(_name(rail, "railCar", "railCarReference")))
    truck = call.node("truckTransport")
    tractor = truck.node("tractorDetails") if truck else None
    plate = tractor.text("licensePlate") if tractor else call.text("licencePlate")
    if plate:
        draft.transport["vehicle"] = draft.short(plate)


def _voyage(call: Node, member: str, *flat: str) -> str | None:
    node = call.node(member)
    return node.text("carrierVoyageNumber", "universalVoyageReference") if node else call.text(*flat)


def _document(said: _Said) -> tuple[str, str, str] | None:
    """The document that the event is about: (type's code, reference, its pointer). Flat in Beta-1, an object since."""
    found = said.shipment.fields.get("documentReference")
    if isinstance(found, dict):
        return _reference(Node(found, said.shipment.at("documentReference")))
    value = said.shipment.text("documentReference")
    kind = codes.code_of((said.shipment.text("documentTypeCode") or "").upper())
    return (kind, value or "", said.shipment.at("documentReference")) if kind or value else None


def _reference(node: Node) -> tuple[str, str, str]:
    name = _name(node, "reference", "value")
    kind = (node.text("typeCode", "type") or "").upper()
    return codes.code_of(kind), node.text("reference", "value") or "", node.at(name)


def _references(draft: Draft, said: _Said, kind_of_event: str) -> None:
    draft.equipment(said.equipment.text("equipmentReference"), said.equipment.at("equipmentReference"))
    if kind_of_event == "EQUIPMENT" and draft.names_a("container"):
        draft.single = codes.ONE_CONTAINER
    document = _document(said)
    shipment = said.shipment
    named = [*([document] if document else [])]
    named += [_reference(node) for node in shipment.nodes("additionalDocumentReferences")]
    named += [_reference(node) for node in shipment.nodes("relatedDocumentReferences")]
    for replaced in shipment.nodes("documentReferenceReplacements"):  # split and combined: whoever knows either document
        named += [_reference(node) for side in ("oldReferences", "newReferences") for node in replaced.nodes(side)]
    named += [_reference(node) for node in (*shipment.nodes("shipmentReferences"), *shipment.nodes("references"))]
    _refer(draft, named)
    draft.single = frozenset()  # the new container of a replacement contradicts nothing
    for replaced in shipment.nodes("shipmentReferenceReplacements"):  # not the old container: it goes elsewhere
        _refer(draft, [_reference(node) for node in replaced.nodes("newReferences")])
    for node in said.equipment.nodes("seals"):
        draft.refer("seal", node.text("number", "sealNumber"), node.at("number"))


def _refer(draft: Draft, named: Sequence[tuple[str, str, str]]) -> None:
    for kind, value, where in named:
        if kind == "EQ":
            draft.equipment(value, where)
        elif kind in codes.DOCUMENTS:
            draft.refer(codes.DOCUMENTS[kind], value, where)


def _reason(draft: Draft, said: _Said) -> None:
    delays = said.transport.fields.get("delayReasonCodes") or []
    if not isinstance(delays, list) or not all(isinstance(delay, str) for delay in delays):
        raise Bad("bad_type", said.transport.at("delayReasonCodes"), "an array of codes is expected here")
    parts = [
        *delays,
        said.transport.text("delayReasonCode"),
        said.transport.text("changeRemark"),
        said.shipment.text("reason"),
        said.body.text("reason"),
    ]
    draft.reason = " ".join(dict.fromkeys(part for part in parts if part))


def _name(node: Node, *names: str) -> str:
    """That of these names which the node has; the last where it has none: of the newest form."""
    return next((name for name in names if node.fields.get(name) is not None), names[-1])
