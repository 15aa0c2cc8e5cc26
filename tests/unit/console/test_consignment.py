"""A consignment as its page tells it, and as it was known at an earlier time."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console import dcsa_events, worklist
from services.console.consignment import known_at, names_event, tell
from services.console.entry import Reader
from services.console.gate import Problem
from services.console.query_api import chosen, own, own_row, plain
from services.console.questions import Delayed, Place
from tests.unit.sink.examples import exception, journey, statement

NOW = datetime(2020, 4, 12, 12, tzinfo=UTC)
HARBOR = {"H-HARBOR": Place("H-HARBOR", "Harbor-UCLA", "America/Los_Angeles", "")}
EVENT = "3f" * 16
OTHER = "4f" * 16


def test_a_step_says_whether_it_is_done_and_how_late() -> None:
    story = tell(journey(), HARBOR, NOW)
    (port,) = story.segments
    done, due = port.steps
    assert (done.milestone, done.state, done.late_h, done.sender, done.events) == ("discharged", "late", 25.0, "MAEU", [EVENT])
    assert (due.milestone, due.state) == ("gate_out", "expected")
    assert tell(journey(), HARBOR, NOW + timedelta(days=1)).segments[0].steps[1].state == "overdue"
    assert (story.hospital, port.here) == ("Harbor-UCLA", True)


@pytest.mark.parametrize(
    ("parties", "appointed", "gate_out", "delivered"),
    [
        ({"trucker": "HBRT", "consignee": "H-HARBOR"}, [], ("LA-APMT", "HBRT"), ("HBRT", "H-HARBOR")),
        ({}, [], ("LA-APMT", ""), ("", "H-HARBOR")),
        ({}, [("trucker", "CATR"), ("trucker", "SPDR")], ("LA-APMT", "SPDR"), ("SPDR", "H-HARBOR")),
    ],
)
def test_a_step_that_changes_custody_says_who_hands_over_to_whom(
    parties: dict[str, str], appointed: list[tuple[str, str]], gate_out: tuple[str, str], delivered: tuple[str, str]
) -> None:
    steps = [{"milestone": step} for step in ("arrived", "gate_out", "delivered")]
    told = tell(journey(declared={"parties": parties}, appointed=appointed, milestones=steps), {}, NOW)
    handoffs = {step.milestone: step.handoff for segment in told.segments for step in segment.steps}
    assert handoffs == {"arrived": None, "gate_out": gate_out, "delivered": delivered}


def test_who_contradicts_whom_is_told_of_actuals_more_than_twelve_hours_apart() -> None:
    said = [
        statement("discharged", "2020-04-11T16:40:00Z"),
        statement("discharged", "2020-04-12T05:00:00Z", sender="LA-APMT", event_id=OTHER, decides=False),
        statement("discharged", "2020-04-11T20:00:00Z", sender="FFWD", event_id="5f" * 16, decides=False),
    ]
    told = {one.sender: one.against for one in tell(journey(statements=said), {}, NOW).said}
    assert told == {"MAEU": ["LA-APMT"], "LA-APMT": ["MAEU"], "FFWD": []}


def test_exceptions_name_the_words_that_prove_them_and_references_their_teacher() -> None:
    story = tell(journey(exceptions=[exception(evidence=[EVENT])]), {}, NOW)
    assert [one.event_id for one in story.wrong[0].evidence] == [EVENT]
    assert [one.teacher for one in story.references] == ["", EVENT]
    assert names_event(journey(), EVENT)
    assert not names_event(journey(), "00" * 16)


def test_before_a_word_was_heard_nothing_of_it_was_known() -> None:
    told = journey(exceptions=[exception(), exception("dwell", key="dwell", start="2020-04-12T00:00:00Z")])
    before = known_at(told, datetime(2020, 4, 11, 13, tzinfo=UTC))
    assert [said.milestone for said in before.statements] == ["arrived"]
    assert (before.milestone, before.milestones[0].actual) == (None, None)
    assert [state.kind for state in before.exceptions] == ["late"]
    ended = journey(exceptions=[exception(status="ended", end="2020-04-12T00:00:00Z")])
    assert known_at(ended, datetime(2020, 4, 11, 13, tzinfo=UTC)).exceptions[0].status == "open"
    assert known_at(told, NOW).milestone == "discharged"


@given(st.integers(0, 60 * 24))
def test_what_was_known_at_a_time_holds_nothing_received_later(hours: int) -> None:
    moment = datetime(2020, 3, 1, tzinfo=UTC) + timedelta(hours=hours)
    known = known_at(journey(), moment)
    assert all(said.received_at <= moment for said in known.statements)
    heard = {said.milestone for said in known.statements if said.classifier == "actual"}
    assert {state.milestone for state in known.milestones if state.actual} <= heard


@given(st.sampled_from(["MAEU", "HBRT", "LA-APMT", "LACDHS", "COSU", "H-HARBOR", ""]), st.booleans())
def test_a_party_never_reads_another_senders_word(owner: str, party: bool) -> None:
    secret = "nobody else may read this"
    said = [
        statement("discharged", "2020-04-11T16:40:00Z", recorded_by="MAEU's"),
        statement("gate_out", "2020-04-12T05:00:00Z", sender="HBRT", event_id=OTHER, recorded_by="HBRT's"),
    ]
    whole = journey(
        declared={"note": secret},
        statements=said,
        exceptions=[exception(sentence=f"{secret} of MAEU"), exception("dwell", key="dwell", party="HBRT", sentence=secret)],
    )
    try:
        told = own(whole, Reader("key", owner, party))
    except Problem as problem:
        assert problem.kind == "not-found"
        assert owner not in ("MAEU", "HBRT", "LACDHS", "H-HARBOR", "") or not party
        return
    if not owner or owner == "LACDHS":
        assert told == whole
        return
    text = str(plain(tell(told, {}, NOW)))
    assert {one.sender for one in told.statements} <= {owner}
    assert {state.party for state in told.exceptions} <= {owner}
    assert not told.declaration.items
    assert told.declaration.note is None
    others = {"MAEU", "HBRT"} - {owner}
    assert not any(f"{other}'s" in text for other in others)
    assert all(one["eventID"].replace("-", "") in {s.event_id for s in told.statements} for one in dcsa_events.of(told))


@pytest.mark.parametrize(("owner", "party"), [("LACDHS", False), ("MAEU", True), ("", False)])
def test_what_an_operators_people_do_is_for_operators_alone(owner: str, party: bool) -> None:
    said: dict[str, Any] = {field.name: f"said {field.name}" for field in fields(Delayed)}
    reader, inside = Reader("key", owner, party), ("note", "noted_by", "acknowledged_by", "acknowledged_at", "assigned_to")
    told = own_row(Delayed(**said), reader)
    assert [bool(getattr(told, name)) for name in (*inside, "snoozed_until")] == [not owner] * 6
    assert told.consignment == "said consignment"
    assert (told.goods == []) is party
    for asked in ({"work": ["to_do"]}, {"assigned": ["ben"]}):
        view = worklist.read(asked, NOW, ZoneInfo("UTC"))
        if owner:
            with pytest.raises(Problem, match="who takes care"):
                chosen(view, reader)
        else:
            assert chosen(view, reader)[0] == view.wanted


def test_dcsa_clients_read_what_the_standard_has_a_code_for() -> None:
    disc, arrival = dcsa_events.of(journey())
    assert disc["eventType"] == "EQUIPMENT"
    assert (disc["equipmentEventTypeCode"], disc["equipmentReference"], disc["emptyIndicatorCode"]) == (
        "DISC",
        "MRSU4371639",
        "LADEN",
    )
    assert disc["eventID"] == "3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f"
    assert (arrival["transportEventTypeCode"], arrival["eventClassifierCode"]) == ("ARRI", "EST")
    assert arrival["documentReferences"] == [{"documentReferenceType": "TRD", "documentReferenceValue": "MAEU203990011"}]


def test_goods_say_their_lot_and_words_how_late_they_were_told() -> None:
    late = statement("discharged", "2020-04-11T16:40:00Z") | {"received_at": "2020-04-11T22:40:00Z"}
    story = tell(journey(statements=[late]), HARBOR, NOW)
    assert [(item.line, item.category, item.quantity, item.lot) for item in story.goods] == [
        (1, "n95_respirator", 240_000, "L1")
    ]
    assert [word.reported_h for word in story.said] == [6.0]
