"""The questions: each an SQL file (queries/NAME.sql) with named parameters that the server binds, its answer a typed row.

Asked as the reader user. Times are aware, UTC. `now` and windows are arguments; the pipeline's own time is `as_of`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Executor, Future
from dataclasses import asdict, astuple, dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache, partial
from importlib.resources import files
from typing import ClassVar, Literal, TypeVar
from zoneinfo import ZoneInfo

from schemas.journey_v1 import Journey
from schemas.words import EXCEPTION_KINDS, LINKING_KINDS
from services.console.facts import Facts, Line, done, told
from services.console.kept import Kept
from services.runtime.clickhouse import ClickHouse
from services.runtime.clock import Clock, SystemClock

FACET_MOST = 60
"""Of each facet so many values are offered; what is rarer is found by text."""

DELAY_KINDS = ("late", "overdue", "will_be_late")
"""What `delayed` means unless told otherwise: late, or will be."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""No time at all, where SQL takes a time."""
NO_DAY = date(1970, 1, 1)
"""No day at all, where SQL takes a day."""

THREES = 3
"""So long a text is looked for by an index (journey_lines.by_name); a shorter one stands nearly everywhere."""

OPEN_SINCE = timedelta(days=2)
"""What was delivered since is still in the table of open work, which keeps it for three days by the server's clock."""

UNMATCHED_MOST = 10_000
"""References that nobody owns are told so many of, the newest."""

TO_DO_AMONG = 3
"""Rows of which nobody takes care yet are looked for among so many times as many that stand first."""

WORK_MOST = 500
"""As queries/work_done.sql."""

NAMED_MOST = 20_000
"""So many different vessels (or hospitals, carriers, terminals) are looked at to tell whether one is known: the newest."""

NO_LIMIT = 1_000_000
"""The reader's own bound on result rows."""


AS_WRITTEN: Mapping[str, object] = {"query_plan_join_swap_table": "false"}
"""Of lists: what people did about a few is looked up for the many; the other way round, as ClickHouse plans it, took twice as
long."""

BY_KEY: Mapping[str, object] = {"max_threads": 1}
"""Of what an index leads to: with threads beside it the same took a third more of both cores."""

STREAMED: Mapping[str, object] = {**AS_WRITTEN, "max_block_size": 8_192, "max_execution_time": 120}
"""Of rows that are told one after the other: so many come at once; and the seconds that who reads them may take in all."""

COUNTS_FRESH_S, COUNTS_OLD_S = 5.0, 30.0
"""How old the counts beside a list are (Facets) when they are counted anew, and when nobody is told them any more."""

AS_OF_FRESH_S, AS_OF_OLD_S = 0.5, 2.0
"""The same of the pipeline's time, which moves every 5 s; what it tells is its own age."""

REGISTERED_FRESH_S, REGISTERED_OLD_S = 0.5, 2.0
"""The same of the registers where a word is looked up in them: who was registered just now must not be refused."""

KEPT = frozenset({"arrivals", "claims", "dwell", "feeds", "inbound", "interchanges", "outs", "score", "unmapped", "unmatched"})
"""What all events or consignments of weeks are counted for: the same for all who look, and no less true a minute later."""

DOUBTS = frozenset(
    {
        "bad_reference",
        "bad_check_digit",
        "check_digit_computed",
        "not_iso_6346",
        "placeholder",
        "contradiction",
        "bad_imo",
        "bad_flight",
        "bad_lot",
        "reference_from_id",
        "too_many_references",
    }
)
"""The readers' warnings that say that a reference is not as it should be (services/ingest/explanations.py). event_marks
tells them apart (deploy/clickhouse/015)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A facility, as far as questions need it."""

    code: str
    name: str
    zone: str
    unlocode: str


@dataclass(frozen=True, slots=True)
class Delayed:
    """A consignment and the worst that is wrong with it; `also`: the kinds of the rest. `goods`: (category, quantity, unit).
    With nothing wrong, `exception` and `severity` are empty and `since` is None.

    `keys`: of all that is wrong (of the kinds asked for). `acknowledged_by`: somebody takes care of all of it.

    `hours_late`: after the plan (late, overdue, will_be_late), over the limit (dwell, silent), since it was placed (on_hold),
    or None. `expected_passed`: the expected time is gone by, so it is no expectation any more.
    """

    consignment: str
    facility: str
    hospital: str
    zone: str
    sentence: str
    exception: str
    severity: str
    since: datetime | None
    hours_late: float | None
    also: list[str]
    stage: str
    place: str
    terminal: str
    carrier: str
    vessel: str
    voyage: str
    mode: str
    milestone: str
    expected_delivery: datetime | None
    expected_basis: str
    expected_passed: bool
    required_by: datetime | None
    tier: int
    last_event_at: datetime | None
    goods: list[tuple[str, int, str]]
    keys: list[str]
    acknowledged_by: str
    acknowledged_at: datetime | None
    assigned_to: str
    snoozed_until: datetime | None
    note: str
    noted_by: str


@dataclass(frozen=True, slots=True)
class WorkDone:
    """What somebody did about a consignment. `undone_by` empty: it still counts."""

    act_id: str
    act: str
    exceptions: list[str]
    at: datetime
    by: str
    assignee: str
    until: datetime | None
    text: str
    undone_by: str
    undone_at: datetime | None


@dataclass(frozen=True, slots=True)
class RawPointer:
    """Where the bytes behind an event, a command or a dead letter lie: raw.messages.v1 `partition`, `offset`, and place in it.

    `code`: the sender's code, the command, or the reason. A letter about none has offset -1.
    """

    sender: str
    standard: str
    code: str
    position: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class RawBytes:
    """A record of raw.messages.v1; `payload` as sent (perhaps gzip)."""

    sender: str
    sha256: str
    content_type: str
    content_encoding: str
    payload: bytes | str


@dataclass(frozen=True, slots=True)
class Interchange:
    """A control number that a sender used several times. `named`: the sender as the envelope names it; `contents`: how many
    different bodies bore it (1: the same bytes each time); `last_partition`, `last_offset`: the newest raw record."""

    sender: str
    standard: str
    named: str
    control: str
    times: int
    contents: int
    first_at: datetime
    last_at: datetime
    last_partition: int
    last_offset: int


