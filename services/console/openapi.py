"""What the query API says of itself (services/openapi_export.py writes it to docs/console-openapi.json).

Answers are described by the very dataclasses that are told; parameters by the words that the work
list takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, get_args

from pydantic import TypeAdapter

from schemas.words import EXCEPTION_KINDS, SEVERITIES, ItemCategory, Mode
from services.console.consignment import Story
from services.console.dcsa_events import REFERENCES, TYPES
from services.console.lists_api import LISTS
from services.console.query_api import LIST_MOST, LIST_ROWS
from services.console.questions import GROUPS, SORTS, Delayed, Dwell, FeedHealth, Inbound, Unmatched
from services.console.reports import MESSAGE_STATES
from services.console.today import Today
from services.console.worklist import OFFSET_MOST, PAGE_MOST, PAGE_ROWS, STAGES, STATES, TEXT_MOST, WORK

_REF: Final = "#/components/schemas/{model}"

Json = dict[str, Any]


def _word(name: str, text: str, words: Sequence[str] = (), several: bool = False) -> Json:
    one: Json = {"type": "string", "enum": list(words)} if words else {"type": "string", "maxLength": TEXT_MOST}
    return _parameter(name, text, {"type": "array", "items": one} if several else one)


def _number(name: str, text: str, usual: int, least: int, most: int) -> Json:
    return _parameter(name, text, {"type": "integer", "default": usual, "minimum": least, "maximum": most})


def _parameter(name: str, text: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "required": False, "description": text, "schema": schema}


_AT: Final = _parameter(
    "at", "What was known then: nothing that was received later. RFC 3339; UTC without offset.", {"type": "string"}
)
_FORMAT: Final = _word(
    "format", "JSON, or without paging CSV or an Arrow stream (for who sees everything).", ("json", "csv", "arrow")
)
_CURSOR: Final = _parameter("cursor", "Where to go on: what the answer before gave as `next`.", {"type": "string"})
_CARRIER: Final = _word("carrier", "The sender's code; a key of a carrier is its own.")
_NAME: Final = {
    "name": "consignment",
    "in": "path",
    "required": True,
    "description": "Its id; a slash in it may stand as it is.",
    "schema": {"type": "string"},
}
_WORKLIST: Final[Sequence[Json]] = (
    _word("q", "A part of the id, the vessel, the hospital's name or any reference."),
    _word("exception", "Open exceptions of these kinds; `any`: of every kind.", (*EXCEPTION_KINDS, "any"), several=True),
    _word("severity", "With an exception of that severity.", SEVERITIES),
    _word("hospital", "The place of delivery: its code, or a part of its name."),
    _word("carrier", "The carrier, or any party."),
    _word("terminal", "The terminal's code."),
    _word("vessel", "A part of the vessel's name, or of the flight."),
    _word("item", "With goods of that category.", get_args(ItemCategory)),
    _parameter("tier", "Priority tier.", {"type": "integer", "minimum": 1, "maximum": 5}),
    _word("stage", "The stage that it is at.", STAGES),
    _word("mode", "By sea, air, road or rail.", get_args(Mode)),
    _word("state", "Open, open with something wrong, or ended.", STATES),
    _word("work", "Nobody takes care of it yet; somebody does; it is to wait.", WORK),
    _word("assigned", "Who is to take care of it."),
    _word("delivered", "Delivered on the console's own day.", ("today",)),
    _parameter("expected", "Expected at the hospital on this day of its own.", {"type": "string", "format": "date"}),
    _parameter("expected_before", "Expected there before this day.", {"type": "string", "format": "date"}),
    _word("sort", "The order; `worst`: severity, then hours.", SORTS),
    _word("reverse", "The other way round.", ("1",)),
    _word("group", "Rows of a kind stand together.", GROUPS),
    _number("rows", "Rows of a page.", PAGE_ROWS, 1, PAGE_MOST),
    _number("offset", "Rows before the page; `cursor` is exact where rows come and go.", 0, 0, OFFSET_MOST),
    _CURSOR,
    _FORMAT,
)


_COUNTED: Final[Json] = {
    "type": "object",
    "description": "When what is shared by all who ask was counted.",
    "additionalProperties": {"type": "string", "format": "date-time"},
}
_BY_PAGES: Final[Sequence[Json]] = (_number("rows", "Rows of an answer, the newest first.", LIST_ROWS, 1, LIST_MOST), _CURSOR)


def _rows(model: str) -> Json:
    rows = {"type": "array", "items": {"$ref": _REF.format(model=model)}}
    return {
        "type": "object",
        "required": ["as_of", "rows"],
        "properties": {
            "as_of": {"type": "string", "format": "date-time"},
            "rows": rows,
            "next": {"type": "string"},
            "counted": _COUNTED,
        },
    }


_WORKLIST_ROWS: Final[Json] = _rows("Row")


def _one(name: str, model: str) -> Json:
    told = {"as_of": {"type": "string", "format": "date-time"}, name: {"$ref": _REF.format(model=model)}}
    return {"type": "object", "required": ["as_of", name], "properties": told}


def _today() -> Json:
    """With when what is shared by many was counted: the numbers 30 s ago at most, goods on their way 3 minutes."""
    told = _one("today", "Today")
    told["properties"]["counted"] = _COUNTED
    return told


def _listed_word(name: str, meaning: str, needed: bool) -> Json:
    return _word(name, meaning, MESSAGE_STATES if name == "state" else ()) | {"required": needed}


def _get(summary: str, answer: Json, parameters: Sequence[Json] = (), everything: bool = False) -> Json:
    content: Json = {"application/json": {"schema": answer}}
    if _FORMAT in parameters:
        content["text/csv"] = {"schema": {"type": "string"}}
        content["application/vnd.apache.arrow.stream"] = {"schema": {"type": "string", "format": "binary"}}
    refused = {"content": {"application/problem+json": {"schema": {"type": "object"}}}}
    answers: Json = {
        "200": {"description": "What is known.", "headers": {"ETag": {"schema": {"type": "string"}}}, "content": content},
        "304": {"description": "It is as If-None-Match says."},
        "400": {"description": "A parameter cannot be read, or names what nobody knows; `errors` say which.", **refused},
        "401": {"description": "No key, and nobody is signed in.", **refused},
        "429": {"description": "Too many requests.", **refused},
        "503": {"description": "ClickHouse gave no answer in time.", **refused},
    }
    if everything:
        answers["403"] = {"description": "The key sees its own only, and this is about everybody's.", **refused}
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": dict(sorted(answers.items()))}}


def _bytes(summary: str, parameter: Json) -> Json:
    told = _get(summary, {}, [parameter], everything=True)
    told["get"]["responses"]["200"]["content"] = {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
    }
    return told


def asked_by(path: str) -> Sequence[Json]:
    """The parameters that an address takes behind its question mark, as they are described; `path` as routes have it."""
    described = paths()[path.replace(":path}", "}")]
    return [one for one in described["get"]["parameters"] if one["in"] == "query"]


@cache
def document() -> Json:
    """The whole description."""
    models: Mapping[str, Any] = {
        "Today": Today,
        "Row": Delayed,
        "Consignment": Story,
        "Feed": FeedHealth,
        "Inbound": Inbound,
        "Terminal": Dwell,
        "Unmatched": Unmatched,
    }
    models = {**models, **{listed.row.__name__: listed.row for listed in LISTS.values()}}
    schemas: Json = {}
    for name, model in models.items():
        schema = TypeAdapter(model).json_schema(ref_template=_REF, mode="serialization")
        schemas |= schema.pop("$defs", {})
        schemas[name] = schema
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LoVLA query API",
            "version": "1",
            "description": "What is known, for programs. A key sees its own only; an operator's sees everything.",
        },
        "security": [{"key": []}, {"session": []}],
        "paths": paths(),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "lovla_session"},
            },
        },
    }


@cache
def paths() -> Json:
    """Each address: what it tells, and by which words it is asked."""
    return {
        "/api/v1/today": _get("How it stands", _today(), [_word("zone", "IANA zone whose day counts.")], True),
        "/api/v1/delayed": _get("What is late or will be", _WORKLIST_ROWS, _WORKLIST),
        "/api/v1/consignments": _get("All consignments", _WORKLIST_ROWS, _WORKLIST),
        "/api/v1/consignments/{consignment}": _get(
            "All that is known of one", _one("consignment", "Consignment"), [_NAME, _AT]
        ),
        "/api/v1/feeds": _get(
            "How each sender's feed does",
            _rows("Feed"),
            [_CARRIER, _number("days", "The window.", 7, 1, 400), _FORMAT],
        ),
        "/api/v1/inbound": _get(
            "Goods on their way by day",
            _rows("Inbound"),
            [
                _word("hospital", "Its code, or a part of its name."),
                _word("item", "Item category.", get_args(ItemCategory)),
                _number("days", "How far ahead.", 14, 1, 400),
                _FORMAT,
            ],
            True,
        ),
        "/api/v1/terminals": _get(
            "How long units stand",
            _rows("Terminal"),
            [_word("terminal", "Its code."), _number("days", "The window.", 30, 1, 400), _FORMAT],
            True,
        ),
        "/api/v1/unmatched": _get(
            "Events that nobody owns",
            _rows("Unmatched"),
            [_CARRIER, _number("days", "The window.", 30, 1, 400), *_BY_PAGES, _FORMAT],
        ),
        **{
            f"/api/v1/{name}": _get(
                listed.summary,
                _rows(listed.row.__name__),
                [
                    *(_listed_word(*word, listed.needed) for word in listed.words.items()),
                    *([_number("days", "The window.", listed.days, 1, 400)] if listed.days else []),
                    *(_BY_PAGES if listed.stand else ()),
                    _FORMAT,
                ],
                True,
            )
            for name, listed in LISTS.items()
        },
        "/api/v1/raw/{name}": _bytes(
            "The bytes that somebody sent, unpacked; Lovla-Position says where in them what the id is of stands",
            _parameter("name", "The id of an event, a command or a dead letter.", {"type": "string"})
            | {"in": "path", "required": True},
        ),
        "/v2/events": _get(
            "A consignment's events as DCSA Track & Trace 2.2 has them",
            {"type": "array", "items": {"type": "object"}},
            [
                _word("consignment", "Our id of it."),
                *(_word(name, "What DCSA clients ask by.") for name in REFERENCES),
                _word("eventType", f"With commas: {', '.join(TYPES)}."),
                _number("limit", "Events of an answer; the Link header leads to the next.", 100, 1, 1_000),
                _number("cursor", "Where to go on.", 0, 0, 1_000_000),
                _AT,
            ],
        ),
    }
