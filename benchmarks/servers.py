"""The servers that are measured on: Kafka and ClickHouse of the local stack with their ordinary settings, and our services
as processes beside them. All of it lies in one folder and ends with the `with` block."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # its stubs import it without exporting it
from confluent_kafka.cimpl import NewTopic
from cryptography.fernet import Fernet

from benchmarks.harness import until
from benchmarks.load import FACILITIES, SENDERS, Raw
from deploy.local import environment, part, process, topics
from deploy.local.clickhouse import ClickHouseServer, Passwords
from deploy.local.kafka import KafkaServer
from deploy.local.process import Running
from deploy.local.services import SERVICES, ServicePart
from schemas.registers_v1 import Facility, Sender
from schemas.topics import TOPICS
from services.ingest import registers
from services.runtime import kafka
from services.runtime.clickhouse import ClickHouse, connect
from services.runtime.settings import Settings
from services.sink import migrate

READY_S = 120
HEAP_MB = 1024
SHARED_LOG = {"message.timestamp.type": "LogAppendTime"}
"""Given to topics whose records' times are the measure: the broker then says when it had each."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One record of a topic that was read back. `at`: when the broker had it (seconds since the epoch)."""

    at: float
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Broker:
    """One that runs already, whose topics are nobody's any more."""

    server: KafkaServer
    running: Running


