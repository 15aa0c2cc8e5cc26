"""The EPCIS event hash (CBV 2.0, 8.9): the id of an event that has none, the same in whatever form the event is written.

The event is written as one string, its members in the standard's order, ids as canonical Digital Links, words as web URIs,
times in UTC to the millisecond; the id is the string's SHA-256 as `ni` URI (RFC 6920). Where the standard's text and the
hashes published with GS1's reference implementation differ, the published hashes count, for others compute those: the lists
of business transactions, destinations and sources come last, each entry with its type first.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from types import MappingProxyType
from typing import Any, Final

from services.ingest.readers.draft import Bad
from services.ingest.readers.epcis_ids import gs1_id
from services.ingest.readers.epcis_words import VOC, Vocabulary
from services.ingest.readers.times import parse_rfc3339

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,2})?")
_WRITTEN_MOST: Final = 4 * 2**20  # bytes of the strings that one event is written as
_OWN_TIMES: Final = 16  # as dear are members of somebody's own, of which a few hundred are many
_TEXT_BYTES: Final = 64  # of a string beside its letters
_LEFT_OUT: Final = frozenset(
    ["type", "@type", "isA", "eventID", "recordTime", "errorDeclaration", "@context", "comment", "rdfs:comment", "#text"]
)
_QUANTITY: Final = ("epcClass", "quantity", "uom")
_ORDER: Final[Sequence[str]] = (
    "eventTime", "eventTimeZoneOffset", "certificationInfo", "epcList", "parentID", "inputEPCList", "childEPCs", "quantityList",
    "childQuantityList", "inputQuantityList", "outputEPCList", "outputQuantityList", "action", "transformationID", "bizStep",
    "disposition", "persistentDisposition", "readPoint", "bizLocation", "sensorElementList",
)  # fmt: skip
_EPCS: Final = frozenset(("epcList", "inputEPCList", "childEPCs", "outputEPCList"))
_QUANTITIES: Final = frozenset(("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList"))
_TYPED: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "bizTransactionList": ("bizTransaction", "BTT"),
        "sourceList": ("source", "SDT"),
        "destinationList": ("destination", "SDT"),
    }
)
_METADATA: Final = ("time", "startTime", "endTime", "deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules")
_REPORT: Final = (
    "type", "exception", "deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "time", "microorganism",
    "chemicalSubstance", "value", "component", "stringValue", "booleanValue", "hexBinaryValue", "uriValue", "minValue",
    "maxValue", "meanValue", "sDev", "percRank", "percValue", "uom", "coordinateReferenceSystem",
)  # fmt: skip


def event_hash(event: Mapping[str, Any], kind: str, vocabulary: Vocabulary, where: str = "") -> str:
    """The hash id of an event of this type. Raises Bad where it would be that of far more than the event says: a name of
    kilobytes stands once for each value that it has, and a prefix for a namespace of any length."""
    text = pre_hash(event, kind, vocabulary, where)
    return f"ni:///sha-256;{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}?ver=CBV2.0"


def pre_hash(event: Mapping[str, Any], kind: str, vocabulary: Vocabulary, where: str = "") -> str:
    """The string that is hashed."""
    said = _Writer(vocabulary, where)
    parts = [f"eventType={kind}"]
    parts += [said.standard(name, event[name]) for name in _ORDER if event.get(name) is not None]
    last = [said.typed(name, event[name]) for name in _TYPED if event.get(name) is not None]
    last += [
        written
        for name, value in event.items()
        if name not in _LEFT_OUT and name not in _ORDER and name not in _TYPED
        for written in said.own(name, value)
    ]
    return "".join([*parts, *sorted(last)])


class _Writer:
    def __init__(self, vocabulary: Vocabulary, where: str) -> None:
        self._words = vocabulary
        self._where = where
        self._left = _WRITTEN_MOST

    def _written(self, text: str, times: int = 1) -> str:
        self._left -= times * (len(text) + _TEXT_BYTES)
        if self._left < 0:
            raise Bad("too_many_values", self._where, "it says too much to make its event hash of; give it an eventID")
        return text

    def standard(self, name: str, value: Any) -> str:
        """A member that the standard puts in order."""
        if name in _EPCS:
            return _listed(name, (self.pair("epc", one) for one in _list(value)))
        if name in _QUANTITIES:
            return _listed(name, (self.element("quantityElement", one, _QUANTITY) for one in _list(value)))
        if name in ("readPoint", "bizLocation"):
            return self.element(name, value, ("id",))
        if name == "persistentDisposition":
            return self.persistent(value)
        if name == "sensorElementList":
            return _listed(name, (self.sensor(one) for one in _list(value)))
        if name in ("bizStep", "disposition") and isinstance(value, str):
            return f"{name}={self._words.word('BizStep' if name == 'bizStep' else 'Disp', value)}"
        return "".join(self.pair(name, one) for one in sorted(_list(value), key=str))

    def typed(self, name: str, value: Any) -> str:
        """A list of things with a type: the type comes first."""
        inner, kind = _TYPED[name]
        entries = []
        for one in _list(value):
            if isinstance(one, dict):
                said = one.get("type", one.get("@type"))
                typed = f"type={self._words.word(kind, said)}" if isinstance(said, str) else ""
                entries.append(typed + self.pair(inner, one.get(inner)))
        return _listed(name, entries)

    def persistent(self, value: Any) -> str:
        found = value if isinstance(value, dict) else {}
        parts = [
            "".join(sorted(f"{side}={self._words.word('Disp', one)}" for one in _list(found.get(side)) if isinstance(one, str)))
            for side in ("set", "unset")
        ]
        return "persistentDisposition" + "".join(parts) if any(parts) else ""

    def sensor(self, value: Any) -> str:
        found = value if isinstance(value, dict) else {}
        parts = []
        if found.get("sensorMetadata") is not None:
            parts.append(self.element("sensorMetadata", found["sensorMetadata"], _METADATA))
        parts += sorted(self.element("sensorReport", one, _REPORT) for one in _list(found.get("sensorReport")))
        parts.append(self.others(found, ("sensorMetadata", "sensorReport")))
        return "sensorElement" + "".join(parts) if any(parts) else ""

    def element(self, name: str, value: Any, order: Sequence[str]) -> str:
        """An object with members in order; those of somebody's own come last."""
        if not isinstance(value, dict):
            return self.pair(name, value)
        inner = [self.pair(key, value.get(key), name) for key in order] + [self.others(value, order)]
        return name + "".join(inner) if any(inner) else ""

    def others(self, value: Mapping[str, Any], known: Sequence[str]) -> str:
        own = [said for key, one in value.items() if key not in known for said in self.own(key, one)]
        return "".join(sorted(own))

    def own(self, key: str, value: Any) -> list[str]:
        """A member of somebody's own, and all in it; one of several values is written once for each."""
        name = self._words.name(key)
        if value is None:
            return []
        if isinstance(value, list):
            return [said for one in value for said in self.own(key, one)]
        if isinstance(value, dict):
            inner = [said for inner_key, one in value.items() for said in self.own(inner_key, one)]
            return [self._written(name + "".join(sorted(inner)), _OWN_TIMES)]
        text = self.value(_text(value))
        return [self._written(f"{name}={text}" if text else name, _OWN_TIMES)]

    def pair(self, name: str, value: Any, inside: str = "") -> str:
        if value is None or isinstance(value, dict | list):
            return ""
        text = _text(value)
        if "time" in name.lower() and "offset" not in name.lower():
            text = _moment(text)
        elif inside == "sensorReport" and name in ("type", "exception"):
            text = self._words.uri(text) if ":" in text else VOC + text
        elif inside == "sensorReport" and name == "component":
            text = self._words.word("Comp", text)
        else:
            text = self.value(text)
        return self._written(f"{name}={text}") if text else ""

    def value(self, text: str) -> str:
        """An id as canonical Digital Link, a number in its shortest form, a compact URI in full, all else as it is."""
        if _NUMBER.fullmatch(text):
            return _number(text)
        full = self._words.uri(text)
        found = gs1_id(full)
        return found.link if found else full


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _listed(name: str, entries: Any) -> str:
    written = "".join(sorted(entries))
    return name + written if written else ""


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip()


def _number(text: str) -> str:
    number = float(text)
    return str(int(number)) if number.is_integer() else str(number)


def _moment(text: str) -> str:
    try:
        moment = parse_rfc3339(text)
    except ValueError:
        return text
    moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    over = moment.microsecond % 1000
    moment += timedelta(microseconds=1000 - over if over >= 500 else -over)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
