"""Defects that the simulation found (tests/simulation), each in its smallest form."""

from __future__ import annotations

import pytest

from tests.unit.tracker.build import BOX, HOUR, at, event, feed, quietly, register, tell, ticks, tracker

RETURN = event("empty_returned", at(22), BOX, sender="LA-APMT", place="USLAX", empty=True)


def test_a_feed_that_was_silent_twice_between_two_looks_is_told_so() -> None:
    """Else its silence would be opened twice and ended once: applied in order, the changes would give nonsense."""
    subject = tracker()
    tell(subject, register(), event(None, at(1), BOX, received=at(1)))
    quietly(subject, at(2))
    outcome = tell(subject, event(None, at(3), BOX, key="again", received=at(3)), now=at(4), load=True)
    told = [(one.change, one.exception.start) for one in outcome.changes if one.consignment == "feed:MAEU" and one.exception]
    assert told == [("exception_ended", at(1) + 6 * HOUR), ("exception_opened", at(3) + 6 * HOUR)]


def test_the_empty_return_that_parts_two_journeys_of_a_box_belongs_to_the_first() -> None:
    """It was neither's: it stands at the opening of the second, which cut the first."""
    subject = tracker()
    later = {"departed": at(30), "delivered": at(45)}
    tell(subject, register("LACDHS-1", refs=(BOX,)), register("LACDHS-2", refs=(BOX,), plan=later), RETURN)
    first, second = subject.state.journey("LACDHS-1"), subject.state.journey("LACDHS-2")
    assert first is not None and [one.event_id for one in first.statements] == [RETURN.event_id]
    assert second is not None and second.statements == ()


@pytest.mark.parametrize("at_once", [False, True], ids=["tick by tick", "both ticks in one batch"])
def test_a_deadline_at_the_last_tick_before_our_outage_is_not_in_it(at_once: bool) -> None:
    """It fired at that tick, when nobody could know of the outage; with the next word in the grace it was withdrawn, and told
    once more when the grace was over. Whoever read the next tick in the same batch waited for that."""
    subject = tracker()
    last, back = at(2) + 12 * HOUR, at(2) + 13 * HOUR  # the departure is overdue from `last` on, and the feed silent
    tell(subject, register(plan={"departed": at(2)}), event("booked", last - 6 * HOUR, BOX, received=last - 6 * HOUR))
    quietly(subject, last - HOUR)
    stops, returns = ticks(last, load=True), ticks(back)
    outcomes = [feed(subject, batch) for batch in ([stops + returns] if at_once else [stops, returns])]
    assert [(one.start, one.end) for one in subject.time.outages] == [(last, back)]
    word = event(None, back, BOX, sender="HBRT", received=back + HOUR / 60)
    outcomes += [tell(subject, word), feed(subject, ticks(back + 2 * HOUR, load=True))]
    told = [
        (one.consignment, one.change, one.exception.key, one.exception.start, one.at)
        for outcome in outcomes
        for one in outcome.changes
        if one.exception is not None and one.consignment != "feed:HBRT"
    ]
    then = back if at_once else last
    assert told == [
        ("LACDHS-1", "exception_opened", "overdue:departed", last, then),
        ("feed:MAEU", "exception_opened", "silent", last, then),
    ]


def test_a_deadline_a_moment_later_waits_for_the_end_of_the_grace() -> None:
    subject = tracker()
    last, back = at(2) + 12 * HOUR - HOUR / 3600, at(2) + 13 * HOUR
    tell(subject, register(plan={"departed": at(2)}))
    quietly(subject, last)
    told = [tell(subject, now=now) for now in (back, back + HOUR / 120)]
    told += [feed(subject, ticks(now, load=True)) for now in (back + HOUR - HOUR / 3600, back + HOUR)]
    opened = [one.at for outcome in told for one in outcome.changes if one.change == "exception_opened"]
    assert opened == [back + HOUR]
