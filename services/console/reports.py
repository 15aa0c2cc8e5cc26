"""Pages that are tables: hospitals, vessels, terminals, carriers, feeds, unmatched, messages, health. Values in, tables out.

A number is a link to the list behind it wherever there is one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo

from schemas.alerts_v1 import DeliveryState
from services.console import known, paging
from services.console.acts import LINKS
from services.console.frame import query
from services.console.known import Narrowing, Said
from services.console.local import Zones
from services.console.nearby import LOOKED_AT, suggested
from services.console.questions import (
    UNMATCHED_MOST,
    About,
    Arrivals,
    Delayed,
    DelayedFilter,
    Dwell,
    Hospital,
    Order,
    Questions,
    Stand,
    Told,
)
from services.console.render import count, goods
from services.console.worklist import Given, first, number, one_of, text
from services.runtime.spoken import span

Kind = Literal["text", "number", "time", "span", "share", "code", "link"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A value, and where it leads. `bad`: it deserves a look; `there`: of a time, the zone of where it is, if known."""

    value: object
    href: str = ""
    bad: bool = False
    note: str = ""
    there: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """`kind`: how its cells are told; spans are hours, shares between 0 and 1; of a `link` the value is the (kind, value) of a
    reference and what it may be of (nearby.py): forms that link it to a consignment."""

    name: str
    label: str
    kind: Kind = "text"
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; `empty`: what is said where there are none. `more`: there are more; `next`: where they are."""

    key: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    empty: str = "Nothing is here."
    more: bool = False
    next: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one comes to a page for, as a sentence: `question`, `name` (a link), `why`."""

    question: str
    name: str
    href: str
    why: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over time, side by side, and the table with the same figures, which is what is read without scripts. `times`: of
    all lines; `lines`: (label, a value a time or None)."""

    table: Table
    times: Sequence[datetime]
    lines: Sequence[tuple[str, Sequence[float | None]]]
    unit: str = ""

    @property
    def each(self) -> Sequence[tuple[str, str]]:
        """A small picture a line, all to one scale: its label, and what static/console.js draws."""
        times = [round(at.timestamp()) for at in self.times]
        high = max((value for _, values in self.lines for value in values if value is not None), default=0.0)
        return [
            (label, json.dumps({"x": times, "label": label, "values": list(values), "high": high, "unit": self.unit}))
            for label, values in self.lines
        ]


@dataclass(frozen=True, slots=True)
class Report:
    """A page: what it is about, by which words it can be narrowed (name -> value), its tables. `answer`: said first.
    `counted_at`: when the oldest of its figures were counted; None: just now. `share`: where planners make a link to it.
    `unknown`: the sentence of known.py, where nothing is here because nobody knows what it is narrowed by."""

    intro: str
    tables: Sequence[Table]
    filters: Mapping[str, str]
    days: int = 0
    answer: Answer | None = None
    charts: Sequence[Chart] = ()
    counted_at: datetime | None = None
    share: str = ""
    unknown: str = ""


Asking = Callable[[Questions, Given, datetime], Report]

LINES_MOST: Final = 9
"""Of one chart: more are not compared at a glance."""
OUTS_FOR: Final = timedelta(hours=72)
ROWS: Final = 500
FEWER: Final = 150
"""Where lines are long, or only one of several tables: half a megabyte is no page."""
SHORT, DELIVERED_DAYS = 15, 7
"""Lines of a hospital's own short lists; how far back it tells what was delivered."""
_NEWEST: Final = Order("expected", reverse=True)
TOLD, TOLD_MOST = timedelta(days=60), 50
"""How far back a hospital's page and a consignment's look for what was told; lines of it on a hospital's."""


def _delayed(**given: object) -> str:
    return query("/delayed", {"exception": "any", **given})


def _all(**given: object) -> str:
    return query("/consignments", given)


def _count(value: int, href: str = "", bad: bool = False) -> Cell:
    return Cell(value, href if value else "", bad and value > 0)


_BY: Final[Mapping[str, Narrowing]] = {
    "carrier": "carrier",
    "terminal": "terminal",
    "vessel": "vessel",
    "hospital": "facility",
    "consignment": "consignment",
}
"""What the words name by which a page can be narrowed."""


