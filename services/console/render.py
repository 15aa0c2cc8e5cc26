"""Answers as tables for people and as JSON for machines. Pure: values in, text and tables out.

Every cell that holds a sender's text goes in as `Text`, never as markup. A table that does not fit the width without breaking
ids and words is told as cards (`Sheet`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from schemas.base import rfc3339, to_utc
from schemas.journey_v1 import ExceptionState, Journey, MilestoneState
from services.console.questions import (
    Delayed,
    Dwell,
    FeedHealth,
    Found,
    FoundEvent,
    Inbound,
    Interchange,
    Place,
    Score,
    Unmapped,
    Unmatched,
)
from services.runtime.spoken import span, when

SEVERITY_STYLE: Mapping[str, str] = {"critical": "bold red", "major": "red", "minor": "yellow"}

BASIS: Mapping[str, str] = {
    "actual": "happened",
    "estimate": "estimated",
    "plan_and_slip": "plan + delay so far",
    "plan": "planned",
    "required_by": "required then, not planned",
    "unknown": "unknown",
}

MEANING: Mapping[str, str] = {
    "late": "it happened, later than planned",
    "will_be_late": "the newest estimate is past the plan",
    "overdue": "it should have happened by now, and nobody says that it did",
    "dwell": "it stands at the terminal for longer than is free",
    "silent": "nobody has told anything for too long",
    "on_hold": "customs or another hold it",
    "rolled": "it was moved to another sailing or flight",
    "short": "the dock counted less than was declared",
    "misrouted": "it arrived where its route does not lead",
    "conflict": "two senders contradict each other on when or where",
}

LONG_LEAST, LONG_WORD = 20, 46
"""Columns that a column of long text has at least; and at least its longest word, up to so long."""

BRIEF = 12
"""Characters of an id of 32 that tables show: enough to tell it from all others (`show --raw` takes the beginning of an id)."""


# -- values -------------------------------------------------------------------------------------------------------------


def as_json(row: object) -> str:
    """One line of JSON; times in UTC."""
    assert is_dataclass(row)
    return json.dumps({field.name: getattr(row, field.name) for field in fields(row)}, default=_plain, ensure_ascii=False)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return rfc3339(to_utc(value))
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON")


def count(number: float) -> str:
    """`240,000`."""
    return f"{number:,}"


def goods(lines: Iterable[tuple[str, int, str]]) -> str:
    """`240,000 n95_respirator, 500 box glove`."""
    return ", ".join(f"{quantity:,} {'' if unit == 'each' else unit + ' '}{category}" for category, quantity, unit in lines)


def visible(text: str) -> str:
    """A sender's text without what a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text)


def brief(id_: str) -> str:
    """The beginning of an event's or command's id."""
    return id_[:BRIEF] if re.fullmatch(r"[0-9a-f]{32}", id_) else id_


def legend(kinds: Iterable[str]) -> list[str]:
    """A line that says what these kinds of exceptions mean; none without any."""
    named = set(kinds)
    meanings = [f"{kind}: {meaning}" for kind, meaning in MEANING.items() if kind in named]
    return ["; ".join(meanings)] if meanings else []


