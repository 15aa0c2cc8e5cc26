"""The demo's scenario: repeatable, complete, and never near a limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from demo import world
from demo.build import Demo, build
from demo.scenario import AIR_STORIES, SEA_STORIES, WANTED, settled
from demo.truth import evaluate
from schemas.words import EXCEPTION_KINDS

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def demo() -> Demo:
    return build(1, 300, NOW)


def test_the_same_seed_gives_the_same_bytes() -> None:
    once, again, other = build(2, 80, NOW), build(2, 80, NOW), build(3, 80, NOW)
    assert again.messages == once.messages
    assert again.expected == once.expected
    assert other.messages != once.messages


def test_every_kind_of_exception_and_every_story_is_planted(demo: Demo) -> None:
    assert {f.kind for found in demo.expected.values() for f in found} == set(EXCEPTION_KINDS)
    assert {c.story for c in demo.scenario.consignments} >= {*SEA_STORIES, *AIR_STORIES}


def test_some_of_the_troubles_are_open_and_some_are_history(demo: Demo) -> None:
    found = [f for each in demo.expected.values() for f in each]
    assert sum(f.end is None for f in found) > 20
    assert sum(f.end is not None for f in found) > 20


def test_a_clean_story_plants_nothing_and_a_trouble_shows_itself(demo: Demo) -> None:
    for c in demo.scenario.consignments:
        kinds = {f.kind for f in c.expected}
        assert bool(kinds & set(WANTED.get(c.story, ()))) == (c.story in WANTED), c.name
        assert kinds == set() or c.story in WANTED


def test_the_truth_does_not_change_in_the_hour_of_the_check(demo: Demo) -> None:
    for c in demo.scenario.consignments:
        later = evaluate(c.case, NOW + timedelta(minutes=55))
        assert [(f.key, f.start) for f in later] == [(f.key, f.start) for f in c.expected], c.name


def test_no_exception_stands_twice_for_a_consignment(demo: Demo) -> None:
    for found in demo.expected.values():
        assert len({f.key for f in found}) == len(found)


def test_what_real_feeds_do_happens_too(demo: Demo) -> None:
    told = [t for c in demo.scenario.consignments for t in c.told]
    assert any(t.corrects for t in told), "corrected"
    assert any(t.leg and not t.off_route for t in told), "transshipped"
    assert any(len(t.consignments) == 2 for t in told), "a shared container"
    assert any(len(c.case.units) > 1 for c in demo.scenario.consignments), "split over containers"
    assert any(t.sender == world.STRANGER and t.known_at < NOW - timedelta(days=1) for t in demo.scenario.noise), "claims"
    assert any(t.ident.endswith("typo") for t in demo.scenario.noise), "bad check digits"
    containers = [r.value for c in demo.consignments for r in c.references if r.kind == "container"]
    learned = [c for c in demo.scenario.consignments if c.case.mode == "sea" and not c.declaration.packing]
    assert learned, "containers to be learned"
    assert len(set(containers)) < len(containers), "containers used again"
    bodies = [m.body for m in demo.messages if m.says]
    assert len(set(bodies)) < len(bodies), "repeated"
    assert demo.letters >= 3, "unreadable"


def test_a_used_container_comes_back_empty_long_before_its_next_journey(demo: Demo) -> None:
    journeys: dict[str, list[tuple[datetime, datetime]]] = {}
    for c in demo.scenario.consignments:
        for unit in c.case.units:
            ends = [t.at for t in c.told if t.container == unit and t.what == "empty_returned"]
            if ends:  # a second consignment in a shared container has no telling of its own; some are silent for good
                journeys.setdefault(unit, []).append((min(c.case.plan.values()), max(ends)))
    used_again = [sorted(spans) for spans in journeys.values() if len(spans) > 1]
    assert used_again
    for spans in used_again:
        for (_, returned), (begins, _) in pairwise(spans):
            assert begins - returned > timedelta(days=10)


def test_no_feed_is_silent_but_the_planted_one(demo: Demo) -> None:
    last: dict[str, datetime] = {}
    for message in demo.messages:
        last[message.sender] = max(message.received_at, last.get(message.sender, message.received_at))
    pushing = [*world.OCEAN, world.STRANGER, *world.TERMINALS, *world.AIRLINES, *world.TRUCKERS]
    assert all(NOW - last[code] < timedelta(hours=world.FEED_LIMIT_H - 2) for code in pushing)
    (found,) = demo.expected[f"feed:{world.SILENT_AIRLINE}"]
    assert found.start == last[world.SILENT_AIRLINE] + timedelta(hours=world.FEED_LIMIT_H)


def test_nothing_is_received_after_now_and_requests_are_few(demo: Demo) -> None:
    assert all(m.received_at <= NOW for m in demo.messages)
    assert all(len(m.says) <= 1000 for m in demo.messages)
    assert len(demo.messages) < 6000


def test_registers_fit_their_contracts_and_glns_have_the_demonstration_prefix(demo: Demo) -> None:
    hospitals = [f for f in demo.facilities if f.kind == "hospital"]
    assert len(hospitals) == 16
    for hospital in hospitals:
        assert hospital.gln is not None
        assert hospital.gln.startswith("952")
        digits = [int(d) for d in hospital.gln]
        assert (sum(digits[0:12:2]) + 3 * sum(digits[1:12:2]) + digits[12]) % 10 == 0
    assert {f.code for f in demo.facilities} >= {c.route.place_of_delivery for c in demo.consignments}
    assert {s.code for s in demo.senders} >= {code for c in demo.consignments for code in c.parties.values()}


def test_what_happens_at_the_end_of_a_leg_is_transshipment(demo: Demo) -> None:
    for c in demo.scenario.consignments:
        for told in c.told:
            if told.leg:
                assert settled(told) in ("transship_arrived", "transship_departed")


@pytest.mark.parametrize("now", [datetime(2026, 11, 1, 9, 30, tzinfo=UTC), datetime(2026, 3, 8, 11, tzinfo=UTC)])
def test_a_scenario_can_be_drawn_when_the_clocks_change(now: datetime) -> None:
    assert len(build(5, 80, now).consignments) >= 80
