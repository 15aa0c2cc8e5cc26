"""Which time zone the places of a page keep: by the register of facilities, else as the port or airport of that code. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from services.console.gate import zone_of_code, zone_of_unlocode
from services.console.questions import Place


@dataclass
class Zones:
    """`places`: the register, by code; `locodes`: what is known to be a UN/LOCODE, since a route names it."""

    places: Mapping[str, Place]
    locodes: Collection[str] = ()
    _found: dict[str, str] = field(default_factory=dict)

    def of(self, place: str | None) -> str:
        """The IANA name of the zone; empty where nobody knows it."""
        if not place:
            return ""
        if place not in self._found:
            self._found[place] = self._of(place)
        return self._found[place]

    def _of(self, place: str) -> str:
        if place in self.places:
            return self.places[place].zone
        near = next((one.zone for one in self.places.values() if one.unlocode == place), "")
        return near or (zone_of_unlocode(place) if place in self.locodes else zone_of_code(place)) or ""
