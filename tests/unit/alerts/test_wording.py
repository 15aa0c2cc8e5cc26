"""What messages say: the same facts in three forms, in signs that every phone has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from schemas.alerts_v1 import Item, Step
from schemas.words import EXCEPTION_KINDS, MILESTONES
from services.alerts import wording
from services.alerts.languages import language
from services.alerts.sms import count
from tests.unit.alerts.build import NOW, alertable, subscription


def words(*items: Item, **fields: Any) -> wording.Words:
    given = {"digest": False, "away": False, "code": None, "now": NOW} | fields
    return wording.words(items, subscription(), **given)


def item(kind: str = "late", step: Step = "opened", **fields: Any) -> Item:
    made = wording.item(alertable(exception={"kind": kind, "key": kind, "party": "MAEU"}), "America/Los_Angeles")  # type: ignore[arg-type]  # an exception
    return made.model_copy(update={"step": step} | fields)


@pytest.mark.parametrize("kind", EXCEPTION_KINDS)
@pytest.mark.parametrize("step", ["opened", "worsened", "ended", "corrected"])
def test_every_exception_can_be_told_in_signs_that_every_phone_has(kind: str, step: Step) -> None:
    said = words(item(kind, step, hours_late=18.0, until=NOW), code="4711")
    assert count(said.sms).segments <= 2
    assert count(said.sms).encoding == "gsm7"
    assert "LACDHS-1" in said.subject
    assert said.subject.isprintable()


@pytest.mark.parametrize("milestone", MILESTONES)
def test_every_milestone_can_be_told(milestone: str) -> None:
    reached = alertable(kind="milestone_reached", milestone=milestone, occurred_at=NOW, sender="MAEU", place="USLAX")
    made = wording.item(reached, "America/Los_Angeles")  # type: ignore[arg-type]  # a milestone
    assert made.sentence.endswith("at USLAX, 12 Apr 11:00 PDT, says MAEU.")
    assert language("en").say(f"reached.{milestone}") in words(made).subject


def test_a_sentence_that_is_too_long_for_two_segments_is_cut_and_the_decision_is_not() -> None:
    said = words(item(sentence="word " * 90, consignment="LACDHS-" + "9" * 60), code="4711")
    assert count(said.sms).segments <= 2
    assert said.sms.endswith("Reply ACK 4711 if you take care.")


def test_every_exception_has_something_to_do_next_and_only_while_it_is_open() -> None:
    assert "What next: Ask MAEU where it is" in words(item("overdue")).text
    assert "What next" not in words(item("overdue", "ended")).text


def test_what_was_wrong_is_said_to_be_wrong_and_what_is_over_since_when() -> None:
    assert "We were wrong: it is not on hold." in words(item("on_hold", "corrected")).text
    assert "It was over at 12 Apr 12:00 PDT." in words(item("late", "ended", until=NOW + timedelta(hours=1))).text


def test_a_long_list_names_the_worst_and_counts_the_rest() -> None:
    said = words(*(item(consignment=f"LACDHS-{n}") for n in range(40)))
    assert said.text.count("LACDHS-") == wording.LINES
    assert "And 28 more" in said.text
