"""What a sender's own code map says of a code: the same two lines in every reader whose standard lets partners have codes."""

from __future__ import annotations

from typing import Final

from services.ingest.readers.draft import Draft

VERSIONS: Final = 10_000
"""A reader's version, times this, plus the map's: an event that a newer map reads otherwise is newer than the old reading."""


def apply(draft: Draft, code: str, agency: str = "") -> bool:
    """Whether the sender's map has `code`; if so, set what it says. `agency`: as the message names it (EDIFACT 3055).

    What the map leaves open stays as the message has it: the mode, whether a container is empty.
    """
    registers, context = draft.context.registers, draft.context
    sender = registers.senders.get(context.sender)
    partners = (context.sender, sender.scac if sender is not None else None)
    found = registers.codemaps.valid(partners, draft.standard, agency, context.received_at)
    if found is None:
        return False
    draft.reader_version = draft.reader_version * VERSIONS + found.version
    meaning = found.codes.get(code.upper())
    if meaning is None:
        return False
    draft.milestone, draft.hold = meaning.milestone, meaning.hold
    draft.classifier = meaning.classifier or "actual"
    draft.mode = meaning.mode or draft.mode
    draft.empty = draft.empty if meaning.empty is None else meaning.empty
    return True
