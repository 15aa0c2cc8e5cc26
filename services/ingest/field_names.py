"""How the standards call the places that a complaint is about: names of segments, elements and lines, for people.

`where` of a warning or problem is a segment's number (`segment 16 (B4)`), a line, a JSON pointer or a cell of a table. What the
standard calls what stands there is told from that, from the element that a problem names, else from the element of that segment
which such a complaint is about, else from an element that the sentence itself names (`SE01`).

Sources: X12 data element dictionary 004010; UN/EDIFACT directory D.00B; Cargo-IMP 34th edition. A name that is not here is
left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_WHERE_SEGMENT = re.compile(r"(?:.* )?segment (\d+) \((\w{2,3})\)")
_WHERE_NAMED = re.compile(r"line \d+ \(([^)]*)\)")
_WHERE_CELL = re.compile(r"row \d+, column (.+)")
_X12_ELEMENT = re.compile(r"\b([A-Z][A-Z0-9]{1,2})(\d{2})\b")

_X12_SEGMENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ISA": "Interchange Control Header",
        "GS": "Functional Group Header",
        "ST": "Transaction Set Header",
        "SE": "Transaction Set Trailer",
        "GE": "Functional Group Trailer",
        "IEA": "Interchange Control Trailer",
        "B4": "Beginning Segment for Inquiry or Reply",
        "B10": "Beginning Segment for Transportation Carrier Shipment Status Message",
        "N9": "Reference Identification",
        "Q2": "Status Details (Ocean)",
        "V1": "Vessel Identification",
        "SG": "Shipment Status",
        "R4": "Port or Terminal",
        "DTM": "Date/Time Reference",
        "L11": "Business Instructions and Reference Number",
        "N1": "Name",
        "N4": "Geographic Location",
        "LX": "Assigned Number",
        "AT7": "Shipment Status Details",
        "AT8": "Shipment Weight, Packaging and Quantity Data",
        "MS1": "Equipment, Shipment, or Real Property Location",
        "MS2": "Equipment or Container Owner and Type",
        "ZC1": "Beginning Segment for Data Correction or Change",
        "Q5": "Status Details",
        "N7": "Equipment Details",
        "W2": "Equipment Identification",
        "BSN": "Beginning Segment for Ship Notice",
        "HL": "Hierarchical Level",
        "TD1": "Carrier Details (Quantity and Weight)",
        "TD3": "Carrier Details (Equipment)",
        "TD5": "Carrier Details (Routing Sequence/Transit Time)",
        "REF": "Reference Identification",
        "PRF": "Purchase Order Reference",
        "LIN": "Item Identification",
        "SN1": "Item Detail (Shipment)",
        "PID": "Product/Item Description",
        "MAN": "Marks and Numbers",
    }
)
_X12_ELEMENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ISA06": "Interchange Sender ID",
        "ISA13": "Interchange Control Number",
        "ISA15": "Usage Indicator",
        "GS02": "Application Sender's Code",
        "SE01": "Number of Included Segments",
        "SE02": "Transaction Set Control Number",
        "GE01": "Number of Transaction Sets Included",
        "GE02": "Group Control Number",
        "IEA01": "Number of Included Functional Groups",
        "IEA02": "Interchange Control Number",
        "B403": "Shipment Status Code",
        "B404": "Date",
        "B405": "Status Time",
        "B406": "Status Location",
        "B407": "Equipment Initial",
        "B408": "Equipment Number",
        "B409": "Equipment Status Code",
        "B411": "Location Identifier",
        "B412": "Location Qualifier",
        "B413": "Equipment Number Check Digit",
        "AT701": "Shipment Status Code",
        "AT702": "Shipment Status or Appointment Reason Code",
        "AT703": "Shipment Appointment Status Code",
        "AT705": "Date",
        "AT706": "Time",
        "AT707": "Time Code",
        "MS101": "City Name",
        "MS102": "State or Province Code",
        "MS104": "Longitude Code",
        "MS105": "Latitude Code",
        "MS201": "Standard Carrier Alpha Code",
        "MS202": "Equipment Number",
        "MS204": "Equipment Number Check Digit",
        "DTM01": "Date/Time Qualifier",
        "DTM02": "Date",
        "DTM03": "Time",
        "DTM04": "Time Code",
        "R401": "Port or Terminal Function Code",
        "R402": "Location Qualifier",
        "R403": "Location Identifier",
        "Q201": "Vessel Code",
        "V101": "Vessel Code",
        "Q501": "Shipment Status Code",
        "Q502": "Date",
        "Q503": "Time",
        "Q504": "Time Code",
        "N701": "Equipment Initial",
        "N702": "Equipment Number",
        "N718": "Equipment Number Check Digit",
        "W205": "Equipment Status Code",
        "N904": "Date",
        "BSN01": "Transaction Set Purpose Code",
        "BSN02": "Shipment Identification",
        "BSN03": "Date",
        "BSN04": "Time",
        "HL02": "Hierarchical Parent ID Number",
        "TD503": "Identification Code",
        "N104": "Identification Code",
        "SN102": "Number of Units Shipped",
        "SN103": "Unit or Basis for Measurement Code",
        "PID05": "Description",
        "MAN02": "Marks and Numbers",
    }
)
_EDIFACT_SEGMENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "UNA": "Service string advice",
        "UNB": "Interchange header",
        "UNG": "Functional group header",
        "UNH": "Message header",
        "UNT": "Message trailer",
        "UNE": "Functional group trailer",
        "UNZ": "Interchange trailer",
        "BGM": "Beginning of message",
        "DTM": "Date/time/period",
        "STS": "Status",
        "RFF": "Reference",
        "LOC": "Place/location identification",
        "TDT": "Details of transport",
        "NAD": "Name and address",
        "CNI": "Consignment information",
        "EQD": "Equipment details",
        "EQA": "Attached equipment",
        "SEL": "Seal number",
        "GID": "Goods item details",
        "PCI": "Package identification",
        "GIN": "Goods identity number",
        "FTX": "Free text",
        "MEA": "Measurements",
        "CNT": "Control total",
        "TMD": "Transport movement details",
    }
)
_EDIFACT_ELEMENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "UNB1": "S001 0001 Syntax identifier",
        "UNB2": "S002 0004 Interchange sender identification",
        "UNB5": "0020 Interchange control reference",
        "UNB11": "0035 Test indicator",
        "UNT1": "0074 Number of segments in the message",
        "UNT2": "0062 Message reference number",
        "UNZ1": "0036 Interchange control count",
        "UNZ2": "0020 Interchange control reference",
        "UNE1": "0060 Number of messages",
        "UNE2": "0048 Functional group reference number",
        "UNH2": "S009 0065 Message type identifier",
        "STS1": "C601 9015 Status category",
        "STS2": "C555 Status, code",
        "STS3": "C556 Status reason, code",
        "BGM1": "C002 1001 Document/message name, coded",
        "DTM1": "C507 Date/time/period",
        "LOC2": "C517 3225 Place/location identification",
        "EQD2": "C237 8260 Equipment identification number",
        "EQD6": "8169 Full/empty indicator, coded",
        "RFF1": "C506 1154 Reference number",
        "TDT8": "C222 Transport identification",
        "CNT1": "C270 Control",
    }
)
_IS_ABOUT: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "unmapped_code": {"B4": 3, "AT7": 1, "Q5": 1, "STS": 2, "BGM": 1},
        "zone_assumed": {"B4": 5, "AT7": 7, "DTM": 4, "Q5": 4},
        "zone_unknown": {"B4": 5, "AT7": 7, "DTM": 4, "Q5": 4},
        "unknown_zone": {"AT7": 7, "DTM": 4, "Q5": 4},
        "time_missing": {"B4": 5, "AT7": 6, "DTM": 3, "Q5": 3},
        "check_digit_computed": {"B4": 13, "MS2": 4, "N7": 18},
        "bad_check_digit": {"B4": 8, "MS2": 2, "N7": 2, "EQD": 2},
        "full_or_empty_unknown": {"EQD": 6},
        "unknown_place": {"LOC": 2, "R4": 3},
        "bad_unlocode": {"LOC": 2, "R4": 3},
        "test_message": {"ISA": 15, "UNB": 11},
        "foreign_interchange": {"ISA": 6, "UNB": 2},
        "unknown_interchange_sender": {"ISA": 6, "UNB": 2},
        "interchange_seen_before": {"ISA": 13, "UNB": 5},
        "bad_imo": {"Q2": 1, "V1": 1, "TDT": 8},
        "missing_code": {"B4": 3, "AT7": 1, "Q5": 1, "STS": 2, "BSN": 2},
    }
)
"""By our code and the segment: the element that the complaint is about, where it always is the same one."""

_ONLY_ONE: Final[Mapping[str, int]] = MappingProxyType({"DTM": 1})
"""Segments of EDIFACT that have one element, which any complaint is about: X12's DTM has several, of which one is."""

