"""A refold is a function of the topics: what stands right says nothing, what stands wrong becomes what a first pass gives."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.tracker.core import Outcome, Read, Tracker, WrongLayout
from services.tracker.event_store import MemoryEventStore
from services.tracker.records import Clock, Command, Event, Journey, encode
from services.tracker.refold import Published, Scratch, shard_of_key
from tests.unit.tracker.build import (
    BOX,
    COMMANDS,
    EVENTS,
    REGISTERS,
    Ref,
    at,
    command,
    event,
    feed,
    reads,
    register,
    tell,
    ticks,
    tracker,
)
from tests.unit.tracker.test_sets import END, journeys, play, stories


def published(subject: Tracker) -> Published:
    """What the topic of journeys holds of it."""
    found = Published()
    for record in (
        *map(subject.state.journey, subject.state.journeys),
        *subject.state.feeds.values(),
        *subject.state.closed.values(),
    ):
        assert record is not None
        found.add(0, msgspec.json.encode(record))
    return found


def scratch(told: list[Event], commands: list[Command], old: Published, time: list[Read]) -> Scratch:
    """Read as the topics hold it: commands, then events."""
    made = Scratch(MemoryEventStore(), REGISTERS, [(0, EVENTS, 0), (0, COMMANDS, 0)], (COMMANDS, 0))
    for read in [*time, *reads(*commands)]:
        made.read(read)
    made.stand_on(old)
    for read in reads(*told):
        made.read(read)
    made.finish()
    return made


def refold(made: Scratch) -> Outcome:
    outcome = made.tracker.refold(sorted(made.tracker.state.declared), made.heard)
    made.tracker.committed()
    assert not outcome.faults, outcome.faults
    return outcome


@given(story=stories(), cuts=st.lists(st.integers(0, 30), max_size=3))
@settings(max_examples=100, deadline=None)
def test_what_stands_right_is_neither_written_nor_told_again(story: tuple[list[Event], list[Command]], cuts: list[int]) -> None:
    told, commands = story
    live = play([*reads(*commands), *reads(*told)], sorted(cuts))
    outcome = refold(scratch(told, commands, published(live), ticks(END, load=True)))
    assert (outcome.journeys, outcome.changes) == ([], [])


@given(story=stories(), wrong=st.sampled_from(["milestones", "exceptions", "statements", "references", "gone"]))
@settings(max_examples=100, deadline=None)
def test_what_stands_wrong_becomes_what_a_first_pass_gives_above_the_old_versions(
    story: tuple[list[Event], list[Command]], wrong: str
) -> None:
    told, commands = story
    live = play([*reads(*commands), *reads(*told)], [])
    old = published(live)
    for name, journey in old.journeys.items():
        falsified: dict[str, Any] = {} if wrong == "gone" else {wrong: ()}
        old.journeys[name] = msgspec.structs.replace(journey, version=10**15, vessel="WRONG", **falsified)
    if wrong == "gone":
        old.journeys.clear()
    made = scratch(told, commands, old, ticks(END, load=True))
    outcome = refold(made)
    assert journeys(made.tracker) == journeys(live)
    assert {change.cause for change in outcome.changes} <= {"refold"}
    assert all(record.version > 10**15 for record in outcome.journeys if isinstance(record, Journey) and wrong != "gone")


def test_a_registration_that_was_judged_wrongly_is_judged_again() -> None:
    commands = [register(refs=(BOX,)), command("link", reference=Ref("booking", "BK777"), if_match=1)]
    live = play(reads(*commands), [])
    old = published(live)
    (name,) = old.journeys
    old.journeys[name] = msgspec.structs.replace(old.journeys[name], linked=(), declared_version=1)
    made = scratch([], commands, old, ticks(END, load=True))
    refold(made)
    journey = made.tracker.state.journey(name)
    assert journey is not None and (journey.declared_version, journey.linked) == (2, (Ref("booking", "BK777"),))


def test_what_was_closed_long_ago_stays_closed() -> None:
    delivered = event("delivered", at(20), BOX, sender="HBRT")
    commands = [register(refs=(BOX,), plan={"delivered": at(19)}), command("cancel", received_at=at(30))]
    live = tracker()
    tell(live, *commands, delivered, now=at(31))
    assert feed(live, ticks(at(500), load=True)).closed == ["LACDHS-1"]
    noted = scratch([delivered], commands, published(live), ticks(at(500), load=True))
    assert refold(noted).changes == []
    forgotten = scratch([delivered], commands, Published(), ticks(at(1500), load=True))
    outcome = refold(forgotten)
    assert (outcome.closed, [r for r in outcome.journeys if isinstance(r, Journey)]) == ([], [])


@pytest.mark.parametrize(
    "clock", [Clock(consignment="clock:0", version=1, shards=2), Clock(consignment="clock:0", version=1, shards=1, moving_to=2)]
)
def test_a_tracker_does_not_start_on_journeys_laid_out_for_another_number_of_shards(clock: Clock) -> None:
    subject = tracker()
    subject.restore("clock:0", encode(clock))
    with pytest.raises(WrongLayout, match="lovla refold --shards"):
        subject.restored()


def test_of_an_older_layout_that_is_not_compacted_away_only_the_last_word_counts() -> None:
    subject = tracker()
    for clock in (
        Clock(consignment="clock:0", version=1, shards=2),
        Clock(consignment="clock:0", version=2, shards=2, moving_to=1),
        Clock(consignment="clock:0", version=3, shards=1),
    ):
        subject.restore("clock:0", encode(clock))
    subject.restored()


def test_a_note_of_a_closed_consignment_stays_with_its_shard() -> None:
    for shards in (1, 2, 3, 7):
        assert shard_of_key("closed:LACDHS-1", shards) == shard_of_key("LACDHS-1", shards)
    assert {shard_of_key("feed:MAEU", shards) for shards in (1, 2, 3)} == {0}