@dataclass
class Sheet:
    """Rows under names. Rendered as a table where it fits the width, else each row as a card of some lines.

    A column named with `>` in front holds numbers and stands to the right; with `~`, long text that may be folded between
    words; all others are never folded. A column without anything in it is left out.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Text, ...]] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)

    @property
    def row_count(self) -> int:
        return len(self.rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        used = [n for n in range(len(self.columns)) if any(row[n].plain for row in self.rows)]
        widest = {n: max(line.cell_len for text in self._texts(n) for line in text.split(allow_blank=True)) for n in used}
        widths = {n: self._least(n, widest[n]) for n in used}
        spare = options.max_width - sum(widths.values()) - 2 * (len(used) - 1)
        if spare < 0:
            yield from self._cards(used)
            return
        for n in reversed(used):  # what is said at length stands last
            more = min(spare, widest[n] - widths[n])
            widths[n], spare = widths[n] + more, spare - more
        yield self._table(widths)

    def _texts(self, n: int) -> list[Text]:
        return [Text(self.columns[n].lstrip(">~")), *(row[n] for row in self.rows)]

    def _least(self, n: int, widest: int) -> int:
        """Columns that this one needs so that nothing in it breaks."""
        if not self.columns[n].startswith("~"):
            return widest
        word = max(len(word) for text in self._texts(n) for word in (text.plain.split() or [""]))
        return min(widest, max(LONG_LEAST, min(word, LONG_WORD)))

    def _table(self, widths: Mapping[int, int]) -> Table:
        made = Table(title=Text(self.title) if self.title else None, title_justify="left", box=None, pad_edge=False)
        made.header_style = "bold"
        for n, width in widths.items():
            name = self.columns[n]
            justify: JustifyMethod = "right" if name.startswith(">") else "left"
            made.add_column(Text(name.lstrip(">~")), justify=justify, width=width, overflow="fold")
        for row, style in zip(self.rows, self.styles, strict=True):
            made.add_row(*(row[n] for n in widths), style=style)
        return made

    def _cards(self, used: Sequence[int]) -> Iterator[RenderableType]:
        """The first named cell, and beside it those without a name; then the short ones; long texts on lines of their own."""
        if self.title:
            yield Text(self.title, style="italic")
        first = next((n for n in used if self.columns[n]), used[0])
        for row, style in zip(self.rows, self.styles, strict=True):
            head = Text(" ").join([text for n in used if n <= first and (text := row[n]).plain] or [Text("-")])
            head.stylize(f"bold {style}".strip())
            yield head
            short: list[Text] = []
            long: list[Text] = []
            for n in used:
                if n > first and row[n].plain:
                    name = self.columns[n].lstrip(">~").replace("\n", " ")
                    cell = Text.assemble((f"{name}: " if name else "", "dim"), row[n])
                    (long if self.columns[n].startswith("~") else short).append(cell)
            for text in ([Text("; ").join(short)] if short else []) + long:
                yield Padding(text, (0, 0, 0, 2), style=style)


def table(title: str, *columns: str) -> Sheet:
    """An empty sheet."""
    return Sheet(title, columns)


def add(made: Sheet, *cells: object, style: str = "") -> None:
    """A row whose cells are text and nothing else."""
    texts = (cell if isinstance(cell, Text) else Text(visible("" if cell is None else str(cell))) for cell in cells)
    made.rows.append(tuple(texts))
    made.styles.append(style)


# -- answers ------------------------------------------------------------------------------------------------------------


def expected(moment: datetime | None, basis: str, now: datetime, zone: ZoneInfo) -> str:
    """When it will be at the hospital, and how we know. A plan that is past is no expectation."""
    if moment is None:
        return "unknown"
    said = f"{when(moment, zone)} ({BASIS.get(basis, basis)})"
    return f"was {said}, no word since" if moment < now and basis != "actual" else said


def delayed(rows: Sequence[Delayed], zone: ZoneInfo | None, now: datetime) -> Sheet:
    """`zone` None: each in its hospital's own."""
    made = table(
        "",
        "consignment",
        "severity",
        ">late by",
        "since",
        "where",
        "~expected at hospital",
        "~hospital",
        ">tier",
        "~goods",
        "~what is wrong",
    )
    for row in rows:
        local = zone or known_zone(row.zone)
        more = f" (also: {', '.join(row.also)})" if row.also else ""
        place = "" if row.stage == "registered" else row.place or row.terminal
        style = SEVERITY_STYLE.get(row.severity, "")
        add(
            made,
            row.consignment,
            Text(row.severity, style=style),
            span(row.hours_late),
            when(row.since, local),
            " ".join(part for part in (row.stage, place) if part),
            expected(row.expected_delivery, row.expected_basis, now, local),
            row.hospital,
            row.tier,
            goods(row.goods),
            Text(visible(row.sentence + more), style=style),
        )
    return made


