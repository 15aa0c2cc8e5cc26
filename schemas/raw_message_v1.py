"""`raw.messages.v1`: one record a request, as sent. The value is the very bytes; what we know about them stands in headers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import Code, Contract, ShortText, UtcTime
from schemas.words import Cause, Scope

RawKind = Literal["message", "registration", "amendment", "cancellation", "action", "dock_receipt", "tick"]


class RawMessage(Contract):
    """The headers of one raw record (each field is one header, `lovla-<field>`; lists are comma separated).

    `kind` message: bytes of any standard (`standard` is the door's hint: `dcsa.2.2` for the DCSA callback, `lovla.1` for
    /v1/events, else empty: detect). `received_at` is set only under scope backfill; otherwise the broker's LogAppendTime
    counts. `content_encoding` gzip: the bytes are kept compressed, as sent. `consignment` and `if_match` come from the
    URL and header of a registration's amendment, cancellation or dock receipt. A tick's value is a `Tick`.
    """

    kind: RawKind
    sender: Code | Literal["~tick"]
    scopes: tuple[Scope, ...] = ()
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    content_type: ShortText = "application/octet-stream"
    content_encoding: Literal["identity", "gzip"] = "identity"
    standard: ShortText | None = None
    received_at: UtcTime | None = None
    cause: Cause = "live"
    consignment: ShortText | None = None
    if_match: int | None = Field(None, ge=0)
    recorded_by: ShortText | None = Field(None, description="the person who acts, for an action")
    request_id: ShortText | None = None
    once: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="of a dock receipt under an Idempotency-Key: a hash of the key and of what was said; it counts once",
    )


class Tick(Contract):
    """The value of a tick: the writer's own clock, and whether it ends a load."""

    at: UtcTime
    load: bool = False


EXAMPLES: tuple[RawMessage | Tick, ...] = (
    RawMessage.model_validate(
        {
            "kind": "message",
            "sender": "MAEU",
            "scopes": ["push"],
            "sha256": "ab" * 32,
            "content_type": "application/json",
        }
    ),
    RawMessage.model_validate(
        {
            "kind": "amendment",
            "sender": "LACDHS",
            "scopes": ["register"],
            "sha256": "cd" * 32,
            "content_type": "application/json",
            "consignment": "LACDHS-0001",
            "if_match": 1,
        }
    ),
    Tick.model_validate({"at": "2020-04-12T08:20:05Z"}),
)