def looked_up(asking: Asking, questions: Questions, given: Given, now: datetime) -> Report:
    """The page as it was meant: where nothing is on it, it is looked up whether its words are known."""
    found = asking(questions, given, now)
    if any(table.rows for table in found.tables):
        return found
    said: Said = {_BY[name]: word for name, word in found.filters.items() if name in _BY}
    try:
        meant = known.meant(questions, said)
    except known.Unknown as unknown:
        return replace(found, tables=(), charts=(), unknown=unknown.sentence)
    if meant == said:
        return found
    return asking(questions, {**given, **{name: [meant[by]] for name, by in _BY.items() if by in meant}}, now)


def hospitals(questions: Questions, given: Given, now: datetime) -> Report:
    """Which hospital is worst off."""
    found = questions.hospitals(now, now.replace(hour=0, minute=0, second=0, microsecond=0), ROWS)
    rows = [
        (
            Cell(one.name, f"/hospitals/{one.facility}", note=one.facility),
            _count(one.critical, _delayed(hospital=one.facility, severity="critical"), bad=True),
            _count(one.delayed, query("/delayed", {"hospital": one.facility})),
            _count(one.in_trouble, _delayed(hospital=one.facility)),
            _count(one.first_tier, _delayed(hospital=one.facility, tier=1)),
            _count(one.open, _all(hospital=one.facility, state="open")),
            _count(one.delivered, _all(hospital=one.facility, delivered="today")),
            Cell(_known(one.next_expected), there=one.zone),
        )
        for one in found
    ]
    columns = (
        Column("hospital", "Hospital"),
        Column("critical", "Critical", "number", "of what is in trouble"),
        Column("delayed", "Late or will be", "number"),
        Column("in_trouble", "In trouble", "number", "with any open exception; what came short is delivered already"),
        Column("first_tier", "Tier 1 in trouble", "number"),
        Column("open", "Inbound", "number"),
        Column("delivered", "Delivered today", "number"),
        Column("next", "Next expected", "time"),
    )
    table = Table("hospitals", "Hospitals", columns, rows, "No hospital expects anything.")
    return Report("The worst off first.", [table], {}, answer=_worst_off(found[0]) if found else None)


def _worst_off(one: Hospital) -> Answer:
    """The first of the list is the worst off, unless nothing is wrong there."""
    if not one.in_trouble:
        return Answer("Worst off", "no hospital", "/hospitals", "nothing is wrong with what is on its way")
    why = (
        f"{count(one.critical)} critical, {count(one.delayed)} late or will be, {count(one.in_trouble)} in trouble"
        f"; {count(one.open)} inbound"
    )
    return Answer("Worst off", one.name, f"/hospitals/{one.facility}", why)


def hospital(questions: Questions, facility: str, zone: ZoneInfo, now: datetime) -> Report:
    """What is on its way to one of them, by day (of its `zone`) and category."""
    today, since = now.astimezone(zone).date(), now - timedelta(days=DELIVERED_DAYS)
    late = questions.begin(lambda: _some(questions, facility, now, DelayedFilter(hospital=facility)))
    came = questions.begin(lambda: _some(questions, facility, now, DelayedFilter((), facility, delivered_since=since), _NEWEST))
    told = questions.begin(lambda: questions.messages(now - TOLD, About(facility=facility), TOLD_MOST))
    rows = [
        (
            Cell(
                f"{one.day:%a %d %b}",
                _all(hospital=facility, state="open", expected=one.day),
                note="overdue" if one.day < today else "",
            ),
            Cell(one.category, _all(hospital=facility, state="open", item=one.category)),
            Cell(
                one.quantity,
                _all(hospital=facility, state="open", item=one.category, expected=one.day),
                note="" if one.unit == "each" else one.unit,
            ),
            Cell(one.by_estimate or None),
            Cell((one.by_plan + one.by_slip) or None),
            Cell(one.by_wish or None),
            Cell(one.passed or None, bad=one.passed > 0),
            _count(one.in_trouble, _all(hospital=facility, state="trouble", item=one.category, expected=one.day), bad=True),
            Cell(one.consignments, _all(hospital=facility, state="open", item=one.category, expected=one.day)),
        )
        for one in questions.inbound(now, now + timedelta(days=60), facility)
    ]
    columns = (
        Column("day", "Day"),
        Column("category", "Goods", "code"),
        Column("quantity", "Quantity", "number"),
        Column("estimate", "by a carrier's estimate", "number"),
        Column("plan", "by the plan", "number", "moved by how late it is now"),
        Column("wish", "only required then", "number"),
        Column("passed", "day is past, no word", "number"),
        Column("trouble", "of it in trouble", "number"),
        Column("consignments", "Consignments", "number"),
    )
    tables = (
        Table("inbound", "Inbound", columns, rows, "Nothing is on its way there."),
        _short_list("late", "Late, or will be", late.result(), "Nothing that goes there is late or will be."),
        _short_list("delivered", f"Delivered in {DELIVERED_DAYS} days", came.result(), "Nothing was delivered there."),
        replace(
            told_table("What we told about it", told.result(), "Nobody was told anything about it.", TOLD_MOST),
            next=query("/messages", {"hospital": facility, "days": TOLD.days}),
        ),
    )
    intro = (
        "Each quantity stands once, by how sure its day is. Overdue: it was expected on that day, and nobody says that it was"
        " delivered."
    )
    return Report(intro, tables, {})


