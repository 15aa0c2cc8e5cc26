"""Answers as tables for people and as JSON for machines. Pure: values in, text and tables out.

Every cell that holds a sender's text goes in as `Text`, never as markup.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

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
    Letter,
    Place,
    Unmatched,
)

SEVERITY_STYLE: Mapping[str, str] = {"critical": "bold red", "major": "red", "minor": "yellow"}

BASIS: Mapping[str, str] = {
    "actual": "happened",
    "estimate": "estimated",
    "plan_and_slip": "plan + delay so far",
    "plan": "planned",
    "required_by": "only wished",
    "unknown": "unknown",
}


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


def when(moment: datetime | None, zone: ZoneInfo) -> str:
    """`Sat 11 Apr 09:40`, with the year where it is not clear: the reader knows the zone from the heading."""
    return "" if moment is None else f"{moment.astimezone(zone):%a %d %b %Y %H:%M}"


def span(hours: float | None) -> str:
    """`3 d 4 h`, `5.5 h`, `40 min`."""
    if hours is None:
        return ""
    if hours >= 48:
        days, rest = divmod(round(hours), 24)
        return f"{days} d {rest} h" if rest else f"{days} d"
    if hours >= 1 or hours == 0:
        return f"{hours:.1f} h".replace(".0 ", " ")
    return f"{hours * 60:.0f} min"


def count(number: float) -> str:
    """`240,000`."""
    return f"{number:,}"


def goods(lines: Iterable[tuple[str, int, str]]) -> str:
    """`240,000 n95_respirator, 500 box glove`."""
    return ", ".join(f"{quantity:,} {'' if unit == 'each' else unit + ' '}{category}" for category, quantity, unit in lines)


def visible(text: str) -> str:
    """A sender's text without what a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text)


def table(title: str, *columns: str) -> Table:
    """An empty table; a column named with `>` in front holds numbers and stands to the right."""
    made = Table(title=Text(title) if title else None, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    return made


def add(made: Table, *cells: object, style: str | None = None) -> None:
    """A row whose cells are text and nothing else."""
    texts = (cell if isinstance(cell, Text) else Text(visible("" if cell is None else str(cell))) for cell in cells)
    made.add_row(*texts, style=style)


# -- answers ------------------------------------------------------------------------------------------------------------


def delayed(rows: Sequence[Delayed], zone: ZoneInfo | None) -> Table:
    """`zone` None: each in its hospital's own."""
    made = table(
        "",
        "consignment",
        "hospital",
        "what is wrong",
        "since",
        ">late",
        "where",
        "expected at hospital",
        ">tier",
        "goods",
    )
    for row in rows:
        local = zone or known_zone(row.zone)
        more = f" (also: {', '.join(row.also)})" if row.also else ""
        where = " ".join(part for part in (row.stage, row.place or row.terminal) if part)
        add(
            made,
            row.consignment,
            row.hospital,
            Text(visible(row.sentence + more), style=SEVERITY_STYLE.get(row.severity, "")),
            when(row.since, local),
            span(row.hours_late),
            where,
            f"{when(row.expected_delivery, local)} ({BASIS.get(row.expected_basis, row.expected_basis)})"
            if row.expected_delivery
            else "unknown",
            row.tier,
            goods(row.goods),
        )
    return made


def found(rows: Sequence[Found]) -> Table:
    made = table("Consignments", "consignment", "found by", "stage", "milestone", "for", "expected (UTC)", "wrong")
    for row in rows:
        by = f"{row.by_kind} {row.by_value}" + ("" if row.how == "declared" else f" ({row.how})")
        expected = when(row.expected_delivery, ZoneInfo("UTC"))
        add(made, row.consignment, by, row.stage, row.milestone, row.facility, expected, ", ".join(row.wrong))
    return made


def found_events(title: str, rows: Sequence[FoundEvent], zone: ZoneInfo) -> Table:
    made = table(title, "occurred", "sender", "code", "milestone", "classifier", "reference", "event", "")
    for row in rows:
        note = "retracted" if row.retracted else ""
        reference = f"{row.kind} {row.value}"
        add(
            made,
            when(row.occurred_at, zone),
            row.sender,
            row.code,
            row.milestone,
            row.classifier,
            reference,
            row.event_id,
            note,
        )
    return made


def inbound(rows: Sequence[Inbound]) -> Table:
    made = table(
        "",
        "day",
        "goods",
        ">quantity",
        "unit",
        ">estimated",
        ">plan + delay",
        ">planned",
        ">only wished",
        ">of these in trouble",
        ">consignments",
    )
    last = None
    for row in rows:
        day = f"{row.day:%a %d %b %Y}" if row.day != last else ""
        last = row.day
        sure = (row.by_estimate, row.by_slip, row.by_plan, row.by_wish, row.in_trouble)
        numbers = [count(number) if number else "" for number in sure]
        add(made, day, row.category, count(row.quantity), row.unit, *numbers, row.consignments)
    return made


def dwell(rows: Sequence[Dwell]) -> Table:
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


def feeds(rows: Sequence[FeedHealth], zone: ZoneInfo) -> Table:
    made = table(
        "",
        "sender",
        "name",
        "kind",
        "last event",
        ">events/h",
        ">reported after",
        ">events",
        ">repeats",
        ">unmapped",
        ">claims",
        ">dead letters",
        "silent since",
    )
    for row in rows:
        numbers = (row.events, row.repeats, row.unmapped, row.claims, row.dead_letters)
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
            style="red" if row.silent_since else None,
        )
    return made


