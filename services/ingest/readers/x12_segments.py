"""The grammar of ANSI X12: delimiters, segments, envelopes, times. Tolerant: real files break the rules of the standard.

Seen in the wild and read here: ISA elements whose blanks were collapsed, a byte order mark, line breaks anywhere, any
terminator, empty segments, several interchanges in a file, wrong counts and control numbers.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from datetime import time as clock_time
from itertools import chain, count, islice, pairwise
from operator import attrgetter, itemgetter
from types import MappingProxyType
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import msgspec

from schemas.shipment_event_v1 import Warning_
from services.ingest.places import Zone
from services.ingest.readers.draft import SHOWN, YEARS, Bad, Draft, Where, at_offset, by_clock, warning_of, where_of
from services.ingest.readers.model import Unreadable
from services.ingest.readers.x12_codes import REFERENCES

_ISA_LENGTH: Final = 106
_ISA_ELEMENTS: Final = 16
_HEADER_MAX: Final = 400  # characters from ISA to GS, however many blanks were put in
_SEGMENTS_MAX: Final = 100_000
_SET_CHARACTERS_MAX: Final = 64 * 1024
SET_CHARACTERS_KEPT: Final = 256 * 1024
_SET_SEGMENTS_KEPT: Final = 20_000
_SMALL: Final = 2 * _SET_SEGMENTS_KEPT
"""Characters of an interchange in which no set can be too large, and none is weighed: a segment takes two at least."""
_ELEMENTS_MAX: Final = 64  # no segment has half as many
_WARNINGS_MAX: Final = 64
_STRETCH: Final = 16 * 1024  # characters that are cut into segments at once
_ISA_MARK = re.compile(r"ISA[^A-Za-z0-9\s]")
_LINE_BREAKS = re.compile(r"[\r\n]+")
_SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9]{1,2}")
_BLANK: Final = " \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
_EMPTY: Final = tuple([("",) * missing for missing in range(_ELEMENTS_MAX)])
_ENDS: Final = frozenset({"ST", "SE", "GE", "IEA"})  # of a set


class Segment(msgspec.Struct, frozen=True, gc=False):
    """One segment; `number` counts from 1 over the whole file, `raw` is its text without the terminator.

    A struct, because most of the time of reading a file goes into making segments: a tenth of a dataclass's cost.
    """

    number: int
    name: str
    elements: tuple[str, ...]
    raw: str

    @property
    def where(self) -> str:
        name = self.name
        return where_of(self.number, name if len(name) <= SHOWN else name[:SHOWN])

    def get(self, index: int) -> str:
        """Element `index` without blanks around it, empty where the segment is shorter."""
        return self.elements[index] if index < len(self.elements) else ""

    def first(self, count: int) -> tuple[str, ...]:
        """The name and the elements before `count`, empty where the segment is shorter: many at the price of one `get`."""
        missing = count - len(self.elements)
        return self.elements[:count] if missing <= 0 else self.elements + _EMPTY[missing]


_FIRST: Final = itemgetter(0)
_RAW: Final = attrgetter("raw")
ELEMENTS: Final = attrgetter("elements")
"""Of a segment; for `map`, which costs a third of a comprehension."""


class Set(msgspec.Struct, eq=False):
    """One transaction set: its segments between ST and SE, the ISA that it stands in, its GS and SE where it has them. `kind`:
    ST01."""

    start: Segment
    interchange: Segment
    kind: str
    group: Segment | None = None
    end: Segment | None = None
    segments: list[Segment] = msgspec.field(default_factory=list)
    warnings: list[Warning_] = msgspec.field(default_factory=list)
    count: int = 0
    characters: int = 0

    @property
    def stamp(self) -> str:
        """The interchange's control number."""
        return self.interchange.get(13)

    def take(self, segments: Iterator[Segment], is_small: bool) -> tuple[Segment | None, Segment]:
        """Take in what follows its ST. Returns the segment that ends the set, if one does, and the last one seen.

        Of a set that is larger than any real one the rest is counted only, so that memory is bounded. `is_small`: it stands in
        an interchange where none can be, and its characters are not counted.
        """
        kept, last = self.segments, self.start
        end: Segment | None = None
        count = characters = 0
        for last in segments:
            if last.name in _ENDS:
                end = last
                break
            if not is_small:
                characters += len(last.raw)
                if characters > SET_CHARACTERS_KEPT or len(kept) == _SET_SEGMENTS_KEPT:
                    count += 1
                    continue
            kept.append(last)
        self.count, self.characters = len(kept) + count, characters
        return end, last

    @property
    def overflows(self) -> bool:
        """Whether it is larger than anything real: its end was not kept."""
        return self.characters > SET_CHARACTERS_KEPT or self.count > _SET_SEGMENTS_KEPT

    @property
    def is_too_large(self) -> bool:
        """Whether it is larger than any real status: each of its statuses reads its head again."""
        return self.characters > _SET_CHARACTERS_MAX or self.count > _SET_SEGMENTS_KEPT

    def warn_of_more(self, statuses: Sequence[Segment], element: int) -> None:
        """Tell of several segments of a status, of which the first counts. `element`: where its code is."""
        more = statuses[1:]
        named = ", ".join([other.get(element)[:10] for other in more[:5]])
        text = f"a set has one {more[0].name}; {len(more)} more ({named}) not read: send a set for each status"
        self.warnings.append(warning_of("several_values", more[0].where, text))

    @property
    def payload(self) -> bytes:
        return "\n".join([self.start.raw, *map(_RAW, self.segments)]).encode("utf-8", "replace")

    def first(self, name: str) -> Segment | None:
        """The first segment of this name. Not to be asked for each of a set's statements: it goes through the set."""
        for segment in self.segments:
            if segment.name == name:
                return segment
        return None

    def every(self, name: str) -> Sequence[Segment]:
        """All segments of this name, as `first`."""
        return [segment for segment in self.segments if segment.name == name]