@dataclass(frozen=True, slots=True)
class Found:
    """A consignment that a reference leads to, and by which of its references."""

    consignment: str
    stage: str
    milestone: str
    facility: str
    expected_delivery: datetime | None
    expected_basis: str
    wrong: list[str]
    by_kind: str
    by_value: str
    how: str


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event that names the reference. `owned`: some consignment has a reference by which the event links."""

    event_id: str
    sender: str
    standard: str
    code: str
    milestone: str
    classifier: str
    occurred_at: datetime
    received_at: datetime
    kind: str
    value: str
    retracted: bool
    owned: bool


@dataclass(frozen=True, slots=True)
class Inbound:
    """Goods expected on a local day, in `unit`s, by how sure the day is; `in_trouble`: of consignments with open exceptions.

    `passed`: they were expected by now, and nobody says that they came or when they will.
    """

    day: date
    category: str
    unit: str
    quantity: int
    by_estimate: int
    by_slip: int
    by_plan: int
    by_wish: int
    passed: int
    in_trouble: int
    consignments: int


@dataclass(frozen=True, slots=True)
class Dwell:
    """How long units stand at a terminal: of those that left in the window, and those that still stand there. `lost_h`: hours
    of the window past free time, of all units together; `past_free_h`: hours past it of what still stands there longest."""

    terminal: str
    name: str
    left_count: int
    median_h: float | None
    p90_h: float | None
    standing: int
    lost_h: float
    oldest_h: float | None
    past_free_h: float | None
    oldest_consignment: str
    oldest_unit: str


@dataclass(frozen=True, slots=True)
class Outs:
    """Units that left a terminal in the time that begins at `begins`, and the median hours that they had stood there."""

    begins: datetime
    terminal: str
    name: str
    units: int
    median_h: float


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Arrivals by a carrier on a lane (empty: of all): how many of those `planned` were on time, and by how many hours the last
    estimate was wrong (the median, either way; of those that had one)."""

    begins: datetime
    carrier: str
    lane: str
    arrivals: int
    planned: int
    on_time: int
    estimated: int
    eta_error_h: float | None


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """How a sender's feed does in the window; `events_per_h` of 24 hours, `lateness_h` the median, `claims` of all time;
    `expected_by`: who says nothing until then is silent."""

    sender: str
    name: str
    kind: str
    last_event_at: datetime | None
    events_per_h: float
    lateness_h: float | None
    events: int
    repeats: int
    unmapped: int
    warned: int
    claims: int
    dead_letters: int
    silent_since: datetime | None
    expected_by: datetime | None


@dataclass(frozen=True, slots=True)
class Score:
    """How well a sender's messages can be understood in the period that begins at `begins`: how many of its `events` are
    mapped, say their zone, have valid references; of its actuals, how many came in time. `faultless`: all of it. `unread`:
    statements and messages of which nothing could be read."""

    sender: str
    begins: datetime
    events: int
    unread: int
    mapped: int
    zone_said: int
    references_valid: int
    actuals: int
    on_time: int
    faultless: int


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A code of a sender that stands in no map: how many events say it, the newest of them and where its bytes lie."""

    sender: str
    standard: str
    code: str
    words: str
    events: int
    first_at: datetime
    last_at: datetime
    example: str
    raw_partition: int
    raw_offset: int
    raw_position: str


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Events of one sender under one reference that no consignment has."""

    sender: str
    kind: str
    value: str
    events: int
    codes: list[str]
    first_at: datetime
    last_at: datetime
    example: str


@dataclass(frozen=True, slots=True)
class Near:
    """An open consignment that is known by `word` (letters and digits alone), which is its reference (`kind`, `value`);
    `parties`: who has standing there."""

    word: str
    consignment: str
    kind: str
    value: str
    parties: list[str]


@dataclass(frozen=True, slots=True)
class DueThere:
    """An open consignment without a known unit of which the step that an event tells of is due at that place, `apart_h` hours
    before or after."""

    event: str
    consignment: str
    milestone: str
    place: str
    apart_h: float


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter."""

    letter_id: str
    sender: str
    stage: str
    reason: str
    place: str
    text: str
    standard: str
    raw_partition: int
    raw_offset: int
    received_at: datetime
    retryable: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """How many consignments are `open`; with how many anything is wrong, and what, delivered ones among them (`short`,
    `conflict`); one may count under several."""

    open: int
    in_trouble: int
    late: int
    will_be_late: int
    overdue: int
    on_hold: int
    dwell: int
    silent: int
    rolled: int
    misrouted: int
    short: int
    conflict: int
    delivered_today: int


@dataclass(frozen=True, slots=True)
class Changed:
    """Something that happened to a journey; `kind` as in schemas/journey_change_v1.py, `at` in the pipeline's time."""

    consignment: str
    kind: str
    at: datetime
    facility: str
    tier: int
    milestone: str
    occurred_at: datetime | None
    exception_kind: str
    severity: str
    sentence: str
    sender: str


@dataclass(frozen=True, slots=True)
class SilentFeed:
    """A sender that has said nothing for longer than it may."""

    sender: str
    name: str
    kind: str
    last_event_at: datetime
    silent_since: datetime
    sentence: str


@dataclass(frozen=True, slots=True)
class Hospital:
    """How a facility stands that goods go to: how many of its consignments are `open`, with how many something is wrong
    (delivered ones among them: short, conflict), and how many were `delivered` in the window. A time of 1970: none. `zone`:
    its own, empty where it is not registered."""

    facility: str
    name: str
    zone: str
    open: int
    in_trouble: int
    delayed: int
    first_tier: int
    critical: int
    delivered: int
    next_expected: datetime | None


@dataclass(frozen=True, slots=True)
class Vessel:
    """A vessel or flight with open consignments; `earliest`, `latest`: of what is said of arrival; `slip_h` after the plan.
    `port`: the UN/LOCODE where they all leave it; empty where they leave it at several."""

    vessel: str
    voyage: str
    mode: str
    port: str
    carriers: list[str]
    consignments: int
    in_trouble: int
    delayed: int
    hospitals: int
    earliest: datetime | None
    latest: datetime | None
    arrived: datetime | None
    slip_h: float | None


@dataclass(frozen=True, slots=True)
class Eta:
    """What a sender says of the arrival of a vessel or flight, as it said last (`heard`): `classifier` estimated or planned.
    `earliest`, `latest`: of what it says for the several `consignments`."""

    sender: str
    arrival: datetime
    classifier: str
    heard: datetime
    earliest: datetime
    latest: datetime
    consignments: int