def _some(
    questions: Questions, facility: str, now: datetime, wanted: DelayedFilter, order: Order | None = None
) -> list[Delayed]:
    """The first of a hospital's; one more than are shown."""
    found = questions.delayed_page(wanted, now, SHORT + 1, order or Order())[0]
    return [one for one in found if one.facility == facility]


def _short_list(key: str, caption: str, found: Sequence[Delayed], empty: str) -> Table:
    """The first SHORT of a hospital's consignments; all of them are a link of the list of hospitals away."""
    rows = [
        (
            Cell(one.consignment, f"/consignments/{one.consignment}"),
            Cell(one.exception, note=span(one.hours_late)),
            Cell(one.expected_delivery, note="" if key == "delivered" else words_of(one.stage), there=one.zone),
            Cell(words_of(goods(one.goods[:3]))),
        )
        for one in found[:SHORT]
    ]
    columns = (
        Column("consignment", "Consignment"),
        Column("exception", "What is wrong", "code"),
        Column("expected", "Delivered" if key == "delivered" else "Expected", "time"),
        Column("goods", "Goods"),
    )
    return Table(key, caption, columns, rows, empty, len(found) > SHORT)


def vessels(questions: Questions, given: Given, now: datetime) -> Report:
    """Who is on it, when it comes, how many a slip would hit; of the one that is named, what each source says."""
    vessel, zones = text(given, "vessel"), Zones({})
    found = questions.vessels(ROWS, vessel)
    rows = [
        (
            Cell(one.vessel, _all(vessel=one.vessel, state="open"), note=one.voyage),
            Cell(one.mode),
            Cell(", ".join(carrier for carrier in one.carriers if carrier)),
            Cell(one.consignments, _all(vessel=one.vessel, state="open")),
            _count(one.delayed, query("/delayed", {"vessel": one.vessel}), bad=True),
            _count(one.in_trouble, _all(vessel=one.vessel, state="trouble")),
            Cell(one.hospitals),
            Cell(
                _known(one.arrived) or _known(one.latest),
                note="arrived" if _known(one.arrived) else "",
                there=zones.of(one.port),
            ),
            Cell(_differs(one.earliest, one.latest), bad=bool(_differs(one.earliest, one.latest))),
            Cell(one.slip_h if one.slip_h and one.slip_h > 0 else None),
            Cell("who says when", query("/vessels", {"vessel": one.vessel}) + "#etas"),
        )
        for one in found
    ]
    columns = (
        Column("vessel", "Vessel or flight"),
        Column("mode", "By"),
        Column("carriers", "Carriers"),
        Column("consignments", "Consignments", "number"),
        Column("delayed", "Late or will be", "number"),
        Column("in_trouble", "In trouble", "number"),
        Column("hospitals", "Hospitals", "number"),
        Column("arrival", "Arrival", "time"),
        Column("differs", "Sources differ by", "span"),
        Column("slip", "Slip", "span", "after the plan"),
        Column("etas", "By source"),
    )
    intro = "What open consignments are on. A slip of one delays all that are on it."
    empty = "No open consignment is on it." if vessel else "No vessel or flight is known."
    tables = [Table("vessels", "Vessels and flights", columns, rows, empty)]
    if vessel and len({one.vessel for one in found}) == 1:
        tables.append(_etas(questions, found[0].vessel, zones.of(found[0].port)))
    return Report(intro, tables, {"vessel": vessel})


