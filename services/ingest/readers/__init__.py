"""The readers: from the bytes of any standard to shipment events. See README.md beside this file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from services.ingest.readers import cargo_imp, cargo_xml, dcsa, dcsa_30, edifact, epcis, lovla, mapped, one_record, wrapped, x12
from services.ingest.readers.body import decode_body
from services.ingest.readers.draft import WARNINGS_MAX
from services.ingest.readers.json_items import Item, items_of, json_items, too_many
from services.ingest.readers.model import (
    LIMITS,
    Asked,
    Context,
    Interchange,
    Limits,
    Problem,
    Reading,
    Registers,
    Statements,
    Told,
    Unreadable,
    Verdict,
)
from services.ingest.readers.strict_json import Whole

__all__ = [
    "LIMITS",
    "WARNINGS_MAX",
    "Asked",
    "Context",
    "Interchange",
    "Limits",
    "Problem",
    "Reading",
    "Registers",
    "Statements",
    "Unreadable",
    "Verdict",
    "decode_body",
    "detect",
    "family_of",
    "read",
    "statements",
]

_JSON: Final[Mapping[str, tuple[Callable[[object], bool], Callable[[Sequence[Item], Context], Told]]]] = MappingProxyType(
    {
        dcsa.STANDARD: (dcsa.looks_like, dcsa.read),
        dcsa_30.STANDARD: (dcsa_30.looks_like, dcsa.read),
        epcis.STANDARD: (epcis.looks_like, epcis.read),
        lovla.STANDARD: (lovla.looks_like, lovla.read),
        one_record.STANDARD: (one_record.looks_like, one_record.read),
        wrapped.STANDARD: (wrapped.looks_like, lambda items, context: wrapped.read(items, context, _unwrapped)),
    }
)
"""Readers of JSON: whether an object is theirs, and the reader. One line a standard."""

_TEXT: Final[Mapping[str, tuple[Callable[[bytes], bool], Callable[[bytes, Context, Limits], Told]]]] = MappingProxyType(
    {
        x12.STANDARD: (x12.looks_like, x12.read),
        cargo_imp.STANDARD: (cargo_imp.looks_like, cargo_imp.read),  # before EDIFACT, whose envelope it may come in
        edifact.STANDARD: (edifact.looks_like, edifact.read),
        cargo_xml.STANDARD: (cargo_xml.looks_like, cargo_xml.read),
    }
)
"""Readers of other forms: whether the first bytes are theirs, and the reader. One line a standard."""

_FOREIGN_JSON: Final = (
    # a mark of each, and its name: told apart only to say precisely what cannot be read yet
    (("callbackUrl",), "a DCSA event subscription, which is no event"),
    (("@context", "@type"), "JSON-LD of a vocabulary that is not read"),
)
_FOREIGN_TEXT: Final = (
    ((b"<",), "XML that is no Cargo-XML"),
    ((b"%PDF", b"PK\x03\x04"), "a document or archive"),
    ((b"\xff\xfe", b"\xfe\xff"), "text in UTF-16; send it as UTF-8"),
    ((b"\x1f\x8b",), "gzip; send it with Content-Encoding: gzip"),
)
_NOT_KNOWN: Final = ("unknown_format", "unsupported_standard", "not_json")
_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
_KNOWN: Final = (
    "lovla.1, DCSA 2.2 and 3.0 (JSON), X12 214, 315, 322 and 856, EDIFACT IFTSTA, COARRI, CODECO, Cargo-IMP FSU and FSA, "
    "Cargo-XML xFSU, ONE Record LogisticsEvent, GS1 EPCIS 2.0, CSV and JSON of a sender that has a mapping file"
)


def detect(content: bytes, content_type: str | None, hint: str | None, limits: Limits = LIMITS) -> str:
    """The family of `content`: `lovla.1`, `dcsa.2.2`, `x12`, `cargo_imp.fsu`. A known `hint` is believed. Raises Unreadable."""
    text = _hinted(hint) or _text_family(content)
    return text if text is not None else _json_family(json_items(content, content_type, limits))


def family_of(content: bytes, content_type: str | None = None, hint: str | None = None) -> str | None:
    """As `detect`; None where that would raise."""
    try:
        return detect(content, content_type, hint)
    except Unreadable:
        return None


def read(content: bytes, content_type: str | None, hint: str | None, context: Context, limits: Limits = LIMITS) -> Reading:
    """A message, read and held whole: `statements`. Raises Unreadable, and nothing else, whatever the bytes."""
    return Reading.of(statements(content, content_type, hint, context, limits))


def statements(
    content: bytes, content_type: str | None, hint: str | None, context: Context, limits: Limits = LIMITS
) -> Statements:
    """What a message says, one statement at a time; see README.md. Walking through it raises Unreadable, and nothing else."""
    return Statements(_counted(content, content_type, hint, context, limits))


def _counted(content: bytes, content_type: str | None, hint: str | None, context: Context, limits: Limits) -> Told:
    """As many as a message may hold."""
    if len(content) > limits.decoded_bytes:
        raise Unreadable("too_large", "", f"more than {limits.decoded_bytes} bytes; send smaller parts")
    told = Statements(_told(content, content_type, hint, context, limits))
    count = 0
    for count, verdict in enumerate(told, start=1):
        if count <= limits.events:  # how many they are is told, so the rest is counted
            yield verdict
    if not count:
        raise Unreadable("empty", "", "the message holds no event")
    if count > limits.events:
        raise too_many(count, limits)
    return told.envelope


def _told(content: bytes, content_type: str | None, hint: str | None, context: Context, limits: Limits) -> Told:
    """By what the hint names; else by the sender's mappings, if it has any; else by its standard's reader."""
    if hint == mapped.STANDARD:
        return mapped.read(content, context, limits)
    family, whole = _hinted(hint), Whole(content, limits)
    if family is None and context.registers.mappings.valid(context.sender, context.received_at):
        return _mapped_or_known(whole, content_type, context)
    return _known(whole, content_type, family, context)


def _mapped_or_known(whole: Whole, content_type: str | None, context: Context) -> Told:
    """By a mapping of the sender that fits for certain, else by its standard's reader, else by a mapping that may be meant."""
    if (told := mapped.read_fitting(whole, content_type, context)) is not None:
        return (yield from told)
    try:
        return (yield from _known(whole, content_type, None, context))
    except Unreadable as error:
        if error.code not in _NOT_KNOWN:
            raise
        otherwise = mapped.read_otherwise(whole, content_type, context)
        if otherwise is None:
            raise
    return (yield from otherwise)


