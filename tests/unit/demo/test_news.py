"""The news at the end of the demo: each opens exactly what it is meant to, and the simulator does not talk over it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from demo import world
from demo.build import Demo, build
from demo.messages import speak
from demo.news import News, Scene, found
from demo.scenario import fact_of
from demo.truth import evaluate

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def demo() -> Demo:
    return build(1, 60, NOW)


@pytest.fixture(scope="module")
def scene(demo: Demo) -> Scene:
    scene = found(demo.scenario)
    assert scene is not None, "the size that the end-to-end test runs must have news"
    return scene


def opened(news: News, later: timedelta) -> list[set[str]]:
    """What news opens for each of its consignments, by the truth, some time after it was said."""
    said = news.at(NOW + timedelta(minutes=3))
    keys = []
    for one, told in zip(news.consignments, said, strict=True):
        before = replace(one.case, facts=tuple(fact for fact in one.case.facts if fact.known_at <= NOW))
        after = replace(before, facts=(*before.facts, fact_of(told)))
        keys.append({f.key for f in evaluate(after, NOW + later)} - {f.key for f in evaluate(before, NOW + later)})
    return keys


@pytest.mark.parametrize("minutes", [4, 50])
def test_news_opens_what_it_says_and_nothing_else(scene: Scene, minutes: int) -> None:
    later = timedelta(minutes=minutes)
    assert opened(scene.slip, later) == [{"will_be_late:arrived"}] * len(scene.slip.consignments)
    assert opened(scene.hold, later) == [{"on_hold:customs"}]
    assert opened(scene.released, later) == opened(scene.released_later, later) == [set()]


def test_news_is_about_consignments_of_which_nothing_is_wrong_and_each_but_once(scene: Scene) -> None:
    said = [one for news in (scene.slip, scene.hold, scene.released, scene.released_later) for one in news.consignments]
    assert len(said) == len(scene.names) == len({one.name for one in said})
    assert all(f.end is not None for one in said for f in one.expected)


def test_news_is_said_by_the_consignments_own_carrier_and_not_before_it_happened(scene: Scene) -> None:
    for news in (scene.slip, scene.hold, scene.released, scene.released_later):
        for one, told in zip(news.consignments, news.at(NOW), strict=True):
            assert told.sender == one.declaration.parties["carrier"]
            assert told.sender in world.OCEAN
            assert told.classifier == "estimated" or told.at <= told.known_at
    bodies = [message.body for message in speak(scene.slip.at(NOW), NOW)]
    assert bodies


def test_too_small_a_demo_has_no_news() -> None:
    assert found(build(2, 6, NOW).scenario) is None
