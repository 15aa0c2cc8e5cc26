"""The door and the readers stage as real processes over the real broker."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from cryptography.fernet import Fernet
from typer.testing import CliRunner, Result

from deploy.local import environment, topics
from deploy.local.process import free_ports
from schemas.registers_v1 import Account, Sender
from schemas.words import Scope
from services.ingest import cli, dead_letters_cli
from services.ingest.keys import make_key
from services.ingest.registers import account_entry, sender_entry, write
from services.runtime.settings import Settings
from tests import forks
from tests.stack import Kafka
from tests.waiting import HANG_S, eventually

Lovla = Callable[..., Result]


class Process:
    """A service of ours; `log` holds what it says."""

    def __init__(self, module: str, settings: Settings, log: Path, **env: str) -> None:
        self.log = log
        with log.open("ab") as out:
            self._popen = forks.popen(
                [sys.executable, "-m", module],
                env={**os.environ, "LOVLA_STATE_DIR": str(settings.state_dir), **env},
                stdout=out,
                stderr=out,
            )

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def kill(self) -> None:
        """kill -9."""
        self._popen.kill()
        self._popen.wait()

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        self._popen.terminate()
        return self._popen.wait(HANG_S)


class Api(Process):
    """The door."""

    def __init__(self, settings: Settings, folder: Path, **env: str) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__("services.ingest.api", settings, folder / "api.log", LOVLA_API_PORT=str(self.port), **env)

    def ready(self) -> bool:
        assert self.running, self.log.read_text()
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(self.url + "/readyz", trust_env=False).status_code == 200
        return False


def add_sender(settings: Settings, code: str, kind: str, *scopes: Scope) -> tuple[dict[str, str], Account]:
    """Register a sender with a key; the headers that carry it, and the account."""
    key, account = make_key(code, scopes, datetime.now(UTC))
    sender = Sender.model_validate({"code": code, "kind": kind, "name": code})
    write(settings, [sender_entry(sender), account_entry(account)])
    return {"Authorization": f"Bearer {key}"}, account


@pytest.fixture(scope="session")
def settings(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings over the broker alone: the way in needs no ClickHouse."""
    state_dir = tmp_path_factory.mktemp("state")
    told = {"LOVLA_KAFKA": kafka.bootstrap, "LOVLA_SECRET_KEY": Fernet.generate_key().decode(), "LOVLA_TICK_S": "0.5"}
    environment.write(state_dir, told)
    topics.declare(kafka.bootstrap, shards=1)
    return Settings.load(state_dir)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ingest")


@pytest.fixture(scope="module")
def api(settings: Settings, folder: Path) -> Iterator[Api]:
    door = Api(settings, folder)
    try:
        eventually(door.ready)
        yield door
    finally:
        door.stop()


@pytest.fixture
def readers(settings: Settings, folder: Path) -> Iterator[Process]:
    stage = Process("services.ingest.readers_stage", settings, folder / "readers.log")
    try:
        yield stage
    finally:
        if stage.running:
            stage.stop()


@pytest.fixture
def lovla(api: Api, settings: Settings) -> Lovla:
    """The verbs, as a person types them at the door."""
    app = typer.Typer()
    cli.register(app)
    dead_letters_cli.register(app)
    env = {"LOVLA_STATE_DIR": str(settings.state_dir), "LOVLA_API_PORT": str(api.port)}

    def run(*words: str | Path) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words], env=env)

    return run


def said(result: Result) -> list[dict[str, Any]]:
    """The objects that a verb that went well printed."""
    assert result.exit_code == 0, result.output + result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]
