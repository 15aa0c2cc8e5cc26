"""Identifiers of the trade: how they are written here, and whether their check digits hold.

Sources: ISO 6346 (containers), IATA air waybill numbers, IMO numbers, UN/LOCODE, SCAC (NMFTA), GS1 General Specifications
(SSCC, GTIN, GLN, lots) and EPC Tag Data Standard, NIOSH approval numbers (42 CFR 84). Check digits by python-stdnum, where it
has them. What does not hold is kept with a warning: real messages are full of it, and a typing error must not hide a shipment.

For readers: `normalise` (one way to write each kind), `doubt` (the sentence for a bad check digit; `Draft.refer` calls it),
`join_container` (owner code, number and digit of separate fields), `gtin_lot`, `gtin_of_epc`, `sscc_of_epc`, `gln_of_epc` (from
the parts of an EPC URN), `is_lot`, `is_placeholder`, `niosh_approval`, `bare_imo`, `scac_names`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

from stdnum import ean as _ean
from stdnum import imo as _imo
from stdnum import iso6346 as _iso6346

from schemas.fillers import is_filler

REFERENCE_MAX: Final = 64
_REMEMBERED: Final = 50_000  # a box is named by a dozen messages, a ship by thousands; some 10 MB at most

_VALUE_REMEMBERED: Final = 128  # characters of a value that is remembered: strangers choose how long they are
_SPLIT_MAX: Final = 24  # the same, of a container's three fields together

_CONSIGNMENT = re.compile(r"[A-Z0-9][A-Z0-9_.-]{0,34}-[A-Za-z0-9][A-Za-z0-9_./-]{0,59}")
_CONTAINER = re.compile(r"[A-Z]{3}[UJZ][0-9]{7}")
_CONTAINER_WITHOUT_DIGIT = re.compile(r"[A-Z]{3}U[0-9]{6}")
_LIKE_CONTAINER = re.compile(r"[A-Z]{4}[0-9]{7}")
_RAIL_CAR = re.compile(r"[A-Z]{2,4}[0-9]{1,6}")
_AIR_WAYBILL = re.compile(r"([0-9]{3})-?([0-9]{8})")
_ULD = re.compile(r"[A-Z][A-Z0-9]{2}[0-9]{4,5}[A-Z0-9]{2}")
_LOCODE = re.compile(r"[A-Z]{2}[A-Z2-9]{3}")
_SCAC = re.compile(r"[A-Z]{2,4}")
_DIGITS = re.compile(r"[0-9]+")
_LOT = re.compile(r"[!\"%&'()*+,./0-9:;<=>?A-Z_a-z-]{1,20}")  # GS1 character set 82
_NIOSH = re.compile(r"\bTC(?:-[0-9]{1,3}[A-Z]?-|[ -]?84A[ -]?)[0-9A-Z]{1,12}\b")
_FACEPIECE = re.compile(r"TC-84A-[0-9]{4}")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_BLANKS = re.compile(r"\s+")
_PUNCTUATION = re.compile(r"[\s./_-]+")

PLACEHOLDERS: Final[dict[str, frozenset[str]]] = {
    "imo": frozenset({"1234567", *(digit * 7 for digit in "0123456789")}),
    "sscc": frozenset({"0" * 18}),
    "container": frozenset({"APZU4812090", "XXXU1234567", "ABCD1234567", "AAAU0000000", "XXXU0000000", "ZZZU9999999"}),
}
"""Values from specifications and test systems that turn up in live feeds. Several pass their own check digit."""

_KEEP_CASE = frozenset({"consignment", "gtin_lot", "sgtin"})


def normalise(kind: str, value: str) -> str:
    """`value` as all parts of LoVLA write references of `kind`, so that declared and reported ones meet.

    Blanks never count; letters are upper case, but for consignments, lots and serials, whose owners tell case apart;
    containers, ULDs and rail cars lose their punctuation; an air waybill becomes `020-12345675`.
    """
    return _normalised(kind, value) if len(value) <= _VALUE_REMEMBERED else _normalise(kind, value)


def _normalise(kind: str, value: str) -> str:
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


_normalised: Final = lru_cache(_REMEMBERED)(_normalise)


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


def join_container(owner: str, number: str, digit: str) -> tuple[str, bool] | None:
    """The container of an owner code, a number and a check digit that came in fields of their own, and whether its digit had to
    be computed. The digit may be missing, or stand in the number already. None: they are no container's."""
    if len(owner) + len(number) + len(digit) > _SPLIT_MAX:
        return _join_container(owner, number, digit)
    return _joined(owner, number, digit)


