"""The grammar of UN/EDIFACT (ISO 9735): separators, character sets, segments, envelopes, times. Tokens are pydifact's.

Seen in the wild and read here: no UNA, a UNA that lost its blank, separators without a UNA, those of level B, line breaks
anywhere, lines for terminators, no terminator at the end, several interchanges in a file, groups, no envelope at all, text that
is not of the character set that UNB names, wrong counts and control references.

Of pydifact only the tokenizer is used. It wants a terminator after the last segment, no line break behind a release character,
and a release character that is in use: `_prepared` sees to all three, so that it has nothing to raise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from itertools import chain
from types import MappingProxyType
from typing import Final, cast
from zoneinfo import ZoneInfo

import msgspec
from pydifact.control.characters import Characters
from pydifact.exceptions import EDISyntaxError
from pydifact.token import Token
from pydifact.tokenizer import Tokenizer

from schemas.shipment_event_v1 import Warning_
from services.ingest.legible import shown
from services.ingest.places import Zone
from services.ingest.readers.draft import SHOWN, Bad, Draft, at_offset, fixed_offset, sensible_year, warning_of, where_of
from services.ingest.readers.model import MIB, Unreadable

BYTES_MAX: Final = 4 * MIB  # ten times what a thousand containers need; the tokenizer works character by character
_SEGMENTS_MAX: Final = 200_000
_HEADER_MAX: Final = 600  # characters from UNB to the first UNG or UNH, whatever stands in it
_JUNK_MAX: Final = 4_096
_WARNINGS_MAX: Final = 32  # of one message's or interchange's form: each of its events has them

_BLANK: Final = " \t\r\n"
_MARK = re.compile(r"UNA[^A-Za-z0-9]{5,6}[ \t\r\n]*UN[BGH]|UNB[^A-Za-z0-9 \t\r\n](?:UN|KE|IA)[A-Z]{2}|UN[GH][+\x1d]")
_NEXT = re.compile(r"UNA[^A-Za-z0-9]{5,6}[ \t\r\n]*UNB|UNB[^A-Za-z0-9 \t\r\n]")
_FIRST = re.compile(r"UN[GH]|BGM")
_SHORT: Final = 3  # characters
_NEVER: Final = "\x00"  # stands for a release character where there is none; taken out of the text
_STRETCH: Final = 16 * 1024  # characters that are cut at once
_STAND_IN: Final = "\x1c"  # stands for a line break that ends segments

_CODECS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "UNOA": "ascii",
        "UNOB": "ascii",
        "UNOC": "iso8859-1",
        "UNOD": "iso8859-2",
        "UNOE": "iso8859-5",
        "UNOF": "iso8859-7",
        "UNOG": "iso8859-3",
        "UNOH": "iso8859-4",
        "UNOI": "iso8859-6",
        "UNOJ": "iso8859-8",
        "UNOK": "iso8859-9",
        "UNOL": "iso8859-15",
        "UNOW": "utf-8",
        "UNOX": "iso2022_jp_2",
        "UNOY": "utf-8",
    }
)
"""Code list 0001: the character set of each syntax level."""

_LATIN: Final = frozenset({"UNOA", "UNOB", "UNOC"})  # whose senders often write UTF-8 all the same

_STATEMENTS: Final[Mapping[str, str]] = MappingProxyType({"IFTSTA": "STS", "COARRI": "EQD", "CODECO": "EQD"})
"""The segment each of which is a statement, by the type of the message."""

Element = str | tuple[str, ...]


class Segment(msgspec.Struct, frozen=True, gc=False):
    """One segment; `number` counts from 1 over the whole file, UNA not counted. A composite element is a tuple.

    A struct, as X12's: a tenth of a dataclass's cost.
    """

    number: int
    name: str
    elements: tuple[Element, ...]

    @property
    def where(self) -> str:
        return where_of(self.number, self.name[:SHOWN])

    @property
    def raw(self) -> str:
        """Its text with the default separators, without the terminator."""
        return "+".join([_escaped(one) if isinstance(one, str) else ":".join(map(_escaped, one)) for one in self.elements])

    def get(self, element: int, component: int = 0) -> str:
        """A component (from 0) of an element (0: the name), empty where the segment is shorter."""
        if element >= len(self.elements):
            return ""
        found = self.elements[element]
        if isinstance(found, str):
            return found if component == 0 else ""
        return found[component] if component < len(found) else ""


@dataclass(slots=True)
class Message:
    """One message: its segments between UNH and UNT, which is its `end`. `header`, `group`: the UNB, UNG that it stands in."""

    start: Segment
    header: Segment | None
    group: Segment | None = None
    segments: list[Segment] = field(default_factory=list)
    warnings: list[Warning_] = field(default_factory=list)
    end: Segment | None = None

    @property
    def kind(self) -> str:
        return self.start.get(2).upper()

    @property
    def stamp(self) -> str:
        """The interchange's control reference."""
        return self.header.get(5) if self.header is not None else ""

    @property
    def release(self) -> str:
        """As `D.00B`."""
        return f"{self.start.get(2, 1)}.{self.start.get(2, 2)}".upper()

    @property
    def payload(self) -> bytes:
        return "'\n".join(segment.raw for segment in (self.start, *self.segments)).encode("utf-8", "replace")

    def warn(self, code: str, segment: Segment, text: str) -> None:
        if len(self.warnings) < _WARNINGS_MAX:
            self.warnings.append(warning_of(code, segment.where, text))


