"""`/api/v1/...`: the pages' data, with the pages' own filters; `/v2/events`: a consignment's events as DCSA clients read them.

JSON, or CSV with `format=csv`. Lists that grow are read by `cursor` (the answer's `next`, and its Link header); what is as long
as a register comes whole. Each answer has an ETag, but for a CSV of more than CSV_WHOLE rows, which is sent as it is read: the
first lines come while the last are asked for. What the pages share is shared here too, and `counted` says when it was.
A key sees its own only (entry.Reader): a buyer its consignments, anyone else those where it is a party, of which its own words.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import chain, islice
from operator import attrgetter
from typing import Any, Final, TypeVar
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from schemas.base import rfc3339, to_utc
from schemas.journey_v1 import Journey
from services.console import arrow, dcsa_events, known, paging, today, worklist
from services.console.consignment import Story, known_at, tell
from services.console.door import ConsoleDoor
from services.console.entry import Reader
from services.console.gate import Place, Problem
from services.console.known import Said
from services.console.pages import moment_in, parameters
from services.console.questions import (
    DELAY_KINDS,
    UNMATCHED_MOST,
    Delayed,
    DelayedFilter,
    Keys,
    Order,
    Questions,
    Stand,
)
from services.console.rawview import bytes_of
from services.console.render import known_zone
from services.console.worklist import Wanted

T = TypeVar("T")
Route = tuple[str, str, Callable[..., Awaitable[Response]]]

DAYS_MOST: Final = 400
ROWS_MOST: Final = 100_000
"""Of one CSV."""
CSV_WHOLE: Final = 2_000
"""Rows of a CSV that is sent in one piece."""
LIST_ROWS, LIST_MOST = 500, 5_000
"""Rows of an answer of a list that tells the newest first, unless told otherwise; and at most."""
CURSOR_LIVES: Final = timedelta(days=1)
_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r")


class Api:
    """The addresses for programs."""

    def __init__(self, door: ConsoleDoor, csv_whole: int = CSV_WHOLE) -> None:
        self._door = door
        self._csv_whole = csv_whole

    def routes(self) -> Sequence[Route]:
        """Method, path, endpoint."""
        return (
            ("GET", "/api/v1/today", self.today),
            ("GET", "/api/v1/delayed", self.delayed),
            ("GET", "/api/v1/consignments", self.consignments),
            ("GET", "/api/v1/consignments/{consignment:path}", self.consignment),
            ("GET", "/api/v1/feeds", self.feeds),
            ("GET", "/api/v1/inbound", self.inbound),
            ("GET", "/api/v1/terminals", self.terminals),
            ("GET", "/api/v1/unmatched", self.unmatched),
            ("GET", "/api/v1/raw/{name}", self.raw),
            ("GET", "/v2/events", self.events),
        )

    # --- the work list

    async def delayed(self, request: Request) -> Response:
        return await self._worklist(request, DELAY_KINDS)

    async def consignments(self, request: Request) -> Response:
        return await self._worklist(request, ())

    async def _worklist(self, request: Request, kinds: tuple[str, ...]) -> Response:
        reader, given = self._door.entry.reader(request), parameters(request)
        if wants_arrow(request):

            def told(questions: Questions, now: datetime) -> Sequence[object]:
                view = worklist.read(given, now, known_zone(self._door.settings.console_zone), kinds)
                wanted = worklist.as_meant(questions, view.wanted)  # before it is asked: nobody here sees whether it is empty
                return questions.delayed(wanted, now, ROWS_MOST, view.order)

            return await answer_arrow(request, self._door, reader, told)
        as_csv = wants_csv(request)

        def asking(questions: Questions) -> Response:
            now = self._now(questions)
            after = cursor_in(worklist.first(given, "cursor"), now)
            if after is not None:
                now = after.now  # hours go on: by those of now, who stood behind that row may stand before it
            view = worklist.read(given, now, known_zone(self._door.settings.console_zone), kinds)
            wanted, order = chosen(view, reader)
            order = replace(order, after=after.keys if after else None)
            if as_csv:
                # a page first, which comes soon: to put all of the others in order takes a second. They are all but those of
                # the page, whatever stands behind it by then
                wanted, rows, following = worklist.page(questions, wanted, now, self._csv_whole, order)
                if following is None:
                    return answer_csv(request, [own_row(row, reader) for row in rows], "consignments")
                told = [row.consignment for row in rows]
                rest = questions.delayed_rows(wanted, now, ROWS_MOST - len(rows), order, told)
                return stream_csv((own_row(row, reader) for row in chain(rows, rest)), "consignments")
            wanted, rows, following = worklist.page(questions, wanted, now, view.rows, order)
            body: dict[str, Any] = {"as_of": now, "rows": [own_row(row, reader) for row in rows]}
            link = {}
            if following is not None:
                body["next"] = cursor_of(following, now)
                link = paging.link_to_next(request.url.include_query_params(cursor=body["next"]).remove_query_params("offset"))
            return answer_json(request, body, link)

        return await self._door.ask(asking)

    # --- one consignment

    async def consignment(self, request: Request, consignment: str) -> Response:
        """`at`: what was known then."""
        reader = self._door.entry.reader(request)
        moment = self._at(request)

        def asking(questions: Questions) -> Response:
            places = questions.begin(questions.facilities)
            asked_at = questions.begin(lambda: self._now(questions))
            journey = own(questions.show(consignment), reader)
            now = asked_at.result()
            told: Story
            if moment is not None and moment < now:
                told = tell(known_at(journey, moment), places.result(), moment, earlier=True)
            else:
                told = tell(journey, places.result(), now)
            return answer_json(request, {"as_of": now, "consignment": told})

        return await self._door.ask(asking, kept=True)

    async def events(self, request: Request) -> Response:
        """DCSA Track & Trace 2.2 `GET /v2/events`: those of one consignment, named by us or by a reference of DCSA's."""
        reader, given = self._door.entry.reader(request), parameters(request)
        names = {name: worklist.first(given, name) for name in ("consignment", *dcsa_events.REFERENCES)}
        named = [(name, value) for name, value in names.items() if value]
        if not named:
            raise _bad("consignment", f"Name one of {', '.join(names)}.")
        limit = worklist.number(given, "limit", 100, 1, 1_000)
        start = worklist.number(given, "cursor", 0, 0, 1_000_000)
        types = set(worklist.first(given, "eventType").split(",")) - {""}
        if types - set(dcsa_events.TYPES):
            raise _bad("eventType", f"eventType is of {', '.join(dcsa_events.TYPES)}, with commas.")
        moment = self._at(request)

        def asking(questions: Questions) -> Response:
            (kind, value), *_ = named
            found = [value] if kind == "consignment" else [one.consignment for one in questions.find(value, 20)]
            told: list[dict[str, Any]] = []
            for name in found:
                try:
                    journey = own(questions.show(name), reader)
                except Problem:
                    continue
                told += dcsa_events.of(journey if moment is None else known_at(journey, moment))
            told = [one for one in told if not types or one["eventType"] in types]
            told.sort(key=lambda one: (one["eventCreatedDateTime"], one["eventID"]))
            link = {}
            if len(told) > start + limit:
                address = request.url.include_query_params(cursor=start + limit)
                link = {"Link": f'<{address.path}?{address.query}>; rel="next"'}
            return answer_json(request, told[start : start + limit], {"API-Version": "2.2.0", **link})

        return await self._door.ask(asking)

    async def raw(self, request: Request, name: str) -> Response:
        """The bytes that somebody sent, behind the event, the command or the dead letter of that id. As bytes and nothing else:
        what they say they are is a stranger's word."""
        self._everybody(request)

        def asking(questions: Questions) -> Response:
            pointer = questions.raw_pointer(name)
            found = questions.raw_bytes(pointer.partition, pointer.offset) if pointer and pointer.offset >= 0 else None
            if pointer is None or found is None:
                raise Problem("not-found", "There is no message behind that id, or it is not here yet.")
            try:
                payload = bytes_of(found)
            except ValueError as error:
                raise Problem("not-found", f"The message cannot be told: {error}.") from error
            told = {"Sender": found.sender, "Sha256": found.sha256, "Position": pointer.position}
            headers = {f"Lovla-{one}": quote(value, safe="/:,.-") for one, value in told.items()}
            headers["Content-Disposition"] = 'attachment; filename="message.bin"'
            return _answer(request, payload, "application/octet-stream", headers)

        return await self._door.ask(asking)

    # --- the others

    async def today(self, request: Request) -> Response:
        self._everybody(request)
        zone_name = worklist.first(parameters(request), "zone") or self._door.settings.console_zone
        zone = known_zone(zone_name)
        if zone.key != zone_name:
            raise _bad("zone", "zone is one of the IANA time zones, for example America/Los_Angeles.")

        def asking(questions: Questions) -> Response:
            now = self._now(questions)
            found = today.gather(questions, now, zone)
            return answer_json(request, {"as_of": now, "counted": questions.counted, "today": found})

        return await self._door.ask(asking, kept=True)

    async def feeds(self, request: Request) -> Response:
        reader, days = self._door.entry.reader(request), self._days(request, 7)
        carrier = self._carrier(request, reader)

        def asking(questions: Questions, now: datetime, said: Said) -> Sequence[object]:
            return questions.feeds(now, now - timedelta(days=days), reader.owner or said["carrier"], everyone=False)

        return await self._list(request, reader, "feeds", carrier, asking)

    async def inbound(self, request: Request) -> Response:
        reader = self._everybody(request)
        given, days = parameters(request), self._days(request, 14)
        item = worklist.text(given, "item")

        def asking(questions: Questions, now: datetime, said: Said) -> Sequence[object]:
            return questions.inbound(now, now + timedelta(days=days), said["hospital"], item)

        return await self._list(request, reader, "inbound", {"hospital": worklist.text(given, "hospital")}, asking)

    async def terminals(self, request: Request) -> Response:
        reader = self._everybody(request)
        terminal, days = worklist.text(parameters(request), "terminal"), self._days(request, 30)

        def asking(questions: Questions, now: datetime, said: Said) -> Sequence[object]:
            return questions.dwell(now, now - timedelta(days=days), said["terminal"])

        return await self._list(request, reader, "terminals", {"terminal": terminal}, asking)

    async def unmatched(self, request: Request) -> Response:
        reader, days = self._door.entry.reader(request), self._days(request, 30)
        carrier = self._carrier(request, reader)

        def asking(questions: Questions, now: datetime, said: Said) -> Sequence[object]:
            return questions.unmatched(now - timedelta(days=days), reader.owner or said["carrier"], UNMATCHED_MOST)

        return await self._list(request, reader, "unmatched", carrier, asking, paging.of_unmatched)

    async def _list(
        self,
        request: Request,
        reader: Reader,
        name: str,
        said: Said,
        asking: Callable[[Questions, datetime, Said], Sequence[object]],
        stand: Callable[[Any], Stand] | None = None,
    ) -> Response:
        """`said`: the words that narrow it."""

        def told(questions: Questions, now: datetime, _: Part) -> Sequence[object]:
            return known.asked(questions, said, lambda said: asking(questions, now, said))

        return await answer_list(request, self._door, reader, name, told, stand)

    # ---

    def _carrier(self, request: Request, reader: Reader) -> Said:
        """The sender that is asked about; a key that sees its own only asks about none other."""
        return {"carrier": "" if reader.owner else worklist.text(parameters(request), "carrier")}

    def _everybody(self, request: Request) -> Reader:
        """Who asks for what is about everybody's. Raises Problem 403 for a key that sees its own only."""
        reader = self._door.entry.reader(request)
        reader.need_everything()
        return reader

    def _now(self, questions: Questions) -> datetime:
        return questions.as_of() or self._door.clock.now()

    def _at(self, request: Request) -> datetime | None:
        return moment_in(worklist.first(parameters(request), "at"), known_zone("UTC"))

    def _days(self, request: Request, usual: int) -> int:
        return worklist.number(parameters(request), "days", usual, 1, DAYS_MOST)


