"""The simulator that goes on live changes nothing of what is true."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from demo.build import build
from demo.live import _heartbeats, _repeated
from demo.scenario import fact_of
from demo.truth import evaluate
from demo.world import SILENT_AIRLINE

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def test_a_repeated_estimate_leaves_every_exception_as_it_is() -> None:
    scenario = build(1, 160, NOW).scenario
    named = {c.name: c for c in scenario.consignments}
    moment = NOW + timedelta(minutes=20)
    said = [told for n in range(60) if (told := _repeated(scenario, Random(n), moment, n)) is not None]
    assert len(said) > 30
    for told in said:
        assert told.known_at <= moment
        case = named[told.consignments[0]].case
        after = evaluate(replace(case, facts=(*case.facts, fact_of(told))), moment)
        assert after == evaluate(case, moment)


def test_every_pushing_sender_is_heard_but_the_silent_one() -> None:
    heard = {told.sender for told in _heartbeats(NOW, 1)}
    assert SILENT_AIRLINE not in heard
    assert len(heard) > 20