_OF_STATEMENTS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        code: fields
        for codes, fields in (
            (
                ("no_time", "outside_time_fence"),
                {
                    "dcsa": "eventDateTime",
                    "epcis": "eventTime",
                    "one_record": "eventDate",
                    "lovla": "occurred_at",
                    "cargo_xml": "OccurrenceDateTime",
                },
            ),
            (
                ("no_linking_reference", "too_many_references"),
                {
                    "dcsa": "equipmentReference, documentReferences",
                    "epcis": "epcList, parentID, childEPCs",
                    "one_record": "eventFor",
                    "lovla": "references",
                },
            ),
            (
                ("unknown_country",),
                {
                    "dcsa": "UNLocationCode",
                    "edifact": "LOC, element 2 C517 3225 Place/location identification (LOC Place/location identification)",
                    "one_record": "recordedAtLocation",
                    "lovla": "unlocode",
                },
            ),
        )
        for code in codes
    }
)
"""Complaints about a statement as a whole: by our code and the standard's family, the fields that it lacks or is about."""

_CARGO_IMP_LINES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "FSU": "Standard message identification",
        "FSA": "Standard message identification",
        "OSI": "Other service information",
        "OCI": "Other customs, security and regulatory control information",
        "ULD": "Unit load device information",
    }
)
_WAYBILL = re.compile(r"\d{3}-\d{8}")
_STATUS_LINE = re.compile(r"([A-Z]{3})/")


