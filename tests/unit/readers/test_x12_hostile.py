"""X12 as an enemy or a bad line would send it: a reading, a command, a problem, an answer or none of it; never an error."""

from __future__ import annotations

import contextlib
import sys
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.consignment_command_v1 import COMMAND
from schemas.raw_message_v1 import RawMessage
from services.ingest.acknowledgements import Form, NotAcknowledged, acknowledge, unread
from services.ingest.readers import Limits, Unreadable, read
from services.ingest.readers.x12_segments import decode, sets_of
from services.ingest.reading import read_message
from tests.unit.readers.helpers import FIXTURES, REGISTERS, context_at
from tests.unit.readers.test_x12 import ISA

NOW = datetime(2020, 4, 1, tzinfo=UTC)
NAMES = ("x12_214_stops", "x12_315_voyage", "x12_322", "x12_856", "x12_315", "x12_214")
MESSAGES = [(FIXTURES / f"{name}.edi").read_bytes() for name in NAMES]
PIECES = [line for message in MESSAGES for line in message.splitlines()[2:-2]]
META = RawMessage(kind="message", sender="LACDHS", scopes=("push", "register"), sha256="ab" * 32)
CAREFUL = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
HEAD, TAIL = ISA.encode() + b"~\nGS*QO*A*B*20200329*1205*77*X*004010~\n", b"\nGE*1*77~\nIEA*1*000000077~\n"


def check(content: bytes) -> None:
    """Whatever comes out is fit for the wire; what is answered can be read by our own tokeniser and has nothing wrong."""
    found = read_message(META, content, NOW, REGISTERS)
    assert len(found.kept) == len([v for v in found.verdicts if sum(x is not None for x in (v.event, v.problem, v.asked)) == 1])
    for event in found.events:
        assert event.model_validate_json(event.model_dump_json()) == event
    for row in found.commands:
        assert row.command is not None
        assert COMMAND.validate_json(row.command.model_dump_json()) == row.command
    for problem in found.problems:
        assert problem.code and problem.text
    for form in get_args(Form):
        try:
            judged = found if found.standard == "x12" else unread("x12", Unreadable("unknown_format", "", "no"))
            written = acknowledge(content, judged, at=NOW, control=1, form=form)
        except NotAcknowledged:
            continue
        assert written.isascii()
        assert sets_of(decode(written)[0])[1] == []


@CAREFUL
@given(
    st.sampled_from(MESSAGES),
    st.lists(
        st.tuples(st.integers(0, 10_000), st.sampled_from(["cut", "put", "drop", "double"]), st.binary(max_size=6)), max_size=6
    ),
)
def test_a_message_that_was_damaged_on_its_way(content: bytes, damages: list[tuple[int, str, bytes]]) -> None:
    for at, what, put in damages:
        where = at % (len(content) + 1)
        match what:
            case "cut":
                content = content[:where]
            case "put":
                content = content[:where] + put + content[where:]
            case "drop":
                content = content[:where] + content[where + 1 + at % 40 :]
            case _:
                content = content[:where] + content[where - at % 40 :]
    check(content)


@CAREFUL
@given(st.sampled_from(["214", "315", "322", "856", "997"]), st.lists(st.sampled_from(PIECES), max_size=30))
def test_segments_in_any_order_and_number(kind: str, lines: list[bytes]) -> None:
    check(HEAD + f"ST*{kind}*1~\n".encode() + b"\n".join(lines) + TAIL)


@CAREFUL
@given(
    st.sampled_from(["214", "315", "322", "856"]),
    st.lists(
        st.tuples(
            st.sampled_from(
                ["B4", "Q5", "N7", "AT7", "LX", "BSN", "HL", "LIN", "SN1", "TD3", "MAN", "DTM", "R4", "MS1", "MS2"]
            ),
            st.lists(st.text(max_size=12), max_size=14),
        ),
        max_size=8,
    ),
)
def test_any_text_in_any_element(kind: str, segments: list[tuple[str, list[str]]]) -> None:
    body = "~\n".join("*".join([name, *(e.replace("~", "").replace("*", "") for e in elements)]) for name, elements in segments)
    check(HEAD + f"ST*{kind}*1~\n{body}~\nSE*9*1~".encode("utf-8", "replace") + TAIL)


