"""DCSA Track & Trace: the events that ocean carriers push (specification: DCSA TNT v2.2, Apache-2.0); 3.0 is in dcsa_30.py.

Deprecated names of earlier versions are read too. Which code becomes which milestone: docs/milestones.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from schemas.shipment_event_v1 import Place
from services.ingest.places import zone_of
from services.ingest.readers import dcsa_30
from services.ingest.readers import dcsa_codes as codes
from services.ingest.readers.dcsa_parts import country, facility, in_utc, locode
from services.ingest.readers.draft import Bad, Draft, Identities
from services.ingest.readers.json_items import Item, Node, unfolded
from services.ingest.readers.model import Context, Envelope, Told, Verdict

STANDARD: Final = "dcsa.2.2"
READER_VERSION: Final = 3

_EMPTY_MATTERS: Final = codes.equipment_matters(codes.EQUIPMENT_MILESTONES)


def read(items: Sequence[Item], context: Context) -> Told:
    """One verdict an event, in order; a bad event does not refuse the others. An event of 3.0 among them is read as that: a
    carrier that changes over pushes to the same callback."""
    old, new = Identities(context.sender, STANDARD), Identities(context.sender, dcsa_30.STANDARD)
    events = unfolded(items, "events")
    is_new = [dcsa_30.is_event(item.value) for item in events]
    for item, new_one in zip(events, is_new, strict=True):
        yield dcsa_30.verdict(item, context, new) if new_one else _verdict(item, context, old)
    return Envelope(dcsa_30.STANDARD if any(is_new) else STANDARD)


def looks_like(value: object) -> bool:
    """Whether this object is a DCSA event of 2.2, or a page of them."""
    return any(
        isinstance(one, dict) and "eventType" in one and ("eventDateTime" in one or "eventClassifierCode" in one)
        for one in dcsa_30.page_or_event(value)
    )


def _verdict(item: Item, context: Context, identities: Identities) -> Verdict:
    if item.problem is not None:
        return Verdict(item.position, problem=item.problem)
    try:
        event = Node.of(item.value, item.position)
        draft = _draft(event, context)
        return Verdict(item.position, event=draft.finish(_event_id(event, draft, identities)))
    except Bad as bad:
        return item.refused(bad)


def _event_id(event: Node, draft: Draft, identities: Identities) -> str:
    own = event.text("eventID")
    if own is not None:
        return identities.own(own)
    said = {key: value for key, value in event.fields.items() if key not in ("eventCreatedDateTime", "eventUpdatedDateTime")}
    stamp = None if draft.classifier == "actual" else event.text("eventCreatedDateTime")
    return identities.of(said, stamp)


def _draft(event: Node, context: Context) -> Draft:
    kind = event.required("eventType").upper()
    names = {
        "EQUIPMENT": ("equipmentEventTypeCode", "eventTypeCode"),
        "TRANSPORT": ("transportEventTypeCode", "eventTypeCode"),
        "SHIPMENT": ("shipmentEventTypeCode", "shipmentInformationTypeCode", "eventTypeCode"),
    }.get(kind)
    if names is None:
        raise Bad("bad_value", event.at("eventType"), f"{kind[:40]} is none of EQUIPMENT, TRANSPORT, SHIPMENT")
    classifier = codes.CLASSIFIERS.get((event.text("eventClassifierCode") or "").upper())
    code = (event.text(*names) or "").upper()
    draft = Draft(context, STANDARD, READER_VERSION, event.where, f"{kind}/{code}", classifier=classifier or "actual")
    draft.gather(event.required, "eventClassifierCode")
    if classifier is None and not draft.faults:
        draft.fault(Bad("bad_value", event.at("eventClassifierCode"), "the classifier is none of PLN, EST, ACT"))
    draft.gather(event.required, *names)
    own = event.text("eventID")
    draft.source_id = draft.short(own, event.at("eventID")) if own else None
    call = event.node("transportCall")
    draft.gather(_places, draft, event, call)
    draft.gather(_times, draft, event)
    draft.gather(_transport, draft, kind, code, event, call)
    draft.gather(_references, draft, event, kind)
    role = (draft.place.role if draft.place else None) or codes.NO_TYPE
    if not code:
        pass  # told above
    elif kind == "EQUIPMENT":
        _equipment(draft, code, role, event)
    elif kind == "TRANSPORT":
        _moved(draft, code, role, event, call)
    else:
        _shipment(draft, code, event)
    draft.reason = " ".join(
        part
        for part in (
            event.text("delayReasonCode"),
            event.text("changeRemark", "vesselScheduleChangeRemark"),
            event.text("reason"),
        )
        if part
    )
    return draft


def _equipment(draft: Draft, code: str, role: str, event: Node) -> None:
    if code not in codes.EQUIPMENT:
        draft.unmapped()
    indicator = (event.text("emptyIndicatorCode") or "").upper()
    draft.empty = {"EMPTY": True, "LADEN": False}.get(indicator)
    draft.emptied = code == codes.STRIPPED
    if draft.empty is None and code in _EMPTY_MATTERS:
        where = event.at("emptyIndicatorCode")
        draft.warn("laden_assumed", f"emptyIndicatorCode is {indicator[:20] or 'missing'}; taken as laden", where)
    draft.milestone = codes.equipment_milestone(codes.EQUIPMENT_MILESTONES, code, bool(draft.empty), role)


def _moved(draft: Draft, code: str, role: str, event: Node, call: Node | None) -> None:
    if code not in codes.TRANSPORT:
        draft.unmapped()
        return
    mode = (call.text("modeOfTransport") or "" if call else "").upper()
    if mode not in codes.MODES:
        draft.warn(
            "unknown_mode", f"modeOfTransport is {mode[:20] or 'missing'}; the event moves nothing", event.at("transportCall")
        )
    draft.milestone = codes.TRANSPORT_MILESTONES.get((code, mode, mode == "TRUCK" and role in codes.CONSIGNEE))


def _shipment(draft: Draft, code: str, event: Node) -> None:
    if code not in codes.SHIPMENT:
        draft.unmapped()
        return
    document = (event.text("documentTypeCode") or "").upper()
    draft.milestone, draft.hold = codes.shipment_outcome(code, document)


def _times(draft: Draft, event: Node) -> None:
    moment = event.time("eventDateTime")
    if moment is None:
        raise Bad("missing_field", event.at("eventDateTime"), "eventDateTime is required")
    if moment.tzinfo is None:
        moment = draft.at_local(moment, zone_of(draft.place, draft.context.registers), event.at("eventDateTime"))
    draft.occurred_at = moment
    draft.created_at = in_utc(draft, event, "eventCreatedDateTime")
    draft.updated_at = in_utc(draft, event, "eventUpdatedDateTime")


def _places(draft: Draft, event: Node, call: Node | None) -> None:
    """The event's own location, else that of the transport call: the first that names anything."""
    location = event.node("eventLocation")
    called = call.node("location") if call else None
    nodes = [node for node in (location, called, call) if node is not None]
    if not nodes:
        return
    role = next((role for node in (event, *nodes) if (role := node.text("facilityTypeCode"))), None)
    unlocode = locode(draft, nodes)
    name = next((name for node in nodes if (name := node.text("locationName"))), None) or (
        call.text("otherFacility") if call else None
    )
    place = Place(
        unlocode=unlocode,
        name=draft.short(name) if name else None,
        country=country(nodes),
        facility=facility(draft, nodes, unlocode),
        role=draft.short(role.upper()) if role else None,
    )
    draft.place = place if place != Place() else None


