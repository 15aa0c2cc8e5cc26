"""What the codes of EDIFACT status messages mean, and what each becomes; docs/standards/edifact.md shows the tables.

Sources: UN/CEFACT Recommendation 24 (status codes, revision 6) and the UN/EDIFACT directories D.96A to D.10B (code lists 1001,
1153, 2005, 3227, 8067, 8169, 8249); which qualifiers carry what in COARRI and CODECO: SMDG's guides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from schemas.words import Classifier, HoldKind, HoldState, Milestone, Mode, ReferenceKind


@dataclass(frozen=True, slots=True)
class Status:
    """What a code of Recommendation 24 says. `voyage`: its milestone holds only for ships and aircraft: the code is said of
    trucks and trains in the same words."""

    means: str
    milestone: Milestone | None = None
    hold: tuple[HoldKind, HoldState] | None = None
    voyage: bool = False
    classifier: Classifier | None = None


STATUSES: Final[Mapping[str, Status]] = MappingProxyType(
    {
        "1": Status("arrived", "arrived", voyage=True),
        "6": Status("booked", "booked"),
        "12": Status("cleared by customs", "customs_released", ("customs", "released")),
        "13": Status("picked up", "gate_out"),
        "17": Status("refused by customs", hold=("customs", "placed")),
        "21": Status("delivered", "delivered"),
        "22": Status("delivered as instructed", "delivered"),
        "24": Status("departed", "departed", voyage=True),
        "29": Status("unloaded", "discharged", voyage=True),
        "38": Status("freight paid", hold=("freight", "released")),
        "40": Status("arrived at the port", "arrived", voyage=True),
        "112": Status("at the consignee's disposal", "available"),
        "127": Status("departed on a means of transport", "departed", voyage=True),
        "130": Status("received from the shipper", "received"),
        "346": Status("unloaded from a means of transport", "discharged", voyage=True),
        "361": Status("delivery expected", "delivered", classifier="estimated"),
    }
)
"""Codes of Recommendation 24 (data element 9011) that move something. The list's other codes are news that move nothing."""

_LISTED: Final = (
    *((1, 41), (44, 51), (53, 54), (57, 121), (123, 159), (161, 172), (174, 216), (218, 220), (222, 222), (224, 225)),
    *((227, 229), (231, 236), (238, 243), (247, 248), (250, 251), (253, 256), (258, 258), (260, 260), (265, 267), (269, 288)),
    *((291, 292), (295, 295), (297, 302), (306, 379)),
)
LISTED: Final = frozenset(str(code) for first, last in _LISTED for code in range(first, last + 1))
"""All codes of Recommendation 24, revision 6 (345 of them)."""

OF_THE_LIST: Final = frozenset({"", "6", "9"})
"""Agencies (3055) whose codes in STS are Recommendation 24's: none named, UN/ECE, GS1 (EANCOM). Others are partners' own."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a COARRI or CODECO reports, by its document code (BGM, 1001)."""

    means: str
    full: Milestone | None = None
    transshipped: Milestone | None = None
    empty: Milestone | None = None


COARRI: Final[Mapping[str, Report]] = MappingProxyType(
    {
        "44": Report("discharged from the vessel", "discharged", "transship_arrived"),
        "46": Report("loaded on the vessel"),
    }
)
CODECO: Final[Mapping[str, Report]] = MappingProxyType(
    {
        "34": Report("in through the gate", "received", empty="empty_returned"),
        "36": Report("out through the gate", "gate_out"),
    }
)

EXPORT, IMPORT, TRANSSHIPMENT = "2", "3", "6"
EMPTY: Final[Mapping[str, bool]] = MappingProxyType({"4": True, "5": False, "7": False, "8": False})
"""8169: empty, full, full with goods of several consignments, full of one."""

MODES: Final[Mapping[str, Mode]] = MappingProxyType({"1": "sea", "2": "rail", "3": "road", "4": "air", "8": "sea"})
"""8067; 8 is inland water."""