def wants_csv(request: Request) -> bool:
    """Whether `format` asks for CSV. Raises Problem 400."""
    form = worklist.first(parameters(request), "format") or "json"
    if form not in ("json", "csv"):
        raise _bad("format", "format is json, csv or arrow (lists alone).")
    return form == "csv"


def wants_arrow(request: Request) -> bool:
    """Whether `format`, or without it Accept, asks for an Arrow stream."""
    form = worklist.first(parameters(request), "format")
    return form == "arrow" or (not form and arrow.MEDIA_TYPE in request.headers.get("accept", ""))


async def answer_arrow(
    request: Request, door: ConsoleDoor, reader: Reader, asking: Callable[[Questions, datetime], Sequence[object]]
) -> Response:
    """The rows that `asking` asks for, as ClickHouse writes them. Raises Problem 403 for a key that sees its own only."""
    reader.need_everything()

    def ask(questions: arrow.ArrowQuestions) -> Response:
        now = questions.as_of() or door.clock.now()
        asking(questions, now)
        headers = {"Lovla-As-Of": rfc3339(now), "Vary": "Accept", "Cache-Control": "no-store"}
        return Response(questions.stream, headers=headers, media_type=arrow.MEDIA_TYPE)

    return await door.ask_arrow(ask)


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a list is asked for: so many rows, behind one. Who asks for more than that is given no more."""

    rows: int = ROWS_MOST
    after: Stand | None = None
    as_csv: bool = False
    """Asked for page after page: what may go to the top meanwhile is given whole."""


async def answer_list(
    request: Request,
    door: ConsoleDoor,
    reader: Reader,
    name: str,
    asking: Callable[[Questions, datetime, Part], Sequence[Any]],
    stand: Callable[[Any], Stand] | None = None,
) -> Response:
    """A list in the form that is asked for. With `stand`, of one that tells the newest first: JSON by pages, and CSV page after
    page. `asking` may give more than the part that it is asked for. Raises Problem 400, 403."""
    if wants_arrow(request):
        whole = Part()
        return await answer_arrow(request, door, reader, lambda questions, now: asking(questions, now, whole))
    as_csv, given = wants_csv(request), parameters(request)
    after = paging.stand_in(worklist.first(given, "cursor")) if stand else None
    most = CSV_WHOLE if as_csv else worklist.number(given, "rows", LIST_ROWS, 1, LIST_MOST) if stand else ROWS_MOST

    def page(questions: Questions, now: datetime, after: Stand | None) -> tuple[Sequence[Any], Stand | None]:
        rows = asking(questions, now, Part(most + 1, after, as_csv))
        if stand is None:
            return rows, None
        # what was given whole is told whole: asked anew, a row that something new is known of would stand before the page
        return paging.page_of(rows, stand, after, ROWS_MOST if as_csv and len(rows) > most + 1 else most)

    async def lines(first: bytes, now: datetime, after: Stand | None, left: int) -> AsyncIterator[bytes]:
        """Each page is asked for as every question is, in the door's threads: each of these keeps a connection."""

        def more(after: Stand | None, left: int, questions: Questions) -> tuple[bytes, int, Stand | None]:
            rows, following = page(questions, now, after)
            return b"".join(_lines(rows[:left], head=False)), left - len(rows), following

        yield first
        while after is not None and left > 0:
            piece, left, after = await door.ask(partial(more, after, left), kept=True)
            yield piece

    def ask(questions: Questions) -> Response:
        now = questions.as_of() or door.clock.now()
        rows, following = page(questions, now, after)
        counted = {"Lovla-Counted": rfc3339(at)} if (at := questions.counted_at) else {}
        if as_csv and following:
            first = b"".join(_lines(rows))
            return _pieces(lines(first, now, following, ROWS_MOST - len(rows)), name, counted)
        if as_csv and stand and len(rows) > most:
            return stream_csv(rows, name, counted)
        if as_csv:
            return answer_csv(request, rows, name, counted)
        body: dict[str, Any] = {"as_of": now, "rows": rows}
        if questions.counted:
            body["counted"] = questions.counted
        link = {}
        if following is not None:
            body["next"] = paging.cursor_after(following)
            link = paging.link_to_next(request.url.include_query_params(cursor=body["next"]))
        return answer_json(request, body, link)

    return await door.ask(ask, kept=True)


