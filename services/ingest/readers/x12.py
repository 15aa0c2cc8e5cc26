"""ANSI X12: status messages 214 (road), 315 (ocean), 322 (terminal, rail), ship notices 856; one bad set costs one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from schemas.shipment_event_v1 import Warning_
from schemas.words import Standard
from services.ingest.readers import x12_214, x12_315, x12_322, x12_856
from services.ingest.readers.draft import Bad, Identities
from services.ingest.readers.envelopes import Sendership, sendership
from services.ingest.readers.model import (
    INTERCHANGES_MOST,
    Context,
    Envelope,
    Interchange,
    Limits,
    Told,
    Unreadable,
    Verdict,
)
from services.ingest.readers.x12_segments import Segment, Set, decode, walk

STANDARD: Final = "x12"

_STATUSES: Mapping[str, tuple[Standard, Callable[[Set, Context, Identities], Iterator[Verdict]]]] = {
    "214": (x12_214.STANDARD, x12_214.read_set),
    "315": (x12_315.STANDARD, x12_315.read_set),
    "322": (x12_322.STANDARD, x12_322.read_set),
}
NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "104": "an air shipment's information",
        "110": "an air freight invoice",
        "204": "a load tender",
        "210": "a freight invoice",
        "300": "a booking request",
        "301": "a booking confirmation",
        "304": "shipping instructions",
        "309": "a customs manifest",
        "310": "an ocean freight invoice",
        "350": "a customs status",
        "404": "a rail bill of lading",
        "810": "an invoice",
        "824": "an application's advice",
        "850": "a purchase order",
        "855": "an order's acknowledgement",
        "861": "a receiving advice",
        "940": "a warehouse's shipping order",
        "944": "a warehouse's receipt",
        "945": "a warehouse's shipping advice",
        "990": "a response to a load tender",
        "997": "a functional acknowledgement",
        "999": "an implementation acknowledgement",
    }
)
"""Sets that are no status messages, by name. Any other is refused by its number."""

READ: Final = "214, 315, 322 and 856"


def looks_like(content: bytes) -> bool:
    """Whether `content` starts as an interchange does."""
    start = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    return start[:3] == b"ISA" and not start[3:4].isalnum()


_NOBODY: Final = Sendership()


def read(content: bytes, context: Context, limits: Limits) -> Told:
    """One verdict a status or ship notice, in order. Raises Unreadable where no set can be made out."""
    text, warnings = decode(content)
    if "ISA" not in text:
        raise Unreadable("unknown_format", "", "an X12 interchange starts with ISA")
    more: list[Warning_] = []
    identities: dict[str, Identities] = {}
    interchange: Segment | None = None
    found: list[Interchange] = []
    senders: dict[tuple[int, int], Sendership] = {}
    sender, group, told = _NOBODY, None, 0
    for one in walk(text, more, envelopes=False):
        if not isinstance(one, Set):
            continue
        if one.interchange is not interchange:  # what each says is counted alone: the same one twice in a file is a repeat
            identities, interchange, sender = {}, one.interchange, _NOBODY
            if len(found) < INTERCHANGES_MOST:
                found.append(Interchange(interchange.where, interchange.get(6), interchange.get(13)))
        if sender is _NOBODY or one.group is not group:
            sender, group = _sender(one, context, senders), one.group
        try:
            for verdict in _statements(one, context, identities, sender):
                if (told := told + 1) > limits.events:
                    raise _too_many(limits)
                yield verdict
        except Bad as bad:
            if (told := told + 1) > limits.events:
                raise _too_many(limits) from None
            yield bad.verdict(one.start.where, one.payload, one.warnings)
    said = [sender.warning for sender in senders.values() if sender.warning is not None]
    return Envelope(STANDARD, tuple([*warnings, *dict.fromkeys(said), *more][:64]), tuple(found))


def _too_many(limits: Limits) -> Unreadable:
    return Unreadable("too_many_events", "", f"more than {limits.events} events: send several messages")


def _sender(one: Set, context: Context, senders: dict[tuple[int, int], Sendership]) -> Sendership:
    """Whose the set's interchange and group are; judged once for each."""
    group = one.group
    key = (one.interchange.number, group.number if group is not None else 0)
    if key not in senders:
        interchange = one.interchange
        named = ((interchange.get(5), interchange.get(6)), ("", group.get(2) if group is not None else ""))
        senders[key] = sendership("ISA06, GS02", named, interchange.where, context)
    return senders[key]


def _statements(one: Set, context: Context, identities: dict[str, Identities], sender: Sendership) -> Iterator[Verdict]:
    """What one set says, one statement at a time. `identities`: of each kind that its interchange has had. Raises Bad, at once
    or on the way."""
    kind = one.kind
    status = _STATUSES.get(kind)
    if status is None and kind != "856":
        what = NAMES.get(kind, "not known here")
        text = f"set {kind[:10]} is not a status message but {what}" if kind in NAMES else f"set {kind[:10]} is {what}"
        raise Bad("not_a_status_message", one.start.where, f"{text}; read are {READ}")
    if sender.refusal is not None:
        raise Bad("foreign_interchange", one.interchange.where, sender.refusal)
    if status is None:
        if one.overflows:
            raise Bad("set_too_large", one.start.where, "the ship notice is larger than 256 KiB; send several")
        return x12_856.read_set(one, context)
    if one.is_too_large:
        raise Bad("set_too_large", one.start.where, "the set is larger than 64 KiB; send several")
    if kind not in identities:
        identities[kind] = Identities(context.sender, status[0])
    return status[1](one, context, identities[kind])
