"""`lovla dead-letters list | show | retry | discard`: what could not be read, and what is done about it."""

from __future__ import annotations

import base64
import getpass
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from services.ingest.cli import ActsAs, By, KeyText, bring_back
from services.ingest.legible import shown
from services.runtime.verbs import OPERATOR, AsJson, Stop, show, told

if TYPE_CHECKING:
    from services.ingest.dead_letters import Filter, Standing
    from services.ingest.settings import IngestSettings

dead_letters = typer.Typer(help="What could not be read, linked in time or stored, and why: list, show, retry, discard.")

Ids = Annotated[list[str] | None, typer.Argument(metavar="[LETTER]...", help="Ids, whole or their first 6 characters.")]
Carrier = Annotated[str | None, typer.Option("--carrier", help="The sender's code.")]
Reason = Annotated[str | None, typer.Option("--reason", help="The reason's code, for example not_json.")]
OlderThan = Annotated[str | None, typer.Option("--older-than", help="Received longer ago: 90m, 12h, 3d.")]
NewerThan = Annotated[str | None, typer.Option("--newer-than", help="Received since: 90m, 12h, 3d.")]
OfStandard = Annotated[str | None, typer.Option("--standard", help="x12.315, or all of x12.")]
OfStage = Annotated[
    Literal["readers", "tracker", "sink", "alerts"] | None, typer.Option("--stage", help="Who could do nothing with it.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many lines.")]
Settled = Annotated[bool, typer.Option("--all", help="Also those that were retried or discarded.")]

_COLUMNS = ("letter", "state", "carrier", "reason", "where", "text", "raw", "received")
_PAYLOAD_SHOWN = 4_000
_WORDS_SHOWN = 12
_READ_WITHIN = timedelta(minutes=1)  # readers that run have read by then; see JUDGED_WITHIN of the console


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(dead_letters, name="dead-letters")