def unmatched(rows: Sequence[Unmatched], zone: ZoneInfo) -> Table:
    made = table("", "sender", "reference", "", ">events", "codes", "first", "last", "an event")
    for row in rows:
        codes = ", ".join(sorted(row.codes))
        first, last = when(row.first_at, zone), when(row.last_at, zone)
        add(made, row.sender, row.kind, row.value, row.events, codes, first, last, row.example)
    return made


def letters(rows: Sequence[Letter], zone: ZoneInfo) -> Table:
    made = table("", "received", "sender", "stage", "reason", "where", "what", "standard", "raw", "retry")
    for row in rows:
        raw = f"{row.raw_partition}/{row.raw_offset}" if row.raw_offset >= 0 else ""
        again = "yes" if row.retryable else ""
        received = when(row.received_at, zone)
        add(made, received, row.sender, row.stage, row.reason, row.place, row.text, row.standard, raw, again)
    return made


# -- one journey ----------------------------------------------------------------------------------------------------------


def journey_heading(journey: Journey, places: Mapping[str, Place], zone: ZoneInfo) -> list[str]:
    """Who, what, where to, and by when, in a few lines."""
    declared = journey.declaration
    route = declared.route
    hospital = _place(route.place_of_delivery, places)
    ends = [end for end in (route.origin, *route.via, route.port_of_discharge, hospital) if end]
    lines = [
        f"{journey.consignment}: {journey.stage.replace('_', ' ')}"
        + (f", last seen at {journey.place}" if journey.place else "")
        + f"; tier {declared.tier}, buyer {journey.buyer}",
        f"route: {' > '.join(ends) or 'not declared'} by {journey.mode}"
        + (f", {journey.vessel} {journey.voyage or ''}".rstrip() if journey.vessel else "")
        + (f", carrier {journey.carrier}" if journey.carrier else "")
        + (f", terminal {_place(journey.terminal, places)}" if journey.terminal else ""),
        f"expected at hospital: {when(journey.expected_delivery, zone) or 'unknown'}"
        + (f" ({BASIS[journey.expected_basis]})" if journey.expected_delivery else "")
        + (f"; required by {when(declared.required_by, zone)}" if declared.required_by else ""),
        f"as known at {when(journey.at, zone) or 'the start'} (version {journey.version}); times in {zone.key}",
    ]
    if declared.parties:
        lines.insert(2, "parties: " + ", ".join(f"{role} {code}" for role, code in sorted(declared.parties.items())))
    if declared.note:
        lines.append(f"note: {declared.note}")
    return [visible(line) for line in lines]


def _place(code: str | None, places: Mapping[str, Place]) -> str:
    if code is None:
        return ""
    return f"{places[code].name} ({code})" if code in places else code


def journey_tables(journey: Journey, zone: ZoneInfo) -> list[Table]:
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


