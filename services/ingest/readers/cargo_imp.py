"""Cargo-IMP FSU and FSA, air cargo status messages (versions 12 to 15). Codes to milestones: docs/standards/cargo_imp.md.

One status line is one event; the times of a flight leg (scheduled, estimated) that a line carries are events of their own. A
message names neither year nor zone: the year is the one that brings it nearest to its receipt, times are local to the station.
Tolerated: Type-B envelopes, junk before the message, all of it on one line, several messages in a transmission.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import MappingProxyType
from typing import Final, Literal

from schemas.shipment_event_v1 import Warning_
from schemas.words import Classifier, Milestone
from services.ingest import identifiers
from services.ingest.legible import shown
from services.ingest.places import zone_of
from services.ingest.readers.air_status import (
    BEFORE_FLIGHT,
    HANDS_OVER,
    MEANINGS,
    airport,
    count_pieces,
    flight_number,
    happened_at_sending,
    name_status,
    refer_uld,
)
from services.ingest.readers.draft import WARNINGS_MAX, Bad, Draft, Identities
from services.ingest.readers.envelopes import sendership
from services.ingest.readers.model import MIB, Context, Envelope, Limits, Told, Unreadable, Verdict
from services.ingest.readers.times import nearest_year, newest_day

STANDARD: Final = "cargo_imp.fsu"
READER_VERSION: Final = 5

_LEG: Final = BEFORE_FLIGHT | {"DEP"}  # name a leg; their times are those of its two ends
_TIMED: Final = _LEG | {"ARR", "RCF"}  # the marked times of these are of a flight
_CLASSIFIERS: Mapping[str, Classifier] = MappingProxyType({"S": "planned", "E": "estimated", "A": "actual"})
_DAYS: Mapping[str, int] = MappingProxyType({"": 0, "P": -1, "N": 1, "S": 2, "T": 3})
_MONTHS: Mapping[str, int] = MappingProxyType(
    {
        name: number
        for number, name in enumerate(
            ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), start=1
        )
    }
)

_MESSAGE = re.compile(r"(?<![A-Z0-9])FS[UA]/[0-9]{1,2}(?![0-9])")
_MESSAGE_LINE = re.compile(r"^FS[UA]/[0-9]{1,2}(?![0-9])", re.MULTILINE)
_WRAPPED_IN = re.compile(
    r"\bUNH([^A-Za-z0-9\s])[ -~]{1,14}?\1([A-Z]{6})(?![A-Z0-9])"
)  # the type of EDIFACT's message around it
_INTERCHANGE = re.compile(r"(?:^|')[ \t]*(UNB)([^A-Z0-9\s])[A-Z0-9:]{1,20}+\2([^:+'\n]{0,40})", re.MULTILINE)  # its S002
_OTHER_MESSAGE = re.compile(
    r"^(FWB|FHL|FFM|FFR|FFA|FBL|FBR|FNA|FMA|FSR|FSN|FSB|FSC|FRP|FRC|FRH|FRX|FER|FAD|FMB|FDM|FUM|FIB|CSN)/[0-9]{1,2}[ \t\r]*$",
    re.MULTILINE,
)
_ONE_LINE_BREAK = re.compile(r"(?<![ \t])[ \t]++(?=[A-Z]{3}/|[0-9]{3}-[0-9]{8}|/)")
_STATUS_WITHIN = re.compile(  # a blank, a code and, behind a flight or carrier or nothing, a date: of a status without its line
    rf"[ \t](?:{'|'.join(sorted(MEANINGS))})/(?:[A-Z0-9]{{2,8}}/)?"
    rf"[0-9]{{1,2}}(?:{'|'.join(_MONTHS)})(?:[0-9]{{4}})?(?![A-Z0-9])"
)
_AIR_WAYBILL = re.compile(r"([0-9]{3})-?([0-9]{8})(?![0-9])(?: ?([A-Z]{3})([A-Z]{3})(?![A-Z]))?")
_STATUS = re.compile(r"[A-Z]{3}")
_CARRIER = re.compile(r"[A-Z0-9]{2}")
_DATE = re.compile(r"([0-9]{1,2})([A-Z]{3})([0-9]{4})?(?:-([A-Z]))?")
_AIRPORTS = re.compile(r"([A-Z]{3})([A-Z]{3})?")
_QUANTITY = re.compile(  # pieces, weight, volume, density group, total pieces
    r"([TPSDM])([0-9]{1,7})(?:[KL][0-9.]{1,9})?(?:(?:MC|CC|CF|CI)[0-9.]{1,9})?(?:DG[0-9]{1,2})?(?:T([0-9]{1,7}))?"
)
_QUANTITY_START = re.compile(r"([TPSDM])([0-9]{1,7})(?![0-9])")
_MARK = re.compile(r"([SEA])([0-9]{4})(?:-([A-Z]))?")
_DISCREPANCY = re.compile(r"[A-Z]{4}")
_ADDRESSES = re.compile(r"[A-Z0-9]{7}( [A-Z0-9]{7})*")
_ENVELOPE = re.compile(r"Q[A-Z]( [A-Z0-9]{7,8})+|\.[A-Z0-9]{5,8}( [0-9]{6})?([ /].*)?|[=-].*|UN[ABHTZ][+:].*|ZCZC.*|NNNN")
_SITATEX = re.compile(r"=(HEADER|PRIORITY|DESTINATION TYPE [A-Z]|ORIGIN|MSGID|SMI|DBLSIG|OSN|TEXT)")
_ORIGIN = re.compile(r"(?:\.[A-Z0-9]{5,8} )?([0-9]{2})([0-9]{2})([0-9]{2})(?![0-9])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_TEXT_MAX: Final = 2 * MIB  # twenty times what a thousand statuses need
_LINE_MAX: Final = 1_000  # characters with continuations; real ones have some eighty
_LINES_MAX: Final = 5_000  # of a message that another one follows; a thousand statuses have some more lines
_ENVELOPE_MAX: Final = 200  # lines before a message that are looked at
_FIELD_MAX: Final = 40  # characters of a field that is no text
_ULDS_MAX: Final = 100
_REMARKS_MAX: Final = 20
_NOT_READ: Final = frozenset({"OCI", "SRI", "SSR", "SCI"})
"""Customs' and handlers' details that no journey needs; with their continuations they may be long."""
_TEXTS: Final = _NOT_READ | {"OSI"}


@dataclass(frozen=True, slots=True)
class _Line:
    """A line with its continuations; `fields` are what stood between the slashes."""

    number: int
    text: str

    @property
    def where(self) -> str:
        return f"line {self.number}"

    @property
    def fields(self) -> Sequence[str]:
        return [part.strip() for part in self.text.upper().split("/")]


@dataclass(slots=True)
class _Status:
    """A status line, and the lines that belong to it."""

    line: _Line
    ulds: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Shipment:
    """An air waybill's line and its statuses."""

    line: _Line
    created_at: datetime | None
    statuses: list[_Status] = field(default_factory=list)
    ulds: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)  # of the whole shipment: before its first status
    goes_on: bool = False  # after a bad line: what it said before that line has been read


