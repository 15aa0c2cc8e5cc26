"""EDIFACT: grammar, envelopes and messages, against what the standard says."""

from __future__ import annotations

import pytest

from tests.unit.readers.helpers import FIXTURES, context_at, expected, read_text, told

MESSAGES = ("edifact_iftsta", "edifact_coarri", "edifact_codeco")


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_gives_exactly_the_events_that_it_says(name: str) -> None:
    hoped = expected(name)
    reading = read_text((FIXTURES / f"{name}.edi").read_bytes(), context_at(hoped["received_at"], hoped["sender"]))

    assert reading.standard == hoped["standard"]
    got = told(reading)
    for one, two in zip(got, hoped["verdicts"], strict=False):
        assert one == two
    assert len(got) == len(hoped["verdicts"])
    assert [warning.model_dump() for warning in reading.warnings] == hoped.get("warnings", [])
