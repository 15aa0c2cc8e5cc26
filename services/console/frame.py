"""What stands around every page: who looks, where one can go, how fresh it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from services.console.render import known_zone
from services.runtime.spoken import span

Role = Literal["viewer", "planner", "admin"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "planner", "admin")
"""Each may do what those before it may: read; act on consignments; manage."""

Theme = Literal["auto", "light", "dark"]
THEMES: Final[tuple[Theme, ...]] = ("auto", "light", "dark")

BEHIND: Final = timedelta(seconds=60)
"""Ticks come every 5 s: a pipeline whose time is older than this is behind."""

STALE: Final = timedelta(minutes=15)
"""Older than this, what is shown must not be acted on without a call."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page. `csrf`: what a form of theirs must bring back, another text on each page; `session`: what in it
    stays the same, and is written on none."""

    name: str
    role: Role
    csrf: str
    session: str = ""
    demo: bool = False
    zone_name: str = "UTC"
    theme: Theme = "auto"

    @property
    def zone(self) -> ZoneInfo:
        return known_zone(self.zone_name)

    def may(self, role: Role) -> bool:
        """Whether they may do what `role` may."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True, slots=True)
class NavItem:
    """A page in the navigation."""

    key: str
    label: str
    href: str
    current: bool = False


PAGES: Final[tuple[tuple[str, str, str], ...]] = (
    ("today", "Today", "/"),
    ("delayed", "Delayed", "/delayed"),
    ("consignments", "Consignments", "/consignments"),
    ("hospitals", "Hospitals", "/hospitals"),
    ("vessels", "Vessels & flights", "/vessels"),
    ("terminals", "Terminals", "/terminals"),
    ("carriers", "Carriers", "/carriers"),
    ("feeds", "Feeds", "/feeds"),
    ("unmatched", "Unmatched & claims", "/unmatched"),
    ("messages", "Messages", "/messages"),
    ("subscriptions", "Subscriptions", "/subscriptions"),
    ("mailbox", "Mailbox", "/mailbox"),
    ("health", "Health", "/health"),
)
"""(key, label, address): in the order of a shift."""


def navigation(current: str, built: Sequence[str]) -> list[NavItem]:
    """The pages that there are; `current` is the key of the page shown."""
    return [NavItem(key, label, href, key == current) for key, label, href in PAGES if key in built]


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old what is shown is. `as_of`: the pipeline's own time; `age_s` 0 where it has none."""

    state: Literal["live", "behind", "stale", "unknown"]
    as_of: datetime | None
    age_s: float
    sentence: str


def freshness(as_of: datetime | None, clock: datetime) -> Freshness:
    """Judge the pipeline's time by the machine's."""
    if as_of is None:
        return Freshness("unknown", None, 0.0, "The pipeline has no time yet: nothing has been read.")
    age = max(clock - as_of, timedelta())
    if age <= BEHIND:
        return Freshness("live", as_of, age.total_seconds(), "Live: what carriers send is here within seconds.")
    ago = span(age.total_seconds() / 3600)
    if age <= STALE:
        return Freshness("behind", as_of, age.total_seconds(), f"Behind: this is what was known {ago} ago.")
    return Freshness("stale", as_of, age.total_seconds(), f"Old: this is what was known {ago} ago. See Health.")


def query(path: str, given: Mapping[str, object], **changed: object) -> str:
    """An address with its parameters: `given` with what is `changed`; what is empty is left out."""
    from urllib.parse import urlencode

    pairs: list[tuple[str, str]] = []
    for name, value in {**given, **changed}.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        pairs += [(name, str(one)) for one in values if one not in (None, "", False)]
    return f"{path}?{urlencode(pairs)}" if pairs else path
