"""The code maps as readers ask them: values only, made of files by files.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from schemas.shipment_event_v1 import Hold
from schemas.words import Classifier, Milestone, Mode, Standard


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code says. Without milestone and hold: known, and moves nothing. What is None, the message itself decides."""

    text: str
    milestone: Milestone | None = None
    classifier: Classifier | None = None
    hold: Hold | None = None
    mode: Mode | None = None
    empty: bool | None = None


@dataclass(frozen=True, slots=True)
class CodeMap:
    """One file: the codes of `partner` (a sender's code, or its SCAC) in one standard. `agency`: as messages name it (EDIFACT
    3055; `87`), empty where they name none. `valid_from`: messages received earlier are not read with it."""

    partner: str
    standard: Standard
    version: int
    agency: str
    valid_from: datetime | None
    codes: Mapping[str, Meaning]
    source: str
    file: str

    @property
    def key(self) -> tuple[str, Standard, str]:
        return (self.partner, self.standard, self.agency)


@dataclass(frozen=True, slots=True)
class CodeMaps:
    """All maps, by partner, standard and agency, the newest version first."""

    maps: Mapping[tuple[str, Standard, str], tuple[CodeMap, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, maps: Iterable[CodeMap]) -> CodeMaps:
        """Index them; of one key's versions the greatest counts that is valid when a message comes."""
        found: dict[tuple[str, Standard, str], tuple[CodeMap, ...]] = {}
        for one in sorted(maps, key=lambda one: -one.version):
            found[one.key] = (*found.get(one.key, ()), one)
        return cls(MappingProxyType(found))

    def valid(self, partners: Sequence[str | None], standard: Standard, agency: str, received_at: datetime) -> CodeMap | None:
        """The map of the first of `partners` that has one. A later version replaces an earlier one whole.

        A message is read with the version that was valid when it came, so that reading it again gives the same.
        """
        for partner in partners:
            for one in self.maps.get((partner, standard, agency), ()) if partner else ():
                if one.valid_from is None or one.valid_from <= received_at:
                    return one
        return None