class Interchange:
    """One interchange; `messages` once, in order. `warnings` are about its envelope, complete after the last message."""

    def __init__(self, segments: Iterator[Segment], warnings: list[Warning_]) -> None:
        self.warnings = warnings
        self.header: Segment | None = None
        self.trailer: Segment | None = None
        self.groups = 0
        self._segments = segments

    def warn(self, code: str, segment: Segment, text: str) -> None:
        if len(self.warnings) < _WARNINGS_MAX:
            self.warnings.append(warning_of(code, segment.where, text))

    def messages(self, statements_most: int = _SEGMENTS_MAX) -> Iterator[Message]:
        """Each message as soon as it ends; counts and references that are wrong never cost one.

        Raises Unreadable at a message's first statement beyond so many: each becomes an event or a complaint, so that there is
        no use in reading the rest of it.
        """
        current: Message | None = None
        statement, statements = "", 0
        group: Segment | None = None
        in_group = in_all = 0
        last: Segment | None = None
        for segment in self._segments:
            last, name = segment, segment.name
            if current is not None and (name in ("UNH", "UNE", "UNZ", "UNG", "UNB")):
                current.warn("missing_unt", current.start, "the message has no UNT")
                yield current
                current = None
            if name == "UNH" and self.header is None and in_all == 0:
                self.warn("missing_unb", segment, "no UNB before it; who sent it is not said")
            if name == "UNH":
                current = Message(segment, self.header, group)
                statement, statements = _STATEMENTS.get(current.kind, ""), 0
                in_group, in_all = in_group + 1, in_all + 1
            elif name == "UNT" and current is not None:
                _check_message(current, segment)
                yield current
                current = None
            elif current is not None:
                current.segments.append(segment)
                if name == statement:
                    statements += 1
                    if statements > statements_most:
                        raise Unreadable("too_many_events", "", f"more than {statements_most} events: send several messages")
            elif name == "UNB" and self.header is None and in_all == 0:
                self._open(segment)
            elif name == "UNG":
                group, in_group, self.groups = segment, 0, self.groups + 1
            elif name == "UNE":
                self._check(segment, in_group)
                self._check_reference(segment, group, 5, "UNG")
                group = None
            elif name == "UNZ":
                self.trailer = segment
                self._check(segment, self.groups or in_all)
                self._check_reference(segment, self.header, 5, "UNB")
            else:
                self.warn("stray_segment", segment, "outside of any message; not read")
        if current is not None:
            current.warn("missing_unt", current.start, "the message has no UNT; is it complete?")
            yield current
        if self.trailer is None and self.header is not None and last is not None:
            self.warn("missing_unz", last, "the interchange does not end with UNZ; is it complete?")

    def _open(self, segment: Segment) -> None:
        self.header = segment
        if segment.get(11) == "1":
            self.warn("test_message", segment, "the sender marked this interchange as a test (UNB, 0035)")

    def _check(self, segment: Segment, count: int) -> None:
        if segment.get(1).lstrip("0") != (str(count) if count else ""):
            self.warn("bad_count", segment, f"{segment.name} says {segment.get(1)[:20]}, counted are {count}")

    def _check_reference(self, segment: Segment, begin: Segment | None, index: int, name: str) -> None:
        if begin is not None and segment.get(2) != begin.get(index):
            self.warn("bad_control_number", segment, f"the number of {segment.name} is not that of its {name}")


