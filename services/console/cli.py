"""`lovla delayed | show | find | inbound | dwell | feeds | score | interchanges | unmatched`: questions by verb.

Tables show local times: of the hospital where there is one, else UTC, or of `--zone`; JSON is always UTC, one object a line.
"Now" is the pipeline's own time, so that an outage of ours makes nothing look late.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, ParamSpec, TypeVar

import typer

from schemas.words import EXCEPTION_KINDS
from services.runtime.terminal import printed
from services.runtime.verbs import Stop, Zone, told, zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from rich.console import RenderableType

    from services.console.questions import Questions, RawPointer

P = ParamSpec("P")
R = TypeVar("R")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, times in UTC.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many lines.")]
Hospital = Annotated[str, typer.Option("--hospital", help="Its code, or a part of its name.")]
Item = Annotated[str, typer.Option("--item", help="Item category, for example n95_respirator.")]
Days = Annotated[int, typer.Option("--days", min=1, max=400, help="The window, in days.")]
Carrier = Annotated[str, typer.Option("--carrier", help="The sender's code.")]

JUDGED_WITHIN = timedelta(seconds=60)
"""Ticks come every 5 s: a pipeline whose time is older than this is behind or stands still."""

_DAILY_MOST = 14
"""Days up to which a score is told day by day."""

_OWN_ZONES = "each hospital’s own zone"

BEGIN_LEAST = 6
"""Characters of an id's beginning that `--raw` asks for."""


def register(app: typer.Typer) -> None:
    """Add the questions to the `lovla` command."""
    for name, verb in (
        ("delayed", delayed),
        ("show", show),
        ("find", find),
        ("inbound", inbound),
        ("dwell", dwell),
        ("feeds", feeds),
        ("score", score),
        ("interchanges", interchanges),
        ("unmatched", unmatched),
    ):
        app.command(name)(verb)


@contextmanager
def _questions() -> Iterator[Questions]:
    from services.console.known import Unknown
    from services.console.questions import Questions
    from services.runtime.clickhouse import connect
    from services.runtime.settings import Settings

    client = connect(Settings.load(), "reader")
    try:
        yield Questions(client)
    except Unknown as error:
        raise Stop(str(error)) from None
    finally:
        client.close()


def _now(questions: Questions) -> tuple[datetime, str]:
    """The pipeline's time, and a line about it."""
    from services.runtime.clock import SystemClock
    from services.runtime.spoken import span

    moment, clock = questions.as_of(), SystemClock().now()
    if moment is None:
        typer.echo(
            "lovla: nothing has been judged yet: tracker and sink have only begun, or do not run; see `lovla status`.", err=True
        )
        return clock, "the pipeline has no time yet; this machine's clock is taken"
    behind = max(clock, questions.heard() or clock) - moment
    if behind > JUDGED_WITHIN:
        typer.echo(
            f"lovla: this is what was known {span(behind.total_seconds() / 3600)} ago:"
            " what came after is not in it yet; see `lovla status`.",
            err=True,
        )
    return moment, f"as of {moment:%Y-%m-%d %H:%M} UTC"


_UNMAPPED_HELP = "`lovla show --raw EVENT` prints the bytes; a code map says what a code means (docs/standards/codemaps.md)"


def _lines(rows: Sequence[object]) -> None:
    from services.console.render import as_json

    for row in rows:
        typer.echo(as_json(row))


def _cut(questions: Questions, rows: list[R], limit: int) -> tuple[list[R], str]:
    """Questions are asked for one line more than wanted, to know whether there are more."""
    if len(rows) <= limit:
        return rows, f"{len(rows)} {'line' if len(rows) == 1 else 'lines'}"
    return rows[:limit], f"the first {limit:,} of {questions.total():,} lines (--limit)"


