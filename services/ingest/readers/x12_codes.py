"""What the codes of X12 status messages mean, and which milestone or hold each becomes: the tables of docs/standards/x12.md.

Sources: code lists 1650 (214) and 157 (315, 322) of X12; for 315 the codes of ocean carriers beside the list, as CargoSmart
maps them. A code that is not here is kept unmapped and moves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from schemas.words import HoldKind, HoldState, Milestone, Mode, ReferenceKind


@dataclass(frozen=True, slots=True)
class Status:
    """What a status code means. Neither milestone nor hold: news that moves nothing.

    `by_load`: the milestone is that of a loaded unit, `empty` that of an empty one; `is_empty`: the code itself says
    that the unit is empty. `hands_over`: a carrier named beside it is the next one.
    """

    means: str
    milestone: Milestone | None = None
    hold: tuple[HoldKind, HoldState] | None = None
    mode: Mode | None = None
    by_load: bool = False
    empty: Milestone | None = None
    is_empty: bool = False
    estimated: bool = False
    hands_over: bool = False


_CUSTOMS_HOLDS: Final[Mapping[str, Status]] = MappingProxyType(
    {
        code: Status(f"customs hold: {why}", hold=("customs", "placed"))
        for code, why in {
            "PA": "intensive examination",
            "PB": "insufficient paperwork",
            "PC": "discrepancy in paperwork",
            "PD": "discrepancy in piece count",
            "PE": "coast guard",
            "PF": "FBI",
            "PG": "local law enforcement",
            "PH": "lien by a court",
            "PI": "food and drug",
            "PJ": "fish and wildlife",
            "PK": "drug enforcement",
        }.items()
    }
)

OCEAN: Final[Mapping[str, Status]] = {
    "EE": Status("empty equipment dispatched", is_empty=True),
    "OA": Status("full received at the origin", "received"),
    "I": Status("arrived at the port of loading", "received"),
    "AE": Status("loaded on the vessel", mode="sea"),
    "VD": Status("vessel departed", "departed", mode="sea"),
    "Z2": Status("arrived for transshipment", "transship_arrived", mode="sea"),
    "Z3": Status("loaded at the transshipment port", mode="sea"),
    "Z4": Status("discharged at the transshipment port", mode="sea"),
    "Z5": Status("departed after transshipment", "transship_departed", mode="sea"),
    "VA": Status("vessel arrived", "arrived", mode="sea"),
    "UV": Status("discharged from the vessel", "discharged", mode="sea"),
    "CT": Status("customs released", "customs_released", ("customs", "released")),
    "CR": Status("carrier released", hold=("freight", "released")),
    "CU": Status("customs and carrier released", "customs_released", ("customs", "released")),
    "NO": Status("freight settled", hold=("freight", "released")),
    "X9": Status("held by the carrier", hold=("other", "placed")),
    **_CUSTOMS_HOLDS,
    "Y1": Status("available", "available"),
    "AV": Status("available for delivery", "available"),
    "AM": Status("loaded on a truck", hands_over=True),
    "Z8": Status("picked up at the destination", "gate_out"),
    "AL": Status("loaded on rail", mode="rail"),
    "RL": Status("rail departed from the origin's ramp", mode="rail"),
    "AR": Status("rail arrived at the destination's ramp", mode="rail"),
    "UR": Status("unloaded from rail", mode="rail"),
    "W1": Status("gated out inland"),
    "W2": Status("gated in inland"),
    "W3": Status("delayed"),
    "D": Status("delivered at the door", "delivered"),
    "RD": Status("empty returned", "empty_returned", is_empty=True),
}
"""B403 of the 315."""

TERMINAL: Final[Mapping[str, Status]] = MappingProxyType(
    {
        "I": Status("in-gate", "received", by_load=True, empty="empty_returned"),
        "OA": Status("out-gate", "gate_out", by_load=True),
        "A": Status("arrived"),
        "P": Status("departed from the terminal"),
        "R": Status("received from the prior carrier"),
        "J": Status("delivered to the connecting line", hands_over=True),
        "AE": Status("loaded on the vessel", mode="sea"),
        "VD": Status("vessel departed", "departed", mode="sea"),
        "VA": Status("vessel arrived", "arrived", mode="sea"),
        "UV": Status("discharged from the vessel", "discharged", mode="sea"),
        "AL": Status("loaded on rail", mode="rail"),
        "RL": Status("rail departed from the origin's ramp", mode="rail"),
        "AR": Status("rail arrived at the destination's ramp", mode="rail"),
        "UR": Status("unloaded from rail", mode="rail"),
        "AM": Status("loaded on a truck", mode="road", hands_over=True),
        "AV": Status("available for delivery", "available"),
        "NF": Status("free time is about to end"),
        "CT": Status("customs released", "customs_released", ("customs", "released")),
        "CR": Status("carrier released", hold=("freight", "released")),
        "CU": Status("customs and carrier released", "customs_released", ("customs", "released")),
        **_CUSTOMS_HOLDS,
        "EE": Status("empty equipment dispatched", is_empty=True),
        "RD": Status("empty returned", "empty_returned", is_empty=True),
    }
)
"""Q501 of the 322."""

ROAD: Final[Mapping[str, Status]] = MappingProxyType(
    {
        "XB": Status("shipment acknowledged"),
        "X3": Status("arrived at the pickup"),
        "X8": Status("arrived at the pickup's dock"),
        "L1": Status("loading"),
        "CP": Status("loaded at the pickup"),
        "AV": Status("available for delivery", "available"),
        "AM": Status("loaded on a truck", hands_over=True),
        "AF": Status("departed from the pickup with the shipment", "gate_out"),
        "OA": Status("out-gate", "gate_out"),
        "I1": Status("in-gate"),
        "X6": Status("en route to the delivery"),
        "X4": Status("arrived at a terminal"),
        "P1": Status("departed from a terminal"),
        "J1": Status("delivered to the connecting line", hands_over=True),
        "RL": Status("rail departed from the origin's ramp", mode="rail"),
        "AR": Status("rail arrived at the destination's ramp", mode="rail"),
        "K1": Status("arrived at customs"),
        "PR": Status("customs hold at the in-bond location", hold=("customs", "placed")),
        "X2": Status("estimated arrival at the consignee's", "arrived_consignee", estimated=True),
        "X1": Status("arrived at the delivery", "arrived_consignee"),
        "X5": Status("arrived at the delivery's dock", "arrived_consignee"),
        "AG": Status("estimated delivery", "delivered", estimated=True),
        "D1": Status("unloaded at the delivery", "delivered"),
        "CD": Status("departed from the delivery"),
        "AH": Status("delivery attempted"),
        "AP": Status("delivery not completed"),
        "A3": Status("returned to the shipper"),
        "A7": Status("refused by the consignee"),
        "A9": Status("damaged"),
        "SD": Status("delayed"),
        "CA": Status("cancelled"),
    }
)
"""AT701 of the 214."""

APPOINTMENTS: Final[Mapping[str, str]] = MappingProxyType({"AA": "pickup appointment", "AB": "delivery appointment"})
"""AT703 of the 214 (code list 1652)."""

REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "A1": "missed delivery",
        "AF": "accident",
        "AG": "consignee related",
        "AI": "mechanical breakdown",
        "AM": "shipper related",
        "AO": "weather",
        "AS": "customs documents",
        "B1": "consignee closed",
        "BS": "refused by consignee",
    }
)
"""AT702 and AT704 of the 214 (code list 1651); others are kept as sent. NS and NA: normal."""

REFERENCES: Final[Mapping[str, ReferenceKind]] = {
    "BM": "bill_of_lading",
    "MB": "bill_of_lading",
    "BN": "booking",
    "BK": "booking",
    "CN": "pro_number",
    "PO": "purchase_order",
    "AW": "air_waybill",
    "SN": "seal",
}
"""What the qualifiers of N9 (315, 322), L11 (214) and REF (856) name; EQ and OC: equipment."""
