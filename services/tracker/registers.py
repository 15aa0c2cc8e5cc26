"""What the core knows of senders and facilities: a frozen value, handed in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from schemas.registers_v1 import Facility, Sender


@dataclass(frozen=True)
class Registers:
    """Senders and facilities by code."""

    senders: Mapping[str, Sender] = field(default_factory=dict)
    facilities: Mapping[str, Facility] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Tells them from others, in every process alike."""
        said = hashlib.blake2b(digest_size=16)
        for register in (self.senders, self.facilities):
            for code in sorted(register):
                said.update(register[code].model_dump_json().encode())
        return said.hexdigest()

    def kind(self, sender: str) -> str:
        """The sender's kind; "unknown" where nobody registered it."""
        known = self.senders.get(sender)
        return known.kind if known else "unknown"

    def own_facilities(self, sender: str) -> tuple[Facility, ...]:
        """The registered facilities of a registered sender."""
        found = self._own_facilities.get(sender)
        if found is None:
            codes = self.senders[sender].facilities
            found = self._own_facilities[sender] = tuple(self.facilities[code] for code in codes if code in self.facilities)
        return found

    def zone(self, facility: str | None) -> str:
        """The facility's IANA zone; UTC where we do not know it."""
        known = self.facilities.get(facility or "")
        return known.zone if known else "UTC"

    def carrier(self, name: str) -> str | None:
        """The registered sender that a message calls `name` (its code, SCAC or IATA designator)."""
        return name if name in self.senders else self._by_alias.get(name)

    @cached_property
    def _own_facilities(self) -> dict[str, tuple[Facility, ...]]:
        return {}

    @cached_property
    def _by_alias(self) -> dict[str, str]:
        aliases: dict[str, str] = {}
        for code, sender in sorted(self.senders.items()):
            for alias in (sender.scac, sender.iata):
                if alias:
                    aliases.setdefault(alias, code)
        return aliases
