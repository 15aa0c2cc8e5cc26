"""What /openapi.json says of each address: bodies and answers. The handlers take the bytes as they are, so it stands here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from schemas.alerts_v1 import Acknowledgement
from schemas.consignment_command_v1 import ConsignmentDeclaration
from schemas.work_act_v1 import WorkAct
from services.ingest.alert_acknowledgements import Said as Acknowledged
from services.ingest.readers.lovla import EXAMPLES, StatedEvent
from services.ingest.work_acts import Asked as Act
from services.runtime.openapi import answer, complete, pointer, refused


class AcceptedBody(BaseModel):
    """Kafka has the record. One verdict for every event or row; `warnings` are about the message's envelope. `explained`: what
    each code of a problem or warning means, and what to do about it."""

    receipt: str
    received_at: str
    accepted: int
    rejected: int
    verdicts: list[dict[str, Any]]
    warnings: list[dict[str, str]] | None = None
    explained: dict[str, dict[str, str]] | None = None


class TriedBody(BaseModel):
    """A dry run: nothing was taken. Each statement has its place, what it says, and `findings`: each with its code, the
    standard's name of the field, what stands there, what the complaint means and what to do. `acknowledgement`: as we would
    send it."""

    dry_run: bool
    sender: str
    standard: str | None
    received_at: str
    accepted: int
    rejected: int
    statements: list[dict[str, Any]]
    findings: list[dict[str, Any]]
    acknowledgement: dict[str, str]


class WorkDone(BaseModel):
    """202: what was written, in the order of the request."""

    acts: list[WorkAct]


class ReceiptBody(BaseModel):
    """What became of a request: `pending` until the readers are past it; each command's own outcome in its verdict."""

    receipt: str
    kind: str
    sender: str
    received_at: str
    sha256: str
    state: str
    verdicts: list[dict[str, Any]]
    warnings: list[dict[str, str]] | None = None
    explained: dict[str, dict[str, str]] | None = None


_TEXTS: Mapping[str, tuple[str, str]] = {
    "events": (
        "Push events in LoVLA's own JSON",
        "One event, an array, or NDJSON; scope push. Its fields: the schema `StatedEvent`, and docs/standards/own_json.md.",
    ),
    "messages": (
        "Push a message of any standard",
        "The bytes as they are, plain or gzip: DCSA, X12, Cargo-IMP, ... The standard is told by its content. Scope push. "
        "A message in which nothing can be read is kept too: its verdict says why, and a dead letter is written. "
        "`dry_run=1` only tells what it would become.",
    ),
    "dcsa": (
        "DCSA Track & Trace 2.2 notification callback",
        "An array of events. Token and `Subscription-ID` name the secret; `Notification-Signature: sha256=<hex>` "
        "over the exact bytes is the credential. 204 with `Lovla-Receipt`; a bad event does not refuse the others.",
    ),
    "dcsa_head": ("Is the callback there?", "What a DCSA publisher asks before it takes a subscription: 204, or 404."),
    "register": ("Register consignments", "One declaration, an array, or CSV (one row an item line); scope register."),
    "amend": ("Amend a consignment", "Replaces the declaration. `If-Match` holds the declared_version that you saw, or `*`."),
    "cancel": ("Cancel a consignment", 'Body empty or `{"reason": "..."}`.'),
    "dock_receipt": ("The dock's count", "Good, short and damaged by item line; the strongest word on what was delivered."),
    "act": (
        "Link, unlink, appoint",
        '`{"command": "link", "reference": {...}}`, `unlink`, or `{"command": "appoint", "role", "party"}`.',
    ),
    "receipt": ("What became of a request", "Only its own sender, or an operator, may ask."),
    "load_begin": ("Begin a first load", "Withholds ticks, so that no deadline fires on half the history; scope operator."),
    "load_end": ("End a first load", "Appends the tick that ends it; scope operator."),
    "retry": ("Bring back what a fault of ours put aside", "Unparks the sender; scope operator."),
    "acknowledge": (
        "Take care of an alert",
        '`{"subscription", "notification"?, "code"?, "source"?}`: nobody else is woken for it; scope operator.',
    ),
    "work": (
        "What people do about consignments",
        "A list of `acknowledge`, `assign`, `snooze`, `note`, and `undo` of one of these; the console's own, scope operator. "
        "`Lovla-Recorded-By` says who. Nothing moves by it: it is shown, kept, and audited.",
    ),
    "conformance": (
        "Try a message",
        "A page: paste or upload a message, see what it becomes and why. No key needed, no script.",
    ),
    "conformance_try": ("Try a message: the answer", "The page's own form; machines take `POST /v1/messages?dry_run=1`."),
    "conformance_style": ("Its style sheet", ""),
    "docs": ("This page", ""),
}
_TAKEN = (ConsignmentDeclaration, StatedEvent)
_DECLARATION, _EVENT = (pointer(model) for model in _TAKEN)
_BODIES: Mapping[str, Mapping[str, Any]] = {
    "events": {
        "application/json": {
            "schema": {"oneOf": [_EVENT, {"type": "array", "items": _EVENT}]},
            "example": list(EXAMPLES),
        },
        "application/x-ndjson": {
            "schema": {"type": "string", "description": "a StatedEvent a line"},
            "example": "".join(json.dumps(event) + "\n" for event in EXAMPLES),
        },
    },
    "messages": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    "dcsa": {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}}},
    "register": {"application/json": {"schema": _DECLARATION}, "text/csv": {"schema": {"type": "string"}}},
    "amend": {"application/json": {"schema": _DECLARATION}},
    "cancel": {"application/json": {"schema": {"type": "object"}}},
    "dock_receipt": {"application/json": {"schema": {"type": "object"}}},
    "act": {"application/json": {"schema": {"type": "object"}}},
    "retry": {"application/json": {"schema": {"type": "object"}}},
    "acknowledge": {"application/json": {"schema": Acknowledged.model_json_schema()}},
    "work": {"application/json": {"schema": {"type": "array", "items": Act.model_json_schema()}}},
}
_IDEMPOTENCY = ("Idempotency-Key", "a string of yours: the same request again under it gets the same answer, for a day")
_SENDER = ("Lovla-Sender", "whom you mean to send as: refused with 403 if the key is another sender's")
_ACCEPT = ("Accept", "`application/edi-x12` (`; form=999`) or `application/edifact`: answer with a 997, 999 or CONTRL")
_DRY_RUN = ("dry_run", "1: only tell what it would become, line by line and in words; nothing is taken")
_QUERIES: Mapping[str, tuple[tuple[str, str], ...]] = {"events": (_DRY_RUN,), "messages": (_DRY_RUN,)}
_HEADERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "events": (
        _IDEMPOTENCY,
        _SENDER,
        ("Lovla-Received-At", "RFC 3339; scope backfill: when it was received, for history"),
        ("Lovla-Recorded-By", "the person who phoned it in"),
    ),
    "messages": (_IDEMPOTENCY, _SENDER, _ACCEPT, ("Lovla-Received-At", "RFC 3339; scope backfill")),
    "dcsa": (("Subscription-ID", "DCSA's uuid"), ("Notification-Signature", "sha256=<hex>")),
    "register": (_IDEMPOTENCY, ("Lovla-Received-At", "RFC 3339; scope backfill")),
    "dock_receipt": (_IDEMPOTENCY,),
    "act": (_IDEMPOTENCY,),
    "work": (_IDEMPOTENCY, ("Lovla-Recorded-By", "who acts; must be there")),
    "amend": (("If-Match", "declared_version, or *"),),
    "cancel": (("If-Match", "declared_version, or *"),),
}
_OPEN = frozenset({"conformance", "conformance_try", "conformance_style", "docs"})
_DIRECT = frozenset({"receipt", "retry", "load_begin", "load_end"})


