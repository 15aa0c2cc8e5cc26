"""See seeds.py."""

from tests.simulation.seeds import quarter

test_nothing_is_lost_doubled_or_false_in_any_world = quarter(0)