def chosen(view: Wanted, reader: Reader) -> tuple[DelayedFilter, Order]:
    """What a reader may choose by: a party by what its rows tell and by nothing else, since a filter answers too.

    Raises Problem 403 where others than an operator ask what its people do."""
    for name, value in (("work", view.wanted.work), ("assigned", view.wanted.assigned)):
        if reader.owner and value:
            raise Problem("no-scope", f"The key of {reader.owner} does not see who takes care of what: {name} is not for it.")
    if not reader.party:
        return replace(view.wanted, owner=reader.owner), view.order
    wanted = DelayedFilter(
        kinds=(), owner=reader.owner, stage=view.wanted.stage, mode=view.wanted.mode, state=view.wanted.state
    )
    return replace(wanted, state="" if wanted.state == "trouble" else wanted.state), Order("consignment", view.order.reverse)


def own_row(row: Delayed, reader: Reader) -> Delayed:
    """A row as this reader may see it: only an operator's tells what its people do, and a party's neither goods nor
    what is wrong by others' words."""
    if not reader.owner:
        return row
    told = _UNSAID if reader.party else _INSIDE
    unsaid: dict[str, Any] = {field.name: told[field.name] for field in fields(row) if field.name in told}
    return replace(row, **unsaid)


_INSIDE: Final[Mapping[str, object]] = {
    **dict.fromkeys(("acknowledged_by", "assigned_to", "note", "noted_by"), ""),
    **dict.fromkeys(("acknowledged_at", "snoozed_until")),
}
"""What only an operator's row tells."""
_UNSAID: Final[Mapping[str, object]] = {
    **_INSIDE,
    **dict.fromkeys(("sentence", "exception", "severity", "facility", "hospital", "place", "milestone", "expected_basis"), ""),
    **dict.fromkeys(("since", "hours_late", "expected_delivery", "required_by", "last_event_at")),
    "also": [],
    "keys": [],
    "goods": [],
    "tier": 0,
    "expected_passed": False,
}
"""What a party's row does not tell."""