def decode(content: bytes) -> tuple[str, list[Warning_]]:
    """The text of `content`: UTF-8, else Latin-1 with a warning (X12 names no encoding)."""
    try:
        return content.removeprefix(_BOM).decode(), []  # the codec that does both works in Python, slowly
    except UnicodeDecodeError as error:
        text = content.decode("latin-1").removeprefix("\u00ef\u00bb\u00bf")
        return text, [warning_of("not_utf8", f"byte {error.start}", "not UTF-8; read as Latin-1")]


def sets_of(text: str) -> tuple[list[Set], list[Warning_]]:
    """All transaction sets of a file and what is wrong with its envelopes. Raises Unreadable where no ISA can be made out."""
    warnings: list[Warning_] = []
    return [part for part in walk(text, warnings) if isinstance(part, Set)], warnings


def walk(text: str, warnings: list[Warning_], envelopes: bool = True) -> Iterator[Segment | Set]:
    """The sets of a file, and (`envelopes`) the segments of its envelopes (ISA, GS, GE, IEA), in their order; one at a time, so
    that a file takes no more memory than its largest set. What is wrong with the envelopes is added to `warnings`, the first 64
    of it.

    Raises Unreadable where no ISA can be made out, or there is no set at all.
    """
    numbers = count(1)
    some = False
    for begin, end, separator, terminator in _interchanges(text):
        segments = _segments(text, begin, end, separator, terminator, numbers)
        some = (yield from _parts(segments, warnings, envelopes, end - begin <= _SMALL)) or some
    if not some:
        raise Unreadable("no_sets", "", "an interchange without any transaction set (ST ... SE)")


def interchanges_of(text: str) -> Iterator[list[Segment]]:
    """The segments of each interchange of a file, numbered through it. Raises Unreadable where no ISA can be made out."""
    numbers = count(1)
    for begin, end, separator, terminator in _interchanges(text):
        yield list(_segments(text, begin, end, separator, terminator, numbers))


def _interchanges(text: str) -> Iterator[tuple[int, int, str, str]]:
    """Where each interchange begins and ends, its element separator and its segment terminator."""
    begin = text.find("ISA")
    while begin >= 0:
        separator, terminator = _delimiters(text, begin)
        end = _next_interchange(text, begin, terminator)
        if end - begin > _SEGMENTS_MAX and text.count(terminator, begin, end) > _SEGMENTS_MAX:
            raise Unreadable("too_many_segments", "", f"more than {_SEGMENTS_MAX} segments in an interchange; send several")
        yield begin, end, separator, terminator
        begin = end if end < len(text) else -1


def _next_interchange(text: str, begin: int, terminator: str) -> int:
    """Where the interchange after the one at `begin` starts: at an ISA that follows a terminator. The end, if there is none."""
    if text.find("ISA", begin + 3) < 0:
        return len(text)
    for mark in _ISA_MARK.finditer(text, begin + 3):
        before = mark.start() - 1
        while before > begin and text[before] in _BLANK and text[before] != terminator:
            before -= 1
        if text[before] == terminator:
            return mark.start()
    return len(text)