@told
def delayed(
    hospital: Hospital = "",
    carrier: Annotated[str, typer.Option("--carrier", help="Code of the carrier or of any party.")] = "",
    terminal: Annotated[str, typer.Option("--terminal", help="Facility code of the terminal or airport.")] = "",
    vessel: Annotated[str, typer.Option("--vessel", help="A part of the vessel's name, or of the flight.")] = "",
    item: Item = "",
    tier: Annotated[int | None, typer.Option("--tier", min=1, max=5, help="Priority tier, 1 to 5.")] = None,
    exception: Annotated[
        list[str] | None, typer.Option("--exception", help="This kind of exception only; may be given more than once.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every kind of open exception, not only delays.")] = False,
    limit: Limit = 50,
    zone: Zone = None,
    as_json: AsJson = False,
) -> None:
    """What is late or will be, the worst first: by severity, then by hours.

    The hours are counted from the plan (late, overdue, will_be_late), from the end of the free or allowed time (dwell, silent),
    or from when a hold was placed (on_hold); other kinds have none.
    """
    from services.console import known, render
    from services.console.questions import DELAY_KINDS, DelayedFilter

    local = zone_of(zone)
    with _questions() as questions:
        kinds = [known.exception(kind) for kind in exception or (EXCEPTION_KINDS if everything else DELAY_KINDS)]
        said = known.meant(questions, {"hospital": hospital, "carrier": carrier, "terminal": terminal, "vessel": vessel})
        words = (said["hospital"], said["carrier"], said["terminal"], said["vessel"], known.item(item))
        wanted = DelayedFilter(tuple(kinds), *words, tier or 0)
        now, as_of = _now(questions)
        rows, note = _cut(questions, questions.delayed(wanted, now, limit + 1), limit)
    if as_json:
        _lines(rows)
    elif not rows:
        what = "No such exception is open" if everything or exception else "No such consignment is late, or is going to be"
        typer.echo(f"{what}; {as_of}.")
    else:
        shown = {kind for row in rows for kind in (row.exception, *row.also)}
        hours = "late by: after the plan; dwell, silent: over the limit; on_hold: since it was placed"
        notes = (f"{note}; {as_of}; times in {zone or _OWN_ZONES}", hours, *render.legend(shown))
        printed(render.delayed(rows, local, now), *notes)


@told
def show(
    consignment: Annotated[str, typer.Argument(help="The consignment's id, for example LACDHS-0001.")] = "",
    raw: Annotated[
        str | None,
        typer.Option(
            "--raw",
            help="Print the bytes that came, and nothing else: of an event, a receipt or a dead letter (its id or the beginning"
            " of it), or of PARTITION/OFFSET.",
        ),
    ] = None,
    zone: Zone = None,
    as_json: AsJson = False,
) -> None:
    """All that is known of one consignment, down to the bytes that somebody sent."""
    from rich.console import Group
    from rich.text import Text

    from services.console import render

    local = zone_of(zone)
    with _questions() as questions:
        if raw is not None:
            _print_raw(questions, raw, as_json)
            return
        if not consignment:
            raise Stop("say which consignment, or an event with --raw")
        journey = questions.show(consignment)
        if journey is None:
            near = questions.similar(consignment)
            hint = f"did you mean {', '.join(near)}?" if near else "`lovla find` looks through all references"
            raise Stop(f"no consignment {consignment} is known; {hint}")
        places = questions.facilities()
        now, _ = _now(questions)
    journey = render.judged(journey, now)
    if as_json:
        typer.echo(journey.model_dump_json(exclude_none=True))
        return
    hospital = places.get(journey.declaration.route.place_of_delivery or "")
    local = local or render.known_zone(hospital.zone if hospital else "UTC")
    parts: list[RenderableType] = [Text(line) for line in render.journey_heading(journey, places, local, now)]
    for table in render.journey_tables(journey, local):
        parts += [Text(), table]
    printed(Group(*parts), "", "`lovla show --raw EVENT` prints the bytes that came; the beginning of its id is enough.")


def _print_raw(questions: Questions, wanted: str, as_json: bool) -> None:
    import base64
    import json

    from services.console.rawview import bytes_of

    pointer = _pointer(questions, wanted)
    if pointer.offset < 0:
        raise Stop(f"{wanted} did not come in a message of its own: there are no bytes behind it")
    found = questions.raw_bytes(pointer.partition, pointer.offset)
    if found is None:
        place = f"{pointer.partition}/{pointer.offset}"
        raise Stop(f"there is no raw message at {place}; if it is new, it has not come yet: try again in some seconds")
    try:
        payload = bytes_of(found)
    except ValueError as error:
        raise Stop(str(error)) from None
    if as_json:
        names = ("standard", "code", "position", "partition", "offset")
        said = {"sender": found.sender} | {name: getattr(pointer, name) for name in names}
        said |= {"sha256": found.sha256, "content_type": found.content_type}
        typer.echo(json.dumps({**said, "payload_base64": base64.b64encode(payload).decode()}))
        return
    what = " ".join(part for part in (found.sender, pointer.standard, pointer.code) if part)
    where = f"raw.messages.v1 {pointer.partition}/{pointer.offset}" + (f" @{pointer.position}" if pointer.position else "")
    typer.echo(f"{what}, at {where}, sha256 {found.sha256}", err=True)
    sys.stdout.buffer.write(payload)
    sys.stdout.buffer.flush()


