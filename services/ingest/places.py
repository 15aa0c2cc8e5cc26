"""Which time zone a place keeps, and which UN/LOCODE an airport has: for times that come without either.

Order: our register of facilities; the port or the airport of the code, or the only or leading zone of its country; the state or
province; the country. What is found this way is an assumption, and the event says so (`zone_assumed`; `zone_unknown`, where
nothing was found). Sources: `airportsdata` (public airport tables), `zone.tab` of the IANA time zone database, and the small
tables below.
"""

from __future__ import annotations

import importlib.resources
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import airportsdata

from schemas.registers_v1 import Facility
from schemas.shipment_event_v1 import Place

if TYPE_CHECKING:  # its package holds the readers, which import this module
    from services.ingest.readers.model import Registers

_LOCODES_OF_OTHER_LETTERS: Final[Mapping[str, str]] = MappingProxyType({"MCO": "USORL", "SDF": "USLUI", "XIY": "CNSIA"})

AIRPORT_LOCODES: Final[Mapping[str, str]] = MappingProxyType(
    dict(_LOCODES_OF_OTHER_LETTERS)
    | {
        airport: country + airport
        for country, airports in {
            "AE": "AUH DWC DXB SHJ",
            "AR": "EZE",
            "AT": "VIE",
            "AU": "ADL BNE MEL PER SYD",
            "BD": "DAC",
            "BE": "BRU LGG OST",
            "BG": "SOF",
            "BH": "BAH",
            "BN": "BWN",
            "BR": "GIG GRU VCP",
            "CA": "YEG YHM YOW YVR YWG YYC YYZ",
            "CH": "GVA ZRH",
            "CL": "SCL",
            "CN": "CAN CGQ CKG CSX CTU DLC FOC HAK HGH HRB NGB NKG NNG PEK PVG SHA SHE SYX SZX TAO TNA TSN WNZ WUH XMN",
            "CR": "SJO",
            "CZ": "PRG",
            "DE": "BER CGN DUS FRA HAM LEJ MUC STR",
            "DK": "CPH",
            "DO": "SDQ",
            "EC": "GYE UIO",
            "EE": "TLL",
            "EG": "CAI",
            "ES": "BCN MAD ZAZ",
            "ET": "ADD",
            "FI": "HEL",
            "FR": "CDG LYS MRS NCE TLS",
            "GB": "EMA LGW LHR STN",
            "GH": "ACC",
            "GT": "GUA",
            "HK": "HKG",
            "HU": "BUD",
            "ID": "CGK SUB",
            "IE": "DUB",
            "IL": "TLV",
            "IN": "AMD BLR BOM CCU COK DEL HYD MAA",
            "IT": "FCO MXP VCE",
            "JO": "AMM",
            "JP": "CTS FUK HND KIX NGO NRT",
            "KE": "NBO",
            "KR": "GMP ICN PUS",
            "KW": "KWI",
            "LK": "CMB",
            "LU": "LUX",
            "LV": "RIX",
            "MA": "CMN",
            "MM": "RGN",
            "MX": "GDL MEX MTY QRO TIJ",
            "MY": "BKI KUL PEN",
            "NG": "LOS",
            "NL": "AMS MST RTM",
            "NO": "OSL",
            "NP": "KTM",
            "NZ": "AKL CHC",
            "OM": "MCT",
            "PA": "PTY",
            "PE": "LIM",
            "PH": "CEB MNL",
            "PK": "ISB KHI LHE",
            "PL": "WAW",
            "PT": "LIS OPO",
            "QA": "DOH",
            "RU": "DME LED SVO",
            "SA": "DMM JED RUH",
            "SE": "ARN GOT",
            "SG": "SIN",
            "SV": "SAL",
            "TH": "BKK DMK HKT",
            "TR": "ESB IST SAW",
            "TW": "KHH TPE",
            "UA": "KBP",
            "US": "ABQ ANC ATL AUS BNA BOS BUR BWI CLE CLT CMH CVG DEN DFW ELP EWR FLL GSO HNL HOU "
            "HSV IAD ILN IND JFK LAS LAX LCK LGB MCI MEM MIA MSP MSY OAK OKC ONT ORD PDX PHL "
            "PHX PIT RDU RFD RNO SAN SAT SEA SFO SJC SLC SNA STL TOL TPA TUL VCV",
            "VE": "CCS",
            "VN": "DAD HAN SGN",
            "ZA": "CPT JNB",
        }.items()
        for airport in airports.split()
    }
)
"""Airports that freight for Los Angeles comes through or from. Not a rule: an airport's code is not a LOCODE by itself (USSDF
is a hamlet in Michigan, SDF the airport of Louisville, USLUI); each of these was compared by its position in both tables."""

