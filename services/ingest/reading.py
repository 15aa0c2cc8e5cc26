"""One reading of a raw message, for the door's verdicts and for the readers stage alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from schemas.journey_change_v1 import CommandJudged
from schemas.raw_message_v1 import RawMessage
from schemas.shipment_event_v1 import ShipmentEvent, Warning_
from services.ingest.commands import Row, command_id, read_asked
from services.ingest.explanations import explain
from services.ingest.field_names import field_name
from services.ingest.problems import Place
from services.ingest.readers import (
    WARNINGS_MAX,
    Asked,
    Context,
    Interchange,
    Problem,
    Registers,
    Unreadable,
    Verdict,
    decode_body,
    statements,
)
from services.runtime import wire
from services.runtime.receipts import Position


class _Noted(msgspec.Struct, frozen=True):
    """Of a warning in a record's value."""

    code: str
    where: str
    text: str


class Gist(msgspec.Struct, frozen=True):
    """Of an event in its record's value, what its sender is told."""

    event_id: str
    code: str
    mapped: bool
    classifier: str
    milestone: str | None = None
    warnings: tuple[_Noted, ...] = ()


_GIST = msgspec.json.Decoder(Gist)


@dataclass(frozen=True, slots=True)
class Kept:
    """A verdict while the rest of its message is read. `event`: its event as the value of a record, a tenth of what the event
    itself takes; a message may turn out to be refused as a whole, so all are kept until the last is read."""

    position: str
    event: bytes | None = None
    problem: Problem | None = None
    asked: Asked | None = None

    @classmethod
    def of(cls, verdict: Verdict) -> Kept:
        event = None if verdict.event is None else wire.dump(verdict.event)
        return cls(verdict.position, event, verdict.problem, verdict.asked)

    @property
    def verdict(self) -> Verdict:
        event = None if self.event is None else ShipmentEvent.model_validate_json(self.event)
        return Verdict(self.position, event, self.problem, self.asked)

    @property
    def gist(self) -> Gist:
        """Of the event, if it is one."""
        assert self.event is not None
        return _GIST.decode(self.event)


@dataclass(frozen=True, slots=True)
class Read:
    """What a raw message says. `kept` in its order; if nothing could be read, one problem about the whole of it.
    `warnings` are about the envelope; the first event carries them too, so that they are stored and counted.
    `rows`: by the index of its verdict, what became of each thing that the message asks of a consignment. `interchanges`: of
    X12 and EDIFACT."""

    standard: str | None
    kept: Sequence[Kept]
    warnings: Sequence[Warning_] = ()
    rows: Mapping[int, Row] = field(default_factory=dict)
    interchanges: Sequence[Interchange] = ()

    @property
    def verdicts(self) -> Iterator[Verdict]:
        """Each verdict with its event: one at a time."""
        return (kept.verdict for kept in self.kept)

    @property
    def values(self) -> Iterator[tuple[Kept, bytes]]:
        """The verdicts that are events, with the record's value of each."""
        return ((kept, kept.event) for kept in self.kept if kept.event is not None)

    @property
    def events(self) -> Sequence[ShipmentEvent]:
        """All events at once."""
        return [verdict.event for verdict in self.verdicts if verdict.event is not None]

    @property
    def problems(self) -> Sequence[Problem]:
        """What cannot be read, and what is asked and may not be or makes no sense."""
        found = []
        for index, verdict in enumerate(self.kept):
            if verdict.problem is not None:
                found.append(verdict.problem)
            elif verdict.asked is not None:
                wrong = self.rows[index].problems[:1]
                found += [Problem(one["code"], one["where"], one["text"], verdict.asked.payload) for one in wrong]
        return found

    @property
    def commands(self) -> Sequence[Row]:
        """What is asked of consignments and may be."""
        return [row for row in self.rows.values() if row.command is not None]

    def places(self, most: int = 100) -> Sequence[Place]:
        """The first problems, as problem+json names them."""
        return [Place(where=p.where, code=p.code, text=p.text) for p in self.problems[:most]]

    def said(
        self, position: Position, outcome_of: Callable[[str], CommandJudged | None] = lambda _: None, in_view: bool = True
    ) -> list[dict[str, Any]]:
        """A verdict for every event and command, as the answer to the sender holds it; see `row_verdict`."""
        found = []
        for index, verdict in enumerate(self.kept):
            if verdict.asked is None:
                found.append(_said(verdict, self.standard))
                continue
            command = command_id(position.partition, position.offset, verdict.asked.row)
            warnings = said_warnings(verdict.asked.warnings, self.standard)
            said = row_verdict(self.rows[index], command, outcome_of(command), in_view)
            found.append(said | ({"warnings": warnings} if warnings else {}))
        return found


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
    kept: list[Kept] = []
    first: tuple[int, Verdict] | None = None  # the first event, which carries what is said of the envelope at the end
    try:
        told = statements(decode_body(content, meta.content_encoding), meta.content_type, meta.standard, context)
        for verdict in told:
            if first is None and verdict.event is not None:
                first = len(kept), verdict
            kept.append(Kept.of(verdict))
    except Unreadable as error:
        whole = Problem(error.code, error.where, error.text, content)
        return Read(meta.standard, [Kept(error.where, problem=whole)])
    envelope = told.envelope
    if first is not None and envelope.warnings:
        kept[first[0]] = _carrying(first[1], envelope.warnings)
    rows = {
        index: read_asked(meta, one.asked, one.position, received_at, partition or 0, offset or 0)
        for index, one in enumerate(kept)
        if one.asked is not None
    }
    return Read(envelope.standard, kept, envelope.warnings, rows, envelope.interchanges)


