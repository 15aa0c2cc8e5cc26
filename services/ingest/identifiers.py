"""Identifiers of the trade: how they are written here, and whether their check digits hold.

Sources: ISO 6346 (containers), IATA air waybill numbers, IMO numbers, UN/LOCODE, SCAC (NMFTA). What does not hold is kept
with a warning: real messages are full of it, and a typing error must not hide a shipment.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from stdnum import imo as _imo
from stdnum import iso6346 as _iso6346

REFERENCE_MAX: Final = 64
_REMEMBERED: Final = 50_000  # a box is named by a dozen messages, a ship by thousands; some 10 MB at most

_CONTAINER = re.compile(r"[A-Z]{3}[UJZ][0-9]{7}")
_RAIL_CAR = re.compile(r"[A-Z]{2,4}[0-9]{1,6}")
_AIR_WAYBILL = re.compile(r"([0-9]{3})-?([0-9]{8})")
_ULD = re.compile(r"[A-Z][A-Z0-9]{2}[0-9]{4,5}[A-Z0-9]{2}")
_LOCODE = re.compile(r"[A-Z]{2}[A-Z2-9]{3}")
_SCAC = re.compile(r"[A-Z]{2,4}")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_BLANKS = re.compile(r"\s+")
_PUNCTUATION = re.compile(r"[\s./_-]+")

PLACEHOLDERS: Final[dict[str, frozenset[str]]] = {
    "imo": frozenset({"1234567", "9999999", "0000000", "1111111"}),
    "container": frozenset({"APZU4812090", "XXXU1234567", "ABCD1234567", "AAAU0000000", "XXXU0000000", "ZZZU9999999"}),
}
"""Values from specifications and test systems that turn up in live feeds. Several pass their own check digit."""

_KEEP_CASE = frozenset({"consignment", "gtin_lot"})


@lru_cache(_REMEMBERED)
def normalise(kind: str, value: str) -> str:
    """`value` as all parts of LoVLA write references of `kind`, so that declared and reported ones meet.

    Blanks never count; letters are upper case, but for consignments and lots, whose owners tell case apart; containers, ULDs
    and rail cars lose their punctuation; an air waybill becomes `020-12345675`.
    """
    text = _BLANKS.sub("", value)
    if kind not in _KEEP_CASE:
        text = text.upper()
    if kind in ("container", "uld", "rail_car"):
        return _PUNCTUATION.sub("", text)
    if kind == "air_waybill":
        match = _AIR_WAYBILL.fullmatch(_PUNCTUATION.sub("", text))
        return f"{match[1]}-{match[2]}" if match else text
    if kind == "sscc":
        digits = text.removeprefix("(00)")
        return digits[2:] if len(digits) == 20 and digits.startswith("00") else digits
    return text


def is_reference_value(value: str) -> bool:
    """Whether `value` can stand as a reference: 1 to 64 printable ASCII characters without blanks."""
    return len(value) <= REFERENCE_MAX and _PRINTABLE.fullmatch(value) is not None


def is_container(value: str) -> bool:
    """Whether `value` has a container's shape (owner code ending in U, J or Z, six digits, check digit)."""
    return _CONTAINER.fullmatch(value) is not None


@lru_cache(_REMEMBERED)
def container_check_holds(value: str) -> bool:
    """Whether the check digit of a value of a container's shape is right (ISO 6346)."""
    return bool(_iso6346.calc_check_digit(value[:10]) == value[10])


def container_check_digit(value: str) -> str:
    """The check digit of an owner code and six digits (`MRSU437163`)."""
    return str(_iso6346.calc_check_digit(value))


def is_rail_car(value: str) -> bool:
    """Whether `value` has a rail car's shape: a reporting mark and a number."""
    return _RAIL_CAR.fullmatch(value) is not None


def is_uld(value: str) -> bool:
    """Whether `value` has the shape of a unit load device's id: type, serial number, owner (`AKE12345LH`)."""
    return _ULD.fullmatch(value) is not None


def is_air_waybill(value: str) -> bool:
    """Whether a normalised value has an air waybill's shape."""
    return len(value) == 12 and _AIR_WAYBILL.fullmatch(value) is not None


def air_waybill_check_holds(value: str) -> bool:
    """Whether the last digit of `020-12345675` is the seven before it, modulo 7."""
    return int(value[4:11]) % 7 == int(value[11])


@lru_cache(_REMEMBERED)
def imo_check_holds(value: str) -> bool:
    """Whether `value` is seven digits whose last one is right."""
    return len(value) == 7 and value.isascii() and bool(_imo.is_valid(value))


def is_placeholder(kind: str, value: str) -> bool:
    """Whether `value` is a known example or filler, which would tie strangers' shipments together."""
    return value in PLACEHOLDERS.get(kind, ())


def is_locode(value: str) -> bool:
    """Whether `value` has the shape of a UN/LOCODE."""
    return _LOCODE.fullmatch(value) is not None


def is_scac(value: str) -> bool:
    """Whether `value` has the shape of a carrier's code."""
    return _SCAC.fullmatch(value) is not None


def is_owner_code(value: str) -> bool:
    """Whether `value` is a container owner's code rather than a carrier's: four letters ending in U, J or Z."""
    return len(value) == 4 and value.isascii() and value.isalpha() and value[3] in "UJZ"
