"""`lovla read`: what the readers make of a file; no server, no key."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from schemas.consignment_command_v1 import Command
from schemas.raw_message_v1 import RawMessage
from services.ingest.acknowledgements import FORMS, Form, Judged, NotAcknowledged, acknowledge, unread
from services.ingest.commands import read_asked, read_commands
from services.ingest.mappings_model import Mappings
from services.ingest.readers import Context, Reading, Registers, Statements, Unreadable, Verdict, decode_body, detect, mapped
from services.ingest.readers import statements as read
from services.ingest.readers.model import LIMITS, Envelope
from services.ingest.readers.strict_json import parse_json
from services.ingest.readers.times import parse_rfc3339
from services.runtime.verbs import plainly

_GZIP_MAGIC = b"\x1f\x8b"
_STDIN = "-"
_LOCAL = replace(LIMITS, events=1_000_000)  # a file of one's own may hold more than a request
_WHOLE = "message"
_NOBODY = "UNKNOWN"  # who has sent it, unless told
_HEAD = 65_536
_NEWEST = "the newest time in each file"
_NOW = "now, since no time of what has happened stands there in full"


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong, or (a warning) was assumed, at one place of a file."""

    file: str
    where: str
    code: str
    text: str
    is_warning: bool = False

    def __str__(self) -> str:
        return f"{self.file}: {self.where or _WHOLE}: {self.code}: {self.text}"


def register(app: typer.Typer) -> None:
    """Add `lovla read`."""
    app.command("read")(read_files)


def read_files(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Messages of any standard, plain or gzip; - is stdin.")],
    sender: Annotated[
        str | None, typer.Option(help="Who is taken to have sent them; default: UNKNOWN, or the sender of --mapping.")
    ] = None,
    received_at: Annotated[
        str | None,
        typer.Option(
            help="When they were received (2020-04-12T08:20:05Z); sets the time fence. Default: the newest time in each file"
            " that has passed; now where it names none in full (an FSU says no year), and of registrations."
        ),
    ] = None,
    content_type: Annotated[str | None, typer.Option(help="As a sender would say it; default: detected.")] = None,
    facilities: Annotated[Path | None, typer.Option(help="Facilities (CSV), to name terminals and their zones.")] = None,
    codemaps: Annotated[
        Path | None, typer.Option(help="A folder of code maps (TOML), to try what partners' own codes become; with --sender.")
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(help="A mapping file (TOML), to read a partner's own CSV or JSON by; see docs/partners.md."),
    ] = None,
    ack: Annotated[
        bool, typer.Option("--ack", help="Print what we would answer (997, 999, CONTRL) instead of events.")
    ] = False,
    ack_form: Annotated[
        str | None, typer.Option("--ack-form", help=f"Which answer: {', '.join(FORMS)}. Default: the usual one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, which is what it prints anyway.")] = False,
) -> None:
    """Read messages and print a shipment event a line; complaints go to stderr as FILE: where: code: text.

    What registers consignments (a ship notice, a file for `lovla register`) becomes lines that begin with
    "command":"register", and stderr says so.

    Exit code 1 if a file could not be read, or anything in it was refused (a warning refuses nothing), or nothing was there
    to print; what could be read is printed all the same. With --ack: 1 if a file could not be read or has no answer.
    """
    from services.runtime.settings import SettingsError

    del as_json  # every verb takes it; this one has no other form
    try:
        received = _received(received_at)
        registers = _registers(facilities, codemaps)
        if mapping is not None:
            registers, sender = _by_mapping(registers, mapping, sender)
        form = _form(ack_form) if ack or ack_form else None
    except (ValueError, OSError, SettingsError) as error:
        typer.echo(f"lovla: {plainly(error)}", err=True)
        raise typer.Exit(1) from None
    taken: dict[str, list[str]] = {}
    is_well, is_said = True, False
    try:
        for file in files:
            said = _Said(file, sender or _NOBODY, received, content_type, registers, mapped.STANDARD if mapping else None)
            if said.received_as:
                taken.setdefault(said.received_as, []).append(file)
            for line in _answer(said, form) if ack or ack_form else _lines(said):
                if isinstance(line, Complaint):
                    is_well = is_well and line.is_warning
                    typer.echo(str(line), err=True)
                else:
                    is_said = True
                    typer.echo(line)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has enough of it; Python would complain at exit
        raise typer.Exit(0) from None
    for what, those in taken.items():
        of = f"of {', '.join(those)} " if len(taken) > 1 else ""
        typer.echo(f"lovla: note: received_at {of}is taken as {what}; --received-at sets it", err=True)
    if not (is_well and is_said):
        raise typer.Exit(1)


