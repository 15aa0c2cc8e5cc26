"""Ten seconds (of CPU) of hostile messages for every reader; five minutes each and coverage-guided: `make fuzz`."""

from __future__ import annotations

import pytest

from tests.security import fuzz

SEED = 20_201_121
SECONDS = {reader: (2.0, 1.0) if reader in fuzz.FORMS else (6.0, 4.0) for reader in fuzz.READERS}
"""Damage and recombination of each; what forms hold is read by readers that have their own ten."""


@pytest.mark.parametrize("reader", fuzz.READERS)
def test_damaged_messages_of_a_standard_give_events_or_complaints(reader: str) -> None:
    events = fuzz.run(SEED, 0, 1_000_000, reader, seconds=SECONDS[reader][0])

    assert events > 20, "most of what it tries must still get past the first byte"


@pytest.mark.parametrize("reader", fuzz.READERS)
def test_a_standards_tokens_in_any_order_give_events_or_complaints(reader: str) -> None:
    assert fuzz.recombine(SEED, reader, seconds=SECONDS[reader][1]) >= (10 if reader in fuzz.FORMS else 50)


def test_no_fixture_is_left_out() -> None:
    known = {file for reader in fuzz.READERS for file in fuzz.fixtures_of(reader)}
    there = {file for file in fuzz.FOLDER.iterdir() if file.is_file() and not file.name.endswith(".expected.json")}

    assert known == there