def _pointer(questions: Questions, wanted: str) -> RawPointer:
    """Of PARTITION/OFFSET, an id, or the beginning of one. Raises Stop."""
    from services.console.questions import RawPointer

    partition, slash, offset = wanted.partition("/")
    if slash and partition.isdecimal() and offset.isdecimal():
        return RawPointer("", "", "", "", int(partition), int(offset))
    found = questions.raw_pointer(wanted)
    if found is not None:
        return found
    ids = questions.raw_ids(wanted) if len(wanted) >= BEGIN_LEAST else []
    if len(ids) > 1:
        raise Stop(f"several ids begin with {wanted}: {', '.join(ids)}; give more of it")
    found = questions.raw_pointer(ids[0]) if ids else None
    if found is None:
        raise Stop(
            f"no event, receipt or dead letter {wanted} is known; `lovla show CONSIGNMENT` and `lovla dead-letters` list them"
        )
    return found


@told
def find(
    reference: Annotated[str, typer.Argument(help="Container, bill of lading, AWB, booking, PO, consignment ...")],
    limit: Limit = 50,
    zone: Zone = None,
    as_json: AsJson = False,
) -> None:
    """Who has this reference: consignments, and events that nobody owns."""
    from zoneinfo import ZoneInfo

    from services.console import render

    local = zone_of(zone)
    with _questions() as questions:
        rows, note = _cut(questions, questions.find(reference, limit + 1), limit)
        # where a consignment has the reference, its events stand in `show`; else all are told, whoever has them
        events, events_note = _cut(questions, questions.find_events(reference, not rows, limit + 1), limit)
        places = questions.facilities()
        now, _ = _now(questions)
    if as_json:
        _lines([*rows, *events])
        return
    if not rows and not events:
        typer.echo(f"Nothing is known under {reference}.")
    if rows:
        legend = render.legend(kind for row in rows for kind in row.wrong)
        printed(render.found(rows, places, local, now), f"{note}; times in {zone or _OWN_ZONES}", *legend)
    if events:
        what = "Events that name it" if any(event.owned for event in events) else "Events that no consignment owns"
        local = local or ZoneInfo("UTC")
        printed(render.found_events(what, events, local), f"{events_note}; times in {local.key}")


@told
def inbound(hospital: Hospital = "", item: Item = "", days: Days = 14, limit: Limit = 200, as_json: AsJson = False) -> None:
    """Goods on their way: quantity by item category and local day of expected arrival, and how sure it is."""
    from services.console import known, render

    with _questions() as questions:
        hospital, item = known.meant(questions, {"hospital": hospital})["hospital"], known.item(item)
        now, as_of = _now(questions)
        rows, note = _cut(questions, questions.inbound(now, now + timedelta(days=days), hospital, item, limit + 1), limit)
    if as_json:
        _lines(rows)
    elif not rows:
        typer.echo(f"Nothing is expected within {days} days. {as_of}")
    else:
        printed(
            render.inbound(rows),
            f"{note}; {as_of}; day: of the hospital's zone; each quantity stands once, by how sure its day is",
        )


