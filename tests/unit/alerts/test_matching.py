"""Match: whom a change concerns, and whether it is still news."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from schemas.alerts_v1 import Filters
from schemas.journey_change_v1 import CHANGE, Change
from schemas.words import SEVERITIES
from services.alerts.matching import NEWS_FOR, Book, Match, Step, Told, why_not
from tests.unit.alerts.build import NOW, alertable, change, subscription

OLD = NOW - NEWS_FOR - timedelta(minutes=1)


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"facilities": ["H-HARBOR", "H-OTHER"]},
        {"consignments": ["LACDHS-1"]},
        {"references": ["MRSU4371639"]},
        {"carriers": ["MAEU"], "terminals": ["LA-APMT"]},
        {"categories": ["glove", "n95_respirator"]},
        {"tiers": [1, 2]},
        {"exceptions": ["late"], "minimum_severity": "major"},
    ],
)
def test_a_subscriber_is_concerned_when_every_filter_that_is_set_fits(filters: dict[str, Any]) -> None:
    assert why_not(subscription(**filters), alertable(), NOW) is None
    assert [one.subscription for one in Book([subscription(**filters)]).concerned(alertable(), NOW)] == ["a" * 16]


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ({"facilities": ["H-OTHER"]}, "facilities"),
        ({"consignments": ["LACDHS-2"]}, "consignments"),
        ({"references": ["MSCU6639870"]}, "references"),
        ({"carriers": ["MAEU"], "terminals": ["LB-TTI"]}, "terminals"),
        ({"categories": ["glove"]}, "categories"),
        ({"tiers": [2]}, "tiers"),
        ({"exceptions": ["dwell"]}, "exceptions"),
        ({"milestones": ["arrived"]}, "exceptions"),
        ({"minimum_severity": "critical"}, "minimum_severity"),
    ],
)
def test_the_filter_that_does_not_fit_is_named(filters: dict[str, Any], named: str) -> None:
    reason = why_not(subscription(**filters), alertable(), NOW)
    assert reason is not None
    assert reason.startswith(named)
    assert list(Book([subscription(**filters)]).concerned(alertable(), NOW)) == []


@pytest.mark.parametrize("state", ["unconfirmed", "paused", "stopped"])
def test_only_an_active_subscription_is_told(state: str) -> None:
    assert why_not(subscription(state=state), alertable(), NOW) == f"the subscription is {state}"


def test_an_expired_subscription_is_not_told() -> None:
    assert why_not(subscription(expires_at=NOW), alertable(), NOW) == "the subscription expired at 2020-04-12 18:00 UTC"


def test_a_milestone_is_told_to_whom_wants_milestones_or_everything() -> None:
    reached = alertable(kind="milestone_reached")
    assert why_not(subscription(), reached, NOW) is None
    assert why_not(subscription(milestones=["arrived"]), reached, NOW) is None
    assert why_not(subscription(exceptions=["late"]), reached, NOW) is not None
    assert why_not(subscription(milestones=["gate_out"]), reached, NOW) is not None


def test_a_silent_feed_concerns_who_watches_that_carrier() -> None:
    silent = alertable(consignment="feed:MAEU", facility=None, carrier=None, terminal=None, categories=[], references=[])
    assert why_not(subscription(carriers=["MAEU"]), silent, NOW) is None
    assert why_not(subscription(facilities=["H-HARBOR"]), silent, NOW) is not None


def test_what_became_of_an_exception_concerns_also_who_wants_only_worse_ones() -> None:
    picky = Book([subscription(minimum_severity="critical")])
    assert list(picky.concerned(alertable(), NOW)) == []
    for kind in ("exception_changed", "exception_ended", "exception_withdrawn"):
        assert [one.subscription for one in picky.concerned(alertable(kind=kind), NOW)] == ["a" * 16]


def test_the_book_finds_whom_looking_at_everybody_finds() -> None:
    chance = random.Random(7)
    values = {
        "facilities": ["H-HARBOR", "H-2"],
        "consignments": ["LACDHS-1", "LACDHS-2"],
        "references": ["MRSU4371639", "X1"],
        "carriers": ["MAEU", "MSCU"],
        "terminals": ["LA-APMT", "LB-TTI"],
        "categories": ["n95_respirator", "glove"],
    }
    everybody = []
    for n in range(200):
        chosen = {
            name: chance.sample(options, chance.randint(1, 2)) for name, options in values.items() if chance.random() < 0.3
        }
        one = subscription(state=chance.choice(["active", "active", "paused"]))
        filters = Filters(**chosen, minimum_severity=chance.choice(SEVERITIES))
        everybody.append(one.model_copy(update={"subscription": f"{n:016d}", "filters": filters}))
    book = Book(everybody)
    for one in everybody[:50]:
        book.remove(one.subscription)
    for one in everybody[:25]:
        book.put(one)
        book.put(one)
    kept = [*everybody[:25], *everybody[50:]]
    counts = []
    for severity in SEVERITIES:
        told = alertable(severity=severity)
        found = [one.subscription for one in book.concerned(told, NOW)]
        assert found == [one.subscription for one in kept if why_not(one, told, NOW) is None]
        counts.append(len(found))
    assert 0 < counts[0] < counts[1] < counts[2] < 100


def told(made: Change, offset: int, appended_at: datetime = NOW, partition: int = 0) -> Told:
    return Told(made, partition, offset, appended_at)


def ids(step: Step) -> list[tuple[str, bool]]:
    return [(candidate.change_id[-2:], candidate.away) for candidate in step.candidates]


def match(**ends: int) -> Match:
    found = Match(Book([subscription()]), {int(name[1:]): end for name, end in ends.items()})
    found.reach(dict.fromkeys((int(name[1:]) for name in ends), 0), NOW)
    return found


def test_what_was_just_found_is_news() -> None:
    subject = match(p0=0)
    assert ids(subject.take(told(change(), 0), NOW)) == [("01", False)]
    assert ids(subject.take(told(change("exception_ended", 2), 1), NOW)) == [("02", False)]
    assert ids(subject.take(told(change("milestone_reached", 3), 2), NOW)) == [("03", False)]


@pytest.mark.parametrize("cause", ["backfill", "refold"])
def test_a_replay_a_refold_and_a_first_load_tell_nothing(cause: str) -> None:
    subject = match(p0=0)
    kinds = ("exception_opened", "exception_changed", "exception_ended", "milestone_reached")
    steps = [subject.take(told(change(kind, n, cause=cause), n), NOW) for n, kind in enumerate(kinds)]
    assert [ids(step) for step in steps] == [[]] * 4
    assert subject.waiting == {}


def test_reading_from_the_beginning_tells_nothing_that_is_over() -> None:
    subject = match(p0=3)
    records = [change("exception_opened", 1), change("milestone_reached", 2), change("exception_ended", 3)]
    assert [ids(subject.take(told(one, n, OLD), NOW)) for n, one in enumerate(records)] == [[], [], []]


def test_what_is_still_open_when_the_worker_has_caught_up_is_told_once_as_away() -> None:
    subject = match(p0=2, p1=1)
    assert ids(subject.take(told(change("exception_opened", 1), 0, OLD), NOW)) == []
    assert ids(subject.take(told(change("exception_changed", 2), 1, OLD), NOW)) == []
    assert not subject.caught_up
    last = subject.take(told(change("milestone_reached", 3, "OTHER"), 0, NOW, partition=1), NOW)
    assert ids(last) == [("03", False), ("02", True)]
    assert subject.waiting == {}
    assert ids(subject.take(told(change("exception_ended", 4), 2), NOW)) == [("04", False)]


def test_a_refold_does_not_make_a_waiting_exception_forgotten() -> None:
    subject = match(p0=3)
    subject.take(told(change("exception_opened", 1), 0, OLD), NOW)
    subject.take(told(change("exception_changed", 2, cause="refold"), 1, OLD), NOW)
    assert ids(subject.take(told(change("milestone_reached", 3), 2, OLD), NOW)) == [("01", True)]


def test_what_changed_about_an_exception_that_is_over_is_not_told_as_still_open() -> None:
    subject = match(p0=2)
    over = change("exception_changed", 2).model_dump()
    over["exception"]["status"] = "ended"
    subject.take(told(change("exception_ended", 1), 0, OLD), NOW)
    assert ids(subject.take(told(CHANGE.validate_python(over), 1, OLD), NOW)) == []
    assert subject.waiting == {}


def test_a_log_that_ends_with_the_marker_of_a_transaction_is_read_when_its_end_is_reached() -> None:
    subject = match(p0=2)
    assert ids(subject.take(told(change(), 0, OLD), NOW)) == []
    assert not subject.caught_up
    assert ids(subject.reach({0: 2}, NOW)) == [("01", True)]


def test_a_worker_that_died_while_catching_up_tells_what_its_table_holds() -> None:
    first = match(p0=2)
    step = first.take(told(change("exception_opened", 1), 0, OLD), NOW)
    table = {key: kept for key, kept in step.waiting.items() if kept is not None}
    second = Match(Book([subscription()]), {0: 2}, table)
    assert ids(second.reach({0: 1}, NOW)) == []
    assert ids(second.take(told(change("milestone_reached", 2), 1, OLD), NOW)) == [("01", True)]
    third = Match(Book([subscription()]), {0: 2}, table)
    assert ids(third.reach({0: 2}, NOW)) == [("01", True)]


def test_a_record_taken_again_gives_the_same() -> None:
    subject = match(p0=0)
    once, again = subject.take(told(change(), 0), NOW), subject.take(told(change(), 0), NOW)
    assert once.candidates == again.candidates
