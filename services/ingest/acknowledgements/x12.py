"""X12 997 (functional acknowledgement) and 999 (implementation acknowledgement), with what is wrong segment by segment.

Each set is accepted (A), accepted with errors (E: a part of it was read, or a code in it is in no map) or rejected (R: nothing
of it was read). A set of a kind that we do not read is rejected with code 1. Errors that concern the shipment and not the
syntax are told as what the sender can mend: a time outside of the fence as a bad date, nothing that names a shipment as a
segment that is missing.

Sources: code lists 715 to 718, 720 and 723; 997 in 004010, 999 in 005010X231A1; TA1, which is sent where ISA14 asks for it.
Written with our own delimiters, `*` `~` `>` `^`; what an answer quotes of a message never holds them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, Literal

from services.ingest.acknowledgements.model import NotAcknowledged, Said
from services.ingest.readers import Unreadable
from services.ingest.readers.x12_segments import Segment, Set, decode, walk

_ELEMENT, _SEGMENT, _COMPONENT = "*", "~", ">"
_QUOTED_MOST: Final = 99  # AK404
_ERRORS_MOST: Final = 100  # segments told of a set: a set that is wrong everywhere needs no book
_ACKNOWLEDGEMENTS: Final = frozenset({"997", "999"})  # and their group
_THEIR_GROUP: Final = "FA"

_MISSING: Final = frozenset({"missing_segment", "no_status"})
_ELEMENTS_WRONG, _SEGMENT_MISSING = "8", "3"
"""Code list 720. 8 says that AK4 (IK4) follow: what is wrong with no one element is told by another code, or by AK5 alone."""

_NAMING: Final[Mapping[str, str]] = MappingProxyType({"214": "L11", "315": "N9", "322": "N9", "856": "REF"})
"""By set the segment that is missing where nothing names a shipment."""

_ELEMENT_ERRORS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "missing_code": "1",
        "no_time": "1",
        "bad_time": "8",
        "outside_time_fence": "8",
        "unmapped_code": "7",
        "unknown_purpose": "7",
    }
)
"""Code list 723, by our problem's or warning's code; a time of day that is wrong is 9."""

_SET_ERRORS: Final[Mapping[str, str]] = MappingProxyType({"missing_se": "2", "bad_control_number": "3", "bad_count": "4"})
"""Code list 718, by our warning's code; 1 not supported, 5 one or more segments in error."""

_GROUP_ERRORS: Final[Mapping[str, str]] = MappingProxyType({"GE02": "4", "GE01": "5"})
"""Code list 716, by the element that is wrong; 3 no GE."""

_CODE_ELEMENTS: Final[Mapping[str, int]] = MappingProxyType({"B4": 3, "AT7": 1, "Q5": 1})
_DATE_ELEMENTS: Final[Mapping[str, int]] = MappingProxyType({"B4": 4, "AT7": 5, "DTM": 2, "Q5": 2})
_TIMES_OF_DAY: Final = frozenset({("B4", 5), ("DTM", 3), ("AT7", 6), ("Q5", 3)})


def functional(content: bytes, said: Said, at: datetime, numbers: Iterator[int]) -> bytes:
    """The 997: an interchange for each of theirs, numbered by the next of `numbers`. Raises NotAcknowledged."""
    return _write(content, said, at, numbers, _FUNCTIONAL)


def implementation(content: bytes, said: Said, at: datetime, numbers: Iterator[int]) -> bytes:
    """The 999, as `functional`. Raises NotAcknowledged."""
    return _write(content, said, at, numbers, _IMPLEMENTATION)


@dataclass(frozen=True, slots=True)
class _Form:
    """How the two differ: their names of segments, the version, and what they quote of the headers."""

    name: Literal["997", "999"]
    version: str
    envelope: tuple[str, str]  # ISA11 (a repetition separator from 00501 on) and ISA12
    segment: str
    element: str
    response: str
    quotes_versions: bool
    nameless: str  # of list 720: the segment that would name a shipment is missing, which our use of the set asks for


