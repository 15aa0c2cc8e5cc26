"""What the local servers are told: only this machine, no secret in clear, limits that hold."""

from __future__ import annotations

import stat
from pathlib import Path
from xml.etree import ElementTree

from deploy.local import environment, jars, topics
from deploy.local.clickhouse import ClickHouseServer, Passwords
from deploy.local.kafka import KafkaServer
from deploy.local.process import free_ports
from deploy.setup.install import LOCK, fingerprint, uv_requirement
from schemas.topics import JOURNEYS, RAW_MESSAGES

HERE = Path("/somewhere/state <&>")
CLICKHOUSE = ClickHouseServer(HERE, 21000, 21001, Passwords("writer's", "reader's", "admin's"))
KAFKA = KafkaServer(HERE, 21002, 21003)


def test_clickhouse_listens_on_loopback_only() -> None:
    config = ElementTree.fromstring(CLICKHOUSE.config())
    assert [element.text for element in config.findall("listen_host")] == ["127.0.0.1"]
    assert (config.findtext("tcp_port"), config.findtext("http_port")) == ("21000", "21001")


def test_clickhouse_users_have_hashed_passwords_and_come_from_here() -> None:
    users = ElementTree.fromstring(CLICKHOUSE.users()).find("users")
    assert users is not None
    assert {user.tag for user in users} == {"default", "admin", "writer", "reader"}
    for user in users:
        assert [ip.text for ip in user.findall("networks/ip")] == ["127.0.0.1"]
        assert user.find("password") is None
        assert (user.find("password_sha256_hex") is None) == (user.tag == "default")
    assert "'s" not in CLICKHOUSE.users()
    assert "writer's" not in repr(CLICKHOUSE)


def test_every_limit_of_the_reader_is_bounded_on_both_sides() -> None:
    profile = ElementTree.fromstring(CLICKHOUSE.users()).find("profiles/reader")
    assert profile is not None
    limits = {element.tag for element in profile} - {"readonly", "constraints"}
    assert limits == {element.tag for element in profile.findall("constraints/*")}
    for bounds in profile.findall("constraints/*"):
        assert int(bounds.findtext("min") or 0) >= 1, "0 would mean without limit"
        assert bounds.findtext("max")


def test_kafka_listens_on_loopback_only_and_creates_no_topic_by_itself() -> None:
    settings = dict(line.split("=", 1) for line in KAFKA.properties().splitlines())
    addresses = [listener.split("://")[1] for listener in settings["listeners"].split(",")]
    assert addresses == ["127.0.0.1:21002", "127.0.0.1:21003"]
    assert settings["auto.create.topics.enable"] == "false"
    assert int(settings["message.max.bytes"]) >= RAW_MESSAGES.max_message_bytes


def test_the_jar_lock_holds_one_version_of_kafka_and_a_log() -> None:
    locked = jars.locked()
    assert {jar.version for jar in locked if jar.group == "org.apache.kafka"} == {"4.3.1"}
    assert "log4j-slf4j-impl" in {jar.name for jar in locked}
    assert all(len(jar.sha256) == 64 and jar.size > 0 for jar in locked)


def test_a_sharded_topic_has_a_partition_a_shard() -> None:
    assert topics.partitions(JOURNEYS, shards=3) == 3
    assert topics.partitions(RAW_MESSAGES, shards=3) == RAW_MESSAGES.partitions


def test_ports_are_free_different_and_not_those_to_avoid() -> None:
    ports = free_ports(20, avoid=range(20_000, 20_100), among=range(20_000, 20_200))
    assert len(set(ports)) == 20
    assert set(ports) <= set(range(20_100, 20_200))


def test_lovla_env_is_read_as_written_and_by_its_owner_only(tmp_path: Path) -> None:
    environment.write(tmp_path, {"LOVLA_SECRET_KEY": "a=b==", "LOVLA_SHARDS": "1"})
    environment.write(tmp_path, {"LOVLA_SECRET_KEY": "c=d==", "LOVLA_SHARDS": "2"})
    assert environment.read(tmp_path) == {"LOVLA_SECRET_KEY": "c=d==", "LOVLA_SHARDS": "2"}
    assert stat.S_IMODE((tmp_path / environment.NAME).stat().st_mode) == 0o600
    assert environment.read(tmp_path / "elsewhere") == {}


def test_setup_takes_uv_from_the_lock_with_its_hashes() -> None:
    first, *hashes = uv_requirement(LOCK.read_text(encoding="utf-8")).splitlines()
    assert first.startswith("uv==")
    assert all(line.strip().startswith("--hash=sha256:") for line in hashes)
    assert not hashes[-1].endswith("\\")


def test_the_fingerprint_of_a_setup_does_not_change_by_itself() -> None:
    assert fingerprint() == fingerprint()
