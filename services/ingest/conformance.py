"""What a message becomes, told line by line before anything is sent for good: the dry run and the conformance page.

Pure: what the readers made of a message in, a report out. Each warning and problem comes with what stands at its place, the
name that the standard has for that, what the complaint means and what to do about it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from schemas.base import rfc3339
from schemas.raw_message_v1 import RawMessage
from schemas.shipment_event_v1 import ShipmentEvent, Warning_
from services.ingest.acknowledgements import Form, NotAcknowledged, acknowledge
from services.ingest.explanations import explain
from services.ingest.field_names import field_name
from services.ingest.legible import shown
from services.ingest.readers import Problem, Unreadable, decode_body, family_of, wrapped
from services.ingest.readers.edifact_segments import interchanges
from services.ingest.readers.x12_segments import decode, interchanges_of
from services.ingest.reading import Read

SOURCE_MOST: Final = 200  # characters shown of what stands at a place
_SEGMENT = re.compile(r"segment (\d{1,9})\b")
_LINE = re.compile(r"(?:line|row) (\d{1,9})\b")
_EVENT_FIELDS: Final = frozenset(
    {
        "standard",
        "event_id",
        "source_id",
        "code",
        "milestone",
        "classifier",
        "occurred_at",
        "created_at",
        "zone_assumed",
        "references",
        "parent",
        "place",
        "origin",
        "destination",
        "mode",
        "transport",
        "empty",
        "pieces",
        "hold",
        "retracts",
        "retracted",
        "reason",
    }
)

Outcome = Literal["accepted", "unmapped", "registers", "rejected"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A warning or problem in words. `field`: the standard's name of the place; `source`: what stands there."""

    severity: Literal["warning", "problem"]
    where: str
    code: str
    text: str
    means: str
    do: str
    field: str | None
    source: str | None

    def body(self) -> dict[str, Any]:
        said = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of the message, and what becomes of it. `event`, `consignment`: what it says, or asks."""

    where: str
    outcome: Outcome
    source: str | None
    event: Mapping[str, Any] | None
    consignment: str | None
    findings: Sequence[Finding]

    def body(self) -> dict[str, Any]:
        said: dict[str, Any] = {"where": self.where, "outcome": self.outcome}
        if self.source is not None:
            said["source"] = self.source
        if self.consignment is not None:
            said["consignment"] = self.consignment
        return said | dict(self.event or {}) | {"findings": [finding.body() for finding in self.findings]}


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What we would answer, or why there is no such answer."""

    form: str | None
    text: str

    def body(self) -> dict[str, str]:
        return {"form": self.form, "text": self.text} if self.form is not None else {"none": self.text}


@dataclass(frozen=True, slots=True)
class Report:
    """What a message would become. `findings` are about its envelope, or about the whole of it."""

    sender: str
    standard: str | None
    received_at: datetime
    statements: Sequence[Statement]
    findings: Sequence[Finding]
    acknowledgement: Acknowledgement

    def counted(self, *outcomes: Outcome) -> int:
        return sum(statement.outcome in outcomes for statement in self.statements)

    def body(self) -> dict[str, Any]:
        """The JSON answer to a dry run."""
        return {
            "dry_run": True,
            "sender": self.sender,
            "standard": self.standard,
            "received_at": rfc3339(self.received_at),
            "accepted": len(self.statements) - self.counted("rejected"),
            "rejected": self.counted("rejected"),
            "statements": [statement.body() for statement in self.statements],
            "findings": [finding.body() for finding in self.findings],
            "acknowledgement": self.acknowledgement.body(),
        }


def report(meta: RawMessage, content: bytes, read: Read, received_at: datetime, form: Form | None = None) -> Report:
    """Tell what became of `content` as it was sent; never raises on bad input. `form`: of the acknowledgement."""
    try:
        plain = decode_body(content, meta.content_encoding)
    except Unreadable:
        plain = b""
    standard = standard_of(meta, plain, read)
    sources = _Sources(plain, standard)

    def of_warning(warning: Warning_) -> Finding:
        return _finding("warning", warning.where, warning.code, warning.text, None, standard, sources)

    def of_problem(problem: Problem) -> Finding:
        return _finding("problem", problem.where, problem.code, problem.text, problem.element, standard, sources)

    statements = []
    for index, verdict in enumerate(read.verdicts):
        findings: list[Finding] = []
        consignment, event = None, None
        outcome: Outcome = "rejected"
        if verdict.event is not None:
            outcome, event = ("accepted" if verdict.event.mapped else "unmapped"), _told(verdict.event)
            own = [warning for warning in verdict.event.warnings if warning not in read.warnings]  # the first bears both
            findings += map(of_warning, own)
        elif verdict.problem is not None:
            findings += map(of_problem, verdict.problem.every)
            findings += map(of_warning, (one for one in verdict.problem.warnings if one not in read.warnings))
        elif verdict.asked is not None:
            row = read.rows[index]
            outcome, consignment = ("registers" if row.command is not None else "rejected"), row.consignment
            findings += [of_problem(Problem(one["code"], one["where"], one["text"], b"")) for one in row.problems]
            findings += map(of_warning, verdict.asked.warnings)
        statements.append(Statement(verdict.position, outcome, sources.at(verdict.position), event, consignment, findings))
    return Report(
        sender=meta.sender,
        standard=standard,
        received_at=received_at,
        statements=statements,
        findings=[of_warning(warning) for warning in read.warnings],
        acknowledgement=answer(meta, content, read, received_at, 1, form),
    )