def _delimiters(text: str, begin: int) -> tuple[str, str]:
    """Element separator and segment terminator of the interchange at `begin`.

    By position where ISA has its 106 characters; else the separator is what follows `ISA`, the terminator the last character
    before GS that is not a line break. Where only the component separator (ISA16) stands there, lines are segments.
    """
    separator = text[begin + 3 : begin + 4]
    if not separator or separator.isalnum() or separator in _BLANK:
        raise Unreadable("bad_delimiters", "segment 1 (ISA)", "ISA is not followed by an element separator")
    header = text[begin : begin + _ISA_LENGTH]
    after = text[begin + _ISA_LENGTH : begin + _ISA_LENGTH + 8].lstrip(_BLANK)
    whole = len(header) == _ISA_LENGTH and header.count(separator) == _ISA_ELEMENTS and header[103] == separator
    if whole and header[105] not in (separator, " ") and not header[105].isalnum() and after[:2] in ("GS", "TA", "IE", ""):
        return separator, "\n" if header[105] in "\r\n" else header[105]
    group = text.find("GS" + separator, begin, begin + _HEADER_MAX)
    if group < 0:
        raise Unreadable("bad_delimiters", "segment 1 (ISA)", "ISA is damaged and no GS follows; its delimiters are unknown")
    before = text[begin:group].rstrip(_BLANK)
    last = before[-1]
    parts = before.split(separator)
    if len(parts) == _ISA_ELEMENTS + 1 and len(parts[-1]) == 1 and before != text[begin:group]:
        return separator, "\n"
    if last == separator or last.isalnum():
        raise Unreadable("bad_delimiters", "segment 1 (ISA)", "no segment terminator stands before GS")
    return separator, last


def _segments(text: str, begin: int, end: int, separator: str, terminator: str, numbers: Iterator[int]) -> Iterator[Segment]:
    return chain.from_iterable(_stretches(text, begin, end, separator, terminator, numbers))


def _stretches(
    text: str, begin: int, end: int, separator: str, terminator: str, numbers: Iterator[int]
) -> Iterator[Sequence[Segment]]:
    """Cut a stretch at a time: all at once a file of the largest size would be held twice, one by one takes longer.

    Where a stretch has single blanks inside of its elements only, as most have behind ISA, nothing is stripped.
    """
    stretch = 0  # ISA, which is full of blanks, alone
    while begin < end:
        stop = text.find(terminator, min(begin + stretch, end), end)
        cut = text[begin : stop if stop >= 0 else end]
        begin = stop + 1 if stop >= 0 else end
        if terminator not in "\r\n":
            cut = cut.replace("\n", "")
            if "\r" in cut:  # seldom, and asked in no time
                cut = cut.replace("\r", "")
        if stretch and _is_bare(cut, separator, terminator):
            raws = list(filter(None, cut.split(terminator)))
            elements = [tuple(raw.split(separator, _ELEMENTS_MAX)) for raw in raws]
            yield list(map(Segment, islice(numbers, len(raws)), map(_FIRST, elements), elements, raws))
        else:
            yield [
                _stripped(raw, separator, numbers)
                for raw in (cut.split(terminator) if stretch else (cut,))
                if raw.strip(_BLANK)
            ]
        stretch = _STRETCH


def _is_bare(cut: str, separator: str, terminator: str) -> bool:
    """Whether all its blanks are single ones between the words of an element."""
    words = cut.split()
    if " ".join(words) != cut:
        return False
    marks = separator + terminator
    for before, behind in pairwise(words):  # noqa: SIM110  a generator for `all` takes as long as all that is above
        if before[-1] in marks or behind[0] in marks:
            return False
    return True


def _stripped(raw: str, separator: str, numbers: Iterator[int]) -> Segment:
    """A segment of elements without blanks around them."""
    raw = raw.strip(_BLANK)
    if "\n" in raw or "\r" in raw:
        raw = _LINE_BREAKS.sub("", raw)
    elements = tuple(map(str.strip, raw.split(separator, _ELEMENTS_MAX)))
    return Segment(next(numbers), elements[0], elements, raw)


