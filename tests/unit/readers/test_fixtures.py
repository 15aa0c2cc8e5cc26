"""Whole messages of our own, read against events that were written by hand from the standards."""

from __future__ import annotations

import pytest

from tests.unit.readers.helpers import FIXTURES, context_at, expected, read_text, told

MESSAGES = {
    "dcsa": "dcsa.json",
    "lovla": "lovla.ndjson",
    "x12_315": "x12_315.edi",
    "x12_214": "x12_214.edi",
    "fsu": "fsu.txt",
    "x12_214_stops": "x12_214_stops.edi",
    "x12_315_voyage": "x12_315_voyage.edi",
    "x12_322": "x12_322.edi",
    "x12_856": "x12_856.edi",
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_gives_exactly_the_events_that_it_says(name: str) -> None:
    hoped = expected(name)
    reading = read_text((FIXTURES / MESSAGES[name]).read_bytes(), context_at(hoped["received_at"], hoped["sender"]))

    assert reading.standard == hoped["standard"]
    got = told(reading)
    for one, two in zip(got, hoped["verdicts"], strict=False):
        assert one == two
    assert len(got) == len(hoped["verdicts"])
    assert [warning.model_dump() for warning in reading.warnings] == hoped.get("warnings", [])


@pytest.mark.parametrize("name", MESSAGES)
def test_the_same_bytes_give_the_same_events_again(name: str) -> None:
    hoped = expected(name)
    content = (FIXTURES / MESSAGES[name]).read_bytes()
    context = context_at(hoped["received_at"], hoped["sender"])

    assert read_text(content, context) == read_text(content, context)


@pytest.mark.parametrize("name", MESSAGES)
def test_ids_and_content_do_not_depend_on_the_time_of_receipt_or_the_raw_record(name: str) -> None:
    hoped = expected(name)
    content = (FIXTURES / MESSAGES[name]).read_bytes()
    one = read_text(content, context_at(hoped["received_at"], hoped["sender"]))
    two = read_text(content, context_at("2020-04-02T05:00:00Z", hoped["sender"], raw_partition=3, raw_offset=9))

    assert [(e.event_id, e.revision) for e in one.events] == [(e.event_id, e.revision) for e in two.events]


@pytest.mark.parametrize("name", MESSAGES)
def test_no_two_events_of_a_message_share_an_id(name: str) -> None:
    hoped = expected(name)
    reading = read_text((FIXTURES / MESSAGES[name]).read_bytes(), context_at(hoped["received_at"], hoped["sender"]))

    assert len({event.event_id for event in reading.events}) == len(reading.events)