def answer(
    meta: RawMessage, content: bytes, read: Read, at: datetime, control: int, form: Form | None = None
) -> Acknowledgement:
    """The acknowledgement of a message as it was sent, or why there is none. `control`: the number of our interchange."""
    try:
        plain = decode_body(content, meta.content_encoding)
        judged = replace(read, standard=standard_of(meta, plain, read))
        written = acknowledge(plain, judged, at=at, control=control, form=form)
    except Unreadable as error:
        return Acknowledgement(None, error.text)
    except NotAcknowledged as error:
        return Acknowledgement(None, error.text)
    text = written.decode("ascii", "replace")
    return Acknowledgement(form or _form_of(text), text)


def standard_of(meta: RawMessage, plain: bytes, read: Read) -> str | None:
    """The standard that was read; of what could not be read its family, as far as it is seen."""
    return read.standard if read.standard is not None else family_of(plain, meta.content_type, meta.standard)


def _form_of(text: str) -> str:
    """Which form an answer has."""
    return "contrl" if text.startswith(("UNA", "UNB")) else "999" if "005010X231A1" in text else "997"


def _told(event: ShipmentEvent) -> dict[str, Any]:
    said = event.model_dump(mode="json", exclude_none=True, include=set(_EVENT_FIELDS))
    if not said.get("retracted"):
        said.pop("retracted", None)
    return said


def _finding(
    severity: Literal["warning", "problem"],
    where: str,
    code: str,
    text: str,
    element: int | None,
    standard: str | None,
    sources: _Sources,
) -> Finding:
    explained, source = explain(code), sources.at(where)
    field = field_name(standard, where, code, text, element, source or "")
    return Finding(severity, where, code, text, explained.means, explained.do, field, source)


class _Sources:
    """What stands at the places of a message; the message is cut up once, when the first place is asked for."""

    def __init__(self, content: bytes, standard: str | None) -> None:
        self._content = content
        self._family = (standard or "").partition(".")[0]
        self._segments: Mapping[int, str] | None = None
        self._lines: Sequence[str] | None = None
        self._value: Any = None
        self._parsed = False
        self._known: dict[str, str | None] = {}
        self._wrapped: Mapping[str, _Sources] | None = None

    def at(self, where: str) -> str | None:
        """What stands at `where`, cut; None where that cannot be said."""
        if where not in self._known:
            found = self._found(where)
            self._known[where] = shown(found, SOURCE_MOST) if found else None
        return self._known[where]

    def _found(self, where: str) -> str | None:
        if where.startswith("/"):
            pointer, _, inside = where.partition(" ")
            return self._within(pointer, inside) if inside else self._member(pointer)
        if segment := _SEGMENT.match(where):
            return self._all_segments().get(int(segment[1]))
        if line := _LINE.match(where):
            number, lines = int(line[1]), self._all_lines()
            return lines[number - 1][: 2 * SOURCE_MOST].strip() if 0 < number <= len(lines) else None
        return None

    def _within(self, pointer: str, where: str) -> str | None:
        """What stands at a place of the message that is wrapped there."""
        if self._wrapped is None:
            self._wrapped = {at: _Sources(one, family_of(one)) for at, one in wrapped.messages(self._content)}
        found = self._wrapped.get(pointer)
        return found.at(where) if found is not None else None

    def _all_segments(self) -> Mapping[int, str]:
        if self._segments is None:
            found: dict[int, str] = {}
            try:
                if self._family == "x12":
                    text, _ = decode(self._content)
                    for part in interchanges_of(text):
                        found.update((segment.number, segment.raw) for segment in part)
                elif self._family == "edifact":
                    for interchange in interchanges(self._content):
                        for message in interchange.messages():
                            parts = (message.header, message.group, message.start, *message.segments, message.end)
                            found.update((segment.number, segment.raw) for segment in parts if segment is not None)
                        if interchange.trailer is not None:
                            found[interchange.trailer.number] = interchange.trailer.raw
            except Unreadable:
                pass  # as far as it could be cut up
            self._segments = found
        return self._segments

    def _all_lines(self) -> Sequence[str]:
        if self._lines is None:
            self._lines = self._content.decode("utf-8", "replace").split("\n")
        return self._lines

    def _member(self, where: str) -> str | None:
        if not self._parsed:
            self._parsed = True
            try:
                self._value = json.loads(self._content)
            except (ValueError, RecursionError):
                self._value = None
        value = self._value
        for part in where.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict):
                value = value.get(name)
            elif isinstance(value, list) and name.isdigit() and len(name) < 7 and int(name) < len(value):
                value = value[int(name)]
            else:
                return None
        if value is None:
            return None
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)[: 2 * SOURCE_MOST]
