"""What the codes of DCSA Track & Trace become: the same for 2.2 and for the three forms of 3.0.

3.0.0 of May 2026 writes full words where the others write codes (`GATED_OUT`, `GTOT`); `code_of` makes them the same here, an
event keeps the sender's own. Sources: DCSA TNT 2.2.0, 3.0.0-Beta-1 (Event Domain 3.1.0), 3.0.0 of January 2026,
3.0.0-20260525-beta (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from schemas.shipment_event_v1 import Hold
from schemas.words import Classifier, Milestone, Mode, ReferenceKind

CLASSIFIERS: Final[Mapping[str, Classifier]] = MappingProxyType(
    {
        "PLN": "planned",
        "EST": "estimated",
        "ACT": "actual",
        "PLANNED": "planned",
        "ESTIMATED": "estimated",
        "ACTUAL": "actual",
    }
)
MODES: Final[Mapping[str, Mode]] = MappingProxyType({"VESSEL": "sea", "BARGE": "sea", "RAIL": "rail", "TRUCK": "road"})

EQUIPMENT: Final = frozenset(["LOAD", "DISC", "GTIN", "GTOT", "STUF", "STRP", "PICK", "DROP", "INSP", "RSEA", "RMVD"])
EQUIPMENT_30: Final = EQUIPMENT | {"AVPU", "AVDO", "CROS", "CUSS", "CUSI", "CUSR"}
TRANSPORT: Final = frozenset({"ARRI", "DEPA"})
TRANSPORT_30: Final = TRANSPORT | {"APPROACHING"}
SHIPMENT: Final = frozenset(
    ["RECE", "DRFT", "PENA", "PENU", "REJE", "APPR", "ISSU", "SURR", "SUBM", "VOID", "CONF", "REQS", "CMPL", "HOLD", "RELS"]
)
SHIPMENT_30: Final = SHIPMENT | frozenset(
    [
        "AMCF",
        "AMCN",
        "AMDC",
        "AMPR",
        "AMRE",
        "CACF",
        "CADC",
        "CANC",
        "CARE",
        "DECL",
        "PENC",
        "PENM",
        "PSAM",
        "PSDL",
        "SUAM",
        "SUDL",
        "UPCF",
        "UPCN",
        "UPDC",
        "UPDT",
        "UPRE",
    ]
)
REEFER_30: Final = frozenset({"MEAS", "ADJU"})
IOT_30: Final = frozenset(
    [
        "DETC",
        "DRO",
        "DRC",
        "LOC",
        "BREADCRUMB",
        "DEVICE_STATUS",
        "DOOR_CLOSED",
        "DOOR_OPENED",
        "GEOFENCE_ENTRY",
        "GEOFENCE_EXIT",
        "MOTION_START",
        "MOTION_STOP",
        "PAIRING",
        "UNPAIRING",
    ]
)
"""The words of May stand for themselves: the codes before them were too few to name them."""

WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # equipment events
        "AVAILABLE_FOR_DROP_OFF": "AVDO",
        "AVAILABLE_FOR_PICKUP": "AVPU",
        "CROSSED": "CROS",
        "CUSTOMS_RELEASED": "CUSR",
        "CUSTOMS_SELECTED_FOR_INSPECTION": "CUSI",
        "CUSTOMS_SELECTED_FOR_SCAN": "CUSS",
        "DISCHARGED": "DISC",
        "DROPPED_OFF": "DROP",
        "GATED_IN": "GTIN",
        "GATED_OUT": "GTOT",
        "INSPECTED": "INSP",
        "LOADED": "LOAD",
        "PICKED_UP": "PICK",
        "REMOVED": "RMVD",
        "RESEALED": "RSEA",
        "STRIPPED": "STRP",
        "STUFFED": "STUF",
        # transport events
        "ARRIVED": "ARRI",
        "DEPARTED": "DEPA",
        # shipment events
        "AMENDMENT_CANCELLED": "AMCN",
        "AMENDMENT_CONFIRMED": "AMCF",
        "AMENDMENT_DECLINED": "AMDC",
        "AMENDMENT_IN_PROGRESS": "AMPR",
        "AMENDMENT_RECEIVED": "AMRE",
        "APPROVED": "APPR",
        "CANCELLATION_CONFIRMED": "CACF",
        "CANCELLATION_DECLINED": "CADC",
        "CANCELLATION_RECEIVED": "CARE",
        "CANCELLED": "CANC",
        "COMPLETED": "CMPL",
        "CONFIRMED": "CONF",
        "DECLINED": "DECL",
        "DRAFTED": "DRFT",
        "ISSUED": "ISSU",
        "ON_HOLD": "HOLD",
        "PENDING_AMENDMENT": "PENM",
        "PENDING_APPROVAL": "PENA",
        "PENDING_SURRENDER_FOR_AMENDMENT": "PSAM",
        "PENDING_SURRENDER_FOR_DELIVERY": "PSDL",
        "PENDING_UPDATE": "PENU",
        "RECEIVED": "RECE",
        "REJECTED": "REJE",
        "RELEASED": "RELS",
        "REQUESTED": "REQS",
        "SUBMITTED": "SUBM",
        "SURRENDERED": "SURR",
        "SURRENDERED_FOR_AMENDMENT": "SUAM",
        "SURRENDERED_FOR_DELIVERY": "SUDL",
        "UPDATE_CANCELLED": "UPCN",
        "UPDATE_CONFIRMED": "UPCF",
        "UPDATE_DECLINED": "UPDC",
        "UPDATE_IN_PROGRESS": "UPDT",
        "UPDATE_RECEIVED": "UPRE",
        "VOIDED": "VOID",
        # reefer events
        "ADJUSTED": "ADJU",
        "MEASURED": "MEAS",
        # types of facility
        "BORDER": "BORD",
        "CUSTOMER_LOCATION": "CLOC",
        "DEPOT": "DEPO",
        "CONTAINER_FREIGHT_STATION": "COFS",
        "INLAND_TERMINAL": "INTE",
        "OFF_DOCK_STORAGE": "OFFD",
        "PORT_TERMINAL": "POTE",
        "WAYPOINT": "WAYP",
        # documents and references that are of use here
        "BOOKING": "BKG",
        "CARRIER_BOOKING_REQUEST": "CBR",
        "CUSTOMS_CLEARANCE": "CUC",
        "SHIPPING_INSTRUCTIONS": "SHI",
        "TRANSPORT_DOCUMENT": "TRD",
        "EQUIPMENT_REFERENCE": "EQ",
        "PURCHASE_ORDER_REFERENCE": "PO",
    }
)

DOCUMENTS: Final[Mapping[str, ReferenceKind]] = MappingProxyType(
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
ONE_CONTAINER: Final[frozenset[ReferenceKind]] = frozenset({"container"})  # that an EQUIPMENT event is about
CUSTOMS_DOCUMENTS: Final = frozenset({"CUS", "CUC"})  # 2.2, and 3.0

NO_TYPE: Final = ""  # the message names no facility type
_TERMINAL: Final = frozenset(("POTE", "COYA", "COFS", "DEPO", "INTE", "RAMP", NO_TYPE))
_EMPTY_DEPOT: Final = frozenset(("DEPO", "POTE", "COYA", "OFFD", "COFS", "RAMP", NO_TYPE))
CONSIGNEE: Final = frozenset(("CLOC",))
STRIPPED: Final = "STRP"  # its goods are taken out: it may be called empty, as it is since
EQUIPMENT_MILESTONES: Final[Sequence[tuple[str, bool | None, frozenset[str] | None, Milestone]]] = (
    # code, empty (None: either), facility types (None: any), milestone
    ("GTIN", False, _TERMINAL, "received"),
    ("GTIN", False, CONSIGNEE, "arrived_consignee"),
    ("DROP", False, CONSIGNEE, "arrived_consignee"),
    ("GTIN", True, _EMPTY_DEPOT, "empty_returned"),
    ("DROP", True, _EMPTY_DEPOT, "empty_returned"),
    ("GTOT", False, None, "gate_out"),
    ("DISC", None, None, "discharged"),
    (STRIPPED, None, None, "delivered"),
)
EQUIPMENT_MILESTONES_30: Final = (
    *EQUIPMENT_MILESTONES,
    ("AVPU", False, None, "available"),
    ("CUSR", None, None, "customs_released"),
)
EQUIPMENT_HOLDS_30: Final[Mapping[str, Hold]] = MappingProxyType(
    {
        "CUSS": Hold(kind="customs", state="placed"),
        "CUSI": Hold(kind="customs", state="placed"),
        "CUSR": Hold(kind="customs", state="released"),
    }
)
TRANSPORT_MILESTONES: Final[Mapping[tuple[str, str, bool], Milestone]] = MappingProxyType(
    {  # code, mode of transport, at the consignee's
        ("DEPA", "VESSEL", False): "departed",
        ("DEPA", "BARGE", False): "departed",
        ("ARRI", "VESSEL", False): "arrived",
        ("ARRI", "BARGE", False): "arrived",
        ("ARRI", "TRUCK", True): "arrived_consignee",
    }
)

PHASES: Final[Mapping[str, Mapping[Milestone, Milestone]]] = MappingProxyType(
    {
        "EXPORT": MappingProxyType({"booked": "booked", "received": "received", "departed": "departed"}),
        "TRANSSHIPMENT": MappingProxyType(
            {
                "arrived": "transship_arrived",
                "discharged": "transship_arrived",
                "departed": "transship_departed",
            }
        ),
        "IMPORT": MappingProxyType(
            {
                "arrived": "arrived",
                "discharged": "discharged",
                "customs_released": "customs_released",
                "available": "available",
                "gate_out": "gate_out",
                "arrived_consignee": "arrived_consignee",
                "delivered": "delivered",
                "empty_returned": "empty_returned",
            }
        ),
    }
)
"""What a milestone is in a phase of the transport (`movementType`, `transportPhase`), where the sender names one; what does not
stand in a phase's map is no milestone in it: a laden container gated out for export leaves its shipper, not the port."""


