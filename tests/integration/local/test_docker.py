"""The Docker provider gives the same servers, where there is an engine."""

from __future__ import annotations

import pytest
from clickhouse_driver import Client

from deploy.local import topics
from tests.containers import engine_error
from tests.stack import Stack, missing

pytestmark = pytest.mark.docker


@pytest.mark.timeout(600)  # a first run pulls two images
def test_containers_serve_topics_and_users() -> None:
    environ = {"LOVLA_PROVIDER": "docker"}
    reason = engine_error()
    if reason is not None:
        missing("docker", reason, environ)
    stack = Stack(environ)
    try:
        assert {done.outcome for done in topics.declare(stack.kafka().bootstrap, shards=1)} == {"created"}
        clickhouse = stack.clickhouse()
        with Client(clickhouse.host, port=clickhouse.port, user="reader", password=clickhouse.passwords.reader) as client:
            assert client.execute("SELECT 1") == [(1,)]
    finally:
        stack.close()
