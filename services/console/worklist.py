"""The work list: what stands in the address of a page becomes a question, and its answer a view. Pure but for `gather`.

All of a view is in the address, so that it can be kept as a bookmark and sent to a colleague.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, get_args
from zoneinfo import ZoneInfo

from schemas.words import EXCEPTION_KINDS, SEVERITIES, ItemCategory, Mode
from services.console import known
from services.console.gate import Place, Problem
from services.console.known import Narrowing, Said, Unknown
from services.console.questions import (
    DELAY_KINDS,
    EPOCH,
    GROUPS,
    NO_DAY,
    SORTS,
    Delayed,
    DelayedFilter,
    Facets,
    Keys,
    Order,
    Questions,
    facets_of,
)

_LAST_DAY: Final = date(2149, 1, 1)
PAGE_ROWS: Final = 50
PAGE_MOST: Final = 500
OFFSET_MOST: Final = 1_000_000
TEXT_MOST: Final = 100
STATES: Final = ("open", "trouble", "ended")
WORK: Final = ("to_do", "acknowledged", "snoozed")
STAGES: Final = ("registered", "at_origin", "in_transit", "at_port", "on_the_road", "delivered", "cancelled")

NARROWING: Final[Sequence[Narrowing]] = ("hospital", "carrier", "terminal", "vessel")
"""Words that may be mistyped: fields of a DelayedFilter, and parameters."""

COLUMNS: Final[Mapping[str, str]] = {
    "severity": "Severity",
    "consignment": "Consignment",
    "hospital": "Hospital",
    "exception": "What is wrong",
    "hours": "By",
    "expected": "Expected",
    "required": "Required by",
    "stage": "Stage",
    "terminal": "Terminal",
    "carrier": "Carrier",
    "vessel": "Vessel or flight",
    "goods": "Goods",
    "tier": "Tier",
    "heard": "Last heard",
    "place": "Last seen",
    "work": "Who",
}
USUAL: Final = (
    "severity",
    "consignment",
    "hospital",
    "exception",
    "work",
    "hours",
    "expected",
    "stage",
    "tier",
    "carrier",
    "goods",
)
SORT_OF: Final[Mapping[str, str]] = {"severity": "worst", "hours": "hours"} | {
    name: name for name in SORTS if name in COLUMNS and name not in ("worst", "hours")
}
"""The sort of a column's heading; columns that are not here cannot be sorted by."""


Given = Mapping[str, Sequence[str]]
"""The parameters of an address."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A view of the work list, as its address says it. `given`: its parameters in their usual order, without the page."""

    wanted: DelayedFilter
    order: Order
    columns: tuple[str, ...]
    rows: int
    given: Mapping[str, object]

    @property
    def narrowed(self) -> Sequence[tuple[str, str]]:
        """(parameter, value) of what rows are chosen by: what can be taken away again."""
        layout = ("sort", "reverse", "group", "columns", "rows")
        pairs: list[tuple[str, str]] = []
        for name, value in self.given.items():
            if name not in layout and value:
                pairs += [(name, str(one)) for one in (value if isinstance(value, (list, tuple)) else [value])]
        return pairs


@dataclass(frozen=True, slots=True)
class Worklist:
    """A page of the work list. `total`: of all pages; `first`: how many rows stand before this page; `counted_at`:
    when `facets` were counted, None: just now. `in_trouble`: with how many anything is wrong, where nothing is chosen.
    `unknown`: the sentence of known.py, where nothing is here because nobody knows what is asked for."""

    rows: list[Delayed]
    facets: Facets
    next: Keys | None
    first: int
    counted_at: datetime | None = None
    in_trouble: int | None = None
    unknown: str = ""

    @property
    def total(self) -> int:
        return self.facets.total