class Servers:
    """Kafka (and ClickHouse when first asked for), topics and registers declared. `broker`: one to use, emptied first, by
    tests of correctness; what is measured is measured on one of our own."""

    def __init__(self, folder: Path, shards: int = 1, broker: Broker | None = None) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self._shards = shards
        self._running: dict[str, Running] = {}
        self._more: dict[str, str] = {}
        self._clients = ExitStack()
        self._clickhouse: ClickHouseServer | None = None
        self._given = broker
        if broker is None:
            broker_port, controller_port = process.free_ports(2)
            self._broker = KafkaServer(folder / "kafka", broker_port, controller_port, heap_mb=HEAP_MB)
        else:
            self._broker = broker.server

    def __enter__(self) -> Servers:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if self._given is None:
            self._start(self._broker)
        self._write_environment()
        self._admin = self._clients.enter_context(kafka.admin(self.bootstrap))
        if self._given is not None:
            self._running[self._broker.name] = self._given.running
            self.delete(name for name in self.topics() if not name.startswith("__"))
        topics.declare(self._broker.bootstrap, self._shards)
        return self

    def __exit__(self, *_: object) -> None:
        self._clients.close()  # while there still is a broker
        for running in reversed(self._running.values()):
            if self._given is None or running is not self._given.running:
                process.stop(running, grace_s=30)
        for name in ("kafka", "clickhouse", "state"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    # -- what runs ---------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        return Settings.load(self.state_dir)

    def tell(self, more: Mapping[str, str]) -> None:
        """Further settings, for what is started from now on."""
        self._more |= more
        self._write_environment()

    @property
    def pids(self) -> dict[str, int]:
        """Of the servers and of what `service` started, by name."""
        return {name: running.pid for name, running in self._running.items()}

    def with_clickhouse(self) -> ClickHouse:
        """Starts ClickHouse and applies the migrations at the first call; a connection as self._admin."""
        if self._clickhouse is None:
            port, http_port = process.free_ports(2)
            passwords = Passwords(*(secrets.token_urlsafe(16) for _ in range(3)))
            self._clickhouse = ClickHouseServer(self.folder / "clickhouse", port, http_port, passwords)
            self._start(self._clickhouse)
            self._write_environment()
            migrate.apply(self.settings)
        return connect(self.settings, "admin", timeout_s=120)

    @contextmanager
    def service(self, name: str, told: Mapping[str, str] | None = None, ready: bool = True) -> Iterator[int]:
        """One of our services as a process, until the block ends. Gives its pid."""
        service = next(one for one in SERVICES if one.name == name)
        (port,) = process.free_ports(1)
        if service.own_door:
            port = int(environment.read(self.state_dir)[service.port_setting])
        started = _Told(ServicePart(service, self.state_dir, port, environment.read(self.state_dir)), dict(told or {}))
        running = part.launch(started)
        self._running[name] = running
        try:
            if ready:
                part.await_ready(started, running, READY_S)
            yield running.pid
        finally:
            process.stop(running, grace_s=20)
            del self._running[name]

    def register(
        self, senders: Iterable[Sender] = SENDERS, facilities: Iterable[Facility] = FACILITIES, more: Iterable[Any] = ()
    ) -> None:
        """Writes the registers."""
        entries = [registers.sender_entry(one) for one in senders] + [registers.facility_entry(one) for one in facilities]
        registers.write(self.settings, [*entries, *(registers.account_entry(one) for one in more)], timeout_s=60)

    def _start(self, server: part.Part) -> None:
        running = part.launch(server)
        self._running[server.name] = running
        part.await_ready(server, running, READY_S)

    def _write_environment(self) -> None:
        known = environment.read(self.state_dir)
        told = {
            "LOVLA_KAFKA": self._broker.bootstrap,
            "LOVLA_API_PORT": known.get("LOVLA_API_PORT") or str(process.free_ports(1)[0]),
            "LOVLA_SECRET_KEY": known.get("LOVLA_SECRET_KEY") or Fernet.generate_key().decode(),
            "LOVLA_SHARDS": str(self._shards),
            "LOVLA_TICK_S": "1",
        }
        if self._clickhouse is not None:
            passwords = self._clickhouse.passwords
            told |= {
                "LOVLA_CLICKHOUSE_PORT": str(self._clickhouse.tcp_port),
                "LOVLA_CLICKHOUSE_HTTP_PORT": str(self._clickhouse.http_port),
                "LOVLA_CLICKHOUSE_WRITER_PASSWORD": passwords.writer,
                "LOVLA_CLICKHOUSE_READER_PASSWORD": passwords.reader,
                "LOVLA_CLICKHOUSE_ADMIN_PASSWORD": passwords.admin,
            }
        environment.write(self.state_dir, told | self._more)

    # -- topics ------------------------------------------------------------------------------------------------------

    @property
    def bootstrap(self) -> str:
        return self._broker.bootstrap

    def create(self, partitions: Mapping[str, int], config: Mapping[str, str] | None = None) -> None:
        """Topics of our own, beside the project's."""
        new = [NewTopic(name, n, replication_factor=1, config=dict(config or {})) for name, n in partitions.items()]
        for future in self._admin.create_topics(new).values():
            future.result(30)

    def renew(self, names: Iterable[str], groups: Iterable[str] = ()) -> None:
        """Deletes topics of the project and declares them again, empty; forgets what these groups committed."""
        self.delete(names)
        for group in groups:
            until(partial(self._forgotten, group), f"group {group} deleted", 60)
        until(lambda: _declared(self.bootstrap, self._shards), "topics declared again", 30)

    def _forgotten(self, group: str) -> bool:
        """Deletes a group; false while it cannot be (it still has a member, or its coordinator is just starting)."""
        try:
            self._admin.delete_consumer_groups([group], request_timeout=5)[group].result(6)
        except KafkaException as error:
            return bool(error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND)
        except TimeoutError:
            return False
        return True

    def delete(self, names: Iterable[str]) -> None:
        gone = set(names)
        for future in self._admin.delete_topics(sorted(gone), operation_timeout=30).values() if gone else ():
            try:
                future.result(60)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
        until(lambda: not gone & set(self.topics()), "topics deleted", 60)

    def timed(self, names: Iterable[str]) -> None:
        """The broker notes when it had each record of these topics."""
        from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs import these without exporting them
            AlterConfigOpType,
            ConfigEntry,
            ConfigResource,
            ResourceType,
        )

        entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in SHARED_LOG.items()]
        wanted = [ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries) for name in names]
        for future in self._admin.incremental_alter_configs(wanted).values():
            future.result(30)

    def fill(self, records: Iterable[tuple[str, Raw]]) -> None:
        """Writes (topic, record) in this order; returns when the broker has all."""
        producer = kafka.producer(self.settings, "bench")
        for count, (topic, record) in enumerate(records):
            place = -1 if record.partition is None else record.partition
            while True:
                try:
                    producer.produce(topic, record.value, record.key, place, headers=list(record.headers))
                    break
                except BufferError:
                    producer.poll(0.1)
            if count % 1_000 == 0:
                producer.poll(0)
        if left := producer.flush(120):
            raise TimeoutError(f"{left} records were not taken within 120 s")

    def forget(self, name: str) -> None:
        """Removes what a service keeps in the state folder."""
        shutil.rmtree(self.state_dir / name, ignore_errors=True)

    def topics(self) -> list[str]:
        """All that the broker has."""
        return sorted(self._admin.list_topics(timeout=10).topics)

    def ends(self, topic: str) -> dict[int, int]:
        """The high watermarks; asked again while a topic just made has no leader yet."""
        for _ in range(50):
            try:
                return self._ends(topic)
            except KafkaException:
                time.sleep(0.1)
        return self._ends(topic)

    def _ends(self, topic: str) -> dict[int, int]:
        places = [TopicPartition(topic, n) for n in self._admin.list_topics(topic, timeout=10).topics[topic].partitions]
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # its stubs leave it so
        found = self._admin.list_offsets(dict.fromkeys(places, latest))
        return {place.partition: future.result(10).offset for place, future in found.items()}

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """What a group committed, by partition."""
        places = [(topic, number) for number in self._admin.list_topics(topic, timeout=10).topics[topic].partitions]
        return {number: offset for (_, number), offset in kafka.committed(self.bootstrap, group, places).items()}

    def commit(self, group: str, names: Iterable[str]) -> None:
        """Says that a group, none of which runs, has read these topics to their ends."""
        client = kafka.consumer(self.settings, "bench", group)
        ends = [TopicPartition(name, number, end) for name in names for number, end in self.ends(name).items()]
        client.commit(offsets=ends, asynchronous=False)
        client.close()

    def caught_up(self, group: str, topic: str) -> bool:
        """Whether a group has committed up to the end of a topic, or of all its partitions that hold anything."""
        done = self.committed(group, topic)
        return all(done.get(partition, 0) >= end for partition, end in self.ends(topic).items())

    def quiet(self, names: Sequence[str], for_s: float, within_s: float) -> None:
        """Returns once none of these topics has grown for so long."""
        deadline = time.monotonic() + within_s
        last, since = None, time.monotonic()
        while time.monotonic() < deadline:
            now = [self.ends(name) for name in names]
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since >= for_s:
                return
            time.sleep(0.2)
        raise TimeoutError(f"{', '.join(names)} still grow after {within_s:.0f} s")

    def read(self, topic: str, since: float = 0.0) -> Iterator[Seen]:
        """All committed records (from a moment on: seconds since the epoch), in the order of each partition."""
        consumer = Consumer(
            kafka.consumer_config(self.settings, "bench-reader", "bench-reader") | {"enable.partition.eof": True}
        )
        ends = self.ends(topic)
        places = [TopicPartition(topic, n, int(since * 1000)) for n in ends]
        consumer.assign(consumer.offsets_for_times(places, timeout=30) if since else places)
        open_ones = set(ends)
        try:
            while open_ones:
                for message in consumer.consume(10_000, 1.0):
                    error = message.error()
                    if error is not None:
                        if error.code() == KafkaError._PARTITION_EOF:
                            open_ones.discard(message.partition() or 0)
                            continue
                        raise KafkaException(error)
                    yield Seen(message.timestamp()[1] / 1000, message.key() or b"", message.value() or b"")
        finally:
            consumer.close()


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """A service's part with more in its environment."""

    inner: ServicePart
    more: Mapping[str, str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def env(self) -> dict[str, str]:
        return self.inner.env() | dict(self.more)


def _declared(bootstrap: str, shards: int) -> bool:
    """Declares the topics; false while the broker still has what was deleted."""
    found = topics.declare(bootstrap, shards)
    return len(found) == len(TOPICS)


def now() -> datetime:
    """The machine's own time."""
    return datetime.now(UTC)


__all__ = ["Seen", "Servers", "now"]