def _join_container(owner: str, number: str, digit: str) -> tuple[str, bool] | None:
    owner = owner.upper() if owner.isalpha() else _BLANKS.sub("", owner).upper()
    number = number if number.isdigit() else _PUNCTUATION.sub("", number)
    if not is_owner_code(owner) or not _DIGITS.fullmatch(number):
        return None
    if len(number) == 7:
        return owner + number, False
    if len(number) != 6:
        return None
    digit = digit.strip()
    if _DIGITS.fullmatch(digit) and len(digit) == 1:
        return owner + number + digit, False
    return owner + number + container_check_digit(owner + number), True


_joined: Final = lru_cache(_REMEMBERED)(_join_container)


def lacks_check_digit(value: str) -> bool:
    """Whether `value` is an owner's code and six digits: a container whose check digit was left out. No rail car's mark ends in
    U: that letter marks containers."""
    return _CONTAINER_WITHOUT_DIGIT.fullmatch(value) is not None


def is_like_container(value: str) -> bool:
    """Whether `value` is as long as a container's number, but of a fourth letter that ISO 6346 does not know: some owners do
    so. It is kept, and links only where a consignment declares that string."""
    return _LIKE_CONTAINER.fullmatch(value) is not None


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


def is_sscc(value: str) -> bool:
    """Whether a normalised value has the shape of a serial shipping container code: 18 digits."""
    return len(value) == 18 and _DIGITS.fullmatch(value) is not None


def gs1_check_holds(value: str) -> bool:
    """Whether the last digit of a GTIN, GLN or SSCC is right (weights 3 and 1 from the right, modulo 10)."""
    return _DIGITS.fullmatch(value) is not None and len(value) > 1 and _ean.calc_check_digit(value[:-1]) == value[-1]


def is_gtin(value: str) -> bool:
    """Whether `value` has a GTIN's shape (8, 12, 13 or 14 digits)."""
    return len(value) in (8, 12, 13, 14) and _DIGITS.fullmatch(value) is not None


def is_gln(value: str) -> bool:
    """Whether `value` has the shape of a global location number: 13 digits."""
    return len(value) == 13 and _DIGITS.fullmatch(value) is not None


def names_a_consignment(value: str) -> bool:
    """Whether a customer's own number is written as our consignments are: the buyer's code, a hyphen, the buyer's number."""
    return _CONSIGNMENT.fullmatch(value) is not None


def is_lot(value: str) -> bool:
    """Whether `value` is a lot number: 1 to 20 characters of GS1's set 82."""
    return _LOT.fullmatch(value) is not None


def gtin_lot(gtin: str, lot: str) -> str | None:
    """The reference `gtin_lot`: the GTIN as 14 digits, a dot, the lot (`00312345678906.LOT7`). None if either is none."""
    return f"{gtin:0>14}.{lot}" if is_gtin(gtin) and is_lot(lot) else None


def gtin_of_epc(company_prefix: str, item_reference: str) -> str | None:
    """The GTIN of `urn:epc:id:sgtin:PREFIX.ITEM...` and `urn:epc:class:lgtin:PREFIX.ITEM.LOT`: the item's first digit is the
    indicator. None if the two are not 13 digits."""
    return _of_epc(item_reference[:1] + company_prefix + item_reference[1:], 13)


def sscc_of_epc(company_prefix: str, serial: str) -> str | None:
    """The SSCC of `urn:epc:id:sscc:PREFIX.SERIAL`: the serial's first digit is the extension. None if not 17 digits."""
    return _of_epc(serial[:1] + company_prefix + serial[1:], 17)