def _transport(draft: Draft, kind: str, code: str, event: Node, call: Node | None) -> None:
    voyage_node = call or event
    carrier = voyage_node.text("carrierVoyageNumber") or event.text("carrierVoyageNumber")
    out = voyage_node.text("exportVoyageNumber", "carrierExportVoyageNumber") or carrier
    inward = voyage_node.text("importVoyageNumber", "carrierImportVoyageNumber") or carrier
    # A call has two voyages: goods come on the import voyage and leave on the export voyage.
    voyage = (inward or out) if code in ("ARRI", "DISC", "GTOT") else (out or inward)
    if call is None:
        return
    draft.mode = codes.MODES.get((call.text("modeOfTransport") or "").upper())
    vessel = call.node("vessel") or Node({}, call.where)
    if draft.mode in ("sea", None):
        imo = vessel.text("vesselIMONumber") or call.text("vesselIMONumber")
        name = vessel.text("vesselName") or call.text("vesselName")
        draft.vessel(imo, name, voyage, vessel.at("vesselIMONumber"))
    if (vessel.text("vesselOperatorCarrierCodeListProvider") or "NMFTA").upper() == "NMFTA":
        draft.carrier(vessel.text("vesselOperatorCarrierCode"))


def _references(draft: Draft, event: Node, kind_of_event: str) -> None:
    draft.equipment(event.text("equipmentReference"), event.at("equipmentReference"))
    if kind_of_event == "EQUIPMENT" and draft.names_a("container"):
        draft.single = codes.ONE_CONTAINER
    document = codes.DOCUMENTS.get((event.text("documentTypeCode") or "").upper())
    if document:
        draft.refer(document, event.text("documentID"), event.at("documentID"))
    for node in event.nodes("documentReferences"):
        document = codes.DOCUMENTS.get((node.text("documentReferenceType") or "").upper())
        if document:
            draft.refer(document, node.text("documentReferenceValue"), node.at("documentReferenceValue"))
    for node in event.nodes("references"):
        kind = (node.text("referenceType") or "").upper()
        if kind == "EQ":
            draft.equipment(node.text("referenceValue"), node.at("referenceValue"))
        elif kind in codes.DOCUMENTS:
            draft.refer(codes.DOCUMENTS[kind], node.text("referenceValue"), node.at("referenceValue"))
    for node in event.nodes("seals"):
        draft.refer("seal", node.text("sealNumber"), node.at("sealNumber"))
