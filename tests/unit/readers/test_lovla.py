"""Our own JSON: strict, and every wrong field is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.readers.helpers import context_at, read_text

AT = "2020-04-01T00:00:00Z"
GOOD: dict[str, Any] = {
    "milestone": "arrived",
    "occurred_at": "2020-03-30T00:00:00Z",
    "references": [{"kind": "container", "value": "MRSU4371639"}],
}


@pytest.mark.parametrize(
    ("fields", "code", "where"),
    [
        ({"milestone": "flown"}, "bad_value", "/milestone"),
        ({"colour": 1}, "unknown_field", "/colour"),
        (
            {"references": [{"kind": "container", "value": "A"}, {"kind": "ship", "value": "A"}]},
            "bad_value",
            "/references/1/kind",
        ),
        ({"references": [{"kind": "container"}]}, "missing_field", "/references/0/value"),
        ({"place": {"unlocode": "los angeles"}}, "bad_value", "/place/unlocode"),
        ({"pieces": {"this": -1}}, "bad_value", "/pieces/this"),
        ({"hold": {"kind": "customs", "state": "maybe"}}, "bad_value", "/hold/state"),
        ({"occurred_at": "yesterday"}, "bad_time", "/occurred_at"),
        ({"occurred_at": None}, "missing_field", "/occurred_at"),
        ({"milestone": None}, "says_nothing", ""),
        ({"sender": "OTHER"}, "not_your_code", "/sender"),
        ({"references": []}, "no_linking_reference", ""),
        ({"retracts": {"event_id": "a" * 32, "source_id": "x"}}, "bad_value", "/retracts"),
        ({"empty": "perhaps"}, "bad_value", "/empty"),
    ],
)
def test_what_is_wrong_is_named_by_its_pointer(fields: dict[str, Any], code: str, where: str) -> None:
    found = read_text(json.dumps(GOOD | fields), context_at(AT), "lovla.1").problems[0]

    assert (found.code, found.where) == (code, where)


def test_all_wrong_fields_are_told_at_once() -> None:
    found = read_text(json.dumps(GOOD | {"milestone": "flown", "colour": 1, "empty": "perhaps"}), context_at(AT)).problems[0]

    assert "/colour" in found.text and "/empty" in found.text


def test_the_senders_own_code_may_be_named() -> None:
    assert read_text(json.dumps(GOOD | {"sender": "MAEU"}), context_at(AT)).events


def test_a_code_of_ones_own_without_milestone_is_kept_and_moves_nothing() -> None:
    event = read_text(json.dumps(GOOD | {"milestone": None, "code": "NEWS"}), context_at(AT)).events[0]

    assert (event.code, event.milestone, event.mapped) == ("NEWS", None, False)


def test_the_person_who_recorded_it_comes_from_the_door() -> None:
    event = read_text(json.dumps(GOOD), context_at(AT, "OPS", recorded_by="J. Doe", operator=True)).events[0]

    assert event.recorded_by == "J. Doe"


def test_a_backfilled_event_says_so() -> None:
    assert read_text(json.dumps(GOOD), context_at(AT, cause="backfill")).events[0].cause == "backfill"


def test_an_event_can_be_withdrawn_by_sending_it_again() -> None:
    first = read_text(json.dumps(GOOD | {"id": "T-1"}), context_at(AT)).events[0]
    again = read_text(json.dumps(GOOD | {"source_id": "T-1", "retracted": True}), context_at(AT)).events[0]

    assert (again.event_id, again.retracted) == (first.event_id, True)


def test_what_holds_more_than_any_event_is_refused_by_one_sentence() -> None:
    for wide, where in (
        ({"references": [-9] * 5_000}, "/references"),
        ({"place": dict.fromkeys(map(str, range(5_000)))}, "/place"),
    ):
        (problem,) = read_text(json.dumps(GOOD | wide), context_at(AT)).problems
        assert (problem.code, problem.where) == ("bad_value", where)
        assert problem.text.startswith("5000 values")