def gln_of_epc(company_prefix: str, location: str) -> str | None:
    """The GLN of `urn:epc:id:sgln:PREFIX.LOCATION.EXTENSION` and `pgln`. None if the two are not 12 digits."""
    return _of_epc(company_prefix + location, 12)


def _of_epc(digits: str, length: int) -> str | None:
    if len(digits) != length or not _DIGITS.fullmatch(digits):
        return None
    return digits + str(_ean.calc_check_digit(digits))


def niosh_approval(text: str) -> tuple[str, bool] | None:
    """The NIOSH approval number that a text names, and whether it is a filtering facepiece respirator's (`TC-84A-1234`); what
    one of another series, or of too many or few digits, is worth only people can tell. None: it names none."""
    found = _NIOSH.search(text.upper())
    return (found[0], _FACEPIECE.fullmatch(found[0]) is not None) if found else None


def niosh_doubt(description: str) -> str | None:
    """What is wrong with the approval number that a description names, as a sentence; None: nothing, or it names none."""
    found = niosh_approval(description)
    if found is None or found[1]:
        return None
    return f"{found[0][:30]} is no approval number of a filtering facepiece respirator (TC-84A-1234): have it checked"


def doubt(kind: str, value: str) -> str | None:
    """What is wrong with the check digit of a normalised reference, as a sentence; None if nothing is, or it has none.

    Never a reason to reject: such a reference is kept, and links only where a consignment declares that very string (nothing is
    learned from it: services/tracker/linking.py).
    """
    if kind == "container" and is_container(value) and not container_check_holds(value):
        return f"container {value} should end in {container_check_digit(value[:10])}; kept as sent"
    if kind == "air_waybill" and is_air_waybill(value) and not air_waybill_check_holds(value):
        return f"air waybill {value} should end in {int(value[4:11]) % 7}; kept as sent"
    if kind == "sscc" and is_sscc(value) and not gs1_check_holds(value):
        return f"SSCC {value} should end in {_ean.calc_check_digit(value[:-1])}; kept as sent"
    if kind == "gln" and is_gln(value) and not gs1_check_holds(value):
        return f"GLN {value} should end in {_ean.calc_check_digit(value[:-1])}"
    if kind in ("gtin_lot", "sgtin"):
        gtin = value.partition(".")[0]
        if is_gtin(gtin) and not gs1_check_holds(gtin):
            return f"GTIN {gtin} should end in {_ean.calc_check_digit(gtin[:-1])}; kept as sent"
    return None


def bare_imo(value: str) -> str:
    """An IMO number without the letters that some write before it (`IMO 9321483`)."""
    return value if value.isdigit() else _BLANKS.sub("", value).upper().removeprefix("IMO").lstrip(":-")


@lru_cache(_REMEMBERED)
def imo_check_holds(value: str) -> bool:
    """Whether `value` is seven digits whose last one is right."""
    return len(value) == 7 and value.isascii() and bool(_imo.is_valid(value))


def is_placeholder(kind: str, value: str) -> bool:
    """Whether `value` is a known example or filler, which would tie strangers' shipments together."""
    return value in PLACEHOLDERS.get(kind, ()) or is_filler(kind, value)


def is_locode(value: str) -> bool:
    """Whether `value` has the shape of a UN/LOCODE."""
    return _LOCODE.fullmatch(value) is not None


def is_scac(value: str) -> bool:
    """Whether `value` has the shape of a carrier's code."""
    return _SCAC.fullmatch(value) is not None


def is_owner_code(value: str) -> bool:
    """Whether `value` is a container owner's code rather than a carrier's: four letters ending in U, J or Z."""
    return len(value) == 4 and value.isascii() and value.isalpha() and value[3] in "UJZ"


def scac_names(value: str) -> Literal["carrier", "container owner", "rail car owner", "chassis owner"]:
    """Whose code it is by its last letter (NMFTA): U names owners of containers, X of rail cars, Z of chassis; they carry
    nothing. Only codes of four letters follow the rule."""
    if len(value) == 4:
        match value[3]:
            case "U":
                return "container owner"
            case "X":
                return "rail car owner"
            case "Z":
                return "chassis owner"
    return "carrier"
