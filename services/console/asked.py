"""An address for programs takes what it describes (openapi.py) and refuses the rest: a filter that is passed over in silence
gives an answer to another question. Pages for people stay lenient: old bookmarks must open.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from fastapi import Request, Response

from services.console.gate import Place, Problem
from services.console.openapi import asked_by
from services.console.pages import Route, parameters


def strictly(route: Route, who: Callable[[Request], object]) -> Route:
    """The same, but for addresses that say other than they describe: these are refused (Problem 400). `who`: raises Problem 401
    and 429 before that (of what is right the endpoint asks it itself, so that it is counted once)."""
    method, path, endpoint = route
    described = {one["name"]: one["schema"] | {"required": one["required"]} for one in asked_by(path)}

    @wraps(endpoint)
    async def told(**named: Any) -> Response:
        request: Request = named["request"]
        try:
            check(parameters(request), described)
        except Problem:
            who(request)
            raise
        answer: Awaitable[Response] = endpoint(**named)
        return await answer

    return method, path, told


def check(given: Mapping[str, Sequence[str]], described: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises Problem 400 that names all that is unknown, missing, said twice or no value of an enumeration. `described`:
    name -> JSON Schema and `required`. What else is wrong with a value is said by who reads it."""
    wrong: list[Place] = []
    for name, values in given.items():
        schema = described.get(name)
        if schema is None:
            told = f"{name[:80]} is no parameter of this address; {_known(described)}."
            wrong.append(_place(name, "unknown_parameter", told))
            continue
        several = schema.get("type") == "array"
        words = (schema["items"] if several else schema).get("enum", ())
        if len(values) > 1 and not several:
            wrong.append(_place(name, "bad_parameter", f"{name} is said {len(values)} times."))
        if words and any(value and value not in words for value in values):
            wrong.append(_place(name, "bad_parameter", f"{name} is one of {', '.join(words)}."))
    for name, schema in described.items():
        if schema["required"] and not any(given.get(name, ())):
            wrong.append(_place(name, "missing_parameter", f"{name} is missing: without it there is nothing to tell."))
    if wrong:
        raise Problem("bad-parameter", " ".join(one["text"] for one in wrong[:3]), errors=wrong[:20])


def _known(described: Mapping[str, object]) -> str:
    return f"known are {', '.join(described)}" if described else "it takes none"


def _place(name: str, code: str, text: str) -> Place:
    return Place(where=name[:80], code=code, text=text)