def _exceptions(states: Sequence[ExceptionState], zone: ZoneInfo) -> Table:
    made = table("What is wrong", "what", "status", "severity", "since", "until", "late", "concerns", "because of events")
    order = {"open": 0, "ended": 1, "withdrawn": 2}
    for state in sorted(states, key=lambda state: (order[state.status], state.start)):
        add(
            made,
            Text(visible(state.sentence), style=SEVERITY_STYLE[state.severity] if state.status == "open" else "dim"),
            state.status,
            state.severity,
            when(state.start, zone),
            when(state.end, zone),
            span(state.late_h),
            state.party,
            " ".join(state.evidence[:3]),
        )
    return made


def _milestones(states: Sequence[MilestoneState], zone: ZoneInfo) -> Table:
    made = table("Journey", "milestone", "planned", "estimated", "actual", "by", "units")
    for state in states:
        name = f"{state.milestone} {state.leg}".rstrip()
        units = f"{state.units_done} of {state.units_total}" if state.units_total else ""
        times = [when(moment, zone) for moment in (state.planned, state.estimated, state.actual)]
        add(made, name, *times, state.sender, units)
    return made


def _units(journey: Journey, zone: ZoneInfo) -> Table:
    made = table("Units", "unit", "last milestone", "at", "place", "holds", "planned, estimated or actual of its own")
    for unit in journey.units:
        holds = ", ".join(f"line {line}: {quantity:,}" for line, quantity in sorted(unit.quantities.items()))
        own = [
            f"{said.milestone} {said.classifier} {when(said.occurred_at, zone)}"
            for said in journey.statements
            if said.unit == unit.unit and said.decides
        ]
        add(made, unit.unit, unit.milestone, when(unit.at, zone), unit.place, holds, "; ".join(own))
    return made


def _goods(journey: Journey) -> Table:
    made = table("Goods", "line", "category", ">quantity", "unit", "lot", ">delivered", "on whose word")
    delivered = {line.line: line for line in journey.delivered}
    for item in journey.declaration.items:
        done = delivered.get(item.line)
        got, basis = (count(done.good), done.basis) if done else ("", "")
        add(made, item.line, item.category, count(item.quantity), item.unit, item.lot, got, basis)
    return made


def _holds(journey: Journey, zone: ZoneInfo) -> Table:
    made = table("Holds", "kind", "unit", "placed", "released", "by", "event")
    for hold in journey.holds:
        released = when(hold.released_at, zone) or "not yet"
        add(made, hold.kind, hold.unit, when(hold.placed_at, zone), released, hold.sender, hold.event_id)
    return made


def _references(journey: Journey) -> Table:
    made = table("References", "kind", "value", "how we know it", "shared")
    for reference in journey.references:
        how = f"learned from event {reference.teacher}" if reference.how == "learned" else reference.how
        add(made, reference.kind, reference.value, how, "yes" if reference.shared else "")
    return made


def _statements(journey: Journey, zone: ZoneInfo) -> Table:
    made = table(
        "Who said what (> the journey follows it; raw: partition/offset @place in raw.messages.v1)",
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
        raw = f"{said.raw.partition}/{said.raw.offset} @{said.raw.position}" if said.raw else ""
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
            said.event_id,
            raw,
        )
    return made


def _claims(journey: Journey, zone: ZoneInfo) -> Table:
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
        add(made, when(claim.occurred_at, zone), claim.sender, claim.code, claim.milestone, by, claim.event_id)
    return made


def _receipts(journey: Journey, zone: ZoneInfo) -> Table:
    made = table("Dock receipts", "at", "by", "counted", "final")
    for receipt in journey.receipts:
        counted = "; ".join(
            f"line {line.line}: {line.good:,} good, {line.short:,} short, {line.damaged:,} damaged" for line in receipt.lines
        )
        by = f"{receipt.sender} ({receipt.recorded_by})" if receipt.recorded_by else receipt.sender
        add(made, when(receipt.occurred_at, zone), by, counted, "yes" if receipt.final else "no")
    return made


def _warnings(journey: Journey) -> Table:
    made = table("Warnings", "")
    for warning in journey.warnings:
        add(made, warning)
    return made


def zone_of(name: str | None) -> ZoneInfo | None:
    """Raises ValueError with a sentence for a name that is no IANA zone."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name} is no IANA time zone; one is, for example, America/Los_Angeles") from None


def known_zone(name: str) -> ZoneInfo:
    """A facility's zone; UTC where the register has a name that is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")
