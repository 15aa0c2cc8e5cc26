"""A message as text in JSON: the message inside is read, and each place says where it stood."""

from __future__ import annotations

import json

import pytest

from services.ingest.readers import Reading, detect
from tests.unit.readers.helpers import FIXTURES, context_at, read_text, refused, told

LATE = context_at("2020-04-01T00:00:00Z", "COSU")
NAMES = {"edifact_iftsta": "edi", "x12_315": "edi", "x12_214": "edi", "fsu": "txt", "dcsa": "json"}


def wrap(*messages: str, **more: object) -> str:
    """Each message in an object of its own; one alone, several in an array."""
    objects = [{"id": number, **more, "messageRaw": message} for number, message in enumerate(messages)]
    return json.dumps(objects if len(objects) > 1 else objects[0])


def text_of(name: str) -> str:
    return (FIXTURES / f"{name}.{NAMES[name]}").read_text(encoding="utf-8")


def read_wrapped(*messages: str) -> Reading:
    return read_text(wrap(*messages), LATE)


@pytest.mark.parametrize("name", NAMES)
def test_any_standard_inside_is_read_as_if_it_had_come_alone(name: str) -> None:
    alone, wrapped = read_text(text_of(name), LATE), read_wrapped(text_of(name))

    assert wrapped.standard == alone.standard
    assert [(e.event_id, e.revision) for e in wrapped.events] == [(e.event_id, e.revision) for e in alone.events]
    assert [v.position for v in wrapped.verdicts] == [f"/messageRaw {v.position}" for v in alone.verdicts]
    assert [w.where for e in wrapped.events for w in e.warnings] == [
        f"/messageRaw {w.where}" for e in alone.events for w in e.warnings
    ]
    assert [(p.code, p.where, p.payload) for p in wrapped.problems] == [
        (p.code, f"/messageRaw {p.where}", p.payload) for p in alone.problems
    ]
    assert [(w.code, w.where) for w in wrapped.warnings] == [(w.code, f"/messageRaw {w.where}") for w in alone.warnings]


def test_several_wrapped_messages_say_whose_each_event_is_and_a_bad_one_costs_one() -> None:
    reading = read_wrapped(text_of("x12_315"), "PLS CFM ETA", text_of("edifact_iftsta"))
    positions = [verdict.position for verdict in reading.verdicts]

    assert reading.standard == "x12"
    assert positions[0] == "/0/messageRaw segment 4 (B4)"
    assert "/2/messageRaw segment 8 (STS)" in positions
    (bad,) = [problem for problem in reading.problems if problem.code == "unknown_format"]
    assert (bad.where, bad.payload) == ("/1/messageRaw", b"PLS CFM ETA")


def test_what_stands_beside_a_message_is_not_read() -> None:
    one = read_text(wrap(text_of("edifact_iftsta"), functionCode="Deletion", containerIdentification="MSKU7000034"), LATE)

    assert told(one) == told(read_wrapped(text_of("edifact_iftsta")))
    assert not any(event.retracted for event in one.events)


def test_text_that_was_of_another_character_set_before_it_was_wrapped_is_that_text() -> None:
    text = text_of("edifact_iftsta").replace("SHANGHAI", "Shànghǎi".replace("ǎ", "ä"))
    reading = read_wrapped(text)
    first = reading.events[0]

    assert first.place is not None and first.place.name == "Shànghäi"
    assert reading.warnings == ()


def test_a_wrapper_in_a_wrapper_is_refused_by_name() -> None:
    (problem,) = read_wrapped(wrap(text_of("edifact_iftsta"))).problems

    assert (problem.code, problem.where) == ("bad_nesting", "/messageRaw")


@pytest.mark.parametrize("value", [None, 7, [], {}])
def test_a_wrapper_without_text_is_no_wrapper(value: object) -> None:
    assert refused(json.dumps({"messageRaw": value}), LATE).code == "unknown_format"
    mixed = json.dumps([{"messageRaw": text_of("edifact_iftsta")}, {"messageRaw": value}])
    assert [problem.where for problem in read_text(mixed, LATE).problems][-1] == "/1"


def test_what_is_no_text_at_all_is_refused() -> None:
    assert refused('{"messageRaw": "ISA\\ud800"}', LATE).code == "bad_character"


def test_more_than_a_message_may_hold_is_refused() -> None:
    assert refused(wrap(*[text_of("edifact_iftsta")] * 200), LATE).code == "too_many_events"


def test_it_is_told_from_its_bytes() -> None:
    assert detect(wrap("ISA*").encode(), None, None) == "wrapped"