@told
def dwell(
    terminal: Annotated[str, typer.Option("--terminal", help="Facility code of the terminal or airport.")] = "",
    days: Days = 30,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """How long units stand at each terminal: of those that left, and the oldest still there."""
    from services.console import known, render

    with _questions() as questions:
        terminal = known.meant(questions, {"terminal": terminal})["terminal"]
        now, as_of = _now(questions)
        rows, note = _cut(questions, questions.dwell(now, now - timedelta(days=days), terminal, limit + 1), limit)
    if as_json:
        _lines(rows)
    elif not rows:
        typer.echo(f"No unit has been discharged at {terminal or 'any terminal'} yet. {as_of}")
    else:
        printed(render.dwell(rows), f"{note}; left within {days} days; {as_of}")


@told
def feeds(
    carrier: Carrier = "",
    days: Days = 7,
    everyone: Annotated[
        bool, typer.Option("--all", help="Buyers, hospitals and operators too, of whom no events are expected.")
    ] = False,
    codes: Annotated[
        bool, typer.Option("--codes", help="Only the codes that are in no map, with counts and an example.")
    ] = False,
    limit: Limit = 100,
    zone: Zone = None,
    as_json: AsJson = False,
) -> None:
    """How each sender's feed does: last event, events an hour, delay, repeats, unmapped, warnings, dead letters, claims.

    A repeat: the same event came again. Unmapped: its code is in no map; it is kept and moves nothing. Which codes, and whose
    interchanges came again, is told below the feeds. A claim: its sender has no standing for the consignment; it moves nothing.
    """
    from zoneinfo import ZoneInfo

    from services.console import known, render

    local = zone_of(zone) or ZoneInfo("UTC")
    with _questions() as questions:
        carrier = known.meant(questions, {"carrier": carrier})["carrier"]
        now, as_of = _now(questions)
        since = now - timedelta(days=days)
        unmapped, more = _cut(questions, questions.unmapped(since, carrier, limit + 1), limit)
        if not codes:
            again = questions.interchanges(since, carrier, limit)
            rows, note = _cut(questions, questions.feeds(now, since, carrier, everyone, limit + 1), limit)
    if as_json:
        _lines(unmapped if codes else rows)
    elif codes and not unmapped:
        typer.echo(f"Every code of the last {days} days is in a map. {as_of}")
    elif codes:
        printed(render.unmapped(unmapped, local), f"{more}; {as_of}; {_UNMAPPED_HELP}")
    elif not rows:
        if carrier:
            raise Stop(f"{carrier} is no sender, and never sent anything; `lovla carriers add` adds one")
        typer.echo("No sender is known yet; `lovla carriers add` adds one.")
    else:
        printed(render.feeds(rows, local, days), f"{note}; {as_of}; times in {local.key}; claims: in journeys as they are now")
        if unmapped:
            printed(render.unmapped(unmapped, local), f"{more}; {_UNMAPPED_HELP}")
        if again:
            senders = ", ".join(sorted({one.sender for one in again}))
            typer.echo(f"A control number came again, which changes nothing, from {senders}: `lovla interchanges` lists them.")


@told
def score(
    carrier: Annotated[str, typer.Argument(metavar="[CODE]", help="The sender's code; without one, a line a sender.")] = "",
    days: Days = 28,
    on_time_h: Annotated[float, typer.Option("--on-time", min=0.1, max=8_784, help="Hours in which an actual is in time")] = 24,
    limit: Limit = 100,
    zone: Zone = None,
    as_json: AsJson = False,
) -> None:
    """A carrier's score over time: the share of its events mapped, with a zone said, with valid references, on time.

    A line a day up to two weeks, else a line a week, and one for all of it. The score: the share of all statements, unread ones
    too, that have nothing to wish for.
    """
    from zoneinfo import ZoneInfo

    from services.console import known, render

    local = zone_of(zone) or ZoneInfo("UTC")
    step = 0 if not carrier else 1 if days <= _DAILY_MOST else 7
    with _questions() as questions:
        carrier = known.meant(questions, {"carrier": carrier})["carrier"]
        now, as_of = _now(questions)
        since = now - timedelta(days=days)
        rows, note = _cut(questions, questions.scores(since, step, on_time_h, carrier, limit + 1), limit)
        whole = questions.scores(since, 0, on_time_h, carrier) if step else []
    if as_json:
        _lines(rows)
    elif not rows:
        who = carrier or "Nobody"
        typer.echo(f"{who} sent nothing within {days} days; who may send: `lovla carriers list`. {as_of}")
    else:
        printed(render.scores(rows, local, bool(step), on_time_h), f"{note}; of {days} days; {as_of}; dates in {local.key}")
        for row in whole:
            of = f"{row.events:,} events and {row.unread:,} unread"
            typer.echo(f"{row.sender} in {days} days: score {render.share(row.faultless, row.events + row.unread)} of {of}")


@told
def interchanges(carrier: Carrier = "", days: Days = 30, limit: Limit = 50, zone: Zone = None, as_json: AsJson = False) -> None:
    """X12 and EDIFACT interchanges whose control number was there before: harmless, but their sender may want to know."""
    from zoneinfo import ZoneInfo

    from services.console import known, render

    local = zone_of(zone) or ZoneInfo("UTC")
    with _questions() as questions:
        carrier = known.meant(questions, {"carrier": carrier})["carrier"]
        now, as_of = _now(questions)
        rows, note = _cut(questions, questions.interchanges(now - timedelta(days=days), carrier, limit + 1), limit)
    if as_json:
        _lines(rows)
    elif not rows:
        typer.echo(f"No control number came twice within {days} days. {as_of}")
    else:
        printed(render.interchanges(rows, local), f"{note}; {as_of}; times in {local.key}")


@told
def unmatched(carrier: Carrier = "", days: Days = 30, limit: Limit = 50, zone: Zone = None, as_json: AsJson = False) -> None:
    """Events that belong to no consignment: by sender and reference."""
    from zoneinfo import ZoneInfo

    from services.console import known, render

    local = zone_of(zone) or ZoneInfo("UTC")
    with _questions() as questions:
        carrier = known.meant(questions, {"carrier": carrier})["carrier"]
        now, as_of = _now(questions)
        rows, note = _cut(questions, questions.unmatched(now - timedelta(days=days), carrier, limit + 1), limit)
    if as_json:
        _lines(rows)
    elif not rows:
        typer.echo(f"Every event of the last {days} days names a reference by which a consignment has it. {as_of}")
    else:
        printed(render.unmatched(rows, local), f"{note}; of the last {days} days; {as_of}; times in {local.key}")
