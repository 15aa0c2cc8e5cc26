"""ANSI X12 interchanges: 315 (ocean) and 214 (road) status messages; one bad set costs one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from services.ingest.readers import x12_214, x12_315
from services.ingest.readers.draft import Bad, Identities
from services.ingest.readers.model import Context, Limits, Reading, Unreadable, Verdict
from services.ingest.readers.x12_segments import Set, decode, sets_of

STANDARD: Final = "x12"

_SETS: Mapping[str, Callable[[Set, Context, Identities], Iterator[Verdict]]] = MappingProxyType(
    {"214": x12_214.read_set, "315": x12_315.read_set}
)
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "322": "terminal and rail activity, which is not read yet",
        "856": "a ship notice",
        "990": "a response to a load tender",
        "997": "an acknowledgement",
        "999": "an acknowledgement",
    }
)


def looks_like(content: bytes) -> bool:
    """Whether `content` starts as an interchange does."""
    start = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    return start[:3] == b"ISA" and not start[3:4].isalnum()


def read(content: bytes, context: Context, limits: Limits) -> Reading:
    """One verdict a status, in order. Raises Unreadable where no set can be made out."""
    text, warnings = decode(content)
    if "ISA" not in text:
        raise Unreadable("unknown_format", "", "an X12 interchange starts with ISA")
    sets, more = sets_of(text)
    if len(sets) > limits.events:
        raise Unreadable("too_many_events", "", f"{len(sets)} sets; at most {limits.events} a message: send several")
    identities = {
        x12_214.STANDARD: Identities(context.sender, x12_214.STANDARD),
        x12_315.STANDARD: Identities(context.sender, x12_315.STANDARD),
    }
    verdicts: list[Verdict] = []
    for one in sets:
        verdicts.extend(_verdicts(one, context, identities))
        if len(verdicts) > limits.events:
            raise Unreadable("too_many_events", "", f"more than {limits.events} events: send several messages")
    return Reading(STANDARD, tuple(verdicts), tuple([*warnings, *more][:64]))


def _verdicts(one: Set, context: Context, identities: Mapping[str, Identities]) -> list[Verdict]:
    reader = _SETS.get(one.kind)
    if reader is None:
        what = f"set {one.kind[:10]} is {_NAMES.get(one.kind, 'not a status message')}; read are 214 and 315"
        return [Bad("not_a_status_message", one.start.where, what).verdict(one.start.where, one.payload)]
    try:
        if one.is_too_large:
            raise Bad("set_too_large", one.start.where, "the set is larger than 64 KiB; send several")
        return list(reader(one, context, identities[f"x12.{one.kind}"]))
    except Bad as bad:
        return [bad.verdict(one.start.where, one.payload)]
