"""What tests of alerts share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stack import Stack, emptied


@pytest.fixture(scope="module")
def empty_kafka(stack: Stack) -> Iterator[str]:
    """The broker's address, with no records of other tests. A worker begins with all that is there: three thousand changes of a
    tracker's test, for ten subscribers of a sender's test to everything, kept it busy for minutes before it came to its own."""
    with emptied(stack, clickhouse=False) as found:
        yield found.kafka
