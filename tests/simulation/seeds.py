"""The seeds as tests: four files of them, so that `make test` spreads them over its processes (it gives each a whole file)."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.simulation.run import simulate

SEEDS = 5_000
FILES = 4
BLOCK = 25
"""Seeds a test: well within the time-out of one on a machine that is busy otherwise."""


def quarter(number: int) -> Callable[[int], None]:
    """A test of every fourth block. LOVLA_SEEDS: how many in all; LOVLA_SEED: that one alone."""
    if (one := os.environ.get("LOVLA_SEED")) is not None:
        blocks = {int(one): 1} if number == 0 else {}
    else:
        seeds = int(os.environ.get("LOVLA_SEEDS", SEEDS))
        starts = range(0, seeds, BLOCK)[number::FILES]
        blocks = {start: min(BLOCK, seeds - start) for start in starts}

    @pytest.mark.parametrize("first", blocks)
    def test_nothing_is_lost_doubled_or_false_in_any_world(first: int) -> None:
        for seed in range(first, first + blocks[first]):
            simulate(seed)

    return test_nothing_is_lost_doubled_or_false_in_any_world