def found(rows: Sequence[Found], places: Mapping[str, Place], zone: ZoneInfo | None, now: datetime) -> Sheet:
    """`zone` None: each in its hospital's own."""
    made = table("Consignments", "consignment", "found by", "stage", "milestone", "for", "~expected at hospital", "~wrong")
    for row in rows:
        by = f"{row.by_kind} {row.by_value}" + ("" if row.how == "declared" else f" ({row.how})")
        hospital = places.get(row.facility)
        local = zone or known_zone(hospital.zone if hospital else "UTC")
        coming = expected(row.expected_delivery, row.expected_basis, now, local)
        add(made, row.consignment, by, row.stage, row.milestone, row.facility, coming, ", ".join(row.wrong))
    return made


def found_events(title: str, rows: Sequence[FoundEvent], zone: ZoneInfo) -> Sheet:
    made = table(title, "occurred", "sender", "code", "milestone", "classifier", "reference", "event", "")
    for row in rows:
        note = "retracted" if row.retracted else "known to a consignment by another reference" if row.owned else ""
        occurred, reference = when(row.occurred_at, zone), f"{row.kind} {row.value}"
        add(made, occurred, row.sender, row.code, row.milestone, row.classifier, reference, brief(row.event_id), note)
    return made


def inbound(rows: Sequence[Inbound]) -> Sheet:
    made = table(
        "",
        "day",
        "goods",
        ">quantity",
        "unit",
        ">estimated",
        ">plan + delay",
        ">planned",
        ">required then,\nnot planned",
        ">day is past,\nno word since",
        ">of these\nin trouble",
        ">consignments",
    )
    last = None
    for row in rows:
        day = f"{row.day:%a %d %b %Y}" if row.day != last else ""
        last = row.day
        sure = (row.by_estimate, row.by_slip, row.by_plan, row.by_wish, row.passed, row.in_trouble)
        numbers = [count(number) if number else "" for number in sure]
        add(made, day, row.category, count(row.quantity), row.unit, *numbers, row.consignments)
    return made


def dwell(rows: Sequence[Dwell]) -> Sheet:
    made = table(
        "",
        "terminal",
        "",
        ">left",
        ">median",
        ">p90",
        ">still there",
        ">oldest",
        "which",
    )
    for row in rows:
        which = " ".join(part for part in (row.oldest_consignment, row.oldest_unit.partition(":")[2]) if part)
        hours = span(row.median_h), span(row.p90_h)
        add(made, row.terminal, row.name, row.left_count, *hours, row.standing, span(row.oldest_h), which)
    return made


def feeds(rows: Sequence[FeedHealth], zone: ZoneInfo, days: int) -> Sheet:
    """`days`: the window of all that is counted, but for events/h (24 hours) and claims (of all journeys)."""
    window = f"\nin {days} d"
    made = table(
        "",
        "sender",
        "~name",
        "kind",
        "last event",
        ">events/h\nin 24 h",
        f">median delay\nof report{window.replace(chr(10), ' ')}",
        f">events{window}",
        f">repeats{window}",
        f">unmapped{window}",
        f">with warnings{window}",
        f">dead letters{window}",
        ">claims",
        "silent since",
    )
    for row in rows:
        numbers = (row.events, row.repeats, row.unmapped, row.warned, row.dead_letters, row.claims)
        add(
            made,
            row.sender,
            row.name,
            row.kind,
            when(row.last_event_at, zone) or "never",
            f"{row.events_per_h:.1f}",
            span(row.lateness_h),
            *(count(number) if number else "" for number in numbers),
            when(row.silent_since, zone),
            style="red" if row.silent_since else "",
        )
    return made


