"""DCSA Track & Trace 2.2: the events that ocean carriers push (specification: DCSA TNT v2.2, Apache-2.0).

Deprecated names of earlier versions are read too. Which code becomes which milestone: docs/milestones.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from schemas.shipment_event_v1 import Hold, Place
from schemas.words import Classifier, Milestone, Mode, ReferenceKind
from services.ingest import identifiers
from services.ingest.places import facility_by_smdg, zone_of
from services.ingest.readers.draft import Bad, Draft, Identities
from services.ingest.readers.json_items import Item, Node
from services.ingest.readers.model import Context, Reading, Verdict
from services.ingest.readers.times import parse_rfc3339

STANDARD: Final = "dcsa.2.2"
READER_VERSION: Final = 1

_CLASSIFIERS: Mapping[str, Classifier] = MappingProxyType({"PLN": "planned", "EST": "estimated", "ACT": "actual"})
_MODES: Mapping[str, Mode] = MappingProxyType({"VESSEL": "sea", "BARGE": "sea", "RAIL": "rail", "TRUCK": "road"})
_EQUIPMENT: Final = frozenset(["LOAD", "DISC", "GTIN", "GTOT", "STUF", "STRP", "PICK", "DROP", "INSP", "RSEA", "RMVD"])
_TRANSPORT: Final = frozenset({"ARRI", "DEPA"})
_SHIPMENT: Final = frozenset(
    ["RECE", "DRFT", "PENA", "PENU", "REJE", "APPR", "ISSU", "SURR", "SUBM", "VOID", "CONF", "REQS", "CMPL", "HOLD", "RELS"]
)

_NO_TYPE: Final = ""  # the message names no facility type
_TERMINAL: Final = frozenset(("POTE", "COYA", "COFS", "DEPO", "INTE", "RAMP", _NO_TYPE))
_EMPTY_DEPOT: Final = frozenset(("DEPO", "POTE", "COYA", "OFFD", "COFS", "RAMP", _NO_TYPE))
_CONSIGNEE: Final = frozenset(("CLOC",))
_EQUIPMENT_MILESTONES: Sequence[tuple[str, bool | None, frozenset[str] | None, Milestone]] = (
    # code, empty (None: either), facility types (None: any), milestone
    ("GTIN", False, _TERMINAL, "received"),
    ("GTIN", False, _CONSIGNEE, "arrived_consignee"),
    ("DROP", False, _CONSIGNEE, "arrived_consignee"),
    ("GTIN", True, _EMPTY_DEPOT, "empty_returned"),
    ("DROP", True, _EMPTY_DEPOT, "empty_returned"),
    ("GTOT", False, None, "gate_out"),
    ("DISC", None, None, "discharged"),
    ("STRP", None, None, "delivered"),
)
_EMPTY_MATTERS: Final = frozenset(code for code, empty, _, _ in _EQUIPMENT_MILESTONES if empty is not None)
_TRANSPORT_MILESTONES: Mapping[tuple[str, str, bool], Milestone] = MappingProxyType(
    {  # code, mode of transport, at the consignee's
        ("DEPA", "VESSEL", False): "departed",
        ("DEPA", "BARGE", False): "departed",
        ("ARRI", "VESSEL", False): "arrived",
        ("ARRI", "BARGE", False): "arrived",
        ("ARRI", "TRUCK", True): "arrived_consignee",
    }
)
_DOCUMENTS: Mapping[str, ReferenceKind] = MappingProxyType(
    {
        "BKG": "booking",
        "CBR": "booking",
        "TRD": "bill_of_lading",
        "BL": "bill_of_lading",
        "MBL": "bill_of_lading",
        "HBL": "bill_of_lading",
        "SHI": "bill_of_lading",
        "PO": "purchase_order",
    }
)


def read(items: Sequence[Item], context: Context) -> Reading:
    """One verdict an event, in order; a bad event does not refuse the others."""
    identities = Identities(context.sender, STANDARD)
    return Reading(STANDARD, tuple(_verdict(item, context, identities) for item in items))


def looks_like(value: object) -> bool:
    """Whether this object is a DCSA 2.2 event."""
    return isinstance(value, dict) and "eventType" in value and ("eventDateTime" in value or "eventClassifierCode" in value)


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
    classifier = _CLASSIFIERS.get(event.required("eventClassifierCode").upper())
    if classifier is None:
        raise Bad("bad_value", event.at("eventClassifierCode"), "the classifier is none of PLN, EST, ACT")
    code = event.required(*names).upper()
    draft = Draft(context, STANDARD, READER_VERSION, event.where, f"{kind}/{code}", classifier=classifier)
    own = event.text("eventID")
    draft.source_id = draft.short(own, event.at("eventID")) if own else None
    call = event.node("transportCall")
    _places(draft, event, call)
    _times(draft, event)
    _transport(draft, kind, code, event, call)
    _references(draft, event)
    role = (draft.place.role if draft.place else None) or _NO_TYPE
    if kind == "EQUIPMENT":
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
    if code not in _EQUIPMENT:
        draft.unmapped()
    indicator = (event.text("emptyIndicatorCode") or "").upper()
    draft.empty = {"EMPTY": True, "LADEN": False}.get(indicator)
    if draft.empty is None and code in _EMPTY_MATTERS:
        where = event.at("emptyIndicatorCode")
        draft.warn("laden_assumed", f"emptyIndicatorCode is {indicator[:20] or 'missing'}; taken as laden", where)
    for known, empty, roles, milestone in _EQUIPMENT_MILESTONES:
        if code == known and (empty is None or empty == bool(draft.empty)) and (roles is None or role in roles):
            draft.milestone = milestone
            return


def _moved(draft: Draft, code: str, role: str, event: Node, call: Node | None) -> None:
    if code not in _TRANSPORT:
        draft.unmapped()
        return
    mode = (call.text("modeOfTransport") or "" if call else "").upper()
    if mode not in _MODES:
        draft.warn(
            "unknown_mode", f"modeOfTransport is {mode[:20] or 'missing'}; the event moves nothing", event.at("transportCall")
        )
    draft.milestone = _TRANSPORT_MILESTONES.get((code, mode, mode == "TRUCK" and role in _CONSIGNEE))


def _shipment(draft: Draft, code: str, event: Node) -> None:
    if code not in _SHIPMENT:
        draft.unmapped()
        return
    document = (event.text("documentTypeCode") or "").upper()
    if code == "CONF" and document in ("BKG", "CBR"):
        draft.milestone = "booked"
    elif code in ("HOLD", "RELS"):
        customs = document == "CUS"
        draft.hold = Hold(kind="customs" if customs else "other", state="placed" if code == "HOLD" else "released")
        if customs and code == "RELS":
            draft.milestone = "customs_released"


def _times(draft: Draft, event: Node) -> None:
    moment = _time(event, "eventDateTime")
    if moment is None:
        raise Bad("missing_field", event.at("eventDateTime"), "eventDateTime is required")
    if moment.tzinfo is None:
        moment = draft.at_local(moment, zone_of(draft.place, draft.context.registers), event.at("eventDateTime"))
    draft.occurred_at = moment
    draft.created_at = _utc(draft, event, "eventCreatedDateTime")
    draft.updated_at = _utc(draft, event, "eventUpdatedDateTime")


def _utc(draft: Draft, event: Node, key: str) -> datetime | None:
    moment = _time(event, key)
    if moment is not None and moment.tzinfo is None:
        draft.warn("zone_assumed", f"{key} has no offset; UTC assumed", event.at(key))
        return moment.replace(tzinfo=UTC)
    return moment


def _time(event: Node, key: str) -> datetime | None:
    text = event.text(key)
    if text is None:
        return None
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise Bad("bad_time", event.at(key), str(error)) from error


def _places(draft: Draft, event: Node, call: Node | None) -> None:
    """The event's own location, else that of the transport call: the first that names anything."""
    location = event.node("eventLocation")
    called = call.node("location") if call else None
    nodes = [node for node in (location, called, call) if node is not None]
    if not nodes:
        return
    role = next((role for node in (event, *nodes) if (role := node.text("facilityTypeCode"))), None)
    unlocode = _locode(draft, nodes)
    address = next((found for node in nodes if (found := node.node("address")) is not None), None)
    country = (address.text("country", "countryCode") or "" if address else "").upper()
    name = next((name for node in nodes if (name := node.text("locationName"))), None) or (
        call.text("otherFacility") if call else None
    )
    facility = _facility(nodes, unlocode, draft)
    place = Place(
        unlocode=unlocode,
        name=draft.short(name) if name else None,
        country=country if len(country) == 2 and country.isascii() and country.isalpha() else None,
        facility=facility,
        role=draft.short(role.upper()) if role else None,
    )
    draft.place = place if place != Place() else None