def grown(kind: str, head: str, repeated: str, times: int) -> bytes:
    """A set in which a segment stands so often."""
    return HEAD + f"ST*{kind}*1~\n{head}~\n".encode() + f"{repeated}~\n".encode() * times + b"SE*1*1~" + TAIL


@pytest.mark.parametrize(
    ("kind", "head", "repeated"),
    [
        ("856", "BSN*00*1*20200320*0900", "HL*1**I"),
        ("856", "BSN*00*1*20200320*0900", "MAN*GM*00395213210000000033"),
        ("856", "BSN*00*1*20200320*0900~\nHL*1**S", "HL*2*1*I~\nLIN*1*LT*A~\nSN1**5*EA"),
        ("315", "B4***UV*20200328*2130**MRSU*437163*L*45G1*USLAX*UN*9", "R4*D*UN*USLAX~\nDTM*139*20200328*0600*UT"),
        ("322", "Q5*OA*20200328*1000*PT", "N7*MRSU*437163"),
        ("214", "B10*P1**HBRT", "LX*1~\nAT7*D1*NS***20200328*1000*PT"),
    ],
)
def test_ten_times_the_segments_take_ten_times_the_steps(kind: str, head: str, repeated: str) -> None:
    few, many = (steps(grown(kind, head, repeated, times)) for times in (100, 1_000))
    assert many < 12 * few


@pytest.mark.parametrize("around", ["B10*P1*S*H", "L11*B1*BM", "L11*N/A*BM", "L11*MRSU4371639*EQ", "N1*ZZ", "N4*", "Q7*"])
@pytest.mark.parametrize("status", ["AT7*X3*NS***20200328*1000*PT", "AT7*J1*A1***2020", "LX~\nAT7*D1*NS***20200328*1000*PT"])
@pytest.mark.parametrize("loop", ["", "LX*1~\n"])
def test_statuses_and_what_stands_around_them_grow_together_and_the_steps_with_both(
    around: str, status: str, loop: str
) -> None:
    few, many = (
        steps(grown("214", f"B10*P1**HBRT~\nL11*B1*BM~\n{loop}" + "~\n".join([around] * times), status, times))
        for times in (40, 400)
    )
    assert many < 12 * few


def test_ten_times_the_sets_take_ten_times_the_steps() -> None:
    few, many = (steps(HARM["sets"](times)) for times in (30, 300))
    assert many < 12 * few


ONE = MESSAGES[4].splitlines(keepends=True)
HARM: dict[str, Callable[[int], bytes]] = {
    "sets": lambda n: b"".join([*ONE[:2], *ONE[2:13] * n, *ONE[-2:]]),
    "small segments": lambda n: grown("315", "B4***UV*20200328*2130", "N9*B*1", n),
    "nothing but terminators": lambda n: grown("315", "B4***UV*20200328*2130", "A", n),
    "nothing but separators": lambda n: grown("315", "B4" + "*" * n, "N9", 1),
    "tiny sets": lambda n: HEAD + b"ST*9*1~SE*2*1~" * n + TAIL,
    "tiny groups": lambda n: ISA.encode() + b"~" + b"GS*A~GE~" * n + b"IEA*1~",
    "stray segments": lambda n: HEAD + b"XX~" * n + TAIL,
    "items": lambda n: grown("856", "BSN*00*1*20200320~\nHL*1**S", "HL*2*1*I~\nLIN*1*LT*A~\nSN1**5*EA", n),
    "interchanges": lambda n: MESSAGES[4][:400] * n,
}
"""What is meant to fill our memory, by how much of it."""


@pytest.mark.parametrize("name", HARM)
def test_memory_is_at_most_twenty_times_the_message_and_its_events(name: str) -> None:
    one, two = (len(HARM[name](n)) for n in (1, 2))
    content = HARM[name](1_000_000 // (two - one))
    tracemalloc.start()
    try:
        with contextlib.suppress(Unreadable):
            found = read(content, None, None, context_at("2020-04-01T00:00:00Z"))
            with contextlib.suppress(NotAcknowledged):
                acknowledge(content, found, at=NOW, control=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * len(content) + 4 * 1024 * 1024  # a thousand events, however short their words


def steps(content: bytes) -> int:
    """How many functions are called, Python's own included, until it is read."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        with contextlib.suppress(Unreadable):
            read(content, None, None, context_at("2020-04-01T00:00:00Z"), Limits(events=1_000_000))
    finally:
        sys.setprofile(before)
    return count