def scores(rows: Sequence[Score], zone: ZoneInfo, periods: bool, on_time_h: float) -> Sheet:
    """Shares in percent. `periods`: a line a period, else a line a sender."""
    made = table(
        "",
        "sender",
        "begins",
        ">events",
        ">not read",
        ">mapped",
        ">zone said",
        ">references valid",
        f">on time\n({span(on_time_h)}, actuals)",
        ">score",
    )
    for row in rows:
        shares = [share(part, row.events) for part in (row.mapped, row.zone_said, row.references_valid)]
        on_time, whole = share(row.on_time, row.actuals), share(row.faultless, row.events + row.unread)
        begins = f"{row.begins.astimezone(zone):%Y-%m-%d}" if periods else ""
        add(made, row.sender, begins, count(row.events), count(row.unread) if row.unread else "", *shares, on_time, whole)
    return made


def share(part: int, whole: int) -> str:
    """`97.5 %`; empty where there is nothing to be a share of."""
    return f"{part / whole:.1%}".replace("%", " %") if whole else ""


def interchanges(rows: Sequence[Interchange], zone: ZoneInfo) -> Sheet:
    made = table(
        "", "sender", "envelope", "its sender", "control number", ">times", "~what came", "first", "last", "newest record"
    )
    for row in rows:
        came = "the same bytes" if row.contents == 1 else f"{row.contents} different bodies"
        first, last = when(row.first_at, zone), when(row.last_at, zone)
        where = f"{row.last_partition}/{row.last_offset}"
        style = "yellow" if row.contents > 1 else ""
        add(made, row.sender, row.standard, row.named, row.control, row.times, came, first, last, where, style=style)
    return made


def unmapped(rows: Sequence[Unmapped], zone: ZoneInfo) -> Sheet:
    columns = (
        "sender",
        "standard",
        "code",
        "~in its own words",
        ">events",
        "first heard",
        "last heard",
        "an event",
        "its bytes",
    )
    made = table("Codes in no map", *columns)
    for row in rows:
        first, last = when(row.first_at, zone), when(row.last_at, zone)
        raw = f"{row.raw_partition}/{row.raw_offset} {row.raw_position}"
        add(made, row.sender, row.standard, row.code, row.words, row.events, first, last, brief(row.example), raw)
    return made


def unmatched(rows: Sequence[Unmatched], zone: ZoneInfo) -> Sheet:
    made = table("", "sender", "reference", "", ">events", "~codes", "first heard", "last heard", "an event")
    for row in rows:
        codes = ", ".join(sorted(row.codes))
        first, last = when(row.first_at, zone), when(row.last_at, zone)
        add(made, row.sender, row.kind, row.value, row.events, codes, first, last, brief(row.example))
    return made


# -- one journey ----------------------------------------------------------------------------------------------------------


def judged(journey: Journey, now: datetime) -> Journey:
    """The journey with the hours of each exception as of `now`: what is still going on has none in the record."""
    states = tuple(state.model_copy(update={"late_h": hours_late(state, journey, now)}) for state in journey.exceptions)
    return journey.model_copy(update={"exceptions": states})


def hours_late(state: ExceptionState, journey: Journey, now: datetime) -> float | None:
    """Hours after the plan (late, overdue, will_be_late), over the limit (dwell, silent), since placed (on_hold), or None.

    The rule of queries/delayed.sql.
    """
    end = now if state.status == "open" else state.end
    if state.kind in ("late", "will_be_late"):
        return state.late_h
    if end is None or state.kind not in ("overdue", "dwell", "silent", "on_hold"):
        return None
    base = state.start
    if state.kind == "overdue":
        plans = [said.planned for said in journey.milestones if said.milestone == state.milestone and not said.leg]
        required = journey.declaration.required_by if state.milestone == "delivered" else None
        base = next((plan for plan in (*plans, required) if plan), state.start)
    return round(max((end - base).total_seconds() / 3600, 0.0), 1)


