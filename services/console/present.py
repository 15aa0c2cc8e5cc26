"""Templates and what they may call. Autoescape is on for all of them: carriers' text is hostile."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from services.console import acts, frame, journey_picture, map_picture, render
from services.console.assets import asset
from services.console.consignment import Said
from services.console.render import known_zone
from services.runtime.spoken import span

_SPELLED: Final = {
    "n95_respirator": "N95 respirator",
    "kn95_respirator": "KN95 respirator",
    "iv_set": "IV set",
    "uld": "ULD",
    "sscc": "SSCC",
    "gtin_lot": "GTIN lot",
    "air_waybill": "air waybill (AWB)",
    "pro_number": "PRO number",
}
_UTC: Final = ZoneInfo("UTC")


def words(code: str) -> str:
    """A word of ours as people say it: `will_be_late` -> `will be late`."""
    return _SPELLED.get(code, code.replace("_", " "))


def when(moment: datetime | None, zone: ZoneInfo, there: str = "") -> Markup | str:
    """A `<time>` in the viewer's zone; on hover the year and seconds, UTC, and what a clock says where it is. `there`: the IANA
    name of the zone there, where it is known."""
    if moment is None:
        return ""
    local, utc = moment.astimezone(zone), moment.astimezone(UTC)
    title = f"{local:%a %d %b %Y %H:%M:%S} {local.tzname()}; {utc:%d %b %H:%M} UTC"
    if there and known_zone(there) != _UTC:  # a name that is no zone is taken for UTC
        title += f"; there {moment.astimezone(known_zone(there)):%a %d %b %H:%M %Z}"
    told = f'<time datetime="{utc:%Y-%m-%dT%H:%M:%SZ}" title="{title}">{local:%a %d %b %H:%M}</time>'
    return Markup(told)  # noqa: S704  digits, and the names of days, months and zones


def coded(text: str) -> Markup:
    """What stands between `backticks` is a command."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in enumerate(parts))


def weekday(day: str) -> str:
    """A day as people say it: `2020-04-11` -> `Sat 11 Apr`."""
    return f"{date.fromisoformat(day):%a %d %b}"


def recorded(said: Iterable[Said], zone: ZoneInfo) -> list[tuple[str, str]]:
    """What people recorded, to be chosen from: (event, in words)."""
    return [
        (one.event_id, f"{words(one.milestone)} {one.occurred_at.astimezone(zone):%d %b %H:%M}, by {one.recorded_by}")
        for one in said
    ]


@cache
def environment() -> Environment:
    """The templates of services/console/templates."""
    made = Environment(
        loader=PackageLoader("services.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "when": when,
        "weekday": weekday,
        "coded": coded,
        "span": span,
        "count": render.count,
        "words": words,
        "brief": render.brief,
    }
    made.globals |= {
        "asset": asset,
        "query": frame.query,
        "meaning": render.MEANING,
        "journey_picture": journey_picture.picture,
        "map_of": map_picture.of_story,
        "basis": render.BASIS,
        "once": secrets.token_hex,
        "waits": acts.WAITS,
        "steps": [(one, words(one)) for one in acts.STEPS],
        "links": [(one, words(one)) for one in acts.LINKS],
        "roles": [(one, words(one)) for one in acts.ROLES],
        "recorded": recorded,
        "taken_by": acts.taken_by,
    }
    return made