def describe(name: str) -> dict[str, Any]:
    """Keyword arguments for `add_api_route`."""
    summary, text = _TEXTS[name]
    if name in _OPEN:
        return {"summary": summary, "description": text}
    refusals = refused(400, 401, 403, 408, 409, 413, 415, 422, 429, 503)
    extra: dict[str, Any] = {}
    if name in _BODIES:
        extra["requestBody"] = {"content": dict(_BODIES[name]), "required": name != "cancel"}
    if name in _HEADERS:
        extra["parameters"] = [
            {"name": parameter, "in": place, "required": False, "description": said, "schema": {"type": "string"}}
            for place, named in (("query", _QUERIES), ("header", _HEADERS))
            for parameter, said in named.get(name, ())
        ]
    if not name.startswith("dcsa"):
        extra["security"] = [{"key": []}]
    said: dict[str, Any] = {"summary": summary, "description": text, "openapi_extra": extra}
    if name == "dcsa":
        return said | {"status_code": 204, "responses": refusals}
    if name == "dcsa_head":
        return said | {"status_code": 204, "responses": {404: {"description": "No callback of ours"}}}
    if name == "acknowledge":
        return said | {"status_code": 202, "responses": refusals | {202: answer(Acknowledgement)}}
    if name == "work":
        return said | {"status_code": 202, "responses": refusals | {202: answer(WorkDone)}}
    if name in _DIRECT:
        return said | {"responses": refusals | ({200: answer(ReceiptBody)} if name == "receipt" else {})}
    tried = {200: {"description": "With dry_run=1: what it would become"} | answer(TriedBody)} if name in _QUERIES else {}
    return said | {"status_code": 202, "responses": refusals | tried | {202: answer(AcceptedBody)}}


def completed(app: FastAPI) -> None:
    """With the schemas of all that is pointed to."""
    complete(
        app,
        (AcceptedBody, Acknowledgement, ReceiptBody, TriedBody, WorkDone),
        [(model, "validation") for model in _TAKEN],
    )


def _marked(text: str) -> str:
    """Escaped, with `such` words as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def page(description: Mapping[str, Any]) -> str:
    """The addresses as a plain page: no script, nothing from elsewhere."""
    rows = [
        f"<h2><code>{method.upper()} {escape(path)}</code> {escape(said['summary'])}</h2>"
        + f"<p>{_marked(said.get('description', ''))}</p>"
        + "".join(
            f"<p><code>{escape(header['name'])}</code>: {_marked(header['description'])}</p>"
            for header in said.get("parameters", ())
            if header["in"] in ("header", "query")
        )
        for path, methods in description["paths"].items()
        for method, said in methods.items()
    ]
    title = escape(description["info"]["title"])
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>'
    return head + '<p>The whole description: <a href="/openapi.json">/openapi.json</a>.</p>' + "".join(rows) + "</html>"