def _etas(questions: Questions, vessel: str, there: str) -> Table:
    """When it arrives, by who says so. `there`: the zone of the port."""
    rows = [
        (
            Cell(one.sender, query("/feeds", {"carrier": one.sender})),
            Cell(one.arrival, there=there),
            Cell(one.classifier),
            Cell(_differs(one.earliest, one.latest), bad=bool(_differs(one.earliest, one.latest))),
            Cell(one.heard),
            Cell(one.consignments),
        )
        for one in questions.etas(vessel)
    ]
    columns = (
        Column("sender", "Who"),
        Column("arrival", "Says that it arrives", "time"),
        Column("classifier", "It is"),
        Column("apart", "Differs from itself by", "span", "between the consignments on it"),
        Column("heard", "Said", "time"),
        Column("consignments", "Of consignments", "number"),
    )
    return Table("etas", f"Arrival of {vessel}, by source", columns, rows, "Nobody has estimated it: what stands is the plan.")


def terminals(questions: Questions, given: Given, now: datetime) -> Report:
    """Which terminal is the bottleneck."""
    days, terminal = number(given, "days", 7, 1, 400), text(given, "terminal")
    day, hour = timedelta(days=1), timedelta(hours=1)
    daily = questions.begin(lambda: questions.outs(now, now - timedelta(days=max(days, 14)), day, terminal))
    hourly = questions.begin(lambda: questions.outs(now, now - OUTS_FOR, hour, terminal))
    found = questions.dwell(now, now - timedelta(days=days), terminal, ROWS)
    found.sort(key=lambda one: (-one.lost_h, -(one.p90_h or 0), one.terminal))
    rows = [
        (
            Cell(one.name, _all(terminal=one.terminal, state="open"), note=one.terminal),
            Cell(one.left_count),
            Cell(one.median_h),
            Cell(one.p90_h),
            Cell(one.lost_h or None, bad=one is found[0] and one.lost_h > 0),
            Cell(one.standing, _all(terminal=one.terminal, stage="at_port")),
            Cell(one.oldest_h, bad=(one.oldest_h or 0) > 96),
            Cell(one.oldest_consignment, f"/consignments/{one.oldest_consignment}", note=one.oldest_unit.partition(":")[2]),
            Cell(
                one.past_free_h or None,
                query("/delayed", {"exception": "dwell", "terminal": one.terminal}) if one.past_free_h else "",
            ),
        )
        for one in found
    ]
    columns = (
        Column("terminal", "Terminal"),
        Column("left", "Units that left", "number"),
        Column("median", "Median dwell", "span"),
        Column("p90", "p90 dwell", "span"),
        Column("lost", "Lost past free time", "span", "of all units together, in these days"),
        Column("standing", "Still there", "number"),
        Column("oldest", "Oldest", "span"),
        Column("which", "Which"),
        Column("past", "Past free time by", "span", "of what still stands there, the longest; all of it: the list"),
    )
    intro = f"Hours from discharged or available to leaving the terminal, in {days} days."
    empty = f"No unit has been discharged {'there' if terminal else 'at any terminal'}."
    table = Table("terminals", "Terminals", columns, rows, empty)
    trend = f"Median dwell of what left in {max(days, 14)} days, by day: the terminals with most days"
    charts = (
        chart("dwell-trend", trend, "h", [(one.begins, one.name, one.median_h) for one in daily.result()]),
        chart(
            "outs",
            "Units that left an hour",
            "",
            [(one.begins, one.name, float(one.units)) for one in hourly.result()],
            zero=hour,
        ),
    )
    answer = _bottleneck(found[0], days) if found else None
    return Report(intro, [table], {"terminal": terminal}, days, answer, [one for one in charts if len(one.times) > 1])