_FUNCTIONAL: Final = _Form(
    "997", "004010", ("U", "00401"), "AK3", "AK4", "AK5", quotes_versions=False, nameless=_SEGMENT_MISSING
)
_IMPLEMENTATION: Final = _Form("999", "005010X231A1", ("^", "00501"), "IK3", "IK4", "IK5", quotes_versions=True, nameless="I6")


@dataclass(frozen=True, slots=True)
class _Error:
    """An error of a segment (`code` of list 720), and of one of its elements (list 723)."""

    segment: Segment | None
    position: int
    name: str
    code: str
    """Empty: the one of the form for a shipment that nothing names."""
    element: int | None = None
    element_code: str = ""

    @property
    def quoted(self) -> str:
        return self.segment.get(self.element) if self.segment is not None and self.element is not None else ""


@dataclass(slots=True)
class _Answer:
    """What is said of one set; `start` is its ST. The set itself is let go: a file takes no more memory than its largest."""

    start: Segment
    errors: list[_Error] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    read: int = 0
    unread: int = 0

    @property
    def word(self) -> str:
        if self.unread and not self.read:
            return "R"
        return "E" if self.unread or self.errors or self.codes else "A"


@dataclass(slots=True)
class _Group:
    """A functional group and the answers to its sets."""

    gs: Segment | None
    ge: Segment | None = None
    answers: list[_Answer] = field(default_factory=list)


@dataclass(slots=True)
class _Interchange:
    """An interchange and its groups; sets without a GS make one of their own."""

    isa: Segment
    iea: Segment | None = None
    groups: list[_Group] = field(default_factory=list)


def _write(content: bytes, said: Said, at: datetime, numbers: Iterator[int], form: _Form) -> bytes:
    text, _ = decode(content)
    written: list[str] = []
    for one in _interchanges(text, said):
        one.groups = [group for group in one.groups if not _is_acknowledgement(group)]
        if not one.groups and one.isa.get(14) != "1":
            continue
        written += _interchange(one, said, at, next(numbers), form)
    if not written:
        raise NotAcknowledged(
            "nothing_to_answer", "it holds acknowledgements alone, or no group at all; these are not answered"
        )
    return "".join(segment + _SEGMENT + "\n" for segment in written).encode("ascii", "replace")


def _interchanges(text: str, said: Said) -> Sequence[_Interchange]:
    """The interchanges of a file, their sets judged. Raises NotAcknowledged where none can be made out."""
    found: list[_Interchange] = []
    begun = sorted(said.begun)
    try:
        for part in walk(text, []):
            if isinstance(part, Set):
                _group_of(part, found[-1]).answers.append(_answer(part, said, begun))
            elif part.name == "ISA":
                found.append(_Interchange(part))
            elif part.name == "GS":
                found[-1].groups.append(_Group(part))
            elif part.name == "GE" and found[-1].groups:
                found[-1].groups[-1].ge = part
            elif part.name == "IEA":
                found[-1].iea = part
    except Unreadable as error:
        if error.code != "no_sets" or not found:
            raise NotAcknowledged("no_envelope", f"whom to answer cannot be made out: {error.text}") from error
    return found


def _group_of(one: Set, interchange: _Interchange) -> _Group:
    """The group that a set stands in: the newest, if it has one of its own (a GE may have ended the newest)."""
    groups = interchange.groups
    if not groups or groups[-1].gs is not one.group:
        groups.append(_Group(one.group))
    return groups[-1]


def _is_acknowledgement(group: _Group) -> bool:
    if group.gs is not None and group.gs.get(1) == _THEIR_GROUP:
        return True
    return bool(group.answers) and all(answer.start.get(1) in _ACKNOWLEDGEMENTS for answer in group.answers)


