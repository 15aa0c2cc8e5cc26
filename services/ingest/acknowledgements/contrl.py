"""EDIFACT CONTRL (D.3, ISO 9735 version 3): what is wrong with an interchange, its groups, messages and segments.

The interchange is acknowledged (7) unless nothing of it counts (4). Each message is acknowledged (7), or rejected (4) if
nothing of it was read; one that was read in part is acknowledged and its errors are told, as the others of it need not be sent
again. Errors that concern the shipment and not the syntax (a time outside of the fence, a reference that nobody is found by)
are told as errors of their segment, because it is what the sender can mend.

Sources: ISO 9735-4 and the message's own directory; code lists 0083 (actions) and 0085 (errors). Positions count a segment's
name as its first element, and UNH as a message's first segment. Written with the usual separators, in level B;
in C where what it quotes is beyond B (`_`, `@`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from types import MappingProxyType
from typing import Final

from schemas.shipment_event_v1 import Warning_
from services.ingest.acknowledgements.model import NotAcknowledged, Said, number_of
from services.ingest.readers import LIMITS, Unreadable
from services.ingest.readers.edifact_segments import BYTES_MAX, Interchange, Message, Segment, interchanges

REJECTED, ACKNOWLEDGED = "4", "7"
"""Code list 0083: this level and all below it; this level, and those below that are not rejected by name."""

_MISSING, _INVALID, _NOT_HERE, _NO_AGREEMENT, _UNSPECIFIED = "13", "12", "14", "17", "18"
_CHARACTERS, _SENDER, _REFERENCES, _COUNT, _EMPTY, _OUTSIDE = "21", "23", "28", "29", "32", "33"
"""Code list 0085."""

_ENVELOPE: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "bad_count": (_COUNT, ""),
        "bad_control_number": (_REFERENCES, ""),
        "missing_unt": (_MISSING, "UNT"),
        "missing_unz": (_MISSING, "UNZ"),
        "stray_segment": (_OUTSIDE, ""),
        "not_in_character_set": (_CHARACTERS, "UNB"),
    }
)
"""By a warning's code about the envelope: the error, and the service segment; empty: the one that the warning is about."""

_WHOLE: Final[Mapping[str, str]] = MappingProxyType({"no_messages": _EMPTY})
_SEGMENT_ERRORS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "missing_segment": _MISSING,
        "no_time": _MISSING,
        "no_status": _MISSING,
        "no_container": _MISSING,
        "no_linking_reference": _MISSING,
    }
)
_ELEMENT_ERRORS: Final[Mapping[str, str]] = MappingProxyType({"missing_code": _MISSING, "unmapped_code": _NOT_HERE})
_CODES: Final[Mapping[str, int]] = MappingProxyType({"STS": 2, "BGM": 1})  # where the code is that may stand in no map
_VALUE_OF_TIME: Final = 2  # the component of C507
_ERRORS_MOST: Final = 100  # segments told of a message: one that is wrong everywhere needs no book
_ACKNOWLEDGEMENTS: Final = frozenset({"CONTRL", "APERAK"})
_GROUP_END: Final = "UNE"
_TEST: Final = 11  # UNB, 0035
_LEVEL_B = re.compile(r"""[A-Za-z0-9 .,()/='+:?!"%&*;<>-]*""")
_HEAD_BYTES: Final = 4_096  # of a message that is too large to be read, enough to see whom to answer


@dataclass(frozen=True, slots=True)
class _Fault:
    """An error of a segment: its position in the message, and the element and component, if one is wrong."""

    position: int
    code: str
    element: int | None = None
    component: int | None = None


def contrl(content: bytes, said: Said, at: datetime, numbers: Iterator[int]) -> bytes:
    """The CONTRL: an interchange for each of theirs, numbered by the next of `numbers`. Raises NotAcknowledged."""
    written: list[str] = []
    try:
        for interchange in interchanges(content if len(content) <= BYTES_MAX else content[:_HEAD_BYTES]):
            messages = list(islice(interchange.messages(), LIMITS.events + 1))
            if interchange.header is None or (messages and all(one.kind in _ACKNOWLEDGEMENTS for one in messages)):
                continue
            written += _interchange(interchange, interchange.header, messages, said, at, next(numbers))
    except Unreadable as error:
        raise NotAcknowledged("no_envelope", f"whom to answer cannot be made out: {error.text}") from error
    if not written:
        text = "it holds acknowledgements alone, or no UNB that says whom to answer; these are not answered"
        raise NotAcknowledged("nothing_to_answer", text)
    return "".join(f"{segment}'\n" for segment in written).encode("ascii", "replace")


def _interchange(
    theirs: Interchange, unb: Segment, messages: Sequence[Message], said: Said, at: datetime, control: int
) -> Iterator[str]:
    """Our interchange in answer to one of theirs: addressed back, with one CONTRL."""
    moment = at.astimezone(UTC)
    number = str(control % 1_000_000_000)
    test = ("", "", "", "", "", "1") if unb.get(_TEST) == "1" else ()
    sent = f"{moment:%y%m%d}:{moment:%H%M}"
    body = ["UNH+1+CONTRL:D:3:UN", *_answers(theirs, unb, messages, said)]
    parties = _party(unb, 3) + _party(unb, 2)
    level = "UNOB" if all(_LEVEL_B.fullmatch(text) for text in (parties, *body)) else "UNOC"  # a name is quoted as it is
    yield _joined("UNB", f"{level}:3", _party(unb, 3), _party(unb, 2), sent, number, *test)
    yield from body
    yield _joined("UNT", str(len(body) + 1), "1")
    yield _joined("UNZ", "1", number)


