"""The demo's places, senders and numbers: read from `demo/data`, and identifiers with right check digits."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from schemas.words import SenderKind

DATA = Path(__file__).parent / "data"
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
LOS_ANGELES = "America/Los_Angeles"

OCEAN_DCSA = ("MAEU", "ONEY", "HLCU", "CMDU")
OCEAN_X12 = ("COSU", "EGLV", "MSCU")
OCEAN = OCEAN_DCSA + OCEAN_X12
STRANGER = "ZIMU"
"""Registered, party to nothing: what it says are claims."""
TERMINALS_X12 = ("LA-TRAPAC", "LA-APMT", "LA-YTI", "LA-EVERPORT", "LA-FENIX")
TERMINALS_LOVLA = ("LB-LBCT", "LB-TTI", "LB-ITS")
TERMINALS = TERMINALS_X12 + TERMINALS_LOVLA
AIRLINES = ("KE", "CX", "CI", "LH", "SQ")
SILENT_AIRLINE = "CV"
"""Its feed stops two days before the check; all that it carried is delivered by then."""
TRUCKERS = ("HBRT", "SPDR", "CATR")
BUYERS = ("LACDHS", "LVLA", "MASKLA", "SOCALH")
OPERATOR = "OPS"
FEED_LIMIT_H = 24.0
"""`silent_after_h` of every pushing sender in senders.csv: the demo's senders push in batches, not in streams."""

PERIOD_H: dict[SenderKind, int] = {
    "ocean_carrier": 12,
    "terminal": 12,
    "airline": 6,
    "trucker": 3,
    "consignee": 2,
    "buyer": 48,
    "operator": 1,
}
"""How often a sender's system sends what it has gathered; one request a batch."""

HUBS = {"KE": "KRICN", "CX": "HKHKG", "CI": "TWTPE", "LH": "DEFRA", "SQ": "SGSIN", "CV": "HKHKG"}
ASTRAY = ("USOAK", "MXZLO", "USSEA")
"""Ports where a misrouted container is put ashore."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where goods start: a seaport or an airport; `transit_h` to Los Angeles."""

    unlocode: str
    mode: Literal["sea", "air"]
    iata: str
    name: str
    country: str
    zone: str
    transit_h: float


@dataclass(frozen=True, slots=True)
class SenderRow:
    code: str
    kind: SenderKind
    name: str
    scac: str
    iata: str
    awb_prefix: str


@dataclass(frozen=True, slots=True)
class FacilityRow:
    code: str
    kind: str
    name: str
    unlocode: str
    zone: str
    city: str
    postal_code: str
    street: str


def table(name: str) -> list[dict[str, str]]:
    """The rows of a file of `demo/data`."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def origins(mode: str) -> tuple[Origin, ...]:
    """The ports or airports of origin."""
    return tuple(
        Origin(
            r["unlocode"],
            "air" if mode == "air" else "sea",
            r["iata"],
            r["name"],
            r["country"],
            r["zone"],
            float(r["transit_h"]),
        )
        for r in table("origins.csv")
        if r["mode"] == mode
    )


@cache
def senders() -> dict[str, SenderRow]:
    """All senders of senders.csv by code."""
    return {
        r["code"]: SenderRow(r["code"], r["kind"], r["name"], r["scac"], r["iata"], r["awb_prefix"])  # type: ignore[arg-type]  # literals of our own file
        for r in table("senders.csv")
    }


@cache
def facilities() -> dict[str, FacilityRow]:
    """All facilities of facilities.csv by code."""
    return {
        r["code"]: FacilityRow(
            r["code"], r["kind"], r["name"], r["unlocode"], r["zone"], r["city"], r["postal_code"], r["street"]
        )
        for r in table("facilities.csv")
    }


@cache
def hospitals() -> tuple[str, ...]:
    return tuple(code for code, f in facilities().items() if f.kind == "hospital")


@cache
def teu_by_month() -> dict[int, float]:
    """Month of the year -> the Port of Los Angeles' TEU in 2020: how strongly arrivals of that month weigh."""
    return {int(r["month"][5:]): float(r["total_teu"]) for r in table("port_of_la_teu.csv") if r["month"].startswith("2020")}


@cache
def _batches(code: str) -> tuple[datetime, timedelta]:
    """One of the moments at which the sender's batches leave, and how long after it the next does. Each sender's leave at its
    own minutes, so that not all come at once."""
    return EPOCH + timedelta(minutes=sum(map(ord, code)) * 7 % 110), timedelta(hours=PERIOD_H[senders()[code].kind])


def batch_after(code: str, moment: datetime) -> datetime:
    """When the sender's next batch leaves at or after `moment`."""
    start, period = _batches(code)
    return start + -(-(moment - start) // period) * period


def batch_before(code: str, moment: datetime) -> datetime:
    """When the sender's last batch left at or before `moment`."""
    start, period = _batches(code)
    return start + (moment - start) // period * period


_LETTERS = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", (n for n in range(10, 39) if n % 11), strict=True))


def container_number(owner: str, serial: int) -> str:
    """ISO 6346: owner (3 letters and U), six digits, check digit."""
    body = f"{owner}{serial:06d}"
    total = sum((_LETTERS.get(c) or int(c)) * 2**i for i, c in enumerate(body))
    return f"{body}{total % 11 % 10}"


def with_wrong_digit(container: str) -> str:
    """The same container with a check digit that is not right."""
    return container[:-1] + str((int(container[-1]) + 3) % 10)


def imo_number(serial: int) -> str:
    """Six digits and the IMO check digit."""
    body = f"{serial:06d}"
    return body + str(sum(int(d) * w for d, w in zip(body, range(7, 1, -1), strict=True)) % 10)


def air_waybill(prefix: str, serial: int) -> str:
    """Prefix, seven digits, and the seven modulo 7."""
    return f"{prefix}-{serial:07d}{serial % 7}"


def stable_uuid(*parts: object) -> UUID:
    """The same parts, the same id."""
    return uuid5(NAMESPACE_URL, "lovla-demo:" + ":".join(map(str, parts)))
