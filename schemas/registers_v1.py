"""`senders.v1`, `facilities.v1`, `accounts.v1`, `secrets.v1` (compacted): who pushes, where things are, whose keys are live."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.base import Code, Contract, ShortText, UtcTime
from schemas.words import FacilityKind, Scope, SenderKind

EdiId = Annotated[str, Field(pattern=r"^([A-Z0-9]{1,4}:)?[!-9;-`{-~]([ -9;-`{-~]{0,33}[!-9;-`{-~])?$")]
"""A mailbox of X12 or EDIFACT in capitals, its qualifier before it where that matters: `ZZ:HARBORLINE`, `01:123456789`."""


class Sender(Contract):
    """Who pushes events ("carrier" where users say so). `facilities`: where a terminal or customs has standing; `edi_ids`: what
    its envelopes call it (ISA06, GS02; UNB S002) besides its code, SCAC and IATA code."""

    code: Code
    kind: SenderKind
    name: ShortText
    scac: str | None = Field(None, pattern=r"^[A-Z]{2,4}$")
    iata: str | None = Field(None, pattern=r"^[A-Z0-9]{2}$")
    awb_prefix: str | None = Field(None, pattern=r"^\d{3}$")
    facilities: tuple[Code, ...] = ()
    edi_ids: tuple[EdiId, ...] = Field((), max_length=32)
    silent_after_h: float | None = Field(None, gt=0, le=8_784)
    active: bool = True
    source: ShortText | None = None


class Facility(Contract):
    """Hospital, terminal, airport or warehouse. `zone` is an IANA time zone."""

    code: Code
    kind: FacilityKind
    name: ShortText
    unlocode: str | None = Field(None, pattern=r"^[A-Z]{2}[A-Z2-9]{3}$")
    iata: str | None = Field(None, pattern=r"^[A-Z]{3}$")
    zone: ShortText
    street: ShortText | None = None
    city: ShortText | None = None
    postal_code: ShortText | None = None
    gln: str | None = Field(None, pattern=r"^\d{13}$")
    smdg: ShortText | None = Field(None, description="terminal code in the SMDG list, where known")
    free_time_h: float | None = Field(None, gt=0, le=8_784)
    opening_hours: ShortText | None = None
    source: ShortText | None = None


class Account(Contract):
    """A key of a sender: only the SHA-256 of its secret part is kept; it pushes as that sender alone."""

    key_id: str = Field(pattern=r"^[a-z0-9]{12}$")
    sender: Code
    secret_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...]
    created_at: UtcTime
    expires_at: UtcTime | None = None
    revoked_at: UtcTime | None = None
    label: ShortText | None = None


class Secret(Contract):
    """A DCSA publisher's secrets, encrypted under LOVLA_SECRET_KEY (Fernet); at most two are live, newest first.

    `token_sha256`: of the unguessable token in the callback's path. `subscription_id`: DCSA's uuid.
    """

    secret_id: str = Field(pattern=r"^[a-z0-9]{12}$")
    sender: Code
    token_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    subscription_id: ShortText
    encrypted: tuple[str, ...] = Field(min_length=1, max_length=2)
    created_at: UtcTime
    revoked_at: UtcTime | None = None


EXAMPLES: tuple[Sender | Facility | Account | Secret, ...] = (
    Sender.model_validate({"code": "MAEU", "kind": "ocean_carrier", "name": "Maersk", "scac": "MAEU"}),
    Sender.model_validate({"code": "LA-APMT", "kind": "terminal", "name": "APM Terminals Pier 400", "facilities": ["LA-APMT"]}),
    Facility.model_validate(
        {
            "code": "LA-APMT",
            "kind": "terminal",
            "name": "APM Terminals Pier 400",
            "unlocode": "USLAX",
            "zone": "America/Los_Angeles",
        }
    ),
    Account.model_validate(
        {
            "key_id": "abcdefghij12",
            "sender": "MAEU",
            "secret_sha256": "ab" * 32,
            "scopes": ["push"],
            "created_at": "2020-03-20T16:00:00Z",
        }
    ),
    Secret.model_validate(
        {
            "secret_id": "abcdefghij12",
            "sender": "MAEU",
            "token_sha256": "ab" * 32,
            "subscription_id": "0e0c8e0f-4b7a-4d0d-9a6f-2c1b5e7d8a90",
            "encrypted": ["gAAAA-example"],
            "created_at": "2020-03-20T16:00:00Z",
        }
    ),
)
