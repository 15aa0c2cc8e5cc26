"""The names of the runbooks, `docs/operations/<name>.md`: literals, so that a name without its page is found by a test."""

from __future__ import annotations

from typing import Literal, get_args

Runbook = Literal[
    "alerts-api-down",
    "alerts-paused",
    "alerts-provider-away",
    "alerts-sender-down",
    "alerts-worker-down",
    "api-down",
    "audit-duplicate",
    "audit-gap",
    "audit-unaccounted",
    "clickhouse-down",
    "console-down",
    "consumer-lag",
    "dead-letters",
    "disk-full",
    "event-store-corrupt",
    "kafka-down",
    "mailbox-down",
    "readers-down",
    "readers-fuse",
    "schema-mismatch",
    "sender-parked",
    "sink-down",
    "sink-torn-block",
    "state-folder-lost",
    "time-stands-still",
    "tracker-down",
    "tracker-faults",
]
RUNBOOKS: tuple[Runbook, ...] = get_args(Runbook)


def page(name: Runbook) -> str:
    """Where it stands, seen from the repository's root."""
    return f"docs/operations/{name}.md"
