"""What /openapi.json says of each address: bodies and answers. The handlers take the bytes as they are, so it stands here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

from schemas.consignment_command_v1 import ConsignmentDeclaration


class ProblemBody(BaseModel):
    """RFC 9457 problem details; `errors` name the places in the payload."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[dict[str, str]] = Field(default_factory=list)


class AcceptedBody(BaseModel):
    """Kafka has the record. One verdict for every event or row; `warnings` are about the message's envelope."""

    receipt: str
    received_at: str
    accepted: int
    rejected: int
    verdicts: list[dict[str, Any]]
    warnings: list[dict[str, str]] | None = None


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


_TEXTS: Mapping[str, tuple[str, str]] = {
    "events": ("Push events in LoVLA's own JSON", "One event, an array, or NDJSON; scope push."),
    "messages": (
        "Push a message of any standard",
        "The bytes as they are, plain or gzip: DCSA, X12, Cargo-IMP, ... The standard is told by its content. Scope push. "
        "A message in which nothing can be read is kept too: its verdict says why, and a dead letter is written.",
    ),
    "dcsa": (
        "DCSA Track & Trace 2.2 notification callback",
        "An array of events. Token and `Subscription-ID` name the secret; `Notification-Signature: sha256=<hex>` "
        "over the exact bytes is the credential. 204 with `Lovla-Receipt`; a bad event does not refuse the others.",
    ),
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
    "docs": ("This page", ""),
    "healthz": ("Alive", ""),
    "readyz": ("Ready to take messages", ""),
    "metrics": ("Prometheus metrics", ""),
}
_DECLARATION = ConsignmentDeclaration.model_json_schema()
_BODIES: Mapping[str, Mapping[str, Any]] = {
    "events": {"application/json": {}, "application/x-ndjson": {}},
    "messages": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    "dcsa": {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}}},
    "register": {"application/json": {"schema": _DECLARATION}, "text/csv": {"schema": {"type": "string"}}},
    "amend": {"application/json": {"schema": _DECLARATION}},
    "cancel": {"application/json": {"schema": {"type": "object"}}},
    "dock_receipt": {"application/json": {"schema": {"type": "object"}}},
    "act": {"application/json": {"schema": {"type": "object"}}},
    "retry": {"application/json": {"schema": {"type": "object"}}},
}
_HEADERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "events": (
        ("Lovla-Received-At", "RFC 3339; scope backfill: when it was received, for history"),
        ("Lovla-Recorded-By", "the person who phoned it in"),
    ),
    "messages": (("Lovla-Received-At", "RFC 3339; scope backfill"),),
    "dcsa": (("Subscription-ID", "DCSA's uuid"), ("Notification-Signature", "sha256=<hex>")),
    "register": (("Lovla-Received-At", "RFC 3339; scope backfill"),),
    "amend": (("If-Match", "declared_version, or *"),),
    "cancel": (("If-Match", "declared_version, or *"),),
}
_OPEN = frozenset({"docs", "healthz", "readyz", "metrics"})
_DIRECT = frozenset({"receipt", "retry", "load_begin", "load_end"})


def describe(name: str) -> dict[str, Any]:
    """Keyword arguments for `add_api_route`."""
    summary, text = _TEXTS[name]
    if name in _OPEN:
        return {"summary": summary, "description": text}
    refusals: dict[int | str, dict[str, Any]] = {
        status: {"model": ProblemBody, "content": {"application/problem+json": {}}}
        for status in (401, 403, 408, 413, 415, 422, 429, 503)
    }
    extra: dict[str, Any] = {}
    if name in _BODIES:
        extra["requestBody"] = {"content": dict(_BODIES[name]), "required": name != "cancel"}
    if name in _HEADERS:
        extra["parameters"] = [
            {"name": header, "in": "header", "required": False, "description": said, "schema": {"type": "string"}}
            for header, said in _HEADERS[name]
        ]
    if name != "dcsa":
        extra["security"] = [{"key": []}]
    said: dict[str, Any] = {"summary": summary, "description": text, "openapi_extra": extra}
    if name == "dcsa":
        return said | {"status_code": 204, "responses": refusals}
    if name in _DIRECT:
        return said | {"responses": refusals | ({200: {"model": ReceiptBody}} if name == "receipt" else {})}
    return said | {"status_code": 202, "responses": refusals | {202: {"model": AcceptedBody}}}


def name_the_key(app: FastAPI) -> None:
    """The description says what `key` is: FastAPI writes that only of dependencies, and the door asks for the key itself."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        said = plain()
        key = {"type": "http", "scheme": "bearer", "description": "A key from `lovla carriers add`: lovla_ID_SECRET."}
        said.setdefault("components", {})["securitySchemes"] = {"key": key}
        return said

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's own way to extend it


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
            if header["in"] == "header"
        )
        for path, methods in description["paths"].items()
        for method, said in methods.items()
    ]
    title = escape(description["info"]["title"])
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>'
    return head + '<p>The whole description: <a href="/openapi.json">/openapi.json</a>.</p>' + "".join(rows) + "</html>"
