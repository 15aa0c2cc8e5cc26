"""How a viewer wants pages to look: theme and time zone, kept in cookies of their browser. They give away nothing."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from fastapi import Request, Response

from services.console.frame import THEMES
from services.console.render import known_zone

_YEAR_S: Final = 365 * 86_400
_BODY_MOST: Final = 4_096


async def keep(request: Request) -> Response:
    """`POST /look`: keep what is chosen, go back to the page. What is not a theme or a zone is not kept."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _BODY_MOST:
            return Response("Too much.\n", 413, media_type="text/plain")
    given = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace"), max_num_fields=8).items()}
    answer = Response(status_code=303, headers={"Location": own_path(given.get("next", "/"))})
    zone = given.get("zone", "")
    kept = {"theme": given.get("theme") if given.get("theme") in THEMES else None, "zone": zone if is_zone(zone) else None}
    for name, value in kept.items():
        if value:
            answer.set_cookie(name, value, max_age=_YEAR_S, samesite="lax", httponly=True)
    return answer


def is_zone(name: str) -> bool:
    """Whether it is a time zone that we know."""
    return bool(name) and (name == "UTC" or known_zone(name).key == name)


def own_path(told: str) -> str:
    """A path of ours, never the address of somebody else."""
    fine = told.startswith("/") and not told.startswith(("//", "/\\")) and told.isprintable() and "\\" not in told
    return told if fine and told.isascii() else "/"