REFERENCES: Final[Mapping[str, ReferenceKind]] = MappingProxyType(
    {
        "BM": "bill_of_lading",
        "MB": "bill_of_lading",
        "BH": "bill_of_lading",
        "AAS": "bill_of_lading",
        "BN": "booking",
        "AWB": "air_waybill",
        "MWB": "air_waybill",
        "CN": "pro_number",
        "ON": "purchase_order",
        "CO": "purchase_order",
        "SN": "seal",
    }
)
"""1153 in RFF. EQ and AAQ: equipment."""
EQUIPMENT: Final = frozenset({"EQ", "AAQ"})
CUSTOMERS: Final = frozenset({"CU", "SI", "UCN", "FF", "CR"})
"""Numbers of the customer's own, one of which may be our consignment's."""

ROLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "5": "departure",
        "7": "delivery",
        "8": "destination",
        "9": "load",
        "11": "discharge",
        "13": "transship",
        "88": "receipt",
        "165": "activity",
        "175": "activity",
    }
)
"""3227 in LOC."""

ACTUAL: Final = ("334", "78", "7", "186", "178", "136", "35", "200")
ESTIMATED: Final = ("132", "133", "17")
PLANNED: Final = ("189", "232")
TIMES: Final = (*ACTUAL, *ESTIMATED, *PLANNED)
DEPARTURES: Final = frozenset({"186", "136", "133", "189"})
ARRIVALS: Final = frozenset({"178", "132", "232"})
"""2005 in DTM: of the status itself (334, 78; 7), of departure, arrival, delivery (35, 17), pick-up (200); in the order in
which they count for what moves nothing."""

_DEPARTED: Final = ("334", "78", "186", "136", "7", "133", "189")
_ARRIVED: Final = ("334", "78", "178", "7", "132", "232")
_TIMES_OF: Final[Mapping[Milestone, tuple[str, ...]]] = MappingProxyType(
    {
        "departed": _DEPARTED,
        "transship_departed": _DEPARTED,
        "arrived": _ARRIVED,
        "transship_arrived": _ARRIVED,
        "arrived_consignee": _ARRIVED,
        "received": ("334", "78", "200", "7"),
        "gate_out": ("334", "78", "200", "7"),
        "delivered": ("334", "78", "35", "7", "17"),
    }
)
_TIMES_OF_OTHERS: Final = ("334", "78", "7")


def times_of(milestone: Milestone | None, moves: bool, classifier: Classifier = "actual") -> tuple[str, ...]:
    """The qualifiers (2005) that tell when such a thing happened, in the order in which they count: a ship's arrival is not the
    box's delivery. `moves`: whether it moves anything; what does not takes whatever time there is. Of what is only expected
    (`classifier`) the expected times come first: 334 is when that was said."""
    if not moves:
        return TIMES
    found = _TIMES_OF.get(milestone, _TIMES_OF_OTHERS) if milestone is not None else _TIMES_OF_OTHERS
    return found if classifier == "actual" else tuple(sorted(found, key=lambda name: classifier_of(name) == "actual"))


def classifier_of(qualifier: str) -> Classifier:
    """Whether a time of that qualifier tells what happened, is expected, or is planned."""
    return "planned" if qualifier in PLANNED else "estimated" if qualifier in ESTIMATED else "actual"


OTHERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "APERAK": "an application's acknowledgement",
        "BAPLIE": "a bay plan",
        "CALINF": "a vessel's call",
        "COEDOR": "a stock report of containers",
        "COHAOR": "a handling order",
        "CONTRL": "an acknowledgement",
        "COPARN": "an announcement of containers",
        "COPINO": "a notice before the gate",
        "COPRAR": "an order to load or discharge",
        "COREOR": "a container release order",
        "CUSCAR": "a customs cargo report",
        "CUSDEC": "a customs declaration",
        "CUSREP": "a customs conveyance report",
        "CUSRES": "a customs response",
        "DESADV": "a despatch advice",
        "IFTDGN": "a dangerous goods notice",
        "IFTMAN": "an arrival notice",
        "IFTMBC": "a booking confirmation",
        "IFTMBF": "a firm booking",
        "IFTMBP": "a provisional booking",
        "IFTMCS": "a bill of lading's contents",
        "IFTMIN": "transport instructions",
        "IFTSAI": "a sailing schedule",
        "INVOIC": "an invoice",
        "MOVINS": "stowage instructions",
        "ORDERS": "an order",
        "RECADV": "a receiving advice",
        "VERMAS": "a verified gross mass",
        "VESDEP": "a vessel's departure",
    }
)
"""Messages that carry no status of a consignment: named, never read."""