@dead_letters.callback(invoke_without_command=True)
def default(
    context: typer.Context,
    carrier: Carrier = None,
    reason: Reason = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    standard: OfStandard = None,
    stage: OfStage = None,
    settled: Settled = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Alone it lists, as `lovla dead-letters list` does."""
    if context.invoked_subcommand is None:
        list_letters(carrier, reason, older_than, newer_than, standard, stage, settled, limit, as_json)


@dead_letters.command("list")
@told
def list_letters(
    carrier: Carrier = None,
    reason: Reason = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    standard: OfStandard = None,
    stage: OfStage = None,
    settled: Settled = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Open letters, the newest first; with --all also those that people are done with."""
    from services.ingest.records import readers_stand_still

    wanted = _filter(None, carrier, reason, older_than, newer_than, standard, stage, settled)
    settings = _settings()
    found = _chosen(settings, wanted)
    if readers_stand_still(settings, datetime.now(UTC) - _READ_WITHIN):
        typer.echo(
            "lovla: what came in lately is not read yet: letters of it are still to come; see `lovla status`.",
            err=True,
        )
    rows = [_row(one, whole=as_json) for one in found[:limit]]
    if not rows and not as_json:
        typer.echo(_nothing(settings, wanted))
        return
    show(rows, _COLUMNS, as_json)
    if not as_json:
        more = f"; {len(found) - limit} more, see --limit" if len(found) > limit else ""
        typer.echo(f"{len(rows)} dead letters{more}; times in UTC; `lovla dead-letters show LETTER` tells all of one")


def _nothing(settings: IngestSettings, wanted: Filter) -> str:
    """That there are none; where less than all were asked for, what there is to ask for: a word may be mistyped."""
    every = _chosen(settings, replace(wanted, carrier=None, reason=None, stage=None, standard=None)) if wanted.names_any else ()
    if not every:
        return "No dead letters."
    carriers, reasons = ({*map(of, every)} for of in (attrgetter("letter.sender"), attrgetter("letter.reason")))
    return f"None of {len(every)} dead letters is so. Their carriers: {_few(carriers)}; their reasons: {_few(reasons)}."


def _few(words: Collection[str]) -> str:
    shown = sorted(words)[:_WORDS_SHOWN]
    return ", ".join(shown) + (f" and {len(words) - len(shown)} more" if len(words) > len(shown) else "")


@dead_letters.command("show")
@told
def show_letter(letter: str, as_json: AsJson = False) -> None:
    """One letter: why, where, its own bytes, what can be done, and what was."""
    (one,) = _chosen(_settings(), _filter([letter]))
    if as_json:
        show([_row(one, whole=True)], (), True)
        return
    for name, value in _row(one, whole=True).items():
        if value not in (None, "") and name != "payload":
            typer.echo(f"{name:12} {shown(str(value), 600)}")
    raw = base64.b64decode(one.letter.payload)
    typer.echo("--- its own bytes" + (", cut" if one.letter.payload_cut or len(raw) > _PAYLOAD_SHOWN else ""))
    for line in raw[:_PAYLOAD_SHOWN].decode("utf-8", "replace").splitlines():
        typer.echo(shown(line, 2_000))


@dead_letters.command("retry")
@told
def retry(
    letters: Ids = None,
    carrier: Carrier = None,
    reason: Reason = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    standard: OfStandard = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    by: By = None,
    acts_as: ActsAs = OPERATOR,
    key: KeyText = None,
    as_json: AsJson = False,
) -> None:
    """Read again what could not be read: after a reader, a register or a mapping was improved, or a fault of ours was mended.

    What was put aside is brought back through the door (that ends its sender's parking); everything else is read again from
    raw.messages by today's readers. What can be read now is told as retried; the rest stays open. Exit code 1 if none can.
    """
    wanted = _filter(letters, carrier, reason, older_than, newer_than, standard)
    settings = _settings()
    found = _chosen(settings, wanted)
    if not wanted.names_any:
        raise Stop("Say which: ids, --carrier, --reason, --standard, --older-than, --newer-than; or see `lovla replay`.")
    aside = [one for one in found if one.way == "bring back"]
    unread = [one for one in found if one.way == "read again"]
    said = by or getpass.getuser()
    rows = _read_again(settings, unread, said, dry_run)
    for sender in sorted({one.letter.sender for one in aside}):
        theirs = [one for one in aside if one.letter.sender == sender]
        if not dry_run:
            bring_back(sender, [one.letter for one in theirs], acts_as, key, said)
            _settle(settings, theirs, "retried", said, "brought back through the door, the sender is not parked any more")
        rows += [_done(one, "would be brought back" if dry_run else "brought back") for one in theirs]
    rows += [_done(one, f"no message of a sender: the {one.letter.stage}'s") for one in found if one.way == "none"]
    show(rows, ("letter", "carrier", "reason", "outcome"), as_json)
    if not any(row["outcome"] in _WELL for row in rows):
        if not rows:
            typer.echo("lovla: there is no such open dead letter", err=True)
        raise typer.Exit(1)


_WELL = ("read now", "would be read now", "brought back", "would be brought back")


@dead_letters.command("discard")
@told
def discard(
    why: Annotated[str, typer.Option("--why", help="For whoever asks later.")],
    letters: Ids = None,
    carrier: Carrier = None,
    reason: Reason = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    standard: OfStandard = None,
    stage: OfStage = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell which.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Be done with letters that nobody will read again: who, when and why is kept, and so are the letters and their bytes."""
    if not why.strip():
        raise Stop("--why must say something.")
    wanted = _filter(letters, carrier, reason, older_than, newer_than, standard, stage)
    if not wanted.names_any:
        raise Stop("Say which: ids, --carrier, --reason, --standard, --stage, --older-than, --newer-than.")
    settings = _settings()
    found = _chosen(settings, wanted)
    if not dry_run:
        _settle(settings, found, "discarded", by or getpass.getuser(), why)
    show(
        [_done(one, "would be discarded" if dry_run else "discarded") for one in found],
        ("letter", "carrier", "reason", "outcome"),
        as_json,
    )
    if not found:
        typer.echo("lovla: there is no such open dead letter", err=True)
        raise typer.Exit(1)


def _settings() -> IngestSettings:
    from services.ingest.settings import IngestSettings

    return IngestSettings.load()


def _filter(
    ids: Sequence[str] | None,
    carrier: str | None = None,
    reason: str | None = None,
    older_than: str | None = None,
    newer_than: str | None = None,
    standard: str | None = None,
    stage: str | None = None,
    settled: bool = False,
) -> Filter:
    from services.ingest.dead_letters import Filter, age

    now = datetime.now(UTC)
    try:
        before = now - age(older_than) if older_than else None
        since = now - age(newer_than) if newer_than else None
    except ValueError as error:
        raise Stop(f"{error}.") from None
    return Filter(carrier, reason, stage, standard, before, since, tuple(ids or ()), settled)


def _chosen(settings: IngestSettings, wanted: Filter) -> Sequence[Standing]:
    from services.ingest.dead_letters import NoSuchLetter, chosen, standing
    from services.ingest.records import read_letters, read_settled

    try:
        return chosen(standing(read_letters(settings), read_settled(settings)), wanted)
    except NoSuchLetter as error:
        raise Stop(f"{error}.") from None


def _row(one: Standing, whole: bool) -> dict[str, Any]:
    letter = one.letter
    row: dict[str, Any] = {
        "letter": letter.letter_id if whole else letter.letter_id[:12],
        "state": one.state,
        "carrier": letter.sender,
        "reason": letter.reason,
        "where": letter.where,
        "text": letter.text,
        "raw": None if letter.raw_offset is None else f"{letter.raw_partition}/{letter.raw_offset}",
        "received": f"{letter.received_at:%Y-%m-%d %H:%M}" if not whole else letter.received_at.isoformat(),
    }
    if whole:
        row |= {"stage": letter.stage, "standard": letter.standard, "retry": one.way, "payload": letter.payload}
        if one.settled is not None:
            settled = one.settled
            row |= {"settled_by": settled.by, "settled_at": settled.at.isoformat(), "settled_why": settled.why}
    return row


def _done(one: Standing, outcome: str) -> dict[str, Any]:
    return {"letter": one.letter.letter_id, "carrier": one.letter.sender, "reason": one.letter.reason, "outcome": outcome}


def _read_again(settings: IngestSettings, unread: Sequence[Standing], by: str, dry_run: bool) -> list[dict[str, Any]]:
    """Their records by today's readers; what stood in none of the topics before is written."""
    from services.ingest.registers import Registers
    from services.ingest.replay import Selection
    from services.ingest.replay import replay as run
    from services.runtime.progress import bar
    from services.runtime.receipts import Position

    if not unread:
        return []
    positions = frozenset(Position(one.letter.partition, one.letter.offset) for one in unread)
    registers = Registers(settings)
    registers.start()
    try:
        with bar() as progress:
            report = run(settings, registers, Selection(positions=positions), dry_run=dry_run, progress=progress)
    finally:
        registers.stop()
    mended = [one for one in unread if one.letter.letter_id in report.undead]
    if not dry_run:
        _settle(settings, mended, "retried", by, "read by today's readers")
    well = "would be read now" if dry_run else "read now"
    return [_done(one, well if one in mended else "still cannot be read") for one in unread]


def _settle(
    settings: IngestSettings, found: Sequence[Standing], act: Literal["retried", "discarded"], by: str, why: str
) -> None:
    from schemas.letter_settled_v1 import LetterSettled
    from schemas.topics import LETTERS_SETTLED
    from services.ingest.registers import Entry, write

    now = datetime.now(UTC)
    said = [LetterSettled(letter_id=one.letter.letter_id, act=act, at=now, by=by, why=why) for one in found]
    entries = [Entry(LETTERS_SETTLED, one.letter_id, one) for one in said]
    if entries:
        write(settings, entries)
