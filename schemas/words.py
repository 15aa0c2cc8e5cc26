"""The closed vocabularies of the field, as literals (docs/architecture.md, "The words")."""

from __future__ import annotations

from typing import Literal, get_args

Milestone = Literal[
    "booked",
    "received",
    "departed",
    "transship_arrived",
    "transship_departed",
    "arrived",
    "discharged",
    "customs_released",
    "available",
    "gate_out",
    "arrived_consignee",
    "delivered",
    "empty_returned",
]
MILESTONES: tuple[Milestone, ...] = get_args(Milestone)
"""In the order of a journey."""

Classifier = Literal["planned", "estimated", "actual"]

ReferenceKind = Literal[
    "consignment",
    "container",
    "bill_of_lading",
    "booking",
    "air_waybill",
    "uld",
    "pro_number",
    "rail_car",
    "voyage",
    "purchase_order",
    "sscc",
    "gtin_lot",
    "seal",
    "sgtin",
]
LINKING_KINDS: frozenset[str] = frozenset(
    {
        "consignment",
        "container",
        "bill_of_lading",
        "booking",
        "air_waybill",
        "uld",
        "pro_number",
        "rail_car",
        "voyage",
        "sscc",
        "sgtin",
    }
)
LOGISTIC_KINDS: frozenset[str] = frozenset({"sscc", "sgtin"})
"""Pallets, cases and single items that carry a number of their own (GS1): parts of a consignment, never the whole of it."""
DOCUMENT_KINDS: frozenset[str] = frozenset({"bill_of_lading", "booking", "air_waybill"})
UNIT_KINDS: frozenset[str] = frozenset({"container", "uld", "rail_car", "pro_number"})

ItemCategory = Literal[
    "n95_respirator",
    "kn95_respirator",
    "surgical_mask",
    "face_covering",
    "gown",
    "coverall",
    "face_shield",
    "goggles",
    "glove",
    "hand_sanitizer",
    "wipe",
    "ventilator",
    "iv_set",
    "infusion_pump",
    "partition",
    "test_kit",
    "other",
]

SenderKind = Literal[
    "ocean_carrier",
    "airline",
    "terminal",
    "trucker",
    "railway",
    "forwarder",
    "customs",
    "consignee",
    "buyer",
    "operator",
]
PartyRole = Literal["shipper", "consignee", "carrier", "trucker", "terminal", "forwarder", "customs_broker", "notify"]

HoldKind = Literal["customs", "freight", "terminal", "other"]
HoldState = Literal["placed", "released"]

ExceptionKind = Literal[
    "late", "will_be_late", "overdue", "dwell", "silent", "on_hold", "rolled", "short", "misrouted", "conflict"
]
EXCEPTION_KINDS: tuple[ExceptionKind, ...] = get_args(ExceptionKind)

Severity = Literal["minor", "major", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

Mode = Literal["sea", "air", "road", "rail"]
Cause = Literal["live", "backfill", "refold"]
Standard = Literal[
    "dcsa.2.2",
    "dcsa.3.0",
    "x12.214",
    "x12.315",
    "x12.322",
    "edifact.iftsta",
    "edifact.coarri",
    "edifact.codeco",
    "cargo_imp.fsu",
    "cargo_xml.xfsu",
    "one_record",
    "epcis.2.0",
    "lovla.1",
    "mapped.csv",
    "mapped.json",
]
Scope = Literal["push", "register", "backfill", "alerts", "operator", "sandbox"]
"""What a key may do. `sandbox` beside others: the same answers, and nothing moves."""
FacilityKind = Literal["hospital", "terminal", "airport", "warehouse"]