def _interchange(one: _Interchange, said: Said, at: datetime, control: int, form: _Form) -> Iterator[str]:
    """Our interchange in answer to theirs: addressed back, a set for each of its groups."""
    isa, groups = one.isa, one.groups
    moment = at.astimezone(UTC)
    number = f"{control % 1_000_000_000:09d}"
    ours, theirs = ((_fixed(isa.get(qualifier), 2, "ZZ"), _fixed(isa.get(name), 15)) for qualifier, name in ((7, 8), (5, 6)))
    nobody = ("00", " " * 10)
    usage = isa.get(15) if isa.get(15) in ("P", "T") else "P"
    date, time = f"{moment:%y%m%d}", f"{moment:%H%M}"
    yield _joined(("ISA", *nobody, *nobody, *ours, *theirs, date, time, *form.envelope, number, "0", usage, _COMPONENT))
    if isa.get(14) == "1":
        yield _joined(
            ("TA1", _quoted(isa.get(13)), _quoted(isa.get(9)), _quoted(isa.get(10)), *_interchange_words(one.iea, said))
        )
    if groups:
        gs = groups[0].gs
        names = (gs.get(3), gs.get(2)) if gs is not None else (isa.get(8), isa.get(6))
        date = f"{moment:%Y%m%d}"
        yield _joined(("GS", _THEIR_GROUP, *map(_quoted, names), date, time, str(control), "X", form.version))
        for ordinal, group in enumerate(groups, start=1):
            yield from _set(group, said, form, f"{ordinal:04d}")
        yield _joined(("GE", str(len(groups)), str(control)))
    yield _joined(("IEA", "1" if groups else "0", number))


def _interchange_words(end: Segment | None, said: Said) -> tuple[str, str]:
    """TA104 and TA105: whether the envelope was accepted, and why not wholly."""
    if end is None:
        return "E", "023"  # the file ends before its time
    codes = {warning.text.partition(" ")[0] for warning in said.warnings.get(end.number, ())}
    return ("E", "001") if "IEA02" in codes else ("E", "021") if "IEA01" in codes else ("A", "000")


def _set(group: _Group, said: Said, form: _Form, number: str) -> Iterator[str]:
    """One 997 or 999: of one group."""
    gs = group.gs
    own: list[Sequence[str]] = [("ST", form.name, number, form.version if form.quotes_versions else "")]
    if gs is None:
        own.append(("AK1", "", "0"))
    else:
        versions = (_quoted(gs.get(8)),) if form.quotes_versions and gs.get(8) else ()
        own.append(("AK1", _quoted(gs.get(1)), _quoted(gs.get(6)), *versions))
    answers = group.answers
    for answer in answers:
        start = answer.start
        versions = (_quoted(start.get(3)),) if form.quotes_versions and start.get(3) else ()
        own.append(("AK2", _quoted(start.get(1)), _quoted(start.get(2)), *versions))
        for error in answer.errors[:_ERRORS_MOST]:
            own.append((form.segment, _quoted(error.name), str(error.position), "", error.code or form.nameless))
            if error.element is not None:
                own.append((form.element, str(error.element), "", error.element_code, _quoted(error.quoted)))
        own.append((form.response, answer.word, *answer.codes[:5]))
    accepted = sum(answer.word != "R" for answer in answers)
    word, codes = _group_words(group, answers, accepted, said)
    included = group.ge.get(1) if group.ge is not None and group.ge.get(1).isdigit() else str(len(answers))
    own.append(("AK9", word, _quoted(included)[:6], str(len(answers)), str(accepted), *codes[:5]))
    own.append(("SE", str(len(own) + 1), number))
    return map(_joined, own)


def _group_words(group: _Group, answers: Sequence[_Answer], accepted: int, said: Said) -> tuple[str, Sequence[str]]:
    """AK901 and AK905 on."""
    codes: list[str] = []
    if group.ge is None:
        codes.append("3")
    else:
        wrong = {warning.text.partition(" ")[0] for warning in said.warnings.get(group.ge.number, ())}
        codes += [code for element, code in _GROUP_ERRORS.items() if element in wrong]
    if accepted < len(answers) or said.whole:
        return ("P" if accepted else "R"), codes
    return ("E" if codes or any(answer.word == "E" for answer in answers) else "A"), codes


