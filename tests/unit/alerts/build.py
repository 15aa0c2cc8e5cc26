"""Subscriptions and changes for tests of the alerts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from schemas.alerts_v1 import Subscription
from schemas.journey_change_v1 import CHANGE, Change, ExceptionChanged, HandedOver, MilestoneReached

NOW = datetime(2020, 4, 12, 18, tzinfo=UTC)


OF_A_SUBSCRIPTION = set(Subscription.model_fields)


def subscription(name: str = "a", state: str = "active", **fields: Any) -> Subscription:
    """`fields`: of the subscription, else of its filters."""
    own = {key: fields.pop(key) for key in [*fields] if key in OF_A_SUBSCRIPTION}
    return Subscription.model_validate(
        {
            "subscription": name * 16,
            "channel": "email",
            "address": f"{name}@hospital.example",
            "address_hash": "ab" * 32,
            "state": state,
            "filters": fields,
            "created_at": NOW,
        }
        | own
    )


def change(kind: str = "exception_opened", n: int = 1, consignment: str = "LACDHS-1", **fields: Any) -> Change:
    body: dict[str, Any] = {
        "change": kind,
        "change_id": f"{n:032x}",
        "consignment": consignment,
        "version": n,
        "ordinal": 0,
        "cause": "live",
        "at": NOW,
        "facility": "H-HARBOR",
        "tier": 1,
        "carrier": "MAEU",
        "terminal": "LA-APMT",
        "categories": ["n95_respirator"],
        "references": ["MRSU4371639"],
    }
    if kind.startswith("exception"):
        body["exception"] = {
            "key": "late:arrived",
            "kind": "late",
            "status": {"exception_ended": "ended", "exception_withdrawn": "withdrawn"}.get(kind, "open"),
            "severity": fields.pop("severity", "major"),
            "start": NOW,
            "sentence": "Late.",
        } | fields.pop("exception", {})
    if kind == "milestone_reached":
        body["milestone"] = "arrived"
    return CHANGE.validate_python(body | fields)


def alertable(**fields: Any) -> ExceptionChanged | MilestoneReached | HandedOver:
    made = change(**fields)
    assert isinstance(made, ExceptionChanged | MilestoneReached | HandedOver)
    return made
