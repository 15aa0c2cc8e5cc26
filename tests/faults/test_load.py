"""The load's own word must be good: unlike ids, valid containers, the same bytes from the same seed."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from stdnum.iso6346 import is_valid

from tests.faults.load import BATCH, UNITS, Drawing, container

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_same_seed_draws_the_same_bytes_and_another_seed_others() -> None:
    first, again, other = (Drawing(seed, START) for seed in (1, 1, 2))
    bodies = [request.body for request in first.wave()[1]]
    assert bodies == [request.body for request in again.wave()[1]]
    assert bodies != [request.body for request in other.wave()[1]]


def test_every_statement_of_every_journey_is_pushed_under_an_id_of_its_own() -> None:
    drawing = Drawing(1, START)
    journeys, requests = [], []
    for _ in range(3):
        more, asked = drawing.wave()
        journeys += more
        requests += asked
    expected = {j.ident(step, unit) for j in journeys for step in range(len(j.steps)) for unit in range(UNITS)}
    said = [ident for request in requests if request.kind == "events" for ident in request.ids]
    assert set(said) == expected
    assert len(said) > len(expected), "some of it is said twice"
    registered = [name for request in requests if request.kind == "registration" for name in request.ids]
    assert sorted(registered) == sorted(journey.name for journey in journeys)
    assert all(len(request.ids) <= BATCH for request in requests if request.kind == "events")
    assert all(len(json.loads(request.body)) == len(request.ids) for request in requests if request.kind != "unreadable")
    assert {journey.story for journey in journeys} == {"plain", "late", "stuck"}


@pytest.mark.parametrize("serial", [0, 7, 123, 999_999, 1_000_000, 5_432_109])
def test_containers_have_their_check_digit(serial: int) -> None:
    assert is_valid(container(serial))


def test_a_waiting_journey_arrived_before_its_deadline_should_it_be_told() -> None:
    journey = Drawing(1, START).journey("waiting", START, settled=True)
    assert journey.arrived < START == journey.overdue_from