def _locode(draft: Draft, nodes: Sequence[Node]) -> str | None:
    for node in nodes:
        text = node.text("UNLocationCode")
        if text is None:
            continue
        if identifiers.is_locode(text.upper()):
            return text.upper()
        draft.warn("bad_unlocode", f"{text[:20]} is not a UN/LOCODE; not used", node.at("UNLocationCode"))
    return None


def _facility(nodes: Sequence[Node], unlocode: str | None, draft: Draft) -> str | None:
    for node in nodes:
        code = node.text("facilityCode")
        provider = (node.text("facilityCodeListProvider") or "SMDG").upper()
        if code and provider == "SMDG":
            found = facility_by_smdg(code, unlocode, draft.context.registers)
            return found.code if found else None
    return None


def _transport(draft: Draft, kind: str, code: str, event: Node, call: Node | None) -> None:
    voyage_node = call or event
    carrier = voyage_node.text("carrierVoyageNumber") or event.text("carrierVoyageNumber")
    out = voyage_node.text("exportVoyageNumber", "carrierExportVoyageNumber") or carrier
    inward = voyage_node.text("importVoyageNumber", "carrierImportVoyageNumber") or carrier
    # A call has two voyages: goods come on the import voyage and leave on the export voyage.
    voyage = (inward or out) if code in ("ARRI", "DISC", "GTOT") else (out or inward)
    if call is None:
        return
    draft.mode = _MODES.get((call.text("modeOfTransport") or "").upper())
    vessel = call.node("vessel") or Node({}, call.where)
    if draft.mode in ("sea", None):
        imo = vessel.text("vesselIMONumber") or call.text("vesselIMONumber")
        name = vessel.text("vesselName") or call.text("vesselName")
        draft.vessel(imo, name, voyage, vessel.at("vesselIMONumber"))
    if (vessel.text("vesselOperatorCarrierCodeListProvider") or "NMFTA").upper() == "NMFTA":
        draft.carrier(vessel.text("vesselOperatorCarrierCode"))


def _references(draft: Draft, event: Node) -> None:
    draft.equipment(event.text("equipmentReference"), event.at("equipmentReference"))
    document = _DOCUMENTS.get((event.text("documentTypeCode") or "").upper())
    if document:
        draft.refer(document, event.text("documentID"), event.at("documentID"))
    for node in event.nodes("documentReferences"):
        document = _DOCUMENTS.get((node.text("documentReferenceType") or "").upper())
        if document:
            draft.refer(document, node.text("documentReferenceValue"), node.at("documentReferenceValue"))
    for node in event.nodes("references"):
        kind = (node.text("referenceType") or "").upper()
        if kind == "EQ":
            draft.equipment(node.text("referenceValue"), node.at("referenceValue"))
        elif kind in _DOCUMENTS:
            draft.refer(_DOCUMENTS[kind], node.text("referenceValue"), node.at("referenceValue"))
    for node in event.nodes("seals"):
        draft.refer("seal", node.text("sealNumber"), node.at("sealNumber"))