def _parts(
    segments: Iterator[Segment], warnings: list[Warning_], envelopes: bool, is_small: bool
) -> Generator[Segment | Set, None, bool]:
    """One interchange for `walk`; checks counts and control numbers, which never cost a set. Returns whether it has any set."""
    some = False
    last = interchange = next(segments)
    stamp = interchange.get(13)
    if interchange.get(15) == "T":
        _note(warnings, warning_of("test_message", interchange.where, "the sender marked this interchange as a test (ISA15)"))
    if envelopes:
        yield interchange
    in_group = groups = 0
    group: Segment | None = None
    following: Segment | None
    for following in segments:
        segment = last = following
        while segment.name == "ST":
            _, kind, number = segment.first(3)
            current = Set(segment, interchange, kind, group)
            some = True
            in_group += 1
            following, last = current.take(segments, is_small)
            if following is not None and following.name == "SE":
                current.end = following
                _check("SE", following, current.count + 2, number, "ST", current.warnings)
                yield current
                break
            _note(current.warnings, warning_of("missing_se", current.start.where, "the set has no SE"))
            yield current
            if following is None:
                break
            segment = following
        else:
            if segment.name == "GS":
                group, in_group, groups = segment, 0, groups + 1
            elif segment.name == "GE":
                _check("GE", segment, in_group, group.get(6) if group is not None else None, "GS", warnings)
            elif segment.name == "IEA":
                _check("IEA", segment, groups, stamp, "ISA", warnings)
            else:
                if segment.name != "TA1":
                    _note(warnings, warning_of("stray_segment", segment.where, "outside of any set; not read"))
                continue
            if envelopes:
                yield segment
    if last.name != "IEA":
        _note(warnings, warning_of("missing_iea", last.where, "the interchange does not end with IEA; is it complete?"))
    return some


def _check(name: str, segment: Segment, counted: int, number: str | None, begins: str, warnings: list[Warning_]) -> None:
    """Whether a trailer says how many were counted, and the number of what it ends, where that has one. Of an interchange's
    zeros before it do not count."""
    if segment.elements == (name, str(counted), number):
        return
    if segment.get(1).lstrip("0") != (str(counted) if counted else ""):
        text = f"{name}01 says {segment.get(1)[:20]}, counted are {counted}"
        _note(warnings, warning_of("bad_count", segment.where, text))
    said = segment.get(2)
    if number is not None and said != number and (name != "IEA" or said.lstrip("0") != number.lstrip("0")):
        _note(warnings, warning_of("bad_control_number", segment.where, f"{name}02 is not the number of its {begins}"))


def _note(warnings: list[Warning_], said: Warning_) -> None:
    if len(warnings) < _WARNINGS_MAX:
        warnings.append(said)


_OFFSETS_H: Final[Mapping[str, float]] = MappingProxyType(
    {
        code: hours
        for hours, codes in {
            -2.5: "ND",
            -3: "TD",
            -3.5: "NS",
            -4: "ED TS",
            -5: "ES CD",
            -6: "CS MD",
            -7: "MS PD",
            -8: "PS AD",
            -9: "AS HD",
            -10: "HS",
            0: "UT GM Z",
        }.items()
        for code in codes.split()
    }
    | {f"{hours:02d}": hours for hours in range(1, 13)}
    | {f"{25 + hours:02d}": hours for hours in range(-12, 0)}
)
_OFFSETS: Final[Mapping[str, timezone]] = {
    code: timezone(timedelta(hours=hours)) if hours else UTC for code, hours in _OFFSETS_H.items()
}
_ZONES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ET": "America/New_York",
        "CT": "America/Chicago",
        "MT": "America/Denver",
        "PT": "America/Los_Angeles",
        "AT": "America/Anchorage",
        "HT": "Pacific/Honolulu",
        "TT": "America/Halifax",
        "NT": "America/St_Johns",
    }
)
"""Code list 623: a fixed offset (standard or daylight time), or a zone whose offset the date decides; LT is local time."""


def zone_rows() -> Sequence[tuple[str, str]]:
    """Time codes and what they stand for, for docs/standards/x12.md."""
    rows: dict[str, list[str]] = {}
    for code, hours in sorted(_OFFSETS_H.items(), key=lambda item: (-item[1], not item[0].isalpha(), item[0])):
        minutes = round(abs(hours) * 60)
        sign = "-" if hours < 0 else "+"
        rows.setdefault(f"UTC{sign}{minutes // 60:02d}:{minutes % 60:02d}", []).append(code)
    fixed = [(" ".join(codes), offset) for offset, codes in rows.items()]
    return [*((code, f"{zone}, by date") for code, zone in _ZONES.items()), ("LT, or none", "local time of the place"), *fixed]


_DATE = re.compile(r"(?:([0-9]{2}))?([0-9]{2})([0-9]{2})([0-9]{2})")
_TIME = re.compile(r"([0-9]{2})([0-9]{2})(?:([0-9]{2})[0-9]{0,2})?")
_FIRST_YEAR, _PAST_YEARS = YEARS.start, YEARS.stop
_LOCAL: Final = ("", "LT")  # codes of the place's own time
_USUAL: Final = frozenset({0, 4, 6})  # characters of a time of day