def _check_message(message: Message, end: Segment) -> None:
    message.end = end
    count = len(message.segments) + 2
    if end.get(1).lstrip("0") != str(count):
        message.warn("bad_count", end, f"UNT says {end.get(1)[:20]}, counted are {count}")
    if end.get(2) != message.start.get(1):
        message.warn("bad_control_number", end, "the number of UNT is not that of its UNH")


def begins(content: bytes) -> int | None:
    """Where an interchange (or, without one, a message) begins near the start of `content`; None if it does not."""
    head = content[:_JUNK_MAX].decode("latin-1")
    mark = _MARK.search(head)
    if mark is None:
        return None
    before = head[: mark.start()].removeprefix("\u00ef\u00bb\u00bf").strip(_BLANK)
    is_alone = mark.start() == 0 or not head[mark.start() - 1].isalnum()
    return mark.start() if not before or (is_alone and mark[0][:3] in ("UNA", "UNB")) else None


def interchanges(content: bytes) -> Iterator[Interchange]:
    """The interchanges of a file, one after the other. Raises Unreadable where no separators can be made out."""
    text = content.decode("latin-1")  # a character a byte: what is looked for here is ASCII in every set
    begin = begins(content)
    if begin is None:
        raise Unreadable("unknown_format", "", "no interchange begins here (UNA, UNB or UNH)")
    number = 0
    warnings: list[Warning_] = []
    if junk := text[:begin].removeprefix("\u00ef\u00bb\u00bf").strip(_BLANK):
        said = f"{shown(junk)[:40]} stands before the interchange; not read"
        warnings.append(Warning_(code="junk_before", where="segment 1", text=said))
    while begin < len(text):
        characters, start = _separators(text, begin, warnings)
        end = _end(text, start, characters)
        part = _decoded(content[start:end], text[start + 4 : start + 8], start, warnings)
        counting = _Counting(segments_of(tokens_of(_prepared(part, characters), characters), number))
        yield Interchange(counting, warnings)
        for _ in counting:  # what a caller left unread: the numbers go on behind it
            pass
        number, begin, warnings = counting.last or number, end, []


class _Counting:
    """An iterator that remembers the number of the last segment that it gave."""

    def __init__(self, segments: Iterator[Segment]) -> None:
        self._segments = segments
        self.last = 0

    def __iter__(self) -> Iterator[Segment]:
        return self

    def __next__(self) -> Segment:
        segment = next(self._segments)
        self.last = segment.number
        return segment


def _separators(text: str, begin: int, warnings: list[Warning_]) -> tuple[Characters, int]:
    """The separators of the interchange at `begin`, and where its first segment starts. Raises Unreadable."""
    if text.startswith("UNA", begin):
        advice, start = text[begin + 3 : begin + 9], begin + 9
        if text[begin + 8 : begin + 11] == "UNB" or (advice[5] in "\r\n" and advice[4] != " "):  # its blank was taken away
            advice, start = f"{advice[:4]} {advice[4]}", begin + 8
            said = "UNA is one character short; read without its blank"
            warnings.append(Warning_(code="bad_una", where="segment 1", text=said))
        while start < len(text) and text[start] in _BLANK:
            start += 1
        component, data, decimal, release, reserved, terminator = tuple(advice)
    else:
        start = begin
        data = text[begin + 3 : begin + 4]
        level_b = data == "\x1d"
        component = ":" if data == "+" else "\x1f" if level_b else text[begin + 8 : begin + 9]
        release, decimal, reserved = (" " if level_b else "?"), ".", " "
        terminator = _terminator(text, begin, data)
    if terminator in "\r\n":
        terminator = "\n"
    signs = [component, data, terminator]
    if len(set(signs)) < 3 or any(sign.isalnum() or sign in " \t" for sign in signs) or release in signs:
        raise Unreadable("bad_delimiters", "segment 1", f"{shown(text[begin : begin + 9])} names no usable separators")
    release = _NEVER if release == " " or release.isalnum() else release  # a blank: none is used
    return Characters.from_str(component + data + decimal + release + reserved + terminator), start