_CITY_LOCODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "BJS": "CNBJS",
        "BUE": "ARBUE",
        "CHI": "USCHI",
        "JKT": "IDJKT",
        "LON": "GBLON",
        "MIL": "ITMIL",
        "MOW": "RUMOW",
        "NYC": "USNYC",
        "OSA": "JPOSA",
        "PAR": "FRPAR",
        "RIO": "BRRIO",
        "ROM": "ITROM",
        "SAO": "BRSAO",
        "SEL": "KRSEL",
        "STO": "SESTO",
        "TYO": "JPTYO",
        "WAS": "USWAS",
        "YMQ": "CAMTR",
        "YTO": "CATOR",
    }
)
"""IATA's codes of cities with several airports, which air waybills name as origin or destination."""

_LEADING_ZONES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AR": "America/Argentina/Buenos_Aires",  # all provinces keep the same time
        "CL": "America/Santiago",  # the islands and the far south below
        "CN": "Asia/Shanghai",  # one official time in the whole country
        "CY": "Asia/Nicosia",
        "DE": "Europe/Berlin",  # Busingen keeps the same time
        "EC": "America/Guayaquil",  # Galapagos alone differs
        "ES": "Europe/Madrid",  # the Canary Islands below
        "MY": "Asia/Kuala_Lumpur",  # Kuching keeps the same time
        "NZ": "Pacific/Auckland",  # Chatham alone differs
        "PT": "Europe/Lisbon",  # the Azores below
        "UA": "Europe/Kyiv",
        "UZ": "Asia/Tashkent",
        "PS": "Asia/Hebron",
    }
)
"""Countries with several zones in the table that keep one time in practice, or but for islands."""


def _by_letters(table: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
    """Of a country's zones and what keeps them: each with its zone."""
    return MappingProxyType(
        {
            country: MappingProxyType({one: zone for zone, letters in zones.items() for one in letters.split()})
            for country, zones in table.items()
        }
    )


_REGION_ZONES: Final[Mapping[str, Mapping[str, str]]] = _by_letters(
    {
        "US": {
            "America/New_York": "CT DC DE FL GA IN KY MA MD ME MI NC NH NJ NY OH PA RI SC VA VT WV",
            "America/Chicago": "AL AR IA IL KS LA MN MO MS ND NE OK SD TN TX WI",
            "America/Denver": "CO ID MT NM UT WY",
            "America/Phoenix": "AZ",
            "America/Los_Angeles": "CA NV OR WA",
            "America/Anchorage": "AK",
            "Pacific/Honolulu": "HI",
        },
        "CA": {
            "America/Vancouver": "BC",
            "America/Edmonton": "AB NT",
            "America/Regina": "SK",
            "America/Winnipeg": "MB",
            "America/Toronto": "ON QC PQ",
            "America/Iqaluit": "NU",
            "America/Halifax": "NB NS PE",
            "America/St_Johns": "NL NF",
            "America/Whitehorse": "YT",
        },
        "MX": {
            "America/Tijuana": "BC BCN",
            "America/Hermosillo": "SO SON",
            "America/Mazatlan": "BS BCS SI SIN NAY",
            "America/Chihuahua": "CH CHH",
            "America/Cancun": "QR ROO",
            "America/Merida": "YU YUC CAM",
            "America/Monterrey": "NL NLE NLN TM TAM COA DUR",
            "America/Mexico_City": "DF CMX MEX JA JAL VE VER AGU CHP COL GRO GUA HID MIC MOR OAX PUE QUE SLP TAB TLA ZAC",
        },
        "AU": {
            "Australia/Sydney": "NSW ACT",
            "Australia/Melbourne": "VIC",
            "Australia/Hobart": "TAS",
            "Australia/Brisbane": "QLD",
            "Australia/Adelaide": "SA",
            "Australia/Perth": "WA",
            "Australia/Darwin": "NT",
        },
        "BR": {
            "America/Sao_Paulo": "SP RJ ES MG PR SC RS DF GO",
            "America/Bahia": "BA",
            "America/Maceio": "AL SE",
            "America/Recife": "PE",
            "America/Fortaleza": "CE MA PB PI RN",
            "America/Belem": "PA AP",
            "America/Araguaina": "TO",
            "America/Manaus": "AM",
            "America/Cuiaba": "MT",
            "America/Campo_Grande": "MS",
            "America/Porto_Velho": "RO",
            "America/Boa_Vista": "RR",
            "America/Rio_Branco": "AC",
        },
    }
)
"""States and provinces by the zone that most of each keeps. Codes: ISO 3166-2, and those of the post that X12 uses in North
America; of Mexico's the ones alone that mean the same in every list. Zones: the IANA time zone database."""

_CITIES_OF_ANOTHER_ZONE: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        (state, city): zone
        for zone, state, cities in (
            ("America/Chicago", "FL", ("PENSACOLA", "PANAMA CITY")),
            ("America/Chicago", "IN", ("GARY", "HAMMOND", "EVANSVILLE")),
            ("America/Chicago", "KY", ("PADUCAH", "OWENSBORO", "BOWLING GREEN")),
            ("America/Denver", "TX", ("EL PASO",)),
            ("America/Los_Angeles", "ID", ("LEWISTON", "COEUR D'ALENE")),
            ("America/New_York", "TN", ("CHATTANOOGA", "KNOXVILLE")),
        )
        for city in cities
    }
)
"""Of the US: towns with a ramp or a port in the smaller part of a state of two zones."""