def journey_heading(journey: Journey, places: Mapping[str, Place], zone: ZoneInfo, now: datetime) -> list[str]:
    """Who, what, where to, and by when, in a few lines."""
    seen = any(said.classifier == "actual" and said.place for said in journey.statements)
    declared = journey.declaration
    route = declared.route
    hospital = _place(route.place_of_delivery, places)
    ends = [end for end in (route.origin, *route.via, route.port_of_discharge, hospital) if end]
    lines = [
        f"{journey.consignment}: {journey.stage.replace('_', ' ')}"
        + (f", last seen at {journey.place}" if journey.place and seen else "")
        + f"; tier {declared.tier}, buyer {journey.buyer}",
        f"route: {' > '.join(ends) or 'not declared'} by {journey.mode}"
        + (f", {journey.vessel} {journey.voyage or ''}".rstrip() if journey.vessel else "")
        + (f", carrier {journey.carrier}" if journey.carrier else "")
        + (f", terminal {_place(journey.terminal, places)}" if journey.terminal else ""),
        f"expected at hospital: {expected(journey.expected_delivery, journey.expected_basis, now, zone)}"
        + (f"; required by {when(declared.required_by, zone)}" if declared.required_by else ""),
        f"last changed {when(journey.at, zone) or 'before there was a time'}; times in {zone.key}",
    ]
    parties = [f"{role} {code}" for role, code in sorted(declared.parties.items())]
    parties += [f"{role} {code} (appointed)" for role, code in journey.appointed if declared.parties.get(role) != code]
    if parties:
        lines.insert(2, "parties: " + ", ".join(parties))
    if declared.note:
        lines.append(f"note: {declared.note}")
    return [visible(line) for line in lines]


def _place(code: str | None, places: Mapping[str, Place]) -> str:
    if code is None:
        return ""
    return f"{places[code].name} ({code})" if code in places else code


def journey_tables(journey: Journey, zone: ZoneInfo) -> list[Sheet]:
    """Everything that is known, the wrong things first; empty parts are left out."""
    parts = [
        _exceptions(journey.exceptions, zone),
        _milestones(journey.milestones, zone),
        _units(journey, zone),
        _goods(journey),
        _holds(journey, zone),
        _references(journey),
        _statements(journey, zone),
        _claims(journey, zone),
        _receipts(journey, zone),
        _warnings(journey),
    ]
    return [part for part in parts if part.row_count]


def _exceptions(states: Sequence[ExceptionState], zone: ZoneInfo) -> Sheet:
    made = table(
        "What is wrong", "kind", "status", "severity", ">late by", "since", "until", "concerns", "~because of events", "~what"
    )
    order = {"open": 0, "ended": 1, "withdrawn": 2}
    for state in sorted(states, key=lambda state: (order[state.status], state.start)):
        style = SEVERITY_STYLE[state.severity] if state.status == "open" else "dim"
        add(
            made,
            state.kind,
            state.status,
            Text(state.severity, style=style),
            span(state.late_h),
            when(state.start, zone),
            when(state.end, zone),
            state.party,
            " ".join(map(brief, state.evidence[:3])),
            Text(visible(state.sentence), style=style),
        )
    return made


def _milestones(states: Sequence[MilestoneState], zone: ZoneInfo) -> Sheet:
    made = table("Journey", "milestone", "planned", "estimated", "actual", "by", "units")
    for state in states:
        name = f"{state.milestone} {state.leg}".rstrip()
        units = f"{state.units_done} of {state.units_total}" if state.units_total else ""
        times = [when(moment, zone) for moment in (state.planned, state.estimated, state.actual)]
        add(made, name, *times, state.sender, units)
    return made


