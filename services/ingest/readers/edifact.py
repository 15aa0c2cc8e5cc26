"""UN/EDIFACT interchanges: IFTSTA, COARRI and CODECO; one bad message costs one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from schemas.shipment_event_v1 import Warning_
from schemas.words import Standard
from services.ingest.readers import edifact_containers, edifact_iftsta
from services.ingest.readers.draft import Bad, Identities
from services.ingest.readers.edifact_codes import OTHERS
from services.ingest.readers.edifact_segments import BYTES_MAX, Message, begins, interchanges
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

STANDARD: Final = "edifact"

_Reader = Callable[[Message, Context, Identities], Iterator[Verdict]]
_MESSAGES: Mapping[str, tuple[Standard, _Reader]] = MappingProxyType(
    {
        "IFTSTA": ("edifact.iftsta", edifact_iftsta.read_message),
        "COARRI": ("edifact.coarri", edifact_containers.read_message),
        "CODECO": ("edifact.codeco", edifact_containers.read_message),
    }
)
_RELEASES = re.compile(r"[DS]\.(?:9[0-9][AB]|[01][0-9][AB])|[0-9]\.[0-9]{1,3}|9[0-9]\.[0-9]")
_SEGMENTS_MAX: Final = 60_000  # of one message: its containers' segments and more


def looks_like(content: bytes) -> bool:
    """Whether an interchange begins here. One that only wraps a Cargo-IMP status message is asked of that reader first."""
    return content[:64].lstrip()[:1] not in (b"{", b"[", b"<") and begins(content) is not None


def read(content: bytes, context: Context, limits: Limits) -> Told:
    """One verdict a status and container, in order. Raises Unreadable where no message can be made out."""
    if len(content) > BYTES_MAX:
        raise Unreadable("too_large", "", f"more than {BYTES_MAX} bytes of EDIFACT; send several messages")
    warnings: list[Warning_] = []
    found: list[Interchange] = []
    told = 0
    senders: dict[tuple[int, int], Sendership] = {}
    for interchange in interchanges(content):
        # What each says is counted alone: the same one twice in a file is a repeat.
        identities = {standard: Identities(context.sender, standard) for standard, _ in _MESSAGES.values()}
        for message in interchange.messages(limits.events):
            for verdict in _verdicts(message, context, identities, _sender(message, context, senders)):
                if (told := told + 1) > limits.events:
                    raise Unreadable("too_many_events", "", f"more than {limits.events} events: send several messages")
                yield verdict
        warnings.extend(interchange.warnings[: 64 - len(warnings)])
        if (header := interchange.header) is not None and len(found) < INTERCHANGES_MOST:
            found.append(Interchange(header.where, header.get(2), header.get(5)))
    if not told:
        raise Unreadable("no_messages", "", "an EDIFACT interchange without any message (UNH ... UNT)")
    said = [sender.warning for sender in senders.values() if sender.warning is not None]
    return Envelope(STANDARD, tuple([*dict.fromkeys(said), *warnings][:64]), tuple(found))


def _sender(message: Message, context: Context, senders: dict[tuple[int, int], Sendership]) -> Sendership:
    """Whose the message's interchange and group are; judged once for each."""
    header, group = message.header, message.group
    key = (header.number if header is not None else 0, group.number if group is not None else 0)
    if key not in senders:
        named = [(one.get(2, 1), one.get(2)) for one in (header, group) if one is not None]
        senders[key] = sendership("UNB S002, UNG S006", named, (header or group or message.start).where, context)
    return senders[key]


def _verdicts(
    message: Message, context: Context, identities: Mapping[Standard, Identities], sender: Sendership
) -> Iterator[Verdict]:
    found = _MESSAGES.get(message.kind)
    where = message.start.where
    try:
        if found is None:
            name = OTHERS.get(message.kind, "not a status message")
            text = f"{message.kind[:10] or 'a message without a type'} is {name}; read are IFTSTA, COARRI and CODECO"
            raise Bad("not_a_status_message", where, text)
        if sender.refusal is not None:
            raise Bad("foreign_interchange", (message.header or message.start).where, sender.refusal)
        if len(message.segments) > _SEGMENTS_MAX:
            raise Bad("message_too_large", where, f"the message has more than {_SEGMENTS_MAX} segments; send several")
        if not _RELEASES.fullmatch(message.release):
            message.warn("unknown_release", message.start, f"release {message.release[:20]} is unknown; read as D.00B")
        yield from found[1](message, context, identities[found[0]])
    except Bad as bad:
        yield bad.verdict(where, message.payload, message.warnings)