_PORT_ZONES: Final[Mapping[str, Mapping[str, str]]] = _by_letters(
    {
        "AU": {
            "Australia/Adelaide": "ARD PAE",
            "Australia/Brisbane": "ABP BNE HPT",
            "Australia/Hobart": "BEL",
            "Australia/Melbourne": "MEL",
            "Australia/Perth": "BBY FRE",
            "Australia/Sydney": "BTB PKL SYD",
        },
        "BR": {
            "America/Bahia": "ARB",
            "America/Belem": "VLC",
            "America/Fortaleza": "ARE CDO PEC",
            "America/Recife": "SUA",
            "America/Sao_Paulo": "FNO IBB IGI IOA ITJ PCL RIO SAO SFS SPB SSZ",
        },
        "CA": {
            "America/Edmonton": "CAL EDM",
            "America/Halifax": "BAT HAL MNT SJB SUM",
            "America/Regina": "SAK",
            "America/St_Johns": "CBK SJF",
            "America/Toronto": "BDU BEC BRL COL CWL DOR DRU HAM MTR NIA OAK OSH POI QUE SCA SNI SOR SSM STC THU TOR TRR VLF",
            "America/Vancouver": "CCB CRO HMC NNO NWE PML PRR TEX VAN",
            "America/Winnipeg": "WNP",
        },
        "CL": {"America/Punta_Arenas": "BAG CNX PNT PUQ WPU", "Pacific/Easter": "IPC"},
        "ES": {"Atlantic/Canary": "ACE FUE LPA SCT SPC TCI"},
        "ID": {
            "Asia/Jakarta": "BLW BNT BTM BUN CIG JKT KAB LBM MRK PJG PNJ PWG SEQ TBG TPP",
            "Asia/Jayapura": "AMA",
            "Asia/Makassar": "BIT BUR MAK SRI TAB",
        },
        "MX": {
            "America/Cancun": "PMS",
            "America/Mazatlan": "TPB",
            "America/Merida": "PGO",
            "America/Mexico_City": "COA SCX ZLO",
            "America/Monterrey": "ATM",
        },
        "PT": {"Atlantic/Azores": "ADH HOR PDL PRV TER"},
        "RU": {
            "Asia/Sakhalin": "KHO KOR",
            "Asia/Vladivostok": "NJK VYP",
            "Europe/Moscow": "MOW NVS TAG VYG",
        },
        "US": {
            "America/Chicago": "CHI DAL FPO FWT KCK MES PFN POA SPT TMM",
            "America/Denver": "SXT",
            "America/Los_Angeles": "LAT OYM SPQ TIW XHF",
            "America/New_York": "BAL CPV FEB GBO LUI MRH NNS NTS NYC PAB PCV PEB PEF PME PPS PTM PWN RAJ RBC VAB WAS",
        },
    }
)
"""Ports, ramps and cities in countries of several zones whose letters are not those of their airport: those of the World Port
Index (as marchah/sea-ports, MIT, joins it to UN/LOCODE), by the zone of their state, and those that freight for Los Angeles
comes through besides."""


