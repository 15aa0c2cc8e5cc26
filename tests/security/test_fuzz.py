"""Damaged EDI, JSON and gzip, all standards in one: an event or a dead letter each, never a fault of ours, never slow.

Ten seconds a reader: test_fuzz_readers.py. Five minutes a reader: `make fuzz`.
"""

from __future__ import annotations

from tests.security import fuzz

SEED, COUNT = 20_200_412, 1_500


def test_whatever_the_damage_there_is_an_event_or_a_complaint() -> None:
    events = fuzz.run(SEED, 0, COUNT)
    assert events > COUNT // 10, "most of what it tries must still get past the first byte"


def test_an_iteration_can_be_found_again() -> None:
    messages = fuzz.corpus()
    assert fuzz.damaged(1, 17, messages) == fuzz.damaged(1, 17, messages)
    assert fuzz.damaged(1, 17, messages) != fuzz.damaged(1, 18, messages)