@dataclass(frozen=True, slots=True)
class Told:
    """A message to a subscriber and what became of it; `state` empty: nobody has tried yet. `reason`: why it was not sent, or
    did not get through, as a code; `text`: in the provider's words."""

    notification: str
    subscription: str
    subject: str
    due_at: datetime
    purpose: str
    severity: str
    consignments: list[str]
    facilities: list[str]
    state: str
    last_at: datetime | None
    attempts: int
    channel: str
    provider: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class About:
    """Which messages: about a facility or a consignment, to a subscription, that came to a state (`waits`: nobody has tried).
    Empty means any."""

    facility: str = ""
    consignment: str = ""
    subscription: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Claimed:
    """How many words of a sender without standing a consignment has."""

    sender: str
    consignment: str
    words: int


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest of a table."""

    what: str
    newest: datetime | None
    rows: int


@dataclass(frozen=True, slots=True)
class DelayedFilter:
    """Empty means any. `hospital`: a code or a part of its name; `vessel`: a part of vessel or flight; `tier` 0: any; `text`: a
    part of the id, the vessel, the hospital's name or any reference; `state`: open, trouble (open, and something is wrong) or
    ended; `delivered_since`: delivered then or later; `expected_on`, `expected_before`: expected at the hospital on that day of
    its own, or before it; `owner`: the buyer, or a party; `work`: to_do (nobody takes care of it, and it need not wait),
    acknowledged, snoozed; `assigned`: to whom."""

    kinds: tuple[str, ...] = DELAY_KINDS
    hospital: str = ""
    carrier: str = ""
    terminal: str = ""
    vessel: str = ""
    item: str = ""
    tier: int = 0
    severity: str = ""
    stage: str = ""
    mode: str = ""
    state: str = ""
    text: str = ""
    delivered_since: datetime = EPOCH
    expected_on: date = NO_DAY
    expected_before: date = NO_DAY
    owner: str = ""
    work: str = ""
    assigned: str = ""


SORTS = (
    "worst",
    "hours",
    "expected",
    "required",
    "heard",
    "tier",
    "consignment",
    "hospital",
    "carrier",
    "terminal",
    "vessel",
    "stage",
)
_BY_NUMBER = ("hours", "expected", "required", "heard", "tier")
"""Those that a number is sorted by; the others sort by a text, but for the worst."""

GROUPS = ("hospital", "carrier", "terminal", "vessel", "exception", "severity", "stage", "tier")


@dataclass(frozen=True, slots=True)
class Keys:
    """Where a row stands in an order; a page begins after it."""

    group: str
    number: float
    text: str
    consignment: str


@dataclass(frozen=True, slots=True)
class Order:
    """How rows are told: `sort` of SORTS, `group` of GROUPS or empty; from `offset`, or after a row."""

    sort: str = "worst"
    reverse: bool = False
    group: str = ""
    offset: int = 0
    after: Keys | None = None


@dataclass(frozen=True, slots=True)
class Facets:
    """What rows there are, by what they can be chosen by: (value, shown, rows), the commonest first; `total` of all."""

    total: int
    critical: int
    major: int
    minor: int
    hospitals: list[tuple[str, str, int]]
    carriers: list[tuple[str, str, int]]
    terminals: list[tuple[str, str, int]]
    vessels: list[tuple[str, str, int]]
    kinds: list[tuple[str, str, int]]
    stages: list[tuple[str, str, int]]
    groups: list[tuple[str, str, int]]


_CLOCK = SystemClock()

R = TypeVar("R")
T = TypeVar("T")

Narrowed = Literal["hospital", "carrier", "terminal", "vessel"]
"""What lists are narrowed by that is no closed list (known.py)."""

Placed = tuple[Keys, int]
"""A consignment's place in the order, and its version there."""

Acts = Mapping[str, Sequence[Line]]
"""Of acted.sql, by consignment."""

Stand = tuple[datetime, str, *tuple[str, ...]]
"""Where a row of a list that tells the newest first stands: its time, and what tells it from others of that time."""

ANY_MESSAGE = About()


@cache
def sql(name: str) -> str:
    """The text of queries/NAME.sql. A line `-- OTHER.sql --` stands for the text of that file."""
    text = (files("services.console") / "queries" / f"{name}.sql").read_text(encoding="utf-8")
    return _INCLUDED.sub(lambda line: sql(line[1]).rstrip(), text)


_INCLUDED = re.compile(r"^ *-- ([a-z_]+)[.]sql --(?=,?$)", re.MULTILINE)