@dataclass(frozen=True, slots=True)
class _Mark:
    """A time of a leg's end: S scheduled, E estimated, A actual; `days`: after the line's date."""

    kind: Literal["S", "E", "A"]
    hour: int
    minute: int
    days: int

    def __str__(self) -> str:
        return f"{self.kind}{self.hour:02}{self.minute:02}"


@dataclass(frozen=True, slots=True)
class _Quantity:
    """Pieces as a line writes them; `whole`: nothing of the field is left over."""

    letter: str
    this: int
    total: int | None
    whole: bool


@dataclass(slots=True)
class _Parts:
    """What a status line says, by kind of field."""

    code: str
    flight: str | None = None
    carrier: str | None = None
    date: tuple[int, int] | None = None
    time: tuple[int, int] | None = None
    days: int = 0
    station: str | None = None
    end: str | None = None
    discrepancy: str | None = None
    pieces: _Quantity | None = None
    marks: list[_Mark] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)  # time marks that are none
    faults: list[Bad] = field(default_factory=list)  # what keeps the line from being a status


def looks_like(content: bytes) -> bool:
    """Whether an FSU or FSA starts somewhere near the beginning of `content`."""
    head = content[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if head[:1] in (b"{", b"[", b"<") or head[:3] == b"ISA":
        return False
    text = head.decode("latin-1")
    start = (_MESSAGE_LINE if head[:3] in (b"UNA", b"UNB") else _MESSAGE).search(text)  # a text in EDIFACT may name one
    wrapped_in = _WRAPPED_IN.search(text, 0, start.start() if start is not None else len(text))
    if wrapped_in is not None and not wrapped_in[2].startswith("CIM"):
        return False  # a line of a text in a message of EDIFACT
    return start is not None or _OTHER_MESSAGE.search(text) is not None


def read(content: bytes, context: Context, limits: Limits) -> Told:
    """One verdict a status (and a leg's time), in order; a bad line costs only itself. Raises Unreadable."""
    if len(content) > _TEXT_MAX:
        raise Unreadable("too_large", "", f"more than {_TEXT_MAX} bytes of status lines; send several messages")
    text = content.decode("latin-1").removeprefix("\u00ef\u00bb\u00bf")
    text = _CONTROL.sub("\n", text.replace("\r\n", "\n").replace("\r", "\n"))  # SOH, STX, ETX of teleprinter lines too
    starts = list(islice(_MESSAGE.finditer(text), limits.events + 1))
    if not starts and (other := _OTHER_MESSAGE.search(text)):
        where = f"line {text.count(chr(10), 0, other.start()) + 1}"
        raise Unreadable("not_a_status_message", where, f"a Cargo-IMP {other[1]} is no status message; read are FSU and FSA")
    if not starts:
        raise Unreadable("unknown_format", "", "no line starts a message (FSU/14 or FSA/14)")
    if len(starts) > limits.events:
        raise Unreadable("too_many_events", "", f"more than {limits.events} messages: send several times")
    warnings: list[Warning_] = []
    told = 0
    identities = Identities(context.sender, STANDARD)
    senders = _Senders(text, context, warnings)
    for start, (lines, created_at) in zip(starts, _messages(text, starts, context, warnings), strict=True):
        if (foreign := senders.refusal_at(start.start())) is not None:
            told += 1
            yield foreign.verdict(f"line {senders.line_at(start.start())}", start[0].encode())
            continue
        for one in _shipments(lines, created_at, limits):
            for verdict in _verdicts_of(one, context, identities):
                if (told := told + 1) > limits.events:
                    raise Unreadable("too_many_events", "", f"more than {limits.events} events: send several messages")
                yield verdict
    return Envelope(STANDARD, tuple(warnings[:64]))


class _Senders:
    """Whose the interchanges of EDIFACT are that messages come in; asked from the first message to the last."""

    def __init__(self, text: str, context: Context, warnings: list[Warning_]) -> None:
        self._text = text
        self._context = context
        self._warnings = warnings
        self._found = _INTERCHANGE.finditer(text)
        self._next = next(self._found, None)
        self._refusal: Bad | None = None
        self._at, self._line = 0, 1

    def line_at(self, at: int) -> int:
        """The number of the line at a place, not before the last one asked for."""
        self._line += self._text.count("\n", self._at, at)
        self._at = at
        return self._line

    def refusal_at(self, at: int) -> Bad | None:
        """Why a message that starts at this place does not count: the last interchange begun before it is another's."""
        while self._next is not None and self._next.start() < at:
            where = f"line {self.line_at(self._next.start(1))}"
            found = sendership("UNB S002", [("", self._next[3])], where, self._context)
            if found.warning is not None and len(self._warnings) < WARNINGS_MAX:
                self._warnings.append(found.warning)
            self._refusal = None if found.refusal is None else Bad("foreign_interchange", where, found.refusal)
            self._next = next(self._found, None)
        return self._refusal


def _messages(
    text: str, starts: Sequence[re.Match[str]], context: Context, warnings: list[Warning_]
) -> Iterator[tuple[Iterable[_Line], datetime | None]]:
    """The lines of each message after its FSU line, and the time of its envelope, which stands before that line."""
    number = text.count("\n", 0, starts[0].start()) + 1
    before = (line.strip() for line in _raw_lines(text, 0, starts[0].start()))
    envelope = list(islice((line for line in before if line), _ENVELOPE_MAX))
    for index, start in enumerate(starts):
        is_last = index + 1 == len(starts)
        end = len(text) if is_last else starts[index + 1].start()
        lines: Iterable[_Line] = _lines(text, start.end(), end, number)
        strange = _strange(envelope)
        if strange is not None:
            said = f"{shown(strange)[:40]} stands before the message; not read"
            warnings.append(Warning_(code="junk_before", where=f"line {number}", text=said))
        yielded_envelope, envelope = envelope, []
        if not is_last:
            all_lines = list(islice(lines, _LINES_MAX + 1))
            if len(all_lines) > _LINES_MAX:
                raise Unreadable("too_many_lines", f"line {number}", f"more than {_LINES_MAX} lines in a message")
            first = next((n for n, line in enumerate(all_lines) if _SITATEX.fullmatch(line.text)), len(all_lines))
            while first and _is_envelope(all_lines[first - 1].text):
                first -= 1
            envelope = [line.text for line in all_lines[first:]]
            lines = all_lines[:first]
        yield lines, _created_at(yielded_envelope, context)
        number += text.count("\n", start.start(), end)


def _strange(envelope: Sequence[str]) -> str | None:
    """The first line before a message that no envelope has: Type-B lines, or SITATEX blocks with what stands in them."""
    in_block = False
    for line in envelope:
        if _SITATEX.fullmatch(line):
            in_block = line != "=TEXT"
        elif not in_block and not _is_envelope(line):
            return line
    return None


def _is_envelope(text: str) -> bool:
    return _ENVELOPE.fullmatch(text) is not None or _ADDRESSES.fullmatch(text) is not None


def _raw_lines(text: str, start: int, end: int) -> Iterator[str]:
    """The lines between two places of a text, one at a time: a list of short ones is many times their size."""
    while (stop := text.find("\n", start, end)) >= 0:
        yield text[start:stop]
        start = stop + 1
    yield text[start:end]


def _lines(text: str, start: int, end: int, first_number: int) -> Iterator[_Line]:
    """The lines of a message; a line that starts with a slash goes on with the line before.

    Where all stands on one line, blanks stand where lines should end: before a code and its slash, or an air waybill.
    """
    parts: list[str] = []
    length, begun = 0, first_number
    for number, raw in enumerate(_raw_lines(text, start, end), start=first_number):
        line = raw.strip()
        if number == first_number:  # what follows FSU/14 on its own line
            found = _broken(line)
        else:
            found = _parted(line, of=parts[0] if parts and line.startswith("/") else line)
        for part in found:
            if part.startswith("/") and parts:
                if length <= _LINE_MAX:  # else it is too long already
                    parts.append(part)
                    length += len(part)
            elif part:
                if parts:
                    yield _Line(begun, "".join(parts))
                parts, length, begun = [part], len(part), number
    if parts:
        yield _Line(begun, "".join(parts))


def _broken(line: str) -> Iterator[str]:
    start = 0
    for match in _ONE_LINE_BREAK.finditer(line):
        yield line[start : match.start()]
        start = match.end()
    yield line[start:]


def _parted(line: str, of: str) -> Iterator[str]:
    """A later line, parted where a line's end was lost: behind a field that is whole, never within a text.

    `of`: the line that it belongs to, if it goes on with one.
    """
    start, name = 0, of[:3]
    for match in _ONE_LINE_BREAK.finditer(line):
        if name in _TEXTS:
            break
        field_before = line[max(line.rfind("/", start, match.start()) + 1, start) : match.start()]
        if line[match.end()] != "/" and _is_whole(field_before, line, match):
            yield line[start : match.start()]
            start = match.end()
            name = line[start : start + 3]
    yield line[start:]


def _is_whole(field_before: str, line: str, blank: re.Match[str]) -> bool:
    if len(field_before) > _FIELD_MAX:
        return False
    if any(form.fullmatch(field_before) for form in (_QUANTITY, _MARK, _AIR_WAYBILL)) or identifiers.is_uld(field_before):
        return True
    # A station may be the end of a name as well.
    return _AIRPORTS.fullmatch(field_before) is not None and _STATUS_WITHIN.match(line, blank.end() - 1) is not None


def _created_at(envelope: Sequence[str], context: Context) -> datetime | None:
    """The time of the envelope's `.SENDER ddhhmm` line (of SITATEX: MSGID), UTC, the newest before its receipt."""
    for before, line in zip(["", *envelope], envelope, strict=False):
        match = _ORIGIN.match(line)
        if match and (line.startswith(".") or before == "=MSGID"):
            try:
                day = newest_day(int(match[1]), context.received_at)
                return datetime(day.year, day.month, day.day, int(match[2]), int(match[3]), tzinfo=UTC)
            except ValueError:
                return None
    return None


def _shipments(lines: Iterable[_Line], created_at: datetime | None, limits: Limits) -> Iterator[_Shipment | tuple[_Line, Bad]]:
    current: _Shipment | None = None
    for line in lines:
        if current is not None and len(current.statuses) > limits.events:
            break  # too many, which the reader says
        try:
            if len(line.text) > _LINE_MAX and line.text.partition("/")[0].upper() not in _NOT_READ:
                raise Bad("line_too_long", line.where, f"longer than {_LINE_MAX} characters")
            if _AIR_WAYBILL.match(line.text):
                if current is not None:
                    yield current
                current = _Shipment(line, created_at)
            elif _ENVELOPE.fullmatch(line.text):
                continue
            elif current is None:
                raise Bad("no_air_waybill", line.where, f"{line.text[:60]} stands before any air waybill")
            else:
                _add(current, line)
        except Bad as bad:
            if current is not None:  # what came before it comes first; what follows is of the same air waybill
                if current.statuses:
                    yield current
                current = _Shipment(current.line, created_at, ulds=current.ulds, remarks=current.remarks, goes_on=True)
            yield line, bad
    if current is not None:
        yield current


def _add(shipment: _Shipment, line: _Line) -> None:
    name = line.text.partition("/")[0].strip().upper()
    last = shipment.statuses[-1] if shipment.statuses else None
    if name == "ULD":
        ulds = last.ulds if last is not None else shipment.ulds
        ulds.extend(line.fields[1 : 1 + _ULDS_MAX - len(ulds)])
    elif name == "OSI":
        remarks = last.remarks if last is not None else shipment.remarks
        if len(remarks) < _REMARKS_MAX:
            remarks.append(line.text.partition("/")[2].strip())
    elif name in _NOT_READ:
        pass
    elif _STATUS.fullmatch(name) and "/" in line.text:
        shipment.statuses.append(_Status(line))
    else:
        raise Bad("unknown_line", line.where, f"{line.text[:60]} is no status line")


def _verdicts_of(one: _Shipment | tuple[_Line, Bad], context: Context, identities: Identities) -> Iterator[Verdict]:
    if isinstance(one, _Shipment):
        return _verdicts(one, context, identities)
    line, bad = one
    return iter((bad.verdict(line.where, line.text.encode("utf-8", "replace")),))


def _verdicts(shipment: _Shipment, context: Context, identities: Identities) -> Iterator[Verdict]:
    if not shipment.statuses and not shipment.goes_on:
        bad = Bad("no_status", shipment.line.where, "an air waybill without any status line")
        yield bad.verdict(shipment.line.where, shipment.line.text.encode("utf-8", "replace"))
    for status in shipment.statuses:
        payload = f"{shipment.line.text}\n{status.line.text}".encode("utf-8", "replace")
        parts = _parts(status.line)
        event = _event(shipment, status, parts, context)
        drafts = [("", event)]
        try:
            drafts += _times_of_leg(shipment, status, parts, context)
        except Bad as bad:
            event.fault(bad)
        if event.faults:  # all of it is told in one; the leg's times were of the same line
            del drafts[1:]
        # Neither the message's version nor its envelope: a repeat in another envelope is the same statement.
        tokens = [shipment.line.text, status.line.text, *shipment.ulds, *status.ulds]
        for facet, draft in drafts:
            stamp = draft.created_at.isoformat() if draft.created_at and draft.classifier != "actual" else None
            try:
                yield Verdict(draft.position, event=draft.finish(identities.of(tokens, stamp, facet)))
            except Bad as bad:
                yield bad.verdict(status.line.where, payload)


def _event(shipment: _Shipment, status: _Status, parts: _Parts, context: Context) -> Draft:
    """What the status line itself says."""
    draft = _draft(shipment, status, parts, context)
    for fault in parts.faults:
        draft.fault(fault)
    name_status(draft, parts.code, parts.discrepancy)
    draft.place = airport(parts.station, context)
    for line in (shipment.line, status.line):
        if (within := _STATUS_WITHIN.search(line.text)) is not None:
            said = f"{within[0].strip()} stands within a line, perhaps in a text; not read as a status"
            draft.warn("text_not_used", said, line.where)
    if parts.carrier and parts.code in HANDS_OVER:
        draft.transport["next_carrier"] = parts.carrier
    draft.reason = " ".join(status.remarks or shipment.remarks)[:1_000] or None
    is_of_flight = parts.code in BEFORE_FLIGHT and (parts.time is None or parts.flight is not None)
    if parts.date is None or is_of_flight:
        if parts.date is None and parts.code not in BEFORE_FLIGHT and parts.code not in HANDS_OVER:
            if not parts.faults:  # of a date that is none
                draft.fault(Bad("no_time", draft.position, f"{parts.code} without a date"))
            return draft
        if parts.time is not None:
            draft.warn("time_not_used", f"the time beside the date of {parts.flight} is not that of the {parts.code}; not used")
        happened_at_sending(draft, parts.code)
        return draft
    mark = _own_mark(parts)
    if mark is not None:
        draft.classifier = _CLASSIFIERS[mark.kind]
        if parts.time not in (None, (mark.hour, mark.minute)):
            draft.warn("times_contradict", f"the time beside the date contradicts {mark}; the latter counts")
    for text in parts.damaged[:_REMARKS_MAX]:
        draft.warn("time_not_used", f"{text[:40]} is no marked time like A1012 or E0130-N; not used")
    for unused in parts.marks[2:] if parts.code in _TIMED else [one for one in parts.marks if one is not mark]:
        draft.warn("time_not_used", f"{unused} is of nothing that {parts.code} tells; not used")
    time = (mark.hour, mark.minute) if mark is not None else parts.time
    if time is None:
        draft.warn("time_missing", "no time of day is given; 00:00 assumed")
    try:
        draft.occurred_at = _moment(draft, parts, time or (0, 0), mark.days if mark is not None else parts.days)
    except Bad as bad:
        draft.fault(bad)
    return draft


def _own_mark(parts: _Parts) -> _Mark | None:
    """The time mark that tells when the status itself happened: of DEP the first, which is of the departure.

    Where no time stands beside the date and no mark is an actual one, the status is told beforehand: an estimate or a plan.
    """
    if parts.code in BEFORE_FLIGHT:
        return None
    marks = parts.marks[:1] if parts.code == "DEP" else parts.marks
    kinds = "AES" if parts.time is None else "A" if parts.code in ("DEP", "ARR") else ""
    return next((mark for kind in kinds for mark in marks if mark.kind == kind), None)


def _times_of_leg(shipment: _Shipment, status: _Status, parts: _Parts, context: Context) -> Iterator[tuple[str, Draft]]:
    """The times of the flight that a line carries: departure first, arrival second; ARR and RCF, of the arrival."""
    if parts.date is None:
        return
    ends: Sequence[tuple[str, Milestone, str | None]]
    if parts.code in _LEG:
        ends = (("departure", "departed", parts.station), ("arrival", "arrived", parts.end))
    elif parts.code in _TIMED:
        ends = (("arrival", "arrived", parts.station),) * 2
    else:
        return
    own = _own_mark(parts)
    for index, (mark, (name, milestone, station)) in enumerate(zip(parts.marks, ends, strict=False)):
        # An estimated receipt is of the time at which its flight arrives: that is told beside it.
        is_the_event = mark is own and (mark.kind == "A" or parts.code != "RCF")
        if is_the_event or station is None or (mark.kind == "A" and parts.code in BEFORE_FLIGHT):
            continue  # what was only booked or manifested need not have been on board
        draft = _draft(shipment, status, parts, context)
        draft.milestone, draft.classifier = milestone, _CLASSIFIERS[mark.kind]
        draft.place = airport(station, context)
        draft.occurred_at = _moment(draft, parts, (mark.hour, mark.minute), mark.days)
        yield f"{name} {mark.kind} {index}", draft


def _draft(shipment: _Shipment, status: _Status, parts: _Parts, context: Context) -> Draft:
    match = _AIR_WAYBILL.match(shipment.line.text)
    assert match is not None  # a shipment is made from such a line only
    draft = Draft(context, STANDARD, READER_VERSION, status.line.where, parts.code, mode="air")
    draft.created_at = shipment.created_at
    draft.refer("air_waybill", f"{match[1]}-{match[2]}", shipment.line.where)
    for value in (*shipment.ulds, *status.ulds):
        if value:
            refer_uld(draft, value)
    draft.origin, draft.destination = airport(match[3], context), airport(match[4], context)
    if parts.flight:
        draft.transport["flight"] = parts.flight
    _count(draft, parts, shipment)
    return draft


def _count(draft: Draft, parts: _Parts, shipment: _Shipment) -> None:
    """The line's own count, its total from the air waybill where the line has none; a line without one means all of it."""
    whole = next((found for text in shipment.line.fields[1:] if (found := _quantity(text))), None)
    this = parts.pieces or whole
    if this is None:
        return
    if not this.whole:
        draft.warn("bad_quantity", f"after {this.letter}{this.this} stands what is no weight, volume or total; not used")
    total = this.total
    if total is None and whole is not None:
        total = whole.total or (whole.this if whole.letter == "T" else None)
    count_pieces(draft, this.this, total, this.letter)


def _quantity(text: str) -> _Quantity | None:
    match = _QUANTITY.fullmatch(text)
    if match is not None:
        return _Quantity(match[1], int(match[2]), int(match[3]) if match[3] else None, whole=True)
    start = _QUANTITY_START.match(text)
    return _Quantity(start[1], int(start[2]), None, whole=False) if start is not None else None


def _parts(line: _Line) -> _Parts:
    """Sort the fields of a status line. Senders leave fields out, so each is known by its form and its turn."""
    code, *fields = line.fields
    parts = _Parts(code)
    for text in fields:
        if not text:
            continue
        mark = _MARK.fullmatch(text)
        if parts.date is None and parts.station is None and (flight := flight_number(text)):
            parts.flight = flight
        elif parts.date is None and (date := _DATE.fullmatch(text)):
            _set_date(parts, date, line)
        elif parts.carrier is None and parts.date is None and _CARRIER.fullmatch(text):
            parts.carrier = text
        elif parts.station is None and (airports := _AIRPORTS.fullmatch(text)):
            parts.station, parts.end = airports[1], airports[2]
        elif code == "DIS" and parts.discrepancy is None and _DISCREPANCY.fullmatch(text):
            parts.discrepancy = text
        elif mark is not None:
            parts.marks.append(_time_mark(mark, parts, line))
        elif code in _TIMED and _MARK.match(text):
            parts.damaged.append(text)
        elif parts.pieces is None and (pieces := _quantity(text)):
            parts.pieces = pieces
    return parts


def _set_date(parts: _Parts, match: re.Match[str], line: _Line) -> None:
    month = _MONTHS.get(match[2])
    if month is None:
        parts.faults.append(Bad("bad_time", line.where, f"{match[0]}: {match[2]} is no month"))
    else:
        parts.date = (int(match[1]), month)
    if match[3]:
        parts.time = _clock(match[3], parts, line)
    parts.days = _day_change(match[4] or "", parts, line)


def _time_mark(match: re.Match[str], parts: _Parts, line: _Line) -> _Mark:
    hour, minute = _clock(match[2], parts, line)
    kind: Literal["S", "E", "A"] = "S" if match[1] == "S" else "E" if match[1] == "E" else "A"
    return _Mark(kind, hour, minute, _day_change(match[3] or "", parts, line))


def _clock(text: str, parts: _Parts, line: _Line) -> tuple[int, int]:
    """A time of day; midnight, with what is wrong noted, for one that is none."""
    hour, minute = int(text[:2]), int(text[2:])
    if (hour, minute) != (24, 0) and (hour > 23 or minute > 59):
        parts.faults.append(Bad("bad_time", line.where, f"{text} is not a time of day"))
        return 0, 0
    return hour, minute


def _day_change(letter: str, parts: _Parts, line: _Line) -> int:
    """Days after the line's date; none, with what is wrong noted, for a letter that is none."""
    if letter not in _DAYS:
        parts.faults.append(Bad("bad_time", line.where, f"-{letter} is no change of day (P, N, S, T)"))
        return 0
    return _DAYS[letter]


def _moment(draft: Draft, parts: _Parts, time: tuple[int, int], days: int) -> datetime:
    assert parts.date is not None
    try:
        day = nearest_year(*parts.date, draft.context.received_at, happened=draft.classifier == "actual")
    except ValueError as error:
        raise Bad("bad_time", draft.position, str(error)) from error
    local = datetime(day.year, day.month, day.day) + timedelta(days=days, hours=time[0], minutes=time[1])  # noqa: DTZ001  zone follows
    return draft.at_local(local, zone_of(draft.place, draft.context.registers))
