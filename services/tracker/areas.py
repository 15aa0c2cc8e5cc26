"""Airports and the cities that they serve, by UN/LOCODE: what one message calls Tokyo another calls Narita.

A consignment is declared from or to either; a flight to an airport of the city is one to the city. Of the airports in
services/ingest/places.py those whose city has a LOCODE of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_CITY_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        airport: city
        for city, airports in {
            "ARBUE": "AREZE",
            "BRRIO": "BRGIG",
            "BRSAO": "BRGRU BRVCP",
            "CAMTR": "CAYUL",
            "CATOR": "CAYYZ",
            "CAVAN": "CAYVR",
            "CNBJS": "CNPEK",
            "CNSHA": "CNPVG",
            "FRPAR": "FRCDG",
            "GBLON": "GBLGW GBLHR GBSTN",
            "IDJKT": "IDCGK",
            "ITMIL": "ITMXP",
            "ITROM": "ITFCO",
            "JPOSA": "JPKIX",
            "JPTYO": "JPHND JPNRT",
            "KRSEL": "KRGMP KRICN",
            "RUMOW": "RUDME RUSVO",
            "SESTO": "SEARN",
            "USCHI": "USORD",
            "USDAL": "USDFW",
            "USNYC": "USEWR USJFK",
            "USWAS": "USIAD",
        }.items()
        for airport in airports.split()
    }
)


def same_area(one: str | None, other: str | None) -> bool:
    """Whether two LOCODEs are the same place, or a city and its airport. Two airports of a city are two places."""
    if one is None or other is None:
        return False
    return one == other or _CITY_OF.get(one) == other or _CITY_OF.get(other) == one