class Questions:
    """All questions over one connection. Raises ClickHouseError when there is no answer.

    With `kept`, those of KEPT, facets and standing may be told as they were counted a while ago; `counted`: when, by name. With
    `words`, so may what words are known, without that (`registered`, `named`). With `beside`, threads of which none waits for
    another, questions that are begun are asked at once."""

    _in_parts: ClassVar[bool] = True
    """Whether the rows of a list may be put together of several answers."""
    sees_rows: ClassVar[bool] = True
    """Whether who asks for a list is given its rows."""

    def __init__(
        self,
        clickhouse: ClickHouse,
        kept: Kept | None = None,
        beside: Executor | None = None,
        clock: Clock = _CLOCK,
        facts: Facts | None = None,
        words: Kept | None = None,
    ) -> None:
        self._clickhouse = clickhouse
        self._clock = clock
        self._facts = Facts() if facts is None else facts
        self._kept = kept
        self._words = words
        self._beside = beside
        self._lock = threading.Lock()
        self.counted: dict[str, datetime] = {}
        self._last: tuple[str, dict[str, object]] = ("", {})

    def begin(self, ask: Callable[[], T]) -> Future[T]:
        """Ask beside whoever asks; without threads for it at once. What `ask` raises, the answer raises."""
        if self._beside is not None:
            return self._beside.submit(ask)
        answer = Future[T]()
        answer.set_result(ask())
        return answer

    @property
    def counted_at(self) -> datetime | None:
        """The oldest of `counted`; None: all was asked just now."""
        return min(self.counted.values(), default=None)

    def as_of(self) -> datetime | None:
        """The pipeline's time T; None until it has one."""
        moment: datetime | None
        ask = partial(self._clickhouse.query, sql("as_of"))
        moment, _ = self._lately(("as_of",), lambda: ask()[0]["as_of"], AS_OF_FRESH_S, AS_OF_OLD_S)
        return moment

    def heard(self) -> datetime | None:
        """When the newest event or tick was appended; None before the first."""
        moment: datetime = self._clickhouse.query(sql("heard"))[0]["heard"]
        return moment if moment.timestamp() else None

    def total(self) -> int:
        """How many rows the last question has without its limit."""
        asked, params = self._last
        counting = f"SELECT count() AS lines FROM ({asked})"  # noqa: S608  the text of our own files, nobody's words
        lines: int = self._clickhouse.query(counting, params | {"limit": NO_LIMIT})[0]["lines"]
        return lines

    def facilities(self) -> dict[str, Place]:
        """By code."""
        return self._lately(("facilities",), lambda: {place.code: place for place in self._ask("facilities", Place)})[0]

    def registered(self, what: Narrowed) -> dict[str, str]:
        """Code -> name, of the registers; there is none of vessels."""
        asked = _with_parts(sql("registered"), frozenset({what}))

        def ask() -> dict[str, str]:
            return {row["code"]: row["name"] for row in self._clickhouse.query(asked)}

        return self._lately(("registered", what), ask, REGISTERED_FRESH_S, REGISTERED_OLD_S, self._words)[0]

    def named(self, what: Narrowed, owner: str = "", limit: int = NAMED_MOST) -> list[str]:
        """Whatever a journey (of the buyer `owner`) ever named, the newest first; of carriers also who was ever heard."""
        asked = _with_parts(sql("named"), _named_parts(what, owner))
        params: dict[str, object] = {"owner": owner, "limit": limit}

        def ask() -> list[str]:
            return [row["value"] for row in self._clickhouse.query(asked, params)]

        return self._lately(("named", what, owner, limit), ask, kept=self._words)[0]

    def is_named(self, what: Narrowed, word: str, codes: Sequence[str] = (), owner: str = "", part: bool = False) -> bool:
        """Whether a journey named the word or one of these codes, as of `named`; with `part`, what the word is a part of. Asked
        anew each time, and no further than to the first that did."""
        asked = _with_parts(sql("named"), _named_parts(what, owner) | {"one"} | ({"part"} if part else set()))
        return bool(self._clickhouse.query(asked, {"owner": owner, "word": word, "codes": [word, *codes]}))

    def standing(self, day: datetime) -> Standing:
        """How it stands; `day`: when the viewer's day began."""
        ask = partial(self._ask, "today", Standing, self._back_to(day), delivered_since=day)
        found, at = self._lately(("standing", day), ask)
        self._counted("standing", at)
        return found[0]

    def changed(self, since: datetime, limit: int = NO_LIMIT) -> list[Changed]:
        """What is news since then, the newest first."""
        return self._ask("changed", Changed, since=since, written_since=self._by_the_clock(since), limit=limit)

    def hospitals(self, now: datetime, since: datetime, limit: int = NO_LIMIT) -> list[Hospital]:
        """The worst off first; delivered since then."""
        return self._ask("hospitals", Hospital, self._back_to(since), now=now, delivered_since=since, limit=limit)

    def vessels(self, limit: int = NO_LIMIT, vessel: str = "") -> list[Vessel]:
        """Those with the most delayed consignments first; `vessel`: a part of the name."""
        return self._ask("vessels", Vessel, limit=limit, vessel=vessel)

    def etas(self, vessel: str, most: int = 2_000) -> list[Eta]:
        """What each sender says of when it arrives, who spoke last first."""
        return self._ask("etas", Eta, vessel=vessel, most=most)

    def messages(
        self, since: datetime, about: About = ANY_MESSAGE, limit: int = NO_LIMIT, after: Stand | None = None
    ) -> list[Told]:
        """What was due since then, the newest first; `after`: what stands behind that one (due_at, notification)."""
        if self._in_parts and not about.state:
            return self._messages_of(since, about, limit, after=after)
        parts = _messages_parts(after) if about.state else _messages_parts(after) | {"any_state"}
        tried_since = self._by_the_clock(since) - timedelta(days=1)
        params = _messages_params(since, about, limit, after)
        return self._ask("messages", Told, parts, tried_since=tried_since, **params)

    def told_about(
        self, consignment: str, since: datetime, until: datetime, limit: int, *, earlier: bool = False
    ) -> list[Told]:
        """The same of one consignment, what was due by `until`; `earlier`: that is past, and so it stood then."""
        found = self._messages_of(since, About(consignment=consignment), limit, until if earlier else None)
        return [one for one in found if one.due_at <= until]

    def _messages_of(
        self, since: datetime, about: About, limit: int, until: datetime | None = None, after: Stand | None = None
    ) -> list[Told]:
        """In two short questions: what became of them is asked of those alone that are told, and about most there are none."""
        of_one = after is None and about == About(consignment=about.consignment) != ANY_MESSAGE
        asked = _with_parts(sql("due"), _messages_parts(after) | {"of_one" if of_one else "any_state"})
        due = self._clickhouse.query(asked, _messages_params(since, about, limit, after), BY_KEY if of_one else None)
        if not due:
            return []
        those: dict[str, object] = {
            f"{name}s": sorted({line[name] for line in due}) for name in ("subscription", "notification")
        }
        those["tried_since"] = self._by_the_clock(since) - timedelta(days=1)
        if until is not None:
            those["until"] = until
        asked = _with_parts(sql("tries"), frozenset({"those"} if until is None else {"those", "until"}))
        tries = self._clickhouse.query(asked, those, BY_KEY)
        became = {line["notification"]: line for line in tries}
        return [_row(Told, {**_UNTRIED, **line, **became.get(line["notification"], {})}) for line in due]

    def _by_the_clock(self, since: datetime) -> datetime:
        """Since when what is said since then was written: the pipeline's time may be ahead of the clock (a drill)."""
        return since - max((self.as_of() or since) - self._clock.now(), timedelta())

    def claims(self, sender: str = "", limit: int = NO_LIMIT) -> list[Claimed]:
        """The most first."""
        return self._ask("claims", Claimed, sender=sender, limit=limit)

    def freshness(self) -> list[Newest]:
        """Of each table of what flows through."""
        return self._ask("freshness", Newest)

    def live(self, since: datetime, limit: int) -> list[dict[str, object]]:
        """(change_id, consignment, appended_ms) of what is news since then, the oldest first."""
        return self._clickhouse.query(sql("live"), {"since": since, "limit": limit})

    def silent_feeds(self) -> list[SilentFeed]:
        """The longest silent first."""
        return self._lately(("silent_feeds",), lambda: self._ask("silent_feeds", SilentFeed))[0]

    def delayed(self, wanted: DelayedFilter, now: datetime, limit: int = NO_LIMIT, order: Order | None = None) -> list[Delayed]:
        """The worst first, unless `order` says otherwise."""
        self._last = self._worklist(wanted, now, limit, order or Order())
        return self._rows(Delayed, *self._last)

    def delayed_rows(
        self, wanted: DelayedFilter, now: datetime, limit: int, order: Order, told: Sequence[str] = ()
    ) -> Iterator[Delayed]:
        """The same one after the other, for so many that nobody waits for the last: the first come once all are in order.
        `told`: consignments that are left out."""
        parts = _TOLD | {"ordered"} | ({"without"} if told else set())
        asked, params = self._worklist(wanted, now, limit, order, parts)
        lines = self._clickhouse.stream(asked, params | {"without": [*told]}, STREAMED)
        return (_row(Delayed, line) for line in lines)

    def delayed_page(self, wanted: DelayedFilter, now: datetime, limit: int, order: Order) -> tuple[list[Delayed], Keys | None]:
        """A page, and where the next one begins; None: there is none."""
        # all rows are looked at for their order, and a page of them is told: what only a page tells is read of it alone
        if (soon := self._to_do_soon(wanted, now, limit + 1, order)) is not None:
            found, acts = soon
        else:
            found = self._places(wanted, now, limit + 1, order)
            acts = self._acts([keys.consignment for keys, _ in found[:limit]])
        following = found[limit - 1][0] if len(found) > limit else None
        return self._told(wanted, now, found[:limit], acts), following

    def _to_do_soon(self, wanted: DelayedFilter, now: datetime, limit: int, order: Order) -> tuple[list[Placed], Acts] | None:
        """The first so many in the order of which nobody takes care yet, and what people did about them; None: they do not
        stand among the first of all. It is looked up who takes care of these, not of all that anybody did anything about."""
        if wanted.work != "to_do" or order.offset:
            return None
        anybodys = replace(wanted, work="")
        most = limit * TO_DO_AMONG
        first = self._places(anybodys, now, most, order)
        acts = self._acts([keys.consignment for keys, _ in first])
        taken = {id_ for id_, said in acts.items() if any(act["act"] in ("acknowledge", "snooze") for act in said)}
        told = self._told(anybodys, now, [one for one in first if one[0].consignment in taken], acts)
        set_aside = {row.consignment for row in told if row.acknowledged_at is not None or row.snoozed_until is not None}
        found = [one for one in first if one[0].consignment not in set_aside]
        return (found[:limit], acts) if len(found) >= limit or len(first) < most else None

    def _told(self, wanted: DelayedFilter, now: datetime, found: Sequence[Placed], acts: Acts) -> list[Delayed]:
        """The rows of these places, but for what is no more."""
        stand = {keys.consignment: version for keys, version in found}
        if not stand:
            return []
        places = self.facilities()
        by_id = self._facts.known(stand.items())
        for ended in (False,) if self._source(wanted) in _OPEN else (False, True):
            if left := [id_ for id_ in stand if id_ not in by_id]:
                asked = _with_parts(sql("facts"), frozenset({"ended"} if ended else ()))
                lines = self._clickhouse.query(asked, {"ids": left}, BY_KEY)
                if not ended:
                    # nothing is wrong with what does not stand in the table of open work: but the view that fills it may be a
                    # moment behind the one that told this version
                    self._facts.put(lines)
                by_id |= {line["consignment"]: line for line in lines}
        kinds = () if _anything(wanted) else wanted.kinds
        rows = []
        for id_ in stand:
            if id_ in by_id:
                line = by_id[id_]
                place = places.get(line["facility"], _NOWHERE)
                rows.append(Delayed(**told(line, acts.get(id_, ()), place.name, place.zone, kinds, now)))  # type: ignore[arg-type]  # its fields, by name
        return rows

    def _acts(self, ids: Sequence[str]) -> Acts:
        """What people did about these, by consignment."""
        acts: dict[str, list[Line]] = {}
        for act in self._clickhouse.query(sql("acted"), {"ids": [*ids]}, BY_KEY) if ids else ():
            acts.setdefault(act["consignment"], []).append(act)
        return acts

    def _places(self, wanted: DelayedFilter, now: datetime, limit: int, order: Order) -> list[Placed]:
        """The first so many in the order, and the version of each."""
        source = self._source(wanted)
        first_come = wanted.state != "ended" and (order.sort, order.reverse, order.group) == ("worst", False, "")
        if source in _EVER and first_come:
            # what is wrong comes first, and all of it stands in the table of open work: what has ended is asked for where
            # that is less than a page
            if wanted.text and not (order.offset or order.after):
                return self._found(wanted, now, limit, order)
            first = self._places(replace(wanted, kinds=EXCEPTION_KINDS), now, limit, order)
            if len(first) == limit:
                return first
        return self._ordered(source, wanted, now, limit, order)

    def _found(self, wanted: DelayedFilter, now: datetime, limit: int, order: Order) -> list[Placed]:
        """The first page of what has a text, the worst first: open work, and what has ended only where that may be on it."""
        first = self._ordered("from_found_open", wanted, now, limit, order)
        if len(first) == limit and first[-1][0].number < 0:
            return first  # something is wrong with all of these
        bare = letters_and_digits(wanted.text)
        if len(bare) >= THREES:
            ever = self._clickhouse.query(f"{sql('named_ever')} LIMIT {{most:UInt32}}", {"bare": bare, "most": limit}, BY_KEY)
            if len(ever) < limit and {line["consignment"] for line in ever} <= {keys.consignment for keys, _ in first}:
                return first
        ended = self._ordered("from_found_ended", wanted, now, limit, order) if bare else []
        return sorted([*first, *ended], key=lambda one: astuple(one[0]))[:limit]

    def _ordered(self, source: str, wanted: DelayedFilter, now: datetime, limit: int, order: Order) -> list[Placed]:
        asked, params = self._worklist(wanted, now, limit, order, {"ordered", "placed"}, source)
        asked = f"SELECT group_key, number_key, text_key, consignment, version FROM ({asked})"  # noqa: S608  our own words
        found = (tuple(line.values()) for line in self._clickhouse.query(asked, params, AS_WRITTEN))
        return [(Keys(*keys), version) for *keys, version in found]

    def facets(self, wanted: DelayedFilter, now: datetime, order: Order) -> Facets:
        """Of all rows that are wanted, whatever the page."""
        if self._kept is None:
            return self._facets(wanted, now, order)
        key = ("facets", wanted, order.group)
        found: Facets
        # of all that ever was the counts take longer, and few of them change: they are kept as long as a report's, unless they
        # are of what people do
        slow = self._source(wanted) in _EVER and not (wanted.work or wanted.assigned)
        ages = () if slow else (COUNTS_FRESH_S, COUNTS_OLD_S)
        found, at = self._kept.rows(key, (now,), lambda: self._facets(wanted, now, order), *ages)
        self._counted("facets", at)
        return found

    def _facets(self, wanted: DelayedFilter, now: datetime, order: Order) -> Facets:
        asked, params = self._worklist(wanted, now, NO_LIMIT, Order(group=order.group), {"counted"})
        counts: dict[str, dict[tuple[str, str], int]] = {}
        for line in self._clickhouse.query(sql("facets").replace("-- ROWS --", asked), params, AS_WRITTEN):
            counted = counts.setdefault(line["by"], {})
            for value, shown in ((line["value"], line["shown"]), *((kind, kind) for kind in line["also"])):
                counted[value, shown] = counted.get((value, shown), 0) + line["rows"]
        return _counts(counts)

    def _worklist(
        self,
        wanted: DelayedFilter,
        now: datetime,
        limit: int,
        order: Order,
        parts: Set[str] | None = None,
        source: str = "",
    ) -> tuple[str, dict[str, object]]:
        """delayed.sql over the fewest consignments among which all that are wanted are, and its parameters. `parts`: of its
        optional parts, beside those that say what is wanted; unless told otherwise a list's."""
        params = {**_chosen(wanted, order), "now": now, "limit": limit}
        source = source or self._source(wanted)
        parts = _TOLD | {"ordered"} if parts is None else parts
        if "placed" in parts and _quick(wanted, order):
            parts = parts | {"quick"}
        return _delayed(source, _present(wanted, order) | parts), params

    def _source(self, wanted: DelayedFilter) -> str:
        """Which of from_*.sql has all that is wanted."""
        if wanted.kinds or wanted.severity or wanted.state in ("open", "trouble"):
            return "from_found_open" if wanted.text else "from_open"
        if wanted.text:
            return "from_found"
        if wanted.delivered_since > EPOCH:
            return "from_delivered" if self._was_long_ago(wanted.delivered_since) else "from_open"
        return "from_all"

    def _back_to(self, day: datetime) -> frozenset[str]:
        return frozenset({"long_ago"} if self._was_long_ago(day) else ())

    def _was_long_ago(self, day: datetime) -> bool:
        """Whether something that was delivered since has perhaps left the table of open work."""
        return day < self._clock.now() - OPEN_SINCE

    def show(self, consignment: str) -> Journey | None:
        """All that is known of it."""
        rows = self._clickhouse.query(sql("show"), {"consignment": consignment}, BY_KEY)
        return Journey.model_validate_json(rows[0]["record"], extra="ignore") if rows else None

    def work_done(self, consignment: str) -> list[WorkDone]:
        """What people did about it, the newest first, no more than WORK_MOST."""
        if not self._in_parts:
            return self._ask("work_done", WorkDone, consignment=consignment)
        # the same without a join, which took longer to plan than all the rest to do
        return [_row(WorkDone, line) for line in done(self._acts([consignment]).get(consignment, ()))[:WORK_MOST]]

    def acts_there(self, acts: Iterable[tuple[str, str]]) -> int:
        """How many of these (consignment, act) are here."""
        consignments, ids = zip(*acts, strict=True)
        found: int = self._clickhouse.query(sql("acts_there"), {"consignments": [*consignments], "ids": [*ids]})[0]["found"]
        return found

    def version(self, consignment: str) -> int:
        """Of the newest journey; 0: there is none."""
        found: int = self._clickhouse.query(sql("version"), {"consignment": consignment})[0]["version"]
        return found

    def similar(self, text: str) -> list[str]:
        """Ids of consignments that hold the text."""
        return [row["consignment"] for row in self._clickhouse.query(sql("similar"), {"text": text})]

    def raw_pointer(self, id_: str) -> RawPointer | None:
        """Where the bytes behind an event, a command or a dead letter lie."""
        rows = self._ask("raw_pointer", RawPointer, id=id_)
        return rows[0] if rows else None

    def raw_ids(self, begin: str, limit: int = 5) -> list[str]:
        """Ids of events, commands and dead letters that begin so."""
        return [row["id"] for row in self._clickhouse.query(sql("raw_ids"), {"begin": begin, "limit": limit})]

    def raw_bytes(self, partition: int, offset: int) -> RawBytes | None:
        """A record of raw.messages; None if it is not there (yet)."""
        rows = self._ask("raw_bytes", RawBytes, partition=partition, offset=offset)
        return rows[0] if rows else None

    def find(self, text: str, limit: int = NO_LIMIT) -> list[Found]:
        """Consignments by id or reference; only letters and digits count."""
        return self._ask("find", Found, text=letters_and_digits(text), limit=limit)

    def find_events(self, text: str, owned: bool = True, limit: int = NO_LIMIT) -> list[FoundEvent]:
        """Events that name the reference; not `owned`: those only that no consignment owns."""
        return self._ask(
            "find_events", FoundEvent, linking=sorted(LINKING_KINDS), values=spellings(text), all=int(owned), limit=limit
        )

    def inbound(
        self, now: datetime, until: datetime, hospital: str = "", item: str = "", limit: int = NO_LIMIT
    ) -> list[Inbound]:
        """What is expected before `until`, by day; on days before `now` what was expected then and has not come."""
        part = frozenset({"hospital"} if hospital else ())
        return self._ask("inbound", Inbound, part, now=now, until=until, hospital=hospital, item=item, limit=limit)

    def dwell(self, now: datetime, since: datetime, terminal: str = "", limit: int = NO_LIMIT) -> list[Dwell]:
        """The terminal with the oldest unit first."""
        return self._ask("dwell", Dwell, now=now, since=since, terminal=terminal, limit=limit)

    def outs(self, now: datetime, since: datetime, step: timedelta, terminal: str = "") -> list[Outs]:
        """What left each terminal, by `step`, the oldest first; days are those of the zone that `now` is told in."""
        zone = now.tzinfo.key if isinstance(now.tzinfo, ZoneInfo) else "UTC"
        seconds = round(step.total_seconds())
        return self._ask("outs", Outs, now=now, since=since, step=seconds, terminal=terminal, zone=zone)

    def arrivals(
        self, since: datetime, step: timedelta, lanes: bool, carrier: str = "", limit: int = NO_LIMIT
    ) -> list[Arrivals]:
        """By carrier (and lane) and `step`, the oldest first; a step of 0: the whole time as one."""
        seconds = round(step.total_seconds())
        return self._ask("arrivals", Arrivals, since=since, step=seconds, lanes=int(lanes), carrier=carrier, limit=limit)

    def feeds(
        self, now: datetime, since: datetime, sender: str = "", everyone: bool = True, limit: int = NO_LIMIT
    ) -> list[FeedHealth]:
        """Silent feeds first. Not `everyone`: without those of whom no events are expected, and who sent none."""
        return self._ask("feeds", FeedHealth, now=now, since=since, sender=sender, all=int(everyone), limit=limit)

    def scores(self, since: datetime, step_days: int, on_time_h: float, sender: str = "", limit: int = NO_LIMIT) -> list[Score]:
        """By sender and period of `step_days`, oldest first; 0: the whole time as one."""
        return self._ask("score", Score, since=since, step=step_days, on_time_h=on_time_h, sender=sender, limit=limit)

    def unmapped(self, since: datetime, sender: str = "", limit: int = NO_LIMIT) -> list[Unmapped]:
        """The commonest first."""
        return self._ask("unmapped", Unmapped, since=since, sender=sender, limit=limit)

    def interchanges(self, since: datetime, sender: str = "", limit: int = NO_LIMIT) -> list[Interchange]:
        """Interchanges whose control number was there before, the newest first."""
        return self._ask("interchanges", Interchange, since=since, sender=sender, limit=limit)

    def unmatched(self, since: datetime, sender: str = "", limit: int = NO_LIMIT) -> list[Unmatched]:
        """The newest first."""
        return self._ask("unmatched", Unmatched, since=since, sender=sender, limit=limit)

    def near(self, words: Sequence[str], limit: int = 10_000) -> list[Near]:
        """Open consignments that are known by one of these words, of letters and digits alone."""
        return self._ask("near", Near, words=[*words], limit=limit)

    def due_there(self, events: Sequence[str], senders: Sequence[str], within_h: int = 36) -> list[DueThere]:
        """Open consignments that these events of these senders may be about, by place and time alone."""
        return self._ask("due_there", DueThere, events=[*events], senders=[*senders], within_h=within_h)

    def dead_letters(
        self, sender: str = "", reason: str = "", limit: int = NO_LIMIT, letter: str = "", after: Stand | None = None
    ) -> list[Letter]:
        """The newest first; `letter`: that one alone; `after`: what stands behind that one (received_at, letter_id)."""
        given: dict[str, object] = {"sender": sender, "reason": reason, "letter": letter, "limit": limit, **_after(after)}
        behind = frozenset({"after_row"} if after else ())
        if self._in_parts:
            among = {"among": min(_AMONG * limit, NO_LIMIT)}
            found = self._clickhouse.query(_with_parts(sql("dead_letters"), behind | {"among"}), given | among)
            if len(found) >= limit or (found and found[0]["oldest"] <= EPOCH):
                return [_row(Letter, line) for line in found]
        return self._rows(Letter, _with_parts(sql("dead_letters"), behind), given)

    def _rows(self, row: type[R], asked: str, params: Mapping[str, object]) -> list[R]:
        return [_row(row, line) for line in self._clickhouse.query(asked, params)]

    def _ask(self, name: str, row: type[R], parts: frozenset[str] = frozenset(), **params: object) -> list[R]:
        """The rows of queries/NAME.sql, with these of its optional parts; its columns must be the row's fields."""
        self._last = asked, given = _with_parts(sql(name), parts), params
        if self._kept is None or name not in KEPT:
            return self._rows(row, asked, given)
        times = tuple(value for value in params.values() if isinstance(value, datetime))
        said = tuple((word, value) for word, value in params.items() if not isinstance(value, datetime))
        rows: list[R]
        rows, at = self._kept.rows((name, *said), times, lambda: self._rows(row, asked, given))
        self._counted(name, at)
        return [*rows]

    def shared(self, key: tuple[str, ...], now: datetime, ask: Callable[[], T]) -> T:
        """What `ask` gives, kept as the answers of KEPT are, under a name of its own (the first of `key`)."""
        if self._kept is None:
            return ask()
        found: T
        found, at = self._kept.rows(key, (now,), ask)
        self._counted(key[0], at)
        return found

    def _lately(
        self,
        key: tuple[object, ...],
        ask: Callable[[], T],
        fresh_s: float = COUNTS_FRESH_S,
        old_s: float = COUNTS_OLD_S,
        kept: Kept | None = None,
    ) -> tuple[T, datetime | None]:
        """What `ask` gives, shared by all who look for some seconds, and when it was asked (None: just now). `kept`: where,
        unless it is with the others."""
        kept = self._kept if kept is None else kept
        return (ask(), None) if kept is None else kept.rows(key, (), ask, fresh_s, old_s)

    def _counted(self, name: str, at: datetime | None) -> None:
        if at is not None:
            with self._lock:
                self.counted[name] = min(at, self.counted.get(name, at))


