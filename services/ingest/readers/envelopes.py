"""Whose an interchange is: the sender that its envelope names (ISA06, GS02; UNB S002) beside the one whose key pushed it.

The key is the credential, and what is pushed counts as its owner's word. So an envelope that names *another registered sender*
in any of its elements is refused: its events would be told in the wrong name. Two may pass on what others wrote: a forwarder
and an operator; it then counts as their word, with a warning. A sender's names are its code, SCAC, IATA code and the mailboxes
that the register has of it (`edi_ids`). A name that no register holds proves nothing (a telephone or D-U-N-S number): it is a
warning, and none at all where the pushing sender itself is not registered, or is named beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.registers_v1 import Sender
from schemas.shipment_event_v1 import Warning_
from services.ingest.legible import shown
from services.ingest.readers.model import Context


@dataclass(frozen=True, slots=True)
class Sendership:
    """`refusal`: a sentence, if nothing of the interchange may count; else perhaps a warning about its envelope."""

    refusal: str | None = None
    warning: Warning_ | None = None


_NOTHING_TO_SAY = Sendership()
_REMEMBERED = 4_096  # envelopes; 128 characters each at most, some 3 MB
_REMEMBERED_LENGTH = 128  # of their names: strangers choose how long they are


def sendership(field: str, named: Sequence[tuple[str, str]], where: str, context: Context) -> Sendership:
    """Judge the names that an envelope gives for its sender, each a qualifier (ISA05, 0007; "" where none is told) and an id;
    `field`: which elements they stand in, for the sentence. The same envelope is judged once by the same registers."""
    pusher = context.registers.senders.get(context.sender)
    if pusher is None:
        return _NOTHING_TO_SAY
    if sum([len(qualifier) + len(name) for qualifier, name in named]) > _REMEMBERED_LENGTH:
        return _judged(field, named, where, context, pusher)
    known, key = context.registers.remembered, ("sendership", field, tuple(named), where, pusher.code, context.operator)
    found: Sendership | None = known.get(key)  # looked up once: threads share it, and it may be emptied meanwhile
    if found is None:
        if len(known) >= _REMEMBERED:
            known.clear()
        found = known[key] = _judged(field, named, where, context, pusher)
    return found


def _judged(field: str, named: Sequence[tuple[str, str]], where: str, context: Context, pusher: Sender) -> Sendership:
    names = list(dict.fromkeys(_Name(of.strip().upper(), text) for of, name in named if (text := name.strip().upper())))
    said = ", ".join(dict.fromkeys(name.id for name in names))[:60]
    strange = [name for name in names if not _is(pusher, name)]
    other = next((found for name in strange if (found := _registered(name, context)) is not None), None)
    if other is None:
        if len(strange) < len(names) or not names:
            return _NOTHING_TO_SAY
        text = f"{field} name {said}, which is not {pusher.code}; taken as {pusher.code}'s, whose key pushed it"
        return Sendership(warning=Warning_(code="unknown_interchange_sender", where=shown(where), text=shown(text)))
    if pusher.kind == "forwarder" or context.operator:
        text = f"{field} name {said}, that is {other.code}; passed on by {pusher.code}, as whose word it counts"
        return Sendership(warning=Warning_(code="passed_on", where=shown(where), text=shown(text)))
    return Sendership(f"{field} name {said}, that is {other.code}, but the key is {pusher.code}'s; nothing of it counts")


class _Name(NamedTuple):
    """What an envelope calls its sender."""

    qualifier: str
    id: str

    def is_mailbox(self, edi_id: str) -> bool:
        """Whether it is one of the register; qualifiers count where both have one (GS02 never does)."""
        qualifier, _, mailbox = edi_id.rpartition(":")
        return mailbox == self.id and (not qualifier or not self.qualifier or qualifier == self.qualifier)


def _is(sender: Sender, name: _Name) -> bool:
    return name.id in (sender.code, sender.scac, sender.iata) or any(map(name.is_mailbox, sender.edi_ids))


def _registered(name: _Name, context: Context) -> Sender | None:
    registers = context.registers
    found = registers.senders.get(name.id) or registers.by_scac.get(name.id)
    if found is not None:
        return found
    return next((sender for sender in registers.by_mailbox.get(name.id, ()) if _is(sender, name)), None)
