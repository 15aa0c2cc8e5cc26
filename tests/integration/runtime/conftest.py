"""Fixtures of the loop's tests: a bench with topics of its own on the session's broker."""

from __future__ import annotations

import pytest

from services.runtime.settings import Settings
from tests.integration.runtime.bench import Bench, new_bench
from tests.stack import Kafka


@pytest.fixture
def kafka_settings(kafka: Kafka) -> Settings:
    """Kafka alone is enough here; the classic protocol, whose session times are the client's own."""
    return Settings(kafka=kafka.bootstrap, group_protocol="classic")


@pytest.fixture
def broker(kafka: Kafka) -> Kafka:
    """The session's broker, where the name `kafka` is taken by our module."""
    return kafka


@pytest.fixture
def bench(kafka_settings: Settings) -> Bench:
    return new_bench(kafka_settings)