_UNTRIED: Mapping[str, object] = {
    **dict.fromkeys(("state", "channel", "provider", "reason", "text"), ""),
    "last_at": EPOCH,
    "attempts": 0,
}
"""Of a message, before anybody tried to send it."""

_AMONG = 4
"""So many times as many dead letters as a page holds are looked at first."""

_NOWHERE = Place("", "", "", "")

_TOLD = frozenset({"told", "places", "worked"})
"""The parts of delayed.sql that a row of a list has."""

_OPEN = frozenset({"from_open", "from_found_open"})
"""The sources of delayed.sql that are of open work alone."""

_EVER = frozenset({"from_all", "from_found"})
"""Those that are of all that ever was."""


def _named_parts(what: Narrowed, owner: str) -> frozenset[str]:
    """The parts of named.sql: who was heard of is not a buyer's business."""
    return frozenset({what} | ({"heard"} if what == "carrier" and not owner else set()))


def _messages_parts(after: Stand | None) -> frozenset[str]:
    return frozenset() if after is None else frozenset({"after_row"})


def _messages_params(since: datetime, about: About, limit: int, after: Stand | None) -> dict[str, object]:
    """The parameters of due.sql."""
    return {"since": since, "limit": limit, **asdict(about), **_after(after)}


def _after(after: Stand | None) -> dict[str, object]:
    """The row after which a page begins, as parameters."""
    return {} if after is None else {"after_at": after[0], "after_id": after[1]}


