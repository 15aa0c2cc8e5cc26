"""Parts of a DCSA event that 2.2 and 3.0 write alike: times of the record, places."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.ingest import identifiers
from services.ingest.places import facility_by_smdg
from services.ingest.readers.draft import Draft
from services.ingest.readers.json_items import Node


def in_utc(draft: Draft, node: Node, key: str) -> datetime | None:
    """The time of the record in this member. Raises Bad."""
    return draft.in_utc(node.time(key), key, node.at(key))


def locode(draft: Draft, nodes: Sequence[Node]) -> str | None:
    """The first UN/LOCODE that these locations name."""
    for node in nodes:
        text = node.text("UNLocationCode")
        if text is None:
            continue
        if identifiers.is_locode(text.upper()):
            return text.upper()
        draft.warn("bad_unlocode", f"{text[:20]} is not a UN/LOCODE; not used", node.at("UNLocationCode"))
    return None


def facility(draft: Draft, nodes: Sequence[Node], unlocode: str | None) -> str | None:
    """Our code of the first facility that these locations name by its SMDG code."""
    for node in nodes:
        code = node.text("facilityCode")
        if code and (node.text("facilityCodeListProvider") or "SMDG").upper() == "SMDG":
            found = facility_by_smdg(code, unlocode, draft.context.registers)
            return found.code if found else None
    return None


def country(nodes: Sequence[Node]) -> str | None:
    """The country's code in the first address of these locations; some write its name, which is not used."""
    address = next((found for node in nodes if (found := node.node("address")) is not None), None)
    text = (address.text("countryCode", "country") or "" if address else "").upper()
    return text if len(text) == 2 and text.isascii() and text.isalpha() else None
