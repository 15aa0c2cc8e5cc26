"""Servers in Docker, by testcontainers: the provider for those who have an engine and want the vendors' own images."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from deploy.local.clickhouse import ClickHouseServer, Passwords
from tests.stack import missing

KAFKA_IMAGE = "apache/kafka:4.3.1"
CLICKHOUSE_IMAGE = "clickhouse/clickhouse-server:26.9"


def engine_error() -> str | None:
    """None if a Docker engine answers, else why not."""
    from testcontainers.core.docker_client import DockerClient

    try:
        DockerClient(timeout=5).client.ping()
    except Exception as error:  # the engine's library has an error of its own for each way in which it is not there
        return f"no Docker engine runs ({str(error).splitlines()[0][:100]})"
    return None


def _need_engine(environ: Mapping[str, str]) -> None:
    reason = engine_error()
    if reason is not None:
        missing("docker", reason, environ)


def kafka(end: contextlib.ExitStack, environ: Mapping[str, str]) -> str:
    """Start a broker; returns its bootstrap address."""
    _need_engine(environ)
    from testcontainers.kafka import KafkaContainer

    container = KafkaContainer(KAFKA_IMAGE).with_kraft()
    end.enter_context(container)
    return str(container.get_bootstrap_server())


def clickhouse(end: contextlib.ExitStack, environ: Mapping[str, str], passwords: Passwords, directory: Path) -> tuple[int, int]:
    """Start a server with our users; returns its native and its HTTP port on this machine."""
    _need_engine(environ)
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    users = directory / "docker-users.xml"
    # inside a container connections come from the engine's bridge, and the server needs no passwordless bootstrap user
    text = ClickHouseServer(directory, 9000, 8123, passwords).users()
    users.write_text(text.replace("<ip>127.0.0.1</ip>", "<ip>::/0</ip>"), encoding="utf-8")
    users.chmod(0o644)
    container = (
        DockerContainer(CLICKHOUSE_IMAGE)
        .with_exposed_ports(9000, 8123)
        .with_volume_mapping(str(users), "/etc/clickhouse-server/users.xml", "ro")
        .waiting_for(LogMessageWaitStrategy("Ready for connections"))
    )
    end.enter_context(container)
    return int(container.get_exposed_port(9000)), int(container.get_exposed_port(8123))