def _terminator(text: str, begin: int, data: str) -> str:
    """What ends segments where no UNA says so: what stands before the next UNG, UNH or BGM."""
    first = _FIRST.search(text, begin + 3, begin + _HEADER_MAX)
    while first is not None:
        before = text[begin : first.start()]
        last = before.rstrip(_BLANK)[-1:]
        if last and last != data and not last.isalnum():
            return last
        if before[-1:] in "\r\n":
            return "\n"
        first = _FIRST.search(text, first.end(), begin + _HEADER_MAX)
    return "'"


def _end(text: str, start: int, characters: Characters) -> int:
    """Where the next interchange begins: at a UNA or UNB that follows a terminator. The end, if there is none."""
    terminator, release = characters.segment_terminator, characters.escape_character
    for mark in _NEXT.finditer(text, start + 3):
        before = mark.start() - 1
        while before > start and text[before] in _BLANK and text[before] != terminator:
            before -= 1
        if text[before] != terminator:
            continue
        released = 0  # a terminator behind an odd number of release characters is a letter of some text
        while text[before - 1 - released] == release:
            released += 1
        if released % 2 == 0:
            return mark.start()
    return len(text)


def _decoded(content: bytes, level: str, offset: int, warnings: list[Warning_]) -> str:
    """`content` by the character set of its level; what is not of it is UTF-8 if it can be, else Latin-1, with a warning."""
    where = "segment 1 (UNB)"
    if content.isascii() and level != "UNOX":
        return content.decode("ascii")
    codec = _CODECS.get(level, "ascii")
    try:
        if level not in _LATIN:
            return content.decode(codec)
        text = content.decode("utf-8")
        read_as = "UTF-8"
    except UnicodeDecodeError:
        text, read_as = content.decode("latin-1"), "Latin-1"
        if level == "UNOC":
            return text
    said = f"says {level}, which has not all of these characters; read as {read_as}"
    if level.startswith("UN") or level.isalnum():
        warnings.append(Warning_(code="not_in_character_set", where=where, text=shown(said)))
    return text


def _prepared(text: str, characters: Characters) -> str:
    """What the tokenizer takes without complaint: ended, and without line breaks, which stand anywhere and mean nothing."""
    terminator, release = characters.segment_terminator, characters.escape_character
    if terminator == "\n":
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace(_STAND_IN, "").replace("\n", _STAND_IN)
        characters.segment_terminator = terminator = _STAND_IN
    text = text.replace("\n", "").replace("\r", "").replace(_NEVER, "").rstrip(_BLANK)
    if (len(text) - len(text.rstrip(release))) % 2:  # the last one would release our terminator
        text += release
    return text + terminator  # one too many makes an empty segment, which is left out


class _Tokenizer(Tokenizer):
    """pydifact's, which takes its characters one after the other: what it takes here is a sign, or all that stand before the
    next one, and a token is made in one call. It counts no lines and looks for none behind a release character: there are none.
    """

    def __init__(self, text: str, characters: Characters) -> None:
        super().__init__()
        signs = {characters.component_separator, characters.data_separator, characters.segment_terminator}
        signs.add(characters.escape_character)
        self._text = text
        self._signs = characters
        self._cut = _pieces_by("".join(sorted(signs)))

    def tokens(self) -> Iterator[Token]:
        """All of the text. Raises EDISyntaxError."""
        pieces = chain.from_iterable(self._cut(self._text, at, at + _STRETCH) for at in range(0, len(self._text), _STRETCH))
        return self.get_tokens(cast("str", pieces), self._signs)  # it goes through it, and does nothing else with it

    def read_next_char(self) -> None:
        char = next(self._message, None)
        self.isEscaped = char == self._signs.escape_character
        self._char = next(self._message, None) if self.isEscaped else char

    def get_next_token(self) -> Token:
        kinds, char = self.token_selector, self._char
        assert char is not None
        kind = None if self.isEscaped else kinds.get(char)
        self.read_next_char()
        if kind is not None:
            return Token(kind, char)
        content = [char]
        while self.isEscaped or self._char not in kinds:
            if self._char is None:
                raise EDISyntaxError("the text ends before its segment does")
            content.append(self._char)
            self.read_next_char()
        return Token(Token.Type.CONTENT, "".join(content))


