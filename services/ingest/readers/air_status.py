"""Status codes of air cargo (IATA), the same in Cargo-IMP, Cargo-XML and ONE Record, and what the three readers share.

Which code becomes which milestone: docs/standards/cargo_imp.md, written from these maps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from schemas.shipment_event_v1 import Hold, Pieces, Place
from schemas.words import HoldState, Milestone
from services.ingest import identifiers
from services.ingest.places import locode_of_airport
from services.ingest.readers import own_codes
from services.ingest.readers.draft import Draft, place_of
from services.ingest.readers.model import Context

MILESTONES: Final[Mapping[str, Milestone]] = MappingProxyType(
    {
        "BKD": "booked",
        "RCS": "received",
        "DEP": "departed",
        "ARR": "arrived",
        "RCF": "discharged",
        "CCD": "customs_released",
        "NFD": "available",
        "DLV": "gate_out",
        "DDL": "delivered",
    }
)
CUSTOMS: Final[Mapping[str, HoldState]] = MappingProxyType({"CCD": "released", "TGC": "placed"})
MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "BKD": "booked on a flight",
        "FOH": "on hand, not yet ready for carriage",
        "RCS": "received from the shipper, ready for carriage",
        "RCT": "received from another airline",
        "PRE": "prepared for loading",
        "MAN": "manifested on a flight",
        "DEP": "departed on a flight",
        "ARR": "its flight arrived",
        "RCF": "the pieces were received from the flight",
        "AWR": "the documents arrived",
        "NFD": "the consignee was notified",
        "AWD": "the documents were handed over",
        "CRC": "reported to customs",
        "CCD": "cleared by customs",
        "TGC": "under the control of an authority",
        "TRM": "to be transferred to another airline",
        "TFD": "transferred to another airline",
        "DLV": "delivered to the consignee or its agent at the airport",
        "DDL": "delivered to the door",
        "FIW": "into a warehouse",
        "FOW": "out of a warehouse",
        "DIS": "a discrepancy",
    }
)
"""All status codes that are known; those of no milestone and no hold are news that move nothing."""
DISCREPANCIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "FDCA": "found cargo",
        "FDAW": "found air waybill",
        "MSCA": "missing cargo",
        "MSAW": "missing air waybill",
        "OFLD": "offloaded",
        "OVCD": "overcarried",
        "SSPD": "short-shipped",
        "DFLD": "definitely loaded",
    }
)
"""Second codes of DIS."""

BEFORE_FLIGHT: Final = frozenset({"BKD", "PRE", "MAN"})
"""Their date is the flight's, not that of what they tell."""
HANDS_OVER: Final = frozenset({"TRM", "TFD"})

_FLIGHT = re.compile(r"([A-Z][A-Z0-9]|[0-9][A-Z])([0-9]{1,4})([A-Z]?)")
_CARRIER = re.compile(r"[A-Z][A-Z0-9]|[0-9][A-Z]")
_PIECES_MAX: Final = 10_000_000  # schemas/shipment_event_v1.py
_LOADING_REMARK = re.compile(r"-[A-Z]{1,3}$")
_UUID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", re.IGNORECASE)


def name_status(draft: Draft, code: str, discrepancy: str | None = None) -> None:
    """Set what the code (and a DIS's second code) means to a journey, by the sender's own map first; what no map has is kept
    unmapped."""
    draft.code = f"{code}/{discrepancy}" if discrepancy else code
    if own_codes.apply(draft, draft.code):
        return
    draft.milestone = MILESTONES.get(code)
    if code in CUSTOMS:
        draft.hold = Hold(kind="customs", state=CUSTOMS[code])
    if code not in MEANINGS or (discrepancy is not None and discrepancy not in DISCREPANCIES):
        draft.unmapped()


def airport(iata: str | None, context: Context) -> Place | None:
    """The place of an airport's code."""
    return place_of(locode_of_airport(iata, context.registers), iata) if iata else None


def flight_number(text: str, carrier: str | None = None) -> str | None:
    """A flight as `LH456`, whatever zeros and blanks it was written with; `carrier`: where the number stands alone."""
    text = "".join(text.upper().split())
    if text.isdigit() and carrier and _CARRIER.fullmatch(carrier.strip().upper()):
        text = carrier.strip().upper() + text
    match = _FLIGHT.fullmatch(text)
    return f"{match[1]}{int(match[2])}{match[3]}" if match else None


def happened_at_sending(draft: Draft, code: str) -> None:
    """A booking says when the flight is, not when it was booked: the message's time, else that of receipt, stands for it."""
    if draft.created_at is not None:
        draft.occurred_at = draft.created_at
        return
    draft.occurred_at, draft.at_receipt = draft.context.received_at, True
    draft.warn("time_of_receipt", f"{code} does not say when; the time of receipt stands for it")


def count_pieces(draft: Draft, this: int | None, total: int | None, letter: str | None) -> None:
    """Set the pieces that are meant: T total, P part, S split, D divided, M multi.

    No letter: all of them, unless fewer are counted than there are. A T of fewer than the total is taken for a part: what is
    counted moves no more than what was counted.
    """
    letter = letter if letter in ("T", "P", "S", "D", "M") else None
    if any(number is not None and not 0 <= number <= _PIECES_MAX for number in (this, total)):
        draft.warn("bad_quantity", "a number of pieces that no consignment has; not used")
        this = total = None
    if this is None and letter in (None, "T"):
        this = total
    if this is None and letter is None:
        return
    fewer = this is not None and total is not None and this < total
    if letter == "T" and fewer:
        draft.warn("pieces_contradict", f"all of it (T), but {this} pieces of {total}; taken for a part")
    if this is not None and total is not None and this > total:
        draft.warn("pieces_contradict", f"{this} pieces of {total}")
    if letter in (None, "T"):
        letter = "P" if fewer else "T"
    if letter == "T" and total is None:
        total = this
    draft.pieces = Pieces.model_validate({"this": this, "total": total, "part": letter})


def refer_uld(draft: Draft, value: str, where: str | None = None) -> None:
    """Add a unit load device, without the remark that manifests put behind it (`AKE12345LH-M`)."""
    text = identifiers.normalise("uld", _LOADING_REMARK.sub("", value.strip().upper()))
    if identifiers.is_uld(text):
        draft.refer("uld", text, where)
    else:
        draft.warn("bad_reference", f"unit load device {value[:40]} is not like AKE12345LH; not used", where)


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID."""
    return _UUID.fullmatch(text) is not None