def _units(journey: Journey, zone: ZoneInfo) -> Sheet:
    made = table("Units", "unit", "last milestone", "at", "place", "~goods", "~planned, estimated or actual of its own")
    for unit in journey.units:
        goods = ", ".join(f"line {line}: {quantity:,}" for line, quantity in sorted(unit.quantities.items()))
        own = [
            f"{said.milestone} {said.classifier} {when(said.occurred_at, zone)}"
            for said in journey.statements
            if said.unit == unit.unit and said.decides
        ]
        add(made, unit.unit, unit.milestone, when(unit.at, zone), unit.place, goods, "; ".join(own))
    return made


def _goods(journey: Journey) -> Sheet:
    made = table("Goods", "line", "category", ">quantity", "unit", "lot", ">delivered", "on whose word")
    delivered = {line.line: line for line in journey.delivered}
    for item in journey.declaration.items:
        done = delivered.get(item.line)
        got, basis = (count(done.good), done.basis) if done else ("", "")
        add(made, item.line, item.category, count(item.quantity), item.unit, item.lot, got, basis)
    return made


def _holds(journey: Journey, zone: ZoneInfo) -> Sheet:
    made = table("Holds", "kind", "unit", "placed", "released", "by", "event")
    for hold in journey.holds:
        released = when(hold.released_at, zone) or "not yet"
        add(made, hold.kind, hold.unit, when(hold.placed_at, zone), released, hold.sender, brief(hold.event_id))
    return made


def _references(journey: Journey) -> Sheet:
    made = table("References", "kind", "value", "~how we know it", "shared")
    for reference in journey.references:
        how = f"learned from event {brief(reference.teacher or '')}" if reference.how == "learned" else reference.how
        add(made, reference.kind, reference.value, how, "yes" if reference.shared else "")
    return made


def _statements(journey: Journey, zone: ZoneInfo) -> Sheet:
    made = table(
        "Who said what (> the journey follows it; raw: the message it came in, @ the place there)",
        "",
        "milestone",
        "unit",
        "classifier",
        "occurred",
        "received",
        "sender",
        "code",
        "place",
        "event",
        "raw",
    )
    for said in journey.statements:
        raw = f"{said.raw.partition}/{said.raw.offset}" if said.raw else ""
        if said.raw and said.raw.position:
            raw += f" @{said.raw.position}"
        sender = f"{said.sender} ({said.recorded_by})" if said.recorded_by else said.sender
        add(
            made,
            ">" if said.decides else "",
            f"{said.milestone} {said.leg}".rstrip(),
            said.unit.partition(":")[2],
            said.classifier,
            when(said.occurred_at, zone),
            when(said.received_at, zone),
            sender,
            said.code,
            said.place,
            brief(said.event_id),
            raw,
        )
    return made


def _claims(journey: Journey, zone: ZoneInfo) -> Sheet:
    made = table(
        "Claims (by senders without standing here: shown, they move nothing)",
        "occurred",
        "sender",
        "code",
        "milestone",
        "by",
        "event",
    )
    for claim in journey.claims:
        by = f"{claim.reference.kind} {claim.reference.value}" if claim.reference else ""
        add(made, when(claim.occurred_at, zone), claim.sender, claim.code, claim.milestone, by, brief(claim.event_id))
    return made


def _receipts(journey: Journey, zone: ZoneInfo) -> Sheet:
    made = table("Dock receipts", "at", "by", "final", "receipt", "~counted")
    for receipt in journey.receipts:
        counted = "; ".join(
            f"line {line.line}: {line.good:,} good, {line.short:,} short, {line.damaged:,} damaged" for line in receipt.lines
        )
        by = f"{receipt.sender} ({receipt.recorded_by})" if receipt.recorded_by else receipt.sender
        add(made, when(receipt.occurred_at, zone), by, "yes" if receipt.final else "no", brief(receipt.command_id), counted)
    return made


def _warnings(journey: Journey) -> Sheet:
    made = table("Warnings", "~")
    for warning in journey.warnings:
        add(made, warning)
    return made


def known_zone(name: str) -> ZoneInfo:
    """A facility's zone; UTC where the register has a name that is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")