_REMEMBERED: Final = 4_096  # places whose zone was asked for; well under 1 MB


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone and where it came from, for the warning's sentence."""

    info: ZoneInfo
    name: str
    of: str
    known: bool = True
    assumed: str = field(init=False, compare=False)
    """That sentence."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "assumed", f"local time of {self.of} ({self.name}) assumed")


def zone_of(place: Place | None, registers: Registers, state: str | None = None) -> Zone:
    """The zone of `place`; UTC, not `known`, if nothing tells. `state`: or province, where the message names one."""
    if place is not None:
        found = _by_facility(place, registers) or _by_codes(place, registers) or _by_region(place, registers, state)
        if found is not None:
            return found
    return _unknown()


@cache
def _unknown() -> Zone:
    return Zone(ZoneInfo("UTC"), "UTC", "an unknown place", known=False)


def zone_of_code(code: str) -> str | None:
    """The name of the zone of a port or an airport, by its UN/LOCODE or IATA code alone. None: it is neither, and nothing is
    guessed by its country, since a town's name may look like a code."""
    country, letters = code[:-3], code[-3:]
    if (port := _PORT_ZONES.get(country, {}).get(letters)) is not None:
        return port
    airport = _airports().get(letters)
    return airport["tz"] if airport is not None and country in ("", airport["country"]) else None


def zone_of_unlocode(unlocode: str) -> str | None:
    """The same of what is known to be a UN/LOCODE; else the only or leading zone of its country."""
    found = _of_unlocode(unlocode)
    return found.name if found is not None else None


def locode_of_airport(iata: str, registers: Registers) -> str | None:
    """The UN/LOCODE of an airport or of a city of several: by our register, else by the tables above, else unknown."""
    known = registers.by_iata.get(iata)
    return (known.unlocode if known else None) or AIRPORT_LOCODES.get(iata) or _CITY_LOCODES.get(iata)


def is_airport(iata: str) -> bool:
    """Whether this is an airport's IATA code, in capitals."""
    return iata in _airports()


def facility_by_name(text: str, unlocode: str | None, registers: Registers) -> Facility | None:
    """The facility that a message calls so: our own code, a GLN, or SMDG's code of a terminal."""
    if text.strip().upper() not in registers.codes:
        return None
    return facility_by_code(text, registers) or facility_by_smdg(text, unlocode, registers)


def facility_by_smdg(code: str, unlocode: str | None, registers: Registers) -> Facility | None:
    """The facility of a terminal's code: SMDG's (unique within a LOCODE only), or our own."""
    found = [place for place in registers.by_smdg.get(code.upper(), ()) if unlocode is None or place.unlocode == unlocode]
    if len(found) == 1:
        return found[0]
    own = registers.facilities.get(code.upper())
    return own if own is not None and (unlocode is None or own.unlocode in (None, unlocode)) else None


def facility_by_code(code: str, registers: Registers) -> Facility | None:
    """The facility of a party's code: our own code or a GLN."""
    key = code.strip().upper()
    return registers.facilities.get(key) or registers.by_gln.get(key)


