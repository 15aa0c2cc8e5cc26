"""Control numbers that came again, from the raw records as they were sent."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from schemas.raw_message_v1 import RawMessage
from services.console.questions import Interchange, Questions, sql
from tests.integration.console.conftest import Books
from tests.unit.readers.helpers import FIXTURES

pytestmark = pytest.mark.stack

EVER = datetime(1970, 1, 1, tzinfo=UTC)
CLEAN = (FIXTURES / "x12_315.edi").read_bytes()
COLLAPSED = (FIXTURES / "x12_214.edi").read_bytes()
UNB = b"UNB+UNOC:3+MSCU:ZZ+LOVLA:ZZ+200329:1205+%s++1'UNH+1+IFTSTA:D:00B:UN'"


def push(books: Books, offset: int, payload: bytes, sender: str = "COSU", encoding: str = "identity") -> None:
    said = {"kind": "message", "sender": sender, "sha256": hashlib.sha256(payload).hexdigest(), "content_encoding": encoding}
    books.write_raw(RawMessage.model_validate(said), payload, offset)


def found(books: Books, sender: str = "") -> list[tuple[str, str, str, str, int, int, int]]:
    rows: list[Interchange] = Questions(books.client).interchanges(EVER, sender)
    return sorted((r.sender, r.standard, r.named, r.control, r.times, r.contents, r.last_offset) for r in rows)


def test_a_number_that_came_once_is_nothing_to_tell(books: Books) -> None:
    push(books, 1, CLEAN)
    push(books, 2, CLEAN, sender="MAEU")  # a number is its sender's own
    push(books, 3, b'{"eventType": "TRANSPORT"}')
    push(books, 4, b"ISA*nothing")
    push(books, 5, b"ISA*nothing")
    assert found(books) == []


def test_what_came_again_is_told_whether_the_bytes_are_the_same_or_not(books: Books) -> None:
    push(books, 1, CLEAN)
    push(books, 2, CLEAN)
    push(books, 3, CLEAN.replace(b"20200328", b"20200327"))
    push(books, 4, COLLAPSED, sender="HBRT")
    push(books, 5, b"\xef\xbb\xbf" + COLLAPSED, sender="HBRT")
    rows = found(books)
    assert [row[:6] for row in rows] == [
        ("COSU", "x12", "COSU", "000000077", 3, 2),
        ("HBRT", "x12", "HBRT", "000000091", 2, 2),
    ]
    assert [row[0] for row in found(books, "HBRT")] == ["HBRT"]


def test_edifact_is_looked_at_with_and_without_una(books: Books) -> None:
    push(books, 1, UNB % b"REF1", sender="MSCU")
    push(books, 2, b"UNA:+.? '\r\n" + UNB % b"REF1", sender="MSCU")
    push(books, 3, b"UNA#!.? $" + (UNB % b"REF1").translate(bytes.maketrans(b":+'", b"#!$")), sender="MSCU")
    push(books, 4, UNB % b"REF2", sender="MSCU")
    assert [row[:6] for row in found(books)] == [("MSCU", "edifact", "MSCU", "REF1", 3, 3)]


def test_letters_that_are_no_utf8_are_marked_and_break_no_answer(books: Books) -> None:
    """As EDIFACT's UNOC has them; all rows are told as texts."""
    for offset in (1, 2):
        push(books, offset, (UNB % b"REF1").replace(b"MSCU:ZZ", b"M\xdcLLER:ZZ"), sender="MSCU")
    ((_, _, named, control, *_),) = found(books)
    assert (named, control) == ("M\ufffdLLER", "REF1")


def test_no_message_is_unpacked_to_find_whose_number_came_again(books: Books) -> None:
    """Of 300,000 messages that took five seconds, for everybody who looked within a minute."""
    asked: dict[str, object] = {"since": EVER, "sender": "", "limit": 10}
    plan = books.client.query(f"EXPLAIN header = 1, actions = 1 {sql('interchanges')}", asked)
    told = "\n".join(line["explain"] for line in plan)
    assert "interchange" in told and "payload" not in told