def code_of(word: str) -> str:
    """The code of a word (`GATED_OUT` is GTOT); a code, or what nobody knows, is itself."""
    return WORDS.get(word, word)


def equipment_matters(table: Sequence[tuple[str, bool | None, frozenset[str] | None, Milestone]]) -> frozenset[str]:
    """The codes of a table that mean one thing laden and another empty."""
    return frozenset(code for code, empty, _, _ in table if empty is not None)


def equipment_milestone(
    table: Sequence[tuple[str, bool | None, frozenset[str] | None, Milestone]], code: str, empty: bool, role: str
) -> Milestone | None:
    """What an equipment event is at a type of facility."""
    for known, when_empty, roles, milestone in table:
        if code == known and (when_empty is None or when_empty == empty) and (roles is None or role in roles):
            return milestone
    return None


def shipment_outcome(code: str, document: str) -> tuple[Milestone | None, Hold | None]:
    """What a shipment event is, said of a type of document."""
    if code == "CONF" and document in ("BKG", "CBR"):
        return "booked", None
    if code not in ("HOLD", "RELS"):
        return None, None
    customs = document in CUSTOMS_DOCUMENTS
    hold = Hold(kind="customs" if customs else "other", state="placed" if code == "HOLD" else "released")
    return ("customs_released" if customs and code == "RELS" else None), hold