def read(given: Given, now: datetime, zone: ZoneInfo, kinds: tuple[str, ...] = DELAY_KINDS) -> Wanted:
    """The view that an address asks for; `kinds`: the exceptions where it names none. Raises Problem 400 with the place."""
    exceptions = tuple(one for one in given.get("exception", ()) if one)
    for kind in exceptions:
        one_of("exception", kind, (*EXCEPTION_KINDS, "any"))
    if "any" in exceptions:
        kinds = EXCEPTION_KINDS
    elif exceptions:
        kinds = exceptions
    delivered = one_of("delivered", first(given, "delivered"), ("", "today"))
    tier = first(given, "tier")
    expected = {name: _day(given, name) for name in ("expected", "expected_before")}
    wanted = DelayedFilter(
        kinds=kinds,
        hospital=text(given, "hospital"),
        carrier=text(given, "carrier"),
        terminal=text(given, "terminal"),
        vessel=text(given, "vessel"),
        item=one_of("item", first(given, "item"), ("", *get_args(ItemCategory))),
        tier=int(one_of("tier", tier, ("", "1", "2", "3", "4", "5")) or 0),
        severity=one_of("severity", first(given, "severity"), ("", *SEVERITIES)),
        stage=one_of("stage", first(given, "stage"), ("", *STAGES)),
        mode=one_of("mode", first(given, "mode"), ("", *get_args(Mode))),
        state=one_of("state", first(given, "state"), ("", *STATES)),
        text=text(given, "q"),
        work=one_of("work", first(given, "work"), ("", *WORK)),
        assigned=text(given, "assigned"),
        delivered_since=midnight(now, zone) if delivered else EPOCH,
        expected_on=expected["expected"] or NO_DAY,
        expected_before=expected["expected_before"] or NO_DAY,
    )
    order = Order(
        sort=one_of("sort", first(given, "sort") or "worst", SORTS),
        reverse=first(given, "reverse") == "1",
        group=one_of("group", first(given, "group"), ("", *GROUPS)),
        offset=number(given, "offset", 0, 0, OFFSET_MOST),
    )
    columns = tuple(dict.fromkeys(column for said in given.get("columns", ()) for column in said.split(",") if column))
    for column in columns:
        one_of("columns", column, tuple(COLUMNS))
    columns = () if set(columns) == set(USUAL) else columns
    rows = number(given, "rows", PAGE_ROWS, 1, PAGE_MOST)
    said: dict[str, object] = {
        "exception": list(exceptions),
        "hospital": wanted.hospital,
        "carrier": wanted.carrier,
        "terminal": wanted.terminal,
        "vessel": wanted.vessel,
        "item": wanted.item,
        "tier": wanted.tier or "",
        "severity": wanted.severity,
        "stage": wanted.stage,
        "mode": wanted.mode,
        "state": wanted.state,
        "delivered": delivered,
        **{name: day.isoformat() if day else "" for name, day in expected.items()},
        "q": wanted.text,
        "work": wanted.work,
        "assigned": wanted.assigned,
        "sort": "" if order.sort == "worst" else order.sort,
        "reverse": "1" if order.reverse else "",
        "group": order.group,
        "columns": ",".join(columns),
        "rows": "" if rows == PAGE_ROWS else rows,
    }
    return Wanted(wanted, order, columns or USUAL, rows, {name: value for name, value in said.items() if value})


def gather(questions: Questions, view: Wanted, now: datetime, zone: ZoneInfo) -> Worklist:
    """The page, and what all pages hold. `zone`: the viewer's."""
    # Today counts the same, for all who look: what late does not cover must not be missed here
    plain = view.wanted == DelayedFilter()
    standing = questions.begin(lambda: questions.standing(midnight(now, zone))) if plain else None
    # a text often leads to few: then all that is to be counted stands on the page
    facets = None if view.wanted.text else questions.begin(lambda: questions.facets(view.wanted, now, view.order))
    rows, following = questions.delayed_page(view.wanted, now, view.rows, view.order)
    if facets is not None:
        counted = facets.result()
    elif following is None and not view.order.offset:
        counted = facets_of(rows, view.order.group)
    else:
        counted = questions.facets(view.wanted, now, view.order)
    in_trouble = standing.result().in_trouble if standing else None
    return Worklist(rows, counted, following, view.order.offset, questions.counted.get("facets"), in_trouble)


