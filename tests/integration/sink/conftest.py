"""Servers of their own for the sink's tests: they compare whole topics with whole tables, and write rubbish into both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.runtime.settings import Settings
from tests import stack as stacks
from tests.stack import ClickHouse, Kafka, Stack


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    servers = Stack(stacks.environ())
    yield servers
    servers.close()


@pytest.fixture(scope="package")
def kafka(stack: Stack) -> Kafka:
    return stack.kafka()


@pytest.fixture(scope="package")
def clickhouse(stack: Stack) -> ClickHouse:
    return stack.clickhouse()


@pytest.fixture(scope="package")
def settings(stack: Stack) -> Settings:
    return stacks.settings_for(stack)
