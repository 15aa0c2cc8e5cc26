"""`lovla up`, `down`, `status`: real servers, killed and mended."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from confluent_kafka import Consumer, Producer, TopicPartition
from typer.testing import CliRunner, Result

from deploy.local import cli, environment, part
from deploy.local.process import Running, free_ports, gone
from deploy.local.services import SERVICES, Service
from deploy.local.stack import Stack
from schemas.topics import RAW_MESSAGES
from services.runtime import kafka
from services.runtime.kafka import end_offset
from services.runtime.settings import Settings
from tests import forks
from tests.stack import ROOT
from tests.stack import Stack as Session

SERVERS = ["--only", "kafka,clickhouse"]
ASKS = """
import sys, uuid
from confluent_kafka import KafkaException
from services.runtime import kafka
told = 0
while told < 20:
    try:
        told += kafka.committed(sys.argv[1], uuid.uuid4().hex, [("__consumer_offsets", 0)], 2) == {}
    except KafkaException as error:
        assert error.args[0].retriable() or error.args[0].name() in ("NOT_COORDINATOR", "_TIMED_OUT"), error
"""


class Lovla:
    """The command, for one state folder."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.app = typer.Typer()
        cli.register(self.app)

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(self.app, [*arguments, "--state-dir", str(self.state_dir)])

    def done(self, *arguments: str) -> str:
        result = self(*arguments)
        assert result.exit_code == 0, f"{result.stderr} {result.exception!r}"
        return result.stdout

    def state(self, name: str) -> str:
        parts = json.loads(self("status", "--json").stdout)["parts"]
        return str(next(part["state"] for part in parts if part["name"] == name))

    def running(self, name: str) -> Running:
        found = Running.load(self.pidfile(name))
        assert found is not None
        return found

    def pidfile(self, name: str) -> Path:
        return self.state_dir / "run" / f"{name}.json"

    def kill(self, name: str) -> None:
        running = self.running(name)
        os.kill(running.pid, signal.SIGKILL)
        assert gone(running, 20)