def field_name(
    standard: str | None, where: str, code: str, text: str = "", element: int | None = None, source: str = ""
) -> str | None:
    """What the standard calls what a complaint is about; `source`: what stands there. None where that has no name."""
    of_statement = _OF_STATEMENTS.get(code, {}).get((standard or "").partition(".")[0])
    is_of_member = "/" in where and not where.rpartition("/")[2].isdigit()
    if of_statement is not None and not is_of_member:
        return of_statement
    return _place_name(standard, where, code, text, element, source)


def _place_name(standard: str | None, where: str, code: str, text: str, element: int | None, source: str) -> str | None:
    if found := _WHERE_SEGMENT.fullmatch(where):
        family = (standard or "").partition(".")[0]
        return _segment(family, found[2], code, text, element)
    if "/" in where:
        return _member(where[where.index("/") :])
    if found := _WHERE_CELL.fullmatch(where):
        return found[1]
    if found := _WHERE_NAMED.fullmatch(where):
        return found[1].partition(" ")[0]
    if (standard or "").startswith("cargo_imp"):
        return _line(source)
    return None


def _member(pointer: str) -> str | None:
    """The last member that a JSON pointer names, with the list that it stands in, were it one."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    named = [part for part in parts if not part.isdigit()]
    return named[-1].rpartition("#")[2] if named else None


def _segment(family: str, name: str, code: str, text: str, element: int | None) -> str | None:
    is_x12 = family == "x12"
    segments, elements = (_X12_SEGMENTS, _X12_ELEMENTS) if is_x12 else (_EDIFACT_SEGMENTS, _EDIFACT_ELEMENTS)
    number = element or (_IS_ABOUT.get(code, {}).get(name) if is_x12 or name not in _ONLY_ONE else _ONLY_ONE[name])
    if number is None and is_x12:
        number = next((int(mark[2]) for mark in _X12_ELEMENT.finditer(text) if mark[1] == name), None)
    whole = segments.get(name)
    said = f"{name} {whole}" if whole else name
    if number is None:
        return said
    own = f"{name}{number:02d}" if is_x12 else f"{name}, element {number}"
    title = elements.get(own if is_x12 else f"{name}{number}")
    return f"{own} {title} ({said})" if title else f"{own} ({said})"


def _line(source: str) -> str | None:
    """A line of Cargo-IMP, by what it begins with."""
    if _WAYBILL.match(source):
        return "Consignment detail (air waybill, origin and destination, quantity)"
    if found := _STATUS_LINE.match(source):
        return _CARGO_IMP_LINES.get(found[1], f"Status details ({found[1]})")
    return _CARGO_IMP_LINES.get(source[:3])