@lru_cache(16)
def _pieces_by(signs: str) -> Callable[[str, int, int], list[str]]:
    """What cuts a stretch of a text into the signs in it and what stands between them."""
    signs = re.escape(signs)
    return re.compile(f"[{signs}]|[^{signs}]+").findall


def tokens_of(text: str, characters: Characters) -> Iterator[Token]:
    """The tokens of a text, which ends with a terminator and has no line breaks. Raises EDISyntaxError, when walked through."""
    return _Tokenizer(text, characters).tokens()


def segments_of(tokens: Iterable[Token], number: int) -> Iterator[Segment]:
    """The segments, numbered from `number` + 1. Raises Unreadable."""
    elements: list[Element] = []
    parts: list[str] = []
    short: dict[str, str] = {}  # qualifiers and codes: a text object is twenty times as large as they are
    value = ""
    content, component, terminator = Token.Type.CONTENT, Token.Type.COMPONENT_SEPARATOR, Token.Type.TERMINATOR
    try:
        for token in tokens:
            kind = token.type
            if kind is content:
                value = token.value.strip()  # most tokens are content or the separator behind it
                if len(value) <= _SHORT:
                    value = short.setdefault(value, value)
                continue
            if kind is component:
                parts.append(value)
                value = ""
                continue
            if parts:
                parts.append(value)
                elements.append(tuple(parts))
                parts = []
            else:
                elements.append(value)
            value = ""
            if kind is terminator:
                if elements != [""]:
                    number += 1
                    if number > _SEGMENTS_MAX:
                        raise Unreadable("too_many_segments", "", f"more than {_SEGMENTS_MAX} segments; send several messages")
                    name = elements[0]
                    yield Segment(number, name if isinstance(name, str) else name[0], tuple(elements))
                elements = []
    except EDISyntaxError as error:  # nothing that was prepared makes it raise; if it does, it is the message that is bad
        raise Unreadable("bad_syntax", f"segment {number + 1}", str(error)) from error


_MARKS = re.compile("[?+:']")
_RELEASED: Final = str.maketrans({mark: f"?{mark}" for mark in "?+:'"})


def _escaped(text: str) -> str:
    return text.translate(_RELEASED) if _MARKS.search(text) else text


_DIGITS = re.compile(r"([0-9]+)(.*)", re.DOTALL)
_NAMED = re.compile(r"[A-Z]{1,5}")
_SIGNED = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})?")
_FORMS: Final[Mapping[str, tuple[int, bool]]] = MappingProxyType(
    {
        "101": (6, False),
        "102": (8, False),
        "201": (10, False),
        "202": (12, False),
        "203": (12, False),
        "204": (14, False),
        "205": (12, True),
        "301": (10, True),
        "302": (12, True),
        "303": (12, True),
        "304": (14, True),
    }
)
"""Code list 2379: the digits of each format, and whether a zone follows them."""

_SHORT_YEAR: Final = frozenset({"101", "201", "202", "301", "302"})
_BY_LENGTH: Final[Mapping[int, str]] = MappingProxyType({6: "101", 8: "102", 10: "201", 12: "203", 14: "204"})
_OFFSETS_H: Final[Mapping[str, int]] = MappingProxyType(
    {
        name: hours
        for hours, names in {
            0: "UTC GMT UT Z ZUL WET",
            1: "CET MEZ WES",
            2: "CES EET",
            3: "EES MSK",
            8: "HKT SGT",
            9: "JST KST",
            -4: "EDT",
            -5: "EST CDT",
            -6: "MDT",
            -7: "MST PDT",
            -8: "PST AKD",
            -9: "AKS",
            -10: "HST",
        }.items()
        for name in names.split()
    }
)
"""Names of zones that mean one offset only. Others (CST, IST, BST) count if the place's own zone is called so then."""