def _known(whole: Whole, content_type: str | None, family: str | None, context: Context) -> Told:
    family = family or _text_family(whole.body)
    if family is not None and family in _TEXT:
        return _TEXT[family][1](whole.body, context, whole.limits)
    items = items_of(whole, content_type)
    if len(items) > whole.limits.events:
        raise too_many(len(items), whole.limits)
    return _JSON[family or _json_family(items)][1](items, context)


def _unwrapped(content: bytes, context: Context) -> Statements:
    """What stands in a wrapper: anything but another wrapper. Raises Unreadable."""
    family = _text_family(content)
    if family is None and _json_family(json_items(content, None, LIMITS)) == wrapped.STANDARD:
        raise Unreadable("bad_nesting", "", "a wrapper inside a wrapper is not read")
    return statements(content, None, family, context)


def _hinted(hint: str | None) -> str | None:
    """The family that a hint names: itself, or what stands before its dot (`x12.315`)."""
    if not hint:
        return None
    return next((name for name in (hint, hint.partition(".")[0]) if name in _JSON or name in _TEXT), None)


def _text_family(content: bytes) -> str | None:
    """The family of what is not JSON, None for JSON; raises Unreadable for what is neither known nor JSON."""
    for family, (looks_like, _) in _TEXT.items():
        if looks_like(content):
            return family
    start = content[:64].removeprefix(_BOM).lstrip(_BLANK)
    for marks, name in _FOREIGN_TEXT:
        if start.startswith(marks):
            raise Unreadable("unsupported_standard", "", f"this looks like {name}; read are {_KNOWN}")
    if not content.removeprefix(_BOM).strip(_BLANK):
        raise Unreadable("empty", "", "there is nothing to read")
    if not start.startswith((b"{", b"[")):
        raise Unreadable("unknown_format", "", f"neither JSON nor any message known; read are {_KNOWN}")
    return None


def _json_family(items: Sequence[Item]) -> str:
    if not items:
        raise Unreadable("empty", "", "the message holds no event")
    for item in items:
        for family, (looks_like, _) in _JSON.items():
            if looks_like(item.value):
                return family
    for item in items:
        if isinstance(item.value, dict):
            for marks, name in _FOREIGN_JSON:
                if all(mark in item.value for mark in marks):
                    raise Unreadable("unsupported_standard", item.position, f"this looks like {name}; read are {_KNOWN}")
    for item in items:
        if item.problem is not None:
            raise Unreadable(item.problem.code, item.problem.where, item.problem.text)
    raise Unreadable("unknown_format", "", f"JSON, but of no form that is known; read are {_KNOWN}")