def _form(text: str | None) -> Form | None:
    form = next((known for known in FORMS if known == text), None)
    if text is not None and form is None:
        raise ValueError(f"--ack-form {text} is none of {', '.join(FORMS)}")
    return form


def _received(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.now(UTC) if text == "now" else parse_rfc3339(text)
    if moment.tzinfo is None:
        raise ValueError(f"--received-at {text} has no offset; write Z or -07:00 behind it")
    return moment


def _registers(facilities: Path | None, codemaps: Path | None) -> Registers:
    from services.ingest.codemaps.files import load

    if codemaps is not None and not codemaps.is_dir():
        raise ValueError(f"--codemaps {codemaps} is no folder")
    maps = load(codemaps)
    if facilities is None:
        return Registers.of([], [], maps)
    from services.ingest.tables import read_facilities

    return Registers.of([], read_facilities(facilities.read_text(encoding="utf-8-sig")), maps)


def _by_mapping(registers: Registers, file: Path, sender: str | None) -> tuple[Registers, str]:
    """Registers with this one mapping, as if it were `sender`'s and valid for ever."""
    from services.ingest.mappings import read_mapping

    made = read_mapping(file)
    sender = sender or made.stated.sender
    made = replace(made, stated=made.stated.model_copy(update={"sender": sender}), valid_from=None)
    return replace(registers, mappings=Mappings.of([made])), sender


class _Said:
    """A file that was read through once: whether it counts, since when, and what its envelope says. `received_as`: what was
    taken for the time of receipt, where nobody said it. `envelope` None: nothing could be read, for the reason in `error`. Its
    statements are read again by whoever asks for them, one at a time."""

    def __init__(
        self,
        file: str,
        sender: str,
        received: datetime | None,
        content_type: str | None,
        registers: Registers,
        hint: str | None = None,
    ) -> None:
        self.file = file
        self.content = b""
        self.standard: str | None = None
        self.envelope: Envelope | None = None
        self.error: Complaint | Unreadable | None = None
        self.received_as = ""
        try:
            body = sys.stdin.buffer.read() if file == _STDIN else Path(file).read_bytes()
        except OSError as error:
            self.error = Complaint(file, "", "no_file", error.strerror or str(error))
            return
        self.context = Context(
            sender=sender,
            received_at=received or datetime.now(UTC),
            registers=registers,
            raw_sha256=hashlib.sha256(body).hexdigest(),
            fence=received is not None,
        )
        self.received_as = "" if received else _NOW
        try:
            self.content = decode_body(body, "gzip" if body.startswith(_GZIP_MAGIC) else "identity")
            self.standard = hint or detect(self.content, content_type, None)
            self._asked = content_type, hint
            told = self.statements
            newest = _newest(told)
            if received is None and newest is not None:
                self.received_as = _NEWEST
                self.context = replace(self.context, received_at=newest)
                told = self.statements
                for _ in told:  # what an envelope is warned of may hang on the time as well
                    pass
            self.envelope = told.envelope
        except Unreadable as error:
            self.error = error

    @property
    def statements(self) -> Statements:
        """What it says, from the beginning."""
        return read(self.content, *self._asked, self.context, _LOCAL)

    @property
    def complaint(self) -> Complaint:
        """Why nothing could be read."""
        assert self.error is not None
        if isinstance(self.error, Complaint):
            return self.error
        return Complaint(self.file, self.error.where, self.error.code, self.error.text)


def _answer(said: _Said, form: Form | None) -> Iterator[str | Complaint]:
    """What we would answer to a file, and why there is no answer."""
    judged: Judged
    if said.envelope is not None:
        judged = Reading.of(said.statements)
    else:
        yield said.complaint
        if not isinstance(said.error, Unreadable):
            return
        judged = unread(said.standard, said.error)
    try:
        written = acknowledge(said.content, judged, at=said.context.received_at, control=1, form=form)
        yield written.decode("ascii").rstrip("\n")
    except NotAcknowledged as error:
        yield Complaint(said.file, "", error.code, error.text)


def _lines(said: _Said) -> Iterator[str | Complaint]:
    """The events and registrations of a file as JSON, and what is to complain about, each complaint once."""
    if said.envelope is None:
        yield from (_declared(said) if _is_registration(said) else (said.complaint,))
        return
    file = said.file
    told: set[int] = set()
    for warning in said.envelope.warnings:
        yield from _once(Complaint(file, warning.where, warning.code, warning.text, True), told)
    for verdict in said.statements:
        if verdict.problem is not None:
            for problem in verdict.problem.every:
                yield from _once(Complaint(file, problem.where, problem.code, problem.text), told)
        for warning in verdict.warnings:
            yield from _once(Complaint(file, warning.where, warning.code, warning.text, True), told)
        if verdict.event is not None:
            yield verdict.event.model_dump_json(exclude_none=True)
        if verdict.asked is not None:
            yield from _registration(said, verdict, told)


def _registration(said: _Said, verdict: Verdict, told: set[int]) -> Iterator[str | Complaint]:
    """The command that a ship notice becomes, were its sender's key allowed to register."""
    assert verdict.asked is not None
    meta = RawMessage(kind="message", sender=said.context.sender, scopes=("register",), sha256=said.context.raw_sha256)
    row = read_asked(meta, verdict.asked, verdict.position, said.context.received_at)
    for place in row.problems:
        yield from _once(Complaint(said.file, place["where"], place["code"], place["text"]), told)
    if row.command is not None:
        way = "a key of scope register may push it"
        yield from _once(Complaint(said.file, "", "registration", _NO_EVENTS.format(way=way), True), told)
        yield _command(row.command)


_NO_EVENTS = 'registers consignments: its lines begin with "command":"register" and are no events; {way}'
_BLANK = b"\xef\xbb\xbf \t\r\n"
_COLUMNS = frozenset({"consignment", "category"})
"""What the first row of a CSV of consignments names, and no table of events."""


def _is_registration(said: _Said) -> bool:
    """Whether what no reader knows is what `lovla register` takes: declared consignments, in JSON or CSV."""
    if not (isinstance(said.error, Unreadable) and said.error.code == "unknown_format"):
        return False
    if _is_json(said.content):
        try:
            value = parse_json(said.content)
        except Unreadable:
            return False
        first = value[0] if isinstance(value, list) and value else value
        return isinstance(first, dict) and {"consignment", "items"} <= first.keys()
    columns = said.content[:_HEAD].lstrip(_BLANK).partition(b"\n")[0].decode("utf-8", "replace").split(",")
    return {column.strip().strip('"').lower() for column in columns} >= _COLUMNS


def _is_json(content: bytes) -> bool:
    return content[:_HEAD].lstrip(_BLANK)[:1] in (b"{", b"[")


def _declared(said: _Said) -> Iterator[str | Complaint]:
    """What declared consignments become. Whose they are is taken from their ids, unless --sender says who sends them."""
    meta = RawMessage(
        kind="registration",
        sender=said.context.sender,
        scopes=("operator",) if said.context.sender == _NOBODY else ("register",),
        sha256=said.context.raw_sha256,
        content_type="application/json" if _is_json(said.content) else "text/csv",
    )
    told: set[int] = set()
    way = "`lovla register FILE` takes it"
    yield Complaint(said.file, "", "registration", _NO_EVENTS.format(way=way), True)
    for row in read_commands(meta, said.content, said.context.received_at):
        for place, is_warning in ((row.problems, False), (row.warnings, True)):
            for one in place:
                yield from _once(Complaint(said.file, one["where"], one["code"], one["text"], is_warning), told)
        if row.command is not None:
            yield _command(row.command)


def _command(command: Command) -> str:
    """As JSON that says first what it is."""
    told = command.model_dump(mode="json", exclude_none=True)
    return json.dumps({"command": told.pop("command"), **told}, ensure_ascii=False, separators=(",", ":"))


def _once(complaint: Complaint, told: set[int]) -> Iterator[Complaint]:
    """The complaint, if it is new. `told`: hashes, because a large file may have a complaint a line."""
    if (known := hash(complaint)) not in told:
        told.add(known)
        yield complaint


def _newest(told: Statements) -> datetime | None:
    """The newest time that the file names, for actual and past things: nothing is received before it was sent."""
    now = datetime.now(UTC)
    times = (
        moment
        for verdict in told
        if (event := verdict.event) is not None
        if not event.zone_assumed or event.standard != "cargo_imp.fsu"  # its years were guessed from the time of receipt
        for moment in (event.updated_at, event.created_at, event.occurred_at if event.classifier == "actual" else None)
        if moment is not None and moment <= now
    )
    return max(times, default=None)