def as_meant(questions: Questions, wanted: DelayedFilter) -> DelayedFilter:
    """The same, each word that may be mistyped as it is known; those of closed lists are refused where they are read. Raises
    Unknown."""
    said: Said = {name: getattr(wanted, name) for name in NARROWING}
    meant = known.meant(questions, said, wanted.owner)
    return replace(
        wanted, hospital=meant["hospital"], carrier=meant["carrier"], terminal=meant["terminal"], vessel=meant["vessel"]
    )


def page(
    questions: Questions, wanted: DelayedFilter, now: datetime, most: int, order: Order
) -> tuple[DelayedFilter, list[Delayed], Keys | None]:
    """As Questions.delayed_page, and what was meant: where nothing is so, it is looked up whether its words are known. Raises
    Unknown."""
    rows, following = questions.delayed_page(wanted, now, most, order)
    if not rows and (meant := as_meant(questions, wanted)) != wanted:
        wanted, (rows, following) = meant, questions.delayed_page(meant, now, most, order)
    return wanted, rows, following


def looked_up(questions: Questions, view: Wanted, now: datetime, zone: ZoneInfo) -> tuple[Wanted, Worklist]:
    """The same for people: the view as it was meant, and what it holds."""
    found = gather(questions, view, now, zone)
    if found.rows:
        return view, found
    try:
        meant = as_meant(questions, view.wanted)
    except Unknown as unknown:
        return view, replace(found, unknown=unknown.sentence)
    if meant == view.wanted:
        return view, found
    given = {name: getattr(meant, name) if name in NARROWING else said for name, said in view.given.items()}
    view = replace(view, wanted=meant, given=given)
    return view, gather(questions, view, now, zone)


def midnight(now: datetime, zone: ZoneInfo) -> datetime:
    """When the viewer's day began."""
    return now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)


def first(given: Given, name: str) -> str:
    """The parameter's value, the first where there are several; empty where there is none."""
    return next(iter(given.get(name, ())), "")


def text(given: Given, name: str) -> str:
    """The parameter's words. Raises Problem 400."""
    value = first(given, name).strip()
    if len(value) > TEXT_MOST or not value.isprintable():
        raise _wrong(name, f"{name} holds at most {TEXT_MOST} printable characters.")
    return value


def one_of(name: str, value: str, choices: Sequence[str]) -> str:
    """The value, of a closed list. Raises Problem 400."""
    if value not in choices:
        raise _wrong(name, f"{name} is one of {', '.join(choice for choice in choices if choice)}.")
    return value


def number(given: Given, name: str, usual: int, least: int, most: int) -> int:
    """The parameter as a whole number within bounds. Raises Problem 400."""
    text = first(given, name)
    if not text:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= most):
        raise _wrong(name, f"{name} lies between {least} and {most}.")
    return int(text)


def _day(given: Given, name: str) -> date | None:
    """The parameter as a day that ClickHouse has. Raises Problem 400."""
    text = first(given, name)
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        day = NO_DAY
    if day is not None and (day.isoformat() != text or not NO_DAY < day < _LAST_DAY):
        raise _wrong(name, f"{name} is a day, for example 2020-04-11.")
    return day


def _wrong(name: str, text: str) -> Problem:
    return Problem("bad-parameter", text, errors=[Place(where=name, code="bad_parameter", text=text)])


WORDS: Final[Mapping[str, object]] = {
    "columns_known": COLUMNS,
    "sort_of": SORT_OF,
    "groups_known": GROUPS,
    "kinds_known": EXCEPTION_KINDS,
    "severities_known": SEVERITIES,
    "stages_known": STAGES,
    "states_known": STATES,
    "items_known": get_args(ItemCategory),
    "modes_known": get_args(Mode),
    "work_known": WORK,
}
"""What can be chosen, for forms."""