@pytest.fixture(scope="module")
def folder(stack: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder whose servers end with the module."""
    state_dir = tmp_path_factory.mktemp("stack") / "state"
    yield state_dir
    Stack(state_dir).down()


@pytest.fixture
def lovla(folder: Path, stack: Session) -> Lovla:
    """The command, with both servers running."""
    return started(folder, stack, "kafka", "clickhouse")


def started(folder: Path, stack: Session, *names: str) -> Lovla:
    """The command, with these servers running."""
    command = Lovla(folder)
    command.done("up", "--only", ",".join(names))
    for name in names:
        stack.watch(command.running(name))
    return command


def produce(bootstrap: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(RAW_MESSAGES.name, value=value, partition=3)
    assert producer.flush(30) == 0


def last(bootstrap: str) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reading-back"})
    try:
        end = end_offset(Settings(kafka=bootstrap), RAW_MESSAGES.name, 3, timeout_s=20)
        consumer.assign([TopicPartition(RAW_MESSAGES.name, 3, end - 1)])
        message = consumer.poll(20)
        assert message is not None
        value = message.value()
        assert value is None or isinstance(value, bytes)
        return value
    finally:
        consumer.close()


@pytest.mark.stack
def test_a_broker_that_has_no_coordinators_yet_ends_nobody_who_asks_where_a_group_stands(folder: Path, stack: Session) -> None:
    """A process could end by it (services/runtime/kafka.py, `committed`). The first test here: `up` makes a broker for it."""
    started(folder, stack, "kafka")
    bootstrap = environment.read(folder)["LOVLA_KAFKA"]
    with kafka.admin(bootstrap) as admin:
        assert "__consumer_offsets" not in admin.list_topics(timeout=20).topics, "somebody has used a group already"
    asking = [forks.popen([sys.executable, "-c", ASKS, bootstrap], cwd=ROOT) for _ in range(4)]
    assert [process.wait(60) for process in asking] == [0, 0, 0, 0]


@pytest.mark.stack
def test_up_again_starts_nothing(lovla: Lovla) -> None:
    before = lovla.running("kafka"), lovla.running("clickhouse")
    assert "everything was running already" in lovla.done("up", *SERVERS)
    assert (lovla.running("kafka"), lovla.running("clickhouse")) == before
    assert stat.S_IMODE((lovla.state_dir / environment.NAME).stat().st_mode) == 0o600


@pytest.mark.stack
@pytest.mark.parametrize("name", ["kafka", "clickhouse"])
def test_who_was_killed_is_named_and_up_mends_it_with_its_data(lovla: Lovla, name: str) -> None:
    bootstrap = environment.read(lovla.state_dir)["LOVLA_KAFKA"]
    produce(bootstrap, b"before the kill")
    lovla.kill(name)
    told = lovla("status")
    assert told.exit_code == 1
    assert f"{name} died: see " in told.stdout
    assert lovla.state(name) == "died"
    assert f"started {name};" in lovla.done("up", *SERVERS)
    assert lovla.state(name) == "running"
    assert last(bootstrap) == b"before the kill"


@pytest.mark.stack
def test_a_stale_pid_file_never_costs_a_stranger_its_life(lovla: Lovla) -> None:
    lovla.done("down", "--only", "clickhouse")
    me = os.getpid()
    Running(pid=me, started=1.0, argv=("python", "clickhouse_server.py")).save(lovla.pidfile("clickhouse"))
    assert lovla.state("clickhouse") == "died"
    assert "nothing was running." in lovla.done("down", "--only", "clickhouse")
    assert not lovla.pidfile("clickhouse").exists()


@pytest.mark.stack
def test_a_taken_port_is_named_with_its_holder_and_another_can_be_chosen(folder: Path, stack: Session) -> None:
    lovla = started(folder, stack, "kafka")  # ClickHouse need not be started to be stopped
    port = int(environment.read(lovla.state_dir)["LOVLA_CLICKHOUSE_PORT"])
    lovla.done("down", "--only", "clickhouse")
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        holder.listen()
        refused = lovla("up", *SERVERS)
        assert refused.exit_code == 1
        assert f"port {port}, which clickhouse wants, is taken by pid {os.getpid()}" in refused.stderr
        assert "lovla up --port clickhouse=PORT" in refused.stderr
        assert f"taken by pid {os.getpid()}" in "".join(
            finding["found"]
            for finding in map(json.loads, lovla("doctor", "--json").stdout.splitlines())
            if finding["what"] == "clickhouse"
        )
        other = free_ports(1)[0]
        lovla.done("up", *SERVERS, "--port", f"clickhouse={other}")
        stack.watch(lovla.running("clickhouse"))
    assert environment.read(lovla.state_dir)["LOVLA_CLICKHOUSE_PORT"] == str(other)
    assert lovla.state("clickhouse") == "running"


@pytest.mark.stack
def test_a_port_is_not_changed_under_a_running_server(lovla: Lovla) -> None:
    refused = lovla("up", *SERVERS, "--port", f"kafka={free_ports(1)[0]}")
    assert refused.exit_code == 1
    assert "kafka already runs on another port: run `lovla down --only kafka` first" in refused.stderr


@pytest.mark.stack
def test_settings_that_are_gone_while_servers_run_are_not_made_anew(lovla: Lovla) -> None:
    file = lovla.state_dir / environment.NAME
    kept = file.read_text()
    file.unlink()
    refused = lovla("up", *SERVERS)
    environment.write(lovla.state_dir, dict(line.split("=", 1) for line in kept.splitlines() if not line.startswith("#")))
    assert refused.exit_code == 1
    assert "is gone while clickhouse, kafka still run" in refused.stderr


@pytest.mark.stack
def test_a_server_that_dies_while_starting_fails_at_once_with_its_last_words(lovla: Lovla) -> None:
    lovla.done("down", "--only", "kafka")
    meta = lovla.state_dir / "kafka" / "data" / "meta.properties"
    kept = meta.read_text()
    meta.write_text(kept.replace("node.id=1", "node.id=7"))
    refused = lovla("up", *SERVERS)
    meta.write_text(kept)
    assert refused.exit_code == 1
    assert "kafka ended while starting; its log (" in refused.stderr
    assert "node" in refused.stderr.split("ends with:")[1]
    assert lovla.state("kafka") == "died"
    lovla.done("up", *SERVERS)


def test_two_at_once_are_refused_naming_the_first(tmp_path: Path) -> None:
    command = Lovla(tmp_path)
    with (tmp_path / "up.lock").open("w") as lock:
        lock.write("up 4242")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        for verb in ("up", "down"):
            refused = command(verb)
            assert refused.exit_code == 1
            assert f"`lovla up` (pid 4242) is at work on {tmp_path}" in refused.stderr
    command.done("down")  # the lock went with its holder


FAILING = Service("api", "tests.integration.local.no_such_service", "LOVLA_API_PORT", own_door=True)


@pytest.mark.stack
def test_a_service_that_dies_is_told_with_the_end_of_its_log(lovla: Lovla) -> None:
    from deploy.local.errors import StackError

    stack = Stack(lovla.state_dir, services=[FAILING])
    with pytest.raises(StackError, match=r"api ended while starting(.|\n)*No module named"):
        stack.up()
    assert {part.name: part.state for part in stack.status()} == {"clickhouse": "running", "kafka": "running", "api": "died"}
    stack.down(["api"])


@pytest.mark.stack
def test_every_service_that_was_killed_is_mended_down_stops_all_in_reverse_and_up_finds_what_there_was(
    lovla: Lovla, stack: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ports, passwords and data: `down` ends processes, and nothing else."""
    monkeypatch.setattr(part, "start", forks.start)  # eighteen of them; as users have it, tests/e2e starts them
    names = [service.name for service in SERVICES]
    lovla.done("up")
    for name in names:
        stack.watch(lovla.running(name))
        lovla.kill(name)
    states = {one["name"]: one["state"] for one in json.loads(lovla("status", "--json").stdout)["parts"]}
    assert [states[name] for name in names] == ["died"] * len(names)
    assert f"started {', '.join(names)};" in lovla.done("up")
    for name in names:
        stack.watch(lovla.running(name))
    status = json.loads(lovla.done("status", "--json"))
    assert {part["state"] for part in status["parts"]} == {"running"}
    told = environment.read(lovla.state_dir)
    produce(told["LOVLA_KAFKA"], b"before down")
    stopped = lovla("down")
    assert f"stopped {', '.join(reversed(names))}, kafka, clickhouse." in stopped.stdout
    assert "killed" not in stopped.stderr, "a part stops by itself when asked"
    states = {one["name"]: one["state"] for one in json.loads(lovla("status", "--json").stdout)["parts"]}
    assert set(states.values()) == {"stopped"} and states.keys() >= {"kafka", "clickhouse"}
    assert "nothing was running." in lovla.done("down")
    started(lovla.state_dir, stack, "kafka", "clickhouse")
    assert environment.read(lovla.state_dir) == told
    assert "unchanged" in lovla.done("topics")
    assert last(told["LOVLA_KAFKA"]) == b"before down"


@pytest.mark.stack
def test_what_nobody_wants_any_more_ends_at_once_and_leaves_no_folder(lovla: Lovla) -> None:
    servers = [lovla.running(name) for name in ("kafka", "clickhouse")]
    Stack(lovla.state_dir).discard()
    assert not any(server.alive() for server in servers)
    assert not lovla.state_dir.exists()


def test_nothing_in_the_repository_is_left_behind() -> None:
    assert not (ROOT / "up.lock").exists()


def test_a_full_disk_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.local.stack.LEAST_FREE_BYTES", 2**62)
    refused = Lovla(tmp_path)("up")
    assert refused.exit_code == 1
    assert "is full" in refused.stderr
    assert "make room, or choose another folder with --state-dir" in refused.stderr
    assert not (tmp_path / environment.NAME).exists()


def test_a_state_folder_that_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = Lovla(tmp_path / "file" / "state")("up")
    assert refused.exit_code == 1
    assert "cannot write to the state folder" in refused.stderr