def own(journey: Journey | None, reader: Reader) -> Journey:
    """The journey as this reader may see it. Raises Problem 404, the same whether there is none or it is another's."""
    missing = Problem("not-found", "There is no such consignment, or it is not yours.")
    if journey is None:
        raise missing
    if not reader.owner or journey.buyer == reader.owner:
        return journey
    parties = {*journey.declaration.parties.values(), *(code for _, code in journey.appointed), journey.carrier}
    if not reader.party or reader.owner not in parties:
        raise missing
    mine = reader.owner
    statements = tuple(said for said in journey.statements if said.sender == mine)
    heard = {said.event_id for said in statements}
    return journey.model_copy(
        update={
            "statements": statements,
            "claims": (),
            "receipts": tuple(receipt for receipt in journey.receipts if receipt.sender == mine),
            "holds": tuple(hold for hold in journey.holds if hold.sender == mine),
            "exceptions": tuple(
                state.model_copy(update={"evidence": tuple(one for one in state.evidence if one in heard)})
                for state in journey.exceptions
                if state.party == mine
            ),
            "milestones": tuple(
                state if state.sender == mine else state.model_copy(update={"actual": None, "estimated": None, "sender": None})
                for state in journey.milestones
            ),
            "units": (),
            "delivered": (),
            "references": tuple(one for one in journey.references if one.how == "declared" or one.teacher in heard),
            "senders": (mine,),
            "warnings": (),
            "declaration": journey.declaration.model_copy(
                update={
                    "note": None,
                    "items": (),
                    "packing": (),
                    "parties": {role: code for role, code in journey.declaration.parties.items() if code == mine},
                }
            ),
            "appointed": tuple((role, code) for role, code in journey.appointed if code == mine),
        }
    )