class Noting(Protocol):
    """Where what was assumed of a time is noted: a Draft."""

    def warn(self, code: str, text: str, where: Where = None) -> None: ...
    def at_local(self, local: datetime, zone: Zone, where: Where = None) -> datetime: ...


class Unheard:
    """Notes nothing: for a time that is only compared."""

    def warn(self, code: str, text: str, where: Where = None) -> None:
        """Say nothing."""

    def at_local(self, local: datetime, zone: Zone, where: Where = None) -> datetime:
        """`local` (naive) in an assumed zone."""
        return by_clock(self, local, zone.info, where)


def read_time(draft: Noting, segment: Segment, first: int, place_zone: Zone, has_zone: bool = True) -> datetime:
    """The time in elements `first` (date), `first + 1` (time) and, if `has_zone`, `first + 2` (zone); where that names none, it
    is `place_zone`'s. Raises Bad."""
    date, time, code = segment.first(first + 3)[first:]
    local = _local_time(segment, first, date, time)
    if not time:
        draft.warn("time_missing", "no time of day is given; 00:00 assumed", segment)
    if has_zone and (code := code.upper()) not in _LOCAL:
        if (fixed := _OFFSETS.get(code)) is not None:
            return at_offset(local, fixed)
        if code in _ZONES:
            return by_clock(draft, local, ZoneInfo(_ZONES[code]), segment)
        draft.warn("unknown_zone", f"zone code {code[:10]} is unknown; local time taken", segment)
    return draft.at_local(local, place_zone, segment)


def read_reference(draft: Draft, segment: Segment) -> tuple[str, str]:
    """N9 of a 315 or 322: the unit (EQ), or a reference that we keep. Returns qualifier and value, whatever they are."""
    _, qualifier, value = segment.first(3)
    qualifier = qualifier.upper()
    if qualifier == "EQ":
        draft.equipment(value, segment)
    elif (kind := REFERENCES.get(qualifier)) is not None:
        draft.refer(kind, value, segment)
    return qualifier, value


def time_faults(segment: Segment, first: int) -> Sequence[Bad]:
    """What is wrong with the time in a segment that is not read for its own sake."""
    try:
        local_time(segment, first)
    except Bad as bad:
        return [bad]
    return ()


def local_time(segment: Segment, first: int) -> datetime:
    """The time in elements `first` (date) and `first + 1` (time), naive. Raises Bad."""
    return _local_time(segment, first, *segment.first(first + 2)[first:])


def _local_time(segment: Segment, first: int, date: str, time: str) -> datetime:
    if len(date) == 8 and len(time) in _USUAL and (usual := date + time).isascii() and usual.isdigit():
        try:
            moment = datetime.fromisoformat(f"{date}T{time or '00'}")
        except ValueError:
            pass  # an error that is told below, or the midnight that ends the day
        else:
            if _FIRST_YEAR <= moment.year < _PAST_YEARS:  # a third of the price of `in`
                return moment
    where = segment.where
    wrong: list[Bad] = []
    day = _DATE.fullmatch(date)
    clock = _TIME.fullmatch(time or "0000")
    local = datetime(2000, 1, 1)  # noqa: DTZ001  zone follows; stands in for a date that is none, while the time of day is looked at
    if day is None:
        text = f"{date[:20]} is not a date" if date else "there is no date"
        wrong.append(Bad("bad_time" if date else "no_time", where, text, first))
    else:
        year = int((day[1] or "20") + day[2])
        try:
            local = datetime(year, int(day[3]), int(day[4]))  # noqa: DTZ001  zone follows
        except ValueError as error:
            wrong.append(Bad("bad_time", where, f"{date} {time}: {error}", first))
        else:
            if year not in YEARS:
                wrong.append(Bad("bad_time", where, f"{date} lies outside of all sense", first))
    midnight = False
    if clock is None:
        wrong.append(Bad("bad_time", where, f"{time[:20]} is not a time of day", first + 1))
    else:
        hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3] or 0)
        midnight = (hour, minute, second) == (24, 0, 0)
        try:
            local = datetime.combine(local, clock_time(0 if midnight else hour, minute, second))
        except ValueError as error:
            wrong.append(Bad("bad_time", where, f"{date} {time}: {error}", first + 1))
    if wrong:
        raise Bad.of(wrong) if len(wrong) > 1 else wrong.pop()
    return local + timedelta(days=1) if midnight else local
