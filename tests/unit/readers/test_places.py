"""Which zone a place keeps: by our register, its airport, its country; UTC if nothing tells."""

from __future__ import annotations

import random
from zoneinfo import available_timezones

import airportsdata
import pytest

from schemas.registers_v1 import Facility
from schemas.shipment_event_v1 import Place
from services.ingest import identifiers
from services.ingest.places import (
    _CITIES_OF_ANOTHER_ZONE,
    _CITY_LOCODES,
    _PORT_ZONES,
    _REGION_ZONES,
    AIRPORT_LOCODES,
    facility_by_smdg,
    locode_of_airport,
    zone_near,
    zone_of,
)
from services.ingest.readers import Registers
from tests.unit.readers.helpers import REGISTERS


@pytest.mark.parametrize(
    ("place", "state", "zone"),
    [
        (Place(facility="LA-APMT"), None, "America/Los_Angeles"),
        (Place(iata="FRA"), None, "Europe/Berlin"),
        (Place(unlocode="USLGB"), None, "America/Los_Angeles"),
        (Place(unlocode="CNYTN"), None, "Asia/Shanghai"),
        (Place(unlocode="MXZLO"), None, "America/Mexico_City"),
        (Place(unlocode="JPTYO"), None, "Asia/Tokyo"),
        (Place(name="Los Angeles"), None, "America/Los_Angeles"),
        (Place(name="BOISE", country="US"), "ID", "America/Denver"),
        (Place(country="SG"), None, "Asia/Singapore"),
        (Place(unlocode="USBAL"), None, "America/New_York"),
        (Place(unlocode="USPEF"), None, "America/New_York"),
        (Place(unlocode="USKCK"), None, "America/Chicago"),
        (Place(unlocode="USMES"), None, "America/Chicago"),
        (Place(unlocode="USLUI"), None, "America/New_York"),
        (Place(unlocode="CAVAN"), None, "America/Vancouver"),
        (Place(unlocode="CAHAL"), None, "America/Halifax"),
        (Place(unlocode="CAEDM"), None, "America/Edmonton"),
        (Place(unlocode="CLSAI"), None, "America/Santiago"),
        (Place(unlocode="CLIPC"), None, "Pacific/Easter"),
        (Place(unlocode="AUBTB"), None, "Australia/Sydney"),
        (Place(unlocode="IDBLW"), None, "Asia/Jakarta"),
        (Place(unlocode="BRITJ"), None, "America/Sao_Paulo"),
        (Place(unlocode="PTLEI"), None, "Europe/Lisbon"),
        (Place(unlocode="PTPDL"), None, "Atlantic/Azores"),
        (Place(name="VANCOUVER", country="CA"), "BC", "America/Vancouver"),
        (Place(name="TORONTO", country="CA"), "ON", "America/Toronto"),
        (Place(name="TIJUANA", country="MX"), "BC", "America/Tijuana"),
        (Place(name="VANCOUVER"), "BC", "America/Vancouver"),
        (Place(name="PERTH", country="AU"), "WA", "Australia/Perth"),
        (Place(name="SEATTLE"), "WA", "America/Los_Angeles"),
        (Place(name="El Paso", country="US"), "TX", "America/Denver"),
        (Place(name="HOUSTON", country="US"), "TX", "America/Chicago"),
        (Place(name="HOUSTON", country="MX"), "TX", "UTC"),
        (Place(unlocode="USZZZ"), "NC", "America/New_York"),
        (Place(unlocode="USZZZ"), None, "UTC"),
        (Place(country="US"), None, "UTC"),
        (None, None, "UTC"),
    ],
)
def test_a_place_has_the_zone_of_what_is_known_of_it(place: Place | None, state: str | None, zone: str) -> None:
    assert zone_of(place, REGISTERS, state).name == zone


def test_a_place_that_nothing_tells_of_is_told_apart_from_one_that_keeps_utc() -> None:
    assert not zone_of(Place(unlocode="USZZZ"), REGISTERS).known
    assert not zone_of(None, REGISTERS).known
    assert zone_of(Place(unlocode="ISREY"), REGISTERS).known


def test_every_zone_of_the_tables_is_one() -> None:
    tables = [*_REGION_ZONES.values(), *_PORT_ZONES.values()]
    zones = {zone for table in tables for zone in table.values()} | set(_CITIES_OF_ANOTHER_ZONE.values())

    assert zones <= available_timezones()


def test_a_locode_whose_letters_are_an_airport_of_another_country_is_not_that_airport() -> None:
    assert zone_of(Place(unlocode="SGLAX"), Registers.empty()).name == "Asia/Singapore"


def test_a_facility_with_a_zone_that_does_not_exist_does_not_break_reading() -> None:
    registers = Registers.of([], [Facility(code="X", kind="terminal", name="X", unlocode="USLAX", zone="No/Where")])

    assert zone_of(Place(facility="X", unlocode="USLAX"), registers).name == "America/Los_Angeles"


def test_an_airport_code_becomes_a_locode_by_the_register_or_the_table_only() -> None:
    assert locode_of_airport("LAX", REGISTERS) == "USLAX"
    assert locode_of_airport("XXX", REGISTERS) is None


def test_a_terminal_code_counts_within_its_port_only() -> None:
    assert facility_by_smdg("PIER4", "USLAX", REGISTERS) == REGISTERS.facilities["LA-APMT"]
    assert facility_by_smdg("PIER4", "USLGB", REGISTERS) is None


def test_a_point_has_the_zone_of_the_nearest_airport() -> None:
    assert zone_near(34.05, -118.25).name == "America/Los_Angeles"
    assert zone_near(-17.7, 179.99).name == "Pacific/Fiji"


def test_the_nearest_airport_is_found_as_if_all_were_looked_at() -> None:
    airports = airportsdata.load("IATA")
    dice = random.Random(5)
    for _ in range(60):
        latitude, longitude = dice.uniform(-90, 90), dice.uniform(-180, 180)

        def apart(airport: airportsdata.Airport, latitude: float = latitude, longitude: float = longitude) -> float:
            east_west = abs(airport["lon"] - longitude)
            return float((airport["lat"] - latitude) ** 2 + min(east_west, 360 - east_west) ** 2)

        least = min(apart(airport) for airport in airports.values())
        named = zone_near(latitude, longitude).of.partition(",")[0]
        assert apart(airports[named]) == least


def test_an_airport_of_the_table_lies_in_the_country_of_its_locode_and_keeps_a_zone() -> None:
    airports = airportsdata.load("IATA")

    assert [code for code, locode in AIRPORT_LOCODES.items() if airports[code]["country"] != locode[:2]] == []
    for code, locode in AIRPORT_LOCODES.items():
        assert zone_of(Place(iata=code), Registers.empty()).name == airports[code]["tz"]
        assert identifiers.is_locode(locode)


@pytest.mark.parametrize(
    ("iata", "locode"),
    [("NCE", "FRNCE"), ("SDF", "USLUI"), ("XIY", "CNSIA"), ("MCO", "USORL"), ("RIV", None), ("NYC", "USNYC")],
)
def test_an_airport_whose_letters_are_another_place_is_not_that_place(iata: str, locode: str | None) -> None:
    assert locode_of_airport(iata, Registers.empty()) == locode


@pytest.mark.parametrize("city", sorted(set(_CITY_LOCODES.values())))
def test_a_city_of_several_airports_keeps_a_zone(city: str) -> None:
    assert zone_of(Place(unlocode=city), Registers.empty()).name != "UTC"
