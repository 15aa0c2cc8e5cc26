"""EDIFACT from someone who means harm: a reading, or Unreadable; work and memory that grow with the bytes and no faster."""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.acknowledgements import NotAcknowledged, acknowledge, unread
from services.ingest.readers import Reading, Unreadable, read
from services.ingest.readers.edifact_segments import BYTES_MAX
from tests.unit.readers.damage import Damage, damaged, damages
from tests.unit.readers.helpers import FIXTURES, context_at

CONTEXT = context_at("2020-04-01T00:00:00Z")
MESSAGES = [(FIXTURES / f"edifact_{name}.edi").read_bytes() for name in ("iftsta", "coarri", "codeco")]
CAREFUL = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
NAMES = ["UNH", "UNT", "UNZ", "UNB", "UNG", "UNE", "BGM", "CNI", "STS", "DTM", "LOC", "TDT", "EQD", "RFF", "CNT", "SEL", "GIN"]


def check(content: bytes) -> Reading | None:
    """Read it and answer it; all that comes out must be fit for the wire."""
    try:
        reading = read(content, None, "edifact", CONTEXT)
    except Unreadable as error:
        assert error.code and error.text
        answer(content, unread("edifact", error))
        return None
    assert reading.verdicts
    for verdict in reading.verdicts:
        assert (verdict.event is None) != (verdict.problem is None)
        if verdict.event is not None:
            assert verdict.event.model_validate_json(verdict.event.model_dump_json()) == verdict.event
    answer(content, reading)
    return reading


def answer(content: bytes, reading: Any) -> None:
    try:
        written = acknowledge(content, reading, at=CONTEXT.received_at, control=1)
    except NotAcknowledged as error:
        assert error.code and error.text
        return
    assert written.isascii() and written.startswith((b"UNB+UNOB:3+", b"UNB+UNOC:3+"))


@CAREFUL
@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    check(content)


@CAREFUL
@given(st.text(alphabet="UNABHTZGESDLOCQ+:?' \r\n\x1c\x1d\x1f\x000123456789é", max_size=300))
def test_any_text_of_the_letters_that_messages_use(text: str) -> None:
    check(b"UNB+UNOC:3+A+B+200330:0810+1'" + text.encode("latin-1"))


@CAREFUL
@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.lists(st.text(alphabet="+:?1372049ABCKUSLX", max_size=14), max_size=8)),
        max_size=24,
    ),
    st.sampled_from(["IFTSTA", "COARRI", "CODECO"]),
)
def test_messages_of_any_segments(segments: list[tuple[str, list[str]]], kind: str) -> None:
    body = "".join(f"{name}+{'+'.join(elements)}'" for name, elements in segments)
    check(f"UNB+UNOC:3+A+B+200330:0810+1'UNH+1+{kind}:D:00B:UN'BGM+44'STS+1+24'EQD+CN+MRSU4371639++++5'{body}".encode())


@CAREFUL
@given(
    st.sampled_from(MESSAGES),
    damages(10_000),
)
def test_a_message_that_was_damaged_on_its_way(content: bytes, harm: Sequence[Damage]) -> None:
    check(damaged(content, harm))


UNB = "UNB+UNOC:3+A+B+200330:0810+1'"
IFTSTA = UNB + "UNH+1+IFTSTA:D:00B:UN'BGM+23+1'"
STATUS = "STS+1+24'DTM+334:202003150630UTC:303'"
COARRI = UNB + "UNH+1+COARRI:D:95B:UN'BGM+44+1'DTM+203:202003150630:203'"

HARM: dict[str, Callable[[int], str]] = {
    # `n` times something that a careless reader does again for each of n others
    "terminators": lambda n: UNB + "'" * n,
    "separators": lambda n: IFTSTA + "+" * n,
    "components": lambda n: IFTSTA + "RFF+" + ":" * n,
    "releases": lambda n: IFTSTA + "FTX+AAI+++" + "?" * n,
    "line breaks": lambda n: IFTSTA + "\r\n" * n,
    "blanks": lambda n: IFTSTA + " " * n + "'",
    "interchanges": lambda n: UNB * n,
    "advices": lambda n: "UNA:+.? '" * n,
    "almost interchanges": lambda n: IFTSTA + "?'UNB+" * n,
    "blanks before interchanges": lambda n: IFTSTA + "x   UNB+" * n,
    "messages": lambda n: UNB + "UNH+1+IFTSTA:D:00B:UN'UNT+2+1'" * n,
    "messages without end": lambda n: UNB + "UNH+1'" * n,
    "groups": lambda n: UNB + "UNG+A'UNE+1'" * n,
    "statuses": lambda n: IFTSTA + "RFF+BM:1'" * n + STATUS * n,
    "consignments": lambda n: IFTSTA + "RFF+BM:1'LOC+9+CNSHA'" * n + "CNI+1+X'STS+1+24'" * n,
    "containers of a status": lambda n: IFTSTA + STATUS + "RFF+EQ:MRSU4371639'" * n + "EQD+CN+MRSU4371639'" * n,
    "times of legs": lambda n: IFTSTA + STATUS + "TDT+20+1+1'" * n + "LOC+9+CNSHA'DTM+186:202003150630:203'" * n,
    "bad containers": lambda n: COARRI + "EQD+CN+X'" * n,
    "containers": lambda n: COARRI + "TDT+20+1+1'LOC+9+CNSHA'RFF+BM:1'" * n + "EQD+CN+MRSU4371639++++5'" * n,
    "counts": lambda n: COARRI + "CNT+16:9'" * n + "EQD+CN+MRSU4371639++++5'" * n,
    "texts": lambda n: COARRI + "EQD+CN+MRSU4371639++++5'" + "FTX+DAR+++" + "A" * n + "'",
}


def steps(content: bytes) -> int:
    """Lines of Python that reading and answering takes, in our modules and in pydifact's."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if "services" not in frame.f_code.co_filename and "pydifact" not in frame.f_code.co_filename:
            return None
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        check(content)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", HARM)
def test_work_grows_no_faster_than_the_message(name: str) -> None:
    make = HARM[name]
    small, large = make(40).encode(), make(160).encode()

    assert steps(large) < 1.6 * steps(small) * len(large) / len(small)


def of_size(name: str, size: int) -> bytes:
    """A message of about `size` bytes."""
    one, two = (len(HARM[name](n).encode()) for n in (1, 2))
    return HARM[name](size // (two - one)).encode()


@pytest.mark.parametrize("name", HARM)
def test_memory_is_at_most_twenty_times_the_message_and_its_events(name: str) -> None:
    content = of_size(name, 50_000)
    tracemalloc.start()
    try:
        told = check(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    holds_events = told is None or told.events or len(told.problems) > 10
    assert peak < 20 * len(content) + (20 if holds_events else 2) * 1024 * 1024  # a thousand events, however short their words


@pytest.mark.parametrize("name", HARM)
def test_what_was_made_to_keep_us_busy_does_not(name: str) -> None:
    """Beside `steps`, which does not see what is copied or hashed in one step."""
    content = of_size(name, 100_000)
    begin = time.process_time()
    check(content)

    assert time.process_time() - begin < 5


def test_what_is_too_large_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(Unreadable) as caught:
        read((IFTSTA + STATUS).encode() + b" " * BYTES_MAX, None, None, CONTEXT)

    assert caught.value.code == "too_large"


def test_more_containers_than_a_message_may_hold_are_refused() -> None:
    with pytest.raises(Unreadable) as caught:
        read((COARRI + "EQD+CN+MRSU4371639++++5'" * 1001).encode(), None, None, CONTEXT)

    assert caught.value.code == "too_many_events"