def _answers(theirs: Interchange, unb: Segment, messages: Sequence[Message], said: Said) -> Iterator[str]:
    whole = [problem for problem in said.whole if messages or problem.code in _WHOLE]
    foreign = any(problem.code == "foreign_interchange" for problem in said.problems.get(unb.number, ()))
    wrong: tuple[str, str] = ("", "")
    if foreign:
        wrong = (_SENDER, "UNB")
    elif len(messages) > LIMITS.events:
        wrong = (_UNSPECIFIED, "")
    elif whole:
        wrong = (_WHOLE.get(whole[0].code, _UNSPECIFIED), "")
    else:
        wrong = next((found for found in _of_envelope(theirs.warnings) if found[1] != _GROUP_END), wrong)
    action = REJECTED if foreign or whole or len(messages) > LIMITS.events else ACKNOWLEDGED
    yield _joined("UCI", _quoted(unb.get(5)), _party(unb, 2), _party(unb, 3), action, *wrong)
    if action == REJECTED:
        return  # no word about what is below: it is rejected with it
    group: Segment | None = None
    for message in messages:
        if message.kind in _ACKNOWLEDGEMENTS:
            continue
        if message.group is not None and message.group is not group:
            group = message.group
            its_end = next((name for name, number in _ends_of_groups(messages, theirs) if number == group.number), ())
            yield _joined("UCF", _quoted(group.get(5)), _party(group, 2), _party(group, 3), ACKNOWLEDGED, *its_end)
        yield from _message(message, said)


def _of_envelope(warnings: Iterable[Warning_]) -> Iterator[tuple[str, str]]:
    """The error and the service segment of each warning about an envelope."""
    for warning in warnings:
        if warning.code in _ENVELOPE:
            error, name = _ENVELOPE[warning.code]
            yield error, name or warning.where.partition("(")[2].rstrip(")")


def _ends_of_groups(messages: Sequence[Message], theirs: Interchange) -> Iterator[tuple[tuple[str, str], int]]:
    """What is wrong with the ends of groups (UNE), each with the number of its UNG."""
    begins = sorted({message.group.number for message in messages if message.group is not None})
    for warning in theirs.warnings:
        for found in _of_envelope([warning]):
            number = number_of(warning.where) or 0
            before = [begin for begin in begins if begin < number]
            if found[1] == _GROUP_END and before:
                yield found, before[-1]


def _message(message: Message, said: Said) -> Iterator[str]:
    """UCM, and UCS and UCD of each segment that is wrong."""
    start = message.start
    last = message.end or (message.segments[-1] if message.segments else start)
    within = range(start.number, last.number + 1)
    problems = [problem for number in within for problem in said.problems.get(number, ())]
    read = sum(number in within for number in said.begun)
    unknown = any(problem.code == "not_a_status_message" for problem in problems)
    action = REJECTED if problems and not read else ACKNOWLEDGED
    wrong: Sequence[str] = ()
    if unknown:
        wrong = (_NO_AGREEMENT, "UNH", "3:1")
    elif message.warnings:
        wrong = next(_of_envelope(message.warnings), ())
    yield _joined("UCM", _quoted(start.get(1)), _identifier(start), action, *wrong)
    if unknown:
        return
    for fault in list(dict.fromkeys(_faults(message, within, said)))[:_ERRORS_MOST]:
        if fault.element is None:
            yield _joined("UCS", str(fault.position), fault.code)
            continue
        yield _joined("UCS", str(fault.position))
        component = f":{fault.component}" if fault.component is not None else ""
        yield _joined("UCD", fault.code, f"{fault.element}{component}")


def _faults(message: Message, within: range, said: Said) -> Iterator[_Fault]:
    """What is wrong with its segments, in their order."""
    names = {segment.number: segment.name for segment in (message.start, *message.segments)}
    for number in within:
        position = number - message.start.number + 1
        for problem in said.problems.get(number, ()):
            if problem.element is None:
                yield _Fault(position, _SEGMENT_ERRORS.get(problem.code, _INVALID))
            else:
                component = _VALUE_OF_TIME if names.get(number) == "DTM" else None
                yield _Fault(position, _ELEMENT_ERRORS.get(problem.code, _INVALID), problem.element + 1, component)
        for warning in said.warnings.get(number, ()):
            element = _CODES.get(names.get(number, ""))
            if warning.code == "unmapped_code" and element is not None:
                yield _Fault(position, _NOT_HERE, element + 1, 1)


def _identifier(start: Segment) -> str:
    """S009: type, version, release, agency."""
    return _composed(start.get(2, component) for component in range(4))


def _party(segment: Segment, element: int) -> str:
    """S002, S003: who, and the qualifier of that name."""
    return _composed(segment.get(element, component) for component in range(2))


def _composed(components: Iterable[str]) -> str:
    """A composite element, without empty components at its end."""
    kept = [_quoted(text) for text in components]
    while kept and not kept[-1]:
        kept.pop()
    return ":".join(kept)


def _joined(*elements: str) -> str:
    """A segment, without empty elements at its end."""
    kept = list(elements)
    while kept and not kept[-1]:
        kept.pop()
    return "+".join(kept)


def _quoted(text: str) -> str:
    """What of a message may stand in ours: printable ASCII, released where it would separate."""
    plain = "".join(char if " " <= char <= "\x7e" else "." for char in text[:35]).strip()
    return "".join(f"?{char}" if char in "?+:'" else char for char in plain)