def _answer(one: Set, said: Said, begun: Sequence[int]) -> _Answer:
    """What is said of one set, from what was said of its segments; `begun`: where what was read begins, ascending."""
    answer = _Answer(one.start)
    numbered = {segment.number: segment for segment in (one.start, *one.segments)}
    last = one.end.number if one.end is not None else max(numbered)
    answer.read = bisect_right(begun, last) - bisect_left(begun, one.start.number)
    told: set[tuple[int, str, int | None, str]] = set()
    for number in range(one.start.number, last + 1):
        for problem in said.problems.get(number, ()):
            answer.unread += 1
            if problem.code == "not_a_status_message":
                answer.codes.append("1")
            elif number in numbered:
                answer.codes.append("5")
                _tell(answer, told, _error(one, numbered[number], problem.code, problem.element))
        for warning in said.warnings.get(number, ()):
            if warning.code in _SET_ERRORS and number in (one.start.number, last):
                answer.codes.append(_SET_ERRORS[warning.code])
            elif warning.code == "unmapped_code" and number in numbered:
                segment = numbered[number]
                _tell(answer, told, _error(one, segment, warning.code, _CODE_ELEMENTS.get(segment.name)))
    whose = one.interchange.number
    answer.unread += sum(problem.code == "foreign_interchange" for problem in said.problems.get(whose, ()))
    answer.unread += len(said.whole)
    if answer.errors:
        answer.codes.append("5")
    answer.codes = list(dict.fromkeys(answer.codes))
    return answer


def _tell(answer: _Answer, told: set[tuple[int, str, int | None, str]], error: _Error | None) -> None:
    if error is None:
        return
    key = (error.position, error.code, error.element, error.element_code)
    if key not in told:
        told.add(key)
        answer.errors.append(error)


def _error(one: Set, segment: Segment, code: str, element: int | None) -> _Error | None:
    """None where no code of the lists says what is wrong."""
    if code == "outside_time_fence" and element is None:
        segment = (one.first("Q5") or segment) if segment.name == "N7" else segment  # a unit's time is its status's
        element = _DATE_ELEMENTS.get(segment.name)
        if element is not None and not segment.get(element):
            return None  # the time stood in a DTM of its loop
    position = segment.number - one.start.number + 1  # ST is the first segment of its set
    if code in _MISSING:
        return _Error(None, position, _missing(one), _SEGMENT_MISSING)
    if code == "no_linking_reference" and one.kind in _NAMING:
        return _Error(None, position, _NAMING[one.kind], "")
    if element is None:
        return None
    wrong = "9" if code == "bad_time" and (segment.name, element) in _TIMES_OF_DAY else _ELEMENT_ERRORS.get(code, "7")
    return _Error(segment, position, segment.name, _ELEMENTS_WRONG, element, wrong)


def _missing(one: Set) -> str:
    """Which segment a set of its kind cannot be without, and is."""
    needed = {"214": ("AT7",), "315": ("B4",), "322": ("Q5", "N7"), "856": ("BSN",)}.get(one.kind, ())
    present = {segment.name for segment in one.segments}
    return next((name for name in needed if name not in present), "ST")


def _joined(elements: Sequence[str]) -> str:
    """A segment, without empty elements at its end."""
    kept = list(elements)
    while kept and not kept[-1]:
        kept.pop()
    return _ELEMENT.join(kept)


def _quoted(text: str) -> str:
    """What of a message may stand in ours: no delimiter of ours, nothing that is not printable ASCII."""
    plain = "".join(char if " " <= char <= "\x7e" and char not in "*~>^" else "." for char in text)
    return plain[:_QUOTED_MOST].strip()


def _fixed(text: str, width: int, default: str = "") -> str:
    return (_quoted(text) or default)[:width].ljust(width)
