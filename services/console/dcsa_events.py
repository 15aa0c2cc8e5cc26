"""A journey's words as DCSA Track & Trace 2.2 events, so that who reads carriers by that standard can read from us. Pure.

Source: DCSA_TNT v2.2.0 (schemas equipmentEvent, transportEvent, shipmentEvent). What the standard has no code for
(availability, customs, the last mile) is left out: it is in `/api/v1/consignments/{id}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from schemas.base import rfc3339, to_utc
from schemas.journey_v1 import Journey, Statement

REFERENCES: Final = ("equipmentReference", "transportDocumentReference", "carrierBookingReference")
"""Parameters by which DCSA clients ask, that we know."""

TYPES: Final = ("SHIPMENT", "TRANSPORT", "EQUIPMENT")

_TRANSPORT: Final[Mapping[str, str]] = MappingProxyType(
    {"departed": "DEPA", "transship_departed": "DEPA", "transship_arrived": "ARRI", "arrived": "ARRI"}
)
_EQUIPMENT: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "received": ("GTIN", "LADEN"),
        "discharged": ("DISC", "LADEN"),
        "gate_out": ("GTOT", "LADEN"),
        "empty_returned": ("GTIN", "EMPTY"),
    }
)
_CLASSIFIER: Final[Mapping[str, str]] = MappingProxyType({"planned": "PLN", "estimated": "EST", "actual": "ACT"})
_DOCUMENTS: Final[Mapping[str, str]] = MappingProxyType({"bill_of_lading": "TRD", "booking": "BKG"})
_LOCODE_LENGTH: Final = 5


def of(journey: Journey) -> list[dict[str, Any]]:
    """The events, in the order in which they stand in the journey."""
    made = (_event(said, journey) for said in journey.statements)
    return [one for one in made if one is not None]


def _event(said: Statement, journey: Journey) -> dict[str, Any] | None:
    base: dict[str, Any] = {
        "eventID": _uuid(said.event_id),
        "eventCreatedDateTime": rfc3339(to_utc(said.received_at)),
        "eventDateTime": rfc3339(said.occurred_at),
        "eventClassifierCode": _CLASSIFIER[said.classifier],
    }
    documents = [
        {"documentReferenceType": _DOCUMENTS[one.kind], "documentReferenceValue": one.value}
        for one in journey.references
        if one.kind in _DOCUMENTS
    ]
    unit = said.unit.partition(":")[2] if said.unit.startswith("container:") else None
    call = {"transportCall": _call(said, journey)}
    if said.milestone in _TRANSPORT:
        boxes = [unit] if unit else [one.value for one in journey.references if one.kind == "container"]
        return {
            **base,
            "eventType": "TRANSPORT",
            "transportEventTypeCode": _TRANSPORT[said.milestone],
            "documentReferences": documents,
            "references": [{"referenceType": "EQ", "referenceValue": box} for box in boxes],
            **call,
        }
    if said.milestone in _EQUIPMENT and unit:
        code, empty = _EQUIPMENT[said.milestone]
        return {
            **base,
            "eventType": "EQUIPMENT",
            "equipmentEventTypeCode": code,
            "equipmentReference": unit,
            "emptyIndicatorCode": empty,
            "documentReferences": documents,
            **call,
        }
    if said.milestone == "booked":
        booking = next((one.value for one in journey.references if one.kind == "booking"), None)
        if booking is not None:
            return {
                **base,
                "eventType": "SHIPMENT",
                "shipmentEventTypeCode": "CONF",
                "documentTypeCode": "BKG",
                "documentID": booking,
            }
    return None


def _call(said: Statement, journey: Journey) -> dict[str, Any]:
    mode = {"sea": "VESSEL", "rail": "RAIL", "road": "TRUCK"}.get(journey.mode)
    place = said.place or ""
    call: dict[str, Any] = {"transportCallID": f"{journey.consignment}/{said.milestone}/{said.leg}".rstrip("/")}
    if mode:
        call["modeOfTransport"] = mode
    if len(place) == _LOCODE_LENGTH and place.isalnum():
        call["UNLocationCode"] = place
    if journey.voyage:
        call["carrierVoyageNumber"] = journey.voyage
    if journey.vessel:
        call["vessel"] = {"vesselName": journey.vessel}
    return call


def _uuid(event_id: str) -> str:
    """Our 32 hexadecimal digits as the standard writes them."""
    parts = (event_id[:8], event_id[8:12], event_id[12:16], event_id[16:20], event_id[20:])
    return "-".join(parts) if len(event_id) == 32 else event_id
