"""Topics and tables of a module's own: the sink's tests compare whole topics with whole tables, and write rubbish into both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.runtime.settings import Settings
from tests import stack as stacks
from tests.stack import Stack


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Iterator[Settings]:
    with stacks.emptied(stack) as found:
        yield found