def chart(
    key: str, caption: str, unit: str, points: Sequence[tuple[datetime, str, float | None]], zero: timedelta | None = None
) -> Chart:
    """Of (time, line, value): the lines with the most points, at most LINES_MOST. `zero`: where a line has no point in a step
    of that length, it is 0."""
    counts: dict[str, int] = {}
    for _, label, _ in points:
        counts[label] = counts.get(label, 0) + 1
    labels = sorted(counts, key=lambda label: (-counts[label], label))[:LINES_MOST]
    times = sorted({at for at, _, _ in points})
    if zero and times:
        times = [times[0] + zero * step for step in range((times[-1] - times[0]) // zero + 1)]
    known = {(at, label): value for at, label, value in points}
    lines = [(label, [known.get((at, label), 0.0 if zero else None) for at in times]) for label in labels]
    columns = (Column("at", "From", "time"), *(Column(f"line-{place}", label, "number") for place, label in enumerate(labels)))
    rows = [(Cell(at), *(Cell(values[place]) for _, values in lines)) for place, at in enumerate(times)]
    label = f"{caption} ({unit})" if unit else caption
    return Chart(Table(key, label, columns, rows, "Too little is known yet."), times, lines, unit)


def _bottleneck(one: Dwell, days: int) -> Answer:
    """Where most time was lost; where none was, the slowest."""
    within = "this week" if days == 7 else f"in {days} days"
    if not one.lost_h:
        slowest = f"but nothing stood past free time; p90 of its dwell is {span(one.p90_h)}" if one.p90_h else "nothing left it"
        return Answer(f"Slowest {within}", one.name, _all(terminal=one.terminal, state="open"), slowest)
    dwelling = query("/delayed", {"exception": "dwell", "terminal": one.terminal})
    why = f"its units stood {span(one.lost_h)} past free time together; {count(one.standing)} still stand there"
    return Answer(f"The bottleneck {within}", one.name, dwelling, why)


def carriers(questions: Questions, given: Given, now: datetime) -> Report:
    """How well each carrier's messages can be used."""
    days, carrier = number(given, "days", 28, 1, 400), text(given, "carrier")
    since = now - timedelta(days=days)
    lanes = questions.begin(lambda: questions.arrivals(since, timedelta(), True, carrier, ROWS))
    daily = questions.begin(lambda: questions.arrivals(since, timedelta(days=1), False, carrier))
    rows = [
        (
            Cell(one.sender, query("/feeds", {"carrier": one.sender})),
            Cell(one.events),
            Cell(one.unread or None, bad=one.unread > 0),
            Cell(_share(one.mapped, one.events)),
            Cell(_share(one.zone_said, one.events)),
            Cell(_share(one.references_valid, one.events)),
            Cell(_share(one.on_time, one.actuals)),
            Cell(_share(one.faultless, one.events + one.unread)),
            Cell("its consignments", _all(carrier=one.sender, state="open")),
        )
        for one in questions.scores(since, 0, 24, carrier, ROWS)
    ]
    columns = (
        Column("carrier", "Carrier"),
        Column("events", "Events", "number"),
        Column("unread", "Not read", "number"),
        Column("mapped", "Codes known", "share"),
        Column("zones", "Zone said", "share"),
        Column("references", "References valid", "share"),
        Column("on_time", "Told within 24 h", "share"),
        Column("score", "Score", "share", "of its statements, read or not, those with nothing to wish for"),
        Column("list", "On the way"),
    )
    points = [(one.begins, one.carrier, one.eta_error_h) for one in daily.result() if one.eta_error_h is not None]
    errors = chart("eta-trend", "How wrong the last estimate of arrival was: the median, by day", "h", points)
    tables = (
        Table("carriers", "Carriers", columns, rows, "Nobody has sent anything."),
        Table("lanes", "Arrivals by lane", _LANES, [_lane(one) for one in lanes.result()], "Nothing arrived in these days."),
    )
    intro = (
        f"What each sender's messages are worth, and how well their arrivals keep to plan and estimate, in {days} days. Score:"
        " events with a known code, a zone, valid references and, if they tell what happened, told within 24 h; divided by all"
        " events and what could not be read."
    )
    return Report(intro, tables, {"carrier": carrier}, days, charts=[errors] if len(errors.times) > 1 else [])


_LANES: Final = (
    Column("carrier", "Carrier"),
    Column("lane", "Lane"),
    Column("arrivals", "Arrivals", "number"),
    Column("on_time", "On time", "share", "of those with a plan, within the tolerance of its mode"),
    Column("eta_error", "Estimate wrong by", "span", "the last estimate of arrival: the median, early or late"),
)


def _lane(one: Arrivals) -> Sequence[Cell]:
    return (
        Cell(one.carrier, query("/carriers", {"carrier": one.carrier})),
        Cell(one.lane),
        Cell(one.arrivals),
        Cell(_share(one.on_time, one.planned)),
        Cell(one.eta_error_h),
    )


def feeds(questions: Questions, given: Given, now: datetime) -> Report:
    """Each carrier's pulse, and what of it could not be used."""
    days, carrier = number(given, "days", 7, 1, 400), text(given, "carrier")
    since = now - timedelta(days=days)
    unmapped = questions.begin(lambda: questions.unmapped(since, carrier, ROWS))
    unread = questions.begin(lambda: questions.dead_letters(carrier, "", 100))
    rows = [
        (
            Cell(one.name or one.sender, query("/feeds", {"carrier": one.sender}), note=f"{one.sender}, {words_of(one.kind)}"),
            Cell(one.last_event_at),
            Cell(
                one.silent_since or one.expected_by,
                bad=one.silent_since is not None,
                note="silent since then" if one.silent_since else "",
            ),
            Cell(round(one.events_per_h, 1)),
            Cell(one.lateness_h),
            Cell(one.events),
            Cell(one.repeats or None),
            _count(one.unmapped, query("/feeds", {"carrier": one.sender}) + "#unmapped", bad=True),
            Cell(one.warned or None),
            _count(one.dead_letters, query("/feeds", {"carrier": one.sender}) + "#letters", bad=True),
            _count(one.claims, query("/unmatched", {"carrier": one.sender})),
        )
        for one in questions.feeds(now, since, carrier, everyone=False, limit=ROWS)
    ]
    columns = (
        Column("sender", "Sender"),
        Column("last", "Last event", "time"),
        Column("expected", "Expected by", "time", "the next event; after that it counts as silent"),
        Column("rate", "Events/h", "number", "in 24 hours"),
        Column("lateness", "Told after", "span", "the median, of what happened"),
        Column("events", "Events", "number"),
        Column("repeats", "Repeats", "number"),
        Column("unmapped", "Unknown", "number", "events with a code that stands in no map"),
        Column("warned", "Warnings", "number", "events that were read with a warning"),
        Column("letters", "Dead letters", "number"),
        Column("claims", "Claims", "number", "events without standing: they move nothing"),
    )
    codes = [
        (
            Cell(one.sender),
            Cell(one.standard),
            Cell(one.code),
            Cell(one.words),
            Cell(one.events),
            Cell(one.last_at),
            Cell(f"{one.raw_partition}/{one.raw_offset}", f"/messages/{one.raw_partition}/{one.raw_offset}"),
        )
        for one in unmapped.result()
    ]
    code_columns = (
        Column("sender", "Sender"),
        Column("standard", "Standard"),
        Column("code", "Code"),
        Column("words", "In its own words"),
        Column("events", "Events", "number"),
        Column("last", "Last heard", "time"),
        Column("raw", "Message"),
    )
    letters = [
        (
            Cell(one.received_at),
            Cell(one.sender),
            Cell(one.stage),
            Cell(one.reason, f"/letters/{one.letter_id}", note=one.place),
            Cell(one.text),
            Cell("read again" if one.stage == "readers" else "", f"/letters/{one.letter_id}"),
            Cell(
                f"{one.raw_partition}/{one.raw_offset}" if one.raw_offset >= 0 else "",
                f"/messages/{one.raw_partition}/{one.raw_offset}" if one.raw_offset >= 0 else "",
            ),
        )
        for one in unread.result()
        if one.received_at >= since
    ]
    letter_columns = (
        Column("received", "Received", "time"),
        Column("sender", "Sender"),
        Column("stage", "Stage"),
        Column("reason", "Reason"),
        Column("text", "What is wrong"),
        Column("retryable", "What can be done", hint="also `lovla dead-letters retry`"),
        Column("raw", "Message"),
    )
    return Report(
        f"What each sender told within {days} days; the silent ones first.",
        [
            Table("feeds", "Feeds", columns, rows, "No sender is known yet."),
            Table("unmapped", "Codes in no map", code_columns, codes, f"Every code heard in {days} days is in a map."),
            Table("letters", "Dead letters", letter_columns, letters, "Everything could be read."),
        ],
        {"carrier": carrier},
        days,
    )


def unmatched(questions: Questions, given: Given, now: datetime) -> Report:
    """Events that nobody owns: a slip of the pen, or goods that nobody registered."""
    days, carrier = number(given, "days", 30, 1, 400), text(given, "carrier")
    claimed = questions.begin(lambda: questions.claims(carrier, ROWS))
    every = questions.unmatched(now - timedelta(days=days), carrier, UNMATCHED_MOST)
    after = paging.stand_in(first(given, "cursor"))
    found, following = paging.page_of(every, paging.of_unmatched, after, FEWER)
    linkable = [one for one in found if one.kind in LINKS]
    # the first page is everybody's; a later one begins where a stranger says, and nothing is kept for that
    key = ("near", str(days), carrier)
    near = suggested(questions, linkable) if after else questions.shared(key, now, lambda: suggested(questions, linkable))
    rows = [
        (
            Cell(one.sender, query("/unmatched", {"carrier": one.sender})),
            Cell(one.kind, note=""),
            Cell(one.value, query("/consignments", {"q": one.value})),
            Cell(one.events),
            Cell(", ".join(sorted(one.codes))),
            Cell(one.first_at),
            Cell(one.last_at),
            Cell((one.kind, one.value, near.get((one.sender, one.kind, one.value), ())) if one.kind in LINKS else None),
        )
        for one in found
    ]
    columns = (
        Column("sender", "Sender"),
        Column("kind", "By", "code"),
        Column("value", "Reference"),
        Column("events", "Events", "number"),
        Column("codes", "Codes"),
        Column("first", "First heard", "time"),
        Column("last", "Last heard", "time"),
        Column("link", "It is of consignment", "link"),
    )
    claims = [
        (
            Cell(one.sender, query("/unmatched", {"carrier": one.sender})),
            Cell(one.consignment, f"/consignments/{one.consignment}"),
            Cell(one.words),
        )
        for one in claimed.result()
    ]
    claim_columns = (Column("sender", "Sender"), Column("consignment", "Consignment"), Column("claims", "Events", "number"))
    return Report(
        f"Events of {days} days that belong to no consignment, and words of senders without standing. Where a consignment is"
        f" named beside one of the newest {LOOKED_AT}, that is a guess: nothing is linked until you do.",
        [
            Table(
                "unmatched",
                "Unmatched",
                columns,
                rows,
                "Every event belongs to a consignment." if not after else "There are no more.",
                following is not None,
                _after("/unmatched", given, following),
            ),
            Table("claims", "Claims", claim_columns, claims, "Nobody speaks without standing."),
        ],
        {"carrier": carrier},
        days,
    )


MESSAGE_STATES: Final = (*get_args(DeliveryState), "waits")
"""What became of a message; `waits`: nobody has tried to send it."""


def messages_about(given: Given) -> About:
    """Which messages an address asks for. Raises Problem 400."""
    state = one_of("state", first(given, "state"), ("", *MESSAGE_STATES))
    return About(text(given, "hospital"), text(given, "consignment"), text(given, "subscription"), state)


def messages(questions: Questions, given: Given, now: datetime) -> Report:
    """What subscribers were told, and what became of it."""
    days = number(given, "days", 7, 1, 400)
    about = messages_about(given)
    after = paging.stand_in(first(given, "cursor"))
    found = questions.messages(now - timedelta(days=days), about, FEWER + 1, after)
    told, following = paging.page_of(found, paging.of_message, after, FEWER)
    empty = "There are no more." if after else "Nobody was told anything."
    table = replace(told_table("Messages", told, empty), more=following is not None, next=_after("/messages", given, following))
    intro = f"What alerts told subscribers in {days} days. Why one was told: `lovla explain`, and the id below its time."
    filters = {
        "hospital": about.facility,
        "consignment": about.consignment,
        "subscription": about.subscription,
        "state": about.state,
    }
    return Report(intro, [table], filters, days)


def _after(path: str, given: Given, following: Stand | None) -> str:
    """The address of the page that goes on there; empty where there is none."""
    chosen = {name: list(values) for name, values in given.items()}
    return query(path, chosen, cursor=paging.cursor_after(following)) if following else ""


def told_about(questions: Questions, consignment: str, now: datetime, earlier: bool = False) -> Table:
    """What was due to anybody about one consignment by `now`, and what had become of it; `earlier`: that is past."""
    told = questions.told_about(consignment, now - TOLD, now, ROWS, earlier=earlier)
    return told_table("What we told about it", told, "Nobody was told anything about it.")


def told_table(caption: str, told: Sequence[Told], empty: str, most: int = ROWS) -> Table:
    """Messages with what they are about, to whom they went and what became of them; `most`: as were asked for."""
    rows = [
        (
            Cell(one.due_at, note=one.notification[:ID_SHOWN]),
            Cell(one.subject, note=_short(one.facilities)),
            Cell(_short(one.consignments), f"/consignments/{one.consignments[0]}" if len(one.consignments) == 1 else ""),
            Cell(one.subscription, query("/messages", {"subscription": one.subscription}), note=one.channel),
            Cell(one.state or "waits", bad=one.state in FAILED, note=" ".join(filter(None, (words_of(one.reason), one.text)))),
            Cell(_known(one.last_at)),
            Cell(one.attempts, note=one.provider),
            Cell("why", _why(one)),
        )
        for one in told
    ]
    columns = (
        Column("due", "Due", "time"),
        Column("subject", "What it says"),
        Column("consignments", "About"),
        Column("subscription", "To", hint="a subscription; addresses are not kept here"),
        Column("state", "What became of it", "code"),
        Column("last", "When", "time"),
        Column("attempts", "Tries", "number"),
        Column("why", "Why", hint="each change that it tells of, and what else was held back"),
    )
    return Table("messages", caption, columns, rows, empty, len(rows) >= most)


def _why(one: Told) -> str:
    """To what else became of the changes of what a message is about."""
    if len(one.consignments) != 1:
        return query("/messages/why", {"subscription": one.subscription})
    return query("/messages/why", {"subscription": one.subscription, "consignment": one.consignments[0]})


ID_SHOWN: Final = 12
"""Characters of an id: `lovla explain` takes its beginning."""
FAILED: Final = ("failed", "dead", "bounced", "undelivered", "unknown")


def _short(names: Sequence[str]) -> str:
    return f"{', '.join(names[:3])} and {len(names) - 3} more" if len(names) > 3 else ", ".join(names)


def words_of(code: str) -> str:
    """A code as people say it: `quiet_hours` -> `quiet hours`."""
    return code.replace("_", " ")


def health(questions: Questions, given: Given, now: datetime) -> Report:
    """How fresh what is asked here is, by stage."""
    rows = [
        (Cell(one.what), Cell(_known(one.newest)), Cell(_age_h(one.newest, now)), Cell(one.rows))
        for one in questions.freshness()
    ]
    return replace(no_freshness(), tables=[Table("health", "Freshness", _FRESHNESS, rows)])


def no_freshness(why: str = "") -> Report:
    """The same where nobody can say."""
    intro = "What serves, how far behind it is, and how fresh what ClickHouse holds. Every receipt: `lovla audit`."
    return Report(intro, [Table("health", "Freshness", _FRESHNESS, [], why)], {})


_FRESHNESS: Final = (
    Column("what", "What"),
    Column("newest", "Newest", "time"),
    Column("age", "Age", "span", "by the pipeline's own time"),
    Column("rows", "Rows", "number"),
)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _known(moment: datetime | None) -> datetime | None:
    """None for what SQL gives where there is no time."""
    return moment if moment is not None and moment.timestamp() > 0 else None


def _differs(earliest: datetime | None, latest: datetime | None) -> float | None:
    first, last = _known(earliest), _known(latest)
    hours = (last - first).total_seconds() / 3600 if first and last else 0.0
    return hours if hours >= 1 else None


def _age_h(moment: datetime | None, now: datetime) -> float | None:
    known = _known(moment)
    return None if known is None else max((now - known).total_seconds() / 3600, 0.0)
