"""Records by hand for the tests of sink and console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.journey_change_v1 import MilestoneReached
from schemas.journey_v1 import Journey

CONTAINER = "MRSU4371639"
UNIT = f"container:{CONTAINER}"
RAW = {"sha256": "ab" * 32, "partition": 1, "offset": 17, "position": "/0"}


def exception(kind: str = "late", **said: Any) -> dict[str, Any]:
    """An open exception; `said` overrides."""
    base = {
        "key": f"{kind}:discharged",
        "kind": kind,
        "milestone": "discharged",
        "status": "open",
        "severity": "major",
        "start": "2020-04-11T12:00:00Z",
        "late_h": 18.0,
        "party": "MAEU",
        "sentence": "Discharged 18 h after the plan.",
    }
    return base | said


def statement(milestone: str, occurred_at: str, **said: Any) -> dict[str, Any]:
    """A deciding actual of the container; `said` overrides."""
    base = {
        "milestone": milestone,
        "unit": UNIT,
        "classifier": "actual",
        "occurred_at": occurred_at,
        "received_at": occurred_at,
        "sender": "MAEU",
        "event_id": "3f" * 16,
        "code": "EQUIPMENT/DISC",
        "decides": True,
        "raw": RAW,
    }
    return base | said


def journey(consignment: str = "LACDHS-0001", declared: Mapping[str, Any] | None = None, **said: Any) -> Journey:
    """A consignment of 240,000 masks in one container, discharged late; `declared` and `said` override."""
    declaration = {
        "consignment": consignment,
        "items": [{"line": 1, "category": "n95_respirator", "quantity": 240_000, "lot": "L1"}],
        "parties": {"carrier": "MAEU", "trucker": "HBRT", "consignee": "H-HARBOR"},
        "route": {
            "origin": "CNSHA",
            "port_of_discharge": "USLAX",
            "terminal": "LA-APMT",
            "place_of_delivery": "H-HARBOR",
        },
        "required_by": "2020-04-15T19:00:00Z",
        "tier": 1,
    }
    base: dict[str, Any] = {
        "consignment": consignment,
        "version": 1,
        "cause": "live",
        "at": "2020-04-12T08:00:00Z",
        "buyer": "LACDHS",
        "declared_version": 1,
        "registered_at": "2020-03-20T16:00:00Z",
        "declaration": declaration | dict(declared or {}),
        "stage": "at_port",
        "mode": "sea",
        "milestone": "discharged",
        "milestone_at": "2020-04-11T09:40:00-07:00",
        "place": "USLAX",
        "expected_delivery": "2020-04-16T17:00:00Z",
        "expected_basis": "plan_and_slip",
        "terminal": "LA-APMT",
        "vessel": "MAERSK EXAMPLE",
        "voyage": "015E",
        "carrier": "MAEU",
        "milestones": [
            {
                "milestone": "discharged",
                "planned": "2020-04-10T15:40:00Z",
                "actual": "2020-04-11T09:40:00-07:00",
                "sender": "MAEU",
                "units_done": 1,
                "units_total": 1,
            },
            {"milestone": "gate_out", "planned": "2020-04-12T18:00:00Z", "units_total": 1},
        ],
        "units": [
            {
                "unit": UNIT,
                "milestone": "discharged",
                "at": "2020-04-11T09:40:00-07:00",
                "place": "USLAX",
                "quantities": {1: 240_000},
            }
        ],
        "references": [
            {"kind": "container", "value": CONTAINER, "how": "declared"},
            {"kind": "bill_of_lading", "value": "MAEU203990011", "how": "learned", "teacher": "3f" * 16},
        ],
        "statements": [
            statement("discharged", "2020-04-11T16:40:00Z"),
            statement("arrived", "2020-04-10T16:40:00Z", unit="", classifier="estimated", decides=False),
        ],
        "exceptions": [exception()],
        "events": 2,
        "last_event_at": "2020-04-11T18:02:05Z",
    }
    return Journey.model_validate(base | said)


def milestone_reached(consignment: str, change_id: str) -> MilestoneReached:
    """A change to write."""
    return MilestoneReached.model_validate(
        {
            "change_id": change_id,
            "consignment": consignment,
            "version": 1,
            "ordinal": 0,
            "cause": "live",
            "at": "2020-04-12T08:00:00Z",
            "milestone": "discharged",
            "occurred_at": "2020-04-11T16:40:00Z",
            "sender": "MAEU",
        }
    )