def _row(kind: type[R], line: Mapping[str, object]) -> R:
    """A dataclass of the columns of its fields' names."""
    return kind(*map(line.__getitem__, _names(kind)))  # type: ignore[arg-type]  # a class can be hashed


@cache
def _names(kind: type[object]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))  # type: ignore[arg-type]  # one of those above


def facets_of(rows: Sequence[Delayed], group: str) -> Facets:
    """The same as ClickHouse counts, where these rows are all that is wanted. `group`: of GROUPS, or empty."""
    counts: dict[str, dict[tuple[str, str], int]] = {}
    for row in rows:
        for by, value, shown in (
            ("hospitals", row.facility, row.hospital),
            ("carriers", row.carrier, row.carrier),
            ("terminals", row.terminal, row.terminal),
            ("vessels", row.vessel, row.vessel),
            ("stages", row.stage, row.stage),
            ("groups", group_of := str(getattr(row, group)) if group else "", group_of),
            ("severities", row.severity, row.severity),
            *(("kinds", kind, kind) for kind in (row.exception, *row.also)),
        ):
            counted = counts.setdefault(by, {})
            counted[value, shown] = counted.get((value, shown), 0) + 1
    return _counts(counts)


def _counts(counts: dict[str, dict[tuple[str, str], int]]) -> Facets:
    """Of by -> (value, shown) -> rows."""
    severities = {value: rows for (value, _), rows in counts.pop("severities", {}).items()}
    lists = {
        name: sorted(((*key, rows) for key, rows in counts.get(name, {}).items()), key=lambda one: (-one[2], one[1], one[0]))
        for name in ("hospitals", "carriers", "terminals", "vessels", "kinds", "stages", "groups")
    }
    return Facets(
        total=sum(severities.values()),
        critical=severities.get("critical", 0),
        major=severities.get("major", 0),
        minor=severities.get("minor", 0),
        **{name: found[:FACET_MOST] for name, found in lists.items()},
    )


