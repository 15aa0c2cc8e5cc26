"""The names of the runbooks, `docs/operations/<name>.md`: literals, so that a name without its page is found by a test."""

from __future__ import annotations

from typing import Literal, get_args

Runbook = Literal[
    "audit-unaccounted",
    "audit-duplicate",
    "audit-gap",
    "consumer-lag",
]
RUNBOOKS: tuple[Runbook, ...] = get_args(Runbook)


def page(name: Runbook) -> str:
    """Where it stands, seen from the repository's root."""
    return f"docs/operations/{name}.md"