def _carrying(verdict: Verdict, warnings: Sequence[Warning_]) -> Kept:
    """The event with these warnings besides its own. Its revision stays: it is not what the event says."""
    event = verdict.event
    assert event is not None
    carried = event.model_copy(update={"warnings": (*event.warnings, *warnings)[:WARNINGS_MAX]})
    return Kept(verdict.position, wire.dump(carried))


def _said(verdict: Kept, standard: str | None) -> dict[str, Any]:
    problem = verdict.problem
    said: dict[str, Any]
    if verdict.event is None:
        assert problem is not None
        wrong = [_complaint(one.where, one.code, one.text, standard, one.element) for one in problem.every]
        said = {"where": verdict.position, "outcome": "rejected", "problems": wrong}
        return said | ({"warnings": said_warnings(problem.warnings, standard)} if problem.warnings else {})
    event = verdict.gist
    said = {
        "where": verdict.position,
        "outcome": "accepted" if event.mapped else "unmapped",
        "event_id": event.event_id,
        "code": event.code,
        "milestone": event.milestone,
        "classifier": event.classifier,
    }
    if event.warnings:
        said["warnings"] = said_warnings(event.warnings, standard)
    return said


def row_verdict(row: Row, command: str, outcome: CommandJudged | None = None, in_view: bool = True) -> dict[str, Any]:
    """What is said of one row of a command request. `command`: its id; `in_view`: an outcome, were there one, would be known
    here."""
    verdict: dict[str, Any] = {"where": row.where, "consignment": row.consignment}
    if row.command is None:
        return verdict | {"outcome": "rejected", "problems": list(row.problems)}
    verdict["command_id"] = command
    if row.warnings:
        verdict["warnings"] = list(row.warnings)
    if outcome is None and in_view:
        return verdict | {"outcome": "queued"}
    if outcome is None:
        text = "older than the outcomes that are remembered here; `lovla show` tells how the consignment stands"
        return verdict | {"outcome": "out_of_view", "text": text}
    said = {"declared_version": outcome.declared_version, "reason": outcome.reason, "text": outcome.text}
    return (
        verdict
        | {"outcome": "accepted" if outcome.change == "command_accepted" else "refused"}
        | {name: value for name, value in said.items() if value is not None}
    )


def said_warnings(warnings: Sequence[Warning_ | _Noted], standard: str | None) -> list[dict[str, str]]:
    """Warnings as the answer holds them."""
    return [_complaint(warning.where, warning.code, warning.text, standard) for warning in warnings]


def _complaint(where: str, code: str, text: str, standard: str | None, element: int | None = None) -> dict[str, str]:
    """A warning or problem, with the standard's name of what it is about where that is told by its place."""
    field = field_name(standard, where, code, text, element) if standard is not None else None
    return {"where": where, "code": code, "text": text} | ({"field": field} if field is not None else {})


def explained(verdicts: Iterable[Mapping[str, Any]], warnings: Iterable[Mapping[str, str]] = ()) -> dict[str, dict[str, str]]:
    """What each code in an answer means and what to do about it, once for all places: the words of a dry run."""
    codes = {complaint["code"] for complaint in warnings}
    for verdict in verdicts:
        codes.update(complaint["code"] for name in ("problems", "warnings") for complaint in verdict.get(name, ()))
    return {code: {"means": said.means, "do": said.do} for code in sorted(codes) for said in (explain(code),)}
