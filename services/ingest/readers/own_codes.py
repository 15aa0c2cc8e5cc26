"""What a sender's own code map says of a code: the same two lines in every reader whose standard lets partners have codes."""

from __future__ import annotations

from typing import Final

from schemas.words import Standard
from services.ingest.codemaps.model import CodeMap, Meaning
from services.ingest.readers.draft import Draft
from services.ingest.readers.model import Context

VERSIONS: Final = 10_000
"""A reader's version, times this, plus the map's: an event that a newer map reads otherwise is newer than the old reading."""


def map_of(context: Context, standard: Standard, agency: str = "") -> CodeMap | None:
    """The code map of whoever pushed the message: by its code, else by its SCAC. `agency`: as the message names it (3055)."""
    if not context.registers.codemaps.maps:
        return None
    sender = context.registers.senders.get(context.sender)
    partners = (context.sender, sender.scac if sender is not None else None)
    return context.registers.codemaps.valid(partners, standard, agency, context.received_at)


def meaning_of(context: Context, standard: Standard, code: str, agency: str = "") -> Meaning | None:
    """What that map says of a code, if it has it."""
    found = map_of(context, standard, agency)
    return found.codes.get(code.upper()) if found is not None else None


def apply(draft: Draft, code: str, agency: str = "") -> bool:
    """Whether the sender's map has `code`; if so, set what it says.

    What the map leaves open stays as the message has it, and whether a container is empty as the message says it of this one.
    """
    found = map_of(draft.context, draft.standard, agency)
    if found is None:
        return False
    draft.reader_version = draft.reader_version * VERSIONS + found.version
    meaning = found.codes.get(code.upper())
    if meaning is None:
        return False
    draft.milestone, draft.hold = meaning.milestone, meaning.hold
    draft.classifier = meaning.classifier or "actual"
    draft.mode = meaning.mode or draft.mode
    draft.empty = meaning.empty if draft.empty is None else draft.empty
    return True