def zone_near(latitude: float, longitude: float) -> Zone:
    """The zone of the airport nearest to a point: good to some ten kilometres, which is what a truck's position needs."""

    def apart(airport: airportsdata.Airport) -> float:
        east_west = abs(airport["lon"] - longitude)
        return float((airport["lat"] - latitude) ** 2 + min(east_west, 360 - east_west) ** 2)

    latitudes, airports = _airports_by_latitude()
    at = bisect_left(latitudes, latitude)
    near, north, south = float("inf"), at, at - 1
    nearest = airports[min(at, len(airports) - 1)]
    # outwards from the point's own parallel, until the parallel alone is further away than the nearest so far
    while north < len(airports) or south >= 0:
        north_away = latitudes[north] - latitude if north < len(airports) else float("inf")
        south_away = latitude - latitudes[south] if south >= 0 else float("inf")
        if min(north_away, south_away) ** 2 > near:
            break
        if north_away <= south_away:
            candidate, north = airports[north], north + 1
        else:
            candidate, south = airports[south], south - 1
        if (away := apart(candidate)) < near:
            nearest, near = candidate, away
    return Zone(ZoneInfo(nearest["tz"]), nearest["tz"], f"{nearest['iata']}, the nearest airport")


def _by_facility(place: Place, registers: Registers) -> Zone | None:
    known = registers.facilities.get(place.facility) if place.facility else None
    if known is None and place.iata:
        known = registers.by_iata.get(place.iata)
    return _zone(known.zone, known.code) if known is not None else None


def _by_codes(place: Place, registers: Registers) -> Zone | None:
    if place.iata and place.iata in _airports():
        return _zone(_airports()[place.iata]["tz"], place.iata)
    if not place.unlocode:
        return None
    known = registers.by_unlocode.get(place.unlocode)
    if known is not None and (found := _zone(known.zone, place.unlocode)) is not None:
        return found
    return _of_unlocode(place.unlocode)


@lru_cache(_REMEMBERED)
def _of_unlocode(unlocode: str) -> Zone | None:
    name = zone_of_code(unlocode)
    return _zone(name, unlocode) if name is not None else _of_country(unlocode[:2])


def _by_region(place: Place, registers: Registers, state: str | None) -> Zone | None:
    city = registers.by_city.get(place.name.upper()) if place.name else None
    if city is not None:
        return _zone(city.zone, str(city.city))
    country = place.country or (place.unlocode[:2] if place.unlocode else None)
    if state is not None and (region := _of_region(place.name, state, country)) is not None:
        return region
    return _of_country(country) if country else None


def _of_region(town: str | None, state: str, country: str | None) -> Zone | None:
    """Without a country: of the US or Canada, no two of whose states and provinces are written alike."""
    for of in (country,) if country else ("US", "CA"):
        if (zone := _REGION_ZONES.get(of, {}).get(state)) is not None:
            other = _CITIES_OF_ANOTHER_ZONE.get((state, town.upper())) if of == "US" and town else None
            return _zone(other or zone, state)
    return None


def _of_country(country: str) -> Zone | None:
    if country in _LEADING_ZONES:
        return _zone(_LEADING_ZONES[country], country)
    zones = _zones_by_country().get(country, ())
    return _zone(zones[0], country) if len(zones) == 1 else None


@lru_cache(_REMEMBERED)
def _zone(name: str, of: str) -> Zone | None:
    try:
        return Zone(ZoneInfo(name), name, of)
    except (ZoneInfoNotFoundError, ValueError):
        return None  # a register may name what is no zone; the next source is asked


@cache
def _airports_by_latitude() -> tuple[list[float], list[airportsdata.Airport]]:
    airports = sorted(_airports().values(), key=lambda airport: (airport["lat"], airport["iata"]))
    return [airport["lat"] for airport in airports], airports


@cache
def _airports() -> dict[str, airportsdata.Airport]:
    return airportsdata.load("IATA")


@cache
def countries() -> frozenset[str]:
    """The two letters of ISO 3166-1 by which a UN/LOCODE begins; XZ, which it has for installations at sea."""
    text = importlib.resources.files("tzdata").joinpath("zoneinfo/iso3166.tab").read_text(encoding="utf-8")
    return frozenset({"XZ", *(line[:2] for line in text.splitlines() if line and not line.startswith("#"))})


@cache
def _zones_by_country() -> Mapping[str, tuple[str, ...]]:
    text = importlib.resources.files("tzdata").joinpath("zoneinfo/zone.tab").read_text(encoding="utf-8")
    zones: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            zones[country] = (*zones.get(country, ()), zone)
    return MappingProxyType(zones)