_OFFSET_MAX: Final = timedelta(hours=15)


def read_time(draft: Draft, segment: Segment, place_zone: Zone) -> datetime:
    """The time in C507 of a DTM: value and format; a zone in it, else that of the place, assumed. Raises Bad."""
    local, zone_name = local_time(draft, segment)
    if zone_name:
        aware = in_zone(local, zone_name, segment)
        if aware is not None:
            return aware
        there = local.replace(tzinfo=ZoneInfo(place_zone.name))
        for one in (there, there.replace(fold=1)):  # of the hour that comes twice, the name tells which
            if one.tzname() == zone_name:
                return fixed_offset(one)
        if zone_name not in ("LT", "LOC", "LCL"):
            draft.warn("unknown_zone", f"zone {zone_name[:10]} is unknown; local time taken", segment)
    return draft.at_local(local, place_zone, segment)


def in_zone(local: datetime, zone_name: str, segment: Segment) -> datetime | None:
    """`local` with the offset that `zone_name` is or means; None where it means none by itself. Raises Bad."""
    signed = _SIGNED.fullmatch(zone_name)
    if signed is not None:
        offset = timedelta(hours=int(signed[2]), minutes=int(signed[3] or 0))
        if offset > _OFFSET_MAX or int(signed[3] or 0) > 59:
            raise Bad("bad_time", segment.where, f"{zone_name} is an offset that no place keeps", 1)
        offset = -offset if signed[1] == "-" else offset
    elif zone_name in _OFFSETS_H:
        offset = timedelta(hours=_OFFSETS_H[zone_name])
    else:
        return None
    return at_offset(local, timezone(offset) if offset else UTC)


def local_time(draft: Draft, segment: Segment) -> tuple[datetime, str]:
    """The local time of a DTM, and the zone it names, if any. Where format and digits disagree, the digits count.

    Raises Bad.
    """
    value, form = segment.get(1, 1), segment.get(1, 2)
    if form == "203" and len(value) == 12 and value.isascii() and value.isdigit():
        return _local(draft, value, form, segment), ""  # as most are
    where = segment.where
    found = _DIGITS.fullmatch(value)
    if found is None:
        raise Bad("bad_time" if value else "no_time", where, f"{value[:20]} is not a time" if value else "there is no time", 1)
    digits, rest = found[1], found[2].strip().upper()
    known = _FORMS.get(form)
    if known is None or known[0] != len(digits):
        guessed = _BY_LENGTH.get(len(digits))
        if guessed is None or (form and known is None):
            raise Bad("bad_time", where, f"{value[:20]} in format {form[:10] or '(none)'} is not read", 1)
        said = f"format {form} does not fit {value[:20]}" if form else f"{value[:20]} came without its format"
        draft.warn("bad_time_format", f"{said}; read as {guessed}", where)
        form = guessed
    if rest and not (_NAMED.fullmatch(rest) or _SIGNED.fullmatch(rest)):
        raise Bad("bad_time", where, f"{value[:20]} is not a time", 1)
    return _local(draft, digits, form, segment), rest


def _local(draft: Draft, digits: str, form: str, segment: Segment) -> datetime:
    if form in _SHORT_YEAR:
        digits = ("20" if digits[:2] < "70" else "19") + digits
    if len(digits) == 8:
        draft.warn("time_missing", "no time of day is given; 00:00 assumed", segment)
    clock = digits[8:].ljust(6, "0")
    try:
        moment = datetime.fromisoformat(f"{digits[:8]}T{clock}")
    except ValueError:
        pass  # an error that is told below, or the midnight that ends the day
    else:
        if sensible_year(moment.year):
            return moment
    midnight = clock == "240000"
    try:
        local = datetime(  # noqa: DTZ001  zone follows
            int(digits[:4]),
            int(digits[4:6]),
            int(digits[6:8]),
            0 if midnight else int(clock[:2]),
            int(clock[2:4]),
            int(clock[4:6]),
        )
    except ValueError as error:
        raise Bad("bad_time", segment.where, f"{digits}: {error}", 1) from error
    if not sensible_year(local.year):
        raise Bad("bad_time", segment.where, f"{digits} lies outside of all sense", 1)
    return local + timedelta(days=1) if midnight else local
