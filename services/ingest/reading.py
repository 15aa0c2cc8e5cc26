"""One reading of a raw message, for the door's verdicts and for the readers stage alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from schemas.raw_message_v1 import RawMessage
from schemas.shipment_event_v1 import ShipmentEvent, Warning_
from services.ingest.problems import Place
from services.ingest.readers import WARNINGS_MAX, Context, Problem, Registers, Unreadable, Verdict, decode_body, read


@dataclass(frozen=True, slots=True)
class Read:
    """What a raw message says. `verdicts` in its order; if nothing could be read, one problem about the whole of it.
    `warnings` are about the envelope; the first event carries them too, so that they are stored and counted."""

    standard: str | None
    verdicts: Sequence[Verdict]
    warnings: Sequence[Warning_] = ()

    @property
    def events(self) -> Sequence[ShipmentEvent]:
        return [verdict.event for verdict in self.verdicts if verdict.event is not None]

    @property
    def problems(self) -> Sequence[Problem]:
        return [verdict.problem for verdict in self.verdicts if verdict.problem is not None]

    def places(self, most: int = 100) -> Sequence[Place]:
        """The first problems, as problem+json names them."""
        return [Place(where=p.where, code=p.code, text=p.text) for p in self.problems[:most]]

    def said(self) -> list[dict[str, Any]]:
        """A verdict for every event, as the answer to the sender holds it."""
        return [_said(verdict) for verdict in self.verdicts]


def read_message(
    meta: RawMessage,
    content: bytes,
    received_at: datetime,
    registers: Registers,
    partition: int | None = None,
    offset: int | None = None,
) -> Read:
    """Read one raw record; never raises on bad input."""
    context = Context(
        sender=meta.sender,
        received_at=received_at,
        registers=registers,
        raw_sha256=meta.sha256,
        raw_partition=partition,
        raw_offset=offset,
        cause=meta.cause,
        recorded_by=meta.recorded_by,
        operator="operator" in meta.scopes,
    )
    try:
        reading = read(decode_body(content, meta.content_encoding), meta.content_type, meta.standard, context)
    except Unreadable as error:
        whole = Problem(error.code, error.where, error.text, content)
        return Read(meta.standard, [Verdict(error.where, problem=whole)])
    return Read(reading.standard, _carrying(reading.verdicts, reading.warnings), reading.warnings)


def _carrying(verdicts: Sequence[Verdict], warnings: Sequence[Warning_]) -> Sequence[Verdict]:
    """The verdicts, the first event with these warnings besides its own. Its revision stays: it is not what the event says."""
    first = next((index for index, verdict in enumerate(verdicts) if verdict.event is not None), None)
    if first is None or not warnings:
        return verdicts
    event = verdicts[first].event
    assert event is not None
    carried = event.model_copy(update={"warnings": (*event.warnings, *warnings)[:WARNINGS_MAX]})
    return [*verdicts[:first], replace(verdicts[first], event=carried), *verdicts[first + 1 :]]


def _said(verdict: Verdict) -> dict[str, Any]:
    event, problem = verdict.event, verdict.problem
    if event is None:
        assert problem is not None
        wrong = {"where": problem.where, "code": problem.code, "text": problem.text}
        return {"where": verdict.position, "outcome": "rejected", "problems": [wrong]}
    said: dict[str, Any] = {
        "where": verdict.position,
        "outcome": "accepted" if event.mapped else "unmapped",
        "event_id": event.event_id,
        "code": event.code,
        "milestone": event.milestone,
        "classifier": event.classifier,
    }
    if event.warnings:
        said["warnings"] = said_warnings(event.warnings)
    return said


def said_warnings(warnings: Sequence[Warning_]) -> list[dict[str, str]]:
    """Warnings as the answer holds them."""
    return [{"where": warning.where, "code": warning.code, "text": warning.text} for warning in warnings]
