"""Defects that the simulation found (tests/simulation), each in its smallest form."""

from __future__ import annotations

from tests.unit.tracker.build import BOX, HOUR, at, event, quietly, register, tell, tracker

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