@dataclass(frozen=True, slots=True)
class After:
    """The last row of a page, and the time T at which its list was put in order."""

    keys: Keys
    now: datetime


def cursor_of(keys: Keys, now: datetime) -> str:
    """Where the next page begins, as text for an address."""
    return paging.packed([keys.group, keys.number, keys.text, keys.consignment, now.timestamp()])


def cursor_in(text: str, now: datetime) -> After | None:
    """Raises Problem 400 for what is none of ours, or of a list that was begun too long ago."""
    if not text:
        return None
    found = paging.unpacked(text)
    try:
        group, number, words, consignment, at = found
        keys = Keys(str(group), float(number), str(words), str(consignment))
        begun = datetime.fromtimestamp(float(at), UTC)
    except (ValueError, TypeError, OverflowError, OSError) as error:
        raise paging.bad_cursor() from error
    if not keys.consignment or keys.number != keys.number:
        raise paging.bad_cursor()
    if now - begun > CURSOR_LIVES:
        raise paging.bad_cursor("This list was begun more than a day ago; ask for its first page again.")
    return After(keys, min(begun, now))


def _bad(name: str, text: str) -> Problem:
    return Problem("bad-parameter", text, errors=[Place(where=name, code="bad_parameter", text=text)])


def plain(value: object) -> Any:
    """As JSON has it: times in UTC, dataclasses as objects."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        return rfc3339(to_utc(value))
    return value.isoformat() if isinstance(value, date) else value


_HEADERS: Final = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff", "Vary": "Cookie, Authorization"}


def _answer(request: Request, body: bytes, media: str, headers: Mapping[str, str], tag: str = "") -> Response:
    """`tag`: the ETag, where it is not of all bytes."""
    tag = tag or f'"{_digest(body)}"'
    told = {**_HEADERS, **headers, "ETag": tag}
    asked = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag.removeprefix("W/") in asked or "*" in asked:
        return Response(status_code=304, headers=told)
    return Response(body, 200, told, media_type=media)


def answer_json(request: Request, value: object, headers: Mapping[str, str] | None = None) -> Response:
    """With an ETag; 304 where the asker has it. The tag is of what is told and not of when (`as_of`, `counted`, the time in a
    cursor), so it is a weak one; Lovla-As-Of says until when that holds."""
    told = plain(value)
    more = dict(headers or {})
    if not isinstance(told, dict) or "as_of" not in told:
        return _answer(request, _packed(told), "application/json", more)
    same = {name: one for name, one in told.items() if name not in _WHEN} | {"goes_on": _day_of(told)}
    more["Lovla-As-Of"] = told["as_of"]
    return _answer(request, _packed(told), "application/json", more, f'W/"{_digest(_packed(same))}"')


def _day_of(told: Mapping[str, object]) -> str:
    """Of an answer that goes on: a cursor lives for a day (CURSOR_LIVES), so its answer is another one the next day."""
    return str(told["as_of"])[:10] if "next" in told else ""


_WHEN: Final = frozenset({"as_of", "counted", "next"})
"""What of an answer changes with each tick of the clock."""


def _packed(told: object) -> bytes:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:24]


def answer_csv(request: Request, rows: Sequence[object], name: str, more: Mapping[str, str] | None = None) -> Response:
    """A line a row, under its fields' names."""
    return _answer(request, b"".join(_lines(rows)), _CSV, _as_file(name) | dict(more or {}))


