"""GS1 identifiers as EPCIS writes them: EPC URNs and GS1 Digital Link URIs, both made one canonical Digital Link.

Sources: EPC Tag Data Standard (URN forms), GS1 Digital Link URI Syntax (keys, qualifiers, canonical form), EPCIS Event Hash
(only the finest level of identification stays: a serial hides the lot). A company prefix has 6 to 12 digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from stdnum import ean

from schemas.words import ReferenceKind
from services.ingest import identifiers

_DOMAIN: Final = "https://id.gs1.org"
_URN = re.compile(r"urn:epc:(id|class|idpat):([a-z]+):(.+)", re.DOTALL)
_PREFIX = re.compile(r"[0-9]{6,12}")
_DIGITS = re.compile(r"[0-9]+")
_COMPONENT = re.compile(r"(?:%[0-9A-Fa-f]{2}|[!')(*+,.0-9:;=A-Za-z_-]){1,40}")  # a serial or reference in a URN
_LINK_VALUE = re.compile(r"(?:%[0-9A-Fa-f]{2}|[\"'.0-9:;<=>?A-Za-z_-]){1,60}")
_ENCODED: Final = str.maketrans({character: f"%{ord(character):02X}" for character in "!()*+,:"})
_KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "00": "00", "sscc": "00", "01": "01", "gtin": "01", "253": "253", "gdti": "253", "255": "255", "gcn": "255",
        "401": "401", "ginc": "401", "402": "402", "gsin": "402", "414": "414", "gln": "414", "417": "417", "party": "417",
        "8003": "8003", "grai": "8003", "8004": "8004", "giai": "8004", "8006": "8006", "itip": "8006", "8010": "8010",
        "cpid": "8010", "8017": "8017", "gsrnp": "8017", "8018": "8018", "gsrn": "8018",
    }
)  # fmt: skip
_QUALIFIERS: Final[Mapping[str, str]] = MappingProxyType(
    {"21": "21", "ser": "21", "10": "10", "lot": "10", "22": "22", "cpv": "22", "235": "235", "254": "254", "8011": "8011"}
)
_QUALIFY: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    # the finest first: that one stays
    {"01": ("21", "235", "10"), "8006": ("21", "10"), "414": ("254",), "8010": ("8011",)}
)
_LENGTHS: Final[Mapping[str, int]] = MappingProxyType(
    {"00": 18, "01": 14, "402": 17, "414": 13, "417": 13, "8006": 18, "8017": 18, "8018": 18}
)
_CHECKED_PART: Final[Mapping[str, int]] = MappingProxyType({"253": 13, "255": 13, "8003": 14})
"""Keys of digits with a serial right behind them."""


@dataclass(frozen=True, slots=True)
class GS1Id:
    """A GS1 key and at most one qualifier, by their application identifiers; values as a Digital Link writes them."""

    key: str
    value: str
    qualifier: str = ""
    qualified: str = ""

    @property
    def link(self) -> str:
        """The canonical Digital Link."""
        tail = f"/{self.qualifier}/{self.qualified}" if self.qualifier else ""
        return f"{_DOMAIN}/{self.key}/{self.value}{tail}"

    def reference(self) -> tuple[ReferenceKind, str] | None:
        """The reference that it is to us; None where it names none (a class of goods, a party, an asset)."""
        if self.key == "00":
            return "sscc", self.value
        if self.key == "01" and self.qualifier == "21":
            return "sgtin", f"{self.value}.{unquote(self.qualified)}"
        if self.key == "01" and self.qualifier == "10":
            found = identifiers.gtin_lot(self.value, unquote(self.qualified))
            return ("gtin_lot", found) if found else None
        if self.key in ("401", "402"):  # consignment and shipment numbers stand on transport documents
            return "bill_of_lading", unquote(self.value)
        return None


def gs1_id(text: str) -> GS1Id | None:
    """The GS1 key in an EPC URN (id, class, pattern) or in a Digital Link of any domain; None where there is none."""
    text = text.strip()
    if text.startswith("urn:epc:"):
        return _of_urn(text)
    return _of_link(text) if text.startswith(("https://", "http://")) else None


def _of_urn(text: str) -> GS1Id | None:
    match = _URN.fullmatch(text)
    if match is None:
        return None
    level, scheme, rest = match.groups()
    reader = _SCHEMES.get((scheme, level == "class"))
    prefix, dot, tail = rest.partition(".")
    if reader is None or not dot or not _PREFIX.fullmatch(prefix):
        return None
    if level == "idpat":
        if not tail.endswith(".*"):
            return None
        return reader(prefix, tail.removesuffix(".*"), True)
    return reader(prefix, tail, False)


def _gtin_with(qualifier: str) -> Callable[[str, str, bool], GS1Id | None]:
    def read(prefix: str, tail: str, is_pattern: bool) -> GS1Id | None:
        item, _, serial = tail.partition(".")
        gtin = identifiers.gtin_of_epc(prefix, item)
        if gtin is None:
            return None
        if is_pattern:
            return GS1Id("01", gtin) if not serial else None
        return GS1Id("01", gtin, qualifier, _encoded(serial)) if _COMPONENT.fullmatch(serial) else None

    return read


def _sscc(prefix: str, tail: str, is_pattern: bool) -> GS1Id | None:
    sscc = None if is_pattern else identifiers.sscc_of_epc(prefix, tail)
    return GS1Id("00", sscc) if sscc else None


def _location(prefix: str, tail: str, is_pattern: bool) -> GS1Id | None:
    place, _, extension = tail.partition(".")
    gln = None if is_pattern else identifiers.gln_of_epc(prefix, place)
    if gln is None or not _COMPONENT.fullmatch(extension):
        return None
    return GS1Id("414", gln) if extension == "0" else GS1Id("414", gln, "254", _encoded(extension))


def _party(prefix: str, tail: str, is_pattern: bool) -> GS1Id | None:
    gln = None if is_pattern else identifiers.gln_of_epc(prefix, tail)
    return GS1Id("417", gln) if gln else None


def _numbered(key: str, length: int, *, filler: str = "") -> Callable[[str, str, bool], GS1Id | None]:
    """Keys of a checked number of `length` digits without the check digit, and a serial (GRAI, GDTI, GCN)."""

    def read(prefix: str, tail: str, is_pattern: bool) -> GS1Id | None:
        kind, _, serial = tail.partition(".")
        number = _checked(filler + prefix + kind, length)
        if number is None or (serial and not _COMPONENT.fullmatch(serial)) or bool(serial) == is_pattern:
            return None
        return GS1Id(key, number + _encoded(serial))

    return read


def _plain(key: str) -> Callable[[str, str, bool], GS1Id | None]:
    """Keys of a prefix and a reference of any length (GIAI, GINC)."""

    def read(prefix: str, tail: str, is_pattern: bool) -> GS1Id | None:
        return GS1Id(key, prefix + _encoded(tail)) if not is_pattern and _COMPONENT.fullmatch(tail) else None

    return read


def _checked_whole(key: str, length: int) -> Callable[[str, str, bool], GS1Id | None]:
    """Keys of digits and a check digit (GSRN, GSRNP, GSIN)."""

    def read(prefix: str, tail: str, is_pattern: bool) -> GS1Id | None:
        number = None if is_pattern else _checked(prefix + tail, length)
        return GS1Id(key, number) if number else None

    return read


def _part(prefix: str, tail: str, is_pattern: bool) -> GS1Id | None:
    """CPI: a component or part."""
    if is_pattern:
        return GS1Id("8010", prefix + tail) if _COMPONENT.fullmatch(tail) else None
    reference, _, serial = tail.rpartition(".")
    return GS1Id("8010", prefix + reference, "8011", serial) if _COMPONENT.fullmatch(reference) and serial.isdigit() else None


def _piece(prefix: str, tail: str, is_pattern: bool) -> GS1Id | None:
    """ITIP: a piece of a trade item."""
    item, piece, total, serial = (*tail.split(".", 3), "", "", "")[:4]
    gtin = identifiers.gtin_of_epc(prefix, item)
    if gtin is None or not re.fullmatch("[0-9]{4}", piece + total):
        return None
    if is_pattern:
        return GS1Id("8006", gtin + piece + total) if not serial else None
    return GS1Id("8006", gtin + piece + total, "21", _encoded(serial)) if _COMPONENT.fullmatch(serial) else None


_SCHEMES: Final[Mapping[tuple[str, bool], Callable[[str, str, bool], GS1Id | None]]] = MappingProxyType(
    {  # scheme, of a class
        ("sgtin", False): _gtin_with("21"),
        ("upui", False): _gtin_with("235"),
        ("lgtin", True): _gtin_with("10"),
        ("sscc", False): _sscc,
        ("sgln", False): _location,
        ("pgln", False): _party,
        ("grai", False): _numbered("8003", 13, filler="0"),
        ("gdti", False): _numbered("253", 12),
        ("sgcn", False): _numbered("255", 12),
        ("giai", False): _plain("8004"),
        ("ginc", False): _plain("401"),
        ("gsin", False): _checked_whole("402", 16),
        ("gsrn", False): _checked_whole("8018", 17),
        ("gsrnp", False): _checked_whole("8017", 17),
        ("cpi", False): _part,
        ("itip", False): _piece,
    }
)


def _of_link(text: str) -> GS1Id | None:
    path = re.split("[?#]", text.partition("://")[2], maxsplit=1)[0]
    parts = path.split("/")[1:]
    if parts and not parts[-1]:
        parts.pop()
    # a domain may have a path of its own before the key; the key stands before a value of four digits at least
    at = next((n for n in range(len(parts) - 1) if parts[n] in _KEYS and re.match("[0-9]{4}", parts[n + 1])), None)
    if at is None:
        return None
    key, value, rest = _KEYS[parts[at]], parts[at + 1], parts[at + 2 :]
    if key == "01" and len(value) in (8, 12, 13) and _DIGITS.fullmatch(value):
        value = f"{value:0>14}"
    if not _is_value(key, value) or len(rest) % 2:
        return None
    qualified: dict[str, str] = {}
    for name, said in zip(rest[::2], rest[1::2], strict=True):
        if name not in _QUALIFIERS or not _LINK_VALUE.fullmatch(said):
            return None
        qualified[_QUALIFIERS[name]] = said
    allowed = _QUALIFY.get(key, ())
    if any(name not in (*allowed, "22") for name in qualified):
        return None
    finest = next((name for name in allowed if name in qualified), None)
    return GS1Id(key, value, finest, qualified[finest]) if finest else GS1Id(key, value)


def _is_value(key: str, value: str) -> bool:
    if key in _LENGTHS:
        return len(value) == _LENGTHS[key] and _DIGITS.fullmatch(value) is not None
    digits = value[: _CHECKED_PART.get(key, 0)]
    if digits and (len(digits) < _CHECKED_PART[key] or not _DIGITS.fullmatch(digits)):
        return False
    return _LINK_VALUE.fullmatch(value) is not None


def _checked(digits: str, length: int) -> str | None:
    if len(digits) != length or not _DIGITS.fullmatch(digits):
        return None
    return digits + str(ean.calc_check_digit(digits))


def _encoded(text: str) -> str:
    """A component of a URN as a Digital Link writes it."""
    return text.translate(_ENCODED)
