"""What the description of the alerts' door says of each address for keys. Pages for people are not in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from schemas.alerts_v1 import Subscription
from services.alerts.wanted import Changed, Wanted
from services.runtime.openapi import answer, complete, pointer, refused

_SUBSCRIPTION = "Scope alerts; its owner's key, or an operator's."
_OPERATOR = "Scope operator. Body: `channel`, `address`."
_TEXTS: Mapping[str, tuple[str, str]] = {
    "create": (
        "Subscribe an address",
        "Scope alerts. It is asked to confirm, and gets nothing before it did. A webhook's answer holds its signing `secret`, "
        "this once.",
    ),
    "listed": ("List subscriptions", "Scope alerts: the key's own; an operator's key: all. `next` is the next page's `after`."),
    "read": ("One subscription", _SUBSCRIPTION),
    "amend": ("Change it", f"All but channel and address; what is left out stays. {_SUBSCRIPTION}"),
    "remove": ("Remove it, and its address", _SUBSCRIPTION),
    "pause": ("Send nothing until it is resumed", _SUBSCRIPTION),
    "resume": ("Send again", f"What its subscriber stopped, only its subscriber can resume. {_SUBSCRIPTION}"),
    "stop": ("End it", _SUBSCRIPTION),
    "ask": ("Ask the address once more to confirm", f"At most once a minute and five times a day. {_SUBSCRIPTION}"),
    "confirm": ("Confirm a phone number", f"By the six digits of the SMS, read out by its owner: `code`. {_SUBSCRIPTION}"),
    "messages": (
        "What a webhook missed",
        f"Messages as they were or would be posted, with their signed headers. `next` is the next `after`. {_SUBSCRIPTION}",
    ),
    "forget": ("Erase an address", f"A keyed hash stays, so that nobody writes to it again. {_OPERATOR}"),
    "allow": ("Let an address be written to again", f"Because its owner asked for it. {_OPERATOR}"),
}
_ADDRESS = {"type": "object", "required": ["channel", "address"], "properties": {"channel": {}, "address": {"type": "string"}}}
_BODIES: Mapping[str, Mapping[str, Any]] = {
    "create": pointer(Wanted),
    "amend": pointer(Changed),
    "confirm": {"type": "object", "required": ["code"], "properties": {"code": {"type": "string"}}},
    "forget": _ADDRESS,
    "allow": _ADDRESS,
}
_UNREGISTERED = {"unregistered": "`allow`: also facilities, terminals and carriers that no register has yet; else refused"}
_QUERIES: Mapping[str, Mapping[str, str]] = {
    "create": _UNREGISTERED,
    "amend": _UNREGISTERED,
    "listed": {"state": "only those in this state", "limit": "1 to 500", "after": "the last id of the page before"},
    "messages": {"after": "`next` of the answer before", "since": "RFC 3339", "limit": "1 to 500"},
}
_STATUS = {"create": 201, "remove": 204}
_PLAIN = frozenset({"listed", "messages", "forget", "allow", "remove"})  # their answer is no subscription


OF_A_PAGE: Mapping[str, Any] = {"include_in_schema": False}


def describe(name: str) -> dict[str, Any]:
    """Keyword arguments for `add_api_route`; KeyError for an address without words."""
    summary, text = _TEXTS[name]
    extra: dict[str, Any] = {"security": [{"key": []}]}
    if name in _BODIES:
        extra["requestBody"] = {"content": {"application/json": {"schema": _BODIES[name]}}, "required": True}
    asked = [("query", parameter, said) for parameter, said in _QUERIES.get(name, {}).items()]
    if name == "create":
        asked.append(("header", "Idempotency-Key", "a string of yours: the same request again under it makes no second one"))
    if asked:
        extra["parameters"] = [
            {"name": parameter, "in": place, "required": False, "description": said, "schema": {"type": "string"}}
            for place, parameter, said in asked
        ]
    status = _STATUS.get(name, 200)
    answers = refused(400, 401, 403, 404, 408, 413, 415, 422, 429, 503)
    if name not in _PLAIN:
        answers[status] = {"description": "The subscription as it is then"} | answer(Subscription)
    return {"summary": summary, "description": text, "openapi_extra": extra, "status_code": status, "responses": answers}


def completed(app: FastAPI) -> None:
    """With the schemas of all that is pointed to."""
    complete(app, (), ((Wanted, "validation"), (Changed, "validation"), (Subscription, "serialization")))