def _present(wanted: DelayedFilter, order: Order) -> frozenset[str]:
    """Which optional parts of delayed.sql a question has: to plan all of it takes ClickHouse longer than to answer it."""
    nothing = DelayedFilter(kinds=())
    said = {field.name for field in fields(wanted) if getattr(wanted, field.name) != getattr(nothing, field.name)}
    said |= {"zoned", "places"} if said & {"expected_on", "expected_before"} else set()
    said |= {"to_do" if wanted.work == "to_do" else "acted"} if wanted.work else set()
    said |= {"places"} if "hospital" in (order.sort, order.group) else set()
    said = said - {"kinds"} | {"anything"} if _anything(wanted) else said
    said |= {"late"} if set(wanted.kinds) == set(DELAY_KINDS) else set()
    said |= {"long"} if len(letters_and_digits(wanted.text)) >= THREES else set()
    said |= {"group"} if order.group else set()
    by = order.sort if order.sort in _BY_NUMBER else "text"
    said |= {"sort", f"sort_{by}"} if order.sort != "worst" else set()
    return frozenset(said | ({"after_id"} if order.after else set()))


@lru_cache(maxsize=1_000)
def _delayed(source: str, parts: frozenset[str]) -> str:
    """delayed.sql over one of from_*.sql, with these of its optional parts."""
    return _with_parts(sql("delayed").replace("-- SOURCE --", sql(source)), parts)