def stream_csv(rows: Iterable[object], name: str, more: Mapping[str, str] | None = None) -> Response:
    """The same in pieces, as the rows come. An error after the first piece breaks the connection off: who reads it sees that it
    is not all."""
    return _pieces(_lines(rows), name, more)


def _pieces(told: Iterable[bytes] | AsyncIterable[bytes], name: str, more: Mapping[str, str] | None) -> Response:
    return StreamingResponse(told, headers={**_HEADERS, **_as_file(name), **(more or {})}, media_type=_CSV)


_CSV: Final = "text/csv; charset=utf-8"


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}.csv"'}


def _lines(rows: Iterable[object], head: bool = True) -> Iterator[bytes]:
    """The lines as UTF-8, a thousand at once; with their `head`, after the mark by which spreadsheets know it."""
    if head:
        yield codecs.BOM_UTF8
    names: list[str] = []
    rest = iter(rows)
    while piece := list(islice(rest, 1_000)):
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        if not names:
            first = piece[0]
            assert is_dataclass(first)
            names = [field.name for field in fields(first)]
            if head:
                writer.writerow(names)
        values = attrgetter(*names)
        writer.writerows(zip(*map(_cells, zip(*map(values, piece), strict=True)), strict=True))
        yield out.getvalue().encode()


def _cells(column: Sequence[object]) -> Sequence[str]:
    """A column's texts: each that stands there several times is told once."""
    if isinstance(column[0], list):
        return [_cell(value) for value in column]
    told = {value: _cell(value) for value in set(column)}
    return [told[value] for value in column]


def _cell(value: object) -> str:
    """As text that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_DANGEROUS) else value
    if isinstance(value, datetime):
        return rfc3339(to_utc(value))
    if isinstance(value, (list, tuple)):
        return "; ".join(" ".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in _flat(value))
    told = plain(value)
    return str(told).lower() if isinstance(told, bool) else str(told)


def _flat(value: Iterable[object]) -> Iterable[object]:
    for one in value:
        yield tuple(str(part) for part in one) if isinstance(one, (list, tuple)) else one