def _with_parts(text: str, parts: frozenset[str]) -> str:
    """A question with these of its optional parts, the inner ones first."""
    while True:
        text, found = _OPTIONAL.subn(lambda part: (part["then"] if part["name"] in parts else part["else"]) or "", text)
        if not found:
            return text


_OPTIONAL = re.compile(
    r"^ *-- IF (?P<name>[a-z_]+) --\n(?P<then>(?:(?! *-- (?:IF|ELSE|END)\b).*\n)*)"
    r"(?: *-- ELSE --\n(?P<else>(?:(?! *-- (?:IF|END)\b).*\n)*))? *-- END --\n",
    re.MULTILINE,
)


def _quick(wanted: DelayedFilter, order: Order) -> bool:
    """Whether the places of rows can be told from the columns any_* or late_* of open work, without its arrays."""
    kinds = not wanted.kinds or _anything(wanted) or set(wanted.kinds) == set(DELAY_KINDS)
    return kinds and not wanted.severity and order.sort != "hours" and order.group not in ("exception", "severity")


def _anything(wanted: DelayedFilter) -> bool:
    """Whether every kind is wanted: then none has to be looked for."""
    return set(wanted.kinds) >= set(EXCEPTION_KINDS)


def _chosen(wanted: DelayedFilter, order: Order) -> dict[str, object]:
    """The parameters of delayed.sql but for time and limit."""
    chosen = {field.name: getattr(wanted, field.name) for field in fields(wanted)}
    after = order.after or Keys("", 0.0, "", "")
    return chosen | {
        "kinds": [] if _anything(wanted) else list(wanted.kinds),
        "bare": letters_and_digits(wanted.text),
        "sort": order.sort,
        "reverse": int(order.reverse),
        "group": order.group,
        "offset": order.offset,
        "after_group": after.group,
        "after_number": after.number,
        "after_text": after.text,
        "after_id": after.consignment,
    }


def letters_and_digits(text: str) -> str:
    """`020-1234 5675` -> `02012345675`: how people type a reference must not matter."""
    return "".join(character for character in text.upper() if character.isascii() and character.isalnum())


def spellings(text: str) -> list[str]:
    """The ways a reference may stand in events: as typed, in capitals, bare, and as an air waybill."""
    bare = letters_and_digits(text)
    ways = {text.strip(), text.strip().upper(), bare}
    if len(bare) == 11 and bare.isdigit():
        ways.add(f"{bare[:3]}-{bare[3:]}")
    return sorted(way for way in ways if way)
